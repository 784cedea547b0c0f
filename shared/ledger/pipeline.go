package ledger

import (
	"context"
	"encoding/json"
	"time"

	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

// PipelineAction is what an action of somebody's CodePipeline has asked for. CodePipeline keeps its id between two jobs, and
// nothing more. Nothing of a job's credentials is in it.
type PipelineAction struct {
	ID     string `json:"id"`     // of the action's first job, and of the request that was made for it
	Action string `json:"action"` // "apply", "check", "upgrade", "soak", …
	// Clusters are those that it is about, as "region/name"; none where a rollout finds them.
	Clusters []string    `json:"clusters,omitempty"`
	Ring     string      `json:"ring,omitempty"`
	To       fleet.Minor `json:"to,omitempty"`
	// Rollout is the one that is followed, and Runs are the runs of the clusters: of this request, or of one that was under way
	// to the same version when the action began.
	Rollout string            `json:"rollout,omitempty"`
	Runs    map[string]string `json:"runs,omitempty"`
	// Spec is what is asked for, until it has been; Asked: the request is on the bus.
	Spec  string `json:"spec,omitempty"`
	Asked bool   `json:"asked,omitempty"`
	// Ended are the runs that are over, so that they are read once.
	Ended     map[string]PipelineRun `json:"ended,omitempty"`
	DryRun    bool                   `json:"dryRun,omitempty"`
	Soak      time.Duration          `json:"soak,omitempty"` // instead of the ring's
	StartedAt time.Time              `json:"startedAt"`
	// Since is when the first of the runs began that were under way already; zero if none was.
	Since time.Time `json:"since,omitzero"`

	version int64
}

// PipelineRun is what is remembered of a run that is over.
type PipelineRun struct {
	Outcome  string `json:"outcome"`
	Reason   string `json:"reason,omitempty"`
	Failures int    `json:"failures,omitempty"`
	Text     string `json:"text,omitempty"` // the failures, in words
}

func pipelineKey(id string) Key { return Key{"pipeline#" + id, "action"} }

// PipelineAction reads one; the zero PipelineAction if there is none of that id.
func (l *Ledger) PipelineAction(ctx context.Context, id string) (a PipelineAction, err error) {
	a.version, err = l.read(ctx, pipelineKey(id), &a, "action "+id+" of a pipeline")
	return a, err
}

// SavePipelineAction writes what was read from the ledger, or follows what was; see SaveUpgrade.
func (l *Ledger) SavePipelineAction(ctx context.Context, a PipelineAction) (PipelineAction, error) {
	err := l.write(ctx, pipelineKey(a.ID), a.version, a, a.StartedAt.Add(Retention))
	if err == nil {
		a.version++
	}
	return a, err
}

// HandOff is an approval action of a pipeline that ekspedite answers itself, when what a Lambda action before it has begun is
// over. Several actions may hand off to one approval: it is answered when all of them are over.
type HandOff struct {
	ID string `json:"id"` // the PipelineAction's
	PipelineApproval
	// For is what the action does, such as "soak canary": when a stage is run again, the later of two with the same counts.
	For string    `json:"for"`
	At  time.Time `json:"at"`
	// Closed: it was approved, by ekspedite or by somebody else. One that was rejected may be asked for again.
	Closed bool `json:"closed,omitempty"`

	version int64
}

// PipelineApproval names an approval action in one execution of a pipeline.
type PipelineApproval struct {
	Pipeline  string `json:"pipeline"`
	Stage     string `json:"stage"`
	Action    string `json:"action"`
	Execution string `json:"execution"`
}

// handOffs is the partition of all of them, so that one query finds what is open.
const handOffs = "handoffs"

// HandOffs lists those that are not closed.
func (l *Ledger) HandOffs(ctx context.Context) ([]HandOff, error) {
	docs, err := l.Store.Query(ctx, handOffs, "")
	if err != nil {
		return nil, err
	}
	var out []HandOff
	for _, d := range docs {
		h := HandOff{version: d.Version}
		if err := json.Unmarshal(d.Data, &h); err != nil {
			return nil, fault.New(fault.Invalid, "the ledger's hand-off %s is damaged: %v", d.Key.Sort, err)
		}
		if !h.Closed && l.Now().Before(h.expires()) {
			out = append(out, h)
		}
	}
	return out, nil
}

// expires: an approval waits for 60 days at most, and its stage may be retried.
func (h HandOff) expires() time.Time {
	if h.Closed {
		return h.At
	}
	return h.At.Add(Retention)
}

// SaveHandOff writes what was read from the ledger, or follows what was; see SaveUpgrade.
func (l *Ledger) SaveHandOff(ctx context.Context, h HandOff) (HandOff, error) {
	expires := h.expires()
	if h.Closed {
		expires = l.Now()
	}
	err := l.write(ctx, Key{handOffs, h.ID}, h.version, h, expires)
	if err == nil {
		h.version++
	}
	return h, err
}
