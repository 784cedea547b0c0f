package cluster

import "github.com/ekspedite/ekspedite/events"

// started reports that a run for a request begins.
func (v *visit) started() *events.RunStarted {
	cause, why := events.KindClusterApplyRequested, "it shall be as its file says"
	if v.desired.Delete {
		cause, why = events.KindClusterDeleteRequested, "it shall end, with all that was made for it"
	}
	return &events.RunStarted{RunID: v.run.RunID, Function: function, Subject: subject(v.id), Cause: cause, Reason: why,
		EventID: v.run.EventID, EventTime: v.run.EventTime, StartedAt: v.run.StartedAt}
}
