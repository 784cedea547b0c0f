package ec2

import (
	"net/netip"
	"slices"
	"strconv"

	"github.com/ekspedite/ekspedite/infra/local/ec2/form"
	"github.com/ekspedite/ekspedite/infra/local/wire"
)

// rule is one line of a security group, as EC2 numbers them.
type rule struct {
	record
	of *securityGroup
	allows
	description string
}

// allows is what a rule lets through; two rules of a group never allow the same.
type allows struct {
	egress   bool
	protocol string
	from, to int    // -1 for all
	cidr     string // of IPv4, or one of the others
	cidr6    string
	list     string // prefix list
	peer     string // security group
}

func (a allows) source() string { return a.cidr + a.cidr6 + a.list + a.peer }

type permissionsIn struct {
	DryRun                     bool
	GroupID                    string            `query:"GroupId"`
	GroupName                  *form.Unsupported // needs a default VPC
	SourceSecurityGroupName    *form.Unsupported
	SourceSecurityGroupOwnerID *form.Unsupported `query:"SourceSecurityGroupOwnerId"`
	SecurityGroupRuleIDs       []string          `query:"SecurityGroupRuleId"`
	IPPermissions              []permission      `query:"IpPermissions"`
	IPProtocol                 string            `query:"IpProtocol"`
	FromPort, ToPort           *int
	CidrIP                     string    `query:"CidrIp"`
	TagSpecifications          []tagSpec `query:"TagSpecification"`
}

type permission struct {
	IPProtocol       string `query:"IpProtocol"`
	FromPort, ToPort *int
	Groups           []struct {
		GroupID                string `query:"GroupId"`
		Description            string
		UserID                 string            `query:"UserId"`
		VpcID                  string            `query:"VpcId"`
		GroupName              *form.Unsupported // needs a default VPC
		PeeringStatus          *form.Unsupported
		VpcPeeringConnectionID *form.Unsupported `query:"VpcPeeringConnectionId"`
	}
	IPRanges      []described `query:"IpRanges"`
	Ipv6Ranges    []described
	PrefixListIDs []described `query:"PrefixListIds"`
}

// described is a source with its description: an IPv4 or IPv6 range, or a prefix list.
type described struct {
	CidrIP       string `query:"CidrIp"`
	CidrIpv6     string
	PrefixListID string `query:"PrefixListId"`
	Description  string
}

type rulesOut struct {
	Return bool      `xml:"return"`
	Rules  []ruleXML `xml:"securityGroupRuleSet>item"`
}

// protocols are the ways to say a protocol that EC2 takes.
var protocols = map[string]string{
	"-1": "-1", "all": "-1", "tcp": "tcp", "6": "tcp", "udp": "udp", "17": "udp", "icmp": "icmp", "1": "icmp", "icmpv6": "icmpv6", "58": "icmpv6",
}

// rulesOf lists a group's rules, oldest first. The lock is held.
func (s *Service) rulesOf(g *securityGroup, egress bool) []*rule {
	return slices.DeleteFunc(all[*rule](s), func(r *rule) bool { return r.of != g || r.egress != egress })
}

func (s *Service) addRule(g *securityGroup, a allows, description string, tags map[string]string) *rule {
	r := &rule{of: g, allows: a, description: description}
	s.add(kindRule, r, tags)
	return r
}

func validCIDR(cidr string, ipv4 bool) (string, error) {
	p, err := netip.ParsePrefix(cidr)
	if err != nil || p.Addr().Is4() != ipv4 {
		return "", invalid("CIDR block %s is malformed", cidr)
	}
	return p.Masked().String(), nil
}

// wanted is a rule that a request describes.
type wanted struct {
	allows
	description string
}

// base reads a permission's protocol and ports.
func (p permission) base(egress bool) (allows, error) {
	a := allows{egress: egress, from: -1, to: -1}
	var ok bool
	if a.protocol, ok = protocols[p.IPProtocol]; !ok {
		if n, err := strconv.Atoi(p.IPProtocol); err != nil || n < 0 || n > 255 {
			return a, invalid("Invalid value '%s' for IP protocol. Unknown protocol.", p.IPProtocol)
		}
		a.protocol = p.IPProtocol
	}
	if p.FromPort != nil && p.ToPort != nil && a.protocol != "-1" {
		a.from, a.to = *p.FromPort, *p.ToPort
	}
	if a.protocol == "tcp" || a.protocol == "udp" {
		switch {
		case p.FromPort == nil || p.ToPort == nil:
			return a, invalid("Invalid value 'Must specify both from and to ports with TCP/UDP.' for portRange.")
		case a.from < 0 || a.to > 65535 || a.from > a.to:
			return a, invalid("Invalid TCP port range (%d:%d)", a.from, a.to)
		}
	}
	return a, nil
}

// wanted reads the request's permissions, one rule for each source. The lock is held.
func (s *Service) wanted(in *permissionsIn, egress bool) ([]wanted, error) {
	permissions := in.IPPermissions
	if in.IPProtocol != "" || in.CidrIP != "" {
		permissions = append(permissions, permission{IPProtocol: in.IPProtocol, FromPort: in.FromPort, ToPort: in.ToPort, IPRanges: []described{{CidrIP: in.CidrIP}}})
	}
	var out []wanted
	for _, p := range permissions {
		base, err := p.base(egress)
		if err != nil {
			return nil, err
		}
		for _, r := range p.IPRanges {
			w := wanted{base, r.Description}
			if w.cidr, err = validCIDR(r.CidrIP, true); err != nil {
				return nil, err
			}
			out = append(out, w)
		}
		for _, r := range p.Ipv6Ranges {
			w := wanted{base, r.Description}
			if w.cidr6, err = validCIDR(r.CidrIpv6, false); err != nil {
				return nil, err
			}
			out = append(out, w)
		}
		for _, r := range p.PrefixListIDs {
			if _, err := s.listsOf([]string{r.PrefixListID}); err != nil {
				return nil, err
			}
			w := wanted{base, r.Description}
			w.list = r.PrefixListID
			out = append(out, w)
		}
		for _, g := range p.Groups {
			if g.UserID != "" && g.UserID != s.w.Account {
				return nil, wire.Errf("NotImplemented", "the embedded cloud does not implement rules for another account's security groups").WithStatus(501)
			}
			if _, err := get[*securityGroup](s, kindGroup, g.GroupID); err != nil {
				return nil, err
			}
			w := wanted{base, g.Description}
			w.peer = g.GroupID
			out = append(out, w)
		}
	}
	return out, nil
}

// allowing finds a group's rule for what is wanted, or nil.
func (s *Service) allowing(g *securityGroup, a allows) *rule {
	for _, r := range s.rulesOf(g, a.egress) {
		if r.allows == a {
			return r
		}
	}
	return nil
}

func (s *Service) permit(in *permissionsIn, egress bool) (*rulesOut, error) {
	tags, err := specTags(in.TagSpecifications, "security-group-rule")
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	g, err := get[*securityGroup](s, kindGroup, in.GroupID)
	if err != nil {
		return nil, err
	}
	add, err := s.wanted(in, egress)
	switch {
	case err != nil:
		return nil, err
	case len(add) == 0:
		return nil, missing("ipPermissions")
	case len(s.rulesOf(g, egress))+len(add) > s.quota(QuotaRulesPerGroup):
		return nil, wire.Errf("RulesPerSecurityGroupLimitExceeded", "The maximum number of rules per security group has been reached.")
	}
	for i, r := range add {
		if s.allowing(g, r.allows) != nil || slices.ContainsFunc(add[:i], func(o wanted) bool { return o.allows == r.allows }) {
			return nil, wire.Errf("InvalidPermission.Duplicate", "the specified rule \"peer: %s, %s, from port: %d, to port: %d, ALLOW\" already exists", r.source(), r.protocol, r.from, r.to)
		}
	}
	out := &rulesOut{Return: true}
	for _, r := range add {
		out.Rules = append(out.Rules, s.ruleXML(s.addRule(g, r.allows, r.description, tags)))
	}
	return out, nil
}

type revokeOut struct {
	Return  bool             `xml:"return"`
	Revoked []revokedXML     `xml:"revokedSecurityGroupRuleSet>item"`
	Unknown []*permissionXML `xml:"unknownIpPermissionSet>item"`
}

type revokedXML struct {
	ID           string `xml:"securityGroupRuleId"`
	GroupID      string `xml:"groupId"`
	IsEgress     bool   `xml:"isEgress"`
	Protocol     string `xml:"ipProtocol"`
	From         int    `xml:"fromPort"`
	To           int    `xml:"toPort"`
	Cidr         string `xml:"cidrIpv4,omitempty"`
	CidrIpv6     string `xml:"cidrIpv6,omitempty"`
	PrefixListID string `xml:"prefixListId,omitempty"`
	PeerGroup    string `xml:"referencedGroupId,omitempty"`
	Description  string `xml:"description,omitempty"`
}

func (s *Service) revoke(in *permissionsIn, egress bool) (*revokeOut, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g, err := get[*securityGroup](s, kindGroup, in.GroupID)
	if err != nil {
		return nil, err
	}
	named, err := s.wanted(in, egress)
	if err != nil {
		return nil, err
	}
	var drop []*rule
	for _, w := range named {
		r := s.allowing(g, w.allows)
		if r == nil {
			return nil, wire.Errf("InvalidPermission.NotFound", "The specified rule does not exist in this security group.")
		}
		drop = append(drop, r)
	}
	for _, id := range in.SecurityGroupRuleIDs {
		r, ok := s.byID[id].(*rule)
		if !ok || r.of != g || r.egress != egress {
			return nil, kindRule.notFound([]string{id})
		}
		drop = append(drop, r)
	}
	if len(drop) == 0 {
		return nil, missing("ipPermissions")
	}
	out := &revokeOut{Return: true}
	for _, r := range drop {
		s.remove(r)
		out.Revoked = append(out.Revoked, revokedXML{r.id, g.id, r.egress, r.protocol, r.from, r.to, r.cidr, r.cidr6, r.list, r.peer, r.description})
	}
	return out, nil
}
