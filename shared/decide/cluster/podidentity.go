package cluster

import (
	"fmt"
	"slices"

	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/plan"
)

// agent is the add-on that hands roles' credentials to pods. Nodes of EKS Auto Mode have it built in.
const agent = "eks-pod-identity-agent"

// agentThere tells whether pods can get credentials by pod identity.
func (b *builder) agentThere() bool {
	return b.s.Auto != nil || slices.ContainsFunc(b.s.Addons, func(a fleet.AddonSpec) bool { return a.Name == agent })
}

func noAgent(what string) error {
	return fmt.Errorf("%s needs the agent that hands out credentials on nodes: add the add-on %s to addons", what, agent)
}

// trustsPods lets EKS hand a role's credentials to the pods of an association.
func trustsPods() fleet.Props {
	return trusts("pods.eks.amazonaws.com", "sts:AssumeRole", "sts:TagSession")
}

// podIdentities are the associations of the file. Those of add-ons belong to their add-ons.
func (b *builder) podIdentities() error {
	if len(b.s.IAM.PodIdentities) > 0 && !b.agentThere() {
		return noAgent("iam.podIdentityAssociations")
	}
	for _, p := range b.s.IAM.PodIdentities {
		if err := b.podIdentity(p); err != nil {
			return err
		}
	}
	return nil
}

func (b *builder) podIdentity(p fleet.PodIdentitySpec) error {
	name := p.Namespace + "/" + p.ServiceAccount
	id, arn, needs := "podidentity/"+name, p.RoleARN, []string{idCluster}
	if arn == "" {
		made, err := b.podRole("role/podidentity/"+name, "pod-"+p.Namespace+"_"+p.ServiceAccount, p)
		if err != nil {
			return fmt.Errorf("iam.podIdentityAssociations: %s: %w", name, err)
		}
		needs = append(needs, made...)
		arn = b.roleARN(made[0])
	}
	if p.CreateServiceAccount {
		b.podAccount(p.Namespace, p.ServiceAccount, nil, nil, nil)
	}
	want := fleet.Drop(fleet.Props{"roleArn": arn, "targetRoleArn": p.TargetRoleARN, "policy": p.SessionPolicy})
	if p.NoSessionTags != nil {
		want["disableSessionTags"] = *p.NoSessionTags
	}
	r := b.add(thing{
		Ref: fleet.Ref{ID: id, Kind: "podidentity", Name: name}, area: "roles for pods", needs: needs,
		create: func() plan.Call {
			in := fleet.Props{"namespace": p.Namespace, "serviceAccount": p.ServiceAccount, "tags": owned(b.s, p.Tags)}
			for k, v := range want {
				in[k] = v
			}
			return b.child(plan.Create, id, "eks:CreatePodIdentityAssociation", fmt.Sprintf("give service account %s its role", name), in)
		},
		differ: func(have fleet.Resource) ([]plan.Call, []string) {
			return b.podIdentityDiffers(id, want, owned(b.s, p.Tags), have)
		},
	})
	if have := b.o.first(id); have != nil && fleet.Text(have.Props, "ownerArn") != "" {
		r.state, r.do = failed, nil
		r.detail = fmt.Sprintf("service account %s has its role from %s: set that role in the add-on's podIdentityAssociations", name, fleet.Text(have.Props, "ownerArn"))
	}
	return nil
}

// podIdentityDiffers compares an association with its spec. What the file leaves out stays as it is.
func (b *builder) podIdentityDiffers(id string, want fleet.Props, tags map[string]string, have fleet.Resource) (change []plan.Call, notes []string) {
	in := fleet.Props{"associationId": have.Physical}
	for k, v := range want {
		old := have.Props[k]
		if text, ok := v.(string); ok && k == "policy" && sameDocument(fleet.Text(have.Props, k), text) || old == nil && v == false || fleet.Covers(old, v) {
			continue
		}
		in[k] = v
	}
	if len(in) == 1 {
		return b.retag(have, tags), nil
	}
	return []plan.Call{b.child(plan.Change, id, "eks:UpdatePodIdentityAssociation", "change "+id, in)}, nil
}

// podRole adds the role of an association, and returns what others need of it, the role first.
func (b *builder) podRole(id, part string, p fleet.PodIdentitySpec) ([]string, error) {
	r, err := b.grantedRole(role{id: id, name: nameOr(p.RoleName, RoleName(b.s, part)), trust: trustsPods(), tags: p.Tags}, p.Grants)
	if err != nil {
		return nil, err
	}
	if p.TargetRoleARN != "" { // EKS goes from this role on to the other one
		r.inline["targetRole"] = allows(fleet.Props{"Effect": "Allow", "Action": []any{"sts:AssumeRole", "sts:TagSession"}, "Resource": []any{p.TargetRoleARN}})
	}
	return b.role(r), nil
}
