package ec2

import (
	"slices"

	"github.com/ekspedite/ekspedite/infra/local/wire"
	"github.com/ekspedite/ekspedite/infra/local/world"
)

// zone is an Availability Zone or a Local Zone.
type zone struct{ name, id string }

// zones returns the Region's Availability Zones.
func (s *Service) zones() []zone {
	r, err := world.FindRegion(s.w.Region)
	if err != nil {
		return nil // a Region of a test's own making
	}
	var out []zone
	for _, z := range r.Zones {
		out = append(out, zone{z.Name, z.ID})
	}
	return out
}

// localZone is a zone near a city, that an account opts in to by its group.
type localZone struct {
	zone
	group, long, parent string
}

var localZones = map[string][]localZone{
	"us-east-1": {
		{zone{"us-east-1-bos-1a", "use1-bos1-az1"}, "us-east-1-bos-1", "US East (Boston) 1", "us-east-1b"},
		{zone{"us-east-1-atl-2a", "use1-atl2-az1"}, "us-east-1-atl-2", "US East (Atlanta) 2", "us-east-1d"},
	},
	"us-west-2": {
		{zone{"us-west-2-lax-1a", "usw2-lax1-az1"}, "us-west-2-lax-1", "US West (Los Angeles) 1", "us-west-2a"},
		{zone{"us-west-2-phx-2a", "usw2-phx2-az1"}, "us-west-2-phx-2", "US West (Phoenix) 2", "us-west-2b"},
	},
}

// localTypes are the only instance types of Local Zones here: those that all of AWS's have.
var localTypes = []string{"t3.medium", "t3.xlarge", "c5.2xlarge", "c6i.large", "c6i.xlarge", "m6i.large", "m6i.xlarge", "m6i.2xlarge", "r5.2xlarge", "r6i.large"}

// open returns the zones in which the account may make subnets: all Availability Zones, and the Local Zones that it has
// opted in to. The lock is held.
func (s *Service) open() []zone {
	out := s.zones()
	for _, z := range localZones[s.w.Region] {
		if s.optedIn[z.group] {
			out = append(out, z.zone)
		}
	}
	return out
}

func (s *Service) isLocal(az string) bool {
	return slices.ContainsFunc(localZones[s.w.Region], func(z localZone) bool { return z.name == az })
}

func (s *Service) zoneID(name string) string {
	for _, z := range s.zones() {
		if z.name == name {
			return z.id
		}
	}
	for _, z := range localZones[s.w.Region] {
		if z.name == name {
			return z.id
		}
	}
	return ""
}

// offered tells whether a zone has an instance type at all, which is not a question of capacity.
func (s *Service) offered(t InstanceType, az string) bool {
	id := s.zoneID(az)
	switch {
	case s.isLocal(az):
		return slices.Contains(localTypes, t.Name)
	case id == "use1-az3": // the old zone, without any of the types that the catalogue knows
		return false
	case t.scarce() && len(s.zones()) > 2: // what needs much power is not in every zone
		return az != s.zones()[2].name
	}
	return true
}

type describeZonesIn struct {
	DryRun               bool
	ZoneNames            []string `query:"ZoneName"`
	ZoneIDs              []string `query:"ZoneId"`
	AllAvailabilityZones bool
	Filters              []filter `query:"Filter"`
}

type zoneXML struct {
	OptInStatus        string `xml:"optInStatus"`
	RegionName         string `xml:"regionName"`
	ZoneName           string `xml:"zoneName"`
	ZoneID             string `xml:"zoneId"`
	GroupName          string `xml:"groupName"`
	GroupLongName      string `xml:"groupLongName,omitempty"`
	NetworkBorderGroup string `xml:"networkBorderGroup"`
	ZoneType           string `xml:"zoneType"`
	State              string `xml:"zoneState"`
	ParentZoneName     string `xml:"parentZoneName,omitempty"`
	ParentZoneID       string `xml:"parentZoneId,omitempty"`
}

type describeZonesOut struct {
	Zones []zoneXML `xml:"availabilityZoneInfo>item"`
}

var zoneFilters = filters[zoneXML]{
	"zone-name":        one(func(z zoneXML) string { return z.ZoneName }),
	"zone-id":          one(func(z zoneXML) string { return z.ZoneID }),
	"region-name":      one(func(z zoneXML) string { return z.RegionName }),
	"state":            one(func(z zoneXML) string { return z.State }),
	"zone-type":        one(func(z zoneXML) string { return z.ZoneType }),
	"opt-in-status":    one(func(z zoneXML) string { return z.OptInStatus }),
	"group-name":       one(func(z zoneXML) string { return z.GroupName }),
	"group-long-name":  one(func(z zoneXML) string { return z.GroupLongName }),
	"parent-zone-id":   one(func(z zoneXML) string { return z.ParentZoneID }),
	"parent-zone-name": one(func(z zoneXML) string { return z.ParentZoneName }),
}

type modifyZoneGroupIn struct {
	DryRun      bool
	GroupName   string
	OptInStatus string
}

func (s *Service) zoneOps() []wire.Op {
	return []wire.Op{
		handle("DescribeAvailabilityZones", nil, s.describeZones),
		handle("ModifyAvailabilityZoneGroup", func(*modifyZoneGroupIn) []wire.Need {
			return []wire.Need{{Action: "ec2:ModifyAvailabilityZoneGroup", Resource: "*"}}
		}, s.modifyZoneGroup),
	}
}

func (s *Service) describeZones(in *describeZonesIn) (*describeZonesOut, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var items []zoneXML
	for _, z := range s.zones() {
		items = append(items, zoneXML{
			OptInStatus: "opt-in-not-required", RegionName: s.w.Region, ZoneName: z.name, ZoneID: z.id,
			GroupName: s.w.Region + "-zg-1", NetworkBorderGroup: s.w.Region, ZoneType: "availability-zone", State: "available",
		})
	}
	for _, z := range localZones[s.w.Region] {
		x := zoneXML{
			OptInStatus: "not-opted-in", RegionName: s.w.Region, ZoneName: z.name, ZoneID: z.id, GroupName: z.group, GroupLongName: z.long,
			NetworkBorderGroup: z.group, ZoneType: "local-zone", State: "available", ParentZoneName: z.parent, ParentZoneID: s.zoneID(z.parent),
		}
		if s.optedIn[z.group] {
			x.OptInStatus = "opted-in"
		}
		items = append(items, x)
	}
	for _, name := range in.ZoneNames {
		if !slices.ContainsFunc(items, func(z zoneXML) bool { return z.ZoneName == name }) {
			return nil, invalid("Invalid availability zone: [%s]", name)
		}
	}
	for _, id := range in.ZoneIDs {
		if !slices.ContainsFunc(items, func(z zoneXML) bool { return z.ZoneID == id }) {
			return nil, invalid("Invalid availability zone-id: [%s]", id)
		}
	}
	items = slices.DeleteFunc(items, func(z zoneXML) bool {
		return !in.AllAvailabilityZones && z.OptInStatus == "not-opted-in" ||
			len(in.ZoneNames) > 0 && !slices.Contains(in.ZoneNames, z.ZoneName) ||
			len(in.ZoneIDs) > 0 && !slices.Contains(in.ZoneIDs, z.ZoneID)
	})
	items, err := zoneFilters.keep(items, in.Filters)
	return &describeZonesOut{items}, err
}

// modifyZoneGroup opts in to a group of Local Zones. Only AWS Support opts an account out.
func (s *Service) modifyZoneGroup(in *modifyZoneGroupIn) (*done, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case !slices.ContainsFunc(localZones[s.w.Region], func(z localZone) bool { return z.group == in.GroupName }):
		return nil, invalid("Invalid value '%s' for GroupName.", in.GroupName)
	case in.OptInStatus == "not-opted-in":
		return nil, wire.Errf("OptOutNotSupported", "To opt out of zone group %s, contact AWS Support.", in.GroupName)
	case in.OptInStatus != "opted-in":
		return nil, invalid("Invalid value '%s' for OptInStatus.", in.OptInStatus)
	}
	s.optedIn[in.GroupName] = true
	return &done{true}, nil
}

type describeRegionsIn struct {
	DryRun      bool
	RegionNames []string `query:"RegionName"`
	AllRegions  bool
	Filters     []filter `query:"Filter"`
}

type regionXML struct {
	OptInStatus string `xml:"optInStatus"`
	RegionName  string `xml:"regionName"`
	Endpoint    string `xml:"regionEndpoint"`
}

type describeRegionsOut struct {
	Regions []regionXML `xml:"regionInfo>item"`
}

var regionFilters = filters[regionXML]{
	"region-name":   one(func(r regionXML) string { return r.RegionName }),
	"endpoint":      one(func(r regionXML) string { return r.Endpoint }),
	"opt-in-status": one(func(r regionXML) string { return r.OptInStatus }),
}

// describeRegions lists all Regions: the account has opted in to those that ask for it.
func (s *Service) describeRegions(in *describeRegionsIn) (*describeRegionsOut, error) {
	for _, name := range in.RegionNames {
		if _, err := world.FindRegion(name); err != nil {
			return nil, invalid("Invalid region names: [%s]", name)
		}
	}
	var items []regionXML
	for _, r := range world.Regions() {
		status := "opt-in-not-required"
		if r.OptIn {
			status = "opted-in"
		}
		if len(in.RegionNames) == 0 || slices.Contains(in.RegionNames, r.Name) {
			items = append(items, regionXML{status, r.Name, "ec2." + r.Name + ".amazonaws.com"})
		}
	}
	items, err := regionFilters.keep(items, in.Filters)
	return &describeRegionsOut{items}, err
}
