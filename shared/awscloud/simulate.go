package awscloud

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

// Simulate asks IAM what a role may do to a resource, with condition keys as a request would have them: its answers, as it
// gives them. No call is made. Service control policies count, session policies and resources' own do not.
func (p *Preflight) Simulate(ctx context.Context, role, resource string, keys map[string][]string, actions []string) ([]fleet.Props, error) {
	in := &iam.SimulatePrincipalPolicyInput{PolicySourceArn: &role, ActionNames: actions, ResourceArns: []string{resource}}
	for k, values := range keys {
		kind := types.ContextKeyTypeEnumString
		if k == "aws:TagKeys" {
			kind = types.ContextKeyTypeEnumStringList
		}
		in.ContextEntries = append(in.ContextEntries, types.ContextEntry{ContextKeyName: aws.String(k), ContextKeyValues: values, ContextKeyType: kind})
	}
	found, err := everything(ctx, "iam:SimulatePrincipalPolicy", iam.NewSimulatePrincipalPolicyPaginator(p.region.iam, in),
		func(o *iam.SimulatePrincipalPolicyOutput) []types.EvaluationResult { return o.EvaluationResults })
	if err != nil {
		return nil, err
	}
	var out []fleet.Props
	for _, r := range found {
		out = append(out, props(r))
	}
	return out, nil
}
