package cluster

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/ekspedite/ekspedite/shared/plan"
)

// blocks deals out the VPC's addresses: the lower half to public subnets, the upper half to private ones.
type blocks struct {
	vpc  netip.Prefix
	bits int // of one block
	half int // blocks in each half
	used []netip.Prefix
	six  *blocks6
}

func newBlocks(cidr string, zones int, taken []string) (*blocks, error) {
	vpc, err := netip.ParsePrefix(cidr)
	if err != nil {
		return nil, fmt.Errorf("vpc.cidr: %w", err)
	}
	b := &blocks{vpc: vpc.Masked(), bits: vpc.Bits() + 3, half: 4}
	for b.half < zones {
		b.bits, b.half = b.bits+1, b.half*2
	}
	if b.bits > 28 {
		return nil, fmt.Errorf("vpc.cidr %s is too small for subnets in %d zones", cidr, zones)
	}
	for _, cidr := range taken {
		p, err := netip.ParsePrefix(cidr)
		if err != nil {
			return nil, fmt.Errorf("subnet %s: %w", cidr, err)
		}
		b.used = append(b.used, p)
	}
	return b, nil
}

// take is the first free block of a half; if it is full, of the other one.
func (b *blocks) take(public bool) (string, error) {
	start := 0
	if !public {
		start = b.half
	}
	for i := range 2 * b.half {
		raw := b.vpc.Addr().As4()
		n := uint32(raw[0])<<24 | uint32(raw[1])<<16 | uint32(raw[2])<<8 | uint32(raw[3])
		n += uint32((start+i)%(2*b.half)) << (32 - b.bits)
		p := netip.PrefixFrom(netip.AddrFrom4([4]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}), b.bits)
		if !slices.ContainsFunc(b.used, p.Overlaps) {
			b.used = append(b.used, p)
			return p.String(), nil
		}
	}
	return "", fmt.Errorf("no free block of /%d is left in VPC range %s", b.bits, b.vpc)
}

// blocks6 deals out the VPC's IPv6 addresses, a /64 a subnet, once they are known.
type blocks6 struct {
	vpc  netip.Prefix
	used []netip.Prefix
	n    int
}

func newBlocks6(cidr string, taken []string) *blocks6 {
	b := &blocks6{}
	if p, err := netip.ParsePrefix(cidr); err == nil && p.Addr().Is6() && p.Bits() <= 64 {
		b.vpc = p.Masked()
	}
	for _, t := range taken {
		if p, err := netip.ParsePrefix(t); err == nil {
			b.used = append(b.used, p)
		}
	}
	return b
}

// take is the next free /64, or a placeholder while the VPC has no addresses.
func (b *blocks6) take() (string, error) {
	if !b.vpc.IsValid() {
		return plan.Unknown(idVPC + ".ipv6"), nil
	}
	for ; b.n < 1<<min(64-b.vpc.Bits(), 16); b.n++ {
		raw := b.vpc.Addr().As16()
		raw[6], raw[7] = raw[6]|byte(b.n>>8), raw[7]|byte(b.n)
		p := netip.PrefixFrom(netip.AddrFrom16(raw), 64)
		if !slices.ContainsFunc(b.used, p.Overlaps) {
			b.used = append(b.used, p)
			return p.String(), nil
		}
	}
	return "", fmt.Errorf("no free /64 is left in the VPC's IPv6 range %s", b.vpc)
}
