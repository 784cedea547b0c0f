package upgrade

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/shared/decide/upgradepath"
	"github.com/ekspedite/ekspedite/shared/plan"
)

// settle sees what became of what was asked for. Updates are followed by their ids and never by a status: for a while after
// UpdateClusterVersion DescribeCluster still says ACTIVE.
// It tells whether anything has ended.
func (d *decider) settle() (ended bool) {
	var still []Doing
	for _, x := range d.m.Doing {
		if x.Moves {
			if !d.move(&x) {
				still = append(still, x)
			}
			continue
		}
		if x.Update == "" && d.adopt(&x) { // the next look reads what became of it
			still = append(still, x)
			continue
		}
		if d.settled(x) {
			continue
		}
		still = append(still, x)
	}
	ended = len(still) < len(d.m.Doing)
	d.m.Doing = still
	return ended
}

// adopt takes an update whose id was not heard: we are the only ones who change this cluster, and it began after we asked.
func (d *decider) adopt(x *Doing) bool {
	for _, b := range d.in.EKS.Busy {
		if b.Subject == resource(x.Step) && b.Begun.After(x.Asked.Add(-time.Minute)) {
			x.Update = b.ID
			return true
		}
	}
	return false
}

// settled tells whether a step is no longer under way.
func (d *decider) settled(x Doing) bool {
	s := x.Step
	if x.Update == "" {
		if !d.ahead(s.ID) && x.API != apiGroupConfig {
			d.done(x)
			return true
		}
		// A halted run repeats no call, nor does one whose window has closed. What did not show in all that time was never begun.
		return (d.m.Halt != nil || d.closed(x) != "") && d.waited("answer/"+s.ID) > unseen
	}
	u, known := d.in.Updates[x.Update]
	switch {
	case !known && !d.ahead(s.ID) && x.API != apiGroupConfig:
		d.done(x)
		return true
	case !known: // EKS has forgotten it
		d.tell(resource(s), "Note", "EKS does not know update "+x.Update+" any more: what is there decides")
		return true
	case u.Status == "Successful" && x.API == apiGroupConfig: // the step's second call comes now
		return true
	case u.Status == "Successful" && !d.ahead(s.ID):
		d.done(x)
		return true
	case u.Status != "InProgress" && d.m.Back != nil && !d.ahead(s.ID): // begun on the way there: what is there decides
		d.tell(resource(s), "Note", fmt.Sprintf("%s ended as %s after the run had turned back: %s", s.ID, u.Status, strings.Join(u.Errors, "; ")))
		return true
	case u.Status == "Successful":
		if d.waited("effect/"+s.ID) < unseen {
			return false
		}
		d.trouble(s, notEffective+": EKS says that update "+x.Update+" was successful, and shows "+s.From+" still")
		return true
	case u.Status == "Failed":
		d.trouble(s, strings.Join(u.Errors, "; "))
		return true
	case u.Status == "Cancelled":
		d.trouble(s, cancelled+": update "+x.Update+" was cancelled")
		return true
	case d.now.Sub(x.Asked) > patience:
		d.trouble(s, fmt.Sprintf("%s: update %s has been in progress since %s", tooLong, x.Update, stamp(x.Asked)))
		return true
	}
	return false
}

// ahead tells whether a step is still on the way.
func (d *decider) ahead(id string) bool {
	return slices.ContainsFunc(d.path.Steps, func(s upgradepath.Step) bool { return s.ID == id })
}

func (d *decider) done(x Doing) {
	s := x.Step
	d.m.Done = append(d.m.Done, Done{Step: s, Begun: x.Asked, Ended: d.now})
	delete(d.m.Troubles, s.ID)
	delete(d.m.Waits, "effect/"+s.ID)
	if s.Kind == upgradepath.StepControlPlane {
		d.m.Hops[s.Minor] = d.now
		if d.m.Back != nil {
			delete(d.m.Hops, s.Minor) // it is not watched: it is where it was well
		}
	}
	d.tell(resource(s), "Done", fmt.Sprintf("%s, after %s", s.ID, d.now.Sub(x.Asked).Round(time.Second)))
}

// trouble remembers that a step has failed, and halts the run when it is not to be tried again.
func (d *decider) trouble(s upgradepath.Step, text string) {
	f, r := explain(s, d.in.EKS.Cluster.Name, text)
	t := Trouble{Failure: f, Tries: d.m.Troubles[s.ID].Tries + 1}
	delete(d.m.Waits, "effect/"+s.ID)
	d.tell(resource(s), "Failed", s.ID+": "+text)
	if t.Tries < r.tries {
		t.Again = d.now.Add(r.pause)
		d.m.Troubles[s.ID] = t
		return
	}
	d.m.Troubles[s.ID] = t
	if !d.skipped(s) {
		d.halt(fmt.Sprintf("%s has failed: %s", s.ID, text), []plan.Failure{f})
	}
}

// waited is for how long something has been waited for by now.
func (d *decider) waited(what string) time.Duration {
	since, known := d.m.Waits[what]
	if !known {
		d.m.Waits[what] = d.now
		return 0
	}
	return d.now.Sub(since)
}

// poll is how soon to look at what AWS works on: a fifth of how long it has.
func (d *decider) poll() time.Duration {
	next := seldom
	if d.again > 0 {
		next = min(next, d.again)
	}
	for _, x := range d.m.Doing {
		if x.Moves && d.again > 0 {
			continue
		}
		next = min(next, max(soonest, d.now.Sub(x.Asked)/5))
	}
	return next
}
