package ledger

import (
	"context"
	"encoding/json"
	"time"

	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

// Scaling is what is remembered of the looks at a cluster's nodes. Memory is the decision package's, kept as JSON so that the
// ledger needs no opinion on it.
type Scaling struct {
	Memory json.RawMessage `json:"memory,omitempty"`
	// Looks counts the looks; LookedAt is when the last one began to read, and LookAt when the next one is due.
	Looks    int       `json:"looks"`
	LookedAt time.Time `json:"lookedAt,omitzero"`
	LookAt   time.Time `json:"lookAt,omitzero"`
	// Acting is true from before the first action of a look to after its last one: when a look begins so, the one before it
	// died, and nobody knows what it did.
	Acting bool   `json:"acting,omitempty"`
	RunID  string `json:"runId,omitempty"` // of the last look
	// Reported is a hash of what was told last, so that the same is not told at every look.
	Reported string `json:"reported,omitempty"`

	version int64
}

func scalingKey(cluster fleet.ClusterID) Key { return Key{"cluster#" + cluster.String(), "scaling"} }

// Scaling reads what is remembered; the zero Scaling if nobody has looked yet.
func (l *Ledger) Scaling(ctx context.Context, cluster fleet.ClusterID) (Scaling, error) {
	doc, err := l.Store.Get(ctx, scalingKey(cluster))
	if err != nil || doc.Version == 0 {
		return Scaling{}, err
	}
	var s Scaling
	if err := json.Unmarshal(doc.Data, &s); err != nil {
		return Scaling{}, fault.New(fault.Invalid, "the ledger's scaling of cluster %s is damaged: %v", cluster, err)
	}
	s.version = doc.Version
	return s, nil
}

// SaveScaling writes what was read from the ledger, or follows what was. If somebody else wrote it meanwhile, the lease was
// lost, and the error's class is fault.Conflict. The returned Scaling can be saved again.
func (l *Ledger) SaveScaling(ctx context.Context, cluster fleet.ClusterID, s Scaling) (Scaling, error) {
	data, err := json.Marshal(s)
	if err != nil {
		return s, err
	}
	err = l.Store.Put(ctx, Document{Key: scalingKey(cluster), Version: s.version, Expires: l.Now().Add(Retention), Data: data})
	if err != nil {
		return s, err
	}
	s.version++
	return s, nil
}
