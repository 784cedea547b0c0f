package conformance

import (
	"context"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/eks/types"
)

func (s *eksChildren) nodegroup(name string) *eks.CreateNodegroupInput {
	return &eks.CreateNodegroupInput{
		ClusterName: s.cluster, NodegroupName: &name, NodeRole: &s.nodeARN, Subnets: s.subnets,
		ScalingConfig: &types.NodegroupScalingConfig{MinSize: aws.Int32(1), MaxSize: aws.Int32(1), DesiredSize: aws.Int32(1)},
	}
}

func (s *eksChildren) fields(t *testing.T) {
	ctx := t.Context()
	in := s.nodegroup("fields")
	in.AmiType, in.DiskSize, in.InstanceTypes = types.AMITypesBottlerocketX8664, aws.Int32(40), []string{"m5.large"}
	in.UpdateConfig = &types.NodegroupUpdateConfig{MaxUnavailablePercentage: aws.Int32(50), UpdateStrategy: types.NodegroupUpdateStrategiesMinimal}
	in.NodeRepairConfig = &types.NodeRepairConfig{Enabled: aws.Bool(true), MaxParallelNodesRepairedCount: aws.Int32(1), NodeRepairConfigOverrides: []types.NodeRepairConfigOverrides{{
		NodeMonitoringCondition: aws.String("AcceleratedHardwareReady"), NodeUnhealthyReason: aws.String("NvidiaXID13Error"), MinRepairWaitTimeMins: aws.Int32(10), RepairAction: types.RepairActionReboot,
	}}}
	g := s.ready(t, in)
	if g.AmiType != types.AMITypesBottlerocketX8664 || *g.DiskSize != 40 || g.UpdateConfig.UpdateStrategy != types.NodegroupUpdateStrategiesMinimal || *g.UpdateConfig.MaxUnavailablePercentage != 50 || g.UpdateConfig.MaxUnavailable != nil {
		t.Errorf("node group %+v", g)
	}
	if !*g.NodeRepairConfig.Enabled || *g.NodeRepairConfig.MaxParallelNodesRepairedCount != 1 || g.NodeRepairConfig.NodeRepairConfigOverrides[0].RepairAction != types.RepairActionReboot {
		t.Errorf("repair %+v", g.NodeRepairConfig)
	}
	u, err := s.UpdateNodegroupConfig(ctx, &eks.UpdateNodegroupConfigInput{ClusterName: s.cluster, NodegroupName: in.NodegroupName, NodeRepairConfig: &types.NodeRepairConfig{Enabled: aws.Bool(false)},
		Taints: &types.UpdateTaintsPayload{AddOrUpdateTaints: []types.Taint{{Key: aws.String("a"), Effect: types.TaintEffectNoExecute}}}})
	if err != nil {
		t.Fatal(err)
	}
	if u := s.finished(t, &eks.DescribeUpdateInput{Name: s.cluster, NodegroupName: in.NodegroupName, UpdateId: u.Update.Id}); u.Status != types.UpdateStatusSuccessful {
		t.Errorf("update %+v", u)
	}
}

func (s *eksChildren) template(t *testing.T, data ec2types.RequestLaunchTemplateData) *types.LaunchTemplateSpecification {
	t.Helper()
	name := aws.String(eksName(t))
	out, err := s.ec2.CreateLaunchTemplate(t.Context(), &ec2.CreateLaunchTemplateInput{LaunchTemplateName: name, LaunchTemplateData: &data})
	if err != nil {
		t.Fatal(err)
	}
	s.undo("launch template", func(ctx context.Context) error {
		_, err := s.ec2.DeleteLaunchTemplate(ctx, &ec2.DeleteLaunchTemplateInput{LaunchTemplateName: name})
		return err
	})
	return &types.LaunchTemplateSpecification{Id: out.LaunchTemplate.LaunchTemplateId}
}

// ready makes a node group and waits for it.
func (s *eksChildren) ready(t *testing.T, in *eks.CreateNodegroupInput) *types.Nodegroup {
	t.Helper()
	if _, err := s.CreateNodegroup(t.Context(), in); err != nil {
		s.missing(t, err)
		t.Fatal(err)
	}
	w := eks.NewNodegroupActiveWaiter(s.Client, func(o *eks.NodegroupActiveWaiterOptions) { o.MinDelay, o.MaxDelay = eksPoll, s.poll() })
	out, err := w.WaitForOutput(t.Context(), &eks.DescribeNodegroupInput{ClusterName: s.cluster, NodegroupName: in.NodegroupName}, eksPatience)
	if err != nil {
		t.Fatal(err)
	}
	return out.Nodegroup
}

func (s *eksChildren) remoteAccess(t *testing.T) {
	ctx := t.Context()
	if !s.embedded {
		t.Skip("other implementations make no security group")
	}
	key := aws.String(eksName(t))
	if _, err := s.ec2.CreateKeyPair(ctx, &ec2.CreateKeyPairInput{KeyName: key}); err != nil {
		t.Fatal(err)
	}
	s.undo("key pair", func(ctx context.Context) error {
		_, err := s.ec2.DeleteKeyPair(ctx, &ec2.DeleteKeyPairInput{KeyName: key})
		return err
	})
	in := s.nodegroup("remote")
	in.RemoteAccess = &types.RemoteAccessConfig{Ec2SshKey: key}
	g := s.ready(t, in)
	if *g.RemoteAccess.Ec2SshKey != *key {
		t.Errorf("remote access %+v", g.RemoteAccess)
	}
	out, err := s.ec2.DescribeSecurityGroups(ctx, &ec2.DescribeSecurityGroupsInput{GroupIds: []string{aws.ToString(g.Resources.RemoteAccessSecurityGroup)}})
	if err != nil || len(out.SecurityGroups) != 1 || !strings.HasPrefix(*out.SecurityGroups[0].GroupName, "eks-remoteAccess-") {
		t.Fatalf("%+v, %v", out, err)
	}
	if p := out.SecurityGroups[0].IpPermissions; len(p) != 1 || *p[0].FromPort != 22 || *p[0].IpRanges[0].CidrIp != "0.0.0.0/0" {
		t.Errorf("rules %+v", p)
	}
	instances, err := s.ec2.DescribeInstances(ctx, &ec2.DescribeInstancesInput{Filters: []ec2types.Filter{{Name: aws.String("tag:eks:nodegroup-name"), Values: []string{"remote"}}, {Name: aws.String("tag:eks:cluster-name"), Values: []string{*s.cluster}}}})
	if err != nil || len(instances.Reservations) != 1 {
		t.Fatalf("%+v, %v", instances, err)
	}
	if i := instances.Reservations[0].Instances[0]; aws.ToString(i.KeyName) != *key || len(i.SecurityGroups) != 2 {
		t.Errorf("instance with key %s and groups %+v", aws.ToString(i.KeyName), i.SecurityGroups)
	}
	if _, err := s.DeleteNodegroup(ctx, &eks.DeleteNodegroupInput{ClusterName: s.cluster, NodegroupName: in.NodegroupName}); err != nil {
		t.Fatal(err)
	}
	gone := eks.NewNodegroupDeletedWaiter(s.Client, func(o *eks.NodegroupDeletedWaiterOptions) { o.MinDelay, o.MaxDelay = eksPoll, s.poll() })
	if err := gone.Wait(ctx, &eks.DescribeNodegroupInput{ClusterName: s.cluster, NodegroupName: in.NodegroupName}, eksPatience); err != nil {
		t.Fatal(err)
	}
	if left, err := s.ec2.DescribeSecurityGroups(ctx, &ec2.DescribeSecurityGroupsInput{GroupIds: []string{*g.Resources.RemoteAccessSecurityGroup}}); err == nil {
		t.Errorf("the security group stays: %+v", left.SecurityGroups)
	}
}

func (s *eksChildren) capacityBlock(t *testing.T) {
	if !s.embedded {
		t.Skip("a capacity block must be bought")
	}
	in := s.nodegroup("block")
	in.CapacityType = types.CapacityTypesCapacityBlock
	in.LaunchTemplate = s.template(t, ec2types.RequestLaunchTemplateData{
		InstanceType: "m5.large", InstanceMarketOptions: &ec2types.LaunchTemplateInstanceMarketOptionsRequest{MarketType: ec2types.MarketTypeCapacityBlock},
		CapacityReservationSpecification: &ec2types.LaunchTemplateCapacityReservationSpecificationRequest{CapacityReservationTarget: &ec2types.CapacityReservationTarget{CapacityReservationId: aws.String("cr-0123456789abcdef0")}},
	})
	if g := s.ready(t, in); g.CapacityType != types.CapacityTypesCapacityBlock {
		t.Errorf("node group %+v", g)
	}
}

func (s *eksChildren) refusals(t *testing.T) {
	ctx := t.Context()
	if !s.embedded {
		t.Skip("other implementations check less")
	}
	name := aws.String(eksName(t))
	template := func(data ec2types.RequestLaunchTemplateData) *types.LaunchTemplateSpecification {
		return s.template(t, data)
	}
	for what, tc := range map[string]struct {
		change  func(*eks.CreateNodegroupInput)
		message string
	}{
		"key pair": {func(in *eks.CreateNodegroupInput) { in.RemoteAccess = &types.RemoteAccessConfig{Ec2SshKey: name} }, "KeyPair " + *name + " not found"},
		"remote access": {func(in *eks.CreateNodegroupInput) {
			in.RemoteAccess, in.LaunchTemplate = &types.RemoteAccessConfig{Ec2SshKey: name}, template(ec2types.RequestLaunchTemplateData{InstanceType: "m5.large"})
		}, "Remote access configuration cannot be specified with a launch template."},
		"disk": {func(in *eks.CreateNodegroupInput) {
			in.DiskSize, in.LaunchTemplate = aws.Int32(30), template(ec2types.RequestLaunchTemplateData{InstanceType: "m5.large"})
		}, "Disk size must be specified within the launch template."},
		"AMI type": {func(in *eks.CreateNodegroupInput) {
			in.AmiType, in.LaunchTemplate = types.AMITypesAl2023X8664Standard, template(ec2types.RequestLaunchTemplateData{ImageId: aws.String("ami-0123456789abcdef0")})
		}, "You cannot specify an AMI Type other than CUSTOM, when specifying an image id in your launch template."},
		"version": {func(in *eks.CreateNodegroupInput) {
			in.Version, in.LaunchTemplate = aws.String("1.35"), template(ec2types.RequestLaunchTemplateData{ImageId: aws.String("ami-0123456789abcdef0")})
		}, "You cannot specify a kubernetes version to use when specifying an image id to use within the launch template."},
		"AL2":   {func(in *eks.CreateNodegroupInput) { in.AmiType = types.AMITypesAl2X8664 }, "AMI Type AL2_x86_64 is only supported for kubernetes versions 1.32 or earlier"},
		"label": {func(in *eks.CreateNodegroupInput) { in.Labels = map[string]string{"k8s.io/x": "y"} }, "Label cannot contain reserved prefixes [kubernetes.io/, k8s.io/, eks.amazonaws.com/]"},
		"types": {func(in *eks.CreateNodegroupInput) { in.InstanceTypes = []string{"m5.nano"} }, "The following supplied instance types do not exist: [m5.nano]"},
		"block": {func(in *eks.CreateNodegroupInput) {
			in.CapacityType, in.InstanceTypes = types.CapacityTypesCapacityBlock, []string{"m5.large"}
		}, "capacity reservation"},
	} {
		t.Run(what, func(t *testing.T) {
			in := s.nodegroup(*name)
			tc.change(in)
			_, err := s.CreateNodegroup(ctx, in)
			wantEKS[*types.InvalidParameterException](t, err, tc.message)
		})
	}
}
