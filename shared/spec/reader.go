package spec

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// reader walks one YAML document. It remembers which keys were read, so that the others can be named.
type reader struct {
	report *Report
	before int                 // lines of the text before this document
	used   map[*yaml.Node]bool // key nodes
	budget int                 // pairs and items that may yet be visited: aliases could make them billions
	spent  bool
}

// Limits of one document. A ClusterConfig with a hundred node groups has some thousands of pairs.
const (
	maxVisits = 100_000
	maxDepth  = 50
)

// value is a place in the document; its node is nil where there is nothing.
type value struct {
	r    *reader
	n    *yaml.Node
	path string
	line int
}

type pair struct{ key, value *yaml.Node }

func (r *reader) visit(n *yaml.Node, count int) bool {
	r.budget -= count
	if r.budget < 0 && !r.spent {
		r.spent = true
		r.report.Errors = append(r.report.Errors, Problem{r.before + n.Line, "", "the document is too complex: its aliases expand to too many fields"})
	}
	return r.budget >= 0
}

// target follows an alias.
func target(n *yaml.Node) *yaml.Node {
	for n != nil && n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n
}

// pairs are a mapping's, with what it merges in (<<) where it does not say otherwise.
func (r *reader) pairs(n *yaml.Node, depth int) []pair {
	if n.Kind != yaml.MappingNode || depth > maxDepth || !r.visit(n, 1+len(n.Content)) {
		return nil
	}
	var out, merged []pair
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], target(n.Content[i+1])
		if k.Tag != "!!merge" {
			out = append(out, pair{k, v})
			continue
		}
		from := []*yaml.Node{v}
		if v.Kind == yaml.SequenceNode {
			from = v.Content
		}
		for _, f := range from {
			if f = target(f); f != n && f.Kind == yaml.MappingNode {
				merged = append(merged, r.pairs(f, depth+1)...)
			}
		}
	}
	for _, m := range merged {
		if !slices.ContainsFunc(out, func(p pair) bool { return p.key.Value == m.key.Value }) {
			out = append(out, m)
		}
	}
	return out
}

func (v value) wrong(format string, args ...any) {
	v.r.report.Errors = append(v.r.report.Errors, Problem{v.r.before + v.line, v.path, fmt.Sprintf(format, args...)})
}

func (v value) warn(format string, args ...any) {
	v.r.report.Warnings = append(v.r.report.Warnings, Problem{v.r.before + v.line, v.path, fmt.Sprintf(format, args...)})
}

// there tells whether the place has something other than null.
func (v value) there() bool { return v.n != nil && v.n.Tag != "!!null" }

// at is a field of a mapping, and marks it as read.
func (v value) at(names ...string) value {
	for _, name := range names {
		out := value{r: v.r, path: join(v.path, name), line: v.line}
		if v.there() && v.n.Kind != yaml.MappingNode {
			v.wrong("must have fields")
		}
		if v.there() {
			for _, p := range v.r.pairs(v.n, 0) {
				if p.key.Value == name {
					v.r.used[p.key] = true
					out.n, out.line = p.value, p.key.Line
				}
			}
		}
		v = out
	}
	return v
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// items are those of a list.
func (v value) items() []value {
	if !v.there() {
		return nil
	}
	if v.n.Kind != yaml.SequenceNode {
		v.wrong("must be a list")
		return nil
	}
	if !v.r.visit(v.n, len(v.n.Content)) {
		return nil
	}
	var out []value
	for i, n := range v.n.Content {
		out = append(out, value{v.r, target(n), v.path + "[" + strconv.Itoa(i) + "]", n.Line})
	}
	return out
}

// mappings are the items of a list that must have fields.
func (v value) mappings() []value {
	return slices.DeleteFunc(v.items(), func(item value) bool {
		bad := item.n.Kind != yaml.MappingNode
		if bad {
			item.wrong("must have fields")
		}
		return bad
	})
}

// scalar is the text of a single value. Plain numbers and bools are taken as they were written.
func (v value) scalar() (string, bool) {
	if !v.there() {
		return "", false
	}
	if v.n.Kind != yaml.ScalarNode {
		v.wrong("must be a single value")
		return "", false
	}
	return v.n.Value, true
}

func (v value) text(otherwise string) string {
	if s, ok := v.scalar(); ok {
		return s
	}
	return otherwise
}

// texts are a list of texts, none empty, none twice.
func (v value) texts() []string {
	var out []string
	for _, item := range v.items() {
		s, ok := item.scalar()
		switch {
		case !ok && !item.there(), ok && s == "":
			item.wrong("is empty: drop it")
		case slices.Contains(out, s):
			item.wrong("%q is there twice: drop one", s)
		case ok:
			out = append(out, s)
		}
	}
	return out
}

// textMap is a mapping of texts, like labels.
func (v value) textMap() map[string]string {
	if !v.there() {
		return nil
	}
	if v.n.Kind != yaml.MappingNode {
		v.wrong("must be names with values, like \"team: web\"")
		return nil
	}
	out := map[string]string{}
	for _, p := range v.r.pairs(v.n, 0) {
		v.r.used[p.key] = true
		item := value{v.r, p.value, join(v.path, p.key.Value), p.key.Line}
		out[p.key.Value] = item.text("")
	}
	return out
}

// number is a whole number that is at least least; -1 where there is none.
func (v value) number(least int) int {
	s, ok := v.scalar()
	if !ok {
		return -1
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < least || n > 1_000_000 {
		v.wrong("%q must be a whole number, %d or more", clip(s), least)
		return -1
	}
	return n
}

func (v value) boolean(otherwise bool) bool {
	s, ok := v.scalar()
	if !ok {
		return otherwise
	}
	switch strings.ToLower(s) {
	case "true", "yes", "on":
		return true
	case "false", "no", "off":
		return false
	}
	v.wrong("%q must be true or false", clip(s))
	return otherwise
}

func (v value) duration(otherwise time.Duration) time.Duration {
	s, ok := v.scalar()
	if !ok {
		return otherwise
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 {
		v.wrong("%q must be a duration like 5s or 1m30s", clip(s))
		return otherwise
	}
	return d
}

// oneOf is a text out of a choice.
func (v value) oneOf(otherwise string, choice ...string) string {
	s, ok := v.scalar()
	if !ok {
		return otherwise
	}
	if slices.Contains(choice, s) {
		return s
	}
	for _, c := range choice {
		if strings.EqualFold(c, s) {
			v.wrong("%q must be written %q", clip(s), c)
			return c
		}
	}
	v.wrong("%q must be one of %s", clip(s), strings.Join(choice, ", "))
	return otherwise
}

// clip bounds what a problem repeats of the text.
func clip(s string) string {
	if len(s) > 60 {
		return strings.ToValidUTF8(s[:60], "") + "…"
	}
	return s
}

// rest names the fields that were not read: known ones, unknown ones, and ones that are there twice.
func (r *reader) rest(v value, known field, depth int, ignored func(path string) string) {
	n := v.n
	if n == nil || depth > maxDepth {
		return
	}
	switch n.Kind {
	case yaml.SequenceNode:
		if !r.visit(n, len(n.Content)) {
			return
		}
		for i, item := range n.Content {
			r.rest(value{r, target(item), v.path + "[" + strconv.Itoa(i) + "]", item.Line}, known, depth+1, ignored)
		}
	case yaml.MappingNode:
		seen := map[string]bool{}
		for _, p := range r.pairs(n, 0) {
			at := value{r, p.value, join(v.path, clip(p.key.Value)), p.key.Line}
			below, ok := known.child(p.key.Value)
			switch {
			case seen[p.key.Value]:
				at.wrong("is there twice: drop one")
			case r.used[p.key]:
				r.rest(at, below, depth+1, ignored)
			case !ok:
				at.unknown(known, p.key.Value)
			case !at.there() || p.value.Kind != yaml.ScalarNode && len(p.value.Content) == 0:
				// null and empty mean nothing
			default:
				at.notActedOn(ignored)
			}
			seen[p.key.Value] = true
		}
	}
}

func (v value) unknown(known field, name string) {
	if meant := known.similar(name); meant != "" {
		v.warn("is no known field and has no effect: did you mean %q?", meant)
		return
	}
	v.warn("is no known field and has no effect: drop it")
}

func (v value) notActedOn(why func(path string) string) {
	off := v.n.Kind == yaml.ScalarNode && strings.EqualFold(v.n.Value, "false") // asks for nothing
	if refused := why(generic(v.path)); refused != "" && !off {
		v.wrong("is not supported yet, and %s", refused)
		return
	}
	v.warn("is not acted on yet")
}

// generic drops the indexes of a path.
func generic(path string) string {
	var b strings.Builder
	in := false
	for _, c := range path {
		switch {
		case c == '[':
			in = true
		case c == ']':
			in = false
		case !in:
			b.WriteRune(c)
		}
	}
	return b.String()
}
