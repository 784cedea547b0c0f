package eks

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// noUpdateType is EKS's answer to an update that changes nothing it knows of.
func noUpdateType(cluster string) error {
	return invalidParameter(cluster, "The type for cluster update was not provided.")
}

// configChange finds the one kind of change that is asked for. The caller holds s.mu.
func (s *Service) configChange(c *cluster, in *updateConfigIn) (change, error) {
	kinds := []struct {
		asked  bool
		change func(*cluster, *updateConfigIn) (change, error)
	}{
		{in.ResourcesVPCConfig.touchesEndpoint(), s.endpointChange},
		{in.ResourcesVPCConfig.touchesNetwork(), s.vpcChange},
		{in.ResourcesVPCConfig != nil && in.ResourcesVPCConfig.ControlPlaneEgressMode != "", s.egressChange},
		{in.Logging != nil, s.loggingChange},
		{in.AccessConfig != nil, s.accessChange},
		{in.UpgradePolicy != nil, s.policyChange},
		{in.ZonalShiftConfig != nil, s.zonalShiftChange},
		{in.DeletionProtection != nil, s.protectionChange},
		{autoModeRequest{in.ComputeConfig, in.StorageConfig, in.KubernetesNetworkConfig}.asked() || in.KubernetesNetworkConfig != nil, s.autoModeChange},
		{in.RemoteNetworkConfig != nil, s.remoteChange},
		{in.ScalingConfig != nil, s.tierChange},
		{in.components.any(), s.componentChange},
	}
	var found func(*cluster, *updateConfigIn) (change, error)
	for _, k := range kinds {
		switch {
		case !k.asked:
		case found != nil:
			return change{}, invalidParameter(c.name, "Only one type of update can be allowed.")
		default:
			found = k.change
		}
	}
	if found == nil {
		return change{}, noUpdateType(c.name)
	}
	return found(c, in)
}

func (v *vpcConfigRequest) touchesEndpoint() bool {
	return v != nil && (v.EndpointPublicAccess != nil || v.EndpointPrivateAccess != nil || v.PublicAccessCIDRs != nil)
}

func (v *vpcConfigRequest) touchesNetwork() bool {
	return v != nil && (v.SubnetIDs != nil || v.SecurityGroupIDs != nil)
}

func (s *Service) endpointChange(c *cluster, in *updateConfigIn) (change, error) {
	next := c.vpc
	next.setEndpoint(*in.ResourcesVPCConfig)
	if err := checkEndpoint(c.name, next, c.network.IPFamily); err != nil {
		return change{}, err
	}
	if next.EndpointPublicAccess == c.vpc.EndpointPublicAccess && next.EndpointPrivateAccess == c.vpc.EndpointPrivateAccess && sameSet(next.PublicAccessCIDRs, c.vpc.PublicAccessCIDRs) {
		return change{}, invalidParameter(c.name, "Cluster is already at the desired configuration with endpointPrivateAccess: %t , endpointPublicAccess: %t, and Public Endpoint Restrictions: [%s]",
			next.EndpointPrivateAccess, next.EndpointPublicAccess, strings.Join(next.PublicAccessCIDRs, ", "))
	}
	return change{kind: "EndpointAccessUpdate", params: []updateParam{
		{"EndpointPublicAccess", fmt.Sprint(next.EndpointPublicAccess)}, {"EndpointPrivateAccess", fmt.Sprint(next.EndpointPrivateAccess)},
		{"PublicAccessCidrs", fingerprint(next.PublicAccessCIDRs)},
	}, apply: func(c *cluster) { c.vpc.setEndpoint(*in.ResourcesVPCConfig) }}, nil
}

func (s *Service) vpcChange(c *cluster, in *updateConfigIn) (change, error) {
	v, next := in.ResourcesVPCConfig, c.vpc
	var params []updateParam
	if v.SubnetIDs != nil {
		vpc, err := s.checkControlPlaneSubnets(c.name, v.SubnetIDs, c.outpost != nil)
		if err != nil {
			return change{}, err
		}
		if vpc != c.vpc.VPCID {
			return change{}, invalidParameter(c.name, "Provided subnets belong to a different VPC than the cluster's: %s", vpc)
		}
		if err := s.checkDual(c.name, c.network.IPFamily, v.SubnetIDs); err != nil {
			return change{}, err
		}
		next.SubnetIDs = v.SubnetIDs
		params = append(params, updateParam{"Subnets", fingerprint(v.SubnetIDs)})
	}
	if v.SecurityGroupIDs != nil {
		if err := s.checkSecurityGroups(c.name, v.SecurityGroupIDs, c.vpc.VPCID); err != nil {
			return change{}, err
		}
		next.SecurityGroupIDs = v.SecurityGroupIDs
		params = append(params, updateParam{"SecurityGroups", fingerprint(v.SecurityGroupIDs)})
	}
	if sameSet(next.SubnetIDs, c.vpc.SubnetIDs) && sameSet(next.SecurityGroupIDs, c.vpc.SecurityGroupIDs) {
		// The words are not public.
		return change{}, invalidParameter(c.name, "No changes needed for the VPC config provided")
	}
	return change{
		kind: "VpcConfigUpdate", params: params,
		try: func(c *cluster) *updateError { return s.reattach(c, next) },
		apply: func(c *cluster) {
			c.vpc.SubnetIDs, c.vpc.SecurityGroupIDs = next.SubnetIDs, next.SecurityGroupIDs
		},
	}, nil
}

// egressChange is the way out of AWS's hands, on which there is no return. The words are not public.
func (s *Service) egressChange(c *cluster, in *updateConfigIn) (change, error) {
	from, to := c.vpc.ControlPlaneEgressMode, in.ResourcesVPCConfig.ControlPlaneEgressMode
	switch {
	case !slices.Contains(egressModes, to):
		return change{}, invalidParameter(c.name, "controlPlaneEgressMode must be one of AWS_MANAGED, CUSTOMER_ROUTED, CUSTOMER_ISOLATED")
	case from == to:
		return change{}, invalidParameter(c.name, "Cluster is already at the desired configuration with controlPlaneEgressMode: %s", to)
	case to == egressManaged:
		return change{}, invalidParameter(c.name, "Unsupported control plane egress mode update from %s to %s", from, to)
	}
	return change{kind: "ControlPlaneEgressUpdate", params: []updateParam{{"ControlPlaneEgressMode", to}}, rolling: true,
		apply: func(c *cluster) { c.vpc.ControlPlaneEgressMode = to }}, nil
}

func (s *Service) loggingChange(c *cluster, in *updateConfigIn) (change, error) {
	if err := checkLogs(c.name, in.Logging); err != nil {
		return change{}, err
	}
	next := setLogs(c.logging, in.Logging)
	if fingerprint(next) == fingerprint(c.logging) {
		return change{}, invalidParameter(c.name, "No changes needed for the logging config provided")
	}
	return change{kind: "LoggingUpdate", params: []updateParam{{"ClusterLogging", fingerprint(in.Logging)}},
		apply: func(c *cluster) {
			c.logging = next
			s.ensureLogGroup(c)
		}}, nil
}

func (s *Service) accessChange(c *cluster, in *updateConfigIn) (change, error) {
	a := in.AccessConfig
	if a.BootstrapClusterCreatorAdminPermissions != nil {
		return change{}, invalidParameter(c.name, "bootstrapClusterCreatorAdminPermissions can be set at cluster creation only")
	}
	if c.outpost != nil {
		return change{}, onOutpost(c.name, "authenticationMode "+a.AuthenticationMode)
	}
	from, to := slices.Index(modes, c.access.AuthenticationMode), slices.Index(modes, a.AuthenticationMode)
	if to != from+1 {
		return change{}, invalidParameter(c.name, "Unsupported authentication mode update from %s to %s", c.access.AuthenticationMode, a.AuthenticationMode)
	}
	return change{kind: "AccessConfigUpdate", params: []updateParam{{"AuthenticationMode", fmt.Sprintf("%q", a.AuthenticationMode)}},
		apply: func(c *cluster) { s.enableAPI(c, a.AuthenticationMode) }}, nil
}

// policyChange is the support that the customer pays for. Extended support that has begun cannot be switched off; the
// words of that refusal are not public.
func (s *Service) policyChange(c *cluster, in *updateConfigIn) (change, error) {
	p := in.UpgradePolicy
	if err := checkPolicy(c.name, p); err != nil {
		return change{}, err
	}
	if r, ok := findRelease(c.version); ok && p.SupportType == "STANDARD" && time.Now().After(day(r.standardEnd)) {
		return change{}, invalidRequest(c.name, "Cannot disable extended support for cluster %s: Kubernetes version %s is in extended support", c.name, c.version)
	}
	return change{kind: "UpgradePolicyUpdate", params: []updateParam{{"UpgradePolicy", fingerprint(p)}},
		apply: func(c *cluster) { c.upgradePolicy = *p }}, nil
}

func (s *Service) zonalShiftChange(_ *cluster, in *updateConfigIn) (change, error) {
	return change{kind: "ZonalShiftConfigUpdate", params: []updateParam{{"ZonalShiftConfig", fingerprint(in.ZonalShiftConfig)}},
		apply: func(c *cluster) { c.zonalShift = in.ZonalShiftConfig }}, nil
}

func (s *Service) protectionChange(_ *cluster, in *updateConfigIn) (change, error) {
	return change{kind: "DeletionProtectionUpdate", params: []updateParam{{"DeletionProtection", fmt.Sprint(*in.DeletionProtection)}},
		apply: func(c *cluster) { c.protected = *in.DeletionProtection }}, nil
}

// remoteChange sets both lists of networks anew: two empty ones end the cluster's time as a hybrid one.
func (s *Service) remoteChange(c *cluster, in *updateConfigIn) (change, error) {
	next := in.RemoteNetworkConfig
	if c.outpost != nil {
		return change{}, onOutpost(c.name, "remoteNetworkConfig")
	}
	if err := s.checkRemote(c.name, next, c.network, c.access.AuthenticationMode, c.vpc.VPCID); err != nil {
		return change{}, err
	}
	if next.empty() {
		next = nil
	}
	return change{kind: "RemoteNetworkConfigUpdate", params: []updateParam{{"RemoteNetworkConfig", fingerprint(in.RemoteNetworkConfig)}},
		apply: func(c *cluster) { c.remote = next }}, nil
}

func (s *Service) tierChange(c *cluster, in *updateConfigIn) (change, error) {
	to := in.ScalingConfig.Tier
	if err := checkTier(c.name, in.ScalingConfig); err != nil {
		return change{}, err
	}
	if c.outpost != nil {
		return change{}, onOutpost(c.name, "controlPlaneScalingConfig")
	}
	if to == c.tier {
		return change{}, invalidParameter(c.name, "Cluster is already at the desired configuration with tier: %s", to) // the words are not public
	}
	if err := c.parts.check(c.name, c.version, to); err != nil {
		return change{}, err
	}
	return change{kind: "ControlPlaneScalingConfigUpdate", params: []updateParam{{"PreviousTier", c.tier}, {"UpdatedTier", to}}, rolling: true,
		apply: func(c *cluster) { c.tier = to }}, nil
}

func (s *Service) componentChange(c *cluster, in *updateConfigIn) (change, error) {
	next := c.parts.with(in.components)
	if err := next.check(c.name, c.version, c.tier); err != nil {
		return change{}, err
	}
	if fingerprint(next) == fingerprint(c.parts) {
		return change{}, invalidParameter(c.name, "No changes needed for the control plane component config provided") // the words are not public
	}
	var params []updateParam
	if in.APIServer != nil {
		params = append(params, updateParam{"KubeApiServerConfig", fingerprint(in.APIServer)})
	}
	if in.ControllerManager != nil {
		params = append(params, updateParam{"KubeControllerManagerConfig", fingerprint(in.ControllerManager)})
	}
	if in.Scheduler != nil {
		params = append(params, updateParam{"KubeSchedulerConfig", fingerprint(in.Scheduler)})
	}
	return change{kind: "ControlPlaneComponentConfigUpdate", params: params, rolling: true, apply: func(c *cluster) { c.parts = next }}, nil
}
