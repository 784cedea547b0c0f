package sqs

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/wire"
)

// defaults are AWS's for a new queue. The message size is 1 MiB since August 2025.
var defaults = map[string]string{
	"DelaySeconds": "0", "MaximumMessageSize": "1048576", "MessageRetentionPeriod": "345600",
	"ReceiveMessageWaitTimeSeconds": "0", "VisibilityTimeout": "30", "SqsManagedSseEnabled": "true",
}

// ranges bound the numeric attributes.
var ranges = map[string][2]int{
	"DelaySeconds": {0, 900}, "MaximumMessageSize": {1024, 1 << 20}, "MessageRetentionPeriod": {60, 1209600},
	"ReceiveMessageWaitTimeSeconds": {0, 20}, "VisibilityTimeout": {0, 43200}, "KmsDataKeyReusePeriodSeconds": {60, 86400},
}

// redrivePolicy is the parsed RedrivePolicy attribute.
type redrivePolicy struct {
	target string
	max    int
}

func (q *queue) number(name string) int {
	n, _ := strconv.Atoi(q.attrs[name]) // validated when it was set
	return n
}

func (q *queue) seconds(name string) time.Duration {
	return time.Duration(q.number(name)) * time.Second
}

// checked validates attributes to be set on a queue and returns them; an empty value removes an optional attribute.
// The caller holds the lock.
func (s *Service) checked(arn string, fifo bool, attrs map[string]string) (*redrivePolicy, error) {
	var redrive *redrivePolicy
	for name, v := range attrs {
		var err error
		switch name {
		case "DelaySeconds", "MaximumMessageSize", "MessageRetentionPeriod", "ReceiveMessageWaitTimeSeconds", "VisibilityTimeout", "KmsDataKeyReusePeriodSeconds":
			n, e := strconv.Atoi(v)
			if r := ranges[name]; e != nil || n < r[0] || n > r[1] {
				return nil, badAttribute(name)
			}
		case "SqsManagedSseEnabled":
			if v != "true" && v != "false" {
				return nil, badAttribute(name)
			}
		case "FifoQueue":
			if v != "true" && (v != "false" || fifo) {
				return nil, badAttribute(name)
			}
			if v == "true" && !fifo {
				return nil, invalid("QueueName", arn[strings.LastIndexByte(arn, ':')+1:], "The name of a FIFO queue can only include alphanumeric characters, hyphens, or underscores, must end with .fifo suffix.")
			}
		case "ContentBasedDeduplication", "DeduplicationScope", "FifoThroughputLimit":
			err = checkFIFO(name, v, fifo)
		case "KmsMasterKeyId":
		case "Policy":
			if v != "" && !json.Valid([]byte(v)) {
				return nil, badAttribute(name)
			}
		case "RedrivePolicy":
			redrive, err = s.checkRedrive(arn, fifo, v)
		case "RedriveAllowPolicy":
			_, err = parseAllow(v)
		default:
			return nil, &wire.Error{Code: "InvalidAttributeName", QueryCode: "InvalidAttributeName", Message: "Unknown Attribute " + name + "."}
		}
		if err != nil {
			return nil, err
		}
	}
	return redrive, nil
}

func checkFIFO(name, v string, fifo bool) error {
	if !fifo {
		return &wire.Error{Code: "InvalidAttributeName", QueryCode: "InvalidAttributeName", Message: "Unknown Attribute " + name + "."}
	}
	allowed := map[string][]string{
		"ContentBasedDeduplication": {"true", "false"},
		"DeduplicationScope":        {"queue", "messageGroup"},
		"FifoThroughputLimit":       {"perQueue", "perMessageGroupId"},
	}
	if !slices.Contains(allowed[name], v) {
		return badAttribute(name)
	}
	return nil
}

func (s *Service) checkRedrive(arn string, fifo bool, v string) (*redrivePolicy, error) {
	if v == "" {
		return nil, nil
	}
	bad := func(reason string) error { return invalid("RedrivePolicy", v, reason) }
	var raw struct {
		Target string          `json:"deadLetterTargetArn"`
		Max    json.RawMessage `json:"maxReceiveCount"`
	}
	if json.Unmarshal([]byte(v), &raw) != nil {
		return nil, bad("Redrive policy is not a valid JSON map.")
	}
	if raw.Target == "" || len(raw.Max) == 0 {
		return nil, bad("Redrive policy does not contain mandatory attribute: deadLetterTargetArn and maxReceiveCount.")
	}
	count, err := strconv.Atoi(string(bytes.Trim(raw.Max, `"`)))
	if err != nil || count < 1 || count > 1000 {
		return nil, bad("Invalid value for maxReceiveCount: " + string(raw.Max) + ", valid values are from 1 to 1000 both inclusive.")
	}
	target := s.byARN(raw.Target)
	switch {
	case target == nil:
		return nil, bad("Dead letter target does not exist.")
	case target.fifo != fifo:
		return nil, bad("Dead-letter queue must be same type of queue as the source.")
	}
	if allow, _ := parseAllow(target.attrs["RedriveAllowPolicy"]); !allow.permits(arn) {
		return nil, bad("Queue " + arn + " is not allowed to use the dead letter target by its redrive allow policy.")
	}
	return &redrivePolicy{raw.Target, count}, nil
}

type redriveAllow struct {
	Permission string   `json:"redrivePermission"`
	Sources    []string `json:"sourceQueueArns"`
}

func parseAllow(v string) (redriveAllow, error) {
	a := redriveAllow{Permission: "allowAll"}
	if v == "" {
		return a, nil
	}
	if json.Unmarshal([]byte(v), &a) != nil ||
		!slices.Contains([]string{"allowAll", "denyAll", "byQueue"}, a.Permission) ||
		(a.Permission == "byQueue") != (len(a.Sources) > 0) || len(a.Sources) > 10 {
		return a, invalid("RedriveAllowPolicy", v, "The policy is not valid.")
	}
	return a, nil
}

func (a redriveAllow) permits(arn string) bool {
	return a.Permission == "allowAll" || a.Permission == "byQueue" && slices.Contains(a.Sources, arn)
}

// attributes returns what GetQueueAttributes gives for All.
func (q *queue) attributes(now time.Time) map[string]string {
	visible, inflight, delayed := q.counts(now)
	a := map[string]string{
		"QueueArn":                              q.arn,
		"CreatedTimestamp":                      strconv.FormatInt(q.created.Unix(), 10),
		"LastModifiedTimestamp":                 strconv.FormatInt(q.modified.Unix(), 10),
		"ApproximateNumberOfMessages":           strconv.Itoa(visible),
		"ApproximateNumberOfMessagesNotVisible": strconv.Itoa(inflight),
		"ApproximateNumberOfMessagesDelayed":    strconv.Itoa(delayed),
	}
	for k, v := range q.attrs {
		if v != "" {
			a[k] = v
		}
	}
	return a
}

// attributeNames are all that GetQueueAttributes knows.
var attributeNames = []string{
	"All", "Policy", "VisibilityTimeout", "MaximumMessageSize", "MessageRetentionPeriod", "ApproximateNumberOfMessages",
	"ApproximateNumberOfMessagesNotVisible", "CreatedTimestamp", "LastModifiedTimestamp", "QueueArn",
	"ApproximateNumberOfMessagesDelayed", "DelaySeconds", "ReceiveMessageWaitTimeSeconds", "RedrivePolicy", "FifoQueue",
	"ContentBasedDeduplication", "KmsMasterKeyId", "KmsDataKeyReusePeriodSeconds", "DeduplicationScope",
	"FifoThroughputLimit", "RedriveAllowPolicy", "SqsManagedSseEnabled",
}

func checkName(name string) (fifo bool, err error) {
	base, fifo := strings.CutSuffix(name, ".fifo")
	if base == "" || len(name) > 80 || strings.Trim(base, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-") != "" {
		return fifo, &wire.Error{Code: "InvalidParameterValueException", QueryCode: "InvalidParameterValue",
			Message: "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length"}
	}
	return fifo, nil
}

func differs(name string) error {
	return &wire.Error{Code: "QueueNameExists", QueryCode: "QueueAlreadyExists",
		Message: fmt.Sprintf("A queue already exists with the same name and a different value for attribute %s", name)}
}
