package interruption_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/infra/local/ec2"
	"github.com/ekspedite/ekspedite/internal/cloudtest"
	"github.com/ekspedite/ekspedite/shared/work/interruption"
)

// ecsStory is a spot warning on a machine with tasks of a service and a standalone one; it returns that one.
func ecsStory(r *ecsRig) (machine types.ContainerInstance, job types.Task, end time.Time) {
	r.service("web", r.definition("web", 2*time.Second, 30*time.Second), 3, 50, 200)
	job = r.run(r.definition("job", 5*time.Second, 30*time.Second))
	machine = r.one("job")
	end = time.Now().Add(2 * time.Minute)
	r.Script.Calls, r.Script.Ops = 0, nil
	r.warn(*machine.Ec2InstanceId, "terminate")
	return machine, job, end
}

// wantContainerDrained checks what must hold whatever happened: every task had its SIGTERM, in time unless somebody was late,
// the machine was replaced once, and the story is told to its end, once.
func wantContainerDrained(t *testing.T, r *ecsRig, machine types.ContainerInstance, end time.Time, late bool) {
	t.Helper()
	time.Sleep(time.Until(end)) // and the machine goes
	done := r.finishedOnce()
	if done.Outcome != events.OutcomeDrained && !(late && done.Outcome == events.OutcomePartiallyDrained) {
		t.Errorf("%+v\n%s", done, r.Told())
	}
	for _, task := range r.tasks() {
		if *task.ContainerInstanceArn != *machine.ContainerInstanceArn {
			continue
		}
		if late && task.StoppingAt != nil && task.StoppingAt.Before(end) {
			continue
		}
		if task.StoppedAt == nil || task.StoppedAt.After(end) || *task.Containers[0].ExitCode != 0 {
			t.Errorf("%s: %s, %v, %+v", *task.Group, *task.LastStatus, task.StoppedAt, task.Containers[0].ExitCode)
		}
	}
	if g, _ := r.Cloud.AutoScaling.Group(ecsGroup); len(g.Instances) != 2 || g.Desired != 2 {
		t.Errorf("the group has %+v", g)
	}
	runs, err := r.Ledger().Runs(t.Context(), r.arn)
	if err != nil || len(runs) != 1 {
		t.Errorf("%d runs are recorded, %v", len(runs), err)
	}
}

// Every single call fails, loses its answer, or is the invocation's last one, before or after its effect (R9, R27).
func TestR27_ECSEveryCallFailsOnce(t *testing.T) {
	var calls []string
	onECS(t, ours, func(t *testing.T, r *ecsRig) {
		machine, _, end := ecsStory(r)
		r.settle(10 * time.Minute)
		wantContainerDrained(t, r, machine, end, false)
		calls = slices.Clone(r.Script.Ops)
	})
	if len(calls) < 50 {
		t.Fatalf("a drain makes only %d calls: %v", len(calls), calls)
	}
	// The looks between the first ones and the last ones are all alike: of those every eleventh call.
	for m, name := range map[cloudtest.Misfortune]string{cloudtest.FailsBefore: "fails", cloudtest.FailsAfter: "loses its answer", cloudtest.KilledBefore: "killed before", cloudtest.KilledAfter: "killed after"} {
		for n, op := range calls {
			if n > 30 && n < len(calls)-30 && n%11 != 0 {
				continue
			}
			// The message of an invocation that was killed comes back after 45 seconds. If that was shortly before a task's last
			// moment, the task has its SIGTERM a little before the machine's end.
			late := m >= cloudtest.KilledBefore && n > len(calls)/3
			t.Run(strings.ReplaceAll(fmt.Sprintf("%s-%d-%s", name, n+1, op), " ", "-"), func(t *testing.T) {
				onECS(t, ours, func(t *testing.T, r *ecsRig) {
					machine, _, end := ecsStory(r)
					r.Script.At = func(k int, _ string) cloudtest.Misfortune {
						if k == n+1 {
							return m
						}
						return cloudtest.Nothing
					}
					r.settle(10 * time.Minute)
					wantContainerDrained(t, r, machine, end, late)
				})
			})
		}
	}
}

// Deliveries come twice at once, and one call in forty goes wrong.
func TestR1_ECSEveryDeliveryTwiceAtOnce(t *testing.T) {
	for seed := range seeds(t, 30) {
		t.Run(fmt.Sprintf("seed-%d", seed), func(t *testing.T) {
			onECS(t, ours, func(t *testing.T, r *ecsRig) {
				rnd := rand.New(rand.NewPCG(seed, 3))
				r.Twice = func() bool { return true }
				machine, _, end := ecsStory(r)
				left, slow := int(seed%3), 1
				r.Script.At = func(int, string) cloudtest.Misfortune {
					if left == 0 || rnd.IntN(40) > 0 {
						return cloudtest.Nothing
					}
					m := cloudtest.Misfortune(1 + rnd.IntN(4))
					if m == cloudtest.KilledBefore || m == cloudtest.KilledAfter {
						if slow == 0 { // two of them are more than a machine's two minutes
							return cloudtest.Nothing
						}
						slow--
					}
					left--
					return m
				}
				r.settle(10 * time.Minute)
				wantContainerDrained(t, r, machine, end, true)
			})
		})
	}
}

// Machines of nobody cost a search once, for all of their group, and are acknowledged without a write; state changes cost none.
func TestR3_ECSMachinesOfNobody(t *testing.T) {
	onECS(t, ours, func(t *testing.T, r *ecsRig) {
		r.places = &interruption.Places{Now: time.Now}
		foreign := func(tags map[string]string) string {
			list, err := r.Cloud.EC2.Run(ec2.RunSpec{Type: "m5.large", SubnetID: r.subnet, Spot: true, Tags: tags})
			r.must(err)
			return list[0].ID
		}
		warn := func(id string) {
			r.aws("aws.ec2", "EC2 Spot Instance Interruption Warning", map[string]string{"instance-id": id, "instance-action": "terminate"})
		}
		change := func(id string) {
			r.aws("aws.ec2", "EC2 Instance State-change Notification", map[string]string{"instance-id": id, "state": "stopping"})
		}
		group := map[string]string{"aws:autoscaling:groupName": "batch"}
		for _, tc := range []struct {
			name            string
			send            func()
			clusters, asked int
		}{
			{"a state change", func() { change(foreign(nil)) }, 0, 0},
			{"a machine of a group", func() { warn(foreign(group)) }, 1, 3},
			{"the next one of the group", func() { warn(foreign(group)) }, 0, 0},
			{"one without a group", func() { warn(foreign(nil)) }, 0, 3},
			{"one that two EKS clusters claim", func() { warn(foreign(twoOwners)) }, 0, 0},
			{"a tag for a cluster that is not there", func() { change(foreign(map[string]string{"ekspedite.dev/ecs-cluster": "gone"})) }, 0, 0},
			{"a tag for a cluster that has not got it", func() { change(foreign(map[string]string{"ekspedite.dev/ecs-cluster": "another"})) }, 0, 1},
		} {
			r.Script.Ops, r.Script.Writes = nil, 0
			tc.send()
			r.settle(time.Minute)
			if lists, asked := r.called("ListClusters"), r.called("ListContainerInstances"); lists != tc.clusters || asked != tc.asked || r.Script.Writes > 0 {
				t.Errorf("%s: listed clusters %d times, asked %d, wrote %d: %v", tc.name, lists, asked, r.Script.Writes, r.Script.Ops)
			}
		}
		if len(r.Finished()) > 0 {
			t.Errorf("told: %s", r.Told())
		}
	})
}
