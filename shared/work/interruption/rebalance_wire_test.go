package interruption_test

import (
	"context"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/shared/awscloud"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

// memberOf is a machine of a group that is in service.
func (r *fleetRig) memberOf(id fleet.ClusterID, group string) string {
	r.T.Helper()
	list, err := awscloud.NewNodeGroups(awscloud.InRegion(r.Config(r.Cloud), id.Region), time.Now).Groups(context.Background(), id.Name)
	if err != nil {
		r.T.Fatal(err)
	}
	for _, g := range list {
		for _, m := range g.Members {
			if g.Name == group && m.State == "InService" {
				return m.InstanceID
			}
		}
	}
	r.T.Fatalf("no machine of group %s of %s", group, id)
	return ""
}

// TestReplaceThenDrainOverTheWire: on a recommendation the group launches another machine first, with the role's own permissions; then
// the old one, which is in no group any more, is drained and ended.
func TestReplaceThenDrainOverTheWire(t *testing.T) {
	inRegions(t, away, func(t *testing.T, r *fleetRig) {
		r.Change(near, func(p *fleet.Policy) { p.Interruption.Rebalance = fleet.RebalanceReplaceThenDrain })
		for _, group := range []string{"base", "own"} {
			before, old := r.shape(near)[group], r.memberOf(near, group)
			r.Queue.Send(event("aws.ec2", "EC2 Instance Rebalance Recommendation", "r-"+group, map[string]string{"instance-id": old}), 0)
			r.RunUntil(func() bool { return len(r.drains()[old]) > 0 }, time.Now().Add(3*time.Hour))
			r.settle()
			if done := r.drains()[old]; len(done) != 1 || done[0].Outcome != events.OutcomeNodeRemoved || done[0].Counts["podsEvicted"] != 1 || !r.gone(old) {
				t.Errorf("%s of %s: %+v, ended %t; dead letters %v", old, group, done, r.gone(old), r.Queue.Dead())
			}
			if now := r.shape(near)[group]; now != before {
				t.Errorf("group %s wants %d machines, it wanted %d", group, now, before)
			}
		}
		used := map[string]int{}
		for _, g := range r.Granted(r.role) {
			used[g.Sid+" "+g.Action] += g.Calls
		}
		if used["EndReplacedNodes ec2:TerminateInstances"] == 0 {
			t.Error("the machines were ended by another grant than the one that is for that")
		}
		for _, d := range r.Denied(r.role) {
			t.Error(d)
		}
	})
}
