package awscloud

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eks/types"
	"github.com/aws/smithy-go"

	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

// TestCreation: what EKS answers to a creation, with its own words.
func TestCreation(t *testing.T) {
	api := func(code, message string) error {
		return &smithy.GenericAPIError{Code: code, Message: message, Fault: smithy.FaultClient}
	}
	for _, c := range []struct {
		err  error
		want fault.Class // -1: success
	}{
		{nil, -1},
		{api("ResourceInUseException", "Cluster already exists with name: demo"), -1},
		{api("ResourceInUseException", "NodeGroup already exists with name spot and cluster name demo"), -1},
		{api("ResourceInUseException", "The specified access entry resource is already in use on this cluster."), -1},
		{api("ResourceInUseException", "Cannot VersionUpdate because cluster demo currently has update 1 in progress"), fault.Blocked},
		{api("InvalidParameterException", "Role with arn: arn:aws:iam::1:role/x, could not be assumed because it does not exist or the trusted entity is not correct"), fault.Denied},
		{api("InvalidParameterException", "Following required service principals [ec2.amazonaws.com] were not found in the trust relationships of nodeRole x"), fault.Denied},
		{api("InvalidParameterException", "The subnet ID 'subnet-1' does not exist (Service: AmazonEC2; Status Code: 400; Error Code: InvalidSubnetID.NotFound)"), fault.NotFound},
		{api("InvalidParameterException", "The following supplied instance types do not exist: [m9.large]"), fault.Invalid},
		{api("InvalidParameterException", "unsupported Kubernetes version"), fault.Invalid},
		{api("InvalidRequestException", "Cluster 'demo' is not in ACTIVE status"), fault.Blocked},
		{api("ResourceLimitExceededException", "Cluster limit exceeded"), fault.Invalid},
		{api("ResourcePropagationDelayException", "role"), fault.Denied},
		{api("ThrottlingException", "Rate exceeded"), fault.Throttled},
		{api("AccessDeniedException", "not authorized"), fault.Denied},
		{errors.New("connection reset"), fault.Transient},
	} {
		err := creation("eks:Create", c.err)
		if got := fault.Of(err); (err == nil) != (c.want == -1) || err != nil && got != c.want {
			t.Errorf("%v: %v (%v), want %v", c.err, err, got, c.want)
		}
	}
}

func TestControlPlane(t *testing.T) {
	c, err := controlPlane(types.Cluster{
		Name: aws.String("demo"), Arn: aws.String("arn:aws:eks:us-east-1:123456789012:cluster/demo"), Version: aws.String("1.36"),
		Status: types.ClusterStatusActive, Endpoint: aws.String("https://x"), RoleArn: aws.String("arn:aws:iam::123456789012:role/r"),
		CertificateAuthority: &types.Certificate{Data: aws.String(base64.StdEncoding.EncodeToString([]byte("PEM")))},
		ResourcesVpcConfig:   &types.VpcConfigResponse{VpcId: aws.String("vpc-1"), EndpointPublicAccess: true},
		Logging: &types.Logging{ClusterLogging: []types.LogSetup{
			{Enabled: aws.Bool(true), Types: []types.LogType{"audit", "api"}}, {Enabled: aws.Bool(false), Types: []types.LogType{"scheduler"}},
		}},
		AccessConfig: &types.AccessConfigResponse{AuthenticationMode: types.AuthenticationModeApi},
		Health:       &types.ClusterHealth{Issues: []types.ClusterIssue{{Code: "Other", Message: aws.String("why")}}},
	})
	want := fleet.ControlPlane{RoleARN: "arn:aws:iam::123456789012:role/r", VPC: "vpc-1", PublicAccess: true, Logging: []string{"api", "audit"},
		AuthMode: "API", Issues: []string{"Other: why"}}
	want.Cluster = fleet.Cluster{Name: "demo", ARN: "arn:aws:eks:us-east-1:123456789012:cluster/demo", Account: "123456789012", Region: "us-east-1",
		Version: "1.36", Status: "ACTIVE", Endpoint: "https://x", CAData: []byte("PEM")}
	if err != nil || !reflect.DeepEqual(c, want) {
		t.Errorf("%v\ngot  %+v\nwant %+v", err, c, want)
	}
	if c, err := controlPlane(types.Cluster{Status: types.ClusterStatusCreating}); err != nil || c.Status != "CREATING" {
		t.Errorf("a cluster in the making: %+v, %v", c, err)
	}
	if _, err := controlPlane(types.Cluster{CertificateAuthority: &types.Certificate{Data: aws.String("%")}}); err == nil {
		t.Error("a broken certificate is taken")
	}
}

func TestNodeGroup(t *testing.T) {
	g := nodeGroup(types.Nodegroup{
		NodegroupName: aws.String("spot"), Status: types.NodegroupStatusCreateFailed, CapacityType: types.CapacityTypesSpot,
		InstanceTypes: []string{"m5.large"}, DiskSize: aws.Int32(80), AmiType: types.AMITypesAl2023X8664Standard,
		ScalingConfig: &types.NodegroupScalingConfig{MinSize: aws.Int32(1), MaxSize: aws.Int32(6), DesiredSize: aws.Int32(3)},
		UpdateConfig:  &types.NodegroupUpdateConfig{MaxUnavailable: aws.Int32(1)},
		Taints:        []types.Taint{{Key: aws.String("a"), Value: aws.String("b"), Effect: types.TaintEffectPreferNoSchedule}},
		Health:        &types.NodegroupHealth{Issues: []types.Issue{{Code: "NodeCreationFailure", Message: aws.String("no"), ResourceIds: []string{"i-1"}}}},
	})
	want := fleet.NodeGroup{Status: "CREATE_FAILED", Issues: []string{"NodeCreationFailure: no (i-1)"}, NodeGroupSpec: fleet.NodeGroupSpec{
		Name: "spot", Spot: true, InstanceTypes: []string{"m5.large"}, DiskGiB: 80, AMIType: "AL2023_x86_64_STANDARD", Min: 1, Max: 6, Desired: 3,
		MaxUnavailable: 1, Taints: []fleet.Taint{{Key: "a", Value: "b", Effect: "PreferNoSchedule"}},
	}}
	if !reflect.DeepEqual(g, want) {
		t.Errorf("got  %+v\nwant %+v", g, want)
	}
}

func TestTrust(t *testing.T) {
	for service, actions := range map[string]int{"eks.amazonaws.com": 2, "ec2.amazonaws.com": 1} {
		var doc struct {
			Version   string
			Statement []struct {
				Effect    string
				Principal map[string]string
				Action    []string
			}
		}
		if err := json.Unmarshal([]byte(trust(service)), &doc); err != nil {
			t.Fatal(err)
		}
		s := doc.Statement[0]
		if doc.Version != "2012-10-17" || s.Effect != "Allow" || s.Principal["Service"] != service || len(s.Action) != actions || !slices.Contains(s.Action, "sts:AssumeRole") {
			t.Errorf("%+v", doc)
		}
	}
}
