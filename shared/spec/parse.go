// Package spec reads what users write: eksctl ClusterConfigs (eksctl.io/v1alpha5), ekspedite ClusterPolicies and a FleetPolicy
// (ekspedite.dev/v1alpha1), several YAML documents in one text. It is offline and pure.
//
// Everything that is to be said about a text is said at once, with line and path: wrong values are errors; fields that are
// known but not acted on, and unknown ones, are warnings. A field is an error, though, if a cluster made without it could
// not be put right later, or would be more open than was asked for: nobody reads a warning in time for that.
package spec

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

// Spec is one cluster: what it shall be, and how it is to be looked after.
type Spec struct {
	Cluster fleet.ClusterSpec
	Policy  fleet.Policy
	// Text is the documents that are about this cluster: Parse(Text) is this Spec alone.
	Text string
}

// API versions and kinds of the documents.
const (
	eksctlVersion = "eksctl.io/v1alpha5"
	clusterKind   = "ClusterConfig"
	policyVersion = "ekspedite.dev/v1alpha1"
	policyKind    = "ClusterPolicy"
	fleetKind     = "FleetPolicy"
)

// maxText is more than an event can carry.
const maxText = 1 << 20

// document is one of a text.
type document struct {
	root value
	text string
}

// File is all that a text says: clusters, in the order of their ClusterConfigs, and what holds for the whole fleet.
type File struct {
	Clusters []Spec
	Fleet    *fleet.FleetPolicy // nil if the text has none

	dated []dated
}

// Parse reads the clusters of a text, of which there is at least one. They are not to be used if the report has errors.
func Parse(text []byte) ([]Spec, Report) {
	f, report := Read(text)
	if f.Fleet != nil && len(f.Clusters) == 0 && len(report.Errors) == 0 {
		report.Errors = append(report.Errors, Problem{Line: 1, Message: noCluster})
	}
	return f.Clusters, report
}

const noCluster = "there is no cluster in the text: it needs a document with apiVersion " + eksctlVersion + ", kind " + clusterKind

// Read reads a text. It may have no cluster if it has a FleetPolicy. What it says is not to be used if the report has errors.
func Read(text []byte) (File, Report) {
	var report Report
	if len(text) > maxText {
		report.Errors = append(report.Errors, Problem{Line: 1, Message: fmt.Sprintf("the text has %d bytes: at most %d can be read", len(text), maxText)})
		return File{}, report
	}
	var f File
	var policies, fleets []document
	lines := map[string]int{} // of clusters, by Region and name
	docs := documents(text, &report)
	for _, doc := range docs {
		version, kind := doc.root.at("apiVersion").text(""), doc.root.at("kind").text("")
		switch {
		case version == eksctlVersion && kind == clusterKind:
			c := doc.root.cluster()
			if first, twice := lines[c.Region+"/"+c.Name]; twice && c.Name != "" {
				doc.root.at("metadata", "name").wrong("cluster %s is there twice, first in line %d: give it another name or drop it", c.Name, first)
			}
			lines[c.Region+"/"+c.Name] = doc.root.r.before + doc.root.at("metadata", "name").line
			f.Clusters = append(f.Clusters, Spec{Cluster: c, Policy: fleet.DefaultPolicy(), Text: doc.text})
			doc.root.r.rest(doc.root, clusterFields(), 0, notActedOn)
		case version == policyVersion && kind == policyKind:
			policies = append(policies, doc)
		case version == policyVersion && kind == fleetKind:
			fleets = append(fleets, doc)
		default:
			doc.root.wrong("apiVersion %q, kind %q is nothing that ekspedite reads: use %s %s, or %s %s or %s",
				clip(version), clip(kind), eksctlVersion, clusterKind, policyVersion, policyKind, fleetKind)
		}
	}
	for _, doc := range fleets {
		if f.Fleet != nil {
			doc.root.wrong("there is a %s already: put both into one", fleetKind)
			continue
		}
		p := doc.root.fleetPolicy()
		f.Fleet = &p
		doc.root.r.rest(doc.root, fleetFields(), 0, nil)
	}
	had := map[string]bool{}
	for _, doc := range policies {
		doc.root.assign(f.Clusters, had, doc.text)
		doc.root.ringOf(f.Fleet)
		doc.root.r.rest(doc.root, ownFields(), 0, nil)
	}
	if len(f.Clusters) == 0 && f.Fleet == nil && len(report.Errors) == 0 {
		report.Errors = append(report.Errors, Problem{Line: 1, Message: noCluster})
	}
	for _, doc := range docs {
		f.dated = append(f.dated, doc.root.r.dated...)
	}
	report.sort()
	return f, report
}

// documents splits a text and reads each part, so that a mistake in one does not hide those in another.
func documents(text []byte, report *Report) []document {
	var out []document
	for _, p := range split(text) {
		nodes, err := decode(p.text)
		if err != nil {
			report.Errors = append(report.Errors, syntax(err, p.before))
		}
		for i, n := range nodes {
			root := target(n)
			v := value{r: newReader(report, p.before), n: root, line: n.Line}
			switch {
			case !v.there():
			case i > 0:
				v.wrong("begin this document with a line ---")
			case root.Kind != yaml.MappingNode:
				v.wrong("a document must have fields: apiVersion, kind, metadata, …")
			default:
				out = append(out, document{v, p.text})
			}
		}
	}
	return out
}

// decode reads the documents of one part: one, unless it uses the end marker "...". The YAML package has paniced on
// hostile input before; then the input is not YAML.
func decode(text string) (out []*yaml.Node, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("line 1: cannot be read (%v)", p)
		}
	}()
	decoder := yaml.NewDecoder(strings.NewReader(text))
	for {
		var n yaml.Node
		err := decoder.Decode(&n)
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return out, err
		}
		if len(n.Content) > 0 {
			out = append(out, n.Content[0])
		}
	}
}

// syntax is a YAML error with its line in the whole text.
func syntax(err error, before int) Problem {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	line := 1
	if n, scanErr := fmt.Sscanf(text, "line %d: ", &line); n == 1 && scanErr == nil {
		if _, rest, ok := strings.Cut(text, ": "); ok {
			text = rest
		}
	}
	return Problem{Line: before + line, Message: "not YAML: " + text}
}

type part struct {
	text   string
	before int // lines before it
}

// split cuts a text at its document separators, which are always at the beginning of a line.
func split(text []byte) []part {
	var out []part
	begin, before, at, n := 0, 0, 0, 0
	flush := func() {
		if t := string(text[begin:at]); !blank(t) {
			out = append(out, part{t, before})
		}
		begin, before = at, n
	}
	for line := range bytes.Lines(text) {
		if bytes.HasPrefix(line, []byte("---")) && (len(line) == 3 || bytes.ContainsAny(line[3:4], " \t\r\n")) {
			flush()
		}
		at += len(line)
		n++
	}
	flush()
	return out
}

// blank tells whether there are only comments and directives.
func blank(text string) bool {
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line != "" && line != "---" && line[0] != '#' && line[0] != '%' {
			return false
		}
	}
	return true
}
