package main

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"strings"
	"testing"

	"github.com/ekspedite/ekspedite/infra/local"
	"github.com/ekspedite/ekspedite/infra/local/faults"
)

// TestLocalSignalCommands sends every command to a cloud without machines: what it says shows that it understood.
func TestLocalSignalCommands(t *testing.T) {
	c, err := local.Start(context.Background(), local.Options{Seed: 1, Faults: &faults.None, Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	t.Setenv("AWS_ENDPOINT_URL", c.Endpoint())
	const nobody = "i-0123456789abcdef0' does not exist"
	for line, want := range map[string]struct {
		code int
		says string
	}{
		"health --instance i-0123456789abcdef0":                                      {exitFailed, nobody},
		"impair --instance i-0123456789abcdef0 --age 3m":                             {exitFailed, nobody},
		"impair --instance i-0123456789abcdef0 --age -3m":                            {exitUsage, "--age -3m"},
		"capacity-block --reservation cr-0123456789abcdef0":                          {0, "cr-0123456789abcdef0 ends"},
		"capacity-block --reservation cr-0123456789abcdef0 --delivered --older":      {0, "has begun"},
		"capacity-block --reservation r-1":                                           {exitFailed, "cr-"},
		"capacity-block --reservation cr-0123456789abcdef0 --end soon":               {exitFailed, "RFC 3339"},
		"capacity-block --reservation cr-1 --instance i-0123456789abcdef0":           {exitFailed, nobody},
		"fargate-termination --cluster x --pod web-1":                                {0, "default/web-1"},
		"fargate-termination --cluster x --pod web-1 --namespace shop --at tomorrow": {exitFailed, "RFC 3339"},
	} {
		var out, errs bytes.Buffer
		code := exec(t.Context(), append([]string{"local"}, strings.Fields(line)...), strings.NewReader(""), &out, &errs)
		if code != want.code || !strings.Contains(out.String()+errs.String(), want.says) {
			t.Errorf("%s: exit code %d, want %d with %q; it says:\n%s%s", line, code, want.code, want.says, out.String(), errs.String())
		}
	}
}
