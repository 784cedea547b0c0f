package expr

import (
	"slices"
	"strings"

	"github.com/ekspedite/ekspedite/infra/local/dynamodb/item"
)

// Condition is a parsed condition or filter expression.
type Condition struct {
	root  node
	paths []Path
}

// Attributes lists the top-level attributes that the condition reads.
func (c *Condition) Attributes() []string { return topLevel(c.paths) }

func topLevel(paths []Path) []string {
	var out []string
	for _, p := range paths {
		if !slices.Contains(out, p[0].Name) {
			out = append(out, p[0].Name)
		}
	}
	return out
}

// Holds evaluates the condition; a nil item is one that does not exist.
func (c *Condition) Holds(it item.Item) bool { return c.root.holds(it) }

type node interface{ holds(item.Item) bool }

type (
	and     struct{ a, b node }
	or      struct{ a, b node }
	not     struct{ a node }
	compare struct {
		op   string
		a, b operand
	}
	between struct{ v, low, high operand }
	in      struct {
		v    operand
		list []operand
	}
	call struct {
		name string
		args []operand
	}
)

// operand is a path, a literal, or the size of one.
type operand struct {
	path    Path // nil for a literal
	literal item.Value
	size    bool
}

func (o operand) eval(it item.Item) (item.Value, bool) {
	v, ok := o.literal, true
	if o.path != nil {
		v, ok = o.path.get(it)
	}
	if !ok || !o.size {
		return v, ok
	}
	n, ok := v.Len()
	return item.Value{Kind: item.N, Num: item.FromInt(n)}, ok
}

func (n and) holds(it item.Item) bool { return n.a.holds(it) && n.b.holds(it) }
func (n or) holds(it item.Item) bool  { return n.a.holds(it) || n.b.holds(it) }
func (n not) holds(it item.Item) bool { return !n.a.holds(it) }

func (n compare) holds(it item.Item) bool {
	a, okA := n.a.eval(it)
	b, okB := n.b.eval(it)
	switch n.op {
	case "=":
		return okA && okB && item.Equal(a, b)
	case "<>": // an attribute that is not there is unequal to anything
		return !(okA && okB && item.Equal(a, b))
	}
	c, ok := item.Compare(a, b)
	if !okA || !okB || !ok {
		return false
	}
	switch n.op {
	case "<":
		return c < 0
	case "<=":
		return c <= 0
	case ">":
		return c > 0
	}
	return c >= 0
}

func (n between) holds(it item.Item) bool {
	return compare{">=", n.v, n.low}.holds(it) && compare{"<=", n.v, n.high}.holds(it)
}

func (n in) holds(it item.Item) bool {
	return slices.ContainsFunc(n.list, func(o operand) bool { return compare{"=", n.v, o}.holds(it) })
}

func (n call) holds(it item.Item) bool {
	v, ok := n.args[0].eval(it)
	switch n.name {
	case "attribute_exists":
		return ok
	case "attribute_not_exists":
		return !ok
	}
	w, okW := n.args[1].eval(it)
	if !ok || !okW {
		return false
	}
	switch n.name {
	case "attribute_type":
		return string(v.Kind) == w.Text
	case "begins_with":
		return v.Kind == w.Kind && (v.Kind == item.S || v.Kind == item.B) && strings.HasPrefix(v.Text, w.Text)
	}
	// contains
	switch v.Kind {
	case item.S, item.B:
		return v.Kind == w.Kind && strings.Contains(v.Text, w.Text)
	case item.L, item.SS, item.NS, item.BS:
		return slices.ContainsFunc(v.List, func(e item.Value) bool { return item.Equal(e, w) })
	}
	return false
}
