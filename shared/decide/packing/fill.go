package packing

import "math"

// filler fills one node with pods of classes: the step that everything else repeats. Its slices are reused.
type filler struct {
	b     *bulk
	use   []int // by class: how many are on the node
	piles []pile
	value float64 // of what is on it
	used  vec
	count map[int]int // by group: members on the node
	most  map[int]int // by group: how many of them the classes on the node let there be
	gamma float64     // how much a scarce resource counts against a pod that takes of it
}

func (f *filler) init(b *bulk) {
	f.b, f.use, f.count, f.most, f.gamma = b, make([]int, len(b.classes)), map[int]int{}, map[int]int{}, 1
}

// sizeBonus prefers bigger pods a little where the value for the room is equal: small ones find a place at the end.
const sizeBonus = 0.15

// fill fills a node of an option with what waits, by class, of some classes: each time the class whose pods are worth most
// for the room that they take, scarce resources counting more.
func (f *filler) fill(o *bulkOption, classes []int, wait []int) {
	f.reset()
	left := o.room
	n := f.b.dims
	for {
		var weight vec
		for r := range n {
			if left[r] > 0 {
				if f.gamma == 1 {
					weight[r] = 1 / left[r]
				} else {
					weight[r] = o.inv[r] * math.Pow(o.room[r]/left[r], f.gamma)
				}
			}
		}
		best, most := -1, 0.0
	next:
		for _, i := range classes {
			c := &f.b.classes[i]
			if wait[i] <= f.use[i] {
				continue
			}
			size, share := 0.0, 0.0
			for r := range n {
				if c.d[r] > left[r] {
					continue next
				}
				size += c.d[r] * weight[r]
				share = max(share, c.d[r]*o.inv[r])
			}
			if score := c.value / size * (1 + sizeBonus*math.Sqrt(share)); score > most && (len(c.caps) == 0 || f.allowed(c) > 0) {
				best, most = i, score
			}
		}
		if best < 0 {
			break
		}
		c := &f.b.classes[best]
		k := times(n, &c.d, &left, wait[best]-f.use[best])
		k = max(1, k/6) // then the weights are looked at again
		if len(c.caps) > 0 {
			k = min(k, f.allowed(c))
		}
		f.add(best, k)
		left.take(n, &c.d, float64(k))
	}
	for r := range n {
		f.used[r] = o.room[r] - left[r]
	}
}

func (f *filler) reset() {
	for _, p := range f.piles {
		f.use[p.class] = 0
	}
	f.piles, f.value, f.used = f.piles[:0], 0, vec{}
	clear(f.count)
	clear(f.most)
}

// allowed is how many more pods of a class the limits on hosts let there be on the node.
func (f *filler) allowed(c *bulkClass) int {
	k := unlimited
	for _, l := range c.caps {
		most, ok := f.most[l.group]
		if !ok {
			most = unlimited
		}
		rest := min(most, l.most) - f.count[l.group]
		switch {
		case l.member:
			k = min(k, rest)
		case rest < 0:
			return 0
		}
	}
	return max(k, 0)
}

// add puts k pods of a class onto the node.
func (f *filler) add(class, k int) {
	c := &f.b.classes[class]
	if f.use[class] == 0 {
		f.piles = append(f.piles, pile{class, 0})
	}
	f.use[class] += k
	for i := range f.piles {
		if f.piles[i].class == class {
			f.piles[i].n += k
		}
	}
	f.value += c.value * float64(k)
	for _, l := range c.caps {
		if l.member {
			f.count[l.group] += k
		}
		if most, ok := f.most[l.group]; !ok || l.most < most {
			f.most[l.group] = l.most
		}
	}
}
