package expr

import (
	"slices"
	"strings"

	"github.com/ekspedite/ekspedite/infra/local/dynamodb/item"
)

// functions of conditions, and how many operands each takes.
var functions = map[string]int{
	"attribute_exists": 1, "attribute_not_exists": 1, "attribute_type": 2, "begins_with": 2, "contains": 2,
}

// Condition parses a condition. what is its parameter's name: "ConditionExpression", "FilterExpression".
func (e *Env) Condition(what, text string) (*Condition, error) {
	p, err := e.parser(what, text)
	if err != nil {
		return nil, err
	}
	c := &conditionParser{parser: p}
	root, err := c.disjunction()
	if err != nil {
		return nil, err
	}
	if err := p.finish(); err != nil {
		return nil, err
	}
	return &Condition{root, c.paths}, nil
}

type conditionParser struct {
	*parser
	paths []Path
}

func (p *conditionParser) disjunction() (node, error) {
	a, err := p.conjunction()
	for err == nil && p.keyword("OR") {
		p.next()
		var b node
		b, err = p.conjunction()
		a = or{a, b}
	}
	return a, err
}

func (p *conditionParser) conjunction() (node, error) {
	a, err := p.negation()
	for err == nil && p.keyword("AND") {
		p.next()
		var b node
		b, err = p.negation()
		a = and{a, b}
	}
	return a, err
}

func (p *conditionParser) negation() (node, error) {
	if p.keyword("NOT") {
		p.next()
		a, err := p.negation()
		return not{a}, err
	}
	if p.is("(") {
		return p.group()
	}
	return p.predicate()
}

func (p *conditionParser) group() (node, error) {
	open := p.at
	p.next()
	a, err := p.disjunction()
	if err != nil {
		return nil, err
	}
	inner := p.tokens[open+1].text == "(" && p.closes(open+1) == p.at-1
	if err := p.expect(")"); err != nil {
		return nil, err
	}
	if inner {
		return nil, p.fail("The expression has redundant parentheses;")
	}
	return a, nil
}

// closes finds the parenthesis that closes the one at i.
func (p *conditionParser) closes(i int) int {
	depth := 0
	for ; i < len(p.tokens); i++ {
		if p.tokens[i].kind != punct {
			continue
		}
		switch p.tokens[i].text {
		case "(":
			depth++
		case ")":
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return -1
}

func (p *conditionParser) predicate() (node, error) {
	if p.calls() && p.peek().text != "size" {
		return p.function()
	}
	a, err := p.operand()
	if err != nil {
		return nil, err
	}
	switch t := p.peek(); {
	case p.keyword("BETWEEN"):
		return p.between(a)
	case p.keyword("IN"):
		return p.in(a)
	case t.kind == punct && slices.Contains([]string{"=", "<>", "<", "<=", ">", ">="}, t.text):
		p.next()
		b, err := p.operand()
		if err != nil {
			return nil, err
		}
		if t.text != "=" && t.text != "<>" {
			if err := p.ordered(t.text, a, b); err != nil {
				return nil, err
			}
		}
		return compare{t.text, a, b}, p.differ(t.text, a, b)
	}
	return nil, p.unexpected()
}

func (p *conditionParser) differ(op string, a operand, rest ...operand) error {
	for _, b := range rest {
		if a.path != nil && !a.size && !b.size && slices.Equal(a.path, b.path) {
			return p.fail("The first operand must be distinct from the remaining operands for this operator or function; operator: %s, first operand: %s", op, a.path)
		}
	}
	return nil
}

func (p *conditionParser) operandType(op string, k item.Kind) error {
	return p.fail("Incorrect operand type for operator or function; operator or function: %s, operand type: %s", op, k)
}

// ordered fails if a literal is of a kind that has no order.
func (p *conditionParser) ordered(op string, operands ...operand) error {
	for _, o := range operands {
		if k := o.literal.Kind; o.path == nil && !o.size && k != item.S && k != item.N && k != item.B {
			return p.operandType(op, k)
		}
	}
	return nil
}

func (p *conditionParser) operand() (operand, error) {
	if p.calls() {
		name := p.next().text
		if name != "size" {
			if _, known := functions[name]; !known {
				return operand{}, p.fail("Invalid function name; function: %s", name)
			}
			return operand{}, p.fail("The function is not allowed to be used this way in an expression; function: %s", name)
		}
		args, err := p.arguments()
		if err != nil {
			return operand{}, err
		}
		if len(args) != 1 {
			return operand{}, p.count(name, len(args))
		}
		o := args[0]
		if o.size {
			return o, p.fail("The function is not allowed to be used this way in an expression; function: size")
		}
		if _, ok := o.literal.Len(); o.path == nil && !ok {
			return o, p.operandType("size", o.literal.Kind)
		}
		o.size = true
		return o, nil
	}
	if p.peek().kind == valueRef {
		v, err := p.value()
		return operand{literal: v}, err
	}
	path, err := p.path()
	p.paths = append(p.paths, path)
	return operand{path: path}, err
}

func (p *conditionParser) count(name string, n int) error {
	return p.fail("Incorrect number of operands for operator or function; operator or function: %s, number of operands: %d", name, n)
}

func (p *conditionParser) arguments() ([]operand, error) {
	if err := p.expect("("); err != nil {
		return nil, err
	}
	var out []operand
	for {
		o, err := p.operand()
		if err != nil {
			return nil, err
		}
		out = append(out, o)
		if p.is(",") {
			p.next()
			continue
		}
		return out, p.expect(")")
	}
}

func (p *conditionParser) function() (node, error) {
	name := p.peek().text
	want, known := functions[name]
	if !known {
		if name == "if_not_exists" || name == "list_append" {
			return nil, p.fail("The function is not allowed in a condition expression; function: %s", name)
		}
		return nil, p.fail("Invalid function name; function: %s", name)
	}
	p.next()
	args, err := p.arguments()
	if err != nil {
		return nil, err
	}
	if len(args) != want {
		return nil, p.count(name, len(args))
	}
	if err := p.checkCall(name, args); err != nil {
		return nil, err
	}
	return call{name, args}, p.differ(name, args[0], args[1:]...)
}

func (p *conditionParser) checkCall(name string, args []operand) error {
	if strings.HasPrefix(name, "attribute_") && (args[0].path == nil || args[0].size) {
		return p.fail("Operator or function requires a document path; operator or function: %s", name)
	}
	switch name {
	case "attribute_type":
		t := args[1]
		if t.path != nil || t.literal.Kind != item.S {
			return p.operandType(name, t.literal.Kind)
		}
		if !slices.Contains([]item.Kind{item.S, item.N, item.B, item.Bool, item.Null, item.M, item.L, item.SS, item.NS, item.BS}, item.Kind(t.literal.Text)) {
			return p.fail("Invalid attribute type name found; type: %s, valid types: {B,NULL,SS,BOOL,L,BS,N,NS,S,M}", t.literal.Text)
		}
	case "begins_with":
		for _, o := range args {
			if k := o.literal.Kind; o.path == nil && (o.size || k != item.S && k != item.B) {
				return p.operandType(name, k)
			}
		}
	}
	return nil
}

func (p *conditionParser) between(v operand) (node, error) {
	p.next()
	low, err := p.operand()
	if err != nil {
		return nil, err
	}
	if !p.keyword("AND") {
		return nil, p.unexpected()
	}
	p.next()
	high, err := p.operand()
	if err != nil {
		return nil, err
	}
	if err := p.ordered("BETWEEN", v, low, high); err != nil {
		return nil, err
	}
	if low.path == nil && high.path == nil && !low.size && !high.size {
		c, same := item.Compare(low.literal, high.literal)
		if !same {
			return nil, p.fail("The BETWEEN operator requires same data type for lower and upper bounds; lower bound operand: AttributeValue: %s, upper bound operand: AttributeValue: %s", low.literal, high.literal)
		}
		if c > 0 {
			return nil, p.fail("The BETWEEN operator requires upper bound to be greater than or equal to lower bound; lower bound operand: AttributeValue: %s, upper bound operand: AttributeValue: %s", low.literal, high.literal)
		}
	}
	return between{v, low, high}, p.differ("BETWEEN", v, low, high)
}

// maxIn is how many operands IN takes.
const maxIn = 100

func (p *conditionParser) in(v operand) (node, error) {
	p.next()
	list, err := p.arguments()
	if err != nil {
		return nil, err
	}
	if len(list) > maxIn {
		return nil, p.count("IN", len(list)+1)
	}
	return in{v, list}, p.differ("IN", v, list...)
}
