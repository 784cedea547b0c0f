// Package logs is the embedded cloud's CloudWatch: log groups in memory, and metrics that arrive as log lines in the
// embedded metric format (EMF), which is how Lambda functions emit them.
package logs

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/wire"
	"github.com/ekspedite/ekspedite/infra/local/world"
)

// What is kept: the newest events of a stream and the newest streams of a group. A laptop is not an archive.
const (
	maxStreamEvents = 10_000
	maxStreams      = 500
)

// Event is one line of a log.
type Event struct {
	Time     time.Time
	Ingested time.Time
	Message  string
	sequence int64 // of the service: orders events of one moment
}

type stream struct {
	name    string
	created time.Time
	events  []Event
	dropped int // events that made room
}

type group struct {
	name      string
	created   time.Time
	retention int
	class     string
	tags      map[string]string
	streams   map[string]*stream
	order     []string // of creation
	filters   map[string]*filter
}

// Service holds the log groups.
type Service struct {
	w       *world.World
	metrics *Metrics
	// functions get what subscription filters match; set before the service is used.
	functions Functions

	mu          sync.Mutex
	groups      map[string]*group
	sequence    int64
	alarms      []Alarm
	states      map[string]alarmState        // of alarms that are not as they were made
	alarmLabels map[string]map[string]string // of alarms by name
}

// New makes an empty CloudWatch.
func New(w *world.World) *Service {
	return &Service{w: w, metrics: newMetrics(), groups: map[string]*group{}, states: map[string]alarmState{}, alarmLabels: map[string]map[string]string{}}
}

// Metrics returns the store of all metrics.
func (s *Service) Metrics() *Metrics { return s.metrics }

var (
	errNoGroup  = wire.Errf("ResourceNotFoundException", "The specified log group does not exist.")
	errNoStream = wire.Errf("ResourceNotFoundException", "The specified log stream does not exist.")
	errExists   = wire.Errf("ResourceAlreadyExistsException", "The specified log group already exists")
	errStream   = wire.Errf("ResourceAlreadyExistsException", "The specified log stream already exists")
)

// CreateGroup makes a log group; it must not exist.
func (s *Service) CreateGroup(name string) error {
	return s.createGroup(name, "STANDARD", nil)
}

func (s *Service) createGroup(name, class string, tags map[string]string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.groups[name] != nil {
		return errExists
	}
	s.groups[name] = &group{name: name, created: time.Now(), class: class, tags: maps.Clone(tags), streams: map[string]*stream{}}
	return nil
}

// EnsureGroup makes a log group unless it is there, as services do that write to a group of a name of theirs: EKS to
// /aws/eks/CLUSTER/cluster.
func (s *Service) EnsureGroup(name string) {
	_ = s.CreateGroup(name) // the one error is that it exists
}

// HasGroup tells whether a log group exists.
func (s *Service) HasGroup(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.groups[name] != nil
}

// CreateStream makes a stream in a group; it must not exist.
func (s *Service) CreateStream(groupName, name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.groups[groupName]
	if g == nil {
		return errNoGroup
	}
	if g.streams[name] != nil {
		return errStream
	}
	g.streams[name] = &stream{name: name, created: time.Now()}
	g.order = append(g.order, name)
	if len(g.order) > maxStreams {
		delete(g.streams, g.order[0])
		g.order = g.order[1:]
	}
	return nil
}

// Append adds lines to a stream. Lines in the embedded metric format become metrics as well.
func (s *Service) Append(groupName, streamName string, at time.Time, messages ...string) error {
	if err := s.append(groupName, streamName, at, messages); err != nil {
		return err
	}
	for _, m := range messages {
		s.metrics.line(groupName, m)
	}
	return nil
}

func (s *Service) append(groupName, streamName string, at time.Time, messages []string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	st, err := s.find(groupName, streamName)
	if err != nil {
		return err
	}
	now := time.Now()
	for _, m := range messages {
		s.sequence++
		st.events = append(st.events, Event{Time: at, Ingested: now, Message: m, sequence: s.sequence})
	}
	s.subscribe(s.groups[groupName], streamName, at, messages)
	if over := len(st.events) - maxStreamEvents; over > maxStreamEvents/10 { // not for each line
		st.events = slices.Clone(st.events[over:])
		st.dropped += over
	}
	return nil
}

// Lines returns all messages of a group in the order of their arrival.
func (s *Service) Lines(groupName string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.groups[groupName]
	if g == nil {
		return nil
	}
	var all []Event
	for _, st := range g.streams {
		all = append(all, st.events...)
	}
	slices.SortFunc(all, func(a, b Event) int { return int(a.sequence - b.sequence) })
	out := make([]string, len(all))
	for i, e := range all {
		out[i] = e.Message
	}
	return out
}

func (s *Service) find(groupName, streamName string) (*stream, error) {
	g := s.groups[groupName]
	if g == nil {
		return nil, errNoGroup
	}
	st := g.streams[streamName]
	if st == nil {
		return nil, errNoStream
	}
	return st, nil
}

// sortedGroups needs the lock.
func (s *Service) sortedGroups(prefix string) []*group {
	var out []*group
	for _, name := range slices.Sorted(maps.Keys(s.groups)) {
		if len(name) >= len(prefix) && name[:len(prefix)] == prefix {
			out = append(out, s.groups[name])
		}
	}
	return out
}

// GroupARN is the ARN of a log group without the ":*" that most policies and attributes have behind it.
func (s *Service) GroupARN(name string) string { return s.w.ARN("logs", "log-group:"+name) }

// StreamARN is what IAM sees of a call on a stream, or, with an empty stream, on a group.
func (s *Service) StreamARN(group, stream string) string {
	return fmt.Sprintf("%s:log-stream:%s", s.GroupARN(group), stream)
}
