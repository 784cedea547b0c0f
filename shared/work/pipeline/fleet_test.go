package pipeline

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/ledger"
	"github.com/ekspedite/ekspedite/shared/spec"
)

// simulation stands in for the cluster function and the upgrade function: it takes their requests, and writes the ledger as
// they do, in the time that such work takes.
type simulation struct {
	t     *testing.T
	w     *world
	l     *lambda
	own   *ledger.Ledger // what it writes is not the pipeline function's
	rings map[string][]string
	// waits is how long a ring waits for its maintenance windows, each is how long one of its clusters takes.
	waits, each map[string]time.Duration
	// halts is a ring whose first cluster regresses, until it is resumed.
	halts   string
	resumed chan struct{}

	mu        sync.Mutex
	began     map[string][]time.Time // rollouts, by ring
	over      map[string]time.Time
	requested int
}

func newSimulation(t *testing.T, w *world, l *lambda) *simulation {
	s := &simulation{
		t: t, w: w, l: l, own: &ledger.Ledger{Store: &w.store.Memory, Now: time.Now}, rings: map[string][]string{"canary": {"c1"}, "early": {"e1", "e2"}, "rest": {"r1", "r2", "r3"}},
		waits: map[string]time.Duration{}, each: map[string]time.Duration{}, resumed: make(chan struct{}),
		began: map[string][]time.Time{}, over: map[string]time.Time{},
	}
	w.now = time.Now()
	for ring, names := range s.rings {
		w.has(ring, names...)
	}
	w.work.Bus = s
	return s
}

// Publish takes requests.
func (s *simulation) Publish(_ context.Context, list ...events.Event) error {
	for _, e := range list {
		s.mu.Lock()
		s.requested++
		s.mu.Unlock()
		switch p := e.Payload.(type) {
		case *events.ClusterApplyRequested:
			go s.apply(p)
		case *events.UpgradeRequested:
			go s.check(p)
		case *events.RolloutRequested:
			go s.roll(p)
		default:
			s.t.Errorf("nobody listens to %s", e.Kind)
		}
	}
	return nil
}

func (s *simulation) must(err error) {
	if err != nil {
		s.t.Error(err)
	}
}

func (s *simulation) ended(r ledger.Run) {
	r.FinishedAt = time.Now()
	s.must(s.own.SaveRun(s.t.Context(), r))
}

func (s *simulation) apply(p *events.ClusterApplyRequested) {
	began := time.Now()
	time.Sleep(12 * time.Minute)
	specs, said := spec.Parse([]byte(p.Spec))
	s.must(said.Err())
	for _, c := range specs {
		id := fleet.ClusterID{Region: c.Cluster.Region, Name: c.Cluster.Name}
		s.ended(ledger.Run{RunID: ledger.RunID(p.RequestID, id), Function: "cluster", Subject: events.Subject{Cluster: id.Name, Region: id.Region}, Outcome: events.OutcomeActive, StartedAt: began})
	}
}

func (s *simulation) check(p *events.UpgradeRequested) {
	if !p.DryRun {
		s.t.Errorf("%+v", p)
	}
	began, id := time.Now(), fleet.ClusterID{Region: p.Region, Name: p.Cluster}
	time.Sleep(40 * time.Second)
	r := ledger.Run{RunID: upgradeRun(p.RequestID, id), Function: "upgrade", Subject: events.Subject{Cluster: id.Name, Region: id.Region}, Outcome: events.OutcomePlanned, Reason: "ready for " + p.To, StartedAt: began}
	if p.Cluster == "r3" {
		r.Outcome, r.Failures = events.OutcomeNotReady, []events.Failure{{Resource: "default/web", Code: "WL05", Whose: "user", Text: "the budget allows no disruption"}}
	}
	s.ended(r)
}

// change writes a rollout.
func (s *simulation) change(id string, do func(*ledger.Rollout)) {
	r, err := s.own.Rollout(s.t.Context(), id)
	s.must(err)
	do(&r)
	r.Looks++
	_, err = s.own.SaveRollout(s.t.Context(), r)
	s.must(err)
}

func (s *simulation) roll(p *events.RolloutRequested) {
	time.Sleep(5 * time.Second)
	to, err := fleet.ParseMinor(p.To)
	s.must(err)
	opens := time.Now().Add(s.waits[p.Ring])
	s.mu.Lock()
	s.began[p.Ring] = append(s.began[p.Ring], time.Now())
	s.mu.Unlock()
	s.change(p.RequestID, func(r *ledger.Rollout) {
		*r = ledger.Rollout{ID: p.RequestID, To: to, Ring: p.Ring, StartedAt: time.Now(), Phase: "waits for a window", LookAt: opens}
	})
	time.Sleep(time.Until(opens))
	for i, name := range s.rings[p.Ring] {
		s.change(p.RequestID, func(r *ledger.Rollout) {
			r.Phase, r.LookAt = fmt.Sprintf("ring %s: %d of %d done", p.Ring, i, len(s.rings[p.Ring])), time.Now().Add(time.Minute)
		})
		if p.Ring == s.halts {
			s.change(p.RequestID, func(r *ledger.Rollout) { r.Halted = name + ": 3 pods are not Ready" })
			<-s.resumed
			s.change(p.RequestID, func(r *ledger.Rollout) { r.Halted = "" })
		}
		began := time.Now()
		time.Sleep(s.each[p.Ring])
		_, err := s.own.SaveUpgrade(s.t.Context(), fleet.ClusterID{Region: "us-east-1", Name: name}, ledger.Upgrade{
			RunID: name + p.RequestID, Rollout: p.RequestID, To: to, StartedAt: began, EndedAt: time.Now(), Outcome: events.OutcomeUpgraded,
		})
		s.must(err)
	}
	s.change(p.RequestID, func(r *ledger.Rollout) {
		r.Outcome, r.EndedAt, r.Phase = events.OutcomeUpgraded, time.Now(), "ring "+p.Ring+" is done"
	})
	s.mu.Lock()
	s.over[p.Ring] = time.Now()
	s.mu.Unlock()
	finished, err := events.New(&events.RunFinished{RunID: p.RequestID, Function: "upgrade", Outcome: events.OutcomeUpgraded, StartedAt: opens, FinishedAt: time.Now()}, "e", time.Now(), "", "")
	s.must(err)
	s.l.handle(finished) // by a rule on ekspedite's bus
}

// sweeps are the schedule's, until the context ends.
func (s *simulation) sweeps(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(15 * time.Minute):
			e, err := events.New(&events.PipelineSweepRequested{}, "s", time.Now(), "", "")
			s.must(err)
			s.l.handle(e)
		}
	}
}
