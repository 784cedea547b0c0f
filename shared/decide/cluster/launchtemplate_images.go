package cluster

import (
	"regexp"
	"strings"

	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/plan"
)

func isWindows(g fleet.NodeGroupSpec) bool { return strings.HasPrefix(g.AMIFamily, "Windows") }
func isUbuntu(g fleet.NodeGroupSpec) bool  { return strings.HasPrefix(g.AMIFamily, "Ubuntu") }
func isBottlerocket(g fleet.NodeGroupSpec) bool {
	return strings.HasPrefix(g.AMIFamily, "Bottlerocket")
}
func isAL2023(g fleet.NodeGroupSpec) bool { return g.AMIFamily == "AmazonLinux2023" }

// kubernetesVersion stands for the version in the names of parameters.
const kubernetesVersion = "VERSION"

// eksOptimized are EKS's images of Amazon Linux by AMI type.
var eksOptimized = map[string]string{
	"AL2023_x86_64_STANDARD": "amazon-linux-2023/x86_64/standard", "AL2023_ARM_64_STANDARD": "amazon-linux-2023/arm64/standard",
	"AL2023_x86_64_NVIDIA": "amazon-linux-2023/x86_64/nvidia", "AL2023_ARM_64_NVIDIA": "amazon-linux-2023/arm64/nvidia",
	"AL2023_x86_64_NEURON": "amazon-linux-2023/x86_64/neuron",
	"AL2_x86_64":           "amazon-linux-2", "AL2_ARM_64": "amazon-linux-2-arm64", "AL2_x86_64_GPU": "amazon-linux-2-gpu",
}

// imageOf names the image that a group's machines are made from, where the template has to have one: an image id, or the
// public parameter of Systems Manager that has the newest, with VERSION for the version of Kubernetes. "" leaves the image
// to EKS.
func imageOf(g fleet.NodeGroupSpec) string {
	switch {
	case g.AMI != "":
		return g.AMI
	case isUbuntu(g):
		return ubuntuImage(g)
	case !g.SelfManaged:
		return ""
	case isBottlerocket(g):
		kind, arch := "aws-k8s-"+kubernetesVersion, "x86_64"
		if strings.Contains(g.AMIType, "NVIDIA") {
			kind += "-nvidia"
		}
		if strings.HasSuffix(g.AMIType, "FIPS") {
			kind += "-fips"
		}
		if strings.Contains(g.AMIType, "ARM_64") {
			arch = "arm64"
		}
		return "/aws/service/bottlerocket/" + kind + "/" + arch + "/latest/image_id"
	case isWindows(g): // WINDOWS_CORE_2022_x86_64
		part := strings.Split(g.AMIType, "_")
		if len(part) < 3 {
			return ""
		}
		kind := map[string]string{"CORE": "Core", "FULL": "Full"}[part[1]]
		return "/aws/service/ami-windows-latest/Windows_Server-" + part[2] + "-English-" + kind + "-EKS_Optimized-" + kubernetesVersion + "/image_id"
	}
	return "/aws/service/eks/optimized-ami/" + kubernetesVersion + "/" + eksOptimized[g.AMIType] + "/recommended/image_id"
}

// ReleaseParameter is the public parameter of Systems Manager that has the newest AMI release of one of EKS's AMI types for a
// version of Kubernetes; "" where AWS publishes none.
func ReleaseParameter(amiType, version string) string {
	g := fleet.NodeGroupSpec{SelfManaged: true, AMIType: amiType}
	release := "release_version"
	switch {
	case strings.HasPrefix(amiType, "BOTTLEROCKET_"):
		g.AMIFamily, release = "Bottlerocket", "image_version"
	case strings.HasPrefix(amiType, "WINDOWS_"):
		g.AMIFamily = "Windows"
	case eksOptimized[amiType] == "":
		return ""
	}
	name := strings.Replace(imageOf(g), kubernetesVersion, version, 1)
	if name = strings.TrimSuffix(name, "image_id"); name == "" {
		return ""
	}
	return name + release
}

// ubuntuImage is Canonical's: Ubuntu2404, UbuntuPro2204.
func ubuntuImage(g fleet.NodeGroupSpec) string {
	product, release := "eks", strings.TrimPrefix(g.AMIFamily, "Ubuntu")
	if pro, ok := strings.CutPrefix(release, "Pro"); ok {
		product, release = "eks-pro", pro
	}
	if len(release) != 4 {
		return ""
	}
	arch, disk := "amd64", "ebs-gp3"
	if architectureOf(g) == "arm64" {
		arch = "arm64"
	}
	if release < "2404" {
		disk = "ebs-gp2"
	}
	return "/aws/service/canonical/ubuntu/" + product + "/" + release[:2] + "." + release[2:] + "/" + kubernetesVersion + "/stable/current/" + arch + "/hvm/" + disk + "/ami-id"
}

var graviton = regexp.MustCompile(`^([a-z]+[0-9]+g[a-z]*|im4gn|is4gen|p6e-gb[0-9]+|a1)\.`)

// architectureOf is what the processors of a group's machines are.
func architectureOf(g fleet.NodeGroupSpec) string {
	if g.Selector != nil {
		return g.Selector.Arch
	}
	if len(g.InstanceTypes) > 0 && graviton.MatchString(g.InstanceTypes[0]) {
		return "arm64"
	}
	return "x86_64"
}

// image is the id of the image of new machines, "" if EKS chooses it. The newest is only taken when a template is made with
// another image than before: a new one every week would replace all nodes every week.
func (b *builder) image(g fleet.NodeGroupSpec) string {
	name := b.parameter(g)
	if !strings.HasPrefix(name, "/") {
		return name
	}
	if id := b.o.Market.Images[name]; id != "" {
		return id
	}
	if b.asks != nil {
		b.asks.Images = union(b.asks.Images, []string{name})
	}
	return plan.Unknown("image " + name)
}

// parameter is the name of the parameter that has the group's image, for the cluster's version of Kubernetes; or the image.
func (b *builder) parameter(g fleet.NodeGroupSpec) string {
	name, version := imageOf(g), b.s.Version
	if c := b.o.Control(); c != nil {
		version = fleet.Text(c.Props, "version")
	}
	if strings.HasPrefix(name, "/") && version == "" {
		return plan.Unknown("image") // of a version that EKS will choose
	}
	return strings.Replace(name, kubernetesVersion, version, 1)
}

// noImage says that there is none, if that is known.
func (b *builder) noImage(g fleet.NodeGroupSpec) string {
	name := b.parameter(g)
	if id, asked := b.o.Market.Images[name]; asked && id == "" {
		return "AWS has no image of " + g.AMIFamily + " for this version of Kubernetes (Systems Manager's parameter " + name + "): use another amiFamily, or name an image in ami"
	}
	return ""
}
