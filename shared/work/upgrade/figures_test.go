package upgrade

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/infra/local/world"
	"github.com/ekspedite/ekspedite/shared/awscloud"
	"github.com/ekspedite/ekspedite/shared/decide/upgradepath"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/plan"
)

// behind is a cluster three minors behind, with node groups of three sizes.
const behind = `apiVersion: eksctl.io/v1alpha5
kind: ClusterConfig
metadata: {name: NAME, region: us-east-1, version: "1.34"}
availabilityZones: [us-east-1a, us-east-1b, us-east-1c]
vpc: {nat: {gateway: Disable}, clusterEndpoints: {publicAccess: true, privateAccess: true}}
accessConfig: {authenticationMode: API}
addons: [{name: vpc-cni}, {name: coredns}, {name: kube-proxy}]
managedNodeGroups:
  - {name: small, instanceType: m5.large, desiredCapacity: 3, minSize: 1, maxSize: 20}
  - {name: middle, instanceType: m5.large, desiredCapacity: 6, minSize: 1, maxSize: 20}
  - {name: large, instanceType: m5.large, desiredCapacity: 10, minSize: 1, maxSize: 20}
`

// TestThreeMinors measures 1.34 → 1.37 (the embedded EKS begins at 1.34) in the cloud's time, with AWS's durations, against the way hop by hop: control plane,
// add-ons, node groups, one after another, each begun within 15 seconds of the end of the one before. No bakes on either side.
func TestThreeMinors(t *testing.T) {
	for name, atOnce := range map[string]int{"one group after another": 1, "three groups at once": 3} {
		inBubble(t, world.Real, func(t *testing.T, r *rig) {
			for _, cluster := range []string{"ours", "theirs"} {
				r.Build(strings.Replace(behind, "NAME", cluster, 1))
				r.Change(fleet.ClusterID{Region: demo.Region, Name: cluster}, func(p *fleet.Policy) { p.Upgrade.Bake, p.Upgrade.Nodes.GroupsAtOnce = 0, atOnce })
			}
			begun := time.Now()
			r.Send(&events.UpgradeRequested{RequestID: "request-1", Cluster: "ours", To: "1.37", Now: true})
			done := r.over(48 * time.Hour)
			ours := time.Since(begun)
			if o := r.of("ours"); done.Outcome != events.OutcomeUpgraded || o.Version != 37 || o.Groups[0].Version != 37 {
				t.Fatalf("%+v\n%s", done, r.Told())
			}
			begun = time.Now()
			r.hopByHop("theirs", 37)
			theirs := time.Since(begun)
			if o := r.of("theirs"); o.Version != 37 || o.Groups[0].Version != 37 {
				t.Fatalf("%+v", o)
			}
			t.Logf("1.34 to 1.37, 3 groups of 3, 6 and 10 nodes, %s: %s, hop by hop %s: %.1f %%", name, ours.Round(time.Second), theirs.Round(time.Second), 100*ours.Seconds()/theirs.Seconds())
			if ours >= theirs {
				t.Error("no faster than hop by hop")
			}
		})
	}
}

// hopByHop does what upgradepath.Naive says, as a script would.
func (r *rig) hopByHop(cluster string, to fleet.Minor) {
	r.T.Helper()
	region, updates, ctx := awscloud.NewRegion(r.Config(r.Cloud)), awscloud.NewUpgrades(r.Config(r.Cloud)), context.Background()
	o := r.of(cluster)
	path := upgradepath.Naive(o, upgradepath.Want{To: to, Policy: fleet.DefaultUpgradePolicy(), Now: time.Now()})
	for i, s := range path.Steps {
		kind, in := "cluster", fleet.Props{"name": cluster, "version": s.To}
		call := plan.Call{Of: plan.Of{Cluster: cluster, ID: s.ID}, Effect: plan.Change, API: "eks:UpdateClusterVersion", Does: s.ID}
		switch s.Kind {
		case upgradepath.StepAddon:
			kind, in = "addon", fleet.Props{"clusterName": cluster, "addonName": s.Subject, "addonVersion": s.To}
			call.API = "eks:UpdateAddon"
		case upgradepath.StepNodeGroup:
			kind, in = "nodegroup", fleet.Props{"clusterName": cluster, "nodegroupName": s.Subject, "version": s.Minor.String()}
			call.API = "eks:UpdateNodegroupVersion"
		case upgradepath.StepControlPlane:
		default:
			continue
		}
		in["clientRequestToken"] = fmt.Sprintf("hop-%d", i)
		call.Input = in
		u, err := region.Call(ctx, call)
		if err != nil {
			r.T.Fatalf("%s: %v", s.ID, err)
		}
		for deadline := time.Now().Add(6 * time.Hour); ; {
			now, err := updates.Change(ctx, cluster, kind, s.Subject, u.ID)
			if err != nil || now.Status == "Failed" || time.Now().After(deadline) {
				r.T.Fatalf("%s: %+v, %v", s.ID, now, err)
			}
			if now.Status == "Successful" {
				break
			}
			time.Sleep(15 * time.Second)
		}
	}
}
