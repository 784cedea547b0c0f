package observe

import (
	"context"
	"slices"
	"sync"

	"github.com/ekspedite/ekspedite/shared/decide/interruption"
	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

// Further adds to an observation what only some looks need. What could not be read is named in Incomplete.
func Further(ctx context.Context, nodes Nodes, groups Groups, o *interruption.Observation, wants interruption.Wants) {
	var wg sync.WaitGroup
	var groupErr, replacementErr, volumeErr error
	if wants.Group != "" {
		wg.Go(func() {
			var g fleet.GroupState
			g, groupErr = groups.GroupState(ctx, wants.Group)
			o.Group.Rebalances = g.Rebalances
		})
	}
	if wants.Replacement != "" {
		wg.Go(func() {
			o.Replacement, o.ReadyThere, replacementErr = replacement(ctx, nodes, groups, wants.Replacement)
		})
	}
	if wants.Volumes {
		wg.Go(func() { o.Attached, volumeErr = volumes(ctx, nodes, o.Node.Name, wants.Except) })
	}
	wg.Wait()
	for _, read := range []struct {
		part interruption.Part
		err  error
	}{{interruption.PartGroup, groupErr}, {interruption.PartReplacement, replacementErr}, {interruption.PartVolumes, volumeErr}} {
		if read.err == nil {
			continue
		}
		if o.Incomplete == nil {
			o.Incomplete = map[interruption.Part]string{}
		}
		o.Incomplete[read.part] = read.err.Error()
	}
}

// replacement reads a group, and counts those of its machines that are Ready nodes which take work.
func replacement(ctx context.Context, nodes Nodes, groups Groups, group string) (g fleet.GroupState, ready int, err error) {
	var wg sync.WaitGroup
	var all []fleet.Node
	var nodeErr error
	wg.Go(func() { g, err = groups.GroupState(ctx, group) })
	wg.Go(func() { all, nodeErr = nodes.Nodes(ctx) })
	wg.Wait()
	if err == nil {
		err = nodeErr
	}
	for _, n := range all {
		if n.Ready && !n.Unschedulable && slices.Contains(g.InService, n.InstanceID()) {
			ready++
		}
	}
	return g, ready, err
}

// volumes are those that are attached to a node and to no other, but for those of some claims. A volume that several nodes have
// at once holds nobody up.
func volumes(ctx context.Context, nodes Nodes, node string, except []fleet.Claim) ([]string, error) {
	var wg sync.WaitGroup
	var all []fleet.Attachment
	var err error
	stay, claimErrs := make([]string, len(except)), make([]error, len(except))
	wg.Go(func() { all, err = nodes.Attachments(ctx) })
	for i, c := range except {
		wg.Go(func() { stay[i], claimErrs[i] = nodes.ClaimedVolume(ctx, c) })
	}
	wg.Wait()
	for _, e := range claimErrs {
		if err == nil {
			err = fault.Ignore(e, fault.NotFound)
		}
	}
	if err != nil {
		return nil, err
	}
	elsewhere := map[string]bool{}
	for _, a := range all {
		elsewhere[a.Volume] = elsewhere[a.Volume] || a.Node != node
	}
	var out []string
	for _, a := range all {
		if a.Node == node && !elsewhere[a.Volume] && !slices.Contains(stay, a.Volume) && !slices.Contains(out, a.Volume) {
			out = append(out, a.Volume)
		}
	}
	slices.Sort(out)
	return out, nil
}
