package eks

import (
	"regexp"
	"strings"
)

// amiType is what an AMI type of node groups asks of its machines.
type amiType struct {
	arch        string
	accelerator string // "nvidia", "neuron" or none
}

// amiTypes are EKS's. The images of all are the same here: a stand-in for a kubelet runs on the node. So a node with an
// accelerated image has no device in its capacity until a device plugin says otherwise, as with AL2023, and a Windows
// node is one by its labels only.
var amiTypes = map[string]amiType{
	"AL2_x86_64": {arch: "x86_64"}, "AL2_x86_64_GPU": {"x86_64", "nvidia"}, "AL2_ARM_64": {arch: "arm64"},
	"AL2023_x86_64_STANDARD": {arch: "x86_64"}, "AL2023_ARM_64_STANDARD": {arch: "arm64"},
	"AL2023_x86_64_NEURON": {"x86_64", "neuron"}, "AL2023_x86_64_NVIDIA": {"x86_64", "nvidia"}, "AL2023_ARM_64_NVIDIA": {"arm64", "nvidia"},
	"BOTTLEROCKET_x86_64": {arch: "x86_64"}, "BOTTLEROCKET_ARM_64": {arch: "arm64"},
	"BOTTLEROCKET_x86_64_FIPS": {arch: "x86_64"}, "BOTTLEROCKET_ARM_64_FIPS": {arch: "arm64"},
	"BOTTLEROCKET_x86_64_NVIDIA": {"x86_64", "nvidia"}, "BOTTLEROCKET_ARM_64_NVIDIA": {"arm64", "nvidia"},
	"BOTTLEROCKET_x86_64_NVIDIA_FIPS": {"x86_64", "nvidia"}, "BOTTLEROCKET_ARM_64_NVIDIA_FIPS": {"arm64", "nvidia"},
	"WINDOWS_CORE_2019_x86_64": {arch: "x86_64"}, "WINDOWS_FULL_2019_x86_64": {arch: "x86_64"},
	"WINDOWS_CORE_2022_x86_64": {arch: "x86_64"}, "WINDOWS_FULL_2022_x86_64": {arch: "x86_64"},
	"WINDOWS_CORE_2025_x86_64": {arch: "x86_64"}, "WINDOWS_FULL_2025_x86_64": {arch: "x86_64"},
	"CUSTOM": {},
}

// lastAL2 is the newest Kubernetes minor with Amazon Linux 2 images.
const lastAL2 = 32

func isWindows(ami string) bool { return strings.HasPrefix(ami, "WINDOWS_") }

var (
	nvidiaTypes = regexp.MustCompile(`^(p\d|g\d|gr\d)`)
	neuronTypes = regexp.MustCompile(`^(inf|trn)\d`)
)

// accelerator is what an instance type has of devices, by its family.
func accelerator(instanceType string) string {
	switch {
	case nvidiaTypes.MatchString(instanceType):
		return "nvidia"
	case neuronTypes.MatchString(instanceType):
		return "neuron"
	}
	return ""
}

// windowsBuilds are the builds that nodes show in the label node.kubernetes.io/windows-build.
var windowsBuilds = map[string]string{"2019": "10.0.17763", "2022": "10.0.20348", "2025": "10.0.26100"}

func windowsBuild(ami string) string { return windowsBuilds[strings.Split(ami, "_")[2]] }

// latest is the newest image release of an AMI type for a Kubernetes minor, in the form that its vendor gives it.
func (s *Service) latest(r release, ami string) string {
	if i, ok := s.images().NewestImage(ami, r.version); ok {
		return i.Release
	}
	return r.releaseVersion() // of an image that EC2's catalogue lacks
}

var (
	releaseForm      = regexp.MustCompile(`^1\.\d+\.\d+-\d{8}$`)
	bottlerocketForm = regexp.MustCompile(`^1\.\d+\.\d+-[0-9a-f]{8}$`)
	windowsForm      = regexp.MustCompile(`^1\.\d+-\d{4}\.\d{2}\.\d{2}$`)
)

// checkRelease refuses an image release that the AMI type has not for the Kubernetes minor. The catalogue has not all of
// AWS's history: every release of the right form is taken for an older one. A Bottlerocket release is no sign of its minor.
func (s *Service) checkRelease(r release, cluster, ami, version string) error {
	form, of := releaseForm, r.version+"."
	switch {
	case strings.HasPrefix(ami, "BOTTLEROCKET_"):
		form, of = bottlerocketForm, ""
	case isWindows(ami):
		form, of = windowsForm, r.version+"-"
	}
	switch {
	case !form.MatchString(version):
		return invalidParameter(cluster, "Requested Nodegroup release version %s is invalid. Allowed release version is %s", version, s.latest(r, ami))
	case !strings.HasPrefix(version, of):
		return invalidParameter(cluster, "Requested release version %s is not valid for kubernetes version %s", version, r.version)
	}
	return nil
}
