package clusterview

import (
	"io"
	"time"

	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/ledger"
	"github.com/ekspedite/ekspedite/shared/spec"
)

// Row is a cluster in a list, by what the ledger knows.
type Row struct {
	Region  string `json:"region"`
	Name    string `json:"name"`
	Version string `json:"version,omitempty"` // that is wanted; "" is EKS's default
	Status  string `json:"status"`            // Active, Failed, Deleted: the last outcome; Requested, Applying, Deleting
	Run     string `json:"run,omitempty"`     // the last one
	Outcome string `json:"outcome,omitempty"` // of the last run; "" while it goes on
	Reason  string `json:"reason,omitempty"`
	// At is when something was last known of it.
	At time.Time `json:"at,omitzero"`
}

// NewRow shows a cluster of the ledger.
func NewRow(id fleet.ClusterID, d ledger.Desired, r ledger.ClusterRun) Row {
	row := Row{Region: id.Region, Name: id.Name, Run: r.RunID, Outcome: r.Outcome, Reason: r.Reason, At: r.StartedAt}
	if specs, said := spec.Parse([]byte(d.Text)); said.Err() == nil && len(specs) == 1 {
		row.Version = specs[0].Cluster.Version
	}
	if n := len(r.Lines); n > 0 {
		row.At = r.Lines[n-1].At
	}
	switch {
	case d.RunID != "" && r.Begun != d.RunID: // the function has not begun
		row.Status, row.Run, row.Outcome, row.Reason, row.At = "Requested", d.RunID, "", "asked for, not begun", d.RequestedAt
	case r.Over():
		row.Status = r.Outcome
	case d.Delete:
		row.Status = "Deleting"
	default:
		row.Status = "Applying"
	}
	return row
}

// List writes clusters for people.
func List(w io.Writer, now time.Time, rows []Row) {
	out := [][]string{{"REGION", "NAME", "VERSION", "STATUS", "LAST NEWS", "RUN", "WHY"}}
	for _, r := range rows {
		version := r.Version
		if version == "" {
			version = "default"
		}
		out = append(out, []string{r.Region, r.Name, version, r.Status, ago(now, r.At), r.Run, one(r.Reason, 60)})
	}
	table(w, out)
}
