// Package eventbridge is the embedded cloud's Amazon EventBridge: buses, rules with event patterns or schedules, targets
// with input transformation, retries and dead-letter queues.
package eventbridge

import (
	"sync"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/sqs"
	"github.com/ekspedite/ekspedite/infra/local/wire"
	"github.com/ekspedite/ekspedite/infra/local/world"
)

// servicePrincipal is who EventBridge is to the resource policies of its targets.
const servicePrincipal = "events.amazonaws.com"

// Queues are SQS, for targets and dead-letter queues. *sqs.Service is one.
type Queues interface {
	Send(arn, body string, attrs map[string]string, from sqs.Sender) error
	SendGroup(arn, body, group string, attrs map[string]string, from sqs.Sender) error
	SendAuthorized(arn, body, group string, attrs map[string]string) error
}

// Functions are Lambda. InvokeFor queues an asynchronous invocation if the function's policy lets the service do it.
type Functions interface {
	InvokeFor(servicePrincipal, sourceARN, functionARN string, payload []byte) error
}

// Logs are CloudWatch Logs.
type Logs interface {
	CreateStream(group, stream string) error
	Append(group, stream string, at time.Time, lines ...string) error
}

// Roles decide what a target's role may do.
type Roles interface {
	AuthorizeRole(roleARN string, need wire.Need) error
}

// Faults are the liberties that delivery takes. A nil function never does.
type Faults struct {
	Duplicate func() bool          // an event is delivered to a target twice
	Delay     func() time.Duration // an event is delivered later, and so perhaps after its successors
}

// Service holds the buses of one account and Region.
type Service struct {
	w         *world.World
	queues    Queues
	functions Functions
	logs      Logs
	roles     Roles
	faults    Faults

	mu       sync.Mutex // guards the rest
	buses    map[string]*bus
	watchers []func(bus string, event []byte)
}

// New makes a service with the default bus.
func New(w *world.World, queues Queues, functions Functions, logs Logs, roles Roles, faults Faults) *Service {
	s := &Service{w: w, queues: queues, functions: functions, logs: logs, roles: roles, faults: faults, buses: map[string]*bus{}}
	s.buses["default"] = s.newBus("default")
	return s
}

// Watch has f told of every event that a bus accepts, before its delivery. f must be quick and may be called
// concurrently.
func (s *Service) Watch(f func(bus string, event []byte)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.watchers = append(s.watchers, f)
}

// API registers the operations.
func (s *Service) API() *wire.Service {
	return &wire.Service{
		Name: "events", Protocol: wire.JSON11, TargetPrefix: "AWSEvents",
		Ops: []wire.Op{
			wire.Handle("PutEvents", s.needPutEvents, s.putEvents),
			wire.Handle("TestEventPattern", wire.On[testPatternInput]("events:TestEventPattern", "*"), s.testEventPattern),
			wire.Handle("PutRule", s.needPutRule, s.putRule),
			wire.Handle("DeleteRule", needRule[deleteRuleInput](s, "DeleteRule"), s.deleteRule),
			wire.Handle("DescribeRule", needRule[ruleInput](s, "DescribeRule"), s.describeRule),
			wire.Handle("EnableRule", needRule[ruleInput](s, "EnableRule"), s.enableRule),
			wire.Handle("DisableRule", needRule[ruleInput](s, "DisableRule"), s.disableRule),
			wire.Handle("ListRules", s.needListRules, s.listRules),
			wire.Handle("ListRuleNamesByTarget", s.needNamesByTarget, s.listRuleNamesByTarget),
			wire.Handle("PutTargets", s.needPutTargets, s.putTargets),
			wire.Handle("RemoveTargets", needRule[removeTargetsInput](s, "RemoveTargets"), s.removeTargets),
			wire.Handle("ListTargetsByRule", needRule[listTargetsInput](s, "ListTargetsByRule"), s.listTargetsByRule),
			wire.Handle("CreateEventBus", s.needCreateBus, s.createEventBus),
			wire.Handle("DeleteEventBus", s.needBus("DeleteEventBus"), s.deleteEventBus),
			wire.Handle("DescribeEventBus", s.needBus("DescribeEventBus"), s.describeEventBus),
			wire.Handle("ListEventBuses", wire.On[listBusesInput]("events:ListEventBuses", "*"), s.listEventBuses),
			wire.Handle("TagResource", s.needTag, s.tagResource),
			wire.Handle("UntagResource", s.needUntag, s.untagResource),
			wire.Handle("ListTagsForResource", s.needListTags, s.listTagsForResource),
		},
	}
}

func invalid(format string, args ...any) *wire.Error {
	return wire.Errf("ValidationException", format, args...)
}

func notFound(format string, args ...any) *wire.Error {
	return wire.Errf("ResourceNotFoundException", format, args...)
}

func notImplemented(format string, args ...any) *wire.Error {
	return wire.Errf("NotImplemented", "the embedded cloud does not implement "+format, args...).WithStatus(501)
}

type empty struct{}
