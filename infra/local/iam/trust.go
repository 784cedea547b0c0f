package iam

import (
	"fmt"

	"github.com/ekspedite/ekspedite/infra/local/iam/policy"
)

// CheckTrustFor tells whether a role's trust policy lets a service do all of the actions, such as sts:AssumeRole and
// sts:TagSession, on behalf of a resource.
func (s *Service) CheckTrustFor(roleARN, servicePrincipal, sourceARN string, actions ...string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, err := s.usableRole(roleARN)
	if err != nil {
		return err
	}
	for _, action := range actions {
		d := policy.Trusts(r.trust, policy.Request{
			Principal: policy.Principal{Service: servicePrincipal}, Action: action, Resource: roleARN,
			Context: map[string][]string{"aws:SourceAccount": {s.w.Account}, "aws:SourceArn": {sourceARN}},
		})
		if !d.Allowed {
			return fmt.Errorf("the trust policy of the role %s does not allow %s to %s", roleARN, action, servicePrincipal)
		}
	}
	return nil
}
