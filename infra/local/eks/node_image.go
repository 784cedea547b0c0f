package eks

import (
	"regexp"
	"strings"
)

// What a node says of its image. Which kernel and which containerd AWS put into which image is not in one public place: the
// minors at which they change here are a choice, so that software that reads them sees a change at a known place.
const (
	newKernelSince     = 33 // Amazon Linux 2023 with kernel 6.12 instead of 6.1
	containerd2Since   = 33
	containerd1, ctrd2 = "containerd://1.7.29", "containerd://2.1.5"
)

var patchRelease = regexp.MustCompile(`^(1\.\d+\.\d+)-(\d{8})$`)

// describe sets what the node says of its kubelet and its image: an image of AMI type ami, Kubernetes minor version and AMI
// release. r is the newest patch of that minor.
func (n *Node) describe(ami, version, release string, r release) {
	patch, date := r.patch, r.image
	if match := patchRelease.FindStringSubmatch(release); match != nil {
		patch, date = match[1], match[2]
	}
	n.KubeletVersion = "v" + patch + "-eks-" + date
	n.ContainerRuntimeVersion, n.KernelVersion = containerd1, "6.1.155-176.282.amzn2023"
	if minor(version) >= newKernelSince {
		n.KernelVersion = "6.12.53-69.119.amzn2023"
	}
	if minor(version) >= containerd2Since {
		n.ContainerRuntimeVersion = ctrd2
	}
	switch {
	case strings.HasPrefix(ami, "AL2_"):
		n.OSImage, n.KernelVersion, n.ContainerRuntimeVersion = "Amazon Linux 2", "5.10.245-241.978.amzn2", containerd1
	case strings.HasPrefix(ami, "BOTTLEROCKET_"):
		n.OSImage = "Bottlerocket OS " + strings.Split(release, "-")[0] + " (aws-k8s-" + version + ")"
		n.KernelVersion = strings.TrimSuffix(strings.Split(n.KernelVersion, "-")[0], ".amzn2023")
	case isWindows(ami):
		n.OSImage, n.KernelVersion = "Windows Server "+strings.Split(ami, "_")[2]+" Datacenter", windowsBuild(ami)
	default:
		n.OSImage = "Amazon Linux 2023.9." + date
	}
}
