// Package obs is logs and metrics: slog in JSON on stdout, which Lambda forwards, and CloudWatch's embedded metric format
// in the same stream. Dimensions are bounded: the function's name and nothing else. Never a node, an event id or a cluster.
package obs

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"
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
	if l, ok := ctx.Value(logKey{}).(*slog.Logger); ok {
		return l
	}
	return slog.New(slog.DiscardHandler)
}

// Metrics collects values between two flushes and writes them as one embedded-metric-format line. Nil discards.
type Metrics struct {
	w        io.Writer
	function string
	mu       sync.Mutex
	units    map[string]string
	values   map[string][]float64
}

// NewMetrics writes to w, which is the function's stdout.
func NewMetrics(w io.Writer, function string) *Metrics {
	return &Metrics{w: w, function: function, units: map[string]string{}, values: map[string][]float64{}}
}

// Count adds to a counter.
func (m *Metrics) Count(name string, n int) { m.add(name, "Count", float64(n)) }

// Took records a duration in milliseconds.
func (m *Metrics) Took(name string, d time.Duration) {
	m.add(name, "Milliseconds", float64(d.Microseconds())/1000)
}

func (m *Metrics) add(name, unit string, v float64) {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.units[name] = unit
	if unit == "Count" && len(m.values[name]) == 1 {
		m.values[name][0] += v
		return
	}
	if len(m.values[name]) < maxValues {
		m.values[name] = append(m.values[name], v)
	}
}

// maxValues is the embedded metric format's limit for one metric in one line.
const maxValues = 100

// Flush writes what has been collected since the last flush, if anything.
func (m *Metrics) Flush(now time.Time) {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.values) == 0 {
		return
	}
	type metric struct {
		Name string
		Unit string
	}
	type directive struct {
		Namespace  string
		Dimensions [][]string
		Metrics    []metric
	}
	line := map[string]any{"function": m.function}
	var list []metric
	for _, name := range slices.Sorted(maps.Keys(m.values)) {
		v := m.values[name]
		list = append(list, metric{name, m.units[name]})
		line[name] = v
		if len(v) == 1 {
			line[name] = v[0]
		}
	}
	line["_aws"] = map[string]any{
		"Timestamp":         now.UnixMilli(),
		"CloudWatchMetrics": []directive{{Namespace, [][]string{{"function"}}, list}},
	}
	if b, err := json.Marshal(line); err == nil {
		_, _ = m.w.Write(append(b, '\n'))
	}
	clear(m.values)
	clear(m.units)
}
