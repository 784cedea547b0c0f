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
	elbv2 "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

// Targets reads and writes target groups of which machines are targets. What it knows it shares between the machines of a
// cluster; a wrong memory makes a deregistration late, and nothing worse.
type Targets struct {
	elb *elbv2.Client
	asg *autoscaling.Client

	groups *memo[[2]string, []targetGroup]
	health *memo[string, map[string][]fleet.Target]
}

const (
	// groupsLast is for how long a cluster's target groups are remembered. A service gets a new one in minutes, and the label that
	// the cordon sets is there for it.
	groupsLast = 5 * time.Minute
	// healthLasts is shorter than any pause between two looks at a machine: only machines that go at once share an answer.
	healthLasts = 900 * time.Millisecond
	// targetWidth is of how many target groups the targets are read at once.
	targetWidth = 8
	// deregisterTime bounds the call that stands beside the cordon: evictions come after both.
	deregisterTime = 2 * time.Second
)

// NewTargets makes a Targets.
func NewTargets(cfg Config, now func() time.Time) *Targets {
	return &Targets{elb: elbv2.NewFromConfig(cfg), asg: autoscaling.NewFromConfig(cfg),
		groups: newMemo[[2]string, []targetGroup](groupsLast, now), health: newMemo[string, map[string][]fleet.Target](healthLasts, now)}
}

// targetGroup is one of a cluster: what is the same for all of its targets.
type targetGroup struct {
	arn           string
	ours, putBack bool
	scaling       []string
}

// Targets are a machine's places in its cluster's target groups. Groups are read whole: a question for one machine is a question
// for one port, and nobody knows which.
func (t *Targets) Targets(ctx context.Context, cluster string, inst fleet.Instance) ([]fleet.Target, error) {
	groups, err := t.groups.get(ctx, [2]string{cluster, inst.VPC}, func() ([]targetGroup, error) { return t.groupsOf(ctx, cluster, inst.VPC) })
	if err != nil || len(groups) == 0 {
		return nil, err
	}
	found, errs := make([][]fleet.Target, len(groups)), make([]error, len(groups))
	slots := make(chan struct{}, targetWidth)
	var wg sync.WaitGroup
	for i, g := range groups {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			var all map[string][]fleet.Target
			all, errs[i] = t.health.get(ctx, g.arn, func() (map[string][]fleet.Target, error) { return t.healthOf(ctx, g) })
			found[i] = all[inst.ID]
		})
	}
	wg.Wait()
	return slices.Concat(found...), cmp.Or(errs...)
}

// healthOf are all targets of a group by instance. A group that is gone has none.
func (t *Targets) healthOf(ctx context.Context, g targetGroup) (map[string][]fleet.Target, error) {
	out, err := t.elb.DescribeTargetHealth(ctx, &elbv2.DescribeTargetHealthInput{TargetGroupArn: &g.arn})
	if err = classify("elasticloadbalancing:DescribeTargetHealth", err); err != nil {
		return nil, fault.Ignore(err, fault.NotFound)
	}
	all := map[string][]fleet.Target{}
	for _, d := range out.TargetHealthDescriptions {
		if d.Target == nil || d.TargetHealth == nil {
			continue
		}
		id := deref(d.Target.Id)
		all[id] = append(all[id], fleet.Target{Group: g.arn, Port: int(deref(d.Target.Port)), State: fleet.TargetState(d.TargetHealth.State),
			Ours: g.ours, PutBack: g.putBack, ScalingGroups: g.scaling})
	}
	return all, nil
}

// Deregister takes a machine out of a target group. AWS takes it for success that it is not in it.
func (t *Targets) Deregister(ctx context.Context, group, instanceID string, port int) error {
	ctx, cancel := context.WithTimeout(ctx, deregisterTime)
	defer cancel()
	_, err := t.elb.DeregisterTargets(ctx, &elbv2.DeregisterTargetsInput{TargetGroupArn: &group, Targets: []elbtypes.TargetDescription{{Id: &instanceID, Port: port32(port)}}})
	return classify("elasticloadbalancing:DeregisterTargets", err)
}

func port32(port int) *int32 {
	if port <= 0 {
		return nil
	}
	return aws.Int32(int32(port)) //nolint:gosec // a port
}

// groupsOf finds the target groups of machines that carry a tag of the cluster, or are attached to one of its Auto Scaling groups.
func (t *Targets) groupsOf(ctx context.Context, cluster, vpc string) ([]targetGroup, error) {
	var candidates []string
	var tags map[string]map[string]string
	var attached map[string][]string
	var tagErr, scalingErr error
	var wg sync.WaitGroup
	wg.Go(func() {
		if candidates, tagErr = t.ofMachines(ctx, vpc); tagErr == nil {
			tags, tagErr = t.tagsOf(ctx, candidates)
		}
	})
	wg.Go(func() { attached, scalingErr = t.attachedTo(ctx, cluster) })
	wg.Wait()
	if err := cmp.Or(tagErr, scalingErr); err != nil {
		return nil, err
	}
	var out []targetGroup
	for _, arn := range candidates {
		g := targetGroup{arn: arn, scaling: attached[arn]}
		of := tags[arn]
		// Who may deregister what, the function's role says by the same tags.
		g.putBack = of["elbv2.k8s.aws/cluster"] == cluster || of["eks:eks-cluster-name"] == cluster || of[clusterTag(cluster)] != "" && of["kubernetes.io/service-name"] != ""
		g.ours = g.putBack || of[fleet.TagCluster] == cluster
		if g.ours || of[clusterTag(cluster)] != "" || len(g.scaling) > 0 {
			out = append(out, g)
		}
	}
	return out, nil
}

// ofMachines are the target groups of a VPC whose targets are instances.
func (t *Targets) ofMachines(ctx context.Context, vpc string) (arns []string, err error) {
	for pages := elbv2.NewDescribeTargetGroupsPaginator(t.elb, &elbv2.DescribeTargetGroupsInput{}); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, classify("elasticloadbalancing:DescribeTargetGroups", err)
		}
		for _, g := range page.TargetGroups {
			if g.TargetType == elbtypes.TargetTypeEnumInstance && (vpc == "" || deref(g.VpcId) == vpc) {
				arns = append(arns, deref(g.TargetGroupArn))
			}
		}
	}
	slices.Sort(arns)
	return arns, nil
}

func (t *Targets) tagsOf(ctx context.Context, arns []string) (map[string]map[string]string, error) {
	tags := map[string]map[string]string{}
	for some := range slices.Chunk(arns, maxTags) {
		page, err := t.elb.DescribeTags(ctx, &elbv2.DescribeTagsInput{ResourceArns: some})
		if err != nil {
			return nil, classify("elasticloadbalancing:DescribeTags", err)
		}
		for _, d := range page.TagDescriptions {
			of := map[string]string{}
			for _, tag := range d.Tags {
				of[deref(tag.Key)] = deref(tag.Value)
			}
			tags[deref(d.ResourceArn)] = of
		}
	}
	return tags, nil
}

// attachedTo are the names of the cluster's Auto Scaling groups by the target groups that are attached to them.
func (t *Targets) attachedTo(ctx context.Context, cluster string) (map[string][]string, error) {
	out := map[string][]string{}
	pages := autoscaling.NewDescribeAutoScalingGroupsPaginator(t.asg, &autoscaling.DescribeAutoScalingGroupsInput{
		Filters: []astypes.Filter{{Name: aws.String("tag-key"), Values: []string{clusterTag(cluster)}}},
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, classify("autoscaling:DescribeAutoScalingGroups", err)
		}
		for _, g := range page.AutoScalingGroups {
			for _, arn := range g.TargetGroupARNs {
				out[arn] = append(out[arn], deref(g.AutoScalingGroupName))
			}
			for _, s := range g.TrafficSources {
				if arn := deref(s.Identifier); strings.Contains(arn, ":targetgroup/") && !slices.Contains(out[arn], deref(g.AutoScalingGroupName)) {
					out[arn] = append(out[arn], deref(g.AutoScalingGroupName))
				}
			}
		}
	}
	return out, nil
}
