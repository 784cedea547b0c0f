package conformance

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"
)

// sqsSuite is a client with helpers that fail the test.
type sqsSuite struct {
	*sqs.Client
	t  *testing.T
	tg Target
}

func newSQS(t *testing.T) *sqsSuite {
	tg := target(t, "sqs")
	return &sqsSuite{sqs.NewFromConfig(tg.Config), t, tg}
}

// queue makes a queue that is deleted with the test. The name is unique, since AWS refuses a name for 60 seconds.
func (s *sqsSuite) queue(name string, attrs map[string]string) string {
	s.t.Helper()
	base, suffix, _ := strings.Cut(name, ".")
	full := fmt.Sprintf("conf-%s-%d", base, time.Now().UnixNano())
	if suffix != "" {
		full += "." + suffix
	}
	out, err := s.CreateQueue(s.t.Context(), &sqs.CreateQueueInput{QueueName: &full, Attributes: attrs})
	if err != nil {
		s.t.Fatalf("CreateQueue %s: %v", full, err)
	}
	s.t.Cleanup(func() {
		_, err := s.DeleteQueue(context.Background(), &sqs.DeleteQueueInput{QueueUrl: out.QueueUrl})
		var gone *types.QueueDoesNotExist
		if err != nil && !errors.As(err, &gone) {
			s.t.Errorf("DeleteQueue %s: %v", full, err)
		}
	})
	return *out.QueueUrl
}

func (s *sqsSuite) attributes(url string) map[string]string {
	s.t.Helper()
	out, err := s.GetQueueAttributes(s.t.Context(), &sqs.GetQueueAttributesInput{QueueUrl: &url, AttributeNames: []types.QueueAttributeName{"All"}})
	if err != nil {
		s.t.Fatalf("GetQueueAttributes: %v", err)
	}
	return out.Attributes
}

func (s *sqsSuite) send(url, body string) *sqs.SendMessageOutput {
	s.t.Helper()
	out, err := s.SendMessage(s.t.Context(), &sqs.SendMessageInput{QueueUrl: &url, MessageBody: &body})
	if err != nil {
		s.t.Fatalf("SendMessage: %v", err)
	}
	return out
}

// receive takes whatever one long poll gives.
func (s *sqsSuite) receive(url string, wait int32) []types.Message {
	s.t.Helper()
	out, err := s.ReceiveMessage(s.t.Context(), &sqs.ReceiveMessageInput{QueueUrl: &url, MaxNumberOfMessages: 10, WaitTimeSeconds: wait,
		MessageSystemAttributeNames: []types.MessageSystemAttributeName{"All"}, MessageAttributeNames: []string{"All"}})
	if err != nil {
		s.t.Fatalf("ReceiveMessage: %v", err)
	}
	return out.Messages
}

// one waits for exactly one message.
func (s *sqsSuite) one(url string) types.Message {
	s.t.Helper()
	for range 5 { // AWS may answer a long poll with nothing
		if ms := s.receive(url, 5); len(ms) > 0 {
			if len(ms) > 1 {
				s.t.Fatalf("received %d messages, want one", len(ms))
			}
			return ms[0]
		}
	}
	s.t.Fatal("no message arrived")
	return types.Message{}
}

// code is what a customer matches on: the API's own code or that of the query protocol.
func code(err error) string {
	var e smithy.APIError
	if errors.As(err, &e) {
		return e.ErrorCode()
	}
	return fmt.Sprint(err)
}

func TestSQSQueues(t *testing.T) {
	s := newSQS(t)
	url := s.queue("q", map[string]string{"VisibilityTimeout": "17"})
	name := url[strings.LastIndexByte(url, '/')+1:]
	got, err := s.GetQueueUrl(t.Context(), &sqs.GetQueueUrlInput{QueueName: &name})
	if err != nil || *got.QueueUrl != url {
		t.Errorf("GetQueueUrl: %v, %v; want %s", got, err, url)
	}
	a := s.attributes(url)
	for k, want := range map[string]string{"VisibilityTimeout": "17", "DelaySeconds": "0", "MessageRetentionPeriod": "345600", "ReceiveMessageWaitTimeSeconds": "0", "ApproximateNumberOfMessages": "0", "ApproximateNumberOfMessagesNotVisible": "0", "ApproximateNumberOfMessagesDelayed": "0"} {
		if a[k] != want {
			t.Errorf("%s is %q, want %q", k, a[k], want)
		}
	}
	if !strings.HasPrefix(a["QueueArn"], "arn:aws:sqs:"+s.tg.Region+":") || !strings.HasSuffix(a["QueueArn"], ":"+name) {
		t.Errorf("QueueArn is %s", a["QueueArn"])
	}
	if again, err := s.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: &name, Attributes: map[string]string{"VisibilityTimeout": "17"}}); err != nil || *again.QueueUrl != url {
		t.Errorf("creating it again: %v, %v", again, err)
	}
	_, err = s.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: &name, Attributes: map[string]string{"VisibilityTimeout": "18"}})
	var exists *types.QueueNameExists
	if !errors.As(err, &exists) {
		t.Errorf("creating it with another attribute: %v, want QueueNameExists", err)
	}
	if _, err := s.SetQueueAttributes(t.Context(), &sqs.SetQueueAttributesInput{QueueUrl: &url, Attributes: map[string]string{"VisibilityTimeout": "5"}}); err != nil {
		t.Fatal(err)
	}
	if v := s.attributes(url)["VisibilityTimeout"]; v != "5" {
		t.Errorf("VisibilityTimeout is %s after SetQueueAttributes", v)
	}
	list, err := s.ListQueues(t.Context(), &sqs.ListQueuesInput{QueueNamePrefix: &name})
	if err != nil || len(list.QueueUrls) != 1 || list.QueueUrls[0] != url {
		t.Errorf("ListQueues: %v, %v", list, err)
	}
	if _, err := s.TagQueue(t.Context(), &sqs.TagQueueInput{QueueUrl: &url, Tags: map[string]string{"a": "1", "b": "2"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.UntagQueue(t.Context(), &sqs.UntagQueueInput{QueueUrl: &url, TagKeys: []string{"a"}}); err != nil {
		t.Fatal(err)
	}
	if tags, err := s.ListQueueTags(t.Context(), &sqs.ListQueueTagsInput{QueueUrl: &url}); err != nil || len(tags.Tags) != 1 || tags.Tags["b"] != "2" {
		t.Errorf("tags: %v, %v", tags, err)
	}
}

func TestSQSErrors(t *testing.T) {
	s := newSQS(t)
	url := s.queue("e", nil)
	missing := url + "-none"
	_, err := s.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: &missing, MessageBody: aws.String("x")})
	var gone *types.QueueDoesNotExist
	if !errors.As(err, &gone) {
		t.Errorf("send to a missing queue: %v, want QueueDoesNotExist", err)
	}
	if c := code(err); c != "AWS.SimpleQueueService.NonExistentQueue" {
		t.Errorf("its code is %s", c)
	}
	_, err = s.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: &url, MaxNumberOfMessages: 11})
	if c := code(err); c != "InvalidParameterValue" {
		t.Errorf("MaxNumberOfMessages 11: %s", c)
	}
	_, err = s.DeleteMessage(t.Context(), &sqs.DeleteMessageInput{QueueUrl: &url, ReceiptHandle: aws.String("nonsense")})
	if c := code(err); c != "ReceiptHandleIsInvalid" {
		t.Errorf("bad receipt handle: %s", c)
	}
	_, err = s.SetQueueAttributes(t.Context(), &sqs.SetQueueAttributesInput{QueueUrl: &url, Attributes: map[string]string{"Colour": "red"}})
	if c := code(err); c != "InvalidAttributeName" {
		t.Errorf("unknown attribute: %s", c)
	}
	_, err = s.SendMessageBatch(t.Context(), &sqs.SendMessageBatchInput{QueueUrl: &url, Entries: []types.SendMessageBatchRequestEntry{}})
	if c := code(err); c != "AWS.SimpleQueueService.EmptyBatchRequest" {
		t.Errorf("empty batch: %s", c)
	}
	var many []types.SendMessageBatchRequestEntry
	for i := range 11 {
		many = append(many, types.SendMessageBatchRequestEntry{Id: aws.String(strconv.Itoa(i)), MessageBody: aws.String("x")})
	}
	_, err = s.SendMessageBatch(t.Context(), &sqs.SendMessageBatchInput{QueueUrl: &url, Entries: many})
	if c := code(err); c != "AWS.SimpleQueueService.TooManyEntriesInBatchRequest" {
		t.Errorf("eleven entries: %s", c)
	}
	many[1].Id = many[0].Id
	_, err = s.SendMessageBatch(t.Context(), &sqs.SendMessageBatchInput{QueueUrl: &url, Entries: many[:2]})
	if c := code(err); c != "AWS.SimpleQueueService.BatchEntryIdsNotDistinct" {
		t.Errorf("one id twice: %s", c)
	}
	_, err = s.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: &url, MessageBody: aws.String("a\x01b")})
	if c := code(err); c != "InvalidMessageContents" {
		t.Errorf("control character: %s", c)
	}
}

func TestSQSMessage(t *testing.T) {
	s := newSQS(t)
	url := s.queue("m", nil)
	attrs := map[string]types.MessageAttributeValue{
		"text":   {DataType: aws.String("String"), StringValue: aws.String("ünïcode")},
		"number": {DataType: aws.String("Number.int"), StringValue: aws.String("42")},
		"bytes":  {DataType: aws.String("Binary"), BinaryValue: []byte{0, 1, 2}},
	}
	body := "hällo"
	sent, err := s.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: &url, MessageBody: &body, MessageAttributes: attrs})
	if err != nil {
		t.Fatal(err)
	}
	sum := md5.Sum([]byte(body))
	if want := hex.EncodeToString(sum[:]); *sent.MD5OfMessageBody != want {
		t.Errorf("MD5OfMessageBody is %s, want %s", *sent.MD5OfMessageBody, want)
	}
	m := s.one(url)
	if *m.Body != body || *m.MessageId != *sent.MessageId || *m.MD5OfBody != *sent.MD5OfMessageBody {
		t.Errorf("received %+v", m)
	}
	if m.MD5OfMessageAttributes == nil || *m.MD5OfMessageAttributes != *sent.MD5OfMessageAttributes {
		t.Errorf("MD5OfMessageAttributes: %v, sent %v", m.MD5OfMessageAttributes, sent.MD5OfMessageAttributes)
	}
	if len(m.MessageAttributes) != 3 || *m.MessageAttributes["text"].StringValue != "ünïcode" || string(m.MessageAttributes["bytes"].BinaryValue) != "\x00\x01\x02" || *m.MessageAttributes["number"].DataType != "Number.int" {
		t.Errorf("message attributes: %+v", m.MessageAttributes)
	}
	if m.Attributes["ApproximateReceiveCount"] != "1" || m.Attributes["SenderId"] == "" {
		t.Errorf("attributes: %v", m.Attributes)
	}
	at, err := strconv.ParseInt(m.Attributes["SentTimestamp"], 10, 64)
	if age := time.Since(time.UnixMilli(at)); err != nil || age > time.Minute || age < -time.Minute {
		t.Errorf("SentTimestamp %s", m.Attributes["SentTimestamp"])
	}
	if _, err := s.DeleteMessage(t.Context(), &sqs.DeleteMessageInput{QueueUrl: &url, ReceiptHandle: m.ReceiptHandle}); err != nil {
		t.Error(err)
	}
	if ms := s.receive(url, 0); len(ms) != 0 {
		t.Errorf("still there after the delete: %+v", ms)
	}
}

func TestSQSBatch(t *testing.T) {
	s := newSQS(t)
	url := s.queue("b", nil)
	out, err := s.SendMessageBatch(t.Context(), &sqs.SendMessageBatchInput{QueueUrl: &url, Entries: []types.SendMessageBatchRequestEntry{
		{Id: aws.String("a"), MessageBody: aws.String("1")}, {Id: aws.String("b"), MessageBody: aws.String("2")}, {Id: aws.String("c"), MessageBody: aws.String("3")},
	}})
	if err != nil || len(out.Successful) != 3 || len(out.Failed) != 0 {
		t.Fatalf("SendMessageBatch: %+v, %v", out, err)
	}
	var del []types.DeleteMessageBatchRequestEntry
	seen := map[string]bool{}
	for len(seen) < 3 {
		ms := s.receive(url, 5)
		if len(ms) == 0 {
			t.Fatalf("only %d messages arrived", len(seen))
		}
		for _, m := range ms {
			seen[*m.Body] = true
			del = append(del, types.DeleteMessageBatchRequestEntry{Id: aws.String("d" + strconv.Itoa(len(del))), ReceiptHandle: m.ReceiptHandle})
		}
	}
	bad := append(del[:1:1], types.DeleteMessageBatchRequestEntry{Id: aws.String("bad"), ReceiptHandle: aws.String("nonsense")})
	partly, err := s.DeleteMessageBatch(t.Context(), &sqs.DeleteMessageBatchInput{QueueUrl: &url, Entries: bad})
	if err != nil || len(partly.Successful) != 1 || len(partly.Failed) != 1 || *partly.Failed[0].Code != "ReceiptHandleIsInvalid" || !partly.Failed[0].SenderFault {
		t.Errorf("DeleteMessageBatch: %+v, %v", partly, err)
	}
	var show []types.ChangeMessageVisibilityBatchRequestEntry
	for i, d := range del[1:] {
		show = append(show, types.ChangeMessageVisibilityBatchRequestEntry{Id: aws.String(strconv.Itoa(i)), ReceiptHandle: d.ReceiptHandle, VisibilityTimeout: 0})
	}
	if out, err := s.ChangeMessageVisibilityBatch(t.Context(), &sqs.ChangeMessageVisibilityBatchInput{QueueUrl: &url, Entries: show}); err != nil || len(out.Successful) != 2 {
		t.Errorf("ChangeMessageVisibilityBatch: %+v, %v", out, err)
	}
}

func TestSQSVisibilityAndDelay(t *testing.T) {
	s := newSQS(t)
	url := s.queue("v", map[string]string{"VisibilityTimeout": "2"})
	s.send(url, "x")
	first := s.one(url)
	if ms := s.receive(url, 0); len(ms) != 0 {
		t.Error("in flight and yet visible")
	}
	begin := time.Now()
	second := s.one(url)
	if d := time.Since(begin); d < time.Second || second.Attributes["ApproximateReceiveCount"] != "2" || *second.MessageId != *first.MessageId {
		t.Errorf("received again after %s: %v", d, second.Attributes)
	}
	if _, err := s.ChangeMessageVisibility(t.Context(), &sqs.ChangeMessageVisibilityInput{QueueUrl: &url, ReceiptHandle: second.ReceiptHandle, VisibilityTimeout: 0}); err != nil {
		t.Fatal(err)
	}
	third := s.one(url)
	if _, err := s.DeleteMessage(t.Context(), &sqs.DeleteMessageInput{QueueUrl: &url, ReceiptHandle: third.ReceiptHandle}); err != nil {
		t.Fatal(err)
	}
	begin = time.Now()
	if _, err := s.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: &url, MessageBody: aws.String("later"), DelaySeconds: 2}); err != nil {
		t.Fatal(err)
	}
	m := s.one(url)
	if d := time.Since(begin); d < 1900*time.Millisecond || *m.Body != "later" {
		t.Errorf("delayed message after %s: %s", d, *m.Body)
	}
}

func TestSQSLongPoll(t *testing.T) {
	s := newSQS(t)
	url := s.queue("l", nil)
	begin := time.Now()
	if ms := s.receive(url, 1); len(ms) != 0 || time.Since(begin) < 900*time.Millisecond {
		t.Errorf("empty long poll of 1 s: %v after %s", ms, time.Since(begin))
	}
	sent := make(chan error, 1)
	time.AfterFunc(500*time.Millisecond, func() {
		_, err := s.SendMessage(context.Background(), &sqs.SendMessageInput{QueueUrl: &url, MessageBody: aws.String("x")})
		sent <- err
	})
	begin = time.Now()
	if ms := s.receive(url, 20); len(ms) != 1 || time.Since(begin) > 10*time.Second {
		t.Errorf("long poll: %v after %s", ms, time.Since(begin))
	}
	if err := <-sent; err != nil {
		t.Error(err)
	}
}

func TestSQSRedriveAndMove(t *testing.T) {
	s := newSQS(t)
	dlq := s.queue("dlq", nil)
	arn := s.attributes(dlq)["QueueArn"]
	url := s.queue("src", map[string]string{"VisibilityTimeout": "0", "RedrivePolicy": `{"deadLetterTargetArn":"` + arn + `","maxReceiveCount":2}`})
	sent := s.send(url, "poison")
	s.one(url)
	s.one(url)
	if ms := s.receive(url, 1); len(ms) != 0 {
		t.Fatalf("received a third time: %+v", ms)
	}
	dead := s.one(dlq)
	if *dead.MessageId != *sent.MessageId || *dead.Body != "poison" {
		t.Errorf("dead letter: %+v", dead)
	}
	if _, err := s.ChangeMessageVisibility(t.Context(), &sqs.ChangeMessageVisibilityInput{QueueUrl: &dlq, ReceiptHandle: dead.ReceiptHandle, VisibilityTimeout: 0}); err != nil {
		t.Fatal(err)
	}
	sources, err := s.ListDeadLetterSourceQueues(t.Context(), &sqs.ListDeadLetterSourceQueuesInput{QueueUrl: &dlq})
	if err != nil || len(sources.QueueUrls) != 1 || sources.QueueUrls[0] != url {
		t.Errorf("ListDeadLetterSourceQueues: %+v, %v", sources, err)
	}
	task, err := s.StartMessageMoveTask(t.Context(), &sqs.StartMessageMoveTaskInput{SourceArn: &arn})
	if err != nil || aws.ToString(task.TaskHandle) == "" {
		t.Fatalf("StartMessageMoveTask: %+v, %v", task, err)
	}
	if back := s.one(url); *back.Body != "poison" {
		t.Errorf("moved back: %+v", back)
	}
	deadline := time.After(time.Minute)
	for {
		tasks, err := s.ListMessageMoveTasks(t.Context(), &sqs.ListMessageMoveTasksInput{SourceArn: &arn})
		if err != nil || len(tasks.Results) != 1 {
			t.Fatalf("ListMessageMoveTasks: %+v, %v", tasks, err)
		}
		if r := tasks.Results[0]; aws.ToString(r.Status) == "COMPLETED" {
			if r.ApproximateNumberOfMessagesMoved != 1 || r.StartedTimestamp == 0 {
				t.Errorf("task: %+v", r)
			}
			break
		}
		select {
		case <-deadline:
			t.Fatalf("the task does not complete: %+v", tasks.Results[0])
		case <-time.After(100 * time.Millisecond):
		}
	}
	_, err = s.StartMessageMoveTask(t.Context(), &sqs.StartMessageMoveTaskInput{SourceArn: aws.String(arn + "-none")})
	if c := code(err); c != "ResourceNotFoundException" {
		t.Errorf("move from a missing queue: %s", c)
	}
}

func TestSQSFIFO(t *testing.T) {
	s := newSQS(t)
	url := s.queue("f.fifo", map[string]string{"FifoQueue": "true", "ContentBasedDeduplication": "true"})
	put := func(group, body string) *sqs.SendMessageOutput {
		t.Helper()
		out, err := s.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: &url, MessageBody: &body, MessageGroupId: &group})
		if err != nil || aws.ToString(out.SequenceNumber) == "" {
			t.Fatalf("SendMessage: %+v, %v", out, err)
		}
		return out
	}
	put("g", "1")
	put("g", "1") // a duplicate
	put("g", "2")
	ms := s.receive(url, 2)
	if len(ms) != 2 || *ms[0].Body != "1" || *ms[1].Body != "2" || ms[0].Attributes["MessageGroupId"] != "g" {
		t.Fatalf("received %+v", ms)
	}
	put("g", "3")
	if ms := s.receive(url, 0); len(ms) != 0 {
		t.Errorf("received %s while its group is in flight", *ms[0].Body)
	}
	_, err := s.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: &url, MessageBody: aws.String("x")})
	if c := code(err); c != "MissingParameter" {
		t.Errorf("without a group: %s", c)
	}
}

func TestSQSPurge(t *testing.T) {
	s := newSQS(t)
	url := s.queue("p", nil)
	s.send(url, "x")
	if _, err := s.PurgeQueue(t.Context(), &sqs.PurgeQueueInput{QueueUrl: &url}); err != nil {
		t.Fatal(err)
	}
	if s.tg.Embedded { // AWS may take a minute
		if ms := s.receive(url, 0); len(ms) != 0 {
			t.Errorf("still there: %+v", ms)
		}
	}
}
