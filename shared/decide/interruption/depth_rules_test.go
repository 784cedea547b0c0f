package interruption_test

import (
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/shared/decide/interruption"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/plan"
)

// depth adds to a random observation what deep drains look at.
func (r worlds) depth(o interruption.Observation, pol fleet.InterruptionPolicy) (interruption.Observation, fleet.InterruptionPolicy) {
	for i := range o.Pods {
		p := &o.Pods[i]
		if r.yes(10) {
			p.Owner = fleet.Owner{}
		}
		if r.yes(10) {
			p.Owner = fleet.Owner{Kind: "Job", Name: "j"}
		}
		if r.yes(20) {
			p.Claims = []string{"data"}
		}
		if p.Deleting {
			p.GoneBy = began.Add(time.Duration(r.IntN(240)-120) * time.Second) // some of them are stuck
		}
	}
	if r.yes(20) {
		o.HadVolumes = true
		o.Attached = []string{"pv-1"}[:r.IntN(2)]
	}
	if r.yes(20) && o.Signal.Removal == nil {
		o.DetachedFrom = "eks-spot"
		o.Replacement, o.ReadyThere = fleet.GroupState{Name: "eks-spot", Desired: r.IntN(3)}, r.IntN(3)
		if r.yes(50) {
			o.Group = fleet.ScalingGroup{}
		}
	}
	if r.yes(10) && o.Signal.Involuntary && !o.Signal.Launching {
		o.Signal.Deadline = o.Signal.Deadline.Add(24 * time.Hour)
	}
	pol.OutOfService = r.yes(20)
	if r.yes(50) {
		pol.LongGrace, pol.BarePods, pol.Jobs = fleet.GraceFull, fleet.BarePodsEvict, fleet.JobPodsEvict
	}
	pol.RebalancePatience = time.Duration(1+r.IntN(3)) * time.Minute
	return o, pol
}

// checkDepth is what must be true of all decisions about machines that may go, volumes, and pods that nobody makes anew.
func checkDepth(t *testing.T, now time.Time, o interruption.Observation, pol fleet.InterruptionPolicy, p plan.Plan) {
	t.Helper()
	s := o.Signal
	recommended := s.Cause == "RebalanceRecommendation" && !s.Involuntary && s.Removal == nil
	owner := map[string]string{}
	for _, pod := range o.Pods {
		owner[pod.UID] = pod.Owner.Kind
	}
	for _, a := range actions(p) {
		switch a := a.(type) {
		case plan.EvictPod:
			if owner[a.UID] == "" && pol.BarePods == fleet.BarePodsKeep && s.Removal == nil && (!s.Involuntary || s.Deadline.Sub(now) > 20*time.Minute) {
				t.Errorf("%s: nobody makes it anew, and there is time", a)
			}
		case plan.OutOfService:
			if !pol.OutOfService || o.Instance.State != "terminated" && o.Instance.State != "stopped" {
				t.Errorf("%s", a)
			}
		case plan.ReplaceInstance:
			if a.First && (!recommended || o.DetachedFrom == "" && pol.Rebalance != fleet.RebalanceReplaceThenDrain || o.Group.LifecycleState != "InService" || o.Ended) {
				t.Errorf("%s", a)
			}
		case plan.TerminateInstance:
			if recommended && o.DetachedFrom == "" {
				t.Errorf("%s: it may stay", a)
			}
			if recommended {
				for _, pod := range o.Pods {
					if !pod.Mirror && pod.Owner.Kind != "DaemonSet" && !pod.Finished() && len(pod.Tolerations) == 0 && !pod.Deleting {
						t.Errorf("%s: %s is on it", a, pod.ID())
					}
				}
			}
		case plan.UncordonNode:
			if s.Involuntary {
				t.Errorf("%s: the machine goes", a)
			}
		}
	}
	if recommended && o.DetachedFrom == "" && o.Node != nil && p.Outcome == "" && !now.Before(s.EventTime.Add(pol.RebalancePatience+11*time.Minute)) {
		t.Error("goes on after its patience")
	}
}
