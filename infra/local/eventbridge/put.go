package eventbridge

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/wire"
)

const (
	maxEntries = 10
	maxRequest = 1 << 20 // all entries together
)

type (
	putEntry struct {
		Time                                                  *wire.Time
		Source, DetailType, Detail, EventBusName, TraceHeader string
		Resources                                             []string
	}
	putEventsInput struct {
		Entries    []putEntry
		EndpointID string `json:"EndpointId"`
	}
	putResult struct {
		EventID      string `json:"EventId,omitempty"`
		ErrorCode    string `json:",omitempty"`
		ErrorMessage string `json:",omitempty"`
	}
	putEventsOutput struct {
		FailedEntryCount int
		Entries          []putResult
	}
)

func (s *Service) needPutEvents(_ *wire.Call, in *putEventsInput) []wire.Need {
	var needs []wire.Need
	for _, e := range in.Entries {
		needs = append(needs, wire.Need{Action: "events:PutEvents", Resource: s.busARN(e.EventBusName), Context: map[string][]string{
			"events:source": {e.Source}, "events:detail-type": {e.DetailType}, "events:eventBusInvocation": {"false"},
		}})
	}
	return needs
}

// size is how AWS counts an entry.
func (e putEntry) size() int {
	n := len(e.Source) + len(e.DetailType) + len(e.Detail)
	if e.Time != nil {
		n += 14
	}
	for _, r := range e.Resources {
		n += len(r)
	}
	return n
}

func (s *Service) putEvents(_ context.Context, _ *wire.Call, in *putEventsInput) (*putEventsOutput, error) {
	if in.EndpointID != "" {
		return nil, notImplemented("global endpoints (EndpointId)")
	}
	if n := len(in.Entries); n < 1 || n > maxEntries {
		return nil, invalid("1 validation error detected: Value at 'entries' failed to satisfy constraint: Member must have length between 1 and %d", maxEntries)
	}
	total := 0
	for _, e := range in.Entries {
		if e.TraceHeader != "" {
			return nil, notImplemented("TraceHeader of PutEvents")
		}
		total += e.size()
	}
	if total > maxRequest {
		return nil, invalid("Total size of the entries in the request is over the limit.")
	}
	out := &putEventsOutput{}
	for _, e := range in.Entries {
		r := s.accept(e)
		if r.ErrorCode != "" {
			out.FailedEntryCount++
		}
		out.Entries = append(out.Entries, r)
	}
	return out, nil
}

// accept takes one entry of a customer.
func (s *Service) accept(e putEntry) putResult {
	for _, p := range []struct{ name, value string }{{"Source", e.Source}, {"DetailType", e.DetailType}, {"Detail", e.Detail}} {
		if p.value == "" {
			return putResult{ErrorCode: "InvalidArgument", ErrorMessage: fmt.Sprintf("Parameter %s is not valid. Reason: %s is a required argument.", p.name, p.name)}
		}
	}
	if strings.HasPrefix(e.Source, "aws.") {
		return putResult{ErrorCode: "NotAuthorizedForSourceException", ErrorMessage: "Not authorized for the source."}
	}
	var detail map[string]json.RawMessage
	if json.Unmarshal([]byte(e.Detail), &detail) != nil || detail == nil {
		return putResult{ErrorCode: "MalformedDetail", ErrorMessage: "Detail is malformed."}
	}
	at := time.Now()
	if e.Time != nil {
		at = e.Time.Time
	}
	id, event := s.envelope(e.Source, e.DetailType, e.Resources, []byte(e.Detail), at)
	s.mu.Lock()
	b, err := s.bus(e.EventBusName)
	s.mu.Unlock()
	if err != nil {
		// AWS answers with an event id all the same, and the event is gone.
		s.w.Log.Warn("eventbridge: an event is lost: its bus does not exist", "bus", e.EventBusName, "source", e.Source, "detailType", e.DetailType)
		return putResult{EventID: id}
	}
	s.route(b.name, event, false)
	return putResult{EventID: id}
}

// Put places a customer's event on a bus, named or by ARN, on behalf of another local service such as EventBridge
// Scheduler. The error is what PutEvents would say of the entry.
func (s *Service) Put(bus, source, detailType string, detail json.RawMessage) error {
	s.mu.Lock()
	_, err := s.bus(bus)
	s.mu.Unlock()
	if err != nil {
		return err
	}
	if r := s.accept(putEntry{Source: source, DetailType: detailType, Detail: string(detail), EventBusName: bus}); r.ErrorCode != "" {
		return wire.Errf(r.ErrorCode, "%s", r.ErrorMessage)
	}
	return nil
}

// Emit publishes an AWS service's own event on the default bus: source "aws.ec2", and a detail that encodes to a JSON
// object. What cannot be encoded is a programming error.
func (s *Service) Emit(source, detailType string, resources []string, detail any) {
	raw := encode(detail)
	if len(raw) == 0 || raw[0] != '{' {
		panic(fmt.Sprintf("eventbridge: the detail of %s from %s is no JSON object: %T", detailType, source, detail))
	}
	s.route("default", s.event(source, detailType, resources, raw, time.Now()), false)
}

func (s *Service) event(source, detailType string, resources []string, detail []byte, at time.Time) []byte {
	_, e := s.envelope(source, detailType, resources, detail, at)
	return e
}

func (s *Service) envelope(source, detailType string, resources []string, detail []byte, at time.Time) (id string, event []byte) {
	if resources == nil {
		resources = []string{}
	}
	id = s.w.UUID()
	return id, encode(struct {
		Version    string          `json:"version"`
		ID         string          `json:"id"`
		DetailType string          `json:"detail-type"`
		Source     string          `json:"source"`
		Account    string          `json:"account"`
		Time       string          `json:"time"`
		Region     string          `json:"region"`
		Resources  []string        `json:"resources"`
		Detail     json.RawMessage `json:"detail"`
	}{"0", id, detailType, source, s.w.Account, at.UTC().Format(time.RFC3339), s.w.Region, resources, detail})
}

// checkEnvelope wants the fields that TestEventPattern wants of an event.
func checkEnvelope(event string) error {
	var o map[string]json.RawMessage
	if json.Unmarshal([]byte(event), &o) != nil {
		return invalid("Parameter Event is not valid.")
	}
	for _, name := range []string{"id", "account", "source", "time", "region", "resources", "detail-type"} {
		if _, ok := o[name]; !ok {
			return invalid("Parameter Event is not valid. Reason: the field %s is missing.", name)
		}
	}
	return nil
}
