package interruption_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	awsevents "github.com/aws/aws-lambda-go/events"

	"github.com/ekspedite/ekspedite/shared/handler"
	"github.com/ekspedite/ekspedite/shared/obs"
)

// One batch with everything that is wrong in a message and one real warning: the warning is served, what is malformed is in the
// dead-letter queue at once with the field named, what is unknown or another's is acknowledged, and nothing fails the batch.
func TestR8_PoisonNeverFailsItsBatchMates(t *testing.T) {
	story(t, func(t *testing.T, w *world, q *sqs) {
		bad := map[string]string{ // body: what the reason names
			"{":        "JSON",
			`[1,2,3]`:  "object",
			"\xff\xfe": "",
			event("aws.ec2", "EC2 Spot Instance Interruption Warning", "p1", map[string]any{"instance-id": 7, "instance-action": "terminate"}):                                        "instance-id",
			event("aws.ec2", "EC2 Spot Instance Interruption Warning", "p2", map[string]any{"instance-id": strings.Repeat("x", 256<<10), "instance-action": "terminate"}):             "instance-id",
			event("aws.health", "AWS Health Event", "p3", map[string]any{"eventArn": "a", "service": "EC2", "eventTypeCode": "c", "eventTypeCategory": "issue", "startTime": "soon"}): "startTime",
			event("aws.ec2", "Capacity Block Expiration Warning", "p4", map[string]any{"capacity-reservation-id": "cr-1", "end-date": "2026-03-10T11:30:00Z"}):                        "capacity-reservation-id",
			event("ekspedite", "Machine Signal", "p5", map[string]any{"instanceId": machine, "cause": "x", "saidAt": time.Now(), "deadline": time.Now(), "fate": "eaten"}):            "fate",
		}
		good := []string{
			event("com.example", "Tea Is Ready", "g1", map[string]any{}),
			spot("e1", func(e map[string]any) { e["resources"] = "arn:aws:ec2:us-east-1:123456789012:instance/" + machine }),
		}
		var records []awsevents.SQSMessage
		for _, body := range append(good, slices.Sorted(keys(bad))...) {
			id := fmt.Sprintf("p%d", len(records))
			records = append(records, awsevents.SQSMessage{MessageId: id, ReceiptHandle: id + "/1", Body: body, Attributes: map[string]string{"ApproximateReceiveCount": "1"}})
		}
		h := &handler.Handler{Function: "interruption", Work: w.work().Handle, Queue: q, MaxReceives: maxReceives, Account: account, Region: region,
			NewID: rand.Text, Now: time.Now, Log: obs.NewLog(io.Discard, slog.LevelError, "interruption")}
		out, err := h.Handle(t.Context(), awsevents.SQSEvent{Records: records})
		if err != nil || len(out.BatchItemFailures) > 0 {
			t.Errorf("%v, failures %v", err, out.BatchItemFailures)
		}
		if len(q.dlq) != len(bad) {
			t.Errorf("%d dead letters of %d: %q", len(q.dlq), len(bad), q.dlq)
		}
		for body, names := range bad {
			if !slices.ContainsFunc(q.dlq, func(reason string) bool { return strings.Contains(reason, names) }) {
				t.Errorf("no reason names %q of %.60q: %q", names, body, q.dlq)
			}
		}
		q.dlq = nil
		q.serve(t, w.work().Handle)
		wantDrained(t, w, q)
	})
}

// What makes the work panic is tried as often as the queue allows and no more, and then lies in the dead-letter queue with the reason.
func TestR8_WhatAlwaysCrashesEndsAsADeadLetter(t *testing.T) {
	story(t, func(t *testing.T, w *world, q *sqs) {
		tries := 0
		work := func(handler.Delivery) { tries++; panic("boom") }
		q.send(spot("e1"), 0)
		q.serve(t, func(_ context.Context, d handler.Delivery) handler.Outcome { work(d); return handler.Done() })
		if tries != maxReceives || len(q.dlq) != 1 || !strings.Contains(q.dlq[0], "boom") || !strings.Contains(q.dlq[0], fmt.Sprintf("after %d deliveries", maxReceives)) {
			t.Errorf("%d tries, dead letters %q", tries, q.dlq)
		}
	})
}
