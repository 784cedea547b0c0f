package cluster

import (
	"slices"
	"strings"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

// inCluster are the kinds that are parts of an EKS cluster, and go with it.
var inCluster = []string{"nodegroup", "addon", "fargate", "access", "accesspolicies", "podidentity", "capability", "identity", "kubernetes"}

// InCluster tells whether a kind is a part of an EKS cluster.
func InCluster(kind string) bool { return slices.Contains(inCluster, kind) }

// RefOf is the reference of a part of a cluster by its name in the graph: "nodegroup/spot".
func RefOf(id string) fleet.Ref {
	kind, name, _ := strings.Cut(id, "/")
	return fleet.Ref{ID: id, Kind: kind, Name: name}
}
