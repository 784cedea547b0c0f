package awscloud

import (
	"cmp"
	"slices"
	"strings"

	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	ekstypes "github.com/aws/aws-sdk-go-v2/service/eks/types"

	"github.com/ekspedite/ekspedite/shared/decide/scaling"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

// group translates what was found. Sizes are Auto Scaling's, which EKS keeps up with.
func (f *foundGroup) group(t template) scaling.Group {
	g := scaling.Group{Kind: scaling.SelfManaged, MaxPods: t.maxPods, DiskGiB: t.diskGiB, Spot: t.spot, Types: t.types()}
	if f.scaling != nil {
		f.sizes(&g)
	}
	if f.managed != nil {
		f.eks(&g)
		return g
	}
	g.Name = cmp.Or(f.tags[tagNodeGroup], g.AutoScalingGroup)
	g.Pool, g.Moving = f.tags[fleet.TagPool], fleet.Moving(f.tags)
	g.Labels, g.Taints = advertised(f.tags)
	return g
}

// tagNodeGroup has a self-managed group's name, as eksctl writes it.
const tagNodeGroup = "alpha.eksctl.io/nodegroup-name"

// sizes takes over what Auto Scaling knows.
func (f *foundGroup) sizes(g *scaling.Group) {
	a := f.scaling
	g.AutoScalingGroup, g.Min, g.Max, g.Desired = deref(a.AutoScalingGroupName), int(deref(a.MinSize)), int(deref(a.MaxSize)), int(deref(a.DesiredCapacity))
	g.Zones = slices.Sorted(slices.Values(a.AvailabilityZones))
	for _, i := range a.Instances {
		g.Members = append(g.Members, scaling.GroupMember{
			InstanceID: deref(i.InstanceId), Type: deref(i.InstanceType), Zone: deref(i.AvailabilityZone), State: string(i.LifecycleState), Protected: deref(i.ProtectedFromScaleIn),
		})
	}
	p := a.MixedInstancesPolicy
	if p == nil {
		return
	}
	if types := overrides(p); len(types) > 0 {
		g.Types = types
	}
	if d := p.InstancesDistribution; d != nil {
		// The default is on-demand machines only. What has both is held to be on-demand: it will not be taken away.
		g.Spot = d.OnDemandPercentageAboveBaseCapacity != nil && *d.OnDemandPercentageAboveBaseCapacity == 0 && deref(d.OnDemandBaseCapacity) == 0
	}
}

func overrides(p *astypes.MixedInstancesPolicy) (types []string) {
	if p.LaunchTemplate == nil {
		return nil
	}
	for _, o := range p.LaunchTemplate.Overrides {
		if name := deref(o.InstanceType); name != "" {
			types = append(types, name)
		}
	}
	return types
}

// eks takes over what EKS knows of a group.
func (f *foundGroup) eks(g *scaling.Group) {
	m := f.managed
	g.Kind, g.Name, g.Status, g.AMIType, g.Labels = scaling.Managed, deref(m.NodegroupName), string(m.Status), string(m.AmiType), m.Labels
	g.StandsFor = m.Tags[fleet.TagStandsFor]
	g.Pool, g.Spot = m.Tags[fleet.TagPool], m.CapacityType == ekstypes.CapacityTypesSpot
	if len(m.InstanceTypes) > 0 {
		g.Types = m.InstanceTypes
	}
	if d := int(deref(m.DiskSize)); d > 0 {
		g.DiskGiB = d
	}
	for _, t := range m.Taints {
		g.Taints = append(g.Taints, fleet.Taint{Key: deref(t.Key), Value: deref(t.Value), Effect: effects[t.Effect]})
	}
	if s := m.ScalingConfig; s != nil && f.scaling == nil {
		g.Min, g.Max, g.Desired = int(deref(s.MinSize)), int(deref(s.MaxSize)), int(deref(s.DesiredSize))
	}
}

// effects are Kubernetes' names of EKS's.
var effects = map[ekstypes.TaintEffect]string{
	ekstypes.TaintEffectNoSchedule: "NoSchedule", ekstypes.TaintEffectNoExecute: "NoExecute", ekstypes.TaintEffectPreferNoSchedule: "PreferNoSchedule",
}

// nodeTemplate begins the tags by which a group says what its nodes will be like. They are Cluster Autoscaler's.
const nodeTemplate = "k8s.io/cluster-autoscaler/node-template/"

// advertised are the labels and taints that a self-managed group says its nodes will have.
func advertised(tags map[string]string) (labels map[string]string, taints []fleet.Taint) {
	for k, v := range tags {
		rest, ok := strings.CutPrefix(k, nodeTemplate)
		if !ok {
			continue
		}
		if key, ok := strings.CutPrefix(rest, "label/"); ok {
			if labels == nil {
				labels = map[string]string{}
			}
			labels[key] = v
		} else if key, ok := strings.CutPrefix(rest, "taint/"); ok {
			value, effect, _ := strings.Cut(v, ":")
			taints = append(taints, fleet.Taint{Key: key, Value: value, Effect: effect})
		}
	}
	slices.SortFunc(taints, func(a, b fleet.Taint) int {
		return cmp.Or(strings.Compare(a.Key, b.Key), strings.Compare(a.Effect, b.Effect))
	})
	return labels, taints
}
