package observe

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/ekspedite/ekspedite/shared/decide/cluster"
	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

// Resources reads AWS in one Region.
type Resources interface {
	// Read reads what is found by its name. What does not exist is fault.NotFound.
	Read(ctx context.Context, cluster string, ref fleet.Ref) (fleet.Resource, error)
	// Tagged reads all of the kinds that carries the cluster's tag, in the order of their ids.
	Tagged(ctx context.Context, cluster string, kinds []string) ([]fleet.Resource, error)
	// Update reads what became of a change.
	Update(ctx context.Context, cluster string, ref fleet.Ref, id string) (fleet.Update, error)
	Zones(ctx context.Context) ([]fleet.Zone, error)
	// Addon reads what versions EKS has of an add-on for a version of Kubernetes.
	Addon(ctx context.Context, name, kubernetes string) (fleet.AddonOffer, error)
	// Machines reads which instance types offer what a selector asks for, and where.
	Machines(ctx context.Context, s fleet.InstanceSelector) ([]fleet.InstanceType, error)
	// Image reads the id of the newest image by the name of its public parameter; "" if there is none.
	Image(ctx context.Context, parameter string) (string, error)
	Lists
}

// Objects reads a cluster's Kubernetes API. An absent object is fault.NotFound.
type Objects interface {
	Object(ctx context.Context, cluster string, ref fleet.Ref) (fleet.Resource, error)
}

// Clusters reads all that decide/cluster wants to know.
type Clusters struct {
	AWS        Resources
	Kubernetes Objects
	Now        func() time.Time
}

// Hints are what a run knows, which saves reads.
type Hints struct {
	// Waiting is what the run waits for, and nothing else.
	Waiting []string
	// Full asks for everything at once: something is to be made or deleted.
	Full bool
	// Updates are those that have not ended, by resource.
	Updates map[string]fleet.Update
}

// Cluster observes one cluster. EKS is asked first, because its answer saves reads: nothing else is read while waiting
// (say, ten minutes) for nothing but the control plane; and of a cluster that works and is as it should be, only what shows
// that. All other reads run at once. A failed read fails the observation: what could not be seen is not absent. The API
// server alone may be out of reach, which is named in the observation.
func (c Clusters) Cluster(ctx context.Context, s fleet.ClusterSpec, opt cluster.Options, h Hints) (cluster.Observation, error) {
	o := cluster.Observation{Found: map[string][]fleet.Resource{}, Updates: map[string]fleet.Update{}}
	control, err := c.AWS.Read(ctx, s.Name, fleet.Ref{ID: "cluster", Kind: "cluster", Name: s.Name})
	if fault.Ignore(err, fault.NotFound) != nil {
		return o, err
	}
	if err == nil {
		o.Found["cluster"] = []fleet.Resource{control}
		if control.Status == "CREATING" && slices.Equal(h.Waiting, []string{"cluster"}) {
			o.Depth = cluster.OnlyControl
			return o, nil
		}
	}
	if o.Depth = cluster.Full; !h.Full && o.Working() && !cluster.Hidden(h.Waiting, s) {
		o.Depth = cluster.Light
	}
	g := &gather{ctx: ctx}
	c.updates(g, &o, s, h.Updates)
	c.named(g, &o, s, opt, h.Waiting, func(ref fleet.Ref) bool { return cluster.Reads(o.Depth, ref.Kind) })
	c.tagged(g, &o, s, cluster.Kinds(o.Depth, s))
	if err := g.wait(); err != nil {
		return o, err
	}
	if o.Depth == cluster.Full || !cluster.Unsettled(c.Now(), o, s, opt) {
		return o, c.market(ctx, &o, s, opt)
	}
	o.Depth = cluster.Full
	c.named(g, &o, s, opt, h.Waiting, func(ref fleet.Ref) bool { return ref.Glance || !cluster.Reads(cluster.Light, ref.Kind) })
	read := cluster.Kinds(cluster.Light, s)
	c.tagged(g, &o, s, slices.DeleteFunc(slices.Clone(cluster.Kinds(cluster.Full, s)), func(k string) bool { return slices.Contains(read, k) }))
	if err := g.wait(); err != nil {
		return o, err
	}
	return o, c.market(ctx, &o, s, opt)
}

// market asks what versions there are of add-ons, where one has to be chosen, and the same of machines and their images.
func (c Clusters) market(ctx context.Context, o *cluster.Observation, s fleet.ClusterSpec, opt cluster.Options) error {
	g := &gather{ctx: ctx}
	ask := cluster.ToAsk(*o, s, opt)
	for _, selector := range ask.Machines {
		g.read(func(ctx context.Context) error {
			types, err := c.AWS.Machines(ctx, selector)
			g.set(func() { o.Market.Asked, o.Market.Types = true, append(o.Market.Types, types...) })
			return err
		})
	}
	for _, name := range ask.Images {
		g.read(func(ctx context.Context) error {
			id, err := c.AWS.Image(ctx, name)
			g.set(func() {
				if o.Market.Images == nil {
					o.Market.Images = map[string]string{}
				}
				o.Market.Images[name] = id
			})
			return err
		})
	}
	for _, name := range cluster.AddonsToAsk(*o, s) {
		g.read(func(ctx context.Context) error {
			offer, err := c.AWS.Addon(ctx, name, fleet.Text(o.Control().Props, "version"))
			g.set(func() {
				if o.Market.Addons == nil {
					o.Market.Addons = map[string]fleet.AddonOffer{}
				}
				o.Market.Addons[name] = offer
			})
			return err
		})
	}
	return g.wait()
}

// tagged reads what is found by its tag, and the zones while their choice is open.
func (c Clusters) tagged(g *gather, o *cluster.Observation, s fleet.ClusterSpec, kinds []string) {
	g.read(func(ctx context.Context) error {
		list, err := c.AWS.Tagged(ctx, s.Name, kinds)
		g.set(func() {
			for _, r := range list {
				o.Found[r.ID] = append(o.Found[r.ID], r)
			}
		})
		return err
	})
	if o.Control() == nil && len(s.Network.Zones) == 0 && s.Network.VPC == "" {
		g.read(func(ctx context.Context) (err error) {
			zones, err := c.AWS.Zones(ctx)
			g.set(func() { o.Zones = zones })
			return err
		})
	}
}

// named reads the kinds that are found by name. What is in the cluster is only asked for when it can be there.
func (c Clusters) named(g *gather, o *cluster.Observation, s fleet.ClusterSpec, opt cluster.Options, waiting []string, wanted func(fleet.Ref) bool) {
	for _, ref := range cluster.Wanted(s, opt) {
		read := ref
		read.Glance = ref.Glance && o.Depth == cluster.Light && !slices.Contains(waiting, ref.ID)
		switch {
		case ref.Kind == "cluster", !wanted(ref):
		case ref.Kind == "kubernetes":
			if o.Working() {
				g.read(func(ctx context.Context) error {
					have, err := c.Kubernetes.Object(ctx, s.Name, ref)
					g.set(func() {
						switch {
						case err == nil:
							o.Found[ref.ID] = []fleet.Resource{have}
						case !fault.Is(err, fault.NotFound):
							o.Unreachable = err.Error()
						}
					})
					return nil
				})
			}
		case o.Control() == nil && cluster.InCluster(ref.Kind):
		default:
			g.read(func(ctx context.Context) error {
				have, err := c.AWS.Read(ctx, s.Name, read)
				if err == nil {
					g.set(func() { o.Found[ref.ID] = []fleet.Resource{have} })
				}
				return fault.Ignore(err, fault.NotFound)
			})
		}
	}
}

// updates reads what became of changes.
func (c Clusters) updates(g *gather, o *cluster.Observation, s fleet.ClusterSpec, pending map[string]fleet.Update) {
	for id, u := range pending {
		ref := cluster.RefOf(id)
		g.read(func(ctx context.Context) error {
			now, err := c.AWS.Update(ctx, s.Name, ref, u.ID)
			if err == nil {
				now.Begun = u.Begun
				g.set(func() { o.Updates[id] = now })
			}
			return fault.Ignore(err, fault.NotFound) // what it was about is gone
		})
	}
}

// gather runs reads at once and keeps the first error.
type gather struct {
	ctx   context.Context
	wg    sync.WaitGroup
	mu    sync.Mutex
	found []func()
	err   error
}

func (g *gather) read(f func(context.Context) error) {
	g.wg.Go(func() {
		if err := f(g.ctx); err != nil {
			g.set(func() {
				if g.err == nil {
					g.err = err
				}
			})
		}
	})
}

// set puts off what a read has found until all are done: nobody sees a half-finished observation.
func (g *gather) set(f func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.found = append(g.found, f)
}

func (g *gather) wait() error {
	g.wg.Wait()
	for _, f := range g.found {
		f()
	}
	g.found = nil
	return g.err
}
