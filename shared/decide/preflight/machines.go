package preflight

import (
	"slices"
	"strings"

	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/plan"
)

func (a *asker) machines() {
	var types, images, keys []string
	for _, g := range a.groups() {
		types = append(types, a.types(g)...)
		images = append(images, g.AMI)
		if g.Machine.SSH != nil {
			keys = append(keys, g.Machine.SSH.KeyName)
		}
		if t := g.Template; t != nil {
			a.ask("template", t.ID+"/"+t.Version)
		}
		if g.Machine.Placement != "" {
			a.ask("placement", g.Machine.Placement)
		}
	}
	a.askAll("types", types)
	a.askAll("offerings", types)
	a.askAll("images", images)
	for _, k := range keys {
		if k != "" {
			a.ask("keypair", k)
		}
	}
}

// allTypes are the types of all groups that the plan makes.
func (c *check) allTypes() (out []string) {
	for _, g := range c.groups() {
		out = append(out, c.types(g)...)
	}
	return out
}

// instanceType is what EC2 says of a type; nil if it was not read, or does not exist.
func (c *check) instanceType(name string) fleet.Props {
	p, _ := c.fact("types", joined(c.allTypes()))
	for _, t := range fleet.Items(p, "instanceTypes") {
		if fleet.Text(t, "instanceType") == name {
			return t
		}
	}
	return nil
}

// machines checks that there are the machines, images and keys that node groups name.
func (c *check) machines() {
	spot := false
	for _, g := range c.groups() {
		c.groupTypes(g)
		c.image(g)
		c.template(g)
		if k := g.Machine.SSH; k != nil && k.KeyName != "" {
			if p, read := c.fact("keypair", k.KeyName); read && p == nil {
				c.say(Error, "KeyPairNotFound", groupID(g), "aws ec2 describe-key-pairs", "node group %s: there is no EC2 key pair %s in %s", g.Name, k.KeyName, c.s.Region)
			}
		}
		if n := g.Machine.Placement; n != "" {
			if p, read := c.fact("placement", n); read && p == nil {
				c.say(Error, "PlacementGroupNotFound", groupID(g), "aws ec2 create-placement-group", "node group %s: there is no placement group %s in %s", g.Name, n, c.s.Region)
			}
		}
		spot = spot || g.Spot
		if g.Spot && len(c.types(g)) == 1 {
			c.say(Info, "OneSpotType", groupID(g), "name several instance types", "node group %s has one spot instance type only: when EC2 has none to spare, there is nothing else", g.Name)
		}
	}
	if spot {
		c.say(Info, "Capacity", "cluster", "", "whether EC2 has spot instances to spare cannot be known before they are asked for")
	}
}

func (c *check) groupTypes(g fleet.NodeGroupSpec) {
	if _, read := c.fact("types", joined(c.allTypes())); !read {
		return
	}
	offered, offersRead := c.fact("offerings", joined(c.allTypes()))
	for _, t := range c.types(g) {
		if plan.IsUnknown(t) {
			continue
		}
		p := c.instanceType(t)
		if p == nil {
			c.say(Error, "InstanceTypeUnknown", groupID(g), "aws ec2 describe-instance-types", "node group %s: EC2 has no instance type %s in %s", g.Name, t, c.s.Region)
			continue
		}
		if want := arch(g.AMIType); want != "" && !slices.Contains(fleet.Texts(p, "processorInfo", "supportedArchitectures"), want) {
			c.say(Error, "WrongArchitecture", groupID(g), "choose an AMI type, or instance types, of one architecture",
				"node group %s: %s machines are %s, and AMI type %s is for %s", g.Name, t, strings.Join(fleet.Texts(p, "processorInfo", "supportedArchitectures"), ", "), g.AMIType, want)
		}
		if strings.Contains(g.AMIType, "NVIDIA") && fleet.At(p, "gpuInfo") == nil {
			c.say(Warning, "NoGPU", groupID(g), "", "node group %s: AMI type %s is for machines with NVIDIA GPUs, and %s has none", g.Name, g.AMIType, t)
		}
		if g.Spot && !slices.Contains(fleet.Texts(p, "supportedUsageClasses"), "spot") {
			c.say(Error, "NotOnSpot", groupID(g), "choose another type", "node group %s: there are no %s spot instances", g.Name, t)
		}
		if g.Machine.EFA && !fleet.Flag(p, "networkInfo", "efaSupported") {
			c.say(Error, "NoEFA", groupID(g), "choose another type", "node group %s: %s has no Elastic Fabric Adapter", g.Name, t)
		}
		if offersRead {
			c.offered(g, t, offered)
		}
	}
}

// arch is the architecture of EKS's AMI types; "" where it is not known.
func arch(amiType string) string {
	switch {
	case strings.Contains(strings.ToUpper(amiType), "ARM_64") || strings.Contains(amiType, "ARM64"):
		return "arm64"
	case strings.Contains(amiType, "x86_64") || strings.HasPrefix(amiType, "WINDOWS"):
		return "x86_64"
	}
	return ""
}

// offered compares where a type is offered with the zones of the group's subnets.
func (c *check) offered(g fleet.NodeGroupSpec, instanceType string, offered fleet.Props) {
	var here, missing []string
	for _, o := range fleet.Items(offered, "offerings") {
		if fleet.Text(o, "instanceType") == instanceType {
			here = append(here, fleet.Text(o, "location"))
		}
	}
	some := false
	for _, id := range c.groupSubnets(g) {
		zone := c.zoneOf(id)
		switch {
		case zone == "":
		case slices.Contains(here, zone):
			some = true
		case !slices.Contains(missing, zone):
			missing = append(missing, zone)
		}
	}
	const fix = "choose another type, or zones that have it"
	switch {
	case len(missing) == 0:
	case !some && len(c.types(g)) == 1:
		c.say(Error, "TypeNotInZones", groupID(g), fix, "node group %s: %s is offered in none of its zones (%s)", g.Name, instanceType, strings.Join(missing, ", "))
	default: // Auto Scaling tries the other zones
		c.say(Warning, "TypeNotInZone", groupID(g), fix, "node group %s: %s is not offered in %s", g.Name, instanceType, strings.Join(missing, ", "))
	}
}

// image checks an AMI that is given.
func (c *check) image(g fleet.NodeGroupSpec) {
	var all []string
	for _, o := range c.groups() {
		all = append(all, o.AMI)
	}
	list, read := c.fact("images", joined(all))
	if g.AMI == "" || !read {
		return
	}
	items := fleet.Items(list, "images")
	i := slices.IndexFunc(items, func(p fleet.Props) bool { return fleet.Text(p, "imageId") == g.AMI })
	if i < 0 {
		c.say(Error, "ImageNotFound", groupID(g), "name one of Region "+c.s.Region+" that this account may use", "node group %s: image %s does not exist in %s, or this account may not use it", g.Name, g.AMI, c.s.Region)
		return
	}
	if state := fleet.Text(items[i], "state"); state != "" && state != "available" {
		c.say(Error, "ImageNotAvailable", groupID(g), "name another image", "node group %s: image %s is %s", g.Name, g.AMI, state)
	}
	for _, t := range c.types(g) {
		p, is := c.instanceType(t), fleet.Text(items[i], "architecture")
		if have := fleet.Texts(p, "processorInfo", "supportedArchitectures"); p != nil && is != "" && !slices.Contains(have, is) {
			c.say(Error, "WrongArchitecture", groupID(g), "choose an image, or instance types, of one architecture", "node group %s: image %s is for %s, and %s machines are %s", g.Name, g.AMI, is, t, strings.Join(have, ", "))
		}
	}
}

// template checks a launch template that is given. EKS refuses some of what one can say.
func (c *check) template(g fleet.NodeGroupSpec) {
	if g.Template == nil {
		return
	}
	p, read := c.fact("template", g.Template.ID+"/"+g.Template.Version)
	if !read {
		return
	}
	if p == nil {
		version := g.Template.Version
		if version == "" {
			version = "$Default"
		}
		c.say(Error, "LaunchTemplateNotFound", groupID(g), "aws ec2 describe-launch-template-versions --launch-template-id "+g.Template.ID,
			"node group %s: launch template %s has no version %s in %s", g.Name, g.Template.ID, version, c.s.Region)
		return
	}
	const fix = "make another version of the launch template"
	data, _ := fleet.At(p, "launchTemplateData").(fleet.Props)
	if g.SelfManaged {
		return
	}
	for _, bad := range []struct{ field, why string }{
		{"iamInstanceProfile", "the node role comes from the node group"}, {"instanceMarketOptions", "spot is the node group's to say"},
		{"hibernationOptions", "EKS cannot hibernate nodes"},
	} {
		if fleet.At(data, bad.field) != nil {
			c.say(Error, "LaunchTemplateRefused", groupID(g), fix, "node group %s: EKS refuses launch template %s, which says %s: %s", g.Name, g.Template.ID, bad.field, bad.why)
		}
	}
	for _, n := range fleet.Items(data, "networkInterfaces") {
		if fleet.Text(n, "subnetId") != "" {
			c.say(Error, "LaunchTemplateRefused", groupID(g), fix, "node group %s: EKS refuses launch template %s, which names a subnet: subnets are the node group's to say", g.Name, g.Template.ID)
		}
	}
	if t := fleet.Text(data, "instanceType"); t != "" && len(c.types(g)) > 0 {
		c.say(Error, "LaunchTemplateRefused", groupID(g), "name instance types in one place", "node group %s: both its launch template (%s) and the file (%s) say instance types", g.Name, t, strings.Join(c.types(g), ", "))
	}
	if image := fleet.Text(data, "imageId"); image != "" && g.AMIType != "" && g.AMIType != "CUSTOM" {
		c.say(Error, "LaunchTemplateRefused", groupID(g), "leave the AMI family out of the file", "node group %s: its launch template has image %s, so that EKS takes no AMI type (%s)", g.Name, image, g.AMIType)
	}
}
