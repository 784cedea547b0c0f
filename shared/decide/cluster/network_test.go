package cluster

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/plan"
)

// What calls about networks do to the things that they are about.
func init() {
	parts["ec2:CreateVpc"] = func(o *Observation, c plan.Call) {
		r := created(c)
		r.Props["cidrBlockAssociationSet"] = []any{fleet.Props{"cidrBlock": r.Props["cidrBlock"], "cidrBlockState": fleet.Props{"state": "associated"}}}
		if six := fleet.Text(c.Input, "ipv6CidrBlock"); six != "" || fleet.Flag(c.Input, "amazonProvidedIpv6CidrBlock") {
			if six == "" {
				six = "2001:db8:1234:1a00::/56"
			}
			r.Props["ipv6CidrBlockAssociationSet"] = []any{fleet.Props{"ipv6CidrBlock": six, "ipv6CidrBlockState": fleet.Props{"state": "associated"}}}
		}
		o.Found[c.ID] = []fleet.Resource{r}
	}
	parts["ec2:CreateSubnet"] = func(o *Observation, c plan.Call) {
		r := created(c)
		if six := fleet.Text(c.Input, "ipv6CidrBlock"); six != "" {
			r.Props["ipv6CidrBlockAssociationSet"] = []any{fleet.Props{"ipv6CidrBlock": six, "ipv6CidrBlockState": fleet.Props{"state": "associated"}}}
		}
		o.Found[c.ID] = []fleet.Resource{r}
	}
	modify := parts["ec2:ModifySubnetAttribute"]
	parts["ec2:ModifySubnetAttribute"] = func(o *Observation, c plan.Call) {
		if t := fleet.Text(c.Input, "privateDnsHostnameTypeOnLaunch"); t != "" {
			changed(o, physicalOf(c, "subnetId"), func(p fleet.Props) { p["privateDnsNameOptionsOnLaunch"] = fleet.Props{"hostnameType": t} })
			return
		}
		modify(o, c)
	}
	parts["ec2:DeleteRoute"] = func(o *Observation, c plan.Call) {
		changed(o, physicalOf(c, "routeTableId"), func(p fleet.Props) {
			list, _ := p["routes"].([]any)
			p["routes"] = slices.DeleteFunc(list, func(v any) bool { return v.(fleet.Props)["destinationCidrBlock"] == c.Input["destinationCidrBlock"] })
		})
	}
	parts["ec2:CreateTags"] = func(o *Observation, c plan.Call) {
		id := strings.TrimPrefix(fleet.Texts(c.Input, "resources")[0], "id-of ")
		for _, t := range fleet.Items(c.Input, "tags") {
			o.Found[id][0].Tags[fleet.Text(t, "key")] = fleet.Text(t, "value")
		}
	}
	parts["ec2:CreateVpcEndpoint"] = func(o *Observation, c plan.Call) {
		r := created(c)
		r.Status = "available"
		for _, g := range fleet.Texts(c.Input, "securityGroupIds") {
			r.Props["groups"] = []any{fleet.Props{"groupId": g}}
		}
		o.Found[c.ID] = []fleet.Resource{r}
	}
	parts["ec2:ModifyVpcEndpoint"] = func(o *Observation, c plan.Call) {
		changed(o, physicalOf(c, "vpcEndpointId"), func(p fleet.Props) {
			for to, from := range map[string]string{"subnetIds": "addSubnetIds", "routeTableIds": "addRouteTableIds"} {
				p[to] = fleet.Strings(append(fleet.Texts(p, to), fleet.Texts(c.Input, from)...))
			}
		})
	}
	parts["ec2:AuthorizeSecurityGroupIngress"] = func(o *Observation, c plan.Call) {
		changed(o, physicalOf(c, "groupId"), func(p fleet.Props) {
			list, _ := p["ipPermissions"].([]any)
			p["ipPermissions"] = append(list, c.Input["ipPermissions"].([]any)...)
		})
	}
}

func init() {
	if parts["eks:UpdateClusterConfig"] == nil {
		parts["eks:UpdateClusterConfig"] = func(o *Observation, c plan.Call) {
			changed(o, idCluster, func(p fleet.Props) {
				for k, v := range c.Input {
					if in, ok := v.(fleet.Props); ok {
						have, _ := p[k].(fleet.Props)
						have = maps.Clone(have)
						maps.Copy(have, in)
						v = have
					}
					p[k] = v
				}
			})
		}
	}
}

// yours is an existing VPC with two subnets of each kind, as it is read.
func yours(o Observation) Observation {
	const id = "vpc-yours"
	var subnets, tables []any
	for i, zone := range []string{"us-east-1a", "us-east-1b"} {
		for j, side := range []string{"public", "private"} {
			role := map[string]string{"public": "kubernetes.io/role/elb", "private": "kubernetes.io/role/internal-elb"}[side]
			sub := "subnet-" + side + zone[len(zone)-1:]
			subnets = append(subnets, fleet.Props{
				"subnetId": sub, "vpcId": id, "availabilityZone": zone, "cidrBlock": fmt.Sprintf("10.9.%d.0/24", 2*i+j), "state": "available",
				"mapPublicIpOnLaunch": side == "public", "tags": []any{fleet.Props{"key": role, "value": "1"}},
			})
			tables = append(tables, fleet.Props{"routeTableId": "rtb-" + sub, "associations": []any{fleet.Props{"subnetId": sub}}})
		}
	}
	one := func(kind string, p fleet.Props) {
		o.Found[kind] = []fleet.Resource{{Ref: fleet.Ref{ID: kind, Kind: kind, Name: id}, Physical: id, Props: p}}
	}
	one(idGivenVPC, fleet.Props{"vpcId": id, "cidrBlock": "10.9.0.0/16", "enableDnsSupport": true, "enableDnsHostnames": true})
	one(idGivenSubnets, fleet.Props{"subnets": subnets})
	one(idGivenRoutes, fleet.Props{"routeTables": tables})
	return o
}

// offer is what the Region has of endpoints.
func offer(o Observation, s fleet.ClusterSpec, zones ...string) Observation {
	var list []any
	for _, service := range endpointServices(s) {
		kind := "Interface"
		if service == gatewayService { // as both
			list = append(list, fleet.Props{"serviceName": serviceName(s.Region, service), "serviceType": []any{fleet.Props{"serviceType": "Gateway"}}})
		}
		list = append(list, fleet.Props{"serviceName": serviceName(s.Region, service), "availabilityZones": fleet.Strings(zones),
			"serviceType": []any{fleet.Props{"serviceType": kind}}})
	}
	o.Found[idServices] = []fleet.Resource{{Ref: fleet.Ref{ID: idServices, Kind: idServices}, Physical: idServices, Props: fleet.Props{"serviceDetails": list}}}
	return o
}

// shaped is a cluster with one managed group in a network that f shapes.
func shaped(inside bool, f func(*fleet.NetworkSpec)) fleet.ClusterSpec {
	s := demo()
	s.Network.Zones = []string{"us-east-1a", "us-east-1b"}
	s.NodeGroups = s.NodeGroups[1:]
	s.NodeGroups[0].Private = inside
	f(&s.Network)
	return s
}

func given(inside bool, f func(*fleet.NetworkSpec)) fleet.ClusterSpec {
	return shaped(inside, func(n *fleet.NetworkSpec) {
		n.VPC, n.Zones = "vpc-yours", nil
		n.Public = []fleet.SubnetSpec{{Alias: "one", ID: "subnet-publica"}, {Alias: "us-east-1b", Zone: "us-east-1b", CIDR: "10.9.2.0/24"}}
		n.Private = []fleet.SubnetSpec{{Alias: "us-east-1a", Zone: "us-east-1a", ID: "subnet-privatea"}, {Alias: "two", CIDR: "10.9.3.0/24"}}
		f(n)
	})
}

var networkKinds = []string{"vpc", "subnet", "igw", "routes", "address", "nat", "egress", "sg", "endpoint", "cluster", "nodegroup"}

// TestNetworks makes clusters in all kinds of networks, and then does nothing more.
func TestNetworks(t *testing.T) {
	closed := func(n *fleet.NetworkSpec) {
		n.FullyPrivate, n.PublicAccess, n.PrivateAccess, n.NAT = true, false, true, fleet.NATDisable
	}
	six := func(n *fleet.NetworkSpec) { n.IPv6, n.NAT = true, fleet.NATSingle }
	for name, s := range map[string]fleet.ClusterSpec{
		"single": shaped(true, func(n *fleet.NetworkSpec) { n.NAT, n.HostnameType = fleet.NATSingle, "resource-name" }),
		"ipv6":   shaped(true, six),
		"ipv6-own": shaped(false, func(n *fleet.NetworkSpec) {
			six(n)
			n.IPv6CIDR, n.IPv6Pool, n.NAT = "2a05:d018:1::/56", "ipv6pool-ec2-1", fleet.NATDisable
		}),
		"private":   shaped(true, closed),
		"private-6": shaped(true, func(n *fleet.NetworkSpec) { closed(n); n.IPv6 = true }),
		"extra": shaped(false, func(n *fleet.NetworkSpec) {
			n.ExtraCIDRs, n.ExtraIPv6CIDRs = []string{"10.1.0.0/16"}, []string{"fd00:1::/64"}
		}),
		"local": func() fleet.ClusterSpec {
			s := shaped(true, func(n *fleet.NetworkSpec) { n.NAT, n.Local = fleet.NATSingle, []string{"us-east-1-bos-1a"} })
			return s
		}(),
		"given": given(false, func(n *fleet.NetworkSpec) {
			n.ControlPlaneSubnets, n.ControlPlaneSecurityGroups = []string{"subnet-privatea", "subnet-privateb"}, []string{"sg-yours"}
		}),
		"given-private": given(true, closed),
	} {
		t.Run(name, func(t *testing.T) {
			o := offer(yours(empty()), s, "us-east-1a", "us-east-1b")
			var text []string
			p, err := Forecast(now, o, s, opt)
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range simulate(t, s, &o) {
				if slices.Contains(networkKinds, fleet.KindOf(c.ID)) {
					text = append(text, fmt.Sprintf("%s %s: %s", c.API, c.ID, c))
				}
			}
			made := len(text)
			ids := o.Control().Props["resourcesVpcConfig"].(fleet.Props)
			text = append(text, fmt.Sprint("control plane in ", ids["subnetIds"], " groups ", ids["securityGroupIds"]),
				fmt.Sprint("nodes in ", o.first("nodegroup/on-demand").Props["subnets"]))
			golden(t, "network/"+name+".txt", strings.Join(append(text, p.Notes...), "\n")+"\n")
			if forecast := networkCalls(p); forecast != made {
				t.Errorf("%d calls were forecast, and %d made: %s", forecast, made, p)
			}
		})
	}
}

func networkCalls(p plan.Plan) (n int) {
	for _, step := range p.Steps {
		for _, a := range step.Actions {
			if c, ok := a.(plan.Call); ok && slices.Contains(networkKinds, fleet.KindOf(c.ID)) {
				n++
			}
		}
	}
	return n
}

// TestNATConverges changes how private subnets get out, from each way to each.
func TestNATConverges(t *testing.T) {
	modes := []fleet.NATMode{fleet.NATSingle, fleet.NATHighlyAvailable, fleet.NATDisable}
	count := map[fleet.NATMode]int{fleet.NATSingle: 1, fleet.NATHighlyAvailable: 3}
	for _, from := range modes {
		for _, to := range modes {
			s := demo()
			s.Network.NAT = from
			o := empty()
			simulate(t, s, &o)
			s.Network.NAT = to
			p, err := Forecast(now, o, s, opt)
			if err != nil {
				t.Fatal(err)
			}
			var stages []string
			calls := simulate(t, s, &o)
			for _, c := range calls {
				if len(stages) == 0 || stages[len(stages)-1] != c.API {
					stages = append(stages, c.API)
				}
			}
			made := slices.DeleteFunc(slices.Clone(calls), func(c plan.Call) bool { return c.ID == idCluster }) // moves once ids are known
			if p.Len() != len(made) {
				t.Errorf("%s to %s: %d calls forecast, %d made: %s", from, to, p.Len(), len(made), p)
			}
			if nats := o.zonesOf("nat/"); len(nats) != count[to] || len(o.zonesOf("address/")) != count[to] {
				t.Errorf("%s to %s: gateways %v, addresses %v after %v", from, to, nats, o.zonesOf("address/"), stages)
			}
			for id := range o.Found {
				if strings.HasPrefix(id, "routes/private/") {
					if r := routeTo(o.first(id), anywhere); (r != nil) != (count[to] > 0) {
						t.Errorf("%s to %s: %s leads to %v", from, to, id, r)
					}
				}
			}
			last := func(api string) int {
				for i, c := range slices.Backward(calls) {
					if c.API == api {
						return i
					}
				}
				return -1
			}
			first := func(api string) int {
				return slices.IndexFunc(calls, func(c plan.Call) bool { return c.API == api })
			}
			if i := first("ec2:DeleteNatGateway"); i >= 0 && (i < last("ec2:ReplaceRoute") || i < last("ec2:DeleteRoute") || i < last("ec2:CreateNatGateway") || first("ec2:ReleaseAddress") < i) {
				t.Errorf("%s to %s: in this order: %v", from, to, stages)
			}
		}
	}
}

// TestNATGatewaysGoAndAreWaitedFor: the address of a gateway that is being deleted is released when it is gone, and a light
// look, which does not see that, is not enough meanwhile.
func TestNATGatewaysGoAndAreWaitedFor(t *testing.T) {
	s, o := private(), empty()
	simulate(t, s, &o)
	s.Network.NAT = fleet.NATSingle
	for range 10 {
		p, err := Decide(now, o, s, opt)
		if err != nil {
			t.Fatal(err)
		}
		if p.Empty() {
			break
		}
		for _, a := range p.Steps[0].Actions {
			if c := a.(plan.Call); c.API == "ec2:DeleteNatGateway" {
				o.Found[c.ID][0].Status = "deleting"
			} else {
				carryOut(t, &o, c)
			}
		}
	}
	p, err := Decide(now, o, s, opt)
	if err != nil || p.Outcome != "" || !p.Empty() {
		t.Fatalf("%v\n%s", err, p)
	}
	if _, waiting := Progress(now, o, s, opt); !slices.Equal(waiting, []string{"nat/us-east-1b", "nat/us-east-1d"}) && len(waiting) != 2 || !Hidden(waiting, s) {
		t.Errorf("waits for %v", waiting)
	}
	if len(o.zonesOf("address/")) != 3 {
		t.Errorf("addresses %v", o.zonesOf("address/"))
	}
	maps.DeleteFunc(o.Found, func(_ string, l []fleet.Resource) bool { return l[0].Status == "deleting" })
	if got := called(simulate(t, s, &o), "address/"); !slices.Equal(got, []string{"ec2:ReleaseAddress", "ec2:ReleaseAddress"}) {
		t.Errorf("%v", got)
	}
}

// TestASingleGatewayStays when zones come that are before its own, and one that another zone's table uses stays, too.
func TestASingleGatewayStays(t *testing.T) {
	s := shaped(true, func(n *fleet.NetworkSpec) { n.NAT, n.Zones = fleet.NATSingle, []string{"us-east-1b", "us-east-1c"} })
	o := empty()
	simulate(t, s, &o)
	s.Network.Zones = []string{"us-east-1a", "us-east-1b", "us-east-1c"}
	for _, c := range simulate(t, s, &o) {
		if c.API == "ec2:CreateNatGateway" || c.API == "ec2:DeleteNatGateway" || c.API == "ec2:ReplaceRoute" {
			t.Errorf("%s", c)
		}
	}
	s.Network.Zones, s.Network.NAT = []string{"us-east-1a", "us-east-1c"}, fleet.NATHighlyAvailable
	for _, c := range simulate(t, s, &o) {
		if c.Effect == plan.Delete {
			t.Errorf("%s, and routes/private/us-east-1b leads to it", c)
		}
	}
}

// TestALightLookSeesTheWaysOut in the route tables.
func TestALightLookSeesTheWaysOut(t *testing.T) {
	for _, from := range []fleet.NATMode{fleet.NATSingle, fleet.NATHighlyAvailable, fleet.NATDisable} {
		s, o := private(), empty()
		s.Network.NAT, s.NodeGroups[0].Private = fleet.NATHighlyAvailable, false
		simulate(t, s, &o) // so that there are private subnets
		s.Network.NAT = from
		simulate(t, s, &o)
		light := o
		light.Depth, light.Found = Light, maps.Clone(o.Found)
		maps.DeleteFunc(light.Found, func(_ string, l []fleet.Resource) bool {
			return slices.Contains(taggedKinds, l[0].Kind) && !slices.Contains(Kinds(Light, s), l[0].Kind)
		})
		for _, to := range []fleet.NATMode{fleet.NATSingle, fleet.NATHighlyAvailable, fleet.NATDisable} {
			s.Network.NAT = to
			if got := Unsettled(now, light, s, opt); got != (from != to) {
				t.Errorf("from %s, the file says %s: unsettled %t", from, to, got)
			}
		}
	}
}
