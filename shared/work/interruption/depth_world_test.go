package interruption_test

import (
	"context"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/plan"
)

// depths is what the world has of volumes, Kubernetes Events, and a group that replaces first.
type depths struct {
	attached   []fleet.Attachment // VolumeAttachments
	claims     map[fleet.Claim]string
	outOf      int                // nodes that were declared out of service
	ended      []string           // states of the machine at that time
	told       []plan.RecordEvent // Kubernetes Events
	rebalances bool               // capacity rebalancing is on for the group
	launches   time.Duration      // from a detachment to the new machine's Ready node; 0: EC2 has none
	detached   time.Time          // when the machine left its group
}

func (a api) Attachments(ctx context.Context) (list []fleet.Attachment, err error) {
	err = a.w.call(ctx, "list attachments", func() error { list = slices.Clone(a.w.depths.attached); return nil })
	return list, err
}

func (a api) ClaimedVolume(ctx context.Context, c fleet.Claim) (volume string, err error) {
	err = a.w.call(ctx, "get claim "+c.Name, func() error {
		v, ok := a.w.depths.claims[c]
		if volume = v; !ok {
			return fault.New(fault.NotFound, "no claim %s", c.Name)
		}
		return nil
	})
	return volume, err
}

func (a api) OutOfService(ctx context.Context, c plan.OutOfService) error {
	return a.w.call(ctx, "out of service", func() error {
		w := a.w
		w.writes++
		switch {
		case w.node == nil:
			return fault.New(fault.NotFound, "no node")
		case c.UID != w.node.UID, c.ResourceVersion != w.node.ResourceVersion:
			return fault.New(fault.Conflict, "the node is another one, or was changed")
		}
		w.depths.outOf++
		w.depths.ended = append(w.depths.ended, w.instance.State)
		w.node.Taints = slices.Clone(c.Taints)
		w.node.ResourceVersion += "x"
		return nil
	})
}

// Record is the API server's part of an Event: of each name there is one.
func (a api) Record(ctx context.Context, e plan.RecordEvent) error {
	return a.w.call(ctx, "record", func() error {
		if slices.ContainsFunc(a.w.depths.told, func(t plan.RecordEvent) bool { return t.Name == e.Name && t.Namespace == e.Namespace }) {
			return fault.New(fault.Conflict, "event %s exists", e.Name)
		}
		a.w.depths.told = append(a.w.depths.told, e)
		return nil
	})
}

// GroupState implements interruption.Groups: the group has two machines of its own, and the new one when that is Ready.
func (w *world) GroupState(ctx context.Context, name string) (g fleet.GroupState, err error) {
	err = w.call(ctx, "group state", func() error {
		g = fleet.GroupState{Name: name, Desired: 3, Rebalances: w.depths.rebalances, InService: []string{"i-0aaaaaaaaaaaaaaa1", "i-0aaaaaaaaaaaaaaa2"}}
		if w.group.Name == name {
			g.InService = append(g.InService, machine)
		}
		if w.launched() {
			g.InService = append(g.InService, "i-0aaaaaaaaaaaaaaa3")
		}
		return nil
	})
	return g, err
}

func (w *world) launched() bool {
	d := w.depths
	return !d.detached.IsZero() && d.launches > 0 && !time.Now().Before(d.detached.Add(d.launches))
}

// others are the nodes beside the machine's.
func (w *world) others() (list []fleet.Node) {
	for _, id := range []string{"i-0aaaaaaaaaaaaaaa1", "i-0aaaaaaaaaaaaaaa2", "i-0aaaaaaaaaaaaaaa3"} {
		if id[len(id)-1] != '3' || w.launched() {
			list = append(list, fleet.Node{Name: "node-of-" + id, UID: "uid-of-" + id, ProviderID: "aws:///us-east-1a/" + id, Ready: true})
		}
	}
	return list
}

// merged is what a merge patch makes of labels or annotations.
func merged(have, more map[string]string) map[string]string {
	out := map[string]string{}
	maps.Copy(out, have)
	maps.Copy(out, more)
	return out
}

// toldOf are the reasons of the Events about an object.
func (w *world) toldOf(object string) (reasons []string) {
	for _, e := range w.depths.told {
		if e.Object == object {
			reasons = append(reasons, e.Reason)
		}
	}
	return reasons
}

// message is what was told of an object for a reason.
func (w *world) message(t *testing.T, object, reason string) string {
	t.Helper()
	for _, e := range w.depths.told {
		if e.Object == object && e.Reason == reason {
			return e.Message
		}
	}
	t.Errorf("%s of %s was not told; told were %v", reason, object, w.toldOf(object))
	return ""
}
