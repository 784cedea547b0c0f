package sqs

import (
	"container/heap"
	"time"
)

// maxInflight is AWS's quota of received and not yet deleted messages in one queue.
const maxInflight = 120_000

// queue is one queue. Service.mu guards it.
type queue struct {
	name, arn string
	fifo      bool
	created   time.Time
	modified  time.Time
	purged    time.Time
	attrs     map[string]string // settable attributes, all present
	redrive   *redrivePolicy
	tags      map[string]string

	messages map[uint64]*message
	ready    pile            // visible, in order of sending
	waiting  pile            // delayed or in flight, by the time at which they become visible
	inflight int             // how many in waiting are in flight
	busy     map[string]int  // FIFO: messages in flight by group, which block the group's others
	seen     map[string]sent // FIFO: deduplication
	changed  chan struct{}   // closed and replaced when a message may have become receivable
	gone     bool            // deleted: long polls give up
}

// sent is what a duplicate within five minutes is answered with.
type sent struct {
	at      time.Time
	message *message
}

func newQueue(name, arn string, fifo bool, now time.Time) *queue {
	q := &queue{name: name, arn: arn, fifo: fifo, created: now, modified: now, tags: map[string]string{}, changed: make(chan struct{})}
	q.clear()
	return q
}

// clear drops all messages.
func (q *queue) clear() {
	q.messages, q.inflight, q.busy, q.seen = map[uint64]*message{}, 0, map[string]int{}, map[string]sent{}
	q.ready = pile{less: func(a, b *message) bool { return a.serial < b.serial }}
	q.waiting = pile{less: func(a, b *message) bool {
		return a.visibleAt.Before(b.visibleAt) || a.visibleAt.Equal(b.visibleAt) && a.serial < b.serial
	}}
}

// wake tells long polls to look again.
func (q *queue) wake() {
	close(q.changed)
	q.changed = make(chan struct{})
}

// add puts a new copy in, visible after delay.
func (q *queue) add(m *message, now time.Time, delay time.Duration) {
	q.messages[m.serial] = m
	if delay > 0 {
		m.visibleAt = now.Add(delay)
		q.waiting.push(m)
	} else {
		q.ready.push(m)
	}
	q.wake() // also for a delayed one: a long poll must set its timer to it
}

// remove takes a copy out for good.
func (q *queue) remove(m *message) {
	q.land(m)
	m.pile.drop(m)
	delete(q.messages, m.serial)
}

// land ends a message's flight.
func (q *queue) land(m *message) {
	if !m.inflight {
		return
	}
	m.inflight = false
	q.inflight--
	if q.fifo {
		if q.busy[m.group]--; q.busy[m.group] == 0 {
			delete(q.busy, m.group)
		}
		q.wake() // the group's next message is free
	}
}

// show makes a delayed or in-flight message visible.
func (q *queue) show(m *message) {
	q.land(m)
	m.pile.drop(m)
	q.ready.push(m)
	q.wake()
}

// hide puts a message that has just been received in flight.
func (q *queue) hide(m *message, until time.Time) {
	if !m.inflight {
		m.inflight = true
		q.inflight++
		if q.fifo {
			q.busy[m.group]++
		}
	}
	if m.pile != nil {
		m.pile.drop(m)
	}
	m.visibleAt = until
	q.waiting.push(m)
}

// advance shows what has become visible by now.
func (q *queue) advance(now time.Time) {
	for len(q.waiting.items) > 0 && !q.waiting.items[0].visibleAt.After(now) {
		q.show(q.waiting.items[0])
	}
}

// counts returns the Approximate… numbers.
func (q *queue) counts(now time.Time) (visible, inflight, delayed int) {
	q.advance(now)
	for _, m := range q.messages {
		switch {
		case q.expired(m, now):
		case m.inflight:
			inflight++
		case m.pile == &q.waiting:
			delayed++
		default:
			visible++
		}
	}
	return visible, inflight, delayed
}

func (q *queue) expired(m *message, now time.Time) bool {
	return now.Sub(m.enqueued) >= q.seconds("MessageRetentionPeriod")
}

// pile is a heap of messages that know their place in it.
type pile struct {
	items []*message
	less  func(a, b *message) bool
}

func (p *pile) push(m *message) {
	m.pile = p
	heap.Push((*pileHeap)(p), m)
}

func (p *pile) pop() *message {
	m := p.items[0]
	p.drop(m)
	return m
}

func (p *pile) drop(m *message) {
	heap.Remove((*pileHeap)(p), m.pos)
	m.pile = nil
}

// pileHeap is pile's heap.Interface, kept apart so that nobody calls Push for push.
type pileHeap pile

func (h *pileHeap) Len() int           { return len(h.items) }
func (h *pileHeap) Less(i, j int) bool { return h.less(h.items[i], h.items[j]) }
func (h *pileHeap) Swap(i, j int) {
	h.items[i], h.items[j] = h.items[j], h.items[i]
	h.items[i].pos, h.items[j].pos = i, j
}
func (h *pileHeap) Push(x any) {
	m := x.(*message)
	m.pos = len(h.items)
	h.items = append(h.items, m)
}
func (h *pileHeap) Pop() any {
	last := len(h.items) - 1
	m := h.items[last]
	h.items[last] = nil
	h.items = h.items[:last]
	return m
}
