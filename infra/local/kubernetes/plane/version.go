package plane

import (
	"fmt"
	"regexp"
	"strconv"

	apimachineryversion "k8s.io/apimachinery/pkg/version"
	"k8s.io/component-base/compatibility"
)

// The minor versions that one binary can pretend to be: its own and the three before it, as Kubernetes' emulated
// versions allow. NewestMinor must follow k8s.io/kubernetes in go.mod.
const (
	OldestMinor = 34
	NewestMinor = 37
)

// Version is a Kubernetes minor version, 1.Minor.
type Version struct{ Minor int }

var versionPattern = regexp.MustCompile(`^v?1\.([0-9]{1,3})$`)

// ParseVersion reads "1.36" or "v1.36".
func ParseVersion(s string) (Version, error) {
	match := versionPattern.FindStringSubmatch(s)
	if match == nil {
		return Version{}, fmt.Errorf("version %q is not of the form 1.36", s)
	}
	minor, err := strconv.Atoi(match[1])
	if err != nil {
		return Version{}, err
	}
	if minor < OldestMinor || minor > NewestMinor {
		return Version{}, fmt.Errorf("version %q is not among 1.%d to 1.%d", s, OldestMinor, NewestMinor)
	}
	return Version{Minor: minor}, nil
}

// String is the form that EKS's API uses, 1.36.
func (v Version) String() string { return fmt.Sprintf("1.%d", v.Minor) }

// GitVersion is what the API server reports at /version, in the form of EKS's builds.
func (v Version) GitVersion() string { return fmt.Sprintf("v1.%d.0-eks-ekspedite", v.Minor) }

// lastBeta is the last minor that serves what betaAPIs names.
const lastBeta = 36

// betaAPIs are beta APIs that are on although Kubernetes has them off: in every cluster that came here from older times there is
// somebody who has switched one on, and without them nothing that is served at 1.34 would be gone at 1.37.
func (v Version) betaAPIs() string {
	if v.Minor > lastBeta {
		return ""
	}
	return "networking.k8s.io/v1beta1=true,storage.k8s.io/v1beta1/volumeattributesclasses=true"
}

// reported makes /version follow the emulated version: Kubernetes by itself reports the binary's, and a client that asks
// an "upgraded" cluster for its version would see no change.
type reported struct {
	compatibility.EffectiveVersion
	version Version
}

func (r reported) Info() *apimachineryversion.Info {
	info := r.EffectiveVersion.Info()
	info.Major, info.Minor, info.GitVersion = "1", strconv.Itoa(r.version.Minor), r.version.GitVersion()
	return info
}
