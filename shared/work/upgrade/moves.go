package upgrade

import (
	"context"
	"encoding/json"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/shared/decide/nodemove"
	"github.com/ekspedite/ekspedite/shared/decide/upgradepath"
	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/ledger"
	"github.com/ekspedite/ekspedite/shared/plan"
)

// moves reads what the moves of nodes that are under way are decided from, with what became of the drains that they asked for.
func (v *visit) moves(ctx context.Context, o upgradepath.Observation) (map[string]nodemove.Input, error) {
	out := map[string]nodemove.Input{}
	for _, x := range v.memory.Doing {
		if !x.Moves {
			continue
		}
		in, err := v.reach.Move(ctx, o, x.MoveStep())
		if err != nil {
			return nil, err
		}
		in.Drains = map[string]nodemove.Drain{}
		for _, n := range in.Nodes {
			if _, asked := x.Move.Nodes[n.InstanceID]; !asked && !n.Unschedulable { // nobody drains it
				continue
			}
			d, err := v.Ledger.Drain(ctx, n.InstanceID)
			if err != nil {
				return nil, err
			}
			if d.RunID != "" {
				in.Drains[n.InstanceID] = drain(d)
			}
		}
		out[x.Step.ID] = in
	}
	return out, nil
}

// drain is a drain as a move sees it.
func drain(d ledger.Drain) nodemove.Drain {
	out := nodemove.Drain{StartedAt: d.StartedAt, Outcome: d.Outcome, EndedAt: d.EndedAt, Refused: d.Refused}
	var done events.RunFinished
	if len(d.Result) > 0 && json.Unmarshal(d.Result, &done) == nil { // a damaged report takes nothing but its words away
		out.EndedAt, out.Reason, out.Left = done.FinishedAt, done.Reason, done.Blocked
	}
	return out
}

// do carries out one action: drains are the interruption function's, told twice it drains once.
func (v *visit) do(ctx context.Context, a plan.Action) (fleet.Update, error) {
	r, ok := a.(plan.RemoveNode)
	if !ok {
		return v.reach.Apply(ctx, a)
	}
	e, err := events.New(&events.NodeRemovalRequested{
		Cluster: v.id.Name, Region: v.id.Region, Node: r.Node, NodeUID: r.UID, InstanceID: r.InstanceID, Group: r.Group,
		Reason: events.RemovalReason(r.Reason), Replace: r.Replace, RequestedBy: v.state.RunID,
	}, v.NewID(), v.Now(), v.Account, v.Region)
	if err != nil {
		return fleet.Update{}, &fault.Error{Class: fault.Invalid, Op: "drain node " + r.Node, Err: err}
	}
	return fleet.Update{}, v.Bus.Publish(ctx, e)
}
