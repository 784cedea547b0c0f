// Package plan is what a decision decides: actions as data, with the reasons, that can be printed, compared, stored,
// replayed, and carried out by package apply. A plan holds no client, no closure and no clock.
package plan

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// Action is one thing to do. Its fields are all that is needed to do it, the preconditions included. The concrete types
// are values (not pointers) in this package, each with JSON tags.
type Action interface {
	// Kind is the action's type in JSON and in reports: "CordonNode".
	Kind() string
	// String is one line for people, without the reason.
	String() string
}

// Laned is an action that must not run at the same time as others of its lane; "" is no lane.
type Laned interface {
	Action
	Lane() string
}

// Step is a set of actions that do not depend on one another: they run in parallel, but for those of one lane. Steps run in order.
type Step struct {
	Name    string   `json:"name"`
	Actions []Action `json:"actions"`
}

// Plan is a decision.
type Plan struct {
	Subject string `json:"subject"` // what it is about: "i-0abc", "cluster demo"
	Reason  string `json:"reason"`  // why, in a sentence
	Steps   []Step `json:"steps,omitempty"`
	// LookAgain is when the subject wants to be observed again, counted from the plan's end; 0 when the run is over.
	LookAgain time.Duration `json:"lookAgain,omitempty"`
	// Outcome is set when the run is over: one of the Outcome constants in package events.
	Outcome string `json:"outcome,omitempty"`
	// Notes say what was left out and why: "kube-system/aws-node-x2 stays: it belongs to a DaemonSet".
	Notes []string `json:"notes,omitempty"`
	// Left is what an ended run leaves undone: "default/web-1 was still there".
	Left []string `json:"left,omitempty"`
	// Failures are why the run failed, or what has failed so far.
	Failures []Failure `json:"failures,omitempty"`
}

// Empty tells whether there is nothing to do.
func (p Plan) Empty() bool { return p.Len() == 0 }

// Len counts the actions.
func (p Plan) Len() int {
	n := 0
	for _, s := range p.Steps {
		n += len(s.Actions)
	}
	return n
}

// Add appends a step, unless it has no actions.
func (p *Plan) Add(name string, actions ...Action) {
	if len(actions) > 0 {
		p.Steps = append(p.Steps, Step{name, actions})
	}
}

// String prints the plan for people.
func (p Plan) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s\n", p.Subject, p.Reason)
	for i, s := range p.Steps {
		fmt.Fprintf(&b, "%d. %s\n", i+1, s.Name)
		for _, a := range s.Actions {
			fmt.Fprintf(&b, "   - %s\n", a)
		}
	}
	for _, n := range p.Notes {
		fmt.Fprintf(&b, "   note: %s\n", n)
	}
	for _, f := range p.Failures {
		fmt.Fprintf(&b, "   failed: %s\n", f)
	}
	for _, l := range p.Left {
		fmt.Fprintf(&b, "   left: %s\n", l)
	}
	if p.LookAgain > 0 {
		fmt.Fprintf(&b, "look again in %s\n", p.LookAgain)
	}
	if p.Outcome != "" {
		fmt.Fprintf(&b, "outcome: %s\n", p.Outcome)
	}
	return b.String()
}

// MarshalJSON writes the action's kind beside its fields.
func (s Step) MarshalJSON() ([]byte, error) {
	type entry struct {
		Kind   string `json:"kind"`
		Action Action `json:"action"`
	}
	out := struct {
		Name    string  `json:"name"`
		Actions []entry `json:"actions"`
	}{Name: s.Name, Actions: []entry{}}
	for _, a := range s.Actions {
		out.Actions = append(out.Actions, entry{a.Kind(), a})
	}
	return json.Marshal(out)
}
