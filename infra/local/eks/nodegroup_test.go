package eks

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestNodegroupJoinsAndShowsWhatEKSPromises(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.mustCluster()
		r.mustNodegroup()
		out, err := r.describeNodegroup(t.Context(), asAdmin(), &nodegroupName{"c", "ng"})
		if err != nil {
			t.Fatal(err)
		}
		g := out.Nodegroup
		name := g.Resources.AutoScalingGroups[0].Name
		spec := r.ec2.groups[name].spec
		if !strings.HasPrefix(name, "eks-ng-") || !spec.Spot || !spec.CapacityRebalance || spec.Tags["eks:nodegroup-name"] != "ng" || spec.Tags["k8s.io/cluster-autoscaler/c"] != "owned" {
			t.Errorf("group %s: %+v", name, spec)
		}
		if g.CapacityType != "SPOT" || g.AMIType != "AL2023_x86_64_STANDARD" || g.Version != "1.35" || g.ReleaseVersion != "1.35.10-20261112" {
			t.Errorf("node group: %+v", g)
		}
		if e := r.clusters["c"].entries[nodeRole]; e == nil || e.kind != "EC2_LINUX" {
			t.Error("no access entry for the node role")
		}
		n := r.plane().nodes["ip-10-0-0-1.ec2.internal"]
		for k, want := range map[string]string{
			"eks.amazonaws.com/nodegroup": "ng", "eks.amazonaws.com/capacityType": "SPOT", "node.kubernetes.io/instance-type": "m5.large",
			"kubernetes.io/arch": "amd64", "team": "a", "topology.kubernetes.io/region": "us-east-1", "topology.k8s.aws/zone-id": "use1-az1",
		} {
			if n.Labels[k] != want {
				t.Errorf("label %s=%q, want %q", k, n.Labels[k], want)
			}
		}
		if n.ProviderID != "aws:///"+n.Labels["topology.kubernetes.io/zone"]+"/i-0001" || n.KubeletVersion != "v1.35.10-eks-20261112" {
			t.Errorf("provider id %s, kubelet %s", n.ProviderID, n.KubeletVersion)
		}
		if len(n.Taints) != 1 || n.Taints[0] != (NodeTaint{"spot", "true", "NoSchedule"}) {
			t.Errorf("taints %v", n.Taints)
		}
		_, err = r.deleteCluster(t.Context(), asAdmin(), &clusterName{"c"})
		wantError(t, err, "ResourceInUseException", "Cluster has nodegroups attached")
	})
}

// The figures of a real m5.large: 1930m CPU, 29 pods; kube-reserved memory 255 + 11 × 29 = 574 MiB.
func TestCapacity(t *testing.T) {
	capacity, allocatable := capacity(InstanceType{VCPU: 2, MemoryMiB: 8192, MaxPods: 29}, shape{disk: 20})
	if capacity["cpu"] != "2" || capacity["pods"] != "29" || capacity["memory"] != "7577Mi" {
		t.Errorf("capacity %v", capacity)
	}
	if allocatable["cpu"] != "1930m" || allocatable["memory"] != "6903Mi" {
		t.Errorf("allocatable %v", allocatable)
	}
	for cores, want := range map[int]int{1: 60, 2: 70, 4: 80, 8: 90, 96: 310} {
		if got := reservedCPU(cores); got != want {
			t.Errorf("%d cores reserve %dm, want %dm", cores, got, want)
		}
	}
}

func TestNodegroupFailures(t *testing.T) {
	for name, tc := range map[string]struct {
		breakIt func(*fakeEC2)
		code    string
	}{
		"no capacity": {func(f *fakeEC2) { f.broken = true }, "AsgInstanceLaunchFailures"},
		"no join":     {func(f *fakeEC2) { f.deaf = true }, "NodeCreationFailure"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				r.mustCluster()
				tc.breakIt(r.ec2)
				if _, err := r.createNodegroup(t.Context(), asAdmin(), nodegroupInput()); err != nil {
					t.Fatal(err)
				}
				r.until(func() bool { return r.clusters["c"].nodegroups["ng"].status == createFailed })
				if got := r.clusters["c"].nodegroups["ng"].issues; len(got) != 1 || got[0].Code != tc.code {
					t.Errorf("issues %+v", got)
				}
				if _, err := r.deleteNodegroup(t.Context(), asAdmin(), &nodegroupName{"c", "ng"}); err != nil {
					t.Fatal(err)
				}
				r.until(func() bool { return r.clusters["c"].nodegroups["ng"] == nil })
			})
		})
	}
}

func TestNodegroupRefusals(t *testing.T) {
	for name, tc := range map[string]struct {
		change        func(*createNodegroupIn)
		code, message string
	}{
		"role":         {func(in *createNodegroupIn) { in.NodeRole = clusterRole }, "InvalidParameterException", "Following required service principals [ec2.amazonaws.com] were not found in the trust relationships of nodeRole"},
		"label":        {func(in *createNodegroupIn) { in.Labels = map[string]string{"eks.amazonaws.com/x": "y"} }, "InvalidParameterException", "Label cannot contain reserved prefixes [kubernetes.io/, k8s.io/, eks.amazonaws.com/]"},
		"min":          {func(in *createNodegroupIn) { in.ScalingConfig = &scalingConfig{intp(3), intp(3), intp(2)} }, "InvalidParameterException", "Minimum capacity 3 can't be greater than desired size 2"},
		"max":          {func(in *createNodegroupIn) { in.ScalingConfig = &scalingConfig{intp(1), intp(1), intp(2)} }, "InvalidParameterException", "desired capacity 2 can't be greater than max size 1"},
		"arch":         {func(in *createNodegroupIn) { in.AMIType = "AL2023_ARM_64_STANDARD" }, "InvalidParameterException", "[m5.large] is not a valid instance type for requested amiType AL2023_ARM_64_STANDARD"},
		"release":      {func(in *createNodegroupIn) { in.ReleaseVersion = "1.34.13-20261112" }, "InvalidParameterException", "Requested release version 1.34.13-20261112 is not valid for kubernetes version 1.35"},
		"newer":        {func(in *createNodegroupIn) { in.Version = "1.36" }, "InvalidParameterException", "newer"},
		"VPC":          {func(in *createNodegroupIn) { in.Subnets = []string{"subnet-x"} }, "InvalidParameterException", "VPC"},
		"disk":         {func(in *createNodegroupIn) { in.DiskSize, in.LaunchTemplate = 30, &launchTemplateRef{ID: "lt-own"} }, "InvalidParameterException", "Disk size must be specified within the launch template"},
		"type twice":   {func(in *createNodegroupIn) { in.LaunchTemplate = &launchTemplateRef{Name: "own"} }, "InvalidParameterException", "both the launch template and API request"},
		"what is this": {func(in *createNodegroupIn) { in.CapacityType = "CHEAP" }, "InvalidParameterException", "capacityType"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				r.mustCluster()
				in := nodegroupInput()
				tc.change(in)
				_, err := r.createNodegroup(t.Context(), asAdmin(), in)
				wantError(t, err, tc.code, tc.message)
			})
		})
	}
}

func TestNodeFollowsItsInstance(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.mustCluster()
		r.mustNodegroup()
		p, start := r.plane(), time.Now()
		const node = "ip-10-0-0-1.ec2.internal"
		r.ec2.terminate("i-0001")
		synctest.Wait()
		if p.saw("stop "+node) != 1 || p.saw("delete "+node) != 0 {
			t.Errorf("at shutting-down: %v", p.events)
		}
		r.until(func() bool { return r.machines["i-0001"] == nil })
		if p.saw("delete "+node) != 1 || time.Since(start) != r.w.Profile.InstanceShutdown {
			t.Errorf("at the end after %s: %v", time.Since(start), p.events)
		}
		r.until(func() bool { return r.joined(r.clusters["c"].nodegroups["ng"], 0) == 2 })

		// A stopped machine is silent and goes on when it is started.
		r.ec2.enter("i-0002", "stopping")
		r.ec2.enter("i-0002", "stopped")
		synctest.Wait()
		r.ec2.enter("i-0002", "running")
		synctest.Wait()
		if p.saw("stop ip-10-0-0-2") != 1 || p.saw("start ip-10-0-0-2") != 1 || p.saw("put ip-10-0-0-2") != 1 {
			t.Errorf("stop and start: %v", p.events)
		}
	})
}

func TestMachineOutsideNodegroupsJoinsOnceItsRoleIsKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.mustCluster()
		id := r.ec2.launch(map[string]string{"kubernetes.io/cluster/c": "owned"}, "t3.medium", "subnet-a")
		time.Sleep(time.Hour)
		if len(r.plane().nodes) != 0 {
			t.Fatal("it joined without an access entry")
		}
		if _, err := r.createEntry(t.Context(), asAdmin(), &createEntryIn{Name: "c", PrincipalARN: nodeRole, Type: "EC2_LINUX"}); err != nil {
			t.Fatal(err)
		}
		r.until(func() bool { return r.machines[id].alive })
	})
}

func TestScalingUpdate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.mustCluster()
		r.mustNodegroup()
		in := &updateNodegroupConfigIn{ClusterName: "c", NodegroupName: "ng", ScalingConfig: &scalingConfig{DesiredSize: intp(3)},
			Labels: &labelChange{AddOrUpdateLabels: map[string]string{"x": "y"}}}
		first, err := r.updateNodegroupConfig(t.Context(), asAdmin(), in)
		if err != nil {
			t.Fatal(err)
		}
		_, err = r.updateNodegroupConfig(t.Context(), asAdmin(), in)
		wantError(t, err, "ResourceInUseException", "Nodegroup cannot be updated as it is currently not in Active State")
		u := r.updateEnds(first, nil)
		if u.Type != "ConfigUpdate" || u.Status != successful {
			t.Errorf("update %+v", u)
		}
		r.until(func() bool { return r.joined(r.clusters["c"].nodegroups["ng"], 0) == 3 })
		if r.plane().saw("relabel") < 2 {
			t.Errorf("labels did not reach the nodes: %v", r.plane().events)
		}
		ids, err := r.listUpdates(t.Context(), asAdmin(), &listUpdatesIn{Name: "c", NodegroupName: "ng"})
		if err != nil || len(ids.UpdateIDs) != 1 {
			t.Errorf("updates %v, %v", ids, err)
		}
	})
}

func TestRollingUpdate(t *testing.T) {
	for _, strategy := range []string{"DEFAULT", "MINIMAL"} {
		t.Run(strategy, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				r.mustCluster()
				r.mustNodegroup()
				r.updateEnds(r.updateClusterVersion(t.Context(), asAdmin(), &updateVersionIn{Name: "c", Version: "1.36"}))
				g := r.clusters["c"].nodegroups["ng"]
				r.updateEnds(r.updateNodegroupConfig(t.Context(), asAdmin(), &updateNodegroupConfigIn{ClusterName: "c", NodegroupName: "ng", UpdateConfig: &updateConfig{UpdateStrategy: strategy, MaxUnavailable: intp(1)}}))
				u := r.updateEnds(r.updateNodegroupVersion(t.Context(), asAdmin(), &updateNodegroupVersionIn{ClusterName: "c", NodegroupName: "ng", Version: "1.36"}))
				if u.Status != successful {
					t.Fatalf("update %+v", u)
				}
				group, _ := r.ec2.Group(g.groupName())
				if group.Desired != 2 || group.Min != 1 || group.Max != 4 || g.version != "1.36" || g.status != active {
					t.Errorf("afterwards: %+v, version %s, status %s", group, g.version, g.status)
				}
				r.until(func() bool { return len(r.members(g)) == 2 })
				synctest.Wait()
				for name, n := range r.plane().nodes {
					if !strings.HasPrefix(n.KubeletVersion, "v1.36.") {
						t.Errorf("%s still has %s", name, n.KubeletVersion)
					}
				}
				p := r.plane()
				if p.saw("cordon ip-10-0-0-1.") == 0 || p.saw("evicted ip-10-0-0-2.") == 0 {
					t.Errorf("old nodes were not drained: %v", p.events)
				}
			})
		})
	}
}

func TestRollingUpdateBlockedByBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.mustCluster()
		r.mustNodegroup()
		r.plane().blocked = true
		start := time.Now()
		u := r.updateEnds(r.updateNodegroupVersion(t.Context(), asAdmin(), &updateNodegroupVersionIn{ClusterName: "c", NodegroupName: "ng"}))
		if u.Status != updateFail || u.Errors[0].ErrorCode != "PodEvictionFailure" || !strings.Contains(u.Errors[0].ErrorMessage, "Reached max retries while trying to evict pods from nodes in node group ng") {
			t.Errorf("update %+v", u)
		}
		if took := time.Since(start); took < evictionPatience {
			t.Errorf("it gave up after %s", took)
		}
		group, _ := r.ec2.Group(r.clusters["c"].nodegroups["ng"].groupName())
		if group.Desired != 2 {
			t.Errorf("the surge stays: %+v", group)
		}
		forced := r.updateEnds(r.updateNodegroupVersion(t.Context(), asAdmin(), &updateNodegroupVersionIn{ClusterName: "c", NodegroupName: "ng", Force: true}))
		if forced.Status != successful {
			t.Errorf("forced update %+v", forced)
		}
	})
}

func TestSkewBlocksClusterUpgrade(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.opt.StrictSkew = true
		r.mustCluster()
		r.mustNodegroup()
		r.updateEnds(r.updateClusterVersion(t.Context(), asAdmin(), &updateVersionIn{Name: "c", Version: "1.36"}))
		_, err := r.updateClusterVersion(t.Context(), asAdmin(), &updateVersionIn{Name: "c", Version: "1.37"})
		wantError(t, err, "InvalidRequestException", "Nodegroups ng must be updated to match cluster version 1.36 before updating cluster version")
	})
}

func TestDeleteNodegroupDrainsAndCleansUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.mustCluster()
		r.mustNodegroup()
		if _, err := r.deleteNodegroup(t.Context(), asAdmin(), &nodegroupName{"c", "ng"}); err != nil {
			t.Fatal(err)
		}
		r.until(func() bool { return r.clusters["c"].nodegroups["ng"] == nil })
		if p := r.plane(); p.saw("evicted") != 2 || len(p.nodes) != 0 {
			t.Errorf("nodes: %v", p.events)
		}
		if len(r.ec2.groups) != 0 || len(r.ec2.templates) != 0 || r.clusters["c"].entries[nodeRole] != nil {
			t.Errorf("left: %v %v %v", r.ec2.groups, r.ec2.templates, r.clusters["c"].entries)
		}
		if _, err := r.deleteCluster(t.Context(), asAdmin(), &clusterName{"c"}); err != nil {
			t.Fatal(err)
		}
		r.until(func() bool { return r.clusters["c"] == nil })
	})
}

func TestDeleteNodegroupGoesOnPastABudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.mustCluster()
		r.mustNodegroup()
		r.plane().blocked = true
		start := time.Now()
		if _, err := r.deleteNodegroup(t.Context(), asAdmin(), &nodegroupName{"c", "ng"}); err != nil {
			t.Fatal(err)
		}
		r.until(func() bool { return r.clusters["c"].nodegroups["ng"] == nil })
		if took := time.Since(start); took < r.scaleInPatience() || took > evictionPatience {
			t.Errorf("it took %s", took)
		}
	})
}
