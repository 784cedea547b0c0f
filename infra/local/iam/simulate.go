package iam

import (
	"net/http"
	"regexp"
	"strings"

	"github.com/ekspedite/ekspedite/infra/local/iam/policy"
	"github.com/ekspedite/ekspedite/infra/local/wire"
)

type contextEntry struct {
	ContextKeyName   string
	ContextKeyValues []string
	ContextKeyType   string
}

type matchedStatement struct{ SourcePolicyId, SourcePolicyType string }

type boundaryDetail struct{ AllowedByPermissionsBoundary bool }

type simulation struct {
	EvalActionName, EvalResourceName, EvalDecision string
	MatchedStatements                              []matchedStatement `xml:"MatchedStatements>member"`
	MissingContextValues                           []string           `xml:"MissingContextValues>member"`
	PermissionsBoundaryDecisionDetail              *boundaryDetail    `xml:",omitempty"`
}

// simulateOps are the policy simulator: the evaluation that calls get, without a call.
func (s *Service) simulateOps() []wire.Op {
	return []wire.Op{
		s.op("SimulatePrincipalPolicy", func(in *request) []wire.Need {
			return []wire.Need{{Action: "iam:SimulatePrincipalPolicy", Resource: in.PolicySourceArn}}
		}, s.simulatePrincipal),
		s.op("SimulateCustomPolicy", needs("iam:SimulateCustomPolicy", "*"), func(in *request) (any, error) {
			return s.simulate(in, wire.Principal{Account: s.w.Account, ARN: s.arn("root")}, nil, nil)
		}),
	}
}

var entityARN = regexp.MustCompile(`^arn:aws:iam::\d{12}:(user|group|role)/`)

func (s *Service) simulatePrincipal(in *request) (any, error) {
	if !entityARN.MatchString(in.PolicySourceArn) {
		return nil, wire.Errf("InvalidInput", "Invalid Entity Arn: %s does not clearly define entity type and name.", in.PolicySourceArn)
	}
	r, err := s.roleByARN(in.PolicySourceArn)
	if err != nil {
		return nil, notFound("The role with name %s cannot be found.", baseName(in.PolicySourceArn))
	}
	identity, boundary := s.documents(r)
	return s.simulate(in, wire.Principal{Account: s.w.Account, ARN: r.arn, RoleARN: r.arn, UserID: r.id}, identity, boundary)
}

func (s *Service) simulate(in *request, who wire.Principal, identity []policy.Document, boundary *policy.Document) (any, error) {
	if in.ResourceHandlingOption != "" || in.ResourceOwner != "" {
		return nil, wire.Errf("NotImplemented", "the policy simulator: the embedded cloud does not implement ResourceHandlingOption and ResourceOwner").WithStatus(http.StatusNotImplemented)
	}
	if len(in.ActionNames) == 0 {
		return nil, wire.Errf("ValidationError", "1 validation error detected: Value at 'actionNames' failed to satisfy constraint: Member must not be null")
	}
	for _, raw := range in.PolicyInputList {
		t, err := parse("PolicyInputList", raw, policy.Identity)
		if err != nil {
			return nil, err
		}
		identity = append(identity, t.doc)
	}
	for _, raw := range in.PermissionsBoundaryPolicyInputList { // at most one, which takes the place of the role's own
		t, err := parse("PermissionsBoundaryPolicyInputList", raw, policy.Identity)
		if err != nil {
			return nil, err
		}
		boundary = &t.doc
	}
	var resource *policy.Document
	if in.ResourcePolicy != "" {
		t, err := parse("ResourcePolicy", in.ResourcePolicy, policy.Resource)
		if err != nil {
			return nil, err
		}
		resource = &t.doc
	}
	ctx := map[string][]string{}
	for _, e := range in.ContextEntries {
		ctx[e.ContextKeyName] = e.ContextKeyValues
	}
	resources := in.ResourceArns
	if len(resources) == 0 {
		resources = []string{"*"}
	}
	var out []simulation
	for _, action := range in.ActionNames {
		for _, arn := range resources {
			request := s.request(who, wire.Need{Action: action, Resource: arn, Context: ctx})
			res := simulated(action, arn, policy.Evaluate(identity, boundary, resource, request))
			if boundary != nil {
				within := policy.Evaluate([]policy.Document{*boundary}, nil, nil, request)
				res.PermissionsBoundaryDecisionDetail = &boundaryDetail{within.Allowed}
			}
			out = append(out, res)
		}
	}
	list, p, err := pageAt(out, in.Marker, in.MaxItems)
	return struct {
		EvaluationResults []simulation `xml:"EvaluationResults>member"`
		Page
	}{list, p}, err
}

func simulated(action, arn string, d policy.Decision) simulation {
	res := simulation{EvalActionName: action, EvalResourceName: arn, EvalDecision: "implicitDeny"}
	matched := d.Granted
	switch {
	case d.Allowed:
		res.EvalDecision = "allowed"
	case d.Denied != nil:
		res.EvalDecision, matched = "explicitDeny", []policy.Match{*d.Denied}
	}
	for _, m := range matched {
		name, kind := m.Document, "IAM Policy"
		if inline, ok := strings.CutPrefix(name, "inline/"); ok {
			name = inline
		}
		if name == "ResourcePolicy" {
			kind = "Resource Policy"
		}
		res.MatchedStatements = append(res.MatchedStatements, matchedStatement{name, kind})
	}
	return res
}
