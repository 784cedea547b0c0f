package awscloud

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	ekstypes "github.com/aws/aws-sdk-go-v2/service/eks/types"

	"github.com/ekspedite/ekspedite/shared/decide/scaling"
	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

// NodeGroups reads the node groups of a Region's clusters, and changes them. Sizes and members are always read anew. What
// seldom changes is kept for a while: what a node group is made of for a minute, and for good what cannot change, which is a
// launch template's version and a subnet's zone.
type NodeGroups struct {
	eks *eks.Client
	asg *autoscaling.Client
	ec2 *ec2.Client
	now func() time.Time

	mu        sync.Mutex
	managed   map[[2]string]groupView // by cluster and name
	templates map[string]template
	subnets   map[string]string // zones, by id
}

// groupView is a node group of EKS's with the time when it was read.
type groupView struct {
	group ekstypes.Nodegroup
	at    time.Time
}

// viewedFor is how long a node group's description is believed. EKS throttles these reads early, and a burst of pods leads
// to several looks within a minute.
const viewedFor = time.Minute

// NewNodeGroups makes a NodeGroups of a configuration's Region.
func NewNodeGroups(cfg Config, now func() time.Time) *NodeGroups {
	return &NodeGroups{
		eks: eks.NewFromConfig(cfg), asg: autoscaling.NewFromConfig(cfg), ec2: ec2.NewFromConfig(cfg), now: now,
		managed: map[[2]string]groupView{}, templates: map[string]template{}, subnets: map[string]string{},
	}
}

// Instances reads a cluster's machines by the tag that each of them carries: those of managed groups, of Auto Scaling groups
// and of fleets. Those that are gone are left out.
func (n *NodeGroups) Instances(ctx context.Context, cluster string) (out []fleet.Instance, err error) {
	pages := ec2.NewDescribeInstancesPaginator(n.ec2, &ec2.DescribeInstancesInput{MaxResults: aws.Int32(1000), Filters: []ec2types.Filter{
		{Name: aws.String("tag:" + clusterTag(cluster)), Values: []string{"owned"}},
		{Name: aws.String("instance-state-name"), Values: []string{"pending", "running", "stopping", "shutting-down"}},
	}})
	found, err := everything(ctx, "ec2:DescribeInstances", pages, func(o *ec2.DescribeInstancesOutput) []ec2types.Reservation { return o.Reservations })
	for _, r := range found {
		for _, i := range r.Instances {
			f := instance(i)
			f.Launched = deref(i.LaunchTime)
			out = append(out, f)
		}
	}
	return out, err
}

func clusterTag(cluster string) string { return "kubernetes.io/cluster/" + cluster }

// Groups reads a cluster's node groups: those that EKS manages, and Auto Scaling groups with the cluster's tag. With warm
// caches it takes two calls, and one for each group that has fewer machines than it should. In the order of their names.
func (n *NodeGroups) Groups(ctx context.Context, cluster string) ([]scaling.Group, error) {
	var managed []ekstypes.Nodegroup
	var groups []astypes.AutoScalingGroup
	var managedErr, groupsErr error
	var wg sync.WaitGroup
	wg.Go(func() { managed, managedErr = n.describe(ctx, cluster) })
	wg.Go(func() {
		pages := autoscaling.NewDescribeAutoScalingGroupsPaginator(n.asg, &autoscaling.DescribeAutoScalingGroupsInput{
			Filters: []astypes.Filter{{Name: aws.String("tag:" + clusterTag(cluster)), Values: []string{"owned"}}},
		})
		groups, groupsErr = everything(ctx, "autoscaling:DescribeAutoScalingGroups", pages,
			func(o *autoscaling.DescribeAutoScalingGroupsOutput) []astypes.AutoScalingGroup {
				return o.AutoScalingGroups
			})
	})
	wg.Wait()
	if err := cmp.Or(managedErr, groupsErr); err != nil {
		return nil, err
	}
	var found []*foundGroup
	for i := range managed {
		found = append(found, &foundGroup{managed: &managed[i]})
	}
	for i := range groups {
		g, tags := &groups[i], tagsOf(groups[i])
		if deref(g.Status) != "" { // it is being deleted
			continue
		}
		name := tags[fleet.TagEKSNodegroup]
		at := slices.IndexFunc(found, func(f *foundGroup) bool { return f.managed != nil && deref(f.managed.NodegroupName) == name })
		switch {
		case name == "":
			found = append(found, &foundGroup{scaling: g, tags: tags})
		case at >= 0: // else EKS has deleted it meanwhile
			found[at].scaling, found[at].tags = g, tags
		}
	}
	return n.finish(ctx, found)
}

// foundGroup is a node group as it is found: EKS's part, Auto Scaling's part, or both.
type foundGroup struct {
	managed *ekstypes.Nodegroup
	scaling *astypes.AutoScalingGroup // nil while EKS is making it
	tags    map[string]string
}

// finish reads what belongs to the groups, all at once, and translates them.
func (n *NodeGroups) finish(ctx context.Context, found []*foundGroup) ([]scaling.Group, error) {
	out, errs := make([]scaling.Group, len(found)), make([]error, len(found))
	var wg sync.WaitGroup
	for i, f := range found {
		wg.Go(func() {
			var t template
			if t, errs[i] = n.templateOf(ctx, f); errs[i] != nil {
				return
			}
			g := f.group(t)
			if f.managed != nil {
				g.Recipe, errs[i] = n.recipe(ctx, f.managed)
			} else {
				g.Recipe, errs[i] = n.launchRecipe(ctx, f)
			}
			if errs[i] != nil {
				return
			}
			if f.scaling != nil && g.Desired > len(g.Members) {
				g.Troubles, errs[i] = n.troubles(ctx, g.AutoScalingGroup)
			}
			out[i] = g
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	slices.SortFunc(out, func(a, b scaling.Group) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

// describing is how many node groups are described at once: EKS allows few reads a second.
const describing = 5

// describe reads the managed node groups, those that are fresh from memory.
func (n *NodeGroups) describe(ctx context.Context, cluster string) ([]ekstypes.Nodegroup, error) {
	names, err := eachPage(ctx, "eks:ListNodegroups", eks.NewListNodegroupsPaginator(n.eks, &eks.ListNodegroupsInput{ClusterName: &cluster}),
		func(o *eks.ListNodegroupsOutput) []string { return o.Nodegroups })
	if err != nil {
		return nil, err
	}
	found, errs := make([]*ekstypes.Nodegroup, len(names)), make([]error, len(names))
	slots := make(chan struct{}, describing)
	var wg sync.WaitGroup
	for i, name := range names {
		n.mu.Lock()
		known, ok := n.managed[[2]string{cluster, name}]
		n.mu.Unlock()
		if ok && known.group.Status == ekstypes.NodegroupStatusActive && n.now().Sub(known.at) < viewedFor {
			found[i] = &known.group
			continue
		}
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			out, err := n.eks.DescribeNodegroup(ctx, &eks.DescribeNodegroupInput{ClusterName: &cluster, NodegroupName: &name})
			if errs[i] = fault.Ignore(classify("eks:DescribeNodegroup", err), fault.NotFound); err != nil {
				return
			}
			found[i] = out.Nodegroup
			n.mu.Lock()
			n.managed[[2]string{cluster, name}] = groupView{*out.Nodegroup, n.now()}
			n.mu.Unlock()
		})
	}
	wg.Wait()
	var out []ekstypes.Nodegroup
	for i := range names {
		if errs[i] != nil {
			return nil, errs[i]
		}
		if found[i] != nil { // else it has gone since
			out = append(out, *found[i])
		}
	}
	return out, nil
}

// forget has a node group described anew: it was changed.
func (n *NodeGroups) forget(cluster, name string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.managed, [2]string{cluster, name})
}

// ClusterOf is the cluster that an Auto Scaling group's machines are nodes of, by its tags; "" if there is none, or no such group.
func (n *NodeGroups) ClusterOf(ctx context.Context, group string) (string, error) {
	out, err := n.asg.DescribeAutoScalingGroups(ctx, &autoscaling.DescribeAutoScalingGroupsInput{AutoScalingGroupNames: []string{group}})
	if err != nil {
		return "", classify("autoscaling:DescribeAutoScalingGroups", err)
	}
	for _, g := range out.AutoScalingGroups {
		return fleet.Instance{Tags: tagsOf(g)}.Cluster(), nil
	}
	return "", nil
}

func tagsOf(g astypes.AutoScalingGroup) map[string]string {
	out := map[string]string{}
	for _, t := range g.Tags {
		out[deref(t.Key)] = deref(t.Value)
	}
	return out
}
