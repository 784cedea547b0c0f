package eks

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/wire"
)

// bringUp makes a new cluster ACTIVE, or FAILED.
func (s *Service) bringUp(c *cluster) {
	earliest := time.Now().Add(s.w.Profile.ClusterCreate)
	group, err := s.opt.EC2.CreateClusterSecurityGroup(c.name, strconv.Itoa(s.w.IntN(1<<31-1)), c.vpc.VPCID)
	if err != nil {
		s.failCluster(c, issue{Code: "Ec2SecurityGroupNotFound", Message: err.Error()})
		return
	}
	s.mu.Lock()
	c.vpc.ClusterSecurityGroupID = group
	vpc := c.vpc
	s.mu.Unlock()
	interfaces, err := s.attach(c.name, vpc)
	if err != nil {
		s.failCluster(c, issue{Code: "InsufficientFreeAddresses", Message: err.Error(), ResourceIDs: vpc.SubnetIDs})
		return
	}
	s.mu.Lock()
	c.interfaces = interfaces
	s.mu.Unlock()
	plane, err := s.launch(c)
	if err != nil {
		s.failCluster(c, issue{Code: "InternalFailure", Message: err.Error(), ResourceIDs: []string{c.name}})
		return
	}
	sleep(c.ctx, time.Until(earliest))
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.adopt(c, plane) {
		return
	}
	c.wasReady = true
	if c.status == creating {
		c.status = active
		s.tendInsights(c)
	}
	s.kick(c.name)
	s.touch()
}

func (s *Service) failCluster(c *cluster, why issue) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.ctx.Err() != nil {
		return
	}
	c.status, c.issues = failed, []issue{why}
	s.w.Log.Error("eks: cluster failed", "cluster", c.name, "issue", why.Message)
	s.touch()
}

func (s *Service) launch(c *cluster) (ControlPlane, error) {
	s.mu.Lock()
	spec := Spec{Name: c.name, Version: c.version, Dir: c.dir, ServiceCIDR: c.network.planeCIDR(), NoAddons: c.bare}
	s.mu.Unlock()
	if s.opt.TokenWebhook != nil {
		spec.TokenWebhook = s.opt.TokenWebhook(c.name)
	}
	return s.opt.Launcher.Launch(c.ctx, spec)
}

// adopt makes a control plane that has just come up the cluster's and looks after it. It is false, and the plane is
// stopped, when nobody wants it any more. The caller holds s.mu.
func (s *Service) adopt(c *cluster, plane ControlPlane) bool {
	if s.closed || c.ctx.Err() != nil {
		s.w.Go(func(context.Context) { s.stopPlane(c, plane) })
		return false
	}
	c.plane = plane
	s.w.Go(func(context.Context) { s.guard(c, plane) })
	return true
}

func (s *Service) stopPlane(c *cluster, plane ControlPlane) {
	if err := plane.Stop(); err != nil {
		s.w.Log.Warn("eks: a control plane did not stop in order", "cluster", c.name, "error", err)
	}
}

// relaunchPause keeps a control plane that dies at once from being started in a tight loop.
const relaunchPause = time.Second

// guard waits for the end of a control plane that nobody asked to end, reports it as a health issue and starts it again
// over the same data: EKS replaces broken control plane instances in the same way.
func (s *Service) guard(c *cluster, plane ControlPlane) {
	select {
	case <-c.ctx.Done():
		return
	case <-plane.Done():
	}
	s.mu.Lock()
	if c.ctx.Err() != nil || s.closed {
		s.mu.Unlock()
		return
	}
	s.w.Log.Error("eks: control plane ended", "cluster", c.name, "error", plane.Err())
	c.issues = []issue{{Code: "ClusterUnreachable", Message: fmt.Sprintf("The control plane ended unexpectedly and is being replaced: %v", plane.Err()), ResourceIDs: []string{c.name}}}
	s.touch()
	s.mu.Unlock()
	for sleep(c.ctx, relaunchPause) {
		next, err := s.launch(c)
		if err != nil {
			s.w.Log.Error("eks: control plane does not start", "cluster", c.name, "error", err)
			continue
		}
		s.mu.Lock()
		if s.adopt(c, next) {
			c.issues = nil
			s.rejoin(c)
			s.touch()
		}
		s.mu.Unlock()
		return
	}
}

func (s *Service) deleteCluster(_ context.Context, _ *wire.Call, in *clusterName) (*clusterOut, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.clusters[in.Name]
	switch {
	case c == nil:
		return nil, noCluster(in.Name)
	case c.status == deleting:
		return &clusterOut{c.view()}, nil
	case c.protected:
		// EKS answers InvalidRequestException; its words are not public.
		return nil, invalidRequest(c.name, "Cannot delete cluster %s because deletion protection is enabled. Disable deletion protection with UpdateClusterConfig first", c.name)
	case len(c.nodegroups) > 0:
		return nil, inUse(c.name, "Cluster has nodegroups attached")
	case len(c.fargateProfiles()) > 0:
		return nil, inUse(c.name, "Cluster has Fargate Profiles in ACTIVE/CREATING state")
	case c.status == creating || c.running("", "") != nil:
		return nil, inUse(c.name, "Cannot delete because cluster %s currently has an update in progress", c.name)
	}
	c.status = deleting
	c.cancel()
	s.touch()
	out := &clusterOut{c.view()}
	s.w.Go(func(ctx context.Context) { s.tearDown(ctx, c) })
	return out, nil
}

func (s *Service) tearDown(ctx context.Context, c *cluster) {
	earliest := time.Now().Add(s.w.Profile.ClusterDelete)
	s.mu.Lock()
	plane, group, interfaces := c.plane, c.vpc.ClusterSecurityGroupID, c.interfaces
	s.mu.Unlock()
	if plane != nil {
		s.stopPlane(c, plane)
	}
	s.detach(c, interfaces)
	err := removeAll(c.dir)
	if group != "" {
		err = errors.Join(err, s.opt.EC2.DeleteSecurityGroup(group))
	}
	if err != nil {
		// EKS does not fail a delete for what it leaves behind; a security group in use stays, as in AWS.
		s.w.Log.Warn("eks: something of a deleted cluster stays", "cluster", c.name, "error", err)
	}
	if !sleep(ctx, time.Until(earliest)) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.clusters, c.name)
	s.touch()
}
