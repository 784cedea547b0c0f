package constructs

import (
	"strings"
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/jsii-runtime-go"
)

// alarms makes the worker's alarms. They have no actions yet: whom to tell belongs to the observability stack.
func (w *Worker) alarms(props WorkerProps) {
	w.alarm("DLQDepthAlarm", alarm{
		// Each one is a signal that nobody has acted on, so one is enough.
		description: "The " + props.Name + " function's dead-letter queue holds messages. Each says why in its attributes; " +
			"move them back once the cause is gone.",
		metric: w.DeadLetters.MetricApproximateNumberOfMessagesVisible(every(time.Minute, "Maximum")),
		above:  0, of: 1, periods: 1,
	})
	w.alarm("QueueAgeAlarm", alarm{
		description: "The oldest message for the " + props.Name + " function is older than " + strings.TrimSuffix(props.Late.String(), "0s") +
			": the function does not keep up, or keeps failing.",
		metric: w.Queue.MetricApproximateAgeOfOldestMessage(every(time.Minute, "Maximum")),
		above:  props.Late.Seconds(), of: 1, periods: 1,
	})
	w.trouble(props.Name)
}

// alarms makes the alarms of a function without a queue.
func (i *Invoked) alarms(props InvokedProps) {
	i.alarm("DLQDepthAlarm", alarm{
		description: "Invocations of the " + props.Name + " function failed for good, and nobody has answered for them. The messages in its " +
			"dead-letter queue say why.",
		metric: i.DeadLetters.MetricApproximateNumberOfMessagesVisible(every(time.Minute, "Maximum")),
		above:  0, of: 1, periods: 1,
	})
	i.trouble(props.Name)
}

// trouble makes the alarms that every function has.
func (f *Function) trouble(name string) {
	f.alarm("FunctionErrorsAlarm", alarm{
		// The handler reports bad records one by one, which is no error here. One crash is retried; a series is a defect.
		description: "Invocations of the " + name + " function keep crashing or running into its timeout.",
		metric:      f.Function.MetricErrors(every(5*time.Minute, "Sum")),
		above:       0, of: 2, periods: 3,
	})
	f.alarm("FunctionThrottlesAlarm", alarm{
		// A burst may be throttled for a moment. A quarter of an hour means that the account's concurrency is used up.
		description: "The " + name + " function is throttled: the account's concurrency does not suffice.",
		metric:      f.Function.MetricThrottles(every(5*time.Minute, "Sum")),
		above:       0, of: 3, periods: 3,
	})
}

func every(period time.Duration, statistic string) *awscloudwatch.MetricOptions {
	return &awscloudwatch.MetricOptions{Period: duration(period), Statistic: jsii.String(statistic)}
}

type alarm struct {
	description string
	metric      awscloudwatch.Metric
	above       float64
	of, periods float64 // how many of how many periods have to be above
}

func (f *Function) alarm(id string, a alarm) {
	f.name(awscloudwatch.NewAlarm(f.scope, jsii.String(id), &awscloudwatch.AlarmProps{
		AlarmDescription:   jsii.String(a.description),
		Metric:             a.metric,
		Threshold:          jsii.Number(a.above),
		ComparisonOperator: awscloudwatch.ComparisonOperator_GREATER_THAN_THRESHOLD,
		EvaluationPeriods:  jsii.Number(a.periods),
		DatapointsToAlarm:  jsii.Number(a.of),
		TreatMissingData:   awscloudwatch.TreatMissingData_NOT_BREACHING, // a queue that is not used sends no metrics
	}), id)
}
