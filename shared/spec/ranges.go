package spec

import (
	"net/netip"
	"slices"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

var carrierGrade = netip.MustParsePrefix("100.64.0.0/10") // private enough: EKS documents it for pods

// prefix is an address range that begins at its beginning; the zero one where there is nothing, or nothing right.
func (v value) prefix(like string) netip.Prefix {
	s := v.text("")
	if s == "" {
		return netip.Prefix{}
	}
	p, err := netip.ParsePrefix(s)
	switch {
	case err != nil:
		v.wrong("%q must be an address range like %s", clip(s), like)
		return netip.Prefix{}
	case p != p.Masked():
		v.wrong("%s begins in the middle of a range: write %s", p, p.Masked())
	}
	return p.Masked()
}

// cidr is the IPv4 range of something that exists.
func (v value) cidr() string {
	p := v.prefix("192.168.0.0/19")
	if !p.IsValid() {
		return ""
	}
	if !p.Addr().Is4() {
		v.wrong("%s must be an IPv4 range", p)
	}
	return p.String()
}

// cidrs is a list of ranges, none twice.
func (v value) cidrs(v6 bool) []string {
	var out []string
	for _, item := range v.items() {
		p := item.prefix("203.0.113.0/24")
		switch s := p.String(); {
		case !p.IsValid():
			if s, ok := item.scalar(); ok && s == "" || !ok && !item.there() {
				item.wrong("is empty: drop it")
			}
		case !p.Addr().Is4() && !v6:
			item.wrong("%s: only an IPv6 cluster takes IPv6 ranges", p)
		case slices.Contains(out, s):
			item.wrong("%s is there twice: drop one", s)
		case len(out) < maxRanges:
			out = append(out, s)
		}
	}
	return out
}

const maxRanges = 100 // more than any list of AWS's takes

// ranges reads the address ranges of the cluster, which must not overlap.
func (v value) ranges(vpc, kube value, n *fleet.NetworkSpec) {
	cidr := vpc.at("cidr")
	own := cidr.prefix(defaultCIDR)
	switch {
	case !cidr.there() && n.VPC == "":
		own = netip.MustParsePrefix(defaultCIDR)
	case !own.IsValid():
	case !own.Addr().Is4() || n.VPC == "" && (own.Bits() < 16 || own.Bits() > 24):
		cidr.wrong("%q must be an IPv4 range between /16 and /24, like %s", clip(cidr.text("")), defaultCIDR)
	case !own.Addr().IsPrivate() && !carrierGrade.Overlaps(own):
		cidr.warn("%s is not a private range: nodes will not reach the real owners of these addresses", own)
	}
	if own.IsValid() {
		n.CIDR = own.String()
	}
	n.ExtraCIDRs = vpc.at("extraCIDRs").cidrs(false) // they may be within the VPC: a bastion's subnet
	v.serviceRange(kube, n)
	v.sixth(vpc, n)
}

func (v value) serviceRange(kube value, n *fleet.NetworkSpec) {
	service := kube.at("serviceIPv4CIDR")
	p := service.prefix("172.20.0.0/16")
	if !p.IsValid() {
		return
	}
	n.ServiceCIDR = p.String()
	switch {
	case n.IPv6:
		service.wrong("an IPv6 cluster's services have IPv6 addresses, which EKS chooses: drop it")
	case !p.Addr().Is4() || !p.Addr().IsPrivate() || p.Bits() < 12 || p.Bits() > 24:
		service.wrong("%q must be a private IPv4 range between /12 and /24, like 172.20.0.0/16", p.String())
	default:
		service.apart([]string{n.ServiceCIDR}, "vpc.cidr", n.CIDR)
		for _, e := range n.ExtraCIDRs {
			service.apart([]string{n.ServiceCIDR}, "vpc.extraCIDRs", e)
		}
	}
}

// sixth reads what is about IPv6.
func (v value) sixth(vpc value, n *fleet.NetworkSpec) {
	block, pool, extra := vpc.at("ipv6Cidr"), vpc.at("ipv6Pool"), vpc.at("extraIPv6CIDRs")
	if p := block.prefix("2001:db8::/56"); p.IsValid() {
		if n.IPv6CIDR = p.String(); !p.Addr().Is6() {
			block.wrong("%s must be an IPv6 range", p)
		}
	}
	n.IPv6Pool = pool.text("")
	n.ExtraIPv6CIDRs = extra.cidrs(true)
	for _, f := range []value{block, pool, extra} {
		if f.given() && !n.IPv6 {
			f.wrong("is for an IPv6 cluster: set kubernetesNetworkConfig.ipFamily to IPv6, or drop it")
		}
	}
	switch {
	case block.given() != pool.given():
		vpc.wrong("one's own IPv6 addresses need ipv6Cidr and ipv6Pool: give both or none")
	case block.given() && n.VPC != "":
		block.wrong("an existing VPC has its range already: drop ipv6Cidr and ipv6Pool")
	}
	if n.IPv6 && vpc.has("autoAllocateIPv6") {
		vpc.at("autoAllocateIPv6").wrong("an IPv6 cluster's VPC has IPv6 anyway: drop it")
	}
}

// apart complains of ranges that overlap with another one.
func (v value) apart(ranges []string, what, other string) {
	o, err := netip.ParsePrefix(other)
	if err != nil {
		return
	}
	for _, s := range ranges {
		if p, err := netip.ParsePrefix(s); err == nil && p.Overlaps(o) {
			v.wrong("%s overlaps with %s %s: choose another range", p, what, o)
		}
	}
}
