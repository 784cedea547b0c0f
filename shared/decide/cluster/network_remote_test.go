package cluster

import (
	"slices"
	"strings"
	"testing"

	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/plan"
)

func init() {
	parts["ec2:AttachVpnGateway"] = func(o *Observation, c plan.Call) {
		changed(o, idVPN, func(p fleet.Props) {
			p["vpcAttachments"] = []any{fleet.Props{"vpcId": c.Input["vpcId"], "state": "attached"}}
		})
	}
	parts["ec2:ModifyTransitGatewayVpcAttachment"] = func(o *Observation, c plan.Call) {
		changed(o, idTransit, func(p fleet.Props) {
			p["subnetIds"] = fleet.Strings(append(fleet.Texts(p, "subnetIds"), fleet.Texts(c.Input, "addSubnetIds")...))
		})
	}
}

func hybrid(gateway string) fleet.ClusterSpec {
	s := shaped(true, func(n *fleet.NetworkSpec) { n.NAT = fleet.NATSingle })
	s.Remote = &fleet.RemoteSpec{NodeCIDRs: []string{"10.80.0.0/16"}, PodCIDRs: []string{"10.81.0.0/16"}, VPCGateway: gateway, Provider: "ssm"}
	return s
}

// vgw is a virtual private gateway of the user's.
func vgw(o Observation, vpc string) Observation {
	p := fleet.Props{"vpnGatewayId": "vgw-1"}
	if vpc != "" {
		p["vpcAttachments"] = []any{fleet.Props{"vpcId": vpc, "state": "attached"}}
	}
	o.Found[idVPN] = []fleet.Resource{{Ref: fleet.Ref{ID: idVPN, Kind: idVPN, Name: "vgw-1"}, Physical: "vgw-1", Status: "available", Props: p}}
	return o
}

// TestTheWayToHybridNodes: all route tables lead there, and the control plane lets them in.
func TestTheWayToHybridNodes(t *testing.T) {
	for gateway, want := range map[string]struct{ attach, field, target string }{
		"vgw-1": {"ec2:AttachVpnGateway", "gatewayId", "vgw-1"},
		"tgw-1": {"ec2:CreateTransitGatewayVpcAttachment", "transitGatewayId", "tgw-1"},
	} {
		s := hybrid(gateway)
		o := empty()
		if gateway == "vgw-1" {
			vgw(o, "")
		}
		calls := simulate(t, s, &o)
		attach := slices.IndexFunc(calls, func(c plan.Call) bool { return c.API == want.attach })
		for i, c := range calls {
			if strings.Contains(c.ID, "/to/") && i < attach {
				t.Errorf("%s comes before %s", c, want.attach)
			}
		}
		for _, table := range []string{"routes/public", "routes/private/us-east-1a", "routes/private/us-east-1b"} {
			for _, cidr := range []string{"10.80.0.0/16", "10.81.0.0/16"} {
				if r := routeTo(o.first(table), cidr); r[want.field] != want.target {
					t.Errorf("%s: %s leads to %v", table, cidr, r)
				}
			}
		}
		if got := letIn(o.first(idControlGroup).Props); len(got) != 2 {
			t.Errorf("lets in %v", got)
		}
		s.Network.Zones = append(s.Network.Zones, "us-east-1c")
		if got := called(simulate(t, s, &o), "transit"); gateway == "tgw-1" && !slices.Equal(got, []string{"ec2:ModifyTransitGatewayVpcAttachment"}) {
			t.Errorf("%v", got)
		}
	}
	for want, o := range map[string]Observation{"vgw-1 does not exist": empty(), "is attached to VPC vpc-other": vgw(empty(), "vpc-other")} {
		if p, err := Forecast(now, o, hybrid("vgw-1"), opt); err != nil || p.Outcome != OutcomeFailed || !strings.Contains(p.Reason, want) {
			t.Errorf("%v\n%s", err, p)
		}
	}
}
