package interruption_test

import (
	"context"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/plan"
)

// groupSizes are the group's sizes, and what was done about them.
type groupSizes struct {
	least, desired int
	ended          int    // machines whose end was asked for and taken
	givenBack      int    // uncordons that were taken
	withPods       bool   // the end came while pods were there that have to be drained
	refusal        error  // what asking for a machine's end comes to, nil for what AWS would do
	afterwards     func() // runs when the machine's end is asked for: a hook's event
}

// removal is a request to remove the world's node.
func removal(id string, edit ...func(map[string]any)) string {
	detail := map[string]any{"cluster": cluster, "node": hostname, "nodeUid": "node-1", "instanceId": machine, "group": "spot",
		"reason": "Underused", "requestedBy": "run-07"}
	for _, f := range edit {
		f(detail)
	}
	return event("ekspedite", "Node Removal Requested", id, detail)
}

// removing is a story in a group that may shrink.
func removing(t *testing.T, tell func(t *testing.T, w *world, q *sqs)) {
	t.Helper()
	story(t, func(t *testing.T, w *world, q *sqs) {
		w.sizes = groupSizes{least: 1, desired: 3}
		tell(t, w, q)
	})
}

// GroupSize implements interruption.Groups.
func (w *world) GroupSize(ctx context.Context, _ string) (least, desired int, err error) {
	err = w.call(ctx, "group size", func() error { least, desired = w.sizes.least, w.sizes.desired; return nil })
	return least, desired, err
}

// EndInstance implements interruption.Groups: as Auto Scaling does, a machine that is going already is success.
func (w *world) EndInstance(ctx context.Context, g, id string, replace bool) error {
	return w.call(ctx, "end", func() error {
		w.writes++
		if w.sizes.refusal != nil {
			return w.sizes.refusal
		}
		switch {
		case g == "" && w.group.Name == "": // EC2's own end of a machine that is in no group
			w.sizes.ended++
			w.endPods()
			w.instance.State = "shutting-down"
			return nil
		case g != w.group.Name || id != machine:
			return fault.New(fault.Invalid, "ValidationError: %s is not in %s", id, g)
		case w.group.LifecycleState != "InService":
			return nil
		case !replace && w.sizes.desired <= w.sizes.least:
			return fault.New(fault.Invalid, "ValidationError: would violate group's minimum")
		}
		w.endPods()
		w.sizes.ended++
		if !replace {
			w.sizes.desired--
		}
		w.group.LifecycleState = "Terminating"
		if w.sizes.afterwards != nil {
			w.sizes.afterwards()
			return nil
		}
		w.instance.State = "shutting-down"
		return nil
	})
}

func (a api) Uncordon(ctx context.Context, u plan.UncordonNode) error {
	return a.w.call(ctx, "uncordon", func() error {
		w := a.w
		w.writes++
		switch {
		case w.node == nil:
			return fault.New(fault.NotFound, "no node")
		case u.UID != w.node.UID, u.ResourceVersion != w.node.ResourceVersion:
			return fault.New(fault.Conflict, "the node is another one, or was changed")
		}
		w.sizes.givenBack++
		w.node.Unschedulable, w.node.Taints = u.Unschedulable, slices.Clone(u.Taints)
		w.node.Labels, w.node.Annotations = maps.Clone(w.node.Labels), maps.Clone(w.node.Annotations)
		for _, k := range u.RemoveLabels {
			delete(w.node.Labels, k)
		}
		for _, k := range u.RemoveAnnotations {
			delete(w.node.Annotations, k)
		}
		w.node.ResourceVersion += "u"
		return nil
	})
}

// wantRemoved checks the one end that every story of a removal has: drained without force, its machine ended once, the
// group smaller by one.
func wantRemoved(t *testing.T, w *world, q *sqs) {
	t.Helper()
	if len(q.messages) > 0 || len(q.dlq) > 0 {
		t.Errorf("%d messages are left, dead letters: %q", len(q.messages), q.dlq)
	}
	for name, p := range w.pods {
		stays := p.Mirror || p.Owner.Kind == "DaemonSet" || p.Finished()
		if stays == p.Deleting || p.forced || p.accepted > 1 {
			t.Errorf("%s: deleting %t, forced %t, accepted %d", name, p.Deleting, p.forced, p.accepted)
		}
	}
	if w.cordons != 1 || w.uncordoned != 0 || w.replaced != 0 || w.sizes.givenBack != 0 {
		t.Errorf("cordons %d, removals before it %d, replacements %d, given back %d", w.cordons, w.uncordoned, w.replaced, w.sizes.givenBack)
	}
	if w.sizes.ended != 1 || w.sizes.desired != 2 || w.sizes.withPods {
		t.Errorf("the machine was ended %d times, with pods on it: %t; desired size %d, want 2", w.sizes.ended, w.sizes.withPods, w.sizes.desired)
	}
	runs, finished := w.runs(t), w.finished()
	if len(runs) != 1 || runs[0].Outcome != events.OutcomeNodeRemoved || len(finished) == 0 || finished[0].RunID != runs[0].RunID {
		t.Errorf("runs %+v, results %+v", runs, finished)
	}
	if d := w.drain(t); !d.Over() {
		t.Errorf("the ledger's drain is not over: %+v", d)
	}
}

// wantKept checks that a node is as it was, and that the run says why.
func wantKept(t *testing.T, w *world, q *sqs, givenBack int) events.RunFinished {
	t.Helper()
	if len(q.messages) > 0 || len(q.dlq) > 0 {
		t.Errorf("%d messages are left, dead letters: %q", len(q.messages), q.dlq)
	}
	if w.sizes.ended != 0 || w.sizes.desired != 3 || w.replaced != 0 || w.sizes.givenBack != givenBack {
		t.Errorf("ended %d, desired %d, replaced %d, given back %d (want %d)", w.sizes.ended, w.sizes.desired, w.replaced, w.sizes.givenBack, givenBack)
	}
	if n := w.node; n.Unschedulable || len(n.Taints) != 1 || n.Taints[0].Key != "theirs" || len(n.Labels)+len(n.Annotations) > 0 {
		t.Errorf("the node is not as it was: %+v", n)
	}
	runs := w.runs(t)
	if len(runs) != 1 || runs[0].Outcome != events.OutcomeNodeKept || len(w.finished()) == 0 {
		t.Fatalf("runs %+v, results %+v", runs, w.finished())
	}
	for name, p := range w.pods {
		if p.forced {
			t.Errorf("%s was forced", name)
		}
	}
	return runs[0]
}

// later runs f after d, with the world to itself.
func (w *world) later(d time.Duration, f func()) {
	time.AfterFunc(d, func() { w.mu.Lock(); defer w.mu.Unlock(); f() })
}

// endPods notes whether a machine's end takes pods with it.
func (w *world) endPods() {
	for _, p := range w.pods {
		stays := p.Mirror || p.Owner.Kind == "DaemonSet" || p.Finished()
		w.sizes.withPods = w.sizes.withPods || !stays && p.Node != ""
	}
}
