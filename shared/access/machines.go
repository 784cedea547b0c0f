package access

import (
	"context"
	"sync"
	"time"

	"github.com/ekspedite/ekspedite/shared/batch"
)

// Machines remembers which machines of a Region are clusters'. Of every machine of an account EC2 says when it stops, and
// most are nobody's here: they are told from ours by one list in half a minute, and not by a call each.
type Machines struct {
	// List reads the ids of all machines that belong to a cluster.
	List func(ctx context.Context) ([]string, error)
	Now  func() time.Time

	flight batch.Flight[list]
	mu     sync.Mutex
	last   list
}

type list struct {
	ids map[string]bool
	at  time.Time // when it began to be read
}

// remembered is how long a list is used. A machine that was launched since is not in it. It has no pods yet: from launch to a
// node that is Ready takes longer.
const remembered = 30 * time.Second

// Ours tells whether a machine belonged to a cluster half a minute ago, or later.
func (m *Machines) Ours(ctx context.Context, id string) (bool, error) {
	m.mu.Lock()
	last := m.last
	m.mu.Unlock()
	if last.ids == nil || m.Now().Sub(last.at) >= remembered {
		var err error
		if last, err = m.flight.Do(ctx, "", m.read); err != nil {
			return false, err
		}
	}
	return last.ids[id], nil
}

func (m *Machines) read(ctx context.Context) (list, error) {
	at := m.Now()
	ids, err := m.List(ctx)
	if err != nil {
		return list{}, err
	}
	l := list{ids: make(map[string]bool, len(ids)), at: at}
	for _, id := range ids {
		l.ids[id] = true
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.last = l
	return l, nil
}
