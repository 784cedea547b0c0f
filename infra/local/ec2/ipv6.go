package ec2

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/wire"
)

// wantsIPv6 is what a request says of the IPv6 range that it gives a VPC: of Amazon's addresses, or of the account's own.
type wantsIPv6 struct {
	amazon             bool
	border, pool, cidr string
}

// ownPools begin the ids of pools of IPv6 addresses that an account brought to AWS. There is no API to bring any here, so
// every such id counts as one of the account's.
const ownPools = "ipv6pool-ec2-"

// wantedIPv6 is the range that a request asks for, not valid if it asks for none. The lock is held.
func (s *Service) wantedIPv6(in wantsIPv6) (cidrBlock, error) {
	b := cidrBlock{settled: time.Now().Add(s.w.Profile.Settle), pool: in.pool}
	switch {
	case in.amazon && in.pool+in.cidr != "":
		return b, wire.Errf("InvalidParameterCombination", "Only one of AmazonProvidedIpv6CidrBlock and Ipv6Pool may be specified.")
	case in.border != "" && !in.amazon:
		return b, wire.Errf("InvalidParameterCombination", "Ipv6CidrBlockNetworkBorderGroup may be specified with AmazonProvidedIpv6CidrBlock only.")
	case in.border != "" && in.border != s.w.Region:
		return b, wire.Errf("NotImplemented", "the embedded cloud does not implement Ipv6CidrBlockNetworkBorderGroup %q", in.border).WithStatus(501)
	case in.amazon:
		b.prefix = s.amazonIPv6()
		return b, nil
	case in.pool == "" && in.cidr != "":
		return b, missing("ipv6Pool")
	case in.pool == "":
		return b, nil
	case !strings.HasPrefix(in.pool, ownPools):
		return b, wire.Errf("InvalidIpv6PoolID.NotFound", "The ID '%s' does not exist", in.pool)
	case in.cidr == "":
		return b, wire.Errf("NotImplemented", "the embedded cloud does not implement Ipv6Pool without Ipv6CidrBlock: it does not know the pool's addresses").WithStatus(501)
	}
	p, err := netip.ParsePrefix(in.cidr)
	switch {
	case err != nil || !p.Addr().Is6():
		return b, invalid("Value (%s) for parameter ipv6CidrBlock is invalid. This is not a valid CIDR block.", in.cidr)
	case p.Bits() != 56:
		return b, wire.Errf("InvalidVpc.Range", "The CIDR '%s' is invalid.", in.cidr)
	}
	if v := s.holder(p); v != nil {
		return b, wire.Errf("InvalidVpc.Range", "The CIDR '%s' overlaps with a CIDR block of the VPC '%s'.", in.cidr, v.id)
	}
	b.prefix = p.Masked()
	return b, nil
}

// holder is the VPC that has some of an IPv6 range's addresses, or nil: unlike private ones, each is in one VPC only.
func (s *Service) holder(p netip.Prefix) *vpc {
	for _, v := range all[*vpc](s) {
		if slices.ContainsFunc(v.v6, func(b cidrBlock) bool { return b.prefix.Overlaps(p) }) {
			return v
		}
	}
	return nil
}

// amazonIPv6 gives out a /56 of 2001:db8::/32, which is for documentation and routes nowhere.
func (s *Service) amazonIPv6() netip.Prefix {
	for {
		h := s.w.Hex(6)
		p := netip.MustParsePrefix(fmt.Sprintf("2001:db8:%s:%s00::/56", h[:4], h[4:6]))
		if s.holder(p) == nil {
			return p
		}
	}
}
