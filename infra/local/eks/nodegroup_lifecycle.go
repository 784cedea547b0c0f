package eks

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/wire"
)

// joinPatience is how long EKS waits for a node group's instances to become nodes: it gives up after about 25 minutes.
// Expressed in the profile's own time of one instance to do so, it shrinks with it.
func (s *Service) joinPatience() time.Duration {
	return 30 * (s.w.Profile.InstancePending + s.w.Profile.NodeRegister)
}

// evictionPatience is how long EKS lets a PodDisruptionBudget block the drain of a node. Customers plan with it: it does
// not shrink.
const evictionPatience = 15 * time.Minute

// scaleInPatience is how long a drain may take before a node goes that is not to be replaced. After "a few minutes",
// EKS's user guide says, the termination goes on with the pods that are left.
func (s *Service) scaleInPatience() time.Duration { return s.w.Profile.NodegroupDelete }

// evictionPause is between two rounds of evictions that a budget has refused.
const evictionPause = 2 * time.Second

// launchTemplate is the template EKS makes for a node group, on the basis of the customer's if there is one.
func (g *nodegroup) launchTemplate() LaunchTemplate {
	lt := LaunchTemplate{
		Name: "eks-" + g.uuid, SecurityGroup: g.cluster.vpc.ClusterSecurityGroupID,
		Tags: map[string]string{"eks:cluster-name": g.cluster.name, "eks:nodegroup-name": g.name},
	}
	if g.custom != nil {
		lt.Source, lt.SourceVersion = g.custom.ID, g.custom.Version
	}
	return lt
}

func (s *Service) bringUpNodegroup(g *nodegroup) {
	s.mu.Lock()
	lt := g.launchTemplate()
	lt.ImageID = s.image(g)
	spec := GroupSpec{
		Name: g.groupName(), Min: *g.scaling.MinSize, Max: *g.scaling.MaxSize, Desired: *g.scaling.DesiredSize,
		SubnetIDs: g.subnets, InstanceTypes: g.types, Spot: g.spot, Version: "$Latest", CapacityRebalance: g.spot, Tags: g.asgTags(),
	}
	s.mu.Unlock()
	id, err := s.opt.EC2.CreateLaunchTemplate(lt)
	if err != nil {
		s.failNodegroup(g, issue{Code: "Ec2LaunchTemplateInvalidConfiguration", Message: err.Error(), ResourceIDs: []string{lt.Name}})
		return
	}
	spec.LaunchTemplateID = id
	if err := s.opt.AutoScaling.CreateGroup(spec); err != nil {
		err = errors.Join(err, s.opt.EC2.DeleteLaunchTemplate(id))
		s.failNodegroup(g, issue{Code: "AutoScalingGroupInvalidConfiguration", Message: err.Error(), ResourceIDs: []string{spec.Name}})
		return
	}
	s.mu.Lock()
	g.template = id
	s.mu.Unlock()
	if !s.awaitNodes(g, 0) {
		if g.cluster.ctx.Err() == nil {
			s.failNodegroup(g, s.whyNotJoined(g))
		}
		return
	}
	if !sleep(g.cluster.ctx, s.w.Profile.NodegroupCreate) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	g.status, g.modified = active, time.Now()
	s.touch()
}

// awaitNodes waits until as many of the group's instances as are desired are nodes, from a template revision on.
func (s *Service) awaitNodes(g *nodegroup, revision int) bool {
	return s.await(g.cluster.ctx, s.joinPatience(), func() bool {
		group, ok := s.opt.AutoScaling.Group(g.groupName())
		return ok && s.joined(g, revision) >= group.Desired
	})
}

func (s *Service) failNodegroup(g *nodegroup, why issue) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.w.Log.Error("eks: node group failed", "cluster", g.cluster.name, "nodegroup", g.name, "code", why.Code, "issue", why.Message)
	g.status, g.issues, g.modified = createFailed, []issue{why}, time.Now()
	s.touch()
}

// whyNotJoined tells instances that could not be launched from those that did not become nodes.
func (s *Service) whyNotJoined(g *nodegroup) issue {
	group, _ := s.opt.AutoScaling.Group(g.groupName())
	if group.LaunchFailure != "" && len(group.Instances) < group.Desired {
		code := "AsgInstanceLaunchFailures"
		if strings.Contains(group.LaunchFailure, "InsufficientFreeAddresses") {
			code = "InsufficientFreeAddresses"
		}
		return issue{Code: code, Message: group.LaunchFailure, ResourceIDs: []string{g.groupName()}}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	missing := []string{}
	for _, i := range group.Instances {
		if m := s.machines[i.ID]; m == nil || !m.alive {
			missing = append(missing, i.ID)
		}
	}
	return issue{Code: "NodeCreationFailure", Message: "Instances failed to join the kubernetes cluster", ResourceIDs: missing}
}

func (s *Service) deleteNodegroup(_ context.Context, _ *wire.Call, in *nodegroupName) (*nodegroupOut, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, g, err := s.nodegroupOf(in.ClusterName, in.NodegroupName)
	if err != nil {
		return nil, err
	}
	if g.status == creating || c.running(g.name, "") != nil {
		return nil, named(inUse(c.name, "Nodegroup cannot be deleted as it is currently not in Active State"), c.name, g.name)
	}
	if g.status != deleting {
		g.status, g.modified = deleting, time.Now()
		s.touch()
		s.w.Go(func(context.Context) { s.tearDownNodegroup(g) })
	}
	return &nodegroupOut{s.viewNodegroup(g)}, nil
}

// tearDownNodegroup drains all nodes for a while and removes what EKS has made.
func (s *Service) tearDownNodegroup(g *nodegroup) {
	ctx := g.cluster.ctx
	s.mu.Lock()
	nodes := s.members(g)
	s.mu.Unlock()
	var wg sync.WaitGroup
	for _, m := range nodes {
		wg.Go(func() {
			if err := s.drain(ctx, m, s.scaleInPatience(), false); err != nil {
				s.w.Log.Info("eks: node of a deleted group goes with pods on it", "nodegroup", g.name, "error", err)
			}
		})
	}
	wg.Wait()
	if err := s.removeGroup(ctx, g); err != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		g.status, g.issues = deleteFailed, []issue{{Code: "NodeTerminationFailure", Message: err.Error(), ResourceIDs: []string{g.groupName()}}}
		s.touch()
		return
	}
	if !sleep(ctx, s.w.Profile.NodegroupDelete) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c := g.cluster
	delete(c.nodegroups, g.name)
	shared := false
	for _, other := range c.nodegroups {
		shared = shared || other.role == g.role
	}
	if !shared {
		delete(c.configMapRoles, g.role)
		if e := c.entries[g.role]; e != nil && e.automatic {
			delete(c.entries, g.role)
		}
	}
	s.touch()
}

func (s *Service) removeGroup(ctx context.Context, g *nodegroup) error {
	if g.template == "" {
		return nil // creation failed before there was anything
	}
	if _, ok := s.opt.AutoScaling.Group(g.groupName()); ok {
		if err := s.opt.AutoScaling.DeleteGroup(g.groupName()); err != nil {
			return err
		}
	}
	if !s.await(ctx, s.joinPatience(), func() bool { return len(s.members(g)) == 0 }) {
		return fmt.Errorf("instances of %s are still there", g.groupName())
	}
	return s.opt.EC2.DeleteLaunchTemplate(g.template)
}

// errBlocked is a drain that PodDisruptionBudgets did not let finish in time.
var errBlocked = errors.New("pods could not be evicted in time")

// drain cordons a node and evicts its pods, in rounds, until none is left. With force it deletes those that are left
// when the patience ends.
func (s *Service) drain(ctx context.Context, m *machine, patience time.Duration, force bool) error {
	s.mu.Lock()
	c := s.clusters[m.cluster]
	name := m.inst.PrivateDNSName
	there := c != nil && m.registered
	s.mu.Unlock()
	if !there {
		return nil
	}
	deadline := time.Now().Add(patience)
	cordoned := false
	for {
		s.mu.Lock()
		plane, gone := c.plane, !m.registered || m.inst.State != "running"
		s.mu.Unlock()
		if gone {
			return nil
		}
		late := !time.Now().Before(deadline)
		err := error(nil)
		if !cordoned {
			err = plane.Cordon(ctx, name)
			cordoned = err == nil
		}
		left := 1
		if cordoned {
			left, err = plane.Evict(ctx, name, late && force)
		}
		if err != nil {
			s.w.Log.Debug("eks: drain goes on", "node", name, "error", err)
		}
		switch {
		case err == nil && left == 0:
			return nil
		case late:
			return errors.Join(errBlocked, err)
		}
		if !sleep(ctx, min(evictionPause, time.Until(deadline))) {
			return ctx.Err()
		}
	}
}
