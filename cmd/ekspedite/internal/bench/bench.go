// Package bench measures the interruption function on the embedded cloud: the real binary, the committed template, a real
// API server. Its figures compare runs on one machine; nothing passes or fails by them.
package bench

import (
	"context"
	_ "embed"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/cmd/ekspedite/internal/scene"
	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/infra/local"
	"github.com/ekspedite/ekspedite/infra/local/lambda"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

//go:embed bench.yaml
var spec string

// Options of a benchmark.
type Options struct {
	Out    io.Writer
	Cloud  *local.Cloud
	Events int // interruptions to measure
	BinDir string
	Only   []string // parts; none is Usual
	// Clusters is over how many clusters the burst of 1,000 goes.
	Clusters int
}

// Result is what was measured. Times are in milliseconds.
type Result struct {
	Events            int     `json:"events"`
	EventToCordonP50  float64 `json:"eventToCordonP50Ms"` // the notice is put on the bus → the node is seen cordoned
	EventToCordonP99  float64 `json:"eventToCordonP99Ms"`
	ColdInitP50       float64 `json:"coldInitP50Ms"` // exec → first poll of the Runtime API
	ColdInits         int     `json:"coldInits"`
	BinaryBytes       int64   `json:"binaryBytes"`
	BigNodePods       int     `json:"bigNodePods"`
	BigEventToCordon  float64 `json:"bigEventToCordonMs"`
	BigAllEvicted     float64 `json:"bigEventToAllEvictionsMs"`
	BigKubernetes     int64   `json:"bigKubernetesCalls"`
	BigCPU            float64 `json:"bigCpuMs"`         // of all its invocations, until the node is empty
	BigEvictionCPU    float64 `json:"bigEvictionCpuMs"` // of the invocation that evicts
	FunctionPeakRSSMB int     `json:"functionPeakMemoryMB"`

	Bursts     []Burst      `json:"bursts,omitempty"`
	Many       *Burst       `json:"many,omitempty"`
	Blocked    *Blocked     `json:"blocked,omitempty"`
	Throughput []Throughput `json:"throughput,omitempty"`
	Load       string       `json:"load"` // when it began: 1, 5 and 15 minutes
}

// Run measures.
func Run(ctx context.Context, o Options) (Result, error) {
	r := Result{Load: load()}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s := scene.New(o.Cloud)
	if info, err := os.Stat(filepath.Join(o.BinDir, "interruption", "bootstrap")); err == nil {
		r.BinaryBytes = info.Size()
	}
	if err := r.single(ctx, o, s); err != nil {
		return r, err
	}
	if err := r.crowds(ctx, o, s); err != nil {
		return r, err
	}
	if o.wants(PartThroughput) {
		for mix := range mixes {
			t, err := throughput(ctx, o, mix, 20_000, 60) // as many batches at once as the template allows
			if err != nil {
				return r, err
			}
			r.Throughput = append(r.Throughput, t)
		}
	}
	stats := functionStats(o.Cloud)
	r.ColdInits, r.FunctionPeakRSSMB = len(stats.Inits), stats.PeakMemoryMB
	r.ColdInitP50 = milliseconds(percentile(stats.Inits, 50))
	return r, nil
}

// single interrupts nodes one after the other.
func (r *Result) single(ctx context.Context, o Options, s *scene.Scene) error {
	if !o.wants(PartLatency) && !o.wants(PartBig) {
		return nil
	}
	fmt.Fprintf(o.Out, "Creating a cluster with %d small spot nodes and one large one\n", smallNodes)
	client, err := s.Apply(ctx, spec, "bench", 5*time.Minute)
	if err != nil {
		return err
	}
	v := scene.Watch(ctx, client, "default")
	if err := v.Wait(ctx, "all nodes", 2*time.Minute, func() bool { return v.ReadyNodes() >= smallNodes+1 }); err != nil {
		return err
	}
	if o.wants(PartLatency) {
		if err := r.latency(ctx, o, s, v); err != nil {
			return err
		}
	}
	if o.wants(PartBig) {
		return r.bigNode(ctx, o, s, v, client)
	}
	return nil
}

// smallNodes is the desired size of the group "small" in bench.yaml.
const smallNodes = 20

// latency interrupts idle nodes one after the other. The first ones only warm the function up.
func (r *Result) latency(ctx context.Context, o Options, s *scene.Scene, v *scene.View) error {
	const warmUp = 5
	fmt.Fprintf(o.Out, "Interrupting %d idle nodes, one after the other\n", o.Events)
	var took []time.Duration
	seen := map[string]bool{}
	for i := range warmUp + o.Events {
		var target fleet.Node
		if err := v.Wait(ctx, "a fresh node", time.Minute, func() bool {
			for _, n := range v.ByGroup("small") {
				if n.Ready && !n.Unschedulable && !seen[n.Name] {
					target = n
					return true
				}
			}
			return false
		}); err != nil {
			return err
		}
		seen[target.Name] = true
		d, err := r.cordonTime(ctx, s, v, target)
		if err != nil {
			return err
		}
		if i >= warmUp {
			took = append(took, d)
		}
	}
	r.Events = len(took)
	r.EventToCordonP50, r.EventToCordonP99 = milliseconds(percentile(took, 50)), milliseconds(percentile(took, 99))
	return nil
}

// cordonTime interrupts a node's machine and waits until the watch shows the cordon and the run has ended, so that the
// next one finds an idle function.
func (r *Result) cordonTime(ctx context.Context, s *scene.Scene, v *scene.View, node fleet.Node) (time.Duration, error) {
	var cordoned time.Time
	v.Observe(nil, func(_ bool, before, n fleet.Node) {
		if n.Name == node.Name && n.Unschedulable && !before.Unschedulable {
			cordoned = time.Now()
		}
	})
	id := scene.InstanceID(node)
	at, err := s.Interrupt(id)
	if err != nil {
		return 0, err
	}
	if err := v.Wait(ctx, "the cordon of "+node.Name, time.Minute, func() bool { return !cordoned.IsZero() }); err != nil {
		return 0, err
	}
	_, err = s.AwaitRun(ctx, "interruption of "+id, time.Minute, func(e events.RunFinished) bool { return e.Subject.InstanceID == id })
	return cordoned.Sub(at), err
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// percentile of a list, by nearest rank.
func percentile(list []time.Duration, p int) time.Duration {
	if len(list) == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(list))
	return s[min((len(s)*p+99)/100, len(s))-1]
}

func functionStats(cloud *local.Cloud) lambda.Stats {
	for _, st := range cloud.Lambda.Stats() {
		if strings.Contains(strings.ToLower(st.Function), "interruption") {
			return st
		}
	}
	return lambda.Stats{}
}
