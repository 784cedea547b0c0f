package readiness

import (
	"fmt"
	"time"

	"github.com/ekspedite/ekspedite/shared/decide/upgradepath"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

// others are nodes that are in no group.
func (c *cluster) others(t traits) {
	count := 2 + c.r.IntN(6)
	if t.fargate {
		for range count {
			// Fargate's machines name Amazon Linux 2, old runtimes and all.
			c.node(upgradepath.Node{Kubelet: t.from, Kind: upgradepath.NodeFargate}, NodeFacts{OSImage: "Amazon Linux 2", Kernel: "5.10.245", Runtime: "containerd://1.7.27"})
		}
	}
	if t.karpenter {
		c.o.NodePools = []NodePool{{Name: "general", NodeClass: "default", ExpireAfter: "720h", Budgets: []NodePoolBudget{{Nodes: "10%"}}}}
		c.o.NodeClasses = []NodeClass{{Name: "default", Aliases: []string{"al2023@v20261112"}}}
		for range count {
			c.node(upgradepath.Node{Kubelet: t.from, Kind: upgradepath.NodeKarpenter}, NodeFacts{OSImage: "Amazon Linux 2023.9.20261027", Runtime: "containerd://1.7.29", NodePool: "general"})
		}
	}
	if t.auto {
		c.o.NodePools = append(c.o.NodePools, NodePool{Name: "general-purpose", NodeClass: "auto", Auto: true, Budgets: []NodePoolBudget{{Nodes: "10%"}}})
		for range count {
			c.node(upgradepath.Node{Kubelet: t.from, Kind: upgradepath.NodeAuto}, NodeFacts{OSImage: "Bottlerocket (EKS Auto, Standard) 2026.11.5", Runtime: "containerd://1.7.29", NodePool: "general-purpose"})
		}
	}
	if t.hybrid {
		c.node(upgradepath.Node{Kubelet: t.from, Kind: upgradepath.NodeHybrid}, NodeFacts{OSImage: "Ubuntu 24.04.3 LTS", Runtime: "containerd://2.1.4", Cgroup: 2})
	}
}

// app makes a deployment, its pods on the nodes in turn, and a budget if it has several.
func (c *cluster) app(ns, name string, replicas int, image string) {
	labels := map[string]string{"app": name}
	c.o.Workloads = append(c.o.Workloads, Workload{Kind: "Deployment", Namespace: ns, Name: name, Replicas: replicas, Ready: replicas, Selector: &fleet.Selector{Labels: labels}, Labels: labels,
		Images: []string{image}, ReadinessProbe: true, Grace: 30 * time.Second, Spread: true})
	first := c.r.IntN(len(c.o.EKS.Nodes))
	for i := range replicas {
		c.o.Pods = append(c.o.Pods, Pod{Namespace: ns, Name: fmt.Sprintf("%s-5d9c-%d", name, i), Node: c.o.EKS.Nodes[(first+i)%len(c.o.EKS.Nodes)].Name, Labels: labels, OwnerKind: "Deployment", OwnerName: name,
			Phase: "Running", Ready: true, Created: testNow.AddDate(0, 0, -3), Grace: 30 * time.Second, Images: []string{image}, EmptyDir: c.r.IntN(3) == 0})
	}
	if replicas < 2 {
		return
	}
	b := Budget{Namespace: ns, Name: name, Selector: &fleet.Selector{Labels: labels}, MaxUnavailable: "1", Allowed: 1, Healthy: replicas, Desired: replicas - 1, Expected: replicas, Current: true}
	switch c.r.IntN(3) {
	case 0:
		b.MaxUnavailable, b.MinAvailable = "", fmt.Sprint(replicas-1)
	case 1:
		b.MaxUnavailable = "25%" // rounded up: at least one
		b.Allowed = (replicas*25 + 99) / 100
		b.Desired = replicas - b.Allowed
	}
	c.o.Budgets = append(c.o.Budgets, b)
}

// daemon makes a DaemonSet with a pod on every node of a machine.
func (c *cluster) daemon(ns, name, image string) {
	labels := map[string]string{"k8s-app": name}
	w := Workload{Kind: "DaemonSet", Namespace: ns, Name: name, Selector: &fleet.Selector{Labels: labels}, Labels: labels, Images: []string{image}, HostPaths: []string{"/var/log", "/proc"}, Grace: 10 * time.Second}
	if name == "aws-node" {
		w.Env = map[string]string{"WARM_ENI_TARGET": "1"}
	}
	for i, n := range c.o.EKS.Nodes {
		if n.Kind == upgradepath.NodeFargate || n.Kind == upgradepath.NodeAuto {
			continue
		}
		w.Replicas++
		w.Ready++
		c.o.Pods = append(c.o.Pods, Pod{Namespace: ns, Name: fmt.Sprintf("%s-%d", name, i), Node: n.Name, Labels: labels, OwnerKind: "DaemonSet", OwnerName: name, Phase: "Running", Ready: true, Grace: 10 * time.Second,
			Images: []string{image}, HostPaths: w.HostPaths})
	}
	c.o.Workloads = append(c.o.Workloads, w)
}

func (c *cluster) kubernetes(t traits) {
	for _, ns := range []string{"kube-system", "default", "shop", "cert-manager"} {
		c.o.Namespaces = append(c.o.Namespaces, Namespace{Name: ns, Labels: map[string]string{"kubernetes.io/metadata.name": ns}})
	}
	c.o.KubeProxy = KubeProxy{Found: true, Mode: "iptables"}
	c.o.Drivers = []string{"ebs.csi.aws.com", "efs.csi.aws.com"}
	c.o.APIServices = []APIService{{Name: "v1beta1.metrics.k8s.io", Service: "kube-system/metrics-server", Available: true}}
	c.o.Definitions = []Definition{{Name: "certificates.cert-manager.io", Stored: []string{"v1"}, Versions: []DefinitionVersion{{Name: "v1", Served: true, Storage: true}}}}
	c.o.Addresses = []Address{{"NetworkPolicy shop/web", "10.0.0.0/8"}, {"Service shop/web", "192.168.1.5"}}
	c.o.Volumes = []Volume{{Name: "pv-1", Claim: "shop/data-db-0", Driver: "ebs.csi.aws.com", Zones: []string{"eu-west-1a"}}, {Name: "pv-2", Driver: "kubernetes.io/aws-ebs"}}
	if len(c.o.EKS.Nodes) == 0 {
		return
	}
	if !t.auto && t.groups > 0 {
		c.daemon("kube-system", "aws-node", "602401143452.dkr.ecr.eu-west-1.amazonaws.com/amazon-k8s-cni:v1.20.5-eksbuild.1")
		c.daemon("kube-system", "kube-proxy", fmt.Sprintf("602401143452.dkr.ecr.eu-west-1.amazonaws.com/eks/kube-proxy:v%s.0-eksbuild.1", t.from))
	}
	for i := range c.o.Workloads {
		if w := &c.o.Workloads[i]; w.Name == "aws-node" {
			if t.prefix {
				w.Env = map[string]string{"ENABLE_PREFIX_DELEGATION": "true", "WARM_PREFIX_TARGET": "1"}
			}
			if t.warmIP {
				w.Env = map[string]string{"WARM_IP_TARGET": "5", "MINIMUM_IP_TARGET": "10"}
			}
		}
	}
	if !t.auto {
		c.app("kube-system", "coredns", 2, "602401143452.dkr.ecr.eu-west-1.amazonaws.com/eks/coredns:v1.13.3-eksbuild.1")
	}
	for i := range t.workloads {
		c.app("shop", fmt.Sprintf("web-%d", i), 1+c.r.IntN(8), fmt.Sprintf("111122223333.dkr.ecr.eu-west-1.amazonaws.com/web:%d", i))
	}
	if t.daemons { // a budget over nothing but a DaemonSet's pods holds no drain up
		c.daemon("shop", "agent", "example.com/agent:1")
		c.o.Budgets = append(c.o.Budgets, Budget{Namespace: "shop", Name: "agent", Selector: &fleet.Selector{Labels: map[string]string{"k8s-app": "agent"}}, MinAvailable: "100%", Expected: len(c.o.EKS.Nodes), Healthy: len(c.o.EKS.Nodes), Desired: len(c.o.EKS.Nodes)})
	}
	c.o.Budgets = append(c.o.Budgets, Budget{Namespace: "shop", Name: "nothing", Selector: &fleet.Selector{Labels: map[string]string{"app": "gone"}}, MinAvailable: "1", Desired: 1})
	if t.karpenter {
		c.app("kube-system", "karpenter", 2, "public.ecr.aws/karpenter/controller:1.12.0@sha256:abc")
	}
	if t.webhooks {
		c.app("cert-manager", "webhook", 2, "quay.io/jetstack/cert-manager-webhook:v1.21.2")
		c.app("cert-manager", "cert-manager", 1, "quay.io/jetstack/cert-manager-controller:v1.21.2")
		c.o.Services = append(c.o.Services, Service{Namespace: "cert-manager", Name: "webhook", Selector: map[string]string{"app": "webhook"}})
		rule := []WebhookRule{{Groups: []string{"cert-manager.io"}, Resources: []string{"*/*"}, Operations: []string{"CREATE", "UPDATE"}}}
		c.o.Webhooks = append(c.o.Webhooks,
			Webhook{Kind: "ValidatingWebhookConfiguration", Configuration: "cert-manager-webhook", Name: "webhook.cert-manager.io", Fail: true, Service: "cert-manager/webhook", Rules: rule},
			Webhook{Kind: "MutatingWebhookConfiguration", Configuration: "pod-identity-webhook", Name: "iam.amazonaws.com", Fail: false, Rules: []WebhookRule{{Groups: []string{""}, Resources: []string{"pods"}, Operations: []string{"CREATE"}}}},
			Webhook{Kind: "MutatingWebhookConfiguration", Configuration: "sidecars", Name: "inject.example.com", Fail: true, Service: "cert-manager/webhook", Rules: []WebhookRule{{Groups: []string{""}, Resources: []string{"pods"}, Operations: []string{"CREATE"}}},
				NamespaceSelector: &fleet.Selector{Requirements: []fleet.Requirement{{Key: "kubernetes.io/metadata.name", Operator: "NotIn", Values: []string{"kube-system", "cert-manager"}}}}})
	}
	if t.helm {
		c.o.Helm = []HelmRelease{{Namespace: "shop", Name: "web", Chart: "web-1.2.3", Revision: 7, Objects: []ManifestObject{{"apps/v1", "Deployment", "web"}, {"policy/v1", "PodDisruptionBudget", "web"}, {"example.com/v1beta1", "Deployment", "own"}}}}
	}
	if t.oldNodes { // somebody deployed it by an API that goes, long ago, and has not come back; or one that goes later
		c.o.Objects = append(c.o.Objects, Object{APIVersion: "flowcontrol.apiserver.k8s.io/v1beta3", Kind: "FlowSchema", Name: "old", Writer: "helm", Written: testNow.AddDate(-1, 0, 0)},
			Object{APIVersion: "resource.k8s.io/v1beta2", Kind: "ResourceClaim", Namespace: "shop", Name: "gpu", Writer: "kubectl", Written: testNow})
	}
	if t.waived {
		c.o.Pods = append(c.o.Pods, Pod{Namespace: "default", Name: "debug", Node: c.o.EKS.Nodes[0].Name, Phase: "Running", Ready: true, Grace: 30 * time.Second, Images: []string{"busybox"}})
		c.p.Checks.Waivers = append(c.p.Checks.Waivers, fleet.Waiver{Check: "WL07", Object: "default/debug", Until: testNow.AddDate(0, 1, 0), Reason: "goes next week"})
	}
	c.o.Health = []HealthEvent{}
	if t.conditions { // pods that have finished concern nobody
		c.o.Pods = append(c.o.Pods, Pod{Namespace: "shop", Name: "done", Phase: "Succeeded", Grace: time.Hour})
		c.o.Health = append(c.o.Health, HealthEvent{Service: "EKS", Code: "AWS_EKS_PLANNED_LIFECYCLE_EVENT", Category: "scheduledChange", Status: "upcoming", Affected: true},
			HealthEvent{Service: "RDS", Code: "AWS_RDS_OPERATIONAL_ISSUE", Category: "issue", Status: "open", Affected: true})
		c.p.Health.Alarms, c.o.Alarms = []string{"errors"}, []Alarm{{Name: "errors", State: "OK"}}
	}
}

// random are the traits of a seed.
func (c *cluster) random() traits {
	coin := func() bool { return c.r.IntN(2) == 0 }
	t := traits{from: fleet.Minor(31 + c.r.IntN(5)), groups: c.r.IntN(6), nodes: 1 + c.r.IntN(12), workloads: c.r.IntN(12),
		fargate: coin(), karpenter: coin(), private: coin(), ipv6: coin(), key: coin(), spot: coin(), bottle: coin(), custom: coin(), selfManaged: coin(), hybrid: coin(),
		fixedClient: coin(), webhooks: coin(), helm: coin(), prefix: coin(), warmIP: coin(), strict: coin(), minimal: coin(), blueGreen: coin(),
		daemons: coin(), percent: coin(), conditions: coin(), waived: coin(), poolsComing: coin(), gpu: coin()}
	t.to = min(36, t.from+fleet.Minor(c.r.IntN(4)))
	t.auto = c.r.IntN(6) == 0
	if t.auto {
		t.groups, t.karpenter = 0, false
	}
	t.oldNodes = !t.strict && t.to-t.from <= 1 && coin()
	if t.strict {
		t.hybrid = false // nobody moves them, so that they cannot keep up
	}
	return t
}
