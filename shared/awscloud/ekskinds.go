package awscloud

import (
	"cmp"
	"context"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/eks/types"

	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

// eksCalls are the operations of EKS that decisions may ask for.
func (r *Region) eksCalls() map[string]operation {
	c := r.eks
	return map[string]operation{
		"eks:CreateCluster":                      op(c.CreateCluster),
		"eks:DeleteCluster":                      op(c.DeleteCluster),
		"eks:UpdateClusterConfig":                op(c.UpdateClusterConfig),
		"eks:UpdateClusterVersion":               op(c.UpdateClusterVersion),
		"eks:UpdateNodegroupVersion":             op(c.UpdateNodegroupVersion),
		"eks:CreateNodegroup":                    op(c.CreateNodegroup),
		"eks:UpdateNodegroupConfig":              op(c.UpdateNodegroupConfig),
		"eks:DeleteNodegroup":                    op(c.DeleteNodegroup),
		"eks:CreateAccessEntry":                  op(c.CreateAccessEntry),
		"eks:UpdateAccessEntry":                  op(c.UpdateAccessEntry),
		"eks:DeleteAccessEntry":                  op(c.DeleteAccessEntry),
		"eks:AssociateAccessPolicy":              op(c.AssociateAccessPolicy),
		"eks:DisassociateAccessPolicy":           op(c.DisassociateAccessPolicy),
		"eks:AssociateEncryptionConfig":          op(c.AssociateEncryptionConfig),
		"eks:AssociateIdentityProviderConfig":    op(c.AssociateIdentityProviderConfig),
		"eks:DisassociateIdentityProviderConfig": op(c.DisassociateIdentityProviderConfig),
		"eks:CreateCapability":                   op(c.CreateCapability),
		"eks:UpdateCapability":                   op(c.UpdateCapability),
		"eks:DeleteCapability":                   op(c.DeleteCapability),
		"eks:TagResource":                        op(c.TagResource),
	}
}

// readersByName are the kinds that are found by their names.
func (r *Region) readersByName() map[string]reader {
	return map[string]reader{
		"givenvpc": r.givenVPC, "givensubnets": r.givenSubnets, "givenroutes": r.givenRoutes, "endpointservices": r.endpointServices,
		"vpngateway": r.vpnGateway,
		"cluster":    r.cluster, "nodegroup": r.groupOfFile, "access": r.accessEntry, "role": r.role,
		"accesspolicies": r.accessPolicies, "identity": r.identityProvider, "capability": r.capability, "loggroup": r.logGroup,
		"subscription": r.subscription, "alarm": r.alarm,
	}
}

// described is a part of EKS as it describes it.
func described(item any, name string) fleet.Resource {
	p := props(item)
	r := fleet.Resource{Physical: name, Status: fleet.Text(p, "status"), Issues: issues(p, "health", "issues"), Props: p}
	r.Tags, _ = p["tags"].(map[string]string)
	delete(p, "tags")
	for k, v := range p {
		if s, ok := v.(string); ok && (strings.EqualFold(k, "arn") || strings.HasSuffix(k, "Arn") && strings.Contains(s, ":eks:")) {
			r.ARN = s
		}
	}
	return r
}

func (r *Region) cluster(ctx context.Context, _ string, ref fleet.Ref) (fleet.Resource, error) {
	out, err := r.eks.DescribeCluster(ctx, &eks.DescribeClusterInput{Name: &ref.Name})
	if err != nil {
		return fleet.Resource{}, classify("eks:DescribeCluster", err)
	}
	have := described(*out.Cluster, ref.Name)
	r.issuers.Store(ref.Name, have)
	r.addons.Store(ref.Name, newAddonNames())
	return have, nil
}

func (r *Region) nodeGroup(ctx context.Context, cluster string, ref fleet.Ref) (fleet.Resource, error) {
	out, err := r.eks.DescribeNodegroup(ctx, &eks.DescribeNodegroupInput{ClusterName: &cluster, NodegroupName: &ref.Name})
	if err != nil {
		return fleet.Resource{}, classify("eks:DescribeNodegroup", err)
	}
	return described(*out.Nodegroup, ref.Name), nil
}

func (r *Region) accessEntry(ctx context.Context, cluster string, ref fleet.Ref) (fleet.Resource, error) {
	out, err := r.eks.DescribeAccessEntry(ctx, &eks.DescribeAccessEntryInput{ClusterName: &cluster, PrincipalArn: &ref.Name})
	if err != nil {
		return fleet.Resource{}, classify("eks:DescribeAccessEntry", err)
	}
	return described(*out.AccessEntry, ref.Name), nil
}

// accessPolicies reads which access policies an entry has.
func (r *Region) accessPolicies(ctx context.Context, cluster string, ref fleet.Ref) (fleet.Resource, error) {
	have := fleet.Resource{Physical: ref.Name, Props: fleet.Props{}}
	var list []any
	pages := eks.NewListAssociatedAccessPoliciesPaginator(r.eks, &eks.ListAssociatedAccessPoliciesInput{ClusterName: &cluster, PrincipalArn: &ref.Name})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return have, classify("eks:ListAssociatedAccessPolicies", err)
		}
		for _, p := range page.AssociatedAccessPolicies {
			list = append(list, props(p))
		}
	}
	have.Props["associatedAccessPolicies"] = list
	return have, nil
}

func (r *Region) identityProvider(ctx context.Context, cluster string, ref fleet.Ref) (fleet.Resource, error) {
	out, err := r.eks.DescribeIdentityProviderConfig(ctx, &eks.DescribeIdentityProviderConfigInput{
		ClusterName: &cluster, IdentityProviderConfig: &types.IdentityProviderConfig{Name: &ref.Name, Type: aws.String("oidc")},
	})
	if err != nil {
		return fleet.Resource{}, classify("eks:DescribeIdentityProviderConfig", err)
	}
	return described(*out.IdentityProviderConfig.Oidc, ref.Name), nil
}

func (r *Region) capability(ctx context.Context, cluster string, ref fleet.Ref) (fleet.Resource, error) {
	out, err := r.eks.DescribeCapability(ctx, &eks.DescribeCapabilityInput{ClusterName: &cluster, CapabilityName: &ref.Name})
	if err != nil {
		return fleet.Resource{}, classify("eks:DescribeCapability", err)
	}
	return described(*out.Capability, ref.Name), nil
}

// Update reads what became of a change. See observe.Resources.
func (r *Region) Update(ctx context.Context, cluster string, ref fleet.Ref, id string) (fleet.Update, error) {
	in := &eks.DescribeUpdateInput{Name: &cluster, UpdateId: &id}
	switch ref.Kind {
	case "nodegroup":
		in.NodegroupName = &ref.Name
	case "addon":
		in.AddonName = &ref.Name
	case "capability":
		in.CapabilityName = &ref.Name
	}
	out, err := r.eks.DescribeUpdate(ctx, in)
	if err := classify("eks:DescribeUpdate", err); fault.Is(err, fault.NotFound) && ref.Kind == "nodegroup" {
		// The update may be of the group that stands for the one that is named.
		g, found, findErr := r.standIn(ctx, cluster, ref.Name)
		if findErr != nil || !found {
			return fleet.Update{}, cmp.Or(findErr, err)
		}
		in.NodegroupName = &g.Physical
		if out, err = r.eks.DescribeUpdate(ctx, in); err != nil {
			return fleet.Update{}, classify("eks:DescribeUpdate", err)
		}
	} else if err != nil {
		return fleet.Update{}, err
	}
	return update(props(*out.Update)), nil
}
