package awscloud

import (
	"context"
	"encoding/json"
	"maps"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/plan"
)

// Roles reads and writes clusters' IAM roles.
type Roles struct{ iam *iam.Client }

// NewRoles makes a Roles.
func NewRoles(cfg Config) *Roles { return &Roles{iam.NewFromConfig(cfg)} }

// Role reads a role without its policies. An unknown one is fault.NotFound.
func (r *Roles) Role(ctx context.Context, name string) (fleet.Role, error) {
	out, err := r.iam.GetRole(ctx, &iam.GetRoleInput{RoleName: &name})
	if err != nil {
		return fleet.Role{}, classify("iam:GetRole", err)
	}
	f := fleet.Role{Name: name, ARN: deref(out.Role.Arn), Tags: map[string]string{}}
	for _, t := range out.Role.Tags {
		f.Tags[deref(t.Key)] = deref(t.Value)
	}
	return f, nil
}

// RolePolicies lists the ARNs of a role's managed policies.
func (r *Roles) RolePolicies(ctx context.Context, name string) ([]string, error) {
	var out []string
	pages := iam.NewListAttachedRolePoliciesPaginator(r.iam, &iam.ListAttachedRolePoliciesInput{RoleName: &name})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, classify("iam:ListAttachedRolePolicies", err)
		}
		for _, p := range page.AttachedPolicies {
			out = append(out, deref(p.PolicyArn))
		}
	}
	slices.Sort(out)
	return out, nil
}

// trust lets one service assume a role.
func trust(service string) string {
	type statement struct {
		Effect    string
		Principal map[string]string
		Action    []string
	}
	action := []string{"sts:AssumeRole"}
	if service == "eks.amazonaws.com" {
		action = append(action, "sts:TagSession") // EKS Auto Mode asks for it; changing a trust policy later takes another permission
	}
	text, err := json.Marshal(map[string]any{
		"Version":   "2012-10-17",
		"Statement": []statement{{"Allow", map[string]string{"Service": service}, action}},
	})
	if err != nil {
		panic(err) // strings
	}
	return string(text)
}

// CreateRole makes a role. One of its name is fault.Conflict.
func (r *Roles) CreateRole(ctx context.Context, a plan.CreateRole) error {
	in := &iam.CreateRoleInput{
		RoleName: &a.Name, AssumeRolePolicyDocument: aws.String(trust(a.Service)),
		Description: aws.String("Made by ekspedite for EKS cluster " + a.Cluster),
	}
	for _, k := range slices.Sorted(maps.Keys(a.Tags)) {
		in.Tags = append(in.Tags, types.Tag{Key: aws.String(k), Value: aws.String(a.Tags[k])})
	}
	_, err := r.iam.CreateRole(ctx, in)
	return classify("iam:CreateRole", err)
}

// AttachRolePolicy gives a managed policy to a role. Twice is once.
func (r *Roles) AttachRolePolicy(ctx context.Context, a plan.AttachRolePolicy) error {
	_, err := r.iam.AttachRolePolicy(ctx, &iam.AttachRolePolicyInput{RoleName: &a.Role, PolicyArn: &a.Policy})
	return classify("iam:AttachRolePolicy", err)
}
