package awscloud_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/ekspedite/ekspedite/shared/awscloud"
	"github.com/ekspedite/ekspedite/shared/decide/cluster"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/plan"
)

// nowhere is a network that leads nowhere.
type nowhere struct{}

func (nowhere) RoundTrip(*http.Request) (*http.Response, error) {
	return nil, errors.New("there is no way")
}

// TestCallsOfGroupsCanBeSaid: all that a node group can have is something that the SDK's inputs have, too.
func TestCallsOfGroupsCanBeSaid(t *testing.T) {
	cfg := awscloud.Static("http://127.0.0.1:1", "us-east-1", "AKIDEXAMPLE", "secret")
	cfg.HTTPClient = &http.Client{Transport: nowhere{}}
	cfg.Retryer = func() aws.Retryer { return aws.NopRetryer{} }
	region := awscloud.NewRegion(cfg)
	yes := true
	machine := fleet.MachineSpec{
		DiskGiB: 80, DiskType: "gp3", DiskName: "/dev/xvda", DiskIOPS: 3000, DiskThroughput: 125, DiskEncrypted: &yes, DiskKey: "key",
		Volumes:        []fleet.VolumeSpec{{Name: "/dev/xvdb", Type: "io2", Snapshot: "snap-1", Key: "key", GiB: 10, IOPS: 100, Encrypted: &yes}},
		SecurityGroups: []string{"sg-1"}, SSH: &fleet.SSHSpec{PublicKey: "ssh-ed25519 AAAA"}, SourceGroups: []string{"sg-2"}, EBSOptimized: &yes, Monitoring: true,
		EFA: true, Enclave: true, CPUCredits: "unlimited", Placement: "near", MaxPods: 30, PreBootstrapCommands: []string{"true"},
		Reservation: fleet.Props{"CapacityReservationPreference": "open", "CapacityReservationTarget": fleet.Props{"CapacityReservationId": "cr-1", "CapacityReservationResourceGroupArn": "arn:x"}},
	}
	base := fleet.NodeGroupSpec{
		Name: "one", InstanceTypes: []string{"m5.large"}, AMIFamily: "AmazonLinux2023", AMIType: "AL2023_x86_64_STANDARD", Min: 1, Max: 3, Desired: 2, Machine: machine,
		Labels: map[string]string{"a": "b"}, Taints: []fleet.Taint{{Key: "a", Value: "b", Effect: "NoSchedule"}}, Tags: map[string]string{"c": "d"}, MaxUnavailable: 2,
		SuspendedScaler: []string{"AZRebalance"}, PropagateTags: true, CapacityBlock: true, ReleaseVersion: "1.36.0-20261101",
		Repair: fleet.Props{"enabled": true, "maxParallelNodesRepairedCount": 2, "nodeRepairConfigOverrides": []any{fleet.Props{
			"nodeMonitoringCondition": "x", "nodeUnhealthyReason": "y", "minRepairWaitTimeMins": 5, "repairAction": "Replace"}}},
	}
	own := base
	own.Name, own.SelfManaged = "two", true
	own.Group = &fleet.GroupSpec{
		Distribution: fleet.Props{"SpotMaxPrice": "0.05", "OnDemandBaseCapacity": 1, "OnDemandPercentageAboveBaseCapacity": 0, "SpotAllocationStrategy": "lowest-price", "SpotInstancePools": 3},
		Rebalance:    true, Metrics: []fleet.Props{{"Granularity": "1Minute", "Metrics": []any{"GroupMinSize"}}}, TargetGroupARNs: []string{"arn:t"}, ClassicBalancers: []string{"old"}, MaxLifetimeSecs: 86400,
	}
	s := fleet.ClusterSpec{
		Name: "demo", Region: "us-east-1", Version: "1.36", AuthMode: "API", NodeGroups: []fleet.NodeGroupSpec{base, own},
		Network: fleet.NetworkSpec{CIDR: "10.0.0.0/16", NAT: fleet.NATDisable, PublicAccess: true, Zones: []string{"us-east-1a", "us-east-1b"}},
	}
	o := cluster.Observation{Depth: cluster.Full, Found: map[string][]fleet.Resource{}, Updates: map[string]fleet.Update{}}
	opt := cluster.Options{RunID: "run", Account: "123456789012", InterruptionRole: "arn:aws:iam::123456789012:role/x"}
	fresh, err := cluster.Forecast(time.Time{}, o, s, opt)
	if err != nil {
		t.Fatal(err)
	}
	said := map[string]bool{}
	say := func(p plan.Plan) {
		for _, step := range p.Steps {
			for _, a := range step.Actions {
				c := a.(plan.Call)
				if c.Unless = false; strings.HasPrefix(c.API, "kubernetes:") {
					continue
				}
				said[c.API] = true
				if _, err := region.Call(t.Context(), c); err == nil || !strings.Contains(err.Error(), "there is no way") {
					t.Errorf("%s: %v", c, err)
				}
			}
		}
	}
	say(fresh)

	// What is there, and differs in everything.
	tags := map[string]string{fleet.TagCluster: "demo"}
	have := func(id, name string, p fleet.Props) {
		o.Found[id] = []fleet.Resource{{Ref: fleet.Ref{ID: id, Kind: fleet.KindOf(id), Name: name}, Physical: name, ARN: "arn:" + name, Status: "ACTIVE", Tags: tags, Props: p}}
	}
	have("cluster", "demo", fleet.Props{"version": "1.36"})
	have("template/one", "lt-1", fleet.Props{"latestVersionNumber": 1})
	have("template/two", "lt-2", fleet.Props{"latestVersionNumber": 1})
	have("sg/ssh/one", "sg-3", fleet.Props{"ipPermissions": []any{fleet.Props{"ipProtocol": "tcp", "fromPort": 22, "toPort": 22, "userIdGroupPairs": []any{
		fleet.Props{"groupId": "sg-9", "description": "ekspedite: SSH"}}}}})
	have("nodegroup/one", "one", fleet.Props{"launchTemplate": fleet.Props{"id": "lt-1", "version": "1"}, "version": "1.36", "labels": map[string]string{"x": "y"},
		"taints": []any{fleet.Props{"key": "x", "effect": "NO_EXECUTE"}}, "scalingConfig": fleet.Props{"minSize": 4, "maxSize": 5, "desiredSize": 4}})
	have("asg/two", "ekspedite-demo-two", fleet.Props{"minSize": 9})
	for range 3 { // EKS takes one change at a time
		p, err := cluster.Forecast(time.Time{}, o, s, opt)
		if err != nil {
			t.Fatal(err)
		}
		say(p)
		if group := o.Found["nodegroup/one"][0]; group.Tags["c"] == "" {
			o.Found["nodegroup/one"][0].Tags = map[string]string{fleet.TagCluster: "demo", fleet.TagEksctlCluster: "demo", "c": "d"}
		} else {
			group.Props["labels"], group.Props["taints"] = base.Labels, []any{fleet.Props{"key": "a", "value": "b", "effect": "NO_SCHEDULE"}}
			group.Props["scalingConfig"], group.Props["updateConfig"] = fleet.Props{"minSize": 1, "maxSize": 3, "desiredSize": 2}, fleet.Props{"maxUnavailable": 2}
			group.Props["nodeRepairConfig"] = base.Repair
		}
	}
	for _, api := range []string{"eks:CreateNodegroup", "eks:UpdateNodegroupConfig", "eks:UpdateNodegroupVersion", "eks:TagResource", "ec2:CreateLaunchTemplate", "ec2:CreateLaunchTemplateVersion",
		"ec2:ImportKeyPair", "ec2:AuthorizeSecurityGroupIngress", "ec2:AuthorizeSecurityGroupEgress", "ec2:RevokeSecurityGroupIngress", "autoscaling:CreateAutoScalingGroup",
		"autoscaling:UpdateAutoScalingGroup", "autoscaling:CreateOrUpdateTags", "autoscaling:SuspendProcesses", "autoscaling:EnableMetricsCollection",
		"autoscaling:AttachLoadBalancerTargetGroups", "autoscaling:AttachLoadBalancers", "iam:CreateInstanceProfile", "iam:AddRoleToInstanceProfile"} {
		if !said[api] {
			t.Errorf("%s was not asked for", api)
		}
	}
}
