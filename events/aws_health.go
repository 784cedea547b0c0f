package events

// KindHealthEvent is every event of AWS Health, for whichever service.
const KindHealthEvent Kind = "AWSHealthEvent"

// The event type codes and services that ekspedite looks for.
const (
	HealthServiceEC2 = "EC2"
	HealthServiceEKS = "EKS"
	HealthServiceECS = "ECS"

	HealthEKSPlannedLifecycle = "AWS_EKS_PLANNED_LIFECYCLE_EVENT"
)

// Values of HealthEvent.StatusCode and HealthEntity.Status that decide whether there is anything to do.
const (
	HealthOpen     = "open"
	HealthUpcoming = "upcoming"
	HealthClosed   = "closed"

	EntityImpaired   = "IMPAIRED"
	EntityUnimpaired = "UNIMPAIRED"
	EntityPending    = "PENDING"
	EntityResolved   = "RESOLVED"
)

// HealthEvent is AWS Health's word on something that happens to an account's resources: an EC2 instance to be retired,
// a Kubernetes version that leaves support. It is delivered at least once, in pages, and again to a backup Region; one
// message is told from another by EventARN, CommunicationID, Page and AffectedAccount. The envelope's Region and Account
// are those of the delivery: EventRegion and AffectedAccount are the affected ones.
//
// https://docs.aws.amazon.com/health/latest/ug/aws-health-events-eventbridge-schema.html
type HealthEvent struct {
	EventARN string `json:"eventArn"`
	// Service is AWS's short name of the service, such as "EC2".
	Service string `json:"service"`
	// EventTypeCode is the event proper, such as "AWS_EC2_INSTANCE_RETIREMENT_SCHEDULED".
	EventTypeCode string `json:"eventTypeCode"`
	// EventTypeCategory is issue, accountNotification, investigation or scheduledChange.
	EventTypeCategory string `json:"eventTypeCategory"`
	// EventScopeCode is ACCOUNT_SPECIFIC or PUBLIC.
	EventScopeCode  string `json:"eventScopeCode,omitempty"`
	CommunicationID string `json:"communicationId,omitempty"`
	// StartTime is when the change begins, which may be weeks ahead.
	StartTime       Timestamp `json:"startTime,omitzero"`
	EndTime         Timestamp `json:"endTime,omitzero"`
	LastUpdatedTime Timestamp `json:"lastUpdatedTime,omitzero"`
	// StatusCode is HealthOpen, HealthUpcoming or HealthClosed.
	StatusCode       string              `json:"statusCode,omitempty"`
	EventRegion      string              `json:"eventRegion,omitempty"`
	EventDescription []HealthDescription `json:"eventDescription,omitzero"`
	EventMetadata    StringMap           `json:"eventMetadata,omitzero"`
	AffectedEntities []HealthEntity      `json:"affectedEntities,omitzero"`
	AffectedAccount  string              `json:"affectedAccount,omitempty"`
	// Page and TotalPages number the messages that one event was cut into, from 1; 0 where AWS does not say.
	Page       LooseInt `json:"page,omitempty"`
	TotalPages LooseInt `json:"totalPages,omitempty"`
}

// HealthDescription is the text of an event in one language.
type HealthDescription struct {
	Language          string `json:"language"`
	LatestDescription string `json:"latestDescription"`
}

// HealthEntity is one affected resource.
type HealthEntity struct {
	// EntityValue is an instance id, a cluster's ARN, or whatever the service counts in.
	EntityValue     string    `json:"entityValue"`
	LastUpdatedTime Timestamp `json:"lastUpdatedTime,omitzero"`
	// Status is EntityPending, EntityResolved and so on; empty where the service does not track it. Examples of AWS
	// that spell it statusCode are read as well.
	Status string    `json:"status,omitempty"`
	Tags   StringMap `json:"tags,omitzero"`

	StatusCode string `json:"statusCode,omitempty"`
}

func (p *HealthEvent) check(*Envelope) *fault {
	switch {
	case p.EventARN == "":
		return missing("eventArn")
	case p.Service == "":
		return missing("service")
	case p.EventTypeCode == "":
		return missing("eventTypeCode")
	case p.EventTypeCategory == "":
		return missing("eventTypeCategory")
	}
	for i := range p.AffectedEntities {
		entity := &p.AffectedEntities[i]
		if entity.EntityValue == "" {
			return missing("affectedEntities.entityValue")
		}
		if entity.Status == "" {
			entity.Status = entity.StatusCode
		}
	}
	return nil
}
