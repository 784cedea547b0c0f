package scaling

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/plan"
)

// carry carries a plan out, as AWS would: sizes are set, and where machines come they are Ready nodes at that time.
func (w *world) carry(t *testing.T, d Decision, at time.Time) {
	t.Helper()
	for _, a := range actions[plan.Action](d) {
		switch a := a.(type) {
		case plan.ResizeGroup:
			g := &w.Groups[w.find(t, a.Group)]
			if g.Desired != a.From {
				t.Fatalf("%s: its size is %d", a, g.Desired)
			}
			g.Desired = a.To
			if a.Min != nil {
				g.Min = *a.Min
			}
		case plan.CreateGroup:
			w.Groups = append(w.Groups, Group{
				Name: a.Group, Kind: Managed, AutoScalingGroup: "eks-" + a.Group, Pool: a.Pool, Max: fleet.Int(a.Input, "scalingConfig", "maxSize"), Desired: a.Size,
				Types: fleet.Texts(a.Input, "instanceTypes"), Zones: []string{w.zoneOf(a.Input)}, Spot: fleet.Text(a.Input, "capacityType") == fleet.Spot,
				Labels: texts(a.Input["labels"]), AMIType: fleet.Text(a.Input, "amiType"), Status: "ACTIVE",
			})
		case plan.LaunchFleet:
			w.fleet(t, a, at)
		case plan.RemoveNode:
			w.remove(t, a)
		case plan.RetireGroup:
			i := w.find(t, a.Group)
			w.Groups = slices.Delete(w.Groups, i, i+1)
		}
	}
	w.fill(at)
}

// fill launches what groups are short of, and binds what then has room, by asking the planner itself where.
func (w *world) fill(at time.Time) {
	for i := range w.Groups {
		g := &w.Groups[i]
		for g.Kind != Fleet && len(g.Members) < g.Desired {
			have := map[string]int{}
			for _, m := range g.Members {
				have[m.Zone]++
			}
			if zone := nextZones(g.Zones, have, 1)[0]; w.dry[g.Types[0]+"/"+zone] {
				g.Troubles = []GroupTrouble{{At: at, Code: "InsufficientInstanceCapacity", Type: g.Types[0], Zone: zone}}
				break
			}
			g.Troubles = nil
			w.launch(i, at)
		}
	}
}

// bind gives pending pods the nodes that a decision has room for them on.
func (w *world) bind(d Decision) (bound int) {
	for i := range w.Pods {
		p := &w.Pods[i]
		if where := d.Explanation.Placed[p.ID()]; p.Node == "" && where != "" && slices.ContainsFunc(w.Nodes, func(n fleet.Node) bool { return n.Name == where }) {
			p.Node, p.Phase, bound = where, "Running", bound+1
		}
	}
	return bound
}

func (w *world) find(t *testing.T, name string) int {
	t.Helper()
	i := slices.IndexFunc(w.Groups, func(g Group) bool { return g.Name == name })
	if i < 0 {
		t.Fatalf("there is no group %s", name)
	}
	return i
}

// remove ends a node, and its pods are made anew.
func (w *world) remove(t *testing.T, a plan.RemoveNode) {
	t.Helper()
	g := &w.Groups[w.find(t, a.Group)]
	g.Members = slices.DeleteFunc(g.Members, func(m GroupMember) bool { return m.InstanceID == a.InstanceID })
	if g.Kind != Fleet {
		if g.Desired--; g.Desired < g.Min {
			t.Fatalf("%s: the group has its least size", a)
		}
	}
	w.Nodes = slices.DeleteFunc(w.Nodes, func(n fleet.Node) bool { return n.UID == a.UID })
	w.Instances = slices.DeleteFunc(w.Instances, func(i fleet.Instance) bool { return i.ID == a.InstanceID })
	for i := range w.Pods {
		if w.Pods[i].Node == a.Node {
			w.Pods[i].Node, w.Pods[i].Phase, w.Pods[i].Ready = "", "Pending", false
		}
	}
}

func (w *world) fleet(t *testing.T, a plan.LaunchFleet, at time.Time) {
	t.Helper()
	config := fleet.Items(a.Input, "launchTemplateConfigs")[0]
	first := fleet.Items(config, "overrides")[0]
	g := Group{Name: a.Pool, Kind: Fleet, Pool: a.Pool, Types: []string{fleet.Text(first, "instanceType")},
		Zones: []string{"us-east-1" + strings.TrimPrefix(fleet.Text(first, "subnetId"), "subnet-")}, AMIType: "AL2023_x86_64_STANDARD"}
	i := slices.IndexFunc(w.Groups, func(g Group) bool { return g.Name == a.Pool })
	if i < 0 {
		w.Groups, i = append(w.Groups, g), len(w.Groups)
	}
	if kind, zone := g.Types[0], g.Zones[0]; w.dry[kind+"/"+zone] {
		failed := Group{Name: a.Pool, Kind: Fleet, Types: g.Types, Zones: g.Zones, Spot: fleet.Text(a.Input, "targetCapacitySpecification", "defaultTargetCapacityType") == "spot",
			Troubles: []GroupTrouble{{At: at, Code: "InsufficientInstanceCapacity", Type: kind, Zone: zone}}}
		w.Memory = w.Memory.Launched(fleet.Text(a.Input, "clientToken"), 0).Learn(at, failed, fleet.DefaultScalingPolicy().Launch)
		return
	}
	w.Groups[i].Types, w.Groups[i].Zones = g.Types, g.Zones // of what comes now
	for range a.Count {
		w.launch(i, at)
		w.Groups[i].Desired++
	}
}

func (w *world) zoneOf(in fleet.Props) string {
	return "us-east-1" + strings.TrimPrefix(fleet.Texts(in, "subnets")[0], "subnet-")
}

func texts(v any) map[string]string {
	out := map[string]string{}
	p, _ := v.(fleet.Props)
	for k, v := range p {
		out[k] = fmt.Sprint(v)
	}
	return out
}
