package ledger

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

// DoorbellKeys are what the doorbell's paths are made with: one for each cluster, which nobody can guess who does not know
// the key. Whoever knows a path can ring for that one cluster, and nothing else.
type DoorbellKeys struct {
	Current []byte `json:"current"`
	// Previous is still good: the clusters that have its paths get new ones at the next sweep.
	Previous []byte    `json:"previous,omitempty"`
	Made     time.Time `json:"made"` // the current one
}

// KeyAge is how old a doorbell's key gets before there is a new one.
const KeyAge = 90 * 24 * time.Hour

var doorbellKey = Key{"doorbell", "keys"}

// DoorbellKeys reads the doorbell's keys. There are none before the first cluster has asked for a doorbell.
func (l *Ledger) DoorbellKeys(ctx context.Context) (DoorbellKeys, error) {
	k, _, err := l.doorbellKeys(ctx)
	return k, err
}

func (l *Ledger) doorbellKeys(ctx context.Context) (k DoorbellKeys, version int64, err error) {
	doc, err := l.Store.Get(ctx, doorbellKey)
	if err != nil || doc.Version == 0 {
		return DoorbellKeys{}, doc.Version, err
	}
	if err := json.Unmarshal(doc.Data, &k); err != nil { // its text is not repeated: it is a secret
		return DoorbellKeys{}, 0, fault.New(fault.Invalid, "the ledger's keys of the doorbell are damaged: delete the item doorbell/keys, and new ones are made")
	}
	return k, doc.Version, nil
}

// FreshDoorbellKeys are the doorbell's keys, the current one made or replaced where that is due.
func (l *Ledger) FreshDoorbellKeys(ctx context.Context) (DoorbellKeys, error) {
	for range conflictTries {
		k, version, err := l.doorbellKeys(ctx)
		if err != nil || len(k.Current) > 0 && l.Now().Sub(k.Made) < KeyAge {
			return k, err
		}
		k = DoorbellKeys{Current: make([]byte, sha256.Size), Previous: k.Current, Made: l.Now()}
		rand.Read(k.Current) //nolint:errcheck // it never fails
		data, err := json.Marshal(k)
		if err != nil {
			return DoorbellKeys{}, err
		}
		err = l.Store.Put(ctx, Document{Key: doorbellKey, Version: version, Data: data})
		if !fault.Is(err, fault.Conflict) { // else somebody was faster, and theirs counts
			return k, err
		}
	}
	return DoorbellKeys{}, fault.New(fault.Conflict, "the doorbell's keys are being changed by many at once")
}

// doorbellPaths is where all of them begin.
const doorbellPaths = "/ring/"

// Path is a cluster's path at the doorbell's URL. It is a secret and stands in no log.
func (k DoorbellKeys) Path(cluster fleet.ClusterID) string {
	return doorbellPaths + cluster.String() + "/" + base64.RawURLEncoding.EncodeToString(proof(k.Current, cluster))
}

// Cluster is the cluster whose path it is. Which part of a wrong one was wrong does not show, in time either.
func (k DoorbellKeys) Cluster(path string) (cluster fleet.ClusterID, ok bool) {
	rest, ours := strings.CutPrefix(path, doorbellPaths)
	parts := strings.Split(rest, "/")
	if !ours || len(parts) != 3 {
		return cluster, false
	}
	cluster = fleet.ClusterID{Region: parts[0], Name: parts[1]}
	shown, err := base64.RawURLEncoding.Strict().DecodeString(parts[2])
	if err != nil {
		return fleet.ClusterID{}, false
	}
	for _, key := range [][]byte{k.Current, k.Previous} {
		if len(key) > 0 && hmac.Equal(shown, proof(key, cluster)) {
			return cluster, true
		}
	}
	return fleet.ClusterID{}, false
}

func proof(key []byte, cluster fleet.ClusterID) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(cluster.String())) //nolint:errcheck // a hash takes all
	return h.Sum(nil)
}

// Bell is when a cluster's doorbell was last heard, by whichever execution environment.
type Bell struct {
	// Covered: the scaling function will look at the cluster after this time, and so sees all that was there before.
	Covered time.Time `json:"covered"`
	// Rings counts the messages of one burst.
	Rings int `json:"rings"`

	version int64
}

func bellKey(cluster fleet.ClusterID) Key { return Key{"doorbell", "bell#" + cluster.String()} }

// Bell reads a cluster's bell; the zero Bell if it was never rung. A damaged one was never rung.
func (l *Ledger) Bell(ctx context.Context, cluster fleet.ClusterID) (Bell, error) {
	doc, err := l.Store.Get(ctx, bellKey(cluster))
	if err != nil {
		return Bell{}, err
	}
	var b Bell
	if doc.Version > 0 {
		if err := json.Unmarshal(doc.Data, &b); err != nil {
			b = Bell{}
		}
	}
	b.version = doc.Version
	return b, nil
}

// SaveBell writes a bell that was read. It is fault.Conflict when another environment was faster.
func (l *Ledger) SaveBell(ctx context.Context, cluster fleet.ClusterID, b Bell) error {
	data, err := json.Marshal(b)
	if err != nil {
		return err
	}
	return l.Store.Put(ctx, Document{Key: bellKey(cluster), Version: b.version, Expires: b.Covered.Add(24 * time.Hour), Data: data})
}
