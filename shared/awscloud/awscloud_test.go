package awscloud

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/smithy-go"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

func TestErrors(t *testing.T) {
	api := func(code string, f smithy.ErrorFault) error {
		return &smithy.OperationError{ServiceID: "x", Err: &smithy.GenericAPIError{Code: code, Message: " why ", Fault: f}}
	}
	for _, tc := range []struct {
		err   error
		class fault.Class
	}{
		{api("RequestLimitExceeded", smithy.FaultUnknown), fault.Throttled},
		{api("Throttling", smithy.FaultClient), fault.Throttled},
		{api("InvalidInstanceID.NotFound", smithy.FaultUnknown), fault.NotFound},
		{api("InvalidInstanceID.Malformed", smithy.FaultUnknown), fault.Invalid},
		{api("ConditionalCheckFailedException", smithy.FaultClient), fault.Conflict},
		{api("ResourceInUseException", smithy.FaultClient), fault.Blocked},
		{api("AccessDeniedException", smithy.FaultClient), fault.Denied},
		{api("UnauthorizedOperation", smithy.FaultUnknown), fault.Denied},
		{api("ExpiredTokenException", smithy.FaultClient), fault.Transient},
		{api("InsufficientInstanceCapacity", smithy.FaultServer), fault.Blocked},
		{api("SomethingNew", smithy.FaultServer), fault.Transient},
		{api("SomethingNew", smithy.FaultClient), fault.Invalid},
		{api("SomethingNew", smithy.FaultUnknown), fault.Transient},
		{errors.New("connection reset"), fault.Transient},
		{context.DeadlineExceeded, fault.Transient},
	} {
		got := classify("svc:Op", tc.err)
		if fault.Of(got) != tc.class {
			t.Errorf("%v: %s, want %s", tc.err, fault.Of(got), tc.class)
		}
		if !strings.HasPrefix(got.Error(), "svc:Op: ") || strings.HasSuffix(got.Error(), " ") {
			t.Errorf("%q", got)
		}
	}
	if classify("x", nil) != nil {
		t.Error("no error became one")
	}
}

// cloud answers requests by operation and keeps them.
type cloud struct {
	mu       sync.Mutex
	answers  map[string]string // by operation: the body, with a status in front: "400 <xml>"
	requests map[string][]string
}

func (c *cloud) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	_, op, ok := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	if !ok {
		form, _ := url.ParseQuery(string(body))
		op = form.Get("Action")
	}
	c.mu.Lock()
	c.requests[op] = append(c.requests[op], string(body))
	answer := c.answers[op]
	c.mu.Unlock()
	if op == "" || answer == "" {
		answer = "200 {}"
	}
	if answer[4] == '<' {
		w.Header().Set("Content-Type", "text/xml")
	}
	code := map[string]int{"200": 200, "400": 400, "500": 500}[answer[:3]]
	w.WriteHeader(code)
	_, _ = io.WriteString(w, answer[4:])
}

func open(t *testing.T, answers map[string]string) (*cloud, Config) {
	t.Helper()
	c := &cloud{answers: answers, requests: map[string][]string{}}
	ts := httptest.NewServer(c)
	t.Cleanup(ts.Close)
	cfg := Static(ts.URL, "us-east-1", "AKID", "secret")
	cfg.Retryer = func() aws.Retryer { return aws.NopRetryer{} }
	return c, cfg
}

// sent is the only request of an operation, as JSON or as a form.
func (c *cloud) sent(t *testing.T, op string) map[string]any {
	t.Helper()
	if len(c.requests[op]) != 1 {
		t.Fatalf("%d requests of %s; all: %v", len(c.requests[op]), op, c.requests)
	}
	body := c.requests[op][0]
	out := map[string]any{}
	if json.Unmarshal([]byte(body), &out) == nil {
		return out
	}
	form, _ := url.ParseQuery(body)
	for k := range form {
		out[k] = form.Get(k)
	}
	return out
}

func TestTokens(t *testing.T) {
	now := time.Now()
	_, cfg := open(t, nil)
	tokens := NewTokens(cfg, func() time.Time { return now })
	token := func(cluster string) string {
		t.Helper()
		s, err := tokens.Token(t.Context(), cluster)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	first := token("demo")
	rest, ok := strings.CutPrefix(first, "k8s-aws-v1.")
	raw, err := base64.RawURLEncoding.DecodeString(rest)
	if !ok || err != nil {
		t.Fatalf("%s: %v", first, err)
	}
	u, err := url.Parse(string(raw))
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	for name, want := range map[string]string{"Action": "GetCallerIdentity", "X-Amz-Expires": "60", "X-Amz-SignedHeaders": "host;x-k8s-aws-id", "X-Amz-Algorithm": "AWS4-HMAC-SHA256"} {
		if q.Get(name) != want {
			t.Errorf("%s=%q, want %q in %s", name, q.Get(name), want, u)
		}
	}
	if !strings.Contains(q.Get("X-Amz-Credential"), "/us-east-1/sts/") || q.Get("X-Amz-Signature") == "" {
		t.Errorf("not signed: %s", u)
	}
	if token("other") == first {
		t.Error("two clusters share a token")
	}
	if now = now.Add(9 * time.Minute); token("demo") != first {
		t.Error("the token is not kept")
	}
	now = now.Add(2 * time.Minute)
	token("demo")
	if until := tokens.cached["demo"].until; !until.Equal(now.Add(tokenLife)) {
		t.Errorf("the token is used for more than 10 minutes: until %s", until)
	}
}

func TestQueue(t *testing.T) {
	c, cfg := open(t, map[string]string{"SendMessage": `200 {"MessageId":"m"}`})
	q := NewQueue(cfg, "https://sqs/1/own", "https://sqs/1/dlq")
	if err := q.Continue(t.Context(), "body", 1200*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	if s := c.sent(t, "SendMessage"); s["QueueUrl"] != "https://sqs/1/own" || s["MessageBody"] != "body" || s["DelaySeconds"] != 2.0 {
		t.Errorf("%v", s)
	}
	if err := q.Release(t.Context(), "receipt", time.Second); err != nil {
		t.Fatal(err)
	}
	if s := c.sent(t, "ChangeMessageVisibility"); s["ReceiptHandle"] != "receipt" || s["VisibilityTimeout"] != 1.0 {
		t.Errorf("%v", s)
	}
	delete(c.requests, "SendMessage")
	if err := q.Reject(t.Context(), "body", "m1", "bad\x00\ufffe"+strings.Repeat("ü", 5000)); err != nil {
		t.Fatal(err)
	}
	s := c.sent(t, "SendMessage")
	attrs := s["MessageAttributes"].(map[string]any)
	reason := attrs[AttributeReason].(map[string]any)["StringValue"].(string)
	if s["QueueUrl"] != "https://sqs/1/dlq" || !strings.HasPrefix(reason, "bad??üü") || len([]rune(reason)) != maxReason {
		t.Errorf("%v %.40q of %d", s["QueueUrl"], reason, len([]rune(reason)))
	}
	if attrs[AttributeMessageID].(map[string]any)["StringValue"] != "m1" {
		t.Errorf("%v", attrs)
	}
}

func TestBus(t *testing.T) {
	e, err := events.New(&events.RunProgressed{RunID: "r", Function: "f", Step: "s", At: time.Now()}, "1", time.Now(), "", "")
	if err != nil {
		t.Fatal(err)
	}
	list := make([]events.Event, 11)
	for i := range list {
		list[i] = e
	}
	c, cfg := open(t, map[string]string{"PutEvents": `200 {"FailedEntryCount":0,"Entries":[]}`})
	if err := NewBus(cfg, "bus").Publish(t.Context(), list...); err != nil || len(c.requests["PutEvents"]) != 2 {
		t.Errorf("%v, %d requests of 11 events", err, len(c.requests["PutEvents"]))
	}
	if !strings.Contains(c.requests["PutEvents"][1], `"EventBusName":"bus"`) || strings.Count(c.requests["PutEvents"][0], `"DetailType":"Run Progressed"`) != 10 {
		t.Errorf("%s", c.requests["PutEvents"])
	}
	_, cfg = open(t, map[string]string{"PutEvents": `200 {"FailedEntryCount":1,"Entries":[{"ErrorCode":"InternalFailure","ErrorMessage":"why"}]}`})
	if err := NewBus(cfg, "bus").Publish(t.Context(), e); !fault.Is(err, fault.Transient) || !strings.Contains(err.Error(), "InternalFailure: why") {
		t.Errorf("a refused entry: %v", err)
	}
}

const describeInstances = `200 <DescribeInstancesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><reservationSet><item><instancesSet><item>
<instanceId>i-1</instanceId><instanceType>m7g.large</instanceType><privateDnsName>ip.internal</privateDnsName><instanceLifecycle>spot</instanceLifecycle>
<instanceState><name>running</name></instanceState><placement><availabilityZone>us-east-1a</availabilityZone></placement>
<tagSet><item><key>eks:cluster-name</key><value>demo</value></item></tagSet></item></instancesSet></item></reservationSet></DescribeInstancesResponse>`

func asgInstance(group, state string) string {
	return `200 <DescribeAutoScalingInstancesResponse><DescribeAutoScalingInstancesResult><AutoScalingInstances><member><InstanceId>i-1</InstanceId><AutoScalingGroupName>` +
		group + `</AutoScalingGroupName><LifecycleState>` + state + `</LifecycleState></member></AutoScalingInstances></DescribeAutoScalingInstancesResult></DescribeAutoScalingInstancesResponse>`
}

func queryError(code, message string) string {
	return `400 <ErrorResponse><Error><Type>Sender</Type><Code>` + code + `</Code><Message>` + message + `</Message></Error></ErrorResponse>`
}

func TestInstance(t *testing.T) {
	c, cfg := open(t, map[string]string{"DescribeInstances": describeInstances})
	i, err := NewCompute(cfg).Instance(t.Context(), "i-1")
	if err != nil || i.ID != "i-1" || i.State != "running" || !i.Spot || i.Zone != "us-east-1a" || i.PrivateDNSName != "ip.internal" || i.Cluster() != "demo" {
		t.Errorf("%+v, %v", i, err)
	}
	if s := c.sent(t, "DescribeInstances"); s["InstanceId.1"] != "i-1" {
		t.Errorf("%v", s)
	}
	for body, class := range map[string]fault.Class{
		`200 <DescribeInstancesResponse></DescribeInstancesResponse>`:                                                           fault.NotFound,
		`400 <Response><Errors><Error><Code>InvalidInstanceID.NotFound</Code><Message>no</Message></Error></Errors></Response>`: fault.NotFound,
		`400 <Response><Errors><Error><Code>RequestLimitExceeded</Code><Message>no</Message></Error></Errors></Response>`:       fault.Throttled,
		`500 <html>`: fault.Transient,
	} {
		_, cfg := open(t, map[string]string{"DescribeInstances": body})
		if _, err := NewCompute(cfg).Instance(t.Context(), "i-1"); !fault.Is(err, class) {
			t.Errorf("%s: %v, want %s", body, err, class)
		}
	}
}

func TestReplaceInstance(t *testing.T) {
	ok := `200 <DetachInstancesResponse><DetachInstancesResult></DetachInstancesResult></DetachInstancesResponse>`
	notPart := queryError("ValidationError", "The instance i-1 is not part of Auto Scaling group g.")
	for name, tc := range map[string]struct {
		detach, describe string
		ok               bool
	}{
		"detached":         {ok, "", true},
		"not in a group":   {notPart, `200 <DescribeAutoScalingInstancesResponse><DescribeAutoScalingInstancesResult><AutoScalingInstances/></DescribeAutoScalingInstancesResult></DescribeAutoScalingInstancesResponse>`, true},
		"being detached":   {queryError("ValidationError", "whatever AWS says"), asgInstance("g", "Detaching"), true},
		"in another group": {notPart, asgInstance("other", "InService"), true},
		"still in service": {queryError("ValidationError", "whatever AWS says"), asgInstance("g", "InService"), false},
		"unknown":          {notPart, queryError("Throttling", "Rate exceeded"), false},
		"denied":           {queryError("AccessDenied", "no"), "", false},
	} {
		c, cfg := open(t, map[string]string{"DetachInstances": tc.detach, "DescribeAutoScalingInstances": tc.describe})
		if err := NewCompute(cfg).ReplaceInstance(t.Context(), "g", "i-1"); (err == nil) != tc.ok {
			t.Errorf("%s: %v", name, err)
		}
		if s := c.sent(t, "DetachInstances"); s["ShouldDecrementDesiredCapacity"] != "false" || s["AutoScalingGroupName"] != "g" || s["InstanceIds.member.1"] != "i-1" {
			t.Errorf("%v", s)
		}
	}
}

func TestLifecycleHooks(t *testing.T) {
	ok := `200 <R><CompleteLifecycleActionResult/><RecordLifecycleActionHeartbeatResult/></R>`
	inactive := queryError("ValidationError", "No active Lifecycle Action found with instance ID i-1")
	for body, fine := range map[string]bool{ok: true, inactive: true, queryError("Throttling", "Rate exceeded"): false} {
		c, cfg := open(t, map[string]string{"CompleteLifecycleAction": body, "RecordLifecycleActionHeartbeat": body})
		compute := NewCompute(cfg)
		if err := compute.CompleteLifecycleAction(t.Context(), "g", "h", "", "i-1"); (err == nil) != fine {
			t.Errorf("complete: %v", err)
		}
		if err := compute.Heartbeat(t.Context(), "g", "h", "t", "i-1"); (err == nil) != fine {
			t.Errorf("heartbeat: %v", err)
		}
		s := c.sent(t, "CompleteLifecycleAction")
		if _, token := s["LifecycleActionToken"]; token || s["LifecycleActionResult"] != "CONTINUE" || s["InstanceId"] != "i-1" || s["LifecycleHookName"] != "h" {
			t.Errorf("%v", s)
		}
		if s := c.sent(t, "RecordLifecycleActionHeartbeat"); s["LifecycleActionToken"] != "t" {
			t.Errorf("%v", s)
		}
	}
}

func TestScalingGroup(t *testing.T) {
	_, cfg := open(t, map[string]string{"DescribeAutoScalingInstances": asgInstance("g", "InService")})
	if g, err := NewCompute(cfg).ScalingGroup(t.Context(), "i-1"); err != nil || g != (fleet.ScalingGroup{Name: "g", LifecycleState: "InService"}) {
		t.Errorf("%+v, %v", g, err)
	}
}
