package eks

import (
	"slices"
	"testing"
)

// TestAddonReleases holds what a way through the minors needs: a default everywhere, a version that is good on both sides of
// every hop, and hops of vpc-cni of one minor each.
func TestAddonReleases(t *testing.T) {
	for name, spec := range addonCatalogue {
		for i := len(releases) - 1; i > 0; i-- {
			at, next := releases[i].version, releases[i-1].version
			here, there := spec.available(at), spec.available(next)
			if len(here) == 0 || !slices.Contains(here, spec.preferred(at)) || !slices.Contains(there, spec.preferred(next)) {
				t.Errorf("%s at %s: %v, default %s", name, at, here, spec.preferred(at))
			}
			if !slices.ContainsFunc(here, func(v string) bool { return slices.Contains(there, v) }) {
				t.Errorf("%s: no version is for %s and %s", name, at, next)
			}
		}
	}
	cni := addonCatalogue["vpc-cni"]
	from, to := cni.preferred("1.31"), cni.preferred("1.37")
	if hops := addonMinor(to) - addonMinor(from); hops != 3 {
		t.Errorf("vpc-cni from %s to %s: %d minors", from, to, hops)
	}
	if slices.Contains(addonCatalogue["kube-proxy"].available("1.35"), "v1.36.6-eksbuild.1") {
		t.Error("a kube-proxy that is newer than the API server")
	}
}
