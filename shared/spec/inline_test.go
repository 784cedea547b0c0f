package spec

import (
	"errors"
	"os"
	"strings"
	"testing"
)

func TestInline(t *testing.T) {
	const text = `# Keys of all kinds.
apiVersion: eksctl.io/v1alpha5
kind: ClusterConfig
metadata: {name: a, region: eu-west-1}
managedNodeGroups:
  - name: path
    ssh:
      publicKeyPath: ~/.ssh/work.pub   # of the team
  - name: flow
    ssh: &key {allow: true, "publicKeyPath": '/tmp/it''s mine.pub', sourceSecurityGroupIds: [sg-1]}
  - name: alias
    ssh: *key
  - name: standard
    ssh:
      allow: true # eksctl's default key
  - name: forbidden
    ssh: {allow: false, publicKeyPath: nowhere}
  - name: there
    ssh: {publicKeyName: mine}
---
apiVersion: eksctl.io/v1alpha5
kind: ClusterConfig
metadata: {name: b, region: eu-west-1}
nodeGroups: [{name: g, instanceName: ö, ssh: {publicKeyPath: ö.pub}}]
`
	var asked []string
	out, err := Inline([]byte(text), func(path string) ([]byte, error) {
		asked = append(asked, path)
		return []byte("ssh-ed25519 " + path + " \"me\"\n"), nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := strings.Join(asked, " | "), "~/.ssh/work.pub | /tmp/it's mine.pub | ~/.ssh/id_rsa.pub | ö.pub"; got != want {
		t.Errorf("asked for %s, want %s", got, want)
	}
	for line, want := range map[int]string{
		8:  `      publicKey: "ssh-ed25519 ~/.ssh/work.pub \"me\""   # of the team`,
		10: `    ssh: &key {allow: true, publicKey: "ssh-ed25519 /tmp/it's mine.pub \"me\"", sourceSecurityGroupIds: [sg-1]}`,
		15: `      publicKey: "ssh-ed25519 ~/.ssh/id_rsa.pub \"me\"" # eksctl's default key`,
		17: `    ssh: {allow: false, publicKeyPath: nowhere}`,
		24: `nodeGroups: [{name: g, instanceName: ö, ssh: {publicKey: "ssh-ed25519 ö.pub \"me\""}}]`,
	} {
		if got := strings.Split(string(out), "\n")[line-1]; got != want {
			t.Errorf("line %d is\n%s, want\n%s", line, got, want)
		}
	}
	specs, report := Parse(out)
	if len(specs) != 2 || len(report.Errors) > 0 {
		t.Fatalf("%d specs, %s", len(specs), report)
	}
	for i, want := range []string{"ssh-ed25519 ~/.ssh/work.pub \"me\"", "ssh-ed25519 /tmp/it's mine.pub \"me\"", "ssh-ed25519 /tmp/it's mine.pub \"me\"", "ssh-ed25519 ~/.ssh/id_rsa.pub \"me\""} {
		if ssh := specs[0].Cluster.NodeGroups[i].Machine.SSH; ssh == nil || ssh.PublicKey != want {
			t.Errorf("group %d: %+v, want %s", i, ssh, want)
		}
	}
}

func TestInlineErrors(t *testing.T) {
	_, err := Inline([]byte(minimal+"nodeGroups:\n  - name: g\n    ssh: {publicKeyPath: gone}\n"), func(path string) ([]byte, error) {
		return nil, &os.PathError{Op: "open", Path: path, Err: os.ErrNotExist}
	})
	if !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "line 6") {
		t.Errorf("a missing file: %v", err)
	}
	yes := func(string) ([]byte, error) { return []byte("ssh-rsa A"), nil }
	if _, err := Inline([]byte(minimal+"nodeGroups:\n  - name: g\n    ssh:\n      publicKeyPath:\n        below\n"), yes); err == nil || !strings.Contains(err.Error(), "line 7") {
		t.Errorf("a path on its own line: %v", err)
	}
	for _, text := range []string{"", "not: [yaml", minimal, "apiVersion: v1\nkind: ConfigMap\n"} {
		if out, err := Inline([]byte(text), yes); err != nil || string(out) != text {
			t.Errorf("%q became %q, %v", text, out, err)
		}
	}
}
