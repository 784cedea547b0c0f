package interruption_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/work/interruption"
)

// ecsMap is an ECS that knows where machines are, and counts who asks.
type ecsMap struct {
	mu       sync.Mutex
	clusters []string
	machines map[string]string // instance: cluster
	broken   map[string]error  // by cluster; "" is the list
	lists    int
	asked    map[string]int
}

func (m *ecsMap) ECSClusters(context.Context) ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lists++
	return m.clusters, m.broken[""]
}

func (m *ecsMap) FindMachine(_ context.Context, cluster, id string) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.asked[cluster]++
	switch {
	case m.broken[cluster] != nil:
		return "", m.broken[cluster]
	case m.machines[id] != cluster:
		return "", fault.New(fault.NotFound, "not there")
	}
	return "ci/" + id, nil
}

func inGroup(id, group string) fleet.Instance {
	return fleet.Instance{ID: id, Tags: map[string]string{fleet.TagAutoScalingGroup: group}}
}

func TestPlaces(t *testing.T) {
	now := time.Date(2026, 3, 3, 0, 0, 0, 0, time.UTC)
	m := &ecsMap{machines: map[string]string{"i-1": "c/1", "i-2": "c/1"}, broken: map[string]error{}, asked: map[string]int{}}
	for n := range 30 {
		m.clusters = append(m.clusters, fmt.Sprintf("c/%d", n))
	}
	p := &interruption.Places{ECS: m, Now: func() time.Time { return now }}
	find := func(inst fleet.Instance, wide bool) (interruption.Place, int, error) {
		before := 0
		for _, n := range m.asked {
			before += n
		}
		at, err := p.Find(t.Context(), inst, wide)
		after := 0
		for _, n := range m.asked {
			after += n
		}
		return at, after - before, err
	}
	one := interruption.Place{Cluster: "c/1", ContainerInstance: "ci/i-1"}
	two := interruption.Place{Cluster: "c/1", ContainerInstance: "ci/i-2"}
	none := interruption.Place{}
	for _, step := range []struct {
		name  string
		inst  fleet.Instance
		wide  bool
		want  interruption.Place
		least int // clusters asked
		most  int
		after time.Duration
	}{
		{"a state change of a stranger", inGroup("i-1", "g"), false, none, 0, 0, 0},
		{"a search", inGroup("i-1", "g"), true, one, 1, 30, 0},
		{"remembered", inGroup("i-1", "g"), false, one, 0, 0, 0},
		{"its group is remembered, too", inGroup("i-2", "g"), false, two, 1, 1, 0},
		{"a new machine of the group that has not registered", inGroup("i-3", "g"), false, none, 1, 1, 0},
		{"a stranger", inGroup("i-4", "other"), true, none, 30, 30, 0},
		{"another of its group", inGroup("i-5", "other"), true, none, 0, 0, 0},
		{"the same two minutes later", inGroup("i-5", "other"), true, none, 30, 30, 2 * time.Minute},
		{"forgotten", inGroup("i-1", "g"), false, none, 0, 0, 10 * time.Minute},
		{"named by its tag", fleet.Instance{ID: "i-1", Tags: map[string]string{fleet.TagECSCluster: "1"}}, false, one, 1, 1, 0},
	} {
		now = now.Add(step.after)
		got, asked, err := find(step.inst, step.wide)
		if err != nil || got != step.want || asked < step.least || asked > step.most {
			t.Errorf("%s: %+v, %d clusters asked, %v; want %+v", step.name, got, asked, err, step.want)
		}
	}
	if m.lists > 3 {
		t.Errorf("the clusters were listed %d times", m.lists)
	}
}

// A cluster that cannot be asked is a failure only where the machine was not found, and what is forbidden is nobody's failure:
// else every machine of an account that has closed ECS would end in the dead-letter queue.
func TestPlacesThatCannotBeAsked(t *testing.T) {
	broken, denied := fault.New(fault.Transient, "broken"), fault.New(fault.Denied, "denied")
	for name, tc := range map[string]struct {
		broken map[string]error
		inst   string
		found  bool
		fails  bool
	}{
		"found beside a broken one":  {map[string]error{"c/2": broken}, "i-1", true, false},
		"nowhere but perhaps there":  {map[string]error{"c/2": broken}, "i-9", false, true},
		"nowhere, one is forbidden":  {map[string]error{"c/2": denied}, "i-9", false, false},
		"the list is forbidden":      {map[string]error{"": denied}, "i-1", false, false},
		"the list cannot be had now": {map[string]error{"": broken}, "i-1", false, true},
	} {
		m := &ecsMap{machines: map[string]string{"i-1": "c/1"}, broken: tc.broken, asked: map[string]int{}, clusters: []string{"c/1", "c/2"}}
		if tc.broken[""] != nil {
			m.clusters = nil
		}
		p := &interruption.Places{ECS: m, Now: time.Now}
		at, err := p.Find(t.Context(), fleet.Instance{ID: tc.inst}, true)
		if (err != nil) != tc.fails || (at != interruption.Place{}) != tc.found {
			t.Errorf("%s: %+v, %v", name, at, err)
		}
		if err == nil {
			continue
		}
		m.broken = map[string]error{}
		if m.clusters == nil {
			m.clusters = []string{"c/1", "c/2"}
		}
		if at, err := p.Find(t.Context(), fleet.Instance{ID: "i-1"}, true); err != nil || at.Cluster != "c/1" {
			t.Errorf("%s: a failure was remembered: %+v, %v", name, at, err)
		}
	}
}
