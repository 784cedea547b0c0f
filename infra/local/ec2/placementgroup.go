package ec2

import (
	"slices"

	"github.com/ekspedite/ekspedite/infra/local/ec2/form"
	"github.com/ekspedite/ekspedite/infra/local/wire"
)

// placementGroup is a wish about how far instances are from each other. It changes nothing here but where it is shown.
type placementGroup struct {
	record
	name, strategy, level string
	partitions            int
}

type createPlacementIn struct {
	DryRun            bool
	GroupName         string
	Strategy          string
	PartitionCount    int
	SpreadLevel       string
	TagSpecifications []tagSpec         `query:"TagSpecification"`
	LinkedGroupID     *form.Unsupported `query:"LinkedGroupId"`
	ParentGroupID     *form.Unsupported `query:"ParentGroupId"`
	Operator          *form.Unsupported
}

type placementXML struct {
	ID         string `xml:"groupId"`
	Arn        string `xml:"groupArn"`
	Name       string `xml:"groupName"`
	Strategy   string `xml:"strategy"`
	State      string `xml:"state"`
	Partitions int    `xml:"partitionCount,omitempty"`
	Level      string `xml:"spreadLevel,omitempty"`
	Tags       []tag  `xml:"tagSet>item"`
}

type createPlacementOut struct {
	Group placementXML `xml:"placementGroup"`
}

type placementIn struct {
	DryRun    bool
	GroupName string
}

type describePlacementsIn struct {
	DryRun  bool
	Names   []string `query:"GroupName"`
	IDs     []string `query:"GroupId"`
	Filters []filter `query:"Filter"`
}

type describePlacementsOut struct {
	Groups []placementXML `xml:"placementGroupSet>item"`
}

var placementFilters = filters[*placementGroup]{
	"group-name": one(func(g *placementGroup) string { return g.name }),
	"strategy":   one(func(g *placementGroup) string { return g.strategy }),
	"state":      one(func(*placementGroup) string { return "available" }),
}

func (s *Service) placementGroupOps() []wire.Op {
	return []wire.Op{
		handle("CreatePlacementGroup", func(in *createPlacementIn) []wire.Need {
			needs := s.creates("CreatePlacementGroup", kindPlacement, in.TagSpecifications, map[string][]string{"ec2:PlacementGroupName": {in.GroupName}})
			for i := range needs {
				needs[i].Resource = s.arn(kindPlacement.name, in.GroupName)
			}
			return needs
		}, s.createPlacement),
		handle("DescribePlacementGroups", nil, s.describePlacements),
		handle("DeletePlacementGroup", func(in *placementIn) []wire.Need {
			if id := s.placementID(in.GroupName); id != "" {
				return s.needs("ec2:DeletePlacementGroup", id)
			}
			return []wire.Need{{Action: "ec2:DeletePlacementGroup", Resource: s.arn(kindPlacement.name, in.GroupName)}}
		}, s.deletePlacement),
	}
}

// placement finds a group by name, or nil. The lock is held.
func (s *Service) placement(name string) *placementGroup {
	for _, g := range all[*placementGroup](s) {
		if g.name == name {
			return g
		}
	}
	return nil
}

func (s *Service) placementID(name string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if g := s.placement(name); g != nil {
		return g.id
	}
	return ""
}

func unknownPlacement(name string) error {
	return wire.Errf("InvalidPlacementGroup.Unknown", "The Placement Group '%s' is unknown.", name)
}

func (s *Service) placementXML(g *placementGroup) placementXML {
	return placementXML{g.id, s.arnOf(g), g.name, g.strategy, "available", g.partitions, g.level, tagSet(g.tags)}
}

func (s *Service) createPlacement(in *createPlacementIn) (*createPlacementOut, error) {
	tags, err := specTags(in.TagSpecifications, "placement-group")
	if err != nil {
		return nil, err
	}
	g := &placementGroup{name: in.GroupName, strategy: "cluster", partitions: in.PartitionCount, level: in.SpreadLevel}
	set(&g.strategy, in.Strategy)
	switch {
	case g.name == "":
		return nil, missing("GroupName")
	case !slices.Contains([]string{"cluster", "partition", "spread"}, g.strategy):
		return nil, invalid("Value (%s) for parameter strategy is invalid.", g.strategy)
	case g.partitions != 0 && g.strategy != "partition":
		return nil, wire.Errf("InvalidParameterCombination", "Partition count is valid only with the strategy partition.")
	case g.level != "" && g.strategy != "spread":
		return nil, wire.Errf("InvalidParameterCombination", "Spread level is valid only with the strategy spread.")
	}
	switch {
	case g.strategy == "partition" && g.partitions == 0:
		g.partitions = 2
	case g.strategy == "spread" && g.level == "":
		g.level = "rack"
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.placement(g.name) != nil {
		return nil, wire.Errf("InvalidPlacementGroup.Duplicate", "The placement group '%s' already exists.", g.name)
	}
	s.add(kindPlacement, g, tags)
	return &createPlacementOut{s.placementXML(g)}, nil
}

func (s *Service) describePlacements(in *describePlacementsIn) (*describePlacementsOut, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range in.Names {
		g := s.placement(name)
		if g == nil {
			return nil, unknownPlacement(name)
		}
		in.IDs = append(in.IDs, g.id)
	}
	items, _, err := describe(s, kindPlacement, placementFilters, query{ids: in.IDs, filters: in.Filters})
	out := &describePlacementsOut{}
	for _, g := range items {
		out.Groups = append(out.Groups, s.placementXML(g))
	}
	return out, err
}

func (s *Service) deletePlacement(in *placementIn) (*done, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.placement(in.GroupName)
	if g == nil {
		return nil, unknownPlacement(in.GroupName)
	}
	for _, i := range all[*instance](s) {
		if i.placement == g.name && i.state != "terminated" {
			return nil, wire.Errf("InvalidPlacementGroup.InUse", "The placement group '%s' is in use and may not be deleted.", g.name)
		}
	}
	s.remove(g)
	return &done{true}, nil
}
