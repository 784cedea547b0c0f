package elb

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/ec2"
	"github.com/ekspedite/ekspedite/infra/local/world"
)

// machines is an EC2 with subnets a and b of one VPC, and c of another.
type machines struct {
	fail bool

	mu         sync.Mutex
	interfaces map[string]string // id to description
}

func (m *machines) count() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.interfaces)
}

func (m *machines) Subnet(id string) (ec2.Subnet, bool) {
	n, ok := map[string]ec2.Subnet{"a": {ID: "a", VPCID: "v1", AZ: "z1"}, "b": {ID: "b", VPCID: "v1", AZ: "z2"}, "c": {ID: "c", VPCID: "v2", AZ: "z2"}, "a2": {ID: "a2", VPCID: "v1", AZ: "z1"}}[id]
	return n, ok
}

func (m *machines) SecurityGroupVPC(id string) (string, bool) { return "v1", id == "sg" }

func (m *machines) VPC(id string) (string, bool) { return "10.0.0.0/16", id == "v1" }

func (m *machines) CreateServiceInterface(subnetID, description string, _ []string, _ map[string]string) (string, error) {
	if m.fail && subnetID == "b" {
		return "", fmt.Errorf("no address is free in %s", subnetID)
	}
	id := "eni-" + subnetID
	m.mu.Lock()
	defer m.mu.Unlock()
	m.interfaces[id] = description
	return id, nil
}

// Instance: i-1 and i-2 run in the first VPC, i-3 in the other.
func (m *machines) Instance(id string) (ec2.Instance, bool) {
	vpc, ok := map[string]string{"i-1": "v1", "i-2": "v1", "i-3": "v2"}[id]
	return ec2.Instance{ID: id, VPCID: vpc, State: "running"}, ok
}

func (m *machines) DeleteServiceInterface(id string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.interfaces, id)
	return nil
}

func newService(t *testing.T) (*Service, *machines) {
	m := &machines{interfaces: map[string]string{}}
	w := world.New("123456789012", "eu-west-1", world.Fast, 1, slog.New(slog.DiscardHandler))
	t.Cleanup(w.Close)
	return New(w, m), m
}

// The interfaces outlive the load balancer for a while, as on AWS.
func TestInterfacesLinger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, m := newService(t)
		out, err := s.create(&request{Name: "web", Subnets: []string{"a", "b"}, SecurityGroups: []string{"sg"}})
		if err != nil {
			t.Fatal(err)
		}
		b := out.(balancersXML).Balancers[0]
		if b.State.Code != "provisioning" || !strings.HasPrefix(m.interfaces["eni-a"], "ELB app/web/") || m.count() != 2 {
			t.Errorf("%+v, %v", b, m.interfaces)
		}
		time.Sleep(world.Fast.ConfigUpdate)
		if out, err = s.describe(&request{Names: []string{"web"}}); err != nil || out.(balancersXML).Balancers[0].State.Code != "active" {
			t.Errorf("%+v %v", out, err)
		}
		if _, err := s.delete(&request{LoadBalancerArn: b.LoadBalancerArn}); err != nil || m.count() != 2 {
			t.Errorf("%v, %d interfaces", err, m.count())
		}
		if _, err := s.describe(&request{Names: []string{"web"}}); err == nil {
			t.Error("it is still there")
		}
		time.Sleep(world.Fast.InstanceShutdown)
		synctest.Wait()
		if n := m.count(); n != 0 {
			t.Errorf("%d interfaces stay", n)
		}
	})
}

func TestWhatCannotBeMade(t *testing.T) {
	s, m := newService(t)
	listeners := []listener{{Protocol: "TCP", LoadBalancerPort: 80, InstancePort: 80}}
	if _, err := s.createClassic(&request{LoadBalancerName: "taken", Subnets: []string{"a"}, Listeners: listeners}); err != nil {
		t.Fatal(err)
	}
	type make func(*request) (any, error)
	for _, c := range []struct {
		want string
		do   make
		in   request
	}{
		{"DuplicateLoadBalancerName", s.createClassic, request{LoadBalancerName: "taken", Subnets: []string{"a"}, Listeners: listeners}},
		{"ValidationError: Listeners", s.createClassic, request{LoadBalancerName: "x", Subnets: []string{"a"}}},
		{"SubnetNotFound", s.createClassic, request{LoadBalancerName: "x", Subnets: []string{"nope"}, Listeners: listeners}},
		{"ValidationError: LoadBalancer name", s.createClassic, request{LoadBalancerName: "-x", Subnets: []string{"a"}, Listeners: listeners}},
		{"InvalidSecurityGroup", s.create, request{Name: "x", Subnets: []string{"a", "b"}, SecurityGroups: []string{"other"}}},
		{"InvalidConfigurationRequest: Subnets must", s.create, request{Name: "x", Subnets: []string{"a", "c"}}},
		{"InvalidConfigurationRequest: A load", s.create, request{Name: "x", Subnets: []string{"a", "a2"}}},
		{"ValidationError: At least two", s.create, request{Name: "x", Subnets: []string{"a"}}},
		{"NotImplemented", s.create, request{Name: "x", Subnets: []string{"a"}, Type: "gateway"}},
		{"DuplicateTagKeys", s.create, request{Name: "x", Subnets: []string{"a", "b"}, Tags: []tag{{"k", "1"}, {"k", "2"}}}},
		{"ValidationError: The VPC ID", s.createGroup, request{Name: "x", Protocol: "HTTP", Port: 80, VpcId: "v9"}},
		{"ValidationError: A port", s.createGroup, request{Name: "x", Protocol: "HTTP", VpcId: "v1"}},
		{"NotImplemented", s.createGroup, request{Name: "x", Protocol: "HTTP", Port: 80, VpcId: "v1", TargetType: "lambda"}},
	} {
		if _, err := c.do(&c.in); err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("got %v, want %s", err, c.want)
		}
	}
	m.fail = true
	if _, err := s.create(&request{Name: "x", Subnets: []string{"a", "b"}}); err == nil || len(s.balancers) != 0 || m.count() != 0 {
		t.Errorf("%v; left are %d interfaces", err, m.count())
	}
}

// The permissions are on what a call is about, with its tags and the request's.
func TestNeeds(t *testing.T) {
	s, _ := newService(t)
	if _, err := s.createClassic(&request{LoadBalancerName: "old", Subnets: []string{"a"}, Tags: []tag{{"team", "a"}}, Listeners: []listener{{LoadBalancerPort: 1}}}); err != nil {
		t.Fatal(err)
	}
	var got []string
	for name, in := range map[string]request{
		"DeleteLoadBalancer": {Version: classicVersion, LoadBalancerName: "old"},
		"CreateLoadBalancer": {Name: "new", Type: "network", Tags: []tag{{"k", "v"}}},
		"DescribeTags":       {ResourceArns: []string{"x"}},
		"RemoveTags":         {Version: classicVersion, LoadBalancerNames: []string{"old"}, Tags: []tag{{Key: "team"}}},
	} {
		for _, n := range s.needs(name, &in) {
			got = append(got, fmt.Sprint(n.Action, " ", n.Resource, " ", n.Context))
		}
	}
	slices.Sort(got)
	const arn = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:loadbalancer/"
	want := []string{
		"elasticloadbalancing:AddTags " + arn + "net/new/* map[aws:RequestTag/k:[v] aws:TagKeys:[k] elasticloadbalancing:CreateAction:[CreateLoadBalancer]]",
		"elasticloadbalancing:CreateLoadBalancer " + arn + "net/new/* map[aws:RequestTag/k:[v] aws:TagKeys:[k]]",
		"elasticloadbalancing:DeleteLoadBalancer " + arn + "old map[aws:ResourceTag/team:[a] elasticloadbalancing:ResourceTag/team:[a]]",
		"elasticloadbalancing:DescribeTags * map[]",
		"elasticloadbalancing:RemoveTags " + arn + "old map[aws:ResourceTag/team:[a] aws:TagKeys:[team] elasticloadbalancing:ResourceTag/team:[a]]",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %s", strings.Join(got, "\n"))
	}
}
