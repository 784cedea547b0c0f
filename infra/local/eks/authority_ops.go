package eks

import (
	"context"
	"slices"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/wire"
)

type authoritySummary struct {
	ID           string     `json:"id"`
	Signing      string     `json:"signingStatus"`
	Distribution string     `json:"distributionStatus"`
	CreatedAt    *wire.Time `json:"createdAt"`
	CreatedBy    string     `json:"createdBy"`
	ActivatedAt  *wire.Time `json:"activatedAt,omitempty"`
	ActivatedBy  string     `json:"activatedBy,omitempty"`
}

type authorityShape struct {
	authoritySummary
	Data      string             `json:"data"`
	Validity  *authorityValidity `json:"validity,omitempty"`
	Rollback  bool               `json:"rollbackAvailable"`
	Scheduled *authorityEvents   `json:"scheduledEvents,omitempty"`
}

type authorityValidity struct {
	NotBefore *wire.Time `json:"notBefore"`
	NotAfter  *wire.Time `json:"notAfter"`
}

// authorityEvents are shown of the successor alone.
type authorityEvents struct {
	First *wire.Time `json:"firstAutoActivation"`
	Final *wire.Time `json:"finalAutoActivation"`
}

type listAuthoritiesIn struct {
	ClusterName string `json:"-" path:"clusterName"`
	MaxResults  *int   `json:"-" param:"maxResults"`
	NextToken   string `json:"-" param:"nextToken"`
}

type listAuthoritiesOut struct {
	Authorities []authoritySummary `json:"certificateAuthorities"`
	NextToken   *string            `json:"nextToken,omitempty"`
}

type authorityIn struct {
	ClusterName string `json:"-" path:"clusterName"`
	ID          string `json:"-" path:"certificateAuthorityId"`
}

type authorityOut struct {
	Authority *authorityShape `json:"certificateAuthority"`
}

type createAuthorityIn struct {
	ClusterName        string `json:"-" path:"clusterName"`
	ClientRequestToken string `json:"clientRequestToken"`
}

type createAuthorityOut struct {
	Authority authoritySummary `json:"certificateAuthority"`
	updateOut
}

type activateAuthorityIn struct {
	ClusterName        string `json:"-" path:"clusterName"`
	ID                 string `json:"-" path:"certificateAuthorityId"`
	ClientRequestToken string `json:"clientRequestToken"`
}

type deleteAuthorityIn struct {
	ClusterName        string `json:"-" path:"clusterName"`
	ID                 string `json:"-" path:"certificateAuthorityId"`
	ClientRequestToken string `json:"-" param:"clientRequestToken"`
}

func (s *Service) authorityOps() []wire.Op {
	const all = "/clusters/{clusterName}/certificate-authorities"
	const one = all + "/{certificateAuthorityId}"
	return []wire.Op{
		wire.Handle("ListCertificateAuthorities", func(_ *wire.Call, in *listAuthoritiesIn) []wire.Need {
			return s.about("ListCertificateAuthorities", in.ClusterName, "", "", "")
		}, s.listAuthorities).REST("GET", all),
		wire.Handle("DescribeCertificateAuthority", func(_ *wire.Call, in *authorityIn) []wire.Need {
			return s.about("DescribeCertificateAuthority", in.ClusterName, "", "", "")
		}, s.describeAuthority).REST("GET", one),
		wire.Handle("CreateCertificateAuthority", func(_ *wire.Call, in *createAuthorityIn) []wire.Need {
			return s.about("CreateCertificateAuthority", in.ClusterName, "", "", "")
		}, s.createAuthority).REST("POST", all),
		wire.Handle("ActivateCertificateAuthority", func(_ *wire.Call, in *activateAuthorityIn) []wire.Need {
			return s.about("ActivateCertificateAuthority", in.ClusterName, "", "", "")
		}, s.activateAuthority).REST("POST", one+"/activate"),
		wire.Handle("DeleteCertificateAuthority", func(_ *wire.Call, in *deleteAuthorityIn) []wire.Need {
			return s.about("DeleteCertificateAuthority", in.ClusterName, "", "", "")
		}, s.deleteAuthority).REST("DELETE", one),
	}
}

func at(t time.Time) *wire.Time {
	if t.IsZero() {
		return nil
	}
	return wire.At(t)
}

func (a *authority) summary() authoritySummary {
	return authoritySummary{
		ID: a.id, Signing: a.signing, Distribution: a.distribution, CreatedAt: at(a.created), CreatedBy: a.createdBy, ActivatedAt: at(a.activated), ActivatedBy: a.activator,
	}
}

// authorityOf finds one. The caller holds s.mu.
func (s *Service) authorityOf(cluster, id string) (*cluster, *authority, error) {
	c := s.clusters[cluster]
	if c == nil {
		return nil, nil, noCluster(cluster)
	}
	s.authorities(c)
	a := c.findAuthority(func(a *authority) bool { return a.id == id })
	if a == nil {
		return nil, nil, notFound(cluster, "No certificate authority found for ID: %s", id)
	}
	return c, a, nil
}

func (s *Service) listAuthorities(_ context.Context, _ *wire.Call, in *listAuthoritiesIn) (*listAuthoritiesOut, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.clusters[in.ClusterName]
	if c == nil {
		return nil, noCluster(in.ClusterName)
	}
	byID := map[string]*authority{}
	for _, a := range s.authorities(c) {
		byID[a.id] = a
	}
	part, next, err := page(sortedKeys(byID), in.MaxResults, in.NextToken)
	if err != nil {
		return nil, err
	}
	out := &listAuthoritiesOut{Authorities: []authoritySummary{}, NextToken: next}
	for _, id := range part {
		out.Authorities = append(out.Authorities, byID[id].summary())
	}
	return out, nil
}

func (s *Service) describeAuthority(_ context.Context, _ *wire.Call, in *authorityIn) (*authorityOut, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, a, err := s.authorityOf(in.ClusterName, in.ID)
	if err != nil {
		return nil, err
	}
	v := &authorityShape{authoritySummary: a.summary(), Data: a.data, Validity: &authorityValidity{at(a.from), at(a.until)}, Rollback: c.authorityReturns(a)}
	if signer := c.signer(); signer != nil && c.successor() == a {
		v.Scheduled = &authorityEvents{at(signer.until.Add(-activatesBefore)), at(signer.until.Add(-lastActivation))}
	}
	return &authorityOut{v}, nil
}

func (s *Service) createAuthority(_ context.Context, _ *wire.Call, in *createAuthorityIn) (*createAuthorityOut, error) {
	req := request{"CreateCertificateAuthority", in.ClientRequestToken, fingerprint(in)}
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.clusters[in.ClusterName]
	if c == nil {
		return nil, noCluster(in.ClusterName)
	}
	if u, err := c.repeated(req); err != nil {
		return nil, err
	} else if u != nil {
		out := &createAuthorityOut{updateOut: *u.view()}
		if a := c.findAuthority(func(a *authority) bool { return a.id == u.params[0].Value }); a != nil {
			out.Authority = a.summary()
		}
		return out, nil
	}
	have := s.authorities(c)
	if err := s.free(c, authorityUpdate); err != nil {
		return nil, err
	}
	if len(have) >= maxAuthorities {
		return nil, limitExceeded(c.name, "Cluster %s already has %d certificate authorities", c.name, len(have))
	}
	a, err := s.newAuthority(c, byCustomer)
	if err != nil {
		return nil, err
	}
	u := s.spread(c, a, req)
	return &createAuthorityOut{a.summary(), *u.view()}, nil
}

// activateAuthority makes an authority sign: the successor, or, as a rollback, the one before. EKS's words are not public.
func (s *Service) activateAuthority(_ context.Context, _ *wire.Call, in *activateAuthorityIn) (*updateOut, error) {
	req := request{"ActivateCertificateAuthority/" + in.ID, in.ClientRequestToken, fingerprint(in)}
	s.mu.Lock()
	defer s.mu.Unlock()
	c, a, err := s.authorityOf(in.ClusterName, in.ID)
	if err != nil {
		return nil, err
	}
	if u, err := c.repeated(req); u != nil || err != nil {
		return viewOr(u, err)
	}
	if err := s.free(c, authorityUpdate); err != nil {
		return nil, err
	}
	signer := c.signer()
	switch {
	case a.signing == signs:
		return nil, invalidRequest(c.name, "Certificate authority %s is in use already", a.id)
	case a.distribution != distributed:
		return nil, invalidRequest(c.name, "Certificate authority %s cannot be activated: its distribution status is %s", a.id, a.distribution)
	case a.until.Before(time.Now()):
		return nil, invalidRequest(c.name, "Certificate authority %s has expired", a.id)
	case signer != nil && a.created.Before(signer.created) && !c.authorityReturns(signer):
		return nil, invalidRequest(c.name, "Certificate authority %s cannot be activated: a rollback is not available any more", a.id)
	}
	return s.promote(c, a, byCustomer, req).view(), nil
}

func (s *Service) deleteAuthority(_ context.Context, _ *wire.Call, in *deleteAuthorityIn) (*updateOut, error) {
	req := request{"DeleteCertificateAuthority/" + in.ID, in.ClientRequestToken, fingerprint(in)}
	s.mu.Lock()
	defer s.mu.Unlock()
	c, a, err := s.authorityOf(in.ClusterName, in.ID)
	if err != nil {
		return nil, err
	}
	if u, err := c.repeated(req); u != nil || err != nil {
		return viewOr(u, err)
	}
	if err := s.free(c, authorityUpdate); err != nil {
		return nil, err
	}
	next, signer := c.successor(), c.signer()
	switch {
	case a == signer:
		return nil, invalidRequest(c.name, "Certificate authority %s is in use", a.id)
	case a != next || a.distribution == notSpread:
	case a.createdBy == byEKS:
		return nil, invalidRequest(c.name, "Certificate authority %s was created by EKS and is the only successor", a.id)
	case time.Until(signer.until) < appendsBefore:
		return nil, invalidRequest(c.name, "Certificate authority %s is needed: the one in use expires in less than two years", a.id)
	}
	a.distribution = leaves
	return s.run(c, req, change{kind: authorityUpdate, params: []updateParam{{"CertificateAuthorityId", a.id}}, apply: func(c *cluster) {
		c.trusted = slices.DeleteFunc(c.trusted, func(b *authority) bool { return b == a })
	}}), nil
}
