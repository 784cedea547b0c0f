// Package fault gives errors a class, once, at the edge where they arise (awscloud for AWS, kube for Kubernetes), so that
// everybody else decides by class and never by code or text.
package fault

import (
	"errors"
	"fmt"
	"time"
)

// Class says what can be done about an error.
type Class int

// The classes. An error without one is Transient: trying again is safe, since everything here is idempotent, and what
// goes on failing ends in the dead-letter queue with its reason.
const (
	Transient Class = iota // timeouts, 5xx, broken connections: try again
	Throttled              // slow down, then try again
	NotFound               // the subject is gone
	Conflict               // somebody changed it under us, or a precondition failed: look again
	Blocked                // a PodDisruptionBudget, or an update in progress, is in the way: wait
	Denied                 // a permission is missing; may be a role that is not yet visible everywhere
	Invalid                // can never work
)

var names = [...]string{"Transient", "Throttled", "NotFound", "Conflict", "Blocked", "Denied", "Invalid"}

func (c Class) String() string { return names[c] }

// Error is an error with its class.
type Error struct {
	Class      Class
	Op         string        // what was tried: "ec2:DescribeInstances", "evict default/web-1"
	Code       string        // the service's own code, where it has one
	RetryAfter time.Duration // what the server asked for; 0 when it did not
	// Unsure: what was tried may have happened all the same, since its answer never came. It matters only where trying again
	// is not safe.
	Unsure bool
	Err    error
}

func (e *Error) Error() string {
	if e.Op == "" {
		return e.Err.Error()
	}
	return e.Op + ": " + e.Err.Error()
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// New makes a classed error with a formatted text.
func New(c Class, format string, args ...any) error {
	return &Error{Class: c, Err: fmt.Errorf(format, args...)}
}

// Of finds the class of an error, through wrapping.
func Of(err error) Class {
	var e *Error
	if errors.As(err, &e) {
		return e.Class
	}
	return Transient
}

// RetryAfter is how long the server asked to wait, 0 if it did not.
func RetryAfter(err error) time.Duration {
	var e *Error
	if errors.As(err, &e) {
		return e.RetryAfter
	}
	return 0
}

// Unsure tells whether what was tried may have happened all the same.
func Unsure(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Unsure
}

// Is tells whether an error has the class. Nil has none.
func Is(err error, c Class) bool { return err != nil && Of(err) == c }

// Ignore drops an error of the class: Ignore(err, NotFound) after a delete.
func Ignore(err error, c Class) error {
	if Is(err, c) {
		return nil
	}
	return err
}
