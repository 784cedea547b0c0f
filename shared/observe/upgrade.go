package observe

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ekspedite/ekspedite/shared/decide/upgradepath"
	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

// ClusterParts reads what a cluster consists of, as EKS and Auto Scaling describe it.
type ClusterParts interface {
	// Cluster reads the cluster itself. An unknown one is fault.NotFound.
	Cluster(ctx context.Context, cluster string) (fleet.Resource, error)
	NodeGroups(ctx context.Context, cluster string) ([]fleet.Resource, error)
	Addons(ctx context.Context, cluster string) ([]fleet.Resource, error)
	// ScalingGroups are the Auto Scaling groups whose machines are its nodes, also those of EKS's node groups.
	ScalingGroups(ctx context.Context, cluster string) ([]fleet.Resource, error)
}

// ClusterChanges reads a cluster's updates, and those of its node groups and add-ons: kind is "cluster", "nodegroup", "addon".
type ClusterChanges interface {
	// Changes lists ids in no order, those of updates that are over among them.
	Changes(ctx context.Context, cluster, kind, name string) ([]string, error)
	// Change is one of them, with Created and Params.
	Change(ctx context.Context, cluster, kind, name, id string) (fleet.Update, error)
}

// Offers reads what a Region has to offer: the same for all clusters, and new every few weeks.
type Offers interface {
	Versions(ctx context.Context) ([]fleet.KubernetesVersion, error)
	Releases(ctx context.Context, addon string) ([]fleet.AddonRelease, error)
	// NewestImage is the newest AMI release; none is fault.NotFound.
	NewestImage(ctx context.Context, amiType string, minor fleet.Minor) (upgradepath.Image, error)
}

// Machinery reads what machines are made from.
type Machinery interface {
	// NodeImages tells what images are, by id; one that nobody knows is CUSTOM.
	NodeImages(ctx context.Context, ids []string) (map[string]fleet.NodeImage, error)
	// LaunchTemplates reads the numbers of templates' versions, by id.
	LaunchTemplates(ctx context.Context, ids []string) (map[string]fleet.Props, error)
	// LaunchTemplate reads one version, by number, "$Default" or "$Latest".
	LaunchTemplate(ctx context.Context, id, version string) (fleet.Props, error)
}

// AuthorityReader reads a cluster's certificate authorities.
type AuthorityReader interface {
	Authorities(ctx context.Context, cluster string) ([]upgradepath.Authority, error)
}

// NodeReader reads a cluster's nodes with the versions of what runs on them.
type NodeReader interface {
	Nodes(ctx context.Context) ([]fleet.Node, error)
}

// UpgradeAWS is all that Upgrades reads of AWS in one Region: awscloud.Upgrades has it.
type UpgradeAWS interface {
	ClusterParts
	ClusterChanges
	Offers
	Machinery
	AuthorityReader
}

// Upgrades observes clusters of one Region for upgrades. It remembers what does not change, or seldom: updates that are over
// for good, what EKS offers for hours. One lives as long as a function's execution environment.
//
//	observe.NewUpgrades(awscloud.NewUpgrades(cfg), kubernetes, ledger, region, time.Now)
type Upgrades struct {
	aws UpgradeAWS
	// kubernetes opens a cluster's API server.
	kubernetes func(ctx context.Context, cluster string) (NodeReader, error)
	offers     *keeper
	histories  *keeper
	now        func() time.Time
}

// NewUpgrades makes an Upgrades. Without a cache (nil) each execution environment reads for itself; without Kubernetes (nil)
// nodes are not read.
func NewUpgrades(aws UpgradeAWS, kubernetes func(ctx context.Context, cluster string) (NodeReader, error), c Cache, region string, now func() time.Time) *Upgrades {
	return &Upgrades{
		aws: aws, kubernetes: kubernetes, now: now,
		offers: newKeeper(c, "eks/"+region, now), histories: newKeeper(c, "updates/"+region, now),
	}
}

// Part names of an upgradepath.Observation's Incomplete that are one word; the others are "releases/ADDON" and
// "images/AMITYPE/MINOR".
const (
	PartUpgradeNodes     = "nodes"
	PartUpgradeTemplates = "templates"
	PartUpgradeUpdates   = "updates" // of node groups and add-ons
	PartUpgradeAuthority = "authorities"
)

// Cluster observes a cluster with all that a path depends on: images for its own minor and those that are asked for, or
// where none are for all newer ones. What a path cannot do without is an error: the cluster, its parts, its updates, and the versions
// of Kubernetes. The rest is named in Incomplete.
func (u *Upgrades) Cluster(ctx context.Context, id fleet.ClusterID, minors ...fleet.Minor) (upgradepath.Observation, error) {
	l, err := u.look(ctx, id, minors)
	return l.o, err
}

// look is Cluster, with what it was made of.
func (u *Upgrades) look(ctx context.Context, id fleet.ClusterID, minors []fleet.Minor) (*upgradeLook, error) {
	l := u.begin(ctx, id)
	var history history
	err := firstOf(id,
		part{"the cluster", l.control},
		part{"its node groups", func() (err error) { l.managed, err = u.aws.NodeGroups(ctx, id.Name); return err }},
		part{"its Auto Scaling groups", func() (err error) { l.scaled, err = u.aws.ScalingGroups(ctx, id.Name); return err }},
		part{"its add-ons", func() (err error) { l.addons, err = u.aws.Addons(ctx, id.Name); return err }},
		part{"its updates", func() (err error) { history, err = l.history(); return err }},
		part{"the versions of Kubernetes", func() (err error) {
			l.o.Versions, err = kept(ctx, u.offers, "versions", versionsFor, u.aws.Versions)
			return err
		}},
		part{"", l.nodes},
		part{"", l.authorities},
	)
	if err != nil {
		return l, err
	}
	l.o.Busy = history.busy
	l.o.UpgradedAt, l.o.UpgradedFrom = history.upgraded(l.o.Version)
	l.seen(history)
	l.groups(l.managed, l.scaled)
	for _, a := range l.addons {
		l.o.Addons = append(l.o.Addons, upgradepath.Addon{
			Name: a.Name, Version: fleet.Text(a.Props, "addonVersion"), Status: a.Status, Issues: a.Issues,
			Role: fleet.Text(a.Props, "serviceAccountRoleArn"), Configuration: fleet.Text(a.Props, "configurationValues"),
		})
	}
	l.details(l.managed, minors)
	return l, nil
}

func (u *Upgrades) begin(ctx context.Context, id fleet.ClusterID) *upgradeLook {
	return &upgradeLook{Upgrades: u, ctx: ctx, id: id, o: upgradepath.Observation{Cluster: id, Incomplete: map[string]string{}}}
}

// Glance observes what may change while an update runs: the cluster itself, updates of the control plane, and the nodes. It
// takes two calls of EKS's API and one for each update that is new or in progress.
func (u *Upgrades) Glance(ctx context.Context, id fleet.ClusterID) (upgradepath.Observation, error) {
	l := u.begin(ctx, id)
	var history history
	err := firstOf(id,
		part{"the cluster", l.control},
		part{"its updates", func() (err error) { history, err = l.history(); return err }},
		part{"", l.nodes},
	)
	if err != nil {
		return l.o, err
	}
	l.o.Busy = history.busy
	l.o.UpgradedAt, l.o.UpgradedFrom = history.upgraded(l.o.Version)
	l.seen(history)
	return l.o, nil
}

// upgradeLook is one look at one cluster.
type upgradeLook struct {
	*Upgrades
	ctx context.Context
	id  fleet.ClusterID
	mu  sync.Mutex
	o   upgradepath.Observation

	// What it was made of.
	cluster                 fleet.Resource
	managed, scaled, addons []fleet.Resource
	found                   []fleet.Node
}

// missing names a part that could not be read.
func (l *upgradeLook) missing(part string, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.o.Incomplete[part] = err.Error()
}

// part is something that is read; "" is one that has named itself missing.
type part struct {
	what string
	read func() error
}

// firstOf reads all parts at once. The error is of the first that could not be read, in their order.
func firstOf(id fleet.ClusterID, parts ...part) error {
	errs := make([]error, len(parts))
	var wg sync.WaitGroup
	for i, p := range parts {
		wg.Go(func() { errs[i] = p.read() })
	}
	wg.Wait()
	for i, p := range parts {
		if errs[i] != nil {
			return fmt.Errorf("cluster %s: reading %s: %w", id, p.what, errs[i])
		}
	}
	return nil
}

// control reads the cluster itself.
func (l *upgradeLook) control() error {
	c, err := l.aws.Cluster(l.ctx, l.id.Name)
	if err != nil {
		return err
	}
	version, err := fleet.ParseMinor(fleet.Text(c.Props, "version"))
	if err != nil {
		return err
	}
	l.cluster = c
	o := &l.o
	o.Version, o.Status, o.Issues, o.Platform = version, c.Status, c.Issues, fleet.Text(c.Props, "platformVersion")
	o.CreatedAt = instant(c.Props, "createdAt")
	o.SupportType = fleet.Text(c.Props, "upgradePolicy", "supportType")
	o.AutoMode = fleet.Flag(c.Props, "computeConfig", "enabled")
	return nil
}

// instant is a time as APIs' properties have it; zero if it is none.
func instant(p fleet.Props, path ...string) time.Time {
	t, err := time.Parse(time.RFC3339, fleet.Text(p, path...))
	if err != nil {
		return time.Time{}
	}
	return t.UTC()
}

// nodes reads the nodes. Without them there is an observation all the same.
func (l *upgradeLook) nodes() error {
	if l.kubernetes == nil {
		return nil
	}
	client, err := l.kubernetes(l.ctx, l.id.Name)
	if err == nil {
		l.found, err = client.Nodes(l.ctx)
	}
	if err != nil {
		l.missing(PartUpgradeNodes, err)
		return nil
	}
	for _, n := range l.found {
		l.o.Nodes = append(l.o.Nodes, UpgradeNode(n))
	}
	slices.SortFunc(l.o.Nodes, func(a, b upgradepath.Node) int { return strings.Compare(a.Name, b.Name) })
	return nil
}

// authorities reads the certificate authorities. Regions whose EKS does not know the call have none, which is no fault.
func (l *upgradeLook) authorities() error {
	list, err := l.aws.Authorities(l.ctx, l.id.Name)
	if err != nil && !fault.Is(err, fault.Invalid) && !fault.Is(err, fault.NotFound) {
		l.missing(PartUpgradeAuthority, err)
	}
	l.o.Authorities = list
	return nil
}

// Labels that say who makes and replaces a node.
const (
	labelNodegroup   = "eks.amazonaws.com/nodegroup"
	labelImage       = "eks.amazonaws.com/nodegroup-image"
	labelComputeType = "eks.amazonaws.com/compute-type" // fargate, auto, hybrid
	labelKarpenter   = "karpenter.sh/nodepool"
)

// UpgradeNode is a node as paths see it, by what its labels say. Which self-managed group it is of is told by the group where
// that is known.
func UpgradeNode(n fleet.Node) upgradepath.Node {
	out := upgradepath.Node{
		Name: n.Name, UID: n.UID, InstanceID: n.InstanceID(), Ready: n.Ready, Unschedulable: n.Unschedulable, CreatedAt: n.Created, Kind: upgradepath.NodeOther,
		Release: n.Labels[labelImage], // until the image is known
	}
	out.Kubelet, _ = fleet.ParseMinor(n.Kubelet) // a node that has not said it yet has none
	switch compute := n.Labels[labelComputeType]; {
	case compute == "fargate":
		out.Kind = upgradepath.NodeFargate
	case compute == "auto":
		out.Kind = upgradepath.NodeAuto
	case compute == "hybrid":
		out.Kind = upgradepath.NodeHybrid
	case n.Labels[labelNodegroup] != "":
		out.Kind, out.Group = upgradepath.NodeManaged, n.Labels[labelNodegroup]
	case n.Labels[labelKarpenter] != "":
		out.Kind = upgradepath.NodeKarpenter
	case n.Labels[fleet.LabelNodeGroup] != "":
		out.Kind, out.Group = upgradepath.NodeSelfManaged, n.Labels[fleet.LabelNodeGroup]
	}
	return out
}
