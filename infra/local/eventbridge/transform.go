package eventbridge

import (
	"bytes"
	"encoding/json"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// shape makes a target's payload out of an event.
type shape func(r *rule, d delivery) []byte

// shapeOf reads Input, InputPath or InputTransformer.
func shapeOf(t *Target) (shape, error) {
	given := 0
	for _, b := range []bool{t.Input != "", t.InputPath != "", t.InputTransformer != nil} {
		if b {
			given++
		}
	}
	switch {
	case given > 1:
		return nil, invalid("Only one of Input, InputPath, or InputTransformer must be provided for target %s.", t.ID)
	case t.Input != "":
		if !json.Valid([]byte(t.Input)) {
			return nil, invalid("Invalid Input for target %s: it is not valid JSON.", t.ID)
		}
		return func(*rule, delivery) []byte { return []byte(t.Input) }, nil
	case t.InputPath != "":
		path, err := parsePath(t.InputPath)
		if err != nil {
			return nil, err
		}
		return func(_ *rule, d delivery) []byte {
			v, ok := path.find(decode(d.event))
			if !ok {
				return []byte("null")
			}
			return encode(v)
		}, nil
	case t.InputTransformer != nil:
		return parseTransformer(t.ID, t.InputTransformer)
	}
	return func(_ *rule, d delivery) []byte { return d.event }, nil
}

func decode(event []byte) any {
	var v any
	d := json.NewDecoder(bytes.NewReader(event))
	d.UseNumber()
	_ = d.Decode(&v) // made by us
	return v
}

// encode writes JSON without the HTML escapes that Go adds and AWS does not.
func encode(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(v) // came out of JSON
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// path is a JSON path of plain steps: names (string) and indexes (int).
type path []any

var pathSteps = regexp.MustCompile(`^(?:\.([^.\[\]*]+)|\[(\d+)\]|\['([^']*)'\]|\["([^"]*)"\])`)

func parsePath(text string) (path, error) {
	rest, ok := strings.CutPrefix(text, "$")
	if !ok {
		return nil, invalid("Invalid JSON path %s: it must start with $.", text)
	}
	var p path
	for rest != "" {
		m := pathSteps.FindStringSubmatch(rest)
		if m == nil {
			return nil, notImplemented("the JSON path %s (only names and indexes)", text)
		}
		if m[2] != "" {
			n, err := strconv.Atoi(m[2])
			if err != nil {
				return nil, invalid("Invalid JSON path %s: %v", text, err)
			}
			p = append(p, n)
		} else {
			p = append(p, m[1]+m[3]+m[4]) // only one of them is set
		}
		rest = rest[len(m[0]):]
	}
	return p, nil
}

func (p path) find(v any) (any, bool) {
	for _, step := range p {
		switch step := step.(type) {
		case int:
			l, ok := v.([]any)
			if !ok || step >= len(l) {
				return nil, false
			}
			v = l[step]
		case string:
			o, _ := v.(map[string]any)
			var ok bool
			if v, ok = o[step]; !ok {
				return nil, false
			}
		}
	}
	return v, true
}

var placeholders = regexp.MustCompile(`<([A-Za-z0-9_.\-]+)>`)

// predefined are the variables that exist without a path.
var predefined = []string{"aws.events.rule-arn", "aws.events.rule-name", "aws.events.event.ingestion-time", "aws.events.event", "aws.events.event.json"}

// parseTransformer reads a template. Its text is kept as it is, quotes included; a <variable> within quotes becomes the
// bare text of its value, elsewhere its JSON. A variable whose path finds nothing leaves nothing.
func parseTransformer(id string, in *inputTransformer) (shape, error) {
	paths := map[string]path{}
	for name, text := range in.InputPathsMap {
		if strings.HasPrefix(strings.ToLower(name), "aws") {
			return nil, invalid("Invalid InputPathsMap for target %s: a key must not start with AWS: %s", id, name)
		}
		p, err := parsePath(text)
		if err != nil {
			return nil, err
		}
		paths[name] = p
	}
	if in.InputTemplate == "" {
		return nil, invalid("Parameter InputTemplate must be provided for target %s.", id)
	}
	var quoted []bool // by placeholder
	at := placeholders.FindAllStringSubmatchIndex(in.InputTemplate, -1)
	for _, m := range at {
		name := in.InputTemplate[m[2]:m[3]]
		if _, ok := paths[name]; !ok && !slices.Contains(predefined, name) {
			return nil, invalid("Invalid InputTemplate for target %s: the variable <%s> is not in InputPathsMap.", id, name)
		}
		quoted = append(quoted, inQuotes(in.InputTemplate[:m[0]]))
	}
	return func(r *rule, d delivery) []byte {
		event := decode(d.event)
		var b bytes.Buffer
		last := 0
		for i, m := range at {
			b.WriteString(in.InputTemplate[last:m[0]])
			last = m[1]
			name := in.InputTemplate[m[2]:m[3]]
			v, ok := paths[name].find(event)
			if _, own := paths[name]; !own {
				v, ok = builtin(name, r, d, event), true
			}
			if !ok {
				continue
			}
			text := encode(v)
			if quoted[i] {
				if _, isString := v.(string); !isString {
					text = encode(string(text))
				}
				text = text[1 : len(text)-1]
			}
			b.Write(text)
		}
		b.WriteString(in.InputTemplate[last:])
		return b.Bytes()
	}, nil
}

func inQuotes(before string) bool {
	in := false
	for i := 0; i < len(before); i++ {
		switch before[i] {
		case '\\':
			i++
		case '"':
			in = !in
		}
	}
	return in
}

func builtin(name string, r *rule, d delivery, event any) any {
	switch name {
	case "aws.events.rule-arn":
		return r.arn
	case "aws.events.rule-name":
		return r.name
	case "aws.events.event.ingestion-time":
		return d.arrived.UTC().Format(time.RFC3339)
	case "aws.events.event":
		o := map[string]any{}
		for k, v := range event.(map[string]any) {
			if k != "detail" {
				o[k] = v
			}
		}
		return o
	}
	return event
}
