package eventbridge

import (
	"context"
	"encoding/json"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/ekspedite/ekspedite/infra/local/wire"
)

// maxTargets is AWS's quota of targets for one rule.
const maxTargets = 5

// Target is where a rule sends events, as PutTargets and CloudFormation have it.
type Target struct {
	ID               string            `json:"Id"`
	Arn              string            // queue, function, bus or log group
	RoleArn          string            `json:",omitempty"`
	Input            string            `json:",omitempty"`
	InputPath        string            `json:",omitempty"`
	InputTransformer *inputTransformer `json:",omitempty"`
	SqsParameters    *struct {
		MessageGroupID string `json:"MessageGroupId"`
	} `json:",omitempty"`
	DeadLetterConfig *struct{ Arn string } `json:",omitempty"`
	RetryPolicy      *retryPolicy          `json:",omitempty"`

	// What other kinds of target need is refused by name.
	KinesisParameters           json.RawMessage `json:",omitempty"`
	RunCommandParameters        json.RawMessage `json:",omitempty"`
	EcsParameters               json.RawMessage `json:",omitempty"`
	BatchParameters             json.RawMessage `json:",omitempty"`
	HttpParameters              json.RawMessage `json:",omitempty"`
	RedshiftDataParameters      json.RawMessage `json:",omitempty"`
	SageMakerPipelineParameters json.RawMessage `json:",omitempty"`
	AppSyncParameters           json.RawMessage `json:",omitempty"`
}

type inputTransformer struct {
	InputPathsMap map[string]string `json:",omitempty"`
	InputTemplate string
}

type retryPolicy struct {
	MaximumRetryAttempts     *lenientInt `json:",omitempty"`
	MaximumEventAgeInSeconds *lenientInt `json:",omitempty"`
}

// lenientInt also reads "185", as CloudFormation writes numbers.
type lenientInt int

// UnmarshalJSON reads a number or a number in quotes.
func (n *lenientInt) UnmarshalJSON(b []byte) error {
	v, err := strconv.Atoi(strings.Trim(string(b), `"`))
	*n = lenientInt(v)
	return err
}

// target is a target and the events on their way to it.
type target struct {
	Target
	shape   shape
	pending []delivery // in order of arrival
	running bool       // a goroutine is delivering
}

type (
	putTargetsInput struct {
		Rule, EventBusName string
		Targets            []Target
	}
	targetsOutput struct {
		FailedEntryCount int
		FailedEntries    []struct{ TargetID, ErrorCode, ErrorMessage string }
	}
	removeTargetsInput struct {
		Rule, EventBusName string
		Ids                []string
		Force              bool
	}
	listTargetsInput struct {
		Rule, EventBusName, NextToken string
		Limit                         *int
	}
	listTargetsOutput struct {
		Targets   []Target
		NextToken string `json:",omitempty"`
	}
)

func (i removeTargetsInput) names() (bus, rule string) { return i.EventBusName, i.Rule }
func (i listTargetsInput) names() (bus, rule string)   { return i.EventBusName, i.Rule }

func (s *Service) needPutTargets(_ *wire.Call, in *putTargetsInput) []wire.Need {
	n := s.needOnRule("PutTargets", in.EventBusName, in.Rule)
	needs := []wire.Need{n}
	for _, t := range in.Targets {
		n.Context["events:TargetArn"] = append(n.Context["events:TargetArn"], t.Arn)
		if t.RoleArn != "" {
			needs = append(needs, passRole(t.RoleArn))
		}
	}
	return needs
}

func (s *Service) putTargets(_ context.Context, _ *wire.Call, in *putTargetsInput) (*targetsOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, r, err := s.rule(in.EventBusName, in.Rule)
	if err != nil {
		return nil, err
	}
	if len(in.Targets) == 0 {
		return nil, invalid("1 validation error detected: Value '[]' at 'targets' failed to satisfy constraint: Member must have length greater than or equal to 1")
	}
	if err := s.aim(r, in.Targets); err != nil {
		return nil, err
	}
	return &targetsOutput{FailedEntries: []struct{ TargetID, ErrorCode, ErrorMessage string }{}}, nil
}

// aim adds targets to a rule, all or none; one with a known id replaces that one. The caller holds the lock.
func (s *Service) aim(r *rule, targets []Target) error {
	aimed := slices.Clone(r.targets)
	for _, t := range targets {
		sh, err := checkTarget(&t)
		if err != nil {
			return err
		}
		n := &target{Target: t, shape: sh}
		if i := slices.IndexFunc(aimed, func(o *target) bool { return o.ID == t.ID }); i >= 0 {
			aimed[i] = n
		} else {
			aimed = append(aimed, n)
		}
	}
	if len(aimed) > maxTargets {
		return wire.Errf("LimitExceededException", "The requested resource exceeds the maximum number allowed.")
	}
	r.targets = aimed
	return nil
}

var (
	targetIDs  = regexp.MustCompile(`^[.\-_A-Za-z0-9]{1,64}$`)
	targetARNs = regexp.MustCompile(`^arn:aws[a-z-]*:([a-z0-9-]+):[a-z0-9-]*:[0-9]{12}:.+$`)
)

// kind tells which service a target belongs to, or "" where the ARN is none.
func kind(arn string) string {
	m := targetARNs.FindStringSubmatch(arn)
	if m == nil {
		return ""
	}
	return m[1]
}

func checkTarget(t *Target) (shape, error) {
	if !targetIDs.MatchString(t.ID) {
		return nil, invalid("1 validation error detected: Value '%s' at 'targets.1.member.id' failed to satisfy constraint: Member must satisfy regular expression pattern: [\\.\\-_A-Za-z0-9]+", t.ID)
	}
	switch kind(t.Arn) {
	case "sqs":
		if strings.HasSuffix(t.Arn, ".fifo") && (t.SqsParameters == nil || t.SqsParameters.MessageGroupID == "") {
			return nil, invalid("Parameter(s) SqsParameters must be specified for target: %s.", t.ID)
		}
	case "lambda", "events", "logs":
	case "":
		return nil, invalid("Parameter %s is not valid. Reason: Provided Arn is not in correct format.", t.ID)
	default:
		return nil, notImplemented("targets like %s (only SQS queues, Lambda functions, event buses and log groups)", t.Arn)
	}
	if t.KinesisParameters != nil || t.RunCommandParameters != nil || t.EcsParameters != nil || t.BatchParameters != nil ||
		t.HttpParameters != nil || t.RedshiftDataParameters != nil || t.SageMakerPipelineParameters != nil || t.AppSyncParameters != nil {
		return nil, notImplemented("the service-specific parameters of target %s", t.ID)
	}
	if d := t.DeadLetterConfig; d != nil && d.Arn != "" && (kind(d.Arn) != "sqs" || strings.HasSuffix(d.Arn, ".fifo")) {
		return nil, invalid("Parameter DeadLetterConfig is not valid. Reason: Dead-letter queue must be a standard SQS queue.")
	}
	if p := t.RetryPolicy; p != nil {
		if n := p.MaximumRetryAttempts; n != nil && (*n < 0 || *n > 185) {
			return nil, invalid("Parameter MaximumRetryAttempts is not valid. Reason: must be between 0 and 185.")
		}
		if n := p.MaximumEventAgeInSeconds; n != nil && (*n < 60 || *n > 86400) {
			return nil, invalid("Parameter MaximumEventAgeInSeconds is not valid. Reason: must be between 60 and 86400.")
		}
	}
	return shapeOf(t)
}

func (s *Service) removeTargets(_ context.Context, _ *wire.Call, in *removeTargetsInput) (*targetsOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, r, err := s.rule(in.EventBusName, in.Rule)
	if err != nil {
		return nil, err
	}
	out := &targetsOutput{FailedEntries: []struct{ TargetID, ErrorCode, ErrorMessage string }{}}
	for _, id := range in.Ids {
		// An id that is not there is no failure, as in AWS.
		r.targets = slices.DeleteFunc(slices.Clone(r.targets), func(t *target) bool { return t.ID == id })
	}
	return out, nil
}

func (s *Service) listTargetsByRule(_ context.Context, _ *wire.Call, in *listTargetsInput) (*listTargetsOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, r, err := s.rule(in.EventBusName, in.Rule)
	if err != nil {
		return nil, err
	}
	out := &listTargetsOutput{Targets: []Target{}}
	for _, t := range r.targets {
		out.Targets = append(out.Targets, t.Target)
	}
	out.Targets, out.NextToken, err = page(out.Targets, in.NextToken, in.Limit)
	return out, err
}
