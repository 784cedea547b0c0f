package cluster_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/ekspedite/ekspedite/infra/local/world"
	"github.com/ekspedite/ekspedite/internal/cloudtest"
)

// quick is a cloud in which waiting is short, so that the looks in between, which are all alike, are few.
var quick = world.Fast

// make makes the clusters of a file under a script.
func (r *rig) make(text string, twice func() bool, at func(n int, op string) cloudtest.Misfortune) {
	r.Twice, r.Script.At = twice, at
	r.ask("request-1", text)
	r.run()
	r.Script.At = nil
}

// plain is the undisturbed creation: its end, and how many calls it takes.
func plain(t *testing.T, name string) (want []string, calls int) {
	t.Helper()
	return undisturbed(t, example(t, name))
}

func undisturbed(t *testing.T, file string) (want []string, calls int) {
	t.Helper()
	inBubble(t, quick, func(t *testing.T, r *rig) {
		text := r.given(file)
		r.make(text, nil, nil)
		want, calls = r.shape(text), r.Script.Calls
		r.complete(t, text, want, "undisturbed")
	})
	return want, calls
}

// misfortunes are what can happen to a call.
var misfortunes = map[string]cloudtest.Misfortune{"fails": cloudtest.FailsBefore, "answer lost": cloudtest.FailsAfter, "killed before": cloudtest.KilledBefore, "killed after": cloudtest.KilledAfter}

// TestAtEveryCall: an invocation is killed, a call fails, an answer is lost, at each call of the creation in turn. The end
// is always the same: nothing is there twice, and nothing is lost. Of the cluster that has as much as one can have, all
// misfortunes at every call take half an hour (EVERY_CALL=all); usually they are tried at each so many calls, beginning at
// another one each.
func TestAtEveryCall(t *testing.T) {
	if testing.Short() {
		t.Skip("hundreds of creations")
	}
	all := os.Getenv("EVERY_CALL") == "all"
	for _, name := range []string{"demo.yaml", "clusters/full.yaml"} {
		want, calls := plain(t, name)
		t.Logf("%s: %d calls", name, calls)
		for what, e := range misfortunes {
			step := 1
			switch {
			case all:
			case name == "demo.yaml":
				step = 8
			default:
				step = 40
			}
			t.Run(name+" "+what, func(t *testing.T) {
				t.Parallel()
				for n := 1 + 2*int(e)%step; n <= calls; n += step {
					atCall(t, name, want, n, what, e)
				}
			})
		}
	}
}

// atCall makes a cluster, with a misfortune at the nth call.
func atCall(t *testing.T, name string, want []string, n int, what string, e cloudtest.Misfortune) {
	inBubble(t, quick, func(t *testing.T, r *rig) {
		text := r.given(example(t, name))
		r.make(text, nil, func(i int, op string) cloudtest.Misfortune {
			if i == n {
				what = fmt.Sprintf("%s at call %d (%s)", what, n, op)
				return e
			}
			return cloudtest.Nothing
		})
		r.complete(t, text, want, what)
	})
}

// TestTwice: every message is delivered twice at the same time.
func TestTwice(t *testing.T) {
	text := example(t, "demo.yaml")
	want, _ := plain(t, "demo.yaml")
	inBubble(t, quick, func(t *testing.T, r *rig) {
		r.make(text, func() bool { return true }, nil)
		r.complete(t, text, want, "twice")
		if n := len(r.Finished()); n != 1 {
			t.Errorf("the end was reported %d times", n)
		}
	})
}

// TestHostile: failures of all kinds at random, messages delivered twice, reads that are late.
func TestHostile(t *testing.T) {
	text := example(t, "demo.yaml")
	want, _ := plain(t, "demo.yaml")
	for seed := range uint64(40) {
		inBubble(t, quick, func(t *testing.T, r *rig) {
			random := rand.New(rand.NewPCG(seed, 1))
			kills := 0
			r.make(text, func() bool { return seed%3 == 0 && random.IntN(10) == 0 }, func(int, string) cloudtest.Misfortune {
				switch random.IntN(100) {
				case 0:
					return cloudtest.FailsBefore
				case 1:
					return cloudtest.FailsAfter
				case 2:
					if kills++; kills < 4 {
						return cloudtest.KilledAfter
					}
				}
				return cloudtest.Nothing
			})
			if n := r.Queue.Redrive(); n > 0 { // the fifth receipt of one message was the last
				t.Logf("seed %d: %d messages were redriven", seed, n)
				r.run()
			}
			r.complete(t, text, want, fmt.Sprintf("seed %d", seed))
		})
	}
}
