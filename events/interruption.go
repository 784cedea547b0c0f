package events

import "time"

// What the interruption function tells itself about machines and pods, beside the drains' continuations.
const (
	KindMachineSignal              Kind = "MachineSignal"
	KindPlannedDrainDue            Kind = "PlannedDrainDue"
	KindInterruptionSweepRequested Kind = "InterruptionSweepRequested"
	KindPodTerminationContinuation Kind = "PodTerminationContinuation"
)

// Causes of drains that no event has begun: a sweep found it out.
const (
	CauseStatusCheck    Kind = "StatusCheck"    // EC2's status checks fail
	CauseScheduledEvent Kind = "ScheduledEvent" // EC2 has scheduled the machine's end, a stop or a reboot
)

func (MachineSignal) ownKind() Kind              { return KindMachineSignal }
func (PlannedDrainDue) ownKind() Kind            { return KindPlannedDrainDue }
func (InterruptionSweepRequested) ownKind() Kind { return KindInterruptionSweepRequested }
func (PodTerminationContinuation) ownKind() Kind { return KindPodTerminationContinuation }

// Values of MachineSignal.Fate and DrainContinuation.Fate: what becomes of a machine and of its capacity.
const (
	FateGoes    = ""        // AWS takes the machine, and its group is asked for another one at once
	FateEnded   = "ended"   // it would stay: it is ended when it is drained, and its group launches another one
	FateExpires = "expires" // its capacity goes with it, and nothing can replace it
)

// MachineSignal is what one message about several machines, or a sweep, says about one of them: it goes, at a certain time.
type MachineSignal struct {
	InstanceID string `json:"instanceId"`
	// Region is the machine's; empty: the function's own.
	Region string `json:"region,omitempty"`
	// Cause is the kind of the event that says so, or CauseStatusCheck.
	Cause Kind `json:"cause"`
	// Signal is what will happen, in AWS's own word where it has one, such as "instance-retirement".
	Signal string `json:"signal,omitempty"`
	// SaidAt is when it was said, from which latencies count; Deadline is when the machine is gone.
	SaidAt   time.Time `json:"saidAt"`
	Deadline time.Time `json:"deadline"`
	// Fate is what becomes of the machine and of its capacity, such as FateEnded.
	Fate string `json:"fate,omitempty"`
}

func (p *MachineSignal) check(*Envelope) *fault {
	switch {
	case p.SaidAt.IsZero():
		return missing("saidAt")
	case p.Deadline.IsZero():
		return missing("deadline")
	}
	if err := required("cause", string(p.Cause)); err != nil {
		return err
	}
	if err := checkFate(p.Fate); err != nil {
		return err
	}
	return checkInstanceID("instanceId", p.InstanceID)
}

func checkFate(fate string) *fault {
	switch fate {
	case FateGoes, FateEnded, FateExpires:
		return nil
	}
	return &fault{field: "fate", reason: "is none of ended, expires", value: fate}
}

// PlannedDrainDue says that the time has come to look at what is planned for a machine. What that is stands in the ledger.
type PlannedDrainDue struct {
	InstanceID string `json:"instanceId"`
	// Region is the machine's.
	Region string `json:"region"`
}

func (p *PlannedDrainDue) check(*Envelope) *fault {
	if err := required("region", p.Region); err != nil {
		return err
	}
	return checkInstanceID("instanceId", p.InstanceID)
}

// InterruptionSweepRequested asks for planned drains that are due, and for machines that fail their status checks, of which
// AWS sends no event. It is the input of a schedule, like ClusterSweepRequested.
type InterruptionSweepRequested struct{}

func (p *InterruptionSweepRequested) check(*Envelope) *fault { return nil }

// PodTerminationContinuation is the interruption function's note to itself to try to evict a Fargate pod again.
type PodTerminationContinuation struct {
	RunID     string `json:"runId"`
	Cluster   string `json:"cluster"`
	Namespace string `json:"namespace"`
	Pod       string `json:"pod"`
	// PodUID is that of the pod that was meant: another one of its name is left alone.
	PodUID    string    `json:"podUid"`
	EventID   string    `json:"eventId"`
	EventTime time.Time `json:"eventTime"`
	// Deadline is when EKS deletes the pod, whatever its budget says.
	Deadline  time.Time `json:"deadline"`
	StartedAt time.Time `json:"startedAt"`
	// Attempt counts the looks so far.
	Attempt int `json:"attempt"`
}

func (p *PodTerminationContinuation) check(*Envelope) *fault {
	if err := required("runId", p.RunID, "cluster", p.Cluster, "namespace", p.Namespace, "pod", p.Pod, "podUid", p.PodUID, "eventId", p.EventID); err != nil {
		return err
	}
	switch {
	case p.EventTime.IsZero():
		return missing("eventTime")
	case p.Deadline.IsZero():
		return missing("deadline")
	}
	return checkRun(p.StartedAt, p.Attempt)
}
