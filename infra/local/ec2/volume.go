package ec2

import (
	"slices"
	"strconv"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/ec2/form"
	"github.com/ekspedite/ekspedite/infra/local/wire"
)

// volume is an EBS volume: an instance's, or one that Kubernetes made and may leave behind.
type volume struct {
	record
	az                  string
	size                int // GiB
	typ                 string
	iops, throughput    int
	encrypted           bool
	key, snapshot       string
	ready               time.Time // it is creating before
	on                  *instance // nil while it is not attached
	device              string
	attachedAt          time.Time
	deleteOnTermination bool
}

// rootSize is the disk of an instance whose launch does not say: that of EKS's images.
const rootSize = 20

type createVolumeIn struct {
	DryRun                   bool
	ClientToken              string
	AvailabilityZone         string
	AvailabilityZoneID       string `query:"AvailabilityZoneId"`
	Size                     int
	VolumeType               string
	Iops, Throughput         int
	Encrypted                bool
	KmsKeyID                 string    `query:"KmsKeyId"`
	SnapshotID               string    `query:"SnapshotId"`
	TagSpecifications        []tagSpec `query:"TagSpecification"`
	MultiAttachEnabled       *form.Unsupported
	Operator                 *form.Unsupported
	OutpostArn               *form.Unsupported
	VolumeInitializationRate *form.Unsupported
}

type volumeAttachmentXML struct {
	VolumeID            string     `xml:"volumeId"`
	InstanceID          string     `xml:"instanceId"`
	Device              string     `xml:"device"`
	Status              string     `xml:"status"`
	AttachTime          *wire.Time `xml:"attachTime"`
	DeleteOnTermination bool       `xml:"deleteOnTermination"`
}

type volumeDescription struct {
	ID               string                `xml:"volumeId"`
	Arn              string                `xml:"volumeArn"`
	Size             int                   `xml:"size"`
	SnapshotID       string                `xml:"snapshotId"`
	AvailabilityZone string                `xml:"availabilityZone"`
	ZoneID           string                `xml:"availabilityZoneId"`
	Status           string                `xml:"status"`
	CreateTime       *wire.Time            `xml:"createTime"`
	Attachments      []volumeAttachmentXML `xml:"attachmentSet>item"`
	VolumeType       string                `xml:"volumeType"`
	Iops             int                   `xml:"iops,omitempty"`
	Throughput       int                   `xml:"throughput,omitempty"`
	Encrypted        bool                  `xml:"encrypted"`
	KmsKeyID         string                `xml:"kmsKeyId,omitempty"`
	MultiAttach      bool                  `xml:"multiAttachEnabled"`
	Tags             []tag                 `xml:"tagSet>item"`
}

type volumeIn struct {
	DryRun     bool
	ID         string `query:"VolumeId"`
	InstanceID string `query:"InstanceId"`
	Device     string
	Force      bool
	EbsCard    *form.Unsupported `query:"EbsCardIndex"`
}

type describeVolumesIn struct {
	DryRun                  bool
	IDs                     []string `query:"VolumeId"`
	Filters                 []filter `query:"Filter"`
	MaxResults              *int
	NextToken               string
	IncludeManagedResources bool
}

type describeVolumesOut struct {
	Volumes   []volumeDescription `xml:"volumeSet>item"`
	NextToken string              `xml:"nextToken,omitempty"`
}

func (v *volume) status() string {
	switch {
	case v.on != nil:
		return "in-use"
	case time.Now().Before(v.ready):
		return "creating"
	}
	return "available"
}

func (v *volume) onInstance(f func() string) []string {
	if v.on == nil {
		return nil
	}
	return []string{f()}
}

var volumeFilters = filters[*volume]{
	"volume-id":              one(func(v *volume) string { return v.id }),
	"availability-zone":      one(func(v *volume) string { return v.az }),
	"status":                 one((*volume).status),
	"size":                   one(func(v *volume) string { return strconv.Itoa(v.size) }),
	"volume-type":            one(func(v *volume) string { return v.typ }),
	"encrypted":              one(func(v *volume) string { return strconv.FormatBool(v.encrypted) }),
	"snapshot-id":            one(func(v *volume) string { return v.snapshot }),
	"attachment.instance-id": func(v *volume) []string { return v.onInstance(func() string { return v.on.id }) },
	"attachment.device":      func(v *volume) []string { return v.onInstance(func() string { return v.device }) },
	"attachment.status":      func(v *volume) []string { return v.onInstance(func() string { return "attached" }) },
	"attachment.delete-on-termination": func(v *volume) []string {
		return v.onInstance(func() string { return strconv.FormatBool(v.deleteOnTermination) })
	},
}

func (s *Service) volumeOps() []wire.Op {
	return []wire.Op{
		handle("CreateVolume", func(in *createVolumeIn) []wire.Need {
			return s.creates("CreateVolume", kindVolume, in.TagSpecifications, map[string][]string{
				"ec2:AvailabilityZone": {in.AvailabilityZone}, "ec2:VolumeType": {in.VolumeType}, "ec2:Encrypted": {strconv.FormatBool(in.Encrypted)},
			})
		}, s.createVolume),
		handle("DescribeVolumes", nil, s.describeVolumes),
		handle("AttachVolume", func(in *volumeIn) []wire.Need { return s.needs("ec2:AttachVolume", in.ID, in.InstanceID) }, s.attachVolume),
		handle("DetachVolume", func(in *volumeIn) []wire.Need { return s.needs("ec2:DetachVolume", in.ID, in.InstanceID) }, s.detachVolume),
		handle("DeleteVolume", func(in *volumeIn) []wire.Need { return s.needs("ec2:DeleteVolume", in.ID) }, s.deleteVolume),
	}
}

// giveVolumes makes an instance's volumes: its root, and what its block device mappings add. The lock is held.
func (s *Service) giveVolumes(i *instance, l launch) {
	root := &volume{device: i.rootDevice, size: rootSize, typ: "gp3", iops: 3000, throughput: 125, deleteOnTermination: true}
	volumes := []*volume{root}
	for _, m := range l.data.BlockDeviceMappings {
		if m.Ebs == nil {
			continue // an ephemeral disk, or one of the image's that is left out
		}
		v := root
		if m.DeviceName != root.device {
			v = &volume{device: m.DeviceName, size: rootSize, typ: "gp3", iops: 3000, throughput: 125, deleteOnTermination: true}
			volumes = append(volumes, v)
		}
		change(&v.size, m.Ebs.VolumeSize)
		change(&v.iops, m.Ebs.Iops)
		change(&v.throughput, m.Ebs.Throughput)
		change(&v.encrypted, m.Ebs.Encrypted)
		change(&v.deleteOnTermination, m.Ebs.DeleteOnTermination)
		set(&v.typ, m.Ebs.VolumeType)
		v.key, v.snapshot = m.Ebs.KmsKeyID, m.Ebs.SnapshotID
	}
	for _, v := range volumes {
		v.az, v.on, v.attachedAt = i.az, i, time.Now()
		s.add(kindVolume, v, l.volumeTags)
	}
	i.disks = volumes
}

func change[T any](p *T, v *T) {
	if v != nil {
		*p = *v
	}
}

func (s *Service) volumeXML(v *volume) volumeDescription {
	x := volumeDescription{
		ID: v.id, Arn: s.arn("volume", v.id), Size: v.size, SnapshotID: v.snapshot, AvailabilityZone: v.az, ZoneID: s.zoneID(v.az), Status: v.status(),
		CreateTime: wire.At(v.created), VolumeType: v.typ, Iops: v.iops, Throughput: v.throughput, Encrypted: v.encrypted, KmsKeyID: v.key, Tags: tagSet(v.tags),
	}
	if v.on != nil {
		x.Attachments = []volumeAttachmentXML{v.attachmentXML("attached")}
	}
	return x
}

func (v *volume) attachmentXML(status string) volumeAttachmentXML {
	return volumeAttachmentXML{v.id, v.on.id, v.device, status, wire.At(v.attachedAt), v.deleteOnTermination}
}

func (s *Service) createVolume(in *createVolumeIn) (*volumeDescription, error) {
	tags, err := specTags(in.TagSpecifications, "volume")
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return once(s, "CreateVolume", in.ClientToken, in, func() (*volumeDescription, error) {
		v := &volume{az: in.AvailabilityZone, size: in.Size, typ: "gp2", iops: in.Iops, throughput: in.Throughput, encrypted: in.Encrypted, key: in.KmsKeyID}
		for _, z := range s.zones() {
			if in.AvailabilityZoneID == z.id && v.az == "" {
				v.az = z.name
			}
		}
		set(&v.typ, in.VolumeType)
		switch {
		case v.az == "":
			return nil, missing("AvailabilityZone")
		case s.zoneID(v.az) == "":
			return nil, wire.Errf("InvalidZone.NotFound", "The zone '%s' does not exist.", v.az)
		case in.SnapshotID != "":
			return nil, wire.Errf("InvalidSnapshot.NotFound", "The snapshot '%s' does not exist.", in.SnapshotID)
		case v.size <= 0:
			return nil, missing("size/snapshot")
		case !slices.Contains([]string{"gp2", "gp3", "io1", "io2", "st1", "sc1", "standard"}, v.typ):
			return nil, invalid("Value (%s) for parameter volumeType is invalid.", v.typ)
		}
		switch v.typ {
		case "gp3":
			v.iops, v.throughput = max(v.iops, 3000), max(v.throughput, 125)
		case "gp2":
			v.iops = min(max(3*v.size, 100), 16000)
		}
		v.ready = time.Now().Add(s.w.Profile.Settle)
		s.add(kindVolume, v, tags)
		x := s.volumeXML(v)
		return &x, nil
	})
}

func (s *Service) describeVolumes(in *describeVolumesIn) (*describeVolumesOut, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	items, next, err := describe(s, kindVolume, volumeFilters, query{ids: in.IDs, filters: in.Filters, max: in.MaxResults, token: in.NextToken})
	out := &describeVolumesOut{NextToken: next}
	for _, v := range items {
		out.Volumes = append(out.Volumes, s.volumeXML(v))
	}
	return out, err
}

func (s *Service) attachVolume(in *volumeIn) (*volumeAttachmentXML, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, err := get[*volume](s, kindVolume, in.ID)
	if err != nil {
		return nil, err
	}
	i, err := get[*instance](s, kindInstance, in.InstanceID)
	switch {
	case err != nil:
		return nil, err
	case in.Device == "":
		return nil, missing("device")
	case v.on != nil:
		return nil, wire.Errf("VolumeInUse", "%s is already attached to an instance", v.id)
	case v.status() != "available":
		return nil, wire.Errf("IncorrectState", "Volume '%s' is not 'available'.", v.id)
	case i.state != "running" && i.state != "stopped":
		return nil, wire.Errf("IncorrectState", "Instance '%s' is not 'running'.", i.id)
	case v.az != i.az:
		return nil, wire.Errf("InvalidVolume.ZoneMismatch", "The volume '%s' is not in the same availability zone as instance '%s'", v.id, i.id)
	}
	v.on, v.device, v.attachedAt, v.deleteOnTermination = i, in.Device, time.Now(), false
	i.disks = append(i.disks, v)
	x := v.attachmentXML("attaching") // what AttachVolume says; the next describe says attached
	return &x, nil
}

func (s *Service) detachVolume(in *volumeIn) (*volumeAttachmentXML, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, err := get[*volume](s, kindVolume, in.ID)
	switch {
	case err != nil:
		return nil, err
	case v.on == nil:
		return nil, wire.Errf("IncorrectState", "Volume '%s' is in the 'available' state.", v.id)
	case in.InstanceID != "" && in.InstanceID != v.on.id:
		return nil, wire.Errf("InvalidAttachment.NotFound", "The volume %s is not attached to instance %s as device %s", v.id, in.InstanceID, in.Device)
	case v.device == v.on.rootDevice && v.on.state == "running":
		return nil, wire.Errf("OperationNotPermitted", "Unable to detach root volume '%s' from instance '%s'", v.id, v.on.id)
	}
	x := v.attachmentXML("detaching")
	v.on.disks = slices.DeleteFunc(v.on.disks, func(o *volume) bool { return o == v })
	v.on = nil
	return &x, nil
}

func (s *Service) deleteVolume(in *volumeIn) (*done, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, err := get[*volume](s, kindVolume, in.ID)
	if err != nil {
		return nil, err
	}
	if v.on != nil {
		return nil, wire.Errf("VolumeInUse", "Volume %s is currently attached to %s", v.id, v.on.id)
	}
	s.remove(v)
	return &done{true}, nil
}
