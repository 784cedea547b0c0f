package events

import (
	"fmt"
	"slices"
	"time"
)

// What the upgrade function is told, and tells itself.
const (
	KindUpgradeRequested        Kind = "UpgradeRequested"
	KindUpgradeControlRequested Kind = "UpgradeControlRequested"
	KindUpgradeSweepRequested   Kind = "UpgradeSweepRequested"
	KindUpgradeContinuation     Kind = "UpgradeContinuation"
	KindRolloutRequested        Kind = "RolloutRequested"
	KindRolloutContinuation     Kind = "RolloutContinuation"
)

func (UpgradeRequested) ownKind() Kind        { return KindUpgradeRequested }
func (UpgradeControlRequested) ownKind() Kind { return KindUpgradeControlRequested }
func (UpgradeSweepRequested) ownKind() Kind   { return KindUpgradeSweepRequested }
func (UpgradeContinuation) ownKind() Kind     { return KindUpgradeContinuation }
func (RolloutRequested) ownKind() Kind        { return KindRolloutRequested }
func (RolloutContinuation) ownKind() Kind     { return KindRolloutContinuation }

// UpgradeRequested asks for one cluster to be brought to a version, or to be patched within its own.
type UpgradeRequested struct {
	// RequestID names the request in every report about it.
	RequestID string `json:"requestId"`
	Cluster   string `json:"cluster"`
	// Region is the cluster's; empty: the function's own.
	Region string `json:"region,omitempty"`
	// To is the version, "1.36"; empty is the one that the cluster has.
	To string `json:"to,omitempty"`
	// Patch asks for add-ons and node images as new as they get, also those that the version does not need.
	Patch bool `json:"patch,omitempty"`
	// Now starts outside maintenance windows; blackouts and freezes hold.
	Now bool `json:"now,omitempty"`
	// DryRun asks for the readiness report and the path only.
	DryRun bool `json:"dryRun,omitempty"`
	// Reason is why, for reports: "Health event …", "ring canary".
	Reason string `json:"reason,omitempty"`
	// Rollout is the id of the rollout that it is a part of.
	Rollout string `json:"rollout,omitempty"`
}

func (p *UpgradeRequested) check(*Envelope) *fault {
	return required("requestId", p.RequestID, "cluster", p.Cluster)
}

// UpgradeCommand is what somebody wants of an upgrade that is going on, or of the fleet.
type UpgradeCommand string

// The commands.
const (
	UpgradeHalt     UpgradeCommand = "Halt"     // start no further step; what AWS works on goes on
	UpgradeResume   UpgradeCommand = "Resume"   // go on, and try again what failed
	UpgradeSkip     UpgradeCommand = "Skip"     // leave a step out; with a reason
	UpgradeAbort    UpgradeCommand = "Abort"    // end the run where it is
	UpgradeRollback UpgradeCommand = "Rollback" // back to the version before, nodes first, as long as EKS allows it
	UpgradeFreeze   UpgradeCommand = "Freeze"   // a cluster, a ring, or the fleet: start nothing until a time
	UpgradeUnfreeze UpgradeCommand = "Unfreeze" // lift a freeze by its name
)

var upgradeCommands = []UpgradeCommand{UpgradeHalt, UpgradeResume, UpgradeSkip, UpgradeAbort, UpgradeRollback, UpgradeFreeze, UpgradeUnfreeze}

// UpgradeControlRequested is a command. Halt, Resume and Abort may be about a rollout; Freeze and Unfreeze about a cluster, a
// ring, or the whole fleet.
type UpgradeControlRequested struct {
	RequestID string         `json:"requestId"`
	Command   UpgradeCommand `json:"command"`
	Cluster   string         `json:"cluster,omitempty"`
	// Region is the cluster's; empty: the function's own.
	Region  string `json:"region,omitempty"`
	Rollout string `json:"rollout,omitempty"`
	Ring    string `json:"ring,omitempty"`
	// Step is the id of the step to be skipped.
	Step string `json:"step,omitempty"`
	// Name is the freeze's; From and Until are its time: zero is from now, and until it is lifted.
	Name   string    `json:"name,omitempty"`
	From   time.Time `json:"from,omitzero"`
	Until  time.Time `json:"until,omitzero"`
	Reason string    `json:"reason,omitempty"`
	// By is who wants it, for reports.
	By string `json:"by,omitempty"`
}

func (p *UpgradeControlRequested) check(*Envelope) *fault {
	if err := required("requestId", p.RequestID, "command", string(p.Command)); err != nil {
		return err
	}
	if !slices.Contains(upgradeCommands, p.Command) {
		return &fault{field: "command", reason: fmt.Sprintf("is none of %v", upgradeCommands), value: string(p.Command)}
	}
	switch p.Command {
	case UpgradeFreeze:
		return required("name", p.Name, "reason", p.Reason)
	case UpgradeUnfreeze:
		return required("name", p.Name)
	case UpgradeSkip:
		return required("cluster", p.Cluster, "step", p.Step, "reason", p.Reason)
	case UpgradeRollback:
		return required("cluster", p.Cluster)
	}
	if p.Cluster == "" && p.Rollout == "" {
		return missing("cluster")
	}
	return nil
}

// UpgradeSweepRequested asks for all clusters to be looked at whose maintenance may be due. It is the input of a schedule,
// like ClusterSweepRequested.
type UpgradeSweepRequested struct{}

func (p *UpgradeSweepRequested) check(*Envelope) *fault { return nil }

// UpgradeContinuation is the upgrade function's note to itself to look at a cluster again.
type UpgradeContinuation struct {
	RunID   string `json:"runId"`
	Cluster string `json:"cluster"`
	Region  string `json:"region,omitempty"` // empty: the function's own
	// StartedAt is when the run began.
	StartedAt time.Time `json:"startedAt"`
	// Attempt counts the looks so far.
	Attempt int `json:"attempt"`
}

func (p *UpgradeContinuation) check(*Envelope) *fault {
	if err := required("runId", p.RunID, "cluster", p.Cluster); err != nil {
		return err
	}
	return checkRun(p.StartedAt, p.Attempt)
}

// RolloutRequested asks for the fleet, or for one ring of it, to be brought to a version.
type RolloutRequested struct {
	// RequestID names the request, and the rollout.
	RequestID string `json:"requestId"`
	// To is the version, "1.36"; empty patches every cluster within its own.
	To string `json:"to,omitempty"`
	// Ring is the only ring to go through; empty: all, in the policy's order.
	Ring string `json:"ring,omitempty"`
	// Now starts outside maintenance windows; blackouts and freezes hold.
	Now    bool   `json:"now,omitempty"`
	DryRun bool   `json:"dryRun,omitempty"`
	Reason string `json:"reason,omitempty"`
}

func (p *RolloutRequested) check(*Envelope) *fault { return required("requestId", p.RequestID) }

// RolloutContinuation is the upgrade function's note to itself to look at a rollout again.
type RolloutContinuation struct {
	Rollout   string    `json:"rollout"`
	StartedAt time.Time `json:"startedAt"`
	Attempt   int       `json:"attempt"`
}

func (p *RolloutContinuation) check(*Envelope) *fault {
	if err := required("rollout", p.Rollout); err != nil {
		return err
	}
	return checkRun(p.StartedAt, p.Attempt)
}
