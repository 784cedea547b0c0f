package cluster

import "github.com/ekspedite/ekspedite/shared/fleet"

// known is what one of the names in an eksctl file allows (wellKnownPolicies, withAddonPolicies): policies that AWS keeps,
// where there is one that is made for the purpose, or statements of our own, no wider than the controller's own
// documentation asks for.
type known struct {
	managed []string
	allows  func(*builder) []statement
	is      string // another name for this one
}

// statement allows actions on resources, "*" where none is named, under a condition.
type statement struct {
	actions []string
	on      []string
	when    fleet.Props
}

// Policies that no file names, but that IPv6 and hybrid nodes need.
const (
	cniIPv6    = "cniIPv6"
	hybridNode = "hybridNode"
)

var wellKnown = map[string]known{
	"autoScaler":                {allows: autoScaler},
	"awsLoadBalancerController": {allows: loadBalancerController},
	"albIngress":                {is: "awsLoadBalancerController"}, // the controller's former name
	"certManager":               {allows: certManager},
	"externalDNS":               {allows: externalDNS},
	"ebsCSIController":          {managed: []string{"service-role/AmazonEBSCSIDriverPolicy"}},
	"ebs":                       {managed: []string{"service-role/AmazonEBSCSIDriverPolicy"}},
	"efsCSIController":          {managed: []string{"service-role/AmazonEFSCSIDriverPolicy"}},
	"efs":                       {managed: []string{"service-role/AmazonEFSCSIDriverPolicy"}},
	"imageBuilder":              {managed: []string{"AmazonEC2ContainerRegistryPowerUser"}},
	"cloudWatch":                {managed: []string{"CloudWatchAgentServerPolicy"}},
	"xRay":                      {managed: []string{"AWSXRayDaemonWriteAccess"}},
	"fsx":                       {allows: fsxStatements},
	cniIPv6:                     {allows: ipv6Addresses},
	hybridNode:                  {allows: hybridStatements},
}

// autoScaler: Cluster Autoscaler looks at all groups to find its own by tag, and scales those of this cluster only. EKS tags
// the groups of managed node groups so; our own ones carry the tag, too.
// https://github.com/kubernetes/autoscaler/blob/master/cluster-autoscaler/cloudprovider/aws/README.md
func autoScaler(b *builder) []statement {
	return []statement{{actions: []string{
		"autoscaling:DescribeAutoScalingGroups", "autoscaling:DescribeAutoScalingInstances", "autoscaling:DescribeLaunchConfigurations",
		"autoscaling:DescribeScalingActivities", "autoscaling:DescribeTags", "ec2:DescribeImages", "ec2:DescribeInstanceTypes",
		"ec2:DescribeLaunchTemplateVersions", "ec2:GetInstanceTypesFromInstanceRequirements",
	}}, {
		actions: []string{"eks:DescribeNodegroup"}, on: []string{b.arn("eks", "nodegroup/"+b.s.Name+"/*")},
	}, {
		actions: []string{"autoscaling:SetDesiredCapacity", "autoscaling:TerminateInstanceInAutoScalingGroup"},
		on:      []string{b.arn("autoscaling", "autoScalingGroup:*:autoScalingGroupName/*")},
		when:    fleet.Props{"StringEquals": fleet.Props{"aws:ResourceTag/k8s.io/cluster-autoscaler/" + b.s.Name: "owned"}},
	}}
}

// loadBalancerController: what it makes carries the cluster's name in a tag, and only that may be changed. Rules of security
// groups are the exception: it opens those of the nodes, which are not its own.
// https://kubernetes-sigs.github.io/aws-load-balancer-controller/latest/deploy/installation/
func loadBalancerController(b *builder) []statement {
	const tag = "elbv2.k8s.aws/cluster"
	asked, had := "aws:RequestTag/"+tag, "aws:ResourceTag/"+tag
	groups := []string{b.arn("ec2", "security-group/*")}
	elb := func(resources ...string) (out []string) {
		for _, r := range resources {
			out = append(out, b.arn("elasticloadbalancing", r))
		}
		return out
	}
	balancers := elb("targetgroup/*/*", "loadbalancer/net/*/*", "loadbalancer/app/*/*")
	listeners := elb("listener/net/*/*/*", "listener/app/*/*/*", "listener-rule/net/*/*/*", "listener-rule/app/*/*/*")
	ours := func(key string) fleet.Props { return fleet.Props{"StringEquals": fleet.Props{key: b.s.Name}} }
	return []statement{{
		actions: []string{"iam:CreateServiceLinkedRole"}, when: fleet.Props{"StringEquals": fleet.Props{"iam:AWSServiceName": "elasticloadbalancing.amazonaws.com"}},
	}, {actions: []string{
		"ec2:DescribeAccountAttributes", "ec2:DescribeAddresses", "ec2:DescribeAvailabilityZones", "ec2:DescribeCoipPools", "ec2:DescribeInstances",
		"ec2:DescribeInternetGateways", "ec2:DescribeIpamPools", "ec2:DescribeNetworkInterfaces", "ec2:DescribeRouteTables", "ec2:DescribeSecurityGroups",
		"ec2:DescribeSubnets", "ec2:DescribeTags", "ec2:DescribeVpcPeeringConnections", "ec2:DescribeVpcs", "ec2:GetCoipPoolUsage", "ec2:GetSecurityGroupsForVpc",
		"elasticloadbalancing:Describe*",
		"acm:DescribeCertificate", "acm:ListCertificates", "cognito-idp:DescribeUserPoolClient", "iam:GetServerCertificate", "iam:ListServerCertificates",
		"shield:CreateProtection", "shield:DeleteProtection", "shield:DescribeProtection", "shield:GetSubscriptionState",
		"waf-regional:AssociateWebACL", "waf-regional:DisassociateWebACL", "waf-regional:GetWebACL", "waf-regional:GetWebACLForResource",
		"wafv2:AssociateWebACL", "wafv2:DisassociateWebACL", "wafv2:GetWebACL", "wafv2:GetWebACLForResource",
	}}, {
		actions: []string{"ec2:AuthorizeSecurityGroupIngress", "ec2:RevokeSecurityGroupIngress"}, on: groups,
	}, {
		actions: []string{"ec2:CreateSecurityGroup"}, on: append([]string{b.arn("ec2", "vpc/*")}, groups...),
	}, {
		actions: []string{"ec2:CreateTags"}, on: groups,
		when: fleet.Props{"StringEquals": fleet.Props{"ec2:CreateAction": "CreateSecurityGroup", asked: b.s.Name}},
	}, {
		actions: []string{"ec2:CreateTags", "ec2:DeleteTags"}, on: groups,
		when: fleet.Props{"Null": fleet.Props{asked: "true"}, "StringEquals": fleet.Props{had: b.s.Name}},
	}, {
		actions: []string{"ec2:DeleteSecurityGroup"}, on: groups, when: ours(had),
	}, {
		actions: []string{"elasticloadbalancing:CreateLoadBalancer", "elasticloadbalancing:CreateTargetGroup"}, when: ours(asked),
	}, {
		actions: []string{
			"elasticloadbalancing:AddListenerCertificates", "elasticloadbalancing:CreateListener", "elasticloadbalancing:CreateRule",
			"elasticloadbalancing:DeleteListener", "elasticloadbalancing:DeleteRule", "elasticloadbalancing:ModifyListener",
			"elasticloadbalancing:ModifyRule", "elasticloadbalancing:RemoveListenerCertificates", "elasticloadbalancing:SetRulePriorities",
			"elasticloadbalancing:SetWebAcl",
		},
	}, {
		actions: []string{"elasticloadbalancing:AddTags"}, on: balancers, when: fleet.Props{"StringEquals": fleet.Props{
			"elasticloadbalancing:CreateAction": []any{"CreateTargetGroup", "CreateLoadBalancer"}, asked: b.s.Name}},
	}, {
		actions: []string{"elasticloadbalancing:AddTags", "elasticloadbalancing:RemoveTags"}, on: balancers,
		when: fleet.Props{"Null": fleet.Props{asked: "true"}, "StringEquals": fleet.Props{had: b.s.Name}},
	}, {
		actions: []string{"elasticloadbalancing:AddTags", "elasticloadbalancing:RemoveTags"}, on: listeners,
	}, {
		actions: []string{
			"elasticloadbalancing:DeleteLoadBalancer", "elasticloadbalancing:DeleteTargetGroup", "elasticloadbalancing:ModifyCapacityReservation",
			"elasticloadbalancing:ModifyIpPools", "elasticloadbalancing:ModifyListenerAttributes", "elasticloadbalancing:ModifyLoadBalancerAttributes",
			"elasticloadbalancing:ModifyTargetGroup", "elasticloadbalancing:ModifyTargetGroupAttributes", "elasticloadbalancing:SetIpAddressType",
			"elasticloadbalancing:SetSecurityGroups", "elasticloadbalancing:SetSubnets",
		}, when: ours(had),
	}, {
		actions: []string{"elasticloadbalancing:DeregisterTargets", "elasticloadbalancing:RegisterTargets"}, on: elb("targetgroup/*/*"),
	}}
}

// hostedZones are all of the account: Route 53 has no tags in conditions.
func hostedZones(b *builder) []string {
	return []string{"arn:" + partition(b.opt) + ":route53:::hostedzone/*"}
}

// certManager proves by TXT records that a domain is ours. https://cert-manager.io/docs/configuration/acme/dns01/route53/
func certManager(b *builder) []statement {
	return []statement{{
		actions: []string{"route53:GetChange"}, on: []string{"arn:" + partition(b.opt) + ":route53:::change/*"},
	}, {
		actions: []string{"route53:ListResourceRecordSets"}, on: hostedZones(b),
	}, {
		actions: []string{"route53:ChangeResourceRecordSets"}, on: hostedZones(b),
		when: fleet.Props{"ForAllValues:StringEquals": fleet.Props{"route53:ChangeResourceRecordSetsRecordTypes": []any{"TXT"}}},
	}, {actions: []string{"route53:ListHostedZonesByName"}}}
}

// externalDNS: https://kubernetes-sigs.github.io/external-dns/latest/docs/tutorials/aws/
func externalDNS(b *builder) []statement {
	return []statement{
		{actions: []string{"route53:ChangeResourceRecordSets"}, on: hostedZones(b)},
		{actions: []string{"route53:ListHostedZones", "route53:ListResourceRecordSets", "route53:ListTagsForResource", "route53:ListTagsForResources"}},
	}
}

// fsxStatements: https://docs.aws.amazon.com/fsx/latest/LustreGuide/using-service-linked-roles.html, and the CSI driver's own documentation.
func fsxStatements(b *builder) []statement {
	const lustre = "s3.data-source.lustre.fsx.amazonaws.com"
	return []statement{{
		actions: []string{"iam:CreateServiceLinkedRole", "iam:AttachRolePolicy", "iam:PutRolePolicy"},
		on:      []string{"arn:" + partition(b.opt) + ":iam::*:role/aws-service-role/" + lustre + "/*"},
	}, {
		actions: []string{"iam:CreateServiceLinkedRole"},
		when:    fleet.Props{"StringLike": fleet.Props{"iam:AWSServiceName": []any{"fsx.amazonaws.com", lustre}}},
	}, {
		actions: []string{"fsx:CreateFileSystem", "fsx:DeleteFileSystem", "fsx:TagResource", "fsx:UpdateFileSystem"},
		on:      []string{b.arn("fsx", "file-system/*")},
	}, {actions: []string{"fsx:DescribeFileSystems", "s3:ListBucket"}}}
}

// ipv6Addresses is what AmazonEKS_CNI_Policy lacks: https://docs.aws.amazon.com/eks/latest/userguide/cni-iam-role.html
func ipv6Addresses(b *builder) []statement {
	return []statement{{actions: []string{
		"ec2:AssignIpv6Addresses", "ec2:DescribeInstances", "ec2:DescribeInstanceTypes", "ec2:DescribeNetworkInterfaces", "ec2:DescribeTags",
	}}, {
		actions: []string{"ec2:CreateTags"}, on: []string{"arn:" + partition(b.opt) + ":ec2:*:*:network-interface/*"},
	}}
}

// hybridStatements are what a machine outside AWS needs beside Systems Manager: to find the cluster, and to sign itself off.
// https://docs.aws.amazon.com/eks/latest/userguide/hybrid-nodes-creds.html
func hybridStatements(b *builder) []statement {
	return []statement{
		{actions: []string{"eks:DescribeCluster"}, on: []string{b.arn("eks", "cluster/"+b.s.Name)}},
		{actions: []string{"eks:ListAccessEntries"}, on: []string{b.arn("eks", "cluster/"+b.s.Name)}},
		{actions: []string{"ssm:DescribeInstanceInformation"}},
		{actions: []string{"ssm:DeregisterManagedInstance"}, on: []string{b.arn("ssm", "managed-instance/*")},
			when: fleet.Props{"StringEquals": fleet.Props{"ssm:resourceTag/EKSClusterARN": b.arn("eks", "cluster/"+b.s.Name)}}},
	}
}
