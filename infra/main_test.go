package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/aws/jsii-runtime-go"

	"github.com/ekspedite/ekspedite/infra/stacks"
)

func TestMain(m *testing.M) {
	code := m.Run()
	jsii.Close()
	os.Exit(code)
}

// synthesized are the templates as the code now makes them. Most tests read them; it takes seconds.
var synthesized = sync.OnceValues(func() (map[string][]byte, error) {
	root, err := moduleRoot()
	if err != nil {
		return nil, err
	}
	return templates(root)
})

// template is as much of a template as the tests look at.
type template struct {
	Parameters map[string]any
	Resources  map[string]*resource
	Outputs    map[string]any
}

// resource is one resource of a template. The properties are as JSON has them.
type resource struct {
	ID         string `json:"-"`
	Type       string
	Properties map[string]any
	Metadata   map[string]any
}

func parse(t *testing.T, raw []byte) template {
	t.Helper()
	var parsed template
	if err := json.Unmarshal(raw, &parsed); err != nil {
		t.Fatal(err)
	}
	for id, r := range parsed.Resources {
		r.ID = id
	}
	return parsed
}

func stack(t *testing.T, name string) template {
	t.Helper()
	all, err := synthesized()
	if err != nil {
		t.Fatal(err)
	}
	return parse(t, all[name])
}

// everything is all stacks in one.
func everything(t *testing.T) template {
	t.Helper()
	all := template{Resources: map[string]*resource{}}
	for _, name := range stacks.Names {
		maps.Copy(all.Resources, stack(t, name).Resources)
	}
	return all
}

// of lists the resources of a type by id. None is a mistake in the test.
func (tpl template) of(t *testing.T, kind string) []*resource {
	t.Helper()
	var found []*resource
	for _, id := range slices.Sorted(maps.Keys(tpl.Resources)) {
		if tpl.Resources[id].Type == kind {
			found = append(found, tpl.Resources[id])
		}
	}
	if len(found) == 0 {
		t.Fatalf("no %s", kind)
	}
	return found
}

// target resolves a reference to the resource that it refers to; "" for anything else.
func target(reference any) string {
	object, _ := reference.(map[string]any)
	if id, ok := object["Ref"].(string); ok {
		return id
	}
	if pair, ok := object["Fn::GetAtt"].([]any); ok {
		return pair[0].(string)
	}
	return ""
}

// at walks down a value by keys; nil if there is nothing.
func at(value any, path ...string) any {
	for _, key := range path {
		object, ok := value.(map[string]any)
		if !ok {
			return nil
		}
		value = object[key]
	}
	return value
}

// list is a value as a list: CloudFormation takes one for a list of one.
func list(value any) []any {
	switch value := value.(type) {
	case nil:
		return nil
	case []any:
		return value
	default:
		return []any{value}
	}
}

// text is a value as one string, with references in the notation of Fn::Sub.
func text(value any) string {
	switch value := value.(type) {
	case string:
		return value
	case map[string]any:
		if sub, ok := value["Fn::Sub"].(string); ok {
			return sub
		}
		if join, ok := value["Fn::Join"].([]any); ok {
			var parts []string
			for _, part := range join[1].([]any) {
				parts = append(parts, text(part))
			}
			return strings.Join(parts, join[0].(string))
		}
		if name, ok := value["Fn::ImportValue"].(string); ok {
			return "${" + name + "}"
		}
		if id := target(value); id != "" {
			return "${" + id + "}"
		}
	}
	return fmt.Sprint(value)
}
