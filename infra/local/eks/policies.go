package eks

import (
	"context"
	"regexp"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/wire"
)

const (
	policyPrefix       = "arn:aws:eks::aws:cluster-access-policy/"
	clusterAdminPolicy = policyPrefix + "AmazonEKSClusterAdminPolicy"
)

type associateIn struct {
	Name         string      `json:"-" path:"name"`
	PrincipalARN string      `json:"-" path:"principalArn"`
	PolicyARN    string      `json:"policyArn"`
	AccessScope  accessScope `json:"accessScope"`
}

type disassociateIn struct {
	Name         string `json:"-" path:"name"`
	PrincipalARN string `json:"-" path:"principalArn"`
	PolicyARN    string `json:"-" path:"policyArn"`
}

type listAssociatedIn struct {
	Name         string `json:"-" path:"name"`
	PrincipalARN string `json:"-" path:"principalArn"`
	MaxResults   *int   `json:"-" param:"maxResults"`
	NextToken    string `json:"-" param:"nextToken"`
}

type associationShape struct {
	PolicyARN    string      `json:"policyArn"`
	AccessScope  accessScope `json:"accessScope"`
	AssociatedAt *wire.Time  `json:"associatedAt"`
	ModifiedAt   *wire.Time  `json:"modifiedAt"`
}

type associateOut struct {
	ClusterName            string           `json:"clusterName"`
	PrincipalARN           string           `json:"principalArn"`
	AssociatedAccessPolicy associationShape `json:"associatedAccessPolicy"`
}

type listAssociatedOut struct {
	ClusterName              string             `json:"clusterName"`
	PrincipalARN             string             `json:"principalArn"`
	AssociatedAccessPolicies []associationShape `json:"associatedAccessPolicies"`
	NextToken                *string            `json:"nextToken,omitempty"`
}

type accessPolicy struct {
	Name string `json:"name"`
	ARN  string `json:"arn"`
}

type listPoliciesOut struct {
	AccessPolicies []accessPolicy `json:"accessPolicies"`
	NextToken      *string        `json:"nextToken,omitempty"`
}

func (a *association) view(policy string) associationShape {
	return associationShape{policy, a.scope, wire.At(a.at), wire.At(a.modified)}
}

func (s *Service) associate(_ context.Context, _ *wire.Call, in *associateIn) (*associateOut, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c, e, err := s.entryOf(in.Name, in.PrincipalARN)
	if err != nil {
		return nil, err
	}
	if auto := in.PolicyARN == autoNodePolicy; e.kind != standard && !(e.kind == ec2Auto && auto) {
		return nil, invalidRequest(c.name, "Access policies cannot be associated with an access entry of type %s", e.kind)
	} else if auto && e.kind == standard {
		return nil, unsupported("access policy %s for an access entry of type %s", in.PolicyARN, e.kind)
	}
	now := time.Now()
	a := e.policies[in.PolicyARN]
	if a == nil {
		a = &association{at: now}
		e.policies[in.PolicyARN] = a
	}
	a.scope, a.modified = accessScope{Type: in.AccessScope.Type, Namespaces: append([]string{}, in.AccessScope.Namespaces...)}, now
	s.enforce(c)
	s.kick(c.name)
	return &associateOut{c.name, e.principal, a.view(in.PolicyARN)}, nil
}

// check refuses what no access entry can be associated with. A namespace may have wildcards and need not exist.
func (in *associateIn) check() error {
	name := strings.TrimPrefix(in.PolicyARN, policyPrefix)
	p, known := accessPolicies[name]
	scope := in.AccessScope
	switch {
	case !known || name == in.PolicyARN:
		return invalidParameter(in.Name, "The specified policyArn is invalid: %s", in.PolicyARN)
	case scope.Type == "cluster" && len(scope.Namespaces) > 0:
		return invalidParameter(in.Name, "The accessScope of type cluster cannot have namespaces")
	case scope.Type != "cluster" && scope.Type != "namespace":
		return invalidParameter(in.Name, "The accessScope type must be one of cluster, namespace")
	case scope.Type == "namespace" && len(scope.Namespaces) == 0:
		return invalidParameter(in.Name, "The accessScope of type namespace must have at least one namespace")
	case p.serviceLinked:
		return invalidParameter(in.Name, "The access policy %s is designated for AWS service-linked roles only and cannot be used with customer-managed roles", in.PolicyARN)
	case p.rules == nil && in.PolicyARN != autoNodePolicy:
		// AWS publishes what these are for and not what they allow; a guess would grant too much or too little.
		return unsupported("access policy %s: AWS does not publish its rules", in.PolicyARN)
	}
	for _, n := range scope.Namespaces {
		if !namespacePattern.MatchString(n) {
			return invalidParameter(in.Name, "The namespace '%s' in the accessScope is invalid", n)
		}
	}
	return nil
}

var namespacePattern = regexp.MustCompile(`^[a-z0-9*-]{1,63}$`)

func (s *Service) disassociate(_ context.Context, _ *wire.Call, in *disassociateIn) (*empty, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, e, err := s.entryOf(in.Name, in.PrincipalARN)
	if err != nil {
		return nil, err
	}
	if e.policies[in.PolicyARN] == nil {
		return nil, notFound(c.name, "The specified policyArn is not associated with the access entry: %s", in.PolicyARN)
	}
	delete(e.policies, in.PolicyARN)
	s.enforce(c)
	return &empty{}, nil
}

func (s *Service) listAssociated(_ context.Context, _ *wire.Call, in *listAssociatedIn) (*listAssociatedOut, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, e, err := s.entryOf(in.Name, in.PrincipalARN)
	if err != nil {
		return nil, err
	}
	part, next, err := page(sortedKeys(e.policies), in.MaxResults, in.NextToken)
	if err != nil {
		return nil, err
	}
	out := &listAssociatedOut{c.name, e.principal, []associationShape{}, next}
	for _, p := range part {
		out.AssociatedAccessPolicies = append(out.AssociatedAccessPolicies, e.policies[p].view(p))
	}
	return out, nil
}

func (s *Service) listAccessPolicies(_ context.Context, _ *wire.Call, in *listIn) (*listPoliciesOut, error) {
	part, next, err := page(sortedKeys(accessPolicies), in.MaxResults, in.NextToken)
	if err != nil {
		return nil, err
	}
	out := &listPoliciesOut{NextToken: next}
	for _, n := range part {
		out.AccessPolicies = append(out.AccessPolicies, accessPolicy{n, policyPrefix + n})
	}
	return out, nil
}
