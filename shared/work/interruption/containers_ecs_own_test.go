package interruption_test

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/events/samples"
)

// What ECS does itself is not done twice: a machine that its agent, or somebody, has set to DRAINING already.
func TestECSDrainsItself(t *testing.T) {
	onECS(t, ours, func(t *testing.T, r *ecsRig) {
		r.service("web", r.definition("web", 2*time.Second, 30*time.Second), 2, 0, 200)
		machine := r.one("web")
		_, err := r.api.UpdateContainerInstancesState(t.Context(), &ecs.UpdateContainerInstancesStateInput{Cluster: &r.arn, ContainerInstances: []string{*machine.ContainerInstanceArn}, Status: types.ContainerInstanceStatusDraining})
		r.must(err)
		r.warn(*machine.Ec2InstanceId, "terminate")
		r.settle(5 * time.Minute)
		if done := r.finishedOnce(); done.Outcome != events.OutcomeDrained || done.Counts["tasksStopped"] > 0 || r.called("UpdateContainerInstancesState") > 0 {
			t.Errorf("%+v\n%s", done, r.Told())
		}
	})
}

// Where a capacity provider has ECS mind the ends of machines, no replacement is asked for; otherwise it is.
func TestECSCapacityProviders(t *testing.T) {
	for name, tc := range map[string]struct {
		draining types.ManagedDraining
		replaced bool
	}{
		"managed draining": {types.ManagedDrainingEnabled, false},
		"none of its own":  {types.ManagedDrainingDisabled, true},
	} {
		t.Run(name, func(t *testing.T) {
			onECS(t, ours, func(t *testing.T, r *ecsRig) {
				g, _ := r.Cloud.AutoScaling.Group(ecsGroup)
				_, err := r.api.CreateCapacityProvider(t.Context(), &ecs.CreateCapacityProviderInput{Name: aws.String("spot"),
					AutoScalingGroupProvider: &types.AutoScalingGroupProvider{AutoScalingGroupArn: &g.ARN, ManagedDraining: tc.draining}})
				r.must(err)
				most := 3
				r.must(r.Cloud.AutoScaling.UpdateGroup(ecsGroup, nil, nil, &most))
				before := r.machines()
				time.Sleep(time.Minute)
				for id, m := range r.machines() {
					if _, old := before[id]; old {
						continue
					}
					if aws.ToString(m.CapacityProviderName) != "spot" {
						t.Fatalf("the new machine is of %q", aws.ToString(m.CapacityProviderName))
					}
					r.warn(id, "terminate")
				}
				r.settle(5 * time.Minute)
				if done := r.finishedOnce(); done.Outcome != events.OutcomeDrained || (replacedAt(done) >= 0) != tc.replaced {
					t.Errorf("%+v\n%s", done, r.Told())
				}
			})
		})
	}
}

// The warning of Fargate Spot is recorded and told under one run's name, however often it is delivered; what follows it is not.
func TestFargateSpot(t *testing.T) {
	onECS(t, ours, func(t *testing.T, r *ecsRig) {
		for _, s := range samples.Of(events.KindECSTaskStateChange) {
			for range 2 {
				r.Queue.Send(string(s.Body), 0)
			}
			r.Queue.Send(strings.ReplaceAll(string(s.Body), `"lastStatus": "RUNNING"`, `"lastStatus": "STOPPED"`), 0)
		}
		r.settle(time.Minute)
		if n := len(r.Finished()); n != 2 {
			t.Errorf("told %d times; the warning was delivered twice", n)
		}
		for _, s := range samples.Of(events.KindECSTaskStateChange) {
			r.Queue.Send(strings.ReplaceAll(string(s.Body), "123456789012", "999999999999"), 0)
		}
		r.settle(time.Minute)
		if n := len(r.Finished()); n != 2 {
			t.Errorf("told %d times after another account's warning", n)
		}
		done := r.finishedOnce()
		if done.Outcome != events.OutcomeReported || done.Subject.Service != "web" || !strings.Contains(done.Subject.Task, ":task/default/") || r.Script.Writes > 0 {
			t.Errorf("%+v, %d writes", done, r.Script.Writes)
		}
		runs, err := r.Ledger().Runs(t.Context(), done.Subject.Cluster)
		if err != nil || len(runs) != 1 || runs[0].RunID != done.RunID {
			t.Errorf("recorded: %+v, %v", runs, err)
		}
	})
}
