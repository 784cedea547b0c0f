package spec

import (
	"time"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

// Bounds of what a policy says about announced and failed machines.
const (
	minHealthLead = 20 * time.Minute    // the last quarter of an hour before the end is not by choice any more
	maxHealthLead = 30 * 24 * time.Hour // AWS announces two weeks ahead, as a rule
	minAfter      = time.Minute         // EC2 makes its checks once a minute
	maxAfter      = time.Hour
	minDeadline   = time.Minute
	maxDeadline   = time.Hour
)

// healthEvents reads a policy's interruption.health.
func (v value) healthEvents(p fleet.HealthEventPolicy) fleet.HealthEventPolicy {
	p.Scheduled = fleet.ScheduledAction(v.at("scheduled").oneOf(string(p.Scheduled), string(fleet.ScheduledWindow), string(fleet.ScheduledBeforeDeadline),
		string(fleet.ScheduledImmediately), string(fleet.ScheduledIgnore)))
	p.Lead = v.at("lead").between(p.Lead, minHealthLead, maxHealthLead)
	return p
}

// statusChecks reads a policy's interruption.statusChecks.
func (v value) statusChecks(p fleet.StatusCheckPolicy) fleet.StatusCheckPolicy {
	p.Action = fleet.StatusAction(v.at("action").oneOf(string(p.Action), string(fleet.StatusDrain), string(fleet.StatusReport), string(fleet.StatusIgnore)))
	p.After = v.at("after").between(p.After, minAfter, maxAfter)
	p.Deadline = v.at("deadline").between(p.Deadline, minDeadline, maxDeadline)
	p.MaxUnhealthy = v.at("maxUnhealthy").share(p.MaxUnhealthy)
	return p
}
