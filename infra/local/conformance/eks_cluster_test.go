package conformance

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/eks/types"
)

// controlPlane are the interfaces that EKS has in the customer's subnets: subnet by id.
func controlPlane(t *testing.T, c *ec2.Client, cluster string) map[string]string {
	t.Helper()
	out, err := c.DescribeNetworkInterfaces(t.Context(), &ec2.DescribeNetworkInterfacesInput{
		Filters: []ec2types.Filter{{Name: aws.String("description"), Values: []string{"Amazon EKS " + cluster}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for _, n := range out.NetworkInterfaces {
		found[*n.NetworkInterfaceId] = *n.SubnetId
	}
	return found
}

func (s *eksSuite) securityGroup(c *ec2.Client) string {
	ctx := s.t.Context()
	subnets, err := c.DescribeSubnets(ctx, &ec2.DescribeSubnetsInput{SubnetIds: s.subnets[:1]})
	s.must(err)
	g, err := c.CreateSecurityGroup(ctx, &ec2.CreateSecurityGroupInput{GroupName: aws.String(eksName(s.t)), Description: aws.String("conformance"), VpcId: subnets.Subnets[0].VpcId})
	s.must(err)
	return *g.GroupId
}

func TestEKSCreateClusterChecks(t *testing.T) {
	s := newEKSSuite(t)
	if !s.embedded {
		t.Skip("other implementations take anything")
	}
	for name, tc := range map[string]struct {
		change  func(*eks.CreateClusterInput)
		message string
	}{
		"security group": {func(in *eks.CreateClusterInput) {
			in.ResourcesVpcConfig.SecurityGroupIds = []string{"sg-0123456789abcdef0"}
		}, "The security group 'sg-0123456789abcdef0' does not exist"},
		"endpoint": {func(in *eks.CreateClusterInput) { in.ResourcesVpcConfig.EndpointPublicAccess = aws.Bool(false) }, "Private and public endpoint access cannot be false"},
		"auto mode": {func(in *eks.CreateClusterInput) {
			in.ComputeConfig = &types.ComputeConfigRequest{Enabled: aws.Bool(true)}
		},
			"For EKS Auto Mode, please ensure that all required configs, including computeConfig, kubernetesNetworkConfig, and blockStorage are all either fully enabled or fully disabled."},
		"services": {func(in *eks.CreateClusterInput) {
			in.KubernetesNetworkConfig = &types.KubernetesNetworkConfigRequest{ServiceIpv4Cidr: aws.String("10.42.0.0/20")}
		}, "overlaps"},
		"event TTL": {func(in *eks.CreateClusterInput) {
			in.KubeApiServerConfig = &types.KubeApiServerConfigRequest{EventTtl: aws.String("3h")}
		}, "eventTtl"},
		"version": {func(in *eks.CreateClusterInput) { in.Version = aws.String("1.29") }, "unsupported Kubernetes version"},
	} {
		t.Run(name, func(t *testing.T) {
			in := s.input(eksName(t))
			tc.change(in)
			_, err := s.CreateCluster(t.Context(), in)
			wantEKS[*types.InvalidParameterException](t, err, tc.message)
		})
	}
	t.Run("addresses", func(t *testing.T) {
		c := ec2.NewFromConfig(target(t, "ec2").Config)
		vpc, err := c.CreateVpc(t.Context(), &ec2.CreateVpcInput{CidrBlock: aws.String("10.43.0.0/24")})
		s.must(err)
		s.undo("VPC", func(ctx context.Context) error {
			_, err := c.DeleteVpc(ctx, &ec2.DeleteVpcInput{VpcId: vpc.Vpc.VpcId})
			return err
		})
		zones, err := c.DescribeAvailabilityZones(t.Context(), &ec2.DescribeAvailabilityZonesInput{})
		s.must(err)
		in := s.input(eksName(t))
		in.ResourcesVpcConfig.SubnetIds = nil
		for i, block := range []string{"10.43.0.0/28", "10.43.0.16/28"} {
			out, err := c.CreateSubnet(t.Context(), &ec2.CreateSubnetInput{VpcId: vpc.Vpc.VpcId, CidrBlock: &block, AvailabilityZone: zones.AvailabilityZones[i].ZoneName})
			s.must(err)
			s.undo("subnet", func(ctx context.Context) error {
				_, err := c.DeleteSubnet(ctx, &ec2.DeleteSubnetInput{SubnetId: out.Subnet.SubnetId})
				return err
			})
			in.ResourcesVpcConfig.SubnetIds = append(in.ResourcesVpcConfig.SubnetIds, *out.Subnet.SubnetId)
			for range 7 { // of the eleven that a /28 has
				n, err := c.CreateNetworkInterface(t.Context(), &ec2.CreateNetworkInterfaceInput{SubnetId: out.Subnet.SubnetId})
				s.must(err)
				s.undo("network interface", func(ctx context.Context) error {
					_, err := c.DeleteNetworkInterface(ctx, &ec2.DeleteNetworkInterfaceInput{NetworkInterfaceId: n.NetworkInterface.NetworkInterfaceId})
					return err
				})
			}
		}
		_, err = s.CreateCluster(t.Context(), in)
		wantEKS[*types.InvalidRequestException](t, err, "Free IPs: 4")
		wantEKS[*types.InvalidRequestException](t, err, "need at least 5 IPs in each subnet to be free for this operation")
	})
}

func TestEKSVersionsBySupport(t *testing.T) {
	s := newEKSSuite(t)
	out, err := s.DescribeClusterVersions(t.Context(), &eks.DescribeClusterVersionsInput{IncludeAll: aws.Bool(true)})
	s.missing(t, err)
	s.must(err)
	for _, v := range out.ClusterVersions {
		want := types.VersionStatusStandardSupport
		switch now := time.Now(); {
		case now.After(*v.EndOfExtendedSupportDate):
			want = types.VersionStatusUnsupported
		case now.After(*v.EndOfStandardSupportDate):
			want = types.VersionStatusExtendedSupport
		}
		if v.VersionStatus != want {
			t.Errorf("version %s is %s, its dates say %s", *v.ClusterVersion, v.VersionStatus, want)
		}
	}
	one, err := s.DescribeClusterVersions(t.Context(), &eks.DescribeClusterVersionsInput{ClusterVersions: []string{"1.35"}})
	s.must(err)
	if len(one.ClusterVersions) != 1 {
		t.Fatalf("versions %+v", one.ClusterVersions)
	}
	v := one.ClusterVersions[0]
	ttl := v.ControlPlaneComponentConfig.KubeApiServerConfig.EventTtl
	if *ttl.DefaultValue != "60m" || *ttl.Constraints.Min != "10m" || len(v.ControlPlaneScalingTiers) != 4 || *v.ControlPlaneScalingTiers[0].TierName != "tier-xl" {
		t.Errorf("control plane of 1.35: %+v, %+v", v.ControlPlaneComponentConfig, v.ControlPlaneScalingTiers)
	}
}

// TestEKSClusterConfig takes one cluster with every setting through the updates of the cluster itself.
func TestEKSClusterConfig(t *testing.T) {
	s := newEKSSuite(t)
	if !s.embedded {
		t.Skip("others lack most of it, and on AWS it takes hours")
	}
	ctx, name := t.Context(), eksName(t)
	network := ec2.NewFromConfig(target(t, "ec2").Config)
	group := s.securityGroup(network)
	in := s.input(name)
	in.ResourcesVpcConfig.SecurityGroupIds = []string{group}
	in.ResourcesVpcConfig.EndpointPrivateAccess = aws.Bool(true)
	in.ResourcesVpcConfig.PublicAccessCidrs = []string{"8.8.8.0/24"}
	in.Logging = &types.Logging{ClusterLogging: []types.LogSetup{{Enabled: aws.Bool(true), Types: []types.LogType{types.LogTypeAudit}}}}
	in.KubernetesNetworkConfig = &types.KubernetesNetworkConfigRequest{ServiceIpv4Cidr: aws.String("192.168.0.0/16")}
	in.UpgradePolicy = &types.UpgradePolicyRequest{SupportType: types.SupportTypeStandard}
	in.ZonalShiftConfig = &types.ZonalShiftConfigRequest{Enabled: aws.Bool(true)}
	in.ControlPlaneScalingConfig = &types.ControlPlaneScalingConfig{Tier: types.ProvisionedControlPlaneTierTierXl}
	in.KubeControllerManagerConfig = &types.KubeControllerManagerConfigRequest{
		HorizontalPodAutoscalerControllerConfig: &types.HorizontalPodAutoscalerControllerConfigRequest{HorizontalPodAutoscalerSyncPeriod: aws.String("10s")},
	}
	in.RemoteNetworkConfig = &types.RemoteNetworkConfigRequest{RemoteNodeNetworks: []types.RemoteNodeNetwork{{Cidrs: []string{"172.16.0.0/24"}}}}
	in.DeletionProtection = aws.Bool(true)
	s.create(in)
	c := s.active(name)
	if v := c.ResourcesVpcConfig; !v.EndpointPrivateAccess || !slices.Equal(v.PublicAccessCidrs, []string{"8.8.8.0/24"}) || !slices.Equal(v.SecurityGroupIds, []string{group}) || v.ControlPlaneEgressMode != types.ControlPlaneEgressModeTypeAwsManaged {
		t.Errorf("VPC %+v", v)
	}
	if *c.KubernetesNetworkConfig.ServiceIpv4Cidr != "192.168.0.0/16" || c.UpgradePolicy.SupportType != types.SupportTypeStandard || !*c.ZonalShiftConfig.Enabled || !*c.DeletionProtection {
		t.Errorf("cluster %+v", c)
	}
	if c.ControlPlaneScalingConfig.Tier != types.ProvisionedControlPlaneTierTierXl || *c.KubeControllerManagerConfig.HorizontalPodAutoscalerControllerConfig.HorizontalPodAutoscalerSyncPeriod != "10s" ||
		*c.KubeApiServerConfig.EventTtl != "60m" || len(c.RemoteNetworkConfig.RemoteNodeNetworks) != 1 || *c.ComputeConfig.Enabled {
		t.Errorf("control plane %+v", c)
	}
	if got := controlPlane(t, network, name); len(got) != 2 {
		t.Errorf("the control plane has interfaces %v", got)
	}
	_, err := network.DeleteSubnet(ctx, &ec2.DeleteSubnetInput{SubnetId: &s.subnets[0]})
	if err == nil || !strings.Contains(err.Error(), "DependencyViolation") {
		t.Errorf("deleting a subnet with a control plane's interface: %v", err)
	}
	_, err = s.DeleteCluster(ctx, &eks.DeleteClusterInput{Name: &name})
	wantEKS[*types.InvalidRequestException](t, err, "deletion protection")
	for _, step := range []struct {
		kind   types.UpdateType
		change eks.UpdateClusterConfigInput
	}{
		{types.UpdateTypeDeletionProtectionUpdate, eks.UpdateClusterConfigInput{DeletionProtection: aws.Bool(false)}},
		{types.UpdateTypeVpcConfigUpdate, eks.UpdateClusterConfigInput{ResourcesVpcConfig: &types.VpcConfigRequest{SubnetIds: append([]string{s.sameZone}, s.subnets...), SecurityGroupIds: []string{}}}},
		{types.UpdateTypeEndpointAccessUpdate, eks.UpdateClusterConfigInput{ResourcesVpcConfig: &types.VpcConfigRequest{PublicAccessCidrs: []string{"0.0.0.0/0"}}}},
		{types.UpdateTypeLoggingUpdate, eks.UpdateClusterConfigInput{Logging: &types.Logging{ClusterLogging: []types.LogSetup{{Enabled: aws.Bool(false), Types: []types.LogType{types.LogTypeAudit}}}}}},
		{types.UpdateTypeUpgradePolicyUpdate, eks.UpdateClusterConfigInput{UpgradePolicy: &types.UpgradePolicyRequest{SupportType: types.SupportTypeExtended}}},
		{types.UpdateTypeZonalShiftConfigUpdate, eks.UpdateClusterConfigInput{ZonalShiftConfig: &types.ZonalShiftConfigRequest{Enabled: aws.Bool(false)}}},
		{types.UpdateTypeRemoteNetworkConfigUpdate, eks.UpdateClusterConfigInput{RemoteNetworkConfig: &types.RemoteNetworkConfigRequest{RemoteNodeNetworks: []types.RemoteNodeNetwork{}, RemotePodNetworks: []types.RemotePodNetwork{}}}},
		{types.UpdateTypeControlPlaneComponentConfigUpdate, eks.UpdateClusterConfigInput{KubeApiServerConfig: &types.KubeApiServerConfigRequest{EventTtl: aws.String("30m")}}},
		{types.UpdateTypeControlPlaneScalingConfigUpdate, eks.UpdateClusterConfigInput{ControlPlaneScalingConfig: &types.ControlPlaneScalingConfig{Tier: types.ProvisionedControlPlaneTierTier2xl}}},
		{types.UpdateTypeControlPlaneEgressUpdate, eks.UpdateClusterConfigInput{ResourcesVpcConfig: &types.VpcConfigRequest{ControlPlaneEgressMode: types.ControlPlaneEgressModeTypeCustomerRouted}}},
	} {
		t.Run(string(step.kind), func(t *testing.T) {
			change := step.change
			change.Name = &name
			out, err := s.UpdateClusterConfig(t.Context(), &change)
			if err != nil {
				t.Fatal(err)
			}
			_, err = s.UpdateClusterConfig(t.Context(), &eks.UpdateClusterConfigInput{Name: &name, ZonalShiftConfig: &types.ZonalShiftConfigRequest{Enabled: aws.Bool(true)}})
			wantEKS[*types.ResourceInUseException](t, err, "Cannot ZonalShiftConfigUpdate because cluster "+name+" currently has update "+*out.Update.Id+" in progress")
			if u := s.finished(t, &eks.DescribeUpdateInput{Name: &name, UpdateId: out.Update.Id}); u.Status != types.UpdateStatusSuccessful || u.Type != step.kind || len(u.Params) == 0 {
				t.Errorf("update %+v", u)
			}
		})
	}
	_, err = s.UpdateClusterConfig(ctx, &eks.UpdateClusterConfigInput{Name: &name, ResourcesVpcConfig: &types.VpcConfigRequest{EndpointPrivateAccess: aws.Bool(true)}})
	wantEKS[*types.InvalidParameterException](t, err, "Cluster is already at the desired configuration with endpointPrivateAccess: true , endpointPublicAccess: true, and Public Endpoint Restrictions: [0.0.0.0/0]")
	_, err = s.UpdateClusterConfig(ctx, &eks.UpdateClusterConfigInput{Name: &name, Logging: &types.Logging{ClusterLogging: []types.LogSetup{{Enabled: aws.Bool(false), Types: []types.LogType{types.LogTypeAudit}}}}})
	wantEKS[*types.InvalidParameterException](t, err, "No changes needed for the logging config provided")
	_, err = s.UpdateClusterConfig(ctx, &eks.UpdateClusterConfigInput{Name: &name, DeletionProtection: aws.Bool(true), ZonalShiftConfig: &types.ZonalShiftConfigRequest{Enabled: aws.Bool(true)}})
	wantEKS[*types.InvalidParameterException](t, err, "Only one type of update can be allowed")
	after := s.active(name)
	if after.RemoteNetworkConfig != nil || *after.KubeApiServerConfig.EventTtl != "30m" || len(after.ResourcesVpcConfig.SubnetIds) != 3 || after.ResourcesVpcConfig.ControlPlaneEgressMode != types.ControlPlaneEgressModeTypeCustomerRouted {
		t.Errorf("after the updates: %+v", after)
	}
	s.must(s.remove(ctx, name))
	if left := controlPlane(t, network, name); len(left) != 0 {
		t.Errorf("interfaces %v outlive the cluster", left)
	}
	_, err = network.DeleteSecurityGroup(ctx, &ec2.DeleteSecurityGroupInput{GroupId: &group})
	s.must(err)
}

// TestEKSIPv6Cluster is about a cluster in a dual-stack network.
func TestEKSIPv6Cluster(t *testing.T) {
	s := newEKSSuite(t)
	if !s.embedded {
		t.Skip("others take any network")
	}
	ctx := t.Context()
	c := ec2.NewFromConfig(target(t, "ec2").Config)
	in := s.input(eksName(t))
	in.KubernetesNetworkConfig = &types.KubernetesNetworkConfigRequest{IpFamily: types.IpFamilyIpv6}
	_, err := s.CreateCluster(ctx, in)
	wantEKS[*types.InvalidParameterException](t, err, "has no IPv6 CIDR block")
	subnets, err := c.DescribeSubnets(ctx, &ec2.DescribeSubnetsInput{SubnetIds: s.subnets})
	s.must(err)
	vpc := subnets.Subnets[0].VpcId
	added, err := c.AssociateVpcCidrBlock(ctx, &ec2.AssociateVpcCidrBlockInput{VpcId: vpc, AmazonProvidedIpv6CidrBlock: aws.Bool(true)})
	s.must(err)
	s.undo("IPv6 block", func(ctx context.Context) error {
		_, err := c.DisassociateVpcCidrBlock(ctx, &ec2.DisassociateVpcCidrBlockInput{AssociationId: added.Ipv6CidrBlockAssociation.AssociationId})
		return err
	})
	block := s.ipv6Block(c, *vpc)
	for i, id := range s.subnets {
		part := fmt.Sprintf("%s%02x::/64", strings.TrimSuffix(block, "00::/56"), i)
		out, err := c.AssociateSubnetCidrBlock(ctx, &ec2.AssociateSubnetCidrBlockInput{SubnetId: &id, Ipv6CidrBlock: &part})
		s.must(err)
		s.undo("IPv6 block", func(ctx context.Context) error {
			_, err := c.DisassociateSubnetCidrBlock(ctx, &ec2.DisassociateSubnetCidrBlockInput{AssociationId: out.Ipv6CidrBlockAssociation.AssociationId})
			return err
		})
	}
	n := s.create(in).KubernetesNetworkConfig
	if n.IpFamily != types.IpFamilyIpv6 || n.ServiceIpv4Cidr != nil || !strings.HasPrefix(aws.ToString(n.ServiceIpv6Cidr), "fd") {
		t.Errorf("network %+v", n)
	}
	s.active(*in.Name)
}

// ipv6Block waits for the VPC's IPv6 block: AWS chooses it a moment later.
func (s *eksSuite) ipv6Block(c *ec2.Client, vpc string) string {
	s.t.Helper()
	ticker := time.NewTicker(s.poll())
	defer ticker.Stop()
	for {
		out, err := c.DescribeVpcs(s.t.Context(), &ec2.DescribeVpcsInput{VpcIds: []string{vpc}})
		s.must(err)
		for _, b := range out.Vpcs[0].Ipv6CidrBlockAssociationSet {
			if b.Ipv6CidrBlockState.State == ec2types.VpcCidrBlockStateCodeAssociated {
				return *b.Ipv6CidrBlock
			}
		}
		select {
		case <-ticker.C:
		case <-s.t.Context().Done():
			s.t.Fatal("the VPC gets no IPv6 block")
		}
	}
}
