// Package e2e holds the end-to-end tests: the functions' real binaries, the committed template, a real API server.
package e2e

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/ekspedite/ekspedite/infra/local"
	"github.com/ekspedite/ekspedite/infra/local/controlplane"
	"github.com/ekspedite/ekspedite/infra/local/faults"
)

// root is the repository.
const root = "../../../.."

var binaries = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "ekspedite-e2e-bin")
	if err != nil {
		return "", err
	}
	for _, f := range []string{"cluster", "doorbell", "interruption", "notify", "pipeline", "scaling", "upgrade"} {
		cmd := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-tags", "lambda.norpc", "-o", filepath.Join(dir, f, "bootstrap"), "./functions/"+f)
		cmd.Dir, cmd.Env = root, append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			return "", fmt.Errorf("building functions/%s: %w\n%s", f, err, out)
		}
	}
	return dir, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if dir, err := binaries(); err == nil {
		os.RemoveAll(dir)
	}
	os.Exit(code)
}

// cloud starts an embedded cloud with the committed template and the functions' binaries. Its log is shown if the test
// fails.
func cloud(t *testing.T, injected faults.Config, edit ...func(*local.Options)) *local.Cloud {
	t.Helper()
	bin, err := binaries()
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.MkdirTemp("", "eks") // short: unix sockets are made below it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(data) })
	logFile, err := os.Create(filepath.Join(data, "cloud.log"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { logFile.Close() })
	options := local.Options{
		Seed: 1, Faults: &injected, TemplateDir: filepath.Join(root, "infra", "template"), BinDir: bin, DataDir: data,
		KubernetesBinary: func(ctx context.Context) (string, error) { return controlplane.Binary(ctx, root, os.Stderr) },
		Log:              slog.New(slog.NewTextHandler(logFile, nil)),
	}
	for _, f := range edit {
		f(&options)
	}
	c, err := local.Start(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			keepLogs(t, c, logFile.Name())
		}
		c.Close()
	})
	return c
}

// keepLogs leaves the logs of a failed test behind, and shows only what warns: what has failed must not be buried in them.
func keepLogs(t *testing.T, c *local.Cloud, cloudLog string) {
	kept, err := os.MkdirTemp("", "ekspedite-e2e-"+strings.ReplaceAll(t.Name(), "/", "-")+"-")
	if err != nil {
		t.Log(err)
		return
	}
	keep := func(name, text string) {
		if err := os.WriteFile(filepath.Join(kept, name+".log"), []byte(text), 0o600); err != nil {
			t.Log(err)
		}
	}
	if text, err := os.ReadFile(cloudLog); err == nil {
		keep("cloud", string(text))
	}
	var warnings []string
	for _, g := range c.Stack.Resources {
		if !strings.HasSuffix(g.LogicalID, "LogGroup") {
			continue
		}
		lines := c.Logs.Lines(g.Ref)
		keep(g.LogicalID, strings.Join(lines, "\n"))
		for _, line := range lines {
			if strings.Contains(line, `"level":"WARN"`) || strings.Contains(line, `"level":"ERROR"`) {
				warnings = append(warnings, line[:min(len(line), 400)])
			}
		}
	}
	t.Logf("the logs are in %s; the functions' last warnings:\n%s", kept, strings.Join(warnings[max(0, len(warnings)-10):], "\n"))
}
