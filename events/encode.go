package events

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"time"
)

// Extra returns the top-level fields of the envelope that ekspedite has no field for, nil if there are none.
func (e *Envelope) Extra() map[string]json.RawMessage {
	if e.wire.verbatim {
		return nil
	}
	var extra map[string]json.RawMessage
	for i, s := range e.wire.spans {
		if e.wire.known(i) != fieldOther {
			continue
		}
		name, _ := e.wire.textAt(s.key, s.keyEnd)
		if f, _ := fieldOf(name); f != fieldOther && f <= fieldDetail {
			continue // said twice, and the other one counts
		}
		if extra == nil {
			extra = map[string]json.RawMessage{}
		}
		extra[name] = e.wire.body[s.value:s.valueEnd]
	}
	return extra
}

// Encode writes the event as it was received, with the changes made to the fields of its Envelope since: unknown fields,
// their order and AWS's other spellings survive. A direct Auto Scaling notification, a wrapped event and a CodePipeline
// job are written as received, whatever was changed.
//
// What Encode writes of a CodePipeline job has no credentials: they are replaced by "REDACTED".
func (e Event) Encode() ([]byte, error) {
	if e.wire.verbatim {
		return bytes.Clone(e.wire.body), nil
	}
	if e.Detail == nil && e.Payload != nil {
		detail, err := json.Marshal(e.Payload)
		if err != nil {
			return nil, err
		}
		e.Detail = detail
	}
	if err := e.Envelope.check(); err != nil {
		return nil, err.in(&e.Envelope).public(nil)
	}
	if !json.Valid(e.Detail) {
		return nil, errors.New("events: the detail is not JSON")
	}
	out := make([]byte, 0, len(e.wire.body)+len(e.Detail)+256)
	add := func(key, value []byte) {
		out = append(out, ',')
		out = append(append(append(out, key...), ':'), value...)
	}
	for i, s := range e.wire.spans {
		value := e.wire.body[s.value:s.valueEnd]
		if f := e.wire.known(i); f != fieldOther {
			var err error
			if value, err = e.Envelope.current(f, value); err != nil {
				return nil, err
			}
		}
		add(e.wire.body[s.key:s.keyEnd], value)
	}
	for f := fieldVersion; f <= fieldDetail; f++ {
		if e.wire.has(f) || e.absent(f) {
			continue
		}
		value, err := e.Envelope.current(f, nil)
		if err != nil {
			return nil, err
		}
		add([]byte(`"`+names[f]+`"`), value)
	}
	out[0] = '{'
	return append(out, '}'), nil
}

// absent reports whether there is nothing to write of a field.
func (e *Envelope) absent(f field) bool {
	switch f {
	case fieldTime:
		return e.Time.IsZero()
	case fieldResources:
		return e.Resources == nil
	case fieldDetail:
		return false
	}
	return *e.text(f) == ""
}

// current is a field's JSON now: what was received if that still says the same.
func (e *Envelope) current(f field, received []byte) ([]byte, error) {
	null := string(received) == "null"
	switch f {
	case fieldDetail:
		return e.Detail, nil
	case fieldResources:
		if was, err := readResources(received); received != nil && err == nil && slices.Equal(was, e.Resources) {
			return received, nil
		}
		return json.Marshal([]string(e.Resources))
	case fieldTime:
		var was Timestamp
		if received != nil && was.UnmarshalJSON(received) == nil && was.Equal(e.Time) {
			return received, nil
		}
		return json.Marshal(e.Time.UTC().Format(time.RFC3339Nano))
	}
	var was string
	now := *e.text(f)
	if received != nil && (null || json.Unmarshal(received, &was) == nil) && was == now {
		return received, nil
	}
	return json.Marshal(now)
}
