package ec2

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ekspedite/ekspedite/infra/local/wire"
)

type securityGroup struct {
	record
	vpc               *vpc
	name, description string
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

func (s *Service) groupFilters() filters[*securityGroup] {
	of := func(egress bool, f func(rule) string) func(*securityGroup) []string {
		return func(g *securityGroup) []string {
			var out []string
			for _, r := range s.rulesOf(g, egress) {
				out = append(out, f(*r))
			}
			return out
		}
	}
	known := filters[*securityGroup]{
		"group-id":    one(func(g *securityGroup) string { return g.id }),
		"group-name":  one(func(g *securityGroup) string { return g.name }),
		"description": one(func(g *securityGroup) string { return g.description }),
		"vpc-id":      one(func(g *securityGroup) string { return g.vpc.id }),
		"owner-id":    one(func(*securityGroup) string { return s.w.Account }),
	}
	for prefix, egress := range map[string]bool{"": false, "egress.": true} {
		known[prefix+"ip-permission.cidr"] = of(egress, func(r rule) string { return r.cidr })
		known[prefix+"ip-permission.ipv6-cidr"] = of(egress, func(r rule) string { return r.cidr6 })
		known[prefix+"ip-permission.group-id"] = of(egress, func(r rule) string { return r.peer })
		known[prefix+"ip-permission.prefix-list-id"] = of(egress, func(r rule) string { return r.list })
		known[prefix+"ip-permission.protocol"] = of(egress, func(r rule) string { return r.protocol })
		known[prefix+"ip-permission.from-port"] = of(egress, func(r rule) string { return fmt.Sprint(r.from) })
		known[prefix+"ip-permission.to-port"] = of(egress, func(r rule) string { return fmt.Sprint(r.to) })
	}
	return known
}

func (s *Service) securityGroupOps() []wire.Op {
	return []wire.Op{
		handle("CreateSecurityGroup", func(in *createGroupIn) []wire.Need {
			return s.creates("CreateSecurityGroup", kindGroup, in.TagSpecifications, nil, in.VpcID)
		}, s.createSecurityGroup),
		handle("DeleteSecurityGroup", func(in *groupIn) []wire.Need { return s.needs("ec2:DeleteSecurityGroup", in.GroupID) }, s.deleteSecurityGroup),
		handle("DescribeSecurityGroups", nil, s.describeSecurityGroups),
	}
}

func (s *Service) newSecurityGroup(v *vpc, name, description string, tags map[string]string) *securityGroup {
	g := &securityGroup{vpc: v, name: name, description: description}
	s.add(kindGroup, g, tags)
	s.addRule(g, allows{egress: true, protocol: "-1", from: -1, to: -1, cidr: "0.0.0.0/0"}, "", nil)
	if name == "default" {
		s.addRule(g, withinGroup(g), "", nil)
	}
	return g
}

// withinGroup lets the members of a group reach each other.
func withinGroup(g *securityGroup) allows {
	return allows{protocol: "-1", from: -1, to: -1, peer: g.id}
}

// dropGroup removes a group with its rules. The lock is held.
func (s *Service) dropGroup(g *securityGroup) {
	for _, r := range all[*rule](s) {
		if r.of == g {
			s.remove(r)
		}
	}
	s.remove(g)
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
	if len(all[*securityGroup](s)) >= s.quota(QuotaSecurityGroups) {
		return nil, wire.Errf("SecurityGroupLimitExceeded", "The maximum number of security groups has been reached.")
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
		case *rule:
			inUse = inUse || r.of != g && r.peer == g.id
		case *networkInterface:
			inUse = inUse || slices.Contains(r.groups, g.id)
		}
	}
	if inUse {
		return nil, wire.Errf("DependencyViolation", "resource %s has a dependent object", g.id)
	}
	s.dropGroup(g)
	return &deleteGroupOut{true, g.id}, nil
}

func (s *Service) describeSecurityGroups(in *describeGroupsIn) (*describeGroupsOut, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(in.GroupNames) > 0 {
		return nil, wire.Errf("VPCIdNotSpecified", "No default VPC for this user")
	}
	items, next, err := describe(s, kindGroup, s.groupFilters(), query{ids: in.GroupIDs, filters: in.Filters, max: in.MaxResults, token: in.NextToken})
	out := &describeGroupsOut{NextToken: next}
	for _, g := range items {
		out.Groups = append(out.Groups, groupXML{
			GroupID: g.id, Arn: s.arn("security-group", g.id), GroupName: g.name, Description: g.description, OwnerID: s.w.Account, VpcID: g.vpc.id,
			Ingress: s.permissions(g, false), Egress: s.permissions(g, true), Tags: tagSet(g.tags),
		})
	}
	return out, err
}
