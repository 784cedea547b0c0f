package pricing

import (
	"encoding/json"
	"fmt"
	"testing"
)

func service() *Service {
	return New(func() []Instance {
		return []Instance{
			{Name: "m5.large", VCPU: 2, MemoryMiB: 8192, Arch: "x86_64", Price: 0.096},
			{Name: "t4g.medium", VCPU: 2, MemoryMiB: 4096, Arch: "arm64", Burstable: true, Price: 0.0336},
		}
	})
}

// listed is a price list entry as a client reads it.
type listed struct {
	Product struct {
		ProductFamily, SKU string
		Attributes         map[string]string
	}
	ServiceCode string
	Terms       struct {
		OnDemand map[string]struct {
			PriceDimensions map[string]struct {
				Unit         string
				PricePerUnit map[string]string
			}
		}
	}
}

func get(t *testing.T, s *Service, code string, filters ...string) []listed {
	t.Helper()
	in := &request{ServiceCode: code}
	for i := 0; i < len(filters); i += 2 {
		in.Filters = append(in.Filters, filter{filters[i], "TERM_MATCH", filters[i+1]})
	}
	out, err := s.getProducts(t.Context(), nil, in)
	if err != nil {
		t.Fatal(err)
	}
	var all []listed
	for _, raw := range out.PriceList {
		var l listed
		if err := json.Unmarshal([]byte(raw), &l); err != nil {
			t.Fatal(err)
		}
		all = append(all, l)
	}
	return all
}

// price is what the one product costs that the filters leave.
func price(t *testing.T, s *Service, code string, filters ...string) string {
	t.Helper()
	all := get(t, s, code, filters...)
	if len(all) != 1 {
		return fmt.Sprintf("%d products", len(all))
	}
	for _, term := range all[0].Terms.OnDemand {
		for _, d := range term.PriceDimensions {
			return d.PricePerUnit["USD"] + " " + d.Unit
		}
	}
	return "no price"
}

func TestPrices(t *testing.T) {
	s := service()
	ec2 := []string{"location", "US East (N. Virginia)", "operatingSystem", "Linux", "tenancy", "Shared", "preInstalledSw", "NA", "capacitystatus", "Used"}
	for want, ask := range map[string][]string{
		"0.0960000000 Hrs":   append([]string{"AmazonEC2", "instanceType", "m5.large"}, ec2...),
		"0.0336000000 Hrs":   append([]string{"AmazonEC2", "instanceType", "t4g.medium"}, ec2...),
		"0.1880000000 Hrs":   {"AmazonEC2", "instanceType", "m5.large", "regionCode", "eu-west-1", "operatingSystem", "Windows"},
		"0 products":         {"AmazonEC2", "instanceType", "m5.large", "location", "Atlantis"},
		"0.1000000000 Hours": {"AmazonEKS", "regionCode", "eu-west-1", "usagetype", "EU-AmazonEKS-Hours:perCluster"},
		"0.5000000000 Hours": {"AmazonEKS", "regionCode", "us-east-1", "operation", "ExtendedSupport"},
		"0.0450000000 Hrs":   {"AmazonEC2", "regionCode", "us-east-1", "productFamily", "NAT Gateway", "usagetype", "NatGateway-Hours"},
		"0.0800000000 GB-Mo": {"AmazonEC2", "regionCode", "us-west-2", "volumeApiName", "gp3"},
		"0.0050000000 Hrs":   {"AmazonVPC", "usagetype", "USE1-PublicIPv4:InUseAddress"},
		"0.0100000000 Hrs":   {"AmazonVPC", "usagetype", "APS1-VpcEndpoint-Hours"},
		"0.0250000000 Hrs":   {"AWSELB", "regionCode", "us-east-1", "productFamily", "Load Balancer"},
	} {
		if got := price(t, s, ask[0], ask[1:]...); got != want {
			t.Errorf("%v: %s, want %s", ask, got, want)
		}
	}
	if a := get(t, s, "AmazonEC2", append([]string{"instanceType", "m5.large"}, ec2...)...)[0].Product.Attributes; a["memory"] != "8 GiB" || a["vcpu"] != "2" || a["regionCode"] != "us-east-1" {
		t.Errorf("attributes %v", a)
	}
}

// TestBulk reads one price for each instance type, as somebody does who wants them all.
func TestBulk(t *testing.T) {
	s := service()
	all := get(t, s, "AmazonEC2", "regionCode", "eu-west-1", "operatingSystem", "Linux", "tenancy", "Shared", "preInstalledSw", "NA",
		"capacitystatus", "Used", "licenseModel", "No License required", "marketoption", "OnDemand", "operation", "RunInstances")
	if len(all) != 2 || all[0].Product.Attributes["instanceType"] == all[1].Product.Attributes["instanceType"] {
		t.Errorf("products %+v", all)
	}
	// Who does not say which capacity, gets a reservation that costs nothing as well.
	if n := len(get(t, s, "AmazonEC2", "regionCode", "eu-west-1", "operatingSystem", "Linux", "instanceType", "m5.large")); n != 4 {
		t.Errorf("%d lines of one instance type, want 4", n)
	}
}

func TestSKUsDiffer(t *testing.T) {
	seen := map[string]string{}
	s := service()
	for code := range services {
		for _, l := range locations {
			for _, p := range s.products(code, l) {
				name := fmt.Sprint(p.attributes)
				if other, dup := seen[p.sku()]; dup && other != name {
					t.Errorf("%s is of %s and of %s", p.sku(), name, other)
				}
				seen[p.sku()] = name
			}
		}
	}
}

func TestFiltersAndPages(t *testing.T) {
	s := service()
	count := func(kind, field, value string) int {
		return len(s.find(&request{ServiceCode: "AmazonEKS", Filters: []filter{{field, kind, value}}}))
	}
	n := len(locations)
	for want, got := range map[int]int{
		n: count("CONTAINS", "usagetype", "perCluster"), 4: count("ANY_OF", "regionCode", "us-east-1,eu-west-1"),
		2 * (n - 1): count("NONE_OF", "regionCode", "us-east-1"), 0: count("EQUALS", "nope", "x"), 2*n + 0: count("NONE_OF", "nope", "x"),
	} {
		if got != want {
			t.Errorf("got %d, want %d", got, want)
		}
	}
	limit, token, total := 40, "", 0
	for pages := 0; ; pages++ {
		out, err := s.getProducts(t.Context(), nil, &request{ServiceCode: "AmazonEKS", MaxResults: &limit, NextToken: token})
		if err != nil || pages > 2 {
			t.Fatalf("page %d: %v", pages, err)
		}
		if total += len(out.PriceList); out.NextToken == "" {
			break
		}
		token = out.NextToken
	}
	if total != 2*n {
		t.Errorf("%d in all pages, want %d", total, 2*n)
	}
	for _, in := range []*request{{}, {ServiceCode: "AmazonRDS"}, {ServiceCode: "AmazonEKS", Filters: []filter{{"location", "LIKE", "x"}}}, {ServiceCode: "AmazonEKS", NextToken: "x"}, {ServiceCode: "AmazonEKS", FormatVersion: "v9"}} {
		if _, err := s.getProducts(t.Context(), nil, in); err == nil {
			t.Errorf("%+v is accepted", in)
		}
	}
}
