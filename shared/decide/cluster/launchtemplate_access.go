package cluster

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/plan"
)

// clusterGroup stands for the security group that EKS makes for a cluster, in which all talk to all.
const clusterGroup = "cluster.securityGroup"

// groups are the security groups of the machines, by physical id or placeholder; none leaves them to EKS, which gives
// managed nodes the cluster's own.
func (m maker) groups() (out []string) {
	s := m.g.Machine
	out = append(out, s.SecurityGroups...)
	if s.SSH != nil {
		out = append(out, m.id("sg/ssh/"+m.g.Name))
	}
	if s.EFA {
		out = append(out, m.id("sg/efa/"+m.g.Name))
	}
	if m.g.SelfManaged && m.s.Network.SharedNodeSecurityGroup != "" && !s.NoSharedGroup {
		out = append(out, m.s.Network.SharedNodeSecurityGroup)
	}
	if m.g.SelfManaged && (!s.NoSharedGroup || len(s.SecurityGroups) == 0) || !m.g.SelfManaged && len(out) > 0 {
		out = append([]string{m.ofCluster(clusterGroup, "resourcesVpcConfig", "clusterSecurityGroupId")}, out...)
	}
	return out
}

// ofCluster is something that EKS says of the control plane, or its placeholder.
func (b *builder) ofCluster(name string, path ...string) string {
	if c := b.o.Control(); c != nil {
		if v := fleet.Text(c.Props, path...); v != "" {
			return v
		}
	}
	return plan.Unknown(name)
}

// keyName is the key pair for SSH; "" without.
func (m maker) keyName() string {
	ssh := m.g.Machine.SSH
	switch {
	case ssh == nil:
		return ""
	case ssh.PublicKey != "":
		return keyName(m.s, ssh.PublicKey)
	}
	return ssh.KeyName
}

// keyID is a key pair's name in the graph, by its content: groups with the same key share it.
func keyID(key string) string {
	sum := sha256.Sum256([]byte(key))
	return "keypair/" + hex.EncodeToString(sum[:6])
}

func keyName(s fleet.ClusterSpec, key string) string {
	return "ekspedite-" + s.Name + "-" + keyID(key)[len("keypair/"):]
}

// keyPair adds a public key of the file.
func (m maker) keyPair() string {
	key := m.g.Machine.SSH.PublicKey
	id := keyID(key)
	if _, ok := m.at[id]; ok {
		return id
	}
	m.add(thing{
		Ref: fleet.Ref{ID: id, Kind: "keypair"}, area: "node groups",
		create: func() plan.Call {
			c := m.call(plan.Create, id, "ec2:ImportKeyPair", "import the public key for SSH to "+m.g.Name, fleet.Props{
				"keyName": keyName(m.s, key), "publicKeyMaterial": base64Text(key), "tagSpecifications": specification("key-pair", m.tags(id)),
			})
			c.Unless = true
			return c
		},
		differ: m.tagsOnly(m.tags(id)),
	})
	return id
}

// sshSaid is the description of the rules that let people in, by which those that the file has no more are found.
const sshSaid = ours + "SSH"

// letsPeopleIn tells whether a node group has a security group for SSH, of which only reading it shows what it lets in.
func letsPeopleIn(s fleet.ClusterSpec) bool {
	return slices.ContainsFunc(s.NodeGroups, func(g fleet.NodeGroupSpec) bool { return g.Machine.SSH != nil })
}

// sshGroup adds the security group that lets people in: from the groups that the file names, else from the VPC for private
// nodes and from everywhere for public ones, as eksctl does.
func (m maker) sshGroup() []string {
	port := 22
	if isWindows(m.g) {
		port = 3389
	}
	from := fleet.Props{"ipProtocol": "tcp", "fromPort": port, "toPort": port}
	source := func(field, id string) any { return fleet.Props{field: id, "description": sshSaid} }
	var list []any
	who := strings.Join(m.g.Machine.SourceGroups, ", ")
	for _, id := range m.g.Machine.SourceGroups {
		list = append(list, source("groupId", id))
	}
	switch {
	case len(list) > 0:
		from["userIdGroupPairs"] = list
	case m.g.Private:
		who = m.vpcRange()
		from["ipRanges"] = []any{source("cidrIp", who)}
	default:
		who = "everybody"
		from["ipRanges"], from["ipv6Ranges"] = []any{source("cidrIp", anywhere)}, []any{source("cidrIpv6", anywhere6)}
	}
	id := "sg/ssh/" + m.g.Name
	needs := m.nodeGroupRules(id, "SSH to nodes of "+m.g.Name, from, map[string]string{"in": fmt.Sprintf("let %s in to nodes of %s on port %d", who, m.g.Name, port)})
	if extra := m.shutOut(m.o.first(id), from); len(extra) > 0 {
		m.put(resource{Ref: fleet.Ref{ID: id + "/out"}, id: id + "/out", area: "node groups", needs: needs, do: []plan.Call{
			m.call(plan.Delete, id+"/out", "ec2:RevokeSecurityGroupIngress", "shut others out of nodes of "+m.g.Name, fleet.Props{"groupId": m.id(id), "ipPermissions": extra}),
		}})
	}
	return needs
}

// shutOut are the rules of a group for SSH that are ours and not wanted any more.
func (m maker) shutOut(have *fleet.Resource, want fleet.Props) (extra []any) {
	if have == nil {
		return nil
	}
	for _, p := range fleet.Items(have.Props, "ipPermissions") {
		for field, key := range map[string]string{"userIdGroupPairs": "groupId", "ipRanges": "cidrIp", "ipv6Ranges": "cidrIpv6"} {
			var list []any
			for _, s := range fleet.Items(p, field) {
				wanted := fleet.Covers(p["fromPort"], want["fromPort"]) && slices.ContainsFunc(fleet.Items(want, field), func(w fleet.Props) bool { return w[key] == s[key] })
				if fleet.Text(s, "description") == sshSaid && !wanted {
					list = append(list, fleet.Props{key: s[key]})
				}
			}
			if len(list) > 0 {
				extra = append(extra, fleet.Props{"ipProtocol": p["ipProtocol"], "fromPort": p["fromPort"], "toPort": p["toPort"], field: list})
			}
		}
	}
	slices.SortFunc(extra, func(a, b any) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
	return extra
}

// vpcRange is the VPC's IPv4 range, as far as it is known.
func (b *builder) vpcRange() string {
	for _, id := range []string{idVPC, idGivenVPC} {
		if v := b.o.first(id); v != nil && fleet.Text(v.Props, "cidrBlock") != "" {
			return fleet.Text(v.Props, "cidrBlock")
		}
	}
	if b.s.Network.VPC == "" {
		return b.s.Network.CIDR
	}
	return plan.Unknown("vpc.cidr")
}

// efaGroup adds the security group in which machines with EFA talk to one another: both ways have to be said, since what
// lets everything out by addresses does not count.
func (m maker) efaGroup() []string {
	id := "sg/efa/" + m.g.Name
	self := fleet.Props{"ipProtocol": "-1", "userIdGroupPairs": []any{fleet.Props{"groupId": m.id(id)}}}
	return m.nodeGroupRules(id, "EFA between nodes of "+m.g.Name, self, map[string]string{
		"in": "let nodes of " + m.g.Name + " in to one another", "out": "let nodes of " + m.g.Name + " out to one another",
	})
}

// nodeGroupRules adds a security group with one permission, in either direction.
func (m maker) nodeGroupRules(id, description string, permission fleet.Props, does map[string]string) []string {
	m.add(thing{
		Ref: fleet.Ref{ID: id, Kind: "sg"}, area: "node groups", needs: m.inVPC(),
		create: func() plan.Call {
			tags := m.tags(id)
			c := m.call(plan.Create, id, "ec2:CreateSecurityGroup", "create security group "+id, fleet.Props{
				"groupName": cut(maxGroupName, tags["Name"]), "description": description, "vpcId": m.vpcID(), "tagSpecifications": specification("security-group", tags),
			})
			c.Unless = true
			return c
		},
		differ: m.tagsOnly(m.tags(id)),
	})
	needs, have := []string{id}, m.o.first(id)
	for _, way := range []struct{ name, api, field string }{
		{"in", "ec2:AuthorizeSecurityGroupIngress", "ipPermissions"}, {"out", "ec2:AuthorizeSecurityGroupEgress", "ipPermissionsEgress"},
	} {
		if does[way.name] == "" {
			continue
		}
		part := id + "/" + way.name
		done := have == nil && m.assumed("sg") || have != nil && slices.ContainsFunc(fleet.Items(have.Props, way.field), func(p fleet.Props) bool { return allowed(p, permission) })
		m.part(part, "node groups", done, []string{id}, func() plan.Call {
			return m.call(plan.Change, part, way.api, does[way.name], fleet.Props{"groupId": m.id(id), "ipPermissions": []any{permission}})
		})
		needs = append(needs, part)
	}
	return needs
}

const maxGroupName = 255

// allowed tells whether a permission has another one in it. EC2 puts all sources of a port into one.
func allowed(have, want fleet.Props) bool {
	for k, v := range want {
		list, ok := v.([]any)
		if !ok {
			if !fleet.Covers(have[k], v) {
				return false
			}
			continue
		}
		for _, w := range list {
			if !slices.ContainsFunc(fleet.Items(have, k), func(h fleet.Props) bool { return fleet.Covers(h, w) }) {
				return false
			}
		}
	}
	return true
}
