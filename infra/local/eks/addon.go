package eks

import (
	"context"
	"encoding/json"
	"maps"
	"strconv"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/wire"
)

// addon is an EKS add-on as the API has it. What it stands for, aws-node, kube-proxy and coredns, is in every cluster
// from the start; versions here change nothing there.
type addon struct {
	name, arn         string
	version, status   string
	role, config      string
	tags              tags
	issues            []issue
	created, modified time.Time
	token, params     string
}

type createAddonIn struct {
	ClusterName             string          `json:"-" path:"name"`
	AddonName               string          `json:"addonName"`
	AddonVersion            string          `json:"addonVersion"`
	ServiceAccountRoleARN   string          `json:"serviceAccountRoleArn"`
	ResolveConflicts        string          `json:"resolveConflicts"`
	ClientRequestToken      string          `json:"clientRequestToken"`
	Tags                    tags            `json:"tags"`
	ConfigurationValues     string          `json:"configurationValues"`
	PodIdentityAssociations []any           `json:"podIdentityAssociations"`
	NamespaceConfig         json.RawMessage `json:"namespaceConfig"`
}

type updateAddonIn struct {
	ClusterName             string `json:"-" path:"name"`
	AddonName               string `json:"-" path:"addonName"`
	AddonVersion            string `json:"addonVersion"`
	ServiceAccountRoleARN   string `json:"serviceAccountRoleArn"`
	ResolveConflicts        string `json:"resolveConflicts"`
	ClientRequestToken      string `json:"clientRequestToken"`
	ConfigurationValues     string `json:"configurationValues"`
	PodIdentityAssociations []any  `json:"podIdentityAssociations"`
}

type addonName struct {
	ClusterName string `json:"-" path:"name"`
	AddonName   string `json:"-" path:"addonName"`
}

type deleteAddonIn struct {
	ClusterName string `json:"-" path:"name"`
	AddonName   string `json:"-" path:"addonName"`
	Preserve    bool   `json:"-" param:"preserve"`
}

type addonShape struct {
	AddonName             string     `json:"addonName"`
	ClusterName           string     `json:"clusterName"`
	Status                string     `json:"status"`
	AddonVersion          string     `json:"addonVersion"`
	Health                health     `json:"health"`
	AddonARN              string     `json:"addonArn"`
	CreatedAt             *wire.Time `json:"createdAt"`
	ModifiedAt            *wire.Time `json:"modifiedAt"`
	ServiceAccountRoleARN string     `json:"serviceAccountRoleArn,omitempty"`
	Tags                  tags       `json:"tags"`
	ConfigurationValues   string     `json:"configurationValues,omitempty"`
}

type addonOut struct {
	Addon addonShape `json:"addon"`
}

type listAddonsOut struct {
	Addons    []string `json:"addons"`
	NextToken *string  `json:"nextToken,omitempty"`
}

func (s *Service) addonOps() []wire.Op {
	const all, one = "/clusters/{name}/addons", "/clusters/{name}/addons/{addonName}"
	return []wire.Op{
		wire.Handle("DescribeAddonVersions", wire.On[describeAddonVersionsIn]("eks:DescribeAddonVersions", "*"), s.describeAddonVersions).REST("GET", "/addons/supported-versions"),
		wire.Handle("CreateAddon", s.needCreateAddon, s.createAddon).REST("POST", all),
		wire.Handle("DescribeAddon", s.needAddon("DescribeAddon"), s.describeAddon).REST("GET", one),
		wire.Handle("ListAddons", s.needListIn("ListAddons"), s.listAddons).REST("GET", all),
		wire.Handle("UpdateAddon", s.needUpdateAddon, s.updateAddon).REST("POST", one+"/update"),
		wire.Handle("DeleteAddon", s.needDeleteAddon, s.deleteAddon).REST("DELETE", one),
	}
}

func noAddon(cluster, name string) *wire.Error {
	e := notFound(cluster, "No addon: %s found in cluster: %s", name, cluster)
	e.Fields["addonName"] = name
	return e
}

// addonOf finds an add-on. The caller holds s.mu.
func (s *Service) addonOf(in, name string) (*cluster, *addon, error) {
	c := s.clusters[in]
	if c == nil {
		return nil, nil, noCluster(in)
	}
	a := c.addons[name]
	if a == nil {
		return nil, nil, noAddon(in, name)
	}
	return c, a, nil
}

func (s *Service) createAddon(_ context.Context, _ *wire.Call, in *createAddonIn) (*addonOut, error) {
	if len(in.PodIdentityAssociations) > 0 {
		return nil, unsupported("podIdentityAssociations")
	}
	if present(in.NamespaceConfig) {
		return nil, unsupported("namespaceConfig")
	}
	params := fingerprint(in)
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.clusters[in.ClusterName]
	if c == nil {
		return nil, noCluster(in.ClusterName)
	}
	if old := c.addons[in.AddonName]; old != nil {
		if in.ClientRequestToken == "" || in.ClientRequestToken != old.token {
			return nil, inUse(c.name, "Addon already exists.")
		}
		if old.params != params {
			return nil, tokenReused(c.name)
		}
		return &addonOut{old.view(c)}, nil
	}
	if c.status != active {
		return nil, notActive(c.name)
	}
	version, err := chooseAddonVersion(c, in.AddonName, in.AddonVersion)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	a := &addon{
		name: in.AddonName, version: version, status: creating, role: in.ServiceAccountRoleARN, config: in.ConfigurationValues, tags: tags{},
		created: now, modified: now, token: in.ClientRequestToken, params: params,
		arn: s.w.ARN("eks", "addon/"+c.name+"/"+in.AddonName+"/"+s.w.UUID()),
	}
	maps.Copy(a.tags, in.Tags)
	c.addons[a.name] = a
	s.w.Go(func(context.Context) {
		if !sleep(c.ctx, s.w.Profile.ConfigUpdate) {
			return
		}
		s.mu.Lock()
		a.status, a.modified = active, time.Now()
		s.touch()
		s.mu.Unlock()
		s.tendCoreDNS(c, a)
	})
	return &addonOut{a.view(c)}, nil
}

// tendCoreDNS shows the one add-on that needs nodes as DEGRADED until there are some.
func (s *Service) tendCoreDNS(c *cluster, a *addon) {
	if a.name != "coredns" {
		return
	}
	hasNodes := func() bool {
		for _, m := range s.machines {
			if m.cluster == c.name && m.alive {
				return true
			}
		}
		return false
	}
	s.mu.Lock()
	if !hasNodes() {
		a.status = degraded
		a.issues = []issue{{Code: "InsufficientNumberOfReplicas", Message: "The add-on is unhealthy because it doesn't have the desired number of replicas.", ResourceIDs: []string{}}}
		s.touch()
	}
	s.mu.Unlock()
	s.await(c.ctx, 365*24*time.Hour, func() bool {
		if a.status != degraded {
			return true
		}
		if !hasNodes() {
			return false
		}
		a.status, a.issues = active, nil
		return true
	})
}

func (s *Service) describeAddon(_ context.Context, _ *wire.Call, in *addonName) (*addonOut, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, a, err := s.addonOf(in.ClusterName, in.AddonName)
	if err != nil {
		return nil, err
	}
	return &addonOut{a.view(c)}, nil
}

func (s *Service) listAddons(_ context.Context, _ *wire.Call, in *listInCluster) (*listAddonsOut, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.clusters[in.Name]
	if c == nil {
		return nil, noCluster(in.Name)
	}
	part, next, err := page(sortedKeys(c.addons), in.MaxResults, in.NextToken)
	if err != nil {
		return nil, err
	}
	return &listAddonsOut{part, next}, nil
}

func (s *Service) updateAddon(_ context.Context, _ *wire.Call, in *updateAddonIn) (*updateOut, error) {
	if len(in.PodIdentityAssociations) > 0 {
		return nil, unsupported("podIdentityAssociations")
	}
	req := request{"UpdateAddon/" + in.AddonName, in.ClientRequestToken, fingerprint(in)}
	s.mu.Lock()
	defer s.mu.Unlock()
	c, a, err := s.addonOf(in.ClusterName, in.AddonName)
	if err != nil {
		return nil, err
	}
	if u, err := c.repeated(req); u != nil || err != nil {
		return viewOr(u, err)
	}
	if a.status == creating || a.status == updating || a.status == deleting {
		return nil, inUse(c.name, "Addon %s cannot be updated as it is currently in %s state", a.name, a.status)
	}
	version := a.version
	if in.AddonVersion != "" {
		if version, err = chooseAddonVersion(c, a.name, in.AddonVersion); err != nil {
			return nil, err
		}
		if a.name == "vpc-cni" && tooFar(a.version, version) {
			return nil, invalidParameter(c.name, "Updating VPC-CNI can only go up or down 1 minor version at a time")
		}
	}
	u := &update{kind: "AddonUpdate", addon: a.name, request: req}
	for _, p := range []updateParam{{"AddonVersion", in.AddonVersion}, {"ServiceAccountRoleArn", in.ServiceAccountRoleARN}, {"ResolveConflicts", in.ResolveConflicts}, {"ConfigurationValues", in.ConfigurationValues}} {
		if p.Value != "" {
			u.params = append(u.params, p)
		}
	}
	s.begin(c, u)
	a.status = updating
	s.w.Go(func(context.Context) {
		if !sleep(c.ctx, s.w.Profile.ConfigUpdate) {
			return
		}
		s.mu.Lock()
		a.version, a.status, a.issues, a.modified = version, active, nil, time.Now()
		if in.ServiceAccountRoleARN != "" {
			a.role = in.ServiceAccountRoleARN
		}
		if in.ConfigurationValues != "" {
			a.config = in.ConfigurationValues
		}
		s.end(u)
		s.mu.Unlock()
		s.tendCoreDNS(c, a)
	})
	return u.view(), nil
}

// tooFar compares the minors of v1.19.2-eksbuild.1 and the like.
func tooFar(from, to string) bool {
	minorOf := func(v string) int {
		parts := strings.SplitN(strings.TrimPrefix(v, "v"), ".", 3)
		if len(parts) < 3 {
			return -1
		}
		n, err := strconv.Atoi(parts[1])
		if err != nil {
			return -1
		}
		return n
	}
	d := minorOf(from) - minorOf(to)
	return d > 1 || d < -1
}

func (s *Service) deleteAddon(_ context.Context, _ *wire.Call, in *deleteAddonIn) (*addonOut, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, a, err := s.addonOf(in.ClusterName, in.AddonName)
	if err != nil {
		return nil, err
	}
	if !in.Preserve {
		return nil, unsupported("DeleteAddon without preserve: the software of %s is part of every control plane here and stays", a.name)
	}
	if a.status == creating || a.status == updating {
		return nil, inUse(c.name, "Addon %s cannot be deleted as it is currently in %s state", a.name, a.status)
	}
	if a.status != deleting {
		a.status = deleting
		s.w.Go(func(context.Context) {
			if sleep(c.ctx, s.w.Profile.ConfigUpdate) {
				s.mu.Lock()
				defer s.mu.Unlock()
				delete(c.addons, a.name)
				s.touch()
			}
		})
	}
	return &addonOut{a.view(c)}, nil
}

func (a *addon) view(c *cluster) addonShape {
	return addonShape{
		AddonName: a.name, ClusterName: c.name, Status: a.status, AddonVersion: a.version, Health: health{append([]issue{}, a.issues...)},
		AddonARN: a.arn, CreatedAt: wire.At(a.created), ModifiedAt: wire.At(a.modified), ServiceAccountRoleARN: a.role, Tags: a.tags,
		ConfigurationValues: a.config,
	}
}

func chooseAddonVersion(c *cluster, name, version string) (string, error) {
	known, ok := addonCatalogue[name]
	if !ok {
		return "", invalidParameter(c.name, "Addon %s specified is not supported in %s kubernetes version (the embedded cloud has coredns, kube-proxy and vpc-cni)", name, c.version)
	}
	all := known(c.version)
	if version == "" {
		return all[0], nil
	}
	for _, v := range all {
		if v == version {
			return v, nil
		}
	}
	return "", invalidParameter(c.name, "Addon version specified is not supported")
}

// addonCatalogue gives the versions of an add-on for a Kubernetes minor, the default first.
var addonCatalogue = map[string]func(kubernetes string) []string{
	"vpc-cni": func(string) []string {
		return []string{"v1.21.1-eksbuild.1", "v1.20.5-eksbuild.1", "v1.19.6-eksbuild.1"}
	},
	"coredns": func(k string) []string {
		if minor(k) < 36 {
			return []string{"v1.12.4-eksbuild.1", "v1.13.1-eksbuild.1"}
		}
		return []string{"v1.13.1-eksbuild.1", "v1.12.4-eksbuild.1"}
	},
	"kube-proxy": func(k string) []string {
		r, _ := findRelease(k)
		return []string{"v" + r.patch + "-eksbuild.1", "v" + k + ".0-eksbuild.2"}
	},
}
