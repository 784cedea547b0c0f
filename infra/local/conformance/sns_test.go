package conformance

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sns/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// topicFor makes a topic that goes away with the test.
func topicFor(t *testing.T, c *sns.Client) *string {
	t.Helper()
	name := fmt.Sprintf("ekspedite-conformance-%d", time.Now().UnixNano())
	out, err := c.CreateTopic(t.Context(), &sns.CreateTopicInput{Name: &name, Attributes: map[string]string{"DisplayName": "on call"},
		Tags: []types.Tag{{Key: aws.String("team"), Value: aws.String("a")}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_, _ = c.DeleteTopic(context.Background(), &sns.DeleteTopicInput{TopicArn: out.TopicArn})
	})
	again, err := c.CreateTopic(t.Context(), &sns.CreateTopicInput{Name: &name, Attributes: map[string]string{"DisplayName": "on call"},
		Tags: []types.Tag{{Key: aws.String("team"), Value: aws.String("a")}}})
	if err != nil || *again.TopicArn != *out.TopicArn || !strings.HasSuffix(*out.TopicArn, ":"+name) {
		t.Errorf("again: %v, %v", again, err)
	}
	return out.TopicArn
}

func TestSNSTopicToQueue(t *testing.T) {
	tg := target(t, "sns")
	c, queues, ctx := sns.NewFromConfig(tg.Config), sqs.NewFromConfig(tg.Config), t.Context()
	topic := topicFor(t, c)
	if got, err := c.GetTopicAttributes(ctx, &sns.GetTopicAttributesInput{TopicArn: topic}); err != nil || got.Attributes["DisplayName"] != "on call" {
		t.Errorf("%+v %v", got, err)
	}
	queue, err := queues.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: aws.String(fmt.Sprintf("conformance-sns-%d", time.Now().UnixNano()))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_, _ = queues.DeleteQueue(context.Background(), &sqs.DeleteQueueInput{QueueUrl: queue.QueueUrl})
	})
	got, err := queues.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: queue.QueueUrl, AttributeNames: []sqstypes.QueueAttributeName{"QueueArn"}})
	if err != nil {
		t.Fatal(err)
	}
	arn := got.Attributes["QueueArn"]
	sub, err := c.Subscribe(ctx, &sns.SubscribeInput{TopicArn: topic, Protocol: aws.String("sqs"), Endpoint: &arn, ReturnSubscriptionArn: true})
	if err != nil {
		t.Fatal(err)
	}
	// A queue that does not let the topic in gets nothing.
	publish := func(text string) {
		t.Helper()
		out, err := c.Publish(ctx, &sns.PublishInput{TopicArn: topic, Subject: aws.String("Draining a node"), Message: &text,
			MessageAttributes: map[string]types.MessageAttributeValue{"cluster": {DataType: aws.String("String"), StringValue: aws.String("blue")},
				"moment": {DataType: aws.String("String"), StringValue: aws.String("Started")}}})
		if err != nil || out.MessageId == nil {
			t.Fatalf("%+v %v", out, err)
		}
	}
	publish("lost")
	policy := fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"sns.amazonaws.com"},"Action":"sqs:SendMessage","Resource":%q,"Condition":{"ArnEquals":{"aws:SourceArn":%q}}}]}`, arn, *topic)
	if _, err := queues.SetQueueAttributes(ctx, &sqs.SetQueueAttributesInput{QueueUrl: queue.QueueUrl, Attributes: map[string]string{"Policy": policy}}); err != nil {
		t.Fatal(err)
	}
	publish("node <&> \"x\"")
	out, err := queues.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: queue.QueueUrl, WaitTimeSeconds: 10, MaxNumberOfMessages: 10})
	if err != nil || len(out.Messages) != 1 {
		t.Fatalf("%+v %v", out, err)
	}
	var body struct {
		Type, TopicArn, Subject, Message, MessageId string
		MessageAttributes                           map[string]struct{ Type, Value string }
	}
	if err := json.Unmarshal([]byte(*out.Messages[0].Body), &body); err != nil {
		t.Fatal(err)
	}
	if body.Type != "Notification" || body.TopicArn != *topic || body.Subject != "Draining a node" || body.Message != "node <&> \"x\"" ||
		body.MessageId == "" || body.MessageAttributes["cluster"].Value != "blue" || body.MessageAttributes["moment"].Value != "Started" {
		t.Errorf("%+v", body)
	}
	if _, err := c.Unsubscribe(ctx, &sns.UnsubscribeInput{SubscriptionArn: sub.SubscriptionArn}); err != nil {
		t.Fatal(err)
	}
	if subs, err := c.ListSubscriptionsByTopic(ctx, &sns.ListSubscriptionsByTopicInput{TopicArn: topic}); err != nil || len(subs.Subscriptions) != 0 {
		t.Errorf("%+v %v", subs, err)
	}
}

func TestSNSRefuses(t *testing.T) {
	tg := target(t, "sns")
	c, ctx := sns.NewFromConfig(tg.Config), t.Context()
	topic := topicFor(t, c)
	for name, in := range map[string]*sns.PublishInput{
		"a long subject":     {TopicArn: topic, Message: aws.String("x"), Subject: aws.String(strings.Repeat("x", 101))},
		"a subject of lines": {TopicArn: topic, Message: aws.String("x"), Subject: aws.String("a\nb")},
		"an empty message":   {TopicArn: topic, Message: aws.String("")},
		"a long message":     {TopicArn: topic, Message: aws.String(strings.Repeat("x", 256<<10+1))},
	} {
		if _, err := c.Publish(ctx, in); err == nil {
			t.Errorf("%s was taken", name)
		} else {
			apiError(t, err, "InvalidParameter")
		}
	}
	_, err := c.Publish(ctx, &sns.PublishInput{TopicArn: aws.String(*topic + "-other"), Message: aws.String("x")})
	apiError(t, err, "NotFound")
}

func TestSNSPermissions(t *testing.T) {
	tg := target(t, "sns")
	if !exact(tg) {
		t.Skip("moto enforces no policies")
	}
	topic := topicFor(t, sns.NewFromConfig(tg.Config))
	other := topicFor(t, sns.NewFromConfig(tg.Config))
	cfg, _ := roleSession(t, tg, `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sns:Publish","Resource":"`+*topic+`"}]}`)
	limited := sns.NewFromConfig(cfg)
	if _, err := limited.Publish(t.Context(), &sns.PublishInput{TopicArn: topic, Message: aws.String("x")}); err != nil {
		t.Error(err)
	}
	_, err := limited.Publish(t.Context(), &sns.PublishInput{TopicArn: other, Message: aws.String("x")})
	apiError(t, err, "AuthorizationError")
	_, err = limited.DeleteTopic(t.Context(), &sns.DeleteTopicInput{TopicArn: topic})
	apiError(t, err, "AuthorizationError")
}
