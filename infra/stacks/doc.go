// Package stacks holds the stacks that ekspedite is deployed as: data, which must survive, and automation, which may be
// thrown away and deployed anew. A queue lives in the stack of the rules that fill it; rules and queues in different
// stacks would depend on each other in a circle.
package stacks

import "github.com/ekspedite/ekspedite/events"

// The stacks' names.
const (
	DataName       = "ekspedite-data"
	AutomationName = "ekspedite-automation"
)

// Names are all stacks, in the order of deployment.
var Names = []string{DataName, AutomationName}

// Functions are all functions by name: the package below functions/, the zip, the handler.
var Functions = []string{cluster, doorbell, interruption, notify, pipeline, scaling, upgrade}

const (
	cluster      = events.HandlerCluster
	interruption = events.HandlerInterruption
	notify       = events.HandlerNotify
	pipeline     = events.HandlerPipeline
	scaling      = events.HandlerScaling
	upgrade      = events.HandlerUpgrade
	doorbell     = "doorbell" // handles no event: it is called
)
