package upgradeview

import (
	"encoding/json"
	"io"
	"strings"

	"github.com/ekspedite/ekspedite/shared/decide/readiness"
)

// sarifSchema is where SARIF 2.1.0 is described.
const sarifSchema = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"

type sarifLog struct {
	Schema  string     `json:"$schema"`
	Version string     `json:"version"`
	Runs    []sarifRun `json:"runs"`
}

type sarifRun struct {
	Tool        sarifTool         `json:"tool"`
	Invocations []sarifInvocation `json:"invocations"`
	Results     []sarifResult     `json:"results"`
	Properties  map[string]any    `json:"properties,omitempty"`
}

type sarifTool struct {
	Driver sarifDriver `json:"driver"`
}

type sarifDriver struct {
	Name           string      `json:"name"`
	InformationURI string      `json:"informationUri"`
	Rules          []sarifRule `json:"rules"`
}

type sarifRule struct {
	ID      string     `json:"id"`
	Name    string     `json:"name"`
	Short   sarifText  `json:"shortDescription"`
	Full    sarifText  `json:"fullDescription"`
	Default sarifLevel `json:"defaultConfiguration"`
}

type sarifLevel struct {
	Level string `json:"level"`
}

type sarifText struct {
	Text string `json:"text"`
}

type sarifInvocation struct {
	Successful bool   `json:"executionSuccessful"`
	End        string `json:"endTimeUtc"`
}

type sarifResult struct {
	RuleID       string             `json:"ruleId"`
	RuleIndex    int                `json:"ruleIndex"`
	Kind         string             `json:"kind"`
	Level        string             `json:"level"`
	Message      sarifText          `json:"message"`
	Locations    []sarifLocation    `json:"locations"`
	Suppressions []sarifSuppression `json:"suppressions,omitempty"`
	Fingerprints map[string]string  `json:"partialFingerprints"`
}

type sarifLocation struct {
	Logical []sarifLogical `json:"logicalLocations"`
}

type sarifLogical struct {
	Name      string `json:"name"`
	Qualified string `json:"fullyQualifiedName"`
	Kind      string `json:"kind"`
}

type sarifSuppression struct {
	Kind          string `json:"kind"`
	Status        string `json:"status"`
	Justification string `json:"justification"`
}

func sarifLevelOf(s readiness.Severity) string {
	return map[readiness.Severity]string{readiness.Block: "error", readiness.Warn: "warning", readiness.Info: "note"}[s]
}

// ReadinessSARIF writes a report as SARIF 2.1.0: a rule for each check of the catalogue, a result for each finding. A check that
// blocks and could not be made is an error, one that does not block is open.
func ReadinessSARIF(w io.Writer, r readiness.Report) error {
	run := sarifRun{
		Tool:        sarifTool{sarifDriver{Name: "ekspedite", InformationURI: "https://github.com/ekspedite/ekspedite"}},
		Invocations: []sarifInvocation{{Successful: true, End: r.At.UTC().Format("2006-01-02T15:04:05Z")}},
		Results:     []sarifResult{},
		Properties:  map[string]any{"cluster": r.Cluster.String(), "from": r.From, "to": r.To, "ready": r.Ready()},
	}
	index := map[string]int{}
	for i, c := range readiness.Catalogue() {
		index[c.ID] = i
		run.Tool.Driver.Rules = append(run.Tool.Driver.Rules, sarifRule{
			ID: c.ID, Name: camel(c.Title), Short: sarifText{c.Title}, Full: sarifText{c.Title + ". Read from: " + c.Read + "."},
			Default: sarifLevel{sarifLevelOf(c.Severity)},
		})
	}
	for _, f := range r.Findings {
		run.Results = append(run.Results, result(r, f, index[f.ID]))
	}
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(sarifLog{sarifSchema, "2.1.0", []sarifRun{run}})
}

func result(r readiness.Report, f readiness.Finding, rule int) sarifResult {
	out := sarifResult{RuleID: f.ID, RuleIndex: rule, Kind: "fail", Level: sarifLevelOf(f.Severity), Message: sarifText{f.Text},
		Fingerprints: map[string]string{"cluster/check": r.Cluster.String() + "/" + f.ID}}
	switch {
	case f.Status == readiness.Pass:
		out.Kind, out.Level = "pass", "none"
	case f.Status == readiness.Unknown && !f.Blocks():
		out.Kind, out.Level = "open", "none"
	case f.Status == readiness.Waived:
		out.Suppressions = []sarifSuppression{{Kind: "external", Status: "accepted", Justification: f.Waiver}}
	}
	if f.Remedy != "" && f.Status == readiness.Fail {
		out.Message.Text += "\n" + f.Remedy
	}
	for _, e := range f.Evidence {
		name, _, _ := strings.Cut(e, ": ")
		out.Locations = append(out.Locations, sarifLocation{[]sarifLogical{{Name: name, Qualified: r.Cluster.String() + "/" + name, Kind: "resource"}}})
	}
	if len(out.Locations) == 0 {
		out.Locations = []sarifLocation{{[]sarifLogical{{Name: r.Cluster.Name, Qualified: r.Cluster.String(), Kind: "resource"}}}}
	}
	return out
}

// camel is a title as a rule's name: "BudgetsThatAllowNothingNow".
func camel(title string) string {
	var b strings.Builder
	for _, word := range strings.FieldsFunc(title, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9')
	}) {
		b.WriteString(strings.ToUpper(word[:1]) + word[1:])
	}
	return b.String()
}
