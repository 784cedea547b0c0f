// Package faults makes the embedded cloud as unpleasant as the real one: a seeded few per cent of calls are throttled
// or slow, of messages delivered twice or out of order, of launches short of capacity. Software that is only ever run
// against a polite cloud meets all of this in production for the first time.
package faults

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/wire"
)

// Config are the rates of what goes wrong: 0 is never, 1 is always.
type Config struct {
	Throttle             float64 `json:"throttle"`             // API calls refused with the service's throttling error
	Latency              float64 `json:"latency"`              // API calls that take longer
	LatencyMillis        int     `json:"latencyMillis"`        // by up to this much
	Duplicate            float64 `json:"duplicate"`            // messages delivered twice
	Reorder              float64 `json:"reorder"`              // messages that overtake others
	InsufficientCapacity float64 `json:"insufficientCapacity"` // launches for which AWS has no machines
	Stale                float64 `json:"stale"`                // EC2 resources and DynamoDB reads that lag behind
	PlatformUpdate       float64 `json:"platformUpdate"`       // EKS clusters that AWS is patching just when one wants to
	// Services limits throttling and latency to these signing names; empty means all.
	Services []string `json:"services,omitempty"`
}

// None is for figures; Hostile is the default.
var (
	None    = Config{}
	Hostile = Config{Throttle: 0.02, Latency: 0.05, LatencyMillis: 150, Duplicate: 0.03, Reorder: 0.05, InsufficientCapacity: 0.02,
		Stale: 0.1, PlatformUpdate: 0.02}
)

// Parse reads a configuration: "none", "hostile", or a JSON object whose missing members are hostile's.
func Parse(text string) (Config, error) {
	switch text {
	case "", "hostile":
		return Hostile, nil
	case "none":
		return None, nil
	}
	c := Hostile
	d := json.NewDecoder(bytes.NewReader([]byte(text)))
	d.DisallowUnknownFields()
	if err := d.Decode(&c); err != nil {
		return Config{}, fmt.Errorf("faults are none, hostile or a JSON object: %w", err)
	}
	return c, c.Validate()
}

// Validate reports every rate that is none.
func (c Config) Validate() error {
	var errs []error
	for name, rate := range map[string]float64{"throttle": c.Throttle, "latency": c.Latency, "duplicate": c.Duplicate,
		"reorder": c.Reorder, "insufficientCapacity": c.InsufficientCapacity, "stale": c.Stale, "platformUpdate": c.PlatformUpdate} {
		if !(rate >= 0 && rate <= 1) {
			errs = append(errs, fmt.Errorf("faults: %s is %v, not a rate from 0 to 1", name, rate))
		}
	}
	if c.LatencyMillis < 0 {
		errs = append(errs, errors.New("faults: latencyMillis is negative"))
	}
	return errors.Join(errs...)
}

// Dice are seeded random numbers; *world.World has them.
type Dice interface {
	Chance(p float64) bool
	IntN(n int) int
}

// Injector decides what goes wrong.
type Injector struct {
	dice Dice

	mu       sync.Mutex
	config   Config
	services map[string]bool
}

// New makes an injector. The same dice and the same calls give the same faults.
func New(dice Dice, c Config) *Injector {
	i := &Injector{dice: dice}
	i.Set(c)
	return i
}

// Config returns the rates in force.
func (i *Injector) Config() Config {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.config
}

// Set replaces the rates.
func (i *Injector) Set(c Config) {
	services := map[string]bool{}
	for _, s := range c.Services {
		services[s] = true
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.config, i.services = c, services
}

// Duplicate tells whether to deliver a message twice.
func (i *Injector) Duplicate() bool { return i.chance(i.Config().Duplicate) }

// Reorder tells whether a message overtakes others.
func (i *Injector) Reorder() bool { return i.chance(i.Config().Reorder) }

// InsufficientCapacity tells whether a launch finds no machine.
func (i *Injector) InsufficientCapacity() bool { return i.chance(i.Config().InsufficientCapacity) }

// Stale tells whether a read lags behind: eventual consistency.
func (i *Injector) Stale() bool { return i.chance(i.Config().Stale) }

// PlatformUpdate tells whether AWS begins to patch a cluster just when its owner wants to change it.
func (i *Injector) PlatformUpdate() bool { return i.chance(i.Config().PlatformUpdate) }

// maxDelay is how much later an event arrives that others overtake.
const maxDelay = 2 * time.Second

// Delay is how long an event is held back: mostly not at all.
func (i *Injector) Delay() time.Duration {
	if !i.Reorder() {
		return 0
	}
	return time.Duration(1+i.dice.IntN(int(maxDelay.Milliseconds()))) * time.Millisecond
}

// chance leaves the dice alone when the rate is 0, so that turning faults off does not change the ids of a seeded run.
func (i *Injector) chance(rate float64) bool { return rate > 0 && i.dice.Chance(rate) }

// Before is the gateway's hook: it delays a call or refuses it.
func (i *Injector) Before(ctx context.Context, c *wire.Call) error {
	i.mu.Lock()
	config, concerned := i.config, len(i.services) == 0 || i.services[c.Service]
	i.mu.Unlock()
	if !concerned {
		return nil
	}
	if config.LatencyMillis > 0 && i.chance(config.Latency) {
		t := time.NewTimer(time.Duration(1+i.dice.IntN(config.LatencyMillis)) * time.Millisecond)
		defer t.Stop()
		select {
		case <-t.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	if i.chance(config.Throttle) {
		return Throttled(c.Service)
	}
	return nil
}

// Throttled is the error with which a service says that it was asked too often.
func Throttled(service string) *wire.Error {
	const text = "Rate exceeded"
	switch service {
	case "ec2":
		return wire.Errf("RequestLimitExceeded", "Request limit exceeded.").WithStatus(http.StatusServiceUnavailable)
	case "s3":
		return wire.Errf("SlowDown", "Please reduce your request rate.").WithStatus(http.StatusServiceUnavailable)
	case "servicequotas":
		return wire.Errf("TooManyRequestsException", text)
	case "autoscaling", "iam", "sts", "monitoring", "cloudformation", "elasticloadbalancing":
		return wire.Errf("Throttling", text)
	case "sqs":
		e := wire.Errf("RequestThrottled", text)
		e.QueryCode = "RequestThrottled"
		return e
	case "lambda", "eks", "scheduler":
		code := "ThrottlingException"
		if service == "lambda" {
			code = "TooManyRequestsException"
		}
		return wire.Errf(code, text).WithStatus(http.StatusTooManyRequests)
	}
	return wire.Errf("ThrottlingException", text) // dynamodb, events, logs, ssm, kms, pricing, codepipeline
}
