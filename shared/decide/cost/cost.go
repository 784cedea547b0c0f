// Package cost estimates what a cluster costs a month while nothing happens: its control plane, machines at their desired
// number, disks, addresses, NAT gateways and endpoints. It is pure: Ask names the prices, somebody reads them, and Estimate
// adds them up. What follows from use (traffic, logs, load balancers) is named and not counted.
package cost

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/plan"
)

// Hours are those of a month, as AWS counts them.
const Hours = 730

// Price is what something costs. Low and High differ where nobody knows which of several it will be: spot prices of zones.
type Price struct {
	Low, High float64
	// Unit is "hour" or "GB-month".
	Unit string
	// Source says where it comes from, and AsOf since when it holds: a day.
	Source, AsOf string
}

// Line is one kind of thing that costs money.
type Line struct {
	What     string  `json:"what"`
	Resource string  `json:"resource"` // as the plan names it
	Quantity float64 `json:"quantity"`
	Unit     string  `json:"unit"` // of the quantity: "", "GB"
	// Hourly and Monthly are USD, the least and the most. Both 0 where the price is not known: see Source.
	Hourly  [2]float64 `json:"hourly"`
	Monthly [2]float64 `json:"monthly"`
	Known   bool       `json:"known"`
	Source  string     `json:"source"`
	AsOf    string     `json:"asOf,omitempty"`
}

// Estimate is a cluster's cost at rest.
type Estimate struct {
	Lines []Line `json:"lines"`
	// Monthly is USD, the least and the most, of what has a price.
	Monthly [2]float64 `json:"monthly"`
	// NotCounted is what costs money, too.
	NotCounted []string `json:"notCounted"`
}

// Names of prices; "instance/m5.large", "instance/m5.large/Windows", "spot/m5.large", "disk/gp3" follow from the machines.
const (
	ControlPlane = "controlplane"
	Extended     = "controlplane/extended" // what extended support costs in addition
	NAT          = "nat"
	Address      = "ipv4"
	Endpoint     = "endpoint"
)

// item is a line before its price is known.
type item struct {
	what, resource string
	quantity       float64
	unit           string
	prices         []string // any of them
	times          float64  // of the price, within one of quantity: GiB of a disk
}

// Input is what an estimate is made of.
type Input struct {
	Spec fleet.ClusterSpec
	// Plan is what is still to be made; it knows which machines were chosen, and in how many zones.
	Plan plan.Plan
	// Extended: the version of Kubernetes is in extended support.
	Extended bool
	Prices   map[string]Price
}

// Ask names the prices that an estimate needs, each once.
func Ask(in Input) (names []string) {
	items, _ := in.items()
	for _, i := range items {
		names = append(names, i.prices...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// Of adds up.
func Of(in Input) Estimate {
	items, not := in.items()
	e := Estimate{NotCounted: not}
	for _, i := range items {
		l := Line{What: i.what, Resource: i.resource, Quantity: i.quantity, Unit: i.unit, Source: "no price is known"}
		low, high := math.Inf(1), 0.0
		for _, name := range i.prices {
			p, ok := in.Prices[name]
			if !ok {
				continue
			}
			a, b := p.Low, p.High
			if p.Unit == "GB-month" {
				a, b = a/Hours, b/Hours
			}
			low, high = min(low, a), max(high, b)
			l.Known, l.Source, l.AsOf = true, p.Source, cmp.Or(l.AsOf, p.AsOf)
		}
		if l.Known {
			l.Hourly = [2]float64{low * i.times, high * i.times}
			for k := range l.Monthly {
				l.Monthly[k] = l.Hourly[k] * i.quantity * Hours
				e.Monthly[k] += l.Monthly[k]
			}
		}
		e.Lines = append(e.Lines, l)
	}
	return e
}

// items are all that costs money, and what is not counted.
func (in Input) items() (out []item, not []string) {
	s := in.Spec
	add := func(what, resource string, quantity int, prices ...string) {
		if quantity > 0 {
			out = append(out, item{what: what, resource: resource, quantity: float64(quantity), prices: prices, times: 1})
		}
	}
	if s.Outpost == nil {
		add("EKS control plane", "cluster", 1, ControlPlane)
	} else {
		not = append(not, "the Outpost")
	}
	if in.Extended {
		add("extended support of Kubernetes "+s.Version, "cluster", 1, Extended)
	}
	if s.Tier != "" && s.Tier != "standard" {
		add("control plane tier "+s.Tier, "cluster", 1)
	}
	for _, c := range s.Capabilities {
		add("EKS capability "+c.Type, "capability/"+c.Name, 1)
	}
	nats := in.nats()
	add("NAT gateway", "nat", nats, NAT)
	add("public IPv4 address of NAT", "address", nats, Address)
	add("interface VPC endpoint, in each zone", "endpoint", in.endpoints(), Endpoint)
	for _, g := range s.NodeGroups {
		out = append(out, in.group(g)...)
	}
	not = append(not, "traffic", "control plane and container logs", "load balancers and volumes that workloads ask for", "taxes, discounts and savings plans")
	if len(s.Fargate) > 0 {
		not = append(not, "Fargate pods")
	}
	if s.Auto != nil {
		not = append(not, "nodes of EKS Auto Mode")
	}
	if s.Remote != nil {
		not = append(not, "hybrid nodes")
	}
	if s.SecretsKeyARN != "" {
		not = append(not, "the KMS key")
	}
	return out, not
}

// zones is in how many zones the cluster is: the spec's, or those that the plan chose.
func (in Input) zones() int {
	if n := len(in.Spec.Network.Zones); n > 0 {
		return n
	}
	var zones []string
	for _, c := range in.calls("ec2:CreateSubnet") {
		zones = append(zones, fleet.Text(c.Input, "availabilityZone"))
	}
	slices.Sort(zones)
	if n := len(slices.Compact(zones)); n > 0 {
		return n
	}
	return 3 // what ekspedite chooses where there are so many
}

func (in Input) calls(api string) (out []plan.Call) {
	for _, step := range in.Plan.Steps {
		for _, a := range step.Actions {
			if c, ok := a.(plan.Call); ok && c.API == api {
				out = append(out, c)
			}
		}
	}
	return out
}

func (in Input) nats() int {
	n := in.Spec.Network
	switch {
	case n.VPC != "", n.FullyPrivate:
		return 0
	case n.NAT == fleet.NATSingle:
		return 1
	case n.NAT == fleet.NATHighlyAvailable:
		return in.zones()
	}
	return 0
}

// endpoints counts the interfaces of VPC endpoints, each of which is paid for. The plan knows them; of those that are there
// already, the spec says nearly as much.
func (in Input) endpoints() int {
	s := in.Spec
	if !s.Network.FullyPrivate || s.Network.NoEndpoints {
		return 0
	}
	n := 0
	for _, c := range in.calls("ec2:CreateVpcEndpoint") {
		n += len(fleet.Texts(c.Input, "subnetIds"))
	}
	if n > 0 {
		return n
	}
	services := 4 + len(s.Network.ExtraEndpoints) // ec2, ecr.api, ecr.dkr, sts; S3's is free
	if len(s.Logging) > 0 {
		services++
	}
	zones := in.zones()
	if s.Network.VPC != "" {
		zones = max(1, len(s.Network.Private))
	}
	return services * zones
}

// eksDisk is the root volume that EKS gives to a node when nobody says how large it shall be, in GiB.
const eksDisk = 20

// group is a node group at its desired number.
func (in Input) group(g fleet.NodeGroupSpec) (out []item) {
	id, n := "nodegroup/"+g.Name, float64(g.Desired)
	if g.Desired == 0 {
		return nil
	}
	types := g.InstanceTypes
	for _, c := range in.calls("eks:CreateNodegroup") {
		if list := fleet.Texts(c.Input, "instanceTypes"); c.ID == id && len(list) > 0 {
			types = list
		}
	}
	var prices []string
	for _, t := range types {
		switch windows := strings.HasPrefix(g.AMIType, "WINDOWS") || strings.HasPrefix(g.AMIFamily, "Windows"); {
		case plan.IsUnknown(t):
		case g.Spot && windows:
			prices = append(prices, "spot/"+t+"/Windows")
		case g.Spot:
			prices = append(prices, "spot/"+t)
		case windows:
			prices = append(prices, "instance/"+t+"/Windows")
		default:
			prices = append(prices, "instance/"+t)
		}
	}
	how := "on demand"
	switch {
	case g.Spot:
		how = "spot"
	case g.CapacityBlock: // paid in advance
		how, prices = "capacity block", nil
	}
	what := "machines of its launch template or selector"
	if len(types) > 0 {
		what = strings.Join(types[:min(4, len(types))], " or ")
		if len(types) > 4 {
			what = fmt.Sprintf("%s or %d others", types[0], len(types)-1)
		}
	}
	out = append(out, item{what: fmt.Sprintf("%s: %s, %s", g.Name, what, how), resource: id, quantity: n, prices: prices, times: 1})
	disk := func(kind string, gib int) {
		kind = cmp.Or(kind, "gp3")
		out = append(out, item{what: fmt.Sprintf("%s: %s volume of %d GiB", g.Name, kind, gib), resource: id, quantity: n, prices: []string{"disk/" + kind}, times: float64(gib)})
	}
	disk(g.Machine.DiskType, cmp.Or(g.Machine.DiskGiB, eksDisk))
	for _, v := range g.Machine.Volumes {
		if v.GiB > 0 {
			disk(v.Type, v.GiB)
		}
	}
	if !g.Private && in.Spec.Network.VPC == "" && !in.Spec.Network.FullyPrivate {
		out = append(out, item{what: g.Name + ": public IPv4 address", resource: id, quantity: n, prices: []string{Address}, times: 1})
	}
	return out
}
