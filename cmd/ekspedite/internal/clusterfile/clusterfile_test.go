package clusterfile

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const good = `apiVersion: eksctl.io/v1alpha5
kind: ClusterConfig
metadata: {name: NAME, region: us-east-1}
managedNodeGroups:
- name: a
`

func file(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "c.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func named(name string) string { return strings.Replace(good, "NAME", name, 1) }

func TestLoad(t *testing.T) {
	policy := "apiVersion: ekspedite.dev/v1alpha1\nkind: ClusterPolicy\nmetadata: {name: one}\ninterruption: {rebalance: Drain}\n"
	for name, tc := range map[string]struct {
		files    []string
		specs    int
		errors   []string // each is "index of the file:line text"
		warnings []string
	}{
		"one":                             {files: []string{named("one")}, specs: 1},
		"two, without an end of the line": {files: []string{strings.TrimSpace(named("one")), named("two")}, specs: 2},
		"a policy in a file of its own":   {files: []string{policy, named("one")}, specs: 1},
		"the same cluster in two files":   {files: []string{named("one"), named("one")}, specs: 2, errors: []string{"1:3 there twice"}},
		"both are wrong": {files: []string{named("one") + "  minSize: x\n", "---\n" + named("two") + "  maxSize: y\n"}, specs: 2,
			errors: []string{"0:6 minSize", "1:7 maxSize"}},
		"a warning behind another file": {files: []string{named("one"), named("two") + "  tea: true\n"}, specs: 2, warnings: []string{"1:6 tea"}},
		"a key that is not there": {files: []string{named("one"), named("two") + "  ssh:\n    publicKeyPath: /nowhere/key.pub\n"}, specs: 2,
			errors: []string{"1:6 /nowhere/key.pub"}},
		"not YAML": {files: []string{named("one"), "a: [\n"}, specs: 1, errors: []string{"1:1 not YAML"}},
		"nothing":  {files: []string{"# nothing\n"}, errors: []string{"0:1 there is no cluster"}},
	} {
		t.Run(name, func(t *testing.T) {
			var names []string
			for _, f := range tc.files {
				names = append(names, file(t, f))
			}
			f, err := Load(names, nil)
			if err != nil || len(f.Specs) != tc.specs {
				t.Fatalf("%d clusters, want %d; %v", len(f.Specs), tc.specs, err)
			}
			compare(t, names, "error", f.Errors, tc.errors)
			compare(t, names, "warning", f.Warnings, tc.warnings)
		})
	}
}

func compare(t *testing.T, names []string, what string, have []Problem, want []string) {
	t.Helper()
	if len(have) != len(want) {
		t.Fatalf("%d %ss, want %d: %v", len(have), what, len(want), have)
	}
	for i, w := range want {
		place, text, _ := strings.Cut(w, " ")
		index, line, _ := strings.Cut(place, ":")
		if at := names[index[0]-'0'] + ":" + line; have[i].Located() != at || !strings.Contains(have[i].Said(), text) {
			t.Errorf("%s is %s: %s, want %s: …%s…", what, have[i].Located(), have[i].Said(), at, text)
		}
	}
}

// What is sent away has keys, not paths: nobody else can read them.
func TestKeysAreInlined(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("HOME", dir)
	if err := os.MkdirAll(filepath.Join(dir, ".ssh"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, ".ssh", "id.pub"), []byte("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKy me@home\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := Load([]string{"-"}, strings.NewReader(named("one")+"  ssh:\n    publicKeyPath: ~/.ssh/id.pub\n"))
	if err != nil || len(f.Errors) > 0 {
		t.Fatal(err, f.Errors)
	}
	if ssh := f.Specs[0].Cluster.NodeGroups[0].Machine.SSH; ssh == nil || !strings.HasSuffix(ssh.PublicKey, "me@home") || strings.Contains(f.Text, "publicKeyPath") {
		t.Errorf("%+v in\n%s", ssh, f.Text)
	}
}

func TestWhatCannotBeRead(t *testing.T) {
	for _, names := range [][]string{nil, {"/nowhere.yaml"}, {"a.yaml", "a.yaml"}} {
		if _, err := Load(names, nil); err == nil {
			t.Errorf("%v was read", names)
		}
	}
}
