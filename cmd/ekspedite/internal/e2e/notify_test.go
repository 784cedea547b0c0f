package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"github.com/ekspedite/ekspedite/cmd/ekspedite/internal/scene"
	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/infra/local/faults"
	"github.com/ekspedite/ekspedite/shared/awscloud"
	"github.com/ekspedite/ekspedite/shared/ledger"
)

// hooks is a webhook of Slack's kind, on this machine.
type hooks struct {
	mu     sync.Mutex
	paths  []string
	bodies []string
	tokens []string
}

func (h *hooks) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.paths, h.bodies, h.tokens = append(h.paths, r.URL.Path), append(h.bodies, string(body)), append(h.tokens, r.Header.Get("Authorization"))
	if strings.HasPrefix(r.URL.Path, "/gone") {
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, "no_service")
		return
	}
	_, _ = io.WriteString(w, "ok")
}

// on counts the messages to a path whose text contains something.
func (h *hooks) on(path, text string) (n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for i := range h.paths {
		if strings.HasPrefix(h.paths[i], path) && strings.Contains(h.bodies[i], text) {
			n++
		}
	}
	return n
}

const fleetThatTells = `
apiVersion: ekspedite.dev/v1alpha1
kind: FleetPolicy
notifications:
  - name: slack
    type: Slack
    parameter: /ekspedite/notify/slack
  - name: own
    type: Webhook
    parameter: /ekspedite/notify/own
    on: [Failed]
    headers:
      - name: Authorization
        parameter: /ekspedite/notify/token
    template: |
      {"summary":{{json .Title}},"left":{{json .Run.Left}}}
  - name: mail
    type: SNS
    topicArn: %s
  - name: gone
    type: Teams
    parameter: /ekspedite/notify/gone
    on: [Failed]
`

// R25, end to end: over the bus, by the function's own binary with its role's permissions, to a webhook and a topic. The cloud is
// hostile: messages come twice. Nobody is told twice, the secrets are in no log, and what is granted is used.
func TestNotify(t *testing.T) {
	const secret = "Xo9secretXo9"
	c := cloud(t, faults.Hostile)
	h := &hooks{}
	server := httptest.NewServer(h)
	defer server.Close()
	cfg, ctx := scene.Config(c), t.Context()
	parameters := ssm.NewFromConfig(cfg)
	for name, value := range map[string]string{"slack": server.URL + "/slack/" + secret, "own": server.URL + "/own/" + secret, "gone": server.URL + "/gone/" + secret, "token": "Bearer " + secret} {
		if _, err := parameters.PutParameter(ctx, &ssm.PutParameterInput{Name: aws.String("/ekspedite/notify/" + name), Type: types.ParameterTypeSecureString, Value: &value}); err != nil {
			t.Fatal(err)
		}
	}
	topic, err := sns.NewFromConfig(cfg).CreateTopic(ctx, &sns.CreateTopicInput{Name: aws.String("ekspedite-oncall")})
	if err != nil {
		t.Fatal(err)
	}
	bus := awscloud.NewBus(cfg, "ekspedite")
	send := func(id string, p events.OwnPayload) {
		t.Helper()
		e, err := events.New(p, id, time.Now(), "", c.World.Region)
		if err == nil {
			err = bus.Publish(ctx, e)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	table, _ := c.Stack.Find("Table")
	l := &ledger.Ledger{Store: awscloud.NewStore(cfg, table.Ref), Now: time.Now}
	await := func(what string, is func() bool) {
		t.Helper()
		for deadline := time.Now().Add(90 * time.Second); !is(); time.Sleep(100 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("never: %s", what)
			}
		}
	}
	send("apply", &events.ClusterApplyRequested{RequestID: "fleet-1", Spec: fmt.Sprintf(fleetThatTells, *topic.TopicArn)})
	await("the fleet's policy", func() bool { p, err := l.FleetPolicy(ctx); return err == nil && len(p.Notifications) == 4 })

	subject := events.Subject{Cluster: "blue", Region: c.World.Region, Node: "ip-10-0-1-23.ec2.internal", InstanceID: "i-0b662ef9931388ba0"}
	now := time.Now().UTC()
	start := &events.RunStarted{RunID: "run-1", Function: "interruption", Subject: subject, Cause: events.KindSpotInterruption, StartedAt: now, Deadline: now.Add(2 * time.Minute)}
	end := &events.RunFinished{RunID: "run-1", Function: "interruption", Subject: subject, Outcome: events.OutcomePartiallyDrained, StartedAt: now, FinishedAt: now.Add(time.Minute),
		Blocked: []string{"default/web-1 by PodDisruptionBudget web"}}
	for n := range 2 { // published again, as by a drain whose invocation died
		send(fmt.Sprint("start-", n), start)
		send(fmt.Sprint("end-", n), end)
	}
	send("quiet", &events.RunFinished{RunID: "run-2", Function: "interruption", Subject: subject, Outcome: events.OutcomeNothingToDo, StartedAt: now, FinishedAt: now})
	await("all were told", func() bool {
		return h.on("/slack", "Draining node ip-10-0-1-23") > 0 && h.on("/slack", "PodDisruptionBudget web") > 0 && h.on("/own", "") > 0 && len(c.SNS.Messages(*topic.TopicArn)) > 1 // at least
	})
	dlq := queues{sqs.NewFromConfig(cfg)}
	dead := dlq.receive(t, "ekspedite-notify-dlq", 90*time.Second)
	if why := reason(dead); !strings.Contains(why, "gone: webhook: it answered 404 Not Found (no_service)") || strings.Contains(why, secret) {
		t.Errorf("the dead letter says %q", why)
	}

	// A try, as `ekspedite notify test` makes it.
	send("try-1", &events.NotificationTestRequested{RequestID: "try-1"})
	await("the try's end", func() bool {
		list, err := l.Notices(ctx, "try-1")
		settled := 0
		for _, n := range list {
			if n.State != ledger.NoticeSending {
				settled++
			}
			if want := map[bool]ledger.NoticeState{true: ledger.NoticeRefused, false: ledger.NoticeSent}[n.Target == "gone"]; n.State != ledger.NoticeSending && n.State != want {
				t.Errorf("%+v", n)
			}
		}
		return err == nil && settled == 4
	})
	dlq.empty(t, "ekspedite-notify", 4*time.Minute)

	// A message for two reports at most: they may have come in one batch or in several, and nobody was told of one twice.
	if n := h.on("/slack", "Draining node"); n != 1 {
		t.Errorf("Slack was told %d times of the start", n)
	}
	if n := h.on("/slack", "Attention: node"); n != 1 {
		t.Errorf("Slack was told %d times of the end", n)
	}
	if n := h.on("/own", `"left":["default/web-1 by PodDisruptionBudget web"]`); n != 2 { // and the try
		t.Errorf("the webhook was told %d times", n)
	}
	var subjects []string
	for _, m := range c.SNS.Messages(*topic.TopicArn) {
		if strings.Contains(m.Subject, "node ip-10-0-1-23") { // and not of the fleet's policy, which was a run as well
			subjects = append(subjects, m.Subject)
		}
	}
	if len(subjects) != 3 {
		t.Errorf("%q", subjects)
	}
	for i, body := range h.bodies {
		if !json.Valid([]byte(body)) {
			t.Errorf("%s: %s", h.paths[i], body)
		}
		if own := strings.HasPrefix(h.paths[i], "/own"); own != (h.tokens[i] == "Bearer "+secret) {
			t.Errorf("%s has the token %q", h.paths[i], h.tokens[i])
		}
	}
	for _, group := range []string{"NotifyLogGroup", "ClusterLogGroup"} {
		r, _ := c.Stack.Find(group)
		lines := strings.Join(c.Logs.Lines(r.Ref), "\n")
		if strings.Contains(lines, secret) {
			t.Errorf("%s has a secret:\n%s", group, lines)
		}
		if group == "NotifyLogGroup" && !strings.Contains(lines, `"target":"slack"`) {
			t.Errorf("%s:\n%s", group, lines)
		}
	}
	for _, d := range c.IAM.Denied() {
		t.Errorf("denied: %+v", d)
	}
	unusedOf(t, c, "NotifyFunctionRole", map[string]string{
		"DecryptWebhooks kms:Decrypt":                 "a key of the user's own: the parameters here are encrypted with that of Systems Manager",
		"ReleaseMessages sqs:ChangeMessageVisibility": "a call that fails: the tests of package handler",
		"DeferToItself sqs:SendMessage":               "a duplicate that meets its double: the tests of package work/notify",
		"Report events:PutEvents":                     "the function reports nothing by now",
		"Trace xray:PutTraceSegments":                 "Lambda itself, on AWS",
		"Trace xray:PutTelemetryRecords":              "as above",
	})
}
