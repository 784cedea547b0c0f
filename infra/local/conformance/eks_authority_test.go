package conformance

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/eks/types"
)

// authority reads one, and all of a cluster by their ids.
func (s *eksSuite) authority(t *testing.T, name, id string) *types.CertificateAuthority {
	t.Helper()
	out, err := s.DescribeCertificateAuthority(t.Context(), &eks.DescribeCertificateAuthorityInput{ClusterName: &name, CertificateAuthorityId: &id})
	s.missing(t, err)
	s.must(err)
	return out.CertificateAuthority
}

func (s *eksSuite) activateCA(t *testing.T, name, id string) *types.Update {
	t.Helper()
	out, err := s.ActivateCertificateAuthority(t.Context(), &eks.ActivateCertificateAuthorityInput{ClusterName: &name, CertificateAuthorityId: &id})
	s.must(err)
	return s.finished(t, &eks.DescribeUpdateInput{Name: &name, UpdateId: out.Update.Id})
}

// TestEKSCertificateAuthority rotates a cluster's certificate authority, takes that back, and rotates again.
func TestEKSCertificateAuthority(t *testing.T) {
	s := newEKSSuite(t)
	name := s.upgradable()
	list := func() []types.CertificateAuthoritySummary {
		t.Helper()
		out, err := s.ListCertificateAuthorities(t.Context(), &eks.ListCertificateAuthoritiesInput{ClusterName: &name})
		s.missing(t, err)
		s.must(err)
		return out.CertificateAuthorities
	}
	all := list()
	if len(all) != 1 || all[0].SigningStatus != types.CertificateAuthoritySigningStatusInUse || all[0].DistributionStatus != types.CertificateAuthorityDistributionStatusComplete || all[0].CreatedBy != types.CertificateAuthorityCreatedByEks {
		t.Fatalf("%+v", all)
	}
	first := *all[0].Id
	if a := s.authority(t, name, first); a.Validity == nil || time.Until(*a.Validity.NotAfter) < 4*365*24*time.Hour || a.ScheduledEvents != nil || a.RollbackAvailable == nil || *a.RollbackAvailable {
		t.Errorf("%+v", a)
	}
	_, err := s.DeleteCertificateAuthority(t.Context(), &eks.DeleteCertificateAuthorityInput{ClusterName: &name, CertificateAuthorityId: &first})
	wantEKS[*types.InvalidRequestException](t, err, "")
	trusted := *s.active(name).CertificateAuthority.Data

	made, err := s.CreateCertificateAuthority(t.Context(), &eks.CreateCertificateAuthorityInput{ClusterName: &name})
	s.must(err)
	if made.Update.Type != types.UpdateTypeCertificateAuthorityUpdate || made.CertificateAuthority.SigningStatus != types.CertificateAuthoritySigningStatusNotUsed {
		t.Errorf("%+v %+v", made.Update, made.CertificateAuthority)
	}
	id := *made.CertificateAuthority.Id
	if u := s.finished(t, &eks.DescribeUpdateInput{Name: &name, UpdateId: made.Update.Id}); u.Status != types.UpdateStatusSuccessful {
		t.Fatalf("%+v", u)
	}
	if now := *s.active(name).CertificateAuthority.Data; len(now) <= len(trusted) {
		t.Error("the cluster's trust bundle has no second certificate")
	}
	_, err = s.CreateCertificateAuthority(t.Context(), &eks.CreateCertificateAuthorityInput{ClusterName: &name})
	if err == nil {
		t.Error("a third certificate authority")
	}
	deadline, ticker := time.Now().Add(eksPatience), time.NewTicker(s.poll())
	for s.authority(t, name, id).DistributionStatus != types.CertificateAuthorityDistributionStatusComplete {
		if time.Now().After(deadline) {
			t.Fatal("it is not distributed")
		}
		<-ticker.C
	}
	if a := s.authority(t, name, id); a.ScheduledEvents == nil || a.ScheduledEvents.FirstAutoActivation == nil || a.ActivatedAt != nil || a.CreatedBy != types.CertificateAuthorityCreatedByCustomer {
		t.Errorf("%+v", a)
	}
	for _, next := range []string{id, first, id} {
		if u := s.activateCA(t, name, next); u.Status != types.UpdateStatusSuccessful {
			t.Fatalf("%+v", u)
		}
		if a := s.authority(t, name, next); a.SigningStatus != types.CertificateAuthoritySigningStatusInUse || a.ActivatedBy != types.CertificateAuthorityActivatedByCustomer {
			t.Errorf("%+v", a)
		}
	}
	if a := s.authority(t, name, id); !*a.RollbackAvailable {
		t.Errorf("%+v", a)
	}
	out, err := s.DeleteCertificateAuthority(t.Context(), &eks.DeleteCertificateAuthorityInput{ClusterName: &name, CertificateAuthorityId: &first})
	s.must(err)
	if u := s.finished(t, &eks.DescribeUpdateInput{Name: &name, UpdateId: out.Update.Id}); u.Status != types.UpdateStatusSuccessful {
		t.Fatalf("%+v", u)
	}
	if all := list(); len(all) != 1 || *all[0].Id != id {
		t.Errorf("%+v", all)
	}
}
