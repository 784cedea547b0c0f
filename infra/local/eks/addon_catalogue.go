package eks

import "slices"

// addonSpec is an add-on of EKS's catalogue.
type addonSpec struct {
	typ, owner, publisher string
	namespace             string
	fixedNamespace        bool                             // nodes need it in kube-system
	releases              []addonRelease                   // newest first
	versions              func(kubernetes string) []string // instead of releases; newest first, and the first is the default
	schema                schema
	accounts              []podIdentityConfig // service accounts that need a role
	workloads             []workload
}

// workload is a Deployment or DaemonSet of an add-on. Its pods only look like AWS's: nothing runs in them.
type workload struct {
	kind, name string
	// container is the first container's name; of several containers only this one follows the add-on's version.
	container, image string
	replicas         int    // of a Deployment
	section          string // of the configuration values, where not all of them are about this workload
	account          string
	critical         string // priority class
	labels           map[string]string
	others           []container
	cpu, memory      string
	hostNetwork      bool
	tolerateAll      bool
}

type container struct{ name, image, cpu string }

type podIdentityConfig struct {
	ServiceAccount             string   `json:"serviceAccount"`
	RecommendedManagedPolicies []string `json:"recommendedManagedPolicies"`
}

func managed(account string, policies ...string) podIdentityConfig {
	out := podIdentityConfig{account, []string{}}
	for _, p := range policies {
		out.RecommendedManagedPolicies = append(out.RecommendedManagedPolicies, "arn:aws:iam::aws:policy/"+p)
	}
	return out
}

// needsNodes tells whether the add-on is unhealthy as long as the cluster has no node.
func (a addonSpec) needsNodes() bool {
	for _, w := range a.workloads {
		if w.kind == "Deployment" {
			return true
		}
	}
	return false
}

const (
	nodeCritical    = "system-node-critical"
	clusterCritical = "system-cluster-critical"
)

// addonCatalogue holds the add-ons by name. aws-node, kube-proxy and coredns are in every cluster from the start, with
// the names, labels and selectors that they have here: see addons.Apply in the control plane's module.
var addonCatalogue = map[string]addonSpec{
	"vpc-cni": {
		typ: "networking", owner: "aws", publisher: "eks", namespace: "kube-system", fixedNamespace: true,
		releases: vpcCNIReleases,
		schema:   vpcCNISchema, accounts: []podIdentityConfig{managed("aws-node", "AmazonEKS_CNI_Policy")},
		workloads: []workload{{
			kind: "DaemonSet", name: "aws-node", container: "aws-node", image: "amazon-k8s-cni", account: "aws-node", critical: nodeCritical,
			labels: map[string]string{"app.kubernetes.io/name": "aws-node", "app.kubernetes.io/instance": "aws-vpc-cni", "k8s-app": "aws-node"},
			others: []container{{"aws-eks-nodeagent", "amazon/aws-network-policy-agent:v1.3.1-eksbuild.1", "25m"}}, cpu: "25m", hostNetwork: true, tolerateAll: true,
		}},
	},
	"kube-proxy": {
		typ: "networking", owner: "aws", publisher: "eks", namespace: "kube-system", fixedNamespace: true,
		versions: kubeProxyVersions,
		schema:   kubeProxySchema,
		workloads: []workload{{
			kind: "DaemonSet", name: "kube-proxy", container: "kube-proxy", image: "eks/kube-proxy", account: "kube-proxy", critical: nodeCritical,
			labels: map[string]string{"k8s-app": "kube-proxy"}, cpu: "100m", hostNetwork: true, tolerateAll: true,
		}},
	},
	"coredns": {
		typ: "networking", owner: "aws", publisher: "eks", namespace: "kube-system", fixedNamespace: true,
		releases: coreDNSReleases,
		schema:   coreDNSSchema,
		workloads: []workload{{
			kind: "Deployment", name: "coredns", container: "coredns", image: "eks/coredns", replicas: 2, account: "coredns", critical: clusterCritical,
			labels: map[string]string{"k8s-app": "kube-dns", "eks.amazonaws.com/component": "coredns"}, cpu: "100m", memory: "70Mi",
		}},
	},
	"aws-ebs-csi-driver": {
		typ: "storage", owner: "aws", publisher: "eks", namespace: "kube-system",
		releases: ebsReleases,
		schema:   csiSchema, accounts: []podIdentityConfig{managed("ebs-csi-controller-sa", "service-role/AmazonEBSCSIDriverPolicy")},
		workloads: csiDriver("ebs", "eks/aws-ebs-csi-driver"),
	},
	"aws-efs-csi-driver": {
		typ: "storage", owner: "aws", publisher: "eks", namespace: "kube-system",
		releases: everywhereServed("v2.1.15-eksbuild.1", "v2.1.14-eksbuild.1", "v2.1.13-eksbuild.1"),
		schema:   csiSchema, accounts: []podIdentityConfig{managed("efs-csi-controller-sa", "service-role/AmazonEFSCSIDriverPolicy")},
		workloads: csiDriver("efs", "eks/aws-efs-csi-driver"),
	},
	"aws-mountpoint-s3-csi-driver": {
		typ: "storage", owner: "aws", publisher: "s3", namespace: "kube-system",
		releases: everywhereServed("v2.2.1-eksbuild.1", "v2.1.0-eksbuild.1", "v1.15.0-eksbuild.1"),
		schema:   csiSchema, accounts: []podIdentityConfig{managed("s3-csi-driver-sa", "AmazonS3ReadOnlyAccess")},
		workloads: []workload{{kind: "DaemonSet", name: "s3-csi-node", container: "s3-plugin", image: "eks/aws-s3-csi-driver", section: "node", account: "s3-csi-driver-sa", critical: nodeCritical, cpu: "10m"}},
	},
	"snapshot-controller": {
		typ: "storage", owner: "aws", publisher: "eks", namespace: "kube-system",
		releases: everywhereServed("v8.3.0-eksbuild.1", "v8.2.1-eksbuild.1"), schema: deploymentSchema,
		workloads: []workload{{kind: "Deployment", name: "snapshot-controller", container: "snapshot-controller", image: "eks/snapshot-controller", replicas: 2, account: "snapshot-controller", cpu: "10m"}},
	},
	"eks-pod-identity-agent": {
		typ: "security", owner: "aws", publisher: "eks", namespace: "kube-system",
		releases: podIdentityReleases, schema: daemonSchema,
		workloads: []workload{{kind: "DaemonSet", name: "eks-pod-identity-agent", container: "eks-pod-identity-agent", image: "eks/eks-pod-identity-agent", critical: nodeCritical, cpu: "10m", hostNetwork: true, tolerateAll: true}},
	},
	"eks-node-monitoring-agent": {
		typ: "observability", owner: "aws", publisher: "eks", namespace: "kube-system",
		releases: everywhereServed("v1.4.2-eksbuild.1", "v1.4.1-eksbuild.1"), schema: monitoringSchema,
		workloads: []workload{{kind: "DaemonSet", name: "eks-node-monitoring-agent", container: "eks-node-monitoring-agent", image: "eks/eks-node-monitoring-agent", section: "monitoringAgent", critical: nodeCritical, cpu: "10m", hostNetwork: true, tolerateAll: true}},
	},
	"amazon-cloudwatch-observability": {
		typ: "observability", owner: "aws", publisher: "eks", namespace: "amazon-cloudwatch",
		releases: everywhereServed("v4.5.0-eksbuild.1", "v4.4.0-eksbuild.1"), schema: cloudWatchSchema,
		accounts: []podIdentityConfig{managed("cloudwatch-agent", "CloudWatchAgentServerPolicy", "AWSXrayWriteOnlyAccess")},
		workloads: []workload{
			{kind: "Deployment", name: "amazon-cloudwatch-observability-controller-manager", container: "manager", image: "eks/observability/cloudwatch-agent-operator", replicas: 1, section: "manager", account: "amazon-cloudwatch-observability-controller-manager", cpu: "100m"},
			{kind: "DaemonSet", name: "cloudwatch-agent", container: "otc-container", image: "eks/observability/cloudwatch-agent", section: "agent", account: "cloudwatch-agent", cpu: "250m", memory: "128Mi", tolerateAll: true},
			{kind: "DaemonSet", name: "fluent-bit", container: "fluent-bit", image: "eks/observability/aws-for-fluent-bit", section: "containerLogs", account: "cloudwatch-agent", cpu: "50m", memory: "25Mi", tolerateAll: true},
		},
	},
	"metrics-server": {
		typ: "observability", owner: "community", publisher: "eks", namespace: "kube-system",
		releases: everywhereServed("v0.8.0-eksbuild.3", "v0.8.0-eksbuild.2", "v0.7.2-eksbuild.4"), schema: communitySchema,
		workloads: []workload{{kind: "Deployment", name: "metrics-server", container: "metrics-server", image: "eks/metrics-server", replicas: 2, account: "metrics-server", critical: clusterCritical, cpu: "100m", memory: "200Mi"}},
	},
	"external-dns": {
		typ: "networking", owner: "community", publisher: "eks", namespace: "external-dns",
		releases: everywhereServed("v0.19.0-eksbuild.2", "v0.18.0-eksbuild.1"), schema: communitySchema,
		accounts:  []podIdentityConfig{managed("external-dns", "AmazonRoute53FullAccess")},
		workloads: []workload{{kind: "Deployment", name: "external-dns", container: "external-dns", image: "eks/external-dns", replicas: 1, account: "external-dns", cpu: "10m"}},
	},
	"cert-manager": {
		typ: "security", owner: "community", publisher: "eks", namespace: "cert-manager",
		releases: everywhereServed("v1.19.1-eksbuild.1", "v1.18.2-eksbuild.2"), schema: communitySchema,
		accounts: []podIdentityConfig{managed("cert-manager", "AmazonRoute53FullAccess")},
		workloads: []workload{
			{kind: "Deployment", name: "cert-manager", container: "cert-manager-controller", image: "eks/cert-manager-controller", replicas: 1, account: "cert-manager", cpu: "10m"},
			{kind: "Deployment", name: "cert-manager-cainjector", container: "cert-manager-cainjector", image: "eks/cert-manager-cainjector", replicas: 1, section: "cainjector", account: "cert-manager-cainjector", cpu: "10m"},
			{kind: "Deployment", name: "cert-manager-webhook", container: "cert-manager-webhook", image: "eks/cert-manager-webhook", replicas: 1, section: "webhook", account: "cert-manager-webhook", cpu: "10m"},
		},
	},
}

// csiDriver is a driver's controller and its part on every node.
func csiDriver(name, image string) []workload {
	return []workload{
		{kind: "Deployment", name: name + "-csi-controller", container: name + "-plugin", image: image, replicas: 2, section: "controller", account: name + "-csi-controller-sa", critical: clusterCritical, cpu: "10m", memory: "40Mi"},
		{kind: "DaemonSet", name: name + "-csi-node", container: name + "-plugin", image: image, section: "node", account: name + "-csi-node-sa", critical: nodeCritical, cpu: "10m", memory: "40Mi", tolerateAll: true},
	}
}

// chooseAddonVersion settles an add-on's version; the default when none is asked for.
func chooseAddonVersion(c *cluster, name, version string) (string, error) {
	spec, ok := addonCatalogue[name]
	if !ok {
		return "", invalidParameter(c.name, "Addon %s specified is not supported in %s kubernetes version", name, c.version)
	}
	if version == "" {
		return spec.preferred(c.version), nil
	}
	if slices.Contains(spec.available(c.version), version) {
		return version, nil
	}
	return "", invalidParameter(c.name, "Addon version specified is not supported")
}
