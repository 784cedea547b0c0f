package ec2

import (
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
	if err := in.check(); err != nil {
		return nil, err
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
