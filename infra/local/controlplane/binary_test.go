package controlplane

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// fakeModule builds in a second and looks like the real one as far as builder can tell.
func fakeModule(t *testing.T, source string) string {
	t.Helper()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "main.go"), source)
	write(t, filepath.Join(dir, "version", "version.go"), "package version\n")
	// The requirement is replaced by a folder, so that nothing is downloaded.
	write(t, filepath.Join(dir, "go.mod"), "module fake\n\ngo 1.24\n\nrequire k8s.io/kubernetes v1.99.3\n\nreplace k8s.io/kubernetes => ./kubernetes\n")
	write(t, filepath.Join(dir, "kubernetes", "go.mod"), "module k8s.io/kubernetes\n")
	return dir
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// progressLog is a bytes.Buffer that two builders may write to.
type progressLog struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (p *progressLog) Write(data []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.b.Write(data)
}

func (p *progressLog) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.b.String()
}

const hello = "package main\n\nfunc main() { println(\"hello\") }\n"

func TestCacheKeyFollowsWhatIsBuilt(t *testing.T) {
	dir := fakeModule(t, hello)
	key := func(goVersion string, flags ...string) string {
		t.Helper()
		k, err := cacheKey(dir, goVersion, flags)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	base := key("go1.26", "-a")
	if again := key("go1.26", "-a"); again != base {
		t.Errorf("the same sources gave %s and %s", base, again)
	}
	write(t, filepath.Join(dir, "main_test.go"), "package main\n")
	write(t, filepath.Join(dir, "README.md"), "hello\n")
	write(t, filepath.Join(dir, "testdata", "x.go"), "package x\n")
	if again := key("go1.26", "-a"); again != base {
		t.Error("a test, a README or test data changed the key")
	}
	seen := map[string]string{base: "base"}
	for _, change := range []struct {
		name string
		key  func() string
	}{
		{"toolchain", func() string { return key("go1.27", "-a") }},
		{"flags", func() string { return key("go1.26", "-b") }},
		{"source in a package", func() string {
			write(t, filepath.Join(dir, "version", "version.go"), "package version\n\nconst X = 1\n")
			return key("go1.26", "-a")
		}},
		{"new source", func() string {
			write(t, filepath.Join(dir, "more.go"), "package main\n")
			return key("go1.26", "-a")
		}},
		{"go.sum", func() string {
			write(t, filepath.Join(dir, "go.sum"), "\n")
			return key("go1.26", "-a")
		}},
	} {
		k := change.key()
		if former, ok := seen[k]; ok {
			t.Errorf("%s: the key is the same as after %s", change.name, former)
		}
		seen[k] = change.name
	}
}

func TestTwoBuildersBuildOnce(t *testing.T) {
	log := &progressLog{}
	b := builder{source: fakeModule(t, hello), cache: t.TempDir(), progress: log, every: time.Hour}
	paths := make([]string, 2)
	var wg sync.WaitGroup
	for i := range paths {
		wg.Go(func() {
			var err error
			if paths[i], err = b.binary(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if t.Failed() {
		return
	}
	if paths[0] != paths[1] {
		t.Errorf("paths differ: %q", paths)
	}
	if n := strings.Count(log.String(), "building Kubernetes 1.99.3 from source"); n != 1 {
		t.Errorf("built %d times, want once:\n%s", n, log)
	}
	if out, err := exec.Command(paths[0]).CombinedOutput(); err != nil || string(out) != "hello\n" {
		t.Errorf("the binary says %q, %v", out, err)
	}
	before := log.String()
	if again, err := b.binary(t.Context()); err != nil || again != paths[0] {
		t.Errorf("again: %q, %v", again, err)
	}
	if log.String() != before {
		t.Errorf("a cached binary is no news: %s", log)
	}
}

func TestAWaitingBuilderGivesUpWithItsContext(t *testing.T) {
	log := &progressLog{}
	b := builder{source: fakeModule(t, hello), cache: t.TempDir(), progress: log}
	unlock, err := b.lock(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := b.binary(ctx); err == nil || !strings.Contains(err.Error(), "wait for the other build") {
		t.Errorf("error %v", err)
	}
	if !strings.Contains(log.String(), "another process is building") {
		t.Errorf("progress: %s", log)
	}
}

func TestFailedBuildReportsTheCompiler(t *testing.T) {
	b := builder{source: fakeModule(t, "package main\n\nfunc main() { undefinedThing() }\n"), cache: t.TempDir(), every: time.Hour}
	_, err := b.binary(t.Context())
	if err == nil || !strings.Contains(err.Error(), "undefined: undefinedThing") {
		t.Errorf("error %v, want the compiler's words", err)
	}
	left, err := filepath.Glob(filepath.Join(b.cache, binaryPrefix+"*"))
	if err != nil || len(left) != 0 {
		t.Errorf("left behind: %q, %v", left, err)
	}
}

func TestPruneKeepsTheLastUsed(t *testing.T) {
	b := builder{cache: t.TempDir()}
	now := time.Now()
	file := func(name string, age time.Duration) string {
		path := filepath.Join(b.cache, name)
		write(t, path, "")
		if err := os.Chtimes(path, now.Add(-age), now.Add(-age)); err != nil {
			t.Fatal(err)
		}
		return path
	}
	// The current one is kept however old the clock makes it look.
	current := file(binaryPrefix+"current", 10*time.Hour)
	recent := file(binaryPrefix+"recent", time.Hour)
	for i := range 3 {
		file(fmt.Sprintf("%sold%d", binaryPrefix, i), time.Duration(i+2)*time.Hour)
	}
	file(binaryPrefix+"broken"+temporarySuffix, 0)
	foreign := file("lock", 0)
	if err := b.prune(current); err != nil {
		t.Fatal(err)
	}
	left, err := filepath.Glob(filepath.Join(b.cache, "*"))
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{current, recent, foreign}; strings.Join(left, " ") != strings.Join(want, " ") {
		t.Errorf("left %q, want %q", left, want)
	}
}

func TestMeterSpeaksToPeople(t *testing.T) {
	m := &meter{}
	m.read(strings.NewReader("go: downloading k8s.io/api v0.37.2\ngo: downloading k8s.io/apiserver v0.37.2\n"))
	if got := m.String(); got != "2 modules downloaded" {
		t.Error(got)
	}
	m.read(strings.NewReader("k8s.io/api/core/v1\n"))
	if got := m.String(); got != "1 packages compiled" {
		t.Error(got)
	}
	m.setTotal(2500)
	m.read(strings.NewReader("# k8s.io/apiserver\nx.go:1:2: undefined: y\ngolang.org/x/net/http2\n"))
	if got := m.String(); got != "2 of about 2500 packages compiled" {
		t.Error(got)
	}
	if got := m.tail().Error(); got != "# k8s.io/apiserver\nx.go:1:2: undefined: y" {
		t.Error(got)
	}
}

func TestBinaryFromTheEnvironment(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mine")
	write(t, path, "")
	t.Setenv(EnvBinary, path)
	if got, err := Binary(t.Context(), "/nowhere", nil); err != nil || got != path {
		t.Errorf("%q, %v", got, err)
	}
	t.Setenv(EnvBinary, path+"-missing")
	if _, err := Binary(t.Context(), "/nowhere", nil); err == nil {
		t.Error("a missing binary must be an error, not a build of half an hour's surprise")
	}
}
