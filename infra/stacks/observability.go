package stacks

import (
	"encoding/json"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/jsii-runtime-go"

	"github.com/ekspedite/ekspedite/infra/constructs"
)

// DashboardName is the dashboard's. It stands in the stack of the functions: it shows their queues and log groups, and goes with
// them.
const DashboardName = "ekspedite"

// metricsNamespace is that of the functions' own metrics; see package obs.
const metricsNamespace = "ekspedite"

// observed is a function on the dashboard.
type observed struct {
	name, title string
	worker      *constructs.Worker
}

// series is one line of a graph: a metric of the functions' own, by the dimension of the function.
type series struct {
	metric, statistic, label string
}

// graph is one widget.
type graph struct {
	title, unit string
	series      []series
}

// interruptionGraphs are what somebody looks at who asks whether interruptions are handled (rule R28).
var interruptionGraphs = []graph{
	{"Received and acted on", "messages", []series{
		{"RecordsAck", "Sum", "done or nobody's"}, {"RecordsDefer", "Sum", "goes on later"}, {"RecordsRetry", "Sum", "tried again"}, {"RecordsReject", "Sum", "given up"},
		{"EventsIgnored", "Sum", "ignored"}, {"EventsUnknown", "Sum", "unknown"},
	}},
	{"Event to cordon", "ms", []series{{"EventAgeAtCordon", "p50", "p50"}, {"EventAgeAtCordon", "p99", "p99"}, {"EventAgeAtCordon", "Maximum", "worst"}}},
	{"Drains: how long", "ms", []series{{"DrainDuration", "p50", "p50"}, {"DrainDuration", "p99", "p99"}}},
	{"Time left at the end of drains", "ms", []series{{"DeadlineMargin", "Minimum", "least"}, {"DeadlineMargin", "p50", "p50"}}},
	{"Pods", "pods", []series{{"PodsEvicted", "Sum", "evicted"}, {"PodsForced", "Sum", "forced"}, {"EvictionsRefused", "Sum", "refused for a while"}}},
	{"What came of drains", "runs", []series{
		{"RunsDrained", "Sum", "drained"}, {"RunsPartiallyDrained", "Sum", "partly"}, {"RunsNodeRemoved", "Sum", "removed"}, {"RunsNodeKept", "Sum", "kept"},
	}},
}

var notifyGraphs = []graph{
	{"Notifications", "messages", []series{
		{"NotificationsSent", "Sum", "sent"}, {"NotificationsMerged", "Sum", "reports in another's message"}, {"NotificationsRefused", "Sum", "refused"},
		{"NotificationsUnknown", "Sum", "no answer"},
	}},
}

const (
	graphWidth  = 8 // of 24
	graphHeight = 6
)

// newDashboard makes one dashboard: the interruption row first, then each function's queue, and what people were told.
func newDashboard(stack awscdk.Stack, linked *constructs.Worker, functions []observed) {
	var widgets []any
	x, y := 0, 0
	place := func(width, height int, kind string, properties map[string]any) {
		if x+width > 24 {
			x, y = 0, y+graphHeight
		}
		widgets = append(widgets, map[string]any{"type": kind, "x": x, "y": y, "width": width, "height": height, "properties": properties})
		x += width
	}
	row := func(text string) {
		if x > 0 {
			x, y = 0, y+graphHeight
		}
		place(24, 1, "text", map[string]any{"markdown": "## " + text})
		x, y = 0, y+1
	}
	row("Interruptions")
	for _, g := range interruptionGraphs {
		place(graphWidth, graphHeight, "metric", g.widget(interruption))
	}
	row("Queues")
	for _, f := range functions {
		queue, dead := *f.worker.Queue.QueueName(), *f.worker.DeadLetters.QueueName()
		place(graphWidth, graphHeight, "metric", map[string]any{
			"title": f.title + ": waiting messages, and dead letters", "view": "timeSeries", "region": *awscdk.Aws_REGION(), "period": 60,
			"metrics": []any{
				[]any{"AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", queue, map[string]any{"stat": "Maximum", "label": "waiting"}},
				[]any{"AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", dead, map[string]any{"stat": "Maximum", "label": "dead letters"}},
				[]any{"AWS/SQS", "ApproximateAgeOfOldestMessage", "QueueName", queue, map[string]any{"stat": "Maximum", "label": "oldest message, s", "yAxis": "right"}},
			},
		})
	}
	row("Notifications")
	for _, g := range notifyGraphs {
		place(graphWidth, graphHeight, "metric", g.widget(notify))
	}
	body, err := json.Marshal(map[string]any{"widgets": widgets})
	if err != nil {
		panic(err) // texts and numbers
	}
	d := awscloudwatch.NewCfnDashboard(stack, jsii.String("Dashboard"), &awscloudwatch.CfnDashboardProps{
		DashboardName: jsii.String(DashboardName), DashboardBody: jsii.String(string(body)),
	})
	d.OverrideLogicalId(jsii.String("Dashboard"))
	linked.Tell("EKSPEDITE_DASHBOARD", jsii.String(DashboardName))
}

// widget is a graph of one function's metrics.
func (g graph) widget(function string) map[string]any {
	var metrics []any
	for _, s := range g.series {
		metrics = append(metrics, []any{metricsNamespace, s.metric, "function", function, map[string]any{"stat": s.statistic, "label": s.label}})
	}
	return map[string]any{
		"title": g.title, "view": "timeSeries", "region": *awscdk.Aws_REGION(), "period": 60, "metrics": metrics,
		"yAxis": map[string]any{"left": map[string]any{"label": g.unit, "showUnits": false, "min": 0}},
	}
}
