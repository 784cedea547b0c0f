package policy

import (
	"strings"
)

// Wildcards of a compiled pattern. They are private-use runes, so that a * that came out of a policy variable stays text.
const (
	anyText = '\uE000'
	anyRune = '\uE001'
)

// compile turns a policy's text into a pattern: policy variables filled in, and with wildcards if the operator has them.
// ok is false when a variable has no value: then the text matches nothing.
func compile(text string, variables, wildcards bool, ctx values) (pattern []rune, ok bool) {
	for text != "" {
		if variables && strings.HasPrefix(text, "${") {
			if end := strings.IndexByte(text, '}'); end > 0 {
				v, ok := variable(text[2:end], ctx)
				if !ok {
					return nil, false
				}
				pattern = append(pattern, []rune(v)...)
				text = text[end+1:]
				continue
			}
		}
		r := []rune(text)[0]
		text = text[len(string(r)):]
		switch {
		case wildcards && r == '*':
			r = anyText
		case wildcards && r == '?':
			r = anyRune
		}
		pattern = append(pattern, r)
	}
	return pattern, true
}

// variable is the value of ${name} or ${name, 'default'}. ${*}, ${?} and ${$} are the characters themselves.
func variable(name string, ctx values) (string, bool) {
	switch name {
	case "*", "?", "$":
		return name, true
	}
	name, fallback, hasDefault := strings.Cut(name, ",")
	if v := ctx[strings.ToLower(strings.TrimSpace(name))]; len(v) == 1 { // multi-valued keys cannot be variables
		return v[0], true
	}
	return strings.Trim(strings.TrimSpace(fallback), "'"), hasDefault
}

// glob matches in linear space and without recursion: on a mismatch it goes back to the latest *.
func glob(p, s []rune) bool {
	star, mark := -1, 0
	i, j := 0, 0
	for j < len(s) {
		switch {
		case i < len(p) && p[i] == anyText:
			star, mark = i, j
			i++
		case i < len(p) && (p[i] == anyRune || p[i] == s[j]):
			i++
			j++
		case star >= 0:
			mark++
			i, j = star+1, mark
		default:
			return false
		}
	}
	for i < len(p) && p[i] == anyText {
		i++
	}
	return i == len(p)
}

// arnGlob matches the six parts of an ARN one by one: a wildcard does not reach over the colons before the resource.
func arnGlob(p, s []rune) bool {
	if len(p) == 1 && p[0] == anyText {
		return true
	}
	for range 5 {
		pi, si := indexColon(p), indexColon(s)
		if pi < 0 || si < 0 {
			return false
		}
		if !glob(p[:pi], s[:si]) {
			return false
		}
		p, s = p[pi+1:], s[si+1:]
	}
	return glob(p, s)
}

func indexColon(r []rune) int {
	for i, c := range r {
		if c == ':' {
			return i
		}
	}
	return -1
}

// matchAction compares without case, as IAM does for actions.
func matchAction(pattern, action string) bool {
	p, _ := compile(strings.ToLower(pattern), false, true, nil)
	return glob(p, []rune(strings.ToLower(action)))
}

// matchResource matches a Resource element. A call without a resource level ("*") is granted by "*" alone.
func matchResource(pattern, resource string, variables bool, ctx values) bool {
	p, ok := compile(pattern, variables, true, ctx)
	if !ok {
		return false
	}
	if resource == "*" || !strings.HasPrefix(resource, "arn:") {
		return glob(p, []rune(resource))
	}
	return arnGlob(p, []rune(resource))
}
