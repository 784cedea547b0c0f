package elb

import (
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/wire"
)

// target is an instance in a target group. It goes for good when its deregistration is over.
type target struct {
	id      string
	port    int
	since   time.Time // registered
	leaving time.Time // deregistered, zero if it is not
}

// targetID names a target in a request.
type targetID struct {
	Id               string
	Port             int    `xml:",omitempty"`
	AvailabilityZone string `xml:",omitempty"`
}

type healthXML struct {
	State               string
	Reason, Description string `xml:",omitempty"`
}

type targetHealthXML struct {
	Target          targetID
	HealthCheckPort string
	TargetHealth    healthXML
}

// delayKey is the attribute that says how long a target drains, in seconds.
const (
	delayKey     = "deregistration_delay.timeout_seconds"
	defaultDelay = 300
	maxDelay     = 3600
)

// defaults are the attributes of a new target group; the many others of AWS do nothing here.
var defaults = map[string]string{delayKey: strconv.Itoa(defaultDelay), "stickiness.enabled": "false"}

func noGroup() error {
	return wire.Errf("TargetGroupNotFound", "One or more target groups not found")
}

func invalidTarget(format string, args ...any) error {
	return wire.Errf("InvalidTarget", format, args...)
}

// delay is how long a target of the group drains, in the world's time.
func (s *Service) delay(g *targetGroup) time.Duration {
	seconds, err := strconv.Atoi(g.attributes[delayKey])
	if err != nil {
		seconds = defaultDelay
	}
	return s.w.Profile.Deregistration * time.Duration(seconds) / defaultDelay
}

// prune drops what has drained.
func (s *Service) prune(g *targetGroup) {
	g.members = slices.DeleteFunc(g.members, func(t *target) bool {
		return !t.leaving.IsZero() && !time.Now().Before(t.leaving.Add(s.delay(g)))
	})
}

// about finds the target group of a request and brings it up to date.
func (s *Service) about(in *request) (*targetGroup, error) {
	g := s.groups[in.TargetGroupArn]
	if g == nil {
		return nil, noGroup()
	}
	s.prune(g)
	return g, nil
}

func (g *targetGroup) find(id string, port int) *target {
	for _, t := range g.members {
		if t.id == id && t.port == port {
			return t
		}
	}
	return nil
}

// register adds targets. One that drains is taken back.
func (s *Service) register(in *request) (any, error) {
	g, err := s.about(in)
	if err != nil {
		return nil, err
	}
	if len(in.Targets) == 0 {
		return nil, wire.Errf("ValidationError", "At least one target must be specified")
	}
	if g.targets != "instance" {
		return nil, wire.Errf("NotImplemented", "the embedded cloud registers no targets of the type %s", g.targets).WithStatus(501)
	}
	for _, t := range in.Targets {
		i, ok := s.ec2.Instance(t.Id)
		switch {
		case !ok:
			return nil, invalidTarget("The following targets are not valid: '%s'", t.Id)
		case i.State != "running" && i.State != "pending":
			return nil, invalidTarget("The following targets are not in a running state and cannot be registered: '%s'", t.Id)
		case i.VPCID != g.vpc:
			return nil, invalidTarget("The following targets are not in the target group VPC '%s': '%s'", g.vpc, t.Id)
		}
	}
	for _, t := range in.Targets {
		s.add(g, t.Id, t.Port)
	}
	return struct{}{}, nil
}

func (s *Service) add(g *targetGroup, id string, port int) {
	if port == 0 {
		port = g.port
	}
	t := g.find(id, port)
	if t == nil {
		t = &target{id: id, port: port, since: time.Now()}
		g.members = append(g.members, t)
	}
	if !t.leaving.IsZero() {
		t.since, t.leaving = time.Now(), time.Time{}
	}
}

// deregister has targets drain: those of the port, or of all ports where none is given. A target that is not registered is
// success. Of a group that gets no traffic there is nothing to drain.
func (s *Service) deregister(in *request) (any, error) {
	g, err := s.about(in)
	if err != nil {
		return nil, err
	}
	if len(in.Targets) == 0 {
		return nil, wire.Errf("ValidationError", "At least one target must be specified")
	}
	for _, t := range in.Targets {
		s.take(g, t.Id, t.Port)
	}
	return struct{}{}, nil
}

func (s *Service) take(g *targetGroup, id string, port int) {
	used := len(s.users(g.arn)) > 0
	g.members = slices.DeleteFunc(g.members, func(t *target) bool {
		if t.id != id || port != 0 && t.port != port {
			return false
		}
		if t.leaving.IsZero() {
			t.leaving = time.Now()
		}
		return !used
	})
}

// health is a target's state with the reason and description of AWS.
func (s *Service) health(g *targetGroup, t *target) healthXML {
	i, ok := s.ec2.Instance(t.id)
	switch {
	case !t.leaving.IsZero():
		return healthXML{"draining", "Target.DeregistrationInProgress", "Target deregistration is in progress"}
	case len(s.users(g.arn)) == 0:
		return healthXML{"unused", "Target.NotInUse", "Target group is not configured to receive traffic from the load balancer"}
	case !ok || i.State == "terminated" || i.State == "stopped":
		return healthXML{"unused", "Target.InvalidState", "Target is in the stopped or terminated state"}
	case time.Since(t.since) < s.w.Profile.TargetHealth:
		return healthXML{"initial", "Elb.InitialHealthChecking", "Initial health checks in progress"}
	case i.State != "running" && i.State != "pending":
		return healthXML{"unhealthy", "Target.FailedHealthChecks", "Health checks failed"}
	}
	return healthXML{State: "healthy"}
}

// describeHealth lists the targets, or tells of those that are asked for.
func (s *Service) describeHealth(in *request) (any, error) {
	g, err := s.about(in)
	if err != nil {
		return nil, err
	}
	list := []targetHealthXML{}
	add := func(t *target, h healthXML) {
		list = append(list, targetHealthXML{Target: targetID{Id: t.id, Port: t.port}, HealthCheckPort: strconv.Itoa(t.port), TargetHealth: h})
	}
	for _, want := range in.Targets {
		port := want.Port
		if port == 0 {
			port = g.port
		}
		if t := g.find(want.Id, port); t != nil {
			add(t, s.health(g, t))
		} else {
			add(&target{id: want.Id, port: port}, healthXML{"unused", "Target.NotRegistered", "Target is not registered to the target group"})
		}
	}
	if len(in.Targets) == 0 {
		for _, t := range g.members {
			add(t, s.health(g, t))
		}
	}
	return struct {
		Descriptions []targetHealthXML `xml:"TargetHealthDescriptions>member"`
	}{list}, nil
}

type attributesXML struct {
	Attributes []tag `xml:"Attributes>member"`
}

func (s *Service) describeAttributes(in *request) (any, error) {
	g, err := s.about(in)
	if err != nil {
		return nil, err
	}
	all := maps.Clone(defaults)
	maps.Copy(all, g.attributes)
	return attributesXML{tagList(all)}, nil
}

func (s *Service) modifyAttributes(in *request) (any, error) {
	g, err := s.about(in)
	if err != nil {
		return nil, err
	}
	for _, a := range in.Attributes {
		if _, known := defaults[a.Key]; !known {
			return nil, wire.Errf("NotImplemented", "the embedded cloud has no target group attribute %s", a.Key).WithStatus(501)
		}
		if n, err := strconv.Atoi(a.Value); a.Key == delayKey && (err != nil || n < 0 || n > maxDelay) {
			return nil, wire.Errf("InvalidConfigurationRequest", "%s must be between 0 and %d", delayKey, maxDelay)
		}
	}
	for _, a := range in.Attributes {
		g.attributes[a.Key] = a.Value
	}
	return attributesXML{in.Attributes}, nil
}

// Join registers an instance of an Auto Scaling group that a target group is attached to. One that does not exist is passed
// over.
func (s *Service) Join(groupARN, instanceID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if g := s.groups[groupARN]; g != nil && g.targets == "instance" {
		s.prune(g)
		s.add(g, instanceID, 0)
	}
}

// Leave deregisters it.
func (s *Service) Leave(groupARN, instanceID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if g := s.groups[groupARN]; g != nil {
		s.prune(g)
		s.take(g, instanceID, 0)
	}
}

// Drains is until when connections to an instance are drained in a target group; zero if they are not.
func (s *Service) Drains(groupARN, instanceID string) (until time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.groups[groupARN]
	if g == nil {
		return until
	}
	s.prune(g)
	for _, t := range g.members {
		if end := t.leaving.Add(s.delay(g)); t.id == instanceID && !t.leaving.IsZero() && end.After(until) {
			until = end
		}
	}
	return until
}
