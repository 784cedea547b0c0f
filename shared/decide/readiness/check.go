package readiness

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

// check is one of the catalogue's.
type check struct {
	id, title string
	// severity is the worst that it can find: what an Unknown counts as.
	severity Severity
	reads    string
	parts    []Part
	// when tells whether the check has anything to look at; nil is always. It is asked before anything is found unread.
	when func(*look) bool
	// optional: that its parts cannot be read is no more than a warning: the grant that it takes is a broad one (all secrets, for
	// Helm's), or the account may not be able to read it at all (AWS Health).
	optional bool
	run      func(*look) outcome
}

// outcome is what a check found. No items is a pass.
type outcome struct {
	items []item
	// one and many are the verdict, many with a %d for how many objects it is about.
	one, many string
	// remedy is what to do, of an object's name.
	remedy func(object string) string
	// unknown says why there is no verdict, where that is found only by looking.
	unknown string
}

// item is an object that a check found fault with. Severity "" is the check's own.
type item struct {
	object, note string
	severity     Severity
}

func (o *outcome) add(object, note string) {
	o.items = append(o.items, item{object: object, note: note})
}

func (o *outcome) at(s Severity, object, note string) {
	o.items = append(o.items, item{object, note, s})
}

// fixed is a remedy that is the same for all objects.
func fixed(text string) func(string) string { return func(string) string { return text } }

// most is how many objects a finding names; remedies how many of them get a command of their own.
const (
	most     = 25
	remedies = 3
)

// Check looks at a cluster. Every check of the catalogue is in the report, those that pass, too: blockers first, then what
// failed, then what is not known, then the others, in the catalogue's order.
func Check(now time.Time, o Observation, p fleet.UpgradePolicy) Report {
	l := newLook(now, o, p)
	r := Report{Cluster: o.EKS.Cluster, From: o.EKS.Version, To: o.Target, At: now, Support: support(now, o)}
	for _, c := range catalogue {
		r.Findings = append(r.Findings, l.make(c))
	}
	r.Refreshing = o.InsightsRefresh.Status == "IN_PROGRESS"
	for _, i := range l.insights("UPGRADE_READINESS", "PASSING", "WARNING", "UNKNOWN", "ERROR") {
		if r.InsightsAt.IsZero() || i.LastRefresh.Before(r.InsightsAt) {
			r.InsightsAt = i.LastRefresh
		}
		if i.Status == "ERROR" && !l.fixedInsight(i) {
			r.InsightErrors = append(r.InsightErrors, InsightError{Name: i.Name, Resources: i.Resources})
		}
	}
	slices.SortStableFunc(r.Findings, func(a, b Finding) int { return cmp.Compare(rank(a), rank(b)) })
	return r
}

func rank(f Finding) int {
	n := map[Severity]int{Block: 0, Warn: 1, Info: 2}[f.Severity]
	switch f.Status {
	case Fail:
		return n
	case Unknown:
		return n + 1 // after the blockers that are known: 1; a warning that is not known with what is told
	case Waived:
		return 4
	}
	return 5
}

// make carries a check out.
func (l *look) make(c check) Finding {
	f := Finding{ID: c.id, Title: c.title, Severity: c.severity, Status: Pass, Read: c.reads}
	if c.when != nil && len(l.unreadOf([]Part{PartEKS})) == 0 && !c.when(l) {
		f.Text = "does not apply"
		return f
	}
	out := outcome{}
	if missing := l.unreadOf(c.parts); len(missing) > 0 {
		out.unknown = strings.Join(missing, "; ")
	} else {
		out = c.run(l)
	}
	if out.unknown != "" && len(out.items) == 0 {
		f.Status, f.Text = Unknown, "not known: "+out.unknown
		if c.optional && f.Severity == Block {
			f.Severity = Warn
		}
		if w := l.waived(c.id, ""); w != nil {
			f.Status, f.Waiver = Waived, waiverText(*w)
		}
		return f
	}
	if out.unknown != "" { // what was found does not hide what could not be seen
		i := item{object: "not known", note: out.unknown, severity: c.severity}
		if c.optional {
			i.severity = Warn
		}
		out.items = append(out.items, i)
	}
	l.judge(&f, out)
	return f
}

// judge makes a finding of what was found, less what is waived.
func (l *look) judge(f *Finding, out outcome) {
	if len(out.items) == 0 {
		f.Text = "nothing found"
		return
	}
	for i := range out.items {
		if out.items[i].severity == "" {
			out.items[i].severity = f.Severity
		}
	}
	left, waivers := l.split(f.ID, out.items)
	f.Status = Fail
	if f.Waiver = strings.Join(waivers, "; "); len(left) == 0 {
		f.Status, left = Waived, out.items
	}
	slices.SortFunc(left, func(a, b item) int {
		return cmp.Or(cmp.Compare(worst(a.severity), worst(b.severity)), cmp.Compare(a.object, b.object), cmp.Compare(a.note, b.note))
	})
	left = slices.Compact(left)
	f.Severity = left[0].severity
	f.Text = out.one
	if len(left) > 1 && out.many != "" {
		f.Text = strings.Replace(out.many, "%d", fmt.Sprint(len(left)), 1)
	}
	var done []string
	for i, it := range left {
		if i < most {
			f.Evidence = append(f.Evidence, it.String())
		}
		if out.remedy == nil || len(done) == remedies || it.severity != f.Severity {
			continue
		}
		if text := out.remedy(it.object); text != "" && !slices.Contains(done, text) {
			done = append(done, text)
		}
	}
	if more := len(left) - most; more > 0 {
		f.Evidence = append(f.Evidence, fmt.Sprintf("and %d more", more))
	}
	f.Remedy = strings.Join(done, "\n")
}

func (i item) String() string {
	if i.note == "" {
		return i.object
	}
	return i.object + ": " + i.note
}

func worst(s Severity) int { return map[Severity]int{Block: 0, Warn: 1, Info: 2}[s] }

// split takes away what the policy lets pass, and says who lets it.
func (l *look) split(id string, items []item) (left []item, waivers []string) {
	for _, it := range items {
		w := l.waived(id, it.object)
		if w == nil {
			left = append(left, it)
		} else if text := waiverText(*w); !slices.Contains(waivers, text) {
			waivers = append(waivers, text)
		}
	}
	return left, waivers
}

// waived is the waiver that covers an object now; "" is covered only by a waiver of the whole check.
func (l *look) waived(id, object string) *fleet.Waiver {
	for i, w := range l.p.Checks.Waivers {
		if w.Check == id && (w.Object == "" || object != "" && w.Object == object) && l.now.Before(w.Until) {
			return &l.p.Checks.Waivers[i]
		}
	}
	return nil
}

func waiverText(w fleet.Waiver) string {
	text := "until " + w.Until.UTC().Format("2006-01-02 15:04") + " UTC"
	if w.Object != "" {
		text = w.Object + " " + text
	}
	if w.Reason != "" {
		text += ": " + w.Reason
	}
	return text
}

// unreadOf says which of the parts could not be read, and why; parts of one reason together.
func (l *look) unreadOf(parts []Part) (out []string) {
	why := map[string][]string{}
	var order []string
	for _, p := range parts {
		if reason, ok := l.o.Unread[p]; ok {
			if why[reason] == nil {
				order = append(order, reason)
			}
			why[reason] = append(why[reason], string(p))
		}
	}
	for _, reason := range order {
		out = append(out, strings.Join(why[reason], ", ")+" could not be read: "+reason)
	}
	return out
}

// support is the dates and the money of the version of now.
func support(now time.Time, o Observation) Support {
	v, ok := o.EKS.Find(o.EKS.Version)
	if !ok {
		return Support{}
	}
	s := Support{Status: v.Status, StandardEnds: v.StandardEnds, ExtendedEnds: v.ExtendedEnds}
	s.ExtendedPerMonth = (fleet.ClusterExtendedHourly - fleet.ClusterHourly) * hoursPerMonth
	from := o.EKS.CreatedAt
	if o.EKS.UpgradedAt.After(from) {
		from = o.EKS.UpgradedAt // before, another version was paid for
	}
	_, s.PaidSoFar = v.SupportCost(from, now)
	return s
}

// hoursPerMonth is what AWS's own calculations take for a month.
const hoursPerMonth = 730

// Extended is what extended support costs one cluster of the version between two moments, in USD, to the hour at which
// standard support ends.
func (s Support) Extended(from, to time.Time) float64 {
	_, extended := fleet.KubernetesVersion{StandardEnds: s.StandardEnds}.SupportCost(from, to)
	return extended
}
