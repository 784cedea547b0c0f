package elb

import (
	"cmp"
	"maps"
	"slices"

	"github.com/ekspedite/ekspedite/infra/local/wire"
)

type targetGroup struct {
	arn, name, protocol, version, vpc, targets, health, path, healthPort string
	port                                                                 int
	tags                                                                 map[string]string
	attributes                                                           map[string]string
	members                                                              []*target // instances, in the order of their registration
}

type targetGroupXML struct {
	TargetGroupArn, TargetGroupName, Protocol string
	ProtocolVersion                           string `xml:",omitempty"`
	Port                                      int
	VpcId                                     string
	HealthCheckProtocol, HealthCheckPort      string
	HealthCheckPath                           string `xml:",omitempty"`
	HealthCheckEnabled                        bool
	TargetType, IpAddressType                 string
	LoadBalancerArns                          []string `xml:"LoadBalancerArns>member"`
}

type targetGroupsXML struct {
	Groups     []targetGroupXML `xml:"TargetGroups>member"`
	NextMarker string           `xml:",omitempty"`
}

var protocols = []string{"HTTP", "HTTPS", "TCP", "TLS", "UDP", "TCP_UDP"}

func (s *Service) createGroup(in *request) (any, error) {
	if !namePattern.MatchString(in.Name) {
		return nil, wire.Errf("ValidationError", "Target group name '%s' must be 1 to 32 letters, digits and hyphens, and must not begin or end with a hyphen", in.Name)
	}
	tags, err := checkTags(nil, in.Tags)
	if err != nil {
		return nil, err
	}
	targets := cmp.Or(in.TargetType, "instance")
	_, known := s.ec2.VPC(in.VpcId)
	switch {
	case targets != "instance" && targets != "ip":
		return nil, wire.Errf("NotImplemented", "the embedded cloud has no target groups of the type %s", targets).WithStatus(501)
	case !slices.Contains(protocols, in.Protocol):
		return nil, wire.Errf("ValidationError", "1 validation error detected: Value '%s' at 'protocol' failed to satisfy constraint: Member must satisfy enum value set: %v", in.Protocol, protocols)
	case in.Port < 1 || in.Port > 65535:
		return nil, wire.Errf("ValidationError", "A port must be specified")
	case in.VpcId == "":
		return nil, wire.Errf("ValidationError", "A VPC ID must be specified")
	case !known:
		return nil, wire.Errf("ValidationError", "The VPC ID '%s' is not found", in.VpcId)
	}
	for _, g := range s.groups {
		if g.name == in.Name {
			return nil, wire.Errf("DuplicateTargetGroupName", "A target group with the same name '%s' exists, but with different settings", in.Name)
		}
	}
	g := &targetGroup{arn: s.w.ARN("elasticloadbalancing", "targetgroup/"+in.Name+"/"+s.w.Hex(16)), name: in.Name, protocol: in.Protocol, version: in.ProtocolVersion,
		vpc: in.VpcId, targets: targets, health: cmp.Or(in.HealthCheckProtocol, in.Protocol), path: in.HealthCheckPath,
		healthPort: cmp.Or(in.HealthCheckPort, "traffic-port"), port: in.Port, tags: tags, attributes: map[string]string{}}
	s.groups[g.arn] = g
	return targetGroupsXML{Groups: []targetGroupXML{s.groupXML(g)}}, nil
}

func (s *Service) groupXML(g *targetGroup) targetGroupXML {
	return targetGroupXML{TargetGroupArn: g.arn, TargetGroupName: g.name, Protocol: g.protocol, ProtocolVersion: g.version, Port: g.port, VpcId: g.vpc,
		HealthCheckProtocol: g.health, HealthCheckPort: g.healthPort, HealthCheckPath: g.path, HealthCheckEnabled: true, TargetType: g.targets, IpAddressType: "ipv4",
		LoadBalancerArns: s.users(g.arn)}
}

func (s *Service) describeGroups(in *request) (any, error) {
	if in.LoadBalancerArn != "" && s.balancers[in.LoadBalancerArn] == nil {
		return nil, notFound()
	}
	var list []targetGroupXML
	found := 0
	for _, arn := range slices.Sorted(maps.Keys(s.groups)) {
		g := s.groups[arn]
		wanted := slices.Contains(in.TargetGroupArns, arn) || slices.Contains(in.Names, g.name)
		if wanted {
			found++
		}
		if in.LoadBalancerArn != "" {
			wanted = slices.Contains(s.users(arn), in.LoadBalancerArn)
		}
		if wanted || len(in.TargetGroupArns)+len(in.Names) == 0 && in.LoadBalancerArn == "" {
			list = append(list, s.groupXML(g))
		}
	}
	if found < len(in.TargetGroupArns)+len(in.Names) {
		return nil, wire.Errf("TargetGroupNotFound", "One or more target groups not found")
	}
	list, next, err := page(list, in)
	return targetGroupsXML{list, next}, err
}

// deleteGroup succeeds where there is nothing to delete.
func (s *Service) deleteGroup(in *request) (any, error) {
	if len(s.users(in.TargetGroupArn)) > 0 {
		return nil, wire.Errf("ResourceInUse", "Target group '%s' is currently in use by a listener or a rule", in.TargetGroupArn)
	}
	delete(s.groups, in.TargetGroupArn)
	return struct{}{}, nil
}
