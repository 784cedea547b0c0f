package eks

import (
	"maps"
	"regexp"
	"slices"
	"strings"
)

// amiArchs are the AMI types that the embedded cloud's nodes can play, with their architecture and the suffix that
// "recommended" images carry. Accelerated and Windows images would promise devices that no node here has.
var amiArchs = map[string]string{
	"AL2_x86_64": "x86_64", "AL2_ARM_64": "arm64",
	"AL2023_x86_64_STANDARD": "x86_64", "AL2023_ARM_64_STANDARD": "arm64",
	"BOTTLEROCKET_x86_64": "x86_64", "BOTTLEROCKET_ARM_64": "arm64",
	"CUSTOM": "",
}

var nodegroupForm = regexp.MustCompile(`^[0-9A-Za-z][A-Za-z0-9\-_]{0,62}$`)

// fillNodegroup checks a request and completes it with EKS's defaults. The caller holds s.mu.
func (s *Service) fillNodegroup(g *nodegroup, in *createNodegroupIn) error {
	c := g.cluster
	switch {
	case !nodegroupForm.MatchString(in.NodegroupName):
		return invalidParameter(c.name, "The nodegroup name '%s' is invalid: it must match ^[0-9A-Za-z][A-Za-z0-9\\-_]* and have at most 63 characters", in.NodegroupName)
	case present(in.RemoteAccess):
		return unsupported("remoteAccess (SSH to nodes)")
	case in.WarmPoolConfig != nil && in.WarmPoolConfig.Enabled:
		return unsupported("warmPoolConfig")
	case in.CapacityType == "CAPACITY_BLOCK":
		return unsupported("capacityType CAPACITY_BLOCK")
	case in.CapacityType != "" && in.CapacityType != "SPOT" && in.CapacityType != "ON_DEMAND":
		return invalidParameter(c.name, "capacityType must be one of ON_DEMAND, SPOT, CAPACITY_BLOCK")
	}
	if err := in.NodeRepairConfig.check(); err != nil {
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
	if err := s.checkSubnets(c, in.Subnets); err != nil {
		return err
	}
	g.spot = in.CapacityType == "SPOT"
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
	g.version, g.release, err = chooseVersion(c, g.ami, c.version, in.Version, in.ReleaseVersion)
	return err
}

func (s *Service) checkSubnets(c *cluster, ids []string) error {
	if len(ids) == 0 {
		return invalidParameter(c.name, "Subnets are required")
	}
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
			if in.Version != "" || in.ReleaseVersion != "" {
				return invalidParameter(c, "You cannot specify the field version or releaseVersion when using custom AMIs.")
			}
			g.ami = "CUSTOM"
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
		arch, known := amiArchs[g.ami]
		if !known {
			return unsupported("amiType %s", g.ami)
		}
		if arch != "" && arch != t.Arch || t.Arch != g.arch {
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

var releaseForm = regexp.MustCompile(`^1\.\d+\.\d+-\d{8}$`)

// chooseVersion settles a node group's Kubernetes and AMI release version. fallback is taken when neither is asked for.
func chooseVersion(c *cluster, ami, fallback, version, releaseVersion string) (string, string, error) {
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
	case releaseVersion == "":
		return version, r.releaseVersion(), nil
	case !releaseForm.MatchString(releaseVersion):
		return "", "", invalidParameter(c.name, "Requested Nodegroup release version %s is invalid. Allowed release version is %s", releaseVersion, r.releaseVersion())
	case !strings.HasPrefix(releaseVersion, version+"."):
		return "", "", invalidParameter(c.name, "Requested release version %s is not valid for kubernetes version %s", releaseVersion, version)
	}
	return version, releaseVersion, nil
}
