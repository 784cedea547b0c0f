package eks

import (
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/wire"
)

// release is one Kubernetes minor that EKS offers, or has offered. Dates: endoflife.date of 2026-08-22 and AWS's policy
// of 14 months of standard and 12 of extended support; 1.37's are what the policy and the usual lag give.
type release struct {
	version, patch                   string
	released, standardEnd, extendEnd string
	image                            string // date of the newest AMI release
}

var releases = []release{
	{"1.37", "1.37.2", "2026-10-08", "2027-12-08", "2028-12-08", "20261112"},
	{"1.36", "1.36.6", "2026-06-02", "2027-08-02", "2028-08-02", "20261112"},
	{"1.35", "1.35.10", "2026-01-27", "2027-03-27", "2028-03-27", "20261112"},
	{"1.34", "1.34.13", "2025-10-02", "2026-12-02", "2027-12-02", "20261112"},
	{"1.33", "1.33.13", "2025-05-29", "2026-07-29", "2027-07-29", "20261112"},
	{"1.32", "1.32.13", "2025-01-23", "2026-03-23", "2027-03-23", "20261112"},
	{"1.31", "1.31.14", "2024-09-26", "2025-11-26", "2026-11-26", "20261112"},
}

// retired are the minors that EKS shows in DescribeClusterVersions but runs no more.
var retired = []release{
	{"1.30", "1.30.14", "2024-05-23", "2025-07-23", "2026-07-23", ""},
	{"1.29", "1.29.15", "2024-01-23", "2025-03-23", "2026-03-23", ""},
}

// defaultVersion is what CreateCluster takes when asked for none.
const defaultVersion = "1.36"

func findRelease(version string) (release, bool) {
	i := slices.IndexFunc(releases, func(r release) bool { return r.version == version })
	if i < 0 {
		return release{}, false
	}
	return releases[i], true
}

// EndOfStandardSupport is when a minor's standard support ends; false if EKS does not know the minor.
func EndOfStandardSupport(version string) (time.Time, bool) {
	r, ok := findRelease(version)
	if !ok {
		return time.Time{}, false
	}
	return day(r.standardEnd), true
}

// supportedVersion is true until the end of extended support.
func supportedVersion(v string) bool {
	r, ok := findRelease(v)
	return ok && time.Now().Before(day(r.extendEnd))
}

// minor is 36 for "1.36", and -1 for what is no version.
func minor(version string) int {
	major, rest, ok := strings.Cut(version, ".")
	n, err := strconv.Atoi(rest)
	if !ok || major != "1" || err != nil {
		return -1
	}
	return n
}

func platformVersion(n int) string { return fmt.Sprintf("eks.%d", n) }

// releaseVersion is the newest AMI release of a minor: "1.36.6-20261112".
func (r release) releaseVersion() string { return r.patch + "-" + r.image }

type describeVersionsIn struct {
	ClusterType     string   `json:"-" param:"clusterType"`
	MaxResults      *int     `json:"-" param:"maxResults"`
	NextToken       string   `json:"-" param:"nextToken"`
	DefaultOnly     bool     `json:"-" param:"defaultOnly"`
	IncludeAll      bool     `json:"-" param:"includeAll"`
	ClusterVersions []string `json:"-" param:"clusterVersions"`
	Status          string   `json:"-" param:"status"`
	VersionStatus   string   `json:"-" param:"versionStatus"`
}

type clusterVersion struct {
	ClusterVersion           string         `json:"clusterVersion"`
	ClusterType              string         `json:"clusterType"`
	DefaultPlatformVersion   string         `json:"defaultPlatformVersion"`
	DefaultVersion           bool           `json:"defaultVersion"`
	ReleaseDate              *wire.Time     `json:"releaseDate"`
	EndOfStandardSupportDate *wire.Time     `json:"endOfStandardSupportDate"`
	EndOfExtendedSupportDate *wire.Time     `json:"endOfExtendedSupportDate"`
	Status                   string         `json:"status"`
	VersionStatus            string         `json:"versionStatus"`
	KubernetesPatchVersion   string         `json:"kubernetesPatchVersion"`
	ScalingTiers             []tierInfo     `json:"controlPlaneScalingTiers"`
	Components               *componentInfo `json:"controlPlaneComponentConfig,omitempty"`
}

type describeVersionsOut struct {
	ClusterVersions []clusterVersion `json:"clusterVersions"`
	NextToken       *string          `json:"nextToken,omitempty"`
}

func (s *Service) versionOps() []wire.Op {
	return []wire.Op{
		wire.Handle("DescribeClusterVersions", wire.On[describeVersionsIn]("eks:DescribeClusterVersions", "*"), s.describeClusterVersions).REST("GET", "/cluster-versions"),
	}
}

func (s *Service) describeClusterVersions(_ context.Context, _ *wire.Call, in *describeVersionsIn) (*describeVersionsOut, error) {
	if in.ClusterType != "" && in.ClusterType != "eks" {
		return nil, unsupported("clusterType %s", in.ClusterType)
	}
	known := map[string]clusterVersion{}
	for _, r := range slices.Concat(releases, retired) {
		v := r.view(time.Now())
		switch {
		case in.DefaultOnly && !v.DefaultVersion,
			len(in.ClusterVersions) > 0 && !slices.Contains(in.ClusterVersions, r.version),
			in.Status != "" && in.Status != v.Status,
			in.VersionStatus != "" && in.VersionStatus != v.VersionStatus,
			v.VersionStatus == "UNSUPPORTED" && !in.IncludeAll && in.VersionStatus == "":
			continue
		}
		known[r.version] = v
	}
	part, next, err := page(sortedKeys(known), in.MaxResults, in.NextToken)
	if err != nil {
		return nil, err
	}
	out := &describeVersionsOut{ClusterVersions: []clusterVersion{}, NextToken: next}
	for _, v := range part {
		out.ClusterVersions = append(out.ClusterVersions, known[v])
	}
	return out, nil
}

func (r release) view(now time.Time) clusterVersion {
	standard, extended := day(r.standardEnd), day(r.extendEnd)
	v := clusterVersion{
		ClusterVersion: r.version, ClusterType: "eks", DefaultPlatformVersion: platformVersion(1), DefaultVersion: r.version == defaultVersion,
		ReleaseDate: wire.At(day(r.released)), EndOfStandardSupportDate: wire.At(standard), EndOfExtendedSupportDate: wire.At(extended),
		KubernetesPatchVersion: r.patch, VersionStatus: "STANDARD_SUPPORT", ScalingTiers: scalingTiers,
	}
	if minor(r.version) >= firstConfigurable {
		v.Components = versionComponents
	}
	switch {
	case now.After(extended):
		v.VersionStatus = "UNSUPPORTED"
	case now.After(standard):
		v.VersionStatus = "EXTENDED_SUPPORT"
	}
	// The older member spells the same in lower case with dashes.
	v.Status = strings.ReplaceAll(strings.ToLower(v.VersionStatus), "_", "-")
	return v
}

func day(s string) time.Time {
	t, err := time.Parse(time.DateOnly, s)
	if err != nil {
		panic(err) // the table above is wrong
	}
	return t
}

// imageID makes up the id of the AMI of that type and Kubernetes minor: the same one every time.
func imageID(amiType, version string) string {
	sum := sha256.Sum256([]byte(amiType + "/" + version))
	return fmt.Sprintf("ami-%x", sum)[:4+17]
}
