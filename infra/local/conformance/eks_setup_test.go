package conformance

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/eks/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
)

// eksPatience is for real AWS, where a cluster takes ten minutes and a node group five.
const eksPatience = 25 * time.Minute

// eksPoll is the least time between two looks at something that takes long; see poll for the most.
const eksPoll = 200 * time.Millisecond

// eksSuite is one account's EKS with a network and roles to create clusters in.
type eksSuite struct {
	*eks.Client
	t                    *testing.T
	embedded             bool
	clusterRole, nodeARN string
	subnets              []string // two zones
	sameZone             string   // a third subnet, in the zone of the first
}

func newEKSSuite(t *testing.T) *eksSuite { return eksSuiteOf(t, target(t, "eks")) }

func eksSuiteOf(t *testing.T, target Target) *eksSuite {
	s := &eksSuite{Client: eks.NewFromConfig(target.Config), t: t, embedded: target.Embedded}
	suffix := fmt.Sprint(time.Now().UnixNano() % 1e9)
	s.network(ec2.NewFromConfig(target.Config))
	roles := iam.NewFromConfig(target.Config)
	s.clusterRole = s.role(roles, "conformance-cluster-"+suffix, "eks.amazonaws.com", "AmazonEKSClusterPolicy")
	s.nodeARN = s.role(roles, "conformance-node-"+suffix, "ec2.amazonaws.com", "AmazonEKSWorkerNodePolicy", "AmazonEKS_CNI_Policy", "AmazonEC2ContainerRegistryReadOnly")
	return s
}

func (s *eksSuite) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// undo runs when the test ends, in reverse order. What fails there leaves something behind, which is worth knowing.
func (s *eksSuite) undo(what string, f func(context.Context) error) {
	s.t.Cleanup(func() {
		if err := f(context.Background()); err != nil {
			s.t.Logf("%s stays: %v", what, err)
		}
	})
}

func (s *eksSuite) network(c *ec2.Client) {
	ctx := s.t.Context()
	vpc, err := c.CreateVpc(ctx, &ec2.CreateVpcInput{CidrBlock: aws.String("10.42.0.0/16")})
	s.must(err)
	s.undo("VPC", func(ctx context.Context) error {
		_, err := c.DeleteVpc(ctx, &ec2.DeleteVpcInput{VpcId: vpc.Vpc.VpcId})
		return err
	})
	zones, err := c.DescribeAvailabilityZones(ctx, &ec2.DescribeAvailabilityZonesInput{})
	s.must(err)
	for i, zone := range []int{0, 1, 0} {
		out, err := c.CreateSubnet(ctx, &ec2.CreateSubnetInput{
			VpcId: vpc.Vpc.VpcId, CidrBlock: aws.String(fmt.Sprintf("10.42.%d.0/24", i)), AvailabilityZone: zones.AvailabilityZones[zone].ZoneName,
		})
		s.must(err)
		s.undo("subnet", func(ctx context.Context) error {
			_, err := c.DeleteSubnet(ctx, &ec2.DeleteSubnetInput{SubnetId: out.Subnet.SubnetId})
			return err
		})
		s.subnets = append(s.subnets, *out.Subnet.SubnetId)
	}
	s.sameZone, s.subnets = s.subnets[2], s.subnets[:2]
}

func (s *eksSuite) role(c *iam.Client, name, service string, policies ...string) string {
	ctx := s.t.Context()
	trust, err := json.Marshal(map[string]any{"Version": "2012-10-17", "Statement": []any{map[string]any{
		"Effect": "Allow", "Principal": map[string]string{"Service": service}, "Action": "sts:AssumeRole",
	}}})
	s.must(err)
	out, err := c.CreateRole(ctx, &iam.CreateRoleInput{RoleName: &name, AssumeRolePolicyDocument: aws.String(string(trust))})
	s.must(err)
	s.undo("role "+name, func(ctx context.Context) error {
		_, err := c.DeleteRole(ctx, &iam.DeleteRoleInput{RoleName: &name})
		return err
	})
	for _, p := range policies {
		arn := "arn:aws:iam::aws:policy/" + p
		if _, err := c.AttachRolePolicy(ctx, &iam.AttachRolePolicyInput{RoleName: &name, PolicyArn: &arn}); err != nil {
			s.t.Logf("policy %s is not there: %v", p, err) // some implementations have none of AWS's policies
			continue
		}
		s.undo("policy of "+name, func(ctx context.Context) error {
			_, err := c.DetachRolePolicy(ctx, &iam.DetachRolePolicyInput{RoleName: &name, PolicyArn: &arn})
			return err
		})
	}
	return *out.Role.Arn
}

func (s *eksSuite) input(name string) *eks.CreateClusterInput {
	return &eks.CreateClusterInput{
		Name: &name, RoleArn: &s.clusterRole, Version: aws.String("1.35"), ResourcesVpcConfig: &types.VpcConfigRequest{SubnetIds: s.subnets},
		AccessConfig: &types.CreateAccessConfigRequest{AuthenticationMode: types.AuthenticationModeApi}, Tags: map[string]string{"suite": "conformance"},
	}
}

// poll is gentle with real AWS.
func (s *eksSuite) poll() time.Duration {
	if s.embedded {
		return eksPoll
	}
	return 15 * time.Second
}

// missing skips what another implementation does not have. The embedded cloud has it all.
func (s *eksSuite) missing(t *testing.T, err error) {
	t.Helper()
	var r *awshttp.ResponseError
	if !s.embedded && errors.As(err, &r) && (r.HTTPStatusCode() == http.StatusNotImplemented || r.HTTPStatusCode() == http.StatusNotFound) {
		t.Skipf("not implemented there: %v", err)
	}
}

func eksName(t *testing.T) string {
	t.Helper()
	return fmt.Sprintf("conformance-%d", time.Now().UnixNano()%1e9)
}

// create asks for a cluster, again if its role is too new for EKS to see.
func (s *eksSuite) create(in *eks.CreateClusterInput) *types.Cluster {
	t := s.t
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for {
		out, err := s.CreateCluster(t.Context(), in)
		var invalid *types.InvalidParameterException
		if errors.As(err, &invalid) && strings.Contains(err.Error(), "could not be assumed") && time.Now().Before(deadline) {
			select { // IAM is eventually consistent: another service sees a new role only later
			case <-time.After(200 * time.Millisecond):
				continue
			case <-t.Context().Done():
			}
		}
		s.must(err)
		s.undo("cluster", func(ctx context.Context) error { return s.remove(ctx, *in.Name) })
		return out.Cluster
	}
}

// remove deletes a cluster with what is in it, if it is there.
func (s *eksSuite) remove(ctx context.Context, cluster string) error {
	_, err := s.DescribeCluster(ctx, &eks.DescribeClusterInput{Name: &cluster})
	var gone *types.ResourceNotFoundException
	if errors.As(err, &gone) {
		return nil
	}
	if err != nil {
		return err
	}
	groups, err := s.ListNodegroups(ctx, &eks.ListNodegroupsInput{ClusterName: &cluster})
	if err != nil {
		return err
	}
	for _, g := range groups.Nodegroups {
		if _, err := s.DeleteNodegroup(ctx, &eks.DeleteNodegroupInput{ClusterName: &cluster, NodegroupName: &g}); err != nil {
			return err
		}
		w := eks.NewNodegroupDeletedWaiter(s.Client, func(o *eks.NodegroupDeletedWaiterOptions) { o.MinDelay, o.MaxDelay = eksPoll, s.poll() })
		if err := w.Wait(ctx, &eks.DescribeNodegroupInput{ClusterName: &cluster, NodegroupName: &g}, eksPatience); err != nil {
			return err
		}
	}
	if _, err := s.DeleteCluster(ctx, &eks.DeleteClusterInput{Name: &cluster}); err != nil {
		return err
	}
	w := eks.NewClusterDeletedWaiter(s.Client, func(o *eks.ClusterDeletedWaiterOptions) { o.MinDelay, o.MaxDelay = eksPoll, s.poll() })
	return w.Wait(ctx, &eks.DescribeClusterInput{Name: &cluster}, eksPatience)
}

func (s *eksSuite) active(cluster string) *types.Cluster {
	s.t.Helper()
	w := eks.NewClusterActiveWaiter(s.Client, func(o *eks.ClusterActiveWaiterOptions) { o.MinDelay, o.MaxDelay = eksPoll, s.poll() })
	out, err := w.WaitForOutput(s.t.Context(), &eks.DescribeClusterInput{Name: &cluster}, eksPatience)
	s.must(err)
	return out.Cluster
}

// finished waits for an update by its id.
func (s *eksSuite) finished(t *testing.T, in *eks.DescribeUpdateInput) *types.Update {
	t.Helper()
	ticker := time.NewTicker(s.poll())
	defer ticker.Stop()
	for {
		out, err := s.DescribeUpdate(t.Context(), in)
		s.missing(t, err)
		if err != nil {
			t.Fatal(err)
		}
		if out.Update.Status != types.UpdateStatusInProgress {
			return out.Update
		}
		select {
		case <-ticker.C:
		case <-t.Context().Done():
			t.Fatal("the update does not end")
		}
	}
}

func wantEKS[E error](t *testing.T, err error, text string) {
	t.Helper()
	var want E
	if !errors.As(err, &want) || !strings.Contains(err.Error(), text) {
		t.Errorf("got %v, want %T with %q", err, want, text)
	}
}
