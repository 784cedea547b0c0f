// Package kubeconfig puts a cluster into a kubeconfig file, and leaves everything else in the file as it is, comments
// included.
package kubeconfig

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

// Access is how kubectl gets into a cluster: by a program that prints a token.
type Access struct {
	Cluster fleet.Cluster
	Context string            // the name of the context; "" is the cluster's ARN, as the AWS CLI has it
	Command string            // the program
	Args    []string          // of it
	Env     map[string]string // beside what kubectl's own environment has
}

// Path is the file that kubectl reads by default: the first one of $KUBECONFIG, or ~/.kube/config.
func Path(getenv func(string) string, home func() (string, error)) (string, error) {
	for _, p := range filepath.SplitList(getenv("KUBECONFIG")) {
		if p != "" {
			return p, nil
		}
	}
	dir, err := home()
	if err != nil {
		return "", fmt.Errorf("there is no home folder, name the file by --file: %w", err)
	}
	return filepath.Join(dir, ".kube", "config"), nil
}

// Merge returns a kubeconfig with the cluster in it. Entries of the same names are replaced. The current context changes if
// there is none, or use asks for it: other terminals may be at work with it.
func Merge(old []byte, a Access, use bool) ([]byte, error) {
	root, doc, err := parse(old)
	if err != nil {
		return nil, err
	}
	name := a.Cluster.ARN
	context := name
	if a.Context != "" {
		context = a.Context
	}
	exec := map[string]any{
		"apiVersion": "client.authentication.k8s.io/v1", "command": a.Command, "args": a.Args, "interactiveMode": "Never",
	}
	if len(a.Env) > 0 {
		var env []map[string]string
		for k, v := range a.Env {
			env = append(env, map[string]string{"name": k, "value": v})
		}
		slices.SortFunc(env, func(a, b map[string]string) int { return strings.Compare(a["name"], b["name"]) })
		exec["env"] = env
	}
	for _, e := range []struct {
		list, name, key string
		value           any
	}{
		{"clusters", name, "cluster", map[string]any{"server": a.Cluster.Endpoint, "certificate-authority-data": base64.StdEncoding.EncodeToString(a.Cluster.CAData)}},
		{"users", name, "user", map[string]any{"exec": exec}},
		{"contexts", context, "context", map[string]any{"cluster": name, "user": name}},
	} {
		if err := put(root, e.list, e.name, e.key, e.value); err != nil {
			return nil, err
		}
	}
	for _, f := range [][2]string{{"apiVersion", "v1"}, {"kind", "Config"}} {
		if field(root, f[0]) == nil {
			set(root, f[0], text(f[1]))
		}
	}
	if current := field(root, "current-context"); use || current == nil || current.Value == "" {
		set(root, "current-context", text(context))
	}
	var out bytes.Buffer
	e := yaml.NewEncoder(&out)
	e.SetIndent(2)
	if err := e.Encode(doc); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// parse reads a kubeconfig; an empty one is one with nothing in it.
func parse(old []byte) (root, doc *yaml.Node, err error) {
	doc = &yaml.Node{}
	if err := yaml.Unmarshal(old, doc); err != nil {
		return nil, nil, fmt.Errorf("it is not YAML: %w", err)
	}
	if len(doc.Content) == 0 || doc.Content[0].Tag == "!!null" {
		root = &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
		return root, &yaml.Node{Kind: yaml.DocumentNode, Content: []*yaml.Node{root}}, nil
	}
	root = doc.Content[0]
	if root.Kind != yaml.MappingNode {
		return nil, nil, errors.New("it is not a kubeconfig: it has no fields")
	}
	if kind := field(root, "kind"); kind != nil && kind.Value != "Config" {
		return nil, nil, fmt.Errorf("it is not a kubeconfig: its kind is %q", kind.Value)
	}
	return root, doc, nil
}

func text(s string) *yaml.Node { return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s} }

// field is a mapping's value; nil without.
func field(m *yaml.Node, key string) *yaml.Node {
	for i := 0; i+1 < len(m.Content); i += 2 {
		if m.Content[i].Value == key {
			return m.Content[i+1]
		}
	}
	return nil
}

func set(m *yaml.Node, key string, value *yaml.Node) {
	for i := 0; i+1 < len(m.Content); i += 2 {
		if m.Content[i].Value == key {
			m.Content[i+1] = value
			return
		}
	}
	m.Content = append(m.Content, text(key), value)
}

// put puts {name: name, key: value} into the named list, in the place of one of its name.
func put(root *yaml.Node, list, name, key string, value any) error {
	entry := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
	var content yaml.Node
	if err := content.Encode(value); err != nil {
		return err
	}
	set(entry, "name", text(name))
	set(entry, key, &content)
	entries := field(root, list)
	if entries == nil || entries.Tag == "!!null" {
		entries = &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}
		set(root, list, entries)
	}
	if entries.Kind != yaml.SequenceNode {
		return fmt.Errorf("it is not a kubeconfig: %s is no list", list)
	}
	entries.Style = 0 // "[]" is written for an empty list
	for i, e := range entries.Content {
		if e.Kind == yaml.MappingNode {
			if n := field(e, "name"); n != nil && n.Value == name {
				entries.Content[i] = entry
				return nil
			}
		}
	}
	entries.Content = append(entries.Content, entry)
	return nil
}

// Write merges a cluster into a file. The file is replaced at once, never written half; what was there before is kept
// beside it, in the file that is returned ("" when there was none, or nothing has changed).
func Write(path string, a Access, use bool) (backup string, err error) {
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target // a link stays one
	}
	old, err := os.ReadFile(path)
	there := err == nil
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	merged, err := Merge(old, a, use)
	if err != nil {
		return "", fmt.Errorf("%s is left as it is: %w", path, err)
	}
	if bytes.Equal(old, merged) {
		return "", nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return "", err
	}
	if there {
		backup = path + ".before-ekspedite"
		if err := replace(backup, old); err != nil {
			return "", err
		}
	}
	return backup, replace(path, merged)
}

// replace writes a file that only its owner can read, at once.
func replace(path string, content []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*") // mode 0600
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}
