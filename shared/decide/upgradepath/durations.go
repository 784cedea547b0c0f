package upgradepath

import (
	"time"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

// How long EKS and EC2 take. Observed, not promised: a step's Takes is for windows and for people, and a run waits for what
// is, however long that takes.
const (
	// controlPlaneTakes: 9 min 55 s (eksctl#7976, January 2025).
	controlPlaneTakes = 10 * time.Minute
	// addonTakes: one to three minutes, from memory and from nothing better.
	addonTakes = 2 * time.Minute

	// A managed rolling update sets up, adds max(2 × zones, maxUnavailable) nodes and waits for them, drains the old nodes, each
	// with 60 s of waiting, and takes the surplus off one by one (EKS's user guide, managed node update behaviour). These four
	// give 24 min for a group of one node in three zones, and 36 min for seven; observed are 28 min for two groups of one node
	// (terraform-aws-eks-blueprints#637) and 34 min for seven nodes (containers-roadmap#1227).
	setupTakes   = 2 * time.Minute
	launchTakes  = 5 * time.Minute // until new machines are Ready nodes, in every zone
	drainTakes   = 2 * time.Minute // a node, or as many as go at the same time
	surplusTakes = 150 * time.Second

	groupCreateTakes = 3 * time.Minute // two to five, as in package cluster
	groupDeleteTakes = 5 * time.Minute
	restartTakes     = 5 * time.Minute // Fargate pods, rolled by their controllers
)

// rolling is how many nodes of a group are drained at the same time.
func (g Group) rolling(nodes int) int {
	n := g.MaxUnavailable
	if g.MaxUnavailablePercent > 0 {
		n = nodes * g.MaxUnavailablePercent / 100
	}
	return max(n, 1)
}

// surge is how many nodes run beside the old ones while a group moves, and for how long.
func surge(g Group, s fleet.NodeStrategy, nodes int, p fleet.NodeUpgradePolicy) int {
	switch {
	case nodes == 0 || s == fleet.NodesMinimal:
		return 0
	case s == fleet.NodesBlueGreen:
		return nodes
	case g.SelfManaged:
		return min(max(p.AtOnce, 1), nodes)
	}
	return max(2*g.Zones, g.rolling(nodes))
}

// groupTakes is how long a group should take to move.
func groupTakes(g Group, s fleet.NodeStrategy, nodes int, p fleet.NodeUpgradePolicy) time.Duration {
	rounds := func(n, at int) time.Duration { return time.Duration((n + at - 1) / at) }
	at := max(p.AtOnce, 1)
	switch {
	case s == fleet.NodesBlueGreen:
		return groupCreateTakes + launchTakes + rounds(nodes, at)*drainTakes + groupDeleteTakes
	case nodes == 0:
		return setupTakes
	case g.SelfManaged:
		return setupTakes + rounds(nodes, at)*(launchTakes+drainTakes)
	case s == fleet.NodesMinimal:
		return setupTakes + rounds(nodes, g.rolling(nodes))*(drainTakes+launchTakes)
	}
	return setupTakes + launchTakes + rounds(nodes, g.rolling(nodes))*drainTakes + time.Duration(surge(g, s, nodes, p))*surplusTakes
}

// surgeCost is what the nodes cost that run beside the old ones while a step goes on, at the dearest of the group's types;
// 0 without prices.
func surgeCost(g Group, st Step, p fleet.NodeUpgradePolicy, hourly map[string]float64) float64 {
	var price float64
	for _, t := range g.InstanceTypes {
		price = max(price, hourly[t])
	}
	return price * float64(surge(g, st.Strategy, st.Nodes, p)) * st.Takes.Hours()
}

// takes is how long waves take that run one after another, each as long as its longest step.
func takes(steps []Step) (sum time.Duration) {
	longest := map[int]time.Duration{}
	for _, s := range steps {
		longest[s.Wave] = max(longest[s.Wave], s.Takes)
	}
	for _, d := range longest {
		sum += d
	}
	return sum
}

// cost adds up what the way costs and saves.
func cost(o Observation, w Want, surge float64) Cost {
	c := Cost{Surge: surge}
	now, known := o.Find(o.Version)
	next, _ := o.Find(w.To)
	if !known || w.Now.IsZero() {
		return c
	}
	const week = 7 * 24 * time.Hour
	monthly := (fleet.ClusterExtendedHourly - fleet.ClusterHourly) * hoursOfMonth
	if extended(now, w.Now) {
		c.ExtendedPerMonth = monthly
	}
	if w.To <= o.Version {
		return c
	}
	extra := func(v fleet.KubernetesVersion, until time.Time) float64 {
		_, e := v.SupportCost(w.Now, until)
		return e
	}
	c.PerWeek = extra(now, w.Now.Add(week)) - extra(next, w.Now.Add(week))
	if !now.ExtendedEnds.IsZero() {
		c.Saved = extra(now, now.ExtendedEnds) - extra(next, now.ExtendedEnds)
	}
	return c
}

// hoursOfMonth is a month as AWS counts it.
const hoursOfMonth = 730

// extended tells whether a minor is in extended support at a time: by its date, which billing follows, or by EKS's word.
func extended(v fleet.KubernetesVersion, at time.Time) bool {
	if v.StandardEnds.IsZero() || at.IsZero() {
		return v.Status == fleet.ExtendedSupport
	}
	return !at.Before(v.StandardEnds)
}

// ended tells whether EKS no longer offers a minor.
func ended(v fleet.KubernetesVersion, at time.Time) bool {
	return v.Status == fleet.Unsupported || !v.ExtendedEnds.IsZero() && !at.IsZero() && !at.Before(v.ExtendedEnds)
}

// offered lists the minors that EKS offers, for messages.
func (o Observation) offered() (out []string) {
	for _, v := range o.Versions {
		if v.Status != fleet.Unsupported {
			out = append(out, v.Minor.String())
		}
	}
	return out
}
