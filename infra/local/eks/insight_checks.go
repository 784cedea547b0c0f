package eks

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// minorText is "1.36" for 36.
func minorText(n int) string { return "1." + strconv.Itoa(n) }

// examine finds out all of a cluster's insights. What stands against the next minor is an ERROR, what stands against the one
// after it a WARNING. The caller holds s.mu.
func (s *Service) examine(c *cluster) []insightShape {
	var all []insightShape
	at := minor(c.version)
	for hop := 1; hop <= 2; hop++ {
		target := minorText(at + hop)
		if _, known := findRelease(target); !known {
			continue
		}
		bad := erring
		if hop > 1 {
			bad = warning
		}
		all = append(all, s.kubeletSkew(c, target, bad), s.proxySkew(c, target, bad), s.addonFit(c, target, bad))
		if hop == 1 {
			all = append(all, c.clusterHealth(target))
		}
	}
	all = append(all, s.deprecations(c)...)
	if to := c.rollbackTarget(); to != "" {
		for _, i := range []insightShape{s.newerKubelets(c, to), s.newerProxy(c, to), s.addonFit(c, to, erring)} {
			i.Category = rollbackReadiness
			all = append(all, i)
		}
	}
	for _, p := range c.planted {
		all = append(all, p.shape())
	}
	return all
}

func newInsight(name, version, description, recommendation string) insightShape {
	return insightShape{
		insightSummary: insightSummary{Name: name, Category: upgradeReadiness, KubernetesVersion: version, Description: description},
		Recommendation: recommendation, AdditionalInfo: map[string]string{"EKS documentation": "https://docs.aws.amazon.com/eks/latest/userguide/cluster-insights.html"},
		Resources: []insightResource{}, Specifics: insightSpecifics{[]deprecationDetail{}, []addonCompatibility{}},
	}
}

// judge sets the status by what was found: the resources.
func (i insightShape) judge(bad, fine, wrong string) insightShape {
	i.InsightStatus = insightState{passing, fine}
	if len(i.Resources) > 0 {
		i.InsightStatus = insightState{bad, wrong}
	}
	return i
}

// nodesOf lists a cluster's nodes with the minor of their kubelets. The caller holds s.mu.
func (s *Service) nodesOf(c *cluster) map[string]int {
	out := map[string]int{}
	for _, m := range s.machines {
		if m.cluster == c.name && m.registered && m.inst.State == "running" {
			out[m.inst.PrivateDNSName] = minor(m.version)
		}
	}
	for _, f := range c.fargateMachines {
		if f.ready {
			out[f.node.Name] = addonMinor(f.node.KubeletVersion)
		}
	}
	return out
}

// kubeletSkew names the nodes whose kubelets the target's control plane would not take.
func (s *Service) kubeletSkew(c *cluster, target, bad string) insightShape {
	i := newInsight("Kubelet version skew", target, "Checks for kubelet versions of worker nodes in the cluster to see if upgrade would cause noncompliance with supported Kubernetes kubelet version skew policy.",
		"Upgrade worker nodes to match the Kubernetes version of the control plane.")
	allowed := 3
	if s.opt.StrictSkew {
		allowed = 1
	}
	nodes := s.nodesOf(c)
	for _, name := range slices.Sorted(maps.Keys(nodes)) {
		if minor(target)-nodes[name] > allowed {
			i.Resources = append(i.Resources, insightResource{insightState{bad, "kubelet is at version " + minorText(nodes[name])}, nodeURI(name), ""})
		}
	}
	return i.judge(bad, "Node kubelet versions match the cluster control plane version or are within the supported skew.", "Node kubelet versions would violate the supported skew after the upgrade.")
}

func nodeURI(name string) string { return "/api/v1/nodes/" + name }

// newerKubelets names the nodes that must go back before the control plane can.
func (s *Service) newerKubelets(c *cluster, target string) insightShape {
	i := newInsight("Kubelet version skew", target, "Checks whether the kubelets of worker nodes are newer than the version to roll back to.",
		"Roll worker nodes back before the control plane.")
	nodes := s.nodesOf(c)
	for _, name := range slices.Sorted(maps.Keys(nodes)) {
		if nodes[name] > minor(target) {
			i.Resources = append(i.Resources, insightResource{insightState{erring, "kubelet is at version " + minorText(nodes[name])}, nodeURI(name), ""})
		}
	}
	return i.judge(erring, "No kubelet is newer than the version to roll back to.", "Kubelets are newer than the version to roll back to.")
}

// proxyMinor is the minor of the cluster's kube-proxy: the add-on's, or of what came with the cluster. It is -1 without one.
func (s *Service) proxyMinor(c *cluster) int {
	if a := c.addons["kube-proxy"]; a != nil {
		return addonMinor(a.version)
	}
	if c.bare || c.auto.on {
		return -1
	}
	return minor(c.born)
}

const proxyURI = "/apis/apps/v1/namespaces/kube-system/daemonsets/kube-proxy"

func (s *Service) proxySkew(c *cluster, target, bad string) insightShape {
	i := newInsight("kube-proxy version skew", target, "Checks version of kube-proxy in cluster to see if upgrade would cause noncompliance with supported Kubernetes kube-proxy version skew policy.",
		"Upgrade kube-proxy to match the Kubernetes version of the control plane.")
	if p := s.proxyMinor(c); p >= 0 && minor(target)-p > 3 {
		i.Resources = append(i.Resources, insightResource{insightState{bad, "kube-proxy is at version " + minorText(p)}, proxyURI, ""})
	}
	return i.judge(bad, "kube-proxy versions match the cluster control plane version or are within the supported skew.", "kube-proxy would violate the supported skew after the upgrade.")
}

func (s *Service) newerProxy(c *cluster, target string) insightShape {
	i := newInsight("kube-proxy version skew", target, "Checks whether kube-proxy is newer than the version to roll back to.", "Change kube-proxy to a version that is not newer.")
	if p := s.proxyMinor(c); p > minor(target) {
		i.Resources = append(i.Resources, insightResource{insightState{erring, "kube-proxy is at version " + minorText(p)}, proxyURI, ""})
	}
	return i.judge(erring, "kube-proxy is not newer than the version to roll back to.", "kube-proxy is newer than the version to roll back to.")
}

// addonFit names the add-ons whose version is not one for the target.
func (s *Service) addonFit(c *cluster, target, bad string) insightShape {
	i := newInsight("EKS add-on version compatibility", target, "Checks version of installed EKS add-ons to ensure they are compatible with the next version of Kubernetes.",
		"Update the add-ons to a version that is compatible with the target version.")
	for _, name := range sortedKeys(c.addons) {
		a := c.addons[name]
		fitting := addonCatalogue[name].available(target)
		if slices.Contains(fitting, a.version) {
			continue
		}
		i.Resources = append(i.Resources, insightResource{insightState{bad, fmt.Sprintf("%s is not compatible with Kubernetes version %s", a.version, target)}, "", a.arn})
		i.Specifics.Addons = append(i.Specifics.Addons, addonCompatibility{name, append([]string{}, fitting...)})
	}
	return i.judge(bad, "All installed EKS add-on versions are compatible with Kubernetes version "+target+".", "Installed EKS add-on versions are not compatible with Kubernetes version "+target+".")
}

func (c *cluster) clusterHealth(target string) insightShape {
	i := newInsight("Cluster health issues", target, "Checks for any cluster health issues that prevent successful upgrade to the next Kubernetes version on EKS.",
		"Resolve the health issues that DescribeCluster shows.")
	for _, h := range c.issues {
		i.Resources = append(i.Resources, insightResource{insightState{erring, h.Code + ": " + h.Message}, "", c.arn})
	}
	return i.judge(erring, "No cluster health issues detected.", "The cluster has health issues.")
}

// Insight is a finding that somebody plants in a cluster: what EKS would find in a world that is not emulated.
type Insight struct {
	Name, Category, KubernetesVersion, Status, Reason string
	// Resources are paths of Kubernetes objects.
	Resources []string
}

func (p Insight) shape() insightShape {
	i := newInsight(p.Name, p.KubernetesVersion, p.Name, "")
	i.Category = p.Category
	for _, r := range p.Resources {
		i.Resources = append(i.Resources, insightResource{insightState{p.Status, p.Reason}, r, ""})
	}
	i.InsightStatus = insightState{p.Status, p.Reason}
	return i
}

// PlantInsight adds a finding, or takes the place of the one with the same category, name and version. It shows at once,
// as after a refresh.
func (s *Service) PlantInsight(cluster string, p Insight) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.clusters[cluster]
	switch {
	case c == nil:
		return noCluster(cluster)
	case p.Name == "":
		return invalidParameter(cluster, "an insight needs a name")
	case !slices.Contains(insightCategories, p.Category):
		return invalidParameter(cluster, "category must be one of %s", strings.Join(insightCategories, ", "))
	case !slices.Contains(insightStatuses, p.Status):
		return invalidParameter(cluster, "status must be one of %s", strings.Join(insightStatuses, ", "))
	}
	c.planted = slices.DeleteFunc(slices.Clone(c.planted), func(o Insight) bool {
		return o.Name == p.Name && o.Category == p.Category && o.KubernetesVersion == p.KubernetesVersion
	})
	c.planted = append(c.planted, p)
	s.refreshInsights(c)
	return nil
}

// DropInsights takes everything that was planted away, deprecated calls too.
func (s *Service) DropInsights(cluster string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.clusters[cluster]
	if c == nil {
		return noCluster(cluster)
	}
	c.planted, c.deprecated = nil, nil
	s.refreshInsights(c)
	return nil
}

// PlantDeprecated notes calls of a deprecated API as if the API server had seen them.
func (s *Service) PlantDeprecated(cluster string, calls ...DeprecatedCall) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.clusters[cluster]
	if c == nil {
		return noCluster(cluster)
	}
	for _, d := range calls {
		if d.LastRequest.IsZero() {
			d.LastRequest = time.Now()
		}
		d.Count = max(d.Count, 1)
		if err := d.check(cluster); err != nil {
			return err
		}
		c.note(d)
	}
	s.refreshInsights(c)
	return nil
}
