package stack

import (
	"fmt"
	"reflect"
)

// condition evaluates an expression of the Conditions section.
func (s *scope) condition(v any) (bool, error) {
	m, ok := v.(map[string]any)
	if ok && len(m) == 1 {
		if name, ok := m["Condition"].(string); ok {
			return s.named(name)
		}
		r, err := s.resolve(v)
		if err != nil {
			return false, err
		}
		if b, ok := r.(bool); ok {
			return b, nil
		}
	}
	return false, fmt.Errorf("%v is not a condition", v)
}

// named evaluates a condition of the template once. A condition that asks for itself is an error.
func (s *scope) named(name string) (bool, error) {
	if v, ok := s.conditions[name]; ok {
		return v, nil
	}
	expr, ok := s.doc.Conditions[name]
	if !ok {
		return false, fmt.Errorf("there is no condition %s", name)
	}
	delete(s.doc.Conditions, name)
	v, err := s.condition(expr)
	s.doc.Conditions[name] = expr
	if err != nil {
		return false, fmt.Errorf("condition %s: %w", name, err)
	}
	s.conditions[name] = v
	return v, nil
}

func (s *scope) ifThen(arg any) (any, error) {
	l, err := s.list(arg, 3, 3)
	if err != nil {
		return nil, err
	}
	name, ok := l[0].(string)
	if !ok {
		return nil, fmt.Errorf("%v is not the name of a condition", l[0])
	}
	yes, err := s.named(name)
	if err != nil {
		return nil, err
	}
	if yes {
		return s.resolve(l[1])
	}
	return s.resolve(l[2])
}

func (s *scope) equals(arg any) (any, error) {
	l, err := s.list(arg, 2, 2)
	if err != nil {
		return nil, err
	}
	a, err := s.resolve(l[0])
	if err != nil {
		return nil, err
	}
	b, err := s.resolve(l[1])
	if err != nil {
		return nil, err
	}
	if x, err := scalar(a); err == nil {
		if y, err := scalar(b); err == nil {
			return x == y, nil
		}
	}
	return reflect.DeepEqual(a, b), nil
}

func (s *scope) and(arg any) (any, error) {
	return s.count(arg, func(yes, all int) bool { return yes == all })
}
func (s *scope) or(arg any) (any, error) {
	return s.count(arg, func(yes, _ int) bool { return yes > 0 })
}

func (s *scope) count(arg any, verdict func(yes, all int) bool) (any, error) {
	l, err := s.list(arg, 2, 10)
	if err != nil {
		return nil, err
	}
	yes := 0
	for _, e := range l {
		v, err := s.condition(e)
		if err != nil {
			return nil, err
		}
		if v {
			yes++
		}
	}
	return verdict(yes, len(l)), nil
}

func (s *scope) not(arg any) (any, error) {
	l, err := s.list(arg, 1, 1)
	if err != nil {
		return nil, err
	}
	v, err := s.condition(l[0])
	return !v, err
}
