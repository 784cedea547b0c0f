package upgrade

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/shared/decide/maintenance"
	"github.com/ekspedite/ekspedite/shared/decide/upgrade"
	"github.com/ekspedite/ekspedite/shared/decide/upgradepath"
	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/handler"
	"github.com/ekspedite/ekspedite/shared/ledger"
	"github.com/ekspedite/ekspedite/shared/obs"
)

const (
	// atOnce is how many clusters a sweep glances at at once.
	atOnce = 20
	// checksAtOnce is how many clusters of a Region are asked in one sweep whether anything is due: at some 15 calls of EKS's API
	// each, these take two thirds of what a fleet's policy allows in five minutes.
	checksAtOnce = 25
	// crowded is when to ask again where the ring has as many clusters at work as it may.
	crowded = 30 * time.Minute
	// sweeping is how often the sweep comes: a look that is due before the next one is left in a message now.
	sweeping = 5 * time.Minute
	// rechecked is how often it is looked whether maintenance is due: new releases come once in days. Each takes some ten calls
	// of EKS's API.
	rechecked = 6 * time.Hour
	// ringHold is how long one cluster may keep the others of its ring from beginning: some reads and a write.
	ringHold = 30 * time.Second
	// checking begins the run id of messages that ask whether maintenance is due.
	checking = "check "
)

// sweep glances at every cluster. Runs whose next look was left to it, or whose message was lost, get one; clusters that may be
// maintained now and have not been looked at for hours are asked whether anything is due, ring by ring. A cluster that nobody
// upgrades costs one read of the ledger, and all that are being upgraded one query.
func (w *Work) sweep(ctx context.Context, d handler.Delivery) handler.Outcome {
	running, err := w.Ledger.UpgradesUnderWay(ctx)
	if err != nil {
		return handler.Failed(err)
	}
	clusters, err := w.Ledger.Clusters(ctx)
	if err != nil {
		return handler.Failed(err)
	}
	looks, failed := w.resumeAll(ctx, running)
	seen, err := w.glances(ctx, clusters)
	if failed == nil {
		failed = err
	}
	checks := 0
	if err == nil { // one that could not be read may be the one that halts its ring
		checks, err = w.askAll(ctx, seen, d.Event.ID)
	}
	if failed == nil {
		failed = err
	}
	if err := w.sweepFleet(ctx); err != nil && failed == nil {
		failed = err
	}
	w.Metrics.Count("SweepGlances", len(clusters))
	w.Metrics.Count("SweepLooks", looks)
	w.Metrics.Count("SweepChecks", checks)
	obs.Log(ctx).Info("sweep", "clusters", len(clusters), "runs", len(running), "looks", looks, "checks", checks)
	if failed != nil { // who was glanced at is glanced at again, which does no harm
		return handler.Failed(failed)
	}
	return handler.Done()
}

func (w *Work) resumeAll(ctx context.Context, running []fleet.ClusterID) (looks int, failed error) {
	for _, id := range running {
		sent, err := w.resume(ctx, id)
		if err != nil {
			failed = err
			obs.Log(ctx).Warn("could not glance at a run", "cluster", id.String(), "error", err)
		} else if sent {
			looks++
		}
	}
	return looks, failed
}

// glance is what a sweep sees of a cluster whose owner wants maintenance.
type glance struct {
	upgrade.Standing
	policy fleet.UpgradePolicy
}

// glances are the clusters whose owners want maintenance.
func (w *Work) glances(ctx context.Context, clusters []fleet.ClusterID) ([]glance, error) {
	found, errs := make([]*glance, len(clusters)), make([]error, len(clusters))
	slots := make(chan struct{}, atOnce)
	var wg sync.WaitGroup
	for i, id := range clusters {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			found[i], errs[i] = w.glance(ctx, id)
		})
	}
	wg.Wait()
	var out []glance
	for _, g := range found {
		if g != nil {
			out = append(out, *g)
		}
	}
	return out, errors.Join(errs...)
}

func (w *Work) glance(ctx context.Context, id fleet.ClusterID) (*glance, error) {
	policy, err := w.policy(ctx, id)
	if err != nil || policy.Mode != fleet.UpgradeAct || len(policy.Windows) == 0 {
		return nil, err
	}
	u, err := w.Ledger.Upgrade(ctx, id)
	return &glance{standing(id, policy, u), policy}, err
}

func standing(id fleet.ClusterID, p fleet.UpgradePolicy, u ledger.Upgrade) upgrade.Standing {
	return upgrade.Standing{Cluster: id, Ring: p.Ring, Running: u.Running(), Halted: u.Running() && u.Halted != "", Outcome: u.Outcome, EndedAt: u.EndedAt, CheckedAt: u.CheckedAt}
}

// askAll asks for checks of the clusters that may be maintained now, those first that have not been looked at for longest.
func (w *Work) askAll(ctx context.Context, seen []glance, sweep string) (sent int, err error) {
	now := w.Now()
	var all []upgrade.Standing
	for _, g := range seen {
		all = append(all, g.Standing)
	}
	due := slices.DeleteFunc(slices.Clone(seen), func(g glance) bool { return g.Running || now.Before(g.CheckedAt.Add(rechecked)) })
	slices.SortStableFunc(due, func(a, b glance) int { return a.CheckedAt.Compare(b.CheckedAt) })
	if len(due) == 0 {
		return 0, nil
	}
	rings, err := w.Ledger.FleetPolicy(ctx)
	if err != nil {
		return 0, err
	}
	freezes, err := w.Ledger.Freezes(ctx)
	if err != nil {
		return 0, err
	}
	asked := map[string]int{}
	for _, g := range due {
		if asked[g.Cluster.Region] == checksAtOnce {
			continue
		}
		if !calendarOf(g.Cluster, g.policy, rings, freezes).Start(now, 0, false).OK {
			continue
		}
		if why := upgrade.Turn(now, g.Ring, all, rings); why != "" {
			obs.Log(ctx).Info("not this cluster's turn", "cluster", g.Cluster.String(), "ring", g.Ring, "reason", why)
			continue
		}
		if err := w.send(ctx, w.asksWhetherDue(g.Cluster, sweep), 0); err != nil {
			return sent, err
		}
		asked[g.Cluster.Region]++
		sent++
	}
	return sent, nil
}

// resume sends a message for the next look at a run, if nobody else has.
func (w *Work) resume(ctx context.Context, id fleet.ClusterID) (sent bool, err error) {
	u, err := w.Ledger.Upgrade(ctx, id)
	if err != nil {
		return false, err
	}
	now := w.Now()
	c := continuation(u, id)
	switch {
	case !u.Running(): // it ended, and died before it said so; or it is just being begun
		if u.RunID != "" && now.Sub(u.EndedAt) > hold {
			return false, w.Ledger.EndUpgrade(ctx, id)
		}
		return false, nil
	case u.Looks == 0 && now.Sub(u.StartedAt) > overdue: // it has never been looked at
		return true, w.send(ctx, &c, 0)
	case u.LookAt.IsZero(): // it is halted
		return false, nil
	case now.After(u.LookAt.Add(overdue)):
		obs.Log(ctx).Warn("a run has lost its message: the sweep goes on with it", "cluster", id.String(), "run", u.RunID)
		return true, w.send(ctx, &c, 0)
	case u.Left && u.LookAt.Before(now.Add(sweeping)):
		return true, w.send(ctx, &c, max(0, u.LookAt.Sub(now)))
	}
	return false, nil
}

func (w *Work) asksWhetherDue(id fleet.ClusterID, why string) *events.UpgradeContinuation {
	return &events.UpgradeContinuation{RunID: checking + why, Cluster: id.Name, Region: id.Region, StartedAt: w.Now()}
}

// check looks whether maintenance is due on a cluster without a run, under its lease, and begins it. Dates decide, and what there
// is to be had; not who has asked.
func (v *visit) check(ctx context.Context) handler.Outcome {
	if err := v.recall(ctx); err != nil {
		return handler.Failed(err)
	}
	if v.policy.Mode != fleet.UpgradeAct {
		return v.nothing(ctx, "the policy of cluster "+v.id.String()+" does not want maintenance to be done")
	}
	now := v.Now()
	o, err := v.reach.Cluster(ctx, v.id)
	if fault.Is(err, fault.NotFound) {
		return v.nothing(ctx, "cluster "+v.id.String()+" cannot be found")
	}
	if err != nil {
		return handler.Failed(err)
	}
	facts := maintenance.Facts{Version: o.Version, SupportType: o.SupportType, UpgradedAt: o.UpgradedAt, Versions: o.Versions}
	due, ok := maintenance.Due(now, facts, v.policy)
	next := ledger.Upgrade{StartedAt: now, EventTime: now, RequestID: "due " + now.UTC().Format(time.RFC3339)}
	switch {
	case ok:
		next.To, next.Patch, next.Reason = due.To, v.policy.Patches.Images || v.policy.Patches.Addons || v.policy.Patches.Renew > 0, due.Why
		v.hurry(ctx, due)
	case v.patches(o):
		next.Patch, next.Reason = true, "newer releases of add-ons or node images, or a certificate authority to be renewed"
	default:
		next = v.stored
		next.CheckedAt = now
		if _, err := v.Ledger.SaveUpgrade(ctx, v.id, next); err != nil {
			return handler.Failed(fault.Ignore(err, fault.Conflict))
		}
		return v.nothing(ctx, "no maintenance is due on cluster "+v.id.String())
	}
	// Many of a ring may be asked at the same time, and each is to see who has begun.
	ring, err := v.Ledger.Acquire(ctx, "ring#"+v.policy.Ring, v.NewID(), ringHold)
	if fault.Is(err, fault.Blocked) {
		return handler.Later(busy, &v.cont)
	}
	if err != nil {
		return handler.Failed(err)
	}
	defer v.release(ctx, ring)
	if room, err := v.room(ctx); err != nil || !room {
		next = v.stored
		next.CheckedAt = now.Add(crowded - rechecked)
		if err == nil {
			_, err = v.Ledger.SaveUpgrade(ctx, v.id, next)
		}
		if err != nil {
			return handler.Failed(err)
		}
		return v.nothing(ctx, "maintenance is due on cluster "+v.id.String()+", and its ring has as many at work as it may")
	}
	next.RunID = RunID(next.RequestID, v.id)
	next = v.stored.Follow(next)
	next.CheckedAt = now
	u, err := v.Ledger.BeginUpgrade(ctx, v.id, next)
	if err != nil {
		return handler.Failed(err)
	}
	v.Metrics.Count("UpgradesScheduled", 1)
	obs.Log(ctx).Info("maintenance is due", "cluster", v.id.String(), "run", u.RunID, "to", target(u), "reason", u.Reason)
	c := continuation(u, v.id)
	return handler.Later(time.Second, &c) // this look still has the lease
}

// room tells whether the cluster's ring lets another one be maintained.
func (v *visit) room(ctx context.Context) (bool, error) {
	running, err := v.Ledger.UpgradesUnderWay(ctx)
	if err != nil {
		return false, err
	}
	var list []upgrade.Standing
	for _, id := range running {
		p, err := v.Work.policy(ctx, id)
		if err != nil {
			return false, err
		}
		list = append(list, upgrade.Standing{Cluster: id, Ring: p.Ring})
	}
	rings, err := v.Ledger.FleetPolicy(ctx)
	return upgrade.Room(v.policy.Ring, list, rings), err
}

// patches tells whether there is anything newer within the cluster's minor, or anything to be renewed.
func (v *visit) patches(o upgradepath.Observation) bool {
	if !v.policy.Patches.Images && !v.policy.Patches.Addons && v.policy.Patches.Renew == 0 {
		return false
	}
	path := upgradepath.Find(o, upgradepath.Want{To: o.Version, Patch: true, Policy: v.policy, Now: v.Now()})
	for _, s := range path.Steps {
		if s.Renews() || s.Kind == upgradepath.StepAddon && v.policy.Patches.Addons || s.Kind == upgradepath.StepNodeGroup && v.policy.Patches.Images {
			return true
		}
	}
	return false
}

// hurry warns when EKS will act by itself before it can be done here.
func (v *visit) hurry(ctx context.Context, due maintenance.DueUpgrade) {
	if due.Forced.IsZero() {
		return
	}
	if left := due.Forced.Sub(v.Now()); left < 14*24*time.Hour {
		v.Metrics.Count("UpgradesPressing", 1)
		obs.Log(ctx).Warn("EKS upgrades this cluster by itself soon", "cluster", v.id.String(), "at", due.Forced, "why", due.Why)
	}
}
