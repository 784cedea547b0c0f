package obs

import (
	"encoding/json"
	"io"
	"maps"
	"slices"
	"sync"
	"time"
)

// Metrics collects values between two flushes and writes them as one embedded-metric-format line. Nil discards.
type Metrics struct {
	w        io.Writer
	function string
	mu       sync.Mutex
	units    map[string]string
	values   map[string][]float64
	kinds    map[string]map[string]int // counters by the events' kind
}

// NewMetrics writes to w, which is the function's stdout.
func NewMetrics(w io.Writer, function string) *Metrics {
	return &Metrics{w: w, function: function, units: map[string]string{}, values: map[string][]float64{}, kinds: map[string]map[string]int{}}
}

// Count adds to a counter.
func (m *Metrics) Count(name string, n int) { m.add(name, "Count", float64(n)) }

// CountKind adds to a counter that each kind of event has. Kinds are few: those of the contract table.
func (m *Metrics) CountKind(name, kind string, n int) {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.kinds[kind] == nil {
		m.kinds[kind] = map[string]int{}
	}
	m.kinds[kind][name] += n
}

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
	if len(m.values) > 0 {
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
		m.write(now, line, list, "function")
	}
	for _, kind := range slices.Sorted(maps.Keys(m.kinds)) {
		line := map[string]any{"function": m.function, "kind": kind}
		var list []metric
		for _, name := range slices.Sorted(maps.Keys(m.kinds[kind])) {
			line[name] = m.kinds[kind][name]
			list = append(list, metric{name, "Count"})
		}
		m.write(now, line, list, "function", "kind")
	}
	clear(m.values)
	clear(m.units)
	clear(m.kinds)
}

type metric struct {
	Name string
	Unit string
}

// write adds CloudWatch's directive to a line and writes it.
func (m *Metrics) write(now time.Time, line map[string]any, list []metric, dimensions ...string) {
	type directive struct {
		Namespace  string
		Dimensions [][]string
		Metrics    []metric
	}
	line["_aws"] = map[string]any{
		"Timestamp":         now.UnixMilli(),
		"CloudWatchMetrics": []directive{{Namespace, [][]string{dimensions}, list}},
	}
	if b, err := json.Marshal(line); err == nil {
		_, _ = m.w.Write(append(b, '\n'))
	}
}
