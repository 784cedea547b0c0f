package eks

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/wire"
)

type updateConfigIn struct {
	Name               string               `json:"-" path:"name"`
	ResourcesVPCConfig *vpcConfigRequest    `json:"resourcesVpcConfig"`
	Logging            *logging             `json:"logging"`
	AccessConfig       *accessConfigRequest `json:"accessConfig"`
	UpgradePolicy      *upgradePolicy       `json:"upgradePolicy"`
	ZonalShiftConfig   *enabledSetting      `json:"zonalShiftConfig"`
	DeletionProtection *bool                `json:"deletionProtection"`
	ClientRequestToken string               `json:"clientRequestToken"`
	beyond
	KubernetesNetworkConfig json.RawMessage `json:"kubernetesNetworkConfig"`
}

type updateVersionIn struct {
	Name               string          `json:"-" path:"name"`
	Version            string          `json:"version"`
	ClientRequestToken string          `json:"clientRequestToken"`
	Force              bool            `json:"force"`
	RollbackConfig     json.RawMessage `json:"rollbackConfig"`
}

// change is one kind of configuration update: how it is recorded and what it does when its time has come.
type change struct {
	kind   string
	params []updateParam
	apply  func(*cluster)
}

func (s *Service) updateClusterConfig(_ context.Context, _ *wire.Call, in *updateConfigIn) (*updateOut, error) {
	if err := in.beyond.check(); err != nil {
		return nil, err
	}
	if present(in.KubernetesNetworkConfig) {
		return nil, unsupported("a change of kubernetesNetworkConfig (EKS Auto Mode)")
	}
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
	u := s.begin(c, &update{kind: ch.kind, params: ch.params, request: req})
	s.showUpdating(c, u)
	s.w.Go(func(context.Context) {
		if !sleep(c.ctx, s.w.Profile.ConfigUpdate) {
			return
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		ch.apply(c)
		c.settle()
		s.end(u)
	})
	return u.view(), nil
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

// configChange finds the one kind of change that is asked for.
func (s *Service) configChange(c *cluster, in *updateConfigIn) (change, error) {
	var all []change
	if v := in.ResourcesVPCConfig; v != nil {
		ch, err := s.vpcChange(c, *v)
		if err != nil {
			return change{}, err
		}
		all = append(all, ch...)
	}
	if in.Logging != nil {
		next := setLogs(c.logging, in.Logging)
		if fingerprint(next) == fingerprint(c.logging) {
			return change{}, invalidParameter(c.name, "No changes needed for the logging config provided")
		}
		all = append(all, change{"LoggingUpdate", []updateParam{{"ClusterLogging", fingerprint(in.Logging)}}, func(c *cluster) { c.logging = next }})
	}
	if a := in.AccessConfig; a != nil {
		if a.BootstrapClusterCreatorAdminPermissions != nil {
			return change{}, invalidParameter(c.name, "bootstrapClusterCreatorAdminPermissions can be set at cluster creation only")
		}
		order := []string{modeConfigMap, modeBoth, modeAPI}
		from, to := slices.Index(order, c.access.AuthenticationMode), slices.Index(order, a.AuthenticationMode)
		if to != from+1 {
			return change{}, invalidParameter(c.name, "Unsupported authentication mode update from %s to %s", c.access.AuthenticationMode, a.AuthenticationMode)
		}
		all = append(all, change{"AccessConfigUpdate", []updateParam{{"AuthenticationMode", fmt.Sprintf("%q", a.AuthenticationMode)}}, func(c *cluster) { s.enableAPI(c, a.AuthenticationMode) }})
	}
	if p := in.UpgradePolicy; p != nil {
		if p.SupportType != "STANDARD" && p.SupportType != "EXTENDED" {
			return change{}, invalidParameter(c.name, "supportType must be one of STANDARD, EXTENDED")
		}
		all = append(all, change{"UpgradePolicyUpdate", []updateParam{{"UpgradePolicy", fingerprint(p)}}, func(c *cluster) { c.upgradePolicy = *p }})
	}
	if z := in.ZonalShiftConfig; z != nil {
		all = append(all, change{"ZonalShiftConfigUpdate", []updateParam{{"ZonalShiftConfig", fingerprint(z)}}, func(c *cluster) { c.zonalShift = z }})
	}
	if d := in.DeletionProtection; d != nil {
		all = append(all, change{"DeletionProtectionUpdate", []updateParam{{"DeletionProtection", fmt.Sprint(*d)}}, func(c *cluster) { c.protected = *d }})
	}
	switch len(all) {
	case 0:
		return change{}, invalidParameter(c.name, "No changes needed for the cluster config provided")
	case 1:
		return all[0], nil
	}
	return change{}, invalidParameter(c.name, "Only one type of update can be allowed.")
}

func (s *Service) vpcChange(c *cluster, v vpcConfigRequest) ([]change, error) {
	var all []change
	if v.EndpointPublicAccess != nil || v.EndpointPrivateAccess != nil || v.PublicAccessCIDRs != nil {
		next := c.vpc
		next.setEndpoint(v)
		if !next.EndpointPublicAccess && !next.EndpointPrivateAccess {
			return nil, invalidParameter(c.name, "Private and public endpoint access cannot be false")
		}
		if fingerprint(next) == fingerprint(c.vpc) {
			return nil, invalidParameter(c.name, "Cluster is already at the desired configuration with endpointPrivateAccess: %t , endpointPublicAccess: %t, and Public Endpoint Restrictions: [%s]",
				next.EndpointPrivateAccess, next.EndpointPublicAccess, strings.Join(next.PublicAccessCIDRs, ", "))
		}
		all = append(all, change{"EndpointAccessUpdate", []updateParam{
			{"EndpointPublicAccess", fmt.Sprint(next.EndpointPublicAccess)}, {"EndpointPrivateAccess", fmt.Sprint(next.EndpointPrivateAccess)},
			{"PublicAccessCidrs", fingerprint(next.PublicAccessCIDRs)},
		}, func(c *cluster) { c.vpc.setEndpoint(v) }})
	}
	if v.SubnetIDs != nil || v.SecurityGroupIDs != nil {
		var params []updateParam
		if v.SubnetIDs != nil {
			vpc, err := s.checkNetwork(&createClusterIn{Name: c.name, ResourcesVPCConfig: v})
			if err != nil {
				return nil, err
			}
			if vpc != c.vpc.VPCID {
				return nil, invalidParameter(c.name, "Provided subnets belong to a different VPC than the cluster's: %s", vpc)
			}
			params = append(params, updateParam{"Subnets", fingerprint(v.SubnetIDs)})
		}
		if v.SecurityGroupIDs != nil {
			params = append(params, updateParam{"SecurityGroups", fingerprint(v.SecurityGroupIDs)})
		}
		all = append(all, change{"VpcConfigUpdate", params, func(c *cluster) {
			if v.SubnetIDs != nil {
				c.vpc.SubnetIDs = v.SubnetIDs
			}
			if v.SecurityGroupIDs != nil {
				c.vpc.SecurityGroupIDs = v.SecurityGroupIDs
			}
		}})
	}
	return all, nil
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
	for role := range c.configMapRoles {
		s.nodeRoleEntry(c, role)
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
	if to == from-1 && !c.upgraded.IsZero() && time.Since(c.upgraded) < 7*24*time.Hour {
		return nil, unsupported("version rollback (UpdateClusterVersion from %s to %s within seven days)", c.version, in.Version)
	}
	if present(in.RollbackConfig) {
		return nil, unsupported("rollbackConfig")
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
	u := s.begin(c, &update{kind: "VersionUpdate", request: req,
		params: []updateParam{{"Version", in.Version}, {"PlatformVersion", platformVersion(1)}}})
	s.showUpdating(c, u)
	s.w.Go(func(context.Context) { s.upgrade(c, u, in.Version) })
	return u.view(), nil
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

// upgrade restarts the control plane at the next minor. EKS replaces it instance by instance and takes minutes; here the
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
	s.mu.Unlock()
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
	c.version, c.platform, c.upgraded = version, 1, time.Now()
	s.end(u)
}
