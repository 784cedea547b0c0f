// Package world is what all services of the embedded cloud share: identity, time scale, randomness, background work.
//
// There is no clock of our own. The world's time is package time's, so that a test that runs the cloud in process can
// put it into a testing/synctest bubble and have hours pass in milliseconds.
package world

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"
)

// World is handed to every service at construction. It is seen from one Region: see In.
type World struct {
	Account string // 12 digits
	Region  string
	Profile Profile
	Log     *slog.Logger

	*common
}

// common is what the worlds of all Regions are one in.
type common struct {
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu     sync.Mutex // guards the rest
	random *rand.Rand
}

// New makes a world. The seed decides ids and every injected fault: the same seed and the same calls give the same run.
func New(account, region string, profile Profile, seed uint64, log *slog.Logger) *World {
	ctx, cancel := context.WithCancel(context.Background())
	return &World{
		Account: account, Region: region, Profile: profile, Log: log,
		common: &common{ctx: ctx, cancel: cancel, random: rand.New(rand.NewPCG(seed, 0x656b737065646974))},
	}
}

// In is the same world seen from another Region: account, randomness, background work, profile and log are shared. To
// close either is to close both.
func (w *World) In(region string) *World {
	other := *w
	other.Region = region
	return &other
}

// Context ends when the world is closed.
func (w *World) Context() context.Context { return w.ctx }

// Close stops all background work and waits for it.
func (w *World) Close() {
	w.cancel()
	w.wg.Wait()
}

// Go runs f in the background; Close waits for it. f must return when its context ends.
func (w *World) Go(f func(ctx context.Context)) {
	w.wg.Go(func() { f(w.ctx) })
}

// After runs f once d has passed, unless the world closes first. f runs in a goroutine of its own: take your locks.
func (w *World) After(d time.Duration, f func()) {
	w.Go(func(ctx context.Context) {
		t := time.NewTimer(d)
		defer t.Stop()
		select {
		case <-ctx.Done():
		case <-t.C:
			f()
		}
	})
}

// Chance is true with probability p, drawn from the world's seed.
func (w *World) Chance(p float64) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.random.Float64() < p
}

// IntN returns a number in [0, n), drawn from the world's seed.
func (w *World) IntN(n int) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.random.IntN(n)
}

// Hex returns n random hex digits, for ids such as i-0123456789abcdef0.
func (w *World) Hex(n int) string {
	const digits = "0123456789abcdef"
	b := make([]byte, n)
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := range b {
		b[i] = digits[w.random.IntN(16)]
	}
	return string(b)
}

// UUID returns a random id in UUID form, as AWS uses for requests, events and updates.
func (w *World) UUID() string {
	h := w.Hex(32)
	return fmt.Sprintf("%s-%s-4%s-a%s-%s", h[:8], h[8:12], h[13:16], h[17:20], h[20:32])
}

// ARN makes an ARN in this world's Region and account.
func (w *World) ARN(service, resource string) string {
	return fmt.Sprintf("arn:aws:%s:%s:%s:%s", service, w.Region, w.Account, resource)
}
