package ec2

import (
	"cmp"
	"errors"
	"slices"

	"github.com/ekspedite/ekspedite/infra/local/ec2/form"
	"github.com/ekspedite/ekspedite/infra/local/wire"
)

// fleet is the record of an instant fleet, which EC2 forgets the work of at once.
type fleet struct{ record }

type fleetIn struct {
	DryRun                bool
	ClientToken           string
	Type                  string
	TargetCapacity        targetCapacity `query:"TargetCapacitySpecification"`
	LaunchTemplateConfigs []fleetConfig
	SpotOptions           *fleetOptions
	OnDemandOptions       *fleetOptions
	TagSpecifications     []tagSpec `query:"TagSpecification"`

	ValidFrom                 *form.Unsupported
	ValidUntil                *form.Unsupported
	Context                   *form.Unsupported
	ReservedCapacityOptions   *form.Unsupported
	ReplaceUnhealthyInstances *form.Unsupported
}

type targetCapacity struct {
	Total       int               `query:"TotalTargetCapacity"`
	OnDemand    int               `query:"OnDemandTargetCapacity"`
	Spot        int               `query:"SpotTargetCapacity"`
	DefaultType string            `query:"DefaultTargetCapacityType"`
	UnitType    *form.Unsupported `query:"TargetCapacityUnitType"`
}

type fleetOptions struct {
	AllocationStrategy         string
	InterruptionBehavior       string `query:"InstanceInterruptionBehavior"`
	MinTargetCapacity          *form.Unsupported
	MaintenanceStrategies      *form.Unsupported
	SingleInstanceType         *form.Unsupported
	SingleAvailabilityZone     *form.Unsupported
	MaxTotalPrice              *form.Unsupported
	CapacityReservationOptions *form.Unsupported
	InstancePoolsToUseCount    *form.Unsupported
}

type fleetConfig struct {
	Template  templateRef `query:"LaunchTemplateSpecification"`
	Overrides []fleetOverride
}

type fleetOverride struct {
	InstanceType     string            `xml:"instanceType,omitempty"`
	SubnetID         string            `query:"SubnetId" xml:"subnetId,omitempty"`
	AvailabilityZone string            `xml:"availabilityZone,omitempty"`
	ImageID          string            `query:"ImageId" xml:"imageId,omitempty"`
	MaxPrice         string            `xml:"maxPrice,omitempty"`
	Priority         *float64          `xml:"priority"`
	WeightedCapacity *form.Unsupported `xml:"-"`
	Placement        *form.Unsupported `xml:"-"`
	Requirements     *form.Unsupported `query:"InstanceRequirements" xml:"-"`
	BlockDevices     *form.Unsupported `query:"BlockDeviceMapping" xml:"-"`
	ZoneID           *form.Unsupported `query:"AvailabilityZoneId" xml:"-"`
}

type fleetChoice struct {
	Template  templateRef   `xml:"launchTemplateSpecification"`
	Overrides fleetOverride `xml:"overrides"`
}

type fleetErrorXML struct {
	Choice    fleetChoice `xml:"launchTemplateAndOverrides"`
	Lifecycle string      `xml:"lifecycle"`
	Code      string      `xml:"errorCode"`
	Message   string      `xml:"errorMessage"`
}

type fleetInstancesXML struct {
	Choice       fleetChoice `xml:"launchTemplateAndOverrides"`
	Lifecycle    string      `xml:"lifecycle"`
	InstanceIDs  []string    `xml:"instanceIds>item"`
	InstanceType string      `xml:"instanceType"`
}

type fleetOut struct {
	FleetID   string              `xml:"fleetId"`
	Errors    []fleetErrorXML     `xml:"errorSet>item"`
	Instances []fleetInstancesXML `xml:"fleetInstanceSet>item"`
}

func (s *Service) fleetOps() []wire.Op {
	return []wire.Op{handle("CreateFleet", s.fleetNeeds, s.createFleet)}
}

// fleetNeeds: an instant fleet needs what RunInstances needs with each of its templates, and CreateFleet itself.
func (s *Service) fleetNeeds(in *fleetIn) []wire.Need {
	out := s.creates("CreateFleet", kindFleet, in.TagSpecifications, nil)
	for _, c := range in.LaunchTemplateConfigs {
		ref := c.Template
		id := s.templateID(ref.LaunchTemplateID, ref.LaunchTemplateName)
		out = append(out, s.need("ec2:CreateFleet", id))
		run := &runIn{LaunchTemplate: &ref, TagSpecifications: slices.DeleteFunc(slices.Clone(in.TagSpecifications), func(t tagSpec) bool { return t.ResourceType == "fleet" })}
		if len(c.Overrides) > 0 {
			run.SubnetID, run.InstanceType = c.Overrides[0].SubnetID, c.Overrides[0].InstanceType
		}
		out = append(out, s.runNeeds(run)...)
	}
	return out
}

func (s *Service) createFleet(in *fleetIn) (*fleetOut, error) {
	if in.Type != "instant" {
		return nil, wire.Errf("NotImplemented", "the embedded cloud does not implement CreateFleet of type %q: only instant", in.Type).WithStatus(501)
	}
	var fleetTags []tagSpec
	var instanceTags []tagSpec
	for _, t := range in.TagSpecifications {
		if t.ResourceType == "fleet" {
			fleetTags = append(fleetTags, t)
		} else {
			instanceTags = append(instanceTags, t)
		}
	}
	tags, err := specTags(fleetTags, "fleet")
	if err != nil {
		return nil, err
	}
	if len(in.LaunchTemplateConfigs) == 0 {
		return nil, missing("LaunchTemplateConfigs")
	}
	for _, o := range []*fleetOptions{in.SpotOptions, in.OnDemandOptions} {
		switch {
		case o == nil:
		case o.InterruptionBehavior != "" && o.InterruptionBehavior != "terminate":
			return nil, wire.Errf("InvalidParameterCombination", "An instant fleet cannot have the interruption behavior %s.", o.InterruptionBehavior)
		case !slices.Contains([]string{"", "prioritized", "capacity-optimized-prioritized", "lowest-price", "price-capacity-optimized", "capacity-optimized"}, o.AllocationStrategy):
			return nil, wire.Errf("NotImplemented", "the embedded cloud does not implement the AllocationStrategy %q of CreateFleet", o.AllocationStrategy).WithStatus(501)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return once(s, "CreateFleet", in.ClientToken, in, func() (*fleetOut, error) {
		choices, err := s.choices(in)
		if err != nil {
			return nil, err
		}
		onDemand, spot := in.TargetCapacity.OnDemand, in.TargetCapacity.Spot
		if rest := in.TargetCapacity.Total - onDemand - spot; rest > 0 && in.TargetCapacity.DefaultType == "spot" {
			spot += rest
		} else if rest > 0 {
			onDemand += rest
		}
		f := &fleet{record{id: kindFleet.prefix + s.w.UUID()}}
		s.add(kindFleet, f, tags)
		out := &fleetOut{FleetID: f.id}
		s.fill(out, choices, onDemand, false, in.OnDemandOptions, instanceTags)
		s.fill(out, choices, spot, true, in.SpotOptions, instanceTags)
		return out, nil
	})
}

// choices lists the fleet's templates with each of their overrides, and checks that they resolve.
func (s *Service) choices(in *fleetIn) ([]fleetChoice, error) {
	var out []fleetChoice
	for _, c := range in.LaunchTemplateConfigs {
		t, err := s.findTemplate(c.Template.LaunchTemplateID, c.Template.LaunchTemplateName)
		if err != nil {
			return nil, err
		}
		v, err := t.version(c.Template.Version)
		if err != nil {
			return nil, err
		}
		overrides := c.Overrides
		if len(overrides) == 0 {
			overrides = []fleetOverride{{}}
		}
		for _, o := range overrides {
			if o.InstanceType == "" {
				o.InstanceType = v.data.InstanceType
			}
			if n, ok := s.byID[o.SubnetID].(*subnet); ok {
				o.AvailabilityZone = n.az
			}
			out = append(out, fleetChoice{templateRef{t.id, "", c.Template.Version}, o})
		}
	}
	return out, nil
}

// fill launches what one market is to give, pool after pool in the order of the strategy. The lock is held.
func (s *Service) fill(out *fleetOut, choices []fleetChoice, want int, spot bool, options *fleetOptions, tags []tagSpec) {
	lifecycle := marketName(spot)
	choices = slices.Clone(choices)
	price := func(c fleetChoice) float64 {
		if spot {
			return s.SpotPrice(c.Overrides.InstanceType, c.Overrides.AvailabilityZone)
		}
		return catalogue[c.Overrides.InstanceType].Price
	}
	strategy := "lowest-price"
	if options != nil && options.AllocationStrategy != "" {
		strategy = options.AllocationStrategy
	}
	switch strategy { // capacity-optimized takes the order given: how much a pool has left is not modelled
	case "prioritized", "capacity-optimized-prioritized":
		slices.SortStableFunc(choices, func(a, b fleetChoice) int { return cmp.Compare(priority(a), priority(b)) })
	case "lowest-price", "price-capacity-optimized":
		slices.SortStableFunc(choices, func(a, b fleetChoice) int { return cmp.Compare(price(a), price(b)) })
	}
	for _, c := range choices {
		if want <= 0 {
			return
		}
		data := templateData{InstanceType: c.Overrides.InstanceType, ImageID: c.Overrides.ImageID}
		if spot {
			data.MarketOptions = &marketOptions{MarketType: "spot"}
		}
		l, err := s.resolve(data, &c.Template, tags, c.Overrides.SubnetID)
		var started []*instance
		if err == nil {
			l.count, l.least = want, 1
			started, err = s.start(l)
		}
		if e, ok := errors.AsType[*wire.Error](err); ok {
			out.Errors = append(out.Errors, fleetErrorXML{c, lifecycle, e.Code, e.Message})
			continue
		}
		x := fleetInstancesXML{Choice: c, Lifecycle: lifecycle, InstanceType: l.typ.Name}
		for _, i := range started {
			i.tags["aws:ec2:fleet-id"] = out.FleetID
			x.InstanceIDs = append(x.InstanceIDs, i.id)
		}
		want -= len(started)
		out.Instances = append(out.Instances, x)
	}
}

// priority sorts pools: the lowest number first, those without one last.
func priority(c fleetChoice) float64 {
	if c.Overrides.Priority == nil {
		return 1e18
	}
	return *c.Overrides.Priority
}
