package cluster

import (
	"maps"
	"slices"
	"testing"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

func TestSecurityGroupRulesConverge(t *testing.T) {
	s := shaped(false, func(n *fleet.NetworkSpec) { n.ExtraCIDRs = []string{"10.1.0.0/16", "10.2.0.0/16"} })
	o := empty()
	simulate(t, s, &o)
	group := o.first(idControlGroup)
	group.Props["ipPermissions"] = append(group.Props["ipPermissions"].([]any), fleet.Props{
		"ipProtocol": "tcp", "fromPort": 443, "toPort": 443, "ipRanges": []any{fleet.Props{"cidrIp": "10.99.0.0/16", "description": "somebody's"}}})
	s.Network.ExtraCIDRs = []string{"10.2.0.0/16", "10.3.0.0/16"}
	if got := called(simulate(t, s, &o), "sg/"); !slices.Equal(got, []string{"ec2:AuthorizeSecurityGroupIngress", "ec2:RevokeSecurityGroupIngress"}) {
		t.Errorf("%v", got)
	}
	if got := slices.Sorted(maps.Keys(letIn(o.first(idControlGroup).Props))); !slices.Equal(got, []string{"10.2.0.0/16", "10.3.0.0/16", "10.99.0.0/16"}) {
		t.Errorf("%v", got)
	}
}

func TestTagsConverge(t *testing.T) {
	s, o := private(), empty()
	simulate(t, s, &o)
	s.Tags = map[string]string{"team": "blue"}
	delete(o.Found["subnet/private/us-east-1a"][0].Tags, "kubernetes.io/role/internal-elb")
	o.Found["igw"][0].Tags["Name"] = "renamed"
	tagged := map[string]bool{}
	for _, c := range simulate(t, s, &o) {
		if c.API == "ec2:CreateTags" {
			tagged[c.ID] = true
		}
	}
	for id, list := range o.Found {
		if slices.Contains(taggedKinds, list[0].Kind) && (!tagged[id] || list[0].Tags["team"] != "blue") {
			t.Errorf("%s: %v", id, list[0].Tags)
		}
	}
	if o.Found["igw"][0].Tags["Name"] != "renamed" || o.Found["subnet/private/us-east-1a"][0].Tags["kubernetes.io/role/internal-elb"] != "1" {
		t.Error("names are not ours, roles are")
	}
}

func TestEndpointsConverge(t *testing.T) {
	s := shaped(true, func(n *fleet.NetworkSpec) { n.FullyPrivate, n.NAT = true, fleet.NATDisable })
	o := offer(empty(), s, "us-east-1a", "us-east-1b", "us-east-1c")
	simulate(t, s, &o)
	s.Network.ExtraEndpoints, s.Network.Zones = []string{"autoscaling"}, append(s.Network.Zones, "us-east-1c")
	offer(o, s, "us-east-1a", "us-east-1b", "us-east-1c")
	got := called(simulate(t, s, &o), "endpoint/")
	slices.Sort(got)
	if !slices.Equal(got, []string{"ec2:CreateVpcEndpoint", "ec2:ModifyVpcEndpoint", "ec2:ModifyVpcEndpoint", "ec2:ModifyVpcEndpoint", "ec2:ModifyVpcEndpoint", "ec2:ModifyVpcEndpoint"}) {
		t.Errorf("%v", got)
	}
	o.Found["endpoint/sts"][0].Status = "failed"
	if got := called(simulate(t, s, &o), "endpoint/"); !slices.Equal(got, []string{"ec2:DeleteVpcEndpoints", "ec2:CreateVpcEndpoint"}) {
		t.Errorf("%v", got)
	}
}

// TestAClusterBecomesFullyPrivate: the endpoints are there before the way out is closed.
func TestAClusterBecomesFullyPrivate(t *testing.T) {
	s := shaped(true, func(n *fleet.NetworkSpec) { n.NAT = fleet.NATSingle })
	o := empty()
	simulate(t, s, &o)
	s.Network.FullyPrivate, s.Network.NAT, s.Network.PublicAccess = true, fleet.NATDisable, false
	calls := simulate(t, s, func() *Observation { o = offer(o, s, "us-east-1a", "us-east-1b"); return &o }())
	endpoint, closed := 0, 0
	for i, c := range calls {
		switch c.API {
		case "ec2:CreateVpcEndpoint":
			endpoint = i
		case "ec2:DeleteRoute":
			closed = max(closed, 1)
			if i < endpoint || endpoint == 0 {
				t.Errorf("closed before %s", calls[endpoint])
			}
		}
	}
	if closed == 0 || len(o.zonesOf("nat/")) > 0 || o.first("igw") == nil {
		t.Errorf("%v", calls)
	}
}
