// Package autoscaling is the embedded cloud's Amazon EC2 Auto Scaling: groups that keep their desired capacity over
// subnets and instance types, with lifecycle hooks, activities and events as AWS documents them.
package autoscaling

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/ec2"
	"github.com/ekspedite/ekspedite/infra/local/ec2/form"
	"github.com/ekspedite/ekspedite/infra/local/wire"
	"github.com/ekspedite/ekspedite/infra/local/world"
)

// Events is the default event bus. Emit gets the event's source, detail type, resources and detail; the bus adds the
// rest of the envelope.
type Events interface {
	Emit(source, detailType string, resources []string, detail any)
}

// Queues sends lifecycle notifications straight to an SQS queue.
type Queues interface {
	Send(queueARN, body string) error
}

// Service is Auto Scaling in one Region.
type Service struct {
	w      *world.World
	ec2    *ec2.Service
	events Events
	queues Queues
	outbox *form.Outbox
	// balancers may be nil: then nothing is registered.
	balancers Balancers

	mu     sync.Mutex // taken before ec2's, never the other way round: ec2 calls its listeners without locks
	groups map[string]*group
}

// New makes an Auto Scaling without groups on an EC2.
func New(w *world.World, machines *ec2.Service, events Events, queues Queues) *Service {
	s := &Service{w: w, ec2: machines, events: events, queues: queues, outbox: form.NewOutbox(w), groups: map[string]*group{}}
	machines.OnStateChange(func(i ec2.Instance) { s.look(i.ID) })
	machines.OnSpotSignal(s.atRisk)
	return s
}

// API is the service for the gateway.
func (s *Service) API() *wire.Service {
	return &wire.Service{
		Name: "autoscaling", Protocol: wire.Query, XMLNamespace: "http://autoscaling.amazonaws.com/doc/2011-01-01/",
		Ops: slices.Concat(s.groupOps(), s.capacityOps(), s.memberOps(), s.hookOps(), s.activityOps(), s.processOps(), s.tagOps(), s.metricOps(), s.sourceOps(), s.refreshOps()),
	}
}

// handle makes an operation: needs, then parameters that are not implemented, then do under the lock. A nil needs means
// the action of the operation's name on every resource, which is what the Describe actions have.
func handle[In, Out any](s *Service, name string, needs func(*In) []wire.Need, do func(*In) (*Out, error)) wire.Op {
	return wire.Handle(name, func(_ *wire.Call, in *In) []wire.Need {
		if needs == nil {
			return []wire.Need{{Action: "autoscaling:" + name, Resource: "*"}}
		}
		return needs(in)
	}, func(_ context.Context, _ *wire.Call, in *In) (*Out, error) {
		if err := form.Check(name, in); err != nil {
			return nil, err
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		return do(in)
	})
}

// none is the output of operations without one.
type none struct{}

func validation(format string, args ...any) *wire.Error {
	return wire.Errf("ValidationError", format, args...)
}

func notImplemented(format string, args ...any) *wire.Error {
	return wire.Errf("NotImplemented", "the embedded cloud does not implement "+format, args...).WithStatus(501)
}

// need is a permission on a group, which may not exist: then the ARN has * for its UUID, as IAM sees it.
func (s *Service) need(action, name string) wire.Need {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := wire.Need{Action: "autoscaling:" + action, Resource: s.groupARN("*", name), Context: map[string][]string{}}
	if g, ok := s.groups[name]; ok {
		n.Resource = g.arn
		for _, t := range g.tags {
			n.Context["aws:ResourceTag/"+t.Key] = []string{t.Value}
			n.Context["autoscaling:ResourceTag/"+t.Key] = []string{t.Value}
		}
	}
	return n
}

// needOn is need for the inputs that name a group.
func needOn[In any](s *Service, action string, name func(*In) string) func(*In) []wire.Need {
	return func(in *In) []wire.Need { return []wire.Need{s.need(action, name(in))} }
}

func (s *Service) groupARN(uuid, name string) string {
	return s.w.ARN("autoscaling", "autoScalingGroup:"+uuid+":autoScalingGroupName/"+name)
}

// groupOf finds the group and the membership of an instance. The lock is held.
func (s *Service) groupOf(instanceID string) (*group, *member) {
	for _, g := range s.groups {
		if m := g.member(instanceID); m != nil {
			return g, m
		}
	}
	return nil, nil
}

// look has the group of an instance, if any, look at it.
func (s *Service) look(instanceID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if g, _ := s.groupOf(instanceID); g != nil {
		g.poke()
	}
}

// atRisk notes a rebalance recommendation or an interruption notice.
func (s *Service) atRisk(instanceID string, signal ec2.SpotSignal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g, m := s.groupOf(instanceID)
	if m == nil || m.state != inService {
		return
	}
	m.risk = true
	m.interrupted = m.interrupted || signal == ec2.Interruption
	g.poke()
}

// sentence begins the sentences of a Cause.
func sentence(t time.Time) string { return "At " + t.UTC().Format("2006-01-02T15:04:05Z") + " " }
