package eks

import (
	"slices"
	"time"
)

// EKS Auto Mode is API state: what a cluster says of itself, its checks, its update type and the access entry of its
// nodes' role. No node pool makes nodes, no volume and no load balancer comes into being.

const autoNodePolicy = policyPrefix + "AmazonEKSAutoNodePolicy"

// autoModeRequest are the three settings that make up Auto Mode, as CreateCluster and UpdateClusterConfig take them.
type autoModeRequest struct {
	compute *computeConfig
	storage *storageConfig
	network *networkConfig
}

// autoMode is what a cluster has. Its slice is replaced, never changed.
type autoMode struct {
	on      bool
	pools   []string
	role    string
	gateway *gatewayAPI
}

func (r autoModeRequest) asked() bool {
	return r.compute != nil || r.storage != nil || r.network != nil && r.network.ElasticLoadBalancing != nil
}

// wants tells whether Auto Mode is asked for. EKS wants all three parts of it on, or all off.
func (r autoModeRequest) wants(cluster string) (bool, error) {
	isOn := func(b *bool) bool { return b != nil && *b }
	compute := r.compute != nil && isOn(r.compute.Enabled)
	storage := r.storage != nil && r.storage.BlockStorage != nil && isOn(r.storage.BlockStorage.Enabled)
	balancing := r.network != nil && r.network.ElasticLoadBalancing != nil && isOn(r.network.ElasticLoadBalancing.Enabled)
	if compute != storage || storage != balancing {
		return false, invalidParameter(cluster, "For EKS Auto Mode, please ensure that all required configs, including computeConfig, kubernetesNetworkConfig, and blockStorage are all either fully enabled or fully disabled.")
	}
	return compute, nil
}

// autoModeOf checks a request and gives what the cluster would have.
func (s *Service) autoModeOf(cluster string, r autoModeRequest, mode string) (autoMode, error) {
	on, err := r.wants(cluster)
	if err != nil {
		return autoMode{}, err
	}
	next := autoMode{on: on, pools: []string{}}
	if r.compute == nil {
		return next, nil
	}
	next.pools, next.role = append(next.pools, r.compute.NodePools...), r.compute.NodeRoleARN
	if !on {
		if len(next.pools) > 0 || next.role != "" {
			return next, invalidParameter(cluster, "When Compute Config is disabled, nodeRoleArn and nodePools must not be provided.")
		}
		return next, nil
	}
	next.gateway = r.network.ElasticLoadBalancing.GatewayAPI
	if i := slices.IndexFunc(next.pools, func(p string) bool { return p != "general-purpose" && p != "system" }); i >= 0 {
		return next, invalidParameter(cluster, "Compute Config nodePool value %s is not valid. Valid values are: general-purpose, system.", next.pools[i])
	}
	switch {
	case next.role != "" && len(next.pools) == 0:
		return next, invalidParameter(cluster, "When Compute Config nodeRoleArn is not null or empty, nodePool value(s) must be provided.")
	case next.role == "" && len(next.pools) > 0:
		return next, invalidParameter(cluster, "When Compute Config nodePool is not null or empty, nodeRoleArn must be provided.")
	case mode == modeConfigMap:
		return next, invalidParameter(cluster, "When EKS Auto Mode is enabled, authenticationMode must be set to API or API_AND_CONFIG_MAP.")
	}
	if next.role != "" && s.opt.IAM.CheckTrust(next.role, "ec2.amazonaws.com") != nil {
		return next, invalidParameter(cluster, "Role with arn: %s, could not be assumed because it does not exist or the trusted entity is not correct", next.role)
	}
	return next, nil
}

// setAutoMode switches it. Built-in node pools bring the access entry of their role along, which stays when they go. The
// caller holds s.mu.
func (s *Service) setAutoMode(c *cluster, next autoMode) {
	c.auto = next
	if next.role == "" || c.entries[next.role] != nil {
		return
	}
	e := s.newEntry(c, next.role, "EC2")
	e.automatic = true
	e.policies[autoNodePolicy] = &association{scope: accessScope{Type: "cluster", Namespaces: []string{}}, at: time.Now(), modified: time.Now()}
	c.entries[next.role] = e
}

// autoModeChange is an update of Auto Mode's settings, which must name all three of them again.
func (s *Service) autoModeChange(c *cluster, in *updateConfigIn) (change, error) {
	r := autoModeRequest{in.ComputeConfig, in.StorageConfig, in.KubernetesNetworkConfig}
	if n := r.network; n != nil && (n.IPFamily != "" || n.ServiceIPv4CIDR != "") {
		return change{}, invalidParameter(c.name, "ipFamily and serviceIpv4Cidr can be set at cluster creation only")
	}
	if c.outpost != nil {
		return change{}, onOutpost(c.name, "EKS Auto Mode")
	}
	if r.compute != nil && r.compute.NodeRoleARN != "" && c.auto.role != "" && r.compute.NodeRoleARN != c.auto.role {
		return change{}, invalidParameter(c.name, "Compute Config nodeRoleArn cannot be changed after the compute capability of EKS Auto Mode is enabled.")
	}
	next, err := s.autoModeOf(c.name, r, c.access.AuthenticationMode)
	switch {
	case err != nil:
		return change{}, err
	case next.on == c.auto.on && next.role == c.auto.role && sameSet(next.pools, c.auto.pools) && fingerprint(next.gateway) == fingerprint(c.auto.gateway):
		return change{}, noUpdateType(c.name)
	}
	var params []updateParam
	for _, p := range []struct {
		kind  string
		given bool
		value any
	}{{"ComputeConfig", r.compute != nil, r.compute}, {"StorageConfig", r.storage != nil, r.storage}, {"KubernetesNetworkConfig", r.network != nil, r.network}} {
		if p.given {
			params = append(params, updateParam{p.kind, fingerprint(p.value)})
		}
	}
	return change{kind: "AutoModeUpdate", params: params, apply: func(c *cluster) { s.setAutoMode(c, next) }}, nil
}

// computeShape, storage and balancing are Auto Mode as DescribeCluster shows it.
func (a autoMode) computeShape() computeShape {
	return computeShape{Enabled: a.on, NodePools: append([]string{}, a.pools...), NodeRoleARN: a.role}
}

func (a autoMode) storage() storageConfig {
	var c storageConfig
	c.BlockStorage = &struct {
		Enabled *bool `json:"enabled,omitempty"`
	}{&a.on}
	return c
}

func (a autoMode) balancing() *loadBalancing {
	return &loadBalancing{Enabled: &a.on, GatewayAPI: a.gateway}
}
