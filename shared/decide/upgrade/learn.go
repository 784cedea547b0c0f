package upgrade

import (
	"fmt"
	"slices"
	"time"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

// Result is what came of a call of a decision's plan.
type Result struct {
	Step   string // the step's id
	API    string
	Update string // EKS's id of what it goes on with
	// Class is of package fault, "" where the call was done: what can be done about Text.
	Class string
	Text  string
}

// refused begins what a step waits for whose call EKS does not take now.
const refused = "refused/"

// Learn puts the results of a decision's calls into its memory. It gives what is to be told.
func Learn(now time.Time, in Input, p fleet.UpgradePolicy, m Memory, results []Result) (Memory, []Line) {
	d := &decider{now: now, in: in, p: p, m: m.clone()}
	for _, r := range results {
		i := slices.IndexFunc(d.m.Doing, func(x Doing) bool { return x.Step.ID == r.Step })
		if i < 0 {
			continue
		}
		x := &d.m.Doing[i]
		drop := func() { d.m.Doing = slices.Delete(d.m.Doing, i, i+1) }
		switch r.Class {
		case "":
			x.Update, x.API = r.Update, r.API
			delete(d.m.Waits, "answer/"+x.Step.ID)
			delete(d.m.Waits, refused+x.Step.ID)
			d.tell(resource(x.Step), "Started", fmt.Sprintf("%s: %s (expected to take %s)", x.Step.ID, x.Step.Why, x.Step.Takes.Round(time.Second)))
		case "Throttled", "Transient": // it may have been done: the token tells
			d.waited("answer/" + x.Step.ID)
		case "Denied", "Invalid":
			s := x.Step
			drop()
			d.trouble(s, r.Text)
		default: // Blocked: AWS, or somebody else, is at work on it. Conflict, NotFound: look again.
			s := x.Step
			drop()
			if d.m.Tries[s.ID]--; d.m.Tries[s.ID] == 0 {
				delete(d.m.Tries, s.ID) // nothing was changed
			}
			if d.waited(refused+s.ID) == 0 {
				d.tell(resource(s), "Waiting", s.ID+": "+r.Text)
			}
			t := d.m.Troubles[s.ID] // not a failure: only not at once again
			t.Again, t.Text = now.Add(busyLook), r.Text
			d.m.Troubles[s.ID] = t
			if d.m.Waits[refused+s.ID].Before(now.Add(-patience)) {
				d.halt(s.ID+" has been refused for a day: "+r.Text, nil)
			}
		}
	}
	return d.m, d.out.Lines
}
