package ec2

import (
	"time"

	"github.com/ekspedite/ekspedite/infra/local/ec2/form"
	"github.com/ekspedite/ekspedite/infra/local/wire"
)

// natVisible is how long a deleted NAT gateway stays in describes: about an hour, says the VPC guide.
const natVisible = time.Hour

type natGateway struct {
	record
	subnet   *subnet
	state    string // pending, available, deleting, deleted
	private  bool
	nic      *networkInterface
	address  *address // nil for a private one and once deleted
	publicIP string
	deleted  time.Time
}

type createNATIn struct {
	DryRun                         bool
	SubnetID                       string `query:"SubnetId"`
	AllocationID                   string `query:"AllocationId"`
	ClientToken                    string
	ConnectivityType               string
	PrivateIPAddress               string `query:"PrivateIpAddress"`
	AvailabilityMode               *form.Unsupported
	VpcID                          *form.Unsupported `query:"VpcId"`
	AvailabilityZoneAddress        *form.Unsupported
	SecondaryAllocationID          *form.Unsupported `query:"SecondaryAllocationId"`
	SecondaryPrivateIPAddress      *form.Unsupported `query:"SecondaryPrivateIpAddress"`
	SecondaryPrivateIPAddressCount *form.Unsupported `query:"SecondaryPrivateIpAddressCount"`
	TagSpecifications              []tagSpec         `query:"TagSpecification"`
}

type natAddressXML struct {
	AllocationID       string `xml:"allocationId,omitempty"`
	NetworkInterfaceID string `xml:"networkInterfaceId"`
	PrivateIP          string `xml:"privateIp"`
	PublicIP           string `xml:"publicIp,omitempty"`
	IsPrimary          bool   `xml:"isPrimary"`
	Status             string `xml:"status"`
}

type natXML struct {
	ID               string          `xml:"natGatewayId"`
	SubnetID         string          `xml:"subnetId"`
	VpcID            string          `xml:"vpcId"`
	State            string          `xml:"state"`
	ConnectivityType string          `xml:"connectivityType"`
	CreateTime       *wire.Time      `xml:"createTime"`
	DeleteTime       *wire.Time      `xml:"deleteTime"`
	Addresses        []natAddressXML `xml:"natGatewayAddressSet>item"`
	Tags             []tag           `xml:"tagSet>item"`
}

type createNATOut struct {
	ClientToken string `xml:"clientToken,omitempty"`
	Gateway     natXML `xml:"natGateway"`
}

type natIn struct {
	DryRun bool
	ID     string `query:"NatGatewayId"`
}

type natIDOut struct {
	ID string `xml:"natGatewayId"`
}

type describeNATsIn struct {
	DryRun     bool
	IDs        []string `query:"NatGatewayId"`
	Filters    []filter `query:"Filter"`
	MaxResults *int
	NextToken  string
}

type describeNATsOut struct {
	Gateways  []natXML `xml:"natGatewaySet>item"`
	NextToken string   `xml:"nextToken,omitempty"`
}

var natFilters = filters[*natGateway]{
	"nat-gateway-id": one(func(n *natGateway) string { return n.id }),
	"state":          one(func(n *natGateway) string { return n.state }),
	"subnet-id":      one(func(n *natGateway) string { return n.subnet.id }),
	"vpc-id":         one(func(n *natGateway) string { return n.subnet.vpc.id }),
}

func (s *Service) natOps() []wire.Op {
	return []wire.Op{
		handle("CreateNatGateway", func(in *createNATIn) []wire.Need {
			return s.creates("CreateNatGateway", kindNAT, in.TagSpecifications, nil, in.SubnetID, in.AllocationID)
		}, s.createNAT),
		handle("DeleteNatGateway", func(in *natIn) []wire.Need { return s.needs("ec2:DeleteNatGateway", in.ID) }, s.deleteNAT),
		handle("DescribeNatGateways", nil, s.describeNATs),
	}
}

func (s *Service) natXML(n *natGateway) natXML {
	x := natXML{
		ID: n.id, SubnetID: n.subnet.id, VpcID: n.subnet.vpc.id, State: n.state, ConnectivityType: "public", CreateTime: wire.At(n.created), Tags: tagSet(n.tags),
		Addresses: []natAddressXML{{NetworkInterfaceID: n.nic.id, PrivateIP: n.nic.ip.String(), PublicIP: n.publicIP, IsPrimary: true, Status: "succeeded"}},
	}
	if n.private {
		x.ConnectivityType = "private"
	}
	if n.address != nil {
		x.Addresses[0].AllocationID = n.address.id
	}
	if !n.deleted.IsZero() {
		x.DeleteTime = wire.At(n.deleted)
	}
	return x
}

func (s *Service) createNAT(in *createNATIn) (*createNATOut, error) {
	tags, err := specTags(in.TagSpecifications, "natgateway")
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return once(s, "CreateNatGateway", in.ClientToken, in, func() (*createNATOut, error) {
		net, err := get[*subnet](s, kindSubnet, in.SubnetID)
		if err != nil {
			return nil, err
		}
		n := &natGateway{subnet: net, state: "pending"}
		switch in.ConnectivityType {
		case "", "public":
			if in.AllocationID == "" {
				return nil, missing("AllocationId")
			}
			if n.address, err = get[*address](s, kindAddress, in.AllocationID); err != nil {
				return nil, err
			}
			if n.address.on != nil {
				return nil, wire.Errf("Resource.AlreadyAssociated", "resource %s is already associated with interface %s", n.address.id, n.address.on.id)
			}
		case "private":
			n.private = true
		default:
			return nil, invalid("Value (%s) for parameter connectivityType is invalid.", in.ConnectivityType)
		}
		count := 0
		for _, o := range all[*natGateway](s) {
			if o.subnet.az == net.az && o.state != "deleted" {
				count++
			}
		}
		if count >= s.quota(QuotaNATGateways) {
			return nil, wire.Errf("NatGatewayLimitExceeded", "Performing this operation would exceed the limit of %d NAT gateways", s.quota(QuotaNATGateways))
		}
		n.nic = &networkInterface{
			subnet: net, typ: "nat_gateway", requester: "amazon-nat", attached: &attachment{id: "ela-attach-" + s.w.Hex(17), at: time.Now(), index: 1},
		}
		if err := s.newInterface(n.nic, in.PrivateIPAddress, nil); err != nil {
			return nil, err
		}
		if n.address != nil {
			n.address.on, n.nic.address, n.publicIP = n.nic, n.address, n.address.publicIP
		}
		s.add(kindNAT, n, tags)
		n.nic.description = "Interface for NAT Gateway " + n.id
		s.w.After(s.w.Profile.NATGatewayCreate, func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			if n.state == "pending" {
				n.state = "available"
			}
		})
		return &createNATOut{in.ClientToken, s.natXML(n)}, nil
	})
}

// deleteNAT takes as long as creating one; the address is free afterwards, and the entry stays for an hour.
func (s *Service) deleteNAT(in *natIn) (*natIDOut, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, err := get[*natGateway](s, kindNAT, in.ID)
	if err != nil {
		return nil, err
	}
	if n.state == "deleting" || n.state == "deleted" {
		return &natIDOut{n.id}, nil
	}
	n.state = "deleting"
	s.w.After(s.w.Profile.NATGatewayCreate, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		n.state, n.deleted = "deleted", time.Now()
		s.dropInterface(n.nic)
		n.address = nil
	})
	return &natIDOut{n.id}, nil
}

func (s *Service) describeNATs(in *describeNATsIn) (*describeNATsOut, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, n := range all[*natGateway](s) {
		if n.state == "deleted" && time.Since(n.deleted) > natVisible {
			s.remove(n)
		}
	}
	items, next, err := describe(s, kindNAT, natFilters, query{ids: in.IDs, filters: in.Filters, max: in.MaxResults, token: in.NextToken})
	out := &describeNATsOut{NextToken: next}
	for _, n := range items {
		out.Gateways = append(out.Gateways, s.natXML(n))
	}
	return out, err
}
