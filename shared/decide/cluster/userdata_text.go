package cluster

import (
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

// scalar is a value as JSON has it, which YAML and TOML read in the same way.
func scalar(v any) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(err) // a spec is made of what JSON has
	}
	return strings.TrimSuffix(b.String(), "\n")
}

var plainWord = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9-]+$`)

// word is a key, in quotes where it needs them: YAML takes some words for booleans.
func word(key string) string {
	if plainWord.MatchString(key) && !slices.Contains([]string{"true", "false", "yes", "no", "on", "off", "null"}, strings.ToLower(key)) {
		return key
	}
	return scalar(key)
}

// yamlText writes Props as YAML, by name, each level two spaces deeper.
func yamlText(p fleet.Props, level int) string {
	var b strings.Builder
	indent := strings.Repeat("  ", level)
	for _, k := range slices.Sorted(maps.Keys(p)) {
		switch v := p[k].(type) {
		case fleet.Props:
			b.WriteString(indent + word(k) + ":\n" + yamlText(v, level+1))
		default: // a list in JSON is one in YAML, too
			b.WriteString(indent + word(k) + ": " + scalar(v) + "\n")
		}
	}
	return b.String()
}

// tomlText writes Props as tables of TOML, by name: plain values first, since what follows a table's head is the table's.
func tomlText(p fleet.Props, table string) string {
	var b strings.Builder
	keys := slices.Sorted(maps.Keys(p))
	for _, k := range keys {
		if _, isTable := p[k].(fleet.Props); !isTable {
			if b.Len() == 0 {
				b.WriteString("[" + table + "]\n")
			}
			b.WriteString(word(k) + " = " + tomlValue(p[k]) + "\n")
		}
	}
	for _, k := range keys {
		if inner, isTable := p[k].(fleet.Props); isTable {
			b.WriteString(tomlText(inner, table+"."+word(k)))
		}
	}
	return b.String()
}

// tomlValue is a value that is not a table of its own: an object within a list is written in line.
func tomlValue(v any) string {
	var parts []string
	switch v := v.(type) {
	case []any:
		for _, item := range v {
			parts = append(parts, tomlValue(item))
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case fleet.Props:
		for _, k := range slices.Sorted(maps.Keys(v)) {
			parts = append(parts, word(k)+" = "+tomlValue(v[k]))
		}
		return "{ " + strings.Join(parts, ", ") + " }"
	}
	return scalar(v)
}
