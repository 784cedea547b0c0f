package e2e

import (
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/ekspedite/ekspedite/cmd/ekspedite/internal/scene"
	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/infra/local/faults"
	"github.com/ekspedite/ekspedite/shared/kube"
)

// surge is a cluster of one machine that stays, and a pool that makes whatever else there is to be. It shrinks in a hurry, since
// nobody wants to watch a test for ten minutes.
const surge = `apiVersion: eksctl.io/v1alpha5
kind: ClusterConfig
metadata: {name: surge, region: us-east-1, version: "1.36"}
availabilityZones: [us-east-1a, us-east-1b, us-east-1c]
accessConfig: {authenticationMode: API}
managedNodeGroups:
  - {name: system, instanceType: m7i.large, minSize: 1, desiredCapacity: 1, maxSize: 1}
---
apiVersion: ekspedite.dev/v1alpha1
kind: ClusterPolicy
metadata: {name: surge}
scaling:
  mode: Act
  groups: [{name: system, ignore: true}]
  pools:
    - {name: general, like: system, capacityTypes: [Spot, OnDemand], minVCPUs: 4, maxVCPUs: 16, retireAfter: 5s, limits: {nodes: 200}}
  shrink:
    warmUp: 5s
    patienceEmpty: 3s
    patienceUnderused: 10s
    budgets: [{nodes: "100%"}]
`

// burst asks for pods of a kind. Every third kind wants to be spread over zones, and has a share on demand.
func burst(t *testing.T, client *kube.Client, name string, replicas int, extra string) {
	t.Helper()
	object := fmt.Sprintf(`{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":%[1]q,"namespace":"default"},"spec":{"replicas":%[2]d,
		"selector":{"matchLabels":{"app":%[1]q}},"template":{"metadata":{"labels":{"app":%[1]q}},"spec":{%[3]s"terminationGracePeriodSeconds":1,
		"containers":[{"name":"c","image":"registry.example/web:1","resources":{"requests":{"cpu":"250m","memory":"512Mi"}}}]}}}}`, name, replicas, extra)
	if err := client.Apply(t.Context(), []byte(object)); err != nil {
		t.Fatal(err)
	}
}

const spreadOverZones = `"topologySpreadConstraints":[{"maxSkew":1,"topologyKey":"topology.kubernetes.io/zone","whenUnsatisfiable":"DoNotSchedule","labelSelector":{"matchLabels":{"app":"second"}}}],`
const onDemandOnly = `"nodeSelector":{"eks.amazonaws.com/capacityType":"ON_DEMAND"},`

// TestScaling: a thousand pods that wait, in three bursts, get their nodes and run on them; then the load goes, and the cluster
// shrinks to its floor. With the functions' binaries and permissions, a real API server and the real kube-scheduler, which has to
// agree with the planner about every pod: all run on the nodes that were planned for them, and no others were needed.
func TestScaling(t *testing.T) {
	c := cloud(t, faults.None)
	c.EC2.SetQuota("L-1216C47A", 5000) // vCPUs of standard instances on demand
	c.EC2.SetQuota("L-34B43A08", 5000) // and of spot ones
	s, q := scene.New(c), queues{sqs.NewFromConfig(scene.Config(c))}
	client, err := s.Apply(t.Context(), surge, "surge", patience)
	if err != nil {
		t.Fatal(err)
	}
	v := scene.Watch(t.Context(), client, "default")
	if err := v.Wait(t.Context(), "the first node", time.Minute, func() bool { return v.ReadyNodes() == 1 }); err != nil {
		t.Fatal(err)
	}
	for _, b := range []struct {
		name  string
		pods  int
		extra string
	}{{"first", 400, ""}, {"second", 300, spreadOverZones}, {"third", 300, onDemandOnly}} {
		began := time.Now()
		burst(t, client, b.name, b.pods, b.extra)
		ordered, err := s.AwaitRun(t.Context(), "an order", time.Minute, func(r events.RunFinished) bool { return scaled(r) && r.FinishedAt.After(began) })
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: capacity was asked for %s after the Deployment (signal to order %d ms)", b.name, ordered.FinishedAt.Sub(began).Round(time.Millisecond), ordered.Timings["signalToOrder"])
		if err := v.Wait(t.Context(), b.name, 5*time.Minute, func() bool { return v.ReadyPods(b.name) == b.pods }); err != nil {
			t.Fatal(err)
		}
		v.Look(func() {
			t.Logf("%s: %d pods ran after %s, on %d nodes", b.name, b.pods, time.Since(began).Round(time.Millisecond), v.Nodes())
		})
	}
	agreed(t, s, v)

	began := time.Now()
	for _, name := range []string{"first", "second", "third"} {
		burst(t, client, name, 0, "")
	}
	if err := v.Wait(t.Context(), "the floor", 5*time.Minute, func() bool { return v.Nodes() == 1 }); err != nil {
		t.Fatal(err)
	}
	t.Logf("the cluster was at its floor %s after the load had gone", time.Since(began).Round(time.Millisecond))
	retired(t, s)
	t.Logf("its node groups were retired %s after the load had gone", time.Since(began).Round(time.Millisecond))
	for _, name := range []string{"scaling", "interruption"} {
		q.empty(t, "ekspedite-"+name+"-dlq", time.Second)
	}
	for _, d := range c.IAM.Denied() {
		t.Errorf("denied: %+v", d)
	}
}

// scaled tells whether a run ordered nodes.
func scaled(r events.RunFinished) bool {
	return r.Function == "scaling" && r.Outcome == events.OutcomeScaled && r.Counts["nodesNew"] > 0
}

// agreed checks that the scheduler has found what the planner had planned: each pod runs on a node of the pool, and there are as many
// nodes as were planned in all.
func agreed(t *testing.T, s *scene.Scene, v *scene.View) {
	t.Helper()
	planned := 0
	for _, r := range s.Finished() {
		if scaled(r) {
			planned += int(r.Counts["nodesNew"])
			if r.Counts["podsLeft"] > 0 {
				t.Errorf("the planner left %d pods out: %s", r.Counts["podsLeft"], strings.Join(r.Blocked, "; "))
			}
		}
	}
	v.Look(func() {
		if nodes := v.Nodes() - 1; nodes != planned {
			t.Errorf("%d nodes were planned, there are %d", planned, nodes)
		}
		for _, n := range v.ByGroup("system") {
			if pods := v.PodsOn(n.Name); len(pods) > 20 {
				t.Errorf("%d pods are on the node that was there before", len(pods))
			}
		}
	})
}

// retired waits until the planner has deleted the groups that it has made. Nobody signals that a group has been empty for long
// enough, and sweeps of a calm cluster are minutes apart: somebody asks, as ekspedite scale now does.
func retired(t *testing.T, s *scene.Scene) {
	t.Helper()
	client := eks.NewFromConfig(scene.Config(s.Cloud))
	var asked time.Time
	var names []string
	for deadline := time.Now().Add(3 * time.Minute); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		out, err := client.ListNodegroups(t.Context(), &eks.ListNodegroupsInput{ClusterName: aws.String("surge")})
		if err != nil {
			t.Fatal(err)
		}
		if names = out.Nodegroups; slices.Equal(names, []string{"system"}) {
			return
		}
		if now := time.Now(); now.Sub(asked) > 6*time.Second {
			asked = now
			e, err := events.New(&events.ScalingRequested{Cluster: "surge", Source: "cli", SeenAt: now}, rand.Text(), now, s.Cloud.World.Account, s.Cloud.World.Region)
			if err == nil {
				err = s.Bus.Publish(t.Context(), e)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	t.Errorf("node groups that were made are still there: %v", names)
}
