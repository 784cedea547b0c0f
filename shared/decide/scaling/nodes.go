package scaling

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/shared/decide/packing"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

// node is a node that there is, or that will be.
type node struct {
	fleet.Node
	group    *group // nil for nodes of nobody known
	instance string
	kind     string // instance type
	zone     string
	capacity string
	price    float64 // 0 where nobody knows
	pods     []fleet.Pod
	joining  bool   // not Ready yet
	closed   string // why it takes no pods, ""
	going    bool   // we have asked for it to be removed
}

// settle is how long Auto Scaling and EC2 may take to show what they were asked for.
const settle = time.Minute

// readNodes joins nodes, machines, groups and pods, and adds the nodes that are on their way.
func (s *scene) readNodes() {
	pods := map[string][]fleet.Pod{}
	for _, p := range s.o.Pods {
		if p.Node != "" && !p.Finished() {
			pods[p.Node] = append(pods[p.Node], p)
		}
	}
	machines := map[string]fleet.Instance{}
	for _, i := range s.o.Instances {
		machines[i.ID] = i
	}
	going := map[string]bool{}
	for _, r := range s.memory.Removals {
		going[r.InstanceID] = true
	}
	registered := map[string]bool{}
	for _, seen := range s.o.Nodes {
		n := &node{Node: seen, pods: pods[seen.Name], joining: !seen.Ready}
		n.instance = instanceOf(seen)
		registered[n.instance] = true
		n.kind, n.zone = seen.Labels[fleet.LabelInstanceType], seen.Labels[fleet.LabelZone]
		n.group = s.groupOf[n.instance]
		if i, ok := machines[n.instance]; ok {
			n.kind, n.zone = cmp.Or(n.kind, i.Type), cmp.Or(n.zone, i.Zone)
		}
		n.capacity = s.capacityOf(n, machines[n.instance])
		n.price = s.priceOf(n.kind, n.zone, n.capacity)
		n.going = going[n.instance]
		n.closed = s.closedBy(n)
		n.Taints = s.lasting(n)
		if n.group != nil {
			n.group.nodes = append(n.group.nodes, n)
		}
		s.nodes = append(s.nodes, n)
	}
	slices.SortFunc(s.nodes, func(a, b *node) int { return cmp.Compare(a.Name, b.Name) })
	s.measure()
	for _, g := range s.groups {
		s.coming(g, registered, machines)
	}
	s.comingPools()
	for _, n := range s.nodes {
		if n.joining && n.closed == "" && n.Allocatable.CPU == 0 {
			s.furnish(n)
		}
		s.addDaemons(n)
	}
}

func (s *scene) capacityOf(n *node, i fleet.Instance) string {
	switch {
	case n.Labels[fleet.LabelEKSCapacity] != "":
		return n.Labels[fleet.LabelEKSCapacity]
	case i.Spot, n.group != nil && n.group.Spot, n.Labels[fleet.LabelKarpenterKind] == "spot":
		return fleet.Spot
	}
	return fleet.OnDemand
}

// closedBy tells why a node takes no further pods, or "".
func (s *scene) closedBy(n *node) string {
	switch {
	case n.going:
		return "it is being removed"
	case n.Unschedulable:
		return "it is cordoned"
	case n.Labels["eks.amazonaws.com/compute-type"] == "fargate":
		return "it is a Fargate node"
	case !n.Ready && s.now.Sub(n.Created) > s.p.Launch.Timeout:
		return "it is not Ready"
	}
	return ""
}

// lasting are a node's taints without those that a node has only while it starts.
func (s *scene) lasting(n *node) []fleet.Taint {
	if !n.joining && s.now.Sub(n.Created) > s.p.Launch.Timeout {
		return n.Taints
	}
	return slices.DeleteFunc(slices.Clone(n.Taints), func(t fleet.Taint) bool {
		if slices.Contains(s.p.Nodes.StartupTaints, t.Key) {
			return true
		}
		return n.joining && (strings.HasPrefix(t.Key, "node.kubernetes.io/") || strings.HasPrefix(t.Key, "node.cloudprovider.kubernetes.io/"))
	})
}

// coming adds the nodes of a group that are on their way: machines that are no nodes yet, and members that Auto Scaling has
// yet to launch.
func (s *scene) coming(g *group, registered map[string]bool, machines map[string]fleet.Instance) {
	late := 0
	for _, m := range g.live {
		if registered[m.InstanceID] {
			continue
		}
		i := machines[m.InstanceID]
		if !i.Launched.IsZero() && s.now.Sub(i.Launched) > s.p.Launch.Timeout {
			late++
			s.note("machine %s of group %s was launched %s ago and is no node: look at its console output", m.InstanceID, g.Name, s.now.Sub(i.Launched).Round(time.Minute))
			continue
		}
		s.join(g, m.InstanceID, m.Type, m.Zone)
		if g.Kind == Fleet { // its machines are of both kinds
			n := s.nodes[len(s.nodes)-1]
			n.capacity = capacityName(i.Spot)
			n.price = s.priceOf(n.kind, n.zone, n.capacity)
		}
	}
	g.size = len(g.live)
	if g.Kind == Fleet {
		s.comingFleet(g)
		return
	}
	missing := g.Desired - len(g.live)
	if ordered := s.unseen(g); ordered > 0 { // Auto Scaling does not show the latest order yet
		missing += ordered
	}
	if missing <= 0 {
		return
	}
	if why := s.hopeless(g); why != "" {
		s.note("group %s waits for %d machines that do not come: %s", g.Name, missing, why)
		if s.takeBack(g); g.own() { // nobody else has asked for them
			s.giveBack[g.Name] = missing
		}
		return
	}
	g.size += missing
	for i, zone := range nextZones(g.Zones, g.perZone(), missing) {
		s.join(g, fmt.Sprintf("%s/%d", g.Name, i+1), strings.Join(g.Types, "|"), zone)
	}
}

// join adds a node that will be one of the group's.
func (s *scene) join(g *group, name, kind, zone string) {
	labels := g.nodeLabels()
	n := &node{group: g, kind: kind, zone: zone, capacity: g.capacity(), joining: true, instance: name}
	n.Node = fleet.Node{Name: name, Labels: labels, Taints: g.Taints}
	n.price = s.priceOf(kind, zone, n.capacity)
	if g.frozen != "" && g.Status == "DELETING" {
		n.closed = "its group is being deleted"
	}
	g.nodes, s.nodes = append(g.nodes, n), append(s.nodes, n)
}

// furnish says of a node to come what it will have.
func (s *scene) furnish(n *node) {
	t, ok := s.typeFor(n)
	if !ok {
		n.closed = "nobody knows how much a " + n.kind + " holds"
		return
	}
	n.Allocatable, n.MaxPods, n.AttachLimits = t.Allocatable, t.MaxPods, t.AttachLimit
	labels := maps.Clone(t.Labels)
	maps.Copy(labels, n.Labels)
	for k, v := range map[string]string{
		fleet.LabelZone: n.zone, fleet.LabelInstanceType: n.kind, fleet.LabelArch: t.Arch, fleet.LabelHostname: n.Name,
		"failure-domain.beta.kubernetes.io/zone": n.zone,
	} {
		if _, has := labels[k]; !has {
			labels[k] = v
		}
	}
	n.Labels = labels
}

// addDaemons puts the pods of DaemonSets on a node that will have them and has not yet.
func (s *scene) addDaemons(n *node) {
	if n.closed != "" {
		return
	}
	has := map[string]bool{}
	for _, p := range n.pods {
		if p.Owner.Kind == "DaemonSet" {
			has[p.Namespace+"/"+p.Owner.Name] = true
		}
	}
	for i := range s.o.Daemons {
		d := &s.o.Daemons[i]
		if has[d.ID()] || !packing.Allows(&d.Demand, d.Tolerations, n.Name, n.Labels, n.Taints) {
			continue
		}
		n.pods = append(n.pods, fleet.Pod{
			Namespace: d.Namespace, Name: d.Name + "-on-" + n.Name, Labels: d.Labels, Owner: fleet.Owner{Kind: "DaemonSet", Name: d.Name},
			Tolerations: d.Tolerations, Demand: &d.Demand, Node: n.Name, Phase: "Pending",
		})
	}
}

// asPacking is the node as the solver sees it. Expendable pods give way, so that they are not there.
func (s *scene) asPacking(n *node) packing.Node {
	labels := maps.Clone(n.Labels)
	out := packing.Node{
		Name: n.Name, Labels: with(labels, labelCapacity, n.capacity), Taints: n.Taints, Allocatable: n.Allocatable,
		MaxPods: n.MaxPods, AttachLimit: n.AttachLimits, Closed: n.closed != "", Price: n.price,
	}
	for _, p := range n.pods {
		if s.expendable(p) && p.Owner.Kind != "DaemonSet" {
			continue
		}
		if p.Demand == nil {
			p.Demand = &fleet.Demand{}
		}
		out.Pods = append(out.Pods, p)
	}
	return out
}
