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
	// RoleARN (EKSPEDITE_ROLE_ARN) is the function's own role, which a cluster may have to let in by name. Only the cluster
	// function has it.
	RoleARN string
	// Concurrency (EKSPEDITE_CONCURRENCY) is how many environments of the function run at most, which share the account's
	// API rates. Only the cluster function has it.
	Concurrency int
	// InVPC (EKSPEDITE_IN_VPC=true) says that the function is attached to a network of yours, by which it can reach API
	// servers without a public endpoint. Only the cluster function has it.
	InVPC bool
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
	positive := func(name string) int {
		text := must(name)
		n, err := strconv.Atoi(text)
		if text != "" && (err != nil || n < 1) {
			errs = append(errs, fmt.Errorf("%s=%q is not a positive number", name, text))
		}
		return n
	}
	s.MaxReceives = positive("EKSPEDITE_MAX_RECEIVES")
	if l := getenv("EKSPEDITE_LOG_LEVEL"); l != "" {
		if err := s.LogLevel.UnmarshalText([]byte(l)); err != nil {
			errs = append(errs, fmt.Errorf("EKSPEDITE_LOG_LEVEL=%q: use debug, info, warn or error", l))
		}
	}
	if needRole {
		s.InterruptionRoleARN = must("EKSPEDITE_INTERRUPTION_ROLE_ARN")
		s.RoleARN = must("EKSPEDITE_ROLE_ARN")
		s.InVPC = getenv("EKSPEDITE_IN_VPC") == "true"
		s.Concurrency = positive("EKSPEDITE_CONCURRENCY")
	}
	return s, errors.Join(errs...)
}
