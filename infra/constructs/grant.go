package constructs

import (
	"fmt"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/jsii-runtime-go"
	"github.com/cdklabs/cdk-nag-go/cdknag/v2"
)

// Grant is one statement of a role's policy: what a function may do, for one purpose.
type Grant struct {
	// Sid names the purpose, in letters and digits.
	Sid string
	// Actions are spelt out; a wildcard in one does not pass the tests.
	Actions []string
	// Resources are ARNs. ${AWS::Region} and its like are filled in by CloudFormation.
	Resources []string
	// From is a parameter of the template that lists the resources, in place of Resources.
	From string
	// Wide says why the resources cannot do without a wildcard. It is required exactly where there is one.
	Wide string
	// When are conditions, by operator and then by key. A value is a string, a list of them, filled in like Resources, or a
	// function of CloudFormation.
	When map[string]map[string]any
	// Unlisted says why cfn-lint's list of actions lacks one of these. It then checks no action of the whole policy; that each is
	// spelt right, the embedded cloud's IAM shows, which denies what is not granted.
	Unlisted string
	// Never turns the grant round: what it names is denied whatever else allows it.
	Never bool
}

// statement makes the grant part of a policy.
func (g Grant) statement() awsiam.PolicyStatement {
	if wild := strings.Contains(strings.Join(g.Resources, " "), "*"); wild != (g.Wide != "") {
		panic(fmt.Sprintf("grant %s: a wildcard in the resources and a reason for it go together", g.Sid))
	}
	props := &awsiam.PolicyStatementProps{
		Sid:     jsii.String(g.Sid),
		Actions: jsii.Strings(g.Actions...),
		Effect:  awsiam.Effect_ALLOW,
	}
	if g.Never {
		props.Effect = awsiam.Effect_DENY
	}
	props.Resources = substituted(g.Resources)
	if g.From != "" {
		props.Resources = awscdk.Token_AsList(map[string]any{"Fn::Split": []any{",", map[string]any{"Ref": g.From}}}, nil)
	}
	if g.When != nil {
		conditions := make(map[string]any, len(g.When))
		for operator, keys := range g.When {
			values := make(map[string]any, len(keys))
			for key, value := range keys {
				values[key] = value
				if list, ok := value.([]string); ok {
					values[key] = substituted(list)
				}
			}
			conditions[operator] = values
		}
		props.Conditions = &conditions
	}
	return awsiam.NewPolicyStatement(props)
}

// substituted has CloudFormation fill in ${AWS::Region} and its like. The CDK's own tokens contain no such thing.
func substituted(values []string) *[]*string {
	result := make([]*string, len(values))
	for i, value := range values {
		result[i] = jsii.String(value)
		if strings.Contains(value, "${AWS::") {
			result[i] = awscdk.Fn_Sub(jsii.String(value), nil)
		}
	}
	return &result
}

// suppression is what cdk-nag has to be told about the grant's wildcards: the same reason as a reader is told.
func (g Grant) suppression() *cdknag.NagPackSuppression {
	var findings []any
	for _, resource := range g.Resources {
		if strings.Contains(resource, "*") {
			findings = append(findings, "Resource::"+strings.NewReplacer("${", "<", "}", ">").Replace(resource))
		}
	}
	return &cdknag.NagPackSuppression{
		Id:        jsii.String("AwsSolutions-IAM5"),
		Reason:    jsii.String(g.Sid + ": " + g.Wide),
		AppliesTo: &findings,
	}
}
