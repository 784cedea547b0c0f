package observe_test

import (
	"errors"
	"reflect"
	"testing"

	"github.com/ekspedite/ekspedite/shared/decide/interruption"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/observe"
)

// TestR26_WhoseVolumes: what pods that stay have mounted is not waited for, nor what another node has as well, nor what is
// another node's.
func TestR26_WhoseVolumes(t *testing.T) {
	w := &world{
		attached: []fleet.Attachment{{Volume: "pv-db", Node: "n"}, {Volume: "pv-cache", Node: "n"}, {Volume: "pv-shared", Node: "n"}, {Volume: "pv-shared", Node: "m"},
			{Volume: "pv-other", Node: "m"}, {Volume: "pv-log", Node: "n"}},
		claims: map[fleet.Claim]string{{Namespace: "kube-system", Name: "log"}: "pv-log"},
		fail:   map[string]error{},
	}
	o := interruption.Observation{Node: &fleet.Node{Name: "n"}}
	wants := interruption.Wants{Volumes: true, Except: []fleet.Claim{{Namespace: "kube-system", Name: "log"}, {Namespace: "default", Name: "gone"}}}
	observe.Further(t.Context(), w, w, &o, wants)
	if want := []string{"pv-cache", "pv-db"}; !reflect.DeepEqual(o.Attached, want) || len(o.Incomplete) > 0 {
		t.Errorf("attached %q, want %q; incomplete %v", o.Attached, want, o.Incomplete)
	}
	for _, part := range []string{"attachments", "claims"} {
		w.fail = map[string]error{part: errors.New("away")}
		o = interruption.Observation{Node: &fleet.Node{Name: "n"}}
		if observe.Further(t.Context(), w, w, &o, wants); o.Incomplete[interruption.PartVolumes] == "" || o.Attached != nil {
			t.Errorf("%s failed: %v, %v", part, o.Incomplete, o.Attached)
		}
	}
}

// TestTheReplacementIsThere when as many of the group's machines as it wants are Ready nodes that take work.
func TestTheReplacementIsThere(t *testing.T) {
	node := func(id string, ready, cordoned bool) fleet.Node {
		return fleet.Node{Name: id, ProviderID: "aws:///us-east-1a/" + id, Ready: ready, Unschedulable: cordoned}
	}
	w := &world{
		nodes: []fleet.Node{node("i-1", true, false), node("i-2", false, false), node("i-3", true, true), node("i-4", true, false), node("i-elsewhere", true, false)},
		group: fleet.GroupState{Name: "g", Desired: 4, InService: []string{"i-1", "i-2", "i-3", "i-4", "i-5"}},
		fail:  map[string]error{},
	}
	var o interruption.Observation
	observe.Further(t.Context(), w, w, &o, interruption.Wants{Replacement: "g"})
	if o.ReadyThere != 2 || o.Replacement.Desired != 4 || len(o.Incomplete) > 0 {
		t.Errorf("%d ready of %+v, incomplete %v", o.ReadyThere, o.Replacement, o.Incomplete)
	}
	for _, part := range []string{"state", "nodes"} {
		w.fail = map[string]error{part: errors.New("away")}
		o = interruption.Observation{}
		if observe.Further(t.Context(), w, w, &o, interruption.Wants{Replacement: "g"}); o.Incomplete[interruption.PartReplacement] == "" {
			t.Errorf("%s failed: %v", part, o.Incomplete)
		}
	}
	w.fail, w.group.Rebalances = map[string]error{}, true
	if observe.Further(t.Context(), w, w, &o, interruption.Wants{Group: "g"}); !o.Group.Rebalances {
		t.Error("the group's capacity rebalancing was not read")
	}
}
