package eks

import (
	"cmp"
	"regexp"
	"slices"
	"time"
)

// components is how a customer wants the control plane's programs to run, since August 2026. It is API state here: the
// Kubernetes behind a cluster keeps upstream's values, which are EKS's defaults.
type components struct {
	APIServer         *apiServerConfig         `json:"kubeApiServerConfig,omitempty"`
	ControllerManager *controllerManagerConfig `json:"kubeControllerManagerConfig,omitempty"`
	Scheduler         *schedulerConfig         `json:"kubeSchedulerConfig,omitempty"`
}

type apiServerConfig struct {
	EventTTL             string     `json:"eventTtl,omitempty"`
	ServiceNodePortRange *portRange `json:"serviceNodePortRange,omitempty"`
}

type portRange struct {
	MinPort int `json:"minPort"`
	MaxPort int `json:"maxPort"`
}

type controllerManagerConfig struct {
	HPA   *hpaConfig   `json:"horizontalPodAutoscalerControllerConfig,omitempty"`
	PodGC *podGCConfig `json:"podGcControllerConfig,omitempty"`
}

type hpaConfig struct {
	SyncPeriod string `json:"horizontalPodAutoscalerSyncPeriod,omitempty"`
}

type podGCConfig struct {
	TerminatedPodThreshold int `json:"terminatedPodGcThreshold,omitempty"`
}

type schedulerConfig struct {
	NodeResourcesFit *nodeResourcesFit `json:"nodeResourcesFit,omitempty"`
}

type nodeResourcesFit struct {
	ScoringStrategy *scoringStrategy `json:"scoringStrategy,omitempty"`
}

type scoringStrategy struct {
	Type      string           `json:"type,omitempty"`
	Resources []resourceWeight `json:"resources,omitempty"`
}

type resourceWeight struct {
	Name   string `json:"name"`
	Weight int    `json:"weight"`
}

func (c components) any() bool {
	return c.APIServer != nil || c.ControllerManager != nil || c.Scheduler != nil
}

// The values that the user guide's "Configure advanced Kubernetes control plane parameters" gives for all versions.
const (
	defaultEventTTL, leastEventTTL           = "60m", "10m"
	defaultSyncPeriod, leastSyncPeriod       = "15s", "10s"
	defaultPodThreshold, leastPodThreshold   = 12500, 10000
	defaultNodePort, leastPort, greatestPort = 30000, 10260, 32767
)

var (
	strategies     = []string{"LeastAllocated", "MostAllocated"}
	scoreResources = []string{"cpu", "memory", "nvidia.com/gpu", "aws.amazon.com/neuron", "aws.amazon.com/neuroncore"}
	defaultWeights = []resourceWeight{{"cpu", 1}, {"memory", 1}}
)

func defaultComponents() components {
	return components{
		APIServer: &apiServerConfig{EventTTL: defaultEventTTL, ServiceNodePortRange: &portRange{defaultNodePort, greatestPort}},
		ControllerManager: &controllerManagerConfig{
			HPA: &hpaConfig{SyncPeriod: defaultSyncPeriod}, PodGC: &podGCConfig{TerminatedPodThreshold: defaultPodThreshold},
		},
		Scheduler: &schedulerConfig{NodeResourcesFit: &nodeResourcesFit{&scoringStrategy{Type: strategies[0], Resources: defaultWeights}}},
	}
}

// with is the configuration after a request: what the request leaves out stays.
func (c components) with(r components) components {
	api, hpa, gc, score := *c.APIServer, *c.ControllerManager.HPA, *c.ControllerManager.PodGC, *c.Scheduler.NodeResourcesFit.ScoringStrategy
	if a := r.APIServer; a != nil {
		api.EventTTL = cmp.Or(a.EventTTL, api.EventTTL)
		api.ServiceNodePortRange = cmp.Or(a.ServiceNodePortRange, api.ServiceNodePortRange)
	}
	if m := r.ControllerManager; m != nil {
		if m.HPA != nil {
			hpa.SyncPeriod = cmp.Or(m.HPA.SyncPeriod, hpa.SyncPeriod)
		}
		if m.PodGC != nil {
			gc.TerminatedPodThreshold = cmp.Or(m.PodGC.TerminatedPodThreshold, gc.TerminatedPodThreshold)
		}
	}
	if s := r.Scheduler; s != nil && s.NodeResourcesFit != nil && s.NodeResourcesFit.ScoringStrategy != nil {
		want := s.NodeResourcesFit.ScoringStrategy
		score.Type = cmp.Or(want.Type, score.Type)
		if len(want.Resources) > 0 {
			score.Resources = want.Resources
		}
	}
	return components{&api, &controllerManagerConfig{&hpa, &gc}, &schedulerConfig{&nodeResourcesFit{&score}}}
}

// A duration has one unit: "30m", "1h", "15s".
var oneUnit = regexp.MustCompile(`^[0-9]+[smh]$`)

func within(value, least, greatest string) bool {
	if !oneUnit.MatchString(value) {
		return false
	}
	length := func(s string) time.Duration {
		d, _ := time.ParseDuration(s) // the form has been checked, and a number too great is 0
		return d
	}
	return length(value) >= length(least) && length(value) <= length(greatest)
}

// check refuses values outside the ranges that DescribeClusterVersions names. The messages' words are not public.
func (c components) check(cluster, version, tier string) error {
	bad := func(name string, value any, rule string) error {
		return invalidParameter(cluster, "The value %v for %s is not supported for Kubernetes version %s: %s", value, name, version, rule)
	}
	a, m, score := c.APIServer, c.ControllerManager, c.Scheduler.NodeResourcesFit.ScoringStrategy
	if !within(a.EventTTL, leastEventTTL, defaultEventTTL) {
		return bad("kubeApiServerConfig.eventTtl", a.EventTTL, "it must be from 10m to 60m")
	}
	if p := a.ServiceNodePortRange; p.MinPort < leastPort || p.MaxPort > greatestPort || p.MinPort > p.MaxPort {
		return bad("kubeApiServerConfig.serviceNodePortRange", *p, "ports must be from 10260 to 32767, the least first")
	}
	if !within(m.HPA.SyncPeriod, leastSyncPeriod, defaultSyncPeriod) {
		return bad("horizontalPodAutoscalerSyncPeriod", m.HPA.SyncPeriod, "it must be from 10s to 15s")
	}
	if tier == standardTier && m.HPA.SyncPeriod != defaultSyncPeriod {
		return bad("horizontalPodAutoscalerSyncPeriod", m.HPA.SyncPeriod, "less than 15s needs a Provisioned Control Plane scaling tier")
	}
	if n := m.PodGC.TerminatedPodThreshold; n < leastPodThreshold || n > defaultPodThreshold {
		return bad("terminatedPodGcThreshold", n, "it must be from 10000 to 12500")
	}
	if !slices.Contains(strategies, score.Type) {
		return bad("scoringStrategy.type", score.Type, "it must be LeastAllocated or MostAllocated")
	}
	for _, r := range score.Resources {
		if !slices.Contains(scoreResources, r.Name) || r.Weight < 1 || r.Weight > 100 {
			return bad("scoringStrategy.resources", r, "weights are from 1 to 100, of resources that DescribeClusterVersions lists")
		}
	}
	return nil
}
