package e2e

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/ekspedite/ekspedite/cmd/ekspedite/internal/scene"
	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/events/samples"
	"github.com/ekspedite/ekspedite/infra/local"
	"github.com/ekspedite/ekspedite/infra/local/faults"
	"github.com/ekspedite/ekspedite/shared/awscloud"
)

// queues are the two functions' queues as a customer sees them.
type queues struct {
	api *sqs.Client
}

func (q queues) url(t *testing.T, name string) *string {
	t.Helper()
	out, err := q.api.GetQueueUrl(t.Context(), &sqs.GetQueueUrlInput{QueueName: &name})
	if err != nil {
		t.Fatal(err)
	}
	return out.QueueUrl
}

func (q queues) send(t *testing.T, queue, body string) {
	t.Helper()
	if _, err := q.api.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: q.url(t, queue), MessageBody: &body}); err != nil {
		t.Fatal(err)
	}
}

// receive waits for one message.
func (q queues) receive(t *testing.T, queue string, patience time.Duration) types.Message {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for ctx.Err() == nil {
		out, err := q.api.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
			QueueUrl: q.url(t, queue), WaitTimeSeconds: 5, MessageAttributeNames: []string{"All"},
		})
		if err == nil && len(out.Messages) > 0 {
			m := out.Messages[0]
			if _, err := q.api.DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: q.url(t, queue), ReceiptHandle: m.ReceiptHandle}); err != nil {
				t.Fatal(err)
			}
			return m
		}
	}
	t.Fatalf("nothing arrived in %s within %s", queue, patience)
	return types.Message{}
}

// empty waits until a queue holds nothing, in flight or delayed.
func (q queues) empty(t *testing.T, queue string, patience time.Duration) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		out, err := q.api.GetQueueAttributes(t.Context(), &sqs.GetQueueAttributesInput{QueueUrl: q.url(t, queue),
			AttributeNames: []types.QueueAttributeName{"ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible", "ApproximateNumberOfMessagesDelayed"}})
		if err != nil {
			t.Fatal(err)
		}
		left := ""
		for _, v := range out.Attributes {
			left += strings.Trim(v, "0")
		}
		if left == "" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s is not empty after %s: %v", queue, patience, out.Attributes)
		}
		time.Sleep(50 * time.Millisecond) // between two looks; the deadline decides
	}
}

func reason(m types.Message) string {
	return aws.ToString(m.MessageAttributes[awscloud.AttributeReason].StringValue)
}

// Malformed messages end in the dead-letter queue, with the reason, at once; unknown and foreign ones are acknowledged.
func TestBadInputEndsWhereItShould(t *testing.T) {
	c := cloud(t, faults.None)
	q := queues{sqs.NewFromConfig(scene.Config(c))}
	big := `{"version":"0","id":"1","source":"aws.ec2","detail-type":"EC2 Spot Instance Interruption Warning","account":"123456789012","region":"us-east-1","time":"2026-01-01T00:00:00Z","resources":[],"detail":{"instance-action":"terminate","instance-id":"` + strings.Repeat("x", 256<<10) + `"}}`

	for name, want := range map[string]struct{ body, reason string }{
		"not JSON":         {"{", "decode"},
		"a list":           {"[1,2]", "decode"},
		"no instance id":   {`{"version":"0","id":"1","source":"aws.ec2","detail-type":"EC2 Spot Instance Interruption Warning","account":"123456789012","region":"us-east-1","time":"2026-01-01T00:00:00Z","resources":[],"detail":{"instance-action":"terminate"}}`, "instance-id"},
		"256 KiB of waste": {big, "instance-id"},
	} {
		q.send(t, "ekspedite-interruption", want.body)
		m := q.receive(t, "ekspedite-interruption-dlq", 30*time.Second)
		if aws.ToString(m.Body) != want.body {
			t.Errorf("%s: the dead-letter queue has another body than was sent", name)
		}
		if !strings.Contains(reason(m), want.reason) {
			t.Errorf("%s: the reason is %q, it should speak of %q", name, reason(m), want.reason)
		}
	}

	unknown := `{"version":"0","id":"1","source":"com.example","detail-type":"Tea Is Ready","account":"123456789012","region":"us-east-1","time":"2026-01-01T00:00:00Z","resources":[],"detail":{}}`
	q.send(t, "ekspedite-interruption", unknown)
	for _, s := range samples.Of(events.KindSpotInterruption) { // well-formed, of an instance that nobody has
		q.send(t, "ekspedite-interruption", string(s.Body))
	}
	q.empty(t, "ekspedite-interruption", 30*time.Second)
	q.empty(t, "ekspedite-interruption-dlq", time.Second)
	noWrites(t, c)
}

// noWrites fails if the interruption function changed anything.
func noWrites(t *testing.T, c *local.Cloud) {
	t.Helper()
	for _, g := range c.IAM.Report() {
		if g.Sid == "ReplaceNodes" && g.Calls > 0 {
			t.Errorf("%s was used %d times", g.Action, g.Calls)
		}
	}
}

// A wrong config file names all of its mistakes at once, with their lines, in the report and on the dead-letter queue.
func TestWrongSpecNamesAllMistakes(t *testing.T) {
	c := cloud(t, faults.None)
	q := queues{sqs.NewFromConfig(scene.Config(c))}
	s := scene.New(c)
	const spec = `apiVersion: eksctl.io/v1alpha5
kind: ClusterConfig
metadata:
  name: "not a name!"
  region: us-east-1
  version: "9.99"
managedNodeGroups:
  - name: workers
    desiredCapacity: three
`
	_, err := s.Apply(t.Context(), spec, "not a name!", time.Second)
	if err == nil {
		t.Fatal("a wrong spec was accepted")
	}
	m := q.receive(t, "ekspedite-cluster-dlq", 30*time.Second)
	for _, line := range []string{"line 4", "line 6", "line 9"} {
		if !strings.Contains(reason(m), line) {
			t.Errorf("the reason does not speak of %s:\n%s", line, reason(m))
		}
	}
}
