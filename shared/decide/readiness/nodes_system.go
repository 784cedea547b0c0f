package readiness

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/ekspedite/ekspedite/shared/decide/upgradepath"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

// cgroup1 tells whether a node has cgroup v1: as was measured, or by an operating system that has nothing else.
func cgroup1(n NodeFacts) (bool, string) {
	switch n.Cgroup {
	case 1:
		return true, "cgroup v1"
	case 2:
		return false, ""
	}
	for _, os := range []string{"Ubuntu 18.04", "Ubuntu 20.04", "CentOS Linux 7", "CentOS Linux 8", "Red Hat Enterprise Linux Server 7", "Red Hat Enterprise Linux 8", "Debian GNU/Linux 10"} {
		if strings.HasPrefix(n.OSImage, os) {
			return true, n.OSImage + " has cgroup v1 unless told otherwise"
		}
	}
	return al2Image(n.OSImage), n.OSImage + " has cgroup v1"
}

// lasting are the nodes whose operating system is still there after the upgrade: what AWS's image replaces is not.
func (l *look) lasting() (out []upgradepath.Node) {
	for _, n := range l.o.EKS.Nodes {
		if !l.replaced(n) {
			out = append(out, n)
		}
	}
	return out
}

// severityOf: a group for which the policy names another launch template gets an image that nobody can look into here, and one
// that stays keeps its kubelet.
func (l *look) severityOf(n upgradepath.Node) Severity {
	if g, ok := l.groupOf(n); ok && (l.renewed(n.Group) || l.stays(g)) {
		return Warn
	}
	return Block
}

func cgroups(l *look) (out outcome) {
	out.one, out.many = "a node has cgroup v1: the kubelet of "+noCgroup1.String()+" does not start there", "%d nodes have cgroup v1: the kubelet of "+noCgroup1.String()+" does not start there"
	out.remedy = fixed("Take an operating system with cgroup v2: AL2023, Bottlerocket, Ubuntu 22.04 or later")
	for _, n := range l.lasting() {
		if bad, why := cgroup1(l.facts[n.Name]); bad {
			out.at(l.severityOf(n), n.Name, why)
		}
	}
	return out
}

func containerd(l *look) (out outcome) {
	out.one, out.many = "a node has containerd 1.x, which "+noContainerd1.String()+" does not support", "%d nodes have containerd 1.x, which "+noContainerd1.String()+" does not support"
	out.remedy = fixed("Take an image with containerd 2.x")
	for _, n := range l.lasting() {
		if rt := l.facts[n.Name].Runtime; strings.HasPrefix(rt, "containerd://1.") {
			out.at(l.severityOf(n), n.Name, rt)
		}
	}
	return out
}

// removedFlags are what the kubelet does not start with any more, by minor. 1.24: dockershim's
// (CHANGELOG-1.24). 1.27: CHANGELOG-1.27. 1.31: CHANGELOG-1.31. 1.35: CHANGELOG-1.35, "Urgent Upgrade Notes". 1.37: those of
// cAdvisor, by comparing cmd/kubelet/app/options/globalflags_linux.go of k8s.io/kubernetes v1.36.0 and v1.37.2.
var removedFlags = map[fleet.Minor][]string{
	24: {"network-plugin", "cni-conf-dir", "cni-bin-dir", "cni-cache-dir", "network-plugin-mtu", "docker-endpoint", "image-pull-progress-deadline", "experimental-dockershim-root-directory"},
	27: {"container-runtime"},
	31: {"keep-terminated-pod-volumes"},
	35: {"pod-infra-container-image"},
	37: {"application-metrics-count-limit", "boot-id-file", "container-hints", "containerd", "enable-load-reader", "event-storage-age-limit",
		"event-storage-event-limit", "global-housekeeping-interval", "log-cadvisor-usage", "machine-id-file", "storage-driver-user",
		"storage-driver-password", "storage-driver-host", "storage-driver-db", "storage-driver-table", "storage-driver-secure",
		"storage-driver-buffer-duration", "containerd-namespace"},
}

func kubeletFlags(l *look) (out outcome) {
	out.one, out.many = "user data gives the kubelet a flag that it no longer has: it does not start", "user data gives the kubelet %d flags that it no longer has: it does not start"
	out.remedy = func(group string) string {
		t, _ := l.template(group)
		return "Take the flag out of the user data: " + l.aws(fmt.Sprintf("ec2 create-launch-template-version --launch-template-id %s --source-version %s --launch-template-data file://without-the-flag.json", t.ID, t.Version))
	}
	for _, t := range l.o.Templates {
		for _, flag := range t.KubeletFlags {
			name := strings.ReplaceAll(strings.TrimLeft(flag, "-"), "_", "-")
			for _, m := range sortedMinors(removedFlags) {
				if m > l.to || !slices.Contains(removedFlags[m], name) {
					continue
				}
				if g := l.groups[t.Group]; g.Version >= m { // it is there, and the nodes start: something takes it away, or it never gets through
					out.at(Warn, t.Group, flag+" was removed in "+m.String()+" already")
				} else {
					out.add(t.Group, flag+" was removed in "+m.String())
				}
			}
		}
	}
	return out
}

func sortedMinors[V any](m map[fleet.Minor]V) (out []fleet.Minor) {
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

func nodesInOrder(l *look) (out outcome) {
	out.one, out.many = "a node is not in order", "%d nodes are not in order"
	out.remedy = func(name string) string {
		if n := l.nodes[name]; n.Ready && n.Unschedulable {
			return "kubectl uncordon " + name
		}
		return "kubectl describe node " + name
	}
	for _, n := range l.o.EKS.Nodes {
		var bad []string
		if !n.Ready {
			bad = append(bad, "not Ready")
		}
		if n.Unschedulable {
			bad = append(bad, "cordoned")
		}
		if bad = append(bad, l.facts[n.Name].Pressure...); len(bad) > 0 {
			out.at(Warn, n.Name, strings.Join(bad, ", "))
		}
	}
	if share := float64(len(out.items)) / float64(max(1, len(l.o.EKS.Nodes))); share > l.p.Checks.NotReady {
		for i := range out.items {
			out.items[i].severity = Block
		}
	}
	return out
}

// surge is how many nodes a group has beside its own while it moves. A rolling update of EKS's adds twice the number of zones, or
// maxUnavailable if that is more; blue/green makes the whole group again.
func (l *look) surge(g upgradepath.Group) int {
	if g.Desired == 0 {
		return 0
	}
	strategy := l.strategy(g)
	switch {
	case !g.SelfManaged && (strategy == fleet.NodesMinimal || strategy == fleet.NodesRolling && g.UpdateStrategy == "MINIMAL"): // its owner's own setting stays
		return 0
	case strategy == fleet.NodesBlueGreen:
		return g.Desired
	case g.SelfManaged:
		return max(1, l.p.Nodes.AtOnce)
	}
	unavailable := max(g.MaxUnavailable, (g.Desired*g.MaxUnavailablePercent+99)/100, 1)
	return max(2*g.Zones, unavailable)
}

// moves tells whether nodes of a group are to be replaced.
func (l *look) moves(g upgradepath.Group) bool {
	return g.Version < l.to && !l.stays(g) || l.p.Patches.Images && !l.upgrades()
}

func (l *look) surges() bool {
	return slices.ContainsFunc(l.o.EKS.Groups, func(g upgradepath.Group) bool { return l.moves(g) && l.surge(g) > 0 })
}

// together are what the groups that move at the same time need at most: the largest sums of GroupsAtOnce of them.
func (l *look) together(need []int) (sum int) {
	slices.SortFunc(need, func(a, b int) int { return b - a })
	for _, n := range need[:min(len(need), max(1, l.p.Nodes.GroupsAtOnce))] {
		sum += n
	}
	return sum
}

// quotaOf is the quota that a machine counts against; "" for those that are in none of ours.
func quotaOf(instanceType string, spot bool) string {
	family := strings.ToLower(instanceType)
	pick := func(onDemand, spotOne string) string {
		if spot {
			return spotOne
		}
		return onDemand
	}
	switch {
	case family == "", strings.HasPrefix(family, "inf"), strings.HasPrefix(family, "trn"), strings.HasPrefix(family, "dl"),
		strings.HasPrefix(family, "hpc"), strings.HasPrefix(family, "mac"):
		return ""
	case family[0] == 'g', strings.HasPrefix(family, "vt"):
		return pick(QuotaOnDemandG, QuotaSpotG)
	case family[0] == 'p':
		return pick(QuotaOnDemandP, QuotaSpotP)
	case strings.ContainsRune("acdhimrtz", rune(family[0])):
		return pick(QuotaOnDemand, QuotaSpot)
	}
	return ""
}

// needs are what the groups that move at the same time need beside what is in use, by quota: vCPUs, TiB of disks, Auto Scaling
// groups. What nothing is known of is named.
func (l *look) needs() (need map[string]float64, unknown []string) {
	each := map[string][]int{}
	for _, g := range l.o.EKS.Groups {
		n := l.surge(g)
		if !l.moves(g) || n == 0 {
			continue
		}
		largest := map[string]int{}
		for _, t := range g.InstanceTypes {
			m, ok := l.o.Machines[t]
			if !ok {
				unknown = append(unknown, g.Name+" ("+t+")")
				continue
			}
			if code := quotaOf(t, g.Spot); code != "" {
				largest[code] = max(largest[code], m.VCPU)
			}
		}
		for code, vcpu := range largest {
			each[code] = append(each[code], n*vcpu)
		}
		each[QuotaVolumes] = append(each[QuotaVolumes], n*l.o.GroupFacts[g.Name].DiskGiB)
		if l.strategy(g) == fleet.NodesBlueGreen {
			each[QuotaAutoScaling] = append(each[QuotaAutoScaling], 1)
		}
	}
	need = map[string]float64{}
	for code, list := range each {
		if need[code] = float64(l.together(list)); code == QuotaVolumes {
			need[code] /= 1024
		}
	}
	return need, unknown
}

func (l *look) quota(code string) (Quota, bool) {
	i := slices.IndexFunc(l.o.Quotas, func(q Quota) bool { return q.Code == code })
	if i < 0 {
		return Quota{}, false
	}
	return l.o.Quotas[i], true
}

func quotas(l *look) (out outcome) {
	need, unknown := l.needs()
	for _, code := range sortedKeys(need) {
		q, ok := l.quota(code)
		unit := map[string]string{QuotaVolumes: "TiB of disks", QuotaAutoScaling: "Auto Scaling groups"}[code]
		switch {
		case !ok && unit == "": // that of disks and groups is not in every Region
			unknown = append(unknown, code)
		case ok && q.Used+need[code] > q.Limit:
			out.add(code, fmt.Sprintf("%s %s are needed beside the %s in use, of %s", short(need[code]), cmp.Or(unit, "vCPUs"), short(q.Used), short(q.Limit)))
		}
	}
	out.one, out.many = "the quota does not allow for the nodes that are added before old ones go", "%d quotas do not allow for the nodes that are added before old ones go"
	out.remedy = func(code string) string {
		service, id, _ := strings.Cut(code, "/")
		q, _ := l.quota(code)
		return l.aws(fmt.Sprintf("service-quotas request-service-quota-increase --service-code %s --quota-code %s --desired-value %.0f", service, id, math.Ceil(q.Used+need[code]))) + "   # or strategy: Minimal in the policy"
	}
	if slices.Sort(unknown); len(unknown) > 0 {
		out.unknown = "nothing is known of " + capped(unknown, 3)
	}
	return out
}

// short is a number without zeros that say nothing.
func short(v float64) string {
	return strings.TrimSuffix(strings.TrimRight(fmt.Sprintf("%.2f", v), "0"), ".")
}

// cniEnv is the VPC CNI's settings; false if it does not run as a DaemonSet (Auto Mode, another CNI).
func (l *look) cniEnv() (map[string]string, bool) {
	for _, w := range l.o.Workloads {
		if w.Kind == "DaemonSet" && w.Namespace == "kube-system" && w.Name == "aws-node" {
			return w.Env, true
		}
	}
	return nil, false
}

// addresses are how many IPv4 addresses a new node takes from its subnet: at the least, for itself and for so many pods, and
// usually. By default the VPC CNI fills the first network interface and keeps another warm, if there are addresses for that;
// with prefixes a node takes /28 blocks of 16; with custom networking pods have subnets of their own.
// https://docs.aws.amazon.com/eks/latest/best-practices/vpc-cni.html
func (l *look) addresses(m Machine, pods int) (least, usual int) {
	env, ok := l.cniEnv()
	switch {
	case l.o.ControlPlane.IPv6 || !ok || env["AWS_VPC_K8S_CNI_CUSTOM_NETWORK_CFG"] == "true":
		return 1, 1
	case env["ENABLE_PREFIX_DELEGATION"] == "true":
		blocks := max(1, (pods+15)/16)
		return 1 + 16*blocks, 1 + 16*(blocks+1)
	case env["WARM_IP_TARGET"] != "" || env["MINIMUM_IP_TARGET"] != "":
		usual = 1 + max(pods+number(env["WARM_IP_TARGET"]), number(env["MINIMUM_IP_TARGET"]))
	default:
		usual = m.IPsPerInterface * min(2, max(1, m.Interfaces))
	}
	return min(1+pods, usual), usual
}

// podsPerNode is how many pods that are evicted a node of a group has on average, rounded up: its successor has them, too.
func (l *look) podsPerNode(group string) int {
	pods, nodes := 0, 0
	for _, n := range l.o.EKS.Nodes {
		if n.Group == group {
			nodes++
			pods += l.load[n.Name]
		}
	}
	return (pods + max(1, nodes) - 1) / max(1, nodes)
}

func nodeAddresses(l *look) (out outcome) {
	out.one, out.many = "a node group's subnets have too few addresses for the nodes that are added", "%d node groups' subnets have too few addresses for the nodes that are added"
	out.remedy = fixed("Free addresses there, set WARM_IP_TARGET (kubectl set env daemonset aws-node -n kube-system WARM_IP_TARGET=2), add subnets, or take strategy: Minimal in the policy")
	var unknown []string
	for _, g := range l.o.EKS.Groups {
		n := l.surge(g)
		net, ok := l.o.GroupFacts[g.Name]
		if !l.moves(g) || n == 0 {
			continue
		}
		if !ok || len(net.Subnets) == 0 {
			unknown = append(unknown, g.Name)
			continue
		}
		least, usual, pods := 0, 0, l.podsPerNode(g.Name)
		for _, t := range g.InstanceTypes {
			if m, ok := l.o.Machines[t]; ok {
				few, many := l.addresses(m, pods)
				least, usual = max(least, few), max(usual, many)
			} else {
				unknown = append(unknown, g.Name+" ("+t+")")
			}
		}
		free := 0
		for _, s := range l.o.Subnets {
			if slices.Contains(net.Subnets, s.ID) {
				free += s.Free
			}
		}
		switch {
		case free < n*least:
			out.add(g.Name, fmt.Sprintf("%d more nodes with %d pods take %d addresses each at the least, and %d are free in %s", n, pods, least, free, strings.Join(net.Subnets, ", ")))
		case free < n*usual:
			out.at(Warn, g.Name, fmt.Sprintf("%d more nodes take %d addresses each by the VPC CNI's settings, and %d are free in %s", n, usual, free, strings.Join(net.Subnets, ", ")))
		}
	}
	if len(unknown) > 0 {
		out.unknown = "nothing is known of " + capped(unknown, 3)
	}
	return out
}
