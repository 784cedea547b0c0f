package scaling

import (
	"encoding/json"
	"fmt"
	"math/rand"
	"slices"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/plan"
)

// seeds is how many clusters the properties are tried on. Each lives for a virtual afternoon.
const seeds = 25

// TestProperties lets clusters of many kinds live: pods come and go, plans are carried out, machines come late or not at all. In each
// look what must never happen does not.
func TestProperties(t *testing.T) {
	for seed := range int64(seeds) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			r := rand.New(rand.NewSource(seed))
			w, p := randomCluster(r)
			at := noon
			for look := range 40 {
				w.drift(r, look)
				at = at.Add(time.Duration(20+r.Intn(100)) * time.Second)
				before := w.Observation
				d, err := Decide(at, w.Observation, p)
				if err != nil {
					t.Fatalf("look %d: %v", look, err)
				}
				holds(t, before, p, d)
				if again, _ := Decide(at, before, p); text(t, again) != text(t, d) {
					t.Fatalf("look %d: two decisions on one observation differ:\n%s\n%s", look, text(t, d), text(t, again))
				}
				w.Memory = d.Memory
				w.carry(t, d, at)
				w.bind(d)
			}
		})
	}
}

// holds checks what must be true of each decision.
func holds(t *testing.T, o Observation, p fleet.ScalingPolicy, d Decision) {
	t.Helper()
	groups := map[string]Group{}
	for _, g := range o.Groups {
		groups[g.Name] = g
	}
	for _, a := range actions[plan.ResizeGroup](d) {
		if g := groups[a.Group]; a.To > g.Max || a.To < 0 || a.From != g.Desired {
			t.Fatalf("%s, which has %d of at most %d", a, g.Desired, g.Max)
		}
	}
	removed := map[string]bool{}
	evictions := map[string]int{}
	for _, a := range actions[plan.RemoveNode](d) {
		if removed[a.UID] {
			t.Fatalf("%s: twice", a)
		}
		removed[a.UID] = true
		if len(o.Memory.Removals) > 0 && a.Reason != fleet.ReasonEmpty && a.Reason != fleet.ReasonSchedule {
			inFlight := slices.ContainsFunc(o.Memory.Removals, func(r Removal) bool {
				return slices.ContainsFunc(o.Instances, func(i fleet.Instance) bool { return i.ID == r.InstanceID })
			})
			if inFlight {
				t.Fatalf("%s: while others are being removed", a)
			}
		}
		for _, pod := range o.Pods {
			if pod.Node != a.Node || !evicted(pod) {
				continue
			}
			if pod.Annotations[fleet.AnnotationDoNotDisrupt] == "true" || pod.Owner.Name == "" {
				t.Fatalf("%s: pod %s must stay", a, pod.ID())
			}
			if a.Reason == fleet.ReasonEmpty {
				t.Fatalf("%s: it has pod %s", a, pod.ID())
			}
			if pod.Budget != "" && a.Reason != fleet.ReasonSchedule { // a drain waits for the budget itself
				evictions[pod.Budget]++
			}
		}
	}
	for _, b := range o.Budgets {
		if evictions[b.ID] > b.Allowed {
			t.Fatalf("%d evictions of budget %s, which allows %d", evictions[b.ID], b.ID, b.Allowed)
		}
	}
	if busy := len(d.Plan.Steps) > 0 && len(d.Memory.Orders) > 0; busy {
		for _, a := range actions[plan.RemoveNode](d) {
			if a.Reason == fleet.ReasonUnderused || a.Reason == fleet.ReasonCheaper {
				t.Fatalf("%s: while nodes are ordered", a)
			}
		}
	}
	for _, pool := range p.Pools {
		if nodes := poolNodes(o, d, pool.Name); pool.MaxNodes > 0 && nodes > pool.MaxNodes {
			t.Fatalf("pool %s has %d nodes of at most %d\n%s", pool.Name, nodes, pool.MaxNodes, d.Plan)
		}
	}
}

func poolNodes(o Observation, d Decision, pool string) (nodes int) {
	for _, g := range o.Groups {
		if g.Pool == pool {
			if nodes += len(g.Members); g.Kind == Managed {
				nodes += max(g.Desired-len(g.Members), 0)
			}
		}
	}
	for _, a := range actions[plan.CreateGroup](d) {
		if a.Pool == pool {
			nodes += a.Size
		}
	}
	for _, a := range actions[plan.LaunchFleet](d) {
		if a.Pool == pool {
			nodes += a.Count
		}
	}
	for _, a := range actions[plan.ResizeGroup](d) {
		for _, g := range o.Groups {
			if g.Name == a.Group && g.Pool == pool {
				nodes += a.To - a.From
			}
		}
	}
	return nodes
}

func randomCluster(r *rand.Rand) (*world, fleet.ScalingPolicy) {
	kinds := []string{"m5.large", "c5.large", "m5.xlarge", "r5.large", "m5.2xlarge", "m5.large|m6i.large"}
	groups := []Group{managed("base", "m5.large", 1, 1+r.Intn(3), 4)}
	for i := range r.Intn(4) {
		edits := []func(*Group){zones([]string{"a", "b", "abc", "ac"}[r.Intn(4)])}
		if r.Intn(2) == 0 {
			edits = append(edits, spot)
		}
		desired := r.Intn(4)
		groups = append(groups, managed(fmt.Sprintf("g%d", i), kinds[r.Intn(len(kinds))], r.Intn(desired+1), desired, desired+r.Intn(8), edits...))
	}
	p := acting()
	p.Shrink.WarmUp, p.Shrink.Floor = 2*time.Minute, r.Intn(3)
	p.Shrink.Budgets = []fleet.DisruptionBudget{{Percent: float64(1+r.Intn(10)) / 10}}
	if r.Intn(3) > 0 {
		pool := fleet.DefaultPool()
		pool.Name, pool.Like, pool.CapacityTypes, pool.MaxNodes, pool.RetireAfter = "general", "base", []string{fleet.OnDemand, fleet.Spot}, r.Intn(12), 5*time.Minute
		if r.Intn(4) == 0 {
			pool.Mode = fleet.PoolFleet
			selfManaged(&groups[0])
		}
		p.Pools, p.MaxGroups = []fleet.PoolPolicy{pool}, 2+r.Intn(8)
	}
	if r.Intn(3) == 0 {
		p.Headroom = []fleet.Headroom{{Name: "spare", Count: 1 + r.Intn(3), Size: fleet.Resources{CPU: 500, Memory: gib}}}
	}
	if r.Intn(3) == 0 {
		p.Windows = []fleet.ScaleWindow{sized(window("nap", "10 12 * * *", "30 12 * * *"), 0)}
		p.Windows[0].Wake = r.Intn(2) == 0
	}
	if r.Intn(4) == 0 {
		p.Reservations = []fleet.Reservation{{Name: "show", Group: "base", Nodes: 4, From: noon.Add(10 * time.Minute), Until: noon.Add(25 * time.Minute)}}
	}
	if len(p.Pools) > 0 && r.Intn(3) == 0 {
		p.Reservations = append(p.Reservations, fleet.Reservation{Name: "pool", Pool: "general", Nodes: 2, From: noon.Add(8 * time.Minute), Until: noon.Add(30 * time.Minute)})
	}
	w := cluster(groups...)
	w.Budgets = []fleet.Budget{{ID: "default/b0", Allowed: r.Intn(3)}, {ID: "default/b1", Allowed: 1 + r.Intn(3)}}
	return w, p
}

// drift lets pods come and go, and now and then EC2 run out of something.
func (w *world) drift(r *rand.Rand, look int) {
	if r.Intn(6) == 0 {
		w.dry = map[string]bool{}
		for range r.Intn(6) {
			w.dry[[]string{"m5.large", "c5.large", "m5.xlarge", "r5.large", "m5.2xlarge"}[r.Intn(5)]+"/us-east-1"+string("abc"[r.Intn(3)])] = true
		}
	}
	if r.Intn(10) == 0 && len(w.Nodes) > 0 { // a kubelet falls silent, or speaks again
		n := &w.Nodes[r.Intn(len(w.Nodes))]
		n.Ready = !n.Ready
	}
	if r.Intn(3) == 0 {
		name, cpu, memory := fmt.Sprintf("d%d", look), int64(100+r.Intn(1800)), int64(128+r.Intn(4000))
		edits := []func(*fleet.Pod){func(p *fleet.Pod) { p.Created = noon.Add(time.Duration(look) * time.Minute) }}
		switch r.Intn(8) {
		case 0:
			edits = append(edits, annotated(fleet.AnnotationDoNotDisrupt, "true"))
		case 1:
			edits = append(edits, func(p *fleet.Pod) { p.Owner = fleet.Owner{} })
		case 2, 3:
			edits = append(edits, func(p *fleet.Pod) { p.Budget = fmt.Sprintf("default/b%d", look%2) })
		case 4:
			edits = append(edits, share("50%"))
		case 5:
			edits = append(edits, func(p *fleet.Pod) {
				p.Demand.NodeSelector = map[string]string{fleet.LabelZone: []string{"us-east-1a", "us-east-1b", "us-east-1c"}[look%3]}
			})
		case 6:
			edits = append(edits, func(p *fleet.Pod) {
				p.Labels = map[string]string{"app": name}
				p.Demand.Spread = []fleet.Spread{{MaxSkew: 1, TopologyKey: fleet.LabelZone, Selector: &fleet.Selector{Labels: p.Labels}}}
			})
		}
		w.pods(pods(name, 1+r.Intn(12), cpu, memory, edits...)...)
	}
	if r.Intn(4) == 0 && len(w.Pods) > 0 {
		from := r.Intn(len(w.Pods))
		w.Pods = slices.Delete(slices.Clone(w.Pods), from, min(from+1+r.Intn(10), len(w.Pods)))
	}
}

// calm lets EC2 have everything again, and all kubelets speak.
func (w *world) calm() {
	w.dry = nil
	for i := range w.Nodes {
		w.Nodes[i].Ready = true
	}
}

func text(t *testing.T, d Decision) string {
	t.Helper()
	out, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// TestIdempotent: when a plan has been carried out, and its pods are bound, there is nothing more to do.
func TestIdempotent(t *testing.T) {
	for seed := range int64(seeds) {
		r := rand.New(rand.NewSource(seed))
		w, p := randomCluster(r)
		p.Windows, p.Reservations = nil, nil
		for i := range 12 {
			w.drift(r, i)
		}
		w.calm()
		at := noon
		for range 3 { // a second look may fill what the first one has learnt of
			d := w.decide(t, at, p)
			w.carry(t, d, at)
			at = at.Add(time.Second)
			w.bind(w.decide(t, at, p))
		}
		d := w.decide(t, at.Add(time.Second), p)
		if !d.Plan.Empty() {
			t.Errorf("seed %d: %s", seed, d.Plan)
		}
	}
}

// TestDownToTheFloor: when the load has gone, the cluster goes down to its least sizes, and what the planner made goes with it.
func TestDownToTheFloor(t *testing.T) {
	for seed := range int64(seeds) {
		r := rand.New(rand.NewSource(seed))
		w, p := randomCluster(r)
		p.Windows, p.Reservations, p.Headroom = nil, nil, nil
		for i := range 12 {
			w.drift(r, i)
		}
		w.calm()
		at := noon
		for range 4 {
			d := w.decide(t, at, p)
			w.carry(t, d, at)
			w.bind(d)
			at = at.Add(time.Minute)
		}
		w.Pods = nil
		var last Decision
		for range 60 {
			at = at.Add(time.Minute)
			last = w.decide(t, at, p)
			w.carry(t, last, at)
		}
		nodes, least := 0, 0
		for _, g := range w.Groups {
			nodes, least = nodes+len(g.Members), least+g.Min
			if g.Pool != "" && g.Kind == Managed && len(g.Members) == 0 {
				t.Errorf("seed %d: group %s is still there with %d nodes\n%s", seed, g.Name, len(g.Members), last.Plan)
			}
		}
		if nodes > max(least, p.Shrink.Floor) || nodes < least {
			t.Errorf("seed %d: %d nodes are left, %d are the least", seed, nodes, least)
		}
	}
}
