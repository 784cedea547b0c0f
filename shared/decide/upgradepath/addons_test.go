package upgradepath

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

// tell is a way in short: "33: v1 → v2".
func tell(way []Update) (out []string) {
	for _, u := range way {
		s := u.At.String() + ": " + u.From + " → " + u.To
		if u.Late {
			s += " late"
		}
		out = append(out, s)
	}
	return out
}

func TestWay(t *testing.T) {
	dns := []fleet.AddonRelease{release("v1.3.0", 35, 36), release("v1.2.0", 33, 34, 35), release("v1.1.0", 32, 33)}
	cni := []fleet.AddonRelease{release("v1.21.0", 36), release("v1.20.1", 33, 34, 35, 36), release("v1.20.0", 33, 34, 35, 36, 0, 36), release("v1.19.0", 33, 34), release("v1.18.0", 33)}
	proxy := []fleet.AddonRelease{release("v1.36.1", 36), release("v1.35.1", 35, 36), release("v1.33.1", 33, 34, 35, 36), release("v1.31.1", 31, 32, 33, 34, 35)}
	for name, c := range map[string]struct {
		q    Question
		want []string
		gaps int
		fail bool
	}{
		"nothing to do":                        {q: Question{Have: "v1.2.0", From: 33, To: 35, Releases: dns}},
		"before the hop, to a version for two": {q: Question{Have: "v1.1.0", From: 32, To: 34, Releases: dns}, want: []string{"1.33: v1.1.0 → v1.2.0"}},
		"twice, each as late as it may be": {q: Question{Have: "v1.1.0", From: 33, To: 36, Releases: dns},
			want: []string{"1.33: v1.1.0 → v1.2.0", "1.35: v1.2.0 → v1.3.0"}},
		"the newest at the end":               {q: Question{Have: "v1.2.0", From: 34, To: 35, Releases: dns, Newest: true}, want: []string{"1.35: v1.2.0 → v1.3.0"}},
		"a pin that lets it go on so far":     {q: Question{Have: "v1.1.0", From: 33, To: 35, Releases: dns, Pin: "v1.2.0", Newest: true}, want: []string{"1.33: v1.1.0 → v1.2.0"}},
		"a pin that holds it":                 {q: Question{Have: "v1.2.0", From: 34, To: 36, Releases: dns, Pin: "v1.2.0"}, fail: true},
		"no versions":                         {q: Question{Have: "v1.2.0", From: 34, To: 36}, fail: true},
		"what is installed is not listed":     {q: Question{Have: "v1.0.0", From: 33, To: 33, Releases: dns}, want: []string{"1.33: v1.0.0 → v1.2.0 late"}},
		"what is installed is newer than all": {q: Question{Have: "v2.0.0", From: 33, To: 34, Releases: dns}, fail: true},
		"no version for both": {q: Question{Have: "a1.1", From: 33, To: 34, Releases: []fleet.AddonRelease{release("a1.2", 34), release("a1.1", 33)}},
			want: []string{"1.34: a1.1 → a1.2 late"}, gaps: 1},
		"rather one update more than a gap": {q: Question{Have: "1.0", From: 33, To: 34, Releases: []fleet.AddonRelease{release("1.3", 34), release("1.2", 33, 34), release("1.0", 33)}, Newest: true},
			want: []string{"1.33: 1.0 → 1.2", "1.34: 1.2 → 1.3"}},
		"vpc-cni by one minor, to the default": {q: Question{Name: vpcCNI, Have: "v1.18.0", From: 33, To: 36, Releases: cni},
			want: []string{"1.33: v1.18.0 → v1.19.0", "1.34: v1.19.0 → v1.20.0"}},
		"vpc-cni to the newest": {q: Question{Name: vpcCNI, Have: "v1.18.0", From: 33, To: 36, Releases: cni, Newest: true},
			want: []string{"1.33: v1.18.0 → v1.19.0", "1.34: v1.19.0 → v1.20.0", "1.36: v1.20.0 → v1.21.0"}},
		"another add-on skips minors": {q: Question{Name: "x", Have: "v1.18.0", From: 33, To: 36, Releases: cni}, want: []string{"1.33: v1.18.0 → v1.20.0"}},
		"kube-proxy goes with its cluster, after it": {q: Question{Name: kubeProxy, Have: "v1.33.1", From: 33, To: 36, Releases: proxy},
			want: []string{"1.36: v1.33.1 → v1.36.1"}},
		"kube-proxy no further behind than three": {q: Question{Name: kubeProxy, Have: "v1.31.1", From: 34, To: 35, Releases: proxy},
			want: []string{"1.34: v1.31.1 → v1.33.1", "1.35: v1.33.1 → v1.35.1"}},
		"back": {q: Question{Have: "v1.3.0", From: 35, To: 34, Back: true, Releases: dns}, want: []string{"1.35: v1.3.0 → v1.2.0"}},
		"kube-proxy back, never newer than the control plane": {q: Question{Name: kubeProxy, Have: "v1.36.1", From: 36, To: 35, Back: true, Releases: proxy},
			want: []string{"1.36: v1.36.1 → v1.35.1"}},
	} {
		t.Run(name, func(t *testing.T) {
			way, gaps, ok := Way(c.q)
			if ok == c.fail {
				t.Fatalf("ok %v, way %v", ok, tell(way))
			}
			if got := tell(way); !slices.Equal(got, c.want) || gaps != c.gaps {
				t.Errorf("got %q with %d gaps\nwant %q with %d", got, gaps, c.want, c.gaps)
			}
		})
	}
}

// brute tries every way: at each minor every set of versions, one after another.
type brute struct {
	q    Question
	best []int // gaps, short, updates
	n    int
}

func (b *brute) works(r fleet.AddonRelease, m fleet.Minor) bool {
	if b.q.Name == "kube-proxy" {
		if v := fleet.Minor(parts(r.Version)[1]); v > m || m-v > 3 {
			return false
		}
	}
	return slices.Contains(r.Minors, m)
}

func (b *brute) walk(have fleet.AddonRelease, m fleet.Minor, gaps, updates int) {
	b.n++
	if b.works(have, m) {
		if m == b.q.To {
			b.arrive(have, gaps, updates)
		} else {
			gap := 0
			if !b.works(have, m+1) {
				gap = 1
			}
			b.walk(have, m+1, gaps+gap, updates)
		}
	}
	for _, r := range b.q.Releases {
		from, to := parts(have.Version), parts(r.Version)
		if slices.Compare(to, from) <= 0 || !b.works(r, m) || b.q.Name == "vpc-cni" && to[1] > from[1]+1 {
			continue
		}
		if b.q.Pin != "" && (b.q.Have == b.q.Pin || slices.Compare(to, parts(b.q.Pin)) > 0) {
			continue
		}
		b.walk(r, m, gaps, updates+1)
	}
}

func (b *brute) arrive(have fleet.AddonRelease, gaps, updates int) {
	short := 0
	switch {
	case b.q.Newest:
		for _, r := range b.q.Releases {
			over := b.q.Pin != "" && (b.q.Have == b.q.Pin || slices.Compare(parts(r.Version), parts(b.q.Pin)) > 0)
			if slices.Compare(parts(r.Version), parts(have.Version)) > 0 && b.works(r, b.q.To) && !over {
				short++
			}
		}
	case b.q.Name == "kube-proxy":
		short = int(b.q.To) - parts(have.Version)[1]
	}
	if got := []int{gaps, short, updates}; b.best == nil || slices.Compare(got, b.best) < 0 {
		b.best = got
	}
}

// Every way is as good as the best of all that there are, and valid, on 10,000 random lists of versions.
func TestWayIsTheBest(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 4))
	var slowest time.Duration
	ways, none, gapped, tried := 0, 0, 0, 0
	for i := range 10_000 {
		q := Question{Name: []string{"vpc-cni", "kube-proxy", "coredns"}[r.IntN(3)], From: fleet.Minor(29 + r.IntN(6)), Newest: r.IntN(2) == 0}
		q.To = q.From + fleet.Minor(r.IntN(5))
		q.Releases = randomReleases(r, q.Name, false)
		r.Shuffle(len(q.Releases), func(a, b int) { q.Releases[a], q.Releases[b] = q.Releases[b], q.Releases[a] })
		q.Have = q.Releases[r.IntN(len(q.Releases))].Version
		if here := slices.DeleteFunc(slices.Clone(q.Releases), func(a fleet.AddonRelease) bool { return !(&brute{q: q}).works(a, q.From) }); len(here) > 0 && r.IntN(4) > 0 {
			q.Have = here[r.IntN(len(here))].Version
		}
		have := q.Releases[slices.IndexFunc(q.Releases, func(a fleet.AddonRelease) bool { return a.Version == q.Have })]
		if r.IntN(4) == 0 {
			q.Pin = q.Releases[r.IntN(len(q.Releases))].Version
		}
		if r.IntN(10) == 0 { // EKS lists it no more
			q.Releases = slices.DeleteFunc(q.Releases, func(a fleet.AddonRelease) bool { return a.Version == q.Have })
			have.Minors = nil
		}
		begun := time.Now()
		way, gaps, ok := Way(q)
		took := time.Since(begun)
		for range 3 { // the machine may have been busy with something else
			if took < time.Millisecond {
				break
			}
			begun = time.Now()
			Way(q)
			took = min(took, time.Since(begun))
		}
		slowest = max(slowest, took)

		b := brute{q: q}
		b.walk(have, q.From, 0, 0)
		tried += b.n
		if ok != (b.best != nil) {
			t.Fatalf("graph %d: ok %v, by brute force %v: %+v", i, ok, b.best, q)
		}
		if !ok {
			none++
			continue
		}
		got := retrace(t, q, have, way)
		if !slices.Equal(got, b.best) || gaps != got[0] {
			t.Fatalf("graph %d: gaps, shortcoming and updates are %v (it says %d gaps), the best %v: %v of %+v", i, got, gaps, b.best, tell(way), q)
		}
		if ways++; gaps > 0 {
			gapped++
		}
	}
	if ways < 3000 || none < 500 || gapped < 200 {
		t.Errorf("the graphs are too much alike: %d ways, %d of them with gaps, %d without", ways, gapped, none)
	}
	if slowest > 50*time.Millisecond {
		t.Errorf("the slowest way took %s", slowest)
	}
	t.Logf("%d ways, %d of them with gaps, %d graphs without a way; brute force took %d steps; the slowest way %s", ways, gapped, none, tried, slowest)
}

// retrace follows a way by the rules, and gives what it costs.
func retrace(t *testing.T, q Question, have fleet.AddonRelease, way []Update) []int {
	t.Helper()
	b := brute{q: q}
	gaps := 0
	for m := q.From; ; m++ {
		for len(way) > 0 && way[0].At == m {
			u := way[0]
			i := slices.IndexFunc(q.Releases, func(r fleet.AddonRelease) bool { return r.Version == u.To })
			if u.From != have.Version || i < 0 || !b.works(q.Releases[i], m) || u.Late == b.works(have, m) {
				t.Fatalf("an update that is not valid: %+v at %s of %+v", u, m, q)
			}
			from, to := parts(u.From), parts(u.To)
			if slices.Compare(to, from) <= 0 || q.Name == "vpc-cni" && to[1] > from[1]+1 || q.Pin != "" && slices.Compare(to, parts(q.Pin)) > 0 {
				t.Fatalf("an update that is not allowed: %+v of %+v", u, q)
			}
			have, way = q.Releases[i], way[1:]
			b.n++
		}
		if !b.works(have, m) {
			t.Fatalf("%s does not work at %s: %+v", have.Version, m, q)
		}
		if m == q.To {
			break
		}
		if !b.works(have, m+1) {
			gaps++
		}
	}
	updates := b.n
	if len(way) > 0 {
		t.Fatalf("updates after the end: %v", way)
	}
	b.arrive(have, gaps, updates)
	return b.best
}
