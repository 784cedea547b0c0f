package eks

import (
	"context"
	"fmt"
	"math"
	"path"
	"strings"
)

// FargatePod is a pod as Fargate's scheduler knows it.
type FargatePod struct {
	UID, Namespace, Name string
	Labels               map[string]string
	CPU, Memory          float64 // requests: cores and GiB
}

// FargateRules are the selectors of a Fargate profile.
type FargateRules struct {
	Profile   string
	Selectors []FargateSelector
}

// FargateSelector picks pods: all of the labels must be there. Namespace and values may have the wildcards * and ?.
type FargateSelector struct {
	Namespace string
	Labels    map[string]string
}

func (r FargateRules) match(p FargatePod) bool {
	for _, s := range r.Selectors {
		ok := glob(s.Namespace, p.Namespace)
		for k, v := range s.Labels {
			has, there := p.Labels[k]
			ok = ok && there && glob(v, has)
		}
		if ok {
			return true
		}
	}
	return false
}

func glob(pattern, text string) bool {
	ok, err := path.Match(pattern, text)
	return err == nil && ok
}

// FargateMachines are the machines behind Fargate pods.
type FargateMachines interface {
	// Want asks for the pod's machine, again and again until it is ready: from then on its Node registers.
	Want(p FargatePod, profile string) (node string, ready bool)
	// Keep says which pods still need theirs, by UID. All other machines end.
	Keep(uids map[string]bool)
	// Changed has a value when a machine has become ready.
	Changed() <-chan struct{}
}

// fargateMachine is the machine of one pod. It joins as a Node that takes no other pod, and goes with its pod.
type fargateMachine struct {
	node  Node
	ready bool
	plane ControlPlane // that knows the node
}

// fargateFleet is a cluster's FargateMachines for one control plane.
type fargateFleet struct {
	s       *Service
	c       *cluster
	plane   ControlPlane
	changed chan struct{}
}

// Changed implements FargateMachines.
func (f *fargateFleet) Changed() <-chan struct{} { return f.changed }

// Want implements FargateMachines.
func (f *fargateFleet) Want(p FargatePod, profile string) (string, bool) {
	f.s.mu.Lock()
	defer f.s.mu.Unlock()
	m := f.c.fargateMachines[p.UID]
	if m == nil {
		m = &fargateMachine{node: f.s.fargateNode(f.c, p, profile)}
		if f.c.fargateMachines == nil {
			f.c.fargateMachines = map[string]*fargateMachine{}
		}
		f.c.fargateMachines[p.UID] = m
	}
	if m.plane != f.plane { // new, or the control plane is
		m.plane, m.ready = f.plane, false
		f.s.w.Go(func(context.Context) { f.start(p.UID, m) })
	}
	return m.node.Name, m.ready
}

// start boots a machine, which takes about as long as an instance.
func (f *fargateFleet) start(uid string, m *fargateMachine) {
	if !sleep(f.c.ctx, f.s.w.Profile.InstancePending+f.s.w.Profile.NodeRegister) {
		return
	}
	for {
		err := f.plane.PutNode(f.c.ctx, m.node)
		f.s.mu.Lock()
		wanted, current := f.c.fargateMachines[uid] == m, f.c.plane == f.plane
		if wanted && current {
			m.ready = err == nil
			f.s.touch()
		}
		f.s.mu.Unlock()
		switch {
		case !current:
			return
		case !wanted: // its pod went while it booted
			f.end(m)
			return
		case err == nil:
			select {
			case f.changed <- struct{}{}:
			default:
			}
			return
		}
		f.s.w.Log.Warn("eks: a Fargate machine does not join yet", "cluster", f.c.name, "node", m.node.Name, "error", err)
		if !sleep(f.c.ctx, retryPause) {
			return
		}
	}
}

func (f *fargateFleet) end(m *fargateMachine) {
	if err := f.plane.DeleteNode(f.c.ctx, m.node.Name); err != nil && f.c.ctx.Err() == nil {
		f.s.w.Log.Warn("eks: a Fargate node stays", "cluster", f.c.name, "node", m.node.Name, "error", err)
	}
}

// Keep implements FargateMachines.
func (f *fargateFleet) Keep(uids map[string]bool) {
	f.s.mu.Lock()
	defer f.s.mu.Unlock()
	for uid, m := range f.c.fargateMachines {
		if uids[uid] {
			continue
		}
		delete(f.c.fargateMachines, uid)
		f.s.w.Go(func(context.Context) { f.end(m) })
	}
}

// fargateNode is the Node of a pod's machine, in one of the profile's subnets and as big as Fargate's sizes go: with the
// quarter of a GiB that Kubernetes' own components take, rounded up. The address is made up. The caller holds s.mu.
func (s *Service) fargateNode(c *cluster, p FargatePod, profile string) Node {
	var subnet Subnet
	if f := c.fargate[profile]; f != nil && len(f.subnets) > 0 {
		subnet, _ = s.opt.EC2.Subnet(f.subnets[s.w.IntN(len(f.subnets))])
	}
	ip := fmt.Sprintf("192.168.%d.%d", s.w.IntN(256), 1+s.w.IntN(254))
	name := "fargate-ip-" + strings.ReplaceAll(ip, ".", "-") + ".ec2.internal"
	if s.w.Region != "us-east-1" {
		name = "fargate-ip-" + strings.ReplaceAll(ip, ".", "-") + "." + s.w.Region + ".compute.internal"
	}
	cpu, memory := fargateSize(p.CPU, p.Memory+0.25)
	size := map[string]string{"cpu": fmt.Sprintf("%dm", int(cpu*1000)), "memory": fmt.Sprintf("%dMi", int(memory*1024)), "pods": "1", "ephemeral-storage": "30Gi"}
	r, _ := findRelease(c.version)
	return Node{
		Name: name, ProviderID: "aws:///" + subnet.AZ + "/" + s.w.Hex(10) + "-" + s.w.Hex(32) + "/" + name, InternalIP: ip,
		Labels: map[string]string{
			fargateLabel: "fargate", "kubernetes.io/arch": "amd64", "kubernetes.io/os": "linux", "beta.kubernetes.io/arch": "amd64", "beta.kubernetes.io/os": "linux",
			"kubernetes.io/hostname": name, "topology.kubernetes.io/region": s.w.Region, "topology.kubernetes.io/zone": subnet.AZ,
			"failure-domain.beta.kubernetes.io/region": s.w.Region, "failure-domain.beta.kubernetes.io/zone": subnet.AZ,
		},
		Taints: []NodeTaint{{fargateLabel, "fargate", "NoSchedule"}}, Capacity: size, Allocatable: size, KubeletVersion: "v" + r.patch + "-eks-" + r.image,
	}
}

// fargateLabel says on a Node what kind of computer it is.
const fargateLabel = "eks.amazonaws.com/compute-type"

// fargateSize rounds requests up to what Fargate offers: cores, and the GiB that there are for them.
func fargateSize(cpu, memory float64) (float64, float64) {
	for _, s := range []struct{ cpu, least, most, step float64 }{
		{0.25, 0.5, 2, 0.5}, {0.5, 1, 4, 1}, {1, 2, 8, 1}, {2, 4, 16, 1}, {4, 8, 30, 1}, {8, 16, 60, 4}, {16, 32, 120, 8},
	} {
		if cpu <= s.cpu && memory <= s.most {
			return s.cpu, max(s.least, math.Ceil(memory/s.step)*s.step)
		}
	}
	return 16, 120
}

// scheduleFargate brings a change of Fargate profiles to the cluster. The caller holds s.mu.
func (s *Service) scheduleFargate(c *cluster) {
	var rules []FargateRules
	for _, name := range sortedKeys(c.fargate) {
		if f := c.fargate[name]; f.status == active {
			r := FargateRules{Profile: name}
			for _, sel := range f.selectors {
				r.Selectors = append(r.Selectors, FargateSelector(sel))
			}
			rules = append(rules, r)
		}
	}
	former := c.scheduling
	ctx, cancel := context.WithCancel(c.ctx)
	next := &enforcement{cancel: cancel, done: make(chan struct{})}
	c.scheduling = next
	s.w.Go(func(context.Context) {
		defer close(next.done)
		if former != nil {
			former.cancel()
			<-former.done
		}
		for {
			var plane ControlPlane
			if !s.await(ctx, forever, func() bool { plane = c.plane; return plane != nil }) {
				return
			}
			err := plane.Fargate(ctx, rules, &fargateFleet{s, c, plane, make(chan struct{}, 1)})
			if ctx.Err() != nil {
				return
			}
			s.w.Log.Warn("eks: Fargate's scheduler starts again", "cluster", c.name, "error", err)
			if !sleep(ctx, retryPause) {
				return
			}
		}
	})
}
