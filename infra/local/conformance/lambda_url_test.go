package conformance

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/lambda"
)

// urlOf gives a function a URL, by CloudFormation as there is no CreateFunctionUrlConfig in the embedded cloud, and a client that
// believes its certificate.
func urlOf(t *testing.T, name string, permissions ...string) (url string, client *http.Client) {
	t.Helper()
	c := cloud(t)
	provide := func(kind, properties string) map[string]string {
		t.Helper()
		made, err := c.Lambda.Providers()[kind](fmt.Sprintf("R%d", time.Now().UnixNano()), json.RawMessage(properties))
		if err != nil {
			t.Fatal(err)
		}
		return made.Attributes
	}
	url = provide("AWS::Lambda::Url", `{"AuthType": "NONE", "InvokeMode": "BUFFERED", "TargetFunctionArn": "`+name+`"}`)["FunctionUrl"]
	for _, p := range permissions {
		provide("AWS::Lambda::Permission", `{"FunctionName": "`+name+`", "Principal": "*", `+p+`}`)
	}
	authority, err := os.ReadFile(c.CertificateFile())
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(authority)
	return url, &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}, Timeout: 20 * time.Second}
}

// everybody are the permissions that Lambda wants of a public URL.
var everybody = []string{
	`"Action": "lambda:InvokeFunctionUrl", "FunctionUrlAuthType": "NONE"`,
	`"Action": "lambda:InvokeFunction", "InvokedViaFunctionUrl": true`,
}

// post calls a URL.
func post(t *testing.T, client *http.Client, url, contentType, body string) (*http.Response, string) {
	t.Helper()
	r, err := client.Post(url, contentType, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r, string(text)
}

func TestLambdaURLEvents(t *testing.T) {
	_, name := lambdaFunction(t, nil)
	url, client := urlOf(t, name, everybody...)
	if !strings.HasPrefix(url, "https://") || !strings.HasSuffix(url, "/") {
		t.Fatal(url)
	}
	r, text := post(t, client, url+"ring/us-east-1/a%20b?timeout=1s&x=1&x=2", "application/json; charset=utf-8", `{"a":1}`)
	var got struct{ Event string } // the function says what it was given
	if err := json.Unmarshal([]byte(text), &got); err != nil || r.StatusCode != 200 || r.Header.Get("Content-Type") != "application/json" {
		t.Fatalf("%d %s %v: %v", r.StatusCode, text, r.Header, err)
	}
	var e struct {
		Version, RouteKey, RawPath, RawQueryString, Body string
		Headers, QueryStringParameters                   map[string]string
		IsBase64Encoded                                  bool
		RequestContext                                   struct {
			AccountID, Stage, DomainName, RequestID string
			HTTP                                    struct{ Method, Path, SourceIP string }
			TimeEpoch                               int64
		}
	}
	if err := json.Unmarshal([]byte(got.Event), &e); err != nil {
		t.Fatal(err)
	}
	if e.Version != "2.0" || e.RouteKey != "$default" || e.RawPath != "/ring/us-east-1/a b" || e.RawQueryString != "timeout=1s&x=1&x=2" || e.Body != `{"a":1}` ||
		e.IsBase64Encoded || e.Headers["content-type"] != "application/json; charset=utf-8" || e.QueryStringParameters["x"] != "1,2" ||
		e.RequestContext.AccountID != "anonymous" || e.RequestContext.HTTP.Method != "POST" || e.RequestContext.HTTP.SourceIP != "127.0.0.1" ||
		e.RequestContext.TimeEpoch == 0 || e.RequestContext.RequestID != r.Header.Get("x-amzn-RequestId") {
		t.Errorf("%+v", e)
	}
	if _, text = post(t, client, url, "application/octet-stream", "\xff\x00"); !strings.Contains(text, `\"body\":\"/wA=\",\"isBase64Encoded\":true`) {
		t.Errorf("%s", text)
	}
}

func TestLambdaURLAnswers(t *testing.T) {
	_, name := lambdaFunction(t, nil)
	url, client := urlOf(t, name, everybody...)
	r, text := post(t, client, url+"answer", "application/json", `{"statusCode":418,"headers":{"X-A":"b","content-type":"text/plain"},"cookies":["c=d"],"body":"aGVsbG8=","isBase64Encoded":true}`)
	if r.StatusCode != 418 || text != "hello" || r.Header.Get("X-A") != "b" || r.Header.Get("Content-Type") != "text/plain" || r.Header.Get("Set-Cookie") != "c=d" {
		t.Errorf("%d %q %v", r.StatusCode, text, r.Header)
	}
	for _, plain := range []string{`{"a":"b"}`, `"text"`, `[1]`} {
		if r, text = post(t, client, url+"answer", "application/json", plain); r.StatusCode != 200 || text != plain || r.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%d %q", r.StatusCode, text)
		}
	}
	if r, text = post(t, client, url+"error", "application/json", `{}`); r.StatusCode != 502 || strings.Contains(text, "as told") {
		t.Errorf("a function's error: %d %s", r.StatusCode, text)
	}
	if r, text = post(t, client, url, "application/json", string(bytes.Repeat([]byte("1"), 7<<20))); r.StatusCode != 413 {
		t.Errorf("7 MiB: %d %s", r.StatusCode, text)
	}
}

func TestLambdaURLIsThrottled(t *testing.T) {
	none := 0
	_, name := lambdaFunction(t, func(c *lambda.Config) { c.Reserved = &none })
	url, client := urlOf(t, name, everybody...)
	if r, text := post(t, client, url, "application/json", `{}`); r.StatusCode != 429 {
		t.Errorf("%d %s", r.StatusCode, text)
	}
}

func TestLambdaURLWantsItsPermissions(t *testing.T) {
	for name, permissions := range map[string][]string{
		"none": nil, "one": everybody[:1], "the other": everybody[1:],
		"of anybody by any way": {everybody[0], `"Action": "lambda:InvokeFunction"`}, "for those who sign": {`"Action": "lambda:InvokeFunctionUrl", "FunctionUrlAuthType": "AWS_IAM"`, everybody[1]},
	} {
		_, function := lambdaFunction(t, nil)
		url, client := urlOf(t, function, permissions...)
		if r, text := post(t, client, url, "application/json", `{}`); r.StatusCode != 403 {
			t.Errorf("%s: %d %s", name, r.StatusCode, text)
		}
	}
	_, function := lambdaFunction(t, nil)
	url, _ := urlOf(t, function, everybody...)
	if r, err := http.Post(url, "application/json", nil); err == nil {
		t.Errorf("a client that does not know the authority: %d", r.StatusCode)
	}
	for _, properties := range []string{
		`{"AuthType": "AWS_IAM", "TargetFunctionArn": "` + function + `"}`, `{"AuthType": "NONE", "InvokeMode": "RESPONSE_STREAM", "TargetFunctionArn": "` + function + `"}`,
		`{"AuthType": "NONE", "TargetFunctionArn": "nobody"}`, `{"AuthType": "NONE", "TargetFunctionArn": "` + function + `"}`,
	} {
		if _, err := cloud(t).Lambda.Providers()["AWS::Lambda::Url"]("U", json.RawMessage(properties)); err == nil {
			t.Errorf("%s: a URL, or a second one", properties)
		}
	}
}
