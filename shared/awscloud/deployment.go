package awscloud

import (
	"context"
	"encoding/xml"
	"net/url"

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
// is fault.NotFound.
func StackResources(ctx context.Context, cfg Config, stack string) (map[string]string, error) {
	const op = "cloudformation:DescribeStackResources"
	api := queryAPI{cfg: cfg, signing: "cloudformation", host: "cloudformation", version: "2010-05-15"}
	body, err := api.call(ctx, op, "DescribeStackResources", url.Values{"StackName": {stack}})
	if err != nil {
		return nil, err
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
