package scheduler

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/stack"
	"github.com/ekspedite/ekspedite/infra/local/wire"
)

// Providers returns the CloudFormation types of Scheduler.
func (s *Service) Providers() stack.Providers {
	return stack.Providers{
		"AWS::Scheduler::Schedule":      s.provideSchedule,
		"AWS::Scheduler::ScheduleGroup": s.provideGroup,
	}
}

// strict decodes properties and names a property that is not known.
func strict(kind, id string, raw json.RawMessage, v any) error {
	if len(raw) == 0 {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return fmt.Errorf("%s %s: %w", kind, id, err)
	}
	return nil
}

func (s *Service) provideSchedule(id string, raw json.RawMessage) (stack.Created, error) {
	const kind = "AWS::Scheduler::Schedule"
	var p struct {
		Name, GroupName, Description, ScheduleExpression, ScheduleExpressionTimezone, State, KmsKeyArn string
		ActionAfterCompletion                                                                          string
		StartDate, EndDate                                                                             *time.Time
		FlexibleTimeWindow                                                                             *flexibleWindow
		Target                                                                                         *Target
	}
	if err := strict(kind, id, raw, &p); err != nil {
		return stack.Created{}, err
	}
	if p.Name == "" {
		p.Name = id[:min(len(id), 51)] + "-" + s.w.Hex(12)
	}
	in := &setInput{Name: p.Name, GroupName: p.GroupName, Description: p.Description, ScheduleExpression: p.ScheduleExpression,
		ScheduleExpressionTimezone: p.ScheduleExpressionTimezone, State: p.State, KmsKeyArn: p.KmsKeyArn,
		ActionAfterCompletion: p.ActionAfterCompletion, FlexibleTimeWindow: p.FlexibleTimeWindow, Target: p.Target}
	if p.StartDate != nil {
		in.StartDate = wire.At(*p.StartDate)
	}
	if p.EndDate != nil {
		in.EndDate = wire.At(*p.EndDate)
	}
	out, err := s.createSchedule(s.w.Context(), nil, in)
	if err != nil {
		return stack.Created{}, fmt.Errorf("%s %s: %w", kind, id, err)
	}
	return stack.Created{Ref: p.Name, Attributes: map[string]string{"Arn": out.ScheduleArn}}, nil
}

func (s *Service) provideGroup(id string, raw json.RawMessage) (stack.Created, error) {
	const kind = "AWS::Scheduler::ScheduleGroup"
	var p struct {
		Name string
		Tags []tag
	}
	if err := strict(kind, id, raw, &p); err != nil {
		return stack.Created{}, err
	}
	if p.Name == "" {
		p.Name = id[:min(len(id), 51)] + "-" + s.w.Hex(12)
	}
	out, err := s.createGroup(s.w.Context(), nil, &createGroupInput{Name: p.Name, Tags: p.Tags})
	if err != nil {
		return stack.Created{}, fmt.Errorf("%s %s: %w", kind, id, err)
	}
	s.mu.Lock()
	at := s.groups[p.Name].created.UTC().Format(time.RFC3339)
	s.mu.Unlock()
	return stack.Created{Ref: p.Name, Attributes: map[string]string{"Arn": out.ScheduleGroupArn, "State": "ACTIVE", "CreationDate": at, "LastModificationDate": at}}, nil
}
