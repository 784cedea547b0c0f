package cluster

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/plan"
)

// defaultAddons are in every cluster that EKS makes, whatever a file says.
var defaultAddons = []string{"vpc-cni", "coredns", "kube-proxy", "metrics-server"}

// Prune goes on where a cluster is as its file says: what ekspedite has made for it and what the file has lost since is
// deleted if opt allows that, and else named. o is the observation that the plan was made from, everything what is there
// beside it.
func Prune(now time.Time, p plan.Plan, o, everything Observation, s fleet.ClusterSpec, opt Options) plan.Plan {
	b, notes := superfluous(o, everything, s, opt)
	p.Notes = append(p.Notes, notes...)
	for i := range b.list {
		b.list[i].left(now, b)
	}
	look := sorted(b.list)
	if look.total == 0 {
		return p
	}
	next, _ := plans(look, p.Subject, o.Idle, p.Outcome) // a look without an error
	next.Notes = append(p.Notes, next.Notes...)
	if len(look.actions) > 0 {
		next.Reason = fmt.Sprintf("all that the file names is there; of %d resources that it does not name any more, %d can be deleted now", look.total, len(look.actions))
	}
	return next
}

// Pruning names the resources that AWS is working on while they are pruned.
func Pruning(now time.Time, o, everything Observation, s fleet.ClusterSpec, opt Options) (pending []string) {
	b, _ := superfluous(o, everything, s, opt)
	for i := range b.list {
		b.list[i].left(now, b)
	}
	return sorted(b.list).pending
}

// ForecastPrune adds to a forecast what would be pruned.
func ForecastPrune(p plan.Plan, o, everything Observation, s fleet.ClusterSpec, opt Options) plan.Plan {
	everything.Made, everything.Troubles = nil, nil
	b, notes := superfluous(o, everything, s, opt)
	p.Notes = append(p.Notes, notes...)
	if len(b.list) == 0 || p.Outcome == OutcomeFailed {
		return p
	}
	more := forecast(plan.Plan{}, b.list, p.Outcome)
	if calls := more.Len(); calls > 0 {
		p.Steps, p.Notes = append(p.Steps, more.Steps...), append(p.Notes, more.Notes...)
		p.Reason += fmt.Sprintf("; %d calls delete what it does not name any more", calls)
	}
	return p
}

// superfluous is what is ekspedite's and not in the file any more, as a graph of what is to go. What is kept is named.
func superfluous(o, everything Observation, s fleet.ClusterSpec, opt Options) (b *builder, notes []string) {
	b = &builder{o: everything, s: s, opt: opt, at: map[string]int{}}
	g, _, err := graph(o, s, opt)
	if err != nil {
		return b, nil
	}
	var gone []fleet.Resource
	for _, have := range everything.all() {
		r := removalOf(have.Kind)
		if r == nil || have.Kind == idCluster || (leftovers{}).of(have) || !b.mayPrune(have) || wanted(g, have) || b.letsNodesIn(g, have) {
			continue
		}
		what := r.noun + " " + named(have)
		switch {
		case r.stays != "":
			notes = append(notes, fmt.Sprintf("%s is ekspedite's and not in the file any more: kept, since %s", what, r.stays))
		case !opt.Prune:
			notes = append(notes, what+" is ekspedite's and not in the file any more: kept; apply with --prune to delete it")
		default:
			gone = append(gone, have)
		}
	}
	b.takeAway(gone)
	return b, notes
}

// wanted tells whether the file asks for something. What the file asks for under a name that is not known yet may be it.
func wanted(g []resource, have fleet.Resource) bool {
	return slices.ContainsFunc(g, func(r resource) bool {
		stands := have.Kind == "nodegroup" && r.Kind == have.Kind && have.Tags[fleet.TagStandsFor] == r.Name
		return stands || r.id == have.ID || r.Kind == have.Kind && (have.Name != "" && r.Name == have.Name || have.Name != "" && plan.IsUnknown(r.id))
	})
}

// letsNodesIn tells whether an access entry is by what nodes that the file still asks for come in. A managed node group lives
// on the entry of its role, whoever has made that: a self-managed group that the file has lost may have.
func (b *builder) letsNodesIn(g []resource, have fleet.Resource) bool {
	if have.Kind != "access" || fleet.Text(have.Props, "type") == "STANDARD" {
		return false
	}
	return slices.ContainsFunc(g, func(r resource) bool { return r.Kind == "role" && strings.HasSuffix(have.Name, "/"+r.Name) }) ||
		slices.ContainsFunc(b.s.NodeGroups, func(n fleet.NodeGroupSpec) bool { return n.IAM.RoleARN == have.Name })
}

// mayPrune tells whether something was made by ekspedite because a file named it.
func (b *builder) mayPrune(have fleet.Resource) bool {
	switch have.Kind {
	case "role", "profile": // by their path
		return true
	case "nodegroup":
		if have.Tags[fleet.TagPool] != "" { // made and retired by the planner of nodes
			return false
		}
	case "addon":
		if slices.Contains(defaultAddons, have.Name) {
			return false
		}
	case "access":
		if have.Name == b.opt.InterruptionRole || have.Name == b.opt.ClusterRole || have.Name == b.opt.Scaling.Role || have.Name == b.opt.UpgradeRole {
			return false
		}
	case "podidentity":
		if fleet.Text(have.Props, "ownerArn") != "" { // an add-on's
			return false
		}
	}
	return have.Tags[fleet.TagCluster] == b.s.Name
}
