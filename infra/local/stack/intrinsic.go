package stack

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// Pseudo are the values behind the pseudo parameters AWS::Region and AWS::AccountId.
type Pseudo struct {
	Account, Region string
}

// noValue is what {"Ref": "AWS::NoValue"} resolves to: the property is dropped.
type noValue struct{}

// errLater says that a value is not known yet, because the resource or export behind it was not created.
type errLater struct{ what string }

func (e errLater) Error() string { return e.what + " was not created" }

// scope resolves the intrinsic functions of one template.
type scope struct {
	template   string
	pseudo     Pseudo
	doc        *document
	parameters map[string]any
	conditions map[string]bool
	created    map[string]Created
	exports    map[string]string
	// reference, when set, is told of each logical id and export that is met and no value is looked up: this is how
	// dependencies are found.
	reference func(id, attribute, export string)
}

var functions map[string]func(*scope, any) (any, error)

func init() { // not a literal: the functions call resolve, which reads the map
	functions = map[string]func(*scope, any) (any, error){
		"Ref":             (*scope).ref,
		"Fn::GetAtt":      (*scope).getAtt,
		"Fn::Sub":         (*scope).sub,
		"Fn::Join":        (*scope).join,
		"Fn::Select":      (*scope).selectOne,
		"Fn::Split":       (*scope).split,
		"Fn::ImportValue": (*scope).importValue,
		"Fn::If":          (*scope).ifThen,
		"Fn::FindInMap":   (*scope).findInMap,
		"Fn::Base64":      (*scope).base64,
		"Fn::GetAZs":      (*scope).zones,
		"Fn::Equals":      (*scope).equals,
		"Fn::And":         (*scope).and,
		"Fn::Or":          (*scope).or,
		"Fn::Not":         (*scope).not,
	}
}

// resolve returns v with all intrinsic functions replaced by their values.
func (s *scope) resolve(v any) (any, error) {
	switch v := v.(type) {
	case map[string]any:
		if name, arg, ok := intrinsic(v); ok {
			f := functions[name]
			if f == nil {
				return nil, fmt.Errorf("function %s is not implemented", name)
			}
			out, err := f(s, arg)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			return out, nil
		}
		out := make(map[string]any, len(v))
		var errs []error
		for _, k := range sortedKeys(v) {
			e, err := s.resolve(v[k])
			if err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", k, err))
			}
			if e != (any)(noValue{}) {
				out[k] = e
			}
		}
		return out, errors.Join(errs...)
	case []any:
		out := make([]any, 0, len(v))
		var errs []error
		for i, e := range v {
			e, err := s.resolve(e)
			if err != nil {
				errs = append(errs, fmt.Errorf("[%d]: %w", i, err))
			}
			if e != (any)(noValue{}) {
				out = append(out, e)
			}
		}
		return out, errors.Join(errs...)
	}
	return v, nil
}

// intrinsic tells whether an object is a call of an intrinsic function: one member, named Ref or Fn::something.
func intrinsic(v map[string]any) (name string, arg any, ok bool) {
	if len(v) != 1 {
		return "", nil, false
	}
	for k, a := range v {
		if k == "Ref" || strings.HasPrefix(k, "Fn::") {
			return k, a, true
		}
	}
	return "", nil, false
}

func (s *scope) text(v any) (string, error) {
	v, err := s.resolve(v)
	if err != nil {
		return "", err
	}
	return scalar(v)
}

func scalar(v any) (string, error) {
	switch v := v.(type) {
	case string:
		return v, nil
	case json.Number:
		return v.String(), nil
	case bool:
		return strconv.FormatBool(v), nil
	}
	return "", fmt.Errorf("a string was expected, not %T", v)
}

func (s *scope) list(v any, least, most int) ([]any, error) {
	l, ok := v.([]any)
	if !ok || len(l) < least || most > 0 && len(l) > most {
		return nil, fmt.Errorf("wrong arguments: %v", v)
	}
	return l, nil
}

func (s *scope) ref(arg any) (any, error) {
	name, ok := arg.(string)
	if !ok {
		return nil, errors.New("the argument is not a name")
	}
	switch name {
	case "AWS::Region":
		return s.pseudo.Region, nil
	case "AWS::AccountId":
		return s.pseudo.Account, nil
	case "AWS::Partition":
		return "aws", nil
	case "AWS::URLSuffix":
		return "amazonaws.com", nil
	case "AWS::StackName":
		return s.template, nil
	case "AWS::StackId":
		return fmt.Sprintf("arn:aws:cloudformation:%s:%s:stack/%s/embedded", s.pseudo.Region, s.pseudo.Account, s.template), nil
	case "AWS::NotificationARNs":
		return []any{}, nil
	case "AWS::NoValue":
		return noValue{}, nil
	}
	if v, ok := s.parameters[name]; ok {
		return v, nil
	}
	if _, ok := s.doc.Parameters[name]; ok {
		return "", nil // reported already: it has no value
	}
	return s.attribute(name, "")
}

func (s *scope) attribute(id, name string) (any, error) {
	if _, ok := s.doc.Resources[id]; !ok {
		return nil, fmt.Errorf("there is no resource or parameter %s", id)
	}
	if s.reference != nil {
		s.reference(id, name, "")
		return "", nil
	}
	c, ok := s.created[id]
	if !ok {
		return nil, errLater{id}
	}
	if name == "" {
		return c.Ref, nil
	}
	v, ok := c.Attributes[name]
	if !ok {
		return nil, fmt.Errorf("%s (%s) has no attribute %s", id, s.doc.Resources[id].Type, name)
	}
	return v, nil
}

func (s *scope) getAtt(arg any) (any, error) {
	switch v := arg.(type) {
	case string:
		id, name, ok := strings.Cut(v, ".")
		if ok {
			return s.attribute(id, name)
		}
	case []any:
		if len(v) == 2 {
			id, ok := v[0].(string)
			name, err := s.text(v[1])
			if ok && err == nil {
				return s.attribute(id, name)
			}
		}
	}
	return nil, fmt.Errorf("wrong arguments: %v", arg)
}

var substitution = regexp.MustCompile(`\$\{([^}]*)\}`)

func (s *scope) sub(arg any) (any, error) {
	variables := map[string]any{}
	if l, ok := arg.([]any); ok {
		if len(l) != 2 {
			return nil, fmt.Errorf("wrong arguments: %v", arg)
		}
		if variables, ok = l[1].(map[string]any); !ok {
			return nil, errors.New("the second argument is not a map")
		}
		arg = l[0]
	}
	text, ok := arg.(string)
	if !ok {
		return nil, errors.New("the text is not a string")
	}
	var errs []error
	out := substitution.ReplaceAllStringFunc(text, func(m string) string {
		name := strings.TrimSpace(m[2 : len(m)-1])
		if literal, ok := strings.CutPrefix(name, "!"); ok {
			return "${" + literal + "}"
		}
		var v any
		var err error
		if own, ok := variables[name]; ok {
			v, err = s.resolve(own)
		} else if id, attr, ok := strings.Cut(name, "."); ok {
			v, err = s.attribute(id, attr)
		} else {
			v, err = s.ref(name)
		}
		if err == nil {
			var t string
			if t, err = scalar(v); err == nil {
				return t
			}
		}
		errs = append(errs, fmt.Errorf("${%s}: %w", name, err))
		return ""
	})
	return out, errors.Join(errs...)
}

func (s *scope) join(arg any) (any, error) {
	l, err := s.list(arg, 2, 2)
	if err != nil {
		return nil, err
	}
	sep, err := s.text(l[0])
	if err != nil {
		return nil, err
	}
	parts, err := s.strings(l[1])
	return strings.Join(parts, sep), err
}

func (s *scope) strings(v any) ([]string, error) {
	v, err := s.resolve(v)
	if err != nil {
		return nil, err
	}
	l, ok := v.([]any)
	if !ok && s.reference != nil {
		return nil, nil // an attribute that will be a list
	}
	if !ok {
		return nil, fmt.Errorf("a list was expected, not %v", v)
	}
	out := make([]string, len(l))
	for i, e := range l {
		if out[i], err = scalar(e); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (s *scope) selectOne(arg any) (any, error) {
	l, err := s.list(arg, 2, 2)
	if err != nil {
		return nil, err
	}
	index, err := s.text(l[0])
	if err != nil {
		return nil, err
	}
	from, err := s.resolve(l[1])
	if err != nil {
		return nil, err
	}
	if s.reference != nil {
		return "", nil // how long the list is shows only when its parts are known
	}
	items, ok := from.([]any)
	n, err := strconv.Atoi(index)
	if !ok || err != nil || n < 0 || n >= len(items) {
		return nil, fmt.Errorf("there is no element %s in %v", index, from)
	}
	return items[n], nil
}

func (s *scope) split(arg any) (any, error) {
	l, err := s.list(arg, 2, 2)
	if err != nil {
		return nil, err
	}
	sep, err := s.text(l[0])
	if err != nil {
		return nil, err
	}
	text, err := s.text(l[1])
	if err != nil {
		return nil, err
	}
	var out []any
	for part := range strings.SplitSeq(text, sep) {
		out = append(out, part)
	}
	return out, nil
}

func (s *scope) importValue(arg any) (any, error) {
	name, err := s.text(arg)
	if err != nil {
		return nil, err
	}
	if s.reference != nil {
		s.reference("", "", name)
		return "", nil
	}
	v, ok := s.exports[name]
	if !ok {
		return nil, errLater{"export " + name}
	}
	return v, nil
}

func (s *scope) findInMap(arg any) (any, error) {
	l, err := s.list(arg, 3, 3)
	if err != nil {
		return nil, err
	}
	var keys [3]string
	for i := range keys {
		if keys[i], err = s.text(l[i]); err != nil {
			return nil, err
		}
	}
	v, ok := s.doc.Mappings[keys[0]][keys[1]][keys[2]]
	if !ok {
		return nil, fmt.Errorf("there is no mapping %s", strings.Join(keys[:], "."))
	}
	return v, nil
}

func (s *scope) base64(arg any) (any, error) {
	t, err := s.text(arg)
	return base64.StdEncoding.EncodeToString([]byte(t)), err
}

func (s *scope) zones(arg any) (any, error) {
	region, err := s.text(arg)
	if err != nil {
		return nil, err
	}
	if region == "" {
		region = s.pseudo.Region
	}
	return []any{region + "a", region + "b", region + "c"}, nil
}
