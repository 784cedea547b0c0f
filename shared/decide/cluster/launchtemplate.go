package cluster

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/plan"
)

// Every group gets a launch template, a managed one, too: EKS's own cannot be changed later, gives no tags to machines and
// volumes, and keeps pods from the metadata service, which eksctl's files rely on to be open.
// https://docs.aws.amazon.com/eks/latest/userguide/launch-templates.html

// tagTemplate is the tag of a node group that says by which settings of the file its machines are made.
const tagTemplate = "ekspedite.dev/template"

// template is the launch template of a group, ours or the user's own.
type template struct {
	physical string // lt-0abc
	version  string // the one to be used; "" leaves it to EKS
	mark     string // of the settings that it is made from; "" for the user's own
	image    string // which image it has: an SSM parameter's name without the version of Kubernetes, or an image id
	needs    []string
}

// reference is a template as EKS and Auto Scaling take it.
func (t template) reference() fleet.Props {
	return fleet.Drop(fleet.Props{"id": t.physical, "version": t.version})
}

// template adds a group's launch template, with what it needs. Its versions are never changed: other settings make another
// version, to which the group is led.
func (b *builder) template(g fleet.NodeGroupSpec, profile string) template {
	if g.Template != nil {
		return template{physical: g.Template.ID, version: g.Template.Version}
	}
	id := "template/" + g.Name
	m := maker{builder: b, g: g, profile: profile}
	needs := m.needs()
	t := template{physical: b.id(id), version: plan.Unknown(id + ".version"), mark: mark(g), image: imageOf(g)}
	have := b.o.first(id)
	said := ""
	if have != nil {
		t.version = strconv.Itoa(fleet.Int(have.Props, "latestVersionNumber"))
		said = fleet.Text(have.Props, "versionDescription")
	}
	describe := t.mark + " " + t.image
	tags := b.tags(id, tagNodeGroup, g.Name)
	r := b.add(thing{
		Ref: fleet.Ref{ID: id, Kind: "template"}, area: "node groups", needs: needs,
		create: func() plan.Call {
			in := fleet.Props{
				"launchTemplateName": cut(maxTemplateName, tags["Name"]), "versionDescription": describe, "launchTemplateData": m.data(b.image(g)),
				"tagSpecifications": specification("launch-template", tags),
			}
			in["clientToken"] = b.token(id, in)
			return b.call(plan.Create, id, "ec2:CreateLaunchTemplate", "create launch template for "+g.Name, in)
		},
		differ: b.tagsOnly(tags),
	})
	if problem := b.noImage(g); problem != "" && r.state == absent {
		r.state, r.do, r.detail = failed, nil, id+": "+problem
	}
	if n := len(m.userData()); n > maxUserData {
		b.put(resource{Ref: fleet.Ref{ID: id + "/size"}, id: id + "/size", area: "node groups", state: failed,
			detail: fmt.Sprintf("node group %s: its commands and settings are %d bytes in all, and EC2 takes %d: fetch what is long from elsewhere", g.Name, n/4*3, 16384)})
	}
	// Another content is another step: that the last one was made a moment ago does not hold it back.
	next := id + "/version/" + t.mark
	same := have == nil || strings.HasPrefix(said, t.mark+" ")
	b.part(next, "node groups", same, append([]string{id}, needs...), func() plan.Call {
		t.version = plan.Unknown(id + ".version") // the one that comes
		image := fleet.Text(have.Props, "launchTemplateData", "imageId")
		if image == "" || said[strings.IndexByte(said, ' ')+1:] != t.image {
			image = b.image(g)
		}
		in := fleet.Props{"launchTemplateId": t.physical, "versionDescription": describe, "launchTemplateData": m.data(image)}
		in["clientToken"] = b.token(next, in)
		return b.call(plan.Change, next, "ec2:CreateLaunchTemplateVersion", "make a new version of the launch template for "+g.Name, in)
	})
	t.needs = []string{id, next}
	return t
}

const (
	maxTemplateName = 128
	maxUserData     = 16384 / 3 * 4 // EC2's limit, in base64
)

// cut shortens a name to a limit, with a hash that keeps it apart from others.
func cut(limit int, name string) string {
	if len(name) <= limit {
		return name
	}
	sum := sha256.Sum256([]byte(name))
	end := "-" + hex.EncodeToString(sum[:4])
	return name[:limit-len(end)] + end
}

// mark stands for the settings of the file that machines are made by. It is made of what the file says, not of what is made
// of it: another release of ekspedite that says the same in other words replaces nobody's nodes. Tags and names are left
// out, since they are not worth it: new machines get them.
func mark(g fleet.NodeGroupSpec) string {
	m := g.Machine
	m.InstanceName, m.InstancePrefix, m.SourceGroups, m.EnableSSM, m.ContainerRuntime = "", "", nil, false, ""
	in := fleet.Props{"machine": m, "ami": g.AMI, "family": g.AMIFamily, "capacityBlock": g.CapacityBlock}
	if g.SelfManaged {
		in["labels"], in["taints"], in["image"], in["private"] = g.Labels, g.Taints, imageOf(g), g.Private
		in["role"] = []string{g.IAM.RoleARN, g.IAM.RoleName, g.IAM.ProfileARN}
	}
	if one := oneType(g); one != "" {
		in["type"] = one
	}
	text, err := json.Marshal(in)
	if err != nil {
		panic(err) // a spec is made of what JSON has
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:8])
}

// maker makes a launch template's content.
type maker struct {
	*builder
	g       fleet.NodeGroupSpec
	profile string // the instance profile's name in the graph, or its ARN; "" for managed groups
}

// needs are the resources that the template names.
func (m maker) needs() (ids []string) {
	if _, ok := m.at[m.profile]; ok {
		ids = append(ids, m.profile, m.profile+"/role")
	}
	if ssh := m.g.Machine.SSH; ssh != nil {
		ids = append(ids, m.sshGroup()...)
		if ssh.PublicKey != "" {
			ids = append(ids, m.keyPair())
		}
	}
	if m.g.Machine.EFA {
		ids = append(ids, m.efaGroup()...)
	}
	if len(m.groups()) > 0 || m.bootstraps() {
		ids = append(ids, idCluster)
	}
	return ids
}

// data is the template's content. The image is "" where EKS chooses it.
func (m maker) data(image string) fleet.Props {
	g, s := m.g, m.g.Machine
	tokens, hops := "required", 2
	if s.IMDSv1 {
		tokens = "optional"
	}
	if s.NoPodIMDS {
		hops = 1 // pods are one further away, unless they are on the host's network
	}
	data := fleet.Props{
		"imageId": image, "instanceType": oneType(g), "keyName": m.keyName(), "userData": m.userData(),
		"blockDeviceMappings": m.disks(), "capacityReservationSpecification": s.Reservation,
		"metadataOptions":   fleet.Props{"httpTokens": tokens, "httpPutResponseHopLimit": hops},
		"placement":         fleet.Props{"groupName": s.Placement},
		"tagSpecifications": m.tagSpecifications(), "creditSpecification": fleet.Props{"cpuCredits": s.CPUCredits},
	}
	m.interfaces(data)
	if m.profile != "" {
		data["iamInstanceProfile"] = m.profileProps()
	}
	if s.EBSOptimized != nil {
		data["ebsOptimized"] = *s.EBSOptimized
	}
	if s.Monitoring {
		data["monitoring"] = fleet.Props{"enabled": true}
	}
	if s.Enclave {
		data["enclaveOptions"] = fleet.Props{"enabled": true}
	}
	if g.CapacityBlock {
		data["instanceMarketOptions"] = fleet.Props{"marketType": "capacity-block"}
	}
	return fleet.Drop(data)
}

// disks are the root volume and further ones.
func (m maker) disks() (out []any) {
	s := m.g.Machine
	root := fleet.VolumeSpec{Name: s.DiskName, Type: s.DiskType, GiB: s.DiskGiB, IOPS: s.DiskIOPS, Throughput: s.DiskThroughput, Encrypted: s.DiskEncrypted, Key: s.DiskKey}
	if root.Name == "" {
		root.Name = "/dev/xvda"
		if isWindows(m.g) || isUbuntu(m.g) {
			root.Name = "/dev/sda1"
		}
	}
	for _, v := range append([]fleet.VolumeSpec{root}, s.Volumes...) {
		ebs := fleet.Props{"volumeType": v.Type, "snapshotId": v.Snapshot, "kmsKeyId": v.Key, "deleteOnTermination": true}
		for field, n := range map[string]int{"volumeSize": v.GiB, "iops": v.IOPS, "throughput": v.Throughput} {
			if n > 0 {
				ebs[field] = n
			}
		}
		if v.Encrypted != nil {
			ebs["encrypted"] = *v.Encrypted
		}
		out = append(out, fleet.Props{"deviceName": v.Name, "ebs": ebs})
	}
	return out
}

// tagSpecifications are the tags of machines and what comes with them.
func (m maker) tagSpecifications() (out []any) {
	tags := owned(m.s, m.g.Tags)
	tags["Name"] = m.instanceName()
	tags[tagNodeGroup] = m.g.Name
	for _, kind := range []string{"instance", "volume", "network-interface"} {
		out = append(out, fleet.Props{"resourceType": kind, "tags": tagList(tags)})
	}
	return out
}

// instanceName is what machines are called in EC2, by eksctl's rules.
func (m maker) instanceName() string {
	name := m.g.Machine.InstanceName
	if name == "" {
		name = m.s.Name + "-" + m.g.Name + "-Node"
	}
	if p := m.g.Machine.InstancePrefix; p != "" {
		name = p + "-" + name
	}
	return name
}

// interfaces says where machines are connected. Only an interface that the template describes can have EFA, or a public
// address where the subnet gives none.
func (m maker) interfaces(data fleet.Props) {
	groups := fleet.Strings(m.groups())
	if !m.g.SelfManaged && !m.g.Machine.EFA {
		data["securityGroupIds"] = groups
		return
	}
	card := fleet.Props{"deviceIndex": 0, "deleteOnTermination": true, "groups": groups}
	if m.g.Machine.EFA {
		card["interfaceType"], card["networkCardIndex"] = "efa", 0
	}
	if m.g.SelfManaged && m.g.OutpostARN == "" {
		card["associatePublicIpAddress"] = !m.g.Private
	}
	if m.g.SelfManaged && m.ipv6() {
		card["ipv6AddressCount"] = 1
	}
	data["networkInterfaces"] = []any{card}
}

// profileProps names the instance profile: one of ours by its name, a given one by its ARN.
func (m maker) profileProps() fleet.Props {
	if at, ok := m.at[m.profile]; ok {
		return fleet.Props{"name": m.list[at].Name}
	}
	return fleet.Props{"arn": m.profile}
}
