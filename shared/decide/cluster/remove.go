package cluster

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/plan"
)

const (
	// disappears is how long something may stay visible that was deleted. Deleting it again does no harm.
	disappears = 15 * time.Second
	// maxGone is how often something is deleted that does not go; of what AWS itself says DELETE_FAILED, maxFailed times.
	maxGone   = 5
	maxFailed = 2
)

const idProtection = idCluster + "/protection"

// Remove says what can be done now so that nothing of a cluster is left. It looks at what is there, which observe's
// Everything has found, and not at a file: of the spec only name and Region count. What Kubernetes has made and left is not
// ekspedite's: it is named before anything is deleted, and only deleted by force; volumes are never deleted.
func Remove(now time.Time, o Observation, s fleet.ClusterSpec, opt Options, force bool) (plan.Plan, error) {
	look, kept := removes(now, o, s, opt, force)
	p, err := plans(look, "cluster "+s.Name, o.Idle, OutcomeDeleted)
	p.Left = kept
	if len(look.actions) > 0 {
		p.Reason = fmt.Sprintf("%d resources are left, %d calls can be made now", look.total, len(look.actions))
	}
	return p, err
}

// Leaving names the resources that AWS is working on while a cluster is taken away.
func Leaving(now time.Time, o Observation, s fleet.ClusterSpec, opt Options, force bool) (pending []string) {
	look, _ := removes(now, o, s, opt, force)
	return look.pending
}

// ForecastRemoval is the whole plan of a removal: all calls, in steps of what can run in parallel.
func ForecastRemoval(_ time.Time, o Observation, s fleet.ClusterSpec, opt Options, force bool) (plan.Plan, error) {
	o.Made, o.Troubles = nil, nil
	b, kept, blockers := leavers(o, s, opt, force)
	p := forecast(plan.Plan{Subject: "cluster " + s.Name, Left: kept}, b.list, OutcomeDeleted)
	calls := p.Len()
	switch {
	case len(blockers) > 0:
		p.Outcome, p.Reason, p.Failures = OutcomeFailed, strings.Join(said(blockers), "; "), blockers
	case p.Outcome != OutcomeDeleted:
	case calls == 0 && len(b.list) == 0:
		p.Reason = nothingLeft(s)
	default:
		p.Reason = fmt.Sprintf("%d calls delete all that is ekspedite's, in about %s", calls, b.lasts().Round(time.Minute))
	}
	return p, nil
}

func nothingLeft(s fleet.ClusterSpec) string {
	var nouns []string
	for _, r := range removals {
		if !r.withCluster {
			nouns = union(nouns, []string{plural(r.noun)})
		}
	}
	return fmt.Sprintf("nothing of ekspedite's is left of cluster %s in %s: looked for %s", s.Name, s.Region, strings.Join(nouns, ", "))
}

func plural(noun string) string {
	if stem, ok := strings.CutSuffix(noun, "ty"); ok {
		return stem + "ties"
	}
	if strings.HasSuffix(noun, "ss") {
		return noun + "es"
	}
	return noun + "s"
}

func removes(now time.Time, o Observation, s fleet.ClusterSpec, opt Options, force bool) (look result, kept []string) {
	if o.Depth == OnlyAwaited {
		b := &builder{o: o, s: s, opt: opt, at: map[string]int{}}
		b.takeAway(o.all())
		return sorted(b.list), nil
	}
	b, kept, blockers := leavers(o, s, opt, force)
	if len(blockers) > 0 {
		return result{total: len(b.list), failed: said(blockers), failures: blockers}, kept
	}
	for i := range b.list {
		b.list[i].left(now, b)
	}
	out := sorted(b.list)
	out.success = nothingLeft(s)
	for _, id := range unseen(now, o) {
		out.waiting, out.pending = append(out.waiting, id+", made a moment ago, to become visible"), append(out.pending, id)
	}
	return out, kept
}

// unseen are the resources that were made so short a time ago that they may be there although nobody sees them.
func unseen(now time.Time, o Observation) (ids []string) {
	names := map[string]bool{}
	for _, have := range o.all() {
		names[have.Kind+" "+have.Physical] = true
	}
	for id, m := range o.Made {
		kind := fleet.KindOf(id)
		switch {
		case m.Name != "" && (names[kind+" "+m.Name] || !o.Made[string(plan.Delete)+" "+kind+"/"+m.Name].At.Before(m.At)):
		case strings.Contains(id, " "), kind == "kubernetes", now.Sub(m.At) >= settle, o.first(id) != nil, !o.Made[string(plan.Delete)+" "+id].At.Before(m.At):
		case removalOf(kind) == nil || removalOf(kind).withCluster:
		default:
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// leavers are all that is to go of a cluster, each after those that have to go before; what stays, and why; and what has to
// be settled by somebody before anything is touched.
func leavers(o Observation, s fleet.ClusterSpec, opt Options, force bool) (b *builder, kept []string, blockers []plan.Failure) {
	b = &builder{o: o, s: s, opt: opt, at: map[string]int{}}
	control := o.Control()
	if control != nil && control.Tags[fleet.TagCluster] != s.Name {
		return b, nil, []plan.Failure{blocker(idCluster, fmt.Sprintf("cluster %s is not ekspedite's (no tag %s=%s)", s.Name, fleet.TagCluster, s.Name), "it is left alone; delete it with what made it")}
	}
	rest := b.leftovers()
	var going []fleet.Resource
	for _, have := range o.all() {
		r := removalOf(have.Kind)
		switch {
		case r == nil || r.withCluster || rest.of(have):
		case InCluster(have.Kind) && have.Tags[fleet.TagCluster] != s.Name:
			blockers = append(blockers, blocker(have.ID, fmt.Sprintf("%s %s is in the cluster and is not ekspedite's", r.noun, have.Name),
				fmt.Sprintf("delete it (aws eks delete-%s), and delete the cluster again", eksNoun[have.Kind])))
		case (have.Kind == "loggroup" || have.Kind == "oidc") && have.Tags[fleet.TagCluster] != s.Name:
			kept = append(kept, fmt.Sprintf("%s %s stays: it is not ekspedite's (no tag %s=%s)", r.noun, have.Physical, fleet.TagCluster, s.Name))
		default:
			going = append(going, have)
		}
	}
	if control != nil && fleet.Flag(control.Props, "deletionProtection") {
		if !force {
			blockers = append(blockers, blocker(idCluster, fmt.Sprintf("cluster %s is protected against deletion", s.Name), "apply its file with deletionProtection: false, or delete it with --force"))
		}
		b.unprotect()
	}
	kept = append(kept, b.given()...)
	if force {
		going, kept = append(going, rest.forced...), append(kept, rest.kept...)
	} else {
		blockers = append(blockers, rest.blockers...)
	}
	b.takeAway(append(going, rest.dangling...))
	for id, why := range rest.inTheWay { // what is not ours is not deleted by force either: say at once that it cannot work
		if at, ok := b.at[id]; ok && force {
			r := &b.list[at]
			r.state, r.do, r.detail = failed, nil, fmt.Sprintf("%s stays: %s", id, strings.Join(why, ", "))
		}
	}
	return b, kept, blockers
}

// blocker is what somebody has to settle before anything is touched.
func blocker(resource, text, fix string) plan.Failure {
	return plan.Failure{Resource: resource, Whose: plan.Users, Text: text, Fix: fix}
}

func said(list []plan.Failure) (out []string) {
	for _, f := range list {
		out = append(out, f.Text+": "+f.Fix)
	}
	return out
}

var eksNoun = map[string]string{"nodegroup": "nodegroup", "fargate": "fargate-profile", "capability": "capability"}

// all are the resources in the order of their names.
func (o Observation) all() (out []fleet.Resource) {
	for _, id := range slices.Sorted(maps.Keys(o.Found)) {
		out = append(out, o.Found[id]...)
	}
	return out
}

// unprotect turns deletion protection off, before anything else.
func (b *builder) unprotect() {
	r := b.put(resource{Ref: fleet.Ref{ID: idProtection, Kind: "protection"}, id: idProtection, area: "control plane"})
	switch u := b.o.Updates[idProtection]; u.Status {
	case "InProgress":
		r.state, r.detail = pending, fmt.Sprintf("deletion protection to be off (update %s)", u.ID)
	case "Failed", "Cancelled":
		r.state, r.detail = failed, because("turning deletion protection off: update "+u.ID+" is "+u.Status, u.Errors)
	default:
		in := fleet.Props{"name": b.s.Name, "deletionProtection": false}
		in["clientRequestToken"] = b.token(idProtection, in)
		r.do = []plan.Call{b.call(plan.Change, idProtection, "eks:UpdateClusterConfig", "turn deletion protection off", in)}
	}
}

// takeAway adds what is to go, in the order in which it can.
func (b *builder) takeAway(going []fleet.Resource) {
	ids := map[string][]string{} // of a kind, in the graph
	var rules []string           // of security groups
	for _, r := range removals {
		var needs []string
		if _, protected := b.at[idProtection]; protected {
			needs = []string{idProtection}
		}
		for _, kind := range before(r.kind) {
			needs = append(needs, ids[kind]...)
		}
		switch r.kind {
		case "sg":
			rules = b.entangled(going, needs)
			needs = append(needs, rules...)
		case "kubesg":
			needs = append(needs, rules...)
		}
		for _, have := range going {
			if have.Kind != r.kind {
				continue
			}
			id := cmp.Or(have.ID, r.kind+"/"+have.Physical)
			if _, twice := b.at[id]; twice {
				id += "/" + have.Physical
			}
			last := b.departs(r, id, have, needs)
			ids[r.kind] = append(ids[r.kind], id)
			if r.kind == "fargate" && last.state != failed { // EKS works on one at a time
				needs = append(needs, id)
			}
		}
	}
}

// departs adds one thing that goes, after the calls that have to be made before it can.
func (b *builder) departs(r removal, id string, have fleet.Resource, needs []string) *resource {
	own := slices.Clone(needs)
	if r.first != nil {
		for _, c := range r.first(b, have) {
			b.put(resource{Ref: fleet.Ref{ID: c.ID, Kind: r.kind}, id: c.ID, area: r.area, needs: needs, do: []plan.Call{c}})
			own = append(own, c.ID)
		}
	}
	ref := have.Ref
	ref.Kind = r.kind
	node := b.put(resource{Ref: ref, id: id, area: r.area, needs: own})
	what := r.noun + " " + named(have)
	update, updating := b.o.Updates[id]
	switch {
	case updating && update.Status == "InProgress":
		node.state, node.detail = pending, fmt.Sprintf("%s (%s %s)", what, update.Type, update.ID)
	case Busy(have):
		node.state, node.detail = pending, what+" ("+have.Status+")"
	default:
		node.do = []plan.Call{r.call(b, r, id, have)}
	}
	if have.Status == "DELETE_FAILED" {
		node.notes = append(node.notes, because(what+" is DELETE_FAILED", have.Issues))
		if b.o.Made[Memory(plan.Call{Of: plan.Of{ID: id}, Effect: plan.Delete})].Times >= maxFailed {
			node.state, node.do, node.detail = failed, nil, because(what+" could not be deleted", have.Issues)
		}
	}
	return node
}

// Busy tells whether AWS works on something that is to go, so that it has to be waited for.
func Busy(have fleet.Resource) bool {
	return slices.Contains(busy, have.Status) && (have.Kind != "instance" || have.Status != "pending")
}

// busy are statuses in which nothing can be deleted, or it is being deleted.
var busy = []string{"CREATING", "UPDATING", "DELETING", "pending", "deleting", "shutting-down", "modifying", "initiating", "attaching", "detaching"}

// left corrects what was observed by what the run knows.
func (r *resource) left(now time.Time, b *builder) {
	if len(r.do) == 0 {
		return
	}
	if t, ok := b.o.Troubles[r.id]; ok {
		text := r.id + ": " + t.Text
		if way := b.inTheWay(r.id); way != "" {
			text += "; in the way: " + way
		}
		r.notes = append(r.notes, text)
		if r.hopeless(now, t) {
			r.state, r.do, r.detail = failed, nil, text
		}
		return
	}
	m, done := b.o.Made[r.memory()]
	switch {
	case !done:
	case now.Sub(m.At) < disappears:
		r.state, r.detail = pending, r.id+" to be gone"
	case m.Times >= maxGone:
		r.state, r.do, r.detail = failed, nil, fmt.Sprintf("%s: AWS has accepted its deletion %d times, and it is still there", r.id, m.Times)
	}
}

// lasts is how long a removal should take: the longest way through it.
func (b *builder) lasts() (longest time.Duration) {
	end := map[string]time.Duration{}
	for _, r := range b.list {
		var start time.Duration
		for _, id := range r.needs {
			start = max(start, end[id])
		}
		end[r.id] = start
		if known := removalOf(r.Kind); known != nil && known.kind == fleet.KindOf(r.id) {
			end[r.id] += known.takes
		}
		longest = max(longest, end[r.id])
	}
	return longest
}
