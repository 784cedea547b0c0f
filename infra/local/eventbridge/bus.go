package eventbridge

import (
	"context"
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/wire"
)

// bus is one event bus. Service.mu guards it.
type bus struct {
	name, arn, description string
	created                time.Time
	statements             []json.RawMessage // of its resource policy
	tags                   map[string]string
	rules                  map[string]*rule
}

func (s *Service) newBus(name string) *bus {
	return &bus{name: name, arn: s.busARN(name), created: time.Now(), tags: map[string]string{}, rules: map[string]*rule{}}
}

// busName accepts a name or an ARN; empty is the default bus.
func busName(nameOrARN string) string {
	if nameOrARN == "" {
		return "default"
	}
	return nameOrARN[strings.LastIndexByte(nameOrARN, '/')+1:]
}

func (s *Service) busARN(nameOrARN string) string {
	if strings.HasPrefix(nameOrARN, "arn:") {
		return nameOrARN
	}
	return s.w.ARN("events", "event-bus/"+busName(nameOrARN))
}

// bus finds a bus by name or ARN. The caller holds the lock.
func (s *Service) bus(nameOrARN string) (*bus, error) {
	b := s.buses[busName(nameOrARN)]
	if b == nil || b.arn != s.busARN(nameOrARN) {
		return nil, notFound("Event bus %s does not exist.", busName(nameOrARN))
	}
	return b, nil
}

type tag struct{ Key, Value string }

func tagMap(tags []tag) map[string]string {
	m := map[string]string{}
	for _, t := range tags {
		m[t.Key] = t.Value
	}
	return m
}

func tagList(m map[string]string) []tag {
	l := []tag{}
	for _, k := range slices.Sorted(maps.Keys(m)) {
		l = append(l, tag{k, m[k]})
	}
	return l
}

func requestTags(context map[string][]string, tags []tag) {
	for _, t := range tags {
		context["aws:RequestTag/"+t.Key] = []string{t.Value}
		context["aws:TagKeys"] = append(context["aws:TagKeys"], t.Key)
	}
}

func resourceTags(context map[string][]string, tags map[string]string) {
	for k, v := range tags {
		context["aws:ResourceTag/"+k] = []string{v}
	}
}

type (
	createBusInput struct {
		Name, EventSourceName, Description, KmsKeyIdentifier string
		DeadLetterConfig, LogConfig                          json.RawMessage
		Tags                                                 []tag
	}
	createBusOutput struct {
		EventBusArn string
		Description string `json:",omitempty"`
	}
	busInput  struct{ Name string }
	busOutput struct {
		Name, Arn                      string
		Description                    string `json:",omitempty"`
		Policy                         string `json:",omitempty"`
		CreationTime, LastModifiedTime *wire.Time
	}
	listBusesInput struct {
		NamePrefix, NextToken string
		Limit                 *int
	}
	listBusesOutput struct {
		EventBuses []busOutput
		NextToken  string `json:",omitempty"`
	}
)

func (s *Service) needCreateBus(_ *wire.Call, in *createBusInput) []wire.Need {
	n := wire.Need{Action: "events:CreateEventBus", Resource: s.busARN(in.Name), Context: map[string][]string{}}
	requestTags(n.Context, in.Tags)
	return []wire.Need{n}
}

func (s *Service) needBus(action string) func(*wire.Call, *busInput) []wire.Need {
	return func(_ *wire.Call, in *busInput) []wire.Need {
		n := wire.Need{Action: "events:" + action, Resource: s.busARN(in.Name), Context: map[string][]string{}}
		s.mu.Lock()
		defer s.mu.Unlock()
		if b, err := s.bus(in.Name); err == nil {
			resourceTags(n.Context, b.tags)
		}
		return []wire.Need{n}
	}
}

var busNames = regexp.MustCompile(`^[.\-_A-Za-z0-9]{1,256}$`)

func (s *Service) createEventBus(_ context.Context, _ *wire.Call, in *createBusInput) (*createBusOutput, error) {
	if in.EventSourceName != "" || in.KmsKeyIdentifier != "" || in.DeadLetterConfig != nil || in.LogConfig != nil {
		return nil, notImplemented("EventSourceName, KmsKeyIdentifier, DeadLetterConfig or LogConfig of a bus")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !busNames.MatchString(in.Name) || strings.HasPrefix(in.Name, "aws.") {
		return nil, invalid("1 validation error detected: Value '%s' at 'name' failed to satisfy constraint: Member must satisfy regular expression pattern: [/\\.\\-_A-Za-z0-9]+", in.Name)
	}
	if s.buses[in.Name] != nil {
		return nil, wire.Errf("ResourceAlreadyExistsException", "Event bus %s already exists.", in.Name)
	}
	b := s.newBus(in.Name)
	b.description, b.tags = in.Description, tagMap(in.Tags)
	s.buses[in.Name] = b
	return &createBusOutput{b.arn, b.description}, nil
}

func (s *Service) deleteEventBus(_ context.Context, _ *wire.Call, in *busInput) (*empty, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if in.Name == "default" {
		return nil, invalid("Cannot delete event bus default.")
	}
	b, err := s.bus(in.Name)
	if err != nil {
		return &empty{}, nil // deleting what is not there succeeds
	}
	if len(b.rules) > 0 {
		return nil, invalid("Event bus can't be deleted since it has rules.")
	}
	delete(s.buses, b.name)
	return &empty{}, nil
}

func (b *bus) describe() busOutput {
	o := busOutput{Name: b.name, Arn: b.arn, Description: b.description, CreationTime: wire.At(b.created), LastModifiedTime: wire.At(b.created)}
	if len(b.statements) > 0 {
		doc, _ := json.Marshal(map[string]any{"Version": "2012-10-17", "Statement": b.statements}) // made of valid JSON
		o.Policy = string(doc)
	}
	return o
}

func (s *Service) describeEventBus(_ context.Context, _ *wire.Call, in *busInput) (*busOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := s.bus(in.Name)
	if err != nil {
		return nil, err
	}
	o := b.describe()
	return &o, nil
}

func (s *Service) listEventBuses(_ context.Context, _ *wire.Call, in *listBusesInput) (*listBusesOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := &listBusesOutput{EventBuses: []busOutput{}}
	for _, name := range slices.Sorted(maps.Keys(s.buses)) {
		if strings.HasPrefix(name, in.NamePrefix) {
			out.EventBuses = append(out.EventBuses, s.buses[name].describe())
		}
	}
	var err error
	out.EventBuses, out.NextToken, err = page(out.EventBuses, in.NextToken, in.Limit)
	return out, err
}

// page cuts one page out of a list; its token is the offset of the next.
func page[T any](all []T, token string, limit *int) ([]T, string, error) {
	from, n := 0, 100
	if token != "" {
		var err error
		if from, err = strconv.Atoi(token); err != nil || from < 0 || from > len(all) {
			return nil, "", invalid("Invalid token: %s", token)
		}
	}
	if limit != nil {
		if n = *limit; n < 1 || n > 100 {
			return nil, "", invalid("1 validation error detected: Value '%d' at 'limit' failed to satisfy constraint: Member must have value between 1 and 100", n)
		}
	}
	if from+n < len(all) {
		return all[from : from+n], strconv.Itoa(from + n), nil
	}
	return all[from:], "", nil
}

type (
	tagInput struct {
		ResourceARN string
		Tags        []tag
		TagKeys     []string
	}
	tagsOutput struct{ Tags []tag }
)

// tagged finds the tags of a bus or rule. The caller holds the lock.
func (s *Service) tagged(arn string) (map[string]string, error) {
	for _, b := range s.buses {
		if b.arn == arn {
			return b.tags, nil
		}
		for _, r := range b.rules {
			if r.arn == arn {
				return r.tags, nil
			}
		}
	}
	return nil, notFound("%s does not exist.", arn)
}

func (s *Service) needTagged(action, arn string) wire.Need {
	n := wire.Need{Action: "events:" + action, Resource: arn, Context: map[string][]string{}}
	s.mu.Lock()
	defer s.mu.Unlock()
	if tags, err := s.tagged(arn); err == nil {
		resourceTags(n.Context, tags)
	}
	return n
}

func (s *Service) needTag(_ *wire.Call, in *tagInput) []wire.Need {
	n := s.needTagged("TagResource", in.ResourceARN)
	requestTags(n.Context, in.Tags)
	return []wire.Need{n}
}

func (s *Service) needUntag(_ *wire.Call, in *tagInput) []wire.Need {
	n := s.needTagged("UntagResource", in.ResourceARN)
	n.Context["aws:TagKeys"] = in.TagKeys
	return []wire.Need{n}
}

func (s *Service) needListTags(_ *wire.Call, in *tagInput) []wire.Need {
	return []wire.Need{s.needTagged("ListTagsForResource", in.ResourceARN)}
}

func (s *Service) tagResource(_ context.Context, _ *wire.Call, in *tagInput) (*empty, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	tags, err := s.tagged(in.ResourceARN)
	if err != nil {
		return nil, err
	}
	maps.Copy(tags, tagMap(in.Tags))
	return &empty{}, nil
}

func (s *Service) untagResource(_ context.Context, _ *wire.Call, in *tagInput) (*empty, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	tags, err := s.tagged(in.ResourceARN)
	if err != nil {
		return nil, err
	}
	for _, k := range in.TagKeys {
		delete(tags, k)
	}
	return &empty{}, nil
}

func (s *Service) listTagsForResource(_ context.Context, _ *wire.Call, in *tagInput) (*tagsOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	tags, err := s.tagged(in.ResourceARN)
	if err != nil {
		return nil, err
	}
	return &tagsOutput{tagList(tags)}, nil
}
