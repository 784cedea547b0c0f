package observe

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/ledger"
)

// shop is AWS's market.
type shop struct {
	types, prices int // how often they were read
	price         float64
	err           error
}

func (s *shop) Catalogue(context.Context) ([]fleet.MachineType, error) {
	s.types++
	return []fleet.MachineType{{Name: "m5.large", Offerings: []fleet.Offering{{Zone: "a", Price: 0.1}, {Zone: "b", Price: 0.1}}}, {Name: "mac"}}, s.err
}

func (s *shop) SpotPrices(context.Context) (map[string]map[string]float64, error) {
	s.prices++
	return map[string]map[string]float64{"m5.large": {"b": s.price}}, s.err
}

func (s *shop) was(t *testing.T, types, prices int) {
	t.Helper()
	if s.types != types || s.prices != prices {
		t.Errorf("types were read %d times, want %d; prices %d times, want %d", s.types, types, s.prices, prices)
	}
}

func TestMarketIsReadOnceForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, store := &shop{price: 0.04}, &ledger.Ledger{Store: &ledger.Memory{}, Now: time.Now}
		ctx := t.Context()
		one, two := NewMarket(s, store, "r", time.Now), NewMarket(s, store, "r", time.Now)
		m, err := one.Market(ctx)
		want := []fleet.Offering{{Zone: "a", Price: 0.1}, {Zone: "b", Price: 0.1}, {Zone: "b", Spot: true, Price: 0.04}}
		if err != nil || len(m.Types) != 2 || len(m.Types[0].Offerings) != 3 || m.Types[0].Offerings[2] != want[2] || m.Types[0].Offerings[0] != want[0] || !m.Priced.Equal(time.Now()) {
			t.Fatalf("%+v, %v", m, err)
		}
		if other, err := two.Market(ctx); err != nil || len(other.Types) != 2 || len(other.Types[0].Offerings) != 3 {
			t.Fatalf("%+v, %v", other, err)
		}
		s.was(t, 1, 1)

		// While pods wait, nothing is read that is merely old.
		time.Sleep(30 * time.Minute)
		s.price = 0.05
		if m, err = one.Market(ctx); err != nil || m.Types[0].Offerings[2].Price != 0.04 || time.Since(m.Priced) != 30*time.Minute {
			t.Errorf("%+v, %v", m, err)
		}
		s.was(t, 1, 1)
		// The sweep reads it, once for both.
		if err := one.Refresh(ctx); err != nil {
			t.Fatal(err)
		}
		if m, err = two.Market(ctx); err != nil || m.Types[0].Offerings[2].Price != 0.05 {
			t.Errorf("%+v, %v", m, err)
		}
		s.was(t, 1, 2)
		for range 10 { // and not again
			if err := one.Refresh(ctx); err != nil {
				t.Fatal(err)
			}
		}
		s.was(t, 1, 2)
		time.Sleep(24 * time.Hour)
		if err := two.Refresh(ctx); err != nil {
			t.Fatal(err)
		}
		s.was(t, 2, 3)
	})
}

func TestAHalfFailedRefreshKeepsTheOld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, ctx := &shop{price: 0.04}, t.Context()
		m := NewMarket(s, nil, "r", time.Now)
		if _, err := m.Market(ctx); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Hour)
		s.err = errors.New("throttled")
		if err := m.Refresh(ctx); err == nil {
			t.Error("nobody said that it failed")
		}
		got, err := m.Market(ctx)
		if err != nil || len(got.Types) != 2 || got.Types[0].Offerings[2].Price != 0.04 || time.Since(got.Priced) != 2*time.Hour {
			t.Errorf("%+v, %v", got, err)
		}
		s.was(t, 1, 2) // AWS is left alone for a while
		time.Sleep(2 * time.Minute)
		if s.err = nil; m.Refresh(ctx) != nil {
			t.Error("it is well again")
		}
		s.was(t, 1, 3)
		if _, err := NewMarket(&shop{err: errors.New("throttled")}, nil, "r", time.Now).Market(ctx); err == nil {
			t.Error("nothing is known, and nobody said so")
		}
	})
}
