package conformance

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

func TestSTSGetCallerIdentity(t *testing.T) {
	tg := target(t, "sts")
	out, err := sts.NewFromConfig(tg.Config).GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
	if err != nil {
		t.Fatal(err)
	}
	if len(aws.ToString(out.Account)) != 12 || !strings.Contains(aws.ToString(out.Arn), aws.ToString(out.Account)) || aws.ToString(out.UserId) == "" {
		t.Errorf("got %+v", out)
	}
	if !tg.Embedded {
		return
	}
	cfg := tg.Config.Copy()
	cfg.Credentials = credentials.NewStaticCredentialsProvider("AKIANOBODYKNOWSTHIS0", "x", "")
	if _, err := sts.NewFromConfig(cfg).GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{}); err == nil {
		t.Error("unknown credentials are accepted")
	}
}

// assume assumes a role as soon as IAM has settled, and returns a configuration with the session's credentials.
func assume(t *testing.T, tg Target, arn string, set func(*sts.AssumeRoleInput)) (aws.Config, *sts.AssumeRoleOutput, error) {
	t.Helper()
	in := &sts.AssumeRoleInput{RoleArn: &arn, RoleSessionName: aws.String("conformance")}
	if set != nil {
		set(in)
	}
	api := sts.NewFromConfig(tg.Config)
	// AWS's own advice for a new role: try again until it is known everywhere.
	deadline := time.NewTimer(15 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		out, err := api.AssumeRole(t.Context(), in)
		if err == nil {
			cfg := tg.Config.Copy()
			cfg.Credentials = credentials.NewStaticCredentialsProvider(*out.Credentials.AccessKeyId, *out.Credentials.SecretAccessKey, *out.Credentials.SessionToken)
			return cfg, out, nil
		}
		select {
		case <-deadline.C:
			return aws.Config{}, nil, err
		case <-tick.C:
		}
	}
}

// trustOwnAccount lets the test's own account assume a role.
func trustOwnAccount(t *testing.T, tg Target, condition string) string {
	t.Helper()
	who, err := sts.NewFromConfig(tg.Config).GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
	if err != nil {
		t.Fatal(err)
	}
	return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::` + *who.Account + `:root"},"Action":"sts:AssumeRole"` + condition + `}]}`
}

func TestSTSAssumeRole(t *testing.T) {
	tg := target(t, "sts")
	name, arn := iamRole(t, tg, trustOwnAccount(t, tg, ""))
	cfg, out, err := assume(t, tg, arn, func(in *sts.AssumeRoleInput) { in.DurationSeconds = aws.Int32(900) })
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(*out.AssumedRoleUser.Arn, ":assumed-role/"+name+"/conformance") || !strings.HasPrefix(*out.Credentials.AccessKeyId, "ASIA") {
		t.Errorf("got %+v", out)
	}
	if left := time.Until(*out.Credentials.Expiration); left > 15*time.Minute || left < 14*time.Minute {
		t.Errorf("expires in %v", left)
	}
	who, err := sts.NewFromConfig(cfg).GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
	if err != nil || *who.Arn != *out.AssumedRoleUser.Arn {
		t.Errorf("got %+v %v", who, err)
	}
	if !exact(tg) {
		return
	}
	_, err = sts.NewFromConfig(tg.Config).AssumeRole(t.Context(), &sts.AssumeRoleInput{RoleArn: &arn, RoleSessionName: aws.String("s1"), DurationSeconds: aws.Int32(7200)})
	refusedWith(t, err, "ValidationError", "MaxSessionDuration")
	_, err = sts.NewFromConfig(tg.Config).AssumeRole(t.Context(), &sts.AssumeRoleInput{RoleArn: aws.String(arn + "x"), RoleSessionName: aws.String("s1")})
	refusedWith(t, err, "AccessDenied", "is not authorized to perform: sts:AssumeRole on resource: "+arn+"x")

	_, secret := iamRole(t, tg, trustOwnAccount(t, tg, `,"Condition":{"StringEquals":{"sts:ExternalId":"secret"}}`))
	if _, _, err := assume(t, tg, secret, func(in *sts.AssumeRoleInput) { in.ExternalId = aws.String("secret") }); err != nil {
		t.Error(err)
	}
	_, err = sts.NewFromConfig(tg.Config).AssumeRole(t.Context(), &sts.AssumeRoleInput{RoleArn: &secret, RoleSessionName: aws.String("s1")})
	refusedWith(t, err, "AccessDenied")
}

// TestAccessDenied asserts each service's own kind of refusal.
func TestAccessDenied(t *testing.T) {
	tg := target(t, "iam")
	if !exact(tg) {
		t.Skip("other implementations do not enforce IAM")
	}
	name, arn := iamRole(t, tg, trustOwnAccount(t, tg, ""))
	iamOK(t, tg, "PutRolePolicy", "RoleName", name, "PolicyName", "in", "PolicyDocument",
		`{"Version":"2012-10-17","Statement":[{"Sid":"List","Effect":"Allow","Action":"dynamodb:ListTables","Resource":"*"},{"Effect":"Deny","Action":"sqs:ListQueues","Resource":"*"}]}`)
	cfg, out, err := assume(t, tg, arn, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	if _, err := dynamodb.NewFromConfig(cfg).ListTables(ctx, &dynamodb.ListTablesInput{}); err != nil {
		t.Error(err)
	}
	user := "User: " + *out.AssumedRoleUser.Arn + " is not authorized to perform: "
	_, err = dynamodb.NewFromConfig(cfg).DescribeTable(ctx, &dynamodb.DescribeTableInput{TableName: aws.String("some-table")})
	refusedWith(t, err, "AccessDeniedException", user+"dynamodb:DescribeTable on resource: arn:aws:dynamodb:", "because no identity-based policy allows the dynamodb:DescribeTable action")
	_, err = sqs.NewFromConfig(cfg).ListQueues(ctx, &sqs.ListQueuesInput{})
	refusedWith(t, err, "AccessDenied", user+"sqs:listqueues", "with an explicit deny in an identity-based policy")
	_, err = ec2.NewFromConfig(cfg).DescribeInstances(ctx, &ec2.DescribeInstancesInput{})
	refusedWith(t, err, "UnauthorizedOperation", "You are not authorized to perform this operation.")
	var status interface{ HTTPStatusCode() int }
	if !errors.As(err, &status) || status.HTTPStatusCode() != http.StatusForbidden {
		t.Errorf("status of %v", err)
	}
	a := iamCall(t, tg, cfg.Credentials, "GetRole", "RoleName", name)
	if a.status != http.StatusForbidden || a.get("Code") != "AccessDenied" || !strings.Contains(a.get("Message"), "iam:GetRole on resource: role "+name) && !strings.Contains(a.get("Message"), "iam:GetRole on resource: "+arn) {
		t.Errorf("got %d %v", a.status, a.texts)
	}
}

// eksSigner is how EKS tokens are presigned: the cluster in a signed header.
type eksSigner struct {
	next    sts.HTTPPresignerV4
	header  string
	cluster string
	expires string
}

func (s eksSigner) PresignHTTP(ctx context.Context, c aws.Credentials, r *http.Request, hash, service, region string, at time.Time, opts ...func(*v4.SignerOptions)) (string, http.Header, error) {
	r.Header.Set(s.header, s.cluster)
	q := r.URL.Query()
	q.Set("X-Amz-Expires", s.expires)
	r.URL.RawQuery = q.Encode()
	return s.next.PresignHTTP(ctx, c, r, hash, service, region, at, opts...)
}

func eksToken(t *testing.T, cfg aws.Config, s eksSigner) string {
	t.Helper()
	req, err := sts.NewPresignClient(sts.NewFromConfig(cfg)).PresignGetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{}, func(o *sts.PresignOptions) {
		s.next = o.Presigner
		o.Presigner = s
	})
	if err != nil {
		t.Fatal(err)
	}
	return "k8s-aws-v1." + base64.RawURLEncoding.EncodeToString([]byte(req.URL))
}

func TestEKSTokensOfTheSDK(t *testing.T) {
	tg := target(t, "sts")
	if !tg.Embedded {
		t.Skip("only EKS itself verifies tokens elsewhere")
	}
	_, arn := iamRole(t, tg, trustOwnAccount(t, tg, ""))
	cfg, out, err := assume(t, tg, arn, nil)
	if err != nil {
		t.Fatal(err)
	}
	verify := cloud(t).STS.VerifyEKSToken
	good := eksSigner{header: "x-k8s-aws-id", cluster: "demo", expires: "60"}
	now := time.Now()
	real := configuration(t, Target{Region: tg.Region}, cfg.Credentials) // signed for AWS's own host, as the AWS CLI does it
	for _, token := range []string{eksToken(t, cfg, good), eksToken(t, real, good), eksToken(t, cfg, eksSigner{header: "X-K8s-Aws-Id", cluster: "demo", expires: "900"})} {
		who, err := verify(token, "demo", now)
		if err != nil || who.ARN != *out.AssumedRoleUser.Arn || who.RoleARN != arn {
			t.Errorf("got %+v %v", who, err)
		}
	}
	token := eksToken(t, cfg, good)
	if _, err := verify(token, "demo", now.Add(14*time.Minute)); err != nil {
		t.Errorf("a token lives longer than its X-Amz-Expires: %v", err)
	}
	raw, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(token, "k8s-aws-v1."))
	if err != nil {
		t.Fatal(err)
	}
	edited := func(old, new string) string {
		if !strings.Contains(string(raw), old) {
			t.Fatalf("%s lacks %s", raw, old)
		}
		return "k8s-aws-v1." + base64.RawURLEncoding.EncodeToString([]byte(strings.Replace(string(raw), old, new, 1)))
	}
	for reason, c := range map[string]struct {
		token, cluster string
		at             time.Time
	}{
		"SignatureDoesNotMatch":     {token, "other", now},
		"it expired":                {token, "demo", now.Add(16 * time.Minute)},
		"signed in the future":      {token, "demo", now.Add(-10 * time.Minute)},
		"does not begin with":       {"k8s-aws-v2.x", "demo", now},
		"not base64url":             {"k8s-aws-v1.!!!", "demo", now},
		"neither a host of STS":     {edited("127.0.0.1", "sts.evil.example"), "demo", now},
		"not GetCallerIdentity":     {edited("GetCallerIdentity", "GetSessionToken"), "demo", now},
		"has the parameter \"Foo\"": {edited("Action=", "Foo=1&Action="), "demo", now},
		"twice":                     {edited("Action=", "action=x&Action="), "demo", now},
		"X-Amz-Expires":             {eksToken(t, cfg, eksSigner{header: "x-k8s-aws-id", cluster: "demo", expires: "901"}), "demo", now},
		"bound to no cluster":       {eksToken(t, cfg, eksSigner{header: "x-other", cluster: "demo", expires: "60"}), "demo", now},
		"longer than":               {"k8s-aws-v1." + strings.Repeat("a", 5000), "demo", now},
	} {
		if _, err := verify(c.token, c.cluster, c.at); err == nil || !strings.Contains(err.Error(), reason) {
			t.Errorf("got %v, want %s", err, reason)
		}
	}
}
