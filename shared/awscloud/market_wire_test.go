package awscloud_test

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/ekspedite/ekspedite/shared/awscloud"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

// TestMarketOverTheWire reads the embedded cloud's market, and buys there.
func TestMarketOverTheWire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cloud, cfg := embedded(t)
		browse(t, awscloud.NewMarket(cfg, time.Now))
		here, err := cloud.In(cloud.World.Region)
		if err != nil {
			t.Fatal(err)
		}
		here.EC2.LimitCapacity("m5.large", "us-east-1a", "on-demand", 2)
		buy(t, cfg)
	})
}

func browse(t *testing.T, m *awscloud.Market) {
	types := must(m.Catalogue(t.Context()))(t)
	spot := must(m.SpotPrices(t.Context()))(t)
	by := map[string]fleet.MachineType{}
	for _, machine := range types {
		by[machine.Name] = machine
	}
	if len(by) < 50 || !slices.IsSortedFunc(types, func(a, b fleet.MachineType) int { return strings.Compare(a.Name, b.Name) }) {
		t.Errorf("%d types", len(by))
	}
	m5 := by["m5.large"]
	if m5.Arch != "amd64" || m5.VCPUs != 2 || m5.MemoryMiB != 8192 || m5.ENIs != 3 || m5.IPsPerENI != 10 || !m5.Nitro || m5.Bare || m5.Burstable || m5.Attachments < 25 || m5.Accelerators != nil {
		t.Errorf("%+v", m5)
	}
	if len(m5.Offerings) < 3 || m5.Offerings[0] != (fleet.Offering{Zone: "us-east-1a", Price: 0.096}) {
		t.Errorf("%+v", m5.Offerings)
	}
	for _, o := range m5.Offerings {
		if p := spot["m5.large"][o.Zone]; o.Spot || p <= 0 || p >= o.Price {
			t.Errorf("%+v, on the spot market %v", o, p)
		}
	}
	arm, devices := 0, map[string]int64{}
	for _, machine := range types {
		if machine.Arch == "arm64" {
			arm++
		}
		for name, n := range machine.Accelerators {
			devices[name] += n
		}
	}
	if arm == 0 || devices["nvidia.com/gpu"] == 0 || devices["aws.amazon.com/neuron"] == 0 {
		t.Errorf("%d of arm64, devices %v", arm, devices)
	}
}

// buy launches a fleet of which there is only a part.
func buy(t *testing.T, cfg awscloud.Config) {
	machines, groups := ec2.NewFromConfig(cfg), awscloud.NewNodeGroups(cfg, time.Now)
	vpc := must(machines.CreateVpc(t.Context(), &ec2.CreateVpcInput{CidrBlock: aws.String("10.7.0.0/16")}))(t).Vpc.VpcId
	subnet := must(machines.CreateSubnet(t.Context(), &ec2.CreateSubnetInput{VpcId: vpc, CidrBlock: aws.String("10.7.0.0/24"), AvailabilityZone: aws.String("us-east-1a")}))(t).Subnet.SubnetId
	template := must(machines.CreateLaunchTemplate(t.Context(), &ec2.CreateLaunchTemplateInput{LaunchTemplateName: aws.String("nodes"),
		LaunchTemplateData: &ec2types.RequestLaunchTemplateData{ImageId: aws.String("ami-12c6146b")}}))(t).LaunchTemplate.LaunchTemplateId
	in := fleet.Props{
		"type": "instant", "clientToken": "once", "targetCapacitySpecification": fleet.Props{"totalTargetCapacity": 3, "defaultTargetCapacityType": "on-demand"},
		"launchTemplateConfigs": []any{fleet.Props{
			"launchTemplateSpecification": fleet.Props{"launchTemplateId": *template, "version": "$Default"},
			"overrides":                   []any{fleet.Props{"instanceType": "m5.large", "subnetId": *subnet}},
		}},
		"tagSpecifications": []any{fleet.Props{"resourceType": "instance", "tags": []any{
			fleet.Props{"key": "kubernetes.io/cluster/demo", "value": "owned"}, fleet.Props{"key": fleet.TagPool, "value": "p"}}}},
	}
	got := must(groups.Launch(t.Context(), in))(t)
	if n := len(got.Instances); n != 2 {
		t.Errorf("%d machines of 3, of which there are 2", n)
	}
	for range 2 { // the same token is the same fleet
		if again := must(groups.Launch(t.Context(), in))(t); !slices.Equal(again.Instances, got.Instances) {
			t.Errorf("twice: %v, then %v", got.Instances, again.Instances)
		}
	}
	list := must(groups.Instances(t.Context(), "demo"))(t)
	if len(list) != 2 || list[0].Tags[fleet.TagPool] != "p" || list[0].Launched.IsZero() || list[0].Type != "m5.large" {
		t.Errorf("%+v", list)
	}
	in["clientToken"] = "again"
	none := must(groups.Launch(t.Context(), in))(t)
	if want := (fleet.LaunchFailure{Code: "InsufficientInstanceCapacity", Type: "m5.large", Zone: "us-east-1a"}); len(none.Failures) != 1 || none.Failures[0].Code != want.Code || none.Failures[0].Type != want.Type || none.Failures[0].Zone != want.Zone || len(none.Instances) > 0 {
		t.Errorf("%+v", none)
	}
	if _, err := groups.Launch(t.Context(), fleet.Props{"kind": "instant"}); err == nil {
		t.Error("EC2 has no such name")
	}
}
