package eks

import (
	"context"
	"net/url"

	"github.com/ekspedite/ekspedite/infra/local/wire"
)

// An OIDC identity provider is API state: the API server behind a cluster does not take its tokens.

type identityProvider struct {
	arn, status string
	config      oidcConfig
	tags        tags
}

type oidcConfig struct {
	Name           string            `json:"identityProviderConfigName"`
	IssuerURL      string            `json:"issuerUrl"`
	ClientID       string            `json:"clientId"`
	UsernameClaim  string            `json:"usernameClaim,omitempty"`
	UsernamePrefix string            `json:"usernamePrefix,omitempty"`
	GroupsClaim    string            `json:"groupsClaim,omitempty"`
	GroupsPrefix   string            `json:"groupsPrefix,omitempty"`
	RequiredClaims map[string]string `json:"requiredClaims,omitempty"`
}

type oidcShape struct {
	oidcConfig
	ClusterName string `json:"clusterName"`
	ARN         string `json:"identityProviderConfigArn"`
	Tags        tags   `json:"tags"`
	Status      string `json:"status"`
}

type associateIdentityIn struct {
	Name               string     `json:"-" path:"name"`
	OIDC               oidcConfig `json:"oidc"`
	Tags               tags       `json:"tags"`
	ClientRequestToken string     `json:"clientRequestToken"`
}

type associateIdentityOut struct {
	Update updateShape `json:"update"`
	Tags   tags        `json:"tags"`
}

// providerRef names a configuration. The only type is oidc.
type providerRef struct {
	Type string `json:"type"`
	Name string `json:"name"`
}

type describeIdentityIn struct {
	Name   string      `json:"-" path:"name"`
	Config providerRef `json:"identityProviderConfig"`
}

type disassociateIdentityIn struct {
	Name               string      `json:"-" path:"name"`
	Config             providerRef `json:"identityProviderConfig"`
	ClientRequestToken string      `json:"clientRequestToken"`
}

type describeIdentityOut struct {
	Config struct {
		OIDC oidcShape `json:"oidc"`
	} `json:"identityProviderConfig"`
}

type listIdentityOut struct {
	Configs   []providerRef `json:"identityProviderConfigs"`
	NextToken *string       `json:"nextToken,omitempty"`
}

const oidc = "oidc"

func (s *Service) identityOps() []wire.Op {
	const path = "/clusters/{name}/identity-provider-configs"
	return []wire.Op{
		wire.Handle("AssociateIdentityProviderConfig", s.needAssociateIdentity, s.associateIdentity).REST("POST", path+"/associate"),
		wire.Handle("DisassociateIdentityProviderConfig", s.needDisassociateIdentity, s.disassociateIdentity).REST("POST", path+"/disassociate"),
		wire.Handle("DescribeIdentityProviderConfig", s.needDescribeIdentity, s.describeIdentity).REST("POST", path+"/describe"),
		wire.Handle("ListIdentityProviderConfigs", s.needListIn("ListIdentityProviderConfigs"), s.listIdentity).REST("GET", path),
	}
}

func (o oidcConfig) check(c *cluster) error {
	u, err := url.Parse(o.IssuerURL)
	switch {
	case o.Name == "" || o.ClientID == "":
		return invalidParameter(c.name, "identityProviderConfigName and clientId must be provided")
	case err != nil || u.Scheme != "https" || u.Host == "" || u.RawQuery != "":
		return invalidParameter(c.name, "Incorrect Identity Provider URL configuration. The Identity Provider URL must begin with https:// and have no query")
	case o.IssuerURL == c.issuer():
		return invalidParameter(c.name, "Incorrect Identity Provider URL configuration. The Identity Provider URL cannot be same as OpenID Connect (OIDC) issuer URL")
	}
	return nil
}

// associateIdentity gives a cluster its identity provider, of which it can have one.
func (s *Service) associateIdentity(_ context.Context, _ *wire.Call, in *associateIdentityIn) (*associateIdentityOut, error) {
	const kind = "AssociateIdentityProviderConfig"
	req := request{kind, in.ClientRequestToken, fingerprint(in)}
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.clusters[in.Name]
	if c == nil {
		return nil, noCluster(in.Name)
	}
	if u, err := c.repeated(req); u != nil || err != nil {
		if err != nil {
			return nil, err
		}
		return &associateIdentityOut{u.view().Update, in.Tags}, nil
	}
	if err := c.inCloud("Identity providers"); err != nil {
		return nil, err
	}
	if err := in.OIDC.check(c); err != nil {
		return nil, err
	}
	if err := checkTags(c.name, in.Tags); err != nil {
		return nil, err
	}
	if err := s.free(c, kind); err != nil {
		return nil, err
	}
	if c.idp != nil {
		// The words are not public.
		return nil, limitExceeded(c.name, "Cluster %s already has an identity provider configuration associated", c.name)
	}
	c.idp = &identityProvider{
		arn:    s.w.ARN("eks", "identityproviderconfig/"+c.name+"/oidc/"+in.OIDC.Name+"/"+s.w.UUID()),
		status: creating, config: in.OIDC, tags: tags{},
	}
	if in.Tags != nil {
		c.idp.tags = in.Tags
	}
	out := s.run(c, req, change{kind: kind, params: []updateParam{{"IdentityProviderConfig", fingerprint(in.OIDC)}}, rolling: true,
		apply: func(c *cluster) { c.idp.status = active }})
	return &associateIdentityOut{out.Update, c.idp.tags}, nil
}

// provider finds the configuration that a request names. The caller holds s.mu.
func (c *cluster) provider(ref providerRef) *identityProvider {
	if ref.Type != oidc || c.idp == nil || c.idp.config.Name != ref.Name {
		return nil
	}
	return c.idp
}

func (s *Service) disassociateIdentity(_ context.Context, _ *wire.Call, in *disassociateIdentityIn) (*updateOut, error) {
	const kind = "DisassociateIdentityProviderConfig"
	req := request{kind, in.ClientRequestToken, fingerprint(in)}
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.clusters[in.Name]
	if c == nil {
		return nil, noCluster(in.Name)
	}
	if u, err := c.repeated(req); u != nil || err != nil {
		return viewOr(u, err)
	}
	p := c.provider(in.Config)
	if p == nil {
		return nil, invalidRequest(c.name, "Identity provider config is not associated with cluster %s", c.name)
	}
	if err := s.free(c, kind); err != nil {
		return nil, err
	}
	p.status = deleting
	return s.run(c, req, change{kind: kind, params: []updateParam{{"IdentityProviderConfig", fingerprint(in.Config)}}, rolling: true,
		apply: func(c *cluster) { c.idp = nil }}), nil
}

func (s *Service) describeIdentity(_ context.Context, _ *wire.Call, in *describeIdentityIn) (*describeIdentityOut, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.clusters[in.Name]
	if c == nil {
		return nil, noCluster(in.Name)
	}
	p := c.provider(in.Config)
	if p == nil {
		return nil, notFound(c.name, "No identity provider config found for name: %s.", in.Config.Name)
	}
	var out describeIdentityOut
	out.Config.OIDC = oidcShape{oidcConfig: p.config, ClusterName: c.name, ARN: p.arn, Tags: p.tags, Status: p.status}
	return &out, nil
}

func (s *Service) listIdentity(_ context.Context, _ *wire.Call, in *listInCluster) (*listIdentityOut, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.clusters[in.Name]
	if c == nil {
		return nil, noCluster(in.Name)
	}
	names := []string{}
	if c.idp != nil {
		names = append(names, c.idp.config.Name)
	}
	part, next, err := page(names, in.MaxResults, in.NextToken)
	if err != nil {
		return nil, err
	}
	out := &listIdentityOut{Configs: []providerRef{}, NextToken: next}
	for _, n := range part {
		out.Configs = append(out.Configs, providerRef{oidc, n})
	}
	return out, nil
}
