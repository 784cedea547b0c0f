package conformance

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/smithy-go"
)

// ec2Suite is a client with helpers that fail the test.
type ec2Suite struct {
	*ec2.Client
	t    *testing.T
	tg   Target
	ctx  context.Context
	name string // unique, for what needs a name
}

func newEC2(t *testing.T) *ec2Suite {
	tg := target(t, "ec2")
	return &ec2Suite{ec2.NewFromConfig(tg.Config), t, tg, t.Context(), fmt.Sprintf("conf-%d", time.Now().UnixNano())}
}

// wantEC2 checks that a call failed with an error code of AWS's.
func wantEC2(t *testing.T, err error, codes ...string) {
	t.Helper()
	api, ok := errors.AsType[smithy.APIError](err)
	if !ok {
		t.Errorf("want %v, got %v", codes, err)
	} else if !slices.Contains(codes, api.ErrorCode()) {
		t.Errorf("want %v, got %s: %s", codes, api.ErrorCode(), api.ErrorMessage())
	}
}

// must stops the test at an error.
func must[T any](v T, err error) func(t *testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// undo runs when the test ends; a failure to clean up is a failure.
func (s *ec2Suite) undo(what string, f func(ctx context.Context) error) {
	s.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
		defer cancel()
		if err := f(ctx); err != nil {
			s.t.Errorf("cleaning up %s: %v", what, err)
		}
	})
}

func (s *ec2Suite) tags(kind types.ResourceType) []types.TagSpecification {
	return []types.TagSpecification{{ResourceType: kind, Tags: []types.Tag{{Key: aws.String("suite"), Value: &s.name}}}}
}

func (s *ec2Suite) mine() types.Filter {
	return types.Filter{Name: aws.String("tag:suite"), Values: []string{s.name}}
}

// vpc makes a VPC with a subnet in each of the first n zones; both go with the test.
func (s *ec2Suite) vpc(n int) (vpc string, subnets []string) {
	s.t.Helper()
	v := must(s.CreateVpc(s.ctx, &ec2.CreateVpcInput{CidrBlock: aws.String("10.7.0.0/16"), TagSpecifications: s.tags("vpc")}))(s.t)
	vpc = *v.Vpc.VpcId
	s.undo("VPC", func(ctx context.Context) error {
		_, err := s.DeleteVpc(ctx, &ec2.DeleteVpcInput{VpcId: &vpc})
		return err
	})
	zones := must(s.DescribeAvailabilityZones(s.ctx, &ec2.DescribeAvailabilityZonesInput{Filters: []types.Filter{{Name: aws.String("zone-type"), Values: []string{"availability-zone"}}}}))(s.t)
	for i := range n {
		sub := must(s.CreateSubnet(s.ctx, &ec2.CreateSubnetInput{VpcId: &vpc, CidrBlock: aws.String(fmt.Sprintf("10.7.%d.0/24", i)), AvailabilityZone: zones.AvailabilityZones[i].ZoneName, TagSpecifications: s.tags("subnet")}))(s.t)
		id := *sub.Subnet.SubnetId
		subnets = append(subnets, id)
		s.undo("subnet", func(ctx context.Context) error {
			_, err := s.DeleteSubnet(ctx, &ec2.DeleteSubnetInput{SubnetId: &id})
			return err
		})
	}
	return vpc, subnets
}

// image is an AMI: any of the embedded cloud's and moto's, and on AWS the one that $IMAGE names.
func (s *ec2Suite) image() *string {
	switch {
	case os.Getenv("IMAGE") != "":
		return aws.String(os.Getenv("IMAGE"))
	case s.tg.Endpoint == "":
		s.t.Skip("IMAGE names no AMI to run")
	}
	return aws.String("ami-12c6146b")
}

// run makes a call several times to start instances, which are terminated with the test.
func (s *ec2Suite) run(times int, in *ec2.RunInstancesInput) []types.Instance {
	s.t.Helper()
	var started []types.Instance
	var ids []string
	for range times {
		each := *in // the client puts its token into what it is given
		for _, i := range must(s.RunInstances(s.ctx, &each))(s.t).Instances {
			started = append(started, i)
			ids = append(ids, *i.InstanceId)
		}
	}
	s.undo("instances", func(ctx context.Context) error {
		if _, err := s.TerminateInstances(ctx, &ec2.TerminateInstancesInput{InstanceIds: ids}); err != nil {
			return err
		}
		return ec2.NewInstanceTerminatedWaiter(s, func(o *ec2.InstanceTerminatedWaiterOptions) { o.MinDelay, o.MaxDelay = s.delay(), s.delay() }).
			Wait(ctx, &ec2.DescribeInstancesInput{InstanceIds: ids}, 5*time.Minute)
	})
	return started
}

// delay is how often waiters look.
func (s *ec2Suite) delay() time.Duration {
	if s.tg.Endpoint == "" {
		return 5 * time.Second
	}
	return 100 * time.Millisecond
}

func (s *ec2Suite) running(ids ...string) {
	s.t.Helper()
	w := ec2.NewInstanceRunningWaiter(s, func(o *ec2.InstanceRunningWaiterOptions) { o.MinDelay, o.MaxDelay = s.delay(), s.delay() })
	if err := w.Wait(s.ctx, &ec2.DescribeInstancesInput{InstanceIds: ids}, 5*time.Minute); err != nil {
		s.t.Fatal(err)
	}
}

func TestEC2Catalogue(t *testing.T) {
	t.Parallel()
	s := newEC2(t)
	zones := must(s.DescribeAvailabilityZones(s.ctx, &ec2.DescribeAvailabilityZonesInput{}))(t)
	if len(zones.AvailabilityZones) < 3 || *zones.AvailabilityZones[0].RegionName != s.tg.Region || zones.AvailabilityZones[0].State != "available" {
		t.Errorf("zones %+v", zones.AvailabilityZones)
	}
	kinds := must(s.DescribeInstanceTypes(s.ctx, &ec2.DescribeInstanceTypesInput{InstanceTypes: []types.InstanceType{"m5.large", "t4g.small"}}))(t)
	for _, k := range kinds.InstanceTypes {
		arch, memory := types.ArchitectureType("x86_64"), int64(8192)
		if k.InstanceType == "t4g.small" {
			arch, memory = "arm64", 2048
		}
		if !slices.Contains(k.ProcessorInfo.SupportedArchitectures, arch) || *k.MemoryInfo.SizeInMiB != memory || *k.VCpuInfo.DefaultVCpus != 2 || *k.NetworkInfo.MaximumNetworkInterfaces != 3 {
			t.Errorf("%s: %+v", k.InstanceType, k)
		}
	}
	if len(kinds.InstanceTypes) != 2 {
		t.Errorf("%d types", len(kinds.InstanceTypes))
	}
	_, err := s.DescribeInstanceTypes(s.ctx, &ec2.DescribeInstanceTypesInput{InstanceTypes: []types.InstanceType{"m5.tiny"}})
	wantEC2(t, err, "InvalidInstanceType")
	offers := must(s.DescribeInstanceTypeOfferings(s.ctx, &ec2.DescribeInstanceTypeOfferingsInput{LocationType: "availability-zone", Filters: []types.Filter{{Name: aws.String("instance-type"), Values: []string{"m5.large"}}}}))(t)
	if len(offers.InstanceTypeOfferings) < 2 {
		t.Errorf("offerings %+v", offers.InstanceTypeOfferings)
	}
}

func TestEC2LaunchTemplates(t *testing.T) {
	t.Parallel()
	s := newEC2(t)
	in := &ec2.CreateLaunchTemplateInput{LaunchTemplateName: &s.name, TagSpecifications: s.tags("launch-template"), LaunchTemplateData: &types.RequestLaunchTemplateData{
		ImageId: aws.String("ami-12c6146b"), InstanceType: "m5.large",
		BlockDeviceMappings: []types.LaunchTemplateBlockDeviceMappingRequest{{DeviceName: aws.String("/dev/xvda"), Ebs: &types.LaunchTemplateEbsBlockDeviceRequest{VolumeSize: aws.Int32(40), VolumeType: "gp3"}}},
		TagSpecifications:   []types.LaunchTemplateTagSpecificationRequest{{ResourceType: "instance", Tags: []types.Tag{{Key: aws.String("k"), Value: aws.String("v")}}}},
		MetadataOptions:     &types.LaunchTemplateInstanceMetadataOptionsRequest{HttpTokens: "required", HttpPutResponseHopLimit: aws.Int32(2)},
	}}
	id := *must(s.CreateLaunchTemplate(s.ctx, in))(t).LaunchTemplate.LaunchTemplateId
	s.undo("launch template", func(ctx context.Context) error {
		_, err := s.DeleteLaunchTemplate(ctx, &ec2.DeleteLaunchTemplateInput{LaunchTemplateId: &id})
		return err
	})
	_, err := s.CreateLaunchTemplate(s.ctx, &ec2.CreateLaunchTemplateInput{LaunchTemplateName: &s.name, LaunchTemplateData: in.LaunchTemplateData})
	wantEC2(t, err, "InvalidLaunchTemplateName.AlreadyExistsException")
	second := must(s.CreateLaunchTemplateVersion(s.ctx, &ec2.CreateLaunchTemplateVersionInput{LaunchTemplateId: &id, SourceVersion: aws.String("1"), LaunchTemplateData: &types.RequestLaunchTemplateData{InstanceType: "c5.large"}}))(t)
	if v := second.LaunchTemplateVersion; *v.VersionNumber != 2 || *v.DefaultVersion {
		t.Errorf("version %+v", v)
	}
	lt := must(s.DescribeLaunchTemplates(s.ctx, &ec2.DescribeLaunchTemplatesInput{LaunchTemplateNames: []string{s.name}}))(t).LaunchTemplates
	if len(lt) != 1 || *lt[0].LatestVersionNumber != 2 || *lt[0].DefaultVersionNumber != 1 {
		t.Errorf("templates %+v", lt)
	}
	v := must(s.DescribeLaunchTemplateVersions(s.ctx, &ec2.DescribeLaunchTemplateVersionsInput{LaunchTemplateId: &id, Versions: []string{"$Latest"}}))(t).LaunchTemplateVersions
	if len(v) != 1 || v[0].LaunchTemplateData.InstanceType != "c5.large" || exact(s.tg) && (*v[0].LaunchTemplateData.BlockDeviceMappings[0].Ebs.VolumeSize != 40 ||
		*v[0].LaunchTemplateData.TagSpecifications[0].Tags[0].Value != "v" || v[0].LaunchTemplateData.MetadataOptions.HttpTokens != "required") { // moto ignores SourceVersion
		t.Errorf("versions %+v", v)
	}
	if !exact(s.tg) {
		return // moto finds nothing without an error
	}
	_, err = s.DescribeLaunchTemplates(s.ctx, &ec2.DescribeLaunchTemplatesInput{LaunchTemplateIds: []string{"lt-0123456789abcdef0"}})
	wantEC2(t, err, "InvalidLaunchTemplateId.NotFound")
}

func TestEC2Instances(t *testing.T) {
	t.Parallel()
	s := newEC2(t)
	_, subnets := s.vpc(1)
	in := &ec2.RunInstancesInput{ImageId: s.image(), InstanceType: "t3.micro", SubnetId: &subnets[0], MinCount: aws.Int32(2), MaxCount: aws.Int32(2), ClientToken: &s.name, TagSpecifications: s.tags("instance")}
	started := s.run(1, in)
	if len(started) != 2 || started[0].State.Name != "pending" || *started[0].SubnetId != subnets[0] {
		t.Fatalf("started %+v", started)
	}
	a, b := *started[0].InstanceId, *started[1].InstanceId
	if exact(s.tg) { // moto ignores client tokens
		again := must(s.RunInstances(s.ctx, in))(t)
		if len(again.Instances) != 2 || *again.Instances[0].InstanceId != a {
			t.Errorf("with the same token: %+v", again.Instances)
		}
		other := *in
		other.MaxCount = aws.Int32(3)
		_, err := s.RunInstances(s.ctx, &other)
		wantEC2(t, err, "IdempotentParameterMismatch")
	}
	s.running(a, b)
	states := func(name, value string) int {
		t.Helper()
		out := must(s.DescribeInstances(s.ctx, &ec2.DescribeInstancesInput{Filters: []types.Filter{s.mine(), {Name: &name, Values: []string{value}}}}))(t)
		n := 0
		for _, r := range out.Reservations {
			n += len(r.Instances)
		}
		return n
	}
	one := must(s.DescribeInstances(s.ctx, &ec2.DescribeInstancesInput{InstanceIds: []string{a}}))(t).Reservations[0].Instances[0]
	for name, value := range map[string]string{"instance-state-name": "running", "subnet-id": subnets[0], "tag-key": "suite", "instance-type": "t3.micro"} {
		if n := states(name, value); n != 2 {
			t.Errorf("%d with %s=%s", n, name, value)
		}
	}
	if n := states("private-dns-name", *one.PrivateDnsName); n != 1 {
		t.Errorf("%d with the private DNS name %s", n, *one.PrivateDnsName)
	}
	if exact(s.tg) { // moto knows neither the filter nor wildcards in this one
		if n := states("instance-lifecycle", "spot"); n != 0 {
			t.Errorf("%d spot instances", n)
		}
		if n := states("instance-type", "t?.mic*"); n != 2 {
			t.Errorf("%d by wildcard", n)
		}
	}
	status := must(s.DescribeInstanceStatus(s.ctx, &ec2.DescribeInstanceStatusInput{InstanceIds: []string{a}}))(t)
	if len(status.InstanceStatuses) != 1 || status.InstanceStatuses[0].InstanceState.Name != "running" {
		t.Errorf("status %+v", status.InstanceStatuses)
	}
	must(s.StopInstances(s.ctx, &ec2.StopInstancesInput{InstanceIds: []string{b}}))(t)
	w := ec2.NewInstanceStoppedWaiter(s, func(o *ec2.InstanceStoppedWaiterOptions) { o.MinDelay, o.MaxDelay = s.delay(), s.delay() })
	if err := w.Wait(s.ctx, &ec2.DescribeInstancesInput{InstanceIds: []string{b}}, 5*time.Minute); err != nil {
		t.Fatal(err)
	}
	must(s.StartInstances(s.ctx, &ec2.StartInstancesInput{InstanceIds: []string{b}}))(t)
	s.running(b)
	_, err := s.TerminateInstances(s.ctx, &ec2.TerminateInstancesInput{InstanceIds: []string{a}, DryRun: aws.Bool(true)})
	wantEC2(t, err, "DryRunOperation")
	ended := must(s.TerminateInstances(s.ctx, &ec2.TerminateInstancesInput{InstanceIds: []string{a}}))(t).TerminatingInstances
	if len(ended) != 1 || ended[0].PreviousState.Name != "running" || ended[0].CurrentState.Name != "shutting-down" && ended[0].CurrentState.Name != "terminated" {
		t.Errorf("terminating %+v", ended)
	}
	_, err = s.DescribeInstances(s.ctx, &ec2.DescribeInstancesInput{InstanceIds: []string{"i-0123456789abcdef0"}})
	wantEC2(t, err, "InvalidInstanceID.NotFound")
	_, err = s.DescribeInstances(s.ctx, &ec2.DescribeInstancesInput{InstanceIds: []string{"nonsense"}})
	wantEC2(t, err, "InvalidInstanceID.Malformed", "InvalidInstanceID.NotFound")
	if exact(s.tg) { // moto fails
		_, err = s.DescribeInstances(s.ctx, &ec2.DescribeInstancesInput{Filters: []types.Filter{{Name: aws.String("colour"), Values: []string{"x"}}}})
		wantEC2(t, err, "InvalidParameterValue")
	}
}

func TestEC2SpotAndPages(t *testing.T) {
	t.Parallel()
	s := newEC2(t)
	_, subnets := s.vpc(1)
	s.run(6, &ec2.RunInstancesInput{ // six reservations: moto counts those to a page
		ImageId: s.image(), InstanceType: "t3.micro", SubnetId: &subnets[0], MinCount: aws.Int32(1), MaxCount: aws.Int32(1), TagSpecifications: s.tags("instance"),
		InstanceMarketOptions: &types.InstanceMarketOptionsRequest{MarketType: "spot"},
	})
	seen := map[string]bool{}
	pages := 0
	for p := ec2.NewDescribeInstancesPaginator(s, &ec2.DescribeInstancesInput{MaxResults: aws.Int32(5), Filters: []types.Filter{s.mine()}}); p.HasMorePages(); pages++ {
		for _, r := range must(p.NextPage(s.ctx))(t).Reservations {
			for _, i := range r.Instances {
				seen[*i.InstanceId] = true
				if i.InstanceLifecycle != "spot" {
					t.Errorf("%s is %q", *i.InstanceId, i.InstanceLifecycle)
				}
			}
		}
	}
	if len(seen) != 6 || pages != 2 {
		t.Errorf("%d instances on %d pages", len(seen), pages)
	}
}

func TestEC2InstantFleet(t *testing.T) {
	t.Parallel()
	s := newEC2(t)
	_, subnets := s.vpc(2)
	lt := must(s.CreateLaunchTemplate(s.ctx, &ec2.CreateLaunchTemplateInput{LaunchTemplateName: &s.name, LaunchTemplateData: &types.RequestLaunchTemplateData{ImageId: s.image(), InstanceType: "t3.micro"}}))(t).LaunchTemplate
	s.undo("launch template", func(ctx context.Context) error {
		_, err := s.DeleteLaunchTemplate(ctx, &ec2.DeleteLaunchTemplateInput{LaunchTemplateId: lt.LaunchTemplateId})
		return err
	})
	var overrides []types.FleetLaunchTemplateOverridesRequest
	for _, id := range subnets {
		overrides = append(overrides, types.FleetLaunchTemplateOverridesRequest{InstanceType: "t3.micro", SubnetId: &id})
	}
	out := must(s.CreateFleet(s.ctx, &ec2.CreateFleetInput{
		Type: "instant", TagSpecifications: s.tags("instance"),
		TargetCapacitySpecification: &types.TargetCapacitySpecificationRequest{TotalTargetCapacity: aws.Int32(2), OnDemandTargetCapacity: aws.Int32(2), SpotTargetCapacity: aws.Int32(0), DefaultTargetCapacityType: "on-demand"},
		LaunchTemplateConfigs: []types.FleetLaunchTemplateConfigRequest{{
			LaunchTemplateSpecification: &types.FleetLaunchTemplateSpecificationRequest{LaunchTemplateId: lt.LaunchTemplateId, Version: aws.String("$Latest")}, Overrides: overrides,
		}},
	}))(t)
	var ids []string
	for _, i := range out.Instances {
		ids = append(ids, i.InstanceIds...)
	}
	s.undo("fleet", func(ctx context.Context) error {
		if _, err := s.TerminateInstances(ctx, &ec2.TerminateInstancesInput{InstanceIds: ids}); err != nil {
			return err
		}
		return ec2.NewInstanceTerminatedWaiter(s, func(o *ec2.InstanceTerminatedWaiterOptions) { o.MinDelay, o.MaxDelay = s.delay(), s.delay() }).
			Wait(ctx, &ec2.DescribeInstancesInput{InstanceIds: ids}, 5*time.Minute)
	})
	if len(ids) != 2 || len(out.Errors) != 0 {
		t.Errorf("fleet %+v", out)
	}
}
