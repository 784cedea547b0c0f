package autoscaling

import (
	"slices"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/wire"
)

// The lifecycle states of an instance in a group.
const (
	pending            = "Pending"
	pendingWait        = "Pending:Wait"
	inService          = "InService"
	standby            = "Standby"
	terminating        = "Terminating"
	terminatingWait    = "Terminating:Wait"
	terminatingProceed = "Terminating:Proceed"
)

// group is an Auto Scaling group.
type group struct {
	name, arn string
	created   time.Time
	config
	tags      []groupTag
	hooks     []*hook
	suspended map[string]string // process: reason
	metrics   []string
	sources   []source
	deleting  bool

	members    []*member // in the order in which they joined
	activities []*activity
	requests   []string             // what users asked for, for the Cause of the activities that follow from it
	replacing  int                  // unhealthy instances that are to be replaced, for the Cause
	retryAt    time.Time            // no launch before: the last ones failed
	failures   int                  // in a row
	zoneRetry  map[string]time.Time // no zone rebalancing into a zone before
	balancing  string               // the instance launched to balance the zones, until it is InService

	wake chan struct{}
	gone chan struct{} // closed when the group is deleted
}

// config is what UpdateAutoScalingGroup can change.
type config struct {
	min, max, desired int
	subnets           []string
	template          templateSpec // of a group without a mixed instances policy
	mixed             *mixedPolicy
	policies          []string // termination policies
	protect           bool     // new instances
	rebalance         bool     // CapacityRebalance
	healthType        string
	grace, cooldown   int
	warmup            *int
	role              string
	placement         string // placement group
	maxLifetime       int    // seconds; 0: for ever
	maintenance       *maintenancePolicy
}

// maintenancePolicy bounds a group's healthy capacity while instances are replaced. It is kept and shown: replacements
// here come first or last as the group's other settings say.
type maintenancePolicy struct {
	MinHealthyPercentage, MaxHealthyPercentage int
}

type groupTag struct {
	Key, Value string
	Propagate  bool
}

// member is an instance in a group.
type member struct {
	id, typ, az, subnet, image string
	spot                       bool
	template                   templateSpec // with the version's number
	state                      string
	unhealthy                  bool
	protected                  bool
	joined                     time.Time
	inServiceAt                time.Time
	risk, interrupted          bool // rebalance recommendation, interruption notice
	waits                      []*wait
	activity                   *activity // what is under way with it
}

type templateSpec struct {
	LaunchTemplateID   string `query:"LaunchTemplateId" xml:"LaunchTemplateId,omitempty"`
	LaunchTemplateName string `xml:",omitempty"`
	Version            string `xml:",omitempty"`
}

// active tells whether the instance counts as capacity.
func (m *member) active() bool {
	return m.state == pending || m.state == pendingWait || m.state == inService
}

func (m *member) leaving() bool {
	return m.state == terminating || m.state == terminatingWait || m.state == terminatingProceed
}

func (g *group) member(id string) *member {
	for _, m := range g.members {
		if m.id == id {
			return m
		}
	}
	return nil
}

func (g *group) drop(m *member) {
	g.members = slices.DeleteFunc(g.members, func(o *member) bool { return o == m })
}

// count counts members.
func (g *group) count(f func(*member) bool) int {
	n := 0
	for _, m := range g.members {
		if f(m) {
			n++
		}
	}
	return n
}

// poke has the group's worker compare what is with what should be.
func (g *group) poke() {
	select {
	case g.wake <- struct{}{}:
	default:
	}
}

// resize changes the desired capacity and notes why. The lock is held.
func (g *group) resize(desired int, request string) {
	if request != "" {
		g.requests = append(g.requests, sentence(time.Now())+request)
	}
	g.desired = desired
	g.failures, g.retryAt = 0, time.Time{} // what a user asks for is tried at once
	g.poke()
}

// find returns a group that is there and not on its way out. The message for one that is not is AWS's.
func (s *Service) find(name string) (*group, error) {
	g, ok := s.groups[name]
	if !ok {
		return nil, validation("AutoScalingGroup name not found - AutoScalingGroup '%s' not found", name)
	}
	if g.deleting {
		return nil, wire.Errf("ScalingActivityInProgress", "AutoScalingGroup '%s' is being deleted", name)
	}
	return g, nil
}
