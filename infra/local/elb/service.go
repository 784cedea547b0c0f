// Package elb is the embedded cloud's Elastic Load Balancing: Classic, Application and Network Load Balancers and target
// groups with their targets, with the network interfaces that load balancers have in a customer's subnets. No traffic passes:
// they are here because what Kubernetes leaves behind in a VPC stands in the way of the VPC's deletion, and because a machine
// that goes has to be taken out of its target groups.
//
// The two APIs, of 2012 for Classic Load Balancers and of 2015 for the others, share a signing name, the names of most
// operations and their permissions. The Version of a call tells them apart.
package elb

import (
	"context"
	"encoding/xml"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/ec2"
	"github.com/ekspedite/ekspedite/infra/local/wire"
	"github.com/ekspedite/ekspedite/infra/local/world"
)

// EC2 is the part of EC2 that load balancers use.
type EC2 interface {
	Subnet(id string) (ec2.Subnet, bool)
	SecurityGroupVPC(id string) (vpcID string, ok bool)
	VPC(id string) (cidr string, ok bool)
	CreateServiceInterface(subnetID, description string, groups []string, tags map[string]string) (id string, err error)
	DeleteServiceInterface(id string) error
	Instance(id string) (ec2.Instance, bool)
}

// Service is Elastic Load Balancing of one account in one Region.
type Service struct {
	w   *world.World
	ec2 EC2

	mu        sync.Mutex
	classic   map[string]*balancer // by name
	balancers map[string]*balancer // the others, by ARN
	groups    map[string]*targetGroup
	listeners map[string]*forwarder // of those others, by ARN
}

// balancer is a load balancer of any type.
type balancer struct {
	name, arn, dns, scheme, vpc, typ, family string
	created                                  time.Time
	active                                   time.Time // from when on
	subnets                                  []ec2.Subnet
	securityGroups                           []string
	listeners                                []listener // Classic only
	interfaces                               []string
	tags                                     map[string]string
}

// New makes an account without load balancers.
func New(w *world.World, machines EC2) *Service {
	return &Service{w: w, ec2: machines, classic: map[string]*balancer{}, balancers: map[string]*balancer{}, groups: map[string]*targetGroup{}, listeners: map[string]*forwarder{}}
}

const classicVersion = "2012-06-01"

// API is the service for the gateway.
func (s *Service) API() *wire.Service {
	return &wire.Service{
		Name: "elasticloadbalancing", Protocol: wire.Query, XMLNamespace: "http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/",
		Ops: []wire.Op{
			s.op("CreateLoadBalancer", s.createClassic, s.create),
			s.op("DescribeLoadBalancers", s.describeClassic, s.describe),
			s.op("DeleteLoadBalancer", s.deleteClassic, s.delete),
			s.op("DescribeTags", s.classicTags, s.describeTags),
			s.op("AddTags", s.tagClassic, s.addTags),
			s.op("RemoveTags", s.untagClassic, s.removeTags),
			s.op("CreateTargetGroup", nil, s.createGroup),
			s.op("DescribeTargetGroups", nil, s.describeGroups),
			s.op("DeleteTargetGroup", nil, s.deleteGroup),
			s.op("DescribeTargetGroupAttributes", nil, s.describeAttributes),
			s.op("ModifyTargetGroupAttributes", nil, s.modifyAttributes),
			s.op("RegisterTargets", nil, s.register),
			s.op("DeregisterTargets", nil, s.deregister),
			s.op("DescribeTargetHealth", nil, s.describeHealth),
			s.op("CreateListener", nil, s.createListener),
			s.op("DescribeListeners", nil, s.describeListeners),
			s.op("DeleteListener", nil, s.deleteListener),
		},
	}
}

type tag struct{ Key, Value string }

type listener struct {
	Protocol         string
	LoadBalancerPort int
	InstanceProtocol string `xml:",omitempty"`
	InstancePort     int
	SSLCertificateId string `xml:",omitempty"`
}

// request is the parameters of every operation of both APIs.
type request struct {
	Version, Name, LoadBalancerName, LoadBalancerArn, Scheme, Type, IpAddressType string
	LoadBalancerNames, LoadBalancerArns, ResourceArns, Names                      []string
	AvailabilityZones, Subnets, SecurityGroups                                    []string
	SubnetMappings                                                                []struct{ SubnetId, AllocationId, PrivateIPv4Address string }
	Listeners                                                                     []listener
	Tags                                                                          []tag
	TagKeys                                                                       []string

	TargetGroupArn, Protocol, VpcId, TargetType, ProtocolVersion, HealthCheckProtocol, HealthCheckPath, HealthCheckPort string
	TargetGroupArns                                                                                                     []string
	Port                                                                                                                int
	Targets                                                                                                             []targetID
	Attributes                                                                                                          []tag
	ListenerArn                                                                                                         string
	ListenerArns                                                                                                        []string
	DefaultActions                                                                                                      []forward

	Marker   string
	PageSize *int
}

// op makes an operation out of those of the two APIs; classic may be nil. Both run with s.mu held.
func (s *Service) op(name string, classic, v2 func(*request) (any, error)) wire.Op {
	return wire.Handle(name, func(_ *wire.Call, in *request) []wire.Need {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.needs(name, in)
	}, func(_ context.Context, _ *wire.Call, in *request) (*answer, error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		do := v2
		if in.Version == classicVersion {
			do = classic
		}
		if do == nil {
			return nil, wire.Errf("InvalidAction", "The action %s is not valid for this endpoint.", name)
		}
		out, err := do(in)
		return &answer{out}, err
	})
}

// answer lets unnamed structs, which encoding/xml refuses as roots, be answers.
type answer struct{ value any }

// MarshalXML implements xml.Marshaler.
func (a *answer) MarshalXML(e *xml.Encoder, start xml.StartElement) error {
	return e.EncodeElement(a.value, start)
}

// needs are the permissions of an operation: describing has no resource level, all else is about named resources.
func (s *Service) needs(name string, in *request) []wire.Need {
	action := "elasticloadbalancing:" + name
	if strings.HasPrefix(name, "Describe") {
		return []wire.Need{{Action: action, Resource: "*"}}
	}
	var out []wire.Need
	add := func(resource string, tags map[string]string) {
		n := wire.Need{Action: action, Resource: resource, Context: map[string][]string{}}
		for _, t := range in.Tags {
			if name != "RemoveTags" { // of which the older API's has keys in the place of tags
				n.Context["aws:RequestTag/"+t.Key] = []string{t.Value}
			}
			n.Context["aws:TagKeys"] = append(n.Context["aws:TagKeys"], t.Key)
		}
		if len(in.TagKeys) > 0 {
			n.Context["aws:TagKeys"] = in.TagKeys
		}
		for k, v := range tags {
			n.Context["aws:ResourceTag/"+k], n.Context["elasticloadbalancing:ResourceTag/"+k] = []string{v}, []string{v}
		}
		out = append(out, n)
	}
	classic := func(name string) {
		var tags map[string]string
		if b := s.classic[name]; b != nil {
			tags = b.tags
		}
		add(s.classicARN(name), tags)
	}
	switch {
	case name == "CreateTargetGroup":
		add(s.w.ARN("elasticloadbalancing", "targetgroup/"+in.Name+"/*"), nil)
	case in.Version == classicVersion && in.LoadBalancerName != "":
		classic(in.LoadBalancerName)
	case in.Version == classicVersion:
		for _, n := range in.LoadBalancerNames {
			classic(n)
		}
	case name == "CreateLoadBalancer":
		add(s.w.ARN("elasticloadbalancing", "loadbalancer/"+kinds[in.typ()]+"/"+in.Name+"/*"), nil)
	default:
		for _, arn := range append([]string{in.LoadBalancerArn + in.TargetGroupArn + in.ListenerArn}, in.ResourceArns...) {
			if arn != "" {
				add(arn, s.tagsOf(arn))
			}
		}
	}
	if strings.HasPrefix(name, "Create") && len(in.Tags) > 0 {
		for _, n := range slices.Clone(out) {
			context := maps.Clone(n.Context)
			context["elasticloadbalancing:CreateAction"] = []string{name}
			out = append(out, wire.Need{Action: "elasticloadbalancing:AddTags", Resource: n.Resource, Context: context})
		}
	}
	return out
}

func (s *Service) classicARN(name string) string {
	return s.w.ARN("elasticloadbalancing", "loadbalancer/"+name)
}

// network finds the subnets of a load balancer to be, which are of one VPC and of different zones, and checks its
// security groups.
func (s *Service) network(ids, securityGroups []string) (vpc string, subnets []ec2.Subnet, err error) {
	zones := map[string]bool{}
	for _, id := range ids {
		n, ok := s.ec2.Subnet(id)
		if !ok {
			return "", nil, wire.Errf("SubnetNotFound", "The subnet ID '%s' does not exist", id)
		}
		switch {
		case vpc != "" && n.VPCID != vpc:
			return "", nil, wire.Errf("InvalidConfigurationRequest", "Subnets must belong to the same VPC")
		case zones[n.AZ]:
			return "", nil, wire.Errf("InvalidConfigurationRequest", "A load balancer cannot be attached to multiple subnets in the same Availability Zone")
		}
		vpc, zones[n.AZ] = n.VPCID, true
		subnets = append(subnets, n)
	}
	for _, g := range securityGroups {
		if of, ok := s.ec2.SecurityGroupVPC(g); !ok || of != vpc {
			code := "InvalidSecurityGroup"
			return "", nil, wire.Errf(code, "One or more security groups are invalid: %s", g)
		}
	}
	return vpc, subnets, nil
}

// wireUp gives a load balancer a network interface in each of its subnets.
func (s *Service) wireUp(b *balancer, description string) error {
	for _, n := range b.subnets {
		id, err := s.ec2.CreateServiceInterface(n.ID, description, b.securityGroups, nil)
		if err != nil {
			s.unplug(b)
			return err
		}
		b.interfaces = append(b.interfaces, id)
	}
	return nil
}

func (s *Service) unplug(b *balancer) {
	for _, id := range b.interfaces {
		if err := s.ec2.DeleteServiceInterface(id); err != nil {
			s.w.Log.Error("embedded cloud: a load balancer's network interface stays", "interface", id, "error", err)
		}
	}
}

// drop takes a load balancer's interfaces away, a while after the load balancer itself is gone: who deletes the subnets
// at once meets a DependencyViolation, on AWS for some minutes.
func (s *Service) drop(b *balancer) {
	s.w.After(s.w.Profile.InstanceShutdown, func() { s.unplug(b) })
}

// checkTags merges tags into those there are.
func checkTags(have map[string]string, set []tag) (map[string]string, error) {
	out := maps.Clone(have)
	if out == nil {
		out = map[string]string{}
	}
	seen := map[string]bool{}
	for _, t := range set {
		switch {
		case t.Key == "" || len(t.Key) > 128 || len(t.Value) > 256 || strings.HasPrefix(t.Key, "aws:"):
			return nil, wire.Errf("ValidationError", "The tag key '%s' or its value is not valid", t.Key)
		case seen[t.Key]:
			return nil, wire.Errf("DuplicateTagKeys", "The tag key '%s' is specified more than once", t.Key)
		}
		seen[t.Key], out[t.Key] = true, t.Value
	}
	if len(out) > 50 {
		return nil, wire.Errf("TooManyTags", "You've reached the limit on the number of tags per load balancer.")
	}
	return out, nil
}

func tagList(tags map[string]string) []tag {
	out := []tag{}
	for _, k := range slices.Sorted(maps.Keys(tags)) {
		out = append(out, tag{k, tags[k]})
	}
	return out
}

// page cuts a list of names in their order; the marker is the position of the next page.
func page[T any](all []T, in *request) ([]T, string, error) {
	limit := 400
	if in.PageSize != nil {
		if limit = *in.PageSize; limit < 1 || limit > 400 {
			return nil, "", wire.Errf("ValidationError", "1 validation error detected: Value '%d' at 'pageSize' failed to satisfy constraint: Member must have value between 1 and 400", limit)
		}
	}
	start := 0
	if in.Marker != "" {
		var err error
		if start, err = strconv.Atoi(in.Marker); err != nil || start < 0 || start > len(all) {
			return nil, "", wire.Errf("ValidationError", "Invalid marker %s", in.Marker).WithStatus(http.StatusBadRequest)
		}
	}
	end := min(start+limit, len(all))
	if end == len(all) {
		return all[start:], "", nil
	}
	return all[start:end], strconv.Itoa(end), nil
}
