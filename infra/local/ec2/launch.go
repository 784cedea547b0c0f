package ec2

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/wire"
)

// launch is a wish for instances, with everything resolved.
type launch struct {
	typ                       InstanceType
	subnet                    *subnet
	count, least              int
	spot                      bool
	market                    marketOptions
	data                      templateData // image, user data, groups, profile and the like
	publicIP                  *bool
	privateIP                 string
	template                  *template
	version                   int64
	tags                      map[string]string // instances'
	volumeTags, interfaceTags map[string]string
	ipv6                      int  // addresses of the primary interface
	block                     bool // in a capacity block
	placement                 string
	clientToken               string
}

// start makes the instances of a launch. The lock is held.
func (s *Service) start(l launch) ([]*instance, error) {
	az := l.subnet.az
	if !s.offered(l.typ, az) {
		var others []string
		for _, z := range s.zones() {
			if s.offered(l.typ, z.name) {
				others = append(others, z.name)
			}
		}
		return nil, wire.Errf(notOffered, "Your requested instance type (%s) is not supported in your requested Availability Zone (%s). Please retry your request by not specifying an Availability Zone or choosing %s.", l.typ.Name, az, strings.Join(others, ", "))
	}
	room := s.offer(l.typ.Name, az, marketName(l.spot))
	if room < l.least {
		return nil, s.insufficient(l.typ, az, marketName(l.spot))
	}
	if err := s.withinQuota(l); err != nil {
		return nil, err
	}
	groups, err := s.groupsIn(l.subnet.vpc, l.groups())
	if err != nil {
		return nil, err
	}
	if l.ipv6 > 0 && l.subnet.v6 == nil {
		return nil, invalid("The subnet '%s' has no IPv6 CIDR block.", l.subnet.id)
	}
	each := max(len(l.data.NetworkInterfaces), 1) // addresses that an instance takes
	count := min(l.count, room, max(l.subnet.free(), 0)/each)
	if count < l.least {
		return nil, noAddresses(l.subnet)
	}
	reservation := "r-" + s.w.Hex(17)
	var out []*instance
	for n := range count {
		i := s.newInstance(l, reservation, n)
		if err := s.giveInterfaces(i, l, groups); err != nil {
			return nil, err
		}
		tags := maps.Clone(l.tags)
		if l.template != nil {
			if tags == nil {
				tags = map[string]string{}
			}
			tags["aws:ec2launchtemplate:id"], tags["aws:ec2launchtemplate:version"] = l.template.id, fmt.Sprint(l.version)
		}
		s.add(kindInstance, i, tags)
		s.giveVolumes(i, l)
		s.enter(i, "pending")
		s.later(i, s.w.Profile.InstancePending, "running")
		out = append(out, i)
	}
	return out, nil
}

// newInstance makes the record of an instance without its network and disks. The lock is held.
func (s *Service) newInstance(l launch, reservation string, n int) *instance {
	i := &instance{
		typ: l.typ, subnet: l.subnet, az: l.subnet.az, launched: time.Now(), image: l.data.ImageID, rootDevice: "/dev/xvda",
		key: l.data.KeyName, userData: l.data.UserData, profile: l.data.IamInstanceProfile, template: l.template, market: l.market,
		reservation: reservation, index: n, clientToken: l.clientToken, block: l.block, placement: l.placement, names: l.subnet.names,
		metadata: metadataOptions{State: "applied", HTTPTokens: "optional", HTTPPutResponseHopLimit: new(1), HTTPEndpoint: "enabled", HTTPProtocolIpv6: "disabled", InstanceMetadataTags: "disabled"},
	}
	if r := l.data.CapacityReservation; r != nil && r.Target != nil {
		i.inReservation = r.Target.ID
	}
	if m := l.data.MetadataOptions; m != nil {
		set(&i.metadata.HTTPTokens, m.HTTPTokens)
		set(&i.metadata.HTTPPutResponseHopLimit, m.HTTPPutResponseHopLimit)
		set(&i.metadata.HTTPEndpoint, m.HTTPEndpoint)
		set(&i.metadata.HTTPProtocolIpv6, m.HTTPProtocolIpv6)
		set(&i.metadata.InstanceMetadataTags, m.InstanceMetadataTags)
	}
	if i.profile != nil {
		i.role = s.profileRole(i.profile)
	}
	if image, ok := s.image(i.image); ok {
		i.rootDevice = image.RootDevice
	}
	if o := l.data.Names; o != nil {
		set(&i.names.HostnameType, o.HostnameType)
		i.names.A, i.names.AAAA = i.names.A || o.A, i.names.AAAA || o.AAAA
	}
	i.monitoring = l.data.Monitoring != nil && l.data.Monitoring.Enabled
	if l.spot {
		i.spotRequest = "sir-" + s.w.Hex(8)
	}
	if public := l.subnet.mapPublic; l.publicIP == nil && public || l.publicIP != nil && *l.publicIP {
		i.publicIP, i.lent = s.publicIP(), true
	}
	return i
}

// primarySpec is the interface at device index 0.
func primarySpec(specs []networkSpec) networkSpec {
	for _, n := range specs {
		if n.DeviceIndex != nil && *n.DeviceIndex == 0 && (n.NetworkCardIndex == nil || *n.NetworkCardIndex == 0) {
			return n
		}
	}
	return specs[0]
}

// groups are the security groups that a launch names.
func (l launch) groups() []string {
	if len(l.data.NetworkInterfaces) > 0 {
		return primarySpec(l.data.NetworkInterfaces).Groups
	}
	return l.data.SecurityGroupIDs
}

// giveInterfaces makes an instance's interfaces, all in its subnet: as many as it is launched with, or the one that it
// cannot be without. The lock is held.
func (s *Service) giveInterfaces(i *instance, l launch, groups []string) error {
	specs := slices.Clone(l.data.NetworkInterfaces)
	if len(specs) == 0 {
		specs = []networkSpec{{}}
	}
	for at, spec := range specs {
		n := &networkInterface{subnet: l.subnet, description: spec.Description, typ: "interface", groups: groups}
		set(&n.typ, spec.InterfaceType)
		index, card, want := at, 0, spec.PrivateIPAddress
		if spec.DeviceIndex != nil {
			index = *spec.DeviceIndex
		}
		if spec.NetworkCardIndex != nil {
			card = *spec.NetworkCardIndex
		}
		primary := index == 0 && card == 0
		if primary {
			want = l.privateIP
			for range l.ipv6 {
				n.ipv6 = append(n.ipv6, s.ipv6In(l.subnet))
			}
		} else if len(spec.Groups) > 0 {
			var err error
			if n.groups, err = s.groupsIn(l.subnet.vpc, spec.Groups); err != nil {
				return err
			}
		}
		if err := s.newInterface(n, want, l.interfaceTags); err != nil {
			s.letGo(i)
			return err
		}
		s.attach(n, i, index, card, spec.DeleteOnTermination == nil || *spec.DeleteOnTermination)
		if primary || i.nic == nil {
			i.nic, i.privateIP = n, n.ip
		}
	}
	return nil
}

// withinQuota checks a launch against the account's limits of vCPUs. The lock is held.
func (s *Service) withinQuota(l launch) error {
	code := vcpuQuota(l.typ.class(), l.spot)
	if code == "" || l.block || s.vcpus(l.typ.class(), l.spot)+l.least*l.typ.VCPU <= s.quota(code) {
		return nil
	}
	if l.spot {
		return wire.Errf("MaxSpotInstanceCountExceeded", "Max spot instance count exceeded")
	}
	return wire.Errf("VcpuLimitExceeded", "You have requested more vCPU capacity than your current vCPU limit of %d allows for the instance bucket that the specified instance type belongs to. Please visit http://aws.amazon.com/contact-us/ec2-request to request an adjustment to this limit.", s.quota(code))
}

// checkPlacement reads where a launch wants its instances. The lock is held.
func (s *Service) checkPlacement(l *launch) error {
	p := l.data.Placement
	if p == nil {
		return nil
	}
	if p.AvailabilityZone != "" && p.AvailabilityZone != l.subnet.az {
		return wire.Errf("InvalidParameterCombination", "The availability zone %s does not match the availability zone of the subnet %s.", p.AvailabilityZone, l.subnet.id)
	}
	if p.Tenancy != "" && p.Tenancy != "default" {
		return wire.Errf("NotImplemented", "the embedded cloud does not implement Placement.Tenancy %q", p.Tenancy).WithStatus(501)
	}
	if p.GroupName == "" && p.GroupID == "" {
		return nil
	}
	for _, g := range all[*placementGroup](s) {
		if g.name == p.GroupName || g.id == p.GroupID {
			l.placement = g.name
			return nil
		}
	}
	return unknownPlacement(p.GroupName + p.GroupID)
}

func marketName(spot bool) string {
	if spot {
		return "spot"
	}
	return "on-demand"
}
