package ec2

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/world"
)

// gatewayTime passes the time that gateways and attachments take.
func gatewayTime() {
	time.Sleep(world.Fast.NATGatewayCreate)
	synctest.Wait()
}

// routeTo returns a table's route to a destination.
func (r *rig) routeTo(table, cidr string) routeXML {
	r.t.Helper()
	for _, x := range must(r.describeRouteTables(&describeRouteTablesIn{IDs: []string{table}})).Tables[0].Routes {
		if x.DestinationCidrBlock == cidr {
			return x
		}
	}
	r.t.Fatalf("no route to %s", cidr)
	return routeXML{}
}

func TestVPNGatewayLife(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, r *rig) {
		const remote = "10.80.0.0/16"
		table := must(r.createRouteTable(&createRouteTableIn{VpcID: r.vpc})).RouteTable.ID
		id := must(r.createVPNGateway(&createVPNGatewayIn{Type: "ipsec.1"})).Gateway.ID
		on := &vpnGatewayIn{ID: id, VpcID: r.vpc}
		out := &routeIn{RouteTableID: table, DestinationCidrBlock: remote, GatewayID: id}
		attachment := func() string {
			a := must(r.describeVPNGateways(&describeVPNGatewaysIn{IDs: []string{id}})).Gateways[0].Attachments
			if len(a) == 0 {
				return ""
			}
			return a[0].State + " " + a[0].VpcID
		}
		_, err := r.createRoute(out)
		r.says(err, "InvalidParameterValue: route table %s and network gateway %s belong to different networks", table, id)
		_, err = r.detachVPNGateway(on)
		r.says(err, "InvalidVpnGatewayAttachment.NotFound: The attachment with vpn gateway ID '%s' and vpc ID '%s' does not exist", id, r.vpc)
		if got := attachment(); got != "" {
			t.Errorf("a new gateway is %s", got)
		}

		for range 2 { // the second changes nothing
			if got := must(r.attachVPNGateway(on)).Attachment; got.State != "attaching" || got.VpcID != r.vpc {
				t.Errorf("attachment %+v", got)
			}
		}
		_, err = r.enablePropagation(&propagationIn{GatewayID: id, RouteTableID: table})
		r.says(err, "Gateway.NotAttached: resource %s is not attached to network %s", id, r.vpc)
		must(r.createRoute(out))
		if got := r.routeTo(table, remote); got.State != "blackhole" || got.GatewayID != id {
			t.Errorf("while attaching: %+v", got)
		}
		gatewayTime()
		if got := r.routeTo(table, remote).State; got != "active" || attachment() != "attached "+r.vpc {
			t.Errorf("%s: route %s", attachment(), got)
		}
		if found := must(r.describeRouteTables(&describeRouteTablesIn{Filters: []filter{{"route.gateway-id", []string{id}}}})).Tables; len(found) != 1 {
			t.Errorf("%d tables by the gateway", len(found))
		}
		for range 2 {
			must(r.enablePropagation(&propagationIn{GatewayID: id, RouteTableID: table}))
		}
		propagating := func() []propagatingXML {
			return must(r.describeRouteTables(&describeRouteTablesIn{IDs: []string{table}})).Tables[0].Propagating
		}
		if got := propagating(); len(got) != 1 || got[0].GatewayID != id {
			t.Errorf("propagating %v", got)
		}
		must(r.disablePropagation(&propagationIn{GatewayID: id, RouteTableID: table}))
		if got := propagating(); len(got) != 0 {
			t.Errorf("propagating %v", got)
		}
		must(r.enablePropagation(&propagationIn{GatewayID: id, RouteTableID: table}))

		other := must(r.createVPC(&createVPCIn{CidrBlock: "10.1.0.0/16"})).Vpc.VpcID
		second := must(r.createVPNGateway(&createVPNGatewayIn{Type: "ipsec.1", AmazonSideASN: new(int64(65000))})).Gateway.ID
		_, err = r.attachVPNGateway(&vpnGatewayIn{ID: id, VpcID: other})
		r.wantCode(err, "VpnGatewayAttachmentLimitExceeded")
		_, err = r.attachVPNGateway(&vpnGatewayIn{ID: second, VpcID: r.vpc})
		r.wantCode(err, "InvalidVpcState")
		_, err = r.deleteVPNGateway(&vpnGatewayIn{ID: id})
		r.wantCode(err, "IncorrectState")

		must(r.deleteSubnet(&subnetIn{SubnetID: r.subnet}))
		for range 2 {
			must(r.detachVPNGateway(on))
		}
		_, err = r.attachVPNGateway(on)
		r.wantCode(err, "InvalidVpnGatewayState")
		gatewayTime()
		if got := r.routeTo(table, remote).State; got != "blackhole" || attachment() != "detached "+r.vpc || len(propagating()) != 0 {
			t.Errorf("%s: route %s, propagating %v", attachment(), got, propagating())
		}
		must(r.replaceRoute(&routeIn{RouteTableID: table, DestinationCidrBlock: remote, GatewayID: must(r.attachedVPN(second)).id}))
		must(r.deleteRouteTable(&routeTableIn{RouteTableID: table}))
		_, err = r.deleteVPC(&vpcIn{VpcID: r.vpc})
		r.wantCode(err, "DependencyViolation")
		must(r.detachVPNGateway(&vpnGatewayIn{ID: second, VpcID: r.vpc}))
		gatewayTime()
		must(r.deleteVPC(&vpcIn{VpcID: r.vpc}))

		must(r.deleteVPNGateway(&vpnGatewayIn{ID: id}))
		_, err = r.attachVPNGateway(&vpnGatewayIn{ID: id, VpcID: other})
		r.says(err, "InvalidVpnGatewayID.NotFound: The vpnGateway ID '%s' does not exist", id)
		if got := must(r.describeVPNGateways(&describeVPNGatewaysIn{Filters: []filter{{"state", []string{"deleted"}}}})).Gateways; len(got) != 1 || got[0].ID != id {
			t.Errorf("deleted %+v", got)
		}
		time.Sleep(time.Hour + time.Second)
		_, err = r.describeVPNGateways(&describeVPNGatewaysIn{IDs: []string{id}})
		r.wantCode(err, "InvalidVpnGatewayID.NotFound")
	})
}

// attachedVPN attaches a gateway to the rig's VPC and waits for it.
func (r *rig) attachedVPN(id string) (*vpnGateway, error) {
	_, err := r.attachVPNGateway(&vpnGatewayIn{ID: id, VpcID: r.vpc})
	gatewayTime()
	return r.byID[id].(*vpnGateway), err
}

func TestVPNGatewayRequests(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, r *rig) {
		for name, c := range map[string]struct {
			in   createVPNGatewayIn
			code string
		}{
			"no type":     {createVPNGatewayIn{}, "MissingParameter"},
			"a type":      {createVPNGatewayIn{Type: "ipsec.2"}, "InvalidParameterValue"},
			"public ASN":  {createVPNGatewayIn{Type: "ipsec.1", AmazonSideASN: new(int64(3320))}, "InvalidParameterValue"},
			"no zone":     {createVPNGatewayIn{Type: "ipsec.1", AvailabilityZone: "nowhere"}, "InvalidParameterValue"},
			"other's tag": {createVPNGatewayIn{Type: "ipsec.1", TagSpecifications: []tagSpec{{"vpc", nil}}}, "InvalidParameterValue"},
		} {
			if _, err := r.createVPNGateway(&c.in); code(err) != c.code {
				t.Errorf("%s: %v, want %s", name, err, c.code)
			}
		}
		arn := "arn:aws:ec2:us-east-1:123456789012:"
		for id, want := range map[string]string{"vgw-1": "vpn-gateway/vgw-1", "tgw-1": "transit-gateway/tgw-1", "tgw-attach-1": "transit-gateway-attachment/tgw-attach-1"} {
			if got := r.needs("ec2:X", id)[0].Resource; got != arn+want {
				t.Errorf("%s is %s", id, got)
			}
		}
	})
}
