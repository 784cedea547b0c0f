package main

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/infra/stacks"
	"github.com/ekspedite/ekspedite/shared/settings"
)

const longestDelay = 900 // seconds; SQS allows no more

// redrive is a queue's dead-letter queue; "" if it has none.
func redrive(queue *resource) string {
	return target(at(queue.Properties, "RedrivePolicy", "deadLetterTargetArn"))
}

// invokedDLQ is for failed invocations of a function without a queue.
const invokedDLQ = "PipelineDLQ"

// The pipeline function is invoked directly: what fails for good goes to a queue that nobody else may use, and that does not
// keep jobs, which have credentials, for longer than it takes to see them.
func TestFailedInvocationsAreKept(t *testing.T) {
	tpl := everything(t)
	configs := tpl.of(t, "AWS::Lambda::EventInvokeConfig")
	if len(configs) != 1 || target(configs[0].Properties["FunctionName"]) != "PipelineFunction" ||
		target(at(configs[0].Properties, "DestinationConfig", "OnFailure", "Destination")) != invokedDLQ {
		t.Fatalf("%+v", configs)
	}
	if age := configs[0].Properties["MaximumEventAgeInSeconds"].(float64); age > 1200 {
		t.Errorf("tried for %v s: CodePipeline waits for 20 minutes", age)
	}
	queue := tpl.Resources[invokedDLQ]
	if keep := queue.Properties["MessageRetentionPeriod"]; keep != 24*3600.0 {
		t.Errorf("kept for %v s", keep)
	}
	if allow := at(queue.Properties, "RedriveAllowPolicy", "redrivePermission"); allow != "denyAll" {
		t.Errorf("other queues may use it: %v", allow)
	}
	var sends bool
	for _, s := range statements(tpl.Resources["PipelineFunctionPolicy"]) {
		sends = sends || target(at(s, "Resource")) == invokedDLQ && at(s, "Action") == "sqs:SendMessage"
	}
	if !sends {
		t.Error("the function's role may not send to it")
	}
}

// sourceOf is the event source mapping that empties a queue.
func sourceOf(t *testing.T, tpl template, queue string) *resource {
	t.Helper()
	for _, source := range tpl.of(t, "AWS::Lambda::EventSourceMapping") {
		if target(source.Properties["EventSourceArn"]) == queue {
			return source
		}
	}
	t.Fatalf("nothing empties %s", queue)
	return nil
}

func TestEveryQueueHasADeadLetterQueueOfItsOwn(t *testing.T) {
	tpl := everything(t)
	queues := slices.DeleteFunc(tpl.of(t, "AWS::SQS::Queue"), func(q *resource) bool { return q.ID == invokedDLQ })
	taken := map[string]string{}
	for _, queue := range queues {
		if strings.HasSuffix(queue.ID, "DLQ") {
			continue
		}
		dlq, ok := tpl.Resources[redrive(queue)]
		if !ok {
			t.Errorf("%s has no dead-letter queue", queue.ID)
			continue
		}
		if other := taken[dlq.ID]; other != "" {
			t.Errorf("%s and %s share %s", queue.ID, other, dlq.ID)
		}
		taken[dlq.ID] = queue.ID
		if got := at(queue.Properties, "RedrivePolicy", "maxReceiveCount"); got != 5.0 {
			t.Errorf("%s: maxReceiveCount is %v", queue.ID, got)
		}
		if dlq.Properties["MessageRetentionPeriod"] != 14*24*3600.0 {
			t.Errorf("%s keeps messages for less than SQS can", dlq.ID)
		}
		if redrive(dlq) != "" {
			t.Errorf("%s passes messages on", dlq.ID)
		}
		allow := at(dlq.Properties, "RedriveAllowPolicy")
		sources := list(at(allow, "sourceQueueArns"))
		if at(allow, "redrivePermission") != "byQueue" || len(sources) != 1 ||
			!strings.HasSuffix(text(sources[0]), ":"+text(queue.Properties["QueueName"])) {
			t.Errorf("%s is open to more than %s: %v", dlq.ID, queue.ID, allow)
		}
	}
	if 2*len(taken) != len(queues) {
		t.Errorf("%d dead-letter queues, %d queues in all", len(taken), len(queues))
	}
}

func TestTimesOfQueuesFitTheirFunctions(t *testing.T) {
	tpl := everything(t)
	for _, queue := range tpl.of(t, "AWS::SQS::Queue") {
		if redrive(queue) == "" {
			continue
		}
		function := tpl.Resources[target(sourceOf(t, tpl, queue.ID).Properties["FunctionName"])]
		timeout := function.Properties["Timeout"].(float64)
		visibility := queue.Properties["VisibilityTimeout"].(float64)
		if visibility <= timeout { // Lambda refuses less than the timeout; a live invocation must not meet its own message
			t.Errorf("%s: visibility timeout %v s, the function's own is %v s", queue.ID, visibility, timeout)
		}
		if most := map[string]float64{"InterruptionQueue": 60, "ClusterQueue": 150, "ScalingQueue": 90, "UpgradeQueue": 150, "NotifyQueue": 180}[queue.ID]; visibility > most {
			t.Errorf("%s: a dead invocation's message is hidden for %v s, %v s is the most that its work can wait", queue.ID, visibility, most)
		}
		// SQS drops what is too old without a trace. No message may get there while it is being tried.
		attempts := at(queue.Properties, "RedrivePolicy", "maxReceiveCount").(float64)
		if longest := longestDelay + attempts*visibility; queue.Properties["MessageRetentionPeriod"].(float64) <= longest {
			t.Errorf("%s loses messages: it keeps them %v s, and trying takes up to %v s",
				queue.ID, queue.Properties["MessageRetentionPeriod"], longest)
		}
	}
}

func TestQueuesAreEncryptedAndWantTLS(t *testing.T) {
	tpl := everything(t)
	for _, queue := range tpl.of(t, "AWS::SQS::Queue") {
		if queue.Properties["SqsManagedSseEnabled"] != true {
			t.Errorf("%s is not encrypted", queue.ID)
		}
		var denied bool
		for _, s := range queueStatements(t, tpl, queue.ID) {
			if at(s, "Effect") == "Deny" && at(s, "Condition", "Bool", "aws:SecureTransport") == "false" && at(s, "Action") == "sqs:*" {
				denied = true
			}
		}
		if !denied {
			t.Errorf("%s can be reached without TLS", queue.ID)
		}
	}
}

// queueStatements are the statements of a queue's policy.
func queueStatements(t *testing.T, tpl template, queue string) []any {
	t.Helper()
	for _, policy := range tpl.of(t, "AWS::SQS::QueuePolicy") {
		if slices.ContainsFunc(list(policy.Properties["Queues"]), func(ref any) bool { return target(ref) == queue }) {
			return list(at(policy.Properties, "PolicyDocument", "Statement"))
		}
	}
	return nil
}

func TestFunctions(t *testing.T) {
	tpl := everything(t)
	var handlers []string
	for _, function := range tpl.of(t, "AWS::Lambda::Function") {
		p := function.Properties
		handlers = append(handlers, text(p["Handler"]))
		if want := strings.ToUpper(text(p["Handler"])[:1]) + text(p["Handler"])[1:] + "Function"; function.ID != want {
			t.Errorf("%s should be %s, after its handler", function.ID, want)
		}
		if p["Runtime"] != "provided.al2023" || len(list(p["Architectures"])) != 1 || list(p["Architectures"])[0] != "arm64" {
			t.Errorf("%s: runtime %v on %v", function.ID, p["Runtime"], p["Architectures"])
		}
		if at(p, "LoggingConfig", "LogFormat") != "JSON" || tpl.Resources[target(at(p, "LoggingConfig", "LogGroup"))] == nil {
			t.Errorf("%s: logs to %v", function.ID, p["LoggingConfig"])
		}
		// Only where somebody asks for it.
		if reserved := p["ReservedConcurrentExecutions"]; reserved != nil && !reflect.DeepEqual(at(reserved, "Fn::If"),
			[]any{"DoorbellLimited", map[string]any{"Ref": "DoorbellConcurrency"}, map[string]any{"Ref": "AWS::NoValue"}}) {
			t.Errorf("%s reserves concurrency, which a new account cannot give", function.ID)
		}
		if p["Handler"] == "doorbell" || p["Handler"] == events.HandlerPipeline { // no queue, and no business with itself
			if p["RecursiveLoop"] != "Terminate" || at(p, "Environment", "Variables", "EKSPEDITE_QUEUE_URL") != nil {
				t.Errorf("%s: %v", function.ID, p)
			}
			continue
		}
		// Lambda would cut a long series of continuations.
		if p["RecursiveLoop"] != "Allow" {
			t.Errorf("%s: RecursiveLoop is %v", function.ID, p["RecursiveLoop"])
		}
		queue := tpl.Resources[target(at(p, "Environment", "Variables", "EKSPEDITE_QUEUE_URL"))]
		if queue == nil || redrive(queue) != target(at(p, "Environment", "Variables", "EKSPEDITE_DLQ_URL")) {
			t.Fatalf("%s does not know its own queues: %v", function.ID, p["Environment"])
		}
		source := sourceOf(t, tpl, queue.ID)
		if target(source.Properties["FunctionName"]) != function.ID {
			t.Errorf("%s is told of the queue of %s", function.ID, target(source.Properties["FunctionName"]))
		}
		if types := list(source.Properties["FunctionResponseTypes"]); !slices.Contains(types, any("ReportBatchItemFailures")) {
			t.Errorf("%s: one bad record fails its batch", source.ID)
		}
		batch, window := 10.0, 0.0
		if p["Handler"] == events.HandlerNotify { // what comes together is told together
			batch, window = 500, 5
		}
		if source.Properties["BatchSize"] != batch || source.Properties["MaximumBatchingWindowInSeconds"] != window {
			t.Errorf("%s: batches of %v after %v s", source.ID, source.Properties["BatchSize"], source.Properties["MaximumBatchingWindowInSeconds"])
		}
		most, ok := at(source.Properties, "ScalingConfig", "MaximumConcurrency").(float64)
		if !ok || most < 2 {
			t.Errorf("%s: concurrency %v is less than Lambda takes", source.ID, most)
		}
	}
	slices.Sort(handlers)
	if !slices.Equal(handlers, stacks.Functions) {
		t.Errorf("functions are %v, expected %v", handlers, stacks.Functions)
	}
	for _, logs := range tpl.of(t, "AWS::Logs::LogGroup") {
		if logs.Properties["RetentionInDays"] == nil {
			t.Errorf("%s grows for ever", logs.ID)
		}
	}
}

// The functions read what the template gives them.
func TestEnvironmentsAreSettings(t *testing.T) {
	tpl := everything(t)
	for _, function := range tpl.of(t, "AWS::Lambda::Function") {
		variables := at(function.Properties, "Environment", "Variables").(map[string]any)
		read := map[string]bool{}
		getenv := func(name string) string {
			read[name] = true
			if name == "AWS_REGION" { // set by Lambda
				return "eu-central-1"
			}
			if value, ok := variables[name]; ok {
				return text(value)
			}
			return ""
		}
		load := func() (settings.Settings, error) {
			return settings.Load(getenv, function.Properties["Handler"] == events.HandlerCluster)
		}
		switch function.Properties["Handler"] {
		case events.HandlerPipeline:
			load = func() (settings.Settings, error) { return settings.LoadInvoked(getenv) }
		case events.HandlerNotify:
			load = func() (settings.Settings, error) { return settings.LoadNotify(getenv) }
		case "doorbell":
			load = func() (settings.Settings, error) { return settings.LoadCalled(getenv) }
		}
		got, err := load()
		if err != nil {
			t.Errorf("%s: %v", function.ID, err)
		}
		for name := range variables {
			if !read[name] {
				t.Errorf("%s: nobody reads %s", function.ID, name)
			}
		}
		if queue := tpl.Resources[target(variables["EKSPEDITE_QUEUE_URL"])]; queue == nil {
			continue
		} else if want := at(queue.Properties, "RedrivePolicy", "maxReceiveCount"); float64(got.MaxReceives) != want {
			t.Errorf("%s: is told of %d receives, the queue allows %v", function.ID, got.MaxReceives, want)
		}
	}
}

func TestEveryQueueHasItsAlarm(t *testing.T) {
	tpl := everything(t)
	watched := map[string]float64{}
	for _, alarm := range tpl.of(t, "AWS::CloudWatch::Alarm") {
		if alarm.Properties["TreatMissingData"] != "notBreaching" || alarm.Properties["AlarmDescription"] == nil {
			t.Errorf("%s: wants a description, and quiet when there is no data", alarm.ID)
		}
		for _, dimension := range list(alarm.Properties["Dimensions"]) {
			watched[text(alarm.Properties["MetricName"])+" "+target(at(dimension, "Value"))] = alarm.Properties["Threshold"].(float64)
		}
	}
	for _, queue := range tpl.of(t, "AWS::SQS::Queue") {
		metric := "ApproximateAgeOfOldestMessage "
		if redrive(queue) == "" {
			metric = "ApproximateNumberOfMessagesVisible "
		}
		threshold, ok := watched[metric+queue.ID]
		if !ok {
			t.Errorf("nothing watches %s of %s", metric, queue.ID)
		}
		if redrive(queue) == "" && threshold != 0 {
			t.Errorf("%s: one message is one too many", queue.ID)
		}
		if redrive(queue) != "" && threshold >= queue.Properties["MessageRetentionPeriod"].(float64)/2 {
			t.Errorf("%s: an alarm at %v s leaves no time before messages are dropped", queue.ID, threshold)
		}
	}
}
