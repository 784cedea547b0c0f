package readiness

import (
	"time"

	"github.com/ekspedite/ekspedite/shared/decide/upgradepath"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

var apiFaults = []fault{
	{"API01", "an object of an active writer", "ValidatingAdmissionPolicy p", func(c *cluster) {
		c.o.Objects = append(c.o.Objects, Object{APIVersion: "admissionregistration.k8s.io/v1beta1", Kind: "ValidatingAdmissionPolicy", Name: "p", Writer: "argocd-controller", Written: testNow.Add(-time.Hour)})
	}},
	{"API01", "an object of a writer of an unknown time", "ValidatingAdmissionPolicyBinding p", func(c *cluster) {
		c.o.Objects = append(c.o.Objects, Object{APIVersion: "admissionregistration.k8s.io/v1beta1", Kind: "ValidatingAdmissionPolicyBinding", Name: "p", Writer: "kubectl-client-side-apply"})
	}},
	{"API01", "an object that the third hop removes", "IPAddress 10.0.0.1", func(c *cluster) {
		c.o.EKS.Versions = append(c.o.EKS.Versions, fleet.KubernetesVersion{Minor: 37, Status: fleet.StandardSupport})
		c.to(37)
		c.o.Objects = append(c.o.Objects, Object{APIVersion: "networking.k8s.io/v1beta1", Kind: "IPAddress", Name: "10.0.0.1", Writer: "operator", Written: testNow.Add(-24 * time.Hour)})
	}},
	{"API01", "objects could not be read", "", func(c *cluster) { c.o.Unread = map[Part]string{PartObjects: "forbidden"} }},
	{"API02", "requests without an insight", "resource.k8s.io/v1alpha3 deviceclasses", func(c *cluster) {
		c.o.Requested = []Requested{{Group: "resource.k8s.io", Version: "v1alpha3", Resource: "deviceclasses"}}
	}},
	{"API02", "requests with an insight of today", "resource.k8s.io/v1alpha3 deviceclasses", func(c *cluster) {
		c.o.Requested = []Requested{{Group: "resource.k8s.io", Version: "v1alpha3", Resource: "deviceclasses"}}
		c.insight("ERROR", 2*time.Hour)
	}},
	{"API02", "requests of a kind that only the API server knows", "future.k8s.io/v1beta1 things", func(c *cluster) {
		c.o.Requested = []Requested{{Group: "future.k8s.io", Version: "v1beta1", Resource: "things", Removed: 34}}
	}},
	{"API05", "a release with an API that went long ago, and one that goes", "shop/web", func(c *cluster) {
		c.o.Helm[0].Objects = append(c.o.Helm[0].Objects, ManifestObject{"policy/v1beta1", "PodDisruptionBudget", "web"}, ManifestObject{"resource.k8s.io/v1alpha3", "ResourceClaim", "gpu"})
	}},
	{"API05", "a release with an API that the target removes", "shop/policies", func(c *cluster) {
		c.o.Helm = append(c.o.Helm, HelmRelease{Namespace: "shop", Name: "policies", Objects: []ManifestObject{{"admissionregistration.k8s.io/v1beta1", "ValidatingAdmissionPolicy", "p"}}})
	}},
	{"API06", "a stored version that is gone", "widgets.example.com", func(c *cluster) {
		c.o.Definitions = append(c.o.Definitions, Definition{Name: "widgets.example.com", Stored: []string{"v1alpha1", "v1"}, Versions: []DefinitionVersion{{Name: "v1", Served: true, Storage: true}}})
	}},
	{"API07", "an aggregated API is away", "v1beta1.metrics.k8s.io", func(c *cluster) {
		c.o.APIServices[0].Available, c.o.APIServices[0].Why = false, "FailedDiscoveryCheck"
	}},
	{"API08", "alpha objects of 1.36", "Workload shop/train", func(c *cluster) {
		c.to(36)
		c.o.Objects = append(c.o.Objects, Object{APIVersion: "scheduling.k8s.io/v1alpha1", Kind: "Workload", Namespace: "shop", Name: "train", Listed: true})
	}},
	{"API08", "alpha objects of 1.37", "PodGroup shop/train", func(c *cluster) {
		c.o.EKS.Versions = append(c.o.EKS.Versions, fleet.KubernetesVersion{Minor: 37, Status: fleet.StandardSupport})
		c.to(37)
		c.o.Objects = append(c.o.Objects, Object{APIVersion: "scheduling.k8s.io/v1alpha2", Kind: "PodGroup", Namespace: "shop", Name: "train", Listed: true})
	}},
	{"VER01", "PodSecurityPolicies", "PodSecurityPolicy restricted", func(c *cluster) {
		c.o.EKS.Version, c.o.Target = 24, 25
		c.o.Objects = append(c.o.Objects, Object{APIVersion: "policy/v1beta1", Kind: "PodSecurityPolicy", Name: "restricted"})
	}},
	{"VER02", "no EBS driver", "pv-1", func(c *cluster) { c.o.Drivers = []string{"efs.csi.aws.com"} }},
	{"VER02", "no EFS driver", "pv-3", func(c *cluster) {
		c.o.Drivers = []string{"ebs.csi.aws.com"}
		c.o.Volumes = append(c.o.Volumes, Volume{Name: "pv-3", Driver: "efs.csi.aws.com"})
	}},
	{"VER03", "a gitRepo volume in a workload", "Deployment shop/web-0", func(c *cluster) {
		c.to(36)
		for i := range c.o.Workloads {
			c.o.Workloads[i].GitRepo = c.o.Workloads[i].Name == "web-0"
		}
	}},
	{"VER03", "a gitRepo volume in a bare pod", "Pod shop/git", func(c *cluster) {
		c.to(36)
		c.o.Pods = append(c.o.Pods, Pod{Namespace: "shop", Name: "git", Phase: "Running", GitRepo: true})
	}},
}

var nodeFaults = []fault{
	{"NODE01", "a kubelet four minors behind", "", func(c *cluster) { c.o.EKS.Nodes[0].Kubelet = 30 }},
	{"NODE01", "an old kubelet that may be two minors behind", "", func(c *cluster) {
		c.from(31)
		c.o.EKS.Version, c.o.Target = 27, 28
		c.eachNode("group-0", func(n *upgradepath.Node, _ *NodeFacts) { n.Kubelet = 24 })
	}},
	{"NODE01", "a kubelet that is too new", "", func(c *cluster) { c.o.EKS.Nodes[1].Kubelet = 35 }},
	{"NODE01", "strict skew", "", func(c *cluster) {
		c.p.Skew = fleet.SkewStrict
		c.o.EKS.Nodes[0].Kubelet = 32
	}},
	{"NODE01", "a Fargate pod of long ago", "", func(c *cluster) {
		for i := range c.o.EKS.Nodes {
			if n := &c.o.EKS.Nodes[i]; n.Kind == upgradepath.NodeFargate {
				n.Kubelet = 30
			}
		}
	}},
	{"NODE01", "a version that nobody knows", "", func(c *cluster) { c.o.EKS.Nodes[0].Kubelet = 0 }},
	{"NODE03", "a degraded group", "group-0", func(c *cluster) { c.o.EKS.Groups[0].Status = "DEGRADED" }},
	{"NODE03", "a group with an issue", "group-3", func(c *cluster) {
		c.o.EKS.Groups[3].Issues = []string{"AutoScalingGroupNotFound: gone"}
	}},
	{"NODE03", "a group that is being updated", "group-0", func(c *cluster) { c.o.EKS.Groups[0].Status = "UPDATING" }},
	{"NODE04", "a hybrid node too far behind", "old-rack", func(c *cluster) {
		c.to(36)
		c.node(upgradepath.Node{Kubelet: 32, Kind: upgradepath.NodeHybrid}, NodeFacts{OSImage: "Ubuntu 24.04.3 LTS", Cgroup: 2, Runtime: "containerd://2.1.4"})
		c.rename("old-rack")
	}},
	{"NODE04", "a machine of nobody's too far behind", "by-hand", func(c *cluster) {
		c.to(36)
		c.node(upgradepath.Node{Kubelet: 31, Kind: upgradepath.NodeOther}, NodeFacts{OSImage: "Ubuntu 24.04.3 LTS", Cgroup: 2, Runtime: "containerd://2.1.4"})
		c.rename("by-hand")
	}},
	{"NODE05", "a group of AL2", "nodegroup group-0", func(c *cluster) { c.o.EKS.Groups[0].AMIType = "AL2_x86_64" }},
	{"NODE05", "an image of one's own of AL2", "", func(c *cluster) {
		c.eachNode("group-1", func(_ *upgradepath.Node, f *NodeFacts) { f.OSImage = "Amazon Linux 2" })
	}},
	{"NODE05", "an EC2NodeClass of AL2", "EC2NodeClass default", func(c *cluster) { c.o.NodeClasses[0].Aliases = []string{"al2@latest"} }},
	{"NODE05", "an EC2NodeClass whose family is AL2", "EC2NodeClass default", func(c *cluster) { c.o.NodeClasses[0].Family = "AL2" }},
	{"NODE05", "self-managed nodes of AL2", "", func(c *cluster) {
		c.eachNode("group-2", func(_ *upgradepath.Node, f *NodeFacts) { f.OSImage = "Amazon Linux 2 (Karoo)" })
	}},
	{"NODE06", "no image for the target", "group-0", func(c *cluster) { delete(c.o.EKS.Images, "BOTTLEROCKET_x86_64/1.34") }},
	{"NODE06", "images could not be read", "", func(c *cluster) { c.o.Unread = map[Part]string{PartImages: "throttled"} }},
	{"NODE07", "no template version for the target", "group-1", func(c *cluster) { ownGroup(c).LaunchTemplateVersion = nil }},
	{"NODE07", "the template version that is in use already", "group-1", func(c *cluster) {
		ownGroup(c).LaunchTemplateVersion = map[fleet.Minor]string{34: "3"}
	}},
	{"NODE07", "bootstrap.sh on AL2023, and no node has joined", "group-1", func(c *cluster) {
		c.o.Templates[1].Bootstrap = "bootstrap.sh"
		c.eachNode("group-1", func(n *upgradepath.Node, _ *NodeFacts) { n.Ready = false })
	}},
	{"NODE09", "the image is gone", "group-1", func(c *cluster) { c.o.Templates[1].Missing = []string{"image ami-01"} }},
	{"NODE09", "the security group is gone", "group-0", func(c *cluster) { c.o.Templates[0].Missing = []string{"security group sg-9"} }},
	{"NODE10", "measured cgroup v1 on nodes that stay", "", func(c *cluster) {
		c.to(35)
		c.node(upgradepath.Node{Kubelet: 33, Kind: upgradepath.NodeHybrid}, NodeFacts{OSImage: "Ubuntu 24.04.3 LTS", Cgroup: 1, Runtime: "containerd://2.1.4"})
	}},
	{"NODE10", "Ubuntu 20.04", "", func(c *cluster) {
		c.to(35)
		c.node(upgradepath.Node{Kubelet: 33, Kind: upgradepath.NodeOther}, NodeFacts{OSImage: "Ubuntu 20.04.6 LTS", Runtime: "containerd://2.1.4"})
	}},
	{"NODE11", "containerd 1.7 on a hybrid node", "", func(c *cluster) {
		c.to(36)
		c.node(upgradepath.Node{Kubelet: 33, Kind: upgradepath.NodeHybrid}, NodeFacts{OSImage: "Ubuntu 24.04.3 LTS", Cgroup: 2, Runtime: "containerd://1.7.28"})
	}},
	{"NODE11", "containerd 1.7 of a pinned EC2NodeClass", "", func(c *cluster) {
		c.to(36)
		c.o.NodeClasses[0] = NodeClass{Name: "default", Pinned: true}
	}},
	{"NODE11", "containerd 1.7 in an image of one's own that stays", "", func(c *cluster) {
		c.to(36)
		c.eachNode("group-1", func(_ *upgradepath.Node, f *NodeFacts) { f.Runtime = "containerd://1.7.28" })
		ownGroup(c).LaunchTemplateVersion = nil
	}},
	{"NODE12", "cAdvisor's flags", "group-2", func(c *cluster) {
		c.o.EKS.Versions = append(c.o.EKS.Versions, fleet.KubernetesVersion{Minor: 37, Status: fleet.StandardSupport})
		c.to(37)
		c.o.Templates[2].KubeletFlags = []string{"--global-housekeeping-interval"}
	}},
	{"NODE12", "pod-infra-container-image", "group-2", func(c *cluster) {
		c.to(35)
		c.o.Templates[2].KubeletFlags = []string{"--pod-infra-container-image"}
	}},
	{"NODE12", "one of many flags, with underscores", "group-1", func(c *cluster) {
		c.to(36)
		c.o.Templates[1].KubeletFlags = []string{"--v", "--pod_infra_container_image", "--max-pods"}
	}},
	{"NODE13", "a tenth of the nodes are not Ready", "", func(c *cluster) {
		for i := range (len(c.o.EKS.Nodes) + 9) / 10 {
			c.o.EKS.Nodes[i].Ready = false
		}
	}},
	{"NODE13", "half of the nodes are cordoned", "", func(c *cluster) {
		for i := range len(c.o.EKS.Nodes) / 2 {
			c.o.EKS.Nodes[i].Unschedulable = true
		}
	}},
	{"NODE13", "disks under pressure", "", func(c *cluster) {
		for i := range c.o.Nodes {
			c.o.Nodes[i].Pressure = []string{"DiskPressure"}
		}
	}},
	{"NODE15", "no quota left", QuotaOnDemand, func(c *cluster) { c.o.Quotas[0].Used = c.o.Quotas[0].Limit }},
	{"NODE15", "blue/green needs the whole group again", QuotaOnDemand, func(c *cluster) {
		c.p.Nodes.Strategy = fleet.NodesBlueGreen
		c.o.Quotas[0].Used = c.o.Quotas[0].Limit - 20
	}},
	{"NODE15", "no spot quota", QuotaSpot, func(c *cluster) {
		c.o.EKS.Groups[0].Spot = true
		c.o.Quotas[1] = Quota{Code: QuotaSpot, Limit: 8, Used: 2}
	}},
	{"NODE15", "no room for disks", QuotaVolumes, func(c *cluster) { c.o.Quotas[4].Used = 49.9 }},
	{"NODE15", "no room for a second group", QuotaAutoScaling, func(c *cluster) {
		c.p.Nodes.Strategy = fleet.NodesBlueGreen
		c.o.Quotas[5].Used = 500
	}},
	{"NODE15", "quotas could not be read", "", func(c *cluster) { c.o.Unread = map[Part]string{PartQuotas: "access denied"} }},
	{"NODE15", "a type that nobody knows", "", func(c *cluster) { c.o.EKS.Groups[0].InstanceTypes = []string{"m99.huge"} }},
	{"NODE17", "no address left for nodes", "group-0", func(c *cluster) {
		for _, id := range []string{"subnet-na", "subnet-nb", "subnet-nc"} {
			c.subnet(id).Free = 5
		}
	}},
	{"NODE17", "a group whose subnets nobody knows", "", func(c *cluster) { delete(c.o.GroupFacts, "group-0") }},
	{"NODE19", "Karpenter is too old", "karpenter kube-system", func(c *cluster) { c.image("karpenter", "public.ecr.aws/karpenter/controller:1.5.2") }},
	{"NODE19", "Karpenter of before 1.0", "karpenter kube-system", func(c *cluster) { c.image("karpenter", "public.ecr.aws/karpenter/controller:v0.34.1@sha256:0") }},
}

func (c *cluster) rename(name string) {
	i := len(c.o.EKS.Nodes) - 1
	c.o.EKS.Nodes[i].Name, c.o.Nodes[i].Name = name, name
}

// image gives the pods of an owner another image.
func (c *cluster) image(owner, image string) {
	for i := range c.o.Pods {
		if c.o.Pods[i].OwnerName == owner {
			c.o.Pods[i].Images = []string{image}
		}
	}
}
