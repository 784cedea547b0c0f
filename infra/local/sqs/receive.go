package sqs

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/wire"
)

type (
	receiveInput struct {
		queueInput
		AttributeNames              []string
		MessageSystemAttributeNames []string
		MessageAttributeNames       []string
		MaxNumberOfMessages         *int
		VisibilityTimeout           *int
		WaitTimeSeconds             *int
		ReceiveRequestAttemptID     string `json:"ReceiveRequestAttemptId"`
	}
	receiveOutput struct {
		Messages []Message `json:",omitempty"`
	}
)

// Message is a received message.
type Message struct {
	ID                     string `json:"MessageId"`
	ReceiptHandle          string
	MD5OfBody              string
	Body                   string
	Attributes             map[string]string    `json:",omitempty"`
	MD5OfMessageAttributes string               `json:",omitempty"`
	MessageAttributes      map[string]Attribute `json:",omitempty"`
}

func (s *Service) receiveMessage(ctx context.Context, _ *wire.Call, in *receiveInput) (*receiveOutput, error) {
	s.mu.Lock()
	q, err := s.byURL(in.QueueURL)
	if err != nil {
		s.mu.Unlock()
		return nil, err
	}
	limit, visibility, wait := 1, q.seconds("VisibilityTimeout"), q.seconds("ReceiveMessageWaitTimeSeconds")
	fifo := q.fifo
	s.mu.Unlock()
	if n := in.MaxNumberOfMessages; n != nil {
		if limit = *n; limit < 1 || limit > 10 {
			return nil, invalid("MaxNumberOfMessages", limit, "Must be between 1 and 10, if provided.")
		}
	}
	if n := in.VisibilityTimeout; n != nil {
		if *n < 0 || *n > 43200 {
			return nil, invalid("VisibilityTimeout", *n, "Must be between 0 and 43200, if provided.")
		}
		visibility = time.Duration(*n) * time.Second
	}
	if n := in.WaitTimeSeconds; n != nil {
		if *n < 0 || *n > 20 {
			return nil, invalid("WaitTimeSeconds", *n, "Must be >= 0 and <= 20, if provided.")
		}
		wait = time.Duration(*n) * time.Second
	}
	if in.ReceiveRequestAttemptID != "" {
		if !fifo {
			return nil, invalid("ReceiveRequestAttemptId", in.ReceiveRequestAttemptID, "The request includes a parameter that is not valid for this queue type.")
		}
		return nil, wire.Errf("NotImplemented", "the embedded cloud does not implement ReceiveRequestAttemptId").WithStatus(501)
	}
	names := append(in.AttributeNames, in.MessageSystemAttributeNames...)
	for _, n := range names {
		if !slices.Contains(systemAttributeNames, n) {
			return nil, &wire.Error{Code: "InvalidAttributeName", QueryCode: "InvalidAttributeName", Message: "Unknown Attribute " + n + "."}
		}
	}
	msgs, err := s.poll(ctx, q, limit, visibility, wait)
	if err != nil {
		return nil, err
	}
	for i := range msgs {
		m := &msgs[i]
		if !slices.Contains(names, "All") {
			maps.DeleteFunc(m.Attributes, func(k, _ string) bool { return !slices.Contains(names, k) })
		}
		maps.DeleteFunc(m.MessageAttributes, func(k string, _ Attribute) bool { return !wanted(in.MessageAttributeNames, k) })
		m.MD5OfMessageAttributes = md5OfAttributes(m.MessageAttributes)
	}
	return &receiveOutput{msgs}, nil
}

var systemAttributeNames = []string{
	"All", "SenderId", "SentTimestamp", "ApproximateReceiveCount", "ApproximateFirstReceiveTimestamp", "SequenceNumber",
	"MessageDeduplicationId", "MessageGroupId", "AWSTraceHeader", "DeadLetterQueueSourceArn",
}

// wanted tells whether a message attribute was asked for: by name, All, .* or prefix.*.
func wanted(names []string, name string) bool {
	return slices.ContainsFunc(names, func(n string) bool {
		prefix, wild := strings.CutSuffix(n, ".*")
		return n == name || n == "All" || wild && (prefix == "" || strings.HasPrefix(name, prefix+"."))
	})
}

// poll waits until there is something to receive, wait is over or the caller leaves.
func (s *Service) poll(ctx context.Context, q *queue, limit int, visibility, wait time.Duration) ([]Message, error) {
	deadline := time.Now().Add(wait)
	for {
		s.mu.Lock()
		now := time.Now()
		if q.gone {
			s.mu.Unlock()
			return nil, noQueue()
		}
		msgs, over := s.take(q, limit, visibility, now)
		changed := q.changed
		until := deadline
		if len(q.waiting.items) > 0 && q.waiting.items[0].visibleAt.Before(until) {
			until = q.waiting.items[0].visibleAt
		}
		s.mu.Unlock()
		if len(msgs) > 0 {
			return msgs, nil
		}
		if over && wait == 0 { // AWS: a long poll just stays empty
			return nil, &wire.Error{Code: "OverLimit", QueryCode: "OverLimit", Status: 403, Message: "Too many messages in flight for the queue."}
		}
		if !now.Before(deadline) {
			return nil, nil
		}
		t := time.NewTimer(until.Sub(now))
		select {
		case <-changed:
		case <-t.C:
		case <-ctx.Done():
		case <-s.w.Context().Done():
		}
		t.Stop()
		if ctx.Err() != nil || s.w.Context().Err() != nil {
			return nil, nil
		}
	}
}

// take receives up to limit messages. over tells that the in-flight quota stood in the way. The caller holds the lock.
func (s *Service) take(q *queue, limit int, visibility time.Duration, now time.Time) (out []Message, over bool) {
	q.advance(now)
	var back []*message // popped, but to stay visible
	mine := map[string]int{}
	for len(out) < limit && len(q.ready.items) > 0 {
		m := q.ready.pop()
		if !q.fifo && len(q.ready.items) > 0 && s.faults.Reorder != nil && s.faults.Reorder() {
			overtaken := m
			m = q.ready.pop()
			q.ready.push(overtaken)
		}
		switch {
		case q.expired(m, now):
			delete(q.messages, m.serial)
			continue
		case q.fifo && q.busy[m.group] > mine[m.group]:
			back = append(back, m)
			continue
		case s.deadLetter(q, m, now):
			continue
		case q.inflight >= maxInflight:
			back = append(back, m)
			over = true
		}
		if over {
			break
		}
		m.receives++
		if m.receives == 1 {
			m.firstReceived = now
		}
		m.nonce = s.w.Hex(32)
		if visibility > 0 {
			q.hide(m, now.Add(visibility))
			mine[m.group]++
		} else {
			back = append(back, m)
		}
		out = append(out, Message{
			ID: m.id, ReceiptHandle: m.handle(q), Body: m.body, MD5OfBody: md5Hex(m.body), Attributes: m.systemAttributes(q),
			MessageAttributes: maps.Clone(m.attrs), MD5OfMessageAttributes: md5OfAttributes(m.attrs),
		})
	}
	for _, m := range back {
		q.ready.push(m)
	}
	return out, over
}

// deadLetter moves a message that has been received too often, which has already been taken out of the ready pile.
func (s *Service) deadLetter(q *queue, m *message, now time.Time) bool {
	if q.redrive == nil || m.receives < q.redrive.max {
		return false
	}
	target := s.byARN(q.redrive.target)
	if target == nil {
		return false // deleted since: AWS keeps delivering
	}
	delete(q.messages, m.serial)
	dead := *m
	dead.serial, dead.source = s.next(), q.arn
	if q.fifo {
		dead.enqueued = now // a standard queue's message keeps its age, a FIFO queue's starts anew
	}
	target.add(&dead, now, 0)
	return true
}

type (
	deleteEntry struct {
		ID            string `json:"Id"`
		ReceiptHandle string
	}
	deleteInput struct {
		queueInput
		ReceiptHandle string
	}
	deleteBatchInput struct {
		queueInput
		Entries []deleteEntry
	}
	visibilityEntry struct {
		ID                string `json:"Id"`
		ReceiptHandle     string
		VisibilityTimeout *int
	}
	visibilityInput struct {
		queueInput
		visibilityEntry
	}
	visibilityBatchInput struct {
		queueInput
		Entries []visibilityEntry
	}
	batchResult struct {
		ID string `json:"Id"`
	}
	batchOutput struct {
		Successful []batchResult `json:",omitempty"`
		Failed     []failure     `json:",omitempty"`
	}
)

func (o *batchOutput) add(id string, err *wire.Error) {
	if err != nil {
		o.Failed = append(o.Failed, failed(id, err))
		return
	}
	o.Successful = append(o.Successful, batchResult{id})
}

func (s *Service) deleteMessage(_ context.Context, _ *wire.Call, in *deleteInput) (*empty, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	q, err := s.byURL(in.QueueURL)
	if err != nil {
		return nil, err
	}
	if e := s.delete(q, in.ReceiptHandle); e != nil {
		return nil, e
	}
	return &empty{}, nil
}

func (s *Service) deleteMessageBatch(_ context.Context, _ *wire.Call, in *deleteBatchInput) (*batchOutput, error) {
	ids := make([]string, len(in.Entries))
	for i, e := range in.Entries {
		ids[i] = e.ID
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	q, err := s.batch(in.QueueURL, "DeleteMessageBatchRequestEntry", ids)
	if err != nil {
		return nil, err
	}
	out := new(batchOutput)
	for _, e := range in.Entries {
		out.add(e.ID, s.delete(q, e.ReceiptHandle))
	}
	return out, nil
}

// delete removes the message behind a receipt handle. A handle that is not the message's newest one is accepted and
// deletes nothing, which AWS allows itself too; on a FIFO queue it is an error once the message is no longer in flight.
func (s *Service) delete(q *queue, handle string) *wire.Error {
	if handle == "" {
		return missing("ReceiptHandle")
	}
	m, err := q.find(handle)
	if err != nil || m == nil {
		return err
	}
	if q.advance(time.Now()); q.fifo && !m.inflight {
		return invalid("ReceiptHandle", handle, "The receipt handle has expired.")
	}
	q.remove(m)
	return nil
}

// find returns the message of a handle, or nil where it is gone or has been received again since.
func (q *queue) find(handle string) (*message, *wire.Error) {
	serial, nonce, err := q.parseHandle(handle)
	if err != nil {
		return nil, badHandle(handle)
	}
	if m := q.messages[serial]; m != nil && m.nonce == nonce {
		return m, nil
	}
	return nil, nil
}

func (s *Service) changeVisibility(_ context.Context, _ *wire.Call, in *visibilityInput) (*empty, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	q, err := s.byURL(in.QueueURL)
	if err != nil {
		return nil, err
	}
	if e := s.change(q, &in.visibilityEntry); e != nil {
		return nil, e
	}
	return &empty{}, nil
}

func (s *Service) changeVisibilityBatch(_ context.Context, _ *wire.Call, in *visibilityBatchInput) (*batchOutput, error) {
	ids := make([]string, len(in.Entries))
	for i, e := range in.Entries {
		ids[i] = e.ID
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	q, err := s.batch(in.QueueURL, "ChangeMessageVisibilityBatchRequestEntry", ids)
	if err != nil {
		return nil, err
	}
	out := new(batchOutput)
	for i := range in.Entries {
		out.add(in.Entries[i].ID, s.change(q, &in.Entries[i]))
	}
	return out, nil
}

func (s *Service) change(q *queue, e *visibilityEntry) *wire.Error {
	if e.ReceiptHandle == "" {
		return missing("ReceiptHandle")
	}
	if e.VisibilityTimeout == nil {
		return missing("VisibilityTimeout")
	}
	if n := *e.VisibilityTimeout; n < 0 || n > 43200 {
		return invalid("VisibilityTimeout", n, "VisibilityTimeout must be an integer between 0 and 43200.")
	}
	m, err := q.find(e.ReceiptHandle)
	if err != nil {
		return err
	}
	now := time.Now()
	q.advance(now)
	if m == nil || !m.inflight {
		return notInflight(e.ReceiptHandle)
	}
	if *e.VisibilityTimeout == 0 {
		q.show(m)
		return nil
	}
	q.hide(m, now.Add(time.Duration(*e.VisibilityTimeout)*time.Second))
	q.wake() // the next timer of a long poll may have come closer
	return nil
}
