package fleet

import "time"

// Impairment is a machine that fails one of EC2's status checks.
type Impairment struct {
	InstanceID string `json:"instanceId"`
	// Check is "system" (AWS's side: power, network, the host) or "instance" (its own: the kernel, its network).
	Check string `json:"check"`
	// Since is when the check first failed; zero if EC2 does not say.
	Since time.Time `json:"since,omitzero"`
}

// ScheduledEvent is what EC2 has scheduled for a machine.
type ScheduledEvent struct {
	InstanceID string `json:"instanceId"`
	ID         string `json:"id"`   // instance-event-…
	Code       string `json:"code"` // instance-retirement, instance-stop, instance-reboot, system-reboot, system-maintenance
	// NotBefore is when it begins at the earliest, NotAfter when it ends at the latest.
	NotBefore time.Time `json:"notBefore,omitzero"`
	NotAfter  time.Time `json:"notAfter,omitzero"`
	// Over: completed or cancelled. EC2 shows such an event for a week.
	Over bool `json:"over,omitempty"`
}
