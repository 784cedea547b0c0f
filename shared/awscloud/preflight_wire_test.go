package awscloud_test

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ekspedite/ekspedite/shared/awscloud"
	"github.com/ekspedite/ekspedite/shared/decide/cluster"
	"github.com/ekspedite/ekspedite/shared/decide/cost"
	"github.com/ekspedite/ekspedite/shared/decide/preflight"
	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/observe"
	"github.com/ekspedite/ekspedite/shared/plan"
)

// TestPreflightOverTheWire asks the embedded cloud, by the real SDK, what a plan has to know, and finds there what would
// make it fail.
func TestPreflightOverTheWire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cloud, cfg := embedded(t)
		region := awscloud.NewRegion(cfg)
		w := flight{t, region, awscloud.NewPreflight(cfg), cloud.World.Account}
		w.facts()
		w.nothingThere()
		w.wellThenFull()
		w.permissions()
		w.prices(awscloud.NewPrices(cfg, time.Now))
	})
}

// flight is a look at an account of the embedded cloud.
type flight struct {
	*testing.T
	region  *awscloud.Region
	aws     *awscloud.Preflight
	account string
}

func (w flight) spec() fleet.ClusterSpec {
	return fleet.ClusterSpec{
		Name: "flight", Region: "us-east-1", AuthMode: "API", Logging: []string{"api"},
		Network: fleet.NetworkSpec{CIDR: "10.7.0.0/16", NAT: fleet.NATHighlyAvailable, PublicAccess: true, PrivateAccess: true},
		NodeGroups: []fleet.NodeGroupSpec{{Name: "g", Private: true, InstanceTypes: []string{"m5.large"}, AMIType: "AL2023_x86_64_STANDARD", Min: 1, Max: 2, Desired: 2,
			Machine: fleet.MachineSpec{SSH: &fleet.SSHSpec{KeyName: "none"}}}},
		Addons: []fleet.AddonSpec{{Name: "vpc-cni"}},
	}
}

// look plans a spec, and checks the plan.
func (w flight) look(s fleet.ClusterSpec, f preflight.Facts) ([]preflight.Finding, preflight.Facts, plan.Plan) {
	w.Helper()
	opt := cluster.Options{RunID: "r", Account: w.account, ClusterRole: f.Role}
	o, err := observe.Clusters{AWS: w.region, Now: time.Now}.Cluster(w.Context(), s, opt, observe.Hints{Full: true})
	if err != nil {
		w.Fatal(err)
	}
	p, err := cluster.Forecast(time.Now(), o, s, opt)
	if err != nil {
		w.Fatal(err)
	}
	f.Now, f.Account = time.Now(), w.account
	f = observe.Preflight(w.Context(), w.aws, f, preflight.Ask(f, s, p))
	return preflight.Preflight(f, s, p), f, p
}

func (w flight) call(api string, in fleet.Props) {
	w.Helper()
	if _, err := w.region.Call(w.Context(), plan.Call{API: api, Input: in}); err != nil {
		w.Fatal(err)
	}
}

// facts of things that are always there.
func (w flight) facts() {
	for q, has := range map[preflight.Question]string{
		{Kind: "quota", Name: "vpc/L-F678F1CE"}: "value", {Kind: "quota", Name: "iam/L-858F3967"}: "value", {Kind: "zones"}: "zones",
		{Kind: "use", Name: "vpcs"}: "count", {Kind: "use", Name: "igws"}: "count", {Kind: "use", Name: "egress"}: "count", {Kind: "use", Name: "groups"}: "count",
		{Kind: "use", Name: "gateways"}: "count", {Kind: "use", Name: "clusters"}: "count", {Kind: "use", Name: "addresses"}: "count",
		{Kind: "use", Name: "providers"}: "count", {Kind: "use", Name: "account"}: "RolesQuota", {Kind: "use", Name: "vcpus"}: "quotas",
		{Kind: "types", Name: "m5.large,m7g.large"}: "instanceTypes", {Kind: "offerings", Name: "m5.large"}: "offerings", {Kind: "images", Name: "ami-00000000000000000"}: "images",
		{Kind: "policy", Name: "arn:aws:iam::aws:policy/AmazonEKSClusterPolicy"}: "policyName", {Kind: "groups", Name: "sg-1"}: "securityGroups",
		{Kind: "peerings", Name: "vpc-1"}: "peers", {Kind: "endpoints", Name: "vpc-1"}: "vpcEndpoints", {Kind: "versions"}: "clusterVersions", {Kind: "addon", Name: "vpc-cni@"}: "versions",
	} {
		p, err := w.aws.Fact(w.Context(), q.Kind, q.Name)
		if _, ok := p[has]; err != nil || !ok {
			w.Errorf("%s: %v %v", q, err, p)
		}
	}
	zones, _ := w.aws.Fact(w.Context(), "zones", "")
	if z := fleet.Items(zones, "zones"); len(z) < 3 || fleet.Text(z[0], "zoneId") == "" {
		w.Errorf("zones: %v", zones)
	}
}

// nothingThere asks for things that do not exist.
func (w flight) nothingThere() {
	const arn = "arn:aws:iam::123456789012:"
	for _, q := range []preflight.Question{
		{Kind: "quota", Name: "vpc/L-00000000"}, {Kind: "role", Name: arn + "role/none"}, {Kind: "principal", Name: arn + "role/none"}, {Kind: "principal", Name: arn + "user/none"},
		{Kind: "policy", Name: arn + "policy/none"}, {Kind: "profile", Name: "none"}, {Kind: "vpc", Name: "vpc-00000000000000000"}, {Kind: "subnets", Name: "vpc-00000000000000000"},
		{Kind: "groupname", Name: "vpc-1/none"}, {Kind: "template", Name: "lt-00000000000000000/"}, {Kind: "templatename", Name: "none"}, {Kind: "keypair", Name: "none"},
		{Kind: "placement", Name: "none"}, {Kind: "loggroup", Name: "none"}, {Kind: "key", Name: "arn:aws:kms:us-east-1:" + w.account + ":key/11111111-1111-1111-1111-111111111111"},
	} {
		if p, err := w.aws.Fact(w.Context(), q.Kind, q.Name); !fault.Is(err, fault.NotFound) {
			w.Errorf("%s: %v %v", q, err, p)
		}
	}
	if _, err := w.aws.Fact(w.Context(), "weather", ""); !fault.Is(err, fault.Invalid) {
		w.Errorf("weather: %v", err)
	}
}

// wellThenFull looks at an account with room for a cluster, which is then used up.
func (w flight) wellThenFull() {
	codes := func(list []preflight.Finding) (out []string) {
		for _, f := range list {
			out = append(out, string(f.Severity)+" "+f.Code)
		}
		return out
	}
	s := w.spec()
	list, f, _ := w.look(s, preflight.Facts{})
	if got := codes(list); !slices.Equal(got, []string{"error KeyPairNotFound"}) || len(f.Unread) > 0 || len(f.Found) < 20 {
		w.Errorf("%d facts, unread %v: %v", len(f.Found), f.Unread, list)
	}
	s.NodeGroups[0].Machine.SSH = nil
	vpcs := fleet.Int(f.Found[preflight.Question{Kind: "use", Name: "vpcs"}], "count")
	for range 5 - vpcs {
		w.call("ec2:CreateVpc", fleet.Props{"cidrBlock": "10.9.0.0/16"})
	}
	for range 3 {
		w.call("ec2:AllocateAddress", fleet.Props{"domain": "vpc"})
	}
	s.NodeGroups[0].InstanceTypes = []string{"z9.huge", "m7g.large"}
	s.Network.ServiceCIDR = "10.7.4.0/22"
	list, _, _ = w.look(s, preflight.Facts{})
	got := codes(list)
	for _, want := range []string{"error QuotaVPCs", "error QuotaAddresses", "error InstanceTypeUnknown", "error WrongArchitecture", "error RangesOverlap"} {
		if !slices.Contains(got, want) {
			w.Errorf("no %s in %v", want, list)
		}
	}
}

// permissions simulates what a role may do that has a little of what it needs.
func (w flight) permissions() {
	s := w.spec()
	s.NodeGroups[0].Machine.SSH = nil
	w.call("iam:CreateRole", fleet.Props{"roleName": "poor", "assumeRolePolicyDocument": `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"Service":"lambda.amazonaws.com"},"Action":"sts:AssumeRole"}}`})
	role := "arn:aws:iam::" + w.account + ":role/poor"
	grant := func(statements string) map[string]bool {
		w.call("iam:PutRolePolicy", fleet.Props{"roleName": "poor", "policyName": "p", "policyDocument": `{"Version":"2012-10-17","Statement":[` + statements + `]}`})
		_, f, _ := w.look(s, preflight.Facts{Role: role})
		missing := map[string]bool{}
		for _, m := range f.Missing {
			missing[m.Action+" "+m.Resource[strings.LastIndexByte(m.Resource, ':')+1:]] = true
		}
		if len(f.Unread) > 0 {
			w.Errorf("unread: %v", f.Unread)
		}
		return missing
	}
	few := grant(`{"Effect":"Allow","Action":["ec2:CreateVpc","ec2:CreateSubnet"],"Resource":"*","Condition":{"StringEquals":{"aws:RequestTag/ekspedite.dev/cluster":"flight"}}},
		{"Effect":"Allow","Action":"ec2:CreateTags","Resource":"*","Condition":{"StringEquals":{"ec2:CreateAction":["CreateVpc"]}}},
		{"Effect":"Allow","Action":"iam:PassRole","Resource":"*","Condition":{"StringEquals":{"iam:PassedToService":"eks.amazonaws.com"}}},
		{"Effect":"Allow","Action":"eks:*","Resource":"*"},{"Effect":"Deny","Action":"eks:CreateNodegroup","Resource":"*"}`)
	for action, want := range map[string]bool{
		"ec2:CreateVpc vpc/*": false, "ec2:CreateSubnet subnet/*": false, "ec2:CreateSubnet vpc/*": true, "ec2:CreateTags vpc/*": false, "ec2:CreateTags subnet/*": true,
		"iam:PassRole role/ekspedite/us-east-1/flight/ekspedite-us-east-1-flight-cluster": false, "iam:CreateRole role/ekspedite/us-east-1/flight/ekspedite-us-east-1-flight-cluster": true,
		"eks:CreateCluster cluster/flight": false, "eks:CreateNodegroup cluster/flight": true,
	} {
		if few[action] != want {
			w.Errorf("%s is missing: %v", action, few[action])
		}
	}
	if all := grant(`{"Effect":"Allow","Action":"*","Resource":"*"}`); len(all) > 0 {
		w.Errorf("an administrator lacks %v", all)
	}
}

// prices estimates what a cluster costs.
func (w flight) prices(p *awscloud.Prices) {
	s := w.spec()
	s.Network.Zones = []string{"us-east-1a", "us-east-1b"}
	spot := s.NodeGroups[0]
	spot.Name, spot.Spot, spot.InstanceTypes = "spot", true, []string{"m5.large", "m6i.large"}
	windows := s.NodeGroups[0]
	windows.Name, windows.AMIType = "windows", "WINDOWS_CORE_2022_x86_64"
	s.NodeGroups = append(s.NodeGroups, spot, windows)
	in := cost.Input{Spec: s, Extended: true}
	var err error
	if in.Prices, err = p.Prices(w.Context(), append(cost.Ask(in), cost.Endpoint)); err != nil || len(in.Prices) != 10 {
		w.Errorf("%d prices of %v: %v", len(in.Prices), cost.Ask(in), err)
	}
	e := cost.Of(in)
	for _, l := range e.Lines {
		if !l.Known || l.Source == "" || len(l.AsOf) != len(time.DateOnly) {
			w.Errorf("%+v", l)
		}
	}
	// 438 for a control plane in extended support, two NAT gateways with their addresses of 36.50 each.
	if e.Monthly[0] < 438+2*36.5+4*70 || e.Monthly[1] <= e.Monthly[0] || e.Monthly[1] > 1500 {
		w.Errorf("%.2f to %.2f a month", e.Monthly[0], e.Monthly[1])
	}
	if again, err := p.Prices(w.Context(), []string{cost.NAT, "instance/z9.huge", "nonsense"}); len(again) != 1 || again[cost.NAT].Low != 0.045 || !fault.Is(err, fault.Invalid) {
		w.Errorf("%v, %v", again, err)
	}
}
