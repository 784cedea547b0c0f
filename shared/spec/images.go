package spec

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

const defaultType = "m5.large" // eksctl's

var (
	typeName = regexp.MustCompile(`^([a-z]+[0-9]*[a-z0-9-]*)\.([a-z0-9-]+)$`)
	graviton = regexp.MustCompile(`^([a-z]+[0-9]+g[a-z]*|im4gn|is4gen|p6e-gb[0-9]+|a1)$`)
)

// Kinds of machines, as far as images differ.
const (
	x86, arm, nvidia, armNvidia, neuron, armNeuron = "x86_64", "arm64", "x86_64 nvidia", "arm64 nvidia", "x86_64 neuron", "arm64 neuron"
)

// architecture of an instance type by its family: m5, c7gn, g5.
func architecture(family string) string {
	kind := x86
	if graviton.MatchString(family) {
		kind = arm
	}
	switch {
	case strings.HasPrefix(family, "inf") || strings.HasPrefix(family, "trn"):
		return kind + " neuron"
	case strings.HasPrefix(family, "g4ad"): // AMD's, which need no image of their own
	case strings.HasPrefix(family, "gr"), len(family) > 1 && (family[0] == 'g' || family[0] == 'p') && family[1] >= '0' && family[1] <= '9':
		return kind + " nvidia"
	}
	return kind
}

// familyLetters begin the names of all families of instance types, as of 2026. New letters are rare, slips are not.
var familyLetters = []string{"a", "c", "d", "dl", "f", "g", "gr", "h", "hpc", "i", "im", "inf", "is", "m", "mac", "p", "r", "t", "trn", "u", "vt", "x", "z"}

func leadingLetters(family string) string {
	return family[:len(family)-len(strings.TrimLeft(family, "abcdefghijklmnopqrstuvwxyz"))]
}

const (
	al2023 = "AmazonLinux2023" // eksctl's default
	al2    = "AmazonLinux2"
	custom = "CUSTOM" // EKS's name for an image that is not its own
)

// amiFamilies are eksctl's.
var amiFamilies = []string{
	al2023, al2, "UbuntuPro2604", "Ubuntu2604", "UbuntuPro2404", "Ubuntu2404", "UbuntuPro2204",
	"Ubuntu2204", "UbuntuPro2004", "Ubuntu2004", "Bottlerocket", "BottlerocketFips", "WindowsServer2019CoreContainer",
	"WindowsServer2019FullContainer", "WindowsServer2022CoreContainer", "WindowsServer2022FullContainer",
	"WindowsServer2025CoreContainer", "WindowsServer2025FullContainer",
}

// amiTypes are EKS's images of each family. Bottlerocket's plain image has what Neuron needs.
var amiTypes = map[string]map[string]string{
	al2023: {
		x86: "AL2023_x86_64_STANDARD", arm: "AL2023_ARM_64_STANDARD", nvidia: "AL2023_x86_64_NVIDIA", armNvidia: "AL2023_ARM_64_NVIDIA",
		neuron: "AL2023_x86_64_NEURON",
	},
	al2: {x86: "AL2_x86_64", arm: "AL2_ARM_64", nvidia: "AL2_x86_64_GPU", neuron: "AL2_x86_64_GPU"},
	"Bottlerocket": {
		x86: "BOTTLEROCKET_x86_64", arm: "BOTTLEROCKET_ARM_64", nvidia: "BOTTLEROCKET_x86_64_NVIDIA", armNvidia: "BOTTLEROCKET_ARM_64_NVIDIA",
		neuron: "BOTTLEROCKET_x86_64", armNeuron: "BOTTLEROCKET_ARM_64",
	},
	"BottlerocketFips": {
		x86: "BOTTLEROCKET_x86_64_FIPS", arm: "BOTTLEROCKET_ARM_64_FIPS", nvidia: "BOTTLEROCKET_x86_64_NVIDIA_FIPS",
		armNvidia: "BOTTLEROCKET_ARM_64_NVIDIA_FIPS", neuron: "BOTTLEROCKET_x86_64_FIPS", armNeuron: "BOTTLEROCKET_ARM_64_FIPS",
	},
	"WindowsServer2019CoreContainer": {x86: "WINDOWS_CORE_2019_x86_64", nvidia: "WINDOWS_CORE_2019_x86_64"},
	"WindowsServer2019FullContainer": {x86: "WINDOWS_FULL_2019_x86_64", nvidia: "WINDOWS_FULL_2019_x86_64"},
	"WindowsServer2022CoreContainer": {x86: "WINDOWS_CORE_2022_x86_64", nvidia: "WINDOWS_CORE_2022_x86_64"},
	"WindowsServer2022FullContainer": {x86: "WINDOWS_FULL_2022_x86_64", nvidia: "WINDOWS_FULL_2022_x86_64"},
	"WindowsServer2025CoreContainer": {x86: "WINDOWS_CORE_2025_x86_64", nvidia: "WINDOWS_CORE_2025_x86_64"},
	"WindowsServer2025FullContainer": {x86: "WINDOWS_FULL_2025_x86_64", nvidia: "WINDOWS_FULL_2025_x86_64"},
}

func bottlerocket(family string) bool { return strings.HasPrefix(family, "Bottlerocket") }
func windows(family string) bool      { return strings.HasPrefix(family, "Windows") }
func ubuntu(family string) bool       { return strings.HasPrefix(family, "Ubuntu") }

func (v value) instanceType() string {
	s := v.text("")
	if s != "" && !typeName.MatchString(s) {
		v.wrong("%q is no instance type, like m5.large", clip(s))
	}
	return s
}

// image finds the group's kind of image for its machines; at is where these are named.
func (v value) image(c *fleet.ClusterSpec, g *fleet.NodeGroupSpec, at value) {
	family := v.at("amiFamily")
	machine := ""
	for _, t := range g.InstanceTypes {
		m := typeName.FindStringSubmatch(t)
		if m == nil {
			at.wrong("%q is no instance type, like m5.large", clip(t))
			continue
		}
		if !slices.Contains(familyLetters, leadingLetters(m[1])) {
			at.warn("%s is of no family of instance types that is known here: taken for x86_64", clip(t))
		}
		a := architecture(m[1])
		if machine != "" && a != machine && g.AMI == "" {
			at.wrong("%s needs another image than %s: make two node groups", clip(t), g.InstanceTypes[0])
		}
		machine = a
	}
	if g.Selector != nil {
		machine = machineOf(g.Selector)
	}
	if g.AMI != "" {
		g.AMIType = custom
		return
	}
	if g.Template != nil && !family.there() && machine == "" {
		return // the template has the type, and perhaps the image
	}
	if g.AMIFamily == "" {
		g.AMIFamily = al2023
	}
	types, ok := amiTypes[g.AMIFamily]
	g.AMIType = types[machine]
	switch {
	case g.AMIFamily == al2 && !older(c, 33):
		family.wrong("AWS makes EKS images of it for Kubernetes 1.32 and older only: use %s", al2023)
	case !ok: // Ubuntu: Canonical's images, looked up by family and version
		g.AMIType = custom
		if strings.Contains(machine, "neuron") {
			family.wrong("%s has no drivers for %s: use %s or Bottlerocket", g.AMIFamily, strings.Join(g.InstanceTypes, ", "), al2023)
		}
	case machine != "" && g.AMIType == "":
		family.wrong("%s has no image for %s machines: use %s", g.AMIFamily, machine, al2023)
	}
}

var (
	memory   = regexp.MustCompile(`^([0-9]+(?:\.[0-9]{1,3})?) ?([mgt])?i?b?$`)
	mebibyte = map[string]float64{"m": 1, "": 1024, "g": 1024, "t": 1024 * 1024}
)

// selector reads what instance types must offer; nil without.
func (v value) selector() *fleet.InstanceSelector {
	if !v.given() {
		return nil
	}
	s := &fleet.InstanceSelector{
		VCPUs: v.at("vCPUs").within(0, 1000), GPUs: v.at("gpus").within(0, 100), Neuron: v.at("neuron_devices").within(0, 100),
		Arch: v.at("cpuArchitecture").oneOf("", x86, "amd64", arm), Allow: v.at("allow").expression(), Deny: v.at("deny").expression(),
	}
	if s.Arch == "amd64" || s.Arch == "" { // eksctl's other name, and its default
		s.Arch = x86
	}
	if size := v.at("memory"); size.there() {
		m := memory.FindStringSubmatch(strings.ToLower(strings.TrimSpace(size.text(""))))
		if m == nil {
			size.wrong("%q must be a size like 4, 4GiB or 512MiB", clip(size.text("")))
		} else if f, err := strconv.ParseFloat(m[1], 64); err == nil && f < maxNumber {
			s.MemoryMiB = int(f * mebibyte[m[2]])
		}
	}
	return s
}

// expression is a regular expression.
func (v value) expression() string {
	s := v.text("")
	if _, err := regexp.Compile(s); err != nil || len(s) > maxExpression {
		v.wrong("%q must be a regular expression of instance types, like ^m[5-7]", clip(s))
		return ""
	}
	return s
}

// maxExpression is enough for dozens of families, and bounds the work.
const maxExpression = 1000

// machineOf is what a selector's machines are, as far as images differ.
func machineOf(s *fleet.InstanceSelector) string {
	switch {
	case s.GPUs > 0:
		return s.Arch + " nvidia"
	case s.Neuron > 0:
		return s.Arch + " neuron"
	}
	return s.Arch
}

// exclusive reads the ways to say which machines a managed group takes, of which one may be used.
func (v value) exclusive(g *fleet.NodeGroupSpec) value {
	one, many := v.at("instanceType"), v.at("instanceTypes")
	g.InstanceTypes = many.texts()
	if one.given() {
		if len(g.InstanceTypes) > 0 {
			one.wrong("and instanceTypes exclude each other: put all types into instanceTypes")
		}
		g.InstanceTypes = []string{one.text("")}
	}
	if g.Selector != nil {
		v.excludes("instanceSelector", "instanceType", "instanceTypes")
	}
	if len(g.InstanceTypes) > maxTypes {
		many.wrong("has %d types: EKS takes %d at most", len(g.InstanceTypes), maxTypes)
	}
	if len(g.InstanceTypes) == 0 && g.Selector == nil && g.Template == nil {
		g.InstanceTypes = []string{defaultType}
	}
	if one.given() {
		return one
	}
	return many
}

const maxTypes = 20
