package ec2

import (
	"slices"
	"strconv"
	"strings"

	"github.com/ekspedite/ekspedite/infra/local/wire"
)

type describeImagesIn struct {
	DryRun            bool
	IDs               []string `query:"ImageId"`
	Owners            []string `query:"Owner"`
	ExecutableBy      []string
	Filters           []filter `query:"Filter"`
	IncludeDeprecated bool
	IncludeDisabled   bool
	MaxResults        *int
	NextToken         string
}

type imageXML struct {
	ID                 string        `xml:"imageId"`
	Location           string        `xml:"imageLocation"`
	State              string        `xml:"imageState"`
	OwnerID            string        `xml:"imageOwnerId"`
	OwnerAlias         string        `xml:"imageOwnerAlias,omitempty"`
	Public             bool          `xml:"isPublic"`
	Architecture       string        `xml:"architecture"`
	Type               string        `xml:"imageType"`
	Platform           string        `xml:"platform,omitempty"`
	PlatformDetails    string        `xml:"platformDetails"`
	UsageOperation     string        `xml:"usageOperation"`
	Name               string        `xml:"name"`
	Description        string        `xml:"description"`
	RootDeviceType     string        `xml:"rootDeviceType"`
	RootDeviceName     string        `xml:"rootDeviceName"`
	BlockDevices       []blockDevice `xml:"blockDeviceMapping>item"`
	VirtualizationType string        `xml:"virtualizationType"`
	Hypervisor         string        `xml:"hypervisor"`
	EnaSupport         bool          `xml:"enaSupport"`
	SriovNetSupport    string        `xml:"sriovNetSupport"`
	ImdsSupport        string        `xml:"imdsSupport,omitempty"`
	CreationDate       string        `xml:"creationDate"`
	Parameter          string        `xml:"publicSsmParameterName,omitempty"`
}

type describeImagesOut struct {
	Images    []imageXML `xml:"imagesSet>item"`
	NextToken string     `xml:"nextToken,omitempty"`
}

var imageFilters = filters[imageXML]{
	"image-id":            one(func(x imageXML) string { return x.ID }),
	"name":                one(func(x imageXML) string { return x.Name }),
	"description":         one(func(x imageXML) string { return x.Description }),
	"owner-id":            one(func(x imageXML) string { return x.OwnerID }),
	"owner-alias":         one(func(x imageXML) string { return x.OwnerAlias }),
	"architecture":        one(func(x imageXML) string { return x.Architecture }),
	"state":               one(func(x imageXML) string { return x.State }),
	"image-type":          one(func(x imageXML) string { return x.Type }),
	"is-public":           one(func(x imageXML) string { return strconv.FormatBool(x.Public) }),
	"platform":            one(func(x imageXML) string { return x.Platform }),
	"root-device-type":    one(func(x imageXML) string { return x.RootDeviceType }),
	"root-device-name":    one(func(x imageXML) string { return x.RootDeviceName }),
	"virtualization-type": one(func(x imageXML) string { return x.VirtualizationType }),
	"hypervisor":          one(func(x imageXML) string { return x.Hypervisor }),
	"ena-support":         one(func(x imageXML) string { return strconv.FormatBool(x.EnaSupport) }),
	"creation-date":       one(func(x imageXML) string { return x.CreationDate }),
}

func (s *Service) imageOps() []wire.Op {
	return []wire.Op{handle("DescribeImages", nil, s.describeImages)}
}

func (s *Service) imageXML(i Image) imageXML {
	x := imageXML{
		ID: i.ID, Location: i.OwnerAlias + "/" + i.Name, State: "available", OwnerID: i.Owner, OwnerAlias: i.OwnerAlias, Public: i.Parameter != "",
		Architecture: i.Arch, Type: "machine", PlatformDetails: "Linux/UNIX", UsageOperation: "RunInstances", Name: i.Name, Description: i.Description,
		RootDeviceType: "ebs", RootDeviceName: i.RootDevice, VirtualizationType: "hvm", Hypervisor: "xen", EnaSupport: true, SriovNetSupport: "simple",
		ImdsSupport: "v2.0", CreationDate: i.Created.UTC().Format("2006-01-02T15:04:05.000Z"), Parameter: i.Parameter,
	}
	if i.OwnerAlias == "" {
		x.Location = i.Owner + "/" + i.Name
	}
	if i.Windows {
		x.Platform, x.PlatformDetails, x.UsageOperation = "windows", "Windows", "RunInstances:0002"
	}
	root := blockDevice{DeviceName: i.RootDevice}
	root.Ebs = &ebs{DeleteOnTermination: new(true), SnapshotID: "snap-" + stableHex(17, i.ID), VolumeSize: &i.SizeGiB, VolumeType: "gp3", Encrypted: new(false)}
	x.BlockDevices = []blockDevice{root}
	return x
}

func noImage(ids []string) error {
	if len(ids) == 1 {
		return wire.Errf("InvalidAMIID.NotFound", "The image id '[%s]' does not exist", ids[0])
	}
	return wire.Errf("InvalidAMIID.NotFound", "The image ids '[%s]' do not exist", strings.Join(ids, ", "))
}

// owned tells whether an image is one of the owners that a request names: an account, self, or an alias.
func (s *Service) owned(i Image, owners []string) bool {
	return slices.ContainsFunc(owners, func(o string) bool {
		return o == i.Owner || o == "self" && i.Owner == s.w.Account || o == i.OwnerAlias && o != ""
	})
}

func (s *Service) describeImages(in *describeImagesIn) (*describeImagesOut, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var absent []string
	for _, id := range in.IDs {
		if !strings.HasPrefix(id, "ami-") {
			return nil, wire.Errf("InvalidAMIID.Malformed", "Invalid id: \"%s\" (expecting \"ami-...\")", id)
		}
		if _, ok := s.image(id); !ok {
			absent = append(absent, id)
		}
	}
	if len(absent) > 0 {
		return nil, noImage(absent)
	}
	for _, who := range in.ExecutableBy {
		if who != "all" && who != "self" {
			return nil, wire.Errf("NotImplemented", "the embedded cloud does not implement ExecutableBy %q of DescribeImages", who).WithStatus(501)
		}
	}
	var items []imageXML
	for _, i := range slices.Concat(s.published(), s.images) {
		switch {
		case len(in.IDs) > 0 && !slices.Contains(in.IDs, i.ID):
		case len(in.Owners) > 0 && !s.owned(i, in.Owners):
		case len(in.ExecutableBy) > 0 && !slices.Contains(in.ExecutableBy, "all") && i.Parameter != "": // executable by all, not by name
		default:
			items = append(items, s.imageXML(i))
		}
	}
	items, err := imageFilters.keep(items, in.Filters)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(items, func(a, b imageXML) int { return strings.Compare(a.ID, b.ID) })
	page, next, err := paged(items, func(x imageXML) string { return x.ID }, query{max: in.MaxResults, least: 1, token: in.NextToken})
	return &describeImagesOut{page, next}, err
}
