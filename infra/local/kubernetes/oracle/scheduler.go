package oracle

import (
	"context"
	"fmt"
	"slices"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"
	fwk "k8s.io/kube-scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/apis/config"
	"k8s.io/kubernetes/pkg/scheduler/apis/config/latest"
	"k8s.io/kubernetes/pkg/scheduler/backend/cache"
	"k8s.io/kubernetes/pkg/scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/names"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/nodevolumelimits"
	"k8s.io/kubernetes/pkg/scheduler/framework/runtime"
	"k8s.io/kubernetes/pkg/scheduler/metrics"
)

// leftOut are default plugins that filter nothing here and need what is not there: resource claims and slices, and victims.
var leftOut = []string{names.DynamicResources, names.DefaultPreemption}

// scheduler makes the framework of kube-scheduler's default profile, once for each run.
type scheduler struct {
	profile  config.KubeSchedulerProfile
	registry runtime.Registry
	recorder *metrics.MetricAsyncRecorder
}

func newScheduler(ctx context.Context) (*scheduler, error) {
	metrics.Register()
	defaults, err := latest.Default()
	if err != nil {
		return nil, fmt.Errorf("the scheduler's default configuration: %w", err)
	}
	profile := defaults.Profiles[0]
	enabled := &profile.Plugins.MultiPoint.Enabled
	*enabled = slices.DeleteFunc(*enabled, func(p config.Plugin) bool { return slices.Contains(leftOut, p.Name) })
	return &scheduler{profile, plugins.NewInTreeRegistry(), metrics.NewMetricsAsyncRecorder(1000, time.Second, ctx.Done())}, nil
}

// world is the state of one run: what a scheduler would have heard from the API server.
type world struct {
	cache     cache.Cache
	snapshot  *cache.Snapshot
	framework framework.Framework
	storage   storage
	waiting   map[string]*v1.Pod // by namespace/name
	bound     map[string]*v1.Pod // by steps
}

// newWorld makes an empty one. Nobody starts its informers: their stores are filled by hand, and plugins read the stores.
func (s *scheduler) newWorld(ctx context.Context) (*world, error) {
	client := fake.NewClientset()
	factory := informers.NewSharedInformerFactory(client, 0)
	w := &world{
		cache:    cache.New(ctx, nil, false, false),
		snapshot: cache.NewEmptySnapshot(),
		storage:  newStorage(factory),
		waiting:  map[string]*v1.Pod{},
		bound:    map[string]*v1.Pod{},
	}
	var err error
	w.framework, err = runtime.NewFramework(ctx, s.registry, &s.profile,
		runtime.WithClientSet(client),
		runtime.WithInformerFactory(factory),
		runtime.WithSnapshotSharedLister(w.snapshot),
		runtime.WithMutableSnapshotLister(w.snapshot),
		runtime.WithSharedCSIManager(nodevolumelimits.NewCSIManager(factory.Storage().V1().CSINodes().Lister())),
		runtime.WithPodGroupManager(w.cache),
		runtime.WithMetricsRecorder(s.recorder),
		runtime.WithParallelism(1), // the worlds are small
	)
	if err != nil {
		return nil, fmt.Errorf("the scheduler's framework: %w", err)
	}
	w.framework.SetPodNominator(nobody{})
	return w, nil
}

// nobody is a nominator without nominations: they come from preemption.
type nobody struct{ fwk.PodNominator }

func (nobody) NominatedPodsForNode(string) []fwk.PodInfo { return nil }
