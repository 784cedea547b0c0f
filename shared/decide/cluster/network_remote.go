package cluster

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/plan"
)

// The ways to hybrid nodes: a virtual private gateway of the user's, attached to the VPC, or an attachment of ours to a
// transit gateway of theirs. Each id is its kind, too.
const (
	idVPN        = "vpngateway"
	idVPNAttach  = "vpngateway/attachment"
	idTransit    = "transit"
	transitField = "transitGatewayId"
)

// byTransit tells whether hybrid nodes are reached by a transit gateway.
func byTransit(s fleet.ClusterSpec) bool {
	return s.Remote != nil && s.Network.VPC == "" && strings.HasPrefix(s.Remote.VPCGateway, "tgw-")
}

// remoteWays are the routes to hybrid nodes and their pods, which all subnets get: the control plane calls webhooks there. In
// a given VPC, and without a gateway, they are the user's to make.
func (b *builder) remoteWays(n network) (ways []way) {
	r := b.s.Remote
	if r == nil || r.VPCGateway == "" {
		return nil
	}
	w := way{gateway: idVPN, field: "gatewayId", target: r.VPCGateway, needs: []string{idVPNAttach}}
	if byTransit(b.s) {
		w.gateway, w.field, w.needs = idTransit, transitField, []string{idTransit}
		b.transit(n)
	} else {
		b.vpn()
	}
	for _, cidr := range slices.Concat(r.NodeCIDRs, r.PodCIDRs) {
		w.destination = cidr
		ways = append(ways, w)
	}
	return ways
}

// vpn attaches the virtual private gateway to the VPC.
func (b *builder) vpn() {
	id := b.s.Remote.VPCGateway
	r := b.add(thing{Ref: fleet.Ref{ID: idVPN, Kind: idVPN, Name: id}, area: "network"})
	if r.state == failed {
		r.detail = fmt.Sprintf("virtual private gateway %s does not exist: it is named in remoteNetworkConfig.vpcGatewayID and not ekspedite's to make", id)
	}
	attached := b.assumed(idVPN)
	if have := b.o.first(idVPN); have != nil {
		for _, a := range fleet.Items(have.Props, "vpcAttachments") {
			switch vpc, state := fleet.Text(a, "vpcId"), fleet.Text(a, "state"); {
			case state == "detached" || state == "detaching":
			case vpc == b.vpcID():
				attached = true
			default:
				r.state, r.detail = failed, fmt.Sprintf("virtual private gateway %s is attached to VPC %s: name another one in remoteNetworkConfig.vpcGatewayID, or detach it", id, vpc)
			}
		}
	}
	b.part(idVPNAttach, "network", attached, []string{idVPN, idVPC}, func() plan.Call {
		return b.call(plan.Change, idVPNAttach, "ec2:AttachVpnGateway", "attach virtual private gateway "+id+" to the VPC", fleet.Props{
			"vpnGatewayId": id, "vpcId": b.vpcID(),
		})
	})
}

// transit adds the attachment to the transit gateway, with an interface in each zone.
func (b *builder) transit(n network) {
	inside := b.inside()
	subnets := n.ids(func(s subnet) bool { return s.public != inside && s.regular() })
	b.add(thing{
		Ref: fleet.Ref{ID: idTransit, Kind: idTransit}, area: "network", needs: append([]string{idVPC}, subnets...),
		create: func() plan.Call {
			c := b.call(plan.Create, idTransit, "ec2:CreateTransitGatewayVpcAttachment", "attach the VPC to transit gateway "+b.s.Remote.VPCGateway, fleet.Props{
				transitField: b.s.Remote.VPCGateway, "vpcId": b.vpcID(), "subnetIds": b.physical(subnets),
				"tagSpecifications": specification("transit-gateway-attachment", b.tags(idTransit)),
			})
			c.Unless = true
			return c
		},
		differ: func(have fleet.Resource) ([]plan.Call, []string) {
			if is := fleet.Text(have.Props, transitField); is != b.s.Remote.VPCGateway {
				return nil, []string{cannot("the attachment "+have.Physical, "remoteNetworkConfig.vpcGatewayID", "it is to "+is, "write it into the file, or delete the attachment")}
			}
			if more := lacking(b.physical(subnets), fleet.Texts(have.Props, "subnetIds")); len(more) > 0 {
				return []plan.Call{b.call(plan.Change, idTransit, "ec2:ModifyTransitGatewayVpcAttachment", "extend the transit gateway's attachment to all zones", fleet.Props{
					"transitGatewayAttachmentId": have.Physical, "addSubnetIds": more,
				})}, nil
			}
			return b.retagged(have, b.tags(idTransit)), nil
		},
	})
}
