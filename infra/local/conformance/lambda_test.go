package conformance

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/lambda"
)

// lambdaFunction makes a function in the embedded cloud. There is no CreateFunction there, and no common way to bring code
// into other implementations, so this suite runs against the embedded cloud alone.
func lambdaFunction(t *testing.T, change func(*lambda.Config)) (Target, string) {
	t.Helper()
	tg := target(t, "lambda")
	if !tg.Embedded {
		t.Skip("functions can be made in the embedded cloud only")
	}
	lambdaCode.Do(func() {
		out, err := exec.Command("go", "build", "-o", filepath.Join(functionsDir, "worker", "bootstrap"), "../lambda/testdata/bootstrap").CombinedOutput()
		if err != nil {
			lambdaCode.err = fmt.Errorf("%w: %s", err, out)
		}
	})
	if lambdaCode.err != nil {
		t.Fatal(lambdaCode.err)
	}
	c := cloud(t)
	name := fmt.Sprintf("f-%d", time.Now().UnixNano())
	role, err := c.IAM.Providers()["AWS::IAM::Role"]("LambdaRole", json.RawMessage(`{"AssumeRolePolicyDocument": {"Version": "2012-10-17",
		"Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "lambda.amazonaws.com"}}]},
		"ManagedPolicyArns": ["arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"]}`))
	if err != nil {
		t.Fatal(err)
	}
	config := lambda.Config{Name: name, Handler: "worker", Role: role.Attributes["Arn"], Runtime: "provided.al2023", Timeout: 5 * time.Second, MemoryMB: 128}
	if change != nil {
		change(&config)
	}
	if err := c.Lambda.Create(config); err != nil {
		t.Fatal(err)
	}
	return tg, name
}

var lambdaCode struct {
	sync.Once
	err error
}

func lambdaInvoke(t *testing.T, tg Target, function, payload string, header map[string]string) answered {
	t.Helper()
	return signed(t, tg, "lambda", "POST", "/2015-03-31/functions/"+function+"/invocations", header, []byte(payload))
}

func TestLambdaInvoke(t *testing.T) {
	tg, name := lambdaFunction(t, nil)
	r := lambdaInvoke(t, tg, name, `{"do":"raw","text":"[1,2]"}`, nil)
	if r.status != 200 || string(r.body) != "[1,2]" || r.header.Get("X-Amz-Executed-Version") != "$LATEST" || r.header.Get("X-Amz-Function-Error") != "" {
		t.Errorf("%d %s %v", r.status, r.body, r.header)
	}
	r = lambdaInvoke(t, tg, name, `{"do":"error","text":"x"}`, nil)
	if r.status != 200 || r.header.Get("X-Amz-Function-Error") != "Unhandled" || !strings.Contains(string(r.body), `"errorMessage":"as told: x"`) {
		t.Errorf("%d %s %v", r.status, r.body, r.header)
	}
	r = lambdaInvoke(t, tg, name, `{"do":"print","text":"hello there"}`, map[string]string{"X-Amz-Log-Type": "Tail"})
	tail, err := base64.StdEncoding.DecodeString(r.header.Get("X-Amz-Log-Result"))
	if err != nil || !strings.Contains(string(tail), "hello there") || !strings.Contains(string(tail), "REPORT RequestId: ") {
		t.Errorf("tail %q, %v", tail, err)
	}
	if r = lambdaInvoke(t, tg, name, `{}`, map[string]string{"X-Amz-Invocation-Type": "Event"}); r.status != http.StatusAccepted {
		t.Errorf("Event: %d %s", r.status, r.body)
	}
	if r = lambdaInvoke(t, tg, name, `{}`, map[string]string{"X-Amz-Invocation-Type": "DryRun"}); r.status != http.StatusNoContent {
		t.Errorf("DryRun: %d %s", r.status, r.body)
	}
	lambdaInvoke(t, tg, name, `{`, nil).fails(t, 400, "InvalidRequestContentException")
	lambdaInvoke(t, tg, name+"-none", `{}`, nil).fails(t, 404, "ResourceNotFoundException")
}

func TestLambdaTimeout(t *testing.T) {
	tg, name := lambdaFunction(t, func(c *lambda.Config) { c.Timeout = time.Second })
	r := lambdaInvoke(t, tg, name, `{"do":"sleep","millis":30000}`, nil)
	if r.status != 200 || r.header.Get("X-Amz-Function-Error") != "Unhandled" || !strings.Contains(string(r.body), "Task timed out after 1.00 seconds") {
		t.Errorf("%d %s", r.status, r.body)
	}
}

func TestLambdaConfiguration(t *testing.T) {
	tg, name := lambdaFunction(t, nil)
	call := func(method, path string, in any) answered {
		t.Helper()
		return signed(t, tg, "lambda", method, path, nil, in)
	}
	arn := "arn%3Aaws%3Alambda%3A" + tg.Region + "%3A123456789012%3Afunction%3A" + name
	for _, id := range []string{name, arn} {
		got := call("GET", "/2015-03-31/functions/"+id+"/configuration", nil).ok(t)
		if got["FunctionName"] != name || got["State"] != "Active" || got["Timeout"] != float64(5) || got["Runtime"] != "provided.al2023" {
			t.Errorf("%s: %v", id, got)
		}
	}
	call("PUT", "/2015-03-31/functions/"+name+"/configuration", map[string]any{"Timeout": 7, "Environment": map[string]any{"Variables": map[string]string{"A1": "b"}}}).ok(t)
	got := call("GET", "/2015-03-31/functions/"+name, nil).ok(t)["Configuration"].(map[string]any)
	if got["Timeout"] != float64(7) || fmt.Sprint(got["Environment"]) != "map[Variables:map[A1:b]]" {
		t.Errorf("%v", got)
	}
	call("PUT", "/2015-03-31/functions/"+name+"/configuration", map[string]any{"Timeout": 901}).fails(t, 400, "InvalidParameterValueException")
	call("PUT", "/2017-10-31/functions/"+name+"/concurrency", map[string]any{"ReservedConcurrentExecutions": 0}).ok(t)
	lambdaInvoke(t, tg, name, `{}`, nil).fails(t, 429, "TooManyRequestsException")
	call("GET", "/2015-03-31/functions/none", nil).fails(t, 404, "ResourceNotFoundException")
	for _, path := range []string{"/2015-03-31/functions/", "/2015-03-31/functions?MaxItems=50"} {
		if list := call("GET", path, nil).ok(t)["Functions"].([]any); len(list) == 0 {
			t.Errorf("%s: no functions", path)
		}
	}
}

func TestLambdaEventSourceMappings(t *testing.T) {
	tg := target(t, "lambda")
	signed(t, tg, "lambda", "GET", "/2015-03-31/event-source-mappings/6f1b6a4e-0000-4000-a000-000000000000", nil, nil).fails(t, 404, "ResourceNotFoundException")
	if out := signed(t, tg, "lambda", "GET", "/2015-03-31/event-source-mappings/", nil, nil).ok(t); out["EventSourceMappings"] == nil {
		t.Errorf("%v", out)
	}
}
