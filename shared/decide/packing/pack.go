package packing

import "slices"

// pack plans nodes for all that waits.
func (b *bulk) pack() []packed {
	wait := make([]int, len(b.classes))
	for i := range b.classes {
		wait[i] = b.classes[i].wait
	}
	b.setValues()
	pools := slices.Clone(b.w.pools)
	defer func() { b.w.pools = pools }() // what is planned here is taken from them when it is added to the world
	var all []int
	for _, s := range b.order {
		all = append(all, b.bySig[s]...)
	}
	nodes := b.cover(wait, all)
	b.rightSize(nodes)
	return nodes
}
