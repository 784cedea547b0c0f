package clusterview

import (
	"bytes"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/cmd/ekspedite/internal/clusterfile"
	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/shared/decide/cost"
	"github.com/ekspedite/ekspedite/shared/decide/preflight"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/ledger"
	"github.com/ekspedite/ekspedite/shared/plan"
	"github.com/ekspedite/ekspedite/shared/spec"
)

var update = flag.Bool("update", false, "write the golden files anew: look at the difference before you commit it")

var now = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

const text = `apiVersion: eksctl.io/v1alpha5
kind: ClusterConfig
metadata: {name: demo, region: eu-west-1, version: "1.36"}
managedNodeGroups:
- {name: spot, spot: true, instanceTypes: [m5.large, m6i.large], desiredCapacity: 3, maxSize: 6}
nodeGroups:
- {name: own, instanceType: c5.large, desiredCapacity: 1}
fargateProfiles:
- {name: fp, selectors: [{namespace: batch}]}
`

func made(id, api, does, queue string, in fleet.Props) plan.Call {
	effect := plan.Create
	switch {
	case strings.Contains(api, ":Delete"):
		effect = plan.Delete
	case strings.Contains(api, ":Attach"), strings.Contains(api, ":Update"):
		effect = plan.Change
	}
	return plan.Call{Of: plan.Of{Cluster: "demo", ID: id}, Effect: effect, API: api, Does: does, Queue: queue, Input: in}
}

// aPlan has one of everything.
func aPlan() Plan {
	p := plan.Plan{Outcome: "Active", Reason: "7 calls make it what its spec says", Notes: []string{"vpc.cidr cannot be changed:\nmake a new cluster"}}
	p.Add("network, roles",
		made("vpc", "ec2:CreateVpc", "create VPC (10.0.0.0/16)", "", fleet.Props{"cidrBlock": "10.0.0.0/16"}),
		made("role/cluster", "iam:CreateRole", "create role a", "", fleet.Props{"roleName": "a", "policy": "${aws:username}"}))
	p.Add("network, roles",
		made("subnet/a", "ec2:CreateSubnet", "create subnet a", "", fleet.Props{"vpcId": "${vpc}", "tags": []any{fleet.Props{"key": "x"}}}),
		made("role/cluster/p", "iam:AttachRolePolicy", "attach p to role a", "role/cluster", fleet.Props{"policyArn": "p"}),
		made("role/cluster/q", "iam:AttachRolePolicy", "attach q to role a", "role/cluster", fleet.Props{"policyArn": "q"}))
	p.Add("node groups",
		made("nodegroup/spot", "eks:CreateNodegroup", "create node group spot", "other", fleet.Props{"subnets": []any{"${subnet/a}"}, "template": fleet.Props{"id": "${template/spot.version}"}}))
	p.Add("node groups", made("nodegroup/old", "eks:DeleteNodegroup", "delete node group old", "", fleet.Props{"nodegroupName": "old"}))
	v := NewPlan(fleet.ClusterSpec{Name: "demo", Region: "eu-west-1"}, "", p)
	v.Time = &Time{Expected: 840, Sequential: 1500, Path: []string{"cluster", "nodegroup/spot"}}
	v.Cost = &cost.Estimate{Monthly: [2]float64{103, 120.5}, NotCounted: []string{"traffic", "taxes"}, Lines: []cost.Line{
		{What: "EKS control plane", Quantity: 1, Hourly: [2]float64{0.1, 0.1}, Monthly: [2]float64{73, 73}, Known: true, Source: "AWS price list, eu-west-1", AsOf: "2026-11-01"},
		{What: "spot: m5.large or m6i.large", Quantity: 3, Hourly: [2]float64{0.0137, 0.0217}, Monthly: [2]float64{30, 47.5}, Known: true, Source: "spot prices", AsOf: "2026-11-23"},
		{What: "EKS capability ACK", Quantity: 1, Source: "no price is known"},
	}}
	v.Findings = []preflight.Finding{
		{Severity: preflight.Error, Code: "QuotaVPCs", Resource: "vpc", Text: "the account has 5 of 5 VPCs", Fix: "ask for more"},
		{Severity: preflight.Info, Code: "Capacity", Resource: "cluster", Text: "nobody knows"},
	}
	v.OK = false
	return v
}

func aRun() ledger.ClusterRun {
	r := ledger.ClusterRun{RunID: "cluster-1", RequestID: "req", Begun: "cluster-1", StartedAt: now.Add(-3 * time.Minute), Reason: "waiting for nodegroup spot (CREATING)", Waiting: []string{"nodegroup/spot"}}
	r.Tell(ledger.Line{At: now.Add(-2 * time.Minute), Resource: "cluster", Step: "eks:CreateCluster", Detail: "create cluster demo"})
	r.Tell(ledger.Line{At: now.Add(-time.Minute), Resource: "cluster", Step: "Ready", Detail: "cluster is ready"})
	return r
}

func aFailure() ledger.Run {
	return ledger.Run{
		RunID: "cluster-1", Function: "cluster", Subject: events.Subject{Cluster: "demo", Region: "eu-west-1"}, Outcome: events.OutcomeFailed, Reason: "nodegroup/spot: no capacity",
		StartedAt: now.Add(-20 * time.Minute), FinishedAt: now.Add(-5 * time.Minute), Counts: map[string]int64{"writes": 30, "looks": 12}, Timings: map[string]int64{"eventToFinished": 901000},
		Failures: []events.Failure{
			{Resource: "nodegroup/spot", Code: "AsgInstanceLaunchFailures", Whose: "capacity", Text: "Could not launch Spot Instances\nof m5.large", Fix: "add instance types"},
			{Whose: "ours", Text: "a mistake"},
		},
	}
}

func aCluster() Cluster {
	r := aRun()
	r.Outcome = "Failed"
	c := Cluster{Row: NewRow(id("demo"), ledger.Desired{Text: text, RunID: "cluster-1"}, r), Last: &Run{Run: aFailure(), Over: true}}
	specs, said := spec.Parse([]byte(text))
	if said.Err() != nil {
		panic(said.Err())
	}
	c.Spec = &specs[0].Cluster
	c.Now = &Look{Status: "ACTIVE", Version: "1.36", Endpoint: "https://x.eks", Ready: []string{"vpc", "cluster"}, Waiting: []string{"addon/coredns"}, Different: []string{"nodegroup/spot"},
		Failed: []plan.Failure{{Resource: "nodegroup/own", Text: "it is CREATE_FAILED", Fix: "look"}}, Notes: []string{"a note\nof two lines"}}
	return c
}

func id(name string) fleet.ClusterID { return fleet.ClusterID{Region: "eu-west-1", Name: name} }

func rows() []Row {
	begun := aRun()
	over := begun
	over.Outcome, over.Reason = "Active", "all 36 resources are there, and this is a reason that is much too long for a list of clusters"
	unversioned := strings.Replace(text, `, version: "1.36"`, "", 1)
	return []Row{
		NewRow(id("active"), ledger.Desired{Text: text, RunID: "cluster-1"}, over),
		NewRow(id("applying"), ledger.Desired{Text: unversioned, RunID: "cluster-1"}, begun),
		NewRow(id("deleting"), ledger.Desired{Text: text, RunID: "cluster-1", Delete: true}, begun),
		NewRow(id("requested"), ledger.Desired{Text: text, RunID: "cluster-2", RequestedAt: now.Add(-5 * time.Second)}, over),
	}
}

// What people and programs read stays as it is, unless somebody means to change it.
func TestGolden(t *testing.T) {
	files := clusterfile.Files{Specs: []spec.Spec{{Cluster: fleet.ClusterSpec{Name: "demo", Region: "eu-west-1"}}}, Warnings: []clusterfile.Problem{
		{File: "b.yaml", Problem: spec.Problem{Line: 7, Path: "tea", Message: "is not a field"}},
	}}
	wrong := files
	wrong.Errors = []clusterfile.Problem{{File: "a.yaml", Problem: spec.Problem{Line: 3, Path: "metadata.name", Message: "is missing"}}, {File: "a.yaml", Problem: spec.Problem{Line: 1, Message: "not YAML"}}}
	drain := ledger.Run{RunID: "drain-1", Function: "interruption", Subject: events.Subject{Cluster: "demo", Node: "ip-10-0-0-1", InstanceID: "i-0abc"}, Outcome: events.OutcomePartiallyDrained,
		StartedAt: now.Add(-72 * time.Hour), FinishedAt: now.Add(-72*time.Hour + 90*time.Second), Blocked: []string{"default/web-1 by PodDisruptionBudget web"}}
	without := aCluster()
	without.Now, without.NotAsked, without.Spec, without.Last, without.Deleting = nil, "--offline", nil, nil, true
	as := func(v any) func(io.Writer) error { return func(w io.Writer) error { return JSON(w, v) } }
	for name, show := range map[string]func(io.Writer) error{
		"plan.txt":            func(w io.Writer) error { return aPlan().Text(w, false) },
		"plan-full.txt":       func(w io.Writer) error { return aPlan().Text(w, true) },
		"plan.json":           as(aPlan()),
		"plan-empty.txt":      func(w io.Writer) error { return nothing().Text(w, false) },
		"plan-empty.json":     as(nothing()),
		"validate.txt":        func(w io.Writer) error { NewValidation(files, false).Text(w); return nil },
		"validate-strict.txt": func(w io.Writer) error { NewValidation(files, true).Text(w); return nil },
		"validate-wrong.txt":  func(w io.Writer) error { NewValidation(wrong, false).Text(w); return nil },
		"validate-wrong.json": as(NewValidation(wrong, false)),
		"list.txt":            func(w io.Writer) error { List(w, now, rows()); return nil },
		"list.json":           as(rows()),
		"show.txt":            func(w io.Writer) error { aCluster().Text(w, now); return nil },
		"show-offline.txt":    func(w io.Writer) error { without.Text(w, now); return nil },
		"runs.txt":            func(w io.Writer) error { Runs(w, []ledger.Run{drain, aFailure()}); return nil },
		"run-live.txt": func(w io.Writer) error {
			Live(events.Subject{Cluster: "demo", Region: "eu-west-1"}, aRun()).Text(w, now)
			return nil
		},
		"run-live.json":  as(Live(events.Subject{Cluster: "demo", Region: "eu-west-1"}, aRun())),
		"run-failed.txt": func(w io.Writer) error { Run{Run: aFailure(), Over: true}.Text(w, now); return nil },
		"run-drain.txt":  func(w io.Writer) error { Run{Run: drain, Over: true}.Text(w, now); return nil },
		"run-requested.txt": func(w io.Writer) error {
			Requested(id("demo"), ledger.Desired{RunID: "cluster-2", RequestID: "req", RequestedAt: now.Add(-time.Minute)}).Text(w, now)
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			old := time.Local
			time.Local = time.UTC // lines are in the reader's own time
			defer func() { time.Local = old }()
			var have bytes.Buffer
			if err := show(&have); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join("testdata", name)
			if *update {
				if err := os.WriteFile(path, have.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			golden, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if have.String() != string(golden) {
				t.Errorf("it is\n%s\nwant\n%s", have.String(), golden)
			}
			for i, line := range strings.Split(have.String(), "\n") {
				if strings.TrimRight(line, " \t") != line {
					t.Errorf("line %d ends with spaces: %q", i+1, line)
				}
			}
		})
	}
}

func nothing() Plan {
	return NewPlan(fleet.ClusterSpec{Name: "demo", Region: "eu-west-1"}, "ACTIVE", plan.Plan{Outcome: "Active", Reason: "all 36 resources are as its spec says: nothing to do"})
}

func TestDurations(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second: "0s", 0: "0s", 1400 * time.Millisecond: "1s", 200 * time.Second: "3m20s", 599600 * time.Millisecond: "10m", 3 * time.Hour: "3h", 2*time.Hour + 5*time.Minute + time.Second: "2h5m", 100 * time.Hour: "4d",
	} {
		if have := short(d); have != want {
			t.Errorf("%v: %s, want %s", d, have, want)
		}
	}
}
