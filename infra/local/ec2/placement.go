package ec2

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/wire"
)

type accountAttributesIn struct {
	DryRun         bool
	AttributeNames []string `query:"AttributeName"`
}

type accountAttribute struct {
	Name   string `xml:"attributeName"`
	Values []struct {
		Value string `xml:"attributeValue"`
	} `xml:"attributeValueSet>item"`
}

type accountAttributesOut struct {
	Attributes []accountAttribute `xml:"accountAttributeSet>item"`
}

type offeringsIn struct {
	DryRun       bool
	LocationType string
	Filters      []filter `query:"Filter"`
	MaxResults   *int
	NextToken    string
}

type offering struct {
	InstanceType string `xml:"instanceType"`
	LocationType string `xml:"locationType"`
	Location     string `xml:"location"`
}

type offeringsOut struct {
	Offerings []offering `xml:"instanceTypeOfferingSet>item"`
	NextToken string     `xml:"nextToken,omitempty"`
}

var offeringFilters = filters[offering]{
	"instance-type": one(func(o offering) string { return o.InstanceType }),
	"location":      one(func(o offering) string { return o.Location }),
}

type spotPricesIn struct {
	DryRun              bool
	AvailabilityZone    string
	AvailabilityZoneID  string `query:"AvailabilityZoneId"`
	StartTime, EndTime  *wire.Time
	InstanceTypes       []string `query:"InstanceType"`
	ProductDescriptions []string `query:"ProductDescription"`
	Filters             []filter `query:"Filter"`
	MaxResults          *int
	NextToken           string
}

type spotPrice struct {
	AvailabilityZone   string     `xml:"availabilityZone"`
	InstanceType       string     `xml:"instanceType"`
	ProductDescription string     `xml:"productDescription"`
	SpotPrice          string     `xml:"spotPrice"`
	Timestamp          *wire.Time `xml:"timestamp"`
}

type spotPricesOut struct {
	NextToken string      `xml:"nextToken,omitempty"`
	Prices    []spotPrice `xml:"spotPriceHistorySet>item"`
}

var spotPriceFilters = filters[spotPrice]{
	"availability-zone":   one(func(p spotPrice) string { return p.AvailabilityZone }),
	"instance-type":       one(func(p spotPrice) string { return p.InstanceType }),
	"product-description": one(func(p spotPrice) string { return p.ProductDescription }),
	"spot-price":          one(func(p spotPrice) string { return p.SpotPrice }),
}

func (s *Service) placementOps() []wire.Op {
	return []wire.Op{
		handle("DescribeRegions", nil, s.describeRegions),
		handle("DescribeAccountAttributes", nil, s.describeAccountAttributes),
		handle("DescribeInstanceTypes", nil, s.describeTypes),
		handle("GetInstanceTypesFromInstanceRequirements", nil, s.matchTypes),
		handle("DescribeInstanceTypeOfferings", nil, s.describeOfferings),
		handle("DescribeSpotPriceHistory", nil, s.describeSpotPrices),
	}
}

func (s *Service) describeAccountAttributes(in *accountAttributesIn) (*accountAttributesOut, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range in.AttributeNames {
		if !slices.Contains([]string{"supported-platforms", "default-vpc", "max-instances", "vpc-max-security-groups-per-interface", "max-elastic-ips", "vpc-max-elastic-ips"}, name) {
			return nil, invalid("Value (%s) for parameter attributeName is invalid. Unknown account attribute", name)
		}
	}
	out := &accountAttributesOut{}
	for _, a := range [][2]string{
		{"supported-platforms", "VPC"}, {"default-vpc", "none"}, {"max-instances", "20"}, {"vpc-max-security-groups-per-interface", "5"},
		{"max-elastic-ips", strconv.Itoa(s.quota(QuotaAddresses))}, {"vpc-max-elastic-ips", strconv.Itoa(s.quota(QuotaAddresses))},
	} {
		if len(in.AttributeNames) == 0 || slices.Contains(in.AttributeNames, a[0]) {
			attr := accountAttribute{Name: a[0]}
			attr.Values = append(attr.Values, struct {
				Value string `xml:"attributeValue"`
			}{a[1]})
			out.Attributes = append(out.Attributes, attr)
		}
	}
	return out, nil
}

func (s *Service) describeOfferings(in *offeringsIn) (*offeringsOut, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var items []offering
	for _, name := range typeNames {
		switch in.LocationType {
		case "", "region":
			items = append(items, offering{name, "region", s.w.Region})
		case "availability-zone", "availability-zone-id":
			for _, z := range s.open() {
				if location := z.name; s.offered(catalogue[name], z.name) {
					if in.LocationType == "availability-zone-id" {
						location = z.id
					}
					items = append(items, offering{name, in.LocationType, location})
				}
			}
		default:
			return nil, invalid("Value (%s) for parameter locationType is invalid.", in.LocationType)
		}
	}
	items, err := offeringFilters.keep(items, in.Filters)
	if err != nil {
		return nil, err
	}
	page, next, err := paged(items, func(o offering) string { return o.InstanceType + "/" + o.Location }, query{max: in.MaxResults, token: in.NextToken})
	return &offeringsOut{page, next}, err
}

func (s *Service) describeSpotPrices(in *spotPricesIn) (*spotPricesOut, error) {
	var items []spotPrice
	// One price a type and zone, in force since midnight: prices here do not move.
	since := wire.At(time.Now().UTC().Truncate(24 * time.Hour))
	for _, name := range typeNames {
		for _, z := range s.zones() {
			t := catalogue[name]
			p := spotPrice{z.name, name, "Linux/UNIX", fmt.Sprintf("%.6f", s.SpotPrice(name, z.name)), since}
			switch {
			case len(in.InstanceTypes) > 0 && !slices.Contains(in.InstanceTypes, name), in.AvailabilityZone != "" && in.AvailabilityZone != z.name,
				in.AvailabilityZoneID != "" && in.AvailabilityZoneID != z.id,
				!s.offered(t, z.name),
				len(in.ProductDescriptions) > 0 && !slices.ContainsFunc(in.ProductDescriptions, func(d string) bool { return strings.HasPrefix(d, "Linux/UNIX") }):
			default:
				items = append(items, p)
			}
		}
	}
	items, err := spotPriceFilters.keep(items, in.Filters)
	if err != nil {
		return nil, err
	}
	page, next, err := paged(items, func(p spotPrice) string { return p.InstanceType + "/" + p.AvailabilityZone }, query{max: in.MaxResults, least: 1, token: in.NextToken})
	return &spotPricesOut{next, page}, err
}
