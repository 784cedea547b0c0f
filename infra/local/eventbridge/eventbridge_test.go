package eventbridge

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

	"github.com/ekspedite/ekspedite/infra/local/sqs"
	"github.com/ekspedite/ekspedite/infra/local/wire"
	"github.com/ekspedite/ekspedite/infra/local/world"
)

const account = "arn:aws:sqs:eu-central-1:111122223333:"

// sink is every kind of target. Queues with an entry in failures fail that many times, or for ever with an error.
type sink struct {
	mu       sync.Mutex
	got      []string // "queue: body"
	attrs    []map[string]string
	times    map[string]int
	failures map[string]error
}

func (s *sink) take(arn, body string, attrs map[string]string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	name := arn[strings.LastIndexByte(arn, ':')+1:]
	if n := s.times[name]; n > 0 {
		s.times[name] = n - 1
		return errors.New("passing fault")
	}
	if err := s.failures[name]; err != nil {
		return err
	}
	s.got = append(s.got, name+": "+body)
	s.attrs = append(s.attrs, attrs)
	return nil
}

func (s *sink) Send(arn, body string, attrs map[string]string, from sqs.Sender) error {
	if from.ServicePrincipal != servicePrincipal || !strings.Contains(from.SourceARN, ":rule/") {
		return fmt.Errorf("sent by %+v", from)
	}
	return s.take(arn, body, attrs)
}

func (s *sink) SendGroup(arn, body, group string, attrs map[string]string, _ sqs.Sender) error {
	return s.take(arn, group+" "+body, attrs)
}

func (s *sink) SendAuthorized(arn, body, _ string, attrs map[string]string) error {
	return s.take(arn, body, attrs)
}

func (s *sink) InvokeFor(_, _, arn string, payload []byte) error {
	return s.take(arn, string(payload), nil)
}

func (s *sink) CreateStream(string, string) error { return nil }

func (s *sink) Append(group, _ string, _ time.Time, lines ...string) error {
	return s.take("log:"+group, strings.Join(lines, ""), nil)
}

func (s *sink) AuthorizeRole(role string, n wire.Need) error {
	if strings.Contains(role, "weak") {
		return wire.Errf("AccessDeniedException", "no %s", n.Action)
	}
	return nil
}

// taken empties the sink.
func (s *sink) taken() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := strings.Join(s.got, "\n")
	s.got = nil
	return all
}

type harness struct {
	t *testing.T
	*Service
	sink *sink
}

func newHarness(t *testing.T, faults Faults) *harness {
	w := world.New("111122223333", "eu-central-1", world.Fast, 1, slog.New(slog.DiscardHandler))
	t.Cleanup(w.Close)
	k := &sink{times: map[string]int{}, failures: map[string]error{}}
	return &harness{t, New(w, k, k, k, k, faults), k}
}

func (h *harness) must(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

func (h *harness) makeRule(bus, name, pattern string, targets ...Target) {
	h.t.Helper()
	_, err := h.putRule(context.Background(), nil, &putRuleInput{Name: name, EventBusName: bus, EventPattern: pattern})
	h.must(err)
	_, err = h.putTargets(context.Background(), nil, &putTargetsInput{Rule: name, EventBusName: bus, Targets: targets})
	h.must(err)
}

func wantCode(t *testing.T, err error, code string) {
	t.Helper()
	var e *wire.Error
	if !errors.As(err, &e) || e.Code != code {
		t.Errorf("got error %v, want %s", err, code)
	}
}

func TestTransform(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, Faults{})
		for _, c := range []struct {
			target Target
			want   string
		}{
			{Target{Input: `{"a":1}`}, `{"a":1}`},
			{Target{InputPath: "$.detail"}, `{"name":"q\"<x>","n":3,"l":[{"k":"v"}]}`},
			{Target{InputPath: "$.detail.l[0].k"}, `"v"`},
			{Target{InputPath: "$['detail']['n']"}, `3`},
			{Target{InputPath: "$.detail.none"}, `null`},
			{Target{InputTransformer: &inputTransformer{map[string]string{"n": "$.detail.n", "s": "$.detail.name", "l": "$.detail.l", "x": "$.none"}, `{"n":<n>,"s":<s>,"t":"<s> is <n><x>","l":<l>}`}},
				`{"n":3,"s":"q\"<x>","t":"q\"<x> is 3","l":[{"k":"v"}]}`},
			{Target{InputTransformer: &inputTransformer{map[string]string{"s": "$.source"}, `"from <s> by <aws.events.rule-name>"`}}, `"from aws.x by r"`},
			{Target{InputTransformer: &inputTransformer{nil, `{"r":<aws.events.rule-arn>}`}}, `{"r":"arn:aws:events:eu-central-1:111122223333:rule/r"}`},
		} {
			c.target.ID, c.target.Arn = "t", account+"q"
			h.makeRule("", "r", `{"source":["aws.x"]}`, c.target)
			h.Emit("aws.x", "T", nil, struct {
				Name string `json:"name"`
				N    int    `json:"n"`
				L    []any  `json:"l"`
			}{`q"<x>`, 3, []any{map[string]string{"k": "v"}}})
			synctest.Wait()
			got := strings.TrimPrefix(h.sink.taken(), "q: ")
			if c.target.InputPath == "$.detail" { // the order of members is not promised
				var a, b any
				_ = json.Unmarshal([]byte(got), &a)
				_ = json.Unmarshal([]byte(c.want), &b)
				if fmt.Sprint(a) == fmt.Sprint(b) {
					continue
				}
			}
			if got != c.want {
				t.Errorf("%+v gave\n%s\nwant\n%s", c.target, got, c.want)
			}
		}
	})
}

func TestTargetsRefused(t *testing.T) {
	h := newHarness(t, Faults{})
	h.makeRule("", "r", `{"source":["a"]}`, Target{ID: "ok", Arn: account + "q"})
	for _, c := range []struct {
		target Target
		code   string
	}{
		{Target{ID: "t", Arn: "queue"}, "ValidationException"},
		{Target{ID: "t t", Arn: account + "q"}, "ValidationException"},
		{Target{ID: "t", Arn: "arn:aws:kinesis:eu-central-1:111122223333:stream/s"}, "NotImplemented"},
		{Target{ID: "t", Arn: account + "q.fifo"}, "ValidationException"},
		{Target{ID: "t", Arn: account + "q", Input: "{}", InputPath: "$"}, "ValidationException"},
		{Target{ID: "t", Arn: account + "q", Input: "{"}, "ValidationException"},
		{Target{ID: "t", Arn: account + "q", InputPath: "detail"}, "ValidationException"},
		{Target{ID: "t", Arn: account + "q", InputPath: "$..x"}, "NotImplemented"},
		{Target{ID: "t", Arn: account + "q", InputPath: "$.x[*]"}, "NotImplemented"},
		{Target{ID: "t", Arn: account + "q", InputTransformer: &inputTransformer{nil, `"<a>"`}}, "ValidationException"},
		{Target{ID: "t", Arn: account + "q", EcsParameters: json.RawMessage(`{}`)}, "NotImplemented"},
		{Target{ID: "t", Arn: account + "q", DeadLetterConfig: &struct{ Arn string }{"arn:x"}}, "ValidationException"},
	} {
		_, err := h.putTargets(context.Background(), nil, &putTargetsInput{Rule: "r", Targets: []Target{c.target}})
		wantCode(t, err, c.code)
	}
	var many []Target
	for i := range maxTargets {
		many = append(many, Target{ID: fmt.Sprint(i), Arn: account + "q"})
	}
	_, err := h.putTargets(context.Background(), nil, &putTargetsInput{Rule: "r", Targets: many})
	wantCode(t, err, "LimitExceededException")
}

func TestKindsAndForwarding(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, Faults{})
		for _, name := range []string{"b", "c"} {
			_, err := h.createEventBus(context.Background(), nil, &createBusInput{Name: name})
			h.must(err)
		}
		busARN := h.w.ARN("events", "event-bus/")
		all := `{"source":[{"prefix":""}]}`
		h.makeRule("", "r", all, Target{ID: "1", Arn: h.w.ARN("lambda", "function:f"), Input: "1"}, Target{ID: "2", Arn: h.w.ARN("logs", "log-group:/g"), Input: "2"},
			Target{ID: "3", Arn: account + "q.fifo", Input: "3", SqsParameters: &struct {
				MessageGroupID string `json:"MessageGroupId"`
			}{"g"}}, Target{ID: "4", Arn: busARN + "b"})
		h.makeRule("b", "r", all, Target{ID: "1", Arn: account + "onb", InputPath: "$.id"}, Target{ID: "2", Arn: busARN + "c"})
		h.makeRule("c", "r", all, Target{ID: "1", Arn: account + "onc"})
		var seen []string
		h.Watch(func(bus string, event []byte) { seen = append(seen, bus) })
		h.Emit("aws.x", "T", []string{"arn:1"}, struct{}{})
		synctest.Wait()
		got := h.sink.taken()
		for _, want := range []string{"f: 1", "/g: 2", "q.fifo: g 3", "onb: "} {
			if !strings.Contains(got, want) {
				t.Errorf("missing %q in\n%s", want, got)
			}
		}
		if strings.Contains(got, "onc") || strings.Join(seen, " ") != "default b" {
			t.Errorf("an event went to a third bus: %s; watched %v", got, seen)
		}
	})
}

func TestOrderDuplicateDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, Faults{})
		h.makeRule("", "r", `{"source":["aws.x"]}`, Target{ID: "1", Arn: account + "q", InputPath: "$.detail.n"})
		emit := func(from, to int) {
			for i := from; i <= to; i++ {
				h.Emit("aws.x", "T", nil, map[string]int{"n": i})
			}
			synctest.Wait()
		}
		emit(1, 3)
		if got := h.sink.taken(); got != "q: 1\nq: 2\nq: 3" {
			t.Errorf("in order: %s", got)
		}
		h.faults.Duplicate = func() bool { return true }
		emit(4, 4)
		if got := h.sink.taken(); got != "q: 4\nq: 4" {
			t.Errorf("duplicate: %s", got)
		}
		first := true
		h.faults = Faults{Delay: func() time.Duration {
			if first {
				first = false
				return time.Second
			}
			return 0
		}}
		emit(5, 6)
		time.Sleep(time.Second)
		synctest.Wait()
		if got := h.sink.taken(); got != "q: 6\nq: 5" {
			t.Errorf("delay: %s", got)
		}
	})
}

func TestRetryAndDeadLetter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, Faults{})
		two, hour := lenientInt(2), lenientInt(3600)
		dlq := &struct{ Arn string }{account + "dlq"}
		h.makeRule("", "r", `{"source":["aws.x"]}`,
			Target{ID: "1", Arn: account + "flaky", Input: "1", DeadLetterConfig: dlq},
			Target{ID: "2", Arn: account + "bad", DeadLetterConfig: dlq, RetryPolicy: &retryPolicy{&two, &hour}},
			Target{ID: "3", Arn: account + "denied", DeadLetterConfig: dlq},
			Target{ID: "4", Arn: account + "role", RoleArn: "arn:aws:iam::111122223333:role/weak", DeadLetterConfig: dlq})
		h.sink.times["flaky"] = 3
		h.sink.failures["bad"] = errors.New("always")
		h.sink.failures["denied"] = wire.Errf("AccessDenied", "no")
		h.Emit("aws.x", "T", nil, struct{}{})
		time.Sleep(time.Minute)
		synctest.Wait()
		got := h.sink.taken()
		if !strings.Contains(got, "flaky: 1") || strings.Count(got, "dlq: {\"version\"") != 3 {
			t.Fatalf("delivered:\n%s", got)
		}
		byTarget := map[string]map[string]string{}
		for _, a := range h.sink.attrs {
			byTarget[a["TARGET_ARN"]] = a
		}
		bad, denied, role := byTarget[account+"bad"], byTarget[account+"denied"], byTarget[account+"role"]
		if bad["ERROR_MESSAGE"] != "always" || bad["EXHAUSTED_RETRY_CONDITION"] != "MaximumRetryAttempts" || bad["RETRY_ATTEMPTS"] != "2" || bad["RULE_ARN"] != h.ruleARN("", "r") {
			t.Errorf("attributes of the exhausted: %v", bad)
		}
		if denied["ERROR_CODE"] != "NO_PERMISSIONS" || denied["RETRY_ATTEMPTS"] != "0" || role["ERROR_CODE"] != "NO_PERMISSIONS" {
			t.Errorf("attributes of the denied: %v, %v", denied, role)
		}
	})
}

func TestPutEventsEntries(t *testing.T) {
	h := newHarness(t, Faults{})
	put := func(entries ...putEntry) (*putEventsOutput, error) {
		return h.putEvents(context.Background(), nil, &putEventsInput{Entries: entries})
	}
	ok := putEntry{Source: "s", DetailType: "t", Detail: "{}"}
	with := func(change func(*putEntry)) putEntry {
		e := ok
		change(&e)
		return e
	}
	out, err := put(ok, with(func(e *putEntry) { e.Source = "" }), with(func(e *putEntry) { e.Source = "aws.ec2" }), with(func(e *putEntry) { e.Detail = "[]" }),
		with(func(e *putEntry) { e.Detail = "null" }), with(func(e *putEntry) { e.EventBusName = "none" }))
	h.must(err)
	var codes []string
	for _, r := range out.Entries {
		codes = append(codes, r.ErrorCode)
	}
	if got := strings.Join(codes, ","); got != ",InvalidArgument,NotAuthorizedForSourceException,MalformedDetail,MalformedDetail," || out.FailedEntryCount != 4 || out.Entries[0].EventID == "" {
		t.Errorf("codes %s, failed %d", got, out.FailedEntryCount)
	}
	_, err = put()
	wantCode(t, err, "ValidationException")
	_, err = put(make([]putEntry, 11)...)
	wantCode(t, err, "ValidationException")
	_, err = put(with(func(e *putEntry) { e.Detail = `{"a":"` + strings.Repeat("x", maxRequest) + `"}` }))
	wantCode(t, err, "ValidationException")
	_, err = put(with(func(e *putEntry) { e.TraceHeader = "x" }))
	wantCode(t, err, "NotImplemented")
}

func TestScheduledRule(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, Faults{})
		rule := func(expr string) error {
			_, err := h.putRule(context.Background(), nil, &putRuleInput{Name: "tick", ScheduleExpression: expr})
			return err
		}
		for _, bad := range []string{"rate(1 minutes)", "rate(2 minute)", "at(2030-01-01T00:00:00)", "cron(* * * * *)"} {
			wantCode(t, rule(bad), "ValidationException")
		}
		h.must(rule("rate(5 minutes)"))
		_, err := h.putTargets(context.Background(), nil, &putTargetsInput{Rule: "tick", Targets: []Target{{ID: "1", Arn: account + "q", InputPath: "$.detail-type"}}})
		h.must(err)
		time.Sleep(16 * time.Minute)
		synctest.Wait()
		if got := h.sink.taken(); strings.Count(got, `q: "Scheduled Event"`) != 3 {
			t.Errorf("after 16 minutes: %s", got)
		}
		h.must(rule("cron(0 12 * * ? *)"))
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		if got := h.sink.taken(); strings.Count(got, "q:") != 1 {
			t.Errorf("after a day: %s", got)
		}
		_, err = h.deleteRule(context.Background(), nil, &deleteRuleInput{ruleInput: ruleInput{Name: "tick"}})
		wantCode(t, err, "ValidationException")
	})
}

func TestProviders(t *testing.T) {
	h := newHarness(t, Faults{})
	bus, err := h.Providers()["AWS::Events::EventBus"]("Bus", json.RawMessage(`{"Name":"b"}`))
	if err != nil || bus.Ref != "b" || bus.Attributes["Arn"] != h.busARN("b") {
		t.Fatal(bus, err)
	}
	rule := h.Providers()["AWS::Events::Rule"]
	r, err := rule("R", json.RawMessage(`{"Name":"r","EventBusName":"b","EventPattern":{"source":["x"]},"State":"ENABLED","Targets":[{"Id":"T","Arn":"`+account+`q","RetryPolicy":{"MaximumRetryAttempts":"3"},"DeadLetterConfig":{"Arn":"`+account+`d"}}]}`))
	if err != nil || r.Ref != "b|r" || r.Attributes["Arn"] != h.ruleARN("b", "r") {
		t.Fatal(r, err)
	}
	d, err := rule("OnDefault", json.RawMessage(`{"ScheduleExpression":"rate(1 hour)"}`))
	if err != nil || !strings.HasPrefix(d.Ref, "OnDefault-") {
		t.Fatal(d, err)
	}
	p, err := h.Providers()["AWS::Events::EventBusPolicy"]("P", json.RawMessage(`{"EventBusName":"b","StatementId":"s","Statement":{"Effect":"Allow","Action":"events:PutEvents","Principal":"*","Resource":"*"}}`))
	if err != nil {
		t.Fatal(p, err)
	}
	if o, err := h.describeEventBus(context.Background(), nil, &busInput{Name: "b"}); err != nil || !strings.Contains(o.Policy, `"Sid":"s"`) {
		t.Error(o, err)
	}
	for _, bad := range []string{`{"Colour":1,"EventPattern":{"a":[1]}}`, `{"EventPattern":{"a":1}}`, `{}`, `{"EventPattern":{"a":[1]},"EventBusName":"none"}`} {
		if _, err := rule("X", json.RawMessage(bad)); err == nil {
			t.Errorf("%s gave no error", bad)
		}
	}
}
