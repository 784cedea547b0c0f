package spec

import (
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

// leaves are all fields of eksctl's schema that have none below them.
func leaves() []string { return leavesOf(clusterFields()) }

func leavesOf(root field) []string {
	var out []string
	var walk func(f field, path string)
	walk = func(f field, path string) {
		for name, below := range f {
			if at := join(path, name); len(below) > 0 {
				walk(below, at)
			} else {
				out = append(out, at)
			}
		}
	}
	walk(root, "")
	slices.Sort(out)
	return out
}

// inTable is the entry of the table of fields that are not acted on that covers a path, "" if there is none.
func inTable(path string) string {
	for ; path != ""; path = path[:max(0, strings.LastIndexByte(path, '.'))] {
		if notActedOn[path] != "" {
			return path
		}
	}
	return ""
}

// errorsOnly are fields whose every value that asks for something is an error, each with such a value.
var errorsOnly = map[string]string{
	"managedNodeGroups.iam.instanceProfileARN":                                   "managedNodeGroups: [{name: g, iam: {instanceProfileARN: \"arn:aws:iam::111122223333:instance-profile/p\"}}]",
	"managedNodeGroups.outpostARN":                                               "managedNodeGroups: [{name: g, outpostARN: \"arn:aws:outposts:eu-west-1:111122223333:outpost/op-1\"}]",
	"managedNodeGroups.securityGroups.withLocal":                                 "managedNodeGroups: [{name: g, securityGroups: {withLocal: true}}]",
	"managedNodeGroups.securityGroups.withShared":                                "managedNodeGroups: [{name: g, securityGroups: {withShared: true}}]",
	"managedNodeGroups.ssh.publicKeyPath":                                        "managedNodeGroups: [{name: g, ssh: {publicKeyPath: ~/.ssh/id.pub}}]",
	"outpost.etcdPlacement.groupName":                                            "outpost: {controlPlaneOutpostARN: \"arn:aws:outposts:eu-west-1:111122223333:outpost/op-1\", controlPlaneInstanceType: m5d.large, etcdInstanceType: m5d.large, etcdPlacement: {groupName: near}}",
	"nodeGroups.ssh.publicKeyPath":                                               "nodeGroups: [{name: g, ssh: {publicKeyPath: ~/.ssh/id.pub}}]",
	"addons.podIdentityAssociations.tags.*":                                      "addons: [{name: eks-pod-identity-agent}, {name: a, podIdentityAssociations: [{serviceAccountName: a, roleARN: \"arn:aws:iam::111122223333:role/r\", tags: {a: b}}]}]",
	"addons.podIdentityAssociations.wellKnownPolicies.autoScaler":                "addons: [{name: eks-pod-identity-agent}, {name: a, podIdentityAssociations: [{serviceAccountName: a, wellKnownPolicies: {autoScaler: true}}]}]",
	"addons.podIdentityAssociations.wellKnownPolicies.awsLoadBalancerController": "addons: [{name: eks-pod-identity-agent}, {name: a, podIdentityAssociations: [{serviceAccountName: a, wellKnownPolicies: {awsLoadBalancerController: true}}]}]",
	"addons.podIdentityAssociations.wellKnownPolicies.certManager":               "addons: [{name: eks-pod-identity-agent}, {name: a, podIdentityAssociations: [{serviceAccountName: a, wellKnownPolicies: {certManager: true}}]}]",
	"addons.podIdentityAssociations.wellKnownPolicies.ebsCSIController":          "addons: [{name: eks-pod-identity-agent}, {name: a, podIdentityAssociations: [{serviceAccountName: a, wellKnownPolicies: {ebsCSIController: true}}]}]",
	"addons.podIdentityAssociations.wellKnownPolicies.efsCSIController":          "addons: [{name: eks-pod-identity-agent}, {name: a, podIdentityAssociations: [{serviceAccountName: a, wellKnownPolicies: {efsCSIController: true}}]}]",
	"addons.podIdentityAssociations.wellKnownPolicies.externalDNS":               "addons: [{name: eks-pod-identity-agent}, {name: a, podIdentityAssociations: [{serviceAccountName: a, wellKnownPolicies: {externalDNS: true}}]}]",
	"addons.podIdentityAssociations.wellKnownPolicies.imageBuilder":              "addons: [{name: eks-pod-identity-agent}, {name: a, podIdentityAssociations: [{serviceAccountName: a, wellKnownPolicies: {imageBuilder: true}}]}]",
}

// TestEveryField: each field of eksctl's schema changes the spec, or is reported as not acted on with the reason, or is an
// error. The values are those of the examples and of testdata/fields: each field is taken out of them in turn.
func TestEveryField(t *testing.T) {
	// The first two say what the document is, and the third has one possible value: others are an error.
	changes := map[string]bool{"apiVersion": true, "kind": true, "capabilities.deletePropagationPolicy": true}
	reported := map[string]bool{}
	for _, doc := range documentsOf(t, "../../examples/*.yaml", "../../examples/clusters/*.yaml", "testdata/fields/*.yaml") {
		whole, report := Parse([]byte(doc.text))
		if len(whole) != 1 || len(report.Errors) > 0 {
			t.Errorf("%s: %d specs, %s", doc.file, len(whole), report)
			continue
		}
		doc.eachLeaf(func(path, place string, without func() string) {
			less, lessReport := Parse([]byte(without()))
			missed := slices.ContainsFunc(lessReport.Errors, func(p Problem) bool { return p.Path == place })
			if missed || len(less) != 1 || !reflect.DeepEqual(less[0].Cluster, whole[0].Cluster) {
				if in := inTable(path); in != "" {
					t.Errorf("%s: %s changes the spec, and the table says that it is not acted on", doc.file, place)
				}
				changes[path] = true
			}
			for _, p := range report.NotActedOn() {
				if generic(p.Path) != inTable(path) || !strings.HasPrefix(place, p.Path) {
					continue
				}
				if reported[path] = true; !strings.HasSuffix(p.Message, notActedOn[inTable(path)]) {
					t.Errorf("%s: %s", doc.file, p)
				}
			}
		})
	}
	all := leaves()
	if len(all) < 400 {
		t.Errorf("only %d fields are known", len(all))
	}
	for _, path := range all {
		ways := 0
		if changes[path] {
			ways++
		}
		if reported[path] {
			ways++
		}
		if text, ok := errorsOnly[path]; ok {
			ways++
			specs, report := Parse([]byte(minimal + text))
			if len(specs) != 1 || !slices.ContainsFunc(report.Errors, func(p Problem) bool { return strings.HasPrefix(path, generic(p.Path)) }) {
				t.Errorf("%s is no error: %s", path, report)
			}
		}
		if ways != 1 {
			t.Errorf("%s: has %d ways: it must change the spec, be reported, or be an error", path, ways)
		}
	}
	for path := range errorsOnly {
		if !slices.Contains(all, path) {
			t.Errorf("%s is no field", path)
		}
	}
}

// TestTableHasFieldsOnly: what is said to be not acted on is there in the schema, and each says why.
func TestTableHasFieldsOnly(t *testing.T) {
	for _, path := range slices.Sorted(maps.Keys(notActedOn)) {
		f := clusterFields()
		for name := range strings.SplitSeq(path, ".") {
			if f = f[name]; f == nil {
				t.Errorf("%s is no field of eksctl's schema", path)
				break
			}
		}
		if len(notActedOn[path]) < 20 {
			t.Errorf("%s: %q is no reason", path, notActedOn[path])
		}
	}
}

// clusterDoc is a ClusterConfig of a file.
type clusterDoc struct {
	file, text string
	root       *yaml.Node
}

func documentsOf(t *testing.T, patterns ...string) []clusterDoc {
	t.Helper()
	var out []clusterDoc
	for _, pattern := range patterns {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatal(pattern, err, files)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range split(text) {
				nodes, err := decode(p.text)
				if err != nil || len(nodes) != 1 {
					t.Fatalf("%s: %v", file, err)
				}
				if root := plain(nodes[0]); strings.Contains(p.text, "kind: ClusterConfig") {
					out = append(out, clusterDoc{filepath.Base(file), encode(t, root), root})
				}
			}
		}
	}
	return out
}

// plain has no aliases, so that parts can be taken out.
func plain(n *yaml.Node) *yaml.Node {
	c := *target(n)
	c.Anchor, c.Content = "", nil
	for _, child := range target(n).Content {
		c.Content = append(c.Content, plain(child))
	}
	return &c
}

func encode(t *testing.T, n *yaml.Node) string {
	t.Helper()
	text, err := yaml.Marshal(n)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// eachLeaf calls do with each field of the document that has none below it in the schema.
func (d clusterDoc) eachLeaf(do func(path, place string, without func() string)) {
	d.eachLeafOf(clusterFields(), do)
}

func (d clusterDoc) eachLeafOf(schema field, do func(path, place string, without func() string)) {
	var walk func(n *yaml.Node, known field, path, place string)
	walk = func(n *yaml.Node, known field, path, place string) {
		if n.Kind == yaml.SequenceNode {
			for i, item := range n.Content {
				walk(item, known, path, place+"["+string(rune('0'+i%10))+"]")
			}
			return
		}
		for i := 0; i+1 < len(n.Content) && n.Kind == yaml.MappingNode; i += 2 {
			name := n.Content[i].Value
			below, ok := known[name]
			at := join(path, name)
			if !ok {
				if below, ok = known["*"]; !ok {
					continue
				}
				at = join(path, "*")
			}
			if len(below) > 0 {
				walk(n.Content[i+1], below, at, join(place, name))
				continue
			}
			do(at, join(place, name), func() string {
				kept := n.Content
				n.Content = slices.Delete(slices.Clone(kept), i, i+2)
				text, err := yaml.Marshal(d.root)
				n.Content = kept
				if err != nil {
					return ""
				}
				return string(text)
			})
		}
	}
	walk(d.root, schema, "", "")
}

// TestExamples: each example is right, and all that it says has an effect.
func TestExamples(t *testing.T) {
	files, err := filepath.Glob("../../examples/clusters/*.yaml")
	if err != nil || len(files) < 15 {
		t.Fatal(err, files)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		specs, report := Parse(text)
		name := strings.TrimSuffix(filepath.Base(file), ".yaml")
		if len(specs) != 1 || specs[0].Cluster.Name != name || len(report.Errors) > 0 || len(report.NotActedOn()) > 0 || strings.Contains(report.String(), "no known field") {
			t.Errorf("%s: %d specs, %s", file, len(specs), report)
		}
		if name == "full" && (specs[0].Cluster.DeletionProtection == nil || !*specs[0].Cluster.DeletionProtection || specs[0].Policy.Interruption.Rebalance != fleet.RebalanceDrain) {
			t.Errorf("the policy of %s was not read: %+v", file, specs[0])
		}
	}
}
