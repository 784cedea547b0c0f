// Package cluster is the cluster function's work: from somebody's wish, one look at a time, to a cluster that is what its
// spec says. It wires events, spec, observe, decide, apply and the ledger together and decides nothing itself.
//
// A look takes the cluster's lease, observes, decides, applies what can be done now, and looks again as long as it changes
// something. Then it leaves a continuation for later: nobody pays for waiting. What it remembers between looks, in the
// ledger, only saves work and time; what is to be done follows from what is there.
package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"time"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/shared/apply"
	"github.com/ekspedite/ekspedite/shared/decide/preflight"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/handler"
	"github.com/ekspedite/ekspedite/shared/ledger"
	"github.com/ekspedite/ekspedite/shared/obs"
	"github.com/ekspedite/ekspedite/shared/observe"
	"github.com/ekspedite/ekspedite/shared/plan"
)

// Publisher puts events on ekspedite's bus.
type Publisher interface {
	Publish(ctx context.Context, list ...events.Event) error
}

// Continuer sends to the function's own queue.
type Continuer interface {
	Continue(ctx context.Context, body string, delay time.Duration) error
}

// Files reads a version of a file.
type Files interface {
	Read(ctx context.Context, bucket, key, version string) ([]byte, error)
}

// Work has what the function needs.
type Work struct {
	// Open reaches a Region's AWS and the Kubernetes APIs of its clusters. It is asked again for each look.
	Open   func(region string) Reach
	Ledger *ledger.Ledger
	Bus    Publisher
	Queue  Continuer
	// Files are where specs are put for this function to read.
	Files Files
	// InterruptionRole gets into every cluster to drain nodes, UpgradeRole to look before and while it is upgraded ("" for nobody);
	// Role is this function's own: ARNs.
	InterruptionRole, UpgradeRole, Role string
	// Scaling is who plans nodes, and how clusters ring; without a role nobody does.
	Scaling Scaling
	// Boundary is the permissions boundary of every role that a spec names none for.
	Boundary        string
	Account, Region string // events of others are not ours; "" accepts all
	NewID           func() string
	Now             func() time.Time
	Metrics         *obs.Metrics
}

// Reach is a Region, as far as its clusters are concerned.
type Reach struct {
	Observe observe.Clusters
	Apply   apply.Do
	// Preflight looks whether a plan can work. Nil: nobody looks.
	Preflight func(ctx context.Context, s fleet.ClusterSpec, p plan.Plan) []preflight.Finding
}

const function = "cluster"

// Handle is a handler.Work.
func (w *Work) Handle(ctx context.Context, d handler.Delivery) handler.Outcome {
	if e := d.Event; e.Account != "" && w.Account != "" && e.Account != w.Account || e.Region != "" && w.Region != "" && e.Region != w.Region {
		return w.nothing(ctx, fmt.Sprintf("from account %s, Region %s: another fleet's", e.Account, e.Region))
	}
	switch p := d.Event.Payload.(type) {
	case *events.ClusterApplyRequested:
		return w.request(ctx, d, p)
	case *events.ClusterDeleteRequested:
		return w.requestDelete(ctx, d, p)
	case *events.SpecFileCreated:
		return w.file(ctx, d, p)
	case *events.ClusterContinuation:
		return w.look(ctx, *p)
	case *events.ClusterSweepRequested:
		return w.sweep(ctx, d)
	}
	return w.nothing(ctx, "this function does not act on "+string(d.Event.Kind))
}

// nothing acknowledges an event that needs no answer.
func (w *Work) nothing(ctx context.Context, why string) handler.Outcome {
	obs.Log(ctx).Info("nothing to do", "reason", why)
	w.Metrics.Count("EventsIgnored", 1)
	return handler.Done()
}

// runID of the same wish for the same cluster is the same, however often it is delivered.
func runID(wish string, cluster fleet.ClusterID) string {
	return ledger.RunID(wish, cluster)
}

// spread is over how long the looks of a sweep are spread, so that a fleet of hundreds does not call AWS all at once.
const spread = time.Minute

// sweep asks for a look at every cluster.
func (w *Work) sweep(ctx context.Context, d handler.Delivery) handler.Outcome {
	clusters, err := w.Ledger.Clusters(ctx)
	if err != nil {
		return handler.Failed(err)
	}
	for _, id := range clusters {
		h := fnv.New32a()
		h.Write([]byte(id.String())) //nolint:errcheck // a hash takes all
		delay := time.Duration(h.Sum32()%uint32(spread/time.Second)) * time.Second
		if len(clusters) == 1 {
			delay = 0
		}
		next := &events.ClusterContinuation{RunID: runID("sweep "+d.Event.ID, id), Cluster: id.Name, Region: id.Region, StartedAt: w.Now()}
		if err := w.send(ctx, next, delay); err != nil {
			return handler.Failed(err)
		}
	}
	obs.Log(ctx).Info("sweep", "clusters", len(clusters))
	return handler.Done()
}

// send puts a continuation on the function's own queue.
func (w *Work) send(ctx context.Context, next *events.ClusterContinuation, delay time.Duration) error {
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
