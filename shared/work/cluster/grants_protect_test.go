package cluster_test

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	ekstypes "github.com/aws/aws-sdk-go-v2/service/eks/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	iamtypes "github.com/aws/aws-sdk-go-v2/service/iam/types"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/internal/cloudtest"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

// TestGrantsProtect: what is not ekspedite's is out of the function's reach, and what would give it more than it has.
func TestGrantsProtect(t *testing.T) {
	inBubble(t, quick, func(t *testing.T, r *rig) {
		r.under(t, nil)
		s := &cloudtest.Session{Rig: r.Rig}
		root, own, away := r.ConfigIn(region, r.Cloud), r.ConfigIn(region, s), r.ConfigIn("eu-west-1", s)
		theirs := (&giver{r: r, region: region, ec2: ec2.NewFromConfig(root)})
		vpc, role := theirs.vpc(nil), "other"
		theirs.role([]string{"", role})
		e, i, k := ec2.NewFromConfig(own), iam.NewFromConfig(own), eks.NewFromConfig(own)
		tag := []ec2types.Tag{{Key: aws.String(fleet.TagCluster), Value: aws.String("c")}}
		tagged := []ec2types.TagSpecification{{ResourceType: ec2types.ResourceTypeVpc, Tags: tag}}
		roleTag := []iamtypes.Tag{{Key: aws.String(fleet.TagCluster), Value: aws.String("c")}}
		ours := aws.String("ours")
		made := func(name, path *string) (*iam.CreateRoleOutput, error) {
			return i.CreateRole(ctx, &iam.CreateRoleInput{RoleName: name, Path: path, Tags: roleTag, AssumeRolePolicyDocument: aws.String(anyService)})
		}
		path := aws.String("/ekspedite/us-east-1/c/")
		self := aws.String(r.RoleARN[strings.LastIndexByte(r.RoleARN, '/')+1:])
		admin := aws.String("arn:aws:iam::aws:policy/AdministratorAccess")
		for _, c := range []struct {
			name string
			may  bool
			do   func() error
		}{
			{"make a VPC with the tag", true, func() error {
				_, err := e.CreateVpc(ctx, &ec2.CreateVpcInput{CidrBlock: aws.String("10.0.0.0/16"), TagSpecifications: tagged})
				return err
			}},
			{"make a VPC without it", false, func() error {
				_, err := e.CreateVpc(ctx, &ec2.CreateVpcInput{CidrBlock: aws.String("10.0.0.0/16")})
				return err
			}},
			{"make a VPC in another Region", false, func() error {
				_, err := ec2.NewFromConfig(away).CreateVpc(ctx, &ec2.CreateVpcInput{CidrBlock: aws.String("10.0.0.0/16"), TagSpecifications: tagged})
				return err
			}},
			{"look into another Region", false, func() error {
				_, err := ec2.NewFromConfig(away).DescribeVpcs(ctx, &ec2.DescribeVpcsInput{})
				return err
			}},
			{"delete somebody's VPC", false, func() error { _, err := e.DeleteVpc(ctx, &ec2.DeleteVpcInput{VpcId: &vpc}); return err }},
			{"tag somebody's VPC", false, func() error {
				_, err := e.CreateTags(ctx, &ec2.CreateTagsInput{Resources: []string{vpc}, Tags: tag})
				return err
			}},
			{"make a subnet in somebody's VPC", false, func() error {
				_, err := e.CreateSubnet(ctx, &ec2.CreateSubnetInput{VpcId: &vpc, CidrBlock: aws.String("192.168.64.0/19"), TagSpecifications: []ec2types.TagSpecification{{ResourceType: ec2types.ResourceTypeSubnet, Tags: tag}}})
				return err
			}},
			{"make a role elsewhere", false, func() error { _, err := made(aws.String("elsewhere"), nil); return err }},
			{"make a role below the path", true, func() error { _, err := made(ours, path); return err }},
			{"attach what EKS needs", true, func() error {
				_, err := i.AttachRolePolicy(ctx, &iam.AttachRolePolicyInput{RoleName: ours, PolicyArn: aws.String("arn:aws:iam::aws:policy/AmazonEKSClusterPolicy")})
				return err
			}},
			{"make an administrator", false, func() error {
				_, err := i.AttachRolePolicy(ctx, &iam.AttachRolePolicyInput{RoleName: ours, PolicyArn: admin})
				return err
			}},
			{"write into somebody's role", false, func() error {
				_, err := i.PutRolePolicy(ctx, &iam.PutRolePolicyInput{RoleName: &role, PolicyName: ours, PolicyDocument: aws.String(`{"Version":"2012-10-17","Statement":[]}`)})
				return err
			}},
			{"delete somebody's role", false, func() error { _, err := i.DeleteRole(ctx, &iam.DeleteRoleInput{RoleName: &role}); return err }},
			{"attach to itself", false, func() error {
				_, err := i.AttachRolePolicy(ctx, &iam.AttachRolePolicyInput{RoleName: self, PolicyArn: aws.String("arn:aws:iam::aws:policy/AmazonEKSClusterPolicy")})
				return err
			}},
			{"write into itself", false, func() error {
				_, err := i.PutRolePolicy(ctx, &iam.PutRolePolicyInput{RoleName: self, PolicyName: ours, PolicyDocument: aws.String(`{"Version":"2012-10-17","Statement":[]}`)})
				return err
			}},
			{"hand somebody's role to EKS", false, func() error {
				_, err := k.CreateCluster(ctx, &eks.CreateClusterInput{
					Name: ours, RoleArn: aws.String("arn:aws:iam::" + account + ":role/" + role), Tags: map[string]string{fleet.TagCluster: "ours"},
					ResourcesVpcConfig: &ekstypes.VpcConfigRequest{SubnetIds: []string{"subnet-1", "subnet-2"}},
				})
				return err
			}},
			{"delete somebody's cluster", false, func() error { _, err := k.DeleteCluster(ctx, &eks.DeleteClusterInput{Name: ours}); return err }},
		} {
			err := c.do()
			if denied := err != nil && (strings.Contains(err.Error(), "AccessDenied") || strings.Contains(err.Error(), "UnauthorizedOperation")); denied == c.may {
				t.Errorf("%s: %v", c.name, err)
			} else if c.may && err != nil {
				t.Errorf("%s: %v", c.name, err)
			}
		}
	})
}

// TestGrantsWithBoundary: where the template names a permissions boundary, all roles are made with it, and none without.
func TestGrantsWithBoundary(t *testing.T) {
	inBubble(t, quick, func(t *testing.T, r *rig) {
		text := r.given(example(t, "clusters/irsa.yaml"))
		boundary := "arn:aws:iam::" + account + ":policy/boundary" // which one of the roles in the file names itself
		p := map[string]string{"AttachablePolicies": "arn:aws:iam::*:policy/*", "RoleBoundary": boundary}
		if id := r.names(text)[0]; id.Region != region {
			p["Regions"] = id.Region
		}
		r.under(t, p)
		r.ask("request-1", text)
		r.run()
		if done := r.ended(); done.Outcome != events.OutcomeFailed || !strings.Contains(done.Reason, "iam:CreateRole") {
			t.Errorf("without the boundary: %s: %s", done.Outcome, done.Reason)
		}
		before := len(r.Denied(r.RoleARN))
		r.boundary = boundary
		r.ask("request-2", text)
		r.run()
		if done := r.ended(); done.Outcome != events.OutcomeActive {
			t.Fatalf("%s", last(r.Told(), 6))
		}
		if list := r.Denied(r.RoleARN); len(list) != before {
			t.Errorf("denied:\n%s", strings.Join(list, "\n"))
		}
		r.Script.Writes = 0
		r.ask("request-3", text)
		r.run()
		if done := r.ended(); done.Outcome != events.OutcomeActive || r.Script.Writes != 0 {
			t.Errorf("again: %s, %d writes\n%s", done.Outcome, r.Script.Writes, last(r.Told(), 6))
		}
		roles, err := iam.NewFromConfig(r.ConfigIn(region, r.Cloud)).ListRoles(ctx, &iam.ListRolesInput{PathPrefix: aws.String("/ekspedite/")})
		if err != nil || len(roles.Roles) < 3 {
			t.Fatal(len(roles.Roles), err)
		}
		for _, role := range roles.Roles {
			out, err := iam.NewFromConfig(r.ConfigIn(region, r.Cloud)).GetRole(ctx, &iam.GetRoleInput{RoleName: role.RoleName})
			if err != nil || out.Role.PermissionsBoundary == nil {
				t.Errorf("%s has no boundary, %v", *role.RoleName, err)
			}
		}
	})
}
