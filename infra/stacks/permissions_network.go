package stacks

import "github.com/ekspedite/ekspedite/infra/constructs"

const ids = "AWS gives the ids. The condition leaves what is made, or was made, for a cluster."

// parts are the types of EC2 resources that a cluster's network is made of.
var parts = []string{
	"vpc", "subnet", "internet-gateway", "egress-only-internet-gateway", "route-table", "elastic-ip", "natgateway", "security-group",
	"vpc-endpoint", "transit-gateway-attachment",
}

// creations are the operations by which they are made. What is new has to carry the cluster's tag from its first moment.
var creations = []string{
	"CreateVpc", "CreateSubnet", "CreateInternetGateway", "CreateEgressOnlyInternetGateway", "CreateRouteTable", "AllocateAddress",
	"CreateNatGateway", "CreateSecurityGroup", "CreateVpcEndpoint", "CreateTransitGatewayVpcAttachment",
}

func prefixed(prefix string, names ...string) (out []string) {
	for _, n := range names {
		out = append(out, prefix+n)
	}
	return out
}

// networkGrants let EC2 networks be made and changed.
func networkGrants() []constructs.Grant {
	return []constructs.Grant{{
		Sid: "ReadEC2",
		Actions: prefixed("ec2:Describe",
			"Addresses", "AvailabilityZones", "EgressOnlyInternetGateways", "Images", "Instances", "InstanceTypeOfferings", "InstanceTypes",
			"InternetGateways", "KeyPairs", "LaunchTemplates", "LaunchTemplateVersions", "NatGateways", "NetworkInterfaces", "PlacementGroups",
			"RouteTables", "SecurityGroups", "Subnets", "TransitGatewayVpcAttachments", "Volumes", "VpcAttribute",
			"VpcEndpoints", "VpcEndpointServices", "VpcPeeringConnections", "Vpcs", "VpnGateways"),
		Resources: []string{"*"},
		Wide:      "EC2's describe calls have no resources to name.",
	}, {
		Sid:       "CreateNetworks",
		Actions:   prefixed("ec2:", creations...),
		Resources: ec2ARNs(parts...),
		Wide:      ids,
		When:      asked,
	}, {
		// A call is allowed if it is for each resource that it names: the new one by the grant above, the one that it is
		// made in, or made of, by this one.
		Sid: "CreateWithinNetworks",
		Actions: prefixed("ec2:", "CreateSubnet", "CreateRouteTable", "CreateNatGateway", "CreateEgressOnlyInternetGateway",
			"CreateTransitGatewayVpcAttachment"),
		Resources: ec2ARNs("vpc", "subnet", "elastic-ip"),
		Wide:      ids,
		When:      ours,
	}, {
		// In networks of the users', only groups and endpoints are made: new things, with the tag.
		Sid:       "CreateWithinGivenNetworks",
		Actions:   prefixed("ec2:", "CreateSecurityGroup", "CreateVpcEndpoint"),
		Resources: ec2ARNs("vpc", "subnet", "route-table", "security-group"),
		Wide:      "Which network a cluster is to be in is what its spec says.",
	}, {
		Sid: "WireNetworks",
		Actions: prefixed("ec2:", "ModifyVpcAttribute", "ModifySubnetAttribute", "AssociateVpcCidrBlock", "AttachInternetGateway", "AttachVpnGateway",
			"CreateRoute", "ReplaceRoute", "DeleteRoute", "AssociateRouteTable", "ModifyVpcEndpoint", "ModifyTransitGatewayVpcAttachment",
			"AuthorizeSecurityGroupIngress", "AuthorizeSecurityGroupEgress", "RevokeSecurityGroupIngress", "RevokeSecurityGroupEgress"),
		Resources: ec2ARNs("vpc", "subnet", "internet-gateway", "route-table", "vpc-endpoint", "transit-gateway-attachment", "security-group"),
		Wide:      ids,
		When:      ours,
	}, {
		Sid:       "UseGivenGateways", // and pools of IPv6 addresses
		Actions:   prefixed("ec2:", "AttachVpnGateway", "DetachVpnGateway", "CreateTransitGatewayVpcAttachment", "CreateVpc", "AssociateVpcCidrBlock"),
		Resources: ec2ARNs("vpn-gateway", "transit-gateway", "ipv6pool-ec2"),
		Wide:      "Which of them a cluster is to use is what its spec says. The VPC in the same call must be ekspedite's.",
	}, {
		// A name that leads to an endpoint is Route 53's, which EC2 tells in the caller's name.
		// https://docs.aws.amazon.com/vpc/latest/privatelink/create-interface-endpoint.html
		Sid:       "NameEndpoints",
		Actions:   []string{"route53:AssociateVPCWithHostedZone"},
		Resources: []string{"*"},
		Wide:      "The hosted zone is the service's own, in an account of AWS's.",
	}, {
		// Tags can be set while something is made, or on what is ekspedite's already: else any VPC could be tagged to become
		// a cluster's.
		Sid:       "TagWhatIsCreated",
		Actions:   []string{"ec2:CreateTags"},
		Resources: ec2ARNs(parts...),
		Wide:      ids,
		When:      conditions{"StringEquals": {"ec2:CreateAction": creations}},
	}, {
		Sid:       "Retag",
		Actions:   []string{"ec2:CreateTags"},
		Resources: []string{anywhere("ec2", "*/*")},
		Wide:      ids,
		When:      ours,
	}}
}

// machineGrants let launch templates, key pairs and Auto Scaling groups be made and changed.
func machineGrants() []constructs.Grant {
	const whatTemplatesSay = "What machines are made of is what their launch template says."
	groups := []string{anywhere("autoscaling", "autoScalingGroup:*:autoScalingGroupName/*")}
	made := []string{"CreateLaunchTemplate", "ImportKeyPair"}
	byTemplate := conditions{"ArnLike": {"ec2:LaunchTemplate": ec2ARNs("launch-template")}}
	return []constructs.Grant{{
		Sid:       "CreateTemplates",
		Actions:   prefixed("ec2:", made...),
		Resources: ec2ARNs("launch-template", "key-pair"),
		Wide:      ids,
		When:      asked,
	}, {
		Sid:       "ChangeTemplates",
		Actions:   []string{"ec2:CreateLaunchTemplateVersion"},
		Resources: ec2ARNs("launch-template"),
		Wide:      ids,
		When:      ours,
	}, {
		// EKS and Auto Scaling try whether their caller might do what a template says. The template may be a user's. What can
		// be gained by it is bounded by HandRolesToServices: machines have roles of clusters, or none.
		Sid:       "RunTemplates",
		Actions:   []string{"ec2:RunInstances"},
		Resources: ec2ARNs("launch-template"),
		Wide:      whatTemplatesSay,
	}, {
		Sid:     "RunMachines",
		Actions: []string{"ec2:RunInstances"},
		Resources: append(ec2ARNs("instance", "volume", "network-interface", "subnet", "security-group", "key-pair", "placement-group",
			"capacity-reservation", "spot-instances-request"), "arn:${AWS::Partition}:ec2:*::image/*", "arn:${AWS::Partition}:ec2:*::snapshot/*",
			anywhere("ec2", "image/*"), anywhere("ec2", "snapshot/*")),
		Wide: whatTemplatesSay,
		When: byTemplate,
	}, {
		Sid:       "TagMachines",
		Actions:   []string{"ec2:CreateTags"},
		Resources: ec2ARNs("launch-template", "key-pair", "instance", "volume", "network-interface", "spot-instances-request"),
		Wide:      ids,
		When:      conditions{"StringEquals": {"ec2:CreateAction": append([]string{"RunInstances"}, made...)}},
	}, {
		Sid:       "ReadGroups",
		Actions:   []string{"autoscaling:DescribeAutoScalingGroups", "autoscaling:DescribeScalingActivities"},
		Resources: []string{"*"},
		Wide:      "Auto Scaling's describe calls have no resources to name.",
	}, {
		Sid:       "CreateGroups",
		Actions:   []string{"autoscaling:CreateAutoScalingGroup"},
		Resources: groups,
		Wide:      ids,
		When:      asked,
	}, {
		Sid: "ChangeGroups",
		Actions: prefixed("autoscaling:", "UpdateAutoScalingGroup", "CreateOrUpdateTags", "EnableMetricsCollection", "SuspendProcesses",
			"AttachLoadBalancerTargetGroups", "AttachLoadBalancers", "DeleteAutoScalingGroup"),
		Resources: groups,
		Wide:      ids,
		When:      ours,
	}, {
		Sid:       "ChangeGroupsOfEKS", // labels and taints for Cluster Autoscaler, which EKS does not put there
		Actions:   prefixed("autoscaling:", "CreateOrUpdateTags", "SuspendProcesses"),
		Resources: groups,
		Wide:      "EKS names the groups of its node groups, with a random part. The condition leaves those of clusters.",
		When:      tagged("aws:ResourceTag/eks:cluster-name"),
	}}
}

// removalGrants let a cluster be taken away, and what Kubernetes has left of it.
func removalGrants() []constructs.Grant {
	const left = "Kubernetes names them. The condition leaves what a controller of a cluster has made."
	var grants []constructs.Grant
	grants = append(grants, constructs.Grant{
		Sid: "DeleteWhatIsOurs",
		Actions: prefixed("ec2:", "DeleteVpc", "DeleteSubnet", "DetachInternetGateway", "DeleteInternetGateway",
			"DeleteEgressOnlyInternetGateway", "DeleteRouteTable", "ReleaseAddress", "DeleteNatGateway", "DeleteSecurityGroup", "DeleteVpcEndpoints",
			"DetachVpnGateway", "DeleteTransitGatewayVpcAttachment", "DeleteLaunchTemplate", "DeleteKeyPair", "TerminateInstances"),
		Resources: ec2ARNs(append([]string{"launch-template", "key-pair", "instance"}, parts...)...),
		Wide:      ids,
		When:      ours,
	})
	// Groups that the cloud provider itself has made carry no tag but kubernetes.io/cluster/NAME: a key that no policy can
	// name. Removal by force names them and leaves them.
	for _, by := range []struct{ sid, tag string }{
		{"OfLoadBalancerController", "elbv2.k8s.aws/cluster"}, {"OfAutoMode", "eks:eks-cluster-name"}, {"OfServices", "kubernetes.io/service-name"},
	} {
		grants = append(grants, constructs.Grant{
			Sid:       "Delete" + by.sid,
			Actions:   []string{"elasticloadbalancing:DeleteLoadBalancer", "ec2:DeleteSecurityGroup", "ec2:RevokeSecurityGroupIngress", "ec2:RevokeSecurityGroupEgress"},
			Resources: []string{anywhere("elasticloadbalancing", "loadbalancer/*"), anywhere("ec2", "security-group/*")},
			Wide:      left,
			When:      tagged("aws:ResourceTag/" + by.tag),
		})
	}
	return append(grants, constructs.Grant{
		Sid:       "DeleteOfKarpenter",
		Actions:   []string{"ec2:TerminateInstances"},
		Resources: ec2ARNs("instance"),
		Wide:      left,
		When:      tagged("aws:ResourceTag/karpenter.sh/nodepool"),
	}, constructs.Grant{
		Sid:       "DeleteOfCNI",
		Actions:   []string{"ec2:DeleteNetworkInterface"},
		Resources: ec2ARNs("network-interface"),
		Wide:      left,
		When:      tagged("aws:ResourceTag/cluster.k8s.amazonaws.com/name"),
	}, constructs.Grant{
		Sid:       "ReadLoadBalancers",
		Actions:   []string{"elasticloadbalancing:DescribeLoadBalancers", "elasticloadbalancing:DescribeTags"},
		Resources: []string{"*"},
		Wide:      "Elastic Load Balancing's describe calls have no resources to name.",
	})
}
