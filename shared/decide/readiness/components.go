package readiness

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

// found is a component that runs in the cluster, known by its image.
type found struct {
	component, namespace, tag string
	major, minor              int
}

// known are the images of components that checks look at, by the end of the repository's path.
var known = []struct{ path, component string }{
	{"karpenter/controller", "karpenter"},
	{"cluster-autoscaler", "cluster-autoscaler"},
	{"cert-manager-controller", "cert-manager"},
	{"ingress-nginx/controller", "ingress-nginx"},
	{"nginx-ingress-controller", "ingress-nginx"},
	{"eks/coredns", "coredns"},
	{"coredns/coredns", "coredns"},
	{"eks/kube-proxy", "kube-proxy"},
	{"eks/kube-proxy-minimal", "kube-proxy"},
	{"kube-proxy", "kube-proxy"},
	{"amazon-k8s-cni", "vpc-cni"},
}

// findComponents reads the images of pods: each component once per namespace and tag.
func findComponents(pods []Pod) []found {
	seen, done := map[found]bool{}, map[string]bool{}
	var out []found
	for _, p := range pods {
		for _, image := range p.Images {
			if done[p.Namespace+" "+image] {
				continue
			}
			done[p.Namespace+" "+image] = true
			repository, tag := cutImage(image)
			for _, k := range known {
				if repository != k.path && !strings.HasSuffix(repository, "/"+k.path) {
					continue
				}
				f := found{component: k.component, namespace: p.Namespace, tag: tag}
				f.major, f.minor = release(tag)
				if !seen[f] {
					seen[f] = true
					out = append(out, f)
				}
				break
			}
		}
	}
	slices.SortFunc(out, func(a, b found) int {
		return cmp.Or(cmp.Compare(a.component, b.component), cmp.Compare(a.namespace, b.namespace), cmp.Compare(a.tag, b.tag))
	})
	return out
}

func (l *look) components() []found { return l.third }

// cutImage takes an image's name apart: "registry:5000/a/b:v1@sha256:…" is "registry:5000/a/b" and "v1".
func cutImage(image string) (repository, tag string) {
	image, _, _ = strings.Cut(image, "@")
	if i := strings.LastIndexByte(image, ':'); i > strings.LastIndexByte(image, '/') {
		return image[:i], image[i+1:]
	}
	return image, ""
}

// release is the first two numbers of a version, -1 where it has none: "v1.18.5-eksbuild.1" is 1, 18.
func release(tag string) (major, minor int) {
	parts := strings.SplitN(strings.TrimPrefix(tag, "v"), ".", 3)
	if len(parts) < 2 {
		return -1, -1
	}
	major, err := strconv.Atoi(parts[0])
	end := strings.IndexFunc(parts[1], func(r rune) bool { return r < '0' || r > '9' })
	if end < 0 {
		end = len(parts[1])
	}
	minor, err2 := strconv.Atoi(parts[1][:end])
	if err != nil || err2 != nil {
		return -1, -1
	}
	return major, minor
}

// number reads a count; 0 for what is none.
func number(text string) int { n, _ := strconv.Atoi(text); return n }

// The newest minor that each release of Karpenter supports: https://endoflife.date/karpenter, as of 2026-05-09, and
// https://karpenter.sh/v0.34/upgrading/compatibility/ for what is before 1.0. Of newer releases nothing is said.
var karpenterTop = []struct {
	major, minor int
	top          fleet.Minor
}{{0, 34, 29}, {0, 37, 30}, {1, 1, 31}, {1, 4, 32}, {1, 5, 33}, {1, 8, 34}, {1, 11, 35}}

func karpenterUpTo(major, minor int) (fleet.Minor, bool) {
	if major < 0 {
		return 0, false
	}
	for _, row := range karpenterTop {
		if major < row.major || major == row.major && minor <= row.minor {
			return row.top, true
		}
	}
	return 0, false
}

// The newest minor that each release of cert-manager supports: https://cert-manager.io/docs/releases/, as of 2026-03-10, 1.21 as
// of 2026-10. Of releases before 1.18 it is at most that.
func certManagerUpTo(major, minor int) (fleet.Minor, bool) {
	switch {
	case major != 1 || minor < 0 || minor > 21:
		return 0, false
	case minor <= 18:
		return 33, true
	case minor <= 20:
		return 35, true
	}
	return 36, true
}
