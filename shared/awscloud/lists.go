package awscloud

import (
	"context"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/iam"

	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

// lister finds all of a kind that is a cluster's, or is near it, without being told names. vpcs are where to look, for
// kinds that are somewhere.
type lister func(ctx context.Context, cluster fleet.ClusterID, vpcs []string) ([]fleet.Resource, error)

// listers are the kinds that are found by listing.
func (r *Region) listers() map[string]lister {
	return map[string]lister{
		"nodegroup": r.listed("nodegroup", r.nodeGroup, r.nodeGroupNames), "fargate": r.listed("fargate", r.fargateProfile, r.fargateNames),
		"addon": r.listed("addon", r.addon, r.addonList), "access": r.listed("access", r.accessEntry, r.principals),
		"identity": r.listed("identity", r.identityProvider, r.identityNames), "capability": r.listed("capability", r.capability, r.capabilityNames),
		"podidentity": r.podIdentities, "role": r.rolesByPath, "profile": r.profilesByPath, "oidc": r.oidcByTag, "loggroup": r.ownLogGroup, "asg": r.scalingGroups,
		"balancer": r.balancers, "classic": r.classicBalancers, "volume": r.volumes, "instance": r.instances, "kubesg": r.strangeGroups, "interface": r.interfaces,
		"vpngateway": r.vpnGateways, "subscription": r.subscriptions, "alarm": r.pendingPods,
	}
}

// Listed reads all of a kind that is a cluster's, or is near it. See observe.Lists.
func (r *Region) Listed(ctx context.Context, cluster fleet.ClusterID, kind string, vpcs []string) ([]fleet.Resource, error) {
	list, ok := r.listers()[kind]
	if !ok {
		return nil, fault.New(fault.Invalid, "nobody knows how to list %s", kind)
	}
	return list(ctx, cluster, vpcs)
}

// listed reads the parts of an EKS cluster one by one, by the names that EKS lists. What has gone since is left out.
func (r *Region) listed(kind string, read reader, names func(ctx context.Context, cluster string) ([]string, error)) lister {
	return func(ctx context.Context, cluster fleet.ClusterID, _ []string) (out []fleet.Resource, err error) {
		list, err := names(ctx, cluster.Name)
		if err != nil {
			return nil, err
		}
		for _, name := range list {
			ref := fleet.Ref{ID: kind + "/" + name, Kind: kind, Name: name}
			have, err := read(ctx, cluster.Name, ref)
			if fault.Is(err, fault.NotFound) {
				continue
			} else if err != nil {
				return nil, err
			}
			have.Ref = ref
			out = append(out, have)
		}
		return out, nil
	}
}

// eachPage collects what the pages of a list have.
func eachPage[Out, Option any](ctx context.Context, api string, pages pager[Out, Option], items func(*Out) []string) (out []string, err error) {
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, classify(api, err)
		}
		out = append(out, items(page)...)
	}
	return out, nil
}

func (r *Region) nodeGroupNames(ctx context.Context, cluster string) ([]string, error) {
	return eachPage(ctx, "eks:ListNodegroups", eks.NewListNodegroupsPaginator(r.eks, &eks.ListNodegroupsInput{ClusterName: &cluster}),
		func(o *eks.ListNodegroupsOutput) []string { return o.Nodegroups })
}

func (r *Region) fargateNames(ctx context.Context, cluster string) ([]string, error) {
	return eachPage(ctx, "eks:ListFargateProfiles", eks.NewListFargateProfilesPaginator(r.eks, &eks.ListFargateProfilesInput{ClusterName: &cluster}),
		func(o *eks.ListFargateProfilesOutput) []string { return o.FargateProfileNames })
}

func (r *Region) addonList(ctx context.Context, cluster string) ([]string, error) {
	return eachPage(ctx, "eks:ListAddons", eks.NewListAddonsPaginator(r.eks, &eks.ListAddonsInput{ClusterName: &cluster}),
		func(o *eks.ListAddonsOutput) []string { return o.Addons })
}

func (r *Region) principals(ctx context.Context, cluster string) ([]string, error) {
	return eachPage(ctx, "eks:ListAccessEntries", eks.NewListAccessEntriesPaginator(r.eks, &eks.ListAccessEntriesInput{ClusterName: &cluster}),
		func(o *eks.ListAccessEntriesOutput) []string { return o.AccessEntries })
}

func (r *Region) identityNames(ctx context.Context, cluster string) ([]string, error) {
	return eachPage(ctx, "eks:ListIdentityProviderConfigs", eks.NewListIdentityProviderConfigsPaginator(r.eks, &eks.ListIdentityProviderConfigsInput{ClusterName: &cluster}),
		func(o *eks.ListIdentityProviderConfigsOutput) (names []string) {
			for _, c := range o.IdentityProviderConfigs {
				names = append(names, deref(c.Name))
			}
			return names
		})
}

func (r *Region) capabilityNames(ctx context.Context, cluster string) ([]string, error) {
	return eachPage(ctx, "eks:ListCapabilities", eks.NewListCapabilitiesPaginator(r.eks, &eks.ListCapabilitiesInput{ClusterName: &cluster}),
		func(o *eks.ListCapabilitiesOutput) (names []string) {
			for _, c := range o.Capabilities {
				names = append(names, deref(c.CapabilityName))
			}
			return names
		})
}

// podIdentities are found by id and known by their service accounts.
func (r *Region) podIdentities(ctx context.Context, cluster fleet.ClusterID, _ []string) (out []fleet.Resource, err error) {
	ids, err := eachPage(ctx, "eks:ListPodIdentityAssociations", eks.NewListPodIdentityAssociationsPaginator(r.eks, &eks.ListPodIdentityAssociationsInput{ClusterName: &cluster.Name}),
		func(o *eks.ListPodIdentityAssociationsOutput) (ids []string) {
			for _, a := range o.Associations {
				ids = append(ids, deref(a.AssociationId))
			}
			return ids
		})
	if err != nil {
		return nil, err
	}
	for _, id := range ids {
		have, err := r.association(ctx, cluster.Name, id)
		if fault.Is(err, fault.NotFound) {
			continue
		} else if err != nil {
			return nil, err
		}
		name := fleet.Text(have.Props, "namespace") + "/" + fleet.Text(have.Props, "serviceAccount")
		have.Ref = fleet.Ref{ID: "podidentity/" + name, Kind: "podidentity", Name: name}
		out = append(out, have)
	}
	return out, nil
}

// byPath is something of IAM's with a name and a path.
func byPath(kind, name, arn string, p fleet.Props) fleet.Resource {
	return fleet.Resource{Ref: fleet.Ref{ID: kind + "/" + name, Kind: kind, Name: name}, Physical: name, ARN: arn, Props: p}
}

// rolesByPath lists roles. What they have is read with each of them.
func (r *Region) rolesByPath(ctx context.Context, cluster fleet.ClusterID, _ []string) (out []fleet.Resource, err error) {
	pages := iam.NewListRolesPaginator(r.iam, &iam.ListRolesInput{PathPrefix: aws.String(fleet.RolePath(cluster))})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, classify("iam:ListRoles", err)
		}
		for _, role := range page.Roles {
			out = append(out, byPath("role", deref(role.RoleName), deref(role.Arn), fleet.Props{}))
		}
	}
	return out, nil
}

func (r *Region) profilesByPath(ctx context.Context, cluster fleet.ClusterID, _ []string) (out []fleet.Resource, err error) {
	pages := iam.NewListInstanceProfilesPaginator(r.iam, &iam.ListInstanceProfilesInput{PathPrefix: aws.String(fleet.RolePath(cluster))})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, classify("iam:ListInstanceProfiles", err)
		}
		for _, profile := range page.InstanceProfiles {
			out = append(out, byPath("profile", deref(profile.InstanceProfileName), deref(profile.Arn), props(profile)))
		}
	}
	return out, nil
}

// oidcByTag finds the OIDC provider of a cluster that is gone, and with it its issuer's name: of the Region's issuers, those
// that carry the cluster's tag.
func (r *Region) oidcByTag(ctx context.Context, cluster fleet.ClusterID, _ []string) (out []fleet.Resource, err error) {
	list, err := r.iam.ListOpenIDConnectProviders(ctx, &iam.ListOpenIDConnectProvidersInput{})
	if err != nil {
		return nil, classify("iam:ListOpenIDConnectProviders", err)
	}
	for _, p := range list.OpenIDConnectProviderList {
		if !strings.Contains(deref(p.Arn), "oidc-provider/oidc.eks."+cluster.Region+".") {
			continue
		}
		have, err := r.provider(ctx, deref(p.Arn))
		if fault.Is(err, fault.NotFound) {
			continue
		} else if err != nil {
			return nil, err
		}
		if have.Tags[fleet.TagCluster] == cluster.Name {
			have.Ref = fleet.Ref{ID: "oidc", Kind: "oidc"}
			out = append(out, have)
		}
	}
	return out, nil
}

// provider reads an OIDC provider by its ARN.
func (r *Region) provider(ctx context.Context, arn string) (fleet.Resource, error) {
	out, err := r.iam.GetOpenIDConnectProvider(ctx, &iam.GetOpenIDConnectProviderInput{OpenIDConnectProviderArn: &arn})
	if err != nil {
		return fleet.Resource{}, classify("iam:GetOpenIDConnectProvider", err)
	}
	p := props(*out)
	have := fleet.Resource{Physical: arn, ARN: arn, Tags: pairs(p, "tags"), Props: p}
	delete(p, "tags")
	return have, nil
}

// ownLogGroup reads the control plane's log group with its tags, which tell whether ekspedite has made it: EKS makes one, too.
func (r *Region) ownLogGroup(ctx context.Context, cluster fleet.ClusterID, _ []string) ([]fleet.Resource, error) {
	ref := fleet.Ref{ID: "loggroup/cluster", Kind: "loggroup", Name: "/aws/eks/" + cluster.Name + "/cluster"}
	have, err := r.logGroup(ctx, cluster.Name, ref)
	if err != nil {
		return nil, fault.Ignore(err, fault.NotFound)
	}
	arn := strings.TrimSuffix(have.ARN, ":*")
	tags, err := r.logs.ListTagsForResource(ctx, &cloudwatchlogs.ListTagsForResourceInput{ResourceArn: &arn})
	if err != nil {
		return nil, fault.Ignore(classify("logs:ListTagsForResource", err), fault.NotFound)
	}
	have.Ref, have.Tags = ref, tags.Tags
	return []fleet.Resource{have}, nil
}

// scalingGroups are the Auto Scaling groups that carry the cluster's tag.
func (r *Region) scalingGroups(ctx context.Context, cluster fleet.ClusterID, _ []string) (out []fleet.Resource, err error) {
	pages := autoscaling.NewDescribeAutoScalingGroupsPaginator(r.scaling, &autoscaling.DescribeAutoScalingGroupsInput{
		Filters: []astypes.Filter{{Name: aws.String("tag:" + fleet.TagCluster), Values: []string{cluster.Name}}},
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, classify("autoscaling:DescribeAutoScalingGroups", err)
		}
		for _, g := range page.AutoScalingGroups {
			p := props(g)
			have := byPath("asg", deref(g.AutoScalingGroupName), fleet.Text(p, "autoScalingGroupARN"), p)
			have.Tags = pairs(p, "tags")
			delete(p, "tags")
			if id := have.Tags[fleet.TagResource]; id != "" {
				have.ID = id
			}
			if deref(g.Status) != "" { // has one only while it is deleted
				have.Status = "DELETING"
			}
			out = append(out, have)
		}
	}
	return out, nil
}
