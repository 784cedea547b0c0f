package interruption

import (
	"time"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/handler"
)

// insistence is how long failures are overcome on a machine that has no deadline.
const insistence = 15 * time.Minute

// failed says that this look came to nothing. While the machine has time left there will be another one: three failures
// within seconds, of an API server that starts anew, must not end a drain.
func (r *run) failed(err error) handler.Outcome {
	o := handler.Failed(err)
	o.Insist = r.Now().Before(r.end())
	if o.Insist && r.signal.Deadline.IsZero() && !r.Now().Before(r.signal.EventTime.Add(insistence)) && fault.RetryAfter(err) == 0 {
		o.Err = &fault.Error{Class: fault.Of(err), RetryAfter: patientRetry, Err: err} // nothing hurries
	}
	return o
}

const (
	// longest is how long a drain without a deadline may last: what the policy's bounds allow.
	longest = 24 * time.Hour
	// patientRetry is the pause between tries of what has failed for insistence and still has to be undone.
	patientRetry = time.Minute
)

// end is until when nothing that fails, or dies, ends the run.
func (r *run) end() time.Time {
	_, continued := r.delivery.Event.Payload.(*events.DrainContinuation)
	switch {
	case !r.signal.Deadline.IsZero():
		return r.signal.Deadline
	case r.signal.Removal != nil: // the node has to be given back
		return r.signal.Removal.Until.Add(insistence)
	case continued && r.signal.Cause == string(events.KindRebalanceRecommendation): // so it has, or its machine has to be ended
		return r.signal.EventTime.Add(longest + insistence)
	}
	return r.signal.EventTime.Add(insistence)
}
