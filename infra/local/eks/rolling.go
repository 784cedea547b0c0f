package eks

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/wire"
)

type updateNodegroupVersionIn struct {
	ClusterName        string             `json:"-" path:"name"`
	NodegroupName      string             `json:"-" path:"nodegroupName"`
	Version            string             `json:"version"`
	ReleaseVersion     string             `json:"releaseVersion"`
	LaunchTemplate     *launchTemplateRef `json:"launchTemplate"`
	Force              bool               `json:"force"`
	ClientRequestToken string             `json:"clientRequestToken"`
}

func (s *Service) updateNodegroupVersion(_ context.Context, _ *wire.Call, in *updateNodegroupVersionIn) (*updateOut, error) {
	req := request{"UpdateNodegroupVersion/" + in.NodegroupName, in.ClientRequestToken, fingerprint(in)}
	s.mu.Lock()
	defer s.mu.Unlock()
	c, g, err := s.nodegroupOf(in.ClusterName, in.NodegroupName)
	if err != nil {
		return nil, err
	}
	if u, err := c.repeated(req); u != nil || err != nil {
		return viewOr(u, err)
	}
	if err := s.changeable(c, g); err != nil {
		return nil, err
	}
	if g.ami == "CUSTOM" && (in.Version != "" || in.ReleaseVersion != "") {
		return nil, invalidParameter(c.name, "You cannot specify the field version or releaseVersion when using custom AMIs.")
	}
	// Without a version the node group keeps its own: one of the two things that AWS's documentation says.
	version, release, err := s.chooseVersion(c, g.ami, g.version, in.Version, in.ReleaseVersion)
	if err != nil {
		return nil, err
	}
	if minor(version) < minor(g.version) && version != c.rollbackTarget() {
		// The way back is there only for the rollback of the control plane, which asks it of its node groups first.
		return nil, invalidParameter(c.name, "Nodegroup Kubernetes version cannot be rolled back from %s to %s", g.version, version)
	}
	custom, image, err := s.newTemplateVersion(g, in.LaunchTemplate)
	if err != nil {
		return nil, err
	}
	if g.ami == "CUSTOM" {
		version, release = s.imageMinor(c, image), image
	}
	u := &update{kind: "VersionUpdate", nodegroup: g.name, request: req}
	if in.LaunchTemplate != nil {
		u.params = append(u.params, updateParam{"LaunchTemplateName", custom.Name}, updateParam{"LaunchTemplateVersion", custom.Version})
	}
	if g.ami != "CUSTOM" {
		u.params = append(u.params, updateParam{"Version", version}, updateParam{"ReleaseVersion", release})
	}
	s.begin(c, u)
	g.status, g.next, g.nextRelease = updating, version, release
	g.custom = custom
	if g.ami == "CUSTOM" {
		g.customImage = image
	}
	r := &rolling{s: s, g: g, force: in.Force, version: version, release: release}
	s.w.Go(func(context.Context) { r.finish(u, r.run(c.ctx)) })
	return u.view(), nil
}

// newTemplateVersion is the customer's launch template at the version to go to: its id and name cannot change.
func (s *Service) newTemplateVersion(g *nodegroup, ref *launchTemplateRef) (custom *launchTemplateRef, image string, err error) {
	if ref == nil {
		return g.custom, g.customImage, nil
	}
	c := g.cluster.name
	if g.custom == nil {
		return nil, "", invalidRequest(c, "You cannot specify a launch template for a node group that was created without one")
	}
	if ref.ID != "" && ref.ID != g.custom.ID || ref.Name != "" && ref.Name != g.custom.Name {
		return nil, "", invalidParameter(c, "Launch template ID or name cannot be changed")
	}
	lt, err := s.opt.EC2.FindLaunchTemplate(g.custom.ID, ref.Version)
	if err != nil {
		return nil, "", invalidParameter(c, "%v", err)
	}
	if g.ami != "CUSTOM" && lt.ImageID != "" {
		return nil, "", unsupported("the change of a node group from AWS's images to an image of the launch template's (%s)", lt.ImageID)
	}
	if g.ami == "CUSTOM" && lt.ImageID == "" {
		return nil, "", invalidParameter(c, "You must specify an image id within your launch template, when using the CUSTOM AMI type")
	}
	return &launchTemplateRef{ID: lt.Source, Name: lt.Name, Version: lt.SourceVersion}, lt.ImageID, nil
}

// rolling is one update of a node group to other machines, in the phases that EKS documents: setup, scale up, upgrade,
// scale down. With the MINIMAL strategy there is no scaling: nodes go first and are replaced after.
type rolling struct {
	s                *Service
	g                *nodegroup
	force            bool
	version, release string
	was              Group // the group's size before
	revision         int   // of the launch template with which new machines come
}

// updateFailure carries an update's error code.
type updateFailure updateError

func (f updateFailure) Error() string { return f.ErrorCode + ": " + f.ErrorMessage }

func (r *rolling) run(ctx context.Context) error {
	s, g := r.s, r.g
	s.mu.Lock()
	lt := g.launchTemplate()
	lt.ImageID = s.image(g)
	template := g.template
	g.revision++
	r.revision = g.revision
	zones := map[string]bool{}
	for _, id := range g.subnets {
		if sub, ok := s.opt.EC2.Subnet(id); ok {
			zones[sub.AZ] = true
		}
	}
	strategy, config := g.updateCfg.UpdateStrategy, g.updateCfg
	how, told := s.trip(g.cluster.name, g.name, "", isUpdateError)
	s.mu.Unlock()
	if told {
		return updateFailure(ordered(how, g.groupName()))
	}
	if err := s.opt.EC2.NewLaunchTemplateVersion(template, lt); err != nil {
		return updateFailure{ErrorCode: "Unknown", ErrorMessage: err.Error(), ResourceIDs: []string{template}}
	}
	var ok bool
	if r.was, ok = s.opt.AutoScaling.Group(g.groupName()); !ok {
		return updateFailure{ErrorCode: "Unknown", ErrorMessage: "the Auto Scaling group does not exist", ResourceIDs: []string{g.groupName()}}
	}
	batch := config.unavailable(r.was.Desired)
	surge := max(2*len(zones), batch)
	if strategy == "MINIMAL" || r.was.Desired == 0 {
		surge = 0
	}
	if surge > 0 {
		size, most := r.was.Desired+surge, max(r.was.Max, r.was.Desired+surge)
		if err := s.opt.AutoScaling.UpdateGroup(g.groupName(), nil, &most, &size); err != nil {
			return updateFailure{ErrorCode: "Unknown", ErrorMessage: err.Error(), ResourceIDs: []string{g.groupName()}}
		}
		if err := r.awaitNew(ctx, surge, zones); err != nil {
			return errors.Join(err, r.scaleDown(ctx, surge))
		}
		r.setAside(ctx)
	}
	err := r.replace(ctx, batch)
	if err != nil {
		r.giveBack(ctx)
	}
	return errors.Join(err, r.scaleDown(ctx, surge))
}

// awaitNew waits for n new machines to be nodes, with one in every zone at least.
func (r *rolling) awaitNew(ctx context.Context, n int, zones map[string]bool) error {
	there := func() bool {
		have := map[string]bool{}
		for _, m := range r.s.members(r.g) {
			if m.alive && m.inst.State == "running" && m.templateRevision >= r.revision {
				have[m.inst.AZ] = true
			}
		}
		return r.s.joined(r.g, r.revision) >= n && len(have) >= min(n, len(zones))
	}
	if r.s.await(ctx, r.s.joinPatience(), there) || ctx.Err() != nil {
		return ctx.Err()
	}
	return r.notJoining()
}

// setAside makes all old nodes unschedulable and takes them out of external load balancers, before the first of them is
// drained: what is evicted goes to new nodes only.
func (r *rolling) setAside(ctx context.Context) {
	plane, names := r.old()
	for _, name := range names {
		if err := plane.Cordon(ctx, name); err != nil {
			r.s.w.Log.Debug("eks: an old node is cordoned when its turn comes", "node", name, "error", err)
		}
	}
}

// Restorer is a control plane that can take back what Cordon did. Stand-ins need not be one.
type Restorer interface {
	Uncordon(ctx context.Context, node string) error
}

// giveBack makes the old nodes schedulable again when the update has failed: the surge is about to go, and the pods would have
// nowhere to be. AWS does not say what becomes of the nodes.
func (r *rolling) giveBack(ctx context.Context) {
	plane, names := r.old()
	back, ok := plane.(Restorer)
	for _, name := range names {
		if !ok {
			return
		}
		if err := back.Uncordon(ctx, name); err != nil {
			r.s.w.Log.Warn("eks: a node of a failed update stays cordoned", "node", name, "error", err)
		}
	}
}

// old are the nodes of the machines that are to be replaced.
func (r *rolling) old() (plane ControlPlane, names []string) {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	for _, m := range r.s.members(r.g) {
		if m.templateRevision < r.revision && m.inst.State == "running" && m.registered {
			names = append(names, m.inst.PrivateDNSName)
		}
	}
	return r.g.cluster.plane, names
}

func (r *rolling) notJoining() error {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	if _, told := r.s.trip(r.g.cluster.name, r.g.name, "", exactly(nodeCreation)); told {
		r.s.kick(r.g.cluster.name)
	}
	return updateFailure{ErrorCode: nodeCreation, ErrorMessage: "Couldn't proceed with upgrade process as new nodes are not joining node group " + r.g.name, ResourceIDs: []string{r.g.groupName()}}
}

// replace drains and ends the old machines, in a random order and not more than batch at a time.
func (r *rolling) replace(ctx context.Context, batch int) error {
	s := r.s
	s.mu.Lock()
	var old []*machine
	for _, m := range s.members(r.g) {
		if m.templateRevision < r.revision && m.inst.State == "running" {
			old = append(old, m)
		}
	}
	s.mu.Unlock()
	for i := len(old) - 1; i > 0; i-- {
		j := s.w.IntN(i + 1)
		old[i], old[j] = old[j], old[i]
	}
	for len(old) > 0 {
		n := min(batch, len(old))
		errs := make([]error, n)
		var wg sync.WaitGroup
		for i, m := range old[:n] {
			wg.Go(func() { errs[i] = r.end(ctx, m, false) })
		}
		wg.Wait()
		if err := errors.Join(errs...); err != nil {
			return err
		}
		old = old[n:]
	}
	if s.awaitNodes(r.g, r.revision) || ctx.Err() != nil {
		return ctx.Err()
	}
	return r.notJoining()
}

// end drains a machine and terminates it. Without shrink the group replaces it, and end waits until it is gone.
func (r *rolling) end(ctx context.Context, m *machine, shrink bool) error {
	s := r.s
	s.mu.Lock()
	patience, told := cmp.Or(s.opt.EvictionPatience, evictionPatience), false
	if !shrink {
		_, told = s.trip(r.g.cluster.name, r.g.name, "", exactly(podEviction))
	}
	s.mu.Unlock()
	if told {
		return r.notEvicted(m)
	}
	if shrink {
		patience = surgePatience
	}
	if err := s.drain(ctx, m, patience, r.force); err != nil && !(shrink && errors.Is(err, errBlocked)) {
		if errors.Is(err, errBlocked) {
			return r.notEvicted(m)
		}
		return err
	}
	// EKS gives the service controller a minute to take the node out of its load balancers.
	if !sleep(ctx, s.w.Profile.ConfigUpdate) {
		return ctx.Err()
	}
	if err := s.opt.AutoScaling.TerminateInstance(s.instanceID(m), shrink); err != nil {
		return updateFailure{ErrorCode: "Unknown", ErrorMessage: err.Error(), ResourceIDs: []string{s.instanceID(m)}}
	}
	if !s.await(ctx, s.joinPatience(), func() bool { return s.machines[m.inst.ID] != m || m.inst.State != "running" }) {
		return updateFailure{ErrorCode: "Unknown", ErrorMessage: fmt.Sprintf("instance %s does not end", s.instanceID(m)), ResourceIDs: []string{s.instanceID(m)}}
	}
	return nil
}

func (r *rolling) notEvicted(m *machine) error {
	return updateFailure{ErrorCode: podEviction, ErrorMessage: "Reached max retries while trying to evict pods from nodes in node group " + r.g.name, ResourceIDs: []string{r.s.nodeName(m)}}
}

func (s *Service) nodeName(m *machine) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return m.inst.PrivateDNSName
}

func (s *Service) instanceID(m *machine) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return m.inst.ID
}

// scaleDown takes the surge away, one node after another, and gives the group its size back. A cluster autoscaler may
// have been faster.
func (r *rolling) scaleDown(ctx context.Context, surge int) error {
	if surge == 0 {
		return nil
	}
	s, g := r.s, r.g
	for {
		group, ok := s.opt.AutoScaling.Group(g.groupName())
		if !ok || group.Desired <= r.was.Desired {
			break
		}
		s.mu.Lock()
		var victim *machine
		for _, m := range s.members(g) {
			// The youngest machines have the fewest pods. After a failure these are the surge.
			if m.inst.State == "running" && (victim == nil || m.since.After(victim.since)) {
				victim = m
			}
		}
		s.mu.Unlock()
		if victim == nil {
			break
		}
		if err := r.end(ctx, victim, true); err != nil {
			return err
		}
	}
	return s.opt.AutoScaling.UpdateGroup(g.groupName(), &r.was.Min, &r.was.Max, &r.was.Desired)
}

func (r *rolling) finish(u *update, err error) {
	s, g := r.s, r.g
	s.mu.Lock()
	defer s.mu.Unlock()
	if g.cluster.ctx.Err() != nil {
		return
	}
	g.status, g.next, g.nextRelease, g.modified = active, "", "", time.Now()
	if err == nil {
		g.version, g.release = r.version, r.release
		s.end(u)
		return
	}
	var f updateFailure
	if !errors.As(err, &f) {
		f = updateFailure{ErrorCode: "Unknown", ErrorMessage: err.Error(), ResourceIDs: []string{g.groupName()}}
	}
	s.end(u, updateError(f))
}
