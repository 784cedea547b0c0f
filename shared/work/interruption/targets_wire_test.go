package interruption_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/shared/awscloud"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

// front puts machines behind a network load balancer of their cluster's VPC, by a target group for each of some sets of tags.
func (r *fleetRig) front(id fleet.ClusterID, machines []string, tags map[string]map[string]string) (*elb.Client, map[string]*string) {
	r.T.Helper()
	cfg := awscloud.InRegion(r.Config(r.Cloud), id.Region)
	c := elb.NewFromConfig(cfg)
	inst, err := awscloud.NewCompute(cfg).Instance(r.T.Context(), machines[0])
	if err != nil {
		r.T.Fatal(err)
	}
	subnets, err := ec2.NewFromConfig(cfg).DescribeSubnets(r.T.Context(), &ec2.DescribeSubnetsInput{Filters: []ec2types.Filter{{Name: aws.String("vpc-id"), Values: []string{inst.VPC}}}})
	if err != nil {
		r.T.Fatal(err)
	}
	made, err := c.CreateLoadBalancer(r.T.Context(), &elb.CreateLoadBalancerInput{Name: aws.String("front"), Type: elbtypes.LoadBalancerTypeEnumNetwork, Subnets: []string{*subnets.Subnets[0].SubnetId}})
	if err != nil {
		r.T.Fatal(err)
	}
	groups := map[string]*string{}
	port := int32(30000)
	for name, of := range tags {
		port++
		in := &elb.CreateTargetGroupInput{Name: &name, Protocol: elbtypes.ProtocolEnumTcp, Port: &port, VpcId: &inst.VPC}
		for k, v := range of {
			in.Tags = append(in.Tags, elbtypes.Tag{Key: &k, Value: &v})
		}
		g, err := c.CreateTargetGroup(r.T.Context(), in)
		if err != nil {
			r.T.Fatal(err)
		}
		arn := g.TargetGroups[0].TargetGroupArn
		groups[name] = arn
		if _, err := c.CreateListener(r.T.Context(), &elb.CreateListenerInput{LoadBalancerArn: made.LoadBalancers[0].LoadBalancerArn, Port: &port, Protocol: elbtypes.ProtocolEnumTcp,
			DefaultActions: []elbtypes.Action{{Type: elbtypes.ActionTypeEnumForward, TargetGroupArn: arn}}}); err != nil {
			r.T.Fatal(err)
		}
		for _, m := range machines {
			if _, err := c.RegisterTargets(r.T.Context(), &elb.RegisterTargetsInput{TargetGroupArn: arn, Targets: []elbtypes.TargetDescription{{Id: &m}}}); err != nil {
				r.T.Fatal(err)
			}
		}
	}
	return c, groups
}

// state is a machine's in a target group.
func (r *fleetRig) state(c *elb.Client, group *string, machine string) string {
	r.T.Helper()
	out, err := c.DescribeTargetHealth(r.T.Context(), &elb.DescribeTargetHealthInput{TargetGroupArn: group, Targets: []elbtypes.TargetDescription{{Id: &machine}}})
	if err != nil {
		r.T.Fatal(err)
	}
	return string(out.TargetHealthDescriptions[0].TargetHealth.State)
}

// TestWhoMayBeDeregistered: the role may take machines out of target groups that carry a cluster's tags, and out of no others, in
// every Region of the parameter; and the machines of a removal end after their connections.
func TestWhoMayBeDeregistered(t *testing.T) {
	inRegions(t, away, func(t *testing.T, r *fleetRig) {
		groups, err := awscloud.NewNodeGroups(awscloud.InRegion(r.Config(r.Cloud), far.Region), time.Now).Groups(t.Context(), far.Name)
		if err != nil {
			t.Fatal(err)
		}
		var machines []string
		for _, g := range groups {
			for _, m := range g.Members {
				if g.Name == "base" {
					machines = append(machines, m.InstanceID)
				}
			}
		}
		c, made := r.front(far, machines, map[string]map[string]string{
			"controller": {"elbv2.k8s.aws/cluster": far.Name},
			"provider":   {"kubernetes.io/cluster/" + far.Name: "owned", "kubernetes.io/service-name": "default/web"},
			"auto":       {"eks:eks-cluster-name": far.Name},
			"given":      {fleet.TagCluster: far.Name},
			"nobodys":    {"team": "a"},
			"shared":     {"kubernetes.io/cluster/" + far.Name: "shared"},
		})
		began := time.Now()
		done, machine := r.giveUp(far, "base", false)
		if done.Outcome != events.OutcomeNodeRemoved || done.Counts["targetsDeregistered"] != 3 {
			t.Errorf("the removal: %+v", done)
		}
		if took := done.FinishedAt.Sub(began); took < 6*time.Second { // the deregistration delay in the embedded cloud's time
			t.Errorf("the machine ended after %s: its connections were not waited for", took)
		}
		for name, want := range map[string]string{"controller": "unused", "provider": "unused", "auto": "unused"} {
			if got := r.state(c, made[name], machine); got != want {
				t.Errorf("in %s the machine that was given up is %s", name, got)
			}
		}

		targets := awscloud.NewTargets(awscloud.InRegion(r.As(r.role, r.Cloud), far.Region), time.Now)
		i := slices.IndexFunc(machines, func(m string) bool { return m != machine })
		other := machines[i]
		for name, arn := range made {
			err := targets.Deregister(t.Context(), *arn, other, 0)
			allowed := name != "nobodys" && name != "shared"
			if (err == nil) != allowed || err != nil && !strings.Contains(err.Error(), "AccessDenied") {
				t.Errorf("%s: %v", name, err)
			}
			want := "healthy"
			if allowed {
				want = "draining"
			}
			if got := r.state(c, arn, other); got != want {
				t.Errorf("in %s the other machine is %s, want %s", name, got, want)
			}
		}
		used := map[string]bool{}
		for _, g := range r.Granted(r.role) {
			if g.Calls > 0 {
				used[g.Sid] = true
			}
		}
		for _, sid := range []string{"FindTargets", "TakeOutOfController", "TakeOutOfProvider", "TakeOutOfAutoMode", "TakeOutOfGiven"} {
			if !used[sid] {
				t.Errorf("the grant %s was not used", sid)
			}
		}
	})
}
