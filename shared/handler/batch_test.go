package handler

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	awsevents "github.com/aws/aws-lambda-go/events"

	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/obs"
)

func serveBatch(t *testing.T, q *queue, do BatchWork, records ...awsevents.SQSMessage) (failed []string, log string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var out bytes.Buffer
	h := &Handler{Function: "f", Queue: q, MaxReceives: 3, NewID: func() string { return "id" }, Now: time.Now,
		Log: obs.NewLog(&out, slog.LevelDebug, "f"), Metrics: obs.NewMetrics(&out, "f")}
	resp, err := h.HandleBatch(ctx, awsevents.SQSEvent{Records: records}, do)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range resp.BatchItemFailures {
		failed = append(failed, f.ItemIdentifier)
	}
	slices.Sort(q.log)
	return failed, out.String()
}

const unknown = `{"version":"0","id":"1","source":"x","detail-type":"y","account":"123456789012","region":"us-east-1","time":"2026-01-01T00:00:00Z","resources":[],"detail":{}}`

// The work sees what can be read, in order, and each record gets its own outcome.
func TestBatchWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := &queue{}
		var saw []string
		failed, _ := serveBatch(t, q, func(ctx context.Context, list []Delivery) []Outcome {
			if end, ok := ctx.Deadline(); !ok || time.Until(end) > 25*time.Second {
				t.Error("no time is left to settle in")
			}
			var out []Outcome
			for _, d := range list {
				saw = append(saw, d.MessageID)
				switch d.MessageID {
				case "again":
					out = append(out, Again(9*time.Second))
				case "fails":
					out = append(out, Failed(errors.New("no")))
				case "never":
					out = append(out, Failed(fault.New(fault.Invalid, "it can never work")))
				default:
					out = append(out, Done())
				}
			}
			return out
		}, record("done", spot, 1), record("broken", "{", 1), record("again", spot, 1), record("unknown", unknown, 1), record("fails", spot, 2), record("never", spot, 1))
		if !slices.Equal(saw, []string{"done", "again", "fails", "never"}) {
			t.Errorf("the work saw %v", saw)
		}
		if !slices.Equal(failed, []string{"fails"}) {
			t.Errorf("come back: %v", failed)
		}
		want := []string{"continue SpotInterruption after 9s", "reject broken: decode", "reject never: it can never work", "release h-fails after 2s"}
		if len(q.log) != len(want) {
			t.Fatalf("%q", q.log)
		}
		for i := range want {
			if !strings.HasPrefix(q.log[i], want[i]) {
				t.Errorf("%q, want %q", q.log[i], want[i])
			}
		}
	})
}

// A panic, or a wrong number of outcomes, fails what the work was given, and nothing else.
func TestBatchWorkThatBreaks(t *testing.T) {
	for name, do := range map[string]BatchWork{
		"panics":    func(context.Context, []Delivery) []Outcome { panic("boom") },
		"says less": func(context.Context, []Delivery) []Outcome { return nil },
	} {
		synctest.Test(t, func(t *testing.T) {
			q := &queue{}
			failed, log := serveBatch(t, q, do, record("a", spot, 1), record("unknown", unknown, 1), record("b", spot, 3))
			if !slices.Equal(failed, []string{"a"}) || len(q.log) != 2 || !strings.HasPrefix(q.log[0], "reject b: gave up after 3 deliveries") {
				t.Errorf("%s: %v %q", name, failed, q.log)
			}
			if name == "panics" && !strings.Contains(log, "boom") {
				t.Error(log)
			}
		})
	}
}
