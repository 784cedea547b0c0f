package scheduler

import (
	"cmp"
	"context"
	"encoding/json"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/scheduler/expression"
	"github.com/ekspedite/ekspedite/infra/local/wire"
)

const (
	enabled  = "ENABLED"
	disabled = "DISABLED"
)

// Target is what a schedule invokes, as the API and CloudFormation have it.
type Target struct {
	Arn                   string
	RoleArn               string
	Input                 string                               `json:",omitempty"`
	DeadLetterConfig      *struct{ Arn string }                `json:",omitempty"`
	RetryPolicy           *retryPolicy                         `json:",omitempty"`
	SqsParameters         *sqsParameters                       `json:",omitempty"`
	EventBridgeParameters *struct{ DetailType, Source string } `json:",omitempty"`

	// What other kinds of target need is refused by name.
	EcsParameters               json.RawMessage `json:",omitempty"`
	KinesisParameters           json.RawMessage `json:",omitempty"`
	SageMakerPipelineParameters json.RawMessage `json:",omitempty"`
}

type sqsParameters struct {
	MessageGroupID string `json:"MessageGroupId,omitempty"`
}

type retryPolicy struct {
	MaximumEventAgeInSeconds *lenientInt `json:",omitempty"`
	MaximumRetryAttempts     *lenientInt `json:",omitempty"`
}

type flexibleWindow struct {
	Mode                   string
	MaximumWindowInMinutes *lenientInt `json:",omitempty"`
}

// lenientInt also reads "15", as CloudFormation writes numbers.
type lenientInt int

// UnmarshalJSON reads a number or a number in quotes.
func (n *lenientInt) UnmarshalJSON(b []byte) error {
	v, err := strconv.Atoi(strings.Trim(string(b), `"`))
	*n = lenientInt(v)
	return err
}

type (
	setInput struct {
		Name                       string `path:"Name"`
		GroupName                  string
		Description                string
		ScheduleExpression         string
		ScheduleExpressionTimezone string
		State                      string
		ActionAfterCompletion      string
		KmsKeyArn                  string
		ClientToken                string
		StartDate, EndDate         *wire.Time
		FlexibleTimeWindow         *flexibleWindow
		Target                     *Target
	}
	setOutput struct{ ScheduleArn string }
	getInput  struct {
		Name        string `path:"Name"`
		GroupName   string `param:"groupName"`
		ClientToken string `param:"clientToken"`
	}
	getOutput struct {
		Arn, Name, GroupName, ScheduleExpression, State string
		ScheduleExpressionTimezone                      string
		ActionAfterCompletion                           string
		Description                                     string     `json:",omitempty"`
		StartDate, EndDate                              *wire.Time `json:",omitempty"`
		CreationDate, LastModificationDate              *wire.Time
		FlexibleTimeWindow                              *flexibleWindow
		Target                                          *Target
	}
	listInput struct {
		GroupName  string `param:"ScheduleGroup"`
		NamePrefix string `param:"NamePrefix"`
		State      string `param:"State"`
		NextToken  string `param:"NextToken"`
		MaxResults *int   `param:"MaxResults"`
	}
	listed struct {
		Arn, Name, GroupName, State        string
		CreationDate, LastModificationDate *wire.Time
		Target                             struct{ Arn string }
	}
	listOutput struct {
		Schedules []listed
		NextToken string `json:",omitempty"`
	}
)

// schedule is one schedule. Service.mu guards it; in is never changed, only replaced.
type schedule struct {
	in                *setInput
	arn               string
	when              expression.Expression
	created, modified time.Time
	stop              chan struct{} // closed when the schedule is changed or deleted
}

func (s *Service) needSet(action string) func(*wire.Call, *setInput) []wire.Need {
	return func(_ *wire.Call, in *setInput) []wire.Need {
		needs := []wire.Need{s.need(action, in.GroupName, in.Name)}
		if in.Target != nil {
			needs = append(needs, wire.Need{Action: "iam:PassRole", Resource: in.Target.RoleArn, Context: map[string][]string{"iam:PassedToService": {servicePrincipal}}})
		}
		return needs
	}
}

func (s *Service) needGet(action string) func(*wire.Call, *getInput) []wire.Need {
	return func(_ *wire.Call, in *getInput) []wire.Need {
		return []wire.Need{s.need(action, in.GroupName, in.Name)}
	}
}

// need asks for an action on a schedule, whose tags are its group's.
func (s *Service) need(action, groupName, name string) wire.Need {
	n := wire.Need{Action: "scheduler:" + action, Resource: s.arn(groupName, name), Context: map[string][]string{}}
	s.mu.Lock()
	defer s.mu.Unlock()
	if g, err := s.group(groupName); err == nil {
		for k, v := range g.tags {
			n.Context["aws:ResourceTag/"+k] = []string{v}
		}
	}
	return n
}

// group finds a group. The caller holds the lock.
func (s *Service) group(name string) (*group, error) {
	if name == "" {
		name = "default"
	}
	if g := s.groups[name]; g != nil {
		return g, nil
	}
	return nil, notFound("Schedule group %s does not exist.", name)
}

func (s *Service) find(groupName, name string) (*group, *schedule, error) {
	g, err := s.group(groupName)
	if err != nil {
		return nil, nil, err
	}
	if sc := g.schedules[name]; sc != nil {
		return g, sc, nil
	}
	return nil, nil, notFound("Schedule %s does not exist.", name)
}

var names = regexp.MustCompile(`^[0-9a-zA-Z\-_.]{1,64}$`)

// check validates a schedule, fills in defaults and parses its expression.
func (s *Service) check(in *setInput) (expression.Expression, error) {
	var none expression.Expression
	if !names.MatchString(in.Name) {
		return none, invalid("1 validation error detected: Value '%s' at 'name' failed to satisfy constraint: Member must satisfy regular expression pattern: ^[0-9a-zA-Z-_.]+$", in.Name)
	}
	if in.KmsKeyArn != "" {
		return none, notImplemented("KmsKeyArn of a schedule")
	}
	oneOf := func(field string, v *string, values ...string) error {
		if *v == "" {
			*v = values[0]
		}
		if !slices.Contains(values, *v) {
			return invalid("1 validation error detected: Value '%s' at '%s' failed to satisfy constraint: Member must satisfy enum value set: %v", *v, field, values)
		}
		return nil
	}
	if err := oneOf("state", &in.State, enabled, disabled); err != nil {
		return none, err
	}
	if err := oneOf("actionAfterCompletion", &in.ActionAfterCompletion, "NONE", "DELETE"); err != nil {
		return none, err
	}
	f := in.FlexibleTimeWindow
	if f == nil {
		return none, invalid("1 validation error detected: Value null at 'flexibleTimeWindow' failed to satisfy constraint: Member must not be null")
	}
	switch n := f.MaximumWindowInMinutes; {
	case f.Mode == "OFF" && n == nil:
	case f.Mode == "FLEXIBLE" && n != nil && *n >= 1 && *n <= 1440:
	default:
		return none, invalid("Invalid FlexibleTimeWindow: Mode is OFF, or FLEXIBLE with MaximumWindowInMinutes from 1 to 1440.")
	}
	if in.ScheduleExpressionTimezone == "" {
		in.ScheduleExpressionTimezone = "UTC"
	}
	zone, err := time.LoadLocation(in.ScheduleExpressionTimezone)
	if err != nil || in.ScheduleExpressionTimezone == "Local" {
		return none, invalid("The provided timezone %s is not valid.", in.ScheduleExpressionTimezone)
	}
	when, err := expression.Parse(in.ScheduleExpression, zone)
	if err != nil {
		return none, invalid("Invalid Schedule Expression %s.", in.ScheduleExpression)
	}
	if in.StartDate != nil && in.EndDate != nil && !in.EndDate.After(in.StartDate.Time) {
		return none, invalid("The StartDate you specify must come before the EndDate.")
	}
	return when, s.checkTarget(in.Target, cmp.Or(in.GroupName, "default"))
}

func (s *Service) createSchedule(_ context.Context, _ *wire.Call, in *setInput) (*setOutput, error) {
	when, err := s.check(in)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	g, err := s.group(in.GroupName)
	if err != nil {
		return nil, err
	}
	if old := g.schedules[in.Name]; old != nil {
		if in.ClientToken != "" && old.in.ClientToken == in.ClientToken && reflect.DeepEqual(old.in, in) {
			return &setOutput{old.arn}, nil
		}
		return nil, conflict("Schedule %s already exists.", in.Name)
	}
	sc := &schedule{in: in, arn: s.arn(g.name, in.Name), when: when, created: time.Now(), stop: make(chan struct{})}
	sc.modified = sc.created
	g.schedules[in.Name] = sc
	s.start(g.name, sc)
	return &setOutput{sc.arn}, nil
}

// updateSchedule replaces a schedule: what the request leaves out falls back to its default, as in AWS.
func (s *Service) updateSchedule(_ context.Context, _ *wire.Call, in *setInput) (*setOutput, error) {
	when, err := s.check(in)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	g, old, err := s.find(in.GroupName, in.Name)
	if err != nil {
		return nil, err
	}
	close(old.stop)
	sc := &schedule{in: in, arn: old.arn, when: when, created: old.created, modified: time.Now(), stop: make(chan struct{})}
	g.schedules[in.Name] = sc
	s.start(g.name, sc)
	return &setOutput{sc.arn}, nil
}

func (s *Service) getSchedule(_ context.Context, _ *wire.Call, in *getInput) (*getOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g, sc, err := s.find(in.GroupName, in.Name)
	if err != nil {
		return nil, err
	}
	i := sc.in
	return &getOutput{
		Arn: sc.arn, Name: i.Name, GroupName: g.name, ScheduleExpression: i.ScheduleExpression, State: i.State,
		ScheduleExpressionTimezone: i.ScheduleExpressionTimezone, ActionAfterCompletion: i.ActionAfterCompletion, Description: i.Description,
		StartDate: i.StartDate, EndDate: i.EndDate, CreationDate: wire.At(sc.created), LastModificationDate: wire.At(sc.modified),
		FlexibleTimeWindow: i.FlexibleTimeWindow, Target: i.Target,
	}, nil
}

func (s *Service) deleteSchedule(_ context.Context, _ *wire.Call, in *getInput) (*empty, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g, sc, err := s.find(in.GroupName, in.Name)
	if err != nil {
		return nil, err
	}
	close(sc.stop)
	delete(g.schedules, in.Name)
	return &empty{}, nil
}

func (s *Service) listSchedules(_ context.Context, _ *wire.Call, in *listInput) (*listOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if in.GroupName != "" {
		if _, err := s.group(in.GroupName); err != nil {
			return nil, err
		}
	}
	out := &listOutput{Schedules: []listed{}}
	for _, gn := range slices.Sorted(maps.Keys(s.groups)) {
		g := s.groups[gn]
		for _, name := range slices.Sorted(maps.Keys(g.schedules)) {
			sc := g.schedules[name]
			if in.GroupName != "" && gn != in.GroupName || !strings.HasPrefix(name, in.NamePrefix) || in.State != "" && sc.in.State != in.State {
				continue
			}
			l := listed{Arn: sc.arn, Name: name, GroupName: gn, State: sc.in.State, CreationDate: wire.At(sc.created), LastModificationDate: wire.At(sc.modified)}
			l.Target.Arn = sc.in.Target.Arn
			out.Schedules = append(out.Schedules, l)
		}
	}
	var err error
	out.Schedules, out.NextToken, err = page(out.Schedules, in.NextToken, in.MaxResults)
	return out, err
}

// page cuts one page out of a list; its token is the offset of the next.
func page[T any](all []T, token string, limit *int) ([]T, string, error) {
	from, n := 0, 100
	if token != "" {
		var err error
		if from, err = strconv.Atoi(token); err != nil || from < 0 || from > len(all) {
			return nil, "", invalid("Invalid NextToken: %s", token)
		}
	}
	if limit != nil {
		if n = *limit; n < 1 || n > 100 {
			return nil, "", invalid("1 validation error detected: Value '%d' at 'maxResults' failed to satisfy constraint: Member must have value between 1 and 100", n)
		}
	}
	if from+n < len(all) {
		return all[from : from+n], strconv.Itoa(from + n), nil
	}
	return all[from:], "", nil
}
