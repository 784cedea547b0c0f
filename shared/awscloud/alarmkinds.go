package awscloud

import (
	"context"
	"encoding/xml"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/shared/decide/readiness"
	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

// alarmCalls are the operations of CloudWatch that decisions may ask for.
func (r *Region) alarmCalls() map[string]operation {
	by := func(ctx context.Context, api string, in fleet.Props) (any, error) {
		_, action, _ := strings.Cut(api, ":")
		_, err := r.alarms.call(ctx, api, action, parameters(in))
		return nil, err
	}
	return map[string]operation{"cloudwatch:PutMetricAlarm": by, "cloudwatch:DeleteAlarms": by}
}

// alarm reads a metric alarm by its name.
func (r *Region) alarm(ctx context.Context, _ string, ref fleet.Ref) (fleet.Resource, error) {
	const op = "cloudwatch:DescribeAlarms"
	body, err := r.alarms.call(ctx, op, "DescribeAlarms", url.Values{"AlarmNames.member.1": {ref.Name}, "AlarmTypes.member.1": {"MetricAlarm"}})
	if err != nil {
		return fleet.Resource{}, err
	}
	var answer struct {
		Alarms []struct {
			AlarmName, AlarmArn, AlarmDescription, Namespace, MetricName, Statistic, ComparisonOperator, TreatMissingData string

			Period, EvaluationPeriods, DatapointsToAlarm int
			Threshold                                    float64
			Dimensions                                   []struct{ Name, Value string } `xml:"Dimensions>member"`
		} `xml:"DescribeAlarmsResult>MetricAlarms>member"`
	}
	if err := xml.Unmarshal(body, &answer); err != nil {
		return fleet.Resource{}, &fault.Error{Class: fault.Transient, Op: op, Err: err}
	}
	for _, a := range answer.Alarms {
		if a.AlarmName != ref.Name {
			continue
		}
		var dimensions []any
		for _, d := range a.Dimensions {
			dimensions = append(dimensions, fleet.Props{"name": d.Name, "value": d.Value})
		}
		return fleet.Resource{Physical: a.AlarmName, ARN: a.AlarmArn, Props: fleet.Props{
			"alarmName": a.AlarmName, "alarmDescription": a.AlarmDescription, "namespace": a.Namespace, "metricName": a.MetricName, "dimensions": dimensions,
			"statistic": a.Statistic, "period": a.Period, "evaluationPeriods": a.EvaluationPeriods, "datapointsToAlarm": a.DatapointsToAlarm,
			"threshold": a.Threshold, "comparisonOperator": a.ComparisonOperator, "treatMissingData": a.TreatMissingData,
		}}, nil
	}
	return fleet.Resource{}, fault.New(fault.NotFound, "there is no alarm %s", ref.Name)
}

// pendingPods is the cluster's alarm on pods that find no node.
func (r *Region) pendingPods(ctx context.Context, cluster fleet.ClusterID, _ []string) ([]fleet.Resource, error) {
	return only(ctx, cluster, fleet.Ref{ID: "alarm/pending-pods", Kind: "alarm", Name: fleet.PendingPodsAlarm(cluster.Name)}, r.alarm)
}

// alarmsAtOnce is how many names DescribeAlarms takes.
const alarmsAtOnce = 100

// alarmStates reads how alarms of any type are, by their names.
func (r *Region) alarmStates(ctx context.Context, names []string) (out []readiness.Alarm, err error) {
	const op = "cloudwatch:DescribeAlarms"
	for some := range slices.Chunk(names, alarmsAtOnce) {
		form := url.Values{"AlarmTypes.member.1": {"MetricAlarm"}, "AlarmTypes.member.2": {"CompositeAlarm"}, "MaxRecords": {strconv.Itoa(alarmsAtOnce)}}
		for i, name := range some {
			form.Set("AlarmNames.member."+strconv.Itoa(i+1), name)
		}
		body, err := r.alarms.call(ctx, op, "DescribeAlarms", form)
		if err != nil {
			return nil, err
		}
		type alarm struct {
			AlarmName, StateValue string
			StateUpdatedTimestamp time.Time
		}
		var answer struct {
			Metric    []alarm `xml:"DescribeAlarmsResult>MetricAlarms>member"`
			Composite []alarm `xml:"DescribeAlarmsResult>CompositeAlarms>member"`
		}
		if err := xml.Unmarshal(body, &answer); err != nil {
			return nil, &fault.Error{Class: fault.Transient, Op: op, Err: err}
		}
		for _, a := range slices.Concat(answer.Metric, answer.Composite) {
			out = append(out, readiness.Alarm{Name: a.AlarmName, State: a.StateValue, Since: a.StateUpdatedTimestamp})
		}
	}
	slices.SortFunc(out, func(a, b readiness.Alarm) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}
