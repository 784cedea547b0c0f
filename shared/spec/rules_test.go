package spec

import (
	"slices"
	"strings"
	"testing"
)

const (
	arnOf   = "arn:aws:iam::111122223333:"
	outpost = "outpost: {controlPlaneOutpostARN: \"arn:aws:outposts:eu-west-1:111122223333:outpost/op-1\", controlPlaneInstanceType: m5d.large}\n"
	ownVPC  = "vpc: {id: vpc-1, subnets: {private: {eu-west-1a: {id: subnet-1}, eu-west-1b: {id: subnet-2}}}}\n"
	agentIn = "addons: [{name: eks-pod-identity-agent}]\n"
)

func managedGroup(fields string) string { return "managedNodeGroups: [{name: g, " + fields + "}]\n" }
func ownGroup(fields string) string     { return "nodeGroups: [{name: g, " + fields + "}]\n" }

// rules are texts with one thing wrong, the path that is named and what is said.
var rules = []struct{ text, path, says string }{
	// The cluster's names and network.
	{"availabilityZones: [eu-west-1a, eu-west-2b]", "availabilityZones", `"eu-west-2b" is no availability zone of eu-west-1`},
	{"availabilityZones: [eu-west-1a]", "availabilityZones", "needs two zones"},
	{"vpc: {cidr: 10.0.0.0/12}", "vpc.cidr", "between /16 and /24"},
	{"vpc: {cidr: 10.0.0.0/16}\nkubernetesNetworkConfig: {serviceIPv4CIDR: 10.0.128.0/20}", "kubernetesNetworkConfig.serviceIPv4CIDR", "overlaps with vpc.cidr 10.0.0.0/16"},
	{"vpc: {extraCIDRs: [10.100.0.0/16]}\nkubernetesNetworkConfig: {serviceIPv4CIDR: 10.100.0.0/16}", "kubernetesNetworkConfig.serviceIPv4CIDR", "overlaps with vpc.extraCIDRs"},
	{"vpc: {extraCIDRs: [192.168.1.0]}", "vpc.extraCIDRs[0]", "must be an address range"},
	{"kubernetesNetworkConfig: {serviceIPv4CIDR: 10.0.0.0/8}", "kubernetesNetworkConfig.serviceIPv4CIDR", "between /12 and /24"},
	{"kubernetesNetworkConfig: {ipFamily: IPv5}", "kubernetesNetworkConfig.ipFamily", "must be one of IPv4, IPv6"},
	{"kubernetesNetworkConfig: {ipFamily: ipv6}", "kubernetesNetworkConfig.ipFamily", "set iam.withOIDC to true"},
	{"kubernetesNetworkConfig: {ipFamily: IPv6, serviceIPv4CIDR: 10.100.0.0/16}\niam: {withOIDC: true}", "kubernetesNetworkConfig.serviceIPv4CIDR", "drop it"},
	{"kubernetesNetworkConfig: {ipFamily: IPv6}\niam: {withOIDC: true}\nvpc: {nat: {gateway: Single}}", "vpc.nat.gateway", "cannot be chosen with IPv6"},
	{"kubernetesNetworkConfig: {ipFamily: IPv6}\niam: {withOIDC: true}\nvpc: {ipv6Cidr: \"2001:db8::/56\"}", "vpc", "give both or none"},
	{"kubernetesNetworkConfig: {ipFamily: IPv6}\niam: {withOIDC: true}\nvpc: {autoAllocateIPv6: true}", "vpc.autoAllocateIPv6", "has IPv6 anyway"},
	{"kubernetesNetworkConfig: {ipFamily: IPv6}\niam: {withOIDC: true}\naddons: [{name: vpc-cni, version: v1.9.3}]", "addons[0].version", "v1.10.0 or later"},
	{"kubernetesNetworkConfig: {ipFamily: IPv6}\niam: {withOIDC: true}\naddonsConfig: {disableDefaultAddons: true}", "kubernetesNetworkConfig.ipFamily", "needs the add-on coredns"},
	{"vpc: {extraIPv6CIDRs: [\"2001:db8::/48\"]}", "vpc.extraIPv6CIDRs", "is for an IPv6 cluster"},
	{"vpc: {publicAccessCIDRs: [\"2001:db8::/48\"]}", "vpc.publicAccessCIDRs[0]", "only an IPv6 cluster"},
	{"vpc: {publicAccessCIDRs: [" + strings.Repeat("0.0.0.0/0, ", 2) + "]}", "vpc.publicAccessCIDRs[1]", "is there twice"},
	{"vpc: {clusterEndpoints: {publicAccess: false}}", "vpc.clusterEndpoints", "nobody could reach"},
	{"vpc: {controlPlaneEgressMode: CUSTOMER_ROUTE}", "vpc.controlPlaneEgressMode", `did you mean "CUSTOMER_ROUTED"?`},
	{"vpc: {hostnameType: fqdn}", "vpc.hostnameType", "must be one of ip-name, resource-name"},
	{"vpc: {manageSharedNodeSecurityGroupRules: false}", "vpc.manageSharedNodeSecurityGroupRules", "name it in sharedNodeSecurityGroup"},
	{"vpc: {sharedNodeSecurityGroup: sg-1}", "vpc.sharedNodeSecurityGroup", "name it in vpc.id"},
	{"vpc: {controlPlaneSubnetIDs: [subnet-1, subnet-2]}", "vpc.controlPlaneSubnetIDs", "name it in vpc.id"},
	{"vpc: {securityGroup: sg-1, controlPlaneSecurityGroupIDs: [sg-2]}", "vpc.securityGroup", "exclude each other"},
	{"vpc: {controlPlaneOnPrivateSubnets: true, nat: {gateway: Disable}}", "vpc.controlPlaneOnPrivateSubnets", "there are no private subnets"},
	{"vpc: {id: vpc-1}", "vpc.id", "name its subnets"},
	{"vpc: {id: my-vpc, subnets: {public: {eu-west-1a: {id: subnet-1}, eu-west-1b: {id: subnet-2}}}}", "vpc.id", "must be an id like vpc-"},
	{"vpc: {subnets: {public: {eu-west-1a: {id: subnet-1}, eu-west-1b: {id: subnet-2}}}}", "vpc.subnets", "vpc.id"},
	{"vpc: {id: vpc-1, subnets: {public: {a: {id: subnet-1, az: eu-west-1a}, b: {id: subnet-2, az: eu-west-1a}}}}", "vpc.subnets.public", "in two zones at least"},
	{"vpc: {id: vpc-1, subnets: {public: {a: {}, eu-west-1b: {id: subnet-2}}}}", "vpc.subnets.public.a", "says nothing"},
	{"vpc: {id: vpc-1, controlPlaneSubnetIDs: [subnet-1, subnet-2]}\n" + managedGroup("spot: true"), "vpc.id", "name the subnets for nodes"},
	{ownVPC + "availabilityZones: [eu-west-1a, eu-west-1b]", "availabilityZones", "those of vpc.subnets"},
	{ownVPC + managedGroup("instanceType: m5.large"), "managedNodeGroups[0].privateNetworking", "has private ones only"},
	{ownVPC + managedGroup("privateNetworking: true, subnets: [nowhere]"), "managedNodeGroups[0].subnets", "is none of vpc.subnets"},
	{ownVPC + managedGroup("privateNetworking: true, availabilityZones: [eu-west-1c]"), "managedNodeGroups[0].availabilityZones", "none of the cluster's zones: eu-west-1a, eu-west-1b"},
	{ownVPC + "localZones: [eu-west-1-abc-1a]", "localZones", "are for a VPC that is made"},
	{"localZones: [eu-west-1a]", "localZones", "is no Local Zone"},
	{"localZones: [eu-west-1-abc-1a]\nvpc: {nat: {gateway: HighlyAvailable}}", "localZones", "have no NAT gateways"},
	{"privateCluster: {enabled: true}\nvpc: {clusterEndpoints: {publicAccess: true}}", "vpc.clusterEndpoints.publicAccess", "from inside of its VPC only"},
	{"privateCluster: {enabled: true}\n" + managedGroup("spot: true"), "managedNodeGroups[0].privateNetworking", "has no public subnets"},
	{"privateCluster: {enabled: true, skipEndpointCreation: true}", "privateCluster.skipEndpointCreation", "set vpc.id"},
	{"privateCluster: {enabled: true, additionalEndpointServices: [autoscalin]}", "privateCluster.additionalEndpointServices[0]", `did you mean "autoscaling"?`},
	{"privateCluster: {additionalEndpointServices: [logs]}", "privateCluster", "set enabled to true"},
	{"cloudWatch: {clusterLogging: {logRetentionInDays: 30}}", "cloudWatch.clusterLogging.logRetentionInDays", "say which in enableTypes"},
	{"cloudWatch: {clusterLogging: {enableTypes: [api], logRetentionInDays: 31}}", "cloudWatch.clusterLogging.logRetentionInDays", "must be one of 1, 3"},
	{"secretsEncryption: {keyARN: alias/mine}", "secretsEncryption.keyARN", "must be the ARN of a KMS key"},
	{"upgradePolicy: {supportType: standard}", "upgradePolicy.supportType", `must be written "STANDARD"`},
	{"controlPlaneScalingConfig: {tier: tier-xxl}", "controlPlaneScalingConfig.tier", "must be one of standard, tier-xl"},
	{"kubeAPIServerConfig: {eventTTL: 1h30m}", "kubeAPIServerConfig.eventTTL", "like 1h"},
	{"kubeAPIServerConfig: {serviceNodePortRange: {minPort: 32000, maxPort: 30000}}", "kubeAPIServerConfig.serviceNodePortRange.maxPort", "less than minPort"},
	{"kubeSchedulerConfig: {nodeResourcesFit: {scoringStrategy: {resources: [{name: cpu, weight: 200}]}}}", "kubeSchedulerConfig.nodeResourcesFit.scoringStrategy.resources[0].weight", "1 to 100"},

	// Who may come in, and what pods may do.
	{"accessConfig: {authenticationMode: CONFIG_MAP}", "accessConfig.authenticationMode", "use API_AND_CONFIG_MAP or API"},
	{"accessConfig: {accessEntries: [{principalARN: " + arnOf + "user/a, type: EC2_LINUX}]}", "accessConfig.accessEntries[0].principalARN", "have a role"},
	{"accessConfig: {accessEntries: [{principalARN: " + arnOf + "role/a, type: EC2_LINUX, kubernetesGroups: [a]}]}", "accessConfig.accessEntries[0].kubernetesGroups", "exclude each other"},
	{"accessConfig: {accessEntries: [{principalARN: " + arnOf + "role/a}, {principalARN: " + arnOf + "role/a}]}", "accessConfig.accessEntries[1].principalARN", "is there twice"},
	{"accessConfig: {accessEntries: [{principalARN: " + arnOf + "role/a, accessPolicies: [{policyARN: " + arnOf + "policy/a, accessScope: {type: cluster}}]}]}", "accessConfig.accessEntries[0].accessPolicies[0].policyARN", "an EKS access policy"},
	{"accessConfig: {accessEntries: [{principalARN: " + arnOf + "role/a, accessPolicies: [{policyARN: \"arn:aws:eks::aws:cluster-access-policy/A\", accessScope: {type: namespace}}]}]}", "accessConfig.accessEntries[0].accessPolicies[0].accessScope", "names no namespaces"},
	{"accessConfig: {accessEntries: [{principalARN: " + arnOf + "role/a, kubernetesUsername: \"system:node:a\"}]}", "accessConfig.accessEntries[0].kubernetesUsername", "are reserved"},
	{"iamIdentityMappings: [{arn: " + arnOf + "role/a, groups: [\"system:basic-user\"]}]", "iamIdentityMappings[0].groups", "takes no groups that begin with system:"},
	{"iamIdentityMappings: [{serviceName: emr}]", "iamIdentityMappings[0]", "belong together"},
	{"iamIdentityMappings: [{account: \"1\", username: a}]", "iamIdentityMappings[0]", "stands alone"},
	{"identityProviders: [{type: oidc, name: a, clientID: b, issuerURL: http://c}]", "identityProviders[0].issuerURL", "https://"},
	{"identityProviders: [{type: saml, name: a, clientID: b, issuerURL: https://c}]", "identityProviders[0].type", "must be one of oidc"},
	{"identityProviders: [{type: oidc, name: a, clientID: b, issuerURL: https://c}, {type: oidc, name: b, clientID: b, issuerURL: https://c}]", "identityProviders", "EKS takes one"},
	{"iam: {serviceAccounts: [{metadata: {name: a}, wellKnownPolicies: {autoScaler: true}}]}", "iam.serviceAccounts", "set iam.withOIDC to true"},
	{"iam: {withOIDC: true, serviceAccounts: [{metadata: {name: a}}]}", "iam.serviceAccounts[0]", "grants nothing"},
	{"iam: {withOIDC: true, serviceAccounts: [{metadata: {name: A}, attachRoleARN: " + arnOf + "role/a}]}", "iam.serviceAccounts[0].metadata.name", "small letters"},
	{"iam: {withOIDC: true, serviceAccounts: [{metadata: {name: a}, attachRoleARN: " + arnOf + "role/a, attachPolicyARNs: [" + arnOf + "policy/a]}]}", "iam.serviceAccounts[0].attachPolicyARNs", "exclude each other"},
	{"iam: {withOIDC: true, serviceAccounts: [{metadata: {name: a}, attachPolicy: {Version: \"2012-10-17\"}}]}", "iam.serviceAccounts[0].attachPolicy", "needs Version and Statement"},
	{"iam: {withOIDC: true, serviceAccounts: [{metadata: {name: a}, attachPolicy: {Statement: [{Effect: allow, Action: a, Resource: b}]}}]}", "iam.serviceAccounts[0].attachPolicy", "must be Allow or Deny"},
	{"iam: {podIdentityAssociations: [{namespace: a, serviceAccountName: b, roleARN: " + arnOf + "role/a}]}", "iam.podIdentityAssociations", "add eks-pod-identity-agent to addons"},
	{agentIn + "iam: {podIdentityAssociations: [{serviceAccountName: b, roleARN: " + arnOf + "role/a}]}", "iam.podIdentityAssociations[0].namespace", "is missing"},
	{agentIn + "iam: {podIdentityAssociations: [{namespace: a, serviceAccountName: b, roleARN: " + arnOf + "role/a, policy: '{}'}]}", "iam.podIdentityAssociations[0].policy", "set disableSessionTags to true"},
	{agentIn + "iam: {podIdentityAssociations: [{namespace: a, serviceAccountName: b, roleARN: " + arnOf + "role/a, roleName: c}]}", "iam.podIdentityAssociations[0].roleName", "exclude each other"},

	// Add-ons and what else runs pods.
	{"addons: [{name: a, attachPolicyARNs: [" + arnOf + "policy/a]}]", "addons[0]", "set iam.withOIDC to true"},
	{"iam: {withOIDC: true}\naddons: [{name: a, attachPolicyARNs: [" + arnOf + "policy/a], wellKnownPolicies: {autoScaler: true}}]", "addons[0].wellKnownPolicies", "exclude each other"},
	{"addons: [{name: a}, {name: A}]", "addons[1].name", "is there twice"},
	{"addons: [{name: a, version: newest}]", "addons[0].version", "or latest"},
	{"addons: [{name: a, configurationValues: just text}]", "addons[0].configurationValues", "JSON or YAML"},
	{"addons: [{name: a, resolveConflicts: IGNORE}]", "addons[0].resolveConflicts", "must be one of NONE"},
	{"addons: [{name: a, useDefaultPodIdentityAssociations: true}]", "addons[0]", "without the agent"},
	{"addonsConfig: {autoApplyPodIdentityAssociations: true}", "addonsConfig.autoApplyPodIdentityAssociations", "without the agent"},
	{"addonsConfig: {disableDefaultAddons: true}\n" + managedGroup("spot: true"), "addonsConfig.disableDefaultAddons", "add vpc-cni"},
	{"autoModeConfig: {nodePools: [system]}", "autoModeConfig.nodePools", "set autoModeConfig.enabled to true"},
	{"autoModeConfig: {enabled: true, nodePools: [], nodeRoleARN: " + arnOf + "role/a}", "autoModeConfig.nodeRoleARN", "there are none"},
	{"autoModeConfig: {enabled: true, nodePools: [general]}", "autoModeConfig.nodePools[0]", "must be one of general-purpose, system"},
	{"autoModeConfig: {enabled: true}\n" + managedGroup("spot: true"), "autoModeConfig", "add vpc-cni"},
	{"fargateProfiles: [{name: a}]", "fargateProfiles[0].selectors", "is missing"},
	{"fargateProfiles: [{name: eks-a, selectors: [{namespace: a}]}]", "fargateProfiles[0].name", "AWS's own"},
	{"fargateProfiles: [{name: a, selectors: [" + strings.Repeat("{namespace: a}, ", 6) + "]}]", "fargateProfiles[0].selectors", "5 at most"},
	{"vpc: {nat: {gateway: Disable}}\nfargateProfiles: [{name: a, selectors: [{namespace: a}]}]", "fargateProfiles", "private subnets"},
	{"capabilities: [{name: a, type: ACK}, {name: b, type: ACK}]", "capabilities[1].type", "one capability ACK"},
	{"capabilities: [{name: a, type: ARGOCD}]", "capabilities[0].configuration.argocd.awsIdc.idcInstanceArn", "is missing"},
	{"capabilities: [{name: a, type: KRO, deletePropagationPolicy: DELETE}]", "capabilities[0].deletePropagationPolicy", "must be one of RETAIN"},
	{"remoteNetworkConfig: {remoteNodeNetworks: [{cidrs: [192.168.5.0/24]}]}", "remoteNetworkConfig.remoteNodeNetworks[0].cidrs", "overlaps with vpc.cidr"},
	{"remoteNetworkConfig: {remoteNodeNetworks: [{cidrs: [8.8.8.0/24]}]}", "remoteNetworkConfig.remoteNodeNetworks[0].cidrs", "must be a private range"},
	{"remoteNetworkConfig: {iam: {provider: ira}, remoteNodeNetworks: [{cidrs: [10.5.0.0/16]}]}", "remoteNetworkConfig.iam.caBundleCert", "is missing"},
	{"remoteNetworkConfig: {vpcGatewayID: igw-1, remoteNodeNetworks: [{cidrs: [10.5.0.0/16]}]}", "remoteNetworkConfig.vpcGatewayID", "must be an id like tgw-"},

	// Outposts.
	{outpost + agentIn, "addons", "takes none"},
	{outpost + managedGroup("instanceType: m5d.large"), "managedNodeGroups", "self-managed nodes only"},
	{outpost + "iam: {withOIDC: true}", "iam.withOIDC", "no OIDC issuer"},
	{outpost + "accessConfig: {authenticationMode: API}", "accessConfig.authenticationMode", "outpost.etcdInstanceType"},
	{outpost + "vpc: {clusterEndpoints: {publicAccess: true}}", "vpc.clusterEndpoints.publicAccess", "from inside of its VPC only"},
	{outpost + ownGroup("instanceType: m5d.large, outpostARN: \"arn:aws:outposts:eu-west-1:111122223333:outpost/op-2\""), "nodeGroups[0].outpostARN", "is another Outpost"},
	{outpost + ownGroup("instanceType: m5d.large, volumeType: gp3"), "nodeGroups[0].volumeType", "has gp2 only"},
	{outpost + ownGroup("availabilityZones: [eu-west-1a]"), "nodeGroups[0].availabilityZones", "its zone is the Outpost's"},
	{managedGroup("outpostARN: \"arn:aws:outposts:eu-west-1:111122223333:outpost/op-2\""), "managedNodeGroups[0].outpostARN", "move the group to nodeGroups"},

	// Node groups.
	{managedGroup("availabilityZones: [eu-west-1a]"), "managedNodeGroups[0].availabilityZones", "name the cluster's zones"},
	{managedGroup("availabilityZones: [eu-west-1-abc-1a]"), "managedNodeGroups[0].availabilityZones", "is a Local Zone"},
	{managedGroup("localZones: [eu-west-1-abc-1a]"), "managedNodeGroups[0].localZones", "move the group to nodeGroups"},
	{managedGroup("instanceType: m5.large, instanceSelector: {vCPUs: 2}"), "managedNodeGroups[0].instanceType", "exclude each other"},
	{managedGroup("instanceSelector: {memory: much}"), "managedNodeGroups[0].instanceSelector.memory", "like 4, 4GiB"},
	{managedGroup("instanceSelector: {allow: \"m[5\"}"), "managedNodeGroups[0].instanceSelector.allow", "regular expression"},
	{managedGroup("instanceTypes: [m5.large, m7g.large]"), "managedNodeGroups[0].instanceTypes", "make two node groups"},
	{managedGroup("amiFamily: WindowsServer2022CoreContainer, instanceType: m7g.large"), "managedNodeGroups[0].amiFamily", "has no image for arm64 machines"},
	{managedGroup("amiFamily: Ubuntu2404, instanceType: trn1.2xlarge"), "managedNodeGroups[0].amiFamily", "has no drivers"},
	{managedGroup("amiFamily: AmazonLinux2"), "managedNodeGroups[0].amiFamily", "use AmazonLinux2023"},
	{managedGroup("amiFamily: Botlerocket"), "managedNodeGroups[0].amiFamily", `did you mean "Bottlerocket"?`},
	{managedGroup("ami: ami-1"), "managedNodeGroups[0].amiFamily", "is missing"},
	{managedGroup("ami: ami-1, amiFamily: Ubuntu2404"), "managedNodeGroups[0].overrideBootstrapCommand", "is missing"},
	{managedGroup("ami: ami-1, amiFamily: AmazonLinux2023, releaseVersion: 1.2"), "managedNodeGroups[0].releaseVersion", "drop it"},
	{managedGroup("launchTemplate: {id: lt-1}, volumeSize: 10"), "managedNodeGroups[0].volumeSize", "launchTemplate exclude each other"},
	{managedGroup("launchTemplate: {id: lt-1}, ssh: {allow: true}"), "managedNodeGroups[0].ssh", "launchTemplate exclude each other"},
	{managedGroup("launchTemplate: {id: lt-1, version: $Latest}"), "managedNodeGroups[0].launchTemplate.version", "whole number"},
	{managedGroup("spot: true, capacityReservation: {capacityReservationTarget: {capacityReservationID: cr-1}}, instanceMarketOptions: {marketType: capacity-block}"), "managedNodeGroups[0].spot", "exclude each other"},
	{managedGroup("instanceMarketOptions: {marketType: capacity-block}"), "managedNodeGroups[0].instanceMarketOptions.marketType", "capacityReservationTarget"},
	{managedGroup("volumeType: gp2, volumeIOPS: 4000"), "managedNodeGroups[0].volumeIOPS", "cannot be chosen for gp2"},
	{managedGroup("volumeIOPS: 100"), "managedNodeGroups[0].volumeIOPS", "3000 or more"},
	{managedGroup("volumeKmsKeyID: a"), "managedNodeGroups[0].volumeKmsKeyID", "set volumeEncrypted to true"},
	{managedGroup("ssh: {allow: true}"), "managedNodeGroups[0].ssh.allow", "there is no key"},
	{managedGroup("ssh: {publicKeyPath: ~/a}"), "managedNodeGroups[0].ssh.publicKeyPath", "into publicKey"},
	{managedGroup("ssh: {publicKeyName: a, publicKey: ssh-rsa A}"), "managedNodeGroups[0].ssh", "several keys"},
	{managedGroup("ssh: {enableSsm: false}"), "managedNodeGroups[0].ssh.enableSsm", "drop it"},
	{managedGroup("disablePodIMDS: true, iam: {withAddonPolicies: {ebs: true}}"), "managedNodeGroups[0].disablePodIMDS", "exclude each other"},
	{managedGroup("iam: {instanceRoleARN: " + arnOf + "role/a, attachPolicyARNs: [" + arnOf + "policy/a]}"), "managedNodeGroups[0].iam.attachPolicyARNs", "exclude each other"},
	{managedGroup("iam: {withAddonPolicies: {albIngress: true, awsLoadBalancerController: true}}"), "managedNodeGroups[0].iam.withAddonPolicies.albIngress", "old name"},
	{managedGroup("updateConfig: {maxUnavailable: 1, maxUnavailablePercentage: 10}"), "managedNodeGroups[0].updateConfig.maxUnavailablePercentage", "exclude each other"},
	{managedGroup("updateConfig: {maxUnavailable: 5}, maxSize: 3"), "managedNodeGroups[0].updateConfig.maxUnavailable", "more than maxSize 3"},
	{managedGroup("maxSize: 451"), "managedNodeGroups[0].maxSize", "450"},
	{managedGroup("nodeRepairConfig: {maxUnhealthyNodeThresholdCount: 1, maxUnhealthyNodeThresholdPercentage: 10}"), "managedNodeGroups[0].nodeRepairConfig.maxUnhealthyNodeThresholdPercentage", "exclude each other"},
	{managedGroup("nodeRepairConfig: {nodeRepairConfigOverrides: [{nodeMonitoringCondition: a, nodeUnhealthyReason: b, minRepairWaitTimeMins: 5, repairAction: Terminate}]}"), "managedNodeGroups[0].nodeRepairConfig.nodeRepairConfigOverrides[0].repairAction", "calls it Replace"},
	{managedGroup("labels: {node.kubernetes.io/a: b}"), "managedNodeGroups[0].labels", "does not take labels of"},
	{managedGroup("labels: {\"a b\": c}"), "managedNodeGroups[0].labels", "is no Kubernetes label"},
	{managedGroup("taints: [{key: a, effect: NoSchedule}, {key: a, value: b, effect: NoSchedule}]"), "managedNodeGroups[0].taints[1]", "already"},
	{managedGroup("privateNetworking: true") + "vpc: {nat: {gateway: Disable}}", "managedNodeGroups[0].privateNetworking", "need a way out"},
	{managedGroup("efaEnabled: true, availabilityZones: [eu-west-1a, eu-west-1b]"), "managedNodeGroups[0].efaEnabled", "within one zone"},
	{managedGroup("kubeletExtraConfig: {a: b}"), "managedNodeGroups[0].kubeletExtraConfig", "is for nodeGroups"},
	{managedGroup("spot: true") + ownGroup("minSize: 1"), "nodeGroups[0].name", "is there twice"},
	{managedGroup("bottlerocket: {settings: {a: b}}"), "managedNodeGroups[0].bottlerocket", "amiFamily Bottlerocket"},
	{ownGroup("amiFamily: Bottlerocket, bottlerocket: {settings: {kubernetes: {max-pods: 5}}}"), "nodeGroups[0].bottlerocket.settings.kubernetes.max-pods", "maxPodsPerNode"},
	{ownGroup("amiFamily: Bottlerocket, preBootstrapCommands: [ls]"), "nodeGroups[0].preBootstrapCommands", "bottlerocket.settings"},
	{ownGroup("labels: {kubernetes.io/role: a}"), "nodeGroups[0].labels", "may not give itself"},
	{ownGroup("instanceType: m5.large, instancesDistribution: {instanceTypes: [m5.large]}"), "nodeGroups[0].instanceType", "exclude each other"},
	{ownGroup("instancesDistribution: {maxPrice: cheap, instanceTypes: [m5.large]}"), "nodeGroups[0].instancesDistribution.maxPrice", "USD an hour"},
	{ownGroup("instancesDistribution: {instanceTypes: [m5.large], spotAllocationStrategy: capacity-optimized, spotInstancePools: 2}"), "nodeGroups[0].instancesDistribution.spotInstancePools", "lowest-price"},
	{ownGroup("instancesDistribution: {onDemandBaseCapacity: 1}"), "nodeGroups[0].instancesDistribution.instanceTypes", "is missing"},
	{ownGroup("kubeletExtraConfig: {clusterDomain: a}"), "nodeGroups[0].kubeletExtraConfig.clusterDomain", "could not join"},
	{ownGroup("containerRuntime: dockerd"), "nodeGroups[0].containerRuntime", "only containerd"},
	{ownGroup("cpuCredits: unlimited"), "nodeGroups[0].cpuCredits", "like t3.large"},
	{ownGroup("maxInstanceLifetime: 3600"), "nodeGroups[0].maxInstanceLifetime", "86400 or more"},
	{ownGroup("asgSuspendProcesses: [Lunch]"), "nodeGroups[0].asgSuspendProcesses[0]", `did you mean "Launch"?`},
	{ownGroup("asgMetricsCollection: [{metrics: [GroupMinSize]}]"), "nodeGroups[0].asgMetricsCollection[0].granularity", "is missing"},
	{ownGroup("localZones: [eu-west-1-abc-1a]"), "nodeGroups[0].localZones", "add it to localZones"},
	{ownGroup("clusterDNS: dns.example.com"), "nodeGroups[0].clusterDNS", "IP address"},
	{ownGroup("spot: true"), "nodeGroups[0].spot", "use instancesDistribution"},
	{ownGroup("targetGroupARNs: [web]"), "nodeGroups[0].targetGroupARNs", "a target group"},
	{ownGroup("ami: static, amiFamily: AmazonLinux2023"), "nodeGroups[0].ami", "drop it"},
}

func TestRules(t *testing.T) {
	for _, c := range rules {
		_, report := Parse([]byte(minimal + c.text + "\n"))
		if !slices.ContainsFunc(report.Errors, func(p Problem) bool { return p.Path == c.path && strings.Contains(p.Message, c.says) }) {
			t.Errorf("%s\nwant an error at %s: %s\n%s", c.text, c.path, c.says, report)
		}
		if len(report.Errors) > 3 {
			t.Errorf("one mistake, %d errors: %s\n%s", len(report.Errors), c.text, report)
		}
	}
}

// TestRight: what looks as if a rule forbade it, and is right.
func TestRight(t *testing.T) {
	for _, text := range []string{
		ownVPC + managedGroup("privateNetworking: true, subnets: [eu-west-1a, subnet-2, subnet-3]"),
		managedGroup("labels: {example.com/a: b}, instanceType: m5.large, ssh: {allow: false, publicKeyPath: ~/a}"),
		ownGroup("labels: {node.kubernetes.io/a: b}, desiredCapacity: 0"),
		ownGroup("ami: auto-ssm, instanceType: mixed, instancesDistribution: {instanceTypes: [g5.xlarge]}"),
		"autoModeConfig: {enabled: false}\nvpc: {autoAllocateIPv6: false, manageSharedNodeSecurityGroupRules: true}",
		"autoModeConfig: {enabled: true}\niam: {podIdentityAssociations: [{namespace: a, serviceAccountName: b, roleARN: " + arnOf + "role/a}]}",
		"autoModeConfig: {enabled: true}\naddons: [{name: vpc-cni}]\n" + managedGroup("spot: true"),
		"addons: [{name: VPC-CNI, resolveConflicts: overwrite}]\nremoteNetworkConfig: {iam: {provider: SSM}, remoteNodeNetworks: [{cidrs: [10.1.0.0/16, 10.2.0.0/16]}]}",
		"cloudWatch: {clusterLogging: {enableTypes: [all]}}\nkubernetesNetworkConfig: {ipFamily: ipv4}",
		managedGroup("availabilityZones: [eu-west-1b, eu-west-1c]"),
		"vpc: {id: vpc-1, controlPlaneSubnetIDs: [subnet-1, subnet-2]}\nautoModeConfig: {enabled: true}",
		"vpc: {id: vpc-1, cidr: 10.0.0.0/16, extraCIDRs: [10.0.1.0/24], subnets: {public: {a: {id: subnet-1, cidr: 100.64.0.0/24}, b: {id: subnet-2}}}}",
	} {
		if _, report := Parse([]byte(minimal + text + "\n")); len(report.Errors) > 0 {
			t.Errorf("%s\n%s", text, report)
		}
	}
	if _, report := Parse([]byte(minimal + managedGroup("instanceType: n5.large"))); len(report.Errors) > 0 || !strings.Contains(report.String(), "no family of instance types") {
		t.Error(report)
	}
	if _, report := Parse([]byte(strings.Replace(minimal, "eu-west-1}", "eu-west-1, version: \"1.32\"}", 1) + managedGroup("amiFamily: amazonlinux2"))); len(report.Errors) > 0 {
		t.Error(report)
	}
}
