package workload

import (
	"maps"
	"math"
	"slices"

	"github.com/ekspedite/ekspedite/shared/decide/packing"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

// Bound is a price, in USD an hour, that no plan of new nodes alone can go below: nodes may be bought in fractions, and pods be
// cut in pieces, as long as each fits on a whole node of its kind. Of topology rules only two are kept: the spread of a deployment
// over all zones, and great deployments of pods that keep off each other's nodes. It is a solution of that linear program's dual: always right, and within about one per cent of the best such
// bound. It is for judging plans, takes seconds, and is 0 where nodes exist already or pods do not fit anywhere.
func Bound(p packing.Problem) float64 {
	if len(p.Nodes) > 0 {
		return 0
	}
	b := &bounder{others: others(p), alone: alone(p)}
	b.readOffers(p)
	b.readParts(p)
	for i := range b.parts {
		if !slices.Contains(b.parts[i].fits, true) {
			return 0
		}
	}
	b.prune()
	return b.climb()
}

// offerable is an offering as a node: what it has for pods beside its daemons, and its price.
type offerable struct {
	labels map[string]string
	taints []fleet.Taint
	room   []float64 // by resource
	price  float64
}

// part is pods that are alike for the bound.
type part struct {
	asks []float64 // by resource
	n    float64
	fits []bool // by offerable
}

type bounder struct {
	others []string // extended resources; cpu, memory and pods come before them in vectors
	alone  []string // kinds of pods of which a node has one at most; they come last
	offers []offerable
	parts  []part
}

func (b *bounder) readOffers(p packing.Problem) {
	for _, pool := range p.Pools {
		for _, m := range pool.Machines {
			t := p.Types[m]
			for _, o := range t.Offerings {
				if pool.Zones != nil && !slices.Contains(pool.Zones, o.Zone) || pool.Capacity != nil && !slices.Contains(pool.Capacity, o.Capacity) || o.Price <= 0 {
					continue
				}
				offer := offerable{labels: nodeLabels("", t, pool.Labels, o.Zone, o.Capacity, p.Options.CapacityLabels), taints: pool.Taints, price: o.Price}
				room := fleet.Resources{CPU: t.Allocatable.CPU, Memory: t.Allocatable.Memory, Other: maps.Clone(t.Allocatable.Other)}
				pods := t.MaxPods
				for i := range p.Daemons {
					if d := &p.Daemons[i]; runsOn(d, "", offer.labels, offer.taints) {
						room.CPU, room.Memory, pods = room.CPU-d.Demand.Requests.CPU, room.Memory-d.Demand.Requests.Memory, pods-1
					}
				}
				offer.room = b.vector(room, float64(pods))
				for range b.alone {
					offer.room = append(offer.room, 1)
				}
				b.offers = append(b.offers, offer)
			}
		}
	}
}

// others are the extended resources that pods ask for.
func others(p packing.Problem) []string {
	seen := map[string]bool{}
	for _, pod := range p.Pods {
		for name := range pod.Demand.Requests.Other {
			seen[name] = true
		}
	}
	return slices.Sorted(maps.Keys(seen))
}

// alone are the kinds of pods that keep off each other's nodes, as far as there are enough of them to matter.
func alone(p packing.Problem) (out []string) {
	pods := map[string]int{}
	for _, pod := range p.Pods {
		if kind := kindAlone(pod); kind != "" {
			pods[kind]++
		}
	}
	for _, kind := range slices.Sorted(maps.Keys(pods)) {
		if pods[kind] >= len(p.Pods)/20 {
			out = append(out, kind)
		}
	}
	return out
}

// kindAlone names the kind of a pod that keeps its own kind off its node; "" if it does not.
func kindAlone(p fleet.Pod) string {
	for _, t := range p.Demand.AntiAffinity {
		if t.TopologyKey == fleet.LabelHostname && len(t.Namespaces) == 0 && selects(t.Selector, p.Labels) {
			return text([]any{p.Namespace, t.Selector})
		}
	}
	return ""
}

func (b *bounder) vector(r fleet.Resources, pods float64) []float64 {
	out := []float64{float64(r.CPU), float64(r.Memory), pods}
	for _, name := range b.others {
		out = append(out, float64(r.Other[name]))
	}
	return out
}

// readParts puts pods together that ask for the same and may go to the same nodes. Of a deployment that is spread over zones,
// each zone has to have its share.
func (b *bounder) readParts(p packing.Problem) {
	type row struct {
		pod fleet.Pod
		n   int
	}
	rows, order := map[*fleet.Demand]*row{}, []*row{}
	for _, pod := range p.Pods {
		r, ok := rows[pod.Demand]
		if !ok {
			r = &row{pod: pod}
			rows[pod.Demand], order = r, append(order, r)
		}
		r.n++
	}
	zones := map[string]bool{}
	for _, o := range b.offers {
		zones[o.labels[fleet.LabelZone]] = true
	}
	at, fits := map[string]int{}, map[string][]bool{}
	for _, r := range order {
		d := r.pod.Demand
		asks := b.vector(d.Requests, 1)
		for _, kind := range b.alone {
			one := 0.0
			if kindAlone(r.pod) == kind {
				one = 1
			}
			asks = append(asks, one)
		}
		add := func(zone string, n int) {
			key := text([]any{d.NodeSelector, d.NodeTerms, d.Volumes, r.pod.Tolerations, asks, zone})
			if _, ok := fits[key]; !ok {
				fits[key] = b.fits(r.pod, asks, zone)
				at[key] = len(b.parts)
				b.parts = append(b.parts, part{asks: asks, fits: fits[key]})
			}
			b.parts[at[key]].n += float64(n)
		}
		left := r.n
		if skew := zoneSpread(r.pod); skew > 0 && wide(b, r.pod, asks, zones) {
			least := max(0, (r.n-(len(zones)-1)*skew+len(zones)-1)/len(zones))
			for zone := range zones {
				add(zone, least)
				left -= least
			}
		}
		add("", left)
	}
}

// zoneSpread is the skew of a spread of a pod's own kind over zones; 0 without.
func zoneSpread(p fleet.Pod) int {
	for _, s := range p.Demand.Spread {
		if !s.Soft && s.TopologyKey == fleet.LabelZone && selects(s.Selector, p.Labels) {
			return s.MaxSkew
		}
	}
	return 0
}

// wide tells whether a pod may be in all zones.
func wide(b *bounder, p fleet.Pod, asks []float64, zones map[string]bool) bool {
	for zone := range zones {
		if !slices.Contains(b.fits(p, asks, zone), true) {
			return false
		}
	}
	return true
}

func (b *bounder) fits(p fleet.Pod, asks []float64, zone string) []bool {
	out := make([]bool, len(b.offers))
	for i, o := range b.offers {
		if zone != "" && o.labels[fleet.LabelZone] != zone {
			continue
		}
		if _, ok := tolerates(p.Tolerations, o.taints); !ok || !wantsNode(p.Demand, "", o.labels) {
			continue
		}
		here := !slices.ContainsFunc(p.Demand.Volumes, func(v fleet.Volume) bool {
			return v.Where != nil && !slices.ContainsFunc(v.Where, func(t fleet.NodeTerm) bool { return termHolds(t, "", o.labels) })
		})
		for r, a := range asks {
			here = here && a <= o.room[r]
		}
		out[i] = here
	}
	return out
}

// prune leaves out offers for which another one takes all the same parts and has more of everything for its price.
func (b *bounder) prune() {
	beats := func(x, y int) bool {
		more := false
		for r := range b.offers[x].room {
			have, other := b.offers[x].room[r]/b.offers[x].price, b.offers[y].room[r]/b.offers[y].price
			if have < other {
				return false
			}
			more = more || have > other
		}
		for _, p := range b.parts {
			if p.fits[y] && !p.fits[x] {
				return false
			}
		}
		return more || x < y
	}
	var kept []int
	for i := range b.offers {
		if !slices.ContainsFunc(kept, func(k int) bool { return beats(k, i) }) {
			kept = append(slices.DeleteFunc(kept, func(k int) bool { return beats(i, k) }), i)
		}
	}
	offers := make([]offerable, len(kept))
	for j, i := range kept {
		offers[j] = b.offers[i]
	}
	for i, p := range b.parts {
		fits := make([]bool, len(kept))
		for j, k := range kept {
			fits[j] = p.fits[k]
		}
		b.parts[i].fits = fits
	}
	b.offers = offers
}

// rounds of the climb, from coarse to fine.
const boundRounds = 1500

// climb finds, for each offer, how its price is best divided among its resources: any division is a bound, because each pod
// then pays at least what it asks of the cheapest offer that takes it. The division moves to what is scarce there
// (multiplicative weights), with pods spread softly over offers that are about as cheap.
func (b *bounder) climb() (best float64) {
	n := len(b.offers[0].room)
	share := make([][]float64, len(b.offers)) // of the price, by resource; sums to 1
	for i, o := range b.offers {
		share[i] = make([]float64, n)
		for r := range n {
			if o.room[r] > 0 {
				share[i][r] = 1
			}
		}
		normalise(share[i])
	}
	used := make([][]float64, len(b.offers))
	cost := make([]float64, len(b.offers))
	for round := range boundRounds {
		done := float64(round) / boundRounds
		heat, step := 0.05*math.Pow(0.004, done), 0.5*math.Pow(0.04, done)
		for i := range used {
			used[i] = make([]float64, n)
		}
		total := 0.0
		for _, p := range b.parts {
			total += p.n * b.pay(p, share, used, cost, heat)
		}
		best = max(best, total)
		for i, u := range used {
			if most := slices.Max(u); most > 0 {
				for r := range u {
					share[i][r] *= math.Exp(step * (u[r]/most - 1))
				}
				normalise(share[i])
			}
		}
	}
	return best
}

// pay is what a pod of a part pays at least, and adds what its pods would use of the offers at about that price.
func (b *bounder) pay(p part, share, used [][]float64, cost []float64, heat float64) float64 {
	least := math.Inf(1)
	for i, o := range b.offers {
		if !p.fits[i] {
			continue
		}
		sum := 0.0
		for r, a := range p.asks {
			if a > 0 {
				sum += share[i][r] * a / o.room[r]
			}
		}
		cost[i] = sum * o.price
		least = min(least, cost[i])
	}
	sum := 0.0
	for i := range b.offers {
		if p.fits[i] {
			sum += math.Exp((1 - cost[i]/least) / heat)
		}
	}
	for i, o := range b.offers {
		if !p.fits[i] {
			continue
		}
		if x := math.Exp((1-cost[i]/least)/heat) / sum; x > 1e-9 {
			for r, a := range p.asks {
				if a > 0 {
					used[i][r] += x * p.n * a / o.room[r]
				}
			}
		}
	}
	return least
}

func normalise(v []float64) {
	sum := 0.0
	for _, x := range v {
		sum += x
	}
	for i := range v {
		v[i] = max(v[i]/sum, 1e-12)
	}
}
