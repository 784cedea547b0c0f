package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/ekspedite/ekspedite/infra/stacks"
)

func TestCommittedTemplatesAreFresh(t *testing.T) {
	root, err := moduleRoot()
	if err != nil {
		t.Fatal(err)
	}
	fresh, err := synthesized()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range stacks.Names {
		path := filepath.Join("infra/template", templateFile(name))
		committed, err := os.ReadFile(filepath.Join(root, path))
		if err != nil {
			t.Errorf("%v: run make synth", err)
			continue
		}
		if !bytes.Equal(committed, fresh[name]) {
			line, was, is := firstDifference(committed, fresh[name])
			t.Errorf("%s is stale: run make synth\nline %d is    %s\nshould be %s", path, line, was, is)
		}
	}
}

func firstDifference(a, b []byte) (line int, inA, inB string) {
	as, bs := strings.Split(string(a), "\n"), strings.Split(string(b), "\n")
	for i := range min(len(as), len(bs)) {
		if as[i] != bs[i] {
			return i + 1, as[i], bs[i]
		}
	}
	return min(len(as), len(bs)), "(one ends here)", "(one ends here)"
}

// What runs locally is what is deployed: the committed template, which the embedded cloud loads, against what the CDK's
// command line would deploy.
func TestDeploymentDiffersFromTemplateInCodeOnly(t *testing.T) {
	root, err := moduleRoot()
	if err != nil {
		t.Fatal(err)
	}
	// A root of its own, with packages that need not work.
	fake, outdir := t.TempDir(), t.TempDir()
	flags, err := os.ReadFile(filepath.Join(root, "cdk.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(fake, "cdk.json"), flags, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(fake, packages), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, function := range stacks.Functions {
		if err := writeAssembly(fake, outdir); err == nil || !strings.Contains(err.Error(), function) {
			t.Errorf("without a package of %s: %v", function, err)
		}
		if err := os.WriteFile(filepath.Join(fake, packages, function+".zip"), []byte(function), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := writeAssembly(fake, outdir); err != nil {
		t.Fatal(err)
	}
	deployed, err := readTemplates(outdir)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range stacks.Names {
		got, want := parse(t, deployed[name]), stack(t, name)
		for _, tpl := range []template{got, want} {
			for _, r := range tpl.Resources {
				if r.Type == "AWS::Lambda::Function" {
					delete(r.Properties, "Code")
				}
			}
		}
		if !reflect.DeepEqual(got.Resources, want.Resources) {
			t.Errorf("the resources of %s differ", name)
		}
		if !reflect.DeepEqual(got.Outputs, want.Outputs) {
			t.Errorf("the outputs of %s differ", name)
		}
	}
}

// Others refer to logical ids, people read them, and a change of one replaces what it names.
func TestLogicalIDsHaveNoHashes(t *testing.T) {
	hash := regexp.MustCompile(`[0-9A-F]{8}`)
	for id := range everything(t).Resources {
		if hash.MatchString(id) {
			t.Errorf("%s: give it a name (OverrideLogicalId)", id)
		}
	}
}

// The embedded cloud's loader knows these and refuses the rest.
func TestTemplatesUseKnownFunctionsOnly(t *testing.T) {
	known := map[string]bool{"Fn::GetAtt": true, "Fn::Sub": true, "Fn::Join": true, "Fn::Select": true, "Fn::Split": true,
		"Fn::ImportValue": true, "Fn::If": true, "Fn::Equals": true, "Fn::Not": true, "Fn::Or": true}
	all, err := synthesized()
	if err != nil {
		t.Fatal(err)
	}
	for name, raw := range all {
		for _, function := range regexp.MustCompile(`"(Fn::\w+)"`).FindAllSubmatch(raw, -1) {
			if !known[string(function[1])] {
				t.Errorf("%s uses %s", name, function[1])
			}
		}
		for _, leftover := range []string{"cdk_nag", "aws:cdk:", "BootstrapVersion", "CDKMetadata", "aws:asset:"} {
			if bytes.Contains(raw, []byte(leftover)) {
				t.Errorf("%s contains %s", name, leftover)
			}
		}
		if !json.Valid(raw) {
			t.Errorf("%s is not JSON", name)
		}
	}
}

// A function that pulls in the CDK would be 100 MB. Both live in one module, so that nothing but this keeps them apart.
func TestFunctionsNeedNoCDK(t *testing.T) {
	root, err := moduleRoot()
	if err != nil {
		t.Fatal(err)
	}
	// With -e a package that does not load is still listed: whether everything builds is another test's question.
	list := exec.Command("go", "list", "-e", "-deps", "-f", "{{.ImportPath}}", "./functions/...")
	list.Dir = root
	out, err := list.Output()
	if err != nil {
		t.Fatalf("%v: %v", list, err)
	}
	for dependency := range strings.Lines(string(out)) {
		dependency = strings.TrimSpace(dependency)
		for _, forbidden := range []string{
			"github.com/aws/aws-cdk-go", "github.com/aws/constructs-go", "github.com/aws/jsii-runtime-go", "github.com/cdklabs/",
			"github.com/ekspedite/ekspedite/infra",
		} {
			if strings.HasPrefix(dependency, forbidden) {
				t.Errorf("a function depends on %s", dependency)
			}
		}
	}
}
