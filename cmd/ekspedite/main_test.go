package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Whoever calls the command line in a script goes by its exit code, and a person by the line that says what to fix.
func TestExitCodes(t *testing.T) {
	t.Setenv("AWS_ENDPOINT_URL", "")
	file := func(text string) string {
		path := filepath.Join(t.TempDir(), "event.json")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for name, tc := range map[string]struct {
		args  []string
		stdin string
		code  int
		says  string
	}{
		"help":                      {[]string{"--help"}, "", 0, "demo"},
		"unknown flag":              {[]string{"demo", "--colour"}, "", exitUsage, "--colour"},
		"unknown output":            {[]string{"demo", "--output", "xml"}, "", exitUsage, "text or json"},
		"not the repository":        {[]string{"local", "up", "--root", "/"}, "", exitUsage, "--root"},
		"unknown profile":           {[]string{"local", "up", "--profile", "slow"}, "", exitUsage, "fast or real"},
		"no endpoint":               {[]string{"local", "interrupt", "--instance", "i-0123456789abcdef0"}, "", exitUsage, "AWS_ENDPOINT_URL"},
		"malformed event":           {[]string{"events", "send", file(`{"source":`)}, "", exitUsage, "malformed"},
		"malformed event on stdin":  {[]string{"events", "send", "-"}, "nothing", exitUsage, "malformed"},
		"no such file":              {[]string{"events", "send", "/nowhere/e.json"}, "", exitUsage, "no such file"},
		"event that nobody knows":   {[]string{"events", "send", "-"}, `{"version":"0","id":"1","source":"tea","detail-type":"Ready","account":"123456789012","region":"us-east-1","time":"2026-01-01T00:00:00Z","resources":[],"detail":{}}`, exitUsage, "no contract"},
		"AWS's own event, to AWS":   {[]string{"events", "send", "-"}, `{"version":"0","id":"1","source":"aws.ec2","detail-type":"EC2 Instance Rebalance Recommendation","account":"123456789012","region":"us-east-1","time":"2026-01-01T00:00:00Z","resources":[],"detail":{"instance-id":"i-0123456789abcdef0"}}`, exitUsage, "AWS_ENDPOINT_URL"},
		"missing instance to break": {[]string{"local", "interrupt"}, "", exitFailed, "instance"},
	} {
		t.Run(name, func(t *testing.T) {
			var out, errs bytes.Buffer
			code := exec(t.Context(), tc.args, strings.NewReader(tc.stdin), &out, &errs)
			if code != tc.code || !strings.Contains(out.String()+errs.String(), tc.says) {
				t.Errorf("exit code %d, want %d; it says:\n%s%s", code, tc.code, out.String(), errs.String())
			}
		})
	}
}
