package eks

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"
)

// schema is a JSON schema, as far as the add-ons' configuration needs one.
type schema struct {
	Schema      string            `json:"$schema,omitempty"`
	Description string            `json:"description,omitempty"`
	Type        string            `json:"type"`
	Properties  map[string]schema `json:"properties,omitempty"`
	// AdditionalProperties is false where only the properties that are listed may be.
	AdditionalProperties *bool    `json:"additionalProperties,omitempty"`
	Items                *schema  `json:"items,omitempty"`
	Enum                 []string `json:"enum,omitempty"`
	Minimum              *float64 `json:"minimum,omitempty"`
}

var (
	textSchema    = schema{Type: "string"}
	boolSchema    = schema{Type: "boolean"}
	anyObject     = schema{Type: "object"}
	objectList    = schema{Type: "array", Items: &schema{Type: "object"}}
	countSchema   = schema{Type: "integer", Minimum: new(float64)}
	booleanString = schema{Type: "string", Enum: []string{"true", "false"}}
)

// closed is an object with these properties only.
func closed(parts ...map[string]schema) schema {
	no := false
	out := schema{Type: "object", Properties: map[string]schema{}, AdditionalProperties: &no}
	for _, p := range parts {
		for k, v := range p {
			out.Properties[k] = v
		}
	}
	return out
}

// podKnobs are what nearly all add-ons let one say about their pods.
var podKnobs = map[string]schema{
	"resources": anyObject, "tolerations": objectList, "affinity": anyObject, "nodeSelector": anyObject, "podAnnotations": anyObject, "podLabels": anyObject,
}

// replicaKnobs are for Deployments.
var replicaKnobs = map[string]schema{
	"replicaCount": countSchema, "topologySpreadConstraints": objectList, "podDisruptionBudget": anyObject,
}

var (
	daemonSchema     = closed(podKnobs, map[string]schema{"agent": anyObject, "priorityClassName": textSchema, "updateStrategy": anyObject})
	deploymentSchema = closed(podKnobs, replicaKnobs)
	vpcCNISchema     = closed(podKnobs, map[string]schema{
		"enableNetworkPolicy": booleanString, "enableWindowsIpam": booleanString, "enableWindowsPrefixDelegation": booleanString, "env": anyObject, "init": anyObject,
		"nodeAgent": anyObject, "eniConfig": anyObject, "livenessProbeTimeoutSeconds": countSchema, "readinessProbeTimeoutSeconds": countSchema,
		"minimumWindowsIPTarget": textSchema, "warmWindowsIPTarget": textSchema, "warmWindowsPrefixTarget": textSchema, "originalMatchLabels": boolSchema,
	})
	kubeProxySchema = closed(podKnobs, map[string]schema{
		"mode": {Type: "string", Enum: []string{"iptables", "ipvs", "nftables"}}, "ipvs": closed(map[string]schema{"scheduler": textSchema}),
	})
	coreDNSSchema = closed(podKnobs, replicaKnobs, map[string]schema{
		"corefile": textSchema, "computeType": textSchema,
		"autoScaling": closed(map[string]schema{"enabled": boolSchema, "minReplicas": countSchema, "maxReplicas": countSchema}),
	})
	csiSchema = closed(map[string]schema{
		"controller": {Type: "object", Properties: mergeSchemas(podKnobs, replicaKnobs)}, "node": {Type: "object", Properties: mergeSchemas(podKnobs, map[string]schema{
			"tolerateAllTaints": boolSchema, "enableWindows": boolSchema, "volumeAttachLimit": countSchema,
		})},
		"sidecars": anyObject, "defaultStorageClass": closed(map[string]schema{"enabled": boolSchema}), "additionalDaemonSets": anyObject,
		"useOldCSIDriver": boolSchema, "experimental": anyObject,
	})
	monitoringSchema = closed(map[string]schema{"monitoringAgent": closed(podKnobs), "dcgmAgent": anyObject, "nodeAgent": anyObject})
	cloudWatchSchema = closed(map[string]schema{
		"agent": {Type: "object", Properties: podKnobs}, "manager": {Type: "object", Properties: podKnobs}, "tolerations": objectList, "affinity": anyObject,
		"nodeSelector": anyObject, "containerLogs": {Type: "object", Properties: map[string]schema{"enabled": boolSchema}}, "dcgmExporter": anyObject,
		"neuronMonitor": anyObject, "agents": {Type: "array", Items: &schema{Type: "object"}}, "admissionWebhooks": anyObject, "clusterName": textSchema, "region": textSchema,
	})
	// The community add-ons publish their Helm charts' values, open ones.
	communitySchema = schema{Type: "object", Properties: mergeSchemas(podKnobs, replicaKnobs, map[string]schema{
		"webhook": {Type: "object", Properties: mergeSchemas(podKnobs, replicaKnobs)}, "cainjector": {Type: "object", Properties: mergeSchemas(podKnobs, replicaKnobs)},
	})}
)

func mergeSchemas(parts ...map[string]schema) map[string]schema { return closed(parts...).Properties }

// text is the schema as DescribeAddonConfiguration returns it.
func (s schema) text(addon string) string {
	s.Schema, s.Description = "http://json-schema.org/draft-06/schema#", addon
	b, err := json.Marshal(s)
	if err != nil {
		panic(err) // strings, numbers and maps of these
	}
	return string(b)
}

// parseConfiguration reads an add-on's configuration values, JSON or YAML, and holds them against its schema.
func parseConfiguration(cluster, values string, against schema) (map[string]any, error) {
	if strings.TrimSpace(values) == "" {
		return map[string]any{}, nil
	}
	var v any
	if err := json.Unmarshal([]byte(values), &v); err != nil {
		if strings.HasPrefix(strings.TrimSpace(values), "{") {
			return nil, invalidParameter(cluster, "ConfigurationValue provided in request is not supported: Invalid JSON: %v", err)
		}
		text, err := yaml.YAMLToJSON([]byte(values))
		if err == nil {
			err = json.Unmarshal(text, &v)
		}
		if err != nil {
			return nil, invalidParameter(cluster, "ConfigurationValue provided in request is not supported: Invalid YAML: %v", err)
		}
	}
	if problems := against.check("$", v); len(problems) > 0 {
		return nil, invalidParameter(cluster, "ConfigurationValue provided in request is not supported: Json schema validation failed with error: [%s]", strings.Join(problems, ", "))
	}
	return v.(map[string]any), nil // an object: so says every add-on's schema
}

// check lists what is wrong with a value, in the words of the validator that EKS has.
func (s schema) check(at string, v any) []string {
	if found := jsonType(v); found != s.Type && !(s.Type == "number" && found == "integer") {
		return []string{fmt.Sprintf("%s: %s found, %s expected", at, found, s.Type)}
	}
	var problems []string
	switch v := v.(type) {
	case map[string]any:
		for _, k := range sortedKeys(v) {
			p, known := s.Properties[k]
			switch {
			case known:
				problems = append(problems, p.check(at+"."+k, v[k])...)
			case s.AdditionalProperties != nil && !*s.AdditionalProperties:
				problems = append(problems, fmt.Sprintf("%s.%s: is not defined in the schema and the schema does not allow additional properties", at, k))
			}
		}
	case []any:
		for i, e := range v {
			if s.Items != nil {
				problems = append(problems, s.Items.check(fmt.Sprintf("%s[%d]", at, i), e)...)
			}
		}
	case string:
		if len(s.Enum) > 0 && !slices.Contains(s.Enum, v) {
			problems = append(problems, fmt.Sprintf("%s: does not have a value in the enumeration [%s]", at, strings.Join(s.Enum, ", ")))
		}
	case float64:
		if s.Minimum != nil && v < *s.Minimum {
			problems = append(problems, fmt.Sprintf("%s: must have a minimum value of %v", at, *s.Minimum))
		}
	}
	return problems
}

func jsonType(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case bool:
		return "boolean"
	case string:
		return "string"
	case float64:
		if v == math.Trunc(v) {
			return "integer"
		}
		return "number"
	case []any:
		return "array"
	}
	return "object"
}
