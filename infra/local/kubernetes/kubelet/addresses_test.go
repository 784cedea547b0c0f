package kubelet

import (
	"fmt"
	"net/netip"
	"testing"
)

func mustAddr(t *testing.T, s string) netip.Addr {
	t.Helper()
	a, err := netip.ParseAddr(s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestRangesDoNotOverlap(t *testing.T) {
	r := ranges{taken: map[netip.Prefix]string{}}
	if _, ok := r.claim("100.64.1.0/24", "old"); !ok {
		t.Fatal("a free range could not be claimed")
	}
	if _, ok := r.claim("100.64.1.0/24", "other"); ok {
		t.Error("a taken range was claimed by another node")
	}
	if _, ok := r.claim("10.0.0.0/24", "foreign"); ok {
		t.Error("a range outside the pods' network was claimed")
	}
	seen := map[netip.Prefix]bool{netip.MustParsePrefix("100.64.1.0/24"): true}
	for i := range podRanges - 1 {
		p, err := r.assign(fmt.Sprint(i))
		if err != nil {
			t.Fatal(err)
		}
		if seen[p] || !podNetwork.Contains(p.Addr()) {
			t.Fatalf("range %d is %s, taken or outside", i, p)
		}
		seen[p] = true
	}
	if _, err := r.assign("one too many"); err == nil {
		t.Error("more ranges than there are")
	}
}

func TestAddressesAreUniqueAndComeBack(t *testing.T) {
	a := addresses{prefix: netip.MustParsePrefix("100.64.7.0/24")}
	a.reserve("100.64.7.1")
	a.reserve("10.0.0.1") // the host's: not ours to count
	seen := map[string]bool{"100.64.7.1": true}
	for range 253 {
		ip, ok := a.take()
		if !ok || seen[ip] || !a.prefix.Contains(mustAddr(t, ip)) {
			t.Fatalf("%q after %d", ip, len(seen))
		}
		seen[ip] = true
	}
	if ip, ok := a.take(); ok {
		t.Errorf("one address too many: %s", ip)
	}
	a.release("100.64.7.9")
	if ip, ok := a.take(); !ok || ip != "100.64.7.9" {
		t.Errorf("%s instead of the one that was given back", ip)
	}
}
