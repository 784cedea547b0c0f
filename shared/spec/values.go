package spec

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

// scalar is the text of a single value. Plain numbers and bools are taken as they were written.
func (v value) scalar() (string, bool) {
	if !v.there() {
		return "", false
	}
	if v.n.Kind != yaml.ScalarNode {
		v.wrong("must be a single value")
		return "", false
	}
	return v.n.Value, true
}

func (v value) text(otherwise string) string {
	if s, ok := v.scalar(); ok {
		return s
	}
	return otherwise
}

// texts are a list of texts, none empty, none twice.
func (v value) texts() []string {
	var out []string
	had := map[string]bool{}
	for _, item := range v.items() {
		s, ok := item.scalar()
		switch {
		case !ok && !item.there(), ok && s == "":
			item.wrong("is empty: drop it")
		case had[s]:
			item.wrong("%q is there twice: drop one", clip(s))
		case ok:
			had[s] = true
			out = append(out, s)
		}
	}
	return out
}

// textMap is a mapping of texts, like labels.
func (v value) textMap() map[string]string {
	if !v.there() {
		return nil
	}
	out := map[string]string{}
	for _, e := range v.entries() {
		out[e.key] = e.text("")
	}
	return out
}

// number is a whole number that is at least least; -1 where there is none.
func (v value) number(least int) int {
	s, ok := v.scalar()
	if !ok {
		return -1
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < least || n > maxNumber {
		v.wrong("%q must be a whole number, %d or more", clip(s), least)
		return -1
	}
	return n
}

const maxNumber = 100_000_000

// within is a whole number of a range; 0 where there is none.
func (v value) within(least, most int) int {
	n := v.number(least)
	if n > most {
		v.wrong("%d is too much: %d to %d are possible", n, least, most)
		return 0
	}
	return max(n, 0)
}

// flag is a boolean that may be left open.
func (v value) flag() *bool {
	if !v.there() {
		return nil
	}
	b := v.boolean(false)
	return &b
}

func (v value) boolean(otherwise bool) bool {
	s, ok := v.scalar()
	if !ok {
		return otherwise
	}
	switch strings.ToLower(s) {
	case "true", "yes", "on":
		return true
	case "false", "no", "off":
		return false
	}
	v.wrong("%q must be true or false", clip(s))
	return otherwise
}

func (v value) duration(otherwise time.Duration) time.Duration {
	s, ok := v.scalar()
	if !ok {
		return otherwise
	}
	d, err := parseDuration(s)
	if err != nil || d < 0 {
		v.wrong("%q must be a duration like 5s, 1m30s or 7d", clip(s))
		return otherwise
	}
	return d
}

// parseDuration is time's, and knows days of 24 hours: 60d, 1d12h.
func parseDuration(s string) (time.Duration, error) {
	days, rest, ok := strings.Cut(s, "d")
	if !ok {
		return time.ParseDuration(s)
	}
	n, err := strconv.Atoi(days)
	if err != nil || n < 0 || n > maxDays {
		return 0, errors.New("no number of days")
	}
	d := time.Duration(n) * 24 * time.Hour
	if rest == "" {
		return d, nil
	}
	more, err := time.ParseDuration(rest)
	if more < 0 {
		return 0, errors.New("days and less than nothing")
	}
	return d + more, err
}

// maxDays is a century.
const maxDays = 36_525

// oneOf is a text out of a choice.
func (v value) oneOf(otherwise string, choice ...string) string {
	s, ok := v.scalar()
	if !ok {
		return otherwise
	}
	if slices.Contains(choice, s) {
		return s
	}
	for _, c := range choice {
		if strings.EqualFold(c, s) {
			v.wrong("%q must be written %q", clip(s), c)
			return c
		}
	}
	if meant := nearest(s, choice); meant != "" {
		v.wrong("%q must be one of %s: did you mean %q?", clip(s), strings.Join(choice, ", "), meant)
		return otherwise
	}
	v.wrong("%q must be one of %s", clip(s), strings.Join(choice, ", "))
	return otherwise
}

// anyCase is oneOf where eksctl does not mind capital letters.
func (v value) anyCase(otherwise string, choice ...string) string {
	if s, ok := v.scalar(); ok {
		for _, c := range choice {
			if strings.EqualFold(c, s) {
				return c
			}
		}
	}
	return v.oneOf(otherwise, choice...)
}

// clip bounds what a problem repeats of the text.
func clip(s string) string {
	if len(s) > 60 {
		return strings.ToValidUTF8(s[:60], "") + "…"
	}
	return s
}

// document is free-form data: Props, []any and scalars. nil where there is nothing, or where it is too deep.
func (v value) document() any { return v.free(0) }

func (v value) free(depth int) any {
	if !v.there() || depth > maxDepth || !v.r.visit(v.n, 1) {
		return nil
	}
	switch v.n.Kind {
	case yaml.MappingNode:
		out := fleet.Props{}
		for _, e := range v.entries() {
			out[e.key] = e.free(depth + 1)
		}
		return out
	case yaml.SequenceNode:
		out := []any{}
		for _, item := range v.items() {
			out = append(out, item.free(depth+1))
		}
		return out
	}
	switch v.n.Tag {
	case "!!bool":
		return strings.EqualFold(v.n.Value, "true")
	case "!!int":
		var n int
		if v.n.Decode(&n) == nil {
			return n
		}
	case "!!float":
		var f float64
		if _, err := strconv.ParseFloat(v.n.Value, 64); err == nil && v.n.Decode(&f) == nil && f-f == 0 { // not .inf, not .nan
			return f
		}
	}
	return v.n.Value
}

// props is free-form data that must have fields; nil where there is nothing.
func (v value) props() fleet.Props {
	if !v.there() {
		return nil
	}
	if v.n.Kind != yaml.MappingNode {
		v.wrong("must have fields")
		return nil
	}
	p, _ := v.document().(fleet.Props)
	return p
}

// maxPolicy is what IAM lets the inline policies of a role have.
const maxPolicy = 10240

// iamPolicy is an IAM policy document, as JSON without needless space; "" where there is none.
func (v value) iamPolicy() string {
	doc := v.props()
	if len(doc) == 0 {
		return ""
	}
	v.statements(doc)
	text := asJSON(doc)
	if len(text) > maxPolicy {
		v.wrong("has %d letters: IAM takes %d in the inline policies of a role. Make managed policies of it", len(text), maxPolicy)
	}
	return text
}

// asJSON writes free-form data, whose kinds JSON all has, as IAM and people write it: < stays <.
func asJSON(doc fleet.Props) string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(doc); err != nil {
		return ""
	}
	return strings.TrimSpace(b.String())
}

// statements checks the form of a policy's: what they mean is IAM's to say.
func (v value) statements(doc fleet.Props) {
	list, ok := doc["Statement"].([]any)
	if one, is := doc["Statement"].(fleet.Props); is {
		list, ok = []any{one}, true
	}
	if !ok || len(list) == 0 {
		v.wrong("is no IAM policy: it needs Version and Statement")
	}
	for i, item := range list {
		s, _ := item.(fleet.Props)
		effect, _ := s["Effect"].(string)
		switch {
		case effect != "Allow" && effect != "Deny":
			v.wrong("Statement[%d].Effect must be Allow or Deny", i)
		case s["Action"] == nil && s["NotAction"] == nil:
			v.wrong("Statement[%d] needs Action or NotAction", i)
		case s["Resource"] == nil && s["NotResource"] == nil:
			v.wrong("Statement[%d] needs Resource or NotResource", i)
		}
	}
}

// jsonText is a text that holds a JSON object, without needless space.
func (v value) jsonText() string {
	s, ok := v.scalar()
	if !ok || s == "" {
		return ""
	}
	var object map[string]any
	var out bytes.Buffer
	if json.Unmarshal([]byte(s), &object) != nil || json.Compact(&out, []byte(s)) != nil {
		v.wrong("must be an IAM policy as JSON text")
		return ""
	}
	return out.String()
}
