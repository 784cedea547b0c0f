package sqs

import (
	"context"
	"encoding/base64"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/wire"
)

// reuseAfter is how long AWS keeps the name of a deleted queue, and how long a purge may take.
const reuseAfter = 60 * time.Second

type (
	createInput struct {
		QueueName  string
		Attributes map[string]string
		Tags       map[string]string `json:"tags"` // lower case in AWS's model
	}
	queueURLOutput struct {
		QueueURL string `json:"QueueUrl"`
	}
	empty struct{}
)

func (s *Service) needCreate(_ *wire.Call, in *createInput) []wire.Need {
	n := wire.Need{Action: "sqs:CreateQueue", Resource: s.w.ARN("sqs", in.QueueName), Context: requestTags(in.Tags)}
	if len(in.Tags) == 0 {
		return []wire.Need{n}
	}
	tag := n
	tag.Action = "sqs:TagQueue"
	return []wire.Need{n, tag}
}

func requestTags(tags map[string]string) map[string][]string {
	c := map[string][]string{}
	for k, v := range tags {
		c["aws:RequestTag/"+k] = []string{v}
		c["aws:TagKeys"] = append(c["aws:TagKeys"], k)
	}
	return c
}

func (s *Service) createQueue(_ context.Context, call *wire.Call, in *createInput) (*queueURLOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := s.create(in.QueueName, in.Attributes, in.Tags); err != nil {
		return nil, err
	}
	return &queueURLOutput{s.url(call.Endpoint, in.QueueName)}, nil
}

// create makes a queue, or returns the one of that name if the given attributes are its own. The caller holds the lock.
func (s *Service) create(name string, attrs, tags map[string]string) (*queue, error) {
	if name == "" {
		return nil, missing("QueueName")
	}
	fifo, err := checkName(name)
	if err != nil {
		return nil, err
	}
	arn := s.w.ARN("sqs", name)
	redrive, err := s.checked(arn, fifo, attrs)
	if err != nil {
		return nil, err
	}
	if fifo && attrs["FifoQueue"] != "true" {
		return nil, invalid("QueueName", name, "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length")
	}
	if q := s.queues[name]; q != nil {
		for k, v := range attrs {
			if q.attrs[k] != v && !(k == "FifoQueue" && v == "false") {
				return nil, differs(k)
			}
		}
		return q, nil
	}
	now := time.Now()
	if at, ok := s.deleted[name]; ok && now.Sub(at) < reuseAfter {
		return nil, &wire.Error{Code: "QueueDeletedRecently", QueryCode: legacy + "QueueDeletedRecently",
			Message: "You must wait 60 seconds after deleting a queue before you can create another with the same name."}
	}
	q := newQueue(name, arn, fifo, now)
	q.attrs = maps.Clone(defaults)
	if fifo {
		maps.Copy(q.attrs, map[string]string{"ContentBasedDeduplication": "false", "DeduplicationScope": "queue", "FifoThroughputLimit": "perQueue"})
	}
	maps.Copy(q.attrs, attrs)
	if !fifo {
		delete(q.attrs, "FifoQueue")
	}
	q.redrive = redrive
	maps.Copy(q.tags, tags)
	s.queues[name] = q
	return q, nil
}

type getURLInput struct{ QueueName, QueueOwnerAWSAccountId string }

func (s *Service) needGetURL(_ *wire.Call, in *getURLInput) []wire.Need {
	account := in.QueueOwnerAWSAccountId
	if account == "" {
		account = s.w.Account
	}
	return []wire.Need{s.needOn("GetQueueUrl", s.arnIn(account, in.QueueName))}
}

func (s *Service) getQueueURL(_ context.Context, call *wire.Call, in *getURLInput) (*queueURLOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if in.QueueName == "" {
		return nil, missing("QueueName")
	}
	if s.queues[in.QueueName] == nil || in.QueueOwnerAWSAccountId != "" && in.QueueOwnerAWSAccountId != s.w.Account {
		return nil, noQueue()
	}
	return &queueURLOutput{s.url(call.Endpoint, in.QueueName)}, nil
}

type (
	getAttributesInput struct {
		queueInput
		AttributeNames []string
	}
	attributesOutput struct {
		Attributes map[string]string `json:",omitempty"`
	}
	setAttributesInput struct {
		queueInput
		Attributes map[string]string
	}
)

func (s *Service) getQueueAttributes(_ context.Context, _ *wire.Call, in *getAttributesInput) (*attributesOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	q, err := s.byURL(in.QueueURL)
	if err != nil {
		return nil, err
	}
	all := q.attributes(time.Now())
	out := map[string]string{}
	for _, name := range in.AttributeNames {
		if !slices.Contains(attributeNames, name) {
			return nil, &wire.Error{Code: "InvalidAttributeName", QueryCode: "InvalidAttributeName", Message: "Unknown Attribute " + name + "."}
		}
		if name == "All" {
			maps.Copy(out, all)
		} else if v, ok := all[name]; ok {
			out[name] = v
		}
	}
	return &attributesOutput{out}, nil
}

func (s *Service) setQueueAttributes(_ context.Context, _ *wire.Call, in *setAttributesInput) (*empty, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	q, err := s.byURL(in.QueueURL)
	if err != nil {
		return nil, err
	}
	if len(in.Attributes) == 0 {
		return nil, missing("Attribute.Name")
	}
	return &empty{}, s.set(q, in.Attributes)
}

// set changes attributes of a queue. The caller holds the lock.
func (s *Service) set(q *queue, attrs map[string]string) error {
	redrive, err := s.checked(q.arn, q.fifo, attrs)
	if err != nil {
		return err
	}
	if v, ok := attrs["FifoQueue"]; ok && v != q.attrs["FifoQueue"] {
		return badAttribute("FifoQueue")
	}
	maps.Copy(q.attrs, attrs)
	if _, ok := attrs["RedrivePolicy"]; ok {
		q.redrive = redrive
	}
	q.modified = time.Now()
	return nil
}

type (
	listQueuesInput struct {
		QueueNamePrefix, NextToken string
		MaxResults                 *int
	}
	listQueuesOutput struct {
		QueueUrls []string `json:",omitempty"`
		NextToken string   `json:",omitempty"`
	}
	listSourcesInput struct {
		queueInput
		NextToken  string
		MaxResults *int
	}
	listSourcesOutput struct {
		QueueUrls []string `json:"queueUrls"`
		NextToken string   `json:",omitempty"`
	}
)

func (s *Service) listQueues(_ context.Context, call *wire.Call, in *listQueuesInput) (*listQueuesOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var names []string
	for name := range s.queues {
		if strings.HasPrefix(name, in.QueueNamePrefix) {
			names = append(names, name)
		}
	}
	urls, next, err := s.page(call, names, in.NextToken, in.MaxResults)
	return &listQueuesOutput{urls, next}, err
}

func (s *Service) listDeadLetterSourceQueues(_ context.Context, call *wire.Call, in *listSourcesInput) (*listSourcesOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	q, err := s.byURL(in.QueueURL)
	if err != nil {
		return nil, err
	}
	urls, next, err := s.page(call, s.sourcesOf(q), in.NextToken, in.MaxResults)
	if urls == nil {
		urls = []string{}
	}
	return &listSourcesOutput{urls, next}, err
}

// sourcesOf names the queues whose dead-letter queue q is.
func (s *Service) sourcesOf(q *queue) []string {
	var names []string
	for name, o := range s.queues {
		if o.redrive != nil && o.redrive.target == q.arn {
			names = append(names, name)
		}
	}
	return names
}

// page returns the URLs of one page of names. A token is the last name of the page before; without MaxResults AWS
// returns up to 1,000 and no token.
func (s *Service) page(call *wire.Call, names []string, token string, limit *int) (urls []string, next string, err error) {
	slices.Sort(names)
	if token != "" {
		after, err := base64.StdEncoding.DecodeString(token)
		if err != nil {
			return nil, "", invalid("NextToken", token, "Invalid or expired next token.")
		}
		i, found := slices.BinarySearch(names, string(after))
		if found {
			i++
		}
		names = names[i:]
	}
	n := 1000
	if limit != nil {
		if n = *limit; n < 1 || n > 1000 {
			return nil, "", invalid("MaxResults", n, "Must be between 1 and 1000, if provided.")
		}
	}
	if len(names) > n {
		names = names[:n]
		if limit != nil {
			next = base64.StdEncoding.EncodeToString([]byte(names[n-1]))
		}
	}
	for _, name := range names {
		urls = append(urls, s.url(call.Endpoint, name))
	}
	return urls, next, nil
}

func (s *Service) deleteQueue(_ context.Context, _ *wire.Call, in *queueInput) (*empty, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	q, err := s.byURL(in.QueueURL)
	if err != nil {
		return nil, err
	}
	delete(s.queues, q.name)
	s.deleted[q.name] = time.Now()
	q.gone = true
	q.wake()
	return &empty{}, nil
}

func (s *Service) purgeQueue(_ context.Context, _ *wire.Call, in *queueInput) (*empty, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	q, err := s.byURL(in.QueueURL)
	if err != nil {
		return nil, err
	}
	if now := time.Now(); now.Sub(q.purged) < reuseAfter {
		return nil, &wire.Error{Code: "PurgeQueueInProgress", QueryCode: legacy + "PurgeQueueInProgress", Status: 403,
			Message: "Only one PurgeQueue operation on " + q.name + " is allowed every 60 seconds."}
	}
	q.purged = time.Now()
	q.clear()
	return &empty{}, nil
}

type (
	tagInput struct {
		queueInput
		Tags map[string]string
	}
	untagInput struct {
		queueInput
		TagKeys []string
	}
	tagsOutput struct {
		Tags map[string]string `json:",omitempty"`
	}
)

func (s *Service) needTag(_ *wire.Call, in *tagInput) []wire.Need {
	account, name, _ := splitURL(in.QueueURL)
	n := s.needOn("TagQueue", s.arnIn(account, name))
	maps.Copy(n.Context, requestTags(in.Tags))
	return []wire.Need{n}
}

func (s *Service) needUntag(_ *wire.Call, in *untagInput) []wire.Need {
	account, name, _ := splitURL(in.QueueURL)
	n := s.needOn("UntagQueue", s.arnIn(account, name))
	n.Context["aws:TagKeys"] = in.TagKeys
	return []wire.Need{n}
}

func (s *Service) tagQueue(_ context.Context, _ *wire.Call, in *tagInput) (*empty, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	q, err := s.byURL(in.QueueURL)
	if err != nil {
		return nil, err
	}
	if len(in.Tags) == 0 {
		return nil, missing("Tags")
	}
	maps.Copy(q.tags, in.Tags)
	return &empty{}, nil
}

func (s *Service) untagQueue(_ context.Context, _ *wire.Call, in *untagInput) (*empty, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	q, err := s.byURL(in.QueueURL)
	if err != nil {
		return nil, err
	}
	for _, k := range in.TagKeys {
		delete(q.tags, k)
	}
	return &empty{}, nil
}

func (s *Service) listQueueTags(_ context.Context, _ *wire.Call, in *queueInput) (*tagsOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	q, err := s.byURL(in.QueueURL)
	if err != nil {
		return nil, err
	}
	return &tagsOutput{maps.Clone(q.tags)}, nil
}
