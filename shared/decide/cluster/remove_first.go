package cluster

import (
	"cmp"
	"maps"
	"slices"

	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/plan"
)

// Some things have to let go of others before they can go themselves.

// emptyProfile takes the roles out of an instance profile.
func (b *builder) emptyProfile(have fleet.Resource) (calls []plan.Call) {
	for _, r := range fleet.Items(have.Props, "roles") {
		name := fleet.Text(r, "roleName")
		calls = append(calls, b.call(plan.Delete, have.ID+"/"+name, "iam:RemoveRoleFromInstanceProfile", "take role "+name+" out of instance profile "+have.Physical,
			fleet.Props{"instanceProfileName": have.Physical, "roleName": name}))
	}
	return calls
}

// bareRole takes all policies from a role.
func (b *builder) bareRole(have fleet.Resource) (calls []plan.Call) {
	with := func(id, api, does string, in fleet.Props) {
		in["roleName"] = have.Physical
		c := b.call(plan.Delete, have.ID+"/"+id, api, does+" role "+have.Physical, in)
		c.Queue = have.ID
		calls = append(calls, c)
	}
	for _, arn := range fleet.Texts(have.Props, "attachedPolicies") {
		with(last(arn), "iam:DetachRolePolicy", "detach "+last(arn)+" from", fleet.Props{"policyArn": arn})
	}
	inline, _ := have.Props["inlinePolicies"].(fleet.Props)
	for _, name := range slices.Sorted(maps.Keys(inline)) {
		with("inline/"+name, "iam:DeleteRolePolicy", "delete policy "+name+" from", fleet.Props{"policyName": name})
	}
	return calls
}

// detached takes an internet gateway off its VPC.
func (b *builder) detached(have fleet.Resource) (calls []plan.Call) {
	for _, a := range fleet.Items(have.Props, "attachments") {
		vpc := fleet.Text(a, "vpcId")
		calls = append(calls, b.call(plan.Delete, have.ID+"/"+vpc, "ec2:DetachInternetGateway", "detach internet gateway "+have.Physical+" from "+vpc,
			fleet.Props{"internetGatewayId": have.Physical, "vpcId": vpc}))
	}
	return calls
}

// entangled revokes the rules by which security groups that go refer to one another: none of them could go before.
func (b *builder) entangled(going []fleet.Resource, needs []string) (ids []string) {
	groups := map[string]bool{}
	for _, have := range going {
		if have.Kind == "sg" || have.Kind == "kubesg" {
			groups[have.Physical] = true
		}
	}
	for _, have := range going {
		if !groups[have.Physical] {
			continue
		}
		for _, side := range []struct{ field, api string }{{"ipPermissions", "ec2:RevokeSecurityGroupIngress"}, {"ipPermissionsEgress", "ec2:RevokeSecurityGroupEgress"}} {
			rules := toOthers(have, side.field, groups)
			if len(rules) == 0 {
				continue
			}
			id := cmp.Or(have.ID, have.Kind+"/"+have.Physical) + "/" + side.field
			ids = append(ids, id)
			b.put(resource{Ref: fleet.Ref{ID: id, Kind: have.Kind}, id: id, area: "network", needs: needs, do: []plan.Call{
				b.call(plan.Delete, id, side.api, "revoke the rules of security group "+have.Physical+" that refer to other ones", fleet.Props{"groupId": have.Physical, "ipPermissions": rules}),
			}})
		}
	}
	return ids
}

// toOthers are the rules of a group that refer to other groups that go.
func toOthers(have fleet.Resource, field string, groups map[string]bool) (rules []any) {
	for _, p := range fleet.Items(have.Props, field) {
		var pairs []any
		for _, pair := range fleet.Items(p, "userIdGroupPairs") {
			if id := fleet.Text(pair, "groupId"); groups[id] && id != have.Physical {
				pairs = append(pairs, fleet.Props{"groupId": id})
			}
		}
		if len(pairs) > 0 {
			rule := fleet.Props{"userIdGroupPairs": pairs}
			for _, k := range []string{"ipProtocol", "fromPort", "toPort"} {
				if v, ok := p[k]; ok {
					rule[k] = v
				}
			}
			rules = append(rules, rule)
		}
	}
	return rules
}
