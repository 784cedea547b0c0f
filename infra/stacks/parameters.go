package stacks

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/jsii-runtime-go"

	"github.com/ekspedite/ekspedite/infra/constructs"
)

// The parameters of the automation stack. All have defaults; those of the network are in package constructs.
const (
	regionsAllowed   = "Regions"
	attachable       = "AttachablePolicies"
	givenRoles       = "GivenRoles"
	roleBoundary     = "RoleBoundary"
	sweepRate        = "SweepRate"
	scalingRate      = "ScalingSweepRate"
	upgradeRate      = "UpgradeSweepRate"
	pipelineRate     = "PipelineSweepRate"
	interruptionRate = "InterruptionSweepRate"
	pipelinePrefix   = "PipelinePrefix"
	doorbellLimit    = "DoorbellConcurrency"
)

// The conditions of the template.
const (
	moreRegions = "MoreRegions"
	hasPolicies = "HasAttachablePolicies"
	hasRoles    = "HasGivenRoles"
	bounded     = "Bounded"
	unbounded   = "Unbounded"
)

// regions are those that the cluster function may act in: the stack's own, and those of the parameter.
var regions = map[string]any{"Fn::If": []any{moreRegions,
	map[string]any{"Fn::Split": []any{",", map[string]any{"Fn::Sub": "${AWS::Region},${" + regionsAllowed + "}"}}},
	map[string]any{"Ref": "AWS::Region"},
}}

func ref(parameter string) map[string]any { return map[string]any{"Ref": parameter} }

// items are the values of a parameter that is a list.
func items(parameter string) map[string]any {
	return map[string]any{"Fn::Split": []any{",", ref(parameter)}}
}

func addParameters(stack awscdk.Stack) {
	add := func(name, description, value, pattern string) {
		awscdk.NewCfnParameter(stack, jsii.String(name), &awscdk.CfnParameterProps{
			Type: jsii.String("String"), Description: jsii.String(description), Default: jsii.String(value), AllowedPattern: jsii.String(pattern),
		})
	}
	list := func(arn string) string { return "^(" + arn + "(," + arn + ")*)?$" }
	const policy, role = `arn:[a-z*-]+:iam::[0-9a-z*]*:policy/[\w+=.@/*-]+`, `arn:[a-z*-]+:iam::[0-9*]+:role/[\w+=.@/*-]+`
	add(regionsAllowed, "Regions that clusters may be in besides the stack's own, comma-separated", "",
		`^([a-z]{2}(-[a-z]+)+-[0-9](,[a-z]{2}(-[a-z]+)+-[0-9])*)?$`)
	add(attachable, "ARNs of managed policies that specs may have attached to roles, besides those that ekspedite itself needs, "+
		"comma-separated; * stands for anything. Whoever may ask for a cluster gets what they allow", "",
		list(policy))
	add(givenRoles, "ARNs of roles that specs may name for control planes, nodes, pods and capabilities in place of those that ekspedite makes, "+
		"comma-separated; * stands for anything. Whoever may ask for a cluster gets what they may do", "",
		list(role))
	add(roleBoundary, "ARN of a managed policy to be the permissions boundary of every role that is made. Without one, whoever may ask for a "+
		"cluster may have a role made that can do anything", "", `^(arn:[a-z-]+:iam::[0-9a-z]*:policy/[\w+=,.@/-]+)?$`)
	add(sweepRate, "How often every cluster is looked at, in case somebody has changed it, or an event about it was lost", "rate(15 minutes)",
		`^(rate|cron)\(.+\)$`)
	add(scalingRate, "How often the nodes of every cluster whose policy asks for scaling are looked at, in case a signal was lost", "rate(1 minute)",
		`^(rate|cron)\(.+\)$`)
	add(interruptionRate, "How often it is looked for machines that fail their status checks, and for planned drains that are due", "rate(1 minute)",
		`^(rate|cron)\(.+\)$`)
	add(upgradeRate, "How often it is looked whether the maintenance of any cluster is due, and whether an upgrade stands still", "rate(5 minutes)",
		`^(rate|cron)\(.+\)$`)
	add(pipelineRate, "How often it is looked whether an approval of a pipeline that waits for a soak can be answered", "rate(15 minutes)",
		`^(rate|cron)\(.+\)$`)
	add(pipelinePrefix, "How the names of those pipelines begin whose approvals the pipeline function may answer, when they wait for a soak or an upgrade",
		"ekspedite-", `^[A-Za-z0-9.@_-]{1,80}$`)
	awscdk.NewCfnParameter(stack, jsii.String(doorbellLimit), &awscdk.CfnParameterProps{
		Type: jsii.String("Number"), Default: jsii.String("0"), MinValue: jsii.Number(0), MaxValue: jsii.Number(10000),
		Description: jsii.String("How many calls of the doorbell's URL, which is public, run at once at most; 0 for as many as the account has " +
			"room for. It is taken out of the account's concurrency, of which a new account has none to give away"),
	})
	constructs.NewCondition(stack, moreRegions, constructs.Given(regionsAllowed))
	constructs.NewCondition(stack, hasPolicies, constructs.Given(attachable))
	constructs.NewCondition(stack, hasRoles, constructs.Given(givenRoles))
	constructs.NewCondition(stack, bounded, constructs.Given(roleBoundary))
	constructs.NewCondition(stack, unbounded, awscdk.Fn_ConditionNot(constructs.Given(roleBoundary)))
}
