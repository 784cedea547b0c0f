package events

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"time"
)

// Kind names one entry of the contract table. The empty Kind is never valid.
type Kind string

// KindUnknown is the kind of a well-formed event that no contract knows. It is acknowledged and counted, not retried.
const KindUnknown Kind = "Unknown"

// Sources, as they stand in the envelope.
const (
	SourceEC2          = "aws.ec2"
	SourceAutoScaling  = "aws.autoscaling"
	SourceHealth       = "aws.health"
	SourceECS          = "aws.ecs"
	SourceEKS          = "aws.eks"
	SourceS3           = "aws.s3"
	SourceCloudWatch   = "aws.cloudwatch"
	SourceCodePipeline = "aws.codepipeline" // of a CodePipeline job, which has no envelope; given by Decode
	SourceEkspedite    = "ekspedite"
)

// Envelope is what EventBridge puts around every event. For bodies that come without one (Auto Scaling's direct
// notifications, CodePipeline jobs) Decode fills in what the body itself says.
type Envelope struct {
	// Version is EventBridge's envelope version, "0" so far. It may be absent.
	Version string `json:"version,omitempty"`
	// ID identifies the event, not the delivery: a redelivered message has the same ID. The capacity block page of AWS
	// spells it customer_event_id. A direct Auto Scaling notification has its RequestId here, a CodePipeline job its id.
	ID string `json:"id"`
	// DetailType is AWS's name of the event, such as "EC2 Spot Instance Interruption Warning".
	DetailType string `json:"detail-type"`
	// Source is the sender, such as "aws.ec2".
	Source string `json:"source"`
	// Account is the 12-digit AWS account which the event was sent to. Empty for a scheduled event without one.
	Account string `json:"account,omitempty"`
	// Time is when the event happened, as the sender says, in UTC. Zero only for a CodePipeline job, which has none.
	Time time.Time `json:"time"`
	// Region is the AWS Region which the event was sent to. Capacity block events and direct notifications have none.
	Region string `json:"region,omitempty"`
	// Resources are the ARNs concerned. AWS documents one event with a bare string here; it becomes a list of one.
	Resources StringList `json:"resources,omitempty"`
	// Detail is the event proper, byte for byte as received: always a JSON object. Of a CodePipeline job it is the job
	// with the credentials redacted.
	Detail json.RawMessage `json:"detail"`

	wire wire
}

// Event is one decoded event.
type Event struct {
	Envelope
	// Kind is the contract that the event belongs to, or KindUnknown.
	Kind Kind
	// Payload points to the typed detail, such as *SpotInterruption; nil for KindUnknown. It is a reading of Detail:
	// changing it does not change what Encode writes.
	Payload any
}

// String identifies the event without its detail, so that it can be printed anywhere.
func (e Event) String() string {
	return fmt.Sprintf("%s %s (%s, %q, account %s, %s)",
		e.Kind, clip(e.ID), clip(e.Source), clip(e.DetailType), clip(e.Account), e.Time.Format(time.RFC3339))
}

// GoString is String: the detail of an event has no place in a debug print.
func (e Event) GoString() string { return "events.Event{" + e.String() + "}" }

// LogValue identifies the event without its detail.
func (e Event) LogValue() slog.Value {
	return slog.GroupValue(
		slog.String("kind", string(e.Kind)),
		slog.String("id", clip(e.ID)),
		slog.String("source", clip(e.Source)),
		slog.String("detailType", clip(e.DetailType)),
		slog.String("account", clip(e.Account)),
		slog.String("region", clip(e.Region)),
		slog.Time("time", e.Time),
	)
}

// MarshalJSON is Encode.
func (e Event) MarshalJSON() ([]byte, error) { return e.Encode() }

// UnmarshalJSON is Decode.
func (e *Event) UnmarshalJSON(body []byte) error {
	decoded, err := Decode(append([]byte(nil), body...))
	if err != nil {
		return err
	}
	*e = decoded
	return nil
}

// maxExcerpt bounds, in bytes, every single piece of input that an error or a log line may repeat.
const maxExcerpt = 64

// MalformedError says why a body is not an event. It can never work and must not be retried.
//
// It is safe to log: it repeats at most three clipped pieces of the input (one value, the ID and the detail-type; about
// 200 characters together), none at all of a body that mentions credentials, and never a piece of a cluster spec.
type MalformedError struct {
	// Reason is a sentence which names the field and what is wrong with it.
	Reason string
	// Field is the JSON path of the field at fault, such as "detail.instance-id"; empty if the body as a whole is.
	Field string
	// Kind is the contract that the event claims to be; empty if it was not recognised.
	Kind Kind
	// ID is the event's id as far as it could be read, clipped.
	ID string
	// DetailType is the event's detail-type as far as it could be read, clipped.
	DetailType string
}

func (e *MalformedError) Error() string {
	if e.Kind == "" {
		return "malformed event: " + e.Reason
	}
	return "malformed " + string(e.Kind) + " event: " + e.Reason
}
