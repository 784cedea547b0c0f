package eks

import (
	"maps"
	"slices"

	"github.com/ekspedite/ekspedite/infra/local/wire"
)

// The IAM actions, resources and condition keys of the Service Authorization Reference. Ids in the ARNs of node groups,
// access entries and add-ons are not known before these exist; there the id is the literal "*", which every pattern that
// ends in * matches.

func (s *Service) clusterARN(name string) string { return s.w.ARN("eks", "cluster/"+name) }

// need is a permission on something that may exist and then has tags.
func (s *Service) need(action, arn string, context map[string][]string) wire.Need {
	s.mu.Lock()
	defer s.mu.Unlock()
	if context == nil {
		context = map[string][]string{}
	}
	if t := s.tagsOf(arn); t != nil {
		for k, v := range *t {
			context["aws:ResourceTag/"+k] = []string{v}
		}
	}
	return wire.Need{Action: "eks:" + action, Resource: arn, Context: context}
}

// requestTags are the condition keys of a request that sets tags.
func requestTags(t tags) map[string][]string {
	out := map[string][]string{}
	if len(t) == 0 {
		return out
	}
	out["aws:TagKeys"] = slices.Sorted(maps.Keys(t))
	for k, v := range t {
		out["aws:RequestTag/"+k] = []string{v}
	}
	return out
}

// create is the permission to create something, plus that to tag it when there are tags.
func (s *Service) create(action, on, created string, t tags, extra map[string][]string) []wire.Need {
	context := requestTags(t)
	maps.Copy(context, extra)
	needs := []wire.Need{s.need(action, on, context)}
	if len(t) > 0 {
		needs = append(needs, s.need("TagResource", created, requestTags(t)))
	}
	return needs
}

// passRole is checked against EKS for both kinds of roles: EKS hands a node role on to EC2 by its own service-linked role.
func passRole(role string) wire.Need {
	return wire.Need{Action: "iam:PassRole", Resource: role, Context: map[string][]string{"iam:PassedToService": {"eks.amazonaws.com"}}}
}

func needCluster(action string, s *Service) func(*wire.Call, *clusterName) []wire.Need {
	return func(_ *wire.Call, in *clusterName) []wire.Need {
		return []wire.Need{s.need(action, s.clusterARN(in.Name), nil)}
	}
}

func (s *Service) needListIn(action string) func(*wire.Call, *listInCluster) []wire.Need {
	return func(_ *wire.Call, in *listInCluster) []wire.Need {
		return []wire.Need{s.need(action, s.clusterARN(in.Name), nil)}
	}
}

func boolText(b bool) string {
	if b {
		return "true"
	}
	return "false"
}

// nodegroupARN is the real one where the group exists.
func (s *Service) nodegroupARN(cluster, name string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.clusters[cluster]; c != nil && c.nodegroups[name] != nil {
		return c.nodegroups[name].arn
	}
	return s.w.ARN("eks", "nodegroup/"+cluster+"/"+name+"/*")
}

func (s *Service) needCreateNodegroup(_ *wire.Call, in *createNodegroupIn) []wire.Need {
	needs := s.create("CreateNodegroup", s.clusterARN(in.ClusterName), s.nodegroupARN(in.ClusterName, in.NodegroupName), in.Tags, nil)
	// EKS looks, with the caller's rights, whether its service-linked role for node groups exists.
	slr := "arn:aws:iam::" + s.w.Account + ":role/aws-service-role/eks-nodegroup.amazonaws.com/AWSServiceRoleForAmazonEKSNodegroup"
	return append(needs, passRole(in.NodeRole), wire.Need{Action: "iam:GetRole", Resource: slr})
}

func (s *Service) needNodegroup(action string) func(*wire.Call, *nodegroupName) []wire.Need {
	return func(_ *wire.Call, in *nodegroupName) []wire.Need {
		return []wire.Need{s.need(action, s.nodegroupARN(in.ClusterName, in.NodegroupName), nil)}
	}
}

func (s *Service) needUpdateNodegroupConfig(_ *wire.Call, in *updateNodegroupConfigIn) []wire.Need {
	return []wire.Need{s.need("UpdateNodegroupConfig", s.nodegroupARN(in.ClusterName, in.NodegroupName), nil)}
}

func (s *Service) needUpdateNodegroupVersion(_ *wire.Call, in *updateNodegroupVersionIn) []wire.Need {
	return []wire.Need{s.need("UpdateNodegroupVersion", s.nodegroupARN(in.ClusterName, in.NodegroupName), nil)}
}

// about are the resources of an update: the cluster, and the node group, add-on or capability where one is named.
func (s *Service) about(action, cluster, nodegroup, addon, capability string) []wire.Need {
	needs := []wire.Need{s.need(action, s.clusterARN(cluster), nil)}
	if nodegroup != "" {
		needs = append(needs, s.need(action, s.nodegroupARN(cluster, nodegroup), nil))
	}
	if addon != "" {
		needs = append(needs, s.need(action, s.addonARN(cluster, addon), nil))
	}
	if capability != "" {
		needs = append(needs, s.need(action, s.capabilityARN(cluster, capability), nil))
	}
	return needs
}

func (s *Service) needDescribeUpdate(_ *wire.Call, in *describeUpdateIn) []wire.Need {
	return s.about("DescribeUpdate", in.Name, in.NodegroupName, in.AddonName, in.Capability)
}

func (s *Service) needListUpdates(_ *wire.Call, in *listUpdatesIn) []wire.Need {
	return s.about("ListUpdates", in.Name, in.NodegroupName, in.AddonName, in.Capability)
}

// entryARN is the real one where the entry exists.
func (s *Service) entryARN(cluster, principal string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.clusters[cluster]; c != nil && c.entries[principal] != nil {
		return c.entries[principal].arn
	}
	return s.w.ARN("eks", "access-entry/"+cluster+"/*")
}

func (s *Service) needCreateEntry(_ *wire.Call, in *createEntryIn) []wire.Need {
	extra := map[string][]string{"eks:principalArn": {in.PrincipalARN}}
	if len(in.KubernetesGroups) > 0 {
		extra["eks:kubernetesGroups"] = in.KubernetesGroups
	}
	if in.Username != "" {
		extra["eks:username"] = []string{in.Username}
	}
	if in.Type != "" {
		extra["eks:accessEntryType"] = []string{in.Type}
	}
	needs := s.create("CreateAccessEntry", s.clusterARN(in.Name), s.entryARN(in.Name, in.PrincipalARN), in.Tags, extra)
	if in.Type == ec2Linux || in.Type == ec2Windows {
		needs = append(needs, passRole(in.PrincipalARN))
	}
	return needs
}

func (s *Service) needEntry(action string) func(*wire.Call, *entryName) []wire.Need {
	return func(_ *wire.Call, in *entryName) []wire.Need {
		return []wire.Need{s.need(action, s.entryARN(in.Name, in.PrincipalARN), nil)}
	}
}

func (s *Service) needUpdateEntry(_ *wire.Call, in *updateEntryIn) []wire.Need {
	extra := map[string][]string{}
	if in.KubernetesGroups != nil {
		extra["eks:kubernetesGroups"] = *in.KubernetesGroups
	}
	if in.Username != "" {
		extra["eks:username"] = []string{in.Username}
	}
	return []wire.Need{s.need("UpdateAccessEntry", s.entryARN(in.Name, in.PrincipalARN), extra)}
}

func (s *Service) needListEntries(_ *wire.Call, in *listEntriesIn) []wire.Need {
	return []wire.Need{s.need("ListAccessEntries", s.clusterARN(in.Name), nil)}
}

func (s *Service) needAssociate(_ *wire.Call, in *associateIn) []wire.Need {
	return []wire.Need{s.need("AssociateAccessPolicy", s.entryARN(in.Name, in.PrincipalARN), map[string][]string{
		"eks:policyArn": {in.PolicyARN}, "eks:accessScope": {in.AccessScope.Type}, "eks:namespaces": in.AccessScope.Namespaces,
	})}
}

func (s *Service) needDisassociate(_ *wire.Call, in *disassociateIn) []wire.Need {
	return []wire.Need{s.need("DisassociateAccessPolicy", s.entryARN(in.Name, in.PrincipalARN), map[string][]string{"eks:policyArn": {in.PolicyARN}})}
}

func (s *Service) needListAssociated(_ *wire.Call, in *listAssociatedIn) []wire.Need {
	return []wire.Need{s.need("ListAssociatedAccessPolicies", s.entryARN(in.Name, in.PrincipalARN), nil)}
}

func (s *Service) needTag(_ *wire.Call, in *tagIn) []wire.Need {
	return []wire.Need{s.need("TagResource", in.ResourceARN, requestTags(in.Tags))}
}

func (s *Service) needUntag(_ *wire.Call, in *untagIn) []wire.Need {
	return []wire.Need{s.need("UntagResource", in.ResourceARN, map[string][]string{"aws:TagKeys": in.TagKeys})}
}

func (s *Service) needListTags(_ *wire.Call, in *listTagsIn) []wire.Need {
	return []wire.Need{s.need("ListTagsForResource", in.ResourceARN, nil)}
}

// addonARN is the real one where the add-on exists.
func (s *Service) addonARN(cluster, name string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.clusters[cluster]; c != nil && c.addons[name] != nil {
		return c.addons[name].arn
	}
	return s.w.ARN("eks", "addon/"+cluster+"/"+name+"/*")
}

func (s *Service) needCreateAddon(_ *wire.Call, in *createAddonIn) []wire.Need {
	needs := s.create("CreateAddon", s.clusterARN(in.ClusterName), s.addonARN(in.ClusterName, in.AddonName), in.Tags, nil)
	if in.ServiceAccountRoleARN != "" {
		needs = append(needs, passRole(in.ServiceAccountRoleARN))
	}
	return append(needs, s.needAddonPods(in.ClusterName, in.PodIdentityAssociations)...)
}

func (s *Service) needAddon(action string) func(*wire.Call, *addonName) []wire.Need {
	return func(_ *wire.Call, in *addonName) []wire.Need {
		return []wire.Need{s.need(action, s.addonARN(in.ClusterName, in.AddonName), nil)}
	}
}

func (s *Service) needUpdateAddon(_ *wire.Call, in *updateAddonIn) []wire.Need {
	needs := []wire.Need{s.need("UpdateAddon", s.addonARN(in.ClusterName, in.AddonName), nil)}
	if in.ServiceAccountRoleARN != "" {
		needs = append(needs, passRole(in.ServiceAccountRoleARN))
	}
	if in.PodIdentityAssociations != nil {
		needs = append(needs, s.needAddonPods(in.ClusterName, *in.PodIdentityAssociations)...)
	}
	return needs
}

func (s *Service) needDeleteAddon(_ *wire.Call, in *deleteAddonIn) []wire.Need {
	return []wire.Need{s.need("DeleteAddon", s.addonARN(in.ClusterName, in.AddonName), nil)}
}
