package apply

import (
	"context"
	"fmt"

	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/plan"
)

// GroupSizer reads and sets the sizes of Auto Scaling groups, managed node groups' among them.
type GroupSizer interface {
	GroupSize(ctx context.Context, group string) (fleet.GroupSize, error)
	SetDesired(ctx context.Context, group string, desired int) error
	SetBounds(ctx context.Context, group string, size fleet.GroupSize) error
	SetManagedBounds(ctx context.Context, cluster, group string, size fleet.GroupSize) error
}

// GroupMaker makes and deletes managed node groups, and launches machines without one.
type GroupMaker interface {
	CreateGroup(ctx context.Context, cluster string, input fleet.Props) error
	DeleteGroup(ctx context.Context, cluster, group string) error
	Launch(ctx context.Context, input fleet.Props) (fleet.Launched, error)
}

// NodeRemover has a node drained and its machine ended.
type NodeRemover interface {
	Remove(ctx context.Context, a plan.RemoveNode) error
}

// ScalingWidth is how many of a step's actions run at once. EKS makes few node groups at a time; Auto Scaling takes more.
const ScalingWidth = 10

// Scaler carries out the actions of package decide/scaling on one cluster.
type Scaler struct {
	Cluster string
	Sizes   GroupSizer
	Groups  GroupMaker
	Nodes   NodeRemover
}

// Do carries out one action. What is there already and what is gone are success; a group whose size is not the one that was
// decided on is fault.Conflict; a fleet that got too little is a *ShortError.
func (s Scaler) Do(ctx context.Context, action plan.Action) error {
	switch a := action.(type) {
	case plan.ResizeGroup:
		return s.resize(ctx, a)
	case plan.CreateGroup:
		return fault.Ignore(s.Groups.CreateGroup(ctx, s.Cluster, a.Input), fault.Conflict)
	case plan.RetireGroup:
		return fault.Ignore(s.Groups.DeleteGroup(ctx, s.Cluster, a.Group), fault.NotFound)
	case plan.LaunchFleet:
		return s.launch(ctx, a)
	case plan.RemoveNode:
		return s.Nodes.Remove(ctx, a)
	}
	return unknown(action)
}

// resize sets sizes, if nobody has set them since the decision.
func (s Scaler) resize(ctx context.Context, a plan.ResizeGroup) error {
	now, err := s.Sizes.GroupSize(ctx, a.AutoScalingGroup)
	if err != nil {
		return err
	}
	want := fleet.GroupSize{Min: now.Min, Max: now.Max, Desired: a.To}
	if a.Min != nil {
		want.Min = *a.Min
	}
	if a.Max != nil {
		want.Max = *a.Max
	}
	switch {
	case now == want: // done already, by this action's first try
		return nil
	case now.Desired != a.From && now.Desired != a.To:
		return fault.New(fault.Conflict, "group %s has a desired size of %d by now, not %d", a.Group, now.Desired, a.From)
	case want.Min == now.Min && want.Max == now.Max:
		return s.Sizes.SetDesired(ctx, a.AutoScalingGroup, a.To)
	case a.EKS:
		return s.Sizes.SetManagedBounds(ctx, s.Cluster, a.Group, want)
	}
	return s.Sizes.SetBounds(ctx, a.AutoScalingGroup, want)
}

// ShortError says that EC2 launched fewer machines than it was asked for.
type ShortError struct {
	Wanted   int
	Launched fleet.Launched
}

func (e *ShortError) Error() string {
	s := fmt.Sprintf("%d of %d machines were launched", len(e.Launched.Instances), e.Wanted)
	for _, f := range e.Launched.Failures {
		s += fmt.Sprintf("; %s in %s: %s", f.Type, f.Zone, f.Code)
	}
	return s
}

func (s Scaler) launch(ctx context.Context, a plan.LaunchFleet) error {
	launched, err := s.Groups.Launch(ctx, a.Input)
	if err != nil {
		return err
	}
	if len(launched.Instances) < a.Count {
		return &fault.Error{Class: fault.Blocked, Op: "launch for pool " + a.Pool, Err: &ShortError{a.Count, launched}}
	}
	return nil
}
