package conformance

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
)

// eventsSuite is a client with helpers that fail the test.
type eventsSuite struct {
	*eventbridge.Client
	t   *testing.T
	sqs *sqsSuite
}

func newEvents(t *testing.T) *eventsSuite {
	tg := target(t, "events")
	return &eventsSuite{eventbridge.NewFromConfig(tg.Config), t, &sqsSuite{sqs.NewFromConfig(tg.Config), t, tg}}
}

func (s *eventsSuite) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

func unique(name string) string { return fmt.Sprintf("conf-%s-%d", name, time.Now().UnixNano()) }

// bus makes an event bus that goes with the test.
func (s *eventsSuite) bus() string {
	s.t.Helper()
	name := unique("bus")
	_, err := s.CreateEventBus(s.t.Context(), &eventbridge.CreateEventBusInput{Name: &name})
	s.must(err)
	s.t.Cleanup(func() {
		if _, err := s.DeleteEventBus(context.Background(), &eventbridge.DeleteEventBusInput{Name: &name}); err != nil {
			s.t.Errorf("DeleteEventBus: %v", err)
		}
	})
	return name
}

// rule makes a rule that goes, with its targets, with the test.
func (s *eventsSuite) rule(bus, pattern string, targets ...types.Target) (name, arn string) {
	s.t.Helper()
	name = unique("rule")
	out, err := s.PutRule(s.t.Context(), &eventbridge.PutRuleInput{Name: &name, EventBusName: &bus, EventPattern: &pattern})
	s.must(err)
	s.t.Cleanup(func() {
		var ids []string
		for _, t := range targets {
			ids = append(ids, *t.Id)
		}
		if len(ids) > 0 {
			if _, err := s.RemoveTargets(context.Background(), &eventbridge.RemoveTargetsInput{Rule: &name, EventBusName: &bus, Ids: ids}); err != nil {
				s.t.Errorf("RemoveTargets: %v", err)
			}
		}
		if _, err := s.DeleteRule(context.Background(), &eventbridge.DeleteRuleInput{Name: &name, EventBusName: &bus}); err != nil {
			s.t.Errorf("DeleteRule: %v", err)
		}
	})
	if len(targets) > 0 {
		put, err := s.PutTargets(s.t.Context(), &eventbridge.PutTargetsInput{Rule: &name, EventBusName: &bus, Targets: targets})
		s.must(err)
		if put.FailedEntryCount != 0 {
			s.t.Fatalf("PutTargets: %+v", put.FailedEntries)
		}
	}
	return name, *out.RuleArn
}

// queue makes a queue to which rules may send.
func (s *eventsSuite) queue(name string) (url, arn string) {
	s.t.Helper()
	url = s.sqs.queue(name, nil)
	arn = s.sqs.attributes(url)["QueueArn"]
	policy := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"events.amazonaws.com"},"Action":"sqs:SendMessage","Resource":"` + arn + `"}]}`
	_, err := s.sqs.SetQueueAttributes(s.t.Context(), &sqs.SetQueueAttributesInput{QueueUrl: &url, Attributes: map[string]string{"Policy": policy}})
	s.must(err)
	return url, arn
}

func (s *eventsSuite) put(bus, source, detailType, detail string) string {
	s.t.Helper()
	out, err := s.PutEvents(s.t.Context(), &eventbridge.PutEventsInput{Entries: []types.PutEventsRequestEntry{
		{EventBusName: &bus, Source: &source, DetailType: &detailType, Detail: &detail, Resources: []string{"arn:aws:x:::y"}}}})
	s.must(err)
	if out.FailedEntryCount != 0 {
		s.t.Fatalf("PutEvents: %+v", out.Entries)
	}
	return *out.Entries[0].EventId
}

func TestEventsToQueue(t *testing.T) {
	s := newEvents(t)
	bus := s.bus()
	url, arn := s.queue("to")
	s.rule(bus, `{"source":["conf.app"],"detail":{"state":["running",{"prefix":"stop"}]}}`, types.Target{Id: aws.String("q"), Arn: &arn})
	s.put(bus, "conf.app", "Other", `{"state":"pending"}`)
	id := s.put(bus, "conf.app", "State", `{"state":"stopped","n":1}`)
	m := s.sqs.one(url)
	var e struct {
		Version, ID, Source, Account, Time, Region string
		DetailType                                 string `json:"detail-type"`
		Resources                                  []string
		Detail                                     map[string]any
	}
	s.must(json.Unmarshal([]byte(*m.Body), &e))
	if e.Version != "0" || e.ID != id || e.Source != "conf.app" || e.DetailType != "State" || e.Region != s.sqs.tg.Region || len(e.Account) != 12 ||
		len(e.Resources) != 1 || e.Detail["state"] != "stopped" || e.Detail["n"] != 1.0 {
		t.Errorf("event %s", *m.Body)
	}
	if at, err := time.Parse(time.RFC3339, e.Time); err != nil || time.Since(at) > time.Minute {
		t.Errorf("time %s", e.Time)
	}
}

func TestEventsInput(t *testing.T) {
	s := newEvents(t)
	bus := s.bus()
	for name, c := range map[string]struct {
		target types.Target
		want   string
	}{
		"Input":     {types.Target{Input: aws.String(`{"fixed":true}`)}, `{"fixed":true}`},
		"InputPath": {types.Target{InputPath: aws.String("$.detail")}, `{"a":{"b":"c"}}`},
		"InputTransformer": {types.Target{InputTransformer: &types.InputTransformer{InputPathsMap: map[string]string{"b": "$.detail.a.b", "s": "$.source"},
			InputTemplate: aws.String(`{"b":"<b>","s":<s>}`)}}, `{"b":"c","s":"conf.in"}`},
	} {
		url, arn := s.queue("in")
		c.target.Id, c.target.Arn = aws.String("t"), &arn
		s.rule(bus, `{"source":["conf.in"],"detail-type":["`+name+`"]}`, c.target)
		s.put(bus, "conf.in", name, `{"a":{"b":"c"}}`)
		var got, want any
		s.must(json.Unmarshal([]byte(*s.sqs.one(url).Body), &got))
		s.must(json.Unmarshal([]byte(c.want), &want))
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: got %v, want %v", name, got, want)
		}
	}
}

func TestEventsRules(t *testing.T) {
	s := newEvents(t)
	bus := s.bus()
	_, queue := s.queue("r")
	name, arn := s.rule(bus, `{"source":["x"]}`, types.Target{Id: aws.String("q"), Arn: &queue})
	if !strings.HasSuffix(arn, ":rule/"+bus+"/"+name) {
		t.Errorf("ARN %s", arn)
	}
	d, err := s.DescribeRule(t.Context(), &eventbridge.DescribeRuleInput{Name: &name, EventBusName: &bus})
	s.must(err)
	if *d.Arn != arn || d.State != types.RuleStateEnabled || *d.EventPattern != `{"source":["x"]}` || *d.EventBusName != bus {
		t.Errorf("DescribeRule: %+v", d)
	}
	_, err = s.DisableRule(t.Context(), &eventbridge.DisableRuleInput{Name: &name, EventBusName: &bus})
	s.must(err)
	list, err := s.ListRules(t.Context(), &eventbridge.ListRulesInput{EventBusName: &bus})
	if err != nil || len(list.Rules) != 1 || list.Rules[0].State != types.RuleStateDisabled {
		t.Errorf("ListRules: %+v, %v", list, err)
	}
	_, err = s.EnableRule(t.Context(), &eventbridge.EnableRuleInput{Name: &name, EventBusName: &bus})
	s.must(err)
	targets, err := s.ListTargetsByRule(t.Context(), &eventbridge.ListTargetsByRuleInput{Rule: &name, EventBusName: &bus})
	if err != nil || len(targets.Targets) != 1 || *targets.Targets[0].Arn != queue {
		t.Errorf("ListTargetsByRule: %+v, %v", targets, err)
	}
	names, err := s.ListRuleNamesByTarget(t.Context(), &eventbridge.ListRuleNamesByTargetInput{TargetArn: &queue, EventBusName: &bus})
	if err != nil || len(names.RuleNames) != 1 || names.RuleNames[0] != name {
		t.Errorf("ListRuleNamesByTarget: %+v, %v", names, err)
	}
	_, err = s.TagResource(t.Context(), &eventbridge.TagResourceInput{ResourceARN: &arn, Tags: []types.Tag{{Key: aws.String("k"), Value: aws.String("v")}}})
	s.must(err)
	tags, err := s.ListTagsForResource(t.Context(), &eventbridge.ListTagsForResourceInput{ResourceARN: &arn})
	if err != nil || len(tags.Tags) != 1 || *tags.Tags[0].Value != "v" {
		t.Errorf("tags: %+v, %v", tags, err)
	}
	if _, err = s.DeleteRule(t.Context(), &eventbridge.DeleteRuleInput{Name: &name, EventBusName: &bus}); code(err) != "ValidationException" {
		t.Errorf("deleting a rule with targets: %v", err)
	}
}

func TestEventsErrors(t *testing.T) {
	s := newEvents(t)
	bus := s.bus()
	for _, pattern := range []string{`{"source":"x"}`, `{"source":[]}`, `{"a":[{"like":"x"}]}`, `{`} {
		_, err := s.PutRule(t.Context(), &eventbridge.PutRuleInput{Name: aws.String("conf-bad"), EventBusName: &bus, EventPattern: &pattern})
		var invalid *types.InvalidEventPatternException
		if !errors.As(err, &invalid) {
			t.Errorf("pattern %s: %v, want InvalidEventPatternException", pattern, err)
		}
	}
	var missing *types.ResourceNotFoundException
	if _, err := s.DescribeRule(t.Context(), &eventbridge.DescribeRuleInput{Name: aws.String("conf-none"), EventBusName: &bus}); !errors.As(err, &missing) {
		t.Errorf("DescribeRule: %v", err)
	}
	if _, err := s.DescribeEventBus(t.Context(), &eventbridge.DescribeEventBusInput{Name: aws.String("conf-none")}); !errors.As(err, &missing) {
		t.Errorf("DescribeEventBus: %v", err)
	}
	var exists *types.ResourceAlreadyExistsException
	if _, err := s.CreateEventBus(t.Context(), &eventbridge.CreateEventBusInput{Name: &bus}); !errors.As(err, &exists) {
		t.Errorf("CreateEventBus: %v", err)
	}
	entry := types.PutEventsRequestEntry{EventBusName: &bus, Source: aws.String("s"), DetailType: aws.String("t"), Detail: aws.String("{}")}
	noSource, malformed, aws1 := entry, entry, entry
	noSource.Source, malformed.Detail, aws1.Source = nil, aws.String("{"), aws.String("aws.ec2")
	out, err := s.PutEvents(t.Context(), &eventbridge.PutEventsInput{Entries: []types.PutEventsRequestEntry{entry, noSource, malformed, aws1}})
	s.must(err)
	var codes []string
	for _, e := range out.Entries {
		codes = append(codes, aws.ToString(e.ErrorCode))
	}
	if got := strings.Join(codes, ","); got != ",InvalidArgument,MalformedDetail,NotAuthorizedForSourceException" || out.FailedEntryCount != 3 {
		t.Errorf("entries: %s, %d failed", got, out.FailedEntryCount)
	}
}

func TestEventsTestPattern(t *testing.T) {
	s := newEvents(t)
	event := `{"id":"1","account":"111122223333","source":"aws.ec2","time":"2026-01-01T00:00:00Z","region":"us-east-1","resources":["arn:a","arn:b"],"detail-type":"T","detail":{"n":5,"ip":"10.0.0.7","s":"Hello.PNG","z":null,"l":["a","b"]}}`
	for pattern, want := range map[string]bool{
		`{"source":["aws.ec2"]}`:                                                  true,
		`{"source":["aws.s3"]}`:                                                   false,
		`{"resources":["arn:b"]}`:                                                 true,
		`{"detail":{"n":[{"numeric":[">",0,"<=",5]}]}}`:                           true,
		`{"detail":{"n":[{"numeric":["<",5]}]}}`:                                  false,
		`{"detail":{"ip":[{"cidr":"10.0.0.0/24"}]}}`:                              true,
		`{"detail":{"s":[{"suffix":".PNG"}]}}`:                                    true,
		`{"detail":{"s":[{"suffix":{"equals-ignore-case":".png"}}]}}`:             true,
		`{"detail":{"s":[{"prefix":{"equals-ignore-case":"hELLO"}}]}}`:            true,
		`{"detail":{"s":[{"equals-ignore-case":"hello.png"}]}}`:                   true,
		`{"detail":{"s":[{"wildcard":"H*.P*G"}]}}`:                                true,
		`{"detail":{"s":[{"anything-but":["Hello.PNG"]}]}}`:                       false,
		`{"detail":{"s":[{"anything-but":{"prefix":"x"}}]}}`:                      true,
		`{"detail":{"s":[{"anything-but":{"wildcard":"*.PNG"}}]}}`:                false,
		`{"detail":{"z":[null]}}`:                                                 true,
		`{"detail":{"none":[{"exists":false}]}}`:                                  true,
		`{"detail":{"n":[{"exists":false}]}}`:                                     false,
		`{"detail":{"$or":[{"n":[1]},{"l":["b"]}]}}`:                              true,
		`{"$or":[{"source":["x"]},{"detail-type":["y"]}],"region":["us-east-1"]}`: false,
	} {
		out, err := s.TestEventPattern(t.Context(), &eventbridge.TestEventPatternInput{EventPattern: &pattern, Event: &event})
		if err != nil {
			t.Errorf("%s: %v", pattern, err)
		} else if out.Result != want {
			t.Errorf("%s: %v, want %v", pattern, out.Result, want)
		}
	}
}

func TestEventsDeadLetter(t *testing.T) {
	s := newEvents(t)
	bus := s.bus()
	closed := s.sqs.queue("closed", nil) // no policy: EventBridge may not send to it
	closedARN := s.sqs.attributes(closed)["QueueArn"]
	dlq, dlqARN := s.queue("dlq")
	_, ruleARN := s.rule(bus, `{"source":["conf.dead"]}`, types.Target{Id: aws.String("t"), Arn: &closedARN, DeadLetterConfig: &types.DeadLetterConfig{Arn: &dlqARN}})
	id := s.put(bus, "conf.dead", "T", `{}`)
	m := s.sqs.one(dlq)
	if !strings.Contains(*m.Body, id) {
		t.Errorf("dead letter %s does not hold event %s", *m.Body, id)
	}
	for k, want := range map[string]string{"RULE_ARN": ruleARN, "TARGET_ARN": closedARN, "ERROR_CODE": "NO_PERMISSIONS"} {
		if got := aws.ToString(m.MessageAttributes[k].StringValue); got != want {
			t.Errorf("%s is %q, want %q", k, got, want)
		}
	}
	if aws.ToString(m.MessageAttributes["ERROR_MESSAGE"].StringValue) == "" {
		t.Error("no ERROR_MESSAGE")
	}
}

func TestEventsAcrossBuses(t *testing.T) {
	s := newEvents(t)
	if !s.sqs.tg.Embedded {
		t.Skip("AWS wants a role for a bus as target, which this suite does not make")
	}
	from, to := s.bus(), s.bus()
	d, err := s.DescribeEventBus(t.Context(), &eventbridge.DescribeEventBusInput{Name: &to})
	s.must(err)
	url, queue := s.queue("x")
	s.rule(to, `{"source":["conf.hop"]}`, types.Target{Id: aws.String("q"), Arn: &queue})
	s.rule(from, `{"source":["conf.hop"]}`, types.Target{Id: aws.String("b"), Arn: d.Arn})
	id := s.put(from, "conf.hop", "T", `{}`)
	if m := s.sqs.one(url); !strings.Contains(*m.Body, id) {
		t.Errorf("arrived: %s, want event %s", *m.Body, id)
	}
}
