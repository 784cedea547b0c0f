package autoscaling

import (
	"cmp"
	"errors"
	"slices"
	"strconv"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/ec2"
	"github.com/ekspedite/ekspedite/infra/local/wire"
)

// After a launch failed everywhere, the group tries again after four ticks, then eight, up to sixty-four: AWS says only
// that it backs off.
const (
	firstRetry = 4
	lastRetry  = 64
)

// pool is one way to launch an instance.
type pool struct {
	instanceType string
	spot         bool
}

// market is where a group asks for an instance.
type market struct {
	az   string
	spot bool
}

// launch starts instances until the group has want of them, or none can be had. The lock is held.
func (s *Service) launch(g *group, active, want int) {
	cause := g.cause("an instance was started in response to a difference between desired and actual capacity, increasing the capacity from %d to %d.", active, want)
	switch {
	case g.replacing > 0:
		cause = sentence(time.Now()) + "an instance was launched in response to an unhealthy instance needing to be replaced."
	case active >= g.desired:
		cause = sentence(time.Now()) + "an instance was launched in response to an EC2 instance rebalance recommendation."
	}
	empty := map[market]bool{}
	for active < want {
		if m := s.launchOne(g, s.zoneOrder(g), cause, empty); m == nil {
			g.failures++
			wait := min(firstRetry<<min(g.failures-1, 10), lastRetry)
			g.retryAt = time.Now().Add(time.Duration(wait) * s.w.Profile.ScalingTick)
			return
		}
		active++
		g.replacing = max(g.replacing-1, 0)
	}
}

// zoneOrder lists the group's zones, the one with the fewest instances first.
func (s *Service) zoneOrder(g *group) []string {
	names, _ := s.zones(g)
	counts := g.perZone()
	slices.SortStableFunc(names, func(a, b string) int { return counts[a] - counts[b] })
	return names
}

func (g *group) perZone() map[string]int {
	counts := map[string]int{}
	for _, m := range g.members {
		if m.active() {
			counts[m.az]++
		}
	}
	return counts
}

// launchOne starts one instance in the first of the zones that has room, and records a failed activity for each zone
// that has none. It returns nil if none has. Zones in empty are passed over, and those that are found so join them: a group
// asks for all the instances that it lacks in a zone at once, and is told once. The lock is held.
func (s *Service) launchOne(g *group, zones []string, cause string, empty map[market]bool) *member {
	_, subnets := s.zones(g)
	if len(zones) == 0 {
		s.failed(g, "", "", cause, errors.New("The subnets of the group do not exist"), false)
	}
	here := market{spot: g.mixed != nil && g.wantsSpot()}
	for _, az := range zones {
		if here.az = az; empty[here] {
			continue
		}
		empty[here] = true // unless one starts
		subnet := s.roomiest(subnets[az])
		var last error
		spot := false
		for _, p := range s.pools(g, az) {
			m, err := s.run(g, p, subnet, cause)
			if err == nil {
				delete(empty, here)
				return m
			}
			last, spot = err, p.spot
		}
		s.failed(g, az, subnet, cause, last, spot)
	}
	return nil
}

func (s *Service) failed(g *group, az, subnet, cause string, err error, spot bool) {
	message := err.Error()
	if e, ok := errors.AsType[*wire.Error](err); ok {
		message = e.Message
		switch { // a group with a mixed instances policy asks EC2 for a fleet, and names the market
		case spot:
			message = "Could not launch Spot Instances. " + e.Code + " - " + e.Message
		case g.mixed != nil:
			message = "Could not launch On-Demand Instances. " + e.Code + " - " + e.Message
		}
	}
	message += " Launching EC2 instance failed."
	a := s.begin(g, "Launching a new EC2 instance.  Status Reason: "+message, cause)
	a.zone, a.subnet = az, subnet
	a.finish("Failed", message)
	s.announce(g, a, "EC2 Instance Launch Unsuccessful", "EC2", "AutoScalingGroup")
}

// roomiest picks the subnet of a zone with the most free addresses.
func (s *Service) roomiest(ids []string) string {
	best, free := "", -1
	for _, id := range ids {
		if n, ok := s.ec2.Subnet(id); ok && n.FreeAddresses > free {
			best, free = id, n.FreeAddresses
		}
	}
	return best
}

// pools lists what to try in a zone, in the order of the allocation strategy. How deep a pool is is not modelled, so
// that capacity-optimized takes the order given, as capacity-optimized-prioritized does.
func (s *Service) pools(g *group, az string) []pool {
	if g.mixed == nil {
		data, _, err := s.ec2.LaunchTemplateVersion(g.template.LaunchTemplateID, g.template.Version)
		if err != nil {
			return []pool{{}} // running it gives EC2's error
		}
		return []pool{{data.InstanceType, data.Spot}}
	}
	d, types := g.mixed.InstancesDistribution, s.types(g)
	spot := g.wantsSpot()
	strategy := d.OnDemandAllocationStrategy
	if spot {
		strategy = d.SpotAllocationStrategy
	}
	price := func(t string) float64 {
		if spot {
			return s.ec2.SpotPrice(t, az)
		}
		info, _ := s.ec2.TypeInfo(t)
		return info.Price
	}
	if strategy == "lowest-price" || strategy == "price-capacity-optimized" {
		slices.SortStableFunc(types, func(a, b string) int { return cmp.Compare(price(a), price(b)) })
	}
	var out []pool
	for _, t := range types {
		out = append(out, pool{t, spot})
	}
	return out
}

// types lists the instance types of a mixed instances policy: its overrides, or the template's type.
func (s *Service) types(g *group) []string {
	var types []string
	for _, o := range g.mixed.LaunchTemplate.Overrides {
		types = append(types, o.InstanceType)
	}
	if len(types) == 0 {
		spec := g.mixed.LaunchTemplate.LaunchTemplateSpecification
		data, _, err := s.ec2.LaunchTemplateVersion(spec.LaunchTemplateID, spec.Version)
		if err != nil {
			return []string{""}
		}
		types = append(types, data.InstanceType)
	}
	return types
}

// onDemand returns how many on-demand instances a mixed group has and how many it should have: the base, and its share
// above that, rounded up.
func (g *group) onDemand() (has, should int) {
	d := g.mixed.InstancesDistribution
	above := max(g.desired-*d.OnDemandBaseCapacity, 0)
	return g.count(func(m *member) bool { return m.active() && !m.spot }), min(g.desired, *d.OnDemandBaseCapacity) + (above**d.OnDemandPercentage+99)/100
}

// wantsSpot tells whether the next instance of a mixed group is a spot one.
func (g *group) wantsSpot() bool {
	has, should := g.onDemand()
	return has >= should && *g.mixed.InstancesDistribution.OnDemandPercentage < 100
}

// run starts one instance and takes it into the group.
func (s *Service) run(g *group, p pool, subnet, cause string) (*member, error) {
	spec := g.template
	if g.mixed != nil {
		spec = g.mixed.LaunchTemplate.LaunchTemplateSpecification
	}
	_, version, err := s.ec2.LaunchTemplateVersion(spec.LaunchTemplateID, spec.Version)
	if err != nil {
		return nil, err
	}
	spec.Version = formatVersion(version)
	tags := map[string]string{"aws:autoscaling:groupName": g.name}
	for _, t := range g.tags {
		if t.Propagate {
			tags[t.Key] = t.Value
		}
	}
	if p.spot && g.mixed != nil && g.mixed.InstancesDistribution.SpotMaxPrice != "" {
		if err := s.affordable(g, p, subnet); err != nil {
			return nil, err
		}
	}
	started, err := s.ec2.Run(ec2.RunSpec{
		PlacementGroup: g.placement,
		Type:           p.instanceType, SubnetID: subnet, Spot: p.spot, Tags: tags, LaunchTemplateID: spec.LaunchTemplateID, LaunchTemplateVersion: spec.Version,
	})
	if err != nil {
		return nil, err
	}
	m := newMember(started[0])
	m.template, m.state, m.protected = spec, pending, g.protect
	m.activity = s.begin(g, "Launching a new EC2 instance: "+m.id, cause).on(m)
	m.activity.progress = 30
	g.members = append(g.members, m)
	g.poke()
	return m, nil
}

// affordable checks a spot price against the most that the group pays.
func (s *Service) affordable(g *group, p pool, subnet string) error {
	most, err := strconv.ParseFloat(g.mixed.InstancesDistribution.SpotMaxPrice, 64)
	if err != nil {
		return err
	}
	n, _ := s.ec2.Subnet(subnet)
	if price := s.ec2.SpotPrice(p.instanceType, n.AZ); price > most {
		return wire.Errf("SpotMaxPriceTooLow", "Your Spot request price of %g is lower than the minimum required Spot request fulfillment price of %g.", most, price)
	}
	return nil
}

func newMember(i ec2.Instance) *member {
	return &member{id: i.ID, typ: i.Type, az: i.AZ, subnet: i.SubnetID, image: i.ImageID, spot: i.Lifecycle == "spot", joined: time.Now()}
}
