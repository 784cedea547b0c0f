package eks

import (
	"context"
	"slices"

	"github.com/ekspedite/ekspedite/infra/local/wire"
)

type describeAddonVersionsIn struct {
	KubernetesVersion string   `json:"-" param:"kubernetesVersion"`
	AddonName         string   `json:"-" param:"addonName"`
	MaxResults        *int     `json:"-" param:"maxResults"`
	NextToken         string   `json:"-" param:"nextToken"`
	Types             []string `json:"-" param:"types"`
	Publishers        []string `json:"-" param:"publishers"`
	Owners            []string `json:"-" param:"owners"`
}

type compatibility struct {
	ClusterVersion   string   `json:"clusterVersion"`
	PlatformVersions []string `json:"platformVersions"`
	DefaultVersion   bool     `json:"defaultVersion"`
}

type addonVersion struct {
	AddonVersion           string          `json:"addonVersion"`
	Architecture           []string        `json:"architecture"`
	ComputeTypes           []string        `json:"computeTypes"`
	Compatibilities        []compatibility `json:"compatibilities"`
	RequiresConfiguration  bool            `json:"requiresConfiguration"`
	RequiresIAMPermissions bool            `json:"requiresIamPermissions"`
}

type addonInfo struct {
	AddonName        string         `json:"addonName"`
	DefaultNamespace string         `json:"defaultNamespace"`
	Type             string         `json:"type"`
	Publisher        string         `json:"publisher"`
	Owner            string         `json:"owner"`
	AddonVersions    []addonVersion `json:"addonVersions"`
}

type describeAddonVersionsOut struct {
	Addons    []addonInfo `json:"addons"`
	NextToken *string     `json:"nextToken,omitempty"`
}

func (s *Service) describeAddonVersions(_ context.Context, _ *wire.Call, in *describeAddonVersionsIn) (*describeAddonVersionsOut, error) {
	if in.KubernetesVersion != "" && !supportedVersion(in.KubernetesVersion) {
		return nil, invalidParameter("", "unsupported Kubernetes version %s", in.KubernetesVersion)
	}
	names := slices.DeleteFunc(sortedKeys(addonCatalogue), func(n string) bool { return !in.takes(addonCatalogue[n]) })
	if in.AddonName != "" {
		names = slices.DeleteFunc(names, func(n string) bool { return n != in.AddonName })
		if len(names) == 0 {
			return nil, notFound("", "No addon versions found for addon %s", in.AddonName)
		}
	}
	part, next, err := page(names, in.MaxResults, in.NextToken)
	if err != nil {
		return nil, err
	}
	out := &describeAddonVersionsOut{Addons: []addonInfo{}, NextToken: next}
	for _, name := range part {
		spec := addonCatalogue[name]
		info := addonInfo{AddonName: name, Type: spec.typ, Publisher: spec.publisher, Owner: spec.owner, DefaultNamespace: spec.namespace}
		for _, r := range releases {
			if in.KubernetesVersion != "" && in.KubernetesVersion != r.version {
				continue
			}
			for _, v := range spec.available(r.version) {
				info.add(v, compatibility{r.version, []string{"*"}, v == spec.preferred(r.version)})
			}
		}
		out.Addons = append(out.Addons, info)
	}
	return out, nil
}

// takes applies the filters of the request.
func (in *describeAddonVersionsIn) takes(a addonSpec) bool {
	fits := func(filter []string, value string) bool { return len(filter) == 0 || slices.Contains(filter, value) }
	return fits(in.Types, a.typ) && fits(in.Publishers, a.publisher) && fits(in.Owners, a.owner)
}

func (a *addonInfo) add(version string, c compatibility) {
	i := slices.IndexFunc(a.AddonVersions, func(v addonVersion) bool { return v.AddonVersion == version })
	if i < 0 {
		i = len(a.AddonVersions)
		a.AddonVersions = append(a.AddonVersions, addonVersion{
			AddonVersion: version, Architecture: []string{"amd64", "arm64"}, ComputeTypes: []string{"ec2", "auto", "hybrid"},
			RequiresIAMPermissions: len(addonCatalogue[a.AddonName].accounts) > 0,
		})
	}
	a.AddonVersions[i].Compatibilities = append(a.AddonVersions[i].Compatibilities, c)
}
