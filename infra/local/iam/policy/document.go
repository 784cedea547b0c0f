// Package policy reads and evaluates IAM policy documents. It is pure: no clock, no store, no network.
//
// What IAM would reject, or what this package does not know (an element, a condition operator), is an error that names
// it. A policy that is half understood would grant or deny the wrong things.
package policy

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Document is one policy document.
type Document struct {
	// Name is whose document it is, for reports: "inline/Deploy", "arn:aws:iam::aws:policy/AmazonEKSClusterPolicy". The
	// caller sets it.
	Name       string
	Version    string
	ID         string
	Statements []Statement
}

// Statement is one statement of a document.
type Statement struct {
	Sid           string
	Index         int // position in the document, from 0
	Allow         bool
	Actions       []string // as written, case included
	NotActions    []string
	Resources     []string
	NotResources  []string
	Principals    *Principals
	NotPrincipals *Principals
	Conditions    []Condition
}

// Principals is a Principal element.
type Principals struct {
	Any  bool                // "*" or {"AWS": "*"}
	List map[string][]string // by kind: AWS, Service, Federated, CanonicalUser
}

// Parse reads a document. The error names what is wrong and where.
func Parse(raw []byte) (Document, error) {
	var d Document
	top, err := object(raw)
	if err != nil {
		return d, fmt.Errorf("the policy is not a JSON object: %w", err)
	}
	d.Version = "2008-10-17" // the default, in which policy variables are plain text
	for _, name := range keys(top) {
		v := top[name]
		switch name {
		case "Version":
			err = json.Unmarshal(v, &d.Version)
			if err == nil && d.Version != "2012-10-17" && d.Version != "2008-10-17" {
				err = fmt.Errorf("%q is not a policy version", d.Version)
			}
		case "Id":
			err = json.Unmarshal(v, &d.ID)
		case "Statement":
			d.Statements, err = parseStatements(v)
		default:
			err = fmt.Errorf("not an element of a policy")
		}
		if err != nil {
			return Document{}, fmt.Errorf("%s: %w", name, err)
		}
	}
	if len(d.Statements) == 0 {
		return Document{}, fmt.Errorf("the policy has no Statement")
	}
	return d, nil
}

func parseStatements(raw json.RawMessage) ([]Statement, error) {
	var list []json.RawMessage
	if bytes.HasPrefix(bytes.TrimSpace(raw), []byte("[")) {
		if err := json.Unmarshal(raw, &list); err != nil {
			return nil, err
		}
	} else {
		list = []json.RawMessage{raw}
	}
	var out []Statement
	sids := map[string]bool{}
	for i, item := range list {
		s, err := parseStatement(item)
		if err != nil {
			return nil, fmt.Errorf("statement %d: %w", i, err)
		}
		s.Index = i
		if s.Sid != "" && sids[s.Sid] {
			return nil, fmt.Errorf("statement %d: Sid %q is used twice", i, s.Sid)
		}
		sids[s.Sid] = true
		out = append(out, s)
	}
	return out, nil
}

func parseStatement(raw json.RawMessage) (Statement, error) {
	var s Statement
	m, err := object(raw)
	if err != nil {
		return s, err
	}
	effect := ""
	for _, name := range keys(m) {
		v := m[name]
		switch name {
		case "Sid":
			err = json.Unmarshal(v, &s.Sid)
		case "Effect":
			err = json.Unmarshal(v, &effect)
		case "Action":
			s.Actions, err = actions(v)
		case "NotAction":
			s.NotActions, err = actions(v)
		case "Resource":
			s.Resources, err = texts(v)
		case "NotResource":
			s.NotResources, err = texts(v)
		case "Principal":
			s.Principals, err = parsePrincipals(v)
		case "NotPrincipal":
			s.NotPrincipals, err = parsePrincipals(v)
		case "Condition":
			s.Conditions, err = parseConditions(v)
		default:
			err = fmt.Errorf("not an element of a statement")
		}
		if err != nil {
			return s, fmt.Errorf("%s: %w", name, err)
		}
	}
	switch {
	case effect != "Allow" && effect != "Deny":
		return s, fmt.Errorf("Effect %q is neither Allow nor Deny", effect)
	case (s.Actions == nil) == (s.NotActions == nil):
		return s, fmt.Errorf("exactly one of Action and NotAction is required")
	case s.Resources != nil && s.NotResources != nil:
		return s, fmt.Errorf("Resource and NotResource exclude each other")
	case s.Principals != nil && s.NotPrincipals != nil:
		return s, fmt.Errorf("Principal and NotPrincipal exclude each other")
	}
	s.Allow = effect == "Allow"
	return s, nil
}

// Kind is what a document is attached to: it decides which elements it must have.
type Kind int

// The kinds of document.
const (
	Identity Kind = iota // no Principal, needs a Resource
	Resource             // needs a Principal
	Trust                // needs a Principal, has no Resource
)

// Check tells whether the document has the elements that its kind needs.
func (d Document) Check(k Kind) error {
	for _, s := range d.Statements {
		principal := s.Principals != nil || s.NotPrincipals != nil
		resource := s.Resources != nil || s.NotResources != nil
		switch {
		case k == Identity && principal:
			return fmt.Errorf("statement %d: Policy document should not specify a principal.", s.Index)
		case k == Identity && !resource:
			return fmt.Errorf("statement %d: Policy statement must contain resources.", s.Index)
		case k == Trust && resource:
			return fmt.Errorf("statement %d: Has prohibited field Resource", s.Index)
		case k != Identity && !principal:
			return fmt.Errorf("statement %d: Missing required field Principal", s.Index)
		}
	}
	return nil
}

func actions(raw json.RawMessage) ([]string, error) {
	list, err := texts(raw)
	for _, a := range list {
		service, verb, ok := strings.Cut(a, ":")
		if a != "*" && (!ok || service == "" || verb == "") {
			return nil, fmt.Errorf("Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.: %q", a)
		}
	}
	return list, err
}

func parsePrincipals(raw json.RawMessage) (*Principals, error) {
	var one string
	if json.Unmarshal(raw, &one) == nil {
		if one != "*" {
			return nil, fmt.Errorf("%q: a principal is \"*\" or an object", one)
		}
		return &Principals{Any: true}, nil
	}
	m, err := object(raw)
	if err != nil {
		return nil, err
	}
	p := &Principals{List: map[string][]string{}}
	for _, kind := range keys(m) {
		if !slices.Contains([]string{"AWS", "Service", "Federated", "CanonicalUser"}, kind) {
			return nil, fmt.Errorf("%q is not a kind of principal", kind)
		}
		if p.List[kind], err = texts(m[kind]); err != nil {
			return nil, fmt.Errorf("%s: %w", kind, err)
		}
	}
	p.Any = slices.Contains(p.List["AWS"], "*")
	return p, nil
}

// object reads a JSON object; a key that stands there twice is an error, as in IAM.
func object(raw []byte) (map[string]json.RawMessage, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, fmt.Errorf("a JSON object was expected")
	}
	m := map[string]json.RawMessage{}
	for d.More() {
		k, err := d.Token()
		if err != nil {
			return nil, err
		}
		var v json.RawMessage
		if err := d.Decode(&v); err != nil {
			return nil, err
		}
		name := k.(string) // encoding/json lets nothing else be a key
		if _, dup := m[name]; dup {
			return nil, fmt.Errorf("%s stands there twice", name)
		}
		m[name] = v
	}
	if _, err := d.Token(); err != nil {
		return nil, err
	}
	if d.More() {
		return nil, fmt.Errorf("there is text after the object")
	}
	return m, nil
}

// texts reads a string, or a list of strings; numbers and booleans count as their text, as condition values may.
func texts(raw json.RawMessage) ([]string, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	list, ok := v.([]any)
	if !ok {
		list = []any{v}
	}
	out := []string{}
	for _, e := range list {
		switch e := e.(type) {
		case string:
			out = append(out, e)
		case json.Number:
			out = append(out, e.String())
		case bool:
			out = append(out, fmt.Sprint(e))
		default:
			return nil, fmt.Errorf("%v is neither a string nor a list of strings", v)
		}
	}
	return out, nil
}

func keys(m map[string]json.RawMessage) []string {
	var out []string
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}
