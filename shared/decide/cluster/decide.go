// Package cluster decides what is to be done next so that a cluster becomes what its spec says. It is pure: what was
// observed and what is wanted go in, the actions that can run now come out.
//
// The desired state is a graph of resources (graph.go), not a script. Each look starts from what is there; whatever is
// absent and has all that it needs is made, in parallel with its siblings. A run that was killed anywhere, or that runs
// twice, therefore goes on where the world is, not where somebody believed it to be.
package cluster

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/plan"
)

// Observation is a cluster as it is.
type Observation struct {
	// Control is nil when EKS does not know the cluster.
	Control *fleet.ControlPlane
	// OnlyControl: nothing but Control was read, because nothing but a control plane in the making was waited for.
	OnlyControl bool

	Network fleet.Network
	Zones   []fleet.Zone // of the Region; read only when the choice of zones is open
	// Roles by name. Tags are read, and ownership is checked, only while there is no control plane.
	Roles   map[string]fleet.Role
	Groups  map[string]fleet.NodeGroup   // by name; absent ones are absent
	Entries map[string]fleet.AccessEntry // by principal
	Access  *fleet.ClusterAccess         // the interruption function's ClusterRole; nil when absent
	// Unreachable says why the API server could not be asked; then Access is unknown.
	Unreachable string

	// What the run remembers, beside what the world shows.

	// Made are the resources that were made. One that is not visible yet is waited for, not made again.
	Made map[string]fleet.Making
	// Troubles are the actions that failed last time, by resource.
	Troubles map[string]fleet.Trouble
	// Idle counts the looks since anything changed.
	Idle int
}

// Options are what the decision needs beside the spec.
type Options struct {
	RunID            string // client request tokens are derived from it
	InterruptionRole string // ARN of the role that drains nodes
}

const (
	// settle is how long a resource that was made may stay invisible. EC2's and IAM's reads are eventually consistent;
	// seconds are usual, and whoever waits in vain makes it again, which is worse than waiting.
	settle = 2 * time.Minute
	// maxMade is how often a resource is made that does not appear.
	maxMade = 3
	// patience is how long an action may fail for reasons that pass by themselves: a role that is not visible everywhere,
	// a throttled account, an update in progress.
	// It takes minTries as well: nobody may have tried for most of that time.
	patience = 10 * time.Minute
	minTries = 5
)

// delays between looks while AWS works, in seconds. A control plane takes about ten minutes, so that 30 s add 2.5 % on
// average; the first ones are short because a network takes seconds.
var delays = []int{1, 2, 3, 5, 8, 13, 20, 30}

// Decide says what can be done now. The plan's outcome is set when the run is over.
func Decide(now time.Time, o Observation, s fleet.ClusterSpec, opt Options) (plan.Plan, error) {
	p := plan.Plan{Subject: "cluster " + s.Name}
	look := looks(now, o, s, opt)
	if look.err != nil {
		return p, look.err
	}
	p.Notes = append(p.Notes, look.notes...)
	switch {
	case len(look.actions) > 0:
		p.Add(strings.Join(look.areas, ", "), look.actions...)
		p.LookAgain = time.Second
		p.Reason = fmt.Sprintf("%d of %d resources are there, %d can be made now", look.ready, look.total, len(look.actions))
	case len(look.waiting) > 0:
		p.LookAgain = Delay(o.Idle)
		p.Reason = "waiting for " + strings.Join(look.waiting, ", ")
	case len(look.failed) > 0:
		p.Outcome = OutcomeFailed
		p.Reason = strings.Join(look.failed, "; ")
	default:
		p.Outcome = OutcomeActive
		p.Reason = fmt.Sprintf("all %d resources are there", look.total)
	}
	if p.Outcome == "" {
		for _, f := range look.failed {
			p.Notes = append(p.Notes, "failed: "+f)
		}
	}
	return p, nil
}

// Delay is how long to wait before the next look when the last ones, idle in number, saw no change.
func Delay(idle int) time.Duration {
	return time.Duration(delays[min(max(idle, 0), len(delays)-1)]) * time.Second
}

// Progress names the resources that are there, and those that AWS is working on, as they are called in the graph:
// "cluster", "nodegroup/spot". When only the control plane was looked at, ready is not known and empty.
func Progress(now time.Time, o Observation, s fleet.ClusterSpec, opt Options) (ready, waiting []string) {
	r := looks(now, o, s, opt)
	return r.done, r.pending
}

// Outcomes of a plan. They are values of events.RunFinished.Outcome, which decisions may not import.
const (
	OutcomeActive = "Active"
	OutcomeFailed = "Failed"
)

// result is the graph, sorted by what can be done.
type result struct {
	ready, total int
	actions      []plan.Action
	areas        []string // of the actions
	waiting      []string // what AWS is working on, for people
	pending      []string // the same as resource ids
	done         []string // resource ids of what is ready
	failed       []string
	notes        []string
	err          error
}

func looks(now time.Time, o Observation, s fleet.ClusterSpec, opt Options) result {
	if o.OnlyControl && o.Control != nil {
		r := controlPlane(o, s, opt, network{}, nil)
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
	g, notes, err := graph(o, s, opt)
	out := result{total: len(g), notes: notes, err: err}
	if err != nil {
		return out
	}
	state := map[string]state{}
	for i := range g {
		g[i].remember(now, o)
		state[g[i].id] = g[i].state
	}
	for _, r := range g {
		switch {
		case r.state == ready:
			out.ready, out.done = out.ready+1, append(out.done, r.id)
			out.notes = append(out.notes, r.notes...)
		case r.state == pending:
			out.waiting, out.pending = append(out.waiting, r.detail), append(out.pending, r.id)
		case r.state == failed:
			out.failed = append(out.failed, r.detail)
		case !slices.ContainsFunc(r.needs, func(id string) bool { return state[id] != ready }):
			out.actions = append(out.actions, r.create())
			if !slices.Contains(out.areas, r.area) {
				out.areas = append(out.areas, r.area)
			}
		}
	}
	return out
}

// remember corrects what was observed by what the run knows: a resource that was made a moment ago is not visible yet, and
// one that could not be made for too long, or that never can be, has failed.
func (r *resource) remember(now time.Time, o Observation) {
	if r.state == ready || r.state == failed {
		return
	}
	// What exists has no trouble with being made, whatever is remembered: the answer may have been lost.
	t, ok := o.Troubles[r.id]
	if ok && (r.state == absent || r.id == IDAccess) && (t.Fatal || now.Sub(t.Since) >= patience && t.Tries >= minTries) {
		r.state, r.detail = failed, r.id+": "+t.Text
		if !t.Fatal {
			r.detail += fmt.Sprintf(" (tried %d times in %s)", t.Tries, now.Sub(t.Since).Round(time.Second))
		}
		return
	}
	m, made := o.Made[r.id]
	switch {
	case !made || r.state != absent:
	case now.Sub(m.At) < settle:
		r.state, r.detail = pending, r.id+" to become visible"
	case m.Times >= maxMade:
		r.state, r.detail = failed, fmt.Sprintf("%s: AWS says that it exists or was made, %d times, and does not show it: look whether something else is in its place", r.id, m.Times)
	}
}
