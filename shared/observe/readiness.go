package observe

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ekspedite/ekspedite/shared/decide/readiness"
	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

// InsightReader reads EKS's own findings.
type InsightReader interface {
	Insights(ctx context.Context, cluster string) ([]readiness.Insight, error)
	InsightsRefresh(ctx context.Context, cluster string) (readiness.InsightsRefresh, error)
}

// Belongings reads what is a cluster's beside its nodes.
type Belongings interface {
	// Parts lists all of a kind: "capability", "identity".
	Parts(ctx context.Context, cluster fleet.ClusterID, kind string) ([]fleet.Resource, error)
	// AddonFacts reads an add-on's configuration and roles, and the schema of a version's configuration.
	AddonFacts(ctx context.Context, cluster string, addon fleet.Resource, version string) (readiness.AddonFacts, error)
}

// Facts reads single facts of an account: see Surroundings.
type Facts interface {
	Fact(ctx context.Context, kind, name string) (fleet.Props, error)
}

// Grounds reads what a cluster's machines stand on.
type Grounds interface {
	Subnets(ctx context.Context, ids []string) ([]readiness.Subnet, error)
	// Template reads a version of a node group's launch template, and whether what it names exists.
	Template(ctx context.Context, group, id, version string) (readiness.Template, error)
	InstanceRefresh(ctx context.Context, scalingGroup string) (string, error)
	NoCapacity(ctx context.Context, scalingGroup string) (time.Time, error)
}

// AlarmReader reads CloudWatch alarms by their names.
type AlarmReader interface {
	Alarms(ctx context.Context, names []string) ([]readiness.Alarm, error)
}

// ReadinessAWS is all that Readiness reads of AWS in one Region: awscloud.Readiness has it.
type ReadinessAWS interface {
	UpgradeAWS
	InsightReader
	Belongings
	Facts
	Grounds
	AlarmReader
}

// ClusterAPI reads a cluster's API server.
type ClusterAPI interface {
	NodeReader
	// Readiness reads all parts that the API server has, but for the nodes; what cannot be read is in Unread.
	Readiness(ctx context.Context) readiness.Observation
}

// Readiness observes clusters of one Region for the checks before an upgrade. Like Upgrades, which it has, it lives as long as a
// function's execution environment.
//
//	observe.NewReadiness(awscloud.NewReadiness(cfg), kubernetes, ledger, region, time.Now)
type Readiness struct {
	*Upgrades
	aws        ReadinessAWS
	kubernetes func(ctx context.Context, cluster string) (ClusterAPI, error)
}

// NewReadiness makes a Readiness. Without a cache (nil) it reads for itself; without Kubernetes (nil) what the API server has
// is Unread.
func NewReadiness(aws ReadinessAWS, kubernetes func(ctx context.Context, cluster string) (ClusterAPI, error), c Cache, region string, now func() time.Time) *Readiness {
	var nodes func(ctx context.Context, cluster string) (NodeReader, error)
	if kubernetes != nil {
		nodes = func(ctx context.Context, cluster string) (NodeReader, error) { return kubernetes(ctx, cluster) }
	}
	return &Readiness{Upgrades: NewUpgrades(aws, nodes, c, region, now), aws: aws, kubernetes: kubernetes}
}

// kubernetesParts are the parts that the API server has.
var kubernetesParts = []readiness.Part{
	readiness.PartPods, readiness.PartWorkloads, readiness.PartBudgets, readiness.PartWebhooks, readiness.PartServices, readiness.PartDefinitions, readiness.PartAPIServices,
	readiness.PartObjects, readiness.PartMetrics, readiness.PartHelm, readiness.PartVolumes, readiness.PartKubeProxy, readiness.PartKarpenter, readiness.PartBindings, readiness.PartTokens,
	readiness.PartEndpointObjects,
}

// ofEKS are the parts that follow from what EKS says of a cluster, and cannot be read without it.
var ofEKS = []readiness.Part{
	readiness.PartEKS, readiness.PartReleases, readiness.PartImages, readiness.PartControlPlane, readiness.PartAddons, readiness.PartRole, readiness.PartRoles, readiness.PartNetwork,
	readiness.PartKey, readiness.PartMachines, readiness.PartTemplates, readiness.PartScaling, readiness.PartNodes,
}

// readinessLook is one look at one cluster.
type readinessLook struct {
	*Readiness
	ctx context.Context
	id  fleet.ClusterID
	eks *upgradeLook
	mu  sync.Mutex
	o   readiness.Observation
}

// Cluster observes a cluster with all that the checks read, for an upgrade to a minor; 0 is the next one. All parts are read at
// once, and one that cannot be read is in Unread with the reason. The error is that there is no such cluster.
func (r *Readiness) Cluster(ctx context.Context, id fleet.ClusterID, target fleet.Minor, policy fleet.UpgradePolicy) (readiness.Observation, error) {
	l := &readinessLook{Readiness: r, ctx: ctx, id: id, o: readiness.Observation{Unread: map[readiness.Part]string{}}}
	var live readiness.Observation
	var notFound error
	var wg sync.WaitGroup
	for _, read := range []func(){
		func() { live = l.live() },
		func() { notFound = l.cluster(target) },
		func() { l.read(readiness.PartInsights, l.insights) },
		func() { l.read(readiness.PartCapabilities, l.capabilities) },
		func() { l.read(readiness.PartIdentity, l.identityProviders) },
		func() { l.read(readiness.PartAuthorities, l.authorities) },
		func() { l.read(readiness.PartQuotas, l.quotas) },
		func() { l.read(readiness.PartAlarms, func() error { return l.alarms(policy.Health.Alarms) }) },
	} {
		wg.Go(read)
	}
	wg.Wait()
	return l.merged(live), notFound
}

// read reads a part.
func (l *readinessLook) read(p readiness.Part, do func() error) {
	if err := do(); err != nil {
		l.unread(p, err)
	}
}

func (l *readinessLook) unread(p readiness.Part, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.o.Unread[p] == "" {
		l.o.Unread[p] = err.Error()
	}
}

// live reads what the API server has.
func (l *readinessLook) live() readiness.Observation {
	var o readiness.Observation
	err := fault.New(fault.Invalid, "nobody asked the API server")
	if l.kubernetes != nil {
		var client ClusterAPI
		if client, err = l.kubernetes(l.ctx, l.id.Name); err == nil {
			return client.Readiness(l.ctx)
		}
		o.Access = readiness.Access{Asked: true, Why: err.Error()}
	}
	o.Unread = map[readiness.Part]string{}
	for _, p := range kubernetesParts {
		o.Unread[p] = err.Error()
	}
	return o
}

// cluster reads the cluster with its versions, and then what follows from that.
func (l *readinessLook) cluster(target fleet.Minor) error {
	var minors []fleet.Minor
	if target > 0 {
		minors = []fleet.Minor{target}
	}
	eks, err := l.look(l.ctx, l.id, minors)
	l.eks, l.o.EKS, l.o.Target = eks, eks.o, target
	if err != nil {
		for _, p := range ofEKS {
			l.unread(p, err)
		}
		if fault.Is(err, fault.NotFound) && eks.o.Status == "" {
			return err
		}
		return nil
	}
	if target == 0 {
		l.o.Target = eks.o.Version + 1
	}
	for part, why := range eks.o.Incomplete {
		name, _, _ := strings.Cut(part, "/")
		p := map[string]readiness.Part{PartUpgradeNodes: readiness.PartNodes, "releases": readiness.PartReleases, "images": readiness.PartImages, PartUpgradeTemplates: readiness.PartTemplates, PartUpgradeAuthority: readiness.PartAuthorities}[name]
		if p == "" {
			p = readiness.PartEKS
		}
		l.unread(p, fault.New(fault.Transient, "%s: %s", part, why))
	}
	if l.kubernetes == nil {
		l.unread(readiness.PartNodes, fault.New(fault.Invalid, "nobody asked the API server"))
	}
	l.controlPlane()
	l.nodeFacts()
	var wg sync.WaitGroup
	for part, do := range map[readiness.Part]func() error{
		readiness.PartAddons: l.addons, readiness.PartRole: l.role, readiness.PartNetwork: l.network, readiness.PartKey: l.key, readiness.PartMachines: l.machines,
		readiness.PartTemplates: l.launchTemplates, readiness.PartScaling: l.scalingGroups,
	} {
		wg.Go(func() { l.read(part, do) })
	}
	wg.Wait()
	return nil
}

// merged puts what AWS and the API server say together.
func (l *readinessLook) merged(live readiness.Observation) readiness.Observation {
	o := l.o
	for p, why := range live.Unread {
		o.Unread[p] = why
	}
	o.Access, o.Namespaces, o.Pods, o.Workloads, o.Budgets, o.Webhooks = live.Access, live.Namespaces, live.Pods, live.Workloads, live.Budgets, live.Webhooks
	o.Services, o.Addresses, o.Definitions, o.APIServices, o.Objects, o.Requested = live.Services, live.Addresses, live.Definitions, live.APIServices, live.Objects, live.Requested
	o.Helm, o.Volumes, o.Drivers, o.StorageClasses, o.KubeProxy, o.NodePools = live.Helm, live.Volumes, live.Drivers, live.StorageClasses, live.KubeProxy, live.NodePools
	o.NodeClasses, o.Anonymous, o.TokenSecrets, o.EndpointObjects = live.NodeClasses, live.Anonymous, live.TokenSecrets, live.EndpointObjects
	for _, foreign := range live.Addons { // of which only that is known there
		for i := range o.Addons {
			if o.Addons[i].Name == foreign.Name {
				o.Addons[i].Foreign = foreign.Foreign
			}
		}
	}
	slices.SortFunc(o.Workloads, func(a, b readiness.Workload) int {
		return strings.Compare(a.ID()+"/"+a.Kind, b.ID()+"/"+b.Kind)
	})
	return o
}

// Labels and annotations of nodes.
const (
	labelZone         = "topology.kubernetes.io/zone"
	labelInstanceType = "node.kubernetes.io/instance-type"
	doNotDisrupt      = "karpenter.sh/do-not-disrupt"
)

func (l *readinessLook) nodeFacts() {
	for _, n := range l.eks.found {
		l.o.Nodes = append(l.o.Nodes, readiness.NodeFacts{
			Name: n.Name, Zone: n.Labels[labelZone], OSImage: n.OSImage, Kernel: n.Kernel, Runtime: n.Runtime, Pressure: n.Pressure, InstanceType: n.Labels[labelInstanceType],
			DoNotDisrupt: n.Annotations[doNotDisrupt] == "true", NodePool: n.Labels[labelKarpenter],
		})
	}
	slices.SortFunc(l.o.Nodes, func(a, b readiness.NodeFacts) int { return strings.Compare(a.Name, b.Name) })
}
