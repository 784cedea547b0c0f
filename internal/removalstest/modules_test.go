// Package removalstest holds the table of removed Kubernetes APIs against k8s.io/api itself: all its minors from 1.20 to the one
// in our build are read as source, from the module cache.
package removalstest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// oldest is the first minor whose k8s.io/api says by APILifecycleRemoved when a type goes.
const oldest = 20

// kind is a kind of a version of a group: {"policy/v1beta1", "PodDisruptionBudget"}.
type kind struct{ version, name string }

func (k kind) String() string { return k.version + " " + k.name }

// module is what k8s.io/api of one minor has: the kinds that it registers, and when their removal was announced for (0: not).
type module map[kind]int

// newest is the minor of k8s.io/api in our go.mod, and its version.
func newest(t *testing.T) (minor int, version string) {
	t.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Version}}", "k8s.io/api").Output()
	if err != nil {
		t.Fatalf("go list -m k8s.io/api: %v", explain(err))
	}
	version = strings.TrimSpace(string(out))
	if _, err := fmt.Sscanf(version, "v0.%d.", &minor); err != nil {
		t.Fatalf("k8s.io/api has the version %q in go.mod: %v", version, err)
	}
	return minor, version
}

func explain(err error) string {
	if e, ok := err.(*exec.ExitError); ok {
		return fmt.Sprintf("%v: %s", err, bytes.TrimSpace(e.Stderr))
	}
	return err.Error()
}

// download brings the versions into the module cache, in one call, and returns their folders in the same order.
func download(t *testing.T, versions []string) []string {
	t.Helper()
	args := []string{"mod", "download", "-json"}
	for _, v := range versions {
		args = append(args, "k8s.io/api@"+v)
	}
	cmd := exec.Command("go", args...)
	cmd.Dir = t.TempDir() // outside a module, so that no go.sum is asked for or written
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOWORK=off")
	out, err := cmd.Output()
	found := map[string]string{}
	for d := json.NewDecoder(bytes.NewReader(out)); d.More(); {
		var m struct{ Version, Dir, Error string }
		if err := d.Decode(&m); err != nil {
			t.Fatalf("go mod download: %v", err)
		}
		if m.Error != "" {
			t.Errorf("k8s.io/api@%s: %s", m.Version, m.Error)
		}
		found[m.Version] = m.Dir
	}
	if err != nil || t.Failed() {
		t.Fatalf("k8s.io/api could not be downloaded, which this test needs (a Go module proxy, or a module cache that has it): go %s: %v", strings.Join(args, " "), explain(err))
	}
	var dirs []string
	for _, v := range versions {
		dirs = append(dirs, found[v])
	}
	return dirs
}

// read parses a module: each package that has a register.go is a version of a group.
func read(t *testing.T, dir string) module {
	t.Helper()
	m := module{}
	files, err := filepath.Glob(filepath.Join(dir, "*", "*", "register.go"))
	if err != nil || len(files) < 20 {
		t.Fatalf("%s has %d packages with a register.go: %v", dir, len(files), err)
	}
	for _, file := range files {
		version, kinds := registered(t, file)
		for _, k := range kinds {
			m[kind{version, k}] = 0
		}
		for k, minor := range announced(t, filepath.Join(filepath.Dir(file), "zz_generated.prerelease-lifecycle.go")) {
			if _, ok := m[kind{version, k}]; ok {
				m[kind{version, k}] = minor
			}
		}
	}
	return m
}

func parse(t *testing.T, file string) *ast.File {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// versionName tells a package of a version from others.
var versionName = regexp.MustCompile(`^v\d+((alpha|beta)\d+)?$`)

// registered are the kinds that a register.go adds to the scheme, without lists, and the version that they are of.
func registered(t *testing.T, file string) (version string, kinds []string) {
	t.Helper()
	group, name := "?", ""
	ast.Inspect(parse(t, file), func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.ValueSpec:
			if len(n.Values) == 1 && n.Names[0].Name == "GroupName" {
				group = text(n.Values[0])
			}
		case *ast.KeyValueExpr:
			if key, ok := n.Key.(*ast.Ident); ok && key.Name == "Version" && text(n.Value) != "" {
				name = text(n.Value)
			}
		case *ast.CallExpr:
			if f, ok := n.Fun.(*ast.SelectorExpr); !ok || f.Sel.Name != "AddKnownTypes" {
				return true
			}
			for _, arg := range n.Args {
				if k := composite(arg); k != "" && !strings.HasSuffix(k, "List") {
					kinds = append(kinds, k)
				}
			}
		}
		return true
	})
	if group == "?" || !versionName.MatchString(name) || len(kinds) == 0 {
		t.Fatalf("%s: group %q, version %q, %d kinds: it is not written as it was", file, group, name, len(kinds))
	}
	if group != "" {
		name = group + "/" + name
	}
	return name, kinds
}

func text(e ast.Expr) string {
	if l, ok := e.(*ast.BasicLit); ok {
		s, _ := strconv.Unquote(l.Value)
		return s
	}
	return ""
}

// composite is the X of &X{}.
func composite(e ast.Expr) string {
	if u, ok := e.(*ast.UnaryExpr); ok {
		if c, ok := u.X.(*ast.CompositeLit); ok {
			if id, ok := c.Type.(*ast.Ident); ok {
				return id.Name
			}
		}
	}
	return ""
}

// announced are the minors that the APILifecycleRemoved methods of a file return, by their receivers' kinds.
func announced(t *testing.T, file string) map[string]int {
	t.Helper()
	out := map[string]int{}
	if _, err := os.Stat(file); err != nil {
		return out
	}
	for _, d := range parse(t, file).Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok || f.Name.Name != "APILifecycleRemoved" {
			continue
		}
		receiver := f.Recv.List[0].Type.(*ast.StarExpr).X.(*ast.Ident).Name
		result := f.Body.List[0].(*ast.ReturnStmt).Results
		major, err := strconv.Atoi(result[0].(*ast.BasicLit).Value)
		minor, err2 := strconv.Atoi(result[1].(*ast.BasicLit).Value)
		if err != nil || err2 != nil || major != 1 {
			t.Fatalf("%s: %s is removed in %d.%d", file, receiver, major, minor)
		}
		out[receiver] = minor
	}
	return out
}

// removed says for each kind that any of the modules has in which minor it stops being served; 0 for those that go on. A type's
// last announcement counts (earlier ones have been postponed), or the first minor without the type, whichever is earlier.
func removed(modules map[int]module, last int) map[kind]int {
	out := map[kind]int{}
	for n := oldest; n <= last; n++ {
		for k, announced := range modules[n] {
			out[k] = announced
		}
	}
	for k, announced := range out {
		for n := last; n >= oldest; n-- {
			if _, ok := modules[n][k]; ok {
				if n < last && (announced == 0 || n+1 < announced) {
					out[k] = n + 1
				}
				break
			}
		}
	}
	return out
}

func sorted[V any](m map[kind]V) []kind {
	var out []kind
	for k := range m {
		out = append(out, k)
	}
	slices.SortFunc(out, func(a, b kind) int { return strings.Compare(a.String(), b.String()) })
	return out
}
