// Package cloudtest runs a function's work against the embedded cloud in memory and in virtual time: the real SDK, the real
// error codes and the real waiting, with a queue that delivers as SQS does, and with misfortunes at any call. It is for tests
// alone, and has to be used within a synctest bubble.
package cloudtest

import (
	"slices"
	"strconv"
	"sync"
	"time"
)

// Queue is a function's queue: a message is delivered once it is visible, and again if it was not deleted.
type Queue struct {
	mu   sync.Mutex
	list []*Message
	n    int
	dead []Dead
}

// Message is one of a queue's.
type Message struct {
	ID, Body string
	At       time.Time // when it is visible
	Received int
}

// Dead is what was rejected.
type Dead struct{ Body, Reason string }

// Send puts a message on the queue, visible after a while. SQS counts in whole seconds.
func (q *Queue) Send(body string, delay time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.n++
	delay = (delay + time.Second - 1).Truncate(time.Second)
	q.list = append(q.list, &Message{ID: strconv.Itoa(q.n), Body: body, At: time.Now().Add(delay)})
}

// Release makes a received message visible after a while.
func (q *Queue) Release(id string, delay time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, m := range q.list {
		if m.ID == id {
			m.At = time.Now().Add(delay)
		}
	}
}

// Next is the message that is visible first; nil without.
func (q *Queue) Next() *Message {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.list) == 0 {
		return nil
	}
	return slices.MinFunc(q.list, func(a, b *Message) int { return a.At.Compare(b.At) })
}

// Remove deletes a message.
func (q *Queue) Remove(m *Message) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.list = slices.DeleteFunc(q.list, func(o *Message) bool { return o == m })
}

// Len is how many messages there are.
func (q *Queue) Len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.list)
}

// Bodies are those of all messages.
func (q *Queue) Bodies() (out []string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, m := range q.list {
		out = append(out, m.Body)
	}
	return out
}

// Reject puts a body on the dead-letter queue.
func (q *Queue) Reject(body, reason string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.dead = append(q.dead, Dead{body, reason})
}

// Dead is the dead-letter queue.
func (q *Queue) Dead() []Dead {
	q.mu.Lock()
	defer q.mu.Unlock()
	return slices.Clone(q.dead)
}

// Redrive puts what was rejected back, as an operator would, and tells how much that was.
func (q *Queue) Redrive() int {
	q.mu.Lock()
	list := q.dead
	q.dead = nil
	q.mu.Unlock()
	for _, d := range list {
		q.Send(d.Body, 0)
	}
	return len(list)
}
