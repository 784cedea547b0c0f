package ec2

import (
	"slices"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/wire"
)

// trouble is what status checks find wrong with an instance, and what EC2 has scheduled for it.
type trouble struct {
	failing   map[string]time.Time // since when, by check: "system", "instance"
	scheduled []ScheduledEvent
}

// ScheduledEvent is something that EC2 will do to an instance.
type ScheduledEvent struct {
	ID, Code, Description string
	NotBefore, NotAfter   time.Time
	over                  time.Time
}

// The checks.
const (
	SystemCheck   = "system"
	InstanceCheck = "instance"
)

// overVisible is how long events are shown that are over.
const overVisible = 7 * 24 * time.Hour

// scheduledCodes are those that EC2 has.
var scheduledCodes = []string{"instance-reboot", "system-reboot", "system-maintenance", "instance-retirement", "instance-stop"}

// Impair lets a status check of a running instance fail since a time; the zero time lets it pass again.
func (s *Service) Impair(id, check string, since time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	i, err := get[*instance](s, kindInstance, id)
	switch {
	case err != nil:
		return err
	case check != SystemCheck && check != InstanceCheck:
		return invalid("Value (%s) for the check is invalid: system or instance.", check)
	case since.IsZero():
		delete(i.trouble.failing, check)
		return nil
	case i.state != "running":
		return wire.Errf("IncorrectInstanceState", "The instance '%s' is not in the 'running' state but %s.", id, i.state)
	}
	if i.trouble.failing == nil {
		i.trouble.failing = map[string]time.Time{}
	}
	i.trouble.failing[check] = since
	return nil
}

// Schedule has EC2 do something to an instance at a time, and gives the event's id. Retirements and stops end it then, as EC2 does with
// instances that keep nothing on volumes of their own.
func (s *Service) Schedule(id, code, description string, at time.Time) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i, err := get[*instance](s, kindInstance, id)
	if err != nil {
		return "", err
	}
	if !slices.Contains(scheduledCodes, code) {
		return "", invalid("Value (%s) for the event's code is invalid: %s.", code, strings.Join(scheduledCodes, ", "))
	}
	e := ScheduledEvent{ID: "instance-event-" + s.w.Hex(17), Code: code, Description: description, NotBefore: at, NotAfter: at.Add(2 * time.Hour)}
	i.trouble.scheduled = append(i.trouble.scheduled, e)
	step := i.transition
	s.w.After(time.Until(at), func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.mark(i, e.ID, "[Completed] ") && i.transition == step && (code == "instance-retirement" || code == "instance-stop") {
			s.terminate(i, byRetirement)
		}
	})
	return e.ID, nil
}

var byRetirement = stateReason{"Server.ScheduledStop", "Server.ScheduledStop: Stopped due to a scheduled retirement"}

// Cancel takes back what is scheduled for an instance.
func (s *Service) Cancel(id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	i, err := get[*instance](s, kindInstance, id)
	if err != nil {
		return err
	}
	for _, e := range slices.Clone(i.trouble.scheduled) {
		s.mark(i, e.ID, "[Canceled] ")
	}
	return nil
}

// mark says of a scheduled event that it is over; false if it was before. The lock is held.
func (s *Service) mark(i *instance, event, word string) bool {
	for n, e := range i.trouble.scheduled {
		if e.ID == event && !strings.HasPrefix(e.Description, "[") {
			i.trouble.scheduled[n].Description, i.trouble.scheduled[n].over = word+e.Description, time.Now()
			return true
		}
	}
	return false
}

// EndBlock begins to end the instances of a Capacity Block at a time, as EC2 does half an hour before the block's end. ids are instances
// that count as launched in it, besides those that were. It gives all of them.
func (s *Service) EndBlock(reservation string, at time.Time, ids ...string) ([]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range ids {
		i, err := get[*instance](s, kindInstance, id)
		if err != nil {
			return nil, err
		}
		i.inReservation, i.block = reservation, true
	}
	var in []string
	for _, i := range all[*instance](s) {
		if i.inReservation == reservation && i.state == "running" {
			in = append(in, i.id)
		}
	}
	s.w.After(time.Until(at), func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, i := range all[*instance](s) {
			if i.inReservation == reservation {
				s.terminate(i, byBlock)
			}
		}
	})
	return in, nil
}

var byBlock = stateReason{"Server.CapacityBlockExpired", "Server.CapacityBlockExpired: The Capacity Block ends"}

type describeStatusIn struct {
	DryRun              bool
	InstanceIDs         []string `query:"InstanceId"`
	Filters             []filter `query:"Filter"`
	IncludeAllInstances bool
	MaxResults          *int
	NextToken           string
}

type checkXML struct {
	Name          string     `xml:"name"`
	Status        string     `xml:"status"`
	ImpairedSince *wire.Time `xml:"impairedSince"`
}

type healthXML struct {
	Status  string     `xml:"status"`
	Details []checkXML `xml:"details>item"`
}

type scheduledXML struct {
	ID          string     `xml:"instanceEventId"`
	Code        string     `xml:"code"`
	Description string     `xml:"description"`
	NotBefore   *wire.Time `xml:"notBefore"`
	NotAfter    *wire.Time `xml:"notAfter"`
}

type statusXML struct {
	InstanceID         string         `xml:"instanceId"`
	AvailabilityZone   string         `xml:"availabilityZone"`
	AvailabilityZoneID string         `xml:"availabilityZoneId"`
	State              stateXML       `xml:"instanceState"`
	InstanceStatus     healthXML      `xml:"instanceStatus"`
	SystemStatus       healthXML      `xml:"systemStatus"`
	Events             []scheduledXML `xml:"eventsSet>item"`
}

type describeStatusOut struct {
	Statuses  []statusXML `xml:"instanceStatusSet>item"`
	NextToken string      `xml:"nextToken,omitempty"`
}

// health is what a status check says.
func (i *instance) health(check string) healthXML {
	since, failing := i.trouble.failing[check]
	switch {
	case i.state != "running":
		return healthXML{Status: "not-applicable"}
	case failing:
		return healthXML{Status: "impaired", Details: []checkXML{{"reachability", "failed", wire.At(since)}}}
	}
	return healthXML{Status: "ok", Details: []checkXML{{Name: "reachability", Status: "passed"}}}
}

// reachability is the one detail that a check has.
func (i *instance) reachability(check string) string {
	if h := i.health(check); len(h.Details) > 0 {
		return h.Details[0].Status
	}
	return ""
}

func (s *Service) statusFilters() filters[*instance] {
	known := filters[*instance]{}
	for _, check := range []string{SystemCheck, InstanceCheck} {
		known[check+"-status.status"] = one(func(i *instance) string { return i.health(check).Status })
		known[check+"-status.reachability"] = one(func(i *instance) string { return i.reachability(check) })
	}
	ofEvents := func(f func(ScheduledEvent) string) func(*instance) []string {
		return func(i *instance) (out []string) {
			for _, e := range i.trouble.scheduled {
				out = append(out, f(e))
			}
			return out
		}
	}
	known["event.code"] = ofEvents(func(e ScheduledEvent) string { return e.Code })
	known["event.instance-event-id"] = ofEvents(func(e ScheduledEvent) string { return e.ID })
	known["event.description"] = ofEvents(func(e ScheduledEvent) string { return e.Description })
	for _, name := range []string{"availability-zone", "instance-state-name", "instance-state-code"} {
		known[name] = s.instanceFilters()[name]
	}
	return known
}

func (s *Service) describeStatus(in *describeStatusIn) (*describeStatusOut, error) {
	if len(in.InstanceIDs) > 0 && in.MaxResults != nil {
		return nil, wire.Errf("InvalidParameterCombination", "The parameter instancesSet cannot be used with the parameter maxResults")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forget()
	for _, i := range all[*instance](s) {
		i.trouble.scheduled = slices.DeleteFunc(i.trouble.scheduled, func(e ScheduledEvent) bool { return !e.over.IsZero() && time.Since(e.over) > overVisible })
	}
	if !in.IncludeAllInstances {
		in.Filters = append(in.Filters, filter{"instance-state-name", []string{"running"}})
	}
	items, next, err := describe(s, kindInstance, s.statusFilters(), query{ids: in.InstanceIDs, filters: in.Filters, max: in.MaxResults, token: in.NextToken})
	out := &describeStatusOut{NextToken: next}
	for _, i := range items {
		x := statusXML{InstanceID: i.id, AvailabilityZone: i.az, AvailabilityZoneID: s.zoneID(i.az), State: stateOf(i.state),
			InstanceStatus: i.health(InstanceCheck), SystemStatus: i.health(SystemCheck)}
		for _, e := range i.trouble.scheduled {
			x.Events = append(x.Events, scheduledXML{e.ID, e.Code, e.Description, wire.At(e.NotBefore), wire.At(e.NotAfter)})
		}
		out.Statuses = append(out.Statuses, x)
	}
	return out, err
}
