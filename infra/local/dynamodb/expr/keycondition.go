package expr

import (
	"slices"

	"github.com/ekspedite/ekspedite/infra/local/dynamodb/item"
)

// KeyTerm is one condition of a key condition.
type KeyTerm struct {
	Attribute string
	Op        string // = < <= > >= BETWEEN begins_with
	Values    []item.Value
}

// KeyCondition parses a KeyConditionExpression: at most one condition for each of two attributes.
func (e *Env) KeyCondition(text string) ([]KeyTerm, error) {
	const what = "KeyConditionExpression"
	c, err := e.Condition(what, text)
	if err != nil {
		return nil, err
	}
	var out []KeyTerm
	var walk func(n node) error
	add := func(o operand, op string, values ...operand) error {
		if o.path == nil && len(values) == 1 && values[0].path != nil { // :v = key
			o, values[0] = values[0], o
			if m, ok := map[string]string{"<": ">", ">": "<", "<=": ">=", ">=": "<="}[op]; ok {
				op = m
			}
		}
		if o.path == nil || o.size {
			return invalid("Invalid %s: Invalid condition in %s: no key attribute specified", what, what)
		}
		if len(o.path) > 1 {
			return invalid("Invalid %s: KeyConditionExpressions cannot have conditions on nested attributes", what)
		}
		t := KeyTerm{Attribute: o.path[0].Name, Op: op}
		for _, v := range values {
			if v.path != nil || v.size {
				return invalid("Invalid %s: Invalid condition in %s: Multiple attribute names used in one condition", what, what)
			}
			t.Values = append(t.Values, v.literal)
		}
		if slices.ContainsFunc(out, func(k KeyTerm) bool { return k.Attribute == t.Attribute }) {
			return invalid("%ss must only contain one condition per key", what)
		}
		out = append(out, t)
		return nil
	}
	walk = func(n node) error {
		switch n := n.(type) {
		case and:
			if err := walk(n.a); err != nil {
				return err
			}
			return walk(n.b)
		case compare:
			if n.op != "<>" {
				return add(n.a, n.op, n.b)
			}
			return invalid("Unsupported operator on %s: operator: %s", what, n.op)
		case between:
			return add(n.v, "BETWEEN", n.low, n.high)
		case call:
			if n.name == "begins_with" {
				return add(n.args[0], n.name, n.args[1])
			}
			return invalid("Invalid operator used in %s: %s", what, n.name)
		case or:
			return invalid("Invalid operator used in %s: OR", what)
		case not:
			return invalid("Invalid operator used in %s: NOT", what)
		}
		return invalid("Invalid operator used in %s: IN", what)
	}
	if err := walk(c.root); err != nil {
		return nil, err
	}
	return out, nil
}

// Matches tests a key attribute's value.
func (t KeyTerm) Matches(v item.Value) bool {
	it := item.Item{t.Attribute: v}
	key := operand{path: Path{{Name: t.Attribute}}}
	literal := func(i int) operand { return operand{literal: t.Values[i]} }
	switch t.Op {
	case "BETWEEN":
		return between{key, literal(0), literal(1)}.holds(it)
	case "begins_with":
		return call{"begins_with", []operand{key, literal(0)}}.holds(it)
	}
	return compare{t.Op, key, literal(0)}.holds(it)
}
