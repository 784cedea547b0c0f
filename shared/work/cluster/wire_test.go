package cluster_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/iam"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/infra/local"
	"github.com/ekspedite/ekspedite/infra/local/eks"
	"github.com/ekspedite/ekspedite/infra/local/faults"
	"github.com/ekspedite/ekspedite/shared/apply"
	"github.com/ekspedite/ekspedite/shared/awscloud"
	"github.com/ekspedite/ekspedite/shared/decide/cluster"
	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/handler"
	"github.com/ekspedite/ekspedite/shared/ledger"
	"github.com/ekspedite/ekspedite/shared/observe"
	"github.com/ekspedite/ekspedite/shared/plan"
	work "github.com/ekspedite/ekspedite/shared/work/cluster"
)

// plane stands in for Kubernetes, which takes minutes to build.
type plane struct{ done chan struct{} }

func (plane) Launch(context.Context, eks.Spec) (eks.ControlPlane, error) {
	return &plane{make(chan struct{})}, nil
}
func (*plane) Endpoint() string                                      { return "https://127.0.0.1:1" }
func (*plane) CAData() string                                        { return base64.StdEncoding.EncodeToString([]byte("none")) }
func (*plane) AdminKubeconfig() string                               { return "" }
func (*plane) PutNode(context.Context, eks.Node) error               { return nil }
func (*plane) DeleteNode(context.Context, string) error              { return nil }
func (*plane) StopNode(context.Context, string) error                { return nil }
func (*plane) StartNode(context.Context, string) error               { return nil }
func (*plane) Upgrade(context.Context, string) error                 { return nil }
func (*plane) Cordon(context.Context, string) error                  { return nil }
func (*plane) Evict(context.Context, string, bool) (int, error)      { return 0, nil }
func (*plane) Relabel(context.Context, string, eks.NodeChange) error { return nil }
func (p *plane) Stop() error                                         { close(p.done); return nil }
func (p *plane) Done() <-chan struct{}                               { return p.done }
func (*plane) Err() error                                            { return nil }

// access is the RBAC of that Kubernetes.
type access struct {
	mu  sync.Mutex
	has *fleet.ClusterAccess
}

func (a *access) ClusterAccess(context.Context, string, string) (fleet.ClusterAccess, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.has == nil {
		return fleet.ClusterAccess{}, fault.New(fault.NotFound, "no role")
	}
	return *a.has, nil
}

func (a *access) PutClusterAccess(_ context.Context, p plan.PutClusterAccess) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.has = &p.Access
	return nil
}

// reports is the bus.
type reports struct {
	mu   sync.Mutex
	list []events.Event
}

func (r *reports) Publish(_ context.Context, list ...events.Event) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.list = append(r.list, list...)
	return nil
}

// TestOverTheWire makes clusters in the embedded cloud, by the real SDK, with faults: the calls, tags, filters and error
// codes are AWS's, as far as the embedded cloud knows them.
func TestOverTheWire(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a cloud")
	}
	text, err := os.ReadFile("../../../examples/demo.yaml")
	if err != nil {
		t.Fatal(err)
	}
	nat := strings.NewReplacer("name: demo", "name: nat", "Disable", "Single", "spot: true", "privateNetworking: true").Replace(string(text))
	for name, spec := range map[string]string{"demo": string(text), "nat": nat} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // most of it is waiting
			overTheWire(t, name, spec)
		})
	}
}

func overTheWire(t *testing.T, name, spec string) {
	cloud, err := local.Start(t.Context(), local.Options{
		Seed: 7, Faults: &faults.Hostile, Launcher: plane{}, TemplateDir: "../../../infra/template", Log: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError})),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := cloud.Close(); err != nil {
			t.Error(err)
		}
	}()
	key, secret, token, role := session(t, cloud)
	cfg, err := config.LoadDefaultConfig(t.Context(), config.WithRegion("us-east-1"), config.WithBaseEndpoint(cloud.Endpoint()),
		config.WithCredentialsProvider(credentials.NewStaticCredentialsProvider(key, secret, token)),
		config.WithSharedConfigFiles([]string{os.DevNull}), config.WithSharedCredentialsFiles([]string{os.DevNull}))
	if err != nil {
		t.Fatal(err)
	}
	networks, roles, control := awscloud.NewNetworks(cfg), awscloud.NewRoles(cfg), awscloud.NewClusters(cfg)
	inside, bus, ids := &access{}, &reports{}, 0
	w := &work.Work{
		Observe: observe.Clusters{Networks: networks, Roles: roles, EKS: control, Kubernetes: inside},
		Apply:   apply.ClusterWriter{VPCs: networks, Gateways: networks, Routes: networks, Roles: roles, EKS: control, Access: inside}.Do,
		Ledger:  &ledger.Ledger{Store: &ledger.Memory{}, Now: time.Now}, Bus: bus, InterruptionRole: "arn:aws:iam::123456789012:role/ekspedite-interruption",
		Account: "123456789012", Region: "us-east-1", NewID: func() string { ids++; return fmt.Sprint("id-", ids) }, Now: time.Now,
	}
	run := func(request string) events.RunFinished {
		start, e := time.Now(), event(t, &events.ClusterApplyRequested{RequestID: request, Spec: spec})
		for looks := 1; ; looks++ {
			out := w.Handle(t.Context(), handler.Delivery{Event: e})
			if out.Err != nil {
				t.Fatal(out.Err)
			}
			if out.Next == nil {
				done := bus.list[len(bus.list)-1].Payload.(*events.RunFinished)
				t.Logf("%s: %s after %d looks in %s: %v", request, done.Outcome, looks, time.Since(start).Round(time.Millisecond), done.Counts)
				return *done
			}
			if looks > 60 {
				t.Fatalf("it does not end: %s", progress(bus.list))
			}
			time.Sleep(min(out.After, 2*time.Second))
			e = event(t, out.Next)
		}
	}
	if done := run("one"); done.Outcome != events.OutcomeActive {
		t.Fatalf("%+v\n%s", done, progress(bus.list))
	}
	if done := run("two"); done.Outcome != events.OutcomeActive || done.Counts["writes"] != 0 || done.Counts["notes"] != 0 {
		t.Errorf("again: %+v\n%s", done, progress(bus.list))
	}
	n, err := networks.Network(t.Context(), name, true)
	if err != nil {
		t.Fatal(err)
	}
	if len(n.VPCs) != 1 || len(n.Gateways) != 1 || len(n.Subnets)%3 != 0 || len(n.NATs) > 1 || len(n.Addresses) != len(n.NATs) {
		t.Errorf("%+v", n)
	}
	for _, d := range cloud.IAM.Denied() {
		if d.RoleARN == role {
			t.Errorf("the template does not grant %+v", d)
		}
	}
	used := false // else nothing was enforced
	for _, g := range cloud.IAM.Report() {
		used = used || g.RoleARN == role && g.Calls > 0
	}
	if !used {
		t.Error("the role's permissions were not asked for")
	}
	names := map[string]bool{}
	for _, s := range n.Subnets {
		if names[s.Resource] {
			t.Errorf("%s is there twice", s.Resource)
		}
		names[s.Resource] = true
	}
	for _, group := range []string{"spot", "on-demand"} {
		if g, err := control.NodeGroup(t.Context(), name, group); err != nil || g.Status != "ACTIVE" {
			t.Errorf("%+v, %v", g, err)
		}
	}
	if inside.has == nil || !slices.Equal(inside.has.Groups, []string{cluster.InterruptionGroup}) {
		t.Errorf("%+v", inside.has)
	}
}

// session is the credentials of the cluster function's role, as the template has it.
func session(t *testing.T, cloud *local.Cloud) (key, secret, token, role string) {
	root, err := config.LoadDefaultConfig(t.Context(), config.WithRegion("us-east-1"), config.WithBaseEndpoint(cloud.Endpoint()),
		config.WithCredentialsProvider(credentials.NewStaticCredentialsProvider(cloud.AccessKey(), cloud.SecretKey(), "")))
	if err != nil {
		t.Fatal(err)
	}
	out, err := iam.NewFromConfig(root).ListRoles(t.Context(), &iam.ListRolesInput{})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range out.Roles {
		if strings.Contains(*r.RoleName, "ClusterFunctionRole") {
			role = *r.Arn
		}
	}
	if key, secret, token, err = cloud.IAM.SessionFor(role, "test"); err != nil {
		t.Fatal(role, err)
	}
	return key, secret, token, role
}

func event(t *testing.T, p events.OwnPayload) events.Event {
	e, err := events.New(p, "event-1", time.Now(), "123456789012", "us-east-1")
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func progress(list []events.Event) string {
	var b strings.Builder
	for _, e := range list {
		if p, ok := e.Payload.(*events.RunProgressed); ok {
			fmt.Fprintf(&b, "%s %s: %s\n", p.At.Format("05.000"), p.Step, p.Detail)
			continue
		}
		text, _ := json.Marshal(e.Payload)
		fmt.Fprintf(&b, "%s\n", text)
	}
	return b.String()
}
