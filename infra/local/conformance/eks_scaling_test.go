package conformance

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/eks/types"
)

// sizes takes a node group from zero to two by its Auto Scaling group, and changes its bounds through EKS.
func (s *eksChildren) sizes(t *testing.T) {
	ctx := t.Context()
	groups := autoscaling.NewFromConfig(target(t, "eks").Config)
	in := s.nodegroup("sizes")
	in.ScalingConfig = &types.NodegroupScalingConfig{MinSize: aws.Int32(0), MaxSize: aws.Int32(3), DesiredSize: aws.Int32(0)}
	if !s.embedded {
		t.Skip("other implementations have no Auto Scaling group behind")
	}
	g := s.ready(t, in)
	name := g.Resources.AutoScalingGroups[0].Name
	resize := func(n int32) error {
		_, err := groups.SetDesiredCapacity(ctx, &autoscaling.SetDesiredCapacityInput{AutoScalingGroupName: name, DesiredCapacity: &n})
		return err
	}
	s.must(resize(2))
	see := func() *types.Nodegroup {
		t.Helper()
		out, err := s.DescribeNodegroup(ctx, &eks.DescribeNodegroupInput{ClusterName: s.cluster, NodegroupName: in.NodegroupName})
		s.must(err)
		return out.Nodegroup
	}
	if c := see().ScalingConfig; *c.DesiredSize != 2 || *c.MaxSize != 3 {
		t.Errorf("EKS shows %+v", c)
	}
	if err := resize(4); err == nil || !strings.Contains(err.Error(), "above max value 3") {
		t.Errorf("above the maximum: %v", err)
	}
	u, err := s.UpdateNodegroupConfig(ctx, &eks.UpdateNodegroupConfigInput{ClusterName: s.cluster, NodegroupName: in.NodegroupName, ScalingConfig: &types.NodegroupScalingConfig{MinSize: aws.Int32(1), MaxSize: aws.Int32(5)}})
	s.must(err)
	if u := s.finished(t, &eks.DescribeUpdateInput{Name: s.cluster, NodegroupName: in.NodegroupName, UpdateId: u.Update.Id}); u.Status != types.UpdateStatusSuccessful {
		t.Errorf("update %+v", u)
	}
	if c := see().ScalingConfig; *c.MinSize != 1 || *c.MaxSize != 5 || *c.DesiredSize != 2 {
		t.Errorf("EKS shows %+v, and the desired size was not asked to change", c)
	}
	if err := resize(0); err == nil || !strings.Contains(err.Error(), "below min value 1") {
		t.Errorf("below the minimum: %v", err)
	}
	s.withoutCapacity(t, see, resize)
	_, err = s.DeleteNodegroup(ctx, &eks.DeleteNodegroupInput{ClusterName: s.cluster, NodegroupName: in.NodegroupName})
	s.must(err)
}

// withoutCapacity: a group whose launches fail is degraded until one succeeds.
func (s *eksChildren) withoutCapacity(t *testing.T, see func() *types.Nodegroup, resize func(int32) error) {
	machines := cloud(t).EC2
	machines.LimitCapacity(see().InstanceTypes[0], "", "", 0)
	defer machines.LimitCapacity(see().InstanceTypes[0], "", "", -1)
	s.must(resize(3))
	until := func(status types.NodegroupStatus) {
		t.Helper()
		for deadline := time.Now().Add(time.Minute); see().Status != status; time.Sleep(s.poll()) {
			if time.Now().After(deadline) {
				t.Fatalf("the group is %s, want %s", see().Status, status)
			}
		}
	}
	until(types.NodegroupStatusDegraded)
	if issues := see().Health.Issues; len(issues) != 1 || issues[0].Code != types.NodegroupIssueCodeAsgInstanceLaunchFailures || !strings.HasPrefix(*issues[0].Message, "Could not launch On-Demand Instances. InsufficientInstanceCapacity - ") {
		t.Errorf("issues %+v", issues)
	}
	machines.LimitCapacity(see().InstanceTypes[0], "", "", -1)
	until(types.NodegroupStatusActive)
}
