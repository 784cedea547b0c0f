package events

import (
	"bytes"
	"strings"
)

// What Auto Scaling says, by EventBridge or straight to the queue.
const (
	KindLifecycleAction             Kind = "LifecycleAction"
	KindAutoScalingTestNotification Kind = "AutoScalingTestNotification"
	KindAutoScalingResult           Kind = "AutoScalingResult"
)

// Values of LifecycleAction.LifecycleTransition.
const (
	TransitionLaunching   = "autoscaling:EC2_INSTANCE_LAUNCHING"
	TransitionTerminating = "autoscaling:EC2_INSTANCE_TERMINATING"
)

// Values of LifecycleAction.Origin and Destination.
const (
	PlaceEC2              = "EC2"
	PlaceAutoScalingGroup = "AutoScalingGroup"
	PlaceWarmPool         = "WarmPool"
)

const (
	testNotification    = "autoscaling:TEST_NOTIFICATION"
	detailTypeLaunch    = "EC2 Instance-launch Lifecycle Action"
	detailTypeTerminate = "EC2 Instance-terminate Lifecycle Action"
)

// LifecycleAction says that an instance stands still in a lifecycle hook and waits for its completion. It is the same
// whether it came by EventBridge, straight from the hook, or in an SNS-style wrapper; without an envelope, DetailType
// is filled in from LifecycleTransition.
//
// https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-event-reference.html
type LifecycleAction struct {
	// LifecycleActionToken names this one pause. Without it a hook is completed by instance id.
	LifecycleActionToken string `json:"LifecycleActionToken,omitempty"`
	AutoScalingGroupName string `json:"AutoScalingGroupName"`
	LifecycleHookName    string `json:"LifecycleHookName"`
	EC2InstanceID        string `json:"EC2InstanceId"`
	// LifecycleTransition is TransitionLaunching or TransitionTerminating.
	LifecycleTransition string `json:"LifecycleTransition"`
	// NotificationMetadata is what the hook's author wrote into it.
	NotificationMetadata string `json:"NotificationMetadata,omitempty"`
	// Origin and Destination are where the instance comes from and goes to. A terminating transition with destination
	// PlaceWarmPool is a return to the warm pool: the instance lives on. Empty in direct notifications without a pool.
	Origin      string `json:"Origin,omitempty"`
	Destination string `json:"Destination,omitempty"`
	// AccountID is the group's account: from the body of a direct notification, else from the envelope.
	AccountID string `json:"AccountId,omitempty"`
}

// Launching reports whether the instance is on its way in.
func (p *LifecycleAction) Launching() bool { return p.LifecycleTransition == TransitionLaunching }

// Terminating reports whether the instance is on its way out. It may be going no further than the warm pool.
func (p *LifecycleAction) Terminating() bool { return p.LifecycleTransition == TransitionTerminating }

// ToWarmPool reports whether the instance goes to the warm pool and is not terminated.
func (p *LifecycleAction) ToWarmPool() bool { return p.Destination == PlaceWarmPool }

func (p *LifecycleAction) check(env *Envelope) *fault {
	if p.AccountID == "" {
		p.AccountID = env.Account
	}
	switch {
	case p.AutoScalingGroupName == "":
		return missing("AutoScalingGroupName")
	case p.LifecycleHookName == "":
		return missing("LifecycleHookName")
	case p.LifecycleTransition == "":
		return missing("LifecycleTransition")
	case !p.Launching() && !p.Terminating():
		return &fault{field: "LifecycleTransition", reason: "neither launching nor terminating", value: p.LifecycleTransition}
	case p.Launching() != (env.DetailType == detailTypeLaunch):
		return &fault{field: "LifecycleTransition", reason: "contradicts the detail-type", value: p.LifecycleTransition}
	}
	return checkInstanceID("EC2InstanceId", p.EC2InstanceID)
}

// AutoScalingTestNotification is what Auto Scaling sends once when a hook is made, to see whether the queue is there.
//
// https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_PutLifecycleHook.html
type AutoScalingTestNotification struct {
	AutoScalingGroupName string `json:"AutoScalingGroupName,omitempty"`
	AutoScalingGroupARN  string `json:"AutoScalingGroupARN,omitempty"`
	AccountID            string `json:"AccountId,omitempty"`
}

func (p *AutoScalingTestNotification) check(*Envelope) *fault { return nil }

// AutoScalingResult says how a launch or a termination ended: the DetailType tells which, and whether it succeeded.
//
// https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-event-reference.html
type AutoScalingResult struct {
	AutoScalingGroupName string `json:"AutoScalingGroupName"`
	// EC2InstanceID is empty when a launch failed before there was an instance.
	EC2InstanceID string `json:"EC2InstanceId,omitempty"`
	ActivityID    string `json:"ActivityId,omitempty"`
	RequestID     string `json:"RequestId,omitempty"`
	// StatusCode is "InProgress" for a success and "Failed" for a failure.
	StatusCode    string `json:"StatusCode,omitempty"`
	StatusMessage string `json:"StatusMessage,omitempty"`
	Description   string `json:"Description,omitempty"`
	// Cause tells in English why the group did it.
	Cause     string    `json:"Cause,omitempty"`
	StartTime Timestamp `json:"StartTime,omitzero"`
	EndTime   Timestamp `json:"EndTime,omitzero"`
	// Details has "Availability Zone" and "Subnet ID".
	Details     StringMap `json:"Details,omitzero"`
	Origin      string    `json:"Origin,omitempty"`
	Destination string    `json:"Destination,omitempty"`
}

func (p *AutoScalingResult) check(env *Envelope) *fault {
	if p.AutoScalingGroupName == "" {
		return missing("AutoScalingGroupName")
	}
	if p.EC2InstanceID == "" && strings.HasSuffix(env.DetailType, "Unsuccessful") {
		return nil
	}
	return checkInstanceID("EC2InstanceId", p.EC2InstanceID)
}

// direct is what a notification without an envelope says of itself.
type direct struct {
	Event                string
	LifecycleTransition  string
	LifecycleActionToken string
	RequestID            string `json:"RequestId"`
	AccountID            string `json:"AccountId"`
	AutoScalingGroupARN  string
	Time                 Timestamp
}

func (d *direct) check(*Envelope) *fault { return nil }

// decodeAutoScaling reads a notification that Auto Scaling sent without an envelope, and builds one around it.
func decodeAutoScaling(w *wire) (Event, *fault) {
	event := Event{Kind: KindUnknown}
	env := &event.Envelope
	env.Source, env.Detail = SourceAutoScaling, bytes.TrimSpace(w.body)
	env.wire = wire{body: w.body, verbatim: true}
	head, err := into[direct](env)
	if err != nil {
		return Event{}, err.bare()
	}
	d := head.(*direct)
	env.ID, env.Account, env.Time = d.RequestID, d.AccountID, d.Time.UTC()
	if env.ID == "" {
		env.ID = d.LifecycleActionToken
	}
	if d.AutoScalingGroupARN != "" {
		env.Resources = StringList{d.AutoScalingGroupARN}
		if part := strings.SplitN(d.AutoScalingGroupARN, ":", 5); len(part) == 5 {
			env.Region = part[3]
		}
	}

	decode := into[LifecycleAction]
	switch {
	case d.Event == testNotification, d.LifecycleTransition == testNotification:
		env.DetailType, event.Kind, decode = testNotification, KindAutoScalingTestNotification, into[AutoScalingTestNotification]
	case d.LifecycleTransition == TransitionLaunching:
		env.DetailType, event.Kind = detailTypeLaunch, KindLifecycleAction
	case d.LifecycleTransition != "":
		env.DetailType, event.Kind = detailTypeTerminate, KindLifecycleAction // its check knows better
	case strings.HasPrefix(d.Event, "autoscaling:"):
		// A notification of PutNotificationConfiguration, such as autoscaling:EC2_INSTANCE_TERMINATE. Nobody asked for it.
		env.DetailType = d.Event
	default:
		return Event{}, &fault{field: "Event", reason: "not a notification of Auto Scaling", value: d.Event}
	}
	if event.Kind != KindAutoScalingTestNotification {
		if err := env.check(); err != nil {
			err.kind, err.field = event.Kind, directNames[err.field]
			return Event{}, err.in(env)
		}
	}
	if event.Kind != KindUnknown {
		if event.Payload, err = decode(env); err != nil {
			err.kind = event.Kind
			return Event{}, err.bare().in(env)
		}
	}
	return event, nil
}

// directNames are the fields of a direct notification that take the place of the envelope's.
var directNames = map[string]string{"id": "RequestId", "time": "Time", "detail-type": "LifecycleTransition", "detail": ""}

// bare takes the detail out of the field's path, where there is no envelope.
func (f *fault) bare() *fault {
	f.field = strings.TrimPrefix(strings.TrimPrefix(f.field, "detail"), ".")
	return f
}
