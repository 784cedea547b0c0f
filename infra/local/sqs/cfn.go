package sqs

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/ekspedite/ekspedite/infra/local/stack"
)

// Providers returns the CloudFormation types of SQS.
func (s *Service) Providers() stack.Providers {
	return stack.Providers{
		"AWS::SQS::Queue":       s.provideQueue,
		"AWS::SQS::QueuePolicy": s.provideQueuePolicy,
	}
}

// settable are the properties of AWS::SQS::Queue that are queue attributes of the same name.
var settable = []string{
	"ContentBasedDeduplication", "DeduplicationScope", "DelaySeconds", "FifoQueue", "FifoThroughputLimit",
	"KmsDataKeyReusePeriodSeconds", "KmsMasterKeyId", "MaximumMessageSize", "MessageRetentionPeriod",
	"ReceiveMessageWaitTimeSeconds", "RedriveAllowPolicy", "RedrivePolicy", "SqsManagedSseEnabled", "VisibilityTimeout",
}

func (s *Service) provideQueue(logicalID string, properties json.RawMessage) (stack.Created, error) {
	var props map[string]json.RawMessage
	if err := unmarshal(properties, &props); err != nil {
		return stack.Created{}, err
	}
	var name string
	var tags []struct{ Key, Value string }
	attrs := map[string]string{}
	for k, raw := range props {
		var err error
		switch {
		case k == "QueueName":
			err = json.Unmarshal(raw, &name)
		case k == "Tags":
			err = json.Unmarshal(raw, &tags)
		case slices.Contains(settable, k):
			attrs[k], err = attributeText(raw)
		default:
			err = fmt.Errorf("unknown property")
		}
		if err != nil {
			return stack.Created{}, fmt.Errorf("AWS::SQS::Queue %s: property %s: %w", logicalID, k, err)
		}
	}
	if name == "" {
		name = logicalID[:min(len(logicalID), 60)] + "-" + s.w.Hex(12)
		if attrs["FifoQueue"] == "true" {
			name += ".fifo"
		}
	}
	tagged := map[string]string{}
	for _, t := range tags {
		tagged[t.Key] = t.Value
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.queues[name] != nil {
		return stack.Created{}, fmt.Errorf("AWS::SQS::Queue %s: %s already exists", logicalID, name)
	}
	q, err := s.create(name, attrs, tagged)
	if err != nil {
		return stack.Created{}, fmt.Errorf("AWS::SQS::Queue %s: %w", logicalID, err)
	}
	url := s.url(s.endpoint(), name)
	return stack.Created{Ref: url, Attributes: map[string]string{"Arn": q.arn, "QueueName": name, "QueueUrl": url}}, nil
}

func unmarshal(properties json.RawMessage, v any) error {
	if len(properties) == 0 {
		return nil
	}
	return json.Unmarshal(properties, v)
}

// attributeText turns a property into a queue attribute, which is always text: 300, "300", true, or an object as JSON.
func attributeText(raw json.RawMessage) (string, error) {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return text, nil
	}
	var b bytes.Buffer
	if err := json.Compact(&b, raw); err != nil {
		return "", err
	}
	if s := b.String(); !strings.HasPrefix(s, "[") && s != "null" {
		return s, nil
	}
	return "", fmt.Errorf("%s is neither a scalar nor an object", raw)
}

func (s *Service) provideQueuePolicy(logicalID string, properties json.RawMessage) (stack.Created, error) {
	var props struct {
		Queues         []string
		PolicyDocument json.RawMessage
	}
	d := json.NewDecoder(bytes.NewReader(properties))
	d.DisallowUnknownFields()
	if err := d.Decode(&props); err != nil {
		return stack.Created{}, fmt.Errorf("AWS::SQS::QueuePolicy %s: %w", logicalID, err)
	}
	policy, err := attributeText(props.PolicyDocument)
	if err != nil {
		return stack.Created{}, fmt.Errorf("AWS::SQS::QueuePolicy %s: PolicyDocument: %w", logicalID, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, url := range props.Queues {
		q, err := s.byURL(url)
		if err == nil {
			err = s.set(q, map[string]string{"Policy": policy})
		}
		if err != nil {
			return stack.Created{}, fmt.Errorf("AWS::SQS::QueuePolicy %s: queue %s: %w", logicalID, url, err)
		}
	}
	id := logicalID + "-" + s.w.Hex(12)
	return stack.Created{Ref: id, Attributes: map[string]string{"Id": id}}, nil
}
