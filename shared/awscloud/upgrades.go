package awscloud

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	ekstypes "github.com/aws/aws-sdk-go-v2/service/eks/types"

	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

// Upgrades reads what upgrades of a Region's clusters depend on: versions of what there is, and of what there could be.
// What it reads is read anew each time, but for images, which do not change.
type Upgrades struct {
	region *Region
	asg    *autoscaling.Client

	mu     sync.Mutex
	images map[string]fleet.NodeImage // by id
}

// NewUpgrades makes an Upgrades of a configuration's Region.
func NewUpgrades(cfg Config) *Upgrades {
	return &Upgrades{region: NewRegion(cfg), asg: autoscaling.NewFromConfig(cfg), images: map[string]fleet.NodeImage{}}
}

// Cluster reads a cluster as EKS describes it. An unknown one is fault.NotFound.
func (u *Upgrades) Cluster(ctx context.Context, cluster string) (fleet.Resource, error) {
	return u.region.Read(ctx, cluster, fleet.Ref{ID: "cluster", Kind: "cluster", Name: cluster})
}

// Addons reads a cluster's add-ons, in the order of their names.
func (u *Upgrades) Addons(ctx context.Context, cluster string) ([]fleet.Resource, error) {
	return u.parts(ctx, cluster, "addon", u.region.addonList)
}

// NodeGroups reads the node groups that EKS manages, in the order of their names.
func (u *Upgrades) NodeGroups(ctx context.Context, cluster string) ([]fleet.Resource, error) {
	return u.parts(ctx, cluster, "nodegroup", u.region.nodeGroupNames)
}

// parts reads parts of a cluster by the names that EKS lists, some at once. What has gone since is left out.
func (u *Upgrades) parts(ctx context.Context, cluster, kind string, names func(context.Context, string) ([]string, error)) ([]fleet.Resource, error) {
	list, err := names(ctx, cluster)
	if err != nil {
		return nil, err
	}
	slices.Sort(list)
	found, errs := make([]fleet.Resource, len(list)), make([]error, len(list))
	someAtOnce(len(list), func(i int) {
		found[i], errs[i] = u.region.Read(ctx, cluster, fleet.Ref{ID: kind + "/" + list[i], Kind: kind, Name: list[i]})
	})
	var out []fleet.Resource
	for i := range list {
		if err := fault.Ignore(errs[i], fault.NotFound); err != nil {
			return nil, err
		}
		if errs[i] == nil {
			out = append(out, found[i])
		}
	}
	return out, nil
}

// someAtOnce does something n times, as many at once as EKS's reads bear.
func someAtOnce(n int, do func(i int)) {
	slots := make(chan struct{}, describing)
	var wg sync.WaitGroup
	for i := range n {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			do(i)
		})
	}
	wg.Wait()
}

// ScalingGroups reads the Auto Scaling groups whose machines are a cluster's nodes, those of EKS's node groups among them,
// which have the tag fleet.TagEKSNodegroup. What is being deleted is left out.
func (u *Upgrades) ScalingGroups(ctx context.Context, cluster string) ([]fleet.Resource, error) {
	pages := autoscaling.NewDescribeAutoScalingGroupsPaginator(u.asg, &autoscaling.DescribeAutoScalingGroupsInput{
		Filters: []astypes.Filter{{Name: aws.String("tag:" + clusterTag(cluster)), Values: []string{"owned"}}},
	})
	groups, err := everything(ctx, "autoscaling:DescribeAutoScalingGroups", pages,
		func(o *autoscaling.DescribeAutoScalingGroupsOutput) []astypes.AutoScalingGroup {
			return o.AutoScalingGroups
		})
	if err != nil {
		return nil, err
	}
	var out []fleet.Resource
	for _, g := range groups {
		if deref(g.Status) != "" {
			continue
		}
		p := props(g)
		have := byPath("asg", deref(g.AutoScalingGroupName), deref(g.AutoScalingGroupARN), p)
		have.Tags = pairs(p, "tags")
		delete(p, "tags")
		out = append(out, have)
	}
	slices.SortFunc(out, func(a, b fleet.Resource) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

// LaunchTemplates reads the numbers of launch templates' versions, by the templates' ids: {"defaultVersionNumber": 1,
// "latestVersionNumber": 3}. Those that do not exist are not there.
func (u *Upgrades) LaunchTemplates(ctx context.Context, ids []string) (map[string]fleet.Props, error) {
	out := map[string]fleet.Props{}
	for some := range slices.Chunk(ids, atOnce) {
		found, err := everything(ctx, "ec2:DescribeLaunchTemplates", ec2.NewDescribeLaunchTemplatesPaginator(u.region.ec2, &ec2.DescribeLaunchTemplatesInput{
			LaunchTemplateIds: some,
		}), func(o *ec2.DescribeLaunchTemplatesOutput) []ec2types.LaunchTemplate { return o.LaunchTemplates })
		if fault.Is(err, fault.NotFound) { // one is gone, and EC2 says nothing of the others
			if len(some) == 1 {
				continue
			}
			for _, id := range some {
				one, err := u.LaunchTemplates(ctx, []string{id})
				if err != nil {
					return nil, err
				}
				maps.Copy(out, one)
			}
			continue
		}
		if err != nil {
			return nil, err
		}
		for _, t := range found {
			out[deref(t.LaunchTemplateId)] = props(t)
		}
	}
	return out, nil
}

// LaunchTemplate reads a version of a launch template, by number, "$Default" or "$Latest". An unknown one is fault.NotFound.
func (u *Upgrades) LaunchTemplate(ctx context.Context, id, version string) (fleet.Props, error) {
	out, err := u.region.ec2.DescribeLaunchTemplateVersions(ctx, &ec2.DescribeLaunchTemplateVersionsInput{
		LaunchTemplateId: &id, Versions: []string{cmp.Or(version, "$Default")},
	})
	if err != nil {
		return nil, classify("ec2:DescribeLaunchTemplateVersions", err)
	}
	return first(out.LaunchTemplateVersions, nil, "version "+version+" of launch template "+id)
}

// Changes lists the ids of the updates of a cluster, or of a node group or an add-on of it: kind is "cluster", "nodegroup" or
// "addon". They come in no order, and EKS keeps those that are over.
func (u *Upgrades) Changes(ctx context.Context, cluster, kind, name string) ([]string, error) {
	in := &eks.ListUpdatesInput{Name: &cluster, MaxResults: aws.Int32(maxResults)}
	switch kind {
	case "nodegroup":
		in.NodegroupName = &name
	case "addon":
		in.AddonName = &name
	}
	return eachPage(ctx, "eks:ListUpdates", eks.NewListUpdatesPaginator(u.region.eks, in), func(o *eks.ListUpdatesOutput) []string { return o.UpdateIds })
}

// maxResults is the most that a page of EKS's has.
const maxResults = 100

// Change reads one of Changes, with what it changes and since when.
func (u *Upgrades) Change(ctx context.Context, cluster, kind, name, id string) (fleet.Update, error) {
	in := &eks.DescribeUpdateInput{Name: &cluster, UpdateId: &id}
	switch kind {
	case "nodegroup":
		in.NodegroupName = &name
	case "addon":
		in.AddonName = &name
	}
	out, err := u.region.eks.DescribeUpdate(ctx, in)
	if err != nil {
		return fleet.Update{}, classify("eks:DescribeUpdate", err)
	}
	f := update(props(*out.Update))
	f.Created, f.Params = deref(out.Update.CreatedAt), map[string]string{}
	for _, p := range out.Update.Params {
		f.Params[string(p.Type)] = deref(p.Value)
	}
	return f, nil
}

// Versions reads the versions of Kubernetes that EKS knows, oldest first, also those that are no longer supported.
func (u *Upgrades) Versions(ctx context.Context) (out []fleet.KubernetesVersion, err error) {
	list, err := everything(ctx, "eks:DescribeClusterVersions", eks.NewDescribeClusterVersionsPaginator(u.region.eks, &eks.DescribeClusterVersionsInput{
		IncludeAll: aws.Bool(true),
	}), func(o *eks.DescribeClusterVersionsOutput) []ekstypes.ClusterVersionInformation {
		return o.ClusterVersions
	})
	if err != nil {
		return nil, err
	}
	for _, v := range list {
		m, err := fleet.ParseMinor(deref(v.ClusterVersion))
		if err != nil {
			return nil, fault.New(fault.Transient, "eks:DescribeClusterVersions: %v", err)
		}
		// Clusters of AWS Outposts and such have rows of their own.
		if kind := deref(v.ClusterType); kind != "" && kind != "eks" || slices.ContainsFunc(out, func(k fleet.KubernetesVersion) bool { return k.Minor == m }) {
			continue
		}
		out = append(out, fleet.KubernetesVersion{
			Minor: m, Patch: deref(v.KubernetesPatchVersion), Released: deref(v.ReleaseDate), StandardEnds: deref(v.EndOfStandardSupportDate),
			ExtendedEnds: deref(v.EndOfExtendedSupportDate), Status: supportStatus(v), Default: v.DefaultVersion,
		})
	}
	slices.SortFunc(out, func(a, b fleet.KubernetesVersion) int { return cmp.Compare(a.Minor, b.Minor) })
	return out, nil
}

// supportStatus is versionStatus, or status, its older form in lower case.
func supportStatus(v ekstypes.ClusterVersionInformation) fleet.SupportStatus {
	if v.VersionStatus != "" {
		return fleet.SupportStatus(v.VersionStatus)
	}
	return fleet.SupportStatus(strings.ReplaceAll(strings.ToUpper(string(v.Status)), "-", "_"))
}

// Releases reads all versions of an add-on, newest first, with the versions of Kubernetes for which they are. None: there is
// no such add-on.
func (u *Upgrades) Releases(ctx context.Context, addon string) (out []fleet.AddonRelease, err error) {
	list, err := everything(ctx, "eks:DescribeAddonVersions", eks.NewDescribeAddonVersionsPaginator(u.region.eks, &eks.DescribeAddonVersionsInput{AddonName: &addon}),
		func(o *eks.DescribeAddonVersionsOutput) []ekstypes.AddonInfo { return o.Addons })
	if err != nil {
		return nil, fault.Ignore(err, fault.NotFound)
	}
	for _, a := range list {
		for _, v := range a.AddonVersions {
			r := fleet.AddonRelease{Version: deref(v.AddonVersion), NeedsConfiguration: v.RequiresConfiguration}
			for _, c := range v.Compatibilities {
				m, err := fleet.ParseMinor(deref(c.ClusterVersion))
				if err != nil {
					continue // a version of something else than Kubernetes 1
				}
				r.Minors = append(r.Minors, m)
				if c.DefaultVersion {
					r.Defaults = append(r.Defaults, m)
				}
			}
			slices.Sort(r.Minors)
			slices.Sort(r.Defaults)
			out = append(out, r)
		}
	}
	slices.SortStableFunc(out, func(a, b fleet.AddonRelease) int {
		return slices.Compare(fleet.VersionNumbers(b.Version), fleet.VersionNumbers(a.Version))
	})
	return out, nil
}
