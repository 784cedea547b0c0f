package elb

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/wire"
)

var namePattern = regexp.MustCompile(`^[a-zA-Z0-9]([a-zA-Z0-9-]{0,30}[a-zA-Z0-9])?$`)

func checkName(name string) error {
	if !namePattern.MatchString(name) {
		return wire.Errf("ValidationError", "LoadBalancer name '%s' must be 1 to 32 letters, digits and hyphens, and must not begin or end with a hyphen", name)
	}
	return nil
}

// maxClassic is the Region's default quota of Classic Load Balancers.
const maxClassic = 20

func (s *Service) createClassic(in *request) (any, error) {
	if err := checkName(in.LoadBalancerName); err != nil {
		return nil, err
	}
	tags, err := checkTags(nil, in.Tags)
	if err != nil {
		return nil, err
	}
	switch {
	case s.classic[in.LoadBalancerName] != nil:
		return nil, wire.Errf("DuplicateLoadBalancerName", "The specified load balancer name '%s' already exists for this account.", in.LoadBalancerName)
	case len(in.Listeners) == 0:
		return nil, wire.Errf("ValidationError", "Listeners cannot be empty")
	case len(in.Subnets) == 0: // there is no EC2-Classic, and no default VPC here
		return nil, wire.Errf("ValidationError", "Either AvailabilityZones or SubnetIds must be specified")
	case len(s.classic) >= maxClassic:
		return nil, wire.Errf("TooManyLoadBalancers", "Exceeded quota of account %s", s.w.Account)
	}
	vpc, subnets, err := s.network(in.Subnets, in.SecurityGroups)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	b := &balancer{name: in.LoadBalancerName, arn: s.classicARN(in.LoadBalancerName), scheme: cmp.Or(in.Scheme, "internet-facing"), vpc: vpc, typ: "classic",
		created: now, active: now, subnets: subnets, securityGroups: in.SecurityGroups, listeners: in.Listeners, tags: tags}
	b.dns = fmt.Sprintf("%s-%d.%s.elb.amazonaws.com", b.name, 100000000+s.w.IntN(1900000000), s.w.Region)
	if b.scheme == "internal" {
		b.dns = "internal-" + b.dns
	}
	if err := s.wireUp(b, "ELB "+b.name); err != nil {
		return nil, err
	}
	s.classic[b.name] = b
	return struct{ DNSName string }{b.dns}, nil
}

type listenerXML struct {
	Listener    listener
	PolicyNames struct{}
}

type classicXML struct {
	LoadBalancerName, DNSName, CanonicalHostedZoneNameID string
	ListenerDescriptions                                 []listenerXML `xml:"ListenerDescriptions>member"`
	AvailabilityZones                                    []string      `xml:"AvailabilityZones>member"`
	Subnets                                              []string      `xml:"Subnets>member"`
	VPCId                                                string
	Instances                                            struct{}
	SecurityGroups                                       []string `xml:"SecurityGroups>member"`
	CreatedTime                                          wire.Time
	Scheme                                               string
}

func noClassic(name string) error {
	return wire.Errf("LoadBalancerNotFound", "There is no ACTIVE Load Balancer named '%s'", name)
}

func (s *Service) describeClassic(in *request) (any, error) {
	names := slices.Sorted(maps.Keys(s.classic))
	if len(in.LoadBalancerNames) > 0 {
		names = in.LoadBalancerNames
	}
	list := []classicXML{}
	for _, name := range names {
		b := s.classic[name]
		if b == nil {
			return nil, noClassic(name)
		}
		x := classicXML{LoadBalancerName: b.name, DNSName: b.dns, CanonicalHostedZoneNameID: "Z35SXDOTRQ7X7K", VPCId: b.vpc, SecurityGroups: b.securityGroups,
			CreatedTime: wire.Time{Time: b.created}, Scheme: b.scheme}
		for _, n := range b.subnets {
			x.AvailabilityZones, x.Subnets = append(x.AvailabilityZones, n.AZ), append(x.Subnets, n.ID)
		}
		for _, l := range b.listeners {
			x.ListenerDescriptions = append(x.ListenerDescriptions, listenerXML{Listener: l})
		}
		list = append(list, x)
	}
	list, next, err := page(list, in)
	return struct {
		Descriptions []classicXML `xml:"LoadBalancerDescriptions>member"`
		NextMarker   string       `xml:",omitempty"`
	}{list, next}, err
}

// deleteClassic succeeds where there is nothing to delete.
func (s *Service) deleteClassic(in *request) (any, error) {
	if b := s.classic[in.LoadBalancerName]; b != nil {
		delete(s.classic, b.name)
		s.drop(b)
	}
	return struct{}{}, nil
}

func (s *Service) classicTags(in *request) (any, error) {
	type description struct {
		LoadBalancerName string
		Tags             []tag `xml:"Tags>member"`
	}
	var list []description
	for _, name := range in.LoadBalancerNames {
		b := s.classic[name]
		if b == nil {
			return nil, noClassic(name)
		}
		list = append(list, description{name, tagList(b.tags)})
	}
	return struct {
		Descriptions []description `xml:"TagDescriptions>member"`
	}{list}, nil
}

func (s *Service) tagClassic(in *request) (any, error) {
	for _, name := range in.LoadBalancerNames {
		b := s.classic[name]
		if b == nil {
			return nil, noClassic(name)
		}
		tags, err := checkTags(b.tags, in.Tags)
		if err != nil {
			return nil, err
		}
		b.tags = tags
	}
	return struct{}{}, nil
}

// untagClassic gets tags that have keys only, unlike the newer API.
func (s *Service) untagClassic(in *request) (any, error) {
	for _, name := range in.LoadBalancerNames {
		b := s.classic[name]
		if b == nil {
			return nil, noClassic(name)
		}
		for _, k := range in.Tags {
			delete(b.tags, k.Key)
		}
	}
	return struct{}{}, nil
}
