package scheduler

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/wire"
	"github.com/ekspedite/ekspedite/infra/local/world"
)

const (
	queueARN = "arn:aws:sqs:eu-central-1:111122223333:q"
	dlqARN   = "arn:aws:sqs:eu-central-1:111122223333:dlq"
	roleARN  = "arn:aws:iam::111122223333:role/r"
)

// sink is every kind of target; what is sent to a name in failures fails.
type sink struct {
	mu       sync.Mutex
	got      []string
	attrs    []map[string]string
	at       []time.Time
	failures map[string]error
	denied   string // an action that roles lack
	distrust bool
}

func (s *sink) take(what, body string, attrs map[string]string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.failures[what]; err != nil {
		return err
	}
	s.got, s.attrs, s.at = append(s.got, what+" "+body), append(s.attrs, attrs), append(s.at, time.Now())
	return nil
}

func (s *sink) SendAuthorized(arn, body, group string, attrs map[string]string) error {
	return s.take(arn[strings.LastIndexByte(arn, ':')+1:], group+body, attrs)
}

func (s *sink) InvokeAsync(_ string, payload []byte) (string, error) {
	return "id", s.take("lambda", string(payload), nil)
}

func (s *sink) Put(bus, source, detailType string, detail json.RawMessage) error {
	return s.take("bus", fmt.Sprint(source, " ", detailType, " ", string(detail)), nil)
}

func (s *sink) AuthorizeRole(_ string, n wire.Need) error {
	if n.Action == s.denied {
		return wire.Errf("AccessDenied", "no %s", n.Action)
	}
	return nil
}

func (s *sink) CheckTrustFrom(string, string, string) error {
	if s.distrust {
		return errors.New("no")
	}
	return nil
}

func (s *sink) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.got)
}

type harness struct {
	*Service
	t    *testing.T
	sink *sink
}

func newHarness(t *testing.T, faults Faults) *harness {
	w := world.New("111122223333", "eu-central-1", world.Fast, 1, slog.New(slog.DiscardHandler))
	t.Cleanup(w.Close)
	k := &sink{failures: map[string]error{}}
	return &harness{New(w, k, k, k, k, faults), t, k}
}

func input(name, expr string, change ...func(*setInput)) *setInput {
	in := &setInput{Name: name, ScheduleExpression: expr, FlexibleTimeWindow: &flexibleWindow{Mode: "OFF"}, Target: &Target{Arn: queueARN, RoleArn: roleARN}}
	for _, c := range change {
		c(in)
	}
	return in
}

func (h *harness) create(name, expr string, change ...func(*setInput)) error {
	_, err := h.createSchedule(context.Background(), nil, input(name, expr, change...))
	return err
}

func (h *harness) must(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

func wantCode(t *testing.T, err error, code string) {
	t.Helper()
	var e *wire.Error
	if !errors.As(err, &e) || e.Code != code {
		t.Errorf("got error %v, want %s", err, code)
	}
}

// The bubble's clock starts at 2000-01-01 00:00 UTC.

func TestOneTimeWithContextAttributes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, Faults{})
		h.must(h.create("once", "at(2000-01-01T02:30:00)", func(in *setInput) {
			in.ScheduleExpressionTimezone, in.ActionAfterCompletion = "Europe/Berlin", "DELETE"
			in.Target.Input = `{"s":"<aws.scheduler.schedule-arn>","t":"<aws.scheduler.scheduled-time>","n":"<aws.scheduler.attempt-number>","id":"<aws.scheduler.execution-id>"}`
		}))
		time.Sleep(90*time.Minute - time.Nanosecond)
		synctest.Wait()
		if h.sink.count() != 0 {
			t.Fatal("too early")
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		if h.sink.count() != 1 || !strings.HasPrefix(h.sink.got[0], `q {"s":"arn:aws:scheduler:eu-central-1:111122223333:schedule/default/once","t":"2000-01-01T01:30:00Z","n":"1","id":"`) {
			t.Fatalf("got %v", h.sink.got)
		}
		_, err := h.getSchedule(context.Background(), nil, &getInput{Name: "once"})
		wantCode(t, err, "ResourceNotFoundException")
		h.must(h.create("past", "at(1999-01-01T00:00:00)"))
		synctest.Wait()
		if _, err := h.getSchedule(context.Background(), nil, &getInput{Name: "past"}); err != nil || h.sink.count() != 1 {
			t.Errorf("a past schedule: %v, %v", err, h.sink.got)
		}
	})
}

func TestRateBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, Faults{})
		start := time.Now()
		h.must(h.create("r", "rate(10 minutes)", func(in *setInput) {
			in.StartDate, in.EndDate = wire.At(start.Add(time.Hour)), wire.At(start.Add(2*time.Hour))
		}))
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		if n := h.sink.count(); n != 7 || !h.sink.at[0].Equal(start.Add(time.Hour)) {
			t.Errorf("%d invocations, first at %v", n, h.sink.at)
		}
		if !strings.Contains(h.sink.got[0], `"detail-type":"Scheduled Event"`) {
			t.Errorf("without an input: %s", h.sink.got[0])
		}
		// Without a start date it begins at once; disabled and updated ones stop.
		h.must(h.create("now", "rate(1 hour)"))
		time.Sleep(time.Minute)
		synctest.Wait()
		if h.sink.count() != 8 {
			t.Errorf("it did not begin at once: %d", h.sink.count())
		}
		_, err := h.updateSchedule(context.Background(), nil, input("now", "rate(1 hour)", func(in *setInput) { in.State = disabled }))
		h.must(err)
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		if h.sink.count() != 8 {
			t.Errorf("it ran while disabled: %d", h.sink.count())
		}
	})
}

func TestFlexibleWindowAndDuplicate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, Faults{Duplicate: func() bool { return true }})
		window := lenientInt(15)
		h.must(h.create("f", "cron(0 12 * * ? *)", func(in *setInput) { in.FlexibleTimeWindow = &flexibleWindow{"FLEXIBLE", &window} }))
		noon := time.Date(2000, 1, 1, 12, 0, 0, 0, time.UTC)
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		if h.sink.count() != 2 || h.sink.at[0].Before(noon) || h.sink.at[0].After(noon.Add(15*time.Minute)) {
			t.Errorf("invoked at %v", h.sink.at)
		}
		_, err := h.deleteSchedule(context.Background(), nil, &getInput{Name: "f"})
		h.must(err)
		time.Sleep(48 * time.Hour)
		synctest.Wait()
		if h.sink.count() != 2 {
			t.Error("it ran after its deletion")
		}
	})
}

func TestFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, Faults{})
		h.sink.denied = "lambda:InvokeFunction"
		h.sink.failures["q"] = errors.New("passing fault")
		two := lenientInt(2)
		h.must(h.create("x", "at(2000-01-01T01:00:00)", func(in *setInput) {
			in.Target.Input = "attempt <aws.scheduler.attempt-number>"
			in.Target.RetryPolicy = &retryPolicy{MaximumRetryAttempts: &two}
			in.Target.DeadLetterConfig = &struct{ Arn string }{dlqARN}
		}))
		h.must(h.create("denied", "at(2000-01-01T03:00:00)", func(in *setInput) {
			in.Target = &Target{Arn: "arn:aws:lambda:eu-central-1:111122223333:function:f", RoleArn: roleARN, DeadLetterConfig: &struct{ Arn string }{dlqARN}}
		}))
		h.must(h.create("bus", "at(2000-01-01T04:00:00)", func(in *setInput) {
			in.Target = &Target{Arn: "arn:aws:events:eu-central-1:111122223333:event-bus/b", RoleArn: roleARN, Input: `{"a":1}`,
				EventBridgeParameters: &struct{ DetailType, Source string }{"T", "s"}}
		}))
		time.Sleep(5 * time.Hour)
		synctest.Wait()
		if h.sink.count() != 3 {
			t.Fatalf("got %v", h.sink.got)
		}
		a := h.sink.attrs[0]
		if h.sink.got[0] != "dlq attempt 3" || a["EXHAUSTED_RETRY_CONDITION"] != "MaximumRetryAttempts" || a["RETRY_ATTEMPTS"] != "2" || a["TARGET_ARN"] != queueARN || a["ERROR_MESSAGE"] != "passing fault" {
			t.Errorf("exhausted: %s %v", h.sink.got[0], a)
		}
		if d := h.sink.attrs[1]; d["ERROR_CODE"] != "AccessDenied" || d["RETRY_ATTEMPTS"] != "0" {
			t.Errorf("denied: %v", d)
		}
		if h.sink.got[2] != `bus s T {"a":1}` {
			t.Errorf("bus: %s", h.sink.got[2])
		}
	})
}

func TestValidation(t *testing.T) {
	h := newHarness(t, Faults{})
	for what, c := range map[string]struct {
		code   string
		change func(*setInput)
	}{
		"name":       {"ValidationException", func(in *setInput) { in.Name = "a b" }},
		"expression": {"ValidationException", func(in *setInput) { in.ScheduleExpression = "often" }},
		"zone":       {"ValidationException", func(in *setInput) { in.ScheduleExpressionTimezone = "Mars/Base" }},
		"window":     {"ValidationException", func(in *setInput) { in.FlexibleTimeWindow = nil }},
		"flexible":   {"ValidationException", func(in *setInput) { in.FlexibleTimeWindow = &flexibleWindow{Mode: "FLEXIBLE"} }},
		"state":      {"ValidationException", func(in *setInput) { in.State = "MAYBE" }},
		"group":      {"ResourceNotFoundException", func(in *setInput) { in.GroupName = "none" }},
		"target":     {"ValidationException", func(in *setInput) { in.Target = nil }},
		"role":       {"ValidationException", func(in *setInput) { in.Target.RoleArn = "r" }},
		"universal":  {"NotImplemented", func(in *setInput) { in.Target.Arn = "arn:aws:scheduler:::aws-sdk:sqs:sendMessage" }},
		"ecs":        {"NotImplemented", func(in *setInput) { in.Target.EcsParameters = json.RawMessage("{}") }},
		"fifo":       {"ValidationException", func(in *setInput) { in.Target.Arn += ".fifo" }},
		"key":        {"NotImplemented", func(in *setInput) { in.KmsKeyArn = "arn" }},
		"dates": {"ValidationException", func(in *setInput) {
			in.StartDate, in.EndDate = wire.At(time.Unix(2, 0)), wire.At(time.Unix(1, 0))
		}},
	} {
		t.Run(what, func(t *testing.T) { wantCode(t, h.create("n", "rate(1 day)", c.change), c.code) })
	}
	h.sink.distrust = true
	wantCode(t, h.create("n", "rate(1 day)"), "ValidationException")
	h.sink.distrust = false
	h.must(h.create("n", "cron(0 0 1 1 ? *)"))
	wantCode(t, h.create("n", "cron(0 0 1 1 ? *)"), "ConflictException")
}

func TestProviders(t *testing.T) {
	h := newHarness(t, Faults{})
	g, err := h.Providers()["AWS::Scheduler::ScheduleGroup"]("G", json.RawMessage(`{"Name":"g"}`))
	if err != nil || g.Ref != "g" {
		t.Fatal(g, err)
	}
	provide := h.Providers()["AWS::Scheduler::Schedule"]
	sc, err := provide("S", json.RawMessage(`{"Name":"s","GroupName":"g","ScheduleExpression":"cron(0 2 ? * TUE *)","ScheduleExpressionTimezone":"Europe/Berlin",
		"FlexibleTimeWindow":{"Mode":"FLEXIBLE","MaximumWindowInMinutes":"15"},"StartDate":"2030-01-01T00:00:00Z",
		"Target":{"Arn":"`+queueARN+`","RoleArn":"`+roleARN+`","Input":"{}","RetryPolicy":{"MaximumRetryAttempts":"5"}}}`))
	if err != nil || sc.Ref != "s" || sc.Attributes["Arn"] != h.arn("g", "s") {
		t.Fatal(sc, err)
	}
	if _, err := provide("S", json.RawMessage(`{"Colour":"red"}`)); err == nil {
		t.Error("an unknown property gave no error")
	}
	if _, err := h.deleteGroup(context.Background(), nil, &groupInput{Name: "g"}); err != nil {
		t.Error(err)
	}
}
