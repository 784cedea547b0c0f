package interruption_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	awsevents "github.com/aws/aws-lambda-go/events"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/handler"
	"github.com/ekspedite/ekspedite/shared/ledger"
	"github.com/ekspedite/ekspedite/shared/obs"
	"github.com/ekspedite/ekspedite/shared/work/interruption"
)

// listed are our machines; fails is why they cannot be listed.
type listed struct {
	ids   map[string]bool
	fails error
	asked int
}

func (l *listed) Ours(_ context.Context, id string) (bool, error) {
	l.asked++
	return l.ids[id], l.fails
}

// known has a world's work tell our machines from others'.
func known(w *world, l *listed) handler.Work {
	work := w.work()
	open := work.Open
	work.Open = func(region string) interruption.Reach {
		r := open(region)
		r.Known = l
		return r
	}
	return work.Handle
}

func TestAStateChangeOfAForeignMachineCostsNoCall(t *testing.T) {
	for _, name := range []string{"pending", "running", "stopping", "stopped", "shutting-down", "terminated"} {
		story(t, func(t *testing.T, w *world, q *sqs) {
			l := &listed{}
			q.send(state("s1", name), 0)
			q.serve(t, known(w, l))
			for call := range w.calls {
				t.Errorf("%s: %s was called", name, call)
			}
			if coming := name == "stopping" || name == "shutting-down"; coming != (l.asked == 1) {
				t.Errorf("%s: the list was asked %d times", name, l.asked)
			}
		})
	}
}

// What is ours is looked at, and so is what cannot be told; a list that is wrong must not cost a warning its drain.
func TestWhatMayBeOursIsLookedAt(t *testing.T) {
	for name, tc := range map[string]struct {
		list *listed
		body func() string
	}{
		"ours":                      {&listed{ids: map[string]bool{machine: true}}, func() string { return state("s1", "shutting-down") }},
		"nobody can tell":           {&listed{fails: errors.New("away")}, func() string { return state("s1", "stopping") }},
		"a warning of a new one":    {&listed{}, func() string { return spot("e1") }},
		"a lifecycle hook of a new": {&listed{}, func() string { return hook("h1", events.TransitionTerminating, "t1", "EC2") }},
	} {
		t.Run(name, func(t *testing.T) {
			story(t, func(t *testing.T, w *world, q *sqs) {
				w.hook = "t1"
				q.send(tc.body(), 0)
				q.serve(t, known(w, tc.list))
				if w.cordons != 1 || !w.pods["api-0"].Deleting {
					t.Errorf("cordoned %d times", w.cordons)
				}
			})
		})
	}
}

// A state change that comes to a running drain is heard, since its machine is in the list.
func TestR2_AStateChangeTightensARunningDrain(t *testing.T) {
	story(t, func(t *testing.T, w *world, q *sqs) {
		w.budgets["web"].shut = true
		began := time.Now()
		q.send(spot("e1"), 0)
		time.AfterFunc(20*time.Second, func() { q.send(state("s1", "shutting-down"), 0) })
		q.serve(t, known(w, &listed{ids: map[string]bool{machine: true}}))
		if p := w.pods["web-0"]; !p.forced || p.goneAt.Sub(began) > 35*time.Second {
			t.Errorf("web-0: forced %t, gone after %s", p.forced, p.goneAt.Sub(began))
		}
	})
}

// EC2 throttles from the second look on, and the drain goes on as if nothing were.
func TestAThrottledEC2HoldsNoDrainUp(t *testing.T) {
	story(t, func(t *testing.T, w *world, q *sqs) {
		w.budgets["web"].shut = true
		first := true
		w.strike = func(key string) mode {
			if strings.HasPrefix(key, "instance") {
				if first {
					first = false
					return fine
				}
				return failed
			}
			return fine
		}
		began := time.Now()
		q.send(spot("e1"), 0)
		q.serve(t, w.work().Handle)
		wantDrained(t, w, q)
		if took := time.Since(began); took > 2*time.Minute+10*time.Second {
			t.Errorf("took %s", took)
		}
		if n := w.calls["instance "+machine]; n < 2 || n > 12 {
			t.Errorf("EC2 was asked %d times in two minutes", n)
		}
	})
}

// Who looks for an event finds why nothing came of it; the rest costs one line for a batch.
func TestIgnoredEventsShareALine(t *testing.T) {
	var out bytes.Buffer
	h, batch := noisy(&out, slog.LevelInfo, 10)
	metrics := obs.NewMetrics(&out, "interruption")
	h.Metrics = metrics
	if r, err := h.Handle(t.Context(), batch); err != nil || len(r.BatchItemFailures) > 0 {
		t.Fatal(r, err)
	}
	if n := strings.Count(out.String(), "\n"); n != 1 {
		t.Errorf("%d lines: %s", n, out.String())
	}
	for i := range 10 {
		if id := fmt.Sprintf("noise-%d", i); !strings.Contains(out.String(), `"event":"`+id+`"`) {
			t.Errorf("%s is not told of", id)
		}
	}
	if !strings.Contains(out.String(), "the instance belongs to no cluster") || !strings.Contains(out.String(), "i-0b662ef9931388ba0") {
		t.Errorf("no reason, or no machine: %s", out.String())
	}
	out.Reset()
	metrics.Flush(time.Now())
	if !strings.Contains(out.String(), `"Ignored":10`) || !strings.Contains(out.String(), `"kind":"InstanceStateChange"`) || strings.Contains(out.String(), "i-0b") || strings.Contains(out.String(), "noise-") {
		t.Errorf("metrics: %s", out.String())
	}
}

// noisy is the function's handler as it is deployed, with a batch of state changes of machines that are not ours.
func noisy(out io.Writer, level slog.Level, n int) (*handler.Handler, awsevents.SQSEvent) {
	work := &interruption.Work{
		Open:     func(string) interruption.Reach { return interruption.Reach{Known: &listed{}} },
		Policies: nobody{}, Ledger: &ledger.Ledger{Store: &ledger.Memory{}, Now: time.Now}, Account: account, Region: region, Now: time.Now,
		NewID: func() string { return "id" }, Metrics: obs.NewMetrics(out, "interruption"),
	}
	h := &handler.Handler{Function: "interruption", Work: work.Handle, MaxReceives: 5, Account: account, Region: region,
		NewID: work.NewID, Now: time.Now, Log: obs.NewLog(out, level, "interruption"), Metrics: work.Metrics}
	var batch awsevents.SQSEvent
	for i := range n {
		body := event("aws.ec2", "EC2 Instance State-change Notification", fmt.Sprintf("noise-%d", i),
			map[string]string{"instance-id": machine, "state": "shutting-down"}, func(e map[string]any) {
				e["resources"] = []string{"arn:aws:ec2:us-east-1:123456789012:instance/" + machine}
			})
		batch.Records = append(batch.Records, awsevents.SQSMessage{MessageId: fmt.Sprint(i), ReceiptHandle: fmt.Sprint(i), Body: body,
			Attributes: map[string]string{"ApproximateReceiveCount": "1", "SentTimestamp": "1700000000000"}})
	}
	return h, batch
}

type nobody struct{}

func (nobody) Policy(context.Context, fleet.ClusterID) (fleet.Policy, error) {
	return fleet.Policy{}, errors.New("nobody asks")
}

// BenchmarkNoise is the CPU of a state change that is nobody's here: decoding, work, log and metrics, in batches of one and ten.
func BenchmarkNoise(b *testing.B) {
	for _, n := range []int{1, 10} {
		b.Run(fmt.Sprintf("batch-%d", n), func(b *testing.B) {
			h, batch := noisy(io.Discard, slog.LevelInfo, n)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := h.Handle(b.Context(), batch); err != nil {
					b.Fatal(err)
				}
				h.Metrics.Flush(time.Now())
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*n), "µs/message")
		})
	}
}
