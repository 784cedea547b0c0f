package upgrade

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/infra/local/world"
	"github.com/ekspedite/ekspedite/internal/cloudtest"
	"github.com/ekspedite/ekspedite/shared/apply"
	"github.com/ekspedite/ekspedite/shared/awscloud"
	"github.com/ekspedite/ekspedite/shared/decide/nodemove"
	"github.com/ekspedite/ekspedite/shared/decide/readiness"
	"github.com/ekspedite/ekspedite/shared/decide/upgrade"
	"github.com/ekspedite/ekspedite/shared/decide/upgradepath"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/handler"
	"github.com/ekspedite/ekspedite/shared/ledger"
	"github.com/ekspedite/ekspedite/shared/observe"
)

var demo = fleet.ClusterID{Region: cloudtest.Region, Name: "demo"}

// file is the cluster: two managed node groups and the usual add-ons.
const file = `apiVersion: eksctl.io/v1alpha5
kind: ClusterConfig
metadata: {name: demo, region: us-east-1, version: "1.34"}
availabilityZones: [us-east-1a, us-east-1b]
vpc: {nat: {gateway: Disable}, clusterEndpoints: {publicAccess: true, privateAccess: true}}
accessConfig: {authenticationMode: API}
addons: [{name: vpc-cni}, {name: coredns}, {name: kube-proxy}]
managedNodeGroups:
  - {name: web, instanceType: m5.large, desiredCapacity: 2, minSize: 1, maxSize: 4}
  - {name: jobs, instanceType: m5.large, desiredCapacity: 1, minSize: 1, maxSize: 2, availabilityZones: [us-east-1a]}
`

// today is a Monday.
var today = time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)

// rig is the upgrade function with everything around it.
type rig struct {
	*cloudtest.Rig
	planes *cloudtest.Planes
	// health changes how the cluster is, findings what the readiness checks find.
	health   func(*upgrade.Health)
	findings []readiness.Finding
	// ready makes the readiness checks; nil is by findings.
	ready func(s *cloudtest.Session) func(context.Context, upgradepath.Observation, fleet.Minor, fleet.UpgradePolicy) (readiness.Report, error)
}

// inBubble runs a test with a cluster of version 1.34 that is there, and the sweep that comes every five minutes.
func inBubble(t *testing.T, profile world.Profile, test func(t *testing.T, r *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(today)) // EKS's versions have dates
		planes := &cloudtest.Planes{}
		r := &rig{Rig: cloudtest.New(t, profile, planes), planes: planes}
		r.Build(file)
		r.Function, r.Every = function, map[time.Duration]events.OwnPayload{5 * time.Minute: &events.UpgradeSweepRequested{}}
		r.Work = func(s *cloudtest.Session) handler.Work { return r.work(s).Handle }
		r.policy(func(p *fleet.UpgradePolicy) { p.Bake = 10 * time.Minute })
		test(t, r)
	})
}

func (r *rig) policy(change func(*fleet.UpgradePolicy)) {
	r.Change(demo, func(p *fleet.Policy) { change(&p.Upgrade) })
}

// work is the function in a new execution environment, whose every call goes through a session.
func (r *rig) work(s *cloudtest.Session) *Work {
	l := &ledger.Ledger{Store: s, Now: time.Now}
	cfg := r.ConfigIn(cloudtest.Region, s)
	region := awscloud.NewRegion(cfg)
	versions := observe.NewUpgrades(awscloud.NewUpgrades(cfg), func(_ context.Context, cluster string) (observe.NodeReader, error) {
		return nodes{s, r.planes.Of(cluster)}, nil
	}, l, cloudtest.Region, time.Now)
	ready := func(ctx context.Context, o upgradepath.Observation, to fleet.Minor, _ fleet.UpgradePolicy) (readiness.Report, error) {
		return cloudtest.Read(ctx, s, "readiness", func() (readiness.Report, error) {
			return readiness.Report{Cluster: demo, From: o.Version, To: to, At: time.Now(), Findings: r.findings}, nil
		})
	}
	if r.ready != nil {
		ready = r.ready(s)
	}
	return &Work{
		Open: func(string) Reach {
			return Reach{
				Cluster: versions.Cluster, Update: region.Update, Apply: apply.Calls(region.Call), Refresh: awscloud.NewReadiness(cfg).RefreshInsights,
				Move: func(ctx context.Context, o upgradepath.Observation, step upgradepath.Step) (nodemove.Input, error) {
					return observe.Moves{AWS: region, Nodes: nodes{s, r.planes.Of(o.Cluster.Name)}}.Step(ctx, o, step)
				},
				Readiness: ready,
				Health: func(ctx context.Context, cluster string, _ []string) upgrade.Health {
					h, err := cloudtest.Read(ctx, s, "health", func() (h upgrade.Health, err error) {
						list, err := r.planes.Of(cluster).Nodes(ctx)
						h.Nodes, h.Pods = len(list), 10
						if r.health != nil {
							r.health(&h)
						}
						return h, err
					})
					if err != nil {
						h.Unread = map[string]string{"nodes and pods": err.Error()}
					}
					return h
				},
			}
		},
		Ledger: l, Bus: s, Queue: s, Account: cloudtest.Account, Region: cloudtest.Region, NewID: r.ID, Now: time.Now,
	}
}

// nodes is the API server, as one invocation reaches it.
type nodes struct {
	s     *cloudtest.Session
	plane *cloudtest.Plane
}

func (n nodes) Nodes(ctx context.Context) ([]fleet.Node, error) {
	return cloudtest.Read(ctx, n.s, "kubernetes LIST nodes", func() ([]fleet.Node, error) { return n.plane.Nodes(ctx) })
}

// ask asks for a version, now.
func (r *rig) ask(request, to string) {
	r.Send(&events.UpgradeRequested{RequestID: request, Cluster: demo.Name, To: to, Now: true})
}

// order tells the run something.
func (r *rig) order(c events.UpgradeCommand, step string) {
	r.Send(&events.UpgradeControlRequested{RequestID: r.ID(), Command: c, Cluster: demo.Name, Step: step, Reason: "because", By: "ann"})
}

// over runs until the run is over, and gives its report.
func (r *rig) over(within time.Duration) events.RunFinished {
	r.T.Helper()
	r.RunUntil(func() bool { return len(r.Finished()) > 0 }, time.Now().Add(within))
	list := r.Finished()
	if len(list) == 0 {
		r.T.Fatalf("the run is not over after %s: %s\n%s\n%v", within, r.run().Phase, r.Told(), r.Queue.Dead())
	}
	return list[0]
}

func (r *rig) run() ledger.Upgrade {
	u, err := r.Ledger().Upgrade(context.Background(), demo)
	if err != nil {
		r.T.Fatal(err)
	}
	return u
}

// cluster is what EKS says, to the root user.
func (r *rig) cluster() upgradepath.Observation { return r.of(demo.Name) }

func (r *rig) of(name string) upgradepath.Observation {
	r.T.Helper()
	versions := observe.NewUpgrades(awscloud.NewUpgrades(r.Config(r.Cloud)), func(_ context.Context, cluster string) (observe.NodeReader, error) { return r.planes.Of(cluster), nil }, nil, cloudtest.Region, time.Now)
	o, err := versions.Cluster(context.Background(), fleet.ClusterID{Region: cloudtest.Region, Name: name})
	if err != nil {
		r.T.Fatal(err)
	}
	return o
}

// shape is what is to be the same however a run went: versions, and that nothing is busy.
func (r *rig) shape() string {
	o := r.cluster()
	out := []string{"control-plane " + o.Version.String() + " " + o.Status}
	for _, g := range o.Groups {
		out = append(out, strings.Join([]string{"group", g.Name, g.Version.String(), g.Release, g.Status}, " "))
	}
	for _, a := range o.Addons {
		out = append(out, strings.Join([]string{"addon", a.Name, a.Version, a.Status}, " "))
	}
	for _, n := range o.Nodes {
		out = append(out, "node "+n.Group+" "+n.Kubelet.String())
	}
	slices.Sort(out)
	return strings.Join(out, "\n")
}

// history is every update of the cluster and its parts that EKS knows: "nodegroup/web VersionUpdate Successful".
func (r *rig) history() (out []string, err error) {
	aws, ctx, o := awscloud.NewUpgrades(r.Config(r.Cloud)), context.Background(), r.cluster()
	add := func(kind, name string) {
		ids, e := aws.Changes(ctx, demo.Name, kind, name)
		if e != nil {
			err = e
		}
		for _, id := range ids {
			u, e := aws.Change(ctx, demo.Name, kind, name, id)
			if e != nil {
				err = e
			}
			out = append(out, strings.Join([]string{kind, name, u.Type, u.Status}, " "))
		}
	}
	add("cluster", "")
	for _, g := range o.Groups {
		add("nodegroup", g.Name)
	}
	for _, a := range o.Addons {
		add("addon", a.Name)
	}
	return out, err
}
