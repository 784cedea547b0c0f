package eks

import (
	"context"
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/wire"
)

// podPrincipal is the service that gets credentials of a role for pods.
const podPrincipal = "pods.eks.amazonaws.com"

// podIdentity gives a service account the rights of a role. No pod here gets credentials by it: containers do not run.
type podIdentity struct {
	id, arn                   string
	namespace, serviceAccount string
	role, targetRole          string
	policy, owner, externalID string
	noSessionTags             bool
	tags                      tags
	created, modified         time.Time
	token, params             string
}

type createPodIdentityIn struct {
	ClusterName        string `json:"-" path:"name"`
	Namespace          string `json:"namespace"`
	ServiceAccount     string `json:"serviceAccount"`
	RoleARN            string `json:"roleArn"`
	TargetRoleARN      string `json:"targetRoleArn"`
	Policy             string `json:"policy"`
	DisableSessionTags bool   `json:"disableSessionTags"`
	Tags               tags   `json:"tags"`
	ClientRequestToken string `json:"clientRequestToken"`
}

type updatePodIdentityIn struct {
	ClusterName        string  `json:"-" path:"name"`
	AssociationID      string  `json:"-" path:"associationId"`
	RoleARN            string  `json:"roleArn"`
	TargetRoleARN      *string `json:"targetRoleArn"`
	Policy             *string `json:"policy"`
	DisableSessionTags *bool   `json:"disableSessionTags"`
	ClientRequestToken string  `json:"clientRequestToken"`
}

type podIdentityName struct {
	ClusterName   string `json:"-" path:"name"`
	AssociationID string `json:"-" path:"associationId"`
}

type listPodIdentitiesIn struct {
	ClusterName    string `json:"-" path:"name"`
	Namespace      string `json:"-" param:"namespace"`
	ServiceAccount string `json:"-" param:"serviceAccount"`
	MaxResults     *int   `json:"-" param:"maxResults"`
	NextToken      string `json:"-" param:"nextToken"`
}

type podIdentitySummary struct {
	ClusterName    string `json:"clusterName"`
	Namespace      string `json:"namespace"`
	ServiceAccount string `json:"serviceAccount"`
	AssociationARN string `json:"associationArn"`
	AssociationID  string `json:"associationId"`
	OwnerARN       string `json:"ownerArn,omitempty"`
}

type podIdentityShape struct {
	podIdentitySummary
	RoleARN            string     `json:"roleArn"`
	TargetRoleARN      string     `json:"targetRoleArn,omitempty"`
	ExternalID         string     `json:"externalId,omitempty"`
	Policy             string     `json:"policy,omitempty"`
	DisableSessionTags bool       `json:"disableSessionTags"`
	Tags               tags       `json:"tags"`
	CreatedAt          *wire.Time `json:"createdAt"`
	ModifiedAt         *wire.Time `json:"modifiedAt"`
}

type podIdentityOut struct {
	Association podIdentityShape `json:"association"`
}

type listPodIdentitiesOut struct {
	Associations []podIdentitySummary `json:"associations"`
	NextToken    *string              `json:"nextToken,omitempty"`
}

func (s *Service) podIdentityOps() []wire.Op {
	const all, one = "/clusters/{name}/pod-identity-associations", "/clusters/{name}/pod-identity-associations/{associationId}"
	return []wire.Op{
		wire.Handle("CreatePodIdentityAssociation", s.needCreatePodIdentity, s.createPodIdentity).REST("POST", all),
		wire.Handle("DescribePodIdentityAssociation", s.needPodIdentity("DescribePodIdentityAssociation"), s.describePodIdentity).REST("GET", one),
		wire.Handle("UpdatePodIdentityAssociation", s.needUpdatePodIdentity, s.updatePodIdentity).REST("POST", one),
		wire.Handle("DeletePodIdentityAssociation", s.needPodIdentity("DeletePodIdentityAssociation"), s.deletePodIdentity).REST("DELETE", one),
		wire.Handle("ListPodIdentityAssociations", s.needListPodIdentities, s.listPodIdentities).REST("GET", all),
	}
}

func (p *podIdentity) summary(c *cluster) podIdentitySummary {
	return podIdentitySummary{
		ClusterName: c.name, Namespace: p.namespace, ServiceAccount: p.serviceAccount, AssociationARN: p.arn, AssociationID: p.id, OwnerARN: p.owner,
	}
}

func (p *podIdentity) view(c *cluster) *podIdentityOut {
	return &podIdentityOut{podIdentityShape{
		podIdentitySummary: p.summary(c), RoleARN: p.role, TargetRoleARN: p.targetRole, ExternalID: p.externalID, Policy: p.policy,
		DisableSessionTags: p.noSessionTags, Tags: p.tags, CreatedAt: wire.At(p.created), ModifiedAt: wire.At(p.modified),
	}}
}

var (
	namespaceForm = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
	accountForm   = regexp.MustCompile(`^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$`)
	roleForm      = regexp.MustCompile(`^arn:aws[a-z-]*:iam::\d{12}:role/.+$`)
)

// checkPodRole wants the trust that EKS Pod Identity needs: to assume the role and to tag the session.
func (s *Service) checkPodRole(c *cluster, role string) error {
	if err := s.opt.IAM.CheckTrustFor(role, podPrincipal, c.arn, "sts:AssumeRole", "sts:TagSession"); err != nil {
		return invalidParameter(c.name, "Trust policy of the role provided is invalid.")
	}
	return nil
}

// check refuses what an association cannot be. The target role may be another account's: nobody looks at its trust.
func (p *podIdentity) check(c *cluster) error {
	switch {
	case !namespaceForm.MatchString(p.namespace):
		return invalidParameter(c.name, "The namespace '%s' is invalid: it is not an RFC 1123 label", p.namespace)
	case !accountForm.MatchString(p.serviceAccount):
		return invalidParameter(c.name, "The service account '%s' is invalid: it is not an RFC 1123 subdomain", p.serviceAccount)
	case p.targetRole != "" && !roleForm.MatchString(p.targetRole):
		return invalidParameter(c.name, "The targetRoleArn '%s' is not the ARN of a role", p.targetRole)
	case p.policy == "":
		return nil
	case !p.noSessionTags:
		return invalidParameter(c.name, "disableSessionTags must be true when a policy is specified")
	}
	var document struct{ Statement json.RawMessage }
	if err := json.Unmarshal([]byte(p.policy), &document); err != nil || !present(document.Statement) {
		return invalidParameter(c.name, "The policy is not a valid IAM policy document")
	}
	return nil
}

// settle fills what follows from the rest.
func (p *podIdentity) settle(s *Service, c *cluster) {
	p.modified, p.externalID = time.Now(), ""
	if p.targetRole != "" {
		p.externalID = s.w.Region + "/" + s.w.Account + "/" + c.name + "/" + p.namespace + "/" + p.serviceAccount
	}
}

// associated finds the association of a service account. The caller holds s.mu.
func (c *cluster) associated(namespace, serviceAccount string) *podIdentity {
	for _, p := range c.podIdentities {
		if p.namespace == namespace && p.serviceAccount == serviceAccount {
			return p
		}
	}
	return nil
}

// associatePod makes an association of what is in p. The caller holds s.mu.
func (s *Service) associatePod(c *cluster, p *podIdentity) error {
	if err := p.check(c); err != nil {
		return err
	}
	if old := c.associated(p.namespace, p.serviceAccount); old != nil {
		return inUse(c.name, "Association already exists: %s", old.id)
	}
	if err := s.checkPodRole(c, p.role); err != nil {
		return err
	}
	p.id = "a-" + s.w.Hex(17)
	p.arn, p.created = s.w.ARN("eks", "podidentityassociation/"+c.name+"/"+p.id), time.Now()
	if p.tags == nil {
		p.tags = tags{}
	}
	p.settle(s, c)
	if c.podIdentities == nil {
		c.podIdentities = map[string]*podIdentity{}
	}
	c.podIdentities[p.id] = p
	return nil
}

// podIdentityOf finds an association. The caller holds s.mu.
func (s *Service) podIdentityOf(in, id string) (*cluster, *podIdentity, error) {
	c := s.clusters[in]
	if c == nil {
		return nil, nil, noCluster(in)
	}
	p := c.podIdentities[id]
	if p == nil {
		return nil, nil, notFound(in, "The association %s does not exist in cluster %s", id, in)
	}
	return c, p, nil
}

func (s *Service) createPodIdentity(_ context.Context, _ *wire.Call, in *createPodIdentityIn) (*podIdentityOut, error) {
	params := fingerprint(in)
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.clusters[in.ClusterName]
	if c == nil {
		return nil, noCluster(in.ClusterName)
	}
	if c.status == creating || c.status == deleting || c.status == failed {
		return nil, notActive(c.name)
	}
	if old := c.associated(in.Namespace, in.ServiceAccount); old != nil && in.ClientRequestToken != "" && old.token == in.ClientRequestToken {
		if old.params != params {
			return nil, tokenReused(c.name)
		}
		return old.view(c), nil
	}
	p := &podIdentity{
		namespace: in.Namespace, serviceAccount: in.ServiceAccount, role: in.RoleARN, targetRole: in.TargetRoleARN, policy: in.Policy,
		noSessionTags: in.DisableSessionTags, tags: maps.Clone(in.Tags), token: in.ClientRequestToken, params: params,
	}
	if err := s.associatePod(c, p); err != nil {
		return nil, err
	}
	return p.view(c), nil
}

func (s *Service) describePodIdentity(_ context.Context, _ *wire.Call, in *podIdentityName) (*podIdentityOut, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, p, err := s.podIdentityOf(in.ClusterName, in.AssociationID)
	if err != nil {
		return nil, err
	}
	return p.view(c), nil
}

// changeablePod refuses to touch what belongs to an add-on: UpdateAddon and DeleteAddon do.
func changeablePod(c *cluster, p *podIdentity) error {
	if p.owner != "" {
		return invalidRequest(c.name, "Association %s is owned by %s: change it through its owner", p.id, p.owner)
	}
	return nil
}

func (s *Service) updatePodIdentity(_ context.Context, _ *wire.Call, in *updatePodIdentityIn) (*podIdentityOut, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, p, err := s.podIdentityOf(in.ClusterName, in.AssociationID)
	if err != nil {
		return nil, err
	}
	if err := changeablePod(c, p); err != nil {
		return nil, err
	}
	next := *p
	if in.TargetRoleARN != nil {
		next.targetRole = *in.TargetRoleARN
	}
	if in.Policy != nil {
		next.policy = *in.Policy
	}
	if in.DisableSessionTags != nil {
		next.noSessionTags = *in.DisableSessionTags
	}
	if in.RoleARN != "" {
		if err := s.checkPodRole(c, in.RoleARN); err != nil {
			return nil, err
		}
		next.role = in.RoleARN
	}
	if err := next.check(c); err != nil {
		return nil, err
	}
	next.settle(s, c)
	*p = next
	return p.view(c), nil
}

func (s *Service) deletePodIdentity(_ context.Context, _ *wire.Call, in *podIdentityName) (*podIdentityOut, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, p, err := s.podIdentityOf(in.ClusterName, in.AssociationID)
	if err != nil {
		return nil, err
	}
	if err := changeablePod(c, p); err != nil {
		return nil, err
	}
	delete(c.podIdentities, p.id)
	return p.view(c), nil
}

func (s *Service) listPodIdentities(_ context.Context, _ *wire.Call, in *listPodIdentitiesIn) (*listPodIdentitiesOut, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.clusters[in.ClusterName]
	switch {
	case c == nil:
		return nil, noCluster(in.ClusterName)
	case in.ServiceAccount != "" && in.Namespace == "":
		return nil, invalidParameter(c.name, "The namespace must be specified with the serviceAccount")
	}
	var ids []string
	for id, p := range c.podIdentities {
		if (in.Namespace == "" || p.namespace == in.Namespace) && (in.ServiceAccount == "" || p.serviceAccount == in.ServiceAccount) {
			ids = append(ids, id)
		}
	}
	part, next, err := page(slices.Sorted(slices.Values(ids)), in.MaxResults, in.NextToken)
	if err != nil {
		return nil, err
	}
	out := &listPodIdentitiesOut{Associations: []podIdentitySummary{}, NextToken: next}
	for _, id := range part {
		out.Associations = append(out.Associations, c.podIdentities[id].summary(c))
	}
	return out, nil
}
