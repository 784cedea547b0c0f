package kube

import (
	"fmt"
	"maps"
	"reflect"
	"testing"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

// podOf reads a pod's spec, as YAML.
func podOf(t *testing.T, spec string) *corev1.Pod {
	t.Helper()
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "p", Labels: map[string]string{"app": "web", "pod-template-hash": "h1"}}}
	if err := yaml.UnmarshalStrict([]byte(spec), &p.Spec); err != nil {
		t.Fatalf("%v in %s", err, spec)
	}
	return p
}

const (
	mi = 1 << 20
	c1 = `resources: {requests: {cpu: 100m, memory: 64Mi, nvidia.com/gpu: 1}}`
	c2 = `resources: {requests: {cpu: 50m, memory: 32Mi, ephemeral-storage: 1Gi}}`
)

// The scheduler's own sums: https://kubernetes.io/docs/concepts/workloads/pods/sidecar-containers/#resource-sharing-within-containers
// TestZoneByItsOldNames: planned nodes have the well-known label only.
func TestZoneByItsOldNames(t *testing.T) {
	const old = "failure-domain.beta.kubernetes.io/zone"
	for _, c := range []struct{ have, want map[string]string }{
		{map[string]string{old: "a", "disk": "ssd"}, map[string]string{fleet.LabelZone: "a", "disk": "ssd"}},
		{map[string]string{old: "a", fleet.LabelZone: "a"}, map[string]string{fleet.LabelZone: "a"}},
		{map[string]string{old: "a", fleet.LabelZone: "b"}, map[string]string{old: "a", fleet.LabelZone: "b"}},
	} {
		if got := zoned(c.have); !maps.Equal(got, c.want) {
			t.Errorf("%v became %v", c.have, got)
		}
	}
}

func TestRequestsAreTheSchedulers(t *testing.T) {
	for name, tc := range map[string]struct {
		spec string
		want fleet.Resources
	}{
		"nothing":    {`containers: [{name: a}]`, fleet.Resources{}},
		"containers": {`containers: [{name: a, ` + c1 + `}, {name: b, ` + c2 + `}]`, fleet.Resources{CPU: 150, Memory: 96 * mi, Storage: 1 << 30, Other: map[string]int64{"nvidia.com/gpu": 1}}},
		"the largest init container": {`{containers: [{name: a, ` + c2 + `}], initContainers: [{name: i, resources: {requests: {cpu: "1"}}}, {name: j, resources: {requests: {memory: 1Gi}}}]}`,
			fleet.Resources{CPU: 1000, Memory: 1 << 30, Storage: 1 << 30}},
		"a sidecar stays": {`{containers: [{name: a, ` + c2 + `}], initContainers: [{name: s, restartPolicy: Always, resources: {requests: {cpu: 200m}}}]}`,
			fleet.Resources{CPU: 250, Memory: 32 * mi, Storage: 1 << 30}},
		"an init container beside the sidecars before it": {`{containers: [{name: a, resources: {requests: {cpu: 100m}}}], initContainers: [
			{name: s, restartPolicy: Always, resources: {requests: {cpu: 200m}}}, {name: i, resources: {requests: {cpu: 500m}}}, {name: t, restartPolicy: Always, resources: {requests: {cpu: 300m}}}]}`,
			fleet.Resources{CPU: 700}},
		"overhead":            {`{containers: [{name: a, ` + c2 + `}], overhead: {cpu: 10m, memory: 1Mi}}`, fleet.Resources{CPU: 60, Memory: 33 * mi, Storage: 1 << 30}},
		"the pod as a whole":  {`{containers: [{name: a, ` + c1 + `}], resources: {requests: {cpu: "2"}}, overhead: {cpu: 10m}}`, fleet.Resources{CPU: 2010, Memory: 64 * mi, Other: map[string]int64{"nvidia.com/gpu": 1}}},
		"huge pages":          {`{containers: [{name: a, resources: {requests: {hugepages-2Mi: 4Mi}}}]}`, fleet.Resources{Other: map[string]int64{"hugepages-2Mi": 4 * mi}}},
		"less than a micro":   {`{containers: [{name: a, resources: {requests: {cpu: 1500u}}}]}`, fleet.Resources{CPU: 2}},
		"none of an extended": {`{containers: [{name: a, resources: {requests: {nvidia.com/gpu: 0}}}]}`, fleet.Resources{}},
	} {
		if got := requests(podOf(t, tc.spec)); !reflect.DeepEqual(got, tc.want) {
			t.Errorf("%s: %+v, want %+v", name, got, tc.want)
		}
	}
}

func TestRequestsWhileResizing(t *testing.T) {
	cpu := func(s string) corev1.ResourceList {
		return corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(s)}
	}
	for name, tc := range map[string]struct {
		wanted, granted, given string
		infeasible             bool
		want                   int64
	}{
		"as it is": {"1", "1", "1", false, 1000}, "growing": {"3", "1", "1", false, 3000}, "shrinking": {"1", "1", "2", false, 2000},
		"cannot grow": {"9", "1", "1", true, 1000},
	} {
		p := &corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "a", Resources: corev1.ResourceRequirements{Requests: cpu(tc.wanted)}}}},
			Status: corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{{Name: "a", AllocatedResources: cpu(tc.granted), Resources: &corev1.ResourceRequirements{Requests: cpu(tc.given)}}}}}
		if tc.infeasible {
			p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodResizePending, Reason: corev1.PodReasonInfeasible}}
		}
		if got := requests(p).CPU; got != tc.want {
			t.Errorf("%s: %d, want %d", name, got, tc.want)
		}
	}
}

// around is what there is beside the pods.
func around() neighbours {
	wait, now, none := storagev1.VolumeBindingWaitForFirstConsumer, storagev1.VolumeBindingImmediate, "none"
	class := func(c string) *string { return &c }
	claim := func(volume string, class *string, modes ...corev1.PersistentVolumeAccessMode) *corev1.PersistentVolumeClaim {
		return &corev1.PersistentVolumeClaim{Spec: corev1.PersistentVolumeClaimSpec{VolumeName: volume, StorageClassName: class, AccessModes: modes}}
	}
	lost, chosen := claim("", nil), claim("", class("wait"))
	lost.Status.Phase, chosen.Annotations = corev1.ClaimLost, map[string]string{selectedNode: "n1"}
	in := func(zone string) *corev1.VolumeNodeAffinity {
		return &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{MatchExpressions: []corev1.NodeSelectorRequirement{{Key: "topology.ebs.csi.aws.com/zone", Operator: "In", Values: []string{zone}}}}}}}
	}
	volume := func(s corev1.PersistentVolumeSource) *corev1.PersistentVolume {
		return &corev1.PersistentVolume{Spec: corev1.PersistentVolumeSpec{PersistentVolumeSource: s, NodeAffinity: in("us-east-1a")}}
	}
	return lazily(func() ([]corev1.Namespace, error) {
		ns := func(name, team string) corev1.Namespace {
			return corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"team": team}}}
		}
		return []corev1.Namespace{ns("b", "x"), ns("a", "x"), ns("c", "y")}, nil
	}, func() (storage, error) {
		return storage{
			claims: map[string]*corev1.PersistentVolumeClaim{
				"ns/bound": claim("pv", class("wait"), corev1.ReadWriteOncePod), "ns/old": claim("old", nil), "ns/dangling": claim("gone", nil),
				"ns/waits": claim("", class("wait")), "ns/now": claim("", class("now")), "ns/local": claim("", class("local")), "ns/lost": lost, "ns/chosen": chosen,
				"ns/bare": claim("", nil), "ns/strange": claim("", &none),
			},
			volumes: map[string]*corev1.PersistentVolume{
				"pv": volume(corev1.PersistentVolumeSource{CSI: &corev1.CSIPersistentVolumeSource{Driver: "efs.csi.aws.com"}}), "old": volume(corev1.PersistentVolumeSource{AWSElasticBlockStore: &corev1.AWSElasticBlockStoreVolumeSource{}}),
			},
			classes: map[string]*storagev1.StorageClass{
				"wait": {Provisioner: ebsDriver, VolumeBindingMode: &wait, AllowedTopologies: []corev1.TopologySelectorTerm{{MatchLabelExpressions: []corev1.TopologySelectorLabelRequirement{{Key: "topology.ebs.csi.aws.com/zone", Values: []string{"us-east-1b"}}}}}},
				"now":  {Provisioner: ebsDriver, VolumeBindingMode: &now}, "local": {ObjectMeta: metav1.ObjectMeta{Name: "local"}, Provisioner: noProvisioner, VolumeBindingMode: &wait},
			},
		}, nil
	})
}

func TestDemands(t *testing.T) {
	const pod = `containers: [{name: a}]`
	zone := func(zone string) []fleet.NodeTerm {
		return []fleet.NodeTerm{{Labels: []fleet.Requirement{{Key: fleet.LabelZone, Operator: "In", Values: []string{zone}}}}}
	}
	claim := func(name string) string {
		return `{containers: [{name: a}], volumes: [{name: v, persistentVolumeClaim: {claimName: ` + name + `}}]}`
	}
	affinity := func(of, term string) string {
		return fmt.Sprintf(`{containers: [{name: a}], affinity: {%s: {requiredDuringSchedulingIgnoredDuringExecution: [{topologyKey: topology.kubernetes.io/zone, %s}]}}}`, of, term)
	}
	web := &fleet.Selector{Labels: map[string]string{"app": "web"}}
	for name, tc := range map[string]struct {
		spec string
		want fleet.Demand
	}{
		"nothing": {pod, fleet.Demand{}},
		"node selector and affinity": {`{containers: [{name: a}], nodeSelector: {disk: ssd}, affinity: {nodeAffinity: {
			requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [{matchExpressions: [{key: failure-domain.beta.kubernetes.io/zone, operator: In, values: [us-east-1a]}]}]},
			preferredDuringSchedulingIgnoredDuringExecution: [{weight: 7, preference: {matchFields: [{key: metadata.name, operator: NotIn, values: [n7]}]}}]}}}`,
			fleet.Demand{NodeSelector: map[string]string{"disk": "ssd"}, NodeTerms: zone("us-east-1a"),
				PreferredNodes: []fleet.PreferredNode{{Weight: 7, Term: fleet.NodeTerm{Fields: []fleet.Requirement{{Key: "metadata.name", Operator: "NotIn", Values: []string{"n7"}}}}}}}},
		"a term of nothing": {`{containers: [{name: a}], affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [{}]}}}}`, fleet.Demand{NodeTerms: []fleet.NodeTerm{{}}}},
		"spread": {`{containers: [{name: a}], topologySpreadConstraints: [{maxSkew: 2, topologyKey: kubernetes.io/hostname, whenUnsatisfiable: ScheduleAnyway, nodeAffinityPolicy: Ignore, nodeTaintsPolicy: Honor,
			labelSelector: {matchLabels: {app: web}}, matchLabelKeys: [pod-template-hash, absent]}, {maxSkew: 1, topologyKey: z, whenUnsatisfiable: DoNotSchedule, minDomains: 3}]}`,
			fleet.Demand{Spread: []fleet.Spread{
				{MaxSkew: 2, TopologyKey: fleet.LabelHostname, Soft: true, IgnoreAffinity: true, HonorTaints: true,
					Selector: &fleet.Selector{Labels: web.Labels, Requirements: []fleet.Requirement{{Key: "pod-template-hash", Operator: "In", Values: []string{"h1"}}}}},
				{MaxSkew: 1, TopologyKey: "z", MinDomains: 3},
			}}},
		"affinity in its own namespace": {affinity("podAffinity", `labelSelector: {matchLabels: {app: web}}`), fleet.Demand{Affinity: []fleet.PodTerm{{TopologyKey: fleet.LabelZone, Selector: web}}}},
		"in all":                        {affinity("podAffinity", `labelSelector: {matchLabels: {app: web}}, namespaceSelector: {}`), fleet.Demand{Affinity: []fleet.PodTerm{{TopologyKey: fleet.LabelZone, Selector: web, AllNamespaces: true}}}},
		"in some": {affinity("podAntiAffinity", `labelSelector: {matchLabels: {app: web}}, namespaces: [c, a], namespaceSelector: {matchLabels: {team: x}}`),
			fleet.Demand{AntiAffinity: []fleet.PodTerm{{TopologyKey: fleet.LabelZone, Selector: web, Namespaces: []string{"a", "b", "c"}}}}},
		"in none": {affinity("podAntiAffinity", `labelSelector: {matchLabels: {app: web}}, namespaceSelector: {matchLabels: {team: z}}`),
			fleet.Demand{AntiAffinity: []fleet.PodTerm{{TopologyKey: fleet.LabelZone, Selector: web, Namespaces: []string{nowhere}}}}},
		"label keys, merged already": {affinity("podAntiAffinity", `labelSelector: {matchExpressions: [{key: app, operator: In, values: [web]}]}, matchLabelKeys: [app], mismatchLabelKeys: [pod-template-hash]`),
			fleet.Demand{AntiAffinity: []fleet.PodTerm{{TopologyKey: fleet.LabelZone, Selector: &fleet.Selector{Requirements: []fleet.Requirement{
				{Key: "app", Operator: "In", Values: []string{"web"}}, {Key: "pod-template-hash", Operator: "NotIn", Values: []string{"h1"}}}}}}}},
		"preferred": {`{containers: [{name: a}], affinity: {podAntiAffinity: {preferredDuringSchedulingIgnoredDuringExecution: [{weight: 9, podAffinityTerm: {topologyKey: z}}]}}}`,
			fleet.Demand{PreferredAntiAffinity: []fleet.PreferredPod{{Weight: 9, Term: fleet.PodTerm{TopologyKey: "z"}}}}},
		"host ports": {`{initContainers: [{name: i, ports: [{containerPort: 1, hostPort: 1}]}, {name: s, restartPolicy: Always, ports: [{containerPort: 5, hostPort: 5}]}],
			containers: [{name: a, ports: [{containerPort: 80}, {containerPort: 53, hostPort: 5353, protocol: UDP, hostIP: 127.0.0.1}, {containerPort: 1, hostPort: 2, protocol: TCP, hostIP: 0.0.0.0}]}]}`,
			fleet.Demand{HostPorts: []fleet.HostPort{{Port: 5353, Protocol: "UDP", IP: "127.0.0.1"}, {Port: 2}, {Port: 5}}}},
		"the host's network":    {`{hostNetwork: true, containers: [{name: a, ports: [{containerPort: 9100}]}]}`, fleet.Demand{HostPorts: []fleet.HostPort{{Port: 9100}}}},
		"a volume":              {claim("bound"), fleet.Demand{Volumes: []fleet.Volume{{ID: "ns/bound", Driver: "efs.csi.aws.com", Where: zone("us-east-1a"), Alone: true}}}},
		"of the time before":    {claim("old"), fleet.Demand{Volumes: []fleet.Volume{{ID: "ns/old", Driver: ebsDriver, Where: zone("us-east-1a")}}}},
		"one to be made":        {claim("waits"), fleet.Demand{Volumes: []fleet.Volume{{ID: "ns/waits", Driver: ebsDriver, Where: zone("us-east-1b")}}}},
		"one being made":        {claim("chosen"), fleet.Demand{Volumes: []fleet.Volume{{ID: "ns/chosen", Driver: ebsDriver, Where: []fleet.NodeTerm{{Fields: []fleet.Requirement{{Key: "metadata.name", Operator: "In", Values: []string{"n1"}}}}}}}}},
		"one of the pod's own":  {`{containers: [{name: a}], volumes: [{name: v, ephemeral: {volumeClaimTemplate: {spec: {storageClassName: wait}}}}]}`, fleet.Demand{Volumes: []fleet.Volume{{ID: "ns/p-v", Driver: ebsDriver, Where: zone("us-east-1b")}}}},
		"absent":                {claim("nope"), fleet.Demand{Unsupported: []string{"claim nope, which does not exist"}}},
		"without its volume":    {claim("dangling"), fleet.Demand{Unsupported: []string{"claim dangling, whose volume gone does not exist"}}},
		"lost":                  {claim("lost"), fleet.Demand{Unsupported: []string{"claim lost, which has lost its volume"}}},
		"not bound yet":         {claim("now"), fleet.Demand{Unsupported: []string{"claim now, which is not bound yet and does not wait for a pod"}}},
		"local":                 {claim("local"), fleet.Demand{Unsupported: []string{"claim local of storage class local, whose volumes nobody makes"}}},
		"without class":         {claim("bare"), fleet.Demand{Unsupported: []string{"claim bare, which is not bound and has no storage class"}}},
		"of an unknown class":   {claim("strange"), fleet.Demand{Unsupported: []string{"claim strange of storage class none, which does not exist"}}},
		"a disk by its id":      {`{containers: [{name: a}], volumes: [{name: v, awsElasticBlockStore: {volumeID: vol-1}}]}`, fleet.Demand{Unsupported: []string{"volume v of a disk named in the pod itself"}}},
		"dynamic resources":     {`{containers: [{name: a}], resourceClaims: [{name: gpu}]}`, fleet.Demand{Unsupported: []string{"resourceClaims"}}},
		"what plans not itself": {`{containers: [{name: a}], schedulingGroup: {}}`, fleet.Demand{Unsupported: []string{"schedulingGroup"}}},
	} {
		got, err := demandOf(podOf(t, tc.spec), around())
		if err != nil || !reflect.DeepEqual(got, tc.want) {
			t.Errorf("%s:\n%+v, want\n%+v (%v)", name, got, tc.want, err)
		}
	}
}
