// Package sqs is the embedded cloud's Amazon SQS: standard and FIFO queues with visibility timeouts, delays, long
// polling, dead-letter redrive and message move tasks.
//
// Other local services deliver to and poll queues through the Go methods of Service (Send, Receive, Delete, Release).
package sqs

import (
	"encoding/json"
	"strings"
	"sync"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/wire"
	"github.com/ekspedite/ekspedite/infra/local/world"
)

// Allow evaluates a queue's resource policy for a service principal ("events.amazonaws.com"). The policy is empty where
// the queue has none.
type Allow func(policy json.RawMessage, principal, action, resource string, context map[string][]string) bool

// Faults are the liberties that standard queues take. A nil function never does.
type Faults struct {
	Duplicate func() bool // a message that was sent is delivered twice, under one message id
	Reorder   func() bool // a message overtakes the one before it
}

// Service holds the queues of one account and Region.
type Service struct {
	w        *world.World
	endpoint func() string
	allow    Allow
	faults   Faults

	mu      sync.Mutex // guards the rest, and everything in the queues
	queues  map[string]*queue
	deleted map[string]time.Time // names that may not be used again yet
	tasks   []*moveTask          // oldest first
	serial  uint64
}

// New makes the service. endpoint gives the base URL of queue URLs that are made outside a call, by CloudFormation.
func New(w *world.World, endpoint func() string, allow Allow, faults Faults) *Service {
	return &Service{w: w, endpoint: endpoint, allow: allow, faults: faults, queues: map[string]*queue{}, deleted: map[string]time.Time{}}
}

// API registers the operations.
func (s *Service) API() *wire.Service {
	return &wire.Service{
		Name: "sqs", Protocol: wire.JSON10, TargetPrefix: "AmazonSQS", ErrorPrefix: "com.amazonaws.sqs",
		Ops: []wire.Op{
			wire.Handle("CreateQueue", s.needCreate, s.createQueue),
			wire.Handle("GetQueueUrl", s.needGetURL, s.getQueueURL),
			wire.Handle("GetQueueAttributes", need[getAttributesInput](s, "GetQueueAttributes"), s.getQueueAttributes),
			wire.Handle("SetQueueAttributes", need[setAttributesInput](s, "SetQueueAttributes"), s.setQueueAttributes),
			wire.Handle("ListQueues", wire.On[listQueuesInput]("sqs:ListQueues", "*"), s.listQueues),
			wire.Handle("DeleteQueue", need[queueInput](s, "DeleteQueue"), s.deleteQueue),
			wire.Handle("PurgeQueue", need[queueInput](s, "PurgeQueue"), s.purgeQueue),
			wire.Handle("SendMessage", need[sendInput](s, "SendMessage"), s.sendMessage),
			wire.Handle("SendMessageBatch", need[sendBatchInput](s, "SendMessage"), s.sendMessageBatch),
			wire.Handle("ReceiveMessage", need[receiveInput](s, "ReceiveMessage"), s.receiveMessage),
			wire.Handle("DeleteMessage", need[deleteInput](s, "DeleteMessage"), s.deleteMessage),
			wire.Handle("DeleteMessageBatch", need[deleteBatchInput](s, "DeleteMessage"), s.deleteMessageBatch),
			wire.Handle("ChangeMessageVisibility", need[visibilityInput](s, "ChangeMessageVisibility"), s.changeVisibility),
			wire.Handle("ChangeMessageVisibilityBatch", need[visibilityBatchInput](s, "ChangeMessageVisibility"), s.changeVisibilityBatch),
			wire.Handle("ListDeadLetterSourceQueues", need[listSourcesInput](s, "ListDeadLetterSourceQueues"), s.listDeadLetterSourceQueues),
			wire.Handle("StartMessageMoveTask", s.needStartMove, s.startMessageMoveTask),
			wire.Handle("ListMessageMoveTasks", s.needListMoves, s.listMessageMoveTasks),
			wire.Handle("CancelMessageMoveTask", s.needCancelMove, s.cancelMessageMoveTask),
			wire.Handle("TagQueue", s.needTag, s.tagQueue),
			wire.Handle("UntagQueue", s.needUntag, s.untagQueue),
			wire.Handle("ListQueueTags", need[queueInput](s, "ListQueueTags"), s.listQueueTags),
		},
	}
}

// onQueue is an input that names its queue by URL.
type onQueue interface{ queueURL() string }

type queueInput struct{ QueueURL string }

func (i queueInput) queueURL() string { return i.QueueURL }

// need asks for one action on the queue that the input names.
func need[In onQueue](s *Service, action string) func(*wire.Call, *In) []wire.Need {
	return func(_ *wire.Call, in *In) []wire.Need {
		account, name, _ := splitURL((*in).queueURL())
		return []wire.Need{s.needOn(action, s.arnIn(account, name))}
	}
}

// needOn adds the tags of the queue, where it exists.
func (s *Service) needOn(action, arn string) wire.Need {
	n := wire.Need{Action: "sqs:" + action, Resource: arn, Context: map[string][]string{}}
	s.mu.Lock()
	defer s.mu.Unlock()
	if q := s.byARN(arn); q != nil {
		for k, v := range q.tags {
			n.Context["aws:ResourceTag/"+k] = []string{v}
		}
	}
	return n
}

func (s *Service) arnIn(account, name string) string {
	return "arn:aws:sqs:" + s.w.Region + ":" + account + ":" + name
}

// splitURL takes a queue URL apart. The host is not looked at: clients reach us under several.
func splitURL(url string) (account, name string, ok bool) {
	p := strings.Split(strings.TrimSuffix(url, "/"), "/")
	if len(p) < 2 {
		return "", "", false
	}
	account, name = p[len(p)-2], p[len(p)-1]
	return account, name, len(account) == 12 && name != ""
}

func (s *Service) url(endpoint, name string) string {
	return endpoint + "/" + s.w.Account + "/" + name
}

// byURL finds a queue. The caller holds the lock.
func (s *Service) byURL(url string) (*queue, error) {
	if url == "" {
		return nil, missing("QueueUrl")
	}
	account, name, ok := splitURL(url)
	if !ok {
		return nil, &wire.Error{Code: "InvalidAddress", QueryCode: "InvalidAddress", Status: 404, Message: "The address " + url + " is not valid for this endpoint."}
	}
	if q := s.queues[name]; q != nil && account == s.w.Account {
		return q, nil
	}
	return nil, noQueue()
}

// byARN finds a queue or returns nil. The caller holds the lock.
func (s *Service) byARN(arn string) *queue {
	q := s.queues[arn[strings.LastIndexByte(arn, ':')+1:]]
	if q == nil || q.arn != arn {
		return nil
	}
	return q
}

// next numbers messages in the order of their sending.
func (s *Service) next() uint64 {
	s.serial++
	return s.serial
}

// ResourcePolicy returns the policy of the queue with this ARN, for the evaluation of calls by IAM principals.
func (s *Service) ResourcePolicy(arn string) (json.RawMessage, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	q := s.byARN(arn)
	if q == nil || q.attrs["Policy"] == "" {
		return nil, false
	}
	return json.RawMessage(q.attrs["Policy"]), true
}
