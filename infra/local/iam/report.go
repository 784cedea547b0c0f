package iam

import (
	"cmp"
	"slices"
	"strings"

	"github.com/ekspedite/ekspedite/infra/local/iam/policy"
	"github.com/ekspedite/ekspedite/infra/local/wire"
)

// Grant is one pair of patterns of one statement that a role has, and how many calls it allowed. A call that several
// grants allow counts for each.
type Grant struct {
	RoleARN  string `json:"role"`
	Policy   string `json:"policy"` // "inline/NAME" or the managed policy's ARN
	Sid      string `json:"sid,omitempty"`
	Index    int    `json:"statement"`
	Action   string `json:"action"`   // pattern
	Resource string `json:"resource"` // pattern
	Calls    int    `json:"calls"`
}

// Denial is a permission that a role asked for and did not have.
type Denial struct {
	RoleARN  string `json:"role"`
	Action   string `json:"action"`
	Resource string `json:"resource"`
	Reason   string `json:"reason"`
	Calls    int    `json:"calls"`
}

func grant(roleARN string, m policy.Match) Grant {
	return Grant{RoleARN: roleARN, Policy: m.Document, Sid: m.Sid, Index: m.Index, Action: m.Action, Resource: m.Resource}
}

// count notes a decision. The caller holds s.mu.
func (s *Service) count(roleARN string, need wire.Need, d policy.Decision) {
	if !d.Allowed {
		s.denials[Denial{RoleARN: roleARN, Action: need.Action, Resource: need.Resource, Reason: d.Reason}]++
		return
	}
	for _, m := range d.Granted {
		s.used[grant(roleARN, m)]++
	}
}

// Report lists every grant of every role with its use; and those that allowed calls and have been taken away since.
func (s *Service) Report() []Grant {
	s.mu.Lock()
	defer s.mu.Unlock()
	seen := map[Grant]bool{}
	var out []Grant
	add := func(g Grant) {
		if seen[g] {
			return
		}
		seen[g] = true
		g.Calls = s.used[g]
		out = append(out, g)
	}
	for _, r := range s.roles {
		docs, _ := s.documents(r)
		for _, d := range docs {
			for _, m := range d.Patterns() {
				add(grant(r.arn, m))
			}
		}
	}
	for g := range s.used {
		add(g)
	}
	slices.SortFunc(out, func(a, b Grant) int {
		return cmp.Or(cmp.Compare(a.RoleARN, b.RoleARN), cmp.Compare(a.Policy, b.Policy), cmp.Compare(a.Index, b.Index),
			cmp.Compare(a.Action, b.Action), cmp.Compare(a.Resource, b.Resource))
	})
	return out
}

// Unused lists the grants that allowed no call. AWS's own policies are not among them: nobody can make those narrower.
func (s *Service) Unused() []Grant {
	return slices.DeleteFunc(s.Report(), func(g Grant) bool {
		return g.Calls > 0 || strings.HasPrefix(g.Policy, awsPrefix)
	})
}

// Denied lists what was asked for and not granted.
func (s *Service) Denied() []Denial {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Denial
	for d, n := range s.denials {
		d.Calls = n
		out = append(out, d)
	}
	slices.SortFunc(out, func(a, b Denial) int {
		return cmp.Or(cmp.Compare(a.RoleARN, b.RoleARN), cmp.Compare(a.Action, b.Action), cmp.Compare(a.Resource, b.Resource), cmp.Compare(a.Reason, b.Reason))
	})
	return out
}
