package ledger

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"time"

	"github.com/ekspedite/ekspedite/shared/fault"
)

// maxItem is what DynamoDB takes in one item, with room for the keys.
const maxItem = 390 << 10

// cached is what was read from somewhere, so that others need not read it again.
type cached struct {
	At   time.Time `json:"at"`
	Gzip []byte    `json:"gzip"` // of JSON
}

func cacheKey(subject, part string) Key { return Key{"cache#" + subject, part} }

// Cached reads a part of what is kept about a subject into a value, and says when it was true. The zero time is that there is
// none; a damaged one is none.
func (l *Ledger) Cached(ctx context.Context, subject, part string, into any) (time.Time, error) {
	doc, err := l.Store.Get(ctx, cacheKey(subject, part))
	if err != nil || doc.Version == 0 {
		return time.Time{}, err
	}
	var c cached
	if err := json.Unmarshal(doc.Data, &c); err != nil {
		return time.Time{}, nil //nolint:nilerr // as above
	}
	r, err := gzip.NewReader(bytes.NewReader(c.Gzip))
	if err != nil {
		return time.Time{}, nil //nolint:nilerr // as above
	}
	if err := json.NewDecoder(r).Decode(into); err != nil {
		return time.Time{}, nil //nolint:nilerr // as above
	}
	return c.At, nil
}

// Cache keeps a part of what is known about a subject, which was true at a time. What is kept already and is newer stays.
// What is too large for an item, even when it is packed, is fault.Invalid.
func (l *Ledger) Cache(ctx context.Context, subject, part string, at time.Time, value any) error {
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	if err := json.NewEncoder(w).Encode(value); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	data, err := json.Marshal(cached{at, packed.Bytes()})
	if err != nil {
		return err
	}
	if len(data) > maxItem {
		return fault.New(fault.Invalid, "%s of %s has %d bytes packed, and an item takes %d", part, subject, len(data), maxItem)
	}
	for range conflictTries {
		doc, err := l.Store.Get(ctx, cacheKey(subject, part))
		if err != nil {
			return err
		}
		var old struct {
			At time.Time `json:"at"`
		}
		if doc.Version > 0 && json.Unmarshal(doc.Data, &old) == nil && !old.At.Before(at) {
			return nil
		}
		doc.Key, doc.Data, doc.Expires = cacheKey(subject, part), data, l.Now().Add(Retention)
		if err = l.Store.Put(ctx, doc); !fault.Is(err, fault.Conflict) {
			return err
		}
	}
	return nil // others are keeping it at this moment
}
