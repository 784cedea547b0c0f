package expr

import (
	"slices"
	"strconv"
	"strings"

	"github.com/ekspedite/ekspedite/infra/local/dynamodb/item"
)

// Env is a request's placeholders. It notes which of them its expressions use.
type Env struct {
	names      map[string]string
	values     item.Item
	usedNames  map[string]bool
	usedValues map[string]bool
}

// NewEnv makes an Env of ExpressionAttributeNames and ExpressionAttributeValues.
func NewEnv(names map[string]string, values item.Item) (*Env, error) {
	for k, v := range names {
		if !placeholder(k, '#') {
			return nil, invalid("ExpressionAttributeNames contains invalid key: Syntax error; key: %q", k)
		}
		if v == "" {
			return nil, invalid("ExpressionAttributeNames contains invalid value: Empty attribute name for key %s", k)
		}
	}
	for k := range values {
		if !placeholder(k, ':') {
			return nil, invalid("ExpressionAttributeValues contains invalid key: Syntax error; key: %q", k)
		}
	}
	return &Env{names: names, values: values, usedNames: map[string]bool{}, usedValues: map[string]bool{}}, nil
}

func placeholder(k string, mark byte) bool {
	if len(k) < 2 || k[0] != mark {
		return false
	}
	for i := range len(k) - 1 {
		if !letter(k[i+1], true) {
			return false
		}
	}
	return true
}

// Unused is DynamoDB's error for placeholders that no expression uses.
func (e *Env) Unused() error {
	left := func(used map[string]bool, all []string) string {
		all = slices.DeleteFunc(all, func(k string) bool { return used[k] })
		slices.Sort(all)
		return strings.Join(all, ", ")
	}
	var names []string
	for k := range e.names {
		names = append(names, k)
	}
	if l := left(e.usedNames, names); l != "" {
		return invalid("Value provided in ExpressionAttributeNames unused in expressions: keys: {%s}", l)
	}
	if l := left(e.usedValues, e.values.Names()); l != "" {
		return invalid("Value provided in ExpressionAttributeValues unused in expressions: keys: {%s}", l)
	}
	return nil
}

// Step is one step of a path: a name, or an index if Name is empty.
type Step struct {
	Name  string
	Index int
}

// Path is a document path.
type Path []Step

func (p Path) String() string {
	var parts []string
	for _, s := range p {
		if s.Name == "" {
			parts = append(parts, "["+strconv.Itoa(s.Index)+"]")
		} else {
			parts = append(parts, s.Name)
		}
	}
	return "[" + strings.Join(parts, ", ") + "]"
}

type parser struct {
	env    *Env
	what   string
	tokens []token
	at     int
}

func (e *Env) parser(what, text string) (*parser, error) {
	tokens, err := lex(what, text)
	return &parser{env: e, what: what, tokens: tokens}, err
}

func (p *parser) peek() token { return p.tokens[p.at] }

func (p *parser) next() token {
	t := p.tokens[p.at]
	if t.kind != end {
		p.at++
	}
	return t
}

func (p *parser) is(text string) bool {
	t := p.peek()
	return t.kind == punct && t.text == text
}

// keyword compares without case; keywords are not reserved in that sense, but no attribute can be called so.
func (p *parser) keyword(k string) bool {
	t := p.peek()
	return t.kind == word && strings.EqualFold(t.text, k)
}

func (p *parser) expect(text string) error {
	if !p.is(text) {
		return p.unexpected()
	}
	p.next()
	return nil
}

func (p *parser) unexpected() error {
	var near []string
	for _, t := range p.tokens[max(0, p.at-1):min(len(p.tokens), p.at+2)] {
		if t.kind != end {
			near = append(near, t.text)
		}
	}
	return syntax(p.what, p.peek().text, strings.Join(near, " "))
}

func (p *parser) fail(format string, args ...any) error {
	return invalid("Invalid "+p.what+": "+format, args...)
}

// calls tells whether a function call stands here.
func (p *parser) calls() bool {
	return p.peek().kind == word && p.tokens[p.at+1].kind == punct && p.tokens[p.at+1].text == "("
}

func (p *parser) path() (Path, error) {
	var out Path
	for {
		s, err := p.name()
		if err != nil {
			return nil, err
		}
		out = append(out, Step{Name: s})
		for p.is("[") {
			p.next()
			t := p.next()
			n, err := strconv.Atoi(t.text)
			if t.kind != number || err != nil {
				return nil, syntax(p.what, t.text, "["+t.text)
			}
			if err := p.expect("]"); err != nil {
				return nil, err
			}
			out = append(out, Step{Index: n})
		}
		if len(out) > item.MaxDepth {
			return nil, p.fail("The document path has too many nesting elements; nesting levels: %d", len(out))
		}
		if !p.is(".") {
			return out, nil
		}
		p.next()
	}
}

func (p *parser) name() (string, error) {
	t := p.peek()
	switch t.kind {
	case nameRef:
		p.next()
		n, ok := p.env.names[t.text]
		if !ok {
			return "", p.fail("An expression attribute name used in the document path is not defined; attribute name: %s", t.text)
		}
		p.env.usedNames[t.text] = true
		return n, nil
	case word:
		if reserved()[strings.ToUpper(t.text)] {
			return "", p.fail("Attribute name is a reserved keyword; reserved keyword: %s", t.text)
		}
		p.next()
		return t.text, nil
	}
	return "", p.unexpected()
}

func (p *parser) value() (item.Value, error) {
	t := p.next()
	v, ok := p.env.values[t.text]
	if !ok {
		return v, p.fail("An expression attribute value used in expression is not defined; attribute value: %s", t.text)
	}
	p.env.usedValues[t.text] = true
	return v, nil
}

// finish sees to it that the whole expression was read.
func (p *parser) finish() error {
	if p.peek().kind != end {
		return p.unexpected()
	}
	return nil
}

// get finds a path's value in an item.
func (p Path) get(it item.Item) (item.Value, bool) {
	v, ok := it[p[0].Name]
	for _, s := range p[1:] {
		if !ok {
			return v, false
		}
		v, ok = s.in(v)
	}
	return v, ok
}

func (s Step) in(v item.Value) (item.Value, bool) {
	if s.Name != "" {
		e, ok := v.Map[s.Name] // nil for what is not a map
		return e, ok
	}
	if v.Kind != item.L || s.Index >= len(v.List) {
		return item.Value{}, false
	}
	return v.List[s.Index], true
}

// distinct fails if one path is another's beginning, or if they disagree on whether something is a map or a list.
func (p *parser) distinct(paths []Path) error {
	for i, a := range paths {
		for _, b := range paths[:i] {
			n := min(len(a), len(b))
			d := 0
			for d < n && a[d] == b[d] {
				d++
			}
			if d == n {
				return p.fail("Two document paths overlap with each other; must remove or rewrite one of these paths; path one: %s, path two: %s", b, a)
			}
			if (a[d].Name == "") != (b[d].Name == "") {
				return p.fail("Two document paths conflict with each other; must remove or rewrite one of these paths; path one: %s, path two: %s", b, a)
			}
		}
	}
	return nil
}
