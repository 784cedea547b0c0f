package observe_test

import (
	"context"
	"encoding/json"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/shared/awscloud"
	"github.com/ekspedite/ekspedite/shared/decide/readiness"
	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/observe"
)

// Readiness implements observe.ClusterAPI.
func (r *rig) Readiness(context.Context) readiness.Observation {
	return readiness.Observation{
		Access: readiness.Access{Asked: true, Reached: true, Entry: true}, Pods: []readiness.Pod{{Namespace: "default", Name: "web"}},
		Unread: map[readiness.Part]string{readiness.PartHelm: "secrets is forbidden"},
	}
}

func (r *rig) readiness() *observe.Readiness {
	return observe.NewReadiness(awscloud.NewReadiness(r.config()), func(context.Context, string) (observe.ClusterAPI, error) { return r, r.deaf }, r.Ledger(), region, time.Now)
}

// TestReadinessSeesAClusterWhole: everything that the checks read of AWS is read of the embedded cloud.
func TestReadinessSeesAClusterWhole(t *testing.T) {
	inBubble(t, twoGroups, func(t *testing.T, r *rig) {
		r.list = []fleet.Node{{Name: "n", Kubelet: "v1.34.1", OSImage: "Amazon Linux 2023", Runtime: "containerd://2.1.5", Labels: map[string]string{
			"eks.amazonaws.com/nodegroup": "base", "node.kubernetes.io/instance-type": "m5.large", "topology.kubernetes.io/zone": "us-east-1a"}}}
		policy := fleet.DefaultUpgradePolicy()
		policy.Health.Alarms = []string{"nobody-made-it"}
		o, err := r.readiness().Cluster(t.Context(), demo, 0, policy)
		if err != nil {
			t.Fatal(err)
		}
		if os.Getenv("SHOW") != "" {
			text, _ := json.MarshalIndent(o, "", " ")
			t.Log(string(text))
		}
		if len(o.Unread) != 1 || o.Unread[readiness.PartHelm] == "" {
			t.Errorf("unread: %v", o.Unread)
		}
		if o.Target != 35 || o.EKS.Version != 34 || !o.Access.Entry || len(o.Pods) != 1 || !slices.Equal(o.UnknownAlarms, []string{"nobody-made-it"}) {
			t.Errorf("target %s, version %s, access %+v, alarms %v", o.Target, o.EKS.Version, o.Access, o.UnknownAlarms)
		}
		c := o.ControlPlane
		if c.RoleARN == "" || len(c.SubnetIDs) < 2 || c.ClusterSecurityGroup == "" || c.VPCID == "" || !c.PublicEndpoint || !c.PrivateEndpoint {
			t.Errorf("control plane: %+v", c)
		}
		if o.Role.ARN != c.RoleARN || !o.Role.Exists || !o.Role.Trusted {
			t.Errorf("role: %+v", o.Role)
		}
		if len(o.Subnets) < 2 || slices.ContainsFunc(o.Subnets, func(s readiness.Subnet) bool { return !s.Exists || s.Zone == "" || s.Free < 100 }) {
			t.Errorf("subnets: %+v", o.Subnets)
		}
		own := slices.IndexFunc(o.SecurityGroups, func(g readiness.SecurityGroup) bool { return g.ID == c.ClusterSecurityGroup })
		if own < 0 || !o.SecurityGroups[own].Exists || !o.SecurityGroups[own].Self {
			t.Errorf("security groups: %+v", o.SecurityGroups)
		}
		if !o.VPC.DNSSupport || !o.VPC.DNSHostnames || o.Key.ARN != "" {
			t.Errorf("vpc %+v, key %+v", o.VPC, o.Key)
		}
		quota := map[string]readiness.Quota{}
		for _, q := range o.Quotas {
			quota[q.Code] = q
		}
		if q := quota[readiness.QuotaOnDemand]; q.Limit <= 0 || q.Used != 6 { // three m5.large
			t.Errorf("on-demand: %+v of %+v", q, o.Quotas)
		}
		if q := quota[readiness.QuotaAutoScaling]; q.Limit <= 0 || q.Used != 3 {
			t.Errorf("Auto Scaling groups: %+v", q)
		}
		if m := o.Machines["m5.large"]; m.VCPU != 2 || m.IPsPerInterface != 10 || m.Interfaces != 3 || m.LocalStorage || m.GPU {
			t.Errorf("m5.large: %+v", m)
		}
		groups := slices.Sorted(maps.Keys(o.GroupFacts))
		if !slices.Equal(groups, []string{"base", "own", "rocket"}) || len(o.GroupFacts["base"].Subnets) != 2 || len(o.GroupFacts["own"].Subnets) != 1 {
			t.Errorf("where groups are: %+v", o.GroupFacts)
		}
		if len(o.Templates) != 3 {
			t.Errorf("templates: %+v", o.Templates)
		}
		for _, tpl := range o.Templates {
			if len(tpl.Missing) > 0 {
				t.Errorf("%s: missing %v", tpl.Group, tpl.Missing)
			}
			if tpl.Group == "own" && (tpl.Bootstrap != "nodeadm" || tpl.ImageKubernetes != 34 || !strings.HasPrefix(tpl.ImageName, "amazon-eks-node-al2023")) {
				t.Errorf("own: %+v", tpl)
			}
		}
		if len(o.ScalingGroups) != 3 || !slices.ContainsFunc(o.ScalingGroups, func(g readiness.ScalingGroup) bool {
			return g.Group == "base" && g.ByZone["us-east-1a"]+g.ByZone["us-east-1b"] == 2 && g.Refresh == "" && g.NoCapacity.IsZero()
		}) {
			t.Errorf("Auto Scaling groups: %+v", o.ScalingGroups)
		}
		if len(o.Authorities) != 1 || o.Authorities[0].Status != "IN_USE" || !o.Authorities[0].Expires.After(time.Now()) {
			t.Errorf("certificate authorities: %+v", o.Authorities)
		}
		if len(o.Addons) != 4 {
			t.Errorf("add-ons: %+v", o.Addons)
		}
		own = slices.IndexFunc(o.Templates, func(tpl readiness.Template) bool { return tpl.Group == "own" })
		r.list[0].Labels["eks.amazonaws.com/nodegroup-image"] = o.Templates[own].ImageID
		if versions, err := r.upgrades(nil).Cluster(t.Context(), demo, 36); err != nil || versions.Nodes[0].Release != group(versions, "base").Release || len(versions.Images) != 4 {
			t.Errorf("%v, the node's release: %+v, images %v", err, versions.Nodes, versions.Images)
		}
		if n := o.Nodes; len(n) != 1 || n[0].Zone != "us-east-1a" || n[0].InstanceType != "m5.large" || n[0].Runtime != "containerd://2.1.5" {
			t.Errorf("nodes: %+v", n)
		}
	})
}

// TestReadinessNamesWhatIsUnread: an API server that lets nobody in leaves what AWS says; a cluster that is not there is an error.
func TestReadinessNamesWhatIsUnread(t *testing.T) {
	inBubble(t, twoGroups, func(t *testing.T, r *rig) {
		r.deaf = fault.New(fault.Denied, "no access entry")
		o, err := r.readiness().Cluster(t.Context(), demo, 36, fleet.DefaultUpgradePolicy())
		if err != nil || o.Target != 36 || !o.Access.Asked || o.Access.Entry || o.Access.Why != "no access entry" {
			t.Errorf("%v, %+v", err, o.Access)
		}
		for _, p := range []readiness.Part{readiness.PartNodes, readiness.PartPods, readiness.PartHelm, readiness.PartObjects, readiness.PartEndpointObjects} {
			if !strings.Contains(o.Unread[p], "no access entry") {
				t.Errorf("%s: %q", p, o.Unread[p])
			}
		}
		if o.Unread[readiness.PartEKS] != "" || o.Unread[readiness.PartNetwork] != "" || len(o.Subnets) == 0 {
			t.Errorf("of AWS: %v", o.Unread)
		}
		if _, err = r.readiness().Cluster(t.Context(), fleet.ClusterID{Region: region, Name: "gone"}, 36, fleet.DefaultUpgradePolicy()); !fault.Is(err, fault.NotFound) {
			t.Errorf("of a cluster that is not there: %v", err)
		}
	})
}

// TestReadinessSeesInsights: EKS's findings are read whole once it has been asked to look.
func TestReadinessSeesInsights(t *testing.T) {
	inBubble(t, twoGroups, func(t *testing.T, r *rig) {
		aws := awscloud.NewReadiness(r.config())
		if err := aws.RefreshInsights(t.Context(), demo.Name); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		for {
			state, err := aws.InsightsRefresh(t.Context(), demo.Name)
			if err != nil || time.Since(began) > time.Hour {
				t.Fatalf("%v, %+v after %s", err, state, time.Since(began))
			}
			if state.Status == "COMPLETED" {
				break
			}
			time.Sleep(5 * time.Second)
		}
		o, err := r.readiness().Cluster(t.Context(), demo, 0, fleet.DefaultUpgradePolicy())
		if err != nil || o.Unread[readiness.PartInsights] != "" || o.InsightsRefresh.Status != "COMPLETED" || o.InsightsRefresh.Ended.IsZero() {
			t.Fatalf("%v, %v, %+v", err, o.Unread, o.InsightsRefresh)
		}
		upgrade := 0
		for _, i := range o.Insights {
			if i.ID == "" || i.Name == "" || i.Status == "" || i.LastRefresh.Before(began.Add(-time.Second)) {
				t.Errorf("%+v", i)
			}
			if i.Category == "UPGRADE_READINESS" && i.Version > 0 {
				upgrade++
			}
			if i.Status != "PASSING" && i.Recommendation == "" {
				t.Errorf("what does not pass says nothing more: %+v", i)
			}
		}
		if upgrade == 0 {
			t.Errorf("none is about an upgrade: %+v", o.Insights)
		}
		if failing, err := aws.FailingInsights(t.Context(), demo.Name); err != nil || slices.ContainsFunc(failing, func(name string) bool {
			return !slices.ContainsFunc(o.Insights, func(i readiness.Insight) bool { return i.Name == name && i.Status == "ERROR" })
		}) {
			t.Errorf("%v %q", err, failing)
		}
	})
}
