package sqs

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/wire"
)

const (
	maxBatch    = 10
	maxPayload  = 1 << 20 // of one request, since August 2025
	dedupWindow = 5 * time.Minute
)

type (
	entry struct {
		ID                      string `json:"Id"`
		MessageBody             string
		DelaySeconds            *int
		MessageAttributes       map[string]Attribute
		MessageSystemAttributes map[string]Attribute
		MessageDeduplicationID  string `json:"MessageDeduplicationId"`
		MessageGroupID          string `json:"MessageGroupId"`
	}
	sendInput struct {
		queueInput
		entry
	}
	sendOutput struct {
		ID                           string `json:"Id,omitempty"`
		MessageID                    string `json:"MessageId"`
		MD5OfMessageBody             string
		MD5OfMessageAttributes       string `json:",omitempty"`
		MD5OfMessageSystemAttributes string `json:",omitempty"`
		SequenceNumber               string `json:",omitempty"`
	}
	sendBatchInput struct {
		queueInput
		Entries []entry
	}
	failure struct {
		ID          string `json:"Id"`
		Code        string
		Message     string
		SenderFault bool
	}
	sendBatchOutput struct {
		Successful []sendOutput `json:",omitempty"`
		Failed     []failure    `json:",omitempty"`
	}
)

func (s *Service) sendMessage(_ context.Context, call *wire.Call, in *sendInput) (*sendOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	q, err := s.byURL(in.QueueURL)
	if err != nil {
		return nil, err
	}
	out, fail := s.send(q, &in.entry, call.Caller.UserID)
	if fail != nil {
		return nil, fail
	}
	out.ID = ""
	return out, nil
}

func (s *Service) sendMessageBatch(_ context.Context, call *wire.Call, in *sendBatchInput) (*sendBatchOutput, error) {
	ids := make([]string, len(in.Entries))
	total := 0
	for i, e := range in.Entries {
		ids[i] = e.ID
		m := message{body: e.MessageBody, attrs: e.MessageAttributes}
		total += m.size()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	q, err := s.batch(in.QueueURL, "SendMessageBatchRequestEntry", ids)
	if err != nil {
		return nil, err
	}
	if total > maxPayload {
		return nil, &wire.Error{Code: "BatchRequestTooLong", QueryCode: legacy + "BatchRequestTooLong",
			Message: fmt.Sprintf("Batch requests cannot be longer than %d bytes. You have sent %d bytes.", maxPayload, total)}
	}
	out := new(sendBatchOutput)
	for i := range in.Entries {
		o, fail := s.send(q, &in.Entries[i], call.Caller.UserID)
		if fail != nil {
			out.Failed = append(out.Failed, failed(in.Entries[i].ID, fail))
			continue
		}
		out.Successful = append(out.Successful, *o)
	}
	return out, nil
}

func failed(id string, e *wire.Error) failure {
	code := e.QueryCode
	if code == "" {
		code = e.Code
	}
	return failure{ID: id, Code: code, Message: e.Message, SenderFault: true}
}

var batchID = regexp.MustCompile(`^[A-Za-z0-9_-]{1,80}$`)

// batch checks what all batch calls have in common and finds the queue. The caller holds the lock.
func (s *Service) batch(url, kind string, ids []string) (*queue, error) {
	q, err := s.byURL(url)
	if err != nil {
		return nil, err
	}
	bad := func(code, format string, args ...any) error {
		return &wire.Error{Code: code, QueryCode: legacy + code, Message: fmt.Sprintf(format, args...)}
	}
	if len(ids) == 0 {
		return nil, bad("EmptyBatchRequest", "There should be at least one %s in the request.", kind)
	}
	if len(ids) > maxBatch {
		return nil, bad("TooManyEntriesInBatchRequest", "Maximum number of entries per request are %d. You have sent %d.", maxBatch, len(ids))
	}
	seen := map[string]bool{}
	for _, id := range ids {
		if !batchID.MatchString(id) {
			return nil, bad("InvalidBatchEntryId", "A batch entry id can only contain alphanumeric characters, hyphens and underscores. It can be at most 80 letters long.")
		}
		if seen[id] {
			return nil, bad("BatchEntryIdsNotDistinct", "Id %s repeated.", id)
		}
		seen[id] = true
	}
	return q, nil
}

// send puts one message into a queue. The caller holds the lock.
func (s *Service) send(q *queue, e *entry, sender string) (*sendOutput, *wire.Error) {
	now := time.Now()
	m := &message{
		body: e.MessageBody, attrs: e.MessageAttributes, sender: sender, sent: now, enqueued: now,
		group: e.MessageGroupID, dedup: e.MessageDeduplicationID,
	}
	if err := s.checkMessage(q, m, e); err != nil {
		return nil, err
	}
	delay := q.seconds("DelaySeconds")
	if e.DelaySeconds != nil {
		delay = time.Duration(*e.DelaySeconds) * time.Second
	}
	if q.fifo {
		if m.dedup == "" {
			sum := sha256.Sum256([]byte(m.body))
			m.dedup = hex.EncodeToString(sum[:])
		}
		if old := q.duplicate(m, now); old != nil {
			return answer(q, old, e), nil // accepted, as the first one's twin
		}
	}
	m.serial, m.id = s.next(), s.w.UUID()
	q.add(m, now, delay)
	if !q.fifo && s.faults.Duplicate != nil && s.faults.Duplicate() {
		twin := *m
		twin.serial, twin.pile = s.next(), nil
		q.add(&twin, now, delay)
	}
	return answer(q, m, e), nil
}

func answer(q *queue, m *message, e *entry) *sendOutput {
	out := &sendOutput{ID: e.ID, MessageID: m.id, MD5OfMessageBody: md5Hex(e.MessageBody),
		MD5OfMessageAttributes: md5OfAttributes(e.MessageAttributes), MD5OfMessageSystemAttributes: md5OfAttributes(e.MessageSystemAttributes)}
	if q.fifo {
		out.SequenceNumber = m.sequence()
	}
	return out
}

// duplicate finds the message that was sent with m's deduplication id in the last five minutes, or remembers m.
func (q *queue) duplicate(m *message, now time.Time) *message {
	key := m.dedup
	if q.attrs["DeduplicationScope"] == "messageGroup" {
		key = m.group + "\x00" + m.dedup
	}
	if old, ok := q.seen[key]; ok && now.Sub(old.at) < dedupWindow {
		return old.message
	}
	for k, old := range q.seen {
		if now.Sub(old.at) >= dedupWindow {
			delete(q.seen, k)
		}
	}
	q.seen[key] = sent{now, m}
	return nil
}

func (s *Service) checkMessage(q *queue, m *message, e *entry) *wire.Error {
	if err := checkBody(m.body); err != nil {
		return err
	}
	if err := checkAttributes(m.attrs); err != nil {
		return err
	}
	for name, a := range e.MessageSystemAttributes {
		if name != "AWSTraceHeader" || a.DataType != "String" || a.StringValue == nil {
			return invalid("MessageSystemAttributes", name, "Only AWSTraceHeader of type String is supported.")
		}
		m.trace = *a.StringValue
	}
	if limit := q.number("MaximumMessageSize"); m.size() > limit {
		return &wire.Error{Code: "InvalidParameterValueException", QueryCode: "InvalidParameterValue",
			Message: fmt.Sprintf("One or more parameters are invalid. Reason: Message must be shorter than %d bytes.", limit)}
	}
	if d := e.DelaySeconds; d != nil {
		if *d < 0 || *d > 900 {
			return invalid("DelaySeconds", *d, "DelaySeconds must be >= 0 and <= 900.")
		}
		if q.fifo && *d != 0 {
			return invalid("DelaySeconds", *d, "The request include parameter that is not valid for this queue type.")
		}
	}
	if !q.fifo {
		if m.dedup != "" {
			return invalid("MessageDeduplicationId", m.dedup, "The request includes a parameter that is not valid for this queue type.")
		}
		return nil // a group id on a standard queue is for its fairness, which has no order
	}
	if m.group == "" {
		return missing("MessageGroupId")
	}
	if m.dedup == "" && q.attrs["ContentBasedDeduplication"] != "true" {
		return &wire.Error{Code: "InvalidParameterValueException", QueryCode: "InvalidParameterValue",
			Message: "The queue should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided explicitly"}
	}
	return nil
}
