package bench

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/ekspedite/ekspedite/cmd/ekspedite/internal/scene"
	"github.com/ekspedite/ekspedite/infra/local/lambda"
)

// Burst is what came of many interruptions at once. Times are in milliseconds, from each machine's own notice.
type Burst struct {
	Clusters        int            `json:"clusters"`
	Nodes           int            `json:"nodes"`
	PodsPerNode     int            `json:"podsPerNode"`
	Cordoned        int            `json:"cordoned"`
	CordonP50       float64        `json:"cordonP50Ms"`
	CordonP99       float64        `json:"cordonP99Ms"`
	CordonMax       float64        `json:"cordonMaxMs"`
	LastCordon      float64        `json:"firstNoticeToLastCordonMs"`
	FirstDrained    float64        `json:"firstNoticeToFirstDrainMs"`
	LastEviction    float64        `json:"firstNoticeToLastEvictionMs"`
	AllDrained      float64        `json:"firstNoticeToLastDrainMs"`
	KubernetesCalls float64        `json:"kubernetesCallsPerNode"`
	AWSCalls        map[string]int `json:"awsCalls"`
	Invocations     int            `json:"invocations"`
	Environments    int            `json:"environments"`
	FailedRuns      int            `json:"invocationsFailed"`
	InvokedMs       float64        `json:"invokedMs"` // what Lambda bills, but for rounding up
	CPUMs           float64        `json:"cpuMs"`
	PeakMemoryMB    int            `json:"peakMemoryMB"`
	LoadBefore      string         `json:"loadBefore"` // of this machine: 1, 5 and 15 minutes
	LoadAfter       string         `json:"loadAfter"`
}

// burst interrupts machines of some clusters all at once: a third and more of them in the first cluster, as far as there are
// several.
func burst(ctx context.Context, o Options, s *scene.Scene, crowds []*crowd, nodes, pods int) (Burst, error) {
	b := Burst{Clusters: len(crowds), Nodes: nodes, PodsPerNode: pods}
	var ids []string
	for i, c := range crowds {
		n := nodes
		if len(crowds) > 1 {
			n = nodes * 6 / 10 / (len(crowds) - 1)
			if i == 0 {
				n = nodes - n*(len(crowds)-1)
			}
		}
		fmt.Fprintf(o.Out, "Launching %d machines into %s, with %d pods each\n", n, c.name, pods)
		role := fmt.Sprintf("burst-%d", time.Now().UnixNano())
		joined, err := c.join(ctx, o, n, "m5.large", "--node-labels=role="+role)
		if err != nil {
			return b, err
		}
		ids = append(ids, joined...)
		if err := c.fill(ctx, role, n*pods, fmt.Sprintf(`{"role":%q}`, role), "1s"); err != nil {
			return b, err
		}
	}
	time.Sleep(5 * time.Second) // of quiet: what launching them has set off ends
	b.LoadBefore = load()
	before := functionStats(o.Cloud)
	counted, err := count(ctx, o)
	if err != nil {
		return b, err
	}
	fmt.Fprintf(o.Out, "Interrupting %d machines of %d clusters at once\n", len(ids), len(crowds))
	began := time.Now()
	notices := make(map[string]time.Time, len(ids))
	rand.New(rand.NewPCG(1, 1)).Shuffle(len(ids), func(i, k int) { ids[i], ids[k] = ids[k], ids[i] }) // of all clusters in turn
	for _, id := range ids {
		if notices[id], err = s.Interrupt(id); err != nil {
			return b, err
		}
	}
	ends, err := ended(ctx, s, notices, 150*time.Second)
	if err != nil {
		return b, err
	}
	b.AWSCalls = counted.end()
	b.LoadAfter = load()
	b.times(crowds, notices, began, ends)
	b.costs(before, functionStats(o.Cloud))
	return b, nil
}

// run is the end of a machine's drain.
type run struct {
	at    time.Time
	calls int64
}

// ended waits until the drains of all machines have been reported, or the patience is over.
func ended(ctx context.Context, s *scene.Scene, notices map[string]time.Time, patience time.Duration) (map[string]run, error) {
	out := map[string]run{}
	for end := time.Now().Add(patience); len(out) < len(notices) && time.Now().Before(end) && ctx.Err() == nil; time.Sleep(100 * time.Millisecond) {
		for _, f := range s.Finished() {
			if _, ours := notices[f.Subject.InstanceID]; ours && f.Function == "interruption" {
				out[f.Subject.InstanceID] = run{f.FinishedAt, f.Counts["kubernetesCalls"]}
			}
		}
	}
	return out, ctx.Err()
}

func (b *Burst) times(crowds []*crowd, notices map[string]time.Time, began time.Time, ends map[string]run) {
	var took []time.Duration
	var last, lastTold time.Time
	for _, c := range crowds {
		c.mu.Lock()
		for id, at := range c.cordoned {
			if notice, ok := notices[id]; ok {
				took = append(took, at.Sub(notice))
				if at.After(last) {
					last = at
				}
			}
		}
		for id, at := range c.told {
			if _, ok := notices[id]; ok && at.After(lastTold) {
				lastTold = at
			}
		}
		c.mu.Unlock()
	}
	b.Cordoned = len(took)
	b.CordonP50, b.CordonP99, b.CordonMax = milliseconds(percentile(took, 50)), milliseconds(percentile(took, 99)), milliseconds(percentile(took, 100))
	b.LastCordon, b.LastEviction = since(began, last), since(began, lastTold)
	var first, end time.Time
	var calls int64
	for _, r := range ends {
		if first.IsZero() || r.at.Before(first) {
			first = r.at
		}
		if r.at.After(end) {
			end = r.at
		}
		calls += r.calls
	}
	b.FirstDrained = since(began, first)
	if len(ends) == len(notices) { // else there was no end
		b.AllDrained = since(began, end)
	}
	b.KubernetesCalls = float64(calls) / float64(max(1, len(ends)))
}

func (b *Burst) costs(before, after lambda.Stats) {
	b.Invocations, b.FailedRuns, b.PeakMemoryMB = after.Invocations-before.Invocations, after.Errors-before.Errors, after.PeakMemoryMB
	b.Environments = after.Environments
	b.CPUMs = milliseconds(after.CPUTotal - before.CPUTotal)
	for _, d := range after.Durations[max(0, len(after.Durations)-b.Invocations):] {
		b.InvokedMs += milliseconds(d)
	}
}

func since(began, at time.Time) float64 {
	if at.IsZero() {
		return 0
	}
	return milliseconds(at.Sub(began))
}

// inParallel makes clusters, a few at once.
func inParallel(ctx context.Context, o Options, s *scene.Scene, n int, prefix string) ([]*crowd, error) {
	out, errs := make([]*crowd, n), make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { out[i], errs[i] = gather(ctx, o, s, fmt.Sprintf("%s%d", prefix, i)) })
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// many drains nodes with as many pods as a node takes, all at once.
func many(ctx context.Context, o Options, s *scene.Scene, c *crowd, nodes int) (Burst, error) {
	return burst(ctx, o, s, []*crowd{c}, nodes, bigNodePods)
}

// Blocked is what became of pods that their PodDisruptionBudgets would not let go.
type Blocked struct {
	Nodes  int     `json:"nodes"`
	Pods   int     `json:"pods"`
	InTime int     `json:"toldInTime"`       // at least five seconds before the machine's end
	Latest float64 `json:"latestBeforeEndS"` // the least time that one of them had
}

// blocked interrupts machines whose pods a budget holds for ever. They have their own grace of 30 s.
func blocked(ctx context.Context, o Options, s *scene.Scene, c *crowd, nodes, pods int) (Blocked, error) {
	b := Blocked{Nodes: nodes}
	fmt.Fprintf(o.Out, "Interrupting %d nodes with %d pods each that their budget does not let go; this takes two minutes\n", nodes, pods)
	ids, err := c.join(ctx, o, nodes, "m5.large", "--node-labels=role=held")
	if err != nil {
		return b, err
	}
	if err := c.fill(ctx, "held", nodes*pods, `{"role":"held"}`, "1s"); err != nil {
		return b, err
	}
	if err := c.client.Apply(ctx, []byte(`{"apiVersion":"policy/v1","kind":"PodDisruptionBudget","metadata":{"name":"held","namespace":"default"},
		"spec":{"maxUnavailable":0,"selector":{"matchLabels":{"app":"held"}}}}`)); err != nil {
		return b, err
	}
	on := map[string][]string{} // instance to pods
	c.view.Look(func() {
		for _, n := range c.view.AllNodes() {
			for _, p := range c.view.PodsOn(n.Name) {
				if p.Labels["app"] == "held" {
					on[scene.InstanceID(n)] = append(on[scene.InstanceID(n)], p.UID)
				}
			}
		}
	})
	notices := map[string]time.Time{}
	for _, id := range ids {
		if notices[id], err = s.Interrupt(id); err != nil {
			return b, err
		}
	}
	if _, err := ended(ctx, s, notices, 140*time.Second); err != nil {
		return b, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	b.Latest = 120
	for id, uids := range on {
		end := notices[id].Add(2 * time.Minute)
		for _, uid := range uids {
			b.Pods++
			at, ok := c.deleting[uid]
			if !ok {
				at = end
			}
			left := end.Sub(at)
			if left >= 5*time.Second {
				b.InTime++
			}
			b.Latest = min(b.Latest, left.Seconds())
		}
	}
	return b, nil
}
