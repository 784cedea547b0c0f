package interruption_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"log/slog"
	mathrand "math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	awsevents "github.com/aws/aws-lambda-go/events"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/events/samples"
	"github.com/ekspedite/ekspedite/shared/handler"
	"github.com/ekspedite/ekspedite/shared/obs"
)

// TestR8_FuzzedMessages sends messages of all kinds, valid ones, repeated ones, mutated ones, poison and other people's, through the real
// handler and the real work into a crowd of machines where one call in a hundred goes wrong. Each message must end acknowledged with its
// effect, or in the dead-letter queue with a reason; none is lost, and nothing crashes. FUZZ_MESSAGES=100000 go test sends more than a
// build has time for, FUZZ_SEED others.
func TestR8_FuzzedMessages(t *testing.T) {
	count, seed := envNumber("FUZZ_MESSAGES", 10_000), uint64(envNumber("FUZZ_SEED", 20260303))
	t.Logf("%d messages, FUZZ_SEED=%d", count, seed)
	synctest.Test(t, func(t *testing.T) {
		rnd := mathrand.New(mathrand.NewPCG(seed, 1))
		c := newCrowd(mathrand.New(mathrand.NewPCG(seed, 2)), max(count/10, 60))
		f := &fuzz{t: t, crowd: c, rnd: rnd, live: map[int]*letter{}, owed: map[string]string{}}
		f.handler = &handler.Handler{Function: "interruption", Work: c.work().Handle, Queue: f, Sender: f, MaxReceives: 5, Account: account, Region: region,
			NewID: rand.Text, Now: time.Now, Log: obs.NewLog(&f.log, slog.LevelError, "interruption")}
		f.run(count)
		f.check(count)
	})
}

func envNumber(name string, otherwise int) int {
	if n, err := strconv.Atoi(os.Getenv(name)); err == nil {
		return n
	}
	return otherwise
}

// letter is a message in the queue.
type letter struct {
	id       int
	body     string
	due      time.Time
	received int
}

// fuzz is the queue, Lambda before it, and who sends.
type fuzz struct {
	t       *testing.T
	crowd   *crowd
	rnd     *mathrand.Rand
	handler *handler.Handler

	mu     sync.Mutex
	live   map[int]*letter
	n      int
	acked  int
	dead   map[string]int // by reason
	deadOf []string       // bodies
	log    lockedBuffer
	old    []string          // bodies that were sent
	owed   map[string]string // machines that have to be drained, by why
	// owedPods are Fargate pods that have to be evicted.
	owedPods []string
	mix      map[string]int
	flights  int
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (f *fuzz) put(body string, delay time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.n++
	f.live[f.n] = &letter{id: f.n, body: body, due: time.Now().Add(delay)}
}

// Continue implements handler.Queue.
func (f *fuzz) Continue(ctx context.Context, body string, delay time.Duration) error {
	return f.crowd.call(ctx, "send", func() error { f.put(body, delay); return nil })
}

// SendAll implements handler.Sender.
func (f *fuzz) SendAll(ctx context.Context, list []handler.Message) error {
	return f.crowd.call(ctx, "send all", func() error {
		for _, m := range list {
			f.put(m.Body, m.Delay)
		}
		return nil
	})
}

// Release implements handler.Queue.
func (f *fuzz) Release(ctx context.Context, receipt string, delay time.Duration) error {
	return f.crowd.call(ctx, "release", func() error {
		f.mu.Lock()
		defer f.mu.Unlock()
		if n, err := strconv.Atoi(receipt); err == nil && f.live[n] != nil {
			f.live[n].due = time.Now().Add(delay)
		}
		return nil
	})
}

// Reject implements handler.Queue.
func (f *fuzz) Reject(ctx context.Context, body, _, reason string) error {
	return f.crowd.call(ctx, "reject", func() error { f.bury(body, reason); return nil })
}

func (f *fuzz) bury(body, reason string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.dead == nil {
		f.dead = map[string]int{}
	}
	if len(reason) > 40 {
		reason = reason[:40]
	}
	f.dead[reason]++
	f.deadOf = append(f.deadOf, body)
}

// run sends for half an hour, and delivers until nothing is left.
func (f *fuzz) run(count int) {
	const tick, senders = 100 * time.Millisecond, 30 * time.Minute
	began, sent := time.Now(), 0
	for time.Since(began) < 8*time.Hour {
		for due := int(float64(count) * min(1, float64(time.Since(began)+tick)/float64(senders))); sent < due; sent++ {
			body := f.next()
			f.mu.Lock()
			f.old = append(f.old, body)
			f.mu.Unlock()
			f.put(body, 0)
		}
		f.deliver()
		f.mu.Lock()
		left := len(f.live)
		f.mu.Unlock()
		if sent == count && left == 0 {
			return
		}
		time.Sleep(tick)
	}
}

// deliver takes what is due, in batches of ten as SQS has them, one in a hundred twice at once.
func (f *fuzz) deliver() {
	f.mu.Lock()
	var batch []*letter
	flush := func() {
		if len(batch) > 0 && f.flights < 20 {
			f.flights++
			list := batch
			go f.invoke(list)
		} else {
			for _, m := range batch { // there is no more concurrency
				m.due, m.received = time.Now().Add(100*time.Millisecond), m.received-1
			}
		}
		batch = nil
	}
	var redriven []*letter
	for _, m := range f.live {
		if m.due.After(time.Now()) {
			continue
		}
		if m.received >= 5 {
			redriven = append(redriven, m)
			continue
		}
		m.received++
		m.due = time.Now().Add(visibility)
		if batch = append(batch, m); len(batch) == 10 {
			flush()
		}
	}
	flush()
	for _, m := range redriven {
		delete(f.live, m.id)
	}
	f.mu.Unlock()
	for _, m := range redriven {
		f.bury(m.body, "redriven by SQS")
	}
}

// invoke is one invocation. One that is killed answers nothing.
func (f *fuzz) invoke(list []*letter) {
	l := &life{}
	ctx, cancel := context.WithTimeout(context.WithValue(context.Background(), lifeKey{}, l), timeout)
	defer cancel()
	var in awsevents.SQSEvent
	f.mu.Lock()
	for _, m := range list {
		in.Records = append(in.Records, awsevents.SQSMessage{MessageId: strconv.Itoa(m.id), ReceiptHandle: strconv.Itoa(m.id), Body: m.body,
			Attributes: map[string]string{"ApproximateReceiveCount": strconv.Itoa(m.received)}})
	}
	f.mu.Unlock()
	out, err := f.handler.Handle(ctx, in)
	f.crowd.mu.Lock()
	died := l.dead || err != nil
	f.crowd.mu.Unlock()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.flights--
	if died {
		return
	}
	kept := map[string]bool{}
	for _, x := range out.BatchItemFailures {
		kept[x.ItemIdentifier] = true
	}
	for _, m := range list {
		if !kept[strconv.Itoa(m.id)] && f.live[m.id] != nil {
			f.acked++
			delete(f.live, m.id)
		}
	}
}

// check is what must hold at the end.
func (f *fuzz) check(count int) {
	t := f.t
	f.t.Logf("mix %v\n%d deliveries ended, dead letters %v\ncalls %v\nfaults %v", f.mix, f.acked, f.dead, f.crowd.calls, f.crowd.faults)
	if len(f.live) > 0 || f.acked < count {
		t.Errorf("%d messages are left, %d of %d were acknowledged: some were lost", len(f.live), f.acked, count)
	}
	lying := map[string]int{}
	for _, body := range f.deadOf {
		lying[body]++
	}
	malformed := 0
	for _, body := range f.old {
		if _, err := events.Decode([]byte(body)); err != nil {
			malformed++
			if lying[body]--; lying[body] < 0 {
				t.Errorf("acknowledged, and in no dead-letter queue: %.100q", body)
			}
		}
	}
	t.Logf("%d malformed, %d dead letters", malformed, len(f.deadOf))
	for _, name := range f.owedPods {
		if f.crowd.pod(name) != nil && !strings.Contains(strings.Join(f.deadOf, ""), name) {
			t.Errorf("Fargate pod %s is still there", name)
		}
	}
	for reason, n := range f.dead {
		if reason == "" || reason == "redriven by SQS" && n > count/1000 { // killed five times in a row
			t.Errorf("%d dead letters with the reason %q", n, reason)
		}
	}
	for line := range strings.Lines(f.log.b.String()) {
		if strings.Contains(line, `"panic"`) && !strings.Contains(line, "injected") {
			t.Errorf("crashed: %.800s", line)
		}
	}
	excused := strings.Join(f.deadOf, "\n")
	missing := 0
	for id, why := range f.owed {
		m := f.crowd.machines[id]
		if len(m.pods) > 0 && !strings.Contains(excused, id) {
			if missing++; missing < 10 {
				b, _ := json.Marshal(m.pods)
				t.Errorf("%s (%s) has %d pods: acknowledged without its effect; runs %+v\n%s", id, why, len(m.pods), f.crowd.finished[id], b)
			}
		}
	}
	if len(f.owed) < count/100 || len(f.dead) == 0 {
		t.Errorf("%d machines had to be drained, dead letters %v: the mix is not what it should be", len(f.owed), f.dead)
	}
	if missing > 0 {
		t.Errorf("%d of %d effects are missing", missing, len(f.owed))
	}
}

// poison are bodies that are nobody's.
func poison(rnd *mathrand.Rand) string {
	all := []string{"", "{", "null", "[]", `"text"`, "\xff\xfe\x00", `{"detail":`, strings.Repeat("[", 5000), `{"Message":"{"}`, `{"Message":{"Message":1}}`,
		`{"CodePipeline.job":{}}`, strings.Repeat("x", 1<<rnd.IntN(18)), `{"version":"0","id":"1","source":"aws.ec2","detail-type":"EC2 Spot Instance Interruption Warning","time":"2026-01-01T00:00:00Z","detail":[]}`}
	return all[rnd.IntN(len(all))]
}

// anySample is one of the contract table's.
func anySample(rnd *mathrand.Rand) string {
	all := samples.Samples()
	s := all[rnd.IntN(len(all))]
	if s.Kind == events.KindInterruptionSweepRequested { // its effects are of no one machine
		return "{}"
	}
	return string(s.Body)
}
