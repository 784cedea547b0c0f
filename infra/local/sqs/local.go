package sqs

import (
	"context"
	"encoding/json"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/wire"
)

// Sender is an AWS service that puts messages into a customer's queue.
type Sender struct {
	ServicePrincipal string // "events.amazonaws.com"
	SourceARN        string // the rule or schedule on whose behalf it sends
}

// Send delivers a message from an AWS service, if the queue's policy lets it. attrs become String attributes. Errors are
// *wire.Error: QueueDoesNotExist, AccessDenied, or what SendMessage says of the message.
func (s *Service) Send(arn, body string, attrs map[string]string, from Sender) error {
	return s.deliver(arn, entry{MessageBody: body}, attrs, &from)
}

// SendGroup is Send with a message group, as FIFO queues need it.
func (s *Service) SendGroup(arn, body, group string, attrs map[string]string, from Sender) error {
	return s.deliver(arn, entry{MessageBody: body, MessageGroupID: group}, attrs, &from)
}

// SendAuthorized delivers a message whose sender is authorised already, because the caller checked the permissions of
// the role under which it sends (EventBridge Scheduler, Lambda destinations). group may be empty.
func (s *Service) SendAuthorized(arn, body, group string, attrs map[string]string) error {
	return s.deliver(arn, entry{MessageBody: body, MessageGroupID: group}, attrs, nil)
}

func (s *Service) deliver(arn string, e entry, attrs map[string]string, from *Sender) error {
	for k, v := range attrs {
		if e.MessageAttributes == nil {
			e.MessageAttributes = map[string]Attribute{}
		}
		e.MessageAttributes[k] = Attribute{DataType: "String", StringValue: &v}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	q := s.byARN(arn)
	if q == nil {
		return noQueue()
	}
	sender := s.w.Account
	if from != nil {
		sender = from.ServicePrincipal
		if !s.allow(json.RawMessage(q.attrs["Policy"]), from.ServicePrincipal, "sqs:SendMessage", arn, map[string][]string{
			"aws:SourceArn": {from.SourceARN}, "aws:SourceAccount": {s.w.Account},
			"aws:SecureTransport": {"true"}, "aws:PrincipalIsAWSService": {"true"},
		}) {
			return &wire.Error{Code: "AccessDenied", QueryCode: "AccessDenied", Status: 403,
				Message: "User: " + from.ServicePrincipal + " is not authorized to perform: sqs:sendmessage on resource: " + arn +
					" because no resource-based policy allows the sqs:sendmessage action"}
		}
	}
	if _, err := s.send(q, &e, sender); err != nil {
		return err
	}
	return nil
}

// Receive takes up to limit messages (more than the API's 10, if asked) with all their attributes, waiting up to wait
// for the first. It is for Lambda's event source mappings.
func (s *Service) Receive(ctx context.Context, arn string, limit int, wait time.Duration) ([]Message, error) {
	s.mu.Lock()
	q := s.byARN(arn)
	if q == nil {
		s.mu.Unlock()
		return nil, noQueue()
	}
	visibility := q.seconds("VisibilityTimeout")
	s.mu.Unlock()
	return s.poll(ctx, q, limit, visibility, wait)
}

// Delete deletes messages by receipt handle. What is gone already is no error.
func (s *Service) Delete(arn string, handles []string) error {
	return s.each(arn, handles, func(q *queue, h string) *wire.Error { return s.delete(q, h) })
}

// Release makes messages visible at once. What is no longer in flight is visible already.
func (s *Service) Release(arn string, handles []string) error {
	return s.each(arn, handles, func(q *queue, h string) *wire.Error {
		m, err := q.find(h)
		if m != nil && m.inflight {
			q.show(m)
		}
		return err
	})
}

func (s *Service) each(arn string, handles []string, do func(*queue, string) *wire.Error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	q := s.byARN(arn)
	if q == nil {
		return noQueue()
	}
	for _, h := range handles {
		if err := do(q, h); err != nil {
			return err
		}
	}
	return nil
}

// VisibilityTimeout returns a queue's own visibility timeout.
func (s *Service) VisibilityTimeout(arn string) (time.Duration, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	q := s.byARN(arn)
	if q == nil {
		return 0, noQueue()
	}
	return q.seconds("VisibilityTimeout"), nil
}
