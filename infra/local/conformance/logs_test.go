package conformance

import (
	"fmt"
	"testing"
	"time"
)

func logsCall(t *testing.T, tg Target, operation string, in map[string]any) answered {
	t.Helper()
	return signed(t, tg, "logs", "POST", "/", map[string]string{
		"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": "Logs_20140328." + operation}, in)
}

func TestLogsGroupsAndStreams(t *testing.T) {
	tg := target(t, "logs")
	group := fmt.Sprintf("/ekspedite/conformance/%d", time.Now().UnixNano())
	logsCall(t, tg, "CreateLogGroup", map[string]any{"logGroupName": group}).ok(t)
	logsCall(t, tg, "CreateLogGroup", map[string]any{"logGroupName": group}).fails(t, 400, "ResourceAlreadyExistsException")
	logsCall(t, tg, "PutRetentionPolicy", map[string]any{"logGroupName": group, "retentionInDays": 30}).ok(t)
	logsCall(t, tg, "PutRetentionPolicy", map[string]any{"logGroupName": group, "retentionInDays": 31}).fails(t, 400, "InvalidParameterException")
	logsCall(t, tg, "CreateLogStream", map[string]any{"logGroupName": group, "logStreamName": "s1"}).ok(t)
	logsCall(t, tg, "CreateLogStream", map[string]any{"logGroupName": group, "logStreamName": "s1"}).fails(t, 400, "ResourceAlreadyExistsException")
	logsCall(t, tg, "CreateLogStream", map[string]any{"logGroupName": group + "/none", "logStreamName": "s1"}).fails(t, 400, "ResourceNotFoundException")

	r := logsCall(t, tg, "DescribeLogGroups", map[string]any{"logGroupNamePrefix": group}).ok(t)
	groups := r["logGroups"].([]any)
	if len(groups) != 1 || groups[0].(map[string]any)["retentionInDays"] != float64(30) {
		t.Errorf("groups: %v", groups)
	}
	r = logsCall(t, tg, "DescribeLogStreams", map[string]any{"logGroupName": group}).ok(t)
	if s := r["logStreams"].([]any); len(s) != 1 || s[0].(map[string]any)["logStreamName"] != "s1" {
		t.Errorf("streams: %v", s)
	}
}

func TestLogsEvents(t *testing.T) {
	tg := target(t, "logs")
	group := fmt.Sprintf("/ekspedite/conformance/%d", time.Now().UnixNano())
	logsCall(t, tg, "CreateLogGroup", map[string]any{"logGroupName": group}).ok(t)
	logsCall(t, tg, "CreateLogStream", map[string]any{"logGroupName": group, "logStreamName": "s"}).ok(t)
	now := time.Now().UnixMilli()
	var events []map[string]any
	for i := range 5 {
		events = append(events, map[string]any{"timestamp": now + int64(i), "message": fmt.Sprintf("line %d", i)})
	}
	logsCall(t, tg, "PutLogEvents", map[string]any{"logGroupName": group, "logStreamName": "s", "logEvents": events}).ok(t)
	logsCall(t, tg, "PutLogEvents", map[string]any{"logGroupName": group, "logStreamName": "none", "logEvents": events}).fails(t, 400, "ResourceNotFoundException")

	read := func(in map[string]any) (messages []string, out map[string]any) {
		in["logGroupName"], in["logStreamName"] = group, "s"
		out = logsCall(t, tg, "GetLogEvents", in).ok(t)
		for _, e := range out["events"].([]any) {
			messages = append(messages, e.(map[string]any)["message"].(string))
		}
		return messages, out
	}
	got, out := read(map[string]any{"startFromHead": true, "limit": 2})
	if fmt.Sprint(got) != "[line 0 line 1]" {
		t.Errorf("head: %v", got)
	}
	got, out = read(map[string]any{"startFromHead": true, "limit": 9, "nextToken": out["nextForwardToken"]})
	if fmt.Sprint(got) != "[line 2 line 3 line 4]" {
		t.Errorf("next: %v", got)
	}
	token := out["nextForwardToken"]
	if got, out = read(map[string]any{"startFromHead": true, "nextToken": token}); len(got) != 0 || out["nextForwardToken"] != token {
		t.Errorf("at the end: %v, token %v then %v", got, token, out["nextForwardToken"])
	}
	if got, _ = read(map[string]any{"limit": 2}); fmt.Sprint(got) != "[line 3 line 4]" {
		t.Errorf("tail: %v", got)
	}

	r := logsCall(t, tg, "FilterLogEvents", map[string]any{"logGroupName": group, "filterPattern": `"line 3"`}).ok(t)
	if hits := r["events"].([]any); len(hits) != 1 {
		t.Errorf("filter: %v", hits)
	}
	r = logsCall(t, tg, "FilterLogEvents", map[string]any{"logGroupName": group, "startTime": now + 3}).ok(t)
	if hits := r["events"].([]any); len(hits) != 2 {
		t.Errorf("filter by time: %v", hits)
	}
}
