package iam_test

import (
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/iam"
	"github.com/ekspedite/ekspedite/infra/local/stack"
	"github.com/ekspedite/ekspedite/infra/local/wire"
	"github.com/ekspedite/ekspedite/infra/local/world"
)

func newIAM() *iam.Service {
	return iam.New(world.New("123456789012", "eu-west-1", world.Fast, 1, slog.New(slog.DiscardHandler)), iam.Options{})
}

func provide(t *testing.T, s *iam.Service, kind, id, properties string) stack.Created {
	t.Helper()
	c, err := s.Providers()[kind](id, json.RawMessage(properties))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

const trustLambda = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"lambda.amazonaws.com"},"Action":"sts:AssumeRole"}]}`

// worker makes a function's role the way the CDK does, and a session of it.
func worker(t *testing.T, s *iam.Service) (arn string, who wire.Principal) {
	t.Helper()
	role := provide(t, s, "AWS::IAM::Role", "WorkerServiceRole5A5D1E2F", `{"AssumeRolePolicyDocument":`+trustLambda+`,
		"ManagedPolicyArns":["arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"]}`)
	provide(t, s, "AWS::IAM::Policy", "WorkerPolicy", `{"PolicyName":"Worker","Roles":["`+role.Ref+`"],"PolicyDocument":{"Version":"2012-10-17","Statement":[
		{"Sid":"Queue","Effect":"Allow","Action":["sqs:SendMessage","sqs:ReceiveMessage"],"Resource":"arn:aws:sqs:eu-west-1:123456789012:orders"},
		{"Effect":"Allow","Action":"ec2:RunInstances","Resource":"*","Condition":{"StringEquals":{"aws:RequestedRegion":"eu-west-1"}}}]}}`)
	arn = role.Attributes["Arn"]
	id, _, _, err := s.SessionFor(arn, "worker")
	if err != nil {
		t.Fatal(err)
	}
	_, _, who, ok := s.Lookup(id)
	if !ok || who.RoleARN != arn || who.ARN != "arn:aws:sts::123456789012:assumed-role/"+role.Ref+"/worker" {
		t.Fatalf("got %+v", who)
	}
	return arn, who
}

func TestAuthorizeAndReport(t *testing.T) {
	s := newIAM()
	arn, who := worker(t, s)
	queue := "arn:aws:sqs:eu-west-1:123456789012:orders"
	for range 2 {
		if err := s.Authorize(who, wire.Need{Action: "sqs:SendMessage", Resource: queue}); err != nil {
			t.Error(err)
		}
	}
	if err := s.AuthorizeRole(arn, wire.Need{Action: "logs:PutLogEvents", Resource: "arn:aws:logs:eu-west-1:123456789012:log-group:x"}); err != nil {
		t.Error(err)
	}
	err := s.Authorize(who, wire.Need{Action: "ec2:TerminateInstances", Resource: "arn:aws:ec2:eu-west-1:123456789012:instance/i-1"})
	var e *wire.Error
	if !errors.As(err, &e) || e.Code != "UnauthorizedOperation" || e.Status != 403 ||
		!strings.HasSuffix(e.Message, "because no identity-based policy allows the ec2:TerminateInstances action") {
		t.Errorf("got %v", err)
	}
	unused := s.Unused()
	var left []string
	for _, g := range unused {
		left = append(left, g.Policy+" "+g.Sid+" "+g.Action)
	}
	if strings.Join(left, ", ") != "inline/Worker Queue sqs:ReceiveMessage, inline/Worker  ec2:RunInstances" {
		t.Errorf("unused: %v", left)
	}
	i := slices.IndexFunc(s.Report(), func(g iam.Grant) bool { return g.Action == "sqs:SendMessage" })
	if g := s.Report()[i]; g.Calls != 2 || g.RoleARN != arn || g.Resource != queue {
		t.Errorf("got %+v", g)
	}
	if d := s.Denied(); len(d) != 1 || d[0].Action != "ec2:TerminateInstances" || d[0].Calls != 1 {
		t.Errorf("denied %+v", d)
	}
}

func TestRefusalsPerService(t *testing.T) {
	s := newIAM()
	_, who := worker(t, s)
	for action, want := range map[string]struct {
		code   string
		status int
	}{
		"dynamodb:GetItem": {"AccessDeniedException", 400}, "events:PutEvents": {"AccessDeniedException", 400}, "eks:DescribeCluster": {"AccessDeniedException", 403},
		"sqs:DeleteMessage": {"AccessDeniedException", 403}, "iam:GetRole": {"AccessDenied", 403}, "autoscaling:SetDesiredCapacity": {"AccessDenied", 403},
		"ec2:StopInstances": {"UnauthorizedOperation", 403},
	} {
		var e *wire.Error
		if err := s.Authorize(who, wire.Need{Action: action, Resource: "*"}); !errors.As(err, &e) || e.Code != want.code || e.Status != want.status {
			t.Errorf("%s: got %+v", action, e)
		}
	}
}

func TestSessionsExpire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newIAM()
		arn, _ := worker(t, s)
		id, secret, token, err := s.SessionFor(arn, "fn")
		if err != nil {
			t.Fatal(err)
		}
		if gotSecret, gotToken, _, ok := s.Lookup(id); !ok || gotSecret != secret || gotToken != token {
			t.Error("a fresh session is unknown")
		}
		time.Sleep(13 * time.Hour)
		if _, _, _, ok := s.Lookup(id); ok {
			t.Error("an expired session is accepted")
		}
	})
}

func TestAFreshRoleSettles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newIAM()
		_, who := worker(t, s)
		account := wire.Principal{Account: "123456789012", ARN: "arn:aws:iam::123456789012:root", Root: true}
		fresh := createRole(t, s, "fresh", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"eks.amazonaws.com","AWS":"123456789012"},"Action":"sts:AssumeRole"}]}`)
		if err := s.CheckTrust(fresh, "eks.amazonaws.com"); err == nil {
			t.Error("a role that is just made can be passed")
		}
		time.Sleep(world.Fast.Settle)
		if err := s.CheckTrust(fresh, "eks.amazonaws.com"); err != nil {
			t.Error(err)
		}
		if err := s.CheckTrust(fresh, "ec2.amazonaws.com"); err == nil {
			t.Error("ec2 is trusted")
		}
		if _, _, _, err := s.SessionFor(fresh, "fn"); err == nil {
			t.Error("lambda is trusted")
		}
		// The account is trusted, so the caller's own policies decide.
		if _, err := s.Assume(who, iam.AssumeRequest{RoleARN: fresh, SessionName: "s1"}); err == nil {
			t.Error("a role without sts:AssumeRole assumes another")
		}
		if _, err := s.Assume(account, iam.AssumeRequest{RoleARN: fresh, SessionName: "s1"}); err != nil {
			t.Error(err)
		}
	})
}

func TestProvidersRefuse(t *testing.T) {
	s := newIAM()
	for want, c := range map[string][2]string{
		"property Nope":             {"AWS::IAM::Role", `{"AssumeRolePolicyDocument":` + trustLambda + `,"Nope":1}`},
		"does not exist or is not":  {"AWS::IAM::Role", `{"AssumeRolePolicyDocument":` + trustLambda + `,"ManagedPolicyArns":["arn:aws:iam::aws:policy/Misspelt"]}`},
		"Missing required field Pr": {"AWS::IAM::Role", `{"AssumeRolePolicyDocument":{"Statement":[{"Effect":"Allow","Action":"sts:AssumeRole"}]}}`},
		"not a condition operator":  {"AWS::IAM::ManagedPolicy", `{"PolicyDocument":{"Statement":[{"Effect":"Allow","Action":"a:b","Resource":"*","Condition":{"Strange":{"a":"b"}}}]}}`},
		"is for users or groups":    {"AWS::IAM::Policy", `{"PolicyName":"p","PolicyDocument":{},"Users":["u"]}`},
	} {
		if _, err := s.Providers()[c[0]]("Id", json.RawMessage(c[1])); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func TestEvaluateResourcePolicy(t *testing.T) {
	queue := "arn:aws:sqs:eu-west-1:123456789012:orders"
	doc := json.RawMessage(`{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":{"AWS":"*"},"Action":"sqs:*","Resource":"` + queue + `","Condition":{"Bool":{"aws:SecureTransport":"false"}}},
		{"Effect":"Allow","Principal":{"Service":"events.amazonaws.com"},"Action":"sqs:SendMessage","Resource":"` + queue + `","Condition":{"ArnEquals":{"aws:SourceArn":"arn:aws:events:eu-west-1:123456789012:rule/r"}}}]}`)
	ask := func(service, rule string) bool {
		return iam.EvaluateResourcePolicy(doc, service, "sqs:SendMessage", queue, map[string][]string{"aws:SourceArn": {"arn:aws:events:eu-west-1:123456789012:rule/" + rule}, "aws:SecureTransport": {"true"}})
	}
	if !ask("events.amazonaws.com", "r") || ask("events.amazonaws.com", "other") || ask("sns.amazonaws.com", "r") {
		t.Error("the policy is misread")
	}
}
