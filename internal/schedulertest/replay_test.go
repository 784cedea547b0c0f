package schedulertest

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/ekspedite/ekspedite/shared/decide/packing"
)

// TestKeptCases replays what once failed: testdata, and the folder in KEEP.
func TestKeptCases(t *testing.T) {
	c := &Checker{Oracle: theOracle(t), Solve: packing.Solve, Orders: 3}
	for _, dir := range []string{"testdata", os.Getenv(envKeep)} {
		files, err := filepath.Glob(filepath.Join(dir, "*.json"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var kept Case
			if err := json.Unmarshal(text, &kept); err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			_, findings, err := c.Check(kept.Problem, kept.Seed)
			if err != nil {
				t.Errorf("%s: %v", file, err)
			}
			for _, f := range findings {
				if f.Class != Unstable && f.Class != GaveUpOnTopology {
					t.Errorf("%s: %s", file, f)
				}
			}
		}
	}
}
