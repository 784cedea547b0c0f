package stack

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Template is one synthesized CloudFormation template.
type Template struct {
	Name string // the stack's name: the file's, without .template.json or .json
	Body []byte
}

// ReadDir reads all templates of a folder, in the order of their names. Where one imports what another exports, Load
// sorts it out.
func ReadDir(dir string) ([]Template, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		return nil, err
	}
	if len(paths) == 0 {
		return nil, fmt.Errorf("%s holds no template (*.json): run `make synth`", dir)
	}
	slices.Sort(paths)
	var out []Template
	for _, p := range paths {
		body, err := os.ReadFile(p)
		if err != nil {
			return nil, err
		}
		name := strings.TrimSuffix(strings.TrimSuffix(filepath.Base(p), ".json"), ".template")
		out = append(out, Template{Name: name, Body: body})
	}
	return out, nil
}

// The sections and attributes that may stand in a template. What is not here is an error, so that nothing of a template
// is dropped in silence.
type document struct {
	AWSTemplateFormatVersion string
	Description              string
	Metadata                 json.RawMessage
	Parameters               map[string]parameter
	Mappings                 map[string]map[string]map[string]any
	Conditions               map[string]any
	// Rules check parameters before a deployment. CDK's one rule asks for a recent bootstrap stack, of which there is
	// none here.
	Rules     json.RawMessage
	Resources map[string]*declared
	Outputs   map[string]output
}

type parameter struct {
	Type                  string
	Default               any
	Description           string
	AllowedValues         []any
	AllowedPattern        string
	ConstraintDescription string
	NoEcho                any
	MinLength, MaxLength  any
	MinValue, MaxValue    any
}

type declared struct {
	Type       string
	Properties any
	DependsOn  any
	Condition  string
	Metadata   json.RawMessage
	// The policies below speak of updates, deletions and slow starts of real stacks. The embedded cloud has none of them.
	DeletionPolicy, UpdateReplacePolicy string
	UpdatePolicy, CreationPolicy        json.RawMessage
}

type output struct {
	Description string
	Value       any
	Export      *struct{ Name any }
	Condition   string
}

func parse(t Template) (*document, error) {
	d := json.NewDecoder(bytes.NewReader(t.Body))
	d.UseNumber()
	d.DisallowUnknownFields()
	doc := new(document)
	if err := d.Decode(doc); err != nil {
		return nil, fmt.Errorf("template %s: %w", t.Name, err)
	}
	if len(doc.Resources) == 0 {
		return nil, fmt.Errorf("template %s has no resources", t.Name)
	}
	return doc, nil
}

// dependencies of a DependsOn attribute: one name or a list.
func (d *declared) dependsOn() ([]string, error) {
	switch v := d.DependsOn.(type) {
	case nil:
		return nil, nil
	case string:
		return []string{v}, nil
	case []any:
		var out []string
		for _, e := range v {
			s, ok := e.(string)
			if !ok {
				return nil, errors.New("DependsOn holds something that is not a name")
			}
			out = append(out, s)
		}
		return out, nil
	}
	return nil, errors.New("DependsOn is neither a name nor a list of names")
}
