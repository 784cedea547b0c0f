package interruption

import (
	"context"
	"fmt"
	"time"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/shared/decide/interruption"
	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/handler"
	"github.com/ekspedite/ekspedite/shared/ledger"
	"github.com/ekspedite/ekspedite/shared/obs"
	"github.com/ekspedite/ekspedite/shared/observe"
)

func (h *hearing) plannedDoc(ctx context.Context, instanceID string) (plannedDoc, error) {
	doc, err := h.Ledger.PlannedDrain(ctx, h.region, instanceID)
	return plannedDoc{doc}, err
}

// planned does the next thing about a machine whose end was announced. A drain by choice is a removal that replaces: budgets hold,
// what cannot be drained in time gets its node back, and what is drained is ended and launched anew by its group in one call. A
// drain that is not by choice is a signal like any other.
func (w *Work) planned(ctx context.Context, d handler.Delivery, p *events.PlannedDrainDue) handler.Outcome {
	h := w.hearing(p.Region, d.Event.ID)
	end := d.Event.Time.Add(insistence)
	doc, err := h.plannedDoc(ctx, p.InstanceID)
	switch {
	case err != nil:
		return w.insist(handler.Failed(err), end)
	case doc.Known() && doc.By == d.Event.ID: // the step was taken: it may not have been sent
		return w.insist(handler.Spread(pending(doc.PlannedDrain)...), end)
	case doc.NextAt.IsZero() || doc.NextAt.After(w.Now()):
		return w.nothing(ctx, d, "what is planned for "+p.InstanceID+" is not due: "+doc.Why)
	}
	if err := h.step(ctx, &doc); err != nil {
		return w.insist(handler.Failed(err), end)
	}
	doc.By = d.Event.ID
	if _, err := w.Ledger.SavePlannedDrain(ctx, doc.PlannedDrain); err != nil { // of a conflict, too: it is looked at again
		return w.insist(handler.Failed(err), end)
	}
	obs.Log(ctx).Info("planned drain", "instance", doc.InstanceID, "region", doc.Region, "sends", doc.SentID, "next", doc.NextAt, "why", doc.Why)
	return w.insist(handler.Spread(pending(doc.PlannedDrain)...), end)
}

// step decides what is to be done now, and writes it into the document.
func (h *hearing) step(ctx context.Context, doc *plannedDoc) error {
	doc.SentID, doc.Removal, doc.Signal = "", nil, nil
	plan, err := decodePlan(*doc)
	if err != nil {
		return err
	}
	inst, err := h.Open(doc.Region).Instances.Instance(ctx, doc.InstanceID)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return err
	}
	if err != nil || inst.Gone() || inst.Cluster() == "" {
		doc.set(plan, interruption.Step{Do: interruption.Over, Why: "the machine is gone, or of no cluster any more"}, h.Now())
		return nil
	}
	doc.Cluster = inst.Cluster()
	o, err := h.owner(ctx, doc.Cluster)
	if err != nil {
		return err
	}
	now, s := h.Now(), o.next(plan)
	switch s.Do {
	case interruption.Begin:
		node, err := h.nodeOf(ctx, inst)
		if err != nil {
			return err
		}
		if plan = plan.Tried(now, s); node != nil {
			doc.SentID = fmt.Sprintf("planned/%s/%s/try-%d", doc.Region, doc.InstanceID, plan.Tries)
			doc.Removal = &events.NodeRemovalRequested{
				Cluster: doc.Cluster, Region: doc.Region, Node: node.Name, NodeUID: node.UID, InstanceID: doc.InstanceID, Group: inst.Tags[fleet.TagEKSNodegroup],
				Reason: events.RemovalMaintenance, Replace: true, PatienceSeconds: max(1, int(s.Until.Sub(now)/time.Second)), RequestedBy: "planned-" + doc.InstanceID,
			}
		}
	case interruption.Press:
		plan = plan.Pressed(s)
		doc.SentID = fmt.Sprintf("planned/%s/%s/press-%d", doc.Region, doc.InstanceID, s.Notice.SaidAt.Unix())
		doc.Signal = &events.MachineSignal{InstanceID: doc.InstanceID, Region: doc.Region, Cause: events.Kind(s.Notice.Cause), Signal: s.Notice.Code,
			SaidAt: now, Deadline: s.Deadline, Fate: events.FateEnded}
	default:
		doc.set(plan, s, now)
		return nil
	}
	next := o.next(plan)
	if next.Do == interruption.Begin { // not twice at once
		next = interruption.Step{Do: interruption.Wait, At: s.Until, Why: next.Why}
	}
	doc.set(plan, next, now)
	return nil
}

// nodeOf finds a machine's node; nil if it is none, or its cluster is gone.
func (h *hearing) nodeOf(ctx context.Context, inst fleet.Instance) (*fleet.Node, error) {
	reach := h.Open(h.region)
	nodes, err := reach.Clusters.Nodes(ctx, inst.Cluster())
	if fault.Is(err, fault.NotFound) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	return observe.NodeOf(ctx, nodes, inst)
}

// pending is what the last step of a planned drain has to send.
func pending(doc ledger.PlannedDrain) []handler.Send {
	switch {
	case doc.Removal != nil:
		return []handler.Send{{ID: doc.SentID, Event: doc.Removal}}
	case doc.Signal != nil:
		return []handler.Send{{ID: doc.SentID, Event: doc.Signal}}
	}
	return nil
}
