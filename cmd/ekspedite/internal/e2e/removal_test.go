package e2e

import (
	"crypto/rand"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/cmd/ekspedite/internal/scene"
	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/shared/awscloud"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/kube"
)

// removals asks for the removal of a busy node of a cluster with ten stubborn pods: while their budget gives nothing, the
// node is given back as it was; when it gives one at a time, the node is drained without one pod too many missing, its
// machine is out of its load balancer before and ends, and its group is smaller by one.
func removals(t *testing.T, s *scene.Scene, v *scene.View, client *kube.Client, balancer *front) {
	t.Helper()
	groups := awscloud.NewCompute(scene.Config(s.Cloud))
	var node fleet.Node
	if err := v.Wait(t.Context(), "10 pods again, some on a node to give up", time.Minute, func() bool {
		var most int
		for _, n := range slices.Concat(v.ByGroup("spot"), v.ByGroup("on-demand")) {
			if on := len(v.PodsOn(n.Name)); n.Ready && !n.Unschedulable && on > most {
				node, most = n, on
			}
		}
		return v.ReadyPods("") == 10 && most > 0
	}); err != nil {
		t.Fatal(err)
	}
	id := scene.InstanceID(node)
	group, err := groups.ScalingGroup(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	least, before, err := groups.GroupSize(t.Context(), group.Name)
	if err != nil || before <= least {
		t.Fatalf("group %s: least size %d, desired %d, %v", group.Name, least, before, err)
	}
	remove := func(patience int) events.RunFinished {
		t.Helper()
		ask := &events.NodeRemovalRequested{Cluster: "demo", Node: node.Name, NodeUID: node.UID, InstanceID: id, Reason: events.RemovalManual,
			PatienceSeconds: patience}
		asked := time.Now() // the bus gives the event an id of its own
		e, err := events.New(ask, rand.Text(), asked, s.Cloud.World.Account, s.Cloud.World.Region)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Bus.Publish(t.Context(), e); err != nil {
			t.Fatal(err)
		}
		run, err := s.AwaitRun(t.Context(), "the removal", 2*time.Minute, func(r events.RunFinished) bool { return r.Subject.InstanceID == id && r.FinishedAt.After(asked) })
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: %s, %v, %v", run.Outcome, run.Reason, run.Counts, run.Timings)
		return run
	}

	if run := remove(4); run.Outcome != events.OutcomeNodeKept || run.Counts["evictionsRefused"] == 0 || len(run.Blocked) == 0 {
		t.Errorf("against a budget that gives nothing: %+v", run)
	}
	now, err := client.Node(t.Context(), node.Name)
	ours := func(key string) bool { return strings.HasPrefix(key, "ekspedite.dev/") }
	if err != nil || now.Unschedulable || slices.ContainsFunc(now.Taints, func(taint fleet.Taint) bool { return ours(taint.Key) }) ||
		now.Labels["node.kubernetes.io/exclude-from-external-load-balancers"] != "" || now.Annotations["ekspedite.dev/run"] != "" {
		t.Errorf("the node was not given back as it was: %+v, %v", now, err)
	}

	if err := client.Apply(t.Context(), []byte(strings.Replace(stubbornBudget, `"maxUnavailable":0`, `"maxUnavailable":1`, 1))); err != nil {
		t.Fatal(err)
	}
	fewest := 10
	v.Observe(func(bool, fleet.Pod, fleet.Pod) { fewest = min(fewest, v.ReadyPods("stubborn")) }, nil)
	balancer.before(t, v, node)
	run := remove(0)
	balancer.wantOut(run)
	if run.Outcome != events.OutcomeNodeRemoved || run.Counts["podsForced"] != 0 || run.Counts["podsEvicted"] == 0 {
		t.Errorf("the removal: %+v", run)
	}
	if _, after, err := groups.GroupSize(t.Context(), group.Name); err != nil || after != before-1 {
		t.Errorf("the group's desired size is %d, %v; it was %d", after, err, before)
	}
	if err := v.Wait(t.Context(), "the node's end, and 10 pods", time.Minute, func() bool {
		return v.ReadyPods("") == 10 && !slices.ContainsFunc(slices.Concat(v.ByGroup("spot"), v.ByGroup("on-demand")), func(n fleet.Node) bool { return n.UID == node.UID })
	}); err != nil {
		t.Fatal(err)
	}
	if i, err := groups.Instance(t.Context(), id); err != nil || !i.Gone() {
		t.Errorf("the machine is %s, %v", i.State, err)
	}
	v.Look(func() {
		if fewest < 9 {
			t.Errorf("only %d of 10 pods were there; the budget allows for one to be missing", fewest)
		}
	})
}
