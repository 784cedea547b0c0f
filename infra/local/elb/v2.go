package elb

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/wire"
)

// kinds are the types of load balancers, with their names in ARNs.
var kinds = map[string]string{"application": "app", "network": "net"}

// limits are the Region's default quotas.
var limits = map[string]int{"application": 50, "network": 50}

func (in *request) typ() string { return cmp.Or(in.Type, "application") }

func (s *Service) create(in *request) (any, error) {
	if err := checkName(in.Name); err != nil {
		return nil, err
	}
	typ := in.typ()
	if kinds[typ] == "" {
		return nil, wire.Errf("NotImplemented", "the embedded cloud has no load balancers of the type %s", typ).WithStatus(501)
	}
	tags, err := checkTags(nil, in.Tags)
	if err != nil {
		return nil, err
	}
	ids := slices.Clone(in.Subnets)
	for _, m := range in.SubnetMappings {
		if m.AllocationId+m.PrivateIPv4Address != "" {
			return nil, wire.Errf("NotImplemented", "the embedded cloud does not implement SubnetMappings with addresses").WithStatus(501)
		}
		ids = append(ids, m.SubnetId)
	}
	count := 0
	for _, b := range s.balancers {
		switch {
		case b.name == in.Name:
			return nil, wire.Errf("DuplicateLoadBalancerName", "A load balancer with the same name '%s' exists, but with different settings", in.Name)
		case b.typ == typ:
			count++
		}
	}
	switch {
	case count >= limits[typ]:
		return nil, wire.Errf("TooManyLoadBalancers", "The maximum number of load balancers has been reached")
	case typ == "application" && len(ids) < 2:
		return nil, wire.Errf("ValidationError", "At least two subnets in two different Availability Zones must be specified")
	case len(ids) == 0:
		return nil, wire.Errf("ValidationError", "At least one subnet must be specified")
	}
	vpc, subnets, err := s.network(ids, in.SecurityGroups)
	if err != nil {
		return nil, err
	}
	now, id := time.Now(), s.w.Hex(16)
	path := fmt.Sprintf("%s/%s/%s", kinds[typ], in.Name, id)
	b := &balancer{name: in.Name, arn: s.w.ARN("elasticloadbalancing", "loadbalancer/"+path), scheme: cmp.Or(in.Scheme, "internet-facing"), vpc: vpc, typ: typ,
		family: cmp.Or(in.IpAddressType, "ipv4"), created: now, active: now.Add(s.w.Profile.ConfigUpdate), subnets: subnets, securityGroups: in.SecurityGroups, tags: tags}
	b.dns = fmt.Sprintf("%s-%s.elb.%s.amazonaws.com", b.name, id, s.w.Region)
	if typ == "application" {
		b.dns = fmt.Sprintf("%s-%d.%s.elb.amazonaws.com", b.name, 100000000+s.w.IntN(1900000000), s.w.Region)
	}
	if b.scheme == "internal" {
		b.dns = "internal-" + b.dns
	}
	if err := s.wireUp(b, "ELB "+path); err != nil {
		return nil, err
	}
	s.balancers[b.arn] = b
	return balancersXML{Balancers: []balancerXML{b.xml()}}, nil
}

type zoneXML struct{ ZoneName, SubnetId string }

type balancerXML struct {
	LoadBalancerArn, DNSName, CanonicalHostedZoneId string
	CreatedTime                                     wire.Time
	LoadBalancerName, Scheme, VpcId                 string
	State                                           struct{ Code string }
	Type                                            string
	AvailabilityZones                               []zoneXML `xml:"AvailabilityZones>member"`
	SecurityGroups                                  []string  `xml:"SecurityGroups>member"`
	IpAddressType                                   string
}

type balancersXML struct {
	Balancers  []balancerXML `xml:"LoadBalancers>member"`
	NextMarker string        `xml:",omitempty"`
}

func (b *balancer) xml() balancerXML {
	x := balancerXML{LoadBalancerArn: b.arn, DNSName: b.dns, CanonicalHostedZoneId: "Z35SXDOTRQ7X7K", CreatedTime: wire.Time{Time: b.created},
		LoadBalancerName: b.name, Scheme: b.scheme, VpcId: b.vpc, Type: b.typ, SecurityGroups: b.securityGroups, IpAddressType: b.family}
	x.State.Code = "active"
	if time.Now().Before(b.active) {
		x.State.Code = "provisioning"
	}
	for _, n := range b.subnets {
		x.AvailabilityZones = append(x.AvailabilityZones, zoneXML{n.AZ, n.ID})
	}
	return x
}

func notFound() error {
	return wire.Errf("LoadBalancerNotFound", "One or more load balancers not found")
}

func (s *Service) describe(in *request) (any, error) {
	if len(in.LoadBalancerArns) > 0 && len(in.Names) > 0 {
		return nil, wire.Errf("ValidationError", "Load balancer names and load balancer ARNs cannot be specified at the same time")
	}
	var list []balancerXML
	found := 0
	for _, arn := range slices.Sorted(maps.Keys(s.balancers)) {
		b := s.balancers[arn]
		wanted := slices.Contains(in.LoadBalancerArns, arn) || slices.Contains(in.Names, b.name)
		if wanted {
			found++
		}
		if wanted || len(in.LoadBalancerArns)+len(in.Names) == 0 {
			list = append(list, b.xml())
		}
	}
	if found < len(in.LoadBalancerArns)+len(in.Names) {
		return nil, notFound()
	}
	list, next, err := page(list, in)
	return balancersXML{list, next}, err
}

// delete succeeds where there is nothing to delete.
func (s *Service) delete(in *request) (any, error) {
	if b := s.balancers[in.LoadBalancerArn]; b != nil {
		delete(s.balancers, b.arn)
		maps.DeleteFunc(s.listeners, func(_ string, l *forwarder) bool { return l.balancer == b.arn })
		s.drop(b)
	}
	return struct{}{}, nil
}

// tagsOf are the tags of the resource with an ARN; nil if there is none.
func (s *Service) tagsOf(arn string) map[string]string {
	if b := s.balancers[arn]; b != nil {
		return b.tags
	}
	if g := s.groups[arn]; g != nil {
		return g.tags
	}
	return nil
}

func (s *Service) retag(arns []string, change func(map[string]string) (map[string]string, error)) (any, error) {
	for _, arn := range arns {
		b, g := s.balancers[arn], s.groups[arn]
		if b == nil && g == nil {
			return nil, notFound()
		}
		tags, err := change(s.tagsOf(arn))
		if err != nil {
			return nil, err
		}
		if b != nil {
			b.tags = tags
		} else {
			g.tags = tags
		}
	}
	return struct{}{}, nil
}

func (s *Service) addTags(in *request) (any, error) {
	return s.retag(in.ResourceArns, func(have map[string]string) (map[string]string, error) { return checkTags(have, in.Tags) })
}

func (s *Service) removeTags(in *request) (any, error) {
	return s.retag(in.ResourceArns, func(have map[string]string) (map[string]string, error) {
		maps.DeleteFunc(have, func(k, _ string) bool { return slices.Contains(in.TagKeys, k) })
		return have, nil
	})
}

func (s *Service) describeTags(in *request) (any, error) {
	type description struct {
		ResourceArn string
		Tags        []tag `xml:"Tags>member"`
	}
	if len(in.ResourceArns) > 20 {
		return nil, wire.Errf("ValidationError", "You can specify up to 20 resources in a single call")
	}
	var list []description
	for _, arn := range in.ResourceArns {
		tags := s.tagsOf(arn)
		if tags == nil {
			return nil, notFound()
		}
		list = append(list, description{arn, tagList(tags)})
	}
	return struct {
		Descriptions []description `xml:"TagDescriptions>member"`
	}{list}, nil
}
