package cluster

import (
	"slices"
	"strings"
	"testing"

	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/plan"
)

// TestWhatAGivenNetworkLacks: what is missing is said, and the cluster is not made in the wrong place.
func TestWhatAGivenNetworkLacks(t *testing.T) {
	none := func(*fleet.NetworkSpec) {}
	closed := func(n *fleet.NetworkSpec) { n.FullyPrivate, n.NAT = true, fleet.NATDisable }
	edit := func(kind string, f func(fleet.Props)) func(*Observation) {
		return func(o *Observation) { f(o.Found[kind][0].Props) }
	}
	subnet := func(i int, field string, value any) func(*Observation) {
		return edit(idGivenSubnets, func(p fleet.Props) { p["subnets"].([]any)[i].(fleet.Props)[field] = value })
	}
	for name, tc := range map[string]struct {
		spec   fleet.ClusterSpec
		world  func(*Observation)
		failed string // a part of the reason; "" if it is only noted
		note   string
	}{
		"no VPC":           {given(false, none), func(o *Observation) { delete(o.Found, idGivenVPC); delete(o.Found, idGivenSubnets) }, "VPC vpc-yours does not exist in us-east-1", ""},
		"no such id":       {given(false, func(n *fleet.NetworkSpec) { n.Public[0].ID = "subnet-other" }), nil, "vpc.subnets.public.one: VPC vpc-yours has no subnet with id subnet-other", ""},
		"id elsewhere":     {given(false, func(n *fleet.NetworkSpec) { n.Private[0].Zone = "us-east-1b" }), nil, "no subnet with id subnet-privatea and zone us-east-1b", ""},
		"several":          {given(false, func(n *fleet.NetworkSpec) { n.Private[1] = fleet.SubnetSpec{Alias: "two", Zone: "us-east-1b"} }), nil, "several subnets with zone us-east-1b (subnet-publicb, subnet-privateb): name one by its id", ""},
		"one zone":         {given(false, func(n *fleet.NetworkSpec) { n.Public, n.Private = n.Public[:1], nil }), nil, "EKS needs subnets in two zones, and those of the file are in [us-east-1a] only", ""},
		"unknown subnet":   {given(false, func(n *fleet.NetworkSpec) { n.ControlPlaneSubnets = []string{"subnet-privatea", "subnet-gone"} }), nil, "the control plane names subnet subnet-gone", ""},
		"no IPv6":          {given(false, func(n *fleet.NetworkSpec) { n.IPv6 = true }), nil, "VPC vpc-yours has no IPv6 addresses", ""},
		"no private":       {given(true, func(n *fleet.NetworkSpec) { n.Private = nil }), nil, "node group on-demand: there is no private subnet", ""},
		"main route table": {given(true, closed), edit(idGivenRoutes, func(p fleet.Props) { p["routeTables"] = p["routeTables"].([]any)[:3] }), "subnet subnet-privateb uses the main route table", ""},
		"no such endpoint": {given(true, closed), edit(idServices, func(p fleet.Props) { p["serviceDetails"] = p["serviceDetails"].([]any)[1:] }), "AWS offers no VPC endpoint for ec2 in us-east-1", ""},
		"no DNS":           {given(false, none), edit(idGivenVPC, func(p fleet.Props) { p["enableDnsSupport"] = false }), "", "vpc-yours has enableDnsSupport off"},
		"no tag":           {given(false, none), subnet(1, "tags", nil), "", "subnet subnet-privatea has no tag kubernetes.io/role/internal-elb=1"},
		"no addresses":     {given(false, none), subnet(0, "mapPublicIpOnLaunch", false), "", "subnet subnet-publica is public and gives no public addresses"},
	} {
		t.Run(name, func(t *testing.T) {
			o := offer(yours(empty()), tc.spec, "us-east-1a", "us-east-1b")
			if tc.world != nil {
				tc.world(&o)
			}
			if tc.failed == "" {
				p, err := Forecast(now, o, tc.spec, opt)
				if err != nil || p.Outcome != OutcomeActive || !strings.Contains(strings.Join(p.Notes, "\n"), tc.note) {
					t.Errorf("%v\n%s", err, p)
				}
				simulate(t, tc.spec, &o)
				return
			}
			for range 30 {
				p, err := Decide(now, o, tc.spec, opt)
				if err != nil {
					t.Fatal(err)
				}
				if p.Outcome != "" {
					if p.Outcome != OutcomeFailed || !strings.Contains(p.Reason, tc.failed) {
						t.Errorf("%s", p)
					}
					break
				}
				for _, step := range p.Steps {
					for _, a := range step.Actions {
						c := a.(plan.Call)
						if c.API == "ec2:CreateVpc" || c.API == "ec2:CreateSubnet" || c.API == "eks:CreateNodegroup" && name == "no private" {
							t.Errorf("%s", c)
						}
						carryOut(t, &o, c)
					}
				}
			}
			// Where the control plane itself has no place, it is not made.
			if place := strings.Contains("no private, main route table, no such endpoint", name); (o.Control() != nil) != place {
				t.Errorf("control plane: %v", o.Control())
			}
		})
	}
}

// TestWhatIsReadOfAGivenNetwork: the VPC and its tables only by a full look, and nothing is looked for by tags.
func TestWhatIsReadOfAGivenNetwork(t *testing.T) {
	s := given(true, func(n *fleet.NetworkSpec) {
		n.FullyPrivate, n.NAT, n.ControlPlaneSecurityGroups = true, fleet.NATDisable, []string{"sg-yours"}
	})
	var light, full []string
	for _, ref := range Wanted(s, opt) {
		if ref.Kind == idGivenVPC || ref.Kind == idGivenSubnets || ref.Kind == idGivenRoutes || ref.Kind == idServices {
			full = append(full, ref.Kind)
			if Reads(Light, ref.Kind) {
				light = append(light, ref.Kind)
			}
		}
	}
	slices.Sort(full)
	if !slices.Equal(full, []string{idServices, idGivenRoutes, idGivenSubnets, idGivenVPC}) || !slices.Equal(light, []string{idGivenSubnets}) {
		t.Errorf("full %v, light %v", full, light)
	}
	if got := Kinds(Light, s); !slices.Equal(got, []string{"endpoint"}) {
		t.Errorf("%v", got)
	}
}

// TestEndpointsAreWhereTheServiceIs: not every service is in every zone, and an endpoint takes one subnet a zone.
func TestEndpointsAreWhereTheServiceIs(t *testing.T) {
	s := given(true, func(n *fleet.NetworkSpec) {
		n.FullyPrivate, n.NAT = true, fleet.NATDisable
		n.Private = append(n.Private, fleet.SubnetSpec{Alias: "three", ID: "subnet-publicb"}) // a second one in its zone
	})
	o := offer(yours(empty()), s, "us-east-1a", "us-east-1b")
	for _, d := range fleet.Items(o.Found[idServices][0].Props, "serviceDetails") {
		if strings.HasSuffix(fleet.Text(d, "serviceName"), ".sts") {
			d["availabilityZones"] = []any{"us-east-1b", "us-east-1f"}
		}
	}
	simulate(t, s, &o)
	for id, want := range map[string][]string{"endpoint/sts": {"subnet-privateb"}, "endpoint/ec2": {"subnet-privatea", "subnet-privateb"}} {
		if got := fleet.Texts(o.first(id).Props, "subnetIds"); !sameSet(got, want) {
			t.Errorf("%s: %v, want %v", id, got, want)
		}
	}
	if got := fleet.Texts(o.first("endpoint/s3").Props, "routeTableIds"); !sameSet(got, []string{"rtb-subnet-privatea", "rtb-subnet-privateb", "rtb-subnet-publicb"}) {
		t.Errorf("%v", got)
	}
}

func TestServiceNames(t *testing.T) {
	for name, want := range map[string]string{
		"us-east-1 ec2": "com.amazonaws.us-east-1.ec2", "us-gov-west-1 sts": "com.amazonaws.us-gov-west-1.sts",
		"cn-north-1 ecr.api": "cn.com.amazonaws.cn-north-1.ecr.api", "cn-north-1 s3": "com.amazonaws.cn-north-1.s3",
		"us-isob-east-1 ec2": "gov.sgov.sc2s.us-isob-east-1.ec2", "us-iso-east-1 sts": "com.amazonaws.us-iso-east-1.sts",
		"us-isof-south-1 ecr.dkr": "gov.ic.hci.csp.us-isof-south-1.ecr.dkr",
	} {
		region, service, _ := strings.Cut(name, " ")
		if got := serviceName(region, service); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}

func TestEndpointServices(t *testing.T) {
	s := demo()
	s.Logging, s.Network.ExtraEndpoints = []string{"api"}, []string{"autoscaling", "logs"}
	s.IAM.PodIdentities = []fleet.PodIdentitySpec{{Namespace: "a", ServiceAccount: "b"}}
	if got := endpointServices(s); !slices.Equal(got, []string{"ec2", "ecr.api", "ecr.dkr", "s3", "sts", "autoscaling", "logs", "eks-auth"}) {
		t.Errorf("%v", got)
	}
}

func TestPlacement(t *testing.T) {
	own := shaped(true, func(n *fleet.NetworkSpec) { n.NAT, n.Local = fleet.NATSingle, []string{"us-east-1-bos-1a"} })
	theirs := given(false, func(*fleet.NetworkSpec) {})
	onOutpost := yours(empty())
	onOutpost.Found[idGivenSubnets][0].Props["subnets"].([]any)[1].(fleet.Props)["outpostArn"] = "arn:outpost"
	for name, tc := range map[string]struct {
		s    fleet.ClusterSpec
		g    fleet.NodeGroupSpec
		want []string
	}{
		"public":            {own, fleet.NodeGroupSpec{}, []string{"subnet/public/us-east-1a", "subnet/public/us-east-1b"}},
		"private":           {own, fleet.NodeGroupSpec{Private: true}, []string{"subnet/private/us-east-1a", "subnet/private/us-east-1b"}},
		"zone":              {own, fleet.NodeGroupSpec{Zones: []string{"us-east-1b"}}, []string{"subnet/public/us-east-1b"}},
		"named zone":        {own, fleet.NodeGroupSpec{Private: true, Subnets: []string{"us-east-1b"}}, []string{"subnet/private/us-east-1b"}},
		"Local Zone":        {own, fleet.NodeGroupSpec{SelfManaged: true, LocalZones: []string{"us-east-1-bos-1a"}}, []string{"subnet/public/us-east-1-bos-1a"}},
		"no such zone":      {own, fleet.NodeGroupSpec{Zones: []string{"us-east-1f"}}, nil},
		"EFA":               {own, fleet.NodeGroupSpec{Zones: []string{"us-east-1a", "us-east-1b"}, Machine: fleet.MachineSpec{EFA: true}}, []string{"subnet/public/us-east-1a"}},
		"given":             {theirs, fleet.NodeGroupSpec{}, []string{"givensubnet/public/one", "givensubnet/public/us-east-1b"}},
		"given, alias":      {theirs, fleet.NodeGroupSpec{Subnets: []string{"one"}}, []string{"givensubnet/public/one"}},
		"given, id":         {theirs, fleet.NodeGroupSpec{Private: true, Subnets: []string{"subnet-privateb"}}, []string{"givensubnet/private/two"}},
		"given, other side": {theirs, fleet.NodeGroupSpec{Private: true, Subnets: []string{"one"}}, []string{"givensubnet/public/one"}},
		"given, zone":       {theirs, fleet.NodeGroupSpec{Zones: []string{"us-east-1a"}}, []string{"givensubnet/public/one"}},
		"Outpost":           {theirs, fleet.NodeGroupSpec{Private: true, OutpostARN: "arn:outpost"}, []string{"givensubnet/private/us-east-1a"}},
	} {
		o := empty()
		if tc.s.Network.VPC != "" {
			o = onOutpost
		}
		b := &builder{o: o, s: tc.s, opt: opt, at: map[string]int{}}
		n, err := b.network()
		if err != nil {
			t.Fatal(err)
		}
		ids, needs := n.placement(tc.g)
		if !slices.Equal(ids, tc.want) {
			t.Errorf("%s: %v, want %v", name, ids, tc.want)
		}
		for _, id := range needs {
			if _, there := b.at[id]; there != (len(tc.want) > 0) {
				t.Errorf("%s: needs %s", name, id)
			}
		}
	}
}

func TestControlPlaneSubnets(t *testing.T) {
	auto := shaped(true, func(n *fleet.NetworkSpec) { n.NAT = fleet.NATSingle })
	auto.Auto = &fleet.AutoSpec{}
	for name, tc := range map[string]struct {
		s    fleet.ClusterSpec
		want string
	}{
		"all":           {shaped(true, func(n *fleet.NetworkSpec) { n.NAT = fleet.NATSingle }), "public public private private"},
		"on private":    {shaped(true, func(n *fleet.NetworkSpec) { n.NAT, n.ControlPlaneOnPrivate = fleet.NATSingle, true }), "private private"},
		"Auto Mode":     {auto, "private private"},
		"fully private": {shaped(true, func(n *fleet.NetworkSpec) { n.NAT, n.FullyPrivate = fleet.NATDisable, true }), "private private"},
	} {
		b := &builder{o: empty(), s: tc.s, opt: opt, at: map[string]int{}}
		n, err := b.network()
		if err != nil {
			t.Fatal(err)
		}
		var sides []string
		for _, id := range n.controlPlaneSubnets(tc.s) {
			sides = append(sides, strings.Split(id, "/")[1])
		}
		if got := strings.Join(sides, " "); got != tc.want {
			t.Errorf("%s: %s, want %s", name, got, tc.want)
		}
	}
}

// TestAClusterDoesNotMove: another VPC in the file would make another network, which nothing would use.
func TestAClusterDoesNotMove(t *testing.T) {
	for name, s := range map[string]fleet.ClusterSpec{"to ours": demo(), "to another": given(false, func(*fleet.NetworkSpec) {})} {
		o := empty()
		o.Found[idCluster] = []fleet.Resource{{Ref: fleet.Ref{ID: idCluster, Kind: "cluster", Name: s.Name}, Physical: s.Name, Status: "ACTIVE",
			Tags: owned(s), Props: fleet.Props{"resourcesVpcConfig": fleet.Props{"vpcId": "vpc-before"}}}}
		if _, err := Decide(now, o, s, opt); err == nil || !strings.Contains(err.Error(), "write vpc.id: vpc-before") {
			t.Errorf("%s: %v", name, err)
		}
	}
	s := demo()
	s.Outpost = &fleet.OutpostSpec{ARN: "arn:aws:outposts:us-east-1:123456789012:outpost/op-1"}
	if _, err := Decide(now, empty(), s, opt); err == nil || !strings.Contains(err.Error(), "vpc.subnets") {
		t.Errorf("%v", err)
	}
}

func TestBlocks(t *testing.T) {
	six := newBlocks6("2001:db8:1:ff00::/56", []string{"2001:db8:1:ff01::/64", ""})
	for _, want := range []string{"2001:db8:1:ff00::/64", "2001:db8:1:ff02::/64"} {
		if got, err := six.take(); got != want || err != nil {
			t.Errorf("%s, %v, want %s", got, err, want)
		}
	}
	if got, err := newBlocks6("", nil).take(); !plan.IsUnknown(got) || err != nil {
		t.Errorf("%s, %v", got, err)
	}
	full := newBlocks6("2001:db8:1:ff00::/63", []string{"2001:db8:1:ff00::/64", "2001:db8:1:ff01::/64"})
	if got, err := full.take(); err == nil {
		t.Errorf("%s of a full range", got)
	}
	four, err := newBlocks("10.0.0.0/16", 4, []string{"10.0.0.0/19", "10.0.32.0/19", "10.0.64.0/19", "10.0.96.0/19"})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := four.take(true); got != "10.0.128.0/19" || err != nil { // the lower half is full
		t.Errorf("%s, %v", got, err)
	}
}
