package upgrade

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/infra/local/world"
	"github.com/ekspedite/ekspedite/internal/cloudtest"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

// misfortunes are what can happen to a call.
var misfortunes = map[string]cloudtest.Misfortune{
	"fails": cloudtest.FailsBefore, "answer lost": cloudtest.FailsAfter, "killed before": cloudtest.KilledBefore, "killed after": cloudtest.KilledAfter,
}

// undisturbed is the end of an upgrade that nothing happens to, how many calls it takes, and which updates EKS has made.
func undisturbed(t *testing.T) (shape string, calls int, made []string) {
	t.Helper()
	inBubble(t, world.Fast, func(t *testing.T, r *rig) {
		r.short()
		r.ask("request-1", "1.36")
		if done := r.over(24 * time.Hour); done.Outcome != events.OutcomeUpgraded {
			t.Fatalf("%+v", done)
		}
		calls = r.Script.Calls
		r.RunFor(time.Minute) // machines that were ended may still be nodes
		shape, made = r.shape(), r.made()
	})
	return shape, calls, made
}

// short makes the watching short, so that there are few looks that are all alike.
func (r *rig) short() {
	r.policy(func(p *fleet.UpgradePolicy) { p.Bake = time.Minute })
}

// made are the updates that EKS has made: of each kind and subject how many. An update that was asked for twice shows here.
func (r *rig) made() (out []string) {
	count := map[string]int{}
	for _, op := range r.updates() {
		count[op]++
	}
	for op, n := range count {
		out = append(out, fmt.Sprintf("%s %d", op, n))
	}
	slices.Sort(out)
	return out
}

// complete checks the end of a disturbed run.
func (r *rig) complete(t *testing.T, shape string, made []string, what string) {
	t.Helper()
	r.RunFor(time.Minute)
	list := r.Finished()
	switch {
	case len(list) == 0 || list[0].Outcome != events.OutcomeUpgraded:
		t.Errorf("%s: %+v; phase %q, halted %q\n%s\n%v", what, list, r.run().Phase, r.run().Halted, r.Told(), r.Queue.Dead())
	case r.shape() != shape:
		t.Errorf("%s: the end is\n%s\nand not\n%s", what, r.shape(), shape)
	case !slices.Equal(r.made(), made):
		t.Errorf("%s: EKS has made %v, and not %v", what, r.made(), made)
	}
}

// TestAtEveryCall: an invocation is killed, a call fails, an answer is lost, at each call of an upgrade in turn. The end is
// always the same, and EKS is asked for nothing twice. EVERY_CALL=all tries all of them, which takes minutes; usually it is
// at each so many calls, beginning at another one each.
func TestAtEveryCall(t *testing.T) {
	if testing.Short() {
		t.Skip("hundreds of upgrades")
	}
	shape, calls, made := undisturbed(t)
	t.Logf("%d calls, %v", calls, made)
	step := every(29)
	for what, m := range misfortunes {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			for n := 1 + 7*int(m)%step; n <= calls; n += step {
				inBubble(t, world.Fast, func(t *testing.T, r *rig) {
					r.short()
					op := ""
					r.Script.At = func(i int, name string) cloudtest.Misfortune {
						if i == n {
							op = name
							return m
						}
						return cloudtest.Nothing
					}
					r.ask("request-1", "1.36")
					r.RunUntil(func() bool { return len(r.Finished()) > 0 && r.run().Outcome != "" }, time.Now().Add(24*time.Hour))
					r.Script.At = nil
					r.complete(t, shape, made, fmt.Sprintf("%s at call %d (%s)", what, n, op))
				})
			}
		})
	}
}

// every is at each how many calls a misfortune is tried: EVERY_CALL changes it, all is at each.
func every(otherwise int) int {
	text := os.Getenv("EVERY_CALL")
	if n, err := strconv.Atoi(text); err == nil && n > 0 {
		return n
	}
	if text == "all" {
		return 1
	}
	return otherwise
}

// TestTwice: every message is delivered twice at the same time.
func TestTwice(t *testing.T) {
	shape, _, made := undisturbed(t)
	inBubble(t, world.Fast, func(t *testing.T, r *rig) {
		r.short()
		r.Twice = func() bool { return true }
		r.ask("request-1", "1.36")
		r.over(24 * time.Hour)
		r.RunFor(time.Hour)
		r.complete(t, shape, made, "twice")
		if n := len(r.Finished()); n != 1 {
			t.Errorf("the end was reported %d times", n)
		}
	})
}

// TestChaos: of the events, three in ten are lost, three in ten come twice, others come up to an hour late, calls fail and
// invocations are killed at random. What was rejected is redriven. The end is the same.
func TestChaos(t *testing.T) {
	seeds := 20
	if n, err := strconv.Atoi(os.Getenv("SEEDS")); err == nil {
		seeds = n
	}
	shape, _, made := undisturbed(t)
	for seed := range seeds {
		inBubble(t, world.Fast, func(t *testing.T, r *rig) {
			random := rand.New(rand.NewPCG(uint64(seed), 5))
			r.short()
			r.Mangle = func(body string) []time.Duration {
				var e struct {
					Type string `json:"detail-type"`
				}
				if json.Unmarshal([]byte(body), &e) != nil || e.Type == "Upgrade Requested" { // SQS itself loses nothing that was asked for
					return []time.Duration{0}
				}
				late := func() time.Duration {
					if random.IntN(10) == 0 {
						return time.Duration(random.Int64N(int64(time.Hour)))
					}
					return 0
				}
				switch random.IntN(10) {
				case 0, 1, 2:
					return nil
				case 3, 4, 5:
					return []time.Duration{late(), late()}
				}
				return []time.Duration{late()}
			}
			kills := 0
			r.Script.At = func(int, string) cloudtest.Misfortune {
				switch random.IntN(150) {
				case 0:
					return cloudtest.FailsBefore
				case 1:
					return cloudtest.FailsAfter
				case 2:
					if kills++; kills < 6 {
						return cloudtest.KilledAfter
					}
				}
				return cloudtest.Nothing
			}
			r.ask("request-1", "1.36")
			over := func() bool { return r.run().Outcome != "" }
			for range 10 {
				if r.RunUntil(over, time.Now().Add(12*time.Hour)) {
					break
				}
				r.Queue.Redrive()
			}
			r.Script.At, r.Mangle = nil, nil
			r.complete(t, shape, made, fmt.Sprintf("seed %d", seed))
		})
		if t.Failed() {
			return
		}
	}
	t.Logf("%d seeds", seeds)
}

// updates lists what EKS was asked for, as its own updates show.
func (r *rig) updates() (out []string) {
	r.T.Helper()
	list, err := r.history()
	if err != nil {
		r.T.Fatal(err)
	}
	for _, u := range list {
		out = append(out, strings.TrimSpace(u))
	}
	return out
}

// TestMoveAtEveryCall: the same of a move of nodes that is made here.
func TestMoveAtEveryCall(t *testing.T) {
	if testing.Short() {
		t.Skip("many upgrades")
	}
	move := func(t *testing.T, r *rig) {
		r.short()
		r.policy(func(p *fleet.UpgradePolicy) { p.Nodes.Strategy = fleet.NodesBlueGreen })
		r.Heard = (&interruption{r: r}).heard
		r.ask("request-1", "1.35")
		r.RunUntil(func() bool { return len(r.Finished()) > 0 && r.run().Outcome != "" }, time.Now().Add(24*time.Hour))
	}
	var shape string
	var calls int
	inBubble(t, world.Fast, func(t *testing.T, r *rig) {
		move(t, r)
		calls = r.Script.Calls
		r.RunFor(time.Minute)
		shape = r.shape()
		if !strings.Contains(shape, "group web-") {
			t.Fatalf("nothing has moved\n%s", shape)
		}
	})
	step := every(197)
	for what, m := range misfortunes {
		for n := 1 + 31*int(m)%step; n <= calls; n += step {
			inBubble(t, world.Fast, func(t *testing.T, r *rig) {
				op := ""
				r.Script.At = func(i int, name string) cloudtest.Misfortune {
					if i == n {
						op = name
						return m
					}
					return cloudtest.Nothing
				}
				move(t, r)
				r.Script.At = nil
				r.RunFor(time.Minute)
				if list := r.Finished(); len(list) == 0 || list[0].Outcome != events.OutcomeUpgraded || r.shape() != shape {
					t.Errorf("%s at call %d (%s): %+v\n%s\nand not\n%s\n%s", what, n, op, list, r.shape(), shape, r.Told())
				}
			})
		}
	}
	t.Logf("%d calls", calls)
}
