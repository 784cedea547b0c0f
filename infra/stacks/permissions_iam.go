package stacks

import "github.com/ekspedite/ekspedite/infra/constructs"

const (
	byPath  = "A cluster's roles have a path of its own, below one that is ekspedite's alone."
	oneEach = "There may be one for each cluster. The name is the issuer's, which only EKS gives."
)

// rolesOfClusters are all roles that the cluster function makes. Its own are not among them: CloudFormation gives no path.
var rolesOfClusters = []string{iamARN("role/ekspedite/*")}

// attachablePolicies are the managed policies that ekspedite itself gives to roles, or that a well-known name in a spec
// stands for. Others that specs name are a parameter.
var attachablePolicies = []string{
	"AmazonEKSClusterPolicy", "AmazonEKSVPCResourceController", // control plane
	"AmazonEKSComputePolicy", "AmazonEKSBlockStoragePolicy", "AmazonEKSLoadBalancingPolicy", "AmazonEKSNetworkingPolicy", // Auto Mode
	"AmazonEKSLocalOutpostClusterPolicy",
	"AmazonEKSWorkerNodePolicy", "AmazonEKSWorkerNodeMinimalPolicy", "AmazonEKS_CNI_Policy", // nodes
	"AmazonEC2ContainerRegistryPullOnly", "AmazonEC2ContainerRegistryReadOnly", "AmazonEC2ContainerRegistryPowerUser",
	"AmazonSSMManagedInstanceCore", // a shell without SSH
	"AmazonEKSFargatePodExecutionRolePolicy",
	"service-role/AmazonEBSCSIDriverPolicy", "service-role/AmazonEFSCSIDriverPolicy", "CloudWatchAgentServerPolicy", "AWSXRayDaemonWriteAccess",
}

// roleGrants let the roles of clusters be seen, handed to the services that they are for, and taken away; instance profiles
// and OIDC providers be made of, and for, them.
func roleGrants(self string) []constructs.Grant {
	const ofUsers = "Whether what a spec names exists, and whom a given role trusts, is checked before anything is made."
	profiles, providers := []string{iamARN("instance-profile/ekspedite/*")}, []string{iamARN("oidc-provider/oidc.eks.*")}
	return []constructs.Grant{{
		Sid: "SeeRoles",
		Actions: []string{
			"iam:GetRole", "iam:GetUser", "iam:GetPolicy", "iam:GetInstanceProfile", "iam:ListRoles", "iam:ListInstanceProfiles",
			// Of clusters' roles only, but of one that is gone IAM knows no path, and would say that it is forbidden.
			"iam:ListAttachedRolePolicies", "iam:ListRolePolicies", "iam:GetRolePolicy",
		},
		Resources: []string{iamARN("role/*"), iamARN("user/*"), iamARN("policy/*"), "arn:${AWS::Partition}:iam::aws:policy/*", iamARN("instance-profile/*")},
		Wide:      ofUsers,
	}, {
		Sid:       "CountAndList",
		Actions:   []string{"iam:GetAccountSummary", "iam:ListOpenIDConnectProviders"},
		Resources: []string{"*"},
		Wide:      "IAM has no resources to name for these actions.",
	}, {
		Sid:       "AskOneself", // whether all calls of a plan would be allowed
		Actions:   []string{"iam:SimulatePrincipalPolicy"},
		Resources: []string{self},
	}, {
		// Less for a role, and the end of it. What gives more is in roleWriteGrants.
		Sid:       "KeepRoles",
		Actions:   []string{"iam:TagRole", "iam:UpdateAssumeRolePolicy", "iam:DetachRolePolicy", "iam:DeleteRolePolicy", "iam:DeleteRole"},
		Resources: rolesOfClusters,
		Wide:      byPath,
	}, {
		Sid:     "HandRolesToServices",
		Actions: []string{"iam:PassRole"}, Resources: rolesOfClusters, Wide: byPath, When: passedTo,
	}, {
		Sid: "KeepInstanceProfiles",
		Actions: []string{
			"iam:CreateInstanceProfile", "iam:TagInstanceProfile", "iam:AddRoleToInstanceProfile", "iam:RemoveRoleFromInstanceProfile",
			"iam:DeleteInstanceProfile",
		},
		Resources: profiles,
		Wide:      byPath,
	}, {
		Sid:       "CreateProviders",
		Actions:   []string{"iam:CreateOpenIDConnectProvider", "iam:TagOpenIDConnectProvider"},
		Resources: providers,
		Wide:      oneEach,
		When:      asked,
	}, {
		Sid:       "SeeProviders",
		Actions:   []string{"iam:GetOpenIDConnectProvider"},
		Resources: providers,
		Wide:      oneEach,
	}, {
		Sid:       "ChangeProviders",
		Actions:   []string{"iam:AddClientIDToOpenIDConnectProvider", "iam:DeleteOpenIDConnectProvider"},
		Resources: providers,
		Wide:      oneEach,
		When:      ours,
	}, {
		Sid:     "MakeRolesOfServices", // once an account, by whoever makes its first cluster
		Actions: []string{"iam:CreateServiceLinkedRole"},
		Resources: []string{
			iamARN("role/aws-service-role/eks.amazonaws.com/AWSServiceRoleForAmazonEKS"),
			iamARN("role/aws-service-role/eks-nodegroup.amazonaws.com/AWSServiceRoleForAmazonEKSNodegroup"),
			iamARN("role/aws-service-role/eks-fargate.amazonaws.com/AWSServiceRoleForAmazonEKSForFargate"),
			iamARN("role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling"),
			iamARN("role/aws-service-role/spot.amazonaws.com/AWSServiceRoleForEC2Spot"),
		},
		When: conditions{"StringEquals": {"iam:AWSServiceName": []string{
			"eks.amazonaws.com", "eks-nodegroup.amazonaws.com", "eks-fargate.amazonaws.com", "autoscaling.amazonaws.com", "spot.amazonaws.com",
		}}},
	}}
}

// passedTo are the services that clusters' roles are for.
var passedTo = conditions{"StringEquals": {"iam:PassedToService": []string{
	"eks.amazonaws.com", "ec2.amazonaws.com", "eks-fargate-pods.amazonaws.com", "pods.eks.amazonaws.com", "capabilities.eks.amazonaws.com",
}}}

// boundary is the condition that a role has, or gets, the permissions boundary of the parameter.
var boundary = conditions{"ArnEquals": {"iam:PermissionsBoundary": ref(roleBoundary)}}

// roleWriteGrants are what makes roles and gives them permissions: only with the boundary, if there is one.
//
// Specs may have policies of their own written into roles (attachPolicy), so that without a boundary whoever may ask for a
// cluster may make a role that can do anything. With one, the most that such a role can do is what the boundary says.
func roleWriteGrants(when conditions) []constructs.Grant {
	attachable := make([]string, 0, len(attachablePolicies))
	for _, policy := range attachablePolicies {
		attachable = append(attachable, "arn:${AWS::Partition}:iam::aws:policy/"+policy)
	}
	return []constructs.Grant{{
		Sid:       "MakeRoles",
		Actions:   []string{"iam:CreateRole"},
		Resources: rolesOfClusters,
		Wide:      byPath,
		When:      with(asked, when),
	}, {
		Sid:       "AttachPoliciesOfAWS",
		Actions:   []string{"iam:AttachRolePolicy"},
		Resources: rolesOfClusters,
		Wide:      byPath,
		When:      with(conditions{"ArnEquals": {"iam:PolicyARN": attachable}}, when),
	}, {
		Sid:       "WritePolicies",
		Actions:   []string{"iam:PutRolePolicy", "iam:PutRolePermissionsBoundary"},
		Resources: rolesOfClusters,
		Wide:      byPath,
		When:      when,
	}}
}

// attachGiven allows the managed policies that a parameter names.
func attachGiven() constructs.Grant {
	return constructs.Grant{
		Sid:       "AttachPoliciesOfUsers",
		Actions:   []string{"iam:AttachRolePolicy"},
		Resources: rolesOfClusters,
		Wide:      byPath,
		When:      conditions{"ArnLike": {"iam:PolicyARN": items(attachable)}},
	}
}

// passGiven allows the roles that a parameter names: those of users, which specs may name in place of ekspedite's own.
func passGiven() constructs.Grant {
	return constructs.Grant{
		Sid:     "HandRolesOfUsersToServices",
		Actions: []string{"iam:PassRole"}, From: givenRoles, When: passedTo,
	}
}

// keepOffOwnRoles makes sure that nothing above is ever about the roles of ekspedite's own functions and schedules.
func keepOffOwnRoles(roles []string) constructs.Grant {
	return constructs.Grant{
		Sid: "KeepOffOwnRoles", Never: true,
		Actions: []string{
			"iam:AttachRolePolicy", "iam:PutRolePolicy", "iam:UpdateAssumeRolePolicy", "iam:PutRolePermissionsBoundary", "iam:PassRole", "iam:TagRole",
			"iam:DetachRolePolicy", "iam:DeleteRolePolicy", "iam:DeleteRole",
		},
		Resources: roles,
	}
}
