package eks

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/wire"
)

func (r *rig) review(token string) tokenReview {
	r.t.Helper()
	in := fmt.Sprintf(`{"apiVersion":"authentication.k8s.io/v1","kind":"TokenReview","spec":{"token":%q}}`, token)
	var out tokenReview
	if err := json.Unmarshal(r.Review("c", []byte(in)), &out); err != nil {
		r.t.Fatal(err)
	}
	return out
}

func TestReview(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.mustCluster()
		r.mustNodegroup()
		r.tokens["creator"] = asAdmin().Caller
		r.tokens["node"] = wire.Principal{Account: account, RoleARN: nodeRole, ARN: "arn:aws:sts::111122223333:assumed-role/node/i-0001"}
		r.tokens["stranger"] = wire.Principal{Account: account, RoleARN: "arn:aws:iam::111122223333:role/admin", ARN: "arn:aws:sts::111122223333:assumed-role/admin/x"}
		const lambda = "arn:aws:iam::111122223333:role/lambda"
		r.tokens["lambda"] = wire.Principal{Account: account, RoleARN: lambda, ARN: "arn:aws:sts::111122223333:assumed-role/lambda/fn"}

		if got := r.review("creator").Status; !got.Authenticated || got.User.Username != "arn:aws:sts::111122223333:assumed-role/admin/me-example.com" || !slices.Contains(got.User.Groups, "system:masters") {
			t.Errorf("creator: %+v %+v", got, got.User)
		}
		if got := r.review("node").Status; !got.Authenticated || got.User.Username != "system:node:ip-10-0-0-1.ec2.internal" || !slices.Equal(got.User.Groups, []string{"system:nodes"}) {
			t.Errorf("node: %+v", got)
		}
		// A role of the same name on another path is somebody else.
		if got := r.review("stranger").Status; got.Authenticated || got.Error == "" {
			t.Errorf("stranger: %+v", got)
		}
		if got := r.review("garbage").Status; got.Authenticated {
			t.Errorf("garbage: %+v", got)
		}
		if _, err := r.createEntry(t.Context(), asAdmin(), &createEntryIn{Name: "c", PrincipalARN: lambda, KubernetesGroups: []string{"drainers"}, Username: "lambda:{{SessionName}}"}); err != nil {
			t.Fatal(err)
		}
		if got := r.review("lambda").Status; got.Authenticated {
			t.Error("a new entry counts at once; EKS takes a moment")
		}
		time.Sleep(r.w.Profile.Settle)
		if got := r.review("lambda").Status; !got.Authenticated || got.User.Username != "lambda:fn" || !slices.Equal(got.User.Groups, []string{"drainers"}) {
			t.Errorf("lambda: %+v", got)
		}
		if _, err := r.deleteEntry(t.Context(), asAdmin(), &entryName{"c", lambda}); err != nil {
			t.Fatal(err)
		}
		if got := r.review("lambda").Status; got.Authenticated {
			t.Error("a deleted entry counts")
		}
	})
}

func TestAccessEntries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.mustCluster()
		const user = "arn:aws:iam::111122223333:user/team/ann"
		in := &createEntryIn{Name: "c", PrincipalARN: user, ClientRequestToken: "1"}
		out, err := r.createEntry(t.Context(), asAdmin(), in)
		if err != nil || out.AccessEntry.Username != user {
			t.Fatalf("%+v, %v", out, err)
		}
		if _, err := r.createEntry(t.Context(), asAdmin(), in); err != nil {
			t.Errorf("the same request again: %v", err)
		}
		_, err = r.createEntry(t.Context(), asAdmin(), &createEntryIn{Name: "c", PrincipalARN: user})
		wantError(t, err, "ResourceInUseException", "The specified access entry resource is already in use on this cluster.")
		_, err = r.createEntry(t.Context(), asAdmin(), &createEntryIn{Name: "c", PrincipalARN: "arn:aws:sts::111122223333:assumed-role/a/b"})
		wantError(t, err, "InvalidParameterException", "The specified principalArn is invalid")
		_, err = r.createEntry(t.Context(), asAdmin(), &createEntryIn{Name: "c", PrincipalARN: adminRole + "2", KubernetesGroups: []string{"system:masters"}})
		wantError(t, err, "InvalidParameterException", "cannot start with system:")
		_, err = r.describeEntry(t.Context(), asAdmin(), &entryName{"c", "arn:aws:iam::111122223333:role/none"})
		wantError(t, err, "ResourceNotFoundException", "The specified principalArn could not be found")
		if _, err := r.associate(t.Context(), asAdmin(), &associateIn{"c", user, clusterAdminPolicy, accessScope{Type: "cluster"}}); err != nil {
			t.Fatal(err)
		}
		list, err := r.listEntries(t.Context(), asAdmin(), &listEntriesIn{Name: "c", AssociatedPolicyARN: clusterAdminPolicy})
		if err != nil || !slices.Equal(list.AccessEntries, []string{adminRole, user}) {
			t.Errorf("%v, %v", list, err)
		}
	})
}

func TestConfigMapModeTurnsIntoAPI(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		in := clusterInput()
		in.AccessConfig = nil
		if _, err := r.createCluster(t.Context(), asAdmin(), in); err != nil {
			t.Fatal(err)
		}
		r.until(func() bool { return r.clusters["c"].status == active })
		r.mustNodegroup()
		_, err := r.listEntries(t.Context(), asAdmin(), &listEntriesIn{Name: "c"})
		wantError(t, err, "InvalidRequestException", "The cluster's authentication mode must be set to one of [API, API_AND_CONFIG_MAP] to perform this operation.")
		r.tokens["creator"] = asAdmin().Caller
		if got := r.review("creator").Status; !got.Authenticated {
			t.Errorf("creator: %+v", got)
		}
		r.updateEnds(r.updateClusterConfig(t.Context(), asAdmin(), &updateConfigIn{Name: "c", AccessConfig: &accessConfigRequest{AuthenticationMode: modeBoth}}))
		list, err := r.listEntries(t.Context(), asAdmin(), &listEntriesIn{Name: "c"})
		if err != nil || !slices.Equal(list.AccessEntries, []string{nodeRole, adminRole}) {
			t.Errorf("%v, %v", list, err)
		}
	})
}
