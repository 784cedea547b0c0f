package eks

import (
	"cmp"
	"context"
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/wire"
)

// cluster is one EKS cluster. Everything in it is guarded by Service.mu. Slices and maps that a response shows are
// replaced, never changed in place, because the response is encoded after the lock is released.
type cluster struct {
	name, arn, id string
	created       time.Time
	version       string
	platform      int
	upgraded      time.Time // when the last version update ended; zero if none did
	upgradedFrom  string    // the minor before it; empty if there was none, or after a rollback
	rolledBack    bool      // the last version update was a rollback
	born          string    // the minor that it was created at: what EKS installed by itself stays at that
	status        string
	roleARN       string
	creator       string // principal ARN
	vpc           vpcConfig
	network       networkConfig
	logging       logging
	encryption    []encryptionConfig
	access        accessConfig
	upgradePolicy upgradePolicy
	zonalShift    *enabledSetting
	outpost       *outpostConfig
	outpostID     string
	remote        *remoteNetworks
	auto          autoMode
	tier          string // of control plane scaling
	bare          bool   // made without self-managed add-ons
	parts         components
	protected     bool
	tags          tags
	issues        []issue
	token, params string // the creating call's idempotency token and what it asked for
	updates       []*update
	trusted       []*authority // none until somebody looks
	nodegroups    map[string]*nodegroup
	entries       map[string]*entry // by principal ARN
	addons        map[string]*addon
	idp           *identityProvider
	capabilities  map[string]*capability
	interfaces    []string // the control plane's network interfaces
	children
	insights
	configMapRoles map[string]string // type of entry by node role, for those that EKS itself put into the aws-auth ConfigMap
	dir            string
	plane          ControlPlane
	ctx            context.Context // ends when the cluster is being deleted or the service closes
	cancel         context.CancelFunc
	wasReady       bool // ACTIVE has been reached once: endpoint and certificate are shown
}

// Authentication modes.
const (
	modeConfigMap = "CONFIG_MAP"
	modeBoth      = "API_AND_CONFIG_MAP"
	modeAPI       = "API"
)

var modes = []string{modeConfigMap, modeBoth, modeAPI} // in the order in which a cluster can change

// maxClusters and maxNodegroups are the Region's default quotas.
const (
	maxClusters   = 100
	maxNodegroups = 30
)

var (
	nameForm   = regexp.MustCompile(`^[0-9A-Za-z][A-Za-z0-9\-_]*$`)
	allLogs    = []string{"api", "audit", "authenticator", "controllerManager", "scheduler"}
	everywhere = []string{"0.0.0.0/0"}
)

type clusterName struct {
	Name string `json:"-" path:"name"`
}

type createClusterIn struct {
	Name                       string               `json:"name"`
	Version                    string               `json:"version"`
	RoleARN                    string               `json:"roleArn"`
	ResourcesVPCConfig         vpcConfigRequest     `json:"resourcesVpcConfig"`
	KubernetesNetworkConfig    *networkConfig       `json:"kubernetesNetworkConfig"`
	Logging                    *logging             `json:"logging"`
	ClientRequestToken         string               `json:"clientRequestToken"`
	Tags                       tags                 `json:"tags"`
	EncryptionConfig           []encryptionConfig   `json:"encryptionConfig"`
	AccessConfig               *accessConfigRequest `json:"accessConfig"`
	UpgradePolicy              *upgradePolicy       `json:"upgradePolicy"`
	ZonalShiftConfig           *enabledSetting      `json:"zonalShiftConfig"`
	DeletionProtection         bool                 `json:"deletionProtection"`
	OutpostConfig              *outpostConfig       `json:"outpostConfig"`
	RemoteNetworkConfig        *remoteNetworks      `json:"remoteNetworkConfig"`
	ComputeConfig              *computeConfig       `json:"computeConfig"`
	StorageConfig              *storageConfig       `json:"storageConfig"`
	ScalingConfig              *scalingTier         `json:"controlPlaneScalingConfig"`
	BootstrapSelfManagedAddons *bool                `json:"bootstrapSelfManagedAddons"`
	components
}

type listIn struct {
	MaxResults *int     `json:"-" param:"maxResults"`
	NextToken  string   `json:"-" param:"nextToken"`
	Include    []string `json:"-" param:"include"`
}

type listClustersOut struct {
	Clusters  []string `json:"clusters"`
	NextToken *string  `json:"nextToken,omitempty"`
}

func (s *Service) clusterOps() []wire.Op {
	return []wire.Op{
		wire.Handle("CreateCluster", s.needCreateCluster, s.createCluster).REST("POST", "/clusters"),
		wire.Handle("DescribeCluster", needCluster("DescribeCluster", s), s.describeCluster).REST("GET", "/clusters/{name}"),
		wire.Handle("ListClusters", wire.On[listIn]("eks:ListClusters", "*"), s.listClusters).REST("GET", "/clusters"),
		wire.Handle("DeleteCluster", needCluster("DeleteCluster", s), s.deleteCluster).REST("DELETE", "/clusters/{name}"),
		wire.Handle("UpdateClusterConfig", s.needUpdateClusterConfig, s.updateClusterConfig).REST("POST", "/clusters/{name}/update-config"),
		wire.Handle("UpdateClusterVersion", s.needUpdateClusterVersion, s.updateClusterVersion).REST("POST", "/clusters/{name}/updates"),
		wire.Handle("CancelUpdate", s.needCancelUpdate, s.cancelUpdate).REST("POST", "/clusters/{name}/updates/{updateId}/cancel-update"),
	}
}

func (s *Service) createCluster(_ context.Context, call *wire.Call, in *createClusterIn) (*clusterOut, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	params := fingerprint(in)
	s.mu.Lock()
	defer s.mu.Unlock()
	if old := s.clusters[in.Name]; old != nil {
		if in.ClientRequestToken == "" || in.ClientRequestToken != old.token {
			return nil, inUse(in.Name, "Cluster already exists with name: %s", in.Name)
		}
		if params != old.params {
			return nil, tokenReused(in.Name)
		}
		return &clusterOut{old.view()}, nil
	}
	if len(s.clusters) >= maxClusters {
		return nil, limitExceeded(in.Name, "Cluster limit exceeded for account. Limit: %d", maxClusters)
	}
	found, err := s.checkAgainst(in)
	if err != nil {
		return nil, err
	}
	c := s.newCluster(call, in, found)
	c.params = params
	s.clusters[c.name] = c
	s.touch()
	s.w.Go(func(context.Context) { s.bringUp(c) })
	return &clusterOut{c.view()}, nil
}

func (s *Service) newCluster(call *wire.Call, in *createClusterIn, found checked) *cluster {
	c := &cluster{
		name: in.Name, arn: s.w.ARN("eks", "cluster/"+in.Name), id: strings.ToUpper(s.w.Hex(32)), created: time.Now(),
		version: in.Version, born: in.Version, platform: 1, status: creating, roleARN: in.RoleARN, creator: principalOf(call.Caller),
		vpc: newVPCConfig(in.ResourcesVPCConfig, found.vpc, found.network.IPFamily), network: found.network,
		encryption: in.EncryptionConfig, zonalShift: in.ZonalShiftConfig, protected: in.DeletionProtection, tags: in.Tags,
		outpost: in.OutpostConfig, tier: found.tier, parts: found.parts,
		bare:  in.BootstrapSelfManagedAddons != nil && !*in.BootstrapSelfManagedAddons,
		token: in.ClientRequestToken, nodegroups: map[string]*nodegroup{}, entries: map[string]*entry{},
		addons: map[string]*addon{}, capabilities: map[string]*capability{}, configMapRoles: map[string]string{}, dir: s.clusterDir(),
		access: accessConfig{AuthenticationMode: in.mode()}, upgradePolicy: upgradePolicy{SupportType: "EXTENDED"},
	}
	if c.tags == nil {
		c.tags = tags{}
	}
	if c.outpost != nil {
		c.outpostID = s.w.UUID()
	}
	if !in.RemoteNetworkConfig.empty() {
		c.remote = in.RemoteNetworkConfig
	}
	if in.UpgradePolicy != nil {
		c.upgradePolicy = *in.UpgradePolicy
	}
	c.logging = setLogs(logging{}, in.Logging)
	bootstrap := true
	if a := in.AccessConfig; a != nil && a.BootstrapClusterCreatorAdminPermissions != nil {
		bootstrap = *a.BootstrapClusterCreatorAdminPermissions
	}
	c.access.BootstrapClusterCreatorAdminPermissions = &bootstrap
	if bootstrap && c.access.AuthenticationMode != modeConfigMap {
		s.addAdmin(c, c.creator)
	}
	s.setAutoMode(c, found.auto)
	s.ensureLogGroup(c)
	c.ctx, c.cancel = context.WithCancel(s.w.Context())
	return c
}

// ensureLogGroup makes the group that EKS logs to, once any of the logs is on.
func (s *Service) ensureLogGroup(c *cluster) {
	if s.opt.Logs != nil && slices.ContainsFunc(c.logging.ClusterLogging, func(l logSetup) bool { return l.Enabled }) {
		s.opt.Logs.EnsureGroup("/aws/eks/" + c.name + "/cluster")
	}
}

func newVPCConfig(r vpcConfigRequest, vpc, family string) vpcConfig {
	v := vpcConfig{
		SubnetIDs: r.SubnetIDs, SecurityGroupIDs: append([]string{}, r.SecurityGroupIDs...),
		VPCID: vpc, EndpointPublicAccess: true, PublicAccessCIDRs: everywhere,
		ControlPlaneEgressMode: cmp.Or(r.ControlPlaneEgressMode, egressManaged),
	}
	if family == ipv6 {
		v.PublicAccessCIDRs = everywhere6
	}
	v.setEndpoint(r)
	return v
}

func (v *vpcConfig) setEndpoint(r vpcConfigRequest) {
	if r.EndpointPublicAccess != nil {
		v.EndpointPublicAccess = *r.EndpointPublicAccess
	}
	if r.EndpointPrivateAccess != nil {
		v.EndpointPrivateAccess = *r.EndpointPrivateAccess
	}
	if len(r.PublicAccessCIDRs) > 0 {
		v.PublicAccessCIDRs = r.PublicAccessCIDRs
	}
	switch {
	case !v.EndpointPublicAccess:
		v.PublicAccessCIDRs = []string{}
	case len(v.PublicAccessCIDRs) == 0: // public access is switched on again
		v.PublicAccessCIDRs = everywhere
	}
}

// setLogs applies a request to the present setup. The answer lists the enabled types first, then the others.
func setLogs(present logging, request *logging) logging {
	on := map[string]bool{}
	apply := func(l logging) {
		for _, setup := range l.ClusterLogging {
			for _, t := range setup.Types {
				on[t] = setup.Enabled
			}
		}
	}
	apply(present)
	if request != nil {
		apply(*request)
	}
	out := map[bool][]string{}
	for _, t := range allLogs {
		out[on[t]] = append(out[on[t]], t)
	}
	var l logging
	for _, enabled := range []bool{true, false} {
		if types := out[enabled]; len(types) > 0 {
			l.ClusterLogging = append(l.ClusterLogging, logSetup{Types: types, Enabled: enabled})
		}
	}
	return l
}

func (s *Service) describeCluster(_ context.Context, _ *wire.Call, in *clusterName) (*clusterOut, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.clusters[in.Name]
	if c == nil {
		return nil, noCluster(in.Name)
	}
	return &clusterOut{c.view()}, nil
}

func (s *Service) listClusters(_ context.Context, _ *wire.Call, in *listIn) (*listClustersOut, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	part, next, err := page(sortedKeys(s.clusters), in.MaxResults, in.NextToken)
	if err != nil {
		return nil, err
	}
	return &listClustersOut{part, next}, nil
}

// view is the cluster as the API shows it. The caller holds s.mu.
func (c *cluster) view() clusterShape {
	v := clusterShape{
		Name: c.name, ARN: c.arn, CreatedAt: wire.At(c.created), Version: c.version, RoleARN: c.roleARN,
		ResourcesVPCConfig: c.vpc, KubernetesNetworkConfig: c.network, Logging: c.logging, Status: c.status,
		PlatformVersion: platformVersion(c.platform), Tags: c.tags, EncryptionConfig: c.encryption,
		Health: health{Issues: append([]issue{}, c.issues...)}, AccessConfig: c.access,
		UpgradePolicy: c.upgradePolicy, ZonalShiftConfig: c.zonalShift, DeletionProtection: c.protected,
		ID: c.outpostID, OutpostConfig: c.outpost, RemoteNetworkConfig: c.remote, ComputeConfig: c.auto.computeShape(),
		StorageConfig: c.auto.storage(), ScalingConfig: scalingTier{c.tier}, components: c.parts,
	}
	v.KubernetesNetworkConfig.ElasticLoadBalancing = c.auto.balancing()
	if c.wasReady && c.plane != nil {
		v.Endpoint = c.plane.Endpoint()
		v.CertificateAuthority.Data = c.bundle()
		v.Identity = new(identity)
		v.Identity.OIDC.Issuer = c.issuer()
	}
	return v
}

// issuer is the cluster's OpenID Connect issuer. The region is the fourth part of the ARN.
func (c *cluster) issuer() string {
	return "https://oidc.eks." + strings.Split(c.arn, ":")[3] + ".amazonaws.com/id/" + c.id
}

func fingerprint(in any) string {
	b, err := json.Marshal(in)
	if err != nil {
		panic(err) // inputs are plain data that came from JSON
	}
	return string(b)
}

// tokenReused is EKS's refusal of a token that stands for another request. Its exact text is not public.
func tokenReused(cluster string) *wire.Error {
	return invalidParameter(cluster, "The clientRequestToken was already used by a request with different parameters")
}
