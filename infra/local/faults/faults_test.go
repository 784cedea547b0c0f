package faults

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/wire"
	"github.com/ekspedite/ekspedite/infra/local/world"
)

func TestSameSeedSameFaults(t *testing.T) {
	run := func() (out []bool) {
		i := New(world.New("1", "r", world.Fast, 7, slog.Default()), Config{Throttle: 0.2, Duplicate: 0.5})
		for range 200 {
			out = append(out, i.Before(context.Background(), &wire.Call{Service: "eks"}) != nil, i.Duplicate())
		}
		return out
	}
	a, b := run(), run()
	throttled := 0
	for i := range a {
		if a[i] != b[i] {
			t.Fatalf("draw %d differs", i)
		}
		if i%2 == 0 && a[i] {
			throttled++
		}
	}
	if throttled < 20 || throttled > 60 {
		t.Errorf("%d of 200 calls throttled at a rate of 0.2", throttled)
	}
}

func TestThrottlingSpeaksEachServicesLanguage(t *testing.T) {
	i := New(world.New("1", "r", world.Fast, 7, slog.Default()), Config{Throttle: 1, Services: []string{"ec2", "lambda", "s3"}})
	for service, want := range map[string]string{"ec2": "RequestLimitExceeded", "lambda": "TooManyRequestsException", "s3": "SlowDown", "eks": ""} {
		err := i.Before(context.Background(), &wire.Call{Service: service})
		var e *wire.Error
		if errors.As(err, &e) && e.Code != want || err == nil && want != "" {
			t.Errorf("%s: %v, want %q", service, err, want)
		}
	}
}

func TestLatency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := New(world.New("1", "r", world.Fast, 7, slog.Default()), Config{Latency: 1, LatencyMillis: 1000})
		start := time.Now()
		if err := i.Before(context.Background(), &wire.Call{}); err != nil {
			t.Fatal(err)
		}
		if d := time.Since(start); d <= 0 || d > time.Second {
			t.Errorf("took %v", d)
		}
	})
}

func TestParse(t *testing.T) {
	if c, err := Parse(`{"throttle": 0.5}`); err != nil || c.Throttle != 0.5 || c.Duplicate != Hostile.Duplicate {
		t.Errorf("%+v %v", c, err)
	}
	for _, bad := range []string{"some", `{"throttel": 1}`, `{"throttle": 2}`} {
		if _, err := Parse(bad); err == nil {
			t.Errorf("%s: no error", bad)
		}
	}
}
