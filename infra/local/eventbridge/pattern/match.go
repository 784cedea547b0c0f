package pattern

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
)

// field is one scalar of an event and the array elements in which it lies.
type field struct {
	value any
	in    []place
}

// place is an element of an array. Conditions on several fields below one array must hold in the same element.
type place struct{ array, index int }

// Match tells whether an event, which must be a JSON object, matches the pattern.
func (p *Pattern) Match(event []byte) (bool, error) {
	d := json.NewDecoder(bytes.NewReader(event))
	d.UseNumber()
	var top map[string]any
	if err := d.Decode(&top); err != nil {
		return false, fmt.Errorf("the event is not a JSON object: %w", err)
	}
	if top == nil || d.More() {
		return false, errors.New("the event is not one JSON object")
	}
	f := flattener{fields: make([][]field, p.leaves)}
	f.object(top, p.root, nil)
	for _, a := range p.alternatives {
		if hold(a, f.fields, nil) {
			return true, nil
		}
	}
	return false, nil
}

type flattener struct {
	fields [][]field // by leaf
	arrays int
}

func (f *flattener) object(o map[string]any, n *node, in []place) {
	// By the pattern's names, of which there are few; an object in an event may be large.
	for name, child := range n.children {
		if v, ok := o[name]; ok {
			f.value(v, child, in)
		}
	}
}

func (f *flattener) value(v any, n *node, in []place) {
	switch v := v.(type) {
	case map[string]any:
		f.object(v, n, in)
	case []any:
		id := f.arrays
		f.arrays++
		for i, e := range v {
			switch e.(type) {
			case map[string]any, []any:
				f.value(e, n, append(slices.Clip(in), place{id, i}))
			default:
				f.value(e, n, in) // a scalar has no siblings to be consistent with
			}
		}
	default:
		if n.leaf >= 0 {
			f.fields[n.leaf] = append(f.fields[n.leaf], field{v, in})
		}
	}
}

// hold tells whether all conditions can hold with one choice of element per array, given the choices so far.
func hold(conditions []condition, fields [][]field, chosen []place) bool {
	if len(conditions) == 0 {
		return true
	}
	c, rest := conditions[0], conditions[1:]
	present := false
	for _, f := range fields[c.leaf] {
		next, ok := join(chosen, f.in)
		if !ok {
			continue
		}
		present = true
		if slices.ContainsFunc(c.matchers, func(m matcher) bool { return m.match(f.value) }) {
			if hold(rest, fields, next) {
				return true
			}
			if len(f.in) == 0 {
				return false // nothing was chosen here, so no other scalar can change the rest
			}
		}
	}
	return !present && slices.ContainsFunc(c.matchers, func(m matcher) bool { return m.absent }) && hold(rest, fields, chosen)
}

// join adds places to the chosen ones, unless an array would have two elements.
func join(chosen, in []place) ([]place, bool) {
	joined := chosen
	for _, p := range in {
		i := slices.IndexFunc(chosen, func(c place) bool { return c.array == p.array })
		if i < 0 {
			joined = append(slices.Clip(joined), p)
		} else if chosen[i].index != p.index {
			return nil, false
		}
	}
	return joined, true
}
