package nodemove_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/shared/decide/nodemove"
	"github.com/ekspedite/ekspedite/shared/decide/upgradepath"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/plan"
)

var schedules = flag.Uint64("schedules", 10_000, "how many random schedules are tried")

var began = time.Date(2026, 11, 23, 20, 0, 0, 0, time.UTC)

// TestNoScheduleBreaksABudget moves the nodes of random groups by random schedules: with machines that come late, pods that take
// time, drains in any order, lost requests, looks that are killed anywhere, and memory that is lost. No budget is ever gone
// below, no pod dies with its machine, and every move ends or says why it does not.
func TestNoScheduleBreaksABudget(t *testing.T) {
	count := *schedules
	if testing.Short() {
		count = min(count, 1000)
	}
	var mu sync.Mutex
	var wg sync.WaitGroup
	var next, done, blocked, undone, looks, killed uint64
	var longest time.Duration
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for {
				mu.Lock()
				seed := next
				next++
				failed := t.Failed()
				mu.Unlock()
				if seed >= count || failed {
					return
				}
				r := schedule(seed)
				mu.Lock()
				looks, killed, longest = looks+r.looks, killed+r.killed, max(longest, r.took)
				switch {
				case r.fault() != "":
					t.Errorf("seed %d: %s", seed, r.fault())
				case r.last.Done && r.undo:
					undone++
				case r.last.Done:
					done++
				default:
					blocked++
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	t.Logf("seeds 0 to %d: %d done, %d taken back, %d stopped with the reason; %d looks, %d of them killed; the longest took %s", count-1, done, undone, blocked, looks, killed, longest)
	if count >= 1000 && (blocked == 0 || undone == 0 || killed == 0) {
		t.Error("the schedules do not meet what they are for")
	}
}

// run is one schedule and what came of it.
type run struct {
	sim             *sim
	last            nodemove.Decision
	looks, killed   uint64
	took            time.Duration
	atOnce          int
	obstacles, undo bool
	wrong           string
	in              nodemove.Input
	saved           nodemove.Memory
	resumed, lost   bool
}

// fault is what is wrong with a run, "" if nothing is.
func (r *run) fault() string {
	switch {
	case len(r.sim.broken) > 0:
		return strings.Join(r.sim.broken, "\n")
	case r.sim.busy > r.atOnce && !r.lost: // what was asked for and has not begun is known from memory only
		return fmt.Sprintf("%d nodes were drained at once, and %d may be", r.sim.busy, r.atOnce)
	case r.last.Done && r.wrong != "":
		return "done, and " + r.wrong
	case r.last.Done, len(r.last.Blocked) > 0 && r.obstacles:
		return ""
	}
	return fmt.Sprintf("after %s it is not done: blocked %q, %s", r.took, r.last.Blocked, r.last.Plan)
}

func schedule(seed uint64) *run {
	self := seed%3 == 2
	r := &run{}
	r.sim, r.obstacles = newSim(seed, self)
	s := r.sim
	r.atOnce = 1 + s.rnd.IntN(3)
	r.in = nodemove.Input{
		Cluster: fleet.ClusterID{Region: "us-east-1", Name: "demo"}, RunID: "run-1", AtOnce: r.atOnce,
		Step: upgradepath.Step{ID: "nodegroup/web/1.34.1-20261112", Kind: upgradepath.StepNodeGroup, Subject: "web", From: "1.33.2-20261001", To: "1.34.1-20261112", Minor: 34, Strategy: fleet.NodesBlueGreen},
	}
	size, unfit := s.groups["web"].desired, 10 // per cent of looks that are killed
	if self {
		r.in.Image, r.in.Step.Strategy = "ami-new", fleet.NodesRolling
		if s.chance(30) {
			r.in.Step.Strategy = fleet.NodesMinimal
			r.obstacles = true // there may be no room for what is evicted
		}
	}
	undoAt := time.Duration(-1)
	if s.chance(10) {
		undoAt = s.between(0, 3600)
	}
	next := began
	for stuck := time.Duration(0); s.now.Sub(began) < 24*time.Hour && len(s.broken) == 0; s.step(r.pause(next)) {
		if s.now.Before(next) {
			continue
		}
		if undoAt >= 0 && s.now.Sub(began) > undoAt && !r.undo && s.groups["web"] != nil && s.groups["web"].status != "DELETING" {
			r.undo = true
		}
		r.look(unfit)
		if r.last.Done {
			break
		}
		next = s.now.Add(r.last.Plan.LookAgain)
		if r.last.Plan.LookAgain <= 0 {
			s.breaks("nobody looks again: %s", r.last.Plan)
		}
		if len(r.last.Blocked) == 0 || r.last.Plan.Len() > 0 {
			stuck = 0
			continue
		}
		if stuck += r.last.Plan.LookAgain; stuck < time.Hour {
			continue
		}
		if r.resumed {
			break
		}
		r.resumed, r.in.Retry, stuck = true, true, 0
	}
	r.took = s.now.Sub(began)
	if r.last.Done {
		r.judge(size)
	}
	return r
}

// pause is how much time passes at once: less while a look is due soon.
func (r *run) pause(next time.Time) time.Duration {
	if next.Sub(r.sim.now) > time.Minute {
		return 30 * time.Second
	}
	return 10 * time.Second
}

// look makes one look, which may be killed before its memory is saved, or between any two actions.
func (r *run) look(unfit int) {
	s := r.sim
	s.look(&r.in)
	r.in.Memory = r.saved
	decide := nodemove.Next
	if r.undo {
		decide = nodemove.Undo
	}
	d := decide(s.now, r.in)
	r.looks++
	if s.chance(unfit) {
		r.killed++
		if s.chance(30) {
			r.last = nodemove.Decision{Plan: plan.Plan{LookAgain: 20 * time.Second}}
			return
		}
	}
	if r.saved = d.Memory; s.chance(10) { // it is JSON in the ledger
		r.saved = nodemove.Memory{}
		if b, err := json.Marshal(d.Memory); err != nil || json.Unmarshal(b, &r.saved) != nil {
			s.breaks("%s, %v", b, err)
		}
	}
	r.in.Retry = false
	r.last = d
	for _, step := range d.Plan.Steps {
		for _, a := range step.Actions {
			if !s.chance(unfit / 2) {
				s.do(a)
			}
		}
	}
	if s.rnd.IntN(1000) == 0 && !d.Done {
		r.saved, r.lost = nodemove.Memory{}, true // so is the ledger
	}
}

// judge says what is wrong with the end of a move; "" if nothing is.
func (r *run) judge(size int) {
	s := r.sim
	want := fleet.Minor(34)
	if r.undo {
		want = 33
	}
	if len(s.groups) != 1 {
		r.wrong = "there are two groups"
	}
	for _, g := range s.groups {
		if g.tainted || fleet.Moving(g.tags) {
			r.wrong = "the group is marked as moving"
		}
		if g.desired < size {
			r.wrong = "the group is smaller than before"
		}
		for _, m := range s.members(g) {
			if m.version != want {
				r.wrong = "a node has the version " + m.version.String()
			}
		}
	}
}
