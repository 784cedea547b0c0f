package preflight

import (
	"cmp"
	"maps"
	"slices"
	"strings"
)

// kinds are the questions: what people call them, and the permission that it takes to answer them.
var kinds = map[string]struct{ about, action string }{
	"quota":        {"quota", "servicequotas:GetServiceQuota"},
	"use":          {"what is in use of", ""},
	"zones":        {"the Region's zones", "ec2:DescribeAvailabilityZones"},
	"types":        {"instance types", "ec2:DescribeInstanceTypes"},
	"offerings":    {"where there are instances of", "ec2:DescribeInstanceTypeOfferings"},
	"images":       {"images", "ec2:DescribeImages"},
	"role":         {"role", "iam:GetRole"},
	"principal":    {"principal", "iam:GetRole"},
	"policy":       {"policy", "iam:GetPolicy"},
	"profile":      {"instance profile", "iam:GetInstanceProfile"},
	"key":          {"KMS key", "kms:DescribeKey"},
	"vpc":          {"VPC", "ec2:DescribeVpcs"},
	"subnets":      {"subnets of", "ec2:DescribeSubnets"},
	"routes":       {"routes of", "ec2:DescribeRouteTables"},
	"endpoints":    {"VPC endpoints of", "ec2:DescribeVpcEndpoints"},
	"peerings":     {"peerings of", "ec2:DescribeVpcPeeringConnections"},
	"groups":       {"security groups", "ec2:DescribeSecurityGroups"},
	"groupname":    {"security group names in", "ec2:DescribeSecurityGroups"},
	"template":     {"launch template", "ec2:DescribeLaunchTemplateVersions"},
	"templatename": {"launch template name", "ec2:DescribeLaunchTemplates"},
	"keypair":      {"key pair", "ec2:DescribeKeyPairs"},
	"placement":    {"placement group", "ec2:DescribePlacementGroups"},
	"loggroup":     {"log group", "logs:DescribeLogGroups"},
	"versions":     {"Kubernetes versions of EKS", "eks:DescribeClusterVersions"},
	"addon":        {"versions of add-on", "eks:DescribeAddonVersions"},
}

// uses are the permissions that it takes to count what is in use.
var uses = map[string]string{
	"vpcs": "ec2:DescribeVpcs", "addresses": "ec2:DescribeAddresses", "igws": "ec2:DescribeInternetGateways",
	"egress": "ec2:DescribeEgressOnlyInternetGateways", "nats": "ec2:DescribeNatGateways", "groups": "ec2:DescribeSecurityGroups",
	"gateways": "ec2:DescribeVpcEndpoints", "clusters": "eks:ListClusters", "account": "iam:GetAccountSummary",
	"vcpus": "ec2:DescribeInstances", "providers": "iam:ListOpenIDConnectProviders",
	"nodegroups": "eks:ListNodegroups", "fargate": "eks:ListFargateProfiles",
}

// unread names what could not be checked. It does not stop anybody: what is wrong there shows when it fails.
func (c *check) unread() {
	list := slices.SortedFunc(maps.Keys(c.f.Unread), func(a, b Question) int { return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name)) })
	for _, q := range list {
		why, k := c.f.Unread[q], kinds[q.Kind]
		if q.Kind == "use" {
			what, _, _ := strings.Cut(q.Name, "/")
			k.action = uses[what]
		}
		if q.Kind == "permissions" {
			k.about, k.action = "the permissions of "+c.f.Role, "iam:SimulatePrincipalPolicy"
		}
		about := k.about
		if q.Name != "" && q.Kind != "permissions" {
			about += " " + q.Name
		}
		if why.Denied {
			c.say(Warning, "Unchecked", "cluster", "allow "+k.action, "could not check %s: missing permission %s", about, k.action)
		} else {
			c.say(Warning, "Unchecked", "cluster", "", "could not check %s: %s", about, why.Text)
		}
	}
}
