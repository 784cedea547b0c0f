package constructs

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
)

// Network is a network of the user's that functions are attached to, so that they reach API servers without a public
// endpoint. It is a matter of parameters: one template serves with and without.
type Network struct {
	// Attached is "true" or "false".
	Attached *string

	access awsiam.ManagedPolicy
	roles  []any
}

// inVPC is the template's condition that a network is given.
const inVPC = "InVPC"

// What stands for nothing given: checkers of templates want the form of an id in any case.
const (
	noSubnet = "subnet-00000000"
	noGroup  = "sg-00000000"
)

// NewNetwork adds the parameters to a stack.
func NewNetwork(stack awscdk.Stack) *Network {
	awscdk.NewCfnParameter(stack, jsii.String("SubnetIds"), &awscdk.CfnParameterProps{
		Type: jsii.String("String"),
		Description: jsii.String("Subnets for the cluster, interruption and scaling functions, comma-separated: needed for clusters whose API servers " +
			"have private endpoints only. The subnets need a way to the APIs of AWS. The default is no network"),
		Default: jsii.String(noSubnet), AllowedPattern: jsii.String(`^subnet-[0-9a-f]+(,subnet-[0-9a-f]+)*$`),
	})
	awscdk.NewCfnParameter(stack, jsii.String("SecurityGroupIds"), &awscdk.CfnParameterProps{
		Type:        jsii.String("String"),
		Description: jsii.String("Security groups for the functions in SubnetIds, comma-separated. The clusters' own must let them in on port 443"),
		Default:     jsii.String(noGroup), AllowedPattern: jsii.String(`^sg-[0-9a-f]+(,sg-[0-9a-f]+)*$`),
	})
	none := func(parameter, value string) awscdk.ICfnRuleConditionExpression {
		return awscdk.Fn_ConditionEquals(awscdk.Fn_Ref(jsii.String(parameter)), jsii.String(value))
	}
	awscdk.NewCfnRule(stack, jsii.String("NetworkIsWhole"), &awscdk.CfnRuleProps{Assertions: &[]*awscdk.CfnRuleAssertion{{
		Assert:            awscdk.Fn_ConditionOr(none("SubnetIds", noSubnet), awscdk.Fn_ConditionNot(none("SecurityGroupIds", noGroup))),
		AssertDescription: jsii.String("SubnetIds go with SecurityGroupIds"),
	}}})
	NewCondition(stack, inVPC, awscdk.Fn_ConditionNot(none("SubnetIds", noSubnet)))
	n := &Network{Attached: choose(inVPC, "true", "false")}
	n.access = awsiam.NewManagedPolicy(constructs.NewConstruct(stack, jsii.String("Network")), jsii.String("Access"), &awsiam.ManagedPolicyProps{
		Description: jsii.String("ekspedite: what Lambda asks of a function's role to attach it to a network"),
	})
	nameResource(n.access, "NetworkAccess")
	grant := Grant{
		Sid: "AttachToNetwork",
		Actions: []string{
			"ec2:CreateNetworkInterface", "ec2:DeleteNetworkInterface", "ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets",
			"ec2:AssignPrivateIpAddresses", "ec2:UnassignPrivateIpAddresses",
		},
		Resources: []string{"*"},
		Wide:      "Lambda checks for these very permissions, with nothing narrower, and uses them itself.",
	}
	// https://docs.aws.amazon.com/lambda/latest/dg/configuration-vpc.html#configuration-vpc-permissions-best-practice
	never := Grant{
		Sid: "NotByTheCodeItself", Never: true,
		Actions:   []string{"ec2:CreateNetworkInterface", "ec2:DeleteNetworkInterface", "ec2:AssignPrivateIpAddresses", "ec2:UnassignPrivateIpAddresses"},
		Resources: []string{"*"}, Wide: "It takes away, and gives nothing.",
		When: map[string]map[string]any{"ArnLike": {"lambda:SourceFunctionArn": []string{
			"arn:${AWS::Partition}:lambda:${AWS::Region}:${AWS::AccountId}:function:*",
		}}},
	}
	n.access.AddStatements(grant.statement(), never.statement())
	Suppress(n.access, "AwsSolutions-IAM5", grant.Sid+": "+grant.Wide)
	return n
}

// attach puts a function into the network, if there is one.
func (n *Network) attach(f *Function) {
	given := func(value any) any {
		return map[string]any{"Fn::If": []any{inVPC, value, map[string]any{"Ref": "AWS::NoValue"}}}
	}
	list := func(parameter string) any {
		return map[string]any{"Fn::Split": []any{",", map[string]any{"Ref": parameter}}}
	}
	// The policy is there in any case, so that functions can come after it; without a network it is nobody's.
	n.roles = append(n.roles, f.Role.RoleName())
	n.access.Node().DefaultChild().(awscdk.CfnResource).AddPropertyOverride(jsii.String("Roles"), given(n.roles))
	resource := f.Function.Node().DefaultChild().(awscdk.CfnResource)
	resource.AddPropertyOverride(jsii.String("VpcConfig"), given(map[string]any{"SubnetIds": list("SubnetIds"), "SecurityGroupIds": list("SecurityGroupIds")}))
	resource.Node().AddDependency(n.access)
}

// NewCondition adds a condition to a template.
func NewCondition(stack awscdk.Stack, name string, expression awscdk.ICfnConditionExpression) {
	awscdk.NewCfnCondition(stack, jsii.String(name), &awscdk.CfnConditionProps{Expression: expression})
}

// Given is the condition that a parameter is not empty.
func Given(parameter string) awscdk.ICfnRuleConditionExpression {
	return awscdk.Fn_ConditionNot(awscdk.Fn_ConditionEquals(awscdk.Fn_Ref(jsii.String(parameter)), jsii.String("")))
}

// choose is one of two texts.
func choose(condition, yes, no string) *string {
	return awscdk.Token_AsString(map[string]any{"Fn::If": []any{condition, yes, no}}, nil)
}
