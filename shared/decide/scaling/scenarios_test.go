package scaling

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/plan"
)

// TestShortageIsBelievedLonger: three minutes, and twice as long for each failure in a row, up to half an hour.
func TestShortageIsBelievedLonger(t *testing.T) {
	g := managed("spot", "m5.large", 0, 3, 9, spot)
	var m Memory
	at := noon
	for i, minutes := range []int{3, 6, 12, 24, 30, 30} {
		at = at.Add(time.Hour)
		g.Troubles = []GroupTrouble{{At: at, Code: "InsufficientInstanceCapacity"}}
		for range 2 { // the same failure is seen in many looks
			m = m.Learn(at.Add(time.Second), g, acting().Launch)
		}
		if len(m.Shortages) != 1 || m.Shortages[0].Times != i+1 || m.Shortages[0].Until.Sub(at) != time.Duration(minutes)*time.Minute {
			t.Fatalf("failure %d: %+v", i+1, m.Shortages)
		}
	}
	g.Zones = []string{"us-east-1a", "us-east-1b"}
	for code, want := range map[string]int{"VcpuLimitExceeded": 2, "InsufficientInstanceCapacity": 1, "InsufficientFreeAddressesInSubnet": 1, "AuthFailure": 1} {
		g.Troubles = []GroupTrouble{{At: at, Code: code, Zone: "us-east-1a", Type: "m5.large"}}
		if m := (Memory{}).Learn(at, g, acting().Launch); len(m.Shortages) != want || (m.Shortages[0].Group != "") != (code == "AuthFailure") {
			t.Errorf("%s: %+v", code, m.Shortages)
		}
	}
}

// TestSuccessRefutesShortage: a machine that came shows that there are some again.
func TestSuccessRefutesShortage(t *testing.T) {
	w := cluster(managed("web", "m5.large", 0, 1, 9))
	w.Memory.Shortages = []Shortage{{Type: "m5.large", Zone: "us-east-1a", Until: noon.Add(time.Minute), At: noon.Add(-25 * time.Hour), Times: 2}, {Type: "m5.large", Zone: "us-east-1b", Until: noon.Add(time.Minute), At: noon, Times: 1}}
	if d := w.decide(t, noon, acting()); len(d.Memory.Shortages) != 1 || d.Memory.Shortages[0].Zone != "us-east-1b" {
		t.Errorf("%+v", d.Memory.Shortages)
	}
}

// TestOrders: what was asked for is counted on, once, until it is there or does not come.
func TestOrders(t *testing.T) {
	w := cluster(managed("web", "m5.large", 0, 0, 9), managed("other", "m5.xlarge", 0, 0, 9)).pods(pods("web", 3, 900, 512)...)
	first := w.decide(t, noon, acting())
	if got := actions[plan.ResizeGroup](first); len(got) == 0 || got[0].To == 0 {
		t.Fatal(first.Plan)
	}
	if d := w.decide(t, noon.Add(5*time.Second), acting()); !d.Plan.Empty() { // Auto Scaling shows the old size yet
		t.Errorf("ordered twice: %s", d.Plan)
	}
	ordered := w.Memory.Orders[0].Group
	i := w.find(t, ordered)
	w.Groups[i].Desired = w.Memory.Orders[0].Count
	if d := w.decide(t, noon.Add(5*time.Minute), acting()); !d.Plan.Empty() || len(d.Memory.Orders) != 1 {
		t.Errorf("the machines are on their way: %s", d.Plan)
	}
	d := w.decide(t, noon.Add(16*time.Minute), acting())
	got := actions[plan.ResizeGroup](d)
	if len(got) != 2 || !slices.ContainsFunc(got, func(a plan.ResizeGroup) bool { return a.Group == ordered && a.To == 0 }) {
		t.Errorf("what does not come in a quarter of an hour is got elsewhere, and not twice: %s", d.Plan)
	}
}

// TestReplacementComesFirst: the new node is Ready before the old one goes, and nothing else is disturbed meanwhile.
func TestReplacementComesFirst(t *testing.T) {
	pool := fleet.DefaultPool()
	pool.Name, pool.Like = "general", "base"
	p := acting()
	p.Pools = []fleet.PoolPolicy{pool}
	w := quiet(cluster(managed("base", "m5.large", 1, 1, 1), managed("big", "m5.2xlarge", 0, 1, 3))).
		pods(pod("a", 1500, 6000, on(1)), pod("b", 1500, 4096, on(2)))
	d := w.decide(t, noon, p)
	if len(actions[plan.CreateGroup](d)) != 1 || len(actions[plan.RemoveNode](d)) != 0 || d.Memory.Swap == nil {
		t.Fatal(d.Plan)
	}
	w.carry(t, d, noon)
	fresh := &w.Nodes[len(w.Nodes)-1]
	fresh.Ready = false
	if d = w.decide(t, noon.Add(time.Minute), p); !d.Plan.Empty() || d.Memory.Swap == nil {
		t.Fatalf("the new node is not Ready: %s", d.Plan)
	}
	fresh.Ready = true
	d = w.decide(t, noon.Add(2*time.Minute), p)
	if got := actions[plan.RemoveNode](d); len(got) != 1 || got[0].Reason != fleet.ReasonCheaper || got[0].Node != "node-i-002" {
		t.Fatal(d.Plan)
	}
	if d := w.decide(t, noon.Add(3*time.Minute), p); len(actions[plan.RemoveNode](d)) != 0 {
		t.Errorf("one at a time: %s", d.Plan)
	}
	w.carry(t, d, noon.Add(3*time.Minute))
	d = w.decide(t, noon.Add(4*time.Minute), p)
	if w.bind(d); !d.Plan.Empty() || d.Memory.Swap != nil || len(d.Memory.Removals) != 0 || w.pending() != 0 {
		t.Errorf("it is over: %s %+v", d.Plan, d.Memory)
	}
}

// TestDisruptionBudgets: how many nodes go at once, when, and why.
func TestDisruptionBudgets(t *testing.T) {
	hours := window("", "0 9 * * *", "0 17 * * *").Schedule
	for name, c := range map[string]struct {
		budgets []fleet.DisruptionBudget
		at      time.Time
		want    int
	}{
		"a tenth, rounded up":           {[]fleet.DisruptionBudget{{Percent: 0.1}}, noon, 1},
		"half":                          {[]fleet.DisruptionBudget{{Percent: 0.5}}, noon, 3},
		"none":                          {nil, noon, 6},
		"not in office hours":           {[]fleet.DisruptionBudget{{Percent: 1}, {Schedule: hours}}, noon, 0},
		"after them":                    {[]fleet.DisruptionBudget{{Percent: 1}, {Schedule: hours}}, noon.Add(6 * time.Hour), 6},
		"the least of several":          {[]fleet.DisruptionBudget{{Nodes: 4}, {Nodes: 2}}, noon, 2},
		"for another reason":            {[]fleet.DisruptionBudget{{Reasons: []string{fleet.ReasonUnderused}}}, noon, 6},
		"for this reason among several": {[]fleet.DisruptionBudget{{Nodes: 1, Reasons: []string{fleet.ReasonEmpty, fleet.ReasonCheaper}}}, noon, 1},
	} {
		p := acting()
		p.Shrink.Budgets = c.budgets
		d := quiet(cluster(managed("web", "m5.large", 0, 6, 9))).decide(t, c.at, p)
		if got := len(actions[plan.RemoveNode](d)); got != c.want {
			t.Errorf("%s: %d nodes go, want %d", name, got, c.want)
		}
	}
}

// TestNightAndMorning: a group sleeps with its pods' needs unheard, and has its old size in the morning.
func TestNightAndMorning(t *testing.T) {
	p := acting()
	p.Windows = []fleet.ScaleWindow{sized(window("night", "0 20 * * *", "0 7 * * *"), 1)}
	w := cluster(managed("web", "m5.large", 2, 4, 9)).pods(pod("a", 500, 512, on(1)), pod("b", 500, 512, on(2)))
	at := noon.Add(8 * time.Hour)
	for range 4 {
		d := w.decide(t, at, p)
		w.carry(t, d, at)
		at = at.Add(time.Minute)
	}
	if g := w.Groups[0]; g.Desired != 1 || g.Min != 1 || len(g.Members) != 1 {
		t.Fatalf("at night: %+v", g)
	}
	w.pods(pods("late", 5, 900, 512)...)
	if d := w.decide(t, at, p); !d.Plan.Empty() || len(d.Explanation.Left) == 0 || !strings.Contains(d.Explanation.Left[0].Reason, "sleeps in window night") {
		t.Errorf("a sleeping group does not grow: %s %+v", d.Plan, d.Explanation.Left)
	}
	w.Pods = nil
	at = noon.Add(19 * time.Hour)
	w.carry(t, w.decide(t, at, p), at)
	if g := w.Groups[0]; g.Desired != 4 || g.Min != 2 {
		t.Errorf("in the morning: %+v", g)
	}
	if d := w.decide(t, at.Add(time.Minute), p); !d.Plan.Empty() || len(d.Memory.Slept) != 0 {
		t.Errorf("it is over: %s", d.Plan)
	}
}

// TestShareCountsWhatRuns: pods that run on on-demand nodes are part of the share.
func TestShareCountsWhatRuns(t *testing.T) {
	half := share("50%")
	w := cluster(managed("od", "m5.large", 0, 1, 9), managed("spot", "m5.large", 0, 0, 9, spot)).
		pods(pods("web", 2, 900, 512, half, on(1))...)
	for _, p := range pods("more", 4, 900, 512, half) {
		p.Owner.Name = w.Pods[0].Owner.Name
		w.pods(p)
	}
	d := w.decide(t, noon, acting())
	sizes := map[string]int{}
	for _, a := range actions[plan.ResizeGroup](d) {
		sizes[a.Group] = a.To
	}
	if sizes["od"] != 2 || sizes["spot"] != 1 { // of six pods three are to be on demand: two run, and one more has to be; its node has room for another
		t.Errorf("%v: %s", sizes, d.Plan)
	}
}

// TestDaemonsHaveTheirPlace: a node that is on its way has the pods of DaemonSets before others.
func TestDaemonsHaveTheirPlace(t *testing.T) {
	w := cluster(managed("web", "m5.large", 0, 0, 9)).pods(pods("web", 2, 900, 512)...)
	w.Daemons = []fleet.Daemon{{Namespace: "kube-system", Name: "agent", Demand: fleet.Demand{Requests: fleet.Resources{CPU: 200}}},
		{Namespace: "kube-system", Name: "arm", Demand: fleet.Demand{Requests: fleet.Resources{CPU: 1000}, NodeSelector: map[string]string{fleet.LabelArch: "arm64"}}}}
	d := w.decide(t, noon, acting())
	if len(d.Explanation.New) != 2 {
		t.Errorf("a node has room for one pod beside the agent: %s", d.Plan)
	}
	w.Groups[0].Desired = 2
	if d := w.decide(t, noon.Add(2*time.Minute), acting()); !d.Plan.Empty() || len(d.Explanation.Placed) != 2 {
		t.Errorf("both are on their way: %s", d.Plan)
	}
}

// TestChecked: a plan that breaks a rule is found out, whoever made it.
func TestChecked(t *testing.T) {
	for name, c := range map[string]struct {
		steps []plan.Action
		says  string
	}{
		"a node twice":          {[]plan.Action{plan.RemoveNode{InstanceID: "i-001", Group: "web"}, plan.RemoveNode{InstanceID: "i-001", Group: "web"}}, "removed twice"},
		"below the least size":  {[]plan.Action{plan.RemoveNode{InstanceID: "i-001", Group: "web"}, plan.RemoveNode{InstanceID: "i-002", Group: "web"}}, "keeps at least 2"},
		"too large":             {[]plan.Action{plan.ResizeGroup{Group: "web", From: 3, To: 10}}, "outside of 2 to 9"},
		"too small":             {[]plan.Action{plan.ResizeGroup{Group: "web", From: 3, To: 2}}, "Auto Scaling would choose"},
		"twice":                 {[]plan.Action{plan.ResizeGroup{Group: "web", From: 3, To: 4}, plan.ResizeGroup{Group: "web", From: 3, To: 5}}, "resized twice"},
		"a group that is there": {[]plan.Action{plan.CreateGroup{Group: "web", Size: 1}}, "is there"},
		"somebody else's group": {[]plan.Action{plan.RetireGroup{Group: "web"}}, "not the planner's"},
		"a pod that must stay":  {[]plan.Action{plan.RemoveNode{InstanceID: "i-003", Group: "web"}}, "must not be disrupted"},
		"a budget":              {[]plan.Action{plan.RemoveNode{InstanceID: "i-002", Group: "web", Reason: fleet.ReasonUnderused}}, "allows 0"},
	} {
		w := cluster(managed("web", "m5.large", 2, 3, 9)).pods(pod("a", 1, 1, on(3), annotated(fleet.AnnotationDoNotDisrupt, "true")),
			pod("b", 1, 1, on(2), func(p *fleet.Pod) { p.Budget = "default/b" }))
		w.Budgets = []fleet.Budget{{ID: "default/b"}}
		s := newScene(noon, w.Observation, acting())
		if err := s.decide(); err != nil {
			t.Fatal(err)
		}
		s.d.Plan.Steps = []plan.Step{{Name: "bad", Actions: c.steps}}
		if err := s.check(); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestNoMoreGroupsThanEKSTakes: pods that would best have machines of many shapes make do with fewer kinds.
func TestNoMoreGroupsThanEKSTakes(t *testing.T) {
	pool := fleet.DefaultPool()
	pool.Name, pool.Like, pool.CapacityTypes = "general", "base", []string{fleet.OnDemand, fleet.Spot}
	selecting := func(zone string) func(*fleet.Pod) {
		return func(p *fleet.Pod) { p.Demand.NodeSelector = map[string]string{fleet.LabelZone: zone} }
	}
	w := cluster(managed("base", "m5.large", 1, 1, 1))
	w.pods(pods("cpu", 4, 1700, 1024, selecting("us-east-1a"))...).pods(pods("mem", 4, 500, 13000, selecting("us-east-1b"))...).pods(pods("zone", 2, 1700, 5000, selecting("us-east-1c"))...)
	for most := 1; most <= 8; most++ {
		p := acting()
		p.Pools, p.MaxGroups = []fleet.PoolPolicy{pool}, most
		d := cluster(managed("base", "m5.large", 1, 1, 1)).pods(w.Pods...).decide(t, noon, p)
		if made := len(actions[plan.CreateGroup](d)); made > most-1 || most == 8 && (made < 3 || len(d.Explanation.Left) > 0) || most < 4 && len(d.Explanation.Left) == 0 {
			t.Errorf("%d groups: %d are made beside one: %s", most, made, d.Plan)
		}
	}
}

// TestReservationIsKept: what is reserved is ordered once, stays though it is empty, and goes when its time is over.
func TestReservationIsKept(t *testing.T) {
	pool := fleet.DefaultPool()
	pool.Name, pool.Like, pool.Types = "general", "base", []string{"m5.large"}
	p := acting()
	p.Pools, p.Shrink.Budgets = []fleet.PoolPolicy{pool}, nil
	p.Reservations = []fleet.Reservation{{Name: "show", Pool: "general", Nodes: 3, From: noon.Add(time.Hour), Until: noon.Add(2 * time.Hour), Lead: 5 * time.Minute}}
	p.Windows = []fleet.ScaleWindow{sized(window("always", "0 0 * * *", "59 23 * * *"), 0)}
	p.Windows[0].Groups = []string{"general"}
	w := cluster(managed("base", "m5.large", 1, 1, 1))
	nodes := map[time.Duration]int{}
	for after := time.Duration(0); after < 3*time.Hour; after += time.Minute {
		d := w.decide(t, noon.Add(after), p)
		w.carry(t, d, noon.Add(after))
		nodes[after] = len(w.Nodes) - 1
	}
	if nodes[54*time.Minute] != 0 || nodes[55*time.Minute] != 3 || nodes[119*time.Minute] != 3 || nodes[3*time.Hour-time.Minute] != 0 || w.launched != 4 {
		t.Errorf("%d before, %d when ordered, %d at the end, %d after; %d launched", nodes[54*time.Minute], nodes[55*time.Minute], nodes[119*time.Minute], nodes[3*time.Hour-time.Minute], w.launched)
	}
}

// TestPoolsDoNotInsist: what EC2 has none of is not asked for again before there is hope, and it is said so.
func TestPoolsDoNotInsist(t *testing.T) {
	pool := fleet.DefaultPool()
	pool.Name, pool.Like, pool.Types, pool.Zones = "general", "base", []string{"m5.large"}, []string{"us-east-1a"}
	p := acting()
	p.Pools = []fleet.PoolPolicy{pool}
	w := cluster(managed("base", "m5.large", 1, 1, 1)).pods(pods("web", 4, 1500, 512)...)
	w.Memory.Shortages = []Shortage{{Type: "m5.large", Zone: "us-east-1a", At: noon, Until: noon.Add(3 * time.Minute), Times: 1, Code: "InsufficientInstanceCapacity"}}
	if d := w.decide(t, noon.Add(time.Minute), p); !d.Plan.Empty() || len(d.Explanation.Left) == 0 || !strings.Contains(d.Explanation.Left[0].Reason, "had none of 1 of its offerings") {
		t.Errorf("%s %+v", d.Plan, d.Explanation.Left)
	}
	if d := w.decide(t, noon.Add(4*time.Minute), p); len(actions[plan.CreateGroup](d)) != 1 {
		t.Errorf("there is hope again: %s", d.Plan)
	}
}

// TestShortagesArePlannedAround: EC2 has none of what is cheapest, and then none of the next; the pods have nodes all the same, each
// failure costing one look, and nothing comes twice.
func TestShortagesArePlannedAround(t *testing.T) {
	for _, mode := range []fleet.PoolMode{fleet.PoolGroups, fleet.PoolFleet} {
		pool := fleet.DefaultPool()
		pool.Name, pool.Like, pool.Mode, pool.CapacityTypes, pool.Types = "general", "base", mode, []string{fleet.Spot, fleet.OnDemand}, []string{"m5.large", "m5.xlarge"}
		p := acting()
		p.Pools, p.Launch.PoolShare = []fleet.PoolPolicy{pool}, 0
		base := managed("base", "m5.large", 1, 1, 1)
		if mode == fleet.PoolFleet {
			selfManaged(&base)
		}
		w := cluster(base).pods(pods("web", 8, 1800, 512)...)
		w.dry = map[string]bool{"m5.large/us-east-1a": true, "m5.large/us-east-1b": true, "m5.large/us-east-1c": true, "m5.xlarge/us-east-1b": true}
		at, looks := noon, 0
		for ; w.pending() > 0 && looks < 12; looks++ {
			d := w.decide(t, at, p)
			w.bind(d)
			w.carry(t, d, at)
			at = at.Add(soon)
		}
		if w.pending() > 0 || looks > 6 {
			t.Errorf("%s: %d pods have no node after %d looks", mode, w.pending(), looks)
		}
		if w.launched > 1+8 {
			t.Errorf("%s: %d machines came for 8 pods", mode, w.launched-1)
		}
		for _, g := range w.Groups {
			if g.Kind == Managed && g.Desired > len(g.Members) {
				t.Errorf("%s: group %s still waits for %d machines", mode, g.Name, g.Desired-len(g.Members))
			}
		}
	}
}

// TestLoweredWhileAsleep: a group whose greatest size was lowered in its sleep wakes as far as that allows, and forgets.
func TestLoweredWhileAsleep(t *testing.T) {
	w := slept(cluster(managed("web", "m5.large", 0, 0, 3)), "web", 5, 6)
	w.carry(t, w.decide(t, noon, acting()), noon)
	if g := w.Groups[0]; g.Min != 3 || g.Desired != 3 {
		t.Errorf("in the morning: %+v", g)
	}
	if d := w.decide(t, noon.Add(time.Minute), acting()); !d.Plan.Empty() || len(d.Memory.Slept) != 0 {
		t.Errorf("it is over: %s", d.Plan)
	}
}

// TestWakingWindowSendsToSleepOnce: also a group whose least size has to be lowered first.
func TestWakingWindowSendsToSleepOnce(t *testing.T) {
	p := acting()
	night := sized(window("night", "0 20 * * *", "0 7 * * *"), 0)
	night.Wake = true
	p.Windows = []fleet.ScaleWindow{night}
	w := cluster(managed("web", "m5.large", 2, 2, 9))
	at := noon.Add(8 * time.Hour)
	for range 4 {
		w.carry(t, w.decide(t, at, p), at)
		at = at.Add(time.Minute)
	}
	if g := w.Groups[0]; g.Min != 0 || g.Desired != 0 {
		t.Errorf("at night: %+v", g)
	}
}

// TestFleetInFlightIsCounted: machines that EC2 was asked for a second ago, of whichever of several types it chooses, are not asked
// for again, whatever orders there are beside.
func TestFleetInFlightIsCounted(t *testing.T) {
	pool := fleet.DefaultPool()
	pool.Name, pool.Like, pool.Mode, pool.Types = "general", "base", fleet.PoolFleet, []string{"m5.large", "m5.xlarge"}
	p := acting()
	p.Pools = []fleet.PoolPolicy{pool}
	base := managed("base", "m5.large", 1, 1, 1)
	selfManaged(&base)
	w := cluster(base).pods(pods("web", 4, 1800, 512)...)
	first := w.decide(t, noon, p)
	asked := 0
	for _, a := range actions[plan.LaunchFleet](first) {
		asked += a.Count
	}
	if asked == 0 {
		t.Fatalf("nothing was asked for: %s", first.Plan)
	}
	for name, kinds := range map[string]string{"one type": "m5.large", "several types": "m5.large|m5.xlarge"} {
		w.Memory = first.Memory
		w.Memory.Orders = []Order{
			{Group: "general", Pool: "general", Type: kinds, Zone: "us-east-1a", Count: 1, At: noon, Token: "a"},
			{Group: "general", Pool: "general", Type: kinds, Zone: "us-east-1b", Count: 3, At: noon, Token: "b"},
		}
		for _, seen := range []bool{false, true} { // EC2 shows the pool's machines, or none yet
			o := *w
			if seen {
				o.Groups = append(slices.Clone(w.Groups), Group{Name: "general", Kind: Fleet, Pool: "general", Types: []string{"m5.large"}, Zones: []string{"us-east-1a"}, AMIType: "AL2023_x86_64_STANDARD"})
			}
			if again := actions[plan.LaunchFleet](o.decide(t, noon.Add(time.Second), p)); len(again) > 0 {
				t.Errorf("%s, seen %v: %v", name, seen, again)
			}
		}
	}
}

// TestRefusedGroupIsNotAskedForAgain: EKS does not let a pool's group be made; for a while others do.
func TestRefusedGroupIsNotAskedForAgain(t *testing.T) {
	pool := fleet.DefaultPool()
	pool.Name, pool.Like, pool.Types = "general", "base", []string{"m5.large", "m5.xlarge"}
	p := acting()
	p.Pools = []fleet.PoolPolicy{pool}
	w := cluster(managed("base", "m5.large", 1, 1, 1)).pods(pods("web", 4, 1800, 512)...)
	first := actions[plan.CreateGroup](w.decide(t, noon, p))
	if len(first) == 0 {
		t.Fatal("nothing was asked for")
	}
	refused := Group{Name: first[0].Group, Troubles: []GroupTrouble{{At: noon, Code: "Refused"}}}
	w.Memory.Orders = nil // as the look drops what it could not order
	w.Memory = w.Memory.Learn(noon, refused, p.Launch)
	d := w.decide(t, noon.Add(time.Second), p)
	next := actions[plan.CreateGroup](d)
	if len(next) == 0 || slices.ContainsFunc(next, func(a plan.CreateGroup) bool { return a.Group == first[0].Group }) {
		t.Errorf("%s\n%+v", d.Plan, d.Explanation.Left)
	}
}
