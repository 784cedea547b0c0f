package eks

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
)

func TestNodegroupFieldRefusals(t *testing.T) {
	repair := func(n nodeRepairConfig) func(*createNodegroupIn) {
		return func(in *createNodegroupIn) { in.NodeRepairConfig = &n }
	}
	for name, tc := range map[string]struct {
		change  func(*createNodegroupIn)
		message string
	}{
		"key":          {func(in *createNodegroupIn) { in.RemoteAccess = &remoteAccess{EC2SSHKey: "none"} }, "KeyPair none not found"},
		"source":       {func(in *createNodegroupIn) { in.RemoteAccess = &remoteAccess{"ops", []string{"sg-none"}} }, "The security group 'sg-none' does not exist"},
		"source's VPC": {func(in *createNodegroupIn) { in.RemoteAccess = &remoteAccess{"ops", []string{"sg-x"}} }, "Security group sg-x is not in the cluster's VPC"},
		"SSH, template": {func(in *createNodegroupIn) {
			in.RemoteAccess, in.LaunchTemplate, in.InstanceTypes = &remoteAccess{EC2SSHKey: "ops"}, &launchTemplateRef{ID: "lt-own"}, nil
		}, "Remote access configuration cannot be specified with a launch template."},
		"two limits":    {repair(nodeRepairConfig{MaxUnhealthyNodeThresholdCount: intp(1), MaxUnhealthyNodeThresholdPercentage: intp(1)}), "cannot be specified together"},
		"percentage":    {repair(nodeRepairConfig{MaxParallelNodesRepairedPercentage: intp(101)}), "a percentage at most 100"},
		"override":      {repair(nodeRepairConfig{NodeRepairConfigOverrides: []nodeRepairOverride{{RepairAction: "Reboot"}}}), "All the values"},
		"warm pool":     {func(in *createNodegroupIn) { in.WarmPoolConfig = &warmPoolConfig{Enabled: new(true)} }, "Spot"},
		"block":         {func(in *createNodegroupIn) { in.CapacityType = capacityBlock }, "capacity reservation ID"},
		"GPU":           {func(in *createNodegroupIn) { in.AMIType = "AL2023_x86_64_NVIDIA" }, "[m5.large] is not a valid instance type for requested amiType AL2023_x86_64_NVIDIA"},
		"AL2":           {func(in *createNodegroupIn) { in.AMIType = "AL2_x86_64" }, "AMI Type AL2_x86_64 is only supported for kubernetes versions 1.32 or earlier"},
		"no such image": {func(in *createNodegroupIn) { in.AMIType = "AL3" }, "AL3"},
		"windows image": {func(in *createNodegroupIn) {
			in.AMIType, in.ReleaseVersion = "WINDOWS_CORE_2022_x86_64", "1.35.10-20261112"
		}, "Allowed release version is 1.35-2026.11.12"},
		"own image":      {func(in *createNodegroupIn) { in.AMIType = "CUSTOM" }, "You must specify an image id within your launch template"},
		"label":          {func(in *createNodegroupIn) { in.Labels = map[string]string{"a b": "c"} }, "Kubernetes would not take it"},
		"taint's effect": {func(in *createNodegroupIn) { in.Taints = []taint{{"a", "b", "NoSchedule"}} }, "NO_SCHEDULE"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				r.mustCluster()
				in := nodegroupInput()
				tc.change(in)
				_, err := r.createNodegroup(t.Context(), asAdmin(), in)
				wantError(t, err, "InvalidParameterException", tc.message)
			})
		})
	}
}

// Every AMI type that EKS knows works with machines that fit.
func TestAMITypes(t *testing.T) {
	r, _ := findRelease("1.36")
	for ami := range amiTypes {
		if ami == "CUSTOM" || strings.HasPrefix(ami, "AL2_") {
			continue
		}
		c := &cluster{name: "c", version: "1.36"}
		version, release, err := new(Service).chooseVersion(c, ami, "1.36", "", "")
		if err != nil || version != "1.36" || release == "" {
			t.Errorf("%s: %s, %s, %v", ami, version, release, err)
		}
		if err := new(Service).checkRelease(r, "c", ami, release); err != nil {
			t.Errorf("%s does not take its own release: %v", ami, err)
		}
	}
	for name, want := range map[string]string{"g5.xlarge": "nvidia", "p4d.24xlarge": "nvidia", "inf2.xlarge": "neuron", "trn1.2xlarge": "neuron", "m5.large": "", "t3.medium": "", "i3.large": ""} {
		if got := accelerator(name); got != want {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestWindowsNodegroup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.mustCluster()
		in := nodegroupInput()
		in.AMIType, in.RemoteAccess = "WINDOWS_CORE_2022_x86_64", &remoteAccess{"ops", []string{"sg-2"}}
		out, err := r.createNodegroup(t.Context(), asAdmin(), in)
		if err != nil {
			t.Fatal(err)
		}
		r.until(func() bool { return r.clusters["c"].nodegroups["ng"].status == active })
		if g := out.Nodegroup; g.DiskSize != 50 || g.ReleaseVersion != "1.35-2026.11.12" || g.RemoteAccess.EC2SSHKey != "ops" {
			t.Errorf("node group %+v", g)
		}
		n := r.plane().nodes["ip-10-0-0-"+r.machineAddress()+".ec2.internal"]
		if n.Labels["kubernetes.io/os"] != "windows" || n.Labels["node.kubernetes.io/windows-build"] != "10.0.20348" {
			t.Errorf("labels %v", n.Labels)
		}
		if e := r.clusters["c"].entries[nodeRole]; e.kind != ec2Windows || !slices.Contains(e.groups, "eks:kube-proxy-windows") {
			t.Errorf("entry %+v", e)
		}
		if g := r.ec2.remote; g.Port != 3389 || !slices.Equal(g.Sources, []string{"sg-2"}) || g.VPCID != "vpc-1" {
			t.Errorf("remote access %+v", g)
		}
		seen, err := r.describeNodegroup(t.Context(), asAdmin(), &nodegroupName{"c", "ng"})
		if err != nil || seen.Nodegroup.Resources.RemoteAccessSecurityGroup != "sg-remote" {
			t.Errorf("%+v, %v", seen, err)
		}

		// What stays makes the delete fail, and a second delete goes on.
		r.ec2.stuck = errors.New("resource sg-remote has a dependent object")
		if _, err := r.deleteNodegroup(t.Context(), asAdmin(), &nodegroupName{"c", "ng"}); err != nil {
			t.Fatal(err)
		}
		r.until(func() bool { return r.clusters["c"].nodegroups["ng"].status == deleteFailed })
		if got := r.clusters["c"].nodegroups["ng"].issues; len(got) != 1 || got[0].Code != "Ec2SecurityGroupDeletionFailure" || got[0].ResourceIDs[0] != "sg-remote" {
			t.Errorf("issues %+v", got)
		}
		r.ec2.stuck = nil
		if _, err := r.deleteNodegroup(t.Context(), asAdmin(), &nodegroupName{"c", "ng"}); err != nil {
			t.Fatal(err)
		}
		r.until(func() bool { return r.clusters["c"].nodegroups["ng"] == nil })
	})
}

// machineAddress is the last part of the first machine's address.
func (r *rig) machineAddress() string {
	r.Service.mu.Lock()
	defer r.Service.mu.Unlock()
	ip := r.machines[sortedKeys(r.machines)[0]].inst.PrivateIP
	return ip[strings.LastIndexByte(ip, '.')+1:]
}

func TestPublicSubnetWithoutPublicAddresses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.mustCluster()
		in := nodegroupInput()
		in.Subnets = []string{"subnet-a", "subnet-p"}
		if _, err := r.createNodegroup(t.Context(), asAdmin(), in); err != nil {
			t.Fatal(err)
		}
		r.until(func() bool { return r.clusters["c"].nodegroups["ng"].status == createFailed })
		if got := r.clusters["c"].nodegroups["ng"].issues[0]; got.Code != "Ec2SubnetInvalidConfiguration" || !slices.Equal(got.ResourceIDs, []string{"subnet-p"}) {
			t.Errorf("issue %+v", got)
		}
		if _, err := r.deleteNodegroup(t.Context(), asAdmin(), &nodegroupName{"c", "ng"}); err != nil {
			t.Fatal(err)
		}
		r.until(func() bool { return r.clusters["c"].nodegroups["ng"] == nil })
	})
}

func TestNodegroupOfAnIPv6Cluster(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.mustCluster()
		r.clusters["c"].network.IPFamily = ipv6
		if _, err := r.createNodegroup(t.Context(), asAdmin(), nodegroupInput()); err != nil {
			t.Fatal(err)
		}
		r.until(func() bool { return r.clusters["c"].nodegroups["ng"].status == createFailed })
		if got := r.clusters["c"].nodegroups["ng"].issues[0]; got.Code != "Ec2SubnetMissingIpv6Assignment" || !slices.Equal(got.ResourceIDs, []string{"subnet-a", "subnet-b"}) {
			t.Errorf("issue %+v", got)
		}
	})
}

func TestLocalClusterHasNoChildrenOfTheCloud(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.mustCluster()
		r.clusters["c"].outpost = &outpostConfig{}
		_, err := r.createNodegroup(t.Context(), asAdmin(), nodegroupInput())
		wantError(t, err, "InvalidRequestException", "Managed node groups are not supported for local clusters on AWS Outposts")
		_, err = r.createFargate(t.Context(), asAdmin(), fargateInput("web"))
		wantError(t, err, "InvalidRequestException", "Fargate profiles are not supported for local clusters on AWS Outposts")
	})
}

func TestNodegroupConfigFields(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.mustCluster()
		in := nodegroupInput()
		in.CapacityType = onDemand
		var repair nodeRepairConfig
		if err := json.Unmarshal([]byte(`{"enabled":true,"maxParallelNodesRepairedCount":1,"maxUnhealthyNodeThresholdPercentage":20,"nodeRepairConfigOverrides":[
			{"nodeMonitoringCondition":"AcceleratedHardwareReady","nodeUnhealthyReason":"NvidiaXID13Error","minRepairWaitTimeMins":10,"repairAction":"Reboot"}]}`), &repair); err != nil {
			t.Fatal(err)
		}
		in.NodeRepairConfig = &repair
		if _, err := r.createNodegroup(t.Context(), asAdmin(), in); err != nil {
			t.Fatal(err)
		}
		r.until(func() bool { return r.clusters["c"].nodegroups["ng"].status == active })
		update := func(in updateNodegroupConfigIn) updateShape {
			t.Helper()
			in.ClusterName, in.NodegroupName = "c", "ng"
			return r.updateEnds(r.updateNodegroupConfig(t.Context(), asAdmin(), &in))
		}
		params := func(u updateShape) map[string]string {
			out := map[string]string{}
			for _, p := range u.Params {
				out[p.Type] = p.Value
			}
			return out
		}
		u := update(updateNodegroupConfigIn{WarmPoolConfig: &warmPoolConfig{Enabled: new(true), MinSize: intp(1), PoolState: "RUNNING"}, UpdateConfig: &updateConfig{UpdateStrategy: "MINIMAL"}})
		if p := params(u); p["WarmPoolEnabled"] != "true" || p["WarmPoolMinSize"] != "1" || p["WarmPoolState"] != "RUNNING" || p["UpdateStrategy"] != "MINIMAL" {
			t.Errorf("params %v", p)
		}
		out, err := r.describeNodegroup(t.Context(), asAdmin(), &nodegroupName{"c", "ng"})
		if err != nil {
			t.Fatal(err)
		}
		if g := out.Nodegroup; g.CapacityType != onDemand || *g.WarmPoolConfig.MinSize != 1 || !*g.NodeRepairConfig.Enabled || g.NodeRepairConfig.NodeRepairConfigOverrides[0].RepairAction != "Reboot" || g.UpdateConfig.UpdateStrategy != "MINIMAL" {
			t.Errorf("node group %+v", g)
		}
		u = update(updateNodegroupConfigIn{WarmPoolConfig: &warmPoolConfig{Enabled: new(false)}, NodeRepairConfig: &nodeRepairConfig{Enabled: new(false)}})
		if p := params(u); p["WarmPoolEnabled"] != "false" || p["NodeRepairEnabled"] != "false" {
			t.Errorf("params %v", p)
		}
		if g := r.clusters["c"].nodegroups["ng"]; g.warmPool != nil || *g.repair.Enabled {
			t.Errorf("node group %+v, %+v", g.warmPool, g.repair)
		}
	})
}

func TestNodegroupOfACustomImage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.mustCluster()
		in := nodegroupInput()
		in.InstanceTypes, in.LaunchTemplate, in.Version = nil, &launchTemplateRef{ID: "lt-image", Version: "1"}, "1.35"
		_, err := r.createNodegroup(t.Context(), asAdmin(), in)
		wantError(t, err, "InvalidParameterException", "You cannot specify a kubernetes version to use when specifying an image id to use within the launch template.")
		in.Version = ""
		out, err := r.createNodegroup(t.Context(), asAdmin(), in)
		if err != nil {
			t.Fatal(err)
		}
		if g := out.Nodegroup; g.AMIType != "CUSTOM" || g.Version != "1.35" || g.ReleaseVersion != "ami-own" || g.DiskSize != 0 || len(g.InstanceTypes) != 0 {
			t.Errorf("node group %+v", g)
		}
		r.until(func() bool { return r.clusters["c"].nodegroups["ng"].status == active })
		update := func(in updateNodegroupVersionIn) (*updateOut, error) {
			in.ClusterName, in.NodegroupName = "c", "ng"
			return r.updateNodegroupVersion(t.Context(), asAdmin(), &in)
		}
		_, err = update(updateNodegroupVersionIn{Version: "1.35"})
		wantError(t, err, "InvalidParameterException", "You cannot specify the field version or releaseVersion when using custom AMIs.")
		_, err = update(updateNodegroupVersionIn{LaunchTemplate: &launchTemplateRef{ID: "lt-own"}})
		wantError(t, err, "InvalidParameterException", "Launch template ID or name cannot be changed")
		if u := r.updateEnds(update(updateNodegroupVersionIn{LaunchTemplate: &launchTemplateRef{ID: "lt-image", Version: "2"}})); u.Status != successful {
			t.Errorf("update %+v", u)
		}
		image := publicImage("1.34")
		if g := r.clusters["c"].nodegroups["ng"]; g.release != image || g.version != "1.34" || g.custom.Version != "2" {
			t.Errorf("release %s, version %s, template %+v", g.release, g.version, g.custom)
		}
		synctest.Wait()
		for name, n := range r.plane().nodes {
			if !strings.HasPrefix(n.KubeletVersion, "v1.34.") {
				t.Errorf("%s has %s", name, n.KubeletVersion)
			}
		}
	})
}

func TestNodegroupLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.mustCluster()
		in := nodegroupInput()
		for i := range maxNodegroups + 1 {
			in.NodegroupName = fmt.Sprint("ng", i)
			_, err := r.createNodegroup(t.Context(), asAdmin(), in)
			if i == maxNodegroups {
				wantError(t, err, "ResourceLimitExceededException", "Limit: 30")
			} else if err != nil {
				t.Fatal(err)
			}
		}
	})
}
