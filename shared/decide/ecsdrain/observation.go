// Package ecsdrain decides what to do about a machine of an ECS cluster that goes away: pure functions from what was observed
// to a plan. It hears the same signals as package interruption; ECS does most of the work itself.
package ecsdrain

import (
	"fmt"
	"slices"

	"github.com/ekspedite/ekspedite/shared/decide/interruption"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

// Observation is the world around one container instance.
type Observation struct {
	Signal    interruption.Signal
	Instance  *fleet.Instance          // nil: EC2 does not know it
	Container *fleet.ContainerInstance // nil: its cluster does not know it any more
	Tasks     []fleet.Task             // on it, those that are being stopped among them
	Group     fleet.ScalingGroup       // the machine's Auto Scaling group; an empty name for none
	Provider  fleet.CapacityProvider   // the container instance's; an empty name for none
	Attempt   int                      // how many looks came before
	Began     bool                     // an earlier look found the container instance
	// Incomplete says why parts could not be read. What follows from them is left for the next look; the rest is not.
	Incomplete map[Part]string
}

// Part of an observation that is one read.
type Part string

// The parts.
const (
	PartContainer  Part = "the container instance"
	PartTasks      Part = "its tasks"
	PartTimeouts   Part = "its tasks' stop timeouts"
	PartProtection Part = "its tasks' protection"
	PartGroup      Part = "the Auto Scaling group"
	PartProvider   Part = "the capacity provider"
)

// unread tells whether any of the parts could not be read.
func (o Observation) unread(parts ...Part) bool {
	return slices.ContainsFunc(parts, func(p Part) bool { _, ok := o.Incomplete[p]; return ok })
}

// gaps says what could not be read and why, in a fixed order.
func (o Observation) gaps() []string {
	var out []string
	for _, p := range []Part{PartContainer, PartTasks, PartTimeouts, PartProtection, PartGroup, PartProvider} {
		if why, ok := o.Incomplete[p]; ok {
			out = append(out, fmt.Sprintf("could not read %s: %s", p, why))
		}
	}
	return out
}
