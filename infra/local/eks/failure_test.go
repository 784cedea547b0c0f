package eks

import (
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func (r *rig) mustFail(f Failure) {
	r.t.Helper()
	f.Cluster = "c"
	if err := r.Fail(f); err != nil {
		r.t.Fatal(err)
	}
}

// failsWith waits for an update and wants it to fail in a way.
func (r *rig) failsWith(code string, u *updateOut, err error) {
	r.t.Helper()
	got := r.updateEnds(u, err)
	if got.Status != updateFail || len(got.Errors) != 1 || got.Errors[0].ErrorCode != code {
		r.t.Errorf("update %+v, want it to fail with %s", got, code)
	}
}

func TestControlPlaneFailsOnOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.mustCluster()
		c := r.clusters["c"]
		r.mustFail(Failure{How: "Unknown", Times: 1})
		u, err := r.version("1.36", nil)
		r.failsWith("Unknown", u, err)
		if c.version != "1.35" || c.status != active || r.plane().saw("upgrade") != 0 {
			t.Errorf("version %s, %s", c.version, c.status)
		}
		r.mustFail(Failure{How: insufficientAddresses})
		for range 2 {
			u, err = r.version("1.36", nil)
			r.failsWith(insufficientAddresses, u, err)
		}
		r.Mend("c", "", "")
		r.succeed(r.version("1.36", nil))
		if left := r.Failures(); len(left) != 0 {
			t.Errorf("%+v", left)
		}
	})
}

func TestNodegroupFailsOnOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.mustCluster()
		r.mustNodegroup()
		r.succeed(r.version("1.36", nil))
		g := r.clusters["c"].nodegroups["ng"]
		for _, how := range []string{podEviction, nodeCreation, insufficientAddresses, "AccessDenied"} {
			r.mustFail(Failure{Nodegroup: "ng", How: how, Times: 1})
			u, err := r.nodes("1.36")
			r.failsWith(how, u, err)
			if group, _ := r.ec2.Group(g.groupName()); g.version != "1.35" || g.status != active || group.Desired != 2 {
				t.Errorf("%s: version %s, %s, %d machines", how, g.version, g.status, group.Desired)
			}
			r.until(func() bool { return len(r.members(g)) == 2 }) // the surge is gone
			if cordoned := r.plane().cordoned(); len(cordoned) > 0 {
				t.Errorf("%s: %v are still cordoned", how, cordoned)
			}
		}
		r.succeed(r.nodes("1.36"))
	})
}

// While new machines do not join, those that are there already come back after a restart of the control plane.
func TestOldNodesComeBackWhileNewOnesDoNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.mustCluster()
		r.mustNodegroup()
		r.mustFail(Failure{Nodegroup: "ng", How: nodeCreation})
		close(r.plane().done) // it has died
		r.until(func() bool { return len(r.planes) == 2 })
		r.until(func() bool { return r.joined(r.clusters["c"].nodegroups["ng"], 0) == 2 })
		three := 3
		if _, err := r.updateNodegroupConfig(t.Context(), asAdmin(), &updateNodegroupConfigIn{ClusterName: "c", NodegroupName: "ng", ScalingConfig: &scalingConfig{DesiredSize: &three}}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		r.Service.mu.Lock()
		joined, there := r.joined(r.clusters["c"].nodegroups["ng"], 0), len(r.members(r.clusters["c"].nodegroups["ng"]))
		r.Service.mu.Unlock()
		if joined != 2 || there != 3 {
			t.Errorf("%d of %d machines joined", joined, there)
		}
		r.Mend("c", "ng", "")
		r.until(func() bool { return r.joined(r.clusters["c"].nodegroups["ng"], 0) == 3 })
	})
}

func TestAddonFailsOnOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.mustCluster()
		if _, err := r.createAddon(t.Context(), asAdmin(), &createAddonIn{ClusterName: "c", AddonName: "vpc-cni", AddonVersion: "v1.20.5-eksbuild.1"}); err != nil {
			t.Fatal(err)
		}
		a := r.clusters["c"].addons["vpc-cni"]
		r.until(func() bool { return a.status == active })
		update := func(mode string) (*updateOut, error) {
			return r.updateAddon(t.Context(), asAdmin(), &updateAddonIn{ClusterName: "c", AddonName: "vpc-cni", AddonVersion: "v1.21.1-eksbuild.1", ResolveConflicts: mode})
		}
		r.mustFail(Failure{Addon: "vpc-cni", How: conflicting})
		u, err := update(resolveNone)
		r.failsWith(conflicting, u, err)
		if a.version != "v1.20.5-eksbuild.1" || a.status != updateFailed {
			t.Errorf("%s is %s", a.version, a.status)
		}
		r.succeed(update(resolveOverwrite))
		r.mustFail(Failure{Addon: "vpc-cni", How: "AdmissionRequestDenied", Times: 1})
		u, err = update(resolveOverwrite)
		r.failsWith("AdmissionRequestDenied", u, err)
		if _, err := r.deleteAddon(t.Context(), asAdmin(), &deleteAddonIn{ClusterName: "c", AddonName: "vpc-cni"}); err != nil {
			t.Fatal(err)
		}
		r.until(func() bool { return r.clusters["c"].addons["vpc-cni"] == nil })
		synctest.Wait()
		want := []string{"EKS Addon Creation Succeeded", "EKS Addon Update Failed", "EKS Addon Update Succeeded", "EKS Addon Update Failed", "EKS Addon Deletion Succeeded"}
		if kinds, resources := r.events.seen(); !slices.Equal(kinds, want) || resources[0] != a.arn {
			t.Errorf("events %v of %v", kinds, resources)
		}
	})
}

// fakeEvents notes what EKS tells EventBridge.
type fakeEvents struct {
	mu               sync.Mutex
	kinds, resources []string
}

func (f *fakeEvents) Emit(source, detailType string, resources []string, _ any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if source == "aws.eks" {
		f.kinds, f.resources = append(f.kinds, detailType), append(f.resources, resources...)
	}
}

func (f *fakeEvents) seen() (kinds, resources []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.kinds), slices.Clone(f.resources)
}

func TestWrongFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.mustCluster()
		r.mustNodegroup()
		for _, f := range []Failure{
			{Cluster: "c", How: "Nonsense"}, {Cluster: "c", How: podEviction}, {Cluster: "c", Nodegroup: "ng", How: RollbackRefused},
			{Cluster: "c", How: conflicting}, {Cluster: "c", How: "Unknown", Times: -1},
		} {
			wantError(t, r.Fail(f), "InvalidParameterException", "")
		}
		wantError(t, r.Fail(Failure{Cluster: "other", How: "Unknown"}), "ResourceNotFoundException", "No cluster found")
		wantError(t, r.Fail(Failure{Cluster: "c", Nodegroup: "other", How: "Unknown"}), "ResourceNotFoundException", "No node group found")
	})
}

func TestPlatformPatchOnOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.mustCluster()
		id, err := r.PatchPlatform("c")
		if err != nil {
			t.Fatal(err)
		}
		_, err = r.version("1.36", nil)
		wantError(t, err, "ResourceInUseException", "Cannot VersionUpdate because cluster c currently has update "+id+" in progress")
		_, err = r.PatchPlatform("c")
		wantError(t, err, "ResourceInUseException", id)
		r.until(func() bool { return r.clusters["c"].platform == 2 })
		r.succeed(r.version("1.36", nil))
	})
}
