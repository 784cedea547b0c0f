package ec2

import (
	"maps"
	"slices"
	"strings"

	"github.com/ekspedite/ekspedite/infra/local/wire"
)

// need is a permission on an existing resource, or on one that does not exist: then IAM decides before EC2 says so.
func (s *Service) need(action, id string) wire.Need {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.needLocked(action, id)
}

func (s *Service) needLocked(action, id string) wire.Need {
	n := wire.Need{Action: action, Resource: "*", Context: map[string][]string{"ec2:Region": {s.w.Region}}}
	if r, ok := s.byID[id]; ok {
		n.Resource = s.arnOf(r)
		resourceTags(n.Context, r.rec().tags)
		if v := vpcOf(r); v != "" {
			n.Context["ec2:Vpc"] = []string{s.arn("vpc", v)}
		}
		if i, ok := r.(*instance); ok {
			n.Context["ec2:InstanceType"] = []string{i.typ.Name}
			n.Context["ec2:AvailabilityZone"] = []string{i.az}
		}
		return n
	}
	for _, k := range kinds {
		if strings.HasPrefix(id, k.prefix) {
			n.Resource = s.arn(k.name, id)
		}
	}
	return n
}

// arnOf is a resource's ARN: with its name where IAM knows it by that.
func (s *Service) arnOf(r resource) string {
	switch r := r.(type) {
	case *keyPair:
		return s.arn(r.kind.name, r.name)
	case *placementGroup:
		return s.arn(r.kind.name, r.name)
	}
	return s.arn(r.rec().kind.name, r.rec().id)
}

func vpcOf(r resource) string {
	switch r := r.(type) {
	case *networkInterface:
		return r.subnet.vpc.id
	case *egressGateway:
		return r.vpc.id
	case *endpoint:
		return r.vpc.id
	case *subnet:
		return r.vpc.id
	case *routeTable:
		return r.vpc.id
	case *securityGroup:
		return r.vpc.id
	}
	return ""
}

// needs asks for one action on each of the resources.
func (s *Service) needs(action string, ids ...string) []wire.Need {
	var out []wire.Need
	for _, id := range ids {
		if id != "" {
			out = append(out, s.need(action, id))
		}
	}
	if out == nil {
		out = append(out, wire.Need{Action: action, Resource: "*"})
	}
	return out
}

// creates is the permission to create a resource of a kind, with those to tag it and to use the resources it is made
// in. Each resource is a permission of its own, as IAM evaluates it.
func (s *Service) creates(operation string, k *kind, specs []tagSpec, context map[string][]string, in ...string) []wire.Need {
	tags := map[string]string{}
	for _, spec := range specs {
		if spec.ResourceType == k.name {
			for _, t := range spec.Tags {
				tags[t.Key] = t.Value
			}
		}
	}
	n := wire.Need{Action: "ec2:" + operation, Resource: s.arn(k.name, "*"), Context: map[string][]string{"ec2:Region": {s.w.Region}}}
	maps.Copy(n.Context, context)
	requestTags(n.Context, tags)
	out := []wire.Need{n}
	for _, id := range in {
		if id != "" {
			out = append(out, s.need("ec2:"+operation, id))
		}
	}
	if len(tags) > 0 {
		c := maps.Clone(n.Context)
		c["ec2:CreateAction"] = []string{operation}
		out = append(out, wire.Need{Action: "ec2:CreateTags", Resource: n.Resource, Context: c})
	}
	return out
}

func requestTags(context map[string][]string, tags map[string]string) {
	for k, v := range tags {
		context["aws:RequestTag/"+k] = []string{v}
	}
	if len(tags) > 0 {
		context["aws:TagKeys"] = slices.Sorted(maps.Keys(tags))
	}
}

func resourceTags(context map[string][]string, tags map[string]string) {
	for k, v := range tags {
		context["aws:ResourceTag/"+k] = []string{v}
		context["ec2:ResourceTag/"+k] = []string{v}
	}
}
