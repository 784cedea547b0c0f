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
