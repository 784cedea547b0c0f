package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/events"
)

// write puts a file into a folder of the test's.
func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "cluster.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// small is a cluster that takes little to make.
const small = `apiVersion: eksctl.io/v1alpha5
kind: ClusterConfig
metadata: {name: small, region: us-east-1, version: "1.36"}
availabilityZones: [us-east-1a, us-east-1b]
vpc: {nat: {gateway: Disable}}
addons: [{name: vpc-cni}]
addonsConfig: {disableDefaultAddons: true}
managedNodeGroups:
- {name: a, instanceType: m5.large, desiredCapacity: 1}
`

type shownPlan struct {
	Clusters []struct {
		Cluster, Status, Reason string
		OK, NothingToDo         bool
		Calls                   int
		Steps                   []struct{ Calls []struct{ API string } }
		Placeholders            []string
		Time                    *struct{ ExpectedSeconds int }
		Cost                    *struct{ Monthly [2]float64 }
		Preflight               []struct{ Severity, Code string }
	}
}

type shownRuns struct {
	RequestID string
	Runs      []events.RunFinished
}

// The life of a cluster from the command line, over the wire: planned, created, unchanged, looked at, changed, deleted.
func TestLifeOfACluster(t *testing.T) {
	r := newRig(t)
	file := write(t, small)

	before := wantJSON[shownPlan](t, 0, "", "cluster", "plan", "-f", file).Clusters[0]
	if before.Status != "" || before.NothingToDo || before.Calls < 20 || len(before.Steps) < 4 || len(before.Placeholders) == 0 {
		t.Errorf("the plan: %+v", before)
	}
	if before.Time.ExpectedSeconds < 600 || before.Cost.Monthly[0] < 73 {
		t.Errorf("it takes %+v and costs %+v", before.Time, before.Cost)
	}
	want(t, 0, []string{"1. ", `"cidrBlock": "192.168.0.0/16"`, "${vpc}", "together"}, small, "cluster", "plan", "-f", "-", "--full")
	want(t, 0, []string{"no cluster yet"}, "", "cluster", "list")

	p := want(t, 0, []string{"eks:CreateCluster", "cluster is ready", "cluster small in us-east-1: Active"}, "", "cluster", "apply", "-f", file)
	if strings.Contains(p.out, "CreateVpc") || !strings.Contains(p.err, "ec2:CreateVpc") {
		t.Errorf("progress belongs on stderr alone\n%s", p)
	}
	after := wantJSON[shownPlan](t, 0, "", "cluster", "plan", "-f", file).Clusters[0]
	if !after.NothingToDo || after.Calls != 0 || after.Status != "ACTIVE" || !strings.Contains(after.Reason, "nothing to do") {
		t.Errorf("the plan of an unchanged cluster: %+v", after)
	}

	rows := wantJSON[struct{ Clusters []map[string]any }](t, 0, "", "cluster", "list").Clusters
	if len(rows) != 1 || rows[0]["status"] != "Active" || rows[0]["version"] != "1.36" {
		t.Errorf("the list: %v", rows)
	}
	shown := wantJSON[struct {
		Status  string
		LastRun struct{ Outcome, RunID string }
		Now     struct {
			Status                    string
			Ready, Waiting, Different []string
		}
	}](t, 0, "", "cluster", "show", "small")
	if shown.Now.Status != "ACTIVE" || len(shown.Now.Ready) < 20 || len(shown.Now.Different)+len(shown.Now.Waiting) > 0 || shown.LastRun.Outcome != "Active" {
		t.Errorf("the cluster: %+v", shown)
	}
	want(t, 0, []string{"cluster small in us-east-1: Active", "a (managed): 1 to 1", "--offline"}, "", "cluster", "show", "small", "--offline")

	runs := wantJSON[shownRuns](t, 0, "", "runs", "list", "--cluster", "small").Runs
	if len(runs) != 1 || runs[0].RunID != shown.LastRun.RunID {
		t.Fatalf("the runs: %+v", runs)
	}
	want(t, 0, []string{"eks:CreateNodegroup", "Active"}, "", "runs", "show", runs[0].RunID)
	want(t, 0, []string{"Active"}, "", "runs", "show", runs[0].RunID, "--follow")
	want(t, exitFailed, []string{"there is no run nonsense"}, "", "runs", "show", "nonsense")
	if list := wantJSON[shownRuns](t, 0, "", "runs", "list", "--outcome", "Failed").Runs; len(list) != 0 {
		t.Errorf("failed runs: %+v", list)
	}

	changed := write(t, strings.Replace(small, "desiredCapacity: 1", "desiredCapacity: 1, maxSize: 3", 1))
	if c := wantJSON[shownPlan](t, 0, "", "cluster", "plan", "-f", changed).Clusters[0]; c.Calls != 1 || c.Steps[0].Calls[0].API != "eks:UpdateNodegroupConfig" {
		t.Errorf("the plan of a change: %+v", c)
	}
	if done := wantJSON[shownRuns](t, 0, "", "cluster", "apply", "-f", changed).Runs; len(done) != 1 || done[0].Outcome != "Active" || done[0].Counts["writes"] != 1 {
		t.Errorf("the change: %+v", done)
	}

	r.kubeconfig()
	r.later(3 * time.Minute)
	gone := wantJSON[shownPlan](t, 0, "", "cluster", "delete", "--name", "small", "--region", "us-east-1", "--dry-run").Clusters[0]
	if gone.Calls < 10 || !gone.OK {
		t.Errorf("the plan of the deletion: %+v", gone)
	}
	want(t, exitUsage, []string{"--yes"}, "", "cluster", "delete", "-f", file)
	want(t, 0, []string{"cluster small in us-east-1: Deleted"}, "", "cluster", "delete", "-f", file, "--yes")
	want(t, 0, []string{"no cluster yet"}, "", "cluster", "list")
	want(t, 0, []string{"Deleted"}, "", "runs", "list") // the history stays
	want(t, exitFailed, []string{"ekspedite has no cluster small"}, "", "cluster", "show", "small")
}

// kubeconfig writes the file for kubectl and asks for a token as kubectl would.
func (r *rig) kubeconfig() {
	t := r.t
	file := filepath.Join(t.TempDir(), "kubeconfig")
	want(t, 0, []string{file}, "", "cluster", "kubeconfig", "small", "--file", file)
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, has := range []string{"server: https://127.0.0.1:1", "AWS_ENDPOINT_URL", "- token", "- small", "current-context: arn:aws:eks:us-east-1:123456789012:cluster/small"} {
		if !strings.Contains(string(text), has) {
			t.Errorf("the kubeconfig has no %q:\n%s", has, text)
		}
	}
	if p := want(t, 0, nil, "", "cluster", "kubeconfig", "small", "--region", "us-east-1", "--file", "-"); !strings.HasPrefix(p.out, "clusters:") {
		t.Error(p)
	}
	want(t, exitFailed, []string{"EKS has no cluster other"}, "", "cluster", "kubeconfig", "other", "--region", "us-east-1", "--file", file)

	p := want(t, 0, nil, "", "cluster", "token", "small", "--region", "us-east-1")
	var c credential
	if err := json.Unmarshal([]byte(p.out), &c); err != nil {
		t.Fatal(err)
	}
	life := time.Until(c.Status.ExpirationTimestamp)
	if c.Kind != "ExecCredential" || c.APIVersion != "client.authentication.k8s.io/v1" || life < 13*time.Minute || life > 15*time.Minute {
		t.Errorf("the credential is %+v", c)
	}
	encoded, ok := strings.CutPrefix(c.Status.Token, "k8s-aws-v1.")
	raw, err := base64.RawURLEncoding.DecodeString(encoded)
	if !ok || err != nil {
		t.Fatalf("the token is %q: %v", c.Status.Token, err)
	}
	u, err := url.Parse(string(raw))
	if err != nil || u.Query().Get("Action") != "GetCallerIdentity" || !strings.Contains(u.Query().Get("X-Amz-SignedHeaders"), "x-k8s-aws-id") {
		t.Errorf("the token is of %s: %v", raw, err)
	}
}

// A run that fails says whose that is and what to do, with exit code 1; what is refused before it begins does, too.
func TestAFailedRunSaysWhatToDo(t *testing.T) {
	newRig(t)
	spec := strings.Replace(small, "vpc: {nat: {gateway: Disable}}", "vpc: {id: vpc-0123456789abcdef0, subnets: {public: {a: {id: subnet-0123456789abcdef0}, b: {id: subnet-0123456789abcdef1}}}}", 1)
	spec = strings.Replace(spec, "availabilityZones: [us-east-1a, us-east-1b]\n", "", 1)
	file := write(t, spec)
	p := run(t.Context(), "", "cluster", "plan", "-f", file)
	if p.code != exitFailed || !strings.Contains(p.out, "vpc-0123456789abcdef0") {
		t.Errorf("the plan\n%s", p)
	}
	p = want(t, exitFailed, []string{"Failed", "vpc-0123456789abcdef0"}, "", "cluster", "apply", "-f", file)
	if !strings.Contains(p.out, "whose     yours") || !strings.Contains(p.out, "to do ") {
		t.Errorf("it does not say what to do\n%s", p)
	}
	if done := wantJSON[shownRuns](t, exitFailed, "", "cluster", "apply", "-f", file).Runs; len(done) != 1 || done[0].Outcome != "Failed" {
		t.Errorf("the run: %+v", done)
	}
}

// When following ends early, by its time or by Ctrl-C, the run goes on, and it is said how to follow it.
func TestFollowingEndsEarly(t *testing.T) {
	r := newRig(t)
	r.stop()
	file := write(t, small)
	p := want(t, exitTimeout, []string{"goes on", "--timeout 1s is over"}, "", "cluster", "apply", "-f", file, "--timeout", "1s")
	_, rest, _ := strings.Cut(p.err, "follow it: ")
	command, _, _ := strings.Cut(rest, "\n")
	if !strings.HasPrefix(command, "ekspedite runs show cluster-") {
		t.Fatalf("it says %q\n%s", command, p)
	}

	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(500*time.Millisecond, cancel)
	if p := run(ctx, "", "cluster", "apply", "-f", file); p.code != exitInterrupted || !strings.Contains(p.err, "goes on without this command") {
		t.Errorf("interrupted\n%s", p)
	}

	asked := wantJSON[shownRuns](t, 0, "", "cluster", "apply", "-f", file, "--no-wait")
	if len(asked.Runs) != 1 || !strings.HasPrefix(asked.Runs[0].RunID, "cluster-") || asked.RequestID == "" {
		t.Errorf("%+v", asked)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.asked != 3 {
		t.Errorf("%d requests are on the bus, 3 were made", r.asked)
	}
}

// Where ekspedite is not deployed, or nothing answers, the line says what to do.
func TestWhereItIsNot(t *testing.T) {
	newRig(t)
	want(t, exitFailed, []string{"is `ekspedite local up` still running?"}, "", "cluster", "list", "--endpoint-url", "http://127.0.0.1:1")
	t.Setenv("AWS_REGION", "")
	want(t, exitUsage, []string{"--home"}, "", "cluster", "list")
}
