package events

import (
	"encoding/json"
	"slices"
	"strings"
	"unicode/utf8"
)

// field is a top-level field that Decode knows, in any of its spellings.
type field uint8

const (
	fieldOther field = iota
	fieldVersion
	fieldID
	fieldDetailType
	fieldSource
	fieldAccount
	fieldTime
	fieldRegion
	fieldResources
	fieldDetail
	// Below are no parts of an envelope; they tell the other shapes.
	fieldCodePipeline
	fieldTransition
	fieldEvent
	fieldMessage
	fields
)

// names are the fields as EventBridge spells them; Encode uses them for fields that were not received.
var names = [fields]string{"", "version", "id", "detail-type", "source", "account", "time", "region", "resources", "detail",
	"CodePipeline.job", "LifecycleTransition", "Event", "Message"}

// fieldOf recognises a top-level name. The second result tells the capacity block page's spelling from EventBridge's.
func fieldOf(name string) (f field, alias bool) {
	switch name {
	case "detail_type":
		return fieldDetailType, true
	case "customer_event_id":
		return fieldID, true
	}
	for f := fieldVersion; f < fields; f++ {
		if names[f] == name {
			return f, false
		}
	}
	return fieldOther, false
}

// wire is a body as it was received: what Encode needs to give everything back.
type wire struct {
	body []byte
	// str is body as a string, of which the envelope's texts are parts.
	str string
	// spans are the top-level fields in their order.
	spans []span
	// at is the index of each known field in spans, plus one.
	at [fields]uint16
	// verbatim is set for every shape but the envelope: Encode returns body.
	verbatim bool
}

// span is one top-level field, as offsets into the body.
type span struct{ key, keyEnd, value, valueEnd uint32 }

func (w *wire) has(f field) bool { return w.at[f] > 0 }

// value is the JSON of a known field, nil if it is absent.
func (w *wire) value(f field) json.RawMessage {
	if !w.has(f) {
		return nil
	}
	s := w.spans[w.at[f]-1]
	return w.body[s.value:s.valueEnd:s.valueEnd]
}

// key is a known field's name as received.
func (w *wire) key(f field) string {
	if !w.has(f) {
		return names[f]
	}
	s := w.spans[w.at[f]-1]
	name, _ := w.textAt(s.key, s.keyEnd)
	return name
}

// text is the string that a known field holds; false if it holds none.
func (w *wire) text(f field) (string, bool) {
	if !w.has(f) {
		return "", false
	}
	s := w.spans[w.at[f]-1]
	return w.textAt(s.value, s.valueEnd)
}

// textAt is the string in this part of the body; false if it is none. It costs nothing where nothing is escaped.
func (w *wire) textAt(start, end uint32) (string, bool) {
	raw := w.body[start:end]
	if raw[0] != '"' {
		return "", false
	}
	inner := w.str[start+1 : end-1]
	if strings.IndexByte(inner, '\\') >= 0 || !utf8.ValidString(inner) {
		var text string
		err := json.Unmarshal(raw, &text)
		return text, err == nil
	}
	return inner, true
}

// scan finds the top-level fields of body, which is valid JSON.
func scan(body []byte) (wire, *fault) {
	w := wire{body: body[:len(body):len(body)], str: string(body)}
	i := skipSpace(body, 0)
	if body[i] != '{' {
		return wire{}, &fault{reason: "the body is " + jsonType(body[i:]) + ", not an object"}
	}
	w.spans = make([]span, 0, 12)
	aliased := [fields]bool{}
	for i = skipSpace(body, i+1); body[i] != '}'; {
		var s span
		s.key, s.keyEnd = uint32(i), uint32(skipValue(body, i))
		colon := skipSpace(body, int(s.keyEnd))
		i = skipSpace(body, colon+1)
		s.value, s.valueEnd = uint32(i), uint32(skipValue(body, i))
		if i = skipSpace(body, int(s.valueEnd)); body[i] == ',' {
			i = skipSpace(body, i+1)
		}
		w.spans = append(w.spans, s)
		if len(w.spans) > 1000 {
			return wire{}, &fault{reason: "the body has more than 1000 top-level fields"}
		}
		name, _ := w.textAt(s.key, s.keyEnd)
		// EventBridge's own spelling wins over the other; of one name said twice the last wins, as in encoding/json.
		if f, alias := fieldOf(name); f != fieldOther && (!w.has(f) || !alias || aliased[f]) {
			w.at[f], aliased[f] = uint16(len(w.spans)), alias
		}
	}
	return w, nil
}

func skipSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\t' || b[i] == '\r' || b[i] == '\n') {
		i++
	}
	return i
}

// skipValue returns the end of the value that starts at i. It relies on b being valid, and does not recurse.
func skipValue(b []byte, i int) int {
	switch b[i] {
	case '"':
		return skipString(b, i)
	case '{', '[':
		for depth := 0; ; i++ {
			switch b[i] {
			case '{', '[':
				depth++
			case '}', ']':
				if depth--; depth == 0 {
					return i + 1
				}
			case '"':
				i = skipString(b, i) - 1
			}
		}
	}
	for i < len(b) && !strings.ContainsRune(",]} \t\r\n", rune(b[i])) {
		i++
	}
	return i
}

func skipString(b []byte, i int) int {
	for i++; b[i] != '"'; i++ {
		if b[i] == '\\' {
			i++
		}
	}
	return i + 1
}

// known is the envelope field which the span at index i is the source of.
func (w *wire) known(i int) field {
	if f := slices.Index(w.at[:fieldDetail+1], uint16(i+1)); f > 0 {
		return field(f)
	}
	return fieldOther
}
