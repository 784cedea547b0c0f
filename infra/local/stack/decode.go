package stack

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strconv"
)

// Decode reads a resource's properties into the struct that v points to. Properties are named as the struct's fields, or
// by their json tags. Scalars are read as leniently as CloudFormation does it ("300" for 300, "true" for true, 300 for
// "300"); json.RawMessage, any and maps of any take what is there. A property that the struct lacks is an error: all such
// errors come at once.
func Decode(properties json.RawMessage, v any) error {
	d := json.NewDecoder(bytes.NewReader(properties))
	d.UseNumber()
	var tree any
	if err := d.Decode(&tree); err != nil {
		return err
	}
	return fill("", tree, reflect.ValueOf(v).Elem())
}

var rawMessage = reflect.TypeFor[json.RawMessage]()

func fill(at string, from any, to reflect.Value) error {
	if to.Type() == rawMessage {
		raw, err := json.Marshal(from)
		to.SetBytes(raw)
		return err
	}
	if from == nil {
		return nil
	}
	switch to.Kind() {
	case reflect.Pointer:
		to.Set(reflect.New(to.Type().Elem()))
		return fill(at, from, to.Elem())
	case reflect.Interface:
		to.Set(reflect.ValueOf(from))
		return nil
	case reflect.Struct:
		return fillStruct(at, from, to)
	case reflect.Slice:
		return fillSlice(at, from, to)
	case reflect.Map:
		return fillMap(at, from, to)
	}
	text, err := scalar(from)
	if err == nil {
		err = setScalar(to, text)
	}
	if err != nil {
		return fmt.Errorf("property %s: %w", at, err)
	}
	return nil
}

func fillStruct(at string, from any, to reflect.Value) error {
	m, ok := from.(map[string]any)
	if !ok {
		return fmt.Errorf("property %s: an object was expected, not %v", at, from)
	}
	fields := map[string]reflect.Value{}
	for i := range to.NumField() {
		f := to.Type().Field(i)
		if tag := f.Tag.Get("json"); tag != "" {
			fields[tag] = to.Field(i)
		} else {
			fields[f.Name] = to.Field(i)
		}
	}
	var errs []error
	for _, k := range sortedKeys(m) {
		f, ok := fields[k]
		if !ok {
			errs = append(errs, fmt.Errorf("property %s is not implemented", below(at, k)))
			continue
		}
		if err := fill(below(at, k), m[k], f); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func fillSlice(at string, from any, to reflect.Value) error {
	l, ok := from.([]any)
	if !ok {
		return fmt.Errorf("property %s: a list was expected, not %v", at, from)
	}
	to.Set(reflect.MakeSlice(to.Type(), len(l), len(l)))
	var errs []error
	for i, e := range l {
		errs = append(errs, fill(fmt.Sprintf("%s[%d]", at, i), e, to.Index(i)))
	}
	return errors.Join(errs...)
}

func fillMap(at string, from any, to reflect.Value) error {
	m, ok := from.(map[string]any)
	if !ok {
		return fmt.Errorf("property %s: an object was expected, not %v", at, from)
	}
	to.Set(reflect.MakeMap(to.Type()))
	var errs []error
	for k, e := range m {
		v := reflect.New(to.Type().Elem()).Elem()
		errs = append(errs, fill(below(at, k), e, v))
		to.SetMapIndex(reflect.ValueOf(k), v)
	}
	return errors.Join(errs...)
}

func below(at, name string) string {
	if at == "" {
		return name
	}
	return at + "." + name
}

func setScalar(to reflect.Value, text string) error {
	switch to.Kind() {
	case reflect.String:
		to.SetString(text)
	case reflect.Bool:
		b, err := strconv.ParseBool(text)
		to.SetBool(b)
		return err
	case reflect.Int, reflect.Int32, reflect.Int64:
		n, err := strconv.ParseInt(text, 10, 64)
		to.SetInt(n)
		return err
	case reflect.Float64:
		f, err := strconv.ParseFloat(text, 64)
		to.SetFloat(f)
		return err
	default:
		return fmt.Errorf("a %s cannot be read", to.Kind())
	}
	return nil
}
