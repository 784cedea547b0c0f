package eks

import (
	"cmp"
	"context"
	"maps"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/wire"
)

// addon is an EKS add-on: the software that EKS installs in a cluster and keeps as it is configured.
type addon struct {
	name, arn         string
	namespace         string
	version, status   string
	role, config      string
	tags              tags
	issues            []issue
	created, modified time.Time
	token, params     string
}

type createAddonIn struct {
	ClusterName             string             `json:"-" path:"name"`
	AddonName               string             `json:"addonName"`
	AddonVersion            string             `json:"addonVersion"`
	ServiceAccountRoleARN   string             `json:"serviceAccountRoleArn"`
	ResolveConflicts        string             `json:"resolveConflicts"`
	ClientRequestToken      string             `json:"clientRequestToken"`
	Tags                    tags               `json:"tags"`
	ConfigurationValues     string             `json:"configurationValues"`
	PodIdentityAssociations []addonPodIdentity `json:"podIdentityAssociations"`
	NamespaceConfig         *namespaceConfig   `json:"namespaceConfig"`
}

type addonPodIdentity struct {
	ServiceAccount string `json:"serviceAccount"`
	RoleARN        string `json:"roleArn"`
}

type namespaceConfig struct {
	Namespace string `json:"namespace"`
}

type updateAddonIn struct {
	ClusterName             string              `json:"-" path:"name"`
	AddonName               string              `json:"-" path:"addonName"`
	AddonVersion            string              `json:"addonVersion"`
	ServiceAccountRoleARN   string              `json:"serviceAccountRoleArn"`
	ResolveConflicts        string              `json:"resolveConflicts"`
	ClientRequestToken      string              `json:"clientRequestToken"`
	ConfigurationValues     string              `json:"configurationValues"`
	PodIdentityAssociations *[]addonPodIdentity `json:"podIdentityAssociations"`
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
	AddonName               string           `json:"addonName"`
	ClusterName             string           `json:"clusterName"`
	Status                  string           `json:"status"`
	AddonVersion            string           `json:"addonVersion"`
	Health                  health           `json:"health"`
	AddonARN                string           `json:"addonArn"`
	CreatedAt               *wire.Time       `json:"createdAt"`
	ModifiedAt              *wire.Time       `json:"modifiedAt"`
	ServiceAccountRoleARN   string           `json:"serviceAccountRoleArn,omitempty"`
	Tags                    tags             `json:"tags"`
	ConfigurationValues     string           `json:"configurationValues,omitempty"`
	PodIdentityAssociations []string         `json:"podIdentityAssociations,omitempty"`
	NamespaceConfig         *namespaceConfig `json:"namespaceConfig,omitempty"`
	Owner                   string           `json:"owner"`
	Publisher               string           `json:"publisher"`
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
		wire.Handle("DescribeAddonConfiguration", wire.On[describeAddonConfigIn]("eks:DescribeAddonConfiguration", "*"), s.describeAddonConfiguration).REST("GET", "/addons/configuration-schemas"),
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
		return &addonOut{s.viewAddon(c, old)}, nil
	}
	if c.status != active {
		return nil, notActive(c.name)
	}
	version, err := chooseAddonVersion(c, in.AddonName, in.AddonVersion)
	if err != nil {
		return nil, err
	}
	spec := addonCatalogue[in.AddonName]
	config, err := checkAddon(c, spec, in.ConfigurationValues, in.ResolveConflicts, in.ServiceAccountRoleARN)
	if err != nil {
		return nil, err
	}
	namespace, err := spec.place(c, in.AddonName, in.NamespaceConfig)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	a := &addon{
		name: in.AddonName, namespace: namespace, version: version, status: creating, role: in.ServiceAccountRoleARN, config: in.ConfigurationValues,
		tags: tags{}, created: now, modified: now, token: in.ClientRequestToken, params: params,
		arn: s.w.ARN("eks", "addon/"+c.name+"/"+in.AddonName+"/"+s.w.UUID()),
	}
	if err := s.ownPods(c, a, in.PodIdentityAssociations); err != nil {
		return nil, err
	}
	maps.Copy(a.tags, in.Tags)
	c.addons[a.name] = a
	s.w.Go(func(context.Context) {
		if !sleep(c.ctx, s.w.Profile.ConfigUpdate) {
			return
		}
		err := s.install(c, spec.objects(version, namespace, a.role, s.w.Region, config), cmp.Or(in.ResolveConflicts, resolveNone))
		if c.ctx.Err() != nil {
			return
		}
		s.mu.Lock()
		a.status, a.modified = active, time.Now()
		became := "Creation Succeeded"
		if err != nil {
			code, text := addonFailure(err)
			a.status, a.issues = createFailed, []issue{{Code: code, Message: text, ResourceIDs: []string{}}}
			became = "Creation Failed"
		}
		s.touch()
		s.mu.Unlock()
		s.tell(c, a, version, became)
		s.tendAddon(c, a)
	})
	return &addonOut{s.viewAddon(c, a)}, nil
}

// tendAddon shows an add-on that needs nodes as DEGRADED while there are none.
func (s *Service) tendAddon(c *cluster, a *addon) {
	if !addonCatalogue[a.name].needsNodes() {
		return
	}
	hasNodes := func() bool {
		for _, m := range s.machines {
			if m.cluster == c.name && m.alive {
				return true
			}
		}
		for _, m := range c.fargateMachines {
			if m.ready {
				return true
			}
		}
		return false
	}
	s.mu.Lock()
	version, poor := a.version, a.status == active && !hasNodes()
	if poor {
		a.status = degraded
		a.issues = []issue{{Code: "InsufficientNumberOfReplicas", Message: "The add-on is unhealthy because it doesn't have the desired number of replicas.", ResourceIDs: []string{}}}
		s.touch()
	}
	s.mu.Unlock()
	if poor {
		s.tell(c, a, version, "Health Degraded")
	}
	restored := false
	s.await(c.ctx, forever, func() bool {
		if a.status != degraded {
			return true
		}
		if !hasNodes() {
			return false
		}
		a.status, a.issues, restored = active, nil, true
		return true
	})
	if restored {
		s.tell(c, a, version, "Health Restored")
	}
}

func (s *Service) describeAddon(_ context.Context, _ *wire.Call, in *addonName) (*addonOut, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, a, err := s.addonOf(in.ClusterName, in.AddonName)
	if err != nil {
		return nil, err
	}
	return &addonOut{s.viewAddon(c, a)}, nil
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

func (s *Service) deleteAddon(_ context.Context, _ *wire.Call, in *deleteAddonIn) (*addonOut, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, a, err := s.addonOf(in.ClusterName, in.AddonName)
	if err != nil {
		return nil, err
	}
	if a.status == creating || a.status == updating {
		return nil, inUse(c.name, "Addon %s cannot be deleted as it is currently in %s state", a.name, a.status)
	}
	if a.status != deleting {
		a.status = deleting
		s.w.Go(func(context.Context) {
			if !sleep(c.ctx, s.w.Profile.ConfigUpdate) {
				return
			}
			var err error
			if !in.Preserve {
				err = s.uninstall(c, addonCatalogue[a.name].objects(a.version, a.namespace, a.role, s.w.Region, nil))
			}
			became := "Deletion Succeeded"
			if err != nil {
				became = "Deletion Failed"
			}
			defer s.tell(c, a, a.version, became) // once that shows
			s.mu.Lock()
			defer s.mu.Unlock()
			if err != nil {
				code, text := addonFailure(err)
				a.status, a.issues = deleteFailed, []issue{{Code: code, Message: text, ResourceIDs: []string{}}}
				s.touch()
				return
			}
			delete(c.addons, a.name)
			for id, p := range c.podIdentities {
				if p.owner == a.arn {
					delete(c.podIdentities, id)
				}
			}
			s.touch()
		})
	}
	return &addonOut{s.viewAddon(c, a)}, nil
}

// viewAddon is the add-on as the API shows it. The caller holds s.mu.
func (s *Service) viewAddon(c *cluster, a *addon) addonShape {
	spec := addonCatalogue[a.name]
	v := addonShape{
		AddonName: a.name, ClusterName: c.name, Status: a.status, AddonVersion: a.version, Health: health{append([]issue{}, a.issues...)},
		AddonARN: a.arn, CreatedAt: wire.At(a.created), ModifiedAt: wire.At(a.modified), ServiceAccountRoleARN: a.role, Tags: a.tags,
		ConfigurationValues: a.config, Owner: spec.owner, Publisher: spec.publisher, NamespaceConfig: &namespaceConfig{a.namespace},
	}
	for _, id := range sortedKeys(c.podIdentities) {
		if p := c.podIdentities[id]; p.owner == a.arn {
			v.PodIdentityAssociations = append(v.PodIdentityAssociations, p.arn)
		}
	}
	return v
}
