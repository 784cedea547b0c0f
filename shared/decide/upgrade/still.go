package upgrade

import (
	"time"

	"github.com/ekspedite/ekspedite/shared/decide/upgradepath"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

// Still tells whether nothing can have changed but for what AWS works on, and that goes on: then nothing but the updates and the
// health need to have been read (EKS may be empty), and the decision is to look again. Most looks are of this kind.
func Still(now time.Time, in Input, p fleet.UpgradePolicy) (Decision, bool) {
	d := &decider{now: now, in: in, p: p, m: in.Memory.clone()}
	version, until, baking := d.watching()
	if d.m.Heard < len(in.Commands) || len(d.m.Doing) == 0 && (!baking || len(d.m.Troubles) > 0) {
		return Decision{}, false
	}
	for _, x := range d.m.Doing {
		if in.Updates[x.Update].Status != "InProgress" || now.Sub(x.Asked) > patience {
			return Decision{}, false
		}
	}
	for _, t := range d.m.Troubles {
		if d.m.Halt == nil && !now.Before(t.Again) { // something else may be tried again
			return Decision{}, false
		}
	}
	if d.m.Halt == nil && d.m.Back == nil {
		if d.m.Baseline == nil || in.Health == nil {
			return Decision{}, false
		}
		if len(d.m.Ill)+len(ills(now, *in.Health, *d.m.Baseline, p.Health, 0)) > 0 {
			return Decision{}, false
		}
	}
	switch {
	case d.m.Halt != nil:
		d.rest("halted: " + d.m.Halt.Why)
		d.out.Halted, d.out.Failures = d.m.Halt.Why, d.m.Halt.Failures
	case len(d.m.Doing) == 0:
		d.wait(min(seldom, until.Sub(now)), "watches version %s until %s", version, stamp(until))
	default:
		d.wait(d.poll(), "works on %s", d.names())
	}
	d.out.Memory, d.out.Working = d.m, true
	d.out.Reason = d.out.Phase
	return d.out, true
}

// watching is the version that this run has come to last, if it is still being watched.
func (d *decider) watching() (v fleet.Minor, until time.Time, ok bool) {
	for m := range d.m.Hops {
		v = max(v, m)
	}
	if v == 0 || d.m.Back != nil || d.m.Halt != nil || d.skipped(upgradepath.Step{ID: BakeID(v)}) {
		return v, until, false
	}
	until = d.m.Hops[v].Add(d.p.Bake)
	return v, until, d.now.Before(until)
}
