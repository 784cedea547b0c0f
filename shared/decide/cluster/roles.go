package cluster

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"

	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/plan"
)

// The roles of the cluster as a whole. Those of service accounts, add-ons and single node groups are named after them.
const (
	idClusterRole = "role/cluster"
	idNodeRole    = "role/node"
	idAutoRole    = "role/auto-node"
	idHybridRole  = "role/hybrid"
	idFargateRole = "role/fargate"
)

// maxRoleName is IAM's limit.
const maxRoleName = 64

// RolePath is the IAM path of all that is made for a cluster, by which it is found again. Roles have no Region, so that
// their paths and names need one.
func RolePath(s fleet.ClusterSpec) string {
	return fleet.RolePath(fleet.ClusterID{Region: s.Region, Name: s.Name})
}

// RoleName is the name of one of a cluster's IAM roles: "cluster" for the control plane's, "node" for the nodes'. Long names
// are cut, with a hash that keeps them apart.
func RoleName(s fleet.ClusterSpec, part string) string {
	name := "ekspedite-" + s.Region + "-" + s.Name + "-" + part
	if len(name) <= maxRoleName {
		return name
	}
	sum := sha256.Sum256([]byte(name))
	end := "-" + hex.EncodeToString(sum[:4])
	if room := maxRoleName - len(end) - len(part) - 1; room > 16 {
		return name[:room] + end + "-" + part
	}
	return name[:maxRoleName-len(end)] + end
}

// nodePolicies are what a node needs: to register, to pull images, and to give addresses to pods.
var nodePolicies = []string{"AmazonEKSWorkerNodePolicy", "AmazonEC2ContainerRegistryPullOnly", "AmazonEKS_CNI_Policy"}

// autoPolicies are what a control plane needs beside its own policy to run machines, volumes, load balancers and the network
// of EKS Auto Mode.
var autoPolicies = []string{"AmazonEKSComputePolicy", "AmazonEKSBlockStoragePolicy", "AmazonEKSLoadBalancingPolicy", "AmazonEKSNetworkingPolicy"}

// role is an IAM role to be made.
type role struct {
	id       string // in the graph: "role/cluster"
	name     string
	trust    fleet.Props // the policy document
	policies []string    // ARNs of managed policies
	inline   map[string]fleet.Props
	boundary string
	tags     map[string]string
	// granted: its policies come from the file, which may have had inline ones that it has no more.
	granted bool
	// watched: its trust comes from the file, so that even a light look reads it.
	watched bool
}

// roles are those that are there before the control plane. It returns what the control plane needs of them.
func (b *builder) roles() []string {
	needs := b.controlRoles()
	if a := b.s.Auto; a != nil && a.NodeRoleARN == "" && len(a.NodePools) > 0 {
		needs = append(needs, b.role(role{
			id: idAutoRole, name: RoleName(b.s, "auto-node"), boundary: a.Boundary, trust: trusts(b.ec2(), "sts:AssumeRole"),
			policies: b.awsPolicies("AmazonEKSWorkerNodeMinimalPolicy", "AmazonEC2ContainerRegistryPullOnly"),
		})...)
	}
	if slices.ContainsFunc(b.s.NodeGroups, b.commonRole) {
		r := role{id: idNodeRole, name: RoleName(b.s, "node"), trust: trusts(b.ec2(), "sts:AssumeRole"), policies: b.awsPolicies(nodePolicies...)}
		if b.s.Network.IPv6 {
			r.inline, r.granted = map[string]fleet.Props{cniIPv6: b.policy(cniIPv6)}, true
		}
		b.role(r)
	}
	b.hybridRole()
	if slices.ContainsFunc(b.s.Fargate, func(f fleet.FargateSpec) bool { return f.RoleARN == "" }) && b.s.IAM.FargateRoleARN == "" {
		b.role(b.fargateRole())
	}
	return needs
}

// controlRoles is the control plane's role, unless it is given. https://docs.aws.amazon.com/eks/latest/userguide/cluster-iam-role.html
func (b *builder) controlRoles() []string {
	if b.s.IAM.RoleARN != "" {
		return nil
	}
	r := role{
		id: idClusterRole, name: RoleName(b.s, "cluster"), boundary: b.s.IAM.RoleBoundary,
		// EKS Auto Mode asks for TagSession; with it from the start, Auto Mode can come later.
		trust: trusts("eks.amazonaws.com", "sts:AssumeRole", "sts:TagSession"), policies: b.awsPolicies("AmazonEKSClusterPolicy"),
	}
	switch {
	case b.s.Outpost != nil: // a local cluster's control plane runs on EC2 instances of the account
		r.trust, r.policies = trusts(b.ec2(), "sts:AssumeRole"), b.awsPolicies("AmazonEKSLocalOutpostClusterPolicy")
		return b.role(r)
	case !b.s.IAM.NoVPCResourceController:
		r.policies = append(r.policies, b.awsPolicies("AmazonEKSVPCResourceController")...)
	}
	if b.s.Auto != nil {
		r.policies = append(r.policies, b.awsPolicies(autoPolicies...)...)
	}
	return b.role(r)
}

// commonRole tells whether a group's machines have the role that the cluster's node groups share.
func (b *builder) commonRole(g fleet.NodeGroupSpec) bool {
	return g.IAM.RoleARN == "" && g.IAM.ProfileARN == "" && !b.ownRole(g)
}

// hybridRole is for machines outside AWS. With IAM Roles Anywhere it would be of no use alone.
func (b *builder) hybridRole() {
	r := b.s.Remote
	switch {
	case r == nil || r.RoleARN != "":
	case r.Provider == "ira":
		b.notes = append(b.notes, "remoteNetworkConfig.iam.provider ira is not acted on: ekspedite makes no trust anchor and no profile of IAM Roles Anywhere; "+
			"make them and their role (aws rolesanywhere create-trust-anchor, create-profile) and name the role in remoteNetworkConfig.iam.roleARN, or use provider ssm")
	case r.Provider == "ssm":
		b.role(role{
			id: idHybridRole, name: RoleName(b.s, "hybrid"), policies: b.awsPolicies("AmazonSSMManagedInstanceCore", "AmazonEC2ContainerRegistryPullOnly"),
			trust: trustsWhen("ssm.amazonaws.com", fleet.Props{
				"StringEquals": fleet.Props{"aws:SourceAccount": b.account()},
				"ArnEquals":    fleet.Props{"aws:SourceArn": b.arn("ssm", "*")},
			}, "sts:AssumeRole"),
			inline: map[string]fleet.Props{hybridNode: b.policy(hybridNode)}, granted: true,
		})
	}
}

// remoteEntry lets the machines outside AWS in.
func (b *builder) remoteEntry() {
	r := b.s.Remote
	if r == nil || r.RoleARN == "" && r.Provider != "ssm" {
		return
	}
	if r.RoleARN != "" {
		b.entry(fleet.AccessSpec{Principal: r.RoleARN, Type: "HYBRID_LINUX"})
		return
	}
	principal := b.madeARN(RoleName(b.s, "hybrid")) // it names the entry, and may not depend on what was read
	b.entry(fleet.AccessSpec{Principal: principal, Type: "HYBRID_LINUX"})
	if at, ok := b.at["access/"+principal]; ok {
		b.list[at].needs = append(b.list[at].needs, idHybridRole)
	}
}

// ec2 is EC2's name as one who assumes roles, which differs in China.
func (b *builder) ec2() string {
	if partition(b.opt) == "aws-cn" {
		return "ec2.amazonaws.com.cn"
	}
	return "ec2.amazonaws.com"
}

// account is the account's number, or any where it is not known, such as in a plan without credentials.
func (b *builder) account() string {
	if b.opt.Account == "" {
		return "*"
	}
	return b.opt.Account
}

// arn names resources of the account in the cluster's Region.
func (b *builder) arn(service, resource string) string {
	return "arn:" + partition(b.opt) + ":" + service + ":" + b.s.Region + ":" + b.account() + ":" + resource
}

// awsPolicies are the ARNs of policies that AWS keeps.
func (b *builder) awsPolicies(names ...string) (out []string) {
	for _, n := range names {
		out = append(out, "arn:"+partition(b.opt)+":iam::aws:policy/"+n)
	}
	return out
}

// role adds a role with its policies, and returns all that others need of it. What the role has beyond what is wanted goes
// once the rest is there: nobody is without a permission that only changes its place.
func (b *builder) role(r role, needs ...string) (all []string) {
	r.boundary = cmp.Or(r.boundary, b.opt.Boundary)
	added := b.add(thing{
		Ref:  fleet.Ref{ID: r.id, Kind: "role", Name: r.name, Glance: r.boundary == "" && !r.watched, Whole: r.granted},
		area: "roles", needs: needs,
		create: func() plan.Call {
			return b.roleCall(plan.Create, r, r.id, "iam:CreateRole", "create role "+r.name, fleet.Props{
				"path": RolePath(b.s), "assumeRolePolicyDocument": document(r.trust),
				"description": "Made by ekspedite for EKS cluster " + b.s.Name, "permissionsBoundary": r.boundary,
				"tags": tagList(owned(b.s, r.tags)),
			})
		},
		differ: func(have fleet.Resource) ([]plan.Call, []string) { return b.roleDiffers(r, have) },
	})
	have := fleet.Props{}
	if old := b.o.first(r.id); old != nil {
		have = old.Props
		// A glance shows no tags. It is for clusters that work, with roles that were read before.
		if old.Tags != nil && old.Tags[fleet.TagCluster] != b.s.Name {
			added.state, added.do = failed, nil
			added.detail = fmt.Sprintf("role %s exists and is not ekspedite's (no tag %s=%s): delete or rename it, or name it in the file by its ARN", r.name, fleet.TagCluster, b.s.Name)
			return []string{r.id}
		}
	}
	return append([]string{r.id}, b.rolePolicies(r, have)...)
}

// rolePolicies adds what is attached to a role and written into it. It returns what is to be there.
func (b *builder) rolePolicies(r role, have fleet.Props) (all []string) {
	part := func(id string, done bool, needs []string, api, does string, input fleet.Props) {
		b.part(id, "roles", done, needs, func() plan.Call { return b.roleCall(plan.Change, r, id, api, does, input) })
	}
	attached := fleet.Texts(have, "attachedPolicies")
	for _, arn := range r.policies {
		name := last(arn)
		id := r.id + "/" + name
		all = append(all, id)
		part(id, slices.Contains(attached, arn), []string{r.id}, "iam:AttachRolePolicy", fmt.Sprintf("attach %s to role %s", name, r.name), fleet.Props{"policyArn": arn})
	}
	inline, _ := have["inlinePolicies"].(fleet.Props)
	for _, name := range slices.Sorted(maps.Keys(r.inline)) {
		id, text := r.id+"/inline/"+name, document(r.inline[name])
		all = append(all, id)
		part(id, sameDocument(fleet.Text(inline, name), text), []string{r.id}, "iam:PutRolePolicy",
			fmt.Sprintf("write policy %s into role %s", name, r.name), fleet.Props{"policyName": name, "policyDocument": text})
	}
	wanted := append([]string{r.id}, all...)
	for _, arn := range attached {
		if name := last(arn); !slices.Contains(r.policies, arn) {
			part(r.id+"/without/"+name, false, wanted, "iam:DetachRolePolicy", fmt.Sprintf("detach %s from role %s", name, r.name), fleet.Props{"policyArn": arn})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(inline)) {
		if _, ok := r.inline[name]; !ok {
			part(r.id+"/without/inline/"+name, false, wanted, "iam:DeleteRolePolicy", fmt.Sprintf("delete policy %s from role %s", name, r.name), fleet.Props{"policyName": name})
		}
	}
	return all
}

// roleDiffers compares a role with what it shall be, as far as it was read. A boundary that the file does not name stays:
// without it the role could do more, and whoever has set it meant it.
func (b *builder) roleDiffers(r role, have fleet.Resource) (change []plan.Call, notes []string) {
	if trust := fleet.Text(have.Props, "assumeRolePolicyDocument"); trust != "" && !sameDocument(trust, document(r.trust)) {
		change = append(change, b.roleCall(plan.Change, r, r.id, "iam:UpdateAssumeRolePolicy", "change who may assume role "+r.name, fleet.Props{"policyDocument": document(r.trust)}))
	}
	boundary := fleet.Text(have.Props, "permissionsBoundary")
	switch {
	case boundary == r.boundary:
	case r.boundary == "":
		notes = append(notes, fmt.Sprintf("role %s has the permissions boundary %s, which the file does not name: it stays (aws iam delete-role-permissions-boundary)", r.name, boundary))
	default:
		change = append(change, b.roleCall(plan.Change, r, r.id, "iam:PutRolePermissionsBoundary", fmt.Sprintf("bound role %s by %s", r.name, last(r.boundary)), fleet.Props{"permissionsBoundary": r.boundary}))
	}
	lost := map[string]string{}
	for k, v := range owned(b.s, r.tags) {
		if have.Tags != nil && have.Tags[k] != v {
			lost[k] = v
		}
	}
	if len(lost) > 0 {
		change = append(change, b.roleCall(plan.Change, r, r.id, "iam:TagRole", "tag role "+r.name, fleet.Props{"tags": tagList(lost)}))
	}
	return change, notes
}

// roleCall is a call about a role. IAM refuses two changes of one role at once.
func (b *builder) roleCall(effect plan.Effect, r role, id, api, does string, input fleet.Props) plan.Call {
	input["roleName"] = r.name
	c := b.call(effect, id, api, does, input)
	c.Queue = r.id
	return c
}

// roleARN is the ARN of a role in the graph. It follows from the role's name where the role was not read as a whole, or is
// still to be made.
func (b *builder) roleARN(id string) string {
	if r := b.o.first(id); r != nil && r.ARN != "" {
		return r.ARN
	}
	if at, ok := b.at[id]; ok && b.opt.Account != "" {
		return b.madeARN(b.list[at].Name)
	}
	return plan.Unknown(id + ".arn")
}

// madeARN is the ARN of a role that ekspedite makes.
func (b *builder) madeARN(name string) string {
	return "arn:" + partition(b.opt) + ":iam::" + b.account() + ":role" + RolePath(b.s) + name
}
