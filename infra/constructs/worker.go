// Package constructs holds the parts that the stacks are made of.
package constructs

import (
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssqs"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
	"github.com/cdklabs/cdk-nag-go/cdknag/v2"
)

const (
	// attempts is how often SQS delivers a message before it moves it to the dead-letter queue by itself. The handler
	// rejects with a reason on the last one, so the count has to have room for what costs a delivery and is nobody's
	// fault: a duplicate, a killed invocation, an answer that got lost. With 3, one in 6,000 simulated drains on a faulty
	// cloud ended there (TestEveryDeliveryTwiceAtOnce with many seeds).
	attempts = 5
	// batchSize is how many messages one invocation gets at most. The handler works on them in parallel, and they come
	// as they are there: there is no batching window, because most events are urgent and a window only saves invocations.
	batchSize = 10
	// deadLetterRetention is SQS's longest. The age of a message counts from its first queue, so that the remainder is
	// this less the worker's Retention.
	deadLetterRetention = 14 * 24 * time.Hour
)

// WorkerProps describes one function and the queue that feeds it.
type WorkerProps struct {
	// Name is the function's: its package below functions/, its zip, its handler, and the stem of all logical ids.
	Name string
	// Description is one line for whoever meets the function in a console.
	Description string
	// Code is the packaged function.
	Code awslambda.Code
	// Timeout bounds one invocation. Longer work is not waited for: the function sends itself a delayed message.
	Timeout time.Duration
	// Visibility is how long a message stays hidden if its invocation dies without a word (what merely fails is released
	// by the handler, after a second or a few). At least Timeout; AWS asks for six times that where hurry is not the point,
	// because Lambda may be throttled between taking a batch from the queue and starting the function with it.
	Visibility time.Duration
	// Memory is in MiB. Lambda gives CPU in proportion, one vCPU at 1769.
	Memory float64
	// Concurrency is how many batches may be worked on at once.
	Concurrency float64
	// Retention is how long a message may wait in the queue. SQS drops what is older without a trace, so it has to be
	// more than what all attempts and the longest delay take together.
	Retention time.Duration
	// Late is the age of the oldest message at which somebody should look.
	Late time.Duration
	// Environment is what the function is told besides where its own queues are.
	Environment map[string]*string
}

// Worker is a function with all that it takes to run it from a queue: dead-letter queue, role, log group, event source
// mapping and alarms. It may do nothing but be invoked until Allow has been called, and gets no messages before Listen
// or Every, save those that it is sent directly.
type Worker struct {
	Queue       awssqs.Queue
	DeadLetters awssqs.Queue
	Role        awsiam.Role
	Policy      awsiam.Policy
	Logs        awslogs.LogGroup
	Function    awslambda.Function

	scope constructs.Construct
	stem  string // of logical ids, such as Cluster
}

// NewWorker adds a worker to a stack. The stem of its logical ids is its name: ClusterQueue, ClusterDLQ,
// ClusterFunction, ClusterFunctionRole and so on.
func NewWorker(stack awscdk.Stack, props WorkerProps) *Worker {
	stem := strings.ToUpper(props.Name[:1]) + props.Name[1:]
	w := &Worker{scope: constructs.NewConstruct(stack, jsii.String(stem)), stem: stem}
	w.queues(props)
	w.role()
	w.function(props)
	w.alarms(props)
	return w
}

// queues makes the queue and its dead-letter queue.
func (w *Worker) queues(props WorkerProps) {
	// The queues have names, unlike all else here: the dead-letter queue says which queue may use it, the queue says
	// which dead-letter queue it uses, and CloudFormation can resolve only one of the two as a reference.
	name := "ekspedite-" + props.Name
	w.DeadLetters = awssqs.NewQueue(w.scope, jsii.String("DLQ"), &awssqs.QueueProps{
		QueueName:       jsii.String(name + "-dlq"),
		Encryption:      awssqs.QueueEncryption_SQS_MANAGED,
		EnforceSSL:      jsii.Bool(true),
		RetentionPeriod: duration(deadLetterRetention),
	})
	w.name(w.DeadLetters, "DLQ")
	w.name(w.DeadLetters.Node().FindChild(jsii.String("Policy")), "DLQPolicy")
	w.DeadLetters.Node().DefaultChild().(awssqs.CfnQueue).SetRedriveAllowPolicy(map[string]any{
		"redrivePermission": "byQueue",
		"sourceQueueArns": []*string{
			awscdk.Fn_Sub(jsii.String("arn:${AWS::Partition}:sqs:${AWS::Region}:${AWS::AccountId}:"+name), nil),
		},
	})
	suppress(w.DeadLetters, "AwsSolutions-SQS3", "This is the dead-letter queue.")
	suppress(w.DeadLetters, "Serverless-SQSRedrivePolicy", "This is the dead-letter queue.")

	w.Queue = awssqs.NewQueue(w.scope, jsii.String("Queue"), &awssqs.QueueProps{
		QueueName:         jsii.String(name),
		Encryption:        awssqs.QueueEncryption_SQS_MANAGED,
		EnforceSSL:        jsii.Bool(true),
		RetentionPeriod:   duration(props.Retention),
		VisibilityTimeout: duration(props.Visibility),
		DeadLetterQueue:   &awssqs.DeadLetterQueue{Queue: w.DeadLetters, MaxReceiveCount: jsii.Number(attempts)},
	})
	w.name(w.Queue, "Queue")
	w.name(w.Queue.Node().FindChild(jsii.String("Policy")), "QueuePolicy")
}

// role makes the function's role with a policy that Allow fills.
func (w *Worker) role() {
	w.Role = awsiam.NewRole(w.scope, jsii.String("Role"), &awsiam.RoleProps{
		AssumedBy: awsiam.NewServicePrincipal(jsii.String("lambda.amazonaws.com"), nil),
	})
	w.name(w.Role, "FunctionRole")
	w.Policy = awsiam.NewPolicy(w.scope, jsii.String("Policy"), &awsiam.PolicyProps{
		PolicyName: jsii.String(w.stem + "FunctionPolicy"),
		Roles:      &[]awsiam.IRole{w.Role},
	})
	w.name(w.Policy, "FunctionPolicy")
}

// function makes the function, its log group and what feeds it from the queue.
func (w *Worker) function(props WorkerProps) {
	w.Logs = awslogs.NewLogGroup(w.scope, jsii.String("Logs"), &awslogs.LogGroupProps{
		// Logs are for looking into what happened lately; what happened to a cluster, and why, is kept in the ledger.
		Retention: awslogs.RetentionDays_ONE_MONTH,
		// They outlive the stack: who deleted it may have to explain what it did. They expire by themselves.
		RemovalPolicy: awscdk.RemovalPolicy_RETAIN_ON_UPDATE_OR_DELETE,
	})
	w.name(w.Logs, "LogGroup")

	environment := map[string]*string{
		"EKSPEDITE_LOG_LEVEL":    jsii.String("info"),
		"EKSPEDITE_QUEUE_URL":    w.Queue.QueueUrl(),       // for continuations: the function's messages to itself
		"EKSPEDITE_DLQ_URL":      w.DeadLetters.QueueUrl(), // for what can never work and would fail three times in vain
		"EKSPEDITE_MAX_RECEIVES": jsii.String(strconv.Itoa(attempts)),
	}
	for key, value := range props.Environment {
		environment[key] = value
	}
	w.Function = awslambda.NewFunction(w.scope, jsii.String("Function"), &awslambda.FunctionProps{
		Description:  jsii.String(props.Description),
		Runtime:      awslambda.Runtime_PROVIDED_AL2023(),
		Architecture: awslambda.Architecture_ARM_64(),
		Code:         props.Code,
		Handler:      jsii.String(props.Name), // the runtime ignores it; the embedded cloud finds the binary by it
		Timeout:      duration(props.Timeout),
		MemorySize:   jsii.Number(props.Memory),
		Environment:  &environment,
		Tracing:      awslambda.Tracing_ACTIVE,
		LogGroup:     w.Logs,
		// One JSON object a line, Lambda's own lines included, so that one query reads them all.
		LoggingFormat: awslambda.LoggingFormat_JSON,
		// The CDK would add statements of its own; every grant is to be found in one file instead.
		Role: w.Role.WithoutPolicyUpdates(nil),
		// A function that sends messages to its own queue is a loop in Lambda's eyes, and Lambda cuts it after about 16
		// rounds: the creation of a control plane would never end. The handler counts its rounds itself.
		RecursiveLoop: awslambda.RecursiveLoop_ALLOW,
		// There is no reserved concurrency: it would come out of the account's pool, which in a new account is too
		// small to give any away, and the deployment would fail. Concurrency on the mapping is the limit.
	})
	w.name(w.Function, "Function")
	suppress(w.Function, "Serverless-LambdaDLQ",
		"The function is invoked from a queue only. Its failures go to that queue's dead-letter queue.")
	suppress(w.Function, "Serverless-LambdaAsyncFailureDestination",
		"The function is never invoked asynchronously: messages reach it through its event source mapping.")

	source := awslambda.NewEventSourceMapping(w.scope, jsii.String("EventSource"), &awslambda.EventSourceMappingProps{
		Target:                  w.Function,
		EventSourceArn:          w.Queue.QueueArn(),
		BatchSize:               jsii.Number(batchSize),
		MaxBatchingWindow:       duration(0),
		ReportBatchItemFailures: jsii.Bool(true), // one bad record does not send its batch-mates round again
		MaxConcurrency:          jsii.Number(props.Concurrency),
	})
	w.name(source, "EventSource")
	suppress(source, "Serverless-LambdaEventSourceMappingDestination",
		"SQS has no failure destinations: the queue's redrive policy does their work.")
	source.Node().AddDependency(w.Policy) // Lambda refuses a mapping whose role may not read the queue
}

// Allow adds grants to the function's role.
func (w *Worker) Allow(grants ...Grant) {
	for _, grant := range grants {
		w.Policy.AddStatements(grant.statement())
		if grant.Wide != "" {
			cdknag.NagSuppressions_AddResourceSuppressions(w.Policy, &[]*cdknag.NagPackSuppression{grant.suppression()}, jsii.Bool(false))
		}
	}
}

// name gives a construct's resource a logical id that can be read and does not change when the tree does.
func (w *Worker) name(construct constructs.IConstruct, suffix string) {
	nameResource(construct, w.stem+suffix)
}

func nameResource(construct constructs.IConstruct, id string) {
	resource, ok := construct.(awscdk.CfnResource)
	if !ok {
		resource = construct.Node().DefaultChild().(awscdk.CfnResource)
	}
	resource.OverrideLogicalId(jsii.String(id))
}

// suppress tells cdk-nag why a rule does not apply to a construct.
func suppress(construct constructs.IConstruct, rule, reason string) {
	cdknag.NagSuppressions_AddResourceSuppressions(construct, &[]*cdknag.NagPackSuppression{
		{Id: jsii.String(rule), Reason: jsii.String(reason)},
	}, jsii.Bool(false))
}

func duration(d time.Duration) awscdk.Duration {
	return awscdk.Duration_Seconds(jsii.Number(d.Seconds()))
}
