package conformance

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/pricing"
	pricingtypes "github.com/aws/aws-sdk-go-v2/service/pricing/types"
)

// TestMarket reads all that there is to buy in a Region: what a planner of nodes needs. Every type that is offered in a
// zone has a spot price there.
func TestMarket(t *testing.T) {
	t.Parallel()
	s := newEC2(t)
	known := map[string]bool{}
	for p := ec2.NewDescribeInstanceTypesPaginator(s, &ec2.DescribeInstanceTypesInput{}); p.HasMorePages(); {
		for _, k := range must(p.NextPage(s.ctx))(t).InstanceTypes {
			known[string(k.InstanceType)] = true
			if *k.VCpuInfo.DefaultVCpus < 1 || *k.MemoryInfo.SizeInMiB < 1 || len(k.ProcessorInfo.SupportedArchitectures) == 0 {
				t.Errorf("%s: %+v", k.InstanceType, k)
			}
			if n := k.NetworkInfo; s.tg.Embedded && (len(n.NetworkCards) == 0 || n.DefaultNetworkCardIndex == nil || *n.Ipv4AddressesPerInterface < 2) {
				t.Errorf("%s: network %+v", k.InstanceType, n)
			}
		}
	}
	type place struct{ kind, zone string }
	var offered []place
	zoned := map[string]bool{}
	for p := ec2.NewDescribeInstanceTypeOfferingsPaginator(s, &ec2.DescribeInstanceTypeOfferingsInput{LocationType: "availability-zone"}); p.HasMorePages(); {
		for _, o := range must(p.NextPage(s.ctx))(t).InstanceTypeOfferings {
			if len(*o.Location) != len(s.tg.Region)+1 { // a Local Zone, which the account has opted in to meanwhile
				continue
			}
			offered = append(offered, place{string(o.InstanceType), *o.Location})
			zoned[string(o.InstanceType)] = true
		}
	}
	if len(known) < 200 || s.tg.Embedded && len(zoned) != len(known) {
		t.Errorf("%d types, %d of them offered", len(known), len(zoned))
	}
	prices := map[place]string{}
	now := time.Now()
	for p := ec2.NewDescribeSpotPriceHistoryPaginator(s, &ec2.DescribeSpotPriceHistoryInput{StartTime: &now, ProductDescriptions: []string{"Linux/UNIX"}}); p.HasMorePages(); {
		for _, x := range must(p.NextPage(s.ctx))(t).SpotPriceHistory {
			at := place{string(x.InstanceType), *x.AvailabilityZone}
			if prices[at] != "" && exact(s.tg) {
				t.Errorf("%v has two prices now", at)
			}
			prices[at] = *x.SpotPrice
		}
	}
	if s.tg.Embedded {
		for _, at := range offered {
			if prices[at] == "" {
				t.Errorf("%v has no spot price", at)
			}
		}
		if len(prices) != len(offered) {
			t.Errorf("%d prices, %d offerings", len(prices), len(offered))
		}
	} else if len(prices) == 0 {
		t.Error("no spot prices")
	}
}

// TestMarketListPrices reads one price of each instance type from the price list, a hundred on a page.
func TestMarketListPrices(t *testing.T) {
	t.Parallel()
	tg := target(t, "pricing")
	if !exact(tg) {
		t.Skip("moto has no price list")
	}
	cfg := tg.Config.Copy()
	cfg.Region = "us-east-1" // AWS answers here, for all Regions
	in := &pricing.GetProductsInput{ServiceCode: aws.String("AmazonEC2")}
	for _, f := range [][2]string{{"regionCode", tg.Region}, {"operatingSystem", "Linux"}, {"tenancy", "Shared"}, {"preInstalledSw", "NA"}, {"capacitystatus", "Used"}, {"marketoption", "OnDemand"}, {"operation", "RunInstances"}} {
		in.Filters = append(in.Filters, pricingtypes.Filter{Type: pricingtypes.FilterTypeTermMatch, Field: &f[0], Value: &f[1]})
	}
	seen := map[string]bool{}
	for p := pricing.NewGetProductsPaginator(pricing.NewFromConfig(cfg), in); p.HasMorePages(); {
		page := must(p.NextPage(t.Context()))(t).PriceList
		if len(page) > 100 {
			t.Errorf("%d on a page", len(page))
		}
		for _, text := range page {
			var x struct {
				Product struct{ Attributes map[string]string }
			}
			if err := json.Unmarshal([]byte(text), &x); err != nil {
				t.Fatal(err)
			}
			name := x.Product.Attributes["instanceType"]
			if seen[name] || name == "" {
				t.Errorf("%q has two prices", name)
			}
			seen[name] = true
		}
	}
	if !seen["m5.large"] || len(seen) < 200 {
		t.Errorf("%d types have a price", len(seen))
	}
}

// TestEC2FleetOfMany: an instant fleet takes the pools in the order of its strategy, and names those that gave too little.
func TestEC2FleetOfMany(t *testing.T) {
	s := newEC2(t) // not parallel: it takes capacity of the Region away
	if !s.tg.Embedded {
		t.Skip("capacity cannot be limited there")
	}
	_, subnets := s.vpc(2)
	lt := must(s.CreateLaunchTemplate(s.ctx, &ec2.CreateLaunchTemplateInput{LaunchTemplateName: &s.name, LaunchTemplateData: &types.RequestLaunchTemplateData{ImageId: s.image()}}))(t).LaunchTemplate
	machines := cloud(t).EC2
	limits := map[string]int{"c6i.large": 1, "m6i.large": 2, "r6i.large": 0}
	for name, n := range limits {
		machines.LimitCapacity(name, "", "spot", n)
		defer machines.LimitCapacity(name, "", "spot", -1)
	}
	var overrides []types.FleetLaunchTemplateOverridesRequest
	for i, name := range []string{"r6i.large", "c6i.large", "m6i.large"} {
		for _, id := range subnets {
			overrides = append(overrides, types.FleetLaunchTemplateOverridesRequest{InstanceType: types.InstanceType(name), SubnetId: &id, Priority: aws.Float64(float64(i))})
		}
	}
	out := must(s.CreateFleet(s.ctx, &ec2.CreateFleetInput{
		Type: "instant", SpotOptions: &types.SpotOptionsRequest{AllocationStrategy: "capacity-optimized-prioritized"},
		TagSpecifications:           append(s.tags("instance"), s.tags("fleet")...),
		TargetCapacitySpecification: &types.TargetCapacitySpecificationRequest{TotalTargetCapacity: aws.Int32(9), DefaultTargetCapacityType: "spot"},
		LaunchTemplateConfigs: []types.FleetLaunchTemplateConfigRequest{{
			LaunchTemplateSpecification: &types.FleetLaunchTemplateSpecificationRequest{LaunchTemplateId: lt.LaunchTemplateId, Version: aws.String("$Latest")}, Overrides: overrides,
		}},
	}))(t)
	var ids, kinds, codes []string
	for _, i := range out.Instances {
		ids = append(ids, i.InstanceIds...)
		for range i.InstanceIds {
			kinds = append(kinds, string(i.InstanceType))
		}
	}
	for _, e := range out.Errors {
		codes = append(codes, *e.ErrorCode)
		if e.LaunchTemplateAndOverrides.Overrides.InstanceType == "" || e.Lifecycle != "spot" || *e.ErrorMessage == "" {
			t.Errorf("error %+v", e)
		}
	}
	if !slices.Equal(kinds, []string{"c6i.large", "m6i.large", "m6i.large"}) {
		t.Errorf("instances %v", kinds)
	}
	if len(codes) != 6 || !slices.Contains(codes, "UnfulfillableCapacity") || !slices.Contains(codes, "InsufficientInstanceCapacity") {
		t.Errorf("errors %v", codes)
	}
	must(s.TerminateInstances(s.ctx, &ec2.TerminateInstancesInput{InstanceIds: ids}))(t)
	w := ec2.NewInstanceTerminatedWaiter(s, func(o *ec2.InstanceTerminatedWaiterOptions) { o.MinDelay, o.MaxDelay = s.delay(), s.delay() })
	if err := w.Wait(s.ctx, &ec2.DescribeInstancesInput{InstanceIds: ids}, time.Minute); err != nil {
		t.Fatal(err)
	}
	must(s.DeleteLaunchTemplate(s.ctx, &ec2.DeleteLaunchTemplateInput{LaunchTemplateId: lt.LaunchTemplateId}))(t)
}
