package eks

import (
	"context"
	"slices"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/wire"
)

const (
	policyPrefix       = "arn:aws:eks::aws:cluster-access-policy/"
	clusterAdminPolicy = policyPrefix + "AmazonEKSClusterAdminPolicy"
)

// accessPolicies are those that EKS offers for people and programs; the others serve EKS's own parts.
var accessPolicies = []string{"AmazonEKSAdminPolicy", "AmazonEKSAdminViewPolicy", "AmazonEKSClusterAdminPolicy", "AmazonEKSEditPolicy", "AmazonEKSViewPolicy"}

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

// associate takes AmazonEKSClusterAdminPolicy for the whole cluster, which is the group system:masters. EKS enforces the
// others with an authorizer of its own inside the API server; pretending would grant too much or too little.
func (s *Service) associate(_ context.Context, _ *wire.Call, in *associateIn) (*associateOut, error) {
	if !slices.ContainsFunc(accessPolicies, func(n string) bool { return policyPrefix+n == in.PolicyARN }) {
		return nil, invalidParameter(in.Name, "The specified policyArn is invalid: %s", in.PolicyARN)
	}
	switch {
	case in.AccessScope.Type == "cluster" && len(in.AccessScope.Namespaces) > 0:
		return nil, invalidParameter(in.Name, "The accessScope of type cluster cannot have namespaces")
	case in.AccessScope.Type != "cluster" && in.AccessScope.Type != "namespace":
		return nil, invalidParameter(in.Name, "The accessScope type must be one of cluster, namespace")
	case in.PolicyARN != clusterAdminPolicy || in.AccessScope.Type != "cluster":
		return nil, unsupported("access policy %s with %s scope; it has AmazonEKSClusterAdminPolicy with cluster scope, or give the access entry kubernetesGroups and bind them with RBAC", in.PolicyARN, in.AccessScope.Type)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c, e, err := s.entryOf(in.Name, in.PrincipalARN)
	if err != nil {
		return nil, err
	}
	if e.kind != "STANDARD" {
		return nil, invalidRequest(c.name, "Access policies cannot be associated with an access entry of type %s", e.kind)
	}
	now := time.Now()
	a := e.policies[in.PolicyARN]
	if a == nil {
		a = &association{at: now}
		e.policies[in.PolicyARN] = a
	}
	a.scope, a.modified = accessScope{Type: in.AccessScope.Type, Namespaces: []string{}}, now
	return &associateOut{c.name, e.principal, a.view(in.PolicyARN)}, nil
}

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
	part, next, err := page(accessPolicies, in.MaxResults, in.NextToken)
	if err != nil {
		return nil, err
	}
	out := &listPoliciesOut{NextToken: next}
	for _, n := range part {
		out.AccessPolicies = append(out.AccessPolicies, accessPolicy{n, policyPrefix + n})
	}
	return out, nil
}
