package logs

import (
	"context"
	"encoding/base64"
	"net/http"
	"slices"
	"strings"

	"github.com/ekspedite/ekspedite/infra/local/wire"
)

// CloudWatch's alarms. They are kept and not evaluated: their state is INSUFFICIENT_DATA until SetAlarmState says something else,
// and nothing but that changes it. Their actions are shown and not carried out.

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
	ActionPrefix                string
	NextToken                   string
	MaxRecords                  *int
}

type alarmOut struct {
	AlarmName, AlarmArn, AlarmDescription, MetricName, Namespace, Statistic, ComparisonOperator, TreatMissingData, StateValue string //nolint:revive // AWS's spelling

	Dimensions                                   []dimension `xml:"Dimensions>member"`
	Period, EvaluationPeriods, DatapointsToAlarm int
	Threshold                                    float64
	ActionsEnabled                               bool

	AlarmActions            []string `xml:"AlarmActions>member"`
	OKActions               []string `xml:"OKActions>member"`
	InsufficientDataActions []string `xml:"InsufficientDataActions>member"`

	Unit, StateReason, StateReasonData string     `xml:",omitempty"`
	StateUpdatedTimestamp              *wire.Time `xml:",omitempty"`
}

type alarmsOut struct {
	MetricAlarms []alarmOut `xml:"MetricAlarms>member"`
	NextToken    string     `xml:"NextToken,omitempty"`
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
		wire.Handle("PutMetricAlarm", func(_ *wire.Call, in *alarmIn) []wire.Need {
			needs := need("PutMetricAlarm", []string{in.AlarmName})
			if len(in.Tags) > 0 {
				needs = append(needs, need("TagResource", []string{in.AlarmName})...)
			}
			return needs
		}, s.putAlarm),
		wire.Handle("DeleteAlarms", func(_ *wire.Call, in *alarmsIn) []wire.Need { return need("DeleteAlarms", in.AlarmNames) }, s.deleteAlarms),
		wire.Handle("DescribeAlarms", func(*wire.Call, *alarmsIn) []wire.Need { return need("DescribeAlarms", []string{"*"}) }, s.describeAlarms),
		wire.Handle("SetAlarmState", func(_ *wire.Call, in *setStateIn) []wire.Need { return need("SetAlarmState", []string{in.AlarmName}) }, s.setAlarmState),
		wire.Handle("ListTagsForResource", func(_ *wire.Call, in *alarmTagsIn) []wire.Need {
			return []wire.Need{{Action: "cloudwatch:ListTagsForResource", Resource: in.ResourceARN}}
		}, s.alarmTags),
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
	before := len(s.alarms)
	s.alarms = append(slices.DeleteFunc(s.alarms, func(b Alarm) bool { return b.AlarmName == a.AlarmName }), a)
	if len(s.alarms) > before { // tags are for new alarms; those of one that exists stay, as does its state
		t := map[string]string{}
		for _, tag := range in.Tags {
			t[tag.Key] = tag.Value
		}
		s.alarmLabels[a.AlarmName] = t
	}
	return &none{}, nil
}

// deleteAlarms deletes those that are there. AWS says that one is missing only if all are, and it is the only one.
func (s *Service) deleteAlarms(_ context.Context, _ *wire.Call, in *alarmsIn) (*none, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := len(s.alarms)
	s.alarms = slices.DeleteFunc(s.alarms, func(a Alarm) bool { return slices.Contains(in.AlarmNames, a.AlarmName) })
	for _, name := range in.AlarmNames {
		delete(s.states, name)
		delete(s.alarmLabels, name)
	}
	if len(s.alarms) == before && len(in.AlarmNames) == 1 {
		return nil, wire.Errf("ResourceNotFound", "Alarm %s does not exist", in.AlarmNames[0]).WithStatus(http.StatusNotFound)
	}
	return &none{}, nil
}

func (s *Service) describeAlarms(_ context.Context, _ *wire.Call, in *alarmsIn) (*alarmsOut, error) {
	if in.ActionPrefix != "" {
		return nil, wire.Errf("NotImplemented", "DescribeAlarms: the embedded cloud does not implement ActionPrefix").WithStatus(http.StatusNotImplemented)
	}
	if len(in.AlarmTypes) > 0 && !slices.Contains(in.AlarmTypes, "MetricAlarm") {
		return &alarmsOut{MetricAlarms: []alarmOut{}}, nil // nobody can make composite ones here
	}
	most := mostAlarms
	if in.MaxRecords != nil {
		if most = *in.MaxRecords; most < 1 || most > mostAlarms {
			return nil, wire.Errf("ValidationError", "Value '%d' at 'maxRecords' failed to satisfy constraint: Member must be between 1 and %d", most, mostAlarms)
		}
	}
	if in.StateValue != "" && !slices.Contains(alarmStates, in.StateValue) {
		return nil, wire.Errf("ValidationError", "Value '%s' at 'stateValue' failed to satisfy constraint: Member must satisfy enum value set: %v", in.StateValue, alarmStates)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	all := []alarmOut{}
	for _, a := range s.alarms {
		if len(in.AlarmNames) > 0 && !slices.Contains(in.AlarmNames, a.AlarmName) || !strings.HasPrefix(a.AlarmName, in.AlarmNamePrefix) {
			continue
		}
		if o := s.showAlarm(a); in.StateValue == "" || o.StateValue == in.StateValue {
			all = append(all, o)
		}
	}
	slices.SortFunc(all, func(a, b alarmOut) int { return strings.Compare(a.AlarmName, b.AlarmName) })
	if in.NextToken != "" {
		after, err := base64.StdEncoding.DecodeString(in.NextToken)
		if err != nil {
			return nil, wire.Errf("InvalidNextToken", "The next token specified is invalid.")
		}
		all = slices.DeleteFunc(all, func(a alarmOut) bool { return a.AlarmName <= string(after) })
	}
	out := &alarmsOut{MetricAlarms: all}
	if len(all) > most {
		out.MetricAlarms, out.NextToken = all[:most], base64.StdEncoding.EncodeToString([]byte(all[most-1].AlarmName))
	}
	return out, nil
}

// showAlarm is an alarm as the API shows it. The caller holds s.mu.
func (s *Service) showAlarm(a Alarm) alarmOut {
	o := alarmOut{AlarmName: a.AlarmName, AlarmArn: s.w.ARN("cloudwatch", "alarm:"+a.AlarmName), AlarmDescription: a.AlarmDescription, MetricName: a.MetricName,
		Namespace: a.Namespace, Statistic: a.Statistic, ComparisonOperator: a.ComparisonOperator, TreatMissingData: a.TreatMissingData, StateValue: stateUnknown,
		Period: a.Period, EvaluationPeriods: a.EvaluationPeriods, DatapointsToAlarm: a.DatapointsToAlarm, Threshold: a.Threshold, Unit: a.Unit,
		ActionsEnabled: a.ActionsEnabled == nil || *a.ActionsEnabled,
		AlarmActions:   a.AlarmActions, OKActions: a.OKActions, InsufficientDataActions: a.InsufficientDataActions}
	if state, ok := s.states[a.AlarmName]; ok {
		o.StateValue, o.StateReason, o.StateReasonData, o.StateUpdatedTimestamp = state.value, state.reason, state.data, wire.At(state.at)
	}
	for _, d := range a.Dimensions {
		o.Dimensions = append(o.Dimensions, dimension(d))
	}
	return o
}
