package eventbridge

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/ekspedite/ekspedite/infra/local/stack"
)

// Providers returns the CloudFormation types of EventBridge.
func (s *Service) Providers() stack.Providers {
	return stack.Providers{
		"AWS::Events::EventBus":       s.provideBus,
		"AWS::Events::Rule":           s.provideRule,
		"AWS::Events::EventBusPolicy": s.provideBusPolicy,
	}
}

// strict decodes properties and names a property that is not known.
func strict(kind, id string, raw json.RawMessage, v any) error {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return fmt.Errorf("%s %s: %w", kind, id, err)
	}
	return nil
}

func (s *Service) provideBus(id string, raw json.RawMessage) (stack.Created, error) {
	var p struct {
		Name, Description string
		Tags              []tag
	}
	if err := strict("AWS::Events::EventBus", id, raw, &p); err != nil {
		return stack.Created{}, err
	}
	out, err := s.createEventBus(s.w.Context(), nil, &createBusInput{Name: p.Name, Description: p.Description, Tags: p.Tags})
	if err != nil {
		return stack.Created{}, fmt.Errorf("AWS::Events::EventBus %s: %w", id, err)
	}
	return stack.Created{Ref: p.Name, Attributes: map[string]string{"Arn": out.EventBusArn, "Name": p.Name}}, nil
}

func (s *Service) provideRule(id string, raw json.RawMessage) (stack.Created, error) {
	var p struct {
		Name, Description, EventBusName, RoleArn, ScheduleExpression, State string
		EventPattern                                                        json.RawMessage
		Targets                                                             []Target
		Tags                                                                []tag
	}
	if err := strict("AWS::Events::Rule", id, raw, &p); err != nil {
		return stack.Created{}, err
	}
	fail := func(err error) (stack.Created, error) {
		return stack.Created{}, fmt.Errorf("AWS::Events::Rule %s: %w", id, err)
	}
	if p.Name == "" {
		p.Name = id[:min(len(id), 51)] + "-" + s.w.Hex(12)
	}
	pattern := string(p.EventPattern)
	var text string
	if json.Unmarshal(p.EventPattern, &text) == nil {
		pattern = text
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if b, err := s.bus(p.EventBusName); err == nil && b.rules[p.Name] != nil {
		return fail(fmt.Errorf("%s already exists", p.Name))
	}
	r, err := s.put(&putRuleInput{Name: p.Name, ScheduleExpression: p.ScheduleExpression, EventPattern: pattern, State: p.State,
		Description: p.Description, RoleArn: p.RoleArn, EventBusName: p.EventBusName, Tags: p.Tags})
	if err != nil {
		return fail(err)
	}
	if err := s.aim(r, p.Targets); err != nil {
		return fail(err)
	}
	ref := p.Name
	if b := busName(p.EventBusName); b != "default" {
		ref = b + "|" + p.Name
	}
	return stack.Created{Ref: ref, Attributes: map[string]string{"Arn": r.arn}}, nil
}

func (s *Service) provideBusPolicy(id string, raw json.RawMessage) (stack.Created, error) {
	var p struct {
		EventBusName, StatementID, Action, Principal string
		Statement, Condition                         json.RawMessage
	}
	if err := strict("AWS::Events::EventBusPolicy", id, raw, &p); err != nil {
		return stack.Created{}, err
	}
	if p.Action != "" || p.Principal != "" || p.Condition != nil {
		return stack.Created{}, fmt.Errorf("AWS::Events::EventBusPolicy %s: the embedded cloud implements Statement only, not Action, Principal and Condition", id)
	}
	var statement map[string]json.RawMessage
	if err := json.Unmarshal(p.Statement, &statement); err != nil {
		return stack.Created{}, fmt.Errorf("AWS::Events::EventBusPolicy %s: Statement: %w", id, err)
	}
	statement["Sid"], _ = json.Marshal(p.StatementID) // a string
	full, err := json.Marshal(statement)
	if err != nil {
		return stack.Created{}, fmt.Errorf("AWS::Events::EventBusPolicy %s: Statement: %w", id, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := s.bus(p.EventBusName)
	if err != nil {
		return stack.Created{}, fmt.Errorf("AWS::Events::EventBusPolicy %s: %w", id, err)
	}
	b.statements = append(b.statements, full)
	return stack.Created{Ref: b.name + "|" + p.StatementID}, nil
}
