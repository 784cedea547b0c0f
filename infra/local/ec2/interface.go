package ec2

import (
	"slices"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/wire"
)

// interfaceXML is a network interface, in an instance's description and in its own: the two differ in the place of the
// tags and the zone only.
type interfaceXML struct {
	ID               string         `xml:"networkInterfaceId"`
	SubnetID         string         `xml:"subnetId"`
	VpcID            string         `xml:"vpcId"`
	AvailabilityZone string         `xml:"availabilityZone"`
	Description      string         `xml:"description"`
	OwnerID          string         `xml:"ownerId"`
	Status           string         `xml:"status"`
	MacAddress       string         `xml:"macAddress,omitempty"`
	PrivateIPAddress string         `xml:"privateIpAddress"`
	PrivateDNSName   string         `xml:"privateDnsName,omitempty"`
	SourceDestCheck  bool           `xml:"sourceDestCheck"`
	InterfaceType    string         `xml:"interfaceType"`
	RequesterManaged bool           `xml:"requesterManaged"`
	Groups           []groupRef     `xml:"groupSet>item"`
	Attachment       *attachmentXML `xml:"attachment"`
	Association      *publicXML     `xml:"association"`
	PrivateIPs       []privateIPXML `xml:"privateIpAddressesSet>item"`
}

type attachmentXML struct {
	ID                  string     `xml:"attachmentId"`
	InstanceID          string     `xml:"instanceId,omitempty"`
	DeviceIndex         int        `xml:"deviceIndex"`
	Status              string     `xml:"status"`
	AttachTime          *wire.Time `xml:"attachTime"`
	DeleteOnTermination bool       `xml:"deleteOnTermination"`
}

type publicXML struct {
	IPOwnerID     string `xml:"ipOwnerId"`
	PublicDNSName string `xml:"publicDnsName"`
	PublicIP      string `xml:"publicIp"`
}

type privateIPXML struct {
	Primary          bool       `xml:"primary"`
	PrivateIPAddress string     `xml:"privateIpAddress"`
	PrivateDNSName   string     `xml:"privateDnsName,omitempty"`
	Association      *publicXML `xml:"association"`
}

type describeInterfacesIn struct {
	DryRun     bool
	IDs        []string `query:"NetworkInterfaceId"`
	Filters    []filter `query:"Filter"`
	MaxResults *int
	NextToken  string
}

type describeInterfacesOut struct {
	Interfaces []interfaceXML `xml:"networkInterfaceSet>item"`
	NextToken  string         `xml:"nextToken,omitempty"`
}

var interfaceFilters = filters[interfaceXML]{
	"network-interface-id": one(func(x interfaceXML) string { return x.ID }),
	"subnet-id":            one(func(x interfaceXML) string { return x.SubnetID }),
	"vpc-id":               one(func(x interfaceXML) string { return x.VpcID }),
	"availability-zone":    one(func(x interfaceXML) string { return x.AvailabilityZone }),
	"description":          one(func(x interfaceXML) string { return x.Description }),
	"status":               one(func(x interfaceXML) string { return x.Status }),
	"interface-type":       one(func(x interfaceXML) string { return x.InterfaceType }),
	"private-ip-address":   one(func(x interfaceXML) string { return x.PrivateIPAddress }),
	"private-dns-name":     one(func(x interfaceXML) string { return x.PrivateDNSName }),
	"attachment.instance-id": func(x interfaceXML) []string {
		if x.Attachment == nil {
			return nil
		}
		return []string{x.Attachment.InstanceID}
	},
	"group-id": func(x interfaceXML) []string {
		var out []string
		for _, g := range x.Groups {
			out = append(out, g.GroupID)
		}
		return out
	},
}

func (s *Service) publicName(ip string) string {
	name := "ec2-" + strings.ReplaceAll(ip, ".", "-")
	if s.w.Region == "us-east-1" {
		return name + ".compute-1.amazonaws.com"
	}
	return name + "." + s.w.Region + ".compute.amazonaws.com"
}

func (s *Service) interfaceOf(i *instance) interfaceXML {
	x := interfaceXML{
		ID: i.eni, SubnetID: i.subnet.id, VpcID: i.subnet.vpc.id, AvailabilityZone: i.az, OwnerID: s.w.Account, Status: "in-use", MacAddress: i.mac,
		PrivateIPAddress: i.privateIP.String(), PrivateDNSName: i.dnsName(s.w.Region), SourceDestCheck: true, InterfaceType: "interface",
		Groups: s.groupRefs(i.groups), Attachment: s.attachment(i.eni, i.id, i.launched),
	}
	if i.publicIP != "" {
		x.Association = &publicXML{"amazon", s.publicName(i.publicIP), i.publicIP}
	}
	x.PrivateIPs = []privateIPXML{{true, x.PrivateIPAddress, x.PrivateDNSName, x.Association}}
	return x
}

func (s *Service) attachment(eni, instanceID string, at time.Time) *attachmentXML {
	return &attachmentXML{"eni-attach-" + eni[len(kindInterface.prefix):], instanceID, 0, "attached", wire.At(at), true}
}

func (s *Service) interfaceOps() []wire.Op {
	return []wire.Op{handle("DescribeNetworkInterfaces", nil, s.describeInterfaces)}
}

// describeInterfaces shows the interfaces of instances and NAT gateways; there are no others.
func (s *Service) describeInterfaces(in *describeInterfacesIn) (*describeInterfacesOut, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var items []interfaceXML
	for _, r := range s.order {
		switch r := r.(type) {
		case *instance:
			if r.state != "terminated" {
				items = append(items, s.interfaceOf(r))
			}
		case *natGateway:
			if r.state != "deleted" {
				x := interfaceXML{
					ID: r.eni, SubnetID: r.subnet.id, VpcID: r.subnet.vpc.id, AvailabilityZone: r.subnet.az, OwnerID: s.w.Account, Status: "in-use",
					Description: "Interface for NAT Gateway " + r.id, PrivateIPAddress: r.privateIP.String(), InterfaceType: "nat_gateway",
					RequesterManaged: true, Attachment: s.attachment(r.eni, "", r.created),
				}
				if r.publicIP != "" {
					x.Association = &publicXML{"amazon", s.publicName(r.publicIP), r.publicIP}
				}
				x.PrivateIPs = []privateIPXML{{true, x.PrivateIPAddress, "", x.Association}}
				items = append(items, x)
			}
		}
	}
	if len(in.IDs) > 0 {
		known := map[string]interfaceXML{}
		for _, x := range items {
			known[x.ID] = x
		}
		items = nil
		for _, id := range in.IDs {
			x, ok := known[id]
			if !ok {
				return nil, kindInterface.notFound([]string{id})
			}
			items = append(items, x)
		}
	}
	items, err := interfaceFilters.keep(items, in.Filters)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(items, func(a, b interfaceXML) int { return strings.Compare(a.ID, b.ID) })
	page, next, err := paged(items, func(x interfaceXML) string { return x.ID }, query{max: in.MaxResults, token: in.NextToken})
	return &describeInterfacesOut{page, next}, err
}
