package readiness

import (
	"time"

	"github.com/ekspedite/ekspedite/shared/decide/upgradepath"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

// Part names what is read as one, and cannot be read as one. Each field of an Observation says which part it belongs to.
type Part string

// The parts. Each says the calls by which it is read.
const (
	// Of EKS itself.
	PartEKS          Part = "eks"          // Observation.EKS without its nodes: DescribeCluster, ListUpdates, node groups, add-ons, DescribeClusterVersions
	PartReleases     Part = "releases"     // EKS.Releases: eks:DescribeAddonVersions
	PartImages       Part = "images"       // EKS.Images: ssm:GetParameters
	PartControlPlane Part = "controlPlane" // ControlPlane: what DescribeCluster says beside versions
	PartInsights     Part = "insights"     // Insights, InsightsRefresh: eks:ListInsights, DescribeInsight, DescribeInsightsRefresh
	PartAddons       Part = "addons"       // Addons: eks:DescribeAddon, DescribeAddonConfiguration
	PartCapabilities Part = "capabilities" // Capabilities: eks:ListCapabilities, DescribeCapability
	PartIdentity     Part = "identity"     // IdentityProviders: eks:ListIdentityProviderConfigs, DescribeIdentityProviderConfig
	PartAuthorities  Part = "authorities"  // Authorities: eks:ListCertificateAuthorities, DescribeCertificateAuthority
	// Of other services of AWS.
	PartRole      Part = "role"      // Role: iam:GetRole
	PartRoles     Part = "roles"     // AddonRoles: iam:GetRole
	PartNetwork   Part = "network"   // Subnets, SecurityGroups, VPC: ec2:DescribeSubnets, DescribeSecurityGroups, DescribeVpcAttribute
	PartKey       Part = "key"       // Key: kms:DescribeKey
	PartQuotas    Part = "quotas"    // Quotas: servicequotas:GetServiceQuota, and what there is
	PartMachines  Part = "machines"  // Machines: ec2:DescribeInstanceTypes
	PartTemplates Part = "templates" // Templates: ec2:DescribeLaunchTemplateVersions, DescribeImages, DescribeSecurityGroups, …
	PartScaling   Part = "scaling"   // ScalingGroups: autoscaling:DescribeAutoScalingGroups, DescribeInstanceRefreshes, DescribeScalingActivities
	PartAlarms    Part = "alarms"    // Alarms: cloudwatch:DescribeAlarms
	PartHealth    Part = "health"    // Health: AWS Health's events as the installation has heard of them
	// Of the API server.
	PartNodes           Part = "nodes"           // EKS.Nodes, Nodes: LIST nodes
	PartPods            Part = "pods"            // Pods: LIST pods, Namespaces
	PartWorkloads       Part = "workloads"       // Workloads: LIST deployments, statefulsets, daemonsets, replicasets without owner, jobs, cronjobs
	PartBudgets         Part = "budgets"         // Budgets: LIST poddisruptionbudgets
	PartWebhooks        Part = "webhooks"        // Webhooks: LIST validating- and mutatingwebhookconfigurations
	PartServices        Part = "services"        // Services, Addresses: LIST services, networkpolicies
	PartDefinitions     Part = "definitions"     // Definitions: LIST customresourcedefinitions
	PartAPIServices     Part = "apiServices"     // APIServices: LIST apiservices
	PartObjects         Part = "objects"         // Objects: LIST of every kind with a removed version, metadata where that is enough
	PartMetrics         Part = "metrics"         // Requested: GET /metrics, apiserver_requested_deprecated_apis
	PartHelm            Part = "helm"            // Helm: LIST secrets of type helm.sh/release.v1
	PartVolumes         Part = "volumes"         // Volumes, Drivers, StorageClasses
	PartKubeProxy       Part = "kubeProxy"       // KubeProxy: GET configmap kube-system/kube-proxy-config
	PartKarpenter       Part = "karpenter"       // NodePools, NodeClasses: LIST karpenter.sh and karpenter.k8s.aws
	PartBindings        Part = "bindings"        // Anonymous: LIST clusterrolebindings
	PartTokens          Part = "tokens"          // TokenSecrets: LIST secrets of type kubernetes.io/service-account-token
	PartEndpointObjects Part = "endpointObjects" // EndpointObjects: LIST endpoints
)

// Observation is everything that the checks read of one cluster. Nothing is left out silently: what could not be read is in
// Unread, and the checks that need it are Unknown.
type Observation struct {
	// EKS is PartEKS, PartReleases, PartImages and PartNodes.
	EKS upgradepath.Observation `json:"eks"`
	// Target is the minor to go to; the present one for patches alone.
	Target fleet.Minor `json:"target"`

	ControlPlane      ControlPlane       `json:"controlPlane"`
	Insights          []Insight          `json:"insights,omitempty"`
	InsightsRefresh   InsightsRefresh    `json:"insightsRefresh,omitzero"`
	Addons            []AddonFacts       `json:"addons,omitempty"`
	Capabilities      []Named            `json:"capabilities,omitempty"`
	IdentityProviders []Named            `json:"identityProviders,omitempty"`
	Authorities       []Authority        `json:"authorities,omitempty"`
	Role              Role               `json:"role,omitzero"` // the cluster's
	AddonRoles        []Role             `json:"addonRoles,omitempty"`
	Subnets           []Subnet           `json:"subnets,omitempty"` // the cluster's and the node groups'
	SecurityGroups    []SecurityGroup    `json:"securityGroups,omitempty"`
	VPC               VPC                `json:"vpc,omitzero"`
	Key               Key                `json:"key,omitzero"`
	Quotas            []Quota            `json:"quotas,omitempty"`
	Machines          map[string]Machine `json:"machines,omitempty"` // by instance type
	Templates         []Template         `json:"templates,omitempty"`
	ScalingGroups     []ScalingGroup     `json:"scalingGroups,omitempty"`
	// Alarms are those of the policy, UnknownAlarms the names there that CloudWatch does not know.
	Alarms        []Alarm  `json:"alarms,omitempty"`
	UnknownAlarms []string `json:"unknownAlarms,omitempty"`
	// Health is empty, and not nil, where events are heard of and none is open; nil is that nobody listens.
	Health []HealthEvent `json:"health"`

	// Access says whether the API server lets us in; if it does not, the parts of it are Unread, too.
	Access Access `json:"access"`

	Nodes           []NodeFacts         `json:"nodes,omitempty"`
	Namespaces      []Namespace         `json:"namespaces,omitempty"`
	Pods            []Pod               `json:"pods,omitempty"`
	Workloads       []Workload          `json:"workloads,omitempty"`
	Budgets         []Budget            `json:"budgets,omitempty"`
	Webhooks        []Webhook           `json:"webhooks,omitempty"`
	Services        []Service           `json:"services,omitempty"`
	Addresses       []Address           `json:"addresses,omitempty"`
	Definitions     []Definition        `json:"definitions,omitempty"`
	APIServices     []APIService        `json:"apiServices,omitempty"`
	Objects         []Object            `json:"objects,omitempty"`
	Requested       []Requested         `json:"requested,omitempty"`
	Helm            []HelmRelease       `json:"helm,omitempty"`
	Volumes         []Volume            `json:"volumes,omitempty"`
	Drivers         []string            `json:"drivers,omitempty"`        // names of the CSIDriver objects
	StorageClasses  map[string]string   `json:"storageClasses,omitempty"` // the provisioner of each
	KubeProxy       KubeProxy           `json:"kubeProxy,omitzero"`
	NodePools       []NodePool          `json:"nodePools,omitempty"`
	NodeClasses     []NodeClass         `json:"nodeClasses,omitempty"`
	Anonymous       []Named             `json:"anonymous,omitempty"`       // ClusterRoleBindings of anonymous callers: Status is the role
	TokenSecrets    []string            `json:"tokenSecrets,omitempty"`    // namespace/name
	EndpointObjects []string            `json:"endpointObjects,omitempty"` // Endpoints that people or controllers wrote: namespace/name
	GroupFacts      map[string]GroupNet `json:"groupFacts,omitempty"`      // PartControlPlane; by node group

	// Process is what the run knows of windows and rings; nil where somebody only checks.
	Process *Process `json:"process,omitempty"`

	// Unread is why a part could not be read. A check that needs it is Unknown.
	Unread map[Part]string `json:"unread,omitempty"`
}

// ControlPlane is what DescribeCluster says beside versions.
type ControlPlane struct {
	RoleARN              string   `json:"roleArn,omitempty"`
	SubnetIDs            []string `json:"subnetIds,omitempty"`
	SecurityGroupIDs     []string `json:"securityGroupIds,omitempty"` // the additional ones
	ClusterSecurityGroup string   `json:"clusterSecurityGroup,omitempty"`
	VPCID                string   `json:"vpcId,omitempty"`
	KeyARN               string   `json:"keyArn,omitempty"` // "" without encryption by a key of one's own
	PublicEndpoint       bool     `json:"publicEndpoint,omitempty"`
	PrivateEndpoint      bool     `json:"privateEndpoint,omitempty"`
	IPv6                 bool     `json:"ipv6,omitempty"`
	Egress               string   `json:"egress,omitempty"` // controlPlaneEgress: AWS_MANAGED, CUSTOMER_ROUTED, CUSTOMER_ISOLATED
	Tier                 string   `json:"tier,omitempty"`   // "", standard, tier-xl, …
}

// Insight is one of EKS's findings about the cluster.
type Insight struct {
	ID       string      `json:"id"`
	Name     string      `json:"name"`
	Category string      `json:"category"` // UPGRADE_READINESS, MISCONFIGURATION, ROLLBACK_READINESS
	Status   string      `json:"status"`   // PASSING, WARNING, ERROR, UNKNOWN
	Reason   string      `json:"reason,omitempty"`
	Version  fleet.Minor `json:"version,omitempty"` // the minor that it is about
	// LastRefresh is when EKS last looked, LastTransition when the status became what it is.
	LastRefresh    time.Time `json:"lastRefresh,omitzero"`
	LastTransition time.Time `json:"lastTransition,omitzero"`
	// Resources are what it is about: ARNs or Kubernetes URIs.
	Resources []string `json:"resources,omitempty"`
	// Deprecations are the deprecated APIs in use (categorySpecificSummary.deprecationDetails).
	Deprecations   []Deprecation `json:"deprecations,omitempty"`
	Recommendation string        `json:"recommendation,omitempty"`
}

// Deprecation is a deprecated API that EKS holds to be in use: it looks at 30 days of audit logs.
type Deprecation struct {
	Usage       string      `json:"usage"` // "/apis/policy/v1beta1/podsecuritypolicies"
	ReplacedBy  string      `json:"replacedBy,omitempty"`
	StopServing fleet.Minor `json:"stopServing,omitempty"`
	Clients     []Client    `json:"clients,omitempty"`
}

// Client is who asked for a deprecated API.
type Client struct {
	UserAgent   string    `json:"userAgent"`
	Requests    int       `json:"requests"` // in the last 30 days
	LastRequest time.Time `json:"lastRequest,omitzero"`
}

// InsightsRefresh is the last refresh that was asked for; zero if there was none.
type InsightsRefresh struct {
	Status  string    `json:"status,omitempty"` // IN_PROGRESS, COMPLETED, FAILED
	Message string    `json:"message,omitempty"`
	Started time.Time `json:"started,omitzero"`
	Ended   time.Time `json:"ended,omitzero"`
}

// AddonFacts is what the checks read of an add-on beside its version.
type AddonFacts struct {
	Name string `json:"name"`
	// Configuration are its configurationValues as JSON (values in YAML are turned into it); "" if it has none.
	Configuration string `json:"configuration,omitempty"`
	// Schema is the JSON schema of the configuration of SchemaVersion, the version for Target; "" where it was not read.
	Schema        string `json:"schema,omitempty"`
	SchemaVersion string `json:"schemaVersion,omitempty"`
	// Foreign are fields of its objects that somebody other than EKS owns: "DaemonSet kube-system/aws-node: spec.template… (kubectl-edit)".
	Foreign []string `json:"foreign,omitempty"`
	// Roles are the ARNs of its IRSA role and of its Pod Identity associations.
	Roles []string `json:"roles,omitempty"`
	// Marketplace: somebody other than AWS publishes it.
	Marketplace bool `json:"marketplace,omitempty"`
}

// Named is something with a name and a status.
type Named struct {
	Name   string   `json:"name"`
	Status string   `json:"status"`
	Issues []string `json:"issues,omitempty"`
}

// Access is whether the API server was reached and let us in.
type Access struct {
	// Asked: somebody tried. Reached: it answered. Entry: it knew us.
	Asked   bool   `json:"asked"`
	Reached bool   `json:"reached"`
	Entry   bool   `json:"entry"`
	Why     string `json:"why,omitempty"` // what went wrong
}

// Process is what the run knows of windows and rings.
type Process struct {
	// WindowOpen: maintenance may go on now. Window says why not.
	WindowOpen bool   `json:"windowOpen"`
	Window     string `json:"window,omitempty"`
	// RingReady: the rings before have been upgraded and have soaked. Ring says why not.
	RingReady bool   `json:"ringReady"`
	Ring      string `json:"ring,omitempty"`
}
