package kube

import (
	"context"
	"sync"

	"github.com/ekspedite/ekspedite/shared/decide/readiness"
	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

// ready reads the parts of an observation that the API server has. Everybody writes fields of his own; what is shared is
// under the lock.
type ready struct {
	*Client
	ctx context.Context
	// from is the API server's own minor: what it serves no more, nobody can be using.
	from fleet.Minor

	mu sync.Mutex
	o  readiness.Observation
	// owners are the controllers of ReplicaSets and Jobs, by kind, namespace and name.
	owners map[[3]string]owner
	// kinds are what the API server serves, read once.
	served func() (discovery, error)
}

type owner struct{ kind, name string }

// readinessParts are the parts that the API server has, but for the nodes, in the order in which they begin: what takes longest
// first.
var readinessParts = []struct {
	part readiness.Part
	read func(*ready) error
}{
	{readiness.PartPods, (*ready).pods},
	{readiness.PartHelm, (*ready).helm},
	{readiness.PartMetrics, (*ready).metrics},
	{readiness.PartWorkloads, (*ready).workloads},
	{readiness.PartDefinitions, (*ready).definitions},
	{readiness.PartObjects, (*ready).objects},
	{readiness.PartBudgets, (*ready).budgets},
	{readiness.PartWebhooks, (*ready).webhooks},
	{readiness.PartServices, (*ready).services},
	{readiness.PartAPIServices, (*ready).apiServices},
	{readiness.PartVolumes, (*ready).volumes},
	{readiness.PartKubeProxy, (*ready).kubeProxy},
	{readiness.PartKarpenter, (*ready).karpenter},
	{readiness.PartBindings, (*ready).bindings},
	{readiness.PartTokens, (*ready).tokens},
	{readiness.PartEndpointObjects, (*ready).endpoints},
}

// readinessAtOnce is how many lists are read in parallel: enough that none waits long, and little enough for a small API server.
const readinessAtOnce = 6

// Readiness reads what the checks before an upgrade want to know of a cluster's API server, but for the nodes. What cannot be
// read is named in Unread, and never a failure. Of secrets, nothing is kept but names, and of Helm's releases what kinds of
// objects are in them.
func (c *Client) Readiness(ctx context.Context) readiness.Observation {
	r := &ready{Client: c, ctx: ctx, owners: map[[3]string]owner{}}
	r.o.Unread, r.o.Access = map[readiness.Part]string{}, readiness.Access{Asked: true}
	r.served = sync.OnceValues(r.discover)
	version, err := c.minor(ctx)
	if err == nil {
		r.from, err = fleet.ParseMinor(version)
	}
	if err != nil {
		r.o.Access.Reached = fault.Is(err, fault.Denied)
		r.o.Access.Why = err.Error()
		for _, p := range readinessParts {
			r.o.Unread[p.part] = err.Error()
		}
		return r.o
	}
	r.o.Access.Reached, r.o.Access.Entry = true, true
	slots := make(chan struct{}, readinessAtOnce)
	var wg sync.WaitGroup
	for _, p := range readinessParts {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			if err := p.read(r); err != nil {
				r.unread(p.part, err)
			}
		})
	}
	wg.Wait()
	r.finishPods()
	return r.o
}

// grants say what it takes to read a part that our own role does not allow, on purpose.
var grants = map[readiness.Part]string{
	readiness.PartHelm:   secretsGrant,
	readiness.PartTokens: secretsGrant,
}

const secretsGrant = "; to have it checked, bind a ClusterRole that may list secrets to the group ekspedite:upgrade"

func (r *ready) unread(p readiness.Part, err error) {
	text := err.Error()
	if fault.Is(err, fault.Denied) {
		text += grants[p]
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.o.Unread[p] = text
}
