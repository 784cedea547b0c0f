package cluster

import (
	"cmp"
	"slices"
	"strings"

	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/plan"
)

// InterruptionGroup is the Kubernetes group of the function that drains nodes.
const InterruptionGroup = "ekspedite:interruption"

// IDAccess is the resource of what the interruption function may do within the cluster.
const IDAccess = "kubernetes/clusterrole/ekspedite-interruption"

// interruptionRules are all that draining nodes takes in a cluster, and nothing else: read and patch nodes, read, evict and
// delete pods, read budgets, see which volumes are still attached and whose they are, and leave events for people.
func interruptionRules() []any {
	rule := func(group, resource string, verbs ...string) any {
		return fleet.Props{"apiGroups": []any{group}, "resources": []any{resource}, "verbs": fleet.Strings(verbs)}
	}
	return []any{
		rule("", "nodes", "get", "list", "patch"),
		rule("", "pods", "get", "list", "delete"),
		rule("", "pods/eviction", "create"),
		rule("", "events", "create"),
		rule("policy", "poddisruptionbudgets", "list"),
		rule("", "persistentvolumeclaims", "get"),
		rule("storage.k8s.io", "volumeattachments", "list"),
	}
}

// object is something in Kubernetes that is applied as a whole: what others have changed in it is put right.
func (b *builder) object(area string, o fleet.Props, needs ...string) *resource {
	ref := refOf(o)
	apply := func(does string, e plan.Effect) plan.Call {
		return plan.Call{Of: plan.Of{Cluster: b.s.Name, ID: ref.ID}, Effect: e, API: "kubernetes:Apply", Input: o,
			Does: does + " " + strings.ToLower(fleet.Text(o, "kind")) + " " + fleet.Text(o, "metadata", "name")}
	}
	return b.add(thing{
		Ref: ref, area: area, inside: true, needs: append([]string{idCluster}, needs...),
		create: func() plan.Call { return apply("install", plan.Create) },
		differ: func(have fleet.Resource) ([]plan.Call, []string) {
			if fleet.Covers(have.Props, o) {
				return nil, nil
			}
			return []plan.Call{apply("put right", plan.Change)}, nil
		},
	})
}

// refOf is an object's name in the graph, and for who reads it.
func refOf(o fleet.Props) fleet.Ref {
	kind, name, namespace := fleet.Text(o, "kind"), fleet.Text(o, "metadata", "name"), fleet.Text(o, "metadata", "namespace")
	id := "kubernetes/" + strings.ToLower(kind) + "/" + name
	if namespace != "" {
		id = "kubernetes/" + strings.ToLower(kind) + "/" + namespace + "/" + name
	}
	return fleet.Ref{ID: id, Kind: "kubernetes", Name: strings.Join([]string{fleet.Text(o, "apiVersion"), kind, namespace, name}, "|")}
}

// clusterAdmin is the access policy that allows everything.
const clusterAdmin = "AmazonEKSClusterAdminPolicy"

// Entries are the access entries that the cluster shall have: the spec's, the interruption and the upgrade function's, the scaling
// function's where the policy asks for it, and our own where the cluster's creator is not let in by itself.
func Entries(s fleet.ClusterSpec, opt Options) (out []fleet.AccessSpec) {
	with := func(want fleet.AccessSpec) {
		if want.Principal == "" {
			return
		}
		for i, a := range out {
			if a.Principal == want.Principal {
				out[i].Groups = append(slices.Clone(a.Groups), want.Groups...)
				out[i].Policies = append(slices.Clone(a.Policies), want.Policies...)
				return
			}
		}
		out = append(out, want)
	}
	with(fleet.AccessSpec{Principal: opt.InterruptionRole, Groups: []string{InterruptionGroup}})
	with(fleet.AccessSpec{Principal: opt.UpgradeRole, Groups: []string{UpgradeGroup}})
	if opt.Scaling.On() {
		with(fleet.AccessSpec{Principal: opt.Scaling.Role, Groups: []string{ScalingGroup}})
	}
	if s.NoCreatorAdmin {
		policy := "arn:" + partition(opt) + ":eks::aws:cluster-access-policy/" + clusterAdmin
		with(fleet.AccessSpec{Principal: opt.ClusterRole, Policies: []fleet.AccessPolicy{{ARN: policy}}})
	}
	for _, a := range s.Access {
		with(a)
	}
	return out
}

// access is who may come in, and what the interruption function may do there.
func (b *builder) access() {
	for _, want := range Entries(b.s, b.opt) {
		b.entry(want)
	}
	meta := func() fleet.Props {
		return fleet.Props{"name": "ekspedite-interruption", "labels": fleet.Props{"app.kubernetes.io/managed-by": "ekspedite"}}
	}
	const group = "rbac.authorization.k8s.io"
	b.object("access", fleet.Props{"apiVersion": group + "/v1", "kind": "ClusterRole", "metadata": meta(), "rules": interruptionRules()})
	b.object("access", fleet.Props{
		"apiVersion": group + "/v1", "kind": "ClusterRoleBinding", "metadata": meta(),
		"roleRef":  fleet.Props{"apiGroup": group, "kind": "ClusterRole", "name": "ekspedite-interruption"},
		"subjects": []any{fleet.Props{"apiGroup": group, "kind": "Group", "name": InterruptionGroup}},
	})
}

// entry adds one access entry, with its policies.
func (b *builder) entry(want fleet.AccessSpec) {
	id := "access/" + want.Principal
	short := want.Principal[strings.LastIndexByte(want.Principal, ':')+1:]
	kind := cmp.Or(want.Type, "STANDARD")
	does := "let " + short + " in"
	if len(want.Groups) > 0 {
		does += " as " + strings.Join(want.Groups, ", ")
	}
	b.add(thing{
		Ref: fleet.Ref{ID: id, Kind: "access", Name: want.Principal}, area: "access", needs: []string{idCluster},
		create: func() plan.Call {
			return b.child(plan.Create, id, "eks:CreateAccessEntry", does, fleet.Props{
				"principalArn": want.Principal, "type": kind, "username": want.Username, "kubernetesGroups": want.Groups, "tags": owned(b.s),
			})
		},
		differ: func(have fleet.Resource) ([]plan.Call, []string) { return b.entryDiffers(want, have) },
	})
	// The interruption, the upgrade and the scaling function have groups and no policies: no call is spent on looking.
	if len(want.Policies) > 0 || slices.ContainsFunc(b.s.Access, func(a fleet.AccessSpec) bool { return a.Principal == want.Principal }) {
		b.entryPolicies(want, id, true)
	}
}

// entryDiffers compares an access entry with its spec.
func (b *builder) entryDiffers(want fleet.AccessSpec, have fleet.Resource) (change []plan.Call, notes []string) {
	id, what := "access/"+want.Principal, "access entry of "+want.Principal
	if kind := fleet.Text(have.Props, "type"); kind != "" && kind != cmp.Or(want.Type, "STANDARD") {
		notes = append(notes, cannot(what, "type", "EKS does not change it", "take the entry out of the file, apply with --prune, and put it in again"))
	}
	if cmp.Or(want.Type, "STANDARD") != "STANDARD" {
		return b.retag(have, owned(b.s)), notes // EKS gives nodes their groups, and may have made the entry itself
	}
	if sameSet(fleet.Texts(have.Props, "kubernetesGroups"), want.Groups) && (want.Username == "" || want.Username == fleet.Text(have.Props, "username")) {
		return b.retag(have, owned(b.s)), notes
	}
	c := b.child(plan.Change, id, "eks:UpdateAccessEntry", "change the groups of "+want.Principal, fleet.Props{
		"principalArn": want.Principal, "username": want.Username,
	})
	c.Input["kubernetesGroups"] = fleet.Strings(want.Groups) // an empty list has to be said: left out it means "as it is"
	return []plan.Call{c}, notes
}

// entryPolicies are the access policies of an entry, with their scopes. all: it has no others.
func (b *builder) entryPolicies(want fleet.AccessSpec, entry string, all bool) {
	id := "accesspolicies/" + want.Principal
	ref := fleet.Ref{ID: id, Kind: "accesspolicies", Name: want.Principal}
	associate := func(p fleet.AccessPolicy) plan.Call {
		return b.call(plan.Change, id, "eks:AssociateAccessPolicy", "give "+last(p.ARN)+" to "+last(want.Principal), fleet.Props{
			"clusterName": b.s.Name, "principalArn": want.Principal, "policyArn": p.ARN, "accessScope": scope(p),
		})
	}
	if b.o.first(id) == nil && len(want.Policies) == 0 && !b.naming {
		return // nothing is there, and nothing is wanted
	}
	b.add(thing{
		Ref: ref, area: "access", needs: []string{entry},
		create: func() plan.Call {
			if len(want.Policies) == 0 {
				return plan.Call{} // only its name is asked for
			}
			return associate(want.Policies[0])
		},
		differ: func(have fleet.Resource) (change []plan.Call, _ []string) {
			wanted := map[string]bool{}
			for _, p := range want.Policies {
				wanted[p.ARN] = true
				if !slices.ContainsFunc(fleet.Items(have.Props, "associatedAccessPolicies"), func(a fleet.Props) bool {
					return fleet.Text(a, "policyArn") == p.ARN && fleet.Text(a, "accessScope", "type") == fleet.Text(scope(p), "type") &&
						sameSet(fleet.Texts(a, "accessScope", "namespaces"), p.Namespaces)
				}) {
					change = append(change, associate(p))
				}
			}
			for _, a := range fleet.Items(have.Props, "associatedAccessPolicies") {
				if arn := fleet.Text(a, "policyArn"); all && !wanted[arn] {
					change = append(change, b.call(plan.Change, id, "eks:DisassociateAccessPolicy", "take "+last(arn)+" from "+last(want.Principal), fleet.Props{
						"clusterName": b.s.Name, "principalArn": want.Principal, "policyArn": arn,
					}))
				}
			}
			return change, nil
		},
	})
}

// scope is where an access policy holds, in EKS's words.
func scope(p fleet.AccessPolicy) fleet.Props {
	if len(p.Namespaces) == 0 {
		return fleet.Props{"type": "cluster"}
	}
	return fleet.Props{"type": "namespace", "namespaces": fleet.Strings(p.Namespaces)}
}

// last is the last part of an ARN or a path.
func last(s string) string { return s[strings.LastIndexByte(s, '/')+1:] }

// identityProviders let the users of an OIDC provider in.
func (b *builder) identityProviders() {
	for _, p := range b.s.Identity {
		id := "identity/" + p.Name
		b.add(thing{
			Ref: fleet.Ref{ID: id, Kind: "identity", Name: p.Name}, area: "access", needs: []string{idCluster},
			create: func() plan.Call {
				return b.child(plan.Create, id, "eks:AssociateIdentityProviderConfig", "let the users of "+fleet.Text(p.Config, "issuerUrl")+" in", fleet.Props{
					"oidc": p.Config, "tags": owned(b.s, p.Tags),
				})
			},
			differ: func(have fleet.Resource) ([]plan.Call, []string) {
				if fleet.Covers(have.Props, fleet.Drop(p.Config)) {
					return b.retag(have, owned(b.s, p.Tags)), nil
				}
				return nil, []string{cannot("identity provider "+p.Name, "its configuration", "EKS does not change it", "take it out of the file, apply with --prune, and put it in again")}
			},
		})
	}
}
