package cluster

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

// notConverged names what exists and differs from the spec. Nothing that exists is changed yet.
func notConverged(what string, fields ...string) string {
	return what + " differs from the spec in " + strings.Join(fields, ", ") + ": not converged yet"
}

// differs compares a control plane with its spec.
func differs(c fleet.ControlPlane, s fleet.ClusterSpec) []string {
	var fields []string
	check := func(name string, same bool) {
		if !same {
			fields = append(fields, name)
		}
	}
	check("version", s.Version == "" || s.Version == c.Version)
	check("endpoint access", s.Network.PublicAccess == c.PublicAccess && s.Network.PrivateAccess == c.PrivateAccess)
	if s.Network.PublicAccess {
		everywhere := []string{"0.0.0.0/0"}
		want, have := s.Network.PublicAccessCIDRs, c.PublicAccessCIDRs
		if len(want) == 0 {
			want = everywhere
		}
		if len(have) == 0 {
			have = everywhere
		}
		check("public access CIDRs", sameSet(want, have))
	}
	check("logging", sameSet(s.Logging, c.Logging))
	check("authentication mode", s.AuthMode == c.AuthMode)
	check("tags", includes(c.Tags, owned(s)))
	if len(fields) == 0 {
		return nil
	}
	return []string{notConverged("cluster "+s.Name, fields...)}
}

// groupDiffers compares a node group with its spec. The desired size is left to whoever scales.
func groupDiffers(have fleet.NodeGroup, want fleet.NodeGroupSpec) []string {
	var fields []string
	check := func(name string, same bool) {
		if !same {
			fields = append(fields, name)
		}
	}
	check("size", have.Min == want.Min && have.Max == want.Max)
	check("capacity type", have.Spot == want.Spot)
	check("instance types", sameSet(have.InstanceTypes, want.InstanceTypes))
	check("AMI type", have.AMIType == want.AMIType)
	check("disk", have.DiskGiB == want.DiskGiB)
	check("labels", maps.Equal(have.Labels, want.Labels))
	check("taints", sameTaints(have.Taints, want.Taints))
	check("tags", includes(have.Tags, want.Tags))
	check("update config", have.MaxUnavailablePercent == want.MaxUnavailablePercent && unavailable(have.NodeGroupSpec) == unavailable(want))
	if len(fields) == 0 {
		return nil
	}
	return []string{notConverged("node group "+want.Name, fields...)}
}

// unavailable is how many nodes may be replaced at once, with EKS's default.
func unavailable(g fleet.NodeGroupSpec) int {
	if g.MaxUnavailable == 0 && g.MaxUnavailablePercent == 0 {
		return 1
	}
	return g.MaxUnavailable
}

func sameTaints(a, b []fleet.Taint) bool {
	order := func(list []fleet.Taint) []fleet.Taint {
		return slices.SortedFunc(slices.Values(list), func(x, y fleet.Taint) int {
			return cmp.Or(cmp.Compare(x.Key, y.Key), cmp.Compare(x.Effect, y.Effect), cmp.Compare(x.Value, y.Value))
		})
	}
	return slices.Equal(order(a), order(b))
}

func includes(have, want map[string]string) bool {
	for k, v := range want {
		if got, ok := have[k]; !ok || got != v {
			return false
		}
	}
	return true
}
