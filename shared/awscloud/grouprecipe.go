package awscloud

import (
	"cmp"
	"context"
	"encoding/base64"
	"regexp"
	"strconv"
	"strings"

	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	ekstypes "github.com/aws/aws-sdk-go-v2/service/eks/types"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

// template is what a version of a launch template says that matters to a planner.
type template struct {
	machine string // instance type, "" if it names none
	spot    bool
	maxPods int
	diskGiB int
}

func (t template) types() []string {
	if t.machine == "" {
		return nil
	}
	return []string{t.machine}
}

// templateOf reads the launch template of a group's machines, if it has one of its own. The one that EKS makes for a managed
// group says nothing that the group does not.
func (n *NodeGroups) templateOf(ctx context.Context, f *foundGroup) (template, error) {
	id, version := f.launchTemplate()
	if id == "" {
		return template{}, nil
	}
	return n.template(ctx, id, cmp.Or(version, "$Default"))
}

// launchTemplate is that of a group's machines, "" for those of a managed group that has none of its own.
func (f *foundGroup) launchTemplate() (id, version string) {
	switch {
	case f.managed != nil:
		if t := f.managed.LaunchTemplate; t != nil {
			return deref(t.Id), deref(t.Version)
		}
	case f.scaling.LaunchTemplate != nil:
		return deref(f.scaling.LaunchTemplate.LaunchTemplateId), deref(f.scaling.LaunchTemplate.Version)
	case f.scaling.MixedInstancesPolicy != nil:
		return mixedTemplate(f.scaling.MixedInstancesPolicy)
	}
	return "", ""
}

func mixedTemplate(p *astypes.MixedInstancesPolicy) (id, version string) {
	if p.LaunchTemplate == nil || p.LaunchTemplate.LaunchTemplateSpecification == nil {
		return "", ""
	}
	s := p.LaunchTemplate.LaunchTemplateSpecification
	return deref(s.LaunchTemplateId), deref(s.Version)
}

// template reads a version of a launch template. Numbered ones never change, and are read once.
func (n *NodeGroups) template(ctx context.Context, id, version string) (template, error) {
	key := id + "/" + version
	n.mu.Lock()
	known, ok := n.templates[key]
	n.mu.Unlock()
	if ok {
		return known, nil
	}
	out, err := n.ec2.DescribeLaunchTemplateVersions(ctx, &ec2.DescribeLaunchTemplateVersionsInput{LaunchTemplateId: &id, Versions: []string{version}})
	if err != nil {
		return template{}, classify("ec2:DescribeLaunchTemplateVersions", err)
	}
	var t template
	for _, v := range out.LaunchTemplateVersions {
		if v.LaunchTemplateData != nil {
			t = readTemplate(v.LaunchTemplateData)
		}
	}
	if !strings.HasPrefix(version, "$") {
		n.mu.Lock()
		n.templates[key] = t
		n.mu.Unlock()
	}
	return t, nil
}

func readTemplate(d *ec2types.ResponseLaunchTemplateData) template {
	t := template{machine: string(d.InstanceType)}
	if m := d.InstanceMarketOptions; m != nil {
		t.spot = m.MarketType == ec2types.MarketTypeSpot
	}
	if len(d.BlockDeviceMappings) > 0 && d.BlockDeviceMappings[0].Ebs != nil {
		t.diskGiB = int(deref(d.BlockDeviceMappings[0].Ebs.VolumeSize))
	}
	if text, err := base64.StdEncoding.DecodeString(deref(d.UserData)); err == nil {
		if found := maxPods.FindSubmatch(text); found != nil {
			t.maxPods, _ = strconv.Atoi(string(found[1])) // digits, by the expression
		}
	}
	return t
}

// maxPods is how user data tell the kubelet: nodeadm's and Bottlerocket's settings, and bootstrap.sh's argument.
var maxPods = regexp.MustCompile(`max-?[pP]ods["']?\s*[:=]?\s*["']?(\d{1,4})`)

// recipe is what a node group like this one is made of, as CreateNodegroup takes it, but for the subnets, which are given by
// zone. Labels, taints, types and sizes are the new one's own business, and so is the tag that says which resource of the
// cluster's file a group is.
func (n *NodeGroups) recipe(ctx context.Context, m *ekstypes.Nodegroup) (fleet.Props, error) {
	byZone, err := n.byZone(ctx, m.Subnets)
	if err != nil {
		return nil, err
	}
	out := fleet.Props{"nodeRole": deref(m.NodeRole), "subnetsByZone": byZone, "tags": inherited(m.Tags), "updateConfig": updates(m.UpdateConfig), "nodeRepairConfig": props(m.NodeRepairConfig)}
	if t := m.LaunchTemplate; t != nil {
		out["launchTemplate"] = fleet.Props{"id": deref(t.Id), "version": deref(t.Version)} // with its name beside, EKS refuses it
	}
	if m.AmiType != ekstypes.AMITypesCustom {
		out["amiType"] = string(m.AmiType)
	}
	if d := deref(m.DiskSize); d > 0 && m.LaunchTemplate == nil {
		out["diskSize"] = int(d)
	}
	if m.RemoteAccess != nil {
		out["remoteAccess"] = props(m.RemoteAccess)
	}
	return fleet.Drop(out), nil
}

// launchRecipe is what machines like those of an Auto Scaling group are made of, as CreateFleet takes it.
func (n *NodeGroups) launchRecipe(ctx context.Context, f *foundGroup) (fleet.Props, error) {
	id, version := f.launchTemplate()
	if id == "" {
		return nil, nil
	}
	byZone, err := n.byZone(ctx, strings.FieldsFunc(deref(f.scaling.VPCZoneIdentifier), func(r rune) bool { return r == ',' || r == ' ' }))
	if err != nil {
		return nil, err
	}
	return fleet.Props{
		"launchTemplateSpecification": fleet.Props{"launchTemplateId": id, "version": cmp.Or(version, "$Default")},
		"subnetsByZone":               byZone, "tags": inherited(f.tags),
	}, nil
}

// inherited are the tags that others made like the group get, too: not those that say which one it is.
func inherited(tags map[string]string) fleet.Props {
	out := fleet.Props{}
	for k, v := range tags {
		if k != fleet.TagResource && k != tagNodeGroup && k != fleet.TagPool && !strings.HasPrefix(k, "aws:") && !strings.HasPrefix(k, "eks:") && !strings.HasPrefix(k, nodeTemplate) {
			out[k] = v
		}
	}
	return out
}

func (n *NodeGroups) byZone(ctx context.Context, subnets []string) (fleet.Props, error) {
	zones, err := n.zonesOf(ctx, subnets)
	if err != nil {
		return nil, err
	}
	out := fleet.Props{}
	for _, id := range subnets {
		list, _ := out[zones[id]].([]any)
		out[zones[id]] = append(list, id)
	}
	return out, nil
}

// updates is how many nodes are updated at once. EKS takes one of the two.
func updates(u *ekstypes.NodegroupUpdateConfig) fleet.Props {
	if u == nil {
		return nil
	}
	p := props(u)
	if fleet.Int(p, "maxUnavailablePercentage") > 0 {
		delete(p, "maxUnavailable")
	}
	return p
}

// zonesOf are the zones of subnets. A subnet stays where it is.
func (n *NodeGroups) zonesOf(ctx context.Context, ids []string) (map[string]string, error) {
	out := map[string]string{}
	var unknown []string
	n.mu.Lock()
	for _, id := range ids {
		if zone, ok := n.subnets[id]; ok {
			out[id] = zone
		} else {
			unknown = append(unknown, id)
		}
	}
	n.mu.Unlock()
	if len(unknown) == 0 {
		return out, nil
	}
	read, err := n.ec2.DescribeSubnets(ctx, &ec2.DescribeSubnetsInput{SubnetIds: unknown})
	if err != nil {
		return nil, classify("ec2:DescribeSubnets", err)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, s := range read.Subnets {
		zone := deref(s.AvailabilityZone)
		out[deref(s.SubnetId)], n.subnets[deref(s.SubnetId)] = zone, zone
	}
	return out, nil
}
