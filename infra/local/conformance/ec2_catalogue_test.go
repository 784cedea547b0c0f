package conformance

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/binary"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// sshKey is a public key as in authorized_keys.
func sshKey(t *testing.T) []byte {
	public, _, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	var raw []byte
	for _, part := range [][]byte{[]byte("ssh-ed25519"), public} {
		raw = append(binary.BigEndian.AppendUint32(raw, uint32(len(part))), part...)
	}
	return []byte("ssh-ed25519 " + base64.StdEncoding.EncodeToString(raw) + " somebody@somewhere")
}

func TestEC2KeyPairs(t *testing.T) {
	t.Parallel()
	s := newEC2(t)
	in := &ec2.ImportKeyPairInput{KeyName: &s.name, PublicKeyMaterial: sshKey(t), TagSpecifications: s.tags("key-pair")}
	imported := must(s.ImportKeyPair(s.ctx, in))(t)
	_, err := s.ImportKeyPair(s.ctx, in)
	wantEC2(t, err, "InvalidKeyPair.Duplicate")
	_, err = s.ImportKeyPair(s.ctx, &ec2.ImportKeyPairInput{KeyName: aws.String(s.name + "-bad"), PublicKeyMaterial: []byte("nonsense")})
	wantEC2(t, err, "InvalidKey.Format", "InvalidKeyPair.Format") // the latter is moto's
	got := must(s.DescribeKeyPairs(s.ctx, &ec2.DescribeKeyPairsInput{KeyNames: []string{s.name}}))(t).KeyPairs
	if len(got) != 1 || *got[0].KeyPairId != *imported.KeyPairId || got[0].KeyType != "ed25519" || *got[0].KeyFingerprint == "" || len(got[0].Tags) != 1 {
		t.Errorf("key pairs %+v", got)
	}
	must(s.DeleteKeyPair(s.ctx, &ec2.DeleteKeyPairInput{KeyName: &s.name}))(t)
	must(s.DeleteKeyPair(s.ctx, &ec2.DeleteKeyPairInput{KeyName: &s.name}))(t) // deleting what is not there is no error
	_, err = s.DescribeKeyPairs(s.ctx, &ec2.DescribeKeyPairsInput{KeyNames: []string{s.name}})
	wantEC2(t, err, "InvalidKeyPair.NotFound")
	for kind, header := range map[types.KeyType]string{"rsa": "-----BEGIN RSA PRIVATE KEY-----", "ed25519": "-----BEGIN OPENSSH PRIVATE KEY-----"} {
		name := s.name + string(kind)
		made := must(s.CreateKeyPair(s.ctx, &ec2.CreateKeyPairInput{KeyName: &name, KeyType: kind}))(t)
		if exact(s.tg) && !strings.HasPrefix(*made.KeyMaterial, header) { // moto writes both in PKCS #8
			t.Errorf("%s: %.40s…", kind, *made.KeyMaterial)
		}
		must(s.DeleteKeyPair(s.ctx, &ec2.DeleteKeyPairInput{KeyPairId: made.KeyPairId}))(t)
	}
}

func TestEC2PlacementGroups(t *testing.T) {
	t.Parallel()
	s := newEC2(t)
	if !exact(s.tg) {
		t.Skip("moto has no placement groups")
	}
	in := &ec2.CreatePlacementGroupInput{GroupName: &s.name, Strategy: "partition", PartitionCount: aws.Int32(3), TagSpecifications: s.tags("placement-group")}
	must(s.CreatePlacementGroup(s.ctx, in))(t)
	_, err := s.CreatePlacementGroup(s.ctx, in)
	wantEC2(t, err, "InvalidPlacementGroup.Duplicate")
	got := must(s.DescribePlacementGroups(s.ctx, &ec2.DescribePlacementGroupsInput{GroupNames: []string{s.name}}))(t).PlacementGroups
	if len(got) != 1 || got[0].State != "available" || *got[0].PartitionCount != 3 {
		t.Errorf("placement groups %+v", got)
	}
	must(s.DeletePlacementGroup(s.ctx, &ec2.DeletePlacementGroupInput{GroupName: &s.name}))(t)
	_, err = s.DeletePlacementGroup(s.ctx, &ec2.DeletePlacementGroupInput{GroupName: &s.name})
	wantEC2(t, err, "InvalidPlacementGroup.Unknown")
}

func TestEC2Images(t *testing.T) {
	t.Parallel()
	s := newEC2(t)
	if !exact(s.tg) {
		t.Skip("moto has other images")
	}
	for name, owner := range map[string]string{
		"amazon-eks-node-al2023-x86_64-standard-1.36-*": "602401143452", "amazon-eks-node-al2023-arm64-nvidia-1.36-*": "amazon",
		"bottlerocket-aws-k8s-1.36-x86_64-*": "amazon", "ubuntu-eks/k8s_1.36/images/*24.04-amd64*": "099720109477",
		"Windows_Server-2022-English-Core-EKS_Optimized-1.36-*": "amazon",
	} {
		out := must(s.DescribeImages(s.ctx, &ec2.DescribeImagesInput{Owners: []string{owner}, Filters: []types.Filter{named("name", name), named("state", "available")}}))(t).Images
		if len(out) == 0 || *out[0].RootDeviceName == "" || len(out[0].BlockDeviceMappings) == 0 || strings.HasPrefix(name, "Windows") != (out[0].Platform == "windows") {
			t.Errorf("%s: %+v", name, out)
			continue
		}
		again := must(s.DescribeImages(s.ctx, &ec2.DescribeImagesInput{ImageIds: []string{*out[0].ImageId}}))(t).Images
		if len(again) != 1 || *again[0].Name != *out[0].Name {
			t.Errorf("%s by its id: %+v", name, again)
		}
	}
	_, err := s.DescribeImages(s.ctx, &ec2.DescribeImagesInput{ImageIds: []string{"ami-0123456789abcdef0"}})
	wantEC2(t, err, "InvalidAMIID.NotFound")
	_, err = s.DescribeImages(s.ctx, &ec2.DescribeImagesInput{ImageIds: []string{"nonsense"}})
	wantEC2(t, err, "InvalidAMIID.Malformed")
}

func TestEC2LocalZones(t *testing.T) {
	t.Parallel()
	s := newEC2(t)
	local := named("zone-type", "local-zone")
	all := must(s.DescribeAvailabilityZones(s.ctx, &ec2.DescribeAvailabilityZonesInput{AllAvailabilityZones: aws.Bool(true), Filters: []types.Filter{local}}))(t).AvailabilityZones
	if !exact(s.tg) || s.tg.Endpoint == "" && len(all) == 0 {
		t.Skip("there are no Local Zones")
	}
	if len(all) < 2 || all[0].ParentZoneName == nil {
		t.Fatalf("Local Zones %+v", all)
	}
	if s.tg.Endpoint == "" {
		return // opting in cannot be taken back
	}
	z := all[1]
	if z.OptInStatus != "not-opted-in" {
		t.Errorf("%s is %s", *z.ZoneName, z.OptInStatus)
	}
	vpc, _ := s.vpc(0)
	in := &ec2.CreateSubnetInput{VpcId: &vpc, CidrBlock: aws.String("10.7.0.0/24"), AvailabilityZone: z.ZoneName}
	_, err := s.CreateSubnet(s.ctx, in)
	wantEC2(t, err, "InvalidParameterValue")
	must(s.ModifyAvailabilityZoneGroup(s.ctx, &ec2.ModifyAvailabilityZoneGroupInput{GroupName: z.GroupName, OptInStatus: "opted-in"}))(t)
	sub := must(s.CreateSubnet(s.ctx, in))(t).Subnet.SubnetId
	must(s.DeleteSubnet(s.ctx, &ec2.DeleteSubnetInput{SubnetId: sub}))(t)
	open := must(s.DescribeAvailabilityZones(s.ctx, &ec2.DescribeAvailabilityZonesInput{Filters: []types.Filter{local}}))(t).AvailabilityZones
	if len(open) != 1 || *open[0].ZoneName != *z.ZoneName {
		t.Errorf("Local Zones that are open: %+v", open)
	}
}

func TestEC2TypesByRequirements(t *testing.T) {
	t.Parallel()
	s := newEC2(t)
	gpu := must(s.DescribeInstanceTypes(s.ctx, &ec2.DescribeInstanceTypesInput{InstanceTypes: []types.InstanceType{"g5.12xlarge", "trn1.32xlarge"}}))(t).InstanceTypes
	for _, k := range gpu {
		if k.InstanceType == "g5.12xlarge" && (*k.GpuInfo.Gpus[0].Count != 4 || *k.GpuInfo.Gpus[0].Manufacturer != "NVIDIA") ||
			k.InstanceType == "trn1.32xlarge" && (*k.NetworkInfo.MaximumNetworkCards != 8 || !*k.NetworkInfo.EfaSupported) {
			t.Errorf("%+v", k)
		}
	}
	if !exact(s.tg) {
		return // moto has no requirements
	}
	var got []string
	for p := ec2.NewGetInstanceTypesFromInstanceRequirementsPaginator(s, &ec2.GetInstanceTypesFromInstanceRequirementsInput{
		ArchitectureTypes: []types.ArchitectureType{"arm64"}, VirtualizationTypes: []types.VirtualizationType{"hvm"},
		InstanceRequirements: &types.InstanceRequirementsRequest{
			VCpuCount: &types.VCpuCountRangeRequest{Min: aws.Int32(2), Max: aws.Int32(2)}, MemoryMiB: &types.MemoryMiBRequest{Min: aws.Int32(8192), Max: aws.Int32(8192)},
		},
	}); p.HasMorePages(); {
		for _, m := range must(p.NextPage(s.ctx))(t).InstanceTypes {
			got = append(got, *m.InstanceType)
		}
	}
	if !slices.Contains(got, "m6g.large") || !slices.Contains(got, "m7g.large") || slices.Contains(got, "t4g.large") || slices.Contains(got, "m5.large") {
		t.Errorf("types %v", got)
	}
}

func TestEC2RulesAndTemplateVersions(t *testing.T) {
	t.Parallel()
	s := newEC2(t)
	vpc, _ := s.vpc(0)
	id := must(s.CreateSecurityGroup(s.ctx, &ec2.CreateSecurityGroupInput{GroupName: &s.name, Description: aws.String("rules"), VpcId: &vpc}))(t).GroupId
	s.undo("group", func(ctx context.Context) error {
		_, err := s.DeleteSecurityGroup(ctx, &ec2.DeleteSecurityGroupInput{GroupId: id})
		return err
	})
	must(s.AuthorizeSecurityGroupIngress(s.ctx, &ec2.AuthorizeSecurityGroupIngressInput{GroupId: id, TagSpecifications: s.tags("security-group-rule"), IpPermissions: []types.IpPermission{{
		IpProtocol: aws.String("tcp"), FromPort: aws.Int32(443), ToPort: aws.Int32(443), Ipv6Ranges: []types.Ipv6Range{{CidrIpv6: aws.String("::/0"), Description: aws.String("all")}},
	}}}))(t)
	rules := must(s.DescribeSecurityGroupRules(s.ctx, &ec2.DescribeSecurityGroupRulesInput{Filters: []types.Filter{named("group-id", *id)}}))(t).SecurityGroupRules
	i := slices.IndexFunc(rules, func(r types.SecurityGroupRule) bool { return !*r.IsEgress })
	if len(rules) != 2 || i < 0 || *rules[i].CidrIpv6 != "::/0" || *rules[i].FromPort != 443 {
		t.Fatalf("rules %+v", rules)
	}
	if exact(s.tg) { // moto neither tags rules nor shows their descriptions
		if len(rules[i].Tags) != 1 || *rules[i].Description != "all" {
			t.Errorf("rule %+v", rules[i])
		}
	}
	must(s.RevokeSecurityGroupIngress(s.ctx, &ec2.RevokeSecurityGroupIngressInput{GroupId: id, SecurityGroupRuleIds: []string{*rules[i].SecurityGroupRuleId}}))(t)

	lt := must(s.CreateLaunchTemplate(s.ctx, &ec2.CreateLaunchTemplateInput{LaunchTemplateName: &s.name, LaunchTemplateData: &types.RequestLaunchTemplateData{InstanceType: "t3.micro"}}))(t).LaunchTemplate.LaunchTemplateId
	s.undo("launch template", func(ctx context.Context) error {
		_, err := s.DeleteLaunchTemplate(ctx, &ec2.DeleteLaunchTemplateInput{LaunchTemplateId: lt})
		return err
	})
	must(s.CreateLaunchTemplateVersion(s.ctx, &ec2.CreateLaunchTemplateVersionInput{LaunchTemplateId: lt, LaunchTemplateData: &types.RequestLaunchTemplateData{InstanceType: "t3.small"}}))(t)
	if !exact(s.tg) {
		return // moto cannot delete versions
	}
	must(s.ModifyLaunchTemplate(s.ctx, &ec2.ModifyLaunchTemplateInput{LaunchTemplateId: lt, DefaultVersion: aws.String("2")}))(t)
	out := must(s.DeleteLaunchTemplateVersions(s.ctx, &ec2.DeleteLaunchTemplateVersionsInput{LaunchTemplateId: lt, Versions: []string{"1", "2", "7"}}))(t)
	if len(out.SuccessfullyDeletedLaunchTemplateVersions) != 1 || len(out.UnsuccessfullyDeletedLaunchTemplateVersions) != 2 {
		t.Errorf("deleted %+v", out)
	}
}
