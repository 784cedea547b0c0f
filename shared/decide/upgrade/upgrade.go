// Package upgrade decides what the run of an upgrade does next: which steps of the path may start now, what becomes of those
// that AWS works on, and whether the cluster is still as well as it was. It is asked at every look, and follows from what is
// there; what it remembers (Memory) says what was asked for, what people have said, and how the cluster was at the start.
package upgrade

import (
	"time"

	"github.com/ekspedite/ekspedite/shared/decide/maintenance"
	"github.com/ekspedite/ekspedite/shared/decide/nodemove"
	"github.com/ekspedite/ekspedite/shared/decide/readiness"
	"github.com/ekspedite/ekspedite/shared/decide/upgradepath"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/plan"
)

// Outcomes of a run. They are values of events.RunFinished.Outcome, which decisions may not import.
const (
	OutcomeUpgraded    = "Upgraded"
	OutcomeRolledBack  = "RolledBack"
	OutcomeAborted     = "Aborted"
	OutcomeNotReady    = "NotReady"
	OutcomeNothingToDo = "NothingToDo"
	OutcomeFailed      = "Failed"
)

// Commands, as package events spells them.
const (
	CommandHalt     = "Halt"
	CommandResume   = "Resume"
	CommandSkip     = "Skip"
	CommandAbort    = "Abort"
	CommandRollback = "Rollback"
)

// Request is what is wanted of the run.
type Request struct {
	RunID string
	// To is the version to go to, From the one that the cluster had when the run began.
	To, From fleet.Minor
	Patch    bool
	// Now: windows are not waited for. Blackouts and freezes hold.
	Now       bool
	StartedAt time.Time
}

// Command is what somebody has said to the run.
type Command struct {
	ID      string    `json:"id"`
	Command string    `json:"command"`
	Step    string    `json:"step,omitempty"`
	Reason  string    `json:"reason,omitempty"`
	By      string    `json:"by,omitempty"`
	At      time.Time `json:"at"`
}

// Input is all that a decision is made of.
type Input struct {
	EKS upgradepath.Observation
	// Updates are what became of the updates in Memory, by update id; one that EKS does not know any more has no entry.
	Updates map[string]fleet.Update
	// Moves are the groups, nodes and drains of the moves under way that are not EKS's own, by step id.
	Moves map[string]nodemove.Input
	// Ready is the readiness report of this look; nil if it was not read. A decision that needs one says so in Needs.
	Ready *readiness.Report
	// Health is nil if it was not read in this look.
	Health   *Health
	Calendar maintenance.Calendar
	Request  Request
	Commands []Command
	Memory   Memory
}

// Memory is what is remembered from look to look.
type Memory struct {
	Baseline *Baseline `json:"baseline,omitempty"`
	// Doing is what was asked for and is not known to have ended; Done what has, in its order.
	Doing []Doing `json:"doing,omitempty"`
	Done  []Done  `json:"done,omitempty"`
	// Troubles are the failures of steps, by the step's id.
	Troubles map[string]Trouble `json:"troubles,omitempty"`
	Skipped  []Skip             `json:"skipped,omitempty"`
	// Heard is how many commands have been followed.
	Heard int `json:"heard,omitempty"`
	// Halt is why nothing more is started.
	Halt *Halt `json:"halt,omitempty"`
	// Abort is why the run ends where it is.
	Abort string `json:"abort,omitempty"`
	// Back is set once the run goes back.
	Back *Back `json:"back,omitempty"`
	// Refused is why a rollback that was wanted is not made.
	Refused string `json:"refused,omitempty"`
	// Gated is when the readiness gate first let the run pass.
	Gated time.Time `json:"gated,omitzero"`
	// Ill is what has been worse than at the start, by what it is.
	Ill map[string]Ill `json:"ill,omitempty"`
	// Waits is since when a thing has been waited for, by what: AWS's own updates, mostly.
	Waits map[string]time.Time `json:"waits,omitempty"`
	// Tries is how often a step was begun, by its id: each try has a token of its own.
	Tries map[string]int `json:"tries,omitempty"`
	// Hops is when the control plane came to a version in this run, by version.
	Hops map[fleet.Minor]time.Time `json:"hops,omitempty"`
}

// Doing is a step that was asked for.
type Doing struct {
	Step upgradepath.Step `json:"step"`
	// API is the call that was made last for it; a step may take two.
	API string `json:"api"`
	// Update is EKS's id of what it works on; "" as long as the answer to the call is not known. Then the call is made again
	// with the same token.
	Update string    `json:"update,omitempty"`
	Try    int       `json:"try"` // from 1
	Asked  time.Time `json:"asked"`
	// Moves: it is a move of nodes that is not EKS's own, and Move its memory. Undo takes it back; Retry tries again what it was
	// given up over; Held is why it does not go on.
	Moves bool `json:"moves,omitempty"`
	// Base is the group's name in the cluster's file, by which a move finds all that stand for it.
	Base  string          `json:"base,omitempty"`
	Move  nodemove.Memory `json:"move,omitzero"`
	Undo  bool            `json:"undo,omitempty"`
	Retry bool            `json:"retry,omitempty"`
	Held  string          `json:"held,omitempty"`
}

// Done is a step that has ended well.
type Done struct {
	Step  upgradepath.Step `json:"step"`
	Begun time.Time        `json:"begun"`
	Ended time.Time        `json:"ended"`
}

// Trouble is a step's failures.
type Trouble struct {
	plan.Failure
	Tries int       `json:"tries"`
	Again time.Time `json:"again,omitzero"` // when it is tried again
}

// Skip is a step that somebody has left out. A newer release of the same thing is the same step.
type Skip struct {
	ID      string               `json:"id"`
	Kind    upgradepath.StepKind `json:"kind,omitempty"`
	Subject string               `json:"subject,omitempty"`
	Minor   fleet.Minor          `json:"minor,omitempty"`
	Reason  string               `json:"reason"`
}

// Ill is something that is worse than at the start: since when, and how many looks have seen it without a break.
type Ill struct {
	Since time.Time `json:"since"`
	Looks int       `json:"looks"`
}

// Halt is why and since when nothing more is started.
type Halt struct {
	Why   string    `json:"why"`
	Since time.Time `json:"since"`
	// Failures are what halted it; none if somebody did.
	Failures []plan.Failure `json:"failures,omitempty"`
}

// Back is a rollback of the control plane by one minor.
type Back struct {
	From fleet.Minor `json:"from"`
	To   fleet.Minor `json:"to"`
	Why  string      `json:"why"`
	At   time.Time   `json:"at"`
}

// Needs is what a decision wants to be read before it goes on.
type Needs struct {
	// Readiness is the version whose readiness is in question; 0 if it is not.
	Readiness fleet.Minor
	// Refresh: EKS is to compute its insights anew, they are older than what they are asked about.
	Refresh bool
}

// Line is something to be told about the run.
type Line struct {
	Resource string // "control-plane", "nodegroup/web", "addon/coredns"; "" is the run
	Step     string // one word: Started, Done, Failed, Waiting, Halted, Resumed …
	Detail   string
}

// Decision is what to do. Plan.Steps are calls of AWS's API; Plan.LookAgain says when to look again, and 0 with no outcome
// that only a command can change anything.
type Decision struct {
	plan.Plan
	Memory Memory
	// Phase is what the run does or waits for, in a sentence; Halted why it starts nothing more.
	Phase  string
	Halted string
	// Working: Phase says no more than what AWS works on, which was told when it began.
	Working bool
	Needs   Needs
	Lines   []Line
	// Path is the rest of the way.
	Path upgradepath.Path
}

const (
	// headroom makes of an expected time one that is rarely overrun: users saw a control plane take 10 to 47 minutes
	// (eksctl#7976, containers-roadmap#1227), most of them less than 15.
	headroom = 1.5
	// patience is how long AWS's own updates, and ours, are waited for.
	patience = 24 * time.Hour
	// window is how long EKS allows a rollback after an upgrade.
	window = 7 * 24 * time.Hour
	// incomplete is how long is waited for what could not be read of a cluster.
	incomplete = 15 * time.Minute
	// unseen is how long a finished update may not show in what EKS describes.
	unseen = 5 * time.Minute
)

// Looks: how soon to look again.
const (
	soonest  = 5 * time.Second  // at what AWS works on: a fifth of how long it has, between the two
	seldom   = time.Minute      // also while the health is watched
	heedful  = 15 * time.Minute // while a run that has changed something waits for a window, and at freezes that may be lifted
	busyLook = 30 * time.Second // at what somebody else is at work on; plus jitter
	heldLook = 5 * time.Minute  // at what people have to mend
)

// Ref names what a step's update is about, as updates are read.
func (x Doing) Ref() fleet.Ref {
	switch x.Step.Kind {
	case upgradepath.StepNodeGroup:
		return fleet.Ref{ID: resource(x.Step), Kind: "nodegroup", Name: x.Step.Subject}
	case upgradepath.StepAddon:
		return fleet.Ref{ID: resource(x.Step), Kind: "addon", Name: x.Step.Subject}
	default:
		return fleet.Ref{ID: resource(x.Step), Kind: "cluster"}
	}
}

// MoveStep is the step as a move of nodes knows it: the group that it begins at may be gone before the move is over.
func (x Doing) MoveStep() upgradepath.Step {
	s := x.Step
	if x.Base != "" {
		s.Subject = x.Base
	}
	return s
}
