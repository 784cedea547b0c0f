package fleet

import (
	"fmt"
)

// At is the value at a path of Props, nil if there is none.
func At(p Props, path ...string) any {
	var v any = p
	for _, key := range path {
		m, ok := v.(Props)
		if !ok {
			return nil
		}
		v = m[key]
	}
	return v
}

// Text is the string at a path, "" if there is none.
func Text(p Props, path ...string) string {
	s, _ := At(p, path...).(string)
	return s
}

// Int is the number at a path, 0 if there is none.
func Int(p Props, path ...string) int {
	switch n := At(p, path...).(type) {
	case int:
		return n
	case float64:
		return int(n)
	}
	return 0
}

// Flag is the boolean at a path, false if there is none.
func Flag(p Props, path ...string) bool {
	b, _ := At(p, path...).(bool)
	return b
}

// Items are the objects of the list at a path.
func Items(p Props, path ...string) (out []Props) {
	list, _ := At(p, path...).([]any)
	for _, v := range list {
		if m, ok := v.(Props); ok {
			out = append(out, m)
		}
	}
	return out
}

// Texts are the strings of the list at a path.
func Texts(p Props, path ...string) (out []string) {
	list, _ := At(p, path...).([]any)
	for _, v := range list {
		if s, ok := v.(string); ok {
			out = append(out, s)
		}
	}
	return out
}

// Strings makes a list for Props.
func Strings(list []string) []any {
	out := make([]any, len(list))
	for i, s := range list {
		out[i] = s
	}
	return out
}

// Drop is a copy without what says nothing: nil, "", empty lists and maps, at every level. Booleans and numbers stay.
func Drop(p Props) Props {
	out := Props{}
	for k, v := range p {
		if v = dropped(v); v != nil {
			out[k] = v
		}
	}
	return out
}

func dropped(v any) any {
	switch v := v.(type) {
	case string:
		if v == "" {
			return nil
		}
	case Props:
		if m := Drop(v); len(m) > 0 {
			return m
		}
		return nil
	case map[string]string:
		if len(v) == 0 {
			return nil
		}
	case []string:
		if len(v) == 0 {
			return nil
		}
		return Strings(v)
	case []any:
		if len(v) == 0 {
			return nil
		}
		list := make([]any, len(v))
		for i, item := range v {
			list[i] = item
			if m, ok := item.(Props); ok {
				list[i] = Drop(m)
			}
		}
		return list
	}
	return v
}

// Covers tells whether what an API says of something has all that is wanted of it. What is not wanted either way does not
// count; lists are sets.
func Covers(have, want any) bool {
	switch w := want.(type) {
	case Props:
		h, ok := have.(Props)
		if !ok {
			labels, isLabels := have.(map[string]string)
			if !isLabels {
				return len(w) == 0
			}
			h = Props{}
			for k, v := range labels {
				h[k] = v
			}
		}
		for k, v := range w {
			if !Covers(h[k], v) {
				return false
			}
		}
		return true
	case map[string]string:
		p := Props{}
		for k, v := range w {
			p[k] = v
		}
		return Covers(have, p)
	case []string:
		return Covers(have, Strings(w))
	case []any:
		h, _ := have.([]any)
		return sameItems(h, w)
	case nil:
		return true
	case string:
		s, _ := have.(string)
		return s == w
	case bool:
		b, _ := have.(bool)
		return b == w
	}
	return have != nil && fmt.Sprint(have) == fmt.Sprint(want)
}

// sameItems pairs the items of two lists off.
func sameItems(have, want []any) bool {
	if len(have) != len(want) {
		return false
	}
	used := make([]bool, len(have))
	for _, w := range want {
		found := false
		for i, h := range have {
			if !used[i] && Covers(h, w) {
				used[i], found = true, true
				break
			}
		}
		if !found {
			return false
		}
	}
	return true
}
