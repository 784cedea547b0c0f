package spec

import (
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// rest names the fields that were not read: known ones, unknown ones, and ones that are there twice.
func (r *reader) rest(v value, known field, depth int, ignored map[string]string) {
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
		pairs := r.pairs(n)
		if !r.visit(n, len(pairs)) {
			return
		}
		count, had := make(map[string]int, len(pairs)), map[string]bool{}
		for _, p := range pairs {
			count[p.key.Value]++
		}
		for _, p := range pairs {
			at := value{r, p.value, join(v.path, clip(p.key.Value)), p.key.Line}
			below, ok := known.child(p.key.Value)
			switch {
			case had[p.key.Value]:
				at.wrong("is there twice: drop one")
			case r.used[p.key]:
				r.rest(at, below, depth+1, ignored)
			case !ok:
				at.unknown(known, p.key.Value)
			case at.given() && count[p.key.Value] == 1: // of several, one was read
				at.notActedOn(ignored)
			}
			had[p.key.Value] = true
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

// notActedOn reports a known field that nothing read, with the reason.
func (v value) notActedOn(why map[string]string) {
	if len(v.r.report.Warnings) >= maxProblems {
		return
	}
	p := Problem{Line: v.r.before + v.line, Path: v.path, Message: "is not acted on yet", NotActedOn: true}
	if reason := why[generic(v.path)]; reason != "" {
		p.Message = "is not acted on: " + reason
	}
	v.r.report.Warnings = append(v.r.report.Warnings, p)
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
