package obs_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/shared/obs"
)

// The shape that CloudWatch wants:
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
func TestMetricsAreOneLineInEmbeddedFormat(t *testing.T) {
	var out bytes.Buffer
	m := obs.NewMetrics(&out, "interruption")
	var wg sync.WaitGroup
	for range 150 {
		wg.Go(func() { m.Count("Evicted", 2); m.Took("Drain", 1500*time.Microsecond) })
	}
	wg.Wait()
	now := time.UnixMilli(1700000000123)
	m.Flush(now)
	m.Flush(now) // nothing new
	if strings.Count(out.String(), "\n") != 1 {
		t.Fatalf("not one line: %s", out.String())
	}
	var line struct {
		AWS struct {
			Timestamp         int64
			CloudWatchMetrics []struct {
				Namespace  string
				Dimensions [][]string
				Metrics    []struct{ Name, Unit string }
			}
		} `json:"_aws"`
		Function string `json:"function"`
		Evicted  float64
		Drain    []float64
	}
	if err := json.Unmarshal(out.Bytes(), &line); err != nil {
		t.Fatal(err)
	}
	d := line.AWS.CloudWatchMetrics[0]
	if line.AWS.Timestamp != now.UnixMilli() || d.Namespace != "ekspedite" || len(d.Dimensions) != 1 || len(d.Dimensions[0]) != 1 || d.Dimensions[0][0] != "function" || line.Function != "interruption" {
		t.Errorf("%+v", line)
	}
	if len(d.Metrics) != 2 || d.Metrics[0].Name != "Drain" || d.Metrics[0].Unit != "Milliseconds" || d.Metrics[1].Name != "Evicted" || d.Metrics[1].Unit != "Count" {
		t.Errorf("%+v", d.Metrics)
	}
	if line.Evicted != 300 || len(line.Drain) != 100 || line.Drain[0] != 1.5 {
		t.Errorf("evicted %v, %d durations (CloudWatch takes 100)", line.Evicted, len(line.Drain))
	}
}

func TestNilMetricsAndNoLogger(t *testing.T) {
	var m *obs.Metrics
	m.Count("x", 1)
	m.Took("x", time.Second)
	m.Flush(time.Now())
	obs.Log(t.Context()).Error("nobody hears this")
}
