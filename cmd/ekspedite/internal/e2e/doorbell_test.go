package e2e

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"

	"github.com/ekspedite/ekspedite/cmd/ekspedite/internal/scene"
	"github.com/ekspedite/ekspedite/infra/local"
	"github.com/ekspedite/ekspedite/infra/local/faults"
	"github.com/ekspedite/ekspedite/shared/awscloud"
	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/kube"
	"github.com/ekspedite/ekspedite/shared/ledger"
)

// bell is a cluster without machines, whose policy asks for plans and for the bell.
const bell = `apiVersion: eksctl.io/v1alpha5
kind: ClusterConfig
metadata: {name: bell, region: us-east-1, version: "1.36"}
availabilityZones: [us-east-1a, us-east-1b]
accessConfig: {authenticationMode: API}
addonsConfig: {disableDefaultAddons: true}
---
apiVersion: ekspedite.dev/v1alpha1
kind: ClusterPolicy
metadata: {name: bell}
scaling: {mode: Plan, doorbell: Webhook}
`

// line is a line of a function's log.
type line struct {
	Time                 time.Time
	Msg, Cluster, Source string
}

// lines are those of a function's log from a time on that say something about the cluster.
func lines(t *testing.T, c *local.Cloud, group, msg string, since time.Time) (out []line) {
	t.Helper()
	r, ok := c.Stack.Find(group)
	if !ok {
		t.Fatalf("the template has no %s", group)
	}
	for _, text := range c.Logs.Lines(r.Ref) {
		var l line
		if json.Unmarshal([]byte(text), &l) == nil && l.Msg == msg && l.Cluster == "us-east-1/bell" && !l.Time.Before(since) {
			out = append(out, l)
		}
	}
	return out
}

// awaitLine waits for such a line.
func awaitLine(t *testing.T, c *local.Cloud, group, msg string, since time.Time) line {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if found := lines(t, c, group, msg, since); len(found) > 0 {
			return found[0]
		}
	}
	t.Fatalf("%s never said %q", group, msg)
	return line{}
}

// deploy has pods made that fit nowhere.
func deploy(t *testing.T, client *kube.Client, name string, replicas int) time.Time {
	t.Helper()
	began := time.Now()
	object := fmt.Sprintf(`{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":%[1]q,"namespace":"default"},"spec":{"replicas":%[2]d,
		"selector":{"matchLabels":{"app":%[1]q}},"template":{"metadata":{"labels":{"app":%[1]q}},"spec":{"containers":[{"name":"c","image":"registry.example/web:1",
		"resources":{"requests":{"cpu":"1","memory":"1Gi"}}}]}}}}`, name, replicas)
	if err := client.Apply(t.Context(), []byte(object)); err != nil {
		t.Fatal(err)
	}
	return began
}

// TestDoorbell: a pod that finds no node rings, by a webhook that a real API server calls at the function's URL; the scaling
// function looks, by the pods' own API. A burst is a handful of messages. Without the policy there is no bell.
func TestDoorbell(t *testing.T) {
	c := cloud(t, faults.None)
	s := scene.New(c)
	client, err := s.Apply(t.Context(), bell, "bell", 5*time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 4 { // the first ring starts the function
		began := deploy(t, client, fmt.Sprintf("one-%d", i), 1)
		rung := awaitLine(t, c, "DoorbellLogGroup", "rung", began)
		looked := awaitLine(t, c, "ScalingLogGroup", "plan", rung.Time)
		t.Logf("from the Deployment to the message: %s; to the plan: %s", rung.Time.Sub(began).Round(time.Millisecond), looked.Time.Sub(began).Round(time.Millisecond))
		if rung.Source != "webhook" {
			t.Errorf("%+v", rung)
		}
		awaitQuiet(t, c) // what is measured is the first ring of a burst
	}
	const burst = 200
	began := deploy(t, client, "burst", burst)
	awaitBurst(t, c, burst)
	if n := len(lines(t, c, "DoorbellLogGroup", "rung", began)); n < 1 || n > 8 {
		t.Errorf("%d pods made %d messages", burst, n)
	} else {
		t.Logf("%d pods made %d messages", burst, n)
	}
	function, _ := c.Stack.Find("DoorbellFunction")
	stats, _ := c.Lambda.StatsOf(function.Ref)
	t.Logf("%d invocations, %d cold starts: %v", stats.Invocations, stats.ColdStarts, stats.Inits)
	if stats.Errors > 0 {
		t.Errorf("%d invocations failed", stats.Errors)
	}
	doorbellGrants(t, c)

	hook := fleet.Ref{Name: "admissionregistration.k8s.io/v1|ValidatingWebhookConfiguration||ekspedite-doorbell"}
	if _, err := client.Object(t.Context(), hook); err != nil {
		t.Error(err)
	}
	byLogs := strings.NewReplacer("doorbell: Webhook", "doorbell: Logs", "accessConfig:", "cloudWatch: {clusterLogging: {enableTypes: [scheduler]}}\naccessConfig:").Replace(bell)
	if _, err := s.Apply(t.Context(), byLogs, "bell", 5*time.Minute); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Object(t.Context(), hook); !fault.Is(err, fault.NotFound) {
		t.Errorf("the webhook is still there: %v", err)
	}
	if rung := ringByLog(t, c); rung.Source != "logs" {
		t.Errorf("%+v", rung)
	}
	if _, err := s.Apply(t.Context(), strings.Replace(byLogs, "mode: Plan", "mode: Off", 1), "bell", 5*time.Minute); err != nil {
		t.Fatal(err)
	}
	filters, err := cloudwatchlogs.NewFromConfig(scene.Config(c)).DescribeSubscriptionFilters(t.Context(), &cloudwatchlogs.DescribeSubscriptionFiltersInput{LogGroupName: aws.String(logGroup)})
	if err != nil || len(filters.SubscriptionFilters) > 0 {
		t.Errorf("the subscription is still there: %v, %v", filters, err)
	}
	for _, d := range c.IAM.Denied() {
		t.Errorf("denied: %+v", d)
	}
}

const logGroup = "/aws/eks/bell/cluster"

// ringByLog writes what kube-scheduler would have EKS write, which the embedded EKS does not do, and waits for the ring.
func ringByLog(t *testing.T, c *local.Cloud) line {
	t.Helper()
	if err := c.Logs.CreateStream(logGroup, "kube-scheduler-0123"); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if err := c.Logs.Append(logGroup, "kube-scheduler-0123", began, `"`+fleet.NoFit+`; no fit; waiting" pod="default/probe" err="0/3 nodes are available"`); err != nil {
		t.Fatal(err)
	}
	return awaitLine(t, c, "DoorbellLogGroup", "rung", began)
}

// awaitQuiet waits until the ledger says that the burst is over: for ten seconds it has had no message.
func awaitQuiet(t *testing.T, c *local.Cloud) {
	t.Helper()
	table, ok := c.Stack.Find("Table")
	if !ok {
		t.Fatal("the template has no Table")
	}
	l := ledger.Ledger{Store: awscloud.NewStore(scene.Config(c), table.Ref), Now: time.Now}
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		b, err := l.Bell(t.Context(), fleet.ClusterID{Region: "us-east-1", Name: "bell"})
		if err != nil {
			t.Fatal(err)
		}
		if b.Rings > 0 && time.Since(b.Covered) > 10*time.Second {
			return
		}
	}
	t.Fatal("the bell does not fall silent")
}

// awaitBurst waits until the bell was called for the most of a burst: the scheduler's client writes 50 conditions a second.
func awaitBurst(t *testing.T, c *local.Cloud, pods int) {
	t.Helper()
	function, _ := c.Stack.Find("DoorbellFunction")
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if stats, _ := c.Lambda.StatsOf(function.Ref); stats.Invocations >= pods {
			return
		}
	}
	t.Error("the bell was not called for each pod")
}

// doorbellGrants fails for grants of the doorbell that it does not use.
func doorbellGrants(t *testing.T, c *local.Cloud) {
	t.Helper()
	for _, g := range c.IAM.Report() {
		if name := g.Sid + " " + g.Action; strings.Contains(g.RoleARN, "DoorbellFunctionRole") && g.Calls == 0 && rare[name] == "" {
			t.Errorf("granted and never used: %s", name)
		}
	}
}
