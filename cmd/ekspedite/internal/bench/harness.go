package bench

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/shared/handler"
	"github.com/ekspedite/ekspedite/shared/ledger"
	"github.com/ekspedite/ekspedite/shared/obs"
	"github.com/ekspedite/ekspedite/shared/work/interruption"
)

// Throughput is how fast messages go through the function's handler and work where nothing but waiting is simulated: SQS
// answers after 8 ms, every API of AWS and Kubernetes after 10.
type Throughput struct {
	Mix       string  `json:"mix"`
	Messages  int     `json:"messages"`
	Pollers   int     `json:"pollers"` // batches at once
	PerSecond float64 `json:"messagesPerSecond"`
	CPUUs     float64 `json:"cpuMicrosecondsPerMessage"`
	APICalls  float64 `json:"apiCallsPerMessage"`
	Load      string  `json:"load"`
}

const (
	queueLatency = 8 * time.Millisecond
	apiLatency   = 10 * time.Millisecond
	account      = "123456789012"
	home         = "us-east-1"
)

// mixes of messages. The first is that of Karpenter's own benchmark, of which our facts have the figures: a third each of
// Health events, spot warnings and state changes, each of a node of its own without pods. The second is what an account's
// other machines do.
var mixes = []struct {
	name string
	body func(i int) string
}{
	{"spot, health, state change in equal parts, all of our nodes", func(i int) string {
		id := instanceID(i)
		switch i % 3 {
		case 0:
			return message("aws.ec2", "EC2 Spot Instance Interruption Warning", i, map[string]any{"instance-id": id, "instance-action": "terminate"})
		case 1:
			return message("aws.ec2", "EC2 Instance State-change Notification", i, map[string]any{"instance-id": id, "state": "stopping"})
		}
		return message("aws.health", "AWS Health Event", i, map[string]any{"eventArn": "arn:aws:health:us-east-1::event/EC2/x/" + id, "service": "EC2",
			"eventTypeCode": "AWS_EC2_INSTANCE_STORE_DRIVE_PERFORMANCE_DEGRADED", "eventTypeCategory": "issue", "eventScopeCode": "ACCOUNT_SPECIFIC",
			"communicationId": id, "startTime": time.Now().UTC().Format(time.RFC1123), "statusCode": "open", "page": "1", "totalPages": "1",
			"affectedAccount": account, "eventRegion": home, "affectedEntities": []any{map[string]any{"entityValue": id, "status": "IMPAIRED"}}})
	}},
	{"spot warnings of our nodes", func(i int) string {
		return message("aws.ec2", "EC2 Spot Instance Interruption Warning", i, map[string]any{"instance-id": instanceID(i), "instance-action": "terminate"})
	}},
	{"state changes of machines that are nobody's here", func(i int) string {
		return message("aws.ec2", "EC2 Instance State-change Notification", i, map[string]any{"instance-id": fmt.Sprintf("i-0f%015x", i), "state": "shutting-down"})
	}},
}

// instanceID is the machine of message i in the simulation.
func instanceID(i int) string { return fmt.Sprintf("i-0a%015x", i) }

func message(source, detailType string, i int, detail map[string]any) string {
	text, err := json.Marshal(map[string]any{"version": "0", "id": fmt.Sprintf("e-%d", i), "source": source, "detail-type": detailType, "account": account, "region": home,
		"time": time.Now().UTC().Format(time.RFC3339), "resources": []string{"arn:aws:ec2:us-east-1:123456789012:instance/" + instanceID(i)}, "detail": detail})
	if err != nil {
		panic(err) // strings
	}
	return string(text)
}

// throughput sends messages of a mix through so many pollers.
func throughput(ctx context.Context, o Options, mix, messages, pollers int) (Throughput, error) {
	fmt.Fprintf(o.Out, "%d messages through the handler, %d batches at once: %s\n", messages, pollers, mixes[mix].name)
	sim := &simulation{}
	payloads := make(chan []byte, messages/10+1)
	for from := 0; from < messages; from += 10 {
		var records []any
		for i := from; i < min(from+10, messages); i++ {
			records = append(records, map[string]any{"messageId": fmt.Sprint(i), "receiptHandle": fmt.Sprint(i), "body": mixes[mix].body(i), "eventSource": "aws:sqs",
				"attributes": map[string]string{"ApproximateReceiveCount": "1", "SentTimestamp": fmt.Sprint(time.Now().UnixMilli())}})
		}
		text, err := json.Marshal(map[string]any{"Records": records})
		if err != nil {
			return Throughput{}, err
		}
		payloads <- text
	}
	close(payloads)
	began, cpu := time.Now(), ownCPU()
	var failures atomic.Int64
	var wg sync.WaitGroup
	for range pollers {
		wg.Go(func() { // Lambda's poller, and the environment that it invokes
			handle := sim.environment()
			for text := range payloads {
				time.Sleep(queueLatency) // receive
				if err := handle(ctx, text); err != nil {
					failures.Add(1)
				}
				time.Sleep(queueLatency) // delete
			}
		})
	}
	wg.Wait()
	took := time.Since(began)
	if n := failures.Load(); n > 0 {
		return Throughput{}, fmt.Errorf("%d batches failed", n)
	}
	return Throughput{Mix: mixes[mix].name, Messages: messages, Pollers: pollers, PerSecond: float64(messages) / took.Seconds(),
		CPUUs: float64((ownCPU() - cpu).Microseconds()) / float64(messages), APICalls: float64(sim.calls.Load()) / float64(messages), Load: load()}, nil
}

// environment is one execution environment with the function's own handler and work.
func (s *simulation) environment() func(ctx context.Context, payload []byte) error {
	metrics := obs.NewMetrics(io.Discard, "interruption")
	work := &interruption.Work{
		Open: s.open(), Policies: s, Bus: s, Ledger: &ledger.Ledger{Store: s, Now: time.Now},
		Account: account, Region: home, NewID: rand.Text, Now: time.Now, Metrics: metrics,
	}
	h := &handler.Handler{Function: "interruption", Work: work.Handle, Queue: s, MaxReceives: 5, Account: account, Region: home,
		NewID: rand.Text, Now: time.Now, Log: obs.NewLog(io.Discard, slog.LevelInfo, "interruption"), Metrics: metrics}
	serve := decoding(h.Handle)
	return func(ctx context.Context, payload []byte) error {
		ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
		defer cancel()
		defer metrics.Flush(time.Now())
		answer, err := serve(ctx, payload)
		if err == nil && len(answer) > len(`{"batchItemFailures":null}`) {
			err = errors.New("records failed: " + string(answer))
		}
		return err
	}
}

// decoding is what Lambda's runtime does around a handler: it counts as the function's time.
func decoding[In, Out any](handle func(context.Context, In) (Out, error)) func(context.Context, []byte) ([]byte, error) {
	return func(ctx context.Context, payload []byte) ([]byte, error) {
		var in In
		if err := json.Unmarshal(payload, &in); err != nil {
			return nil, err
		}
		out, err := handle(ctx, in)
		if err != nil {
			return nil, err
		}
		return json.Marshal(out)
	}
}

// Continue implements handler.Queue: the looks to come are not what is measured.
func (s *simulation) Continue(context.Context, string, time.Duration) error {
	time.Sleep(queueLatency)
	return nil
}

// Release implements handler.Queue.
func (s *simulation) Release(context.Context, string, time.Duration) error {
	return errors.New("nothing is to fail here")
}

// Reject implements handler.Queue.
func (s *simulation) Reject(_ context.Context, _, _, reason string) error {
	return errors.New("nothing is to be rejected here: " + reason)
}

// Publish implements interruption.Publisher.
func (s *simulation) Publish(context.Context, ...events.Event) error {
	s.call()
	return nil
}
