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
	"requests": true, "demand": true, "Demand": true, "owner": true, "labels": true, "tolerations": true, "id": true, "driver": true, "port": true, "weight": true, "term": true,
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
		for _, pods := range s.owners() {
			s.simplify(pods)
		}
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
			if key == "demand" {
				continue // one owner's pods ask for the same: simplify
			}
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

// owners are all pods by their owner.
func (s *shrinker) owners() map[string][]map[string]any {
	groups := map[string][]map[string]any{}
	add := func(in any) {
		pods, _ := in.(map[string]any)["Pods"].([]any)
		for _, p := range pods {
			pod := p.(map[string]any)
			owner := string(mustJSON(pod["owner"]))
			groups[owner] = append(groups[owner], pod)
		}
	}
	add(s.doc)
	nodes, _ := s.doc.(map[string]any)["Nodes"].([]any)
	for _, n := range nodes {
		add(n)
	}
	return groups
}

// simplify leaves out what it can of what the pods of an owner have in common.
func (s *shrinker) simplify(pods []map[string]any) {
	for _, field := range []string{"demand", "labels", "tolerations"} {
		for _, path := range paths(pods[0][field], nil) {
			var old []any
			for _, p := range pods {
				old = append(old, p[field])
				p[field] = without(p[field], path)
			}
			if !s.still() {
				for i, p := range pods {
					p[field] = old[i]
				}
			}
		}
	}
}

// paths lists all keys and indexes below a value, the last ones of a list first.
func paths(value any, above []any) (all [][]any) {
	step := func(key, v any) {
		path := append(slices.Clone(above), key)
		if name, ok := key.(string); !ok || !kept[name] {
			all = append(all, path)
		}
		if key != "values" {
			all = append(all, paths(v, path)...)
		}
	}
	switch v := value.(type) {
	case []any:
		for i := len(v) - 1; i >= 0; i-- {
			step(i, v[i])
		}
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			step(key, v[key])
		}
	}
	return all
}

// without is a copy of a value without what is at the end of the path.
func without(value any, path []any) any {
	switch v := value.(type) {
	case []any:
		i, ok := path[0].(int)
		if !ok || i >= len(v) {
			return v
		}
		v = slices.Clone(v)
		if len(path) == 1 {
			return slices.Delete(v, i, i+1)
		}
		v[i] = without(v[i], path[1:])
		return v
	case map[string]any:
		key, _ := path[0].(string)
		if _, ok := v[key]; !ok {
			return v
		}
		v = maps.Clone(v)
		if len(path) == 1 {
			delete(v, key)
			return v
		}
		v[key] = without(v[key], path[1:])
		return v
	}
	return value
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
