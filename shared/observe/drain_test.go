package observe_test

import (
	"context"
	"errors"
	"reflect"
	"testing"

	"github.com/ekspedite/ekspedite/shared/decide/interruption"
	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/observe"
)

// world is a cluster's nodes with a pod each, and calls that fail.
type world struct {
	nodes []fleet.Node
	fail  map[string]error
	lists int

	group    fleet.GroupState
	attached []fleet.Attachment
	claims   map[fleet.Claim]string
}

func (w *world) GroupState(context.Context, string) (fleet.GroupState, error) {
	return w.group, w.fail["state"]
}

func (w *world) Attachments(context.Context) ([]fleet.Attachment, error) {
	return w.attached, w.fail["attachments"]
}

func (w *world) ClaimedVolume(_ context.Context, c fleet.Claim) (string, error) {
	v, ok := w.claims[c]
	if !ok {
		return "", fault.New(fault.NotFound, "no claim")
	}
	return v, w.fail["claims"]
}

func (w *world) Node(_ context.Context, name string) (fleet.Node, error) {
	for _, n := range w.nodes {
		if n.Name == name {
			return n, w.fail["node"]
		}
	}
	return fleet.Node{}, errors.Join(fault.New(fault.NotFound, "no node"), w.fail["node"])
}

func (w *world) Nodes(context.Context) ([]fleet.Node, error) {
	w.lists++
	return w.nodes, w.fail["nodes"]
}

func (w *world) PodsOn(_ context.Context, node string) ([]fleet.Pod, error) {
	return []fleet.Pod{{Name: "on-" + node}}, w.fail["pods"]
}

func (w *world) ScalingGroup(context.Context, string) (fleet.ScalingGroup, error) {
	return fleet.ScalingGroup{Name: "g"}, w.fail["group"]
}

func (w *world) GroupSize(context.Context, string) (least, desired int, err error) {
	return 1, 3, w.fail["size"]
}

func TestMachineOfARemovalHasItsGroupsSizes(t *testing.T) {
	removal := interruption.Signal{InstanceID: "i-1", Removal: &interruption.Removal{}}
	w := &world{fail: map[string]error{}}
	o, err := observe.Machine(t.Context(), w, w, removal, fleet.Instance{ID: "i-1"})
	if err != nil || o.Group.Min != 1 || o.Group.Desired != 3 {
		t.Errorf("group %+v, %v", o.Group, err)
	}
	w.fail["size"] = errors.New("away")
	if o, err = observe.Machine(t.Context(), w, w, removal, fleet.Instance{ID: "i-1"}); err == nil || o.Incomplete[interruption.PartGroup] == "" || o.Group.Name != "" {
		t.Errorf("a size that was not read: %+v, %v", o, err)
	}
	if o, err = observe.Machine(t.Context(), w, w, interruption.Signal{InstanceID: "i-1"}, fleet.Instance{ID: "i-1"}); err != nil || o.Group.Desired != 0 {
		t.Errorf("sizes cost a call that only removals need: %+v, %v", o.Group, err)
	}
}

func TestMachine(t *testing.T) {
	node := func(name, id string) fleet.Node { return fleet.Node{Name: name, ProviderID: "aws:///a/" + id} }
	away := errors.New("away")
	for name, tc := range map[string]struct {
		nodes      []fleet.Node
		dns        string
		fail       map[string]error
		node, pods string
		incomplete []interruption.Part
		lists      int
	}{
		"by its name":                      {nodes: []fleet.Node{node("ip-1", "i-1")}, dns: "ip-1", node: "ip-1", pods: "on-ip-1"},
		"R4 the name is another machine's": {nodes: []fleet.Node{node("ip-1", "i-2"), node("x", "i-1")}, dns: "ip-1", node: "x", pods: "on-x", lists: 1},
		"R4 a name alone is no proof":      {nodes: []fleet.Node{node("ip-1", "i-11")}, dns: "ip-1", lists: 1},
		"R4 nor is the end of an id":       {nodes: []fleet.Node{node("ip-1", "xi-1")}, dns: "ip-1", lists: 1},
		"no name":                          {nodes: []fleet.Node{node("x", "i-1")}, node: "x", pods: "on-x", lists: 1},
		"no node, and pods fail":           {dns: "ip-1", fail: map[string]error{"pods": away}, lists: 1},
		"pods fail":                        {nodes: []fleet.Node{node("ip-1", "i-1")}, dns: "ip-1", fail: map[string]error{"pods": away}, node: "ip-1", incomplete: []interruption.Part{interruption.PartPods}},
		"group fails":                      {nodes: []fleet.Node{node("ip-1", "i-1")}, dns: "ip-1", fail: map[string]error{"group": away}, node: "ip-1", pods: "on-ip-1", incomplete: []interruption.Part{interruption.PartGroup}},
		"node fails":                       {nodes: []fleet.Node{node("ip-1", "i-1")}, dns: "ip-1", fail: map[string]error{"node": away}, incomplete: []interruption.Part{interruption.PartNode}},
		"list fails":                       {dns: "ip-1", fail: map[string]error{"nodes": away}, incomplete: []interruption.Part{interruption.PartNode}, lists: 1},
		"all fails": {dns: "ip-1", fail: map[string]error{"nodes": away, "pods": away, "group": away},
			incomplete: []interruption.Part{interruption.PartNode, interruption.PartGroup}, lists: 1},
	} {
		t.Run(name, func(t *testing.T) {
			w := &world{nodes: tc.nodes, fail: tc.fail}
			o, err := observe.Machine(t.Context(), w, w, interruption.Signal{InstanceID: "i-1"}, fleet.Instance{ID: "i-1", PrivateDNSName: tc.dns})
			var gotNode, gotPods string
			if o.Node != nil {
				gotNode = o.Node.Name
			}
			if len(o.Pods) > 0 && o.Incomplete[interruption.PartPods] == "" {
				gotPods = o.Pods[0].Name
			}
			want := map[interruption.Part]string(nil)
			for _, p := range tc.incomplete {
				if want == nil {
					want = map[interruption.Part]string{}
				}
				want[p] = "away"
			}
			if gotNode != tc.node || gotPods != tc.pods || w.lists != tc.lists || !reflect.DeepEqual(o.Incomplete, want) || (err != nil) != (want != nil) {
				t.Errorf("node %q, pods %q, %d lists, incomplete %v, %v", gotNode, gotPods, w.lists, o.Incomplete, err)
			}
		})
	}
}

// TestTheFirstLookIsForTheCordon: the pods of a node that still takes work are left for the next look; of others everything is read.
func TestTheFirstLookIsForTheCordon(t *testing.T) {
	goes := interruption.Signal{InstanceID: "i-1", Involuntary: true}
	inst := fleet.Instance{ID: "i-1", PrivateDNSName: "a", State: "running"}
	cordoned := fleet.Node{Name: "a", ProviderID: "aws:///z/i-1", Unschedulable: true, Labels: map[string]string{interruption.LBLabel: "x"},
		Taints: []fleet.Taint{{Key: fleet.TaintInterruption}}}
	for name, tc := range map[string]struct {
		node    fleet.Node
		signal  interruption.Signal
		fail    map[string]error
		pending bool
		pods    int
	}{
		"it takes work":          {fleet.Node{Name: "a", ProviderID: "aws:///z/i-1"}, goes, nil, true, 0},
		"it is cordoned already": {cordoned, goes, nil, false, 1},
		"by choice":              {fleet.Node{Name: "a", ProviderID: "aws:///z/i-1"}, interruption.Signal{InstanceID: "i-1"}, nil, false, 1},
		"it cannot be read":      {cordoned, goes, map[string]error{"node": errors.New("silent")}, true, 0},
		"it is no node":          {fleet.Node{Name: "b", ProviderID: "aws:///z/i-2"}, goes, nil, false, 0},
	} {
		w := &world{nodes: []fleet.Node{tc.node}, fail: tc.fail}
		o, err := observe.MachineFirst(t.Context(), w, w, tc.signal, inst)
		if o.PodsPending != tc.pending || len(o.Pods) != tc.pods || (err != nil) != (tc.fail != nil) {
			t.Errorf("%s: pending %t, %d pods, %v", name, o.PodsPending, len(o.Pods), err)
		}
	}
}
