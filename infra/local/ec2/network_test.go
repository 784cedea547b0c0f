package ec2

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/world"
)

func yes() *boolValue { return &boolValue{true} }

func (r *rig) interfaces(name string, values ...string) []interfaceXML {
	return must(r.describeInterfaces(&describeInterfacesIn{Filters: []filter{{name, values}}})).Interfaces
}

func TestServiceInterface(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, r *rig) {
		group := must(r.CreateSecurityGroupFor(r.vpc, "cluster", "of the cluster", nil))
		id := must(r.CreateServiceInterface(r.subnet, "Amazon EKS c", []string{group}, map[string]string{"cluster": "c"}))
		got := r.interfaces("description", "Amazon EKS c")
		if len(got) != 1 || got[0].ID != id || got[0].Status != "in-use" || !got[0].RequesterManaged || got[0].Groups[0].GroupID != group || got[0].Attachment.InstanceID != "" ||
			got[0].Attachment.InstanceOwnerID != "amazon-aws" || got[0].Tags[0].Value != "c" {
			t.Fatalf("%+v", got)
		}
		if n, _ := r.Subnet(r.subnet); n.FreeAddresses != 250 {
			t.Errorf("%d free addresses", n.FreeAddresses)
		}
		_, err := r.deleteSubnet(&subnetIn{SubnetID: r.subnet})
		r.wantCode(err, "DependencyViolation")
		_, err = r.deleteSecurityGroup(&groupIn{GroupID: group})
		r.wantCode(err, "DependencyViolation")
		_, err = r.deleteInterface(&interfaceIn{ID: id})
		r.wantCode(err, "InvalidParameterValue")
		_, err = r.detachInterface(&detachInterfaceIn{AttachmentID: got[0].Attachment.ID})
		r.wantCode(err, "OperationNotPermitted")
		_, err = r.modifyInterface(&modifyInterfaceIn{ID: id, SourceDestCheck: yes()})
		r.wantCode(err, "AuthFailure")
		for range 2 { // the second finds nothing to do
			if err := r.DeleteServiceInterface(id); err != nil {
				t.Fatal(err)
			}
		}
		must(r.deleteSecurityGroup(&groupIn{GroupID: group}))
		must(r.deleteSubnet(&subnetIn{SubnetID: r.subnet}))
		_, err = r.CreateServiceInterface(r.subnet, "", nil, nil)
		r.wantCode(err, "InvalidSubnetID.NotFound")
	})
}

func TestDeleteServiceInterfaceLeavesOthersAlone(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, r *rig) {
		i := must(r.Run(RunSpec{Type: "m5.large", SubnetID: r.subnet}))[0]
		r.wantCode(r.DeleteServiceInterface(r.interfaces("attachment.instance-id", i.ID)[0].ID), "OperationNotPermitted")
	})
}

func TestWhatOutlivesAnInstance(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, r *rig) {
		stay := false
		in := &runIn{
			MinCount: 1, MaxCount: 1, ImageID: "ami-1", InstanceType: "m5.large", SubnetID: "",
			NetworkInterfaces: []networkSpec{
				{DeviceIndex: new(1), SubnetID: r.subnet, DeleteOnTermination: &stay, Description: "second"}, {DeviceIndex: new(0), SubnetID: r.subnet},
			},
			BlockDeviceMappings: []blockDevice{{DeviceName: "/dev/xvda", Ebs: &ebs{VolumeSize: new(50)}}, {DeviceName: "/dev/xvdb", Ebs: &ebs{VolumeSize: new(9), DeleteOnTermination: &stay}}},
			TagSpecifications:   []tagSpec{{"volume", []tag{{"for", "disks"}}}, {"network-interface", []tag{{"for", "wires"}}}},
		}
		x := must(r.runInstances(in)).Instances[0]
		if len(x.Interfaces) != 2 || x.PrivateIPAddress != x.Interfaces[1].PrivateIPAddress || len(x.Volumes) != 2 {
			t.Fatalf("%+v", x)
		}
		if n, _ := r.Subnet(r.subnet); n.FreeAddresses != 249 {
			t.Errorf("%d free addresses with two interfaces", n.FreeAddresses)
		}
		time.Sleep(time.Second)
		r.Terminate(x.InstanceID)
		time.Sleep(time.Minute)
		synctest.Wait()
		left := r.interfaces("tag:for", "wires")
		if len(left) != 1 || left[0].Description != "second" || left[0].Status != "available" {
			t.Errorf("interfaces left: %+v", left)
		}
		disks := must(r.describeVolumes(&describeVolumesIn{Filters: []filter{{"tag:for", []string{"disks"}}}})).Volumes
		if len(disks) != 1 || disks[0].Size != 9 || disks[0].Status != "available" {
			t.Errorf("volumes left: %+v", disks)
		}
		_, err := r.deleteSubnet(&subnetIn{SubnetID: r.subnet})
		r.wantCode(err, "DependencyViolation")
		must(r.deleteInterface(&interfaceIn{ID: left[0].ID}))
		must(r.deleteVolume(&volumeIn{ID: disks[0].ID}))
		must(r.deleteSubnet(&subnetIn{SubnetID: r.subnet}))
	})
}

func TestIPv6IsAssociatedLater(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, r *rig) {
		x := must(r.createVPC(&createVPCIn{CidrBlock: "10.9.0.0/16", AmazonProvidedIpv6CidrBlock: true})).Vpc
		range6 := func() string {
			v := must(r.describeVPCs(&describeVPCsIn{VpcIDs: []string{x.VpcID}})).Vpcs[0]
			return v.Ipv6CidrBlocks[0].Ipv6CidrBlock
		}
		if got := range6(); got != "" {
			t.Errorf("before it is associated: %s", got)
		}
		time.Sleep(world.Fast.Settle)
		sub := strings.Replace(range6(), "00::/56", "07::/64", 1)
		n := must(r.createSubnet(&createSubnetIn{VpcID: x.VpcID, CidrBlock: "10.9.0.0/24", Ipv6CidrBlock: sub, AvailabilityZone: "us-east-1a"})).Subnet
		must(r.modifySubnet(&modifySubnetIn{SubnetID: n.SubnetID, AssignIpv6AddressOnCreation: yes()}))
		must(r.modifySubnet(&modifySubnetIn{SubnetID: n.SubnetID, PrivateDNSHostnameTypeOnLaunch: "resource-name"}))
		i := must(r.Run(RunSpec{Type: "m5.large", SubnetID: n.SubnetID}))[0]
		if !strings.HasPrefix(i.IPv6, strings.TrimSuffix(sub, "::/64")) || i.PrivateDNSName != i.ID+".ec2.internal" {
			t.Errorf("in %s: %+v", sub, i)
		}
		if got, _ := r.Subnet(n.SubnetID); got.IPv6CIDR != sub {
			t.Errorf("subnet %+v", got)
		}
	})
}

func TestQuotas(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, r *rig) {
		for range 4 { // the rig has one
			must(r.createVPC(&createVPCIn{CidrBlock: "10.0.0.0/16"}))
		}
		_, err := r.createVPC(&createVPCIn{CidrBlock: "10.0.0.0/16"})
		r.wantCode(err, "VpcLimitExceeded")
		if used, ok := r.QuotaUse(QuotaVPCs); used != 5 || !ok || r.Quotas()[QuotaVPCs] != 5 {
			t.Errorf("%d of %d", used, r.Quotas()[QuotaVPCs])
		}
		if !r.SetQuota(QuotaVPCs, 6) || !r.SetQuota(QuotaOnDemandStandard, 4) || !r.SetQuota(QuotaSpotStandard, 1) || r.SetQuota("L-00000000", 1) {
			t.Error("quotas cannot be set as they should")
		}
		must(r.createVPC(&createVPCIn{CidrBlock: "10.0.0.0/16"}))
		first := must(r.Run(RunSpec{Type: "m5.large", SubnetID: r.subnet, Count: 2}))
		_, err = r.Run(RunSpec{Type: "t3.micro", SubnetID: r.subnet})
		r.wantCode(err, "VcpuLimitExceeded")
		must(r.Run(RunSpec{Type: "g4dn.xlarge", SubnetID: r.subnet})) // another quota
		_, err = r.Run(RunSpec{Type: "t3.micro", SubnetID: r.subnet, Spot: true})
		r.wantCode(err, "MaxSpotInstanceCountExceeded")
		r.Terminate(first[0].ID)
		must(r.Run(RunSpec{Type: "t3.micro", SubnetID: r.subnet}))
	})
}

func TestEndpointLife(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, r *rig) {
		e := must(r.createEndpoint(&createEndpointIn{VpcID: r.vpc, ServiceName: "com.amazonaws.us-east-1.ecr.dkr", VpcEndpointType: "Interface", SubnetIDs: []string{r.subnet}, PrivateDNSEnabled: new(false)})).Endpoint
		state := func() string {
			out, err := r.describeEndpoints(&describeEndpointsIn{IDs: []string{e.ID}})
			if err != nil {
				return code(err)
			}
			return out.Endpoints[0].State
		}
		var seen []string
		look := func() { seen = append(seen, state()) }
		look()
		time.Sleep(world.Fast.NATGatewayCreate)
		synctest.Wait()
		look()
		must(r.deleteEndpoints(&deleteEndpointsIn{IDs: []string{e.ID}}))
		look()
		if n := len(r.interfaces("interface-type", "vpc_endpoint")); n != 1 {
			t.Errorf("%d interfaces while it is deleting", n)
		}
		_, err := r.deleteSubnet(&subnetIn{SubnetID: r.subnet})
		r.wantCode(err, "DependencyViolation")
		time.Sleep(world.Fast.NATGatewayCreate)
		synctest.Wait()
		look()
		if got := strings.Join(seen, " "); got != "pending available deleting InvalidVpcEndpointId.NotFound" {
			t.Errorf("states %s", got)
		}
		must(r.deleteSubnet(&subnetIn{SubnetID: r.subnet}))
	})
}

func TestNetworkNeeds(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, r *rig) {
		tags := []tagSpec{{"vpc-endpoint", []tag{{"a", "b"}}}}
		got := map[string]bool{}
		for _, n := range r.endpointNeeds(&createEndpointIn{VpcID: r.vpc, ServiceName: "x", VpcEndpointType: "Interface", SubnetIDs: []string{r.subnet}, TagSpecifications: tags}) {
			got[n.Action+" "+n.Resource+" "+strings.Join(n.Context["aws:RequestTag/a"], "")+strings.Join(n.Context["ec2:CreateAction"], "")] = true
		}
		arn := "arn:aws:ec2:us-east-1:123456789012:"
		for _, want := range []string{
			"ec2:CreateVpcEndpoint " + arn + "vpc-endpoint/* b", "ec2:CreateVpcEndpoint " + arn + "vpc/" + r.vpc + " ", "ec2:CreateVpcEndpoint " + arn + "subnet/" + r.subnet + " ",
			"ec2:CreateTags " + arn + "vpc-endpoint/* bCreateVpcEndpoint", "route53:AssociateVPCWithHostedZone * ",
		} {
			if !got[want] {
				t.Errorf("no need %q in %v", want, got)
			}
		}
		must(r.importKey(&createKeyIn{KeyName: "me", PublicKeyMaterial: "c3NoLWVkMjU1MTkgQUFBQUMzTnphQzFsWkRJMU5URTVBQUFBSURhWTBaTStTTEpCb1BUZlpzNjdtWDA0bWVQWHMzd0lsQnRKM2w5N3Vjc3I="}))
		if n := r.needs("ec2:DeleteKeyPair", r.keyID("me"))[0]; n.Resource != arn+"key-pair/me" {
			t.Errorf("a key pair is %s", n.Resource)
		}
	})
}
