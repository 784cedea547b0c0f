package logs

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/ekspedite/ekspedite/infra/local/wire"
)

// CloudWatch's alarms. They are kept and not evaluated: their state is INSUFFICIENT_DATA for ever, and what would change or read
// it is not implemented.

type alarmIn struct {
	AlarmName, AlarmDescription, MetricName, Namespace, Statistic, ExtendedStatistic, Unit string
	ComparisonOperator, TreatMissingData                                                   string
	Dimensions                                                                             []dimension
	EvaluationPeriods, DatapointsToAlarm, Period                                           int
	Threshold                                                                              float64
	ActionsEnabled                                                                         *bool
	AlarmActions, OKActions, InsufficientDataActions                                       []string
	Metrics                                                                                []struct{ Id string } //nolint:revive // AWS's spelling
	Tags                                                                                   []struct{ Key, Value string }
}

type dimension struct{ Name, Value string }

type alarmsIn struct {
	AlarmNames, AlarmTypes      []string
	AlarmNamePrefix, StateValue string
	NextToken                   string
	MaxRecords                  int
}

type alarmOut struct {
	AlarmName, AlarmArn, AlarmDescription, MetricName, Namespace, Statistic, ComparisonOperator, TreatMissingData, StateValue string //nolint:revive // AWS's spelling

	Dimensions                                   []dimension `xml:"Dimensions>member"`
	Period, EvaluationPeriods, DatapointsToAlarm int
	Threshold                                    float64
	ActionsEnabled                               bool
}

type alarmsOut struct {
	MetricAlarms []alarmOut `xml:"MetricAlarms>member"`
}

// AlarmAPI returns CloudWatch's operations on alarms.
func (s *Service) AlarmAPI() *wire.Service {
	need := func(action string, names []string) (out []wire.Need) {
		for _, n := range names {
			out = append(out, wire.Need{Action: "cloudwatch:" + action, Resource: s.w.ARN("cloudwatch", "alarm:"+n)})
		}
		return out
	}
	return &wire.Service{Name: "monitoring", Protocol: wire.Query, XMLNamespace: "http://monitoring.amazonaws.com/doc/2010-08-01/", Ops: []wire.Op{
		wire.Handle("PutMetricAlarm", func(_ *wire.Call, in *alarmIn) []wire.Need { return need("PutMetricAlarm", []string{in.AlarmName}) }, s.putAlarm),
		wire.Handle("DeleteAlarms", func(_ *wire.Call, in *alarmsIn) []wire.Need { return need("DeleteAlarms", in.AlarmNames) }, s.deleteAlarms),
		wire.Handle("DescribeAlarms", func(*wire.Call, *alarmsIn) []wire.Need { return need("DescribeAlarms", []string{"*"}) }, s.describeAlarms),
	}}
}

func (s *Service) putAlarm(_ context.Context, _ *wire.Call, in *alarmIn) (*none, error) {
	comparisons := []string{"GreaterThanOrEqualToThreshold", "GreaterThanThreshold", "LessThanThreshold", "LessThanOrEqualToThreshold"}
	switch {
	case len(in.Metrics) > 0, in.ExtendedStatistic != "":
		return nil, wire.Errf("NotImplemented", "PutMetricAlarm: the embedded cloud does not implement Metrics and ExtendedStatistic").WithStatus(http.StatusNotImplemented)
	case in.AlarmName == "" || in.MetricName == "" || in.Namespace == "" || in.Statistic == "" || in.Period < 1 || in.EvaluationPeriods < 1:
		return nil, wire.Errf("ValidationError", "AlarmName, MetricName, Namespace, Statistic, Period and EvaluationPeriods are required")
	case !slices.Contains(comparisons, in.ComparisonOperator):
		return nil, wire.Errf("ValidationError", "Value '%s' at 'comparisonOperator' failed to satisfy constraint: Member must satisfy enum value set: %v", in.ComparisonOperator, comparisons)
	case in.Period != 10 && in.Period != 30 && in.Period%60 != 0:
		return nil, wire.Errf("ValidationError", "Period must be 10, 30 or a multiple of 60")
	case in.DatapointsToAlarm > in.EvaluationPeriods:
		return nil, wire.Errf("ValidationError", "DatapointsToAlarm must be less than or equal to EvaluationPeriods")
	}
	a := Alarm{AlarmName: in.AlarmName, AlarmDescription: in.AlarmDescription, MetricName: in.MetricName, Namespace: in.Namespace, Statistic: in.Statistic, Unit: in.Unit,
		ComparisonOperator: in.ComparisonOperator, TreatMissingData: in.TreatMissingData, EvaluationPeriods: in.EvaluationPeriods, DatapointsToAlarm: in.DatapointsToAlarm,
		Period: in.Period, Threshold: in.Threshold, ActionsEnabled: in.ActionsEnabled, AlarmActions: in.AlarmActions, OKActions: in.OKActions, InsufficientDataActions: in.InsufficientDataActions}
	for _, d := range in.Dimensions {
		a.Dimensions = append(a.Dimensions, struct{ Name, Value string }(d))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.alarms = append(slices.DeleteFunc(s.alarms, func(b Alarm) bool { return b.AlarmName == a.AlarmName }), a)
	return &none{}, nil
}

// deleteAlarms deletes those that are there. AWS says that one is missing only if all are, and it is the only one.
func (s *Service) deleteAlarms(_ context.Context, _ *wire.Call, in *alarmsIn) (*none, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := len(s.alarms)
	s.alarms = slices.DeleteFunc(s.alarms, func(a Alarm) bool { return slices.Contains(in.AlarmNames, a.AlarmName) })
	if len(s.alarms) == before && len(in.AlarmNames) == 1 {
		return nil, wire.Errf("ResourceNotFound", "Alarm %s does not exist", in.AlarmNames[0]).WithStatus(http.StatusNotFound)
	}
	return &none{}, nil
}

func (s *Service) describeAlarms(_ context.Context, _ *wire.Call, in *alarmsIn) (*alarmsOut, error) {
	if in.StateValue != "" || in.NextToken != "" || slices.ContainsFunc(in.AlarmTypes, func(t string) bool { return t != "MetricAlarm" }) {
		return nil, wire.Errf("NotImplemented", "DescribeAlarms: the embedded cloud does not implement StateValue, NextToken and composite alarms").WithStatus(http.StatusNotImplemented)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	out := &alarmsOut{}
	for _, a := range s.alarms {
		if len(in.AlarmNames) > 0 && !slices.Contains(in.AlarmNames, a.AlarmName) || !strings.HasPrefix(a.AlarmName, in.AlarmNamePrefix) {
			continue
		}
		o := alarmOut{AlarmName: a.AlarmName, AlarmArn: s.w.ARN("cloudwatch", "alarm:"+a.AlarmName), AlarmDescription: a.AlarmDescription, MetricName: a.MetricName,
			Namespace: a.Namespace, Statistic: a.Statistic, ComparisonOperator: a.ComparisonOperator, TreatMissingData: a.TreatMissingData, StateValue: "INSUFFICIENT_DATA",
			Period: a.Period, EvaluationPeriods: a.EvaluationPeriods, DatapointsToAlarm: a.DatapointsToAlarm, Threshold: a.Threshold,
			ActionsEnabled: a.ActionsEnabled == nil || *a.ActionsEnabled}
		for _, d := range a.Dimensions {
			o.Dimensions = append(o.Dimensions, dimension(d))
		}
		out.MetricAlarms = append(out.MetricAlarms, o)
	}
	return out, nil
}
