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
	SubnetIDs             []string `json:"subnetIds"`
	SecurityGroupIDs      []string `json:"securityGroupIds"`
	EndpointPublicAccess  *bool    `json:"endpointPublicAccess"`
	EndpointPrivateAccess *bool    `json:"endpointPrivateAccess"`
	PublicAccessCIDRs     []string `json:"publicAccessCidrs"`
}

type vpcConfig struct {
	SubnetIDs              []string `json:"subnetIds"`
	SecurityGroupIDs       []string `json:"securityGroupIds"`
	ClusterSecurityGroupID string   `json:"clusterSecurityGroupId,omitempty"`
	VPCID                  string   `json:"vpcId"`
	EndpointPublicAccess   bool     `json:"endpointPublicAccess"`
	EndpointPrivateAccess  bool     `json:"endpointPrivateAccess"`
	PublicAccessCIDRs      []string `json:"publicAccessCidrs"`
}

type networkConfig struct {
	ServiceIPv4CIDR      string          `json:"serviceIpv4Cidr,omitempty"`
	IPFamily             string          `json:"ipFamily,omitempty"`
	ElasticLoadBalancing *enabledSetting `json:"elasticLoadBalancing,omitempty"`
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

// beyond are the members of CreateCluster and UpdateClusterConfig that the embedded cloud has no behaviour for.
type beyond struct {
	OutpostConfig              json.RawMessage `json:"outpostConfig"`
	RemoteNetworkConfig        json.RawMessage `json:"remoteNetworkConfig"`
	ComputeConfig              *enabledSetting `json:"computeConfig"`
	StorageConfig              *storageConfig  `json:"storageConfig"`
	ControlPlaneScalingConfig  *scalingTier    `json:"controlPlaneScalingConfig"`
	KubeAPIServerConfig        json.RawMessage `json:"kubeApiServerConfig"`
	KubeControllerConfig       json.RawMessage `json:"kubeControllerManagerConfig"`
	KubeSchedulerConfig        json.RawMessage `json:"kubeSchedulerConfig"`
	ControlPlaneEgressMode     string          `json:"controlPlaneEgressMode"`
	BootstrapSelfManagedAddons *bool           `json:"bootstrapSelfManagedAddons"`
}

type storageConfig struct {
	BlockStorage enabledSetting `json:"blockStorage"`
}

type scalingTier struct {
	Tier string `json:"tier"`
}

func (b beyond) check() error {
	switch {
	case present(b.OutpostConfig):
		return unsupported("outpostConfig")
	case present(b.RemoteNetworkConfig):
		return unsupported("remoteNetworkConfig (hybrid nodes)")
	case b.ComputeConfig != nil && b.ComputeConfig.Enabled, b.StorageConfig != nil && b.StorageConfig.BlockStorage.Enabled:
		return unsupported("EKS Auto Mode (computeConfig, storageConfig)")
	case b.ControlPlaneScalingConfig != nil && b.ControlPlaneScalingConfig.Tier != "" && b.ControlPlaneScalingConfig.Tier != "standard":
		return unsupported("controlPlaneScalingConfig.tier %s", b.ControlPlaneScalingConfig.Tier)
	case present(b.KubeAPIServerConfig), present(b.KubeControllerConfig), present(b.KubeSchedulerConfig):
		return unsupported("control plane component configuration")
	case b.ControlPlaneEgressMode != "" && b.ControlPlaneEgressMode != "AWS_MANAGED":
		return unsupported("controlPlaneEgressMode %s", b.ControlPlaneEgressMode)
	case b.BootstrapSelfManagedAddons != nil && !*b.BootstrapSelfManagedAddons:
		return unsupported("bootstrapSelfManagedAddons false: every control plane here has coredns, kube-proxy and vpc-cni")
	}
	return nil
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
