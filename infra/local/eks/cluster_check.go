package eks

import "slices"

const standardTier = "standard"

var tiers = []string{standardTier, "tier-xl", "tier-2xl", "tier-4xl", "tier-8xl"}

// checked is what CreateCluster finds out about a request on its way: the parts of the cluster that depend on others.
type checked struct {
	vpc     string
	network networkConfig
	auto    autoMode
	parts   components
	tier    string
}

// check is about the request alone.
func (in *createClusterIn) check() error {
	if !nameForm.MatchString(in.Name) || len(in.Name) > 100 {
		return invalidParameter(in.Name, "The name '%s' is not a valid cluster name: it must match ^[0-9A-Za-z][A-Za-z0-9\\-_]* and have at most 100 characters", in.Name)
	}
	if in.Version == "" {
		in.Version = defaultVersion
	}
	if !supportedVersion(in.Version) {
		return invalidParameter(in.Name, "unsupported Kubernetes version %s", in.Version)
	}
	if a := in.AccessConfig; a != nil && a.AuthenticationMode != "" && !slices.Contains(modes, a.AuthenticationMode) {
		return invalidParameter(in.Name, "authenticationMode must be one of API, API_AND_CONFIG_MAP, CONFIG_MAP")
	}
	if err := checkPolicy(in.Name, in.UpgradePolicy); err != nil {
		return err
	}
	if err := checkTier(in.Name, in.ScalingConfig); err != nil {
		return err
	}
	if m := in.ResourcesVPCConfig.ControlPlaneEgressMode; m != "" && !slices.Contains(egressModes, m) {
		return invalidParameter(in.Name, "controlPlaneEgressMode must be one of AWS_MANAGED, CUSTOMER_ROUTED, CUSTOMER_ISOLATED")
	}
	if err := checkLogs(in.Name, in.Logging); err != nil {
		return err
	}
	if err := checkTags(in.Name, in.Tags); err != nil {
		return err
	}
	return in.OutpostConfig.check(in)
}

func (in *createClusterIn) mode() string {
	if in.AccessConfig != nil && in.AccessConfig.AuthenticationMode != "" {
		return in.AccessConfig.AuthenticationMode
	}
	return modeConfigMap
}

func checkPolicy(cluster string, p *upgradePolicy) error {
	if p != nil && p.SupportType != "STANDARD" && p.SupportType != "EXTENDED" {
		return invalidParameter(cluster, "supportType must be one of STANDARD, EXTENDED")
	}
	return nil
}

func checkTier(cluster string, t *scalingTier) error {
	if t != nil && !slices.Contains(tiers, t.Tier) {
		return invalidParameter(cluster, "tier must be one of standard, tier-xl, tier-2xl, tier-4xl, tier-8xl")
	}
	return nil
}

// checkLogs refuses unknown log types, and those that are to be on and off at once.
func checkLogs(cluster string, l *logging) error {
	if l == nil {
		return nil
	}
	state := map[string]bool{}
	for _, setup := range l.ClusterLogging {
		for _, t := range setup.Types {
			if !slices.Contains(allLogs, t) {
				return invalidParameter(cluster, "Invalid log type %s. Valid types are: api, audit, authenticator, controllerManager, scheduler", t)
			}
			if on, twice := state[t]; twice && on != setup.Enabled {
				return invalidParameter(cluster, "Log type %s cannot be both enabled and disabled", t)
			}
			state[t] = setup.Enabled
		}
	}
	return nil
}

const maxTags = 50

func checkTags(cluster string, t tags) error {
	if len(t) > maxTags {
		return invalidParameter(cluster, "A resource can have at most %d tags", maxTags)
	}
	return nil
}

// checkAgainst is about the request and what is there: network, keys, roles.
func (s *Service) checkAgainst(in *createClusterIn) (checked, error) {
	var c checked
	var err error
	v := in.ResourcesVPCConfig
	if c.vpc, err = s.checkControlPlaneSubnets(in.Name, v.SubnetIDs, in.OutpostConfig != nil); err != nil {
		return c, err
	}
	if err = s.checkSecurityGroups(in.Name, v.SecurityGroupIDs, c.vpc); err != nil {
		return c, err
	}
	if c.network, err = s.serviceNetwork(in.Name, in.KubernetesNetworkConfig, c.vpc); err != nil {
		return c, err
	}
	if err = s.checkDual(in.Name, c.network.IPFamily, v.SubnetIDs); err != nil {
		return c, err
	}
	if err = checkEndpoint(in.Name, newVPCConfig(v, c.vpc, c.network.IPFamily), c.network.IPFamily); err != nil {
		return c, err
	}
	if err = s.checkEncryption(in.Name, in.EncryptionConfig); err != nil {
		return c, err
	}
	if err = s.checkRemote(in.Name, in.RemoteNetworkConfig, c.network, in.mode(), c.vpc); err != nil {
		return c, err
	}
	c.tier = standardTier
	if in.ScalingConfig != nil {
		c.tier = in.ScalingConfig.Tier
	}
	c.parts = defaultComponents().with(in.components)
	if err = c.parts.check(in.Name, in.Version, c.tier); err != nil {
		return c, err
	}
	request := autoModeRequest{in.ComputeConfig, in.StorageConfig, in.KubernetesNetworkConfig}
	if c.auto, err = s.autoModeOf(in.Name, request, in.mode()); err != nil {
		return c, err
	}
	if c.auto.on {
		switch {
		case in.OutpostConfig != nil:
			return c, onOutpost(in.Name, "EKS Auto Mode")
		case in.BootstrapSelfManagedAddons == nil || *in.BootstrapSelfManagedAddons:
			return c, invalidParameter(in.Name, "When EKS Auto Mode is enabled, bootstrapSelfManagedAddons must be set to false.")
		}
	}
	if s.opt.IAM.CheckTrust(in.RoleARN, "eks.amazonaws.com") != nil {
		return c, invalidParameter(in.Name, "Role with arn: %s, could not be assumed because it does not exist or the trusted entity is not correct", in.RoleARN)
	}
	if oldest := s.oldestPlane(); minor(in.Version) < minor(oldest) {
		return c, unsupported("control planes of Kubernetes %s: EKS offers it, but what runs here starts with %s", in.Version, oldest)
	}
	return c, nil
}

func (s *Service) oldestPlane() string {
	if s.opt.OldestPlane != "" {
		return s.opt.OldestPlane
	}
	return "1.34"
}
