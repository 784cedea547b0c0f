package awscloud

import (
	"slices"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/shared/decide/cluster"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

// TestImagesAreKnownByTheirNames: AWS's names and descriptions, as DescribeImages has them.
func TestImagesAreKnownByTheirNames(t *testing.T) {
	for name, want := range map[string]fleet.NodeImage{
		"amazon-eks-node-al2023-x86_64-standard-1.36-v20261112":                {AMIType: "AL2023_x86_64_STANDARD", Minor: 36, Release: "1.36.6-20261112"},
		"amazon-eks-node-al2023-arm64-nvidia-1.35-v20261112":                   {AMIType: "AL2023_ARM_64_NVIDIA", Minor: 35, Release: "1.36.6-20261112"},
		"amazon-eks-node-1.32-v20251112":                                       {AMIType: "AL2_x86_64", Minor: 32, Release: "1.36.6-20251112"},
		"amazon-eks-arm64-node-1.32-v20251112":                                 {AMIType: "AL2_ARM_64", Minor: 32, Release: "1.36.6-20251112"},
		"amazon-eks-gpu-node-1.32-v20251112":                                   {AMIType: "AL2_x86_64_GPU", Minor: 32, Release: "1.36.6-20251112"},
		"bottlerocket-aws-k8s-1.36-x86_64-v1.51.0-47438798":                    {AMIType: "BOTTLEROCKET_x86_64", Minor: 36, Release: "1.51.0-47438798"},
		"bottlerocket-aws-k8s-1.36-nvidia-fips-aarch64-v1.51.0-47438798":       {AMIType: "BOTTLEROCKET_ARM_64_NVIDIA_FIPS", Minor: 36, Release: "1.51.0-47438798"},
		"Windows_Server-2022-English-Core-EKS_Optimized-1.36-2026.11.12":       {AMIType: "WINDOWS_CORE_2022_x86_64", Minor: 36, Release: "1.36-2026.11.12"},
		"ubuntu-eks/k8s_1.36/images/hvm-ssd-gp3/ubuntu-noble-24.04-amd64-2026": {AMIType: "CUSTOM"},
		"my-amazon-eks-node-1.32-v20251112":                                    {AMIType: "CUSTOM"},
	} {
		if got := imageNamed(name, "EKS-optimized Kubernetes node based on Amazon Linux 2023, (k8s: 1.36.6, containerd: 2.1.*)"); got != want {
			t.Errorf("%s: %+v, want %+v", name, got, want)
		}
	}
	if got := imageNamed("amazon-eks-node-al2023-x86_64-standard-1.36-v20261112", ""); got.Release != "1.36-20261112" {
		t.Errorf("without a description: %+v", got)
	}
}

func TestParametersOfReleases(t *testing.T) {
	for amiType, want := range map[string]string{
		"AL2023_x86_64_STANDARD":          "/aws/service/eks/optimized-ami/1.36/amazon-linux-2023/x86_64/standard/recommended/release_version",
		"AL2023_ARM_64_NVIDIA":            "/aws/service/eks/optimized-ami/1.36/amazon-linux-2023/arm64/nvidia/recommended/release_version",
		"AL2_x86_64_GPU":                  "/aws/service/eks/optimized-ami/1.36/amazon-linux-2-gpu/recommended/release_version",
		"BOTTLEROCKET_ARM_64_NVIDIA_FIPS": "/aws/service/bottlerocket/aws-k8s-1.36-nvidia-fips/arm64/latest/image_version",
		"BOTTLEROCKET_x86_64":             "/aws/service/bottlerocket/aws-k8s-1.36/x86_64/latest/image_version",
		"WINDOWS_FULL_2025_x86_64":        "/aws/service/ami-windows-latest/Windows_Server-2025-English-Full-EKS_Optimized-1.36/release_version",
		"CUSTOM":                          "", "": "",
	} {
		if got := cluster.ReleaseParameter(amiType, "1.36"); got != want {
			t.Errorf("%s: %s, want %s", amiType, got, want)
		}
	}
	for release, want := range map[string]time.Time{
		"1.36.6-20261112": time.Date(2026, 11, 12, 0, 0, 0, 0, time.UTC), "1.36-2026.11.12": time.Date(2026, 11, 12, 0, 0, 0, 0, time.UTC), "1.51.0-47438798": {}, "1.36.6-20261345": {},
	} {
		if got := dated(release); !got.Equal(want) {
			t.Errorf("%s: %s, want %s", release, got, want)
		}
	}
}

func TestUserDataSaysHowTheKubeletStarts(t *testing.T) {
	const mime = "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=\"//\"\n\n--//\nContent-Type: text/x-shellscript\n\n#!/bin/sh\ncurl --fail https://x\n--//\nContent-Type: application/node.eks.aws\n\n"
	for name, tc := range map[string]struct {
		text, bootstrap string
		flags           []string
	}{
		"bootstrap.sh": {"#!/bin/sh\n/etc/eks/bootstrap.sh demo --use-max-pods false --kubelet-extra-args '--max-pods=58 --node-labels=a=b'\n", "bootstrap.sh", []string{"--max-pods", "--node-labels"}},
		"nodeadm": {mime + "apiVersion: node.eks.aws/v1alpha1\nkind: NodeConfig\nspec:\n  kubelet:\n    config: {maxPods: 58, shutdownGracePeriod: 30s}\n    flags:\n    - --node-labels=a=b\n--//--\n",
			"nodeadm", []string{"--node-labels", "maxPods", "shutdownGracePeriod"}},
		"bottlerocket": {"[settings.kubernetes]\ncluster-name = \"demo\"\n", "bottlerocket", nil},
		"something":    {"#!/bin/sh\necho --hello\n", "", nil},
	} {
		if bootstrap, flags := userDataFacts(tc.text); bootstrap != tc.bootstrap || !slices.Equal(flags, tc.flags) {
			t.Errorf("%s: %q %q, want %q %q", name, bootstrap, flags, tc.bootstrap, tc.flags)
		}
	}
}

func TestConfigurationBecomesJSON(t *testing.T) {
	for in, want := range map[string]string{"": "", `{"a":1}`: `{"a":1}`, "a: 1\nb: [x]\n": `{"a":1,"b":["x"]}`, "{a: [": "{a: ["} {
		if got := asJSON(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
	for who, p := range map[string]fleet.Props{"aws": {"owner": "aws"}, "community": {"owner": "community"}, "nobody": {}} {
		if marketplace(p) {
			t.Errorf("an add-on of %s is of the Marketplace", who)
		}
	}
	if !marketplace(fleet.Props{"owner": "aws-marketplace"}) || !marketplace(fleet.Props{"marketplaceInformation": fleet.Props{"productId": "p"}}) {
		t.Error("an add-on of the Marketplace is not known as one")
	}
}
