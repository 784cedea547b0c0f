package stack

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Resource is one resource of a loaded template.
type Resource struct {
	Template  string `json:"template"`
	LogicalID string `json:"logicalId"`
	Type      string `json:"type"`
	Created
}

// Stack is what a set of templates became.
type Stack struct {
	Resources []Resource        // in the order of creation
	Outputs   map[string]string // "TEMPLATE.OUTPUT"
	Exports   map[string]string
}

// Find returns the resource with a logical id.
func (s *Stack) Find(logicalID string) (Resource, bool) {
	i := slices.IndexFunc(s.Resources, func(r Resource) bool { return r.LogicalID == logicalID })
	if i < 0 {
		return Resource{}, false
	}
	return s.Resources[i], true
}

// withoutEffect are the types that have nothing to act on in an embedded cloud, each with the reason. Any other type
// without a provider is an error.
var withoutEffect = map[string]string{
	"AWS::CDK::Metadata": "tells AWS which constructs a template was made with",
}

type node struct {
	scope *scope
	id    string
	res   *declared
	needs []*node
	state int // 0 not visited, 1 on the path, 2 done
}

// Load creates all resources of the templates, each after those that it refers to. Templates may import what others
// export. Everything that is wrong is reported at once, with the logical ids: first what can be seen without creating
// anything, then what the providers say.
func Load(templates []Template, params map[string]string, providers Providers, pseudo Pseudo) (*Stack, error) {
	var errs []error
	exports := map[string]string{}
	var scopes []*scope
	unused := maps.Clone(params)
	for _, t := range templates {
		doc, err := parse(t)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		s := &scope{template: t.Name, pseudo: pseudo, doc: doc, parameters: map[string]any{}, conditions: map[string]bool{},
			created: map[string]Created{}, exports: exports}
		errs = append(errs, s.setParameters(params, unused)...)
		scopes = append(scopes, s)
	}
	for name := range unused {
		errs = append(errs, fmt.Errorf("parameter %s is in no template", name))
	}
	nodes, more := graph(scopes, providers)
	errs = append(errs, more...)
	order, more := sorted(nodes)
	errs = append(errs, more...)
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return create(order, scopes, providers)
}

func (s *scope) setParameters(given, unused map[string]string) (errs []error) {
	for _, name := range sortedKeys(s.doc.Parameters) {
		p := s.doc.Parameters[name]
		delete(unused, name)
		own, ok := given[name]
		v := any(own)
		if !ok {
			// An AWS::SSM::Parameter::Value parameter resolves to what Parameter Store holds. There is none here: its name,
			// which is the default, stands for the value. CDK uses this for the bootstrap version alone, which nothing reads.
			v, ok = p.Default, p.Default != nil
		}
		if !ok {
			errs = append(errs, fmt.Errorf("%s: parameter %s has no value and no default", s.template, name))
			continue
		}
		if strings.HasPrefix(p.Type, "List<") || p.Type == "CommaDelimitedList" {
			text, err := scalar(v)
			if err != nil {
				errs = append(errs, fmt.Errorf("%s: parameter %s: %w", s.template, name, err))
			}
			var list []any
			for e := range strings.SplitSeq(text, ",") {
				list = append(list, strings.TrimSpace(e))
			}
			v = list
		}
		if len(p.AllowedValues) > 0 && !slices.ContainsFunc(p.AllowedValues, func(a any) bool { return fmt.Sprint(a) == fmt.Sprint(v) }) {
			errs = append(errs, fmt.Errorf("%s: parameter %s: %v is none of %v", s.template, name, v, p.AllowedValues))
		}
		s.parameters[name] = v
	}
	return errs
}

// graph finds the resources that exist under the conditions, and what each needs.
func graph(scopes []*scope, providers Providers) (nodes []*node, errs []error) {
	byID := map[*scope]map[string]*node{}
	exporters := map[string][]*node{}
	for _, s := range scopes {
		byID[s] = map[string]*node{}
		for _, id := range sortedKeys(s.doc.Resources) {
			res := s.doc.Resources[id]
			exists, err := s.exists(res.Condition)
			if err != nil {
				errs = append(errs, fmt.Errorf("%s.%s: %w", s.template, id, err))
			}
			if !exists {
				continue
			}
			if providers[res.Type] == nil && withoutEffect[res.Type] == "" {
				errs = append(errs, fmt.Errorf("%s.%s: the embedded cloud has no resource type %s", s.template, id, res.Type))
			}
			n := &node{scope: s, id: id, res: res}
			byID[s][id] = n
			nodes = append(nodes, n)
		}
	}
	for _, s := range scopes {
		for _, name := range sortedKeys(s.doc.Outputs) {
			errs = append(errs, s.exporter(name, byID[s], exporters)...)
		}
	}
	for _, n := range nodes {
		errs = append(errs, n.dependencies(byID[n.scope], exporters)...)
	}
	return nodes, errs
}

func (s *scope) exists(condition string) (bool, error) {
	if condition == "" {
		return true, nil
	}
	return s.named(condition)
}

// exporter notes which resources must exist before an export has its value.
func (s *scope) exporter(name string, byID map[string]*node, exporters map[string][]*node) (errs []error) {
	o := s.doc.Outputs[name]
	exists, err := s.exists(o.Condition)
	if err != nil || !exists {
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: output %s: %w", s.template, name, err))
		}
		return errs
	}
	needs := []*node{}
	s.reference = func(id, _, _ string) {
		if n := byID[id]; n != nil {
			needs = append(needs, n)
		}
	}
	defer func() { s.reference = nil }()
	if _, err := s.resolve(o.Value); err != nil {
		errs = append(errs, fmt.Errorf("%s: output %s: %w", s.template, name, err))
	}
	if o.Export == nil {
		return errs
	}
	export, err := s.text(o.Export.Name)
	if err != nil {
		return append(errs, fmt.Errorf("%s: output %s: %w", s.template, name, err))
	}
	if _, dup := exporters[export]; dup {
		errs = append(errs, fmt.Errorf("%s: output %s: %s is exported twice", s.template, name, export))
	}
	exporters[export] = needs
	return errs
}

func (n *node) dependencies(byID map[string]*node, exporters map[string][]*node) (errs []error) {
	fail := func(err error) {
		errs = append(errs, fmt.Errorf("%s.%s (%s): %w", n.scope.template, n.id, n.res.Type, err))
	}
	names, err := n.res.dependsOn()
	if err != nil {
		fail(err)
	}
	for _, d := range names {
		switch _, ok := n.scope.doc.Resources[d]; {
		case !ok:
			fail(fmt.Errorf("DependsOn: there is no resource %s", d))
		case byID[d] != nil: // nil: its condition is false
			n.needs = append(n.needs, byID[d])
		}
	}
	n.scope.reference = func(id, _, export string) {
		if export != "" {
			from, ok := exporters[export]
			if !ok {
				fail(fmt.Errorf("no template exports %s", export))
			}
			n.needs = append(n.needs, from...)
			return
		}
		if byID[id] == nil {
			fail(fmt.Errorf("%s does not exist: its condition is false", id))
			return
		}
		n.needs = append(n.needs, byID[id])
	}
	defer func() { n.scope.reference = nil }()
	if _, err := n.scope.resolve(n.res.Properties); err != nil {
		fail(err)
	}
	return errs
}

// sorted puts every node after those that it needs.
func sorted(nodes []*node) (order []*node, errs []error) {
	var path []string
	var visit func(n *node)
	visit = func(n *node) {
		name := n.scope.template + "." + n.id
		switch n.state {
		case 1:
			from := slices.Index(path, name)
			errs = append(errs, fmt.Errorf("the resources need each other in a circle: %s", strings.Join(append(slices.Clone(path[from:]), name), " → ")))
			return
		case 2:
			return
		}
		n.state = 1
		path = append(path, name)
		for _, d := range n.needs {
			visit(d)
		}
		path = path[:len(path)-1]
		n.state = 2
		order = append(order, n)
	}
	for _, n := range nodes {
		visit(n)
	}
	return order, errs
}

func create(order []*node, scopes []*scope, providers Providers) (*Stack, error) {
	st := &Stack{Outputs: map[string]string{}}
	var errs []error
	for _, n := range order {
		// A resource may stand between two templates, so the exports known so far are looked at before each.
		for _, s := range scopes {
			_ = s.publish(st) // values may still be missing: the call after the last resource tells
		}
		c, err := n.create(providers)
		var later errLater
		if errors.As(err, &later) {
			continue // what it needs failed, and said so
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s.%s (%s): %w", n.scope.template, n.id, n.res.Type, err))
			continue
		}
		n.scope.created[n.id] = c
		st.Resources = append(st.Resources, Resource{Template: n.scope.template, LogicalID: n.id, Type: n.res.Type, Created: c})
	}
	for _, s := range scopes {
		if err := s.publish(st); err != nil && len(errs) == 0 {
			errs = append(errs, err)
		}
		st.Exports = s.exports
	}
	return st, errors.Join(errs...)
}

func (n *node) create(providers Providers) (Created, error) {
	for _, d := range n.needs {
		if _, ok := d.scope.created[d.id]; !ok {
			return Created{}, errLater{d.id}
		}
	}
	if withoutEffect[n.res.Type] != "" {
		return Created{Ref: n.id}, nil
	}
	properties, err := n.scope.resolve(n.res.Properties)
	if err != nil {
		return Created{}, err
	}
	if properties == nil {
		properties = map[string]any{}
	}
	raw, err := json.Marshal(properties)
	if err != nil {
		return Created{}, err
	}
	return providers[n.res.Type](n.id, raw)
}

// publish sets the outputs and exports whose values are known.
func (s *scope) publish(st *Stack) error {
	var errs []error
	for _, name := range sortedKeys(s.doc.Outputs) {
		key := s.template + "." + name
		if _, done := st.Outputs[key]; done {
			continue
		}
		o := s.doc.Outputs[name]
		exists, err := s.exists(o.Condition)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: condition of output %s: %w", s.template, name, err))
		}
		if err != nil || !exists {
			continue
		}
		v, err := s.text(o.Value)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: output %s: %w", s.template, name, err))
			continue
		}
		if o.Export != nil {
			export, err := s.text(o.Export.Name)
			if err != nil {
				errs = append(errs, fmt.Errorf("%s: name of export %s: %w", s.template, name, err))
				continue // not done, so that the next call tries again
			}
			s.exports[export] = v
		}
		st.Outputs[key] = v
	}
	return errors.Join(errs...)
}

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }
