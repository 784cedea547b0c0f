package eks

import (
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
	name, arn, id  string
	created        time.Time
	version        string
	platform       int
	upgraded       time.Time // when the last version update ended; zero if none did
	status         string
	roleARN        string
	creator        string // principal ARN
	vpc            vpcConfig
	network        networkConfig
	logging        logging
	encryption     []encryptionConfig
	access         accessConfig
	upgradePolicy  upgradePolicy
	zonalShift     *enabledSetting
	protected      bool
	tags           tags
	issues         []issue
	token, params  string // the creating call's idempotency token and what it asked for
	updates        []*update
	nodegroups     map[string]*nodegroup
	entries        map[string]*entry // by principal ARN
	addons         map[string]*addon
	configMapRoles map[string]bool // node roles that EKS itself put into the aws-auth ConfigMap
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
	Name                    string               `json:"name"`
	Version                 string               `json:"version"`
	RoleARN                 string               `json:"roleArn"`
	ResourcesVPCConfig      vpcConfigRequest     `json:"resourcesVpcConfig"`
	KubernetesNetworkConfig *networkConfig       `json:"kubernetesNetworkConfig"`
	Logging                 *logging             `json:"logging"`
	ClientRequestToken      string               `json:"clientRequestToken"`
	Tags                    tags                 `json:"tags"`
	EncryptionConfig        []encryptionConfig   `json:"encryptionConfig"`
	AccessConfig            *accessConfigRequest `json:"accessConfig"`
	UpgradePolicy           *upgradePolicy       `json:"upgradePolicy"`
	ZonalShiftConfig        *enabledSetting      `json:"zonalShiftConfig"`
	DeletionProtection      bool                 `json:"deletionProtection"`
	beyond
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
	vpc, err := s.checkNetwork(in)
	if err != nil {
		return nil, err
	}
	if err := s.opt.IAM.CheckTrust(in.RoleARN, "eks.amazonaws.com"); err != nil {
		return nil, invalidParameter(in.Name, "Role with arn: %s, could not be assumed because it does not exist or the trusted entity is not correct", in.RoleARN)
	}
	c := s.newCluster(call, in, vpc)
	c.params = params
	s.clusters[c.name] = c
	s.touch()
	s.w.Go(func(context.Context) { s.bringUp(c) })
	return &clusterOut{c.view()}, nil
}

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
	if n := in.KubernetesNetworkConfig; n != nil {
		if n.IPFamily != "" && n.IPFamily != "ipv4" {
			return unsupported("kubernetesNetworkConfig.ipFamily %s", n.IPFamily)
		}
		if n.ElasticLoadBalancing != nil && n.ElasticLoadBalancing.Enabled {
			return unsupported("EKS Auto Mode (kubernetesNetworkConfig.elasticLoadBalancing)")
		}
	}
	if a := in.AccessConfig; a != nil && a.AuthenticationMode != "" && !slices.Contains([]string{modeAPI, modeBoth, modeConfigMap}, a.AuthenticationMode) {
		return invalidParameter(in.Name, "authenticationMode must be one of API, API_AND_CONFIG_MAP, CONFIG_MAP")
	}
	if p := in.UpgradePolicy; p != nil && p.SupportType != "STANDARD" && p.SupportType != "EXTENDED" {
		return invalidParameter(in.Name, "supportType must be one of STANDARD, EXTENDED")
	}
	return in.beyond.check()
}

// refusedZones are availability zones in which EKS has no capacity for control planes.
var refusedZones = map[string][]string{
	"us-east-1e": {"us-east-1a", "us-east-1b", "us-east-1c", "us-east-1d", "us-east-1f"},
}

func (s *Service) checkNetwork(in *createClusterIn) (vpc string, err error) {
	zones := map[string]bool{}
	for _, id := range in.ResourcesVPCConfig.SubnetIDs {
		sub, ok := s.opt.EC2.Subnet(id)
		if !ok {
			return "", invalidParameter(in.Name, "The subnet ID '%s' does not exist (Service: AmazonEC2; Status Code: 400; Error Code: InvalidSubnetID.NotFound)", id)
		}
		if vpc != "" && vpc != sub.VPCID {
			return "", invalidParameter(in.Name, "Subnets specified must belong to the same VPC")
		}
		if valid, bad := refusedZones[sub.AZ]; bad {
			e := wire.Errf("UnsupportedAvailabilityZoneException", "Cannot create cluster '%s' because %s, the targeted availability zone, does not currently have sufficient capacity to support the cluster. Retry and choose from these availability zones: %s", in.Name, sub.AZ, strings.Join(valid, ", "))
			e.Fields = map[string]any{"clusterName": in.Name, "validZones": valid}
			return "", e
		}
		vpc = sub.VPCID
		zones[sub.AZ] = true
	}
	if len(zones) < 2 {
		return "", invalidParameter(in.Name, "Subnets specified must be in at least two different AZs")
	}
	return vpc, nil
}

func (s *Service) newCluster(call *wire.Call, in *createClusterIn, vpc string) *cluster {
	c := &cluster{
		name: in.Name, arn: s.w.ARN("eks", "cluster/"+in.Name), id: strings.ToUpper(s.w.Hex(32)), created: time.Now(),
		version: in.Version, platform: 1, status: creating, roleARN: in.RoleARN, creator: principalOf(call.Caller),
		encryption: in.EncryptionConfig, zonalShift: in.ZonalShiftConfig, protected: in.DeletionProtection, tags: in.Tags,
		token: in.ClientRequestToken, nodegroups: map[string]*nodegroup{}, entries: map[string]*entry{},
		addons: map[string]*addon{}, configMapRoles: map[string]bool{}, dir: s.clusterDir(),
		network: networkConfig{ServiceIPv4CIDR: "172.20.0.0/16", IPFamily: "ipv4", ElasticLoadBalancing: &enabledSetting{}},
		access:  accessConfig{AuthenticationMode: modeConfigMap}, upgradePolicy: upgradePolicy{SupportType: "EXTENDED"},
	}
	if c.tags == nil {
		c.tags = tags{}
	}
	if n := in.KubernetesNetworkConfig; n != nil && n.ServiceIPv4CIDR != "" {
		c.network.ServiceIPv4CIDR = n.ServiceIPv4CIDR
	}
	if in.UpgradePolicy != nil {
		c.upgradePolicy = *in.UpgradePolicy
	}
	c.vpc = vpcConfig{
		SubnetIDs: in.ResourcesVPCConfig.SubnetIDs, SecurityGroupIDs: append([]string{}, in.ResourcesVPCConfig.SecurityGroupIDs...),
		VPCID: vpc, EndpointPublicAccess: true, PublicAccessCIDRs: everywhere,
	}
	c.vpc.setEndpoint(in.ResourcesVPCConfig)
	c.logging = setLogs(logging{}, in.Logging)
	bootstrap := true
	if a := in.AccessConfig; a != nil {
		if a.AuthenticationMode != "" {
			c.access.AuthenticationMode = a.AuthenticationMode
		}
		if a.BootstrapClusterCreatorAdminPermissions != nil {
			bootstrap = *a.BootstrapClusterCreatorAdminPermissions
		}
	}
	c.access.BootstrapClusterCreatorAdminPermissions = &bootstrap
	if bootstrap && c.access.AuthenticationMode != modeConfigMap {
		s.addAdmin(c, c.creator)
	}
	c.ctx, c.cancel = context.WithCancel(s.w.Context())
	return c
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
	if !v.EndpointPublicAccess {
		v.PublicAccessCIDRs = []string{}
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
	}
	if c.wasReady && c.plane != nil {
		v.Endpoint = c.plane.Endpoint()
		v.CertificateAuthority.Data = c.plane.CAData()
		v.Identity = new(identity)
		// The region is the fourth part of the ARN.
		v.Identity.OIDC.Issuer = "https://oidc.eks." + strings.Split(c.arn, ":")[3] + ".amazonaws.com/id/" + c.id
	}
	return v
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
