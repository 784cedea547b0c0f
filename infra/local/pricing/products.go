package pricing

import (
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"strconv"
	"strings"
)

// Instance is an instance type with its price.
type Instance struct {
	Name      string // "m5.large"
	VCPU      int
	MemoryMiB int
	Arch      string
	Burstable bool
	Price     float64 // on demand, USD an hour, Linux
}

// product is one line of the price list.
type product struct {
	service, family string
	attributes      map[string]string
	unit            string
	price           float64
	description     string
}

// sku is the product's number: always the same for the same product.
func (p product) sku() string {
	sum := sha256.Sum256([]byte(p.service + "/" + p.attributes["usagetype"] + "/" + p.attributes["operation"]))
	return base32.StdEncoding.EncodeToString(sum[:])[:16]
}

// fixed are the prices other than those of instances, which stand for all Regions here: us-east-1's as they are commonly
// quoted. EKS's are from the user guide; the others were not checked against AWS's price pages. They are this emulated
// cloud's own data: a customer asks, and never compiles a price in.
var fixed = []struct {
	service, family, usage, operation string
	old                               bool // no prefix in us-east-1
	unit                              string
	price                             float64
	text                              string
	attributes                        map[string]string
}{
	{"AmazonEKS", "Compute", "AmazonEKS-Hours:perCluster", "CreateOperation", false, "Hours", 0.10, "Amazon EKS cluster usage", map[string]string{"tiertype": "HAStandard"}},
	// What extended support costs more than standard support: the price list has the two apart, the pricing page adds
	// them up to $0.60.
	{"AmazonEKS", "Compute", "AmazonEKS-Hours:extendedSupport", "ExtendedSupport", false, "Hours", 0.50, "Amazon EKS extended support, in addition to cluster usage", map[string]string{"tiertype": "HAExtended"}},
	{"AmazonEC2", "NAT Gateway", "NatGateway-Hours", "NatGateway", true, "Hrs", 0.045, "NAT Gateway Hour", map[string]string{"group": "NGW:NatGateway", "groupDescription": "Hourly charge for NAT Gateways"}},
	{"AmazonEC2", "NAT Gateway", "NatGateway-Bytes", "NatGateway", true, "GB", 0.045, "GB Data Processed by NAT Gateways", map[string]string{"group": "NGW:NatGateway", "groupDescription": "Charge for per GB data processed by NatGateways"}},
	{"AmazonEC2", "Storage", "EBS:VolumeUsage.gp3", "", true, "GB-Mo", 0.08, "GB-month of General Purpose (gp3) provisioned storage", map[string]string{"volumeApiName": "gp3", "volumeType": "General Purpose", "storageMedia": "SSD-backed"}},
	{"AmazonEC2", "Storage", "EBS:VolumeUsage.gp2", "", true, "GB-Mo", 0.10, "GB-month of General Purpose SSD (gp2) provisioned storage", map[string]string{"volumeApiName": "gp2", "volumeType": "General Purpose", "storageMedia": "SSD-backed"}},
	{"AmazonEC2", "Storage", "EBS:VolumeUsage.piops", "", true, "GB-Mo", 0.125, "GB-month of Provisioned IOPS SSD (io1) provisioned storage", map[string]string{"volumeApiName": "io1", "volumeType": "Provisioned IOPS", "storageMedia": "SSD-backed"}},
	{"AmazonEC2", "Storage", "EBS:VolumeUsage.io2", "", true, "GB-Mo", 0.125, "GB-month of Provisioned IOPS SSD (io2) provisioned storage", map[string]string{"volumeApiName": "io2", "volumeType": "Provisioned IOPS", "storageMedia": "SSD-backed"}},
	{"AmazonVPC", "", "PublicIPv4:InUseAddress", "AllocateAddressVPC", false, "Hrs", 0.005, "In-use public IPv4 address", map[string]string{"group": "VPCPublicIPv4Address", "groupDescription": "Hourly charge for In-use Public IPv4 Addresses"}},
	{"AmazonVPC", "", "PublicIPv4:IdleAddress", "AllocateAddressVPC", false, "Hrs", 0.005, "Idle public IPv4 address", map[string]string{"group": "VPCPublicIPv4Address", "groupDescription": "Hourly charge for Idle Public IPv4 Addresses"}},
	{"AmazonVPC", "VpcEndpoint", "VpcEndpoint-Hours", "VpcEndpoint", false, "Hrs", 0.01, "VPC Endpoint Hour", map[string]string{"endpointType": "PrivateLink", "group": "VPCE:VpcEndpoint", "groupDescription": "Hourly charge for VPC Endpoints"}},
	{"AmazonVPC", "VpcEndpoint", "VpcEndpoint-Bytes", "VpcEndpoint", false, "GB", 0.01, "GB Data Processed by VPC Endpoints", map[string]string{"endpointType": "PrivateLink", "group": "VPCE:VpcEndpoint", "groupDescription": "Charge for per GB data processed by VPC Endpoints"}},
	{"AWSELB", "Load Balancer-Application", "LoadBalancerUsage", "LoadBalancing:Application", true, "Hrs", 0.0225, "Application LoadBalancer-hour", map[string]string{"group": "ELB:Balancer"}},
	{"AWSELB", "Load Balancer-Network", "LoadBalancerUsage", "LoadBalancing:Network", true, "Hrs", 0.0225, "Network LoadBalancer-hour", map[string]string{"group": "ELB:Balancer"}},
	{"AWSELB", "Load Balancer", "LoadBalancerUsage", "LoadBalancing", true, "Hrs", 0.025, "LoadBalancer-hour", map[string]string{"group": "ELB:Balancer"}},
}

// names of the services that have prices here.
var services = map[string]string{
	"AmazonEC2": "Amazon Elastic Compute Cloud", "AmazonEKS": "Amazon Elastic Container Service for Kubernetes",
	"AmazonVPC": "Amazon Virtual Private Cloud", "AWSELB": "Elastic Load Balancing",
}

// windows is what Windows costs more than Linux, USD an hour and vCPU. Burstable types have prices of their own, which
// are not here.
const windows = 0.046

// products lists a service's products in one location.
func (s *Service) products(service string, l location) []product {
	var out []product
	for _, f := range fixed {
		if f.service != service {
			continue
		}
		a := attributes(service, l)
		a["usagetype"], a["operation"] = l.usage(f.usage, f.old), f.operation
		for k, v := range f.attributes {
			a[k] = v
		}
		out = append(out, product{service: service, family: f.family, attributes: a, unit: f.unit, price: f.price, description: fmt.Sprintf("$%s per %s", amount(f.price), f.text)})
	}
	if service != "AmazonEC2" || s.instances == nil {
		return out
	}
	for _, i := range s.instances() {
		out = append(out, i.product(l, "Linux", "RunInstances", i.Price))
		out = append(out, i.lookalikes(l)...)
		if !i.Burstable && i.Arch == "x86_64" {
			out = append(out, i.product(l, "Windows", "RunInstances:0002", i.Price+windows*float64(i.VCPU)))
		}
	}
	return out
}

func attributes(service string, l location) map[string]string {
	return map[string]string{"servicecode": service, "servicename": services[service], "location": l.name, "locationType": "AWS Region", "regionCode": l.region}
}

func (i Instance) product(l location, system, operation string, price float64) product {
	a := attributes("AmazonEC2", l)
	for k, v := range map[string]string{
		"instanceType": i.Name, "vcpu": strconv.Itoa(i.VCPU), "memory": strconv.FormatFloat(float64(i.MemoryMiB)/1024, 'f', -1, 64) + " GiB",
		"operatingSystem": system, "tenancy": "Shared", "preInstalledSw": "NA", "capacitystatus": "Used", "licenseModel": "No License required",
		"marketoption": "OnDemand", "currentGeneration": "Yes", "processorArchitecture": "64-bit", "operation": operation,
		"usagetype": l.usage("BoxUsage:"+i.Name, true),
	} {
		a[k] = v
	}
	return product{service: "AmazonEC2", family: "Compute Instance", attributes: a, unit: "Hrs", price: price,
		description: fmt.Sprintf("$%s per On Demand %s %s Instance Hour", amount(price), system, i.Name)}
}

// lookalikes are what the price list has beside each instance's own line, and what a reader must leave out: the same machine
// on dedicated hardware (a tenth more, here), and as a capacity reservation that is used, which costs nothing besides the
// instance, or is not.
func (i Instance) lookalikes(l location) []product {
	var out []product
	for _, v := range []struct {
		tenancy, status, usage string
		price                  float64
	}{
		{"Dedicated", "Used", "DedicatedUsage:", i.Price * 1.1},
		{"Shared", "AllocatedCapacityReservation", "Reservation:", 0},
		{"Shared", "UnusedCapacityReservation", "UnusedBox:", i.Price},
	} {
		p := i.product(l, "Linux", "RunInstances", v.price)
		p.attributes["tenancy"], p.attributes["capacitystatus"], p.attributes["usagetype"] = v.tenancy, v.status, l.usage(v.usage+i.Name, true)
		out = append(out, p)
	}
	return out
}

// amount is a price as the price list's descriptions have it, without zeros at the end.
func amount(price float64) string {
	return strings.TrimRight(strings.TrimRight(strconv.FormatFloat(price, 'f', 10, 64), "0"), ".")
}

// The numbers of on-demand terms and of hourly rates are the same in all of AWS's price list.
const (
	onDemand = "JRTCKXETXF"
	perUnit  = "6YS6EN2CT7"
)

// published is the date that the emulated list carries.
const published = "2026-11-01T00:00:00Z"

// entry is a product as GetProducts answers it.
func (p product) entry() map[string]any {
	sku := p.sku()
	term := sku + "." + onDemand
	rate := term + "." + perUnit
	described := map[string]any{"attributes": p.attributes, "sku": sku}
	if p.family != "" {
		described["productFamily"] = p.family
	}
	return map[string]any{
		"product": described, "serviceCode": p.service, "version": "20261101000000", "publicationDate": published,
		"terms": map[string]any{"OnDemand": map[string]any{term: map[string]any{
			"sku": sku, "offerTermCode": onDemand, "effectiveDate": published, "termAttributes": map[string]any{},
			"priceDimensions": map[string]any{rate: map[string]any{
				"rateCode": rate, "unit": p.unit, "beginRange": "0", "endRange": "Inf", "appliesTo": []any{},
				"description": p.description, "pricePerUnit": map[string]string{"USD": strconv.FormatFloat(p.price, 'f', 10, 64)},
			}},
		}}},
	}
}
