package ec2

import (
	"slices"
	"strconv"

	"github.com/ekspedite/ekspedite/infra/local/wire"
)

type permissionXML struct {
	Protocol string         `xml:"ipProtocol"`
	From     *int           `xml:"fromPort"`
	To       *int           `xml:"toPort"`
	Groups   []groupPairXML `xml:"groups>item"`
	Ranges   []rangeXML     `xml:"ipRanges>item"`
	Ranges6  []range6XML    `xml:"ipv6Ranges>item"`
	Lists    []listXML      `xml:"prefixListIds>item"`
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

type range6XML struct {
	CidrIpv6    string `xml:"cidrIpv6"`
	Description string `xml:"description,omitempty"`
}

type listXML struct {
	ID          string `xml:"prefixListId"`
	Description string `xml:"description,omitempty"`
}

type ruleXML struct {
	ID           string         `xml:"securityGroupRuleId"`
	Arn          string         `xml:"securityGroupRuleArn"`
	GroupID      string         `xml:"groupId"`
	GroupOwnerID string         `xml:"groupOwnerId"`
	IsEgress     bool           `xml:"isEgress"`
	Protocol     string         `xml:"ipProtocol"`
	From         int            `xml:"fromPort"`
	To           int            `xml:"toPort"`
	Cidr         string         `xml:"cidrIpv4,omitempty"`
	CidrIpv6     string         `xml:"cidrIpv6,omitempty"`
	PrefixListID string         `xml:"prefixListId,omitempty"`
	Referenced   *referencedXML `xml:"referencedGroupInfo"`
	Description  string         `xml:"description,omitempty"`
	Tags         []tag          `xml:"tagSet>item"`
}

type referencedXML struct {
	GroupID string `xml:"groupId"`
	UserID  string `xml:"userId"`
}

type describeRulesIn struct {
	DryRun     bool
	IDs        []string `query:"SecurityGroupRuleId"`
	Filters    []filter `query:"Filter"`
	MaxResults *int
	NextToken  string
}

type describeRulesOut struct {
	Rules     []ruleXML `xml:"securityGroupRuleSet>item"`
	NextToken string    `xml:"nextToken,omitempty"`
}

var ruleFilters = filters[*rule]{
	"security-group-rule-id": one(func(r *rule) string { return r.id }),
	"group-id":               one(func(r *rule) string { return r.of.id }),
}

func (s *Service) ruleOps() []wire.Op {
	on := func(action string) func(in *permissionsIn) []wire.Need {
		return func(in *permissionsIn) []wire.Need {
			tags := s.creates(action, kindRule, in.TagSpecifications, nil)
			out := []wire.Need{s.need("ec2:"+action, in.GroupID)}
			if len(in.TagSpecifications) > 0 { // a need on the rules is one on their tags
				out = append(out, tags...)
			}
			return out
		}
	}
	revoke := func(action string) func(in *permissionsIn) []wire.Need {
		return func(in *permissionsIn) []wire.Need { return s.needs(action, in.GroupID) }
	}
	return []wire.Op{
		handle("AuthorizeSecurityGroupIngress", on("AuthorizeSecurityGroupIngress"), func(in *permissionsIn) (*rulesOut, error) { return s.permit(in, false) }),
		handle("AuthorizeSecurityGroupEgress", on("AuthorizeSecurityGroupEgress"), func(in *permissionsIn) (*rulesOut, error) { return s.permit(in, true) }),
		handle("RevokeSecurityGroupIngress", revoke("ec2:RevokeSecurityGroupIngress"), func(in *permissionsIn) (*revokeOut, error) { return s.revoke(in, false) }),
		handle("RevokeSecurityGroupEgress", revoke("ec2:RevokeSecurityGroupEgress"), func(in *permissionsIn) (*revokeOut, error) { return s.revoke(in, true) }),
		handle("DescribeSecurityGroupRules", nil, s.describeRules),
	}
}

func (s *Service) ruleXML(r *rule) ruleXML {
	x := ruleXML{
		ID: r.id, Arn: s.arn("security-group-rule", r.id), GroupID: r.of.id, GroupOwnerID: s.w.Account, IsEgress: r.egress, Protocol: r.protocol,
		From: r.from, To: r.to, Cidr: r.cidr, CidrIpv6: r.cidr6, PrefixListID: r.list, Description: r.description, Tags: tagSet(r.tags),
	}
	if r.peer != "" {
		x.Referenced = &referencedXML{r.peer, s.w.Account}
	}
	return x
}

func (s *Service) describeRules(in *describeRulesIn) (*describeRulesOut, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range in.Filters {
		if f.Name == "group-id" {
			for _, id := range f.Values {
				if _, err := get[*securityGroup](s, kindGroup, id); err != nil {
					return nil, err
				}
			}
		}
	}
	items, next, err := describe(s, kindRule, ruleFilters, query{ids: in.IDs, filters: in.Filters, max: in.MaxResults, token: in.NextToken})
	out := &describeRulesOut{NextToken: next}
	for _, r := range items {
		out.Rules = append(out.Rules, s.ruleXML(r))
	}
	return out, err
}

// permissions groups a security group's rules by protocol and ports, as describes show them. The lock is held.
func (s *Service) permissions(g *securityGroup, egress bool) []permissionXML {
	var out []permissionXML
	var keys []string
	for _, r := range s.rulesOf(g, egress) {
		key := r.protocol + " " + strconv.Itoa(r.from) + " " + strconv.Itoa(r.to)
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
		switch p := &out[i]; {
		case r.peer != "":
			p.Groups = append(p.Groups, groupPairXML{s.w.Account, r.peer, r.description})
		case r.cidr6 != "":
			p.Ranges6 = append(p.Ranges6, range6XML{r.cidr6, r.description})
		case r.list != "":
			p.Lists = append(p.Lists, listXML{r.list, r.description})
		default:
			p.Ranges = append(p.Ranges, rangeXML{r.cidr, r.description})
		}
	}
	return out
}
