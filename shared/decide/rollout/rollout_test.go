package rollout

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

var monday = time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)

func id(name string) fleet.ClusterID { return fleet.ClusterID{Region: "us-east-1", Name: name} }

func ready(name, ring string) Cluster {
	return Cluster{ID: id(name), Ring: ring, State: Waiting, Opens: monday}
}

func (c Cluster) is(s State, ended time.Time) Cluster {
	c.State, c.Ended = s, ended
	return c
}

func names(list []fleet.ClusterID) (out []string) {
	for _, c := range list {
		out = append(out, c.Name)
	}
	return out
}

func TestNext(t *testing.T) {
	p := fleet.DefaultFleetPolicy()
	canary, early, rest := ready("a", "canary"), ready("b", "early"), ready("c", "rest")
	for name, c := range map[string]struct {
		o      Observation
		start  string
		phase  string
		halted bool
		over   bool
		now    time.Time
	}{
		"the canary begins":                     {o: Observation{Clusters: []Cluster{early, canary, rest}}, start: "a", phase: "under way"},
		"one canary at once":                    {o: Observation{Clusters: []Cluster{canary, ready("z", "canary")}}, start: "a", phase: "1 wait for their turn"},
		"a canary under way holds the next":     {o: Observation{Clusters: []Cluster{canary.is(Running, time.Time{}), ready("z", "canary"), early}}, phase: "ring canary: 0 of 2 done, 1 under way"},
		"the canary soaks":                      {o: Observation{Clusters: []Cluster{canary.is(Done, monday), early}}, phase: "soaks until 2026-03-03T08:00:00Z"},
		"the soak is over":                      {o: Observation{Clusters: []Cluster{canary.is(Done, monday.Add(-24*time.Hour)), early}}, start: "b", phase: "ring early"},
		"a halted canary stops all":             {o: Observation{Clusters: []Cluster{canary.is(Halted, time.Time{}), early, rest}}, halted: true, phase: "ring canary has a regression"},
		"a failed one in the soak, too":         {o: Observation{Clusters: []Cluster{canary.is(Done, monday), ready("z", "canary").is(Failed, monday), early}}, halted: true},
		"somebody has halted it":                {o: Observation{Halted: "lunch", Clusters: []Cluster{canary}}, halted: true, phase: "lunch"},
		"no canary was ready":                   {o: Observation{Clusters: []Cluster{canary.is(NotReady, monday), early}}, halted: true, phase: "nothing is known of"},
		"one of two canaries was not ready":     {o: Observation{Clusters: []Cluster{canary.is(NotReady, monday), ready("z", "canary").is(Done, monday.Add(-48*time.Hour)), early}}, start: "b"},
		"rings without clusters do not soak":    {o: Observation{Clusters: []Cluster{rest}}, start: "c"},
		"an unknown ring is the last":           {o: Observation{Clusters: []Cluster{ready("x", "nonsense"), canary}}, start: "a"},
		"only the ring that was asked for":      {o: Observation{Ring: "early", Clusters: []Cluster{canary, early, rest}}, start: "b"},
		"that ring is done without a soak":      {o: Observation{Ring: "early", Clusters: []Cluster{canary, early.is(Done, monday), rest}}, over: true, phase: "ring early is done"},
		"all is done, and the last has no soak": {o: Observation{Clusters: []Cluster{canary.is(Done, monday.Add(-200*time.Hour)), early.is(Done, monday.Add(-100*time.Hour)), rest.is(Done, monday)}}, over: true},
		"windows open later": {o: Observation{Clusters: []Cluster{{ID: id("a"), Ring: "canary", Opens: monday.Add(time.Hour)}, early}},
			phase: "the first at 2026-03-02T09:00:00Z"},
		"no window ever":                      {o: Observation{Clusters: []Cluster{{ID: id("a"), Ring: "canary"}, early}}, phase: "no maintenance window of these fits: us-east-1/a"},
		"somebody else's run":                 {o: Observation{Clusters: []Cluster{{ID: id("a"), Ring: "canary", Opens: monday, Busy: true}}}, phase: "waiting for other runs on us-east-1/a"},
		"somebody else's run takes its place": {o: Observation{Clusters: []Cluster{{ID: id("a"), Ring: "canary", Opens: monday, Busy: true}, ready("z", "canary")}}, phase: "waiting for other runs on us-east-1/a"},
		"an empty fleet is over":              {o: Observation{}, over: true},
	} {
		t.Run(name, func(t *testing.T) {
			d := Decide(monday, c.o, p)
			if got := strings.Join(names(d.Start), " "); got != c.start || !strings.Contains(d.Phase, c.phase) || (d.Halted != "") != c.halted || d.Over != c.over {
				t.Errorf("start %q, phase %q, halted %q, over %v", got, d.Phase, d.Halted, d.Over)
			}
			if !d.Over && d.LookAgain <= 0 {
				t.Errorf("nobody looks again: %+v", d)
			}
		})
	}
}

// TestRandomFleets plays rollouts over random fleets whose clusters fail now and then: never more at once than the ring
// allows, no ring before the one before it was done and has soaked, and nothing is begun after a regression.
func TestRandomFleets(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	regressions, ends := 0, 0
	for range 300 {
		p := fleet.DefaultFleetPolicy()
		for i := range p.Rings {
			p.Rings[i].AtOnce, p.Rings[i].Soak, p.Rings[i].Failures = 1+r.IntN(4), time.Duration(r.IntN(100))*time.Hour, r.IntN(2)*r.IntN(3)
		}
		o := Observation{To: 36}
		for i := range r.IntN(40) {
			c := ready(fmt.Sprintf("c%02d", i), p.Rings[r.IntN(3)].Name)
			c.Opens = monday.Add(time.Duration(r.IntN(72)-24) * time.Hour)
			o.Clusters = append(o.Clusters, c)
		}
		halted, over := play(t, r, o, p)
		regressions += halted
		ends += over
	}
	if regressions == 0 || ends == 0 {
		t.Errorf("%d rollouts with a regression, %d that ended: the test shows nothing", regressions, ends)
	}
}

func play(t *testing.T, r *rand.Rand, o Observation, p fleet.FleetPolicy) (halted, over int) {
	t.Helper()
	bad := r.Float64() * 0.1
	order := map[string]int{}
	for i, ring := range p.Rings {
		order[ring.Name] = i
	}
	for now := monday; now.Before(monday.Add(10000 * time.Hour)); now = now.Add(time.Duration(1+r.IntN(180)) * time.Minute) {
		d := Decide(now, o, p)
		if d.Over {
			return 0, 1
		}
		failures := map[string]int{}
		for _, c := range o.Clusters {
			if c.State == Failed || c.State == Halted {
				failures[c.Ring]++
			}
		}
		if d.Halted != "" {
			if len(d.Start) > 0 {
				t.Fatalf("halted, and starts %v", d.Start)
			}
			return 1, 0
		}
		for _, name := range d.Start {
			i := slices.IndexFunc(o.Clusters, func(c Cluster) bool { return c.ID == name })
			begun := o.Clusters[i]
			if begun.State != Waiting || begun.Opens.After(now) {
				t.Fatalf("%s begins in state %s, its window opens at %s, it is %s", name, begun.State, begun.Opens, now)
			}
			o.Clusters[i].State = Running
			for _, c := range o.Clusters {
				before := order[c.Ring] < order[begun.Ring]
				if before && (c.State == Waiting || c.State == Running) {
					t.Fatalf("%s of ring %s begins while %s of ring %s is %s", name, begun.Ring, c.ID, c.Ring, c.State)
				}
				if soak := p.Rings[order[c.Ring]].Soak; before && c.State == Done && now.Before(c.Ended.Add(soak)) {
					t.Fatalf("%s of ring %s begins before ring %s has soaked", name, begun.Ring, c.Ring)
				}
			}
			if ring := p.Rings[order[begun.Ring]]; failures[begun.Ring] > ring.Failures {
				t.Fatalf("%s begins after %d failures of its ring", name, failures[begun.Ring])
			}
		}
		running := map[string]int{}
		for i, c := range o.Clusters {
			if c.State != Running {
				continue
			}
			running[c.Ring]++
			if r.Float64() < 0.3 {
				c.Ended, c.State = now, Done
				if r.Float64() < bad {
					c.State = []State{Failed, Halted, NotReady}[r.IntN(3)]
				}
				o.Clusters[i] = c
			}
		}
		for _, ring := range p.Rings {
			if running[ring.Name] > ring.AtOnce {
				t.Fatalf("%d clusters of ring %s at once, %d are allowed", running[ring.Name], ring.Name, ring.AtOnce)
			}
		}
	}
	t.Fatalf("the rollout does not end: %+v", o)
	return 0, 0
}
