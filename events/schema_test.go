package events_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/events/samples"
	"github.com/ekspedite/ekspedite/events/schemas"
)

// schema checks values against the part of JSON Schema that our schemas use. A keyword it does not know is a panic, so
// that no constraint is ever passed over.
type schema struct{ root map[string]any }

func loadSchema(t testing.TB, name string) schema {
	t.Helper()
	text, err := schemas.Files.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return schema{root: parse(t, text).(map[string]any)}
}

// accepts returns what is wrong with value, nil if nothing is.
func (s schema) accepts(value any) error { return s.check(s.root, value, "$") }

func (s schema) check(node, value any, at string) error {
	if node == true {
		return nil
	}
	rules := node.(map[string]any)
	for keyword, rule := range rules {
		if err := s.keyword(rules, keyword, rule, value, at); err != nil {
			return err
		}
	}
	return nil
}

func (s schema) keyword(rules map[string]any, keyword string, rule, value any, at string) error {
	object, isObject := value.(map[string]any)
	list, _ := value.([]any)
	text, isText := value.(string)
	switch keyword {
	case "$schema", "title", "description", "$defs", "contentMediaType":
	case "$ref":
		name := strings.TrimPrefix(rule.(string), "#/$defs/")
		return s.check(s.root["$defs"].(map[string]any)[name], value, at)
	case "type":
		types, many := rule.([]any)
		if !many {
			types = []any{rule}
		}
		if !slices.ContainsFunc(types, func(name any) bool { return hasType(value, name.(string)) }) {
			return fmt.Errorf("%s: %v is not of type %v", at, value, rule)
		}
	case "const":
		if !reflect.DeepEqual(rule, value) {
			return fmt.Errorf("%s: %v is not %v", at, value, rule)
		}
	case "enum":
		if !slices.ContainsFunc(rule.([]any), func(one any) bool { return reflect.DeepEqual(one, value) }) {
			return fmt.Errorf("%s: %v is none of %v", at, value, rule)
		}
	case "pattern":
		if isText && !regexp.MustCompile(rule.(string)).MatchString(text) {
			return fmt.Errorf("%s: %q does not match %s", at, text, rule)
		}
	case "minLength":
		if isText && utf8.RuneCountInString(text) < int(number(rule)) {
			return fmt.Errorf("%s: %q is too short", at, text)
		}
	case "minimum":
		if n, ok := value.(json.Number); ok && number(n) < number(rule) {
			return fmt.Errorf("%s: %v is below %v", at, value, rule)
		}
	case "required":
		for _, name := range rule.([]any) {
			if _, found := object[name.(string)]; isObject && !found {
				return fmt.Errorf("%s: %s is missing", at, name)
			}
		}
	case "properties":
		for name, inner := range rule.(map[string]any) {
			if part, found := object[name]; found {
				if err := s.check(inner, part, at+"."+name); err != nil {
					return err
				}
			}
		}
	case "additionalProperties":
		named, _ := rules["properties"].(map[string]any)
		for name, part := range object {
			if _, found := named[name]; !found {
				if err := s.check(rule, part, at+"."+name); err != nil {
					return err
				}
			}
		}
	case "items":
		for i, part := range list {
			if err := s.check(rule, part, fmt.Sprintf("%s[%d]", at, i)); err != nil {
				return err
			}
		}
	case "allOf":
		for _, inner := range rule.([]any) {
			if err := s.check(inner, value, at); err != nil {
				return err
			}
		}
	case "anyOf":
		var faults []string
		for _, inner := range rule.([]any) {
			err := s.check(inner, value, at)
			if err == nil {
				return nil
			}
			faults = append(faults, err.Error())
		}
		return fmt.Errorf("%s: none of: %s", at, strings.Join(faults, "; or "))
	case "contentSchema":
		if !isText {
			return nil
		}
		var inner any
		if err := json.Unmarshal([]byte(text), &inner); err != nil {
			return fmt.Errorf("%s: holds no JSON: %v", at, err)
		}
		return s.check(rule, inner, at+"(content)")
	default:
		panic("schema: unknown keyword " + keyword)
	}
	return nil
}

func number(value any) float64 {
	n, err := value.(json.Number).Float64()
	if err != nil {
		panic(err)
	}
	return n
}

func hasType(value any, name string) bool {
	switch value := value.(type) {
	case nil:
		return name == "null"
	case bool:
		return name == "boolean"
	case string:
		return name == "string"
	case []any:
		return name == "array"
	case map[string]any:
		return name == "object"
	case json.Number:
		_, err := value.Int64()
		return name == "number" || name == "integer" && err == nil
	}
	return false
}

func TestSamplesMatchTheirSchemas(t *testing.T) {
	for _, sample := range samples.Samples() {
		contract, _ := events.ContractOf(sample.Kind)
		if err := loadSchema(t, contract.Schema).accepts(parse(t, sample.Body)); err != nil {
			t.Errorf("%s: %v", sample.Name, err)
		}
	}
}

// Whatever a schema requires, Decode requires: a sample is cut at every place, and the two must agree.
func TestSchemaAndDecoderRequireTheSame(t *testing.T) {
	for _, sample := range samples.Samples() {
		contract, _ := events.ContractOf(sample.Kind)
		accepted := loadSchema(t, contract.Schema)
		for _, path := range paths(parse(t, sample.Body), nil) {
			body := parse(t, sample.Body)
			cut(body, path)
			schemaErr := accepted.accepts(body)
			event, err := events.Decode(render(t, body))
			if err == nil && event.Kind != sample.Kind {
				continue // another event by now
			}
			if (schemaErr == nil) != (err == nil) {
				t.Errorf("%s without %s: schema says %v, Decode says %v", sample.Name, strings.Join(path, "."), schemaErr, err)
			}
		}
	}
}

// Whatever a payload type reads, its schema describes.
func TestSchemasDescribeEveryField(t *testing.T) {
	for _, contract := range events.Contracts() {
		root := loadSchema(t, contract.Schema).root
		described := map[string]bool{}
		collect(root, described)
		for i := range contract.Type.NumField() {
			name, _, _ := strings.Cut(contract.Type.Field(i).Tag.Get("json"), ",")
			if name != "-" && !described[name] {
				t.Errorf("%s: %s is not in %s", contract.Type, name, contract.Schema)
			}
		}
	}
}

func collect(node any, names map[string]bool) {
	switch node := node.(type) {
	case []any:
		for _, inner := range node {
			collect(inner, names)
		}
	case map[string]any:
		if properties, ok := node["properties"].(map[string]any); ok {
			for name := range properties {
				names[name] = true
			}
		}
		for _, inner := range node {
			collect(inner, names)
		}
	}
}

// paths are the names of all fields of all objects, down through objects only.
func paths(value any, at []string) [][]string {
	object, _ := value.(map[string]any)
	var all [][]string
	for name, inner := range object {
		path := append(slices.Clone(at), name)
		all = append(append(all, path), paths(inner, path)...)
	}
	return all
}

func cut(value any, path []string) {
	object := value.(map[string]any)
	if len(path) == 1 {
		delete(object, path[0])
		return
	}
	cut(object[path[0]], path[1:])
}
