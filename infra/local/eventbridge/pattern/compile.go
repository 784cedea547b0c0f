// Package pattern compiles and matches EventBridge event patterns.
//
// It follows AWS's documentation and, where that is silent (arrays of objects, exists: false inside arrays, the order
// of numeric bounds), the behaviour of AWS's own event-ruler library, which EventBridge runs.
package pattern

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// maxCombinations is AWS's limit on what the $or's of one pattern may multiply to.
const maxCombinations = 1000

// Pattern is a compiled event pattern. It is immutable and safe for concurrent use.
type Pattern struct {
	root *node
	// alternatives is the pattern with every $or multiplied out: one of them must hold, with all its conditions.
	alternatives [][]condition
	leaves       int
}

// node is a step in the tree of field names that the pattern mentions; what lies beside it in an event is skipped.
type node struct {
	children map[string]*node
	leaf     int // index of the field's values while matching; -1 for a mere parent
}

// condition wants one of the matchers to accept one value of a field.
type condition struct {
	path     string
	leaf     int
	matchers []matcher
}

// Compile reads a pattern. The error is a reason in the words of EventBridge's InvalidEventPatternException.
func Compile(pattern []byte) (*Pattern, error) {
	if !json.Valid(pattern) {
		return nil, reason("the pattern is not valid JSON: %w", json.Unmarshal(pattern, new(any)))
	}
	d := json.NewDecoder(bytes.NewReader(pattern))
	d.UseNumber()
	top, ok := readValue(d).(object)
	if !ok {
		return nil, reason("Filter is not an object")
	}
	c := compiler{p: &Pattern{root: newNode()}}
	alternatives, err := c.object(top, nil, [][]condition{nil}, false)
	if err != nil {
		return nil, err
	}
	for _, a := range alternatives {
		slices.SortFunc(a, func(x, y condition) int { return strings.Compare(x.path, y.path) })
	}
	c.p.alternatives = alternatives
	return c.p, nil
}

// reason is an error in EventBridge's own words, capitals and full stops included, since customers compare them.
func reason(format string, args ...any) error { return fmt.Errorf(format, args...) }

func newNode() *node { return &node{children: map[string]*node{}, leaf: -1} }

// object keeps the order of the members and their duplicates, which a Go map would lose.
type object []member

type member struct {
	name  string
	value any
}

// readValue reads one value of a document that is known to be valid, so that no token can fail.
func readValue(d *json.Decoder) any {
	t, _ := d.Token()
	switch t {
	case json.Delim('{'):
		o := object{}
		for d.More() {
			k, _ := d.Token()
			o = append(o, member{k.(string), readValue(d)})
		}
		_, _ = d.Token()
		return o
	case json.Delim('['):
		l := []any{}
		for d.More() {
			l = append(l, readValue(d))
		}
		_, _ = d.Token()
		return l
	}
	return t
}

type compiler struct{ p *Pattern }

// object adds the conditions of o, which lies at path, to each of the alternatives.
func (c *compiler) object(o object, path []string, alternatives [][]condition, inOr bool) ([][]condition, error) {
	if len(o) == 0 {
		return nil, reason("Empty objects are not allowed")
	}
	for _, m := range o {
		var err error
		if m.name == "$or" {
			alternatives, err = c.or(m.value, path, alternatives)
			if err != nil {
				return nil, err
			}
			continue
		}
		if inOr && operators[m.name] {
			return nil, reason("%s is Ruler reserved fieldName which cannot be used inside $or.", m.name)
		}
		at := append(slices.Clone(path), m.name)
		switch v := m.value.(type) {
		case object:
			alternatives, err = c.object(v, at, alternatives, inOr)
		case []any:
			err = c.leaf(v, at, alternatives)
		default:
			err = reason("%q must be an object or an array", m.name)
		}
		if err != nil {
			return nil, err
		}
	}
	return alternatives, nil
}

func (c *compiler) or(v any, path []string, alternatives [][]condition) ([][]condition, error) {
	list, ok := v.([]any)
	if !ok {
		return nil, reason("It must be an Array followed with $or.")
	}
	if len(list) < 2 {
		return nil, reason("There must have at least 2 Objects in $or relationship.")
	}
	var all [][]condition
	for _, e := range list {
		o, ok := e.(object)
		if !ok {
			return nil, reason("Only JSON object is allowed in array of $or relationship.")
		}
		branch := make([][]condition, len(alternatives))
		for i, a := range alternatives {
			branch[i] = slices.Clone(a)
		}
		branch, err := c.object(o, path, branch, true)
		if err != nil {
			return nil, err
		}
		if all = append(all, branch...); len(all) > maxCombinations {
			return nil, reason("the $or relationships result in more than %d rule combinations", maxCombinations)
		}
	}
	return all, nil
}

func (c *compiler) leaf(list []any, path []string, alternatives [][]condition) error {
	if len(list) == 0 {
		return reason("Empty arrays are not allowed")
	}
	cond := condition{path: strings.Join(path, "."), leaf: c.index(path)}
	for _, v := range list {
		m, err := compileValue(v)
		if err != nil {
			return err
		}
		cond.matchers = append(cond.matchers, m)
	}
	for i, a := range alternatives {
		if slices.ContainsFunc(a, func(o condition) bool { return o.leaf == cond.leaf }) {
			return reason("Path `%s` cannot be allowed multiple times", cond.path)
		}
		alternatives[i] = append(a, cond)
	}
	return nil
}

// index finds or makes the leaf at path.
func (c *compiler) index(path []string) int {
	n := c.p.root
	for _, step := range path {
		next := n.children[step]
		if next == nil {
			next = newNode()
			n.children[step] = next
		}
		n = next
	}
	if n.leaf < 0 {
		n.leaf = c.p.leaves
		c.p.leaves++
	}
	return n.leaf
}
