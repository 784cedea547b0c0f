// Package scaling is the scaling function's work: from a hint that pods wait, or that a minute has gone by, to capacity that
// was asked for. It wires events, observe, decide, apply and the ledger together and decides nothing itself.
//
// A look takes the cluster's lease, reads everything at once, decides, remembers, acts and reports. Two looks at one cluster
// never run at once: what the first orders, the second must see. Most of what there is to do nobody signals: nodes that have
// nothing to do, machines that do not come. That is what the sweep of every minute is for, which costs a cluster that is as it
// should be one call to its API server and two to the ledger.
package scaling

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/shared/apply"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/handler"
	"github.com/ekspedite/ekspedite/shared/ledger"
	"github.com/ekspedite/ekspedite/shared/obs"
	"github.com/ekspedite/ekspedite/shared/observe"
)

// Publisher puts events on ekspedite's bus.
type Publisher interface {
	Publish(ctx context.Context, list ...events.Event) error
}

// Continuer sends to the function's own queue.
type Continuer interface {
	Continue(ctx context.Context, body string, delay time.Duration) error
}

// Kubernetes is one cluster's API server.
type Kubernetes interface {
	observe.Workloads
	// Pending tells whether any pod is without a node, in one small call.
	Pending(ctx context.Context) (bool, error)
}

// Owners knows whose an Auto Scaling group is: "" for no cluster's.
type Owners interface {
	ClusterOf(ctx context.Context, group string) (string, error)
}

// Market gives what machines can be had, and reads anew what is old.
type Market interface {
	observe.Markets
	Refresh(ctx context.Context) error
}

// Reach is a Region, as far as its clusters' nodes are concerned.
type Reach struct {
	// Kubernetes opens a cluster's API server. A cluster that EKS does not know is fault.NotFound.
	Kubernetes func(ctx context.Context, cluster string) (Kubernetes, error)
	Groups     observe.NodeGroups
	Owners     Owners
	Market     Market
	Sizes      apply.GroupSizer
	Makes      apply.GroupMaker
}

// Work has what the function needs.
type Work struct {
	// Open reaches a Region. It is asked again for each look, and keeps what it has opened.
	Open            func(region string) Reach
	Ledger          *ledger.Ledger
	Bus             Publisher
	Queue           Continuer
	Account, Region string // events of others are not ours; "" accepts all
	NewID           func() string
	Now             func() time.Time
	Metrics         *obs.Metrics
}

const function = "scaling"

// Handle is a handler.Work.
func (w *Work) Handle(ctx context.Context, d handler.Delivery) handler.Outcome {
	if e := d.Event; e.Account != "" && w.Account != "" && e.Account != w.Account || e.Region != "" && w.Region != "" && e.Region != w.Region {
		return w.nothing(ctx, fmt.Sprintf("from account %s, Region %s: another fleet's", e.Account, e.Region))
	}
	at := func(region, cluster string) fleet.ClusterID {
		return fleet.ClusterID{Region: cmp.Or(region, w.Region), Name: cluster}
	}
	switch p := d.Event.Payload.(type) {
	case *events.ScalingRequested:
		return w.look(ctx, call{id: at(p.Region, p.Cluster), event: d.Event, seen: p.SeenAt, why: p.Source})
	case *events.ScalingContinuation:
		return w.look(ctx, call{id: at(p.Region, p.Cluster), event: d.Event, seen: p.SeenAt, why: "continuation", continued: p})
	case *events.ScalingSweepRequested:
		return w.sweep(ctx, d)
	case *events.AutoScalingResult:
		return w.launched(ctx, d.Event, p)
	case *events.AlarmStateChange:
		if p.State.Value != events.AlarmRaised || p.Cluster() == "" {
			return w.nothing(ctx, "alarm "+p.AlarmName+" is "+p.State.Value)
		}
		return w.look(ctx, call{id: at("", p.Cluster()), event: d.Event, seen: d.Event.Time, why: "alarm"})
	}
	return w.nothing(ctx, "this function does not act on "+string(d.Event.Kind))
}

// launched looks at a cluster at once when a launch for it has failed: EC2 may have none of the kind, and others will do.
func (w *Work) launched(ctx context.Context, e events.Event, p *events.AutoScalingResult) handler.Outcome {
	if p.StatusCode != "Failed" || !strings.Contains(e.DetailType, "Launch") {
		return w.nothing(ctx, "no launch has failed")
	}
	cluster, err := w.Open(w.Region).Owners.ClusterOf(ctx, p.AutoScalingGroupName)
	if err != nil {
		return handler.Failed(err)
	}
	if cluster == "" {
		return w.nothing(ctx, "Auto Scaling group "+p.AutoScalingGroupName+" is no cluster's")
	}
	return w.look(ctx, call{id: fleet.ClusterID{Region: w.Region, Name: cluster}, event: e, why: "a failed launch"})
}

// nothing acknowledges an event that needs no answer.
func (w *Work) nothing(ctx context.Context, why string) handler.Outcome {
	obs.Log(ctx).Info("nothing to do", "reason", why)
	w.Metrics.Count("EventsIgnored", 1)
	return handler.Done()
}
