package cluster

import (
	"slices"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

// Depth is how much of the world was read.
type Depth int

// The depths.
const (
	// OnlyControl is the control plane alone: enough while nothing but it is waited for.
	OnlyControl Depth = iota
	// Light is what shows that a working cluster is as it should be, in as few reads as that takes. See lightKinds.
	Light
	// Full is everything that is the cluster's, found by tag, by name and by listing.
	Full
	// OnlyAwaited is what a removal waits for, and nothing else: enough while AWS goes on working on all of it.
	OnlyAwaited
)

// Observation is a cluster as it is.
type Observation struct {
	Depth Depth
	// Found are the resources that exist, by their names in the graph. More than one of a name is a slip of the past, such
	// as an answer that was lost: the first is used, the others are named.
	Found map[string][]fleet.Resource
	// Zones of the Region; read only while their choice is open.
	Zones []fleet.Zone
	// Market is what machines and images there are, for what the spec leaves open.
	Market Market
	// Updates that EKS is working on for us, or that have ended since the last look, by resource.
	Updates map[string]fleet.Update
	// Unreachable says why the API server could not be asked; then what is in the cluster is unknown.
	Unreachable string

	// What the run remembers, beside what the world shows.

	// Made are the resources that were made. One that is not visible yet is waited for, not made again.
	Made map[string]fleet.Making
	// Troubles are the actions that failed last time, by resource.
	Troubles map[string]fleet.Trouble
	// Idle counts the looks since anything changed.
	Idle int
}

// Market is what EC2 offers and AWS recommends, read only where a spec leaves something open.
type Market struct {
	Types  []fleet.InstanceType        `json:"types,omitempty"`
	Asked  bool                        `json:"asked,omitempty"`  // for types, of which there may be none
	Images map[string]string           `json:"images,omitempty"` // image id by SSM parameter
	Addons map[string]fleet.AddonOffer `json:"addons,omitempty"` // by name; only of AddonsToAsk
}

// Control is the control plane; nil when EKS does not know the cluster.
func (o Observation) Control() *fleet.Resource { return o.first(idCluster) }

// first is the resource of a name; nil without.
func (o Observation) first(id string) *fleet.Resource {
	if list := o.Found[id]; len(list) > 0 {
		return &list[0]
	}
	return nil
}

// Working tells whether the control plane answers: it is there, and neither being made nor gone.
func (o Observation) Working() bool {
	c := o.Control()
	return c != nil && (c.Status == "ACTIVE" || c.Status == "UPDATING")
}

// lightKinds are the kinds found by tag that a light look reads. A route table shows by its routes whether the gateways
// behind it are there ("blackhole" otherwise), and a VPC cannot go while a control plane is in it.
var lightKinds = []string{"subnet", "routes"}

// taggedKinds are all kinds that are found by their tags.
var taggedKinds = []string{"vpc", "subnet", "igw", "routes", "address", "nat", "egress", "sg", "endpoint", "template", "keypair"}

// Kinds are the kinds found by tag that a look of a depth reads.
func Kinds(d Depth, s fleet.ClusterSpec) []string {
	if d != Light {
		if byTransit(s) {
			return append(slices.Clone(taggedKinds), idTransit)
		}
		return taggedKinds
	}
	var kinds []string
	if s.Network.VPC == "" {
		kinds = lightKinds
	}
	if wantsEndpoints(s) { // nothing else shows that one was added to the file
		kinds = append(slices.Clone(kinds), "endpoint")
	}
	if ownControlGroup(s) || letsPeopleIn(s) { // the same of its rules
		kinds = append(slices.Clone(kinds), "sg")
	}
	return kinds
}

// wholeKinds are the kinds found by name that only a full look reads: they matter while something is made.
var wholeKinds = []string{idGivenVPC, idGivenRoutes, idServices, idVPN}

// Reads tells whether a look of a depth reads a kind that is found by name.
func Reads(d Depth, kind string) bool { return d == Full || !slices.Contains(wholeKinds, kind) }

// Hidden tells whether a light look would not see how something that is waited for goes on.
func Hidden(waiting []string, s fleet.ClusterSpec) bool {
	return slices.ContainsFunc(waiting, func(id string) bool {
		kind := fleet.KindOf(id)
		return slices.Contains(Kinds(Full, s), kind) && !slices.Contains(Kinds(Light, s), kind) || !Reads(Light, kind)
	})
}
