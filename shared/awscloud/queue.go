package awscloud

import (
	"context"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// Queue is a function's own queue and its dead-letter queue. It implements handler.Queue.
type Queue struct {
	api           *sqs.Client
	queueURL, dlq string
}

// NewQueue makes a Queue of two queue URLs.
func NewQueue(cfg Config, queueURL, dlqURL string) *Queue {
	return &Queue{sqs.NewFromConfig(cfg), queueURL, dlqURL}
}

// Continue sends a body to the function's own queue. SQS counts delays in seconds: fractions are rounded up, so that
// nobody looks too early.
func (q *Queue) Continue(ctx context.Context, body string, delay time.Duration) error {
	_, err := q.api.SendMessage(ctx, &sqs.SendMessageInput{
		QueueUrl: &q.queueURL, MessageBody: &body, DelaySeconds: seconds(delay),
	})
	return classify("sqs:SendMessage", err)
}

// Release makes a received message of the function's own queue visible again after the delay.
func (q *Queue) Release(ctx context.Context, receiptHandle string, delay time.Duration) error {
	_, err := q.api.ChangeMessageVisibility(ctx, &sqs.ChangeMessageVisibilityInput{
		QueueUrl: &q.queueURL, ReceiptHandle: &receiptHandle, VisibilityTimeout: seconds(delay),
	})
	return classify("sqs:ChangeMessageVisibility", err)
}

// seconds rounds up to SQS's whole seconds.
func seconds(delay time.Duration) int32 { return int32((delay + time.Second - 1) / time.Second) }

// Attributes of a rejected message.
const (
	AttributeReason    = "ekspedite.reason"
	AttributeMessageID = "ekspedite.messageId" // of the message in the source queue
)

// maxReason keeps the attribute far below SQS's message limit, which counts attributes in.
const maxReason = 2000

// Reject sends a body to the dead-letter queue.
func (q *Queue) Reject(ctx context.Context, body, messageID, reason string) error {
	text := func(s string) types.MessageAttributeValue {
		return types.MessageAttributeValue{DataType: aws.String("String"), StringValue: &s}
	}
	_, err := q.api.SendMessage(ctx, &sqs.SendMessageInput{
		QueueUrl: &q.dlq, MessageBody: &body,
		MessageAttributes: map[string]types.MessageAttributeValue{
			AttributeReason: text(printable(reason)), AttributeMessageID: text(messageID),
		},
	})
	return classify("sqs:SendMessage", err)
}

// printable cuts a reason and keeps what SQS accepts in an attribute: no control characters, valid UTF-8.
func printable(s string) string {
	out := make([]rune, 0, len(s))
	for _, r := range s {
		if r < ' ' && r != '\n' && r != '\t' || r == utf8.RuneError || r == 0xfffe || r == 0xffff {
			r = '?'
		}
		if out = append(out, r); len(out) == maxReason {
			break
		}
	}
	return string(out)
}
