package scaleview

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/shared/decide/scaling"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/plan"
)

var now = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// busy is a decision with one of everything.
func busy() (scaling.Observation, scaling.Decision) {
	node := func(name string) fleet.Node {
		return fleet.Node{
			Name: name, UID: "uid-" + name, Allocatable: fleet.Resources{CPU: 1930, Memory: 7 << 30},
			Labels: map[string]string{fleet.LabelInstanceType: "m5.large", fleet.LabelZone: "eu-west-1a", fleet.LabelEKSCapacity: fleet.OnDemand, fleet.LabelEKSNodegroup: "main"},
		}
	}
	pod := func(name, node string) fleet.Pod {
		return fleet.Pod{Namespace: "shop", Name: name, Node: node, Owner: fleet.Owner{Kind: "ReplicaSet", Name: "web"}, Demand: &fleet.Demand{Requests: fleet.Resources{CPU: 400, Memory: 1 << 30}}}
	}
	o := scaling.Observation{
		Cluster: fleet.ClusterID{Region: "eu-west-1", Name: "prod"}, Nodes: []fleet.Node{node("stays"), node("goes")},
		Pods:   []fleet.Pod{pod("a", "stays"), pod("b", "goes"), pod("c", ""), pod("d", ""), pod("e", "")},
		Market: fleet.Market{Types: []fleet.MachineType{{Name: "m5.large", Offerings: []fleet.Offering{{Zone: "eu-west-1a", Price: 0.107}}}}},
	}
	d := scaling.Decision{Explanation: scaling.Explanation{
		Before: scaling.Total{Nodes: 2, Price: 0.214, Unknown: 1}, After: scaling.Total{Nodes: 2, Price: 0.139},
		New: []scaling.NewNode{{Group: "spot", Type: "c7g.large", Zone: "eu-west-1b", Capacity: fleet.Spot, Price: 0.032, Pods: []string{"shop/d"}, Why: "the least price",
			Room: fleet.Resources{CPU: 1930, Memory: 3 << 30}, Used: fleet.Resources{CPU: 400, Memory: 1 << 30}}},
		Going:  []scaling.GoingNode{{Node: "goes", Group: "main", Reason: "Underused", Why: "its pods fit elsewhere", Price: 0.107, Pods: []string{"shop/b"}}},
		Placed: map[string]string{"shop/c": "stays", "shop/d": "new/0"},
		Left:   []scaling.LeftPod{{Pod: "shop/e", Reason: "c7g.large is too small"}},
		Kept:   []scaling.KeptNode{{Node: "stays", Why: "shop/a is not to be disrupted"}},
		Saves:  0.107, Evictions: 1,
	}}
	d.Plan.Reason, d.Plan.Notes = "3 pods wait", []string{"the market is 2h old"}
	d.Plan.Add("make room", plan.ResizeGroup{Group: "spot", AutoScalingGroup: "asg", From: 0, To: 1, Why: "for shop/d"})
	d.Plan.Add("remove", plan.RemoveNode{Node: "goes", InstanceID: "i-1", Group: "main", Reason: "Underused", Why: "its pods fit elsewhere"})
	return o, d
}

func TestClusterGolden(t *testing.T) {
	o, d := busy()
	var text, page bytes.Buffer
	NewClusterPlan(o, fleet.ScalingOff, d).Text(&text)
	golden(t, "cluster.txt", text.Bytes())
	if err := HTML(&page, DrawCluster(o, d)); err != nil {
		t.Fatal(err)
	}
	golden(t, "cluster.html", page.Bytes())
}

// What is drawn is what was decided: each pod that stays or comes is in one box.
func TestDrawCluster(t *testing.T) {
	v := DrawCluster(busy())
	if len(v.Before) != 2 || v.Before[1].State != Goes || v.Before[0].Price != 0.107 || Cost(v.Before) != 0.214 {
		t.Errorf("before: %+v", v.Before)
	}
	if len(v.After) != 2 || v.After[0].State != Stays || v.After[1].State != New || v.After[0].Shares[0].Pods != 2 || v.After[1].Shares[0].Pods != 1 {
		t.Errorf("after: %+v", v.After)
	}
	if len(v.Left) != 1 || v.Left[0].Count != 1 {
		t.Errorf("left: %+v", v.Left)
	}
	var text bytes.Buffer
	NewClusterPlan(scaling.Observation{}, fleet.ScalingAct, scaling.Decision{}).Text(&text)
	if !strings.Contains(text.String(), "There is nothing to do.") || strings.Contains(text.String(), "note:") {
		t.Errorf("of nothing:\n%s", text.String())
	}
}

func TestRememberedGolden(t *testing.T) {
	v := Remembered{
		Cluster: "prod", Region: "eu-west-1", Mode: "Act", Doorbell: "Webhook", Looks: 7, LookedAt: now.Add(-20 * time.Second), LookAt: now.Add(30 * time.Second),
		Memory: scaling.Memory{
			Orders: []scaling.Order{{Group: "spot", Count: 2, Spot: true, At: now.Add(-90 * time.Second), Pods: []string{"a/1", "a/2", "a/3", "a/4"}}},
			Shortages: []scaling.Shortage{
				{Type: "p5.48xlarge", Zone: "eu-west-1b", Until: now.Add(5 * time.Minute), Times: 2, Code: "InsufficientInstanceCapacity"},
				{Group: "main", Until: now.Add(time.Hour), Times: 1, Code: "InvalidParameterValue"},
			},
			Removals: []scaling.Removal{{Node: "n", InstanceID: "i-1", Group: "main", Reason: "Empty", At: now.Add(-2 * time.Hour)}},
			Slept:    map[string]scaling.Size{"night": {Min: 1, Desired: 4}, "day": {}},
			Quiet:    map[string]time.Time{"u": now},
			Swap:     &scaling.Swap{Nodes: []string{"u"}, At: now.Add(-time.Minute), Why: "two small ones are cheaper"},
		},
	}
	var text bytes.Buffer
	v.Text(&text, now)
	golden(t, "remembered.txt", text.Bytes())
}

func TestWords(t *testing.T) {
	for d, want := range map[time.Duration]string{-time.Second: "0s", 5 * time.Second: "5s", 90 * time.Second: "1m30s", 5 * time.Minute: "5m", 2 * time.Hour: "2h", 125 * time.Minute: "2h5m", 30 * time.Hour: "30h", 10 * time.Second: "10s"} {
		if got := short(d); got != want {
			t.Errorf("%v is %q, want %q", d, got, want)
		}
	}
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567", -1000: "-1,000"} {
		if got := thousands(n); got != want {
			t.Errorf("%d is %q", n, got)
		}
	}
}
