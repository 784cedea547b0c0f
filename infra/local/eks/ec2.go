package eks

import (
	"strconv"
	"strings"

	"github.com/ekspedite/ekspedite/infra/local/ec2"
)

// OnEC2 makes EKS use the embedded cloud's EC2.
func OnEC2(svc *ec2.Service) EC2 { return onEC2{svc} }

type onEC2 struct{ svc *ec2.Service }

func (e onEC2) Instance(id string) (Instance, bool) {
	i, ok := e.svc.Instance(id)
	return instanceOf(i), ok
}

func instanceOf(i ec2.Instance) Instance {
	return Instance{
		ID: i.ID, Type: i.Type, AZ: i.AZ, SubnetID: i.SubnetID, VPCID: i.VPCID, PrivateIP: i.PrivateIP, PrivateDNSName: i.PrivateDNSName,
		Lifecycle: i.Lifecycle, State: i.State, LaunchTemplateID: i.LaunchTemplateID, ImageID: i.ImageID, Arch: i.Arch, Tags: i.Tags,
		LaunchTime: i.LaunchTime, Role: i.Role, UserData: i.UserData,
	}
}

func (e onEC2) OnStateChange(f func(Instance)) {
	e.svc.OnStateChange(func(i ec2.Instance) { f(instanceOf(i)) })
}

func (e onEC2) TypeInfo(name string) (InstanceType, bool) {
	t, ok := e.svc.TypeInfo(name)
	return InstanceType{Name: t.Name, VCPU: t.VCPU, MemoryMiB: t.MemoryMiB, Arch: t.Arch, MaxPods: t.MaxPods, IPsPerENI: t.IPsPerENI, Devices: devices(t.Accelerators)}, ok
}

// devices are what the device plugins of NVIDIA and AWS make of an instance type's accelerators.
func devices(a ec2.Accelerators) map[string]int {
	switch {
	case a.Count == 0:
		return nil
	case a.Maker == "NVIDIA":
		return map[string]int{"nvidia.com/gpu": a.Count}
	}
	return map[string]int{"aws.amazon.com/neuron": a.Count, "aws.amazon.com/neuroncore": a.Count * a.Cores}
}

func (e onEC2) Subnet(id string) (Subnet, bool) {
	n, ok := e.svc.Subnet(id)
	return Subnet{ID: n.ID, VPCID: n.VPCID, AZ: n.AZ, AZID: e.svc.Zones()[n.AZ], Public: n.Public, IPv6: n.IPv6CIDR != "", FreeAddresses: n.FreeAddresses}, ok
}

func (e onEC2) FindLaunchTemplate(idOrName, version string) (LaunchTemplate, error) {
	id, name := idOrName, ""
	if !strings.HasPrefix(id, "lt-") {
		id, name = "", idOrName
	}
	lt, err := e.svc.FindLaunchTemplate(id, name)
	if err != nil {
		return LaunchTemplate{}, err
	}
	data, number, err := e.svc.LaunchTemplateVersion(lt.ID, version)
	if err != nil {
		return LaunchTemplate{}, err
	}
	out := LaunchTemplate{
		Name: lt.Name, Source: lt.ID, SourceVersion: strconv.FormatInt(number, 10), ImageID: data.ImageID, InstanceType: data.InstanceType,
		InstanceProfile: data.InstanceProfile, CapacityReservationID: data.ReservationID, CapacityBlock: data.CapacityBlock,
	}
	return out, nil
}

// data is the customer's template, if there is one, with what EKS adds: image, instance profile and security group. EKS
// merges its bootstrap script into the user data as well; nothing here would run it.
func (e onEC2) data(lt LaunchTemplate) (ec2.LaunchTemplateData, error) {
	var d ec2.LaunchTemplateData
	if lt.Source != "" {
		var err error
		if d, _, err = e.svc.LaunchTemplateVersion(lt.Source, lt.SourceVersion); err != nil {
			return d, err
		}
	}
	if lt.ImageID != "" {
		d.ImageID = lt.ImageID
	}
	if len(d.SecurityGroups) == 0 && lt.SecurityGroup != "" {
		d.SecurityGroups = []string{lt.SecurityGroup}
	}
	if lt.KeyName != "" {
		d.KeyName, d.SecurityGroups = lt.KeyName, append(d.SecurityGroups, lt.RemoteGroup)
	}
	d.InstanceProfile = lt.Name // EKS makes a profile of the template's name for the node role
	return d, nil
}

func (e onEC2) CreateLaunchTemplate(lt LaunchTemplate) (string, error) {
	d, err := e.data(lt)
	if err != nil {
		return "", err
	}
	return e.svc.CreateLaunchTemplateFor(lt.Name, lt.Tags, d)
}

func (e onEC2) NewLaunchTemplateVersion(id string, lt LaunchTemplate) error {
	d, err := e.data(lt)
	if err != nil {
		return err
	}
	_, err = e.svc.CreateLaunchTemplateVersionFor(id, d)
	return err
}

func (e onEC2) DeleteLaunchTemplate(id string) error {
	e.svc.DeleteLaunchTemplateFor(id)
	return nil
}

func (e onEC2) CreateClusterSecurityGroup(cluster, suffix, vpcID string) (string, error) {
	name := "eks-cluster-sg-" + cluster + "-" + suffix
	return e.svc.CreateSecurityGroupFor(vpcID, name, "EKS created security group applied to ENI that is attached to EKS Control Plane master nodes, as well as any managed workloads.",
		map[string]string{"Name": name, "kubernetes.io/cluster/" + cluster: "owned", "aws:eks:cluster-name": cluster})
}

func (e onEC2) DeleteSecurityGroup(id string) error {
	e.svc.DeleteSecurityGroupFor(id)
	return nil
}
