package ec2

import (
	"cmp"
	"errors"
	"slices"
	"strings"

	"github.com/ekspedite/ekspedite/infra/local/wire"
)

// The allocation strategies of each market; the first is what a fleet has that names none.
var (
	onDemandStrategies = []string{"lowest-price", "prioritized"}
	spotStrategies     = []string{"lowest-price", "price-capacity-optimized", "capacity-optimized", "capacity-optimized-prioritized", "diversified"}
)

// check refuses what an instant fleet cannot be.
func (in *fleetIn) check() error {
	t := in.TargetCapacity
	if t.Total < 1 || t.OnDemand < 0 || t.Spot < 0 || t.OnDemand+t.Spot > t.Total {
		return invalid("The target capacity %d is invalid: it must be at least 1 and not less than OnDemandTargetCapacity and SpotTargetCapacity together.", t.Total)
	}
	for _, market := range []struct {
		options    *fleetOptions
		strategies []string
	}{{in.OnDemandOptions, onDemandStrategies}, {in.SpotOptions, spotStrategies}} {
		o := market.options
		switch {
		case o == nil:
		case o.InterruptionBehavior != "" && o.InterruptionBehavior != "terminate":
			return wire.Errf("InvalidParameterCombination", "An instant fleet cannot have the interruption behavior %s.", o.InterruptionBehavior)
		case o.AllocationStrategy != "" && !slices.Contains(market.strategies, o.AllocationStrategy):
			return invalid("Value (%s) for parameter AllocationStrategy is invalid.", o.AllocationStrategy)
		}
	}
	return nil
}

// strategy is the one that the options name, or the market's own.
func (o *fleetOptions) strategy(spot bool) string {
	switch {
	case o != nil && o.AllocationStrategy != "":
		return o.AllocationStrategy
	case spot:
		return spotStrategies[0]
	}
	return onDemandStrategies[0]
}

// arrange puts the pools in the order in which a strategy takes them. How much a pool has left is known where its capacity
// is limited: capacity-optimized begins with the deepest. The lock is held.
func (s *Service) arrange(choices []fleetChoice, strategy string, spot bool) []fleetChoice {
	choices = slices.Clone(choices)
	price := func(c fleetChoice) float64 {
		if spot {
			return s.SpotPrice(c.Overrides.InstanceType, c.Overrides.AvailabilityZone)
		}
		return catalogue[c.Overrides.InstanceType].Price
	}
	room := func(c fleetChoice) int {
		return s.room(c.Overrides.InstanceType, c.Overrides.AvailabilityZone, marketName(spot))
	}
	slices.SortStableFunc(choices, func(a, b fleetChoice) int {
		switch strategy {
		case "prioritized", "capacity-optimized-prioritized":
			return cmp.Compare(priority(a), priority(b))
		case "capacity-optimized":
			return cmp.Compare(room(b), room(a))
		}
		return cmp.Compare(price(a), price(b))
	})
	return choices
}

// fill launches what one market is to give, pool after pool in the order of the strategy, and lists the pools that gave
// less than they were asked for. The lock is held.
func (s *Service) fill(out *fleetOut, choices []fleetChoice, want int, spot bool, options *fleetOptions, tags []tagSpec) {
	strategy := options.strategy(spot)
	choices = s.arrange(choices, strategy, spot)
	for n, c := range choices {
		if want <= 0 {
			return
		}
		ask := want
		if left := len(choices) - n; strategy == "diversified" {
			ask = (want + left - 1) / left
		}
		l, started, err := s.launchPool(c, ask, spot, tags)
		switch {
		case err != nil || len(started) == ask:
		case l.subnet.free() < max(len(l.data.NetworkInterfaces), 1): // as start counts an instance
			err = noAddresses(l.subnet)
		default:
			err = s.insufficient(l.typ, l.subnet.az, marketName(spot))
		}
		if e, ok := errors.AsType[*wire.Error](err); ok {
			e = asFleet(e, c, spot && strings.Contains(strategy, "capacity") && len(started) == 0)
			out.Errors = append(out.Errors, fleetErrorXML{c, marketName(spot), e.Code, e.Message})
		}
		if len(started) == 0 {
			continue
		}
		x := fleetInstancesXML{Choice: c, Lifecycle: marketName(spot), InstanceType: l.typ.Name}
		for _, i := range started {
			i.tags["aws:ec2:fleet-id"] = out.FleetID
			x.InstanceIDs = append(x.InstanceIDs, i.id)
		}
		want -= len(started)
		out.Instances = append(out.Instances, x)
	}
}

// launchPool starts as many instances of one pool as there are, up to most.
func (s *Service) launchPool(c fleetChoice, most int, spot bool, tags []tagSpec) (launch, []*instance, error) {
	data := templateData{InstanceType: c.Overrides.InstanceType, ImageID: c.Overrides.ImageID}
	if spot {
		data.MarketOptions = &marketOptions{MarketType: "spot"}
	}
	l, err := s.resolve(data, &c.Template, tags, c.Overrides.SubnetID)
	if err != nil {
		return l, nil, err
	}
	l.count, l.least = most, 1
	started, err := s.start(l)
	return l, started, err
}

// asFleet words a pool's failure as a fleet does. A strategy that looks at capacity does not say of an empty spot pool that
// there is none, but that the request cannot be fulfilled.
func asFleet(e *wire.Error, c fleetChoice, looked bool) *wire.Error {
	switch {
	case e.Code == notOffered:
		return wire.Errf("InvalidFleetConfiguration", "Your requested instance type (%s) is not supported in your requested Availability Zone (%s).", c.Overrides.InstanceType, c.Overrides.AvailabilityZone)
	case e.Code == noCapacity && looked:
		return wire.Errf("UnfulfillableCapacity", "Unable to fulfill capacity due to your request configuration. Please adjust your request and try again.")
	}
	return e
}

// priority sorts pools: the lowest number first, those without one last.
func priority(c fleetChoice) float64 {
	if c.Overrides.Priority == nil {
		return 1e18
	}
	return *c.Overrides.Priority
}
