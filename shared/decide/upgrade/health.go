package upgrade

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

// Health is how a cluster is, as far as it is watched during an upgrade.
type Health struct {
	fleet.Wellness
	// Insights are EKS's that are in status ERROR, by name; Alarms those of the policy that are in ALARM.
	Insights []string `json:"insights,omitempty"`
	Alarms   []string `json:"alarms,omitempty"`
	// Unread says why a part could not be read: "nodes and pods", "insights", "alarms".
	Unread map[string]string `json:"unread,omitempty"`
}

// Baseline is how a cluster was when its upgrade began: what was wrong then is nobody's regression.
type Baseline struct {
	At    time.Time `json:"at"`
	Nodes []string  `json:"nodes,omitempty"` // that were not Ready
	// Pods is how many of a workload were not Ready. The workload is without the hash of a ReplicaSet, which changes.
	Pods     map[string]int    `json:"pods,omitempty"`
	Insights []string          `json:"insights,omitempty"`
	Alarms   []string          `json:"alarms,omitempty"`
	Unread   map[string]string `json:"unread,omitempty"`
}

// baseline takes what there is.
func baseline(now time.Time, h Health) *Baseline {
	b := &Baseline{At: now, Insights: h.Insights, Alarms: h.Alarms, Unread: h.Unread, Pods: map[string]int{}}
	for _, n := range h.NotReady {
		if n.Workload == "" {
			b.Nodes = append(b.Nodes, n.Name)
		} else {
			b.Pods[workload(n.Workload)]++
		}
	}
	return b
}

// workload is a pod's owner without what changes with every version of it: of "default/ReplicaSet/web-7f9c" "default/ReplicaSet/web".
func workload(owner string) string {
	if i := strings.LastIndexByte(owner, '-'); i > 0 && strings.Contains(owner, "/ReplicaSet/") {
		return owner[:i]
	}
	return owner
}

// ills is what is worse than at the start, by key: what is wrong, in words. Only what has been not Ready for that long counts.
func ills(now time.Time, h Health, b Baseline, p fleet.HealthPolicy, lasting time.Duration) map[string]string {
	out := map[string]string{}
	var nodes, pods []string
	spare := maps.Clone(b.Pods)
	list := slices.Clone(h.NotReady)
	slices.SortStableFunc(list, func(x, y fleet.NotReady) int { return x.Since.Compare(y.Since) }) // the baseline's are the oldest
	for _, n := range list {
		switch {
		case n.Workload == "" && slices.Contains(b.Nodes, n.Name):
		case n.Workload != "" && spare[workload(n.Workload)] > 0:
			spare[workload(n.Workload)]--
		case now.Sub(n.Since) < lasting:
		case n.Workload == "":
			nodes = append(nodes, n.Name)
		default:
			pods = append(pods, n.Name)
		}
	}
	if share(len(nodes), h.Nodes) > p.NotReady {
		out["nodes"] = fmt.Sprintf("%d of %d nodes are not Ready that were at the start, %s", len(nodes), h.Nodes, some(nodes))
	}
	if share(len(pods), h.Pods) > p.Pods {
		out["pods"] = fmt.Sprintf("%d of %d pods are not Ready beyond those of the start, %s", len(pods), h.Pods, some(pods))
	}
	for _, name := range h.Insights {
		if !slices.Contains(b.Insights, name) {
			out["insight/"+name] = "EKS's insight " + name + " has become an error"
		}
	}
	for _, name := range h.Alarms {
		if !slices.Contains(b.Alarms, name) {
			out["alarm/"+name] = "alarm " + name + " is in ALARM"
		}
	}
	for part, why := range h.Unread {
		if _, blind := b.Unread[part]; !blind {
			out["unread/"+part] = "the " + part + " can no longer be read: " + why
		}
	}
	return out
}

func share(n, of int) float64 {
	if n == 0 {
		return 0
	}
	return float64(n) / float64(max(of, n))
}

// named is how many objects a sentence names.
const named = 3

func some(names []string) string {
	slices.Sort(names)
	text := strings.Join(names[:min(named, len(names))], ", ")
	if more := len(names) - named; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// seenLooks is how many looks in a row have to see what has no time of its own.
const seenLooks = 4

// judge compares the cluster with how it was. It gives what is wrong now (nothing new starts then), and what of it has lasted
// long enough to be a regression; blind tells that all of that is what cannot be read. Two looks do not make a time: between them,
// nobody knows.
func (d *decider) judge() (wrong, regression []string, blind bool) {
	h, b := d.in.Health, d.m.Baseline
	switch {
	case h == nil:
		return nil, nil, false
	case b == nil:
		d.m.Baseline = baseline(d.now, *h)
		for _, part := range slices.Sorted(maps.Keys(h.Unread)) {
			d.tell("", "Note", "the "+part+" cannot be watched: "+h.Unread[part])
		}
		return nil, nil, false
	case d.untouched(): // what has changed while it waited for its window is nobody's regression
		d.m.Baseline = baseline(d.now, *h)
		return nil, nil, false
	}
	blind = true
	now := ills(d.now, *h, *b, d.p.Health, 0)
	lasted := ills(d.now, *h, *b, d.p.Health, d.p.Health.For)
	ill := map[string]Ill{}
	for _, key := range slices.Sorted(maps.Keys(now)) {
		is, known := d.m.Ill[key]
		if !known {
			is.Since = d.now
			d.tell("", "Unwell", now[key])
		}
		is.Looks++
		ill[key] = is
		wrong = append(wrong, now[key])
		text, counts := lasted[key]
		if key != "nodes" && key != "pods" { // each of them has a time of its own
			text, counts = now[key], d.now.Sub(is.Since) >= d.p.Health.For && is.Looks >= seenLooks
		}
		if counts {
			regression = append(regression, text)
			blind = blind && strings.HasPrefix(key, "unread/")
		}
	}
	if len(ill) == 0 && len(d.m.Ill) > 0 {
		d.tell("", "Well", "the cluster is as well as at the start again")
	}
	d.m.Ill = ill
	return wrong, regression, blind
}

// Worse is what is worse with a cluster than when the run of that memory began, as far as it has lasted. What cannot be read at
// the moment is left out: it may be the network between.
func Worse(now time.Time, h Health, m Memory, p fleet.HealthPolicy) (out []string) {
	if m.Baseline == nil {
		return nil
	}
	h.Unread = nil
	list := ills(now, h, *m.Baseline, p, p.For)
	for _, key := range slices.Sorted(maps.Keys(list)) {
		out = append(out, list[key])
	}
	return out
}
