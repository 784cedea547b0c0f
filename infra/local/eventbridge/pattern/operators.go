package pattern

import (
	"encoding/json"
	"net/netip"
	"slices"
	"strings"
)

// matcher accepts or refuses one scalar of an event: string, json.Number, bool or nil. An absent matcher accepts that
// there is no value at all.
type matcher struct {
	absent bool
	match  func(v any) bool
}

// operators are the names that a $or branch may not use as fields.
var operators = map[string]bool{
	"exactly": true, "prefix": true, "suffix": true, "anything-but": true, "equals-ignore-case": true,
	"numeric": true, "cidr": true, "exists": true, "wildcard": true,
}

// maxNumber bounds what EventBridge compares numerically: from -5.0e9 to +5.0e9 inclusive.
const maxNumber = 5e9

func compileValue(v any) (matcher, error) {
	switch v := v.(type) {
	case object:
		return compileOperator(v)
	case []any:
		return matcher{}, reason("Match value must be String, number, true, false, or null")
	default:
		// Numbers are compared by their text, as AWS documents: 300, 300.0 and 3.0e2 are not equal.
		return matcher{match: func(got any) bool { return got == v }}, nil
	}
}

func compileOperator(o object) (matcher, error) {
	if len(o) == 0 {
		return matcher{}, reason("Match expression name not found")
	}
	if len(o) > 1 {
		return matcher{}, reason("Only one key allowed in match expression")
	}
	name, arg := o[0].name, o[0].value
	switch name {
	case "exists":
		want, ok := arg.(bool)
		if !ok {
			return matcher{}, reason("exists match pattern must be either true or false.")
		}
		return matcher{absent: !want, match: func(any) bool { return want }}, nil
	case "numeric":
		f, err := compileNumeric(arg)
		return matcher{match: f}, err
	case "cidr":
		f, err := compileCIDR(arg)
		return matcher{match: f}, err
	case "anything-but":
		f, err := compileAnythingBut(arg)
		return matcher{match: f}, err
	case "prefix", "suffix":
		if inner, ok := arg.(object); ok {
			f, err := compileFolded(name, inner)
			return matcher{match: f}, err
		}
	case "exactly", "equals-ignore-case", "wildcard":
	default:
		return matcher{}, reason("Unrecognized match type %s", name)
	}
	f, err := compileText(name, arg)
	return matcher{match: f}, err
}

// compileText makes a matcher of strings out of an operator whose argument is a string.
func compileText(name string, arg any) (func(any) bool, error) {
	want, ok := arg.(string)
	if !ok {
		return nil, reason("%s match pattern must be a string", name)
	}
	var f func(string) bool
	switch name {
	case "exactly":
		f = func(s string) bool { return s == want }
	case "prefix":
		f = func(s string) bool { return strings.HasPrefix(s, want) }
	case "suffix":
		f = func(s string) bool { return strings.HasSuffix(s, want) }
	case "equals-ignore-case":
		want = fold(want)
		f = func(s string) bool { return fold(s) == want }
	case "wildcard":
		parts, err := parseWildcard(want)
		if err != nil {
			return nil, err
		}
		f = func(s string) bool { return matchWildcard(parts, s) }
	}
	return func(v any) bool {
		s, ok := v.(string)
		return ok && f(s)
	}, nil
}

// compileFolded is {"prefix": {"equals-ignore-case": …}} and its suffix twin.
func compileFolded(name string, o object) (func(any) bool, error) {
	if len(o) != 1 {
		return nil, reason("Only one key allowed in match expression")
	}
	if o[0].name != "equals-ignore-case" {
		return nil, reason("Unsupported %s pattern: %s", name, o[0].name)
	}
	want, ok := o[0].value.(string)
	if !ok {
		return nil, reason("equals-ignore-case match pattern must be a string")
	}
	has := strings.HasPrefix
	if name == "suffix" {
		has = strings.HasSuffix
	}
	want = fold(want)
	return func(v any) bool {
		s, ok := v.(string)
		return ok && has(fold(s), want)
	}, nil
}

// fold makes strings that differ only in case equal. Upper before lower brings ß-like one-way letters together.
func fold(s string) string { return strings.ToLower(strings.ToUpper(s)) }

// compileAnythingBut accepts every value, of any type, that the inner matchers refuse.
func compileAnythingBut(arg any) (func(any) bool, error) {
	var refused []func(any) bool
	if o, ok := arg.(object); ok {
		if len(o) != 1 {
			return nil, reason("Only one key allowed in match expression")
		}
		op := o[0].name
		if !slices.Contains([]string{"prefix", "suffix", "equals-ignore-case", "wildcard"}, op) {
			return nil, reason("Unsupported anything-but pattern: %s", op)
		}
		for _, v := range asList(o[0].value) {
			if s, ok := v.(string); ok && s == "" && (op == "prefix" || op == "suffix") {
				return nil, reason("Null prefix/suffix not allowed")
			}
			f, err := compileText(op, v)
			if err != nil {
				return nil, err
			}
			refused = append(refused, f)
		}
	} else {
		strs, nums := 0, 0
		for _, v := range asList(arg) {
			switch v := v.(type) {
			case string:
				strs++
				refused = append(refused, func(got any) bool { return got == v })
			case json.Number:
				nums++
				want, err := number(v)
				if err != nil {
					return nil, err
				}
				refused = append(refused, numeric(func(n float64) bool { return n == want }))
			default:
				return nil, reason("Inside anything but list, start|null|boolean is not supported.")
			}
		}
		if strs > 0 && nums > 0 {
			return nil, reason("Inside anything but list, either all values are number or string, mixed type is not supported")
		}
	}
	if len(refused) == 0 {
		return nil, reason("Inside anything but list, at least one value is needed")
	}
	return func(v any) bool {
		return !slices.ContainsFunc(refused, func(f func(any) bool) bool { return f(v) })
	}, nil
}

func asList(v any) []any {
	if l, ok := v.([]any); ok {
		return l
	}
	return []any{v}
}

func number(n json.Number) (float64, error) {
	f, err := n.Float64()
	if err != nil || f < -maxNumber || f > maxNumber {
		return 0, reason("Value must be between -5.0e9 and +5.0e9, inclusive: %s", n)
	}
	return f, nil
}

func numeric(f func(float64) bool) func(any) bool {
	return func(v any) bool {
		n, ok := v.(json.Number)
		if !ok {
			return false
		}
		x, err := number(n)
		return err == nil && f(x)
	}
}

// compileNumeric reads ["=", n], ["<", n] or a range, whose lower bound comes first: [">", 0, "<=", 5].
func compileNumeric(arg any) (func(any) bool, error) {
	list, ok := arg.([]any)
	if !ok {
		return nil, reason("Value of numeric must be an array.")
	}
	if len(list) == 0 {
		return nil, reason("Invalid member in numeric match: ]")
	}
	var tests []func(float64) bool
	var bounds []float64
	for i := 0; i < len(list); i += 2 {
		op, ok := list[i].(string)
		if !ok {
			return nil, reason("Invalid member in numeric match: %v", list[i])
		}
		if i == 2 && !(strings.HasPrefix(list[0].(string), ">") && strings.HasPrefix(op, "<")) || i > 2 {
			return nil, reason("Too many terms in numeric range expression: a range is a lower bound (> or >=) and then an upper one (< or <=)")
		}
		if !slices.Contains([]string{"=", "<", "<=", ">", ">="}, op) {
			return nil, reason("Unrecognized numeric range operator: %s", op)
		}
		var n json.Number
		if i+1 < len(list) {
			n, ok = list[i+1].(json.Number)
		}
		if i+1 >= len(list) || !ok {
			return nil, reason("Value of %s must be numeric", op)
		}
		want, err := number(n)
		if err != nil {
			return nil, err
		}
		bounds = append(bounds, want)
		tests = append(tests, compare(op, want))
	}
	if len(bounds) == 2 && bounds[0] >= bounds[1] {
		return nil, reason("Bottom must be less than top")
	}
	return numeric(func(x float64) bool {
		for _, t := range tests {
			if !t(x) {
				return false
			}
		}
		return true
	}), nil
}

func compare(op string, want float64) func(float64) bool {
	switch op {
	case "<":
		return func(x float64) bool { return x < want }
	case "<=":
		return func(x float64) bool { return x <= want }
	case ">":
		return func(x float64) bool { return x > want }
	case ">=":
		return func(x float64) bool { return x >= want }
	}
	return func(x float64) bool { return x == want }
}

func compileCIDR(arg any) (func(any) bool, error) {
	s, ok := arg.(string)
	if !ok {
		return nil, reason("cidr match pattern must be a string")
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return nil, reason("Malformed CIDR: %s", s)
	}
	return func(v any) bool {
		s, ok := v.(string)
		if !ok {
			return false
		}
		a, err := netip.ParseAddr(s)
		return err == nil && p.Contains(a)
	}, nil
}

// parseWildcard splits at the asterisks; \* and \\ stand for themselves.
func parseWildcard(s string) ([]string, error) {
	var parts []string
	var b strings.Builder
	star := false // whether the previous character was a wildcard
	for i := 0; i < len(s); i++ {
		wasStar := star
		star = false
		switch s[i] {
		case '*':
			if wasStar {
				return nil, reason("Consecutive wildcard characters at pos %d", i)
			}
			star = true
			parts = append(parts, b.String())
			b.Reset()
		case '\\':
			i++
			if i == len(s) || s[i] != '*' && s[i] != '\\' {
				return nil, reason("Invalid escape character at pos %d", i)
			}
			b.WriteByte(s[i])
		default:
			b.WriteByte(s[i])
		}
	}
	return append(parts, b.String()), nil
}

// matchWildcard takes each inner part at its first place: leaving more for the rest can only help.
func matchWildcard(parts []string, s string) bool {
	if len(parts) == 1 {
		return s == parts[0]
	}
	first, last := parts[0], parts[len(parts)-1]
	if len(s) < len(first)+len(last) || !strings.HasPrefix(s, first) || !strings.HasSuffix(s, last) {
		return false
	}
	s = s[len(first) : len(s)-len(last)]
	for _, p := range parts[1 : len(parts)-1] {
		i := strings.Index(s, p)
		if i < 0 {
			return false
		}
		s = s[i+len(p):]
	}
	return true
}
