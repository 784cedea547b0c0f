package observe

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ekspedite/ekspedite/shared/decide/upgradepath"
	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

// How long what a Region offers is believed. A new version of Kubernetes or of an add-on can wait for hours, and so can an AMI.
const (
	versionsFor = 6 * time.Hour
	releasesFor = 6 * time.Hour
	imagesFor   = time.Hour
)

// groups puts together what EKS and Auto Scaling know of node groups.
func (l *upgradeLook) groups(managed, scaled []fleet.Resource) {
	for _, m := range managed {
		g := managedGroup(m)
		for _, s := range scaled {
			if s.Tags[fleet.TagEKSNodegroup] == g.Name {
				sized(&g, s)
			}
		}
		l.o.Groups = append(l.o.Groups, g)
	}
	for _, s := range scaled {
		if s.Tags[fleet.TagEKSNodegroup] != "" {
			continue
		}
		g := upgradepath.Group{
			Name: cmp.Or(s.Tags[fleet.LabelNodeGroup], s.Name), SelfManaged: true, Pool: s.Tags[fleet.TagPool], StandsFor: s.Tags[fleet.TagStandsFor],
		}
		sized(&g, s)
		g.Template, g.TemplateVersion = templateOf(s.Props)
		for _, o := range fleet.Items(s.Props, "mixedInstancesPolicy", "launchTemplate", "overrides") {
			if t := fleet.Text(o, "instanceType"); t != "" {
				g.InstanceTypes = append(g.InstanceTypes, t)
			}
		}
		d := []string{"mixedInstancesPolicy", "instancesDistribution"}
		share, given := fleet.At(s.Props, append(d, "onDemandPercentageAboveBaseCapacity")...).(int)
		g.Spot = given && share == 0 && fleet.Int(s.Props, append(d, "onDemandBaseCapacity")...) == 0
		l.o.Groups = append(l.o.Groups, g)
	}
	slices.SortFunc(l.o.Groups, func(a, b upgradepath.Group) int { return strings.Compare(a.Name, b.Name) })
	byMember := map[string]string{}
	for _, g := range l.o.Groups {
		if !g.SelfManaged {
			continue
		}
		for _, id := range g.Members {
			byMember[id] = g.Name
		}
	}
	for i, n := range l.o.Nodes {
		if group := byMember[n.InstanceID]; group != "" {
			l.o.Nodes[i].Kind, l.o.Nodes[i].Group = upgradepath.NodeSelfManaged, group
		}
	}
}

// managedGroup is a node group of EKS's.
func managedGroup(m fleet.Resource) upgradepath.Group {
	p := m.Props
	g := upgradepath.Group{
		Name: m.Name, Release: fleet.Text(p, "releaseVersion"), AMIType: fleet.Text(p, "amiType"), Status: m.Status, Issues: m.Issues,
		Template: fleet.Text(p, "launchTemplate", "id"), TemplateVersion: fleet.Text(p, "launchTemplate", "version"),
		Min: fleet.Int(p, "scalingConfig", "minSize"), Desired: fleet.Int(p, "scalingConfig", "desiredSize"), Max: fleet.Int(p, "scalingConfig", "maxSize"),
		MaxUnavailable: fleet.Int(p, "updateConfig", "maxUnavailable"), MaxUnavailablePercent: fleet.Int(p, "updateConfig", "maxUnavailablePercentage"),
		UpdateStrategy: fleet.Text(p, "updateConfig", "updateStrategy"),
		Spot:           fleet.Text(p, "capacityType") == "SPOT", InstanceTypes: fleet.Texts(p, "instanceTypes"),
		Pool: m.Tags[fleet.TagPool], StandsFor: m.Tags[fleet.TagStandsFor], Zones: len(fleet.Texts(p, "subnets")), // until Auto Scaling says
	}
	g.Version, _ = fleet.ParseMinor(fleet.Text(p, "version"))
	if g.Custom() {
		g.Release = "" // the image's id, in EKS's words
	}
	return g
}

// sized takes over what Auto Scaling knows: the sizes, which EKS keeps up with, and where machines may be.
func sized(g *upgradepath.Group, s fleet.Resource) {
	g.AutoScalingGroup = s.Name
	g.Min, g.Desired, g.Max = fleet.Int(s.Props, "minSize"), fleet.Int(s.Props, "desiredCapacity"), fleet.Int(s.Props, "maxSize")
	g.Zones = len(fleet.Texts(s.Props, "availabilityZones"))
	for _, i := range fleet.Items(s.Props, "instances") {
		g.Members = append(g.Members, fleet.Text(i, "instanceId"))
	}
	slices.Sort(g.Members)
}

// templateOf is the launch template of an Auto Scaling group.
func templateOf(p fleet.Props) (id, version string) {
	for _, path := range [][]string{{"launchTemplate"}, {"mixedInstancesPolicy", "launchTemplate", "launchTemplateSpecification"}} {
		if id := fleet.Text(p, append(path, "launchTemplateId")...); id != "" {
			return id, cmp.Or(fleet.Text(p, append(path, "version")...), "$Default")
		}
	}
	return "", ""
}

// details reads what follows from what was found, all at once.
func (l *upgradeLook) details(managed []fleet.Resource, minors []fleet.Minor) {
	var wg sync.WaitGroup
	wg.Go(func() {
		l.templates()
		l.images(minors)
	})
	wg.Go(l.releases)
	for _, m := range managed {
		if m.Status == "UPDATING" {
			wg.Go(func() { l.childUpdates("nodegroup", m.Name) })
		}
	}
	for _, a := range l.o.Addons {
		if a.Status == "UPDATING" {
			wg.Go(func() { l.childUpdates("addon", a.Name) })
		}
	}
	wg.Wait()
	slices.SortStableFunc(l.o.Busy, func(a, b upgradepath.Busy) int { return strings.Compare(a.Subject, b.Subject) })
}

// releases reads the versions of each add-on of the cluster.
func (l *upgradeLook) releases() {
	found := make([][]fleet.AddonRelease, len(l.o.Addons))
	var all []int
	for i := range l.o.Addons {
		all = append(all, i)
	}
	parallel(updatesAtOnce, all, func(i int) {
		name := l.o.Addons[i].Name
		var err error
		found[i], err = kept(l.ctx, l.offers, "addon/"+name, releasesFor, func(ctx context.Context) ([]fleet.AddonRelease, error) { return l.aws.Releases(ctx, name) })
		if err != nil {
			l.missing("releases/"+name, err)
		}
	})
	l.mu.Lock()
	defer l.mu.Unlock()
	l.o.Releases = map[string][]fleet.AddonRelease{}
	for i, list := range found {
		if len(list) > 0 {
			l.o.Releases[l.o.Addons[i].Name] = list
		}
	}
}

// templates reads the numbers of launch templates' versions, what self-managed groups' machines are made from, and which
// releases nodes were.
func (l *upgradeLook) templates() {
	var ids []string
	for _, g := range l.o.Groups {
		if g.Template != "" && !slices.Contains(ids, g.Template) {
			ids = append(ids, g.Template)
		}
	}
	if len(ids) > 0 {
		numbers, err := l.aws.LaunchTemplates(l.ctx, ids)
		if err != nil {
			l.missing(PartUpgradeTemplates, err)
		}
		for i, g := range l.o.Groups {
			p := numbers[g.Template]
			if p == nil {
				continue
			}
			l.o.Groups[i].TemplateNewest = number(p, "latestVersionNumber")
			switch g.TemplateVersion {
			case "$Default":
				l.o.Groups[i].TemplateVersion = number(p, "defaultVersionNumber")
			case "$Latest":
				l.o.Groups[i].TemplateVersion = number(p, "latestVersionNumber")
			}
		}
	}
	of := l.imagesOfGroups()
	asked := slices.Concat(of, nil)
	for _, n := range l.o.Nodes {
		if n.Release != "" && !slices.Contains(asked, n.Release) {
			asked = append(asked, n.Release)
		}
	}
	asked = slices.DeleteFunc(asked, func(id string) bool { return id == "" })
	images, err := map[string]fleet.NodeImage{}, error(nil)
	if len(asked) > 0 {
		if images, err = l.aws.NodeImages(l.ctx, asked); err != nil {
			l.missing(PartUpgradeTemplates, err)
		}
	}
	for i, n := range l.o.Nodes {
		l.o.Nodes[i].Release = images[n.Release].Release
	}
	for i, id := range of {
		if image, ok := images[id]; ok {
			g := &l.o.Groups[i]
			g.AMIType, g.Version, g.Release = image.AMIType, image.Minor, image.Release
		}
	}
}

// imagesOfGroups are the images of self-managed groups, by their index; "" of all others.
func (l *upgradeLook) imagesOfGroups() []string {
	out := make([]string, len(l.o.Groups))
	var own []int
	for i, g := range l.o.Groups {
		if g.SelfManaged && g.Template != "" {
			own = append(own, i)
		}
	}
	parallel(updatesAtOnce, own, func(i int) {
		g := l.o.Groups[i]
		p, err := l.aws.LaunchTemplate(l.ctx, g.Template, g.TemplateVersion)
		if err != nil {
			l.missing(PartUpgradeTemplates+"/"+g.Name, err)
			return
		}
		out[i] = fleet.Text(p, "launchTemplateData", "imageId")
		if t := fleet.Text(p, "launchTemplateData", "instanceType"); t != "" && len(g.InstanceTypes) == 0 {
			l.o.Groups[i].InstanceTypes = []string{t} // each its own group
		}
	})
	return out
}

// number is a whole number as text.
func number(p fleet.Props, path ...string) string {
	if n := fleet.Int(p, path...); n > 0 {
		return fmt.Sprint(n)
	}
	return ""
}

// images reads the newest images of the groups' AMI types for the minors.
func (l *upgradeLook) images(minors []fleet.Minor) {
	if len(minors) > 0 {
		minors = append([]fleet.Minor{l.o.Version}, minors...) // what is new within its own is of interest in any case
	} else {
		for _, v := range l.o.Versions {
			if v.Minor >= l.o.Version {
				minors = append(minors, v.Minor)
			}
		}
	}
	var keys []string
	type wanted struct {
		kind  string
		minor fleet.Minor
	}
	of := map[string]wanted{}
	for _, g := range l.o.Groups {
		for _, m := range minors {
			key := g.AMIType + "/" + m.String()
			if _, ok := of[key]; ok || g.AMIType == "" || g.Custom() {
				continue
			}
			of[key], keys = wanted{g.AMIType, m}, append(keys, key)
		}
	}
	out := map[string]upgradepath.Image{}
	parallel(updatesAtOnce, keys, func(key string) {
		w := of[key]
		image, err := kept(l.ctx, l.offers, "image/"+key, imagesFor, func(ctx context.Context) (upgradepath.Image, error) {
			i, err := l.aws.NewestImage(ctx, w.kind, w.minor)
			return i, fault.Ignore(err, fault.NotFound) // that there is none is kept, too
		})
		if err != nil {
			l.missing("images/"+key, err)
			return
		}
		if image.Release != "" {
			l.mu.Lock()
			out[key] = image
			l.mu.Unlock()
		}
	})
	l.o.Images = out
}
