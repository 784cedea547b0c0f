package schedulertest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/controlplane"
	"github.com/ekspedite/ekspedite/shared/decide/packing"
)

// Environment variables of a longer search than the test's own.
const (
	envSeeds = "SEEDS"      // how many problems
	envFirst = "FIRST_SEED" // the first one's seed
	envKeep  = "KEEP"       // a folder for what fails, made small
)

const (
	defaultSeeds = 800
	// shrinkTries and shrinkTime bound the search for a small problem. A try takes 5 to 30 ms.
	shrinkTries = 1500
	shrinkTime  = 15 * time.Second
	// keepEach is how many small problems of a class are worth looking for.
	keepEach = 3
	// mostCounted is the share of problems with topology constraints in which there may be a finding that is only counted: of
	// each kind 0.7 % in 24,000 problems, and few problems may have more.
	mostCounted = 0.03
)

func number(t *testing.T, name string, otherwise uint64) uint64 {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// oracles is the one oracle of all tests here.
var oracles struct {
	sync.Once
	*Oracle
	err error
}

func theOracle(t *testing.T) *Oracle {
	t.Helper()
	oracles.Do(func() {
		binary, err := controlplane.Binary(context.Background(), filepath.Join("..", ".."), os.Stderr)
		if err == nil {
			oracles.Oracle, err = Start(context.Background(), binary)
		}
		oracles.err = err
	})
	if oracles.err != nil {
		t.Fatal(oracles.err)
	}
	return oracles.Oracle
}

func TestMain(m *testing.M) {
	code := m.Run()
	if oracles.Oracle != nil {
		if err := oracles.Close(); err != nil {
			fmt.Fprintln(os.Stderr, "the oracle ended with", err)
			code = 1
		}
	}
	os.Exit(code)
}

// Case is a failing problem as it is kept.
type Case struct {
	Seed     uint64           `json:"seed"`
	Finding  Finding          `json:"finding"`
	Problem  packing.Problem  `json:"problem"`
	Solution packing.Solution `json:"solution"`
}

// TestPlacementsPassTheSchedulersFilters is the property: in random problems, whatever the solver places passes the real
// filters in any order of binding, and what it leaves out passes nowhere.
func TestPlacementsPassTheSchedulersFilters(t *testing.T) {
	first, seeds, keep := number(t, envFirst, 1), number(t, envSeeds, defaultSeeds), os.Getenv(envKeep)
	checker := &Checker{Oracle: theOracle(t), Solve: packing.Solve, Orders: 2}
	var topological int
	found := map[string]int{}
	start := time.Now()
	for seed := first; seed < first+seeds; seed++ {
		p := Generate(seed)
		if asksAboutPods(p) {
			topological++
		}
		_, findings, err := checker.Check(p, seed)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		for i, f := range findings {
			if slices.ContainsFunc(findings[:i], func(o Finding) bool { return o.Class == f.Class }) {
				continue // in another order
			}
			found[f.Class]++
			say := t.Errorf
			if f.Class == GaveUpOnTopology || f.Class == Unstable {
				say = t.Logf
			}
			say("seed %d: %s", seed, f)
			if keep != "" && found[f.Class] <= keepEach {
				if err := keepSmall(checker, p, seed, f, keep); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	t.Logf("%d problems from seed %d in %s, %d with topology constraints; found: %v", seeds, first, time.Since(start).Round(time.Millisecond), topological, found)
	for _, class := range []string{GaveUpOnTopology, Unstable} {
		if n := found[class]; float64(n) > mostCounted*float64(topological)+1 {
			t.Errorf("%s: in %d of %d problems with topology constraints", class, n, topological)
		}
	}
}

// keepSmall writes the problem to a file, made small.
func keepSmall(c *Checker, p packing.Problem, seed uint64, f Finding, dir string) error {
	var fault error
	end := time.Now().Add(shrinkTime)
	fails := func(p packing.Problem) bool {
		if fault != nil || time.Now().After(end) {
			return false
		}
		_, findings, err := c.Check(p, seed)
		if errors.Is(err, ErrEndless) {
			fault = err
		}
		i := slices.IndexFunc(findings, func(o Finding) bool { return o.Class == f.Class })
		if i >= 0 {
			f = findings[i]
		}
		return i >= 0
	}
	kept := Case{Seed: seed, Problem: Shrink(p, shrinkTries, fails)}
	end = time.Now().Add(shrinkTime)
	fails(kept.Problem) // for what it says
	if kept.Finding = f; fault == nil && f.Class != Panicked {
		kept.Solution = c.Solve(kept.Problem)
	}
	text, err := json.MarshalIndent(kept, "", " ")
	if err != nil {
		return err
	}
	name := fmt.Sprintf("%s-%d.json", strings.ReplaceAll(f.Class, " ", "-"), seed)
	return errors.Join(fault, os.WriteFile(filepath.Join(dir, name), text, 0o644))
}
