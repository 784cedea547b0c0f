package cluster

import (
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/plan"
)

var update = flag.Bool("update", false, "write the golden files anew")

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs (run with -update to accept):\n%s", path, got)
	}
}

var (
	now = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	opt = Options{RunID: "run-1", InterruptionRole: "arn:aws:iam::123456789012:role/ekspedite-Interruption-Role"}
)

func group(name string, types ...string) fleet.NodeGroupSpec {
	return fleet.NodeGroupSpec{Name: name, InstanceTypes: types, AMIType: "AL2023_x86_64_STANDARD", Min: 1, Max: 6, Desired: 3, DiskGiB: 80,
		Labels: map[string]string{"team": "web"}, Tags: map[string]string{"cost": "1"}}
}

func demo() fleet.ClusterSpec {
	spot := group("spot", "m5.large", "m6i.large")
	spot.Spot = true
	return fleet.ClusterSpec{
		Name: "demo", Region: "us-east-1", Version: "1.36", AuthMode: "API", Tags: map[string]string{"environment": "demo"},
		Network: fleet.NetworkSpec{CIDR: "10.42.0.0/16", NAT: fleet.NATDisable, PublicAccess: true, PrivateAccess: true,
			Zones: []string{"us-east-1a", "us-east-1b", "us-east-1c"}},
		NodeGroups: []fleet.NodeGroupSpec{spot, group("on-demand", "m5.large")},
	}
}

// private is a cluster with private nodes, two ways out, and people.
func private() fleet.ClusterSpec {
	s := demo()
	s.Name, s.Version, s.Tags, s.Network.Zones = "private", "", nil, nil
	s.Network.NAT = fleet.NATHighlyAvailable
	s.Logging = []string{"api", "audit"}
	s.Access = []fleet.AccessSpec{{Principal: "arn:aws:iam::123456789012:role/people", Groups: []string{"viewers"}}}
	g := group("inside", "m7g.large")
	g.Private = true
	s.NodeGroups = []fleet.NodeGroupSpec{g}
	return s
}

func zones() []fleet.Zone {
	return []fleet.Zone{{Name: "us-east-1e", ID: "use1-az5"}, {Name: "us-east-1d", ID: "use1-az3"}, {Name: "us-east-1b", ID: "use1-az2"},
		{Name: "us-east-1a", ID: "use1-az1"}, {Name: "us-east-1f", ID: "use1-az6"}}
}

func empty() Observation { return Observation{Zones: zones()}.clone() }

// complete is the world after everything was made and AWS has finished.
func complete(t *testing.T, s fleet.ClusterSpec) Observation {
	t.Helper()
	o := empty()
	for range 50 {
		p := decide(t, o, s)
		if p.Outcome != "" {
			return o
		}
		if p.Empty() {
			o.finish()
		}
		for _, step := range p.Steps {
			for _, a := range step.Actions {
				o.Assume(a)
			}
		}
	}
	t.Fatal("it does not end")
	return o
}

func decide(t *testing.T, o Observation, s fleet.ClusterSpec) plan.Plan {
	t.Helper()
	p, err := Decide(now, o, s, opt)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestPlans: whole plans as people see them, and as JSON.
func TestPlans(t *testing.T) {
	for name, s := range map[string]fleet.ClusterSpec{"demo": demo(), "private": private()} {
		p, err := Forecast(now, empty(), s, opt)
		if err != nil {
			t.Fatal(err)
		}
		golden(t, name+".txt", p.String())
		text, err := json.MarshalIndent(p, "", " ")
		if err != nil {
			t.Fatal(err)
		}
		golden(t, name+".json", string(text)+"\n")
	}
	single := private()
	single.Network.NAT = fleet.NATSingle
	p, err := Forecast(now, empty(), single, opt)
	if n := strings.Count(p.String(), "create NAT gateway"); err != nil || n != 1 || p.Outcome != OutcomeActive {
		t.Errorf("%d NAT gateways, %v, %s", n, err, p)
	}
}

// TestComplete: what is complete is left alone, and a forecast of it is empty.
func TestComplete(t *testing.T) {
	for _, s := range []fleet.ClusterSpec{demo(), private()} {
		o := complete(t, s)
		p := decide(t, o, s)
		if !p.Empty() || p.Outcome != OutcomeActive || len(p.Notes) > 0 || p.LookAgain != 0 {
			t.Errorf("%s", p)
		}
		if f, err := Forecast(now, o, s, opt); err != nil || !f.Empty() {
			t.Errorf("%s, %v", f, err)
		}
	}
}

// TestAnyOrder: actions are carried out in random order, some of them lost, some with their answer lost, and AWS finishes
// when it likes. The end is always the same, and nothing is there twice.
func TestAnyOrder(t *testing.T) {
	for _, s := range []fleet.ClusterSpec{demo(), private()} {
		want := summary(complete(t, s))
		for seed := range uint64(500) {
			random := rand.New(rand.NewPCG(seed, 7))
			o := empty()
			for look := 0; ; look++ {
				if look > 300 {
					t.Fatalf("seed %d: it does not end", seed)
				}
				p := decide(t, o, s)
				if p.Outcome != "" {
					break
				}
				var actions []plan.Action
				for _, step := range p.Steps {
					actions = append(actions, step.Actions...)
				}
				random.Shuffle(len(actions), func(i, j int) { actions[i], actions[j] = actions[j], actions[i] })
				for _, a := range actions[:random.IntN(len(actions)+1)] {
					o.Assume(a)
				}
				if random.IntN(3) == 0 {
					o.finish()
				}
			}
			if got := summary(o); got != want {
				t.Fatalf("seed %d: got\n%s\nwant\n%s", seed, got, want)
			}
		}
	}
}

// summary is a world as text, without the order in which things were made.
func summary(o Observation) string {
	order := func(list any) string {
		var items []json.RawMessage
		text, err := json.Marshal(list)
		if err == nil {
			err = json.Unmarshal(text, &items)
		}
		if err != nil {
			panic(err)
		}
		lines := make([]string, len(items))
		for i, item := range items {
			lines[i] = string(item)
		}
		slices.Sort(lines)
		return strings.Join(lines, "\n")
	}
	for i := range o.Network.RouteTables {
		slices.Sort(o.Network.RouteTables[i].Subnets)
	}
	for name, r := range o.Roles {
		slices.Sort(r.Policies)
		o.Roles[name] = r
	}
	n := o.Network
	return strings.Join([]string{order(n.VPCs), order(n.Subnets), order(n.Gateways), order(n.RouteTables), order(n.Addresses), order(n.NATs),
		fmt.Sprint(o.Roles, o.Groups, o.Entries, *o.Access, *o.Control)}, "\n")
}

func TestStates(t *testing.T) {
	cases := map[string]struct {
		change  func(*Observation, *fleet.ClusterSpec)
		outcome string // "" while the run goes on
		text    string // in the printed plan
		actions int
	}{
		"the control plane is being made": {func(o *Observation, _ *fleet.ClusterSpec) { o.Control.Status = "CREATING" }, "", "waiting for the control plane (CREATING)", 0},
		"and nothing else was read": {func(o *Observation, _ *fleet.ClusterSpec) {
			*o = Observation{Control: o.Control, OnlyControl: true}
			o.Control.Status = "CREATING"
		}, "", "waiting for the control plane (CREATING)", 0},
		"an update of AWS's": {func(o *Observation, _ *fleet.ClusterSpec) { o.Control.Status = "UPDATING" }, "", "waiting for the control plane (UPDATING)", 0},
		"a failed control plane": {func(o *Observation, _ *fleet.ClusterSpec) {
			o.Control.Status, o.Control.Issues = "FAILED", []string{"Ec2SubnetNotFound: gone"}
			o.Groups = nil
		}, OutcomeFailed, "cluster demo is FAILED: Ec2SubnetNotFound: gone", 0},
		"a cluster that goes": {func(o *Observation, _ *fleet.ClusterSpec) { o.Control.Status = "DELETING" }, OutcomeFailed, "is being deleted", 0},
		"somebody else's":     {func(o *Observation, _ *fleet.ClusterSpec) { o.Control.Tags = nil }, OutcomeFailed, "ekspedite did not make", 0},
		"somebody else's role": {func(o *Observation, _ *fleet.ClusterSpec) {
			o.Control, o.Groups, o.Entries, o.Access = nil, nil, nil, nil
			o.Roles["ekspedite-demo-node"] = fleet.Role{Name: "ekspedite-demo-node"}
		}, OutcomeFailed, "role ekspedite-demo-node exists and is not ekspedite's", 0},

		"a node group is gone":  {func(o *Observation, _ *fleet.ClusterSpec) { delete(o.Groups, "spot") }, "", "create node group spot (3 × m5.large or m6i.large, spot, 1 to 6)", 1},
		"a node group failed":   {groupIs("CREATE_FAILED", "NodeCreationFailure: did not join"), OutcomeFailed, "node group spot is CREATE_FAILED: NodeCreationFailure: did not join", 0},
		"a node group degraded": {groupIs("DEGRADED", "AsgInstanceLaunchFailures: no capacity"), OutcomeActive, "note: node group spot is DEGRADED: AsgInstanceLaunchFailures: no capacity", 0},
		"one failed while another one is made": {func(o *Observation, s *fleet.ClusterSpec) {
			groupIs("CREATE_FAILED", "NodeCreationFailure: did not join")(o, s)
			g := o.Groups["on-demand"]
			g.Status = "CREATING"
			o.Groups["on-demand"] = g
		}, "", "note: failed: node group spot is CREATE_FAILED", 0},

		"the API server is silent": {func(o *Observation, _ *fleet.ClusterSpec) { o.Access, o.Unreachable = nil, "timeout" }, "", "waiting for the API server (timeout)", 0},
		"rules were changed": {func(o *Observation, _ *fleet.ClusterSpec) {
			a := InterruptionAccess()
			a.Rules[0].Verbs = []string{"*"}
			o.Access = &a
		}, "", "install ClusterRole ekspedite-interruption (5 rules) for ekspedite:interruption", 1},
		"rules in another order": {func(o *Observation, _ *fleet.ClusterSpec) {
			a := InterruptionAccess()
			slices.Reverse(a.Rules)
			slices.Reverse(a.Rules[0].Verbs)
			o.Access = &a
		}, OutcomeActive, "", 0},

		"another version":  {func(_ *Observation, s *fleet.ClusterSpec) { s.Version = "1.37" }, OutcomeActive, "note: cluster demo differs from the spec in version: not converged yet", 0},
		"other labels":     {func(_ *Observation, s *fleet.ClusterSpec) { s.NodeGroups[0].Labels = nil }, OutcomeActive, "note: node group spot differs from the spec in labels: not converged yet", 0},
		"another size":     {func(_ *Observation, s *fleet.ClusterSpec) { s.NodeGroups[1].Max, s.NodeGroups[1].Desired = 9, 8 }, OutcomeActive, "note: node group on-demand differs from the spec in size: not converged yet", 0},
		"scaled by others": {func(o *Observation, _ *fleet.ClusterSpec) { g := o.Groups["spot"]; g.Desired = 5; o.Groups["spot"] = g }, OutcomeActive, "all ", 0},
		"other logging":    {func(_ *Observation, s *fleet.ClusterSpec) { s.Logging = []string{"api"} }, OutcomeActive, "in logging: not", 0},
		"a new node group": {func(_ *Observation, s *fleet.ClusterSpec) {
			s.NodeGroups = append(s.NodeGroups, group("third", "c5.large"))
		}, "", "create node group third", 1},
		"a VPC too many": {func(o *Observation, _ *fleet.ClusterSpec) {
			o.Network.VPCs = append(o.Network.VPCs, fleet.VPC{ID: "vpc-other"})
		}, OutcomeActive,
			"note: VPC vpc-other carries this cluster's tag and is not used: delete it", 0},

		"made a moment ago, not visible": {func(o *Observation, _ *fleet.ClusterSpec) {
			delete(o.Groups, "spot")
			o.Made = map[string]fleet.Making{"nodegroup/spot": {At: now.Add(-time.Second), Times: 1}}
		}, "", "waiting for nodegroup/spot to become visible", 0},
		"made long ago, not visible": {func(o *Observation, _ *fleet.ClusterSpec) {
			delete(o.Groups, "spot")
			o.Made = map[string]fleet.Making{"nodegroup/spot": {At: now.Add(-time.Hour), Times: 1}}
		}, "", "create node group spot", 1},
		"made thrice, not visible": {func(o *Observation, _ *fleet.ClusterSpec) {
			delete(o.Groups, "spot")
			o.Made = map[string]fleet.Making{"nodegroup/spot": {At: now.Add(-time.Hour), Times: 3}}
		}, OutcomeFailed, "3 times, and does not show it", 0},
		"an action failed": {trouble(fleet.Trouble{Since: now.Add(-time.Minute), Tries: 3, Text: "throttled"}), "", "create node group spot", 1},
		"it failed for long": {trouble(fleet.Trouble{Since: now.Add(-time.Hour), Tries: 9, Text: "AccessDenied"}), OutcomeFailed,
			"nodegroup/spot: AccessDenied (tried 9 times in 1h0m0s)", 0},
		"long ago, but few times": {trouble(fleet.Trouble{Since: now.Add(-time.Hour), Tries: 1, Text: "reset"}), "", "create node group spot", 1},
		"it can never work":       {trouble(fleet.Trouble{Since: now, Tries: 1, Text: "InvalidParameter", Fatal: true}), OutcomeFailed, "nodegroup/spot: InvalidParameter", 0},
		"trouble with what is there": {func(o *Observation, s *fleet.ClusterSpec) {
			g := o.Groups["spot"]
			trouble(fleet.Trouble{Since: now.Add(-time.Hour), Tries: 9, Text: "answer lost"})(o, s)
			g.Status = "CREATING"
			o.Groups["spot"] = g
		}, "", "waiting for node group spot (CREATING)", 0},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			s := demo()
			o := complete(t, s)
			c.change(&o, &s)
			p := decide(t, o, s)
			if p.Outcome != c.outcome || p.Len() != c.actions || !strings.Contains(p.String(), c.text) {
				t.Errorf("want %q, %d actions, %q, got %d:\n%s", c.outcome, c.actions, c.text, p.Len(), p)
			}
			if (p.Outcome == "") != (p.LookAgain > 0) {
				t.Errorf("outcome %q, look again in %s", p.Outcome, p.LookAgain)
			}
		})
	}
}

func groupIs(status, issue string) func(*Observation, *fleet.ClusterSpec) {
	return func(o *Observation, _ *fleet.ClusterSpec) {
		g := o.Groups["spot"]
		g.Status, g.Issues = status, []string{issue}
		o.Groups["spot"] = g
	}
}

func trouble(t fleet.Trouble) func(*Observation, *fleet.ClusterSpec) {
	return func(o *Observation, _ *fleet.ClusterSpec) {
		delete(o.Groups, "spot")
		o.Troubles = map[string]fleet.Trouble{"nodegroup/spot": t}
	}
}
