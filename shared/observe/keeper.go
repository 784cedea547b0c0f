package observe

import (
	"context"
	"sync"
	"time"
)

// keeper keeps what was read for a while, in memory, and in a cache that all execution environments share.
type keeper struct {
	cache   Cache // may be nil
	subject string
	now     func() time.Time

	mu   sync.Mutex
	list map[string]keepsake
}

type keepsake struct {
	at    time.Time
	value any
}

func newKeeper(c Cache, subject string, now func() time.Time) *keeper {
	return &keeper{cache: c, subject: subject, now: now, list: map[string]keepsake{}}
}

func (k *keeper) get(part string) keepsake {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.list[part]
}

func (k *keeper) put(part string, at time.Time, value any) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.list[part] = keepsake{at, value}
}

// recall is what is known of a part, in memory or in the cache; the zero time if nothing is, or nothing that is younger than
// age. A cache that cannot be read has nothing.
func recall[T any](ctx context.Context, k *keeper, part string, age time.Duration) (value T, at time.Time) {
	have := k.get(part)
	value, _ = have.value.(T)
	if k.cache == nil || !have.at.IsZero() && k.now().Sub(have.at) < age {
		return value, have.at
	}
	var shared T
	if at, err := k.cache.Cached(ctx, k.subject, part, &shared); err == nil && at.After(have.at) {
		k.put(part, at, shared)
		return shared, at
	}
	return value, have.at
}

// keep remembers a part. That the cache does not take it costs others a read, and nothing else.
func keep[T any](ctx context.Context, k *keeper, part string, value T) {
	at := k.now()
	k.put(part, at, value)
	if k.cache != nil {
		_ = k.cache.Cache(ctx, k.subject, part, at, value)
	}
}

// kept reads a part unless it is known and younger than age. What is older serves where it cannot be read anew.
func kept[T any](ctx context.Context, k *keeper, part string, age time.Duration, read func(context.Context) (T, error)) (T, error) {
	known, at := recall[T](ctx, k, part, age)
	if !at.IsZero() && k.now().Sub(at) < age {
		return known, nil
	}
	value, err := read(ctx)
	switch {
	case err == nil:
		keep(ctx, k, part, value)
		return value, nil
	case !at.IsZero():
		return known, nil
	}
	return value, err
}
