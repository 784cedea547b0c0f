package schedulertest

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"

	"github.com/ekspedite/ekspedite/shared/decide/packing"
)

// kept are the fields without which an object would make no sense to Kubernetes; and Types, whose indexes pools have.
var kept = map[string]bool{
	"Name": true, "name": true, "namespace": true, "uid": true, "key": true, "operator": true, "values": true, "effect": true,
	"topologyKey": true, "maxSkew": true, "Zone": true, "Capacity": true, "Arch": true, "MaxPods": true, "Allocatable": true,
	"requests": true, "demand": true, "Demand": true, "id": true, "driver": true, "port": true, "weight": true, "term": true,
	"kubernetes.io/hostname": true, "Offerings": true, "Types": true, "Price": true,
}

// Shrink makes a failing problem as small as it can within so many tries: it leaves out whatever it can while fails says that
// it still does.
func Shrink(p packing.Problem, tries int, fails func(packing.Problem) bool) packing.Problem {
	s := &shrinker{tries: tries, fails: fails, best: Copy(p)}
	decoder := json.NewDecoder(bytes.NewReader(mustJSON(p)))
	decoder.UseNumber()
	if err := decoder.Decode(&s.doc); err != nil {
		panic(err) // it was written a moment ago
	}
	for before := -1; before != s.shrunk && s.tries > 0; {
		before = s.shrunk
		s.visit("", s.doc, func(v any) { s.doc = v })
	}
	if small := compact(s.best); fails(small) {
		return small
	}
	return s.best
}

type shrinker struct {
	tries, shrunk int
	fails         func(packing.Problem) bool
	doc           any
	best          packing.Problem
}

// still tells whether the document as it is now is a failing problem.
func (s *shrinker) still() bool {
	if s.tries--; s.tries < 0 {
		return false
	}
	var p packing.Problem
	if json.Unmarshal(mustJSON(s.doc), &p) != nil || !s.fails(p) {
		return false
	}
	s.best = p
	s.shrunk++
	return true
}

// visit leaves out what it can of a value, which replace puts in its place.
func (s *shrinker) visit(name string, value any, replace func(any)) {
	switch v := value.(type) {
	case []any:
		if !kept[name] || name == "Offerings" {
			v = s.shorten(v, replace)
		}
		for i := range v {
			s.visit("", v[i], func(x any) { v[i] = x })
		}
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			old := v[key]
			if !kept[key] && old != nil {
				delete(v, key)
				if s.still() {
					continue
				}
				v[key] = old
			}
			s.visit(key, old, func(x any) { v[key] = x })
		}
	}
}

// shorten leaves out parts of a list, halves first.
func (s *shrinker) shorten(v []any, replace func(any)) []any {
	for size := (len(v) + 1) / 2; size >= 1; size /= 2 {
		for i := 0; i+size <= len(v); {
			less := slices.Delete(slices.Clone(v), i, i+size)
			if replace(less); s.still() {
				v = less
			} else {
				replace(v)
				i += size
			}
		}
	}
	return v
}

// compact leaves out types that no pool has.
func compact(p packing.Problem) packing.Problem {
	c := Copy(p)
	c.Types = nil
	index := map[int]int{}
	for i := range c.Pools {
		for j, m := range c.Pools[i].Machines {
			if _, ok := index[m]; !ok {
				index[m] = len(c.Types)
				c.Types = append(c.Types, p.Types[m])
			}
			c.Pools[i].Machines[j] = index[m]
		}
	}
	return c
}
