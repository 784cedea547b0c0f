package workload

import (
	"fmt"
	"maps"
	"slices"

	"github.com/ekspedite/ekspedite/shared/decide/packing"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

// host is a node while pods are bound to it.
type host struct {
	name        string
	labels      map[string]string
	taints      []fleet.Taint
	closed      bool
	allocatable fleet.Resources
	maxPods     int
	attach      map[string]int
	there       []fleet.Pod // before any is bound

	used    fleet.Resources
	pods    int
	ports   []fleet.HostPort
	volumes map[string]fleet.Volume
}

// newCluster has the nodes that exist and the new ones, each with what is on it before the solution's pods are bound.
func newCluster(p packing.Problem, s packing.Solution) *cluster {
	c := &cluster{options: p.Options, classes: map[string]*class{}, groups: map[string]*group{}, index: map[string][]*group{}, claims: map[string]bool{}, reaches: map[string]reach{}}
	for _, n := range p.Nodes {
		h := host{name: n.Name, labels: maps.Clone(n.Labels), taints: n.Taints, closed: n.Closed, allocatable: n.Allocatable, maxPods: n.MaxPods, attach: n.AttachLimit, there: n.Pods}
		if h.labels == nil {
			h.labels = map[string]string{}
		}
		if h.labels[fleet.LabelHostname] == "" {
			h.labels[fleet.LabelHostname] = n.Name
		}
		c.nodes = append(c.nodes, h)
	}
	for i, n := range s.New {
		t, pool := p.Types[n.Type], p.Pools[n.Pool]
		o := t.Offerings[n.Offering]
		h := host{name: newName(i), taints: pool.Taints, allocatable: t.Allocatable, maxPods: t.MaxPods, attach: t.AttachLimit}
		h.labels = nodeLabels(h.name, t, pool.Labels, o.Zone, o.Capacity, p.Options.CapacityLabels)
		for i := range p.Daemons {
			d := &p.Daemons[i]
			if runsOn(d, h.name, h.labels, h.taints) {
				h.there = append(h.there, daemonPod(d, h.name))
			}
		}
		c.nodes = append(c.nodes, h)
	}
	// The pods' rules are all known before the first one is bound, so that each binding counts for all of them.
	for _, h := range c.nodes {
		for _, pod := range h.there {
			c.classOf(pod)
		}
	}
	for _, pod := range p.Pods {
		c.classOf(pod)
	}
	return c
}

// room is what a node lacks for a pod.
func (n *host) room(d *fleet.Demand) *Breach {
	if d == nil {
		return nil
	}
	lacks := func(rule string, asked, used, has int64) *Breach {
		if asked == 0 || used+asked <= has {
			return nil
		}
		return &Breach{Rule: rule, Text: fmt.Sprintf("%d more, with %d of %d taken", asked, used, has)}
	}
	for _, r := range []*Breach{
		lacks("pods", 1, int64(n.pods), int64(n.maxPods)),
		lacks("cpu", d.Requests.CPU, n.used.CPU, n.allocatable.CPU),
		lacks("memory", d.Requests.Memory, n.used.Memory, n.allocatable.Memory),
		lacks("ephemeral storage", d.Requests.Storage, n.used.Storage, n.allocatable.Storage),
	} {
		if r != nil {
			return r
		}
	}
	for _, name := range slices.Sorted(maps.Keys(d.Requests.Other)) {
		if r := lacks(name, d.Requests.Other[name], n.used.Other[name], n.allocatable.Other[name]); r != nil {
			return r
		}
	}
	for _, p := range d.HostPorts {
		if slices.ContainsFunc(n.ports, func(q fleet.HostPort) bool { return clash(p, q) }) {
			return &Breach{Rule: "host port", Text: fmt.Sprintf("port %d is taken", p.Port)}
		}
	}
	return n.attaches(d)
}

// attaches is what keeps a pod's volumes off a node.
func (n *host) attaches(d *fleet.Demand) *Breach {
	more := map[string]map[string]bool{}
	for _, v := range d.Volumes {
		if v.Where != nil && !slices.ContainsFunc(v.Where, func(t fleet.NodeTerm) bool { return termHolds(t, n.name, n.labels) }) {
			return &Breach{Rule: "volume", Text: "volume " + v.ID + " is elsewhere"}
		}
		if _, there := n.volumes[v.ID]; !there && v.Driver != "" {
			if more[v.Driver] == nil {
				more[v.Driver] = map[string]bool{}
			}
			more[v.Driver][v.ID] = true
		}
	}
	for driver, ids := range more {
		most, limited := n.attach[driver]
		taken := 0
		for _, v := range n.volumes {
			if v.Driver == driver {
				taken++
			}
		}
		if limited && taken+len(ids) > most {
			return &Breach{Rule: "volume", Text: fmt.Sprintf("%d more of driver %s, with %d of %d attached", len(ids), driver, taken, most)}
		}
	}
	return nil
}

// clash tells whether two pods cannot have these ports on one node.
func clash(a, b fleet.HostPort) bool {
	any := func(ip string) bool { return ip == "" || ip == "0.0.0.0" }
	protocol := func(p string) string {
		if p == "" {
			return "TCP"
		}
		return p
	}
	return a.Port == b.Port && protocol(a.Protocol) == protocol(b.Protocol) && (any(a.IP) || any(b.IP) || a.IP == b.IP)
}

// take gives a pod its share of the node.
func (n *host) take(d *fleet.Demand) {
	n.pods++
	if d == nil {
		return
	}
	n.used.CPU += d.Requests.CPU
	n.used.Memory += d.Requests.Memory
	n.used.Storage += d.Requests.Storage
	for name, v := range d.Requests.Other {
		if n.used.Other == nil {
			n.used.Other = map[string]int64{}
		}
		n.used.Other[name] += v
	}
	n.ports = append(n.ports, d.HostPorts...)
	for _, v := range d.Volumes {
		if n.volumes == nil {
			n.volumes = map[string]fleet.Volume{}
		}
		n.volumes[v.ID] = v
	}
}
