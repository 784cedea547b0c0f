package scheduler

import (
	"encoding/json"
	"errors"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/wire"
)

var (
	targetARNs = regexp.MustCompile(`^arn:aws[a-z-]*:([a-z0-9-]+):[a-z0-9-]*:([0-9]{12})?:.+$`)
	roleARNs   = regexp.MustCompile(`^arn:aws[a-z-]*:iam::[0-9]{12}:role/.+$`)
)

// kind tells which service an ARN belongs to, or "" where it is none.
func kind(arn string) string {
	m := targetARNs.FindStringSubmatch(arn)
	if m == nil {
		return ""
	}
	return m[1]
}

func (s *Service) checkTarget(t *Target, group string) error {
	if t == nil || t.Arn == "" || t.RoleArn == "" {
		return invalid("1 validation error detected: Value null at 'target.arn' or 'target.roleArn' failed to satisfy constraint: Member must not be null")
	}
	if t.EcsParameters != nil || t.KinesisParameters != nil || t.SageMakerPipelineParameters != nil {
		return notImplemented("EcsParameters, KinesisParameters or SageMakerPipelineParameters of a schedule's target")
	}
	switch kind(t.Arn) {
	case "sqs":
		if strings.HasSuffix(t.Arn, ".fifo") && (t.SqsParameters == nil || t.SqsParameters.MessageGroupID == "") {
			return invalid("Parameter MessageGroupId is required for FIFO SQS targets.")
		}
	case "lambda":
	case "events":
		if t.EventBridgeParameters == nil || t.EventBridgeParameters.DetailType == "" || t.EventBridgeParameters.Source == "" {
			return invalid("Parameter EventBridgeParameters is required for EventBridge PutEvents targets.")
		}
		if t.Input != "" && !json.Valid([]byte(t.Input)) {
			return invalid("Invalid Input: it must be well-formed JSON for this target.")
		}
	case "scheduler":
		return notImplemented("universal targets such as %s (only queues, functions and event buses by ARN)", t.Arn)
	case "":
		return invalid("Invalid target ARN: %s", t.Arn)
	default:
		return notImplemented("targets like %s (only queues, functions and event buses)", t.Arn)
	}
	if d := t.DeadLetterConfig; d != nil && d.Arn != "" && (kind(d.Arn) != "sqs" || strings.HasSuffix(d.Arn, ".fifo")) {
		return invalid("The dead-letter queue must be a standard SQS queue: %s", d.Arn)
	}
	if p := t.RetryPolicy; p != nil {
		if n := p.MaximumRetryAttempts; n != nil && (*n < 0 || *n > 185) {
			return invalid("1 validation error detected: Value '%d' at 'target.retryPolicy.maximumRetryAttempts' failed to satisfy constraint: Member must have value between 0 and 185", *n)
		}
		if n := p.MaximumEventAgeInSeconds; n != nil && (*n < 60 || *n > 86400) {
			return invalid("1 validation error detected: Value '%d' at 'target.retryPolicy.maximumEventAgeInSeconds' failed to satisfy constraint: Member must have value between 60 and 86400", *n)
		}
	}
	if !roleARNs.MatchString(t.RoleArn) {
		return invalid("Invalid role ARN: %s", t.RoleArn)
	}
	if err := s.roles.CheckTrustFrom(t.RoleArn, servicePrincipal, s.groupARN(group)); err != nil {
		return invalid("The execution role you provide must allow AWS EventBridge Scheduler to assume the role.")
	}
	return nil
}

// firing is one invocation of a target.
type firing struct {
	arn       string // of the schedule
	target    *Target
	scheduled time.Time
	executed  time.Time
	id        string
	attempt   int // from 1
}

// payload is the target's input with the context attributes filled in, or AWS's own where there is no input.
func (s *Service) payload(f firing) string {
	at := f.scheduled.UTC().Format(time.RFC3339)
	if f.target.Input == "" {
		e, _ := json.Marshal(struct { // of strings only
			Version    string   `json:"version"`
			ID         string   `json:"id"`
			DetailType string   `json:"detail-type"`
			Source     string   `json:"source"`
			Account    string   `json:"account"`
			Time       string   `json:"time"`
			Region     string   `json:"region"`
			Resources  []string `json:"resources"`
			Detail     string   `json:"detail"`
		}{"0", f.id, "Scheduled Event", "aws.scheduler", s.w.Account, at, s.w.Region, []string{f.arn}, "{}"})
		return string(e)
	}
	return strings.NewReplacer(
		"<aws.scheduler.schedule-arn>", f.arn, "<aws.scheduler.scheduled-time>", at,
		"<aws.scheduler.execution-id>", f.id, "<aws.scheduler.attempt-number>", strconv.Itoa(f.attempt),
	).Replace(f.target.Input)
}

// invoke does with the role's permissions what the target stands for.
func (s *Service) invoke(f firing, payload string) error {
	t := f.target
	switch kind(t.Arn) {
	case "sqs":
		return s.send(t.Arn, t.RoleArn, payload, t.SqsParameters, nil)
	case "lambda":
		if err := s.roles.AuthorizeRole(t.RoleArn, wire.Need{Action: "lambda:InvokeFunction", Resource: t.Arn}); err != nil {
			return err
		}
		_, err := s.functions.InvokeAsync(t.Arn, []byte(payload))
		return err
	}
	p := t.EventBridgeParameters
	if err := s.roles.AuthorizeRole(t.RoleArn, wire.Need{Action: "events:PutEvents", Resource: t.Arn, Context: map[string][]string{
		"events:source": {p.Source}, "events:detail-type": {p.DetailType}, "events:eventBusInvocation": {"false"},
	}}); err != nil {
		return err
	}
	return s.buses.Put(t.Arn, p.Source, p.DetailType, json.RawMessage(payload))
}

func (s *Service) send(queue, role, body string, p *sqsParameters, attrs map[string]string) error {
	if err := s.roles.AuthorizeRole(role, wire.Need{Action: "sqs:SendMessage", Resource: queue}); err != nil {
		return err
	}
	groupID := ""
	if p != nil {
		groupID = p.MessageGroupID
	}
	return s.queues.SendAuthorized(queue, body, groupID, attrs)
}

// AWS's defaults, and a backoff of our own: AWS documents only that it is exponential over 24 hours.
const (
	defaultRetries = 185
	defaultAge     = 24 * time.Hour
	firstBackoff   = time.Second
	lastBackoff    = 10 * time.Minute
)

// attempt invokes the target; what fails is tried again later or goes to the dead-letter queue.
func (s *Service) attempt(f firing) {
	f.attempt++
	payload := s.payload(f)
	err := s.invoke(f, payload)
	if err == nil {
		return
	}
	retries, age := defaultRetries, defaultAge
	if p := f.target.RetryPolicy; p != nil {
		if p.MaximumRetryAttempts != nil {
			retries = int(*p.MaximumRetryAttempts)
		}
		if p.MaximumEventAgeInSeconds != nil {
			age = time.Duration(*p.MaximumEventAgeInSeconds) * time.Second
		}
	}
	code, retryable := classify(err)
	exhausted := ""
	if retryable {
		backoff := min(firstBackoff<<min(f.attempt-1, 20), lastBackoff)
		backoff += time.Duration(s.w.IntN(int(backoff/4) + 1))
		switch {
		case f.attempt > retries:
			exhausted = "MaximumRetryAttempts"
		case time.Since(f.executed)+backoff > age:
			exhausted = "MaximumEventAgeInSeconds"
		default:
			s.w.After(backoff, func() { s.attempt(f) })
			return
		}
	}
	if d := f.target.DeadLetterConfig; d != nil && d.Arn != "" {
		attrs := map[string]string{
			"ERROR_CODE": code, "ERROR_MESSAGE": err.Error(), "EXECUTION_ID": f.id, "EXECUTION_TIME": f.executed.UTC().Format(time.RFC3339),
			"IS_PAYLOAD_TRUNCATED": "false", "RETRY_ATTEMPTS": strconv.Itoa(f.attempt - 1), "SCHEDULED_TIME": f.scheduled.UTC().Format(time.RFC3339),
			"SCHEDULE_ARN": f.arn, "TARGET_ARN": f.target.Arn,
		}
		if exhausted != "" {
			attrs["EXHAUSTED_RETRY_CONDITION"] = exhausted
		}
		dlqErr := s.send(d.Arn, f.target.RoleArn, payload, nil, attrs)
		if dlqErr == nil {
			return
		}
		err = errors.Join(err, dlqErr)
	}
	s.w.Log.Warn("scheduler: an invocation is lost", "schedule", f.arn, "target", f.target.Arn, "error", err)
}

// classify gives the error's code and whether trying again can help.
func classify(err error) (code string, retryable bool) {
	var e *wire.Error
	if !errors.As(err, &e) {
		return "InternalServerException", true
	}
	code = e.Code
	if e.QueryCode != "" {
		code = e.QueryCode
	}
	busy := strings.Contains(e.Code, "Throttl") || strings.HasPrefix(e.Code, "TooManyRequests") || e.Status >= 500 && e.Code != "NotImplemented"
	return code, busy
}
