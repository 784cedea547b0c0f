package readiness

import (
	"time"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

// NodeFacts is what the checks read of a node beside its version; EKS.Nodes has the others by the same Name.
type NodeFacts struct {
	Name string `json:"name"`
	Zone string `json:"zone,omitempty"`
	// OSImage, Kernel and Runtime are nodeInfo's: "Amazon Linux 2023.9.20251027", "6.12.…", "containerd://2.1.4".
	OSImage string `json:"osImage,omitempty"`
	Kernel  string `json:"kernel,omitempty"`
	Runtime string `json:"runtime,omitempty"`
	// Cgroup is 1 or 2, 0 where it is not known (the API does not say it; the kubelet's metrics do).
	Cgroup int `json:"cgroup,omitempty"`
	// Pressure are the conditions that are True and should not be: MemoryPressure, DiskPressure, PIDPressure, NetworkUnavailable.
	Pressure     []string `json:"pressure,omitempty"`
	InstanceType string   `json:"instanceType,omitempty"`
	// DoNotDisrupt: it carries karpenter.sh/do-not-disrupt.
	DoNotDisrupt bool   `json:"doNotDisrupt,omitempty"`
	NodePool     string `json:"nodePool,omitempty"` // Karpenter's or Auto Mode's
}

// Namespace is one with its labels, for selectors.
type Namespace struct {
	Name   string            `json:"name"`
	Labels map[string]string `json:"labels,omitempty"`
}

// Pod is one that has not finished.
type Pod struct {
	Namespace string            `json:"namespace"`
	Name      string            `json:"name"`
	Node      string            `json:"node,omitempty"`
	Labels    map[string]string `json:"labels,omitempty"`
	// Annotations are only those that checks know: see AnnotationsRead.
	Annotations map[string]string `json:"annotations,omitempty"`
	// OwnerKind and OwnerName are the controller's; of a ReplicaSet of a Deployment, and of a Job of a CronJob, the latter's.
	OwnerKind string        `json:"ownerKind,omitempty"`
	OwnerName string        `json:"ownerName,omitempty"`
	Phase     string        `json:"phase"`
	Ready     bool          `json:"ready,omitempty"`
	Deleting  bool          `json:"deleting,omitempty"`
	Mirror    bool          `json:"mirror,omitempty"`
	Created   time.Time     `json:"created,omitzero"`
	Grace     time.Duration `json:"grace"` // terminationGracePeriodSeconds
	Images    []string      `json:"images,omitempty"`
	// Waiting are the reasons for which containers are waiting: ImagePullBackOff, CrashLoopBackOff, …
	Waiting []string `json:"waiting,omitempty"`
	// HostPaths are the paths of the node that it mounts.
	HostPaths []string `json:"hostPaths,omitempty"`
	EmptyDir  bool     `json:"emptyDir,omitempty"` // on disk; of memory does not count
	GitRepo   bool     `json:"gitRepo,omitempty"`
	Claims    []string `json:"claims,omitempty"` // names of PersistentVolumeClaims
	// SELinux is the level of its seLinuxOptions, "" for none; SELinuxPolicy its seLinuxChangePolicy.
	SELinux       string `json:"selinux,omitempty"`
	SELinuxPolicy string `json:"selinuxPolicy,omitempty"`
}

// AnnotationsRead are the annotations of pods and of pod templates that checks know: whole keys, and prefixes, which end in "/".
var AnnotationsRead = []string{
	"cluster-autoscaler.kubernetes.io/safe-to-evict",
	"karpenter.sh/do-not-disrupt",
	"karpenter.sh/do-not-evict",
	"seccomp.security.alpha.kubernetes.io/pod",
	"container.seccomp.security.alpha.kubernetes.io/",
	"container.apparmor.security.beta.kubernetes.io/",
}

// Workload is a controller of pods.
type Workload struct {
	Kind      string          `json:"kind"` // Deployment, StatefulSet, DaemonSet, ReplicaSet (without an owner), Job, CronJob
	Namespace string          `json:"namespace"`
	Name      string          `json:"name"`
	Replicas  int             `json:"replicas"` // wanted; of a DaemonSet desiredNumberScheduled, of a Job its parallelism
	Ready     int             `json:"ready"`
	Selector  *fleet.Selector `json:"selector,omitempty"`
	// Labels are the pod template's.
	Labels          map[string]string `json:"labels,omitempty"`
	Annotations     map[string]string `json:"annotations,omitempty"` // the pod template's, of AnnotationsRead
	Images          []string          `json:"images,omitempty"`
	ReadinessProbe  bool              `json:"readinessProbe,omitempty"` // every container that could have one has it
	MinReadySeconds int               `json:"minReadySeconds,omitempty"`
	Grace           time.Duration     `json:"grace"`
	Spread          bool              `json:"spread,omitempty"` // topology spread constraints or anti-affinity to itself
	HostPaths       []string          `json:"hostPaths,omitempty"`
	GitRepo         bool              `json:"gitRepo,omitempty"`
	// Active is how many pods of a Job are running, Deadline its activeDeadlineSeconds, Started when it began.
	Active   int           `json:"active,omitempty"`
	Deadline time.Duration `json:"deadline,omitempty"`
	Started  time.Time     `json:"started,omitzero"`
	// Env is the environment of the container of the DaemonSet kube-system/aws-node, of names that begin with WARM_, MINIMUM_,
	// ENABLE_ or AWS_VPC_; nil of all others.
	Env map[string]string `json:"env,omitempty"`
}

// ID is namespace/name.
func (w Workload) ID() string { return w.Namespace + "/" + w.Name }

// ID is namespace/name.
func (p Pod) ID() string { return p.Namespace + "/" + p.Name }

// Budget is a PodDisruptionBudget.
type Budget struct {
	Namespace string          `json:"namespace"`
	Name      string          `json:"name"`
	Selector  *fleet.Selector `json:"selector,omitempty"` // nil selects none, empty all of the namespace
	// MinAvailable and MaxUnavailable are as written: "2", "50%"; "" is not set.
	MinAvailable   string `json:"minAvailable,omitempty"`
	MaxUnavailable string `json:"maxUnavailable,omitempty"`
	// The status. Current: its observedGeneration is the object's generation.
	Allowed  int  `json:"allowed"` // disruptionsAllowed
	Healthy  int  `json:"healthy"` // currentHealthy
	Desired  int  `json:"desired"` // desiredHealthy
	Expected int  `json:"expected"`
	Current  bool `json:"current"`
	// Unhealthy is the unhealthyPodEvictionPolicy: "" is IfHealthyBudget.
	Unhealthy string `json:"unhealthy,omitempty"`
}

// ID is namespace/name.
func (b Budget) ID() string { return b.Namespace + "/" + b.Name }

// Webhook is one webhook of a configuration.
type Webhook struct {
	Kind          string `json:"kind"`          // ValidatingWebhookConfiguration, MutatingWebhookConfiguration
	Configuration string `json:"configuration"` // the object's name
	Name          string `json:"name"`
	Fail          bool   `json:"fail"` // failurePolicy, Fail where it is not set
	// Service is namespace/name of its service, "" where it has a URL.
	Service string        `json:"service,omitempty"`
	Timeout time.Duration `json:"timeout"`
	Rules   []WebhookRule `json:"rules,omitempty"`
	// NamespaceSelector and ObjectSelector: nil is all.
	NamespaceSelector *fleet.Selector `json:"namespaceSelector,omitempty"`
	ObjectSelector    *fleet.Selector `json:"objectSelector,omitempty"`
	// Conditions: it has matchConditions, which are not evaluated here.
	Conditions bool `json:"conditions,omitempty"`
}

// WebhookRule is what a webhook is asked for.
type WebhookRule struct {
	Groups     []string `json:"groups"`
	Resources  []string `json:"resources"`
	Operations []string `json:"operations"` // CREATE, UPDATE, DELETE, CONNECT, *
	Scope      string   `json:"scope,omitempty"`
}

// Service is a Service, as far as the checks read it.
type Service struct {
	Namespace   string            `json:"namespace"`
	Name        string            `json:"name"`
	Selector    map[string]string `json:"selector,omitempty"`
	ExternalIPs []string          `json:"externalIps,omitempty"`
}

// ID is namespace/name.
func (s Service) ID() string { return s.Namespace + "/" + s.Name }

// Address is an IP address or a CIDR block that somebody has written into an object.
type Address struct {
	Object string `json:"object"` // "NetworkPolicy default/web"
	Text   string `json:"text"`
}

// Definition is a CustomResourceDefinition.
type Definition struct {
	Name     string              `json:"name"`
	Stored   []string            `json:"stored"` // status.storedVersions
	Versions []DefinitionVersion `json:"versions"`
}

// DefinitionVersion is one of its versions.
type DefinitionVersion struct {
	Name    string `json:"name"`
	Served  bool   `json:"served"`
	Storage bool   `json:"storage,omitempty"`
}

// APIService is an aggregated API; those that the API server serves itself are left out.
type APIService struct {
	Name      string `json:"name"`    // "v1beta1.metrics.k8s.io"
	Service   string `json:"service"` // namespace/name
	Available bool   `json:"available"`
	Why       string `json:"why,omitempty"`
}

// Object is one that was written, or is kept, by an API version that some minor removes. Objects of versions that are in no
// row of Removals are left out.
type Object struct {
	// APIVersion is the version of the group by which it was written (managedFields, last-applied-configuration), or of an
	// alpha API the one by which it was listed: "policy/v1beta1".
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Namespace  string `json:"namespace,omitempty"`
	Name       string `json:"name"`
	// Writer is the field manager, "kubectl-client-side-apply" for a last-applied-configuration; Written is when, as its
	// managedFields say.
	Writer  string    `json:"writer,omitempty"`
	Written time.Time `json:"written,omitzero"`
	// Listed: the API server itself serves the object by APIVersion, and it may be stored so.
	Listed bool `json:"listed,omitempty"`
}

// Requested is an API that somebody has asked for since the API server started (apiserver_requested_deprecated_apis): neither
// who nor when is known.
type Requested struct {
	Group    string      `json:"group"`
	Version  string      `json:"version"`
	Resource string      `json:"resource"`          // "poddisruptionbudgets"
	Removed  fleet.Minor `json:"removed,omitempty"` // removed_release
}

// HelmRelease is the newest revision of a release that is deployed, with what its stored manifest holds.
type HelmRelease struct {
	Namespace string           `json:"namespace"`
	Name      string           `json:"name"`
	Chart     string           `json:"chart,omitempty"` // "ingress-nginx-4.11.3"
	Revision  int              `json:"revision"`
	Objects   []ManifestObject `json:"objects,omitempty"`
}

// ManifestObject is an object in a stored manifest.
type ManifestObject struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Name       string `json:"name"`
}

// Volume is a PersistentVolume.
type Volume struct {
	Name  string `json:"name"`
	Claim string `json:"claim,omitempty"` // namespace/name
	// Driver is the CSI driver, or the in-tree plugin: "kubernetes.io/aws-ebs", "kubernetes.io/local", "kubernetes.io/host-path".
	Driver string `json:"driver"`
	// Zones are those that its node affinity names.
	Zones []string `json:"zones,omitempty"`
}

// KubeProxy is kube-proxy's configuration.
type KubeProxy struct {
	Found bool   `json:"found,omitempty"`
	Mode  string `json:"mode,omitempty"` // iptables, ipvs, nftables, "" for the default
}

// NodePool is Karpenter's or Auto Mode's.
type NodePool struct {
	Name        string            `json:"name"`
	NodeClass   string            `json:"nodeClass,omitempty"`
	Auto        bool              `json:"auto,omitempty"`        // its class is Auto Mode's (eks.amazonaws.com)
	ExpireAfter string            `json:"expireAfter,omitempty"` // "720h", "Never"
	Budgets     []NodePoolBudget  `json:"budgets,omitempty"`
	Labels      map[string]string `json:"labels,omitempty"`
}

// NodePoolBudget is how many nodes may be disrupted at a time.
type NodePoolBudget struct {
	Nodes    string   `json:"nodes"` // "0", "10%"
	Schedule string   `json:"schedule,omitempty"`
	Reasons  []string `json:"reasons,omitempty"` // empty is all: Underutilized, Empty, Drifted
}

// NodeClass is an EC2NodeClass.
type NodeClass struct {
	Name string `json:"name"`
	// Family is its amiFamily, Aliases its AMI aliases ("al2023@latest"), Pinned whether it names images by id, name or tag.
	Family  string   `json:"family,omitempty"`
	Aliases []string `json:"aliases,omitempty"`
	Pinned  bool     `json:"pinned,omitempty"`
}
