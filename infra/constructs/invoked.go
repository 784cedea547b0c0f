package constructs

import (
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsevents"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambdadestinations"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssqs"
	"github.com/aws/jsii-runtime-go"
)

// InvokedProps describes a function that others invoke, without waiting for an answer.
type InvokedProps struct {
	FunctionProps
	// Patience is how long an invocation that fails, or that Lambda has no room for, is worth trying.
	Patience time.Duration
	// Retention is how long what failed for good is kept.
	Retention time.Duration
}

// Invoked is a function that has no queue of its own, but a dead-letter queue for invocations that failed for good.
type Invoked struct {
	Function
	DeadLetters awssqs.Queue
}

// NewInvoked adds a function to a stack. See Worker for one with a queue.
func NewInvoked(stack awscdk.Stack, props InvokedProps) *Invoked {
	i := &Invoked{Function: newFunction(stack, props.Name)}
	i.DeadLetters = awssqs.NewQueue(i.scope, jsii.String("DLQ"), &awssqs.QueueProps{
		QueueName:       jsii.String("ekspedite-" + props.Name + "-dlq"),
		Encryption:      awssqs.QueueEncryption_SQS_MANAGED,
		EnforceSSL:      jsii.Bool(true),
		RetentionPeriod: duration(props.Retention),
	})
	i.name(i.DeadLetters, "DLQ")
	i.name(i.DeadLetters.Node().FindChild(jsii.String("Policy")), "DLQPolicy")
	// No queue redrives to it: Lambda sends to it, in the function's name.
	i.DeadLetters.Node().DefaultChild().(awssqs.CfnQueue).SetRedriveAllowPolicy(map[string]any{"redrivePermission": "denyAll"})
	Suppress(i.DeadLetters, "AwsSolutions-SQS3", "This is the dead-letter queue.")
	Suppress(i.DeadLetters, "Serverless-SQSRedrivePolicy", "This is the dead-letter queue.")

	i.make(props.FunctionProps, nil, awslambda.RecursiveLoop_TERMINATE)
	Suppress(i.Function.Function, "Serverless-LambdaDLQ", "What fails for good goes to the function's destination on failure, which says more.")
	config := awslambda.NewEventInvokeConfig(i.scope, jsii.String("Invoke"), &awslambda.EventInvokeConfigProps{
		Function:      i.Function.Function,
		MaxEventAge:   duration(props.Patience),
		RetryAttempts: jsii.Number(2), // Lambda's most
		OnFailure:     awslambdadestinations.NewSqsDestination(i.DeadLetters),
	})
	i.name(config, "Invoke")
	config.Node().AddDependency(i.Policy) // Lambda refuses a destination that the role may not send to
	i.alarms(props)
	return i
}

// Listen has rules on a bus invoke the function; see Worker.Listen.
func (i *Invoked) Listen(bus awsevents.EventBus, patience time.Duration, signals ...Signal) {
	to := target{scope: i.scope, id: "Function", arn: i.Function.Function.FunctionArn(), deadLetters: i.DeadLetters}
	sid, rules := to.rules(bus, patience, signals)
	letRulesSend(i.DeadLetters, sid, rules)
	for n, arn := range rules {
		permission := awslambda.NewCfnPermission(i.scope, jsii.String(signals[n].ID+"Permission"), &awslambda.CfnPermissionProps{
			Action: jsii.String("lambda:InvokeFunction"), FunctionName: i.Function.Function.FunctionArn(),
			Principal: jsii.String("events.amazonaws.com"), SourceArn: arn,
		})
		permission.OverrideLogicalId(jsii.String(signals[n].ID + "Permission"))
	}
}

// Every has a schedule invoke the function; see Worker.Every.
func (i *Invoked) Every(timer Timer) awsiam.Role {
	to := target{scope: i.scope, arn: i.Function.Function.FunctionArn(), deadLetters: i.DeadLetters}
	return to.every(timer, awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
		Sid: jsii.String("Invoke"), Actions: jsii.Strings("lambda:InvokeFunction"), Resources: &[]*string{i.Function.Function.FunctionArn()},
	}), awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
		Sid: jsii.String("Bury"), Actions: jsii.Strings("sqs:SendMessage"), Resources: &[]*string{i.DeadLetters.QueueArn()},
	}))
}
