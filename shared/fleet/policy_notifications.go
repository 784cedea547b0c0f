package fleet

import (
	"slices"
	"strings"
	"time"
)

// NotificationType is how a target is told.
type NotificationType string

// The kinds of targets.
const (
	NotifySNS     NotificationType = "SNS"
	NotifySlack   NotificationType = "Slack"   // an incoming webhook
	NotifyTeams   NotificationType = "Teams"   // a webhook of Workflows (Power Automate)
	NotifyWebhook NotificationType = "Webhook" // anything that takes a POST
)

// Moment is when in a run a target is told.
type Moment string

// The moments of a run. Failed is a Finished that somebody has to look at; who asks for Finished gets these, too.
const (
	MomentStarted  Moment = "Started"
	MomentFinished Moment = "Finished"
	MomentFailed   Moment = "Failed"
	MomentTest     Moment = "Test" // of no run: somebody tries the target
)

// NotificationTarget is somebody who is told of runs.
type NotificationTarget struct {
	// Name is unique in its policy. A cluster's target takes the place of the fleet's of the same name.
	Name string           `json:"name"`
	Type NotificationType `json:"type"`
	// TopicARN is an SNS topic's; its name begins with ekspedite-.
	TopicARN string `json:"topicArn,omitempty"`
	// Parameter is the name of the SSM parameter (SecureString) that holds the webhook's URL. The URL itself is never kept.
	Parameter string `json:"parameter,omitempty"`
	// URL is a webhook's that is no secret, in place of Parameter.
	URL string `json:"url,omitempty"`
	// On are the moments.
	On []Moment `json:"on"`
	// Functions are those whose runs it is told of: interruption, upgrade, cluster, scaling.
	Functions []string `json:"functions"`
	// Outcomes are those of a finished run that it is told of; none is all that did something.
	Outcomes []string `json:"outcomes,omitempty"`
	// Template is a Go text/template for the body of a Webhook; "" is JSON with everything.
	Template string `json:"template,omitempty"`
	// Headers of a Webhook's request.
	Headers []NotificationHeader `json:"headers,omitempty"`
}

// NotificationHeader is a header of a webhook's request: with a value that is no secret, or with the name of the SSM parameter
// that holds it.
type NotificationHeader struct {
	Name      string `json:"name"`
	Value     string `json:"value,omitempty"`
	Parameter string `json:"parameter,omitempty"`
}

// ParameterPrefix is where the parameters are that targets may name: the notify function can read no others.
const ParameterPrefix = "/ekspedite/notify/"

// TopicPrefix is how the names of topics begin that the notify function may publish to.
const TopicPrefix = "ekspedite-"

// NotifyTimeout is how long an answer of a target is waited for.
const NotifyTimeout = 5 * time.Second

// NotifiedFunctions are the functions of whose runs targets can be told, and those that they are told of unless they say
// otherwise: scaling has a run for every change of a cluster's size.
var (
	NotifiedFunctions      = []string{"cluster", "interruption", "scaling", "upgrade"}
	NotifiedUnlessSaidElse = []string{"cluster", "interruption", "upgrade"}
)

// Notified joins the targets of a cluster and of the fleet. A cluster's own takes the place of the fleet's of the same name.
func Notified(cluster, all []NotificationTarget) []NotificationTarget {
	out := slices.Clone(cluster)
	for _, t := range all {
		if !slices.ContainsFunc(cluster, func(c NotificationTarget) bool { return c.Name == t.Name }) {
			out = append(out, t)
		}
	}
	slices.SortStableFunc(out, func(a, b NotificationTarget) int { return strings.Compare(a.Name, b.Name) })
	return out
}
