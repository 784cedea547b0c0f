// Package settings reads a function's environment once, at cold start, and reports everything that is wrong with it at
// once, with the values.
package settings

import (
	"errors"
	"fmt"
	"log/slog"
	"strconv"
)

// Settings of a function: what the template puts into its environment.
type Settings struct {
	Table       string     // EKSPEDITE_TABLE: the ledger's DynamoDB table
	Bus         string     // EKSPEDITE_BUS: name of ekspedite's event bus
	QueueURL    string     // EKSPEDITE_QUEUE_URL: the function's own queue, for continuations
	DLQURL      string     // EKSPEDITE_DLQ_URL: where rejected messages go
	MaxReceives int        // EKSPEDITE_MAX_RECEIVES: the queue's maxReceiveCount
	LogLevel    slog.Level // EKSPEDITE_LOG_LEVEL: debug, info (the default), warn, error
	Region      string     // AWS_REGION, set by Lambda
	// InterruptionRoleARN (EKSPEDITE_INTERRUPTION_ROLE_ARN) is the role that gets an access entry in each cluster. Only
	// the cluster function has it.
	InterruptionRoleARN string
}

// Load reads settings through getenv (os.Getenv). needRole asks for the cluster function's additional setting.
func Load(getenv func(string) string, needRole bool) (Settings, error) {
	var errs []error
	must := func(name string) string {
		v := getenv(name)
		if v == "" {
			errs = append(errs, fmt.Errorf("%s is not set", name))
		}
		return v
	}
	s := Settings{
		Table: must("EKSPEDITE_TABLE"), Bus: must("EKSPEDITE_BUS"),
		QueueURL: must("EKSPEDITE_QUEUE_URL"), DLQURL: must("EKSPEDITE_DLQ_URL"), Region: must("AWS_REGION"),
	}
	if n := must("EKSPEDITE_MAX_RECEIVES"); n != "" {
		var err error
		if s.MaxReceives, err = strconv.Atoi(n); err != nil || s.MaxReceives < 1 {
			errs = append(errs, fmt.Errorf("EKSPEDITE_MAX_RECEIVES=%q is not a positive number", n))
		}
	}
	if l := getenv("EKSPEDITE_LOG_LEVEL"); l != "" {
		if err := s.LogLevel.UnmarshalText([]byte(l)); err != nil {
			errs = append(errs, fmt.Errorf("EKSPEDITE_LOG_LEVEL=%q: use debug, info, warn or error", l))
		}
	}
	if needRole {
		s.InterruptionRoleARN = must("EKSPEDITE_INTERRUPTION_ROLE_ARN")
	}
	return s, errors.Join(errs...)
}
