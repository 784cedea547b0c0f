package lambda

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/wire"
)

// asyncConfig is an EventInvokeConfig.
type asyncConfig struct {
	maxAge    time.Duration
	retries   int
	onFailure string // ARN of a queue
	onSuccess string
}

var defaultAsync = asyncConfig{maxAge: 6 * time.Hour, retries: 2}

// Lambda backs off like this, up to the event's age, while a function is throttled.
const (
	firstBackoff = time.Second
	lastBackoff  = 5 * time.Minute
)

// InvokeAsync queues an event for a function and returns the request's id.
func (s *Service) InvokeAsync(nameOrARN string, payload []byte) (string, error) {
	return s.invokeAsync(nameOrARN, s.w.UUID(), payload)
}

func (s *Service) invokeAsync(nameOrARN, requestID string, payload []byte) (string, error) {
	f, err := s.find(nameOrARN)
	if err != nil {
		return "", err
	}
	if len(payload) > maxEvent {
		return "", tooLarge(maxEvent)
	}
	s.w.Go(func(ctx context.Context) { s.deliver(ctx, f, requestID, payload) })
	return requestID, nil
}

// deliver invokes until the function succeeds, its retries are used up, or the event is too old.
func (s *Service) deliver(ctx context.Context, f *function, id string, payload []byte) {
	s.mu.Lock()
	conf, name := f.async, f.config.Name
	s.mu.Unlock()
	deadline := time.Now().Add(conf.maxAge)
	backoff, attempts := firstBackoff, 0
	var last Result
	for {
		var wait time.Duration
		r, err := s.invoke(name, id, "", payload)
		if err == nil {
			last = r
			if attempts++; r.FunctionError == "" {
				s.send(ctx, f, conf.onSuccess, record(s, f, id, "Success", attempts, payload, r))
				return
			}
			if attempts > conf.retries {
				s.failed(ctx, f, conf, id, "RetriesExhausted", attempts, payload, last)
				return
			}
			wait = s.o.RetryDelays[min(attempts, len(s.o.RetryDelays))-1]
		} else {
			s.w.Log.Warn("embedded cloud: an asynchronous invocation waits", "function", name, "reason", err)
			wait, backoff = backoff, min(2*backoff, lastBackoff)
		}
		if time.Now().Add(wait).After(deadline) {
			s.failed(ctx, f, conf, id, "EventAgeExceeded", attempts, payload, last)
			return
		}
		t := time.NewTimer(wait)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return
		}
	}
}

// failed sends an event that could not be processed to the failure destination and the dead-letter queue, if any.
func (s *Service) failed(ctx context.Context, f *function, conf asyncConfig, id, condition string, attempts int, payload []byte, last Result) {
	s.w.Log.Warn("embedded cloud: an asynchronous invocation failed for good", "function", f.config.Name, "condition", condition, "attempts", attempts)
	s.send(ctx, f, conf.onFailure, record(s, f, id, condition, attempts, payload, last))
	s.mu.Lock()
	dlq := f.config.DeadLetterARN
	s.mu.Unlock()
	if dlq == "" {
		return
	}
	var e struct{ ErrorMessage string }
	_ = json.Unmarshal(last.Payload, &e) // a function may answer anything
	s.sendTo(ctx, f, dlq, string(payload), map[string]string{"RequestID": id, "ErrorCode": "200", "ErrorMessage": truncate(e.ErrorMessage, 1024)})
}

func truncate(s string, n int) string {
	if len(s) > n {
		return s[:n]
	}
	return s
}

// record is the invocation record that destinations get.
func record(s *Service, f *function, id, condition string, attempts int, payload []byte, r Result) string {
	rec := map[string]any{
		"version": "1.0", "timestamp": time.Now().UTC().Format("2006-01-02T15:04:05.000Z"),
		"requestContext": map[string]any{"requestId": id, "functionArn": s.ARN(f.config.Name) + ":$LATEST", "condition": condition, "approximateInvokeCount": attempts},
		"requestPayload": document(payload),
	}
	if attempts > 0 {
		response := map[string]any{"statusCode": 200, "executedVersion": "$LATEST"}
		if r.FunctionError != "" {
			response["functionError"] = r.FunctionError
		}
		rec["responseContext"], rec["responsePayload"] = response, document(r.Payload)
	}
	b, _ := json.Marshal(rec) // all of it is valid JSON by now
	return string(b)
}

func document(b []byte) any {
	if json.Valid(b) {
		return json.RawMessage(b)
	}
	return string(b)
}

func (s *Service) send(ctx context.Context, f *function, arn, body string) {
	if arn != "" {
		s.sendTo(ctx, f, arn, body, nil)
	}
}

// sendTo sends as the function's role: that is who needs sqs:SendMessage on a destination.
func (s *Service) sendTo(ctx context.Context, f *function, arn, body string, attributes map[string]string) {
	s.mu.Lock()
	role, name := f.config.Role, f.config.Name
	s.mu.Unlock()
	err := s.allowed(role, arn, "sqs:SendMessage")
	if err == nil {
		err = s.queues.Send(ctx, arn, body, attributes)
	}
	if err != nil {
		s.w.Log.Warn("embedded cloud: a failed event is lost", "function", name, "destination", arn, "reason", err)
	}
}

// allowed asks whether a function's role may do things.
func (s *Service) allowed(role, resource string, actions ...string) error {
	for _, a := range actions {
		if err := s.roles.AuthorizeRole(role, wire.Need{Action: a, Resource: resource}); err != nil {
			return err
		}
	}
	return nil
}

func checkDestination(arn string) error {
	if arn != "" && !strings.HasPrefix(arn, "arn:aws:sqs:") {
		return wire.Errf("NotImplemented", "the embedded cloud sends failed events to SQS queues only, not to %s", arn).WithStatus(http.StatusNotImplemented)
	}
	return nil
}

// permission is a statement of a function's resource policy.
type permission struct {
	id, action, principal, sourceARN, sourceAccount string
	// Of function URLs: what they are protected by, and whether it is for calls by the URL alone.
	urlAuth string
	viaURL  bool
}

// The actions that permissions are for.
const (
	actionInvoke    = "lambda:InvokeFunction"
	actionInvokeURL = "lambda:InvokeFunctionUrl"
)

// MayInvokeFor tells whether a function's resource policy lets a service such as events.amazonaws.com call it on behalf of a
// resource.
func (s *Service) MayInvokeFor(servicePrincipal, sourceARN, functionARN string) error {
	f, err := s.find(functionARN)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range f.permissions {
		if p.action == actionInvoke && !p.viaURL && p.principal == servicePrincipal && (p.sourceARN == "" || glob(p.sourceARN, sourceARN)) &&
			(p.sourceAccount == "" || p.sourceAccount == s.w.Account) {
			return nil
		}
	}
	return wire.Errf("AccessDeniedException", "User: %s is not authorized to perform: lambda:InvokeFunction on resource: %s because no resource-based policy allows the lambda:InvokeFunction action", servicePrincipal, s.ARN(functionName(functionARN))).WithStatus(http.StatusForbidden)
}

// InvokeFor queues an event that a service sends on behalf of a resource, if it may.
func (s *Service) InvokeFor(servicePrincipal, sourceARN, functionARN string, payload []byte) error {
	if err := s.MayInvokeFor(servicePrincipal, sourceARN, functionARN); err != nil {
		return err
	}
	_, err := s.InvokeAsync(functionARN, payload)
	return err
}

// glob matches the * of an ArnLike condition.
func glob(pattern, text string) bool {
	parts := strings.Split(pattern, "*")
	if !strings.HasPrefix(text, parts[0]) {
		return false
	}
	text = text[len(parts[0]):]
	for i, p := range parts[1:] {
		if i == len(parts)-2 {
			return strings.HasSuffix(text, p)
		}
		at := strings.Index(text, p)
		if at < 0 {
			return false
		}
		text = text[at+len(p):]
	}
	return text == ""
}

// IsThrottle tells whether an error says that a function has no concurrency left.
func IsThrottle(err error) bool {
	var e *wire.Error
	return errors.As(err, &e) && e.Code == "TooManyRequestsException"
}
