package interruption

import (
	"cmp"
	"time"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/shared/decide/interruption"
	"github.com/ekspedite/ekspedite/shared/ledger"
)

// What a delivery is to the run that the ledger knows.
type standing int

const (
	news   standing = iota // something to look at
	stale                  // nothing that is not known
	notYet                 // something for when the run is over
)

// resume merges the event with the drain that is remembered.
func (r *run) resume(known ledger.Drain) (standing, string) {
	c, continued := r.delivery.Event.Payload.(*events.DrainContinuation)
	running := known.RunID != "" && !known.Over()
	switch {
	case continued && known.RunID != "" && c.RunID != known.RunID:
		return stale, "the continuation belongs to an older run"
	case continued && known.Over():
		return stale, "the run is over: " + known.Outcome
	case continued && c.Attempt < known.Attempt && known.LookedBy != r.delivery.Event.ID:
		return stale, "a repeated continuation"
	case known.Over() && !r.newStory(known):
		return stale, "the drain of this instance is over: " + known.Outcome
	case running && cmp.Or(known.Region, r.Region) != r.region: // what this Region does not know must not end the drain in that one
		return stale, "the drain of this instance is in Region " + known.Region + ", not in " + r.region
	case running && r.otherHook(known):
		return notYet, "another lifecycle hook of this instance is being served"
	}
	if running {
		r.drain, r.began = known, true
		if continued {
			r.drain.Attempt = max(known.Attempt, c.Attempt)
		}
		r.signal = interruption.Tighten(decodeSignal(known.Signal, r.signal), r.signal)
		r.drain.Signal = encode(r.signal)
		return news, ""
	}
	r.drain = ledger.Drain{RunID: r.NewID(), InstanceID: r.signal.InstanceID, Region: r.region, StartedAt: r.Now()}
	if continued { // the ledger has lost it, the message has not
		r.drain.RunID, r.drain.StartedAt, r.drain.Attempt, r.began = c.RunID, c.StartedAt, c.Attempt, true
		r.drain.Cluster, r.drain.Node, r.drain.NodeUID = c.Cluster, c.Node, c.NodeUID
	}
	r.drain = r.drain.At(known)
	r.drain.Signal = encode(r.signal)
	return news, ""
}

// newStory tells whether an event about a machine whose drain is over begins another one: nothing was drained then,
// another hook waits now, a machine that was drained by choice must go after all, one that was given back is expected to go
// again, or one that has stayed is given up. Of
// a machine that we have ended only its hook is left to tell.
func (r *run) newStory(known ledger.Drain) bool {
	old := decodeSignal(known.Signal, r.signal)
	hooked := r.signal.Hook != nil && (old.Hook == nil || *r.signal.Hook != *old.Hook)
	if known.Outcome == events.OutcomeNodeRemoved {
		return hooked
	}
	return hooked ||
		r.signal.EventID != old.EventID && (known.Outcome == events.OutcomeNothingToDo || known.Outcome == events.OutcomePlanned ||
			known.Outcome == events.OutcomeNodeKept && r.signal.Cause == string(events.KindRebalanceRecommendation)) ||
		r.signal.Involuntary && !old.Involuntary ||
		r.signal.Removal != nil && r.signal.EventID != old.EventID && r.Now().After(survived(old))
}

// survived is from when on a machine has outlived what it was drained for.
func survived(old interruption.Signal) time.Time {
	if !old.Involuntary {
		return time.Time{}
	}
	return old.Deadline.Add(insistence)
}

// otherHook tells whether the event is of a second hook on a machine that is being drained for a first one.
func (r *run) otherHook(known ledger.Drain) bool {
	old := decodeSignal(known.Signal, r.signal)
	return r.signal.Hook != nil && old.Hook != nil && *r.signal.Hook != *old.Hook && r.signal.Launching == old.Launching
}
