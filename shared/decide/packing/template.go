package packing

import (
	"cmp"
	"maps"
	"slices"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

// option is a node that can be added: a type of a pool, in a zone, under a capacity type.
type option struct {
	pool, typ, offering int
	sig                 int
	room                vec // what is left for pods beside the daemons
	price, risk         float64
	short               bool
	weight              int
}

// sig is what options have in common that pods ask about: nodes of one signature differ in size and price only.
type sig struct {
	pool     int
	zone     string
	capacity string
	labels   map[string]string
	taints   []fleet.Taint
	daemons  vec
	ports    []fleet.HostPort // that daemons take
	passes   []int8           // by filter: 0 not asked yet, 1 passes, -1 does not
}

// capacityLabels are those by which pods of EKS and of Karpenter select.
var capacityLabels = []CapacityLabel{
	{fleet.LabelEKSCapacity, fleet.OnDemand, fleet.Spot},
	{fleet.LabelKarpenterKind, "on-demand", "spot"},
}

// newName stands for the name that a new node will have: nobody can have asked for it.
const newName = "\x00new"

// options lists all nodes that can be added, and their signatures.
func (x *index) options() (opts []option, sigs []sig) {
	p := x.p
	relevant := slices.Sorted(maps.Keys(x.keys))
	known := map[string]int{}
	texts := make([]string, len(p.Types)) // what pods can tell types apart by
	for t := range p.Types {
		for _, key := range relevant {
			value, there := p.Types[t].Labels[key]
			if key == fleet.LabelInstanceType {
				value, there = p.Types[t].Name, true
			}
			if there {
				texts[t] += key + "\x00" + value + "\x00"
			}
		}
		texts[t] += p.Types[t].Arch
	}
	for pi := range p.Pools {
		pool := &p.Pools[pi]
		for _, ti := range pool.Machines {
			t := &p.Types[ti]
			room := x.dims.room(t.Allocatable, t.MaxPods, t.AttachLimit)
			for oi, o := range t.Offerings {
				if o.Short && p.Options.AvoidShort || pool.Zones != nil && !slices.Contains(pool.Zones, o.Zone) ||
					pool.Capacity != nil && !slices.Contains(pool.Capacity, o.Capacity) {
					continue
				}
				id := itoa(pi) + "\x00" + o.Zone + "\x00" + o.Capacity + "\x00" + texts[ti]
				s, ok := known[id]
				if !ok {
					s = len(sigs)
					known[id] = s
					sigs = append(sigs, x.sig(pi, t, o))
				}
				left := room
				left.take(x.dims.n, &sigs[s].daemons, 1)
				opts = append(opts, option{pi, ti, oi, s, left, o.Price, o.Risk, o.Short, pool.Weight})
			}
		}
	}
	return opts, sigs
}

func (x *index) sig(pool int, t *Type, o Offering) sig {
	p := &x.p.Pools[pool]
	labels := map[string]string{fleet.LabelOS: "linux"}
	maps.Copy(labels, t.Labels)
	maps.Copy(labels, map[string]string{
		fleet.LabelArch: t.Arch, fleet.LabelInstanceType: t.Name, fleet.LabelZone: o.Zone, fleet.LabelHostname: newName,
	})
	kinds := x.p.Options.CapacityLabels
	if kinds == nil {
		kinds = capacityLabels
	}
	for _, k := range kinds {
		labels[k.Key] = k.OnDemand
		if o.Capacity == fleet.Spot {
			labels[k.Key] = k.Spot
		}
	}
	maps.Copy(labels, p.Labels)
	s := sig{pool: pool, zone: o.Zone, capacity: o.Capacity, labels: labels, taints: p.Taints}
	for _, d := range x.daemons {
		if x.filters[d.filter].passes(labels, p.Taints, newName) {
			s.daemons.take(x.dims.n, &d.d, -1)
			s.ports = append(s.ports, d.ports...)
		}
	}
	return s
}

// admits tells whether nodes of a signature are in a filter.
func (s *sig) admits(x *index, f int) bool {
	for len(s.passes) <= f {
		s.passes = append(s.passes, 0)
	}
	if s.passes[f] == 0 {
		s.passes[f] = -1
		if x.filters[f].passes(s.labels, s.taints, newName) {
			s.passes[f] = 1
		}
	}
	return s.passes[f] > 0
}

// findFront finds the options of each signature that are worth looking at.
func (w *world) findFront() {
	w.front = make([][]int, len(w.sigs))
	all := make([][]int, len(w.sigs))
	for i := range w.opts {
		if o := &w.opts[i]; slices.Min(o.room[:w.x.dims.n]) >= 0 { // else the daemons alone are too much for it
			all[o.sig] = append(all[o.sig], i)
		}
	}
	for s, list := range all {
		slices.SortFunc(list, func(i, j int) int {
			x, y := &w.opts[i], &w.opts[j]
			return cmp.Or(cmp.Compare(x.price, y.price), cmp.Compare(x.risk, y.risk), cmp.Compare(y.room[dimCPU], x.room[dimCPU]), cmp.Compare(i, j))
		})
		for _, i := range list {
			o := &w.opts[i]
			if !slices.ContainsFunc(w.front[s], func(k int) bool {
				better := &w.opts[k]
				return (!better.short || o.short) && better.weight >= o.weight && w.standsIn(k, i) && fits(w.x.dims.n, &o.room, &better.room)
			}) {
				w.front[s] = append(w.front[s], i)
			}
		}
	}
}

// standsIn tells whether there is as much to be had of option k as of option i: a pool that may be full soon replaces no other, and
// one whose cpu or memory is counted may have room for a smaller node yet.
func (w *world) standsIn(k, i int) bool {
	r := w.pools[w.opts[k].pool]
	return r.cpu >= unlimited && r.memory >= unlimited && (r.nodes >= unlimited || w.opts[k].pool == w.opts[i].pool)
}
