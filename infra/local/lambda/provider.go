package lambda

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/stack"
	"github.com/ekspedite/ekspedite/infra/local/wire"
)

// Providers makes Lambda's resources.
func (s *Service) Providers() stack.Providers {
	return stack.Providers{
		"AWS::Lambda::Function":           s.provideFunction,
		"AWS::Lambda::EventSourceMapping": s.provideMapping,
		"AWS::Lambda::Permission":         s.providePermission,
		"AWS::Lambda::EventInvokeConfig":  s.provideInvokeConfig,
		"AWS::Lambda::Url":                s.provideURL,
	}
}

type functionProperties struct {
	FunctionName, Handler, Role, Runtime, Description, PackageType string
	Architectures                                                  []string
	Environment                                                    struct{ Variables map[string]string }
	Timeout, MemorySize                                            int
	ReservedConcurrentExecutions                                   *int
	LoggingConfig                                                  struct{ LogFormat, LogGroup, ApplicationLogLevel, SystemLogLevel string }
	DeadLetterConfig                                               struct{ TargetArn string }
	Tags                                                           []struct{ Key, Value string }
	TracingConfig                                                  struct{ Mode string }
	// The code of a local function is in Options.BinDir, its machine is this one, and so is its network.
	Code, VpcConfig, EphemeralStorage, KmsKeyArn, SnapStart, RecursiveLoop, RuntimeManagementConfig json.RawMessage
}

func (s *Service) provideFunction(id string, properties json.RawMessage) (stack.Created, error) {
	var p functionProperties
	if err := stack.Decode(properties, &p); err != nil {
		return stack.Created{}, err
	}
	c := Config{
		Name: cmp.Or(p.FunctionName, fmt.Sprintf("%s-%s", truncate(id, 51), s.w.Hex(12))), Handler: p.Handler, Role: p.Role, Runtime: p.Runtime,
		Description: p.Description, Architectures: p.Architectures, Environment: p.Environment.Variables, Reserved: p.ReservedConcurrentExecutions,
		Timeout: time.Duration(cmp.Or(p.Timeout, 3)) * time.Second, MemoryMB: cmp.Or(p.MemorySize, 128), LogGroup: p.LoggingConfig.LogGroup,
		LogJSON: p.LoggingConfig.LogFormat == "JSON", ApplicationLogLevel: p.LoggingConfig.ApplicationLogLevel,
		SystemLogLevel: p.LoggingConfig.SystemLogLevel, DeadLetterARN: p.DeadLetterConfig.TargetArn, TracingMode: p.TracingConfig.Mode, Tags: map[string]string{},
	}
	for _, t := range p.Tags {
		c.Tags[t.Key] = t.Value
	}
	if p.PackageType == "Image" {
		return stack.Created{}, errors.New("the embedded cloud does not run images")
	}
	if err := s.Create(c); err != nil {
		return stack.Created{}, err
	}
	return stack.Created{Ref: c.Name, Attributes: map[string]string{"Arn": s.ARN(c.Name)}}, nil
}

// Create makes a function. When a folder with executables is configured, the function's must be there.
func (s *Service) Create(c Config) error {
	if err := errors.Join(c.validate(), checkDestination(c.DeadLetterARN)); err != nil {
		return err
	}
	if s.o.BinDir != "" {
		if _, err := c.bootstrap(s.o.BinDir); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.functions[c.Name] != nil {
		return wire.Errf("ResourceConflictException", "Function already exist: %s", c.Name).WithStatus(409)
	}
	if c.Reserved != nil {
		if err := s.checkReserved(nil, *c.Reserved); err != nil {
			return err
		}
	}
	s.functions[c.Name] = &function{s: s, config: c, modified: time.Now(), async: defaultAsync, environments: map[*environment]int{}}
	return nil
}

// checkReserved keeps 100 executions for functions without a reservation, as AWS does. It needs the lock.
func (s *Service) checkReserved(f *function, n int) error {
	unreserved := min(100, s.o.Concurrency/2) // half of it for a limit that was made small
	others := s.reserved()
	if f != nil && f.config.Reserved != nil {
		others -= *f.config.Reserved
	}
	if n < 0 || n > 0 && s.o.Concurrency-others-n < unreserved {
		return invalid("Specified ReservedConcurrentExecutions for function decreases account's UnreservedConcurrentExecution below its minimum value of [%d].", unreserved)
	}
	return nil
}

type mappingProperties struct {
	BatchSize, MaximumBatchingWindowInSeconds int
	Enabled                                   *bool
	EventSourceArn, FunctionName              string
	FunctionResponseTypes                     []string
	ScalingConfig                             struct{ MaximumConcurrency int }
	Tags                                      json.RawMessage
}

func (s *Service) provideMapping(_ string, properties json.RawMessage) (stack.Created, error) {
	var p mappingProperties
	if err := stack.Decode(properties, &p); err != nil {
		return stack.Created{}, err
	}
	m, err := s.newMapping(p)
	if err != nil {
		return stack.Created{}, err
	}
	if p.Enabled == nil || *p.Enabled {
		m.enable()
	}
	return stack.Created{Ref: m.id, Attributes: map[string]string{"Id": m.id, "EventSourceMappingArn": s.w.ARN("lambda", "event-source-mapping:"+m.id)}}, nil
}

func (s *Service) newMapping(p mappingProperties) (*mapping, error) {
	f, err := s.find(p.FunctionName)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	config := f.config
	s.mu.Unlock()
	if !strings.HasPrefix(p.EventSourceArn, "arn:aws:sqs:") {
		return nil, fmt.Errorf("the embedded cloud polls SQS queues only, not %s", p.EventSourceArn)
	}
	size := cmp.Or(p.BatchSize, 10)
	window := time.Duration(p.MaximumBatchingWindowInSeconds) * time.Second
	most := p.ScalingConfig.MaximumConcurrency
	switch {
	case size < 1 || size > 10_000 || strings.HasSuffix(p.EventSourceArn, ".fifo") && size > 10:
		return nil, invalid("Batch size must be between 1 and 10000 (10 for FIFO queues), not %d", size)
	case size > 10 && window < time.Second:
		return nil, invalid("Maximum batch window in seconds must be greater than 0 if maximum batch size is greater than 10")
	case window < 0 || window > 300*time.Second:
		return nil, invalid("MaximumBatchingWindowInSeconds must be between 0 and 300")
	case most != 0 && (most < 2 || most > 1000):
		return nil, invalid("MaximumConcurrency must be between 2 and 1000, not %d", most)
	}
	partial := false
	for _, t := range p.FunctionResponseTypes {
		if t != "ReportBatchItemFailures" {
			return nil, invalid("%q is not a function response type", t)
		}
		partial = true
	}
	visible, err := s.queues.VisibilityTimeout(p.EventSourceArn)
	if err != nil {
		return nil, err
	}
	if visible < config.Timeout {
		return nil, invalid("Queue visibility timeout: %d seconds is less than Function timeout: %d seconds", int(visible.Seconds()), int(config.Timeout.Seconds()))
	}
	m := &mapping{s: s, id: s.w.UUID(), queueARN: p.EventSourceArn, functionARN: s.ARN(config.Name), batch: size, window: window, most: most, partial: partial,
		modified: time.Now(), result: "No records processed",
		invoke: func(payload []byte) (Result, error) { return s.Invoke(config.Name, payload) },
		may: func() error {
			return s.allowed(config.Role, p.EventSourceArn, "sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes")
		},
	}
	if err := m.may(); err != nil {
		return nil, invalid("The function execution role does not have permissions to call ReceiveMessage, DeleteMessage and GetQueueAttributes on SQS: %v", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mappings = append(s.mappings, m)
	return m, nil
}

func (s *Service) providePermission(id string, properties json.RawMessage) (stack.Created, error) {
	var p struct {
		Action, FunctionName, Principal, SourceArn, SourceAccount, FunctionUrlAuthType string
		InvokedViaFunctionUrl                                                          bool
	}
	if err := stack.Decode(properties, &p); err != nil {
		return stack.Created{}, err
	}
	f, err := s.find(p.FunctionName)
	if err != nil {
		return stack.Created{}, err
	}
	if p.Action != actionInvoke && p.Action != actionInvokeURL {
		return stack.Created{}, fmt.Errorf("the embedded cloud knows permissions for %s and %s only, not %s", actionInvoke, actionInvokeURL, p.Action)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	f.permissions = append(f.permissions, permission{id, p.Action, p.Principal, p.SourceArn, p.SourceAccount, p.FunctionUrlAuthType, p.InvokedViaFunctionUrl})
	return stack.Created{Ref: id, Attributes: map[string]string{"Id": id}}, nil
}

func (s *Service) provideInvokeConfig(id string, properties json.RawMessage) (stack.Created, error) {
	var p struct {
		FunctionName, Qualifier  string
		MaximumEventAgeInSeconds *int
		MaximumRetryAttempts     *int
		DestinationConfig        struct {
			OnFailure, OnSuccess struct{ Destination string }
		}
	}
	if err := stack.Decode(properties, &p); err != nil {
		return stack.Created{}, err
	}
	f, err := s.find(p.FunctionName)
	if err != nil {
		return stack.Created{}, err
	}
	c := defaultAsync
	if p.MaximumEventAgeInSeconds != nil {
		c.maxAge = time.Duration(*p.MaximumEventAgeInSeconds) * time.Second
	}
	if p.MaximumRetryAttempts != nil {
		c.retries = *p.MaximumRetryAttempts
	}
	if c.retries < 0 || c.retries > 2 || c.maxAge < time.Minute || c.maxAge > 6*time.Hour {
		return stack.Created{}, errors.New("MaximumRetryAttempts must be 0 to 2 and MaximumEventAgeInSeconds 60 to 21600")
	}
	c.onFailure, c.onSuccess = p.DestinationConfig.OnFailure.Destination, p.DestinationConfig.OnSuccess.Destination
	if err := errors.Join(checkDestination(c.onFailure), checkDestination(c.onSuccess)); err != nil {
		return stack.Created{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	f.async = c
	return stack.Created{Ref: id}, nil
}
