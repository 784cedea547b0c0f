package eks

import (
	"maps"

	"github.com/ekspedite/ekspedite/infra/local/wire"
)

// setting collects condition keys that a request carries only when it names the setting.
type setting map[string][]string

func (c setting) text(key, value string) {
	if value != "" {
		c["eks:"+key] = []string{value}
	}
}

func (c setting) flag(key string, value *bool) {
	if value != nil {
		c["eks:"+key] = []string{boolText(*value)}
	}
}

func (c setting) presence(key string, there bool) {
	if there {
		c["eks:"+key] = []string{"true"}
	}
}

func (c setting) endpoint(v *vpcConfigRequest) {
	if v == nil {
		return
	}
	c.flag("endpointPublicAccess", v.EndpointPublicAccess)
	c.flag("endpointPrivateAccess", v.EndpointPrivateAccess)
	c.text("controlPlaneEgressMode", v.ControlPlaneEgressMode)
}

func (c setting) autoMode(r autoModeRequest) {
	if r.compute != nil {
		c.flag("computeConfigEnabled", r.compute.Enabled)
	}
	if r.storage != nil && r.storage.BlockStorage != nil {
		c.flag("blockStorageEnabled", r.storage.BlockStorage.Enabled)
	}
	if r.network != nil && r.network.ElasticLoadBalancing != nil {
		c.flag("elasticLoadBalancingEnabled", r.network.ElasticLoadBalancing.Enabled)
	}
}

func (c setting) parts(p components) {
	c.presence("kubeApiServerConfig", p.APIServer != nil)
	c.presence("kubeControllerManagerConfig", p.ControllerManager != nil)
	c.presence("kubeSchedulerConfig", p.Scheduler != nil)
}

func (c setting) logs(l *logging) {
	if l == nil {
		return
	}
	for _, setup := range l.ClusterLogging {
		for _, t := range setup.Types {
			c.text("loggingType/"+t, boolText(setup.Enabled))
		}
	}
}

func (c setting) common(policy *upgradePolicy, shift *enabledSetting, tier *scalingTier) {
	if policy != nil {
		c.text("supportType", policy.SupportType)
	}
	if shift != nil {
		c.flag("zonalShiftEnabled", &shift.Enabled)
	}
	if tier != nil {
		c.text("controlPlaneScalingTier", tier.Tier)
	}
}

func (s *Service) needCreateCluster(_ *wire.Call, in *createClusterIn) []wire.Need {
	extra := setting(keyContext(in.EncryptionConfig))
	if a := in.AccessConfig; a != nil {
		extra.text("authenticationMode", a.AuthenticationMode)
		extra.flag("bootstrapClusterCreatorAdminPermissions", a.BootstrapClusterCreatorAdminPermissions)
	}
	extra.text("kubernetesVersion", in.Version)
	extra.flag("bootstrapSelfManagedAddons", in.BootstrapSelfManagedAddons)
	extra.presence("deletionProtection", in.DeletionProtection)
	extra.endpoint(&in.ResourcesVPCConfig)
	extra.autoMode(autoModeRequest{in.ComputeConfig, in.StorageConfig, in.KubernetesNetworkConfig})
	extra.parts(in.components)
	extra.logs(in.Logging)
	extra.common(in.UpgradePolicy, in.ZonalShiftConfig, in.ScalingConfig)
	arn := s.clusterARN(in.Name)
	needs := append(s.create("CreateCluster", arn, arn, in.Tags, extra), passRole(in.RoleARN))
	if in.ComputeConfig != nil && in.ComputeConfig.NodeRoleARN != "" {
		needs = append(needs, passRole(in.ComputeConfig.NodeRoleARN))
	}
	return append(needs, keyNeeds(in.EncryptionConfig)...)
}

func (s *Service) needUpdateClusterConfig(_ *wire.Call, in *updateConfigIn) []wire.Need {
	extra := setting{}
	if in.AccessConfig != nil {
		extra.text("authenticationMode", in.AccessConfig.AuthenticationMode)
	}
	extra.flag("deletionProtection", in.DeletionProtection)
	extra.endpoint(in.ResourcesVPCConfig)
	extra.autoMode(autoModeRequest{in.ComputeConfig, in.StorageConfig, in.KubernetesNetworkConfig})
	extra.parts(in.components)
	extra.logs(in.Logging)
	extra.common(in.UpgradePolicy, in.ZonalShiftConfig, in.ScalingConfig)
	needs := []wire.Need{s.need("UpdateClusterConfig", s.clusterARN(in.Name), extra)}
	if in.ComputeConfig != nil && in.ComputeConfig.NodeRoleARN != "" {
		needs = append(needs, passRole(in.ComputeConfig.NodeRoleARN))
	}
	return needs
}

func (s *Service) needUpdateClusterVersion(_ *wire.Call, in *updateVersionIn) []wire.Need {
	return []wire.Need{s.need("UpdateClusterVersion", s.clusterARN(in.Name), map[string][]string{"eks:kubernetesVersion": {in.Version}})}
}

// identityARN is the real one where the configuration exists.
func (s *Service) identityARN(cluster, name string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.clusters[cluster]; c != nil && c.idp != nil && c.idp.config.Name == name {
		return c.idp.arn
	}
	return s.w.ARN("eks", "identityproviderconfig/"+cluster+"/oidc/"+name+"/*")
}

func (s *Service) needAssociateIdentity(_ *wire.Call, in *associateIdentityIn) []wire.Need {
	extra := setting{}
	extra.text("clientId", in.OIDC.ClientID)
	extra.text("issuerUrl", in.OIDC.IssuerURL)
	return s.create("AssociateIdentityProviderConfig", s.clusterARN(in.Name), s.identityARN(in.Name, in.OIDC.Name), in.Tags, extra)
}

func (s *Service) needDisassociateIdentity(_ *wire.Call, in *disassociateIdentityIn) []wire.Need {
	return []wire.Need{s.need("DisassociateIdentityProviderConfig", s.identityARN(in.Name, in.Config.Name), nil)}
}

func (s *Service) needDescribeIdentity(_ *wire.Call, in *describeIdentityIn) []wire.Need {
	return []wire.Need{s.need("DescribeIdentityProviderConfig", s.identityARN(in.Name, in.Config.Name), nil)}
}

// capabilityARN is the real one where the capability exists.
func (s *Service) capabilityARN(cluster, name string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.clusters[cluster]; c != nil && c.capabilities[name] != nil {
		return c.capabilities[name].arn
	}
	return s.w.ARN("eks", "capability/"+cluster+"/*/"+name+"/*")
}

func (s *Service) needCreateCapability(_ *wire.Call, in *createCapabilityIn) []wire.Need {
	needs := s.create("CreateCapability", s.clusterARN(in.ClusterName), s.capabilityARN(in.ClusterName, in.CapabilityName), in.Tags, nil)
	return append(needs, passCapabilityRole(in.RoleARN))
}

func passCapabilityRole(role string) wire.Need {
	n := passRole(role)
	n.Context = maps.Clone(n.Context)
	n.Context["iam:PassedToService"] = []string{capabilityPrincipal}
	return n
}

func (s *Service) needCapability(action string) func(*wire.Call, *capabilityName) []wire.Need {
	return func(_ *wire.Call, in *capabilityName) []wire.Need {
		return []wire.Need{s.need(action, s.capabilityARN(in.ClusterName, in.CapabilityName), nil)}
	}
}

func (s *Service) needUpdateCapability(_ *wire.Call, in *updateCapabilityIn) []wire.Need {
	needs := []wire.Need{s.need("UpdateCapability", s.capabilityARN(in.ClusterName, in.CapabilityName), nil)}
	if in.RoleARN != "" {
		needs = append(needs, passCapabilityRole(in.RoleARN))
	}
	return needs
}
