package ec2

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// transitRig is a rig with a transit gateway that is available.
func (r *rig) transitRig() string {
	id := must(r.createTransit(&createTransitIn{})).Gateway.ID
	gatewayTime()
	return id
}

func (r *rig) attachments(name, value string) []transitAttachmentXML {
	return must(r.describeAttachments(&describeAttachmentsIn{Filters: []filter{{name, []string{value}}}})).Attachments
}

func TestTransitAttachmentLife(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, r *rig) {
		const remote = "10.80.0.0/16"
		gateway := r.transitRig()
		table := must(r.createRouteTable(&createRouteTableIn{VpcID: r.vpc})).RouteTable.ID
		second := must(r.createSubnet(&createSubnetIn{VpcID: r.vpc, CidrBlock: "10.0.2.0/24", AvailabilityZone: "us-east-1a"})).Subnet.SubnetID
		out := &routeIn{RouteTableID: table, DestinationCidrBlock: remote, TransitGatewayID: gateway}
		refused := func() {
			t.Helper()
			_, err := r.createRoute(out)
			r.says(err, "InvalidTransitGatewayID.NotFound: The transitGateway ID '%s' does not exist", gateway)
		}
		refused()
		a := must(r.createAttachment(&createAttachmentIn{
			TransitGatewayID: gateway, VpcID: r.vpc, SubnetIDs: []string{r.subnet}, TagSpecifications: []tagSpec{{"transit-gateway-attachment", []tag{{"cluster", "c"}}}},
		})).Attachment
		if a.State != "pending" || a.VpcID != r.vpc || a.TransitGatewayID != gateway || !slices.Equal(a.SubnetIDs, []string{r.subnet}) || a.Options != (attachmentOptions{"enable", "enable", "disable", "disable"}) {
			t.Errorf("a new attachment: %+v", a)
		}
		refused()
		_, err := r.createAttachment(&createAttachmentIn{TransitGatewayID: gateway, VpcID: r.vpc, SubnetIDs: []string{r.subnet}})
		r.says(err, "DuplicateTransitGatewayAttachment: %s has non-deleted Transit Gateway Attachments with same VPC ID.", gateway)
		more := &modifyAttachmentIn{ID: a.ID, AddSubnetIDs: []string{second}}
		_, err = r.modifyAttachment(more)
		r.says(err, "IncorrectState: %s is in invalid state", a.ID)
		gatewayTime()
		must(r.createRoute(out))
		if got := r.routeTo(table, remote); got.State != "active" || got.TransitGatewayID != gateway || got.GatewayID != "" {
			t.Errorf("route %+v", got)
		}
		for name, value := range map[string]string{"tag:cluster": "c", "transit-gateway-id": gateway, "vpc-id": r.vpc, "state": "available"} {
			if got := r.attachments(name, value); len(got) != 1 || got[0].ID != a.ID {
				t.Errorf("by %s: %+v", name, got)
			}
		}
		if got := r.interfaces("interface-type", "transit_gateway"); len(got) != 1 || got[0].SubnetID != r.subnet || !got[0].RequesterManaged || got[0].SourceDestCheck || !strings.HasSuffix(got[0].Description, a.ID) {
			t.Errorf("interfaces %+v", got)
		}

		if got := must(r.modifyAttachment(more)).Attachment; got.State != "modifying" || len(got.SubnetIDs) != 2 || len(r.interfaces("interface-type", "transit_gateway")) != 2 {
			t.Errorf("modified: %+v", got)
		}
		if got := r.routeTo(table, remote).State; got != "active" {
			t.Errorf("while modifying, the route is %s", got)
		}
		_, err = r.modifyAttachment(more)
		r.wantCode(err, "IncorrectState")
		gatewayTime()
		_, err = r.modifyAttachment(more)
		r.wantCode(err, "DuplicateSubnetsInSameZone")
		_, err = r.modifyAttachment(&modifyAttachmentIn{ID: a.ID, RemoveSubnetIDs: []string{r.subnet, second}})
		r.wantCode(err, "InvalidParameterValue")
		_, err = r.deleteSubnet(&subnetIn{SubnetID: second})
		r.wantCode(err, "DependencyViolation")
		got := must(r.modifyAttachment(&modifyAttachmentIn{ID: a.ID, RemoveSubnetIDs: []string{second}, Options: attachmentOptions{ApplianceMode: "enable"}})).Attachment
		if len(got.SubnetIDs) != 1 || got.Options.ApplianceMode != "enable" || got.Options.DNSSupport != "enable" {
			t.Errorf("modified: %+v", got)
		}
		must(r.deleteSubnet(&subnetIn{SubnetID: second}))
		gatewayTime()

		_, err = r.deleteTransit(&transitIn{ID: gateway})
		r.says(err, "IncorrectState: %s has non-deleted VPC Attachments: %s.", gateway, a.ID)
		if got := must(r.deleteAttachment(&attachmentIn{ID: a.ID})).Attachment.State; got != "deleting" {
			t.Errorf("after delete: %s", got)
		}
		if got := r.routeTo(table, remote).State; got != "blackhole" {
			t.Errorf("while deleting, the route is %s", got)
		}
		_, err = r.deleteSubnet(&subnetIn{SubnetID: r.subnet})
		r.wantCode(err, "DependencyViolation")
		_, err = r.deleteVPC(&vpcIn{VpcID: r.vpc})
		r.wantCode(err, "DependencyViolation")
		gatewayTime()
		_, err = r.deleteAttachment(&attachmentIn{ID: a.ID})
		r.wantCode(err, "InvalidTransitGatewayAttachmentID.NotFound")
		must(r.deleteSubnet(&subnetIn{SubnetID: r.subnet}))
		must(r.deleteRouteTable(&routeTableIn{RouteTableID: table}))
		must(r.deleteVPC(&vpcIn{VpcID: r.vpc}))
		if got := r.attachments("state", "deleted"); len(got) != 1 || got[0].ID != a.ID {
			t.Errorf("deleted: %+v", got)
		}
		if got := must(r.deleteTransit(&transitIn{ID: gateway})).Gateway.State; got != "deleting" {
			t.Errorf("after delete: %s", got)
		}
		gatewayTime()
		_, err = r.createAttachment(&createAttachmentIn{TransitGatewayID: gateway})
		r.says(err, "InvalidTransitGatewayID.NotFound: Transit Gateway %s was deleted or does not exist.", gateway)
		time.Sleep(time.Hour + time.Second)
		if got := r.attachments("state", "*"); len(got) != 0 {
			t.Errorf("an hour later: %+v", got)
		}
		_, err = r.describeTransits(&describeTransitsIn{IDs: []string{gateway}})
		r.wantCode(err, "InvalidTransitGatewayID.NotFound")
	})
}

// TestVPCNeedsItsAttachmentGone: the attachment itself is in the VPC's way, not only its interfaces.
func TestVPCNeedsItsAttachmentGone(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, r *rig) {
		a := must(r.createAttachment(&createAttachmentIn{TransitGatewayID: r.transitRig(), VpcID: r.vpc, SubnetIDs: []string{r.subnet}})).Attachment
		r.remove(r.byID[r.subnet]) // so that nothing else is
		_, err := r.deleteVPC(&vpcIn{VpcID: r.vpc})
		r.wantCode(err, "DependencyViolation")
		gatewayTime()
		must(r.deleteAttachment(&attachmentIn{ID: a.ID}))
		gatewayTime()
		must(r.deleteVPC(&vpcIn{VpcID: r.vpc}))
	})
}

func TestTransitRequests(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, r *rig) {
		_, err := r.createTransit(&createTransitIn{Options: transitOptions{DNSSupport: "on"}})
		r.wantCode(err, "InvalidParameterValue")
		_, err = r.createTransit(&createTransitIn{Options: transitOptions{AmazonSideASN: 1}})
		r.wantCode(err, "InvalidParameterValue")
		g := must(r.createTransit(&createTransitIn{Description: "to the data centre", Options: transitOptions{DefaultPropagation: "disable"}})).Gateway
		if g.State != "pending" || g.Options.AmazonSideASN != 64512 || g.Options.AssociationTable == "" || g.Options.PropagationTable != "" || g.Options.MulticastSupport != "disable" {
			t.Errorf("a new gateway: %+v", g)
		}
		attach := &createAttachmentIn{TransitGatewayID: g.ID, VpcID: r.vpc, SubnetIDs: []string{r.subnet}}
		_, err = r.createAttachment(attach)
		r.wantCode(err, "IncorrectState")
		_, err = r.deleteTransit(&transitIn{ID: g.ID})
		r.wantCode(err, "IncorrectState")
		gatewayTime()
		same := must(r.createSubnet(&createSubnetIn{VpcID: r.vpc, CidrBlock: "10.0.2.0/24", AvailabilityZone: "us-east-1b"})).Subnet.SubnetID
		other := must(r.createVPC(&createVPCIn{CidrBlock: "10.1.0.0/16"})).Vpc.VpcID
		for name, c := range map[string]struct {
			change func(*createAttachmentIn)
			code   string
		}{
			"no gateway":     {func(in *createAttachmentIn) { in.TransitGatewayID = "tgw-0123456789abcdef0" }, "InvalidTransitGatewayID.NotFound"},
			"not a gateway":  {func(in *createAttachmentIn) { in.TransitGatewayID = "vgw-1" }, "InvalidTransitGatewayID.Malformed"},
			"no VPC":         {func(in *createAttachmentIn) { in.VpcID = "vpc-1" }, "InvalidVpcID.NotFound"},
			"no subnet":      {func(in *createAttachmentIn) { in.SubnetIDs = nil }, "MissingParameter"},
			"unknown subnet": {func(in *createAttachmentIn) { in.SubnetIDs = []string{"subnet-1"} }, "InvalidSubnetID.NotFound"},
			"one zone":       {func(in *createAttachmentIn) { in.SubnetIDs = append(in.SubnetIDs, same) }, "DuplicateSubnetsInSameZone"},
			"another VPC":    {func(in *createAttachmentIn) { in.VpcID = other }, "InvalidParameterValue"},
			"an option":      {func(in *createAttachmentIn) { in.Options.Ipv6Support = "true" }, "InvalidParameterValue"},
		} {
			in := *attach
			in.SubnetIDs = slices.Clone(in.SubnetIDs)
			c.change(&in)
			if _, err := r.createAttachment(&in); code(err) != c.code {
				t.Errorf("%s: %v, want %s", name, err, c.code)
			}
		}
		if got := len(all[*transitAttachment](r.Service)) + len(all[*networkInterface](r.Service)); got != 0 {
			t.Errorf("%d things left of what was refused", got)
		}
	})
}
