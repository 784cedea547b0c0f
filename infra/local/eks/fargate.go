package eks

import (
	"context"
	"maps"
	"regexp"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/wire"
)

// fargateProfile says which pods run on AWS Fargate.
type fargateProfile struct {
	name, arn, role string
	selectors       []fargateSelector
	subnets         []string
	status          string
	tags            tags
	created         time.Time
	issues          []issue
	token, params   string
}

type fargateSelector struct {
	Namespace string            `json:"namespace"`
	Labels    map[string]string `json:"labels,omitempty"`
}

// The Region's default quotas.
const (
	maxFargateProfiles = 10
	maxSelectors       = 5
	maxSelectorLabels  = 5
)

const fargatePrincipal = "eks-fargate-pods.amazonaws.com"

type createFargateIn struct {
	ClusterName        string            `json:"-" path:"name"`
	FargateProfileName string            `json:"fargateProfileName"`
	PodExecutionRole   string            `json:"podExecutionRoleArn"`
	Subnets            []string          `json:"subnets"`
	Selectors          []fargateSelector `json:"selectors"`
	ClientRequestToken string            `json:"clientRequestToken"`
	Tags               tags              `json:"tags"`
}

type fargateName struct {
	ClusterName        string `json:"-" path:"name"`
	FargateProfileName string `json:"-" path:"fargateProfileName"`
}

type fargateShape struct {
	FargateProfileName  string            `json:"fargateProfileName"`
	FargateProfileARN   string            `json:"fargateProfileArn"`
	ClusterName         string            `json:"clusterName"`
	CreatedAt           *wire.Time        `json:"createdAt"`
	PodExecutionRoleARN string            `json:"podExecutionRoleArn"`
	Subnets             []string          `json:"subnets"`
	Selectors           []fargateSelector `json:"selectors"`
	Status              string            `json:"status"`
	Tags                tags              `json:"tags"`
	Health              health            `json:"health"`
}

type fargateOut struct {
	FargateProfile fargateShape `json:"fargateProfile"`
}

type listFargateOut struct {
	FargateProfileNames []string `json:"fargateProfileNames"`
	NextToken           *string  `json:"nextToken,omitempty"`
}

func (s *Service) fargateOps() []wire.Op {
	const all, one = "/clusters/{name}/fargate-profiles", "/clusters/{name}/fargate-profiles/{fargateProfileName}"
	return []wire.Op{
		wire.Handle("CreateFargateProfile", s.needCreateFargate, s.createFargate).REST("POST", all),
		wire.Handle("DescribeFargateProfile", s.needFargate("DescribeFargateProfile"), s.describeFargate).REST("GET", one),
		wire.Handle("ListFargateProfiles", s.needListIn("ListFargateProfiles"), s.listFargate).REST("GET", all),
		wire.Handle("DeleteFargateProfile", s.needFargate("DeleteFargateProfile"), s.deleteFargate).REST("DELETE", one),
	}
}

func (f *fargateProfile) view(c *cluster) *fargateOut {
	return &fargateOut{fargateShape{
		FargateProfileName: f.name, FargateProfileARN: f.arn, ClusterName: c.name, CreatedAt: wire.At(f.created), PodExecutionRoleARN: f.role,
		Subnets: f.subnets, Selectors: f.selectors, Status: f.status, Tags: f.tags, Health: health{append([]issue{}, f.issues...)},
	}}
}

var fargateForm = regexp.MustCompile(`^[0-9A-Za-z][A-Za-z0-9_-]{0,99}$`)

// fargateOf finds a profile. The caller holds s.mu.
func (s *Service) fargateOf(in, name string) (*cluster, *fargateProfile, error) {
	c := s.clusters[in]
	if c == nil {
		return nil, nil, noCluster(in)
	}
	f := c.fargate[name]
	if f == nil {
		return nil, nil, notFound(in, "No Fargate Profile found with name: %s.", name)
	}
	return c, f, nil
}

// fargateFree refuses a second change of Fargate profiles at a time. The caller holds s.mu.
func (c *cluster) fargateFree(verb, name string) error {
	for _, other := range sortedKeys(c.fargate) {
		if f := c.fargate[other]; f.status == creating || f.status == deleting {
			return inUse(c.name, "Cannot %s Fargate Profile %s because cluster %s currently has Fargate profile %s in status %s", verb, name, c.name, f.name, f.status)
		}
	}
	return nil
}

func (s *Service) createFargate(_ context.Context, _ *wire.Call, in *createFargateIn) (*fargateOut, error) {
	params := fingerprint(in)
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.clusters[in.ClusterName]
	if c == nil {
		return nil, noCluster(in.ClusterName)
	}
	if old := c.fargate[in.FargateProfileName]; old != nil {
		if in.ClientRequestToken == "" || old.token != in.ClientRequestToken {
			return nil, inUse(c.name, "A Fargate Profile already exists with this name in this cluster.")
		}
		if old.params != params {
			return nil, tokenReused(c.name)
		}
		return old.view(c), nil
	}
	if c.status != active {
		return nil, notActive(c.name)
	}
	if err := c.inCloud("Fargate profiles"); err != nil {
		return nil, err
	}
	if err := c.inCloud("Fargate profiles"); err != nil {
		return nil, err
	}
	if err := s.checkFargate(c, in); err != nil {
		return nil, err
	}
	if len(c.fargate) >= maxFargateProfiles {
		return nil, limitExceeded(c.name, "Fargate Profile limit exceeded for cluster. Limit: %d", maxFargateProfiles)
	}
	if err := c.fargateFree("Create", in.FargateProfileName); err != nil {
		return nil, err
	}
	f := &fargateProfile{
		name: in.FargateProfileName, role: in.PodExecutionRole, selectors: in.Selectors, subnets: in.Subnets, status: creating, tags: tags{},
		created: time.Now(), token: in.ClientRequestToken, params: params,
		arn: s.w.ARN("eks", "fargateprofile/"+c.name+"/"+in.FargateProfileName+"/"+s.w.UUID()),
	}
	maps.Copy(f.tags, in.Tags)
	if len(f.subnets) == 0 {
		f.subnets = s.privateSubnets(c)
	}
	if c.fargate == nil {
		c.fargate = map[string]*fargateProfile{}
	}
	c.fargate[f.name] = f
	s.nodeRoleEntry(c, f.role, "FARGATE_LINUX")
	s.touch()
	s.w.Go(func(context.Context) {
		if !sleep(c.ctx, s.w.Profile.ConfigUpdate) {
			return
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		f.status = active
		s.scheduleFargate(c)
		s.touch()
	})
	return f.view(c), nil
}

// privateSubnets are the cluster's subnets that Fargate can use: what a profile without subnets gets.
func (s *Service) privateSubnets(c *cluster) []string {
	out := []string{}
	for _, id := range c.vpc.SubnetIDs {
		if sub, ok := s.opt.EC2.Subnet(id); ok && !sub.Public {
			out = append(out, id)
		}
	}
	return out
}

func (s *Service) checkFargate(c *cluster, in *createFargateIn) error {
	if !fargateForm.MatchString(in.FargateProfileName) {
		return invalidParameter(c.name, "The Fargate profile name '%s' is invalid: it must match ^[0-9A-Za-z][A-Za-z0-9_-]* and have at most 100 characters", in.FargateProfileName)
	}
	if len(in.Selectors) == 0 {
		return invalidParameter(c.name, "Fargate Profile requires at least one selector.")
	}
	if len(in.Selectors) > maxSelectors {
		return limitExceeded(c.name, "Fargate Profile selector limit exceeded. Limit: %d", maxSelectors)
	}
	for _, sel := range in.Selectors {
		if sel.Namespace == "" {
			return invalidParameter(c.name, "Fargate Profile must have at least one selector with at least one namespace value.")
		}
		if len(sel.Labels) > maxSelectorLabels {
			return limitExceeded(c.name, "Fargate Profile label pairs in selector limit exceeded. Limit: %d", maxSelectorLabels)
		}
	}
	source := s.w.ARN("eks", "fargateprofile/"+c.name+"/"+in.FargateProfileName)
	if err := s.opt.IAM.CheckTrustFor(in.PodExecutionRole, fargatePrincipal, source, "sts:AssumeRole"); err != nil {
		return invalidParameter(c.name, "Misconfigured PodExecutionRole Trust Policy; Please add the %s Service Principal", fargatePrincipal)
	}
	if err := s.checkSubnetsOf(c, in.Subnets); err != nil {
		return err
	}
	for _, id := range in.Subnets {
		if sub, _ := s.opt.EC2.Subnet(id); sub.Public {
			return invalidParameter(c.name, "Subnet %s provided in Fargate Profile is not a private subnet", id)
		}
	}
	if len(in.Subnets) == 0 && len(s.privateSubnets(c)) == 0 {
		return invalidParameter(c.name, "No private subnets found in cluster %s for the Fargate Profile", c.name)
	}
	return nil
}

func (s *Service) describeFargate(_ context.Context, _ *wire.Call, in *fargateName) (*fargateOut, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, f, err := s.fargateOf(in.ClusterName, in.FargateProfileName)
	if err != nil {
		return nil, err
	}
	return f.view(c), nil
}

func (s *Service) listFargate(_ context.Context, _ *wire.Call, in *listInCluster) (*listFargateOut, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.clusters[in.Name]
	if c == nil {
		return nil, noCluster(in.Name)
	}
	part, next, err := page(sortedKeys(c.fargate), in.MaxResults, in.NextToken)
	if err != nil {
		return nil, err
	}
	return &listFargateOut{part, next}, nil
}

func (s *Service) deleteFargate(_ context.Context, _ *wire.Call, in *fargateName) (*fargateOut, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, f, err := s.fargateOf(in.ClusterName, in.FargateProfileName)
	if err != nil {
		return nil, err
	}
	if f.status == deleting {
		return f.view(c), nil
	}
	if err := c.fargateFree("Delete", f.name); err != nil {
		return nil, err
	}
	f.status = deleting
	s.scheduleFargate(c)
	s.touch()
	s.w.Go(func(context.Context) {
		// EKS deletes the profile's pods first, which takes about as long as the end of a node group.
		if !sleep(c.ctx, s.w.Profile.NodegroupDelete) {
			return
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(c.fargate, f.name)
		s.forgetRole(c, f.role)
		s.touch()
	})
	return f.view(c), nil
}
