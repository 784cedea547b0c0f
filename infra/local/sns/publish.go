package sns

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/wire"
)

type subscribeIn struct {
	TopicArn, Protocol, Endpoint string
	ReturnSubscriptionArn        bool
	Attributes                   []entry `query:"Attributes.entry"`
}

type subscribeOut struct{ SubscriptionArn string }

func (s *Service) subscribe(_ context.Context, _ *wire.Call, in *subscribeIn) (*subscribeOut, error) {
	switch {
	case in.Protocol != "sqs":
		return nil, notImplemented("subscriptions by " + in.Protocol)
	case !strings.HasPrefix(in.Endpoint, "arn:aws:sqs:"):
		return nil, invalid("SQS endpoint ARN")
	}
	sub := &subscription{queue: in.Endpoint}
	for _, a := range in.Attributes {
		if a.Key != "RawMessageDelivery" {
			return nil, notImplemented("the subscription attribute " + a.Key)
		}
		sub.raw = a.Value == "true"
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.topics[in.TopicArn]
	if t == nil {
		return nil, missing()
	}
	for _, old := range t.subscriptions {
		if old.queue == in.Endpoint {
			return &subscribeOut{old.arn}, nil
		}
	}
	sub.arn = t.arn + ":" + s.w.UUID()
	t.subscriptions = append(t.subscriptions, sub)
	return &subscribeOut{sub.arn}, nil
}

type unsubscribeIn struct{ SubscriptionArn string }

func topicOf(subscription string) string {
	if i := strings.LastIndexByte(subscription, ':'); i > 0 {
		return subscription[:i]
	}
	return ""
}

func (s *Service) needUnsubscribe(_ *wire.Call, in *unsubscribeIn) []wire.Need {
	return []wire.Need{s.need("Unsubscribe", topicOf(in.SubscriptionArn))}
}

func (s *Service) unsubscribe(_ context.Context, _ *wire.Call, in *unsubscribeIn) (*none, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := s.topics[topicOf(in.SubscriptionArn)]; t != nil {
		t.subscriptions = slices.DeleteFunc(t.subscriptions, func(sub *subscription) bool { return sub.arn == in.SubscriptionArn })
	}
	return &none{}, nil
}

type subscribed struct{ SubscriptionArn, Owner, Protocol, Endpoint, TopicArn string }

type subscriptionsOut struct {
	Subscriptions []subscribed `xml:"Subscriptions>member"`
}

func (s *Service) subscriptionsOf(_ context.Context, _ *wire.Call, in *topicIn) (*subscriptionsOut, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.topics[in.TopicArn]
	if t == nil {
		return nil, missing()
	}
	out := &subscriptionsOut{}
	for _, sub := range t.subscriptions {
		out.Subscriptions = append(out.Subscriptions, subscribed{sub.arn, s.w.Account, "sqs", sub.queue, t.arn})
	}
	return out, nil
}

type publishIn struct {
	TopicArn, TargetArn, PhoneNumber, Message, Subject, MessageStructure, MessageGroupId, MessageDeduplicationId string
	MessageAttributes                                                                                            []struct {
		Name  string
		Value struct{ DataType, StringValue, BinaryValue string }
	} `query:"MessageAttributes.entry"`
}

type publishOut struct{ MessageId string }

// maxMessage is SNS's limit of a message with its attributes.
const maxMessage = 256 << 10

// publish takes a message and brings it to the topic's queues. SNS answers before it delivers; here it has delivered when it answers.
func (s *Service) publish(_ context.Context, _ *wire.Call, in *publishIn) (*publishOut, error) {
	if in.TargetArn != "" || in.PhoneNumber != "" || in.MessageStructure != "" || in.MessageGroupId != "" || in.MessageDeduplicationId != "" {
		return nil, notImplemented("Publish to others than standard topics, and messages by protocol")
	}
	if err := checkMessage(in); err != nil {
		return nil, err
	}
	m := Message{ID: s.w.UUID(), TopicARN: in.TopicArn, Subject: in.Subject, Text: in.Message, Attributes: map[string]string{}, At: time.Now()}
	for _, a := range in.MessageAttributes {
		if a.Value.DataType != "String" {
			return nil, notImplemented("message attributes of type " + a.Value.DataType)
		}
		m.Attributes[a.Name] = a.Value.StringValue
	}
	s.mu.Lock()
	t := s.topics[in.TopicArn]
	if t == nil {
		s.mu.Unlock()
		return nil, missing()
	}
	t.messages = append(t.messages, m)
	subscriptions := slices.Clone(t.subscriptions)
	s.mu.Unlock()
	for _, sub := range subscriptions {
		body, attributes := m.Text, m.Attributes
		if !sub.raw {
			body, attributes = m.wrapped(), nil
		}
		if err := s.queues.Deliver(sub.queue, body, attributes, m.TopicARN); err != nil { // the publisher is not told
			s.w.Log.Warn("embedded cloud: a subscription of a topic cannot be served", "topic", m.TopicARN, "queue", sub.queue, "reason", err)
		}
	}
	return &publishOut{m.ID}, nil
}

// checkMessage refuses what SNS refuses: https://docs.aws.amazon.com/sns/latest/api/API_Publish.html
func checkMessage(in *publishIn) error {
	size := len(in.Message)
	for _, a := range in.MessageAttributes {
		if size += len(a.Name) + len(a.Value.StringValue) + len(a.Value.DataType); a.Name == "" || a.Value.StringValue == "" {
			return invalid("MessageAttributes: The message attribute '%s' must contain non-empty message attribute value.", a.Name)
		}
	}
	if in.Message == "" {
		return invalid("Empty message")
	}
	if size > maxMessage {
		return invalid("Message too long")
	}
	for _, r := range in.Subject {
		if r < ' ' || r > '~' {
			return invalid("Subject")
		}
	}
	if len(in.Subject) > 100 || strings.HasPrefix(in.Subject, " ") {
		return invalid("Subject")
	}
	return nil
}

// wrapped is the message as queues get it that have not asked for the bare text.
func (m Message) wrapped() string {
	type value struct{ Type, Value string }
	body := struct {
		Type              string
		MessageID         string `json:"MessageId"`
		TopicArn          string
		Subject           string `json:",omitempty"`
		Message           string
		Timestamp         string
		MessageAttributes map[string]value `json:",omitempty"`
	}{Type: "Notification", MessageID: m.ID, TopicArn: m.TopicARN, Subject: m.Subject, Message: m.Text, Timestamp: m.At.UTC().Format("2006-01-02T15:04:05.000Z")}
	for name, v := range m.Attributes {
		if body.MessageAttributes == nil {
			body.MessageAttributes = map[string]value{}
		}
		body.MessageAttributes[name] = value{"String", v}
	}
	out, err := json.Marshal(body)
	if err != nil {
		panic(err) // strings only
	}
	return string(out)
}
