package cluster

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/plan"
)

// maxScalingName is Auto Scaling's limit.
const maxScalingName = 255

// selfManagedGroup adds an Auto Scaling group of ours, with all that EKS does for those that it manages: the role's way into
// the cluster, an image, and what a machine has to know to join.
func (b *builder) selfManagedGroup(g fleet.NodeGroupSpec, net network) error {
	id := "asg/" + g.Name
	role, needs, err := b.groupRole(g)
	if err != nil {
		return err
	}
	profile, ready := b.instanceProfile(g, needs)
	needs = slices.Concat([]string{idCluster}, needs, ready)
	if entry := b.nodeEntry(g, role, needs); entry != "" {
		needs = append(needs, entry)
	}
	subnets, ways := net.placement(g)
	t := b.template(g, profile)
	types, problem := g.InstanceTypes, ""
	if have := b.o.first(id); have == nil {
		types, problem = b.machines(g, net)
	} else if g.Selector != nil { // what it has found once stays
		types = overridden(have.Props)
	}
	a := scalingGroup{builder: b, g: g, t: t, id: id, name: cut(maxScalingName, "ekspedite-"+b.s.Name+"-"+g.Name), types: types, subnets: subnets}
	r := b.add(thing{
		Ref: fleet.Ref{ID: id, Kind: "asg", Name: a.name}, area: "node groups",
		needs:  slices.Concat(needs, t.needs, b.beforeNodes(), ways),
		create: a.create, differ: a.differ,
	})
	if problem != "" && r.state == absent {
		r.state, r.do, r.detail = failed, nil, id+": "+problem
	}
	if have := b.o.first(id); have != nil && have.Tags[fleet.TagCluster] != b.s.Name {
		r.state, r.do = failed, nil
		r.detail = fmt.Sprintf("Auto Scaling group %s exists and is not ekspedite's (no tag %s=%s): rename node group %s", a.name, fleet.TagCluster, b.s.Name, g.Name)
		return nil
	}
	a.parts()
	return nil
}

// instanceProfile adds the instance profile by which machines have the group's role. It returns its name in the graph, or the ARN of
// one that is given, and what is needed for machines to have the role.
func (b *builder) instanceProfile(g fleet.NodeGroupSpec, needs []string) (profile string, ready []string) {
	role := g.IAM.RoleARN[strings.LastIndexByte(g.IAM.RoleARN, '/')+1:]
	id, name := "profile/"+g.Name, RoleName(b.s, "node-"+g.Name)
	switch {
	case g.IAM.ProfileARN != "":
		return g.IAM.ProfileARN, nil
	case g.IAM.RoleARN != "":
	case !b.ownRole(g):
		id, name = "profile/common", RoleName(b.s, "node")
		role = name
	default:
		role = b.list[b.at["role/nodes/"+g.Name]].Name
	}
	if _, made := b.at[id]; made {
		return id, []string{id, id + "/role"}
	}
	r := b.add(thing{
		Ref: fleet.Ref{ID: id, Kind: "profile", Name: name}, area: "roles",
		create: func() plan.Call {
			return b.call(plan.Create, id, "iam:CreateInstanceProfile", "create instance profile "+name, fleet.Props{
				"instanceProfileName": name, "path": RolePath(b.s), "tags": tagList(owned(b.s, g.Tags)),
			})
		},
	})
	have := b.o.first(id)
	if have != nil && have.Tags[fleet.TagCluster] != b.s.Name {
		r.state, r.do = failed, nil
		r.detail = fmt.Sprintf("instance profile %s exists and is not ekspedite's (no tag %s=%s): delete it, or name it in iam.instanceProfileARN", name, fleet.TagCluster, b.s.Name)
	}
	in := have != nil && slices.ContainsFunc(fleet.Items(have.Props, "roles"), func(r fleet.Props) bool { return fleet.Text(r, "roleName") == role })
	b.part(id+"/role", "roles", in, append([]string{id}, needs...), func() plan.Call {
		c := b.call(plan.Change, id+"/role", "iam:AddRoleToInstanceProfile", "put role "+role+" into instance profile "+name, fleet.Props{
			"instanceProfileName": name, "roleName": role,
		})
		c.Queue = id
		return c
	})
	return id, []string{id, id + "/role"}
}

// nodeEntry lets the machines of a role into the cluster, which EKS does by itself for managed ones. It returns the entry's
// name in the graph, "" where the file lets the role in, or nobody knows which role it is.
func (b *builder) nodeEntry(g fleet.NodeGroupSpec, role string, needs []string) string {
	kind := "EC2_LINUX"
	if isWindows(g) {
		kind = "EC2_WINDOWS"
	}
	id := "access/" + role
	switch _, made := b.at[id]; {
	case made:
		return id
	case b.s.AuthMode == "CONFIG_MAP":
		b.missing("access/"+g.Name, "node group %s: with authentication mode CONFIG_MAP nobody lets its nodes in: set accessConfig.authenticationMode to API_AND_CONFIG_MAP", g.Name)
		return ""
	case g.IAM.ProfileARN != "" && g.IAM.RoleARN == "":
		if !slices.ContainsFunc(b.s.Access, func(a fleet.AccessSpec) bool { return a.Type == kind }) {
			b.notes = append(b.notes, fmt.Sprintf("node group %s: only its instance profile is given: let its role in by accessConfig.accessEntries with type %s, or name it in iam.instanceRoleARN", g.Name, kind))
		}
		return ""
	}
	ref := fleet.Ref{ID: id, Kind: "access", Name: role}
	if plan.IsUnknown(role) {
		ref.Name = "" // cannot be asked for
	}
	b.add(thing{
		Ref: ref, area: "access", needs: needs,
		create: func() plan.Call {
			return b.child(plan.Create, id, "eks:CreateAccessEntry", "let machines with role "+last(role)+" in as nodes", fleet.Props{
				"principalArn": role, "type": kind, "tags": owned(b.s),
			})
		},
		differ: func(have fleet.Resource) ([]plan.Call, []string) {
			if is := fleet.Text(have.Props, "type"); is != kind {
				return nil, []string{cannot("access entry of "+role, "type", "it is "+is+", by which nodes do not come in, and EKS does not change it", "delete the entry, and apply again")}
			}
			return b.retag(have, owned(b.s)), nil // EKS may have made it, for a managed group with the same role
		},
	})
	return id
}

// oneType is the type that a group's launch template has; "" where the Auto Scaling group may have several. EKS is told the
// types of its groups by itself, but for those of a capacity block, which has one type only.
func oneType(g fleet.NodeGroupSpec) string {
	if len(g.InstanceTypes) != 1 || g.SelfManaged && mixed(g) || !g.SelfManaged && !g.CapacityBlock {
		return ""
	}
	return g.InstanceTypes[0]
}

// mixed tells whether an Auto Scaling group has a policy of instances of several kinds.
func mixed(g fleet.NodeGroupSpec) bool {
	return g.Selector != nil || len(g.InstanceTypes) > 1 || g.Group != nil && len(g.Group.Distribution) > 0
}

// scalingGroup makes and compares an Auto Scaling group.
type scalingGroup struct {
	*builder
	g        fleet.NodeGroupSpec
	t        template
	id, name string
	types    []string
	subnets  []string
}

func (a scalingGroup) create() plan.Call {
	g := a.g
	ids := texts(a.physical(a.subnets))
	in := fleet.Props{
		"autoScalingGroupName": a.name, "vpcZoneIdentifier": strings.Join(ids, ","), "minSize": g.Min, "maxSize": g.Max, "desiredCapacity": g.Desired,
		"tags": scalingTags(a.tagsOf(a.t.mark), a.name, true), "targetGroupARNs": g.Group.TargetGroupARNs, "loadBalancerNames": g.Group.ClassicBalancers,
	}
	for _, c := range in["tags"].([]any) {
		t := c.(fleet.Props)
		t["propagateAtLaunch"] = !strings.HasPrefix(fleet.Text(t, "key"), templateTag) && fleet.Text(t, "key") != tagTemplate
	}
	maps.Copy(in, a.settings())
	in = fleet.Drop(in)
	return a.call(plan.Create, a.id, "autoscaling:CreateAutoScalingGroup",
		fmt.Sprintf("create Auto Scaling group of node group %s (%d × %s, %d to %d)", g.Name, g.Desired, machinesInWords(a.types), g.Min, g.Max), in)
}

// tagsOf are the group's tags, most of which its machines get.
func (a scalingGroup) tagsOf(mark string) map[string]string {
	t := owned(a.s, a.g.Tags)
	t[fleet.TagResource] = a.id
	t[tagNodeGroup] = a.g.Name
	t["alpha.eksctl.io/nodegroup-type"] = "unmanaged"
	t["Name"] = maker{builder: a.builder, g: a.g}.instanceName()
	// By this, Kubernetes' own cloud provider and its controllers know what is the cluster's.
	t["kubernetes.io/cluster/"+a.s.Name] = "owned"
	if slices.Contains(a.g.IAM.Addons, "autoScaler") || a.g.PropagateTags {
		t["k8s.io/cluster-autoscaler/enabled"], t["k8s.io/cluster-autoscaler/"+a.s.Name] = "true", "owned"
	}
	maps.Copy(t, a.propagated(a.g))
	if mark != "" {
		t[tagTemplate] = mark
	}
	return t
}

// settings are what can be changed of an Auto Scaling group as it is made.
func (a scalingGroup) settings() fleet.Props {
	launch := fleet.Props{"launchTemplateId": a.t.physical, "version": a.t.version}
	out := fleet.Props{}
	if mixed(a.g) {
		out["mixedInstancesPolicy"] = a.policy(launch)
	} else {
		out["launchTemplate"] = launch
	}
	if s := a.g.Group.MaxLifetimeSecs; s > 0 {
		out["maxInstanceLifetime"] = s
	}
	if a.g.Group.Rebalance {
		out["capacityRebalance"] = true
	}
	return out
}

// policy is Auto Scaling's MixedInstancesPolicy.
func (a scalingGroup) policy(launch fleet.Props) fleet.Props {
	var overrides []any
	for _, t := range a.types {
		overrides = append(overrides, fleet.Props{"instanceType": t})
	}
	distribution := fleet.Props{}
	for k, v := range a.g.Group.Distribution { // the file's names begin with capitals, as in the API; what is read does not
		distribution[strings.ToLower(k[:1])+k[1:]] = v
	}
	return fleet.Props{
		"instancesDistribution": distribution,
		"launchTemplate":        fleet.Props{"launchTemplateSpecification": launch, "overrides": overrides},
	}
}
