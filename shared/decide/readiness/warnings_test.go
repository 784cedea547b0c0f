package readiness

import (
	"slices"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/shared/decide/upgradepath"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

// told are things that are told and do not stop an upgrade.
var told = []fault{
	{"CP07", "an insight that warns", "Kubelet version skew", func(c *cluster) { c.o.Insights[0].Status = "WARNING" }},
	{"CP08", "an old insight", "Kubelet version skew", func(c *cluster) { c.o.Insights[0].LastRefresh = testNow.AddDate(0, 0, -3) }},
	{"CP08", "a refresh that failed", "refresh", func(c *cluster) { c.o.InsightsRefresh = InsightsRefresh{Status: "FAILED", Message: "no"} }},
	{"CP09", "a mistake of configuration", "Subnets", func(c *cluster) {
		c.o.Insights = append(c.o.Insights, Insight{Name: "Subnets", Category: "MISCONFIGURATION", Status: "ERROR"})
	}},
	{"CP11", "few addresses in one zone", "subnet-a", func(c *cluster) { c.subnet("subnet-a").Free = 3 }},
	{"CP12", "the cluster's group without its rule", "sg-cluster", func(c *cluster) { c.o.SecurityGroups[0].Self = false }},
	{"CP14", "no DNS names", "vpc-1", func(c *cluster) { c.o.VPC.DNSHostnames = false }},
	{"CP14", "a URL that an isolated control plane does not reach", "remote", func(c *cluster) {
		c.o.ControlPlane.Egress = "CUSTOMER_ISOLATED"
		c.o.Webhooks = append(c.o.Webhooks, Webhook{Kind: "ValidatingWebhookConfiguration", Configuration: "remote", Name: "x", Fail: true})
	}},
	{"CP15", "extended support", "cluster", func(*cluster) {}},
	{"CP16", "standard support that has ended", "cluster", func(c *cluster) { c.o.EKS.SupportType = "STANDARD" }},
	{"CP17", "an end in a blackout", "Christmas", func(c *cluster) {
		c.p.Blackouts = []fleet.Blackout{{Name: "Christmas", From: testNow, Until: testNow.AddDate(2, 0, 0)}}
	}},
	{"CP18", "an authority that ends", "ca-1", func(c *cluster) {
		c.o.Authorities = []Authority{{ID: "ca-1", Expires: testNow.AddDate(0, 0, 10)}}
	}},
	{"CP19", "an identity provider", "corp", func(c *cluster) { c.o.IdentityProviders = []Named{{Name: "corp", Status: "CREATING"}} }},
	{"CP20", "a tier", "cluster", func(c *cluster) { c.o.ControlPlane.Tier = "tier-xl" }},
	{"API01", "a writer of long ago", "ValidatingAdmissionPolicy p", func(c *cluster) {
		c.o.Objects = append(c.o.Objects, Object{APIVersion: "admissionregistration.k8s.io/v1beta1", Kind: "ValidatingAdmissionPolicy", Name: "p", Writer: "helm", Written: testNow.AddDate(0, -2, 0)})
	}},
	{"API02", "a client that has been fixed", "resource.k8s.io/v1alpha3 deviceclasses", func(c *cluster) {
		c.o.Requested = []Requested{{Group: "resource.k8s.io", Version: "v1alpha3", Resource: "deviceclasses"}}
		c.insight("ERROR", 30*time.Hour)
	}},
	{"API03", "an API that the next minor removes", "StorageVersionMigration m", func(c *cluster) {
		c.o.Objects = append(c.o.Objects, Object{APIVersion: "storagemigration.k8s.io/v1alpha1", Kind: "StorageVersionMigration", Name: "m", Writer: "x"})
	}},
	{"API05", "a release that broke long ago", "shop/web", func(c *cluster) {
		c.o.Helm[0].Objects = append(c.o.Helm[0].Objects, ManifestObject{"policy/v1beta1", "PodDisruptionBudget", "web"})
	}},
	{"API09", "a client that has been fixed", "Deprecated APIs removed in Kubernetes v1.34", func(c *cluster) { c.insight("ERROR", 25*time.Hour) }},
	{"API10", "an old annotation", "Deployment shop/web-0", func(c *cluster) {
		for i := range c.o.Workloads {
			if c.o.Workloads[i].Name == "web-0" {
				c.o.Workloads[i].Annotations = map[string]string{"container.apparmor.security.beta.kubernetes.io/app": "runtime/default"}
			}
		}
	}},
	{"NODE02", "two versions in a group", "group-0", func(c *cluster) { c.o.EKS.Nodes[0].Kubelet = 31 }},
	{"NODE04", "a machine of nobody's", "by-hand", func(c *cluster) {
		c.node(upgradepath.Node{Kubelet: 33, Kind: upgradepath.NodeOther}, NodeFacts{OSImage: "Ubuntu 24.04.3 LTS"})
		c.rename("by-hand")
	}},
	{"NODE05", "a group of AL2 that is held back", "nodegroup group-0", func(c *cluster) {
		c.o.EKS.Groups[0].AMIType = "AL2_x86_64"
		c.p.Nodes.Groups = append(c.p.Nodes.Groups, fleet.GroupUpgrade{Name: "group-0", Hold: true})
	}},
	{"NODE08", "a template that has not been rolled out", "group-0", func(c *cluster) { c.o.EKS.Groups[0].TemplateNewest = "9" }},
	{"NODE11", "an image of one's own that the policy replaces", "", func(c *cluster) {
		c.to(36)
		c.eachNode("group-1", func(_ *upgradepath.Node, f *NodeFacts) { f.Runtime = "containerd://1.7.28" })
	}},
	{"NODE07", "a bootstrap.sh of one's own", "group-1", func(c *cluster) { c.o.Templates[1].Bootstrap = "bootstrap.sh" }},
	{"NODE12", "a flag that does no harm", "group-1", func(c *cluster) { c.o.Templates[1].KubeletFlags = []string{"--container-runtime"} }},
	{"NODE13", "one of many is cordoned", "", func(c *cluster) { c.o.EKS.Nodes[0].Unschedulable = true }},
	{"NODE14", "suspended launches", "asg-0", func(c *cluster) { c.o.ScalingGroups[0].Suspended = []string{"Launch"} }},
	{"NODE16", "EC2 had no capacity", "group-0", func(c *cluster) { c.o.ScalingGroups[0].NoCapacity = testNow.Add(-time.Hour) }},
	{"NODE17", "fewer addresses than the CNI takes", "group-1", func(c *cluster) {
		for _, id := range []string{"subnet-na", "subnet-nb", "subnet-nc"} {
			c.subnet(id).Free = 50
		}
	}},
	{"NODE18", "GPUs", "group-3", func(*cluster) {}},
	{"NODE19", "images that move by themselves", "EC2NodeClass default", func(c *cluster) { c.o.NodeClasses[0].Aliases = []string{"al2023@latest"} }},
	{"NODE20", "a pool that never lets go", "NodePool auto", func(c *cluster) {
		c.o.EKS.AutoMode = true
		c.o.NodePools = append(c.o.NodePools, NodePool{Name: "auto", Auto: true, Budgets: []NodePoolBudget{{Nodes: "0"}}})
	}},
	{"ADD02", "no version for both", "kube-proxy", func(*cluster) {}},
	{"ADD06", "a field that somebody changed", "vpc-cni", func(c *cluster) {
		c.o.Addons[0].Foreign = []string{"DaemonSet kube-system/aws-node: spec (kubectl-edit)"}
	}},
	{"ADD08", "a system component of nobody's", "vpc-cni", func(c *cluster) {
		c.o.EKS.Addons = slices.DeleteFunc(c.o.EKS.Addons, func(a upgradepath.Addon) bool { return a.Name == "vpc-cni" })
	}},
	{"ADD09", "an old cert-manager", "cert-manager cert-manager", func(c *cluster) { c.image("cert-manager", "quay.io/jetstack/cert-manager-controller:v1.17.0") }},
	{"ADD09", "an old cluster autoscaler", "cluster-autoscaler shop", func(c *cluster) { c.image("web-0", "registry.k8s.io/autoscaling/cluster-autoscaler:v1.32.1") }},
	{"ADD10", "IPVS", "kube-system/kube-proxy-config", func(c *cluster) {
		c.to(35)
		c.o.KubeProxy.Mode = "ipvs"
	}},
	{"ADD11", "ingress-nginx", "shop/ingress-nginx", func(c *cluster) { c.image("web-0", "registry.k8s.io/ingress-nginx/controller:v1.14.0@sha256:1") }},
	{"ADD13", "a capability", "argo", func(c *cluster) { c.o.Capabilities = []Named{{Name: "argo", Status: "DEGRADED"}} }},
	{"WL04", "pods that are not healthy", "shop/db", func(c *cluster) { c.budget("", "3", 5, 3, 1) }},
	{"WL05", "a single replica", "Deployment cert-manager/cert-manager", func(*cluster) {}},
	{"WL06", "no budget", "Deployment kube-system/coredns", func(c *cluster) {
		c.o.Budgets = slices.DeleteFunc(c.o.Budgets, func(b Budget) bool { return b.Name == "coredns" })
	}},
	{"WL08", "all on one node", "Deployment kube-system/coredns", func(c *cluster) {
		for i := range c.o.Pods {
			if c.o.Pods[i].OwnerName == "coredns" {
				c.o.Pods[i].Node = c.o.EKS.Nodes[0].Name
			}
		}
	}},
	{"WL09", "no probe", "Deployment shop/web-0", func(c *cluster) {
		for i := range c.o.Workloads {
			c.o.Workloads[i].ReadinessProbe = c.o.Workloads[i].Name != "web-0"
		}
	}},
	{"WL10", "no time to terminate", "shop/quick", func(c *cluster) { c.pod(Pod{Name: "quick", OwnerKind: "StatefulSet", OwnerName: "quick"}) }},
	{"WL11", "a socket that has not been there for long", "DaemonSet shop/agent", func(c *cluster) { c.mount("agent", "/var/run/docker.sock") }},
	{"WL17", "an image that never was", "Deployment shop/web-9", func(c *cluster) {
		c.pod(Pod{Name: "web-9-1", OwnerKind: "Deployment", OwnerName: "web-9", Images: []string{"example.com/gone:1"}, Waiting: []string{"ErrImagePull"}, Grace: time.Second})
		c.o.Pods[len(c.o.Pods)-1].Ready = false
	}},
	{"WL12", "a local volume", "PersistentVolume disk", func(c *cluster) {
		c.o.Volumes = append(c.o.Volumes, Volume{Name: "disk", Claim: "shop/db", Driver: "kubernetes.io/local"})
	}},
	{"WL13", "do not disturb", "shop/batch", func(c *cluster) {
		c.pod(Pod{Name: "batch", OwnerKind: "Job", OwnerName: "batch", Grace: time.Second, Annotations: map[string]string{"karpenter.sh/do-not-disrupt": "true"}})
	}},
	{"WL14", "two pods answer for kube-system", "guard/guard.example.com", func(c *cluster) { c.hook(2) }},
	{"WL15", "a volume of a zone with one node", "shop/vol", func(c *cluster) {
		c.o.Nodes[0].Zone = "eu-west-1z"
		c.o.Volumes = append(c.o.Volumes, Volume{Name: "z", Claim: "shop/z", Driver: "ebs.csi.aws.com", Zones: []string{"eu-west-1z"}})
		c.pod(Pod{Name: "vol", OwnerKind: "StatefulSet", OwnerName: "vol", Grace: time.Second, Claims: []string{"z"}})
	}},
	{"WL16", "a long job", "Job shop/train", func(c *cluster) {
		c.o.Workloads = append(c.o.Workloads, Workload{Kind: "Job", Namespace: "shop", Name: "train", Active: 1, Started: testNow.Add(-5 * time.Hour)})
	}},
	{"WL18", "a Fargate pod", "shop/serverless", func(c *cluster) {
		c.pod(Pod{Name: "serverless", OwnerKind: "Deployment", OwnerName: "serverless", Grace: time.Second})
		for _, n := range c.o.EKS.Nodes {
			if n.Kind == upgradepath.NodeFargate {
				c.o.Pods[len(c.o.Pods)-1].Node = n.Name
			}
		}
	}},
	{"VER02", "a class whose driver is not there, and that nobody uses", "StorageClass gp2", func(c *cluster) {
		c.o.Volumes, c.o.Drivers = nil, nil
		c.o.StorageClasses = map[string]string{"gp2": "kubernetes.io/aws-ebs", "local": "rancher.io/local-path"}
	}},
	{"VER03", "gitRepo, with a switch", "Deployment shop/web-0", func(c *cluster) {
		for i := range c.o.Workloads {
			c.o.Workloads[i].GitRepo = c.o.Workloads[i].Name == "web-0"
		}
	}},
	{"VER04", "leading zeros", "NetworkPolicy shop/old", func(c *cluster) {
		c.to(36)
		c.o.Addresses = append(c.o.Addresses, Address{"NetworkPolicy shop/old", "010.0.0.0/8"})
	}},
	{"VER05", "two labels", "shop/shared", func(c *cluster) {
		c.to(36)
		for _, level := range []string{"s0:c1,c2", "s0:c3,c4"} {
			c.pod(Pod{Name: "se" + level[4:5], OwnerKind: "Job", OwnerName: "x", Grace: time.Second, SELinux: level, Claims: []string{"shared"}})
		}
	}},
	{"VER06", "anonymous callers", "open", func(c *cluster) { c.o.Anonymous = []Named{{Name: "open", Status: "view"}} }},
	{"VER07", "external IPs", "shop/ext", func(c *cluster) {
		c.to(36)
		c.o.Services = append(c.o.Services, Service{Namespace: "shop", Name: "ext", ExternalIPs: []string{"203.0.113.7"}})
	}},
	{"VER08", "a token", "shop/token", func(c *cluster) { c.o.TokenSecrets = []string{"shop/token"} }},
	{"OPS03", "an issue of others", "AWS_EC2_OPERATIONAL_ISSUE", func(c *cluster) {
		c.o.Health = append(c.o.Health, HealthEvent{Service: "EC2", Code: "AWS_EC2_OPERATIONAL_ISSUE", Category: "issue", Status: "open"})
	}},
	{"RB01", "the way back", "cluster", func(*cluster) {}},
	{"RB02", "an obstacle to a rollback", "Add-ons", func(c *cluster) {
		c.o.Insights = append(c.o.Insights, Insight{Name: "Add-ons", Category: "ROLLBACK_READINESS", Status: "WARNING"})
	}},
	{"RB04", "an add-on's version that is gone", "addon vpc-cni", func(c *cluster) { c.addon("vpc-cni").Version = "v1.20.4-eksbuild.9" }},
}

func TestWhatIsToldDoesNotBlock(t *testing.T) {
	seen := map[string]bool{}
	for _, f := range told {
		c := base(3)
		f.do(c)
		r := Check(testNow, c.o, c.p)
		g := finding(r, f.id)
		seen[f.id] = true
		if g.Status != Fail || g.Severity == Block || !r.Ready() {
			t.Errorf("%s %s: %s %s %q; blockers %v", f.id, f.name, g.Severity, g.Status, g.Text, r.Blockers())
		}
		if f.object != "" && !slices.ContainsFunc(g.Evidence, func(e string) bool {
			return e == f.object || len(e) > len(f.object) && e[:len(f.object)+1] == f.object+":"
		}) {
			t.Errorf("%s %s: the evidence does not name %s: %q", f.id, f.name, f.object, g.Evidence)
		}
		if g.Remedy == "" && g.Severity == Warn {
			t.Errorf("%s %s: no remedy", f.id, f.name)
		}
	}
	for _, c := range catalogue {
		if c.severity != Block && !seen[c.id] {
			t.Errorf("nothing makes %s say anything", c.id)
		}
	}
	t.Logf("%d things are told, by %d checks", len(told), len(seen))
}

func finding(r Report, id string) Finding {
	return r.Findings[slices.IndexFunc(r.Findings, func(f Finding) bool { return f.ID == id })]
}
