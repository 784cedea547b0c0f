// Package constructs holds the parts that the stacks are made of.
package constructs

import (
	"cmp"
	"strconv"
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssqs"
	"github.com/aws/jsii-runtime-go"
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
	FunctionProps
	// Visibility is how long a message stays hidden if its invocation dies without a word (what merely fails is released
	// by the handler, after a second or a few). At least Timeout; AWS asks for six times that where hurry is not the point,
	// because Lambda may be throttled between taking a batch from the queue and starting the function with it.
	Visibility time.Duration
	// Concurrency is how many batches may be worked on at once.
	Concurrency int
	// Batch is how many messages one invocation gets at most, and Window how long Lambda waits for them; 0 for ten messages, at
	// once.
	Batch  int
	Window time.Duration
	// Retention is how long a message may wait in the queue. SQS drops what is older without a trace, so it has to be
	// more than what all attempts and the longest delay take together.
	Retention time.Duration
	// Late is the age of the oldest message at which somebody should look.
	Late time.Duration
}

// Worker is a function with all that it takes to run it from a queue: dead-letter queue, event source mapping and alarms. It
// gets no messages before Listen or Every, save those that it is sent directly.
type Worker struct {
	Function
	Queue       awssqs.Queue
	DeadLetters awssqs.Queue
}

// NewWorker adds a worker to a stack.
func NewWorker(stack awscdk.Stack, props WorkerProps) *Worker {
	w := &Worker{Function: newFunction(stack, props.Name)}
	w.queues(props)
	w.make(props.FunctionProps, map[string]*string{
		"EKSPEDITE_QUEUE_URL":    w.Queue.QueueUrl(),       // for continuations: the function's messages to itself
		"EKSPEDITE_DLQ_URL":      w.DeadLetters.QueueUrl(), // for what can never work and would fail three times in vain
		"EKSPEDITE_MAX_RECEIVES": jsii.String(strconv.Itoa(attempts)),
	},
		// A function that sends messages to its own queue is a loop in Lambda's eyes, and Lambda cuts it after about 16
		// rounds: the creation of a control plane would never end. The handler counts its rounds itself.
		awslambda.RecursiveLoop_ALLOW)
	w.feed(props)
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
	Suppress(w.DeadLetters, "AwsSolutions-SQS3", "This is the dead-letter queue.")
	Suppress(w.DeadLetters, "Serverless-SQSRedrivePolicy", "This is the dead-letter queue.")

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

// feed has Lambda take messages from the queue to the function.
func (w *Worker) feed(props WorkerProps) {
	function := w.Function.Function
	Suppress(function, "Serverless-LambdaDLQ",
		"The function is invoked from a queue only. Its failures go to that queue's dead-letter queue.")
	Suppress(function, "Serverless-LambdaAsyncFailureDestination",
		"The function is never invoked asynchronously: messages reach it through its event source mapping.")
	source := awslambda.NewEventSourceMapping(w.scope, jsii.String("EventSource"), &awslambda.EventSourceMappingProps{
		Target:                  function,
		EventSourceArn:          w.Queue.QueueArn(),
		BatchSize:               jsii.Number(cmp.Or(props.Batch, batchSize)),
		MaxBatchingWindow:       duration(props.Window),
		ReportBatchItemFailures: jsii.Bool(true), // one bad record does not send its batch-mates round again
		MaxConcurrency:          jsii.Number(props.Concurrency),
	})
	w.name(source, "EventSource")
	Suppress(source, "Serverless-LambdaEventSourceMappingDestination",
		"SQS has no failure destinations: the queue's redrive policy does their work.")
	source.Node().AddDependency(w.Policy) // Lambda refuses a mapping whose role may not read the queue
}
