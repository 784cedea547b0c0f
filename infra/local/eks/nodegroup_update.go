package eks

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/wire"
)

type updateNodegroupConfigIn struct {
	ClusterName        string            `json:"-" path:"name"`
	NodegroupName      string            `json:"-" path:"nodegroupName"`
	Labels             *labelChange      `json:"labels"`
	Taints             *taintChange      `json:"taints"`
	ScalingConfig      *scalingConfig    `json:"scalingConfig"`
	UpdateConfig       *updateConfig     `json:"updateConfig"`
	NodeRepairConfig   *nodeRepairConfig `json:"nodeRepairConfig"`
	WarmPoolConfig     *warmPoolConfig   `json:"warmPoolConfig"`
	ClientRequestToken string            `json:"clientRequestToken"`
}

type labelChange struct {
	AddOrUpdateLabels map[string]string `json:"addOrUpdateLabels"`
	RemoveLabels      []string          `json:"removeLabels"`
}

type taintChange struct {
	AddOrUpdateTaints []taint `json:"addOrUpdateTaints"`
	RemoveTaints      []taint `json:"removeTaints"`
}

// changeable refuses a change of a node group that is not at rest. The caller holds s.mu.
func (s *Service) changeable(c *cluster, g *nodegroup) error {
	if c.status != active {
		return notActive(c.name)
	}
	if g.status != active && g.status != degraded || c.running(g.name, "") != nil {
		return named(inUse(c.name, "Nodegroup cannot be updated as it is currently not in Active State"), c.name, g.name)
	}
	return nil
}

func (s *Service) updateNodegroupConfig(_ context.Context, _ *wire.Call, in *updateNodegroupConfigIn) (*updateOut, error) {
	if err := in.NodeRepairConfig.check(in.ClusterName); err != nil {
		return nil, err
	}
	req := request{"UpdateNodegroupConfig/" + in.NodegroupName, in.ClientRequestToken, fingerprint(in)}
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
	u := &update{kind: "ConfigUpdate", nodegroup: g.name, request: req}
	next := *g
	node, err := next.configure(in, u, s.viewNodegroup(g).ScalingConfig)
	if err != nil {
		return nil, err
	}
	if in.ScalingConfig != nil {
		if err := s.opt.AutoScaling.UpdateGroup(g.groupName(), next.scaling.MinSize, next.scaling.MaxSize, next.scaling.DesiredSize); err != nil {
			return nil, invalidRequest(c.name, "%v", err)
		}
	}
	g.scaling, g.updateCfg, g.labels, g.taints, g.repair = next.scaling, next.updateCfg, next.labels, next.taints, next.repair
	g.warmPool = next.warmPool
	s.begin(c, u)
	g.status = updating
	s.w.Go(func(context.Context) { s.finishConfig(g, u, node) })
	return u.view(), nil
}

// configure applies a request to the group, notes it in the update, and returns what changes at its nodes.
func (g *nodegroup) configure(in *updateNodegroupConfigIn, u *update, present scalingConfig) (change NodeChange, err error) {
	c := g.cluster.name
	note := func(kind string, value any) { u.params = append(u.params, updateParam{kind, fmt.Sprint(value)}) }
	if r := in.ScalingConfig; r != nil {
		if g.scaling, err = present.merge(c, r); err != nil {
			return change, err
		}
		note("MinSize", *g.scaling.MinSize)
		note("MaxSize", *g.scaling.MaxSize)
		note("DesiredSize", *g.scaling.DesiredSize)
	}
	if r := in.UpdateConfig; r != nil {
		if g.updateCfg, err = g.updateCfg.merge(c, r); err != nil {
			return change, err
		}
		if r.MaxUnavailable != nil {
			note("MaxUnavailable", *r.MaxUnavailable)
		}
		if r.MaxUnavailablePercentage != nil {
			note("MaxUnavailablePercentage", *r.MaxUnavailablePercentage)
		}
		if r.UpdateStrategy != "" {
			note("UpdateStrategy", r.UpdateStrategy)
		}
	}
	if r := in.NodeRepairConfig; r != nil {
		g.repair = r
		if r.Enabled != nil {
			note("NodeRepairEnabled", *r.Enabled)
		}
		note("NodeRepairConfig", fingerprint(r))
	}
	if r := in.WarmPoolConfig; r != nil {
		if g.warmPool, err = g.warmPool.merge(g, r); err != nil {
			return change, err
		}
		r.note(note)
	}
	if r := in.Labels; r != nil {
		if err := checkLabels(c, r.AddOrUpdateLabels); err != nil {
			return change, err
		}
		g.labels = maps.Clone(g.labels)
		if g.labels == nil {
			g.labels = map[string]string{}
		}
		maps.Copy(g.labels, r.AddOrUpdateLabels)
		for _, k := range r.RemoveLabels {
			delete(g.labels, k)
		}
		change.SetLabels, change.RemoveLabels = r.AddOrUpdateLabels, r.RemoveLabels
		note("LabelsToAdd", fingerprint(r.AddOrUpdateLabels))
		note("LabelsToRemove", fingerprint(r.RemoveLabels))
	}
	if r := in.Taints; r != nil {
		all := slices.Concat(r.AddOrUpdateTaints, r.RemoveTaints)
		if err := checkTaints(c, all); err != nil {
			return change, err
		}
		same := func(a taint) func(taint) bool {
			return func(b taint) bool { return a.Key == b.Key && a.Effect == b.Effect }
		}
		g.taints = slices.DeleteFunc(slices.Clone(g.taints), func(t taint) bool { return slices.ContainsFunc(all, same(t)) })
		g.taints = append(g.taints, r.AddOrUpdateTaints...)
		for _, t := range r.AddOrUpdateTaints {
			change.SetTaints = append(change.SetTaints, NodeTaint{t.Key, t.Value, effects[t.Effect]})
		}
		for _, t := range r.RemoveTaints {
			change.RemoveTaints = append(change.RemoveTaints, NodeTaint{t.Key, t.Value, effects[t.Effect]})
		}
		note("TaintsToAdd", fingerprint(r.AddOrUpdateTaints))
		note("TaintsToRemove", fingerprint(r.RemoveTaints))
	}
	if len(u.params) == 0 {
		return change, invalidParameter(c, "No changes needed for the nodegroup config provided")
	}
	return change, nil
}

// finishConfig brings labels and taints to the nodes that exist and closes the update.
func (s *Service) finishConfig(g *nodegroup, u *update, change NodeChange) {
	ctx := g.cluster.ctx
	if !sleep(ctx, s.w.Profile.ConfigUpdate) {
		return
	}
	s.mu.Lock()
	plane := g.cluster.plane
	var nodes []string
	for _, m := range s.members(g) {
		if m.registered { // the others will register with the new ones
			nodes = append(nodes, m.inst.PrivateDNSName)
		}
	}
	s.mu.Unlock()
	var errs []updateError
	if len(change.SetLabels)+len(change.RemoveLabels)+len(change.SetTaints)+len(change.RemoveTaints) > 0 {
		for _, name := range nodes {
			if err := plane.Relabel(ctx, name, change); err != nil {
				errs = append(errs, updateError{"Unknown", err.Error(), []string{name}})
			}
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	g.status, g.modified = active, time.Now()
	s.end(u, errs...)
}
