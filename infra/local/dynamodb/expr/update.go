package expr

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/ekspedite/ekspedite/infra/local/dynamodb/item"
)

// Update is a parsed update expression.
type Update struct {
	actions []action
	paths   []Path
}

// Attributes lists the top-level attributes that the update changes.
func (u *Update) Attributes() []string { return topLevel(u.paths) }

// Touched keeps the parts of an item that the update names: for UPDATED_OLD and UPDATED_NEW.
func (u *Update) Touched(it item.Item) item.Item {
	return project(it, u.paths)
}

type action struct {
	clause string // SET REMOVE ADD DELETE
	path   Path
	value  term // of SET
	arg    item.Value
}

// term is the right side of a SET: it reads the item as it was before the update.
type term interface {
	eval(item.Item) (item.Value, error)
}

type (
	literalTerm struct{ v item.Value }
	pathTerm    struct{ p Path }
	ifNotExists struct {
		p Path
		t term
	}
	listAppend struct{ a, b term }
	sum        struct {
		a, b  term
		minus bool
	}
)

var (
	errNoAttribute = &item.Invalid{Reason: "The provided expression refers to an attribute that does not exist in the item"}
	errType        = &item.Invalid{Reason: "An operand in the update expression has an incorrect data type"}
	errPath        = &item.Invalid{Reason: "The document path provided in the update expression is invalid for update"}
)

func (t literalTerm) eval(item.Item) (item.Value, error) { return t.v, nil }

func (t pathTerm) eval(it item.Item) (item.Value, error) {
	v, ok := t.p.get(it)
	if !ok {
		return v, errNoAttribute
	}
	return v, nil
}

func (t ifNotExists) eval(it item.Item) (item.Value, error) {
	if v, ok := t.p.get(it); ok {
		return v, nil
	}
	return t.t.eval(it)
}

func (t listAppend) eval(it item.Item) (item.Value, error) {
	a, err := t.a.eval(it)
	if err != nil {
		return a, err
	}
	b, err := t.b.eval(it)
	if err != nil {
		return b, err
	}
	if a.Kind != item.L || b.Kind != item.L {
		return a, errType
	}
	return item.Value{Kind: item.L, List: slices.Concat(a.List, b.List)}, nil
}

func (t sum) eval(it item.Item) (item.Value, error) {
	a, err := t.a.eval(it)
	if err != nil {
		return a, err
	}
	b, err := t.b.eval(it)
	if err != nil {
		return b, err
	}
	if a.Kind != item.N || b.Kind != item.N {
		return a, errType
	}
	n, err := a.Num.Add(b.Num)
	if t.minus {
		n, err = a.Num.Sub(b.Num)
	}
	if err != nil {
		return a, &item.Invalid{Reason: err.Error()}
	}
	return item.Value{Kind: item.N, Num: n}, nil
}

// Update parses an UpdateExpression.
func (e *Env) Update(text string) (*Update, error) {
	p, err := e.parser("UpdateExpression", text)
	if err != nil {
		return nil, err
	}
	u := &Update{}
	seen := map[string]bool{}
	for p.peek().kind != end {
		clause := strings.ToUpper(p.peek().text)
		if p.peek().kind != word || !slices.Contains([]string{"SET", "REMOVE", "ADD", "DELETE"}, clause) {
			return nil, p.unexpected()
		}
		if seen[clause] {
			return nil, p.fail("The %q section can only be used once in an update expression;", clause)
		}
		seen[clause] = true
		p.next()
		for {
			a, err := p.action(clause)
			if err != nil {
				return nil, err
			}
			u.actions, u.paths = append(u.actions, a), append(u.paths, a.path)
			if !p.is(",") {
				break
			}
			p.next()
		}
	}
	return u, p.distinct(u.paths)
}

func (p *parser) action(clause string) (action, error) {
	path, err := p.path()
	a := action{clause: clause, path: path}
	if err != nil || clause == "REMOVE" {
		return a, err
	}
	if clause == "SET" {
		if err := p.expect("="); err != nil {
			return a, err
		}
		a.value, err = p.sum()
		return a, err
	}
	if p.peek().kind != valueRef {
		return a, p.unexpected()
	}
	if a.arg, err = p.value(); err != nil {
		return a, err
	}
	if a.arg.Kind.Element() == "" && (clause == "DELETE" || a.arg.Kind != item.N) {
		return a, p.fail("Incorrect operand type for operator or function; operator: %s, operand type: %s", clause, typeName(a.arg.Kind))
	}
	return a, nil
}

// typeName is how DynamoDB calls kinds in this one message.
func typeName(k item.Kind) string {
	return map[item.Kind]string{item.S: "STRING", item.N: "NUMBER", item.B: "BINARY", item.Bool: "BOOLEAN", item.Null: "NULL", item.M: "MAP", item.L: "LIST"}[k]
}

func (p *parser) sum() (term, error) {
	a, err := p.term()
	if err != nil || !p.is("+") && !p.is("-") {
		return a, err
	}
	op := p.next().text
	b, err := p.term()
	if err != nil {
		return nil, err
	}
	for _, t := range []term{a, b} {
		if l, ok := t.(literalTerm); ok && l.v.Kind != item.N {
			return nil, p.fail("Incorrect operand type for operator or function; operator or function: %s, operand type: %s", op, l.v.Kind)
		}
	}
	return sum{a, b, op == "-"}, nil
}

func (p *parser) term() (term, error) {
	switch {
	case p.is("("):
		p.next()
		t, err := p.sum()
		if err != nil {
			return nil, err
		}
		return t, p.expect(")")
	case p.peek().kind == valueRef:
		v, err := p.value()
		return literalTerm{v}, err
	case p.calls():
		return p.updateFunction()
	}
	path, err := p.path()
	return pathTerm{path}, err
}

func (p *parser) updateFunction() (term, error) {
	name := p.next().text
	if name != "if_not_exists" && name != "list_append" {
		if _, condition := functions[name]; condition || name == "size" {
			return nil, p.fail("The function is not allowed in an update expression; function: %s", name)
		}
		return nil, p.fail("Invalid function name; function: %s", name)
	}
	p.next()
	a, err := p.sum()
	if err != nil {
		return nil, err
	}
	if p.is(")") {
		return nil, p.fail("Incorrect number of operands for operator or function; operator or function: %s, number of operands: 1", name)
	}
	if err := p.expect(","); err != nil {
		return nil, err
	}
	b, err := p.sum()
	if err != nil {
		return nil, err
	}
	if err := p.expect(")"); err != nil {
		return nil, err
	}
	if name == "if_not_exists" {
		path, ok := a.(pathTerm)
		if !ok {
			return nil, p.fail("Operator or function requires a document path; operator or function: if_not_exists")
		}
		return ifNotExists{path.p, b}, nil
	}
	for _, t := range []term{a, b} {
		if l, ok := t.(literalTerm); ok && l.v.Kind != item.L {
			return nil, p.fail("Incorrect operand type for operator or function; operator or function: list_append, operand type: %s", l.v.Kind)
		}
	}
	return listAppend{a, b}, nil
}

// Apply makes the updated item. The item given is not changed.
func (u *Update) Apply(it item.Item) (item.Item, error) {
	root := item.Value{Kind: item.M, Map: maps.Clone(it)}
	if root.Map == nil {
		root.Map = item.Item{}
	}
	var removed []Path
	for _, a := range u.actions {
		old, exists := a.path.get(it)
		var v item.Value
		var err error
		switch a.clause {
		case "SET":
			v, err = a.value.eval(it)
		case "ADD":
			v, err = added(old, exists, a.arg)
		case "DELETE":
			var left bool
			if v, left, err = subtracted(old, exists, a.arg); err == nil && !left {
				if exists {
					removed = append(removed, a.path)
				}
				continue
			}
		case "REMOVE":
			if len(a.path) > 1 {
				if _, ok := a.path[:len(a.path)-1].get(it); !ok {
					return nil, errPath
				}
			}
			if exists {
				removed = append(removed, a.path)
			}
			continue
		}
		if err != nil {
			return nil, err
		}
		if root, err = set(root, a.path, v); err != nil {
			return nil, err
		}
	}
	// Indexes mean the list as it was: what lies deeper goes first, then elements from the last to the first.
	slices.SortStableFunc(removed, func(a, b Path) int {
		return cmp.Or(len(b)-len(a), b[len(b)-1].Index-a[len(a)-1].Index)
	})
	for _, p := range removed {
		root = without(root, p)
	}
	return root.Map, nil
}

func added(old item.Value, exists bool, arg item.Value) (item.Value, error) {
	if !exists {
		return arg, nil
	}
	if old.Kind != arg.Kind {
		return old, errType
	}
	if arg.Kind == item.N {
		return sum{a: literalTerm{old}, b: literalTerm{arg}}.eval(nil)
	}
	v, _ := item.Set(arg.Kind, slices.Concat(old.List, arg.List))
	return v, nil
}

// subtracted takes a set's elements away; left is false when none remain.
func subtracted(old item.Value, exists bool, arg item.Value) (v item.Value, left bool, err error) {
	if !exists {
		return old, false, nil
	}
	if old.Kind != arg.Kind {
		return old, false, errType
	}
	rest := slices.DeleteFunc(slices.Clone(old.List), func(e item.Value) bool {
		return slices.ContainsFunc(arg.List, func(x item.Value) bool { return item.Equal(e, x) })
	})
	return item.Value{Kind: old.Kind, List: rest}, len(rest) > 0, nil
}

// set copies what lies on the path, and puts v at its end. An index past a list's end appends.
func set(in item.Value, p Path, v item.Value) (item.Value, error) {
	if len(p) == 0 {
		return v, nil
	}
	s := p[0]
	if s.Name != "" && in.Kind != item.M || s.Name == "" && in.Kind != item.L {
		return in, errPath
	}
	child, ok := s.in(in)
	if !ok && len(p) > 1 {
		return in, errPath
	}
	child, err := set(child, p[1:], v)
	if err != nil {
		return in, err
	}
	if s.Name != "" {
		m := maps.Clone(in.Map)
		if m == nil {
			m = item.Item{}
		}
		m[s.Name] = child
		return item.Value{Kind: item.M, Map: m}, nil
	}
	l := slices.Clone(in.List)
	if s.Index < len(l) {
		l[s.Index] = child
	} else {
		l = append(l, child)
	}
	return item.Value{Kind: item.L, List: l}, nil
}

func without(in item.Value, p Path) item.Value {
	child, ok := p[0].in(in)
	if !ok {
		return in
	}
	if len(p) > 1 {
		out, err := set(in, p[:1], without(child, p[1:]))
		if err != nil {
			panic("a child that is there can be set: " + err.Error())
		}
		return out
	}
	if p[0].Name != "" {
		m := maps.Clone(in.Map)
		delete(m, p[0].Name)
		return item.Value{Kind: item.M, Map: m}
	}
	return item.Value{Kind: item.L, List: slices.Delete(slices.Clone(in.List), p[0].Index, p[0].Index+1)}
}
