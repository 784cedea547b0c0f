// Package ec2 is the embedded cloud's Amazon EC2: network, launch templates, and instances that live, are interrupted
// and die as AWS documents it. An instance here is a record with a life cycle; what runs on it is the business of those
// who listen with OnStateChange.
package ec2

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/ec2/form"
	"github.com/ekspedite/ekspedite/infra/local/wire"
	"github.com/ekspedite/ekspedite/infra/local/world"
)

// Events is the default event bus. Emit gets the event's source, detail type, resources and detail; the bus adds the
// rest of the envelope.
type Events interface {
	Emit(source, detailType string, resources []string, detail any)
}

// Options are the ways in which EC2 can be made awkward, and what it needs to know of IAM. All may be nil.
type Options struct {
	// Stale is asked once for each new resource: true means that describes by its id do not find it for the profile's
	// Settle. Nil means never.
	Stale func() bool
	// Insufficient is asked for each launch, besides what SetCapacity says: true means InsufficientInstanceCapacity.
	// Market is "spot" or "on-demand". It must not call this service.
	Insufficient func(instanceType, az, market string) bool
	// ProfileRole returns the ARN of the role in an instance profile, given by name or ARN, for iam:PassRole. Without it
	// a profile's role is taken to have the profile's name.
	ProfileRole func(profile string) string
}

// Service is EC2 in one Region.
type Service struct {
	w      *world.World
	events Events
	opts   Options
	outbox *form.Outbox

	mu        sync.Mutex
	byID      map[string]resource
	order     []resource // in order of creation
	seq       int
	tokens    map[string]idempotent // by operation and ClientToken
	limits    map[pool]int          // instances at once, where there is a limit
	quotas    map[string]int        // where they are not the default
	optedIn   map[string]bool       // groups of Local Zones
	images    []Image               // the account's own
	started   time.Time
	ahead     int // releases of public images that came out before their time
	publicIPs uint32
	listeners []func(Instance)
	signals   []func(id string, signal SpotSignal)
}

// idempotent is what a ClientToken was first used for.
type idempotent struct {
	request string // fingerprint
	result  any
}

// New makes an EC2 without any resource: no default VPC either.
func New(w *world.World, events Events, opts Options) *Service {
	return &Service{
		w: w, events: events, opts: opts, outbox: form.NewOutbox(w), started: time.Now(),
		byID: map[string]resource{}, tokens: map[string]idempotent{}, limits: map[pool]int{}, quotas: map[string]int{}, optedIn: map[string]bool{},
	}
}

// API is the service for the gateway.
func (s *Service) API() *wire.Service {
	return &wire.Service{
		Name: "ec2", Protocol: wire.EC2Query, XMLNamespace: "http://ec2.amazonaws.com/doc/2016-11-15/",
		Ops: slices.Concat(s.placementOps(), s.zoneOps(), s.tagOps(), s.vpcOps(), s.cidrOps(), s.subnetOps(), s.gatewayOps(), s.egressOps(), s.vpnOps(), s.transitOps(), s.transitAttachmentOps(), s.natOps(), s.addressOps(),
			s.routeOps(), s.routeChangeOps(), s.endpointOps(), s.securityGroupOps(), s.ruleOps(), s.interfaceOps(), s.attachmentOps(), s.templateOps(), s.templateVersionOps(), s.instanceOps(),
			s.fleetOps(), s.volumeOps(), s.imageOps(), s.keyOps(), s.placementGroupOps(), s.peeringOps()),
	}
}

// handle makes an operation: needs, then parameters that are not implemented, then DryRun, then do. A nil needs means
// the action of the operation's name on every resource, which is what the Describe actions have.
func handle[In, Out any](name string, needs func(*In) []wire.Need, do func(*In) (*Out, error)) wire.Op {
	return wire.Handle(name, func(_ *wire.Call, in *In) []wire.Need {
		if needs == nil {
			return []wire.Need{{Action: "ec2:" + name, Resource: "*"}}
		}
		return needs(in)
	}, func(_ context.Context, _ *wire.Call, in *In) (*Out, error) {
		if err := form.Check(name, in); err != nil {
			return nil, err
		}
		if form.DryRun(in) {
			return nil, wire.Errf("DryRunOperation", "Request would have succeeded, but DryRun flag is set.").WithStatus(412)
		}
		return do(in)
	})
}

// done is the answer of operations that only say that they worked.
type done struct {
	Return bool `xml:"return"`
}

// once makes an operation with a ClientToken idempotent. The lock is held.
func once[Out any](s *Service, operation, token string, in any, do func() (*Out, error)) (*Out, error) {
	if token == "" {
		return do()
	}
	key, request := operation+"/"+token, fingerprint(in)
	if old, ok := s.tokens[key]; ok {
		if old.request != request {
			return nil, wire.Errf("IdempotentParameterMismatch", "The request uses the same client token as a previous, but non-identical request. Do not reuse a client token with different requests, unless the requests are identical")
		}
		return old.result.(*Out), nil
	}
	out, err := do()
	if err == nil {
		s.tokens[key] = idempotent{request, out}
	}
	return out, err
}

func missing(parameter string) *wire.Error {
	return wire.Errf("MissingParameter", "The request must contain the parameter %s", parameter)
}

func invalid(format string, args ...any) *wire.Error {
	return wire.Errf("InvalidParameterValue", format, args...)
}

func (s *Service) arn(resourceType, id string) string {
	return s.w.ARN("ec2", resourceType+"/"+id)
}
