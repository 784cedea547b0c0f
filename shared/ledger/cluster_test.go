package ledger

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

var demo = fleet.ClusterID{Region: "us-east-1", Name: "demo"}

func TestDesire(t *testing.T) {
	ctx := context.Background()
	at := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	l := &Ledger{Store: &Memory{}, Now: func() time.Time { return at }}
	if p, err := l.Policy(ctx, demo); err != nil || !reflect.DeepEqual(p, fleet.DefaultPolicy()) {
		t.Errorf("%+v, %v", p, err)
	}
	policy := fleet.DefaultPolicy()
	policy.Interruption.Rebalance = fleet.RebalanceDrain
	for _, c := range []struct {
		id       string
		after    time.Duration
		accepted bool
		stands   string
	}{
		{"one", 0, true, "one"},
		{"one", 0, true, "one"},  // delivered again
		{"two", 0, true, "two"},  // within the same second
		{"one", 0, false, "two"}, // an old one, again
		{"four", time.Minute, true, "four"},
		{"three", 30 * time.Second, false, "four"}, // late
		{"two", 0, false, "four"},
	} {
		ok, err := l.Desire(ctx, Desired{ClusterID: demo, Text: c.id, Policy: policy, RequestID: c.id, RunID: "run-" + c.id, RequestedAt: at.Add(c.after)})
		if err != nil || ok != c.accepted {
			t.Errorf("%s: %v, %v", c.id, ok, err)
		}
		if d, err := l.Desired(ctx, demo); err != nil || d.RequestID != c.stands || d.Text != c.stands {
			t.Errorf("after %s: %+v, %v", c.id, d, err)
		}
	}
	if p, err := l.Policy(ctx, demo); err != nil || !reflect.DeepEqual(p, policy) {
		t.Errorf("%+v, %v", p, err)
	}
	if names, err := l.Clusters(ctx); err != nil || !slices.Equal(names, []fleet.ClusterID{demo}) {
		t.Error(names, err)
	}
}

// TestWhatIsToEndIsNotScaled: pods that lose their nodes with their cluster get no new ones.
func TestWhatIsToEndIsNotScaled(t *testing.T) {
	l := &Ledger{Store: &Memory{}, Now: time.Now}
	policy := fleet.DefaultPolicy()
	policy.Scaling.Mode = fleet.ScalingAct
	for _, end := range []bool{false, true} {
		d := Desired{ClusterID: demo, Policy: policy, RequestID: fmt.Sprint(end), RequestedAt: time.Now(), Delete: end}
		if _, err := l.Desire(t.Context(), d); err != nil {
			t.Fatal(err)
		}
		if p, err := l.Policy(t.Context(), demo); err != nil || (p.Scaling.Mode == fleet.ScalingOff) != end {
			t.Errorf("to end: %t, scaling is %s, %v", end, p.Scaling.Mode, err)
		}
	}
}

// TestDesireAtOnce: of many requests at once, the newest stands.
func TestDesireAtOnce(t *testing.T) {
	ctx := context.Background()
	at := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	for range 50 {
		l := &Ledger{Store: &Memory{}, Now: func() time.Time { return at }}
		var wg sync.WaitGroup
		for i := range 5 {
			wg.Go(func() {
				if _, err := l.Desire(ctx, Desired{ClusterID: demo, RequestID: fmt.Sprint(i), RequestedAt: at.Add(time.Duration(i) * time.Second)}); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if d, err := l.Desired(ctx, demo); err != nil || d.RequestID != "4" {
			t.Fatal(d, err)
		}
	}
}

func TestClusterRun(t *testing.T) {
	ctx := context.Background()
	l := &Ledger{Store: &Memory{}, Now: time.Now}
	first, err := l.ClusterRun(ctx, demo)
	if err != nil || first.RunID != "" || first.Over() {
		t.Fatal(first, err)
	}
	run := first.Follow(ClusterRun{RunID: "a"})
	run.Made = map[string]fleet.Making{"vpc": {Times: 2}}
	saved, err := l.SaveClusterRun(ctx, demo, run)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.SaveClusterRun(ctx, demo, first.Follow(ClusterRun{RunID: "b"})); !fault.Is(err, fault.Conflict) {
		t.Errorf("a lost lease's write: %v", err)
	}
	next := saved.Follow(ClusterRun{RunID: "c"})
	if next.Made["vpc"].Times != 0 || len(next.Made) != 1 {
		t.Errorf("%+v", next)
	}
	if _, err := l.SaveClusterRun(ctx, demo, next); err != nil {
		t.Error(err)
	}
}
