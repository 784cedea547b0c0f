package interruption_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

// direct is a hook's notification as Auto Scaling itself puts it on a queue, without EventBridge's envelope.
func direct(transition, token, destination string) string {
	b, err := json.Marshal(map[string]string{
		"Service": "AWS Auto Scaling", "Time": time.Now().UTC().Format("2006-01-02T15:04:05.000Z"), "RequestId": "req-" + token, "AccountId": account,
		"LifecycleActionToken": token, "AutoScalingGroupName": group, "LifecycleHookName": "drain", "EC2InstanceId": machine,
		"LifecycleTransition": transition, "Origin": "AutoScalingGroup", "Destination": destination,
	})
	if err != nil {
		panic(err)
	}
	return string(b)
}

// wrapped is the same in the wrapper that SNS puts around it.
func wrapped(body string) string {
	b, err := json.Marshal(map[string]string{"Type": "Notification", "MessageId": "sns-1", "TopicArn": "arn:aws:sns:us-east-1:123456789012:t", "Message": body})
	if err != nil {
		panic(err)
	}
	return string(b)
}

// A hook is the same whichever way it comes, and all three ways together are one drain and one completion.
func TestR16_ThreeWaysToHearOfAHook(t *testing.T) {
	forms := map[string]func() []string{
		"EventBridge": func() []string { return []string{hook("h1", events.TransitionTerminating, "t1", "EC2")} },
		"direct":      func() []string { return []string{direct(events.TransitionTerminating, "t1", "EC2")} },
		"wrapped":     func() []string { return []string{wrapped(direct(events.TransitionTerminating, "t1", "EC2"))} },
		"all": func() []string {
			d := direct(events.TransitionTerminating, "t1", "EC2")
			return []string{d, wrapped(d), hook("h1", events.TransitionTerminating, "t1", "EC2")}
		},
	}
	for name, bodies := range forms {
		t.Run(name, func(t *testing.T) {
			story(t, func(t *testing.T, w *world, q *sqs) {
				w.hook, w.group.LifecycleState = "t1", "Terminating:Wait"
				for _, body := range bodies() {
					q.send(body, 0)
				}
				q.serve(t, w.work().Handle)
				if w.completed != 1 || len(w.runs(t)) != 1 || w.replaced != 0 || len(q.dlq) > 0 {
					t.Errorf("completed %d times, %d runs, %d replacements, dead letters %q", w.completed, len(w.runs(t)), w.replaced, q.dlq)
				}
				for n, p := range w.pods {
					if p.accepted > 1 || p.Deleting && p.Node != "" {
						t.Errorf("%s: evicted %d times, there when the hook was completed: %t", n, p.accepted, p.Node != "")
					}
				}
			})
		})
	}
}

// A machine that returns to its warm pool is not terminated, and a launch hook drains nothing, by the direct ways as well.
func TestR16_DirectNotificationsThatDrainNothing(t *testing.T) {
	for name, body := range map[string]func() string{
		"warm pool":         func() string { return direct(events.TransitionTerminating, "t1", events.PlaceWarmPool) },
		"warm pool wrapped": func() string { return wrapped(direct(events.TransitionTerminating, "t1", events.PlaceWarmPool)) },
		"test":              func() string { return `{"Event":"autoscaling:TEST_NOTIFICATION","AutoScalingGroupName":"g"}` },
		"test wrapped":      func() string { return wrapped(`{"Event":"autoscaling:TEST_NOTIFICATION","AutoScalingGroupName":"g"}`) },
		"test transition": func() string {
			return `{"LifecycleTransition":"autoscaling:TEST_NOTIFICATION","AccountId":"123456789012","RequestId":"r","Time":"2026-01-01T00:00:00.000Z"}`
		},
	} {
		t.Run(name, func(t *testing.T) {
			story(t, func(t *testing.T, w *world, q *sqs) {
				w.hook = "t1"
				q.send(body(), 0)
				q.serve(t, w.work().Handle)
				if w.writes > 0 || len(w.calls) > 0 || len(q.dlq) > 0 {
					t.Errorf("%d writes, calls %v, dead letters %q", w.writes, w.calls, q.dlq)
				}
			})
		})
	}
	story(t, func(t *testing.T, w *world, q *sqs) {
		w.hook, w.node.Ready = "t1", true
		q.send(direct(events.TransitionLaunching, "t1", events.PlaceAutoScalingGroup), 0)
		q.serve(t, w.work().Handle)
		if w.completed != 1 || w.cordons > 0 {
			t.Errorf("a launch: completed %d times, cordoned %d times", w.completed, w.cordons)
		}
	})
}

// Heartbeats end with the drain, however it ends: nothing beats in the background.
func TestR16_HeartbeatsStop(t *testing.T) {
	for name, tc := range map[string]struct {
		prepare func(w *world)
		last    time.Duration // no heartbeat later than this after the event
		least   int
	}{
		"success": {func(w *world) { w.budgets["web"].max = 1 }, time.Minute, 1},
		"failure": {func(w *world) {
			w.budgets["web"].shut = true
			w.add(fleet.Pod{Name: "stuck"})
			w.pods["stuck"].Deleting, w.pods["stuck"].goneAt = true, time.Now().Add(time.Hour)
		}, 15 * time.Minute, 50},
		"cancel": {func(w *world) {
			w.budgets["web"].shut = true
			time.AfterFunc(40*time.Second, func() { w.mu.Lock(); w.instance = nil; w.mu.Unlock() })
		}, 50 * time.Second, 5},
		"process death": {func(w *world) {
			w.budgets["web"].shut = true
			began := time.Now()
			w.strike = func(string) mode { return deathAfter(began, 40*time.Second) }
		}, 40 * time.Second, 5},
	} {
		t.Run(name, func(t *testing.T) {
			story(t, func(t *testing.T, w *world, q *sqs) {
				w.hook, w.group.LifecycleState = "t1", "Terminating:Wait"
				began, last, beats := time.Now(), time.Duration(0), 0
				tc.prepare(w)
				inner := w.strike
				w.strike = func(key string) mode {
					m := fine
					if inner != nil {
						m = inner(key)
					}
					if strings.HasPrefix(key, "heartbeat") && m == fine {
						last, beats = time.Since(began), beats+1
					}
					return m
				}
				q.send(hook("h1", events.TransitionTerminating, "t1", "EC2"), 0)
				q.serve(t, w.work().Handle)
				if beats < tc.least || last > tc.last {
					t.Errorf("%d heartbeats, the last one after %s", beats, last)
				}
				if name == "process death" {
					if w.completed > 0 || len(q.dlq) == 0 {
						t.Errorf("completed %d times, dead letters %q", w.completed, q.dlq)
					}
				} else if w.completed != 1 && name != "cancel" || w.calls["complete t1"] == 0 {
					t.Errorf("completed %d times, calls %v", w.completed, w.calls)
				}
			})
		})
	}
}

// deathAfter kills every invocation from a moment on.
func deathAfter(began time.Time, d time.Duration) mode {
	if time.Since(began) > d {
		return killed
	}
	return fine
}
