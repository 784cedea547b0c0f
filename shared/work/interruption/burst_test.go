package interruption_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// concurrency is what the template allows the function.
const concurrency = 60

// warn sends a warning for every machine, all at once, in any order.
func (b *burst) warn() {
	b.began = time.Now()
	var ids []string
	for id := range b.machines {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	b.rnd.Shuffle(len(ids), func(i, k int) { ids[i], ids[k] = ids[k], ids[i] })
	for _, id := range ids {
		b.sent++
		b.messages = append(b.messages, &message{id: fmt.Sprintf("m%d", b.sent), body: strings.ReplaceAll(spot("e-"+id), machine, id), due: time.Now()})
	}
}

// cordons are the times from the warnings to the cordons of the clusters that answer, sorted; missing is how many are not cordoned.
func (b *burst) cordons() (list []time.Duration, missing int) {
	for _, m := range b.machines {
		switch {
		case b.clusters[m.cluster].hangs:
		case m.cordoned.IsZero():
			missing++
		default:
			list = append(list, m.cordoned.Sub(b.began))
		}
	}
	slices.Sort(list)
	return list, missing
}

// zone is a zone's worth of nodes: 20 clusters, one of them large.
func zone() map[string]int {
	sizes := map[string]int{"beef": 400}
	for i := range 19 {
		sizes[fmt.Sprintf("c%03d", i)] = 600/19 + min(1, max(0, 600%19-i))
	}
	return sizes
}

func TestR19_AZoneIsCordonedBeforeTheFirstDrainEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBurst(1, 12, zone())
		b.warn()
		b.serve(concurrency, 3*time.Minute)
		took, missing := b.cordons()
		slices.SortFunc(b.finished, time.Time.Compare)
		if missing > 0 || len(took) != 1000 || len(b.finished) < 1000 {
			t.Fatalf("%d cordoned, %d not, %d drains ended, %d messages are left", len(took), missing, len(b.finished), len(b.messages))
		}
		last, first := took[len(took)-1], b.finished[0].Sub(b.began)
		t.Logf("cordons: p50 %s, p99 %s, last %s; the first drain ended after %s, the last after %s", took[500], took[990], last, first, b.finished[len(b.finished)-1].Sub(b.began))
		t.Logf("%d environments; EC2: %d calls, %d throttled; Auto Scaling: %d calls; beef: %d requests, %d refused, %d at once at most", b.made,
			b.ec2Calls, b.ec2Throttled, b.groupCalls, b.clusters["beef"].served, b.clusters["beef"].refused, b.clusters["beef"].peak)
		if last > 5*time.Second {
			t.Errorf("the last node was cordoned after %s", last)
		}
		if last > first {
			t.Errorf("a drain ended after %s, before the last node was cordoned after %s", first, last)
		}
		for _, m := range b.machines {
			for _, p := range m.pods {
				if p.accepted != 1 {
					t.Fatalf("%s was evicted %d times", p.Name, p.accepted)
				}
			}
		}
	})
}

func TestR17_AServerWithFewSeats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBurst(2, 30, map[string]int{"beef": 200})
		b.clusters["beef"].seats = 15
		b.warn()
		b.serve(concurrency, 3*time.Minute)
		took, missing := b.cordons()
		s := b.clusters["beef"]
		t.Logf("cordons: p50 %s, last %s; %d requests, %d refused", took[len(took)/2], took[len(took)-1], s.served, s.refused)
		if missing > 0 || len(b.finished) < 200 {
			t.Errorf("%d not cordoned, %d drains ended", missing, len(b.finished))
		}
		// 20 environments that know nothing of one another on 15 seats: refusals cannot be avoided, but must not prevail.
		if s.refused > s.served {
			t.Errorf("%d of %d requests were refused", s.refused, s.refused+s.served)
		}
		if last := took[len(took)-1]; last > 10*time.Second {
			t.Errorf("the last node was cordoned after %s", last)
		}
	})
}

// A batch ends with its slowest message, and Lambda starts with few batches: an API server that hangs does cost the others
// something, once in each environment, until that knows of it. It is bounded by what one request may take, and not by the
// invocation's 30 s; it is not nothing.
func TestOneClusterThatHangsCostsTheOthersOneTimeout(t *testing.T) {
	var last, median [2]time.Duration
	for i, hangs := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			sizes := map[string]int{}
			for c := range 20 {
				sizes[fmt.Sprintf("c%03d", c)] = 50
			}
			b := newBurst(3, 12, sizes)
			b.clusters["c007"].hangs = hangs
			b.warn()
			b.serve(concurrency, 100*time.Second)
			took, missing := b.cordons()
			if missing > 0 {
				t.Fatalf("%d nodes were not cordoned", missing)
			}
			last[i], median[i] = took[len(took)-1], took[len(took)/2]
			t.Logf("hangs %t: p50 %s, p99 %s, last %s, %d environments, %d calls to EC2, %d drains ended", hangs, median[i], took[len(took)*99/100], last[i], b.made, b.ec2Calls, len(b.finished))
		})
	}
	if more := last[1] - last[0]; more > 3*time.Second {
		t.Errorf("the last node of the others was cordoned %s later", more)
	}
	if more := median[1] - median[0]; more > 3*time.Second {
		t.Errorf("half of the others' nodes were cordoned %s later", more)
	}
}
