// Package observe reads the world into the observations that decisions are made of. It never writes.
package observe

import (
	"context"
	"sync"

	"github.com/ekspedite/ekspedite/shared/decide/interruption"
	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

// Nodes reads one cluster's nodes and pods.
type Nodes interface {
	Node(ctx context.Context, name string) (fleet.Node, error)
	Nodes(ctx context.Context) ([]fleet.Node, error)
	PodsOn(ctx context.Context, node string) ([]fleet.Pod, error)
	// Attachments lists what is attached to any node; ClaimedVolume is the volume of a claim, "" while it has none. An absent claim is
	// fault.NotFound.
	Attachments(ctx context.Context) ([]fleet.Attachment, error)
	ClaimedVolume(ctx context.Context, claim fleet.Claim) (string, error)
}

// Groups reads an instance's Auto Scaling group.
type Groups interface {
	ScalingGroup(ctx context.Context, instanceID string) (fleet.ScalingGroup, error)
	// GroupSize reads a group's least and its desired size.
	GroupSize(ctx context.Context, group string) (least, desired int, err error)
	// GroupState reads a group with its machines.
	GroupState(ctx context.Context, group string) (fleet.GroupState, error)
}

// Machine observes one machine of a cluster. Reads that do not depend on one another run at once. A read that fails for
// another reason than absence is named in Incomplete; the error is the first of them. Half a picture is enough to cordon.
func Machine(ctx context.Context, nodes Nodes, groups Groups, signal interruption.Signal, inst fleet.Instance) (interruption.Observation, error) {
	return machine(ctx, nodes, groups, signal, inst, true)
}

// MachineFirst is Machine without the pods where the cordon of a node is urgent, and they are PodsPending: listing them is most of what a
// look costs an API server, and in a burst the lists of some nodes would hold up the cordons of the others.
func MachineFirst(ctx context.Context, nodes Nodes, groups Groups, signal interruption.Signal, inst fleet.Instance) (interruption.Observation, error) {
	o, err := machine(ctx, nodes, groups, signal, inst, false)
	if err != nil && o.Node == nil || o.Hurried() {
		o.PodsPending = true
		return o, err
	}
	return Machine(ctx, nodes, groups, signal, inst)
}

func machine(ctx context.Context, nodes Nodes, groups Groups, signal interruption.Signal, inst fleet.Instance, pods bool) (interruption.Observation, error) {
	o := interruption.Observation{Signal: signal, Instance: &inst}
	var wg sync.WaitGroup
	var nodeErr, podErr, groupErr error
	wg.Go(func() { o.Group, groupErr = groupOf(ctx, groups, inst.ID, signal.Removal != nil) })
	wg.Go(func() { o.Node, nodeErr = findNode(ctx, nodes, inst) })
	var guess []fleet.Pod // of the node that has the machine's DNS name, which it nearly always is
	wg.Go(func() {
		if pods && inst.PrivateDNSName != "" {
			guess, podErr = nodes.PodsOn(ctx, inst.PrivateDNSName)
		}
	})
	wg.Wait()
	switch {
	case o.Node == nil, !pods: // whose pods these are is unknown
		podErr = nil
	case o.Node.Name == inst.PrivateDNSName:
		o.Pods = guess
	default:
		o.Pods, podErr = nodes.PodsOn(ctx, o.Node.Name)
	}
	var first error
	for _, read := range []struct {
		part interruption.Part
		err  error
	}{{interruption.PartNode, nodeErr}, {interruption.PartPods, podErr}, {interruption.PartGroup, groupErr}} {
		if read.err == nil {
			continue
		}
		if o.Incomplete == nil {
			o.Incomplete, first = map[interruption.Part]string{}, read.err
		}
		o.Incomplete[read.part] = read.err.Error()
	}
	return o, first
}

// groupOf reads a machine's group, with its sizes if the machine is to be removed.
func groupOf(ctx context.Context, groups Groups, instanceID string, sized bool) (fleet.ScalingGroup, error) {
	g, err := groups.ScalingGroup(ctx, instanceID)
	if err != nil || g.Name == "" || !sized {
		return g, err
	}
	g.Min, g.Desired, err = groups.GroupSize(ctx, g.Name)
	if err != nil {
		return fleet.ScalingGroup{}, err
	}
	return g, nil
}

// NodeOf finds the node of a machine; nil if it is none.
func NodeOf(ctx context.Context, nodes Nodes, inst fleet.Instance) (*fleet.Node, error) {
	return findNode(ctx, nodes, inst)
}

// findNode finds the node of a machine: by the name that EKS gives it, confirmed by the provider ID, or else by the
// provider ID among all. A name alone is never proof.
func findNode(ctx context.Context, nodes Nodes, inst fleet.Instance) (*fleet.Node, error) {
	if inst.PrivateDNSName != "" {
		n, err := nodes.Node(ctx, inst.PrivateDNSName)
		if err == nil && n.Is(inst.ID) {
			return &n, nil
		}
		if err != nil && !fault.Is(err, fault.NotFound) {
			return nil, err
		}
	}
	all, err := nodes.Nodes(ctx)
	if err != nil {
		return nil, err
	}
	for _, n := range all {
		if n.Is(inst.ID) {
			return &n, nil
		}
	}
	return nil, nil
}
