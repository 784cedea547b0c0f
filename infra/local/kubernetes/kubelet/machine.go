package kubelet

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/validation"
)

// Machine is what the cloud says about one instance that joins the cluster as a Node.
type Machine struct {
	// Name of the Node: on EKS the instance's private DNS name.
	Name string `json:"name"`
	// ProviderID joins Node and instance, aws:///us-east-1a/i-0abc.
	ProviderID string `json:"providerID"`
	// Labels and Taints the Node registers with. Those that users add or remove later are theirs.
	Labels map[string]string `json:"labels,omitempty"`
	Taints []corev1.Taint    `json:"taints,omitempty"`
	// Capacity by resource name; Allocatable is the same when absent.
	Capacity    map[string]string `json:"capacity"`
	Allocatable map[string]string `json:"allocatable,omitempty"`
	InternalIP  string            `json:"internalIP"`
	// KubeletVersion is reported as the Node's, v1.36.0-eks-…; the control plane's own when absent.
	KubeletVersion string `json:"kubeletVersion,omitempty"`
	// OSImage, KernelVersion and ContainerRuntimeVersion are what the Node says of its image; those of Amazon Linux 2023 when
	// absent.
	OSImage                 string `json:"osImage,omitempty"`
	KernelVersion           string `json:"kernelVersion,omitempty"`
	ContainerRuntimeVersion string `json:"containerRuntimeVersion,omitempty"`
	// Devices are extended resources that the Node offers from when a pod of their device plugin is ready on it.
	Devices map[string]string `json:"devices,omitempty"`
	// RegisterDelayMillis is how long the machine takes from here until its kubelet registers the Node.
	RegisterDelayMillis int64 `json:"registerDelayMillis,omitempty"`

	capacity, allocatable, devices corev1.ResourceList
}

// State of a machine's kubelet.
type State string

// The states that GET /nodes shows.
const (
	// Registering: the machine is there, its Node is not yet.
	Registering State = "registering"
	// Running: the Node exists and its kubelet reports.
	Running State = "running"
	// Stopped: the kubelet is silent and its containers are frozen.
	Stopped State = "stopped"
)

// Status is one machine as GET /nodes shows it.
type Status struct {
	Name       string `json:"name"`
	ProviderID string `json:"providerID"`
	State      State  `json:"state"`
	// Error is why the last attempt to register failed, if it did.
	Error string `json:"error,omitempty"`
}

// complete checks the machine, naming everything that is wrong with it at once, and parses its quantities.
func (m *Machine) complete() error {
	var errs []error
	for _, problem := range validation.IsDNS1123Subdomain(m.Name) {
		errs = append(errs, fmt.Errorf("name %q: %s", m.Name, problem))
	}
	if m.ProviderID == "" {
		errs = append(errs, errors.New("providerID is missing"))
	}
	if _, err := netip.ParseAddr(m.InternalIP); err != nil {
		errs = append(errs, fmt.Errorf("internalIP %q is not an IP address", m.InternalIP))
	}
	if m.RegisterDelayMillis < 0 {
		errs = append(errs, fmt.Errorf("registerDelayMillis %d is negative", m.RegisterDelayMillis))
	}
	for _, t := range m.Taints {
		switch t.Effect {
		case corev1.TaintEffectNoSchedule, corev1.TaintEffectPreferNoSchedule, corev1.TaintEffectNoExecute:
		default:
			errs = append(errs, fmt.Errorf("taint %q: unknown effect %q", t.Key, t.Effect))
		}
	}
	for key, value := range m.Labels {
		for _, problem := range append(validation.IsQualifiedName(key), validation.IsValidLabelValue(value)...) {
			errs = append(errs, fmt.Errorf("label %s=%s: %s", key, value, problem))
		}
	}
	var err error
	if m.capacity, err = quantities("capacity", m.Capacity); err != nil {
		errs = append(errs, err)
	}
	if m.allocatable, err = quantities("allocatable", m.Allocatable); err != nil {
		errs = append(errs, err)
	}
	if m.devices, err = quantities("devices", m.Devices); err != nil {
		errs = append(errs, err)
	}
	for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory, corev1.ResourcePods} {
		if _, ok := m.Capacity[string(name)]; !ok {
			errs = append(errs, fmt.Errorf("capacity %s is missing", name))
		}
	}
	if len(m.Allocatable) == 0 {
		m.allocatable = m.capacity
	}
	return errors.Join(errs...)
}

func quantities(field string, in map[string]string) (corev1.ResourceList, error) {
	out := corev1.ResourceList{}
	var errs []error
	for name, value := range in {
		q, err := resource.ParseQuantity(value)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s %s=%q: %w", field, name, value, err))
			continue
		}
		out[corev1.ResourceName(name)] = q
	}
	return out, errors.Join(errs...)
}

// zone is the middle part of aws:///us-east-1a/i-0abc.
func (m *Machine) zone() string {
	parts := strings.Split(strings.TrimPrefix(m.ProviderID, "aws:///"), "/")
	if len(parts) != 2 {
		return ""
	}
	return parts[0]
}

func (m *Machine) registerDelay() time.Duration {
	return time.Duration(m.RegisterDelayMillis) * time.Millisecond
}

// defaultLabels are those that every kubelet, with the cloud controller's help, puts on its Node by itself.
func (m *Machine) defaultLabels() map[string]string {
	labels := map[string]string{
		corev1.LabelHostname:   m.Name,
		corev1.LabelOSStable:   "linux",
		corev1.LabelArchStable: "amd64",
	}
	if zone := m.zone(); zone != "" {
		labels[corev1.LabelTopologyZone] = zone
		labels[corev1.LabelTopologyRegion] = strings.TrimRight(zone, "abcdefghijklmnopqrstuvwxyz")
	}
	// What the cloud says wins: it knows the instance's real architecture.
	for key := range labels {
		if value, ok := m.Labels[key]; ok {
			labels[key] = value
		}
	}
	return labels
}
