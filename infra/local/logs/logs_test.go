package logs

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/world"
)

func newService(t *testing.T) *Service {
	t.Helper()
	s := New(world.New("123456789012", "us-east-1", world.Fast, 1, slog.New(slog.DiscardHandler)))
	if err := s.CreateGroup("g"); err != nil {
		t.Fatal(err)
	}
	if err := s.CreateStream("g", "s"); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestEMF(t *testing.T) {
	const directive = `"_aws":{"Timestamp":1,"CloudWatchMetrics":[{"Namespace":"N","Dimensions":[["A"],["A","B"]],"Metrics":[{"Name":"M","Unit":"Milliseconds"}]}]}`
	s := newService(t)
	good := []string{
		`{` + directive + `,"A":"a","B":"b","M":1.5}`,
		`{` + directive + `,"A":"a","B":"b","M":[2,3]}`,
	}
	if err := s.Append("g", "s", time.Now(), good...); err != nil {
		t.Fatal(err)
	}
	if sum, n := s.Metrics().Sum("N", "M", map[string]string{"B": "b"}); sum != 6.5 || n != 3 {
		t.Errorf("sum %v of %d", sum, n)
	}
	if all := s.Metrics().All(); len(all) != 2 || all[0].Min != 1.5 || all[0].Max != 3 || all[0].Unit != "Milliseconds" {
		t.Errorf("%+v", all)
	}
	for i, bad := range []string{
		`{` + directive + `,"A":"a","B":"b"}`,                                                 // no value
		`{` + directive + `,"A":"a","M":1}`,                                                   // a dimension is missing
		`{` + directive + `,"A":"a","B":7,"M":1}`,                                             // a dimension is no string
		`{` + directive + `,"A":"a","B":"b","M":null}`,                                        // no number
		`{` + strings.Replace(directive, "Milliseconds", "ms", 1) + `,"A":"a","B":"b","M":1}`, // no unit
		`{` + strings.Replace(directive, `"Timestamp":1,`, "", 1) + `,"A":"a","B":"b","M":1}`,
		`{` + strings.Replace(directive, `"N"`, `""`, 1) + `,"A":"a","B":"b","M":1}`,
		`{` + directive + `,"A":"a","B":"b","M":1`, // cut off
	} {
		if err := s.Append("g", "s", time.Now(), bad); err != nil {
			t.Fatal(err)
		}
		if n, problems := s.Metrics().Malformed(); n != i+1 || len(problems) != i+1 {
			t.Errorf("not counted as malformed: %s", bad)
		}
	}
	if sum, _ := s.Metrics().Sum("N", "M", map[string]string{"B": "b"}); sum != 6.5 {
		t.Errorf("malformed lines count: %v", sum)
	}
}

func TestStreamsAreBounded(t *testing.T) {
	s := newService(t)
	for i := range maxStreamEvents + 2*maxStreamEvents/10 {
		if err := s.Append("g", "s", time.Now(), fmt.Sprint(i)); err != nil {
			t.Fatal(err)
		}
	}
	lines := s.Lines("g")
	if len(lines) > maxStreamEvents+maxStreamEvents/10 || lines[len(lines)-1] != fmt.Sprint(maxStreamEvents+2*maxStreamEvents/10-1) {
		t.Errorf("%d lines, the last %s", len(lines), lines[len(lines)-1])
	}
	// A reader who was at the beginning goes on at the oldest line that is left.
	out, err := s.getEvents(context.Background(), nil, &getIn{target: target{LogGroupName: "g"}, LogStreamName: "s", NextToken: "f/0", Limit: 1})
	if err != nil || out.Events[0].Message != lines[0] {
		t.Errorf("%+v %v", out, err)
	}
	for i := range maxStreams {
		if err := s.CreateStream("g", fmt.Sprint("s", i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Append("g", "s", time.Now(), "late"); err == nil {
		t.Error("the oldest stream is still there")
	}
}

func TestFilterPatterns(t *testing.T) {
	for _, c := range []struct {
		pattern, line string
		want          bool
	}{
		{"", "anything", true}, {"ERROR", "an ERROR", true}, {"ERROR", "an error", false}, {"a b", "b and a", true}, {"a -b", "a b", false},
		{`"a b"`, "a  b", false}, {`"a b"`, "x a b", true}, {"?x ?y", "only y", true}, {"?x ?y", "none", false},
	} {
		match, err := pattern(c.pattern)
		if err != nil || match(c.line) != c.want {
			t.Errorf("%q on %q: %v", c.pattern, c.line, err)
		}
	}
	for _, p := range []string{`{ $.level = "ERROR" }`, `[a, b]`, `"open`} {
		if _, err := pattern(p); err == nil {
			t.Errorf("%s: no error", p)
		}
	}
}

func TestProviders(t *testing.T) {
	s := newService(t)
	p := s.Providers()
	g, err := p["AWS::Logs::LogGroup"]("Group", json.RawMessage(`{"RetentionInDays":"30"}`))
	if err != nil || !strings.HasPrefix(g.Ref, "Group-") || g.Attributes["Arn"] != "arn:aws:logs:us-east-1:123456789012:log-group:"+g.Ref+":*" {
		t.Errorf("%+v %v", g, err)
	}
	if _, err := p["AWS::Logs::LogGroup"]("Group", json.RawMessage(`{"RetentionInDays":31}`)); err == nil {
		t.Error("31 days were accepted")
	}
	if _, err := p["AWS::CloudWatch::Alarm"]("A", json.RawMessage(`{"ComparisonOperator":"GreaterThanThreshold","EvaluationPeriods":1,"Treshold":0}`)); err == nil {
		t.Error("a misspelt property was accepted")
	}
	a, err := p["AWS::CloudWatch::Alarm"]("A", json.RawMessage(`{"AlarmName":"n","ComparisonOperator":"GreaterThanThreshold","EvaluationPeriods":1,"Threshold":0}`))
	if err != nil || a.Ref != "n" || len(s.Alarms()) != 1 {
		t.Errorf("%+v %v", a, err)
	}
	if _, err := p["AWS::CloudWatch::Dashboard"]("D", json.RawMessage(`{"DashboardBody":"{"}`)); err == nil {
		t.Error("a broken dashboard was accepted")
	}
}
