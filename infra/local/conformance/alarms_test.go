package conformance

import (
	"encoding/xml"
	"fmt"
	"net/url"
	"slices"
	"testing"
	"time"
)

// alarmCall calls CloudWatch by the Query protocol: its SDK is no dependency of ours.
func alarmCall(t *testing.T, tg Target, action string, pairs ...string) answered {
	t.Helper()
	form := url.Values{"Action": {action}, "Version": {"2010-08-01"}}
	for i := 0; i < len(pairs); i += 2 {
		form.Set(pairs[i], pairs[i+1])
	}
	return signed(t, tg, "monitoring", "POST", "/", map[string]string{"Content-Type": "application/x-www-form-urlencoded"}, []byte(form.Encode()))
}

// alarms are those that DescribeAlarms says there are.
type alarms struct {
	List []struct {
		AlarmName, AlarmArn, MetricName, Namespace, Statistic, ComparisonOperator, TreatMissingData, StateValue, StateReason string

		Period, EvaluationPeriods int
		Threshold                 float64
		ActionsEnabled            bool
		Dimensions                []struct{ Name, Value string } `xml:"Dimensions>member"`
		AlarmActions              []string                       `xml:"AlarmActions>member"`
	} `xml:"DescribeAlarmsResult>MetricAlarms>member"`
	NextToken string `xml:"DescribeAlarmsResult>NextToken"`
}

func TestCloudWatchAlarms(t *testing.T) {
	tg := target(t, "monitoring")
	name := fmt.Sprintf("ekspedite-test-%d", time.Now().UnixNano())
	put := []string{"AlarmName", name, "Namespace", "AWS/EKS", "MetricName", "scheduler_pending_pods_UNSCHEDULABLE", "Dimensions.member.1.Name", "ClusterName",
		"Dimensions.member.1.Value", "blue", "Statistic", "Maximum", "Period", "60", "EvaluationPeriods", "1", "Threshold", "0",
		"ComparisonOperator", "GreaterThanThreshold", "TreatMissingData", "notBreaching"}
	for _, threshold := range []string{"1", "0"} { // the second takes the first one's place
		put[slices.Index(put, "Threshold")+1] = threshold
		if r := alarmCall(t, tg, "PutMetricAlarm", put...); r.status != 200 {
			t.Fatalf("%d %s", r.status, r.body)
		}
	}
	describe := func() (found alarms) {
		t.Helper()
		r := alarmCall(t, tg, "DescribeAlarms", "AlarmNames.member.1", name)
		if err := xml.Unmarshal(r.body, &found); err != nil || r.status != 200 {
			t.Fatalf("%d %s: %v", r.status, r.body, err)
		}
		return found
	}
	found := describe()
	if len(found.List) != 1 {
		t.Fatalf("%+v", found)
	}
	if a := found.List[0]; a.AlarmName != name || a.AlarmArn != "arn:aws:cloudwatch:"+tg.Region+":123456789012:alarm:"+name && tg.Embedded || a.MetricName != "scheduler_pending_pods_UNSCHEDULABLE" ||
		a.Period != 60 || a.Threshold != 0 || !a.ActionsEnabled || fmt.Sprint(a.Dimensions) != "[{ClusterName blue}]" || a.StateValue == "" {
		t.Errorf("%+v", a)
	}
	if r := alarmCall(t, tg, "DeleteAlarms", "AlarmNames.member.1", name); r.status != 200 {
		t.Errorf("%d %s", r.status, r.body)
	}
	if found = describe(); len(found.List) != 0 {
		t.Errorf("still there: %+v", found)
	}
	if r := alarmCall(t, tg, "DeleteAlarms", "AlarmNames.member.1", name); r.status != 404 {
		t.Errorf("deleted twice: %d %s", r.status, r.body)
	}
	for _, wrong := range [][]string{{"ComparisonOperator", "Above"}, {"Period", "45"}, {"Statistic", ""}, {"EvaluationPeriods", "0"}} {
		bad := slices.Clone(put)
		bad[slices.Index(bad, wrong[0])+1] = wrong[1]
		if r := alarmCall(t, tg, "PutMetricAlarm", bad...); r.status != 400 {
			t.Errorf("%v: %d %s", wrong, r.status, r.body)
		}
	}
	if tg.Embedded {
		if r := alarmCall(t, tg, "PutAnomalyDetector", "AlarmName", name); r.status != 501 {
			t.Errorf("what is not there says so: %d %s", r.status, r.body)
		}
	}
}

func TestCloudWatchAlarmState(t *testing.T) {
	tg := target(t, "monitoring")
	prefix := fmt.Sprintf("ekspedite-state-%d-", time.Now().UnixNano())
	action := "arn:aws:sns:" + tg.Region + ":123456789012:page"
	for _, n := range []string{"a", "b", "c"} {
		if r := alarmCall(t, tg, "PutMetricAlarm", "AlarmName", prefix+n, "Namespace", "Shop", "MetricName", "Errors", "Statistic", "Sum", "Period", "60", "EvaluationPeriods", "1", "Threshold", "1",
			"ComparisonOperator", "GreaterThanThreshold", "AlarmActions.member.1", action, "Tags.member.1.Key", "team", "Tags.member.1.Value", n); r.status != 200 {
			t.Fatalf("%d %s", r.status, r.body)
		}
		defer alarmCall(t, tg, "DeleteAlarms", "AlarmNames.member.1", prefix+n) // not a cleanup: the test's context is over by then
	}
	describe := func(pairs ...string) (found alarms) {
		t.Helper()
		r := alarmCall(t, tg, "DescribeAlarms", append([]string{"AlarmNamePrefix", prefix}, pairs...)...)
		if err := xml.Unmarshal(r.body, &found); err != nil || r.status != 200 {
			t.Fatalf("%d %s: %v", r.status, r.body, err)
		}
		return found
	}
	if r := alarmCall(t, tg, "SetAlarmState", "AlarmName", prefix+"b", "StateValue", "ALARM", "StateReason", "a drill"); r.status != 200 {
		t.Fatalf("%d %s", r.status, r.body)
	}
	found := describe("StateValue", "ALARM")
	if len(found.List) != 1 || found.List[0].AlarmName != prefix+"b" || found.List[0].StateReason != "a drill" || !slices.Equal(found.List[0].AlarmActions, []string{action}) {
		t.Errorf("%+v", found)
	}
	first := describe("MaxRecords", "2")
	second := describe("MaxRecords", "2", "NextToken", first.NextToken)
	if len(first.List) != 2 || first.NextToken == "" || len(second.List) != 1 || second.NextToken != "" || second.List[0].AlarmName != prefix+"c" {
		t.Errorf("in pages: %+v, %+v", first, second)
	}
	r := alarmCall(t, tg, "ListTagsForResource", "ResourceARN", found.List[0].AlarmArn)
	var tags struct {
		Tags []struct{ Key, Value string } `xml:"ListTagsForResourceResult>Tags>member"`
	}
	if err := xml.Unmarshal(r.body, &tags); err != nil || len(tags.Tags) != 1 || tags.Tags[0].Value != "b" {
		t.Errorf("tags: %d %s: %v", r.status, r.body, err)
	}
	for _, wrong := range [][]string{{"AlarmName", prefix + "b", "StateValue", "FIRE", "StateReason", "x"}, {"AlarmName", prefix + "d", "StateValue", "OK", "StateReason", "x"}} {
		if r := alarmCall(t, tg, "SetAlarmState", wrong...); r.status != 400 && r.status != 404 {
			t.Errorf("%v: %d %s", wrong, r.status, r.body)
		}
	}
}
