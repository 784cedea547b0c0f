package upgrade

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/shared/apply"
	"github.com/ekspedite/ekspedite/shared/decide/maintenance"
	"github.com/ekspedite/ekspedite/shared/decide/upgrade"
	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/handler"
	"github.com/ekspedite/ekspedite/shared/ledger"
	"github.com/ekspedite/ekspedite/shared/obs"
	"github.com/ekspedite/ekspedite/shared/plan"
)

const (
	// hold is how long a cluster's lease lasts, as in the cluster function, which takes the same: longer than any invocation.
	hold = 150 * time.Second
	// margin is left of the lease, and of the invocation, when a look ends.
	margin = 10 * time.Second
	// busy is when to come back to a cluster that another invocation works on.
	busy = 5 * time.Second
	// overdue is how late a continuation may be before it counts as lost.
	overdue = time.Minute
	// blind is when to look again at a cluster that could not be read, and patience how long that may last.
	blind    = 30 * time.Second
	patience = 24 * time.Hour
	// longest is how long a message can wait in SQS. What is further away is left to the sweep.
	longest = 15 * time.Minute
	// rounds is how often a look decides: anew when a command has come meanwhile.
	rounds = 5
	// width is how many calls a look makes at the same time.
	width = 5
)

// visit is one look at one cluster.
type visit struct {
	*Work
	cont   events.UpgradeContinuation
	id     fleet.ClusterID
	reach  Reach
	policy fleet.UpgradePolicy
	cal    maintenance.Calendar
	stored ledger.Upgrade // as it is in the ledger
	state  ledger.Upgrade // as it is to be
	memory upgrade.Memory
	events []events.Event // to be published
}

// look is one look, under the cluster's lease.
func (w *Work) look(ctx context.Context, c events.UpgradeContinuation) handler.Outcome {
	v := &visit{Work: w, cont: c, id: w.id(c.Region, c.Cluster)}
	known, err := w.Ledger.Upgrade(ctx, v.id) // before the lease: most repeated messages end here
	if err != nil {
		return handler.Failed(err)
	}
	if why := v.idle(known); why != "" {
		return w.nothing(ctx, why)
	}
	lease, err := w.Ledger.Acquire(ctx, "cluster#"+v.id.String(), w.NewID(), hold)
	if fault.Is(err, fault.Blocked) {
		obs.Log(ctx).Info("another invocation works on this cluster", "cluster", v.id.String(), "reason", err)
		return handler.Later(busy, &c)
	}
	if err != nil {
		return handler.Failed(err)
	}
	defer v.release(ctx, lease)
	ctx, cancel := context.WithTimeout(ctx, hold-margin)
	defer cancel()
	if v.stored, err = w.Ledger.Upgrade(ctx, v.id); err != nil {
		return handler.Failed(err)
	}
	if why := v.idle(v.stored); why != "" {
		return w.nothing(ctx, why)
	}
	if !v.stored.Running() {
		return v.check(ctx)
	}
	if err := v.recall(ctx); err != nil {
		return handler.Failed(err)
	}
	return v.work(ctx, lease.Token)
}

// idle says why a message needs no look, now that the run is as it is known.
func (v *visit) idle(known ledger.Upgrade) string {
	c := v.cont
	switch {
	case strings.HasPrefix(c.RunID, checking):
		if known.Running() {
			return "a run is under way"
		}
		return ""
	case known.RunID != c.RunID:
		return "run " + c.RunID + " is not the cluster's"
	case !known.Running():
		return "the run is over"
	case c.Attempt < known.Looks && known.Left:
		return "the next look is left to the sweep"
	case c.Attempt < known.Looks && !known.LookAt.IsZero() && v.Now().Before(known.LookAt.Add(overdue)):
		// The next look's message should be on its way. Should it be lost, the sweep looks.
		return "a repeated message, the next look is on its way"
	case c.Attempt < known.Looks && known.LookAt.IsZero():
		return "the run is halted"
	}
	return ""
}

// release gives the lease back, also when the invocation's time is over.
func (v *visit) release(ctx context.Context, lease ledger.Lease) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	if err := v.Ledger.Release(ctx, lease); err != nil {
		obs.Log(ctx).Warn("could not release the lease; it will expire", "cluster", v.id.String(), "error", err)
	}
}

// recall reads what the owner has decided and what is frozen.
func (v *visit) recall(ctx context.Context) (err error) {
	v.reach = v.Open(v.id.Region)
	if v.policy, err = v.wishes(ctx, v.id); err != nil {
		return err
	}
	v.cal, err = v.calendar(ctx, v.id, v.policy)
	return err
}

// calendar is when maintenance may go on for a cluster.
func (w *Work) calendar(ctx context.Context, id fleet.ClusterID, p fleet.UpgradePolicy) (maintenance.Calendar, error) {
	all, err := w.Ledger.FleetPolicy(ctx)
	if err != nil {
		return maintenance.Calendar{}, err
	}
	freezes, err := w.Ledger.Freezes(ctx)
	if err != nil {
		return maintenance.Calendar{}, err
	}
	return calendarOf(id, p, all, freezes), nil
}

func calendarOf(id fleet.ClusterID, p fleet.UpgradePolicy, all fleet.FleetPolicy, freezes []fleet.Freeze) maintenance.Calendar {
	return maintenance.Calendar{
		Windows: p.Windows, Blackouts: slices.Concat(p.Blackouts, all.Blackouts),
		Freezes: slices.DeleteFunc(slices.Clone(freezes), func(f fleet.Freeze) bool { return !f.Covers(id, p.Ring) }),
	}
}

// work decides and acts, and says how to go on. A command that comes while it decides has it decide anew, before it acts.
func (v *visit) work(ctx context.Context, fence int64) handler.Outcome {
	for round := 1; ; round++ {
		v.state, v.events = v.stored, nil
		v.state.Fence = fence
		v.state.Looks++
		v.memory = upgrade.Memory{}
		if len(v.stored.Memory) > 0 {
			if err := json.Unmarshal(v.stored.Memory, &v.memory); err != nil {
				return handler.Failed(fault.New(fault.Invalid, "the ledger's memory of the upgrade of %s is damaged: %v", v.id, err))
			}
		}
		d, in, err := v.decide(ctx)
		if err != nil {
			return v.unseen(ctx, err)
		}
		delete(d.Memory.Waits, unread)
		v.take(ctx, d.Memory, d.Lines)
		v.phase(ctx, d)
		if d.Outcome != "" {
			return v.finish(ctx, d)
		}
		v.next(d.LookAgain)
		if d.Plan.Empty() {
			return v.later(ctx, d.LookAgain)
		}
		// Before the first call: should this invocation die, the next one makes the same calls with the same tokens.
		ok, err := v.save(ctx, round < rounds)
		if err != nil {
			return v.failed(err)
		}
		if !ok {
			continue
		}
		return v.act(ctx, d, in)
	}
}

// decide observes and decides; what a decision needs beyond, it gets.
func (v *visit) decide(ctx context.Context) (upgrade.Decision, upgrade.Input, error) {
	began := v.Now()
	in := upgrade.Input{Calendar: v.cal, Memory: v.memory, Commands: commands(v.state), Request: upgrade.Request{
		RunID: v.state.RunID, To: v.state.To, From: v.state.From, Patch: v.state.Patch, Now: v.state.Now, StartedAt: v.state.StartedAt,
	}}
	var err error
	if in.Updates, err = v.updates(ctx); err != nil {
		return upgrade.Decision{}, in, err
	}
	h := v.reach.Health(ctx, v.id.Name, v.policy.Health.Alarms)
	in.Health = &h
	if d, still := upgrade.Still(v.Now(), in, v.policy); still {
		return d, in, nil
	}
	if in.EKS, err = v.reach.Cluster(ctx, v.id, v.minors()...); err != nil {
		return upgrade.Decision{}, in, err
	}
	if v.state.From == 0 {
		v.state.From, in.Request.From = in.EKS.Version, in.EKS.Version
		if len(v.state.Commands) > 0 { // it may be to go back at once, to images that were not read
			if in.EKS, err = v.reach.Cluster(ctx, v.id, v.minors()...); err != nil {
				return upgrade.Decision{}, in, err
			}
		}
	}
	o := in.EKS
	if in.Moves, err = v.moves(ctx, o); err != nil {
		return upgrade.Decision{}, in, err
	}
	d := upgrade.Decide(v.Now(), in, v.policy)
	if to := d.Needs.Readiness; to != 0 {
		report, err := v.reach.Readiness(ctx, o, to, v.policy)
		if err != nil {
			return d, in, err
		}
		in.Ready = &report
		d = upgrade.Decide(v.Now(), in, v.policy)
	}
	if d.Needs.Refresh {
		if err := v.reach.Refresh(ctx, v.id.Name); err != nil { // it is asked again at the next look, and not for ever
			obs.Log(ctx).Warn("EKS could not be asked to compute its insights anew", "cluster", v.id.String(), "error", err)
		}
	}
	v.Metrics.Took("UpgradeObserve", v.Now().Sub(began))
	obs.Log(ctx).Info("plan", "run", v.state.RunID, "cluster", v.id.String(), "version", o.Version.String(), "phase", d.Phase, "actions", d.Plan.Len(), "outcome", d.Outcome)
	return d, in, nil
}

// minors are those whose images matter: from the one to which a rollback would lead to the one that is wanted. Of a run that has
// not been looked at nobody knows; then all newer ones are read.
func (v *visit) minors() (out []fleet.Minor) {
	if v.state.From == 0 {
		return nil
	}
	for m := v.state.From - 1; m <= max(v.state.From, v.state.To); m++ {
		out = append(out, m)
	}
	return out
}

func commands(u ledger.Upgrade) (out []upgrade.Command) {
	for _, c := range u.Commands {
		out = append(out, upgrade.Command{ID: c.RequestID, Command: c.Command, Step: c.Step, Reason: c.Reason, By: c.By, At: c.At})
	}
	return out
}

// updates reads what became of the updates that are followed. One that EKS does not know is left out.
func (v *visit) updates(ctx context.Context) (map[string]fleet.Update, error) {
	out := map[string]fleet.Update{}
	for _, x := range v.memory.Doing {
		if x.Update == "" {
			continue
		}
		u, err := v.reach.Update(ctx, v.id.Name, x.Ref(), x.Update)
		if fault.Is(err, fault.NotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		out[x.Update] = u
	}
	return out, nil
}

// act makes a decision's calls, remembers what came of them, and goes on later.
func (v *visit) act(ctx context.Context, d upgrade.Decision, in upgrade.Input) handler.Outcome {
	v.publish(ctx, v.events)
	v.events = nil
	var results []upgrade.Result
	for _, s := range d.Steps {
		for _, r := range apply.Step(ctx, s, width, v.Now, v.do) {
			call, ok := r.Action.(plan.Call)
			if !ok { // a drain, which the next look asks for again if it was not heard of
				if r.Err != nil {
					obs.Log(ctx).Warn("could not ask for a drain", "cluster", v.id.String(), "action", r.Action.String(), "error", r.Err)
				}
				continue
			}
			result := upgrade.Result{Step: call.ID, API: call.API, Update: r.Update.ID}
			if r.Err != nil {
				result.Class, result.Text = fault.Of(r.Err).String(), r.Err.Error()
				v.Metrics.Count("UpgradeCallsRefused", 1)
				obs.Log(ctx).Warn("call failed", "cluster", v.id.String(), "call", call.String(), "class", result.Class, "error", r.Err)
			} else {
				v.state.Writes++
			}
			results = append(results, result)
		}
	}
	if ctx.Err() != nil {
		return handler.Failed(handler.ErrOutOfTime)
	}
	memory, lines := upgrade.Learn(v.Now(), in, v.policy, v.memory, results)
	v.take(ctx, memory, lines)
	if memory.Halt != nil {
		v.state.Halted = memory.Halt.Why
	}
	return v.later(ctx, d.LookAgain)
}

// take makes a memory the run's, and tells its lines.
func (v *visit) take(ctx context.Context, m upgrade.Memory, lines []upgrade.Line) {
	v.memory = m
	for _, l := range lines {
		v.progress(ctx, l.Resource, l.Step, l.Detail)
	}
}

// phase remembers what the run does, and tells when that is something else than before.
func (v *visit) phase(ctx context.Context, d upgrade.Decision) {
	if d.Phase != v.state.Phase && d.Outcome == "" && d.Halted == "" && !d.Working {
		v.progress(ctx, "", "Waiting", d.Phase)
	}
	v.state.Phase, v.state.Halted = d.Phase, d.Halted
}

func (v *visit) progress(ctx context.Context, resource, step, detail string) {
	about := subject(v.id)
	if group, ok := strings.CutPrefix(resource, "nodegroup/"); ok {
		about.NodeGroup = group
	}
	now := v.Now()
	v.state.Tell(ledger.Line{At: now, Resource: resource, Step: step, Detail: detail})
	v.events = v.report(ctx, v.events, &events.RunProgressed{
		RunID: v.state.RunID, Function: function, Subject: about, Step: step, Detail: detail, Resource: resource, At: now,
	})
}
