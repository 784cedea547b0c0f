package iam

import (
	"context"
	"strings"

	"github.com/ekspedite/ekspedite/infra/local/iam/policy"
	"github.com/ekspedite/ekspedite/infra/local/wire"
)

type contextEntry struct {
	ContextKeyName   string
	ContextKeyValues []string
	ContextKeyType   string
}

// userOps are GetUser, which knows the root user only, and the policy simulator.
func (s *Service) userOps() []wire.Op {
	return []wire.Op{
		wire.Handle("GetUser", wire.On[request]("iam:GetUser", s.arn("user/*")), func(_ context.Context, c *wire.Call, in *request) (*answer, error) {
			if in.UserName != "" {
				return nil, notFound("The user with name %s cannot be found.", in.UserName)
			}
			if !c.Caller.Root {
				return nil, wire.Errf("ValidationError", "Must specify userName when calling with non-User credentials")
			}
			type user struct{ UserId, Arn string }
			return &answer{struct{ User user }{user{s.w.Account, s.arn("root")}}}, nil
		}),
		s.op("SimulatePrincipalPolicy", func(in *request) []wire.Need {
			return []wire.Need{{Action: "iam:SimulatePrincipalPolicy", Resource: in.PolicySourceArn}}
		}, s.simulate),
	}
}

func (s *Service) simulate(in *request) (any, error) {
	r, err := s.roleByARN(in.PolicySourceArn)
	if err != nil {
		return nil, notFound("%v", err)
	}
	identity, boundary := s.documents(r)
	for _, raw := range in.PolicyInputList {
		t, err := parse("PolicyInputList", raw, policy.Identity)
		if err != nil {
			return nil, err
		}
		identity = append(identity, t.doc)
	}
	ctx := map[string][]string{}
	for _, e := range in.ContextEntries {
		ctx[e.ContextKeyName] = e.ContextKeyValues
	}
	resources := in.ResourceArns
	if len(resources) == 0 {
		resources = []string{"*"}
	}
	type statement struct{ SourcePolicyId string }
	type result struct {
		EvalActionName, EvalResourceName, EvalDecision string
		MatchedStatements                              []statement `xml:"MatchedStatements>member"`
	}
	var out []result
	who := wire.Principal{Account: s.w.Account, ARN: r.arn, RoleARN: r.arn, UserID: r.id}
	for _, action := range in.ActionNames {
		for _, resource := range resources {
			d := policy.Evaluate(identity, boundary, nil, s.request(who, wire.Need{Action: action, Resource: resource, Context: ctx}))
			res := result{EvalActionName: action, EvalResourceName: resource, EvalDecision: "implicitDeny"}
			matched := d.Granted
			switch {
			case d.Allowed:
				res.EvalDecision = "allowed"
			case d.Denied != nil:
				res.EvalDecision, matched = "explicitDeny", []policy.Match{*d.Denied}
			}
			for _, m := range matched {
				res.MatchedStatements = append(res.MatchedStatements, statement{strings.TrimPrefix(m.Document, "inline/")})
			}
			out = append(out, res)
		}
	}
	return struct {
		EvaluationResults []result `xml:"EvaluationResults>member"`
		Page
	}{EvaluationResults: out}, nil
}
