package conformance

import (
	"context"
	"encoding/json"
	"net/url"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
)

// schedulerSuite calls EventBridge Scheduler, whose SDK is not among this module's dependencies.
type schedulerSuite struct {
	t    *testing.T
	tg   Target
	sqs  *sqsSuite
	role string // may send to any queue
}

func newScheduler(t *testing.T) *schedulerSuite {
	tg := target(t, "scheduler")
	s := &schedulerSuite{t: t, tg: tg, sqs: &sqsSuite{sqs.NewFromConfig(tg.Config), t, tg}}
	roles := iam.NewFromConfig(tg.Config)
	name, policy := unique("scheduler"), "send"
	trust := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"scheduler.amazonaws.com"},"Action":"sts:AssumeRole"}]}`
	out, err := roles.CreateRole(t.Context(), &iam.CreateRoleInput{RoleName: &name, AssumeRolePolicyDocument: &trust})
	if err != nil {
		t.Fatal(err)
	}
	s.role = *out.Role.Arn
	t.Cleanup(func() {
		ctx := context.Background()
		if _, err := roles.DeleteRolePolicy(ctx, &iam.DeleteRolePolicyInput{RoleName: &name, PolicyName: &policy}); err != nil {
			t.Errorf("DeleteRolePolicy: %v", err)
		}
		if _, err := roles.DeleteRole(ctx, &iam.DeleteRoleInput{RoleName: &name}); err != nil {
			t.Errorf("DeleteRole: %v", err)
		}
	})
	document := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sqs:SendMessage","Resource":"*"}]}`
	if _, err := roles.PutRolePolicy(t.Context(), &iam.PutRolePolicyInput{RoleName: &name, PolicyName: &policy, PolicyDocument: &document}); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *schedulerSuite) call(method, path string, in any) answered {
	s.t.Helper()
	header := map[string]string{}
	if in != nil {
		header["Content-Type"] = "application/json"
	}
	return signed(s.t, s.tg, "scheduler", method, path, header, in)
}

// schedule is a request that is valid but for what the test changes.
func (s *schedulerSuite) schedule(expression, queueARN string) map[string]any {
	return map[string]any{
		"ScheduleExpression": expression, "FlexibleTimeWindow": map[string]any{"Mode": "OFF"},
		"Target": map[string]any{"Arn": queueARN, "RoleArn": s.role, "Input": `{"at":"<aws.scheduler.scheduled-time>"}`},
	}
}

// create retries while the new role is not known everywhere.
func (s *schedulerSuite) create(name string, in map[string]any) map[string]any {
	s.t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for {
		a := s.call("POST", "/schedules/"+name, in)
		if a.status != 400 || time.Now().After(deadline) {
			return a.ok(s.t)
		}
		select {
		case <-time.After(500 * time.Millisecond):
		case <-s.t.Context().Done():
		}
	}
}

func TestSchedulerSchedules(t *testing.T) {
	s := newScheduler(t)
	queue := s.sqs.attributes(s.sqs.queue("sched", nil))["QueueArn"]
	group, name := unique("group"), unique("schedule")
	arn := s.call("POST", "/schedule-groups/"+group, map[string]any{"Tags": []map[string]string{{"Key": "k", "Value": "v"}}}).ok(t)["ScheduleGroupArn"].(string)
	defer func() { // a schedule that is left goes with its group
		if a := s.call("DELETE", "/schedule-groups/"+group, nil); a.status != 200 {
			t.Errorf("DeleteScheduleGroup: %s", a.body)
		}
	}()
	in := s.schedule("cron(0 2 ? * TUE *)", queue)
	in["GroupName"], in["ScheduleExpressionTimezone"], in["Description"] = group, "Europe/Berlin", "d"
	scheduleARN := s.create(name, in)["ScheduleArn"]
	got := s.call("GET", "/schedules/"+name+"?groupName="+group, nil).ok(t)
	for k, want := range map[string]any{"Arn": scheduleARN, "Name": name, "GroupName": group, "State": "ENABLED", "ScheduleExpression": "cron(0 2 ? * TUE *)", "ScheduleExpressionTimezone": "Europe/Berlin", "Description": "d"} {
		if got[k] != want {
			t.Errorf("%s is %v, want %v", k, got[k], want)
		}
	}
	s.call("POST", "/schedules/"+name, in).fails(t, 409, "ConflictException")
	in["State"] = "DISABLED"
	delete(in, "Description")
	s.call("PUT", "/schedules/"+name, in).ok(t)
	got = s.call("GET", "/schedules/"+name+"?groupName="+group, nil).ok(t)
	if got["State"] != "DISABLED" || got["Description"] != nil && got["Description"] != "" {
		t.Errorf("after the update: %v", got)
	}
	list := s.call("GET", "/schedules?ScheduleGroup="+group, nil).ok(t)["Schedules"].([]any)
	if len(list) != 1 || list[0].(map[string]any)["Name"] != name {
		t.Errorf("list: %v", list)
	}
	tags := s.call("GET", "/tags/"+url.PathEscape(arn), nil).ok(t)["Tags"].([]any)
	if len(tags) != 1 || tags[0].(map[string]any)["Value"] != "v" {
		t.Errorf("tags: %v", tags)
	}
	s.call("DELETE", "/schedules/"+name+"?groupName="+group, nil).ok(t)
	s.call("GET", "/schedules/"+name+"?groupName="+group, nil).fails(t, 404, "ResourceNotFoundException")
}

func TestSchedulerValidation(t *testing.T) {
	s := newScheduler(t)
	queue := s.sqs.attributes(s.sqs.queue("sched", nil))["QueueArn"]
	for _, expression := range []string{"often", "cron(* * * * *)", "rate(5 seconds)", "at(2030-01-01)"} {
		s.call("POST", "/schedules/"+unique("bad"), s.schedule(expression, queue)).fails(t, 400, "ValidationException")
	}
	in := s.schedule("rate(1 day)", queue)
	in["ScheduleExpressionTimezone"] = "Mars/Base"
	s.call("POST", "/schedules/"+unique("bad"), in).fails(t, 400, "ValidationException")
	s.call("GET", "/schedules/conf-none?groupName=conf-none", nil).fails(t, 404, "ResourceNotFoundException")
	s.call("DELETE", "/schedules/conf-none", nil).fails(t, 404, "ResourceNotFoundException")
}

func TestSchedulerFires(t *testing.T) {
	s := newScheduler(t)
	queueURL := s.sqs.queue("fires", nil)
	at := time.Now().Add(2 * time.Second).UTC().Truncate(time.Second)
	if s.tg.Endpoint == "" { // AWS fires within the minute and may not know the role yet
		at = time.Now().Add(40 * time.Second).UTC().Truncate(time.Second)
	}
	in := s.schedule("at("+at.Format("2006-01-02T15:04:05")+")", s.sqs.attributes(queueURL)["QueueArn"])
	in["ActionAfterCompletion"] = "DELETE"
	name := unique("fires")
	s.create(name, in)
	deadline := time.Now().Add(2 * time.Minute)
	for {
		ms := s.sqs.receive(queueURL, 5)
		if len(ms) == 0 && time.Now().Before(deadline) {
			continue
		}
		if len(ms) != 1 {
			t.Fatalf("received %d messages", len(ms))
		}
		var body struct{ At string }
		if err := json.Unmarshal([]byte(*ms[0].Body), &body); err != nil || body.At != at.Format(time.RFC3339) {
			t.Errorf("received %s, %v; want %s", *ms[0].Body, err, at)
		}
		break
	}
	if s.tg.Embedded { // AWS deletes it within the hour
		s.call("GET", "/schedules/"+name, nil).fails(t, 404, "ResourceNotFoundException")
	}
}
