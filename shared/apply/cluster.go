package apply

import (
	"context"

	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/plan"
)

// Caller makes a call of AWS's API in one Region. What exists already is fault.Conflict, what is gone fault.NotFound. Where
// EKS goes on with the work in the background, it says under which id.
type Caller interface {
	Call(ctx context.Context, c plan.Call) (fleet.Update, error)
}

// Objects writes to a cluster's Kubernetes API.
type Objects interface {
	Apply(ctx context.Context, cluster string, object fleet.Props) error
	// Delete is told apiVersion, kind and name. What is gone is fault.NotFound.
	Delete(ctx context.Context, cluster string, object fleet.Props) error
}

// ClusterWidth is how many of a step's calls run at once: a network's worth, and below the 50 mutating calls that EC2
// lets an account burst to, with room for the clusters that are made beside.
const ClusterWidth = 10

// ClusterWriter carries out the calls of decide/cluster.
type ClusterWriter struct {
	AWS        Caller
	Kubernetes Objects
}

// Do carries out one call. Making what exists and deleting what is gone are success: each look starts from what is there.
func (w ClusterWriter) Do(ctx context.Context, action plan.Action) (fleet.Update, error) {
	c, ok := action.(plan.Call)
	if !ok {
		return fleet.Update{}, unknown(action)
	}
	var update fleet.Update
	var err error
	switch c.API {
	case "kubernetes:Apply":
		err = w.Kubernetes.Apply(ctx, c.Cluster, c.Input)
	case "kubernetes:Delete":
		err = w.Kubernetes.Delete(ctx, c.Cluster, c.Input)
	default:
		update, err = w.AWS.Call(ctx, c)
	}
	err = fault.Ignore(err, fault.Conflict)
	if c.Effect == plan.Delete {
		err = fault.Ignore(err, fault.NotFound)
	}
	return update, err
}
