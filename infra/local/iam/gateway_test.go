package iam_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/iam"
	"github.com/ekspedite/ekspedite/infra/local/wire"
)

// call sends a request signed by root through a gateway, without a network.
func call(t *testing.T, s *iam.Service, form url.Values) (int, string) {
	t.Helper()
	key, secret := s.RootCredentials()
	g := &wire.Gateway{Account: "123456789012", Region: "eu-west-1", Credentials: s, Authorizer: s, Log: slog.New(slog.DiscardHandler), NewID: func() string { return "id" }}
	g.Register(s.API())
	body := form.Encode()
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
	r.Host = "iam.local"
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	now := time.Now().UTC()
	stamp, day := now.Format("20060102T150405Z"), now.Format("20060102")
	r.Header.Set("X-Amz-Date", stamp)
	hash := func(s string) string { h := sha256.Sum256([]byte(s)); return hex.EncodeToString(h[:]) }
	scope := day + "/us-east-1/iam/aws4_request"
	canonical := "POST\n/\n\nhost:iam.local\nx-amz-date:" + stamp + "\n\nhost;x-amz-date\n" + hash(body)
	k := []byte("AWS4" + secret)
	for _, part := range []string{day, "us-east-1", "iam", "aws4_request", "AWS4-HMAC-SHA256\n" + stamp + "\n" + scope + "\n" + hash(canonical)} {
		m := hmac.New(sha256.New, k)
		m.Write([]byte(part))
		k = m.Sum(nil)
	}
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential="+key+"/"+scope+", SignedHeaders=host;x-amz-date, Signature="+hex.EncodeToString(k))
	w := httptest.NewRecorder()
	g.ServeHTTP(w, r)
	out, err := io.ReadAll(w.Body)
	if err != nil {
		t.Fatal(err)
	}
	return w.Code, string(out)
}

var roleARN = regexp.MustCompile(`<Arn>(.*?)</Arn>`)

// createRole makes a role through the API, so that it has to settle.
func createRole(t *testing.T, s *iam.Service, name, trust string) string {
	t.Helper()
	status, body := call(t, s, url.Values{"Action": {"CreateRole"}, "RoleName": {name}, "AssumeRolePolicyDocument": {trust}})
	m := roleARN.FindStringSubmatch(body)
	if status != http.StatusOK || m == nil {
		t.Fatalf("%d %s", status, body)
	}
	return m[1]
}

func TestServiceLinkedRolesAndUser(t *testing.T) {
	s := newIAM()
	status, body := call(t, s, url.Values{"Action": {"CreateServiceLinkedRole"}, "AWSServiceName": {"autoscaling.amazonaws.com"}})
	if status != 200 || !strings.Contains(body, "<Arn>arn:aws:iam::123456789012:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling</Arn>") {
		t.Errorf("%d %s", status, body)
	}
	for want, form := range map[string]url.Values{
		"has been taken in this account": {"Action": {"CreateServiceLinkedRole"}, "AWSServiceName": {"autoscaling.amazonaws.com"}},
		"<Code>NotImplemented</Code>":    {"Action": {"CreateServiceLinkedRole"}, "AWSServiceName": {"batch.amazonaws.com"}},
		"<Code>UnmodifiableEntity":       {"Action": {"DeleteRole"}, "RoleName": {"AWSServiceRoleForAutoScaling"}},
		":root</Arn>":                    {"Action": {"GetUser"}},
		"iam:CreateGroup":                {"Action": {"CreateGroup"}},
		"<Code>ValidationError":          {"Action": {"CreateUser"}},
	} {
		if _, body := call(t, s, form); !strings.Contains(body, want) {
			t.Errorf("%v: %s lacks %s", form, body, want)
		}
	}
	for _, step := range [][2]string{{"GetUser", "<Code>NoSuchEntity"}, {"CreateUser", "<Arn>arn:aws:iam::123456789012:user/dev</Arn>"}, {"CreateUser", "<Code>EntityAlreadyExists"},
		{"GetUser", "<UserName>dev</UserName>"}, {"DeleteUser", "DeleteUserResponse"}, {"DeleteUser", "<Code>NoSuchEntity"}} {
		if _, body := call(t, s, url.Values{"Action": {step[0]}, "UserName": {"dev"}}); !strings.Contains(body, step[1]) {
			t.Errorf("%s: %s lacks %s", step[0], body, step[1])
		}
	}
}

func TestSimulate(t *testing.T) {
	s := newIAM()
	arn, _ := worker(t, s)
	_, body := call(t, s, url.Values{"Action": {"SimulatePrincipalPolicy"}, "PolicySourceArn": {arn},
		"ActionNames.member.1": {"sqs:SendMessage"}, "ActionNames.member.2": {"sqs:PurgeQueue"}, "ResourceArns.member.1": {"arn:aws:sqs:eu-west-1:123456789012:orders"}})
	if !strings.Contains(body, "<EvalDecision>allowed</EvalDecision>") || !strings.Contains(body, "<EvalDecision>implicitDeny</EvalDecision>") {
		t.Error(body)
	}
}
