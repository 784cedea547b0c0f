package eks

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"
)

// machine is an instance that belongs, by its tags, to a cluster, and the Node it is or will be.
//
// When an instance begins to shut down, its operating system kills the kubelet and the containers within moments: EKS's
// images have no graceful node shutdown. So the kubelet falls silent at shutting-down or stopping, while the Node object
// stays, and becomes NotReady, until the cloud controller removes it once the instance is terminated. A spot instance
// serves until the end of its two minutes; what is then still on it is lost.
type machine struct {
	inst             Instance
	cluster, group   string
	version, release string    // Kubernetes minor and AMI release of its image, where that is known
	ami              string    // AMI type of its image, where that is known; a managed group's machine has the group's
	since            time.Time // when it came to be running
	registered       bool      // a Node object may exist
	alive            bool      // the kubelet reports
	silenced         bool      // the kubelet is known and was stopped
	working          bool      // a goroutine is at it
	templateRevision int       // how many launch template versions its node group had when it was launched
}

// instanceChanged takes what EC2 says. EC2 calls it without its own lock, which matters: we ask EC2 with ours held.
func (s *Service) instanceChanged(i Instance) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.observe(i)
	s.touch()
}

// observe notes an instance's new state. The caller holds s.mu.
func (s *Service) observe(i Instance) {
	m := s.machines[i.ID]
	if m == nil {
		name := clusterOf(i.Tags)
		c := s.clusters[name]
		if c == nil || i.State == "terminated" {
			return
		}
		m = &machine{cluster: name, group: i.Tags["eks:nodegroup-name"], version: c.version}
		// A machine of the customer's runs what is on its image. One that is too new for the cluster is believed only where that
		// happens: a launch without an image gets the newest of all.
		if image, ok := s.images().NodeImage(i.ImageID); ok && (minor(image.Minor) <= minor(c.version) || c.rolledBack) {
			m.version, m.release, m.ami = image.Minor, image.Release, image.AMIType
		}
		if g := c.nodegroups[m.group]; g != nil {
			m.version, m.release, m.templateRevision = g.version, g.release, g.revision
			if g.next != "" {
				m.version, m.release = g.next, g.nextRelease
			}
		}
		s.machines[i.ID] = m
	}
	if i.State == "running" && m.inst.State != "running" {
		m.since = time.Now()
	}
	m.inst = i
	s.work(m)
}

// clusterOf reads the cluster's name from an instance's tags.
func clusterOf(tags map[string]string) string {
	if name := tags["eks:cluster-name"]; name != "" {
		return name
	}
	for _, k := range slices.Sorted(maps.Keys(tags)) {
		if name, ok := strings.CutPrefix(k, "kubernetes.io/cluster/"); ok && tags[k] == "owned" {
			return name
		}
	}
	return ""
}

// kick looks again at all machines of a cluster, because something has changed that may let them join. The caller holds
// s.mu, as in the next two.
func (s *Service) kick(cluster string) {
	for _, id := range sortedKeys(s.machines) {
		if m := s.machines[id]; m.cluster == cluster {
			s.work(m)
		}
	}
}

// rejoin announces all machines anew: the kubelets lived in the control plane's process, which is another one now.
func (s *Service) rejoin(c *cluster) {
	for _, m := range s.machines {
		if m.cluster == c.name {
			m.alive, m.silenced = false, false
		}
	}
	s.kick(c.name)
}

func (s *Service) work(m *machine) {
	if !m.working {
		m.working = true
		s.w.Go(func(ctx context.Context) { s.bring(ctx, m) })
	}
}

// retryPause is between two attempts to tell a control plane something that it would not take.
const retryPause = time.Second

// bring makes the Node follow its instance, until there is nothing to do for now.
func (s *Service) bring(ctx context.Context, m *machine) {
	for {
		s.mu.Lock()
		step := s.nextStep(m)
		if step == nil || ctx.Err() != nil {
			m.working = false
			s.mu.Unlock()
			return
		}
		s.mu.Unlock()
		if err := step(ctx); err != nil {
			s.w.Log.Warn("eks: a node does not follow its instance yet", "cluster", m.cluster, "instance", m.inst.ID, "error", err)
			sleep(ctx, retryPause)
		}
	}
}

// nextStep is what must be done now so that the Node is what the instance is. The caller holds s.mu; the step is called
// without it.
func (s *Service) nextStep(m *machine) func(context.Context) error {
	c := s.clusters[m.cluster]
	if c == nil || c.status == deleting {
		delete(s.machines, m.inst.ID)
		return nil
	}
	plane, name, state := c.plane, m.inst.PrivateDNSName, m.inst.State
	if plane == nil || !c.wasReady {
		return nil // bringUp kicks
	}
	then := func(do func(context.Context, string) error, note func()) func(context.Context) error {
		return func(ctx context.Context) error {
			if err := do(ctx, name); err != nil {
				return err
			}
			s.mu.Lock()
			defer s.mu.Unlock()
			if c.plane == plane {
				note()
			}
			s.touch()
			return nil
		}
	}
	switch {
	case state == "terminated" && m.registered:
		return then(plane.DeleteNode, func() { m.registered, m.alive = false, false })
	case state == "terminated":
		delete(s.machines, m.inst.ID)
		s.touch()
		return nil
	case state != "running" && m.alive:
		return then(plane.StopNode, func() { m.alive, m.silenced = false, true })
	case state != "running" || m.alive || !s.mayJoin(c, m):
		return nil
	case m.silenced:
		return then(plane.StartNode, func() { m.alive, m.silenced = true, false })
	}
	if wait := time.Until(m.since.Add(s.w.Profile.NodeRegister)); wait > 0 {
		return func(ctx context.Context) error {
			s.await(ctx, wait, func() bool { return m.inst.State != "running" })
			return nil
		}
	}
	node, err := s.node(c, m)
	if err != nil {
		return func(context.Context) error { return err }
	}
	put := func(ctx context.Context, _ string) error { return plane.PutNode(ctx, node) }
	return then(put, func() { m.alive, m.registered = true, true })
}

// mayJoin tells whether the cluster lets the machine in: its role must be known there as a node's. The caller holds s.mu.
func (s *Service) mayJoin(c *cluster, m *machine) bool {
	isNode := func(role string) bool {
		e := c.entries[role]
		return c.access.AuthenticationMode != modeConfigMap && e != nil && e.isMachine() ||
			c.access.AuthenticationMode != modeAPI && c.configMapRoles[role] != ""
	}
	if g := c.nodegroups[m.group]; g != nil {
		return isNode(g.role) && (m.registered || !s.failing(c.name, g.name, "", nodeCreation))
	}
	if role := m.inst.Role; role != "" {
		return isNode(role)
	}
	// A machine without an instance profile would not get in on AWS. Here any node role of the cluster lets it in.
	return slices.ContainsFunc(sortedKeys(c.entries), isNode) || slices.ContainsFunc(sortedKeys(c.configMapRoles), isNode)
}

// joined counts the group's machines whose Nodes report, from a revision of its launch template on. The caller holds s.mu.
func (s *Service) joined(g *nodegroup, revision int) int {
	n := 0
	for _, m := range s.machines {
		if s.owns(g, m) && m.alive && m.inst.State == "running" && m.templateRevision >= revision {
			n++
		}
	}
	return n
}

func (s *Service) owns(g *nodegroup, m *machine) bool {
	return m.cluster == g.cluster.name && m.group == g.name
}

// members lists the group's machines by instance id. The caller holds s.mu.
func (s *Service) members(g *nodegroup) []*machine {
	var all []*machine
	for _, id := range sortedKeys(s.machines) {
		if m := s.machines[id]; s.owns(g, m) {
			all = append(all, m)
		}
	}
	return all
}
