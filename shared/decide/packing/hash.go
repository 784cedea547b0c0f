package packing

import (
	"hash/maphash"
	"slices"
	"strconv"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

// Hashes only find candidates for what is the same; each is then compared. Their seed is random, and no result depends on it:
// what is found is numbered in the order of the problem.

func itoa(n int) string { return strconv.Itoa(n) }

func (x *index) hashString(s string) uint64 { return maphash.String(x.seed, s) }

// hashMap does not depend on the order of a map.
func (x *index) hashMap(m map[string]string) (h uint64) {
	for k, v := range m {
		h += x.hashString(k) * (x.hashString(v) | 1)
	}
	return h
}

func (x *index) hashRequirements(list []fleet.Requirement) (h uint64) {
	for _, r := range list {
		h = h*31 + x.hashString(r.Key) ^ x.hashString(r.Operator)*3
		for _, v := range r.Values {
			h = h*31 + x.hashString(v)
		}
	}
	return h
}

func (x *index) hashTerms(list []fleet.NodeTerm) (h uint64) {
	for _, t := range list {
		h = h*31 + x.hashRequirements(t.Labels)*3 + x.hashRequirements(t.Fields) + 1
	}
	return h
}

func (x *index) hashSelector(s *fleet.Selector) uint64 {
	if s == nil {
		return 1
	}
	return x.hashMap(s.Labels)*3 + x.hashRequirements(s.Requirements) + 2
}

func (x *index) hashPodTerm(t fleet.PodTerm) uint64 {
	h := x.hashString(t.TopologyKey) + x.hashSelector(t.Selector)*3
	for _, n := range t.Namespaces {
		h = h*31 + x.hashString(n)
	}
	if t.AllNamespaces {
		h++
	}
	return h
}

func (x *index) hashDemand(d *fleet.Demand) uint64 {
	r := d.Requests
	h := maphash.Comparable(x.seed, [3]int64{r.CPU, r.Memory, r.Storage})
	for name, amount := range r.Other {
		h += x.hashString(name) * uint64(2*amount+1)
	}
	h = h*31 + x.hashMap(d.NodeSelector)
	h = h*31 + x.hashTerms(d.NodeTerms)
	for _, s := range d.Spread {
		h = h*31 + x.hashString(s.TopologyKey) + x.hashSelector(s.Selector)*3 + uint64(s.MaxSkew)
	}
	for i, list := range [][]fleet.PodTerm{d.Affinity, d.AntiAffinity} {
		for _, t := range list {
			h = h*31 + x.hashPodTerm(t) + uint64(i)
		}
	}
	for i, list := range [][]fleet.PreferredPod{d.PreferredAffinity, d.PreferredAntiAffinity} {
		for _, t := range list {
			h = h*31 + x.hashPodTerm(t.Term) + uint64(i+t.Weight)
		}
	}
	for _, t := range d.PreferredNodes {
		h = h*31 + x.hashTerms([]fleet.NodeTerm{t.Term}) + uint64(t.Weight)
	}
	for _, p := range d.HostPorts {
		h = h*31 + maphash.Comparable(x.seed, p)
	}
	for _, v := range d.Volumes {
		h = h*31 + x.hashString(v.ID) + x.hashString(v.Driver)*3 + x.hashTerms(v.Where)
	}
	for _, u := range d.Unsupported {
		h = h*31 + x.hashString(u)
	}
	return h
}

// groupOf finds or makes the group of the pods that a selector selects in some namespaces, under a topology key.
func (x *index) groupOf(key string, s *fleet.Selector, namespaces []string, all bool) int {
	if all {
		namespaces = nil
	}
	namespaces = slices.Compact(slices.Sorted(slices.Values(namespaces)))
	h := x.hashPodTerm(fleet.PodTerm{TopologyKey: key, Selector: s, Namespaces: namespaces, AllNamespaces: all})
	g := group{key, s, namespaces, all}
	for _, i := range x.byGroup[h] {
		if x.groups[i].is(g) {
			return i
		}
	}
	x.groups = append(x.groups, g)
	x.byGroup[h] = append(x.byGroup[h], len(x.groups)-1)
	return len(x.groups) - 1
}
