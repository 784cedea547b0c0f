package conformance

import (
	"context"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

func named(name string, values ...string) types.Filter {
	return types.Filter{Name: &name, Values: values}
}

func TestEC2NetworkInterfaces(t *testing.T) {
	t.Parallel()
	s := newEC2(t)
	vpc, subnets := s.vpc(1)
	group := must(s.CreateSecurityGroup(s.ctx, &ec2.CreateSecurityGroupInput{GroupName: &s.name, Description: aws.String("interfaces"), VpcId: &vpc}))(t).GroupId
	s.undo("group", func(ctx context.Context) error {
		_, err := s.DeleteSecurityGroup(ctx, &ec2.DeleteSecurityGroupInput{GroupId: group})
		return err
	})
	n := must(s.CreateNetworkInterface(s.ctx, &ec2.CreateNetworkInterfaceInput{
		SubnetId: &subnets[0], Description: aws.String("aws-K8S-left"), Groups: []string{*group}, SecondaryPrivateIpAddressCount: aws.Int32(2),
		TagSpecifications: s.tags("network-interface"),
	}))(t).NetworkInterface
	id := n.NetworkInterfaceId
	free := func() int32 {
		return *must(s.DescribeSubnets(s.ctx, &ec2.DescribeSubnetsInput{SubnetIds: subnets}))(t).Subnets[0].AvailableIpAddressCount
	}
	if len(n.PrivateIpAddresses) != 3 || exact(s.tg) && free() != 248 {
		t.Errorf("interface %+v, %d free addresses", n, free())
	}
	for _, f := range []types.Filter{named("vpc-id", vpc), named("subnet-id", subnets...), named("group-id", *group), named("description", "aws-K8S-left"), s.mine()} {
		got := must(s.DescribeNetworkInterfaces(s.ctx, &ec2.DescribeNetworkInterfacesInput{Filters: []types.Filter{f, named("status", "available"), s.mine()}}))(t).NetworkInterfaces
		if len(got) != 1 || *got[0].NetworkInterfaceId != *id || got[0].Status != "available" {
			t.Errorf("by %s: %+v", *f.Name, got)
		}
	}
	if exact(s.tg) { // moto deletes both
		_, err := s.DeleteSubnet(s.ctx, &ec2.DeleteSubnetInput{SubnetId: &subnets[0]})
		wantEC2(t, err, "DependencyViolation")
		_, err = s.DeleteSecurityGroup(s.ctx, &ec2.DeleteSecurityGroupInput{GroupId: group})
		wantEC2(t, err, "DependencyViolation")
	}

	i := s.run(1, &ec2.RunInstancesInput{ImageId: s.image(), InstanceType: "t3.micro", SubnetId: &subnets[0], MinCount: aws.Int32(1), MaxCount: aws.Int32(1)})[0]
	s.running(*i.InstanceId)
	attached := must(s.AttachNetworkInterface(s.ctx, &ec2.AttachNetworkInterfaceInput{NetworkInterfaceId: id, InstanceId: i.InstanceId, DeviceIndex: aws.Int32(1)}))(t).AttachmentId
	mine := must(s.DescribeNetworkInterfaces(s.ctx, &ec2.DescribeNetworkInterfacesInput{Filters: []types.Filter{named("attachment.instance-id", *i.InstanceId)}}))(t).NetworkInterfaces
	if len(mine) != 2 {
		t.Errorf("%d interfaces on the instance", len(mine))
	}
	if exact(s.tg) { // moto deletes it
		_, err := s.DeleteNetworkInterface(s.ctx, &ec2.DeleteNetworkInterfaceInput{NetworkInterfaceId: id})
		wantEC2(t, err, "InvalidParameterValue")
	}
	must(s.DetachNetworkInterface(s.ctx, &ec2.DetachNetworkInterfaceInput{AttachmentId: attached}))(t)
	s.soon("the interface's freedom", func() bool {
		return must(s.DescribeNetworkInterfaces(s.ctx, &ec2.DescribeNetworkInterfacesInput{NetworkInterfaceIds: []string{*id}}))(t).NetworkInterfaces[0].Status == "available"
	})
	must(s.ModifyNetworkInterfaceAttribute(s.ctx, &ec2.ModifyNetworkInterfaceAttributeInput{NetworkInterfaceId: id, Description: &types.AttributeValue{Value: aws.String("left")}}))(t)

	eip := must(s.AllocateAddress(s.ctx, &ec2.AllocateAddressInput{Domain: "vpc"}))(t)
	on := must(s.AssociateAddress(s.ctx, &ec2.AssociateAddressInput{AllocationId: eip.AllocationId, NetworkInterfaceId: id}))(t).AssociationId
	if exact(s.tg) {
		_, err := s.ReleaseAddress(s.ctx, &ec2.ReleaseAddressInput{AllocationId: eip.AllocationId})
		wantEC2(t, err, "InvalidIPAddress.InUse")
	}
	must(s.DisassociateAddress(s.ctx, &ec2.DisassociateAddressInput{AssociationId: on}))(t)
	must(s.ReleaseAddress(s.ctx, &ec2.ReleaseAddressInput{AllocationId: eip.AllocationId}))(t)
	must(s.DeleteNetworkInterface(s.ctx, &ec2.DeleteNetworkInterfaceInput{NetworkInterfaceId: id}))(t)
	_, err := s.DescribeNetworkInterfaces(s.ctx, &ec2.DescribeNetworkInterfacesInput{NetworkInterfaceIds: []string{*id}})
	wantEC2(t, err, "InvalidNetworkInterfaceID.NotFound")
}

func TestEC2Volumes(t *testing.T) {
	t.Parallel()
	s := newEC2(t)
	zone := must(s.DescribeAvailabilityZones(s.ctx, &ec2.DescribeAvailabilityZonesInput{}))(t).AvailabilityZones[0].ZoneName
	tag := "kubernetes.io/cluster/" + s.name
	v := must(s.CreateVolume(s.ctx, &ec2.CreateVolumeInput{
		AvailabilityZone: zone, Size: aws.Int32(4), VolumeType: "gp3",
		TagSpecifications: []types.TagSpecification{{ResourceType: "volume", Tags: []types.Tag{{Key: &tag, Value: aws.String("owned")}}}},
	}))(t)
	for _, f := range []types.Filter{named("tag:"+tag, "owned"), named("tag-key", tag)} {
		s.soon("the volume by its tag", func() bool {
			out := must(s.DescribeVolumes(s.ctx, &ec2.DescribeVolumesInput{Filters: []types.Filter{f}}))(t).Volumes
			return len(out) == 1 && *out[0].VolumeId == *v.VolumeId && out[0].State == "available" && *out[0].Size == 4
		})
	}
	must(s.DeleteVolume(s.ctx, &ec2.DeleteVolumeInput{VolumeId: v.VolumeId}))(t)
	_, err := s.DeleteVolume(s.ctx, &ec2.DeleteVolumeInput{VolumeId: v.VolumeId})
	wantEC2(t, err, "InvalidVolume.NotFound")

	_, subnets := s.vpc(1)
	i := s.run(1, &ec2.RunInstancesInput{
		ImageId: s.image(), InstanceType: "t3.micro", SubnetId: &subnets[0], MinCount: aws.Int32(1), MaxCount: aws.Int32(1), TagSpecifications: s.tags("volume"),
		BlockDeviceMappings: []types.BlockDeviceMapping{{DeviceName: aws.String("/dev/xvdb"), Ebs: &types.EbsBlockDevice{VolumeSize: aws.Int32(7)}}},
	})[0]
	s.running(*i.InstanceId)
	disks := must(s.DescribeVolumes(s.ctx, &ec2.DescribeVolumesInput{Filters: []types.Filter{named("attachment.instance-id", *i.InstanceId)}}))(t).Volumes
	if len(disks) == 0 || exact(s.tg) && (len(disks) != 2 || disks[0].State != "in-use" || len(disks[0].Tags) != 1 || *disks[1].Size != 7) {
		t.Errorf("volumes %+v", disks)
	}
	_, err = s.DeleteVolume(s.ctx, &ec2.DeleteVolumeInput{VolumeId: disks[0].VolumeId})
	wantEC2(t, err, "VolumeInUse")
}
