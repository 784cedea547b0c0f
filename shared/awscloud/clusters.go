package awscloud

import (
	"context"
	"encoding/base64"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/eks/types"

	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/plan"
)

// Clusters reads and writes EKS.
type Clusters struct{ eks *eks.Client }

// NewClusters makes a Clusters.
func NewClusters(cfg Config) *Clusters { return &Clusters{eks.NewFromConfig(cfg)} }

// Cluster reads how to reach a cluster. An unknown one is fault.NotFound.
func (c *Clusters) Cluster(ctx context.Context, name string) (fleet.Cluster, error) {
	control, err := c.ControlPlane(ctx, name)
	return control.Cluster, err
}

// ControlPlane reads a cluster. An unknown one is fault.NotFound.
func (c *Clusters) ControlPlane(ctx context.Context, name string) (fleet.ControlPlane, error) {
	out, err := c.eks.DescribeCluster(ctx, &eks.DescribeClusterInput{Name: &name})
	if err != nil {
		return fleet.ControlPlane{}, classify("eks:DescribeCluster", err)
	}
	return controlPlane(*out.Cluster)
}

func controlPlane(c types.Cluster) (fleet.ControlPlane, error) {
	f := fleet.ControlPlane{RoleARN: deref(c.RoleArn), Tags: c.Tags}
	f.Name, f.ARN, f.Version, f.Status, f.Endpoint = deref(c.Name), deref(c.Arn), deref(c.Version), string(c.Status), deref(c.Endpoint)
	if parts := strings.Split(f.ARN, ":"); len(parts) > 5 { // arn:aws:eks:REGION:ACCOUNT:cluster/NAME
		f.Region, f.Account = parts[3], parts[4]
	}
	if c.CertificateAuthority != nil {
		pem, err := base64.StdEncoding.DecodeString(deref(c.CertificateAuthority.Data))
		if err != nil {
			return f, fault.New(fault.Transient, "eks:DescribeCluster: the certificate of %s is not base64: %v", f.Name, err)
		}
		f.CAData = pem
	}
	if v := c.ResourcesVpcConfig; v != nil {
		f.VPC, f.Subnets, f.PublicAccessCIDRs = deref(v.VpcId), v.SubnetIds, v.PublicAccessCidrs
		f.PublicAccess, f.PrivateAccess = v.EndpointPublicAccess, v.EndpointPrivateAccess
	}
	if c.Logging != nil {
		for _, l := range c.Logging.ClusterLogging {
			for _, t := range l.Types {
				if deref(l.Enabled) {
					f.Logging = append(f.Logging, string(t))
				}
			}
		}
		slices.Sort(f.Logging)
	}
	if c.AccessConfig != nil {
		f.AuthMode = string(c.AccessConfig.AuthenticationMode)
	}
	if c.Health != nil {
		for _, i := range c.Health.Issues {
			f.Issues = append(f.Issues, string(i.Code)+": "+deref(i.Message))
		}
	}
	return f, nil
}

// NodeGroup reads a managed node group. An unknown one is fault.NotFound.
func (c *Clusters) NodeGroup(ctx context.Context, cluster, name string) (fleet.NodeGroup, error) {
	out, err := c.eks.DescribeNodegroup(ctx, &eks.DescribeNodegroupInput{ClusterName: &cluster, NodegroupName: &name})
	if err != nil {
		return fleet.NodeGroup{}, classify("eks:DescribeNodegroup", err)
	}
	return nodeGroup(*out.Nodegroup), nil
}

func nodeGroup(g types.Nodegroup) fleet.NodeGroup {
	f := fleet.NodeGroup{Status: string(g.Status), Version: deref(g.Version), Subnets: g.Subnets}
	f.Name, f.InstanceTypes, f.AMIType = deref(g.NodegroupName), g.InstanceTypes, string(g.AmiType)
	f.Spot, f.Labels, f.Tags, f.DiskGiB = g.CapacityType == types.CapacityTypesSpot, g.Labels, g.Tags, int(deref(g.DiskSize))
	if s := g.ScalingConfig; s != nil {
		f.Min, f.Max, f.Desired = int(deref(s.MinSize)), int(deref(s.MaxSize)), int(deref(s.DesiredSize))
	}
	if u := g.UpdateConfig; u != nil {
		f.MaxUnavailable, f.MaxUnavailablePercent = int(deref(u.MaxUnavailable)), int(deref(u.MaxUnavailablePercentage))
	}
	for _, t := range g.Taints {
		f.Taints = append(f.Taints, fleet.Taint{Key: deref(t.Key), Value: deref(t.Value), Effect: kubernetesEffect[t.Effect]})
	}
	if g.Health != nil {
		for _, i := range g.Health.Issues {
			text := string(i.Code) + ": " + deref(i.Message)
			if len(i.ResourceIds) > 0 {
				text += " (" + strings.Join(i.ResourceIds, ", ") + ")"
			}
			f.Issues = append(f.Issues, text)
		}
	}
	return f
}

var kubernetesEffect = map[types.TaintEffect]string{
	types.TaintEffectNoSchedule: "NoSchedule", types.TaintEffectNoExecute: "NoExecute", types.TaintEffectPreferNoSchedule: "PreferNoSchedule",
}

// AccessEntry reads a principal's access entry. An absent one is fault.NotFound.
func (c *Clusters) AccessEntry(ctx context.Context, cluster, principal string) (fleet.AccessEntry, error) {
	out, err := c.eks.DescribeAccessEntry(ctx, &eks.DescribeAccessEntryInput{ClusterName: &cluster, PrincipalArn: &principal})
	if err != nil {
		return fleet.AccessEntry{}, classify("eks:DescribeAccessEntry", err)
	}
	e := out.AccessEntry
	return fleet.AccessEntry{Principal: deref(e.PrincipalArn), Username: deref(e.Username), Groups: e.KubernetesGroups}, nil
}

// CreateCluster makes a cluster. One of its name is success.
func (c *Clusters) CreateCluster(ctx context.Context, a plan.CreateCluster) error {
	in := &eks.CreateClusterInput{
		Name: &a.Cluster, Version: optional(a.Version), RoleArn: &a.RoleARN, Tags: a.Tags, ClientRequestToken: &a.Token,
		ResourcesVpcConfig: &types.VpcConfigRequest{
			SubnetIds: a.Subnets, EndpointPublicAccess: &a.PublicAccess, EndpointPrivateAccess: &a.PrivateAccess,
			PublicAccessCidrs: a.PublicAccessCIDRs,
		},
		AccessConfig: &types.CreateAccessConfigRequest{
			AuthenticationMode:                      types.AuthenticationMode(a.AuthMode),
			BootstrapClusterCreatorAdminPermissions: aws.Bool(true), // so that PutClusterAccess can
		},
	}
	if a.ServiceCIDR != "" {
		in.KubernetesNetworkConfig = &types.KubernetesNetworkConfigRequest{ServiceIpv4Cidr: &a.ServiceCIDR}
	}
	if len(a.Logging) > 0 {
		setup := types.LogSetup{Enabled: aws.Bool(true)}
		for _, t := range a.Logging {
			setup.Types = append(setup.Types, types.LogType(t))
		}
		in.Logging = &types.Logging{ClusterLogging: []types.LogSetup{setup}}
	}
	_, err := c.eks.CreateCluster(ctx, in)
	return creation("eks:CreateCluster", err)
}

// CreateNodeGroup makes a managed node group. One of its name is success.
func (c *Clusters) CreateNodeGroup(ctx context.Context, a plan.CreateNodeGroup) error {
	s := a.Spec
	in := &eks.CreateNodegroupInput{
		ClusterName: &a.Cluster, NodegroupName: &s.Name, NodeRole: &a.RoleARN, Subnets: a.Subnets, AmiType: types.AMITypes(s.AMIType),
		CapacityType: types.CapacityTypesOnDemand, InstanceTypes: s.InstanceTypes, DiskSize: aws.Int32(int32(s.DiskGiB)),
		Labels: maps.Clone(s.Labels), Tags: a.Tags, ClientRequestToken: &a.Token,
		ScalingConfig: &types.NodegroupScalingConfig{MinSize: aws.Int32(int32(s.Min)), MaxSize: aws.Int32(int32(s.Max)), DesiredSize: aws.Int32(int32(s.Desired))},
	}
	if s.Spot {
		in.CapacityType = types.CapacityTypesSpot
	}
	for _, t := range s.Taints {
		for effect, name := range kubernetesEffect {
			if name == t.Effect {
				in.Taints = append(in.Taints, types.Taint{Key: aws.String(t.Key), Value: optional(t.Value), Effect: effect})
			}
		}
	}
	switch {
	case s.MaxUnavailable > 0:
		in.UpdateConfig = &types.NodegroupUpdateConfig{MaxUnavailable: aws.Int32(int32(s.MaxUnavailable))}
	case s.MaxUnavailablePercent > 0:
		in.UpdateConfig = &types.NodegroupUpdateConfig{MaxUnavailablePercentage: aws.Int32(int32(s.MaxUnavailablePercent))}
	}
	_, err := c.eks.CreateNodegroup(ctx, in)
	return creation("eks:CreateNodegroup", err)
}

// CreateAccessEntry lets a principal in. An entry for it is success.
func (c *Clusters) CreateAccessEntry(ctx context.Context, a plan.CreateAccessEntry) error {
	_, err := c.eks.CreateAccessEntry(ctx, &eks.CreateAccessEntryInput{
		ClusterName: &a.Cluster, PrincipalArn: &a.Principal, Username: optional(a.Username), KubernetesGroups: a.Groups,
		Type: aws.String("STANDARD"), Tags: a.Tags, ClientRequestToken: &a.Token,
	})
	return creation("eks:CreateAccessEntry", err)
}

// creation classes what EKS answers to a creation more finely than its codes do: it says the same "invalid parameter" of a
// role that does not exist and of one that it does not see yet.
func creation(op string, err error) error {
	err = classify(op, err)
	var f *fault.Error
	if !errors.As(err, &f) {
		return err
	}
	text := f.Err.Error()
	says := func(parts ...string) bool {
		return slices.ContainsFunc(parts, func(p string) bool { return strings.Contains(text, p) })
	}
	switch f.Code {
	case "ResourceInUseException":
		if says("already exists", "is already in use on this cluster") {
			return nil
		}
	case "InvalidParameterException":
		switch {
		case says("could not be assumed", "trust relationships of nodeRole", "trusted entity"):
			f.Class = fault.Denied
		case says(".NotFound", "does not exist") && says("subnet"):
			f.Class = fault.NotFound
		}
	case "InvalidRequestException":
		if says("is not in ACTIVE status", "currently") {
			f.Class = fault.Blocked
		}
	}
	return err
}
