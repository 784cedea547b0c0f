package workload

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// Limits of what is read: a planner that was given a wrong file shall say so and not eat the machine's memory.
const (
	maxBytes = 1 << 30
	maxPods  = 1_000_000
	maxTypes = 10_000
	maxNodes = 50_000
	maxPools = 1_000
	maxList  = 1_000 // everything within one pod, pool or type
)

// Load reads a workload. It is strict: what it does not know is an error that names the place. Pods are read one by one, and
// those that differ by nothing but name and node share one PodSpec: 100,000 pods take 20 MB.
func Load(r io.Reader) (*File, error) {
	l := loader{json: json.NewDecoder(&limited{r: r, left: maxBytes}), specs: map[string]*PodSpec{}}
	f, err := l.file()
	if err != nil {
		return nil, err
	}
	if err := f.check(); err != nil {
		return nil, err
	}
	return f, nil
}

// limited fails after so many bytes, where io.LimitReader would end.
type limited struct {
	r    io.Reader
	left int64
}

func (l *limited) Read(p []byte) (int, error) {
	if l.left <= 0 {
		return 0, fmt.Errorf("it has more than %d MiB", maxBytes>>20)
	}
	n, err := l.r.Read(p[:min(int64(len(p)), l.left)])
	l.left -= int64(n)
	return n, err
}

type loader struct {
	json  *json.Decoder
	specs map[string]*PodSpec // by their text
	key   []byte
}

func (l *loader) file() (*File, error) {
	token, err := l.json.Token()
	if err != nil {
		return nil, l.syntax(err)
	}
	if token != json.Delim('{') {
		return nil, fmt.Errorf("it is %v, and shall be an object", token)
	}
	f, seen := &File{}, map[string]bool{}
	for l.json.More() {
		token, err := l.json.Token()
		if err != nil {
			return nil, l.syntax(err)
		}
		name := token.(string) // the decoder allows no other
		if seen[name] {
			return nil, fmt.Errorf("%s: is there twice", name)
		}
		seen[name] = true
		if err := l.field(f, name); err != nil {
			return nil, err
		}
	}
	if _, err := l.json.Token(); err != nil {
		return nil, l.syntax(err)
	}
	if _, err := l.json.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("at byte %d: something follows the workload", l.json.InputOffset())
	}
	for _, need := range []string{"nodePools", "instanceTypes", "pods"} {
		if !seen[need] {
			return nil, fmt.Errorf("%s: is missing", need)
		}
	}
	return f, nil
}

func (l *loader) field(f *File, name string) (err error) {
	switch name {
	case "name":
		return l.value(name, &f.Name)
	case "description":
		return l.value(name, &f.Description)
	case "seed":
		return l.value(name, &f.Seed)
	case "nodePools":
		f.NodePools, err = list[NodePool](l, name, maxPools)
	case "instanceTypes":
		f.InstanceTypes, err = list[InstanceType](l, name, maxTypes)
	case "nodes":
		f.Nodes, err = list[Node](l, name, maxNodes)
	case "daemonPods":
		f.DaemonPods, err = l.pods(name, maxPools)
	case "pods":
		f.Pods, err = l.pods(name, maxPods)
	default:
		return fmt.Errorf("%s: unknown field", name)
	}
	return err
}

func (l *loader) value(place string, v any) error {
	var raw json.RawMessage
	if err := l.json.Decode(&raw); err != nil {
		return l.syntax(err)
	}
	return strict(raw, v, place)
}

// each calls f with each value of an array, which it must not keep.
func (l *loader) each(place string, most int, f func(i int, raw []byte) error) error {
	token, err := l.json.Token()
	if err != nil {
		return l.syntax(err)
	}
	if token == nil { // null
		return nil
	}
	if token != json.Delim('[') {
		return fmt.Errorf("%s: is %v, and shall be a list", place, token)
	}
	var raw json.RawMessage
	for i := 0; l.json.More(); i++ {
		if i == most {
			return fmt.Errorf("%s: there are more than %d", place, most)
		}
		raw = raw[:0]
		if err := l.json.Decode(&raw); err != nil {
			return l.syntax(err)
		}
		if err := f(i, raw); err != nil {
			return err
		}
	}
	if _, err := l.json.Token(); err != nil {
		return l.syntax(err)
	}
	return nil
}

func list[T any](l *loader, place string, most int) (out []T, err error) {
	err = l.each(place, most, func(i int, raw []byte) error {
		var v T
		if err := strict(raw, &v, fmt.Sprintf("%s[%d]", place, i)); err != nil {
			return err
		}
		out = append(out, v)
		return nil
	})
	return out, err
}

func (l *loader) pods(place string, most int) (out []Pod, err error) {
	err = l.each(place, most, func(i int, raw []byte) error {
		p, err := l.pod(raw)
		if err != nil {
			at := fmt.Sprintf("%s[%d]", place, i)
			if p.Name != "" {
				at += fmt.Sprintf(" (%q)", p.Name)
			}
			return fmt.Errorf("%s%w", at, err)
		}
		out = append(out, p)
		return nil
	})
	return out, err
}

// pod reads one pod. All but its name and node is decoded only if it is seen for the first time.
func (l *loader) pod(raw []byte) (p Pod, err error) {
	key := append(l.key[:0], '{')
	err = members(raw, func(name, value []byte) error {
		switch string(name) {
		case `"name"`:
			return own(value, &p.Name, "name")
		case `"node"`:
			return own(value, &p.Node, "node")
		}
		if len(key) > 1 {
			key = append(key, ',')
		}
		key = append(append(append(key, name...), ':'), value...)
		return nil
	})
	key = append(key, '}')
	l.key = key
	if err != nil {
		return p, err
	}
	spec, known := l.specs[string(key)]
	if !known {
		spec = &PodSpec{}
		if err := strict(key, spec, ""); err != nil {
			return p, err
		}
		l.specs[string(key)] = spec
	}
	p.PodSpec = spec
	return p, nil
}

// own reads a text that may be there once.
func own(value []byte, to *string, name string) error {
	if *to != "" {
		return fmt.Errorf(".%s: is there twice", name)
	}
	if n := len(value); n >= 2 && value[0] == '"' && bytes.IndexByte(value, '\\') < 0 && utf8.Valid(value) {
		*to = string(value[1 : n-1])
		return nil
	}
	return strict(value, to, "."+name)
}

func (l *loader) syntax(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("it ends at byte %d, in the middle of something", l.json.InputOffset())
	}
	var s *json.SyntaxError
	if errors.As(err, &s) {
		return fmt.Errorf("it is not JSON after byte %d: %s", l.json.InputOffset(), strings.TrimPrefix(err.Error(), "json: "))
	}
	return err
}
