package workload

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// strict decodes one JSON value. An error begins with the place.
func strict(raw []byte, v any, place string) error {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	err := d.Decode(v)
	if err == nil {
		return nil
	}
	var wrong *json.UnmarshalTypeError
	if errors.As(err, &wrong) {
		if wrong.Field != "" {
			place += "." + wrong.Field
		}
		return fmt.Errorf("%s: is %s, and shall be %s", place, wrong.Value, kind(wrong.Type))
	}
	var any any
	if json.Unmarshal(raw, &any) == nil {
		if at := unknown(any, reflect.TypeOf(v)); at != "" {
			return fmt.Errorf("%s%s: unknown field", place, at)
		}
	}
	return fmt.Errorf("%s: %s", place, strings.TrimPrefix(err.Error(), "json: "))
}

// kind is a type in a user's words.
func kind(t reflect.Type) string {
	switch t.Kind() {
	case reflect.String:
		return "a text"
	case reflect.Bool:
		return "true or false"
	case reflect.Slice:
		return "a list"
	case reflect.Struct, reflect.Map:
		return "an object"
	case reflect.Float64:
		return "a number"
	}
	return "a whole number"
}

// unknown is the path of the first field of a decoded value that its type does not have: encoding/json says the name only.
func unknown(v any, t reflect.Type) string {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch v := v.(type) {
	case []any:
		if t.Kind() == reflect.Slice {
			for i, e := range v {
				if at := unknown(e, t.Elem()); at != "" {
					return fmt.Sprintf("[%d]%s", i, at)
				}
			}
		}
	case map[string]any:
		if t.Kind() != reflect.Struct {
			return ""
		}
		known := map[string]reflect.Type{}
		fields(t, known)
		names := make([]string, 0, len(v))
		for name := range v {
			names = append(names, name)
		}
		slices.Sort(names)
		for _, name := range names {
			of, ok := known[strings.ToLower(name)]
			if !ok {
				return "." + name
			}
			if at := unknown(v[name], of); at != "" {
				return "." + name + at
			}
		}
	}
	return ""
}

// fields collects the fields of a struct and of those that it embeds, by lower-case name, as encoding/json compares them.
func fields(t reflect.Type, into map[string]reflect.Type) {
	for f := range t.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Anonymous && name == "" && f.Type.Kind() == reflect.Pointer:
			fields(f.Type.Elem(), into)
		case f.Anonymous && name == "":
			fields(f.Type, into)
		default:
			into[strings.ToLower(name)] = f.Type
		}
	}
}

// members calls f with the text of each name and value of an object. raw is JSON already; what is not an object is an error.
func members(raw []byte, f func(name, value []byte) error) error {
	i := space(raw, 0)
	if i >= len(raw) || raw[i] != '{' {
		return errors.New(": is not an object")
	}
	for i = space(raw, i+1); i < len(raw) && raw[i] != '}'; i = space(raw, i) {
		if raw[i] == ',' {
			i = space(raw, i+1)
		}
		end := value(raw, i)
		name := raw[i:end]
		i = space(raw, space(raw, end)+1) // past the colon
		end = value(raw, i)
		if err := f(name, raw[i:end]); err != nil {
			return err
		}
		i = end
	}
	return nil
}

// space is the index of the first character from i that is not white space.
func space(raw []byte, i int) int {
	for i < len(raw) && (raw[i] == ' ' || raw[i] == '\n' || raw[i] == '\t' || raw[i] == '\r') {
		i++
	}
	return i
}

// value is the index after the value that begins at i.
func value(raw []byte, i int) int {
	depth := 0
	for ; i < len(raw); i++ {
		switch raw[i] {
		case '"':
			for i++; i < len(raw) && raw[i] != '"'; i++ {
				if raw[i] == '\\' {
					i++
				}
			}
			if depth == 0 {
				return i + 1
			}
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return i
			}
			if depth--; depth == 0 {
				return i + 1
			}
		case ',', ' ', '\n', '\t', '\r':
			if depth == 0 {
				return i
			}
		}
	}
	return i
}
