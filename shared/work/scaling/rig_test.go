package scaling

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/infra/local/eks"
	"github.com/ekspedite/ekspedite/infra/local/world"
	"github.com/ekspedite/ekspedite/internal/cloudtest"
	"github.com/ekspedite/ekspedite/shared/awscloud"
	"github.com/ekspedite/ekspedite/shared/decide/scaling"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/handler"
	"github.com/ekspedite/ekspedite/shared/ledger"
	"github.com/ekspedite/ekspedite/shared/observe"
)

const (
	account = cloudtest.Account
	region  = cloudtest.Region
)

var demo = fleet.ClusterID{Region: region, Name: "demo"}

// file is the cluster: a group that EKS manages, and one of ours, of the same machines in the same zone.
const file = `apiVersion: eksctl.io/v1alpha5
kind: ClusterConfig
metadata: {name: demo, region: us-east-1, version: "1.36"}
availabilityZones: [us-east-1a, us-east-1b]
vpc: {nat: {gateway: Disable}, clusterEndpoints: {publicAccess: true, privateAccess: true}}
accessConfig: {authenticationMode: API}
managedNodeGroups:
  - {name: base, instanceType: m5.large, minSize: 0, desiredCapacity: 0, maxSize: 10, availabilityZones: [us-east-1a]}
nodeGroups:
  - {name: own, instanceType: m5.large, minSize: 0, desiredCapacity: 0, maxSize: 10, availabilityZones: [us-east-1a]}
`

// rig is the function with everything around it, and a cluster whose Kubernetes is a small stand-in.
type rig struct {
	*cloudtest.Rig
	kube   *kubernetes
	market *observe.Market
	groups *awscloud.NodeGroups // of the execution environment, which lives on
}

// inBubble runs a test with a cluster that is there and empty.
func inBubble(t *testing.T, test func(t *testing.T, r *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := &rig{Rig: cloudtest.New(t, world.Fast, eks.Idle{})}
		r.kube = newKubernetes(r)
		r.Build(file)
		r.policy(func(p *fleet.ScalingPolicy) { p.Groups = []fleet.GroupPolicy{{Name: "own", Ignore: true}} })
		r.Function, r.Timeout, r.Visibility, r.Receives = function, time.Minute, 75*time.Second, 5 // as in the template
		r.EachCounts, r.NoRedrive = true, true
		r.Every = map[time.Duration]events.OwnPayload{time.Minute: &events.ScalingSweepRequested{}}
		r.Work = func(s *cloudtest.Session) handler.Work { return r.work(s).Handle }
		r.Heard = func(e events.Event) {
			if p, ok := e.Payload.(*events.NodeRemovalRequested); ok {
				r.removed(p)
			}
		}
		test(t, r)
	})
}

// policy changes what the owner has decided: to act, and what change says.
func (r *rig) policy(change func(*fleet.ScalingPolicy)) {
	r.T.Helper()
	r.Change(demo, func(p *fleet.Policy) {
		p.Scaling.Mode = fleet.ScalingAct
		change(&p.Scaling)
	})
}

// work is the function, whose every call goes through a session.
func (r *rig) work(s *cloudtest.Session) *Work {
	cfg := r.ConfigIn(region, s)
	groups := awscloud.NewNodeGroups(cfg, time.Now)
	market := observe.NewMarket(awscloud.NewMarket(cfg, time.Now), &ledger.Ledger{Store: s, Now: time.Now}, region, time.Now)
	if s.Warm {
		if r.groups == nil {
			r.groups, r.market = groups, market
		}
		groups, market = r.groups, r.market
	}
	return &Work{
		Open: func(string) Reach {
			return Reach{
				Groups: groups, Owners: groups, Sizes: groups, Makes: groups, Market: market,
				Kubernetes: func(context.Context, string) (Kubernetes, error) { return inside{s, r.kube}, nil },
			}
		},
		Ledger: &ledger.Ledger{Store: s, Now: time.Now}, Bus: s, Queue: s, Account: account, Region: r.Home, NewID: r.ID, Now: time.Now,
	}
}

// ring is the doorbell.
func (r *rig) ring() {
	r.Send(&events.ScalingRequested{Cluster: demo.Name, Region: region, Source: events.ScalingSourceWebhook, SeenAt: time.Now()})
}

// all are the cluster's node groups, as the root user sees them.
func (r *rig) all() []scaling.Group {
	list, err := awscloud.NewNodeGroups(r.Config(r.Cloud), time.Now).Groups(context.Background(), demo.Name)
	if err != nil {
		r.T.Fatal(err)
	}
	return list
}

// group is one of them: how many machines it shall have, and has.
func (r *rig) group(name string) (size, members int) {
	for _, g := range r.all() {
		if g.Name == name {
			return g.Desired, len(g.Members)
		}
	}
	r.T.Fatalf("no group %s", name)
	return 0, 0
}
