package ec2

import (
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/world"
)

func TestOwnIPv6Addresses(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, r *rig) {
		const pool, cidr = "ipv6pool-ec2-0123456789abcdef0", "2a05:d018:1:100::/56"
		v := must(r.createVPC(&createVPCIn{CidrBlock: "10.9.0.0/16", Ipv6Pool: pool, Ipv6CidrBlock: cidr})).Vpc
		if a := v.Ipv6CidrBlocks[0]; a.Ipv6CidrBlock != cidr || a.Ipv6Pool != pool || a.Source != "byoip" || a.State.State != "associating" {
			t.Errorf("a new VPC's range: %+v", a)
		}
		time.Sleep(world.Fast.Settle)
		n := must(r.createSubnet(&createSubnetIn{VpcID: v.VpcID, CidrBlock: "10.9.0.0/24", Ipv6CidrBlock: "2a05:d018:1:107::/64"})).Subnet
		if a := n.Ipv6CidrBlocks[0]; a.Source != "byoip" || a.Ipv6Pool != "" {
			t.Errorf("a subnet's range: %+v", a)
		}
		more := must(r.associateVPCCidr(&associateVPCCidrIn{VpcID: r.vpc, Ipv6Pool: pool, Ipv6CidrBlock: "2a05:d018:1:2ff::/56"})).IPv6
		if more.Ipv6CidrBlock != "2a05:d018:1:200::/56" || more.Ipv6Pool != pool || more.Source != "byoip" {
			t.Errorf("associated: %+v", more)
		}
		for name, c := range map[string]struct {
			in   associateVPCCidrIn
			code string
		}{
			"another VPC's":      {associateVPCCidrIn{Ipv6Pool: pool, Ipv6CidrBlock: cidr}, "InvalidVpc.Range"},
			"too small":          {associateVPCCidrIn{Ipv6Pool: pool, Ipv6CidrBlock: "2a05:d018:1:300::/60"}, "InvalidVpc.Range"},
			"too large":          {associateVPCCidrIn{Ipv6Pool: pool, Ipv6CidrBlock: "2a05:d018:1::/48"}, "InvalidVpc.Range"},
			"no range":           {associateVPCCidrIn{Ipv6Pool: pool, Ipv6CidrBlock: "10.0.0.0/16"}, "InvalidParameterValue"},
			"no pool":            {associateVPCCidrIn{Ipv6CidrBlock: cidr}, "MissingParameter"},
			"no such pool":       {associateVPCCidrIn{Ipv6Pool: "mine", Ipv6CidrBlock: cidr}, "InvalidIpv6PoolID.NotFound"},
			"the pool's choice":  {associateVPCCidrIn{Ipv6Pool: pool}, "NotImplemented"},
			"Amazon's, too":      {associateVPCCidrIn{AmazonProvidedIpv6CidrBlock: true, Ipv6Pool: pool}, "InvalidParameterCombination"},
			"IPv4, too":          {associateVPCCidrIn{CidrBlock: "100.64.0.0/16", Ipv6Pool: pool, Ipv6CidrBlock: "2a05:d018:1:300::/56"}, "InvalidParameterCombination"},
			"a location":         {associateVPCCidrIn{Ipv6Pool: pool, Ipv6CidrBlock: cidr, NetworkBorderGroup: "us-east-1"}, "InvalidParameterCombination"},
			"Amazon's elsewhere": {associateVPCCidrIn{AmazonProvidedIpv6CidrBlock: true, NetworkBorderGroup: "us-east-1-bos-1"}, "NotImplemented"},
		} {
			c.in.VpcID = r.vpc
			if _, err := r.associateVPCCidr(&c.in); code(err) != c.code {
				t.Errorf("%s: %v, want %s", name, err, c.code)
			}
		}
		_, err := r.createVPC(&createVPCIn{CidrBlock: "10.9.0.0/16", Ipv6Pool: pool, Ipv6CidrBlock: cidr})
		r.wantCode(err, "InvalidVpc.Range")
		if got := len(all[*vpc](r.Service)); got != 2 {
			t.Errorf("%d VPCs", got)
		}
		must(r.deleteSubnet(&subnetIn{SubnetID: n.SubnetID}))
		must(r.deleteVPC(&vpcIn{VpcID: v.VpcID}))
		must(r.createVPC(&createVPCIn{CidrBlock: "10.9.0.0/16", Ipv6Pool: pool, Ipv6CidrBlock: cidr})) // the range is free again
	})
}
