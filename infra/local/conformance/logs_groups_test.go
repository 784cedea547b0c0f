package conformance

import (
	"fmt"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
)

func TestLogsGroupLife(t *testing.T) {
	tg := target(t, "logs")
	c := cloudwatchlogs.NewFromConfig(tg.Config)
	ctx := t.Context()
	name := aws.String(fmt.Sprintf("/aws/eks/conformance-%d/cluster", time.Now().UnixNano()))
	if _, err := c.CreateLogGroup(ctx, &cloudwatchlogs.CreateLogGroupInput{LogGroupName: name, Tags: map[string]string{"team": "a"}}); err != nil {
		t.Fatal(err)
	}
	describe := func() []int32 {
		t.Helper()
		out, err := c.DescribeLogGroups(ctx, &cloudwatchlogs.DescribeLogGroupsInput{LogGroupNamePrefix: name})
		if err != nil {
			t.Fatal(err)
		}
		var days []int32
		for _, g := range out.LogGroups {
			days = append(days, aws.ToInt32(g.RetentionInDays))
		}
		return days
	}
	if _, err := c.PutRetentionPolicy(ctx, &cloudwatchlogs.PutRetentionPolicyInput{LogGroupName: name, RetentionInDays: aws.Int32(14)}); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(describe()); got != "[14]" {
		t.Errorf("retention %s", got)
	}
	if _, err := c.DeleteRetentionPolicy(ctx, &cloudwatchlogs.DeleteRetentionPolicyInput{LogGroupName: name}); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(describe()); got != "[0]" {
		t.Errorf("retention %s", got)
	}
	arn := aws.String("arn:aws:logs:" + tg.Region + ":" + accountOf(t, tg) + ":log-group:" + *name)
	if _, err := c.TagResource(ctx, &cloudwatchlogs.TagResourceInput{ResourceArn: arn, Tags: map[string]string{"stage": "b"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.UntagResource(ctx, &cloudwatchlogs.UntagResourceInput{ResourceArn: arn, TagKeys: []string{"team"}}); err != nil {
		t.Fatal(err)
	}
	if out, err := c.ListTagsForResource(ctx, &cloudwatchlogs.ListTagsForResourceInput{ResourceArn: arn}); err != nil || fmt.Sprint(out.Tags) != "map[stage:b]" {
		t.Errorf("%+v %v", out, err)
	}
	if _, err := c.DeleteLogGroup(ctx, &cloudwatchlogs.DeleteLogGroupInput{LogGroupName: name}); err != nil {
		t.Fatal(err)
	}
	if got := describe(); len(got) != 0 {
		t.Errorf("after: %v", got)
	}
	_, err := c.DeleteLogGroup(ctx, &cloudwatchlogs.DeleteLogGroupInput{LogGroupName: name})
	apiError(t, err, "ResourceNotFoundException")
}
