package iam_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/ekspedite/ekspedite/infra/local/wire"
)

// A resource's own policy counts besides the caller's; where it must allow, theirs alone is not enough.
func TestResourcePolicies(t *testing.T) {
	s := newIAM()
	arn, who := worker(t, s) // may sqs:SendMessage on orders, and no sqs:DeleteMessage
	queue := "arn:aws:sqs:eu-west-1:123456789012:orders"
	policy := func(effect, principal, action string) []byte {
		return []byte(`{"Version":"2012-10-17","Statement":[{"Effect":"` + effect + `","Principal":{"AWS":"` + principal + `"},"Action":"` + action + `","Resource":"*"}]}`)
	}
	const account = "arn:aws:iam::123456789012:root"
	for name, c := range map[string]struct {
		action string
		policy []byte
		must   bool
		reason string // of the refusal; empty when allowed
	}{
		"identity alone":                    {"sqs:SendMessage", nil, false, ""},
		"neither":                           {"sqs:DeleteMessage", nil, false, "no identity-based policy allows"},
		"the resource allows the role":      {"sqs:DeleteMessage", policy("Allow", arn, "sqs:*"), false, ""},
		"the resource allows the account":   {"sqs:DeleteMessage", policy("Allow", account, "sqs:*"), false, "no identity-based policy allows"},
		"the resource denies":               {"sqs:SendMessage", policy("Deny", "*", "sqs:*"), false, "with an explicit deny in a resource-based policy"},
		"must, and says nothing":            {"sqs:SendMessage", policy("Allow", account, "sqs:PurgeQueue"), true, "no resource-based policy allows"},
		"must, and delegates":               {"sqs:SendMessage", policy("Allow", account, "sqs:*"), true, ""},
		"must, delegates, identity has not": {"sqs:DeleteMessage", policy("Allow", account, "sqs:*"), true, "no identity-based policy allows"},
		"must, and denies":                  {"sqs:SendMessage", policy("Deny", "*", "sqs:*"), true, "with an explicit deny in a resource-based policy"},
		"must, and allows the role":         {"sqs:DeleteMessage", policy("Allow", arn, "sqs:*"), true, ""},
		"a policy that cannot be read":      {"sqs:SendMessage", []byte("{"), false, "cannot be read"},
	} {
		err := s.Authorize(who, wire.Need{Action: c.action, Resource: queue, Policy: c.policy, PolicyMust: c.must})
		var e *wire.Error
		if c.reason == "" && err != nil || c.reason != "" && (!errors.As(err, &e) || !strings.Contains(strings.ToLower(e.Message), strings.ToLower(c.reason))) {
			t.Errorf("%s: %v, want %q", name, err, c.reason)
		}
	}
}

func TestEnsureServiceLinkedRole(t *testing.T) {
	s := newIAM()
	for range 2 {
		if err := s.EnsureServiceLinkedRole("eks-nodegroup.amazonaws.com"); err != nil {
			t.Error(err)
		}
	}
	if err := s.EnsureServiceLinkedRole("nobody.amazonaws.com"); err == nil {
		t.Error("a role for a service that has none")
	}
	role := "arn:aws:iam::123456789012:role/aws-service-role/eks-nodegroup.amazonaws.com/AWSServiceRoleForAmazonEKSNodegroup"
	if err := s.CheckTrust(role, "eks-nodegroup.amazonaws.com"); err != nil { // at once: the service does not wait for itself
		t.Error(err)
	}
}
