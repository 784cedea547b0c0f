package eventbridge

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/sqs"
	"github.com/ekspedite/ekspedite/infra/local/wire"
)

// AWS's defaults, and a backoff of our own: AWS documents only that it is exponential with jitter over 24 hours.
const (
	defaultRetries = 185
	defaultAge     = 24 * time.Hour
	firstBackoff   = time.Second
	lastBackoff    = 10 * time.Minute
)

// delivery is one event on its way to one target.
type delivery struct {
	event     []byte
	arrived   time.Time
	attempts  int  // that failed
	forwarded bool // came from another bus: AWS forwards an event once only
}

// route gives an accepted event to the rules of a bus.
func (s *Service) route(busName string, event []byte, forwarded bool) {
	s.mu.Lock()
	watchers := s.watchers
	s.mu.Unlock()
	for _, f := range watchers {
		f(busName, event)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.buses[busName]
	if b == nil {
		return // deleted since
	}
	for _, r := range b.sorted() {
		if r.pattern == nil || r.state != enabled {
			continue
		}
		if ok, err := r.pattern.Match(event); err != nil || !ok {
			continue // cannot fail: the event was made by us
		}
		for _, t := range r.targets {
			s.dispatch(r, t, delivery{event: event, arrived: time.Now(), forwarded: forwarded})
		}
	}
}

// dispatch queues a delivery. The caller holds the lock.
func (s *Service) dispatch(r *rule, t *target, d delivery) {
	if f := s.faults.Delay; f != nil {
		if wait := f(); wait > 0 {
			s.later(wait, r, t, d)
			return
		}
	}
	s.enqueue(r, t, d)
	if s.faults.Duplicate != nil && s.faults.Duplicate() {
		s.enqueue(r, t, d)
	}
}

// enqueue appends to the target's line and sees that someone works on it. The caller holds the lock.
func (s *Service) enqueue(r *rule, t *target, d delivery) {
	t.pending = append(t.pending, d)
	if !t.running {
		t.running = true
		s.w.Go(func(ctx context.Context) { s.drain(ctx, r, t) })
	}
}

// later queues a delivery after a while; what arrives in between overtakes it.
func (s *Service) later(wait time.Duration, r *rule, t *target, d delivery) {
	s.w.After(wait, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.enqueue(r, t, d)
	})
}

func (s *Service) drain(ctx context.Context, r *rule, t *target) {
	for {
		s.mu.Lock()
		if len(t.pending) == 0 || ctx.Err() != nil {
			t.running = false
			s.mu.Unlock()
			return
		}
		d := t.pending[0]
		t.pending = t.pending[1:]
		s.mu.Unlock()
		if err := s.deliver(r, t, d); err != nil {
			s.failed(r, t, d, err)
		}
	}
}

func (s *Service) deliver(r *rule, t *target, d delivery) error {
	payload := t.shape(r, d)
	from := sqs.Sender{ServicePrincipal: servicePrincipal, SourceARN: r.arn}
	switch kind(t.Arn) {
	case "sqs":
		group := ""
		if t.SqsParameters != nil {
			group = t.SqsParameters.MessageGroupID
		}
		if t.RoleArn != "" {
			if err := s.roles.AuthorizeRole(t.RoleArn, wire.Need{Action: "sqs:SendMessage", Resource: t.Arn}); err != nil {
				return err
			}
			return s.queues.SendAuthorized(t.Arn, string(payload), group, nil)
		}
		if group != "" {
			return s.queues.SendGroup(t.Arn, string(payload), group, nil, from)
		}
		return s.queues.Send(t.Arn, string(payload), nil, from)
	case "lambda":
		return s.functions.InvokeFor(servicePrincipal, r.arn, t.Arn, payload)
	case "logs":
		_, group, _ := strings.Cut(t.Arn, ":log-group:")
		group = strings.TrimSuffix(group, ":*")
		stream := s.w.UUID() // EventBridge too makes a stream for each event
		if err := s.logs.CreateStream(group, stream); err != nil {
			return err
		}
		return s.logs.Append(group, stream, time.Now(), string(payload))
	}
	return s.forward(t, d)
}

// forward puts the event, as it is, on another bus of this account.
func (s *Service) forward(t *target, d delivery) error {
	if d.forwarded {
		return nil // AWS: an event that came from a bus is not sent to a third
	}
	if t.RoleArn != "" {
		if err := s.roles.AuthorizeRole(t.RoleArn, wire.Need{Action: "events:PutEvents", Resource: t.Arn}); err != nil {
			return err
		}
	}
	s.mu.Lock()
	b, err := s.bus(t.Arn)
	s.mu.Unlock()
	if err != nil {
		return err
	}
	s.route(b.name, d.event, true)
	return nil
}

// failed retries what may still succeed and gives the rest to the dead-letter queue.
func (s *Service) failed(r *rule, t *target, d delivery, cause error) {
	retries, age := defaultRetries, defaultAge
	if p := t.RetryPolicy; p != nil {
		if p.MaximumRetryAttempts != nil {
			retries = int(*p.MaximumRetryAttempts)
		}
		if p.MaximumEventAgeInSeconds != nil {
			age = time.Duration(*p.MaximumEventAgeInSeconds) * time.Second
		}
	}
	code, retryable := classify(cause)
	exhausted := ""
	if retryable {
		backoff := min(firstBackoff<<min(d.attempts, 20), lastBackoff)
		backoff += time.Duration(s.w.IntN(int(backoff/4) + 1))
		switch {
		case d.attempts >= retries:
			exhausted = "MaximumRetryAttempts"
		case time.Since(d.arrived)+backoff > age:
			exhausted = "MaximumEventAgeInSeconds"
		default:
			d.attempts++
			s.later(backoff, r, t, d)
			return
		}
	}
	if t.DeadLetterConfig == nil || t.DeadLetterConfig.Arn == "" {
		s.w.Log.Warn("eventbridge: an event is lost: its target failed and has no dead-letter queue", "rule", r.arn, "target", t.Arn, "error", cause)
		return
	}
	attrs := map[string]string{"ERROR_CODE": code, "ERROR_MESSAGE": cause.Error(), "RULE_ARN": r.arn, "TARGET_ARN": t.Arn, "RETRY_ATTEMPTS": strconv.Itoa(d.attempts)}
	if exhausted != "" {
		attrs["EXHAUSTED_RETRY_CONDITION"] = exhausted
	}
	if err := s.queues.Send(t.DeadLetterConfig.Arn, string(d.event), attrs, sqs.Sender{ServicePrincipal: servicePrincipal, SourceARN: r.arn}); err != nil {
		s.w.Log.Warn("eventbridge: an event is lost: neither its target nor its dead-letter queue took it", "rule", r.arn, "target", t.Arn, "error", cause, "deadLetterError", err)
	}
}

// classify gives EventBridge's ERROR_CODE and whether trying again can help. Missing permissions and resources are given
// up at once, as AWS documents.
func classify(err error) (code string, retryable bool) {
	var e *wire.Error
	if !errors.As(err, &e) {
		return "SDK_CLIENT_ERROR", true
	}
	switch {
	case strings.HasPrefix(e.Code, "AccessDenied") || e.Code == "AuthorizationError":
		return "NO_PERMISSIONS", false
	case e.Code == "QueueDoesNotExist" || strings.HasPrefix(e.Code, "ResourceNotFound"):
		return "NO_RESOURCE", false
	case strings.Contains(e.Code, "Throttl") || strings.HasPrefix(e.Code, "TooManyRequests") || e.Code == "OverLimit":
		return "THROTTLING", true
	case e.Status >= 500 && e.Code != "NotImplemented":
		return "INTERNAL_ERROR", true
	}
	return "INVALID_PARAMETER", false
}
