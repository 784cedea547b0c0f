package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/ekspedite/ekspedite/cmd/ekspedite/internal/scene"
	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/infra/local/faults"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

// patience with the creation of a cluster: seconds as a rule, and 150 s more if an invocation dies, whose message and lease
// have to time out first.
const patience = 5 * time.Minute

const stubborn = `{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"stubborn","namespace":"default"},"spec":{"replicas":10,
"selector":{"matchLabels":{"app":"stubborn"}},"template":{"metadata":{"labels":{"app":"stubborn"}},"spec":{"terminationGracePeriodSeconds":4,
"containers":[{"name":"main","image":"public.ecr.aws/nginx/nginx:1.29"}]}}}}`

const stubbornBudget = `{"apiVersion":"policy/v1","kind":"PodDisruptionBudget","metadata":{"name":"stubborn","namespace":"default"},
"spec":{"maxUnavailable":0,"selector":{"matchLabels":{"app":"stubborn"}}}}`

// R10 and R1 on a real API server: a budget that never allows anything holds its pods until their own grace begins to run
// out, and no longer: then they get their SIGTERM before the machine dies. The warning comes three times, with a rebalance
// recommendation between, and is one drain.
func TestABudgetHoldsUntilTheGraceRunsOut(t *testing.T) {
	c := cloud(t, faults.None)
	s, q := scene.New(c), queues{sqs.NewFromConfig(scene.Config(c))}
	spec, err := os.ReadFile(filepath.Join(root, "examples", "demo.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	client, err := s.Apply(t.Context(), string(spec), "demo", patience)
	if err != nil {
		t.Fatal(err)
	}
	v := scene.Watch(t.Context(), client, "default")
	for _, object := range []string{stubbornBudget, stubborn} {
		if err := client.Apply(t.Context(), []byte(object)); err != nil {
			t.Fatal(err)
		}
	}
	var node fleet.Node
	var held int
	if err := v.Wait(t.Context(), "10 pods", time.Minute, func() bool {
		var pods []fleet.Pod
		node, pods = v.BusiestSpotNode()
		held = len(pods)
		return v.ReadyPods("") == 10 && held > 0
	}); err != nil {
		t.Fatal(err)
	}
	balancer := newFront(t, s, node)
	var first, last time.Time
	v.Observe(func(_ bool, old, p fleet.Pod) {
		if p.Node == node.Name && p.Deleting && !old.Deleting {
			if last = time.Now(); first.IsZero() {
				first = last
			}
		}
	}, nil)

	// The warning is sent with a time that leaves 30 s of its two minutes.
	at := time.Now().Add(-90 * time.Second).UTC().Truncate(time.Second)
	deadline := at.Add(2 * time.Minute)
	id := scene.InstanceID(node)
	event := func(detailType, more string) string {
		return fmt.Sprintf(`{"version":"0","id":"e2e-%d","source":"aws.ec2","detail-type":%q,"account":"123456789012","region":"us-east-1","time":%q,"resources":[],"detail":{"instance-id":%q%s}}`,
			len(detailType), detailType, at.Format(time.RFC3339), id, more)
	}
	warning := event("EC2 Spot Instance Interruption Warning", `,"instance-action":"terminate"`)
	for _, body := range []string{warning, event("EC2 Instance Rebalance Recommendation", ""), warning, warning} {
		q.send(t, "ekspedite-interruption", body)
	}
	run, err := s.AwaitRun(t.Context(), "the drain", time.Minute, func(r events.RunFinished) bool { return drained(r, id) })
	if err != nil {
		t.Fatal(err)
	}
	if run.Outcome != events.OutcomeDrained || run.Counts["podsForced"] != int64(held) || run.Counts["evictionsRefused"] == 0 {
		t.Errorf("%s, %v; the node had %d pods", run.Outcome, run.Counts, held)
	}
	v.Look(func() {
		const grace, margin = 4 * time.Second, 5 * time.Second
		if due := deadline.Add(-grace - margin); first.Before(due) {
			t.Errorf("a pod was deleted %s before its grace began to run out", due.Sub(first))
		}
		if last.IsZero() || last.Add(time.Second).After(deadline) {
			t.Errorf("the last pod got its SIGTERM at %s, the machine goes at %s", last, deadline)
		}
	})
	q.empty(t, "ekspedite-interruption", time.Minute)
	q.empty(t, "ekspedite-interruption-dlq", time.Second)
	distinct := map[string]bool{}
	for _, r := range s.Finished() {
		if drained(r, id) {
			distinct[r.RunID] = true
		}
	}
	if len(distinct) != 1 {
		t.Errorf("%d drains were reported, one is wanted", len(distinct))
	}
	news(t, client, run, node)
	t.Run("removals", func(t *testing.T) {
		removals(t, s, v, client, balancer)
		q.empty(t, "ekspedite-interruption", time.Minute)
		q.empty(t, "ekspedite-interruption-dlq", time.Second)
	})
	outOfService(t, client, node.Name)
	for _, d := range c.IAM.Denied() {
		t.Errorf("denied: %+v", d)
	}
}

// drained tells whether a run is a drain of the instance. That the policy ignores a recommendation is reported, too.
func drained(r events.RunFinished, instanceID string) bool {
	return r.Subject.InstanceID == instanceID && r.Outcome != events.OutcomeNothingToDo
}
