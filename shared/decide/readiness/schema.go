package readiness

import (
	"fmt"
	"math"
	"reflect"
	"regexp"
	"slices"
	"strings"
)

// validate holds a value against a JSON schema, as far as EKS's schemas of add-ons go: type, enum, const, properties,
// additionalProperties, required, items, pattern, minimum, maximum, minItems, maxItems, $ref into the document, allOf, anyOf and
// oneOf. What it does not know it lets pass: EKS has the last word.
func validate(root, schema map[string]any, value any, path string, depth int) (out []string) {
	if depth > 60 {
		return nil
	}
	at := func(format string, args ...any) {
		out = append(out, strings.TrimPrefix(path, ".")+" "+fmt.Sprintf(format, args...))
	}
	if ref, ok := schema["$ref"].(string); ok {
		if target := resolve(root, ref); target != nil {
			return validate(root, target, value, path, depth+1)
		}
		return nil
	}
	if !typed(schema["type"], value) {
		at("is %s, and must be %v", typeName(value), schema["type"])
		return out
	}
	if enum, ok := schema["enum"].([]any); ok && !slices.ContainsFunc(enum, func(e any) bool { return reflect.DeepEqual(e, value) }) {
		at("is %v, and must be one of %v", value, enum)
	}
	if c, ok := schema["const"]; ok && !reflect.DeepEqual(c, value) {
		at("is %v, and must be %v", value, c)
	}
	for _, s := range schemas(schema["allOf"]) {
		out = append(out, validate(root, s, value, path, depth+1)...)
	}
	for _, word := range []string{"anyOf", "oneOf"} {
		if list := schemas(schema[word]); len(list) > 0 && !slices.ContainsFunc(list, func(s map[string]any) bool { return len(validate(root, s, value, path, depth+1)) == 0 }) {
			at("fits none of what is allowed")
		}
	}
	switch v := value.(type) {
	case map[string]any:
		out = append(out, validateObject(root, schema, v, path, depth)...)
	case []any:
		if items, ok := schema["items"].(map[string]any); ok {
			for i, e := range v {
				out = append(out, validate(root, items, e, fmt.Sprintf("%s[%d]", path, i), depth+1)...)
			}
		}
		if n, ok := schema["minItems"].(float64); ok && float64(len(v)) < n {
			at("has %d items, and must have at least %v", len(v), n)
		}
		if n, ok := schema["maxItems"].(float64); ok && float64(len(v)) > n {
			at("has %d items, and may have at most %v", len(v), n)
		}
	case string:
		if p, ok := schema["pattern"].(string); ok {
			if re, err := regexp.Compile(p); err == nil && !re.MatchString(v) {
				at("is %q, and must be like %s", v, p)
			}
		}
	case float64:
		if n, ok := schema["minimum"].(float64); ok && v < n {
			at("is %v, and must be at least %v", v, n)
		}
		if n, ok := schema["maximum"].(float64); ok && v > n {
			at("is %v, and may be at most %v", v, n)
		}
	}
	return out
}

func validateObject(root, schema map[string]any, v map[string]any, path string, depth int) (out []string) {
	properties, _ := schema["properties"].(map[string]any)
	patterns, _ := schema["patternProperties"].(map[string]any)
	for _, name := range sortedKeys(v) {
		if s, ok := properties[name].(map[string]any); ok {
			out = append(out, validate(root, s, v[name], path+"."+name, depth+1)...)
			continue
		}
		if _, ok := properties[name]; ok || len(patterns) > 0 {
			continue
		}
		switch more := schema["additionalProperties"].(type) {
		case bool:
			if !more {
				out = append(out, strings.TrimPrefix(path+"."+name, ".")+" is not known")
			}
		case map[string]any:
			out = append(out, validate(root, more, v[name], path+"."+name, depth+1)...)
		}
	}
	required, _ := schema["required"].([]any)
	for _, r := range required {
		if name, ok := r.(string); ok {
			if _, have := v[name]; !have {
				out = append(out, strings.TrimPrefix(path+"."+name, ".")+" is required")
			}
		}
	}
	return out
}

// resolve follows a reference within the document: "#/definitions/Toleration".
func resolve(root map[string]any, ref string) map[string]any {
	rest, ok := strings.CutPrefix(ref, "#")
	if !ok {
		return nil
	}
	at := root
	for _, name := range strings.Split(strings.Trim(rest, "/"), "/") {
		if name == "" {
			continue
		}
		next, ok := at[strings.NewReplacer("~1", "/", "~0", "~").Replace(name)].(map[string]any)
		if !ok {
			return nil
		}
		at = next
	}
	return at
}

func schemas(v any) (out []map[string]any) {
	list, _ := v.([]any)
	for _, e := range list {
		if s, ok := e.(map[string]any); ok {
			out = append(out, s)
		}
	}
	return out
}

func typeName(value any) string {
	switch v := value.(type) {
	case nil:
		return "null"
	case bool:
		return "boolean"
	case string:
		return "string"
	case []any:
		return "array"
	case map[string]any:
		return "object"
	case float64:
		if v == math.Trunc(v) {
			return "integer"
		}
		return "number"
	}
	return "unknown"
}

// typed tells whether a value is of the type, or one of the types, that a schema names.
func typed(want, value any) bool {
	is := typeName(value)
	one := func(t any) bool { return t == is || t == "number" && is == "integer" }
	switch want := want.(type) {
	case string:
		return one(want)
	case []any:
		return slices.ContainsFunc(want, one)
	}
	return true
}
