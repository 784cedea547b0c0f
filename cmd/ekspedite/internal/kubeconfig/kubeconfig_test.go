package kubeconfig

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

const arn = "arn:aws:eks:eu-west-1:123456789012:cluster/demo"

func access() Access {
	return Access{
		Cluster: fleet.Cluster{Name: "demo", ARN: arn, Endpoint: "https://demo.example", CAData: []byte("pem")},
		Command: "ekspedite", Args: []string{"cluster", "token", "demo"}, Env: map[string]string{"B": "2", "A": "1"},
	}
}

// file is a kubeconfig as kubectl reads it.
type file struct {
	APIVersion string `yaml:"apiVersion"`
	Kind       string
	Current    string `yaml:"current-context"`
	Clusters   []struct {
		Name    string
		Cluster struct {
			Server string
			CA     string `yaml:"certificate-authority-data"`
		}
	}
	Users []struct {
		Name string
		User struct {
			Token string
			Exec  struct {
				APIVersion string `yaml:"apiVersion"`
				Command    string
				Args       []string
				Mode       string `yaml:"interactiveMode"`
				Env        []struct{ Name, Value string }
			}
		}
	}
	Contexts []struct {
		Name    string
		Context struct{ Cluster, User, Namespace string }
	}
}

func merge(t *testing.T, old string, a Access, use bool) (file, string) {
	t.Helper()
	merged, err := Merge([]byte(old), a, use)
	if err != nil {
		t.Fatal(err)
	}
	var f file
	if err := yaml.Unmarshal(merged, &f); err != nil {
		t.Fatalf("%v in\n%s", err, merged)
	}
	again, err := Merge(merged, a, use)
	if err != nil || string(again) != string(merged) {
		t.Errorf("a second time makes something else (%v):\n%s", err, again)
	}
	return f, string(merged)
}

func TestMergeIntoNothing(t *testing.T) {
	for _, old := range []string{"", "# mine\n", "apiVersion: v1\nkind: Config\nclusters: null\nusers: []\ncurrent-context: \"\"\n"} {
		f, text := merge(t, old, access(), false)
		if f.APIVersion != "v1" || f.Kind != "Config" || f.Current != arn || len(f.Clusters) != 1 || len(f.Users) != 1 || len(f.Contexts) != 1 {
			t.Fatalf("%q becomes\n%s", old, text)
		}
		u := f.Users[0].User.Exec
		if f.Clusters[0].Cluster.Server != "https://demo.example" || f.Clusters[0].Cluster.CA != "cGVt" || u.Command != "ekspedite" ||
			strings.Join(u.Args, " ") != "cluster token demo" || u.Mode != "Never" || u.APIVersion != "client.authentication.k8s.io/v1" ||
			len(u.Env) != 2 || u.Env[0].Name != "A" || u.Env[0].Value != "1" || f.Contexts[0].Context.User != arn || f.Contexts[0].Context.Cluster != arn {
			t.Errorf("%s", text)
		}
	}
}

const others = `apiVersion: v1
kind: Config
# do not touch production
current-context: prod
preferences: {}
clusters:
- name: prod
  cluster: {server: https://prod.example, proxy-url: http://proxy:3128}
- name: ` + arn + `
  cluster: {server: https://old.example}
users:
- name: prod
  user: {token: secret}
contexts:
- name: prod
  context: {cluster: prod, user: prod, namespace: shop}
`

func TestMergeLeavesTheRest(t *testing.T) {
	f, text := merge(t, others, access(), false)
	if f.Current != "prod" || len(f.Clusters) != 2 || f.Clusters[1].Cluster.Server != "https://demo.example" ||
		f.Users[0].User.Token != "secret" || f.Contexts[0].Context.Namespace != "shop" {
		t.Errorf("%s", text)
	}
	for _, kept := range []string{"# do not touch production", "proxy-url: 'http://proxy:3128'"} {
		if !strings.Contains(text, kept) {
			t.Errorf("%q is lost:\n%s", kept, text)
		}
	}
	a := access()
	a.Context = "mine"
	if f, text := merge(t, others, a, true); f.Current != "mine" || f.Contexts[1].Name != "mine" || f.Contexts[1].Context.Cluster != arn {
		t.Errorf("%s", text)
	}
}

func TestMergeRefuses(t *testing.T) {
	for _, old := range []string{"[1, 2]", "a: [", "kind: Pod\n", "clusters: {}\n"} {
		if out, err := Merge([]byte(old), access(), false); err == nil {
			t.Errorf("%q becomes\n%s", old, out)
		}
	}
}

func TestWrite(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, ".kube", "config")
	backup, err := Write(path, access(), false)
	if err != nil || backup != "" {
		t.Fatal(backup, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if backup, err := Write(path, access(), false); err != nil || backup != "" {
		t.Errorf("nothing has changed, and there is %q; %v", backup, err)
	}
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	a := access()
	a.Cluster.Endpoint = "https://new.example"
	backup, err = Write(link, a, false)
	if err != nil {
		t.Fatal(err)
	}
	if kept, err := os.ReadFile(backup); err != nil || string(kept) != string(before) {
		t.Errorf("the backup %s is\n%s%v", backup, kept, err)
	}
	if info, err := os.Lstat(link); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Error("the link was replaced by a file")
	}
	if text, err := os.ReadFile(path); err != nil || !strings.Contains(string(text), "https://new.example") {
		t.Errorf("%s%v", text, err)
	}
	if err := os.WriteFile(path, []byte("a: ["), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Write(path, a, false); err == nil {
		t.Error("a broken file was written over")
	}
	if text, err := os.ReadFile(path); err != nil || string(text) != "a: [" {
		t.Errorf("%s%v", text, err)
	}
}

func TestPath(t *testing.T) {
	env := func(value string) func(string) string { return func(string) string { return value } }
	home := func() (string, error) { return "/home/me", nil }
	for value, want := range map[string]string{"": "/home/me/.kube/config", "/a:/b": "/a", ":/b": "/b"} {
		if have, err := Path(env(value), home); err != nil || have != want {
			t.Errorf("%q: %s, %v", value, have, err)
		}
	}
	if _, err := Path(env(""), func() (string, error) { return "", errors.New("no home") }); err == nil {
		t.Error("a path without a home folder")
	}
}
