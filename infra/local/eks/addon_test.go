package eks

import (
	"slices"
	"testing"
	"testing/synctest"
)

func TestAddonLifecycle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.mustCluster()
		create := func(name, version string) {
			t.Helper()
			if _, err := r.createAddon(t.Context(), asAdmin(), &createAddonIn{ClusterName: "c", AddonName: name, AddonVersion: version}); err != nil {
				t.Fatal(err)
			}
		}
		create("vpc-cni", "v1.19.6-eksbuild.1")
		_, err := r.updateAddon(t.Context(), asAdmin(), &updateAddonIn{ClusterName: "c", AddonName: "vpc-cni", AddonVersion: "v1.20.5-eksbuild.1"})
		wantError(t, err, "ResourceInUseException", "Addon vpc-cni cannot be updated as it is currently in CREATING state")
		r.until(func() bool { return r.clusters["c"].addons["vpc-cni"].status == active })
		_, err = r.updateAddon(t.Context(), asAdmin(), &updateAddonIn{ClusterName: "c", AddonName: "vpc-cni", AddonVersion: "v1.21.1-eksbuild.1"})
		wantError(t, err, "InvalidParameterException", "Updating VPC-CNI can only go up or down 1 minor version at a time")
		u := r.updateEnds(r.updateAddon(t.Context(), asAdmin(), &updateAddonIn{ClusterName: "c", AddonName: "vpc-cni", AddonVersion: "v1.20.5-eksbuild.1"}))
		if u.Type != "AddonUpdate" || r.clusters["c"].addons["vpc-cni"].version != "v1.20.5-eksbuild.1" {
			t.Errorf("update %+v", u)
		}
		before, _ := r.events.seen()
		create("coredns", "")
		r.until(func() bool { return r.clusters["c"].addons["coredns"].status == degraded })
		r.mustNodegroup()
		r.until(func() bool { return r.clusters["c"].addons["coredns"].status == active })
		synctest.Wait()
		if want := []string{"EKS Addon Creation Succeeded", "EKS Addon Health Degraded", "EKS Addon Health Restored"}; !slices.Equal(since(r, before), want) {
			t.Errorf("events %q", since(r, before))
		}
		if _, err := r.deleteAddon(t.Context(), asAdmin(), &deleteAddonIn{ClusterName: "c", AddonName: "coredns", Preserve: true}); err != nil {
			t.Fatal(err)
		}
		r.until(func() bool { return r.clusters["c"].addons["coredns"] == nil })
	})
}

// since are the kinds of the events after some.
func since(r *rig, before []string) []string {
	kinds, _ := r.events.seen()
	return kinds[len(before):]
}
