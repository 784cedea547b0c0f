package e2e

import (
	"crypto/rand"
	"slices"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/cmd/ekspedite/internal/scene"
	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/infra/local"
	"github.com/ekspedite/ekspedite/infra/local/faults"
	"github.com/ekspedite/ekspedite/shared/awscloud"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

// faraway is a cluster in another Region than ekspedite's own. Its group is of one zone: over several Auto Scaling evens them out by
// ending machines itself.
const faraway = `apiVersion: eksctl.io/v1alpha5
kind: ClusterConfig
metadata: {name: faraway, region: eu-west-1, version: "1.36"}
availabilityZones: [eu-west-1a, eu-west-1b]
accessConfig: {authenticationMode: API}
managedNodeGroups:
  - {name: web, instanceType: m5.large, minSize: 1, desiredCapacity: 3, maxSize: 3, availabilityZones: [eu-west-1a]}
`

// TestAnotherRegion: nodes of a cluster in another Region are given up and replaced as those at home: drained through that
// cluster's real API server, with a token for its Region, and ended by the Auto Scaling there. With the functions' binaries
// and permissions.
func TestAnotherRegion(t *testing.T) {
	const away = "eu-west-1"
	c := cloud(t, faults.None, func(o *local.Options) { o.Parameters = map[string]string{"Regions": away} })
	s := scene.New(c)
	client, err := s.Apply(t.Context(), faraway, "faraway", 5*time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	v := scene.Watch(t.Context(), client, "default")
	if err := v.Wait(t.Context(), "three nodes", time.Minute, func() bool { return v.ReadyNodes() == 3 }); err != nil {
		t.Fatal(err)
	}
	burst(t, client, "web", 4, "")
	groups := awscloud.NewCompute(awscloud.InRegion(scene.Config(c), away))
	for _, replace := range []bool{false, true} {
		if err := v.Wait(t.Context(), "4 pods", time.Minute, func() bool { return v.ReadyPods("web") == 4 }); err != nil {
			t.Fatal(err)
		}
		var node fleet.Node
		v.Look(func() {
			for _, n := range v.ByGroup("web") {
				if len(v.PodsOn(n.Name)) > len(v.PodsOn(node.Name)) || node.Name == "" {
					node = n
				}
			}
		})
		id := scene.InstanceID(node)
		group, err := groups.ScalingGroup(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		_, before, err := groups.GroupSize(t.Context(), group.Name)
		if err != nil {
			t.Fatal(err)
		}
		ask := &events.NodeRemovalRequested{Cluster: "faraway", Region: away, Node: node.Name, NodeUID: node.UID, InstanceID: id, Group: "web",
			Reason: events.RemovalManual, Replace: replace}
		e, err := events.New(ask, rand.Text(), time.Now(), c.World.Account, c.World.Region)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Bus.Publish(t.Context(), e); err != nil {
			t.Fatal(err)
		}
		run, err := s.AwaitRun(t.Context(), "the removal", 2*time.Minute, func(r events.RunFinished) bool {
			return r.Function == "interruption" && r.Subject.InstanceID == id
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: %s, %v, %v", run.Outcome, run.Reason, run.Counts, run.Timings)
		if run.Outcome != events.OutcomeNodeRemoved || run.Subject.Region != away || run.Counts["podsEvicted"] == 0 || run.Counts["podsForced"] != 0 {
			t.Errorf("%+v", run)
		}
		if _, ended := run.Timings["eventToMachineEnded"]; !ended {
			t.Errorf("its machine was ended by somebody else: %v", run.Timings)
		}
		want := before - 1
		if replace {
			want = before
		}
		if _, after, err := groups.GroupSize(t.Context(), group.Name); err != nil || after != want {
			t.Errorf("the group's desired size is %d, %v; it was %d", after, err, before)
		}
		if err := v.Wait(t.Context(), "its end, and as many nodes as are wanted", time.Minute, func() bool {
			return v.ReadyNodes() == want && !slices.ContainsFunc(v.ByGroup("web"), func(n fleet.Node) bool { return n.UID == node.UID })
		}); err != nil {
			t.Error(err)
		}
	}
	for _, d := range c.IAM.Denied() {
		t.Errorf("denied: %+v", d)
	}
}
