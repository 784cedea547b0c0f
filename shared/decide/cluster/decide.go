// Package cluster decides what is to be done next so that a cluster becomes what its spec says. It is pure: what was
// observed and what is wanted go in, the actions that can run now come out.
//
// The desired state is a graph of resources (graph.go), not a script. Each look starts from what is there; whatever is
// absent and has all that it needs is made, in parallel with its siblings, and whatever differs is changed where AWS can
// change it. A run that was killed anywhere, or that runs twice, therefore goes on where the world is, not where somebody
// believed it to be.
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

// Options are what the decision needs beside the spec.
type Options struct {
	RunID   string // client request tokens are derived from it
	Account string // 12 digits
	// InterruptionRole drains nodes, ClusterRole is our own, UpgradeRole upgrades ("" for nobody): ARNs.
	InterruptionRole, ClusterRole, UpgradeRole string
	// Boundary is the permissions boundary of every role for which the file names none.
	Boundary string
	// Prune allows to delete what is ours and not in the file any more.
	Prune bool
	// Scaling is what the policy asks of the scaling function.
	Scaling Scaling
}

const (
	// settle is how long a resource that was made may stay invisible. EC2's and IAM's reads are eventually consistent;
	// seconds are usual, and whoever waits in vain makes it again, which is worse than waiting.
	settle = 2 * time.Minute
	// maxMade is how often a resource is made that does not appear, or changed in vain.
	maxMade = 3
	// patience is how long an action may fail for reasons that pass by themselves: a role that is not visible everywhere,
	// a throttled account. It takes minTries as well: nobody may have tried for most of that time.
	patience = 10 * time.Minute
	minTries = 5
	// blockedPatience is how long something may stand in the way that ends by itself, such as an update that AWS began. EKS
	// takes up to 45 minutes for an encryption.
	blockedPatience = 90 * time.Minute
)

// delays between looks while AWS works, in seconds. A control plane takes about ten minutes, so that 30 s add 2.5 % on
// average; the first ones are short because a network takes seconds.
var delays = []int{1, 2, 3, 5, 8, 13, 20, 30}

// Decide says what can be done now. The plan's outcome is set when the run is over.
func Decide(now time.Time, o Observation, s fleet.ClusterSpec, opt Options) (plan.Plan, error) {
	return plans(looks(now, o, s, opt), "cluster "+s.Name, o.Idle, OutcomeActive)
}

// plans makes a plan of what a look has found.
func plans(look result, subject string, idle int, success string) (plan.Plan, error) {
	p := plan.Plan{Subject: subject}
	if look.err != nil {
		return p, look.err
	}
	p.Notes, p.Failures = append(p.Notes, look.notes...), look.failures
	switch {
	case len(look.actions) > 0:
		p.Add(strings.Join(look.areas, ", "), look.actions...)
		p.LookAgain = time.Second
		p.Reason = fmt.Sprintf("%d of %d resources are as they should be, %d calls can be made now", look.ready, look.total, len(look.actions))
	case len(look.waiting) > 0:
		p.LookAgain = Delay(idle)
		p.Reason = "waiting for " + strings.Join(look.waiting, ", ")
	case len(look.failed) > 0:
		p.Outcome = OutcomeFailed
		p.Reason = strings.Join(look.failed, "; ")
	default:
		p.Outcome = success
		p.Reason = look.done()
	}
	return p, nil
}

// Delay is how long to wait before the next look when the last ones, idle in number, saw no change.
func Delay(idle int) time.Duration {
	return time.Duration(delays[min(max(idle, 0), len(delays)-1)]) * time.Second
}

// Progress names the resources that are as they should be, and those that AWS is working on, as they are called in the
// graph: "cluster", "nodegroup/spot". When only the control plane was looked at, ready is not known and empty.
func Progress(now time.Time, o Observation, s fleet.ClusterSpec, opt Options) (ready, waiting []string) {
	r := looks(now, o, s, opt)
	return r.good, r.pending
}

// Unsettled tells whether a light look is not enough: something is to be done or has failed, and who decides on that has to
// see everything.
func Unsettled(now time.Time, o Observation, s fleet.ClusterSpec, opt Options) bool {
	r := looks(now, o, s, opt)
	return r.err != nil || len(r.actions) > 0 || len(r.failed) > 0
}

// Outcomes of a plan. They are values of events.RunFinished.Outcome, which decisions may not import.
const (
	OutcomeActive  = "Active"
	OutcomeDeleted = "Deleted"
	OutcomeFailed  = "Failed"
)

// result is the graph, sorted by what can be done.
type result struct {
	ready, total int
	actions      []plan.Action
	areas        []string // of the actions
	waiting      []string // what AWS is working on, for people
	pending      []string // the same as resource ids
	good         []string // resource ids of what is ready
	failed       []string
	failures     []plan.Failure
	notes        []string
	success      string // the reason of a plan without anything left to do
	err          error
}

func (r result) done() string {
	if r.success != "" {
		return r.success
	}
	return fmt.Sprintf("all %d resources are there", r.total)
}

func looks(now time.Time, o Observation, s fleet.ClusterSpec, opt Options) result {
	if o.Depth == OnlyControl && o.Control() != nil {
		return onlyControl(o, s, opt)
	}
	g, notes, err := graph(o, s, opt)
	if err != nil {
		return result{total: len(g), notes: notes, err: err}
	}
	for i := range g {
		g[i].remember(now, o)
	}
	out := sorted(g)
	out.notes = append(notes, out.notes...)
	return out
}

// onlyControl is a look while nothing but the control plane is waited for.
func onlyControl(o Observation, s fleet.ClusterSpec, opt Options) result {
	b := &builder{o: o, s: s, opt: opt, at: map[string]int{}}
	b.controlPlane(network{}, nil)
	r := b.list[b.at[idCluster]]
	out := result{total: 1}
	switch r.state {
	case pending:
		out.waiting, out.pending = []string{r.detail}, []string{r.id}
	case failed:
		out.failed = []string{r.detail}
	default: // it has changed since: all must be read
		out.waiting, out.pending = []string{"a look at everything"}, []string{r.id}
	}
	return out
}

// sorted sorts resources by what can be done about them. What needs something that is not ready waits.
func sorted(g []resource) result {
	out := result{total: len(g)}
	state := map[string]state{}
	for _, r := range g {
		state[r.id] = r.state
	}
	for _, r := range g {
		out.notes = append(out.notes, r.notes...)
		switch {
		case r.state == ready:
			out.ready, out.good = out.ready+1, append(out.good, r.id)
		case r.state == pending:
			out.waiting, out.pending = append(out.waiting, r.detail), append(out.pending, r.id)
		case r.state == failed:
			out.failed = append(out.failed, r.detail)
			out.failures = append(out.failures, explain(r.id, r.detail))
		case !slices.ContainsFunc(r.needs, func(id string) bool { return !state[id].serves() }):
			for _, c := range r.do {
				if what := unknown(c.Input, state); what != "" {
					out.failed = append(out.failed, fmt.Sprintf("%s: %s was to be called before %s is known: this is a mistake in ekspedite", r.id, c.API, what))
					continue
				}
				out.actions = append(out.actions, c)
			}
			if !slices.Contains(out.areas, r.area) {
				out.areas = append(out.areas, r.area)
			}
		}
	}
	return out
}

// unknown finds a value in an input that is not known yet; "" without. What a file says may look like one: ${aws:username}
// in a policy is IAM's, and only names of resources are ours.
func unknown(v any, graph map[string]state) string {
	var inside []any
	switch v := v.(type) {
	case string:
		for _, part := range strings.Split(v, "${")[1:] {
			name, _, _ := strings.Cut(part, "}")
			for id := range graph {
				if name == id || strings.HasPrefix(name, id+".") {
					return v
				}
			}
		}
	case fleet.Props:
		inside = slices.Collect(maps.Values(v))
	case []any:
		inside = v
	}
	for _, item := range inside {
		if what := unknown(item, graph); what != "" {
			return what
		}
	}
	return ""
}

// remember corrects what was observed by what the run knows: a resource that was made a moment ago is not visible yet, and
// one that could not be made for too long, or that never can be, has failed.
func (r *resource) remember(now time.Time, o Observation) {
	if r.state == ready || r.state == failed {
		return
	}
	// What exists has no trouble with being made, whatever is remembered: the answer may have been lost.
	t, ok := o.Troubles[r.id]
	if ok && r.optional && r.hopeless(now, t) {
		r.state = ready
		r.notes = append(r.notes, r.id+" is not installed: the API server has no public endpoint, and ekspedite's functions are not attached to its network: "+t.Text)
		return
	}
	if ok && (r.state == absent || r.state == differs || r.inside) && r.hopeless(now, t) {
		r.state, r.detail = failed, r.id+": "+t.Text
		if !t.Fatal {
			r.detail += fmt.Sprintf(" (tried %d times in %s)", t.Tries, now.Sub(t.Since).Round(time.Second))
		}
		return
	}
	m, made := o.Made[r.memory()]
	switch {
	case !made || r.state != absent && r.state != differs:
	case m.Times >= maxMade && now.Sub(m.At) >= settle:
		r.state, r.detail = failed, fmt.Sprintf("%s: AWS says that it exists or was made, %d times, and does not show it: look whether something else is in its place", r.id, m.Times)
		if r.was == differs {
			r.detail = fmt.Sprintf("%s: it was changed %d times, and AWS shows no change", r.id, m.Times)
		}
	case now.Sub(m.At) < r.settles():
		r.state, r.detail = pending, r.id+" to become visible"
	}
}

// settles is how long what was done may stay invisible. A change may be seen late, too; doing it again does no harm.
func (r *resource) settles() time.Duration {
	if r.was == differs {
		return 5 * time.Second
	}
	return settle
}

// memory is the name under which the run remembers what it did.
func (r *resource) memory() string {
	if len(r.do) == 0 {
		return r.id
	}
	return Memory(r.do[0])
}

// Memory is the name under which a run remembers that it made a call: the resource's, if the call makes it.
func Memory(c plan.Call) string {
	if c.Effect == plan.Create {
		return c.ID
	}
	return string(c.Effect) + " " + c.ID
}

// NameOf is the name that a call gives to what it makes, of what is listed by its name and not by its tags; "" of others.
func NameOf(c plan.Call) string {
	if c.Effect != plan.Create {
		return ""
	}
	return cmp.Or(fleet.Text(c.Input, "roleName"), fleet.Text(c.Input, "instanceProfileName"))
}

// hopeless tells whether what failed will not work by being tried again.
func (r *resource) hopeless(now time.Time, t fleet.Trouble) bool {
	if t.Fatal {
		return true
	}
	limit := patience
	if t.Class == "Blocked" {
		limit = blockedPatience
	}
	return now.Sub(t.Since) >= limit && t.Tries >= minTries
}
