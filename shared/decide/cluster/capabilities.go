package cluster

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/plan"
)

// capabilities are what EKS runs for the cluster outside of it: ACK, Argo CD, kro.
func (b *builder) capabilities() error {
	for _, c := range b.s.Capabilities {
		if err := b.capability(c); err != nil {
			return fmt.Errorf("capability %s: %w", c.Name, err)
		}
	}
	return nil
}

func (b *builder) capability(c fleet.CapabilitySpec) error {
	id, arn := "capability/"+c.Name, c.RoleARN
	needs := []string{idCluster}
	if arn == "" {
		r, err := b.grantedRole(role{
			id: "role/capability/" + c.Name, name: RoleName(b.s, "capability-"+c.Name), tags: c.Tags,
			trust: trusts("capabilities.eks.amazonaws.com", "sts:AssumeRole", "sts:TagSession"),
		}, c.Grants)
		if err != nil {
			return err
		}
		needs = append(needs, b.role(r)...)
		arn = b.roleARN(r.id)
	}
	b.add(thing{
		Ref: fleet.Ref{ID: id, Kind: "capability", Name: c.Name}, area: "capabilities", needs: needs,
		create: func() plan.Call {
			return b.child(plan.Create, id, "eks:CreateCapability", fmt.Sprintf("create capability %s (%s)", c.Name, c.Type), fleet.Props{
				"capabilityName": c.Name, "type": c.Type, "roleArn": arn, "deletePropagationPolicy": c.DeletePolicy,
				"configuration": c.Configuration, "tags": owned(b.s, c.Tags),
			})
		},
		differ: func(have fleet.Resource) ([]plan.Call, []string) { return b.capabilityDiffers(c, arn, have) },
		remake: func(fleet.Resource) plan.Call {
			return b.child(plan.Delete, id, "eks:DeleteCapability", "delete capability "+c.Name+", which failed", fleet.Props{"capabilityName": c.Name})
		},
	})
	if len(c.Access) > 0 && !plan.IsUnknown(arn) {
		// EKS lets the capability's role in by itself, with a policy of its own; what it may do besides is ours to say.
		b.entryPolicies(fleet.AccessSpec{Principal: arn, Policies: c.Access}, id, false)
	}
	return nil
}

// capabilityDiffers compares a capability with its spec.
func (b *builder) capabilityDiffers(c fleet.CapabilitySpec, arn string, have fleet.Resource) (change []plan.Call, notes []string) {
	what, id := "capability "+c.Name, "capability/"+c.Name
	if kind := fleet.Text(have.Props, "type"); kind != c.Type {
		notes = append(notes, cannot(what, "type", "EKS does not change it from "+kind, "give it another name"))
	}
	in := fleet.Props{}
	if !plan.IsUnknown(arn) && fleet.Text(have.Props, "roleArn") != arn {
		in["roleArn"] = arn
	}
	if c.DeletePolicy != "" && fleet.Text(have.Props, "deletePropagationPolicy") != c.DeletePolicy {
		in["deletePropagationPolicy"] = c.DeletePolicy
	}
	argo, why := argoDiffers(fleet.Drop(c.Configuration), have.Props)
	if why != "" {
		notes = append(notes, cannot(what, why, "EKS does not change it", "take it out of the file, apply with --prune, and put it in again"))
	}
	if len(argo) > 0 {
		in["configuration"] = fleet.Props{"argoCd": argo}
	}
	if len(in) == 0 {
		return b.retag(have, owned(b.s, c.Tags)), notes
	}
	in["capabilityName"] = c.Name
	return []plan.Call{b.child(plan.Change, id, "eks:UpdateCapability", "change "+what, in)}, notes
}

// argoDiffers compares Argo CD's configuration: who may come in and from where can be changed, the rest not.
func argoDiffers(want, have fleet.Props) (change fleet.Props, fixed string) {
	w, ok := want["argoCd"].(fleet.Props)
	if !ok {
		return nil, ""
	}
	h, _ := fleet.At(have, "configuration", "argoCd").(fleet.Props)
	change = fleet.Props{}
	for _, field := range []string{"awsIdc", "namespace", "endpointPrefix"} {
		if v := w[field]; v != nil && !fleet.Covers(h[field], v) {
			fixed = "configuration.argoCd." + field
		}
	}
	if v := w["networkAccess"]; v != nil && !fleet.Covers(h["networkAccess"], v) {
		change["networkAccess"] = v
	}
	mappings := fleet.Props{}
	wanted, known := fleet.Items(w, "rbacRoleMappings"), fleet.Items(h, "rbacRoleMappings")
	if put := itemsWithout(wanted, known); len(put) > 0 {
		mappings["addOrUpdateRoleMappings"] = put
	}
	if gone := slices.DeleteFunc(itemsWithout(known, wanted), func(m any) bool {
		return slices.ContainsFunc(wanted, func(w fleet.Props) bool { return w["role"] == m.(fleet.Props)["role"] })
	}); len(gone) > 0 && len(wanted) > 0 {
		mappings["removeRoleMappings"] = gone
	}
	if len(mappings) > 0 {
		change["rbacRoleMappings"] = mappings
	}
	return change, strings.TrimSpace(fixed)
}

// itemsWithout are the items of a list that the other does not have.
func itemsWithout(list, other []fleet.Props) (out []any) {
	for _, item := range list {
		if !slices.ContainsFunc(other, func(o fleet.Props) bool { return fleet.Covers(o, item) }) {
			out = append(out, item)
		}
	}
	return out
}
