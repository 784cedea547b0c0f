package readiness

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/ekspedite/ekspedite/shared/decide/upgradepath"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

var testNow = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// cluster is an observation with the policy under which it is checked.
type cluster struct {
	o Observation
	p fleet.UpgradePolicy
	r *rand.Rand
}

// traits are what a clean cluster may be like.
type traits struct {
	from, to                                                      fleet.Minor
	groups, nodes, workloads                                      int
	fargate, karpenter, auto, private, ipv6, key, spot, bottle    bool
	custom, selfManaged, hybrid, fixedClient, webhooks, helm      bool
	prefix, warmIP, strict, oldNodes, minimal, blueGreen, daemons bool
	percent, conditions, waived, poolsComing, gpu                 bool
}

// build makes a cluster in which nothing is wrong.
func build(seed uint64, t traits) *cluster {
	c := &cluster{r: rand.New(rand.NewPCG(seed, 7)), p: fleet.DefaultUpgradePolicy()}
	c.eks(t)
	c.controlPlane(t)
	c.addons(t)
	for i := range t.groups {
		c.group(t, i)
	}
	if t.oldNodes {
		for i := range c.o.EKS.Nodes { // as far behind as they may be
			if n := &c.o.EKS.Nodes[i]; n.Kind == upgradepath.NodeManaged {
				n.Kubelet = max(25, t.from-2)
			}
		}
		for i := range c.o.EKS.Groups {
			c.o.EKS.Groups[i].Version = max(25, t.from-2)
		}
	}
	c.others(t)
	c.kubernetes(t)
	return c
}

// versions as of section 6 of the facts: EKS's releases, and its ends of support.
func (c *cluster) eks(t traits) {
	if t.strict {
		c.p.Skew = fleet.SkewStrict
	}
	if t.minimal {
		c.p.Nodes.Strategy = fleet.NodesMinimal
	}
	if t.blueGreen {
		c.p.Nodes.Strategy = fleet.NodesBlueGreen
	}
	c.o.Target = t.to
	c.o.EKS = upgradepath.Observation{Cluster: fleet.ClusterID{Region: "eu-west-1", Name: "prod"}, Version: t.from, Platform: "eks.12", Status: "ACTIVE",
		CreatedAt: testNow.AddDate(-1, 0, 0), SupportType: "EXTENDED", AutoMode: t.auto, Releases: map[string][]fleet.AddonRelease{}, Images: map[string]upgradepath.Image{}}
	day := func(text string) time.Time { d, _ := time.Parse("2006-01-02", text); return d }
	for _, v := range []struct {
		m              fleet.Minor
		from, std, ext string
	}{{30, "2024-05-23", "2025-07-23", "2026-07-23"}, {31, "2024-09-26", "2025-11-26", "2026-11-26"}, {32, "2025-01-23", "2026-03-23", "2027-03-23"}, {33, "2025-05-29", "2026-07-29", "2027-07-29"},
		{34, "2025-10-02", "2026-12-02", "2027-12-02"}, {35, "2026-01-27", "2027-03-27", "2028-03-27"}, {36, "2026-06-02", "2027-08-02", "2028-08-02"}} {
		k := fleet.KubernetesVersion{Minor: v.m, Released: day(v.from), StandardEnds: day(v.std), ExtendedEnds: day(v.ext), Status: fleet.StandardSupport}
		switch {
		case testNow.After(k.ExtendedEnds):
			k.Status = fleet.Unsupported
		case testNow.After(k.StandardEnds):
			k.Status = fleet.ExtendedSupport
		}
		c.o.EKS.Versions = append(c.o.EKS.Versions, k)
	}
	for m := fleet.Minor(30); m <= 36; m++ {
		for _, family := range []string{"AL2023_x86_64_STANDARD", "AL2023_ARM_64_STANDARD", "BOTTLEROCKET_x86_64", "AL2023_x86_64_NVIDIA"} {
			c.o.EKS.Images[family+"/"+m.String()] = upgradepath.Image{Release: m.String() + ".6-20261112"}
		}
		if m <= 32 {
			c.o.EKS.Images["AL2_x86_64/"+m.String()] = upgradepath.Image{Release: m.String() + ".6-20251208"}
		}
	}
}

func (c *cluster) controlPlane(t traits) {
	c.o.ControlPlane = ControlPlane{RoleARN: "arn:aws:iam::111122223333:role/cluster", SubnetIDs: []string{"subnet-a", "subnet-b", "subnet-c"}, SecurityGroupIDs: []string{"sg-extra"},
		ClusterSecurityGroup: "sg-cluster", VPCID: "vpc-1", PublicEndpoint: !t.private, PrivateEndpoint: true, IPv6: t.ipv6}
	c.o.Role = Role{ARN: c.o.ControlPlane.RoleARN, Exists: true, Trusted: true}
	c.o.VPC = VPC{ID: "vpc-1", DNSSupport: true, DNSHostnames: true}
	for i, id := range []string{"subnet-a", "subnet-b", "subnet-c"} {
		c.o.Subnets = append(c.o.Subnets, Subnet{ID: id, Exists: true, Zone: "eu-west-1" + string(rune('a'+i)), Free: 16 + c.r.IntN(40)})
	}
	for i, id := range []string{"subnet-na", "subnet-nb", "subnet-nc"} { // the nodes'
		c.o.Subnets = append(c.o.Subnets, Subnet{ID: id, Exists: true, Zone: "eu-west-1" + string(rune('a'+i)), Free: 2000 + c.r.IntN(2000)})
	}
	c.o.SecurityGroups = []SecurityGroup{{ID: "sg-cluster", Exists: true, Self: true}, {ID: "sg-extra", Exists: true}}
	if t.key {
		c.o.ControlPlane.KeyARN = "arn:aws:kms:eu-west-1:111122223333:key/k"
		c.o.Key = Key{ARN: c.o.ControlPlane.KeyARN, Exists: true, State: "Enabled"}
	}
	refreshed := testNow.Add(-time.Duration(c.r.IntN(20)) * time.Hour)
	c.o.Insights = []Insight{
		{ID: "i1", Name: "Kubelet version skew", Category: "UPGRADE_READINESS", Status: "PASSING", Version: t.from + 1, LastRefresh: refreshed},
		{ID: "i2", Name: "EKS add-on version compatibility", Category: "UPGRADE_READINESS", Status: "PASSING", Version: t.from + 1, LastRefresh: refreshed},
	}
	c.o.Access = Access{Asked: true, Reached: true, Entry: true}
	if t.fixedClient { // https://github.com/aws/containers-roadmap/issues/2569
		c.o.Requested = append(c.o.Requested, Requested{Group: "flowcontrol.apiserver.k8s.io", Version: "v1beta3", Resource: "flowschemas", Removed: 32})
		c.o.Insights = append(c.o.Insights, Insight{ID: "i3", Name: "Deprecated APIs removed in Kubernetes v1.32", Category: "UPGRADE_READINESS", Status: "ERROR", Version: 32, LastRefresh: refreshed,
			Deprecations: []Deprecation{{Usage: "/apis/flowcontrol.apiserver.k8s.io/v1beta3/flowschemas", ReplacedBy: "/apis/flowcontrol.apiserver.k8s.io/v1/flowschemas", StopServing: 32,
				Clients: []Client{{UserAgent: "argocd-application-controller", Requests: 1200, LastRequest: testNow.AddDate(0, 0, -3-c.r.IntN(20))}}}}})
	}
}

func (c *cluster) addons(t traits) {
	if t.auto {
		return // Auto Mode has them inside
	}
	for m := fleet.Minor(30); m <= 36; m++ {
		v := fmt.Sprintf("v%s.0-eksbuild.1", m)
		c.o.EKS.Releases["kube-proxy"] = slices.Insert(c.o.EKS.Releases["kube-proxy"], 0, fleet.AddonRelease{Version: v, Minors: []fleet.Minor{m}})
		c.o.EKS.Releases["coredns"] = slices.Insert(c.o.EKS.Releases["coredns"], 0, fleet.AddonRelease{Version: fmt.Sprintf("v1.%d.3-eksbuild.1", m-20), Minors: []fleet.Minor{m - 1, m, m + 1}})
	}
	for n := 18; n <= 21; n++ {
		r := fleet.AddonRelease{Version: fmt.Sprintf("v1.%d.5-eksbuild.1", n), Minors: []fleet.Minor{30, 31, 32, 33, 34, 35, 36}}
		c.o.EKS.Releases["vpc-cni"] = slices.Insert(c.o.EKS.Releases["vpc-cni"], 0, r)
	}
	c.o.EKS.Releases["aws-ebs-csi-driver"] = []fleet.AddonRelease{{Version: "v1.50.0-eksbuild.1", Minors: []fleet.Minor{30, 31, 32, 33, 34, 35, 36}}}
	proxy := t.from
	if t.strict {
		proxy = t.from
	} else if c.r.IntN(2) == 0 {
		proxy = t.from - 1
	}
	if t.fargate && t.groups == 0 {
		c.o.EKS.Addons = []upgradepath.Addon{{Name: "coredns", Version: fmt.Sprintf("v1.%d.3-eksbuild.1", t.from-20), Status: "ACTIVE"}}
		return
	}
	c.o.EKS.Addons = []upgradepath.Addon{
		{Name: "coredns", Version: fmt.Sprintf("v1.%d.3-eksbuild.1", t.from-20), Status: "ACTIVE"},
		{Name: "kube-proxy", Version: fmt.Sprintf("v%s.0-eksbuild.1", proxy), Status: "ACTIVE"},
		{Name: "vpc-cni", Version: fmt.Sprintf("v1.%d.5-eksbuild.1", 18+c.r.IntN(4)), Status: "ACTIVE"},
		{Name: "aws-ebs-csi-driver", Version: "v1.50.0-eksbuild.1", Status: "ACTIVE"},
	}
	c.o.Addons = []AddonFacts{
		{Name: "vpc-cni", Configuration: `{"env":{"WARM_ENI_TARGET":"1"},"tolerations":[{"operator":"Exists"}]}`, SchemaVersion: "v1.21.5-eksbuild.1", Schema: schemaText},
		{Name: "aws-ebs-csi-driver", Roles: []string{"arn:aws:iam::111122223333:role/ebs"}},
	}
	c.o.AddonRoles = []Role{{ARN: "arn:aws:iam::111122223333:role/ebs", Exists: true, Trusted: true}}
}

const schemaText = `{"$schema":"http://json-schema.org/draft-06/schema#","$ref":"#/definitions/VpcCni","definitions":{"VpcCni":{"type":"object","additionalProperties":false,
"properties":{"env":{"$ref":"#/definitions/Env"},"tolerations":{"type":"array","items":{"type":"object"}},"replicas":{"type":"integer","minimum":1}}},
"Env":{"type":"object","additionalProperties":false,"properties":{"WARM_ENI_TARGET":{"format":"integer","type":"string"},"ENABLE_PREFIX_DELEGATION":{"enum":["true","false"],"type":"string"}}}}}`

var groupTypes = []string{"m6i.large", "c7i.2xlarge", "r6i.xlarge"}

func (c *cluster) group(t traits, i int) {
	if c.o.GroupFacts == nil {
		c.o.GroupFacts = map[string]GroupNet{}
		c.o.Machines = map[string]Machine{"m6i.large": {VCPU: 2, IPsPerInterface: 10, Interfaces: 3}, "c7i.2xlarge": {VCPU: 8, IPsPerInterface: 15, Interfaces: 4}, "r6i.xlarge": {VCPU: 4, IPsPerInterface: 15, Interfaces: 4},
			"g5.xlarge": {VCPU: 4, IPsPerInterface: 15, Interfaces: 4, GPU: true, LocalStorage: true}}
		c.o.Quotas = []Quota{{Code: QuotaOnDemand, Limit: 5000, Used: 900}, {Code: QuotaSpot, Limit: 5000, Used: 100}, {Code: QuotaOnDemandG, Limit: 256, Used: 4}, {Code: QuotaSpotG, Limit: 256},
			{Code: QuotaVolumes, Limit: 50, Used: 10.5}, {Code: QuotaAutoScaling, Limit: 500, Used: 40}}
	}
	g := upgradepath.Group{Name: fmt.Sprintf("group-%d", i), Version: t.from, AMIType: "AL2023_x86_64_STANDARD", Release: t.from.String() + ".4-20260901", Min: 0, Desired: t.nodes, Max: 2*t.nodes + 3, Zones: 3,
		Status: "ACTIVE", InstanceTypes: []string{groupTypes[i%3]}, Template: "lt-" + fmt.Sprint(i), TemplateVersion: "3", TemplateNewest: "3", AutoScalingGroup: "asg-" + fmt.Sprint(i)}
	os, runtime, kind := "Amazon Linux 2023.9.20261027", "containerd://2.1.4", upgradepath.NodeManaged
	if t.from <= 33 {
		runtime = "containerd://1.7.29" // as EKS's images of these minors have; the new image brings 2.x
	}
	template := Template{Group: g.Name, ID: g.Template, Version: "3", ImageID: "ami-0" + fmt.Sprint(i), Bootstrap: "nodeadm", KubeletFlags: []string{"--max-pods", "--node-labels"}}
	switch {
	case t.bottle && i == 0:
		g.AMIType, os, template.Bootstrap = "BOTTLEROCKET_x86_64", "Bottlerocket OS 1.50.0 (aws-k8s-"+t.from.String()+")", "bottlerocket"
	case t.custom && i == 1:
		g.AMIType, g.Release, runtime, template.ImageKubernetes, template.ImageName = "CUSTOM", "", "containerd://2.1.4", t.from, "company-al2023-"+t.from.String()
		c.p.Nodes.Groups = append(c.p.Nodes.Groups, fleet.GroupUpgrade{Name: g.Name, LaunchTemplateVersion: map[fleet.Minor]string{t.to: "4"}})
		g.TemplateNewest = "4"
	case t.selfManaged && i == 2:
		g.SelfManaged, g.Status, kind = true, "", upgradepath.NodeSelfManaged
	case t.gpu && i == 3:
		g.InstanceTypes, g.AMIType = []string{"g5.xlarge"}, "AL2023_x86_64_NVIDIA"
	case t.poolsComing && i == 4:
		g.Pool, g.Status = "general", "CREATING"
	}
	if t.spot {
		g.Spot = i%2 == 0
	}
	if t.percent {
		g.MaxUnavailablePercent = 10
	}
	c.o.EKS.Groups = append(c.o.EKS.Groups, g)
	c.o.Templates = append(c.o.Templates, template)
	c.o.GroupFacts[g.Name] = GroupNet{Subnets: []string{"subnet-na", "subnet-nb", "subnet-nc"}, DiskGiB: 80}
	c.o.ScalingGroups = append(c.o.ScalingGroups, ScalingGroup{Name: g.AutoScalingGroup, Group: g.Name, Suspended: []string{"AZRebalance"}, ByZone: map[string]int{"eu-west-1a": t.nodes / 3, "eu-west-1b": t.nodes / 3, "eu-west-1c": (t.nodes + 2) / 3}})
	for range t.nodes {
		c.node(upgradepath.Node{Kubelet: t.from, Group: g.Name, Kind: kind}, NodeFacts{OSImage: os, Kernel: "6.12.40", Runtime: runtime, InstanceType: g.InstanceTypes[0]})
	}
}

func (c *cluster) node(n upgradepath.Node, f NodeFacts) {
	i := len(c.o.EKS.Nodes)
	n.Name = fmt.Sprintf("ip-10-0-%d-%d.eu-west-1.compute.internal", i/250, i%250)
	if n.Kind == upgradepath.NodeFargate {
		n.Name = "fargate-" + n.Name
	}
	n.Ready, f.Name, f.Zone = true, n.Name, "eu-west-1"+string(rune('a'+i%3))
	c.o.EKS.Nodes = append(c.o.EKS.Nodes, n)
	c.o.Nodes = append(c.o.Nodes, f)
}
