package readiness

import (
	"strings"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

// Removal is a kind of a version of an API group that a minor of Kubernetes no longer serves.
type Removal struct {
	Removed fleet.Minor `json:"removed"`
	// APIVersion is "policy/v1beta1"; the core group's is "v1".
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	// Replacement is the version to use instead; "" if there is none.
	Replacement string `json:"replacement,omitempty"`
}

// The table's source: k8s.io/api from v0.20.0 to v0.37.2. The minor is the first one whose module no longer has the type, or
// says by APILifecycleRemoved that it is not served, whichever is earlier. What is above 1.37 is what v0.37.2 announces, and may
// move: v0.38.0-alpha.2 no longer announces the end of some alpha versions. CustomResourceDefinition and APIService, which are in other modules, are from
// https://kubernetes.io/docs/reference/using-api/deprecation-guide/. internal/removalstest holds the table against the modules.
const (
	RemovalsSource = "k8s.io/api v0.20.0 to v0.37.2; https://kubernetes.io/docs/reference/using-api/deprecation-guide/"
	RemovalsAsOf   = "2026-11-23"
)

var removals = []struct {
	removed           fleet.Minor
	version, replaced string
	kinds             string
}{
	{16, "apps/v1beta1", "apps/v1", "ControllerRevision Deployment StatefulSet"},
	{16, "apps/v1beta1", "autoscaling/v1", "Scale"},
	{16, "apps/v1beta1", "", "DeploymentRollback"},
	{16, "apps/v1beta2", "apps/v1", "ControllerRevision DaemonSet Deployment ReplicaSet StatefulSet"},
	{16, "apps/v1beta2", "autoscaling/v1", "Scale"},
	{16, "extensions/v1beta1", "apps/v1", "DaemonSet Deployment ReplicaSet"},
	{16, "extensions/v1beta1", "networking.k8s.io/v1", "NetworkPolicy"},
	{16, "extensions/v1beta1", "autoscaling/v1", "Scale"},
	{16, "extensions/v1beta1", "", "DeploymentRollback PodSecurityPolicy"},
	{21, "batch/v2alpha1", "batch/v1", "CronJob"},
	{21, "batch/v2alpha1", "", "JobTemplate"},
	{21, "discovery.k8s.io/v1alpha1", "discovery.k8s.io/v1", "EndpointSlice"},
	{21, "flowcontrol.apiserver.k8s.io/v1alpha1", "flowcontrol.apiserver.k8s.io/v1", "FlowSchema PriorityLevelConfiguration"},
	{22, "v1", "", "EphemeralContainers"},
	{22, "admission.k8s.io/v1beta1", "admission.k8s.io/v1", "AdmissionReview"},
	{22, "admissionregistration.k8s.io/v1beta1", "admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration ValidatingWebhookConfiguration"},
	{22, "apiextensions.k8s.io/v1beta1", "apiextensions.k8s.io/v1", "CustomResourceDefinition"},
	{22, "apiregistration.k8s.io/v1beta1", "apiregistration.k8s.io/v1", "APIService"},
	{22, "authentication.k8s.io/v1beta1", "authentication.k8s.io/v1", "TokenReview"},
	{22, "authorization.k8s.io/v1beta1", "authorization.k8s.io/v1", "LocalSubjectAccessReview SelfSubjectAccessReview SelfSubjectRulesReview SubjectAccessReview"},
	{22, "certificates.k8s.io/v1beta1", "certificates.k8s.io/v1", "CertificateSigningRequest"},
	{22, "coordination.k8s.io/v1beta1", "coordination.k8s.io/v1", "Lease"},
	{22, "extensions/v1beta1", "networking.k8s.io/v1", "Ingress"},
	{22, "networking.k8s.io/v1beta1", "networking.k8s.io/v1", "Ingress IngressClass"},
	{22, "rbac.authorization.k8s.io/v1beta1", "rbac.authorization.k8s.io/v1", "ClusterRole ClusterRoleBinding Role RoleBinding"},
	{22, "scheduling.k8s.io/v1beta1", "scheduling.k8s.io/v1", "PriorityClass"},
	{22, "storage.k8s.io/v1beta1", "storage.k8s.io/v1", "CSIDriver CSINode StorageClass VolumeAttachment"},
	{24, "storage.k8s.io/v1alpha1", "storage.k8s.io/v1", "CSIStorageCapacity VolumeAttachment"},
	{25, "autoscaling/v2beta1", "autoscaling/v2", "HorizontalPodAutoscaler"},
	{25, "batch/v1beta1", "batch/v1", "CronJob"},
	{25, "batch/v1beta1", "", "JobTemplate"},
	{25, "discovery.k8s.io/v1beta1", "discovery.k8s.io/v1", "EndpointSlice"},
	{25, "events.k8s.io/v1beta1", "events.k8s.io/v1", "Event"},
	{25, "node.k8s.io/v1beta1", "node.k8s.io/v1", "RuntimeClass"},
	{25, "policy/v1beta1", "policy/v1", "Eviction PodDisruptionBudget"},
	{25, "policy/v1beta1", "", "PodSecurityPolicy"},
	{26, "autoscaling/v2beta2", "autoscaling/v2", "HorizontalPodAutoscaler"},
	{26, "flowcontrol.apiserver.k8s.io/v1beta1", "flowcontrol.apiserver.k8s.io/v1", "FlowSchema PriorityLevelConfiguration"},
	{27, "resource.k8s.io/v1alpha1", "", "PodScheduling ResourceClass"},
	{27, "resource.k8s.io/v1alpha1", "resource.k8s.io/v1", "ResourceClaim ResourceClaimTemplate"},
	{27, "storage.k8s.io/v1beta1", "storage.k8s.io/v1", "CSIStorageCapacity"},
	{29, "flowcontrol.apiserver.k8s.io/v1beta2", "flowcontrol.apiserver.k8s.io/v1", "FlowSchema PriorityLevelConfiguration"},
	{29, "networking.k8s.io/v1alpha1", "", "ClusterCIDR"},
	{31, "resource.k8s.io/v1alpha2", "", "PodSchedulingContext ResourceClaimParameters ResourceClass ResourceClassParameters"},
	{31, "resource.k8s.io/v1alpha2", "resource.k8s.io/v1", "ResourceClaim ResourceClaimTemplate ResourceSlice"},
	{32, "admissionregistration.k8s.io/v1alpha1", "admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicy ValidatingAdmissionPolicyBinding"},
	{32, "authentication.k8s.io/v1alpha1", "authentication.k8s.io/v1", "SelfSubjectReview"},
	{32, "coordination.k8s.io/v1alpha1", "", "LeaseCandidate"},
	{32, "flowcontrol.apiserver.k8s.io/v1beta3", "flowcontrol.apiserver.k8s.io/v1", "FlowSchema PriorityLevelConfiguration"},
	{32, "resource.k8s.io/v1alpha3", "", "PodSchedulingContext"},
	{33, "authentication.k8s.io/v1beta1", "authentication.k8s.io/v1", "SelfSubjectReview"},
	{33, "networking.k8s.io/v1alpha1", "networking.k8s.io/v1", "IPAddress ServiceCIDR"},
	{34, "admissionregistration.k8s.io/v1beta1", "admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicy ValidatingAdmissionPolicyBinding"},
	{34, "resource.k8s.io/v1alpha3", "resource.k8s.io/v1", "DeviceClass ResourceClaim ResourceClaimTemplate ResourceSlice"},
	{35, "apidiscovery.k8s.io/v2beta1", "apidiscovery.k8s.io/v2", "APIGroupDiscovery"},
	{35, "certificates.k8s.io/v1alpha1", "certificates.k8s.io/v1beta1", "PodCertificateRequest"},
	{35, "storage.k8s.io/v1alpha1", "storage.k8s.io/v1", "VolumeAttributesClass"},
	{35, "storagemigration.k8s.io/v1alpha1", "storagemigration.k8s.io/v1beta1", "StorageVersionMigration"},
	{36, "scheduling.k8s.io/v1alpha1", "scheduling.k8s.io/v1", "PriorityClass"},
	{36, "scheduling.k8s.io/v1alpha1", "", "Workload"},
	{37, "v1", "", "PodStatusResult"},
	{37, "certificates.k8s.io/v1alpha1", "certificates.k8s.io/v1beta1", "ClusterTrustBundle"},
	{37, "networking.k8s.io/v1beta1", "networking.k8s.io/v1", "IPAddress ServiceCIDR"},
	{37, "scheduling.k8s.io/v1alpha2", "", "PodGroup Workload"},
	{37, "storage.k8s.io/v1beta1", "storage.k8s.io/v1", "VolumeAttributesClass"},
	{38, "admissionregistration.k8s.io/v1alpha1", "admissionregistration.k8s.io/v1", "MutatingAdmissionPolicy MutatingAdmissionPolicyBinding"},
	{38, "coordination.k8s.io/v1alpha2", "", "LeaseCandidate"},
	{38, "resource.k8s.io/v1beta1", "resource.k8s.io/v1", "DeviceClass ResourceClaim ResourceClaimTemplate ResourceSlice"},
	{39, "coordination.k8s.io/v1beta1", "", "LeaseCandidate"},
	{39, "resource.k8s.io/v1alpha3", "resource.k8s.io/v1", "DeviceTaintRule"},
	{39, "resource.k8s.io/v1beta2", "resource.k8s.io/v1", "DeviceClass ResourceClaim ResourceClaimTemplate ResourceSlice"},
	{40, "admissionregistration.k8s.io/v1beta1", "admissionregistration.k8s.io/v1", "MutatingAdmissionPolicy MutatingAdmissionPolicyBinding"},
	{40, "certificates.k8s.io/v1beta1", "certificates.k8s.io/v1", "ClusterTrustBundle PodCertificateRequest"},
	{40, "storagemigration.k8s.io/v1beta1", "storagemigration.k8s.io/v1", "StorageVersionMigration"},
	{42, "resource.k8s.io/v1beta2", "resource.k8s.io/v1", "DeviceTaintRule"},
	{42, "resource.k8s.io/v1alpha3", "", "ResourcePoolStatusRequest"},
	{43, "lifecycle.k8s.io/v1alpha1", "", "Eviction EvictionRequest"},
	{43, "scheduling.k8s.io/v1beta1", "", "PodGroup Workload"},
}

type kindKey struct{ version, kind string }

var removedKinds, removedResources = func() (kinds, resources map[kindKey]Removal) {
	kinds, resources = map[kindKey]Removal{}, map[kindKey]Removal{}
	for _, r := range removals {
		for _, kind := range strings.Fields(r.kinds) {
			row := Removal{r.removed, r.version, kind, r.replaced}
			kinds[kindKey{r.version, kind}] = row
			resources[kindKey{r.version, resourceOf(kind)}] = row
		}
	}
	return kinds, resources
}()

// Removals is the whole table, oldest first.
func Removals() (out []Removal) {
	for _, r := range removals {
		for _, kind := range strings.Fields(r.kinds) {
			out = append(out, removedKinds[kindKey{r.version, kind}])
		}
	}
	return out
}

// RemovalOf is the row of a kind; false if no minor that we know removes it.
func RemovalOf(apiVersion, kind string) (Removal, bool) {
	r, ok := removedKinds[kindKey{apiVersion, kind}]
	return r, ok
}

// resourceOf is the name of a kind's resource: "networkpolicies".
func resourceOf(kind string) string {
	s := strings.ToLower(kind)
	switch {
	case strings.HasSuffix(s, "policy"), strings.HasSuffix(s, "capacity"):
		return strings.TrimSuffix(s, "y") + "ies"
	case strings.HasSuffix(s, "ss"):
		return s + "es"
	case strings.HasSuffix(s, "s"):
		return s
	}
	return s + "s"
}
