// fieldlist turns eksctl's JSON schema (eksctl utils schema) into eksctl-fields.txt: every field of a ClusterConfig, one a
// line, indented by two spaces below the field it belongs to. Lists are written like what they hold. "*" stands for any
// key of a map. A type that contains itself is cut where it begins again.
//
//	go run ./shared/spec/internal/fieldlist schema.json > shared/spec/eksctl-fields.txt
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
)

type schema struct {
	Ref         string            `json:"$ref"`
	Definitions map[string]schema `json:"definitions"`
	Properties  map[string]schema `json:"properties"`
	Items       *schema           `json:"items"`
	Type        any               `json:"type"`
	// AdditionalProperties is false, true or the schema of a map's values.
	AdditionalProperties json.RawMessage `json:"additionalProperties"`
}

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "fieldlist:", err)
		os.Exit(1)
	}
}

func run(args []string, w io.Writer) error {
	if len(args) != 1 {
		return fmt.Errorf("want the path of eksctl's schema")
	}
	text, err := os.ReadFile(args[0])
	if err != nil {
		return err
	}
	var root schema
	if err := json.Unmarshal(text, &root); err != nil {
		return err
	}
	out := bufio.NewWriter(w)
	if err := write(out, root.Definitions, root, 0, nil); err != nil {
		return err
	}
	return out.Flush()
}

func write(w io.Writer, defs map[string]schema, s schema, depth int, open []string) error {
	for s.Ref != "" || s.Items != nil {
		if s.Ref == "" {
			s = *s.Items
			continue
		}
		name := strings.TrimPrefix(s.Ref, "#/definitions/")
		if slices.Contains(open, name) {
			return nil
		}
		def, ok := defs[name]
		if !ok {
			return fmt.Errorf("no definition %s", name)
		}
		open, s = append(slices.Clone(open), name), def
	}
	for _, field := range slices.Sorted(maps.Keys(s.Properties)) {
		if _, err := fmt.Fprintf(w, "%s%s\n", strings.Repeat("  ", depth), field); err != nil {
			return err
		}
		if err := write(w, defs, s.Properties[field], depth+1, open); err != nil {
			return err
		}
	}
	anyKey := len(s.Properties) == 0 && s.Type == "object" // a free object
	var values schema
	if a := string(s.AdditionalProperties); a != "" && a != "false" {
		anyKey = true
		if a != "true" {
			if err := json.Unmarshal(s.AdditionalProperties, &values); err != nil {
				return err
			}
		}
	}
	if !anyKey {
		return nil
	}
	if _, err := fmt.Fprintf(w, "%s*\n", strings.Repeat("  ", depth)); err != nil {
		return err
	}
	return write(w, defs, values, depth+1, open)
}
