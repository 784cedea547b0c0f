package archtest

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestEveryRuleOfInterruptionsHasATest: docs/interruption-rules.md names for each of the 28 rules tests that are there, by its number.
func TestEveryRuleOfInterruptionsHasATest(t *testing.T) {
	const root = "../.."
	tests := map[string]bool{}
	declared := regexp.MustCompile(`(?m)^func (Test\w+)\(`)
	for _, room := range []string{"shared", "infra", "cmd", "internal", "events"} {
		err := filepath.WalkDir(filepath.Join(root, room), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") {
				return err
			}
			source, err := os.ReadFile(path)
			for _, m := range declared.FindAllSubmatch(source, -1) {
				tests[string(m[1])] = true
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(root + "/docs/interruption-rules.md")
	if err != nil {
		t.Fatal(err)
	}
	row, named := regexp.MustCompile(`(?m)^\| (R\d+) \|.*$`), regexp.MustCompile("`(Test\\w+)`")
	told := map[string]bool{}
	for _, line := range row.FindAllStringSubmatch(string(text), -1) {
		rule := line[1]
		told[rule] = true
		list := named.FindAllStringSubmatch(line[0], -1)
		if len(list) == 0 {
			t.Errorf("%s names no test", rule)
		}
		for _, m := range list {
			if !tests[m[1]] || !strings.Contains(m[1], rule+"_") {
				t.Errorf("%s: %s is no test, or not one of this rule", rule, m[1])
			}
		}
	}
	for n := 1; n <= 28; n++ {
		if rule := fmt.Sprintf("R%d", n); !told[rule] {
			t.Errorf("%s is missing", rule)
		}
	}
}
