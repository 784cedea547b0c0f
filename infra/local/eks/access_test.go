package eks

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/wire"
)

func TestAccessEntryTypes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.mustCluster()
		create := func(in createEntryIn) (entryShape, error) {
			in.Name = "c"
			out, err := r.createEntry(t.Context(), asAdmin(), &in)
			if err != nil {
				return entryShape{}, err
			}
			return out.AccessEntry, nil
		}
		const role = "arn:aws:iam::111122223333:role/path/"
		for kind, want := range map[string]struct{ username, group string }{
			ec2Linux: {"system:node:{{EC2PrivateDNSName}}", "system:nodes"}, ec2Windows: {"system:node:{{EC2PrivateDNSName}}", "eks:kube-proxy-windows"},
			fargateLinux: {"system:node:{{SessionName}}", "system:node-proxier"}, ec2Auto: {"system:node:{{EC2PrivateDNSName}}", "system:nodes"},
			hybridLinux: {"system:node:{{SessionName}}", "system:nodes"}, hyperpodLinux: {"system:node:{{SessionName}}", "system:nodes"},
		} {
			e, err := create(createEntryIn{PrincipalARN: role + kind, Type: kind})
			if err != nil || e.Type != kind || e.Username != want.username || !slices.Contains(e.KubernetesGroups, want.group) {
				t.Errorf("%s: %+v, %v", kind, e, err)
			}
			_, err = create(createEntryIn{PrincipalARN: role + kind + "2", Type: kind, KubernetesGroups: []string{"x"}})
			wantError(t, err, "InvalidParameterException", "can only be set if type is STANDARD")
			_, err = create(createEntryIn{PrincipalARN: "arn:aws:iam::111122223333:user/x", Type: kind})
			wantError(t, err, "InvalidParameterException", "must be an IAM role in the cluster's account")
			_, err = create(createEntryIn{PrincipalARN: "arn:aws:iam::444455556666:role/x", Type: kind})
			wantError(t, err, "InvalidParameterException", "must be an IAM role in the cluster's account")
			_, err = r.updateEntry(t.Context(), asAdmin(), &updateEntryIn{Name: "c", PrincipalARN: role + kind, KubernetesGroups: &[]string{"x"}})
			wantError(t, err, "InvalidRequestException", "cannot be updated")
			_, err = r.associate(t.Context(), asAdmin(), &associateIn{"c", role + kind, policyPrefix + "AmazonEKSViewPolicy", accessScope{Type: "cluster"}})
			wantError(t, err, "InvalidRequestException", "Access policies cannot be associated with an access entry of type "+kind)
		}
		_, err := create(createEntryIn{PrincipalARN: role + "x", Type: "EC2_MAC"})
		wantError(t, err, "InvalidParameterException", "EC2_MAC")
		_, err = create(createEntryIn{PrincipalARN: role + "x", Username: "john{{SessionName}}"})
		wantError(t, err, "InvalidParameterException", "colon")
		// Another account's principal may be a STANDARD entry.
		if e, err := create(createEntryIn{PrincipalARN: "arn:aws:iam::444455556666:role/p/x"}); err != nil || e.Username != "arn:aws:sts::444455556666:assumed-role/x/{{SessionName}}" {
			t.Errorf("%+v, %v", e, err)
		}
		if _, err := r.associate(t.Context(), asAdmin(), &associateIn{"c", role + ec2Auto, autoNodePolicy, accessScope{Type: "cluster"}}); err != nil {
			t.Error(err)
		}
		if !r.clusters["c"].entries[role+ec2Auto].isMachine() {
			t.Error("a node of Auto Mode may not join although its role has the policy")
		}
	})
}

func TestAccessPolicyRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.mustCluster()
		for _, tc := range []struct {
			policy        string
			scope         accessScope
			code, message string
		}{
			{"AmazonEKSNothing", accessScope{Type: "cluster"}, "InvalidParameterException", "The specified policyArn is invalid"},
			{"AmazonEKSViewPolicy", accessScope{Type: "galaxy"}, "InvalidParameterException", "cluster, namespace"},
			{"AmazonEKSViewPolicy", accessScope{"cluster", []string{"a"}}, "InvalidParameterException", "cannot have namespaces"},
			{"AmazonEKSViewPolicy", accessScope{Type: "namespace"}, "InvalidParameterException", "at least one namespace"},
			{"AmazonEKSViewPolicy", accessScope{"namespace", []string{"A"}}, "InvalidParameterException", "The namespace 'A'"},
			{"AmazonEKSComputePolicy", accessScope{Type: "cluster"}, "InvalidParameterException", "service-linked roles only"},
			{"AmazonAIOpsAssistantPolicy", accessScope{Type: "cluster"}, "NotImplemented", "AmazonAIOpsAssistantPolicy"},
		} {
			_, err := r.associate(t.Context(), asAdmin(), &associateIn{"c", adminRole, policyPrefix + tc.policy, tc.scope})
			wantError(t, err, tc.code, tc.message)
		}
		list, err := r.listAccessPolicies(t.Context(), asAdmin(), &listIn{})
		if err != nil || len(list.AccessPolicies) != len(accessPolicies) || list.AccessPolicies[0].Name != "AmazonAIOpsAssistantPolicy" {
			t.Errorf("%+v, %v", list, err)
		}
	})
}

func TestAccessPoliciesAreEnforced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.mustCluster()
		const dev = "arn:aws:iam::111122223333:role/dev"
		if _, err := r.createEntry(t.Context(), asAdmin(), &createEntryIn{Name: "c", PrincipalARN: dev, KubernetesGroups: []string{"devs"}}); err != nil {
			t.Fatal(err)
		}
		r.tokens["dev"] = wire.Principal{Account: account, RoleARN: dev, ARN: "arn:aws:sts::111122223333:assumed-role/dev/x"}
		associate := func(policy string, scope accessScope) {
			t.Helper()
			if _, err := r.associate(t.Context(), asAdmin(), &associateIn{"c", dev, policyPrefix + policy, scope}); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		grants := func() []Grant {
			p := r.plane()
			p.mu.Lock()
			defer p.mu.Unlock()
			return p.grants
		}
		associate("AmazonEKSEditPolicy", accessScope{"namespace", []string{"dev-*", "ci"}})
		associate("AmazonEKSViewPolicy", accessScope{Type: "cluster"})
		got := grants()
		if len(got) != 2 || got[0].Policy != "AmazonEKSEditPolicy" || !slices.Equal(got[0].Namespaces, []string{"dev-*", "ci"}) || got[1].Policy != "AmazonEKSViewPolicy" || len(got[1].Namespaces) != 0 {
			t.Fatalf("grants %+v", got)
		}
		time.Sleep(r.w.Profile.Settle)
		if user := r.review("dev").Status.User; !slices.Equal(user.Groups, []string{"devs", got[0].Group}) || !strings.HasPrefix(got[0].Group, "eks:access-entry:") {
			t.Errorf("user %+v", user)
		}
		associate("AmazonEKSEditPolicy", accessScope{"namespace", []string{"ci"}})
		if got := grants(); len(got) != 2 || !slices.Equal(got[0].Namespaces, []string{"ci"}) {
			t.Errorf("another scope: %+v", got)
		}
		associate("AmazonEKSClusterAdminPolicy", accessScope{Type: "cluster"})
		if user := r.review("dev").Status.User; !slices.Contains(user.Groups, "system:masters") {
			t.Errorf("user %+v", user)
		}
		for _, policy := range []string{"AmazonEKSClusterAdminPolicy", "AmazonEKSViewPolicy"} {
			if _, err := r.disassociate(t.Context(), asAdmin(), &disassociateIn{"c", dev, policyPrefix + policy}); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if got := grants(); len(got) != 1 {
			t.Errorf("after two are gone: %+v", got)
		}
		if _, err := r.deleteEntry(t.Context(), asAdmin(), &entryName{"c", dev}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if got := grants(); len(got) != 0 {
			t.Errorf("after the entry is gone: %+v", got)
		}

		// The work goes on in a control plane that has replaced another one.
		associateAgain := &associateIn{"c", adminRole, policyPrefix + "AmazonEKSViewPolicy", accessScope{"namespace", []string{"x"}}}
		if _, err := r.associate(t.Context(), asAdmin(), associateAgain); err != nil {
			t.Fatal(err)
		}
		former := r.plane()
		close(former.done)
		r.until(func() bool { return r.clusters["c"].plane != former && r.clusters["c"].issues == nil })
		time.Sleep(2 * retryPause)
		if got := grants(); r.plane() == former || len(got) != 1 {
			t.Errorf("after a restart: %+v", got)
		}
	})
}

func TestInScope(t *testing.T) {
	for _, tc := range []struct {
		pattern, namespace string
		want               bool
	}{{"dev-*", "dev-a", true}, {"dev-*", "prod", false}, {"*", "x", true}, {"ci", "ci", true}, {"ci", "ci2", false}, {"*-dev", "a-dev", true}} {
		if got := inScope(tc.pattern, tc.namespace); got != tc.want {
			t.Errorf("%s in %s: %t", tc.namespace, tc.pattern, got)
		}
	}
}
