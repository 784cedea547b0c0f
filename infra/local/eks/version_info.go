package eks

// What DescribeClusterVersions tells of the control plane, with the numbers of the user guide's "Configure advanced
// Kubernetes control plane parameters" (August 2026). They are the same for all versions so far.

// firstConfigurable is the oldest minor whose components can be configured.
const firstConfigurable = 31

type tierInfo struct {
	Name        string `json:"tierName"`
	Concurrency int    `json:"apiRequestConcurrency"`
	Scheduling  int    `json:"podSchedulingRatePerSecond"`
	DatabaseGB  int    `json:"clusterDatabaseSizeGb"`
}

var scalingTiers = []tierInfo{{"tier-xl", 2000, 167, 16}, {"tier-2xl", 4000, 283, 16}, {"tier-4xl", 8000, 400, 16}, {"tier-8xl", 16000, 400, 16}}

// parameter is a default value with what limits it.
type parameter[V, L any] struct {
	Default     V `json:"defaultValue"`
	Constraints L `json:"constraints"`
}

type limits[T any] struct {
	Min T `json:"min"`
	Max T `json:"max"`
}

type allowed struct {
	Values []string `json:"allowedValues"`
}

type componentInfo struct {
	APIServer struct {
		EventTTL  parameter[string, limits[string]] `json:"eventTtl"`
		NodePorts parameter[portRange, struct {
			MinPort limits[int] `json:"minPort"`
			MaxPort limits[int] `json:"maxPort"`
		}] `json:"serviceNodePortRange"`
	} `json:"kubeApiServerConfig"`
	Scheduler struct {
		Fit struct {
			Score parameter[scoringStrategy, scoreLimits] `json:"scoringStrategy"`
		} `json:"nodeResourcesFit"`
	} `json:"kubeSchedulerConfig"`
	ControllerManager struct {
		HPA struct {
			Period parameter[string, limits[string]] `json:"horizontalPodAutoscalerSyncPeriod"`
		} `json:"horizontalPodAutoscalerControllerConfig"`
		PodGC struct {
			Threshold parameter[int, limits[int]] `json:"terminatedPodGcThreshold"`
		} `json:"podGcControllerConfig"`
	} `json:"kubeControllerManagerConfig"`
}

type scoreLimits struct {
	Strategy  allowed `json:"scoringStrategy"`
	Resources struct {
		Name   allowed     `json:"name"`
		Weight limits[int] `json:"weight"`
	} `json:"resources"`
}

var versionComponents = func() *componentInfo {
	var c componentInfo
	c.APIServer.EventTTL.Default, c.APIServer.EventTTL.Constraints = defaultEventTTL, limits[string]{leastEventTTL, defaultEventTTL}
	ports := &c.APIServer.NodePorts
	ports.Default = portRange{defaultNodePort, greatestPort}
	ports.Constraints.MinPort, ports.Constraints.MaxPort = limits[int]{leastPort, greatestPort}, limits[int]{leastPort, greatestPort}
	score := &c.Scheduler.Fit.Score
	score.Default = scoringStrategy{strategies[0], defaultWeights}
	score.Constraints.Strategy, score.Constraints.Resources.Name = allowed{strategies}, allowed{scoreResources}
	score.Constraints.Resources.Weight = limits[int]{1, 100}
	hpa, gc := &c.ControllerManager.HPA.Period, &c.ControllerManager.PodGC.Threshold
	hpa.Default, hpa.Constraints = defaultSyncPeriod, limits[string]{leastSyncPeriod, defaultSyncPeriod}
	gc.Default, gc.Constraints = defaultPodThreshold, limits[int]{leastPodThreshold, defaultPodThreshold}
	return &c
}()
