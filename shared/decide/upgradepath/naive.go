package upgradepath

import (
	"slices"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

// Naive is the way without thinking, to compare with: at every hop the control plane, then every add-on to the newest version
// for it, then every node group to its minor, one after another, as a loop around eksctl or Terraform does. It takes the same
// bakes and the same times for the same steps as Find. Groups that are held, or for which there is no image, are left out
// here, too.
func Naive(o Observation, w Want) Path {
	if w.To == 0 {
		w.To = o.Version
	}
	f := newFinder(o, w)
	have := map[string]string{}
	for _, a := range o.Addons {
		have[a.Name] = a.Version
	}
	for m := o.Version + 1; m <= w.To; m++ {
		f.hop(m - 1)
		f.bake(m)
		for _, a := range o.Addons {
			f.newest(a.Name, have, m)
		}
		for _, g := range f.groups {
			if g.policy.Hold || g.oldest >= m || g.furthest(m) != m {
				continue
			}
			s := f.groupStep(g, max(g.oldest, m-1), m, m, "every hop")
			f.wave++
			f.add(s)
			f.surge += surgeCost(g.Group, s, w.Policy.Nodes, w.Hourly)
		}
		if k := f.kinds[NodeFargate]; k != nil && k.oldest < m {
			f.restart(k.oldest, m)
		}
	}
	return Path{Cluster: o.Cluster, From: o.Version, To: w.To, Steps: f.steps, Takes: takes(f.steps), Cost: cost(o, w, f.surge)}
}

// newest updates an add-on to the newest version for a minor that can be reached at it, if that is another one than it has.
func (f *finder) newest(name string, have map[string]string, m fleet.Minor) {
	pin := f.w.Policy.Addons.Pins[name]
	if pin != "" && have[name] == pin {
		return
	}
	way, _, ok := Way(Question{Name: name, Have: have[name], From: m, To: m, Releases: f.o.Releases[name], Pin: pin, Newest: true})
	if !ok {
		return
	}
	for i, u := range way {
		f.wave++
		f.add(f.addon(name, u, slices.Clone(way[i+1:])))
		have[name] = u.To
	}
}
