package spec

import (
	"encoding/json"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

// notificationRules are targets with one thing wrong, the path that is named, the line of the target, and what is said.
var notificationRules = []struct {
	text, path string
	line       int
	says       string
}{
	{"type: Slack\nparameter: /ekspedite/notify/x", "name", 1, "is missing"},
	{"name: a b\ntype: Slack\nparameter: /ekspedite/notify/x", "name", 1, "letters, digits"},
	{"name: a\nparameter: /ekspedite/notify/x", "", 1, "says no type"},
	{"name: a\ntype: slack\nparameter: /ekspedite/notify/x", "type", 2, `must be written "Slack"`},
	{"name: a\ntype: Pager\nparameter: /ekspedite/notify/x", "type", 2, "must be one of SNS, Slack, Teams, Webhook"},
	{"name: a\ntype: Slack", "", 1, "put the webhook's URL into an SSM parameter"},
	{"name: a\ntype: Slack\nparameter: /other/x", "parameter", 3, "below /ekspedite/notify/"},
	{"name: a\ntype: Slack\nparameter: https://hooks.slack.com/services/T/B/xyz", "parameter", 3, "below /ekspedite/notify/"},
	{"name: a\ntype: Slack\nparameter: /ekspedite/notify/x\nurl: https://example.com", "url", 4, "exclude each other"},
	{"name: a\ntype: Webhook\nurl: http://example.com", "url", 3, "must begin with https://"},
	{"name: a\ntype: Webhook\nurl: https://169.254.169.254/latest", "url", 3, "link-local"},
	{"name: a\ntype: Webhook\nurl: https://u:p@example.com", "url", 3, "a user or a password"},
	{"name: a\ntype: Webhook\nurl: nonsense", "url", 3, "must be a URL"},
	{"name: a\ntype: SNS", "topicArn", 1, "is missing"},
	{"name: a\ntype: SNS\ntopicArn: oncall", "topicArn", 3, "must be the ARN"},
	{"name: a\ntype: SNS\ntopicArn: arn:aws:sns:us-east-1:123456789012:ekspedite-x.fifo", "topicArn", 3, "standard SNS topic"},
	{"name: a\ntype: SNS\ntopicArn: arn:aws:sns:us-east-1:123456789012:oncall", "topicArn", 3, "begin with ekspedite-"},
	{"name: a\ntype: SNS\ntopicArn: arn:aws:sns:us-east-1:123456789012:ekspedite-x\nparameter: /ekspedite/notify/x", "parameter", 4, "exclude each other"},
	{"name: a\ntype: Slack\nparameter: /ekspedite/notify/x\ntopicArn: x", "topicArn", 4, "exclude each other"},
	{"name: a\ntype: Slack\nparameter: /ekspedite/notify/x\non: [Begun]", "on[0]", 4, "must be one of Started, Finished, Failed"},
	{"name: a\ntype: Slack\nparameter: /ekspedite/notify/x\non: []", "on", 4, "is empty"},
	{"name: a\ntype: Slack\nparameter: /ekspedite/notify/x\nfunctions: [doorbell]", "functions[0]", 4, "must be one of"},
	{"name: a\ntype: Slack\nparameter: /ekspedite/notify/x\noutcomes: [went well]", "outcomes[0]", 4, "like PartiallyDrained"},
	{"name: a\ntype: Slack\nparameter: /ekspedite/notify/x\ntemplate: x", "template", 4, "exclude each other"},
	{"name: a\ntype: Slack\nparameter: /ekspedite/notify/x\nheaders: [{name: X-A, value: b}]", "headers", 4, "exclude each other"},
	{"name: a\ntype: Webhook\nparameter: /ekspedite/notify/x\nheaders: [{name: Host, value: b}]", "headers[0].name", 4, "set by ekspedite"},
	{"name: a\ntype: Webhook\nparameter: /ekspedite/notify/x\nheaders: [{name: 'X A', value: b}]", "headers[0].name", 4, "letters, digits and -"},
	{"name: a\ntype: Webhook\nparameter: /ekspedite/notify/x\nheaders: [{name: X-A}]", "headers[0]", 4, "has no value"},
	{"name: a\ntype: Webhook\nparameter: /ekspedite/notify/x\nheaders: [{name: X-A, value: b}, {name: x-a, value: c}]", "headers[1].name", 4, "there twice"},
	{"name: a\ntype: Webhook\nparameter: /ekspedite/notify/x\nheaders: [{name: X-A, value: b, parameter: /ekspedite/notify/y}]", "headers[0].value", 4, "exclude each other"},
	{"name: a\ntype: Webhook\nparameter: /ekspedite/notify/x\nheaders: [{name: X-A, value: \"b\\nc\"}]", "headers[0].value", 4, "printable"},
	{"name: a\ntype: Webhook\nparameter: /ekspedite/notify/x\ntemplate: |\n  {\n    \"a\": {{json .Titel}}\n  }", "template", 6, "can't evaluate field Titel"},
	{"name: a\ntype: Webhook\nparameter: /ekspedite/notify/x\ntemplate: |\n  {{exec \"x\"}}", "template", 5, `function "exec" not defined`},
	{"name: a\ntype: Webhook\nparameter: /ekspedite/notify/x\ntemplate: '{{.Title'", "template", 4, "unclosed action"},
	{"name: a\ntype: Webhook\nparameter: /ekspedite/notify/x\ntemplate: '{{.Title}}'", "template", 4, "gives no JSON"},
}

func TestNotificationRules(t *testing.T) {
	for _, rule := range notificationRules {
		lines := strings.Split(rule.text, "\n")
		for _, head := range []string{"apiVersion: ekspedite.dev/v1alpha1\nkind: FleetPolicy\n", clusterHead + "---\napiVersion: ekspedite.dev/v1alpha1\nkind: ClusterPolicy\n"} {
			text := head + "notifications:\n  - " + strings.Join(lines, "\n    ") + "\n"
			_, report := Read([]byte(text))
			path := strings.TrimSuffix("notifications[0]."+rule.path, ".")
			line := strings.Count(head, "\n") + 1 + rule.line
			if !slices.ContainsFunc(report.Errors, func(p Problem) bool {
				return p.Path == path && p.Line == line && strings.Contains(p.Message, rule.says)
			}) {
				t.Errorf("%s\nwant line %d: %s: … %s …\ngot %v", text, line, path, rule.says, report)
			}
			if strings.Contains(report.String(), "xyz") {
				t.Errorf("a secret that was put in the wrong place is repeated: %v", report)
			}
		}
	}
}

const clusterHead = "apiVersion: eksctl.io/v1alpha5\nkind: ClusterConfig\nmetadata: {name: a, region: us-east-1, version: '1.36'}\n"

// TestNotificationExample: the example says something of everything, and all of it is read.
func TestNotificationExample(t *testing.T) {
	text, err := os.ReadFile("../../examples/clusters/notifications.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(notificationFields) {
		if name := strings.TrimSpace(line); !strings.Contains(string(text), name+":") {
			t.Errorf("the example does not show %s", name)
		}
	}
	f, report := Read(text)
	if len(report.Errors) > 0 || len(report.Warnings) > 0 {
		t.Fatal(report)
	}
	own, all := f.Clusters[0].Policy.Notifications, f.Fleet.Notifications
	want := fleet.NotificationTarget{Name: "slack-oncall", Type: fleet.NotifySlack, Parameter: "/ekspedite/notify/slack-oncall",
		On: []fleet.Moment{fleet.MomentStarted, fleet.MomentFinished}, Functions: []string{"interruption"}}
	if !reflect.DeepEqual(own[0], want) {
		t.Errorf("%+v", own[0])
	}
	if p := own[1]; p.Headers[0].Parameter != "/ekspedite/notify/pager-token" || p.Headers[1].Value != "platform" || !strings.HasPrefix(p.Template, "{\n") || len(p.Outcomes) != 2 {
		t.Errorf("%+v", p)
	}
	var names []string
	for _, n := range fleet.Notified(own, all) {
		names = append(names, n.Name)
	}
	if !slices.Equal(names, []string{"mail", "pager", "slack-oncall", "teams"}) || !slices.Equal(all[0].Functions, fleet.NotifiedUnlessSaidElse) {
		t.Errorf("%v, %+v", names, all)
	}
	// A cluster's own takes the place of the fleet's of the same name.
	if got := fleet.Notified([]fleet.NotificationTarget{{Name: "teams", Type: fleet.NotifySNS}}, all); len(got) != 2 || got[1].Type != fleet.NotifySNS {
		t.Errorf("%+v", got)
	}
	// The ledger keeps it as JSON.
	data, err := json.Marshal(f.Clusters[0].Policy)
	if err != nil {
		t.Fatal(err)
	}
	var back fleet.Policy
	if err := json.Unmarshal(data, &back); err != nil || !reflect.DeepEqual(back.Notifications, own) {
		t.Errorf("%+v, %v", back.Notifications, err)
	}
}
