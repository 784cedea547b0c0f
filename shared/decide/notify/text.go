package notify

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

// causes are what began a run, as a sentence.
var causes = map[string]string{
	"SpotInterruption":                "EC2 takes the spot instance back",
	"RebalanceRecommendation":         "EC2 sees a higher risk of losing the spot instance",
	"InstanceStateChange":             "the instance is being stopped or ended",
	"LifecycleAction":                 "Auto Scaling ends the instance",
	"CapacityReservationInterruption": "the capacity reservation is taken back",
	"CapacityBlockExpiration":         "the Capacity Block ends",
	"AWSHealthEvent":                  "AWS Health announced it",
	causeRemoval:                      "the node was given up",
	"ClusterApplyRequested":           "it was asked for",
	"ClusterDeleteRequested":          "its deletion was asked for",
	"UpgradeRequested":                "the upgrade was asked for, or was due",
	"RolloutRequested":                "the rollout was asked for",
}

// what a function does, and has done.
var doing = map[string]string{
	"interruption": "Draining", "upgrade": "Upgrading", "cluster": "Changing", "scaling": "Scaling",
}

// kinds are what a run is that is over. A drain is told of by its node.
var kinds = map[string]string{"upgrade": "upgrade of ", "scaling": "scaling of "}

// words for outcomes that are not English by themselves.
var words = map[string]string{
	"PartiallyDrained": "only partly drained", "NodeRemoved": "removed", "NodeKept": "kept, it could not be removed", "RolledBack": "rolled back",
	"NotReady": "not ready to be upgraded", "NothingToDo": "nothing to do", "Drained": "drained", "Upgraded": "upgraded", "Active": "as its file says",
	"Deleted": "deleted", "Failed": "failed", "Aborted": "aborted", "Scaled": "scaled",
}

// Title is a report in one line.
func (r Report) Title() string {
	switch r.Moment {
	case fleet.MomentTest:
		return "Test: this is how ekspedite tells of " + r.subject()
	case fleet.MomentStarted:
		title := cmp.Or(doing[r.Function], r.Function+":") + " " + r.subject()
		if why := causes[r.Cause]; why != "" {
			title += ": " + why
		}
		return title
	}
	title := kinds[r.Function] + r.subject() + ": " + cmp.Or(words[r.Outcome], r.Outcome)
	if r.Trouble() {
		return "Attention: " + title
	}
	return strings.ToUpper(title[:1]) + title[1:]
}

// fact is a line of a message.
type fact struct{ name, value string }

// facts are what a report says, in the order in which somebody who was woken up needs it.
func (r Report) facts() (out []fact) {
	add := func(name, value string) {
		if value != "" {
			out = append(out, fact{name, value})
		}
	}
	why := cmp.Or(causes[r.Cause], r.Cause)
	if r.Moment == fleet.MomentStarted && r.Reason != "" {
		why = strings.TrimPrefix(why+": "+r.Reason, ": ")
	} else {
		add("Result", r.Reason)
	}
	add("Why", why)
	if !r.Deadline.IsZero() {
		add("Deadline", clock(r.Deadline)+", "+r.Deadline.Sub(r.StartedAt).Round(time.Second).String()+" after the start")
	}
	add("Done", r.done())
	add("Left", some(r.Left, "; "))
	add("Failed", some(r.Failures, "; "))
	cluster := r.Cluster
	if r.Region != "" && cluster != "" {
		cluster += " (" + r.Region + ")"
	}
	add("Cluster", cluster)
	add("Node", r.Node)
	add("Instance", r.InstanceID)
	add("Node group", r.NodeGroup)
	if !r.FinishedAt.IsZero() {
		add("Took", r.FinishedAt.Sub(r.StartedAt).Round(time.Second/10).String()+", until "+clock(r.FinishedAt))
	}
	add("Run", r.RunID)
	return out
}

func clock(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

// counted are the counts that people want, in the order of telling.
var counted = []struct{ name, word string }{
	{"podsEvicted", "pods evicted"}, {"podsForced", "pods told to go against their budget"}, {"evictionsRefused", "evictions refused for a while"},
	{"hops", "hops"}, {"nodes", "nodes"},
}

func (r Report) done() string {
	var parts []string
	for _, c := range counted {
		if n := r.Counts[c.name]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, c.word))
		}
	}
	return strings.Join(parts, ", ")
}

// shown is how many things of a list a message names.
const shown = 10

func some(list []string, separator string) string {
	if len(list) <= shown {
		return strings.Join(list, separator)
	}
	return strings.Join(list[:shown], separator) + fmt.Sprintf("%sand %d more", separator, len(list)-shown)
}

// message is what is to be said, in no form yet.
type message struct {
	title string
	facts []fact
	lines []string // of a digest
	links []link
}

type link struct{ text, url string }

// say makes one message of reports that belong together.
func say(reports []Report, l Links) message {
	if len(reports) == 1 {
		r := reports[0]
		return message{title: r.Title(), facts: r.facts(), links: l.of(r.Function)}
	}
	m := message{title: digestTitle(reports), links: l.of(reports[0].Function)}
	byCluster := map[string]map[string]int{}
	for _, r := range reports {
		c := cmp.Or(r.Cluster, "the fleet")
		if byCluster[c] == nil {
			byCluster[c] = map[string]int{}
		}
		byCluster[c][r.state()]++
	}
	names := slices.Sorted(maps.Keys(byCluster))
	for i, c := range names {
		if i == shown {
			m.facts = append(m.facts, fact{"and", fmt.Sprintf("%d more clusters", len(names)-shown)})
			break
		}
		m.facts = append(m.facts, fact{c, tally(byCluster[c])})
	}
	// What needs somebody first; of a run that is over not its start.
	over := map[string]bool{}
	for _, r := range reports {
		if r.Moment == fleet.MomentFinished {
			over[r.RunID] = true
		}
	}
	var told []Report
	for _, r := range reports {
		if r.Moment != fleet.MomentStarted || !over[r.RunID] {
			told = append(told, r)
		}
	}
	slices.SortStableFunc(told, func(a, b Report) int { return rank(a) - rank(b) })
	for i, r := range told {
		if i == shown {
			m.lines = append(m.lines, fmt.Sprintf("and %d more; see: ekspedite runs list", len(told)-shown))
			break
		}
		line := r.Title()
		if len(r.Left) > 0 {
			line += "; left: " + some(r.Left, ", ")
		}
		m.lines = append(m.lines, line)
	}
	return m
}

func rank(r Report) int {
	if r.Trouble() {
		return 0
	}
	return 1
}

// state is a report in a word, for counting.
func (r Report) state() string {
	if r.Moment == fleet.MomentStarted {
		return "begun"
	}
	return cmp.Or(words[r.Outcome], r.Outcome)
}

func tally(states map[string]int) string {
	var parts []string
	for _, s := range slices.Sorted(maps.Keys(states)) {
		parts = append(parts, fmt.Sprintf("%d %s", states[s], s))
	}
	return strings.Join(parts, ", ")
}

func digestTitle(reports []Report) string {
	runs, clusters, bad := map[string]bool{}, map[string]bool{}, 0
	for _, r := range reports {
		runs[r.RunID], clusters[r.Region+"/"+r.Cluster] = true, true
		if r.Trouble() {
			bad++
		}
	}
	where := fmt.Sprintf("%d clusters", len(clusters))
	if len(clusters) == 1 {
		where = cmp.Or(reports[0].Cluster, "the fleet")
	}
	title := fmt.Sprintf("%d runs on %s", len(runs), where)
	if bad > 0 {
		title = fmt.Sprintf("Attention: %s, %d of them need somebody", title, bad)
	}
	return title
}

// plain is a message as text.
func (m message) plain() string {
	var b strings.Builder
	b.WriteString(m.title + "\n")
	for _, f := range m.facts {
		b.WriteString("\n" + f.name + ": " + f.value)
	}
	for _, l := range m.lines {
		b.WriteString("\n- " + l)
	}
	for _, l := range m.links {
		b.WriteString("\n" + l.text + ": " + l.url)
	}
	return b.String() + "\n"
}
