package ec2

import (
	"slices"
	"strconv"
	"strings"
	"testing"
)

// fleetRig has a launch template and a subnet in each of two zones.
type fleetRig struct {
	*rig
	template string
	subnets  []string
}

func withFleets(t *testing.T, f func(t *testing.T, r *fleetRig)) {
	inBubble(t, Options{}, func(t *testing.T, r *rig) {
		other := must(r.createSubnet(&createSubnetIn{VpcID: r.vpc, CidrBlock: "10.0.2.0/24", AvailabilityZone: "us-east-1c"})).Subnet.SubnetID
		f(t, &fleetRig{r, must(r.CreateLaunchTemplateFor("fleet", nil, LaunchTemplateData{ImageID: "ami-1"})), []string{r.subnet, other}})
	})
}

// fleet asks for n instances of the types in both zones, and returns how many came of each type and zone, and the errors as
// "code type zone".
func (r *fleetRig) fleet(n int, market, strategy string, typeNames ...string) (got map[string]int, errs []string) {
	r.t.Helper()
	in := &fleetIn{Type: "instant", TargetCapacity: targetCapacity{Total: n, DefaultType: market}, SpotOptions: &fleetOptions{}, OnDemandOptions: &fleetOptions{}}
	if market == "spot" {
		in.SpotOptions.AllocationStrategy = strategy
	} else {
		in.OnDemandOptions.AllocationStrategy = strategy
	}
	c := fleetConfig{Template: templateRef{LaunchTemplateID: r.template, Version: "$Latest"}}
	for i, name := range typeNames {
		for _, subnet := range r.subnets {
			c.Overrides = append(c.Overrides, fleetOverride{InstanceType: name, SubnetID: subnet, Priority: new(float64(i))})
		}
	}
	in.LaunchTemplateConfigs = []fleetConfig{c}
	out := must(r.createFleet(in))
	got = map[string]int{}
	for _, x := range out.Instances {
		got[x.InstanceType+" "+x.Choice.Overrides.AvailabilityZone] += len(x.InstanceIDs)
	}
	for _, e := range out.Errors {
		errs = append(errs, e.Code+" "+e.Choice.Overrides.InstanceType+" "+e.Choice.Overrides.AvailabilityZone)
	}
	return got, errs
}

func (r *fleetRig) want(got map[string]int, errs []string, wanted string, wantedErrs ...string) {
	r.t.Helper()
	var list []string
	for k, n := range got {
		list = append(list, k+" "+strconv.Itoa(n))
	}
	slices.Sort(list)
	if s := strings.Join(list, ", "); s != wanted {
		r.t.Errorf("instances %q, want %q", s, wanted)
	}
	if !slices.Equal(errs, wantedErrs) {
		r.t.Errorf("errors %q, want %q", errs, wantedErrs)
	}
}

// A subnet whose last address is too few for an instance with two interfaces is full, not out of capacity.
func TestFleetCountsInterfaces(t *testing.T) {
	withFleets(t, func(t *testing.T, r *fleetRig) {
		small := must(r.createSubnet(&createSubnetIn{VpcID: r.vpc, CidrBlock: "10.0.3.0/28", AvailabilityZone: "us-east-1b"})).Subnet.SubnetID
		r.template = must(r.createTemplate(&createTemplateIn{LaunchTemplateName: "two", LaunchTemplateData: &templateData{ImageID: "ami-1", NetworkInterfaces: []networkSpec{{DeviceIndex: new(0)}, {DeviceIndex: new(1)}}}})).Template.ID
		r.subnets = []string{small}
		got, errs := r.fleet(6, "on-demand", "", "m5.large") // eleven addresses
		r.want(got, errs, "m5.large us-east-1b 5", "InsufficientFreeAddressesInSubnet m5.large us-east-1b")
	})
}

func TestFleetFillsPoolAfterPool(t *testing.T) {
	withFleets(t, func(t *testing.T, r *fleetRig) {
		r.LimitCapacity("m5.large", "us-east-1b", "on-demand", 2)
		r.LimitCapacity("m5.large", "us-east-1c", "on-demand", 0)
		r.LimitCapacity("m6i.large", "", "on-demand", 3)
		got, errs := r.fleet(4, "on-demand", "prioritized", "m5.large", "m6i.large")
		r.want(got, errs, "m5.large us-east-1b 2, m6i.large us-east-1b 2",
			"InsufficientInstanceCapacity m5.large us-east-1b", "InsufficientInstanceCapacity m5.large us-east-1c")
		// One is left, of the limit that both zones share.
		got, errs = r.fleet(4, "on-demand", "prioritized", "m6i.large")
		r.want(got, errs, "m6i.large us-east-1b 1", "InsufficientInstanceCapacity m6i.large us-east-1b", "InsufficientInstanceCapacity m6i.large us-east-1c")
		for _, i := range r.Instances() {
			if i.Tags["aws:ec2:fleet-id"] == "" {
				t.Errorf("%s has no fleet: %v", i.ID, i.Tags)
			}
			if i.Type == "m6i.large" {
				r.Terminate(i.ID)
			}
		}
		got, errs = r.fleet(3, "on-demand", "", "m6i.large") // what ends makes room
		r.want(got, errs, "m6i.large us-east-1b 3")
	})
}

func TestFleetStrategies(t *testing.T) {
	withFleets(t, func(t *testing.T, r *fleetRig) {
		cheap := []string{"us-east-1b", "us-east-1c"}
		slices.SortFunc(cheap, func(a, b string) int {
			if r.SpotPrice("m5.large", a) < r.SpotPrice("m5.large", b) {
				return -1
			}
			return 1
		})
		got, errs := r.fleet(2, "spot", "", "m5.large")
		r.want(got, errs, "m5.large "+cheap[0]+" 2")
		got, errs = r.fleet(2, "spot", "diversified", "m5.large")
		r.want(got, errs, "m5.large us-east-1b 1, m5.large us-east-1c 1")
		r.LimitCapacity("m5.large", cheap[0], "spot", 4)
		r.LimitCapacity("m5.large", cheap[1], "spot", 9)
		got, errs = r.fleet(2, "spot", "capacity-optimized", "m5.large")
		r.want(got, errs, "m5.large "+cheap[1]+" 2") // more is left there
		r.LimitCapacity("", "", "spot", 0)
		got, errs = r.fleet(2, "spot", "price-capacity-optimized", "m5.large")
		r.want(got, errs, "", "UnfulfillableCapacity m5.large "+cheap[0], "UnfulfillableCapacity m5.large "+cheap[1])
		r.subnets = r.subnets[:1]
		got, errs = r.fleet(1, "spot", "lowest-price", "m5.large")
		r.want(got, errs, "", "InsufficientInstanceCapacity m5.large us-east-1b")
	})
}

func TestFleetRefusals(t *testing.T) {
	withFleets(t, func(t *testing.T, r *fleetRig) {
		old := must(r.createSubnet(&createSubnetIn{VpcID: r.vpc, CidrBlock: "10.0.9.0/28", AvailabilityZone: "us-east-1e"})).Subnet.SubnetID
		r.subnets = []string{old}
		got, errs := r.fleet(1, "on-demand", "", "m5.large")
		r.want(got, errs, "", "InvalidFleetConfiguration m5.large us-east-1e")
		base := func() *fleetIn {
			return &fleetIn{Type: "instant", TargetCapacity: targetCapacity{Total: 1}, LaunchTemplateConfigs: []fleetConfig{{Template: templateRef{LaunchTemplateID: r.template}}}}
		}
		for want, change := range map[string]func(*fleetIn){
			"InvalidParameterValue":       func(in *fleetIn) { in.TargetCapacity.Total = 0 },
			"NotImplemented":              func(in *fleetIn) { in.Type = "maintain" },
			"InvalidParameterCombination": func(in *fleetIn) { in.SpotOptions = &fleetOptions{InterruptionBehavior: "stop"} },
			"MissingParameter":            func(in *fleetIn) { in.LaunchTemplateConfigs = nil },
		} {
			in := base()
			change(in)
			_, err := r.createFleet(in)
			r.wantCode(err, want)
		}
		in := base()
		in.OnDemandOptions = &fleetOptions{AllocationStrategy: "capacity-optimized"}
		_, err := r.createFleet(in)
		r.wantCode(err, "InvalidParameterValue")
	})
}
