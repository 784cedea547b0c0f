package ledger

import (
	"context"
	"encoding/json"
	"time"

	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

// Upgrade is one run of the upgrade function on a cluster: what was asked for, and what is remembered between two looks. The
// last one that has ended stays until the next begins.
type Upgrade struct {
	RunID     string `json:"runId"`
	RequestID string `json:"requestId"`
	EventID   string `json:"eventId,omitempty"`
	// To, Patch, Now, Reason and Rollout are the request's.
	To      fleet.Minor `json:"to"`
	Patch   bool        `json:"patch,omitempty"`
	Now     bool        `json:"now,omitempty"`
	Reason  string      `json:"reason,omitempty"`
	Rollout string      `json:"rollout,omitempty"`

	From      fleet.Minor `json:"from"` // the version when it began
	StartedAt time.Time   `json:"startedAt"`
	// EndedAt and Outcome are set when it is over: one of the Outcome constants in package events.
	EndedAt time.Time `json:"endedAt,omitzero"`
	Outcome string    `json:"outcome,omitempty"`
	// Phase is what it does or waits for, in a sentence.
	Phase string `json:"phase,omitempty"`
	// Halted is why it starts nothing more; "" while it goes on.
	Halted string `json:"halted,omitempty"`
	// Commands are what people have asked of it, oldest first.
	Commands []UpgradeCommand `json:"commands,omitempty"`
	// Memory is decide/upgrade's: baseline, updates in progress, what was skipped.
	Memory json.RawMessage `json:"memory,omitempty"`
	Lines  []Line          `json:"lines,omitempty"`
	Looks  int             `json:"looks"`
	LookAt time.Time       `json:"lookAt,omitzero"` // when the next look is due
	// Left: the next look is left to the sweep, because it is further away than a message can wait.
	Left bool `json:"left,omitempty"`
	// Writes counts the calls that changed something.
	Writes    int       `json:"writes,omitempty"`
	EventTime time.Time `json:"eventTime,omitzero"`
	// Fence is the token of the lease under which a look wrote it last. Commands come in without a lease, and leave it.
	Fence int64 `json:"fence,omitempty"`
	// Past are the ids of runs before this one, newest last: a request that is delivered again begins nothing.
	Past []string `json:"past,omitempty"`
	// CheckedAt is when somebody last looked whether maintenance is due. It stays from run to run.
	CheckedAt time.Time `json:"checkedAt,omitzero"`

	version int64
}

// UpgradeCommand is a command to a run that was accepted.
type UpgradeCommand struct {
	RequestID string    `json:"requestId"`
	Command   string    `json:"command"` // events.UpgradeHalt, …
	Step      string    `json:"step,omitempty"`
	Reason    string    `json:"reason,omitempty"`
	By        string    `json:"by,omitempty"`
	At        time.Time `json:"at"`
}

// Running tells whether there is a run that is not over.
func (u Upgrade) Running() bool { return u.RunID != "" && u.Outcome == "" }

func upgradeKey(cluster fleet.ClusterID) Key { return Key{"cluster#" + cluster.String(), "upgrade"} }

// Upgrade reads a cluster's run; the zero Upgrade if there never was one.
func (l *Ledger) Upgrade(ctx context.Context, cluster fleet.ClusterID) (u Upgrade, err error) {
	u.version, err = l.read(ctx, upgradeKey(cluster), &u, "upgrade of cluster "+cluster.String())
	return u, err
}

// SaveUpgrade writes what was read from the ledger, or follows what was. If somebody else wrote it meanwhile, the error's
// class is fault.Conflict. The returned Upgrade can be saved again.
func (l *Ledger) SaveUpgrade(ctx context.Context, cluster fleet.ClusterID, u Upgrade) (Upgrade, error) {
	err := l.write(ctx, upgradeKey(cluster), u.version, u, time.Time{})
	if err == nil {
		u.version++
	}
	return u, err
}

// read reads a document into a value, and gives its version: 0 if it does not exist.
func (l *Ledger) read(ctx context.Context, key Key, into any, what string) (int64, error) {
	doc, err := l.Store.Get(ctx, key)
	if err != nil || doc.Version == 0 {
		return 0, err
	}
	if err := json.Unmarshal(doc.Data, into); err != nil {
		return 0, fault.New(fault.Invalid, "the ledger's %s is damaged: %v", what, err)
	}
	return doc.Version, nil
}

// write writes a value as a document that has that version; expires zero is never.
func (l *Ledger) write(ctx context.Context, key Key, version int64, value any, expires time.Time) error {
	data, err := json.Marshal(value)
	if err != nil {
		return err
	}
	return l.Store.Put(ctx, Document{Key: key, Version: version, Expires: expires, Data: data})
}
