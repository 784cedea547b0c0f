package eks

import (
	"cmp"
	"fmt"
	"maps"
)

// node is the Node that a machine registers. The caller holds s.mu.
func (s *Service) node(c *cluster, m *machine) (Node, error) {
	i := m.inst
	t, ok := s.opt.EC2.TypeInfo(i.Type)
	if !ok {
		return Node{}, fmt.Errorf("instance type %s is not known", i.Type)
	}
	sub, ok := s.opt.EC2.Subnet(i.SubnetID)
	if !ok {
		return Node{}, fmt.Errorf("subnet %s does not exist", i.SubnetID)
	}
	arch := "amd64"
	if t.Arch == "arm64" {
		arch = "arm64"
	}
	region := s.w.Region
	labels := map[string]string{
		"kubernetes.io/arch": arch, "beta.kubernetes.io/arch": arch,
		"kubernetes.io/os": "linux", "beta.kubernetes.io/os": "linux",
		"kubernetes.io/hostname":           i.PrivateDNSName,
		"node.kubernetes.io/instance-type": i.Type, "beta.kubernetes.io/instance-type": i.Type,
		"topology.kubernetes.io/region": region, "failure-domain.beta.kubernetes.io/region": region,
		"topology.kubernetes.io/zone": i.AZ, "failure-domain.beta.kubernetes.io/zone": i.AZ,
		// The cloud provider's version as a hash; any value says that it is AWS's.
		"k8s.io/cloud-provider-aws": "0553f94fb12ab2bc1f1a04a7f7f5d54e",
	}
	if sub.AZID != "" {
		labels["topology.k8s.aws/zone-id"] = sub.AZID
	}
	n := Node{
		Name: i.PrivateDNSName, ProviderID: "aws:///" + i.AZ + "/" + i.ID, Labels: labels, InternalIP: i.PrivateIP,
	}
	sh, ami := shape{disk: 20}, m.ami
	if g := c.nodegroups[m.group]; g != nil {
		maps.Copy(labels, g.labels)
		labels["eks.amazonaws.com/nodegroup"] = g.name
		labels["eks.amazonaws.com/nodegroup-image"] = i.ImageID
		labels["eks.amazonaws.com/capacityType"] = g.capacity
		if isWindows(g.ami) {
			labels["kubernetes.io/os"], labels["beta.kubernetes.io/os"] = "windows", "windows"
			labels["node.kubernetes.io/windows-build"] = windowsBuild(g.ami)
		}
		if g.custom != nil {
			labels["eks.amazonaws.com/sourceLaunchTemplateId"] = g.custom.ID
			labels["eks.amazonaws.com/sourceLaunchTemplateVersion"] = g.custom.Version
		}
		n.Taints = g.nodeTaints()
		if g.disk > 0 {
			sh.disk = g.disk
		}
		sh.managed, sh.ami, ami = true, g.ami, g.ami
	}
	if m.group == "" {
		own := userDataNode(i.UserData)
		maps.Copy(labels, own.labels)
		n.Taints = append(n.Taints, own.taints...)
		sh.maxPods = own.maxPods
	}
	r, ok := findRelease(m.version)
	if !ok {
		return Node{}, fmt.Errorf("Kubernetes version %s is not known", m.version)
	}
	n.describe(ami, m.version, cmp.Or(m.release, r.releaseVersion()), r)
	n.Capacity, n.Allocatable = capacity(t, sh)
	n.Devices = sh.devices(t, n)
	return n, nil
}

// image is the AMI that EKS takes for a group's new instances. Groups with an AMI of their own name it in their launch
// template. The caller holds s.mu.
func (s *Service) image(g *nodegroup) string {
	if g.ami == "CUSTOM" {
		return ""
	}
	version, release := g.version, g.release
	if g.next != "" {
		version, release = g.next, g.nextRelease
	}
	if i, ok := s.images().ReleasedImage(g.ami, version, release); ok {
		return i.ID
	}
	if i, ok := s.images().NewestImage(g.ami, version); ok {
		return i.ID // of an older release than the catalogue knows
	}
	return imageID(g.ami, version)
}
