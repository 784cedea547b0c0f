package readiness

import (
	"fmt"
	"slices"
	"time"

	"github.com/ekspedite/ekspedite/shared/decide/upgradepath"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

var addonFaults = []fault{
	{"ADD01", "no version for the target", "aws-ebs-csi-driver", func(c *cluster) {
		c.o.EKS.Releases["aws-ebs-csi-driver"] = []fleet.AddonRelease{{Version: "v1.50.0-eksbuild.1", Minors: []fleet.Minor{33}}}
	}},
	{"ADD01", "an add-on of which nothing is known", "aws-ebs-csi-driver", func(c *cluster) { delete(c.o.EKS.Releases, "aws-ebs-csi-driver") }},
	{"ADD01", "a pin that does not fit", "kube-proxy", func(c *cluster) { c.p.Addons.Pins = map[string]string{"kube-proxy": "v1.33.0-eksbuild.1"} }},
	{"ADD01", "a pin that does not exist", "vpc-cni", func(c *cluster) { c.p.Addons.Pins = map[string]string{"vpc-cni": "v1.99.0-eksbuild.1"} }},
	{"ADD03", "a gap in the CNI's way", "vpc-cni", func(c *cluster) {
		c.addon("vpc-cni").Version = "v1.18.5-eksbuild.1"
		c.o.EKS.Releases["vpc-cni"] = []fleet.AddonRelease{{Version: "v1.21.5-eksbuild.1", Minors: []fleet.Minor{33, 34}}, {Version: "v1.19.5-eksbuild.1", Minors: []fleet.Minor{33}}, {Version: "v1.18.5-eksbuild.1", Minors: []fleet.Minor{33}}}
	}},
	{"ADD03", "a CNI that only older minors have versions between", "vpc-cni", func(c *cluster) {
		c.addon("vpc-cni").Version = "v1.19.5-eksbuild.1"
		c.o.EKS.Releases["vpc-cni"] = []fleet.AddonRelease{{Version: "v1.21.5-eksbuild.1", Minors: []fleet.Minor{34}}, {Version: "v1.20.5-eksbuild.1", Minors: []fleet.Minor{31, 32}}, {Version: "v1.19.5-eksbuild.1", Minors: []fleet.Minor{33}}}
	}},
	{"ADD04", "a degraded add-on", "coredns", func(c *cluster) {
		a := c.addon("coredns")
		a.Status, a.Issues = "DEGRADED", []string{"InsufficientNumberOfReplicas: unhealthy"}
	}},
	{"ADD04", "an add-on whose update failed", "vpc-cni", func(c *cluster) { c.addon("vpc-cni").Status = "UPDATE_FAILED" }},
	{"ADD04", "an add-on that is being updated", "kube-proxy", func(c *cluster) { c.addon("kube-proxy").Status = "UPDATING" }},
	{"ADD05", "a field that is not known any more", "vpc-cni", func(c *cluster) { c.o.Addons[0].Configuration = `{"enableWindows":true}` }},
	{"ADD05", "a value of another type", "vpc-cni", func(c *cluster) { c.o.Addons[0].Configuration = `{"env":{"WARM_ENI_TARGET":1}}` }},
	{"ADD05", "a value that is not allowed", "vpc-cni", func(c *cluster) { c.o.Addons[0].Configuration = `{"env":{"ENABLE_PREFIX_DELEGATION":"yes"}}` }},
	{"ADD05", "a number that is too small", "vpc-cni", func(c *cluster) { c.o.Addons[0].Configuration = `{"replicas":0}` }},
	{"ADD07", "kube-proxy four minors behind", "kube-proxy", func(c *cluster) { c.addon("kube-proxy").Version = "v1.30.0-eksbuild.1" }},
	{"ADD07", "kube-proxy newer than the control plane", "kube-proxy", func(c *cluster) { c.addon("kube-proxy").Version = "v1.35.0-eksbuild.1" }},
	{"ADD07", "a self-managed kube-proxy four minors behind", "kube-proxy (kube-system)", func(c *cluster) {
		c.o.EKS.Addons = slices.DeleteFunc(c.o.EKS.Addons, func(a upgradepath.Addon) bool { return a.Name == "kube-proxy" })
		c.image("kube-proxy", "602401143452.dkr.ecr.eu-west-1.amazonaws.com/eks/kube-proxy:v1.30.0-minimal-eksbuild.1")
	}},
	{"ADD12", "an add-on's role is gone", "arn:aws:iam::111122223333:role/ebs", func(c *cluster) { c.o.AddonRoles[0].Exists = false }},
	{"ADD12", "an add-on's role trusts nobody", "arn:aws:iam::111122223333:role/ebs", func(c *cluster) { c.o.AddonRoles[0].Trusted = false }},
	{"ADD14", "a subscription has ended", "aws-ebs-csi-driver", func(c *cluster) {
		a := c.addon("aws-ebs-csi-driver")
		a.Status, a.Issues = "DEGRADED", []string{"AddonSubscriptionNeeded: subscribe"}
	}},
}

func (c *cluster) budget(min, max string, pods, healthy, allowed int) {
	labels := map[string]string{"app": "db"}
	for i := range pods {
		c.o.Pods = append(c.o.Pods, Pod{Namespace: "shop", Name: fmt.Sprintf("db-%d", i), Node: c.o.EKS.Nodes[0].Name, Labels: labels, OwnerKind: "StatefulSet", OwnerName: "db", Phase: "Running", Ready: i < healthy, Grace: 30 * time.Second})
	}
	c.o.Budgets = append(c.o.Budgets, Budget{Namespace: "shop", Name: "db", Selector: &fleet.Selector{Labels: labels}, MinAvailable: min, MaxUnavailable: max, Allowed: allowed, Healthy: healthy, Desired: pods - 1, Expected: pods, Current: true})
}

// hook makes a webhook that fails closed on the creation of pods, with so many ready pods behind it, and asked for all namespaces
// but those.
func (c *cluster) hook(ready int, but ...string) {
	for i := range ready {
		c.o.Pods = append(c.o.Pods, Pod{Namespace: "guard", Name: fmt.Sprintf("guard-%d", i), Node: c.o.EKS.Nodes[0].Name, Labels: map[string]string{"app": "guard"}, OwnerKind: "Deployment", OwnerName: "guard", Phase: "Running", Ready: true, Grace: 30 * time.Second})
	}
	c.o.Services = append(c.o.Services, Service{Namespace: "guard", Name: "guard", Selector: map[string]string{"app": "guard"}})
	w := Webhook{Kind: "ValidatingWebhookConfiguration", Configuration: "guard", Name: "guard.example.com", Fail: true, Service: "guard/guard", Rules: []WebhookRule{{Groups: []string{""}, Resources: []string{"pods"}, Operations: []string{"CREATE"}}}}
	if len(but) > 0 {
		w.NamespaceSelector = &fleet.Selector{Requirements: []fleet.Requirement{{Key: "kubernetes.io/metadata.name", Operator: "NotIn", Values: but}}}
	}
	c.o.Webhooks = append(c.o.Webhooks, w)
}

func (c *cluster) pod(p Pod) {
	p.Namespace, p.Phase, p.Ready, p.Node = "shop", "Running", true, c.o.EKS.Nodes[0].Name
	c.o.Pods = append(c.o.Pods, p)
}

var workloadFaults = []fault{
	{"WL01", "a pod that is not healthy", "shop/db", func(c *cluster) { c.budget("", "1", 3, 2, 0) }},
	{"WL01", "half must be there, and are just", "shop/db", func(c *cluster) { c.budget("50%", "", 4, 2, 0) }},
	{"WL01", "budgets could not be read", "", func(c *cluster) { c.o.Unread = map[Part]string{PartBudgets: "forbidden"} }},
	{"WL02", "as many as there are", "shop/db", func(c *cluster) { c.budget("3", "", 3, 3, 0) }},
	{"WL02", "more than there are", "shop/db", func(c *cluster) { c.budget("5", "", 3, 3, 0) }},
	{"WL02", "all of them in per cent", "shop/db", func(c *cluster) { c.budget("100%", "", 3, 3, 0) }},
	{"WL02", "half of one, rounded up", "shop/db", func(c *cluster) { c.budget("50%", "", 1, 1, 0) }},
	{"WL02", "none may be away", "shop/db", func(c *cluster) { c.budget("", "0", 3, 3, 0) }},
	{"WL02", "no per cent may be away", "shop/db", func(c *cluster) { c.budget("", "0%", 3, 3, 0) }},
	{"WL03", "two budgets", "shop/all + shop/db", func(c *cluster) {
		c.budget("", "1", 3, 3, 1)
		c.o.Budgets = append(c.o.Budgets, Budget{Namespace: "shop", Name: "all", Selector: &fleet.Selector{Labels: map[string]string{"app": "db"}}, MaxUnavailable: "1", Allowed: 1, Healthy: 3, Desired: 2, Expected: 3})
	}},
	{"WL03", "an empty selector selects all", "shop/all + shop/db", func(c *cluster) {
		c.budget("", "1", 3, 3, 1)
		c.o.Budgets = append(c.o.Budgets, Budget{Namespace: "shop", Name: "all", Selector: &fleet.Selector{}, MaxUnavailable: "50%", Allowed: 9, Healthy: 20, Desired: 10, Expected: 20})
	}},
	{"WL03", "an expression that selects the same", "shop/db + shop/some", func(c *cluster) {
		c.budget("", "1", 3, 3, 1)
		c.o.Budgets = append(c.o.Budgets, Budget{Namespace: "shop", Name: "some", Selector: &fleet.Selector{Requirements: []fleet.Requirement{{Key: "app", Operator: "In", Values: []string{"db", "cache"}}}}, MaxUnavailable: "1", Allowed: 1, Healthy: 3, Desired: 2, Expected: 3})
	}},
	{"WL07", "a bare pod", "shop/debug", func(c *cluster) { c.pod(Pod{Name: "debug"}) }},
	{"WL07", "a bare pod whose waiver has ended", "shop/debug", func(c *cluster) {
		c.pod(Pod{Name: "debug"})
		c.p.Checks.Waivers = []fleet.Waiver{{Check: "WL07", Until: testNow.Add(-time.Minute), Reason: "was"}}
	}},
	{"WL07", "a bare pod beside one that is waived", "shop/other", func(c *cluster) {
		c.pod(Pod{Name: "debug"})
		c.pod(Pod{Name: "other"})
		c.p.Checks.Waivers = []fleet.Waiver{{Check: "WL07", Object: "shop/debug", Until: testNow.AddDate(0, 0, 1), Reason: "is"}}
	}},
	{"WL10", "half an hour to terminate", "shop/slow", func(c *cluster) {
		c.pod(Pod{Name: "slow", OwnerKind: "StatefulSet", OwnerName: "slow", Grace: 30 * time.Minute})
	}},
	{"WL11", "docker.sock", "Deployment shop/web-1", func(c *cluster) {
		c.o.EKS.Version, c.o.Target = 23, 24
		c.mount("web-1", "/var/run/docker.sock")
	}},
	{"WL11", "dockershim.sock in a DaemonSet", "DaemonSet shop/agent", func(c *cluster) {
		c.o.EKS.Version, c.o.Target = 23, 24
		c.mount("agent", "/var/run/dockershim.sock")
	}},
	{"WL14", "nobody answers", "guard/guard.example.com", func(c *cluster) { c.hook(0) }},
	{"WL14", "one pod answers, for its own namespace, too", "guard/guard.example.com", func(c *cluster) { c.hook(1, "kube-system") }},
	{"WL14", "one pod answers, for kube-system, too", "guard/guard.example.com", func(c *cluster) { c.hook(1, "guard") }},
	{"WL14", "its service is gone", "guard/guard.example.com", func(c *cluster) {
		c.hook(2)
		c.o.Services = nil
	}},
	{"WL14", "one pod answers for nodes", "guard/guard.example.com", func(c *cluster) {
		c.hook(1, "guard", "kube-system")
		c.o.Webhooks[len(c.o.Webhooks)-1].Rules = []WebhookRule{{Groups: []string{"*"}, Resources: []string{"nodes"}, Operations: []string{"*"}}}
	}},
	{"WL14", "one pod answers for changes of nodes", "guard/guard.example.com", func(c *cluster) {
		c.hook(1)
		c.o.Webhooks[len(c.o.Webhooks)-1].Rules = []WebhookRule{{Groups: []string{""}, Resources: []string{"nodes"}, Operations: []string{"UPDATE"}, Scope: "Cluster"}}
	}},
	{"WL17", "an old registry", "k8s.gcr.io/pause:3.2", func(c *cluster) { c.image("web-2", "k8s.gcr.io/pause:3.2") }},
	{"WL17", "an image that is gone", "Deployment shop/web-9", func(c *cluster) {
		c.pod(Pod{Name: "web-9-1", OwnerKind: "Deployment", OwnerName: "web-9", Images: []string{"example.com/gone:1"}, Waiting: []string{"ImagePullBackOff"}, Grace: time.Second})
		c.o.Pods[len(c.o.Pods)-1].Ready = false
		c.pod(Pod{Name: "web-9-2", OwnerKind: "Deployment", OwnerName: "web-9", Images: []string{"example.com/gone:1"}, Grace: time.Second})
	}},
}

func (c *cluster) mount(workload, path string) {
	for i := range c.o.Workloads {
		if w := &c.o.Workloads[i]; w.Name == workload {
			w.HostPaths = append(w.HostPaths, path)
		}
	}
}
