package spec

// notActedOn are eksctl's fields that have no effect here, each with why, and what to do instead. None of them is about
// what a cluster may do or who may reach it: where leaving a field out would be wrong or too open, it is an error.
var notActedOn = map[string]string{
	"metadata.annotations":        "they are notes for people, in eksctl as well",
	"metadata.forceUpdateVersion": "a new cluster has no version to force: it is a matter of upgrades",
	"metadata.rollbackConfig":     "a new cluster has no version to go back to: it is a matter of upgrades",

	"gitops": "Flux wants its own binary and a token for your repository: run `flux bootstrap` when the cluster is there, or use the capability ARGOCD",
	"karpenter": "it is installed by Helm, into the cluster: make its role with iam.podIdentityAssociations and install the chart when the " +
		"cluster is there, or use autoModeConfig",

	"vpc.autoAllocateIPv6":                    "the VPC of an IPv4 cluster gets no IPv6 range: associate one with it, or set kubernetesNetworkConfig.ipFamily to IPv6",
	"kubernetesNetworkConfig.serviceIPv6CIDR": "EKS chooses the range of an IPv6 cluster's services itself: drop it",

	"iam.serviceAccounts.status":                          "it is what eksctl prints, not what it reads: drop it",
	"iam.podIdentityAssociations.permissionPolicyName":    "ekspedite names inline policies itself: drop it",
	"addons.podIdentityAssociations.permissionPolicyName": "ekspedite names inline policies itself: drop it",
	"fargateProfiles.status":                              "it is what eksctl prints, not what it reads: drop it",

	"iamIdentityMappings.account":         "access entries are for a role or a user, never for everybody of an account: name them in accessConfig.accessEntries",
	"iamIdentityMappings.serviceName":     "it makes RBAC objects for an AWS service: run `eksctl create iamidentitymapping` for it when the cluster is there",
	"iamIdentityMappings.namespace":       "it belongs to serviceName, which is not acted on",
	"iamIdentityMappings.noDuplicateARNs": "a principal never has two access entries: drop it",

	"addons.owners":     "it filters what `eksctl utils describe-addon-versions` lists: drop it",
	"addons.publishers": "it filters what `eksctl utils describe-addon-versions` lists: drop it",
	"addons.types":      "it filters what `eksctl utils describe-addon-versions` lists: drop it",

	"managedNodeGroups.iam.withAddonPolicies.appMesh":        appMesh,
	"managedNodeGroups.iam.withAddonPolicies.appMeshPreview": appMesh,
	"nodeGroups.iam.withAddonPolicies.appMesh":               appMesh,
	"nodeGroups.iam.withAddonPolicies.appMeshPreview":        appMesh,
	"managedNodeGroups.placement.spreadLevel":                spread,
	"nodeGroups.placement.spreadLevel":                       spread,
}

const (
	appMesh = "AWS App Mesh ended on 2026-09-30: move to Amazon ECS Service Connect or VPC Lattice"
	spread  = "a placement group has its spread level from when it was made: it cannot be told here"
)
