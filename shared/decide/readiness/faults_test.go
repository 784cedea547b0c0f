package readiness

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/shared/decide/upgradepath"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

// fault is one thing that is wrong with a cluster that was clean, and the check that has to block for it.
type fault struct {
	id, name string
	// object is what the evidence has to name, "" for any.
	object string
	do     func(*cluster)
}

// base is the clean cluster that faults are put into: it has something of everything.
func base(seed uint64) *cluster {
	return build(seed, traits{from: 33, to: 34, groups: 5, nodes: 6, workloads: 8, fargate: true, karpenter: true, key: true, bottle: true, custom: true, selfManaged: true,
		webhooks: true, helm: true, daemons: true, conditions: true, gpu: true})
}

func (c *cluster) to(m fleet.Minor) {
	c.o.Target = m
	for i := range c.p.Nodes.Groups {
		c.p.Nodes.Groups[i].LaunchTemplateVersion = map[fleet.Minor]string{m: "4"}
	}
}

// from makes it a cluster of another minor.
func (c *cluster) from(m fleet.Minor) {
	*c = *build(1, traits{from: m, to: m + 1, groups: 3, nodes: 4, workloads: 4, custom: true, webhooks: true, helm: true})
}

func (c *cluster) addon(name string) *upgradepath.Addon {
	return &c.o.EKS.Addons[slices.IndexFunc(c.o.EKS.Addons, func(a upgradepath.Addon) bool { return a.Name == name })]
}

func (c *cluster) subnet(id string) *Subnet {
	return &c.o.Subnets[slices.IndexFunc(c.o.Subnets, func(s Subnet) bool { return s.ID == id })]
}

func (c *cluster) eachNode(group string, do func(*upgradepath.Node, *NodeFacts)) {
	for i := range c.o.EKS.Nodes {
		if c.o.EKS.Nodes[i].Group == group {
			do(&c.o.EKS.Nodes[i], &c.o.Nodes[i])
		}
	}
}

func (c *cluster) insight(status string, last time.Duration) {
	c.o.Insights = append(c.o.Insights, Insight{ID: "ix", Name: "Deprecated APIs removed in Kubernetes v1.34", Category: "UPGRADE_READINESS", Status: status, Version: 34, LastRefresh: testNow,
		Deprecations: []Deprecation{{Usage: "/apis/resource.k8s.io/v1alpha3/deviceclasses", StopServing: 34, Clients: []Client{{UserAgent: "old-operator", Requests: 9, LastRequest: testNow.Add(-last)}}}}})
}

var controlPlaneFaults = []fault{
	{"CP01", "updating", "cluster", func(c *cluster) { c.o.EKS.Status = "UPDATING" }},
	{"CP01", "failed", "cluster", func(c *cluster) { c.o.EKS.Status = "FAILED" }},
	{"CP02", "AWS's own update", "control-plane", func(c *cluster) {
		c.o.EKS.Busy = []upgradepath.Busy{{ID: "u-1", Type: "ConfigUpdate", Subject: "control-plane", Begun: testNow}}
	}},
	{"CP02", "a node group's update", "nodegroup/group-0", func(c *cluster) {
		c.o.EKS.Busy = []upgradepath.Busy{{ID: "u-2", Type: "VersionUpdate", Subject: "nodegroup/group-0", Begun: testNow}}
	}},
	{"CP03", "a health issue", "cluster", func(c *cluster) { c.o.EKS.Issues = []string{"KmsKeyDisabled: disabled"} }},
	{"CP04", "a target behind", "target", func(c *cluster) { c.o.Target = 32 }},
	{"CP04", "no target", "target", func(c *cluster) { c.o.Target = 0 }},
	{"CP05", "a minor that EKS does not know", "1.37", func(c *cluster) { c.to(37) }},
	{"CP05", "a minor out of support", "1.34", func(c *cluster) {
		for i := range c.o.EKS.Versions {
			if v := &c.o.EKS.Versions[i]; v.Minor == 34 {
				v.Status = fleet.Unsupported
			}
		}
	}},
	{"CP05", "a minor missing on the way", "1.35", func(c *cluster) {
		c.to(36)
		c.o.EKS.Versions = slices.DeleteFunc(c.o.EKS.Versions, func(v fleet.KubernetesVersion) bool { return v.Minor == 35 })
	}},
	{"CP06", "an insight of skew", "Kubelet version skew", func(c *cluster) { c.o.Insights[0].Status = "ERROR" }},
	{"CP06", "an insight of a client of an hour ago", "Deprecated APIs removed in Kubernetes v1.34", func(c *cluster) { c.insight("ERROR", time.Hour) }},
	{"CP06", "an insight of a client of 23 hours ago", "Deprecated APIs removed in Kubernetes v1.34", func(c *cluster) { c.insight("ERROR", 23*time.Hour) }},
	{"CP06", "an insight with one client fixed and one not", "", func(c *cluster) {
		c.insight("ERROR", 300*time.Hour)
		d := &c.o.Insights[len(c.o.Insights)-1].Deprecations[0]
		d.Clients = append(d.Clients, Client{UserAgent: "still-there", LastRequest: testNow})
	}},
	{"CP06", "an insight that does not say when", "", func(c *cluster) {
		c.insight("ERROR", 0)
		c.o.Insights[len(c.o.Insights)-1].Deprecations[0].Clients[0].LastRequest = time.Time{}
	}},
	{"CP06", "insights could not be read", "", func(c *cluster) { c.o.Unread = map[Part]string{PartInsights: "access denied"} }},
	{"CP10", "the role is gone", "", func(c *cluster) { c.o.Role.Exists = false }},
	{"CP10", "the role's trust is gone", "", func(c *cluster) { c.o.Role.Trusted = false }},
	{"CP11", "a subnet is gone", "subnet-b", func(c *cluster) { c.subnet("subnet-b").Exists = false }},
	{"CP11", "two subnets are gone, however much was free there", "zones", func(c *cluster) {
		c.subnet("subnet-a").Exists, c.subnet("subnet-b").Exists = false, false
	}},
	{"CP11", "few addresses in two zones", "zones", func(c *cluster) { c.subnet("subnet-a").Free, c.subnet("subnet-b").Free = 4, 0 }},
	{"CP11", "two subnets of one zone", "zones", func(c *cluster) { c.o.ControlPlane.SubnetIDs = []string{"subnet-a", "subnet-na"} }},
	{"CP12", "the cluster's security group is gone", "sg-cluster", func(c *cluster) { c.o.SecurityGroups[0].Exists = false }},
	{"CP12", "another security group is gone", "sg-extra", func(c *cluster) { c.o.SecurityGroups = c.o.SecurityGroups[:1] }},
	{"CP13", "the key is disabled", "", func(c *cluster) { c.o.Key.State = "Disabled" }},
	{"CP13", "the key will be deleted", "", func(c *cluster) { c.o.Key.State, c.o.Key.Deletion = "PendingDeletion", testNow.AddDate(0, 0, 7) }},
	{"CP13", "the key is gone", "", func(c *cluster) { c.o.Key = Key{} }},
	{"OPS01", "outside the window", "window", func(c *cluster) { c.o.Process = &Process{RingReady: true, Window: "the next one opens on Saturday"} }},
	{"OPS01", "the ring before has not soaked", "ring", func(c *cluster) {
		c.o.Process = &Process{WindowOpen: true, Ring: "canary soaks until tomorrow"}
	}},
	{"OPS03", "an open issue of EKS", "AWS_EKS_OPERATIONAL_ISSUE", func(c *cluster) {
		c.o.Health = append(c.o.Health, HealthEvent{Service: "EKS", Code: "AWS_EKS_OPERATIONAL_ISSUE", Category: "issue", Status: "open", Affected: true})
	}},
	{"OPS04", "an alarm", "errors", func(c *cluster) { c.o.Alarms[0].State = "ALARM" }},
	{"OPS04", "an alarm that does not exist", "errros", func(c *cluster) { c.o.UnknownAlarms = []string{"errros"} }},
	{"OPS05", "the endpoint is not reached", "endpoint", func(c *cluster) { c.o.Access = Access{Asked: true, Why: "i/o timeout"} }},
	{"OPS05", "no access entry", "access entry", func(c *cluster) { c.o.Access = Access{Asked: true, Reached: true, Why: "401"} }},
	{"OPS05", "nobody asked", "", func(c *cluster) { c.o.Access = Access{} }},
}

func ownGroup(c *cluster) *fleet.GroupUpgrade { return &c.p.Nodes.Groups[0] }

func TestEveryFaultIsFound(t *testing.T) {
	all := slices.Concat(controlPlaneFaults, apiFaults, nodeFaults, addonFaults, workloadFaults)
	const seeds = 5
	found, alone, spent := 0, 0, time.Duration(0)
	blocking := map[string]bool{}
	for _, f := range all {
		for seed := range uint64(seeds) {
			c := base(seed)
			if r := Check(testNow, c.o, c.p); !r.Ready() {
				t.Fatalf("the cluster of seed %d is not clean: %s", seed, first(r))
			}
			f.do(c)
			begun := time.Now()
			r := Check(testNow, c.o, c.p)
			spent += time.Since(begun)
			if f.in(t, r) {
				found++
				blocking[f.id] = true
			}
			if len(r.Blockers()) == 1 {
				alone++
			}
		}
	}
	n := len(all) * seeds
	if found != n {
		t.Errorf("%d of %d are found", found, n)
	}
	if len(all) < 100 {
		t.Errorf("there are %d faults, and 100 are wanted", len(all))
	}
	for _, c := range catalogue {
		if c.severity == Block && !blocking[c.id] {
			t.Errorf("%s can block, and no fault makes it", c.id)
		}
	}
	t.Logf("%d faults in %d clusters each: %d of %d found (%.1f %%), %d blocked by that check alone; %d checks block; %v for a cluster", len(all), seeds, found, n, 100*float64(found)/float64(n), alone, len(blocking), spent/time.Duration(n))
}

// in tells whether the report blocks for the fault, names the object, and says what to do.
func (f fault) in(t *testing.T, r Report) bool {
	t.Helper()
	i := slices.IndexFunc(r.Findings, func(g Finding) bool { return g.ID == f.id })
	g := r.Findings[i]
	named := f.object == "" || slices.ContainsFunc(g.Evidence, func(e string) bool { return e == f.object || strings.HasPrefix(e, f.object+":") })
	switch {
	case !g.Blocks() || r.Ready():
		t.Errorf("%s %s: %s %s %q", f.id, f.name, g.Severity, g.Status, g.Text)
	case !named:
		t.Errorf("%s %s: the evidence does not name %s: %q", f.id, f.name, f.object, g.Evidence)
	case g.Status == Fail && (g.Remedy == "" || g.Text == "" || strings.Contains(g.Text+g.Remedy, "%d") || strings.Contains(g.Remedy, "%!")):
		t.Errorf("%s %s: text %q, remedy %q", f.id, f.name, g.Text, g.Remedy)
	case g.Status == Unknown && !strings.HasPrefix(g.Text, "not known"):
		t.Errorf("%s %s: unknown, and says %q", f.id, f.name, g.Text)
	default:
		return true
	}
	return false
}
