package cluster

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

func machineType(name string, vcpus, gib int, more ...func(*fleet.InstanceType)) fleet.InstanceType {
	t := fleet.InstanceType{Name: name, VCPUs: vcpus, MemoryMiB: gib * 1024, Arch: []string{"x86_64"}, Zones: []string{"us-east-1a", "us-east-1b", "us-east-1c"}}
	for _, f := range more {
		f(&t)
	}
	return t
}

func market() []fleet.InstanceType {
	return []fleet.InstanceType{
		machineType("m5.large", 2, 8), machineType("m7i.large", 2, 8), machineType("m6a.large", 2, 8), machineType("t3.large", 2, 8),
		machineType("m5.xlarge", 4, 16), machineType("c5.xlarge", 4, 8),
		machineType("m7g.large", 2, 8, func(t *fleet.InstanceType) { t.Arch = []string{"arm64"} }),
		machineType("g4dn.xlarge", 4, 16, func(t *fleet.InstanceType) { t.GPUs = 1 }),
		machineType("inf2.xlarge", 4, 16, func(t *fleet.InstanceType) { t.Neuron = 1 }),
		machineType("m8i.large", 2, 8, func(t *fleet.InstanceType) { t.Zones = []string{"us-east-1a"} }),
		machineType("c5.metal", 2, 8),
	}
}

func TestSelected(t *testing.T) {
	zones := []string{"us-east-1a", "us-east-1b"}
	for name, tc := range map[string]struct {
		s    fleet.InstanceSelector
		want []string
	}{
		"size":         {fleet.InstanceSelector{VCPUs: 2, MemoryMiB: 8192, Arch: "x86_64"}, []string{"m7i.large", "m6a.large", "m5.large", "t3.large"}},
		"smaller ones": {fleet.InstanceSelector{VCPUs: 4, Arch: "x86_64"}, []string{"c5.xlarge", "m5.xlarge"}},
		"arm":          {fleet.InstanceSelector{VCPUs: 2, Arch: "arm64"}, []string{"m7g.large"}},
		"gpu":          {fleet.InstanceSelector{GPUs: 1, Arch: "x86_64"}, []string{"g4dn.xlarge"}},
		"neuron":       {fleet.InstanceSelector{Neuron: 1, Arch: "x86_64"}, []string{"inf2.xlarge"}},
		"allow, deny":  {fleet.InstanceSelector{VCPUs: 2, Arch: "x86_64", Allow: "^m", Deny: "^m5"}, []string{"m7i.large", "m6a.large"}},
		"none":         {fleet.InstanceSelector{VCPUs: 3}, nil},
	} {
		list := market()
		slices.Reverse(list)
		for range 2 {
			if got := selected(tc.s, list, zones); !slices.Equal(got, tc.want) {
				t.Errorf("%s: %v, want %v", name, got, tc.want)
			}
			slices.Reverse(list)
		}
	}
}

func TestSelectorIsAskedOnce(t *testing.T) {
	s := grouped(func(g *fleet.NodeGroupSpec) {
		g.InstanceTypes, g.Selector = nil, &fleet.InstanceSelector{VCPUs: 2, MemoryMiB: 8192, Arch: "x86_64"}
	})
	o := empty()
	if ask := ToAsk(o, s, opt); len(ask.Machines) != 1 || ask.Machines[0].VCPUs != 2 {
		t.Errorf("%+v", ask)
	}
	o.Market.Asked, o.Market.Types = true, market()
	calls := simulate(t, s, &o)
	if got := fleet.Texts(sent(t, calls, "eks:CreateNodegroup", "nodegroup/one"), "instanceTypes"); !slices.Equal(got, []string{"m7i.large", "m6a.large", "m5.large", "t3.large"}) {
		t.Errorf("%v", got)
	}
	o.Market = Market{}
	if ask := ToAsk(o, s, opt); len(ask.Machines) != 0 {
		t.Errorf("the group is there, and %+v is asked", ask)
	}
	if calls := simulate(t, s, &o); len(calls) != 0 {
		t.Errorf("its types stay, and %v", calls)
	}
}

func TestSelectorFindsTooManyOrNone(t *testing.T) {
	s := grouped(func(g *fleet.NodeGroupSpec) { g.InstanceTypes, g.Selector = nil, &fleet.InstanceSelector{VCPUs: 2} })
	o := empty()
	o.Market.Asked = true
	if p, err := Forecast(now, o, s, opt); err != nil || p.Outcome != OutcomeFailed || !strings.Contains(p.Reason, "nodegroup/one: EC2 has no machine like its instanceSelector") {
		t.Errorf("%v %s", err, p)
	}
	for i := range 30 {
		o.Market.Types = append(o.Market.Types, machineType(fmt.Sprintf("m%d.large", i+5), 2, 8))
	}
	p, err := Forecast(now, o, s, opt)
	if err != nil || p.Outcome != OutcomeActive || !strings.Contains(p.String(), "finds 30 types, and EKS takes 20") || !strings.Contains(p.String(), "m34.large or 19 other types") {
		t.Errorf("%v %s", err, p)
	}
}
