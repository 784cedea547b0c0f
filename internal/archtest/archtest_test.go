// Package archtest says who may import whom, and why. Its rules stand in .golangci.yml as well, so that they show in the
// editor; here they are complete: they follow imports of imports, and need nothing but the go command.
package archtest

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/ekspedite/ekspedite/"

// pkg is what go list says of a package.
type pkg struct {
	ImportPath string
	Imports    []string
	Standard   bool
}

// rule says what packages must not import. Patterns are import paths, within this module without its name; a final "..."
// is everything below. Test files are not bound: a test may use what the code may not.
type rule struct {
	who    []string
	except []string
	// never is what they must not import: deep, also not through others.
	never []string
	deep  bool
	// only, instead of never: of this module and of others' they import nothing else. The standard library is free.
	only []string
	why  string
}

var rules = []rule{
	{who: []string{"shared/decide/..."}, except: []string{"shared/decide/scaling", "shared/decide/readiness", "shared/decide/nodemove", "shared/decide/upgrade", "shared/decide/calendar", "shared/decide/interruption", "shared/decide/ecsdrain"}, only: []string{"shared/fleet", "shared/plan"},
		why: "a decision is a pure function of what was observed: it can be replayed, fuzzed and compared only if nothing else gets in"},
	{who: []string{"shared/decide/scaling"}, only: []string{"shared/decide/packing", "shared/fleet", "shared/plan"},
		why: "which nodes there shall be is decided in two layers: packing knows shapes and prices, scaling groups and time"},
	{who: []string{"shared/decide/readiness"}, only: []string{"shared/decide/upgradepath", "shared/fleet", "shared/plan"},
		why: "the gate reads the versions that the path is found in, so that both see the same cluster"},
	{who: []string{"shared/decide/ecsdrain"}, only: []string{"shared/decide/interruption", "shared/fleet", "shared/plan"},
		why: "a machine of ECS hears the signals that a node hears; what becomes of it has the same names"},
	{who: []string{"shared/decide/nodemove"}, only: []string{"shared/decide/upgradepath", "shared/fleet", "shared/plan"},
		why: "a move carries out one step of the path, on the groups and nodes that the path was found with"},
	{who: []string{"shared/decide/calendar"}, only: []string{"shared/decide/maintenance", "shared/fleet", "shared/plan"},
		why: "what is foreseen is what would be decided: when it is due, and whether it may start, are asked of those who decide it"},
	{who: []string{"shared/decide/interruption"}, only: []string{"shared/decide/maintenance", "shared/fleet", "shared/plan"},
		why: "a machine whose end is announced is drained in a window: when one opens is asked of those who decide it"},
	{who: []string{"shared/decide/upgrade"}, only: []string{"shared/decide/maintenance", "shared/decide/nodemove", "shared/decide/readiness", "shared/decide/upgradepath", "shared/fleet", "shared/plan"},
		why: "a run is the path's steps, at the calendar's times, past the gate, with the nodes moved: it asks each of them, and none of them knows of it"},
	{who: []string{"shared/decide/...", "shared/fleet", "shared/plan"}, deep: false,
		never: []string{"context", "io", "io/...", "log", "log/...", "math/rand", "math/rand/...", "crypto/rand", "net", "net/http", "os", "os/...", "sync", "sync/...", "syscall", "testing"},
		why:   "a decision has no clock, network, log, random, context or concurrency"},
	{who: []string{"events"}, only: []string{}, why: "whoever sends or receives ekspedite's events takes this package and nothing with it"},
	{who: []string{"functions/..."}, never: []string{"infra", "infra/...", "cmd/...", "internal/...", "zz_deps", "testing", "github.com/aws/jsii-runtime-go/...", "github.com/aws/aws-cdk-go/...", "github.com/aws/constructs-go/...", "github.com/cdklabs/..."}, deep: true,
		why: "a function's binary holds what runs in production: not how it is deployed, nor how it is tested"},
	{who: []string{"shared/...", "events/..."}, never: []string{"infra", "infra/...", "cmd/...", "functions/..."}, deep: true,
		why: "what is shared knows none of those who share it"},
	{who: []string{"infra/local", "infra/local/..."}, except: []string{"infra/local/conformance"},
		never: []string{"shared/decide/...", "shared/apply", "shared/observe", "shared/awscloud", "shared/work/...", "shared/kube", "shared/handler", "functions/...", "github.com/aws/aws-sdk-go-v2/...", "k8s.io/client-go/..."}, deep: true,
		why: "the embedded cloud must not know its customer: sharing code with it, both could be wrong in the same way and agree"},
	{who: []string{"..."}, except: []string{"shared/awscloud", "infra/local/conformance", "internal/cloudtest", "zz_deps"}, never: []string{"github.com/aws/aws-sdk-go-v2/...", "github.com/aws/smithy-go/..."},
		why: "only shared/awscloud sees the AWS SDK: it translates types to fleet's and errors to fault's, once; the tests' rig keeps it from trying again"},
	{who: []string{"..."}, except: []string{"shared/kube", "infra/local/conformance", "internal/schedulertest", "zz_deps"}, never: []string{"k8s.io/..."},
		why: "only shared/kube sees Kubernetes' types and client-go: it translates types to fleet's and errors to fault's, once; tests that ask the real scheduler write them anew, so that a mistake of one is found by the other"},
	{who: []string{"internal/schedulertest"}, never: []string{"shared/kube"}, deep: true,
		why: "what the planner is held against is not written by the code that reads for the planner"},
	{who: []string{"..."}, except: []string{"shared/handler", "shared/start", "internal/cloudtest", "zz_deps"}, never: []string{"github.com/aws/aws-lambda-go/..."},
		why: "Lambda is an edge: the work behind it can run from a command line and in a test; the tests' rig stands in for Lambda"},
	{who: []string{"..."}, except: []string{"infra", "infra/constructs", "infra/stacks", "infra/internal/...", "zz_deps"},
		never: []string{"github.com/aws/jsii-runtime-go/...", "github.com/aws/aws-cdk-go/...", "github.com/aws/constructs-go/...", "github.com/cdklabs/..."},
		why:   "the CDK needs Node and seconds to start; only what makes the template has to have it"},

	// The layers of shared, from the bottom up. Each line is all that a package may know of the module.
	{who: []string{"shared/fault"}, only: []string{}, why: "everybody's errors stand on it"},
	{who: []string{"shared/fleet"}, only: []string{}, why: "nouns depend on nothing"},
	{who: []string{"shared/plan"}, only: []string{"shared/fleet"}, why: "a plan is nouns and what is to be done with them"},
	{who: []string{"shared/obs"}, only: []string{}, why: "everybody logs, so that logging knows nobody"},
	{who: []string{"shared/webhook"}, only: []string{"shared/fault"}, why: "whoever posts knows no policy and no message: it could not tell a secret that it does not know"},
	{who: []string{"shared/settings"}, only: []string{}, why: "settings are read before anything else is there"},
	{who: []string{"shared/observe"}, only: []string{"shared/decide/...", "shared/fault", "shared/fleet"}, why: "observing makes what decisions read, through interfaces of its own"},
	{who: []string{"shared/apply"}, only: []string{"shared/fault", "shared/fleet", "shared/plan"}, why: "a plan says all that is needed to carry it out: not who decided, nor how"},
	{who: []string{"shared/ledger"}, only: []string{"events", "shared/fault", "shared/fleet"}, why: "the ledger keeps documents and has no opinion on them"},
	{who: []string{"shared/work/..."}, never: []string{"shared/awscloud", "shared/kube", "shared/access", "shared/start"}, deep: true,
		why: "work declares the interfaces that it needs, so that its tests need no cloud"},
}

func TestWhoImportsWhom(t *testing.T) {
	pkgs := list(t)
	used := make([]bool, len(rules))
	for path, p := range pkgs {
		if p.Standard || !strings.HasPrefix(path+"/", module) {
			continue
		}
		for i, r := range rules {
			if !matches(path, r.who) || matches(path, r.except) {
				continue
			}
			used[i] = true
			for _, way := range r.breaches(pkgs, path) {
				t.Errorf("%s\n\tbecause %s", strings.Join(way, " imports "), r.why)
			}
		}
	}
	for i, r := range rules {
		if !used[i] {
			t.Errorf("the rule on %v binds no package", r.who)
		}
	}
}

// breaches are the ways from a package to what it must not import.
func (r rule) breaches(pkgs map[string]pkg, from string) (all [][]string) {
	bad := func(path string) bool {
		if r.never != nil {
			return matches(path, r.never)
		}
		return !pkgs[path].Standard && !matches(path, r.only)
	}
	seen := map[string]bool{from: true}
	ways := [][]string{{short(from)}}
	paths := []string{from}
	for len(paths) > 0 {
		path, way := paths[0], ways[0]
		paths, ways = paths[1:], ways[1:]
		for _, next := range pkgs[path].Imports {
			if seen[next] {
				continue
			}
			seen[next] = true
			further := append(slices.Clone(way), short(next))
			if bad(next) {
				all = append(all, further)
			} else if r.deep && !pkgs[next].Standard {
				paths, ways = append(paths, next), append(ways, further)
			}
		}
	}
	return all
}

func short(path string) string { return strings.TrimPrefix(path, module) }

// matches tells whether a path is one of the patterns'.
func matches(path string, patterns []string) bool {
	ours := strings.HasPrefix(path+"/", module)
	return slices.ContainsFunc(patterns, func(p string) bool {
		below, deep := strings.CutSuffix(p, "...")
		switch {
		case p == "...":
			return ours
		case deep:
			return strings.HasPrefix(short(path)+"/", below)
		}
		return short(path) == p
	})
}

// list asks the go command once: all packages and what they import, test files left out.
func list(t *testing.T) map[string]pkg {
	t.Helper()
	cmd := exec.Command("go", "list", "-e", "-deps", "-json=ImportPath,Imports,Standard", module+"...")
	cmd.Env = append(cmd.Environ(), "GOFLAGS=-buildvcs=false", "GOPROXY=off")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, stderr.String())
	}
	pkgs := map[string]pkg{}
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return pkgs
		} else if err != nil {
			t.Fatal(err)
		}
		pkgs[p.ImportPath] = p
	}
}

// TestRulesBite holds the search against a small made-up module.
func TestRulesBite(t *testing.T) {
	pkgs := map[string]pkg{
		module + "a": {Imports: []string{module + "b", "fmt"}},
		module + "b": {Imports: []string{"example.org/sdk/x"}},
		"fmt":        {Standard: true, Imports: []string{"os"}},
	}
	for want, r := range map[string]rule{
		"":                               {never: []string{"example.org/sdk/..."}},
		"a imports b example.org/sdk/x":  {never: []string{"example.org/sdk/..."}, deep: true},
		"a imports b":                    {only: []string{"c"}},
		"a imports fmt":                  {never: []string{"fmt"}},
		"a imports b (again, by prefix)": {never: []string{"b/..."}},
	} {
		var got []string
		for _, way := range r.breaches(pkgs, module+"a") {
			got = append(got, "a imports "+strings.Join(way[1:], " "))
		}
		want, _, _ = strings.Cut(want, " (")
		if strings.Join(got, "; ") != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
