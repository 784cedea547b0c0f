package iam

import (
	"encoding/json"
	"strings"
	"sync"

	"github.com/ekspedite/ekspedite/infra/local/iam/policy"
)

const awsPrefix = "arn:aws:iam::aws:policy/"

// awsPolicies are the AWS managed policies that exist here: path and name to the actions that they allow on every
// resource. The actions are those that the embedded cloud can be asked for; AWS's documents are longer and some of their
// statements are narrower. A policy with no action exists, can be attached, and grants nothing.
//
// What matters to a customer is that attaching a wrong name fails and that a node's or a cluster's role lacks what AWS's
// policy lacks too. To allow more to a function, its own policy must say so.
var awsPolicies = map[string][]string{
	// Cluster role.
	"AmazonEKSClusterPolicy": {
		"autoscaling:DescribeAutoScalingGroups", "autoscaling:UpdateAutoScalingGroup", "ec2:AttachVolume", "ec2:AuthorizeSecurityGroupIngress",
		"ec2:CreateRoute", "ec2:CreateSecurityGroup", "ec2:CreateTags", "ec2:CreateVolume", "ec2:DeleteRoute", "ec2:DeleteSecurityGroup",
		"ec2:DeleteVolume", "ec2:DescribeInstances", "ec2:DescribeRouteTables", "ec2:DescribeSecurityGroups", "ec2:DescribeSubnets",
		"ec2:DescribeVolumes", "ec2:DescribeVolumesModifications", "ec2:DescribeVpcs", "ec2:DescribeDhcpOptions", "ec2:DescribeNetworkInterfaces",
		"ec2:DescribeAvailabilityZones", "ec2:DetachVolume", "ec2:ModifyInstanceAttribute", "ec2:ModifyVolume", "ec2:RevokeSecurityGroupIngress",
		"ec2:DescribeAccountAttributes", "ec2:DescribeAddresses", "ec2:DescribeInternetGateways", "ec2:DescribeInstanceTopology",
		"elasticloadbalancing:*", "kms:DescribeKey",
	},
	"AmazonEKSServicePolicy":                 {"ec2:CreateNetworkInterface", "ec2:DescribeSubnets", "ec2:DescribeVpcs", "eks:UpdateClusterVersion"},
	"AmazonEKSVPCResourceController":         {"ec2:AssignPrivateIpAddresses", "ec2:AttachNetworkInterface", "ec2:CreateNetworkInterface", "ec2:DeleteNetworkInterface", "ec2:DetachNetworkInterface", "ec2:ModifyNetworkInterfaceAttribute", "ec2:UnassignPrivateIpAddresses"},
	"AmazonEKSComputePolicy":                 {"ec2:CreateFleet", "ec2:RunInstances", "ec2:CreateLaunchTemplate", "ec2:TerminateInstances", "iam:PassRole"},
	"AmazonEKSBlockStoragePolicy":            {},
	"AmazonEKSLoadBalancingPolicy":           {},
	"AmazonEKSNetworkingPolicy":              {},
	"AmazonEKSLocalOutpostClusterPolicy":     {},
	"AmazonEKSFargatePodExecutionRolePolicy": {"ecr:GetAuthorizationToken", "ecr:BatchCheckLayerAvailability", "ecr:GetDownloadUrlForLayer", "ecr:BatchGetImage"},
	// Node role.
	"AmazonEKSWorkerNodePolicy":             {"ec2:DescribeInstances", "ec2:DescribeInstanceTypes", "ec2:DescribeRouteTables", "ec2:DescribeSecurityGroups", "ec2:DescribeSubnets", "ec2:DescribeVolumes", "ec2:DescribeVolumesModifications", "ec2:DescribeVpcs", "eks:DescribeCluster", "eks-auth:AssumeRoleForPodIdentity"},
	"AmazonEKSWorkerNodeMinimalPolicy":      {"eks-auth:AssumeRoleForPodIdentity"},
	"AmazonEKS_CNI_Policy":                  {"ec2:AssignPrivateIpAddresses", "ec2:AttachNetworkInterface", "ec2:CreateNetworkInterface", "ec2:DeleteNetworkInterface", "ec2:DescribeInstances", "ec2:DescribeTags", "ec2:DescribeNetworkInterfaces", "ec2:DescribeInstanceTypes", "ec2:DescribeSubnets", "ec2:DetachNetworkInterface", "ec2:ModifyNetworkInterfaceAttribute", "ec2:UnassignPrivateIpAddresses", "ec2:CreateTags"},
	"AmazonEC2ContainerRegistryPullOnly":    {"ecr:GetAuthorizationToken", "ecr:BatchImportUpstreamImage", "ecr:GetDownloadUrlForLayer", "ecr:BatchGetImage"},
	"AmazonEC2ContainerRegistryReadOnly":    {"ecr:GetAuthorizationToken", "ecr:BatchCheckLayerAvailability", "ecr:GetDownloadUrlForLayer", "ecr:GetRepositoryPolicy", "ecr:DescribeRepositories", "ecr:ListImages", "ecr:DescribeImages", "ecr:BatchGetImage", "ecr:GetLifecyclePolicy", "ecr:ListTagsForResource", "ecr:DescribeImageScanFindings"},
	"AmazonEC2ContainerRegistryPowerUser":   {"ecr:*"},
	"AmazonSSMManagedInstanceCore":          {"ssm:DescribeAssociation", "ssm:GetDeployablePatchSnapshotForInstance", "ssm:GetDocument", "ssm:DescribeDocument", "ssm:GetManifest", "ssm:GetParameter", "ssm:GetParameters", "ssm:ListAssociations", "ssm:ListInstanceAssociations", "ssm:PutInventory", "ssm:UpdateInstanceInformation", "ssmmessages:*", "ec2messages:*"},
	"AmazonSSMPatchAssociation":             {},
	"CloudWatchAgentServerPolicy":           {"cloudwatch:PutMetricData", "ec2:DescribeVolumes", "ec2:DescribeTags", "logs:PutLogEvents", "logs:PutRetentionPolicy", "logs:DescribeLogStreams", "logs:DescribeLogGroups", "logs:CreateLogStream", "logs:CreateLogGroup"},
	"service-role/AmazonEBSCSIDriverPolicy": {"ec2:CreateSnapshot", "ec2:AttachVolume", "ec2:DetachVolume", "ec2:ModifyVolume", "ec2:DescribeAvailabilityZones", "ec2:DescribeInstances", "ec2:DescribeSnapshots", "ec2:DescribeTags", "ec2:DescribeVolumes"},
	"service-role/AmazonEFSCSIDriverPolicy": {},
	// Functions.
	"service-role/AWSLambdaBasicExecutionRole":              {"logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"},
	"service-role/AWSLambdaSQSQueueExecutionRole":           {"sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"},
	"service-role/AWSLambdaVPCAccessExecutionRole":          {"logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents", "ec2:CreateNetworkInterface", "ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets", "ec2:DeleteNetworkInterface", "ec2:AssignPrivateIpAddresses", "ec2:UnassignPrivateIpAddresses"},
	"service-role/AWSLambdaDynamoDBExecutionRole":           {"dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator", "dynamodb:ListStreams", "logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"},
	"AWSXRayDaemonWriteAccess":                              {"xray:PutTraceSegments", "xray:PutTelemetryRecords", "xray:GetSamplingRules", "xray:GetSamplingTargets", "xray:GetSamplingStatisticSummaries"},
	"CloudWatchLambdaInsightsExecutionRolePolicy":           {"logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"},
	"CloudWatchLambdaApplicationSignalsExecutionRolePolicy": {},
	"service-role/AmazonEC2ContainerServiceforEC2Role":      {"ec2:DescribeTags", "ecs:CreateCluster", "ecs:DeregisterContainerInstance", "ecs:DiscoverPollEndpoint", "ecs:Poll", "ecs:RegisterContainerInstance", "ecs:StartTelemetrySession", "ecs:UpdateContainerInstancesState", "ecs:Submit*", "ecr:GetAuthorizationToken", "ecr:BatchCheckLayerAvailability", "ecr:GetDownloadUrlForLayer", "ecr:BatchGetImage", "logs:CreateLogStream", "logs:PutLogEvents"},
	"service-role/AmazonECSTaskExecutionRolePolicy":         {"ecr:GetAuthorizationToken", "ecr:BatchCheckLayerAvailability", "ecr:GetDownloadUrlForLayer", "ecr:BatchGetImage", "logs:CreateLogStream", "logs:PutLogEvents"},
	// People.
	"AdministratorAccess": {"*"},
	"ReadOnlyAccess":      {"*:Describe*", "*:Get*", "*:List*"},
	// Service-linked roles. What they do is the services' own business here.
	"aws-service-role/AmazonEKSServiceRolePolicy":               {},
	"aws-service-role/AWSServiceRoleForAmazonEKSNodegroup":      {},
	"aws-service-role/AmazonEKSForFargateServiceRolePolicy":     {},
	"aws-service-role/AutoScalingServiceRolePolicy":             {},
	"aws-service-role/AWSEC2SpotServiceRolePolicy":              {},
	"aws-service-role/AWSEC2SpotFleetServiceRolePolicy":         {},
	"aws-service-role/AWSEC2FleetServiceRolePolicy":             {},
	"aws-service-role/AWSElasticLoadBalancingServiceRolePolicy": {},
	"aws-service-role/AmazonECSServiceRolePolicy":               {},
}

// awsManaged are the same as documents, by ARN.
var awsManaged = sync.OnceValue(func() map[string]text {
	out := map[string]text{}
	for name, actions := range awsPolicies {
		arn := awsPrefix + name
		doc := policy.Document{Name: arn, Version: "2012-10-17"}
		written := map[string]any{"Version": "2012-10-17", "Statement": []any{}}
		if len(actions) > 0 {
			doc.Statements = []policy.Statement{{Allow: true, Actions: actions, Resources: []string{"*"}}}
			written["Statement"] = []any{map[string]any{"Effect": "Allow", "Action": actions, "Resource": "*"}}
		}
		raw, err := json.Marshal(written)
		if err != nil {
			panic(err) // strings only
		}
		out[arn] = text{raw: string(raw), doc: doc}
	}
	return out
})

// linkedRole is a service-linked role that CreateServiceLinkedRole can make.
type linkedRole struct{ name, policy string }

var linkedRoles = map[string]linkedRole{
	"eks.amazonaws.com":                  {"AWSServiceRoleForAmazonEKS", "AmazonEKSServiceRolePolicy"},
	"eks-nodegroup.amazonaws.com":        {"AWSServiceRoleForAmazonEKSNodegroup", "AWSServiceRoleForAmazonEKSNodegroup"},
	"eks-fargate.amazonaws.com":          {"AWSServiceRoleForAmazonEKSForFargate", "AmazonEKSForFargateServiceRolePolicy"},
	"autoscaling.amazonaws.com":          {"AWSServiceRoleForAutoScaling", "AutoScalingServiceRolePolicy"},
	"spot.amazonaws.com":                 {"AWSServiceRoleForEC2Spot", "AWSEC2SpotServiceRolePolicy"},
	"spotfleet.amazonaws.com":            {"AWSServiceRoleForEC2SpotFleet", "AWSEC2SpotFleetServiceRolePolicy"},
	"ec2fleet.amazonaws.com":             {"AWSServiceRoleForEC2Fleet", "AWSEC2FleetServiceRolePolicy"},
	"elasticloadbalancing.amazonaws.com": {"AWSServiceRoleForElasticLoadBalancing", "AWSElasticLoadBalancingServiceRolePolicy"},
	"ecs.amazonaws.com":                  {"AWSServiceRoleForECS", "AmazonECSServiceRolePolicy"},
}

func linkedServices() string { return strings.Join(sorted(linkedRoles), ", ") }
