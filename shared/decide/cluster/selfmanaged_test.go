package cluster

import (
	"slices"
	"strings"
	"testing"

	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/plan"
)

const al2023Image = "/aws/service/eks/optimized-ami/1.36/amazon-linux-2023/x86_64/standard/recommended/image_id"

// ownGroup is the demo with one Auto Scaling group, changed.
func ownGroup(change func(*fleet.NodeGroupSpec)) fleet.ClusterSpec {
	return grouped(func(g *fleet.NodeGroupSpec) {
		g.SelfManaged, g.Group = true, &fleet.GroupSpec{}
		g.Labels = map[string]string{"team": "web"}
		if change != nil {
			change(g)
		}
	})
}

func withImages() Observation {
	o := empty()
	o.Market.Images = map[string]string{al2023Image: "ami-newest"}
	return o
}

func TestSelfManagedGroup(t *testing.T) {
	o := withImages()
	calls := simulate(t, ownGroup(nil), &o)
	in := sent(t, calls, "autoscaling:CreateAutoScalingGroup", "asg/one")
	if !fleet.Covers(in, fleet.Props{
		"autoScalingGroupName": "ekspedite-demo-one", "minSize": 1, "maxSize": 6, "desiredCapacity": 3,
		"launchTemplate":    fleet.Props{"launchTemplateId": "id-of template/one", "version": "1"},
		"vpcZoneIdentifier": "id-of subnet/public/us-east-1a,id-of subnet/public/us-east-1b,id-of subnet/public/us-east-1c",
	}) {
		t.Errorf("%v", in)
	}
	for key, launched := range map[string]bool{"kubernetes.io/cluster/demo": true, "ekspedite.dev/cluster": true, "cost": true, "Name": true, tagTemplate: false} {
		i := slices.IndexFunc(fleet.Items(in, "tags"), func(t fleet.Props) bool { return t["key"] == key })
		if i < 0 || fleet.Flag(fleet.Items(in, "tags")[i], "propagateAtLaunch") != launched {
			t.Errorf("tag %s: %v", key, in["tags"])
		}
	}
	data := sent(t, calls, "ec2:CreateLaunchTemplate", "template/one")["launchTemplateData"]
	if !fleet.Covers(data, fleet.Props{
		"imageId": "ami-newest", "instanceType": "m5.large", "iamInstanceProfile": fleet.Props{"name": "ekspedite-us-east-1-demo-node"},
		"networkInterfaces": []any{fleet.Props{"deviceIndex": 0, "associatePublicIpAddress": true, "groups": []any{"sg-cluster"}}},
	}) {
		t.Errorf("%v", data)
	}
	entry := sent(t, calls, "eks:CreateAccessEntry", "access/arn:aws:test:::role/node")
	if entry["type"] != "EC2_LINUX" || entry["kubernetesGroups"] != nil {
		t.Errorf("%v", entry)
	}
	at := func(api string) int { return slices.IndexFunc(calls, func(c plan.Call) bool { return c.API == api }) }
	group := at("autoscaling:CreateAutoScalingGroup")
	for _, api := range []string{"iam:AddRoleToInstanceProfile", "eks:CreateCluster", "ec2:CreateRoute"} {
		if i := at(api); i < 0 || i > group {
			t.Errorf("%s is call %d, the group %d", api, i, group)
		}
	}
}

func TestMixedInstances(t *testing.T) {
	mixedGroup := func(g *fleet.NodeGroupSpec) {
		g.InstanceTypes = []string{"m5.large", "m6i.large"}
		g.Group.Distribution = fleet.Props{"OnDemandBaseCapacity": 1, "SpotAllocationStrategy": "price-capacity-optimized"}
	}
	o := withImages()
	calls := simulate(t, ownGroup(mixedGroup), &o)
	in := sent(t, calls, "autoscaling:CreateAutoScalingGroup", "asg/one")
	if in["launchTemplate"] != nil || !fleet.Covers(in["mixedInstancesPolicy"], fleet.Props{
		"instancesDistribution": fleet.Props{"onDemandBaseCapacity": 1, "spotAllocationStrategy": "price-capacity-optimized"},
		"launchTemplate": fleet.Props{"launchTemplateSpecification": fleet.Props{"launchTemplateId": "id-of template/one", "version": "1"},
			"overrides": []any{fleet.Props{"instanceType": "m5.large"}, fleet.Props{"instanceType": "m6i.large"}}},
	}) {
		t.Errorf("%v", in)
	}
	if data := sent(t, calls, "ec2:CreateLaunchTemplate", "template/one")["launchTemplateData"]; fleet.At(data.(fleet.Props), "instanceType") != nil {
		t.Errorf("%v", data)
	}
	calls = simulate(t, ownGroup(func(g *fleet.NodeGroupSpec) { mixedGroup(g); g.InstanceTypes = append(g.InstanceTypes, "m7i.large") }), &o)
	if len(calls) != 1 || len(fleet.Items(calls[0].Input, "mixedInstancesPolicy", "launchTemplate", "overrides")) != 3 {
		t.Errorf("%v", calls)
	}
}

func TestSelectorOfSelfManagedGroup(t *testing.T) {
	s := ownGroup(func(g *fleet.NodeGroupSpec) {
		g.InstanceTypes, g.Selector = nil, &fleet.InstanceSelector{VCPUs: 4, MemoryMiB: 16384, Arch: "x86_64"}
	})
	o := withImages()
	o.Market.Asked, o.Market.Types = true, market()
	simulate(t, s, &o)
	o.Market.Types = nil
	s.NodeGroups[0].Machine.DiskGiB = 120
	calls := simulate(t, s, &o)
	in := sent(t, calls, "autoscaling:UpdateAutoScalingGroup", "asg/one")
	if got := fleet.Items(in, "mixedInstancesPolicy", "launchTemplate", "overrides"); len(got) != 1 || got[0]["instanceType"] != "m5.xlarge" {
		t.Errorf("what the selector found is to stay: %v", in)
	}
}

func TestSelfManagedGroupConverges(t *testing.T) {
	update := []string{"autoscaling:UpdateAutoScalingGroup"}
	for name, tc := range map[string]struct {
		change func(*fleet.NodeGroupSpec)
		calls  []string
		input  fleet.Props // of the first
		note   string
	}{
		"size":      {func(g *fleet.NodeGroupSpec) { g.Min, g.Max = 2, 9 }, update, fleet.Props{"minSize": 2, "maxSize": 9, "desiredCapacity": nil}, ""},
		"desired":   {func(g *fleet.NodeGroupSpec) { g.Desired = 5 }, nil, nil, ""},
		"tags":      {func(g *fleet.NodeGroupSpec) { g.Tags = map[string]string{"cost": "2"} }, []string{"autoscaling:CreateOrUpdateTags"}, fleet.Props{}, ""},
		"life":      {func(g *fleet.NodeGroupSpec) { g.Group.MaxLifetimeSecs = 86400 }, update, fleet.Props{"maxInstanceLifetime": 86400}, ""},
		"rebalance": {func(g *fleet.NodeGroupSpec) { g.Group.Rebalance = true }, update, fleet.Props{"capacityRebalance": true}, ""},
		"suspended": {func(g *fleet.NodeGroupSpec) { g.SuspendedScaler = []string{"AZRebalance"} }, []string{"autoscaling:SuspendProcesses"},
			fleet.Props{"scalingProcesses": []any{"AZRebalance"}, "autoScalingGroupName": "ekspedite-demo-one"}, ""},
		"metrics": {func(g *fleet.NodeGroupSpec) {
			g.Group.Metrics = []fleet.Props{{"Granularity": "1Minute", "Metrics": []any{"GroupMaxSize"}}}
		}, []string{"autoscaling:EnableMetricsCollection"}, fleet.Props{"granularity": "1Minute", "metrics": []any{"GroupMaxSize"}}, ""},
		"disk": {func(g *fleet.NodeGroupSpec) { g.Machine.DiskGiB = 100 },
			[]string{"ec2:CreateLaunchTemplateVersion", "autoscaling:UpdateAutoScalingGroup", "autoscaling:CreateOrUpdateTags"}, nil, "new machines are made as the file says"},
		"labels": {func(g *fleet.NodeGroupSpec) { g.Labels = map[string]string{"team": "db"} },
			[]string{"ec2:CreateLaunchTemplateVersion", "autoscaling:UpdateAutoScalingGroup", "autoscaling:CreateOrUpdateTags"}, nil, "new machines"},
		"zones": {func(g *fleet.NodeGroupSpec) { g.Zones = []string{"us-east-1a"} }, nil, nil, "without draining"},
	} {
		t.Run(name, func(t *testing.T) {
			o := withImages()
			simulate(t, ownGroup(nil), &o)
			o.Market.Images[al2023Image] = "ami-newer"
			s := ownGroup(tc.change)
			if tc.calls != nil && !Unsettled(now, glance(o, s), s, opt) {
				t.Error("a light look does not see it")
			}
			forecast, err := Forecast(now, o, s, opt)
			if err != nil {
				t.Fatal(err)
			}
			var apis []string
			calls := simulate(t, s, &o)
			for _, c := range calls {
				apis = append(apis, c.API)
			}
			if !slices.Equal(apis, tc.calls) {
				t.Fatalf("%v, want %v", apis, tc.calls)
			}
			if len(calls) > 0 && !fleet.Covers(calls[0].Input, tc.input) {
				t.Errorf("%v\nshould have %v", calls[0].Input, tc.input)
			}
			if !strings.Contains(forecast.String(), tc.note) {
				t.Errorf("%s", forecast)
			}
			if data := fleet.At(o.Found["template/one"][0].Props, "launchTemplateData", "imageId"); data != "ami-newest" {
				t.Errorf("the image was changed unasked: %v", data)
			}
		})
	}
}

func TestImages(t *testing.T) {
	for name, tc := range map[string]struct {
		g    fleet.NodeGroupSpec
		want string
	}{
		"managed":        {fleet.NodeGroupSpec{AMIFamily: "AmazonLinux2023", AMIType: "AL2023_x86_64_STANDARD"}, ""},
		"managed Ubuntu": {fleet.NodeGroupSpec{AMIFamily: "UbuntuPro2204", AMIType: "CUSTOM", InstanceTypes: []string{"m7g.large"}}, "/aws/service/canonical/ubuntu/eks-pro/22.04/VERSION/stable/current/arm64/hvm/ebs-gp2/ami-id"},
		"own image":      {fleet.NodeGroupSpec{AMIFamily: "AmazonLinux2", AMIType: "CUSTOM", AMI: "ami-1"}, "ami-1"},
		"AL2023":         {fleet.NodeGroupSpec{SelfManaged: true, AMIFamily: "AmazonLinux2023", AMIType: "AL2023_ARM_64_NVIDIA"}, "/aws/service/eks/optimized-ami/VERSION/amazon-linux-2023/arm64/nvidia/recommended/image_id"},
		"AL2":            {fleet.NodeGroupSpec{SelfManaged: true, AMIFamily: "AmazonLinux2", AMIType: "AL2_x86_64_GPU"}, "/aws/service/eks/optimized-ami/VERSION/amazon-linux-2-gpu/recommended/image_id"},
		"Bottlerocket":   {fleet.NodeGroupSpec{SelfManaged: true, AMIFamily: "BottlerocketFips", AMIType: "BOTTLEROCKET_ARM_64_NVIDIA_FIPS"}, "/aws/service/bottlerocket/aws-k8s-VERSION-nvidia-fips/arm64/latest/image_id"},
		"Windows":        {fleet.NodeGroupSpec{SelfManaged: true, AMIFamily: "WindowsServer2022CoreContainer", AMIType: "WINDOWS_CORE_2022_x86_64"}, "/aws/service/ami-windows-latest/Windows_Server-2022-English-Core-EKS_Optimized-VERSION/image_id"},
		"Ubuntu":         {fleet.NodeGroupSpec{SelfManaged: true, AMIFamily: "Ubuntu2404", AMIType: "CUSTOM"}, "/aws/service/canonical/ubuntu/eks/24.04/VERSION/stable/current/amd64/hvm/ebs-gp3/ami-id"},
	} {
		if got := imageOf(tc.g); got != tc.want {
			t.Errorf("%s: %s, want %s", name, got, tc.want)
		}
	}
}

func TestImagesAreAskedForWhenTheyAreNeeded(t *testing.T) {
	o := empty()
	if ask := ToAsk(o, ownGroup(nil), opt); !slices.Equal(ask.Images, []string{al2023Image}) {
		t.Errorf("%+v", ask)
	}
	o.Market.Images = map[string]string{al2023Image: ""}
	if p, err := Forecast(now, o, ownGroup(nil), opt); err != nil || p.Outcome != OutcomeFailed || !strings.Contains(p.Reason, "AWS has no image of AmazonLinux2023") {
		t.Errorf("%v %s", err, p)
	}
	o = withImages()
	simulate(t, ownGroup(nil), &o)
	o.Market = Market{}
	if ask := ToAsk(o, ownGroup(nil), opt); len(ask.Images) != 0 {
		t.Errorf("the template is there, and %+v is asked for", ask)
	}
}

func TestGivenRolesAndProfiles(t *testing.T) {
	o := withImages()
	calls := simulate(t, ownGroup(func(g *fleet.NodeGroupSpec) { g.IAM.RoleARN = "arn:aws:iam::123456789012:role/team/mine" }), &o)
	if in := sent(t, calls, "iam:AddRoleToInstanceProfile", "profile/one/role"); in["roleName"] != "mine" {
		t.Errorf("%v", in)
	}
	sent(t, calls, "eks:CreateAccessEntry", "access/arn:aws:iam::123456789012:role/team/mine")
	if got := called(calls, "role/node"); got != nil {
		t.Errorf("%v", got)
	}

	o = withImages()
	s := ownGroup(func(g *fleet.NodeGroupSpec) { g.IAM.ProfileARN = "arn:aws:iam::123456789012:instance-profile/mine" })
	p, err := Forecast(now, o, s, opt)
	if err != nil || !strings.Contains(p.String(), "let its role in by accessConfig.accessEntries") {
		t.Errorf("%v %s", err, p)
	}
	calls = simulate(t, s, &o)
	if got := called(calls, "profile/"); got != nil {
		t.Errorf("%v", got)
	}
	s = ownGroup(nil)
	s.AuthMode = "CONFIG_MAP"
	if p, err := Forecast(now, withImages(), s, opt); err != nil || p.Outcome != OutcomeFailed || !strings.Contains(p.Reason, "API_AND_CONFIG_MAP") {
		t.Errorf("%v %s", err, p)
	}
}

// TestWantedNames: what a group consists of is found by names that are known before anything is there.
func TestWantedNames(t *testing.T) {
	var got []string
	for _, ref := range Wanted(ownGroup(nil), opt) {
		if plan.IsUnknown(ref.Name) {
			t.Errorf("%+v", ref)
		}
		got = append(got, ref.ID+" "+ref.Name)
	}
	for _, want := range []string{"asg/one ekspedite-demo-one", "profile/common ekspedite-us-east-1-demo-node",
		"access/arn:aws:iam::123456789012:role/ekspedite/us-east-1/demo/ekspedite-us-east-1-demo-node arn:aws:iam::123456789012:role/ekspedite/us-east-1/demo/ekspedite-us-east-1-demo-node"} {
		if !slices.Contains(got, want) {
			t.Errorf("%s is not among %v", want, got)
		}
	}
}
