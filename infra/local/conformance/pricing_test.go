package conformance

import (
	"encoding/json"
	"strconv"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/pricing"
	"github.com/aws/aws-sdk-go-v2/service/pricing/types"
)

// priceOf reads the one on-demand price that the filters leave.
func priceOf(t *testing.T, c *pricing.Client, service string, filters ...string) float64 {
	t.Helper()
	in := &pricing.GetProductsInput{ServiceCode: &service}
	for i := 0; i < len(filters); i += 2 {
		in.Filters = append(in.Filters, types.Filter{Type: types.FilterTypeTermMatch, Field: &filters[i], Value: &filters[i+1]})
	}
	out, err := c.GetProducts(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	if len(out.PriceList) != 1 {
		t.Fatalf("%v: %d products", filters, len(out.PriceList))
	}
	var p struct {
		Terms struct {
			OnDemand map[string]struct {
				PriceDimensions map[string]struct {
					PricePerUnit struct{ USD string }
				}
			}
		}
	}
	if err := json.Unmarshal([]byte(out.PriceList[0]), &p); err != nil {
		t.Fatal(err)
	}
	for _, term := range p.Terms.OnDemand {
		for _, d := range term.PriceDimensions {
			usd, err := strconv.ParseFloat(d.PricePerUnit.USD, 64)
			if err != nil {
				t.Fatal(err)
			}
			return usd
		}
	}
	t.Fatalf("no price in %s", out.PriceList[0])
	return 0
}

func TestPricing(t *testing.T) {
	tg := target(t, "pricing")
	if !exact(tg) {
		t.Skip("moto has no price list")
	}
	cfg := tg.Config.Copy()
	cfg.Region = "us-east-1" // AWS answers here, for all Regions
	c := pricing.NewFromConfig(cfg)
	if usd := priceOf(t, c, "AmazonEC2", "instanceType", "m5.large", "location", "US East (N. Virginia)", "operatingSystem", "Linux", "tenancy", "Shared",
		"preInstalledSw", "NA", "capacitystatus", "Used"); usd != 0.096 {
		t.Errorf("m5.large: %v", usd)
	}
	if usd := priceOf(t, c, "AmazonEKS", "regionCode", "us-east-1", "operation", "CreateOperation", "usagetype", "USE1-AmazonEKS-Hours:perCluster"); usd != 0.10 {
		t.Errorf("cluster: %v", usd)
	}
	_, err := c.GetProducts(t.Context(), &pricing.GetProductsInput{ServiceCode: aws.String("AmazonNothing")})
	apiError(t, err, "InvalidParameterException")
}
