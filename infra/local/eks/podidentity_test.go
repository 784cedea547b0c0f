package eks

import (
	"regexp"
	"testing"
	"testing/synctest"
	"time"
)

func podInput() *createPodIdentityIn {
	return &createPodIdentityIn{ClusterName: "c", Namespace: "shop", ServiceAccount: "cart", RoleARN: podRole, Tags: tags{"team": "a"}, ClientRequestToken: "1"}
}

func TestPodIdentityAssociations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		_, err := r.createPodIdentity(t.Context(), asAdmin(), podInput())
		wantError(t, err, "ResourceNotFoundException", "No cluster found for name: c.")
		r.mustCluster()
		in := podInput()
		in.TargetRoleARN = "arn:aws:iam::444455556666:role/other"
		out, err := r.createPodIdentity(t.Context(), asAdmin(), in)
		if err != nil {
			t.Fatal(err)
		}
		p := out.Association
		if !regexp.MustCompile(`^a-[a-z0-9]{17}$`).MatchString(p.AssociationID) || p.AssociationARN != "arn:aws:eks:us-east-1:111122223333:podidentityassociation/c/"+p.AssociationID {
			t.Errorf("association %+v", p)
		}
		if p.ExternalID != "us-east-1/111122223333/c/shop/cart" || p.Tags["team"] != "a" || p.OwnerARN != "" {
			t.Errorf("association %+v", p)
		}
		if again, err := r.createPodIdentity(t.Context(), asAdmin(), in); err != nil || again.Association.AssociationID != p.AssociationID {
			t.Errorf("the same token: %+v, %v", again, err)
		}
		in.ClientRequestToken = "2"
		_, err = r.createPodIdentity(t.Context(), asAdmin(), in)
		wantError(t, err, "ResourceInUseException", "Association already exists: "+p.AssociationID)

		time.Sleep(time.Minute)
		none, yes, policy := "", true, `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}`
		_, err = r.updatePodIdentity(t.Context(), asAdmin(), &updatePodIdentityIn{ClusterName: "c", AssociationID: p.AssociationID, Policy: &policy})
		wantError(t, err, "InvalidParameterException", "disableSessionTags must be true")
		changed, err := r.updatePodIdentity(t.Context(), asAdmin(), &updatePodIdentityIn{ClusterName: "c", AssociationID: p.AssociationID, Policy: &policy, DisableSessionTags: &yes, TargetRoleARN: &none})
		if err != nil {
			t.Fatal(err)
		}
		if a := changed.Association; a.Policy != policy || !a.DisableSessionTags || a.ExternalID != "" || a.TargetRoleARN != "" || a.RoleARN != podRole || !a.ModifiedAt.After(a.CreatedAt.Time) {
			t.Errorf("changed %+v", a)
		}
		if _, err := r.tag(t.Context(), asAdmin(), &tagIn{p.AssociationARN, tags{"x": "y"}}); err != nil {
			t.Error(err)
		}
		seen, err := r.describePodIdentity(t.Context(), asAdmin(), &podIdentityName{"c", p.AssociationID})
		if err != nil || seen.Association.Tags["x"] != "y" {
			t.Errorf("%+v, %v", seen, err)
		}
		for filter, want := range map[listPodIdentitiesIn]int{{}: 1, {Namespace: "shop"}: 1, {Namespace: "other"}: 0, {Namespace: "shop", ServiceAccount: "none"}: 0} {
			filter.ClusterName = "c"
			list, err := r.listPodIdentities(t.Context(), asAdmin(), &filter)
			if err != nil || len(list.Associations) != want {
				t.Errorf("%+v: %+v, %v", filter, list, err)
			}
		}
		if _, err := r.deletePodIdentity(t.Context(), asAdmin(), &podIdentityName{"c", p.AssociationID}); err != nil {
			t.Fatal(err)
		}
		_, err = r.describePodIdentity(t.Context(), asAdmin(), &podIdentityName{"c", p.AssociationID})
		wantError(t, err, "ResourceNotFoundException", p.AssociationID)
	})
}

func TestPodIdentityRefusals(t *testing.T) {
	for name, tc := range map[string]struct {
		change  func(*createPodIdentityIn)
		message string
	}{
		"trust":     {func(in *createPodIdentityIn) { in.RoleARN = nodeRole }, "Trust policy of the role provided is invalid."},
		"namespace": {func(in *createPodIdentityIn) { in.Namespace = "No_Name" }, "The namespace 'No_Name' is invalid"},
		"account":   {func(in *createPodIdentityIn) { in.ServiceAccount = "" }, "The service account '' is invalid"},
		"target":    {func(in *createPodIdentityIn) { in.TargetRoleARN = "role" }, "targetRoleArn"},
		"policy":    {func(in *createPodIdentityIn) { in.Policy, in.DisableSessionTags = "{", true }, "not a valid IAM policy document"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				r.mustCluster()
				in := podInput()
				tc.change(in)
				_, err := r.createPodIdentity(t.Context(), asAdmin(), in)
				wantError(t, err, "InvalidParameterException", tc.message)
			})
		})
	}
}
