package upgradepath

import (
	"cmp"
	"slices"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

// Question asks for the way of one add-on while its cluster goes from a minor to another, one after the other: up, or, with
// Back, down.
type Question struct {
	Name     string
	Have     string // the version that is installed; EKS need not list it any more
	From, To fleet.Minor
	Releases []fleet.AddonRelease
	// Pin is a version that the add-on is not moved from or beyond; "" for none.
	Pin string
	// Back lets it go to older versions, and to no newer ones: a rollback.
	Back bool
	// Newest wants the newest version that can be reached at To, and not only one that works there.
	Newest bool
}

// Update is one update of an add-on.
type Update struct {
	At       fleet.Minor // the control plane's version when it is made
	From, To string
	// Late: From does not work at At. The control plane arrived there without a version that works on both sides.
	Late bool
}

// merit says how good a way is; less is better, and the fields count in their order.
type merit struct {
	gaps    int // arrivals at a minor with a version that does not work there
	short   int // what the last version lacks of what is wanted: see Question.goal
	updates int
}

func (a merit) compare(b merit) int {
	return cmp.Or(cmp.Compare(a.gaps, b.gaps), cmp.Compare(a.short, b.short), cmp.Compare(a.updates, b.updates))
}

// choice is the best that can be done with one version at one minor.
type choice struct {
	merit
	ok   bool
	next int // the version to update to; stay to go on with the control plane, or to be there
}

const stay = -1

// candidate is a version that an add-on may have.
type candidate struct {
	fleet.AddonRelease
	numbers []int
}

// Way is the best way of an add-on: at each minor the version must be one that EKS holds compatible with it; an update is made
// before the control plane moves, to a version for both sides, where there is one ("gaps" counts where there is none); never
// backwards; then with the fewest updates, as late as they may be, then to default versions before newer ones before older
// ones. What is to be done at a minor with a version depends on nothing else, so that a way asked for again in the middle is
// the rest of the same way. Not ok: there is none.
func Way(q Question) (way []Update, gaps int, ok bool) {
	path := minors(q.From, q.To)
	versions := q.candidates()
	works := make([][]bool, len(path)) // by minor and version
	for j, m := range path {
		works[j] = make([]bool, len(versions))
		for i, r := range versions {
			works[j][i] = slices.Contains(r.Minors, m) && fits(q.Name, r.Version, m)
		}
	}
	best := q.solve(path, versions, works)

	i, late := 0, !works[0][0]
	if !best[0][i].ok {
		return nil, 0, false
	}
	for j := range path {
		for {
			n := best[j][i].next
			if n == stay {
				break
			}
			way = append(way, Update{At: path[j], From: versions[i].Version, To: versions[n].Version, Late: late})
			i, late = n, false
		}
		if j+1 < len(path) {
			late = !works[j+1][i]
		}
	}
	return way, best[0][0].gaps, true
}

// candidates are the versions that the add-on may have, in the order in which it may go through them. The first is the one
// that it has.
func (q Question) candidates() []candidate {
	sign := 1
	if q.Back {
		sign = -1
	}
	have, pin := fleet.VersionNumbers(q.Have), fleet.VersionNumbers(q.Pin)
	out := []candidate{{AddonRelease: fleet.AddonRelease{Version: q.Have}, numbers: have}}
	for _, r := range q.Releases {
		c := candidate{r, fleet.VersionNumbers(r.Version)}
		switch {
		case r.Version == q.Have:
			out[0] = c
		case sign*slices.Compare(c.numbers, have) <= 0: // it would go the other way
		case q.Pin != "" && (q.Have == q.Pin || slices.Compare(c.numbers, pin) > 0):
		default:
			out = append(out, c)
		}
	}
	slices.SortStableFunc(out[1:], func(a, b candidate) int { return sign * slices.Compare(a.numbers, b.numbers) })
	return out
}

// solve finds the best choice for each minor and version, from the last minor back.
func (q Question) solve(path []fleet.Minor, versions []candidate, works [][]bool) [][]choice {
	rank := q.rank(versions)
	best := make([][]choice, len(path))
	last := len(path) - 1
	for j := last; j >= 0; j-- {
		best[j] = make([]choice, len(versions))
		for i := len(versions) - 1; i >= 0; i-- {
			c := choice{next: stay}
			switch {
			case !works[j][i]: // it has to be left here
			case j == last:
				c.ok, c.short = true, q.short(versions, works[j], i)
			case best[j+1][i].ok:
				c.ok, c.merit = true, best[j+1][i].merit
				if !works[j+1][i] {
					c.gaps++
				}
			}
			for n := i + 1; n < len(versions); n++ {
				if !works[j][n] || !best[j][n].ok || slices.Equal(versions[i].numbers, versions[n].numbers) || q.Name == vpcCNI && !leads(versions[i].numbers, versions[n].numbers) {
					continue
				}
				m := best[j][n].merit
				m.updates++
				by := -1
				if c.ok {
					by = m.compare(c.merit)
				}
				if by < 0 || by == 0 && c.next != stay && rank[n] < rank[c.next] {
					c = choice{merit: m, ok: true, next: n}
				}
			}
			best[j][i] = c
		}
	}
	return best
}

// short is what a version lacks of what is wanted at the last minor.
func (q Question) short(versions []candidate, works []bool, i int) (n int) {
	switch {
	case q.Back:
		return 0
	case q.Newest: // how many that work are newer
		for k := i + 1; k < len(versions); k++ {
			if works[k] {
				n++
			}
		}
		return n
	case q.Name == kubeProxy: // it goes with its cluster, or the next upgrade would find it too old
		if v, err := fleet.ParseMinor(versions[i].Version); err == nil {
			return int(q.To - v)
		}
	}
	return 0
}

// rank orders versions that are equally good otherwise: the default at the last minor, then the newer before the older.
func (q Question) rank(versions []candidate) []int {
	order := make([]int, len(versions))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		da, db := slices.Contains(versions[a].Defaults, q.To), slices.Contains(versions[b].Defaults, q.To)
		if da != db {
			if da {
				return -1
			}
			return 1
		}
		return slices.Compare(versions[b].numbers, versions[a].numbers)
	})
	rank := make([]int, len(versions))
	for r, i := range order {
		rank[i] = r
	}
	return rank
}

// reach is the furthest minor to which there is a way; From if there is none at all.
func reach(q Question) fleet.Minor {
	for q.To > q.From {
		q.To--
		if _, _, ok := Way(q); ok {
			return q.To
		}
	}
	return q.From
}
