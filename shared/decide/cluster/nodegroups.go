package cluster

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/plan"
)

// tagNodeGroup is eksctl's tag of what belongs to a node group, and begins the names of others.
const tagNodeGroup = "alpha.eksctl.io/nodegroup-name"

// nodeGroups are the groups of machines. Nodes need their way out, too, or they cannot join.
func (b *builder) nodeGroups(net network) error {
	for _, g := range b.s.NodeGroups {
		add := b.managedGroup
		if g.SelfManaged {
			add = b.selfManagedGroup
		}
		if err := add(g, net); err != nil {
			return fmt.Errorf("node group %s: %w", g.Name, err)
		}
	}
	return nil
}

// managedGroup adds a node group that EKS manages.
func (b *builder) managedGroup(g fleet.NodeGroupSpec, net network) error {
	id := "nodegroup/" + g.Name
	role, needs, err := b.groupRole(g)
	if err != nil {
		return err
	}
	subnets, ways := net.placement(g)
	t := b.template(g, "")
	needs = slices.Concat([]string{idCluster}, needs, t.needs, b.beforeNodes(), ways)
	types, problem := g.InstanceTypes, ""
	if b.o.first(id) == nil {
		types, problem = b.machines(g, net)
	}
	told := types
	if oneType(g) != "" {
		told = nil // the template says it
	}
	r := b.add(thing{
		Ref: fleet.Ref{ID: id, Kind: "nodegroup", Name: g.Name, Stands: true}, area: "node groups", needs: needs,
		create: func() plan.Call {
			return b.child(plan.Create, id, "eks:CreateNodegroup",
				fmt.Sprintf("create node group %s (%d × %s, %s, %d to %d)", g.Name, g.Desired, machinesInWords(types), capacityInWords(g), g.Min, g.Max),
				fleet.Props{
					"nodegroupName": g.Name, "nodeRole": role, "subnets": b.physical(subnets), "amiType": g.AMIType,
					"capacityType": capacity(g), "instanceTypes": told, "labels": g.Labels, "taints": eksTaints(g.Taints),
					"tags": b.groupTags(g, t.mark), "releaseVersion": g.ReleaseVersion, "launchTemplate": t.reference(),
					"scalingConfig": fleet.Props{"minSize": g.Min, "maxSize": g.Max, "desiredSize": g.Desired},
					"updateConfig":  updateConfig(g), "nodeRepairConfig": g.Repair,
				})
		},
		differ: func(have fleet.Resource) ([]plan.Call, []string) {
			return b.groupDiffers(g, t, have), b.groupCannot(g, t, role, subnets, have)
		},
		remake: func(have fleet.Resource) plan.Call {
			return b.child(plan.Delete, id, "eks:DeleteNodegroup", "delete node group "+have.Physical+", which failed", fleet.Props{"nodegroupName": have.Physical})
		},
	})
	if problem != "" && r.state == absent {
		r.state, r.do, r.detail = failed, nil, id+": "+problem
	}
	b.scaling(g)
	return nil
}

// groupTags are the tags of a node group. The last one says by which settings of the file its machines are made: a light
// look, which does not read the launch template, sees by it that they have changed.
func (b *builder) groupTags(g fleet.NodeGroupSpec, mark string) map[string]string {
	t := owned(b.s, g.Tags)
	if mark != "" {
		t[tagTemplate] = mark
	}
	return t
}

func capacity(g fleet.NodeGroupSpec) string {
	switch {
	case g.Spot:
		return "SPOT"
	case g.CapacityBlock:
		return "CAPACITY_BLOCK"
	}
	return "ON_DEMAND"
}

func capacityInWords(g fleet.NodeGroupSpec) string {
	return map[string]string{"SPOT": "spot", "CAPACITY_BLOCK": "of a capacity block", "ON_DEMAND": "on demand"}[capacity(g)]
}

func machinesInWords(types []string) string {
	switch {
	case len(types) == 0:
		return "the launch template's type"
	case len(types) > 4:
		return fmt.Sprintf("%s or %d other types", types[0], len(types)-1)
	}
	return strings.Join(types, " or ")
}

// groupRole is the ARN of the role of a group's machines, and what is to be there before they start.
func (b *builder) groupRole(g fleet.NodeGroupSpec) (arn string, needs []string, err error) {
	switch {
	case g.IAM.RoleARN != "":
		return g.IAM.RoleARN, nil, nil
	case !b.ownRole(g):
		for _, r := range b.list {
			if r.id == idNodeRole || strings.HasPrefix(r.id, idNodeRole+"/") && !strings.Contains(r.id, "/without/") {
				needs = append(needs, r.id)
			}
		}
		return b.roleARN(idNodeRole), needs, nil
	}
	id := "role/nodes/" + g.Name
	r := role{id: id, name: g.IAM.RoleName, trust: trusts(b.ec2(), "sts:AssumeRole"), boundary: g.IAM.Boundary, tags: g.Tags, granted: true}
	if r.name == "" {
		r.name = RoleName(b.s, "node-"+g.Name)
	}
	if r.policies, r.inline, err = b.nodePoliciesOf(g.IAM); err != nil {
		return "", nil, err
	}
	if g.Machine.EnableSSM {
		r.policies = union(r.policies, b.awsPolicies("AmazonSSMManagedInstanceCore"))
	}
	needs = b.role(r)
	return b.roleARN(id), needs, nil
}

// ownRole tells whether a group needs a role of its own. The entry that lets a role's machines in is either for Linux or for
// Windows.
func (b *builder) ownRole(g fleet.NodeGroupSpec) bool {
	return g.IAM.Own() || g.Machine.EnableSSM || g.SelfManaged && isWindows(g)
}

// updateConfig is how many nodes may be replaced at once; nil leaves it to EKS.
func updateConfig(g fleet.NodeGroupSpec) fleet.Props {
	switch {
	case g.MaxUnavailable > 0:
		return fleet.Props{"maxUnavailable": g.MaxUnavailable}
	case g.MaxUnavailablePercent > 0:
		return fleet.Props{"maxUnavailablePercentage": g.MaxUnavailablePercent}
	}
	return nil
}

var eksEffects = map[string]string{"NoSchedule": "NO_SCHEDULE", "NoExecute": "NO_EXECUTE", "PreferNoSchedule": "PREFER_NO_SCHEDULE"}

// eksTaints are taints in EKS's words.
func eksTaints(taints []fleet.Taint) (out []any) {
	for _, t := range taints {
		out = append(out, fleet.Drop(fleet.Props{"key": t.Key, "value": t.Value, "effect": eksEffects[t.Effect]}))
	}
	return out
}

// scaling adds what is asked of the Auto Scaling group behind a managed node group. EKS makes the group, and tags it only
// with its own tags; whoever scales it by its tags wants to know labels and taints before there is a node.
func (b *builder) scaling(g fleet.NodeGroupSpec) {
	id, group := "scaling/"+g.Name, "nodegroup/"+g.Name
	if !g.PropagateTags && len(g.SuspendedScaler) == 0 {
		return
	}
	want := b.propagated(g)
	have, name := b.o.first(id), plan.Unknown(id)
	if have != nil {
		name = have.Physical
	}
	r := resource{Ref: fleet.Ref{ID: id, Kind: "scaling", Name: g.Name, Stands: true}, id: id, area: "node groups", needs: []string{group}}
	if len(want) > 0 && (have == nil || !includes(have.Tags, want)) {
		r.do = append(r.do, b.call(plan.Change, id, "autoscaling:CreateOrUpdateTags", "tag the Auto Scaling group of "+g.Name+" with its labels and taints",
			fleet.Props{"tags": scalingTags(want, name, false)}))
	}
	if missing := without(g.SuspendedScaler, suspended(have)); len(missing) > 0 {
		r.do = append(r.do, b.suspend(id, g.Name, name, missing))
	}
	switch at, made := b.at[group]; {
	case len(r.do) == 0:
		r.state = ready
	case have == nil && made && b.list[at].state.serves():
		r.state, r.do, r.detail = pending, nil, "the Auto Scaling group of "+g.Name
	case have != nil:
		r.state = differs
	}
	b.put(r)
}

func (b *builder) suspend(id, group, asg string, processes []string) plan.Call {
	return b.call(plan.Change, id, "autoscaling:SuspendProcesses", "suspend "+strings.Join(processes, ", ")+" of "+group,
		fleet.Props{"autoScalingGroupName": asg, "scalingProcesses": processes})
}

// suspended are the processes of an Auto Scaling group that do not run.
func suspended(have *fleet.Resource) (out []string) {
	if have != nil {
		for _, p := range fleet.Items(have.Props, "suspendedProcesses") {
			out = append(out, fleet.Text(p, "processName"))
		}
	}
	return out
}

// without is what is in a list and not in another.
func without(list, other []string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(s string) bool { return slices.Contains(other, s) })
}

// templateTag begins Cluster Autoscaler's tags, by which it knows of nodes what they will be like.
const templateTag = "k8s.io/cluster-autoscaler/node-template/"

// propagated are a group's labels and taints as tags.
func (b *builder) propagated(g fleet.NodeGroupSpec) map[string]string {
	out := map[string]string{}
	if !g.PropagateTags {
		return out
	}
	for k, v := range g.Labels {
		out[templateTag+"label/"+k] = v
	}
	for _, t := range g.Taints {
		out[templateTag+"taint/"+t.Key] = t.Value + ":" + t.Effect
	}
	return out
}

// scalingTags are tags as Auto Scaling takes them.
func scalingTags(tags map[string]string, asg string, launch bool) []any {
	var out []any
	for _, k := range slices.Sorted(maps.Keys(tags)) {
		out = append(out, fleet.Props{"resourceType": "auto-scaling-group", "resourceId": asg, "key": k, "value": tags[k], "propagateAtLaunch": launch})
	}
	return out
}
