package eks

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"slices"
	"time"
)

// When EKS acts on certificate authorities by itself, and how long these live: EKS's user guide, "Rotate the EKS cluster
// certificate authority". How long a rollback is possible the guide does not say: a week is a guess.
const (
	firstAuthorityLives = 10 * 365 * 24 * time.Hour
	authorityLives      = 5 * 365 * 24 * time.Hour
	appendsBefore       = 2 * 365 * 24 * time.Hour
	activatesBefore     = 182 * 24 * time.Hour
	lastActivation      = 45 * 24 * time.Hour
	authorityRollback   = 7 * 24 * time.Hour
	maxAuthorities      = 2
)

// Statuses of signing and of distribution.
const (
	signs       = "IN_USE"
	willSign    = "ACTIVATING"
	signsNot    = "NOT_USED"
	distributed = "COMPLETE"
	spreading   = "IN_PROGRESS"
	notSpread   = "FAILED"
	leaves      = "DELETING"
)

const byEKS, byCustomer = "EKS", "CUSTOMER"

// authority is a certificate authority of a cluster. The first one is the control plane's own. Successors are certificates
// in the trust bundle and nothing more: the control plane goes on with what its own has signed whatever becomes of them,
// and its own stays in the bundle for as long, also when it is deleted here.
type authority struct {
	id, data              string // data is base64 of PEM
	signing, distribution string
	created, activated    time.Time
	createdBy, activator  string
	from, until           time.Time // validity
	final                 bool      // EKS activated it for the last time: there is no way back
	bundled               bool      // the cluster's trust bundle has it
}

// authorities are the cluster's, the oldest first. The caller holds s.mu.
func (s *Service) authorities(c *cluster) []*authority {
	if len(c.trusted) == 0 && c.plane != nil && c.plane.CAData() != "" {
		a := &authority{
			id: s.w.UUID(), data: c.plane.CAData(), signing: signs, distribution: distributed, created: c.created, activated: c.created,
			createdBy: byEKS, activator: byEKS, from: c.created, until: c.created.Add(firstAuthorityLives),
		}
		if cert := certificateIn(a.data); cert != nil { // those of tests have none
			a.from, a.until = cert.NotBefore, cert.NotAfter
		}
		c.trusted = append(c.trusted, a)
	}
	s.tend(c)
	return c.trusted
}

func certificateIn(data string) *x509.Certificate {
	text, err := base64.StdEncoding.DecodeString(data)
	if err != nil {
		return nil
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil
	}
	return cert
}

// tend does what EKS would have done by itself by now: it appends a successor two years before the end, and activates it half a
// year before; once more, for good, if that was rolled back. It is done when somebody looks. The caller holds s.mu.
func (s *Service) tend(c *cluster) {
	signer := c.signer()
	if signer == nil || c.status != active || c.running("", "") != nil {
		return
	}
	next, left := c.successor(), time.Until(signer.until)
	switch {
	case next == nil && left < appendsBefore:
		if old := c.besides(signer); old != nil { // the one before, which has served its time
			c.trusted = slices.DeleteFunc(c.trusted, func(a *authority) bool { return a == old })
		}
		if a, err := s.newAuthority(c, byEKS); err == nil {
			s.spread(c, a, request{})
		}
	case next == nil || next.distribution != distributed:
	case left < lastActivation, left < activatesBefore && next.activated.IsZero():
		next.final = !next.activated.IsZero()
		s.promote(c, next, byEKS, request{})
	}
}

// signer signs the cluster's certificates now; nil while another one is being activated, or before there is any.
func (c *cluster) signer() *authority {
	return c.findAuthority(func(a *authority) bool { return a.signing == signs })
}

func (c *cluster) besides(a *authority) *authority {
	return c.findAuthority(func(b *authority) bool { return b != a })
}

// successor is the one that was made after the signer.
func (c *cluster) successor() *authority {
	signer := c.signer()
	return c.findAuthority(func(a *authority) bool {
		return signer != nil && a != signer && a.created.After(signer.created) && a.distribution != leaves
	})
}

func (c *cluster) findAuthority(is func(*authority) bool) *authority {
	if i := slices.IndexFunc(c.trusted, is); i >= 0 {
		return c.trusted[i]
	}
	return nil
}

// authorityReturns tells whether an authority, which signs, can give its place back to the one before.
func (c *cluster) authorityReturns(a *authority) bool {
	return a.signing == signs && !a.final && len(c.trusted) > 1 && a.activated.After(a.created) && time.Since(a.activated) < authorityRollback
}

// bundle is what clients are to trust: base64 of PEM.
func (c *cluster) bundle() string {
	own := c.plane.CAData()
	text, err := base64.StdEncoding.DecodeString(own)
	if err != nil {
		return own
	}
	n := len(text)
	for _, a := range c.trusted {
		if more, err := base64.StdEncoding.DecodeString(a.data); err == nil && a.data != own && a.bundled {
			text = append(text, more...)
		}
	}
	if len(text) == n {
		return own
	}
	return base64.StdEncoding.EncodeToString(text)
}

// newAuthority makes a certificate whose key nobody keeps: nothing is signed with it.
func (s *Service) newAuthority(c *cluster, by string) (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making a certificate authority: %w", err)
	}
	now := time.Now()
	t := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()), Subject: pkix.Name{CommonName: "kubernetes"}, NotBefore: now, NotAfter: now.Add(authorityLives),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, t, t, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("making a certificate authority: %w", err)
	}
	a := &authority{
		id: s.w.UUID(), data: base64.StdEncoding.EncodeToString(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		signing: signsNot, distribution: spreading, created: now, createdBy: by, from: now, until: t.NotAfter,
	}
	c.trusted = append(c.trusted, a)
	return a, nil
}

const authorityUpdate = "CertificateAuthorityUpdate"

// spread brings a new authority to the control plane, and then to what else is AWS's. The update is over after the first. The
// caller holds s.mu.
func (s *Service) spread(c *cluster, a *authority, req request) *update {
	u := s.begin(c, &update{kind: authorityUpdate, request: req, params: []updateParam{{"CertificateAuthorityId", a.id}}})
	s.w.Go(func(context.Context) {
		if !sleep(c.ctx, s.w.Profile.ClusterUpdate) {
			return
		}
		s.mu.Lock()
		how, fails := s.trip(c.name, "", "", isUpdateError)
		if fails {
			a.distribution = notSpread
			s.end(u, ordered(how, c.name))
		} else {
			a.bundled = true
			s.end(u)
		}
		s.mu.Unlock()
		if fails || !sleep(c.ctx, s.w.Profile.ClusterUpdate) {
			return
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if a.distribution == spreading {
			a.distribution = distributed
		}
		s.touch()
	})
	return u
}

// promote makes an authority the signer. The caller holds s.mu.
func (s *Service) promote(c *cluster, a *authority, by string, req request) *update {
	u := s.begin(c, &update{kind: authorityUpdate, request: req, params: []updateParam{{"CertificateAuthorityId", a.id}, {"SigningStatus", signs}}})
	s.showUpdating(c, u)
	a.signing = willSign
	s.w.Go(func(context.Context) {
		if !sleep(c.ctx, s.w.Profile.ClusterUpdate) {
			return
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		c.settle()
		if how, ok := s.trip(c.name, "", "", isUpdateError); ok {
			a.signing = signsNot
			s.end(u, ordered(how, c.name))
			return
		}
		for _, b := range c.trusted {
			b.signing = signsNot
		}
		a.signing, a.activated, a.activator = signs, time.Now(), by
		s.end(u)
	})
	return u
}

// ExpireAuthority sets the end of the authority that signs now. What EKS does as it comes near, it does at the next look.
func (s *Service) ExpireAuthority(cluster string, at time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.clusters[cluster]
	if c == nil {
		return noCluster(cluster)
	}
	if len(c.trusted) == 0 {
		s.authorities(c)
	}
	a := c.signer()
	switch {
	case a == nil:
		return invalidRequest(cluster, "Cluster %s has no certificate authority that signs", cluster)
	case !at.After(time.Now()):
		return invalidParameter(cluster, "The end of a certificate authority must be in the future")
	}
	a.until = at
	s.touch()
	return nil
}
