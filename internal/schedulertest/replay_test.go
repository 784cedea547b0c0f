package schedulertest

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/ekspedite/ekspedite/shared/decide/packing"
)

// TestKeptCases replays what a search has kept in the folder KEEP: to see whether it is mended.
func TestKeptCases(t *testing.T) {
	dir := os.Getenv(envKeep)
	if dir == "" {
		t.Skip("KEEP names no folder")
	}
	c := &Checker{Oracle: theOracle(t), Solve: packing.Solve, Orders: 3}
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
