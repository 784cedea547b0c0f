package autoscaling

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"time"
)

const (
	onLaunch    = "autoscaling:EC2_INSTANCE_LAUNCHING"
	onTerminate = "autoscaling:EC2_INSTANCE_TERMINATING"

	proceed = "CONTINUE"
	abandon = "ABANDON"

	maxHooks        = 50
	maxGlobalWait   = 48 * time.Hour // or 100 heartbeats, whichever is less
	maxHeartbeats   = 100
	defaultInterval = 3600 // seconds
)

// hook is a lifecycle hook.
type hook struct {
	name, transition string
	target, role     string
	metadata         string
	heartbeat        int // seconds
	result           string
}

func (h *hook) interval() time.Duration { return time.Duration(h.heartbeat) * time.Second }

func (h *hook) global() time.Duration { return min(maxHeartbeats*h.interval(), maxGlobalWait) }

// wait is one lifecycle action: an instance that waits for one hook.
type wait struct {
	hook     hook // as it was when the wait began
	token    string
	deadline time.Time
	limit    time.Time // heartbeats move the deadline no further
	result   string    // empty while waiting
	timedOut bool
}

// wait puts a member into its wait state, if the group has hooks for the transition, and tells about it. The lock is
// held.
func (s *Service) startWaits(g *group, m *member, transition, state, origin, destination string) bool {
	m.waits = nil
	for _, h := range g.hooks {
		if h.transition != transition {
			continue
		}
		now := time.Now()
		w := &wait{hook: *h, token: s.w.UUID(), deadline: now.Add(h.interval()), limit: now.Add(h.global())}
		m.waits = append(m.waits, w)
		s.notify(g, m, w, origin, destination)
	}
	if len(m.waits) > 0 {
		m.state = state
	}
	return len(m.waits) > 0
}

// lifecycleAction is the detail of the lifecycle action events.
type lifecycleAction struct {
	LifecycleActionToken string
	AutoScalingGroupName string
	LifecycleHookName    string
	EC2InstanceID        string `json:"EC2InstanceId"`
	LifecycleTransition  string
	NotificationMetadata string `json:",omitempty"`
	Origin               string
	Destination          string
}

// notification is what a hook's own target gets: no envelope.
type notification struct {
	LifecycleHookName    string `json:",omitempty"`
	AccountID            string `json:"AccountId"`
	RequestID            string `json:"RequestId"`
	LifecycleTransition  string `json:",omitempty"`
	AutoScalingGroupARN  string `json:",omitempty"`
	AutoScalingGroupName string
	Service              string
	Event                string `json:",omitempty"`
	Time                 string
	EC2InstanceID        string `json:"EC2InstanceId,omitempty"`
	LifecycleActionToken string `json:",omitempty"`
	NotificationMetadata string `json:",omitempty"`
	Origin               string `json:",omitempty"`
	Destination          string `json:",omitempty"`
}

// notify tells of a wait: EventBridge, and the hook's target if it has one.
func (s *Service) notify(g *group, m *member, w *wait, origin, destination string) {
	detailType := "EC2 Instance-launch Lifecycle Action"
	if w.hook.transition == onTerminate {
		detailType = "EC2 Instance-terminate Lifecycle Action"
	}
	detail := lifecycleAction{w.token, g.name, w.hook.name, m.id, w.hook.transition, w.hook.metadata, origin, destination}
	n := notification{
		LifecycleHookName: w.hook.name, AccountID: s.w.Account, RequestID: s.w.UUID(), LifecycleTransition: w.hook.transition,
		AutoScalingGroupName: g.name, Service: "AWS Auto Scaling", Time: time.Now().UTC().Format(isoMillis), EC2InstanceID: m.id,
		LifecycleActionToken: w.token, NotificationMetadata: w.hook.metadata, Origin: origin, Destination: destination,
	}
	arn, target := g.arn, w.hook.target
	s.outbox.Post(func() {
		s.events.Emit("aws.autoscaling", detailType, []string{arn}, detail)
		if target != "" {
			if err := s.send(target, n); err != nil { // its owner took the queue away; the heartbeat timeout is what is left
				s.w.Log.Warn("autoscaling: a lifecycle notification could not be sent", "target", target, "error", err)
			}
		}
	})
}

func (s *Service) send(target string, n notification) error {
	body, err := json.Marshal(n)
	if err != nil {
		return err
	}
	return s.queues.Send(target, string(body))
}

// settle ends the waits whose heartbeat is overdue and returns the outcome of all: CONTINUE, ABANDON, or "" while one
// is still open and none is abandoned.
func (m *member) settle(now time.Time) string {
	open := false
	for _, w := range m.waits {
		if w.result == "" && !now.Before(w.deadline) {
			w.result, w.timedOut = w.hook.result, true
		}
		open = open || w.result == ""
	}
	if slices.ContainsFunc(m.waits, func(w *wait) bool { return w.result == abandon }) {
		return abandon
	}
	if open {
		return ""
	}
	return proceed
}

// abandoned says why a launch was abandoned.
func (m *member) abandoned() string {
	for _, w := range m.waits {
		if w.result == abandon {
			why := "Lifecycle Action Completed with ABANDON Result"
			if w.timedOut {
				why = "Heartbeat Timeout"
			}
			return "Instance failed to complete user's Lifecycle Action: Lifecycle Action with token " + w.token + " was abandoned: " + why
		}
	}
	return ""
}

// hookIn is a hook in PutLifecycleHook and in LifecycleHookSpecificationList.
type hookIn struct {
	LifecycleHookName     string
	LifecycleTransition   string
	NotificationTargetARN *string
	RoleARN               string
	NotificationMetadata  *string
	HeartbeatTimeout      *int
	DefaultResult         string
}

type putHookIn struct {
	AutoScalingGroupName  string
	LifecycleHookName     string
	LifecycleTransition   string
	NotificationTargetARN *string
	RoleARN               string
	NotificationMetadata  *string
	HeartbeatTimeout      *int
	DefaultResult         string
}

func (in *putHookIn) hook() hookIn {
	return hookIn{in.LifecycleHookName, in.LifecycleTransition, in.NotificationTargetARN, in.RoleARN, in.NotificationMetadata, in.HeartbeatTimeout, in.DefaultResult}
}

var hookName = regexp.MustCompile(`^[A-Za-z0-9\-_/]{1,255}$`)

// update sets on h what the request gives. A new hook has the defaults.
func (in hookIn) update(h *hook) error {
	if in.LifecycleTransition != "" {
		h.transition = in.LifecycleTransition
	}
	if in.NotificationTargetARN != nil {
		h.target = *in.NotificationTargetARN
	}
	if in.RoleARN != "" {
		h.role = in.RoleARN
	}
	change(&h.metadata, in.NotificationMetadata)
	change(&h.heartbeat, in.HeartbeatTimeout)
	if in.DefaultResult != "" {
		h.result = in.DefaultResult
	}
	switch {
	case !hookName.MatchString(h.name):
		return validation("1 validation error detected: Value '%s' at 'lifecycleHookName' failed to satisfy constraint: Member must satisfy regular expression pattern: [A-Za-z0-9\\-_\\/]+", h.name)
	case h.transition == "":
		return validation("LifecycleTransition is required for a new lifecycle hook")
	case h.transition != onLaunch && h.transition != onTerminate:
		return validation("Invalid Lifecycle Transition specified. Lifecycle Transition %s is not a valid value.", h.transition)
	case h.result != proceed && h.result != abandon:
		return validation("Invalid Default Result %s: must be CONTINUE or ABANDON", h.result)
	case h.heartbeat < 30 || h.heartbeat > 7200:
		return validation("Heartbeat timeout must be between 30 and 7200 seconds")
	case h.target != "" && strings.Split(h.target+":::", ":")[2] != "sqs":
		return notImplemented("the notification target %s: only SQS queues", h.target)
	case h.target != "" && h.role == "":
		return validation("If a notification target ARN is specified, a role ARN is required")
	}
	return nil
}

func newHook(name string) *hook {
	return &hook{name: name, heartbeat: defaultInterval, result: abandon}
}

type hookXML struct {
	LifecycleHookName     string
	AutoScalingGroupName  string
	LifecycleTransition   string
	NotificationTargetARN string `xml:",omitempty"`
	RoleARN               string `xml:",omitempty"`
	NotificationMetadata  string `xml:",omitempty"`
	HeartbeatTimeout      int
	GlobalTimeout         int
	DefaultResult         string
}

type describeHooksIn struct {
	AutoScalingGroupName string
	LifecycleHookNames   []string
}

type describeHooksOut struct {
	LifecycleHooks []hookXML `xml:"LifecycleHooks>member"`
}

type deleteHookIn struct {
	AutoScalingGroupName string
	LifecycleHookName    string
}

type actionIn struct {
	AutoScalingGroupName  string
	LifecycleHookName     string
	LifecycleActionToken  string
	LifecycleActionResult string
	InstanceID            string `query:"InstanceId"`
}
