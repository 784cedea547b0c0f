package awscloud

import (
	"context"
	"slices"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/service/eks"

	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

// podCalls are the operations of EKS about what is for a cluster's pods: add-ons, Fargate, pod identity.
func (r *Region) podCalls() map[string]operation {
	c := r.eks
	return map[string]operation{
		"eks:CreateAddon":                  op(c.CreateAddon),
		"eks:UpdateAddon":                  op(c.UpdateAddon),
		"eks:DeleteAddon":                  op(c.DeleteAddon),
		"eks:CreateFargateProfile":         op(c.CreateFargateProfile),
		"eks:DeleteFargateProfile":         op(c.DeleteFargateProfile),
		"eks:CreatePodIdentityAssociation": op(c.CreatePodIdentityAssociation),
		"eks:UpdatePodIdentityAssociation": op(c.UpdatePodIdentityAssociation),
		"eks:DeletePodIdentityAssociation": op(c.DeletePodIdentityAssociation),
	}
}

// podReaders are the kinds of the same.
func (r *Region) podReaders() map[string]reader {
	return map[string]reader{"addon": r.addon, "fargate": r.fargateProfile, "podidentity": r.podIdentity, "oidc": r.oidcProvider}
}

// addonNames are the names of a cluster's add-ons, once somebody has asked.
type addonNames struct {
	asked sync.Once
	known chan struct{} // closed when they are
	names []string
	err   error
}

func newAddonNames() *addonNames { return &addonNames{known: make(chan struct{})} }

// addonAtAGlance tells whether an add-on is there. All add-ons that are glanced at in one look cost one call: the first one
// makes it, the others wait.
func (r *Region) addonAtAGlance(ctx context.Context, cluster, name string) (fleet.Resource, error) {
	v, _ := r.addons.LoadOrStore(cluster, newAddonNames())
	all := v.(*addonNames) //nolint:forcetypeassert // nothing else is stored
	mine := false
	all.asked.Do(func() { mine = true }) // nothing that takes time: who waits here holds a lock
	if mine {
		all.names, all.err = r.addonNames(ctx, cluster)
		close(all.known)
	}
	select {
	case <-all.known:
	case <-ctx.Done():
		return fleet.Resource{}, classify("eks:ListAddons", ctx.Err())
	}
	if all.err == nil && !slices.Contains(all.names, name) {
		return fleet.Resource{}, fault.New(fault.NotFound, "there is no add-on %s", name)
	}
	return fleet.Resource{Physical: name, Props: fleet.Props{}}, all.err
}

func (r *Region) addonNames(ctx context.Context, cluster string) (names []string, err error) {
	pages := eks.NewListAddonsPaginator(r.eks, &eks.ListAddonsInput{ClusterName: &cluster})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, classify("eks:ListAddons", err)
		}
		names = append(names, page.Addons...)
	}
	return names, nil
}

// addon reads an add-on; as a whole, with the roles of its pod identity associations, of which it only has the ARNs.
func (r *Region) addon(ctx context.Context, cluster string, ref fleet.Ref) (fleet.Resource, error) {
	if ref.Glance {
		return r.addonAtAGlance(ctx, cluster, ref.Name)
	}
	out, err := r.eks.DescribeAddon(ctx, &eks.DescribeAddonInput{ClusterName: &cluster, AddonName: &ref.Name})
	if err != nil {
		return fleet.Resource{}, classify("eks:DescribeAddon", err)
	}
	have := described(*out.Addon, ref.Name)
	have.ARN = deref(out.Addon.AddonArn)
	if !ref.Whole {
		return have, nil
	}
	var list []any
	for _, arn := range out.Addon.PodIdentityAssociations {
		p, err := r.association(ctx, cluster, arn[strings.LastIndexByte(arn, '/')+1:])
		if fault.Is(err, fault.NotFound) {
			continue
		} else if err != nil {
			return have, err
		}
		list = append(list, fleet.Props{"serviceAccount": fleet.Text(p.Props, "serviceAccount"), "roleArn": fleet.Text(p.Props, "roleArn")})
	}
	have.Props["podIdentities"] = list
	return have, nil
}

func (r *Region) fargateProfile(ctx context.Context, cluster string, ref fleet.Ref) (fleet.Resource, error) {
	out, err := r.eks.DescribeFargateProfile(ctx, &eks.DescribeFargateProfileInput{ClusterName: &cluster, FargateProfileName: &ref.Name})
	if err != nil {
		return fleet.Resource{}, classify("eks:DescribeFargateProfile", err)
	}
	have := described(*out.FargateProfile, ref.Name)
	have.ARN = deref(out.FargateProfile.FargateProfileArn)
	return have, nil
}

// podIdentity reads the association of a service account, whose name is namespace/name. EKS allows one at most.
func (r *Region) podIdentity(ctx context.Context, cluster string, ref fleet.Ref) (fleet.Resource, error) {
	namespace, account, _ := strings.Cut(ref.Name, "/")
	out, err := r.eks.ListPodIdentityAssociations(ctx, &eks.ListPodIdentityAssociationsInput{
		ClusterName: &cluster, Namespace: &namespace, ServiceAccount: &account,
	})
	if err != nil {
		return fleet.Resource{}, classify("eks:ListPodIdentityAssociations", err)
	}
	if len(out.Associations) == 0 {
		return fleet.Resource{}, fault.New(fault.NotFound, "service account %s has no pod identity association", ref.Name)
	}
	return r.association(ctx, cluster, deref(out.Associations[0].AssociationId))
}

func (r *Region) association(ctx context.Context, cluster, id string) (fleet.Resource, error) {
	out, err := r.eks.DescribePodIdentityAssociation(ctx, &eks.DescribePodIdentityAssociationInput{ClusterName: &cluster, AssociationId: &id})
	if err != nil {
		return fleet.Resource{}, classify("eks:DescribePodIdentityAssociation", err)
	}
	have := described(*out.Association, id)
	have.ARN = deref(out.Association.AssociationArn)
	return have, nil
}

// Addon reads what versions EKS has of an add-on for a version of Kubernetes. See observe.Resources.
func (r *Region) Addon(ctx context.Context, name, kubernetes string) (offer fleet.AddonOffer, err error) {
	pages := eks.NewDescribeAddonVersionsPaginator(r.eks, &eks.DescribeAddonVersionsInput{AddonName: &name, KubernetesVersion: &kubernetes})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err := classify("eks:DescribeAddonVersions", err); fault.Is(err, fault.NotFound) {
			return offer, nil // there is no such add-on
		} else if err != nil {
			return offer, err
		}
		for _, a := range page.Addons {
			for _, v := range a.AddonVersions {
				offer.Versions = append(offer.Versions, deref(v.AddonVersion))
			}
		}
	}
	slices.SortStableFunc(offer.Versions, func(a, b string) int {
		return slices.Compare(fleet.VersionNumbers(b), fleet.VersionNumbers(a))
	})
	return offer, nil
}
