// Package upgrade is the upgrade function's work: from somebody's wish, or from a date that draws near, one look at a time, to
// a cluster at another version. It wires events, observe, decide, apply and the ledger together and decides nothing itself.
//
// A look takes the cluster's lease, which it shares with the cluster function: a cluster has one writer. It observes, decides,
// remembers what it is about to ask for, asks, remembers the answers, and looks again later. Each call has a token that follows
// from the run and the step, so that a look that died anywhere is made again without harm. Commands come in without the
// lease: a halt that was accepted stops the look that is under way before its next call.
package upgrade

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/shared/apply"
	"github.com/ekspedite/ekspedite/shared/decide/nodemove"
	"github.com/ekspedite/ekspedite/shared/decide/readiness"
	"github.com/ekspedite/ekspedite/shared/decide/upgrade"
	"github.com/ekspedite/ekspedite/shared/decide/upgradepath"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/handler"
	"github.com/ekspedite/ekspedite/shared/ledger"
	"github.com/ekspedite/ekspedite/shared/obs"
	"github.com/ekspedite/ekspedite/shared/spec"
)

// Publisher puts events on ekspedite's bus.
type Publisher interface {
	Publish(ctx context.Context, list ...events.Event) error
}

// Continuer sends to the function's own queue.
type Continuer interface {
	Continue(ctx context.Context, body string, delay time.Duration) error
}

// Reach is a Region, as far as its clusters' versions are concerned.
type Reach struct {
	// Cluster observes one cluster, with what there is for these minors. A cluster that EKS does not know is fault.NotFound.
	Cluster func(ctx context.Context, id fleet.ClusterID, minors ...fleet.Minor) (upgradepath.Observation, error)
	// Update reads what became of an update of a cluster, or of the node group or add-on that the reference names.
	Update func(ctx context.Context, cluster string, ref fleet.Ref, id string) (fleet.Update, error)
	// Refresh has EKS compute its insights anew.
	Refresh func(ctx context.Context, cluster string) error
	// Readiness is what comes of the readiness checks, for going to a version.
	Readiness func(ctx context.Context, o upgradepath.Observation, to fleet.Minor, p fleet.UpgradePolicy) (readiness.Report, error)
	// Health reads how the cluster is; what cannot be read is said in it. Alarms are those of the policy.
	Health func(ctx context.Context, cluster string, alarms []string) upgrade.Health
	// Move reads what a move of nodes that is not EKS's own is decided from; the drains are in the ledger.
	Move  func(ctx context.Context, o upgradepath.Observation, step upgradepath.Step) (nodemove.Input, error)
	Apply apply.Do
}

// Work has what the function needs.
type Work struct {
	// Open reaches a Region. It is asked again for each look, and keeps what it has opened.
	Open            func(region string) Reach
	Ledger          *ledger.Ledger
	Bus             Publisher
	Queue           Continuer
	Rollouts        Rollouts
	Account, Region string // events of others are not ours; "" accepts all
	NewID           func() string
	Now             func() time.Time
	Metrics         *obs.Metrics
}

const function = "upgrade"

// Handle is a handler.Work.
func (w *Work) Handle(ctx context.Context, d handler.Delivery) handler.Outcome {
	e := d.Event
	if p, ok := e.Payload.(*events.HealthEvent); ok { // it comes in a backup Region, too, and says itself whose it is
		return w.health(ctx, p)
	}
	if e.Account != "" && w.Account != "" && e.Account != w.Account || e.Region != "" && w.Region != "" && e.Region != w.Region {
		return w.nothing(ctx, fmt.Sprintf("from account %s, Region %s: another fleet's", e.Account, e.Region))
	}
	switch p := e.Payload.(type) {
	case *events.UpgradeRequested:
		return w.request(ctx, e, p)
	case *events.UpgradeControlRequested:
		return w.control(ctx, e, p)
	case *events.UpgradeSweepRequested:
		return w.sweep(ctx, d)
	case *events.UpgradeContinuation:
		return w.look(ctx, *p)
	case *events.AddonEvent:
		return w.addon(ctx, p)
	case *events.RolloutRequested, *events.RolloutContinuation:
		return w.fleet(ctx, d)
	}
	return w.nothing(ctx, "this function does not act on "+string(e.Kind))
}

// nothing acknowledges an event that needs no answer.
func (w *Work) nothing(ctx context.Context, why string) handler.Outcome {
	obs.Log(ctx).Info("nothing to do", "reason", why)
	w.Metrics.Count("EventsIgnored", 1)
	return handler.Done()
}

func (w *Work) id(region, cluster string) fleet.ClusterID {
	return fleet.ClusterID{Region: cmp.Or(region, w.Region), Name: cluster}
}

// RunID is the run of a request for a cluster: whoever has sent the request can tell which run to follow.
func RunID(request string, cluster fleet.ClusterID) string {
	return ledger.RunID("upgrade "+request, cluster)
}

// send puts one of the function's own events on its queue.
func (w *Work) send(ctx context.Context, next events.OwnPayload, delay time.Duration) error {
	e, err := events.New(next, w.NewID(), w.Now(), w.Account, w.Region)
	if err != nil {
		return err
	}
	body, err := json.Marshal(e)
	if err != nil {
		return err
	}
	return w.Queue.Continue(ctx, string(body), delay)
}

// report makes one of ekspedite's own events. What cannot be made an event is only logged.
func (w *Work) report(ctx context.Context, list []events.Event, p events.OwnPayload) []events.Event {
	e, err := events.New(p, w.NewID(), w.Now(), w.Account, w.Region)
	if err != nil {
		obs.Log(ctx).Error("could not report", "error", err)
		return list
	}
	return append(list, e)
}

// publish sends reports. They stand in nobody's way: a failure is logged.
func (w *Work) publish(ctx context.Context, list []events.Event) {
	if len(list) == 0 {
		return
	}
	if err := w.Bus.Publish(ctx, list...); err != nil {
		obs.Log(ctx).Warn("could not publish", "error", err)
	}
}

func subject(id fleet.ClusterID) events.Subject {
	return events.Subject{Cluster: id.Name, Region: id.Region}
}

// policy is what the owner of a cluster has decided about upgrades. What was stored before there were upgrades has nothing of it.
func (w *Work) policy(ctx context.Context, id fleet.ClusterID) (fleet.UpgradePolicy, error) {
	d, err := w.Ledger.Desired(ctx, id)
	return policyOf(d), err
}

func policyOf(d ledger.Desired) fleet.UpgradePolicy {
	p := d.Policy.Upgrade
	if d.RequestID == "" || p.Mode == "" {
		p = fleet.DefaultUpgradePolicy()
	}
	if d.Delete { // nobody needs it to be new any more
		p.Mode = fleet.UpgradeOff
	}
	return p
}

// wishes is the policy with what the cluster's file says beside it: a version that it names of an add-on is a pin, since the
// cluster function brings the add-on back to it.
func (w *Work) wishes(ctx context.Context, id fleet.ClusterID) (fleet.UpgradePolicy, error) {
	d, err := w.Ledger.Desired(ctx, id)
	if err != nil {
		return fleet.UpgradePolicy{}, err
	}
	p := policyOf(d)
	specs, _ := spec.Parse([]byte(d.Text)) // what is wrong with it now was right when it was stored
	for _, s := range specs {
		for _, a := range s.Cluster.Addons {
			if _, pinned := p.Addons.Pins[a.Name]; pinned || s.Cluster.Name != id.Name || !strings.Contains(a.Version, "-eksbuild.") {
				continue // latest, the beginning of one, or none
			}
			p.Addons.Pins = maps.Clone(p.Addons.Pins)
			if p.Addons.Pins == nil {
				p.Addons.Pins = map[string]string{}
			}
			p.Addons.Pins[a.Name] = a.Version
		}
	}
	return p, nil
}
