package controlplane

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"time"
)

const (
	temporarySuffix = ".tmp"
	// outputTail is how many lines of a failed build's output its error shows.
	outputTail = 20
)

// build compiles the module to path by way of a temporary file, so that nobody ever sees half a binary.
func (b builder) build(ctx context.Context, version string, flags []string, path string) error {
	if _, err := exec.LookPath("go"); err != nil {
		return fmt.Errorf("building Kubernetes %s needs Go (or name a built binary in %s): %w", version, EnvBinary, err)
	}
	b.say("building Kubernetes %s from source: the first build takes 5 to 15 minutes, later runs use %s", version, path)
	start := time.Now()
	temporary := path + temporarySuffix
	defer func() { _ = os.Remove(temporary) }() // fails, rightly, once it is renamed

	args := append([]string{"build", "-v", "-o", temporary}, flags...)
	cmd := b.command(ctx, append(args, ".")...)
	output, err := cmd.StderrPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	meter := &meter{}
	reporting, stop := context.WithCancel(ctx)
	var reporters sync.WaitGroup
	reporters.Go(func() { meter.setTotal(b.countPackages(reporting)) })
	reporters.Go(func() { b.report(reporting, start, meter) })
	meter.read(output)
	err = cmd.Wait()
	stop()
	reporters.Wait()
	if ctx.Err() != nil {
		return fmt.Errorf("build Kubernetes %s: %w", version, ctx.Err())
	}
	if err != nil {
		return fmt.Errorf("build Kubernetes %s: %w\n%s", version, err, meter.tail())
	}
	if err := os.Rename(temporary, path); err != nil {
		return err
	}
	b.say("built Kubernetes %s in %s", version, elapsed(start))
	return nil
}

// countPackages is the number of packages that a first build compiles; zero when it cannot be had.
func (b builder) countPackages(ctx context.Context) int {
	out, err := b.command(ctx, "list", "-deps", ".").Output()
	if err != nil {
		return 0 // Progress goes without the total; whatever is wrong, the build says it better.
	}
	return bytes.Count(out, []byte("\n"))
}

func (b builder) report(ctx context.Context, start time.Time, m *meter) {
	ticker := time.NewTicker(b.every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			b.say("  %6s  %s", elapsed(start), m)
		}
	}
}

func elapsed(since time.Time) string { return time.Since(since).Round(time.Second).String() }

// meter counts what go build -v prints: a line for each module that it downloads and each package that it compiles.
type meter struct {
	mu                          sync.Mutex
	downloaded, compiled, total int
	lines                       []string // the last ones
}

// packageLine is an import path and nothing else. Everything else is a message of the compiler or the linker.
var packageLine = regexp.MustCompile(`^[A-Za-z0-9._~/-]+$`)

func (m *meter) read(r io.Reader) {
	scanner := bufio.NewScanner(r)
	scanner.Buffer(nil, 1<<20)
	for scanner.Scan() {
		m.line(scanner.Text())
	}
	// A line beyond all measure ends the scan, and the writer must not block for it.
	_, _ = io.Copy(io.Discard, r)
}

func (m *meter) line(line string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case strings.HasPrefix(line, "go: downloading "):
		m.downloaded++
	case packageLine.MatchString(line):
		m.compiled++
	default:
		if m.lines = append(m.lines, line); len(m.lines) > outputTail {
			m.lines = m.lines[1:]
		}
	}
}

func (m *meter) setTotal(n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.total = n
}

// String is for people: what has been done, and of how much.
func (m *meter) String() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.compiled == 0 && m.downloaded > 0:
		return fmt.Sprintf("%d modules downloaded", m.downloaded)
	case m.total == 0:
		return fmt.Sprintf("%d packages compiled", m.compiled)
	default:
		return fmt.Sprintf("%d of about %d packages compiled", min(m.compiled, m.total), m.total)
	}
}

func (m *meter) tail() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return errors.New(strings.Join(m.lines, "\n"))
}
