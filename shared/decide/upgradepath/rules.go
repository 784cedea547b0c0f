package upgradepath

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

// behind is how many minors a kubelet may be behind its API server: three since 1.25, two before
// (kubernetes.io/releases/version-skew-policy; EKS's user guide says the same of managed and Fargate nodes).
func behind(kubelet fleet.Minor) fleet.Minor {
	if kubelet >= 25 {
		return 3
	}
	return 2
}

// skewed tells whether a kubelet is too old for a control plane, or newer than it.
func skewed(kubelet, control fleet.Minor) bool {
	return kubelet > control || control-kubelet > behind(kubelet)
}

// mustMove tells whether a node of that version has to move before the control plane goes from a minor to the next.
func mustMove(kubelet, control fleet.Minor, skew fleet.SkewMode) bool {
	if skew == fleet.SkewStrict {
		return kubelet < control
	}
	return skewed(kubelet, control+1)
}

// lastAL2 is the last minor with images of Amazon Linux 2: their support ended on 2025-11-26 (amazon-eks-ami#2545).
const lastAL2 fleet.Minor = 32

// imaged tells whether EKS makes images of a type for a minor.
func imaged(amiType string, m fleet.Minor) bool {
	return !strings.HasPrefix(amiType, "AL2_") || m <= lastAL2
}

const (
	kubeProxy = "kube-proxy"
	vpcCNI    = "vpc-cni"
)

// fits tells whether a version of an add-on may run at a minor, beside what EKS's own list says: kube-proxy must not be newer
// than the API server, and not further behind than a kubelet may be. That it is within three minors of each node's kubelet,
// either way, follows from that, because kubelets keep to the same bounds.
func fits(name, version string, m fleet.Minor) bool {
	if name != kubeProxy {
		return true
	}
	v, err := fleet.ParseMinor(version)
	return err != nil || !skewed(v, m)
}

// leads tells whether EKS takes vpc-cni from one version to another in one update: "Updating VPC-CNI can only go up or down 1
// minor version at a time" (terraform-aws-eks#2749).
func leads(from, to []int) bool {
	if len(from) < 2 || len(to) < 2 || from[0] != to[0] {
		return true
	}
	d := to[1] - from[1]
	return -1 <= d && d <= 1
}

// compareReleases orders AMI releases: 1.36.6-20261112 by its numbers, Bottlerocket's 1.50.0-1a2b3c4d, which end in a commit,
// without it.
func compareReleases(a, b string) int {
	av, ad := releaseNumbers(a)
	bv, bd := releaseNumbers(b)
	if c := slices.Compare(av, bv); c != 0 {
		return c
	}
	if ad < 0 || bd < 0 {
		return 0
	}
	return ad - bd
}

func releaseNumbers(release string) (version []int, date int) {
	v, rest, _ := strings.Cut(release, "-")
	version, date = fleet.VersionNumbers(v), -1
	if len(rest) == 8 && strings.Trim(rest, "0123456789") == "" {
		date = fleet.VersionNumbers(rest)[0]
	}
	return version, date
}

// minors are those from one to another, both of them, in either direction.
func minors(from, to fleet.Minor) (out []fleet.Minor) {
	step := fleet.Minor(1)
	if to < from {
		step = -1
	}
	for m := from; m != to; m += step {
		out = append(out, m)
	}
	return append(out, to)
}

// list is "a, b and 3 more".
func list(names []string) string {
	const most = 5
	names = slices.Sorted(slices.Values(names))
	if len(names) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
	}
	return strings.Join(names, ", ")
}
