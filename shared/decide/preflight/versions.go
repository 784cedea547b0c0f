package preflight

import (
	"slices"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

// soon is how long before the end of its support a version is called old.
const soon = 60 * 24 * time.Hour

// Prices of a control plane, USD an hour, in all Regions. https://aws.amazon.com/eks/pricing/
const (
	standardPrice = "0.10"
	extendedPrice = "0.60"
)

func (a *asker) versions() {
	if a.creates() {
		a.ask("versions", "")
	}
	for _, n := range a.addons() {
		a.ask("addon", n.Name+"@"+a.s.Version)
	}
}

// addons are those that the plan makes.
func (c *check) addons() (out []fleet.AddonSpec) {
	for _, spec := range c.s.Addons {
		for _, call := range c.made("eks:CreateAddon") {
			if fleet.Text(call.Input, "addonName") == spec.Name {
				out = append(out, spec)
				break
			}
		}
	}
	return out
}

// versions checks the version of Kubernetes, of add-ons and of AMI releases.
func (c *check) versions() {
	c.kubernetes()
	for _, a := range c.addons() {
		c.addon(a)
	}
	for _, g := range c.groups() {
		if v := g.ReleaseVersion; v != "" && c.s.Version != "" && strings.HasPrefix(g.AMIType, "AL2") && !strings.HasPrefix(v, c.s.Version+".") {
			c.say(Error, "ReleaseVersion", groupID(g), "name a release of "+c.s.Version, "node group %s: AMI release %s is not for Kubernetes %s", g.Name, v, c.s.Version)
		}
		if strings.HasPrefix(g.AMIType, "AL2_") && c.minor() >= 33 {
			c.say(Error, "AMITypeGone", groupID(g), "use AmazonLinux2023 or Bottlerocket", "node group %s: EKS has no Amazon Linux 2 images for Kubernetes 1.33 and later", g.Name)
		}
	}
}

// minor is the minor version that the file names; 0 without.
func (c *check) minor() int {
	if n := fleet.VersionNumbers(c.s.Version); len(n) > 1 {
		return n[1]
	}
	return 0
}

// kubernetes checks the version of a control plane that is made.
func (c *check) kubernetes() {
	p, read := c.fact("versions", "")
	if !read || !c.creates() {
		return
	}
	var offered []string
	var v fleet.Props
	for _, o := range fleet.Items(p, "clusterVersions") {
		offered = append(offered, fleet.Text(o, "clusterVersion"))
		if fleet.Text(o, "clusterVersion") == c.s.Version || c.s.Version == "" && fleet.Flag(o, "defaultVersion") {
			v = o
		}
	}
	slices.Sort(offered)
	name, status := fleet.Text(v, "clusterVersion"), strings.ToUpper(fleet.Text(v, "versionStatus"))
	standard, extended := date(v, "endOfStandardSupportDate"), date(v, "endOfExtendedSupportDate")
	switch {
	case v == nil && c.s.Version == "": // EKS will choose
	case v == nil, status == "UNSUPPORTED":
		c.say(Error, "VersionNotOffered", "cluster", "name one of "+strings.Join(offered, ", "), "EKS does not offer Kubernetes %s", c.s.Version)
	case status == "EXTENDED_SUPPORT":
		c.say(Warning, "VersionInExtendedSupport", "cluster", "use a newer version", "Kubernetes %s is in extended support: its control plane costs $%s an hour instead of $%s", name, extendedPrice, standardPrice)
		if !extended.IsZero() && extended.Sub(c.f.Now) < soon {
			c.say(Warning, "VersionEnds", "cluster", "use a newer version", "extended support of Kubernetes %s ends on %s: EKS upgrades the cluster by itself then", name, extended.Format(time.DateOnly))
		}
		if c.s.SupportType == "STANDARD" {
			c.say(Error, "VersionEnds", "cluster", "use a newer version, or upgradePolicy.supportType: EXTENDED", "Kubernetes %s has no standard support any more, which the file asks for", name)
		}
	case !standard.IsZero() && standard.Sub(c.f.Now) < soon:
		c.say(Warning, "VersionEnds", "cluster", "use a newer version", "standard support of Kubernetes %s ends on %s: its control plane costs $%s an hour then, or EKS upgrades it by itself with upgradePolicy STANDARD", name, standard.Format(time.DateOnly), extendedPrice)
	}
}

func date(p fleet.Props, key string) time.Time {
	t, err := time.Parse(time.RFC3339, fleet.Text(p, key))
	if err != nil {
		return time.Time{}
	}
	return t
}

// addon checks that EKS has an add-on in the version that is wanted.
func (c *check) addon(a fleet.AddonSpec) {
	p, read := c.fact("addon", a.Name+"@"+c.s.Version)
	if !read {
		return
	}
	list := fleet.Texts(p, "versions")
	id := "addon/" + a.Name
	if len(list) == 0 {
		kubernetes := ""
		if c.s.Version != "" {
			kubernetes = " for Kubernetes " + c.s.Version
		}
		c.say(Error, "AddonNotFound", id, "aws eks describe-addon-versions", "EKS has no add-on %s%s", a.Name, kubernetes)
		return
	}
	if a.Version == "" || a.Version == "latest" {
		return
	}
	want := strings.TrimPrefix(a.Version, "v")
	if !slices.ContainsFunc(list, func(v string) bool { return strings.HasPrefix(strings.TrimPrefix(v, "v"), want) }) {
		c.say(Error, "AddonVersion", id, "name one of "+strings.Join(list[:min(3, len(list))], ", "), "add-on %s has no version %s for Kubernetes %s", a.Name, a.Version, c.s.Version)
	}
}
