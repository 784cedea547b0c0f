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

// surgePatience is how long the drain of a node may take that an update has in surplus. After "a few minutes", EKS's user guide says,
// the termination goes on with the pods that are left. The pods go on in real time: it does not shrink, either.
const surgePatience = 3 * time.Minute

// scaleInPatience is the same where the whole group goes, and nobody's pods can go on: there it shrinks.
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
	if g.remoteGroup != "" {
		lt.KeyName, lt.RemoteGroup = g.remote.EC2SSHKey, g.remoteGroup
	}
	return lt
}

func (s *Service) bringUpNodegroup(g *nodegroup) {
	s.mu.Lock()
	lt := g.launchTemplate()
	lt.ImageID = s.image(g)
	spec := GroupSpec{
		Name: g.groupName(), Min: *g.scaling.MinSize, Max: *g.scaling.MaxSize, Desired: *g.scaling.DesiredSize,
		SubnetIDs: g.subnets, InstanceTypes: g.types, Spot: g.capacity == spot, Version: "$Latest", CapacityRebalance: g.capacity == spot, Tags: g.asgTags(),
	}
	bad := s.withoutPublicIPs(g)
	s.mu.Unlock()
	if len(bad) > 0 {
		s.failNodegroup(g, issue{Code: "Ec2SubnetInvalidConfiguration", ResourceIDs: bad, Message: fmt.Sprintf("One or more Amazon EC2 Subnets of [%s] for node group %s does not automatically assign public IP addresses to instances launched into it. If you want your instances to be assigned a public IP address, then you need to enable auto-assign public IP address for the subnet. See IP addressing in VPC guide: https://docs.aws.amazon.com/vpc/latest/userguide/vpc-ip-addressing.html#subnet-public-ip", strings.Join(bad, ", "), g.name)})
		return
	}
	if bad := s.withoutIPv6(g); len(bad) > 0 {
		s.failNodegroup(g, issue{Code: "Ec2SubnetMissingIpv6Assignment", ResourceIDs: bad, Message: fmt.Sprintf("One or more Amazon EC2 Subnets of [%s] for node group %s does not have an IPv6 CIDR block, which the nodes of a cluster with the IPv6 family need.", strings.Join(bad, ", "), g.name)})
		return
	}
	if err := s.openRemoteAccess(g, &lt); err != nil {
		s.failNodegroup(g, issue{Code: "Ec2SecurityGroupNotFound", Message: err.Error(), ResourceIDs: []string{g.remote.EC2SSHKey}})
		return
	}
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

// withoutPublicIPs lists the group's public subnets whose machines would have no public address, and with it no way out.
// With a launch template of the customer's, the template may give them one. The caller holds s.mu.
func (s *Service) withoutPublicIPs(g *nodegroup) []string {
	var bad []string
	for _, id := range g.subnets {
		if sub, _ := s.opt.EC2.Subnet(id); sub.Public && !s.opt.EC2.MapsPublicIPs(id) && g.custom == nil {
			bad = append(bad, id)
		}
	}
	return bad
}

// withoutIPv6 lists the group's subnets that nodes of an IPv6 cluster cannot be in.
func (s *Service) withoutIPv6(g *nodegroup) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var bad []string
	for _, id := range g.subnets {
		if sub, ok := s.opt.EC2.Subnet(id); ok && !sub.IPv6 && g.cluster.network.IPFamily == ipv6 {
			bad = append(bad, id)
		}
	}
	return bad
}

// openRemoteAccess makes the security group that lets SSH, or RDP, in to the group's machines.
func (s *Service) openRemoteAccess(g *nodegroup, lt *LaunchTemplate) error {
	if g.remote == nil {
		return nil
	}
	port := 22
	if isWindows(g.ami) {
		port = 3389
	}
	id, err := s.opt.EC2.CreateRemoteAccessGroup(RemoteAccessGroup{
		Name: "eks-remoteAccess-" + g.uuid, VPCID: g.cluster.vpc.VPCID, Cluster: g.cluster.name, Nodegroup: g.name, Port: port, Sources: g.remote.SourceSecurityGroups,
	})
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	g.remoteGroup = id
	lt.KeyName, lt.RemoteGroup = g.remote.EC2SSHKey, id
	return nil
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
		return launchIssue(g, group)
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

// launchIssue is why a group's instances could not be launched.
func launchIssue(g *nodegroup, group Group) issue {
	code := "AsgInstanceLaunchFailures"
	if strings.Contains(group.LaunchFailure, "InsufficientFreeAddresses") {
		code = "InsufficientFreeAddresses"
	}
	return issue{Code: code, Message: group.LaunchFailure, ResourceIDs: []string{g.groupName()}}
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
	if why := s.removeGroup(ctx, g); why != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		g.status, g.issues, g.modified = deleteFailed, []issue{*why}, time.Now()
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
	s.forgetRole(c, g.role)
	s.touch()
}

// removeGroup removes what EKS has made for a node group, and says what of it stays. A group that stays can be deleted
// again.
func (s *Service) removeGroup(ctx context.Context, g *nodegroup) *issue {
	s.mu.Lock()
	template, remote := g.template, g.remoteGroup
	s.mu.Unlock()
	if _, ok := s.opt.AutoScaling.Group(g.groupName()); ok {
		if err := s.opt.AutoScaling.DeleteGroup(g.groupName()); err != nil {
			return &issue{Code: "AutoScalingGroupInvalidConfiguration", Message: err.Error(), ResourceIDs: []string{g.groupName()}}
		}
	}
	if !s.await(ctx, s.joinPatience(), func() bool { return len(s.members(g)) == 0 }) {
		return &issue{Code: "NodeTerminationFailure", Message: fmt.Sprintf("instances of %s are still there", g.groupName()), ResourceIDs: []string{g.groupName()}}
	}
	if template != "" { // else creation failed before there was one
		if err := s.opt.EC2.DeleteLaunchTemplate(template); err != nil {
			return &issue{Code: "Ec2LaunchTemplateDeletionFailure", Message: err.Error(), ResourceIDs: []string{template}}
		}
	}
	if remote != "" {
		if err := s.opt.EC2.DeleteSecurityGroup(remote); err != nil {
			return &issue{Code: "Ec2SecurityGroupDeletionFailure", Message: err.Error(), ResourceIDs: []string{remote}}
		}
	}
	return nil
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
