package ec2

import (
	"strconv"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/ec2/form"
	"github.com/ekspedite/ekspedite/infra/local/wire"
)

type template struct {
	record
	name           string
	defaultVersion int64
	versions       []templateVersion // ascending; deleted ones are gone and their numbers are not given again
	latest         int64
	by             string
}

type templateVersion struct {
	number      int64
	description string
	created     time.Time
	data        templateData
}

// templateData is a launch template's content, on the way in and on the way out.
type templateData struct {
	ImageID             string            `query:"ImageId" xml:"imageId,omitempty"`
	InstanceType        string            `xml:"instanceType,omitempty"`
	KeyName             string            `xml:"keyName,omitempty"`
	UserData            string            `xml:"userData,omitempty"`
	EbsOptimized        *bool             `xml:"ebsOptimized"`
	IamInstanceProfile  *profile          `xml:"iamInstanceProfile"`
	SecurityGroupIDs    []string          `query:"SecurityGroupId" xml:"securityGroupIdSet>item"`
	BlockDeviceMappings []blockDevice     `query:"BlockDeviceMapping" xml:"blockDeviceMappingSet>item"`
	NetworkInterfaces   []networkSpec     `query:"NetworkInterface" xml:"networkInterfaceSet>item"`
	TagSpecifications   []tagSpec         `query:"TagSpecification" xml:"tagSpecificationSet>item"`
	MarketOptions       *marketOptions    `query:"InstanceMarketOptions" xml:"instanceMarketOptions"`
	MetadataOptions     *metadataOptions  `xml:"metadataOptions"`
	Monitoring          *enabled          `xml:"monitoring"`
	CreditSpecification *credits          `xml:"creditSpecification"`
	Placement           *placementOptions `xml:"placement"`
	ShutdownBehavior    string            `query:"InstanceInitiatedShutdownBehavior" xml:"instanceInitiatedShutdownBehavior,omitempty"`
	CapacityReservation *reservation      `query:"CapacityReservationSpecification" xml:"capacityReservationSpecification"`
	Names               *nameOptions      `query:"PrivateDnsNameOptions" xml:"privateDnsNameOptions"`
	CPUOptions          *cpuOptions       `query:"CpuOptions" xml:"cpuOptions"`
	EnclaveOptions      *enabled          `xml:"enclaveOptions"`
	MaintenanceOptions  *maintenance      `xml:"maintenanceOptions"`

	DisableAPITermination   *form.Unsupported `query:"DisableApiTermination" xml:"-"`
	DisableAPIStop          *form.Unsupported `query:"DisableApiStop" xml:"-"`
	SecurityGroup           *form.Unsupported `xml:"-"` // names need a default VPC
	KernelID                *form.Unsupported `query:"KernelId" xml:"-"`
	RAMDiskID               *form.Unsupported `query:"RamDiskId" xml:"-"`
	InstanceRequirements    *form.Unsupported `xml:"-"`
	HibernationOptions      *form.Unsupported `xml:"-"`
	LicenseSpecification    *form.Unsupported `xml:"-"`
	NetworkPerformance      *form.Unsupported `query:"NetworkPerformanceOptions" xml:"-"`
	SecondaryInterface      *form.Unsupported `xml:"-"`
	ElasticGpuSpecification *form.Unsupported `xml:"-"`
}

// reservation is the capacity reservation, or block, that an instance is to run in.
type reservation struct {
	Preference string             `query:"CapacityReservationPreference" xml:"capacityReservationPreference,omitempty"`
	Target     *reservationTarget `query:"CapacityReservationTarget" xml:"capacityReservationTarget"`
}

type reservationTarget struct {
	ID       string `query:"CapacityReservationId" xml:"capacityReservationId,omitempty"`
	GroupARN string `query:"CapacityReservationResourceGroupArn" xml:"capacityReservationResourceGroupArn,omitempty"`
}

func reservationOf(id string) *reservation {
	return &reservation{Target: &reservationTarget{ID: id}}
}

type cpuOptions struct {
	CoreCount            *int              `xml:"coreCount"`
	ThreadsPerCore       *int              `xml:"threadsPerCore"`
	AmdSevSnp            *form.Unsupported `xml:"-"`
	NestedVirtualization *form.Unsupported `xml:"-"`
}

type maintenance struct {
	AutoRecovery string `xml:"autoRecovery"`
}

type profile struct {
	Arn  string `xml:"arn,omitempty"`
	Name string `xml:"name,omitempty"`
}

type blockDevice struct {
	DeviceName  string  `xml:"deviceName,omitempty"`
	VirtualName string  `xml:"virtualName,omitempty"`
	NoDevice    *string `xml:"noDevice"`
	Ebs         *ebs    `xml:"ebs"`
}

type ebs struct {
	Encrypted           *bool  `xml:"encrypted"`
	DeleteOnTermination *bool  `xml:"deleteOnTermination"`
	Iops                *int   `xml:"iops"`
	KmsKeyID            string `query:"KmsKeyId" xml:"kmsKeyId,omitempty"`
	SnapshotID          string `query:"SnapshotId" xml:"snapshotId,omitempty"`
	VolumeSize          *int   `xml:"volumeSize"`
	VolumeType          string `xml:"volumeType,omitempty"`
	Throughput          *int   `xml:"throughput"`
}

type networkSpec struct {
	AssociatePublicIP   *bool    `query:"AssociatePublicIpAddress" xml:"associatePublicIpAddress"`
	DeleteOnTermination *bool    `xml:"deleteOnTermination"`
	Description         string   `xml:"description,omitempty"`
	DeviceIndex         *int     `xml:"deviceIndex"`
	NetworkCardIndex    *int     `xml:"networkCardIndex"`
	Groups              []string `query:"SecurityGroupId" xml:"groupSet>groupId"`
	InterfaceType       string   `xml:"interfaceType,omitempty"`
	SubnetID            string   `query:"SubnetId" xml:"subnetId,omitempty"`
	PrivateIPAddress    string   `query:"PrivateIpAddress" xml:"privateIpAddress,omitempty"`
	Ipv6AddressCount    *int     `xml:"ipv6AddressCount"`
	PrimaryIpv6         *bool    `xml:"primaryIpv6"`

	NetworkInterfaceID             *form.Unsupported `query:"NetworkInterfaceId" xml:"-"`
	PrivateIPAddresses             *form.Unsupported `query:"PrivateIpAddresses" xml:"-"`
	SecondaryPrivateIPAddressCount *form.Unsupported `query:"SecondaryPrivateIpAddressCount" xml:"-"`
	Ipv4Prefix                     *form.Unsupported `xml:"-"`
	Ipv4PrefixCount                *form.Unsupported `xml:"-"`
	Ipv6Prefix                     *form.Unsupported `xml:"-"`
	Ipv6PrefixCount                *form.Unsupported `xml:"-"`
	Ipv6Addresses                  *form.Unsupported `xml:"-"`
	AssociateCarrierIPAddress      *form.Unsupported `query:"AssociateCarrierIpAddress" xml:"-"`
	ConnectionTracking             *form.Unsupported `query:"ConnectionTrackingSpecification" xml:"-"`
	EnaSrdSpecification            *form.Unsupported `xml:"-"`
	EnaQueueCount                  *form.Unsupported `xml:"-"`
}

type marketOptions struct {
	MarketType  string       `xml:"marketType,omitempty"`
	SpotOptions *spotOptions `xml:"spotOptions"`
}

type spotOptions struct {
	MaxPrice             string            `xml:"maxPrice,omitempty"`
	SpotInstanceType     string            `xml:"spotInstanceType,omitempty"`
	InterruptionBehavior string            `query:"InstanceInterruptionBehavior" xml:"instanceInterruptionBehavior,omitempty"`
	BlockDurationMinutes *form.Unsupported `xml:"-"`
	ValidUntil           *form.Unsupported `xml:"-"`
}

type metadataOptions struct {
	State                   string `query:"-" xml:"state,omitempty"`
	HTTPTokens              string `query:"HttpTokens" xml:"httpTokens,omitempty"`
	HTTPPutResponseHopLimit *int   `query:"HttpPutResponseHopLimit" xml:"httpPutResponseHopLimit"`
	HTTPEndpoint            string `query:"HttpEndpoint" xml:"httpEndpoint,omitempty"`
	HTTPProtocolIpv6        string `query:"HttpProtocolIpv6" xml:"httpProtocolIpv6,omitempty"`
	InstanceMetadataTags    string `xml:"instanceMetadataTags,omitempty"`
}

type enabled struct {
	Enabled bool `xml:"enabled"`
}

type credits struct {
	CPUCredits string `query:"CpuCredits" xml:"cpuCredits"`
}

type placementOptions struct {
	AvailabilityZone   string            `xml:"availabilityZone,omitempty"`
	Tenancy            string            `xml:"tenancy,omitempty"`
	GroupName          string            `xml:"groupName,omitempty"`
	GroupID            string            `query:"GroupId" xml:"groupId,omitempty"`
	AvailabilityZoneID *form.Unsupported `query:"AvailabilityZoneId" xml:"-"`
	HostResourceGroup  *form.Unsupported `query:"HostResourceGroupArn" xml:"-"`
	SpreadDomain       *form.Unsupported `xml:"-"`
	HostID             *form.Unsupported `query:"HostId" xml:"-"`
	Affinity           *form.Unsupported `xml:"-"`
	PartitionNumber    *form.Unsupported `xml:"-"`
}

// findTemplate finds a launch template by id or name, of which a request gives exactly one. The lock is held.
func (s *Service) findTemplate(id, name string) (*template, error) {
	switch {
	case id != "" && name != "":
		return nil, wire.Errf("InvalidParameterCombination", "The parameters LaunchTemplateId and LaunchTemplateName cannot be used together.")
	case id != "":
		return get[*template](s, kindTemplate, id)
	case name != "":
		for _, t := range all[*template](s) {
			if t.name == name {
				return t, nil
			}
		}
		return nil, wire.Errf("InvalidLaunchTemplateName.NotFoundException", "The specified launch template, with template name %s, does not exist.", name)
	}
	return nil, missing("LaunchTemplateId or LaunchTemplateName")
}

// version finds a version by number, $Latest or $Default; the empty string is $Default.
func (t *template) version(v string) (*templateVersion, error) {
	n := t.defaultVersion
	switch v {
	case "", "$Default":
	case "$Latest":
		n = t.versions[len(t.versions)-1].number
	default:
		var err error
		if n, err = strconv.ParseInt(v, 10, 64); err != nil {
			return nil, wire.Errf("InvalidLaunchTemplateId.VersionNotFound", "Could not find launch template version %s", v)
		}
	}
	for i := range t.versions {
		if t.versions[i].number == n {
			return &t.versions[i], nil
		}
	}
	return nil, wire.Errf("InvalidLaunchTemplateId.VersionNotFound", "Could not find the specified version %s for the launch template with ID %s.", v, t.id)
}

// addVersion appends a version. The lock is held.
func (t *template) addVersion(description string, data templateData) *templateVersion {
	t.latest++
	t.versions = append(t.versions, templateVersion{t.latest, description, time.Now(), data})
	return &t.versions[len(t.versions)-1]
}

// merge returns base with what over sets; lists are replaced, not joined.
func merge(base, over templateData) templateData {
	set(&base.ImageID, over.ImageID)
	set(&base.InstanceType, over.InstanceType)
	set(&base.KeyName, over.KeyName)
	set(&base.UserData, over.UserData)
	set(&base.EbsOptimized, over.EbsOptimized)
	set(&base.IamInstanceProfile, over.IamInstanceProfile)
	set(&base.MarketOptions, over.MarketOptions)
	set(&base.MetadataOptions, over.MetadataOptions)
	set(&base.Monitoring, over.Monitoring)
	set(&base.CreditSpecification, over.CreditSpecification)
	set(&base.Placement, over.Placement)
	set(&base.ShutdownBehavior, over.ShutdownBehavior)
	set(&base.CapacityReservation, over.CapacityReservation)
	set(&base.Names, over.Names)
	set(&base.CPUOptions, over.CPUOptions)
	set(&base.EnclaveOptions, over.EnclaveOptions)
	set(&base.MaintenanceOptions, over.MaintenanceOptions)
	if over.SecurityGroupIDs != nil {
		base.SecurityGroupIDs = over.SecurityGroupIDs
	}
	if over.BlockDeviceMappings != nil {
		base.BlockDeviceMappings = over.BlockDeviceMappings
	}
	if over.NetworkInterfaces != nil {
		base.NetworkInterfaces = over.NetworkInterfaces
	}
	if over.TagSpecifications != nil {
		base.TagSpecifications = over.TagSpecifications
	}
	return base
}

func set[T comparable](p *T, v T) {
	var zero T
	if v != zero {
		*p = v
	}
}
