package awscloud

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/service/eks"
	ekstypes "github.com/aws/aws-sdk-go-v2/service/eks/types"

	"github.com/ekspedite/ekspedite/shared/decide/upgradepath"
	"github.com/ekspedite/ekspedite/shared/fault"
)

// authorityCalls are the operations of EKS about certificate authorities.
func (r *Region) authorityCalls() map[string]operation {
	c := r.eks
	return map[string]operation{
		"eks:CreateCertificateAuthority":   op(c.CreateCertificateAuthority),
		"eks:ActivateCertificateAuthority": op(c.ActivateCertificateAuthority),
		"eks:DeleteCertificateAuthority":   op(c.DeleteCertificateAuthority),
	}
}

// Authorities reads a cluster's certificate authorities: one call, and one for each, of which there are two at most.
func (u *Upgrades) Authorities(ctx context.Context, cluster string) (out []upgradepath.Authority, err error) {
	list, err := everything(ctx, "eks:ListCertificateAuthorities", eks.NewListCertificateAuthoritiesPaginator(u.region.eks, &eks.ListCertificateAuthoritiesInput{ClusterName: &cluster}),
		func(o *eks.ListCertificateAuthoritiesOutput) []ekstypes.CertificateAuthoritySummary {
			return o.CertificateAuthorities
		})
	if err != nil {
		return nil, err
	}
	for _, s := range list {
		d, err := u.region.eks.DescribeCertificateAuthority(ctx, &eks.DescribeCertificateAuthorityInput{ClusterName: &cluster, CertificateAuthorityId: s.Id})
		if err = classify("eks:DescribeCertificateAuthority", err); fault.Is(err, fault.NotFound) {
			continue
		} else if err != nil {
			return nil, err
		}
		c := d.CertificateAuthority
		a := upgradepath.Authority{
			ID: deref(c.Id), CreatedAt: deref(c.CreatedAt), CreatedBy: string(c.CreatedBy), ActivatedAt: deref(c.ActivatedAt),
			Distribution: string(c.DistributionStatus), Signing: string(c.SigningStatus), Rollback: deref(c.RollbackAvailable),
		}
		if c.Validity != nil {
			a.Expires = deref(c.Validity.NotAfter)
		}
		if e := c.ScheduledEvents; e != nil {
			a.First, a.Final = deref(e.FirstAutoActivation), deref(e.FinalAutoActivation)
		}
		out = append(out, a)
	}
	return out, nil
}
