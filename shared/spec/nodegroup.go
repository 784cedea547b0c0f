package spec

import (
	"regexp"
	"slices"
	"strings"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

var (
	groupName    = regexp.MustCompile(`^[0-9A-Za-z][A-Za-z0-9_-]{0,62}$`)
	instanceType = regexp.MustCompile(`^([a-z]+[0-9]*[a-z0-9-]*)\.([a-z0-9-]+)$`)
	graviton     = regexp.MustCompile(`^([a-z]+[0-9]+g[a-z]*|a1)$`)
	labelName    = regexp.MustCompile(`^([a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$`)
	labelValue   = regexp.MustCompile(`^([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?$`)
)

const (
	defaultType = "m5.large" // eksctl's, like the size of two and the disk
	defaultSize = 2
	defaultDisk = 80
)

// nodeGroup reads one of managedNodeGroups.
func (v value) nodeGroup(c fleet.ClusterSpec) fleet.NodeGroupSpec {
	var g fleet.NodeGroupSpec
	name := v.at("name")
	if g.Name = name.text(""); !groupName.MatchString(g.Name) {
		name.wrong("%q must be the node group's name: letters, digits, - and _, up to 63, a letter or digit first", clip(g.Name))
	}
	v.machines(&g)
	v.size(&g)
	g.Labels = v.at("labels").labels(c.Name, g.Name)
	g.Taints = v.at("taints").taints()
	g.Tags = v.at("tags").tags()
	if len(g.Tags)+len(c.Tags) > maxTags {
		v.at("tags").wrong("are %d together with metadata.tags: at most %d are possible beside ekspedite's own", len(g.Tags)+len(c.Tags), maxTags)
	}
	if g.DiskGiB = v.at("volumeSize").number(1); g.DiskGiB < 0 {
		g.DiskGiB = defaultDisk
	}
	private := v.at("privateNetworking")
	if g.Private = private.boolean(false); g.Private && c.Network.NAT == fleet.NATDisable {
		private.wrong("private subnets need a way out: set vpc.nat.gateway to Single or HighlyAvailable")
	}
	zones := v.at("availabilityZones")
	g.Zones = zones.zones(c.Region)
	for _, z := range g.Zones {
		if len(c.Network.Zones) == 0 {
			zones.wrong("name the cluster's zones, too, so that %s is sure to be one of them: availabilityZones of the ClusterConfig", clip(z))
			break
		}
		if !slices.Contains(c.Network.Zones, z) {
			zones.wrong("%s is none of the cluster's zones: %s", clip(z), strings.Join(c.Network.Zones, ", "))
		}
	}
	v.updates(&g)
	return g
}

func (v value) updates(g *fleet.NodeGroupSpec) {
	count, share := v.at("updateConfig", "maxUnavailable"), v.at("updateConfig", "maxUnavailablePercentage")
	g.MaxUnavailable, g.MaxUnavailablePercent = max(0, count.number(1)), max(0, share.number(1))
	if g.MaxUnavailable > 0 && g.MaxUnavailablePercent > 0 {
		share.wrong("and maxUnavailable exclude each other: drop one")
	}
	if g.MaxUnavailable > 100 {
		count.wrong("%d: EKS replaces 100 nodes at once at most", g.MaxUnavailable)
	}
	if g.MaxUnavailablePercent > 100 {
		share.wrong("%d is more than 100 per cent", g.MaxUnavailablePercent)
	}
}

// machines reads instance types and image.
func (v value) machines(g *fleet.NodeGroupSpec) {
	one, many := v.at("instanceType"), v.at("instanceTypes")
	g.Spot = v.at("spot").boolean(false)
	g.InstanceTypes = many.texts()
	if one.there() {
		if len(g.InstanceTypes) > 0 {
			one.wrong("and instanceTypes exclude each other: put all types into instanceTypes")
		}
		g.InstanceTypes = []string{one.text("")}
	}
	if len(g.InstanceTypes) == 0 {
		g.InstanceTypes = []string{defaultType}
	}
	if len(g.InstanceTypes) > 20 {
		many.wrong("has %d types: EKS takes 20 at most", len(g.InstanceTypes))
	}
	at := many
	if one.there() {
		at = one
	}
	arch := ""
	for _, t := range g.InstanceTypes {
		m := instanceType.FindStringSubmatch(t)
		if m == nil {
			at.wrong("%q is no instance type, like m5.large", clip(t))
			continue
		}
		a := architecture(m[1])
		if arch != "" && a != arch {
			at.wrong("%s needs another image than %s: make two node groups", clip(t), g.InstanceTypes[0])
		}
		arch = a
	}
	family := v.at("amiFamily")
	f := family.oneOf("AmazonLinux2023", amiFamilies...)
	types, ok := amiTypes[f]
	switch {
	case f == "AmazonLinux2":
		family.wrong("AWS no longer makes EKS images of it: use AmazonLinux2023")
	case !ok:
		family.wrong("%s is not supported yet: use AmazonLinux2023 or Bottlerocket", f)
	case types[arch] == "" && arch != "":
		family.wrong("%s has no image for %s: use AmazonLinux2023", f, clip(g.InstanceTypes[0]))
	}
	g.AMIType = types[arch]
}

// Architectures, as far as images differ.
const (
	x86, arm, nvidia, neuron = "x86_64", "arm64", "nvidia", "neuron"
)

// architecture of an instance type by its family: m5, c7gn, g5.
func architecture(family string) string {
	switch {
	case graviton.MatchString(family) && !strings.HasPrefix(family, "g5g"):
		return arm
	case strings.HasPrefix(family, "inf") || strings.HasPrefix(family, "trn"):
		return neuron
	case len(family) > 1 && (family[0] == 'g' || family[0] == 'p') && family[1] >= '0' && family[1] <= '9':
		return nvidia
	}
	return x86
}

var amiTypes = map[string]map[string]string{
	"AmazonLinux2023": {
		x86: "AL2023_x86_64_STANDARD", arm: "AL2023_ARM_64_STANDARD", nvidia: "AL2023_x86_64_NVIDIA", neuron: "AL2023_x86_64_NEURON",
	},
	"Bottlerocket": {
		x86: "BOTTLEROCKET_x86_64", arm: "BOTTLEROCKET_ARM_64", nvidia: "BOTTLEROCKET_x86_64_NVIDIA",
	},
}

// amiFamilies are eksctl's.
var amiFamilies = []string{
	"AmazonLinux2023", "AmazonLinux2", "UbuntuPro2604", "Ubuntu2604", "UbuntuPro2404", "Ubuntu2404", "UbuntuPro2204",
	"Ubuntu2204", "UbuntuPro2004", "Ubuntu2004", "Bottlerocket", "BottlerocketFips", "WindowsServer2019CoreContainer",
	"WindowsServer2019FullContainer", "WindowsServer2022CoreContainer", "WindowsServer2022FullContainer",
	"WindowsServer2025CoreContainer", "WindowsServer2025FullContainer",
}

// size reads min, max and desired, with eksctl's defaults.
func (v value) size(g *fleet.NodeGroupSpec) {
	minSize, maxSize, desired := v.at("minSize"), v.at("maxSize"), v.at("desiredCapacity")
	g.Min, g.Max, g.Desired = minSize.number(0), maxSize.number(1), desired.number(0)
	switch {
	case g.Min < 0 && g.Desired < 0 && g.Max >= 0:
		g.Min = min(defaultSize, g.Max)
	case g.Min < 0 && g.Desired < 0:
		g.Min = defaultSize
	case g.Min < 0:
		g.Min = g.Desired
		if g.Max >= 0 {
			g.Min = min(g.Desired, g.Max)
		}
	}
	if g.Desired < 0 {
		g.Desired = g.Min
	}
	if g.Max < 0 {
		g.Max = max(g.Desired, g.Min, 1)
	}
	switch {
	case g.Min > g.Max:
		minSize.wrong("%d is more than maxSize %d", g.Min, g.Max)
	case g.Desired < g.Min:
		desired.wrong("%d is less than minSize %d", g.Desired, g.Min)
	case g.Desired > g.Max:
		desired.wrong("%d is more than maxSize %d", g.Desired, g.Max)
	}
	if g.Max > 450 {
		maxSize.wrong("%d: a managed node group has 450 nodes at most, without a raised quota", g.Max)
	}
}

// labels are the spec's and the two that eksctl gives, which workloads select by.
func (v value) labels(cluster, group string) map[string]string {
	labels := v.textMap()
	if labels == nil {
		labels = map[string]string{}
	}
	for k, val := range labels {
		domain, _, ok := strings.Cut(k, "/")
		switch {
		case !labelName.MatchString(k) || !labelValue.MatchString(val):
			v.wrong("%q: %q is no Kubernetes label", clip(k), clip(val))
		case ok && slices.ContainsFunc([]string{"kubernetes.io", "k8s.io", "eks.amazonaws.com"}, func(r string) bool {
			return domain == r || strings.HasSuffix(domain, "."+r)
		}):
			v.wrong("%q: EKS does not take labels of kubernetes.io, k8s.io and eks.amazonaws.com: use a name of your own", clip(k))
		}
	}
	labels[fleet.LabelCluster], labels[fleet.LabelNodeGroup] = cluster, group
	return labels
}

var effects = []string{"NoSchedule", "PreferNoSchedule", "NoExecute"}

// taints are a list with key, value and effect; or, in eksctl's older form, a mapping of keys to "value:effect".
func (v value) taints() []fleet.Taint {
	var out []fleet.Taint
	if v.there() && v.n.Kind == mapping {
		for _, p := range v.r.pairs(v.n, 0) {
			v.r.used[p.key] = true
			item := value{v.r, p.value, join(v.path, p.key.Value), p.key.Line}
			val, effect, _ := strings.Cut(item.text(""), ":")
			if !slices.Contains(effects, effect) {
				item.wrong("must be \"value:effect\", the effect one of %s", strings.Join(effects, ", "))
			}
			out = append(out, fleet.Taint{Key: p.key.Value, Value: val, Effect: effect})
		}
		return out
	}
	for _, item := range v.mappings() {
		t := fleet.Taint{Key: item.at("key").text(""), Value: item.at("value").text(""), Effect: item.at("effect").oneOf("", effects...)}
		if !item.at("effect").there() {
			item.at("effect").wrong("is missing: one of %s", strings.Join(effects, ", "))
		}
		if !labelName.MatchString(t.Key) || !labelValue.MatchString(t.Value) {
			item.wrong("key %q with value %q is no taint", clip(t.Key), clip(t.Value))
		}
		out = append(out, t)
	}
	if len(out) > 50 {
		v.wrong("are %d: EKS takes 50 at most", len(out))
	}
	return out
}
