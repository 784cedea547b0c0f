package awscloud

import (
	"cmp"
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"

	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

// groupCalls are the operations about node groups: EKS's, launch templates, Auto Scaling groups and instance profiles.
func (r *Region) groupCalls() map[string]operation {
	e, a, i := r.ec2, r.scaling, r.iam
	return map[string]operation{
		"eks:UpdateNodegroupVersion": op(r.eks.UpdateNodegroupVersion),

		"ec2:CreateLaunchTemplate":         op(e.CreateLaunchTemplate),
		"ec2:CreateLaunchTemplateVersion":  op(e.CreateLaunchTemplateVersion),
		"ec2:ImportKeyPair":                op(e.ImportKeyPair),
		"ec2:AuthorizeSecurityGroupEgress": unless(op(e.AuthorizeSecurityGroupEgress), "InvalidPermission.Duplicate"),

		"iam:CreateInstanceProfile":    op(i.CreateInstanceProfile),
		"iam:AddRoleToInstanceProfile": unless(op(i.AddRoleToInstanceProfile), "InstanceSessionsPerInstanceProfile"), // it has one

		"autoscaling:CreateAutoScalingGroup":         op(a.CreateAutoScalingGroup),
		"autoscaling:UpdateAutoScalingGroup":         op(a.UpdateAutoScalingGroup),
		"autoscaling:CreateOrUpdateTags":             op(a.CreateOrUpdateTags),
		"autoscaling:EnableMetricsCollection":        op(a.EnableMetricsCollection),
		"autoscaling:SuspendProcesses":               op(a.SuspendProcesses),
		"autoscaling:AttachLoadBalancerTargetGroups": op(a.AttachLoadBalancerTargetGroups),
		"autoscaling:AttachLoadBalancers":            op(a.AttachLoadBalancers),
	}
}

// groupReaders are the kinds of the same that are found by name.
func (r *Region) groupReaders() map[string]reader {
	return map[string]reader{"asg": r.scalingGroup, "scaling": r.scalingOfManaged, "profile": r.instanceProfile}
}

// templates reads launch templates, each with its newest version, whose description says what it is made from.
func (r *Region) templates(ctx context.Context, f []types.Filter) ([]fleet.Resource, error) {
	list, err := find("template", "ec2:DescribeLaunchTemplates", "launchTemplateId", func(f []types.Filter) pager[ec2.DescribeLaunchTemplatesOutput, *ec2.Options] {
		return ec2.NewDescribeLaunchTemplatesPaginator(r.ec2, &ec2.DescribeLaunchTemplatesInput{Filters: f})
	}, func(o *ec2.DescribeLaunchTemplatesOutput) []types.LaunchTemplate { return o.LaunchTemplates })(ctx, f)
	if err != nil {
		return nil, err
	}
	var out []fleet.Resource
	for _, t := range list {
		newest, err := r.ec2.DescribeLaunchTemplateVersions(ctx, &ec2.DescribeLaunchTemplateVersionsInput{LaunchTemplateId: &t.Physical, Versions: []string{"$Latest"}})
		if err := classify("ec2:DescribeLaunchTemplateVersions", err); fault.Is(err, fault.NotFound) {
			continue // deleted since it was listed
		} else if err != nil {
			return nil, err
		}
		for _, v := range newest.LaunchTemplateVersions {
			p := props(v)
			t.Props["latestVersionNumber"], t.Props["versionDescription"] = fleet.Int(p, "versionNumber"), fleet.Text(p, "versionDescription")
			t.Props["launchTemplateData"] = p["launchTemplateData"]
		}
		out = append(out, t)
	}
	return out, nil
}

// scalingGroup reads an Auto Scaling group of ours.
func (r *Region) scalingGroup(ctx context.Context, _ string, ref fleet.Ref) (fleet.Resource, error) {
	return r.autoScalingGroup(ctx, &autoscaling.DescribeAutoScalingGroupsInput{AutoScalingGroupNames: []string{ref.Name}})
}

// scalingOfManaged reads the Auto Scaling group behind a managed node group, which has EKS's tags.
func (r *Region) scalingOfManaged(ctx context.Context, cluster string, ref fleet.Ref) (fleet.Resource, error) {
	have, err := r.scalingBehind(ctx, cluster, ref.Name)
	if !ref.Stands || !fault.Is(err, fault.NotFound) {
		return have, err
	}
	g, found, findErr := r.standIn(ctx, cluster, ref.Name)
	if findErr != nil || !found {
		return have, cmp.Or(findErr, err)
	}
	return r.scalingBehind(ctx, cluster, g.Physical)
}

func (r *Region) scalingBehind(ctx context.Context, cluster, name string) (fleet.Resource, error) {
	return r.autoScalingGroup(ctx, &autoscaling.DescribeAutoScalingGroupsInput{Filters: []astypes.Filter{
		{Name: aws.String("tag:eks:cluster-name"), Values: []string{cluster}}, {Name: aws.String("tag:eks:nodegroup-name"), Values: []string{name}},
	}})
}

func (r *Region) autoScalingGroup(ctx context.Context, in *autoscaling.DescribeAutoScalingGroupsInput) (fleet.Resource, error) {
	for pages := autoscaling.NewDescribeAutoScalingGroupsPaginator(r.scaling, in); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return fleet.Resource{}, classify("autoscaling:DescribeAutoScalingGroups", err)
		}
		for _, g := range page.AutoScalingGroups {
			return r.scalingState(ctx, g)
		}
	}
	return fleet.Resource{}, fault.New(fault.NotFound, "there is no such Auto Scaling group")
}

// scalingState is an Auto Scaling group with a status as other things have it, which Auto Scaling does not give: it works
// once the least number of machines is in service. If that fails, the last activity says why.
func (r *Region) scalingState(ctx context.Context, g astypes.AutoScalingGroup) (fleet.Resource, error) {
	p := props(g)
	name := deref(g.AutoScalingGroupName)
	have := fleet.Resource{Physical: name, ARN: fleet.Text(p, "autoScalingGroupARN"), Status: "ACTIVE", Tags: pairs(p, "tags"), Props: p}
	delete(p, "tags")
	serving := 0
	for _, i := range g.Instances {
		if i.LifecycleState == astypes.LifecycleStateInService {
			serving++
		}
	}
	switch {
	case deref(g.Status) != "":
		have.Status = "DELETING"
		return have, nil
	case serving >= int(min(deref(g.MinSize), deref(g.DesiredCapacity))):
		return have, nil
	}
	have.Status = "CREATING"
	out, err := r.scaling.DescribeScalingActivities(ctx, &autoscaling.DescribeScalingActivitiesInput{AutoScalingGroupName: &name, MaxRecords: aws.Int32(1)})
	if err != nil {
		return have, classify("autoscaling:DescribeScalingActivities", err)
	}
	for _, a := range out.Activities {
		if a.StatusCode == astypes.ScalingActivityStatusCodeFailed {
			have.Issues = append(have.Issues, fmt.Sprintf("%s: %s", deref(a.Description), deref(a.StatusMessage)))
		}
	}
	if len(have.Issues) > 0 {
		have.Status = "FAILED"
	}
	return have, nil
}

// instanceProfile reads an instance profile with its role.
func (r *Region) instanceProfile(ctx context.Context, _ string, ref fleet.Ref) (fleet.Resource, error) {
	out, err := r.iam.GetInstanceProfile(ctx, &iam.GetInstanceProfileInput{InstanceProfileName: &ref.Name})
	if err != nil {
		return fleet.Resource{}, classify("iam:GetInstanceProfile", err)
	}
	p := props(*out.InstanceProfile)
	have := fleet.Resource{Physical: ref.Name, ARN: fleet.Text(p, "arn"), Tags: pairs(p, "tags"), Props: p}
	delete(p, "tags")
	return have, nil
}
