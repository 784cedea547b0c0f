package readiness

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write docs/checks.md")

// TestDocumentIsFresh keeps docs/checks.md what the catalogue is: go test ./shared/decide/readiness -update.
func TestDocumentIsFresh(t *testing.T) {
	path := filepath.Join("..", "..", "..", "docs", "checks.md")
	want := document()
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(path)
	if err != nil || string(have) != want {
		t.Errorf("%s is not what the catalogue is (%v): go test ./shared/decide/readiness -update", path, err)
	}
}

func document() string {
	var b strings.Builder
	blocking := 0
	for _, c := range Catalogue() {
		if c.Severity == Block {
			blocking++
		}
	}
	fmt.Fprintf(&b, `# The checks before an upgrade

`+"`ekspedite upgrade check`"+` and the upgrade function make all of these. This page is written by
`+"`go test ./shared/decide/readiness -update`"+`.

%d checks, of which %d can block. The severity is the worst that a check can find: many find less where the facts are
milder. What could not be read is *not known*, and of a check that blocks this blocks, too; API05 and OPS03 only warn then,
since they take a grant that not everybody can give.

A check lets pass what the policy waives (`+"`checks.waivers`"+`): by id, for one object as the evidence names it or for all, until
a time, with a reason.

| check | what | worst | read from | parts |
|---|---|---|---|---|
`, len(catalogue), blocking)
	for _, c := range Catalogue() {
		var parts []string
		for _, p := range c.Parts {
			parts = append(parts, string(p))
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", c.ID, c.Title, c.Severity, c.Read, strings.Join(parts, ", "))
	}
	fmt.Fprintf(&b, "\nRemoved APIs: %d kinds, as of %s, from %s.\n", len(Removals()), RemovalsAsOf, RemovalsSource)
	return b.String()
}
