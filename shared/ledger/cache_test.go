package ledger

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

func TestCache(t *testing.T) {
	ctx, at := context.Background(), time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	l := &Ledger{Store: &Memory{}, Now: func() time.Time { return at }}
	var got []string
	if when, err := l.Cached(ctx, "s", "p", &got); err != nil || !when.IsZero() || got != nil {
		t.Error(when, err, got)
	}
	for _, put := range []struct {
		at   time.Time
		text string
		want string
	}{{at, "first", "first"}, {at.Add(-time.Minute), "older", "first"}, {at.Add(time.Minute), "newer", "newer"}} {
		if err := l.Cache(ctx, "s", "p", put.at, []string{put.text}); err != nil {
			t.Fatal(err)
		}
		if _, err := l.Cached(ctx, "s", "p", &got); err != nil || got[0] != put.want {
			t.Errorf("after %s: %v, %v", put.text, got, err)
		}
	}
	if when, err := l.Cached(ctx, "s", "p", &got); err != nil || !when.Equal(at.Add(time.Minute)) {
		t.Error(when, err)
	}
	noise := make([]float64, 50_000)
	for i := range noise {
		noise[i] = rand.Float64()
	}
	if err := l.Cache(ctx, "s", "p", at.Add(time.Hour), noise); !fault.Is(err, fault.Invalid) {
		t.Errorf("half a megabyte of noise: %v", err)
	}
}

// TestAMarketFitsIntoItems: 1,200 types in six zones, more than any Region has, each with a price of its own in each zone.
func TestAMarketFitsIntoItems(t *testing.T) {
	ctx, l := context.Background(), &Ledger{Store: &Memory{}, Now: time.Now}
	var types []fleet.MachineType
	spot := map[string]map[string]float64{}
	for i := range 1200 {
		m := fleet.MachineType{Name: fmt.Sprintf("x%d.%dxlarge", i/20, i%20), Arch: "amd64", VCPUs: i + 1, MemoryMiB: 4096 * (i + 1), ENIs: 8, IPsPerENI: 30, Nitro: true, Attachments: 28}
		spot[m.Name] = map[string]float64{}
		for z := range 6 {
			zone := fmt.Sprintf("us-east-1%c", 'a'+z)
			m.Offerings = append(m.Offerings, fleet.Offering{Zone: zone, Price: float64(rand.IntN(1e6)) / 1e4})
			spot[m.Name][zone] = float64(rand.IntN(1e6)) / 1e4
		}
		types = append(types, m)
	}
	for part, value := range map[string]any{"types": types, "spot": spot} {
		if err := l.Cache(ctx, "market/r", part, time.Now(), value); err != nil {
			t.Error(err)
		}
		doc, err := l.Store.Get(ctx, cacheKey("market/r", part))
		t.Logf("%s: %d kB (%v)", part, len(doc.Data)>>10, err)
	}
}

func TestScaling(t *testing.T) {
	ctx, l := context.Background(), &Ledger{Store: &Memory{}, Now: time.Now}
	first, err := l.Scaling(ctx, demo)
	if err != nil || first.Looks != 0 {
		t.Fatal(first, err)
	}
	first.Looks, first.Memory = 1, []byte(`{"orders":[]}`)
	saved, err := l.SaveScaling(ctx, demo, first)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.SaveScaling(ctx, demo, first); !fault.Is(err, fault.Conflict) {
		t.Errorf("a lost lease's write: %v", err)
	}
	saved.Looks++
	if _, err := l.SaveScaling(ctx, demo, saved); err != nil {
		t.Error(err)
	}
	if known, err := l.Scaling(ctx, demo); err != nil || known.Looks != 2 || string(known.Memory) != `{"orders":[]}` {
		t.Error(known, err)
	}
}
