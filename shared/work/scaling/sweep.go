package scaling

import (
	"context"
	"encoding/json"
	"sync"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/handler"
	"github.com/ekspedite/ekspedite/shared/obs"
)

// glances is how many clusters a sweep glances at at once: hundreds take seconds, and their API servers are as many.
const glances = 20

// sweep glances at every cluster, and has those looked at where something may be to do. Each look is a message of its own, so
// that a slow cluster holds up no other. It also keeps the markets fresh, so that nobody's pods have to wait for prices.
func (w *Work) sweep(ctx context.Context, d handler.Delivery) handler.Outcome {
	clusters, err := w.Ledger.Clusters(ctx)
	if err != nil {
		return handler.Failed(err)
	}
	var mu sync.Mutex
	regions, looks, blind := map[string]bool{}, 0, 0
	var failed error
	slots := make(chan struct{}, glances)
	var wg sync.WaitGroup
	for _, id := range clusters {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			scaled, due, err := w.glance(ctx, id)
			if err != nil {
				obs.Log(ctx).Warn("could not glance at a cluster: it is looked at in a minute", "cluster", id.String(), "error", err)
			} else if due {
				err = w.send(ctx, d, id)
			}
			mu.Lock()
			defer mu.Unlock()
			switch {
			case due && err != nil: // it was not sent
				failed = err
			case due:
				looks++
			case err != nil:
				blind++
			}
			regions[id.Region] = regions[id.Region] || scaled
		})
	}
	wg.Wait()
	if failed != nil {
		return handler.Failed(failed)
	}
	w.Metrics.Count("SweepGlances", len(clusters))
	w.Metrics.Count("SweepLooks", looks)
	w.Metrics.Count("SweepBlind", blind)
	obs.Log(ctx).Info("sweep", "clusters", len(clusters), "looks", looks, "unreadable", blind)
	for region, scaled := range regions {
		if scaled {
			wg.Go(func() { w.refresh(ctx, region) })
		}
	}
	wg.Wait()
	return handler.Done()
}

// glance tells whether a cluster is scaled, and whether it is to be looked at now: its time has come, or pods wait.
func (w *Work) glance(ctx context.Context, id fleet.ClusterID) (scaled, due bool, err error) {
	policy, err := w.Ledger.Policy(ctx, id)
	if err != nil || policy.Scaling.Mode == fleet.ScalingOff || policy.Scaling.Mode == "" {
		return false, false, err
	}
	known, err := w.Ledger.Scaling(ctx, id)
	if err != nil {
		return true, false, err
	}
	if !w.Now().Before(known.LookAt) || known.Acting {
		return true, true, nil
	}
	client, err := w.Open(id.Region).Kubernetes(ctx, id.Name)
	if fault.Is(err, fault.NotFound) { // it is being made, or gone
		return true, false, nil
	}
	if err != nil {
		return true, false, err
	}
	due, err = client.Pending(ctx)
	return true, due, err
}

func (w *Work) send(ctx context.Context, d handler.Delivery, id fleet.ClusterID) error {
	known, err := w.Ledger.Scaling(ctx, id)
	if err != nil {
		return err
	}
	e, err := events.New(&events.ScalingContinuation{RunID: runID("sweep "+d.Event.ID, id), Cluster: id.Name, Region: id.Region, StartedAt: w.Now(), Attempt: known.Looks},
		w.NewID(), w.Now(), w.Account, w.Region)
	if err != nil {
		return err
	}
	body, err := json.Marshal(e)
	if err != nil {
		return err
	}
	return w.Queue.Continue(ctx, string(body), 0)
}

// refresh reads what is old of a Region's market. Nobody depends on it at this moment.
func (w *Work) refresh(ctx context.Context, region string) {
	if err := w.Open(region).Market.Refresh(ctx); err != nil {
		w.Metrics.Count("MarketUnread", 1)
		obs.Log(ctx).Warn("the market could not be read: what is known of it gets older", "region", region, "error", err)
	}
}
