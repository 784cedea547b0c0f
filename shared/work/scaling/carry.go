package scaling

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/shared/apply"
	"github.com/ekspedite/ekspedite/shared/decide/scaling"
	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/handler"
	"github.com/ekspedite/ekspedite/shared/obs"
	"github.com/ekspedite/ekspedite/shared/plan"
)

// carryOut remembers a decision and does what it says. It tells whether to look again at once, with what was learnt.
func (v *visit) carryOut(ctx context.Context, d scaling.Decision) (again bool, err error) {
	v.memory = d.Memory
	if v.policy.Mode == fleet.ScalingPlan { // nothing is ordered, so that nothing is on its way
		v.memory = v.before
		v.memory.Shortages, v.memory.Quiet, v.memory.Idle = d.Memory.Shortages, d.Memory.Quiet, d.Memory.Idle
	}
	acts := v.policy.Mode == fleet.ScalingAct && !d.Plan.Empty()
	v.state.LookedAt, v.state.LookAt, v.state.Acting = v.began, v.began.Add(v.next(d)), acts
	if v.report.rounds == 1 {
		v.state.Looks++
	}
	// Before the first action: what a sleeping group's size was is nowhere else.
	if err := v.save(ctx); err != nil {
		return false, err
	}
	obs.Log(ctx).Info("plan", "cluster", v.id.String(), "run", v.state.RunID, "mode", v.policy.Mode, "plan", summary(d.Plan))
	if !acts {
		return false, nil
	}
	var failed []apply.Result
	do := apply.Plain(apply.Scaler{Cluster: v.id.Name, Sizes: v.reach.Sizes, Groups: v.reach.Makes, Nodes: remover{v}}.Do)
	for _, s := range d.Plan.Steps {
		for _, r := range apply.Step(ctx, s, apply.ScalingWidth, v.Now, do) {
			v.report.done(r)
			if r.Err != nil {
				obs.Log(ctx).Warn("action failed", "action", r.Action.String(), "error", r.Err)
				failed = append(failed, r)
			}
		}
	}
	if ctx.Err() != nil {
		return false, handler.ErrOutOfTime
	}
	v.memory, again = v.learn(v.memory, failed)
	v.before = v.memory
	return again, nil
}

// learn corrects what is remembered by what could not be done. It tells whether another plan may do better at once.
func (v *visit) learn(m scaling.Memory, failed []apply.Result) (scaling.Memory, bool) {
	again := false
	for _, r := range failed {
		drop := func(group string) {
			m.Orders = slices.DeleteFunc(slices.Clone(m.Orders), func(o scaling.Order) bool { return o.Group == group && o.At.Equal(v.began) })
		}
		switch a := r.Action.(type) {
		case plan.ResizeGroup:
			drop(a.Group)
			again = again || fault.Is(r.Err, fault.Conflict)
		case plan.CreateGroup:
			drop(a.Group)
			if c := fault.Of(r.Err); c == fault.Denied || c == fault.Invalid { // it would fail the same way at every look
				refused := scaling.Group{Name: a.Group, Troubles: []scaling.GroupTrouble{{At: r.At, Code: "Refused", Text: r.Err.Error()}}}
				m, again = m.Learn(v.Now(), refused, v.policy.Launch), true
			}
		case plan.LaunchFleet:
			short, ok := errors.AsType[*apply.ShortError](r.Err)
			came := 0
			if ok {
				came = len(short.Launched.Instances)
			}
			m = m.Launched(fleet.Text(a.Input, "clientToken"), came)
			if ok {
				m, again = m.Learn(v.Now(), troubles(a.Pool, r.At, short.Launched.Failures), v.policy.Launch), true
			}
		case plan.RemoveNode:
			m.Removals = slices.DeleteFunc(slices.Clone(m.Removals), func(x scaling.Removal) bool { return x.InstanceID == a.InstanceID && x.At.Equal(v.began) })
		}
	}
	return m, again
}

// troubles are a fleet's failures as those of its pool.
func troubles(pool string, at time.Time, list []fleet.LaunchFailure) scaling.Group {
	g := scaling.Group{Name: pool, Kind: scaling.Fleet, Pool: pool}
	for _, f := range list {
		g.Troubles = append(g.Troubles, scaling.GroupTrouble{At: at, Code: f.Code, Text: f.Text, Zone: f.Zone, Type: f.Type})
		g.Types, g.Zones, g.Spot = append(g.Types, f.Type), append(g.Zones, f.Zone), f.Spot
	}
	return g
}

func (v *visit) save(ctx context.Context) (err error) {
	if v.state.Memory, err = json.Marshal(v.memory); err != nil {
		return err
	}
	v.state, err = v.Ledger.SaveScaling(ctx, v.id, v.state)
	return err
}

// next is how long until the next look.
func (v *visit) next(d scaling.Decision) time.Duration {
	switch m := d.Memory; {
	case d.Plan.LookAgain > 0:
		return d.Plan.LookAgain
	case len(m.Quiet)+len(m.Slept)+len(m.Idle)+len(m.Shortages) > 0, len(v.policy.Windows)+len(v.policy.Reservations) > 0:
		return minutely
	}
	return calm
}

// conclude reports what is new and leaves a message for a look that is due before the next sweep.
func (v *visit) conclude(ctx context.Context, d scaling.Decision) handler.Outcome {
	told := digest(d, v.report.failures)
	if v.report.acted > 0 || v.resumed || told != v.state.Reported && told != "" {
		if err := v.tell(ctx, d); err != nil {
			return v.failed(ctx, err)
		}
	}
	if v.state.Acting || v.resumed || told != v.state.Reported {
		v.state.Acting, v.state.Reported = false, told
		if err := v.save(ctx); err != nil {
			return v.failed(ctx, err)
		}
	}
	v.measure()
	after := d.Plan.LookAgain
	if after <= 0 || after >= sweeping {
		return handler.Done()
	}
	return handler.Later(after, &events.ScalingContinuation{
		RunID: v.state.RunID, Cluster: v.id.Name, Region: v.id.Region, StartedAt: v.Now(), SeenAt: v.seen, Attempt: v.state.Looks,
	})
}

// digest is what a report would say that somebody would want to know, but for times; "" for nothing.
func digest(d scaling.Decision, failures []events.Failure) string {
	if d.Plan.Empty() && len(d.Explanation.Left)+len(failures) == 0 {
		return ""
	}
	var said strings.Builder
	for _, s := range d.Plan.Steps {
		for _, a := range s.Actions {
			what, _, _ := strings.Cut(a.String(), ": ") // the reason has durations in it
			fmt.Fprintln(&said, what)
		}
	}
	for _, l := range d.Explanation.Left {
		fmt.Fprintln(&said, l.Pod, l.Refused)
	}
	for _, f := range failures {
		fmt.Fprintln(&said, f.Resource, f.Code)
	}
	sum := sha256.Sum256([]byte(said.String()))
	return hex.EncodeToString(sum[:8])
}

// remover hands nodes to the interruption function. Told twice, it drains once.
type remover struct{ *visit }

// Remove implements apply.NodeRemover.
func (r remover) Remove(ctx context.Context, a plan.RemoveNode) error {
	e, err := events.New(&events.NodeRemovalRequested{
		Cluster: r.id.Name, Region: r.id.Region, Node: a.Node, NodeUID: a.UID, InstanceID: a.InstanceID, Group: a.Group,
		Reason: events.RemovalReason(a.Reason), RequestedBy: r.state.RunID,
	}, r.NewID(), r.Now(), r.Account, r.Region)
	if err != nil {
		return &fault.Error{Class: fault.Invalid, Op: "remove node " + a.Node, Err: err}
	}
	return r.Bus.Publish(ctx, e)
}

// summary is a plan in one line for the log.
func summary(p plan.Plan) string {
	parts := []string{p.Reason}
	for _, s := range p.Steps {
		parts = append(parts, fmt.Sprintf("%s (%d)", s.Name, len(s.Actions)))
	}
	return strings.Join(parts, "; ")
}
