package wire

import (
	"encoding/json"
	"net/http"
	"net/url"
	"reflect"
)

// RawResponse is an output that is not a JSON document: Lambda's Invoke answers with what the function returned.
type RawResponse interface {
	Raw() (status int, header http.Header, body []byte)
}

// decodeREST fills v from a restJson request: the JSON body, or all of it into the field tagged `body:"raw"`; then fields
// tagged `path:"name"`, `param:"maxResults"` and, for strings, `header:"X-Amz-Invocation-Type"`.
func decodeREST(r *http.Request, body []byte, v any) error {
	if f, ok := rawBody(v); ok {
		f.SetBytes(body)
	} else if len(body) > 0 {
		if err := json.Unmarshal(body, v); err != nil {
			return Errf("SerializationException", "the request's body is not valid JSON for this operation: %v", err)
		}
	}
	s := reflect.ValueOf(v).Elem()
	q := r.URL.Query()
	for i := range s.NumField() {
		f := s.Type().Field(i)
		if name := f.Tag.Get("path"); name != "" {
			s.Field(i).SetString(r.PathValue(name))
			continue
		}
		if name := f.Tag.Get("header"); name != "" {
			s.Field(i).SetString(r.Header.Get(name))
			continue
		}
		if name := f.Tag.Get("param"); name != "" && q.Has(name) {
			if err := setParam(s.Field(i), q, name); err != nil {
				return Errf("ValidationException", "query parameter %s: %v", name, err)
			}
		}
	}
	return nil
}

func setParam(v reflect.Value, q url.Values, name string) error {
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		return setScalar(v.Elem(), q.Get(name))
	case reflect.Slice:
		v.Set(reflect.ValueOf(q[name]))
		return nil
	}
	return setScalar(v, q.Get(name))
}

func rawBody(v any) (reflect.Value, bool) {
	s := reflect.ValueOf(v).Elem()
	for i := range s.NumField() {
		if s.Type().Field(i).Tag.Get("body") == "raw" {
			return s.Field(i), true
		}
	}
	return reflect.Value{}, false
}
