package cluster

import (
	"flag"
	"maps"
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
	opt = Options{
		RunID: "run-1", Account: "123456789012", InterruptionRole: "arn:aws:iam::123456789012:role/ekspedite-Interruption-Role",
		ClusterRole: "arn:aws:iam::123456789012:role/ekspedite-Cluster-Role",
	}
)

func group(name string, types ...string) fleet.NodeGroupSpec {
	return fleet.NodeGroupSpec{Name: name, InstanceTypes: types, AMIType: "AL2023_x86_64_STANDARD", Min: 1, Max: 6, Desired: 3,
		Machine: fleet.MachineSpec{DiskGiB: 80}, Labels: map[string]string{"team": "web"}, Tags: map[string]string{"cost": "1"}}
}

// demo is a cluster with public nodes.
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

// private is a cluster with private nodes, a way out in each zone, and people.
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

func empty() Observation {
	return Observation{Depth: Full, Found: map[string][]fleet.Resource{}, Updates: map[string]fleet.Update{}, Zones: zones()}
}

// parts are what calls that do not make a thing of their own change in the thing that they are about. The key is the API;
// the function gets the call's input, and finds what it changes in the observation.
var parts = map[string]func(o *Observation, c plan.Call){
	"ec2:ModifyVpcAttribute": func(o *Observation, c plan.Call) {
		changed(o, "vpc", func(p fleet.Props) { p["enableDnsHostnames"] = true })
	},
	"ec2:ModifySubnetAttribute": func(o *Observation, c plan.Call) {
		changed(o, physicalOf(c, "subnetId"), func(p fleet.Props) {
			for k, v := range c.Input {
				if m, ok := v.(fleet.Props); ok {
					p[k] = m["value"]
				}
			}
		})
	},
	"ec2:AttachInternetGateway": func(o *Observation, c plan.Call) {
		changed(o, "igw", func(p fleet.Props) { p["attachments"] = []any{fleet.Props{"vpcId": c.Input["vpcId"]}} })
	},
	"ec2:CreateRoute":  addRoute,
	"ec2:ReplaceRoute": addRoute,
	"ec2:AssociateRouteTable": func(o *Observation, c plan.Call) {
		changed(o, physicalOf(c, "routeTableId"), func(p fleet.Props) {
			list, _ := p["associations"].([]any)
			p["associations"] = append(list, fleet.Props{"subnetId": c.Input["subnetId"]})
		})
	},
	"iam:AttachRolePolicy": func(o *Observation, c plan.Call) {
		changed(o, roleOf(o, c), func(p fleet.Props) {
			list, _ := p["attachedPolicies"].([]any)
			p["attachedPolicies"] = append(list, c.Input["policyArn"])
		})
	},
}

func addRoute(o *Observation, c plan.Call) {
	changed(o, physicalOf(c, "routeTableId"), func(p fleet.Props) {
		list, _ := p["routes"].([]any)
		list = slices.DeleteFunc(list, func(v any) bool {
			r, _ := v.(fleet.Props)
			return r["destinationCidrBlock"] == c.Input["destinationCidrBlock"] && r["destinationIpv6CidrBlock"] == c.Input["destinationIpv6CidrBlock"]
		})
		r := maps.Clone(c.Input)
		r["state"] = "active"
		p["routes"] = append(list, r)
	})
}

// physicalOf is the graph's name of what a call's input names: ids here are "id-of NAME".
func physicalOf(c plan.Call, field string) string {
	return strings.TrimPrefix(fleet.Text(c.Input, field), "id-of ")
}

func roleOf(o *Observation, c plan.Call) string {
	for id, list := range o.Found {
		if list[0].Kind == "role" && list[0].Physical == c.Input["roleName"] {
			return id
		}
	}
	return ""
}

func changed(o *Observation, id string, f func(fleet.Props)) {
	if r := o.first(id); r != nil {
		f(r.Props)
	}
}

// carryOut changes the observation as if the call had been made, and AWS had finished.
func carryOut(t testing.TB, o *Observation, c plan.Call) {
	t.Helper()
	for k, v := range c.Input {
		if s, ok := v.(string); ok && plan.IsUnknown(s) && !strings.Contains(s, "${aws:") { // but IAM's own
			t.Fatalf("%s would be called with an id that is not known: %s = %s", c.API, k, s)
		}
	}
	if f := parts[c.API]; f != nil {
		f(o, c)
		return
	}
	switch c.Effect {
	case plan.Delete:
		delete(o.Found, c.ID)
	case plan.Create:
		o.Found[c.ID] = []fleet.Resource{created(c)}
	default:
		r := o.first(c.ID)
		if r == nil {
			t.Fatalf("%s changes %s, which does not exist; say in parts what it does", c.API, c.ID)
		}
		if tags, ok := c.Input["tags"].(map[string]string); ok {
			maps.Copy(r.Tags, tags)
		}
		maps.Copy(r.Props, c.Input)
	}
}

func created(c plan.Call) fleet.Resource {
	r := fleet.Resource{Ref: fleet.Ref{ID: c.ID, Kind: fleet.KindOf(c.ID)}, Physical: "id-of " + c.ID, Status: "ACTIVE", Props: maps.Clone(c.Input), Tags: map[string]string{}}
	r.ARN = "arn:aws:test:::" + c.ID
	for _, s := range append(fleet.Items(c.Input, "tagSpecifications"), c.Input) {
		for _, tag := range fleet.Items(s, "tags") {
			r.Tags[fleet.Text(tag, "key")] = fleet.Text(tag, "value")
		}
	}
	if tags, ok := c.Input["tags"].(map[string]string); ok {
		r.Tags = maps.Clone(tags)
	}
	switch r.Kind {
	case "role":
		r.Physical = fleet.Text(c.Input, "roleName")
	case "nat":
		r.Status = "available"
	}
	return r
}

// simulate decides and carries out until the run is over, and gives the calls in their order. Afterwards the same file
// again must be nothing to do, for a light look as for a full one.
func simulate(t testing.TB, s fleet.ClusterSpec, o *Observation) (calls []plan.Call) {
	t.Helper()
	for range 60 {
		p, err := Decide(now, *o, s, opt)
		if err != nil {
			t.Fatal(err)
		}
		if p.Outcome != "" {
			if p.Outcome != OutcomeActive {
				t.Fatalf("%s", p)
			}
			again(t, s, *o)
			return calls
		}
		if p.Empty() {
			t.Fatalf("waits for nothing that comes: %s", p)
		}
		for _, step := range p.Steps {
			for _, a := range step.Actions {
				c := a.(plan.Call)
				calls = append(calls, c)
				carryOut(t, o, c)
			}
		}
	}
	t.Fatalf("does not end; the last calls: %v", calls[max(0, len(calls)-5):])
	return nil
}

func again(t testing.TB, s fleet.ClusterSpec, o Observation) {
	t.Helper()
	for _, depth := range []Depth{Full, Light} {
		o.Depth = depth
		if depth == Light {
			o.Found = maps.Clone(o.Found)
			maps.DeleteFunc(o.Found, func(_ string, list []fleet.Resource) bool {
				kind := list[0].Kind
				return slices.Contains(Kinds(Full, s), kind) && !slices.Contains(Kinds(Light, s), kind) || !Reads(Light, kind)
			})
		}
		if p, err := Decide(now, o, s, opt); err != nil || p.Outcome != OutcomeActive {
			t.Errorf("the unchanged file again, depth %d: %v\n%s", depth, err, p)
		}
	}
}

// called are the APIs of calls about resources that begin so.
func called(calls []plan.Call, prefix string) (out []string) {
	for _, c := range calls {
		if strings.HasPrefix(c.ID, prefix) {
			out = append(out, c.API)
		}
	}
	return out
}
