// Package clusterfile reads the files that say what clusters shall be: several as one text, with what is said about it
// brought back to the file and line where it stands.
package clusterfile

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/spec"
)

// Problem is one thing to say about a file.
type Problem struct {
	File string `json:"file"`
	spec.Problem
}

// Located is FILE:LINE, which editors and CI know how to follow.
func (p Problem) Located() string { return fmt.Sprintf("%s:%d", p.File, p.Line) }

// Said is the problem without its place.
func (p Problem) Said() string {
	if p.Path == "" {
		return p.Message
	}
	return p.Path + ": " + p.Message
}

// Files is what was read. It is not to be used if there are errors.
type Files struct {
	Names            []string
	Text             string // all documents, with public keys in place of their paths: what can be sent away
	Specs            []spec.Spec
	Fleet            *fleet.FleetPolicy // nil if the files have none
	Errors, Warnings []Problem
}

// begins is where a file begins in the joined text.
type begins struct {
	line int
	name string
}

// Load reads files; "-" is stdin. The error is for a file that cannot be read; what is wrong within is in Errors.
func Load(names []string, stdin io.Reader) (Files, error) {
	f := Files{Names: names}
	if len(names) == 0 {
		return f, errors.New("name the file: -f FILE, or -f - for standard input")
	}
	if twice := repeated(names); twice != "" {
		return f, fmt.Errorf("-f %s is there twice", twice)
	}
	var text strings.Builder
	var parts []begins
	line := 1
	for _, name := range names {
		content, err := read(name, stdin)
		if err != nil {
			return f, err
		}
		if inlined, err := spec.Inline(content, key); err != nil {
			f.Errors = append(f.Errors, located(name, err))
		} else {
			content = inlined
		}
		part := string(content)
		if !strings.HasSuffix(part, "\n") {
			part += "\n"
		}
		if text.Len() > 0 {
			text.WriteString("---\n")
			line++
		}
		parts = append(parts, begins{line, name})
		text.WriteString(part)
		line += strings.Count(part, "\n")
	}
	f.Text = text.String()
	all, said := spec.Read([]byte(f.Text))
	f.Specs, f.Fleet = all.Clusters, all.Fleet
	dated := all.At(time.Now())
	said.Errors, said.Warnings = append(said.Errors, dated.Errors...), append(said.Warnings, dated.Warnings...)
	if len(f.Errors) == 0 { // without its key, a node group is wrong for a reason that is named already
		f.Errors = home(said.Errors, parts)
	}
	f.Warnings = home(said.Warnings, parts)
	return f, nil
}

func repeated(names []string) string {
	for i, n := range names {
		if slices.Contains(names[:i], n) {
			return n
		}
	}
	return ""
}

func read(name string, stdin io.Reader) ([]byte, error) {
	if name == "-" {
		return io.ReadAll(stdin)
	}
	return os.ReadFile(name)
}

// key reads a public key; "~/" is the home folder.
func key(path string) ([]byte, error) {
	if rest, ok := strings.CutPrefix(path, "~/"); ok {
		dir, err := os.UserHomeDir()
		if err != nil {
			return nil, err
		}
		path = filepath.Join(dir, rest)
	}
	return os.ReadFile(path)
}

// located is an error of spec.Inline, which begins with its line, as a problem.
func located(name string, err error) Problem {
	p := Problem{File: display(name), Problem: spec.Problem{Line: 1, Message: err.Error()}}
	if n, scanErr := fmt.Sscanf(p.Message, "line %d: ", &p.Line); n == 1 && scanErr == nil {
		_, p.Message, _ = strings.Cut(p.Message, ": ")
	}
	return p
}

// home brings problems back to the files.
func home(list []spec.Problem, parts []begins) (out []Problem) {
	for _, p := range list {
		i, exact := slices.BinarySearchFunc(parts, p.Line, func(b begins, line int) int { return cmp.Compare(b.line, line) })
		if !exact {
			i = max(0, i-1)
		}
		p.Line = max(1, p.Line-parts[i].line+1)
		out = append(out, Problem{File: display(parts[i].name), Problem: p})
	}
	return out
}

func display(name string) string {
	if name == "-" {
		return "<stdin>"
	}
	return name
}
