package sqs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/wire"
	"github.com/ekspedite/ekspedite/infra/local/world"
)

// harness calls the operations as the gateway would.
type harness struct {
	t testing.TB
	*Service
	call *wire.Call
}

func newHarness(t testing.TB, faults Faults) *harness {
	w := world.New("111122223333", "eu-central-1", world.Fast, 1, slog.New(slog.DiscardHandler))
	t.Cleanup(w.Close)
	allow := func(policy json.RawMessage, principal, _, _ string, c map[string][]string) bool {
		return strings.Contains(string(policy), principal) && strings.Contains(string(policy), c["aws:SourceArn"][0])
	}
	return &harness{t, New(w, func() string { return "http://127.0.0.1:9" }, allow, faults), &wire.Call{Endpoint: "http://localhost:1", Caller: wire.Principal{UserID: "AROAX:session"}}}
}

func (h *harness) queue(name string, attrs map[string]string) (url string) {
	h.t.Helper()
	out, err := h.createQueue(context.Background(), h.call, &createInput{QueueName: name, Attributes: attrs})
	if err != nil {
		h.t.Fatal(err)
	}
	return out.QueueURL
}

func (h *harness) put(url, body string, change ...func(*sendInput)) *sendOutput {
	h.t.Helper()
	in := &sendInput{queueInput: queueInput{url}, entry: entry{MessageBody: body}}
	for _, c := range change {
		c(in)
	}
	out, err := h.sendMessage(context.Background(), h.call, in)
	if err != nil {
		h.t.Fatal(err)
	}
	return out
}

func (h *harness) get(url string, max, wait int) []Message {
	h.t.Helper()
	out, err := h.receiveMessage(context.Background(), h.call, &receiveInput{queueInput: queueInput{url}, MaxNumberOfMessages: &max,
		WaitTimeSeconds: &wait, AttributeNames: []string{"All"}, MessageAttributeNames: []string{"All"}})
	if err != nil {
		h.t.Fatal(err)
	}
	return out.Messages
}

func (h *harness) drop(url string, m Message) {
	h.t.Helper()
	if _, err := h.deleteMessage(context.Background(), h.call, &deleteInput{queueInput{url}, m.ReceiptHandle}); err != nil {
		h.t.Fatal(err)
	}
}

func (h *harness) attribute(url, name string) string {
	h.t.Helper()
	out, err := h.getQueueAttributes(context.Background(), h.call, &getAttributesInput{queueInput{url}, []string{name}})
	if err != nil {
		h.t.Fatal(err)
	}
	return out.Attributes[name]
}

func (h *harness) counts(url string) string {
	h.t.Helper()
	return h.attribute(url, "ApproximateNumberOfMessages") + "/" + h.attribute(url, "ApproximateNumberOfMessagesNotVisible") + "/" + h.attribute(url, "ApproximateNumberOfMessagesDelayed")
}

func bodies(ms []Message) string {
	var b []string
	for _, m := range ms {
		b = append(b, m.Body)
	}
	return strings.Join(b, " ")
}

func wantCode(t *testing.T, err error, code string) {
	t.Helper()
	var e *wire.Error
	if !errors.As(err, &e) || e.Code != code && e.QueryCode != code {
		t.Errorf("got error %v, want %s", err, code)
	}
}

func TestVisibility(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, Faults{})
		u := h.queue("q", map[string]string{"VisibilityTimeout": "30"})
		h.put(u, "a")
		first := h.get(u, 10, 0)
		if len(first) != 1 || len(h.get(u, 10, 0)) != 0 || h.counts(u) != "0/1/0" {
			t.Fatalf("received %v, then counts %s", first, h.counts(u))
		}
		time.Sleep(30*time.Second - time.Nanosecond)
		if got := h.get(u, 10, 0); len(got) != 0 {
			t.Fatal("visible too early")
		}
		time.Sleep(time.Nanosecond)
		second := h.get(u, 10, 0)
		if len(second) != 1 || second[0].Attributes["ApproximateReceiveCount"] != "2" || second[0].ReceiptHandle == first[0].ReceiptHandle {
			t.Fatalf("second receive: %+v", second)
		}
		h.drop(u, first[0]) // an old handle deletes nothing
		if h.counts(u) != "0/1/0" {
			t.Errorf("after the old handle: %s", h.counts(u))
		}
		extend := func(seconds int) error {
			_, err := h.changeVisibility(context.Background(), h.call, &visibilityInput{queueInput{u}, visibilityEntry{ReceiptHandle: second[0].ReceiptHandle, VisibilityTimeout: &seconds}})
			return err
		}
		if err := extend(100); err != nil {
			t.Fatal(err)
		}
		time.Sleep(99 * time.Second)
		if h.counts(u) != "0/1/0" {
			t.Errorf("after the extension: %s", h.counts(u))
		}
		if err := extend(0); err != nil || h.counts(u) != "1/0/0" {
			t.Errorf("made visible: %v, %s", err, h.counts(u))
		}
		wantCode(t, extend(5), "MessageNotInflight")
		third := h.get(u, 10, 0)
		h.drop(u, third[0])
		h.drop(u, third[0]) // twice is fine
		if h.counts(u) != "0/0/0" {
			t.Errorf("after delete: %s", h.counts(u))
		}
	})
}

func TestLongPollWakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, Faults{})
		u := h.queue("q", nil)
		start := time.Now()
		if got := h.get(u, 1, 20); len(got) != 0 || time.Since(start) != 20*time.Second {
			t.Errorf("empty long poll: %v after %s", got, time.Since(start))
		}
		for name, cause := range map[string]func(){
			"send": func() { h.put(u, "x") },
			"message delay": func() {
				three := 3
				h.put(u, "x", func(i *sendInput) { i.DelaySeconds = &three })
			},
		} {
			begin := time.Now()
			go func() {
				time.Sleep(5 * time.Second)
				cause()
			}()
			got := h.get(u, 1, 20)
			want := map[string]time.Duration{"send": 5 * time.Second, "message delay": 8 * time.Second}[name]
			if len(got) != 1 || time.Since(begin) != want {
				t.Fatalf("%s: %v after %s, want %s", name, got, time.Since(begin), want)
			}
			h.drop(u, got[0])
		}
		// The visibility timeout of another consumer ends while we wait; and a queue may go away.
		h.put(u, "y")
		h.get(u, 1, 0)
		begin := time.Now()
		time.Sleep(15 * time.Second)
		if got := h.get(u, 1, 20); len(got) != 1 || time.Since(begin) != 30*time.Second {
			t.Errorf("timed-out message: %v after %s", got, time.Since(begin))
		}
		go func() {
			time.Sleep(time.Second)
			_, _ = h.deleteQueue(context.Background(), h.call, &queueInput{u})
		}()
		wait := 20
		_, err := h.receiveMessage(context.Background(), h.call, &receiveInput{queueInput: queueInput{u}, WaitTimeSeconds: &wait})
		wantCode(t, err, "AWS.SimpleQueueService.NonExistentQueue")
		_, err = h.createQueue(context.Background(), h.call, &createInput{QueueName: "q"})
		wantCode(t, err, "QueueDeletedRecently")
		time.Sleep(time.Minute)
		h.queue("q", nil)
	})
}

func TestRetentionAndPurge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, Faults{})
		u := h.queue("q", map[string]string{"MessageRetentionPeriod": "60"})
		h.put(u, "old")
		time.Sleep(59 * time.Second)
		h.put(u, "new")
		time.Sleep(time.Second)
		if got := bodies(h.get(u, 10, 0)); got != "new" {
			t.Errorf("after the retention period: %q", got)
		}
		h.put(u, "x")
		if _, err := h.purgeQueue(context.Background(), h.call, &queueInput{u}); err != nil || h.counts(u) != "0/0/0" {
			t.Errorf("purge: %v, %s", err, h.counts(u))
		}
		_, err := h.purgeQueue(context.Background(), h.call, &queueInput{u})
		wantCode(t, err, "AWS.SimpleQueueService.PurgeQueueInProgress")
	})
}

func TestRedriveAndMove(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, Faults{})
		d := h.queue("dlq", nil)
		arn := h.attribute(d, "QueueArn")
		u := h.queue("q", map[string]string{"VisibilityTimeout": "1", "RedrivePolicy": `{"deadLetterTargetArn":"` + arn + `","maxReceiveCount":"2"}`})
		v := "v"
		sent := h.put(u, "poison", func(i *sendInput) {
			i.MessageAttributes = map[string]Attribute{"k": {DataType: "String", StringValue: &v}}
		})
		for range 2 {
			if len(h.get(u, 1, 0)) != 1 {
				t.Fatal("not received")
			}
			time.Sleep(time.Second)
		}
		if len(h.get(u, 1, 0)) != 0 {
			t.Fatal("received a third time")
		}
		got := h.get(d, 1, 0)
		if len(got) != 1 || got[0].ID != sent.MessageID || *got[0].MessageAttributes["k"].StringValue != "v" || got[0].Attributes["DeadLetterQueueSourceArn"] != h.attribute(u, "QueueArn") {
			t.Fatalf("dead letter: %+v", got)
		}
		if err := h.Release(arn, []string{got[0].ReceiptHandle}); err != nil {
			t.Fatal(err)
		}
		sources, err := h.listDeadLetterSourceQueues(context.Background(), h.call, &listSourcesInput{queueInput: queueInput{d}})
		if err != nil || len(sources.QueueUrls) != 1 || sources.QueueUrls[0] != u {
			t.Errorf("sources: %v, %v", sources, err)
		}
		_, err = h.startMessageMoveTask(context.Background(), h.call, &startMoveInput{SourceArn: h.attribute(u, "QueueArn")})
		wantCode(t, err, "InvalidParameterValue")
		for i := range 9 {
			h.move(t, d, u, fmt.Sprint(i))
		}
		one := 1
		task, err := h.startMessageMoveTask(context.Background(), h.call, &startMoveInput{SourceArn: arn, MaxNumberOfMessagesPerSecond: &one})
		if err != nil {
			t.Fatal(err)
		}
		_, err = h.startMessageMoveTask(context.Background(), h.call, &startMoveInput{SourceArn: arn})
		wantCode(t, err, "UnsupportedOperation")
		time.Sleep(3500 * time.Millisecond)
		canceled, err := h.cancelMessageMoveTask(context.Background(), h.call, &cancelMoveInput{task.TaskHandle})
		if err != nil || canceled.ApproximateNumberOfMessagesMoved != 3 {
			t.Fatalf("canceled: %+v, %v", canceled, err)
		}
		synctest.Wait()
		if _, err = h.startMessageMoveTask(context.Background(), h.call, &startMoveInput{SourceArn: arn, DestinationArn: h.attribute(u, "QueueArn")}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		ten := 10
		tasks, err := h.listMessageMoveTasks(context.Background(), h.call, &listMovesInput{arn, &ten})
		if err != nil || len(tasks.Results) != 2 || tasks.Results[0].Status != "COMPLETED" || tasks.Results[0].ApproximateNumberOfMessagesMoved != 7 || tasks.Results[1].Status != "CANCELLED" {
			t.Errorf("tasks: %+v, %v", tasks, err)
		}
		back := h.get(u, 10, 0)
		if len(back) != 10 || back[0].ID == sent.MessageID || back[0].Attributes["ApproximateReceiveCount"] != "1" || h.counts(d) != "0/0/0" {
			t.Errorf("moved back: %d messages, first %+v; dead-letter queue %s", len(back), back[0], h.counts(d))
		}
	})
}

// move puts a message into the dead-letter queue by receiving it too often.
func (h *harness) move(t *testing.T, d, u, body string) {
	t.Helper()
	before := h.attribute(d, "ApproximateNumberOfMessages")
	h.put(u, body)
	for range 2 {
		h.get(u, 1, 0)
		time.Sleep(time.Second)
	}
	h.get(u, 1, 0)
	if h.attribute(d, "ApproximateNumberOfMessages") == before {
		t.Fatal("the message did not move")
	}
}

func TestFIFO(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, Faults{Duplicate: func() bool { return true }, Reorder: func() bool { return true }})
		u := h.queue("q.fifo", map[string]string{"FifoQueue": "true", "ContentBasedDeduplication": "true"})
		in := func(group string) func(*sendInput) { return func(i *sendInput) { i.MessageGroupID = group } }
		a := h.put(u, "a1", in("a"))
		if again := h.put(u, "a1", in("a")); again.MessageID != a.MessageID || again.SequenceNumber != a.SequenceNumber {
			t.Errorf("a duplicate got %+v, the first %+v", again, a)
		}
		h.put(u, "a2", in("a"))
		h.put(u, "b1", in("b"))
		h.put(u, "a3", in("a"))
		first := h.get(u, 2, 0)
		if bodies(first) != "a1 a2" {
			t.Fatalf("first batch %q", bodies(first))
		}
		if got := bodies(h.get(u, 10, 0)); got != "b1" {
			t.Fatalf("while group a is in flight: %q", got)
		}
		done := make(chan string)
		go func() { done <- bodies(h.get(u, 10, 20)) }()
		synctest.Wait()
		h.drop(u, first[0])
		h.drop(u, first[1])
		if got := <-done; got != "a3" {
			t.Errorf("after the deletes: %q", got)
		}
		time.Sleep(31 * time.Second)
		h.drop(u, first[0]) // gone already
		if again := bodies(h.get(u, 10, 0)); again != "b1 a3" {
			t.Errorf("after the visibility timeout: %q", again)
		}
		time.Sleep(5 * time.Minute)
		if again := h.put(u, "a1", in("a")); again.MessageID == a.MessageID {
			t.Error("still deduplicated after five minutes")
		}
	})
}

func mustQueue(h *harness, name string) *queue { return h.queues[name] }

func TestFaults(t *testing.T) {
	flip := false
	h := newHarness(t, Faults{Duplicate: func() bool { return true }, Reorder: func() bool { flip = !flip; return flip }})
	u := h.queue("q", nil)
	sent := h.put(u, "x")
	got := h.get(u, 10, 0)
	if len(got) != 2 || got[0].ID != sent.MessageID || got[1].ID != sent.MessageID || got[0].ReceiptHandle == got[1].ReceiptHandle {
		t.Fatalf("duplicates: %+v", got)
	}
	h.drop(u, got[0])
	if h.counts(u) != "0/1/0" {
		t.Errorf("one copy deleted: %s", h.counts(u))
	}
	h.faults.Duplicate, flip = nil, false
	h.put(u, "1")
	h.put(u, "2")
	if got := bodies(h.get(u, 10, 0)); got != "2 1" {
		t.Errorf("reordered: %q", got)
	}
}

func TestSendFromService(t *testing.T) {
	h := newHarness(t, Faults{})
	u := h.queue("q", nil)
	arn := h.attribute(u, "QueueArn")
	from := Sender{"events.amazonaws.com", "arn:aws:events:eu-central-1:111122223333:rule/r"}
	wantCode(t, h.Send(arn, "x", nil, from), "AccessDenied")
	created, err := h.Providers()["AWS::SQS::QueuePolicy"]("P", json.RawMessage(`{"Queues":["`+u+`"],"PolicyDocument":{"p":"events.amazonaws.com","s":"`+from.SourceARN+`"}}`))
	if err != nil || created.Ref == "" {
		t.Fatal(created, err)
	}
	if err := h.Send(arn, "x", map[string]string{"k": "v"}, from); err != nil {
		t.Fatal(err)
	}
	wantCode(t, h.Send(arn, "x", nil, Sender{"events.amazonaws.com", "arn:other"}), "AccessDenied")
	wantCode(t, h.Send(arn+"x", "x", nil, from), "QueueDoesNotExist")
	got, err := h.Receive(context.Background(), arn, 50, 0)
	if err != nil || len(got) != 1 || *got[0].MessageAttributes["k"].StringValue != "v" {
		t.Fatal(got, err)
	}
	if err := h.Delete(arn, []string{got[0].ReceiptHandle}); err != nil || h.counts(u) != "0/0/0" {
		t.Error(err, h.counts(u))
	}
}

func TestProvideQueue(t *testing.T) {
	h := newHarness(t, Faults{})
	provide := h.Providers()["AWS::SQS::Queue"]
	d, err := provide("DeadLetters", json.RawMessage(`{"MessageRetentionPeriod":"1209600","Tags":[{"Key":"a","Value":"b"}]}`))
	if err != nil || !strings.HasPrefix(d.Ref, "http://127.0.0.1:9/111122223333/DeadLetters-") {
		t.Fatal(d, err)
	}
	q, err := provide("Q", json.RawMessage(`{"QueueName":"named","VisibilityTimeout":300,"SqsManagedSseEnabled":true,"RedrivePolicy":{"deadLetterTargetArn":"`+d.Attributes["Arn"]+`","maxReceiveCount":3}}`))
	if err != nil || q.Attributes["QueueName"] != "named" || h.attribute(q.Ref, "VisibilityTimeout") != "300" {
		t.Fatal(q, err)
	}
	for _, bad := range []string{`{"Colour":"red"}`, `{"QueueName":"named"}`, `{"DelaySeconds":901}`, `{"DelaySeconds":[1]}`, `{"RedrivePolicy":{"deadLetterTargetArn":"arn:aws:sqs:eu-central-1:111122223333:none","maxReceiveCount":3}}`} {
		if _, err := provide("Q", json.RawMessage(bad)); err == nil {
			t.Errorf("%s gave no error", bad)
		}
	}
}

func TestInflightQuota(t *testing.T) {
	h := newHarness(t, Faults{})
	u := h.queue("q", nil)
	h.put(u, "x")
	mustQueue(h, "q").inflight = maxInflight
	_, err := h.receiveMessage(context.Background(), h.call, &receiveInput{queueInput: queueInput{u}})
	wantCode(t, err, "OverLimit")
	if got := h.attribute(u, "ApproximateNumberOfMessages"); got != "1" {
		t.Errorf("the message is lost: %s visible", got)
	}
}

func BenchmarkSendReceiveDelete(b *testing.B) {
	h := newHarness(b, Faults{})
	u := h.queue("q", nil)
	b.ReportAllocs()
	for b.Loop() {
		h.put(u, "hello")
		h.drop(u, h.get(u, 1, 0)[0])
	}
}
