package rollout

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/shared/decide/maintenance"
	"github.com/ekspedite/ekspedite/shared/decide/rollout"
	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/handler"
	"github.com/ekspedite/ekspedite/shared/ledger"
	"github.com/ekspedite/ekspedite/shared/obs"
)

const (
	// hold is how long a lease lasts: longer than any invocation of the upgrade function (2 min).
	hold = 150 * time.Second
	// again is when to come back to a rollout that another invocation is at work on.
	again = 5 * time.Second
	// glances is how many clusters are read at once.
	glances = 20
	// lost is after how long a request that no run has taken up is sent again. The same request twice is one run.
	lost = 2 * time.Minute
	// first is how long a cluster's first step takes at least: a window that has less left is not open for it.
	first = 10 * time.Minute
)

// memory is what a rollout remembers between looks.
type memory struct {
	// Rings are the clusters that it is about, and their rings when it began.
	Rings map[string]string `json:"rings"`
	// Asked are the clusters whose upgrade was asked for.
	Asked map[string]asked `json:"asked,omitempty"`
}

// asked is a request to upgrade a cluster, and what came of it.
type asked struct {
	At      time.Time     `json:"at"`
	Attempt int           `json:"attempt,omitempty"`
	State   rollout.State `json:"state"`
	Why     string        `json:"why,omitempty"`
	Ended   time.Time     `json:"ended,omitzero"`
	// Sick is since when the cluster is not as it should be, while its ring soaks.
	Sick time.Time `json:"sick,omitzero"`
	// Resumed is when its run was asked to go on: until it has heard that, that it is halted is no news.
	Resumed time.Time `json:"resumed,omitzero"`
}

// request names the request to upgrade a cluster: the same at every look.
func (a asked) request(r ledger.Rollout, cluster string) string {
	id := r.ID + "/" + cluster
	if a.Attempt > 0 {
		id += fmt.Sprintf("/%d", a.Attempt)
	}
	return id
}

// visit is one look at one rollout.
type visit struct {
	*Work
	r      ledger.Rollout
	memory memory
	policy fleet.FleetPolicy
	frozen []fleet.Freeze
}

// look is one look, under the rollout's lease.
func (w *Work) look(ctx context.Context, c *events.RolloutContinuation) handler.Outcome {
	lease, err := w.Ledger.Acquire(ctx, "rollout#"+c.Rollout, w.NewID(), hold)
	if fault.Is(err, fault.Blocked) {
		return handler.Later(again, c)
	}
	if err != nil {
		return handler.Failed(err)
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		if err := w.Ledger.Release(ctx, lease); err != nil {
			obs.Log(ctx).Warn("could not release the lease; it will expire", "rollout", c.Rollout, "error", err)
		}
	}()
	v := &visit{Work: w}
	if v.r, err = w.Ledger.Rollout(ctx, c.Rollout); err != nil {
		return handler.Failed(err)
	}
	if !v.r.Running() || c.Attempt < v.r.Looks { // over, or somebody has looked since
		return handler.Done()
	}
	if err := v.recall(ctx); err != nil {
		return handler.Failed(err)
	}
	o, err := v.observe(ctx)
	if err != nil {
		return handler.Failed(err)
	}
	return v.act(ctx, rollout.Decide(w.Now(), o, v.policy))
}

// recall reads the policy and what is remembered. The clusters and their rings are those of the first look: who is moved to
// another ring meanwhile, or is new, has the next rollout.
func (v *visit) recall(ctx context.Context) (err error) {
	if v.policy, err = v.Ledger.FleetPolicy(ctx); err != nil {
		return err
	}
	if v.frozen, err = v.Ledger.Freezes(ctx); err != nil {
		return err
	}
	if len(v.r.Memory) > 0 {
		if err := json.Unmarshal(v.r.Memory, &v.memory); err != nil {
			return fault.New(fault.Invalid, "the ledger's memory of rollout %s is damaged: %v", v.r.ID, err)
		}
	}
	if v.memory.Asked == nil {
		v.memory.Asked = map[string]asked{}
	}
	if v.memory.Rings != nil {
		return nil
	}
	v.memory.Rings, err = v.rings(ctx)
	return err
}

// rings reads the clusters of the fleet with their rings.
func (w *Work) rings(ctx context.Context) (map[string]string, error) {
	clusters, err := w.Ledger.Clusters(ctx)
	if err != nil {
		return nil, err
	}
	out := map[string]string{}
	var mu sync.Mutex
	err = each(clusters, func(id fleet.ClusterID) error {
		p, err := w.Ledger.Policy(ctx, id)
		mu.Lock()
		defer mu.Unlock()
		out[id.String()] = p.Upgrade.Ring
		return err
	})
	return out, err
}

// each does something for all clusters, some at once, and gives the first error.
func each(ids []fleet.ClusterID, do func(fleet.ClusterID) error) error {
	slots, errs := make(chan struct{}, glances), make([]error, len(ids))
	var wg sync.WaitGroup
	for i, id := range ids {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			errs[i] = do(id)
		})
	}
	wg.Wait()
	return cmp.Or(errs...)
}

// observe reads how the clusters stand: those of the ring that the rollout is at, and those that were asked for.
func (v *visit) observe(ctx context.Context) (rollout.Observation, error) {
	o := rollout.Observation{To: v.r.To, Ring: v.r.Ring, Halted: v.r.Halted}
	for name, ring := range v.memory.Rings {
		c := rollout.Cluster{ID: fleet.ParseClusterID(name), Ring: ring, State: rollout.Waiting}
		if a, ok := v.memory.Asked[name]; ok {
			c.State, c.Why, c.Ended = a.State, a.Why, a.Ended
		}
		o.Clusters = append(o.Clusters, c)
	}
	slices.SortFunc(o.Clusters, func(a, b rollout.Cluster) int { return cmp.Compare(a.ID.String(), b.ID.String()) })
	watched := v.watched(o.Clusters)
	var mu sync.Mutex
	err := each(watched, func(id fleet.ClusterID) error {
		mu.Lock()
		i := slices.IndexFunc(o.Clusters, func(c rollout.Cluster) bool { return c.ID == id })
		c := o.Clusters[i]
		mu.Unlock()
		c, err := v.cluster(ctx, c, &mu)
		mu.Lock()
		defer mu.Unlock()
		o.Clusters[i] = c
		return err
	})
	return o, err
}

// watched are the clusters of the first ring that is not over: nothing changes in the others that were not asked for.
func (v *visit) watched(clusters []rollout.Cluster) (ids []fleet.ClusterID) {
	rings := rollout.Rings(clusters, v.policy)
	for _, ring := range v.policy.Rings {
		if v.r.Ring != "" && ring.Name != v.r.Ring {
			continue
		}
		soaks, open := false, false
		for _, c := range rings[ring.Name] {
			open = open || c.State == rollout.Waiting || c.State == rollout.Running
			soaks = soaks || c.State == rollout.Done && v.Now().Before(c.Ended.Add(ring.Soak))
			ids = append(ids, c.ID)
		}
		if open || soaks {
			return ids
		}
		ids = nil
	}
	return nil
}

// cluster reads how one cluster stands. mu guards the memory.
func (v *visit) cluster(ctx context.Context, c rollout.Cluster, mu *sync.Mutex) (rollout.Cluster, error) {
	name := c.ID.String()
	mu.Lock()
	a, was := v.memory.Asked[name]
	mu.Unlock()
	run, err := v.Ledger.Upgrade(ctx, c.ID)
	if err != nil {
		return c, err
	}
	policy, err := v.Ledger.Policy(ctx, c.ID)
	if err != nil {
		return c, err
	}
	if !was {
		c.Busy = run.Running()
		c.Opens = v.opens(c, policy.Upgrade)
		return c, nil
	}
	switch {
	case a.State == rollout.Done:
		if v.Now().Before(a.Ended.Add(v.soak(c.Ring))) { // later ills have other causes
			a = v.soaking(ctx, c.ID, policy.Upgrade.Health, a)
		}
	case run.RequestID == a.request(v.r, name):
		if a = standing(a, run); a.State == rollout.Halted && v.Now().Sub(a.Resumed) < lost {
			a.State, a.Why = rollout.Running, ""
		}
	case a.State == rollout.Running && v.Now().Sub(a.At) > lost:
		if a, err = v.missing(ctx, c.ID, a); err != nil {
			return c, err
		}
	}
	mu.Lock()
	v.memory.Asked[name] = a
	mu.Unlock()
	c.State, c.Why, c.Ended = a.State, a.Why, a.Ended
	if c.State == rollout.Waiting { // to be asked for once more
		c.Busy, c.Opens = run.Running(), v.opens(c, policy.Upgrade)
	}
	return c, nil
}

// opens is when a cluster's first step may start.
func (v *visit) opens(c rollout.Cluster, p fleet.UpgradePolicy) time.Time {
	calendar := maintenance.Calendar{Windows: p.Windows, Blackouts: slices.Concat(p.Blackouts, v.policy.Blackouts)}
	for _, f := range v.frozen {
		if f.Covers(c.ID, c.Ring) {
			calendar.Freezes = append(calendar.Freezes, f)
		}
	}
	verdict := calendar.Start(v.Now(), first, v.r.Now)
	if verdict.OK {
		return v.Now()
	}
	return verdict.Next
}

// standing is how the run that was asked for stands.
func standing(a asked, run ledger.Upgrade) asked {
	a.State, a.Why = rollout.Running, ""
	switch {
	case run.Running() && run.Halted != "":
		a.State, a.Why = rollout.Halted, why(run.Halted)
	case run.Running():
	case run.Outcome == events.OutcomeUpgraded, run.Outcome == events.OutcomeNothingToDo:
		a.State, a.Ended = rollout.Done, run.EndedAt
	case run.Outcome == events.OutcomeNotReady:
		a.State, a.Why, a.Ended = rollout.NotReady, why(run.Phase), run.EndedAt
	case run.Outcome == events.OutcomeSuperseded: // another run was faster
		a.State, a.Attempt = rollout.Waiting, a.Attempt+1
	default: // failed, aborted, rolled back
		a.State, a.Why, a.Ended = rollout.Failed, why(run.Outcome+": "+run.Phase), run.EndedAt
	}
	return a
}

// missing is what to do about a request that no run has taken up: if it was refused, because another run was under way, it is
// asked for once more; else the message is sent again.
func (v *visit) missing(ctx context.Context, id fleet.ClusterID, a asked) (asked, error) {
	runs, err := v.Ledger.RunsSince(ctx, id.Name, a.At.Add(-time.Hour))
	if err != nil {
		return a, err
	}
	run := ledger.RunID("upgrade "+a.request(v.r, id.String()), id)
	i := slices.IndexFunc(runs, func(r ledger.Run) bool { return r.RunID == run })
	if i >= 0 {
		return standing(a, ledger.Upgrade{Outcome: runs[i].Outcome, Phase: runs[i].Reason, EndedAt: runs[i].FinishedAt}), nil
	}
	a.At = v.Now()
	return a, v.ask(ctx, id, a)
}

// soak is how long clusters of a ring are watched.
func (v *visit) soak(ring string) time.Duration {
	for i, r := range v.policy.Rings {
		if r.Name == ring || i == len(v.policy.Rings)-1 {
			return r.Soak
		}
	}
	return 0
}

// why cuts a reason: a fleet's are all in one document.
func why(text string) string {
	const most = 200
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "…"
}

// soaking watches a cluster that was upgraded. Only what lasts counts.
func (v *visit) soaking(ctx context.Context, id fleet.ClusterID, p fleet.HealthPolicy, a asked) asked {
	if v.Health == nil {
		return a
	}
	ill, err := v.Health(ctx, id, p)
	switch {
	case err != nil: // it cannot be seen: no regression
		obs.Log(ctx).Warn("a cluster that soaks could not be looked at", "cluster", id.String(), "error", err)
	case ill == "":
		a.Sick = time.Time{}
	case a.Sick.IsZero():
		a.Sick = v.Now()
	case v.Now().Sub(a.Sick) >= p.For:
		a.State, a.Why = rollout.Failed, why("while the ring soaks: "+ill)
	}
	return a
}

// act remembers what is to be asked for, and asks for it.
func (v *visit) act(ctx context.Context, d rollout.Decision) handler.Outcome {
	if d.Halted != "" && v.r.Halted == "" {
		obs.Log(ctx).Error("the rollout is halted", "rollout", v.r.ID, "reason", d.Halted)
		v.Metrics.Count("RolloutsHalted", 1)
	}
	for _, id := range d.Start {
		a := v.memory.Asked[id.String()]
		a.At, a.State, a.Why = v.Now(), rollout.Running, ""
		v.memory.Asked[id.String()] = a
	}
	v.r.Phase, v.r.Halted = d.Phase, d.Halted
	v.r.Looks++
	v.r.LookAt = v.Now().Add(d.LookAgain)
	var err error
	if v.r.Memory, err = json.Marshal(v.memory); err != nil {
		return handler.Failed(err)
	}
	if d.Over {
		outcome, why := events.OutcomeUpgraded, d.Phase
		if len(d.Behind) > 0 {
			outcome, why = events.OutcomeNotReady, d.Phase+": "+rollout.Some(d.Behind)
		}
		if len(v.memory.Asked) == 0 {
			outcome = events.OutcomeNothingToDo
		}
		return v.end(ctx, v.r, outcome, why)
	}
	if v.r, err = v.Ledger.SaveRollout(ctx, v.r); err != nil {
		return handler.Failed(err)
	}
	for _, id := range d.Start {
		if err := v.ask(ctx, id, v.memory.Asked[id.String()]); err != nil {
			// It is remembered as asked for, and will be asked for again when no run shows.
			obs.Log(ctx).Warn("an upgrade could not be asked for yet", "cluster", id.String(), "error", err)
		}
	}
	return handler.Later(d.LookAgain, &events.RolloutContinuation{Rollout: v.r.ID, StartedAt: v.r.StartedAt, Attempt: v.r.Looks})
}

// ask asks for the upgrade of a cluster.
func (v *visit) ask(ctx context.Context, id fleet.ClusterID, a asked) error {
	request := a.request(v.r, id.String())
	reason := "rollout " + v.r.ID
	if v.r.Reason != "" {
		reason += ": " + v.r.Reason
	}
	return v.publish(ctx, &events.UpgradeRequested{
		RequestID: request, Cluster: id.Name, Region: id.Region, To: v.r.To.String(), Patch: v.r.To == 0, Now: v.r.Now, Reason: reason, Rollout: v.r.ID,
	}, request)
}
