package cluster

import (
	"encoding/json"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/plan"
)

func TestForecastIsTheWholePlan(t *testing.T) {
	for name, s := range map[string]fleet.ClusterSpec{"demo": demo(), "private": private()} {
		p, err := Forecast(now, empty(), s, opt)
		if err != nil {
			t.Fatal(err)
		}
		golden(t, name+".txt", p.String())
		text, err := json.MarshalIndent(p, "", " ")
		if err != nil {
			t.Fatal(err)
		}
		golden(t, name+".json", string(text)+"\n")
	}
}

func TestWhatIsForecastIsWhatIsDone(t *testing.T) {
	for _, s := range []fleet.ClusterSpec{demo(), private()} {
		o := empty()
		p, err := Forecast(now, o, s, opt)
		if err != nil {
			t.Fatal(err)
		}
		var forecast, done []string
		for _, step := range p.Steps {
			for _, a := range step.Actions {
				forecast = append(forecast, a.(plan.Call).ID+" "+a.Kind())
			}
		}
		for _, c := range simulate(t, s, &o) {
			done = append(done, c.ID+" "+c.API)
		}
		slices.Sort(forecast)
		slices.Sort(done)
		if !slices.Equal(forecast, done) {
			t.Errorf("forecast:\n%s\ndone:\n%s", strings.Join(forecast, "\n"), strings.Join(done, "\n"))
		}
	}
}

// TestAnyPartMayBeMissing: whatever is deleted from a finished cluster comes back, and nothing else is made.
func TestAnyPartMayBeMissing(t *testing.T) {
	const seed = 7
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	for _, s := range []fleet.ClusterSpec{demo(), private()} {
		o := empty()
		simulate(t, s, &o)
		ids := make([]string, 0, len(o.Found))
		for id := range o.Found {
			if id != idVPC && id != idCluster { // what is in them would be gone, too
				ids = append(ids, id)
			}
		}
		slices.Sort(ids)
		for range 20 {
			gone := map[string]bool{}
			for range 1 + random.IntN(5) {
				id := ids[random.IntN(len(ids))]
				gone[id] = true
				delete(o.Found, id)
			}
			for _, c := range simulate(t, s, &o) {
				made := c.ID
				for id := range gone {
					if c.ID == id || strings.HasPrefix(c.ID, id+"/") || c.Effect == plan.Change {
						made = ""
					}
				}
				if made != "" {
					t.Errorf("%v were gone, and %s was made", gone, c)
				}
			}
		}
	}
}

func TestAnotherOnesClusterIsLeftAlone(t *testing.T) {
	o := empty()
	o.Found[idCluster] = []fleet.Resource{{Ref: fleet.Ref{ID: idCluster, Kind: "cluster"}, Physical: "demo", Status: "ACTIVE", Props: fleet.Props{}}}
	for range 10 {
		p, err := Decide(now, o, demo(), opt)
		if err != nil {
			t.Fatal(err)
		}
		for _, step := range p.Steps {
			for _, a := range step.Actions {
				c := a.(plan.Call)
				if strings.HasPrefix(c.API, "eks:") || strings.HasPrefix(c.API, "kubernetes:") {
					t.Errorf("%s", c)
				}
				carryOut(t, &o, c)
			}
		}
		if p.Outcome != "" {
			if p.Outcome != OutcomeFailed || !strings.Contains(p.Reason, "ekspedite did not make") {
				t.Errorf("%s", p)
			}
			return
		}
	}
	t.Error("does not end")
}

func TestWhatTheRunRemembers(t *testing.T) {
	at := func(d time.Duration) time.Time { return now.Add(-d) }
	trouble := func(since time.Duration, tries int, class string, fatal bool) map[string]fleet.Trouble {
		return map[string]fleet.Trouble{idVPC: {Since: at(since), Tries: tries, Text: "no", Class: class, Fatal: fatal}}
	}
	for name, tc := range map[string]struct {
		made     map[string]fleet.Making
		troubles map[string]fleet.Trouble
		want     state
	}{
		"nothing":                          {want: absent},
		"made a moment ago":                {made: map[string]fleet.Making{idVPC: {At: at(time.Minute), Times: 1}}, want: pending},
		"made long ago, and not there":     {made: map[string]fleet.Making{idVPC: {At: at(settle), Times: 1}}, want: absent},
		"made too often":                   {made: map[string]fleet.Making{idVPC: {At: at(settle), Times: maxMade}}, want: failed},
		"failed for a while":               {troubles: trouble(patience-1, 50, "Denied", false), want: absent},
		"failed for long":                  {troubles: trouble(patience, minTries, "Denied", false), want: failed},
		"not tried for long":               {troubles: trouble(patience, minTries-1, "Denied", false), want: absent},
		"can never work":                   {troubles: trouble(0, 1, "Invalid", true), want: failed},
		"in the way of an update of AWS's": {troubles: trouble(time.Hour, 50, "Blocked", false), want: absent},
		"in the way for ever":              {troubles: trouble(2*time.Hour, 50, "Blocked", false), want: failed},
	} {
		o := empty()
		o.Made, o.Troubles = tc.made, tc.troubles
		g, _, err := graph(o, demo(), opt)
		if err != nil {
			t.Fatal(err)
		}
		r := &g[slices.IndexFunc(g, func(r resource) bool { return r.id == idVPC })]
		r.remember(now, o)
		if r.state != tc.want {
			t.Errorf("%s: state %d, want %d (%s)", name, r.state, tc.want, r.detail)
		}
	}
}

func TestWhatNeverWorkedIsMadeAgain(t *testing.T) {
	s, o := demo(), empty()
	simulate(t, s, &o)
	o.Found["nodegroup/spot"][0].Status = "CREATE_FAILED"
	o.Found["nodegroup/spot"][0].Issues = []string{"AsgInstanceLaunchFailures: no capacity"}
	if got := called(simulate(t, s, &o), "nodegroup/"); !slices.Equal(got, []string{"eks:DeleteNodegroup", "eks:CreateNodegroup"}) {
		t.Errorf("%v", got)
	}
	o.Found["nodegroup/spot"][0].Status, o.Found["nodegroup/spot"][0].Issues = "CREATE_FAILED", []string{"AsgInstanceLaunchFailures: no capacity"}
	o.Made = map[string]fleet.Making{"nodegroup/spot": {At: now, Times: 1}} // by this run: once is enough
	if p, err := Decide(now, o, s, opt); err != nil || p.Outcome != OutcomeFailed || !strings.Contains(p.Reason, "no capacity") {
		t.Errorf("%v\n%s", err, p)
	}
}

func TestUpdatesAreFollowedByTheirID(t *testing.T) {
	s, o := demo(), empty()
	simulate(t, s, &o)
	for status, want := range map[string]string{"InProgress": "", "Failed": OutcomeFailed, "Cancelled": OutcomeFailed, "Successful": OutcomeActive} {
		o.Updates = map[string]fleet.Update{idCluster: {ID: "u-1", Type: "LoggingUpdate", Status: status, Errors: []string{"AccessDenied: no"}}}
		if p, err := Decide(now, o, s, opt); err != nil || p.Outcome != want {
			t.Errorf("%s: %v\n%s", status, err, p)
		}
	}
}

func TestDelaysGrowAndEnd(t *testing.T) {
	for idle, want := range map[int]time.Duration{-1: time.Second, 0: time.Second, 4: 8 * time.Second, 7: 30 * time.Second, 99: 30 * time.Second} {
		if got := Delay(idle); got != want {
			t.Errorf("idle %d: %s, want %s", idle, got, want)
		}
	}
}
