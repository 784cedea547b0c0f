package e2e

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/cmd/ekspedite/internal/scene"
	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/infra/local"
	"github.com/ekspedite/ekspedite/infra/local/codepipeline"
	"github.com/ekspedite/ekspedite/infra/local/faults"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

// upgradable is a cluster two minors behind, with a node group for each way of moving nodes.
const upgradable = `apiVersion: eksctl.io/v1alpha5
kind: ClusterConfig
metadata: {name: up, region: us-east-1, version: "1.35"}
availabilityZones: [us-east-1a, us-east-1b]
vpc: {nat: {gateway: Disable}}
accessConfig: {authenticationMode: API}
managedNodeGroups:
  - {name: rolls, instanceType: m5.large, minSize: 1, desiredCapacity: 2, maxSize: 8, labels: {moves: rolls}}
  - {name: moves, instanceType: m5.large, minSize: 1, desiredCapacity: 2, maxSize: 8, labels: {moves: moves}}
---
apiVersion: ekspedite.dev/v1alpha1
kind: ClusterPolicy
metadata: {name: up}
upgrade:
  bake: 2s
  health: {for: 60s}
  nodes:
    groups:
      - {name: moves, strategy: BlueGreen}
`

// served is pods on the nodes of one group, and a budget that lets one of them go at a time. Pods take a while
// to start and to stop.
func served(app, group string, replicas int) []string {
	return []string{
		fmt.Sprintf(`{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":%[1]q,"namespace":"default"},"spec":{"replicas":%[3]d,
			"selector":{"matchLabels":{"app":%[1]q}},"template":{"metadata":{"labels":{"app":%[1]q},"annotations":{"ekspedite.dev/start-after":"800ms","ekspedite.dev/exit-after":"3s"}},
			"spec":{"terminationGracePeriodSeconds":30,"nodeSelector":{"moves":%[2]q},"containers":[{"name":"web","image":"public.ecr.aws/nginx/nginx:1.29","ports":[{"containerPort":80}],
			"readinessProbe":{"httpGet":{"path":"/","port":80}},"resources":{"requests":{"cpu":"100m","memory":"128Mi"}}}]}}}}`, app, group, replicas),
		fmt.Sprintf(`{"apiVersion":"policy/v1","kind":"PodDisruptionBudget","metadata":{"name":%[1]q,"namespace":"default"},"spec":{"maxUnavailable":1,"selector":{"matchLabels":{"app":%[1]q}}}}`, app),
	}
}

// TestUpgrade takes a cluster under load over two minors, its nodes by both ways, and back over one: the function's own binary
// and permissions, a control plane that really changes its version, real evictions. No request of a customer fails, no budget is
// broken, nothing is denied.
func TestUpgrade(t *testing.T) {
	t.Parallel() // it waits for most of its time
	c := cloud(t, faults.None)
	s := scene.New(c)
	client, err := s.Apply(t.Context(), upgradable, "up", 4*time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	v, people := scene.Watch(t.Context(), client, "default"), newOnlooker(t, c, "up")
	replicas := map[string]int{"web": 6, "api": 4}
	for app, group := range map[string]string{"web": "rolls", "api": "moves"} {
		for _, object := range served(app, group, replicas[app]) {
			if err := client.Apply(t.Context(), []byte(object)); err != nil {
				t.Fatal(err)
			}
		}
		service := fmt.Sprintf(`{"metadata":{"name":%[1]q},"spec":{"selector":{"app":%[1]q},"ports":[{"port":80}]}}`, app)
		if err := people.create(t.Context(), "/api/v1/namespaces/default/services", service); err != nil {
			t.Fatal(err)
		}
	}
	wait := func(what string, cond func() bool) {
		t.Helper()
		if err := v.Wait(t.Context(), what, 2*time.Minute, cond); err != nil {
			t.Fatal(err)
		}
	}
	wait("all pods", func() bool { return v.ReadyPods("web") == 6 && v.ReadyPods("api") == 4 })
	fewest := map[string]int{"web": 6, "api": 4}
	v.Observe(func(deleted bool, before, after fleet.Pod) {
		for app := range replicas {
			if n := v.ReadyPods(app); n < fewest[app] {
				fewest[app] = n
				t.Logf("%s: %d of %d pods of %s are ready: %s on %s (deleted %t, ready %t, deleting %t; before: ready %t, deleting %t)", time.Now().Format(time.StampMilli), n,
					replicas[app], app, after.Name, after.Node, deleted, after.Ready, after.Deleting, before.Ready, before.Deleting)
			}
		}
	}, nil)
	customers, stop := context.WithCancel(t.Context())
	defer stop()
	var asks customer
	var wg sync.WaitGroup
	for app := range replicas {
		of := people.follow(customers, app)
		for deadline := time.Now().Add(time.Minute); len(of.ready()) != replicas[app]; time.Sleep(100 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("the endpoints of %s: %v", app, of.ready())
			}
		}
		wg.Go(func() { asks.run(customers, of, v) })
	}
	request := func(payload events.OwnPayload, what, outcome string, patience time.Duration) events.RunFinished {
		t.Helper()
		since := time.Now()
		e, err := events.New(payload, rand.Text(), since, c.World.Account, c.World.Region)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Bus.Publish(t.Context(), e); err != nil {
			t.Fatal(err)
		}
		run, err := s.AwaitRun(t.Context(), what, patience, func(r events.RunFinished) bool { return r.Function == "upgrade" && r.FinishedAt.After(since) })
		if err != nil {
			t.Fatal(err)
		}
		if run.Outcome != outcome {
			t.Fatalf("%s: %s: %s\n%+v\n%v", what, run.Outcome, run.Reason, run.Failures, run.Blocked)
		}
		t.Logf("%s: %s after %s: %s, %v", what, run.Outcome, time.Since(since).Round(time.Millisecond), run.Reason, run.Counts)
		return run
	}
	kubelets := func(minor string) func() bool {
		return func() bool {
			nodes := v.AllNodes()
			for _, n := range nodes {
				if !strings.HasPrefix(n.Kubelet, "v"+minor+".") || !n.Ready || n.Unschedulable {
					return false
				}
			}
			return len(nodes) == 4
		}
	}

	gate(t, c, `{"action": "check", "clusters": ["us-east-1/up"], "to": "1.36"}`)
	request(&events.UpgradeRequested{RequestID: "dry", Cluster: "up", To: "1.37", Now: true, DryRun: true}, "the plan", events.OutcomePlanned, 2*time.Minute)
	request(&events.UpgradeRequested{RequestID: "there", Cluster: "up", To: "1.37", Now: true}, "the upgrade", events.OutcomeUpgraded, 8*time.Minute)
	wait("four nodes at 1.37", kubelets("1.37"))
	request(&events.UpgradeControlRequested{RequestID: "back", Command: events.UpgradeRollback, Cluster: "up", Reason: "a test", By: "e2e"}, "the rollback", events.OutcomeRolledBack, 8*time.Minute)
	wait("four nodes at 1.36", kubelets("1.36"))
	wait("all pods again", func() bool { return v.ReadyPods("web") == 6 && v.ReadyPods("api") == 4 })

	stop()
	wg.Wait()
	t.Logf("%d requests, %d failed; fewest ready pods: %v", asks.requests, asks.failed, fewest)
	if asks.failed > 0 || asks.requests < 100 {
		t.Errorf("%d of %d requests failed: %v", asks.failed, asks.requests, asks.why[:min(10, len(asks.why))])
	}
	v.Look(func() {
		for app, n := range fewest {
			if n < replicas[app]-1 {
				t.Errorf("only %d of %d pods of %s were ready; the budget allows for one to be missing", n, replicas[app], app)
			}
		}
	})
	for _, d := range c.IAM.Denied() {
		t.Errorf("denied: %+v", d)
	}
	unusedOf(t, c, "UpgradeFunctionRole", rareUpgrade)
}

// gate has a stage of a pipeline ask whether the cluster may be upgraded: the pipeline function's own binary asks the upgrade
// function, and follows what comes of it.
func gate(t *testing.T, c *local.Cloud, parameters string) {
	t.Helper()
	id, err := c.CodePipeline.StartJob(c.Stack.Outputs["ekspedite-automation.PipelineFunctionName"], parameters)
	if err != nil {
		t.Fatal(err)
	}
	select {
	case <-c.CodePipeline.Done(id):
	case <-time.After(2 * time.Minute):
	}
	if a, _ := c.CodePipeline.Job(id); a.Status != codepipeline.Succeeded {
		t.Errorf("the gate: %+v", a)
	} else {
		t.Logf("the gate: %v", a.OutputVariables)
	}
}

// rareUpgrade are the upgrade function's grants that TestUpgrade does not use, with what does.
var rareUpgrade = map[string]string{
	"RejectToDeadLetters sqs:SendMessage":                        "bad input: TestBadInputEndsWhereItShould",
	"ReleaseMessages sqs:ChangeMessageVisibility":                "a call that fails: the tests of package handler",
	"Trace xray:PutTraceSegments":                                "Lambda itself, on AWS",
	"Trace xray:PutTelemetryRecords":                             "Lambda itself, on AWS",
	"SeeAlarms cloudwatch:DescribeAlarms":                        "policies with alarms: TestReadinessGrants of package observe",
	"SeeKeys kms:DescribeKey":                                    "clusters with a key of their owner's, which this one has not; as all below, it is one more part that is read",
	"SeeRoles iam:GetInstanceProfile":                            "launch templates of their owners'",
	"SeeNetworksAndMachines ec2:DescribeKeyPairs":                "launch templates of their owners'",
	"SeeQuotas servicequotas:GetAWSDefaultServiceQuota":          "quotas that were never changed, on AWS",
	"SeeVersions eks:DescribeAddonConfiguration":                 "add-ons with a configuration: TestGrants of package work/upgrade",
	"SeeClusters eks:DescribeIdentityProviderConfig":             "clusters with an identity provider",
	"SeeClusters eks:DescribePodIdentityAssociation":             "add-ons with pod identity",
	"SeeClusters eks:DescribeCapability":                         "clusters with capabilities",
	"FromOurTemplates ec2:RunInstances":                          "launch templates: TestGrants of package work/upgrade",
	"RunTheirMachines ec2:RunInstances":                          "what AWS tries beside the template; the embedded cloud tries the template alone",
	"TagMachines ec2:CreateTags":                                 "as above",
	"ChangeSelfManagedGroups autoscaling:UpdateAutoScalingGroup": "self-managed groups: TestGrants of package work/upgrade",
	"ChangeSelfManagedGroups autoscaling:CreateOrUpdateTags":     "as above",
	"UpgradeControlPlanes eks:CreateCertificateAuthority":        "authorities that end soon: TestAuthorityRenewed of package work/upgrade, under this role",
	"UpgradeControlPlanes eks:ActivateCertificateAuthority":      "as above",
	"UpgradeControlPlanes eks:DeleteCertificateAuthority":        "authorities that have failed: the tests of package decide/upgrade",
	"ChangeLaunchTemplates ec2:CreateLaunchTemplateVersion":      "as above",
}
