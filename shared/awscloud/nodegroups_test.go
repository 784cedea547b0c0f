package awscloud

import (
	"encoding/base64"
	"reflect"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	ekstypes "github.com/aws/aws-sdk-go-v2/service/eks/types"

	"github.com/ekspedite/ekspedite/shared/decide/scaling"
	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

// Texts of Auto Scaling's activities, from its guide and from people's questions.
func TestLaunchesThatFailed(t *testing.T) {
	for text, want := range map[string]scaling.GroupTrouble{
		"We currently do not have sufficient m5.large capacity in the Availability Zone you requested (us-east-1a). Our system will be working on provisioning additional capacity. Launching EC2 instance failed.":                             {Code: "InsufficientInstanceCapacity", Type: "m5.large"},
		"Could not launch Spot Instances. UnfulfillableCapacity - Unable to fulfill capacity due to your request configuration. Please adjust your request and try again. Launching EC2 instance failed.":                                       {Code: "UnfulfillableCapacity"},
		"Could not launch Spot Instances. InsufficientInstanceCapacity - There is no Spot capacity available that matches your request. Launching EC2 instance failed.":                                                                         {Code: "InsufficientInstanceCapacity"},
		"Could not launch Spot Instances. MaxSpotInstanceCountExceeded - Max spot instance count exceeded. Launching EC2 instance failed.":                                                                                                      {Code: "MaxSpotInstanceCountExceeded"},
		"Could not launch On-Demand Instances. VcpuLimitExceeded - You have requested more vCPU capacity than your current vCPU limit of 32 allows for the instance bucket that the specified instance type belongs to.":                        {Code: "VcpuLimitExceeded"},
		"You have requested more vCPU capacity than your current vCPU limit of 0 allows for the instance bucket that the specified instance type belongs to. Launching EC2 instance failed.":                                                    {Code: "VcpuLimitExceeded"},
		"There are not enough free addresses in subnet 'subnet-1' to satisfy the requested number of instances. Launching EC2 instance failed.":                                                                                                 {Code: "InsufficientFreeAddressesInSubnet"},
		"Your requested instance type (p5.48xlarge) is not supported in your requested Availability Zone (us-east-1e). Please retry your request by not specifying an Availability Zone or choosing us-east-1a. Launching EC2 instance failed.": {Code: "Unsupported", Type: "p5.48xlarge"},
		"Invalid IAM Instance Profile name. Launching EC2 instance failed.": {Code: "LaunchFailed"},
	} {
		got := trouble(astypes.Activity{StatusMessage: &text, Details: aws.String(`{"Subnet ID":"subnet-1","Availability Zone":"us-east-1a"}`)})
		if got.Code != want.Code || got.Type != want.Type || got.Zone != "us-east-1a" || got.Text != text {
			t.Errorf("%s:\n%+v", text, got)
		}
	}
}

func TestGroupsAreTranslated(t *testing.T) {
	asg := func(edit func(*astypes.AutoScalingGroup)) *astypes.AutoScalingGroup {
		g := &astypes.AutoScalingGroup{AutoScalingGroupName: aws.String("asg"), MinSize: aws.Int32(1), MaxSize: aws.Int32(5), DesiredCapacity: aws.Int32(2), AvailabilityZones: []string{"b", "a"},
			Instances: []astypes.Instance{{InstanceId: aws.String("i-1"), InstanceType: aws.String("m5.large"), AvailabilityZone: aws.String("a"), LifecycleState: "InService", ProtectedFromScaleIn: aws.Bool(true)}}}
		edit(g)
		return g
	}
	sized := scaling.Group{AutoScalingGroup: "asg", Min: 1, Max: 5, Desired: 2, Zones: []string{"a", "b"}, Members: []scaling.GroupMember{{InstanceID: "i-1", Type: "m5.large", Zone: "a", State: "InService", Protected: true}}}
	with := func(edit func(*scaling.Group)) scaling.Group {
		g := sized
		edit(&g)
		return g
	}
	mixed := func(base, share int32) func(*astypes.AutoScalingGroup) {
		return func(g *astypes.AutoScalingGroup) {
			g.MixedInstancesPolicy = &astypes.MixedInstancesPolicy{
				LaunchTemplate:        &astypes.LaunchTemplate{Overrides: []astypes.LaunchTemplateOverrides{{InstanceType: aws.String("m5.large")}, {InstanceType: aws.String("m6i.large")}}},
				InstancesDistribution: &astypes.InstancesDistribution{OnDemandBaseCapacity: aws.Int32(base), OnDemandPercentageAboveBaseCapacity: aws.Int32(share)},
			}
		}
	}
	plain := func(*astypes.AutoScalingGroup) {}
	for name, tc := range map[string]struct {
		found foundGroup
		of    template
		want  scaling.Group
	}{
		"of ours": {foundGroup{scaling: asg(plain), tags: map[string]string{tagNodeGroup: "own", nodeTemplate + "label/disk": "ssd", nodeTemplate + "taint/gpu": "yes:NoSchedule"}}, template{machine: "m5.large", maxPods: 20, diskGiB: 80},
			with(func(g *scaling.Group) {
				g.Kind, g.Name, g.Types, g.MaxPods, g.DiskGiB = scaling.SelfManaged, "own", []string{"m5.large"}, 20, 80
				g.Labels, g.Taints = map[string]string{"disk": "ssd"}, []fleet.Taint{{Key: "gpu", Value: "yes", Effect: "NoSchedule"}}
			})},
		"without a name": {foundGroup{scaling: asg(plain)}, template{machine: "m5.large", spot: true}, with(func(g *scaling.Group) {
			g.Kind, g.Name, g.Types, g.Spot = scaling.SelfManaged, "asg", []string{"m5.large"}, true
		})},
		"of spot machines": {foundGroup{scaling: asg(mixed(0, 0))}, template{machine: "t3.micro"}, with(func(g *scaling.Group) {
			g.Kind, g.Name, g.Types, g.Spot = scaling.SelfManaged, "asg", []string{"m5.large", "m6i.large"}, true
		})},
		"of both": {foundGroup{scaling: asg(mixed(1, 0))}, template{}, with(func(g *scaling.Group) {
			g.Kind, g.Name, g.Types = scaling.SelfManaged, "asg", []string{"m5.large", "m6i.large"}
		})},
		"managed": {foundGroup{scaling: asg(plain), managed: &ekstypes.Nodegroup{NodegroupName: aws.String("m"), Status: "ACTIVE", AmiType: "AL2023_x86_64_STANDARD", CapacityType: "SPOT", InstanceTypes: []string{"m5.large"}, DiskSize: aws.Int32(20),
			Labels: map[string]string{"a": "b"}, Tags: map[string]string{fleet.TagPool: "p"}, Taints: []ekstypes.Taint{{Key: aws.String("k"), Effect: "PREFER_NO_SCHEDULE"}}, ScalingConfig: &ekstypes.NodegroupScalingConfig{DesiredSize: aws.Int32(9)}}}, template{},
			with(func(g *scaling.Group) {
				g.Kind, g.Name, g.Status, g.AMIType, g.Spot, g.Types, g.DiskGiB, g.Pool = scaling.Managed, "m", "ACTIVE", "AL2023_x86_64_STANDARD", true, []string{"m5.large"}, 20, "p"
				g.Labels, g.Taints = map[string]string{"a": "b"}, []fleet.Taint{{Key: "k", Effect: "PreferNoSchedule"}}
			})},
		"being made": {foundGroup{managed: &ekstypes.Nodegroup{NodegroupName: aws.String("m"), Status: "CREATING", ScalingConfig: &ekstypes.NodegroupScalingConfig{MinSize: aws.Int32(0), MaxSize: aws.Int32(7), DesiredSize: aws.Int32(3)}}}, template{},
			scaling.Group{Kind: scaling.Managed, Name: "m", Status: "CREATING", Max: 7, Desired: 3}},
	} {
		if got := tc.found.group(tc.of); !reflect.DeepEqual(got, tc.want) {
			t.Errorf("%s:\n%+v, want\n%+v", name, got, tc.want)
		}
	}
}

func TestTemplatesSayHowManyPods(t *testing.T) {
	for text, want := range map[string]int{
		"/etc/eks/bootstrap.sh demo --use-max-pods false --kubelet-extra-args '--max-pods=58 --v=2'": 58,
		"spec:\n  kubelet:\n    config:\n      maxPods: 234\n":                                       234,
		"[settings.kubernetes]\nmax-pods = 110\n":                                                    110,
		`"maxPods": "17"`: 17, "nothing": 0, "use-max-pods false": 0,
	} {
		d := &ec2types.ResponseLaunchTemplateData{UserData: aws.String(base64.StdEncoding.EncodeToString([]byte(text)))}
		if got := readTemplate(d).maxPods; got != want {
			t.Errorf("%q: %d, want %d", text, got, want)
		}
	}
}

func TestSizesThatAreRefused(t *testing.T) {
	for text, want := range map[string]fault.Class{
		"New SetDesiredCapacity value 9 is above max value 6 for the AutoScalingGroup.": fault.Conflict,
		"New SetDesiredCapacity value 0 is below min value 1 for the AutoScalingGroup.": fault.Conflict,
		"AutoScalingGroup name not found - AutoScalingGroup g not found":                fault.NotFound,
		"1 validation error detected: Value '-1'":                                       fault.Invalid,
	} {
		if err := sizeError(&fault.Error{Code: validationError, Err: fault.New(fault.Transient, "%s", text)}); !fault.Is(err, want) {
			t.Errorf("%s: %s", text, fault.Of(err))
		}
	}
	if err := sizeError(nil); err != nil {
		t.Error(err)
	}
}
