package elb

import (
	"maps"
	"slices"
	"strings"

	"github.com/ekspedite/ekspedite/infra/local/wire"
)

// forwarder is a listener of an Application or Network Load Balancer. It does nothing but forward to one target group:
// that is what makes the group one that is in use.
type forwarder struct {
	arn, balancer, protocol, group string
	port                           int
}

// forward is an action of a listener.
type forward struct {
	Type, TargetGroupArn string
}

type forwarderXML struct {
	ListenerArn, LoadBalancerArn, Protocol string
	Port                                   int
	DefaultActions                         []forward `xml:"DefaultActions>member"`
}

type forwardersXML struct {
	Listeners  []forwarderXML `xml:"Listeners>member"`
	NextMarker string         `xml:",omitempty"`
}

// users are the load balancers whose listeners forward to a target group.
func (s *Service) users(groupARN string) []string {
	var out []string
	for _, arn := range slices.Sorted(maps.Keys(s.listeners)) {
		if l := s.listeners[arn]; l.group == groupARN && !slices.Contains(out, l.balancer) {
			out = append(out, l.balancer)
		}
	}
	return out
}

func (s *Service) createListener(in *request) (any, error) {
	b := s.balancers[in.LoadBalancerArn]
	switch {
	case b == nil:
		return nil, notFound()
	case in.Port < 1 || in.Port > 65535 || !slices.Contains(protocols, in.Protocol):
		return nil, wire.Errf("ValidationError", "A listener protocol and port must be specified")
	case len(in.DefaultActions) != 1 || in.DefaultActions[0].Type != "forward":
		return nil, wire.Errf("NotImplemented", "the embedded cloud's listeners forward to one target group").WithStatus(501)
	}
	g := s.groups[in.DefaultActions[0].TargetGroupArn]
	if g == nil {
		return nil, noGroup()
	}
	if g.vpc != b.vpc {
		return nil, wire.Errf("InvalidConfigurationRequest", "The target group and the load balancer must be in the same VPC")
	}
	for _, l := range s.listeners {
		if l.balancer == b.arn && l.port == in.Port {
			return nil, wire.Errf("DuplicateListener", "A listener already exists on this port for this load balancer '%s'", b.arn)
		}
	}
	l := &forwarder{arn: strings.Replace(b.arn, ":loadbalancer/", ":listener/", 1) + "/" + s.w.Hex(16), balancer: b.arn, protocol: in.Protocol, group: g.arn, port: in.Port}
	s.listeners[l.arn] = l
	return forwardersXML{Listeners: []forwarderXML{l.xml()}}, nil
}

func (l *forwarder) xml() forwarderXML {
	return forwarderXML{ListenerArn: l.arn, LoadBalancerArn: l.balancer, Protocol: l.protocol, Port: l.port, DefaultActions: []forward{{"forward", l.group}}}
}

func noListener() error { return wire.Errf("ListenerNotFound", "One or more listeners not found") }

func (s *Service) describeListeners(in *request) (any, error) {
	if in.LoadBalancerArn != "" && s.balancers[in.LoadBalancerArn] == nil {
		return nil, notFound()
	}
	for _, arn := range in.ListenerArns {
		if s.listeners[arn] == nil {
			return nil, noListener()
		}
	}
	var list []forwarderXML
	for _, arn := range slices.Sorted(maps.Keys(s.listeners)) {
		if l := s.listeners[arn]; l.balancer == in.LoadBalancerArn || slices.Contains(in.ListenerArns, arn) {
			list = append(list, l.xml())
		}
	}
	list, next, err := page(list, in)
	return forwardersXML{list, next}, err
}

func (s *Service) deleteListener(in *request) (any, error) {
	if s.listeners[in.ListenerArn] == nil {
		return nil, noListener()
	}
	delete(s.listeners, in.ListenerArn)
	return struct{}{}, nil
}
