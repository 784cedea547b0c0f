package fleet

// ClusterSpec is what a cluster shall be: an eksctl ClusterConfig as ekspedite acts on it, with defaults filled in. Package
// spec makes it. Where ekspedite only passes something on to an API, it is Props in the API's own names.
type ClusterSpec struct {
	Name    string            `json:"name"`
	Region  string            `json:"region"`
	Version string            `json:"version,omitempty"` // "1.36"; "" is what EKS gives by default
	Tags    map[string]string `json:"tags,omitempty"`    // on everything that is made, beside ekspedite's own

	Network NetworkSpec `json:"network"`
	IAM     IAMSpec     `json:"iam,omitzero"`

	Logging          []string `json:"logging,omitempty"`          // control plane log types, sorted
	LogRetentionDays int      `json:"logRetentionDays,omitempty"` // 0: CloudWatch Logs keeps them for ever
	SecretsKeyARN    string   `json:"secretsKeyArn,omitempty"`    // KMS key that encrypts Kubernetes secrets
	SupportType      string   `json:"supportType,omitempty"`      // STANDARD or EXTENDED; "" is EKS's default
	ZonalShift       *bool    `json:"zonalShift,omitempty"`       // nil: not asked for either way
	Tier             string   `json:"tier,omitempty"`             // control plane scaling tier: standard, tier-xl, …
	// DeletionProtection is eksctl's to come; nil leaves it as it is.
	DeletionProtection *bool `json:"deletionProtection,omitempty"`
	// APIServer, ControllerManager and Scheduler are component configurations, for EKS as they are; nil without.
	APIServer         Props `json:"apiServer,omitempty"`
	ControllerManager Props `json:"controllerManager,omitempty"`
	Scheduler         Props `json:"scheduler,omitempty"`

	AuthMode string `json:"authMode"` // API, API_AND_CONFIG_MAP or CONFIG_MAP
	// NoCreatorAdmin is bootstrapClusterCreatorAdminPermissions: false. ekspedite then lets itself in by an access entry.
	NoCreatorAdmin bool         `json:"noCreatorAdmin,omitempty"`
	Access         []AccessSpec `json:"access,omitempty"`

	Auto    *AutoSpec    `json:"auto,omitempty"`    // EKS Auto Mode; nil without
	Remote  *RemoteSpec  `json:"remote,omitempty"`  // hybrid nodes; nil without
	Outpost *OutpostSpec `json:"outpost,omitempty"` // nil in the Region

	NodeGroups      []NodeGroupSpec        `json:"nodeGroups,omitempty"` // managed ones first, then self-managed, as in the file
	Addons          []AddonSpec            `json:"addons,omitempty"`
	NoDefaultAddons bool                   `json:"noDefaultAddons,omitempty"` // addonsConfig.disableDefaultAddons
	Fargate         []FargateSpec          `json:"fargate,omitempty"`
	Capabilities    []CapabilitySpec       `json:"capabilities,omitempty"`
	Identity        []IdentityProviderSpec `json:"identity,omitempty"` // at most one, as EKS has it
}

// NetworkSpec is the cluster's VPC, made or given, and how its API server is reached.
type NetworkSpec struct {
	// VPC is the id of an existing one; "" makes one. Its subnets are then Public and Private.
	VPC             string       `json:"vpc,omitempty"`
	Public, Private []SubnetSpec `json:",omitempty"`

	CIDR string `json:"cidr"`
	// ExtraCIDRs and ExtraIPv6CIDRs are further ranges that may reach the API server's private endpoint. eksctl's words for
	// them are "additional CIDR associations"; what it does is open the control plane's security group to them, port 443.
	ExtraCIDRs     []string `json:"extraCidrs,omitempty"`
	ExtraIPv6CIDRs []string `json:"extraIpv6Cidrs,omitempty"`
	// IPv6 makes the cluster's pods and services IPv6 and the VPC that is made dual-stack.
	IPv6 bool `json:"ipv6,omitempty"`
	// IPv6CIDR and IPv6Pool bring one's own addresses; both "" takes Amazon's.
	IPv6CIDR string   `json:"ipv6Cidr,omitempty"`
	IPv6Pool string   `json:"ipv6Pool,omitempty"`
	NAT      NATMode  `json:"nat"`
	Zones    []string `json:"zones,omitempty"`      // empty: the decision chooses
	Local    []string `json:"localZones,omitempty"` // Local Zones, for self-managed nodes only
	// HostnameType of instances: "resource-name" or "ip-name"; "" leaves EC2's default.
	HostnameType string `json:"hostnameType,omitempty"`

	PublicAccess      bool     `json:"publicAccess"`
	PrivateAccess     bool     `json:"privateAccess"`
	PublicAccessCIDRs []string `json:"publicAccessCidrs,omitempty"` // empty: everywhere
	ServiceCIDR       string   `json:"serviceCidr,omitempty"`       // IPv4; empty: EKS chooses
	EgressMode        string   `json:"egressMode,omitempty"`        // control plane egress: AWS_MANAGED, …

	// Where the control plane's interfaces go; empty: all subnets of the cluster, or all private ones.
	ControlPlaneSubnets        []string `json:"controlPlaneSubnets,omitempty"`
	ControlPlaneOnPrivate      bool     `json:"controlPlaneOnPrivate,omitempty"`
	ControlPlaneSecurityGroups []string `json:"controlPlaneSecurityGroups,omitempty"`
	SharedNodeSecurityGroup    string   `json:"sharedNodeSecurityGroup,omitempty"` // existing; "" makes one where it is needed
	// KeepSharedNodeRules is manageSharedNodeSecurityGroupRules: false: the existing group gets no rules from us.
	KeepSharedNodeRules bool `json:"keepSharedNodeRules,omitempty"`

	// FullyPrivate is privateCluster.enabled: no way out to the internet, VPC endpoints instead.
	FullyPrivate bool `json:"fullyPrivate,omitempty"`
	// NoEndpoints is privateCluster.skipEndpointCreation.
	NoEndpoints    bool     `json:"noEndpoints,omitempty"`
	ExtraEndpoints []string `json:"extraEndpoints,omitempty"` // services: "autoscaling", "logs"
}

// SubnetSpec is an existing subnet, or a wish for one: the file names it by any of these.
type SubnetSpec struct {
	Alias string `json:"alias"` // its key in the file: a zone or any name
	ID    string `json:"id,omitempty"`
	Zone  string `json:"zone,omitempty"`
	CIDR  string `json:"cidr,omitempty"`
}

// NATMode is how private subnets reach the internet, in eksctl's words.
type NATMode string

// The NAT modes. Without NAT there are no private subnets, unless the cluster is fully private.
const (
	NATDisable         NATMode = "Disable"
	NATSingle          NATMode = "Single"
	NATHighlyAvailable NATMode = "HighlyAvailable"
)

// IAMSpec is the cluster's IAM: given roles, the OIDC provider, and roles for pods.
type IAMSpec struct {
	RoleARN                   string `json:"roleArn,omitempty"` // the control plane's, existing; "" makes one
	RoleBoundary              string `json:"roleBoundary,omitempty"`
	NoVPCResourceController   bool   `json:"noVpcResourceController,omitempty"`
	FargateRoleARN            string `json:"fargateRoleArn,omitempty"` // pods' execution role, existing; "" makes one
	FargateRoleBoundary       string `json:"fargateRoleBoundary,omitempty"`
	OIDC                      bool   `json:"oidc,omitempty"` // an IAM OIDC provider for the cluster's issuer
	ServiceAccounts           []ServiceAccountSpec
	PodIdentities             []PodIdentitySpec
	AutoApplyAddonPodIdentity bool `json:"autoApplyAddonPodIdentity,omitempty"`
}

// Grants are what a role may do: managed policies, inline ones, and eksctl's well-known ones by their eksctl names
// ("autoScaler", "ebsCSIController", …).
type Grants struct {
	PolicyARNs []string `json:"policyArns,omitempty"`
	Inline     string   `json:"inline,omitempty"`    // an IAM policy document, JSON
	WellKnown  []string `json:"wellKnown,omitempty"` // sorted
	Boundary   string   `json:"boundary,omitempty"`  // ARN of a permissions boundary
}

// Empty tells whether nothing is granted.
func (g Grants) Empty() bool {
	return len(g.PolicyARNs) == 0 && g.Inline == "" && len(g.WellKnown) == 0
}

// ServiceAccountSpec is an IAM role for a Kubernetes service account (IRSA).
type ServiceAccountSpec struct {
	Namespace, Name     string
	Labels, Annotations map[string]string `json:",omitempty"`
	RoleARN             string            `json:"roleArn,omitempty"`  // existing; "" makes one
	RoleName            string            `json:"roleName,omitempty"` // of the one that is made; "" chooses
	RoleOnly            bool              `json:"roleOnly,omitempty"` // the Kubernetes object is somebody else's
	SubjectPattern      string            `json:"subjectPattern,omitempty"`
	Tags                map[string]string `json:"tags,omitempty"`
	Grants
}

// PodIdentitySpec is an EKS pod identity association.
type PodIdentitySpec struct {
	Namespace, ServiceAccount string
	CreateServiceAccount      bool              `json:"createServiceAccount,omitempty"`
	RoleARN                   string            `json:"roleArn,omitempty"` // existing; "" makes one
	RoleName                  string            `json:"roleName,omitempty"`
	TargetRoleARN             string            `json:"targetRoleArn,omitempty"`
	NoSessionTags             *bool             `json:"noSessionTags,omitempty"` // disableSessionTags
	SessionPolicy             string            `json:"sessionPolicy,omitempty"` // JSON
	Tags                      map[string]string `json:"tags,omitempty"`
	Grants
}

// AccessSpec lets an IAM principal into the cluster.
type AccessSpec struct {
	Principal string         `json:"principal"` // ARN
	Type      string         `json:"type,omitempty"`
	Username  string         `json:"username,omitempty"`
	Groups    []string       `json:"groups,omitempty"`
	Policies  []AccessPolicy `json:"policies,omitempty"`
}

// AccessPolicy is an EKS access policy with its scope.
type AccessPolicy struct {
	ARN        string   `json:"arn"`
	Namespaces []string `json:"namespaces,omitempty"` // empty: the whole cluster
}

// AutoSpec is EKS Auto Mode.
type AutoSpec struct {
	NodePools   []string `json:"nodePools,omitempty"`   // general-purpose, system; empty: none
	NodeRoleARN string   `json:"nodeRoleArn,omitempty"` // existing; "" makes one
	Boundary    string   `json:"boundary,omitempty"`
}

// RemoteSpec is the network of hybrid nodes and how they prove who they are.
type RemoteSpec struct {
	NodeCIDRs, PodCIDRs []string
	VPCGateway          string `json:"vpcGateway,omitempty"` // tgw-… or vgw-…
	Provider            string `json:"provider,omitempty"`   // ssm or ira (IAM Roles Anywhere); "" without IAM
	CABundle            string `json:"caBundle,omitempty"`
	RoleARN             string `json:"roleArn,omitempty"` // existing; "" makes one
}

// OutpostSpec puts the control plane on an Outpost.
type OutpostSpec struct {
	ARN              string `json:"arn"`
	InstanceType     string `json:"instanceType,omitempty"`
	GroupName        string `json:"groupName,omitempty"`
	SpreadLevel      string `json:"spreadLevel,omitempty"`
	EtcdInstanceType string `json:"etcdInstanceType,omitempty"`
	EtcdGroupName    string `json:"etcdGroupName,omitempty"`
	EtcdSpreadLevel  string `json:"etcdSpreadLevel,omitempty"`
}

// AddonSpec is one EKS add-on.
type AddonSpec struct {
	Name          string            `json:"name"`
	Version       string            `json:"version,omitempty"` // "" is EKS's default for the cluster's version; "latest" the newest
	Configuration string            `json:"configuration,omitempty"`
	Resolve       string            `json:"resolve,omitempty"` // resolveConflicts: NONE, OVERWRITE, PRESERVE
	Namespace     string            `json:"namespace,omitempty"`
	RoleARN       string            `json:"roleArn,omitempty"`
	Tags          map[string]string `json:"tags,omitempty"`
	// PodIdentities of the add-on's service accounts; their namespace is the add-on's. UseDefaultPodIdentity asks for what
	// EKS recommends.
	PodIdentities         []PodIdentitySpec `json:"podIdentities,omitempty"`
	UseDefaultPodIdentity bool              `json:"useDefaultPodIdentity,omitempty"`
	Grants                                  // for an IRSA role, or pod identity where the agent is there
	// Default marks those that eksctl installs unasked: vpc-cni, coredns, kube-proxy, metrics-server.
	Default bool `json:"default,omitempty"`
}

// FargateSpec is a Fargate profile.
type FargateSpec struct {
	Name      string            `json:"name"`
	RoleARN   string            `json:"roleArn,omitempty"` // "" is the cluster's Fargate role
	Selectors []FargateSelector `json:"selectors"`
	Subnets   []string          `json:"subnets,omitempty"` // ids, or names and zones of the file; empty: all private ones
	Tags      map[string]string `json:"tags,omitempty"`
}

// FargateSelector picks pods.
type FargateSelector struct {
	Namespace string            `json:"namespace"`
	Labels    map[string]string `json:"labels,omitempty"`
}

// CapabilitySpec is an EKS capability: ACK, ARGOCD or KRO.
type CapabilitySpec struct {
	Name          string            `json:"name"`
	Type          string            `json:"type"`
	RoleARN       string            `json:"roleArn,omitempty"` // existing; "" makes one
	DeletePolicy  string            `json:"deletePolicy,omitempty"`
	Access        []AccessPolicy    `json:"access,omitempty"`
	Configuration Props             `json:"configuration,omitempty"` // EKS's CapabilityConfigurationRequest
	Tags          map[string]string `json:"tags,omitempty"`
	Grants
}

// IdentityProviderSpec lets the users of an OIDC provider in.
type IdentityProviderSpec struct {
	Name   string            `json:"name"`
	Config Props             `json:"config"` // EKS's OidcIdentityProviderConfigRequest
	Tags   map[string]string `json:"tags,omitempty"`
}
