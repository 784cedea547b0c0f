package events

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// StringList is a list of strings that may arrive as one bare string.
type StringList []string

// UnmarshalJSON accepts an array of strings, one string, or null.
func (l *StringList) UnmarshalJSON(raw []byte) error {
	if len(raw) > 0 && raw[0] == '"' {
		var one string
		if err := json.Unmarshal(raw, &one); err != nil {
			return err
		}
		*l = StringList{one}
		return nil
	}
	// Pointers tell a null element, which is a fault, from "".
	var many []*string
	if err := json.Unmarshal(raw, &many); err != nil {
		return mismatch[StringList]("not a list of strings")
	}
	*l = nil
	if many != nil {
		*l = make(StringList, len(many))
	}
	for i, s := range many {
		if s == nil {
			return mismatch[StringList]("not a list of strings")
		}
		(*l)[i] = *s
	}
	return nil
}

// StringMap is a map of strings whose odd values (numbers, lists) are kept as their JSON text instead of failing the
// event. AWS Health's metadata and tags are not worth rejecting an instance retirement for.
type StringMap map[string]string

// UnmarshalJSON accepts an object or null.
func (m *StringMap) UnmarshalJSON(raw []byte) error {
	var values map[string]json.RawMessage
	if err := json.Unmarshal(raw, &values); err != nil {
		return mismatch[StringMap]("not an object")
	}
	*m = nil
	if values != nil {
		*m = make(StringMap, len(values))
	}
	for name, value := range values {
		var text string
		if json.Unmarshal(value, &text) != nil {
			text = string(value)
		}
		(*m)[name] = text
	}
	return nil
}

// LooseInt is a whole number that may arrive as a string: AWS Health's page numbers do.
type LooseInt int64

// UnmarshalJSON accepts 12, "12", "" and null; the latter two are 0.
func (n *LooseInt) UnmarshalJSON(raw []byte) error {
	text := string(raw)
	if text == "null" {
		return nil
	}
	if len(raw) >= 2 && raw[0] == '"' {
		if text = text[1 : len(text)-1]; text == "" {
			*n = 0
			return nil
		}
	}
	value, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return mismatch[LooseInt]("not a whole number: " + quote(text))
	}
	*n = LooseInt(value)
	return nil
}

// Timestamp is a time in any of the ways in which AWS writes one: RFC 3339 with or without a fraction, RFC 1123
// (AWS Health), and RFC 3339 followed by "[UTC]" (Fargate's pod terminations). An empty string is the zero time. A time
// which cannot be read is an error, never the present.
type Timestamp struct{ time.Time }

// UnmarshalJSON accepts a string or null.
func (t *Timestamp) UnmarshalJSON(raw []byte) error {
	if string(raw) == "null" {
		return nil
	}
	var text string
	if err := json.Unmarshal(raw, &text); err != nil {
		return mismatch[Timestamp]("not a time: want a string, got " + jsonType(raw))
	}
	if text == "" {
		t.Time = time.Time{}
		return nil
	}
	parsed, ok := parseTime(text)
	if !ok {
		return mismatch[Timestamp]("not a time: " + quote(text))
	}
	t.Time = parsed
	return nil
}

// MarshalJSON writes RFC 3339, and the zero time as "".
func (t Timestamp) MarshalJSON() ([]byte, error) {
	if t.IsZero() {
		return []byte(`""`), nil
	}
	return t.Time.MarshalJSON()
}

// parseTime reads AWS's ways to write a time. The result is in UTC.
func parseTime(text string) (time.Time, bool) {
	text = strings.TrimSuffix(text, "[UTC]")
	parsed, err := time.Parse(time.RFC3339, text)
	if err != nil {
		if parsed, err = time.Parse(time.RFC1123, text); err != nil {
			return time.Time{}, false
		}
		// RFC 1123 names its zone, and Go gives a name it does not know the offset 0: "12:00 CET" would be an hour off.
		if zone, _ := parsed.Zone(); zone != "GMT" && zone != "UTC" {
			return time.Time{}, false
		}
	}
	// An offset may move a time out of the years that RFC 3339 can write.
	if parsed = parsed.UTC(); parsed.Year() < 0 || parsed.Year() > 9999 {
		return time.Time{}, false
	}
	return parsed, true
}

// mismatch is the error of an UnmarshalJSON above. encoding/json adds the path of the field to this type of error, and
// to no other.
func mismatch[T any](reason string) error {
	return &json.UnmarshalTypeError{Value: reason, Type: reflect.TypeFor[T]()}
}

// ours reports whether an UnmarshalTypeError was made by mismatch, and its Value is our own text.
func ours(t reflect.Type) bool {
	switch t {
	case reflect.TypeFor[StringList](), reflect.TypeFor[StringMap](), reflect.TypeFor[LooseInt](), reflect.TypeFor[Timestamp]():
		return true
	}
	return false
}

// jsonType names the type of a JSON value with its article.
func jsonType(raw []byte) string {
	raw = bytes.TrimLeft(raw, " \t\r\n")
	if len(raw) == 0 {
		return "nothing"
	}
	switch raw[0] {
	case '{':
		return "an object"
	case '[':
		return "an array"
	case '"':
		return "a string"
	case 't', 'f':
		return "a boolean"
	case 'n':
		return "null"
	}
	return "a number"
}

// clip cuts a text to maxExcerpt bytes, on a rune boundary.
func clip(text string) string {
	if len(text) <= maxExcerpt {
		return text
	}
	end := maxExcerpt
	for end > 0 && !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + "…"
}

// quote clips and quotes a text for a message.
func quote(text string) string { return fmt.Sprintf("%q", clip(text)) }
