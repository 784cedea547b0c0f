package cluster

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/plan"
)

// EKS makes a security group of its own for a cluster, in which all talk to all: the control plane's interfaces, Fargate
// pods, managed nodes. Self-managed nodes get it, too, so that ekspedite needs no shared group beside it. What it makes are
// a group that lets in who is outside of the cluster, and one for VPC endpoints.
const (
	idControlGroup   = "sg/controlplane"
	idEndpointsGroup = "sg/endpoints"
)

// ours begins the descriptions of rules that ekspedite has made. Others are left alone.
const ours = "ekspedite: "

// controlPlaneSources are the networks outside of the VPC that reach the API server's private endpoint: eksctl's extra
// CIDRs, and those of hybrid nodes and their pods.
func controlPlaneSources(s fleet.ClusterSpec) []string {
	out := slices.Concat(s.Network.ExtraCIDRs, s.Network.ExtraIPv6CIDRs)
	if s.Remote != nil {
		out = slices.Concat(out, s.Remote.NodeCIDRs, s.Remote.PodCIDRs)
	}
	return out
}

// ownControlGroup tells whether the control plane gets a security group of ours. Groups that are given have their own rules.
func ownControlGroup(s fleet.ClusterSpec) bool {
	return len(s.Network.ControlPlaneSecurityGroups) == 0 && len(controlPlaneSources(s)) > 0
}

// controlPlaneGroups are the security groups, by their names in the graph, that the control plane gets beside EKS's own.
func (b *builder) controlPlaneGroups() (ids []string) {
	for _, id := range b.s.Network.ControlPlaneSecurityGroups {
		ids = append(ids, "givensg/"+id)
	}
	if ownControlGroup(b.s) {
		ids = append(ids, idControlGroup)
	}
	return ids
}

// controlPlaneGroup adds the control plane's security group where it needs one, and knows those that are given.
func (b *builder) controlPlaneGroup() {
	given := b.s.Network.ControlPlaneSecurityGroups
	if len(given) > 0 {
		b.ownFound()
		for _, id := range given {
			b.o.Found["givensg/"+id] = []fleet.Resource{{Ref: fleet.Ref{ID: "givensg/" + id, Kind: "givensg"}, Physical: id}}
		}
		if len(controlPlaneSources(b.s)) > 0 {
			b.notes = append(b.notes, fmt.Sprintf("security groups %s are yours: let %s in on port 443 in them", strings.Join(given, ", "), strings.Join(controlPlaneSources(b.s), ", ")))
		}
		return
	}
	if ownControlGroup(b.s) {
		b.securityGroup(idControlGroup, "Who reaches the API server of EKS cluster "+b.s.Name+" from outside of its VPC", controlPlaneSources(b.s), "reach the API server")
	}
}

// securityGroup adds a group that lets sources in on port 443.
func (b *builder) securityGroup(id, description string, sources []string, why string) {
	b.add(thing{
		Ref: fleet.Ref{ID: id, Kind: "sg"}, area: "network", needs: b.inVPC(),
		create: func() plan.Call {
			tags := b.tags(id)
			c := b.call(plan.Create, id, "ec2:CreateSecurityGroup", "create security group "+id, fleet.Props{
				"groupName": tags["Name"], "description": description, "vpcId": b.vpcID(), "tagSpecifications": specification("security-group", tags),
			})
			c.Unless = true
			return c
		},
		differ: b.tagsOnly(b.tags(id)),
	})
	have := b.o.first(id)
	var missing, extra []string
	if have != nil {
		let := letIn(have.Props)
		for source, description := range let {
			if !slices.Contains(sources, source) && strings.HasPrefix(description, ours) {
				extra = append(extra, source)
			}
		}
		slices.Sort(extra)
		missing = slices.DeleteFunc(slices.Clone(sources), func(s string) bool { _, in := let[s]; return in })
	} else if !b.assumed("sg") {
		missing = sources
	}
	// Who is to come in comes in before others are shut out: one change at a time.
	switch {
	case len(missing) > 0 || len(extra) == 0:
		b.part(id+"/rules", "network", len(missing) == 0, []string{id}, func() plan.Call {
			return b.call(plan.Change, id+"/rules", "ec2:AuthorizeSecurityGroupIngress", fmt.Sprintf("let %s %s", strings.Join(missing, ", "), why), fleet.Props{
				"groupId": b.id(id), "ipPermissions": permission(missing, ours+why),
			})
		})
	default:
		b.part(id+"/rules", "network", false, []string{id}, func() plan.Call {
			return b.call(plan.Delete, id+"/rules", "ec2:RevokeSecurityGroupIngress", "shut out "+strings.Join(extra, ", "), fleet.Props{
				"groupId": b.id(id), "ipPermissions": permission(extra, ""),
			})
		})
	}
}

// inVPC is what has to be there before something is made in the VPC.
func (b *builder) inVPC() []string {
	if b.s.Network.VPC != "" {
		return []string{idGivenVPC}
	}
	return []string{idVPC}
}

// letIn are the ranges that a security group lets in on port 443, with the descriptions of the rules.
func letIn(group fleet.Props) map[string]string {
	out := map[string]string{}
	for _, p := range fleet.Items(group, "ipPermissions") {
		if fleet.Text(p, "ipProtocol") != "tcp" || fleet.Int(p, "fromPort") != 443 || fleet.Int(p, "toPort") != 443 {
			continue
		}
		for _, r := range fleet.Items(p, "ipRanges") {
			out[fleet.Text(r, "cidrIp")] = fleet.Text(r, "description")
		}
		for _, r := range fleet.Items(p, "ipv6Ranges") {
			out[fleet.Text(r, "cidrIpv6")] = fleet.Text(r, "description")
		}
	}
	return out
}

// permission lets ranges in on port 443.
func permission(ranges []string, description string) []any {
	var four, six []any
	for _, r := range ranges {
		if strings.Contains(r, ":") {
			six = append(six, fleet.Drop(fleet.Props{"cidrIpv6": r, "description": description}))
		} else {
			four = append(four, fleet.Drop(fleet.Props{"cidrIp": r, "description": description}))
		}
	}
	return []any{fleet.Drop(fleet.Props{"ipProtocol": "tcp", "fromPort": 443, "toPort": 443, "ipRanges": four, "ipv6Ranges": six})}
}
