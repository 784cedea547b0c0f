package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// Every command about clusters says by --help what its exit codes mean, and every one that does something has examples.
func TestHelp(t *testing.T) {
	var visit func(c *cobra.Command)
	visit = func(c *cobra.Command) {
		t.Run(c.CommandPath(), func(t *testing.T) {
			var out bytes.Buffer
			args := append(strings.Fields(c.CommandPath()), "--help")
			if code := exec(t.Context(), args, strings.NewReader(""), &out, &out); code != 0 {
				t.Fatalf("exit code %d:\n%s", code, out.String())
			}
			if !strings.Contains(out.String(), "Exit codes: 0 done; ") {
				t.Errorf("no exit codes in\n%s", out.String())
			}
			if c.RunE != nil && !strings.Contains(out.String(), "Examples:\n") {
				t.Errorf("no examples in\n%s", out.String())
			}
			for _, l := range strings.Split(c.Long, "\n") {
				if !strings.HasPrefix(l, "Exit codes:") && len([]rune(l)) > 130 {
					t.Errorf("a line is %d wide: %s", len([]rune(l)), l)
				}
			}
		})
		for _, sub := range c.Commands() {
			visit(sub)
		}
	}
	visit(clusterCommand())
	visit(runsCommand())
	visit(scaleCommand())
	visit(upgradeCommand())
}

const wrong = `apiVersion: eksctl.io/v1alpha5
kind: ClusterConfig
metadata: {name: wrong, region: us-east-1}
managedNodeGroups:
- name: a
  minSize: three
  tea: true
`

func TestValidate(t *testing.T) {
	tea := strings.Replace(wrong, "  minSize: three\n", "", 1)
	for name, tc := range map[string]struct {
		args  []string
		stdin string
		code  int
		says  []string
	}{
		"right":                 {nil, small, 0, []string{"cluster small in us-east-1 can be planned"}},
		"wrong":                 {nil, wrong, exitUsage, []string{"<stdin>:6: error: managedNodeGroups[0].minSize: ", "<stdin>:7: warning: managedNodeGroups[0].tea: ", "cannot be planned"}},
		"warnings":              {nil, tea, 0, []string{"<stdin>:6: warning: managedNodeGroups[0].tea: ", "1 warning"}},
		"warnings, strictly":    {[]string{"--strict"}, tea, exitUsage, []string{"--strict does not allow"}},
		"as JSON":               {[]string{"-o", "json"}, wrong, exitUsage, []string{`"ok": false`, `"file": "<stdin>"`, `"line": 6`, `"path": "managedNodeGroups[0].minSize"`}},
		"in an unknown format":  {[]string{"-o", "xml"}, small, exitUsage, []string{"text or json"}},
		"with a file too many":  {[]string{"-f", "/nowhere.yaml"}, small, exitUsage, []string{"no such file"}},
		"with an argument more": {[]string{"more"}, small, exitUsage, []string{"unknown command"}},
	} {
		t.Run(name, func(t *testing.T) {
			want(t, tc.code, tc.says, tc.stdin, append([]string{"cluster", "validate", "-f", "-"}, tc.args...)...)
		})
	}
	want(t, exitUsage, []string{"-f FILE"}, "", "cluster", "validate")
}

// Mistakes are found before anything is read or asked for.
func TestClusterMistakes(t *testing.T) {
	t.Setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1") // whoever asks fails otherwise
	for name, tc := range map[string]struct {
		args []string
		says string
	}{
		"a wrong file to plan":       {[]string{"cluster", "plan", "-f", "-"}, "<stdin>:6: error"},
		"a wrong file to apply":      {[]string{"cluster", "apply", "-f", "-"}, "<stdin>:6: error"},
		"a wrong file to delete":     {[]string{"cluster", "delete", "-f", "-", "--yes"}, "<stdin>:6: error"},
		"nothing to delete":          {[]string{"cluster", "delete", "--name", "a"}, "--region"},
		"two ways to delete":         {[]string{"cluster", "delete", "--name", "a", "-f", "-"}, "not both"},
		"nothing to show":            {[]string{"cluster", "show"}, "accepts 1 arg"},
		"no time to look back":       {[]string{"runs", "list", "--since", "0s"}, "--since"},
		"an unknown output":          {[]string{"runs", "list", "-o", "yaml"}, "text or json"},
		"an unknown flag of a plan":  {[]string{"cluster", "plan", "--colour"}, "--colour"},
		"a token for nobody":         {[]string{"cluster", "token"}, "accepts 1 arg"},
		"a kubeconfig for too many":  {[]string{"cluster", "kubeconfig", "a", "b"}, "accepts 1 arg"},
		"no run to show":             {[]string{"runs", "show"}, "accepts 1 arg"},
		"a duration that is no such": {[]string{"cluster", "apply", "--timeout", "long"}, "--timeout"},
	} {
		t.Run(name, func(t *testing.T) {
			want(t, exitUsage, []string{tc.says}, wrong, tc.args...)
		})
	}
}

func TestPruneAsksFirst(t *testing.T) {
	t.Setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
	want(t, exitUsage, []string{"deletes what ekspedite made for small", "--yes"}, small, "cluster", "apply", "-f", "-", "--prune")
	for said, right := range map[string]bool{"small\n": true, "small": true, " small \n": true, "y\n": false, "": false, "smal\n": false} {
		if err := agreed(strings.NewReader(said), "small"); (err == nil) != right {
			t.Errorf("%q: %v", said, err)
		}
	}
}
