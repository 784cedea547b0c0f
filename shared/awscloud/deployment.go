package awscloud

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go/logging"

	"github.com/ekspedite/ekspedite/shared/fault"
)

// At is the same configuration for an endpoint that serves all services, such as the embedded cloud's.
func At(cfg Config, endpoint string) Config {
	cfg = cfg.Copy()
	cfg.BaseEndpoint = &endpoint
	return cfg
}

// Quiet keeps the SDK from writing to standard error, which is for people where somebody sits at a terminal.
func Quiet(cfg Config) Config {
	cfg = cfg.Copy()
	cfg.Logger = logging.Nop{}
	return cfg
}

// Account asks whose credentials a configuration has: the 12 digits of the account.
func Account(ctx context.Context, cfg Config) (string, error) {
	out, err := sts.NewFromConfig(cfg).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		return "", classify("sts:GetCallerIdentity", err)
	}
	return deref(out.Account), nil
}

// RoleARN asks for a role's ARN by its name.
func RoleARN(ctx context.Context, cfg Config, name string) (string, error) {
	out, err := iam.NewFromConfig(cfg).GetRole(ctx, &iam.GetRoleInput{RoleName: &name})
	if err != nil {
		return "", classify("iam:GetRole", err)
	}
	return deref(out.Role.Arn), nil
}

// StackResources asks CloudFormation what a stack's resources are called, by their logical ids. A stack that does not exist
// is fault.NotFound. It is one call of the Query API by hand, for which the SDK's module would be a dependency.
func StackResources(ctx context.Context, cfg Config, stack string) (map[string]string, error) {
	const op = "cloudformation:DescribeStackResources"
	if cfg.Region == "" {
		return nil, fault.New(fault.Invalid, "%s: no Region is set", op)
	}
	form := url.Values{"Action": {"DescribeStackResources"}, "Version": {"2010-05-15"}, "StackName": {stack}}.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, cloudFormation(cfg), strings.NewReader(form))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	credentials, err := cfg.Credentials.Retrieve(ctx)
	if err != nil {
		return nil, classify(op, err)
	}
	sum := sha256.Sum256([]byte(form))
	if err := v4.NewSigner().SignHTTP(ctx, credentials, req, hex.EncodeToString(sum[:]), "cloudformation", cfg.Region, time.Now()); err != nil {
		return nil, classify(op, err)
	}
	var client interface {
		Do(*http.Request) (*http.Response, error)
	} = http.DefaultClient
	if cfg.HTTPClient != nil {
		client = cfg.HTTPClient
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, classify(op, err)
	}
	defer func() { _ = resp.Body.Close() }() // only read
	body, err := io.ReadAll(io.LimitReader(resp.Body, 4<<20))
	if err != nil {
		return nil, classify(op, err)
	}
	return stackResources(op, resp.StatusCode, body)
}

func cloudFormation(cfg Config) string {
	if cfg.BaseEndpoint != nil {
		return *cfg.BaseEndpoint + "/"
	}
	domain := "amazonaws.com"
	if strings.HasPrefix(cfg.Region, "cn-") {
		domain += ".cn"
	}
	return "https://cloudformation." + cfg.Region + "." + domain + "/"
}

// stackResources reads an answer.
func stackResources(op string, status int, body []byte) (map[string]string, error) {
	if status != http.StatusOK {
		var problem struct {
			Error struct{ Code, Message string }
		}
		if err := xml.Unmarshal(body, &problem); err != nil || problem.Error.Code == "" {
			return nil, &fault.Error{Class: fault.Transient, Op: op, Err: fmt.Errorf("HTTP status %d", status)}
		}
		class := fault.Transient
		switch code := problem.Error.Code; {
		case code == "ValidationError" && strings.Contains(problem.Error.Message, "does not exist"):
			class = fault.NotFound
		case strings.HasPrefix(code, "AccessDenied"), status == http.StatusForbidden:
			class = fault.Denied
		case strings.HasPrefix(code, "Throttling"):
			class = fault.Throttled
		}
		return nil, &fault.Error{Class: class, Op: op, Code: problem.Error.Code, Err: errors.New(problem.Error.Code + ": " + problem.Error.Message)}
	}
	var answer struct {
		Members []struct{ LogicalResourceId, PhysicalResourceId string } `xml:"DescribeStackResourcesResult>StackResources>member"`
	}
	if err := xml.Unmarshal(body, &answer); err != nil {
		return nil, &fault.Error{Class: fault.Transient, Op: op, Err: err}
	}
	out := map[string]string{}
	for _, m := range answer.Members {
		out[m.LogicalResourceId] = m.PhysicalResourceId
	}
	return out, nil
}
