// Package dynamodb is the embedded cloud's DynamoDB: tables with indexes, conditional writes, transactions, queries and
// scans with DynamoDB's whole expression language, lazy TTL and reads that may be stale.
package dynamodb

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/dynamodb/item"
	"github.com/ekspedite/ekspedite/infra/local/wire"
	"github.com/ekspedite/ekspedite/infra/local/world"
)

// Options are the knobs of the service.
type Options struct {
	// Stale is asked for every read that is not consistent: true means that the read sees the table as it was the
	// profile's Settle ago. Nil means never.
	Stale func() bool
	// TTLDelay is how long after its time an expired item is deleted. AWS promises "within a few days"; 0 means
	// DefaultTTLDelay. Until then the item is there, and readers must filter.
	TTLDelay time.Duration
}

// DefaultTTLDelay is long enough that who relies on TTL for correctness finds out, and short enough to be seen.
const DefaultTTLDelay = time.Minute

// Service is DynamoDB in one Region.
type Service struct {
	w    *world.World
	opts Options

	mu     sync.Mutex
	tables map[string]*table
	tokens map[string]usedToken // ClientRequestToken of TransactWriteItems
}

// New makes a DynamoDB without tables.
func New(w *world.World, opts Options) *Service {
	if opts.TTLDelay == 0 {
		opts.TTLDelay = DefaultTTLDelay
	}
	if opts.Stale == nil {
		opts.Stale = func() bool { return false }
	}
	return &Service{w: w, opts: opts, tables: map[string]*table{}, tokens: map[string]usedToken{}}
}

// API is the service for the gateway.
func (s *Service) API() *wire.Service {
	return &wire.Service{
		Name: "dynamodb", Protocol: wire.JSON10, TargetPrefix: "DynamoDB_20120810", CRC32: true, ErrorPrefix: "com.amazonaws.dynamodb.v20120810",
		Ops: slices.Concat(s.tableOps(), s.settingOps(), s.itemOps(), s.readOps(), s.batchOps(), s.transactOps()),
	}
}

// strict decodes a request's body. What it finds wrong comes out after authorisation, as in AWS, and in DynamoDB's words;
// a parameter that the embedded cloud lacks is named.
type strict[In any] struct {
	in  In
	err error
}

// UnmarshalJSON implements json.Unmarshaler. It does not fail: see above.
func (s *strict[In]) UnmarshalJSON(raw []byte) error {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	s.err = d.Decode(&s.in)
	return nil
}

// op makes an operation. Both functions run with s.mu held.
func op[In, Out any](s *Service, name string, needs func(*In) []wire.Need, do func(*In) (*Out, error)) wire.Op {
	return wire.Handle(name, func(_ *wire.Call, in *strict[In]) []wire.Need {
		s.mu.Lock()
		defer s.mu.Unlock()
		return needs(&in.in)
	}, func(_ context.Context, _ *wire.Call, in *strict[In]) (*Out, error) {
		if in.err != nil {
			return nil, decodeError(name, in.err)
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		out, err := do(&in.in)
		return out, validation(err)
	})
}

func decodeError(op string, err error) error {
	if field, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		return wire.Errf("NotImplemented", "%s: the embedded cloud does not implement the parameter %s", op, field).WithStatus(http.StatusNotImplemented)
	}
	var i *item.Invalid
	if errors.As(err, &i) {
		return validation(err)
	}
	return wire.Errf("SerializationException", "%v", err)
}

// validation turns what the pure packages refuse into the API's error.
func validation(err error) error {
	var i *item.Invalid
	if errors.As(err, &i) {
		return wire.Errf("ValidationException", "%s", i.Reason)
	}
	return err
}

func invalid(format string, args ...any) error {
	return wire.Errf("ValidationException", format, args...)
}

// parameter is the prefix of most of DynamoDB's refusals.
func parameter(format string, args ...any) error {
	return invalid("One or more parameter values were invalid: "+format, args...)
}

func (s *Service) arn(tableName string) string { return s.w.ARN("dynamodb", "table/"+tableName) }

// bare is a table's name, given by name or ARN.
func bare(nameOrARN string) string {
	if _, name, ok := strings.Cut(nameOrARN, ":table/"); ok {
		return name
	}
	return nameOrARN
}

// existing finds a table for the operations on tables.
func (s *Service) existing(name string) (*table, error) {
	t := s.tables[bare(name)]
	if t == nil {
		return nil, wire.Errf("ResourceNotFoundException", "Requested resource not found: Table: %s not found", bare(name))
	}
	return t, nil
}

// usable finds a table for the operations on items.
func (s *Service) usable(name string) (*table, error) {
	if name == "" {
		return nil, invalid("1 validation error detected: Value null at 'tableName' failed to satisfy constraint: Member must not be null")
	}
	t := s.tables[bare(name)]
	if t == nil || t.status != "ACTIVE" {
		return nil, wire.Errf("ResourceNotFoundException", "Requested resource not found")
	}
	return t, nil
}

// oneOf checks an enumeration; "" is the default.
func oneOf(field, value string, allowed ...string) error {
	if value == "" || slices.Contains(allowed, value) {
		return nil
	}
	return invalid("1 validation error detected: Value '%s' at '%s' failed to satisfy constraint: Member must satisfy enum value set: [%s]", value, field, strings.Join(allowed, ", "))
}
