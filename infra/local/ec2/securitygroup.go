package ec2

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/ekspedite/ekspedite/infra/local/wire"
)

type securityGroup struct {
	record
	vpc               *vpc
	name, description string
	rules             []rule
}

// rule is one line of a security group, as EC2 numbers them.
type rule struct {
	id          string
	egress      bool
	protocol    string
	from, to    int // -1 for all
	cidr        string
	group       string
	description string
}

// same tells whether two rules allow the same; the description does not matter.
func (r rule) same(o rule) bool {
	return r.egress == o.egress && r.protocol == o.protocol && r.from == o.from && r.to == o.to && r.cidr == o.cidr && r.group == o.group
}

type createGroupIn struct {
	DryRun            bool
	GroupName         string
	GroupDescription  string
	VpcID             string    `query:"VpcId"`
	TagSpecifications []tagSpec `query:"TagSpecification"`
}

type createGroupOut struct {
	GroupID string `xml:"groupId"`
	Arn     string `xml:"securityGroupArn"`
	Tags    []tag  `xml:"tagSet>item"`
}

type groupIn struct {
	DryRun    bool
	GroupID   string `query:"GroupId"`
	GroupName string
}

type deleteGroupOut struct {
	Return  bool   `xml:"return"`
	GroupID string `xml:"groupId"`
}

type describeGroupsIn struct {
	DryRun     bool
	GroupIDs   []string `query:"GroupId"`
	GroupNames []string `query:"GroupName"`
	Filters    []filter `query:"Filter"`
	MaxResults *int
	NextToken  string
}

type groupXML struct {
	GroupID     string          `xml:"groupId"`
	Arn         string          `xml:"securityGroupArn"`
	GroupName   string          `xml:"groupName"`
	Description string          `xml:"groupDescription"`
	OwnerID     string          `xml:"ownerId"`
	VpcID       string          `xml:"vpcId"`
	Ingress     []permissionXML `xml:"ipPermissions>item"`
	Egress      []permissionXML `xml:"ipPermissionsEgress>item"`
	Tags        []tag           `xml:"tagSet>item"`
}

type describeGroupsOut struct {
	NextToken string     `xml:"nextToken,omitempty"`
	Groups    []groupXML `xml:"securityGroupInfo>item"`
}

func (g *securityGroup) each(egress bool, f func(rule) string) []string {
	var out []string
	for _, r := range g.rules {
		if r.egress == egress {
			out = append(out, f(r))
		}
	}
	return out
}

var groupFilters = filters[*securityGroup]{
	"group-id":               one(func(g *securityGroup) string { return g.id }),
	"group-name":             one(func(g *securityGroup) string { return g.name }),
	"description":            one(func(g *securityGroup) string { return g.description }),
	"vpc-id":                 one(func(g *securityGroup) string { return g.vpc.id }),
	"ip-permission.cidr":     func(g *securityGroup) []string { return g.each(false, func(r rule) string { return r.cidr }) },
	"ip-permission.group-id": func(g *securityGroup) []string { return g.each(false, func(r rule) string { return r.group }) },
	"ip-permission.protocol": func(g *securityGroup) []string { return g.each(false, func(r rule) string { return r.protocol }) },
	"ip-permission.from-port": func(g *securityGroup) []string {
		return g.each(false, func(r rule) string { return fmt.Sprint(r.from) })
	},
	"ip-permission.to-port":     func(g *securityGroup) []string { return g.each(false, func(r rule) string { return fmt.Sprint(r.to) }) },
	"egress.ip-permission.cidr": func(g *securityGroup) []string { return g.each(true, func(r rule) string { return r.cidr }) },
}

func (s *Service) securityGroupOps() []wire.Op {
	on := func(action string) func(in *permissionsIn) []wire.Need {
		return func(in *permissionsIn) []wire.Need { return s.needs(action, in.GroupID) }
	}
	return []wire.Op{
		handle("CreateSecurityGroup", func(in *createGroupIn) []wire.Need {
			return s.creates("CreateSecurityGroup", kindGroup, in.TagSpecifications, nil, in.VpcID)
		}, s.createSecurityGroup),
		handle("DeleteSecurityGroup", func(in *groupIn) []wire.Need { return s.needs("ec2:DeleteSecurityGroup", in.GroupID) }, s.deleteSecurityGroup),
		handle("DescribeSecurityGroups", nil, s.describeSecurityGroups),
		handle("AuthorizeSecurityGroupIngress", on("ec2:AuthorizeSecurityGroupIngress"), func(in *permissionsIn) (*rulesOut, error) { return s.permit(in, false) }),
		handle("AuthorizeSecurityGroupEgress", on("ec2:AuthorizeSecurityGroupEgress"), func(in *permissionsIn) (*rulesOut, error) { return s.permit(in, true) }),
		handle("RevokeSecurityGroupIngress", on("ec2:RevokeSecurityGroupIngress"), func(in *permissionsIn) (*rulesOut, error) { return s.revoke(in, false) }),
		handle("RevokeSecurityGroupEgress", on("ec2:RevokeSecurityGroupEgress"), func(in *permissionsIn) (*rulesOut, error) { return s.revoke(in, true) }),
	}
}

func (s *Service) newSecurityGroup(v *vpc, name, description string, tags map[string]string) *securityGroup {
	g := &securityGroup{vpc: v, name: name, description: description}
	s.add(kindGroup, g, tags)
	g.rules = []rule{{id: "sgr-" + s.w.Hex(17), egress: true, protocol: "-1", from: -1, to: -1, cidr: "0.0.0.0/0"}}
	if name == "default" {
		g.rules = append(g.rules, rule{id: "sgr-" + s.w.Hex(17), protocol: "-1", from: -1, to: -1, group: g.id})
	}
	return g
}

func (s *Service) createSecurityGroup(in *createGroupIn) (*createGroupOut, error) {
	tags, err := specTags(in.TagSpecifications, "security-group")
	if err != nil {
		return nil, err
	}
	switch {
	case in.GroupName == "":
		return nil, missing("GroupName")
	case in.GroupDescription == "":
		return nil, missing("GroupDescription")
	case len(in.GroupName) > 255 || strings.HasPrefix(in.GroupName, "sg-"):
		return nil, invalid("Value (%s) for parameter GroupName is invalid. Character sets beyond ASCII, lengths over 255 and names that begin with sg- are not supported.", in.GroupName)
	case in.VpcID == "":
		return nil, wire.Errf("VPCIdNotSpecified", "No default VPC for this user")
	case in.GroupName == "default":
		return nil, wire.Errf("InvalidParameterValue", "Cannot use reserved security group name: default")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	v, err := get[*vpc](s, kindVPC, in.VpcID)
	if err != nil {
		return nil, err
	}
	for _, g := range all[*securityGroup](s) {
		if g.vpc == v && g.name == in.GroupName {
			return nil, wire.Errf("InvalidGroup.Duplicate", "The security group '%s' already exists for VPC '%s'", in.GroupName, v.id)
		}
	}
	g := s.newSecurityGroup(v, in.GroupName, in.GroupDescription, tags)
	return &createGroupOut{g.id, s.arn("security-group", g.id), tagSet(tags)}, nil
}

func (s *Service) deleteSecurityGroup(in *groupIn) (*deleteGroupOut, error) {
	if in.GroupID == "" {
		return nil, missing("GroupId") // group names need a default VPC, which there is not
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	g, err := get[*securityGroup](s, kindGroup, in.GroupID)
	if err != nil {
		return nil, err
	}
	if g.name == "default" {
		return nil, wire.Errf("CannotDelete", "the specified group: %q name: \"default\" cannot be deleted by a user", g.id)
	}
	inUse := false
	for _, r := range s.order {
		switch r := r.(type) {
		case *securityGroup:
			inUse = inUse || r != g && slices.ContainsFunc(r.rules, func(l rule) bool { return l.group == g.id })
		case *instance:
			inUse = inUse || r.state != "terminated" && slices.Contains(r.groups, g.id)
		}
	}
	if inUse {
		return nil, wire.Errf("DependencyViolation", "resource %s has a dependent object", g.id)
	}
	s.remove(g)
	return &deleteGroupOut{true, g.id}, nil
}

func (s *Service) describeSecurityGroups(in *describeGroupsIn) (*describeGroupsOut, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(in.GroupNames) > 0 {
		return nil, wire.Errf("VPCIdNotSpecified", "No default VPC for this user")
	}
	items, next, err := describe(s, kindGroup, groupFilters, query{ids: in.GroupIDs, filters: in.Filters, max: in.MaxResults, token: in.NextToken})
	out := &describeGroupsOut{NextToken: next}
	for _, g := range items {
		out.Groups = append(out.Groups, groupXML{
			GroupID: g.id, Arn: s.arn("security-group", g.id), GroupName: g.name, Description: g.description, OwnerID: s.w.Account, VpcID: g.vpc.id,
			Ingress: s.permissions(g, false), Egress: s.permissions(g, true), Tags: tagSet(g.tags),
		})
	}
	return out, err
}

func validCIDR(cidr string) (string, error) {
	p, err := netip.ParsePrefix(cidr)
	if err != nil || !p.Addr().Is4() {
		return "", invalid("CIDR block %s is malformed", cidr)
	}
	return p.Masked().String(), nil
}
