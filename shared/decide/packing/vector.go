package packing

import (
	"maps"
	"slices"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

// maxDims is how many kinds of resources one problem can have; pods that ask for further ones are refused by name. Cores,
// memory, the number of pods and ephemeral storage leave eight for devices, huge pages and CSI drivers.
const maxDims = 12

// vec is an amount of each resource of a problem. Amounts are whole numbers below 2^53, which float64 adds exactly.
type vec [maxDims]float64

// The dimensions that every problem has.
const (
	dimCPU = iota // thousandths of a core
	dimMemory
	dimPods
	dimStorage
	dimOthers // from here on, extended resources by name and then CSI drivers
)

// dims are the resources that a problem's pods ask for.
type dims struct {
	n       int // how many there are
	others  map[string]int
	drivers map[string]int
	beyond  map[string]bool // names that found no dimension
}

// newDims collects the resources that anybody asks for: only those can run out.
func newDims(demands []*fleet.Demand) *dims {
	others, drivers := map[string]bool{}, map[string]bool{}
	for _, d := range demands {
		for name, amount := range d.Requests.Other {
			if amount > 0 {
				others[name] = true
			}
		}
		for _, v := range d.Volumes {
			if v.Driver != "" {
				drivers[v.Driver] = true
			}
		}
	}
	x := &dims{n: dimOthers, others: map[string]int{}, drivers: map[string]int{}, beyond: map[string]bool{}}
	number := func(names map[string]bool, into map[string]int, prefix string) {
		for _, name := range slices.Sorted(maps.Keys(names)) {
			if x.n == maxDims {
				x.beyond[prefix+name] = true
				continue
			}
			into[name] = x.n
			x.n++
		}
	}
	number(others, x.others, "")
	number(drivers, x.drivers, "volumes of ")
	return x
}

// of is what a pod asks for, itself counted.
func (x *dims) of(d *fleet.Demand) (v vec) {
	v[dimCPU], v[dimMemory], v[dimPods], v[dimStorage] = float64(d.Requests.CPU), float64(d.Requests.Memory), 1, float64(d.Requests.Storage)
	for name, amount := range d.Requests.Other {
		if i, ok := x.others[name]; ok {
			v[i] = float64(amount)
		}
	}
	for i, volume := range d.Volumes {
		dim, ok := x.drivers[volume.Driver]
		if ok && !slices.ContainsFunc(d.Volumes[:i], func(o fleet.Volume) bool { return o.ID == volume.ID }) {
			v[dim]++
		}
	}
	return v
}

// unlimited is the room for what a node does not limit.
const unlimited = 1 << 52

// room is what a node offers. A driver without a limit, and a number of pods that nobody has given, are unlimited.
func (x *dims) room(r fleet.Resources, maxPods int, attach map[string]int) (v vec) {
	v[dimCPU], v[dimMemory], v[dimPods], v[dimStorage] = float64(r.CPU), float64(r.Memory), float64(maxPods), float64(r.Storage)
	if maxPods == 0 {
		v[dimPods] = unlimited
	}
	for name, i := range x.others {
		v[i] = float64(r.Other[name])
	}
	for name, i := range x.drivers {
		v[i] = unlimited
		if limit, ok := attach[name]; ok {
			v[i] = float64(limit)
		}
	}
	return v
}

// name is what a dimension is called in reports.
func (x *dims) name(i int) string {
	switch i {
	case dimCPU:
		return "cpu"
	case dimMemory:
		return "memory"
	case dimPods:
		return "pods"
	case dimStorage:
		return "ephemeral-storage"
	}
	for name, at := range x.others {
		if at == i {
			return name
		}
	}
	for name, at := range x.drivers {
		if at == i {
			return "volume attachments of " + name
		}
	}
	return ""
}

// fits tells whether d is within a. What is not asked for may be overdrawn already.
func fits(n int, d, a *vec) bool {
	for i := range n {
		if d[i] > a[i] && d[i] > 0 {
			return false
		}
	}
	return true
}

// times is how many of d are within a, at most limit.
func times(n int, d, a *vec, limit int) int {
	for i := range n {
		if d[i] > 0 {
			if d[i] > a[i] {
				return 0
			}
			limit = min(limit, int(a[i]/d[i]))
		}
	}
	return limit
}

// take takes k of d from a.
func (a *vec) take(n int, d *vec, k float64) {
	for i := range n {
		a[i] -= k * d[i]
	}
}
