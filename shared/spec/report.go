package spec

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/ekspedite/ekspedite/shared/fault"
)

// Problem is one thing to say about a text: where it is, and what to do.
type Problem struct {
	Line    int    `json:"line"`
	Path    string `json:"path,omitempty"` // managedNodeGroups[0].minSize
	Message string `json:"message"`
	// NotActedOn marks what is right and known, but has no effect here: a plan names it.
	NotActedOn bool `json:"notActedOn,omitempty"`
}

func (p Problem) String() string {
	if p.Path == "" {
		return fmt.Sprintf("line %d: %s", p.Line, p.Message)
	}
	return fmt.Sprintf("line %d: %s: %s", p.Line, p.Path, p.Message)
}

// Report is everything that is to be said about a text, in the order of its lines.
type Report struct {
	Errors   []Problem `json:"errors,omitempty"`   // wrong: nothing can be made of the text
	Warnings []Problem `json:"warnings,omitempty"` // has no effect
}

// Err is nil unless there are errors. All of them are in its text; its class is fault.Invalid.
func (r Report) Err() error {
	if len(r.Errors) == 0 {
		return nil
	}
	lines := make([]string, len(r.Errors))
	for i, p := range r.Errors {
		lines[i] = p.String()
	}
	return fault.New(fault.Invalid, "the cluster spec is wrong:\n%s", strings.Join(lines, "\n"))
}

func (r Report) String() string {
	var b strings.Builder
	for _, p := range r.Errors {
		fmt.Fprintf(&b, "error: %s\n", p)
	}
	for _, p := range r.Warnings {
		fmt.Fprintf(&b, "warning: %s\n", p)
	}
	return b.String()
}

// NotActedOn are those warnings that name a known field which has no effect here.
func (r Report) NotActedOn() []Problem {
	var out []Problem
	for _, p := range r.Warnings {
		if p.NotActedOn {
			out = append(out, p)
		}
	}
	return out
}

func (r *Report) sort() {
	order := func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Path, b.Path), cmp.Compare(a.Message, b.Message))
	}
	slices.SortFunc(r.Errors, order)
	slices.SortFunc(r.Warnings, order)
	r.Errors, r.Warnings = slices.Compact(r.Errors), slices.Compact(r.Warnings) // aliases repeat what they stand for
}
