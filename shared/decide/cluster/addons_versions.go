package cluster

import (
	"fmt"
	"strings"

	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/plan"
)

// latest is the file's word for the newest version.
const latest = "latest"

// exact tells whether a version is one that EKS has, v1.21.1-eksbuild.1, and not the beginning of one.
func exact(version string) bool { return strings.Contains(version, "-eksbuild.") }

// vendors' add-ons have versions of their own making, which begin with themselves.
func begins(version, prefix string) bool {
	v, p := strings.TrimPrefix(version, "v"), strings.TrimPrefix(prefix, "v")
	rest, ok := strings.CutPrefix(v, p)
	return ok && (rest == "" || rest[0] == '.' || rest[0] == '-')
}

// AddonsToAsk are the add-ons whose versions have to be asked for, because one has to be chosen: those to be made, or to be
// changed, of which the file does not name the version, and VPC CNI when it is more than one minor away.
func AddonsToAsk(o Observation, s fleet.ClusterSpec) (names []string) {
	if !o.Working() || o.Depth == OnlyControl {
		return nil
	}
	for _, a := range s.Addons {
		have := o.first("addon/" + a.Name)
		now := ""
		if have != nil {
			now = fleet.Text(have.Props, "addonVersion")
		}
		switch {
		case a.Version == "":
		case have == nil:
			if !exact(a.Version) {
				names = append(names, a.Name)
			}
		case a.Version == latest || begins(now, a.Version):
		case !exact(a.Version) || hops(a.Name, now, a.Version) > 1:
			names = append(names, a.Name)
		}
	}
	return names
}

// addonVersion is the version to make an add-on in; "" is EKS's default. The problem says why there is none.
func (b *builder) addonVersion(a fleet.AddonSpec) (version, problem string) {
	if a.Version == "" || exact(a.Version) {
		return a.Version, ""
	}
	offer, asked := b.o.Market.Addons[a.Name]
	if !asked {
		return plan.Unknown("addon/" + a.Name + ".version"), ""
	}
	return chosen(offer, a)
}

// chosen is the newest version that is what the file says.
func chosen(offer fleet.AddonOffer, a fleet.AddonSpec) (version, problem string) {
	if len(offer.Versions) == 0 {
		return "", fmt.Sprintf("EKS has no add-on %s for this version of Kubernetes: take it out of the file, or look for its name with aws eks describe-addon-versions", a.Name)
	}
	if a.Version == latest {
		return offer.Versions[0], ""
	}
	for _, v := range offer.Versions {
		if begins(v, a.Version) {
			return v, ""
		}
	}
	return "", fmt.Sprintf("EKS has no version %s for this version of Kubernetes: use one of %s", a.Version, strings.Join(offer.Versions[:min(5, len(offer.Versions))], ", "))
}

// nextVersion is the version to take an add-on to; "" if it has one that is what the file says. The newest is only taken
// when the add-on is made: it is another one every month, and the file says nothing new.
func (b *builder) nextVersion(a fleet.AddonSpec, now string) (to, note string) {
	if a.Version == "" || a.Version == latest || now == a.Version || !exact(a.Version) && begins(now, a.Version) {
		return "", ""
	}
	to = a.Version
	offer, asked := b.o.Market.Addons[a.Name]
	if !exact(to) {
		if !asked { // the full look that follows asks
			return plan.Unknown("addon/" + a.Name + ".version"), ""
		}
		var problem string
		if to, problem = chosen(offer, a); problem != "" {
			return "", "add-on " + a.Name + " stays at " + now + ": " + problem
		}
	}
	if hops(a.Name, now, to) <= 1 {
		return to, ""
	}
	if !asked {
		return plan.Unknown("addon/" + a.Name + ".version"), ""
	}
	if step := between(offer.Versions, now, to); step != "" {
		return step, fmt.Sprintf("add-on %s goes to %s one minor at a time, as EKS wants it: %s is next", a.Name, to, step)
	}
	return "", cannot("add-on "+a.Name, "version", "EKS takes it one minor at a time, and has no version next to "+now+" for this version of Kubernetes",
		"delete the add-on with --preserve, and apply again")
}

// hops is how many minors an add-on would go at once. EKS only minds with VPC CNI.
func hops(name, from, to string) int {
	f, t := fleet.VersionNumbers(from), fleet.VersionNumbers(to)
	if name != "vpc-cni" || len(f) < 2 || len(t) < 2 {
		return 0
	}
	d := t[1] - f[1]
	return max(d, -d)
}

// between is the newest version of the next minor on the way.
func between(versions []string, from, to string) string {
	f, t := fleet.VersionNumbers(from), fleet.VersionNumbers(to)
	step := 1
	if t[1] < f[1] {
		step = -1
	}
	for _, v := range versions { // newest first
		if n := fleet.VersionNumbers(v); len(n) > 1 && n[0] == f[0] && n[1] == f[1]+step {
			return v
		}
	}
	return ""
}
