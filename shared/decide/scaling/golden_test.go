package scaling

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

var update = flag.Bool("update", false, "write the golden plans anew")

// TestPlans compares whole decisions with testdata/*.golden, which read like the rules that they show.
func TestPlans(t *testing.T) {
	selecting := func(key, value string) func(*fleet.Pod) {
		return func(p *fleet.Pod) { p.Demand.NodeSelector = map[string]string{key: value} }
	}
	type look struct {
		w  *world
		at time.Time
		p  func(*fleet.ScalingPolicy)
	}
	general := fleet.DefaultPool()
	general.Name, general.Like, general.CapacityTypes, general.MaxNodes = "general", "base", []string{fleet.OnDemand, fleet.Spot}, 20
	// One type in one zone: which ones the solver takes is its own tests' business.
	general.Types, general.Zones = []string{"m5.large"}, []string{"us-east-1b"}
	pool := func(p *fleet.ScalingPolicy) { p.Pools, p.Launch.PoolShare = []fleet.PoolPolicy{general}, 0 }
	night := window("night", "0 20 * * *", "0 7 * * mon-fri")
	trouble := func(code string) func(*Group) {
		return func(g *Group) {
			g.Troubles = []GroupTrouble{{At: noon.Add(-20 * time.Second), Code: code, Type: g.Types[0], Zone: g.Zones[0]}}
		}
	}
	for name, l := range map[string]look{
		"nothing to do":                           {w: cluster(managed("web", "m5.large", 1, 1, 10)).pods(pod("a", 500, 512, on(1)))},
		"pending pods grow the only group":        {w: cluster(managed("web", "m5.large", 0, 0, 10)).pods(pods("web", 6, 500, 1024)...)},
		"room that is there is used first":        {w: cluster(managed("web", "m5.large", 1, 1, 10)).pods(pods("web", 3, 500, 1024)...)},
		"the cheapest group grows":                {w: cluster(managed("c", "c5.large", 0, 0, 9), managed("m", "m5.large", 0, 0, 9), managed("spot", "m5.large", 0, 0, 9, spot)).pods(pods("web", 3, 500, 512)...)},
		"a group at its greatest size":            {w: cluster(managed("web", "m5.large", 1, 1, 1)).pods(pods("web", 5, 900, 512)...)},
		"a group that EKS updates":                {w: cluster(managed("web", "m5.large", 0, 0, 9, func(g *Group) { g.Status = "UPDATING" })).pods(pod("a", 500, 512))},
		"several zones are balanced":              {w: cluster(managed("web", "m5.large", 0, 2, 9, zones("abc"))).pods(pods("web", 7, 900, 512)...)},
		"a pod of a zone that is not next":        {w: cluster(managed("web", "m5.large", 0, 2, 9, zones("abc"))).pods(pod("x", 1500, 512, on(1)), pod("y", 1500, 512, on(2)), pod("web-0", 1900, 512, selecting(fleet.LabelZone, "us-east-1a")))},
		"several types are planned as the least":  {w: cluster(managed("web", "m5.large|r5.large", 0, 0, 9)).pods(pods("web", 2, 500, 6000)...)},
		"insufficient capacity is planned around": {w: ordered(cluster(managed("spot", "m5.large", 0, 0, 9, spot, trouble("InsufficientInstanceCapacity")), managed("web", "m5.large", 0, 0, 9)), "spot", 2).pods(pods("web", 3, 900, 512)...)},
		"a broken launch template":                {w: ordered(cluster(managed("web", "m5.large", 0, 0, 9, trouble("InvalidLaunchTemplateId.NotFound")), managed("other", "m5.xlarge", 0, 0, 9)), "web", 2).pods(pods("web", 3, 900, 512)...)},
		"a pool makes its groups":                 {w: cluster(managed("base", "m5.large", 1, 1, 1)).pods(pods("web", 12, 900, 3000)...), p: pool},
		"a fleet pool":                            {w: cluster(managed("base", "m5.large", 1, 1, 1, selfManaged)).pods(pods("web", 12, 900, 3000)...), p: func(p *fleet.ScalingPolicy) { pool(p); p.Pools[0].Mode = fleet.PoolFleet }},
		"a fleet pool like a managed group":       {w: cluster(managed("base", "m5.large", 1, 1, 1)).pods(pods("web", 2, 900, 3000)...), p: func(p *fleet.ScalingPolicy) { pool(p); p.Pools[0].Mode = fleet.PoolFleet }},
		"a group that never came to be":           {w: cluster(managed("base", "m5.large", 1, 1, 1), managed("general-od-us-east-1a-m5-large", "m5.large", 0, 0, 450, func(g *Group) { g.Pool, g.Status = "general", "CREATE_FAILED" })), p: pool},
		"a pool at its limit":                     {w: cluster(managed("base", "m5.large", 1, 1, 1)).pods(pods("web", 12, 1900, 3000)...), p: func(p *fleet.ScalingPolicy) { pool(p); p.Pools[0].MaxNodes = 5 }},
		"a share of spot":                         {w: cluster(managed("od", "m5.large", 0, 0, 20), managed("spot", "m5.large", 0, 0, 20, spot)).pods(pods("web", 10, 900, 512, share("60%"))...)},
		"pods that are not ours": {w: cluster(managed("web", "m5.large", 0, 0, 9)).pods(
			pod("gated", 1, 1, func(p *fleet.Pod) { p.Gated = true }), pod("volcano", 1, 1, func(p *fleet.Pod) { p.Scheduler = "volcano" }),
			pod("expendable", 1, 1, func(p *fleet.Pod) { p.Priority = -11 }), pod("daemon", 1, 1, func(p *fleet.Pod) { p.Owner.Kind = "DaemonSet" }),
			pod("deleting", 1, 1, func(p *fleet.Pod) { p.Deleting = true }), pod("dra", 1, 1, func(p *fleet.Pod) { p.Demand.Unsupported = []string{"resourceClaims"} }))},
		"headroom": {w: cluster(managed("web", "m5.large", 1, 1, 9)).pods(pod("a", 1500, 512, on(1))), p: func(p *fleet.ScalingPolicy) {
			p.Headroom = []fleet.Headroom{{Name: "web", Count: 2, Size: fleet.Resources{CPU: 1000, Memory: gib}}}
		}},
		"a reservation of a group": {w: cluster(managed("web", "m5.large", 1, 1, 9)), p: func(p *fleet.ScalingPolicy) {
			p.Reservations = []fleet.Reservation{{Name: "show", Group: "web", Nodes: 5, From: noon.Add(-time.Minute), Until: noon.Add(time.Hour)}}
		}},
		"a reservation of a pool": {w: cluster(managed("base", "m5.large", 1, 1, 1)), p: func(p *fleet.ScalingPolicy) {
			pool(p)
			p.Reservations = []fleet.Reservation{{Name: "show", Pool: "general", Type: "m5.large", Nodes: 3, From: noon.Add(-time.Minute), Until: noon.Add(time.Hour)}}
		}},
		"a window sends a group to sleep": {w: cluster(managed("web", "m5.large", 2, 3, 9)).pods(pod("a", 500, 512, on(1))), at: noon.Add(9 * time.Hour), p: func(p *fleet.ScalingPolicy) { p.Windows = []fleet.ScaleWindow{sized(night, 0)} }},
		"asleep, its least size is down":  {w: slept(cluster(managed("web", "m5.large", 0, 3, 9)), "web", 2, 3).pods(pod("a", 500, 512, on(1)), pod("b", 500, 512)), at: noon.Add(9 * time.Hour), p: func(p *fleet.ScalingPolicy) { p.Windows = []fleet.ScaleWindow{sized(night, 0)} }},
		"a window ends":                   {w: slept(cluster(managed("web", "m5.large", 0, 0, 9)), "web", 2, 3), p: func(p *fleet.ScalingPolicy) { p.Windows = []fleet.ScaleWindow{sized(night, 0)} }},
		"the sizes of a window": {w: cluster(managed("a", "m5.large", 1, 1, 9), managed("b", "m5.large", 1, 1, 9)).pods(pods("web", 8, 1900, 512, selecting(fleet.LabelEKSNodegroup, "b"))...), p: func(p *fleet.ScalingPolicy) {
			four, three := 4, 3
			day := window("day", "0 7 * * *", "0 20 * * *")
			day.Groups, day.Min = []string{"a"}, &four
			most := day
			most.Name, most.Groups, most.Min, most.Max = "most", []string{"b"}, nil, &three
			p.Windows = []fleet.ScaleWindow{day, most}
		}},
		"an empty node goes":      {w: quiet(cluster(managed("web", "m5.large", 1, 3, 9))).pods(pod("a", 1500, 512, on(1)), pod("b", 1500, 512, on(2)))},
		"under-used nodes go":     {w: quiet(cluster(managed("web", "m5.large", 0, 3, 9))).pods(pod("a", 500, 512, on(1)), pod("b", 600, 512, on(2)), pod("c", 700, 512, on(3))), p: func(p *fleet.ScalingPolicy) { p.Shrink.Budgets = []fleet.DisruptionBudget{{Percent: 1}} }},
		"what keeps a node":       {w: quiet(cluster(managed("web", "m5.large", 0, 4, 9))).pods(pod("a", 500, 512, on(1), annotated(fleet.AnnotationDoNotDisrupt, "true")), pod("b", 600, 512, on(2), func(p *fleet.Pod) { p.Owner = fleet.Owner{} }), pod("c", 700, 512, on(3), annotated("cluster-autoscaler.kubernetes.io/safe-to-evict", "false")), pod("d", 700, 512, on(4), func(p *fleet.Pod) { p.Budget = "default/d" }))},
		"a dear node is replaced": {w: quiet(cluster(managed("base", "m5.large", 1, 1, 1), managed("big", "m5.2xlarge", 0, 1, 3))).pods(pod("a", 1500, 6000, on(1)), pod("b", 1500, 4096, on(2))), p: pool},
		"scaling is off":          {w: cluster(managed("web", "m5.large", 0, 0, 10)).pods(pods("web", 6, 500, 1024)...), p: func(p *fleet.ScalingPolicy) { p.Mode = fleet.ScalingOff }},
		"pods could not be read":  {w: cluster(managed("web", "m5.large", 0, 0, 10)), p: nil},
	} {
		t.Run(name, func(t *testing.T) {
			p := acting()
			if l.p != nil {
				l.p(&p)
			}
			if name == "pods could not be read" {
				l.w.Incomplete = map[string]string{"pods": "connection refused"}
			}
			at := noon
			if !l.at.IsZero() {
				at = l.at
			}
			d := l.w.decide(t, at, p)
			file := filepath.Join("testdata", strings.ReplaceAll(strings.ReplaceAll(name, ",", ""), " ", "_")+".golden")
			got := show(d)
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("the decision is not %s:\n%s", file, got)
			}
		})
	}
}

// show prints a decision for people, without what only machines read.
func show(d Decision) string {
	var b strings.Builder
	b.WriteString(d.Plan.String())
	e := d.Explanation
	fmt.Fprintf(&b, "before %d nodes for %.4f $/h, after %d for %.4f\n", e.Before.Nodes, e.Before.Price, e.After.Nodes, e.After.Price)
	slices.SortStableFunc(e.New, func(a, b NewNode) int { return strings.Compare(a.Group, b.Group) })
	for _, n := range e.New {
		fmt.Fprintf(&b, "new: %s %s %s %s %.4f for %d pods\n", n.Group, n.Type, n.Zone, n.Capacity, n.Price, len(n.Pods))
	}
	for _, l := range e.Left {
		fmt.Fprintf(&b, "left: %s: %s %s\n", l.Pod, l.Refused, l.Reason)
	}
	for _, k := range e.Kept {
		fmt.Fprintf(&b, "kept: %s: %s\n", k.Node, k.Why)
	}
	for _, o := range d.Memory.Orders {
		fmt.Fprintf(&b, "remembered: %d of %s (%s %s)\n", o.Count, o.Group, o.Type, o.Zone)
	}
	return b.String()
}

func window(name, from, until string) fleet.ScaleWindow {
	f, err := fleet.ParseCron(from)
	if err != nil {
		panic(err)
	}
	u, err := fleet.ParseCron(until)
	if err != nil {
		panic(err)
	}
	return fleet.ScaleWindow{Name: name, Schedule: fleet.Schedule{From: f, Until: u}}
}

func sized(w fleet.ScaleWindow, size int) fleet.ScaleWindow { w.Size = &size; return w }

func ordered(w *world, group string, count int) *world {
	for i := range w.Groups {
		if w.Groups[i].Name == group {
			w.Groups[i].Desired = count
			w.Memory.Orders = append(w.Memory.Orders, Order{Group: group, Type: w.Groups[i].Types[0], Zone: w.Groups[i].Zones[0], Spot: w.Groups[i].Spot, Count: count, At: noon.Add(-2 * time.Minute)})
		}
	}
	return w
}

func slept(w *world, group string, least, desired int) *world {
	w.Memory.Slept = map[string]Size{group: {Min: least, Desired: desired}}
	return w
}

func quiet(w *world) *world {
	w.Memory.Quiet = map[string]time.Time{}
	for _, n := range w.Nodes {
		w.Memory.Quiet[n.UID] = noon.Add(-time.Hour)
	}
	return w
}

func annotated(key, value string) func(*fleet.Pod) {
	return func(p *fleet.Pod) { p.Annotations = map[string]string{key: value} }
}

func share(s string) func(*fleet.Pod) { return annotated(fleet.AnnotationSpotShare, s) }
