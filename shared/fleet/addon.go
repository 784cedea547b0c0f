package fleet

import (
	"strconv"
	"strings"
)

// AddonOffer is what EKS has of an add-on for one version of Kubernetes.
type AddonOffer struct {
	Versions []string `json:"versions"` // newest first; none: there is no such add-on
}

// VersionNumbers are the numbers in a version, in their order: of v1.21.1-eksbuild.3, 1, 21, 1 and 3.
func VersionNumbers(version string) (out []int) {
	for _, part := range strings.FieldsFunc(version, func(r rune) bool { return r < '0' || r > '9' }) {
		n, err := strconv.Atoi(part)
		if err != nil {
			return out // more digits than any version has
		}
		out = append(out, n)
	}
	return out
}
