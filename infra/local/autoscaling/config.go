package autoscaling

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/ec2/form"
	"github.com/ekspedite/ekspedite/infra/local/wire"
)

// mixedPolicy is a mixed instances policy, on the way in and on the way out.
type mixedPolicy struct {
	LaunchTemplate        mixedTemplate
	InstancesDistribution *distribution
}

type mixedTemplate struct {
	LaunchTemplateSpecification templateSpec
	Overrides                   []override `xml:"Overrides>member"`
}

type override struct {
	InstanceType         string
	WeightedCapacity     *form.Unsupported `xml:"-"`
	LaunchTemplate       *form.Unsupported `query:"LaunchTemplateSpecification" xml:"-"`
	InstanceRequirements *form.Unsupported `xml:"-"`
	ImageID              *form.Unsupported `query:"ImageId" xml:"-"`
}

type distribution struct {
	OnDemandAllocationStrategy string
	OnDemandBaseCapacity       *int
	OnDemandPercentage         *int `query:"OnDemandPercentageAboveBaseCapacity" xml:"OnDemandPercentageAboveBaseCapacity"`
	SpotAllocationStrategy     string
	SpotInstancePools          *int
	SpotMaxPrice               string `xml:",omitempty"`
}

// settings is what CreateAutoScalingGroup and UpdateAutoScalingGroup share.
type settings struct {
	templateSpec              *templateSpec
	mixedPolicy               *mixedPolicy
	min, max, desired         *int
	subnets                   string
	zones                     []string
	healthType                string
	grace, cooldown, warmup   *int
	policies                  []string
	protect, rebalance        *bool
	role, desiredCapacityType string
	placement                 string
	maxLifetime               *int
	maintenance               *maintenancePolicy
}

// leastLifetime is the shortest maximum lifetime of an instance: a day.
const leastLifetime = 86400

// terminationPolicies are those that are implemented; AllocationStrategy and Lambda functions are not.
var terminationPolicies = []string{"Default", "OldestInstance", "NewestInstance", "OldestLaunchTemplate", "OldestLaunchConfiguration", "ClosestToNextInstanceHour"}

var (
	onDemandStrategies = []string{"prioritized", "lowest-price"}
	spotStrategies     = []string{"lowest-price", "capacity-optimized", "capacity-optimized-prioritized", "price-capacity-optimized"}
)

// checkTemplate finds a launch template and completes its specification with id and name.
func (s *Service) checkTemplate(spec *templateSpec, mixed bool) error {
	if spec.LaunchTemplateID == "" && spec.LaunchTemplateName == "" {
		return validation("Valid requests must contain either launchTemplateId or LaunchTemplateName")
	}
	if spec.LaunchTemplateID != "" && spec.LaunchTemplateName != "" {
		return validation("Valid requests must contain either launchTemplateId or LaunchTemplateName")
	}
	t, err := s.ec2.FindLaunchTemplate(spec.LaunchTemplateID, spec.LaunchTemplateName)
	if err != nil {
		return unusableTemplate(err)
	}
	spec.LaunchTemplateID, spec.LaunchTemplateName = t.ID, t.Name
	data, _, err := s.ec2.LaunchTemplateVersion(t.ID, spec.Version)
	if err != nil {
		return unusableTemplate(err)
	}
	if mixed && data.Spot {
		return validation("Incompatible launch template: You cannot use a launch template that is set to request Spot Instances (InstanceMarketOptions) when you configure an Auto Scaling group with a mixed instances policy. Add a different launch template to the group and try again.")
	}
	if !mixed && data.InstanceType == "" {
		return validation("You must use a valid fully-formed launch template. The request must contain the parameter InstanceType")
	}
	return nil
}

func unusableTemplate(err error) error {
	if e, ok := errors.AsType[*wire.Error](err); ok {
		return validation("You must use a valid fully-formed launch template. %s", e.Message)
	}
	return err
}

// defaults completes a mixed instances policy with AWS's defaults and checks it.
func (s *Service) checkMixed(p *mixedPolicy) error {
	if err := s.checkTemplate(&p.LaunchTemplate.LaunchTemplateSpecification, true); err != nil {
		return err
	}
	for _, o := range p.LaunchTemplate.Overrides {
		if _, ok := s.ec2.TypeInfo(o.InstanceType); !ok {
			return validation("You must use a valid fully-formed launch template. Invalid value '%s' for InstanceType.", o.InstanceType)
		}
	}
	if p.InstancesDistribution == nil {
		p.InstancesDistribution = &distribution{}
	}
	d := p.InstancesDistribution
	if d.OnDemandAllocationStrategy == "" {
		d.OnDemandAllocationStrategy = "prioritized"
	}
	if d.SpotAllocationStrategy == "" {
		d.SpotAllocationStrategy = "lowest-price"
	}
	if d.OnDemandBaseCapacity == nil {
		d.OnDemandBaseCapacity = new(0)
	}
	if d.OnDemandPercentage == nil {
		d.OnDemandPercentage = new(100)
	}
	switch {
	case !slices.Contains(onDemandStrategies, d.OnDemandAllocationStrategy):
		return validation("Invalid OnDemandAllocationStrategy %s", d.OnDemandAllocationStrategy)
	case !slices.Contains(spotStrategies, d.SpotAllocationStrategy):
		return validation("Invalid SpotAllocationStrategy %s", d.SpotAllocationStrategy)
	case *d.OnDemandPercentage < 0 || *d.OnDemandPercentage > 100:
		return validation("OnDemandPercentageAboveBaseCapacity must be between 0 and 100")
	case *d.OnDemandBaseCapacity < 0:
		return validation("OnDemandBaseCapacity must not be negative")
	case d.SpotInstancePools != nil && d.SpotAllocationStrategy != "lowest-price":
		return validation("SpotInstancePools option is only available with the lowest-price allocation strategy.")
	case d.SpotInstancePools != nil && (*d.SpotInstancePools < 1 || *d.SpotInstancePools > 20):
		return validation("SpotInstancePools must be between 1 and 20")
	}
	if price := d.SpotMaxPrice; price != "" {
		if v, err := strconv.ParseFloat(price, 64); err != nil || v <= 0 {
			return validation("Invalid Spot maximum price %s", price)
		}
	}
	return nil
}

// apply checks new settings against what the group has and sets them, all or none. The lock is held.
func (s *Service) apply(g *group, c settings) error {
	next := g.config
	if c.templateSpec != nil && c.mixedPolicy != nil {
		return validation("Valid requests must contain either LaunchTemplate, LaunchConfigurationName, InstanceId or MixedInstancesPolicy parameter.")
	}
	if c.templateSpec != nil {
		spec := *c.templateSpec
		if err := s.checkTemplate(&spec, false); err != nil {
			return err
		}
		next.template, next.mixed = spec, nil
	}
	if c.mixedPolicy != nil {
		p := *c.mixedPolicy
		if err := s.checkMixed(&p); err != nil {
			return err
		}
		next.template, next.mixed = templateSpec{}, &p
	}
	if next.mixed == nil && next.template.LaunchTemplateID == "" {
		return validation("Valid requests must contain either LaunchTemplate, LaunchConfigurationName, InstanceId or MixedInstancesPolicy parameter.")
	}
	if err := s.applySubnets(&next, c); err != nil {
		return err
	}
	change(&next.min, c.min)
	change(&next.max, c.max)
	switch {
	case next.min < 0 || next.max < 0:
		return validation("Min and max sizes must not be negative")
	case next.min > next.max:
		return validation("Max bound, %d, must be greater than or equal to min bound, %d", next.max, next.min)
	case c.desired != nil && (*c.desired < next.min || *c.desired > next.max):
		return validation("Desired capacity:%d must be between the specified min size:%d and max size:%d", *c.desired, next.min, next.max)
	case c.desiredCapacityType != "" && c.desiredCapacityType != "units":
		return notImplemented("DesiredCapacityType %q", c.desiredCapacityType)
	case c.maxLifetime != nil && *c.maxLifetime != 0 && (*c.maxLifetime < leastLifetime || *c.maxLifetime > 31536000):
		return validation("MaxInstanceLifetime must be 0, or between %d and 31536000 seconds", leastLifetime)
	}
	for t := range strings.SplitSeq(c.healthType, ",") { // what a load balancer says of an instance is not modelled
		if c.healthType != "" && !slices.Contains([]string{"EC2", "ELB", "EBS", "VPC_LATTICE"}, t) {
			return validation("Invalid health check type %s", t)
		}
	}
	for _, p := range c.policies {
		if !slices.Contains(terminationPolicies, p) {
			return notImplemented("the termination policy %q", p)
		}
	}
	if c.policies != nil {
		next.policies = c.policies
	}
	if c.healthType != "" {
		next.healthType = c.healthType
	}
	change(&next.grace, c.grace)
	change(&next.cooldown, c.cooldown)
	if c.warmup != nil {
		next.warmup = c.warmup
	}
	change(&next.protect, c.protect)
	change(&next.maxLifetime, c.maxLifetime)
	if c.placement != "" {
		next.placement = c.placement
	}
	if c.maintenance != nil {
		if next.maintenance = c.maintenance; c.maintenance.MinHealthyPercentage == -1 && c.maintenance.MaxHealthyPercentage == -1 {
			next.maintenance = nil // so a policy is taken away
		}
	}
	change(&next.rebalance, c.rebalance)
	if c.role != "" {
		next.role = c.role
	}
	desired := min(max(next.desired, next.min), next.max) // a new bound moves the desired capacity along
	change(&desired, c.desired)
	before := g.desired
	g.config = next
	request := ""
	if c.min != nil || c.max != nil || c.desired != nil {
		request = "a user request update of AutoScalingGroup constraints to min: " + strconv.Itoa(g.min) + ", max: " + strconv.Itoa(g.max) +
			", desired: " + strconv.Itoa(desired) + " changing the desired capacity from " + strconv.Itoa(before) + " to " + strconv.Itoa(desired) + "."
	}
	g.resize(desired, request)
	return nil
}

func change[T any](p *T, v *T) {
	if v != nil {
		*p = *v
	}
}

// applySubnets reads VPCZoneIdentifier, and AvailabilityZones, which must agree with it: there is no default VPC.
func (s *Service) applySubnets(g *config, c settings) error {
	if c.subnets == "" {
		if len(g.subnets) == 0 && len(c.zones) == 0 {
			return validation("At least one Availability Zone or VPC Subnet is required.")
		}
		if len(g.subnets) == 0 {
			return validation("No default VPC for this user")
		}
		return nil
	}
	var ids []string
	vpc := ""
	for id := range strings.SplitSeq(c.subnets, ",") {
		id = strings.TrimSpace(id)
		n, ok := s.ec2.Subnet(id)
		switch {
		case !ok:
			return validation("The subnet ID '%s' does not exist", id)
		case vpc != "" && n.VPCID != vpc:
			return validation("The subnets %s belong to different VPCs", c.subnets)
		case len(c.zones) > 0 && !slices.Contains(c.zones, n.AZ):
			return validation("The availability zones of the specified subnets and the Auto Scaling group do not match")
		}
		vpc = n.VPCID
		ids = append(ids, id)
	}
	g.subnets = ids
	return nil
}

// zones returns the group's zones with the subnets in each, in the order of the subnets.
func (s *Service) zones(g *group) (names []string, subnets map[string][]string) {
	subnets = map[string][]string{}
	for _, id := range g.subnets {
		n, ok := s.ec2.Subnet(id)
		if !ok { // deleted under the group: launches say so
			continue
		}
		if subnets[n.AZ] == nil {
			names = append(names, n.AZ)
		}
		subnets[n.AZ] = append(subnets[n.AZ], id)
	}
	return names, subnets
}

// create makes a group and starts its worker. The lock is held.
func (s *Service) create(name string, c settings, tags []groupTag, hooks []*hook) (*group, error) {
	if name == "" || len(name) > 255 || strings.Contains(name, ":") {
		return nil, validation("1 validation error detected: Value '%s' at 'autoScalingGroupName' failed to satisfy constraint", name)
	}
	if _, ok := s.groups[name]; ok {
		return nil, wire.Errf("AlreadyExists", "AutoScalingGroup by this name already exists - A group with the name %s already exists", name)
	}
	g := &group{
		name: name, arn: s.groupARN(s.w.UUID(), name), created: time.Now(), tags: tags, hooks: hooks,
		config: config{
			policies: []string{"Default"}, healthType: "EC2", cooldown: 300,
			role: "arn:aws:iam::" + s.w.Account + ":role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling",
		},
		suspended: map[string]string{}, zoneRetry: map[string]time.Time{}, wake: make(chan struct{}, 1), gone: make(chan struct{}),
	}
	if err := s.apply(g, c); err != nil {
		return nil, err
	}
	g.requests = []string{sentence(time.Now()) + "a user request created an AutoScalingGroup changing the desired capacity from 0 to " + strconv.Itoa(g.desired) + "."}
	s.groups[name] = g
	s.w.Go(func(ctx context.Context) { s.work(ctx, g) })
	return g, nil
}
