package eks

import (
	"net/netip"
	"slices"
)

// maxRemote is how many CIDR blocks a hybrid cluster can name of each kind.
const maxRemote = 15

func (r *remoteNetworks) empty() bool {
	return r == nil || len(prefixesOf(r.Nodes)) == 0 && len(prefixesOf(r.Pods)) == 0
}

func prefixesOf(list *[]remoteCIDRs) []string {
	var all []string
	if list != nil {
		for _, n := range *list {
			all = append(all, n.CIDRs...)
		}
	}
	return all
}

var private = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("172.16.0.0/12"), netip.MustParsePrefix("192.168.0.0/16")}

func isPrivate(p netip.Prefix) bool { return contains(private, p) }

// contains tells whether the whole of p is in one of the ranges.
func contains(ranges []netip.Prefix, p netip.Prefix) bool {
	return slices.ContainsFunc(ranges, func(q netip.Prefix) bool { return q.Bits() <= p.Bits() && q.Contains(p.Addr()) })
}

// checkRemote refuses networks that hybrid nodes and their pods cannot have: RFC 1918 addresses in blocks of /8 to /32 that
// overlap neither each other nor the VPC nor the services. The words are not public.
func (s *Service) checkRemote(cluster string, r *remoteNetworks, network networkConfig, mode, vpc string) error {
	if r.empty() {
		return nil
	}
	if network.IPFamily == ipv6 {
		return invalidParameter(cluster, "remoteNetworkConfig is not supported with ipFamily ipv6")
	}
	if mode == modeConfigMap {
		return invalidParameter(cluster, "remoteNetworkConfig needs authenticationMode API or API_AND_CONFIG_MAP")
	}
	if len(prefixesOf(r.Nodes)) == 0 {
		return invalidParameter(cluster, "remoteNodeNetworks must be provided with remotePodNetworks")
	}
	var taken []netip.Prefix
	for _, text := range []string{network.ServiceIPv4CIDR, s.vpcCIDR(vpc)} {
		if p, err := netip.ParsePrefix(text); err == nil {
			taken = append(taken, p)
		}
	}
	for _, list := range [][]string{prefixesOf(r.Nodes), prefixesOf(r.Pods)} {
		if len(list) > maxRemote {
			return invalidParameter(cluster, "A remote network can have at most %d CIDR blocks", maxRemote)
		}
		for _, text := range list {
			p, err := netip.ParsePrefix(text)
			if err != nil || p != p.Masked() || p.Bits() < 8 || !isPrivate(p) {
				return invalidParameter(cluster, "Remote network CIDR %s is not valid: it must be an IPv4 RFC-1918 block from /8 to /32", text)
			}
			if slices.ContainsFunc(taken, p.Overlaps) {
				return invalidParameter(cluster, "Remote network CIDR %s overlaps with another network of the cluster", text)
			}
			taken = append(taken, p)
		}
	}
	return nil
}

func (s *Service) vpcCIDR(id string) string {
	cidr, _ := s.opt.EC2.VPC(id)
	return cidr
}
