package cluster_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	elbv2 "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/infra/local/world"
	"github.com/ekspedite/ekspedite/internal/cloudtest"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/ledger"
)

// TestDelete makes the demo's cluster with AWS's real durations, says how it would be deleted, and deletes it.
func TestDelete(t *testing.T) {
	inBubble(t, world.Real, func(t *testing.T, r *rig) {
		r.under(t, parameters)
		defer r.allowed(t)
		text := example(t, "demo.yaml")
		before := r.everywhere(region)
		r.ask("request-1", text)
		r.run()
		id := r.names(text)[0]

		r.Script.Writes = 0
		r.Send(&events.ClusterDeleteRequested{RequestID: "dry", Cluster: id.Name, DryRun: true})
		r.run()
		dry := r.ended()
		if r.Script.Writes != 0 || dry.Outcome != events.OutcomeNothingToDo || dry.Counts["planned"] < 15 || !strings.Contains(dry.Reason, "dry run, nothing was written") {
			t.Errorf("%d writes, %+v", r.Script.Writes, dry)
		}

		start := time.Now()
		r.Script.Reads, r.Script.Writes, r.Script.Ops = 0, 0, nil
		r.end(text, "request-2", false)
		done := r.ended()
		if done.Outcome != events.OutcomeDeleted || !strings.HasPrefix(done.Reason, "nothing of ekspedite's is left of cluster") || done.Counts["writes"] != dry.Counts["planned"] {
			t.Fatalf("%+v\n%s", done, r.Told())
		}
		t.Logf("%s, %d reads, %d writes", time.Since(start), r.Script.Reads, r.Script.Writes)
		r.nothingLeft(t, text, before, "deleted")

		// Once more: nothing to do. And what is made anew is on the list again.
		r.end(text, "request-3", false)
		if done := r.ended(); done.Outcome != events.OutcomeDeleted || done.Counts["writes"] != 0 {
			t.Errorf("%+v", done)
		}
		r.ask("request-4", text)
		r.run()
		if done := r.ended(); done.Outcome != events.OutcomeActive {
			t.Errorf("%+v\n%s", done, r.Told())
		}
		l := &ledger.Ledger{Store: r.Store, Now: time.Now}
		if ids, err := l.Clusters(t.Context()); err != nil || !slices.Equal(ids, []fleet.ClusterID{id}) {
			t.Error(ids, err)
		}
	})
}

// TestExamplesLeaveNothing makes the cluster of every file that users get, and deletes it.
func TestExamplesLeaveNothing(t *testing.T) {
	files, err := filepath.Glob("../../../examples/clusters/*.yaml")
	if err != nil || len(files) < 15 {
		t.Fatal(files, err)
	}
	for _, f := range files {
		name := filepath.Base(f)
		t.Run(name, func(t *testing.T) {
			if why := notHere[name]; why != "" {
				t.Skip(why)
			}
			inBubble(t, quick, func(t *testing.T, r *rig) {
				text := r.given(example(t, f[len("../../../examples/"):]))
				before := r.everywhere(r.names(text)[0].Region)
				r.make(text, nil, nil)
				r.end(text, "request-2", true)
				if done := r.ended(); done.Outcome != events.OutcomeDeleted {
					t.Fatalf("%s: %s\n%s", done.Outcome, done.Reason, last(r.Told(), 12))
				}
				r.nothingLeft(t, text, before, name)
				t.Logf("%v", r.ended().Counts)
			})
		})
	}
}

// TestUnwind: a creation is overtaken by a deletion after each of its calls. Nothing is left of it.
func TestUnwind(t *testing.T) {
	text := example(t, "demo.yaml")
	_, calls := plain(t, "demo.yaml")
	step := 7
	if testing.Short() {
		step = 41
	}
	unwound := 0
	for n := 1; n <= calls; n += step {
		inBubble(t, quick, func(t *testing.T, r *rig) {
			before := r.everywhere(region)
			asked := false
			r.make(text, nil, func(i int, _ string) cloudtest.Misfortune {
				if i == n && !asked {
					asked = true
					id := r.names(text)[0]
					r.Send(&events.ClusterDeleteRequested{RequestID: "request-2", Cluster: id.Name, Region: id.Region})
					if n%2 == 0 {
						return cloudtest.KilledAfter
					}
				}
				return cloudtest.Nothing
			})
			if !asked { // reads that are late make it a few calls more or less
				return
			}
			unwound++
			what := fmt.Sprintf("overtaken at call %d", n)
			if done := r.ended(); done.Outcome != events.OutcomeDeleted {
				t.Fatalf("%s: %s: %s\n%s", what, done.Outcome, done.Reason, last(r.Told(), 12))
			}
			r.nothingLeft(t, text, before, what)
		})
	}
	if unwound < calls/step/2 {
		t.Errorf("only %d creations were overtaken", unwound)
	}
}

// TestDeleteHostile: failures of all kinds at random while clusters with much in them are deleted, messages delivered twice.
func TestDeleteHostile(t *testing.T) {
	seeds := uint64(12)
	if testing.Short() {
		seeds = 3
	}
	files := []string{"full.yaml", "self-managed.yaml", "private.yaml", "fargate.yaml", "capabilities.yaml", "ipv6.yaml"}
	for seed := range seeds {
		name := files[seed%uint64(len(files))]
		inBubble(t, quick, func(t *testing.T, r *rig) {
			text := r.given(example(t, "clusters/"+name))
			before := r.everywhere(r.names(text)[0].Region)
			r.make(text, nil, nil)
			random, kills := rand.New(rand.NewPCG(seed, 3)), 0
			r.Twice = func() bool { return seed%3 == 0 && random.IntN(10) == 0 }
			r.Script.At = func(int, string) cloudtest.Misfortune {
				switch random.IntN(100) {
				case 0:
					return cloudtest.FailsBefore
				case 1:
					return cloudtest.FailsAfter
				case 2:
					if kills++; kills < 4 {
						return cloudtest.KilledAfter
					}
				}
				return cloudtest.Nothing
			}
			what := fmt.Sprintf("%s, seed %d", name, seed)
			r.end(text, "request-2", true)
			if r.Queue.Redrive() > 0 { // the fifth receipt of one message was the last
				r.run()
			}
			r.Script.At = nil
			if done := r.ended(); done.Outcome != events.OutcomeDeleted {
				t.Fatalf("%s: %s: %s\n%s", what, done.Outcome, done.Reason, last(r.Told(), 12))
			}
			r.nothingLeft(t, text, before, what)
		})
	}
}

// TestDeleteAtEveryCall: a deletion that fails, or whose function is killed, at some call, ends with nothing left. As with
// creations, EVERY_CALL=all tries each call.
func TestDeleteAtEveryCall(t *testing.T) {
	for name, step := range map[string]int{"demo.yaml": 11, "clusters/full.yaml": 67} {
		if testing.Short() {
			step *= 6
		}
		if os.Getenv("EVERY_CALL") == "all" {
			step = 1
		}
		calls := 0
		inBubble(t, quick, func(t *testing.T, r *rig) {
			text := r.given(example(t, name))
			r.make(text, nil, nil)
			r.Script.Calls = 0
			r.end(text, "request-2", true) // full.yaml is protected against deletion
			calls = r.Script.Calls
		})
		t.Logf("%s: %d calls", name, calls)
		for what, e := range misfortunes {
			t.Run(name+" "+what, func(t *testing.T) {
				t.Parallel()
				for n := 1 + int(e)%step; n <= calls; n += step {
					deleteAtCall(t, name, n, what, e)
				}
			})
		}
	}
}

// deleteAtCall deletes a cluster, with a misfortune at the nth call.
func deleteAtCall(t *testing.T, name string, n int, what string, e cloudtest.Misfortune) {
	inBubble(t, quick, func(t *testing.T, r *rig) {
		text := r.given(example(t, name))
		before := r.everywhere(r.names(text)[0].Region)
		r.make(text, nil, nil)
		r.Script.Calls = 0
		r.Script.At = func(i int, op string) cloudtest.Misfortune {
			if i == n {
				what = fmt.Sprintf("%s at call %d (%s)", what, n, op)
				return e
			}
			return cloudtest.Nothing
		}
		r.end(text, "request-2", true)
		if done := r.ended(); done.Outcome != events.OutcomeDeleted {
			t.Fatalf("%s: %s: %s\n%s", what, done.Outcome, done.Reason, last(r.Told(), 12))
		}
		r.Script.At = nil
		r.nothingLeft(t, text, before, what)
	})
}

// TestLeftByKubernetes: a load balancer and a volume that Kubernetes has made are named before anything is deleted. By force
// the load balancer goes, too, and the volume stays.
func TestLeftByKubernetes(t *testing.T) {
	inBubble(t, quick, func(t *testing.T, r *rig) {
		r.under(t, parameters)
		defer r.allowed(t)
		text := example(t, "demo.yaml")
		before := r.everywhere(region)
		r.make(text, nil, nil)
		id := r.names(text)[0]
		cfg := r.ConfigIn(region, r.Cloud)
		machines := ec2.NewFromConfig(cfg)
		subnets, err := machines.DescribeSubnets(t.Context(), &ec2.DescribeSubnetsInput{Filters: []ec2types.Filter{{Name: aws.String("tag:" + fleet.TagCluster), Values: []string{id.Name}}}})
		if err != nil || len(subnets.Subnets) < 2 {
			t.Fatal(err)
		}
		group, err := machines.CreateSecurityGroup(t.Context(), &ec2.CreateSecurityGroupInput{
			GroupName: aws.String("k8s-shop-web"), Description: aws.String("[k8s] Managed SecurityGroup"), VpcId: subnets.Subnets[0].VpcId,
			TagSpecifications: []ec2types.TagSpecification{{ResourceType: "security-group", Tags: []ec2types.Tag{{Key: aws.String("elbv2.k8s.aws/cluster"), Value: &id.Name}}}},
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := elbv2.NewFromConfig(cfg).CreateLoadBalancer(t.Context(), &elbv2.CreateLoadBalancerInput{
			Name: aws.String("k8s-shop-web"), Subnets: []string{*subnets.Subnets[0].SubnetId, *subnets.Subnets[1].SubnetId}, SecurityGroups: []string{*group.GroupId},
			Tags: []elbtypes.Tag{{Key: aws.String("elbv2.k8s.aws/cluster"), Value: &id.Name}, {Key: aws.String("ingress.k8s.aws/stack"), Value: aws.String("shop/web")}},
		}); err != nil {
			t.Fatal(err)
		}
		volume, err := machines.CreateVolume(t.Context(), &ec2.CreateVolumeInput{AvailabilityZone: subnets.Subnets[0].AvailabilityZone, Size: aws.Int32(8),
			TagSpecifications: []ec2types.TagSpecification{{ResourceType: "volume", Tags: []ec2types.Tag{{Key: aws.String("kubernetes.io/cluster/" + id.Name), Value: aws.String("owned")}}}}})
		if err != nil {
			t.Fatal(err)
		}
		r.Script.Writes = 0
		r.end(text, "request-2", false)
		done := r.ended()
		if done.Outcome != events.OutcomeFailed || done.Counts["writes"] != 0 || len(done.Failures) != 3 ||
			!strings.Contains(done.Reason, "load balancer k8s-shop-web was made by Kubernetes (Ingress shop/web): delete what it is for (kubectl -n shop delete ingress web), or use --force") ||
			!strings.Contains(done.Reason, "volume "+*volume.VolumeId+" holds data") {
			t.Fatalf("%+v", done)
		}
		r.end(text, "request-3", true)
		if done := r.ended(); done.Outcome != events.OutcomeDeleted || !strings.Contains(r.Told(), "volume "+*volume.VolumeId+" stays: it holds data") {
			t.Fatalf("%+v\n%s", done, last(r.Told(), 12))
		}
		r.nothingLeft(t, text, before, "by force")
	})
}

// TestPruneOverTheWire: a node group that the file has lost is named, and with prune deleted. The unchanged file again reads
// little.
func TestPruneOverTheWire(t *testing.T) {
	inBubble(t, quick, func(t *testing.T, r *rig) {
		r.under(t, parameters)
		defer r.allowed(t)
		text := example(t, "demo.yaml")
		r.make(text, nil, nil)
		at := strings.Index(text, "\n  - name: on-demand")
		if at < 0 {
			t.Fatal("the demo has no node group on-demand any more")
		}
		less := text[:at+1]
		if end := strings.Index(text[at+5:], "\n---"); end >= 0 {
			less += text[at+5+end:]
		}
		r.ask("request-2", less)
		r.run()
		if done := r.ended(); done.Outcome != events.OutcomeActive || done.Counts["writes"] != 0 || !strings.Contains(r.Told(), "node group on-demand is ekspedite's and not in the file any more: kept; apply with --prune to delete it") {
			t.Fatalf("%+v\n%s", done, last(r.Told(), 8))
		}
		r.Script.Reads, r.Script.Ops = 0, nil
		r.ask("request-3", less)
		r.run()
		if r.Script.Reads > 12 {
			t.Errorf("the unchanged file takes %d reads: %v", r.Script.Reads, r.Script.Ops)
		}
		r.Send(&events.ClusterApplyRequested{RequestID: "dry", Spec: less, Prune: true, DryRun: true})
		r.run()
		if done := r.ended(); done.Counts["planned"] == 0 || !strings.Contains(done.Reason, "delete what it does not name any more") {
			t.Errorf("%+v", done)
		}
		r.Send(&events.ClusterApplyRequested{RequestID: "request-4", Spec: less, Prune: true})
		r.run()
		if done := r.ended(); done.Outcome != events.OutcomeActive || done.Counts["writes"] == 0 {
			t.Fatalf("%+v\n%s", done, last(r.Told(), 8))
		}
		for _, have := range r.found(text) {
			if have.ID == "nodegroup/on-demand" {
				t.Errorf("%+v", have)
			}
		}
	})
}

// TestPruneKeepsNodesIn: a self-managed group that the file has lost goes, and the managed one with the same role keeps the
// access entry that it lives on.
func TestPruneKeepsNodesIn(t *testing.T) {
	const text = `apiVersion: eksctl.io/v1alpha5
kind: ClusterConfig
metadata: {name: both, region: us-east-1, version: "1.36"}
managedNodeGroups: [{name: managed, instanceType: m5.large}]
`
	inBubble(t, quick, func(t *testing.T, r *rig) {
		own := text + "nodeGroups: [{name: own, instanceType: m5.large}]\n"
		r.make(own, nil, nil)
		r.Send(&events.ClusterApplyRequested{RequestID: "request-2", Spec: text, Prune: true})
		r.run()
		if done := r.ended(); done.Outcome != events.OutcomeActive || done.Counts["writes"] == 0 {
			t.Fatalf("%+v\n%s", done, last(r.Told(), 8))
		}
		entry := false
		for _, have := range r.found(own) {
			entry = entry || have.Kind == "access" && strings.HasSuffix(have.Name, "-both-node")
			if have.ID == "asg/own" {
				t.Errorf("%+v", have)
			}
		}
		if !entry {
			t.Errorf("the managed nodes are locked out:\n%s", last(r.Told(), 20))
		}
	})
}

// TestRefusedStaysRefused: what was in the way of a deletion goes, and a sweep does not go on with it. A request does.
func TestRefusedStaysRefused(t *testing.T) {
	inBubble(t, quick, func(t *testing.T, r *rig) {
		text := example(t, "demo.yaml")
		before := r.everywhere(region)
		r.make(text, nil, nil)
		machines := ec2.NewFromConfig(r.ConfigIn(region, r.Cloud))
		volume, err := machines.CreateVolume(t.Context(), &ec2.CreateVolumeInput{AvailabilityZone: aws.String("us-east-1a"), Size: aws.Int32(8),
			TagSpecifications: []ec2types.TagSpecification{{ResourceType: "volume", Tags: []ec2types.Tag{{Key: aws.String("kubernetes.io/cluster/demo"), Value: aws.String("owned")}}}}})
		if err != nil {
			t.Fatal(err)
		}
		r.end(text, "request-2", false)
		if done := r.ended(); done.Outcome != events.OutcomeFailed {
			t.Fatalf("%+v", done)
		}
		if _, err := machines.DeleteVolume(t.Context(), &ec2.DeleteVolumeInput{VolumeId: volume.VolumeId}); err != nil {
			t.Fatal(err)
		}
		n := len(r.Finished())
		r.Script.Writes = 0
		for range 2 {
			r.Send(&events.ClusterSweepRequested{})
			r.run()
		}
		if r.Script.Writes != 0 || len(r.Finished()) != n {
			t.Errorf("%d writes, %+v", r.Script.Writes, r.ended())
		}
		r.end(text, "request-3", false)
		if done := r.ended(); done.Outcome != events.OutcomeDeleted {
			t.Fatalf("%+v", done)
		}
		r.nothingLeft(t, text, before, "asked again")
	})
}
