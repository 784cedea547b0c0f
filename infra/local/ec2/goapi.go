package ec2

import (
	"encoding/base64"
	"maps"
	"slices"

	"github.com/ekspedite/ekspedite/infra/local/wire"
)

// RunSpec is a launch by another service of the embedded cloud. What it leaves out comes from the launch template.
type RunSpec struct {
	Type                  string
	SubnetID              string
	Spot                  bool
	Tags                  map[string]string // may be aws:… ones
	LaunchTemplateID      string
	LaunchTemplateVersion string // a number, $Latest or $Default, which is the default
	ImageID               string // when neither this nor the template names an image: one of Amazon's, for the architecture
	UserData              string // plain, not base64
	SecurityGroups        []string
	Count                 int // 0 means 1
	PlacementGroup        string
}

// amazonImage is the newest of the Amazon Linux images that EKS picks for nodes without an image of their own.
func amazonImage(arch string) string {
	image, _ := FindImage("AL2023_"+eksArch(arch)+"_STANDARD", minors[len(minors)-1][0])
	return image.ID
}

// Run starts instances, all or none. Its errors are EC2's (*wire.Error), InsufficientInstanceCapacity among them.
func (s *Service) Run(spec RunSpec) ([]Instance, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	data := templateData{InstanceType: spec.Type, ImageID: spec.ImageID, SecurityGroupIDs: spec.SecurityGroups}
	if spec.PlacementGroup != "" {
		data.Placement = &placementOptions{GroupName: spec.PlacementGroup}
	}
	if spec.UserData != "" {
		data.UserData = base64.StdEncoding.EncodeToString([]byte(spec.UserData))
	}
	if spec.Spot {
		data.MarketOptions = &marketOptions{MarketType: "spot"}
	}
	var ref *templateRef
	if spec.LaunchTemplateID != "" {
		ref = &templateRef{LaunchTemplateID: spec.LaunchTemplateID, Version: spec.LaunchTemplateVersion}
		t, err := get[*template](s, kindTemplate, spec.LaunchTemplateID)
		if err != nil {
			return nil, err
		}
		v, err := t.version(spec.LaunchTemplateVersion)
		if err != nil {
			return nil, err
		}
		set(&spec.Type, v.data.InstanceType)
		if data.InstanceType != "" {
			spec.Type = data.InstanceType
		}
		set(&spec.ImageID, v.data.ImageID)
	}
	if spec.ImageID == "" {
		data.ImageID = amazonImage(catalogue[spec.Type].Arch)
	}
	l, err := s.resolve(data, ref, nil, spec.SubnetID)
	if err != nil {
		return nil, err
	}
	l.count = max(spec.Count, 1)
	l.least = l.count
	maps.Copy(l.tags, spec.Tags)
	started, err := s.start(l)
	var out []Instance
	for _, i := range started {
		out = append(out, s.export(i))
	}
	return out, err
}

// Instances returns all instances, terminated ones included while describes show them, oldest first.
func (s *Service) Instances() []Instance {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forget()
	var out []Instance
	for _, i := range all[*instance](s) {
		out = append(out, s.export(i))
	}
	return out
}

// SetTags sets and removes tags of any resource, for services that tag what is theirs, with aws:… tags too.
func (s *Service) SetTags(id string, add map[string]string, remove ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r, ok := s.byID[id]; ok {
		maps.Copy(r.rec().tags, add)
		maps.DeleteFunc(r.rec().tags, func(k, _ string) bool { return slices.Contains(remove, k) })
	}
}

// LaunchTemplateData is what services put into the launch templates that they make, and read in their customers'.
type LaunchTemplateData struct {
	ImageID         string
	InstanceType    string
	UserData        string // base64, as the API has it
	KeyName         string
	InstanceProfile string // name or ARN
	SecurityGroups  []string
	Spot            bool
	CapacityBlock   bool   // the market is capacity-block
	ReservationID   string // of the capacity reservation or block
	DiskSizes       []int  // GiB, of the block device mappings that say one
	InstanceTags    map[string]string
}

// LaunchTemplate is what others may know of a launch template.
type LaunchTemplate struct {
	ID, Name                      string
	DefaultVersion, LatestVersion int64
	Tags                          map[string]string
}

func (d LaunchTemplateData) data() templateData {
	out := templateData{ImageID: d.ImageID, InstanceType: d.InstanceType, UserData: d.UserData, KeyName: d.KeyName, SecurityGroupIDs: d.SecurityGroups}
	switch {
	case len(d.InstanceProfile) > 4 && d.InstanceProfile[:4] == "arn:":
		out.IamInstanceProfile = &profile{Arn: d.InstanceProfile}
	case d.InstanceProfile != "":
		out.IamInstanceProfile = &profile{Name: d.InstanceProfile}
	}
	switch {
	case d.Spot:
		out.MarketOptions = &marketOptions{MarketType: "spot"}
	case d.CapacityBlock:
		out.MarketOptions = &marketOptions{MarketType: "capacity-block"}
	}
	if d.ReservationID != "" {
		out.CapacityReservation = reservationOf(d.ReservationID)
	}
	if len(d.InstanceTags) > 0 {
		out.TagSpecifications = []tagSpec{{"instance", tagSet(d.InstanceTags)}}
	}
	return out
}

// CreateLaunchTemplateFor makes a launch template for another service and returns its id. The tags may be aws:… ones.
func (s *Service) CreateLaunchTemplateFor(name string, tags map[string]string, data LaunchTemplateData) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, err := s.newTemplate(name, "", tags, data.data())
	if err != nil {
		return "", err
	}
	return t.id, nil
}

// CreateLaunchTemplateVersionFor adds a version to a launch template and returns its number.
func (s *Service) CreateLaunchTemplateVersionFor(id string, data LaunchTemplateData) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, err := get[*template](s, kindTemplate, id)
	if err != nil {
		return 0, err
	}
	return t.addVersion("", data.data()).number, nil
}

// DeleteLaunchTemplateFor removes a launch template, if it is there.
func (s *Service) DeleteLaunchTemplateFor(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t, ok := s.byID[id].(*template); ok {
		s.remove(t)
	}
}

// FindLaunchTemplate finds a launch template by id or name, of which one is given.
func (s *Service) FindLaunchTemplate(id, name string) (LaunchTemplate, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, err := s.findTemplate(id, name)
	if err != nil {
		return LaunchTemplate{}, err
	}
	return LaunchTemplate{t.id, t.name, t.defaultVersion, t.versions[len(t.versions)-1].number, maps.Clone(t.tags)}, nil
}

// LaunchTemplateVersion reads a version of a launch template: a number, $Latest or $Default. It also returns the number.
func (s *Service) LaunchTemplateVersion(id, version string) (LaunchTemplateData, int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, err := get[*template](s, kindTemplate, id)
	if err != nil {
		return LaunchTemplateData{}, 0, err
	}
	v, err := t.version(version)
	if err != nil {
		return LaunchTemplateData{}, 0, err
	}
	out := LaunchTemplateData{
		ImageID: v.data.ImageID, InstanceType: v.data.InstanceType, UserData: v.data.UserData, KeyName: v.data.KeyName,
		SecurityGroups: slices.Clone(v.data.SecurityGroupIDs), Spot: v.data.MarketOptions != nil && v.data.MarketOptions.MarketType == "spot",
	}
	if len(v.data.NetworkInterfaces) > 0 {
		out.SecurityGroups = slices.Clone(v.data.NetworkInterfaces[0].Groups)
	}
	out.CapacityBlock = v.data.MarketOptions != nil && v.data.MarketOptions.MarketType == "capacity-block"
	if r := v.data.CapacityReservation; r != nil && r.Target != nil {
		out.ReservationID = r.Target.ID
	}
	for _, m := range v.data.BlockDeviceMappings {
		if m.Ebs != nil && m.Ebs.VolumeSize != nil {
			out.DiskSizes = append(out.DiskSizes, *m.Ebs.VolumeSize)
		}
	}
	if p := v.data.IamInstanceProfile; p != nil {
		out.InstanceProfile = p.Arn + p.Name
	}
	out.InstanceTags, _ = specTags(v.data.TagSpecifications, "instance", launchable...) // checked when the version was made
	return out, v.number, nil
}

// VPC finds the address range of a VPC.
func (s *Service) VPC(id string) (cidr string, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, ok := s.byID[id].(*vpc)
	if !ok {
		return "", false
	}
	return v.cidr.String(), true
}

// CreateSecurityGroupFor makes a security group for another service and returns its id.
func (s *Service) CreateSecurityGroupFor(vpcID, name, description string, tags map[string]string) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, err := get[*vpc](s, kindVPC, vpcID)
	if err != nil {
		return "", err
	}
	for _, g := range all[*securityGroup](s) {
		if g.vpc == v && g.name == name {
			return "", wire.Errf("InvalidGroup.Duplicate", "The security group '%s' already exists for VPC '%s'", name, v.id)
		}
	}
	g := s.newSecurityGroup(v, name, description, tags)
	s.addRule(g, withinGroup(g), "", nil)
	return g.id, nil
}

// DeleteSecurityGroupFor removes a security group, if it is there.
func (s *Service) DeleteSecurityGroupFor(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if g, ok := s.byID[id].(*securityGroup); ok {
		s.dropGroup(g)
	}
}

// SecurityGroupVPC finds the VPC of a security group.
func (s *Service) SecurityGroupVPC(id string) (vpcID string, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g, ok := s.byID[id].(*securityGroup)
	if !ok {
		return "", false
	}
	return g.vpc.id, true
}

// Zones returns the Region's Availability Zones: name to id.
func (s *Service) Zones() map[string]string {
	m := map[string]string{}
	for _, z := range s.zones() {
		m[z.name] = z.id
	}
	return m
}
