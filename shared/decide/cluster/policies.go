package cluster

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"sort"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

const policyVersion = "2012-10-17"

// trusts lets a service assume a role.
func trusts(service string, actions ...string) fleet.Props {
	return trustsWhen(service, nil, actions...)
}

// trustsWhen lets a service assume a role under a condition.
func trustsWhen(service string, when fleet.Props, actions ...string) fleet.Props {
	return allows(fleet.Drop(fleet.Props{
		"Effect": "Allow", "Principal": fleet.Props{"Service": service}, "Action": fleet.Strings(actions), "Condition": when,
	}))
}

// allows is a policy document of these statements.
func allows(statements ...any) fleet.Props {
	return fleet.Props{"Version": policyVersion, "Statement": statements}
}

// document is a policy document as IAM takes it.
func document(p fleet.Props) string {
	text, err := json.Marshal(p)
	if err != nil {
		panic(err) // Props are made of what JSON has
	}
	return string(text)
}

// sameDocument compares policy documents as IAM understands them: a single value is a list of one, and lists are sets.
func sameDocument(a, b string) bool {
	var x, y any
	if json.Unmarshal([]byte(a), &x) != nil || json.Unmarshal([]byte(b), &y) != nil {
		return false
	}
	return reflect.DeepEqual(canonical(x), canonical(y))
}

// sameJSON compares values, not their texts.
func sameJSON(a, b string) bool {
	var x, y any
	return json.Unmarshal([]byte(a), &x) == nil && json.Unmarshal([]byte(b), &y) == nil && reflect.DeepEqual(x, y)
}

func canonical(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for k, item := range v {
			out[k] = canonical(item)
		}
		return out
	case []any:
		out := make([]any, 0, len(v))
		for _, item := range v {
			out = append(out, canonical(item))
		}
		if len(out) == 1 {
			return out[0]
		}
		sort.Slice(out, func(i, j int) bool { return fmt.Sprint(out[i]) < fmt.Sprint(out[j]) })
		return out
	}
	return v
}

// filePolicy is the name of the policy that the file has written out.
const filePolicy = "file"

// policiesOf are the policies of what the file grants: ARNs of managed ones, and inline ones by name. Node groups' add-ons
// (iam.withAddonPolicies) are well-known ones, too.
func (b *builder) policiesOf(g fleet.Grants) (arns []string, inline map[string]fleet.Props, err error) {
	arns, inline = slices.Clone(g.PolicyARNs), map[string]fleet.Props{}
	if g.Inline != "" {
		var p fleet.Props
		if err := json.Unmarshal([]byte(g.Inline), &p); err != nil {
			return nil, nil, fmt.Errorf("the policy in the file is not JSON: %w", err)
		}
		inline[filePolicy] = p
	}
	for _, name := range g.WellKnown {
		k, ok := wellKnown[name]
		if k.is != "" {
			name = k.is
			k = wellKnown[name]
		}
		if !ok {
			return nil, nil, fmt.Errorf("nobody knows what %q allows: write its policy into the file (attachPolicy)", name)
		}
		for _, arn := range b.awsPolicies(k.managed...) {
			if !slices.Contains(arns, arn) {
				arns = append(arns, arn)
			}
		}
		if k.allows != nil {
			inline[name] = b.policy(name)
		}
	}
	return arns, inline, nil
}

// nodePoliciesOf are the policies of the role of a node group that has its own. As with eksctl, policies that the file
// attaches take the place of those that every node gets, so that they have to be complete.
func (b *builder) nodePoliciesOf(n fleet.NodeIAM) (arns []string, inline map[string]fleet.Props, err error) {
	g := n.Grants
	g.WellKnown = slices.Concat(g.WellKnown, n.Addons)
	if arns, inline, err = b.policiesOf(g); err != nil {
		return nil, nil, err
	}
	if len(n.PolicyARNs) == 0 {
		arns = append(b.awsPolicies(nodePolicies...), arns...)
	}
	if b.s.Network.IPv6 {
		inline[cniIPv6] = b.policy(cniIPv6)
	}
	return arns, inline, nil
}

// grantedRole is a role with what the file grants.
func (b *builder) grantedRole(r role, g fleet.Grants) (role, error) {
	var err error
	r.policies, r.inline, err = b.policiesOf(g)
	r.boundary, r.granted = g.Boundary, true
	return r, err
}

// policy is the document of a well-known policy.
func (b *builder) policy(name string) fleet.Props {
	var list []any
	for _, s := range wellKnown[name].allows(b) {
		on := s.on
		if len(on) == 0 {
			on = []string{"*"}
		}
		list = append(list, fleet.Drop(fleet.Props{"Effect": "Allow", "Action": fleet.Strings(s.actions), "Resource": fleet.Strings(on), "Condition": s.when}))
	}
	return allows(list...)
}
