package scaling

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/internal/cloudtest"
	"github.com/ekspedite/ekspedite/shared/awscloud"
	"github.com/ekspedite/ekspedite/shared/decide/scaling"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

// joins is how long after its launch a machine is a node.
const joins = 20 * time.Second

// kubernetes is the cluster's API server, its nodes' kubelets and its scheduler: nodes are what machines there are, and pods
// go to the first one with room.
type kubernetes struct {
	rig  *rig
	mu   sync.Mutex
	pods []fleet.Pod
}

func newKubernetes(r *rig) *kubernetes { return &kubernetes{rig: r} }

// add makes pods that want so much of a core.
func (k *kubernetes) add(n int, cpu int64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	demand := &fleet.Demand{Requests: fleet.Resources{CPU: cpu, Memory: 256 << 20}}
	for range n {
		name := fmt.Sprintf("web-%d", len(k.pods))
		k.pods = append(k.pods, fleet.Pod{Namespace: "ns", Name: name, UID: name, Phase: "Pending", Owner: fleet.Owner{Kind: "ReplicaSet", Name: "web"}, Demand: demand, Created: time.Now()})
	}
}

// remove ends all pods.
func (k *kubernetes) remove() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.pods = nil
}

// waiting is how many pods have no node.
func (k *kubernetes) waiting() (n int) {
	k.nodes()
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, p := range k.pods {
		if p.Node == "" {
			n++
		}
	}
	return n
}

// nodes are the machines that have joined. Pods are placed on them.
func (k *kubernetes) nodes() (out []fleet.Node) {
	machines, err := awscloud.NewNodeGroups(k.rig.Config(k.rig.Cloud), time.Now).Instances(context.Background(), demo.Name)
	if err != nil {
		k.rig.T.Fatal(err)
	}
	for _, m := range machines {
		if m.State != "running" || time.Since(m.Launched) < joins {
			continue
		}
		out = append(out, fleet.Node{
			Name: m.ID + ".local", UID: "uid-" + m.ID, ProviderID: "aws:///" + m.Zone + "/" + m.ID, Ready: true, Created: m.Launched.Add(joins),
			Labels: map[string]string{
				fleet.LabelZone: m.Zone, fleet.LabelRegion: region, fleet.LabelArch: "amd64", fleet.LabelOS: "linux", fleet.LabelHostname: m.ID + ".local",
				fleet.LabelInstanceType: m.Type, fleet.LabelEKSNodegroup: m.Tags[fleet.TagEKSNodegroup], fleet.LabelEKSCapacity: fleet.OnDemand,
			},
			Allocatable: fleet.Resources{CPU: 1930, Memory: 7 << 30, Storage: 18 << 30}, MaxPods: 29,
		})
	}
	slices.SortFunc(out, func(a, b fleet.Node) int { return strings.Compare(a.Name, b.Name) })
	k.mu.Lock()
	defer k.mu.Unlock()
	used := map[string]int64{}
	there := map[string]bool{}
	for _, n := range out {
		there[n.Name] = true
	}
	for i := range k.pods {
		p := &k.pods[i]
		if p.Node != "" && !there[p.Node] {
			p.Node, p.Phase = "", "Pending"
		}
		used[p.Node] += p.Demand.Requests.CPU
	}
	for i := range k.pods {
		for _, n := range out {
			if p := &k.pods[i]; p.Node == "" && used[n.Name]+p.Demand.Requests.CPU <= n.Allocatable.CPU {
				p.Node, p.Phase = n.Name, "Running"
				used[n.Name] += p.Demand.Requests.CPU
			}
		}
	}
	return out
}

// removed is the interruption function: it ends the machine of a node whose removal is asked for.
func (r *rig) removed(p *events.NodeRemovalRequested) {
	c := awscloud.NewCompute(r.Config(r.Cloud))
	g, err := c.ScalingGroup(context.Background(), p.InstanceID)
	if err == nil && g.Name != "" {
		err = c.EndInstance(context.Background(), g.Name, p.InstanceID, p.Replace)
	}
	if err != nil {
		r.T.Errorf("removal of %s: %v", p.Node, err)
	}
}

// inside is the API server, as one invocation reaches it.
type inside struct {
	s    *cloudtest.Session
	kube *kubernetes
}

func (i inside) Pending(ctx context.Context) (bool, error) {
	return cloudtest.Read(ctx, i.s, "kube.Pending", func() (bool, error) { return i.kube.waiting() > 0, nil })
}

func (i inside) Capacity(ctx context.Context) ([]fleet.Node, error) {
	return cloudtest.Read(ctx, i.s, "kube.Capacity", func() ([]fleet.Node, error) { return i.kube.nodes(), nil })
}

func (i inside) Workload(ctx context.Context) (fleet.Workload, error) {
	return cloudtest.Read(ctx, i.s, "kube.Workload", func() (fleet.Workload, error) {
		i.kube.nodes()
		i.kube.mu.Lock()
		defer i.kube.mu.Unlock()
		return fleet.Workload{Version: "1.36", Pods: slices.Clone(i.kube.pods)}, nil
	})
}

// nothing is a Region without groups.
type nothing struct{}

func (nothing) Groups(context.Context, string) ([]scaling.Group, error)     { return nil, nil }
func (nothing) Instances(context.Context, string) ([]fleet.Instance, error) { return nil, nil }
