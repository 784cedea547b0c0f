package readiness

import (
	"math/rand/v2"
	"testing"
	"time"
)

// cleanClusters are different clusters in which nothing stops an upgrade.
var cleanClusters = map[string]traits{
	"one node":                              {from: 34, to: 35, groups: 1, nodes: 1, workloads: 1},
	"no node at all":                        {from: 34, to: 35},
	"small":                                 {from: 33, to: 34, groups: 1, nodes: 3, workloads: 5},
	"large":                                 {from: 33, to: 34, groups: 6, nodes: 60, workloads: 80, prefix: true},
	"private, with a key":                   {from: 34, to: 35, groups: 2, nodes: 3, workloads: 5, private: true, key: true},
	"Fargate alone":                         {from: 32, to: 33, fargate: true, workloads: 6},
	"Fargate alone, to a minor without AL2": {from: 33, to: 36, fargate: true, workloads: 6},
	"Karpenter alone":                       {from: 34, to: 35, karpenter: true, workloads: 9},
	"Auto Mode":                             {from: 34, to: 35, auto: true, workloads: 9},
	"spot":                                  {from: 34, to: 35, groups: 3, nodes: 6, workloads: 9, spot: true},
	"Bottlerocket":                          {from: 34, to: 35, groups: 2, nodes: 6, workloads: 9, bottle: true},
	"AL2023 of 1.32 with containerd 1.7":    {from: 32, to: 36, groups: 2, nodes: 6, workloads: 9},
	"an insight of a fixed client":          {from: 31, to: 32, groups: 1, nodes: 3, workloads: 3, fixedClient: true},
	"three minors at once":                  {from: 33, to: 36, groups: 2, nodes: 4, workloads: 5},
	"patches alone":                         {from: 34, to: 34, groups: 2, nodes: 4, workloads: 5},
	"nodes as far behind as they may be":    {from: 34, to: 35, groups: 2, nodes: 4, workloads: 5, oldNodes: true},
	"strict skew":                           {from: 34, to: 35, groups: 2, nodes: 4, workloads: 5, strict: true},
	"an image of one's own":                 {from: 34, to: 35, groups: 2, nodes: 4, workloads: 5, custom: true},
	"self-managed nodes":                    {from: 34, to: 35, groups: 3, nodes: 4, workloads: 5, selfManaged: true},
	"hybrid nodes":                          {from: 34, to: 35, groups: 1, nodes: 4, workloads: 5, hybrid: true},
	"webhooks that fail closed":             {from: 34, to: 35, groups: 2, nodes: 4, workloads: 5, webhooks: true},
	"Helm":                                  {from: 34, to: 35, groups: 2, nodes: 4, workloads: 5, helm: true},
	"IPv6":                                  {from: 34, to: 35, groups: 2, nodes: 4, workloads: 5, ipv6: true},
	"minimal updates":                       {from: 34, to: 35, groups: 2, nodes: 4, workloads: 5, minimal: true},
	"blue/green":                            {from: 34, to: 35, groups: 2, nodes: 4, workloads: 5, blueGreen: true},
	"a budget over a DaemonSet":             {from: 34, to: 35, groups: 2, nodes: 4, workloads: 5, daemons: true},
	"a waiver":                              {from: 34, to: 35, groups: 2, nodes: 4, workloads: 5, waived: true},
	"a pool's group that is being made":     {from: 34, to: 35, groups: 5, nodes: 4, workloads: 5, poolsComing: true, gpu: true},
	"pods that have finished":               {from: 34, to: 35, groups: 2, nodes: 4, workloads: 5, conditions: true},
}

func TestCleanClustersAreReady(t *testing.T) {
	for name, tr := range cleanClusters {
		c := build(1, tr)
		checkClean(t, name, c)
		if tr.to > tr.from && len(c.o.EKS.Nodes) > 0 {
			continue
		}
	}
	t.Logf("%d clean clusters", len(cleanClusters))
}

// TestCleanSeedsAreReady: 1,000 clusters made at random, and none is blocked.
func TestCleanSeedsAreReady(t *testing.T) {
	const seeds = 1000
	blocked, nodes, pods := 0, 0, 0
	var spent time.Duration
	for seed := range uint64(seeds) {
		c := randomCluster(seed)
		nodes += len(c.o.EKS.Nodes)
		pods += len(c.o.Pods)
		begun := time.Now()
		r := Check(testNow, c.o, c.p)
		spent += time.Since(begun)
		if !r.Ready() {
			if blocked++; blocked <= 5 {
				t.Errorf("seed %d, %s to %s: %s", seed, r.From, r.To, first(r))
			}
		}
	}
	t.Logf("%d of %d clean clusters are blocked; %d nodes and %d pods each on average; %v for a cluster", blocked, seeds, nodes/seeds, pods/seeds, spent/seeds)
}

func randomCluster(seed uint64) *cluster {
	return build(seed, (&cluster{r: rand.New(rand.NewPCG(seed, 11))}).random())
}

func checkClean(t *testing.T, name string, c *cluster) {
	t.Helper()
	r := Check(testNow, c.o, c.p)
	if !r.Ready() {
		t.Errorf("%s is clean, and is blocked: %s", name, first(r))
	}
	if len(r.Findings) != len(catalogue) {
		t.Errorf("%s: %d findings of %d checks", name, len(r.Findings), len(catalogue))
	}
}

// first is the first blocker, for a message.
func first(r Report) string {
	b := r.Blockers()[0]
	text := b.ID + " " + b.Text
	for _, e := range b.Evidence[:min(3, len(b.Evidence))] {
		text += "; " + e
	}
	return text
}
