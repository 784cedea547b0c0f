package constructs

import (
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
	"github.com/cdklabs/cdk-nag-go/cdknag/v2"
)

// FunctionProps describes one function.
type FunctionProps struct {
	// Name is the function's: its package below functions/, its zip, its handler, and the stem of all logical ids.
	Name string
	// Description is one line for whoever meets the function in a console.
	Description string
	// Code is the packaged function.
	Code awslambda.Code
	// Timeout bounds one invocation. Longer work is not waited for.
	Timeout time.Duration
	// Memory is in MiB. Lambda gives CPU in proportion, one vCPU at 1769.
	Memory float64
	// Environment is what the function is told besides what it is told by its construct.
	Environment map[string]*string
	// Network attaches the function to a network of the user's, if they give one.
	Network *Network
}

// Function is a Lambda function with its role and its log group. It may do nothing but be invoked until Allow has been
// called.
type Function struct {
	Role     awsiam.Role
	Policy   awsiam.Policy
	Logs     awslogs.LogGroup
	Function awslambda.Function

	scope constructs.Construct
	stem  string // of logical ids, such as Cluster
}

// newFunction begins a function: its scope and its role. The stem of its logical ids is its name: ClusterFunction,
// ClusterFunctionRole and so on.
func newFunction(stack awscdk.Stack, name string) Function {
	stem := strings.ToUpper(name[:1]) + name[1:]
	f := Function{scope: constructs.NewConstruct(stack, jsii.String(stem)), stem: stem}
	f.Role = awsiam.NewRole(f.scope, jsii.String("Role"), &awsiam.RoleProps{
		AssumedBy: awsiam.NewServicePrincipal(jsii.String("lambda.amazonaws.com"), nil),
	})
	f.name(f.Role, "FunctionRole")
	f.Policy = awsiam.NewPolicy(f.scope, jsii.String("Policy"), &awsiam.PolicyProps{
		PolicyName: jsii.String(f.stem + "FunctionPolicy"),
		Roles:      &[]awsiam.IRole{f.Role},
	})
	f.name(f.Policy, "FunctionPolicy")
	return f
}

// make makes the function and its log group.
func (f *Function) make(props FunctionProps, told map[string]*string, loop awslambda.RecursiveLoop) {
	f.Logs = awslogs.NewLogGroup(f.scope, jsii.String("Logs"), &awslogs.LogGroupProps{
		// Logs are for looking into what happened lately; what happened to a cluster, and why, is kept in the ledger.
		Retention: awslogs.RetentionDays_ONE_MONTH,
		// They outlive the stack: who deleted it may have to explain what it did. They expire by themselves.
		RemovalPolicy: awscdk.RemovalPolicy_RETAIN_ON_UPDATE_OR_DELETE,
	})
	f.name(f.Logs, "LogGroup")
	environment := map[string]*string{"EKSPEDITE_LOG_LEVEL": jsii.String("info")}
	maps.Copy(environment, told)
	maps.Copy(environment, props.Environment)
	f.Function = awslambda.NewFunction(f.scope, jsii.String("Function"), &awslambda.FunctionProps{
		Description:  jsii.String(props.Description),
		Runtime:      awslambda.Runtime_PROVIDED_AL2023(),
		Architecture: awslambda.Architecture_ARM_64(),
		Code:         props.Code,
		Handler:      jsii.String(props.Name), // the runtime ignores it; the embedded cloud finds the binary by it
		Timeout:      duration(props.Timeout),
		MemorySize:   jsii.Number(props.Memory),
		Environment:  &environment,
		Tracing:      awslambda.Tracing_ACTIVE,
		LogGroup:     f.Logs,
		// One JSON object a line, Lambda's own lines included, so that one query reads them all.
		LoggingFormat: awslambda.LoggingFormat_JSON,
		// The CDK would add statements of its own; every grant is to be found in one file instead.
		Role:          f.Role.WithoutPolicyUpdates(nil),
		RecursiveLoop: loop,
		// There is no reserved concurrency: it would come out of the account's pool, which in a new account is too
		// small to give any away, and the deployment would fail. Concurrency on the mapping is the limit.
	})
	f.name(f.Function, "Function")
	if props.Network != nil {
		props.Network.attach(f)
	}
}

// Tell adds to the function's environment what is known only now.
func (f *Function) Tell(name string, value *string) {
	f.Function.AddEnvironment(jsii.String(name), value, nil)
}

// Allow adds grants to the function's own policy.
func (f *Function) Allow(grants ...Grant) {
	for _, grant := range grants {
		f.Policy.AddStatements(grant.statement())
		if grant.Wide != "" {
			cdknag.NagSuppressions_AddResourceSuppressions(f.Policy, &[]*cdknag.NagPackSuppression{grant.suppression()}, jsii.Bool(false))
		}
	}
}

// AllowApart adds grants in a managed policy of their own: a role's inline policies together have 10,240 characters, a
// managed one has 6,144, and a role may have ten. With a condition of the template, the policy exists only if that holds.
func (f *Function) AllowApart(name, condition string, grants ...Grant) {
	policy := awsiam.NewManagedPolicy(f.scope, jsii.String(name), &awsiam.ManagedPolicyProps{
		Description: jsii.String(fmt.Sprintf("ekspedite, %s function: %s", strings.ToLower(f.stem), name)),
		Roles:       &[]awsiam.IRole{f.Role},
	})
	f.name(policy, name)
	resource := policy.Node().DefaultChild().(awscdk.CfnResource)
	for _, grant := range grants {
		policy.AddStatements(grant.statement())
		if grant.Wide != "" {
			cdknag.NagSuppressions_AddResourceSuppressions(policy, &[]*cdknag.NagPackSuppression{grant.suppression()}, jsii.Bool(false))
		}
		if grant.Unlisted != "" {
			resource.AddMetadata(jsii.String("cfn-lint"), map[string]any{"config": map[string]any{"ignore_checks": []string{"W3037"}}, "reason": grant.Unlisted})
		}
	}
	if condition != "" {
		resource.AddOverride(jsii.String("Condition"), jsii.String(condition))
	}
}

// name gives a construct's resource a logical id that can be read and does not change when the tree does.
func (f *Function) name(construct constructs.IConstruct, suffix string) {
	nameResource(construct, f.stem+suffix)
}

func nameResource(construct constructs.IConstruct, id string) {
	resource, ok := construct.(awscdk.CfnResource)
	if !ok {
		resource = construct.Node().DefaultChild().(awscdk.CfnResource)
	}
	resource.OverrideLogicalId(jsii.String(id))
}

// Suppress tells cdk-nag why a rule does not apply to a construct.
func Suppress(construct constructs.IConstruct, rule, reason string) {
	cdknag.NagSuppressions_AddResourceSuppressions(construct, &[]*cdknag.NagPackSuppression{
		{Id: jsii.String(rule), Reason: jsii.String(reason)},
	}, jsii.Bool(false))
}

func duration(d time.Duration) awscdk.Duration {
	return awscdk.Duration_Seconds(jsii.Number(d.Seconds()))
}
