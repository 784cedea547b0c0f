package cluster_test

import (
	"cmp"
	"context"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/infra/local/eks"
	"github.com/ekspedite/ekspedite/infra/local/world"
	"github.com/ekspedite/ekspedite/internal/cloudtest"
	"github.com/ekspedite/ekspedite/shared/apply"
	"github.com/ekspedite/ekspedite/shared/awscloud"
	"github.com/ekspedite/ekspedite/shared/decide/preflight"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/handler"
	"github.com/ekspedite/ekspedite/shared/ledger"
	"github.com/ekspedite/ekspedite/shared/observe"
	"github.com/ekspedite/ekspedite/shared/plan"
	"github.com/ekspedite/ekspedite/shared/work/cluster"
)

const (
	account = cloudtest.Account
	region  = cloudtest.Region
	drainer = "arn:aws:iam::123456789012:role/ekspedite-Interruption-Role"
)

// rig is the function with everything around it, and with Kubernetes in all clusters.
type rig struct {
	*cloudtest.Rig
	inside *cloudtest.Objects
	// strangers are what was there before without tags.
	strangers []string
	boundary  string // of the roles that it makes
	scaling   cluster.Scaling
}

// inBubble runs f with a clock of its own and a cloud in it.
func inBubble(t *testing.T, profile world.Profile, f func(t *testing.T, r *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := &rig{Rig: cloudtest.New(t, profile, eks.Idle{}), inside: &cloudtest.Objects{}}
		r.Function, r.NoRedrive, r.Steps = "cluster", true, 2000
		r.Work = func(s *cloudtest.Session) handler.Work { return r.work(s).Handle }
		f(t, r)
	})
}

// work is the function in a new execution environment.
func (r *rig) work(s *cloudtest.Session) *cluster.Work {
	return &cluster.Work{
		Open: func(region string) cluster.Reach {
			cfg, there := r.ConfigIn(region, s), kubernetes{s, r.inside}
			reach := awscloud.NewRegion(cfg)
			return cluster.Reach{
				Observe: observe.Clusters{AWS: reach, Kubernetes: there, Now: time.Now},
				Apply:   apply.ClusterWriter{AWS: reach, Kubernetes: there}.Do,
				Preflight: func(ctx context.Context, c fleet.ClusterSpec, p plan.Plan) []preflight.Finding {
					facts := preflight.Facts{Now: time.Now(), Account: account} // no role: nobody enforces permissions here
					facts = observe.Preflight(ctx, awscloud.NewPreflight(cfg), facts, preflight.Ask(facts, c, p))
					return preflight.Preflight(facts, c, p)
				},
			}
		},
		Ledger: &ledger.Ledger{Store: s, Now: time.Now}, Bus: s, Queue: s, InterruptionRole: drainer,
		Role:    cmp.Or(r.RoleARN, "arn:aws:iam::123456789012:role/ekspedite-Cluster-Role"),
		Account: account, Region: region, NewID: r.ID, Now: time.Now, Boundary: r.boundary, Scaling: r.scaling,
	}
}

// run delivers messages until there are none.
func (r *rig) run() {
	r.T.Helper()
	r.RunUntil(func() bool { return r.Queue.Len() == 0 }, time.Now().Add(100*time.Hour))
}

// ask puts a request on the queue.
func (r *rig) ask(id, spec string) { r.Send(&events.ClusterApplyRequested{RequestID: id, Spec: spec}) }

// example is one of the files that users get.
func example(t testing.TB, name string) string {
	t.Helper()
	text, err := os.ReadFile("../../../examples/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// kubernetes is the API of all clusters, as one invocation reaches it.
type kubernetes struct {
	s    *cloudtest.Session
	list *cloudtest.Objects
}

func (k kubernetes) Object(ctx context.Context, cluster string, ref fleet.Ref) (fleet.Resource, error) {
	return cloudtest.Read(ctx, k.s, "kubernetes GET "+ref.ID, func() (fleet.Resource, error) { return k.list.Object(ctx, cluster, ref) })
}

func (k kubernetes) Apply(ctx context.Context, cluster string, object fleet.Props) error {
	k.s.Count("kubernetes apply")
	return k.s.Call(ctx, "kubernetes apply", func() error { return k.list.Apply(ctx, cluster, object) })
}

func (k kubernetes) Delete(ctx context.Context, cluster string, object fleet.Props) error {
	k.s.Count("kubernetes delete")
	return k.s.Call(ctx, "kubernetes delete", func() error { return k.list.Delete(ctx, cluster, object) })
}
