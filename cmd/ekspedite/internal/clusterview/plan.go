package clusterview

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/shared/decide/cost"
	"github.com/ekspedite/ekspedite/shared/decide/preflight"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/plan"
)

// Plan is what would be done to make a cluster what its file says.
type Plan struct {
	Cluster string `json:"cluster"`
	Region  string `json:"region"`
	// Status is EKS's of the control plane now; "" where there is none.
	Status string `json:"status,omitempty"`
	// OK is false when the plan cannot succeed: Findings or Reason say why.
	OK          bool   `json:"ok"`
	NothingToDo bool   `json:"nothingToDo"`
	Reason      string `json:"reason"`
	Calls       int    `json:"calls"`
	Steps       []Step `json:"steps"`
	// Placeholders are the ids in inputs that are known only when their resources exist: ${vpc}.
	Placeholders []string            `json:"placeholders"`
	Time         *Time               `json:"time,omitempty"`
	Cost         *cost.Estimate      `json:"cost,omitempty"`
	Findings     []preflight.Finding `json:"preflight"`
	Notes        []string            `json:"notes"`
}

// Step is calls that are made in parallel, but for those of one queue.
type Step struct {
	Number int    `json:"number"`
	Name   string `json:"name"`
	Calls  []Call `json:"calls"`
}

// Call is one call of an API.
type Call struct {
	Resource string      `json:"resource"`
	Effect   plan.Effect `json:"effect"`
	API      string      `json:"api"`
	Does     string      `json:"does"`
	Queue    string      `json:"queue,omitempty"`
	Input    fleet.Props `json:"input"`
}

// Time is how long a plan should take, in seconds.
type Time struct {
	Expected   int      `json:"expectedSeconds"`   // of the longest chain of what needs one another
	Sequential int      `json:"sequentialSeconds"` // if nothing ran in parallel
	Path       []string `json:"path"`              // that chain
}

// NewPlan shows a plan for a cluster. What is not in a plan (time, cost, findings) is filled in by the caller.
func NewPlan(s fleet.ClusterSpec, status string, p plan.Plan) Plan {
	v := Plan{
		Cluster: s.Name, Region: s.Region, Status: status, OK: p.Outcome != "Failed", NothingToDo: p.Empty() && p.Outcome != "Failed",
		Reason: p.Reason, Calls: p.Len(), Steps: []Step{}, Placeholders: []string{}, Findings: []preflight.Finding{}, Notes: append([]string{}, p.Notes...),
	}
	var ids []string
	for i, step := range p.Steps {
		shown := Step{Number: i + 1, Name: step.Name}
		for _, a := range step.Actions {
			if c, ok := a.(plan.Call); ok {
				shown.Calls = append(shown.Calls, Call{c.ID, c.Effect, c.API, c.Does, c.Queue, c.Input})
				ids = append(ids, c.ID)
			}
		}
		v.Steps = append(v.Steps, shown)
	}
	for _, step := range v.Steps {
		for _, c := range step.Calls {
			v.Placeholders = placeholders(v.Placeholders, c.Input, ids)
		}
	}
	slices.Sort(v.Placeholders)
	return v
}

// placeholders adds those in a value to a list. ${aws:username} in a policy is IAM's: only resources of the plan count.
func placeholders(list []string, v any, ids []string) []string {
	switch v := v.(type) {
	case string:
		for _, part := range strings.Split(v, "${")[1:] {
			name, _, _ := strings.Cut(part, "}")
			ours := slices.ContainsFunc(ids, func(id string) bool { return name == id || strings.HasPrefix(name, id+".") })
			if full := plan.Unknown(name); ours && !slices.Contains(list, full) {
				list = append(list, full)
			}
		}
	case fleet.Props:
		for _, item := range v {
			list = placeholders(list, item, ids)
		}
	case []any:
		for _, item := range v {
			list = placeholders(list, item, ids)
		}
	}
	return list
}

var marks = map[plan.Effect]string{plan.Create: "+", plan.Change: "~", plan.Delete: "-"}

// Text writes the plan for people; full with the input of each call.
func (v Plan) Text(w io.Writer, full bool) error {
	now := "it does not exist yet"
	if v.Status != "" {
		now = "it is " + v.Status
	}
	fmt.Fprintf(w, "cluster %s in %s (%s)\n", v.Cluster, v.Region, now)
	fmt.Fprintf(w, "%s\n", v.Reason)
	if err := v.steps(w, full); err != nil {
		return err
	}
	if len(v.Placeholders) > 0 {
		fmt.Fprintf(w, "\nknown only when it is made: %s\n", strings.Join(v.Placeholders, " "))
	}
	if v.Time != nil && !v.NothingToDo {
		fmt.Fprintf(w, "\ntime: about %s (%s if nothing ran in parallel); the longest way is %s\n",
			minutes(v.Time.Expected), minutes(v.Time.Sequential), strings.Join(v.Time.Path, " → "))
	}
	v.costs(w)
	v.findings(w)
	if len(v.Notes) > 0 {
		fmt.Fprintln(w, "\nnotes:")
		for _, n := range v.Notes {
			fmt.Fprintf(w, "  - %s\n", indent(n, "    "))
		}
	}
	if !v.OK {
		fmt.Fprintln(w, "\nthis would fail: see above")
	}
	return nil
}

func (v Plan) steps(w io.Writer, full bool) error {
	wide := 0
	for _, s := range v.Steps {
		for _, c := range s.Calls {
			wide = max(wide, len(c.API))
		}
	}
	for _, s := range v.Steps {
		how := count(len(s.Calls), "call")
		if len(s.Calls) > 1 {
			how += " in parallel"
		}
		fmt.Fprintf(w, "\n%d. %s (%s)\n", s.Number, s.Name, how)
		for _, c := range s.Calls {
			fmt.Fprintf(w, "   %s %-*s  %s%s\n", marks[c.Effect], wide, c.API, c.Does, s.queued(c))
			if !full {
				continue
			}
			text, err := json.MarshalIndent(c.Input, "       ", "  ")
			if err != nil {
				return err
			}
			fmt.Fprintf(w, "       %s\n", text)
		}
	}
	return nil
}

// queued tells that calls of the step wait for one another.
func (s Step) queued(c Call) string {
	n := 0
	for _, other := range s.Calls {
		if c.Queue != "" && other.Queue == c.Queue {
			n++
		}
	}
	if n < 2 {
		return ""
	}
	return " (one at a time)"
}

func minutes(seconds int) string {
	d := time.Duration(seconds) * time.Second
	if d < time.Minute {
		return short(d)
	}
	return fmt.Sprintf("%d min", int(d.Round(time.Minute).Minutes()))
}

// costs writes what the cluster costs while nothing happens.
func (v Plan) costs(w io.Writer) {
	if v.Cost == nil {
		return
	}
	fmt.Fprintln(w, "\ncost at rest, in USD:")
	rows := [][]string{{"  ", "", "an hour, each", "a month"}}
	var sources []string
	for _, l := range v.Cost.Lines {
		hour, month := "not known", ""
		if l.Known {
			hour, month = dollars(l.Hourly, 4), dollars(l.Monthly, 2)
			if from := strings.TrimSuffix(l.Source+" of "+l.AsOf, " of "); !slices.Contains(sources, from) {
				sources = append(sources, from)
			}
		}
		rows = append(rows, []string{"  " + l.What, strings.TrimSpace(fmt.Sprintf("%g %s", l.Quantity, l.Unit)), hour, month})
	}
	table(w, append(rows, []string{"  together", "", "", dollars(v.Cost.Monthly, 2)}))
	if len(sources) > 0 {
		fmt.Fprintf(w, "  prices: %s\n", strings.Join(sources, "; "))
	}
	fmt.Fprintf(w, "  not counted: %s\n", strings.Join(v.Cost.NotCounted, "; "))
}

// dollars is a price, or the least and the most of it.
func dollars(r [2]float64, digits int) string {
	low, high := fmt.Sprintf("%.*f", digits, r[0]), fmt.Sprintf("%.*f", digits, r[1])
	if low == high {
		return low
	}
	return low + " to " + high
}

func (v Plan) findings(w io.Writer) {
	if len(v.Findings) == 0 {
		return
	}
	fmt.Fprintln(w, "\npreflight:")
	for _, f := range v.Findings {
		fmt.Fprintf(w, "  %s: %s: %s [%s]\n", f.Severity, f.Resource, f.Text, f.Code)
		if f.Fix != "" {
			fmt.Fprintf(w, "      %s\n", f.Fix)
		}
	}
}
