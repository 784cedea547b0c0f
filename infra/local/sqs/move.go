package sqs

import (
	"context"
	"encoding/base64"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/wire"
)

// moveTask is one run of StartMessageMoveTask.
type moveTask struct {
	id, handle          string
	source, destination string
	rate                int // messages a second, 0 for as fast as can be
	status              string
	moved, toMove       int64
	reason              string
	started             time.Time
	canceled            chan struct{}
}

type (
	startMoveInput struct {
		SourceArn, DestinationArn    string
		MaxNumberOfMessagesPerSecond *int
	}
	startMoveOutput struct{ TaskHandle string }
	listMovesInput  struct {
		SourceArn  string
		MaxResults *int
	}
	moveResult struct {
		TaskHandle                        string `json:",omitempty"` // only while it runs
		Status                            string
		SourceArn                         string
		DestinationArn                    string `json:",omitempty"`
		MaxNumberOfMessagesPerSecond      int    `json:",omitempty"`
		ApproximateNumberOfMessagesMoved  int64
		ApproximateNumberOfMessagesToMove int64
		FailureReason                     string `json:",omitempty"`
		StartedTimestamp                  int64
	}
	listMovesOutput  struct{ Results []moveResult }
	cancelMoveInput  struct{ TaskHandle string }
	cancelMoveOutput struct{ ApproximateNumberOfMessagesMoved int64 }
)

func (s *Service) needStartMove(_ *wire.Call, in *startMoveInput) []wire.Need {
	needs := []wire.Need{
		s.needOn("StartMessageMoveTask", in.SourceArn), s.needOn("ReceiveMessage", in.SourceArn),
		s.needOn("DeleteMessage", in.SourceArn), s.needOn("GetQueueAttributes", in.SourceArn),
	}
	if in.DestinationArn != "" {
		return append(needs, s.needOn("SendMessage", in.DestinationArn))
	}
	s.mu.Lock()
	var targets []string
	if q := s.byARN(in.SourceArn); q != nil {
		for _, name := range s.sourcesOf(q) {
			targets = append(targets, s.queues[name].arn)
		}
	}
	s.mu.Unlock()
	for _, arn := range targets {
		needs = append(needs, s.needOn("SendMessage", arn))
	}
	return needs
}

func (s *Service) needListMoves(_ *wire.Call, in *listMovesInput) []wire.Need {
	return []wire.Need{s.needOn("ListMessageMoveTasks", in.SourceArn)}
}

func (s *Service) needCancelMove(_ *wire.Call, in *cancelMoveInput) []wire.Need {
	s.mu.Lock()
	arn := s.w.ARN("sqs", "*")
	if t := s.task(in.TaskHandle); t != nil {
		arn = t.source
	}
	s.mu.Unlock()
	return []wire.Need{s.needOn("CancelMessageMoveTask", arn)}
}

func noResource(message string) *wire.Error {
	return &wire.Error{Code: "ResourceNotFoundException", QueryCode: "ResourceNotFoundException", Status: 404, Message: message}
}

func (s *Service) startMessageMoveTask(_ context.Context, _ *wire.Call, in *startMoveInput) (*startMoveOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if in.SourceArn == "" {
		return nil, missing("SourceArn")
	}
	q := s.byARN(in.SourceArn)
	if q == nil {
		return nil, noResource("The resource that you specified for the SourceArn parameter doesn't exist.")
	}
	if len(s.sourcesOf(q)) == 0 {
		return nil, invalid("SourceArn", in.SourceArn, "Source queue must be configured as a Dead Letter Queue.")
	}
	if in.DestinationArn != "" {
		d := s.byARN(in.DestinationArn)
		if d == nil {
			return nil, noResource("The resource that you specified for the DestinationArn parameter doesn't exist.")
		}
		if d.fifo != q.fifo {
			return nil, invalid("DestinationArn", in.DestinationArn, "Source and destination must be queues of the same type.")
		}
	}
	t := &moveTask{id: s.w.UUID(), source: in.SourceArn, destination: in.DestinationArn, status: "RUNNING", started: time.Now(), canceled: make(chan struct{})}
	if n := in.MaxNumberOfMessagesPerSecond; n != nil {
		if t.rate = *n; t.rate < 1 || t.rate > 500 {
			return nil, invalid("MaxNumberOfMessagesPerSecond", t.rate, "Must be between 1 and 500, if provided.")
		}
	}
	for _, o := range s.tasks {
		if o.source == t.source && (o.status == "RUNNING" || o.status == "CANCELLING") {
			return nil, unsupported("There is already a task running. Only one active task is allowed for a source queue arn at a given time.")
		}
	}
	visible, _, _ := q.counts(time.Now())
	t.toMove = int64(visible)
	t.handle = base64.StdEncoding.EncodeToString([]byte(`{"taskId":"` + t.id + `","sourceArn":"` + t.source + `"}`))
	s.tasks = append(s.tasks, t)
	s.w.Go(func(ctx context.Context) { s.runMove(ctx, t) })
	return &startMoveOutput{t.handle}, nil
}

// runMove moves what is visible now; what becomes visible while it runs is moved too, as AWS does.
func (s *Service) runMove(ctx context.Context, t *moveTask) {
	for {
		if t.rate > 0 {
			pause := time.NewTimer(time.Second / time.Duration(t.rate))
			select {
			case <-pause.C:
			case <-t.canceled:
			case <-ctx.Done():
				pause.Stop()
				return
			}
			pause.Stop()
		}
		if s.moveOne(t) {
			return
		}
	}
}

// moveOne moves one message and tells whether the task has ended.
func (s *Service) moveOne(t *moveTask) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t.status == "CANCELLING" {
		t.status = "CANCELLED"
		return true
	}
	fail := func(reason string) bool {
		t.status, t.reason = "FAILED", reason
		return true
	}
	q := s.byARN(t.source)
	if q == nil {
		return fail("AWS.SimpleQueueService.NonExistentQueue")
	}
	now := time.Now()
	q.advance(now)
	if len(q.ready.items) == 0 {
		t.status = "COMPLETED"
		return true
	}
	m := q.ready.items[0]
	if q.expired(m, now) {
		q.remove(m)
		return false
	}
	arn := t.destination
	if arn == "" {
		arn = m.source
	}
	d := s.byARN(arn)
	if arn == "" {
		return fail("CouldNotDetermineMessageSource")
	}
	if d == nil {
		return fail("AWS.SimpleQueueService.NonExistentQueue")
	}
	q.remove(m)
	// A redriven message is a new one: new id, new age, never received.
	d.add(&message{serial: s.next(), id: s.w.UUID(), body: m.body, attrs: m.attrs, trace: m.trace, sender: m.sender,
		sent: now, enqueued: now, group: m.group, dedup: m.dedup}, now, d.seconds("DelaySeconds"))
	t.moved++
	return false
}

func (s *Service) listMessageMoveTasks(_ context.Context, _ *wire.Call, in *listMovesInput) (*listMovesOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byARN(in.SourceArn) == nil {
		return nil, noResource("The resource that you specified for the SourceArn parameter doesn't exist.")
	}
	limit := 1
	if n := in.MaxResults; n != nil {
		if limit = *n; limit < 1 || limit > 10 {
			return nil, invalid("MaxResults", limit, "Must be between 1 and 10, if provided.")
		}
	}
	out := &listMovesOutput{Results: []moveResult{}}
	for i := len(s.tasks) - 1; i >= 0 && len(out.Results) < limit; i-- {
		t := s.tasks[i]
		if t.source != in.SourceArn {
			continue
		}
		r := moveResult{Status: t.status, SourceArn: t.source, DestinationArn: t.destination, MaxNumberOfMessagesPerSecond: t.rate,
			ApproximateNumberOfMessagesMoved: t.moved, ApproximateNumberOfMessagesToMove: t.toMove, FailureReason: t.reason,
			StartedTimestamp: t.started.UnixMilli()}
		if t.status == "RUNNING" {
			r.TaskHandle = t.handle
		}
		out.Results = append(out.Results, r)
	}
	return out, nil
}

func (s *Service) task(handle string) *moveTask {
	for _, t := range s.tasks {
		if t.handle == handle {
			return t
		}
	}
	return nil
}

func (s *Service) cancelMessageMoveTask(_ context.Context, _ *wire.Call, in *cancelMoveInput) (*cancelMoveOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.task(in.TaskHandle)
	if t == nil {
		return nil, noResource("Task does not exist.")
	}
	if t.status != "RUNNING" {
		return nil, unsupported("Only active tasks can be cancelled.")
	}
	t.status = "CANCELLING"
	close(t.canceled)
	return &cancelMoveOutput{t.moved}, nil
}
