package eks

import (
	"context"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/wire"
)

// EKS Capabilities (Argo CD, ACK, kro) run in AWS's own accounts. Here they are API state with the access entry of their
// role; no controller acts in the cluster. They go with their cluster.

// capability is one of a cluster. Service.mu guards it; what a response shows is replaced, never changed in place.
type capability struct {
	name, arn, kind, role string
	status                string
	config                capabilityConfig
	tags                  tags
	created, modified     time.Time
	token, params         string
}

// capabilityKind is what EKS brings along for a type.
type capabilityKind struct {
	version  string   // of the software: of the form that AWS shows
	policies []string // that EKS associates with the role's access entry
}

var capabilityKinds = map[string]capabilityKind{
	"ACK":    {"1.2.0-eks-1", []string{"AmazonEKSACKPolicy"}},
	"ARGOCD": {"3.1.8-eks-1", []string{"AmazonEKSArgoCDClusterPolicy", "AmazonEKSArgoCDPolicy"}},
	"KRO":    {"0.6.1-eks-1", []string{"AmazonEKSKROPolicy"}},
}

const (
	capabilityPrincipal = "capabilities.eks.amazonaws.com"
	retain              = "RETAIN"
)

type createCapabilityIn struct {
	ClusterName        string                   `json:"-" path:"name"`
	CapabilityName     string                   `json:"capabilityName"`
	ClientRequestToken string                   `json:"clientRequestToken"`
	Type               string                   `json:"type"`
	RoleARN            string                   `json:"roleArn"`
	Configuration      *capabilityConfigRequest `json:"configuration"`
	Tags               tags                     `json:"tags"`
	DeletePropagation  string                   `json:"deletePropagationPolicy"`
}

type capabilityName struct {
	ClusterName    string `json:"-" path:"name"`
	CapabilityName string `json:"-" path:"capabilityName"`
}

type updateCapabilityIn struct {
	ClusterName        string                  `json:"-" path:"name"`
	CapabilityName     string                  `json:"-" path:"capabilityName"`
	ClientRequestToken string                  `json:"clientRequestToken"`
	RoleARN            string                  `json:"roleArn"`
	Configuration      *capabilityConfigUpdate `json:"configuration"`
	DeletePropagation  string                  `json:"deletePropagationPolicy"`
}

type capabilityShape struct {
	Name              string           `json:"capabilityName"`
	ARN               string           `json:"arn"`
	ClusterName       string           `json:"clusterName"`
	Type              string           `json:"type"`
	RoleARN           string           `json:"roleArn"`
	Status            string           `json:"status"`
	Version           string           `json:"version"`
	Configuration     capabilityConfig `json:"configuration"`
	Tags              tags             `json:"tags"`
	Health            health           `json:"health"`
	CreatedAt         *wire.Time       `json:"createdAt"`
	ModifiedAt        *wire.Time       `json:"modifiedAt"`
	DeletePropagation string           `json:"deletePropagationPolicy"`
}

type capabilityOut struct {
	Capability capabilityShape `json:"capability"`
}

type capabilitySummary struct {
	Name       string     `json:"capabilityName"`
	ARN        string     `json:"arn"`
	Type       string     `json:"type"`
	Status     string     `json:"status"`
	Version    string     `json:"version"`
	CreatedAt  *wire.Time `json:"createdAt"`
	ModifiedAt *wire.Time `json:"modifiedAt"`
}

type listCapabilitiesOut struct {
	Capabilities []capabilitySummary `json:"capabilities"`
	NextToken    *string             `json:"nextToken,omitempty"`
}

func (s *Service) capabilityOps() []wire.Op {
	const all, one = "/clusters/{name}/capabilities", "/clusters/{name}/capabilities/{capabilityName}"
	return []wire.Op{
		wire.Handle("CreateCapability", s.needCreateCapability, s.createCapability).REST("POST", all),
		wire.Handle("DescribeCapability", s.needCapability("DescribeCapability"), s.describeCapability).REST("GET", one),
		wire.Handle("ListCapabilities", s.needListIn("ListCapabilities"), s.listCapabilities).REST("GET", all),
		wire.Handle("UpdateCapability", s.needUpdateCapability, s.updateCapability).REST("POST", one),
		wire.Handle("DeleteCapability", s.needCapability("DeleteCapability"), s.deleteCapability).REST("DELETE", one),
	}
}

// The exact words of the refusals below are not public.

func noCapability(cluster, name string) error {
	return notFound(cluster, "No capability found for name: %s.", name)
}

var capabilityForm = regexp.MustCompile(`^[0-9A-Za-z][A-Za-z0-9\-_]{0,99}$`)

func (in *createCapabilityIn) check() error {
	_, ok := capabilityKinds[in.Type]
	switch {
	case !capabilityForm.MatchString(in.CapabilityName):
		return invalidParameter(in.ClusterName, "The capability name '%s' is not valid", in.CapabilityName)
	case !ok:
		return invalidParameter(in.ClusterName, "type must be one of ACK, ARGOCD, KRO")
	case in.DeletePropagation != retain:
		return invalidParameter(in.ClusterName, "deletePropagationPolicy must be RETAIN")
	}
	if err := checkTags(in.ClusterName, in.Tags); err != nil {
		return err
	}
	return in.Configuration.check(in.ClusterName, in.Type)
}

// capabilityOf finds both. The caller holds s.mu.
func (s *Service) capabilityOf(cluster, name string) (*cluster, *capability, error) {
	c := s.clusters[cluster]
	if c == nil {
		return nil, nil, noCluster(cluster)
	}
	p := c.capabilities[name]
	if p == nil {
		return nil, nil, noCapability(cluster, name)
	}
	return c, p, nil
}

func (s *Service) createCapability(_ context.Context, _ *wire.Call, in *createCapabilityIn) (*capabilityOut, error) {
	params := fingerprint(in)
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.clusters[in.ClusterName]
	if c == nil {
		return nil, noCluster(in.ClusterName)
	}
	if old := c.capabilities[in.CapabilityName]; old != nil {
		if in.ClientRequestToken == "" || old.token != in.ClientRequestToken {
			return nil, inUse(c.name, "Capability already exists with name %s and cluster name %s", in.CapabilityName, c.name)
		}
		if old.params != params {
			return nil, tokenReused(c.name)
		}
		return &capabilityOut{old.view(c)}, nil
	}
	if err := in.check(); err != nil {
		return nil, err
	}
	if err := s.mayHave(c, in.Type); err != nil {
		return nil, err
	}
	if err := s.checkCapabilityRole(c.name, in.RoleARN); err != nil {
		return nil, err
	}
	now := time.Now()
	p := &capability{
		name: in.CapabilityName, kind: in.Type, role: in.RoleARN, status: creating, tags: tags{}, created: now, modified: now,
		arn:    s.w.ARN("eks", "capability/"+c.name+"/"+strings.ToLower(in.Type)+"/"+in.CapabilityName+"/"+s.w.UUID()),
		config: in.Configuration.made(s, in.Type), token: in.ClientRequestToken, params: params,
	}
	if in.Tags != nil {
		p.tags = in.Tags
	}
	c.capabilities[p.name] = p
	s.capabilityEntry(c, p)
	s.touch()
	s.later(c, func() { p.status = active })
	return &capabilityOut{p.view(c)}, nil
}

// mayHave tells whether the cluster can get a capability of that type: it is ACTIVE, in the cloud, reads access entries
// and has none of the type.
func (s *Service) mayHave(c *cluster, kind string) error {
	if c.status != active && c.status != updating {
		return notActive(c.name)
	}
	if err := c.inCloud("Capabilities"); err != nil {
		return err
	}
	if c.access.AuthenticationMode == modeConfigMap {
		return invalidRequest(c.name, "The cluster's authentication mode must be set to one of [API, API_AND_CONFIG_MAP] to perform this operation.")
	}
	for _, name := range sortedKeys(c.capabilities) {
		if c.capabilities[name].kind == kind {
			return inUse(c.name, "Cluster %s already has a capability of type %s: %s", c.name, kind, name)
		}
	}
	return nil
}

func (s *Service) checkCapabilityRole(cluster, role string) error {
	if s.opt.IAM.CheckTrust(role, capabilityPrincipal) != nil {
		return invalidParameter(cluster, "Role with arn: %s, could not be assumed because it does not exist or the trusted entity is not correct", role)
	}
	return nil
}

// capabilityEntry is the access entry that EKS makes for a capability's role. The caller holds s.mu.
func (s *Service) capabilityEntry(c *cluster, p *capability) {
	if c.entries[p.role] != nil {
		return
	}
	e := s.newEntry(c, p.role, "STANDARD")
	e.automatic = true
	for _, name := range capabilityKinds[p.kind].policies {
		e.policies[policyPrefix+name] = &association{scope: accessScope{Type: "cluster", Namespaces: []string{}}, at: e.created, modified: e.created}
	}
	c.entries[p.role] = e
}

// dropEntry removes it when no other capability has the role. The caller holds s.mu.
func (s *Service) dropEntry(c *cluster, role string) {
	shared := slices.ContainsFunc(sortedKeys(c.capabilities), func(n string) bool { return c.capabilities[n].role == role })
	if e := c.entries[role]; e != nil && e.automatic && !shared {
		delete(c.entries, role)
	}
}

// later runs f, with s.mu held, when the time of a change has passed, if the cluster is still there.
func (s *Service) later(c *cluster, f func()) {
	s.w.Go(func(context.Context) {
		if !sleep(c.ctx, s.w.Profile.ConfigUpdate) {
			return
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		f()
		s.touch()
	})
}

func (s *Service) describeCapability(_ context.Context, _ *wire.Call, in *capabilityName) (*capabilityOut, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, p, err := s.capabilityOf(in.ClusterName, in.CapabilityName)
	if err != nil {
		return nil, err
	}
	return &capabilityOut{p.view(c)}, nil
}

func (s *Service) listCapabilities(_ context.Context, _ *wire.Call, in *listInCluster) (*listCapabilitiesOut, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.clusters[in.Name]
	if c == nil {
		return nil, noCluster(in.Name)
	}
	part, next, err := page(sortedKeys(c.capabilities), in.MaxResults, in.NextToken)
	if err != nil {
		return nil, err
	}
	out := &listCapabilitiesOut{Capabilities: []capabilitySummary{}, NextToken: next}
	for _, name := range part {
		v := c.capabilities[name].view(c)
		out.Capabilities = append(out.Capabilities, capabilitySummary{v.Name, v.ARN, v.Type, v.Status, v.Version, v.CreatedAt, v.ModifiedAt})
	}
	return out, nil
}

func (s *Service) updateCapability(_ context.Context, _ *wire.Call, in *updateCapabilityIn) (*updateOut, error) {
	req := request{"UpdateCapability/" + in.CapabilityName, in.ClientRequestToken, fingerprint(in)}
	s.mu.Lock()
	defer s.mu.Unlock()
	c, p, err := s.capabilityOf(in.ClusterName, in.CapabilityName)
	if err != nil {
		return nil, err
	}
	if u, err := c.repeated(req); u != nil || err != nil {
		return viewOr(u, err)
	}
	if p.status != active {
		return nil, inUse(c.name, "Capability %s cannot be updated as it is currently in %s state", p.name, p.status)
	}
	if in.DeletePropagation != "" && in.DeletePropagation != retain {
		return nil, invalidParameter(c.name, "deletePropagationPolicy must be RETAIN")
	}
	next, params, err := in.Configuration.change(c.name, p)
	if err != nil {
		return nil, err
	}
	role := p.role
	if in.RoleARN != "" && in.RoleARN != role {
		if err := s.checkCapabilityRole(c.name, in.RoleARN); err != nil {
			return nil, err
		}
		role = in.RoleARN
		params = append(params, updateParam{"RoleArn", role})
	}
	if len(params) == 0 {
		return nil, invalidParameter(c.name, "No changes needed for the capability configuration provided")
	}
	u := s.begin(c, &update{kind: "CapabilityUpdate", capability: p.name, params: params, request: req})
	p.status = updating
	s.later(c, func() {
		old := p.role
		p.config, p.role, p.modified, p.status = next, role, time.Now(), active
		if role != old {
			s.dropEntry(c, old)
			s.capabilityEntry(c, p)
		}
		s.end(u)
	})
	return u.view(), nil
}

func (s *Service) deleteCapability(_ context.Context, _ *wire.Call, in *capabilityName) (*capabilityOut, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, p, err := s.capabilityOf(in.ClusterName, in.CapabilityName)
	if err != nil {
		return nil, err
	}
	switch p.status {
	case deleting:
		return &capabilityOut{p.view(c)}, nil
	case active:
	default:
		return nil, inUse(c.name, "Capability %s cannot be deleted as it is currently in %s state", p.name, p.status)
	}
	p.status, p.modified = deleting, time.Now()
	s.touch()
	s.later(c, func() {
		delete(c.capabilities, p.name)
		s.dropEntry(c, p.role)
	})
	return &capabilityOut{p.view(c)}, nil
}

func (p *capability) view(c *cluster) capabilityShape {
	return capabilityShape{
		Name: p.name, ARN: p.arn, ClusterName: c.name, Type: p.kind, RoleARN: p.role, Status: p.status,
		Version: capabilityKinds[p.kind].version, Configuration: p.config, Tags: p.tags, Health: health{Issues: []issue{}},
		CreatedAt: wire.At(p.created), ModifiedAt: wire.At(p.modified), DeletePropagation: retain,
	}
}
