package observe_test

import (
	"context"
	"reflect"
	"testing"

	"github.com/ekspedite/ekspedite/shared/decide/nodemove"
	"github.com/ekspedite/ekspedite/shared/decide/upgradepath"
	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/observe"
)

// moves is a Region, and a cluster's nodes.
type moves struct {
	found     map[string]fleet.Resource // by reference
	templates []fleet.Resource
	images    map[string]string
	nodes     []fleet.Node
	err       error // of whatever is in fails
	fails     string
}

func (m moves) Read(_ context.Context, _ string, ref fleet.Ref) (fleet.Resource, error) {
	if m.fails == ref.ID {
		return fleet.Resource{}, m.err
	}
	have, ok := m.found[ref.ID]
	if !ok {
		return have, fault.New(fault.NotFound, "no %s", ref.ID)
	}
	return have, nil
}

func (m moves) Tagged(context.Context, string, []string) ([]fleet.Resource, error) {
	return m.templates, nil
}

func (m moves) Image(_ context.Context, name string) (string, error) { return m.images[name], nil }

func (m moves) Nodes(context.Context) ([]fleet.Node, error) { return m.nodes, nil }

func machine(id, zone, version, state string) fleet.Props {
	return fleet.Props{"instanceId": id, "availabilityZone": zone, "lifecycleState": state, "launchTemplate": fleet.Props{"launchTemplateId": "lt-1", "version": version}}
}

func TestMoves(t *testing.T) {
	m := moves{
		found: map[string]fleet.Resource{
			"nodegroup/web-0c39b2": {Status: "ACTIVE", Props: fleet.Props{}}, "nodegroup/web": {Status: "UPDATING", Props: fleet.Props{}},
			"scaling/web": {Props: fleet.Props{"minSize": 1, "desiredCapacity": 2, "maxSize": 3, "instances": []any{machine("i-1", "a", "7", "InService"), machine("i-2", "b", "7", "Terminating:Wait")}}},
			"asg/own":     {Props: fleet.Props{"minSize": 0, "desiredCapacity": 1, "maxSize": 3, "instances": []any{machine("i-3", "a", "2", "Pending")}}},
		},
		templates: []fleet.Resource{{Physical: "lt-1", Props: fleet.Props{"versionDescription": "0123 /aws/service/eks/optimized-ami/VERSION/x/image_id"}}},
		images:    map[string]string{"/aws/service/eks/optimized-ami/1.34/x/image_id": "ami-34"},
		nodes: []fleet.Node{
			{Name: "n1", UID: "u1", ProviderID: "aws:///a/i-1", Ready: true, Taints: []fleet.Taint{{Key: fleet.TagMoving}}, Labels: map[string]string{"eks.amazonaws.com/nodegroup": "web"}},
			{Name: "n2", UID: "u2", ProviderID: "aws:///b/i-2", Unschedulable: true, Labels: map[string]string{"eks.amazonaws.com/nodegroup": "web"}},
			{Name: "n3", UID: "u3", ProviderID: "aws:///a/i-3", Kubelet: "v1.33.2-eks-1"},
			{Name: "n4", UID: "u4", ProviderID: "aws:///a/i-4", Labels: map[string]string{"eks.amazonaws.com/nodegroup": "other"}},
		},
	}
	o := upgradepath.Observation{Cluster: fleet.ClusterID{Name: "demo"}, Groups: []upgradepath.Group{
		{Name: "web", Min: 9}, {Name: "web-0c39b2", StandsFor: "web"}, {Name: "own", SelfManaged: true, AutoScalingGroup: "asg-own", Template: "lt-1"}, {Name: "other"}, {Name: "web-ffffff", StandsFor: "web"},
	}}
	reads := observe.Moves{AWS: m, Nodes: m}
	for _, subject := range []string{"web", "web-0c39b2"} {
		in, err := reads.Step(t.Context(), o, upgradepath.Step{Subject: subject, Minor: 34})
		if err != nil || len(in.Groups) != 2 || in.Image != "" { // one has gone since
			t.Fatalf("%+v, %v", in, err)
		}
		g := in.Groups[0]
		if g.Name != "web" || g.Status != "UPDATING" || g.Min != 1 || g.Desired != 2 || g.Max != 3 ||
			!reflect.DeepEqual(g.Machines, []nodemove.Machine{{InstanceID: "i-1", Zone: "a", Template: "7", InService: true}}) {
			t.Errorf("%+v", g)
		}
		// A node whose machine is on its way out is still one of the group's: its pods may be there.
		want := []nodemove.Node{
			{Node: upgradepath.Node{Name: "n1", UID: "u1", InstanceID: "i-1", Group: "web", Ready: true}, Shut: true},
			{Node: upgradepath.Node{Name: "n2", UID: "u2", InstanceID: "i-2", Group: "web", Unschedulable: true}, Shut: true},
		}
		if !reflect.DeepEqual(in.Nodes, want) {
			t.Errorf("got  %+v\nwant %+v", in.Nodes, want)
		}
	}
	in, err := reads.Step(t.Context(), o, upgradepath.Step{Subject: "own", Minor: 34})
	if err != nil || in.Image != "ami-34" || len(in.Groups) != 1 || in.Groups[0].Desired != 1 || len(in.Nodes) != 1 || in.Nodes[0].Group != "own" || in.Nodes[0].Kubelet != 33 || in.Templates["lt-1"].Physical == "" {
		t.Errorf("%+v, %v", in, err)
	}
	if in, err = reads.Step(t.Context(), o, upgradepath.Step{Subject: "own", Minor: 34, Template: "5"}); err != nil || in.Image != "" {
		t.Errorf("the step names the version: %q, %v", in.Image, err)
	}
	m.fails, m.err = "scaling/web", fault.New(fault.Throttled, "slow down")
	if _, err := (observe.Moves{AWS: m, Nodes: m}).Step(t.Context(), o, upgradepath.Step{Subject: "web"}); !fault.Is(err, fault.Throttled) {
		t.Errorf("what could not be seen is not absent: %v", err)
	}
}
