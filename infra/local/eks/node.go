package eks

import (
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
	disk := 20
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
			disk = g.disk
		}
	}
	if m.group == "" {
		own, taints := userDataNode(i.UserData)
		maps.Copy(labels, own)
		n.Taints = append(n.Taints, taints...)
	}
	r, ok := findRelease(m.version)
	if !ok {
		return Node{}, fmt.Errorf("Kubernetes version %s is not known", m.version)
	}
	n.KubeletVersion = "v" + r.patch + "-eks-" + r.image
	n.Capacity, n.Allocatable = capacity(t, disk)
	return n, nil
}

// capacity is what a node of that type reports and what of it pods can have, with nodeadm's reservations.
//
//   - Memory: the hypervisor and kernel keep part of the nominal size; 7.5 % is what Karpenter assumes for all types.
//     Pods get that less 255 MiB + 11 MiB per possible pod (kube-reserved) and 100 MiB (eviction threshold).
//   - CPU: kube-reserved is 6 % of the first core, 1 % of the second, 0.5 % of the next two, 0.25 % of all others.
//   - Disk: 10 % eviction threshold and 1 GiB kube-reserved.
func capacity(t InstanceType, diskGiB int) (capacity, allocatable map[string]string) {
	memory := t.MemoryMiB * 925 / 1000
	disk := diskGiB << 10
	pods := fmt.Sprint(t.MaxPods)
	capacity = map[string]string{
		"cpu": fmt.Sprint(t.VCPU), "memory": fmt.Sprintf("%dMi", memory), "pods": pods, "ephemeral-storage": fmt.Sprintf("%dMi", disk),
	}
	allocatable = map[string]string{
		"cpu": fmt.Sprintf("%dm", t.VCPU*1000-reservedCPU(t.VCPU)), "memory": fmt.Sprintf("%dMi", memory-255-11*t.MaxPods-100),
		"pods": pods, "ephemeral-storage": fmt.Sprintf("%dMi", disk-disk/10-1024),
	}
	return capacity, allocatable
}

// reservedCPU is kube-reserved in millicores, rounded down as nodeadm does.
func reservedCPU(cores int) int {
	hundredths := 0 // of a millicore
	for core := 1; core <= cores; core++ {
		switch {
		case core == 1:
			hundredths += 6000
		case core == 2:
			hundredths += 1000
		case core <= 4:
			hundredths += 500
		default:
			hundredths += 250
		}
	}
	return hundredths / 100
}

// image is the AMI that EKS takes for a group's new instances. Groups with an AMI of their own name it in their launch
// template. The caller holds s.mu.
func (s *Service) image(g *nodegroup) string {
	if g.ami == "CUSTOM" {
		return ""
	}
	version := g.version
	if g.next != "" {
		version = g.next
	}
	if id, _, ok := publicImage(g.ami, version); ok {
		return id
	}
	return imageID(g.ami, version)
}
