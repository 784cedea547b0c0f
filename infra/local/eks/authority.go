package eks

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/wire"
)

// A cluster's one certificate authority can be read. Rotation is not implemented.

type authoritySummary struct {
	ID           string     `json:"id"`
	Signing      string     `json:"signingStatus"`
	Distribution string     `json:"distributionStatus"`
	CreatedAt    *wire.Time `json:"createdAt"`
	CreatedBy    string     `json:"createdBy"`
	ActivatedAt  *wire.Time `json:"activatedAt"`
	ActivatedBy  string     `json:"activatedBy"`
}

type authorityShape struct {
	authoritySummary
	Data     string             `json:"data"`
	Validity *authorityValidity `json:"validity,omitempty"`
}

type authorityValidity struct {
	NotBefore *wire.Time `json:"notBefore"`
	NotAfter  *wire.Time `json:"notAfter"`
}

type listAuthoritiesIn struct {
	ClusterName string `json:"-" path:"clusterName"`
	MaxResults  *int   `json:"-" param:"maxResults"`
	NextToken   string `json:"-" param:"nextToken"`
}

type listAuthoritiesOut struct {
	Authorities []authoritySummary `json:"certificateAuthorities"`
}

type authorityIn struct {
	ClusterName string `json:"-" path:"clusterName"`
	ID          string `json:"-" path:"certificateAuthorityId"`
}

type authorityOut struct {
	Authority *authorityShape `json:"certificateAuthority"`
}

func (s *Service) authorityOps() []wire.Op {
	const all = "/clusters/{clusterName}/certificate-authorities"
	return []wire.Op{
		wire.Handle("ListCertificateAuthorities", func(_ *wire.Call, in *listAuthoritiesIn) []wire.Need {
			return s.about("ListCertificateAuthorities", in.ClusterName, "", "", "")
		}, s.listAuthorities).REST("GET", all),
		wire.Handle("DescribeCertificateAuthority", func(_ *wire.Call, in *authorityIn) []wire.Need {
			return s.about("DescribeCertificateAuthority", in.ClusterName, "", "", "")
		}, s.describeAuthority).REST("GET", all+"/{certificateAuthorityId}"),
	}
}

// authority is the cluster's; nil while there is no control plane. The caller holds s.mu.
func (c *cluster) authority() *authorityShape {
	if c.plane == nil || c.plane.CAData() == "" {
		return nil
	}
	sum := sha256.Sum256([]byte(c.plane.CAData()))
	out := &authorityShape{Data: c.plane.CAData(), authoritySummary: authoritySummary{
		ID: hex.EncodeToString(sum[:8]), Signing: "IN_USE", Distribution: "COMPLETE", CreatedAt: wire.At(c.created), CreatedBy: "EKS", ActivatedAt: wire.At(c.created), ActivatedBy: "EKS",
	}}
	// Control planes of tests have no certificate: EKS's own live for ten years.
	out.Validity = &authorityValidity{wire.At(c.created), wire.At(c.created.Add(10 * 365 * 24 * time.Hour))}
	if text, err := base64.StdEncoding.DecodeString(out.Data); err == nil {
		if block, _ := pem.Decode(text); block != nil {
			if cert, err := x509.ParseCertificate(block.Bytes); err == nil {
				out.Validity = &authorityValidity{wire.At(cert.NotBefore), wire.At(cert.NotAfter)}
			}
		}
	}
	return out
}

func (s *Service) listAuthorities(_ context.Context, _ *wire.Call, in *listAuthoritiesIn) (*listAuthoritiesOut, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.clusters[in.ClusterName]
	if c == nil {
		return nil, noCluster(in.ClusterName)
	}
	out := &listAuthoritiesOut{Authorities: []authoritySummary{}}
	if a := c.authority(); a != nil {
		out.Authorities = append(out.Authorities, a.authoritySummary)
	}
	return out, nil
}

func (s *Service) describeAuthority(_ context.Context, _ *wire.Call, in *authorityIn) (*authorityOut, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.clusters[in.ClusterName]
	if c == nil {
		return nil, noCluster(in.ClusterName)
	}
	a := c.authority()
	if a == nil || a.ID != in.ID {
		return nil, notFound(c.name, "No certificate authority found for ID: %s", in.ID)
	}
	return &authorityOut{a}, nil
}
