package cluster

import (
	"slices"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/plan"
)

// Timing is how long a plan should take.
type Timing struct {
	// Expected is the longest chain of what needs one another: all else happens meanwhile.
	Expected time.Duration `json:"expected"`
	// Sequential is the sum of all: how long it would take one after the other.
	Sequential time.Duration `json:"sequential"`
	// Path is the longest chain. To be faster, one of these has to be.
	Path []Timed `json:"path,omitempty"`
}

// Timed is a resource with the time that it takes.
type Timed struct {
	Resource string        `json:"resource"`
	Takes    time.Duration `json:"takes"`
}

// takes is how long AWS usually works on what an operation began, beyond its answer. Observed: a control plane in about ten
// minutes, fourteen with its nodes (eksctl#8581 of November 2025); an encryption in up to 45, of which nobody knows more.
var takes = map[string]time.Duration{
	"eks:CreateCluster":                   10 * time.Minute,
	"eks:DeleteCluster":                   5 * time.Minute,
	"eks:UpdateClusterConfig":             3 * time.Minute,
	"eks:AssociateEncryptionConfig":       20 * time.Minute,
	"eks:AssociateIdentityProviderConfig": 10 * time.Minute,
	"eks:CreateNodegroup":                 3 * time.Minute,
	"eks:UpdateNodegroupConfig":           time.Minute,
	"eks:UpdateNodegroupVersion":          20 * time.Minute,
	"eks:DeleteNodegroup":                 5 * time.Minute,
	"eks:CreateAddon":                     2 * time.Minute,
	"eks:UpdateAddon":                     2 * time.Minute,
	"eks:DeleteAddon":                     time.Minute,
	"eks:CreateFargateProfile":            3 * time.Minute,
	"eks:DeleteFargateProfile":            3 * time.Minute,
	"eks:CreateCapability":                3 * time.Minute,
	"eks:DeleteCapability":                2 * time.Minute,
	"ec2:CreateNatGateway":                2 * time.Minute,
	"ec2:DeleteNatGateway":                2 * time.Minute,
	"ec2:CreateVpcEndpoint":               time.Minute,
	"ec2:DeleteVpcEndpoints":              time.Minute,
	"autoscaling:CreateAutoScalingGroup":  2 * time.Minute,
}

// answers is how long a call takes that is done with its answer, and until its effect is seen.
const answers = 2 * time.Second

// Duration is how long it should take until the cluster is what its spec says.
func Duration(now time.Time, o Observation, s fleet.ClusterSpec, opt Options) (Timing, error) {
	o.Made, o.Troubles, o.Unreachable = nil, nil, ""
	g, _, err := graph(o, s, opt)
	if err != nil {
		return Timing{}, err
	}
	return critical(g), nil
}

// critical is the longest chain through a graph, each of whose resources comes after those it needs. Some kinds take turns
// beside that: EKS works on one Fargate profile of a cluster at a time, as the calls' lanes say.
func critical(g []resource) Timing {
	var t Timing
	end, last := map[string]time.Duration{}, map[string]string{} // when a resource is there, and what it waited for longest
	lane, holds := map[string]time.Duration{}, map[string]string{}
	cost := map[string]time.Duration{}
	worst := ""
	for _, r := range g {
		start, from := time.Duration(0), ""
		for _, id := range r.needs {
			if end[id] > start {
				start, from = end[id], id
			}
		}
		cost[r.id] = r.takes()
		if q := turns(r.do); q != "" {
			if lane[q] > start {
				start, from = lane[q], holds[q]
			}
			lane[q], holds[q] = start+cost[r.id], r.id
		}
		end[r.id], last[r.id] = start+cost[r.id], from
		t.Sequential += cost[r.id]
		if end[r.id] > t.Expected {
			t.Expected, worst = end[r.id], r.id
		}
	}
	for id := worst; id != ""; id = last[id] {
		if cost[id] > 0 {
			t.Path = append(t.Path, Timed{id, cost[id]})
		}
	}
	slices.Reverse(t.Path)
	return t
}

// turns is the lane of calls on which AWS works for minutes. Others of one lane only have to be sent one after the other.
func turns(calls []plan.Call) string {
	for _, c := range calls {
		if takes[c.API] > 0 && c.Queue != "" {
			return c.Queue
		}
	}
	return ""
}

// takes is how long a resource takes that is to be made or changed, or that AWS is at work on: then from the start, since
// nobody knows since when.
func (r resource) takes() time.Duration {
	var sum time.Duration
	for _, c := range r.do {
		sum += max(takes[c.API], answers)
	}
	if r.state == pending {
		for api, d := range takes {
			if _, what, _ := strings.Cut(api, ":Create"); strings.EqualFold(what, kindNames[r.Kind]) {
				sum = max(sum, d)
			}
		}
	}
	return sum
}

// kindNames are what operations call kinds on which AWS works for minutes.
var kindNames = map[string]string{
	"cluster": "Cluster", "nodegroup": "Nodegroup", "addon": "Addon", "fargate": "FargateProfile", "capability": "Capability",
	"nat": "NatGateway", "endpoint": "VpcEndpoint",
}
