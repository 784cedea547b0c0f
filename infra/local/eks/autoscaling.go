package eks

import "github.com/ekspedite/ekspedite/infra/local/autoscaling"

// OnAutoScaling makes EKS use the embedded cloud's Auto Scaling.
func OnAutoScaling(svc *autoscaling.Service) AutoScaling { return onAutoScaling{svc} }

// onAutoScaling has UpdateGroup, DeleteGroup and TerminateInstance from the service as they are.
type onAutoScaling struct{ *autoscaling.Service }

func (a onAutoScaling) CreateGroup(spec GroupSpec) error {
	return a.Service.CreateGroup(autoscaling.GroupSpec{
		Name: spec.Name, Min: spec.Min, Max: spec.Max, Desired: spec.Desired, SubnetIDs: spec.SubnetIDs, InstanceTypes: spec.InstanceTypes,
		Spot: spec.Spot, LaunchTemplateID: spec.LaunchTemplateID, Version: spec.Version, CapacityRebalance: spec.CapacityRebalance, Tags: spec.Tags,
	})
}

func (a onAutoScaling) Group(name string) (Group, bool) {
	g, ok := a.Service.Group(name)
	if !ok {
		return Group{}, false
	}
	out := Group{Name: g.Name, Min: g.Min, Max: g.Max, Desired: g.Desired, LaunchFailure: g.LaunchFailure, FailingSince: g.FailingSince}
	for _, i := range g.Instances {
		out.Instances = append(out.Instances, GroupInstance{ID: i.ID, LifecycleState: i.LifecycleState})
	}
	return out, true
}
