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
	logPath := filepath.Join(data, "cloud.log")
	logFile, err := os.Create(logPath)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		logFile.Close()
		if t.Failed() {
			show(t, logPath)
		}
	})
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
			for _, g := range []string{"ClusterLogGroup", "DoorbellLogGroup", "InterruptionLogGroup", "NotifyLogGroup", "PipelineLogGroup", "ScalingLogGroup", "UpgradeLogGroup"} {
				if r, ok := c.Stack.Find(g); ok {
					lines := c.Logs.Lines(r.Ref)
					t.Logf("%s:\n%s", g, strings.Join(lines[max(0, len(lines)-60):], "\n"))
				}
			}
		}
		c.Close()
	})
	return c
}

// show logs the end of a file.
func show(t *testing.T, path string) {
	text, err := os.ReadFile(path)
	if err != nil {
		return
	}
	const tail = 16 << 10
	t.Logf("%s:\n%s", path, text[max(0, len(text)-tail):])
}
