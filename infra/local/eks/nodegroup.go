package eks

import (
	"context"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/wire"
)

// nodegroup is a managed node group. Service.mu guards it; the rule about copies of cluster holds here too.
type nodegroup struct {
	name, arn         string
	cluster           *cluster
	uuid              string
	version, release  string // of the group; new instances get them
	next              string // what new instances get while an update to another version runs; else empty
	nextRelease       string // the AMI release that goes with next
	revision          int    // of EKS's launch template
	status            string
	capacity          string        // spot, onDemand, capacityBlock
	scaling           scalingConfig // min and max; desired as last asked for
	types             []string
	subnets           []string
	ami               string
	role              string
	labels            map[string]string
	taints            []taint
	tags              tags
	disk              int
	custom            *launchTemplateRef // the customer's own launch template, if any
	template          string             // id of EKS's launch template
	updateCfg         updateConfig
	repair            *nodeRepairConfig
	warmPool          *warmPoolConfig
	remote            *remoteAccess
	customImage       string // of the customer's launch template, when the AMI type is CUSTOM
	remoteGroup       string // the security group for remote access
	created, modified time.Time
	issues            []issue
	token, params     string
	arch              string
}

// Capacity types.
const (
	spot          = "SPOT"
	onDemand      = "ON_DEMAND"
	capacityBlock = "CAPACITY_BLOCK"
)

type scalingConfig struct {
	MinSize     *int `json:"minSize,omitempty"`
	MaxSize     *int `json:"maxSize,omitempty"`
	DesiredSize *int `json:"desiredSize,omitempty"`
}

type taint struct {
	Key    string `json:"key"`
	Value  string `json:"value"`
	Effect string `json:"effect"`
}

type launchTemplateRef struct {
	Name    string `json:"name,omitempty"`
	Version string `json:"version,omitempty"`
	ID      string `json:"id,omitempty"`
}

type updateConfig struct {
	MaxUnavailable           *int   `json:"maxUnavailable,omitempty"`
	MaxUnavailablePercentage *int   `json:"maxUnavailablePercentage,omitempty"`
	UpdateStrategy           string `json:"updateStrategy,omitempty"`
}

type createNodegroupIn struct {
	ClusterName        string             `json:"-" path:"name"`
	NodegroupName      string             `json:"nodegroupName"`
	ScalingConfig      *scalingConfig     `json:"scalingConfig"`
	DiskSize           int                `json:"diskSize"`
	Subnets            []string           `json:"subnets"`
	InstanceTypes      []string           `json:"instanceTypes"`
	AMIType            string             `json:"amiType"`
	RemoteAccess       *remoteAccess      `json:"remoteAccess"`
	NodeRole           string             `json:"nodeRole"`
	Labels             map[string]string  `json:"labels"`
	Taints             []taint            `json:"taints"`
	Tags               tags               `json:"tags"`
	ClientRequestToken string             `json:"clientRequestToken"`
	LaunchTemplate     *launchTemplateRef `json:"launchTemplate"`
	UpdateConfig       *updateConfig      `json:"updateConfig"`
	NodeRepairConfig   *nodeRepairConfig  `json:"nodeRepairConfig"`
	CapacityType       string             `json:"capacityType"`
	Version            string             `json:"version"`
	ReleaseVersion     string             `json:"releaseVersion"`
	WarmPoolConfig     *warmPoolConfig    `json:"warmPoolConfig"`
}

type nodegroupName struct {
	ClusterName   string `json:"-" path:"name"`
	NodegroupName string `json:"-" path:"nodegroupName"`
}

type autoScalingGroup struct {
	Name string `json:"name"`
}

type resources struct {
	AutoScalingGroups         []autoScalingGroup `json:"autoScalingGroups"`
	RemoteAccessSecurityGroup string             `json:"remoteAccessSecurityGroup,omitempty"`
}

type nodegroupShape struct {
	NodegroupName    string             `json:"nodegroupName"`
	NodegroupARN     string             `json:"nodegroupArn"`
	ClusterName      string             `json:"clusterName"`
	Version          string             `json:"version,omitempty"`
	ReleaseVersion   string             `json:"releaseVersion,omitempty"`
	CreatedAt        *wire.Time         `json:"createdAt"`
	ModifiedAt       *wire.Time         `json:"modifiedAt"`
	Status           string             `json:"status"`
	CapacityType     string             `json:"capacityType"`
	ScalingConfig    scalingConfig      `json:"scalingConfig"`
	InstanceTypes    []string           `json:"instanceTypes,omitempty"`
	Subnets          []string           `json:"subnets"`
	AMIType          string             `json:"amiType"`
	NodeRole         string             `json:"nodeRole"`
	Labels           map[string]string  `json:"labels,omitempty"`
	Taints           []taint            `json:"taints,omitempty"`
	Resources        *resources         `json:"resources,omitempty"`
	DiskSize         int                `json:"diskSize,omitempty"`
	Health           health             `json:"health"`
	UpdateConfig     updateConfig       `json:"updateConfig"`
	NodeRepairConfig *nodeRepairConfig  `json:"nodeRepairConfig,omitempty"`
	WarmPoolConfig   *warmPoolConfig    `json:"warmPoolConfig,omitempty"`
	RemoteAccess     *remoteAccess      `json:"remoteAccess,omitempty"`
	LaunchTemplate   *launchTemplateRef `json:"launchTemplate,omitempty"`
	Tags             tags               `json:"tags"`
}

type nodegroupOut struct {
	Nodegroup nodegroupShape `json:"nodegroup"`
}

type listInCluster struct {
	Name       string `json:"-" path:"name"`
	MaxResults *int   `json:"-" param:"maxResults"`
	NextToken  string `json:"-" param:"nextToken"`
}

type listNodegroupsOut struct {
	Nodegroups []string `json:"nodegroups"`
	NextToken  *string  `json:"nextToken,omitempty"`
}

func (s *Service) nodegroupOps() []wire.Op {
	const all, one = "/clusters/{name}/node-groups", "/clusters/{name}/node-groups/{nodegroupName}"
	return []wire.Op{
		wire.Handle("CreateNodegroup", s.needCreateNodegroup, s.createNodegroup).REST("POST", all),
		wire.Handle("DescribeNodegroup", s.needNodegroup("DescribeNodegroup"), s.describeNodegroup).REST("GET", one),
		wire.Handle("ListNodegroups", s.needListIn("ListNodegroups"), s.listNodegroups).REST("GET", all),
		wire.Handle("UpdateNodegroupConfig", s.needUpdateNodegroupConfig, s.updateNodegroupConfig).REST("POST", one+"/update-config"),
		wire.Handle("UpdateNodegroupVersion", s.needUpdateNodegroupVersion, s.updateNodegroupVersion).REST("POST", one+"/update-version"),
		wire.Handle("DeleteNodegroup", s.needNodegroup("DeleteNodegroup"), s.deleteNodegroup).REST("DELETE", one),
	}
}

// nodegroupOf finds a node group. The caller holds s.mu.
func (s *Service) nodegroupOf(in, name string) (*cluster, *nodegroup, error) {
	c := s.clusters[in]
	if c == nil {
		return nil, nil, noCluster(in)
	}
	g := c.nodegroups[name]
	if g == nil {
		return nil, nil, noNodegroup(in, name)
	}
	return c, g, nil
}

func (s *Service) createNodegroup(_ context.Context, _ *wire.Call, in *createNodegroupIn) (*nodegroupOut, error) {
	params := fingerprint(in)
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.clusters[in.ClusterName]
	if c == nil {
		return nil, noCluster(in.ClusterName)
	}
	if old := c.nodegroups[in.NodegroupName]; old != nil {
		if in.ClientRequestToken == "" || old.token != in.ClientRequestToken {
			return nil, named(inUse(c.name, "NodeGroup already exists with name %s and cluster name %s", old.name, c.name), c.name, old.name)
		}
		if old.params != params {
			return nil, tokenReused(c.name)
		}
		return &nodegroupOut{s.viewNodegroup(old)}, nil
	}
	if c.status != active {
		return nil, notActive(c.name)
	}
	if err := c.inCloud("Managed node groups"); err != nil {
		return nil, err
	}
	if len(c.nodegroups) >= maxNodegroups {
		return nil, limitExceeded(c.name, "Nodegroup limit exceeded for cluster. Limit: %d", maxNodegroups)
	}
	g := &nodegroup{name: in.NodegroupName, cluster: c, uuid: s.w.UUID(), status: creating, created: time.Now(), token: in.ClientRequestToken, params: params}
	if err := s.fillNodegroup(g, in); err != nil {
		return nil, err
	}
	g.modified = g.created
	g.arn = s.w.ARN("eks", "nodegroup/"+c.name+"/"+g.name+"/"+g.uuid)
	c.nodegroups[g.name] = g
	s.nodeRoleEntry(c, g.role, nodeEntryKind(g.ami))
	s.touch()
	s.w.Go(func(context.Context) { s.bringUpNodegroup(g) })
	return &nodegroupOut{s.viewNodegroup(g)}, nil
}

// groupName is the name of the Auto Scaling group behind a node group.
func (g *nodegroup) groupName() string { return "eks-" + g.name + "-" + g.uuid }

func (s *Service) describeNodegroup(_ context.Context, _ *wire.Call, in *nodegroupName) (*nodegroupOut, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, g, err := s.nodegroupOf(in.ClusterName, in.NodegroupName)
	if err != nil {
		return nil, err
	}
	return &nodegroupOut{s.viewNodegroup(g)}, nil
}

func (s *Service) listNodegroups(_ context.Context, _ *wire.Call, in *listInCluster) (*listNodegroupsOut, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.clusters[in.Name]
	if c == nil {
		return nil, noCluster(in.Name)
	}
	part, next, err := page(sortedKeys(c.nodegroups), in.MaxResults, in.NextToken)
	if err != nil {
		return nil, err
	}
	return &listNodegroupsOut{part, next}, nil
}

// viewNodegroup is the group as the API shows it. The caller holds s.mu.
func (s *Service) viewNodegroup(g *nodegroup) nodegroupShape {
	v := nodegroupShape{
		NodegroupName: g.name, NodegroupARN: g.arn, ClusterName: g.cluster.name, Version: g.version, ReleaseVersion: g.release,
		CreatedAt: wire.At(g.created), ModifiedAt: wire.At(g.modified), Status: g.status, CapacityType: g.capacity,
		ScalingConfig: g.scaling, InstanceTypes: g.types, Subnets: g.subnets, AMIType: g.ami, NodeRole: g.role, Labels: g.labels,
		Taints: g.taints, DiskSize: g.disk, Health: health{Issues: append([]issue{}, g.issues...)}, UpdateConfig: g.updateCfg,
		NodeRepairConfig: g.repair, WarmPoolConfig: g.warmPool, RemoteAccess: g.remote, LaunchTemplate: g.custom, Tags: g.tags,
	}
	if g.template == "" {
		return v
	}
	v.Resources = &resources{[]autoScalingGroup{{g.groupName()}}, g.remoteGroup}
	group, ok := s.opt.AutoScaling.Group(g.groupName())
	switch {
	case ok && g.status != deleting && g.cluster.running(g.name, "") == nil:
		// Whoever scales the group, a cluster autoscaler for one, is seen here. During an update the surge is not.
		v.ScalingConfig.DesiredSize = &group.Desired
		s.launchHealth(g, group, &v)
	case !ok && g.status == active:
		v.Status = degraded
		v.Health.Issues = append(v.Health.Issues, issue{Code: "AutoScalingGroupNotFound", Message: "We couldn't find the Auto Scaling group associated with the managed node group.", ResourceIDs: []string{g.groupName()}})
	}
	return v
}

// healthPatience is for how many of the profile's ScalingTicks launches must have failed before EKS calls a group degraded:
// three real minutes, as it looks at groups every few.
const healthPatience = 36

// launchHealth says so when the group's launches have failed for a while. It stays so until one succeeds: a group that is
// scaled in again stays degraded.
func (s *Service) launchHealth(g *nodegroup, group Group, v *nodegroupShape) {
	if g.status != active || group.LaunchFailure == "" || time.Since(group.FailingSince) < healthPatience*s.w.Profile.ScalingTick {
		return
	}
	v.Status = degraded
	v.Health.Issues = append(v.Health.Issues, launchIssue(g, group))
}

// asgTags are what EKS puts on the group, and through it on every instance. eksctl and the cluster autoscaler look for
// the k8s.io ones. The customer's tags of the node group stay on the node group, as in AWS.
func (g *nodegroup) asgTags() map[string]string {
	c := g.cluster.name
	return map[string]string{
		"eks:cluster-name": c, "eks:nodegroup-name": g.name, "kubernetes.io/cluster/" + c: "owned",
		"k8s.io/cluster-autoscaler/enabled": "true", "k8s.io/cluster-autoscaler/" + c: "owned",
	}
}

var effects = map[string]string{"NO_SCHEDULE": "NoSchedule", "NO_EXECUTE": "NoExecute", "PREFER_NO_SCHEDULE": "PreferNoSchedule"}

func (g *nodegroup) nodeTaints() []NodeTaint {
	var out []NodeTaint
	for _, t := range g.taints {
		out = append(out, NodeTaint{t.Key, t.Value, effects[t.Effect]})
	}
	return out
}
