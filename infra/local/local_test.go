package local_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/infra/local"
	"github.com/ekspedite/ekspedite/infra/local/faults"
	"github.com/ekspedite/ekspedite/infra/local/stack"
)

// start runs a cloud over a template of testdata with the function of the lambda package's tests.
func start(t *testing.T, o local.Options) *local.Cloud {
	t.Helper()
	o.Seed, o.Log = 1, slog.New(slog.NewTextHandler(io.Discard, nil))
	if o.Faults == nil {
		o.Faults = &faults.None
	}
	c, err := local.Start(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func small(t *testing.T) local.Options {
	t.Helper()
	bin := t.TempDir()
	build := exec.Command("go", "build", "-o", filepath.Join(bin, "worker", "bootstrap"), "./lambda/testdata/bootstrap")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	body, err := os.ReadFile("testdata/small.template.json")
	if err != nil {
		t.Fatal(err)
	}
	return local.Options{BinDir: bin, Templates: []stack.Template{{Name: "small", Body: body}}}
}

func ref(t *testing.T, c *local.Cloud, id, attribute string) string {
	t.Helper()
	r, ok := c.Stack.Find(id)
	if !ok {
		t.Fatalf("there is no resource %s", id)
	}
	if attribute == "" {
		return r.Ref
	}
	return r.Attributes[attribute]
}

func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain until %s", what)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func get(t *testing.T, c *local.Cloud, path string, v any) {
	t.Helper()
	r, err := http.Get(c.Endpoint() + "/_ekspedite" + path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	if r.StatusCode != 200 {
		t.Fatalf("%s: %s", path, r.Status)
	}
	if err := json.NewDecoder(r.Body).Decode(v); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

// TestQueueToFunctionToDLQ is the whole path of a message: the template's queue, a real process, a partial batch
// response, and what fails twice in the dead-letter queue; with the function's role enforced.
func TestQueueToFunctionToDLQ(t *testing.T) {
	c := start(t, small(t))
	queue, dlq := ref(t, c, "Queue", "Arn"), ref(t, c, "DLQ", "Arn")
	for _, body := range []string{"one", "bad", "two"} {
		if err := c.SQS.SendAuthorized(queue, body, "", nil); err != nil {
			t.Fatal(err)
		}
	}
	got, err := c.SQS.Receive(t.Context(), dlq, 10, 20*time.Second)
	if err != nil || len(got) != 1 || got[0].Body != "bad" {
		t.Fatalf("dead letters %+v, %v", got, err)
	}
	lines := c.Logs.Lines(ref(t, c, "Logs", ""))
	count := func(text string) (n int) {
		for _, l := range lines {
			if strings.Contains(l, text) {
				n++
			}
		}
		return n
	}
	if count("record one") != 1 || count("record two") != 1 || count("record bad") != 2 || count("platform.report") < 2 {
		t.Errorf("log:\n%s", strings.Join(lines, "\n"))
	}
	var grants struct {
		Unused []struct{ Action string }
		Denied []any
	}
	get(t, c, "/grants", &grants)
	if len(grants.Denied) != 0 || len(grants.Unused) != 1 || grants.Unused[0].Action != "sqs:PurgeQueue" {
		t.Errorf("grants: %+v", grants)
	}
	var stats []struct{ Invocations, ColdStarts int }
	get(t, c, "/lambda", &stats)
	if len(stats) != 1 || stats[0].Invocations < 2 {
		t.Errorf("stats: %+v", stats)
	}
}

// TestMissingPermissionFailsTheLoad: what would fail on AWS fails here.
func TestMissingPermissionFailsTheLoad(t *testing.T) {
	o := small(t)
	o.Templates[0].Body = bytes.Replace(o.Templates[0].Body, []byte(`"sqs:DeleteMessage", `), nil, 1)
	_, err := local.Start(context.Background(), o)
	if err == nil || !strings.Contains(err.Error(), "small.Source") || !strings.Contains(err.Error(), "DeleteMessage") {
		t.Errorf("%v", err)
	}
}

func TestUnknownTypeFailsTheLoad(t *testing.T) {
	_, err := local.Start(context.Background(), local.Options{Templates: []stack.Template{{Name: "s", Body: []byte(
		`{"Resources": {"Api": {"Type": "AWS::ApiGateway::RestApi"}, "Cdn": {"Type": "AWS::CloudFront::Distribution"}}}`)}}})
	for _, want := range []string{"s.Api", "AWS::ApiGateway::RestApi", "s.Cdn"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s is missing in: %v", want, err)
		}
	}
}

func TestMissingBinaryFailsTheLoad(t *testing.T) {
	o := small(t)
	o.BinDir = t.TempDir()
	if _, err := local.Start(context.Background(), o); err == nil || !strings.Contains(err.Error(), "make build") {
		t.Errorf("%v", err)
	}
}

// TestCommittedTemplateLoads: what is deployed runs here, completely.
func TestCommittedTemplateLoads(t *testing.T) {
	c := start(t, local.Options{TemplateDir: "../template"})
	if len(c.Stack.Resources) == 0 {
		t.Error("no resources")
	}
}

func TestLoopbackOnly(t *testing.T) {
	for _, address := range []string{"0.0.0.0:0", ":0", "192.0.2.1:80", "example.com:80", "nonsense"} {
		if c, err := local.Start(context.Background(), local.Options{Listen: address}); err == nil {
			c.Close()
			t.Errorf("%s was accepted", address)
		}
	}
}

func TestGuardKeepsWebPagesOut(t *testing.T) {
	c := start(t, local.Options{})
	for name, change := range map[string]func(*http.Request){
		"origin":    func(r *http.Request) { r.Header.Set("Origin", "http://evil.example") },
		"rebinding": func(r *http.Request) { r.Host = "evil.example" },
		"fetch":     func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") },
	} {
		r, _ := http.NewRequest("PUT", c.Endpoint()+"/_ekspedite/faults", strings.NewReader(`{"throttle":1}`))
		change(r)
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusForbidden {
			t.Errorf("%s: %s", name, resp.Status)
		}
	}
	if c.Faults.Config().Throttle != 0 {
		t.Error("a web page changed the faults")
	}
}

func TestFaultsAtRunTime(t *testing.T) {
	c := start(t, local.Options{})
	r, _ := http.NewRequest("PUT", c.Endpoint()+"/_ekspedite/faults", strings.NewReader(`{"duplicate":0.5}`))
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if got := c.Faults.Config(); resp.StatusCode != 200 || got.Duplicate != 0.5 || got.Throttle != 0 {
		t.Errorf("%s %+v", resp.Status, got)
	}
	r, _ = http.NewRequest("PUT", c.Endpoint()+"/_ekspedite/faults", strings.NewReader(`{"duplicate":5}`))
	if resp, err = http.DefaultClient.Do(r); err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusBadRequest {
		t.Errorf("a rate of 5: %s", resp.Status)
	}
}

func TestEventsCanBeFollowed(t *testing.T) {
	c := start(t, local.Options{})
	c.EventBridge.Emit("aws.test", "First", nil, map[string]string{"n": "1"})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	r, _ := http.NewRequestWithContext(ctx, "GET", c.Endpoint()+"/_ekspedite/events?follow=1", nil)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	next := func() string {
		if !lines.Scan() {
			t.Fatal(lines.Err())
		}
		return lines.Text()
	}
	if l := next(); !strings.HasPrefix(l, `{"seq":1,`) || !strings.Contains(l, `"detail-type":"First"`) {
		t.Errorf("first: %s", l)
	}
	c.EventBridge.Emit("aws.test", "Second", nil, map[string]string{"n": "2"})
	if l := next(); !strings.HasPrefix(l, `{"seq":2,`) || !strings.Contains(l, `"Second"`) {
		t.Errorf("second: %s", l)
	}
}

// TestDeliveriesAreSeen: the feed shows which rule brought an event to which queue.
func TestDeliveriesAreSeen(t *testing.T) {
	c := start(t, local.Options{Templates: []stack.Template{{Name: "s", Body: []byte(`{"Resources": {
	  "Queue": {"Type": "AWS::SQS::Queue"},
	  "Allow": {"Type": "AWS::SQS::QueuePolicy", "Properties": {"Queues": [{"Ref": "Queue"}], "PolicyDocument": {"Version": "2012-10-17", "Statement": [
	    {"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": "sqs:SendMessage", "Resource": {"Fn::GetAtt": ["Queue", "Arn"]}}]}}},
	  "Rule": {"Type": "AWS::Events::Rule", "Properties": {"EventPattern": {"source": ["aws.test"]}, "State": "ENABLED",
	    "Targets": [{"Id": "q", "Arn": {"Fn::GetAtt": ["Queue", "Arn"]}}]}}}}`)}}})
	c.EventBridge.Emit("aws.test", "First", nil, map[string]string{"n": "1"})
	if got, err := c.SQS.Receive(t.Context(), ref(t, c, "Queue", "Arn"), 1, 20*time.Second); err != nil || len(got) != 1 {
		t.Fatalf("%+v %v", got, err)
	}
	until(t, "the delivery is in the feed", func() bool {
		resp, err := http.Get(c.Endpoint() + "/_ekspedite/events")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		return err == nil && strings.Contains(string(body), `"kind":"delivery"`) && strings.Contains(string(body), `:rule/`)
	})
}

// TestDeveloperEnvironmentDoesNotReachFunctions: a function must not be able to leave the embedded cloud with the
// developer's own credentials.
func TestDeveloperEnvironmentDoesNotReachFunctions(t *testing.T) {
	t.Setenv("AWS_PROFILE", "production")
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIADEVELOPER")
	o := small(t)
	c := start(t, o)
	r, err := c.Lambda.Invoke(ref(t, c, "Function", ""), []byte(`{}`))
	if err != nil {
		t.Fatal(err)
	}
	var said struct{ Env []string }
	if err := json.Unmarshal(r.Payload, &said); err != nil {
		t.Fatalf("%v: %s", err, r.Payload)
	}
	if !slices.Contains(said.Env, "AWS_ENDPOINT_URL="+c.Endpoint()) || strings.Contains(strings.Join(said.Env, " "), "production") ||
		strings.Contains(strings.Join(said.Env, " "), "AKIADEVELOPER") {
		t.Errorf("%v", said.Env)
	}
}
