// Package obs is logs and metrics: slog in JSON on stdout, which Lambda forwards, and CloudWatch's embedded metric format
// in the same stream. Dimensions are bounded: the function's name, and for what is counted by it an event's kind. Never a
// node, an event id or a cluster: CloudWatch bills each combination as a metric of its own.
package obs

import (
	"context"
	"io"
	"log/slog"
	"sync"
)

// Namespace of all metrics.
const Namespace = "ekspedite"

// NewLog makes the function's logger. Level is debug, info, warn or error.
func NewLog(w io.Writer, level slog.Level, function string) *slog.Logger {
	return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level})).With("function", function)
}

type logKey struct{}

// With puts a logger into a context, for the work on one record.
func With(ctx context.Context, log *slog.Logger) context.Context {
	return context.WithValue(ctx, logKey{}, log)
}

// Log is the context's logger, or one that discards.
func Log(ctx context.Context) *slog.Logger {
	switch l := ctx.Value(logKey{}).(type) {
	case *slog.Logger:
		return l
	case *Record:
		return l.Log()
	}
	return slog.New(slog.DiscardHandler)
}

// Record is what is logged of one record. Most are not worth a line: making a logger for them costs more than their work.
type Record struct {
	// Log makes the logger, once.
	Log func() *slog.Logger

	mu      sync.Mutex
	subject string
	ignored string
}

// WithRecord puts a record into a context.
func WithRecord(ctx context.Context, r *Record) context.Context {
	return context.WithValue(ctx, logKey{}, r)
}

// Ignored notes that the context's record needs no answer, and why; subject is what it is about, a machine's id. It is told
// at the end of the batch, together with others. Without a record it is logged at once.
func Ignored(ctx context.Context, subject, why string) {
	r, ok := ctx.Value(logKey{}).(*Record)
	if !ok {
		Log(ctx).Info("nothing to do", "subject", subject, "reason", why)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.subject, r.ignored = subject, why
}

// Ignored is what was noted, "" if nothing was.
func (r *Record) Ignored() (subject, why string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.subject, r.ignored
}
