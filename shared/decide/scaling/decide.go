package scaling

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/shared/decide/packing"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/plan"
)

// scene is one look at a cluster, as far as it has got.
type scene struct {
	now time.Time
	o   Observation
	p   fleet.ScalingPolicy
	d   Decision

	machines map[string]fleet.MachineType
	dearest  float64 // USD an hour for a core

	groups  []*group // sorted by name
	group   map[string]*group
	groupOf map[string]*group // by instance
	pools   []*pool
	pool    map[string]*pool
	nodes   []*node
	seen    map[seenKey]room

	memory   Memory
	progress []progress     // of memory.Orders
	giveBack map[string]int // by group: machines that were ordered and do not come

	waiting  []fleet.Pod // what is to be placed: pending pods, then placeholders
	pending  int         // how many of them are pods
	homeless int         // and how many of these are on nodes that are being interrupted
	left     []LeftPod
	asPacked map[*node]packing.Node

	resizes, creates, retires, removes []plan.Action
	orders                             []Order
	notes                              []string
}

func newScene(now time.Time, o Observation, p fleet.ScalingPolicy) *scene {
	return &scene{
		now: now, o: o, p: p, machines: map[string]fleet.MachineType{}, group: map[string]*group{}, groupOf: map[string]*group{},
		pool: map[string]*pool{}, seen: map[seenKey]room{}, giveBack: map[string]int{}, asPacked: map[*node]packing.Node{},
	}
}

// Decide answers one look at one cluster with a plan, with what is to be remembered, and with the reasons.
func Decide(now time.Time, o Observation, p fleet.ScalingPolicy) (Decision, error) {
	s := newScene(now, o, p)
	s.d.Memory = o.Memory
	s.d.Plan.Subject = "cluster " + o.Cluster.Name
	if o.Cluster.Name == "" {
		return s.d, fmt.Errorf("decide: the observation names no cluster")
	}
	if p.Mode != fleet.ScalingPlan && p.Mode != fleet.ScalingAct {
		s.d.Plan.Reason = "the policy has scaling off"
		return s.d, nil
	}
	if gap := gaps(o, "nodes", "pods", "groups"); gap != "" {
		s.d.Plan.Reason, s.d.Plan.LookAgain = "nothing can be decided: "+gap, soon
		return s.d, nil
	}
	if err := s.decide(); err != nil {
		return s.d, err
	}
	if err := s.check(); err != nil {
		return s.d, err
	}
	return s.d, nil
}

// gaps says which of these parts could not be read, and why; "" if all were.
func gaps(o Observation, parts ...string) string {
	var out []string
	for _, part := range parts {
		if why := o.Incomplete[part]; why != "" {
			out = append(out, part+" could not be read: "+why)
		}
	}
	return strings.Join(out, "; ")
}

func (s *scene) decide() error {
	for _, part := range slices.Sorted(maps.Keys(s.o.Incomplete)) {
		s.note("%s could not be read: %s", part, s.o.Incomplete[part])
	}
	s.readMarket()
	if err := s.readGroups(); err != nil {
		return err
	}
	s.readPools()
	s.remember()
	s.keepHours()
	s.readNodes()
	s.readPods()

	s.sleep()
	a := s.solve()
	s.explain(a)
	s.order(a)
	s.shrink(a)
	s.resize()
	s.retire()
	s.conclude(a)
	return nil
}

func (s *scene) note(format string, args ...any) {
	s.notes = append(s.notes, fmt.Sprintf(format, args...))
}

// noteOnce is for what is looked at several times.
func (s *scene) noteOnce(format string, args ...any) {
	if text := fmt.Sprintf(format, args...); !slices.Contains(s.notes, text) {
		s.notes = append(s.notes, text)
	}
}
