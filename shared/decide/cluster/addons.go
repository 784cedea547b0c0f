package cluster

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/plan"
)

// beforeCompute are the add-ons that nodes need to become ready, or their first pods to get credentials. All others wait for
// something to run on: an add-on that finds no nodes is DEGRADED, and would be waited for in vain.
var beforeCompute = []string{"vpc-cni", "kube-proxy", agent}

// fromTheStart are the add-ons of which EKS puts unmanaged copies into clusters that are made without bootstrapSelfManagedAddons:
// false. Making them has to take those over.
var fromTheStart = []string{"vpc-cni", "kube-proxy", "coredns"}

// pods adds what is for the cluster's pods: before there are nodes, the OIDC provider, the add-ons that nodes need, and
// roles; afterwards the other add-ons.
func (b *builder) pods(before bool) error {
	if !before {
		return b.addons(before)
	}
	b.oidc()
	if err := b.addons(before); err != nil {
		return err
	}
	if err := b.serviceAccounts(); err != nil {
		return err
	}
	return b.podIdentities()
}

// beforeNodes are the add-ons that node groups need.
func (b *builder) beforeNodes() (ids []string) {
	for _, a := range b.s.Addons {
		if slices.Contains(beforeCompute, a.Name) {
			ids = append(ids, "addon/"+a.Name)
		}
	}
	return ids
}

// addons adds the add-ons that are to be there before the nodes, or those that come after.
func (b *builder) addons(before bool) error {
	for _, a := range b.s.Addons {
		if slices.Contains(beforeCompute, a.Name) != before {
			continue
		}
		var needs []string
		if !before {
			needs = b.compute()
		}
		if err := b.addon(a, needs); err != nil {
			return fmt.Errorf("addons: %s: %w", a.Name, err)
		}
	}
	return nil
}

// isCompute tells whether a resource runs pods.
func isCompute(r resource) bool {
	return r.Kind == "nodegroup" || r.Kind == "fargate" || r.Kind == "asg"
}

// compute is what the pods of add-ons can run on: one node group or Fargate profile that is there, or the first that will
// be. EKS Auto Mode brings nodes when there are pods.
func (b *builder) compute() []string {
	if b.s.Auto != nil && len(b.s.Auto.NodePools) > 0 {
		return nil
	}
	var first []string
	for _, r := range b.list {
		switch {
		case !isCompute(r) || r.state == failed:
		case r.state.serves():
			return []string{r.id}
		case first == nil:
			first = []string{r.id}
		}
	}
	return first
}

// addon adds one add-on with the roles of its service accounts.
func (b *builder) addon(a fleet.AddonSpec, needs []string) error {
	id := "addon/" + a.Name
	can, err := b.permissions(a)
	if err != nil {
		return err
	}
	want := fleet.Drop(fleet.Props{"configurationValues": b.configuration(a), "serviceAccountRoleArn": can.roleARN, "podIdentityAssociations": can.identities})
	version, problem := b.addonVersion(a)
	r := b.add(thing{
		Ref:   fleet.Ref{ID: id, Kind: "addon", Name: a.Name, Glance: plainAddon(a) && len(want) == 0, Whole: len(can.identities) > 0},
		area:  "add-ons",
		needs: slices.Concat([]string{idCluster}, needs, can.needs),
		create: func() plan.Call {
			resolve := a.Resolve
			if resolve == "" && slices.Contains(fromTheStart, a.Name) {
				resolve = "OVERWRITE"
			}
			return b.addonCall(plan.Create, a, "eks:CreateAddon", fmt.Sprintf("create add-on %s (%s)", a.Name, cmp.Or(version, "EKS's default version")), want, fleet.Props{
				"addonVersion": version, "resolveConflicts": resolve, "namespaceConfig": fleet.Props{"namespace": a.Namespace}, "tags": owned(b.s, a.Tags),
			})
		},
		differ: func(have fleet.Resource) ([]plan.Call, []string) { return b.addonDiffers(a, want, have) },
		remake: func(fleet.Resource) plan.Call {
			return b.child(plan.Delete, id, "eks:DeleteAddon", "delete add-on "+a.Name+", which failed", fleet.Props{"addonName": a.Name})
		},
	})
	have := b.o.first(id)
	switch {
	case have == nil && problem != "" && r.state != pending:
		r.state, r.do, r.detail = failed, nil, id+": "+problem
	case have == nil && plan.IsUnknown(version) && b.o.Working():
		r.state, r.do, r.detail = pending, nil, "the versions of add-on "+a.Name
	case have != nil && have.Status == "DEGRADED" && r.state == ready:
		b.degraded(r, *have)
	}
	return nil
}

// plainAddon tells whether all that matters of an add-on is that it is there. CoreDNS is the one of eksctl's defaults that
// may be there and not work.
func plainAddon(a fleet.AddonSpec) bool {
	return a.Default && a.Version == "" && a.Name != "coredns"
}

// enough is how many looks without a change an add-on gets to find nodes for its pods: some ten minutes.
const enough = 26

// degraded judges an add-on whose pods do not run. One that this run made may only wait for its nodes. Of any other the
// notes tell, since nothing that ekspedite can do would help.
func (b *builder) degraded(r *resource, have fleet.Resource) {
	if b.o.Made[r.id].Times == 0 || !b.runsPods() || slices.Contains(beforeCompute, r.Name) {
		return // node groups would wait for add-ons that wait for nodes
	}
	if b.o.Idle < enough {
		r.state, r.detail = pending, because("add-on "+r.Name+" to be healthy", have.Issues)
		return
	}
	if !slices.ContainsFunc(b.list, isCompute) {
		return // only Auto Mode could run it: when it makes nodes, and whether, is not ours to know
	}
	r.state, r.detail = failed, because("add-on "+r.Name+" is DEGRADED", have.Issues)
}

// runsPods tells whether the file asks for something that runs pods from the start.
func (b *builder) runsPods() bool {
	return len(b.s.Fargate) > 0 || b.s.Auto != nil && len(b.s.Auto.NodePools) > 0 ||
		slices.ContainsFunc(b.s.NodeGroups, func(g fleet.NodeGroupSpec) bool { return g.Desired > 0 })
}

// configuration is an add-on's, as the file has it. Without nodes, CoreDNS has to be told to run on Fargate.
func (b *builder) configuration(a fleet.AddonSpec) string {
	if a.Configuration != "" || a.Name != "coredns" || len(b.s.NodeGroups) > 0 || b.s.Auto != nil {
		return a.Configuration
	}
	for _, f := range b.s.Fargate {
		for _, s := range f.Selectors {
			if s.Namespace == "kube-system" && includes(map[string]string{"k8s-app": "kube-dns", "eks.amazonaws.com/component": "coredns"}, s.Labels) {
				return `{"computeType":"Fargate"}`
			}
		}
	}
	return ""
}

// addonDiffers compares an add-on with its spec. What is left out of an update would be EKS's to choose, so that it says
// all that the add-on is to have. What the file does not say stays.
func (b *builder) addonDiffers(a fleet.AddonSpec, want fleet.Props, have fleet.Resource) (change []plan.Call, notes []string) {
	what, now := "add-on "+a.Name, fleet.Text(have.Props, "addonVersion")
	if got := fleet.Text(have.Props, "namespaceConfig", "namespace"); a.Namespace != "" && got != "" && got != a.Namespace {
		notes = append(notes, cannot(what, "namespace ("+got+")", "EKS does not move add-ons", "delete it (aws eks delete-addon), and apply again"))
	}
	to, note := b.nextVersion(a, now)
	if note != "" {
		notes = append(notes, note)
	}
	in, differ := fleet.Props{}, to != ""
	for _, field := range []string{"configurationValues", "serviceAccountRoleArn"} {
		old := fleet.Text(have.Props, field)
		text := fleet.Text(want, field)
		if text == "" {
			if field != "serviceAccountRoleArn" || want["podIdentityAssociations"] == nil { // SDKs would prefer it to associations
				in[field] = old
			}
			continue
		}
		in[field] = text
		differ = differ || text != old && (field != "configurationValues" || !sameJSON(text, old))
	}
	if list, ok := want["podIdentityAssociations"]; ok && !fleet.Covers(have.Props["podIdentities"], list) {
		in["podIdentityAssociations"], differ = list, true // the others that it has go
	}
	if !differ {
		return b.retag(have, owned(b.s, a.Tags)), notes
	}
	does := "change " + what
	if to != "" {
		does = fmt.Sprintf("take %s from %s to %s", what, now, to)
	}
	// What people have changed by hand stays, unless the file says otherwise.
	return []plan.Call{b.addonCall(plan.Change, a, "eks:UpdateAddon", does, in, fleet.Props{
		"addonVersion": cmp.Or(to, now), "resolveConflicts": cmp.Or(a.Resolve, "PRESERVE"),
	})}, notes
}

func (b *builder) addonCall(effect plan.Effect, a fleet.AddonSpec, api, does string, want, in fleet.Props) plan.Call {
	in["addonName"] = a.Name
	for k, v := range want {
		in[k] = v
	}
	return b.child(effect, "addon/"+a.Name, api, does, in)
}
