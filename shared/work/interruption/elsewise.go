package interruption

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/shared/decide/maintenance"
	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/handler"
	"github.com/ekspedite/ekspedite/shared/obs"
)

// Machines reads many machines of a Region at once.
type Machines interface {
	// Machines reads those of some ids that EC2 knows.
	Machines(ctx context.Context, ids []string) ([]fleet.Instance, error)
	// InReservation reads those that run in a Capacity Reservation or Block.
	InReservation(ctx context.Context, reservationID string) ([]fleet.Instance, error)
	// Impaired lists those that fail a status check, Scheduled what EC2 has scheduled for any.
	Impaired(ctx context.Context) ([]fleet.Impairment, error)
	Scheduled(ctx context.Context) ([]fleet.ScheduledEvent, error)
}

// elsewise is the answer to an event that is not about exactly one machine; nil for one that is.
func (w *Work) elsewise(e events.Event) handler.Work {
	switch p := e.Payload.(type) {
	case *events.HealthEvent:
		return func(ctx context.Context, d handler.Delivery) handler.Outcome { return w.health(ctx, d, p) }
	case *events.PlannedDrainDue:
		return func(ctx context.Context, d handler.Delivery) handler.Outcome { return w.planned(ctx, d, p) }
	case *events.InterruptionSweepRequested:
		return w.sweep
	case *events.CapacityBlockExpiration:
		return w.ours(func(ctx context.Context, d handler.Delivery) handler.Outcome { return w.blockEnds(ctx, d, p) })
	case *events.CapacityBlockDelivered, *events.CapacityReservationReclaimed:
		return w.ours(func(ctx context.Context, d handler.Delivery) handler.Outcome {
			// Nobody is told: which cluster launches into a reservation stands in launch templates only. The sweep of the scaling
			// function finds out within a minute what can be launched.
			w.Metrics.Count("CapacityDelivered", 1)
			return w.nothing(ctx, d, "there is more capacity: the scaling function's next look will see")
		})
	case *events.ECSTaskStateChange:
		return w.ours(func(ctx context.Context, d handler.Delivery) handler.Outcome { return w.fargateSpot(ctx, d, p) })
	case *events.FargatePodTermination:
		return w.ours(func(ctx context.Context, d handler.Delivery) handler.Outcome { return w.podEnds(ctx, d, p) })
	case *events.PodTerminationContinuation:
		return func(ctx context.Context, d handler.Delivery) handler.Outcome { return w.podAgain(ctx, d, p) }
	}
	return nil
}

// ours has events of this account and Region answered, and no others.
func (w *Work) ours(answer handler.Work) handler.Work {
	return func(ctx context.Context, d handler.Delivery) handler.Outcome {
		if why := w.foreign(d.Event.Account, d.Event.Region); why != "" {
			return w.nothing(ctx, d, why)
		}
		return answer(ctx, d)
	}
}

// foreign says why an event of an account and Region is not ours, or "". Some events do not name them.
func (w *Work) foreign(account, region string) string {
	if account != "" && w.Account != "" && account != w.Account || region != "" && region != w.Region {
		return fmt.Sprintf("from account %s, Region %s: another fleet's", account, region)
	}
	return ""
}

// insist is an outcome that no number of failures is a reason to give up, for a while after an event.
func (w *Work) insist(o handler.Outcome, until time.Time) handler.Outcome {
	o.Insist = w.Now().Before(until)
	return o
}

// ownedOf are the machines of clusters that still run, in the order of their ids.
func ownedOf(list []fleet.Instance) []fleet.Instance {
	list = slices.DeleteFunc(slices.Clone(list), func(i fleet.Instance) bool { return i.Cluster() == "" || i.Gone() })
	slices.SortFunc(list, func(a, b fleet.Instance) int { return strings.Compare(a.ID, b.ID) })
	return list
}

// blockNotice is how long before the end of a Capacity Block EC2 begins to terminate its instances.
// https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-capacity-blocks.html
const blockNotice = 30 * time.Minute

// blockEnds has the machines of a Capacity Block drained. The event names none of them; it comes ten minutes before they go.
func (w *Work) blockEnds(ctx context.Context, d handler.Delivery, p *events.CapacityBlockExpiration) handler.Outcome {
	if !w.Now().Before(p.EndDate.Time) {
		return w.nothing(ctx, d, "the block has ended")
	}
	until := p.EndDate.Add(-blockNotice)
	list, err := w.Open(w.Region).Machines.InReservation(ctx, p.CapacityReservationID)
	if err != nil {
		return w.insist(handler.Failed(err), until)
	}
	var out handler.Outcome
	for _, i := range ownedOf(list) {
		out.Sends = append(out.Sends, handler.Send{
			ID: fmt.Sprintf("block/%s/%d/%s", p.CapacityReservationID, p.EndDate.Unix(), i.ID),
			Event: &events.MachineSignal{InstanceID: i.ID, Region: w.Region, Cause: events.KindCapacityBlockExpiration, Signal: string(events.ActionTerminate),
				SaidAt: d.Event.Time, Deadline: until, Fate: events.FateExpires},
		})
	}
	if len(out.Sends) == 0 {
		return w.nothing(ctx, d, "no cluster has machines in "+p.CapacityReservationID)
	}
	obs.Log(ctx).Info("a Capacity Block ends", "reservation", p.CapacityReservationID, "machines", len(out.Sends), "until", until)
	return w.insist(out, until)
}

// windows is when maintenance may go on for a cluster, as the upgrade function sees it, too.
func (w *Work) windows(ctx context.Context, id fleet.ClusterID, p fleet.UpgradePolicy) (maintenance.Calendar, error) {
	all, err := w.Ledger.FleetPolicy(ctx)
	if err != nil {
		return maintenance.Calendar{}, err
	}
	freezes, err := w.Ledger.Freezes(ctx)
	if err != nil {
		return maintenance.Calendar{}, err
	}
	return maintenance.Calendar{
		Windows: p.Windows, Blackouts: slices.Concat(p.Blackouts, all.Blackouts),
		Freezes: slices.DeleteFunc(freezes, func(f fleet.Freeze) bool { return !f.Covers(id, p.Ring) }),
	}, nil
}

// elsewhere tells whether an error is that a Region is not this installation's to act in.
func (w *Work) elsewhere(region string, err error) bool {
	return cmp.Or(region, w.Region) != w.Region && fault.Is(err, fault.Denied)
}
