// Package settings reads a function's environment once, at cold start, and reports everything that is wrong with it at
// once, with the values.
package settings

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"strconv"
	"strings"
)

// Settings of a function: what the template puts into its environment.
type Settings struct {
	Table string // EKSPEDITE_TABLE: the ledger's DynamoDB table
	Bus   string // EKSPEDITE_BUS: name of ekspedite's event bus
	// QueueURL (EKSPEDITE_QUEUE_URL) is the function's own queue, for continuations; the doorbell's is the scaling function's
	// (EKSPEDITE_SCALING_QUEUE_URL).
	QueueURL    string
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
	// InVPC (EKSPEDITE_IN_VPC=true) says that the function is attached to a network of yours, by which it can reach API
	// servers without a public endpoint. Only the cluster function has it.
	InVPC bool
	// RoleBoundary (EKSPEDITE_ROLE_BOUNDARY) is the permissions boundary that every role gets which the function makes and
	// for which a spec names none; "" for none. Only the cluster function has it.
	RoleBoundary string
	// ScalingRoleARN (EKSPEDITE_SCALING_ROLE_ARN) is the role that may read a cluster whose nodes are planned, DoorbellURL
	// (EKSPEDITE_DOORBELL_URL) where such a cluster rings, DoorbellARN (EKSPEDITE_DOORBELL_ARN) the function behind it. Only
	// the cluster function has them.
	ScalingRoleARN, DoorbellURL, DoorbellARN string
	// UpgradeRoleARN (EKSPEDITE_UPGRADE_ROLE_ARN) is the role that looks into each cluster before and while it is upgraded. Only
	// the cluster function has it.
	UpgradeRoleARN string
	// LogGroups (EKSPEDITE_LOG_GROUPS, like "cluster=name,upgrade=name") and Dashboard (EKSPEDITE_DASHBOARD) are what notifications
	// link to. Only the notify function has them.
	LogGroups map[string]string
	Dashboard string
	// Loopback says that AWS itself is on this machine: webhooks may be, too. It follows from AWS_ENDPOINT_URL, which is set by
	// the embedded cloud and by nobody in an account.
	Loopback bool
}

// Load reads settings through getenv (os.Getenv). needRole asks for the cluster function's additional settings.
func Load(getenv func(string) string, needRole bool) (Settings, error) {
	r := reader{getenv: getenv}
	s := r.common()
	s.Bus = r.must("EKSPEDITE_BUS")
	s.QueueURL, s.DLQURL = r.must("EKSPEDITE_QUEUE_URL"), r.must("EKSPEDITE_DLQ_URL")
	s.MaxReceives = r.positive("EKSPEDITE_MAX_RECEIVES")
	if needRole {
		s.InterruptionRoleARN = r.must("EKSPEDITE_INTERRUPTION_ROLE_ARN")
		s.RoleARN = r.must("EKSPEDITE_ROLE_ARN")
		s.InVPC = getenv("EKSPEDITE_IN_VPC") == "true"
		s.RoleBoundary = getenv("EKSPEDITE_ROLE_BOUNDARY")
		s.ScalingRoleARN = r.must("EKSPEDITE_SCALING_ROLE_ARN")
		s.UpgradeRoleARN = r.must("EKSPEDITE_UPGRADE_ROLE_ARN")
		s.DoorbellURL, s.DoorbellARN = r.must("EKSPEDITE_DOORBELL_URL"), r.must("EKSPEDITE_DOORBELL_ARN")
	}
	return s, errors.Join(r.errs...)
}

// LoadNotify reads the settings of the notify function.
func LoadNotify(getenv func(string) string) (Settings, error) {
	s, err := Load(getenv, false)
	s.Dashboard, s.LogGroups = getenv("EKSPEDITE_DASHBOARD"), map[string]string{}
	for pair := range strings.SplitSeq(getenv("EKSPEDITE_LOG_GROUPS"), ",") {
		if function, group, ok := strings.Cut(pair, "="); ok {
			s.LogGroups[function] = group
		}
	}
	if u, parseErr := url.Parse(getenv("AWS_ENDPOINT_URL")); parseErr == nil {
		ip := net.ParseIP(u.Hostname())
		s.Loopback = u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
	}
	return s, err
}

// LoadInvoked reads the settings of a function that has no queue, because it is invoked directly.
func LoadInvoked(getenv func(string) string) (Settings, error) {
	r := reader{getenv: getenv}
	s := r.common()
	s.Bus = r.must("EKSPEDITE_BUS")
	return s, errors.Join(r.errs...)
}

// LoadCalled reads the settings of a function that somebody calls and waits for: the doorbell, which has nothing to report
// and whose messages go to the scaling function.
func LoadCalled(getenv func(string) string) (Settings, error) {
	r := reader{getenv: getenv}
	s := r.common()
	s.QueueURL = r.must("EKSPEDITE_SCALING_QUEUE_URL")
	return s, errors.Join(r.errs...)
}

// reader reads an environment and notes what is wrong with it.
type reader struct {
	getenv func(string) string
	errs   []error
}

func (r *reader) must(name string) string {
	v := r.getenv(name)
	if v == "" {
		r.errs = append(r.errs, fmt.Errorf("%s is not set", name))
	}
	return v
}

func (r *reader) positive(name string) int {
	text := r.must(name)
	n, err := strconv.Atoi(text)
	if text != "" && (err != nil || n < 1) {
		r.errs = append(r.errs, fmt.Errorf("%s=%q is not a positive number", name, text))
	}
	return n
}

// common are the settings of all functions.
func (r *reader) common() Settings {
	s := Settings{Table: r.must("EKSPEDITE_TABLE"), Region: r.must("AWS_REGION")}
	if l := r.getenv("EKSPEDITE_LOG_LEVEL"); l != "" {
		if err := s.LogLevel.UnmarshalText([]byte(l)); err != nil {
			r.errs = append(r.errs, fmt.Errorf("EKSPEDITE_LOG_LEVEL=%q: use debug, info, warn or error", l))
		}
	}
	return s
}
