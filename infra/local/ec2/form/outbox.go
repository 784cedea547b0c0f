package form

import (
	"context"
	"sync"

	"github.com/ekspedite/ekspedite/infra/local/world"
)

// Outbox calls functions in the order in which they were posted, in one goroutine of its own. A service posts, while it
// holds its lock, what others must be told; they are told when the lock is free, and may call back.
type Outbox struct {
	wake  chan struct{}
	mu    sync.Mutex
	queue []func()
}

// NewOutbox starts an outbox that lives as long as the world.
func NewOutbox(w *world.World) *Outbox {
	o := &Outbox{wake: make(chan struct{}, 1)}
	w.Go(o.run)
	return o
}

// Post appends a call.
func (o *Outbox) Post(f func()) {
	o.mu.Lock()
	o.queue = append(o.queue, f)
	o.mu.Unlock()
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

func (o *Outbox) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-o.wake:
		}
		for ctx.Err() == nil {
			o.mu.Lock()
			queue := o.queue
			o.queue = nil
			o.mu.Unlock()
			if len(queue) == 0 {
				break
			}
			for _, f := range queue {
				f()
			}
		}
	}
}
