package rollout

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/shared/decide/rollout"
	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/handler"
	"github.com/ekspedite/ekspedite/shared/ledger"
)

// commands is how many of the last ones are remembered.
const commands = 100

// tries is how often a command is written again when a look was faster.
const tries = 5

// command does what somebody wants of a rollout. It does not wait for the lease: a halt is to be quick. A look that is under
// way finds that the document has changed, and begins anew.
func (w *Work) command(ctx context.Context, p *events.UpgradeControlRequested) handler.Outcome {
	for range tries {
		r, err := w.Ledger.Rollout(ctx, p.Rollout)
		if err != nil {
			return handler.Failed(err)
		}
		if r.ID == "" {
			return handler.Failed(fault.New(fault.Invalid, "there is no rollout %s", p.Rollout))
		}
		if !r.Running() || slices.Contains(r.Commands, p.RequestID) {
			return handler.Done()
		}
		r.Commands = append(r.Commands, p.RequestID)
		r.Commands = r.Commands[max(0, len(r.Commands)-commands):]
		var resumed []fleet.ClusterID
		switch p.Command {
		case events.UpgradeHalt:
			r.Halted = said(p)
			r.Phase = "halted: " + r.Halted
		case events.UpgradeResume:
			if resumed, err = resume(&r, w.Now()); err != nil {
				return handler.Failed(err)
			}
		case events.UpgradeAbort:
			if out := w.end(ctx, r, events.OutcomeAborted, said(p)); !fault.Is(out.Err, fault.Conflict) {
				return out
			}
			continue
		default:
			return handler.Failed(fault.New(fault.Invalid, "a rollout can be halted, resumed and aborted: %s is for clusters", p.Command))
		}
		for _, id := range resumed { // before it is written down as heard: the same command twice is one
			resume := &events.UpgradeControlRequested{RequestID: p.RequestID + "/" + id.String(), Command: events.UpgradeResume, Cluster: id.Name, Region: id.Region, Reason: p.Reason, By: p.By}
			if err := w.publish(ctx, resume, resume.RequestID); err != nil {
				return handler.Failed(err)
			}
		}
		_, err = w.Ledger.SaveRollout(ctx, r)
		if fault.Is(err, fault.Conflict) {
			continue
		}
		if err != nil {
			return handler.Failed(err)
		}
		return handler.Later(0, &events.RolloutContinuation{Rollout: r.ID, StartedAt: r.StartedAt, Attempt: r.Looks})
	}
	return handler.Failed(fault.New(fault.Conflict, "rollout %s is being changed by many at once", p.Rollout))
}

func said(p *events.UpgradeControlRequested) string {
	who := p.By
	if who == "" {
		who = "somebody"
	}
	return strings.TrimSuffix(fmt.Sprintf("%s by %s: %s", strings.ToLower(string(p.Command)), who, p.Reason), ": ")
}

// resume lets a rollout go on: clusters that have stopped it are tried again, those whose runs are halted go on with them.
func resume(r *ledger.Rollout, now time.Time) (halted []fleet.ClusterID, err error) {
	var m memory
	if len(r.Memory) > 0 {
		if err := json.Unmarshal(r.Memory, &m); err != nil {
			return nil, fault.New(fault.Invalid, "the ledger's memory of rollout %s is damaged: %v", r.ID, err)
		}
	}
	for name, a := range m.Asked {
		switch a.State {
		case rollout.Halted:
			halted = append(halted, fleet.ParseClusterID(name))
			a.State, a.Why, a.Resumed = rollout.Running, "", now
		case rollout.Failed, rollout.NotReady:
			a = asked{At: a.At, Attempt: a.Attempt + 1, State: rollout.Waiting}
		default:
			continue
		}
		m.Asked[name] = a
	}
	r.Halted, r.Phase = "", "resumed"
	if r.Memory, err = json.Marshal(m); err != nil {
		return nil, err
	}
	slices.SortFunc(halted, func(a, b fleet.ClusterID) int { return strings.Compare(a.String(), b.String()) })
	return halted, nil
}

// dryRun tells what a rollout would do, and does nothing.
func (w *Work) dryRun(ctx context.Context, r ledger.Rollout) handler.Outcome {
	policy, err := w.Ledger.FleetPolicy(ctx)
	if err != nil {
		return handler.Failed(err)
	}
	members, err := w.rings(ctx)
	if err != nil {
		return handler.Failed(err)
	}
	var clusters []rollout.Cluster
	for name, ring := range members {
		clusters = append(clusters, rollout.Cluster{ID: fleet.ParseClusterID(name), Ring: ring})
	}
	rings := rollout.Rings(clusters, policy)
	var lines []string
	for _, ring := range policy.Rings {
		if r.Ring != "" && r.Ring != ring.Name {
			continue
		}
		var names []string
		for _, c := range rings[ring.Name] {
			names = append(names, c.ID.String())
		}
		lines = append(lines, fmt.Sprintf("ring %s, %d at once, then %s of soak: %s", ring.Name, max(ring.AtOnce, 1), ring.Soak, strings.Join(names, ", ")))
	}
	return w.end(ctx, r, events.OutcomePlanned, strings.Join(lines, "; "))
}
