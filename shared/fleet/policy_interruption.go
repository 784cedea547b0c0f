package fleet

import "time"

// ScheduledAction is when a machine is drained whose end, stop or reboot AWS has announced.
type ScheduledAction string

// The answers to an announcement. A machine whose hardware fails already is drained at once unless they are ignored.
const (
	// ScheduledWindow drains in a maintenance window of the cluster, if one opens early enough, and else as BeforeDeadline.
	ScheduledWindow         ScheduledAction = "Window"
	ScheduledBeforeDeadline ScheduledAction = "BeforeDeadline" // Lead before the announced time
	ScheduledImmediately    ScheduledAction = "Immediately"
	ScheduledIgnore         ScheduledAction = "Ignore"
)

// HealthEventPolicy says what AWS Health's events about machines lead to, and the events that EC2 itself has scheduled for them.
type HealthEventPolicy struct {
	Scheduled ScheduledAction `json:"scheduled"`
	// Lead is how long before the announced time a machine is drained that no window was found for. Budgets hold in that time.
	Lead time.Duration `json:"lead"`
}

// StatusAction is what a machine leads to that fails EC2's status checks.
type StatusAction string

// The answers to a failed status check.
const (
	StatusDrain  StatusAction = "Drain"  // drained and replaced
	StatusReport StatusAction = "Report" // told, and left alone
	StatusIgnore StatusAction = "Ignore"
)

// StatusCheckPolicy says what becomes of machines that fail EC2's status checks.
type StatusCheckPolicy struct {
	Action StatusAction `json:"action"`
	// After is how long a check has to fail. Less than what EC2 needs to tell a failure (a minute) is no use.
	After time.Duration `json:"after"`
	// Deadline is how long the drain may take once it begins: what answers no more has to be given up some day.
	Deadline time.Duration `json:"deadline"`
	// MaxUnhealthy is the share, 0 to 1, of a cluster's machines that may fail at once and be drained. If more do, nothing is
	// done but a report. One machine may always be drained.
	MaxUnhealthy float64 `json:"maxUnhealthy"`
}

// DefaultHealthEvents is safe in production: an announced end is met by choice, in a window if there is one.
func DefaultHealthEvents() HealthEventPolicy {
	return HealthEventPolicy{Scheduled: ScheduledWindow, Lead: 24 * time.Hour} // a working day to see to what a budget holds
}

// DefaultStatusChecks drains what fails for two minutes, Karpenter's patience as well. A fifth of a cluster is less than a zone of
// three or four, whose loss is not mended by draining, and more than what breaks by itself at the same time.
func DefaultStatusChecks() StatusCheckPolicy {
	return StatusCheckPolicy{Action: StatusDrain, After: 2 * time.Minute, Deadline: 5 * time.Minute, MaxUnhealthy: 0.2}
}

// WithSignals is the policy with defaults for what it says nothing about: it may be older than these fields.
func (p InterruptionPolicy) WithSignals() InterruptionPolicy {
	if p.Health.Scheduled == "" {
		p.Health = DefaultHealthEvents()
	}
	if p.StatusChecks.Action == "" {
		p.StatusChecks = DefaultStatusChecks()
	}
	return p
}
