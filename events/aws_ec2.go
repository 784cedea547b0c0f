package events

// What EC2 says about a machine or about the capacity behind it. All of these are best effort.
const (
	KindSpotInterruption                Kind = "SpotInterruption"
	KindRebalanceRecommendation         Kind = "RebalanceRecommendation"
	KindInstanceStateChange             Kind = "InstanceStateChange"
	KindCapacityReservationInterruption Kind = "CapacityReservationInterruption"
	KindCapacityReservationReclaimed    Kind = "CapacityReservationReclaimed"
	KindCapacityBlockDelivered          Kind = "CapacityBlockDelivered"
	KindCapacityBlockExpiration         Kind = "CapacityBlockExpiration"
)

// InstanceAction is what EC2 is about to do to an instance. A value that is not listed here is passed on as it is.
type InstanceAction string

const (
	ActionTerminate InstanceAction = "terminate"
	ActionStop      InstanceAction = "stop"
	// ActionHibernate begins at once; the others come two minutes after the event.
	ActionHibernate InstanceAction = "hibernate"
)

// InstanceState is the state that an instance entered. A value that is not listed here is passed on as it is.
type InstanceState string

const (
	StatePending      InstanceState = "pending"
	StateRunning      InstanceState = "running"
	StateStopping     InstanceState = "stopping"
	StateStopped      InstanceState = "stopped"
	StateShuttingDown InstanceState = "shutting-down"
	StateTerminated   InstanceState = "terminated"
)

// SpotInterruption is the two-minute warning: EC2 takes a spot instance back. The event has no termination time; for
// terminate and stop it is the envelope's Time plus two minutes, and hibernation has begun already.
//
// https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/spot-instance-termination-notices.html
type SpotInterruption struct {
	InstanceID     string         `json:"instance-id"`
	InstanceAction InstanceAction `json:"instance-action"`
}

func (p *SpotInterruption) check(*Envelope) *fault {
	if p.InstanceAction == "" {
		return missing("instance-action")
	}
	return checkInstanceID("instance-id", p.InstanceID)
}

// RebalanceRecommendation says that a spot instance is at a higher risk than before. A warning may follow hours later,
// at the same moment, or never.
//
// https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/rebalance-recommendations.html
type RebalanceRecommendation struct {
	InstanceID string `json:"instance-id"`
}

func (p *RebalanceRecommendation) check(*Envelope) *fault {
	return checkInstanceID("instance-id", p.InstanceID)
}

// InstanceStateChange says which state an instance has entered, for whatever reason.
//
// https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/monitoring-instance-state-changes.html
type InstanceStateChange struct {
	InstanceID string        `json:"instance-id"`
	State      InstanceState `json:"state"`
}

func (p *InstanceStateChange) check(*Envelope) *fault {
	if p.State == "" {
		return missing("state")
	}
	return checkInstanceID("instance-id", p.InstanceID)
}

// CapacityReservationInterruption is the warning for an instance in an interruptible Capacity Reservation, two minutes
// ahead, or for one in a Capacity Block that ends.
//
// https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/monitor-interruptible-cr.html
type CapacityReservationInterruption struct {
	InstanceID     string         `json:"instance-id"`
	InstanceAction InstanceAction `json:"instance-action"`
	// InstanceTerminationTime is when the instance will be terminated; zero where AWS does not say.
	InstanceTerminationTime Timestamp `json:"instance-termination-time,omitzero"`
	// AZID is the Availability Zone ID, such as "use1-az1".
	AZID string `json:"azId,omitempty"`
}

func (p *CapacityReservationInterruption) check(*Envelope) *fault {
	if p.InstanceAction == "" {
		return missing("instance-action")
	}
	return checkInstanceID("instance-id", p.InstanceID)
}

// CapacityReservationReclaimed tells the owner of a Capacity Reservation that lent capacity has come back.
//
// https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/monitor-interruptible-cr.html
type CapacityReservationReclaimed struct {
	SourceCapacityReservationID string `json:"sourceCapacityReservationId"`
	InstanceType                string `json:"instanceType,omitempty"`
	AvailabilityZoneID          string `json:"availabilityZoneId,omitempty"`
	// The counts are instances: all of the allocation, those which came back, and those that were asked back.
	TotalInstanceCount     LooseInt `json:"TotalInstanceCount"`
	ReclaimedInstanceCount LooseInt `json:"ReclaimedInstanceCount"`
	TargetInstanceCount    LooseInt `json:"targetInstanceCount"`
}

func (p *CapacityReservationReclaimed) check(*Envelope) *fault {
	return checkReservationID("sourceCapacityReservationId", p.SourceCapacityReservationID)
}

// CapacityBlockDelivered says that a Capacity Block has begun and its machines can be launched. It names no instance.
//
// https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/capacity-blocks-monitor.html
type CapacityBlockDelivered struct {
	CapacityReservationID string `json:"capacity-reservation-id"`
	// EndDate is when the block ends. Its instances begin to be terminated 30 minutes earlier.
	EndDate Timestamp `json:"end-date"`
}

func (p *CapacityBlockDelivered) check(*Envelope) *fault {
	if p.EndDate.IsZero() {
		return missing("end-date")
	}
	return checkReservationID("capacity-reservation-id", p.CapacityReservationID)
}

// CapacityBlockExpiration comes 40 minutes before a Capacity Block ends; ten minutes later EC2 begins to terminate all
// of its instances. It names none of them.
//
// https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/capacity-blocks-monitor.html
type CapacityBlockExpiration struct {
	CapacityReservationID string `json:"capacity-reservation-id"`
	// EndDate is when the block ends.
	EndDate Timestamp `json:"end-date"`
}

func (p *CapacityBlockExpiration) check(*Envelope) *fault {
	if p.EndDate.IsZero() {
		return missing("end-date")
	}
	return checkReservationID("capacity-reservation-id", p.CapacityReservationID)
}

// checkInstanceID wants i- and 8 to 17 hexadecimal digits, which is what EC2 hands out.
func checkInstanceID(field, id string) *fault {
	return checkID(field, id, "i-", "an EC2 instance id")
}

// checkReservationID wants cr- and 8 to 17 hexadecimal digits.
func checkReservationID(field, id string) *fault {
	return checkID(field, id, "cr-", "a Capacity Reservation id")
}

func checkID(field, id, prefix, what string) *fault {
	if id == "" {
		return missing(field)
	}
	digits := len(id) - len(prefix)
	ok := digits >= 8 && digits <= 17 && id[:len(prefix)] == prefix
	for i := len(prefix); ok && i < len(id); i++ {
		ok = '0' <= id[i] && id[i] <= '9' || 'a' <= id[i] && id[i] <= 'f'
	}
	if !ok {
		return &fault{field: field, reason: "not " + what, value: id}
	}
	return nil
}
