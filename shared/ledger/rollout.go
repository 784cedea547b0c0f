package ledger

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

// What is the fleet's and no cluster's is kept in one partition: the policy, freezes and rollouts.
const fleetPartition = "fleet"

// Rollout is an upgrade of the fleet on its way through the rings. Memory is decide/rollout's.
type Rollout struct {
	ID        string      `json:"id"` // the request's
	To        fleet.Minor `json:"to"`
	Ring      string      `json:"ring,omitempty"` // the only one; "" is all
	Now       bool        `json:"now,omitempty"`
	Reason    string      `json:"reason,omitempty"`
	EventID   string      `json:"eventId,omitempty"`
	StartedAt time.Time   `json:"startedAt"`
	EndedAt   time.Time   `json:"endedAt,omitzero"`
	Outcome   string      `json:"outcome,omitempty"`
	// Phase is what it does or waits for, in a sentence; Halted why it starts nothing more.
	Phase  string          `json:"phase,omitempty"`
	Halted string          `json:"halted,omitempty"`
	Memory json.RawMessage `json:"memory,omitempty"`
	Looks  int             `json:"looks"`
	LookAt time.Time       `json:"lookAt,omitzero"`
	// Commands are the ids of the commands that it has heard, so that one that comes twice is one.
	Commands []string `json:"commands,omitempty"`

	version int64
}

// Running tells whether the rollout is not over.
func (r Rollout) Running() bool { return r.ID != "" && r.Outcome == "" }

// Rollout reads one; the zero Rollout if there is none of that id.
func (l *Ledger) Rollout(ctx context.Context, id string) (r Rollout, err error) {
	r.version, err = l.read(ctx, Key{fleetPartition, "rollout#" + id}, &r, "rollout "+id)
	return r, err
}

// Rollouts lists those that are remembered, oldest first.
func (l *Ledger) Rollouts(ctx context.Context) ([]Rollout, error) {
	docs, err := l.Store.Query(ctx, fleetPartition, "rollout#")
	if err != nil {
		return nil, err
	}
	out := make([]Rollout, len(docs))
	for i, d := range docs {
		if err := json.Unmarshal(d.Data, &out[i]); err != nil {
			return nil, fault.New(fault.Invalid, "the ledger's %s is damaged: %v", d.Key.Sort, err)
		}
		out[i].version = d.Version
	}
	slices.SortStableFunc(out, func(a, b Rollout) int { return a.StartedAt.Compare(b.StartedAt) })
	return out, nil
}

// SaveRollout writes what was read from the ledger, or follows what was; see SaveUpgrade.
func (l *Ledger) SaveRollout(ctx context.Context, r Rollout) (Rollout, error) {
	var expires time.Time
	if !r.Running() {
		expires = l.Now().Add(Retention)
	}
	err := l.write(ctx, Key{fleetPartition, "rollout#" + r.ID}, r.version, r, expires)
	if err == nil {
		r.version++
	}
	return r, err
}

// FleetPolicy reads what holds for all clusters; the default if nobody has said otherwise.
func (l *Ledger) FleetPolicy(ctx context.Context) (fleet.FleetPolicy, error) {
	p := fleet.FleetPolicy{}
	version, err := l.read(ctx, Key{fleetPartition, "policy"}, &p, "fleet policy")
	if err == nil && version == 0 {
		p = fleet.DefaultFleetPolicy()
	}
	return p, err
}

// Freezes lists those that have not ended, in the order of their names.
func (l *Ledger) Freezes(ctx context.Context) ([]fleet.Freeze, error) {
	docs, err := l.Store.Query(ctx, fleetPartition, "freeze#")
	if err != nil {
		return nil, err
	}
	var out []fleet.Freeze
	for _, d := range docs {
		var f fleet.Freeze
		if err := json.Unmarshal(d.Data, &f); err != nil {
			return nil, fault.New(fault.Invalid, "the ledger's %s is damaged: %v", d.Key.Sort, err)
		}
		if f.Until.IsZero() || f.Until.After(l.Now()) {
			out = append(out, f)
		}
	}
	return out, nil
}

// Freeze records a freeze; one of the same name is replaced. One whose end has come is lifted.
func (l *Ledger) Freeze(ctx context.Context, f fleet.Freeze) error {
	var expires time.Time
	if !f.Until.IsZero() {
		expires = f.Until.Add(Retention)
	}
	return l.replace(ctx, Key{fleetPartition, "freeze#" + f.Name}, f, expires)
}

// replace writes a document whatever is there.
func (l *Ledger) replace(ctx context.Context, key Key, value any, expires time.Time) error {
	for range conflictTries {
		doc, err := l.Store.Get(ctx, key)
		if err != nil {
			return err
		}
		if err = l.write(ctx, key, doc.Version, value, expires); !fault.Is(err, fault.Conflict) {
			return err
		}
	}
	return fault.New(fault.Conflict, "%s is being changed by many at once", key.Sort)
}
