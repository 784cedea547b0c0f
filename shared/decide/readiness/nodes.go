package readiness

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ekspedite/ekspedite/shared/decide/upgradepath"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

var nodeChecks = []check{
	{id: "NODE01", title: "Version skew of the kubelets", severity: Block, reads: "nodes: kubeletVersion", parts: []Part{PartEKS, PartNodes}, run: skew},
	{id: "NODE02", title: "Versions within a node group", severity: Warn, reads: "nodes: kubeletVersion", parts: []Part{PartEKS, PartNodes}, run: mixed},
	{id: "NODE03", title: "Node groups are healthy", severity: Block, reads: "DescribeNodegroup: status, health", parts: []Part{PartEKS}, run: groupHealth},
	{id: "NODE04", title: "Somebody moves every node", severity: Block, reads: "nodes by who makes them", parts: []Part{PartEKS, PartNodes}, when: (*look).upgrades, run: moved},
	{id: "NODE05", title: "Amazon Linux 2", severity: Block, reads: "node groups: amiType; nodes: osImage; EC2NodeClasses", parts: []Part{PartEKS, PartNodes}, when: func(l *look) bool { return l.to >= noAL2 }, run: amazonLinux2},
	{id: "NODE06", title: "There is an image for the target", severity: Block, reads: "SSM parameters of the EKS images", parts: []Part{PartEKS, PartImages}, run: images},
	{id: "NODE07", title: "Images of one's own", severity: Block, reads: "launch templates: image, user data; the policy", parts: []Part{PartEKS, PartTemplates}, when: (*look).customGroups, run: ownImages},
	{id: "NODE08", title: "Launch templates that have not been rolled out", severity: Warn, reads: "DescribeLaunchTemplateVersions", parts: []Part{PartEKS}, run: pendingTemplates},
	{id: "NODE09", title: "What launch templates refer to", severity: Block, reads: "launch templates: image, security groups, key pair, instance profile", parts: []Part{PartTemplates}, run: templates},
	{id: "NODE10", title: "cgroup v1", severity: Block, reads: "nodes: operating system, cgroup", parts: []Part{PartEKS, PartNodes}, when: func(l *look) bool { return l.to >= noCgroup1 }, run: cgroups},
	{id: "NODE11", title: "containerd 1.x", severity: Block, reads: "nodes: containerRuntimeVersion", parts: []Part{PartEKS, PartNodes}, when: func(l *look) bool { return l.to >= noContainerd1 }, run: containerd},
	{id: "NODE12", title: "Flags that the kubelet no longer has", severity: Block, reads: "launch templates: user data", parts: []Part{PartTemplates}, run: kubeletFlags},
	{id: "NODE13", title: "Nodes are in order", severity: Block, reads: "nodes: conditions, unschedulable", parts: []Part{PartEKS, PartNodes}, run: nodesInOrder},
	{id: "NODE14", title: "Auto Scaling groups are at rest", severity: Warn, reads: "DescribeAutoScalingGroups, DescribeInstanceRefreshes", parts: []Part{PartScaling}, run: scalingGroups},
	{id: "NODE15", title: "Quota for the nodes that are added", severity: Block, reads: "Service Quotas, DescribeInstanceTypes", parts: []Part{PartEKS, PartQuotas, PartMachines}, when: (*look).surges, run: quotas},
	{id: "NODE16", title: "Capacity of the instance types", severity: Warn, reads: "node groups: instance types, zones; scaling activities", parts: []Part{PartEKS, PartScaling}, run: capacity},
	{id: "NODE17", title: "Addresses for the nodes that are added", severity: Block, reads: "DescribeSubnets, DescribeInstanceTypes, the VPC CNI's settings", parts: []Part{PartEKS, PartControlPlane, PartNetwork, PartMachines, PartWorkloads, PartPods}, when: (*look).surges, run: nodeAddresses},
	{id: "NODE18", title: "Nodes with something special", severity: Warn, reads: "DescribeInstanceTypes", parts: []Part{PartEKS, PartMachines}, run: special},
	{id: "NODE19", title: "Karpenter", severity: Block, reads: "Karpenter's image, NodePools, EC2NodeClasses", parts: []Part{PartPods, PartKarpenter}, run: karpenter},
	{id: "NODE20", title: "Disruption of Auto Mode's nodes", severity: Warn, reads: "NodePools; nodes: annotations", parts: []Part{PartEKS, PartNodes, PartKarpenter}, when: func(l *look) bool { return l.o.EKS.AutoMode }, run: autoMode},
}

// The minors from which nodes cannot be what they were.
const (
	// noAL2: EKS made no images of Amazon Linux 2 for 1.33, and its last ones in December 2025
	// (https://github.com/awslabs/amazon-eks-ami/issues/2545).
	noAL2 fleet.Minor = 33
	// noCgroup1: the kubelet does not start on cgroup v1 unless told otherwise (failCgroupV1, Kubernetes 1.35).
	noCgroup1 fleet.Minor = 35
	// noContainerd1: 1.35 is the last minor that supports containerd 1.x.
	noContainerd1 fleet.Minor = 36
)

func skew(l *look) (out outcome) {
	out.one, out.many = "a node is too far behind for the next minor of the control plane", "%d nodes are too far behind for the next minor of the control plane"
	out.remedy = func(name string) string {
		n := l.nodes[name]
		switch n.Kind {
		case upgradepath.NodeManaged:
			return l.aws(fmt.Sprintf("eks update-nodegroup-version --cluster-name NAME --nodegroup-name %s --kubernetes-version %s", n.Group, l.from))
		case upgradepath.NodeFargate:
			return "Restart what runs there: kubectl rollout restart deployment -n NAMESPACE"
		}
		return "Replace it by one of " + l.from.String() + ": kubectl drain --ignore-daemonsets --delete-emptydir-data " + name
	}
	for _, n := range l.o.EKS.Nodes {
		behind := l.hop - n.Kubelet
		allowed := l.skew(n.Kubelet)
		switch {
		case n.Kubelet == 0:
			out.add(n.Name, "its version is not known")
		case n.Kubelet > l.hop:
			out.add(n.Name, fmt.Sprintf("%s is newer than the control plane will be (%s)", n.Kubelet, l.hop))
		case behind > allowed:
			out.add(n.Name, fmt.Sprintf("%s, %d minors behind %s; %d are allowed", n.Kubelet, behind, l.hop, allowed))
		case l.p.Skew == fleet.SkewStrict && l.upgrades() && n.Kubelet < l.from:
			out.add(n.Name, fmt.Sprintf("%s; by the policy's strict skew nodes are at %s before the control plane goes on", n.Kubelet, l.from))
		}
	}
	return out
}

func mixed(l *look) (out outcome) {
	out.one, out.many = "a node group has nodes of versions more than one minor apart", "%d node groups have nodes of versions more than one minor apart"
	out.remedy = func(group string) string {
		return l.aws(fmt.Sprintf("eks update-nodegroup-version --cluster-name NAME --nodegroup-name %s --kubernetes-version %s", group, l.from))
	}
	low, high := map[string]fleet.Minor{}, map[string]fleet.Minor{}
	for _, n := range l.o.EKS.Nodes {
		if n.Group == "" {
			continue
		}
		if have, ok := low[n.Group]; !ok || n.Kubelet < have {
			low[n.Group] = n.Kubelet
		}
		high[n.Group] = max(high[n.Group], n.Kubelet)
	}
	for _, g := range sortedKeys(low) {
		if high[g]-low[g] > 1 {
			out.add(g, low[g].String()+" to "+high[g].String())
		}
	}
	return out
}

func groupHealth(l *look) (out outcome) {
	out.one, out.many = "a node group is not in order: its update would fail or be refused", "%d node groups are not in order: their updates would fail or be refused"
	out.remedy = func(group string) string {
		return l.aws("eks describe-nodegroup --cluster-name NAME --nodegroup-name " + group + " --query nodegroup.health")
	}
	for _, g := range l.o.EKS.Groups {
		passing := g.Pool != "" && (g.Status == "CREATING" || g.Status == "DELETING") // the scaling function's: they come and go
		switch {
		case len(g.Issues) > 0:
			out.add(g.Name, strings.TrimPrefix(g.Status+": "+capped(g.Issues, 3), ": "))
		case g.Status != "" && g.Status != "ACTIVE" && !passing:
			out.add(g.Name, g.Status)
		}
	}
	return out
}

// moved: nodes that nobody replaces may stay behind as far as the skew lets them; beyond that they block.
func moved(l *look) (out outcome) {
	out.one, out.many = "nobody replaces a node, and it stays behind", "nobody replaces %d nodes, and they stay behind"
	out.remedy = func(name string) string {
		if l.nodes[name].Kind == upgradepath.NodeHybrid {
			return "nodeadm upgrade " + l.from.String() + " --config-source file://nodeConfig.yaml   # on " + name
		}
		return "Replace it yourself, or move its pods into a node group: kubectl drain --ignore-daemonsets --delete-emptydir-data " + name
	}
	for _, n := range l.o.EKS.Nodes {
		if _, known := l.groupOf(n); n.Kind != upgradepath.NodeHybrid && n.Kind != upgradepath.NodeOther && !(n.Kind == upgradepath.NodeSelfManaged && !known) {
			continue
		}
		behind, allowed := l.to-n.Kubelet, l.skew(n.Kubelet)
		if l.p.Skew == fleet.SkewStrict {
			allowed = 1
		}
		s := Warn
		if behind > allowed {
			s = Block
		}
		out.at(s, n.Name, fmt.Sprintf("%s, %s: %d minors behind %s, %d are allowed", n.Kind, n.Kubelet, behind, l.to, allowed))
	}
	return out
}

func al2Image(os string) bool {
	return os == "Amazon Linux 2" || strings.HasPrefix(os, "Amazon Linux 2 ")
}

func amazonLinux2(l *look) (out outcome) {
	out.one, out.many = "Amazon Linux 2 has no image for "+l.to.String(), "Amazon Linux 2 has no image for "+l.to.String()+": %d places"
	out.remedy = func(object string) string {
		kind, name, _ := strings.Cut(object, " ")
		if kind == "nodegroup" {
			return "Make a group of AL2023 or Bottlerocket beside it, and delete it when its pods have moved (its amiType cannot be changed): set amiFamily: AmazonLinux2023 under another name in the cluster's file, then ekspedite cluster apply -f FILE; " + l.aws("eks delete-nodegroup --cluster-name NAME --nodegroup-name "+name)
		}
		return "Move " + object + " to AL2023 or Bottlerocket"
	}
	told := map[string]bool{}
	for _, g := range l.o.EKS.Groups {
		if strings.HasPrefix(g.AMIType, "AL2_") {
			told[g.Name] = true
			out.at(l.held(g), "nodegroup "+g.Name, g.AMIType)
		}
	}
	for _, c := range l.o.NodeClasses {
		if c.Family == "AL2" || slices.ContainsFunc(c.Aliases, func(a string) bool { return strings.HasPrefix(a, "al2@") }) {
			out.add("EC2NodeClass "+c.Name, "AL2")
		}
	}
	for _, n := range l.o.EKS.Nodes {
		// Fargate's machines say Amazon Linux 2, and are AWS's to replace.
		if os := l.facts[n.Name].OSImage; al2Image(os) && n.Kind != upgradepath.NodeFargate && n.Kind != upgradepath.NodeAuto && !told[n.Group] {
			g, _ := l.groupOf(n)
			out.at(l.held(g), "node "+n.Name, os)
		}
	}
	return out
}

// held: what the policy leaves as it is is told, and does not block.
func (l *look) held(g upgradepath.Group) Severity {
	if l.stays(g) {
		return Warn
	}
	return Block
}

func images(l *look) (out outcome) {
	out.one, out.many = "there is no image of "+l.to.String()+" for a node group", "there is no image of "+l.to.String()+" for %d node groups"
	out.remedy = fixed("Wait until EKS has published it, or choose another amiType: " + l.aws("ssm get-parameters-by-path --path /aws/service/eks/optimized-ami/"+l.to.String()+" --recursive"))
	for _, g := range l.o.EKS.Groups {
		if g.Custom() || g.AMIType == "" || l.stays(g) || strings.HasPrefix(g.AMIType, "AL2_") && l.to >= noAL2 { // NODE05's
			continue
		}
		if _, ok := l.o.EKS.Images[g.AMIType+"/"+l.to.String()]; !ok {
			out.add(g.Name, g.AMIType)
		}
	}
	return out
}

func (l *look) customGroups() bool {
	return slices.ContainsFunc(l.o.EKS.Groups, upgradepath.Group.Custom)
}

func (l *look) template(group string) (Template, bool) {
	i := slices.IndexFunc(l.o.Templates, func(t Template) bool { return t.Group == group })
	if i < 0 {
		return Template{}, false
	}
	return l.o.Templates[i], true
}

func ownImages(l *look) (out outcome) {
	out.one, out.many = "a node group with an image of your own has none for "+l.to.String(), "%d node groups with images of your own have none for "+l.to.String()
	out.remedy = func(group string) string {
		return fmt.Sprintf("Build an image of %s (AL2023 with nodeadm, or Bottlerocket), make a version of the launch template with it, and name it in the policy: nodes.groups: [{name: %s, launchTemplateVersion: {\"%s\": N}}]", l.to, group, l.to)
	}
	for _, g := range l.o.EKS.Groups {
		if !g.Custom() {
			continue
		}
		t, known := l.template(g.Name)
		switch {
		case l.renewed(g.Name):
		case known && t.ImageKubernetes == l.to:
		case !l.upgrades() || l.stays(g):
		case known && t.ImageKubernetes > 0:
			out.add(g.Name, fmt.Sprintf("%s is of %s, and the policy names no version of its launch template for %s", t.ImageID, t.ImageKubernetes, l.to))
		default:
			out.add(g.Name, fmt.Sprintf("the policy names no version of its launch template for %s", l.to))
		}
		if known && t.Bootstrap == "bootstrap.sh" && strings.Contains(strings.ToLower(t.ImageName), "al2023") {
			s := Block
			if slices.ContainsFunc(l.o.EKS.Nodes, func(n upgradepath.Node) bool { return n.Group == g.Name && n.Ready }) {
				s = Warn // nodes have joined: the image has a bootstrap.sh of its owner's
			}
			out.at(s, g.Name, "its user data calls bootstrap.sh, which AL2023 does not have: it wants a NodeConfig for nodeadm")
		}
	}
	return out
}

func pendingTemplates(l *look) (out outcome) {
	out.one, out.many = "a node group's launch template has a newer version: the upgrade is not the time to find out what it does", "%d node groups' launch templates have newer versions: the upgrade is not the time to find out what they do"
	out.remedy = func(group string) string {
		g := l.groups[group]
		return l.aws(fmt.Sprintf("eks update-nodegroup-version --cluster-name NAME --nodegroup-name %s --launch-template name=%s,version=%s", group, g.Template, g.TemplateNewest)) + "   # before the upgrade"
	}
	for _, g := range l.o.EKS.Groups {
		if g.TemplateVersion != "" && g.TemplateNewest != "" && g.TemplateVersion != g.TemplateNewest && !l.renewed(g.Name) {
			out.add(g.Name, fmt.Sprintf("version %s is in use, %s is the newest", g.TemplateVersion, g.TemplateNewest))
		}
	}
	return out
}

func templates(l *look) (out outcome) {
	out.one, out.many = "a launch template names something that does not exist: no node can be made", "launch templates name %d things that do not exist: no node can be made"
	out.remedy = func(group string) string {
		t, _ := l.template(group)
		return l.aws(fmt.Sprintf("ec2 create-launch-template-version --launch-template-id %s --source-version %s --launch-template-data file://what-exists.json", t.ID, t.Version))
	}
	for _, t := range l.o.Templates {
		for _, m := range t.Missing {
			out.add(t.Group, m+" of "+t.ID+" version "+t.Version)
		}
	}
	return out
}
