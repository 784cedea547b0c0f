package events

import (
	"encoding/json"
	"fmt"
	"time"
)

// ekspedite's own events, source "ekspedite". Requests and reports go over its own bus; continuations are messages that
// a function sends to its own queue, in the same envelope.
const (
	KindClusterApplyRequested  Kind = "ClusterApplyRequested"
	KindClusterDeleteRequested Kind = "ClusterDeleteRequested"
	KindClusterSweepRequested  Kind = "ClusterSweepRequested"
	KindClusterContinuation    Kind = "ClusterContinuation"
	KindDrainContinuation      Kind = "DrainContinuation"
	KindRunFinished            Kind = "RunFinished"
	KindRunProgressed          Kind = "RunProgressed"
)

// OwnPayload is the detail of one of ekspedite's own events; a value or a pointer to it will do.
type OwnPayload interface{ ownKind() Kind }

func (ClusterApplyRequested) ownKind() Kind  { return KindClusterApplyRequested }
func (ClusterDeleteRequested) ownKind() Kind { return KindClusterDeleteRequested }
func (ClusterSweepRequested) ownKind() Kind  { return KindClusterSweepRequested }
func (ClusterContinuation) ownKind() Kind    { return KindClusterContinuation }
func (DrainContinuation) ownKind() Kind      { return KindDrainContinuation }
func (RunFinished) ownKind() Kind            { return KindRunFinished }
func (RunProgressed) ownKind() Kind          { return KindRunProgressed }

// New makes one of ekspedite's own events. The id identifies the event: the same work asked for twice should have the
// same id. Account and region may be empty. What New returns is what Decode would of its encoding, so that nothing can
// be sent that would be rejected on arrival.
func New(payload OwnPayload, id string, at time.Time, account, region string) (Event, error) {
	detail, err := json.Marshal(payload)
	if err != nil {
		return Event{}, fmt.Errorf("events: encode %T: %w", payload, err)
	}
	if string(detail) == "null" {
		return Event{}, fmt.Errorf("events: new event of a nil %T", payload)
	}
	kind := payload.ownKind()
	for i := range contracts {
		if contracts[i].Kind != kind {
			continue
		}
		body, err := Event{Envelope: Envelope{
			Version: "0", ID: id, DetailType: contracts[i].DetailTypes[0], Source: SourceEkspedite, Account: account,
			Time: at.UTC(), Region: region, Resources: StringList{}, Detail: detail,
		}}.Encode()
		if err != nil {
			return Event{}, err
		}
		return Decode(body)
	}
	return Event{}, fmt.Errorf("events: no contract for %s", kind)
}

// ClusterApplyRequested asks for clusters to be made what a spec says.
type ClusterApplyRequested struct {
	// RequestID names the request in every report about it.
	RequestID string `json:"requestId"`
	// Spec is the YAML documents as text: eksctl ClusterConfigs and ekspedite ClusterPolicies.
	Spec string `json:"spec"`
	// DryRun asks for the plan only.
	DryRun bool `json:"dryRun,omitempty"`
	// Prune asks for the end of what ekspedite made for the cluster and is not in the spec any more: node groups, add-ons, …
	Prune bool `json:"prune,omitempty"`
}

func (p *ClusterApplyRequested) check(*Envelope) *fault {
	return required("requestId", p.RequestID, "spec", p.Spec)
}

// ClusterDeleteRequested asks for a cluster's end: nothing that ekspedite has made for it is to be left.
type ClusterDeleteRequested struct {
	// RequestID names the request in every report about it.
	RequestID string `json:"requestId"`
	Cluster   string `json:"cluster"`
	// Region is the cluster's; empty: the function's own.
	Region string `json:"region,omitempty"`
	// Force deletes it although it is protected against that, or Kubernetes has left load balancers or machines behind,
	// which go, too. Volumes stay: they hold data.
	Force bool `json:"force,omitempty"`
	// DryRun asks for the plan only.
	DryRun bool `json:"dryRun,omitempty"`
}

func (p *ClusterDeleteRequested) check(*Envelope) *fault {
	return required("requestId", p.RequestID, "cluster", p.Cluster)
}

// ClusterSweepRequested asks for every cluster to be looked at. It is the input of a schedule, whose id and time are
// EventBridge Scheduler's context attributes, and which knows neither account nor Region.
type ClusterSweepRequested struct{}

func (p *ClusterSweepRequested) check(*Envelope) *fault { return nil }

// SweepScheduleInput is the constant input to give the schedule. EventBridge Scheduler fills in what stands in <>.
const SweepScheduleInput = `{"version":"0","id":"<aws.scheduler.execution-id>","detail-type":"Cluster Sweep Requested",` +
	`"source":"ekspedite","time":"<aws.scheduler.scheduled-time>","detail":{}}`

// ClusterContinuation is the cluster function's note to itself to look at a cluster again.
type ClusterContinuation struct {
	RunID     string `json:"runId"`
	Cluster   string `json:"cluster"`
	Region    string `json:"region,omitempty"` // empty: the function's own
	RequestID string `json:"requestId,omitempty"`
	// StartedAt is when the run began.
	StartedAt time.Time `json:"startedAt"`
	// Attempt counts the looks so far.
	Attempt int `json:"attempt"`
}

func (p *ClusterContinuation) check(*Envelope) *fault {
	if err := required("runId", p.RunID, "cluster", p.Cluster); err != nil {
		return err
	}
	return checkRun(p.StartedAt, p.Attempt)
}

// DrainContinuation is the interruption function's note to itself to look at a drain again.
type DrainContinuation struct {
	RunID      string `json:"runId"`
	InstanceID string `json:"instanceId"`
	// Cluster is the name of an EKS cluster, or the ARN of an ECS cluster. Then Node is the container instance's ARN.
	Cluster string `json:"cluster,omitempty"`
	// Region is the machine's and the cluster's; empty: the function's own.
	Region string `json:"region,omitempty"`
	// Node is the node's name, NodeUID its uid: a node of the same name and another uid is another machine. They are empty
	// while an instance in a launching hook has not become a node.
	Node    string `json:"node,omitempty"`
	NodeUID string `json:"nodeUid,omitempty"`
	// Cause is the kind of the event which began the run.
	Cause Kind `json:"cause"`
	// Signal is what the event said will happen, such as "terminate" or "hibernate"; empty where it said nothing.
	Signal    string    `json:"signal,omitempty"`
	EventID   string    `json:"eventId,omitempty"`
	EventTime time.Time `json:"eventTime,omitzero"`
	// Deadline is when the machine is gone; zero if nothing hurries.
	Deadline  time.Time `json:"deadline,omitzero"`
	StartedAt time.Time `json:"startedAt"`
	// Attempt counts the looks so far.
	Attempt int `json:"attempt"`
	// Hook is the lifecycle hook to be completed when the drain is over, nil without one.
	Hook *LifecycleHookRef `json:"hook,omitempty"`
	// Fate is what becomes of the machine and of its capacity, see MachineSignal.
	Fate string `json:"fate,omitempty"`
	// Removal is set if the machine is to be ended when the drain is over.
	Removal *RemovalRef `json:"removal,omitempty"`
}

// LifecycleHookRef is what it takes to complete a lifecycle hook.
type LifecycleHookRef struct {
	AutoScalingGroupName string `json:"autoScalingGroupName"`
	LifecycleHookName    string `json:"lifecycleHookName"`
	// LifecycleActionToken may be empty; the instance id serves as well.
	LifecycleActionToken string `json:"lifecycleActionToken,omitempty"`
}

func (p *DrainContinuation) check(*Envelope) *fault {
	if err := required("runId", p.RunID, "cause", string(p.Cause)); err != nil {
		return err
	}
	if err := checkInstanceID("instanceId", p.InstanceID); err != nil {
		return err
	}
	if p.Hook != nil {
		if err := required("hook.autoScalingGroupName", p.Hook.AutoScalingGroupName, "hook.lifecycleHookName", p.Hook.LifecycleHookName); err != nil {
			return err
		}
	}
	if err := checkFate(p.Fate); err != nil {
		return err
	}
	if p.Removal != nil {
		if err := required("removal.cluster", p.Removal.Cluster, "removal.nodeUid", p.Removal.NodeUID, "removal.reason", string(p.Removal.Reason)); err != nil {
			return err
		}
		if p.Removal.Until.IsZero() {
			return missing("removal.until")
		}
	}
	return checkRun(p.StartedAt, p.Attempt)
}

// Subject is what a run is about. A run on an instance that never became a node has no Node.
type Subject struct {
	Cluster    string `json:"cluster,omitempty"`
	Region     string `json:"region,omitempty"`
	Node       string `json:"node,omitempty"`
	InstanceID string `json:"instanceId,omitempty"`
	NodeGroup  string `json:"nodeGroup,omitempty"`
	// ContainerInstance is set instead of Node for a machine of an ECS cluster, Task and Service for a task on Fargate. They are
	// ARNs, but for the service's name, and so is then Cluster.
	ContainerInstance string `json:"containerInstance,omitempty"`
	Task              string `json:"task,omitempty"`
	Service           string `json:"service,omitempty"`
}

// Values of RunFinished.Outcome.
const (
	OutcomeDrained          = "Drained"
	OutcomePartiallyDrained = "PartiallyDrained"
	OutcomeNothingToDo      = "NothingToDo"
	OutcomeNodeRemoved      = "NodeRemoved" // drained, and its machine ended for good
	OutcomeNodeKept         = "NodeKept"    // it could not be removed, and takes work again
	OutcomeActive           = "Active"
	OutcomeDeleted          = "Deleted"
	OutcomeFailed           = "Failed"
	OutcomeSuperseded       = "Superseded" // a newer request took its place
	OutcomeScaled           = "Scaled"     // nodes were ordered or given up
	OutcomePlanned          = "Planned"    // something would have been done, but the plan alone was wanted
	OutcomeUpgraded         = "Upgraded"   // or patched
	OutcomeRolledBack       = "RolledBack" // to the version before
	OutcomeAborted          = "Aborted"    // ended where it was, because somebody wanted that
	OutcomeReported         = "Reported"   // it can only be told: ECS acts itself
	OutcomeNotReady         = "NotReady"   // the readiness gate has blockers
)

// RunFinished reports what came of a run.
type RunFinished struct {
	RunID string `json:"runId"`
	// Function is the one that ran, such as "interruption".
	Function string  `json:"function"`
	Subject  Subject `json:"subject"`
	// Outcome is one word, such as OutcomeDrained.
	Outcome string `json:"outcome"`
	// Reason is a sentence.
	Reason string `json:"reason,omitempty"`
	// Cause is the kind of the event that began the run; empty if none did, or where it does not matter.
	Cause Kind `json:"cause,omitempty"`
	// EventID and EventTime are of the event which began the run.
	EventID    string    `json:"eventId,omitempty"`
	EventTime  time.Time `json:"eventTime,omitzero"`
	StartedAt  time.Time `json:"startedAt"`
	FinishedAt time.Time `json:"finishedAt"`
	// Timings are in milliseconds, by name, such as eventToCordon.
	Timings map[string]int64 `json:"timings,omitzero"`
	// Counts are by name, such as podsEvicted.
	Counts map[string]int64 `json:"counts,omitzero"`
	// Blocked names what was in the way, such as "default/web-1 by PodDisruptionBudget web".
	Blocked []string `json:"blocked,omitzero"`
	// Plan is what would have been done, in order: of a run that was only to look.
	Plan []string `json:"plan,omitzero"`
	// Failures are why a run on a cluster failed: whose each is, and what to do about it.
	Failures []Failure `json:"failures,omitzero"`
}

// Failure is one reason why a run failed.
type Failure struct {
	Resource string `json:"resource,omitempty"` // such as "nodegroup/spot"
	Code     string `json:"code,omitempty"`     // AWS's own
	Whose    string `json:"whose"`              // user, ours, quota, capacity or aws
	Text     string `json:"text"`
	Fix      string `json:"fix,omitempty"` // what to do
}

func (p *RunFinished) check(*Envelope) *fault {
	if p.FinishedAt.IsZero() {
		return missing("finishedAt")
	}
	if err := required("runId", p.RunID, "function", p.Function, "outcome", p.Outcome); err != nil {
		return err
	}
	return checkRun(p.StartedAt, 0)
}

// RunProgressed reports one step of a run, for whoever follows it live.
type RunProgressed struct {
	RunID    string  `json:"runId"`
	Function string  `json:"function"`
	Subject  Subject `json:"subject"`
	// Step is one word, such as "Cordoned"; Detail a sentence.
	Step   string `json:"step"`
	Detail string `json:"detail,omitempty"`
	// Resource is the part of a cluster that the step is about, such as "nodegroup/spot".
	Resource string    `json:"resource,omitempty"`
	At       time.Time `json:"at"`
}

func (p *RunProgressed) check(*Envelope) *fault {
	if p.At.IsZero() {
		return missing("at")
	}
	return required("runId", p.RunID, "function", p.Function, "step", p.Step)
}

// required wants pairs of a field and its value, and no empty value.
func required(pairs ...string) *fault {
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] == "" {
			return missing(pairs[i])
		}
	}
	return nil
}

func checkRun(startedAt time.Time, attempt int) *fault {
	if startedAt.IsZero() {
		return missing("startedAt")
	}
	if attempt < 0 {
		return &fault{field: "attempt", reason: "is negative"}
	}
	return nil
}
