package autoscaling

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/ec2/form"
	"github.com/ekspedite/ekspedite/infra/local/wire"
)

type createGroupIn struct {
	AutoScalingGroupName             string
	LaunchTemplate                   *templateSpec
	MixedInstancesPolicy             *mixedPolicy
	MinSize, MaxSize                 *int
	DesiredCapacity                  *int
	DefaultCooldown                  *int
	AvailabilityZones                []string
	HealthCheckType                  string
	HealthCheckGracePeriod           *int
	VPCZoneIdentifier                string
	TerminationPolicies              []string
	NewInstancesProtectedFromScaleIn *bool
	CapacityRebalance                *bool
	LifecycleHookSpecificationList   []hookIn
	Tags                             []tagIn
	ServiceLinkedRoleARN             string
	DesiredCapacityType              string
	DefaultInstanceWarmup            *int
	LoadBalancerNames                []string
	TargetGroupARNs                  []string
	TrafficSources                   []source
	PlacementGroup                   string
	MaxInstanceLifetime              *int
	InstanceMaintenancePolicy        *maintenancePolicy
	SkipZonalShiftValidation         bool

	LaunchConfigurationName          *form.Unsupported
	InstanceID                       *form.Unsupported `query:"InstanceId"`
	AvailabilityZoneIDs              *form.Unsupported `query:"AvailabilityZoneIds"`
	Context                          *form.Unsupported
	AvailabilityZoneDistribution     *form.Unsupported
	AvailabilityZoneImpairmentPolicy *form.Unsupported
	CapacityReservationSpecification *form.Unsupported
	InstanceLifecyclePolicy          *form.Unsupported
	DeletionProtection               *form.Unsupported
}

func (in *createGroupIn) settings() settings {
	return settings{
		templateSpec: in.LaunchTemplate, mixedPolicy: in.MixedInstancesPolicy, min: in.MinSize, max: in.MaxSize, desired: in.DesiredCapacity,
		subnets: in.VPCZoneIdentifier, zones: in.AvailabilityZones, healthType: in.HealthCheckType, grace: in.HealthCheckGracePeriod,
		cooldown: in.DefaultCooldown, warmup: in.DefaultInstanceWarmup, policies: in.TerminationPolicies, protect: in.NewInstancesProtectedFromScaleIn,
		rebalance: in.CapacityRebalance, role: in.ServiceLinkedRoleARN, desiredCapacityType: in.DesiredCapacityType,
		placement: in.PlacementGroup, maxLifetime: in.MaxInstanceLifetime, maintenance: in.InstanceMaintenancePolicy,
	}
}

type deleteGroupIn struct {
	AutoScalingGroupName string
	ForceDelete          bool
}

type describeGroupsIn struct {
	AutoScalingGroupNames []string
	IncludeInstances      *bool
	Filters               []filter
	MaxRecords            *int
	NextToken             string
}

type filter struct {
	Name   string
	Values []string
}

type suspendedXML struct {
	ProcessName      string
	SuspensionReason string
}

type groupXML struct {
	AutoScalingGroupName             string
	AutoScalingGroupARN              string
	LaunchTemplate                   *templateSpec
	MixedInstancesPolicy             *mixedPolicy
	MinSize, MaxSize                 int
	DesiredCapacity                  int
	DefaultCooldown                  int
	AvailabilityZones                []string `xml:"AvailabilityZones>member"`
	HealthCheckType                  string
	HealthCheckGracePeriod           int
	Instances                        []memberXML `xml:"Instances>member"`
	CreatedTime                      *wire.Time
	SuspendedProcesses               []suspendedXML `xml:"SuspendedProcesses>member"`
	VPCZoneIdentifier                string
	Status                           string   `xml:",omitempty"`
	Tags                             []tagXML `xml:"Tags>member"`
	TerminationPolicies              []string `xml:"TerminationPolicies>member"`
	NewInstancesProtectedFromScaleIn bool
	ServiceLinkedRoleARN             string
	CapacityRebalance                bool
	DefaultInstanceWarmup            *int
	PlacementGroup                   string `xml:",omitempty"`
	MaxInstanceLifetime              *int
	InstanceMaintenancePolicy        *maintenancePolicy
	EnabledMetrics                   []enabledMetricXML `xml:"EnabledMetrics>member"`
	LoadBalancerNames                []string           `xml:"LoadBalancerNames>member"`
	TargetGroupARNs                  []string           `xml:"TargetGroupARNs>member"`
	TrafficSources                   []source           `xml:"TrafficSources>member"`
}

type describeGroupsOut struct {
	AutoScalingGroups []groupXML `xml:"AutoScalingGroups>member"`
	NextToken         string     `xml:",omitempty"`
}

func (s *Service) groupOps() []wire.Op {
	return []wire.Op{
		handle(s, "CreateAutoScalingGroup", s.createNeeds, s.createGroup),
		handle(s, "UpdateAutoScalingGroup", func(in *createGroupIn) []wire.Need {
			n := s.need("UpdateAutoScalingGroup", in.AutoScalingGroupName)
			sizes(n.Context, in)
			return append([]wire.Need{n}, s.templateNeeds(in)...)
		}, s.updateGroup),
		handle(s, "DeleteAutoScalingGroup", needOn(s, "DeleteAutoScalingGroup", func(in *deleteGroupIn) string { return in.AutoScalingGroupName }), s.deleteGroup),
		handle(s, "DescribeAutoScalingGroups", nil, s.describeGroups),
	}
}

func sizes(context map[string][]string, in *createGroupIn) {
	if in.MinSize != nil {
		context["autoscaling:MinSize"] = []string{strconv.Itoa(*in.MinSize)}
	}
	if in.MaxSize != nil {
		context["autoscaling:MaxSize"] = []string{strconv.Itoa(*in.MaxSize)}
	}
	if in.CapacityRebalance != nil {
		context["autoscaling:CapacityRebalance"] = []string{strconv.FormatBool(*in.CapacityRebalance)}
	}
	for _, ref := range in.templates() {
		specified := ref.Version != "" && ref.Version[0] != '$'
		context["autoscaling:LaunchTemplateVersionSpecified"] = []string{strconv.FormatBool(specified)}
	}
}

func (in *createGroupIn) templates() []templateSpec {
	var out []templateSpec
	if in.LaunchTemplate != nil {
		out = append(out, *in.LaunchTemplate)
	}
	if in.MixedInstancesPolicy != nil {
		out = append(out, in.MixedInstancesPolicy.LaunchTemplate.LaunchTemplateSpecification)
	}
	return out
}

// templateNeeds: who gives a group a launch template must be allowed to run instances with it.
func (s *Service) templateNeeds(in *createGroupIn) []wire.Need {
	var out []wire.Need
	for _, ref := range in.templates() {
		n := wire.Need{Action: "ec2:RunInstances", Resource: s.w.ARN("ec2", "launch-template/*"), Context: map[string][]string{}}
		if t, err := s.ec2.FindLaunchTemplate(ref.LaunchTemplateID, ref.LaunchTemplateName); err == nil {
			n.Resource = s.w.ARN("ec2", "launch-template/"+t.ID)
			for k, v := range t.Tags {
				n.Context["aws:ResourceTag/"+k] = []string{v}
				n.Context["ec2:ResourceTag/"+k] = []string{v}
			}
		}
		out = append(out, n)
	}
	return out
}

func (s *Service) createNeeds(in *createGroupIn) []wire.Need {
	n := s.need("CreateAutoScalingGroup", in.AutoScalingGroupName)
	sizes(n.Context, in)
	requestTags(n.Context, in.Tags)
	out := []wire.Need{n}
	for _, h := range in.LifecycleHookSpecificationList {
		if h.RoleARN != "" {
			out = append(out, wire.Need{Action: "iam:PassRole", Resource: h.RoleARN, Context: map[string][]string{"iam:PassedToService": {"autoscaling.amazonaws.com"}}})
		}
	}
	return append(out, s.templateNeeds(in)...)
}

func (s *Service) createGroup(in *createGroupIn) (*none, error) {
	if in.MinSize == nil || in.MaxSize == nil {
		return nil, validation("MinSize and MaxSize are required")
	}
	tags, err := readTags(in.Tags, in.AutoScalingGroupName)
	if err != nil {
		return nil, err
	}
	var hooks []*hook
	for _, h := range in.LifecycleHookSpecificationList {
		next := newHook(h.LifecycleHookName)
		if err := h.update(next); err != nil {
			return nil, err
		}
		hooks = append(hooks, next)
	}
	sources, err := complete(slices.Concat(sourcesOf(classic, in.LoadBalancerNames), sourcesOf(targetGroup, in.TargetGroupARNs), in.TrafficSources))
	if err != nil {
		return nil, err
	}
	g, err := s.create(in.AutoScalingGroupName, in.settings(), tags, hooks)
	if err != nil {
		return nil, err
	}
	g.attachSources(sources)
	return &none{}, nil
}

func (s *Service) updateGroup(in *createGroupIn) (*none, error) {
	g, err := s.find(in.AutoScalingGroupName)
	if err != nil {
		return nil, err
	}
	return &none{}, s.apply(g, in.settings())
}

// deleteGroup removes an empty group at once. By force it terminates the instances, without their hooks, and the group
// stays in describes with the status "Delete in progress" until they are gone.
func (s *Service) deleteGroup(in *deleteGroupIn) (*none, error) {
	g, ok := s.groups[in.AutoScalingGroupName]
	if !ok {
		return nil, validation("AutoScalingGroup name not found - AutoScalingGroup '%s' not found", in.AutoScalingGroupName)
	}
	if g.deleting {
		return &none{}, nil
	}
	if len(g.members) == 0 {
		s.remove(g)
		return &none{}, nil
	}
	if !in.ForceDelete {
		if g.count((*member).leaving) == len(g.members) {
			return nil, wire.Errf("ScalingActivityInProgress", "You cannot delete an AutoScalingGroup while there are scaling activities in progress for that group.")
		}
		return nil, wire.Errf("ResourceInUse", "You cannot delete an AutoScalingGroup while there are instances or pending Spot instance request(s) still in the group.")
	}
	g.deleting, g.desired, g.min, g.max = true, 0, 0, 0
	cause := sentence(time.Now()) + "a user request deleted the AutoScalingGroup with force."
	for _, m := range g.members {
		if !m.leaving() {
			s.takeOut(g, m, cause)
		}
		m.state, m.waits = terminatingProceed, nil
	}
	g.poke()
	return &none{}, nil
}

func (s *Service) groupXML(g *group, withInstances bool) groupXML {
	zones, _ := s.zones(g)
	slices.Sort(zones)
	x := groupXML{
		AutoScalingGroupName: g.name, AutoScalingGroupARN: g.arn, MixedInstancesPolicy: g.mixed, MinSize: g.min, MaxSize: g.max,
		DesiredCapacity: g.desired, DefaultCooldown: g.cooldown, AvailabilityZones: zones, HealthCheckType: g.healthType,
		HealthCheckGracePeriod: g.grace, CreatedTime: wire.At(g.created), VPCZoneIdentifier: strings.Join(g.subnets, ","), Tags: g.tagsXML(),
		TerminationPolicies: g.policies, NewInstancesProtectedFromScaleIn: g.protect, ServiceLinkedRoleARN: g.role, CapacityRebalance: g.rebalance,
		DefaultInstanceWarmup: g.warmup, PlacementGroup: g.placement, InstanceMaintenancePolicy: g.maintenance,
		LoadBalancerNames: g.identifiers(classic), TargetGroupARNs: g.identifiers(targetGroup), TrafficSources: g.sources,
	}
	if g.maxLifetime > 0 {
		x.MaxInstanceLifetime = &g.maxLifetime
	}
	for _, m := range g.metrics {
		x.EnabledMetrics = append(x.EnabledMetrics, enabledMetricXML{m, granularity})
	}
	if g.mixed == nil {
		x.LaunchTemplate = &g.template
	}
	if g.deleting {
		x.Status = "Delete in progress"
	}
	for _, name := range slices.Sorted(maps.Keys(g.suspended)) {
		x.SuspendedProcesses = append(x.SuspendedProcesses, suspendedXML{name, g.suspended[name]})
	}
	if withInstances {
		for _, m := range g.members {
			x.Instances = append(x.Instances, m.xml())
		}
	}
	return x
}

func (s *Service) sorted() []*group {
	var out []*group
	for _, name := range slices.Sorted(maps.Keys(s.groups)) {
		out = append(out, s.groups[name])
	}
	return out
}

func (s *Service) describeGroups(in *describeGroupsIn) (*describeGroupsOut, error) {
	items := s.sorted()
	if len(in.AutoScalingGroupNames) > 0 {
		items = slices.DeleteFunc(items, func(g *group) bool { return !slices.Contains(in.AutoScalingGroupNames, g.name) })
	}
	for _, f := range in.Filters {
		key, isTag := strings.CutPrefix(f.Name, "tag:")
		if !isTag && f.Name != "tag-key" && f.Name != "tag-value" {
			return nil, validation("Filter type %s is not correct. Allowed Filter types are: tag-key tag-value tag:<key>", f.Name)
		}
		items = slices.DeleteFunc(items, func(g *group) bool {
			return !slices.ContainsFunc(g.tags, func(t groupTag) bool {
				switch {
				case isTag:
					return t.Key == key && slices.Contains(f.Values, t.Value)
				case f.Name == "tag-key":
					return slices.Contains(f.Values, t.Key)
				}
				return slices.Contains(f.Values, t.Value)
			})
		})
	}
	page, next, err := paged(items, func(g *group) string { return g.name }, in.MaxRecords, in.NextToken)
	out := &describeGroupsOut{NextToken: next}
	for _, g := range page {
		out.AutoScalingGroups = append(out.AutoScalingGroups, s.groupXML(g, in.IncludeInstances == nil || *in.IncludeInstances))
	}
	return out, err
}
