package spec

import (
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

// refused are known fields that may not be passed over: what would be made without them could not be put right later, or
// would be more open than was asked for. The text says why, after "is not supported yet, and".
var refused = map[string]string{
	"vpc.id":                                     "without it another VPC would be made: drop it to get a new VPC",
	"vpc.subnets":                                "without it other subnets would be made: drop it to get new ones",
	"vpc.autoAllocateIPv6":                       "a VPC without IPv6 cannot be turned into a dual-stack cluster: drop it",
	"vpc.ipv6Cidr":                               "a cluster cannot change its IP family later: drop it",
	"vpc.controlPlaneSubnetIDs":                  "without it the control plane would be elsewhere: drop it",
	"vpc.controlPlaneOnPrivateSubnets":           "without it the control plane would be in public subnets, too: drop it",
	"vpc.securityGroup":                          "without it other rules would apply: drop it",
	"privateCluster.enabled":                     "without it the cluster would be open to the internet: drop it to allow that",
	"outpost":                                    "without it the cluster would be in the Region: drop it",
	"secretsEncryption":                          "a cluster made now could get it, but its first secrets would not have it: drop it",
	"kubernetesNetworkConfig.ipFamily":           "a cluster cannot change its IP family later: drop it for IPv4",
	"kubernetesNetworkConfig.serviceIPv6CIDR":    "a cluster cannot change its IP family later: drop it",
	"managedNodeGroups.instanceSelector":         "a node group cannot change its instance types later: name them in instanceTypes",
	"managedNodeGroups.launchTemplate":           "a node group cannot get a launch template later: drop it",
	"managedNodeGroups.ami":                      "a node group cannot change its kind of image later: drop it",
	"managedNodeGroups.capacityReservation":      "without it other capacity would be paid for: drop it",
	"managedNodeGroups.subnets":                  "a node group cannot move later: use availabilityZones",
	"managedNodeGroups.volumeEncrypted":          "without it the volume might not be encrypted: drop it",
	"managedNodeGroups.volumeKmsKeyID":           "without it another key would be used: drop it",
	"managedNodeGroups.securityGroups":           "without it other rules would apply: drop it",
	"managedNodeGroups.disableIMDSv1":            "without it nodes might be more open: managed node groups require IMDSv2 by default; drop it",
	"managedNodeGroups.disablePodIMDS":           "without it pods could reach the nodes' credentials: drop it to allow that",
	"managedNodeGroups.overrideBootstrapCommand": "without it nodes would start differently: drop it",
	"managedNodeGroups.preBootstrapCommands":     "without it nodes would start differently: drop it",
	"managedNodeGroups.outpostARN":               "without it nodes would be in the Region: drop it",
}

var (
	clusterName = regexp.MustCompile(`^[0-9A-Za-z][A-Za-z0-9_-]{0,99}$`)
	regionName  = regexp.MustCompile(`^[a-z]{2,3}(-[a-z]+)+-[0-9]{1,2}$`)
	zoneName    = regexp.MustCompile(`^[a-z]{2,3}(-[a-z]+)+-[0-9]{1,2}[a-z]$`)
	version     = regexp.MustCompile(`^1\.[0-9]{2}$`)
	principal   = regexp.MustCompile(`^arn:aws[a-z-]*:iam::[0-9]{12}:(role|user)/.+$`)
)

const (
	modeAPI     = "API"
	modeBoth    = "API_AND_CONFIG_MAP"
	modeMap     = "CONFIG_MAP"
	defaultCIDR = "192.168.0.0/16" // eksctl's
	// maxTags is AWS's 50 for each resource, without ekspedite's own and the Name.
	maxTags = 44
)

// cluster reads a ClusterConfig.
func (v value) cluster() fleet.ClusterSpec {
	var c fleet.ClusterSpec
	meta := v.at("metadata")
	name := meta.at("name")
	if c.Name = name.text(""); !clusterName.MatchString(c.Name) {
		name.wrong("%q must be the cluster's name: letters, digits, - and _, up to 100, a letter or digit first", clip(c.Name))
	}
	region := meta.at("region")
	if c.Region = region.text(""); !regionName.MatchString(c.Region) {
		region.wrong("%q must be an AWS Region, like us-east-1", clip(c.Region))
	}
	ver := meta.at("version")
	if c.Version = ver.text(""); c.Version != "" && !version.MatchString(c.Version) {
		ver.wrong("%q must be a Kubernetes minor version in quotes, like \"1.36\"; drop it for EKS's default", clip(c.Version))
	}
	c.Tags = meta.at("tags").tags()
	c.Network = v.network(c.Region)
	c.Logging = v.logging()
	c.AuthMode, c.Access = v.accessConfig()
	seen := map[string]bool{}
	for _, item := range v.at("managedNodeGroups").mappings() {
		g := item.nodeGroup(c)
		if seen[g.Name] && g.Name != "" {
			item.at("name").wrong("node group %s is there twice: give it another name", g.Name)
		}
		seen[g.Name] = true
		c.NodeGroups = append(c.NodeGroups, g)
	}
	return c
}

// tags are AWS's.
func (v value) tags() map[string]string {
	tags := v.textMap()
	if len(tags) > maxTags {
		v.wrong("has %d tags: at most %d are possible beside ekspedite's own", len(tags), maxTags)
	}
	for k, val := range tags {
		if strings.HasPrefix(strings.ToLower(k), "aws:") {
			v.wrong("%q: names that begin with aws: are AWS's own: drop it", clip(k))
		}
		if k == "" || len(k) > 128 || len(val) > 256 {
			v.wrong("%q: a tag's name has 1 to 128 letters and its value at most 256", clip(k))
		}
		if k == fleet.TagCluster || k == fleet.TagEksctlCluster || k == fleet.TagResource || k == "Name" {
			v.wrong("%q is a tag that ekspedite sets itself: drop it", k)
		}
	}
	return tags
}

func (v value) network(region string) fleet.NetworkSpec {
	n := fleet.NetworkSpec{NAT: fleet.NATSingle, PublicAccess: true}
	vpc := v.at("vpc")
	cidr := vpc.at("cidr")
	n.CIDR = cidr.text(defaultCIDR)
	if p, err := netip.ParsePrefix(n.CIDR); err != nil || !p.Addr().Is4() || p.Bits() < 16 || p.Bits() > 24 {
		cidr.wrong("%q must be an IPv4 range between /16 and /24, like %s", clip(n.CIDR), defaultCIDR)
	} else if n.CIDR = p.Masked().String(); p != p.Masked() {
		cidr.wrong("%s begins in the middle of a range: write %s", p, n.CIDR)
	} else if !p.Addr().IsPrivate() && !carrierGrade.Overlaps(p) {
		cidr.warn("%s is not a private range: nodes will not reach the real owners of these addresses", p)
	}
	n.NAT = fleet.NATMode(vpc.at("nat", "gateway").oneOf(string(fleet.NATSingle),
		string(fleet.NATDisable), string(fleet.NATSingle), string(fleet.NATHighlyAvailable)))
	v.endpoints(vpc, &n)
	v.at("privateCluster") // its fields are reported one by one
	n.Zones = v.at("availabilityZones").zones(region)
	if len(n.Zones) == 1 {
		v.at("availabilityZones").wrong("EKS needs two zones at least: name another one, or drop the field")
	}
	service := v.at("kubernetesNetworkConfig", "serviceIPv4CIDR")
	if n.ServiceCIDR = service.text(""); n.ServiceCIDR != "" {
		p, err := netip.ParsePrefix(n.ServiceCIDR)
		if err != nil || !p.Addr().Is4() || !p.Addr().IsPrivate() || p.Bits() < 12 || p.Bits() > 24 || p != p.Masked() {
			service.wrong("%q must be a private IPv4 range between /12 and /24, like 172.20.0.0/16", clip(n.ServiceCIDR))
		} else if own, err := netip.ParsePrefix(n.CIDR); err == nil && own.Overlaps(p) {
			service.wrong("%s overlaps with vpc.cidr %s: choose another range", p, own)
		}
	}
	if family := v.at("kubernetesNetworkConfig").peek("ipFamily"); strings.EqualFold(family, "IPv4") {
		v.at("kubernetesNetworkConfig", "ipFamily") // what there is: read
	}
	return n
}

var carrierGrade = netip.MustParsePrefix("100.64.0.0/10") // private enough: EKS documents it for pods

// endpoints is how the API server is reached. ekspedite's functions are outside of the VPC and must reach it.
func (v value) endpoints(vpc value, n *fleet.NetworkSpec) {
	e := vpc.at("clusterEndpoints")
	n.PublicAccess, n.PrivateAccess = e.at("publicAccess").boolean(true), e.at("privateAccess").boolean(false)
	switch {
	case !n.PublicAccess && !n.PrivateAccess:
		e.wrong("nobody could reach the API server: set publicAccess or privateAccess to true")
	case !n.PublicAccess:
		e.at("publicAccess").wrong("ekspedite's functions run outside of the VPC and could not reach the API server: set it to true (and limit it by vpc.publicAccessCIDRs)")
	}
	list := vpc.at("publicAccessCIDRs")
	for _, item := range list.items() {
		s, ok := item.scalar()
		p, err := netip.ParsePrefix(s)
		switch {
		case !ok:
		case err != nil || !p.Addr().Is4():
			item.wrong("%q must be an IPv4 range like 203.0.113.0/24", clip(s))
		case p != p.Masked():
			item.wrong("%s begins in the middle of a range: write %s", p, p.Masked())
		default:
			n.PublicAccessCIDRs = append(n.PublicAccessCIDRs, s)
		}
	}
	if len(n.PublicAccessCIDRs) > 40 {
		list.wrong("has %d ranges: EKS takes 40 at most", len(n.PublicAccessCIDRs))
	}
	if len(n.PublicAccessCIDRs) > 0 && !slices.Contains(n.PublicAccessCIDRs, "0.0.0.0/0") {
		list.warn("must contain the addresses that ekspedite's functions call from, or they cannot reach the API server")
	}
}

// peek is a field's text, without marking it as read.
func (v value) peek(name string) string {
	if v.there() {
		for _, p := range v.r.pairs(v.n, 0) {
			if p.key.Value == name {
				return p.value.Value
			}
		}
	}
	return ""
}

func (v value) zones(region string) []string {
	zones := v.texts()
	for _, z := range zones {
		switch {
		case !zoneName.MatchString(z) || !strings.HasPrefix(z, region):
			v.wrong("%q is no availability zone of %s", clip(z), clip(region))
		case z == "us-east-1e":
			v.wrong("EKS has no room for control planes in us-east-1e: use another zone")
		}
	}
	slices.Sort(zones)
	return zones
}

var logTypes = []string{"api", "audit", "authenticator", "controllerManager", "scheduler"}

// logging reads the log types. eksctl lets "*" and "all" stand for all of them.
func (v value) logging() []string {
	var out []string
	list := v.at("cloudWatch", "clusterLogging", "enableTypes")
	for _, item := range list.items() {
		s, ok := item.scalar()
		switch {
		case s == "*" || s == "all":
			out = append(out, logTypes...)
		case ok:
			out = append(out, item.oneOf("", logTypes...))
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// accessConfig reads who may come in. eksctl's default mode allows access entries and the aws-auth ConfigMap.
func (v value) accessConfig() (mode string, out []fleet.AccessSpec) {
	a := v.at("accessConfig")
	m := a.at("authenticationMode")
	if mode = m.oneOf(modeBoth, modeAPI, modeBoth, modeMap); mode == modeMap {
		m.wrong("ekspedite comes in by access entries: use %s or %s", modeBoth, modeAPI)
	}
	admin := a.at("bootstrapClusterCreatorAdminPermissions")
	if !admin.boolean(true) {
		admin.wrong("ekspedite makes the cluster and then its RBAC, and needs to be its administrator for that: drop it")
	}
	seen := map[string]bool{}
	for _, item := range a.at("accessEntries").mappings() {
		arn := item.at("principalARN")
		e := fleet.AccessSpec{Principal: arn.text(""), Username: item.at("kubernetesUsername").text(""), Groups: item.at("kubernetesGroups").texts()}
		if !principal.MatchString(e.Principal) {
			arn.wrong("%q must be the ARN of an IAM role or user", clip(e.Principal))
		}
		if seen[e.Principal] {
			arn.wrong("%s is there twice: one entry can have several groups", clip(e.Principal))
		}
		seen[e.Principal] = true
		for _, g := range e.Groups {
			for _, reserved := range []string{"system:", "eks:", "aws:", "amazon:", "iam:"} {
				if strings.HasPrefix(g, reserved) {
					item.at("kubernetesGroups").wrong("%q: groups that begin with %s are reserved: bind a group of your own", clip(g), reserved)
				}
			}
		}
		if t := item.at("type"); t.text("STANDARD") != "STANDARD" {
			t.warn("only STANDARD entries are acted on: this entry is left out")
			continue
		}
		out = append(out, e)
	}
	return mode, out
}
