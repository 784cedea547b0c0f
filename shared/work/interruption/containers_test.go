package interruption_test

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/ekspedite/ekspedite/events"
)

// wantInTime checks that a task was told to stop early enough to have its whole stop timeout, and no sooner than it had to be.
func wantInTime(t *testing.T, r *ecsRig, task types.Task, end time.Time, stop time.Duration) {
	t.Helper()
	for _, now := range r.tasks() {
		if *now.TaskArn != *task.TaskArn {
			continue
		}
		switch {
		case now.StoppingAt == nil || now.StoppedAt == nil:
			t.Errorf("%s was not stopped: %s", *task.Group, *now.LastStatus)
		case now.StoppingAt.After(end.Add(-stop)) || now.StoppingAt.Before(end.Add(-max(stop+10*time.Second, 65*time.Second))):
			t.Errorf("%s got its SIGTERM %s before the end; its stop timeout is %s", *task.Group, end.Sub(*now.StoppingAt), stop)
		case *now.Containers[0].ExitCode != 0 || !strings.HasPrefix(*now.StoppedReason, "ekspedite: "):
			t.Errorf("%s ended with %d: %s", *task.Group, *now.Containers[0].ExitCode, *now.StoppedReason)
		}
		return
	}
	t.Errorf("no task %s", *task.TaskArn)
}

// A spot warning on a machine with a service, which ECS moves, and a standalone task, which gets its SIGTERM in time.
func TestECSSpotWarning(t *testing.T) {
	onECS(t, ours, func(t *testing.T, r *ecsRig) {
		r.service("web", r.definition("web", 2*time.Second, 30*time.Second), 4, 100, 200)
		job := r.run(r.definition("job", 15*time.Second, 20*time.Second))
		machine := r.one("job")
		end := time.Now().Add(2 * time.Minute)
		r.warn(*machine.Ec2InstanceId, "terminate")
		r.settle(5 * time.Minute)
		done := r.finishedOnce()
		if done.Outcome != events.OutcomeDrained || done.Subject.Cluster != r.arn || done.Subject.ContainerInstance != *machine.ContainerInstanceArn || done.Subject.Node != "" ||
			done.Counts["tasksStopped"] != 1 || replacedAt(done) < 0 {
			t.Errorf("%+v\n%s", done, r.Told())
		}
		wantInTime(t, r, job, end, 20*time.Second)
		if g, _ := r.Cloud.AutoScaling.Group(ecsGroup); len(g.Instances) != 2 || g.Desired != 2 {
			t.Errorf("the group has %+v", g)
		}
		for _, task := range r.on(machine, "web") {
			if *task.LastStatus != "STOPPED" || task.StopCode != types.TaskStopCodeServiceSchedulerInitiated || *task.Containers[0].ExitCode != 0 {
				t.Errorf("a task of the service: %s %s", *task.LastStatus, *task.StoppedReason)
			}
		}
	})
}

// replacedAt is when a replacement was asked for; -1 for never.
func replacedAt(done events.RunFinished) int64 {
	if at, ok := done.Timings["eventToReplacementRequested"]; ok {
		return at
	}
	return -1
}

// Where nothing else has room, or too few would be left, ECS stops no task of a service: they get their SIGTERM by us, each with
// its own stop timeout before the end.
func TestECSTasksThatCannotMove(t *testing.T) {
	onECS(t, nil, func(t *testing.T, r *ecsRig) {
		r.service("web", r.definition("web", 80*time.Second, 90*time.Second), 2, 100, 100)
		machine := r.one("web")
		task := r.on(machine, "web")[0]
		end := time.Now().Add(2 * time.Minute)
		r.warn(*machine.Ec2InstanceId, "terminate")
		r.settle(5 * time.Minute)
		done := r.finishedOnce()
		if done.Outcome != events.OutcomeDrained || done.Counts["tasksStopped"] != 1 {
			t.Errorf("%+v\n%s", done, r.Told())
		}
		if replacedAt(done) >= 0 {
			t.Error("a group was touched that nobody has tagged")
		}
		wantInTime(t, r, task, end, 90*time.Second)
	})
}

// ECS's draining does not ask whether tasks are protected. If there is time, as with a terminate hook, it is not begun before
// they have ended, or the time is needed.
func TestECSProtectionIsRespectedWhileThereIsTime(t *testing.T) {
	for name, tc := range map[string]struct {
		protection time.Duration
		least      time.Duration // from the hook to the task's SIGTERM
		most       time.Duration
	}{
		"ends early": {5 * time.Minute, 5 * time.Minute, 6 * time.Minute},
		"lasts":      {time.Hour, 12*time.Minute + 45*time.Second, 13*time.Minute + 10*time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			onECS(t, ours, func(t *testing.T, r *ecsRig) {
				r.service("web", r.definition("web", 2*time.Second, 30*time.Second), 2, 0, 200)
				machine := r.one("web")
				task := r.on(machine, "web")[0]
				r.protect(task, tc.protection)
				began := r.hooked(*machine.Ec2InstanceId)
				r.settle(20 * time.Minute)
				done := r.finishedOnce()
				for _, now := range r.tasks() {
					if *now.TaskArn != *task.TaskArn {
						continue
					}
					if now.StoppingAt == nil || now.StoppingAt.Sub(began) < tc.least || now.StoppingAt.Sub(began) > tc.most {
						t.Errorf("the protected task was stopped at %v, %s after the hook", now.StoppingAt, now.StoppingAt.Sub(began))
					}
				}
				if done.Outcome != events.OutcomeDrained {
					t.Errorf("%+v\n%s", done, r.Told())
				}
				time.Sleep(time.Minute)
				if m, _ := r.Cloud.EC2.Instance(*machine.Ec2InstanceId); m.State != "terminated" {
					t.Errorf("the hook was not completed: the machine is %s", m.State)
				}
			})
		})
	}
}

// By choice, nothing is done to a machine with a protected task; and nothing at all unless the policy wants it.
func TestECSRebalance(t *testing.T) {
	for name, tc := range map[string]struct {
		drain, protected bool
		outcome          string
		status           string
	}{
		"ignored":   {false, false, "", "ACTIVE"},
		"drained":   {true, false, events.OutcomeDrained, "DRAINING"},
		"protected": {true, true, events.OutcomeNodeKept, "ACTIVE"},
	} {
		t.Run(name, func(t *testing.T) {
			onECS(t, ours, func(t *testing.T, r *ecsRig) {
				r.policy(tc.drain)
				r.service("web", r.definition("web", 2*time.Second, 30*time.Second), 2, 0, 200)
				machine := r.one("web")
				if tc.protected {
					r.protect(r.on(machine, "web")[0], 4*time.Hour)
				}
				r.aws("aws.ec2", "EC2 Instance Rebalance Recommendation", map[string]string{"instance-id": *machine.Ec2InstanceId})
				r.settle(3 * time.Hour)
				if got := *r.machines()[*machine.Ec2InstanceId].Status; got != tc.status {
					t.Errorf("the machine is %s, want %s\n%s", got, tc.status, r.Told())
				}
				if tc.outcome == "" {
					if len(r.Finished()) > 0 {
						t.Errorf("told: %s", r.Told())
					}
				} else if done := r.finishedOnce(); done.Outcome != tc.outcome || done.Counts["tasksStopped"] > 0 || tc.protected != (len(done.Blocked) == 1) {
					t.Errorf("%+v", done)
				}
			})
		})
	}
}

func TestR1_ECSFourKindsOfEventsAreOneDrain(t *testing.T) {
	onECS(t, ours, func(t *testing.T, r *ecsRig) {
		r.service("web", r.definition("web", 2*time.Second, 30*time.Second), 4, 50, 200)
		r.run(r.definition("job", time.Second, 30*time.Second))
		machine := r.one("job")
		r.Twice = func() bool { return true }
		for range 3 {
			r.aws("aws.ec2", "EC2 Instance Rebalance Recommendation", map[string]string{"instance-id": *machine.Ec2InstanceId})
			r.aws("aws.ec2", "EC2 Spot Instance Interruption Warning", map[string]string{"instance-id": *machine.Ec2InstanceId, "instance-action": "terminate"})
		}
		r.must(r.Cloud.EC2.Interrupt(*machine.Ec2InstanceId, "terminate"))
		for _, state := range []string{"shutting-down", "terminated"} {
			time.AfterFunc(2*time.Minute+time.Second, func() {
				r.aws("aws.ec2", "EC2 Instance State-change Notification", map[string]string{"instance-id": *machine.Ec2InstanceId, "state": state})
			})
		}
		r.RunFor(5 * time.Minute)
		r.settle(5 * time.Minute)
		done := r.finishedOnce()
		stops, drains := r.called("StopTask"), r.called("UpdateContainerInstancesState")
		if done.Outcome != events.OutcomeDrained || stops < 1 || stops > 2 || drains > 4 { // a delivery that comes twice at once may do twice what harms nobody twice
			t.Errorf("%d tasks stopped, %d times drained: %+v\n%s", stops, drains, done, r.Told())
		}
		if g, _ := r.Cloud.AutoScaling.Group(ecsGroup); len(g.Instances) != 2 {
			t.Errorf("the group has %+v", g)
		}
	})
}

func TestR2_ECSANearerEndTightensARunningDrain(t *testing.T) {
	onECS(t, ours, func(t *testing.T, r *ecsRig) {
		r.service("web", r.definition("web", 2*time.Second, 30*time.Second), 2, 0, 200)
		job := r.run(r.definition("job", 5*time.Second, 30*time.Second))
		machine := r.one("job")
		for _, task := range r.on(machine, "web") {
			r.protect(task, time.Hour)
		}
		r.hooked(*machine.Ec2InstanceId)
		r.RunFor(3 * time.Minute)
		if got := *r.machines()[*machine.Ec2InstanceId].Status; got != "ACTIVE" {
			t.Fatalf("drained before it has to be: %s", got)
		}
		end := time.Now().Add(2 * time.Minute)
		r.aws("aws.ec2", "EC2 Spot Instance Interruption Warning", map[string]string{"instance-id": *machine.Ec2InstanceId, "instance-action": "terminate"})
		r.settle(10 * time.Minute)
		if done := r.finishedOnce(); done.Outcome != events.OutcomeDrained || done.FinishedAt.After(end) {
			t.Errorf("%+v\n%s", done, r.Told())
		}
		wantInTime(t, r, job, end, 30*time.Second)
	})
}

// Hibernation begins with its warning: there is no time, and every task is told at once.
func TestR22_ECSHibernation(t *testing.T) {
	onECS(t, ours, func(t *testing.T, r *ecsRig) {
		r.run(r.definition("job", time.Second, 30*time.Second))
		machine := r.one("job")
		r.aws("aws.ec2", "EC2 Spot Instance Interruption Warning", map[string]string{"instance-id": *machine.Ec2InstanceId, "instance-action": "hibernate"})
		r.settle(time.Minute)
		if done := r.finishedOnce(); done.Outcome != events.OutcomePartiallyDrained || done.Counts["tasksStopped"] != 1 || done.Counts["looks"] != 1 {
			t.Errorf("%+v\n%s", done, r.Told())
		}
	})
}

func TestR16_ECSHooksOfOthersAreLeftAlone(t *testing.T) {
	for name, tc := range map[string]struct {
		tags map[string]string
		hook string
	}{
		"ECS's own":     {ours, "ecs-managed-draining-termination-hook"},
		"somebody else": {nil, "drain"},
	} {
		t.Run(name, func(t *testing.T) {
			onECS(t, tc.tags, func(t *testing.T, r *ecsRig) {
				r.run(r.definition("job", time.Second, 30*time.Second))
				machine := r.one("job")
				r.aws("aws.autoscaling", "EC2 Instance-terminate Lifecycle Action", map[string]string{"LifecycleActionToken": "t-1", "AutoScalingGroupName": ecsGroup,
					"LifecycleHookName": tc.hook, "EC2InstanceId": *machine.Ec2InstanceId, "LifecycleTransition": "autoscaling:EC2_INSTANCE_TERMINATING", "Origin": "AutoScalingGroup", "Destination": "EC2"})
				r.settle(time.Minute)
				if r.Script.Writes > 0 || len(r.Finished()) > 0 || *r.machines()[*machine.Ec2InstanceId].Status != "ACTIVE" {
					t.Errorf("%d writes, calls %v", r.Script.Writes, r.Script.Ops)
				}
			})
		})
	}
}
