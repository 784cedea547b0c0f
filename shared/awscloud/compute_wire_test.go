package awscloud_test

import (
	"bytes"
	"io"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/ekspedite/ekspedite/shared/awscloud"
	"github.com/ekspedite/ekspedite/shared/batch"
	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

// tally counts calls by their action on the way to the cloud, and takes a while for each.
type tally struct {
	next  http.RoundTripper
	mu    sync.Mutex
	calls map[string]int
}

func (c *tally) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	form, _ := url.ParseQuery(string(body))
	c.mu.Lock()
	c.calls[form.Get("Action")]++
	c.mu.Unlock()
	time.Sleep(10 * time.Millisecond)
	return c.next.RoundTrip(r)
}

// A batch of ten that asks for ten machines, two of which EC2 does not know and one that is no machine's id, costs a call and
// one more for each kind of refusal, and nobody learns of another's error.
func TestABatchAsksTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cloud, cfg := embedded(t)
		count := &tally{next: cloud, calls: map[string]int{}}
		cfg.HTTPClient = &http.Client{Transport: count}
		machines, compute := ec2.NewFromConfig(cfg), awscloud.NewCompute(cfg)
		run := func(n int32, tags ...ec2types.Tag) (ids []string) {
			out := must(machines.RunInstances(t.Context(), &ec2.RunInstancesInput{ImageId: aws.String("ami-12c6146b"), InstanceType: "m5.large", MinCount: &n, MaxCount: &n,
				SubnetId: subnetOf(t, machines), TagSpecifications: []ec2types.TagSpecification{{ResourceType: "instance", Tags: append(tags, ec2types.Tag{Key: aws.String("a"), Value: aws.String("b")})}}}))(t)
			for _, i := range out.Instances {
				ids = append(ids, *i.InstanceId)
			}
			return ids
		}
		ours := run(3, ec2types.Tag{Key: aws.String(fleet.TagEKSCluster), Value: aws.String("demo")})
		ours = append(ours, run(2, ec2types.Tag{Key: aws.String(fleet.TagOwnedPrefix + "demo"), Value: aws.String("owned")})...)
		known := append(run(2), ours...)

		count.calls = map[string]int{}
		ctx, _ := batch.With(t.Context(), 10)
		began := time.Now()
		var wg sync.WaitGroup
		for id, want := range map[string]error{"i-0aaaaaaaaaaaaaaaa": fault.New(fault.NotFound, ""), "i-0bbbbbbbbbbbbbbbb": fault.New(fault.NotFound, ""), "nonsense": fault.New(fault.Invalid, "")} {
			wg.Go(func() {
				if _, err := compute.Instance(ctx, id); fault.Of(err) != fault.Of(want) || err == nil {
					t.Errorf("%s: %v", id, err)
				}
			})
		}
		for _, id := range known {
			wg.Go(func() {
				if i, err := compute.Instance(ctx, id); err != nil || i.ID != id || i.State == "" {
					t.Errorf("%s: %+v, %v", id, i, err)
				}
			})
		}
		wg.Wait()
		if n := count.calls["DescribeInstances"]; n > 3 || time.Since(began) > 40*time.Millisecond {
			t.Errorf("%d calls, %s", n, time.Since(began))
		}
		for range 10 {
			wg.Go(func() {
				if g, err := compute.ScalingGroup(ctx, known[0]); err != nil || g.Name != "" {
					t.Errorf("%+v, %v", g, err)
				}
			})
		}
		wg.Wait()
		if n := count.calls["DescribeAutoScalingInstances"]; n != 1 {
			t.Errorf("%d calls for the groups", n)
		}

		got, err := compute.OurInstances(t.Context())
		slices.Sort(got)
		slices.Sort(ours)
		if err != nil || !slices.Equal(got, ours) {
			t.Errorf("ours are %q, %v; want %q", got, err, ours)
		}
	})
}

func subnetOf(t *testing.T, machines *ec2.Client) *string {
	vpc := must(machines.CreateVpc(t.Context(), &ec2.CreateVpcInput{CidrBlock: aws.String("10.31.0.0/16")}))(t).Vpc.VpcId
	return must(machines.CreateSubnet(t.Context(), &ec2.CreateSubnetInput{VpcId: vpc, CidrBlock: aws.String("10.31.0.0/24"), AvailabilityZone: aws.String("us-east-1a")}))(t).Subnet.SubnetId
}
