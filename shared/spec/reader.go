package spec

import (
	"fmt"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// reader walks one YAML document. It remembers which keys were read, so that the others can be named.
type reader struct {
	report *Report
	before int                 // lines of the text before this document
	used   map[*yaml.Node]bool // key nodes
	seen   map[*yaml.Node]fields
	budget int // pairs and items that may yet be visited: aliases could make them billions
	spent  bool
	dated  []dated
}

// Limits of one document. A ClusterConfig with a hundred node groups has some thousands of pairs.
const (
	maxVisits   = 500_000
	perItem     = 100 // what reading an item with fields costs: it may be an alias of a large one
	maxDepth    = 50
	maxProblems = 1000 // of one text: whoever has more has the wrong file
)

func newReader(report *Report, before int) *reader {
	return &reader{report: report, before: before, used: map[*yaml.Node]bool{}, seen: map[*yaml.Node]fields{}, budget: maxVisits}
}

// value is a place in the document; its node is nil where there is nothing.
type value struct {
	r    *reader
	n    *yaml.Node
	path string
	line int
}

type pair struct{ key, value *yaml.Node }

// fields are a mapping's pairs, which are looked at about a hundred times in a node group.
type fields struct {
	pairs []pair
	names map[string]int // the last of each name; nil for a few pairs
}

const few = 12

func (f fields) find(name string) (pair, bool) {
	if f.names != nil {
		i, ok := f.names[name]
		if !ok {
			return pair{}, false
		}
		return f.pairs[i], true
	}
	for i := len(f.pairs) - 1; i >= 0; i-- {
		if f.pairs[i].key.Value == name {
			return f.pairs[i], true
		}
	}
	return pair{}, false
}

func (r *reader) visit(n *yaml.Node, count int) bool {
	r.budget -= count
	if r.budget < 0 && !r.spent {
		r.spent = true
		r.report.Errors = append(r.report.Errors, Problem{Line: r.before + n.Line, Message: "the document is too complex: its aliases expand to too many fields"})
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
func (r *reader) pairs(n *yaml.Node) []pair { return r.fields(n, 0).pairs }

func (r *reader) fields(n *yaml.Node, depth int) fields {
	if f, ok := r.seen[n]; ok {
		return f
	}
	if n.Kind != yaml.MappingNode || depth > maxDepth || !r.visit(n, 1+len(n.Content)) {
		return fields{}
	}
	var f fields
	var merged []pair
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], target(n.Content[i+1])
		if k.Tag != "!!merge" {
			f.pairs = append(f.pairs, pair{k, v})
			continue
		}
		from := []*yaml.Node{v}
		if v.Kind == yaml.SequenceNode {
			from = v.Content
		}
		for _, m := range from {
			if m = target(m); m != n && m.Kind == yaml.MappingNode {
				more := r.fields(m, depth+1).pairs
				if !r.visit(m, len(more)) {
					return fields{}
				}
				merged = append(merged, more...)
			}
		}
	}
	if len(f.pairs)+len(merged) > few {
		f.names = make(map[string]int, len(f.pairs))
		for i, p := range f.pairs {
			f.names[p.key.Value] = i
		}
	}
	for _, m := range merged {
		if _, ok := f.find(m.key.Value); !ok {
			f.pairs = append(f.pairs, m)
			if f.names != nil {
				f.names[m.key.Value] = len(f.pairs) - 1
			}
		}
	}
	r.seen[n] = f
	return f
}

func (v value) wrong(format string, args ...any) {
	if len(v.r.report.Errors) < maxProblems {
		v.r.report.Errors = append(v.r.report.Errors, Problem{Line: v.r.before + v.line, Path: v.path, Message: fmt.Sprintf(format, args...)})
	}
}

func (v value) warn(format string, args ...any) {
	if len(v.r.report.Warnings) < maxProblems {
		v.r.report.Warnings = append(v.r.report.Warnings, Problem{Line: v.r.before + v.line, Path: v.path, Message: fmt.Sprintf(format, args...)})
	}
}

// there tells whether the place has something other than null.
func (v value) there() bool { return v.n != nil && v.n.Tag != "!!null" }

// given tells whether the place asks for something: what is empty or false does not.
func (v value) given() bool {
	if !v.there() {
		return false
	}
	if v.n.Kind == yaml.ScalarNode {
		return v.n.Value != "" && !strings.EqualFold(v.n.Value, "false")
	}
	return len(v.n.Content) > 0
}

// at is a field of a mapping, and marks it as read.
func (v value) at(names ...string) value { return v.field(true, names) }

// look is a field of a mapping, which stays unread.
func (v value) look(names ...string) value { return v.field(false, names) }

func (v value) field(read bool, names []string) value {
	for _, name := range names {
		out := value{r: v.r, path: join(v.path, name), line: v.line}
		if v.there() {
			if v.n.Kind != yaml.MappingNode {
				v.wrong("must have fields")
			} else if p, ok := v.r.fields(v.n, 0).find(name); ok {
				if read {
					v.r.used[p.key] = true
				}
				out.n, out.line = p.value, p.key.Line
			}
		}
		v = out
	}
	return v
}

// has tells whether a field is given, without marking it as read.
func (v value) has(names ...string) bool { return v.look(names...).given() }

// excludes complains of those of its fields that are given although another one is.
func (v value) excludes(other string, names ...string) {
	for _, name := range names {
		if f := v.at(strings.Split(name, ".")...); f.given() {
			f.wrong("and %s exclude each other: drop one", other)
		}
	}
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
	out := make([]value, 0, len(v.n.Content))
	for i, n := range v.n.Content {
		out = append(out, value{v.r, target(n), v.path + "[" + strconv.Itoa(i) + "]", n.Line})
	}
	return out
}

// mappings are the items of a list that must have fields.
func (v value) mappings() []value {
	var out []value
	for _, item := range v.items() {
		if !v.r.visit(v.n, perItem) {
			return out
		}
		if item.n.Kind != yaml.MappingNode {
			item.wrong("must have fields")
			continue
		}
		out = append(out, item)
	}
	return out
}

// entry is a pair of a mapping whose keys are data.
type entry struct {
	key string
	value
}

// entries are those of a mapping whose keys are data: names of subnets, of labels.
func (v value) entries() []entry {
	if !v.there() {
		return nil
	}
	if v.n.Kind != yaml.MappingNode {
		v.wrong("must be names with values, like \"team: web\"")
		return nil
	}
	pairs := v.r.pairs(v.n)
	if !v.r.visit(v.n, len(pairs)) {
		return nil
	}
	out := make([]entry, 0, len(pairs))
	for _, p := range pairs {
		v.r.used[p.key] = true
		out = append(out, entry{p.key.Value, value{v.r, p.value, join(v.path, clip(p.key.Value)), p.key.Line}})
	}
	return out
}
