package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/infra/local"
	"github.com/ekspedite/ekspedite/infra/local/eks"
	"github.com/ekspedite/ekspedite/infra/local/faults"
	"github.com/ekspedite/ekspedite/shared/apply"
	"github.com/ekspedite/ekspedite/shared/awscloud"
	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/handler"
	"github.com/ekspedite/ekspedite/shared/ledger"
	"github.com/ekspedite/ekspedite/shared/observe"
	work "github.com/ekspedite/ekspedite/shared/work/cluster"
)

// rig is the embedded cloud with the committed template, and the cluster function's work in this process: its binary and
// Kubernetes take minutes to build. It listens to the bus and writes the template's own ledger.
type rig struct {
	t     *testing.T
	cloud *local.Cloud
	work  *work.Work

	mu      sync.Mutex
	inside  map[string]fleet.Props // objects of all clusters
	stopped bool                   // the function does not run
	ahead   time.Duration          // of the function's clock
	asked   int                    // requests on the bus
}

func newRig(t *testing.T) *rig { return newRigWith(t, eks.Idle{}) }

func newRigWith(t *testing.T, planes eks.Launcher) *rig {
	t.Helper()
	none := faults.None
	quiet := slog.New(slog.NewTextHandler(io.Discard, nil))
	cloud, err := local.Start(t.Context(), local.Options{
		Seed: 1, Faults: &none, TemplateDir: filepath.Join("..", "..", "infra", "template"), DataDir: t.TempDir(), Launcher: planes, Log: quiet,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cloud.Close() })
	t.Setenv("AWS_ENDPOINT_URL", cloud.Endpoint())
	t.Setenv("AWS_REGION", cloud.World.Region)
	t.Setenv("AWS_ACCESS_KEY_ID", cloud.AccessKey())
	t.Setenv("AWS_SECRET_ACCESS_KEY", cloud.SecretKey())
	t.Setenv("AWS_CONFIG_FILE", filepath.Join(t.TempDir(), "none"))
	for _, name := range []string{"EKSPEDITE_TABLE", "EKSPEDITE_BUS", "AWS_PROFILE", "KUBECONFIG"} {
		t.Setenv(name, "")
	}
	r := &rig{t: t, cloud: cloud, inside: map[string]fleet.Props{}}
	cfg := awscloud.Static(cloud.Endpoint(), cloud.World.Region, cloud.AccessKey(), cloud.SecretKey())
	arn := func(id string) string { return r.physical(id).Attributes["Arn"] }
	r.work = &work.Work{
		Open: func(region string) work.Reach {
			aws := awscloud.NewRegion(awscloud.InRegion(cfg, region))
			return work.Reach{Observe: observe.Clusters{AWS: aws, Kubernetes: r, Now: time.Now}, Apply: apply.ClusterWriter{AWS: aws, Kubernetes: r}.Do}
		},
		Ledger: &ledger.Ledger{Store: awscloud.NewStore(cfg, r.physical("Table").Ref), Now: r.now},
		Bus:    awscloud.NewBus(cfg, "ekspedite"), Queue: r,
		InterruptionRole: arn("InterruptionFunctionRole"), UpgradeRole: arn("UpgradeFunctionRole"), Role: arn("ClusterFunctionRole"), Account: cloud.World.Account, Region: cloud.World.Region,
		NewID: requestID, Now: r.now,
	}
	cloud.EventBridge.Watch(func(_ string, body []byte) {
		if e, err := events.Decode(body); err == nil {
			switch e.Payload.(type) {
			case *events.ClusterApplyRequested, *events.ClusterDeleteRequested:
				r.mu.Lock()
				r.asked++
				r.mu.Unlock()
				go r.handle(e)
			}
		}
	})
	return r
}

func (r *rig) physical(id string) struct {
	Ref        string
	Attributes map[string]string
} {
	r.t.Helper()
	found, ok := r.cloud.Stack.Find(id)
	if !ok {
		r.t.Fatalf("the template has no %s", id)
	}
	return struct {
		Ref        string
		Attributes map[string]string
	}{found.Ref, found.Attributes}
}

// now is the function's clock.
func (r *rig) now() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return time.Now().Add(r.ahead)
}

// later lets time pass for the function: what it has made becomes what was there.
func (r *rig) later(d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ahead += d
}

// handle is the function with its queue.
func (r *rig) handle(e events.Event) {
	r.mu.Lock()
	stopped := r.stopped
	r.mu.Unlock()
	for ctx := r.t.Context(); !stopped && ctx.Err() == nil; {
		o := r.work.Handle(ctx, handler.Delivery{Event: e})
		switch {
		case o.Next != nil:
			next, err := events.New(o.Next, requestID(), time.Now(), r.work.Account, r.work.Region)
			if err != nil {
				panic(err)
			}
			e = next
			time.Sleep(min(o.After, time.Second))
		case o.Err != nil && fault.Of(o.Err) != fault.Invalid, o.Again:
			time.Sleep(time.Second)
		default:
			return
		}
	}
}

// Continue is the function's own queue.
func (r *rig) Continue(_ context.Context, body string, delay time.Duration) error {
	e, err := events.Decode([]byte(body))
	if err == nil {
		time.AfterFunc(delay, func() { r.handle(e) })
	}
	return err
}

func (r *rig) Object(_ context.Context, cluster string, ref fleet.Ref) (fleet.Resource, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p, ok := r.inside[cluster+"|"+ref.Name]
	if !ok {
		return fleet.Resource{}, fault.New(fault.NotFound, "no %s", ref.Name)
	}
	return fleet.Resource{Ref: ref, Props: p}, nil
}

func objectKey(cluster string, o fleet.Props) string {
	return strings.Join([]string{cluster, fleet.Text(o, "apiVersion"), fleet.Text(o, "kind"), fleet.Text(o, "metadata", "namespace"), fleet.Text(o, "metadata", "name")}, "|")
}

func (r *rig) Apply(_ context.Context, cluster string, object fleet.Props) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.inside[objectKey(cluster, object)] = object
	return nil
}

func (r *rig) Delete(_ context.Context, cluster string, object fleet.Props) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.inside, objectKey(cluster, object))
	return nil
}

// stop has the function do nothing from now on.
func (r *rig) stop() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stopped = true
}

// printed is what a command line printed.
type printed struct {
	code     int
	out, err string
}

func (p printed) String() string {
	return fmt.Sprintf("exit code %d\nstdout:\n%s\nstderr:\n%s", p.code, p.out, p.err)
}

func run(ctx context.Context, stdin string, args ...string) printed {
	var out, errs bytes.Buffer
	code := exec(ctx, args, strings.NewReader(stdin), &out, &errs)
	return printed{code, out.String(), errs.String()}
}

// want runs a command line that is to end with a code and say some things.
func want(t *testing.T, code int, says []string, stdin string, args ...string) printed {
	t.Helper()
	p := run(t.Context(), stdin, args...)
	if p.code != code {
		t.Fatalf("ekspedite %s: want exit code %d\n%s", strings.Join(args, " "), code, p)
	}
	for _, s := range says {
		if !strings.Contains(p.out+p.err, s) {
			t.Errorf("ekspedite %s does not say %q\n%s", strings.Join(args, " "), s, p)
		}
	}
	return p
}

// wantJSON runs a command line whose output is to be one JSON value and nothing else.
func wantJSON[T any](t *testing.T, code int, stdin string, args ...string) (v T) {
	t.Helper()
	p := want(t, code, nil, stdin, append(args, "-o", "json")...)
	d := json.NewDecoder(strings.NewReader(p.out))
	if err := d.Decode(&v); err != nil || d.More() {
		t.Fatalf("it is not one JSON value: %v\n%s", err, p)
	}
	return v
}
