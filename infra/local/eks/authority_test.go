package eks

import (
	"bytes"
	"encoding/base64"
	"testing"
	"testing/synctest"
	"time"
)

func (r *rig) authorityList() []authoritySummary {
	r.t.Helper()
	out, err := r.listAuthorities(r.t.Context(), asAdmin(), &listAuthoritiesIn{ClusterName: "c"})
	if err != nil {
		r.t.Fatal(err)
	}
	return out.Authorities
}

func (r *rig) describeCA(id string) *authorityShape {
	r.t.Helper()
	out, err := r.describeAuthority(r.t.Context(), asAdmin(), &authorityIn{"c", id})
	if err != nil {
		r.t.Fatal(err)
	}
	return out.Authority
}

func (r *rig) activate(id string) (*updateOut, error) {
	return r.activateAuthority(r.t.Context(), asAdmin(), &activateAuthorityIn{ClusterName: "c", ID: id})
}

func (r *rig) deleteCA(id string) (*updateOut, error) {
	return r.deleteAuthority(r.t.Context(), asAdmin(), &deleteAuthorityIn{ClusterName: "c", ID: id})
}

// signerIs is the authority that signs, and the other one; nil where there is none.
func (r *rig) signerIs() (signer, other *authoritySummary) {
	for _, a := range r.authorityList() {
		if a.Signing == signs {
			signer = &a
		} else {
			other = &a
		}
	}
	return signer, other
}

// hasSpread tells whether there is a successor, which can be activated. It is asked under s.mu.
func (r *rig) hasSpread() bool {
	next := r.clusters["c"].successor()
	return next != nil && next.distribution == distributed
}

func (r *rig) pems() int {
	r.t.Helper()
	d, err := r.describeCluster(r.t.Context(), asAdmin(), &clusterName{"c"})
	if err != nil {
		r.t.Fatal(err)
	}
	text, err := base64.StdEncoding.DecodeString(d.Cluster.CertificateAuthority.Data)
	if err != nil {
		r.t.Fatal(err)
	}
	return bytes.Count(text, []byte("BEGIN CERTIFICATE"))
}

func TestAuthorityRotation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.mustCluster()
		first, other := r.signerIs()
		if other != nil || first.CreatedBy != byEKS || first.Distribution != distributed || r.describeCA(first.ID).Rollback {
			t.Fatalf("%+v", r.authorityList())
		}
		_, err := r.activate("none")
		wantError(t, err, "ResourceNotFoundException", "none")
		_, err = r.activate(first.ID)
		wantError(t, err, "InvalidRequestException", "in use already")
		_, err = r.deleteCA(first.ID)
		wantError(t, err, "InvalidRequestException", "is in use")

		in := &createAuthorityIn{ClusterName: "c", ClientRequestToken: "t"}
		made, err := r.createAuthority(t.Context(), asAdmin(), in)
		if err != nil || made.Authority.Signing != signsNot || made.Authority.Distribution != spreading || made.Authority.CreatedBy != byCustomer {
			t.Fatalf("%+v, %v", made, err)
		}
		again, err := r.createAuthority(t.Context(), asAdmin(), in)
		if err != nil || again.Update.ID != made.Update.ID || again.Authority.ID != made.Authority.ID {
			t.Errorf("the same request: %+v, %v", again, err)
		}
		id := made.Authority.ID
		_, err = r.version("1.36", nil)
		wantError(t, err, "ResourceInUseException", made.Update.ID)
		if n := r.pems(); n != 0 {
			t.Errorf("%d certificates in the bundle before the update is over", n)
		}
		if u := r.succeed(&made.updateOut, nil); u.Type != authorityUpdate {
			t.Errorf("%+v", u)
		}
		if n := r.pems(); n != 1 { // the fake plane's own is none
			t.Errorf("%d certificates in the bundle", n)
		}
		_, err = r.activate(id)
		wantError(t, err, "InvalidRequestException", "distribution status is IN_PROGRESS")
		_, err = r.createAuthority(t.Context(), asAdmin(), &createAuthorityIn{ClusterName: "c", ClientRequestToken: "u"})
		wantError(t, err, "ResourceLimitExceededException", "already has 2")
		r.until(func() bool { return r.hasSpread() })
		d := r.describeCA(id)
		if d.Scheduled == nil || !d.Scheduled.First.Before(d.Scheduled.Final.Time) || r.describeCA(first.ID).Scheduled != nil {
			t.Errorf("what EKS will do: %+v", d.Scheduled)
		}

		u, err := r.activate(id)
		if got := r.describeCA(id).Signing; got != willSign {
			t.Errorf("while it is activated: %s", got)
		}
		r.succeed(u, err)
		if signer, out := r.signerIs(); signer.ID != id || signer.ActivatedBy != byCustomer || out.ID != first.ID || !r.describeCA(id).Rollback || r.describeCA(first.ID).Rollback {
			t.Fatalf("%+v", r.authorityList())
		}
		r.succeed(r.activate(first.ID)) // a rollback
		r.succeed(r.activate(id))
		time.Sleep(authorityRollback)
		if r.describeCA(id).Rollback {
			t.Error("a rollback is possible for ever")
		}
		_, err = r.activate(first.ID)
		wantError(t, err, "InvalidRequestException", "not available any more")
		r.succeed(r.deleteCA(first.ID))
		if list := r.authorityList(); len(list) != 1 || r.pems() != 1 {
			t.Errorf("%+v", list)
		}
	})
}

func TestAuthorityThatDoesNotSpread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.mustCluster()
		r.mustFail(Failure{Cluster: "c", How: "Unknown", Times: 1})
		made, err := r.createAuthority(t.Context(), asAdmin(), &createAuthorityIn{ClusterName: "c"})
		if err != nil {
			t.Fatal(err)
		}
		r.failsWith("Unknown", &made.updateOut, nil)
		if _, other := r.signerIs(); other.Distribution != notSpread || r.pems() != 0 {
			t.Errorf("%+v", other)
		}
		_, err = r.activate(made.Authority.ID)
		wantError(t, err, "InvalidRequestException", "FAILED")
		r.succeed(r.deleteCA(made.Authority.ID))
	})
}

// TestAuthorityByEKS: nobody does anything, and the cluster has an authority that is valid all the same.
func TestAuthorityByEKS(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.mustCluster()
		first, _ := r.signerIs()
		wantError(t, r.ExpireAuthority("c", time.Now()), "InvalidParameterException", "in the future")
		if err := r.ExpireAuthority("c", time.Now().Add(appendsBefore+time.Hour)); err != nil {
			t.Fatal(err)
		}
		if list := r.authorityList(); len(list) != 1 {
			t.Fatalf("%+v", list)
		}
		time.Sleep(2 * time.Hour)
		r.authorityList()
		r.until(func() bool { return r.hasSpread() })
		_, next := r.signerIs()
		if next == nil || next.CreatedBy != byEKS {
			t.Fatalf("%+v", r.authorityList())
		}
		_, err := r.deleteCA(next.ID)
		wantError(t, err, "InvalidRequestException", "only successor")

		time.Sleep(appendsBefore - activatesBefore)
		r.authorityList()
		r.until(func() bool { return r.clusters["c"].running("", "") == nil })
		if signer, _ := r.signerIs(); signer.ID != next.ID || signer.ActivatedBy != byEKS {
			t.Fatalf("half a year before the end: %+v", r.authorityList())
		}
		r.succeed(r.activate(first.ID))
		time.Sleep(activatesBefore - lastActivation)
		r.authorityList()
		r.until(func() bool { return r.clusters["c"].running("", "") == nil })
		if signer, _ := r.signerIs(); signer.ID != next.ID || r.describeCA(next.ID).Rollback {
			t.Fatalf("forty-five days before the end: %+v", r.authorityList())
		}
		_, err = r.activate(first.ID)
		wantError(t, err, "InvalidRequestException", "not available any more")
	})
}
