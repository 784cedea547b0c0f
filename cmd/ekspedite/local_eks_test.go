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

// TestLocalEKSCommands sends every command to a cloud without clusters: what it says of them shows that it understood.
func TestLocalEKSCommands(t *testing.T) {
	c, err := local.Start(context.Background(), local.Options{Seed: 1, Faults: &faults.None, Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	t.Setenv("AWS_ENDPOINT_URL", c.Endpoint())
	const nobody = "No cluster found for name: x."
	for line, want := range map[string]struct {
		code int
		says string
	}{
		"fail --cluster x --node-group g --how NodeCreationFailure --times 2": {exitFailed, nobody},
		"fail --cluster x --how Unknown --region eu-west-1":                   {exitFailed, nobody},
		"fail --cluster x --how Unknown --region nowhere":                     {exitFailed, "nowhere"},
		"fail --cluster x --how Unknown --times -1":                           {exitUsage, "--times -1"},
		"fail --cluster x":                 {exitFailed, "how"},
		"mend":                             {0, "all clusters: mended"},
		"mend --cluster x --addon vpc-cni": {0, "add-on vpc-cni of x: mended"},
		"failures":                         {0, "[]"},
		"patch --cluster x":                {exitFailed, nobody},
		"insight --cluster x --name Drill --status ERROR --version 1.36 --resource /api/v1/x":                            {exitFailed, nobody},
		"insight --cluster x --deprecated /apis/storage.k8s.io/v1beta1/volumeattributesclasses --removed 1.37 --age 48h": {exitFailed, nobody},
		"insight --cluster x --deprecated storage.k8s.io/v1beta1 --removed 1.37":                                         {exitUsage, "/apis/GROUP/VERSION/RESOURCE"},
		"insight --cluster x --drop": {exitFailed, nobody},
		"insight --cluster x":        {exitUsage, "--name and --status"},
		"switch --skew strict --insight-gate on --eviction-patience 2m": {0, "switched"},
		"switch --skew n4": {exitUsage, "n3 or strict"},
		"switch":           {exitUsage, "say what to switch"},
		"planned-lifecycle --cluster x --start 2026-12-02": {exitFailed, nobody},
		"expire-authority --cluster x --at 2040-06-01":     {exitFailed, nobody},
		"expire-authority --cluster x --at soon":           {exitUsage, "a date such as"},
		"release-images":                                   {0, "a new AMI release is out"},
	} {
		var out, errs bytes.Buffer
		code := exec(t.Context(), append([]string{"local", "eks"}, strings.Fields(line)...), strings.NewReader(""), &out, &errs)
		if code != want.code || !strings.Contains(out.String()+errs.String(), want.says) {
			t.Errorf("%s: exit code %d, want %d with %q; it says:\n%s%s", line, code, want.code, want.says, out.String(), errs.String())
		}
	}
	var out, errs bytes.Buffer
	if code := exec(t.Context(), strings.Fields("local alarm --name nothing --state ALARM"), strings.NewReader(""), &out, &errs); code != exitFailed || !strings.Contains(errs.String(), "Alarm nothing does not exist") {
		t.Errorf("alarm: %d %s%s", code, out.String(), errs.String())
	}
}
