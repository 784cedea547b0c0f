package ec2

import (
	"fmt"
	"slices"

	"github.com/ekspedite/ekspedite/infra/local/wire"
)

type groupRef struct {
	GroupID   string `xml:"groupId"`
	GroupName string `xml:"groupName"`
}

type profileXML struct {
	Arn string `xml:"arn"`
	ID  string `xml:"id"`
}

type volumeXML struct {
	DeviceName          string     `xml:"deviceName"`
	VolumeID            string     `xml:"ebs>volumeId"`
	Status              string     `xml:"ebs>status"`
	AttachTime          *wire.Time `xml:"ebs>attachTime"`
	DeleteOnTermination bool       `xml:"ebs>deleteOnTermination"`
}

type instanceXML struct {
	InstanceID          string          `xml:"instanceId"`
	ImageID             string          `xml:"imageId"`
	State               stateXML        `xml:"instanceState"`
	PrivateDNSName      string          `xml:"privateDnsName"`
	DNSName             string          `xml:"dnsName"`
	Reason              string          `xml:"reason"`
	KeyName             string          `xml:"keyName,omitempty"`
	AmiLaunchIndex      int             `xml:"amiLaunchIndex"`
	InstanceType        string          `xml:"instanceType"`
	LaunchTime          *wire.Time      `xml:"launchTime"`
	AvailabilityZone    string          `xml:"placement>availabilityZone"`
	AvailabilityZoneID  string          `xml:"placement>availabilityZoneId"`
	Tenancy             string          `xml:"placement>tenancy"`
	Monitoring          string          `xml:"monitoring>state"`
	SubnetID            string          `xml:"subnetId,omitempty"`
	VpcID               string          `xml:"vpcId,omitempty"`
	PrivateIPAddress    string          `xml:"privateIpAddress,omitempty"`
	IPAddress           string          `xml:"ipAddress,omitempty"`
	SourceDestCheck     *bool           `xml:"sourceDestCheck"`
	Groups              []groupRef      `xml:"groupSet>item"`
	StateReason         *stateReason    `xml:"stateReason"`
	Architecture        string          `xml:"architecture"`
	RootDeviceType      string          `xml:"rootDeviceType"`
	RootDeviceName      string          `xml:"rootDeviceName"`
	Volumes             []volumeXML     `xml:"blockDeviceMapping>item"`
	VirtualizationType  string          `xml:"virtualizationType"`
	Lifecycle           string          `xml:"instanceLifecycle,omitempty"`
	InReservation       string          `xml:"capacityReservationId,omitempty"`
	SpotInstanceRequest string          `xml:"spotInstanceRequestId,omitempty"`
	ClientToken         string          `xml:"clientToken"`
	Tags                []tag           `xml:"tagSet>item"`
	Hypervisor          string          `xml:"hypervisor"`
	Interfaces          []interfaceXML  `xml:"networkInterfaceSet>item"`
	Profile             *profileXML     `xml:"iamInstanceProfile"`
	EbsOptimized        bool            `xml:"ebsOptimized"`
	EnaSupport          bool            `xml:"enaSupport"`
	MetadataOptions     metadataOptions `xml:"metadataOptions"`
	Names               nameOptions     `xml:"privateDnsNameOptions"`
	PlacementGroup      string          `xml:"placement>groupName,omitempty"`
	IPv6Address         string          `xml:"ipv6Address,omitempty"`
	Cores               int             `xml:"cpuOptions>coreCount"`
	ThreadsPerCore      int             `xml:"cpuOptions>threadsPerCore"`
}

type reservationXML struct {
	ReservationID string        `xml:"reservationId,omitempty"`
	OwnerID       string        `xml:"ownerId"`
	Instances     []instanceXML `xml:"instancesSet>item"`
}

type describeInstancesIn struct {
	DryRun      bool
	InstanceIDs []string `query:"InstanceId"`
	Filters     []filter `query:"Filter"`
	MaxResults  *int
	NextToken   string
}

type describeInstancesOut struct {
	Reservations []reservationXML `xml:"reservationSet>item"`
	NextToken    string           `xml:"nextToken,omitempty"`
}

// live returns a filter value that a terminated instance no longer has, since its network interface is gone.
func live(f func(*instance) string) func(*instance) []string {
	return func(i *instance) []string {
		if v := f(i); v != "" && i.state != "terminated" {
			return []string{v}
		}
		return nil
	}
}

// groupsOf are the security groups of an instance's primary interface.
func groupsOf(i *instance) []string {
	if i.state == "terminated" {
		return nil
	}
	return i.nic.groups
}

// lifecycle is what an instance's market is called; empty for on-demand.
func (i *instance) lifecycle() string {
	switch {
	case i.spotRequest != "":
		return "spot"
	case i.block:
		return "capacity-block"
	}
	return ""
}

func ids[T resource](list []T) []string {
	var out []string
	for _, r := range list {
		out = append(out, r.rec().id)
	}
	return out
}

func (s *Service) instanceFilters() filters[*instance] {
	return filters[*instance]{
		"instance-id":                            one(func(i *instance) string { return i.id }),
		"instance-type":                          one(func(i *instance) string { return i.typ.Name }),
		"instance-state-name":                    one(func(i *instance) string { return i.state }),
		"instance-state-code":                    one(func(i *instance) string { return fmt.Sprint(stateCodes[i.state]) }),
		"availability-zone":                      one(func(i *instance) string { return i.az }),
		"image-id":                               one(func(i *instance) string { return i.image }),
		"architecture":                           one(func(i *instance) string { return i.typ.Arch }),
		"key-name":                               one(func(i *instance) string { return i.key }),
		"reservation-id":                         one(func(i *instance) string { return i.reservation }),
		"client-token":                           one(func(i *instance) string { return i.clientToken }),
		"state-reason-code":                      one(func(i *instance) string { return i.reason.Code }),
		"owner-id":                               one(func(*instance) string { return s.w.Account }),
		"tenancy":                                one(func(*instance) string { return "default" }),
		"root-device-type":                       one(func(*instance) string { return "ebs" }),
		"private-dns-name":                       live(func(i *instance) string { return i.dnsName(s.w.Region) }),
		"private-ip-address":                     live(func(i *instance) string { return i.privateIP.String() }),
		"ip-address":                             live(func(i *instance) string { return i.publicIP }),
		"subnet-id":                              live(func(i *instance) string { return i.subnet.id }),
		"vpc-id":                                 live(func(i *instance) string { return i.subnet.vpc.id }),
		"network-interface.network-interface-id": live(func(i *instance) string { return i.nic.id }),
		"network-interface.subnet-id":            live(func(i *instance) string { return i.subnet.id }),
		"network-interface.vpc-id":               live(func(i *instance) string { return i.subnet.vpc.id }),
		"network-interface.private-dns-name":     live(func(i *instance) string { return i.dnsName(s.w.Region) }),
		"network-interface.addresses.private-ip-address": live(func(i *instance) string { return i.privateIP.String() }),
		"block-device-mapping.volume-id":                 func(i *instance) []string { return ids(i.disks) },
		"instance.group-id":                              groupsOf,
		"network-interface.group-id":                     groupsOf,
		"placement-group-name":                           one(func(i *instance) string { return i.placement }),
		"spot-instance-request-id":                       one(func(i *instance) string { return i.spotRequest }),
		"capacity-reservation-id":                        one(func(i *instance) string { return i.inReservation }),
		"iam-instance-profile.arn": func(i *instance) []string {
			if i.profile == nil {
				return nil
			}
			return []string{s.profileARN(i.profile)}
		},
		"instance-lifecycle": func(i *instance) []string {
			if l := i.lifecycle(); l != "" {
				return []string{l}
			}
			return nil
		},
	}
}

func (s *Service) profileARN(p *profile) string {
	if p.Arn != "" {
		return p.Arn
	}
	return "arn:aws:iam::" + s.w.Account + ":instance-profile/" + p.Name
}

func (s *Service) groupRefs(ids []string) []groupRef {
	var out []groupRef
	for _, id := range ids {
		r := groupRef{GroupID: id}
		if g, ok := s.byID[id].(*securityGroup); ok {
			r.GroupName = g.name
		}
		out = append(out, r)
	}
	return out
}

func (s *Service) instanceXML(i *instance) instanceXML {
	x := instanceXML{
		InstanceID: i.id, ImageID: i.image, State: stateOf(i.state), KeyName: i.key, AmiLaunchIndex: i.index, InstanceType: i.typ.Name,
		LaunchTime: wire.At(i.launched), AvailabilityZone: i.az, AvailabilityZoneID: s.zoneID(i.az), Tenancy: "default", Monitoring: "disabled",
		Architecture: i.typ.Arch, RootDeviceType: "ebs", RootDeviceName: i.rootDevice, VirtualizationType: "hvm", SpotInstanceRequest: i.spotRequest,
		ClientToken: i.clientToken, Tags: tagSet(i.tags), Hypervisor: "xen", EbsOptimized: true, EnaSupport: true, MetadataOptions: i.metadata, Names: i.names,
		Lifecycle: i.lifecycle(), InReservation: i.inReservation, PlacementGroup: i.placement,
	}
	x.Cores, x.ThreadsPerCore = i.typ.VCPU, 1
	if i.typ.Arch != "arm64" && i.typ.VCPU > 1 { // hyper-threading, as all of Intel's and most of AMD's have
		x.Cores, x.ThreadsPerCore = i.typ.VCPU/2, 2
	}
	if i.monitoring {
		x.Monitoring = "enabled"
	}
	if i.reason.Code != "" {
		reason := i.reason
		x.StateReason = &reason
		x.Reason = reason.Message
	}
	if i.state == "terminated" { // no network, no volume, no profile left
		return x
	}
	x.PrivateDNSName, x.PrivateIPAddress = i.dnsName(s.w.Region), i.privateIP.String()
	if p := s.public(i.nic); p != nil {
		x.IPAddress = p.PublicIP
		if i.subnet.vpc.dnsHostname {
			x.DNSName = p.PublicDNSName
		}
	}
	if len(i.nic.ipv6) > 0 {
		x.IPv6Address = i.nic.ipv6[0].String()
	}
	x.SubnetID, x.VpcID, x.Groups, x.SourceDestCheck = i.subnet.id, i.subnet.vpc.id, s.groupRefs(i.nic.groups), new(!i.nic.unchecked)
	for _, v := range i.disks {
		x.Volumes = append(x.Volumes, volumeXML{v.device, v.id, "attached", wire.At(v.attachedAt), v.deleteOnTermination})
	}
	for _, n := range i.nics {
		nx := s.interfaceXML(n)
		nx.Tags = nil
		x.Interfaces = append(x.Interfaces, nx)
	}
	if i.profile != nil {
		x.Profile = &profileXML{s.profileARN(i.profile), "AIPA" + i.id[2:]}
	}
	return x
}

// reservations groups instances by the call that launched them.
func (s *Service) reservations(items []*instance) []reservationXML {
	var out []reservationXML
	for _, i := range items {
		at := slices.IndexFunc(out, func(r reservationXML) bool { return r.ReservationID == i.reservation })
		if at < 0 {
			at = len(out)
			out = append(out, reservationXML{ReservationID: i.reservation, OwnerID: s.w.Account})
		}
		out[at].Instances = append(out[at].Instances, s.instanceXML(i))
	}
	return out
}

func (s *Service) describeInstances(in *describeInstancesIn) (*describeInstancesOut, error) {
	if len(in.InstanceIDs) > 0 && in.MaxResults != nil {
		return nil, wire.Errf("InvalidParameterCombination", "The parameter instancesSet cannot be used with the parameter maxResults")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forget()
	items, next, err := describe(s, kindInstance, s.instanceFilters(), query{ids: in.InstanceIDs, filters: in.Filters, max: in.MaxResults, token: in.NextToken})
	if err != nil {
		return nil, err
	}
	return &describeInstancesOut{s.reservations(items), next}, nil
}

func (s *Service) instanceOps() []wire.Op {
	on := func(action string) func(in *changeIn) []wire.Need {
		return func(in *changeIn) []wire.Need { return s.needs(action, in.InstanceIDs...) }
	}
	return []wire.Op{
		handle("RunInstances", s.runNeeds, s.runInstances),
		handle("DescribeInstances", nil, s.describeInstances),
		handle("DescribeInstanceStatus", nil, s.describeStatus),
		handle("TerminateInstances", on("ec2:TerminateInstances"), s.terminateInstances),
		handle("StopInstances", on("ec2:StopInstances"), s.stopInstances),
		handle("StartInstances", on("ec2:StartInstances"), s.startInstances),
	}
}
