package ledger

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

// Ledger is the typed view of a Store.
type Ledger struct {
	Store Store
	Now   func() time.Time
}

// Retention of finished runs and drains, in the table's TTL.
const Retention = 90 * 24 * time.Hour

// Lease is a time-limited claim with a fencing token: the document's version at the moment of the claim. A later holder's
// token is always greater.
type Lease struct {
	Key    string
	Holder string
	Until  time.Time
	Token  int64
}

type leaseData struct {
	Holder string    `json:"holder"`
	Until  time.Time `json:"until"`
}

func leaseKey(key string) Key { return Key{"lease#" + key, "lease"} }

// Acquire claims key for holder until now+d. If somebody else holds it, the error's class is fault.Blocked, its
// RetryAfter the rest of their time. The holder of an unexpired lease gets it again.
func (l *Ledger) Acquire(ctx context.Context, key, holder string, d time.Duration) (Lease, error) {
	doc, err := l.Store.Get(ctx, leaseKey(key))
	if err != nil {
		return Lease{}, err
	}
	var data leaseData
	if doc.Version > 0 {
		if err := json.Unmarshal(doc.Data, &data); err != nil {
			return Lease{}, fault.New(fault.Invalid, "lease %s is damaged: %v", key, err)
		}
	}
	now := l.Now()
	if data.Holder != holder && now.Before(data.Until) {
		return Lease{}, &fault.Error{Class: fault.Blocked, RetryAfter: data.Until.Sub(now), Op: "lease " + key,
			Err: fmt.Errorf("held by %s until %s", data.Holder, data.Until.Format(time.RFC3339))}
	}
	data = leaseData{holder, now.Add(d)}
	if doc.Data, err = json.Marshal(data); err != nil {
		return Lease{}, err
	}
	doc.Expires = time.Time{} // never: with its document a lease would lose its place in the order of tokens
	if err := l.Store.Put(ctx, doc); err != nil {
		if fault.Is(err, fault.Conflict) { // somebody was faster
			return Lease{}, &fault.Error{Class: fault.Blocked, RetryAfter: d, Op: "lease " + key, Err: err}
		}
		return Lease{}, err
	}
	return Lease{key, holder, data.Until, doc.Version + 1}, nil
}

// Release gives a lease back. One that was lost meanwhile is left alone.
func (l *Ledger) Release(ctx context.Context, lease Lease) error {
	err := l.Store.Put(ctx, Document{Key: leaseKey(lease.Key), Version: lease.Token, Data: json.RawMessage(`{}`)})
	return fault.Ignore(err, fault.Conflict)
}

// RunID names the run for a wish about a cluster. It is the same however often the wish is delivered, so that whoever has
// sent it can tell which run to follow.
func RunID(wish string, cluster fleet.ClusterID) string {
	sum := sha256.Sum256([]byte(wish + "\x00" + cluster.String()))
	return "cluster-" + hex.EncodeToString(sum[:10])
}

// Run is one piece of work on one subject, from the first event to the outcome.
type Run = events.RunFinished

// SaveRun records a finished run under its cluster. Saving the same run twice is one record.
func (l *Ledger) SaveRun(ctx context.Context, r Run) error {
	data, err := json.Marshal(r)
	if err != nil {
		return err
	}
	if err := l.remember(ctx, r.Subject.Cluster); err != nil {
		return err
	}
	key := Key{"cluster#" + r.Subject.Cluster, "run#" + r.StartedAt.UTC().Format(sortable) + "#" + r.RunID}
	err = l.Store.Put(ctx, Document{Key: key, Expires: l.Now().Add(Retention), Data: data})
	return fault.Ignore(err, fault.Conflict) // it is there already
}

// sortable is RFC 3339 of one width: RFC3339Nano leaves out zeros at the end, and so would not sort by time.
const sortable = "2006-01-02T15:04:05.000000000Z07:00"

// Runs lists a cluster's recorded runs, oldest first.
func (l *Ledger) Runs(ctx context.Context, cluster string) ([]Run, error) {
	return l.runs(ctx, cluster, "")
}

// runs lists those whose time and id, as SaveRun writes them, have a prefix.
func (l *Ledger) runs(ctx context.Context, cluster, prefix string) ([]Run, error) {
	docs, err := l.Store.Query(ctx, "cluster#"+cluster, "run#"+prefix)
	if err != nil {
		return nil, err
	}
	runs := make([]Run, len(docs))
	for i, d := range docs {
		if err := json.Unmarshal(d.Data, &runs[i]); err != nil {
			return nil, fault.New(fault.Invalid, "run %s is damaged: %v", d.Key.Sort, err)
		}
	}
	return runs, nil
}
