package awscloud

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/pricing"
	"github.com/aws/aws-sdk-go-v2/service/pricing/types"

	"github.com/ekspedite/ekspedite/shared/decide/cost"
	"github.com/ekspedite/ekspedite/shared/fault"
)

// Prices reads what things cost in one Region. It keeps what it has read, for as long as it lives: a command's run.
type Prices struct {
	ec2    *ec2.Client
	list   *pricing.Client
	region string
	now    func() time.Time

	mu    sync.Mutex
	known map[string]priced
}

type priced struct {
	price cost.Price
	ok    bool
}

// NewPrices makes a Prices of a configuration's Region.
func NewPrices(cfg Config, now func() time.Time) *Prices {
	return &Prices{ec2: ec2.NewFromConfig(cfg), list: newPriceList(cfg), region: cfg.Region, now: now, known: map[string]priced{}}
}

// newPriceList reaches the price list, which answers in few Regions, for all.
func newPriceList(cfg Config) *pricing.Client {
	at := "us-east-1"
	if strings.HasPrefix(cfg.Region, "cn-") {
		at = "cn-northwest-1"
	}
	return pricing.NewFromConfig(InRegion(cfg, at))
}

// products are where prices stand in the price list, by their names in package cost: the service, what filters narrow it
// down by, and what the usage type contains, which begins with a short name of the Region.
var products = map[string]struct {
	service, usage string
	filters        [][2]string
}{
	cost.ControlPlane: {"AmazonEKS", "AmazonEKS-Hours:perCluster", nil},
	cost.Extended:     {"AmazonEKS", "AmazonEKS-Hours:extendedSupport", nil},
	cost.NAT:          {"AmazonEC2", "NatGateway-Hours", [][2]string{{"productFamily", "NAT Gateway"}, {"operation", "NatGateway"}}},
	cost.Address:      {"AmazonVPC", "PublicIPv4:InUseAddress", [][2]string{{"group", "VPCPublicIPv4Address"}}},
	cost.Endpoint:     {"AmazonVPC", "VpcEndpoint-Hours", [][2]string{{"operation", "VpcEndpoint"}}},
}

// Prices reads prices by their names. One that is not in the list is left out; what could not be read is an error beside
// those that could.
func (p *Prices) Prices(ctx context.Context, names []string) (map[string]cost.Price, error) {
	out, errs := map[string]cost.Price{}, make([]error, len(names))
	var wg sync.WaitGroup
	slots := make(chan struct{}, 5) // the price list is throttled early
	var mu sync.Mutex
	for i, name := range names {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			price, ok, err := p.price(ctx, name)
			mu.Lock()
			defer mu.Unlock()
			if errs[i] = err; ok {
				out[name] = price
			}
		})
	}
	wg.Wait()
	i := slices.IndexFunc(errs, func(err error) bool { return err != nil })
	if i < 0 {
		return out, nil
	}
	return out, errs[i]
}

func (p *Prices) price(ctx context.Context, name string) (cost.Price, bool, error) {
	p.mu.Lock()
	known, there := p.known[name]
	p.mu.Unlock()
	if there {
		return known.price, known.ok, nil
	}
	read := p.listed
	if strings.HasPrefix(name, "spot/") {
		read = p.spot
	}
	price, ok, err := read(ctx, name)
	if err == nil {
		p.mu.Lock()
		p.known[name] = priced{price, ok}
		p.mu.Unlock()
	}
	return price, ok, err
}

// listed is a price of the price list.
func (p *Prices) listed(ctx context.Context, name string) (cost.Price, bool, error) {
	kind, rest, _ := strings.Cut(name, "/")
	product := products[name]
	switch kind {
	case "instance":
		machine, system, _ := strings.Cut(rest, "/")
		if system == "" {
			system = "Linux"
		}
		product.service = "AmazonEC2"
		product.filters = [][2]string{{"instanceType", machine}, {"operatingSystem", system}, {"tenancy", "Shared"}, {"preInstalledSw", "NA"},
			{"capacitystatus", "Used"}, {"licenseModel", "No License required"}, {"marketoption", "OnDemand"}}
	case "disk":
		product.service, product.filters = "AmazonEC2", [][2]string{{"productFamily", "Storage"}, {"volumeApiName", rest}}
	}
	if product.service == "" {
		return cost.Price{}, false, fault.New(fault.Invalid, "nobody knows where the price of %s stands", name)
	}
	in := &pricing.GetProductsInput{ServiceCode: &product.service, Filters: []types.Filter{
		{Field: aws.String("regionCode"), Type: types.FilterTypeTermMatch, Value: &p.region},
	}}
	for _, f := range product.filters {
		in.Filters = append(in.Filters, types.Filter{Field: aws.String(f[0]), Type: types.FilterTypeTermMatch, Value: aws.String(f[1])})
	}
	if product.usage != "" {
		in.Filters = append(in.Filters, types.Filter{Field: aws.String("usagetype"), Type: types.FilterTypeContains, Value: &product.usage})
	}
	entries, err := everything(ctx, "pricing:GetProducts", pricing.NewGetProductsPaginator(p.list, in), func(o *pricing.GetProductsOutput) []string { return o.PriceList })
	if err != nil {
		return cost.Price{}, false, err
	}
	for _, text := range entries {
		if price, ok := onDemand(text); ok {
			price.Source = "AWS price list, " + p.region
			return price, true, nil
		}
	}
	return cost.Price{}, false, nil
}

// onDemand reads a product of the price list: the first price that is not for nothing, in USD.
func onDemand(text string) (cost.Price, bool) {
	var product struct {
		PublicationDate string
		Terms           struct {
			OnDemand map[string]struct {
				EffectiveDate   string
				PriceDimensions map[string]struct {
					Unit         string
					PricePerUnit map[string]string
				}
			}
		}
	}
	if err := json.Unmarshal([]byte(text), &product); err != nil {
		return cost.Price{}, false
	}
	for _, term := range product.Terms.OnDemand {
		for _, d := range term.PriceDimensions {
			usd, err := strconv.ParseFloat(d.PricePerUnit["USD"], 64)
			if err != nil || usd == 0 {
				continue
			}
			unit := "hour"
			if strings.HasPrefix(d.Unit, "GB-M") {
				unit = "GB-month"
			}
			day, _, _ := strings.Cut(product.PublicationDate, "T")
			return cost.Price{Low: usd, High: usd, Unit: unit, AsOf: day}, true
		}
	}
	return cost.Price{}, false
}

// spot is what a type costs on the spot market now: the least and the most of the Region's zones.
func (p *Prices) spot(ctx context.Context, name string) (cost.Price, bool, error) {
	machine, system, _ := strings.Cut(strings.TrimPrefix(name, "spot/"), "/")
	description := "Linux/UNIX"
	if system == "Windows" {
		description = system
	}
	now := p.now()
	in := &ec2.DescribeSpotPriceHistoryInput{InstanceTypes: []ec2types.InstanceType{ec2types.InstanceType(machine)}, ProductDescriptions: []string{description}, StartTime: &now}
	found, err := everything(ctx, "ec2:DescribeSpotPriceHistory", ec2.NewDescribeSpotPriceHistoryPaginator(p.ec2, in),
		func(o *ec2.DescribeSpotPriceHistoryOutput) []ec2types.SpotPrice { return o.SpotPriceHistory })
	if err != nil {
		return cost.Price{}, false, err
	}
	out := cost.Price{Unit: "hour", Source: "spot prices of the zones of " + p.region, AsOf: now.UTC().Format(time.DateOnly)}
	for _, s := range found {
		usd, err := strconv.ParseFloat(deref(s.SpotPrice), 64)
		if err != nil {
			continue
		}
		if out.Low == 0 || usd < out.Low {
			out.Low = usd
		}
		out.High = max(out.High, usd)
	}
	return out, out.High > 0, nil
}
