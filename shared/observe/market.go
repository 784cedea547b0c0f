package observe

import (
	"cmp"
	"context"
	"maps"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

// MarketReader reads a Region's market from AWS: dozens of calls, seconds.
type MarketReader interface {
	// Catalogue reads all types that can be nodes, with their on-demand offerings.
	Catalogue(ctx context.Context) ([]fleet.MachineType, error)
	// SpotPrices reads spot prices by type and zone.
	SpotPrices(ctx context.Context) (map[string]map[string]float64, error)
}

// Cache keeps what was read for others: the ledger.
type Cache interface {
	Cached(ctx context.Context, subject, part string, into any) (time.Time, error)
	Cache(ctx context.Context, subject, part string, at time.Time, value any) error
}

const (
	// typesFor and pricesFor are how long what was read is used before it is read again. Types and list prices change with
	// AWS's announcements; spot prices every few minutes at most, by some per cent.
	typesFor  = 24 * time.Hour
	pricesFor = 10 * time.Minute
	// pricesAtMost is how old spot prices may get before somebody's pods wait for new ones. The sweep reads them far earlier.
	pricesAtMost = time.Hour
	// askAgain is how often the cache is asked for something newer than what is known here, and how long AWS is left alone after
	// a read that failed.
	askAgain = time.Minute
	never    = math.MaxInt64 * time.Nanosecond
)

// Names of the two parts in the cache.
const (
	marketTypes  = "types"
	marketPrices = "spot"
)

// Market keeps a Region's market in memory, and in a cache that all execution environments share, with its age. While pods
// wait nothing is read that is merely old: Refresh does that.
type Market struct {
	reader MarketReader
	cache  Cache
	region string
	now    func() time.Time

	mu     sync.Mutex
	types  []fleet.MachineType
	spot   map[string]map[string]float64
	asOf   time.Time // of types
	priced time.Time // of spot
	asked  time.Time // the cache
	failed time.Time // the last read that did
	merged fleet.Market
}

// NewMarket makes a Market. Without a cache (nil) it reads for itself.
func NewMarket(r MarketReader, c Cache, region string, now func() time.Time) *Market {
	return &Market{reader: r, cache: c, region: region, now: now}
}

// Market gives what is known, and reads what is not. It fails only if no types are known: what is old says so by its age.
// Nobody may write to it.
func (m *Market) Market(ctx context.Context) (fleet.Market, error) {
	known, err := m.get(ctx, pricesAtMost, 2*typesFor)
	if len(known.Types) > 0 {
		err = nil
	}
	return known, err
}

// Refresh reads again what is old. What cannot be read stays as it was, with its age.
func (m *Market) Refresh(ctx context.Context) error {
	_, err := m.get(ctx, pricesFor, typesFor)
	return err
}

func (m *Market) get(ctx context.Context, prices, types time.Duration) (fleet.Market, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	if (now.Sub(m.priced) >= pricesFor || now.Sub(m.asOf) >= typesFor) && now.Sub(m.asked) >= askAgain {
		m.recall(ctx)
	}
	if now.Sub(m.failed) < askAgain && len(m.types) > 0 {
		types, prices = never, never
	}
	var typesErr, pricesErr error
	var wg sync.WaitGroup
	if now.Sub(m.asOf) >= types {
		wg.Go(func() {
			var read []fleet.MachineType
			if read, typesErr = m.reader.Catalogue(ctx); typesErr == nil {
				m.types, m.asOf = read, now
				typesErr = m.keep(ctx, marketTypes, now, read)
			}
		})
	}
	if now.Sub(m.priced) >= prices {
		wg.Go(func() {
			var read map[string]map[string]float64
			if read, pricesErr = m.reader.SpotPrices(ctx); pricesErr == nil {
				m.spot, m.priced = read, now
				pricesErr = m.keep(ctx, marketPrices, now, read)
			}
		})
	}
	wg.Wait()
	if typesErr != nil || pricesErr != nil {
		m.failed = now
	}
	if len(m.merged.Types) == 0 || !m.merged.AsOf.Equal(m.asOf) || !m.merged.Priced.Equal(m.priced) {
		m.merged = m.merge()
	}
	return m.merged, cmp.Or(typesErr, pricesErr)
}

// recall takes over what the cache has newer. A cache that cannot be read has nothing.
func (m *Market) recall(ctx context.Context) {
	if m.cache == nil {
		return
	}
	m.asked = m.now()
	var types []fleet.MachineType
	var spot map[string]map[string]float64
	var asOf, priced time.Time
	var wg sync.WaitGroup
	wg.Go(func() { asOf, _ = m.cache.Cached(ctx, "market/"+m.region, marketTypes, &types) })
	wg.Go(func() { priced, _ = m.cache.Cached(ctx, "market/"+m.region, marketPrices, &spot) })
	wg.Wait()
	if asOf.After(m.asOf) {
		m.types, m.asOf = types, asOf
	}
	if priced.After(m.priced) {
		m.spot, m.priced = spot, priced
	}
}

func (m *Market) keep(ctx context.Context, part string, at time.Time, value any) error {
	if m.cache == nil {
		return nil
	}
	return m.cache.Cache(ctx, "market/"+m.region, part, at, value)
}

// merge puts spot prices beside the on-demand offerings. A zone with a spot price is one in which the type can be had so.
func (m *Market) merge() fleet.Market {
	out := fleet.Market{Region: m.region, AsOf: m.asOf, Priced: m.priced, Types: slices.Clone(m.types)}
	for i, t := range out.Types {
		offerings := slices.Clone(t.Offerings)
		for _, zone := range slices.Sorted(maps.Keys(m.spot[t.Name])) {
			offerings = append(offerings, fleet.Offering{Zone: zone, Spot: true, Price: m.spot[t.Name][zone]})
		}
		slices.SortStableFunc(offerings, func(a, b fleet.Offering) int { return cmp.Compare(a.Zone, b.Zone) })
		out.Types[i].Offerings = offerings
	}
	return out
}
