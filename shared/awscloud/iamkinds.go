package awscloud

import (
	"context"
	"net/url"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/iam"

	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

// iamCalls are the operations of IAM that decisions may ask for.
func (r *Region) iamCalls() map[string]operation {
	c := r.iam
	return map[string]operation{
		"iam:CreateRole":                         op(c.CreateRole),
		"iam:UpdateAssumeRolePolicy":             op(c.UpdateAssumeRolePolicy),
		"iam:PutRolePermissionsBoundary":         op(c.PutRolePermissionsBoundary),
		"iam:TagRole":                            op(c.TagRole),
		"iam:AttachRolePolicy":                   op(c.AttachRolePolicy),
		"iam:DetachRolePolicy":                   op(c.DetachRolePolicy),
		"iam:PutRolePolicy":                      op(c.PutRolePolicy),
		"iam:DeleteRolePolicy":                   op(c.DeleteRolePolicy),
		"iam:CreateOpenIDConnectProvider":        op(c.CreateOpenIDConnectProvider),
		"iam:AddClientIDToOpenIDConnectProvider": op(c.AddClientIDToOpenIDConnectProvider),
	}
}

// role reads a role with what is attached to it. A glance at it is what is attached: that is what people change, and who
// may assume a role follows from what it is for.
func (r *Region) role(ctx context.Context, _ string, ref fleet.Ref) (fleet.Resource, error) {
	have := fleet.Resource{Physical: ref.Name, Props: fleet.Props{}}
	if !ref.Glance {
		out, err := r.iam.GetRole(ctx, &iam.GetRoleInput{RoleName: &ref.Name})
		if err != nil {
			return have, classify("iam:GetRole", err)
		}
		p := props(*out.Role)
		have.ARN, have.Tags, have.Props = fleet.Text(p, "arn"), pairs(p, "tags"), p
		delete(p, "tags")
		p["permissionsBoundary"] = fleet.Text(p, "permissionsBoundary", "permissionsBoundaryArn")
		if err := decoded(p, "assumeRolePolicyDocument"); err != nil {
			return have, err
		}
	}
	var arns []string
	pages := iam.NewListAttachedRolePoliciesPaginator(r.iam, &iam.ListAttachedRolePoliciesInput{RoleName: &ref.Name})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return have, classify("iam:ListAttachedRolePolicies", err)
		}
		for _, policy := range page.AttachedPolicies {
			arns = append(arns, deref(policy.PolicyArn))
		}
	}
	have.Props["attachedPolicies"] = fleet.Strings(arns)
	if !ref.Whole {
		return have, nil
	}
	inline, err := r.inlinePolicies(ctx, ref.Name)
	have.Props["inlinePolicies"] = inline
	return have, err
}

// inlinePolicies are the documents written into a role, by name.
func (r *Region) inlinePolicies(ctx context.Context, role string) (fleet.Props, error) {
	out := fleet.Props{}
	pages := iam.NewListRolePoliciesPaginator(r.iam, &iam.ListRolePoliciesInput{RoleName: &role})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, classify("iam:ListRolePolicies", err)
		}
		for _, name := range page.PolicyNames {
			policy, err := r.iam.GetRolePolicy(ctx, &iam.GetRolePolicyInput{RoleName: &role, PolicyName: &name})
			if err := classify("iam:GetRolePolicy", err); fault.Is(err, fault.NotFound) {
				continue // deleted since it was listed
			} else if err != nil {
				return nil, err
			}
			out[name] = deref(policy.PolicyDocument)
			if err := decoded(out, name); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

// decoded makes a policy document JSON again: IAM gives it with URL encoding.
func decoded(p fleet.Props, key string) error {
	text, err := url.QueryUnescape(fleet.Text(p, key))
	if err != nil {
		return fault.New(fault.Transient, "iam: policy %s is not as IAM encodes it: %v", key, err)
	}
	p[key] = text
	return nil
}

// oidcProvider reads the IAM provider of the cluster's issuer, which is known from when the cluster was read.
func (r *Region) oidcProvider(ctx context.Context, cluster string, ref fleet.Ref) (fleet.Resource, error) {
	known, ok := r.issuers.Load(cluster)
	control, _ := known.(fleet.Resource)
	issuer := strings.TrimPrefix(fleet.Text(control.Props, "identity", "oidc", "issuer"), "https://")
	part := strings.Split(control.ARN, ":")
	if !ok || issuer == "" || len(part) < 6 {
		return fleet.Resource{}, fault.New(fault.NotFound, "cluster %s has no issuer", cluster)
	}
	arn := "arn:" + part[1] + ":iam::" + part[4] + ":oidc-provider/" + issuer
	return r.provider(ctx, arn)
}
