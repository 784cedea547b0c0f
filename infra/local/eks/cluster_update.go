package eks

import (
	"context"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/wire"
)

type updateConfigIn struct {
	Name                    string               `json:"-" path:"name"`
	ResourcesVPCConfig      *vpcConfigRequest    `json:"resourcesVpcConfig"`
	Logging                 *logging             `json:"logging"`
	AccessConfig            *accessConfigRequest `json:"accessConfig"`
	UpgradePolicy           *upgradePolicy       `json:"upgradePolicy"`
	ZonalShiftConfig        *enabledSetting      `json:"zonalShiftConfig"`
	DeletionProtection      *bool                `json:"deletionProtection"`
	ClientRequestToken      string               `json:"clientRequestToken"`
	KubernetesNetworkConfig *networkConfig       `json:"kubernetesNetworkConfig"`
	RemoteNetworkConfig     *remoteNetworks      `json:"remoteNetworkConfig"`
	ComputeConfig           *computeConfig       `json:"computeConfig"`
	StorageConfig           *storageConfig       `json:"storageConfig"`
	ScalingConfig           *scalingTier         `json:"controlPlaneScalingConfig"`
	components
}

type updateVersionIn struct {
	Name               string          `json:"-" path:"name"`
	Version            string          `json:"version"`
	ClientRequestToken string          `json:"clientRequestToken"`
	Force              bool            `json:"force"`
	RollbackConfig     *rollbackConfig `json:"rollbackConfig"`
}

// change is one kind of configuration update: how it is recorded and what it does when its time has come.
type change struct {
	kind    string
	params  []updateParam
	rolling bool                        // the control plane is replaced for it, which takes as long as a version update
	try     func(*cluster) *updateError // what can fail, before apply
	apply   func(*cluster)
}

func (s *Service) updateClusterConfig(_ context.Context, _ *wire.Call, in *updateConfigIn) (*updateOut, error) {
	req := request{"UpdateClusterConfig", in.ClientRequestToken, fingerprint(in)}
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.clusters[in.Name]
	if c == nil {
		return nil, noCluster(in.Name)
	}
	if u, err := c.repeated(req); u != nil || err != nil {
		return viewOr(u, err)
	}
	ch, err := s.configChange(c, in)
	if err != nil {
		return nil, err
	}
	if err := s.free(c, ch.kind); err != nil {
		return nil, err
	}
	return s.run(c, req, ch), nil
}

// run starts an update of the cluster. The caller holds s.mu and has seen that the cluster is free.
func (s *Service) run(c *cluster, req request, ch change) *updateOut {
	u := s.begin(c, &update{kind: ch.kind, params: ch.params, request: req})
	s.showUpdating(c, u)
	took := s.w.Profile.ConfigUpdate
	if ch.rolling {
		took = s.w.Profile.ClusterUpdate
	}
	s.w.Go(func(context.Context) {
		if !sleep(c.ctx, took) {
			return
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		c.settle()
		if ch.try != nil {
			if err := ch.try(c); err != nil {
				s.end(u, *err)
				return
			}
		}
		ch.apply(c)
		s.end(u)
	})
	return u.view()
}

func viewOr(u *update, err error) (*updateOut, error) {
	if err != nil {
		return nil, err
	}
	return u.view(), nil
}

// showUpdating lets the cluster's status follow the update only after a while: for a moment DescribeCluster still says
// ACTIVE, which is why customers must track the update and not the status. The caller holds s.mu.
func (s *Service) showUpdating(c *cluster, u *update) {
	s.w.After(s.w.Profile.Settle, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if u.status == inProgress && c.status == active {
			c.status = updating
			s.touch()
		}
	})
}

func (c *cluster) settle() {
	if c.status == updating {
		c.status = active
	}
}

// enableAPI makes access entries count. Those that EKS owes by itself, for the creator and for the node roles of managed
// groups, come into being now.
func (s *Service) enableAPI(c *cluster, mode string) {
	first := c.access.AuthenticationMode == modeConfigMap
	c.access.AuthenticationMode = mode
	if !first {
		return
	}
	if *c.access.BootstrapClusterCreatorAdminPermissions && c.entries[c.creator] == nil {
		s.addAdmin(c, c.creator)
	}
	for role, kind := range c.configMapRoles {
		s.nodeRoleEntry(c, role, kind)
	}
}

func (s *Service) updateClusterVersion(_ context.Context, _ *wire.Call, in *updateVersionIn) (*updateOut, error) {
	req := request{"UpdateClusterVersion", in.ClientRequestToken, fingerprint(in)}
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.clusters[in.Name]
	if c == nil {
		return nil, noCluster(in.Name)
	}
	if u, err := c.repeated(req); u != nil || err != nil {
		return viewOr(u, err)
	}
	from, to := minor(c.version), minor(in.Version)
	if to == from-1 {
		if err := in.RollbackConfig.check(c.name); err != nil {
			return nil, err
		}
		return s.rollBack(c, req, in)
	}
	if in.RollbackConfig != nil {
		return nil, invalidParameter(c.name, "rollbackConfig can be specified for a version rollback only")
	}
	if to != from+1 {
		return nil, invalidParameter(c.name, "Unsupported Kubernetes minor version update from %s to %s", c.version, in.Version)
	}
	if !supportedVersion(in.Version) {
		return nil, invalidParameter(c.name, "unsupported Kubernetes version %s", in.Version)
	}
	if err := s.free(c, "VersionUpdate"); err != nil {
		return nil, err
	}
	if old := s.tooOld(c, to); len(old) > 0 {
		return nil, invalidRequest(c.name, "Nodegroups %s must be updated to match cluster version %s before updating cluster version", strings.Join(old, ", "), c.version)
	}
	if err := s.checkControlPlaneAddresses(c); err != nil {
		return nil, err
	}
	if err := s.passGate(c, upgradeReadiness, in.Version, in.Force); err != nil {
		return nil, err
	}
	u := s.begin(c, &update{kind: "VersionUpdate", request: req,
		params: []updateParam{{"Version", in.Version}, {"PlatformVersion", platformVersion(1)}}})
	s.showUpdating(c, u)
	s.w.Go(func(context.Context) { s.upgrade(c, u, in.Version) })
	return u.view(), nil
}

// checkControlPlaneAddresses refuses a new version for which there are too few addresses: the new instances of the control plane
// come before the old ones go. The caller holds s.mu.
func (s *Service) checkControlPlaneAddresses(c *cluster) error {
	zones := 2
	if c.outpost != nil {
		zones = 1
	}
	return s.checkFree(c.name, c.vpc.SubnetIDs, zones)
}

// tooOld names the node groups whose kubelets a control plane of that minor would not accept. The caller holds s.mu.
func (s *Service) tooOld(c *cluster, target int) []string {
	allowed := 3
	if s.opt.StrictSkew {
		allowed = 1
	}
	var names []string
	for _, name := range sortedKeys(c.nodegroups) {
		if target-minor(c.nodegroups[name].version) > allowed {
			names = append(names, name)
		}
	}
	return names
}

// upgrade restarts the control plane at the next minor, or at the one before. EKS replaces it instance by instance and takes minutes; here the
// API is gone for the seconds that the restart takes, at the end of the profile's time.
func (s *Service) upgrade(c *cluster, u *update, version string) {
	if !sleep(c.ctx, s.w.Profile.ClusterUpdate) {
		return
	}
	// A control plane that has died is being replaced: EKS, too, upgrades only what is healthy.
	if !s.await(c.ctx, time.Hour, func() bool { return len(c.issues) == 0 }) {
		return
	}
	s.mu.Lock()
	plane := c.plane
	if how, ok := s.trip(c.name, "", "", isUpdateError); ok {
		// The new instances did not become healthy: EKS goes back to the old ones, which have served all along.
		c.settle()
		s.end(u, ordered(how, c.name))
		s.mu.Unlock()
		return
	}
	s.mu.Unlock()
	s.collectDeprecated(c, plane) // what the process has counted ends with it
	err := plane.Upgrade(c.ctx, version)
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.ctx.Err() != nil {
		return
	}
	c.settle()
	if err != nil {
		// EKS goes back to the version before by itself when an update fails.
		s.end(u, updateError{ErrorCode: "Unknown", ErrorMessage: err.Error(), ResourceIDs: []string{c.name}})
		return
	}
	// The new control plane instances come with new network interfaces.
	if err := s.reattach(c, c.vpc); err != nil {
		s.w.Log.Warn("eks: the network interfaces from before the upgrade stay", "cluster", c.name, "error", err.ErrorMessage)
	}
	c.afterVersion(u, version)
	s.end(u)
	s.refreshInsights(c)
}
