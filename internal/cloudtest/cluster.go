package cloudtest

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/infra/local/eks"
	"github.com/ekspedite/ekspedite/shared/apply"
	"github.com/ekspedite/ekspedite/shared/awscloud"
	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/handler"
	"github.com/ekspedite/ekspedite/shared/observe"
	"github.com/ekspedite/ekspedite/shared/work/cluster"
)

// Build has the cluster function make a file's clusters, undisturbed.
func (r *Rig) Build(file string) {
	r.T.Helper()
	there := &Objects{}
	work, queue, script, function := r.Work, r.Queue, r.Script, r.Function
	r.Queue, r.Script, r.Function = &Queue{}, &Script{}, "cluster"
	r.Work = func(s *Session) handler.Work {
		w := &cluster.Work{
			Open: func(region string) cluster.Reach {
				at := awscloud.NewRegion(awscloud.InRegion(r.Config(r.Cloud), region))
				return cluster.Reach{Observe: observe.Clusters{AWS: at, Kubernetes: there, Now: time.Now}, Apply: apply.ClusterWriter{AWS: at, Kubernetes: there}.Do}
			},
			Ledger: r.Ledger(), Bus: nobody{}, Queue: s, InterruptionRole: "arn:aws:iam::123456789012:role/drain", Role: "arn:aws:iam::123456789012:role/self",
			Account: Account, Region: r.Home, NewID: r.ID, Now: time.Now,
		}
		return w.Handle
	}
	r.Send(&events.ClusterApplyRequested{RequestID: "make", Spec: file})
	r.RunUntil(func() bool { return r.Queue.Len() == 0 }, time.Now().Add(24*time.Hour))
	if dead := r.Queue.Dead(); len(dead) > 0 || r.Queue.Len() > 0 {
		r.T.Fatalf("the clusters could not be made: %v", dead)
	}
	r.Work, r.Queue, r.Script, r.Function = work, queue, script, function
}

// Change changes the policy of a cluster.
func (r *Rig) Change(id fleet.ClusterID, change func(*fleet.Policy)) {
	r.T.Helper()
	d, err := r.Ledger().Desired(context.Background(), id)
	if err != nil || d.RequestID == "" {
		r.T.Fatalf("no cluster %s: %v", id, err)
	}
	d.RequestID, d.RequestedAt = r.ID(), time.Now()
	change(&d.Policy)
	if _, err := r.Ledger().Desire(context.Background(), d); err != nil {
		r.T.Fatal(err)
	}
}

// nobody listens.
type nobody struct{}

func (nobody) Publish(context.Context, ...events.Event) error { return nil }

// Objects are what the cluster function puts into clusters, of all of them.
type Objects struct {
	mu   sync.Mutex
	list map[string]fleet.Props
}

// All is a copy of the list: by cluster, API version, kind, namespace and name, with | between them.
func (o *Objects) All() map[string]fleet.Props {
	o.mu.Lock()
	defer o.mu.Unlock()
	return maps.Clone(o.list)
}

// Clear is somebody who deletes all of them.
func (o *Objects) Clear() {
	o.mu.Lock()
	defer o.mu.Unlock()
	clear(o.list)
}

// Object implements observe.Objects.
func (o *Objects) Object(_ context.Context, cluster string, ref fleet.Ref) (fleet.Resource, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	p, ok := o.list[cluster+"|"+ref.Name]
	if !ok {
		return fleet.Resource{}, fault.New(fault.NotFound, "no %s", ref.Name)
	}
	return fleet.Resource{Ref: ref, Props: p}, nil
}

// Apply implements apply.Objects.
func (o *Objects) Apply(_ context.Context, cluster string, object fleet.Props) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.list == nil {
		o.list = map[string]fleet.Props{}
	}
	o.list[nameOf(cluster, object)] = object
	return nil
}

// Delete implements apply.Objects.
func (o *Objects) Delete(_ context.Context, cluster string, object fleet.Props) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	name := nameOf(cluster, object)
	if _, ok := o.list[name]; !ok {
		return fault.New(fault.NotFound, "no %s", name)
	}
	delete(o.list, name)
	return nil
}

func nameOf(cluster string, object fleet.Props) string {
	return strings.Join([]string{cluster, fleet.Text(object, "apiVersion"), fleet.Text(object, "kind"), fleet.Text(object, "metadata", "namespace"), fleet.Text(object, "metadata", "name")}, "|")
}

// Planes launches control planes that know their nodes, and nothing else of Kubernetes.
type Planes struct {
	mu   sync.Mutex
	list map[string]*Plane
}

// Launch implements eks.Launcher.
func (p *Planes) Launch(ctx context.Context, spec eks.Spec) (eks.ControlPlane, error) {
	idle, err := eks.Idle{}.Launch(ctx, spec)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.list == nil {
		p.list = map[string]*Plane{}
	}
	if p.list[spec.Name] == nil {
		p.list[spec.Name] = &Plane{nodes: map[string]eks.Node{}, cordoned: map[string]bool{}, since: map[string]time.Time{}}
	}
	plane := p.list[spec.Name]
	plane.ControlPlane = idle
	return plane, nil
}

// Of is a cluster's.
func (p *Planes) Of(cluster string) *Plane {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.list[cluster]
}

// Plane is a control plane that knows its nodes.
type Plane struct {
	eks.ControlPlane
	// Held tells of a node how many of its pods cannot be evicted; nil is none.
	Held func(node string) int

	mu       sync.Mutex
	nodes    map[string]eks.Node
	cordoned map[string]bool
	since    map[string]time.Time
	Cordons  []string // in their order
}

// PutNode implements eks.ControlPlane.
func (p *Plane) PutNode(_ context.Context, n eks.Node) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, known := p.nodes[n.Name]; !known {
		p.since[n.Name] = time.Now()
	}
	p.nodes[n.Name] = n
	return nil
}

// DeleteNode implements eks.ControlPlane.
func (p *Plane) DeleteNode(_ context.Context, name string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.nodes, name)
	return nil
}

// Cordon implements eks.Drainer.
func (p *Plane) Cordon(_ context.Context, name string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cordoned[name] = true
	p.Cordons = append(p.Cordons, name)
	return nil
}

// Evict implements eks.Drainer.
func (p *Plane) Evict(_ context.Context, name string, force bool) (left int, err error) {
	if p.Held == nil || force {
		return 0, nil
	}
	return p.Held(name), nil
}

// Relabel implements eks.Drainer.
func (p *Plane) Relabel(_ context.Context, name string, c eks.NodeChange) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	n, known := p.nodes[name]
	if !known {
		return nil
	}
	n.Labels, n.Taints = maps.Clone(n.Labels), slices.Clone(n.Taints)
	maps.Copy(n.Labels, c.SetLabels)
	for _, k := range c.RemoveLabels {
		delete(n.Labels, k)
	}
	for _, t := range slices.Concat(c.SetTaints, c.RemoveTaints) {
		n.Taints = slices.DeleteFunc(n.Taints, func(o eks.NodeTaint) bool { return o.Key == t.Key && o.Effect == t.Effect })
	}
	n.Taints = append(n.Taints, c.SetTaints...)
	p.nodes[name] = n
	return nil
}

// Nodes are the cluster's, as its API server describes them.
func (p *Plane) Nodes(context.Context) (out []fleet.Node, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for name, n := range p.nodes {
		var taints []fleet.Taint
		for _, t := range n.Taints {
			taints = append(taints, fleet.Taint(t))
		}
		out = append(out, fleet.Node{
			Taints: taints,
			Name:   name, UID: "uid-" + name, ProviderID: n.ProviderID, Labels: n.Labels, Ready: true, Unschedulable: p.cordoned[name], Created: p.since[name], Kubelet: n.KubeletVersion,
		})
	}
	slices.SortFunc(out, func(a, b fleet.Node) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}
