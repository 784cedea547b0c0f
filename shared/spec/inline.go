package spec

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// defaultKey is eksctl's, for ssh.allow without a key.
const defaultKey = "~/.ssh/id_rsa.pub"

// Inline puts what a text refers to on its author's machine into the text: ssh.publicKeyPath of node groups becomes
// ssh.publicKey. Whoever acts on the text is elsewhere and cannot read it. Lines stay where they are. read gets the paths
// as they are written, "~/" included.
func Inline(text []byte, read func(path string) ([]byte, error)) ([]byte, error) {
	var out strings.Builder
	lines := strings.SplitAfter(string(text), "\n")
	for _, p := range split(text) {
		nodes, err := decode(p.text)
		if err != nil {
			return text, nil // Parse says what is wrong, with more care
		}
		var edits []edit
		for _, n := range nodes {
			more, err := keysOf(newReader(&Report{}, p.before), target(n), read)
			if err != nil {
				return nil, err
			}
			edits = append(edits, more...)
		}
		slices.SortFunc(edits, func(a, b edit) int { return b.column - a.column }) // from behind, so that columns stay right
		for _, e := range edits {
			line := &lines[p.before+e.line-1]
			if *line, err = e.do(*line); err != nil {
				return nil, fmt.Errorf("line %d: %w", p.before+e.line, err)
			}
		}
	}
	for _, l := range lines {
		out.WriteString(l)
	}
	return []byte(out.String()), nil
}

// edit is a pair of a mapping to be written anew: a key, and its value right behind it.
type edit struct {
	line, column int // of the key, from 1
	key, value   *yaml.Node
	content      string // the public key
}

func keysOf(r *reader, root *yaml.Node, read func(string) ([]byte, error)) ([]edit, error) {
	if root == nil || root.Kind != yaml.MappingNode {
		return nil, nil
	}
	doc := value{r: r, n: root}
	if doc.look("apiVersion").text("") != eksctlVersion {
		return nil, nil
	}
	var out []edit
	had := map[*yaml.Node]bool{}
	for _, list := range []string{"managedNodeGroups", "nodeGroups"} {
		for _, item := range doc.look(list).items() {
			if item.n.Kind != yaml.MappingNode {
				continue
			}
			ssh := item.look("ssh")
			if !ssh.given() || ssh.n.Kind != yaml.MappingNode {
				continue
			}
			name, path, ok := ssh.keyFile()
			if !ok {
				continue
			}
			p, _ := r.fields(ssh.n, 0).find(name)
			if had[p.key] { // an alias, or merged into several
				continue
			}
			had[p.key] = true
			content, err := read(path)
			if err != nil {
				return nil, fmt.Errorf("line %d: %s: %w", r.before+ssh.line, ssh.path, err)
			}
			out = append(out, edit{p.key.Line, p.key.Column, p.key, p.value, strings.TrimSpace(string(content))})
		}
	}
	return out, nil
}

// keyFile is the path of the key that an ssh mapping refers to, and the field that a key is to take the place of.
func (v value) keyFile() (name, path string, ok bool) {
	allow := v.look("allow")
	switch {
	case allow.there() && !allow.boolean(false), v.has("publicKey"), v.has("publicKeyName") && !v.has("publicKeyPath"):
		return "", "", false
	case v.has("publicKeyPath"):
		return "publicKeyPath", v.look("publicKeyPath").text(""), true
	case allow.given():
		return "allow", defaultKey, true // a key says the same as allow
	}
	return "", "", false
}

// do writes the pair anew in its line.
func (e edit) do(line string) (string, error) {
	const way = "put the key into publicKey yourself"
	runes := []rune(line)
	if e.column < 1 || e.column > len(runes) || e.value.Line != e.line || e.value.Column < e.column || e.value.Column > len(runes) {
		return "", fmt.Errorf("the path of the public key is not in one line with its name: %s", way)
	}
	before, rest := string(runes[:e.column-1]), string(runes[e.value.Column-1:])
	written := e.value.Value
	switch e.value.Style {
	case yaml.DoubleQuotedStyle:
		written = strconv.Quote(written)
	case yaml.SingleQuotedStyle:
		written = "'" + strings.ReplaceAll(written, "'", "''") + "'"
	}
	after, ok := strings.CutPrefix(rest, written)
	if !ok || e.value.Anchor != "" || e.key.Anchor != "" {
		return "", fmt.Errorf("the path of the public key is written in an unusual way: %s", way)
	}
	return before + "publicKey: " + strconv.Quote(e.content) + after, nil
}
