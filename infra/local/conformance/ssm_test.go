package conformance

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
)

func TestSSMParameters(t *testing.T) {
	c := ssm.NewFromConfig(target(t, "ssm").Config)
	ctx := t.Context()
	folder := fmt.Sprintf("/conformance/%d", time.Now().UnixNano())
	name := aws.String(folder + "/a")
	if _, err := c.PutParameter(ctx, &ssm.PutParameterInput{Name: name, Type: types.ParameterTypeString, Value: aws.String("1")}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = c.DeleteParameter(context.Background(), &ssm.DeleteParameterInput{Name: name}) })
	_, err := c.PutParameter(ctx, &ssm.PutParameterInput{Name: name, Type: types.ParameterTypeString, Value: aws.String("2")})
	apiError(t, err, "ParameterAlreadyExists")
	if out, err := c.PutParameter(ctx, &ssm.PutParameterInput{Name: name, Type: types.ParameterTypeString, Value: aws.String("2"), Overwrite: aws.Bool(true)}); err != nil || out.Version != 2 {
		t.Errorf("%+v %v", out, err)
	}
	if out, err := c.GetParameter(ctx, &ssm.GetParameterInput{Name: name}); err != nil || *out.Parameter.Value != "2" || !strings.HasSuffix(*out.Parameter.ARN, ":parameter"+*name) {
		t.Errorf("%+v %v", out, err)
	}
	if out, err := c.GetParametersByPath(ctx, &ssm.GetParametersByPathInput{Path: &folder}); err != nil || len(out.Parameters) != 1 {
		t.Errorf("%+v %v", out, err)
	}
	if out, err := c.GetParameters(ctx, &ssm.GetParametersInput{Names: []string{*name, folder + "/b"}}); err != nil || len(out.Parameters) != 1 || len(out.InvalidParameters) != 1 {
		t.Errorf("%+v %v", out, err)
	}
	if _, err := c.DeleteParameter(ctx, &ssm.DeleteParameterInput{Name: name}); err != nil {
		t.Fatal(err)
	}
	_, err = c.GetParameter(ctx, &ssm.GetParameterInput{Name: name})
	apiError(t, err, "ParameterNotFound")
}

// The images that the public parameters name exist.
func TestSSMImages(t *testing.T) {
	tg := target(t, "ssm")
	if !exact(tg) {
		t.Skip("moto's images are others")
	}
	c, machines := ssm.NewFromConfig(tg.Config), ec2.NewFromConfig(tg.Config)
	for _, name := range []string{
		"/aws/service/eks/optimized-ami/1.35/amazon-linux-2023/x86_64/standard/recommended/image_id",
		"/aws/service/eks/optimized-ami/1.35/amazon-linux-2023/arm64/standard/recommended/image_id",
		"/aws/service/eks/optimized-ami/1.35/amazon-linux-2023/x86_64/nvidia/recommended/image_id",
		"/aws/service/eks/optimized-ami/1.35/amazon-linux-2023/x86_64/neuron/recommended/image_id",
		"/aws/service/bottlerocket/aws-k8s-1.35/x86_64/latest/image_id",
		"/aws/service/bottlerocket/aws-k8s-1.35/arm64/latest/image_id",
		"/aws/service/ami-windows-latest/Windows_Server-2022-English-Core-EKS_Optimized-1.35/image_id",
	} {
		out, err := c.GetParameter(t.Context(), &ssm.GetParameterInput{Name: &name})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		images, err := machines.DescribeImages(t.Context(), &ec2.DescribeImagesInput{ImageIds: []string{*out.Parameter.Value}})
		if err != nil || len(images.Images) != 1 {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if arm := strings.Contains(name, "arm64"); arm != (images.Images[0].Architecture == "arm64") {
			t.Errorf("%s is %s", name, images.Images[0].Architecture)
		}
	}
	r, err := c.GetParameter(t.Context(), &ssm.GetParameterInput{Name: aws.String("/aws/service/eks/optimized-ami/1.35/amazon-linux-2023/x86_64/standard/recommended/release_version")})
	if err != nil || !strings.HasPrefix(*r.Parameter.Value, "1.35.") {
		t.Errorf("release %+v %v", r, err)
	}
}
