package observe_test

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/shared/awscloud"
	"github.com/ekspedite/ekspedite/shared/decide/upgradepath"
	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/plan"
)

const twoGroups = `apiVersion: eksctl.io/v1alpha5
kind: ClusterConfig
metadata: {name: demo, region: us-east-1, version: "1.34"}
availabilityZones: [us-east-1a, us-east-1b]
vpc: {nat: {gateway: Disable}, clusterEndpoints: {publicAccess: true, privateAccess: true}}
accessConfig: {authenticationMode: API}
addons: [{name: vpc-cni}, {name: coredns}, {name: kube-proxy}]
managedNodeGroups:
  - {name: base, instanceType: m5.large, minSize: 0, desiredCapacity: 2, maxSize: 10, updateConfig: {maxUnavailable: 2}, tags: {ekspedite.dev/stands-for: web}}
  - {name: rocket, instanceType: m6g.large, amiFamily: Bottlerocket, minSize: 0, desiredCapacity: 0, maxSize: 2, spot: true}
nodeGroups:
  - {name: own, instanceType: m5.large, minSize: 0, desiredCapacity: 1, maxSize: 3, availabilityZones: [us-east-1a]}
`

func group(o upgradepath.Observation, name string) upgradepath.Group {
	for _, g := range o.Groups {
		if g.Name == name {
			return g
		}
	}
	return upgradepath.Group{}
}

// call makes a call of EKS's API, which begins an update.
func (r *rig) call(api string, in fleet.Props) {
	r.T.Helper()
	if _, err := awscloud.NewRegion(r.config()).Call(r.T.Context(), plan.Call{Of: plan.Of{Cluster: demo.Name}, API: api, Input: in}); err != nil {
		r.T.Fatal(err)
	}
}

// TestUpgradesSeeAClusterWhole: what EKS, EC2 and Kubernetes say of a cluster is in one observation.
func TestUpgradesSeeAClusterWhole(t *testing.T) {
	inBubble(t, twoGroups, func(t *testing.T, r *rig) {
		u := r.upgrades(r.Ledger())
		r.list = []fleet.Node{
			{Name: "b", UID: "2", ProviderID: "aws:///us-east-1a/i-1", Kubelet: "v1.33.5-eks-1", Labels: map[string]string{"eks.amazonaws.com/nodegroup": "base"}, Ready: true},
			{Name: "a", UID: "1", ProviderID: "aws:///us-east-1a/demo/fargate-ip-1", Kubelet: "v1.32.1-eks-1", Labels: map[string]string{"eks.amazonaws.com/compute-type": "fargate"}},
		}
		o, err := u.Cluster(t.Context(), demo)
		if err != nil {
			t.Fatal(err)
		}
		if o.Version != 34 || o.Status != "ACTIVE" || o.CreatedAt.IsZero() || o.SupportType != "EXTENDED" || !o.UpgradedAt.IsZero() || len(o.Busy) > 0 || len(o.Incomplete) > 0 {
			t.Errorf("%+v", o)
		}
		if signer, next, former := upgradepath.Signer(o.Authorities); signer == nil || next != nil || former != nil || signer.CreatedBy != "EKS" || signer.Distribution != "COMPLETE" || !signer.Expires.After(time.Now().AddDate(9, 0, 0)) {
			t.Errorf("certificate authorities: %+v", o.Authorities)
		}
		base, rocket, own := group(o, "base"), group(o, "rocket"), group(o, "own")
		if base.Version != 34 || base.AMIType != "AL2023_x86_64_STANDARD" || !strings.HasPrefix(base.Release, "1.34.") || base.Desired != 2 || len(base.Members) != 2 || base.Max != 10 || base.Zones != 2 ||
			base.MaxUnavailable != 2 || base.StandsFor != "web" || base.Template == "" || base.TemplateVersion != base.TemplateNewest || base.TemplateNewest == "" || base.Status != "ACTIVE" {
			t.Errorf("base: %+v", base)
		}
		if !rocket.Spot || rocket.AMIType != "BOTTLEROCKET_ARM_64" || rocket.SelfManaged {
			t.Errorf("rocket: %+v", rocket)
		}
		if !own.SelfManaged || own.Version != 34 || own.AMIType != "AL2023_x86_64_STANDARD" || own.Release != base.Release || len(own.Members) != 1 || own.Zones != 1 || own.Template == "" {
			t.Errorf("own: %+v", own)
		}
		if len(o.Addons) != 4 || o.Addons[0].Name != "coredns" || o.Addons[0].Version == "" || o.Addons[0].Status != "ACTIVE" {
			t.Errorf("add-ons: %+v", o.Addons)
		}
		for _, a := range o.Addons {
			if !slices.ContainsFunc(o.Releases[a.Name], func(v fleet.AddonRelease) bool { return v.Version == a.Version && slices.Contains(v.Minors, 34) }) {
				t.Errorf("%s %s is not among the releases: %+v", a.Name, a.Version, o.Releases[a.Name])
			}
		}
		if v, ok := o.Find(35); !ok || v.Status == "" || v.StandardEnds.IsZero() || !v.ExtendedEnds.After(v.StandardEnds) {
			t.Errorf("1.35: %+v", v)
		}
		for _, key := range []string{"AL2023_x86_64_STANDARD/1.35", "AL2023_x86_64_STANDARD/1.34", "BOTTLEROCKET_ARM_64/1.36"} {
			if i := o.Images[key]; i.Release == "" || i.Released.IsZero() {
				t.Errorf("no image %s: %v", key, o.Images)
			}
		}
		if len(o.Nodes) != 2 || o.Nodes[0].Kind != upgradepath.NodeFargate || o.Nodes[0].Kubelet != 32 || o.Nodes[1].Kind != upgradepath.NodeManaged || o.Nodes[1].Group != "base" || o.Nodes[1].InstanceID != "i-1" {
			t.Errorf("nodes: %+v", o.Nodes)
		}

		// Another environment, which finds what the first one has left in the ledger, asks for nothing that has been read.
		r.calls = map[string]int{}
		again, err := r.upgrades(r.Ledger()).Cluster(t.Context(), demo)
		if err != nil || !reflect.DeepEqual(again, o) {
			t.Errorf("%v, differs:\n%+v\n%+v", err, again, o)
		}
		if r.calls["GET /cluster-versions"] > 0 || r.calls["GET /addons/supported-versions"] > 0 || r.calls["GET /clusters/NAME"] != 1 {
			t.Errorf("calls: %v", r.calls)
		}
	})
}

// TestUpgradesSeeUpdates: updates in progress, AWS's own among them, and when the cluster came to its version; each update that
// is over is read once.
func TestUpgradesSeeUpdates(t *testing.T) {
	inBubble(t, twoGroups, func(t *testing.T, r *rig) {
		u := r.upgrades(r.Ledger())
		look := func() upgradepath.Observation {
			t.Helper()
			o, err := u.Glance(t.Context(), demo)
			if err != nil {
				t.Fatal(err)
			}
			return o
		}
		if o := look(); !o.UpgradedAt.IsZero() || len(o.Busy) > 0 {
			t.Errorf("made with its version, and upgraded: %+v", o)
		}
		time.Sleep(time.Hour)
		began := time.Now().UTC().Truncate(time.Second)
		r.call("eks:UpdateClusterVersion", fleet.Props{"name": demo.Name, "version": "1.35"})
		o := look()
		if len(o.Busy) != 1 || o.Busy[0].Subject != "control-plane" || o.Busy[0].Type != "VersionUpdate" || o.Busy[0].Begun.Sub(began).Abs() > time.Second {
			t.Errorf("busy: %+v", o.Busy)
		}
		time.Sleep(2 * time.Hour)
		o = look()
		if o.Version != 35 || len(o.Busy) > 0 || o.UpgradedFrom != 34 || o.UpgradedAt.Sub(began).Abs() > time.Second {
			t.Errorf("after: %+v", o)
		}
		r.calls = map[string]int{}
		look()
		for path := range r.calls {
			if strings.HasPrefix(path, "GET /clusters/NAME/updates/") {
				t.Errorf("an update that is over is read again: %s", path)
			}
		}

		full := func() upgradepath.Observation {
			t.Helper()
			o, err := u.Cluster(t.Context(), demo, 35)
			if err != nil {
				t.Fatal(err)
			}
			return o
		}
		release := full().Images["AL2023_x86_64_STANDARD/1.35"].Release
		r.call("eks:UpdateNodegroupVersion", fleet.Props{"clusterName": demo.Name, "nodegroupName": "base", "version": "1.35", "releaseVersion": release})
		o = full()
		if len(o.Busy) != 1 || o.Busy[0].Subject != "nodegroup/base" || group(o, "base").Status != "UPDATING" {
			t.Errorf("busy: %+v, base %+v", o.Busy, group(o, "base"))
		}
		time.Sleep(3 * time.Hour)
		if o = full(); len(o.Busy) > 0 || group(o, "base").Release != release || group(o, "base").Version != 35 || group(o, "own").Version != 34 {
			t.Errorf("after: %+v", o)
		}
	})
}

// TestUpgradesNameWhatIsMissing: without nodes there is an observation, without the cluster there is none.
func TestUpgradesNameWhatIsMissing(t *testing.T) {
	inBubble(t, twoGroups, func(t *testing.T, r *rig) {
		r.deaf = fault.New(fault.Denied, "no access entry")
		o, err := r.upgrades(nil).Cluster(t.Context(), demo)
		if err != nil || o.Incomplete["nodes"] != "no access entry" || len(o.Groups) != 3 {
			t.Errorf("%v %+v", err, o)
		}
		_, err = r.upgrades(nil).Cluster(t.Context(), fleet.ClusterID{Region: region, Name: "gone"})
		if !fault.Is(err, fault.NotFound) || errors.Is(err, nil) {
			t.Errorf("of a cluster that is not there: %v", err)
		}
	})
}
