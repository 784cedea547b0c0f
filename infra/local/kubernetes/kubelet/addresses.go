package kubelet

import (
	"fmt"
	"net/netip"
)

// The pods' addresses come from 100.64.0.0/10, the range that EKS users give their pods when the VPC's own runs short.
// Every node has a /24 of it, more than the 250 pods that a node can hold.
var podNetwork = netip.MustParsePrefix("100.64.0.0/10")

const podRanges = 1 << (24 - 10)

// ranges hands a /24 to each node.
type ranges struct {
	taken map[netip.Prefix]string
	next  int
}

// claim reserves a range that a Node had before. False: another node has it.
func (r *ranges) claim(cidr, node string) (netip.Prefix, bool) {
	p, err := netip.ParsePrefix(cidr)
	if err != nil || p.Bits() != 24 || !podNetwork.Contains(p.Addr()) {
		return netip.Prefix{}, false
	}
	p = p.Masked()
	if owner, ok := r.taken[p]; ok && owner != node {
		return netip.Prefix{}, false
	}
	r.taken[p] = node
	return p, true
}

// assign takes the next free range, going round, so that a range that was just given back, whose last pods may not be
// gone yet, rests for as long as possible.
func (r *ranges) assign(node string) (netip.Prefix, error) {
	for range podRanges {
		n := r.next
		r.next = (r.next + 1) % podRanges
		p := netip.PrefixFrom(netip.AddrFrom4([4]byte{100, 64 + byte(n>>8), byte(n), 0}), 24)
		if _, taken := r.taken[p]; !taken {
			r.taken[p] = node
			return p, nil
		}
	}
	return netip.Prefix{}, fmt.Errorf("all %d pod address ranges are taken", podRanges)
}

func (r *ranges) release(p netip.Prefix) { delete(r.taken, p) }

// addresses are one node's range.
type addresses struct {
	prefix netip.Prefix
	used   [256]bool
	next   int
}

func (a *addresses) take() (string, bool) {
	base := a.prefix.Addr().As4()
	for range 254 {
		a.next = a.next%254 + 1
		if !a.used[a.next] {
			a.used[a.next] = true
			base[3] = byte(a.next)
			return netip.AddrFrom4(base).String(), true
		}
	}
	return "", false
}

func (a *addresses) reserve(ip string) { a.mark(ip, true) }
func (a *addresses) release(ip string) { a.mark(ip, false) }

func (a *addresses) mark(ip string, used bool) {
	addr, err := netip.ParseAddr(ip)
	if err != nil || !a.prefix.Contains(addr) {
		return // Not from this range: the pod is older than the range, or uses the host's network.
	}
	a.used[addr.As4()[3]] = used
}
