package packing

import (
	"hash/maphash"
	"maps"
	"reflect"
	"slices"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

// class is a set of pods that are all the same to a scheduler: thousands of pods are a few hundred classes, and all that
// takes time is done for classes.
type class struct {
	namespace   string
	labels      map[string]string // those that any selector of the problem asks about
	tolerations []fleet.Toleration
	demand      *fleet.Demand
	priority    int32

	d      vec
	filter int // the nodes that it may be on: an index into index.filters
	// unpinned is the filter before the class was pinned to a domain; -1 if it was not.
	unpinned int
	pods     []int // the problem's pods of this class, in their order
	// refused names what is not handled.
	refused string
	// groups are those of which its pods are members; terms are its own constraints, with their groups.
	groups []int
	terms  terms
}

// terms are a class's topology constraints, as indexes of groups.
type terms struct {
	spread   []spreadTerm
	affinity []int // groups; pods count that are members of all of them
	anti     []int
	// likes and dislikes are the groups of the preferred affinities and anti-affinities.
	likes, dislikes []int
}

type spreadTerm struct {
	group      int
	maxSkew    int
	minDomains int
	soft       bool
	ignore     bool // nodeAffinityPolicy: Ignore
	taints     bool // nodeTaintsPolicy: Honor
}

// group is a set of pods that constraints count, under a topology key.
type group struct {
	key        string
	selector   *fleet.Selector
	namespaces []string // sorted; nil with all
	all        bool
}

// filter is a set of nodes: selectors, affinity, volumes' places and tolerations, and a pin to one domain of a topology key.
type filter struct {
	selector    map[string]string
	terms       []fleet.NodeTerm
	places      [][]fleet.NodeTerm
	tolerations []fleet.Toleration
	pinKey, pin string
}

// index has a problem's pods as classes, and what they refer to.
type index struct {
	p       *Problem
	dims    *dims
	classes []*class
	filters []filter
	groups  []group
	// on are the classes of the pods that are on each of the problem's nodes, with how many.
	on []map[int]int
	// going are those of them that are being deleted: topology spread does not count them.
	going   []map[int]int
	daemons []daemon
	keys    map[string]bool // label keys of nodes that anybody asks about
	asked   map[string]bool // label keys of pods that any selector asks about

	seed       maphash.Seed
	byHash     map[uint64][]int // classes
	byFilter   map[uint64][]int
	byGroup    map[uint64][]int
	demandHash map[*fleet.Demand]uint64
}

// daemon is a DaemonSet's pod as it counts on new nodes.
type daemon struct {
	filter int
	d      vec
	ports  []fleet.HostPort
}

// newIndex reads a problem.
func newIndex(p *Problem) *index {
	x := &index{p: p, keys: map[string]bool{}, asked: map[string]bool{}, seed: maphash.MakeSeed(),
		byHash: map[uint64][]int{}, byFilter: map[uint64][]int{}, byGroup: map[uint64][]int{}, demandHash: map[*fleet.Demand]uint64{}}
	x.readDemands()
	for i := range p.Pods {
		c := x.classes[x.classOf(&p.Pods[i])]
		c.pods = append(c.pods, i)
	}
	x.on, x.going = make([]map[int]int, len(p.Nodes)), make([]map[int]int, len(p.Nodes))
	for n := range p.Nodes {
		x.on[n], x.going[n] = map[int]int{}, map[int]int{}
		for i := range p.Nodes[n].Pods {
			c := x.classOf(&p.Nodes[n].Pods[i])
			x.on[n][c]++
			if p.Nodes[n].Pods[i].Deleting {
				x.going[n][c]++
			}
		}
	}
	for i := range p.Daemons {
		x.daemons = append(x.daemons, x.daemon(&p.Daemons[i]))
	}
	for _, c := range x.classes {
		x.join(c)
	}
	return x
}

// nothing is the demand of a pod whose demand nobody has read.
var nothing fleet.Demand

func demandOf(p *fleet.Pod) *fleet.Demand {
	if p.Demand == nil {
		return &nothing
	}
	return p.Demand
}

// readDemands collects dimensions and label keys. Pods of one owner mostly share a demand, and it is read once.
func (x *index) readDemands() {
	var demands []*fleet.Demand
	add := func(d *fleet.Demand) {
		if _, ok := x.demandHash[d]; !ok {
			x.demandHash[d] = x.hashDemand(d)
			demands = append(demands, d)
		}
	}
	for i := range x.p.Pods {
		add(demandOf(&x.p.Pods[i]))
	}
	for n := range x.p.Nodes {
		for i := range x.p.Nodes[n].Pods {
			add(demandOf(&x.p.Nodes[n].Pods[i]))
		}
	}
	for i := range x.p.Daemons {
		add(&x.p.Daemons[i].Demand)
	}
	x.dims = newDims(demands)
	for _, d := range demands {
		x.noteKeys(d)
	}
}

// noteKeys notes which labels a demand asks about, of nodes and of pods.
func (x *index) noteKeys(d *fleet.Demand) {
	nodes := func(terms []fleet.NodeTerm) {
		for _, t := range terms {
			for _, r := range t.Labels {
				x.keys[r.Key] = true
			}
		}
	}
	pods := func(key string, s *fleet.Selector) {
		x.keys[key] = true
		if s == nil {
			return
		}
		for k := range s.Labels {
			x.asked[k] = true
		}
		for _, r := range s.Requirements {
			x.asked[r.Key] = true
		}
	}
	for k := range d.NodeSelector {
		x.keys[k] = true
	}
	nodes(d.NodeTerms)
	for _, v := range d.Volumes {
		nodes(v.Where)
	}
	for _, t := range d.PreferredNodes {
		nodes([]fleet.NodeTerm{t.Term})
	}
	for _, s := range d.Spread {
		pods(s.TopologyKey, s.Selector)
	}
	for _, list := range [][]fleet.PodTerm{d.Affinity, d.AntiAffinity} {
		for _, t := range list {
			pods(t.TopologyKey, t.Selector)
		}
	}
	for _, list := range [][]fleet.PreferredPod{d.PreferredAffinity, d.PreferredAntiAffinity} {
		for _, t := range list {
			pods(t.Term.TopologyKey, t.Term.Selector)
		}
	}
}

// classOf finds or makes a pod's class.
func (x *index) classOf(p *fleet.Pod) int {
	d := demandOf(p)
	h := x.demandHash[d] ^ x.hashString(p.Namespace)*3 ^ uint64(uint32(p.Priority))*0x9e3779b97f4a7c15
	for k, v := range p.Labels {
		if x.asked[k] {
			h += x.hashString(k) * (x.hashString(v) | 1)
		}
	}
	for _, t := range p.Tolerations {
		h = h*31 + maphash.Comparable(x.seed, t)
	}
	for _, i := range x.byHash[h] {
		if x.same(x.classes[i], p, d) {
			return i
		}
	}
	c := &class{namespace: p.Namespace, labels: map[string]string{}, tolerations: p.Tolerations, demand: d, priority: p.Priority, d: x.dims.of(d), unpinned: -1}
	for k, v := range p.Labels {
		if x.asked[k] {
			c.labels[k] = v
		}
	}
	c.refused = x.refusal(d)
	c.filter = x.filterOf(filterFor(d, p.Tolerations))
	x.classes = append(x.classes, c)
	x.byHash[h] = append(x.byHash[h], len(x.classes)-1)
	return len(x.classes) - 1
}

func (x *index) same(c *class, p *fleet.Pod, d *fleet.Demand) bool {
	if c.namespace != p.Namespace || c.priority != p.Priority || !slices.Equal(c.tolerations, p.Tolerations) || c.demand != d && !reflect.DeepEqual(c.demand, d) {
		return false
	}
	n := 0
	for k, v := range p.Labels {
		if x.asked[k] {
			if have, ok := c.labels[k]; !ok || have != v {
				return false
			}
			n++
		}
	}
	return n == len(c.labels)
}

// refusal names what of a demand is not handled; "" if all is.
func (x *index) refusal(d *fleet.Demand) string {
	if len(d.Unsupported) > 0 {
		return d.Unsupported[0]
	}
	for name := range d.Requests.Other {
		if x.dims.beyond[name] {
			return "more than " + itoa(maxDims-dimOthers) + " kinds of extended resources and CSI drivers: " + name
		}
	}
	for _, v := range d.Volumes {
		if x.dims.beyond["volumes of "+v.Driver] {
			return "more than " + itoa(maxDims-dimOthers) + " kinds of extended resources and CSI drivers: " + v.Driver
		}
	}
	for _, s := range d.Spread {
		if s.TopologyKey == "" || s.MaxSkew < 1 {
			return "a topology spread constraint without a key or with maxSkew below 1"
		}
	}
	return ""
}

func filterFor(d *fleet.Demand, tolerations []fleet.Toleration) filter {
	f := filter{selector: d.NodeSelector, terms: d.NodeTerms, tolerations: tolerations}
	for _, v := range d.Volumes {
		if v.Where != nil {
			f.places = append(f.places, v.Where)
		}
	}
	return f
}

// daemonTolerations are those that the DaemonSet controller adds to its pods.
// https://kubernetes.io/docs/concepts/workloads/controllers/daemonset/#taints-and-tolerations
var daemonTolerations = []fleet.Toleration{
	{Key: "node.kubernetes.io/not-ready", Operator: "Exists"}, {Key: "node.kubernetes.io/unreachable", Operator: "Exists"},
	{Key: "node.kubernetes.io/disk-pressure", Operator: "Exists"}, {Key: "node.kubernetes.io/memory-pressure", Operator: "Exists"},
	{Key: "node.kubernetes.io/pid-pressure", Operator: "Exists"}, {Key: "node.kubernetes.io/unschedulable", Operator: "Exists"},
	{Key: "node.kubernetes.io/network-unavailable", Operator: "Exists"},
}

func (x *index) daemon(d *fleet.Daemon) daemon {
	return daemon{x.filterOf(filterFor(&d.Demand, slices.Concat(d.Tolerations, daemonTolerations))), x.dims.of(&d.Demand), d.Demand.HostPorts}
}

// filterOf finds or makes a filter.
func (x *index) filterOf(f filter) int {
	h := x.hashMap(f.selector) + x.hashTerms(f.terms)*5 + x.hashString(f.pinKey)*7 + x.hashString(f.pin)*11
	for _, t := range f.places {
		h = h*31 + x.hashTerms(t)
	}
	for _, t := range f.tolerations {
		h = h*31 + maphash.Comparable(x.seed, t)
	}
	for _, i := range x.byFilter[h] {
		o := &x.filters[i]
		if o.pinKey == f.pinKey && o.pin == f.pin && maps.Equal(o.selector, f.selector) && slices.Equal(o.tolerations, f.tolerations) &&
			reflect.DeepEqual(o.terms, f.terms) && reflect.DeepEqual(o.places, f.places) {
			return i
		}
	}
	x.filters = append(x.filters, f)
	x.byFilter[h] = append(x.byFilter[h], len(x.filters)-1)
	return len(x.filters) - 1
}

// pinned is a filter narrowed to one domain of a topology key.
func (x *index) pinned(f int, key, value string) int {
	narrow := x.filters[f]
	narrow.pinKey, narrow.pin = key, value
	return x.filterOf(narrow)
}

// narrowed is a filter with one more term that must hold.
func (x *index) narrowed(f int, term fleet.NodeTerm) int {
	narrow := x.filters[f]
	narrow.places = append(slices.Clone(narrow.places), []fleet.NodeTerm{term})
	return x.filterOf(narrow)
}

// passes tells whether nodes of these labels, taints and name are in the filter.
func (f *filter) passes(labels map[string]string, taints []fleet.Taint, name string) bool {
	if f.pinKey != "" && labels[f.pinKey] != f.pin {
		return false
	}
	if _, off := keepsOff(taints, f.tolerations); off {
		return false
	}
	return f.wants(labels, name)
}

// chooses is what the pod's own node selector and affinity say.
func (f *filter) chooses(labels map[string]string, name string) bool {
	for k, v := range f.selector {
		if have, there := labels[k]; !there || have != v {
			return false
		}
	}
	return meetsAny(f.terms, labels, name)
}

// wants is passes without the taints and the pin.
func (f *filter) wants(labels map[string]string, name string) bool {
	if !f.chooses(labels, name) {
		return false
	}
	for _, place := range f.places {
		if !meetsAny(place, labels, name) {
			return false
		}
	}
	return true
}
