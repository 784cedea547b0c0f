// Package preflight finds out, before the first call that changes anything, what would make a cluster's plan fail: quotas,
// addresses, zones, machines, roles, keys, versions, permissions. It is pure: Ask says what has to be known, somebody
// reads that (package observe), and Preflight compares it with the spec and the plan.
package preflight

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/plan"
)

// Severity says what a finding means for the plan.
type Severity string

// The severities.
const (
	Error   Severity = "error"   // the plan cannot succeed
	Warning Severity = "warning" // it may fail, or somebody may be surprised
	Info    Severity = "info"    // what nobody can know before
)

// Finding is something that is wrong, or may go wrong.
type Finding struct {
	Severity Severity `json:"severity"`
	Code     string   `json:"code"`     // stable: "QuotaVPCs"
	Resource string   `json:"resource"` // as the plan names it: "nodegroup/spot"; or "cluster"
	Text     string   `json:"text"`
	Fix      string   `json:"fix,omitempty"` // what to do about it
}

func (f Finding) String() string {
	text := fmt.Sprintf("%s %s (%s): %s", f.Severity, f.Code, f.Resource, f.Text)
	if f.Fix != "" {
		text += "; " + f.Fix
	}
	return text
}

// Failed tells whether there is an error among findings.
func Failed(list []Finding) bool {
	return slices.ContainsFunc(list, func(f Finding) bool { return f.Severity == Error })
}

// Facts is what was read for a plan.
type Facts struct {
	Now     time.Time `json:"now"`
	Account string    `json:"account,omitempty"` // 12 digits; "" where it is not known
	// InVPC: ekspedite's functions are attached to a network from which private endpoints can be reached.
	InVPC bool `json:"inVpc,omitempty"`
	// Role is the ARN of the role that will carry out the plan; "" leaves permissions out.
	Role string `json:"role,omitempty"`
	// Found are the answers; nil Props where there is no such thing.
	Found map[Question]fleet.Props `json:"-"`
	// Unread are the questions to which there is no answer.
	Unread map[Question]Unread `json:"-"`
	// Missing are permissions that the role does not have, of those asked for.
	Missing []Missing `json:"missing,omitempty"`
}

// Unread is why a question has no answer.
type Unread struct {
	Denied bool   `json:"denied,omitempty"`
	Text   string `json:"text"`
}

// Question is something that has to be known. Its name may be a list with commas, which one call answers.
type Question struct {
	Kind string `json:"kind"`
	Name string `json:"name,omitempty"`
}

func (q Question) String() string { return strings.TrimSpace(q.Kind + " " + q.Name) }

// Questions are all that has to be read for a plan.
type Questions struct {
	Facts []Question
	// Permissions that the plan's calls need.
	Permissions []Permission
}

// check collects findings.
type check struct {
	f     Facts
	s     fleet.ClusterSpec
	p     plan.Plan
	calls []plan.Call
	out   []Finding
}

// Ask says what has to be known before a plan is carried out: no more than it needs.
func Ask(f Facts, s fleet.ClusterSpec, p plan.Plan) Questions {
	a := &asker{check: newCheck(f, s, p)}
	a.quotas()
	a.network()
	a.machines()
	a.identity()
	a.versions()
	a.names()
	q := Questions{Facts: a.list}
	if f.Role != "" && f.Account != "" {
		q.Permissions = permissions(a.check)
	}
	return q
}

// Preflight compares what is known with the spec and its plan. Errors come first.
func Preflight(f Facts, s fleet.ClusterSpec, p plan.Plan) []Finding {
	c := newCheck(f, s, p)
	if p.Outcome == "Failed" {
		c.say(Error, "Plan", "cluster", "", "%s", p.Reason)
	}
	c.quotas()
	c.vcpus()
	c.givenVPC()
	c.addresses()
	c.ways()
	c.ranges()
	c.zones()
	c.endpoint()
	c.machines()
	c.identity()
	c.keys()
	c.versions()
	c.names()
	c.permissions()
	c.unread()
	rank := map[Severity]int{Error: 0, Warning: 1, Info: 2}
	slices.SortStableFunc(c.out, func(a, b Finding) int { return cmp.Compare(rank[a.Severity], rank[b.Severity]) })
	return slices.CompactFunc(c.out, func(a, b Finding) bool { return a == b })
}

func newCheck(f Facts, s fleet.ClusterSpec, p plan.Plan) check {
	c := check{f: f, s: s, p: p}
	for _, step := range p.Steps {
		for _, a := range step.Actions {
			if call, ok := a.(plan.Call); ok {
				c.calls = append(c.calls, call)
			}
		}
	}
	return c
}

func (c *check) say(severity Severity, code, resource, fix, format string, args ...any) {
	f := Finding{Severity: severity, Code: code, Resource: resource, Text: fmt.Sprintf(format, args...), Fix: fix}
	if !slices.Contains(c.out, f) {
		c.out = append(c.out, f)
	}
}

// fact is the answer to a question. read is false when nobody knows; p is nil when there is no such thing.
func (c *check) fact(kind, name string) (p fleet.Props, read bool) {
	p, read = c.f.Found[Question{kind, name}]
	return p, read
}

// made are the plan's calls of an operation.
func (c *check) made(api string) (out []plan.Call) {
	for _, call := range c.calls {
		if call.API == api {
			out = append(out, call)
		}
	}
	return out
}

// creates tells whether the plan makes the control plane.
func (c *check) creates() bool { return len(c.made("eks:CreateCluster")) > 0 }

// groups are the node groups that the plan makes, by the calls that make them.
func (c *check) groups() (out []fleet.NodeGroupSpec) {
	for _, g := range c.s.NodeGroups {
		if slices.ContainsFunc(c.calls, func(call plan.Call) bool {
			return makesGroup(call) && call.ID[strings.IndexByte(call.ID, '/')+1:] == g.Name
		}) {
			out = append(out, g)
		}
	}
	return out
}

func makesGroup(c plan.Call) bool {
	return c.API == "eks:CreateNodegroup" || c.API == "autoscaling:CreateAutoScalingGroup"
}

// groupCall is the call that makes a node group.
func (c *check) groupCall(name string) plan.Call {
	for _, call := range c.calls {
		if makesGroup(call) && call.ID[strings.IndexByte(call.ID, '/')+1:] == name {
			return call
		}
	}
	return plan.Call{}
}

// groupSubnets are where a group's nodes go: EKS takes a list, Auto Scaling one string.
func (c *check) groupSubnets(g fleet.NodeGroupSpec) []string {
	call := c.groupCall(g.Name)
	if zones := fleet.Text(call.Input, "vpcZoneIdentifier"); zones != "" {
		return strings.Split(zones, ",")
	}
	return fleet.Texts(call.Input, "subnets")
}

func groupID(g fleet.NodeGroupSpec) string { return "nodegroup/" + g.Name }

// asker collects questions.
type asker struct {
	check
	list []Question
}

func (a *asker) ask(kind, name string) {
	if q := (Question{kind, name}); !slices.Contains(a.list, q) && !plan.IsUnknown(name) {
		a.list = append(a.list, q)
	}
}

// askAll asks for a list in one question; for nothing if it is empty.
func (a *asker) askAll(kind string, names []string) {
	if name := joined(names); name != "" {
		a.ask(kind, name)
	}
}

// joined is a list as a question's name: each once, in their order, without what is not known yet.
func joined(names []string) string {
	list := slices.Compact(slices.Sorted(slices.Values(names)))
	return strings.Join(slices.DeleteFunc(list, func(s string) bool { return s == "" || plan.IsUnknown(s) }), ",")
}
