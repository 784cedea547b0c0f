package events

import "time"

// What the notify function hears, besides RunFinished.
const (
	KindRunStarted                Kind = "RunStarted"
	KindNotificationTestRequested Kind = "NotificationTestRequested"
)

func (RunStarted) ownKind() Kind                { return KindRunStarted }
func (NotificationTestRequested) ownKind() Kind { return KindNotificationTestRequested }

// RunStarted reports that a run has begun to act. It may come twice, under the same RunID, and after the run's end.
type RunStarted struct {
	RunID string `json:"runId"`
	// Function is the one that runs, such as "interruption".
	Function string  `json:"function"`
	Subject  Subject `json:"subject"`
	// Cause is the kind of the event that began the run, such as SpotInterruption; empty if none did.
	Cause Kind `json:"cause,omitempty"`
	// Reason is a sentence.
	Reason string `json:"reason,omitempty"`
	// EventID and EventTime are of the event which began the run.
	EventID   string    `json:"eventId,omitempty"`
	EventTime time.Time `json:"eventTime,omitzero"`
	StartedAt time.Time `json:"startedAt"`
	// Deadline is when the machine is gone; zero if nothing hurries.
	Deadline time.Time `json:"deadline,omitzero"`
}

func (p *RunStarted) check(*Envelope) *fault {
	if err := required("runId", p.RunID, "function", p.Function); err != nil {
		return err
	}
	return checkRun(p.StartedAt, 0)
}

// NotificationTestRequested asks for a sample of a notification to be sent to targets.
type NotificationTestRequested struct {
	// RequestID names the request in what is remembered of it.
	RequestID string `json:"requestId"`
	// Cluster is the one whose targets are meant; empty: those of the fleet. Region is the cluster's; empty: the function's own.
	Cluster string `json:"cluster,omitempty"`
	Region  string `json:"region,omitempty"`
	// Target is the only one that is meant; empty: all of them.
	Target      string `json:"target,omitempty"`
	RequestedBy string `json:"requestedBy,omitempty"`
}

func (p *NotificationTestRequested) check(*Envelope) *fault {
	return required("requestId", p.RequestID)
}
