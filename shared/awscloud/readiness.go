package awscloud

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	ekstypes "github.com/aws/aws-sdk-go-v2/service/eks/types"

	"github.com/ekspedite/ekspedite/shared/decide/readiness"
	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

// Readiness reads what the checks before an upgrade want to know of AWS, in one Region: beside versions, which Upgrades reads,
// insights, roles, networks, keys, quotas and machines.
type Readiness struct {
	*Upgrades
	facts *Preflight
}

// NewReadiness makes a Readiness of a configuration's Region.
func NewReadiness(cfg Config) *Readiness {
	return &Readiness{NewUpgrades(cfg), NewPreflight(cfg)}
}

// Fact reads one fact: see Preflight.Fact.
func (r *Readiness) Fact(ctx context.Context, kind, name string) (fleet.Props, error) {
	return r.facts.Fact(ctx, kind, name)
}

// Parts reads all of a kind that EKS lists as a cluster's: "capability", "identity".
func (r *Readiness) Parts(ctx context.Context, cluster fleet.ClusterID, kind string) ([]fleet.Resource, error) {
	return r.region.Listed(ctx, cluster, kind, nil)
}

// Insights reads what EKS has found out about a cluster: whole, what does not pass; and of the others the summary.
func (r *Readiness) Insights(ctx context.Context, cluster string) ([]readiness.Insight, error) {
	list, err := everything(ctx, "eks:ListInsights", eks.NewListInsightsPaginator(r.region.eks, &eks.ListInsightsInput{ClusterName: &cluster, MaxResults: aws.Int32(maxResults)}),
		func(o *eks.ListInsightsOutput) []ekstypes.InsightSummary { return o.Insights })
	if err != nil {
		return nil, err
	}
	out, errs := make([]readiness.Insight, len(list)), make([]error, len(list))
	someAtOnce(len(list), func(i int) {
		s := list[i]
		out[i] = readiness.Insight{
			ID: deref(s.Id), Name: deref(s.Name), Category: string(s.Category), LastRefresh: deref(s.LastRefreshTime), LastTransition: deref(s.LastTransitionTime), Version: minorOf(deref(s.KubernetesVersion)),
		}
		if s.InsightStatus != nil {
			out[i].Status, out[i].Reason = string(s.InsightStatus.Status), deref(s.InsightStatus.Reason)
		}
		if out[i].Status != string(ekstypes.InsightStatusValuePassing) {
			errs[i] = r.insight(ctx, cluster, &out[i])
		}
	})
	var found []readiness.Insight
	for i := range list {
		if err := fault.Ignore(errs[i], fault.NotFound); err != nil {
			return nil, err
		}
		if errs[i] == nil { // else EKS has dropped it since
			found = append(found, out[i])
		}
	}
	slices.SortFunc(found, func(a, b readiness.Insight) int {
		return cmp.Or(strings.Compare(a.Category, b.Category), cmp.Compare(a.Version, b.Version), strings.Compare(a.Name, b.Name), strings.Compare(a.ID, b.ID))
	})
	return found, nil
}

// insight reads what an insight is about.
func (r *Readiness) insight(ctx context.Context, cluster string, i *readiness.Insight) error {
	out, err := r.region.eks.DescribeInsight(ctx, &eks.DescribeInsightInput{ClusterName: &cluster, Id: &i.ID})
	if err != nil {
		return classify("eks:DescribeInsight", err)
	}
	i.Recommendation = deref(out.Insight.Recommendation)
	for _, res := range out.Insight.Resources {
		if name := cmp.Or(deref(res.KubernetesResourceUri), deref(res.Arn)); name != "" {
			i.Resources = append(i.Resources, name)
		}
	}
	slices.Sort(i.Resources)
	if out.Insight.CategorySpecificSummary == nil {
		return nil
	}
	for _, d := range out.Insight.CategorySpecificSummary.DeprecationDetails {
		dep := readiness.Deprecation{Usage: deref(d.Usage), ReplacedBy: deref(d.ReplacedWith), StopServing: minorOf(deref(d.StopServingVersion))}
		for _, c := range d.ClientStats {
			dep.Clients = append(dep.Clients, readiness.Client{UserAgent: deref(c.UserAgent), Requests: int(c.NumberOfRequestsLast30Days), LastRequest: deref(c.LastRequestTime)})
		}
		i.Deprecations = append(i.Deprecations, dep)
	}
	return nil
}

// InsightsRefresh is the last refresh that somebody asked for; zero if nobody has.
func (r *Readiness) InsightsRefresh(ctx context.Context, cluster string) (readiness.InsightsRefresh, error) {
	out, err := r.region.eks.DescribeInsightsRefresh(ctx, &eks.DescribeInsightsRefreshInput{ClusterName: &cluster})
	if err := classify("eks:DescribeInsightsRefresh", err); err != nil {
		return readiness.InsightsRefresh{}, fault.Ignore(err, fault.NotFound)
	}
	return readiness.InsightsRefresh{Status: string(out.Status), Message: deref(out.Message), Started: deref(out.StartedAt), Ended: deref(out.EndedAt)}, nil
}

// RefreshInsights has EKS look at a cluster anew. One that is going on already is as good.
func (r *Readiness) RefreshInsights(ctx context.Context, cluster string) error {
	_, err := r.region.eks.StartInsightsRefresh(ctx, &eks.StartInsightsRefreshInput{ClusterName: &cluster})
	if err = classify("eks:StartInsightsRefresh", err); err != nil && strings.Contains(err.Error(), "in progress") {
		return nil
	}
	return err
}

// AddonSchema is the JSON schema of the configuration of an add-on's version; "" if it has none.
func (r *Readiness) AddonSchema(ctx context.Context, addon, version string) (string, error) {
	out, err := r.region.eks.DescribeAddonConfiguration(ctx, &eks.DescribeAddonConfigurationInput{AddonName: &addon, AddonVersion: &version})
	if err != nil {
		return "", classify("eks:DescribeAddonConfiguration", err)
	}
	return deref(out.ConfigurationSchema), nil
}

// PodIdentityRole is the role of a pod identity association, by the association's ARN.
func (r *Readiness) PodIdentityRole(ctx context.Context, cluster, arn string) (string, error) {
	p, err := r.region.association(ctx, cluster, arn[strings.LastIndexByte(arn, '/')+1:])
	return fleet.Text(p.Props, "roleArn"), err
}

// Subnets reads subnets by their ids, in the order of these. Those that do not exist say so.
func (r *Readiness) Subnets(ctx context.Context, ids []string) ([]readiness.Subnet, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	found, err := everything(ctx, "ec2:DescribeSubnets", ec2.NewDescribeSubnetsPaginator(r.region.ec2, &ec2.DescribeSubnetsInput{Filters: where("subnet-id", ids...)}),
		func(o *ec2.DescribeSubnetsOutput) []ec2types.Subnet { return o.Subnets })
	if err != nil {
		return nil, err
	}
	out := make([]readiness.Subnet, len(ids))
	for i, id := range ids {
		out[i].ID = id
		for _, s := range found {
			if deref(s.SubnetId) == id {
				out[i] = readiness.Subnet{ID: id, Exists: true, Zone: deref(s.AvailabilityZone), Free: int(deref(s.AvailableIpAddressCount))}
			}
		}
	}
	return out, nil
}

// InstanceRefresh is the status of an Auto Scaling group's instance refresh that has not ended; "" if there is none.
func (r *Readiness) InstanceRefresh(ctx context.Context, group string) (string, error) {
	out, err := r.asg.DescribeInstanceRefreshes(ctx, &autoscaling.DescribeInstanceRefreshesInput{AutoScalingGroupName: &group, MaxRecords: aws.Int32(1)}) // the newest
	if err != nil {
		return "", classify("autoscaling:DescribeInstanceRefreshes", err)
	}
	for _, i := range out.InstanceRefreshes {
		switch i.Status {
		case astypes.InstanceRefreshStatusPending, astypes.InstanceRefreshStatusInProgress, astypes.InstanceRefreshStatusCancelling,
			astypes.InstanceRefreshStatusRollbackInProgress, astypes.InstanceRefreshStatusBaking:
			return string(i.Status), nil
		}
	}
	return "", nil
}

// NoCapacity is when a launch of an Auto Scaling group last failed for want of capacity, in the activities that it still
// shows; zero if none did.
func (r *Readiness) NoCapacity(ctx context.Context, group string) (time.Time, error) {
	out, err := r.asg.DescribeScalingActivities(ctx, &autoscaling.DescribeScalingActivitiesInput{AutoScalingGroupName: &group, MaxRecords: aws.Int32(recently)})
	if err != nil {
		return time.Time{}, classify("autoscaling:DescribeScalingActivities", err)
	}
	for _, a := range out.Activities { // the newest first
		if a.StatusCode == astypes.ScalingActivityStatusCodeFailed && strings.Contains(deref(a.StatusMessage)+launchCode(deref(a.StatusMessage)), "apacity") {
			return trouble(a).At, nil
		}
	}
	return time.Time{}, nil
}

// Alarms reads CloudWatch alarms by their names. Those that do not exist are not there.
func (r *Readiness) Alarms(ctx context.Context, names []string) ([]readiness.Alarm, error) {
	return r.region.alarmStates(ctx, names)
}

// RaisedAlarms reads which of some CloudWatch alarms are in ALARM.
func (r *Readiness) RaisedAlarms(ctx context.Context, names []string) (raised []string, err error) {
	list, err := r.Alarms(ctx, names)
	for _, a := range list {
		if a.State == "ALARM" {
			raised = append(raised, a.Name)
		}
	}
	return raised, err
}

// FailingInsights reads the names of EKS's insights on a cluster that are in status ERROR, without what they are about.
func (r *Readiness) FailingInsights(ctx context.Context, cluster string) (names []string, err error) {
	list, err := everything(ctx, "eks:ListInsights", eks.NewListInsightsPaginator(r.region.eks, &eks.ListInsightsInput{
		ClusterName: &cluster, MaxResults: aws.Int32(maxResults), Filter: &ekstypes.InsightsFilter{Statuses: []ekstypes.InsightStatusValue{ekstypes.InsightStatusValueError}},
	}), func(o *eks.ListInsightsOutput) []ekstypes.InsightSummary { return o.Insights })
	for _, i := range list {
		names = append(names, deref(i.Name))
	}
	slices.Sort(names)
	return slices.Compact(names), err
}
