package eks

// addonRelease is one version of an add-on: for the Kubernetes minors from first to last, which is 0 when there is no last one
// yet, and the default for those from byDefault on that have no newer default. The versions are AWS's; which minors each was
// offered for is in no public document for long, so that these ranges are a choice: wide enough for a version that is good on both
// sides of an upgrade, and narrow enough that a way of several minors needs more than one.
type addonRelease struct {
	version     string
	first, last int
	byDefault   int // 0 is for none
}

var vpcCNIReleases = []addonRelease{
	{"v1.21.1-eksbuild.1", 34, 0, 36},
	{"v1.20.5-eksbuild.1", 33, 0, 34},
	{"v1.19.6-eksbuild.1", 31, 36, 33},
	{"v1.18.6-eksbuild.1", 31, 35, 31},
}

var coreDNSReleases = []addonRelease{
	{"v1.13.1-eksbuild.1", 34, 0, 36},
	{"v1.12.4-eksbuild.1", 33, 36, 33},
	{"v1.11.4-eksbuild.24", 31, 33, 31},
}

var ebsReleases = []addonRelease{
	{"v1.53.0-eksbuild.1", 32, 0, 32},
	{"v1.52.1-eksbuild.1", 31, 0, 31},
	{"v1.51.0-eksbuild.1", 31, 36, 0},
	{"v1.45.0-eksbuild.2", 31, 34, 0},
}

var podIdentityReleases = []addonRelease{
	{"v1.3.9-eksbuild.3", 31, 0, 31},
	{"v1.3.8-eksbuild.2", 31, 0, 0},
	{"v1.3.7-eksbuild.2", 31, 36, 0},
}

// everywhereServed are versions, newest first, that are for all minors. The first is the default.
func everywhereServed(versions ...string) []addonRelease {
	var out []addonRelease
	for i, v := range versions {
		r := addonRelease{version: v, first: minor(releases[len(releases)-1].version)}
		if i == 0 {
			r.byDefault = r.first
		}
		out = append(out, r)
	}
	return out
}

// kubeProxyVersions are two of the minor's own, and the newest of the three minors before: kube-proxy may be that much older than
// the API server, and never newer.
func kubeProxyVersions(kubernetes string) []string {
	r, ok := findRelease(kubernetes)
	if !ok {
		return nil
	}
	out := []string{"v" + r.patch + "-eksbuild.1", "v" + r.version + ".0-eksbuild.2"}
	for back := 1; back <= 3; back++ {
		if old, ok := findRelease(minorText(minor(kubernetes) - back)); ok {
			out = append(out, "v"+old.patch+"-eksbuild.1")
		}
	}
	return out
}

// available are the versions for a Kubernetes minor, newest first.
func (a addonSpec) available(kubernetes string) []string {
	if a.versions != nil {
		return a.versions(kubernetes)
	}
	var out []string
	for _, r := range a.releases {
		if m := minor(kubernetes); m >= r.first && (r.last == 0 || m <= r.last) {
			out = append(out, r.version)
		}
	}
	return out
}

// preferred is the default version for a Kubernetes minor.
func (a addonSpec) preferred(kubernetes string) string {
	for _, r := range a.releases {
		m := minor(kubernetes)
		if r.byDefault > 0 && m >= r.byDefault && (r.last == 0 || m <= r.last) {
			return r.version
		}
	}
	return a.available(kubernetes)[0]
}
