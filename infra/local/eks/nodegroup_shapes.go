package eks

import (
	"slices"
	"strings"
)

type remoteAccess struct {
	EC2SSHKey            string   `json:"ec2SshKey,omitempty"`
	SourceSecurityGroups []string `json:"sourceSecurityGroups,omitempty"`
}

// nodeRepairConfig is node auto repair. It is kept and shown; nothing here repairs, because nothing here makes the node
// of a running instance unhealthy.
type nodeRepairConfig struct {
	Enabled                             *bool                `json:"enabled,omitempty"`
	MaxUnhealthyNodeThresholdCount      *int                 `json:"maxUnhealthyNodeThresholdCount,omitempty"`
	MaxUnhealthyNodeThresholdPercentage *int                 `json:"maxUnhealthyNodeThresholdPercentage,omitempty"`
	MaxParallelNodesRepairedCount       *int                 `json:"maxParallelNodesRepairedCount,omitempty"`
	MaxParallelNodesRepairedPercentage  *int                 `json:"maxParallelNodesRepairedPercentage,omitempty"`
	NodeRepairConfigOverrides           []nodeRepairOverride `json:"nodeRepairConfigOverrides,omitempty"`
}

type nodeRepairOverride struct {
	NodeMonitoringCondition string `json:"nodeMonitoringCondition"`
	NodeUnhealthyReason     string `json:"nodeUnhealthyReason"`
	MinRepairWaitTimeMins   *int   `json:"minRepairWaitTimeMins"`
	RepairAction            string `json:"repairAction"`
}

func (n *nodeRepairConfig) check(cluster string) error {
	if n == nil {
		return nil
	}
	if n.MaxUnhealthyNodeThresholdCount != nil && n.MaxUnhealthyNodeThresholdPercentage != nil {
		return invalidParameter(cluster, "maxUnhealthyNodeThresholdCount and maxUnhealthyNodeThresholdPercentage cannot be specified together")
	}
	if n.MaxParallelNodesRepairedCount != nil && n.MaxParallelNodesRepairedPercentage != nil {
		return invalidParameter(cluster, "maxParallelNodesRepairedCount and maxParallelNodesRepairedPercentage cannot be specified together")
	}
	for _, f := range []struct {
		name  string
		value *int
		most  int
	}{
		{"maxUnhealthyNodeThresholdCount", n.MaxUnhealthyNodeThresholdCount, 0}, {"maxParallelNodesRepairedCount", n.MaxParallelNodesRepairedCount, 0},
		{"maxUnhealthyNodeThresholdPercentage", n.MaxUnhealthyNodeThresholdPercentage, 100}, {"maxParallelNodesRepairedPercentage", n.MaxParallelNodesRepairedPercentage, 100},
	} {
		if f.value != nil && (*f.value < 1 || f.most > 0 && *f.value > f.most) {
			return invalidParameter(cluster, "%s must be at least 1, and a percentage at most 100", f.name)
		}
	}
	for _, o := range n.NodeRepairConfigOverrides {
		if o.NodeMonitoringCondition == "" || o.NodeUnhealthyReason == "" || o.MinRepairWaitTimeMins == nil || o.RepairAction == "" {
			return invalidParameter(cluster, "All the values of nodeRepairConfigOverrides must be specified")
		}
		if !slices.Contains([]string{"Replace", "Reboot", "NoAction"}, o.RepairAction) || *o.MinRepairWaitTimeMins < 1 {
			return invalidParameter(cluster, "repairAction must be one of Replace, Reboot, NoAction, and minRepairWaitTimeMins at least 1")
		}
	}
	return nil
}

// warmPoolConfig is a warm pool as the API has it. The Auto Scaling of the embedded cloud keeps none: instances start
// when they are wanted.
type warmPoolConfig struct {
	Enabled                  *bool  `json:"enabled,omitempty"`
	MinSize                  *int   `json:"minSize,omitempty"`
	MaxGroupPreparedCapacity *int   `json:"maxGroupPreparedCapacity,omitempty"`
	PoolState                string `json:"poolState,omitempty"`
	ReuseOnScaleIn           *bool  `json:"reuseOnScaleIn,omitempty"`
}

// merge applies a request to the present warm pool; g tells what kind of machines there are. A disabled pool is gone.
func (p *warmPoolConfig) merge(g *nodegroup, r *warmPoolConfig) (*warmPoolConfig, error) {
	if r == nil {
		return p, nil
	}
	c := g.cluster.name
	zero, no := 0, false
	out := warmPoolConfig{Enabled: &no, MinSize: &zero, PoolState: "STOPPED", ReuseOnScaleIn: &no}
	if p != nil {
		out = *p
	}
	if r.Enabled != nil {
		out.Enabled = r.Enabled
	}
	if r.MinSize != nil {
		out.MinSize = r.MinSize
	}
	if r.MaxGroupPreparedCapacity != nil {
		out.MaxGroupPreparedCapacity = r.MaxGroupPreparedCapacity
	}
	if r.PoolState != "" {
		out.PoolState = r.PoolState
	}
	if r.ReuseOnScaleIn != nil {
		out.ReuseOnScaleIn = r.ReuseOnScaleIn
	}
	bottlerocket := strings.HasPrefix(g.ami, "BOTTLEROCKET_")
	switch {
	case !*out.Enabled:
		return nil, nil
	case !slices.Contains([]string{"STOPPED", "RUNNING", "HIBERNATED"}, out.PoolState):
		return nil, invalidParameter(c, "poolState must be one of STOPPED, RUNNING, HIBERNATED")
	case *out.MinSize < 0 || out.MaxGroupPreparedCapacity != nil && *out.MaxGroupPreparedCapacity < *out.MinSize:
		return nil, invalidParameter(c, "The warm pool's minSize must be at least 0 and not greater than maxGroupPreparedCapacity")
	case g.capacity == spot:
		// Auto Scaling's own rule: no warm pool in a group that launches Spot Instances.
		return nil, invalidParameter(c, "You can't add a warm pool to an Auto Scaling group that has a mixed instances policy or a launch template or launch configuration that requests Spot Instances.")
	case bottlerocket && out.PoolState == "HIBERNATED":
		return nil, invalidParameter(c, "Warm pool instances in the HIBERNATED state are not supported with Bottlerocket AMIs")
	case bottlerocket && *out.ReuseOnScaleIn:
		return nil, invalidParameter(c, "reuseOnScaleIn is not supported with Bottlerocket AMIs")
	}
	return &out, nil
}

// note lists the members of a request in its update.
func (p *warmPoolConfig) note(note func(kind string, value any)) {
	if p.Enabled != nil {
		note("WarmPoolEnabled", *p.Enabled)
	}
	if p.MinSize != nil {
		note("WarmPoolMinSize", *p.MinSize)
	}
	if p.MaxGroupPreparedCapacity != nil {
		note("WarmPoolMaxGroupPreparedCapacity", *p.MaxGroupPreparedCapacity)
	}
	if p.PoolState != "" {
		note("WarmPoolState", p.PoolState)
	}
	if p.ReuseOnScaleIn != nil {
		note("WarmPoolReuseOnScaleIn", *p.ReuseOnScaleIn)
	}
}
