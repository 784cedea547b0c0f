package awscloud

import (
	"bytes"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/aws/smithy-go/middleware"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

// props is what an SDK value says, in the API's own names. What it does not say is not there: nil pointers, empty strings,
// lists and maps. The keys of maps are data and stay as they are.
func props(v any) fleet.Props {
	p, _ := plain(reflect.ValueOf(v)).(fleet.Props)
	if p == nil {
		p = fleet.Props{}
	}
	return p
}

func plain(v reflect.Value) any {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			return nil
		}
		return plain(v.Elem())
	case reflect.Struct:
		if t, ok := v.Interface().(time.Time); ok {
			return t.UTC().Format(time.RFC3339)
		}
		return object(v)
	case reflect.Slice:
		return list(v)
	case reflect.Map:
		return keyed(v)
	case reflect.String:
		if v.Len() == 0 {
			return nil
		}
		return v.String()
	case reflect.Bool:
		return v.Bool()
	case reflect.Int, reflect.Int32, reflect.Int64:
		return int(v.Int())
	case reflect.Float32, reflect.Float64:
		return v.Float()
	}
	return nil
}

var metadata = reflect.TypeFor[middleware.Metadata]()

func object(v reflect.Value) any {
	out := fleet.Props{}
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if !f.IsExported() || f.Type == metadata {
			continue
		}
		if p := plain(v.Field(i)); p != nil {
			out[lower(f.Name)] = p
		}
	}
	return out
}

// lower makes a Go field's name the API's: "VpcId" is "vpcId".
func lower(name string) string {
	r := []rune(name)
	r[0] = unicode.ToLower(r[0])
	return string(r)
}

func list(v reflect.Value) any {
	if v.Len() == 0 {
		return nil
	}
	if v.Type().Elem().Kind() == reflect.Uint8 {
		return string(v.Bytes())
	}
	out := make([]any, 0, v.Len())
	for i := range v.Len() {
		out = append(out, plain(v.Index(i)))
	}
	return out
}

func keyed(v reflect.Value) any {
	if v.Len() == 0 {
		return nil
	}
	if m, ok := v.Interface().(map[string]string); ok {
		return m
	}
	out := fleet.Props{}
	for _, k := range v.MapKeys() {
		if p := plain(v.MapIndex(k)); p != nil {
			out[k.String()] = p
		}
	}
	return out
}

// fill reads Props into an SDK input. A name that the input does not have is an error: nothing is left out in silence.
func fill(in fleet.Props, out any) error {
	text, err := json.Marshal(in)
	if err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	return d.Decode(out)
}

// pairs are tags as EC2, IAM and others list them: {key, value}.
func pairs(p fleet.Props, path ...string) map[string]string {
	out := map[string]string{}
	for _, t := range fleet.Items(p, path...) {
		out[fleet.Text(t, "key")] = fleet.Text(t, "value")
	}
	return out
}

// issues are a health report's: "code: message (resources)".
func issues(p fleet.Props, path ...string) (out []string) {
	for _, i := range fleet.Items(p, path...) {
		text := fleet.Text(i, "code") + fleet.Text(i, "errorCode") + ": " + fleet.Text(i, "message") + fleet.Text(i, "errorMessage")
		if ids := fleet.Texts(i, "resourceIds"); len(ids) > 0 {
			slices.Sort(ids)
			text += " (" + strings.Join(ids, ", ") + ")"
		}
		out = append(out, text)
	}
	return out
}
