package packing

import (
	"cmp"
	"math"
	"slices"
)

const (
	dissolved = 24 // nodes that a round of improve takes apart
	idleMost  = 60 // rounds in a row that may bring nothing
)

// gammas are ways in which scarcity may count while nodes are filled: another one gives another filling. The first is the usual.
var gammas = [...]func(float64) float64{
	func(x float64) float64 { return x },
	math.Sqrt,
	func(x float64) float64 { return x * math.Sqrt(x) },
	func(x float64) float64 { return x * x },
}

// improve takes some nodes apart at a time, packs what was on them anew, and keeps what is cheaper, while the budget lasts. One
// half of them are worth least for their price, or nearly; the others are drawn, so that there is something to mix with.
func (b *bulk) improve(nodes []packed, opts []int, budget int) []packed {
	var draw lcg
	for i := range nodes {
		nodes[i].worth = b.worth(&nodes[i])
	}
	wait := make([]int, len(b.classes))
	for idle := 0; b.fill.looks < budget && len(nodes) > 1 && idle < idleMost; idle++ {
		slices.SortFunc(nodes, func(x, y packed) int { return cmp.Compare(x.worth, y.worth) })
		k := min(dissolved, len(nodes))
		bad := k / 2
		if draw.below(2) == 0 {
			bad = len(nodes)/4 + 1 // not always the very worst
		}
		for i := range k {
			among := len(nodes)
			if i < k/2 {
				among = max(bad, i+1)
			}
			j := i + draw.below(among-i)
			nodes[i], nodes[j] = nodes[j], nodes[i]
		}
		clear(wait)
		for i := range nodes[:k] {
			for _, p := range nodes[i].on {
				wait[p.class] += p.n
			}
		}
		b.fill.gamma = gammas[draw.below(len(gammas))]
		looks := b.fill.looks
		again := b.cover(wait, opts)
		b.rightSize(again)
		if b.better(again, nodes[:k]) && !slices.ContainsFunc(wait, func(n int) bool { return n > 0 }) {
			for i := range again {
				again[i].worth = b.worth(&again[i])
			}
			nodes, idle = append(again, nodes[k:]...), 0
		}
		if b.fill.looks == looks {
			break
		}
	}
	b.fill.gamma = gammas[0]
	return nodes
}

// lcg draws numbers, the same for the same problem: a linear congruential generator with Knuth's constants for 64 bits.
type lcg uint64

func (g *lcg) below(n int) int {
	*g = *g*6364136223846793005 + 1442695040888963407
	return int(uint64(*g>>33) % uint64(n))
}
