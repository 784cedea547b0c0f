package eventbridge

import (
	"context"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/eventbridge/pattern"
	"github.com/ekspedite/ekspedite/infra/local/scheduler/expression"
	"github.com/ekspedite/ekspedite/infra/local/wire"
)

const (
	enabled  = "ENABLED"
	disabled = "DISABLED"

	maxPattern = 4096
)

// rule is one rule. Service.mu guards it.
type rule struct {
	name, arn, description, role string
	patternText, schedule        string
	pattern                      *pattern.Pattern
	state                        string
	tags                         map[string]string
	targets                      []*target
	stop                         func() // ends the schedule's timer; nil without one
}

func (s *Service) ruleARN(bus, name string) string {
	if b := busName(bus); b != "default" {
		return s.w.ARN("events", "rule/"+b+"/"+name)
	}
	return s.w.ARN("events", "rule/"+name)
}

// rule finds a rule. The caller holds the lock.
func (s *Service) rule(busNameOrARN, name string) (*bus, *rule, error) {
	b, err := s.bus(busNameOrARN)
	if err != nil {
		return nil, nil, err
	}
	if r := b.rules[name]; r != nil {
		return b, r, nil
	}
	return nil, nil, notFound("Rule %s does not exist on EventBus %s.", name, b.name)
}

// onRule is an input that names a rule.
type onRule interface{ names() (bus, rule string) }

func needRule[In onRule](s *Service, action string) func(*wire.Call, *In) []wire.Need {
	return func(_ *wire.Call, in *In) []wire.Need {
		bus, name := (*in).names()
		return []wire.Need{s.needOnRule(action, bus, name)}
	}
}

func (s *Service) needOnRule(action, bus, name string) wire.Need {
	n := wire.Need{Action: "events:" + action, Resource: s.ruleARN(bus, name), Context: map[string][]string{"events:creatorAccount": {s.w.Account}}}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, r, err := s.rule(bus, name); err == nil {
		resourceTags(n.Context, r.tags)
	}
	return n
}

type (
	putRuleInput struct {
		Name, ScheduleExpression, EventPattern, State, Description, RoleArn, EventBusName string
		Tags                                                                              []tag
	}
	putRuleOutput struct{ RuleArn string }
	ruleInput     struct{ Name, EventBusName string }

	deleteRuleInput struct {
		ruleInput
		Force bool
	}
	ruleOutput struct {
		Name, Arn, State, EventBusName string
		EventPattern                   string `json:",omitempty"`
		ScheduleExpression             string `json:",omitempty"`
		Description                    string `json:",omitempty"`
		RoleArn                        string `json:",omitempty"`
		CreatedBy                      string `json:",omitempty"`
	}
	listRulesInput struct {
		NamePrefix, EventBusName, NextToken string
		Limit                               *int
	}
	listRulesOutput struct {
		Rules     []ruleOutput
		NextToken string `json:",omitempty"`
	}
	namesByTargetInput struct {
		TargetArn, EventBusName, NextToken string
		Limit                              *int
	}
	namesByTargetOutput struct {
		RuleNames []string
		NextToken string `json:",omitempty"`
	}
	testPatternInput  struct{ EventPattern, Event string }
	testPatternOutput struct{ Result bool }
)

func (i ruleInput) names() (bus, rule string) { return i.EventBusName, i.Name }

func passRole(role string) wire.Need {
	return wire.Need{Action: "iam:PassRole", Resource: role, Context: map[string][]string{"iam:PassedToService": {servicePrincipal}}}
}

func (s *Service) needPutRule(_ *wire.Call, in *putRuleInput) []wire.Need {
	n := s.needOnRule("PutRule", in.EventBusName, in.Name)
	requestTags(n.Context, in.Tags)
	needs := []wire.Need{n}
	if len(in.Tags) > 0 {
		tagging := n
		tagging.Action = "events:TagResource"
		needs = append(needs, tagging)
	}
	if in.RoleArn != "" {
		needs = append(needs, passRole(in.RoleArn))
	}
	return needs
}

func (s *Service) putRule(_ context.Context, _ *wire.Call, in *putRuleInput) (*putRuleOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, err := s.put(in)
	if err != nil {
		return nil, err
	}
	return &putRuleOutput{r.arn}, nil
}

var ruleNames = regexp.MustCompile(`^[.\-_A-Za-z0-9]{1,64}$`)

// compile reads a pattern in the way PutRule and TestEventPattern do.
func compile(text string) (*pattern.Pattern, error) {
	if len(text) > maxPattern {
		return nil, invalid("1 validation error detected: Value at 'eventPattern' failed to satisfy constraint: Member must have length less than or equal to %d", maxPattern)
	}
	p, err := pattern.Compile([]byte(text))
	if err != nil {
		return nil, wire.Errf("InvalidEventPatternException", "Event pattern is not valid. Reason: %v", err)
	}
	return p, nil
}

// grammatical tells whether a rate has its unit in the right number, on which rules insist: rate(1 hour), rate(2 hours).
func grammatical(schedule string) bool {
	return !strings.HasPrefix(schedule, "rate(") || strings.HasPrefix(schedule, "rate(1 ") != strings.HasSuffix(schedule, "s)")
}

// put makes or replaces a rule; its targets and tags stay. The caller holds the lock.
func (s *Service) put(in *putRuleInput) (*rule, error) {
	b, err := s.bus(in.EventBusName)
	if err != nil {
		return nil, err
	}
	if !ruleNames.MatchString(in.Name) {
		return nil, invalid("1 validation error detected: Value '%s' at 'name' failed to satisfy constraint: Member must satisfy regular expression pattern: [\\.\\-_A-Za-z0-9]+", in.Name)
	}
	if in.EventPattern == "" && in.ScheduleExpression == "" {
		return nil, invalid("Parameter(s) EventPattern or ScheduleExpression must be specified.")
	}
	var p *pattern.Pattern
	if in.EventPattern != "" {
		if p, err = compile(in.EventPattern); err != nil {
			return nil, err
		}
	}
	var when expression.Expression
	if in.ScheduleExpression != "" {
		if b.name != "default" {
			return nil, invalid("ScheduleExpression is supported only on the default event bus.")
		}
		if when, err = expression.Parse(in.ScheduleExpression, time.UTC); err != nil || when.OneTime() || !grammatical(in.ScheduleExpression) {
			return nil, invalid("Parameter ScheduleExpression is not valid.")
		}
	}
	switch in.State {
	case "":
		in.State = enabled
	case enabled, disabled:
	case "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS":
		return nil, notImplemented("the rule state %s", in.State)
	default:
		return nil, invalid("1 validation error detected: Value '%s' at 'state' failed to satisfy constraint: Member must satisfy enum value set: [ENABLED, DISABLED, ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS]", in.State)
	}
	r := b.rules[in.Name]
	if r == nil {
		r = &rule{name: in.Name, arn: s.ruleARN(b.name, in.Name), tags: tagMap(in.Tags)}
		b.rules[in.Name] = r
	}
	r.patternText, r.pattern, r.schedule = in.EventPattern, p, in.ScheduleExpression
	r.description, r.role, r.state = in.Description, in.RoleArn, in.State
	s.reschedule(r, when)
	return r, nil
}

// reschedule starts the timer of a rule with a schedule, in place of the one before.
func (s *Service) reschedule(r *rule, when expression.Expression) {
	if r.stop != nil {
		r.stop()
		r.stop = nil
	}
	if r.schedule == "" {
		return
	}
	stop := make(chan struct{})
	r.stop = func() { close(stop) }
	start := time.Now()
	s.w.Go(func(ctx context.Context) {
		at := start
		for {
			var ok bool
			if at, ok = when.Next(start, at); !ok {
				return
			}
			t := time.NewTimer(time.Until(at))
			select {
			case <-t.C:
				s.fire(r, at)
			case <-stop:
				t.Stop()
				return
			case <-ctx.Done():
				t.Stop()
				return
			}
		}
	})
}

// fire sends a scheduled rule's own event to its targets.
func (s *Service) fire(r *rule, at time.Time) {
	e := s.event("aws.events", "Scheduled Event", []string{r.arn}, []byte("{}"), at)
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.state == enabled {
		for _, t := range r.targets {
			s.dispatch(r, t, delivery{event: e, arrived: time.Now()})
		}
	}
}

func (s *Service) deleteRule(_ context.Context, _ *wire.Call, in *deleteRuleInput) (*empty, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := s.bus(in.EventBusName)
	if err != nil {
		return nil, err
	}
	r := b.rules[in.Name]
	if r == nil {
		return &empty{}, nil
	}
	if len(r.targets) > 0 {
		return nil, invalid("Rule can't be deleted since it has targets.")
	}
	if r.stop != nil {
		r.stop()
	}
	delete(b.rules, in.Name)
	return &empty{}, nil
}

func (r *rule) describe(bus string) ruleOutput {
	return ruleOutput{Name: r.name, Arn: r.arn, State: r.state, EventBusName: bus, EventPattern: r.patternText,
		ScheduleExpression: r.schedule, Description: r.description, RoleArn: r.role}
}

func (s *Service) describeRule(_ context.Context, _ *wire.Call, in *ruleInput) (*ruleOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, r, err := s.rule(in.EventBusName, in.Name)
	if err != nil {
		return nil, err
	}
	o := r.describe(b.name)
	o.CreatedBy = s.w.Account
	return &o, nil
}

func (s *Service) enableRule(_ context.Context, _ *wire.Call, in *ruleInput) (*empty, error) {
	return s.setState(in, enabled)
}

func (s *Service) disableRule(_ context.Context, _ *wire.Call, in *ruleInput) (*empty, error) {
	return s.setState(in, disabled)
}

func (s *Service) setState(in *ruleInput, state string) (*empty, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, r, err := s.rule(in.EventBusName, in.Name)
	if err != nil {
		return nil, err
	}
	r.state = state
	return &empty{}, nil
}

func (s *Service) needListRules(_ *wire.Call, in *listRulesInput) []wire.Need {
	return []wire.Need{{Action: "events:ListRules", Resource: s.ruleARN(in.EventBusName, "*")}}
}

func (s *Service) listRules(_ context.Context, _ *wire.Call, in *listRulesInput) (*listRulesOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := s.bus(in.EventBusName)
	if err != nil {
		return nil, err
	}
	out := &listRulesOutput{Rules: []ruleOutput{}}
	for _, r := range b.sorted() {
		if strings.HasPrefix(r.name, in.NamePrefix) {
			out.Rules = append(out.Rules, r.describe(b.name))
		}
	}
	out.Rules, out.NextToken, err = page(out.Rules, in.NextToken, in.Limit)
	return out, err
}

// sorted returns the rules by name, so that every run sees them in one order.
func (b *bus) sorted() []*rule {
	var l []*rule
	for _, name := range slices.Sorted(maps.Keys(b.rules)) {
		l = append(l, b.rules[name])
	}
	return l
}

func (s *Service) needNamesByTarget(_ *wire.Call, in *namesByTargetInput) []wire.Need {
	return []wire.Need{{Action: "events:ListRuleNamesByTarget", Resource: s.ruleARN(in.EventBusName, "*")}}
}

func (s *Service) listRuleNamesByTarget(_ context.Context, _ *wire.Call, in *namesByTargetInput) (*namesByTargetOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := s.bus(in.EventBusName)
	if err != nil {
		return nil, err
	}
	out := &namesByTargetOutput{RuleNames: []string{}}
	for _, r := range b.sorted() {
		if slices.ContainsFunc(r.targets, func(t *target) bool { return t.Arn == in.TargetArn }) {
			out.RuleNames = append(out.RuleNames, r.name)
		}
	}
	out.RuleNames, out.NextToken, err = page(out.RuleNames, in.NextToken, in.Limit)
	return out, err
}

func (s *Service) testEventPattern(_ context.Context, _ *wire.Call, in *testPatternInput) (*testPatternOutput, error) {
	p, err := compile(in.EventPattern)
	if err != nil {
		return nil, err
	}
	if err := checkEnvelope(in.Event); err != nil {
		return nil, err
	}
	ok, err := p.Match([]byte(in.Event))
	if err != nil {
		return nil, invalid("Parameter Event is not valid.")
	}
	return &testPatternOutput{ok}, nil
}
