package awscloud

import (
	"encoding/base64"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eks/types"
	"github.com/aws/smithy-go"

	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/plan"
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
		{api("ResourceInUseException", "Cluster already exists with name: demo"), fault.Conflict},
		{api("ResourceInUseException", "NodeGroup already exists with name spot and cluster name demo"), fault.Conflict},
		{api("ResourceInUseException", "The specified access entry resource is already in use on this cluster."), fault.Conflict},
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

func TestReachable(t *testing.T) {
	c, err := reachable(types.Cluster{
		Name: aws.String("demo"), Arn: aws.String("arn:aws:eks:us-east-1:123456789012:cluster/demo"), Version: aws.String("1.36"),
		Status: types.ClusterStatusActive, Endpoint: aws.String("https://x"),
		CertificateAuthority: &types.Certificate{Data: aws.String(base64.StdEncoding.EncodeToString([]byte("PEM")))},
	})
	want := fleet.Cluster{Name: "demo", ARN: "arn:aws:eks:us-east-1:123456789012:cluster/demo", Account: "123456789012", Region: "us-east-1",
		Version: "1.36", Status: "ACTIVE", Endpoint: "https://x", CAData: []byte("PEM")}
	if err != nil || !reflect.DeepEqual(c, want) {
		t.Errorf("%v\ngot  %+v\nwant %+v", err, c, want)
	}
	if c, err := reachable(types.Cluster{Status: types.ClusterStatusCreating}); err != nil || c.Status != "CREATING" {
		t.Errorf("a cluster in the making: %+v, %v", c, err)
	}
	if _, err := reachable(types.Cluster{CertificateAuthority: &types.Certificate{Data: aws.String("%")}}); err == nil {
		t.Error("a broken certificate is taken")
	}
}

// TestProps: what the SDK says is told in the API's own names, and no more than it says.
func TestProps(t *testing.T) {
	g := described(types.Nodegroup{
		NodegroupName: aws.String("spot"), NodegroupArn: aws.String("arn:aws:eks:us-east-1:1:nodegroup/demo/spot/1"), Status: types.NodegroupStatusCreateFailed,
		InstanceTypes: []string{"m5.large"}, DiskSize: aws.Int32(80), Labels: map[string]string{"Team": "web"}, Tags: map[string]string{"a": "b"},
		ScalingConfig: &types.NodegroupScalingConfig{MinSize: aws.Int32(0), MaxSize: aws.Int32(6)},
		Health:        &types.NodegroupHealth{Issues: []types.Issue{{Code: "NodeCreationFailure", Message: aws.String("no"), ResourceIds: []string{"i-1"}}}},
	}, "spot")
	want := fleet.Resource{Physical: "spot", ARN: "arn:aws:eks:us-east-1:1:nodegroup/demo/spot/1", Status: "CREATE_FAILED", Tags: map[string]string{"a": "b"},
		Issues: []string{"NodeCreationFailure: no (i-1)"}, Props: fleet.Props{
			"nodegroupName": "spot", "nodegroupArn": "arn:aws:eks:us-east-1:1:nodegroup/demo/spot/1", "status": "CREATE_FAILED", "instanceTypes": []any{"m5.large"},
			"diskSize": 80, "labels": map[string]string{"Team": "web"}, "scalingConfig": fleet.Props{"minSize": 0, "maxSize": 6},
			"health": fleet.Props{"issues": []any{fleet.Props{"code": "NodeCreationFailure", "message": "no", "resourceIds": []any{"i-1"}}}},
		}}
	if !reflect.DeepEqual(g, want) {
		t.Errorf("got  %#v\nwant %#v", g, want)
	}
}

// TestInputsAreReadStrictly: what an operation does not know is not left out in silence.
func TestInputsAreReadStrictly(t *testing.T) {
	r := NewRegion(Static("http://127.0.0.1:1", "us-east-1", "a", "b"))
	for _, in := range []fleet.Props{{"name": "demo", "colour": "red"}, {"name": 7}, {"resourcesVpcConfig": fleet.Props{"subnets": []any{}}}} {
		_, err := r.Call(t.Context(), plan.Call{API: "eks:CreateCluster", Input: in})
		if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "cannot be said this way") {
			t.Errorf("%v: %v", in, err)
		}
	}
	if _, err := r.Call(t.Context(), plan.Call{API: "eks:MakeCoffee"}); !fault.Is(err, fault.Invalid) {
		t.Error(err)
	}
}
