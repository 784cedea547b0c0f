package events

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// MaxBody is the longest body that Decode reads, in bytes: what an SQS message can hold.
const MaxBody = 1 << 20

// Decode reads one event from a message body. Four shapes are events:
//
//   - the EventBridge envelope;
//   - Auto Scaling's notification, sent by a lifecycle hook straight to the queue, or its test notification;
//   - either of them as a JSON string in the Message of an SNS-style wrapper;
//   - a CodePipeline job.
//
// A well-formed event that no contract knows is not an error: its kind is KindUnknown. Every error is a
// *MalformedError. The event keeps references into body, which must not be changed afterwards.
func Decode(body []byte) (Event, error) {
	event, err := decode(body, 0)
	if err != nil {
		return Event{}, err.public(body)
	}
	return event, nil
}

// decode is Decode with depth 1 for what was inside a wrapper.
func decode(body []byte, depth int) (Event, *fault) {
	switch {
	case len(body) > MaxBody:
		return Event{}, &fault{reason: "the body has " + strconv.Itoa(len(body)) + " bytes, more than a message can hold"}
	case len(bytes.TrimLeft(body, " \t\r\n")) == 0:
		return Event{}, &fault{reason: "the body is empty"}
	case !json.Valid(body): // also bounds the nesting
		return Event{}, &fault{reason: "the body is not JSON, or is cut off, or is nested too deeply"}
	}
	w, err := scan(body)
	if err != nil {
		return Event{}, err
	}
	switch {
	case w.has(fieldCodePipeline):
		if depth > 0 {
			return Event{}, &fault{field: "Message", reason: "must not wrap a CodePipeline job"}
		}
		return decodeCodePipeline(&w)
	case w.has(fieldSource), w.has(fieldDetailType), w.has(fieldDetail):
		return decodeEnvelope(w)
	case w.has(fieldTransition), w.has(fieldEvent):
		return decodeAutoScaling(&w)
	case w.has(fieldMessage):
		if depth > 0 {
			return Event{}, &fault{field: "Message", reason: "must not wrap another wrapper"}
		}
		return decodeWrapper(&w)
	}
	return Event{}, &fault{reason: "the body is neither an EventBridge envelope, nor an Auto Scaling notification, nor a CodePipeline job"}
}

// decodeEnvelope reads the EventBridge envelope: the fields around the detail, then the detail by its contract.
func decodeEnvelope(w wire) (Event, *fault) {
	event := Event{Kind: KindUnknown}
	env := &event.Envelope
	var err *fault
	for f := fieldVersion; f <= fieldDetail; f++ {
		raw := w.value(f)
		if raw == nil || string(raw) == "null" {
			continue
		}
		switch f {
		case fieldResources:
			if env.Resources, err = readResources(raw); err != nil {
				return Event{}, err.in(env)
			}
		case fieldDetail:
			env.Detail = raw
		default:
			text, ok := w.text(f)
			if !ok {
				return Event{}, (&fault{field: w.key(f), reason: "want a string, got " + jsonType(raw)}).in(env)
			}
			if f == fieldTime {
				err = readTime(env, text)
			} else {
				*env.text(f) = text
			}
			if err != nil {
				return Event{}, err.in(env)
			}
		}
	}
	if err := env.check(); err != nil {
		return Event{}, err.in(env)
	}
	env.wire = w
	contract := lookup(env.Source, env.DetailType)
	if contract == nil {
		return event, nil
	}
	event.Kind = contract.Kind
	if event.Payload, err = contract.decode(env); err != nil {
		err.kind = contract.Kind
		return Event{}, err.in(env)
	}
	return event, nil
}

// text is where a field that is a plain string is kept.
func (e *Envelope) text(f field) *string {
	switch f {
	case fieldVersion:
		return &e.Version
	case fieldID:
		return &e.ID
	case fieldDetailType:
		return &e.DetailType
	case fieldSource:
		return &e.Source
	case fieldAccount:
		return &e.Account
	case fieldRegion:
		return &e.Region
	}
	panic("events: no text field")
}

func readResources(raw []byte) (StringList, *fault) {
	var list StringList
	if list.UnmarshalJSON(raw) != nil {
		return nil, &fault{field: "resources", reason: "not a list of strings, nor a string"}
	}
	return list, nil
}

func readTime(env *Envelope, text string) *fault {
	parsed, ok := parseTime(text)
	switch {
	case ok:
		env.Time = parsed
		return nil
	case text == "":
		return &fault{field: "time", reason: "is missing"}
	case strings.HasPrefix(text, "<aws.scheduler."):
		return &fault{field: "time", reason: "EventBridge Scheduler did not fill in its context attribute", value: text}
	}
	return &fault{field: "time", reason: "not a time", value: text}
}

// check says whether the envelope has what every event has.
func (e *Envelope) check() *fault {
	switch {
	case e.Source == "":
		return missing("source")
	case e.DetailType == "":
		return missing("detail-type")
	case e.ID == "":
		return missing("id")
	case e.Time.IsZero():
		return missing("time")
	case e.Detail == nil:
		return missing("detail")
	case e.Detail[0] != '{':
		return &fault{field: "detail", reason: "want an object, got " + jsonType(e.Detail)}
	}
	return nil
}

// decodeWrapper reads the event inside {"Message": "<json>"}, as SNS writes it. Encode gives the wrapper back.
func decodeWrapper(w *wire) (Event, *fault) {
	text, ok := w.text(fieldMessage)
	if !ok {
		return Event{}, &fault{field: "Message", reason: "want a JSON text as a string, got " + jsonType(w.value(fieldMessage))}
	}
	event, err := decode([]byte(text), 1)
	if err != nil {
		err.reason = "inside Message: " + err.reason
		return Event{}, err
	}
	event.wire = wire{body: w.body, verbatim: true}
	return event, nil
}

// checker is a payload that knows what it must have. The envelope is there for what the detail does not repeat.
type checker interface{ check(env *Envelope) *fault }

// into decodes the detail into a T and checks it.
func into[T any, P interface {
	*T
	checker
}](env *Envelope) (any, *fault) {
	payload := P(new(T))
	if err := json.Unmarshal(env.Detail, payload); err != nil {
		return nil, detailFault(err, env.Detail, reflect.TypeFor[T]())
	}
	if err := payload.check(env); err != nil {
		err.field = "detail." + err.field
		return nil, err
	}
	return payload, nil
}

// detailFault turns encoding/json's error into ours. Its own text may repeat any amount of the input.
func detailFault(err error, detail []byte, into reflect.Type) *fault {
	var mismatch *json.UnmarshalTypeError
	if !errors.As(err, &mismatch) {
		return timeFault(detail, into)
	}
	f := &fault{field: "detail"}
	if mismatch.Field != "" {
		f.field += "." + mismatch.Field
	}
	if ours(mismatch.Type) {
		f.reason, f.value, _ = strings.Cut(mismatch.Value, ": ")
		if unquoted, err := strconv.Unquote(f.value); err == nil {
			f.value = unquoted
		}
		return f
	}
	got, _, _ := strings.Cut(mismatch.Value, " ")
	f.reason = "want " + mismatch.Type.Kind().String() + ", got " + got
	return f
}

// timeFault finds the time.Time that encoding/json could not read: its error does not say which one it was.
func timeFault(detail []byte, into reflect.Type) *fault {
	var values map[string]json.RawMessage
	_ = json.Unmarshal(detail, &values)
	for i := range into.NumField() {
		name, _, _ := strings.Cut(into.Field(i).Tag.Get("json"), ",")
		raw, found := values[name]
		if found && into.Field(i).Type == reflect.TypeFor[time.Time]() && json.Unmarshal(raw, new(time.Time)) != nil {
			return &fault{field: "detail." + name, reason: "not a time", value: strings.Trim(string(raw), `"`)}
		}
	}
	return &fault{field: "detail", reason: "cannot be read"}
}

// fault is a MalformedError in the making: the value apart, since not every body may be quoted.
type fault struct {
	field, reason, value string
	kind                 Kind
	id, detailType       string
}

func missing(field string) *fault { return &fault{field: field, reason: "is missing"} }

// in notes which event the fault is in.
func (f *fault) in(env *Envelope) *fault {
	f.id, f.detailType = env.ID, env.DetailType
	return f
}

// secretive are the words of bodies that must not be quoted at all, in lower case.
var secretive = [][]byte{[]byte("secretaccesskey"), []byte("sessiontoken"), []byte("accesskeyid"), []byte("credentials"), []byte("password")}

func (f *fault) public(body []byte) *MalformedError {
	e := &MalformedError{Reason: f.reason, Field: f.field, Kind: f.kind, ID: clip(f.id), DetailType: clip(f.detailType)}
	lower := bytes.ToLower(body)
	quotable := true
	for _, word := range secretive {
		quotable = quotable && !bytes.Contains(lower, word)
	}
	if f.value != "" && quotable {
		e.Reason += ": " + quote(f.value)
	}
	if f.field != "" {
		e.Reason = f.field + ": " + e.Reason
	}
	if !quotable {
		e.ID, e.DetailType = "", ""
	}
	return e
}
