package spec

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

// maxRemote is how many ranges EKS takes in one remote network.
const maxRemote = 15

// remote reads the network of hybrid nodes.
func (v value) remote(c *fleet.ClusterSpec) {
	r := v.at("remoteNetworkConfig")
	if !r.given() {
		return
	}
	i := r.at("iam")
	nodes, pods, gateway := r.at("remoteNodeNetworks"), r.at("remotePodNetworks"), r.at("vpcGatewayID")
	provider, bundle := i.at("provider"), i.at("caBundleCert")
	s := &fleet.RemoteSpec{
		NodeCIDRs: nodes.remoteRanges(c), PodCIDRs: pods.remoteRanges(c), VPCGateway: gateway.id("tgw", "vgw"),
		Provider: provider.anyCase("ssm", "ssm", "ira"), CABundle: bundle.text(""), RoleARN: i.at("roleARN").arn(role),
	}
	for _, a := range s.NodeCIDRs {
		for _, b := range s.PodCIDRs {
			pods.apart([]string{b}, "remoteNodeNetworks", a)
		}
	}
	switch {
	case len(s.NodeCIDRs) == 0 && c.Outpost == nil:
		nodes.wrong("is missing: say which addresses the nodes have")
	case len(s.PodCIDRs) == 0 && c.Outpost != nil:
		pods.wrong("is missing: say which addresses the pods have")
	}
	if gateway.given() && c.Network.VPC != "" {
		gateway.wrong("joins a VPC that is made: an existing VPC has its routes already; drop it")
	}
	switch {
	case s.Provider == "ira" && !bundle.given() && s.RoleARN == "":
		bundle.wrong("is missing: IAM Roles Anywhere trusts the certificates that it signs")
	case s.Provider == "ssm" && bundle.given():
		bundle.wrong("is for provider ira: drop it")
	}
	if c.Network.IPv6 {
		r.wrong("hybrid nodes need an IPv4 cluster: drop it, or kubernetesNetworkConfig.ipFamily")
	}
	if v.at("accessConfig", "authenticationMode").text("") == modeMap {
		r.wrong("hybrid nodes come in by access entries: set accessConfig.authenticationMode to %s", modeBoth)
	}
	c.Remote = s
}

// remoteRanges are the ranges of the one network that EKS takes.
func (v value) remoteRanges(c *fleet.ClusterSpec) []string {
	var out []string
	list := v.mappings()
	for _, item := range list {
		ranges := item.at("cidrs")
		out = append(out, ranges.cidrs(false)...)
		ranges.apart(out, "vpc.cidr", c.Network.CIDR)
		ranges.apart(out, "kubernetesNetworkConfig.serviceIPv4CIDR", c.Network.ServiceCIDR)
		for _, s := range out {
			if p, err := netip.ParsePrefix(s); err == nil && (!p.Addr().IsPrivate() && !carrierGrade.Contains(p.Addr()) || p.Bits() < 8) {
				ranges.wrong("%s must be a private range, like 10.80.0.0/16", s)
			}
		}
	}
	switch {
	case len(list) > 1:
		v.wrong("has %d networks: EKS takes one, with several ranges in cidrs", len(list))
	case len(out) > maxRemote:
		v.wrong("has %d ranges: EKS takes %d at most", len(out), maxRemote)
	}
	return out
}

// outpost reads where the control plane is; nil in the Region.
func (v value) outpost() *fleet.OutpostSpec {
	if !v.given() {
		return nil
	}
	arn, kind := v.at("controlPlaneOutpostARN"), v.at("controlPlaneInstanceType")
	etcd, plane, etcdAt := v.at("etcdInstanceType"), v.at("controlPlanePlacement"), v.at("etcdPlacement")
	o := &fleet.OutpostSpec{
		ARN: arn.arn(outpostARN), InstanceType: kind.instanceType(), EtcdInstanceType: etcd.instanceType(),
		GroupName: plane.at("groupName").text(""), SpreadLevel: plane.at("spreadLevel").oneOf("", "host", "rack"),
		EtcdSpreadLevel: etcdAt.at("spreadLevel").oneOf("", "host", "rack"),
	}
	if o.ARN == "" {
		arn.wrong("is missing: the ARN of %s, like %s", outpostARN.what, outpostARN.like)
	}
	if f := etcdAt.at("groupName"); f.given() {
		f.wrong("EKS takes no placement group for etcd: use spreadLevel")
	}
	switch {
	case o.EtcdInstanceType == "" && etcdAt.given():
		etcdAt.wrong("needs etcdInstanceType: give it, or drop this")
	case o.EtcdInstanceType == "" && o.SpreadLevel != "":
		plane.at("spreadLevel").wrong("needs etcdInstanceType: give it, or drop this")
	case o.EtcdInstanceType != "" && o.GroupName != "":
		plane.at("groupName").wrong("and etcdInstanceType exclude each other: use spreadLevel")
	}
	return o
}

// onOutpost holds what a cluster on an Outpost cannot have, beside what its own fields say.
func (v value) onOutpost(c *fleet.ClusterSpec) {
	if c.Outpost == nil {
		return
	}
	if c.Network.VPC == "" {
		v.at("outpost").wrong("subnets on an Outpost are yours to make: name them in vpc.subnets, and their VPC in vpc.id")
	}
	for field, what := range map[string]string{
		"availabilityZones": "the zone is the Outpost's", "localZones": "the zone is the Outpost's", "managedNodeGroups": "it takes self-managed nodes only",
		"secretsEncryption": "its secrets are encrypted by EKS's own key", "autoModeConfig.enabled": "Auto Mode is in Regions only",
		"iam.withOIDC": "it has no OIDC issuer", "capabilities": "they are in Regions only", "vpc.autoAllocateIPv6": "it has no IPv6",
		"iam.podIdentityAssociations": "they need an add-on, which it does not take", "zonalShiftConfig.enabled": "it has one zone",
	} {
		if at := strings.Split(field, "."); v.has(at...) {
			v.at(at...).wrong("a cluster on an Outpost cannot have it, for %s: drop it", what)
		}
	}
	if c.Network.IPv6 {
		v.at("kubernetesNetworkConfig", "ipFamily").wrong("a cluster on an Outpost cannot have IPv6: drop it")
	}
}

// together holds what only several parts of a spec have wrong.
func (v value) together(c *fleet.ClusterSpec) {
	nodes := len(c.NodeGroups) > 0
	if c.Auto != nil {
		for i, item := range v.at("addons").mappings() {
			if a := c.Addons[i]; !nodes && len(c.Fargate) == 0 && c.Remote == nil && slices.Contains([]string{vpcCNI, kubeProxy, coreDNS}, a.Name) {
				item.warn("Auto Mode brings it with it: drop it, unless there will be other nodes")
			}
		}
		if nodes && !hasAddon(c, vpcCNI) {
			v.at("autoModeConfig").wrong("other nodes beside those of Auto Mode have no network: add %s, %s and %s to addons, or drop the node groups", vpcCNI, kubeProxy, coreDNS)
		}
		return
	}
	if c.NoDefaultAddons && c.Outpost == nil && !hasAddon(c, vpcCNI) && (nodes || len(c.Fargate) > 0) {
		v.at("addonsConfig", "disableDefaultAddons").wrong("nodes never become ready without a network: add vpc-cni to addons, or drop the nodes")
	}
}

func hasAddon(c *fleet.ClusterSpec, name string) bool {
	for _, a := range c.Addons {
		if a.Name == name {
			return true
		}
	}
	return false
}
