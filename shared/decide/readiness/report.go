// Package readiness is the gate before an upgrade: a catalogue of checks, each a small pure function over what was observed.
//
// The ids are those of a list of 100 checks. Left out is what nobody can see from here: API04 (manifests in Git), OPS02 (backups),
// OPS06 (who approved it) and RB03 (what only the newer minor will have written). CP15 and CP17 warn and never block: the upgrade
// is what they call for. CP12 does not look into the rules of node security groups, CP13 not into the key's grants, CP17 not into
// blackouts that come again, WL17 into no registry; ADD09 and NODE19 know the versions of three controllers.
//
// A check that needs a part that could not be read is Unknown, and one that blocks then blocks. Thresholds are the policy's;
// those that are not are constants that say whose they are.
package readiness

import (
	"time"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

// Severity is what a finding means for the upgrade.
type Severity string

// The severities.
const (
	Block Severity = "Block" // the upgrade would break something, or fail on the way
	Warn  Severity = "Warn"
	Info  Severity = "Info"
)

// Status is what came of a check.
type Status string

// The statuses. What could not be read is Unknown, which of a check that blocks is no pass.
const (
	Pass    Status = "Pass"
	Fail    Status = "Fail"
	Unknown Status = "Unknown"
	Waived  Status = "Waived" // it failed, and the policy lets it pass for a time
)

// Finding is what came of one check.
type Finding struct {
	ID       string   `json:"id"` // "WL01"
	Title    string   `json:"title"`
	Severity Severity `json:"severity"`
	Status   Status   `json:"status"`
	// Read is what the check looked at: "PodDisruptionBudgets, pods".
	Read string `json:"read"`
	// Text is the verdict in a sentence; Evidence the objects that it is about, sorted: "default/web".
	Text     string   `json:"text"`
	Evidence []string `json:"evidence,omitempty"`
	// Remedy is what to do, as commands to copy where there are such.
	Remedy string `json:"remedy,omitempty"`
	// Waiver says who let it pass, why and until when.
	Waiver string `json:"waiver,omitempty"`
}

// Blocks tells whether the finding stops the upgrade.
func (f Finding) Blocks() bool {
	return f.Severity == Block && (f.Status == Fail || f.Status == Unknown)
}

// Report is what came of all checks on one cluster.
type Report struct {
	Cluster  fleet.ClusterID `json:"cluster"`
	From     fleet.Minor     `json:"from"`
	To       fleet.Minor     `json:"to"`
	At       time.Time       `json:"at"`
	Findings []Finding       `json:"findings"`
	Support  Support         `json:"support"`
	// InsightsAt is when EKS computed the oldest of its insights on upgrades: it does so once a day, and when it is asked.
	// Refreshing: it is at it.
	InsightsAt time.Time `json:"insightsAt,omitzero"`
	Refreshing bool      `json:"refreshing,omitempty"`
	// InsightErrors are those behind CP06.
	InsightErrors []InsightError `json:"insightErrors,omitempty"`
}

// InsightError is an insight of EKS's that holds the cluster not ready.
type InsightError struct {
	Name      string   `json:"name"`
	Resources []string `json:"resources,omitempty"` // ARNs, or Kubernetes URIs
}

// Support is the dates and the money of the version of now.
type Support struct {
	Status           fleet.SupportStatus `json:"status,omitempty"`
	StandardEnds     time.Time           `json:"standardEnds,omitzero"`
	ExtendedEnds     time.Time           `json:"extendedEnds,omitzero"`
	ExtendedPerMonth float64             `json:"extendedPerMonth"` // USD, once standard support has ended
	PaidSoFar        float64             `json:"paidSoFar"`        // USD for extended support since it began, or since the cluster was made
}

// Blockers are the findings that stop the upgrade.
func (r Report) Blockers() (out []Finding) {
	for _, f := range r.Findings {
		if f.Blocks() {
			out = append(out, f)
		}
	}
	return out
}

// Ready tells whether nothing stops the upgrade.
func (r Report) Ready() bool { return len(r.Blockers()) == 0 }
