package interruption_test

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/infra/local/ec2"
	"github.com/ekspedite/ekspedite/internal/cloudtest"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

// These tests run against the embedded cloud in memory: the real SDK, the role's own permissions, EC2's own state; see fleetRig.

// healthTime is how AWS Health writes times.
const healthTime = "Mon, 02 Jan 2006 15:04:05 GMT"

// entity is a machine in a Health event.
type entity struct{ id, status string }

// healthEvent is a Health event about machines, scheduled in two weeks unless it is edited.
func healthEvent(id string, entities []entity, edit func(map[string]any)) string {
	list := []any{}
	for _, e := range entities {
		list = append(list, map[string]string{"entityValue": e.id, "status": e.status})
	}
	d := map[string]any{
		"eventArn": "arn:aws:health:us-east-1::event/EC2/X/X_1", "service": "EC2", "eventTypeCode": "AWS_EC2_INSTANCE_REBOOT_MAINTENANCE_SCHEDULED",
		"eventTypeCategory": "scheduledChange", "communicationId": "c-1", "startTime": time.Now().Add(14 * 24 * time.Hour).UTC().Format(healthTime),
		"lastUpdatedTime": time.Now().UTC().Format(healthTime), "statusCode": "upcoming", "eventRegion": region, "affectedEntities": list,
		"affectedAccount": account, "page": "1", "totalPages": "1",
	}
	if edit != nil {
		edit(d)
	}
	return event("aws.health", "AWS Health Event", id, d)
}

// impairedNow makes a Health event one of machines whose hosts fail.
func impairedNow(d map[string]any) {
	d["eventTypeCode"], d["eventTypeCategory"], d["statusCode"] = "AWS_EC2_SYSTEM_IMPAIRED", "issue", "open"
	d["startTime"] = time.Now().UTC().Format(healthTime)
}

// machinesOf are a cluster's nodes' machines, in order.
func (r *fleetRig) machinesOf(id fleet.ClusterID) (out []string) {
	for _, n := range r.nodesOf(r.planes.Of(id.Name)) {
		out = append(out, n.ProviderID[strings.LastIndexByte(n.ProviderID, '/')+1:])
	}
	slices.Sort(out)
	return out
}

// gone tells whether EC2 has ended a machine.
func (r *fleetRig) gone(id string) bool {
	for _, regional := range []string{cloudtest.Region, away} {
		in, err := r.Cloud.In(regional)
		if err != nil {
			r.T.Fatal(err)
		}
		if i, ok := in.EC2.Instance(id); ok {
			return i.State == "shutting-down" || i.State == "terminated"
		}
	}
	return true
}

// settle delivers until the queue is empty.
func (r *fleetRig) settle() {
	r.T.Helper()
	if !r.RunUntil(func() bool { return r.Queue.Len() == 0 }, time.Now().Add(time.Hour)) {
		r.T.Errorf("still in the queue after an hour: %v", r.Queue.Bodies())
	}
}

// drains are the results about machines, by machine.
func (r *fleetRig) drains() map[string][]events.RunFinished {
	out := map[string][]events.RunFinished{}
	for _, f := range r.Finished() {
		if f.Subject.InstanceID != "" {
			out[f.Subject.InstanceID] = append(out[f.Subject.InstanceID], f)
		}
	}
	return out
}

// wantEnded checks that exactly these machines were drained once each, and ended, and nobody else was.
func (r *fleetRig) wantEnded(cause string, outcome string, ids ...string) {
	r.T.Helper()
	drains := r.drains()
	for id, list := range drains {
		if !slices.Contains(ids, id) {
			r.T.Errorf("%s was drained: %+v", id, list)
		}
	}
	for _, id := range ids {
		runs := map[string]bool{}
		for _, f := range drains[id] {
			runs[f.RunID] = true
			if f.Outcome != outcome || f.Counts["podsEvicted"] != 1 || !strings.Contains(f.Reason, cause) {
				r.T.Errorf("%s: %+v", id, f)
			}
		}
		if len(runs) != 1 || !r.gone(id) {
			r.T.Errorf("%s: %d drains; ended %t", id, len(runs), r.gone(id))
		}
	}
	if dead := r.Queue.Dead(); len(dead) > 0 {
		r.T.Errorf("dead letters %v", dead)
	}
	for _, d := range r.Denied(r.role) {
		r.T.Error(d)
	}
}

// stray is a machine of nobody's, beside one of ours.
func (r *fleetRig) stray() string {
	r.T.Helper()
	beside, ok := r.Cloud.EC2.Instance(r.machinesOf(near)[0])
	if !ok {
		r.T.Fatal("no machine")
	}
	list, err := r.Cloud.EC2.Run(ec2.RunSpec{Type: "m5.large", SubnetID: beside.SubnetID})
	if err != nil {
		r.T.Fatal(err)
	}
	r.RunFor(time.Minute) // it runs
	return list[0].ID
}

// calls is how often the function has made a call.
func (r *fleetRig) calls(op string) (n int) {
	for _, o := range r.Script.Ops {
		if o == op {
			n++
		}
	}
	return n
}

// windowIn gives a cluster an hour of maintenance a day, which begins after a while, and a lead of an hour.
func (r *fleetRig) windowIn(id fleet.ClusterID, in time.Duration, action fleet.ScheduledAction) {
	r.T.Helper()
	at := time.Now().UTC().Add(in)
	cron, err := fleet.ParseCron(fmt.Sprintf("%d %d * * *", at.Minute(), at.Hour()))
	if err != nil {
		r.T.Fatal(err)
	}
	r.Change(id, func(p *fleet.Policy) {
		p.Interruption.Health = fleet.HealthEventPolicy{Scheduled: action, Lead: time.Hour}
		p.Upgrade.Windows = []fleet.MaintenanceWindow{{Name: "daily", Recurrence: fleet.Recurrence{Cron: cron}, For: time.Hour}}
	})
}
