package cluster_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/ekspedite/ekspedite/events"
)

// TestConvergeFull changes, one after another, what can be changed of a cluster that has as much as one can have, with the
// function's permissions. Each change makes the calls that it takes and no others, and the file again makes none.
func TestConvergeFull(t *testing.T) {
	const key = `secretsEncryption: {keyARN: "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"}`
	changes := []struct {
		what, from, to string
		prune          bool
		calls          []string // those that matter
	}{
		{"encryption", "upgradePolicy:", key + "\nupgradePolicy:", false, []string{"eks:AssociateEncryptionConfig"}},
		{"groups of an entry", "kubernetesGroups: [developers]", "kubernetesGroups: [developers, testers]", false, []string{"eks:UpdateAccessEntry"}},
		{"policy of an entry", "AmazonEKSEditPolicy", "AmazonEKSViewPolicy", false, []string{"eks:AssociateAccessPolicy", "eks:DisassociateAccessPolicy"}},
		{"configuration of an add-on", `"enableNetworkPolicy":"true"`, `"enableNetworkPolicy":"false"`, false, []string{"eks:UpdateAddon"}},
		{"role of pods", "AmazonS3ReadOnlyAccess", "CloudWatchAgentServerPolicy", false, []string{"iam:AttachRolePolicy", "iam:DetachRolePolicy"}},
		{"NAT", "HighlyAvailable", "Single", false, []string{"ec2:DeleteNatGateway", "ec2:ReleaseAddress", "ec2:ReplaceRoute"}},
		{"who may ask from afar", "extraCIDRs: [10.43.0.0/16]", "extraCIDRs: [10.44.0.0/16]", false, []string{"ec2:AuthorizeSecurityGroupIngress", "ec2:RevokeSecurityGroupIngress"}},
		{"an add-on, given up", "  - name: eks-pod-identity-agent\n  - name: vpc-cni", "  - name: eks-pod-identity-agent\n  - name: snapshot-controller\n  - name: vpc-cni", false, []string{"eks:CreateAddon"}},
		{"and gone", "  - name: snapshot-controller\n", "", true, []string{"eks:DeleteAddon"}},
		{"an identity provider less", "identityProviders:\n  - {type: oidc, name: people, issuerURL: \"https://login.example.com\", clientID: kubernetes}\n", "", true, []string{"eks:DisassociateIdentityProviderConfig"}},
		{"an entry less", "  accessEntries:", "  accessEntries: []\n  nothing:", true, []string{"eks:DeleteAccessEntry"}},
	}
	inBubble(t, quick, func(t *testing.T, r *rig) {
		r.under(t, parameters)
		defer r.allowed(t)
		given := r.given(example(t, "clusters/full.yaml"))
		at := strings.Index(given, "secretsEncryption:")
		withKey := given[at : at+strings.Index(given[at:], "\n")]
		text := strings.Replace(given, withKey+"\n", "", 1)
		changes[0].to = withKey + "\nupgradePolicy:"
		r.make(text, nil, nil)
		for _, c := range changes {
			next := strings.Replace(text, c.from, c.to, 1)
			if next == text {
				t.Fatalf("%s: the file has no %q", c.what, c.from)
			}
			text = next
			since := len(r.Bus())
			r.Send(&events.ClusterApplyRequested{RequestID: c.what, Spec: text, Prune: c.prune})
			r.run()
			if done := r.ended(); done.Outcome != events.OutcomeActive {
				t.Fatalf("%s: %s\n%s", c.what, done.Reason, last(r.Told(), 8))
			}
			calls := r.calls(since)
			for _, want := range c.calls {
				if !slices.Contains(calls, want) {
					t.Errorf("%s: no %s among %v", c.what, want, calls)
				}
			}
			if strings.Contains(strings.Join(calls, " "), "Create") != strings.Contains(strings.Join(c.calls, " "), "Create") {
				t.Errorf("%s: %v", c.what, calls)
			}
			r.Script.Writes = 0
			r.Send(&events.ClusterApplyRequested{RequestID: c.what + " again", Spec: text, Prune: c.prune})
			r.run()
			if r.Script.Writes != 0 {
				t.Errorf("%s, again: %d writes\n%s", c.what, r.Script.Writes, last(r.Told(), 8))
			}
		}
	})
}
