package autoscaling

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"
)

// GroupSpec is a group for another service of the embedded cloud, such as EKS's managed node groups.
type GroupSpec struct {
	Name              string
	Min, Max, Desired int
	SubnetIDs         []string
	InstanceTypes     []string // empty: the launch template's
	Spot              bool
	LaunchTemplateID  string
	Version           string // of the launch template: a number, $Latest or $Default, which is the default
	CapacityRebalance bool
	Tags              map[string]string // all are propagated to the instances
	Hooks             []Hook
}

// Hook is a lifecycle hook of a GroupSpec.
type Hook struct {
	Name          string
	Transition    string        // "autoscaling:EC2_INSTANCE_LAUNCHING" or "autoscaling:EC2_INSTANCE_TERMINATING"
	Heartbeat     time.Duration // 0 means an hour
	DefaultResult string        // "CONTINUE" or, by default, "ABANDON"
	Metadata      string
}

// Group is what others may know of a group.
type Group struct {
	Name, ARN         string
	Min, Max, Desired int
	Instances         []GroupInstance
	Tags              map[string]string
	Deleting          bool
	LaunchFailure     string    // why the latest attempt to launch an instance failed; empty when it did not
	FailingSince      time.Time // of the first launch that failed since one succeeded; zero unless LaunchFailure
}

// GroupInstance is an instance in a Group.
type GroupInstance struct {
	ID, AZ, Type   string
	LifecycleState string
	Health         string // "Healthy" or "Unhealthy"
}

// Activity is a line of a group's scaling history.
type Activity struct {
	ID, Description, Cause, Status, Message string
	InstanceID                              string
	Start, End                              time.Time
}

func (spec GroupSpec) settings() settings {
	ref := templateSpec{LaunchTemplateID: spec.LaunchTemplateID, Version: spec.Version}
	onDemand := 100
	if spec.Spot {
		onDemand = 0
	}
	policy := &mixedPolicy{
		LaunchTemplate: mixedTemplate{LaunchTemplateSpecification: ref},
		// What EKS sets on its node groups: on-demand in the order given, spot where it is cheap and plenty.
		InstancesDistribution: &distribution{
			OnDemandAllocationStrategy: "prioritized", SpotAllocationStrategy: "price-capacity-optimized",
			OnDemandBaseCapacity: new(0), OnDemandPercentage: &onDemand,
		},
	}
	for _, t := range spec.InstanceTypes {
		policy.LaunchTemplate.Overrides = append(policy.LaunchTemplate.Overrides, override{InstanceType: t})
	}
	return settings{
		mixedPolicy: policy, min: &spec.Min, max: &spec.Max, desired: &spec.Desired, subnets: strings.Join(spec.SubnetIDs, ","), rebalance: &spec.CapacityRebalance,
	}
}

// CreateGroup makes a group. Its errors are Auto Scaling's (*wire.Error).
func (s *Service) CreateGroup(spec GroupSpec) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var tags []groupTag
	for _, k := range slices.Sorted(maps.Keys(spec.Tags)) {
		tags = append(tags, groupTag{k, spec.Tags[k], true})
	}
	var hooks []*hook
	for _, h := range spec.Hooks {
		next := newHook(h.Name)
		in := hookIn{LifecycleTransition: h.Transition, DefaultResult: h.DefaultResult, NotificationMetadata: &h.Metadata}
		if h.Heartbeat > 0 {
			in.HeartbeatTimeout = new(int(h.Heartbeat / time.Second))
		}
		if err := in.update(next); err != nil {
			return err
		}
		hooks = append(hooks, next)
	}
	_, err := s.create(spec.Name, spec.settings(), tags, hooks)
	return err
}

// UpdateGroup changes a group's sizes; nil leaves one as it is.
func (s *Service) UpdateGroup(name string, least, most, desired *int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	g, err := s.find(name)
	if err != nil {
		return err
	}
	return s.apply(g, settings{min: least, max: most, desired: desired})
}

// DeleteGroup deletes a group by force: its instances are terminated without their hooks. Group finds it until they are
// gone.
func (s *Service) DeleteGroup(name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, err := s.deleteGroup(&deleteGroupIn{name, true})
	return err
}

// SetGroupTemplate has the group's next instances launched from another launch template version and, if types are given,
// of other types. Instances that run stay as they are.
func (s *Service) SetGroupTemplate(name, templateID, version string, instanceTypes ...string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	g, err := s.find(name)
	if err != nil {
		return err
	}
	if g.mixed == nil {
		return s.apply(g, settings{templateSpec: &templateSpec{LaunchTemplateID: templateID, Version: version}})
	}
	policy := *g.mixed
	policy.LaunchTemplate.LaunchTemplateSpecification = templateSpec{LaunchTemplateID: templateID, Version: version}
	if len(instanceTypes) > 0 {
		policy.LaunchTemplate.Overrides = nil
		for _, t := range instanceTypes {
			policy.LaunchTemplate.Overrides = append(policy.LaunchTemplate.Overrides, override{InstanceType: t})
		}
	}
	return s.apply(g, settings{mixedPolicy: &policy})
}

// TerminateInstance takes an instance out of its group, through its hooks.
func (s *Service) TerminateInstance(id string, decrement bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, err := s.terminateMember(&terminateIn{id, &decrement})
	return err
}

// CompleteHook completes the lifecycle action of an instance for a hook, with "CONTINUE" or "ABANDON".
func (s *Service) CompleteHook(group, hook, instanceID, result string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, err := s.completeAction(&actionIn{AutoScalingGroupName: group, LifecycleHookName: hook, InstanceID: instanceID, LifecycleActionResult: result})
	return err
}

// Group finds a group.
func (s *Service) Group(name string) (Group, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g, ok := s.groups[name]
	if !ok {
		return Group{}, false
	}
	out := Group{Name: g.name, ARN: g.arn, Min: g.min, Max: g.max, Desired: g.desired, Tags: map[string]string{}, Deleting: g.deleting}
	for _, t := range g.tags {
		out.Tags[t.Key] = t.Value
	}
	for _, m := range g.members {
		out.Instances = append(out.Instances, GroupInstance{m.id, m.az, m.typ, m.state, m.health()})
	}
	for _, a := range slices.Backward(g.activities) {
		if !strings.HasPrefix(a.description, "Launching ") {
			continue
		}
		if a.status != "Failed" {
			break
		}
		out.FailingSince = a.start
		out.LaunchFailure = cmp.Or(out.LaunchFailure, a.message) // the latest's
	}
	return out, true
}

// Activities returns a group's scaling history, newest first.
func (s *Service) Activities(name string) []Activity {
	s.mu.Lock()
	defer s.mu.Unlock()
	g, ok := s.groups[name]
	if !ok {
		return nil
	}
	var out []Activity
	for _, a := range slices.Backward(g.activities) {
		out = append(out, Activity{a.id, a.description, a.cause, a.status, a.message, a.instance, a.start, a.end})
	}
	return out
}
