package ec2

import (
	"encoding/base64"
	"maps"
	"strings"

	"github.com/ekspedite/ekspedite/infra/local/ec2/form"
	"github.com/ekspedite/ekspedite/infra/local/wire"
)

// maxUserData is EC2's limit of user data, before base64.
const maxUserData = 16 << 10

type runIn struct {
	DryRun              bool
	ClientToken         string
	MinCount, MaxCount  int
	ImageID             string `query:"ImageId"`
	InstanceType        string
	KeyName             string
	UserData            string
	SubnetID            string   `query:"SubnetId"`
	PrivateIPAddress    string   `query:"PrivateIpAddress"`
	SecurityGroupIDs    []string `query:"SecurityGroupId"`
	EbsOptimized        *bool
	IamInstanceProfile  *profile
	BlockDeviceMappings []blockDevice  `query:"BlockDeviceMapping"`
	NetworkInterfaces   []networkSpec  `query:"NetworkInterface"`
	TagSpecifications   []tagSpec      `query:"TagSpecification"`
	MarketOptions       *marketOptions `query:"InstanceMarketOptions"`
	MetadataOptions     *metadataOptions
	Monitoring          *enabled
	CreditSpecification *credits
	Placement           *placementOptions
	LaunchTemplate      *templateRef
	ShutdownBehavior    string       `query:"InstanceInitiatedShutdownBehavior"`
	CapacityReservation *reservation `query:"CapacityReservationSpecification"`
	Names               *nameOptions `query:"PrivateDnsNameOptions"`
	CPUOptions          *cpuOptions  `query:"CpuOptions"`
	EnclaveOptions      *enabled
	MaintenanceOptions  *maintenance
	Ipv6AddressCount    int

	SecurityGroup         *form.Unsupported // names need a default VPC
	DisableAPITermination *form.Unsupported `query:"DisableApiTermination"`
	DisableAPIStop        *form.Unsupported `query:"DisableApiStop"`
	KernelID              *form.Unsupported `query:"KernelId"`
	RamdiskID             *form.Unsupported `query:"RamdiskId"`
	HibernationOptions    *form.Unsupported
	LicenseSpecification  *form.Unsupported
	Ipv6Address           *form.Unsupported
	SecondaryInterface    *form.Unsupported
}

type templateRef struct {
	LaunchTemplateID   string `query:"LaunchTemplateId" xml:"launchTemplateId,omitempty"`
	LaunchTemplateName string `xml:"launchTemplateName,omitempty"`
	Version            string `xml:"version,omitempty"`
}

// data is the request as a launch template's content, so that the two can be merged.
func (in *runIn) data() templateData {
	return templateData{
		ImageID: in.ImageID, InstanceType: in.InstanceType, KeyName: in.KeyName, UserData: in.UserData, EbsOptimized: in.EbsOptimized,
		IamInstanceProfile: in.IamInstanceProfile, SecurityGroupIDs: in.SecurityGroupIDs, BlockDeviceMappings: in.BlockDeviceMappings,
		NetworkInterfaces: in.NetworkInterfaces, MarketOptions: in.MarketOptions, MetadataOptions: in.MetadataOptions, Monitoring: in.Monitoring,
		CreditSpecification: in.CreditSpecification, Placement: in.Placement, ShutdownBehavior: in.ShutdownBehavior,
		CapacityReservation: in.CapacityReservation, Names: in.Names, CPUOptions: in.CPUOptions, EnclaveOptions: in.EnclaveOptions, MaintenanceOptions: in.MaintenanceOptions,
	}
}

// launchable are the resource types that RunInstances creates and can tag. The tags of Spot requests end with IAM's look
// at them (runNeeds): a request is only an id of an instance here.
var launchable = []string{"instance", "volume", "network-interface", "spot-instances-request"}

// tagsFor joins the tags that template and request give to one type of resource; the request's win.
func tagsFor(resourceType string, template, request []tagSpec) (map[string]string, error) {
	m, err := specTags(template, resourceType, launchable...)
	if err != nil {
		return nil, err
	}
	over, err := specTags(request, resourceType, launchable...)
	maps.Copy(m, over)
	return m, err
}

// resolve turns a request into a launch. The lock is held.
func (s *Service) resolve(data templateData, ref *templateRef, tags []tagSpec, subnetID string) (launch, error) {
	var l launch
	var templateTags []tagSpec
	if ref != nil {
		t, err := s.findTemplate(ref.LaunchTemplateID, ref.LaunchTemplateName)
		if err != nil {
			return l, err
		}
		v, err := t.version(ref.Version)
		if err != nil {
			return l, err
		}
		l.template, l.version = t, v.number
		templateTags = v.data.TagSpecifications
		data = merge(v.data, data)
	}
	l.data = data
	var err error
	for kind, to := range map[string]*map[string]string{"instance": &l.tags, "volume": &l.volumeTags, "network-interface": &l.interfaceTags} {
		if *to, err = tagsFor(kind, templateTags, tags); err != nil {
			return l, err
		}
	}
	switch {
	case data.ImageID == "":
		return l, missing("ImageId")
	case !strings.HasPrefix(data.ImageID, "ami-"):
		return l, wire.Errf("InvalidAMIID.Malformed", "Invalid id: %q (expecting \"ami-...\")", data.ImageID)
	case data.InstanceType == "":
		return l, wire.Errf("NotImplemented", "the embedded cloud does not implement the default InstanceType of RunInstances (m1.small): name one").WithStatus(501)
	}
	var ok bool
	if l.typ, ok = catalogue[data.InstanceType]; !ok {
		return l, invalid("Invalid value '%s' for InstanceType.", data.InstanceType)
	}
	if raw, err := base64.StdEncoding.DecodeString(data.UserData); err != nil {
		return l, wire.Errf("InvalidUserData.Malformed", "Invalid BASE64 encoding of user data.")
	} else if len(raw) > maxUserData {
		return l, wire.Errf("InvalidParameterValue", "User data is limited to %d bytes", maxUserData)
	}
	if len(data.NetworkInterfaces) > 0 {
		if subnetID != "" && ref == nil || len(data.SecurityGroupIDs) > 0 {
			return l, wire.Errf("InvalidParameterCombination", "Network interfaces and an instance-level subnet ID or security groups may not be specified on the same request")
		}
		n := primarySpec(data.NetworkInterfaces)
		set(&subnetID, n.SubnetID)
		l.publicIP, l.privateIP = n.AssociatePublicIP, n.PrivateIPAddress
		if n.Ipv6AddressCount != nil {
			l.ipv6 = *n.Ipv6AddressCount
		}
	}
	if subnetID == "" {
		return l, wire.Errf("VPCIdNotSpecified", "No default VPC for this user. GroupName is only supported for EC2-Classic and default VPC.")
	}
	if l.subnet, err = get[*subnet](s, kindSubnet, subnetID); err != nil {
		return l, err
	}
	if err := s.checkPlacement(&l); err != nil {
		return l, err
	}
	if data.KeyName != "" && s.keyPair(data.KeyName) == nil {
		return l, noKeyPair(data.KeyName)
	}
	if image, ok := s.image(data.ImageID); ok && image.Arch != l.typ.Arch {
		return l, invalid("The architecture '%s' of the specified instance type does not match the architecture '%s' of the specified AMI. Specify an instance type and an AMI that have matching architectures, and try again. You can use 'describe-instance-types' or 'describe-images' to discover the architecture of the instance type or AMI.", l.typ.Arch, image.Arch)
	}
	return l, l.marketFrom(data.MarketOptions)
}

// marketFrom reads the market options.
func (l *launch) marketFrom(m *marketOptions) error {
	if m == nil || m.MarketType == "" {
		return nil
	}
	if m.MarketType == "capacity-block" {
		r := l.data.CapacityReservation
		if r == nil || r.Target == nil || r.Target.ID == "" && r.Target.GroupARN == "" {
			return wire.Errf("InvalidParameterCombination", "You must specify a Capacity Reservation target when MarketType is capacity-block.")
		}
		l.block = true
		return nil
	}
	if m.MarketType != "spot" {
		return wire.Errf("NotImplemented", "the embedded cloud does not implement InstanceMarketOptions.MarketType %q", m.MarketType).WithStatus(501)
	}
	l.spot, l.market = true, *m
	if o := m.SpotOptions; o != nil {
		if o.SpotInstanceType == "persistent" {
			return wire.Errf("NotImplemented", "the embedded cloud does not implement SpotOptions.SpotInstanceType persistent").WithStatus(501)
		}
		if o.InterruptionBehavior != "" && o.InterruptionBehavior != "terminate" {
			return wire.Errf("InvalidParameterCombination", "When 'instanceInterruptionBehavior' is %s, 'spotInstanceType' must be persistent.", o.InterruptionBehavior)
		}
	}
	return nil
}

func (s *Service) runInstances(in *runIn) (*reservationXML, error) {
	switch {
	case in.MaxCount < 1:
		return nil, missing("MaxCount")
	case in.MinCount < 1:
		return nil, missing("MinCount")
	case in.MinCount > in.MaxCount:
		return nil, invalid("Value (%d) for parameter minCount is invalid. The minimum must not exceed the maximum.", in.MinCount)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	ids, err := once(s, "RunInstances", in.ClientToken, in, func() (*[]string, error) {
		l, err := s.resolve(in.data(), in.LaunchTemplate, in.TagSpecifications, in.SubnetID)
		if err != nil {
			return nil, err
		}
		l.count, l.least, l.clientToken = in.MaxCount, in.MinCount, in.ClientToken
		set(&l.privateIP, in.PrivateIPAddress)
		set(&l.ipv6, in.Ipv6AddressCount)
		started, err := s.start(l)
		var ids []string
		for _, i := range started {
			ids = append(ids, i.id)
		}
		return &ids, err
	})
	if err != nil {
		return nil, err
	}
	var items []*instance
	for _, id := range *ids { // with a ClientToken seen before: as the instances are now
		if i, ok := s.byID[id].(*instance); ok {
			items = append(items, i)
		}
	}
	if len(items) == 0 {
		return &reservationXML{OwnerID: s.w.Account}, nil
	}
	return &s.reservations(items)[0], nil
}

// runNeeds are the permissions of RunInstances: on everything that it creates and everything that it uses.
func (s *Service) runNeeds(in *runIn) []wire.Need {
	s.mu.Lock()
	defer s.mu.Unlock()
	l, err := s.resolve(in.data(), in.LaunchTemplate, in.TagSpecifications, in.SubnetID)
	data := l.data
	if err != nil { // EC2 will refuse; IAM still has the first word
		data = in.data()
	}
	market := marketName(data.MarketOptions != nil && data.MarketOptions.MarketType == "spot")
	base := map[string][]string{
		"ec2:Region": {s.w.Region}, "ec2:InstanceType": {data.InstanceType}, "ec2:InstanceMarketType": {market},
	}
	if l.template != nil {
		base["ec2:LaunchTemplate"] = []string{s.arn("launch-template", l.template.id)}
		base["ec2:IsLaunchTemplateResource"] = []string{"true"}
	}
	var out []wire.Need
	creates := []string{"instance", "volume", "network-interface"}
	if market == "spot" {
		creates = append(creates, "spot-instances-request")
	}
	specs := append([]tagSpec(nil), in.TagSpecifications...)
	if l.template != nil {
		specs = append(specs, data.TagSpecifications...)
	}
	for _, resourceType := range creates {
		tags := map[string]string{}
		for _, spec := range specs {
			for _, t := range spec.Tags {
				if _, had := tags[t.Key]; spec.ResourceType == resourceType && !had {
					tags[t.Key] = t.Value
				}
			}
		}
		n := wire.Need{Action: "ec2:RunInstances", Resource: s.arn(resourceType, "*"), Context: maps.Clone(base)}
		requestTags(n.Context, tags)
		out = append(out, n)
		if len(tags) > 0 {
			c := maps.Clone(n.Context)
			c["ec2:CreateAction"] = []string{"RunInstances"}
			out = append(out, wire.Need{Action: "ec2:CreateTags", Resource: n.Resource, Context: c})
		}
	}
	image := wire.Need{Action: "ec2:RunInstances", Resource: "arn:aws:ec2:" + s.w.Region + "::image/" + data.ImageID, Context: base}
	out = append(out, image)
	used := append([]string(nil), data.SecurityGroupIDs...)
	if l.subnet != nil {
		used = append(used, l.subnet.id)
	} else if in.SubnetID != "" {
		used = append(used, in.SubnetID)
	}
	for _, n := range data.NetworkInterfaces {
		used = append(used, n.Groups...)
	}
	if l.template != nil {
		used = append(used, l.template.id)
	}
	for _, id := range used {
		n := s.needLocked("ec2:RunInstances", id)
		if by, ok := base["ec2:LaunchTemplate"]; ok { // it is known for each resource of the call
			n.Context["ec2:LaunchTemplate"] = by
		}
		out = append(out, n)
	}
	if p := data.IamInstanceProfile; p != nil {
		out = append(out, wire.Need{Action: "iam:PassRole", Resource: s.profileRole(p), Context: map[string][]string{"iam:PassedToService": {"ec2.amazonaws.com"}}})
	}
	return out
}

func (s *Service) profileRole(p *profile) string {
	name := p.Name
	if name == "" {
		name = p.Arn
	}
	if s.opts.ProfileRole != nil {
		return s.opts.ProfileRole(name)
	}
	return "arn:aws:iam::" + s.w.Account + ":role/" + name[strings.LastIndexByte(name, '/')+1:]
}
