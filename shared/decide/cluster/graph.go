package cluster

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/plan"
)

// state of a resource.
type state int

const (
	absent  state = iota // can be made once what it needs is ready
	pending              // AWS is working on it
	ready
	failed
)

// resource is one node of the graph: what it is, what it needs, what shows that it exists, what makes it.
type resource struct {
	id    string
	area  string // heading for people: "network"
	needs []string
	state state
	// detail says what is waited for, or why it failed.
	detail string
	notes  []string // how it differs from the spec
	create func() plan.Action
}

// builder collects the graph of one cluster.
type builder struct {
	o     Observation
	s     fleet.ClusterSpec
	opt   Options
	list  []resource
	notes []string
}

// graph is all that the spec asks for, each resource after those it needs. It fails when the spec cannot be planned here.
func graph(o Observation, s fleet.ClusterSpec, opt Options) ([]resource, []string, error) {
	b := &builder{o: o, s: s, opt: opt}
	net, err := b.network()
	if err != nil {
		return nil, nil, err
	}
	roles := b.roles()
	b.list = append(b.list, controlPlane(o, s, opt, net, roles))
	b.access()
	b.nodeGroups(net)
	return b.list, b.notes, nil
}

// add puts a resource into the graph: ready if it exists, else to be made.
func (b *builder) add(area, id string, exists bool, create func(plan.Of) plan.Action, needs ...string) {
	r := resource{id: id, area: area, needs: needs, create: func() plan.Action { return create(b.of(id)) }}
	if exists {
		r.state = ready
	}
	b.list = append(b.list, r)
}

func (b *builder) of(id string) plan.Of { return plan.Of{Cluster: b.s.Name, ID: id} }

// tags of an EC2 resource.
func (b *builder) tags(id string, more ...string) map[string]string {
	t := owned(b.s)
	t["Name"] = "ekspedite-" + b.s.Name + "-" + strings.ReplaceAll(id, "/", "-")
	t[fleet.TagResource] = id
	for i := 0; i < len(more); i += 2 {
		t[more[i]] = more[i+1]
	}
	return t
}

// owned are the tags of everything: the spec's, and by whom and for which cluster it was made.
func owned(s fleet.ClusterSpec) map[string]string {
	t := maps.Clone(s.Tags)
	if t == nil {
		t = map[string]string{}
	}
	t[fleet.TagEksctlCluster] = s.Name
	t[fleet.TagCluster] = s.Name
	return t
}

// token makes one request of a run recognisable, however often it is sent.
func token(opt Options, cluster, id string) string {
	sum := sha256.Sum256([]byte(opt.RunID + "\x00" + cluster + "\x00" + id))
	return hex.EncodeToString(sum[:16])
}

// Names of the resources that others need.
const (
	idVPC         = "vpc"
	idDNS         = "vpc/dns"
	idGateway     = "igw"
	idAttachment  = "igw/attachment"
	idClusterRole = "role/cluster"
	idNodeRole    = "role/node"
	idCluster     = "cluster"
)

// IDAccess is the resource of what the interruption function may do within the cluster.
const IDAccess = "kubernetes/interruption"

// Roles of a cluster, by the names of RoleName.
const (
	roleCluster = "cluster"
	roleNode    = "node"
)

// maxRoleName is IAM's limit.
const maxRoleName = 64

// RoleName is the IAM role of a cluster's control plane ("cluster") or of its nodes ("node"). Long names are cut, with a
// hash that keeps them apart.
func RoleName(cluster, part string) string {
	name := "ekspedite-" + cluster + "-" + part
	if len(name) <= maxRoleName {
		return name
	}
	sum := sha256.Sum256([]byte(cluster))
	end := "-" + hex.EncodeToString(sum[:4]) + "-" + part
	return name[:maxRoleName-len(end)] + end
}

// RoleNames are both roles of a cluster.
func RoleNames(cluster string) (controlPlane, nodes string) {
	return RoleName(cluster, roleCluster), RoleName(cluster, roleNode)
}

// roles are the two IAM roles with their policies. It returns what the control plane needs of them.
func (b *builder) roles() []string {
	control := b.role(idClusterRole, roleCluster, "eks.amazonaws.com", "AmazonEKSClusterPolicy")
	// The node role's owner is checked before there is a control plane: afterwards its tags are not read any more.
	b.role(idNodeRole, roleNode, "ec2.amazonaws.com", nodePolicies...)
	return append(control, idNodeRole)
}

// nodePolicies are what a node needs: to register, to pull images, and to give addresses to pods.
var nodePolicies = []string{"AmazonEKSWorkerNodePolicy", "AmazonEC2ContainerRegistryPullOnly", "AmazonEKS_CNI_Policy"}

func (b *builder) role(id, part, service string, policies ...string) (all []string) {
	name := RoleName(b.s.Name, part)
	role, exists := b.o.Roles[name]
	b.add("roles", id, exists, func(of plan.Of) plan.Action {
		return plan.CreateRole{Of: of, Name: name, Service: service, Tags: owned(b.s)}
	})
	if exists && b.o.Control == nil && role.Tags[fleet.TagCluster] != b.s.Name {
		r := &b.list[len(b.list)-1]
		r.state, r.detail = failed, fmt.Sprintf("role %s exists and is not ekspedite's (no tag %s=%s): rename the cluster or delete the role", name, fleet.TagCluster, b.s.Name)
	}
	all = append(all, id)
	for _, policy := range policies {
		arn := "arn:" + partition(b.opt) + ":iam::aws:policy/" + policy
		all = append(all, id+"/"+policy)
		b.add("roles", id+"/"+policy, slices.Contains(role.Policies, arn), func(of plan.Of) plan.Action {
			return plan.AttachRolePolicy{Of: of, Role: name, Policy: arn}
		}, id)
	}
	return all
}

// partition is the part of AWS that the account is in: aws, aws-cn, aws-us-gov.
func partition(opt Options) string {
	if parts := strings.SplitN(opt.InterruptionRole, ":", 3); len(parts) == 3 && parts[1] != "" {
		return parts[1]
	}
	return "aws"
}

// controlPlane is the EKS cluster itself.
func controlPlane(o Observation, s fleet.ClusterSpec, opt Options, net network, roles []string) resource {
	r := resource{id: idCluster, area: "control plane", needs: slices.Concat(roles, []string{idDNS}, net.subnetResources())}
	r.create = func() plan.Action {
		return plan.CreateCluster{
			Of: plan.Of{Cluster: s.Name, ID: idCluster}, Version: s.Version, RoleARN: o.Roles[RoleName(s.Name, roleCluster)].ARN,
			Subnets: net.subnetIDs(), PublicAccess: s.Network.PublicAccess, PrivateAccess: s.Network.PrivateAccess,
			PublicAccessCIDRs: s.Network.PublicAccessCIDRs, ServiceCIDR: s.Network.ServiceCIDR, Logging: s.Logging,
			AuthMode: s.AuthMode, Tags: owned(s), Token: token(opt, s.Name, idCluster),
		}
	}
	c := o.Control
	switch {
	case c == nil:
	case c.Tags[fleet.TagCluster] != s.Name:
		r.state, r.detail = failed, fmt.Sprintf("a cluster %s exists that ekspedite did not make (no tag %s): it is left alone", s.Name, fleet.TagCluster)
	case c.Status == "ACTIVE":
		r.state, r.notes = ready, differs(*c, s)
		for _, issue := range c.Issues {
			r.notes = append(r.notes, "cluster "+s.Name+": EKS reports "+issue)
		}
	case c.Status == "FAILED":
		r.state, r.detail = failed, because("cluster "+s.Name+" is FAILED", c.Issues)
	case c.Status == "DELETING":
		r.state, r.detail = failed, "cluster "+s.Name+" is being deleted"
	default: // CREATING, UPDATING, PENDING, and what EKS may yet invent
		r.state, r.detail = pending, "the control plane ("+c.Status+")"
	}
	return r
}

func because(what string, issues []string) string {
	if len(issues) == 0 {
		return what + ", without a reason from EKS"
	}
	return what + ": " + strings.Join(issues, "; ")
}

// nodeGroups are the managed node groups. Nodes need their way out, too, or they cannot join.
func (b *builder) nodeGroups(net network) {
	for _, g := range b.s.NodeGroups {
		id := "nodegroup/" + g.Name
		needs := []string{idCluster, idNodeRole}
		for _, p := range nodePolicies {
			needs = append(needs, idNodeRole+"/"+p)
		}
		subnets, ways := net.placement(g)
		b.add("node groups", id, false, func(of plan.Of) plan.Action {
			tags := owned(b.s)
			maps.Copy(tags, g.Tags)
			return plan.CreateNodeGroup{
				Of: of, Spec: g, RoleARN: b.o.Roles[RoleName(b.s.Name, roleNode)].ARN, Subnets: subnets, Tags: tags,
				Token: token(b.opt, b.s.Name, id),
			}
		}, append(needs, ways...)...)
		have, exists := b.o.Groups[g.Name]
		if !exists {
			continue
		}
		r := &b.list[len(b.list)-1]
		switch have.Status {
		case "ACTIVE", "UPDATING":
			r.state, r.notes = ready, groupDiffers(have, g)
		case "DEGRADED":
			r.state = ready
			r.notes = append(groupDiffers(have, g), because("node group "+g.Name+" is DEGRADED", have.Issues))
		case "CREATE_FAILED", "DELETE_FAILED":
			r.state, r.detail = failed, because("node group "+g.Name+" is "+have.Status, have.Issues)
		case "DELETING":
			r.state, r.detail = failed, "node group "+g.Name+" is being deleted"
		default:
			r.state, r.detail = pending, "node group "+g.Name+" ("+have.Status+")"
		}
	}
}
