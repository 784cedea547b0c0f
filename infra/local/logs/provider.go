package logs

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/ekspedite/ekspedite/infra/local/stack"
)

// Alarm is an alarm of the template. The embedded cloud keeps alarms and does not evaluate them.
type Alarm struct {
	AlarmName, AlarmDescription, MetricName, Namespace, Statistic, ExtendedStatistic, Unit string
	ComparisonOperator, TreatMissingData, EvaluateLowSampleCountPercentile                 string
	ThresholdMetricID                                                                      string `json:"ThresholdMetricId"`
	Dimensions                                                                             []struct{ Name, Value string }
	EvaluationPeriods, DatapointsToAlarm, Period                                           int
	Threshold                                                                              float64
	ActionsEnabled                                                                         *bool
	AlarmActions, OKActions, InsufficientDataActions                                       []string
	Metrics                                                                                json.RawMessage
	Tags                                                                                   json.RawMessage
}

// Alarms returns the template's alarms.
func (s *Service) Alarms() []Alarm {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.alarms)
}

// Providers makes the resources of CloudWatch and CloudWatch Logs.
func (s *Service) Providers() stack.Providers {
	return stack.Providers{
		"AWS::Logs::LogGroup":        s.provideGroup,
		"AWS::CloudWatch::Alarm":     s.provideAlarm,
		"AWS::CloudWatch::Dashboard": s.provideDashboard,
	}
}

func (s *Service) provideGroup(id string, properties json.RawMessage) (stack.Created, error) {
	var p struct {
		LogGroupName, KmsKeyId, LogGroupClass      string
		RetentionInDays                            int
		Tags, DataProtectionPolicy                 json.RawMessage
		FieldIndexPolicies, ResourcePolicyDocument json.RawMessage
		DeletionProtectionEnabled                  bool
	}
	if err := stack.Decode(properties, &p); err != nil {
		return stack.Created{}, err
	}
	name := cmp.Or(p.LogGroupName, fmt.Sprintf("%s-%s", id, s.w.Hex(12)))
	if err := s.CreateGroup(name); err != nil {
		return stack.Created{}, err
	}
	if p.RetentionInDays != 0 {
		if err := s.setRetention(name, p.RetentionInDays); err != nil {
			return stack.Created{}, err
		}
	}
	return stack.Created{Ref: name, Attributes: map[string]string{"Arn": s.GroupARN(name) + ":*"}}, nil
}

func (s *Service) provideAlarm(id string, properties json.RawMessage) (stack.Created, error) {
	var a Alarm
	if err := stack.Decode(properties, &a); err != nil {
		return stack.Created{}, err
	}
	if a.ComparisonOperator == "" || a.EvaluationPeriods < 1 {
		return stack.Created{}, fmt.Errorf("an alarm needs ComparisonOperator and EvaluationPeriods")
	}
	a.AlarmName = cmp.Or(a.AlarmName, fmt.Sprintf("%s-%s", id, s.w.Hex(12)))
	s.mu.Lock()
	defer s.mu.Unlock()
	if slices.ContainsFunc(s.alarms, func(b Alarm) bool { return a.AlarmName == b.AlarmName }) {
		return stack.Created{}, fmt.Errorf("alarm %s already exists", a.AlarmName)
	}
	s.alarms = append(s.alarms, a)
	return stack.Created{Ref: a.AlarmName, Attributes: map[string]string{"Arn": s.w.ARN("cloudwatch", "alarm:"+a.AlarmName)}}, nil
}

func (s *Service) provideDashboard(id string, properties json.RawMessage) (stack.Created, error) {
	var p struct {
		DashboardName, DashboardBody string
		Tags                         json.RawMessage
	}
	if err := stack.Decode(properties, &p); err != nil {
		return stack.Created{}, err
	}
	if !json.Valid([]byte(p.DashboardBody)) {
		return stack.Created{}, fmt.Errorf("DashboardBody is not valid JSON")
	}
	return stack.Created{Ref: cmp.Or(p.DashboardName, id+"-"+s.w.Hex(12))}, nil
}
