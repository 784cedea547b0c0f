package awscloud

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/ekspedite/ekspedite/shared/decide/readiness"
	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

// AddonFacts is what the checks want to know of an add-on beside its version: its configuration, the schema of a version's
// configuration ("" reads none), and the roles that its pods take.
func (r *Readiness) AddonFacts(ctx context.Context, cluster string, addon fleet.Resource, version string) (readiness.AddonFacts, error) {
	p := addon.Props
	f := readiness.AddonFacts{Name: addon.Name, Configuration: asJSON(fleet.Text(p, "configurationValues")), Marketplace: marketplace(p)}
	if role := fleet.Text(p, "serviceAccountRoleArn"); role != "" {
		f.Roles = append(f.Roles, role)
	}
	for _, arn := range fleet.Texts(p, "podIdentityAssociations") {
		role, err := r.PodIdentityRole(ctx, cluster, arn)
		if err := fault.Ignore(err, fault.NotFound); err != nil {
			return f, err
		}
		if role != "" && !slices.Contains(f.Roles, role) {
			f.Roles = append(f.Roles, role)
		}
	}
	// The schema is only of use where there is something to hold against it.
	if f.Configuration == "" || version == "" {
		return f, nil
	}
	schema, err := r.AddonSchema(ctx, addon.Name, version)
	if err != nil {
		return f, err
	}
	f.Schema, f.SchemaVersion = schema, version
	return f, nil
}

// asJSON makes JSON of configuration values, which may be YAML. What is neither stays as it is: a check says so.
func asJSON(text string) string {
	if text == "" || json.Valid([]byte(text)) {
		return text
	}
	if out, err := yaml.YAMLToJSON([]byte(text)); err == nil {
		return string(out)
	}
	return text
}

// marketplace tells whether somebody other than AWS publishes an add-on.
func marketplace(p fleet.Props) bool {
	owner := strings.ToLower(fleet.Text(p, "owner"))
	return fleet.At(p, "marketplaceInformation") != nil || owner != "" && owner != "aws" && owner != "community"
}
