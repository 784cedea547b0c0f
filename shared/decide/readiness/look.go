package readiness

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/shared/decide/upgradepath"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

// look is an observation with what several checks want to find quickly.
type look struct {
	now time.Time
	o   Observation
	p   fleet.UpgradePolicy

	from, to fleet.Minor
	// hop is the next minor of the control plane: what nodes must be able to live with.
	hop    fleet.Minor
	nodes  map[string]upgradepath.Node
	facts  map[string]NodeFacts
	groups map[string]upgradepath.Group
	spaces map[string]map[string]string // labels of namespaces
	pods   map[string][]*Pod            // by namespace
	// budgets are the evictable pods of each PodDisruptionBudget, budgeted which budgets each pod has.
	budgets  map[string][]*Pod
	budgeted map[*Pod][]string
	load     map[string]int // evictable pods by node
	third    []found        // components, by their images
}

func newLook(now time.Time, o Observation, p fleet.UpgradePolicy) *look {
	// The report must not hang on the order in which somebody read.
	o.EKS.Nodes, o.Pods = slices.Clone(o.EKS.Nodes), slices.Clone(o.Pods)
	slices.SortStableFunc(o.EKS.Nodes, func(a, b upgradepath.Node) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortStableFunc(o.Pods, func(a, b Pod) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	l := &look{now: now, o: o, p: p, from: o.EKS.Version, to: o.Target, hop: min(o.Target, o.EKS.Version+1),
		nodes: map[string]upgradepath.Node{}, facts: map[string]NodeFacts{}, groups: map[string]upgradepath.Group{},
		load: map[string]int{}, third: findComponents(o.Pods), spaces: map[string]map[string]string{}, pods: map[string][]*Pod{}, budgets: map[string][]*Pod{}, budgeted: map[*Pod][]string{}}
	for _, n := range o.EKS.Nodes {
		l.nodes[n.Name] = n
	}
	for _, n := range o.Nodes {
		l.facts[n.Name] = n
	}
	for _, g := range o.EKS.Groups {
		l.groups[g.Name] = g
	}
	for _, n := range o.Namespaces {
		l.spaces[n.Name] = n.Labels
	}
	for i := range o.Pods {
		pod := &o.Pods[i]
		if pod.evictable() && pod.Node != "" {
			l.load[pod.Node]++
		}
		l.pods[pod.Namespace] = append(l.pods[pod.Namespace], pod)
	}
	byLabel := l.index()
	for _, b := range o.Budgets {
		among := l.pods[b.Namespace]
		if b.Selector != nil {
			for k, v := range b.Selector.Labels {
				if list := byLabel[[3]string{b.Namespace, k, v}]; len(list) < len(among) {
					among = list
				}
			}
		}
		for _, pod := range among {
			if pod.evictable() && pod.Node != "" && pod.Phase != "Pending" && selects(b.Selector, pod.Labels) { // others are evicted without asking
				l.budgets[b.ID()] = append(l.budgets[b.ID()], pod)
				l.budgeted[pod] = append(l.budgeted[pod], b.ID())
			}
		}
	}
	return l
}

// index finds pods by namespace and label, of the labels that budgets select by.
func (l *look) index() map[[3]string][]*Pod {
	keys, out := map[string]bool{}, map[[3]string][]*Pod{}
	for _, b := range l.o.Budgets {
		if b.Selector != nil {
			for k := range b.Selector.Labels {
				keys[k] = true
			}
		}
	}
	for ns, pods := range l.pods {
		for _, pod := range pods {
			for k, v := range pod.Labels {
				if keys[k] {
					id := [3]string{ns, k, v}
					out[id] = append(out[id], pod)
				}
			}
		}
	}
	return out
}

// evictable tells whether a drain evicts the pod: pods of DaemonSets stay, and static pods go with their node.
func (p *Pod) evictable() bool {
	return p.OwnerKind != "DaemonSet" && !p.Mirror && !p.Deleting && p.Phase != "Succeeded" && p.Phase != "Failed"
}

// selects tells whether a label selector selects: nil selects none, an empty one all, by Kubernetes' rules.
func selects(s *fleet.Selector, labels map[string]string) bool {
	if s == nil {
		return false
	}
	for k, v := range s.Labels {
		if have, ok := labels[k]; !ok || have != v {
			return false
		}
	}
	for _, r := range s.Requirements {
		have, ok := labels[r.Key]
		switch r.Operator {
		case "In":
			ok = ok && slices.Contains(r.Values, have)
		case "NotIn":
			ok = !ok || !slices.Contains(r.Values, have)
		case "DoesNotExist":
			ok = !ok
		case "Exists":
		default:
			ok = false
		}
		if !ok {
			return false
		}
	}
	return true
}

// cluster is the cluster's name, as commands take it; region its Region.
func (l *look) cluster() string { return l.o.EKS.Cluster.Name }

// aws is a command of the AWS CLI on the cluster: "aws eks OPERATION --region R …", with NAME for the cluster's name.
func (l *look) aws(text string) string {
	service, rest, _ := strings.Cut(text, " ")
	operation, rest, _ := strings.Cut(rest, " ")
	out := "aws " + service + " " + operation
	if r := l.o.EKS.Cluster.Region; r != "" {
		out += " --region " + r
	}
	return strings.TrimSpace(out + " " + strings.ReplaceAll(rest, "NAME", l.cluster()))
}

// goes tells whether an upgrade takes the cluster over a minor: from below it, to it or beyond.
func (l *look) goes(m fleet.Minor) bool { return l.from < m && l.to >= m }

// skew is how many minors a kubelet may be behind the API server at a version.
func (l *look) skew(kubelet fleet.Minor) fleet.Minor {
	if kubelet < 25 {
		return 2 // https://kubernetes.io/releases/version-skew-policy/: three only from 1.25
	}
	return 3
}

// groupOf is a node's group; false for nodes without one.
func (l *look) groupOf(n upgradepath.Node) (upgradepath.Group, bool) {
	g, ok := l.groups[n.Group]
	return g, ok && n.Group != ""
}

// replaced tells whether a node gives way to one with an image of AWS's for the target: then what is old in its image goes by
// itself. A group with an image of one's own gets whatever is in that image.
func (l *look) replaced(n upgradepath.Node) bool {
	switch n.Kind {
	case upgradepath.NodeFargate, upgradepath.NodeAuto:
		return true
	case upgradepath.NodeManaged, upgradepath.NodeSelfManaged:
		g, ok := l.groupOf(n)
		return ok && !g.Custom() && g.AMIType != ""
	case upgradepath.NodeKarpenter:
		pool, ok := l.pool(l.facts[n.Name].NodePool)
		if !ok {
			return false
		}
		class, ok := l.class(pool.NodeClass)
		return ok && !class.Pinned
	}
	return false
}

// stays tells whether the policy leaves a group as it is, and the skew lets it. Then what its next image would be is for another
// time.
func (l *look) stays(g upgradepath.Group) bool {
	return l.p.Skew != fleet.SkewStrict && l.to-g.Version <= l.skew(g.Version) &&
		slices.ContainsFunc(l.p.Nodes.Groups, func(p fleet.GroupUpgrade) bool { return (p.Name == g.Name || p.Name == fileName(g)) && p.Hold })
}

// fileName is the name by which the policy knows a group: a blue/green move gives it another one.
func fileName(g upgradepath.Group) string { return cmp.Or(g.StandsFor, g.Name) }

// strategy is how the policy wants a group to move.
func (l *look) strategy(g upgradepath.Group) fleet.NodeStrategy {
	for _, p := range l.p.Nodes.Groups {
		if p.Name == g.Name && p.Strategy != "" {
			return p.Strategy
		}
	}
	return l.p.Nodes.StrategyOf(fileName(g))
}

// renewed tells whether the policy names another version of a custom group's launch template for the target.
func (l *look) renewed(group string) bool {
	for _, g := range l.p.Nodes.Groups {
		if v := g.LaunchTemplateVersion[l.to]; (g.Name == group || g.Name == fileName(l.groups[group])) && v != "" {
			return v != l.groups[group].TemplateVersion
		}
	}
	return false
}

func (l *look) pool(name string) (NodePool, bool) {
	i := slices.IndexFunc(l.o.NodePools, func(p NodePool) bool { return p.Name == name })
	if i < 0 || name == "" {
		return NodePool{}, false
	}
	return l.o.NodePools[i], true
}

func (l *look) class(name string) (NodeClass, bool) {
	i := slices.IndexFunc(l.o.NodeClasses, func(c NodeClass) bool { return c.Name == name })
	if i < 0 || name == "" {
		return NodeClass{}, false
	}
	return l.o.NodeClasses[i], true
}

// date is a day as people read it.
func date(t time.Time) string { return t.UTC().Format("2006-01-02") }

// split takes "namespace/name" apart for kubectl: "-n namespace", "name".
func split(object string) (namespace, name string) {
	namespace, name, _ = strings.Cut(object, "/")
	return namespace, name
}
