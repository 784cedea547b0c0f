package spec

import (
	"slices"
	"time"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

// maxMargin is half of the two minutes that EC2 gives.
const maxMargin = time.Minute

// assign gives a ClusterPolicy to its cluster, in all Regions of the text where there is one of the name. One without a name
// is for the only cluster of the text.
func (v value) assign(specs []Spec, had map[string]bool, text string) {
	policy := v.policy()
	name := v.at("metadata", "name")
	cluster := name.text("")
	if cluster == "" && len(specs) == 1 {
		cluster = specs[0].Cluster.Name
	}
	if had[cluster] {
		name.wrong("cluster %s has a ClusterPolicy already: put both into one", clip(cluster))
		return
	}
	for i := range specs {
		if specs[i].Cluster.Name != cluster {
			continue
		}
		had[cluster] = true
		specs[i].Policy = policy
		v.at("scaling").groupsOf(policy.Scaling, specs[i].Cluster)
		v.at("upgrade").upgradeOf(policy.Upgrade, specs[i].Cluster)
		specs[i].Cluster.DeletionProtection = v.at("cluster", "deletionProtection").flag()
		specs[i].Text += lineEnd(specs[i].Text) + separated(text)
	}
	if had[cluster] {
		return
	}
	if cluster == "" {
		name.wrong("say which cluster of the text the policy is for")
		return
	}
	name.wrong("there is no ClusterConfig %s in the text: a policy stands beside its cluster", clip(cluster))
}

// groupsOf holds names of node groups against the file. It only warns of those that are not there: a cluster may have others.
func (v value) groupsOf(p fleet.ScalingPolicy, c fleet.ClusterSpec) {
	find := func(at value, name string) (g fleet.NodeGroupSpec, found bool) {
		i := slices.IndexFunc(c.NodeGroups, func(g fleet.NodeGroupSpec) bool { return g.Name == name })
		if i < 0 {
			at.warn("the file has no node group %s", clip(name))
			return g, false
		}
		return c.NodeGroups[i], true
	}
	for i, item := range v.at("groups").mappings() {
		if i < len(p.Groups) {
			find(item.at("name"), p.Groups[i].Name)
		}
	}
	for i, item := range v.at("windows").mappings() {
		for j, name := range item.at("groups").items() {
			if i < len(p.Windows) && j < len(p.Windows[i].Groups) && !isPool(p, p.Windows[i].Groups[j]) {
				find(name, p.Windows[i].Groups[j])
			}
		}
	}
	for i, item := range v.at("reservations").mappings() {
		if i < len(p.Reservations) && p.Reservations[i].Group != "" {
			find(item.at("group"), p.Reservations[i].Group)
		}
	}
	for i, item := range v.at("pools").mappings() {
		if i >= len(p.Pools) || p.Pools[i].Like == "" {
			continue
		}
		like := item.at("like")
		switch g, found := find(like, p.Pools[i].Like); {
		case found && g.SelfManaged && p.Pools[i].Mode == fleet.PoolGroups:
			like.wrong("%s is one of nodeGroups: managed groups are made like one of managedNodeGroups", clip(g.Name))
		case found && !g.SelfManaged && p.Pools[i].Mode == fleet.PoolFleet:
			like.wrong("%s is one of managedNodeGroups: machines without a group are made like those of one of nodeGroups", clip(g.Name))
		}
	}
}

func isPool(p fleet.ScalingPolicy, name string) bool {
	return slices.ContainsFunc(p.Pools, func(pool fleet.PoolPolicy) bool { return pool.Name == name })
}

func lineEnd(text string) string {
	if text == "" || text[len(text)-1] == '\n' {
		return ""
	}
	return "\n"
}

// separated makes sure that a document can stand behind another one.
func separated(text string) string {
	if len(text) >= 3 && text[:3] == "---" {
		return text
	}
	return "---\n" + text
}

// policy reads a ClusterPolicy: the defaults, and what the document says otherwise.
func (v value) policy() fleet.Policy {
	p := fleet.DefaultPolicy()
	i := v.at("interruption")
	p.Interruption.Rebalance = fleet.RebalanceAction(i.at("rebalance").oneOf(string(p.Interruption.Rebalance),
		string(fleet.RebalanceIgnore), string(fleet.RebalanceDrain), string(fleet.RebalanceReplaceThenDrain)))
	p.Interruption.ReplaceCapacity = i.at("replaceCapacity").boolean(p.Interruption.ReplaceCapacity)
	margin := i.at("forceMargin")
	p.Interruption.ForceMargin = margin.duration(p.Interruption.ForceMargin)
	if p.Interruption.ForceMargin > maxMargin {
		margin.wrong("%s is longer than a spot instance's notice: %s at most", p.Interruption.ForceMargin, maxMargin)
	}
	p.Interruption.DrainPolicy = i.drains(p.Interruption.DrainPolicy)
	p.Interruption.Health = i.at("health").healthEvents(p.Interruption.Health)
	p.Interruption.StatusChecks = i.at("statusChecks").statusChecks(p.Interruption.StatusChecks)
	p.Interruption.LoadBalancers = i.at("loadBalancers").loadBalancers(p.Interruption.LoadBalancers)
	p.Scaling = v.at("scaling").scaling(p.Scaling)
	p.Upgrade = v.at("upgrade").upgrade(p.Upgrade)
	p.Notifications = v.at("notifications").notifications()
	return p
}
