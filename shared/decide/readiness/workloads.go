package readiness

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/shared/decide/upgradepath"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

var workloadChecks = []check{
	{id: "WL01", title: "Budgets that allow nothing now", severity: Block, reads: "PodDisruptionBudgets, pods", parts: []Part{PartBudgets, PartPods}, run: deadlocks},
	{id: "WL02", title: "Budgets that can never allow anything", severity: Block, reads: "PodDisruptionBudgets, pods", parts: []Part{PartBudgets, PartPods}, run: never},
	{id: "WL03", title: "Pods with several budgets", severity: Block, reads: "PodDisruptionBudgets, pods", parts: []Part{PartBudgets, PartPods}, run: overlaps},
	{id: "WL04", title: "Budgets with unhealthy pods", severity: Warn, reads: "PodDisruptionBudgets, pods", parts: []Part{PartBudgets, PartPods}, run: unhealthy},
	{id: "WL05", title: "Single replicas", severity: Warn, reads: "Deployments, StatefulSets", parts: []Part{PartWorkloads}, run: singles},
	{id: "WL06", title: "Workloads without a budget", severity: Warn, reads: "Deployments, StatefulSets, PodDisruptionBudgets", parts: []Part{PartWorkloads, PartBudgets}, run: withoutBudget},
	{id: "WL07", title: "Pods of nobody", severity: Block, reads: "pods: ownerReferences", parts: []Part{PartPods}, run: bare},
	{id: "WL08", title: "All replicas in one place", severity: Warn, reads: "pods, nodes", parts: []Part{PartPods, PartNodes, PartWorkloads}, run: together},
	{id: "WL09", title: "Readiness", severity: Warn, reads: "Deployments, StatefulSets: readinessProbe, minReadySeconds", parts: []Part{PartWorkloads}, run: probes},
	{id: "WL10", title: "Time to terminate", severity: Block, reads: "pods: terminationGracePeriodSeconds", parts: []Part{PartEKS, PartPods, PartNodes}, run: grace},
	{id: "WL11", title: "Sockets of Docker", severity: Block, reads: "pods and workloads: hostPath volumes", parts: []Part{PartPods, PartWorkloads}, when: func(l *look) bool { return l.to >= 24 }, run: sockets},
	{id: "WL12", title: "Data on nodes", severity: Warn, reads: "pods: emptyDir, PersistentVolumes", parts: []Part{PartPods, PartVolumes}, run: localData},
	{id: "WL13", title: "Pods that do not want to be disturbed", severity: Warn, reads: "pods: annotations", parts: []Part{PartPods}, run: undisturbed},
	{id: "WL14", title: "Webhooks that can stop the move", severity: Block, reads: "webhook configurations, Services, pods, namespaces", parts: []Part{PartWebhooks, PartServices, PartPods}, run: webhooks},
	{id: "WL15", title: "Volumes bound to a zone", severity: Warn, reads: "PersistentVolumes, nodes", parts: []Part{PartVolumes, PartNodes, PartPods}, run: zonal},
	{id: "WL16", title: "Jobs that are running", severity: Warn, reads: "Jobs", parts: []Part{PartWorkloads}, run: jobs},
	{id: "WL17", title: "Images that cannot be pulled again", severity: Block, reads: "pods: images, why they wait", parts: []Part{PartPods}, run: pulls},
	{id: "WL18", title: "Fargate pods", severity: Info, reads: "nodes of Fargate", parts: []Part{PartEKS, PartNodes, PartPods}, when: (*look).upgrades, run: fargatePods},
}

// wanted is how many of the expected pods a budget keeps, as the disruption controller counts: percentages are rounded up.
func (b Budget) wanted() (int, bool) {
	scaled := func(text string) (int, bool) {
		if p, ok := strings.CutSuffix(text, "%"); ok {
			return (b.Expected*number(p) + 99) / 100, true
		}
		return number(text), text != ""
	}
	if n, ok := scaled(b.MinAvailable); ok {
		return n, true
	}
	if n, ok := scaled(b.MaxUnavailable); ok {
		return max(0, b.Expected-n), true
	}
	return 0, false
}

func (b Budget) rule() string {
	if b.MinAvailable != "" {
		return "minAvailable " + b.MinAvailable
	}
	return "maxUnavailable " + cmp.Or(b.MaxUnavailable, "not set")
}

// never tells whether a budget allows nothing even when all its pods are healthy.
func (b Budget) never() bool {
	n, ok := b.wanted()
	return ok && b.Expected > 0 && n >= b.Expected
}

// covers tells whether a drain meets the budget: it has a pod that is evicted.
func (l *look) covers(b Budget) bool { return len(l.budgets[b.ID()]) > 0 }

func deadlocks(l *look) (out outcome) {
	out.one, out.many = "a PodDisruptionBudget allows no eviction now: a drain waits until it fails", "%d PodDisruptionBudgets allow no eviction now: a drain waits until it fails"
	out.remedy = func(id string) string {
		ns, name := split(id)
		return fmt.Sprintf("kubectl get pdb -n %s %s; kubectl get pods -n %s   # bring the pods to Ready, or add replicas", ns, name, ns)
	}
	for _, b := range l.o.Budgets {
		if b.Allowed == 0 && b.Expected > 0 && l.covers(b) && !b.never() {
			out.add(b.ID(), fmt.Sprintf("%s, %d of %d pods healthy, %d wanted", b.rule(), b.Healthy, b.Expected, b.Desired))
		}
	}
	return out
}

func never(l *look) (out outcome) {
	out.one, out.many = "a PodDisruptionBudget can never allow an eviction", "%d PodDisruptionBudgets can never allow an eviction"
	out.remedy = func(id string) string {
		ns, name := split(id)
		return fmt.Sprintf(`kubectl patch pdb -n %s %s --type merge -p '{"spec":{"minAvailable":null,"maxUnavailable":1}}'   # or add a replica`, ns, name)
	}
	for _, b := range l.o.Budgets {
		if b.never() && l.covers(b) {
			out.add(b.ID(), fmt.Sprintf("%s of %d pods", b.rule(), b.Expected))
		}
	}
	return out
}

// overlaps: the eviction API answers 500 for a pod that two budgets select, whatever they allow.
func overlaps(l *look) (out outcome) {
	out.one, out.many = "two PodDisruptionBudgets select the same pods: the eviction API refuses to evict them", "PodDisruptionBudgets select the same pods %d times: the eviction API refuses to evict them"
	out.remedy = func(object string) string {
		first, rest, _ := strings.Cut(object, " + ")
		ns, _ := split(first)
		second, _, _ := strings.Cut(rest, " + ")
		_, name := split(second)
		return fmt.Sprintf("kubectl delete pdb -n %s %s   # and keep what it wanted in %s", ns, name, first)
	}
	pods := map[string]int{}
	for _, ids := range l.budgeted {
		if len(ids) > 1 {
			sorted := slices.Sorted(slices.Values(ids))
			pods[strings.Join(sorted, " + ")]++
		}
	}
	for _, ids := range sortedKeys(pods) {
		out.add(ids, fmt.Sprintf("%d pods", pods[ids]))
	}
	return out
}

func unhealthy(l *look) (out outcome) {
	out.one, out.many = "pods that are not healthy hold a PodDisruptionBudget up", "pods that are not healthy hold %d PodDisruptionBudgets up"
	out.remedy = func(id string) string {
		ns, name := split(id)
		return fmt.Sprintf(`kubectl patch pdb -n %s %s --type merge -p '{"spec":{"unhealthyPodEvictionPolicy":"AlwaysAllow"}}'`, ns, name)
	}
	for _, b := range l.o.Budgets {
		if b.Unhealthy != "AlwaysAllow" && b.Healthy < b.Desired && l.covers(b) {
			out.add(b.ID(), fmt.Sprintf("%d of %d wanted pods are healthy", b.Healthy, b.Desired))
		}
	}
	return out
}

func (w Workload) scaled() bool { return w.Kind == "Deployment" || w.Kind == "StatefulSet" }

func singles(l *look) (out outcome) {
	out.one, out.many = "a workload has a single replica: it is away while its node moves", "%d workloads have a single replica: they are away while their nodes move"
	out.remedy = func(object string) string {
		kind, id, _ := strings.Cut(object, " ")
		ns, name := split(id)
		return fmt.Sprintf("kubectl scale %s -n %s %s --replicas=2", strings.ToLower(kind), ns, name)
	}
	for _, w := range l.o.Workloads {
		if w.scaled() && w.Replicas == 1 {
			out.add(w.Kind+" "+w.ID(), "")
		}
	}
	return out
}

func withoutBudget(l *look) (out outcome) {
	out.one, out.many = "a workload of several replicas has no PodDisruptionBudget: all may be evicted at once", "%d workloads of several replicas have no PodDisruptionBudget: all replicas of one may be evicted at once"
	out.remedy = func(object string) string {
		_, id, _ := strings.Cut(object, " ")
		ns, name := split(id)
		for _, w := range l.o.Workloads {
			if w.Kind+" "+w.ID() == object && w.Selector != nil && len(w.Selector.Labels) > 0 {
				var pairs []string
				for _, k := range sortedKeys(w.Selector.Labels) {
					pairs = append(pairs, k+"="+w.Selector.Labels[k])
				}
				return fmt.Sprintf("kubectl create pdb %s -n %s --selector=%s --max-unavailable=1", name, ns, strings.Join(pairs, ","))
			}
		}
		return ""
	}
	byNamespace := map[string][]Budget{}
	for _, b := range l.o.Budgets {
		byNamespace[b.Namespace] = append(byNamespace[b.Namespace], b)
	}
	for _, w := range l.o.Workloads {
		if w.scaled() && w.Replicas > 1 && !slices.ContainsFunc(byNamespace[w.Namespace], func(b Budget) bool { return selects(b.Selector, w.Labels) }) {
			out.add(w.Kind+" "+w.ID(), fmt.Sprintf("%d replicas", w.Replicas))
		}
	}
	return out
}

func bare(l *look) (out outcome) {
	out.one, out.many = "a pod has no controller: evicted, it does not come again", "%d pods have no controller: evicted, they do not come again"
	out.remedy = func(id string) string {
		ns, name := split(id)
		return fmt.Sprintf("kubectl get pod -n %s %s -o yaml > %s.yaml   # make a Deployment of it, or delete it", ns, name, name)
	}
	for _, p := range l.o.Pods {
		if p.OwnerKind == "" && p.evictable() {
			out.add(p.ID(), "")
		}
	}
	return out
}

func together(l *look) (out outcome) {
	out.one, out.many = "all replicas of a workload are in one place", "all replicas of %d workloads are in one place"
	out.remedy = func(object string) string {
		kind, id, _ := strings.Cut(object, " ")
		ns, name := split(id)
		return fmt.Sprintf(`kubectl patch %s -n %s %s --type merge -p '{"spec":{"template":{"spec":{"topologySpreadConstraints":[{"maxSkew":1,"topologyKey":"topology.kubernetes.io/zone","whenUnsatisfiable":"ScheduleAnyway","labelSelector":{"matchLabels":LABELS}}]}}}}'`, strings.ToLower(kind), ns, name)
	}
	type owner struct{ kind, namespace, name string }
	nodes, zones, count := map[owner]map[string]bool{}, map[owner]map[string]bool{}, map[owner]int{}
	for _, p := range l.o.Pods {
		o := owner{p.OwnerKind, p.Namespace, p.OwnerName}
		if p.Node == "" || p.OwnerKind != "Deployment" && p.OwnerKind != "StatefulSet" {
			continue
		}
		if count[o]++; nodes[o] == nil {
			nodes[o], zones[o] = map[string]bool{}, map[string]bool{}
		}
		nodes[o][p.Node] = true
		zones[o][l.facts[p.Node].Zone] = true
	}
	for _, w := range l.o.Workloads {
		o := owner{w.Kind, w.Namespace, w.Name}
		switch {
		case !w.scaled() || count[o] < 2:
		case len(nodes[o]) == 1:
			out.add(w.Kind+" "+w.ID(), fmt.Sprintf("%d pods on one node", count[o]))
		case len(zones[o]) == 1 && !w.Spread: // with it there is no other zone to go to
			out.at(Info, w.Kind+" "+w.ID(), fmt.Sprintf("%d pods in one zone", count[o]))
		}
	}
	return out
}

func probes(l *look) (out outcome) {
	out.one, out.many = "a workload says nothing of when it is ready: traffic comes too early", "%d workloads say nothing of when they are ready: traffic comes too early"
	out.remedy = fixed("Give its containers a readinessProbe")
	for _, w := range l.o.Workloads {
		if w.scaled() && w.Replicas > 0 && !w.ReadinessProbe && w.MinReadySeconds == 0 {
			out.add(w.Kind+" "+w.ID(), "")
		}
	}
	return out
}

// drainTime is how long EKS's update of a managed node group tries to evict the pods of a node.
// https://docs.aws.amazon.com/eks/latest/userguide/managed-node-update-behavior.html
const drainTime = 15 * time.Minute

func grace(l *look) (out outcome) {
	out.one, out.many = "the time that a pod has to terminate does not fit a drain", "the time that pods have to terminate does not fit a drain: %d pods"
	out.remedy = func(id string) string {
		ns, name := split(id)
		for _, p := range l.o.Pods {
			if p.ID() == id && p.OwnerName != "" {
				return fmt.Sprintf(`kubectl patch %s -n %s %s --type merge -p '{"spec":{"template":{"spec":{"terminationGracePeriodSeconds":600}}}}'   # or strategy: BlueGreen for its node group`, strings.ToLower(p.OwnerKind), ns, p.OwnerName)
			}
		}
		return "kubectl describe pod -n " + ns + " " + name
	}
	for _, p := range l.o.Pods {
		if !p.evictable() {
			continue
		}
		n := l.nodes[p.Node]
		switch {
		case p.Grace > drainTime && n.Kind == upgradepath.NodeManaged && l.strategy(l.groups[n.Group]) != fleet.NodesBlueGreen:
			out.add(p.ID(), fmt.Sprintf("%s; EKS gives a node %s", p.Grace, drainTime))
		case p.Grace == 0:
			out.at(Warn, p.ID(), "0 s: it is killed at once")
		}
	}
	return out
}
