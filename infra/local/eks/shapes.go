package eks

import (
	"encoding/json"

	"github.com/ekspedite/ekspedite/infra/local/wire"
)

// Statuses, as the API spells them.
const (
	creating     = "CREATING"
	active       = "ACTIVE"
	updating     = "UPDATING"
	deleting     = "DELETING"
	failed       = "FAILED"
	createFailed = "CREATE_FAILED"
	deleteFailed = "DELETE_FAILED"
	degraded     = "DEGRADED"
)

// empty is the output of operations that return nothing.
type empty struct{}

type tags map[string]string

type vpcConfigRequest struct {
	SubnetIDs              []string `json:"subnetIds"`
	SecurityGroupIDs       []string `json:"securityGroupIds"`
	EndpointPublicAccess   *bool    `json:"endpointPublicAccess"`
	EndpointPrivateAccess  *bool    `json:"endpointPrivateAccess"`
	PublicAccessCIDRs      []string `json:"publicAccessCidrs"`
	ControlPlaneEgressMode string   `json:"controlPlaneEgressMode"`
}

type vpcConfig struct {
	SubnetIDs              []string `json:"subnetIds"`
	SecurityGroupIDs       []string `json:"securityGroupIds"`
	ClusterSecurityGroupID string   `json:"clusterSecurityGroupId,omitempty"`
	VPCID                  string   `json:"vpcId"`
	EndpointPublicAccess   bool     `json:"endpointPublicAccess"`
	EndpointPrivateAccess  bool     `json:"endpointPrivateAccess"`
	PublicAccessCIDRs      []string `json:"publicAccessCidrs"`
	ControlPlaneEgressMode string   `json:"controlPlaneEgressMode"`
}

// networkConfig is the request as well as the answer: a request has no IPv6 block, for EKS makes it up.
type networkConfig struct {
	ServiceIPv4CIDR      string         `json:"serviceIpv4Cidr,omitempty"`
	ServiceIPv6CIDR      string         `json:"serviceIpv6Cidr,omitempty"`
	IPFamily             string         `json:"ipFamily,omitempty"`
	ElasticLoadBalancing *loadBalancing `json:"elasticLoadBalancing,omitempty"`
}

type loadBalancing struct {
	Enabled    *bool       `json:"enabled,omitempty"`
	GatewayAPI *gatewayAPI `json:"gatewayApi,omitempty"`
}

type gatewayAPI struct {
	CRDs *struct {
		Managed *bool `json:"managed,omitempty"`
	} `json:"crds,omitempty"`
}

type enabledSetting struct {
	Enabled bool `json:"enabled"`
}

type logSetup struct {
	Types   []string `json:"types"`
	Enabled bool     `json:"enabled"`
}

type logging struct {
	ClusterLogging []logSetup `json:"clusterLogging"`
}

type encryptionConfig struct {
	Resources []string `json:"resources"`
	Provider  struct {
		KeyARN string `json:"keyArn"`
	} `json:"provider"`
}

type accessConfigRequest struct {
	BootstrapClusterCreatorAdminPermissions *bool  `json:"bootstrapClusterCreatorAdminPermissions"`
	AuthenticationMode                      string `json:"authenticationMode"`
}

type accessConfig struct {
	BootstrapClusterCreatorAdminPermissions *bool  `json:"bootstrapClusterCreatorAdminPermissions,omitempty"`
	AuthenticationMode                      string `json:"authenticationMode"`
}

type upgradePolicy struct {
	SupportType string `json:"supportType"`
}

type computeConfig struct {
	Enabled     *bool    `json:"enabled,omitempty"`
	NodePools   []string `json:"nodePools,omitempty"`
	NodeRoleARN string   `json:"nodeRoleArn,omitempty"`
}

type storageConfig struct {
	BlockStorage *struct {
		Enabled *bool `json:"enabled,omitempty"`
	} `json:"blockStorage,omitempty"`
}

type scalingTier struct {
	Tier string `json:"tier"`
}

type remoteNetworks struct {
	Nodes *[]remoteCIDRs `json:"remoteNodeNetworks,omitempty"`
	Pods  *[]remoteCIDRs `json:"remotePodNetworks,omitempty"`
}

type remoteCIDRs struct {
	CIDRs []string `json:"cidrs"`
}

type outpostConfig struct {
	OutpostARNs              []string   `json:"outpostArns"`
	ControlPlaneInstanceType string     `json:"controlPlaneInstanceType"`
	ControlPlanePlacement    *placement `json:"controlPlanePlacement,omitempty"`
	EtcdInstanceType         string     `json:"etcdInstanceType,omitempty"`
	EtcdPlacement            *placement `json:"etcdPlacement,omitempty"`
}

type placement struct {
	GroupName   string `json:"groupName,omitempty"`
	SpreadLevel string `json:"spreadLevel,omitempty"`
}

func present(raw json.RawMessage) bool { return len(raw) > 0 && string(raw) != "null" }

type issue struct {
	Code        string   `json:"code"`
	Message     string   `json:"message"`
	ResourceIDs []string `json:"resourceIds"`
}

type health struct {
	Issues []issue `json:"issues"`
}

type clusterShape struct {
	Name                    string             `json:"name"`
	ARN                     string             `json:"arn"`
	CreatedAt               *wire.Time         `json:"createdAt"`
	Version                 string             `json:"version"`
	Endpoint                string             `json:"endpoint,omitempty"`
	RoleARN                 string             `json:"roleArn"`
	ResourcesVPCConfig      vpcConfig          `json:"resourcesVpcConfig"`
	KubernetesNetworkConfig networkConfig      `json:"kubernetesNetworkConfig"`
	Logging                 logging            `json:"logging"`
	Identity                *identity          `json:"identity,omitempty"`
	Status                  string             `json:"status"`
	CertificateAuthority    caData             `json:"certificateAuthority"`
	PlatformVersion         string             `json:"platformVersion"`
	Tags                    tags               `json:"tags"`
	EncryptionConfig        []encryptionConfig `json:"encryptionConfig,omitempty"`
	Health                  health             `json:"health"`
	AccessConfig            accessConfig       `json:"accessConfig"`
	UpgradePolicy           upgradePolicy      `json:"upgradePolicy"`
	ZonalShiftConfig        *enabledSetting    `json:"zonalShiftConfig,omitempty"`
	DeletionProtection      bool               `json:"deletionProtection"`
	ID                      string             `json:"id,omitempty"`
	OutpostConfig           *outpostConfig     `json:"outpostConfig,omitempty"`
	RemoteNetworkConfig     *remoteNetworks    `json:"remoteNetworkConfig,omitempty"`
	ComputeConfig           computeShape       `json:"computeConfig"`
	StorageConfig           storageConfig      `json:"storageConfig"`
	ScalingConfig           scalingTier        `json:"controlPlaneScalingConfig"`
	components
}

type computeShape struct {
	Enabled     bool     `json:"enabled"`
	NodePools   []string `json:"nodePools"`
	NodeRoleARN string   `json:"nodeRoleArn,omitempty"`
}

type identity struct {
	OIDC struct {
		Issuer string `json:"issuer"`
	} `json:"oidc"`
}

type caData struct {
	Data string `json:"data,omitempty"`
}

type clusterOut struct {
	Cluster clusterShape `json:"cluster"`
}
