package policy

import (
	"fmt"
	"slices"
	"strings"
)

// Principal is who makes a request, as policies name it. Exactly one of ARN and Service is set.
type Principal struct {
	Account string
	ARN     string // of a role session, a role or a user
	RoleARN string // the role behind a session
	Service string // an AWS service: "events.amazonaws.com"
}

// Request is what policies are evaluated against.
type Request struct {
	Principal Principal
	Action    string
	Resource  string // an ARN, or "*" where the action has no resource level; "" when a trust policy is evaluated
	// Context has the condition keys of the request, global ones included. Case does not matter in keys.
	Context map[string][]string
}

// Match is one statement that applied, with the patterns by which it did.
type Match struct {
	Document string
	Sid      string
	Index    int
	Action   string // pattern: "sqs:*"; of NotAction, "not sqs:*"
	Resource string
}

func (m Match) String() string {
	name := m.Sid
	if name == "" {
		name = fmt.Sprintf("statement %d", m.Index)
	}
	return m.Document + " " + name
}

// Decision is the outcome of an evaluation.
type Decision struct {
	Allowed bool
	// Granted are all the identity and resource statements that allow the request, each pair of patterns by itself.
	Granted []Match
	// Denied is the statement that denies explicitly.
	Denied *Match
	// Reason says why not, in the words of AWS's access-denied messages; empty when allowed.
	Reason string
}

// Evaluate decides as IAM does within one account: an explicit deny anywhere wins; then the identity's documents (within
// the boundary) or the resource's document must allow; otherwise the request is denied implicitly.
//
// A resource policy that allows a service, a session or everybody grants on its own. One that allows a role is still
// limited by the role's boundary. One that allows the account delegates to the account: the identity must allow too.
func Evaluate(identity []Document, boundary *Document, resource *Document, r Request) Decision {
	ctx := values{}
	for k, v := range r.Context {
		ctx[strings.ToLower(k)] = v
	}
	var d Decision
	deny := func(doc *Document, kind string) bool {
		m := doc.matches(r, ctx, false, nil)
		if len(m) == 0 {
			return false
		}
		d = Decision{Denied: &m[0], Reason: fmt.Sprintf("with an explicit deny in %s", kind)}
		return true
	}
	for i := range identity {
		if deny(&identity[i], "an identity-based policy") {
			return d
		}
	}
	if boundary != nil && deny(boundary, "a permissions boundary") || resource != nil && deny(resource, "a resource-based policy") {
		return d
	}
	var byIdentity, byResource []Match
	for i := range identity {
		byIdentity = append(byIdentity, identity[i].matches(r, ctx, true, nil)...)
	}
	within := boundary == nil || len(boundary.matches(r, ctx, true, nil)) > 0
	if resource != nil {
		byResource = resource.matches(r, ctx, true, func(p *Principals) bool { return p.grants(r.Principal, within) })
	}
	switch {
	case len(byIdentity) > 0 && within, len(byResource) > 0:
		if !within {
			byIdentity = nil
		}
		return Decision{Allowed: true, Granted: append(byIdentity, byResource...)}
	case len(byIdentity) > 0:
		return Decision{Reason: fmt.Sprintf("because no permissions boundary allows the %s action", r.Action)}
	case r.Principal.Service != "":
		return Decision{Reason: fmt.Sprintf("because no resource-based policy allows the %s action", r.Action)}
	}
	return Decision{Reason: fmt.Sprintf("because no identity-based policy allows the %s action", r.Action)}
}

// Trusts tells whether a role's trust policy lets the principal do the action. The account as principal counts as trust:
// whether the caller's own policies allow it is a question of its own.
func Trusts(trust Document, r Request) Decision {
	ctx := values{}
	for k, v := range r.Context {
		ctx[strings.ToLower(k)] = v
	}
	if m := trust.matches(r, ctx, false, nil); len(m) > 0 {
		return Decision{Denied: &m[0], Reason: "with an explicit deny in the role trust policy"}
	}
	if m := trust.matches(r, ctx, true, nil); len(m) > 0 {
		return Decision{Allowed: true, Granted: m}
	}
	return Decision{Reason: fmt.Sprintf("because no role trust policy allows the %s action", r.Action)}
}

// TrustsOnlyAccount tells whether all of a decision's grants are delegations to the account rather than to the principal.
func TrustsOnlyAccount(trust Document, p Principal, d Decision) bool {
	return !slices.ContainsFunc(d.Granted, func(m Match) bool {
		s := trust.Statements[m.Index]
		return s.Principals == nil || s.Principals.grants(p, true)
	})
}

// matches lists the pairs of patterns by which the document's statements of one effect apply. grants, when given,
// replaces the test of the principal for statements that have a Principal.
func (d *Document) matches(r Request, ctx values, allow bool, grants func(*Principals) bool) []Match {
	variables := d.Version == "2012-10-17"
	var out []Match
	for i := range d.Statements {
		s := &d.Statements[i]
		if s.Allow != allow || !s.principal(r.Principal, grants) {
			continue
		}
		actions := applying(s.Actions, s.NotActions, func(p string) bool { return matchAction(p, r.Action) })
		resources := []string{""}
		if s.Resources != nil || s.NotResources != nil {
			resources = applying(s.Resources, s.NotResources, func(p string) bool { return matchResource(p, r.Resource, variables, ctx) })
		}
		if len(actions) == 0 || len(resources) == 0 {
			continue
		}
		if slices.ContainsFunc(s.Conditions, func(c Condition) bool { return !c.holds(ctx, variables) }) {
			continue
		}
		for _, a := range actions {
			for _, res := range resources {
				out = append(out, Match{Document: d.Name, Sid: s.Sid, Index: s.Index, Action: a, Resource: res})
			}
		}
	}
	return out
}

// Patterns lists every pair of patterns of the document's Allow statements: what it grants.
func (d *Document) Patterns() []Match {
	var out []Match
	for _, s := range d.Statements {
		if !s.Allow {
			continue
		}
		for _, a := range listed(s.Actions, s.NotActions) {
			for _, res := range listed(s.Resources, s.NotResources) {
				out = append(out, Match{Document: d.Name, Sid: s.Sid, Index: s.Index, Action: a, Resource: res})
			}
		}
	}
	return out
}

func listed(list, not []string) []string {
	if list != nil {
		return list
	}
	return []string{notText(not)}
}

func notText(not []string) string { return "not " + strings.Join(not, ", ") }

// applying lists the patterns that match; or, for a Not… element, one text if none does.
func applying(list, not []string, match func(string) bool) []string {
	if list == nil {
		if slices.ContainsFunc(not, match) {
			return nil
		}
		return []string{notText(not)}
	}
	var out []string
	for _, p := range list {
		if match(p) {
			out = append(out, p)
		}
	}
	return out
}

func (s *Statement) principal(who Principal, grants func(*Principals) bool) bool {
	switch {
	case s.NotPrincipals != nil:
		return !s.NotPrincipals.names(who)
	case s.Principals == nil:
		return true // an identity document
	case grants != nil:
		return grants(s.Principals)
	}
	return s.Principals.names(who)
}

// names tells whether a Principal element covers who.
func (p *Principals) names(who Principal) bool {
	if who.Service != "" {
		return p.Any || slices.Contains(p.List["Service"], who.Service)
	}
	return p.Any || p.direct(who) || p.role(who) || p.account(who)
}

func (p *Principals) direct(who Principal) bool {
	return slices.Contains(p.List["AWS"], who.ARN)
}

func (p *Principals) role(who Principal) bool {
	return who.RoleARN != "" && slices.Contains(p.List["AWS"], who.RoleARN)
}

func (p *Principals) account(who Principal) bool {
	return slices.Contains(p.List["AWS"], who.Account) || slices.Contains(p.List["AWS"], "arn:aws:iam::"+who.Account+":root")
}

// grants tells whether an allowing Principal element of a resource policy is enough by itself.
func (p *Principals) grants(who Principal, withinBoundary bool) bool {
	if who.Service != "" {
		return p.names(who)
	}
	return p.Any || p.direct(who) || p.role(who) && withinBoundary
}
