package cost

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/plan"
)

var prices = map[string]Price{
	ControlPlane: {0.10, 0.10, "hour", "price list", "2026-11-01"}, Extended: {0.50, 0.50, "hour", "price list", "2026-11-01"},
	NAT: {0.045, 0.045, "hour", "price list", "2026-11-01"}, Address: {0.005, 0.005, "hour", "price list", "2026-11-01"},
	Endpoint: {0.01, 0.01, "hour", "price list", "2026-11-01"}, "disk/gp3": {0.08, 0.08, "GB-month", "price list", "2026-11-01"},
	"instance/m5.large": {0.096, 0.096, "hour", "price list", "2026-11-01"}, "instance/m5.large/Windows": {0.188, 0.188, "hour", "price list", "2026-11-01"},
	"spot/m5.large": {0.03, 0.05, "hour", "spot prices", "2026-11-23"}, "spot/m6i.large": {0.02, 0.04, "hour", "spot prices", "2026-11-23"},
}

func group(name string, types ...string) fleet.NodeGroupSpec {
	return fleet.NodeGroupSpec{Name: name, InstanceTypes: types, Desired: 2, Min: 1, Max: 5, Private: true}
}

func TestEstimate(t *testing.T) {
	for name, c := range map[string]struct {
		change    func(*Input)
		low, high float64 // a month
		lines     int
		unknown   string
	}{
		"nothing but a control plane": {func(in *Input) { in.Spec.NodeGroups, in.Spec.Network.NAT = nil, fleet.NATDisable }, 73, 73, 1, ""},
		// 73 control plane, 32.85 NAT and 3.65 its address, two machines of 70.08 and their disks of 1.60
		"one NAT gateway":  {func(*Input) {}, 73 + 36.5 + 2*(70.08+1.6), 73 + 36.5 + 2*(70.08+1.6), 5, ""},
		"one in each zone": {func(in *Input) { in.Spec.Network.NAT = fleet.NATHighlyAvailable }, 73 + 3*36.5 + 2*(70.08+1.6), 73 + 3*36.5 + 2*(70.08+1.6), 5, ""},
		"one in each of the plan": {func(in *Input) {
			in.Spec.Network.NAT, in.Spec.Network.Zones = fleet.NATHighlyAvailable, nil
			in.Plan.Add("network", subnet("a"), subnet("b"), subnet("a"))
		}, 73 + 2*36.5 + 2*(70.08+1.6), 73 + 2*36.5 + 2*(70.08+1.6), 5, ""},
		"extended support": {func(in *Input) { in.Extended = true }, 73 + 365 + 36.5 + 2*(70.08+1.6), 73 + 365 + 36.5 + 2*(70.08+1.6), 6, ""},
		"spot, a range": {func(in *Input) { in.Spec.NodeGroups = []fleet.NodeGroupSpec{spot()} },
			73 + 36.5 + 2*(14.6+1.6), 73 + 36.5 + 2*(36.5+1.6), 5, ""},
		"public nodes": {func(in *Input) { in.Spec.NodeGroups[0].Private = false }, 73 + 36.5 + 2*(70.08+1.6+3.65), 73 + 36.5 + 2*(70.08+1.6+3.65), 6, ""},
		"Windows":      {func(in *Input) { in.Spec.NodeGroups[0].AMIType = "WINDOWS_CORE_2022_x86_64" }, 73 + 36.5 + 2*(137.24+1.6), 73 + 36.5 + 2*(137.24+1.6), 5, ""},
		"larger disks": {func(in *Input) {
			in.Spec.NodeGroups[0].Machine = fleet.MachineSpec{DiskGiB: 100, Volumes: []fleet.VolumeSpec{{GiB: 50}}}
		}, 73 + 36.5 + 2*(70.08+12), 73 + 36.5 + 2*(70.08+12), 6, ""},
		"fully private":   {func(in *Input) { in.Spec.Network.FullyPrivate = true }, 73 + 12*7.3 + 2*(70.08+1.6), 73 + 12*7.3 + 2*(70.08+1.6), 4, ""},
		"in a given VPC":  {func(in *Input) { in.Spec.Network.VPC = "vpc-1" }, 73 + 2*(70.08+1.6), 73 + 2*(70.08+1.6), 3, ""},
		"a tier":          {func(in *Input) { in.Spec.Tier = "tier-xl" }, 73 + 36.5 + 2*(70.08+1.6), 73 + 36.5 + 2*(70.08+1.6), 6, "control plane tier tier-xl"},
		"a capability":    {func(in *Input) { in.Spec.Capabilities = []fleet.CapabilitySpec{{Name: "a", Type: "ACK"}} }, 73 + 36.5 + 2*(70.08+1.6), 73 + 36.5 + 2*(70.08+1.6), 6, "EKS capability ACK"},
		"an unknown type": {func(in *Input) { in.Spec.NodeGroups[0].InstanceTypes = []string{"z9.huge"} }, 73 + 36.5 + 2*1.6, 73 + 36.5 + 2*1.6, 5, "g: z9.huge, on demand"},
		"a chosen type": {func(in *Input) {
			in.Spec.NodeGroups[0].InstanceTypes = nil
			in.Plan.Add("nodes", plan.Call{Of: plan.Of{ID: "nodegroup/g"}, API: "eks:CreateNodegroup", Input: fleet.Props{"instanceTypes": []any{"m5.large"}}})
		}, 73 + 36.5 + 2*(70.08+1.6), 73 + 36.5 + 2*(70.08+1.6), 5, ""},
		"a group of none": {func(in *Input) { in.Spec.NodeGroups[0].Desired = 0 }, 73 + 36.5, 73 + 36.5, 3, ""},
	} {
		t.Run(name, func(t *testing.T) {
			in := Input{Prices: prices, Spec: fleet.ClusterSpec{Name: "demo", Network: fleet.NetworkSpec{NAT: fleet.NATSingle, Zones: []string{"a", "b", "c"}}, NodeGroups: []fleet.NodeGroupSpec{group("g", "m5.large")}}}
			c.change(&in)
			e := Of(in)
			if math.Abs(e.Monthly[0]-c.low) > 0.01 || math.Abs(e.Monthly[1]-c.high) > 0.01 || len(e.Lines) != c.lines {
				t.Errorf("%.2f to %.2f by %d lines", e.Monthly[0], e.Monthly[1], len(e.Lines))
			}
			for _, l := range e.Lines {
				if l.Known != (l.What != c.unknown) || l.Known && (l.AsOf == "" || l.Monthly[1] == 0) || l.Source == "" || l.Resource == "" {
					t.Errorf("%+v", l)
				}
			}
			for _, name := range Ask(in) {
				if _, ok := prices[name]; !ok && name != "instance/z9.huge" {
					t.Errorf("nobody needs %s", name)
				}
			}
		})
	}
}

func subnet(zone string) plan.Call {
	return plan.Call{API: "ec2:CreateSubnet", Input: fleet.Props{"availabilityZone": zone}}
}

func spot() fleet.NodeGroupSpec {
	g := group("s", "m5.large", "m6i.large")
	g.Spot = true
	return g
}

func TestWhatIsNotCountedIsNamed(t *testing.T) {
	e := Of(Input{Spec: fleet.ClusterSpec{Auto: &fleet.AutoSpec{}, Fargate: []fleet.FargateSpec{{}}, Remote: &fleet.RemoteSpec{}, SecretsKeyARN: "k", Outpost: &fleet.OutpostSpec{}}})
	for _, want := range []string{"traffic", "logs", "Fargate", "Auto Mode", "hybrid", "KMS", "Outpost"} {
		if !slices.ContainsFunc(e.NotCounted, func(s string) bool { return strings.Contains(s, want) }) {
			t.Errorf("%s is not in %v", want, e.NotCounted)
		}
	}
}
