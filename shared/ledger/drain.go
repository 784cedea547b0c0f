package ledger

import (
	"context"
	"encoding/json"
	"time"

	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

// Drain is what is remembered of one machine's drain between looks. Signal is the decision package's, kept as JSON so
// that the ledger needs no opinion on it.
//
// Attempt and Outcome are saved before what follows from them is sent: the continuation, or the result. The message with
// the event LookedBy answers for that: if it is delivered again, nothing is sure to have been sent, and it sends again.
// So at any moment either that message or what it has sent is in the queue, and no drain is forgotten.
type Drain struct {
	RunID          string          `json:"runId"`
	InstanceID     string          `json:"instanceId"`
	Cluster        string          `json:"cluster"`
	Region         string          `json:"region,omitempty"` // the cluster's; empty: the function's own
	Node           string          `json:"node,omitempty"`
	NodeUID        string          `json:"nodeUid,omitempty"`
	Signal         json.RawMessage `json:"signal"`
	StartedAt      time.Time       `json:"startedAt"`
	Attempt        int             `json:"attempt"` // looks that are over
	CordonedAt     time.Time       `json:"cordonedAt,omitzero"`
	Announced      bool            `json:"announced,omitempty"` // that it has begun was published
	ReplacedAt     time.Time       `json:"replacedAt,omitzero"` // replacement capacity was asked for
	LastEvictionAt time.Time       `json:"lastEvictionAt,omitzero"`
	EndedAt        time.Time       `json:"endedAt,omitzero"`       // the machine's end was asked for: of a removal
	Refusal        string          `json:"refusal,omitempty"`      // why the machine's end was refused
	Evicted        int             `json:"evicted,omitempty"`      // accepted evictions
	Forced         int             `json:"forced,omitempty"`       // pods deleted past their budget
	TargetsSince   time.Time       `json:"targetsSince,omitzero"`  // first seen behind load balancers
	TargetsOut     time.Time       `json:"targetsOut,omitzero"`    // and first seen out of them
	Deregistered   int             `json:"deregistered,omitempty"` // targets, all looks together
	Refused        int             `json:"refused,omitempty"`      // refusals by budgets, all looks together
	Calls          int64           `json:"calls,omitempty"`        // Kubernetes API requests so far
	Blocked        map[string]bool `json:"blocked,omitempty"`      // UIDs that were refused and have not gone since
	DetachedFrom   string          `json:"detachedFrom,omitempty"` // the Auto Scaling group that the machine was taken out of, to be replaced first, or is about to be
	HadVolumes     bool            `json:"hadVolumes,omitempty"`   // pods with volumes were to be drained
	Told           map[string]bool `json:"told,omitempty"`         // Kubernetes Events that were left, by name
	LookedBy       string          `json:"lookedBy,omitempty"`     // the event whose delivery made the last look
	Outcome        string          `json:"outcome,omitempty"`      // set when the run is over
	Result         json.RawMessage `json:"result,omitempty"`       // with Outcome: the Run that is to be recorded and published
	// Machine is what EC2 said of the instance at MachineAt, but for the tags that are not its cluster's.
	Machine   fleet.Instance `json:"machine,omitzero"`
	MachineAt time.Time      `json:"machineAt,omitzero"`
	Holder    string         `json:"holder,omitempty"`
	HeldUntil time.Time      `json:"heldUntil,omitzero"`

	version int64 // the document's, for the next conditional write
}

// Over tells whether the run has ended.
func (d Drain) Over() bool { return d.Outcome != "" }

func drainKey(instanceID string) Key { return Key{"drain#" + instanceID, "drain"} }

// Drain reads the drain of an instance; the zero Drain if there was none.
func (l *Ledger) Drain(ctx context.Context, instanceID string) (Drain, error) {
	doc, err := l.Store.Get(ctx, drainKey(instanceID))
	if err != nil || doc.Version == 0 {
		return Drain{}, err
	}
	var d Drain
	if err := json.Unmarshal(doc.Data, &d); err != nil {
		return Drain{}, fault.New(fault.Invalid, "the ledger's drain of %s is damaged: %v", instanceID, err)
	}
	d.version = doc.Version
	return d, nil
}

// SaveDrain writes a drain that was read from the ledger, or a new one. If somebody else wrote it meanwhile, the error's
// class is fault.Conflict. The returned Drain can be saved again.
func (l *Ledger) SaveDrain(ctx context.Context, d Drain) (Drain, error) {
	data, err := json.Marshal(d)
	if err != nil {
		return d, err
	}
	err = l.Store.Put(ctx, Document{Key: drainKey(d.InstanceID), Version: d.version, Expires: l.Now().Add(Retention), Data: data})
	if err != nil {
		return d, err
	}
	d.version++
	return d, nil
}

// Held tells whether another holder is at work on the drain now.
func (d Drain) Held(by string, now time.Time) bool {
	return d.Holder != "" && d.Holder != by && now.Before(d.HeldUntil)
}

// At returns d, to be saved over the version that known has, with known's signal: what another delivery has left there.
func (d Drain) At(known Drain) Drain {
	d.version, d.Signal = known.version, known.Signal
	return d
}
