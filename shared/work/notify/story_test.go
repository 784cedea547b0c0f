package notify_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/webhook"
)

// drain sends what a drain tells.
func (w *world) drain(t *testing.T) {
	t.Helper()
	w.tell("blue", hook("a"), hook("b"))
	w.send(t, started("run-1", "blue"), finished("run-1", "blue", events.OutcomeDrained))
	w.serve(t)
}

// expected are all that two targets are told of one drain.
var expected = []string{"a run-1 Started", "a run-1 Finished", "b run-1 Started", "b run-1 Finished"}

func TestBothAreTold(t *testing.T) {
	story(t, func(t *testing.T, w *world) {
		w.drain(t)
		for _, key := range expected {
			if w.accepted[key] != 1 {
				t.Errorf("%s: told %d times", key, w.accepted[key])
			}
		}
		if len(w.dlq) > 0 {
			t.Error(w.dlq)
		}
		for _, r := range w.requests {
			if !strings.HasSuffix(r.URL, secret) || r.ContentType != "application/json" {
				t.Errorf("%+v", r)
			}
		}
	})
}

// TestR25_EveryCallFailsOnce lets every call go wrong in every way. No target is told twice of anything. What is lost is what was
// claimed when the invocation died, and nothing else.
func TestR25_EveryCallFailsOnce(t *testing.T) {
	for _, twice := range []bool{false, true} {
		var calls []string
		story(t, func(t *testing.T, w *world) {
			w.twice = twice
			w.strike = func(key string) mode { calls = append(calls, key); return fine }
			w.drain(t)
		})
		slices.Sort(calls)
		if len(calls) < 18 {
			t.Fatalf("a drain makes only %d calls: %q", len(calls), calls)
		}
		t.Logf("twice %t: %d calls, %d ways to go wrong", twice, len(calls), len(modes))
		for _, m := range modes {
			for _, key := range calls {
				story(t, func(t *testing.T, w *world) {
					w.twice = twice
					w.strike = func(k string) mode {
						if k == key {
							return m
						}
						return fine
					}
					w.drain(t)
					var missing []string
					for _, e := range expected {
						if n := w.accepted[e]; n > 1 {
							t.Errorf("twice %t, %s, %s: %s was told %d times", twice, m, key, e, n)
						} else if n == 0 {
							missing = append(missing, e)
						}
					}
					dies := m == killed || m == undone
					before := strings.Contains(key, "policy") // of a claim, in either target's work
					if len(missing) > 0 && (!dies || before) {
						t.Errorf("twice %t, %s, %s: lost %q, and nothing died after a claim", twice, m, key, missing)
					}
					if len(w.dlq) > 0 {
						t.Errorf("%s, %s: dead letters %q", m, key, w.dlq)
					}
				})
			}
		}
	}
}

// TestR25_ManyFaults strikes at random, again and again.
func TestR25_ManyFaults(t *testing.T) {
	for seed := range uint64(200) {
		story(t, func(t *testing.T, w *world) {
			rnd := rand.New(rand.NewPCG(seed, 25))
			w.twice = true
			w.strike = func(string) mode {
				if rnd.IntN(12) > 0 {
					return fine
				}
				return modes[rnd.IntN(len(modes))]
			}
			w.tell("blue", hook("a"), hook("b"))
			for i := range 8 {
				w.send(t, started(fmt.Sprint("run-", i%4), "blue"), finished(fmt.Sprint("run-", i%4), "blue", events.OutcomeDrained))
			}
			w.serve(t)
			for key, n := range w.accepted {
				if n > 1 {
					t.Errorf("seed %d: %s was told %d times", seed, key, n)
				}
			}
		})
	}
}

// 1,000 drains that begin in a second, on 20 clusters, are a handful of messages, and everybody is in one of them.
func TestABurstIsADigest(t *testing.T) {
	story(t, func(t *testing.T, w *world) {
		for c := range 20 {
			w.policies[fmt.Sprint("c", c)] = fleet.Policy{}
		}
		w.all.Notifications = []fleet.NotificationTarget{hook("a")}
		w.secrets[fleet.ParameterPrefix+"a"] = "https://a/" + secret
		for i := range 1000 {
			w.send(t, started(fmt.Sprint("run-", i), fmt.Sprint("c", i%20)))
		}
		for i := range 1000 {
			w.send(t, finished(fmt.Sprint("run-", i), fmt.Sprint("c", i%20), events.OutcomeDrained))
		}
		w.serve(t)
		if len(w.accepted) != 2000 {
			t.Errorf("%d of 2000 are told of", len(w.accepted))
		}
		for key, n := range w.accepted {
			if n != 1 {
				t.Errorf("%s: %d times", key, n)
			}
		}
		t.Logf("2000 reports were %d messages", w.posts["a"])
		if w.posts["a"] > 20 {
			t.Errorf("they were %d messages", w.posts["a"])
		}
	})
}

// Single drains that come one after another are messages of their own, and no faster than the rate.
func TestRate(t *testing.T) {
	story(t, func(t *testing.T, w *world) {
		w.tell("blue", hook("a"))
		began := time.Now()
		for i := range 40 {
			w.send(t, started(fmt.Sprint("run-", i), "blue"))
			messages := w.messages
			for n, m := range messages {
				m.at = began.Add(time.Duration(n) * 10 * time.Millisecond) // each in a batch of its own
			}
		}
		w.serve(t)
		if len(w.accepted) != 40 || w.posts["a"] > 10+int(time.Since(began)/time.Second) {
			t.Errorf("%d reports in %d messages within %s", len(w.accepted), w.posts["a"], time.Since(began))
		}
	})
}

// A webhook that hangs is not told twice, since it may have heard. It holds up no other for longer than it is waited for, and
// nobody's second message waits for it again.
func TestADeadWebhook(t *testing.T) {
	story(t, func(t *testing.T, w *world) {
		w.tell("blue", hook("a"), hook("b"))
		w.slow["b"] = time.Hour
		began := time.Now()
		w.send(t, started("run-1", "blue"), finished("run-1", "blue", events.OutcomeDrained))
		w.serve(t)
		if w.accepted["a run-1 Started"] != 1 || w.accepted["a run-1 Finished"] != 1 || w.posts["b"] != 0 {
			t.Errorf("%v", w.accepted)
		}
		if took := time.Since(began); took > time.Minute {
			t.Errorf("took %s", took)
		}
		if !strings.Contains(w.log.String(), "no answer within 5s") || !strings.Contains(w.metrics.String(), `"NotificationsUnknown":1`) {
			t.Errorf("%s\n%s", w.log.String(), w.metrics.String())
		}
	})
}

// One that refuses is tried again, and ends in the dead letters with the reason; the other has heard of it once.
func TestARefusal(t *testing.T) {
	story(t, func(t *testing.T, w *world) {
		w.tell("blue", hook("a"), hook("b"))
		tries := 0
		w.answers["b"] = func() error {
			tries++
			return &fault.Error{Class: fault.Transient, Op: "webhook", Err: fmt.Errorf("it answered 503 Service Unavailable")}
		}
		began := time.Now()
		w.send(t, started("run-1", "blue"))
		w.serve(t)
		if took := time.Since(began); w.accepted["a run-1 Started"] != 1 || tries < 50 || tries > 70 || took < 10*time.Minute || took > 12*time.Minute {
			t.Errorf("%v, tried %d times in %s", w.accepted, tries, took)
		}
		if len(w.dlq) != 1 || !strings.Contains(w.dlq[0], "b: webhook: it answered 503") || strings.Contains(w.dlq[0], "a:") {
			t.Errorf("%q", w.dlq)
		}
	})
	story(t, func(t *testing.T, w *world) { // for five minutes
		w.tell("blue", hook("b"))
		began := time.Now()
		w.answers["b"] = func() error {
			if time.Since(began) < 5*time.Minute {
				return &fault.Error{Class: fault.Transient, Op: "webhook", Err: fmt.Errorf("it answered 503 Service Unavailable")}
			}
			return nil
		}
		w.send(t, started("run-1", "blue"))
		w.serve(t)
		if w.accepted["b run-1 Started"] != 1 || len(w.dlq) > 0 {
			t.Errorf("%v %q", w.accepted, w.dlq)
		}
	})
	story(t, func(t *testing.T, w *world) { // for good, at once
		w.tell("blue", hook("b"))
		w.answers["b"] = func() error {
			return &fault.Error{Class: fault.Invalid, Op: "webhook", Err: fmt.Errorf("it answered 404 Not Found (no_service)")}
		}
		w.send(t, started("run-1", "blue"))
		w.serve(t)
		if len(w.dlq) != 1 || w.calls["post b"] != 1 {
			t.Errorf("%q, %v", w.dlq, w.calls)
		}
	})
	story(t, func(t *testing.T, w *world) { // a secret that nobody has put there
		w.tell("blue", hook("b"))
		clear(w.secrets)
		w.send(t, started("run-1", "blue"))
		w.serve(t)
		if len(w.dlq) != 1 || !strings.Contains(w.dlq[0], "there is no SSM parameter /ekspedite/notify/b in us-east-1") {
			t.Errorf("%q", w.dlq)
		}
	})
	story(t, func(t *testing.T, w *world) { // 429, and then not
		w.tell("blue", hook("b"))
		tries := 0
		w.answers["b"] = func() error {
			if tries++; tries < 3 {
				return &fault.Error{Class: fault.Throttled, RetryAfter: 7 * time.Second, Op: "webhook", Err: fmt.Errorf("it answered 429")}
			}
			return nil
		}
		began := time.Now()
		w.send(t, started("run-1", "blue"))
		w.serve(t)
		if w.accepted["b run-1 Started"] != 1 || time.Since(began) < 14*time.Second || len(w.dlq) > 0 {
			t.Errorf("%v within %s, %q", w.accepted, time.Since(began), w.dlq)
		}
	})
}

// Headers can be secrets; templates and SNS are used; a test goes to one target whatever it wants to hear of.
func TestForms(t *testing.T) {
	story(t, func(t *testing.T, w *world) {
		custom := hook("a")
		custom.Template = `{"text":{{json .Title}},"left":{{json .Run.Left}}}`
		custom.Headers = []fleet.NotificationHeader{{Name: "Authorization", Parameter: fleet.ParameterPrefix + "token"}, {Name: "X-Team", Value: "infra"}}
		topic := fleet.NotificationTarget{Name: "topic", Type: fleet.NotifySNS, TopicARN: "arn:aws:sns:us-east-1:123456789012:ekspedite-x",
			On: []fleet.Moment{fleet.MomentFailed}, Functions: []string{"interruption"}}
		w.tell("blue", custom, topic)
		w.secrets[fleet.ParameterPrefix+"token"] = "Bearer " + secret
		w.send(t, finished("run-1", "blue", events.OutcomePartiallyDrained))
		w.serve(t)
		want := webhook.Request{URL: "https://a/services/" + secret, ContentType: "application/json",
			Headers: map[string]string{"Authorization": "Bearer " + secret, "X-Team": "infra"},
			Body:    []byte(`{"text":"Attention: node node-of-run-1 of blue: only partly drained","left":["default/web-1 by PodDisruptionBudget web"]}`)}
		if len(w.requests) != 1 || fmt.Sprint(w.requests[0]) != fmt.Sprint(want) {
			t.Errorf("%s", w.requests)
		}
		if len(w.topics) != 1 || w.topics[0].Subject != "Attention: node node-of-run-1 of blue: only partly drained" || w.topics[0].Attributes["outcome"] != "PartiallyDrained" {
			t.Errorf("%+v", w.topics)
		}
		w.send(t, &events.NotificationTestRequested{RequestID: "try-1", Cluster: "blue", Region: region, Target: "topic"},
			finished("run-2", "blue", events.OutcomeDrained))
		w.serve(t)
		if len(w.topics) != 2 || !strings.HasPrefix(w.topics[1].Subject, "Test:") || len(w.requests) != 2 {
			t.Errorf("%+v", w.topics)
		}
	})
}

// News that come too late, or that nobody wants, cost no call but the policy.
func TestNobodyIsTold(t *testing.T) {
	story(t, func(t *testing.T, w *world) {
		w.tell("blue", hook("a"))
		old := started("run-1", "blue")
		old.StartedAt = time.Now().Add(-time.Hour)
		removal := started("run-2", "blue")
		removal.Cause = events.KindNodeRemovalRequested
		w.send(t, old, removal, finished("run-3", "blue", events.OutcomeNothingToDo), started("run-4", "green"))
		w.serve(t)
		if len(w.accepted) > 0 || w.calls["secret"] > 0 || len(w.dlq) > 0 {
			t.Errorf("%v %v %q", w.accepted, w.calls, w.dlq)
		}
	})
}
