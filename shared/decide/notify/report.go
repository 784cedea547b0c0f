// Package notify decides who is told what of a run: which targets want to know, which reports become one message, and what
// each message says, in the form of each kind of target.
package notify

import (
	"slices"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

// Report is one moment of a run. Its JSON is what webhooks get.
type Report struct {
	// Moment is Started, Finished or Test.
	Moment     fleet.Moment `json:"moment"`
	RunID      string       `json:"runId"`
	Function   string       `json:"function"`
	Cluster    string       `json:"cluster,omitempty"`
	Region     string       `json:"region,omitempty"`
	Node       string       `json:"node,omitempty"`
	InstanceID string       `json:"instanceId,omitempty"`
	NodeGroup  string       `json:"nodeGroup,omitempty"`
	// Cause is the kind of the event that began the run, Outcome the word for its end; "" when it has begun.
	Cause   string `json:"cause,omitempty"`
	Outcome string `json:"outcome,omitempty"`
	Reason  string `json:"reason,omitempty"`
	// Deadline is when the machine is gone; zero if nothing hurries, or if the run is over.
	Deadline   time.Time        `json:"deadline,omitzero"`
	EventTime  time.Time        `json:"eventTime,omitzero"`
	StartedAt  time.Time        `json:"startedAt"`
	FinishedAt time.Time        `json:"finishedAt,omitzero"`
	Counts     map[string]int64 `json:"counts,omitempty"`
	// Left is what could not be done, such as "default/web-1 by PodDisruptionBudget web".
	Left []string `json:"left,omitempty"`
	// Failures are sentences: what went wrong, and what to do.
	Failures []string `json:"failures,omitempty"`
}

// Outcomes that this package knows; see package events.
const (
	outcomeNodeRemoved = "NodeRemoved"
	causeRemoval       = "NodeRemovalRequested"
)

var (
	// troubles are the outcomes that somebody has to look at.
	troubles = []string{"Failed", "PartiallyDrained", "NotReady", "Aborted", "RolledBack"}
	// dull are those of which nobody is told who has not asked for them by name. A node that was given up by choice is scaling's or
	// an upgrade's business, of which there are many a day.
	dull = []string{"NothingToDo", "Planned", "Superseded", outcomeNodeRemoved, "NodeKept"}
)

// Trouble tells whether somebody has to look at what came of the run.
func (r Report) Trouble() bool { return slices.Contains(troubles, r.Outcome) }

// Wants tells whether a target is to be told of a report.
func Wants(t fleet.NotificationTarget, r Report) bool {
	on := func(m fleet.Moment) bool { return slices.Contains(t.On, m) }
	switch {
	case r.Moment == fleet.MomentTest:
		return true
	case !slices.Contains(t.Functions, r.Function):
		return false
	case r.Moment == fleet.MomentStarted:
		return on(fleet.MomentStarted) && (r.Cause != causeRemoval || slices.Contains(t.Outcomes, outcomeNodeRemoved))
	case !on(fleet.MomentFinished) && (!on(fleet.MomentFailed) || !r.Trouble()):
		return false
	case len(t.Outcomes) > 0:
		return slices.Contains(t.Outcomes, r.Outcome)
	}
	return !slices.Contains(dull, r.Outcome)
}

// few is how many messages a target gets of one batch at most.
const few = 3

// Gather makes messages of reports that came together for one target: each its own while they are few, else one for each cluster,
// and if there are more than a few of those, one for all. It keeps to the order of time.
func Gather(reports []Report) (messages [][]Report) {
	reports = slices.Clone(reports)
	slices.SortStableFunc(reports, func(a, b Report) int { return a.at().Compare(b.at()) })
	at := map[string]int{}
	for _, r := range reports {
		if r.Moment == fleet.MomentTest { // whoever tries wants to see it
			messages = append(messages, []Report{r})
			continue
		}
		key := r.Region + "/" + r.Cluster
		if len(reports) <= few {
			key = string(r.Moment) + "/" + r.RunID
		}
		i, known := at[key]
		if !known {
			i, at[key] = len(messages), len(messages)
			messages = append(messages, nil)
		}
		messages[i] = append(messages[i], r)
	}
	if len(at) <= few {
		return messages
	}
	var all [][]Report
	var rest []Report
	for _, m := range messages {
		if m[0].Moment == fleet.MomentTest {
			all = append(all, m)
		} else {
			rest = append(rest, m...)
		}
	}
	return append(all, rest)
}

// at is when it happened.
func (r Report) at() time.Time {
	if r.Moment == fleet.MomentFinished {
		return r.FinishedAt
	}
	return r.StartedAt
}

// stale is how old the news of a start may be: after that the run is over, or has halted, and its end is what counts.
const stale = 15 * time.Minute

// Stale tells whether a report comes too late to be of use.
func Stale(now time.Time, r Report) bool {
	return r.Moment == fleet.MomentStarted && now.Sub(r.StartedAt) > stale
}

// subject is what a run is about, in a few words.
func (r Report) subject() string {
	var parts []string
	switch {
	case r.Node != "":
		parts = append(parts, "node "+r.Node)
	case r.InstanceID != "":
		parts = append(parts, "instance "+r.InstanceID)
	}
	switch {
	case r.Cluster != "" && len(parts) > 0:
		parts = append(parts, "of "+r.Cluster)
	case r.Cluster != "":
		parts = append(parts, "cluster "+r.Cluster)
	case len(parts) == 0:
		parts = append(parts, "the fleet")
	}
	return strings.Join(parts, " ")
}
