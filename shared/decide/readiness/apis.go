package readiness

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

var apiChecks = []check{
	{id: "API01", title: "Objects written by removed APIs", severity: Block, reads: "managedFields and last-applied-configuration of live objects",
		parts: []Part{PartObjects}, when: (*look).upgrades, run: writtenObjects},
	{id: "API02", title: "Requests of removed APIs", severity: Block, reads: "apiserver_requested_deprecated_apis, and EKS insights for when",
		parts: []Part{PartMetrics}, when: (*look).upgrades, run: requestedAPIs},
	{id: "API03", title: "APIs that later minors remove", severity: Warn, reads: "the same, for the two minors after the target",
		parts: []Part{PartObjects, PartMetrics}, run: laterRemovals},
	{id: "API05", title: "Helm releases with removed APIs", severity: Block, reads: "stored Helm releases (secrets of type helm.sh/release.v1)",
		parts: []Part{PartHelm}, optional: true, run: helmReleases},
	{id: "API06", title: "Stored versions of CustomResourceDefinitions", severity: Block, reads: "CustomResourceDefinitions",
		parts: []Part{PartDefinitions}, run: storedVersions},
	{id: "API07", title: "Aggregated APIs", severity: Block, reads: "APIServices", parts: []Part{PartAPIServices}, run: aggregatedAPIs},
	{id: "API08", title: "Alpha objects that have to go first", severity: Block, reads: "objects of alpha APIs that are served",
		parts: []Part{PartObjects}, when: (*look).upgrades, run: alphaObjects},
	{id: "API09", title: "Insights of clients that have been fixed", severity: Info, reads: "EKS insights: the last request of each client",
		parts: []Part{PartInsights}, run: fixedClients},
	{id: "API10", title: "Deprecated fields and annotations", severity: Warn, reads: "annotations of pods and workloads, Endpoints",
		parts: []Part{PartPods, PartWorkloads, PartEndpointObjects}, run: deprecatedFields},
}

func (l *look) upgrades() bool { return l.to > l.from }

// activeWriter is how long ago an object may have been written by a removed API for its writer to count as active: what is
// deployed weekly is. Ours.
const activeWriter = 7 * 24 * time.Hour

func (l *look) removedAt(apiVersion, kind string) (Removal, bool) {
	r, ok := RemovalOf(apiVersion, kind)
	return r, ok && l.goes(r.Removed)
}

// object is "Kind namespace/name", or "Kind name".
func (o Object) String() string {
	if o.Namespace == "" {
		return o.Kind + " " + o.Name
	}
	return o.Kind + " " + o.Namespace + "/" + o.Name
}

func (o Object) alpha() bool { return strings.Contains(o.APIVersion, "alpha") }

func writtenObjects(l *look) outcome {
	out := outcome{one: "an object was written by an API that " + l.to.String() + " does not serve",
		many: "%d objects were written by APIs that " + l.to.String() + " does not serve",
		remedy: func(object string) string {
			kind, name, _ := strings.Cut(object, " ")
			for _, o := range l.o.Objects {
				if o.Kind == kind && o.String() == object {
					if r, ok := l.removedAt(o.APIVersion, kind); ok && r.Replacement != "" {
						return fmt.Sprintf("Change apiVersion %s to %s in the manifest of %s %s, and apply it: kubectl apply --server-side -f MANIFEST", r.APIVersion, r.Replacement, kind, name)
					}
				}
			}
			return fmt.Sprintf("There is no API to take its place: take %s out of its manifests", object)
		}}
	for _, o := range l.o.Objects {
		r, ok := l.removedAt(o.APIVersion, o.Kind)
		if !ok || o.Writer == "" {
			continue
		}
		s, when := Block, "at a time that is not known"
		if !o.Written.IsZero() {
			when = "on " + date(o.Written)
			if l.now.Sub(o.Written) > activeWriter {
				s = Warn
			}
		}
		out.at(s, o.String(), fmt.Sprintf("by %s with %s, %s; removed in %s", o.Writer, o.APIVersion, when, r.Removed))
	}
	return out
}

// lastRequest is the last request of an API that the insights know of; known is false if no insight speaks of it, or does
// not say when.
func (l *look) lastRequest(group, version, resource string) (last time.Time, clients []string, from Insight, known bool) {
	path := "/apis/" + group + "/" + version + "/" + resource
	if group == "" {
		path = "/api/" + version + "/" + resource
	}
	for _, i := range l.o.Insights {
		for _, d := range i.Deprecations {
			if d.Usage != path || len(d.Clients) == 0 {
				continue
			}
			known, from = true, i
			for _, c := range d.Clients {
				if c.LastRequest.IsZero() {
					return time.Time{}, nil, i, false
				}
				if c.LastRequest.After(last) {
					last = c.LastRequest
				}
				clients = append(clients, c.UserAgent)
			}
		}
	}
	slices.Sort(clients)
	return last, slices.Compact(clients), from, known
}

func (r Requested) removal() (Removal, bool) {
	version := r.Version
	if r.Group != "" {
		version = r.Group + "/" + r.Version
	}
	row, ok := removedResources[kindKey{version, r.Resource}]
	if !ok && r.Removed > 0 { // an API server says itself what its types' tags say
		return Removal{Removed: r.Removed, APIVersion: version, Kind: r.Resource}, true
	}
	return row, ok
}

func (r Requested) String() string {
	if r.Group == "" {
		return r.Version + " " + r.Resource
	}
	return r.Group + "/" + r.Version + " " + r.Resource
}

func requestedAPIs(l *look) outcome {
	out := outcome{one: "somebody asks for an API that " + l.to.String() + " does not serve",
		many:   "somebody asks for %d APIs that " + l.to.String() + " does not serve",
		remedy: fixed("Find the client: " + l.aws("eks list-insights --cluster-name NAME --filter categories=UPGRADE_READINESS") + ", then " + l.aws("eks describe-insight --cluster-name NAME --id ID") + "; move it to the version that is served")}
	for _, r := range l.o.Requested {
		row, ok := r.removal()
		if !ok || !l.goes(row.Removed) {
			continue
		}
		s, note := Block, "removed in "+row.Removed.String()
		if row.Replacement != "" {
			note += ", use " + row.Replacement
		}
		// The metric counts from the start of the API server and does not forget: a client that has been fixed stays in it.
		last, clients, insight, known := l.lastRequest(r.Group, r.Version, r.Resource)
		if known {
			note += "; " + strings.Join(clients[:min(3, len(clients))], ", ") + " last on " + last.UTC().Format("2006-01-02 15:04")
			if l.old(insight, last) {
				s = Info
			}
		}
		out.at(s, r.String(), note)
	}
	return out
}

func laterRemovals(l *look) outcome {
	out := outcome{one: "an API in use goes in one of the two minors after the target", many: "%d uses of APIs that go in one of the two minors after the target",
		remedy: fixed("Nothing has to be done for this upgrade; plan the change before the next")}
	say := func(object string, r Removal) {
		switch r.Removed {
		case l.to + 1:
			out.at(Warn, object, r.APIVersion+" is removed in "+r.Removed.String())
		case l.to + 2:
			out.at(Info, object, r.APIVersion+" is removed in "+r.Removed.String())
		}
	}
	for _, o := range l.o.Objects {
		if r, ok := RemovalOf(o.APIVersion, o.Kind); ok {
			say(o.String(), r)
		}
	}
	for _, q := range l.o.Requested {
		if r, ok := q.removal(); ok {
			say(q.String(), r)
		}
	}
	return out
}

func helmReleases(l *look) outcome {
	out := outcome{one: "a Helm release holds objects of removed APIs: Helm cannot upgrade it afterwards", many: "%d Helm releases hold objects of removed APIs: Helm cannot upgrade them afterwards",
		remedy: func(release string) string {
			ns, name := split(release)
			return fmt.Sprintf("helm mapkubeapis --namespace %s %s   # or: helm upgrade it with a chart of today before the cluster", ns, name)
		}}
	for _, h := range l.o.Helm {
		var bad []string
		s := Warn // what went long ago broke the release long ago: this upgrade changes nothing for it
		for _, m := range h.Objects {
			r, ok := RemovalOf(m.APIVersion, m.Kind)
			if !ok || r.Removed > l.to {
				continue
			}
			if l.goes(r.Removed) {
				s = Block
			}
			bad = append(bad, fmt.Sprintf("%s %s (%s, removed in %s)", m.Kind, m.Name, m.APIVersion, r.Removed))
		}
		if len(bad) > 0 {
			slices.Sort(bad)
			out.at(s, h.Namespace+"/"+h.Name, capped(bad, 3))
		}
	}
	return out
}

// capped joins the first ones of a list, and says how many there are beside.
func capped(list []string, n int) string {
	text := strings.Join(list[:min(n, len(list))], ", ")
	if more := len(list) - n; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

func storedVersions(l *look) outcome {
	out := outcome{one: "a CustomResourceDefinition may have objects stored in a version that it does not have any more", many: "%d CustomResourceDefinitions may have objects stored in versions that they do not have any more",
		remedy: func(name string) string {
			return fmt.Sprintf("Rewrite all objects (kubectl get %[1]s -A -o json | kubectl replace -f -), then take the version out of status.storedVersions: kubectl edit crd %[1]s --subresource=status", name)
		}}
	for _, d := range l.o.Definitions {
		for _, v := range d.Stored {
			if !slices.ContainsFunc(d.Versions, func(have DefinitionVersion) bool { return have.Name == v }) {
				out.add(d.Name, "stored "+v)
			}
		}
	}
	return out
}

func aggregatedAPIs(l *look) outcome {
	out := outcome{one: "an aggregated API is not available: discovery fails, and namespaces are not deleted", many: "%d aggregated APIs are not available: discovery fails, and namespaces are not deleted",
		remedy: func(name string) string {
			return "kubectl describe apiservice " + name + "   # repair what serves it, or delete it if nothing does any more"
		}}
	for _, a := range l.o.APIServices {
		if !a.Available {
			out.add(a.Name, cmp.Or(a.Why, "not available")+", served by "+cmp.Or(a.Service, "nobody"))
		}
	}
	return out
}

func alphaObjects(l *look) outcome {
	out := outcome{one: "an object of an alpha API is stored in a version that " + l.to.String() + " cannot read", many: "%d objects of alpha APIs are stored in versions that " + l.to.String() + " cannot read",
		remedy: func(object string) string {
			kind, name, _ := strings.Cut(object, " ")
			if ns, short := split(name); short != "" {
				return fmt.Sprintf("kubectl get %[1]s -n %[2]s %[3]s -o yaml > backup.yaml && kubectl delete %[1]s -n %[2]s %[3]s", resourceOf(kind), ns, short)
			}
			return fmt.Sprintf("kubectl get %[1]s %[2]s -o yaml > backup.yaml && kubectl delete %[1]s %[2]s", resourceOf(kind), name)
		}}
	for _, o := range l.o.Objects {
		if r, ok := l.removedAt(o.APIVersion, o.Kind); ok && o.Listed && o.alpha() {
			out.add(o.String(), o.APIVersion+" is removed in "+r.Removed.String())
		}
	}
	return out
}

// old tells whether a request was so long ago, when EKS looked, that the policy does not let it count: of what has been asked since
// then, the insight says nothing.
func (l *look) old(i Insight, last time.Time) bool {
	seen := i.LastRefresh
	if seen.IsZero() || seen.After(l.now) {
		seen = l.now
	}
	return !last.IsZero() && seen.Sub(last) > l.p.Checks.InsightAge
}

// fixedInsight tells whether an insight is about deprecated APIs alone, and all their clients have last asked long ago: EKS goes
// on reporting them for 30 days (https://github.com/aws/containers-roadmap/issues/2569). A client whose last request is not told
// counts as active.
func (l *look) fixedInsight(i Insight) bool {
	if len(i.Deprecations) == 0 {
		return false
	}
	any := false
	for _, d := range i.Deprecations {
		if d.StopServing > l.to && l.to > 0 {
			continue // a later upgrade's
		}
		if len(d.Clients) == 0 {
			return false
		}
		for _, c := range d.Clients {
			if !l.old(i, c.LastRequest) {
				return false
			}
			any = true
		}
	}
	return any
}

func fixedClients(l *look) outcome {
	out := outcome{one: "an insight tells of clients that have stopped: it does not block", many: "%d insights tell of clients that have stopped: they do not block",
		remedy: fixed("Nothing: EKS forgets a client 30 days after its last request")}
	for _, i := range l.o.Insights {
		if i.Category == "UPGRADE_READINESS" && i.Status != "PASSING" && l.fixedInsight(i) {
			var last time.Time
			for _, d := range i.Deprecations {
				for _, c := range d.Clients {
					if c.LastRequest.After(last) {
						last = c.LastRequest
					}
				}
			}
			out.add(i.Name, "last request on "+last.UTC().Format("2006-01-02 15:04"))
		}
	}
	return out
}

// deprecatedFields: the annotations have had no effect since seccompProfile (1.27) and appArmorProfile (GA in 1.31) took over.
func deprecatedFields(l *look) outcome {
	out := outcome{one: "something uses a deprecated field or annotation", many: "%d objects use deprecated fields or annotations",
		remedy: fixed("Use securityContext.seccompProfile and appArmorProfile, and EndpointSlices instead of Endpoints")}
	gone := func(annotations map[string]string) (string, bool) {
		for _, key := range sortedKeys(annotations) {
			if strings.HasPrefix(key, "seccomp.security.alpha") || strings.HasPrefix(key, "container.seccomp.security.alpha") || strings.HasPrefix(key, "container.apparmor.security.beta") {
				return key, true
			}
		}
		return "", false
	}
	for _, w := range l.o.Workloads {
		if key, ok := gone(w.Annotations); ok {
			out.add(w.Kind+" "+w.ID(), key)
		}
	}
	for _, p := range l.o.Pods {
		if key, ok := gone(p.Annotations); ok && p.OwnerKind == "" {
			out.add("Pod "+p.ID(), key)
		}
	}
	if l.to >= 33 { // https://kubernetes.io/blog/2025/04/24/endpoints-deprecation/
		for _, e := range l.o.EndpointObjects {
			out.at(Info, "Endpoints "+e, "deprecated since "+fleet.Minor(33).String())
		}
	}
	return out
}
