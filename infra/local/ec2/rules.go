package ec2

import (
	"slices"

	"github.com/ekspedite/ekspedite/infra/local/ec2/form"
	"github.com/ekspedite/ekspedite/infra/local/wire"
)

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
	CidrIP                     string            `query:"CidrIp"`
	TagSpecifications          *form.Unsupported `query:"TagSpecification"`
}

type permission struct {
	IPProtocol       string `query:"IpProtocol"`
	FromPort, ToPort *int
	Groups           []struct {
		GroupID     string `query:"GroupId"`
		GroupName   *form.Unsupported
		Description string
	}
	IPRanges []struct {
		CidrIP      string `query:"CidrIp"`
		Description string
	} `query:"IpRanges"`
	Ipv6Ranges    *form.Unsupported
	PrefixListIDs *form.Unsupported `query:"PrefixListIds"`
}

type permissionXML struct {
	Protocol string         `xml:"ipProtocol"`
	From     *int           `xml:"fromPort"`
	To       *int           `xml:"toPort"`
	Groups   []groupPairXML `xml:"groups>item"`
	Ranges   []rangeXML     `xml:"ipRanges>item"`
}

type groupPairXML struct {
	UserID      string `xml:"userId"`
	GroupID     string `xml:"groupId"`
	Description string `xml:"description,omitempty"`
}

type rangeXML struct {
	CidrIP      string `xml:"cidrIp"`
	Description string `xml:"description,omitempty"`
}

type ruleXML struct {
	ID           string `xml:"securityGroupRuleId"`
	GroupID      string `xml:"groupId"`
	GroupOwnerID string `xml:"groupOwnerId"`
	IsEgress     bool   `xml:"isEgress"`
	Protocol     string `xml:"ipProtocol"`
	From         int    `xml:"fromPort"`
	To           int    `xml:"toPort"`
	Cidr         string `xml:"cidrIpv4,omitempty"`
	Referenced   *struct {
		GroupID string `xml:"groupId"`
		UserID  string `xml:"userId"`
	} `xml:"referencedGroupInfo"`
	Description string `xml:"description,omitempty"`
}

type rulesOut struct {
	Return bool      `xml:"return"`
	Rules  []ruleXML `xml:"securityGroupRuleSet>item"`
}

// rules reads the request's permissions, one rule for each source. The lock is held.
func (s *Service) rules(in *permissionsIn, egress bool) ([]rule, error) {
	permissions := in.IPPermissions
	if in.IPProtocol != "" || in.CidrIP != "" {
		p := permission{IPProtocol: in.IPProtocol, FromPort: in.FromPort, ToPort: in.ToPort}
		p.IPRanges = append(p.IPRanges, struct {
			CidrIP      string `query:"CidrIp"`
			Description string
		}{CidrIP: in.CidrIP})
		permissions = append(permissions, p)
	}
	var out []rule
	for _, p := range permissions {
		base := rule{egress: egress, from: -1, to: -1}
		var ok bool
		if base.protocol, ok = protocols[p.IPProtocol]; !ok {
			return nil, invalid("Invalid value '%s' for IP protocol. Unknown protocol.", p.IPProtocol)
		}
		if p.FromPort != nil && p.ToPort != nil && base.protocol != "-1" {
			base.from, base.to = *p.FromPort, *p.ToPort
		}
		if base.protocol == "tcp" || base.protocol == "udp" {
			switch {
			case p.FromPort == nil || p.ToPort == nil:
				return nil, invalid("Invalid value 'Must specify both from and to ports with TCP/UDP.' for portRange.")
			case base.from < 0 || base.to > 65535 || base.from > base.to:
				return nil, wire.Errf("InvalidParameterValue", "Invalid TCP port range (%d:%d)", base.from, base.to)
			}
		}
		for _, r := range p.IPRanges {
			l := base
			var err error
			if l.cidr, err = validCIDR(r.CidrIP); err != nil {
				return nil, err
			}
			l.description = r.Description
			out = append(out, l)
		}
		for _, g := range p.Groups {
			if _, err := get[*securityGroup](s, kindGroup, g.GroupID); err != nil {
				return nil, err
			}
			l := base
			l.group, l.description = g.GroupID, g.Description
			out = append(out, l)
		}
	}
	return out, nil
}

// protocols are the ways to say a protocol that EC2 takes.
var protocols = map[string]string{"-1": "-1", "all": "-1", "tcp": "tcp", "6": "tcp", "udp": "udp", "17": "udp", "icmp": "icmp", "1": "icmp"}

func (s *Service) ruleXML(g *securityGroup, r rule) ruleXML {
	x := ruleXML{ID: r.id, GroupID: g.id, GroupOwnerID: s.w.Account, IsEgress: r.egress, Protocol: r.protocol, From: r.from, To: r.to, Cidr: r.cidr, Description: r.description}
	if r.group != "" {
		x.Referenced = &struct {
			GroupID string `xml:"groupId"`
			UserID  string `xml:"userId"`
		}{r.group, s.w.Account}
	}
	return x
}

func (s *Service) permit(in *permissionsIn, egress bool) (*rulesOut, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g, err := get[*securityGroup](s, kindGroup, in.GroupID)
	if err != nil {
		return nil, err
	}
	add, err := s.rules(in, egress)
	if err != nil {
		return nil, err
	}
	if len(add) == 0 {
		return nil, missing("ipPermissions")
	}
	for i, r := range add {
		if slices.ContainsFunc(g.rules, r.same) || slices.ContainsFunc(add[:i], r.same) {
			peer := r.cidr + r.group
			return nil, wire.Errf("InvalidPermission.Duplicate", "the specified rule \"peer: %s, %s, from port: %d, to port: %d, ALLOW\" already exists", peer, r.protocol, r.from, r.to)
		}
	}
	out := &rulesOut{Return: true}
	for _, r := range add {
		r.id = "sgr-" + s.w.Hex(17)
		g.rules = append(g.rules, r)
		out.Rules = append(out.Rules, s.ruleXML(g, r))
	}
	return out, nil
}

func (s *Service) revoke(in *permissionsIn, egress bool) (*rulesOut, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g, err := get[*securityGroup](s, kindGroup, in.GroupID)
	if err != nil {
		return nil, err
	}
	drop, err := s.rules(in, egress)
	if err != nil {
		return nil, err
	}
	for _, id := range in.SecurityGroupRuleIDs {
		i := slices.IndexFunc(g.rules, func(r rule) bool { return r.id == id && r.egress == egress })
		if i < 0 {
			return nil, wire.Errf("InvalidSecurityGroupRuleId.NotFound", "The security group rule ID '%s' does not exist", id)
		}
		drop = append(drop, g.rules[i])
	}
	if len(drop) == 0 {
		return nil, missing("ipPermissions")
	}
	for _, r := range drop {
		if !slices.ContainsFunc(g.rules, r.same) {
			return nil, wire.Errf("InvalidPermission.NotFound", "The specified rule does not exist in this security group.")
		}
	}
	g.rules = slices.DeleteFunc(g.rules, func(r rule) bool { return slices.ContainsFunc(drop, r.same) })
	return &rulesOut{Return: true}, nil
}

// permissions groups a security group's rules by protocol and ports, as describes show them. The lock is held.
func (s *Service) permissions(g *securityGroup, egress bool) []permissionXML {
	var out []permissionXML
	var keys []rule
	for _, r := range g.rules {
		if r.egress != egress {
			continue
		}
		key := rule{protocol: r.protocol, from: r.from, to: r.to}
		i := slices.Index(keys, key)
		if i < 0 {
			i = len(keys)
			keys = append(keys, key)
			p := permissionXML{Protocol: r.protocol}
			if r.protocol != "-1" {
				p.From, p.To = &r.from, &r.to
			}
			out = append(out, p)
		}
		if r.group != "" {
			out[i].Groups = append(out[i].Groups, groupPairXML{s.w.Account, r.group, r.description})
		} else {
			out[i].Ranges = append(out[i].Ranges, rangeXML{r.cidr, r.description})
		}
	}
	return out
}
