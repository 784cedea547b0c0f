package eks

import (
	"cmp"
	"maps"
	"regexp"
	"slices"
	"strings"
)

var nodegroupForm = regexp.MustCompile(`^[0-9A-Za-z][A-Za-z0-9\-_]{0,62}$`)

// fillNodegroup checks a request and completes it with EKS's defaults. The caller holds s.mu.
func (s *Service) fillNodegroup(g *nodegroup, in *createNodegroupIn) error {
	c := g.cluster
	switch {
	case !nodegroupForm.MatchString(in.NodegroupName):
		return invalidParameter(c.name, "The nodegroup name '%s' is invalid: it must match ^[0-9A-Za-z][A-Za-z0-9\\-_]* and have at most 63 characters", in.NodegroupName)
	case !slices.Contains([]string{"", onDemand, spot, capacityBlock}, in.CapacityType):
		return invalidParameter(c.name, "capacityType must be one of ON_DEMAND, SPOT, CAPACITY_BLOCK")
	case len(in.InstanceTypes) > 20:
		return invalidParameter(c.name, "A node group can have at most 20 instance types")
	}
	if err := in.NodeRepairConfig.check(c.name); err != nil {
		return err
	}
	if err := checkLabels(c.name, in.Labels); err != nil {
		return err
	}
	if err := checkTaints(c.name, in.Taints); err != nil {
		return err
	}
	if err := s.opt.IAM.CheckTrust(in.NodeRole, "ec2.amazonaws.com"); err != nil {
		return invalidParameter(c.name, "Following required service principals [ec2.amazonaws.com] were not found in the trust relationships of nodeRole %s", in.NodeRole)
	}
	if err := s.checkNodeSubnets(c, in.Subnets); err != nil {
		return err
	}
	g.capacity = cmp.Or(in.CapacityType, onDemand)
	g.subnets, g.role, g.labels, g.taints, g.repair = in.Subnets, in.NodeRole, in.Labels, in.Taints, in.NodeRepairConfig
	g.tags = tags{}
	maps.Copy(g.tags, in.Tags)
	var err error
	if g.scaling, err = (scalingConfig{}).merge(c.name, in.ScalingConfig); err != nil {
		return err
	}
	if g.updateCfg, err = (updateConfig{}).merge(c.name, in.UpdateConfig); err != nil {
		return err
	}
	if err := s.chooseMachines(g, in); err != nil {
		return err
	}
	if g.version, g.release, err = s.chooseVersion(c, g.ami, c.version, in.Version, in.ReleaseVersion); err != nil {
		return err
	}
	if g.ami == "CUSTOM" {
		g.version, g.release = s.imageMinor(c, g.customImage), g.customImage
	}
	if g.warmPool, err = g.warmPool.merge(g, in.WarmPoolConfig); err != nil {
		return err
	}
	return s.checkRemoteAccess(g, in)
}

// checkRemoteAccess takes the key pair and the sources of SSH, or of RDP for Windows.
func (s *Service) checkRemoteAccess(g *nodegroup, in *createNodegroupIn) error {
	r, c := in.RemoteAccess, g.cluster
	if r == nil || r.EC2SSHKey == "" && len(r.SourceSecurityGroups) == 0 {
		return nil
	}
	switch {
	case in.LaunchTemplate != nil:
		return invalidParameter(c.name, "Remote access configuration cannot be specified with a launch template.")
	case r.EC2SSHKey == "":
		return invalidParameter(c.name, "ec2SshKey must be specified with sourceSecurityGroups")
	case !s.opt.EC2.KeyPair(r.EC2SSHKey):
		return invalidParameter(c.name, "KeyPair %s not found", r.EC2SSHKey)
	}
	for _, id := range r.SourceSecurityGroups {
		switch vpc, ok := s.opt.EC2.SecurityGroupVPC(id); {
		case !ok:
			return invalidParameter(c.name, "The security group '%s' does not exist (Service: AmazonEC2; Status Code: 400; Error Code: InvalidGroup.NotFound)", id)
		case vpc != c.vpc.VPCID:
			return invalidParameter(c.name, "Security group %s is not in the cluster's VPC %s", id, c.vpc.VPCID)
		}
	}
	g.remote = r
	return nil
}

func (s *Service) checkNodeSubnets(c *cluster, ids []string) error {
	if len(ids) == 0 {
		return invalidParameter(c.name, "Subnets are required")
	}
	return s.checkSubnetsOf(c, ids)
}

// checkSubnetsOf wants subnets to exist in the cluster's VPC.
func (s *Service) checkSubnetsOf(c *cluster, ids []string) error {
	for _, id := range ids {
		sub, ok := s.opt.EC2.Subnet(id)
		if !ok {
			return invalidParameter(c.name, "The subnet ID '%s' does not exist (Service: AmazonEC2; Status Code: 400; Error Code: InvalidSubnetID.NotFound)", id)
		}
		if sub.VPCID != c.vpc.VPCID {
			return invalidParameter(c.name, "Subnet %s is not in the cluster's VPC %s", id, c.vpc.VPCID)
		}
	}
	return nil
}

// chooseMachines settles launch template, instance types, AMI type and disk.
func (s *Service) chooseMachines(g *nodegroup, in *createNodegroupIn) error {
	c := g.cluster.name
	g.types, g.ami, g.disk = in.InstanceTypes, in.AMIType, in.DiskSize
	var own LaunchTemplate
	if lt := in.LaunchTemplate; lt != nil {
		if (lt.ID == "") == (lt.Name == "") {
			return invalidParameter(c, "You must specify either the launch template ID or the launch template name in the request, but not both.")
		}
		if in.DiskSize != 0 {
			return invalidParameter(c, "Disk size must be specified within the launch template.")
		}
		var err error
		if own, err = s.opt.EC2.FindLaunchTemplate(lt.ID+lt.Name, lt.Version); err != nil {
			return invalidParameter(c, "%v", err)
		}
		g.custom = &launchTemplateRef{ID: own.Source, Name: own.Name, Version: own.SourceVersion}
		if own.InstanceType != "" {
			if len(g.types) > 0 {
				return invalidParameter(c, "You cannot specify an instance type in both the launch template and API request")
			}
			g.types = nil
		}
		if own.ImageID != "" {
			if in.AMIType != "" && in.AMIType != "CUSTOM" {
				return invalidParameter(c, "You cannot specify an AMI Type other than CUSTOM, when specifying an image id in your launch template.")
			}
			if in.Version != "" {
				return invalidParameter(c, "You cannot specify a kubernetes version to use when specifying an image id to use within the launch template.")
			}
			if in.ReleaseVersion != "" {
				return invalidParameter(c, "You cannot specify the field version or releaseVersion when using custom AMIs.")
			}
			g.ami, g.customImage = "CUSTOM", own.ImageID
		}
	}
	if g.ami == "CUSTOM" && own.ImageID == "" {
		return invalidParameter(c, "You must specify an image id within your launch template, when using the CUSTOM AMI type")
	}
	if len(g.types) == 0 && own.InstanceType == "" {
		g.types = []string{"t3.medium"}
		if strings.Contains(g.ami, "ARM_64") {
			g.types = []string{"t4g.medium"}
		}
	}
	if g.disk == 0 && g.custom == nil {
		g.disk = 20
		if isWindows(g.ami) {
			g.disk = 50
		}
	}
	if g.capacity == capacityBlock && (own.CapacityReservationID == "" || !own.CapacityBlock) {
		return invalidParameter(c, "A launch template with a capacity reservation ID and the market type capacity-block must be specified when using the CAPACITY_BLOCK capacity type.")
	}
	if own.InstanceProfile != "" {
		return invalidParameter(c, "Launch template %s should not specify an instance profile. The noderole in your request will be used to construct an instance profile.", own.Source)
	}
	return s.checkTypes(g, slices.Concat(g.types, nonEmpty(own.InstanceType)))
}

func nonEmpty(s string) []string {
	if s == "" {
		return nil
	}
	return []string{s}
}

func (s *Service) checkTypes(g *nodegroup, types []string) error {
	c := g.cluster.name
	for _, name := range types {
		t, ok := s.opt.EC2.TypeInfo(name)
		if !ok {
			return invalidParameter(c, "The following supplied instance types do not exist: [%s]", name)
		}
		if g.arch == "" {
			g.arch = t.Arch
		}
		if g.ami == "" {
			g.ami = map[string]string{"arm64": "AL2023_ARM_64_STANDARD"}[t.Arch]
			if g.ami == "" {
				g.ami = "AL2023_x86_64_STANDARD"
			}
		}
		ami, known := amiTypes[g.ami]
		if !known {
			return invalidParameter(c, "amiType must be one of the AMI types of Amazon EKS, and %s is none", g.ami)
		}
		if ami.arch != "" && ami.arch != t.Arch || t.Arch != g.arch || ami.accelerator != "" && ami.accelerator != accelerator(name) {
			return invalidParameter(c, "[%s] is not a valid instance type for requested amiType %s", name, g.ami)
		}
	}
	return nil
}

// merge applies a request to the present scaling configuration; the defaults are two nodes.
func (p scalingConfig) merge(cluster string, r *scalingConfig) (scalingConfig, error) {
	two := 2
	out := p
	if p.MinSize == nil {
		out = scalingConfig{&two, &two, &two}
	}
	if r != nil {
		for _, f := range []struct{ to, from **int }{{&out.MinSize, &r.MinSize}, {&out.MaxSize, &r.MaxSize}, {&out.DesiredSize, &r.DesiredSize}} {
			if *f.from != nil {
				*f.to = *f.from
			}
		}
	}
	switch {
	case *out.MinSize < 0 || *out.DesiredSize < 0 || *out.MaxSize < 1:
		return out, invalidParameter(cluster, "Minimum and desired capacity must be at least 0 and max size at least 1")
	case *out.MinSize > *out.DesiredSize:
		return out, invalidParameter(cluster, "Minimum capacity %d can't be greater than desired size %d", *out.MinSize, *out.DesiredSize)
	case *out.DesiredSize > *out.MaxSize:
		return out, invalidParameter(cluster, "desired capacity %d can't be greater than max size %d", *out.DesiredSize, *out.MaxSize)
	}
	return out, nil
}

func (p updateConfig) merge(cluster string, r *updateConfig) (updateConfig, error) {
	one := 1
	out := p
	if r != nil {
		if r.MaxUnavailable != nil && r.MaxUnavailablePercentage != nil {
			return out, invalidParameter(cluster, "maxUnavailable and maxUnavailablePercentage cannot be specified together")
		}
		if r.MaxUnavailable != nil {
			out.MaxUnavailable, out.MaxUnavailablePercentage = r.MaxUnavailable, nil
		}
		if r.MaxUnavailablePercentage != nil {
			out.MaxUnavailable, out.MaxUnavailablePercentage = nil, r.MaxUnavailablePercentage
		}
		if r.UpdateStrategy != "" {
			out.UpdateStrategy = r.UpdateStrategy
		}
	}
	if out.MaxUnavailable == nil && out.MaxUnavailablePercentage == nil {
		out.MaxUnavailable = &one
	}
	for _, n := range []*int{out.MaxUnavailable, out.MaxUnavailablePercentage} {
		if n != nil && (*n < 1 || *n > 100) {
			return out, invalidParameter(cluster, "maxUnavailable must be between 1 and 100")
		}
	}
	if out.UpdateStrategy != "" && out.UpdateStrategy != "DEFAULT" && out.UpdateStrategy != "MINIMAL" {
		return out, invalidParameter(cluster, "updateStrategy must be one of DEFAULT, MINIMAL")
	}
	return out, nil
}

// unavailable is how many nodes an update may take away at a time.
func (p updateConfig) unavailable(nodes int) int {
	if p.MaxUnavailable != nil {
		return *p.MaxUnavailable
	}
	return max(1, nodes**p.MaxUnavailablePercentage/100)
}

// chooseVersion settles a node group's Kubernetes and AMI release version. fallback is taken when neither is asked for.
func (s *Service) chooseVersion(c *cluster, ami, fallback, version, releaseVersion string) (string, string, error) {
	if version == "" {
		version = fallback
	}
	r, ok := findRelease(version)
	switch {
	case !ok:
		return "", "", invalidParameter(c.name, "Requested Kubernetes version %s is not supported", version)
	case minor(version) > minor(c.version):
		return "", "", invalidParameter(c.name, "Nodegroup Kubernetes version %s cannot be newer than the cluster's version %s", version, c.version)
	case minor(version) < minor(c.version)-3:
		return "", "", invalidParameter(c.name, "Nodegroup Kubernetes version %s is too old for the cluster's version %s", version, c.version)
	case ami == "CUSTOM":
		return version, "", nil
	case strings.HasPrefix(ami, "AL2_") && minor(version) > lastAL2:
		return "", "", invalidParameter(c.name, "AMI Type %s is only supported for kubernetes versions 1.%d or earlier", ami, lastAL2)
	case releaseVersion == "":
		return version, s.latest(r, ami), nil
	}
	if err := s.checkRelease(r, c.name, ami, releaseVersion); err != nil {
		return "", "", err
	}
	return version, releaseVersion, nil
}
