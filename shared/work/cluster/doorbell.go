package cluster

import (
	"context"
	"strings"

	"github.com/ekspedite/ekspedite/shared/decide/cluster"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/ledger"
)

// Scaling is the function that plans nodes, as this one knows it.
type Scaling struct {
	// Role gets into the clusters whose policy asks for it: an ARN.
	Role string
	// URL is where such a cluster rings when pods find no node, Function the ARN of the function behind it.
	URL, Function string
}

// scaling is what decisions about a cluster have to know of it. keys reads what makes the path of the cluster's own, and is
// asked only where there is to be one.
func (w *Work) scaling(ctx context.Context, id fleet.ClusterID, policy fleet.ScalingPolicy, before ledger.ClusterRun,
	keys func(context.Context) (ledger.DoorbellKeys, error)) (cluster.Scaling, error) {
	s := cluster.Scaling{ScalingPolicy: policy, Role: w.Scaling.Role, Had: before.Scaled}
	if id.Region == w.Region {
		s.Function = w.Scaling.Function
	}
	if !s.On() || policy.Doorbell != fleet.DoorbellWebhook {
		return s, nil
	}
	k, err := keys(ctx)
	if err != nil {
		return s, err
	}
	s.Bell = strings.TrimSuffix(w.Scaling.URL, "/") + k.Path(id)
	return s, nil
}

// scale readies the look for the cluster's scaling policy. That there is one is remembered before anything is made for it: who
// is killed in between leaves something behind that must be looked for when the policy changes.
func (v *visit) scale(ctx context.Context) (err error) {
	if v.opt.Scaling, err = v.scaling(ctx, v.id, v.desired.Policy.Scaling, v.run, v.Ledger.FreshDoorbellKeys); err != nil {
		return err
	}
	if !v.opt.Scaling.On() || v.run.Scaled {
		return nil
	}
	v.run.Scaled = true
	return v.save(ctx)
}
