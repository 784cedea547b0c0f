package cluster

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/plan"
)

const (
	idOIDC = "oidc"
	// audience is whom the tokens of service accounts are for, when they are shown to AWS.
	audience = "sts.amazonaws.com"
	// roleAnnotation makes EKS give a service account's pods a role's credentials.
	roleAnnotation = "eks.amazonaws.com/role-arn"
)

// kubernetesOwn are the namespaces of every cluster.
var kubernetesOwn = []string{"default", "kube-system", "kube-public", "kube-node-lease"}

// issuer is who signs the tokens of the cluster's service accounts, without https://.
func (b *builder) issuer() string {
	if c := b.o.Control(); c != nil {
		if url := fleet.Text(c.Props, "identity", "oidc", "issuer"); url != "" {
			return strings.TrimPrefix(url, "https://")
		}
	}
	return plan.Unknown(idCluster + ".issuer")
}

// oidc lets the account's roles trust the cluster's issuer. IAM checks its certificate against well-known authorities, and
// wants no thumbprint.
func (b *builder) oidc() {
	if !b.s.IAM.OIDC {
		return
	}
	b.add(thing{
		Ref: fleet.Ref{ID: idOIDC, Kind: "oidc", Name: b.s.Name}, area: "roles for pods", needs: []string{idCluster},
		create: func() plan.Call {
			return b.call(plan.Create, idOIDC, "iam:CreateOpenIDConnectProvider", "let roles trust the cluster's service accounts (OIDC provider)", fleet.Props{
				"url": "https://" + b.issuer(), "clientIDList": []any{audience}, "tags": tagList(owned(b.s)),
			})
		},
		differ: func(have fleet.Resource) ([]plan.Call, []string) {
			if slices.Contains(fleet.Texts(have.Props, "clientIDList"), audience) {
				return nil, nil
			}
			return []plan.Call{b.call(plan.Change, idOIDC, "iam:AddClientIDToOpenIDConnectProvider", "let the OIDC provider's tokens be for "+audience, fleet.Props{
				"openIDConnectProviderArn": have.ARN, "clientID": audience,
			})}, nil
		},
	})
}

// trustsAccount lets one service account's pods assume a role; with a pattern, those of all that it matches.
func (b *builder) trustsAccount(namespace, name, pattern string) fleet.Props {
	issuer := b.issuer()
	provider := "arn:" + partition(b.opt) + ":iam::" + b.account() + ":oidc-provider/" + issuer
	if have := b.o.first(idOIDC); have != nil && have.ARN != "" {
		provider = have.ARN
	}
	equals := fleet.Props{issuer + ":aud": audience}
	when := fleet.Props{"StringEquals": equals}
	if pattern != "" {
		when["StringLike"] = fleet.Props{issuer + ":sub": pattern}
	} else {
		equals[issuer+":sub"] = "system:serviceaccount:" + namespace + ":" + name
	}
	return allows(fleet.Props{
		"Effect": "Allow", "Principal": fleet.Props{"Federated": provider}, "Action": []any{"sts:AssumeRoleWithWebIdentity"}, "Condition": when,
	})
}

// serviceAccounts are the roles that the file gives to service accounts through the OIDC provider, and those accounts.
func (b *builder) serviceAccounts() error {
	for _, a := range b.s.IAM.ServiceAccounts {
		what := a.Namespace + "/" + a.Name
		arn, needs := a.RoleARN, []string(nil)
		if arn == "" {
			if !b.s.IAM.OIDC {
				return fmt.Errorf("iam.serviceAccounts: the role of %s needs the cluster's OIDC provider: set iam.withOIDC: true, or use iam.podIdentityAssociations", what)
			}
			id := "role/serviceaccount/" + what
			r, err := b.grantedRole(role{
				id: id, name: nameOr(a.RoleName, RoleName(b.s, "sa-"+a.Namespace+"_"+a.Name)), tags: a.Tags,
				trust: b.trustsAccount(a.Namespace, a.Name, a.SubjectPattern), watched: true,
			}, a.Grants)
			if err != nil {
				return fmt.Errorf("iam.serviceAccounts: %s: %w", what, err)
			}
			needs = b.role(r, idOIDC)
			arn = b.roleARN(id)
		}
		if !a.RoleOnly {
			notes := maps.Clone(a.Annotations)
			if notes == nil {
				notes = map[string]string{}
			}
			notes[roleAnnotation] = arn
			b.podAccount(a.Namespace, a.Name, a.Labels, notes, needs)
		}
	}
	return nil
}

// podAccount adds a service account, and its namespace unless that is one of Kubernetes' own.
func (b *builder) podAccount(namespace, name string, labels, annotations map[string]string, needs []string) {
	if !slices.Contains(kubernetesOwn, namespace) {
		id := "kubernetes/namespace/" + namespace
		if _, there := b.at[id]; !there {
			b.object("roles for pods", fleet.Props{"apiVersion": "v1", "kind": "Namespace", "metadata": fleet.Props{"name": namespace}})
		}
		needs = append(slices.Clone(needs), id)
	}
	if _, there := b.at["kubernetes/serviceaccount/"+namespace+"/"+name]; there {
		return // with the role of iam.serviceAccounts
	}
	b.object("roles for pods", fleet.Props{"apiVersion": "v1", "kind": "ServiceAccount", "metadata": fleet.Drop(fleet.Props{
		"name": name, "namespace": namespace, "labels": props(labels), "annotations": props(annotations),
	})}, needs...)
}

// props are labels as an object has them.
func props(m map[string]string) fleet.Props {
	out := fleet.Props{}
	for k, v := range m {
		out[k] = v
	}
	return out
}

func nameOr(given, ours string) string {
	if given != "" {
		return given
	}
	return ours
}
