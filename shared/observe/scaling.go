package observe

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"sync"

	"github.com/ekspedite/ekspedite/shared/decide/scaling"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

// Workloads reads one cluster's API server, whole.
type Workloads interface {
	// Capacity lists all nodes with what they have for pods and volumes.
	Capacity(ctx context.Context) ([]fleet.Node, error)
	// Workload lists what runs and what is to run.
	Workload(ctx context.Context) (fleet.Workload, error)
}

// NodeGroups reads the machines of a Region's clusters and how they come and go.
type NodeGroups interface {
	Groups(ctx context.Context, cluster string) ([]scaling.Group, error)
	Instances(ctx context.Context, cluster string) ([]fleet.Instance, error)
}

// Markets reads what machines can be had in a Region. With an error it may give what it knew before, with its age.
type Markets interface {
	Market(ctx context.Context) (fleet.Market, error)
}

// Reclaims reads which spot machines EC2 has taken back in a Region.
type Reclaims interface {
	Reclaims(ctx context.Context, region string) ([]fleet.Reclaim, error)
}

// Scaling reads all that decide/scaling wants to know of one cluster. It is as good from a command line as in a function:
//
//	observe.Scaling{Kubernetes: kubeClient, Groups: awscloud.NewNodeGroups(cfg, time.Now), Market: observe.NewMarket(awscloud.NewMarket(cfg, time.Now), nil, region, time.Now)}
type Scaling struct {
	Kubernetes Workloads
	Groups     NodeGroups
	Market     Markets
	Reclaims   Reclaims // nil: nobody remembers
}

// Parts of an observation, as Observation.Incomplete names them.
const (
	PartNodes     = "nodes"
	PartPods      = "pods"
	PartGroups    = "groups"
	PartInstances = "instances"
	PartMarket    = "market"
	PartReclaims  = "reclaims"
)

// Cluster observes one cluster. All reads run at once, for somebody's pods are waiting. What could not be read is named in
// Incomplete; the error, of the first of nodes, pods, groups and instances that is missing, says that nothing can be decided
// now: without instances the machines of fleets would be ordered again.
func (s Scaling) Cluster(ctx context.Context, id fleet.ClusterID, memory scaling.Memory) (scaling.Observation, error) {
	o := scaling.Observation{Cluster: id, Memory: memory, Incomplete: map[string]string{}}
	var workload fleet.Workload
	parts := []struct {
		name   string
		needed bool
		read   func() error
	}{
		{PartPods, true, func() (err error) { workload, err = s.Kubernetes.Workload(ctx); return err }},
		{PartNodes, true, func() (err error) { o.Nodes, err = s.Kubernetes.Capacity(ctx); return err }},
		{PartGroups, true, func() (err error) { o.Groups, err = s.Groups.Groups(ctx, id.Name); return err }},
		{PartInstances, true, func() (err error) { o.Instances, err = s.Groups.Instances(ctx, id.Name); return err }},
		{PartMarket, false, func() (err error) { o.Market, err = s.Market.Market(ctx); return err }},
		{PartReclaims, false, func() (err error) {
			if s.Reclaims != nil {
				o.Reclaims, err = s.Reclaims.Reclaims(ctx, id.Region)
			}
			return err
		}},
	}
	errs := make([]error, len(parts))
	var wg sync.WaitGroup
	for i, p := range parts {
		wg.Go(func() { errs[i] = p.read() })
	}
	wg.Wait()
	o.Version, o.Pods, o.Daemons, o.Budgets = workload.Version, workload.Pods, workload.Daemons, workload.Budgets
	maps.Copy(o.Incomplete, workload.Incomplete)
	o.Groups = append(o.Groups, fleets(o.Instances)...)
	var first error
	for i, p := range parts {
		if errs[i] == nil {
			continue
		}
		o.Incomplete[p.name] = errs[i].Error()
		if p.needed && first == nil {
			first = fmt.Errorf("cluster %s: reading its %s: %w", id, p.name, errs[i])
		}
	}
	return o, first
}

// fleets are the machines of each pool that were launched without a group, as a group of the pool's name.
func fleets(instances []fleet.Instance) []scaling.Group {
	pools := map[string]*scaling.Group{}
	for _, i := range instances {
		name := i.Tags[fleet.TagPool]
		if name == "" || i.Tags[fleet.TagAutoScalingGroup] != "" || i.Gone() {
			continue
		}
		g := pools[name]
		if g == nil {
			g = &scaling.Group{Name: name, Kind: scaling.Fleet, Pool: name, Max: math.MaxInt32, Spot: true}
			pools[name] = g
		}
		g.Members = append(g.Members, scaling.GroupMember{InstanceID: i.ID, Type: i.Type, Zone: i.Zone, State: memberState(i)})
		g.Desired, g.Spot = len(g.Members), g.Spot && i.Spot
		if !slices.Contains(g.Types, i.Type) {
			g.Types = append(g.Types, i.Type)
		}
		if !slices.Contains(g.Zones, i.Zone) {
			g.Zones = append(g.Zones, i.Zone)
		}
	}
	var out []scaling.Group
	for _, name := range slices.Sorted(maps.Keys(pools)) {
		slices.Sort(pools[name].Types)
		slices.Sort(pools[name].Zones)
		out = append(out, *pools[name])
	}
	return out
}

// memberState is a machine's state in Auto Scaling's words.
func memberState(i fleet.Instance) string {
	switch i.State {
	case "pending":
		return "Pending"
	case "stopping":
		return "Terminating"
	}
	return "InService"
}
