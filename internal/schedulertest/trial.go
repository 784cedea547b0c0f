package schedulertest

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/ekspedite/ekspedite/shared/decide/packing"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

// binding is a pod and the node that the solution has it on.
type binding struct {
	pod    fleet.Pod
	node   string
	daemon bool
}

// try has all placements judged in several orders, and asks whether the unplaced pods could have been placed.
func (w *trial) try(o *Oracle, orders int) ([]Finding, error) {
	request := w.base()
	seen := map[string]bool{}
	templates := make([]template, len(w.s.New))
	for i, n := range w.s.New {
		templates[i] = templateOf(n)
	}
	planned := w.bindings(templates)
	w.addWaiting(&request, planned, seen)

	var judges []func([]Verdict) []Finding
	add := func(steps []Step, judge func([]Verdict) []Finding) {
		request.Runs = append(request.Runs, Run{Steps: steps, Retry: true})
		judges = append(judges, judge)
	}
	own := append(w.joins(templates), bind(planned)...)
	last := again(planned)
	more, judgeMore := w.further(&request)
	add(slices.Concat(own, last, more), func(v []Verdict) []Finding {
		if found := refused(planned, own, v, Unsound, "bound in their own order"); len(found) > 0 {
			return found // what follows is about a world with everything bound
		}
		v = v[len(own):]
		return append(refused(planned, last, v, Unstable, "bound last"), judgeMore(v[len(last):])...)
	})
	for i := range orders {
		promised := w.shuffled(templates, planned, false, true)
		add(promised, func(v []Verdict) []Finding {
			return refused(planned, promised, v, Unsound, fmt.Sprint("bound in random order ", i))
		})
		other := w.shuffled(templates, planned, i%2 == 1, false)
		add(other, func(v []Verdict) []Finding {
			return refused(planned, other, v, Unstable, fmt.Sprint("bound in any order ", i))
		})
	}
	if other, ok := w.alternatives(templates); ok {
		bindings := w.bindings(other)
		w.addWaiting(&request, bindings, seen)
		steps := append(w.joins(other), bind(bindings)...)
		add(steps, func(v []Verdict) []Finding {
			return refused(bindings, steps, v, Alternative, "on an alternative machine")
		})
	}
	verdicts, err := o.Ask(request)
	if err != nil {
		return nil, err
	}
	plain := len(refused(planned, own, verdicts[0], Unsound, "")) == 0
	exists, err := w.anOrder(o, request, own, verdicts[0][:len(own)])
	if err != nil {
		return nil, err
	}
	var findings []Finding
	for i, judge := range judges {
		for _, f := range judge(verdicts[i]) {
			if f.Class == Unsound && exists || f.Class == Alternative && !plain {
				f.Class = Unstable
			}
			if !slices.ContainsFunc(findings, func(o Finding) bool { return o.Class == f.Class || o.Class == Unsound }) {
				findings = append(findings, f) // once is enough: in other orders it says the same
			}
		}
	}
	return findings, nil
}

// searches is how often anOrder tries another order.
const searches = 40

// anOrder tells whether there is an order in which everything is bound: those that got stuck go first the next time, or, if
// that has not helped, anywhere.
func (w *trial) anOrder(o *Oracle, request Request, steps []Step, verdicts []Verdict) (bool, error) {
	joins := len(w.s.New)
	for i := range searches {
		var stuck, others []Step
		for k, s := range steps {
			if s.Pod != "" && len(verdicts[k].Passing) == 0 {
				stuck = append(stuck, s)
			} else {
				others = append(others, s)
			}
		}
		if len(stuck) == 0 {
			return true, nil
		}
		steps = others
		for _, s := range stuck {
			at := joins
			if i >= searches/4 {
				at += w.IntN(len(steps) - joins + 1)
			}
			steps = slices.Insert(steps, at, s)
		}
		request.Runs = []Run{{Steps: steps, Retry: true}}
		answer, err := o.Ask(request)
		if err != nil {
			return false, err
		}
		verdicts = answer[0]
	}
	return !slices.ContainsFunc(verdicts, func(v Verdict) bool { return len(v.Refused) > 0 }), nil
}

// base is the world before the solution.
func (w *trial) base() Request {
	var r Request
	seen := map[string]bool{}
	for _, n := range w.p.Nodes {
		r.Nodes = append(r.Nodes, Node(n))
		r.addLimits(n.Name, n.AttachLimit)
		for _, pod := range n.Pods {
			pod.Node = n.Name
			r.Pods = append(r.Pods, Pod(pod))
		}
		r.addStorage(n.Pods, seen)
	}
	r.addStorage(w.p.Pods, seen)
	for i, n := range w.s.New {
		r.addLimits(newName(i), w.p.Types[n.Type].AttachLimit)
	}
	return r
}

// bindings are those of the solution with its new nodes made from the templates: pods with topology constraints, then the
// others, then the daemons'.
func (w *trial) bindings(templates []template) (all []binding) {
	for i, at := range w.s.Placed {
		if at >= 0 {
			all = append(all, binding{pod: w.p.Pods[i], node: w.name(at)})
		}
	}
	for i, t := range templates {
		for _, d := range w.daemons[t] {
			all = append(all, binding{DaemonPod(w.p.Daemons[d], newName(i)), newName(i), true})
		}
	}
	slices.SortStableFunc(all, constrainedFirst)
	return all
}

func constrainedFirst(a, b binding) int {
	rank := map[bool]int{true: 0, false: 1}
	return rank[constrained(a.pod)] - rank[constrained(b.pod)]
}

func (w *trial) name(at int) string {
	if at < len(w.p.Nodes) {
		return w.p.Nodes[at].Name
	}
	return newName(at - len(w.p.Nodes))
}

func (w *trial) addWaiting(r *Request, bindings []binding, seen map[string]bool) {
	for _, b := range bindings {
		if !seen[b.pod.ID()] {
			seen[b.pod.ID()] = true
			r.Pods = append(r.Pods, Pod(b.pod))
		}
	}
}

// bind binds one after the other. Where those without topology constraints begin, the others settle first.
func bind(bindings []binding) (steps []Step) {
	for i, b := range bindings {
		if i > 0 && constrained(bindings[i-1].pod) && !constrained(b.pod) {
			steps = append(steps, Step{Settle: true})
		}
		steps = append(steps, Step{Pod: b.pod.ID(), Node: b.node})
	}
	return steps
}

// again asks about each pod as if it came last. In the end everybody must be where he may be: the scheduler may have bound
// them in another order, or bind one of them anew.
func again(bindings []binding) []Step {
	var steps []Step
	for _, b := range bindings {
		steps = append(steps, Step{Pod: b.pod.ID(), Node: b.node, Ask: true})
	}
	return steps
}

func (w *trial) joins(templates []template) (steps []Step) {
	for i, t := range templates {
		steps = append(steps, Step{Join: Node(t.node(w.p, newName(i)))})
	}
	return steps
}

// shuffled binds in a random order, those with topology constraints first if so wanted; nodes join first, or at any time.
func (w *trial) shuffled(templates []template, planned []binding, late, promised bool) []Step {
	joins, order := w.joins(templates), slices.Clone(planned)
	w.Shuffle(len(joins), func(i, j int) { joins[i], joins[j] = joins[j], joins[i] })
	w.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
	if promised {
		slices.SortStableFunc(order, constrainedFirst)
	}
	binds := bind(order)
	if !promised {
		binds = slices.DeleteFunc(binds, func(s Step) bool { return s.Settle })
	}
	if !late {
		return append(joins, binds...)
	}
	for _, j := range joins {
		binds = slices.Insert(binds, w.IntN(len(binds)+1), j)
	}
	return binds
}

// refused are the bindings that were not made, in the end. One is enough to know: the others may follow from it.
func refused(planned []binding, steps []Step, verdicts []Verdict, class, when string) []Finding {
	var n int
	var first string
	for i, s := range steps {
		if s.Pod == "" || len(verdicts[i].Passing) > 0 {
			continue
		}
		if n++; n == 1 {
			b := planned[slices.IndexFunc(planned, func(b binding) bool { return b.pod.ID() == s.Pod })]
			r := verdicts[i].Refused[s.Node]
			switch {
			case b.daemon && r.Plugin == "InterPodAffinity":
				class = Unstable // somebody's anti-affinity selects a daemon: the planner does not look for that
			case b.daemon && class == Unsound:
				class = Daemon
			}
			first = fmt.Sprintf("%s on %s, %s: %s: %s", s.Pod, s.Node, when, r.Plugin, r.Reason)
		}
	}
	if n == 0 {
		return nil
	}
	if n > 1 {
		first += fmt.Sprintf(" (and %d more)", n-1)
	}
	return []Finding{{class, first}}
}

// alternatives takes another machine for each new node that has one.
func (w *trial) alternatives(templates []template) ([]template, bool) {
	other, some := slices.Clone(templates), false
	for i, n := range w.s.New {
		if len(n.Alternatives) > 0 {
			other[i], some = w.swapped(n, n.Alternatives[w.IntN(len(n.Alternatives))]), true
		}
	}
	return other, some
}

// Bounds of what is asked about unplaced pods, which would be thousands of questions: pods that differ, and templates.
const (
	maxUnplaced  = 8
	maxTemplates = 80
)

// further asks about the unplaced pods: on every node that there is in the end, and on a new node of each template.
func (w *trial) further(r *Request) (steps []Step, judge func([]Verdict) []Finding) {
	unplaced := w.unplaced()
	if len(unplaced) == 0 {
		return nil, func([]Verdict) []Finding { return nil }
	}
	asked := []string{} // by step: where it was
	ask := func(node, where string) {
		for _, pod := range unplaced {
			steps = append(steps, Step{Pod: pod.ID(), Node: node, Ask: true})
			asked = append(asked, where)
		}
	}
	other := func(s Step) {
		steps = append(steps, s)
		asked = append(asked, "")
	}
	for _, pod := range unplaced {
		r.Pods = append(r.Pods, Pod(pod))
	}
	ask("", "a node that is there")
	spare := w.spare()
	w.Shuffle(len(spare), func(i, j int) { spare[i], spare[j] = spare[j], spare[i] })
	for i, t := range spare[:min(len(spare), maxTemplates)] {
		name := fmt.Sprint("spare-", i)
		r.addLimits(name, w.p.Types[t.typ].AttachLimit)
		other(Step{Join: Node(t.node(w.p, name))})
		for _, d := range w.daemons[t] {
			pod := DaemonPod(w.p.Daemons[d], name)
			r.Pods = append(r.Pods, Pod(pod))
			other(Step{Pod: pod.ID(), Node: name})
		}
		o := w.p.Types[t.typ].Offerings[t.offering]
		ask(name, fmt.Sprintf("a new %s of pool %s in %s, %s", w.p.Types[t.typ].Name, w.p.Pools[t.pool].Name, o.Zone, o.Capacity))
		other(Step{Leave: name})
	}
	class := GaveUp
	if asksAboutPods(w.p) {
		class = GaveUpOnTopology
	}
	return steps, func(v []Verdict) []Finding {
		for i, where := range asked {
			passing := slices.DeleteFunc(v[i].Passing, w.closed)
			if where != "" && len(passing) > 0 {
				return []Finding{{class, fmt.Sprintf("%s would pass on %s: %v", steps[i].Pod, where, passing)}}
			}
		}
		return nil
	}
}

// closed tells whether a node takes nothing: that is the planner's wish, and pods that tolerate a cordon do not know it.
func (w *trial) closed(node string) bool {
	return slices.ContainsFunc(w.p.Nodes, func(n packing.Node) bool { return n.Name == node && n.Closed })
}

// unplaced are pods that were not placed, one of each kind.
func (w *trial) unplaced() (pods []fleet.Pod) {
	seen := map[string]bool{}
	for _, u := range w.s.Unplaced {
		if u.Refused != "" {
			continue
		}
		like := w.p.Pods[u.Pod]
		like.Name, like.UID = "", ""
		kind, err := json.Marshal(like)
		if err == nil && !seen[string(kind)] && len(pods) < maxUnplaced {
			seen[string(kind)] = true
			pods = append(pods, w.p.Pods[u.Pod])
		}
	}
	return pods
}
