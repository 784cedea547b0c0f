package events_test

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/ekspedite/ekspedite/events"
)

var update = flag.Bool("update", false, "write the contract table into README.md")

const (
	tableBegins = "<!-- The table is generated: go test ./events -run TestREADME -update -->\n"
	tableEnds   = "<!-- End of the generated table. -->\n"
)

func TestREADMEHasTheContractTable(t *testing.T) {
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok1 := strings.Cut(string(text), tableBegins)
	_, after, ok2 := strings.Cut(rest, tableEnds)
	if !ok1 || !ok2 {
		t.Fatal("README.md has lost the marks around its table")
	}
	want := before + tableBegins + contractTable() + tableEnds + after
	if want == string(text) {
		return
	}
	if !*update {
		t.Fatal("README.md is stale; run: go test ./events -run TestREADME -update")
	}
	if err := os.WriteFile("README.md", []byte(want), 0o644); err != nil {
		t.Fatal(err)
	}
}

func contractTable() string {
	var b strings.Builder
	b.WriteString("\n| Kind | Source and detail-type | Meaning | Handled by | Way | Samples | Documented |\n|---|---|---|---|---|---|---|\n")
	for _, c := range events.Contracts() {
		names := "`" + strings.Join(c.DetailTypes, "`<br>`") + "`"
		handler, way := c.Handler, string(c.Route)
		if c.Also != "" {
			handler += ", " + c.Also
		}
		switch c.Route {
		case events.RouteNone:
			handler, way = "–", c.Reason
		case events.RouteRule:
			way = "rule on the " + string(c.Bus) + " bus"
		}
		if len(c.Forms) > 1 || c.Forms[0] != events.FormEnvelope {
			way += fmt.Sprintf("; as %s", join(c.Forms))
		}
		var files []string
		for _, name := range c.Samples {
			label := strings.TrimPrefix(strings.TrimSuffix(strings.TrimPrefix(name, string(c.Kind)), ".json"), "-")
			if label == "" {
				label = "plain"
			}
			files = append(files, "["+label+"](samples/"+name+")")
		}
		origin := "[AWS](" + c.Origin + ")"
		if c.Source == events.SourceEkspedite {
			file := strings.TrimPrefix(c.Origin, "events/")
			origin = "[" + file + "](" + file + ")"
		}
		kind := "[" + string(c.Kind) + "](schemas/" + c.Schema + ")"
		if name := c.Type.Name(); name != string(c.Kind) {
			kind += "<br>type " + name
		}
		fmt.Fprintf(&b, "| %s | %s<br>%s | %s | %s | %s | %s | %s |\n",
			kind, c.Source, names, c.Meaning, handler, way, strings.Join(files, ", "), origin)
	}
	b.WriteString("\n")
	return b.String()
}

func join(forms []events.Form) string {
	var words []string
	for _, form := range forms {
		words = append(words, string(form))
	}
	return strings.Join(words, " or ")
}
