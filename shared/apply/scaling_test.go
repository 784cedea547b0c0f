package apply

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/plan"
)

// groups are AWS's, as far as sizes and fleets are concerned.
type groups struct {
	size  fleet.GroupSize
	calls []string
	err   error
	got   fleet.Launched
}

func (g *groups) GroupSize(context.Context, string) (fleet.GroupSize, error) { return g.size, nil }
func (g *groups) did(format string, args ...any) error {
	g.calls = append(g.calls, fmt.Sprintf(format, args...))
	return g.err
}
func (g *groups) SetDesired(_ context.Context, name string, n int) error {
	return g.did("desired %s %d", name, n)
}
func (g *groups) SetBounds(_ context.Context, name string, s fleet.GroupSize) error {
	return g.did("bounds %s %v", name, s)
}
func (g *groups) SetManagedBounds(_ context.Context, cluster, name string, s fleet.GroupSize) error {
	return g.did("managed %s/%s %v", cluster, name, s)
}
func (g *groups) CreateGroup(_ context.Context, cluster string, in fleet.Props) error {
	return g.did("create %s %v", cluster, in)
}
func (g *groups) DeleteGroup(_ context.Context, cluster, name string) error {
	return g.did("delete %s/%s", cluster, name)
}
func (g *groups) Launch(_ context.Context, in fleet.Props) (fleet.Launched, error) {
	return g.got, g.did("launch %v", in)
}
func (g *groups) Remove(_ context.Context, a plan.RemoveNode) error {
	return g.did("remove %s", a.Node)
}

func TestResizing(t *testing.T) {
	least, most := 0, 20
	resize := plan.ResizeGroup{Group: "g", AutoScalingGroup: "asg", From: 2, To: 5}
	with := func(edit func(*plan.ResizeGroup)) plan.ResizeGroup {
		a := resize
		edit(&a)
		return a
	}
	for name, tc := range map[string]struct {
		action plan.ResizeGroup
		now    fleet.GroupSize
		want   []string
		class  fault.Class
		ok     bool
	}{
		"up":                        {resize, fleet.GroupSize{Min: 1, Max: 9, Desired: 2}, []string{"desired asg 5"}, 0, true},
		"done already":              {resize, fleet.GroupSize{Min: 1, Max: 9, Desired: 5}, nil, 0, true},
		"somebody was faster":       {resize, fleet.GroupSize{Min: 1, Max: 9, Desired: 3}, nil, fault.Conflict, false},
		"to sleep":                  {with(func(a *plan.ResizeGroup) { a.To, a.Min, a.EKS = 0, &least, true }), fleet.GroupSize{Min: 1, Max: 9, Desired: 2}, []string{"managed demo/g {0 9 0}"}, 0, true},
		"to sleep, half done":       {with(func(a *plan.ResizeGroup) { a.To, a.Min, a.EKS = 0, &least, true }), fleet.GroupSize{Min: 1, Max: 9, Desired: 0}, []string{"managed demo/g {0 9 0}"}, 0, true},
		"to sleep, done":            {with(func(a *plan.ResizeGroup) { a.To, a.Min, a.EKS = 0, &least, true }), fleet.GroupSize{Min: 0, Max: 9, Desired: 0}, nil, 0, true},
		"bounds of one of ours":     {with(func(a *plan.ResizeGroup) { a.Max = &most }), fleet.GroupSize{Min: 1, Max: 9, Desired: 2}, []string{"bounds asg {1 20 5}"}, 0, true},
		"bounds that it has anyway": {with(func(a *plan.ResizeGroup) { a.Min = &least }), fleet.GroupSize{Min: 0, Max: 9, Desired: 2}, []string{"desired asg 5"}, 0, true},
	} {
		g := &groups{size: tc.now}
		err := Scaler{Cluster: "demo", Sizes: g, Groups: g, Nodes: g}.Do(t.Context(), tc.action)
		if !slices.Equal(g.calls, tc.want) || (err == nil) != tc.ok || err != nil && fault.Of(err) != tc.class {
			t.Errorf("%s: %q, %v", name, g.calls, err)
		}
	}
}

func TestScalingTwiceIsOnce(t *testing.T) {
	for name, tc := range map[string]struct {
		action plan.Action
		fine   fault.Class
	}{
		"a group that is there": {plan.CreateGroup{}, fault.Conflict}, "a group that is gone": {plan.RetireGroup{}, fault.NotFound},
	} {
		for c := fault.Transient; c <= fault.Invalid; c++ {
			g := &groups{err: fault.New(c, "no")}
			if err := (Scaler{Sizes: g, Groups: g, Nodes: g}).Do(t.Context(), tc.action); (err == nil) != (c == tc.fine) {
				t.Errorf("%s, %s: %v", name, c, err)
			}
		}
	}
	if err := (Scaler{}).Do(t.Context(), plan.EvictPod{}); !fault.Is(err, fault.Invalid) {
		t.Errorf("another domain's action: %v", err)
	}
}

func TestAFleetThatGotTooLittle(t *testing.T) {
	none := fleet.LaunchFailure{Code: "InsufficientInstanceCapacity", Type: "m5.large", Zone: "a"}
	g := &groups{got: fleet.Launched{Instances: []string{"i-1"}, Failures: []fleet.LaunchFailure{none}}}
	s := Scaler{Sizes: g, Groups: g, Nodes: g}
	err := s.Do(t.Context(), plan.LaunchFleet{Pool: "p", Count: 3})
	short, ok := errors.AsType[*ShortError](err)
	if !ok || !fault.Is(err, fault.Blocked) || short.Wanted != 3 || short.Launched.Failures[0] != none {
		t.Errorf("%v", err)
	}
	if want := "launch for pool p: 1 of 3 machines were launched; m5.large in a: InsufficientInstanceCapacity"; err == nil || err.Error() != want {
		t.Errorf("%v", err)
	}
	if err := s.Do(t.Context(), plan.LaunchFleet{Pool: "p", Count: 1}); err != nil {
		t.Errorf("all that was asked for: %v", err)
	}
}
