// Package sns is the embedded cloud's Amazon SNS: standard topics with subscriptions of queues. What else a topic can have is
// refused with 501, not ignored.
package sns

import (
	"cmp"
	"context"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/wire"
	"github.com/ekspedite/ekspedite/infra/local/world"
)

// Queues delivers to SQS in a topic's name, if the queue's policy lets it.
type Queues interface {
	Deliver(queueARN, body string, attributes map[string]string, topicARN string) error
}

// Message is what was published to a topic.
type Message struct {
	ID, TopicARN, Subject, Text string
	Attributes                  map[string]string
	At                          time.Time
}

// Service holds the topics of one account and Region.
type Service struct {
	w      *world.World
	queues Queues

	mu     sync.Mutex
	topics map[string]*topic // by ARN
}

type topic struct {
	arn, display  string
	tags          map[string]string
	subscriptions []*subscription
	messages      []Message
}

type subscription struct {
	arn, queue string
	raw        bool
}

// New makes the service.
func New(w *world.World, queues Queues) *Service {
	return &Service{w: w, queues: queues, topics: map[string]*topic{}}
}

// API registers the operations.
func (s *Service) API() *wire.Service {
	on := func(action string) func(*wire.Call, *topicIn) []wire.Need {
		return func(_ *wire.Call, in *topicIn) []wire.Need { return []wire.Need{s.need(action, in.TopicArn)} }
	}
	return &wire.Service{
		Name: "sns", Protocol: wire.Query, XMLNamespace: "http://sns.amazonaws.com/doc/2010-03-31/",
		Ops: []wire.Op{
			wire.Handle("CreateTopic", func(_ *wire.Call, in *createIn) []wire.Need {
				return []wire.Need{s.need("CreateTopic", s.arn(in.Name))}
			}, s.create),
			wire.Handle("DeleteTopic", on("DeleteTopic"), s.delete),
			wire.Handle("GetTopicAttributes", on("GetTopicAttributes"), s.attributes),
			wire.Handle("ListTopics", wire.On[struct{}]("sns:ListTopics", "*"), s.list),
			wire.Handle("Subscribe", func(_ *wire.Call, in *subscribeIn) []wire.Need { return []wire.Need{s.need("Subscribe", in.TopicArn)} }, s.subscribe),
			wire.Handle("Unsubscribe", s.needUnsubscribe, s.unsubscribe),
			wire.Handle("ListSubscriptionsByTopic", on("ListSubscriptionsByTopic"), s.subscriptionsOf),
			wire.Handle("Publish", func(_ *wire.Call, in *publishIn) []wire.Need { return []wire.Need{s.need("Publish", in.TopicArn)} }, s.publish),
		},
	}
}

// need is a permission on a topic, with its tags.
func (s *Service) need(action, arn string) wire.Need {
	n := wire.Need{Action: "sns:" + action, Resource: cmp.Or(arn, "*"), Context: map[string][]string{}}
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := s.topics[arn]; t != nil {
		for k, v := range t.tags {
			n.Context["aws:ResourceTag/"+k] = []string{v}
		}
	}
	return n
}

// Messages are what was published to a topic, oldest first.
func (s *Service) Messages(topicARN string) []Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := s.topics[topicARN]; t != nil {
		return slices.Clone(t.messages)
	}
	return nil
}

func (s *Service) arn(name string) string { return s.w.ARN("sns", name) }

func invalid(format string, args ...any) error {
	return wire.Errf("InvalidParameter", "Invalid parameter: "+format, args...)
}

func missing() error {
	return wire.Errf("NotFound", "Topic does not exist").WithStatus(http.StatusNotFound)
}

func notImplemented(what string) error {
	return wire.Errf("NotImplemented", "the embedded cloud does not implement %s", what).WithStatus(http.StatusNotImplemented)
}

// entry is one of a map's.
type entry struct {
	Key   string `query:"key"`
	Value string `query:"value"`
}

type topicIn struct{ TopicArn, NextToken string }

type none struct{}

type createIn struct {
	Name       string
	Attributes []entry `query:"Attributes.entry"`
	Tags       []struct{ Key, Value string }
}

type arnOut struct {
	TopicArn string `xml:",omitempty"`
}

var topicName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,256}$`)

// create makes a topic, or gives the one of the name.
func (s *Service) create(_ context.Context, _ *wire.Call, in *createIn) (*arnOut, error) {
	if !topicName.MatchString(in.Name) {
		if strings.HasSuffix(in.Name, ".fifo") {
			return nil, notImplemented("FIFO topics")
		}
		return nil, invalid("Topic Name")
	}
	t := &topic{arn: s.arn(in.Name), tags: map[string]string{}}
	for _, a := range in.Attributes {
		if a.Key != "DisplayName" {
			return nil, notImplemented("the topic attribute " + a.Key)
		}
		t.display = a.Value
	}
	for _, tag := range in.Tags {
		t.tags[tag.Key] = tag.Value
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.topics[t.arn] == nil {
		s.topics[t.arn] = t
	}
	return &arnOut{t.arn}, nil
}

func (s *Service) delete(_ context.Context, _ *wire.Call, in *topicIn) (*none, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.topics, in.TopicArn) // one that is not there is deleted
	return &none{}, nil
}

type pairs struct {
	Entries []pair `xml:"entry"`
}

type pair struct {
	Key   string `xml:"key"`
	Value string `xml:"value"`
}

type attributesOut struct{ Attributes pairs }

func (s *Service) attributes(_ context.Context, _ *wire.Call, in *topicIn) (*attributesOut, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.topics[in.TopicArn]
	if t == nil {
		return nil, missing()
	}
	return &attributesOut{pairs{[]pair{{"TopicArn", t.arn}, {"DisplayName", t.display}, {"Owner", s.w.Account}}}}, nil
}

type listOut struct {
	Topics []arnOut `xml:"Topics>member"`
}

func (s *Service) list(_ context.Context, _ *wire.Call, _ *struct{}) (*listOut, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := &listOut{}
	for arn := range s.topics {
		out.Topics = append(out.Topics, arnOut{arn})
	}
	slices.SortFunc(out.Topics, func(a, b arnOut) int { return strings.Compare(a.TopicArn, b.TopicArn) })
	return out, nil
}
