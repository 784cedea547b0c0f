package preflight

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/shared/decide/cluster"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/plan"
)

var (
	now = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	opt = cluster.Options{
		RunID: "run-1", Account: "123456789012", InterruptionRole: "arn:aws:iam::123456789012:role/ekspedite-Interruption-Role",
		ClusterRole: "arn:aws:iam::123456789012:role/ekspedite-Cluster-Role",
	}
)

const keyARN = "arn:aws:kms:us-east-1:123456789012:key/1"

// scene is a spec in an account, in which all is well until a test changes it.
type scene struct {
	t     *testing.T
	s     fleet.ClusterSpec
	o     cluster.Observation
	facts Facts
	// fixed are answers that differ from the good ones; nil Props: there is no such thing.
	fixed map[Question]fleet.Props
	// bend changes good answers of a kind.
	bend map[string]func(fleet.Props)
}

func group(name string, types ...string) fleet.NodeGroupSpec {
	return fleet.NodeGroupSpec{Name: name, InstanceTypes: types, AMIType: "AL2023_x86_64_STANDARD", AMIFamily: "AmazonLinux2023", Min: 1, Max: 6, Desired: 3, Private: true}
}

func newScene(t *testing.T) *scene {
	zones := []fleet.Zone{{Name: "us-east-1a", ID: "use1-az1"}, {Name: "us-east-1b", ID: "use1-az2"}, {Name: "us-east-1c", ID: "use1-az4"}}
	return &scene{
		t: t, fixed: map[Question]fleet.Props{}, bend: map[string]func(fleet.Props){},
		s: fleet.ClusterSpec{
			Name: "demo", Region: "us-east-1", Version: "1.36", AuthMode: "API",
			Network: fleet.NetworkSpec{CIDR: "10.42.0.0/16", NAT: fleet.NATHighlyAvailable, PublicAccess: true, PrivateAccess: true,
				Zones: []string{"us-east-1a", "us-east-1b", "us-east-1c"}},
			NodeGroups: []fleet.NodeGroupSpec{group("web", "m5.large", "m6i.large")},
		},
		o:     cluster.Observation{Depth: cluster.Full, Found: map[string][]fleet.Resource{}, Updates: map[string]fleet.Update{}, Zones: zones},
		facts: Facts{Now: now, Account: "123456789012", Role: opt.ClusterRole},
	}
}

// given puts the cluster into a VPC of the user's, with public and private subnets in two zones.
func (s *scene) given() {
	n := &s.s.Network
	n.VPC, n.CIDR, n.Zones, n.NAT = "vpc-1", "", nil, fleet.NATDisable
	for _, z := range []string{"a", "b"} {
		n.Public = append(n.Public, fleet.SubnetSpec{Alias: "pub" + z, ID: "subnet-pub" + z})
		n.Private = append(n.Private, fleet.SubnetSpec{Alias: "priv" + z, ID: "subnet-priv" + z})
	}
	for kind, name := range map[string]string{"givenvpc": "vpc", "givensubnets": "subnets", "givenroutes": "routes"} {
		s.o.Found[kind] = []fleet.Resource{{Ref: fleet.Ref{ID: kind, Kind: kind, Name: "vpc-1"}, Physical: "vpc-1", Props: good(Question{name, "vpc-1"})}}
	}
}

// services are what the Region offers as VPC endpoints, which a plan with endpoints knows.
func (s *scene) services() {
	var list []any
	for _, name := range []string{"ec2", "ecr.api", "ecr.dkr", "s3", "sts"} {
		kind := "Interface"
		if name == "s3" {
			kind = "Gateway"
		}
		list = append(list, fleet.Props{"serviceName": "com.amazonaws.us-east-1." + name, "serviceType": []any{fleet.Props{"serviceType": kind}}, "availabilityZones": []any{"us-east-1a", "us-east-1b", "us-east-1c"}})
	}
	s.o.Found["endpointservices"] = []fleet.Resource{{Ref: fleet.Ref{ID: "endpointservices", Kind: "endpointservices"}, Props: fleet.Props{"serviceDetails": list}}}
}

// good answers a question as in an account where nothing stands in the way.
func good(q Question) fleet.Props {
	switch q.Kind {
	case "quota":
		return fleet.Props{"value": 100.0}
	case "use":
		switch q.Name {
		case "account":
			return fleet.Props{"Roles": 10, "RolesQuota": 1000, "InstanceProfiles": 1, "InstanceProfilesQuota": 1000, "AttachedPoliciesPerRoleQuota": 10}
		case "vcpus":
			return fleet.Props{"quotas": fleet.Props{}}
		}
		return fleet.Props{"count": 1}
	case "zones":
		var list []any
		for i, z := range []string{"a", "b", "c"} {
			list = append(list, fleet.Props{"zoneName": "us-east-1" + z, "zoneId": fmt.Sprintf("use1-az%d", []int{1, 2, 4}[i]), "state": "available", "zoneType": "availability-zone", "optInStatus": "opt-in-not-required"})
		}
		return fleet.Props{"zones": list}
	case "types":
		var list []any
		for t := range strings.SplitSeq(q.Name, ",") {
			a, gpu := "x86_64", any(nil)
			if strings.HasPrefix(t, "m7g") {
				a = "arm64"
			}
			if strings.HasPrefix(t, "g") {
				gpu = fleet.Props{"gpus": []any{}}
			}
			list = append(list, fleet.Drop(fleet.Props{"instanceType": t, "vCpuInfo": fleet.Props{"defaultVCpus": 2}, "processorInfo": fleet.Props{"supportedArchitectures": []any{a}},
				"supportedUsageClasses": []any{"on-demand", "spot"}, "networkInfo": fleet.Props{"ipv4AddressesPerInterface": 10, "maximumNetworkInterfaces": 3, "efaSupported": true}, "gpuInfo": gpu}))
		}
		return fleet.Props{"instanceTypes": list}
	case "offerings":
		var list []any
		for t := range strings.SplitSeq(q.Name, ",") {
			for _, z := range []string{"a", "b", "c"} {
				list = append(list, fleet.Props{"instanceType": t, "location": "us-east-1" + z})
			}
		}
		return fleet.Props{"offerings": list}
	case "images":
		return fleet.Props{"images": []any{fleet.Props{"imageId": "ami-1", "state": "available", "architecture": "x86_64"}}}
	case "role":
		services := []any{"eks.amazonaws.com", "ec2.amazonaws.com", "eks-fargate-pods.amazonaws.com", "pods.eks.amazonaws.com", "capabilities.eks.amazonaws.com"}
		return fleet.Props{"arn": q.Name, "trust": fleet.Props{"Statement": []any{fleet.Props{"Effect": "Allow", "Principal": fleet.Props{"Service": services}, "Action": []any{"sts:AssumeRole", "sts:TagSession"}}}}}
	case "principal", "policy", "profile", "keypair", "placement":
		return fleet.Props{"arn": q.Name}
	case "template":
		return fleet.Props{"launchTemplateData": fleet.Props{}}
	case "templatename", "groupname", "loggroup":
		return nil
	case "key":
		return fleet.Props{"keyState": "Enabled", "keySpec": "SYMMETRIC_DEFAULT", "keyUsage": "ENCRYPT_DECRYPT"}
	case "vpc":
		return fleet.Props{"vpcId": q.Name, "cidrBlock": "10.0.0.0/16", "enableDnsSupport": true, "enableDnsHostnames": true}
	case "subnets":
		var list []any
		for _, n := range []string{"puba", "pubb", "priva", "privb"} {
			list = append(list, fleet.Props{"subnetId": "subnet-" + n, "availabilityZone": "us-east-1" + n[len(n)-1:], "availableIpAddressCount": 1000, "mapPublicIpOnLaunch": n[:3] == "pub", "cidrBlock": "10.0.0.0/20"})
		}
		return fleet.Props{"subnets": list}
	case "routes":
		table := func(target, gateway string, subnets ...string) fleet.Props {
			t := fleet.Props{"routes": []any{fleet.Props{"destinationCidrBlock": "0.0.0.0/0", gateway: target, "state": "active"}}}
			var list []any
			for _, s := range subnets {
				list = append(list, fleet.Props{"subnetId": s})
			}
			t["associations"] = list
			return t
		}
		return fleet.Props{"routeTables": []any{table("igw-1", "gatewayId", "subnet-puba", "subnet-pubb"), table("nat-1", "natGatewayId", "subnet-priva", "subnet-privb")}}
	case "endpoints":
		return fleet.Props{"vpcEndpoints": []any{}}
	case "peerings":
		return fleet.Props{"peers": []any{fleet.Props{"vpcId": "vpc-2", "cidrs": []any{"172.20.0.0/16"}}}}
	case "groups":
		var list []any
		for id := range strings.SplitSeq(q.Name, ",") {
			list = append(list, fleet.Props{"groupId": id, "vpcId": "vpc-1"})
		}
		return fleet.Props{"securityGroups": list}
	case "versions":
		v := func(name, status, standard string, first bool) fleet.Props {
			return fleet.Props{"clusterVersion": name, "versionStatus": status, "defaultVersion": first, "endOfStandardSupportDate": standard, "endOfExtendedSupportDate": "2027-12-01T00:00:00Z"}
		}
		return fleet.Props{"clusterVersions": []any{v("1.36", "STANDARD_SUPPORT", "2027-08-01T00:00:00Z", true), v("1.33", "STANDARD_SUPPORT", "2026-12-31T00:00:00Z", false),
			v("1.31", "EXTENDED_SUPPORT", "2026-03-01T00:00:00Z", false), v("1.28", "UNSUPPORTED", "2025-03-01T00:00:00Z", false)}}
	case "addon":
		return fleet.Props{"versions": []any{"v1.21.1-eksbuild.3", "v1.20.4-eksbuild.1"}}
	}
	panic("nobody answers " + q.String())
}

// plan is the spec's, from nothing.
func (s *scene) plan() plan.Plan {
	s.t.Helper()
	p, err := cluster.Forecast(now, s.o, s.s, opt)
	if err != nil {
		s.t.Fatal(err)
	}
	return p
}

// look asks, answers and checks.
func (s *scene) look() []Finding {
	s.t.Helper()
	p := s.plan()
	f := s.facts
	f.Found = map[Question]fleet.Props{}
	if f.Unread == nil {
		f.Unread = map[Question]Unread{}
	}
	for _, q := range Ask(s.facts, s.s, p).Facts {
		if _, unread := f.Unread[q]; unread {
			continue
		}
		answer, fixed := s.fixed[q]
		if !fixed {
			answer = good(q)
		}
		if bend := s.bend[q.Kind]; bend != nil && answer != nil {
			bend(answer)
		}
		f.Found[q] = answer
	}
	return Preflight(f, s.s, p)
}

func TestNothingIsFoundWhereAllIsWell(t *testing.T) {
	for name, change := range map[string]func(*scene){
		"a network that is made": func(*scene) {},
		"a given network":        (*scene).given,
		"fully private": func(s *scene) {
			s.services()
			s.s.Network.FullyPrivate, s.s.Network.NAT, s.s.Network.PublicAccess, s.facts.InVPC = true, fleet.NATDisable, false, true
		},
		"all sorts": func(s *scene) {
			s.given()
			s.s.SecretsKeyARN, s.s.Logging = keyARN, []string{"api"}
			s.s.IAM.OIDC, s.s.IAM.RoleARN = true, "arn:aws:iam::123456789012:role/control"
			s.s.Addons = []fleet.AddonSpec{{Name: "vpc-cni", Version: "v1.21.1"}, {Name: "coredns"}}
			s.s.Fargate = []fleet.FargateSpec{{Name: "f", Selectors: []fleet.FargateSelector{{Namespace: "x"}}}}
			s.s.Access = []fleet.AccessSpec{{Principal: "arn:aws:iam::123456789012:role/people"}, {Principal: "arn:aws:iam::999999999999:role/others"}}
			self := group("self", "m5.large")
			self.SelfManaged, self.AMI, self.Group = true, "ami-1", &fleet.GroupSpec{}
			s.s.NodeGroups = append(s.s.NodeGroups, self)
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			change(s)
			for _, f := range s.look() {
				t.Error(f)
			}
		})
	}
}

// set changes the first group.
func set(f func(*fleet.NodeGroupSpec)) func(*scene) {
	return func(s *scene) { f(&s.s.NodeGroups[0]) }
}

// inVPC is a change in a given network.
func inVPC(f func(*scene)) func(*scene) {
	return func(s *scene) {
		s.given()
		f(s)
	}
}

// answer is one answer that is not good.
func answer(kind, name string, p fleet.Props) func(*scene) {
	return func(s *scene) { s.fixed[Question{kind, name}] = p }
}

// over is a quota that is used up.
func over(service string) func(*scene) { return answer("quota", service, fleet.Props{"value": 1.0}) }

func bent(kind string, f func(fleet.Props)) func(*scene) {
	return func(s *scene) { s.bend[kind] = f }
}

// all changes all items of a list in an answer.
func all(list string, f func(fleet.Props)) func(fleet.Props) {
	return func(p fleet.Props) {
		for _, i := range fleet.Items(p, list) {
			f(i)
		}
	}
}

func both(list ...func(*scene)) func(*scene) {
	return func(s *scene) {
		for _, f := range list {
			f(s)
		}
	}
}

// check that one fault is found by the one look.
func found(t *testing.T, severity Severity, code string, change func(*scene)) {
	t.Helper()
	s := newScene(t)
	change(s)
	list := s.look()
	if !slices.ContainsFunc(list, func(f Finding) bool {
		return f.Severity == severity && f.Code == code && f.Resource != "" && f.Text != ""
	}) {
		t.Errorf("no %s %s in %d findings:", severity, code, len(list))
		for _, f := range list {
			t.Log(f)
		}
	}
}

func run(t *testing.T, faults map[string]fault) {
	t.Helper()
	for _, name := range slices.Sorted(maps.Keys(faults)) {
		t.Run(name, func(t *testing.T) { found(t, faults[name].severity, faults[name].code, faults[name].change) })
	}
}

type fault struct {
	severity Severity
	code     string
	change   func(*scene)
}
