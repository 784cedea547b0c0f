package nodemove_test

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/shared/decide/nodemove"
	"github.com/ekspedite/ekspedite/shared/decide/upgradepath"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/plan"
)

func step() upgradepath.Step {
	return upgradepath.Step{ID: "nodegroup/web/1.34.1-20261112", Kind: upgradepath.StepNodeGroup, Subject: "web", From: "1.33.2-20261001", To: "1.34.1-20261112", Minor: 34, Strategy: fleet.NodesBlueGreen}
}

// blue is a node group with all that EKS says of one.
func blue() nodemove.Group {
	return nodemove.Group{
		Group: upgradepath.Group{Name: "web", Status: "ACTIVE", Min: 1, Desired: 2, Max: 4, Zones: 2, AMIType: "AL2023_x86_64_STANDARD"},
		Described: fleet.Resource{Tags: map[string]string{"cost": "center", fleet.TagCluster: "demo", "aws:cloudformation:stack-name": "x"}, Props: fleet.Props{
			"nodegroupName": "web", "nodegroupArn": "arn:web", "clusterName": "demo", "version": "1.33", "releaseVersion": "1.33.2-20261001", "createdAt": "2026-01-01T00:00:00Z", "status": "ACTIVE",
			"capacityType": "SPOT", "instanceTypes": []any{"m5.large", "m6i.large"}, "subnets": []any{"subnet-a", "subnet-b"}, "amiType": "AL2023_x86_64_STANDARD", "nodeRole": "arn:role",
			"labels": map[string]string{"team": "web"}, "taints": []any{fleet.Props{"key": "a", "value": "1", "effect": "NO_SCHEDULE"}},
			"scalingConfig": fleet.Props{"minSize": 1, "maxSize": 4, "desiredSize": 2}, "updateConfig": fleet.Props{"maxUnavailable": 1},
			"launchTemplate": fleet.Props{"id": "lt-1", "name": "ours", "version": "7"}, "resources": fleet.Props{"autoScalingGroups": []any{}}, "health": fleet.Props{},
		}},
		Machines: []nodemove.Machine{{InstanceID: "i-1", Zone: "a"}, {InstanceID: "i-2", Zone: "b"}},
	}
}

func input(groups ...nodemove.Group) nodemove.Input {
	in := nodemove.Input{Cluster: fleet.ClusterID{Region: "us-east-1", Name: "demo"}, RunID: "run-1", Step: step(), Groups: groups}
	for _, g := range groups {
		for _, m := range g.Machines {
			in.Nodes = append(in.Nodes, nodemove.Node{Node: upgradepath.Node{Name: "node-" + m.InstanceID, UID: "uid-" + m.InstanceID, InstanceID: m.InstanceID, Group: g.Name, Ready: true},
				Shut: len(fleet.Items(g.Described.Props, "taints")) > 1})
		}
	}
	return in
}

// only is the one call of a plan.
func only(t *testing.T, d nodemove.Decision) plan.Call {
	t.Helper()
	if d.Plan.Len() != 1 {
		t.Fatalf("%d actions: %s", d.Plan.Len(), d.Plan)
	}
	c, ok := d.Plan.Steps[0].Actions[0].(plan.Call)
	if !ok {
		t.Fatalf("%s", d.Plan)
	}
	return c
}

// TestGreenIsMadeLikeBlue: what is EKS's to say is left out, and nothing else is.
func TestGreenIsMadeLikeBlue(t *testing.T) {
	own, bare, template := blue(), blue(), input(blue())
	own.AMIType = "CUSTOM"
	own.Described.Props = maps.Clone(own.Described.Props)
	own.Described.Props["amiType"] = "CUSTOM"
	bare.Described.Props = maps.Clone(bare.Described.Props)
	delete(bare.Described.Props, "launchTemplate")
	bare.Described.Props["diskSize"] = 80
	template.Step.Template = "9"
	const common = `"capacityType":"SPOT","clientRequestToken":"T","clusterName":"demo","instanceTypes":["m5.large","m6i.large"],"labels":{"team":"web"},`
	const end = `"nodeRole":"arn:role","nodegroupName":"web-G",`
	const tail = `"scalingConfig":{"desiredSize":2,"maxSize":4,"minSize":1},"subnets":["subnet-a","subnet-b"],` +
		`"tags":{"cost":"center","ekspedite.dev/cluster":"demo","ekspedite.dev/stands-for":"web"},"taints":[{"effect":"NO_SCHEDULE","key":"a","value":"1"}],"updateConfig":{"maxUnavailable":1}`
	for name, tc := range map[string]struct {
		in   nodemove.Input
		want string
	}{
		"of EKS's image":          {input(blue()), `{"amiType":"AL2023_x86_64_STANDARD",` + common + `"launchTemplate":{"id":"lt-1","version":"7"},` + end + `"releaseVersion":"1.34.1-20261112",` + tail + `,"version":"1.34"}`},
		"of one's own":            {input(own), `{` + common + `"launchTemplate":{"id":"lt-1","version":"7"},` + end + tail + `}`},
		"by a template's version": {template, `{"amiType":"AL2023_x86_64_STANDARD",` + common + `"launchTemplate":{"id":"lt-1","version":"9"},` + end + `"releaseVersion":"1.34.1-20261112",` + tail + `,"version":"1.34"}`},
		"without a template": {input(bare), `{"amiType":"AL2023_x86_64_STANDARD","capacityType":"SPOT","clientRequestToken":"T","clusterName":"demo","diskSize":80,"instanceTypes":["m5.large","m6i.large"],"labels":{"team":"web"},` +
			end + `"releaseVersion":"1.34.1-20261112",` + tail + `,"version":"1.34"}`},
	} {
		t.Run(name, func(t *testing.T) {
			c := only(t, nodemove.Next(began, tc.in))
			if token, _ := c.Input["clientRequestToken"].(string); len(token) != 32 {
				t.Errorf("token %q", token)
			}
			c.Input["clientRequestToken"] = "T"
			b, err := json.Marshal(c.Input)
			got := strings.Replace(string(b), nodemove.GreenName("web", tc.in.Step), "web-G", 1)
			if err != nil || c.API != "eks:CreateNodegroup" || got != tc.want {
				t.Errorf("%s, %v\ngot  %s\nwant %s", c.API, err, got, tc.want)
			}
		})
	}
}

func TestGreenName(t *testing.T) {
	long := strings.Repeat("n", 63)
	other := step()
	other.To = "1.34.2-20261201"
	for _, name := range []string{nodemove.GreenName("web", step()), nodemove.GreenName(long, step())} {
		if len(name) > 63 || !strings.HasPrefix(name, "web-") && !strings.HasPrefix(name, "nnnn") {
			t.Errorf("%s has %d characters", name, len(name))
		}
	}
	again := step()
	again.Takes, again.Why, again.Wave = time.Hour, "planned anew", 3
	name := nodemove.GreenName("web", step())
	if name == nodemove.GreenName("web", other) || name == nodemove.GreenName("api", step()) || name != nodemove.GreenName("web", again) {
		t.Error("a name follows from where the move goes, and from nothing else")
	}
}

// green is the group that a move has made.
func green(ready bool) nodemove.Group {
	g := blue()
	g.Name, g.StandsFor = nodemove.GreenName("web", step()), "web"
	g.Machines = []nodemove.Machine{{InstanceID: "i-3", Zone: "a"}, {InstanceID: "i-4", Zone: "b"}}
	if !ready {
		g.Machines = g.Machines[:1]
	}
	return g
}

// closed is the old group once it takes no pods any more.
func closed() nodemove.Group {
	g := blue()
	g.Min = 0
	g.Described.Props = maps.Clone(g.Described.Props)
	g.Described.Props["taints"] = []any{fleet.Props{"key": "a", "value": "1", "effect": "NO_SCHEDULE"}, fleet.Props{"key": nodemove.Taint, "value": "true", "effect": "NO_SCHEDULE"}}
	return g
}

// TestADrainThatComesBack is tried again after a pause, three times, and then told with its pods; resumed, it is tried anew.
func TestADrainThatComesBack(t *testing.T) {
	in := input(closed(), green(true))
	in.Memory = nodemove.Memory{BeganAt: began, Size: 2, Min: 1, Max: 4}
	in.Nodes = slices.DeleteFunc(in.Nodes, func(n nodemove.Node) bool { return n.InstanceID == "i-2" }) // it has gone
	in.Drains = map[string]nodemove.Drain{}
	now, asked := began, 0
	for range 200 {
		d := nodemove.Next(now, in)
		in.Memory, in.Retry = d.Memory, false
		for _, s := range d.Plan.Steps {
			for _, a := range s.Actions {
				r, ok := a.(plan.RemoveNode)
				if !ok || r.InstanceID != "i-1" || r.Reason != "Upgrade" || r.Replace {
					t.Fatalf("%s", a)
				}
				asked++
				in.Drains["i-1"] = nodemove.Drain{StartedAt: now, EndedAt: now.Add(15 * time.Minute), Outcome: "NodeKept", Reason: "the time is over and 1 pods are still there",
					Left: []string{"default/web-0 was still there (PodDisruptionBudget default/web)"}}
				now = now.Add(15 * time.Minute)
			}
		}
		if len(d.Blocked) > 0 {
			want := "node node-i-1 came back 3 times: the time is over and 1 pods are still there: default/web-0 was still there (PodDisruptionBudget default/web)"
			if asked%3 != 0 || len(d.Blocked) != 1 || d.Blocked[0] != want || d.Done {
				t.Fatalf("after %d drains: %q", asked, d.Blocked)
			}
			if asked == 6 {
				if took := now.Sub(began); took < 2*(3*15+15)*time.Minute || took > 3*time.Hour {
					t.Errorf("took %s", took)
				}
				return
			}
			in.Retry = true
		}
		now = now.Add(d.Plan.LookAgain)
	}
	t.Fatalf("it was never told; %d drains", asked)
}

// TestWhatAMoveWaitsFor: nothing is taken from the old group before the new one can carry it, in each of its zones.
func TestWhatAMoveWaitsFor(t *testing.T) {
	edit := func(g nodemove.Group, f func(*nodemove.Group)) nodemove.Group { f(&g); return g }
	memory := nodemove.Memory{BeganAt: began, Size: 2, Min: 1, Max: 4}
	for name, tc := range map[string]struct {
		groups []nodemove.Group
		api    string // of the one call, "" for none
		reason string
	}{
		"while it is made":   {[]nodemove.Group{blue(), edit(green(true), func(g *nodemove.Group) { g.Status = "CREATING" })}, "", "is being made"},
		"for as many nodes":  {[]nodemove.Group{blue(), green(false)}, "", "has 1 Ready nodes of 2"},
		"for each zone":      {[]nodemove.Group{blue(), edit(green(true), func(g *nodemove.Group) { g.Machines[1].Zone = "a" })}, "eks:UpdateNodegroupConfig", "which has none in b"},
		"closes the old one": {[]nodemove.Group{blue(), green(true)}, "eks:UpdateNodegroupConfig", "keep new pods off node group web"},
		"while that goes on": {[]nodemove.Group{edit(closed(), func(g *nodemove.Group) { g.Status = "UPDATING" }), green(true)}, "", "is UPDATING"},
		"deletes it":         {[]nodemove.Group{edit(closed(), func(g *nodemove.Group) { g.Machines = nil }), green(true)}, "eks:DeleteNodegroup", "has no nodes left"},
		"while it goes":      {[]nodemove.Group{edit(closed(), func(g *nodemove.Group) { g.Status, g.Machines = "DELETING", nil }), green(true)}, "", "is being deleted"},
		"that has failed":    {[]nodemove.Group{blue(), edit(green(false), func(g *nodemove.Group) { g.Status, g.Issues = "CREATE_FAILED", []string{"NodeCreationFailure: no"} })}, "", "CREATE_FAILED (NodeCreationFailure: no)"},
	} {
		t.Run(name, func(t *testing.T) {
			in := input(tc.groups...)
			in.Memory = memory
			d := nodemove.Next(began, in)
			if !strings.Contains(d.Plan.Reason, tc.reason) || d.Done || d.Plan.LookAgain == 0 {
				t.Errorf("%s", d.Plan)
			}
			if tc.api == "" && !d.Plan.Empty() || tc.api != "" && only(t, d).API != tc.api {
				t.Errorf("%s", d.Plan)
			}
		})
	}
	if d := nodemove.Next(began, input(green(true))); !d.Done {
		t.Errorf("the new group alone: %s", d.Plan)
	}
}

// TestLeave: a move that is ended where it is leaves both groups open.
func TestLeave(t *testing.T) {
	in := input(closed(), green(true))
	in.Memory = nodemove.Memory{BeganAt: began, Size: 2, Min: 1, Max: 4}
	c := only(t, nodemove.Leave(began, in))
	b, err := json.Marshal(c.Input["taints"])
	if err != nil || c.API != "eks:UpdateNodegroupConfig" || string(b) != `{"removeTaints":[{"effect":"NO_SCHEDULE","key":"ekspedite.dev/moving","value":"true"}]}` {
		t.Errorf("%s %s, %v", c.API, b, err)
	}
	if d := nodemove.Leave(began, input(blue(), green(true))); !d.Done || !d.Plan.Empty() {
		t.Errorf("%s", d.Plan)
	}
}

// TestNothingIsTakenBackOfWhatIsOver: the old group is gone when the run turns back; a step of its own brings the nodes back.
func TestNothingIsTakenBackOfWhatIsOver(t *testing.T) {
	green := blue()
	green.Name, green.StandsFor = nodemove.GreenName("web", step()), "web"
	green.Described.Props = maps.Clone(green.Described.Props)
	green.Described.Props["nodegroupName"] = green.Name
	d := nodemove.Undo(time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC), input(green))
	if !d.Gone || d.Done || len(d.Blocked) > 0 || !d.Plan.Empty() {
		t.Errorf("gone %t, done %t, blocked %v: %s", d.Gone, d.Done, d.Blocked, d.Plan)
	}
}
