package logs

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// maxPoints is how many values of a series are kept.
const maxPoints = 10_000

// Point is one value of a metric.
type Point struct {
	Time  time.Time `json:"time"`
	Value float64   `json:"value"`
}

// Series is one metric with its dimensions.
type Series struct {
	Namespace  string            `json:"namespace"`
	Name       string            `json:"name"`
	Unit       string            `json:"unit"`
	Dimensions map[string]string `json:"dimensions"`
	Count      int               `json:"count"`
	Sum        float64           `json:"sum"`
	Min        float64           `json:"min"`
	Max        float64           `json:"max"`
	Points     []Point           `json:"points"`
}

// Metrics holds what was emitted.
type Metrics struct {
	mu        sync.Mutex
	series    map[string]*Series
	malformed int
	problems  []string
}

func newMetrics() *Metrics { return &Metrics{series: map[string]*Series{}} }

// All returns every series, in a stable order.
func (m *Metrics) All() []Series {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := []Series{}
	for _, k := range slices.Sorted(maps.Keys(m.series)) {
		s := *m.series[k]
		s.Points = slices.Clone(s.Points)
		out = append(out, s)
	}
	return out
}

// Sum adds up a metric over all series that have the given dimensions, and perhaps others.
func (m *Metrics) Sum(namespace, name string, dimensions map[string]string) (sum float64, count int) {
	for _, s := range m.All() {
		matches := s.Namespace == namespace && s.Name == name
		for k, v := range dimensions {
			matches = matches && s.Dimensions[k] == v
		}
		if matches {
			sum, count = sum+s.Sum, count+s.Count
		}
	}
	return sum, count
}

// Malformed returns how many lines claimed to be in the embedded metric format and were not, and what was wrong with
// the last of them. CloudWatch drops such lines in silence; tests should not.
func (m *Metrics) Malformed() (int, []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.malformed, slices.Clone(m.problems)
}

// Put adds one value.
func (m *Metrics) Put(namespace, name, unit string, dimensions map[string]string, at time.Time, value float64) {
	key := namespace + "\x00" + name
	for _, k := range slices.Sorted(maps.Keys(dimensions)) {
		key += "\x00" + k + "=" + dimensions[k]
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.series[key]
	if s == nil {
		s = &Series{Namespace: namespace, Name: name, Unit: unit, Dimensions: dimensions, Min: value, Max: value}
		m.series[key] = s
	}
	s.Count++
	s.Sum += value
	s.Min, s.Max = min(s.Min, value), max(s.Max, value)
	if s.Points = append(s.Points, Point{at, value}); len(s.Points) > maxPoints {
		s.Points = slices.Clone(s.Points[maxPoints/10:])
	}
}

// line takes a log line that may be in the embedded metric format.
func (m *Metrics) line(group, text string) {
	if !strings.Contains(text, `"_aws"`) || !strings.Contains(text, `"CloudWatchMetrics"`) {
		return
	}
	values, err := parseEMF(text)
	if err != nil {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.malformed++
		if m.problems = append(m.problems, fmt.Sprintf("%s: %v: %.300s", group, err, text)); len(m.problems) > 20 {
			m.problems = m.problems[1:]
		}
		return
	}
	for _, v := range values {
		m.Put(v.namespace, v.name, v.unit, v.dimensions, v.at, v.value)
	}
}

type emfValue struct {
	namespace, name, unit string
	dimensions            map[string]string
	at                    time.Time
	value                 float64
}

type emfHeader struct {
	Timestamp         *int64
	CloudWatchMetrics []struct {
		Namespace  string
		Dimensions [][]string
		Metrics    []struct {
			Name, Unit        string
			StorageResolution int
		}
	}
}

// parseEMF reads a line as the specification has it:
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
func parseEMF(text string) ([]emfValue, error) {
	var root map[string]json.RawMessage
	if err := json.Unmarshal([]byte(text), &root); err != nil {
		return nil, err
	}
	var h emfHeader
	if err := json.Unmarshal(root["_aws"], &h); err != nil {
		return nil, fmt.Errorf("_aws: %w", err)
	}
	if h.Timestamp == nil {
		return nil, errors.New("_aws.Timestamp is missing")
	}
	var out []emfValue
	for _, d := range h.CloudWatchMetrics {
		if d.Namespace == "" || len(d.Metrics) == 0 || len(d.Metrics) > 100 {
			return nil, errors.New("a directive needs a namespace and 1 to 100 metrics")
		}
		sets := d.Dimensions
		if len(sets) == 0 {
			sets = [][]string{{}}
		}
		for _, metric := range d.Metrics {
			if metric.Unit != "" && !slices.Contains(units, metric.Unit) {
				return nil, fmt.Errorf("metric %s: %q is not a unit", metric.Name, metric.Unit)
			}
			values, err := numbers(root[metric.Name])
			if err != nil {
				return nil, fmt.Errorf("metric %s: %w", metric.Name, err)
			}
			for _, set := range sets {
				dims, err := dimensions(root, set)
				if err != nil {
					return nil, fmt.Errorf("metric %s: %w", metric.Name, err)
				}
				for _, v := range values {
					out = append(out, emfValue{d.Namespace, metric.Name, metric.Unit, dims, time.UnixMilli(*h.Timestamp), v})
				}
			}
		}
	}
	return out, nil
}

func dimensions(root map[string]json.RawMessage, set []string) (map[string]string, error) {
	if len(set) > 30 {
		return nil, errors.New("more than 30 dimensions")
	}
	out := map[string]string{}
	for _, name := range set {
		var v string
		if err := json.Unmarshal(root[name], &v); err != nil || v == "" || len(v) > 1024 {
			return nil, fmt.Errorf("dimension %s is not a string of 1 to 1024 characters in the line", name)
		}
		out[name] = v
	}
	return out, nil
}

func numbers(raw json.RawMessage) ([]float64, error) {
	if len(raw) == 0 {
		return nil, errors.New("the line has no value for it")
	}
	var one float64
	if err := json.Unmarshal(raw, &one); err == nil && string(raw) != "null" {
		return []float64{one}, nil
	}
	var many []float64
	if err := json.Unmarshal(raw, &many); err != nil || len(many) == 0 || len(many) > 100 {
		return nil, fmt.Errorf("its value %s is neither a number nor a list of up to 100", raw)
	}
	return many, nil
}

var units = []string{
	"Seconds", "Microseconds", "Milliseconds", "Bytes", "Kilobytes", "Megabytes", "Gigabytes", "Terabytes", "Bits",
	"Kilobits", "Megabits", "Gigabits", "Terabits", "Percent", "Count", "Bytes/Second", "Kilobytes/Second",
	"Megabytes/Second", "Gigabytes/Second", "Terabytes/Second", "Bits/Second", "Kilobits/Second", "Megabits/Second",
	"Gigabits/Second", "Terabits/Second", "Count/Second", "None",
}
