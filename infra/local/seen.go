package local

import (
	"encoding/json"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/lambda"
	"github.com/ekspedite/ekspedite/infra/local/sqs"
)

// seen is an entry of the feed of events: an event that a bus took, or the delivery of one to a target.
type seen struct {
	Time   time.Time       `json:"time"`
	Kind   string          `json:"kind"` // "event" or "delivery"
	Bus    string          `json:"bus,omitempty"`
	Event  json.RawMessage `json:"event,omitempty"`  // as the target gets it
	Text   string          `json:"text,omitempty"`   // instead, when a rule made something other than JSON of it
	Rule   string          `json:"rule,omitempty"`   // ARN
	Target string          `json:"target,omitempty"` // ARN
	Error  string          `json:"error,omitempty"`
}

func delivery(f *feed, rule, target string, payload []byte, err error) {
	s := seen{Time: time.Now(), Kind: "delivery", Rule: rule, Target: target}
	if json.Valid(payload) {
		s.Event = payload
	} else {
		s.Text = string(payload)
	}
	if err != nil {
		s.Error = err.Error()
	}
	f.add(s)
}

// watchedQueues is SQS as EventBridge uses it, with every delivery noted.
type watchedQueues struct {
	*sqs.Service
	feed *feed
}

func (q watchedQueues) Send(arn, body string, attrs map[string]string, from sqs.Sender) error {
	err := q.Service.Send(arn, body, attrs, from)
	delivery(q.feed, from.SourceARN, arn, []byte(body), err)
	return err
}

func (q watchedQueues) SendGroup(arn, body, group string, attrs map[string]string, from sqs.Sender) error {
	err := q.Service.SendGroup(arn, body, group, attrs, from)
	delivery(q.feed, from.SourceARN, arn, []byte(body), err)
	return err
}

// watchedFunctions is Lambda as EventBridge uses it, with every delivery noted.
type watchedFunctions struct {
	*lambda.Service
	feed *feed
}

func (l watchedFunctions) InvokeFor(servicePrincipal, sourceARN, functionARN string, payload []byte) error {
	err := l.Service.InvokeFor(servicePrincipal, sourceARN, functionARN, payload)
	delivery(l.feed, sourceARN, functionARN, payload, err)
	return err
}
