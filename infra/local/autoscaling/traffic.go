package autoscaling

import (
	"slices"
	"strings"

	"github.com/ekspedite/ekspedite/infra/local/wire"
)

// source is a load balancer or a target group that a group's instances get traffic from. In target groups they are
// registered; a Classic Load Balancer is only kept and shown.
type source struct {
	Identifier string
	Type       string
}

// The types of sources.
const (
	classic     = "elb"
	targetGroup = "elbv2"
	lattice     = "vpc-lattice"
)

type targetGroupsIn struct {
	AutoScalingGroupName string
	TargetGroupARNs      []string
}

type loadBalancersIn struct {
	AutoScalingGroupName string
	LoadBalancerNames    []string
}

type trafficIn struct {
	AutoScalingGroupName     string
	TrafficSources           []source
	SkipZonalShiftValidation bool
}

type describeTrafficIn struct {
	AutoScalingGroupName string
	TrafficSourceType    string
	MaxRecords           *int
	NextToken            string
}

type targetGroupXML struct {
	LoadBalancerTargetGroupARN, State string
}

type describeTargetGroupsOut struct {
	Groups    []targetGroupXML `xml:"LoadBalancerTargetGroups>member"`
	NextToken string           `xml:",omitempty"`
}

type loadBalancerXML struct {
	LoadBalancerName, State string
}

type describeLoadBalancersOut struct {
	Balancers []loadBalancerXML `xml:"LoadBalancers>member"`
	NextToken string            `xml:",omitempty"`
}

type trafficXML struct {
	Identifier, Type, State string
}

type describeTrafficOut struct {
	Sources   []trafficXML `xml:"TrafficSources>member"`
	NextToken string       `xml:",omitempty"`
}

// sourceOps attach and detach sources in the three ways that the API has: by target groups, by classic load balancers,
// and by both at once.
func (s *Service) sourceOps() []wire.Op {
	groups := func(name string, do func(*group, []source)) wire.Op {
		return handle(s, name, func(in *targetGroupsIn) []wire.Need {
			n := s.need(name, in.AutoScalingGroupName)
			n.Context["autoscaling:TargetGroupARNs"] = in.TargetGroupARNs
			return []wire.Need{n}
		}, func(in *targetGroupsIn) (*none, error) {
			return s.changeSources(in.AutoScalingGroupName, sourcesOf(targetGroup, in.TargetGroupARNs), do)
		})
	}
	balancers := func(name string, do func(*group, []source)) wire.Op {
		return handle(s, name, func(in *loadBalancersIn) []wire.Need {
			n := s.need(name, in.AutoScalingGroupName)
			n.Context["autoscaling:LoadBalancerNames"] = in.LoadBalancerNames
			return []wire.Need{n}
		}, func(in *loadBalancersIn) (*none, error) {
			return s.changeSources(in.AutoScalingGroupName, sourcesOf(classic, in.LoadBalancerNames), do)
		})
	}
	traffic := func(name string, do func(*group, []source)) wire.Op {
		return handle(s, name, func(in *trafficIn) []wire.Need {
			n := s.need(name, in.AutoScalingGroupName)
			for _, t := range in.TrafficSources {
				n.Context["autoscaling:TrafficSourceIdentifiers"] = append(n.Context["autoscaling:TrafficSourceIdentifiers"], t.Identifier)
			}
			return []wire.Need{n}
		}, func(in *trafficIn) (*none, error) {
			return s.changeSources(in.AutoScalingGroupName, in.TrafficSources, do)
		})
	}
	return []wire.Op{
		groups("AttachLoadBalancerTargetGroups", (*group).attachSources), groups("DetachLoadBalancerTargetGroups", (*group).detachSources),
		balancers("AttachLoadBalancers", (*group).attachSources), balancers("DetachLoadBalancers", (*group).detachSources),
		traffic("AttachTrafficSources", (*group).attachSources), traffic("DetachTrafficSources", (*group).detachSources),
		handle(s, "DescribeLoadBalancerTargetGroups", nil, s.describeTargetGroups),
		handle(s, "DescribeLoadBalancers", nil, s.describeLoadBalancers),
		handle(s, "DescribeTrafficSources", nil, s.describeTraffic),
	}
}

func sourcesOf(kind string, ids []string) []source {
	var out []source
	for _, id := range ids {
		out = append(out, source{id, kind})
	}
	return out
}

// complete fills in the types of sources, which ARNs say, and checks them.
func complete(sources []source) ([]source, error) {
	out := slices.Clone(sources)
	for i := range out {
		isTarget := strings.HasPrefix(out[i].Identifier, "arn:") && strings.Contains(out[i].Identifier, ":targetgroup/")
		switch {
		case out[i].Type == "" && isTarget:
			out[i].Type = targetGroup
		case out[i].Type == "":
			out[i].Type = classic
		}
		switch out[i].Type {
		case targetGroup:
			if !isTarget {
				return nil, validation("Provided Target Groups may not be valid. Please ensure they exist and try again.")
			}
		case classic:
		case lattice:
			return nil, notImplemented("traffic sources of the type %s", lattice)
		default:
			return nil, validation("Invalid traffic source type %s", out[i].Type)
		}
	}
	return out, nil
}

func (s *Service) changeSources(name string, sources []source, do func(*group, []source)) (*none, error) {
	g, err := s.find(name)
	if err != nil {
		return nil, err
	}
	if sources, err = complete(sources); err != nil {
		return nil, err
	}
	before := g.identifiers(targetGroup)
	do(g, sources)
	s.rebalanceSources(g, before)
	return &none{}, nil
}

func (g *group) attachSources(sources []source) {
	for _, t := range sources {
		if !slices.Contains(g.sources, t) {
			g.sources = append(g.sources, t)
		}
	}
}

func (g *group) detachSources(sources []source) {
	g.sources = slices.DeleteFunc(g.sources, func(t source) bool { return slices.Contains(sources, t) })
}

// identifiers lists a group's sources of one type.
func (g *group) identifiers(kind string) []string {
	var out []string
	for _, t := range g.sources {
		if t.Type == kind {
			out = append(out, t.Identifier)
		}
	}
	slices.Sort(out)
	return out
}

// sourceState is InService once the group has an instance that traffic can reach, as far as it is known here.
func (g *group) sourceState() string {
	if g.count(func(m *member) bool { return m.state == inService }) > 0 {
		return "InService"
	}
	return "Added"
}

func (s *Service) describeTargetGroups(in *describeTrafficIn) (*describeTargetGroupsOut, error) {
	g, err := s.find(in.AutoScalingGroupName)
	if err != nil {
		return nil, err
	}
	page, next, err := paged(g.identifiers(targetGroup), func(id string) string { return id }, in.MaxRecords, in.NextToken)
	out := &describeTargetGroupsOut{NextToken: next}
	for _, id := range page {
		out.Groups = append(out.Groups, targetGroupXML{id, g.sourceState()})
	}
	return out, err
}

func (s *Service) describeLoadBalancers(in *describeTrafficIn) (*describeLoadBalancersOut, error) {
	g, err := s.find(in.AutoScalingGroupName)
	if err != nil {
		return nil, err
	}
	page, next, err := paged(g.identifiers(classic), func(id string) string { return id }, in.MaxRecords, in.NextToken)
	out := &describeLoadBalancersOut{NextToken: next}
	for _, id := range page {
		out.Balancers = append(out.Balancers, loadBalancerXML{id, g.sourceState()})
	}
	return out, err
}

func (s *Service) describeTraffic(in *describeTrafficIn) (*describeTrafficOut, error) {
	g, err := s.find(in.AutoScalingGroupName)
	if err != nil {
		return nil, err
	}
	var items []trafficXML
	for _, kind := range []string{classic, targetGroup} {
		if in.TrafficSourceType != "" && in.TrafficSourceType != kind {
			continue
		}
		for _, id := range g.identifiers(kind) {
			items = append(items, trafficXML{id, kind, g.sourceState()})
		}
	}
	page, next, err := paged(items, func(x trafficXML) string { return x.Type + x.Identifier }, in.MaxRecords, in.NextToken)
	return &describeTrafficOut{page, next}, err
}
