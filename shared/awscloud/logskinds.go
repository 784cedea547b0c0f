package awscloud

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"

	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

// logsCalls are the operations of CloudWatch Logs that decisions may ask for.
func (r *Region) logsCalls() map[string]operation {
	return map[string]operation{
		"logs:CreateLogGroup":     op(r.logs.CreateLogGroup),
		"logs:PutRetentionPolicy": op(r.logs.PutRetentionPolicy),
		"logs:DeleteLogGroup":     op(r.logs.DeleteLogGroup),

		"logs:PutSubscriptionFilter":    op(r.logs.PutSubscriptionFilter),
		"logs:DeleteSubscriptionFilter": op(r.logs.DeleteSubscriptionFilter),
	}
}

// logGroup reads a log group by its whole name; there is no call for just one.
func (r *Region) logGroup(ctx context.Context, _ string, ref fleet.Ref) (fleet.Resource, error) {
	pages := cloudwatchlogs.NewDescribeLogGroupsPaginator(r.logs, &cloudwatchlogs.DescribeLogGroupsInput{LogGroupNamePrefix: &ref.Name})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return fleet.Resource{}, classify("logs:DescribeLogGroups", err)
		}
		for _, g := range page.LogGroups {
			if deref(g.LogGroupName) == ref.Name {
				return fleet.Resource{Physical: ref.Name, ARN: deref(g.LogGroupArn), Props: props(g)}, nil
			}
		}
	}
	return fleet.Resource{}, fault.New(fault.NotFound, "there is no log group %s", ref.Name)
}

// subscription reads the doorbell's subscription to a log group, by the group's name.
func (r *Region) subscription(ctx context.Context, _ string, ref fleet.Ref) (fleet.Resource, error) {
	name := fleet.DoorbellName
	out, err := r.logs.DescribeSubscriptionFilters(ctx, &cloudwatchlogs.DescribeSubscriptionFiltersInput{LogGroupName: &ref.Name, FilterNamePrefix: &name})
	if err != nil {
		return fleet.Resource{}, classify("logs:DescribeSubscriptionFilters", err)
	}
	for _, f := range out.SubscriptionFilters {
		if deref(f.FilterName) == name {
			return fleet.Resource{Physical: name, Props: props(f)}, nil
		}
	}
	return fleet.Resource{}, fault.New(fault.NotFound, "%s has no subscription %s", ref.Name, name)
}

// subscriptions is the one of the control plane's log.
func (r *Region) subscriptions(ctx context.Context, cluster fleet.ClusterID, _ []string) ([]fleet.Resource, error) {
	return only(ctx, cluster, fleet.Ref{ID: "subscription/cluster", Kind: "subscription", Name: "/aws/eks/" + cluster.Name + "/cluster"}, r.subscription)
}

// only is a list of the one thing that there may be.
func only(ctx context.Context, cluster fleet.ClusterID, ref fleet.Ref, read reader) ([]fleet.Resource, error) {
	have, err := read(ctx, cluster.Name, ref)
	if err != nil {
		return nil, fault.Ignore(err, fault.NotFound)
	}
	have.Ref = ref
	return []fleet.Resource{have}, nil
}
