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
	typ          InstanceType
	subnet       *subnet
	count, least int
	spot         bool
	market       marketOptions
	data         templateData // image, user data, groups, profile and the like
	publicIP     *bool
	privateIP    string
	template     *template
	version      int64
	tags         map[string]string // instances'
	clientToken  string
}

// pool is one market for one instance type in one zone. An empty field stands for any.
type pool struct{ instanceType, az, market string }

// SetCapacity says whether EC2 has capacity for an instance type in a zone on a market ("spot" or "on-demand"). An empty
// argument means any; available ends the effect of an earlier call with the same arguments.
func (s *Service) SetCapacity(instanceType, az, market string, available bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if available {
		delete(s.full, pool{instanceType, az, market})
	} else {
		s.full[pool{instanceType, az, market}] = true
	}
}

func (s *Service) lacks(typ, az, market string) bool {
	for p := range s.full {
		if (p.instanceType == "" || p.instanceType == typ) && (p.az == "" || p.az == az) && (p.market == "" || p.market == market) {
			return true
		}
	}
	return s.opts.Insufficient != nil && s.opts.Insufficient(typ, az, market)
}

// insufficient is EC2's answer when a pool is empty. It is a server error: SDKs retry it.
func (s *Service) insufficient(typ InstanceType, az, market string) *wire.Error {
	if market == "spot" {
		return wire.Errf("InsufficientInstanceCapacity", "There is no Spot capacity available that matches your request.").WithStatus(500)
	}
	var others []string
	for _, z := range s.zones() {
		if z.name != az && s.offered(typ, z.name) && !s.lacks(typ.Name, z.name, market) {
			others = append(others, z.name)
		}
	}
	hint := ""
	if len(others) > 0 {
		hint = fmt.Sprintf(" You can currently get %s capacity by not specifying an Availability Zone in your request or choosing %s.", typ.Name, strings.Join(others, ", "))
	}
	return wire.Errf("InsufficientInstanceCapacity", "We currently do not have sufficient %s capacity in the Availability Zone you requested (%s). Our system will be working on provisioning additional capacity.%s", typ.Name, az, hint).WithStatus(500)
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
		return nil, wire.Errf("Unsupported", "Your requested instance type (%s) is not supported in your requested Availability Zone (%s). Please retry your request by not specifying an Availability Zone or choosing %s.", l.typ.Name, az, strings.Join(others, ", "))
	}
	if market := marketName(l.spot); s.lacks(l.typ.Name, az, market) {
		return nil, s.insufficient(l.typ, az, market)
	}
	groups, err := s.groupsFor(l)
	if err != nil {
		return nil, err
	}
	count := min(l.count, max(l.subnet.free(), 0))
	if count < l.least {
		return nil, noAddresses(l.subnet)
	}
	reservation := "r-" + s.w.Hex(17)
	var out []*instance
	for n := range count {
		ip, err := l.subnet.take(l.privateIP)
		if err != nil {
			return nil, err
		}
		h := s.w.Hex(10)
		i := &instance{
			typ: l.typ, subnet: l.subnet, az: az, launched: time.Now(), privateIP: ip, groups: groups, image: l.data.ImageID,
			eni: "eni-" + s.w.Hex(17), volume: "vol-" + s.w.Hex(17), mac: "02:" + h[:2] + ":" + h[2:4] + ":" + h[4:6] + ":" + h[6:8] + ":" + h[8:],
			key: l.data.KeyName, userData: l.data.UserData, profile: l.data.IamInstanceProfile, template: l.template, market: l.market,
			reservation: reservation, index: n, clientToken: l.clientToken,
			metadata: metadataOptions{State: "applied", HTTPTokens: "optional", HTTPPutResponseHopLimit: new(1), HTTPEndpoint: "enabled", HTTPProtocolIpv6: "disabled", InstanceMetadataTags: "disabled"},
		}
		if m := l.data.MetadataOptions; m != nil {
			set(&i.metadata.HTTPTokens, m.HTTPTokens)
			set(&i.metadata.HTTPPutResponseHopLimit, m.HTTPPutResponseHopLimit)
			set(&i.metadata.HTTPEndpoint, m.HTTPEndpoint)
			set(&i.metadata.InstanceMetadataTags, m.InstanceMetadataTags)
		}
		i.monitoring = l.data.Monitoring != nil && l.data.Monitoring.Enabled
		if l.spot {
			i.spotRequest = "sir-" + s.w.Hex(8)
		}
		if public := l.subnet.mapPublic; l.publicIP == nil && public || l.publicIP != nil && *l.publicIP {
			i.publicIP = s.publicIP()
		}
		tags := maps.Clone(l.tags)
		if l.template != nil {
			if tags == nil {
				tags = map[string]string{}
			}
			tags["aws:ec2launchtemplate:id"], tags["aws:ec2launchtemplate:version"] = l.template.id, fmt.Sprint(l.version)
		}
		s.add(kindInstance, i, tags)
		s.enter(i, "pending")
		s.later(i, s.w.Profile.InstancePending, "running")
		out = append(out, i)
	}
	return out, nil
}

func marketName(spot bool) string {
	if spot {
		return "spot"
	}
	return "on-demand"
}

// groupsFor finds the security groups of a launch: what it names, or the VPC's default.
func (s *Service) groupsFor(l launch) ([]string, error) {
	groups := l.data.SecurityGroupIDs
	if len(l.data.NetworkInterfaces) > 0 {
		groups = l.data.NetworkInterfaces[0].Groups
	}
	for _, id := range groups {
		g, err := get[*securityGroup](s, kindGroup, id)
		if err != nil {
			return nil, err
		}
		if g.vpc != l.subnet.vpc {
			return nil, wire.Errf("InvalidParameter", "Security group %s and subnet %s belong to different networks.", id, l.subnet.id)
		}
	}
	if len(groups) > 0 {
		return slices.Clone(groups), nil
	}
	for _, g := range all[*securityGroup](s) {
		if g.vpc == l.subnet.vpc && g.name == "default" {
			return []string{g.id}, nil
		}
	}
	return nil, nil
}
