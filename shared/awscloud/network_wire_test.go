package awscloud_test

import (
	"cmp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ekspedite/ekspedite/shared/awscloud"
	"github.com/ekspedite/ekspedite/shared/decide/cluster"
	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/observe"
	"github.com/ekspedite/ekspedite/shared/plan"
)

// TestNetworksOverTheWire makes and changes networks in the embedded cloud by the real SDK: every call that decisions ask
// for is one that EC2 takes, and what it made is found again.
func TestNetworksOverTheWire(t *testing.T) {
	synctest.Test(t, networksOverTheWire)
}

func networksOverTheWire(t *testing.T) {
	cloud, cfg := embedded(t)
	region := awscloud.NewRegion(cfg)
	w := wire{t, region, observe.Clusters{AWS: region, Now: time.Now}}
	group := fleet.NodeGroupSpec{Name: "g", Private: true, InstanceTypes: []string{"m5.large"}, Min: 1, Max: 1, Desired: 1}
	s := fleet.ClusterSpec{
		Name: "wide", Region: cloud.World.Region, AuthMode: "API", NodeGroups: []fleet.NodeGroupSpec{group}, Tags: map[string]string{"team": "a"},
		Network: fleet.NetworkSpec{CIDR: "10.7.0.0/16", NAT: fleet.NATSingle, PublicAccess: true, IPv6: true, HostnameType: "resource-name"},
	}
	if made := w.converge(s); !slices.Contains(made, "ec2:CreateEgressOnlyInternetGateway") {
		t.Errorf("%v", made)
	}
	s.Network.NAT, s.Tags = fleet.NATHighlyAvailable, map[string]string{"team": "b"}
	s.Network.ExtraCIDRs, s.Network.ExtraIPv6CIDRs = []string{"10.1.0.0/16", "10.2.0.0/16"}, []string{"fd00:1::/64"}
	if made := w.converge(s); !slices.Contains(made, "ec2:ReplaceRoute") || !slices.Contains(made, "ec2:CreateTags") {
		t.Errorf("%v", made)
	}
	s.Network.NAT, s.Network.ExtraCIDRs = fleet.NATSingle, []string{"10.2.0.0/16", "10.3.0.0/16"}
	if made := w.converge(s); !slices.Contains(made, "ec2:ReleaseAddress") || !slices.Contains(made, "ec2:RevokeSecurityGroupIngress") {
		t.Errorf("%v", made)
	}
	if left := w.tagged(s.Name, "nat", "address"); len(left) != 2 {
		t.Errorf("left of NAT: %v", left)
	}
	s.Network.NAT, s.NodeGroups = fleet.NATDisable, nil
	if made := w.converge(s); !slices.Contains(made, "ec2:DeleteRoute") {
		t.Errorf("%v", made)
	}
	if left := w.tagged(s.Name, "nat", "address"); len(left) != 0 {
		t.Errorf("left of NAT: %v", left)
	}

	// The same VPC, given to another cluster, which has no other way out than endpoints.
	inside := fleet.ClusterSpec{
		Name: "inside", Region: s.Region, AuthMode: "API", NodeGroups: []fleet.NodeGroupSpec{group},
		Network: fleet.NetworkSpec{VPC: w.tagged(s.Name, "vpc")[0].Physical, NAT: fleet.NATDisable, FullyPrivate: true, PrivateAccess: true, ExtraEndpoints: []string{"autoscaling"}},
	}
	for _, sub := range w.tagged(s.Name, "subnet") {
		if zone := fleet.Text(sub.Props, "availabilityZone"); strings.HasPrefix(sub.ID, "subnet/private/") {
			inside.Network.Private = append(inside.Network.Private, fleet.SubnetSpec{Alias: zone, ID: sub.Physical, Zone: zone})
		}
	}
	slices.SortFunc(inside.Network.Private, func(a, b fleet.SubnetSpec) int { return cmp.Compare(a.Alias, b.Alias) })
	all := inside.Network.Private
	inside.Network.Private = all[:2]
	if made := w.converge(inside); slices.ContainsFunc(made, func(api string) bool {
		return !slices.Contains([]string{"ec2:CreateVpcEndpoint", "ec2:CreateSecurityGroup", "ec2:AuthorizeSecurityGroupIngress"}, api)
	}) || len(made) != 8 {
		t.Errorf("%v", made)
	}
	inside.Network.Private = all
	if made := w.converge(inside); slices.ContainsFunc(made, func(api string) bool { return api != "ec2:ModifyVpcEndpoint" }) || len(made) == 0 {
		t.Errorf("%v", made)
	}

	_, err := region.Call(t.Context(), plan.Call{API: "ec2:DeleteVpcEndpoints", Input: fleet.Props{"vpcEndpointIds": []any{"vpce-00000000000000000"}}})
	if !fault.Is(err, fault.NotFound) {
		t.Errorf("an endpoint that is not there: %v", err)
	}
	_, err = region.Read(t.Context(), "x", fleet.Ref{Kind: "givenvpc", Name: "vpc-00000000000000000"})
	if !fault.Is(err, fault.NotFound) {
		t.Errorf("a VPC that is not there: %v", err)
	}
}

type wire struct {
	t      *testing.T
	region *awscloud.Region
	look   observe.Clusters
}

func (w wire) tagged(cluster string, kinds ...string) []fleet.Resource {
	w.t.Helper()
	list, err := w.region.Tagged(w.t.Context(), cluster, kinds)
	if err != nil {
		w.t.Fatal(err)
	}
	return list
}

// converge makes all calls about the network that are asked for, until none is left and nothing is waited for. The rest of the cluster
// is not made.
func (w wire) converge(s fleet.ClusterSpec) (made []string) {
	w.t.Helper()
	opt := cluster.Options{RunID: "run", Account: "123456789012", InterruptionRole: "arn:aws:iam::123456789012:role/i"}
	for deadline := time.Now().Add(time.Hour); time.Now().Before(deadline); {
		o, err := w.look.Cluster(w.t.Context(), s, opt, observe.Hints{Full: true})
		if err != nil {
			w.t.Fatal(err)
		}
		p, err := cluster.Decide(time.Now(), o, s, opt)
		if err != nil || p.Outcome != "" {
			w.t.Fatalf("%v\n%s", err, p)
		}
		calls := 0
		for _, step := range p.Steps {
			for _, a := range step.Actions {
				c := a.(plan.Call)
				if !strings.HasPrefix(c.API, "ec2:") || fleet.KindOf(c.ID) == "template" {
					continue
				}
				calls++
				if _, err := w.region.Call(w.t.Context(), c); err != nil && !passes(err) {
					w.t.Fatalf("%s: %v\n%v", c, err, c.Input)
				} else if err == nil {
					made = append(made, c.API)
				}
			}
		}
		_, waiting := cluster.Progress(time.Now(), o, s, opt)
		if calls == 0 && len(waiting) == 0 {
			return made
		}
		time.Sleep(time.Second) // of the bubble's time
	}
	w.t.Fatal("the network does not come to rest")
	return nil
}

// passes tells whether a failure is of those that the next look sees differently.
func passes(err error) bool {
	return fault.Is(err, fault.Transient) || fault.Is(err, fault.Blocked) || fault.Is(err, fault.NotFound) || fault.Is(err, fault.Throttled)
}
