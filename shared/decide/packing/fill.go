package packing

import "math"

// filler fills one node with pods of classes: the step that everything else repeats. Its slices are reused.
type filler struct {
	b      *bulk
	use    []int // by class: how many are on the node
	piles  []pile
	value  float64 // of what is on it
	used   vec
	crowds []crowd
	able   []able // classes that may still be added
	// gamma is how much a resource counts against a pod that takes of it, by how scarce it has become: room over what is left.
	gamma func(scarcity float64) float64
	looks int // at a class, so far: the measure of the work
}

// able is a class that may be added to the node, with what one of its pods is worth there. What is looked at again and again is
// kept close together.
type able struct {
	class, wait int
	worth       float64
	d           [nearDims]float64 // the first dimensions of the class's demand
	caps        bool
}

// nearDims are the dimensions that nearly all problems make do with.
const nearDims = 4

// crowd is a group whose members a node limits.
type crowd struct{ group, count, most int }

func (f *filler) init(b *bulk) {
	f.b, f.use, f.gamma = b, make([]int, len(b.classes)), gammas[0]
}

// sizeBonus prefers bigger pods a little where the value for the room is equal: small ones find a place at the end.
const sizeBonus = 0.15

// haste is the part of a class's pods that still fit which is added at once, before scarcity is weighed anew.
const haste = 6

// fill fills a node of an option with what waits, by class, of some classes: each time the class whose pods are worth most
// for the room that they take, scarce resources counting more.
func (f *filler) fill(o *bulkOption, classes []int, wait []int) {
	f.reset()
	left, n := o.room, f.b.dims
	f.looks += len(classes)
	for _, i := range classes {
		c := &f.b.classes[i]
		if wait[i] == 0 || !fits(n, &c.d, &left) {
			continue
		}
		share := 0.0
		for r := range n {
			share = max(share, c.d[r]*o.inv[r])
		}
		f.able = append(f.able, able{i, wait[i], c.value * (1 + sizeBonus*math.Sqrt(share)), [nearDims]float64(c.d[:nearDims]), len(c.caps) > 0})
	}
	for len(f.able) > 0 {
		best := f.choose(o, &left)
		if best < 0 {
			break
		}
		c := &f.b.classes[best]
		k := times(n, &c.d, &left, wait[best]-f.use[best])
		k = max(1, k/haste)
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

// choose is the class to add next; -1 if none fits any more. What does not fit now never will again, and is forgotten.
func (f *filler) choose(o *bulkOption, left *vec) int {
	n := f.b.dims
	var weight vec
	for r := range n {
		if left[r] > 0 {
			weight[r] = f.gamma(o.room[r]/left[r]) * o.inv[r]
		}
	}
	near, rest := [nearDims]float64(left[:nearDims]), [nearDims]float64(weight[:nearDims])
	best, most, kept := -1, 0.0, 0
	f.looks += len(f.able)
next:
	for i := range f.able {
		a := &f.able[i]
		if a.wait <= f.use[a.class] {
			continue
		}
		size := 0.0
		for r := range nearDims { // dimensions that nobody asks for are 0 everywhere
			if a.d[r] > near[r] {
				continue next
			}
			size += a.d[r] * rest[r]
		}
		for r := nearDims; r < n; r++ {
			d := f.b.classes[a.class].d[r]
			if d > left[r] {
				continue next
			}
			size += d * weight[r]
		}
		if a.caps && len(f.crowds) > 0 && f.allowed(&f.b.classes[a.class]) == 0 {
			continue
		}
		score := a.worth / size
		if score > most {
			best, most = a.class, score
		}
		if kept != i {
			f.able[kept] = *a
		}
		kept++
	}
	f.able = f.able[:kept]
	return best
}

func (f *filler) reset() {
	for _, p := range f.piles {
		f.use[p.class] = 0
	}
	f.piles, f.value, f.used, f.crowds, f.able = f.piles[:0], 0, vec{}, f.crowds[:0], f.able[:0]
}

// allowed is how many more pods of a class the limits on hosts let there be on the node.
func (f *filler) allowed(c *bulkClass) int {
	k := unlimited
	for _, l := range c.caps {
		count, most := 0, unlimited
		for _, x := range f.crowds {
			if x.group == l.group {
				count, most = x.count, x.most
			}
		}
		rest := min(most, l.most) - count
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
		f.note(l, k)
	}
}

// note counts k pods of a class with a limit.
func (f *filler) note(l limit, k int) {
	if !l.member {
		k = 0
	}
	for i := range f.crowds {
		if x := &f.crowds[i]; x.group == l.group {
			x.count, x.most = x.count+k, min(x.most, l.most)
			return
		}
	}
	f.crowds = append(f.crowds, crowd{l.group, k, l.most})
}
