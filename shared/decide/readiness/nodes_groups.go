package readiness

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

func scalingGroups(l *look) (out outcome) {
	out.one, out.many = "an Auto Scaling group is not at rest", "%d Auto Scaling groups are not at rest"
	out.remedy = func(name string) string {
		return l.aws("autoscaling resume-processes --auto-scaling-group-name " + name)
	}
	for _, g := range l.o.ScalingGroups {
		if g.Refresh != "" {
			out.add(g.Name, "instance refresh "+g.Refresh)
		}
		// EKS suspends AZRebalance while it updates a group itself, and people do it for stateful groups: no harm here.
		var bad []string
		for _, p := range g.Suspended {
			if slices.Contains([]string{"Launch", "Terminate", "HealthCheck", "ReplaceUnhealthy", "AddToLoadBalancer"}, p) {
				bad = append(bad, p)
			}
		}
		if len(bad) > 0 {
			slices.Sort(bad)
			out.add(g.Name, "suspended: "+strings.Join(bad, ", "))
		}
		least, greatest := -1, 0
		for _, n := range g.ByZone {
			if least < 0 || n < least {
				least = n
			}
			greatest = max(greatest, n)
		}
		if least >= 0 && greatest-least > 2 {
			out.add(g.Name, fmt.Sprintf("its zones have %d to %d machines", least, greatest))
		}
	}
	return out
}

// recentShortage is how long ago a launch may have failed for want of capacity to be told: ours.
const recentShortage = 48 * time.Hour

func capacity(l *look) (out outcome) {
	out.one, out.many = "a node group may not get the machines that it needs", "%d node groups may not get the machines that they need"
	out.remedy = fixed("Allow further instance types, or take strategy: Minimal, which needs no additional machine")
	for _, g := range l.o.EKS.Groups {
		if l.moves(g) && g.Desired > 0 && g.Spot && len(g.InstanceTypes) == 1 {
			out.add(g.Name, "spot of one type: "+g.InstanceTypes[0])
		}
	}
	for _, g := range l.o.ScalingGroups {
		if !g.NoCapacity.IsZero() && l.now.Sub(g.NoCapacity) < recentShortage {
			out.add(cmp.Or(g.Group, g.Name), "EC2 had no capacity on "+g.NoCapacity.UTC().Format("2006-01-02 15:04"))
		}
	}
	return out
}

func special(l *look) (out outcome) {
	out.one, out.many = "a node group's machines are not like others", "%d node groups' machines are not like others"
	out.remedy = fixed("Plan these groups for themselves: what is on their disks goes, and their capacity may not come again")
	for _, g := range l.o.EKS.Groups {
		var what []string
		if l.o.GroupFacts[g.Name].CapacityBlock {
			what = append(what, "a capacity block")
		}
		for _, t := range g.InstanceTypes {
			if m := l.o.Machines[t]; m.GPU {
				what = append(what, t+" has GPUs")
			} else if m.LocalStorage {
				what = append(what, t+" has local disks")
			}
		}
		if l.moves(g) && g.Desired > 0 && len(what) > 0 {
			out.add(g.Name, capped(what, 3))
		}
	}
	return out
}

func karpenter(l *look) (out outcome) {
	out.one, out.many = "Karpenter does not fit the target", "Karpenter does not fit the target in %d ways"
	out.remedy = func(object string) string {
		kind, name, _ := strings.Cut(object, " ")
		switch kind {
		case "NodePool":
			return fmt.Sprintf("kubectl edit nodepool %s   # spec.disruption.budgets with a schedule, so that drift keeps to the window", name)
		case "EC2NodeClass":
			return fmt.Sprintf("kubectl edit ec2nodeclass %s   # spec.amiSelectorTerms: [{alias: al2023@vDATE}]", name)
		}
		return "helm upgrade karpenter oci://public.ecr.aws/karpenter/karpenter --version VERSION -n " + name + " --reuse-values"
	}
	for _, f := range l.components() {
		if f.component != "karpenter" {
			continue
		}
		if top, known := karpenterUpTo(f.major, f.minor); known && l.to > top {
			out.add("karpenter "+f.namespace, fmt.Sprintf("%s supports Kubernetes up to %s", f.tag, top))
		}
	}
	for _, c := range l.o.NodeClasses {
		for _, a := range c.Aliases {
			if strings.HasSuffix(a, "@latest") && l.upgrades() {
				out.at(Warn, "EC2NodeClass "+c.Name, a+": all its nodes drift as soon as the control plane is at "+l.hop.String())
			}
		}
		if c.Pinned && l.upgrades() {
			out.at(Warn, "EC2NodeClass "+c.Name, "its images are pinned: its nodes stay as they are until it names others")
		}
	}
	for _, p := range l.o.NodePools {
		if !p.Auto && len(p.Budgets) == 0 && l.upgrades() {
			out.at(Info, "NodePool "+p.Name, "has no disruption budget: a tenth of its nodes may go at a time")
		}
	}
	return out
}

func autoMode(l *look) (out outcome) {
	out.one, out.many = "Auto Mode cannot replace nodes", "Auto Mode cannot replace nodes: %d places"
	out.remedy = func(object string) string {
		kind, name, _ := strings.Cut(object, " ")
		if kind == "NodePool" {
			return "kubectl edit nodepool " + name + "   # spec.disruption.budgets"
		}
		return "kubectl annotate node " + name + " karpenter.sh/do-not-disrupt-"
	}
	for _, p := range l.o.NodePools {
		for _, b := range p.Budgets {
			if p.Auto && b.Schedule == "" && (b.Nodes == "0" || b.Nodes == "0%") && (len(b.Reasons) == 0 || slices.Contains(b.Reasons, "Drifted")) {
				out.add("NodePool "+p.Name, "its budget never allows a disruption")
			}
		}
	}
	for _, n := range l.o.Nodes {
		if n.DoNotDisrupt {
			out.add("node "+n.Name, "karpenter.sh/do-not-disrupt")
		}
	}
	return out
}
