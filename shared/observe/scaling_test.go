package observe

import (
	"context"
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/ekspedite/ekspedite/shared/decide/scaling"
	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

// region is a world of which parts cannot be read.
type region struct{ broken string }

func (r region) read(part string) error {
	if r.broken == part {
		return &fault.Error{Class: fault.Throttled, Op: part, Err: errors.New("slow down")}
	}
	return nil
}

func (r region) Workload(context.Context) (fleet.Workload, error) {
	return fleet.Workload{Version: "1.36", Pods: []fleet.Pod{{Name: "p"}}, Daemons: []fleet.Daemon{{Name: "d"}}, Budgets: []fleet.Budget{{ID: "b"}}, Incomplete: map[string]string{"daemons": "half"}}, r.read(PartPods)
}
func (r region) Capacity(context.Context) ([]fleet.Node, error) {
	return []fleet.Node{{Name: "n"}}, r.read(PartNodes)
}
func (r region) Groups(_ context.Context, cluster string) ([]scaling.Group, error) {
	return []scaling.Group{{Name: "of " + cluster}}, r.read(PartGroups)
}
func (r region) Market(context.Context) (fleet.Market, error) {
	return fleet.Market{Region: "r"}, r.read(PartMarket)
}
func (r region) Reclaims(_ context.Context, region string) ([]fleet.Reclaim, error) {
	return []fleet.Reclaim{{Zone: "of " + region}}, r.read(PartReclaims)
}
func (r region) Instances(context.Context, string) ([]fleet.Instance, error) {
	pool := func(name string) map[string]string { return map[string]string{fleet.TagPool: name} }
	inGroup := pool("p")
	inGroup[fleet.TagAutoScalingGroup] = "asg"
	return []fleet.Instance{
		{ID: "i-1", Type: "b", Zone: "z2", State: "running", Tags: pool("p")}, {ID: "i-2", Type: "a", Zone: "z1", State: "pending", Spot: true, Tags: pool("p")},
		{ID: "i-3", State: "terminated", Tags: pool("p")}, {ID: "i-4", State: "running", Tags: inGroup}, {ID: "i-5", State: "running"},
		{ID: "i-6", Type: "a", Zone: "z1", State: "running", Spot: true, Tags: pool("o")},
	}, r.read(PartInstances)
}

func TestAClusterIsObservedWhole(t *testing.T) {
	id, memory := fleet.ClusterID{Region: "r", Name: "demo"}, scaling.Memory{Orders: []scaling.Order{{Group: "g"}}}
	o, err := Scaling{region{}, region{}, region{}, region{}}.Cluster(t.Context(), id, memory)
	if err != nil {
		t.Fatal(err)
	}
	member := func(id, kind, zone, state string) scaling.GroupMember {
		return scaling.GroupMember{InstanceID: id, Type: kind, Zone: zone, State: state}
	}
	want := []scaling.Group{
		{Name: "of demo"},
		{Name: "o", Kind: scaling.Fleet, Pool: "o", Max: math.MaxInt32, Desired: 1, Spot: true, Types: []string{"a"}, Zones: []string{"z1"}, Members: []scaling.GroupMember{member("i-6", "a", "z1", "InService")}},
		{Name: "p", Kind: scaling.Fleet, Pool: "p", Max: math.MaxInt32, Desired: 2, Types: []string{"a", "b"}, Zones: []string{"z1", "z2"},
			Members: []scaling.GroupMember{member("i-1", "b", "z2", "InService"), member("i-2", "a", "z1", "Pending")}},
	}
	if !reflect.DeepEqual(o.Groups, want) {
		t.Errorf("%+v, want\n%+v", o.Groups, want)
	}
	if o.Cluster != id || o.Version != "1.36" || len(o.Nodes) != 1 || len(o.Pods) != 1 || len(o.Daemons) != 1 || len(o.Budgets) != 1 || len(o.Instances) != 6 || o.Market.Region != "r" ||
		len(o.Memory.Orders) != 1 || len(o.Reclaims) != 1 || o.Reclaims[0].Zone != "of r" || !reflect.DeepEqual(o.Incomplete, map[string]string{"daemons": "half"}) {
		t.Errorf("%+v", o)
	}
}

func TestWhatCannotBeReadIsNamed(t *testing.T) {
	for part, needed := range map[string]bool{PartPods: true, PartNodes: true, PartGroups: true, PartInstances: true, PartMarket: false, PartReclaims: false} {
		r := region{part}
		o, err := Scaling{r, r, r, r}.Cluster(t.Context(), fleet.ClusterID{Region: "r", Name: "demo"}, scaling.Memory{})
		if (err != nil) != needed || needed && (!fault.Is(err, fault.Throttled) || !strings.Contains(err.Error(), "cluster r/demo: reading its "+part)) {
			t.Errorf("%s: %v", part, err)
		}
		if !strings.Contains(o.Incomplete[part], "slow down") {
			t.Errorf("%s: %v", part, o.Incomplete)
		}
	}
}
