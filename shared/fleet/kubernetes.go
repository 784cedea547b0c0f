package fleet

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Minor is a minor version of Kubernetes: 36 is 1.36. 0 is none.
type Minor int

// ParseMinor reads "1.36", "v1.36" and what begins so: "v1.36.2-eks-1234567", "1.36.2-20261112".
func ParseMinor(text string) (Minor, error) {
	rest, ok := strings.CutPrefix(strings.TrimPrefix(text, "v"), "1.")
	digits := rest
	if i := strings.IndexFunc(rest, func(r rune) bool { return r < '0' || r > '9' }); i >= 0 {
		digits = rest[:i]
	}
	n, err := strconv.Atoi(digits)
	if !ok || err != nil || len(digits) > 3 {
		return 0, fmt.Errorf("%q is no version of Kubernetes: one is like 1.36", text)
	}
	return Minor(n), nil
}

// String is "1.36"; "" for none.
func (m Minor) String() string {
	if m == 0 {
		return ""
	}
	return "1." + strconv.Itoa(int(m))
}

// MarshalText writes "1.36".
func (m Minor) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText reads "1.36"; "" is none.
func (m *Minor) UnmarshalText(text []byte) (err error) {
	*m = 0
	if len(text) > 0 {
		*m, err = ParseMinor(string(text))
	}
	return err
}

// SupportStatus is how EKS supports a minor.
type SupportStatus string

// The statuses, as DescribeClusterVersions spells them in versionStatus.
const (
	StandardSupport SupportStatus = "STANDARD_SUPPORT"
	ExtendedSupport SupportStatus = "EXTENDED_SUPPORT"
	Unsupported     SupportStatus = "UNSUPPORTED"
)

// KubernetesVersion is a minor as EKS offers it (DescribeClusterVersions).
type KubernetesVersion struct {
	Minor    Minor     `json:"minor"`
	Patch    string    `json:"patch,omitempty"` // "1.36.6"
	Released time.Time `json:"released"`
	// StandardEnds is when extended support, which costs six times as much, begins; ExtendedEnds when EKS upgrades by itself.
	StandardEnds time.Time     `json:"standardEnds"`
	ExtendedEnds time.Time     `json:"extendedEnds"`
	Status       SupportStatus `json:"status"`
	Default      bool          `json:"default,omitempty"`
}

// Prices of a cluster's control plane in USD an hour (aws.amazon.com/eks/pricing, 2026-11): extended support is for the 12
// months after the end of standard support.
const (
	ClusterHourly         = 0.10
	ClusterExtendedHourly = 0.60
)

// SupportCost is what running one control plane at a minor costs between two moments, in USD. It changes at the hour at which
// standard support ends. A minor whose dates are not known costs what standard support does.
func (v KubernetesVersion) SupportCost(from, to time.Time) (total, extended float64) {
	if !to.After(from) {
		return 0, 0
	}
	hours, extra := to.Sub(from).Hours(), 0.0
	if !v.StandardEnds.IsZero() && to.After(v.StandardEnds) {
		start := v.StandardEnds
		if from.After(start) {
			start = from
		}
		extra = to.Sub(start).Hours()
	}
	extended = extra * (ClusterExtendedHourly - ClusterHourly)
	return hours*ClusterHourly + extended, extended
}

// AddonRelease is a version of an EKS add-on (DescribeAddonVersions).
type AddonRelease struct {
	Version string `json:"version"` // "v1.18.5-eksbuild.1"
	// Minors are the Kubernetes minors with which EKS holds it compatible; Defaults are those for which it is the default.
	Minors   []Minor `json:"minors"`
	Defaults []Minor `json:"defaults,omitempty"`
	// NeedsConfiguration: it cannot be installed without values of the owner's.
	NeedsConfiguration bool `json:"needsConfiguration,omitempty"`
}

// NodeImage is a machine image as a node's: what its name and description say.
type NodeImage struct {
	AMIType string `json:"amiType"` // EKS's; CUSTOM for what AWS has not made for EKS
	Minor   Minor  `json:"minor,omitempty"`
	Release string `json:"release,omitempty"` // as EKS writes it: "1.36.6-20261112", "1.51.0-47438798" of Bottlerocket
}
