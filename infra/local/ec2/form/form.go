// Package form holds what the query-protocol services of the embedded cloud (ec2, autoscaling) share: a way to refuse
// parameters that are not implemented, wildcard filters, pagination, and calls made after the locks are released.
package form

import (
	"encoding/base64"
	"reflect"

	"github.com/ekspedite/ekspedite/infra/local/wire"
)

// Unsupported is the type of a request parameter that AWS has and the embedded cloud does not implement. An input
// struct names such a parameter as a *Unsupported field; Check refuses a request that carries it, whatever its shape.
type Unsupported struct{}

var unsupportedType = reflect.TypeFor[*Unsupported]()

// Check returns an error that names the first parameter in the request (a pointer to a struct) that is Unsupported.
func Check(operation string, in any) error {
	if path := present(reflect.ValueOf(in).Elem()); path != "" {
		return &wire.Error{Code: "NotImplemented", Status: 501,
			Message: "the embedded cloud does not implement the parameter " + path + " of " + operation}
	}
	return nil
}

// present returns the path of a given Unsupported parameter at or below v, or "".
func present(v reflect.Value) string {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			return present(v.Elem())
		}
	case reflect.Slice:
		for i := range v.Len() {
			if path := present(v.Index(i)); path != "" {
				return path
			}
		}
	case reflect.Struct:
		for i := range v.NumField() {
			f := v.Type().Field(i)
			if !f.IsExported() {
				continue
			}
			if f.Type == unsupportedType {
				if !v.Field(i).IsNil() {
					return f.Name
				}
				continue
			}
			if path := present(v.Field(i)); path != "" {
				return f.Name + "." + path
			}
		}
	}
	return ""
}

// DryRun tells whether the request has a DryRun parameter and it is true.
func DryRun(in any) bool {
	f := reflect.ValueOf(in).Elem().FieldByName("DryRun")
	return f.IsValid() && f.Kind() == reflect.Bool && f.Bool()
}

// Match tells whether value fits the filter value pattern, in which * stands for any characters and ? for one.
func Match(pattern, value string) bool {
	for i := 0; i < len(pattern); i++ {
		switch {
		case pattern[i] == '*':
			for j := 0; j <= len(value)-i; j++ {
				if Match(pattern[i+1:], value[i+j:]) {
					return true
				}
			}
			return false
		case i >= len(value), pattern[i] != '?' && pattern[i] != value[i]:
			return false
		}
	}
	return len(pattern) == len(value)
}

// MatchAny tells whether one of the values fits one of the patterns.
func MatchAny(patterns, values []string) bool {
	for _, p := range patterns {
		for _, v := range values {
			if Match(p, v) {
				return true
			}
		}
	}
	return false
}

// Page cuts one page out of items, which are in ascending order of their keys. The token is the last key served, so that
// what is created or deleted between two pages neither repeats nor skips anything else. ok is false for a bad token.
func Page[T any](items []T, key func(T) string, size int, token string) (page []T, next string, ok bool) {
	if token != "" {
		last, err := base64.StdEncoding.DecodeString(token)
		if err != nil {
			return nil, "", false
		}
		for len(items) > 0 && key(items[0]) <= string(last) {
			items = items[1:]
		}
	}
	if size > 0 && len(items) > size {
		items = items[:size]
		next = base64.StdEncoding.EncodeToString([]byte(key(items[size-1])))
	}
	return items, next, true
}
